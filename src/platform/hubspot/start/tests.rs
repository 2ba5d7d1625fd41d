//! Sequences: one call, what each answer means, and where it is looked for.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::testing::Fake;
use crate::platform::transport::NetError;
use crate::platform::{Outcome, Platform, Start, Started};
use crate::record::Raw;

fn welcome() -> Start {
    let inputs = [
        ("contactId".to_owned(), Raw::text("101")),
        ("senderEmail".to_owned(), Raw::text("ann@example.com")),
        ("userId".to_owned(), Raw::text("51001")),
    ];
    Start { name: "4711".into(), inputs: inputs.into() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// HubSpot answers to an enrolment, to what the contact is enrolled in, and to what it says itself.
async fn enrolled(
    post: (u16, Value),
    get: (u16, Value),
    contact: Value,
) -> (Outcome, Vec<(String, Value)>) {
    let (hubspot, fake) = Fake::client(move |call, _| {
        Ok(if call.starts_with("POST /automation/") {
            post.clone()
        } else if call.starts_with("GET /automation/") {
            get.clone()
        } else {
            let result = json!({"id": "101", "properties": contact});
            (200, json!({"status": "COMPLETE", "results": [result]}))
        })
    });
    let outcome = hubspot.start(&welcome()).await;
    (outcome, fake.asked())
}

#[tokio::test(start_paused = true)]
async fn a_contact_is_enrolled_by_one_call() {
    let answer =
        json!({"id": "7", "toEmail": "a@example.com", "enrolledAt": "2026-11-22T10:00:00Z"});
    let (outcome, asked) = enrolled((200, answer), (500, json!({})), json!({})).await;
    assert!(
        matches!(&outcome, Outcome::Done { id, created: true, .. } if id == "7"),
        "{outcome:?}"
    );
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, "POST /automation/v4/sequences/enrollments?userId=51001");
    assert_eq!(
        asked[0].1,
        json!({"sequenceId": "4711", "contactId": "101", "senderEmail": "ann@example.com"})
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_unless_the_contact_is_in_this_very_sequence() {
    let refused = |code: &str| {
        let errors = json!([{"code": code, "message": "no"}]);
        (400, json!({"category": "VALIDATION_ERROR", "message": "no", "errors": errors}))
    };
    let is_in = |id: &str| {
        (200, json!({"id": "9", "sequenceId": id, "enrolledAt": "2026-01-01T10:00:00Z"}))
    };
    let nowhere = (404, json!({"category": "OBJECT_NOT_FOUND"}));
    let says = |yes: &str| json!({"hs_sequences_is_enrolled": yes});
    for (post, get, contact, expected) in [
        (refused("ALREADY_ENROLLED"), is_in("4711"), json!({}), "matched 9"),
        // Whatever the code is called: the contact says that it goes on.
        (refused("SOMETHING"), is_in("4711"), says("true"), "matched 9"),
        (refused("SOMETHING"), is_in("4711"), says("false"), "refused SOMETHING"),
        (refused("ALREADY_ENROLLED"), is_in("4712"), says("true"), "refused ALREADY_ENROLLED"),
        (refused("UNSUBSCRIBED"), nowhere.clone(), json!({}), "refused UNSUBSCRIBED"),
        (refused("UNSUBSCRIBED"), (200, json!({})), json!({}), "refused UNSUBSCRIBED"),
        (nowhere.clone(), nowhere.clone(), json!({}), "refused OBJECT_NOT_FOUND"),
        (
            (403, json!({"category": "MISSING_SCOPES", "message": "no"})),
            nowhere.clone(),
            json!({}),
            "refused MISSING_SCOPES",
        ),
        ((200, json!({"so": "it is"})), nowhere.clone(), json!({}), "unknown"),
        ((500, json!({})), nowhere.clone(), json!({}), "unknown"),
        ((504, Value::Null), nowhere.clone(), json!({}), "unknown"),
    ] {
        let shown = format!("{post:?} {get:?}");
        let (outcome, asked) = enrolled(post, get, contact).await;
        let told = match &outcome {
            Outcome::Done { id, created: false, .. } => format!("matched {id}"),
            Outcome::Refused(refusal) => {
                assert!(refusal.hint.len() > 20, "{refusal:?}");
                format!("refused {}", refusal.code)
            }
            Outcome::Unknown(_) => "unknown".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(told, expected, "{shown}");
        let posts = asked.iter().filter(|(call, _)| call.starts_with("POST /auto")).count();
        assert_eq!(posts, 1, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_repeated() {
    let (hubspot, fake) = Fake::client(|_, _| Err(NetError::unclear("the connection broke")));
    assert!(matches!(hubspot.start(&welcome()).await, Outcome::Unknown(_)));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_enrolment_is_looked_for_with_the_contact_and_with_what_it_says() {
    let since = at("2026-11-22T10:00:00Z");
    let is_in = |id: &str, at: &str| json!({"id": "9", "sequenceId": id, "enrolledAt": at});
    let latest = |id: &str, at: &str| json!({"hs_latest_sequence_enrolled": id, "hs_latest_sequence_enrolled_date": at});
    for (get, contact, expected) in [
        (is_in("4711", "2026-11-22T10:00:01Z"), json!({}), Some("9")),
        // Clocks differ by seconds.
        (is_in("4711", "2026-11-22T09:59:30Z"), json!({}), Some("9")),
        (is_in("4711", "2026-11-20T10:00:00Z"), json!({}), None),
        (is_in("4712", "2026-11-22T10:00:01Z"), json!({}), None),
        (json!({}), latest("4711", "2026-11-22T10:00:05Z"), Some("4711")),
        (json!({}), latest("4711", "2026-11-21T10:00:05Z"), None),
        (json!({}), json!({}), None),
    ] {
        let shown = format!("{get} {contact}");
        let (hubspot, _) = Fake::client(move |call, _| {
            let result = json!({"id": "101", "properties": contact});
            Ok(match call.starts_with("GET /automation/v4/sequences/enrollments/contact/101") {
                true => (200, get.clone()),
                false => (200, json!({"status": "COMPLETE", "results": [result]})),
            })
        });
        let found = match hubspot.started(&welcome(), since).await.unwrap() {
            Started::Yes { id, .. } => Some(id),
            Started::No => None,
            Started::Untold => panic!(),
        };
        assert_eq!(found.as_deref(), expected, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sequence_is_there_or_not() {
    for (status, body, expected) in [
        (200, json!({"id": "4711", "name": "Welcome"}), Ok(true)),
        (404, json!({"category": "OBJECT_NOT_FOUND"}), Ok(false)),
        (403, json!({"category": "MISSING_SCOPES"}), Err(())),
    ] {
        let (hubspot, fake) = Fake::client(move |_, _| Ok((status, body.clone())));
        let found = hubspot.startable(&welcome()).await;
        assert_eq!(found.map(|it| it.is_some()).map_err(|_| ()), expected, "{status}");
        assert_eq!(fake.asked()[0].0, "GET /automation/v4/sequences/4711?userId=51001");
    }
}
