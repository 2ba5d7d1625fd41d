use proptest::prelude::*;
use serde_json::json;

use super::*;

fn objects() -> Objects {
    Objects::new(["contacts", "companies", "0-3", "2-77"])
}

fn told(body: &Value) -> Delivery {
    read(body.to_string().as_bytes(), "42", Some("9001"), &objects()).unwrap()
}

/// One line for each word of a delivery of one event.
fn line(mut event: Value) -> String {
    event.as_object_mut().unwrap().entry("portalId").or_insert(json!(42));
    let delivery = told(&json!([event]));
    let words: Vec<String> = delivery
        .words
        .iter()
        .map(|word| {
            let Change { record, kind, at, origin, .. } = &word.change;
            let kind = match kind {
                ChangeKind::Merged { into } => format!("merged into {} {}", into.object, into.id),
                other => format!("{other:?}").to_lowercase(),
            };
            let mut line = format!("{} {} {kind}", record.object, record.id);
            if let Some(at) = at {
                line += &format!(" at {at}");
            }
            if *origin != Origin::Unknown {
                line += &format!(" by {origin:?}").to_lowercase();
            }
            if let Some(Fact { property, value }) = &word.fact {
                line += &format!(" {property}={value:?}");
            }
            line
        })
        .collect();
    let counts = [("besides", delivery.besides), ("unreadable", delivery.unreadable)];
    let rest = counts.iter().filter(|(_, count)| *count > 0);
    let rest = rest.map(|(name, count)| format!("{count} {name}"));
    words.into_iter().chain(rest).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_kind_of_event_says_which_records_to_read() {
    let event = |event: Value| line(event);
    let lines = [
        event(json!({
            "eventId": 2409503945u64, "subscriptionId": 2426762, "appId": 2633736,
            "occurredAt": 1705422467780u64, "subscriptionType": "contact.propertyChange",
            "attemptNumber": 0, "objectId": 1801, "propertyName": "email",
            "propertyValue": "a@example.com", "changeSource": "CRM_UI",
            "sourceId": "userId:51430432"
        })),
        event(json!({"subscriptionType": "contact.propertyChange", "objectId": 1,
            "propertyName": "hs_lead_status", "propertyValue": "", "changeSource": "INTEGRATION",
            "sourceId": "9001"})),
        event(json!({"subscriptionType": "contact.propertyChange", "objectId": 1,
            "propertyName": "score", "propertyValue": null, "changeSource": "INTEGRATION",
            "sourceId": 77})),
        event(json!({"subscriptionType": "contact.propertyChange", "objectId": 1,
            "propertyName": "diagnosis", "propertyValue": "REDACTED", "isSensitive": true})),
        event(json!({"subscriptionType": "contact.propertyChange", "objectId": 1})),
        event(
            json!({"subscriptionType": "contact.creation", "objectId": "7", "changeFlag": "NEW"}),
        ),
        event(json!({"eventType": "company.creation", "objectId": 8, "changeFlag": "CREATED"})),
        event(json!({"subscriptionType": "deal.deletion", "objectId": 9})),
        event(json!({"subscriptionType": "contact.restore", "objectId": 9})),
        event(json!({"subscriptionType": "contact.privacyDeletion", "objectId": 9})),
        event(json!({"subscriptionType": "object.propertyChange", "objectTypeId": "2-77",
            "objectId": 5, "propertyName": "colour", "propertyValue": 3})),
        event(json!({"subscriptionType": "object.deletion", "objectTypeId": "0-1", "objectId": 5})),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    contacts 1801 touched at 2024-01-16T16:27:47.78Z by person email=Some(Text("a@example.com"))
    contacts 1 touched by lockstep hs_lead_status=Some(Null)
    contacts 1 touched by elsewhere score=None
    contacts 1 touched diagnosis=None
    contacts 1 touched
    contacts 7 touched
    companies 8 touched
    0-3 9 deleted
    contacts 9 touched
    contacts 9 erased
    2-77 5 touched colour=Some(Text("3"))
    contacts 5 deleted
    "#);
}

#[test]
fn a_merge_names_its_survivor_and_its_losers() {
    let merge = |fields: Value| {
        let mut event = json!({"subscriptionType": "contact.merge"});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        line(event)
    };
    let lines = [
        // A new id: the primary is a loser as well.
        merge(json!({"primaryObjectId": 1, "mergedObjectIds": [2, "3"], "newObjectId": 10,
            "objectId": 10, "numberOfPropertiesMoved": 4})),
        // The primary's id is kept.
        merge(json!({"primaryObjectId": 1, "mergedObjectIds": [1, 2]})),
        merge(json!({"objectId": 1, "mergedObjectIds": "2;3"})),
        merge(json!({"mergedObjectIds": [2]})),
        merge(json!({"primaryObjectId": 1, "mergedObjectIds": {"odd": true}})),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    contacts 10 touched; contacts 1 merged into contacts 10; contacts 2 merged into contacts 10; contacts 3 merged into contacts 10
    contacts 1 touched; contacts 2 merged into contacts 1
    contacts 1 touched; contacts 2 merged into contacts 1; contacts 3 merged into contacts 1
    1 unreadable
    contacts 1 touched
    ");
}

#[test]
fn an_association_touches_both_ends() {
    let lines = [
        line(json!({"subscriptionType": "contact.associationChange", "fromObjectId": 1,
            "toObjectId": 2, "associationType": "CONTACT_TO_COMPANY", "associationRemoved": false,
            "isPrimaryAssociation": true, "changeSource": "CRM_UI"})),
        line(json!({"subscriptionType": "object.associationChange", "fromObjectTypeId": "0-3",
            "toObjectTypeId": "0-1", "fromObjectId": 1, "toObjectId": 2, "associationTypeId": 3,
            "associationCategory": "HUBSPOT_DEFINED"})),
        line(json!({"subscriptionType": "deal.associationChange", "fromObjectId": 1,
            "toObjectId": 2, "associationType": "DEAL_TO_LINE_ITEM"})),
        line(json!({"subscriptionType": "ticket.associationChange", "fromObjectId": 1,
            "toObjectId": 2, "associationType": "TICKET_TO_LINE_ITEM"})),
        line(json!({"subscriptionType": "contact.associationChange", "fromObjectId": 1})),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    contacts 1 touched by person; companies 2 touched by person
    0-3 1 touched; contacts 2 touched
    0-3 1 touched
    1 besides
    1 unreadable
    ");
}

#[test]
fn what_is_unknown_is_counted_and_keeps_nothing_else_back() {
    let delivery = told(&json!([
        {"portalId": 42, "subscriptionType": "contact.creation", "objectId": 1, "new": {"field": []}},
        {"portalId": 43, "subscriptionType": "contact.creation", "objectId": 1},
        {"subscriptionType": "contact.creation", "objectId": 1},
        {"portalId": 42, "subscriptionType": "ticket.creation", "objectId": 1},
        {"portalId": 42, "subscriptionType": "conversation.newMessage", "objectId": 1},
        {"portalId": 42, "subscriptionType": "event.completed"},
        {"portalId": 42, "subscriptionType": "contact.somethingNew", "objectId": 1},
        {"portalId": 42, "subscriptionType": "contact"},
        {"portalId": 42, "subscriptionType": "contact.creation", "objectId": "../1"},
        {"portalId": 42, "subscriptionType": "contact.creation", "objectId": -1},
        {"portalId": 42, "objectId": 1},
        7,
        {"portalId": "42", "subscriptionType": "contact.creation", "objectId": 2},
    ]));
    assert_eq!(
        (delivery.events, delivery.elsewhere, delivery.besides, delivery.unreadable),
        (13, 1, 5, 5)
    );
    let ids: Vec<&str> = delivery.words.iter().map(|word| word.change.record.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"]);
}

#[test]
fn only_a_list_of_events_is_a_delivery() {
    let read = |body: &str| read(body.as_bytes(), "42", None, &objects());
    assert_eq!(read("[]").unwrap(), Delivery::default());
    let single = r#"{"portalId":42,"subscriptionType":"contact.creation","objectId":1}"#;
    assert_eq!(read(single).unwrap().words.len(), 1, "one event without its list");
    for (body, why) in [
        ("", "line 1, column 0"),
        ("[{]", "line 1, column 3"),
        ("7", "it is a single value"),
        ("null", "it is a single value"),
        (r#"[{"email":"anna@example.com""#, "line 1, column 28"),
    ] {
        let error = read(body).unwrap_err().to_string();
        assert_eq!(error, format!("the body is not a JSON list of events: {why}"), "{body}");
    }
    let deep = "[".repeat(100_000);
    read(&deep).unwrap_err();
}

#[test]
fn events_of_one_record_are_one_change() {
    let body = json!([
        {"portalId": 42, "subscriptionType": "contact.propertyChange", "objectId": 1,
         "occurredAt": 2000, "propertyName": "email", "propertyValue": "x",
         "changeSource": "INTEGRATION", "sourceId": "9001"},
        {"portalId": 42, "subscriptionType": "contact.creation", "objectId": 1, "occurredAt": 1000,
         "changeSource": "CRM_UI"},
        {"portalId": 42, "subscriptionType": "contact.deletion", "objectId": 2, "occurredAt": 3000},
        {"portalId": 42, "subscriptionType": "contact.merge", "occurredAt": 2999,
         "primaryObjectId": 1, "mergedObjectIds": [2]},
        {"portalId": 42, "subscriptionType": "contact.restore", "objectId": 3, "occurredAt": 9},
        {"portalId": 42, "subscriptionType": "contact.deletion", "objectId": 3, "occurredAt": 8},
        {"portalId": 42, "subscriptionType": "contact.privacyDeletion", "objectId": 4},
        {"portalId": 42, "subscriptionType": "contact.deletion", "objectId": 4, "occurredAt": 8},
    ]);
    let changes = Delivery::changes(told(&body).words);
    let kinds: Vec<_> =
        changes.iter().map(|change| (change.record.id.as_str(), change.kind.clone())).collect();
    let into = RecordRef::hubspot("contacts", "1");
    assert_eq!(
        kinds,
        [
            ("1", ChangeKind::Touched),
            ("2", ChangeKind::Merged { into }),
            ("3", ChangeKind::Touched),
            ("4", ChangeKind::Erased)
        ]
    );
    assert_eq!(changes[0].at.map(|at| at.as_millisecond()), Some(2999));
    assert_eq!(changes[0].origin, Origin::Person, "not all of it was ours");
}

/// Any JSON, with the names that matter standing in it more often than by chance.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(42)),
        ".{0,12}".prop_map(Value::from),
        "(contact|company|object|line_item)\\.(merge|creation|deletion|restore|associationChange|privacyDeletion|propertyChange)"
            .prop_map(Value::from),
    ];
    let names = "(subscriptionType|eventType|portalId|objectId|objectTypeId|propertyName|propertyValue|mergedObjectIds|newObjectId|associationType|fromObjectId|toObjectId|isSensitive|.{0,4})";
    leaf.prop_recursive(3, 40, 12, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(body in any::<Vec<u8>>()) {
        let _ = read(&body, "42", Some("1"), &objects());
    }

    #[test]
    fn no_json_is_too_odd(events in prop::collection::vec(any_json(), 0..8)) {
        let count = events.len();
        let delivery = told(&Value::from(events));
        prop_assert_eq!(delivery.events, count);
        let told = delivery.elsewhere + delivery.besides + delivery.unreadable;
        prop_assert!(told <= count);
        for word in &delivery.words {
            prop_assert!(word.change.record.id.bytes().all(|byte| byte.is_ascii_digit()));
        }
        let records: BTreeSet<_> = delivery.words.iter().map(|w| w.change.record.clone()).collect();
        prop_assert_eq!(Delivery::changes(delivery.words).len(), records.len());
    }
}
