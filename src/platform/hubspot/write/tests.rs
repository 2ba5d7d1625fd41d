use serde_json::{Value, json};

use super::*;
use crate::platform::transport::NetError;
use crate::platform::{Platform, WriteOptions};

use super::super::testing::{Fake, inputs};

fn update(id: &str, fields: &[(&str, &str)]) -> Write {
    Write {
        object: "contacts".into(),
        action: Action::Update { id: id.into() },
        fields: fields.iter().map(|(k, v)| ((*k).into(), Raw::text(*v))).collect(),
        clear_first: [].into(),
        options: WriteOptions::default(),
    }
}

/// Echoes every input as it came.
fn echo(body: &Value) -> Value {
    let result = |input: &Value| json!({"id": input["id"], "properties": input["properties"]});
    json!({"status": "COMPLETE", "results": inputs(body).into_iter().map(result).collect::<Vec<_>>()})
}

/// Rejects every batch that holds one of the ids `bad`, without a hint which.
fn reject_ids(bad: &'static [&'static str], body: &Value) -> Option<Value> {
    let is_bad = inputs(body).iter().any(|input| bad.contains(&input["id"].as_str().unwrap()));
    is_bad.then(|| json!({"category": "VALIDATION_ERROR", "message": "?"}))
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_never_blocks_ninety_nine_good_ones() {
    let (hubspot, fake) = Fake::client(|_, body| {
        Ok(reject_ids(&["17"], body).map_or_else(|| (200, echo(body)), |error| (400, error)))
    });
    let writes: Vec<Write> = (0..100).map(|id| update(&id.to_string(), &[("a", "x")])).collect();
    let outcomes = hubspot.write(&writes).await;
    for (id, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Done { id: done, .. } if id != 17 => assert_eq!(*done, id.to_string()),
            Outcome::Refused(refusal) if id == 17 => assert_eq!(refusal.code, "VALIDATION_ERROR"),
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(fake.calls().len() <= 15, "{}", fake.calls().len());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_names_its_value_costs_three_calls() {
    let (hubspot, fake) = Fake::client(|_, body| {
        let bad = inputs(body).iter().any(|input| input["properties"]["a"] == "value 17");
        let error = json!({"category": "VALIDATION_ERROR", "errors": [{"code": "INVALID_OPTION",
            "message": "value 17 war nicht erlaubt", "context": {"propertyName": ["a"]}}]});
        Ok(if bad { (400, error) } else { (200, echo(body)) })
    });
    let writes: Vec<Write> =
        (10..90).map(|id| update(&id.to_string(), &[("a", &format!("value {id}"))])).collect();
    let outcomes = hubspot.write(&writes).await;
    let refused: Vec<usize> = outcomes
        .iter()
        .enumerate()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Refused(_)))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(refused, [7]);
    assert_eq!(fake.calls().len(), 3);
}

/// A contact at the stage `customer`: a stage is taken only if there is none, or if it stays.
fn stubborn(body: &Value, stage: &std::sync::Mutex<String>) -> Value {
    let results = inputs(body).into_iter().map(|input| {
        let mut properties = input["properties"].clone();
        if let Some(new) = input["properties"]["lifecyclestage"].as_str() {
            let mut stage = stage.lock().unwrap();
            if stage.is_empty() || new.is_empty() {
                new.clone_into(&mut stage);
            }
            properties["lifecyclestage"] = json!(*stage);
        }
        json!({"id": input["id"], "properties": properties})
    });
    json!({"results": results.collect::<Vec<_>>()})
}

#[tokio::test(start_paused = true)]
async fn a_kept_stage_is_told_or_insisted_on() {
    for (allowed, calls) in [(false, 1), (true, 3)] {
        let stage = std::sync::Mutex::new("customer".to_owned());
        let (hubspot, fake) = Fake::client(move |_, body| Ok((200, stubborn(body, &stage))));
        let mut write = update("1", &[("lifecyclestage", "lead"), ("a", "x")]);
        if allowed {
            write.clear_first = ["lifecyclestage".to_owned()].into();
        }
        let outcome = hubspot.write(&[write]).await.remove(0);
        assert_eq!(fake.calls().len(), calls);
        match outcome {
            Outcome::Refused(refusal) if !allowed => {
                assert_eq!(refusal.kind, RefusalKind::Kept);
                assert_eq!(refusal.fields, ["lifecyclestage"]);
            }
            Outcome::Done { echoed, .. } if allowed => {
                assert_eq!(echoed["lifecyclestage"], Raw::text("lead"));
                assert_eq!(echoed["a"], Raw::text("x"));
                let bodies = fake.asked();
                assert_eq!(inputs(&bodies[1].1)[0]["properties"], json!({"lifecyclestage": ""}));
                assert_eq!(
                    inputs(&bodies[2].1)[0]["properties"],
                    json!({"lifecyclestage": "lead"})
                );
            }
            other => panic!("{allowed}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_after_the_clear_is_not_called_harmless() {
    let stage = std::sync::Mutex::new("customer".to_owned());
    let (hubspot, _) = Fake::client(move |_, body| {
        if inputs(body)[0]["properties"] == json!({"lifecyclestage": "lead"}) {
            return Err(NetError::not_sent("refused"));
        }
        Ok((200, stubborn(body, &stage)))
    });
    let mut write = update("1", &[("lifecyclestage", "lead"), ("a", "x")]);
    write.clear_first = ["lifecyclestage".to_owned()].into();
    let outcome = hubspot.write(&[write]).await.remove(0);
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_answer_means() {
    let upsert = Write {
        action: Action::Upsert { key_field: "sf_id".into(), key: "00Q1".into() },
        ..update("", &[("a", "x")])
    };
    let delete = Write { action: Action::Delete { id: "1".into() }, ..update("", &[]) };
    for (write, lost, calls) in [
        // An archive is repeated; an update or upsert is not, as somebody may have edited since.
        (update("1", &[("a", "x")]), true, 1..2),
        (delete.clone(), true, 2..100),
        (upsert.clone(), true, 1..2),
        (upsert, false, 2..100),
    ] {
        let (hubspot, fake) = Fake::client(move |_, _| {
            Err(if lost { NetError::unclear("cut") } else { NetError::not_sent("refused") })
        });
        let outcome = hubspot.write(std::slice::from_ref(&write)).await.remove(0);
        assert!(calls.contains(&fake.calls().len()), "{write:?}: {}", fake.calls().len());
        assert_eq!(matches!(outcome, Outcome::Unknown(_)), lost, "{write:?}: {outcome:?}");
        assert_eq!(matches!(outcome, Outcome::NotDone(_)), !lost, "{write:?}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mix_goes_into_full_batches() {
    let (hubspot, fake) = Fake::client(|call, body| {
        if call.contains("/archive") {
            return Ok((204, Value::Null));
        }
        if call.contains("/associations/") && call.contains("/read") {
            return Ok((
                207,
                json!({"results": [], "errors": [{"category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"}]}),
            ));
        }
        if call.starts_with("PUT") {
            return Ok((200, json!({"results": []})));
        }
        Ok((200, echo(body)))
    });
    let mut writes: Vec<Write> =
        (0..150).map(|id| update(&id.to_string(), &[("a", "x")])).collect();
    writes.push(Write { action: Action::Delete { id: "900".into() }, ..update("", &[]) });
    writes.push(update("901", &[]));
    writes.push(update("902", &[("associations.companies", "7")]));
    writes.push(Write {
        action: Action::Upsert { key_field: "sf_id".into(), key: "00Q1".into() },
        ..update("", &[])
    });
    let outcomes = hubspot.write(&writes).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done { .. })), "{outcomes:?}");
    let mut calls = fake.calls();
    calls.sort();
    assert_eq!(
        calls,
        [
            "POST associations/contacts/companies/batch/read",
            "POST contacts/batch/archive",
            "POST contacts/batch/update",
            "POST contacts/batch/update",
            "POST contacts/batch/upsert",
            "PUT objects/contacts/902/associations/default/companies/7",
        ]
    );
    let bodies = fake.asked();
    let upsert = bodies.iter().find(|(call, _)| call.contains("upsert")).unwrap();
    assert_eq!(inputs(&upsert.1)[0]["properties"], json!({"sf_id": "00Q1"}));
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_is_looked_up_where_the_batch_does_not_name_it() {
    let (hubspot, _) = Fake::client(|call, _| {
        Ok(if call.contains("/read") {
            (200, json!({"results": [{"id": "55"}]}))
        } else {
            (409, json!({"category": "CONFLICT", "message": "Contact already exists"}))
        })
    });
    let outcome = hubspot.write(&[update("1", &[("email", "a@b.com")])]).await.remove(0);
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.kind, RefusalKind::Duplicate { existing: Some("55".into()) });
}

#[test]
fn values_are_written_as_text() {
    for (value, written) in [
        (Raw::Null, ""),
        (Raw::Bool(true), "true"),
        (Raw::Number(5000.0), "5000"),
        (Raw::Number(12.5), "12.5"),
        (Raw::text("x"), "x"),
    ] {
        assert_eq!(text(&value), written);
    }
}

#[tokio::test(start_paused = true)]
async fn an_activity_is_created_with_what_it_is_about_and_never_repeated() {
    let create = |object: &str, about: &str| Write {
        object: object.into(),
        action: Action::Create,
        fields: [("hs_timestamp", "2026-11-22T09:00:00Z"), (about, "7")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), Raw::text(v)))
            .collect(),
        clear_first: [].into(),
        options: WriteOptions::default(),
    };
    let (hubspot, fake) =
        Fake::client(|_, body| match body["associations"][0]["to"]["id"].as_str() {
            Some("7") => Ok((201, json!({"id": "404"}))),
            other => panic!("{other:?}"),
        });
    let writes = [
        create("tasks", "associations.contacts"),
        create("notes", "associations.deals"),
        create("tasks", "associations.tickets"),
        create("contacts", "associations.companies"),
    ];
    let outcomes = hubspot.write(&writes).await;
    let done = |outcome: &Outcome| matches!(outcome, Outcome::Done { id, created: true, .. } if id == "404");
    assert!(done(&outcomes[0]) && done(&outcomes[1]), "{outcomes:?}");
    for (outcome, code) in outcomes[2..].iter().zip(["NO_ASSOCIATION", "NO_KEY"]) {
        assert!(matches!(outcome, Outcome::Refused(it) if it.code == code), "{outcome:?}");
    }
    let mut asked: Vec<String> = fake
        .asked()
        .into_iter()
        .map(|(call, body)| format!("{call} {}", body["associations"][0]["types"][0]))
        .collect();
    asked.sort();
    insta::assert_snapshot!(asked.join("\n"), @r#"
    POST /crm/v3/objects/notes {"associationCategory":"HUBSPOT_DEFINED","associationTypeId":214}
    POST /crm/v3/objects/tasks {"associationCategory":"HUBSPOT_DEFINED","associationTypeId":204}
    "#);
    assert_eq!(calls(&writes[..2]), 2);

    let (hubspot, fake) = Fake::client(|_, _| Ok((201, json!({"properties": {}}))));
    let outcome = hubspot.write(&writes[..1]).await.remove(0);
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    assert_eq!(fake.calls().len(), 1, "it was not repeated");
    let (hubspot, _) = Fake::client(|_, _| Err(NetError::not_sent("refused")));
    let outcome = hubspot.write(&writes[..1]).await.remove(0);
    assert!(matches!(outcome, Outcome::NotDone(_)), "{outcome:?}");
}
