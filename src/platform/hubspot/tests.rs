use serde_json::{Value, json};

use super::testing::{Fake, inputs};
use super::*;
use crate::platform::transport::NetError;
use crate::record::{Author, ChangeKind, Raw};

fn ask(fields: &[&str]) -> Ask {
    Ask {
        object: "contacts".into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        stamps: BTreeSet::new(),
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Contacts 1 to 5; 6 was merged into 60, 7 is archived, all else is unknown.
fn account(call: &str, body: &Value) -> Value {
    let archived = call.contains("archived=true");
    let mut missing = Vec::new();
    let mut results = BTreeMap::new();
    for input in inputs(body) {
        let id = input["id"].as_str().unwrap();
        let live = match id {
            "1" | "2" | "3" | "4" | "5" => Some((id, Value::Null)),
            "6" | "60" => Some(("60", json!("6;61"))),
            _ => None,
        };
        let found = if archived { (id == "7").then_some(("7", Value::Null)) } else { live };
        match found {
            Some((id, merged)) => {
                results.insert(
                    id.to_owned(),
                    json!({"id": id, "archived": archived,
                    "updatedAt": "2026-11-01T10:00:00.5Z", "createdAt": "2026-10-01T00:00:00Z",
                    "properties": {"email": format!("{id}@x.com"), "phone": "",
                        "hs_merged_object_ids": merged}}),
                );
            }
            None => missing.push(id),
        }
    }
    let errors = if missing.is_empty() {
        json!([])
    } else {
        json!([{"category": "OBJECT_NOT_FOUND", "context": {"ids": missing}}])
    };
    json!({"results": results.values().collect::<Vec<_>>(), "errors": errors})
}

#[tokio::test(start_paused = true)]
async fn records_come_back_in_the_order_that_was_asked() {
    let (hubspot, fake) = Fake::client(|call, body| Ok((207, account(call, body))));
    let wanted = ids(&["3", "6", "9", "1", "7", "3", "60"]);
    let read = hubspot.read(&ask(&["email", "phone", "nosuch"]), &wanted).await.unwrap();
    let found: Vec<_> = read
        .iter()
        .map(|record| record.as_ref().map(|record| (record.key.id.as_str(), record.deleted)))
        .collect();
    assert_eq!(
        found,
        [
            Some(("3", false)),
            Some(("60", false)),
            None,
            Some(("1", false)),
            Some(("7", true)),
            Some(("3", false)),
            Some(("60", false)),
        ]
    );
    let first = read[0].as_ref().unwrap();
    assert_eq!(first.fields["email"], Raw::text("3@x.com"));
    assert_eq!(first.fields["phone"], Raw::Null);
    assert!(!first.fields.contains_key("nosuch"));
    assert_eq!(first.modified, Some(moment("2026-11-01T10:00:00.5Z")));
    assert_eq!(read[1].as_ref().unwrap().aliases, ["6", "61"]);
    assert_eq!(
        fake.calls(),
        ["POST contacts/batch/read", "POST contacts/batch/read?archived=true"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_survivor_that_lists_no_old_ids_is_found_all_the_same() {
    let (hubspot, fake) = Fake::client(|call, _| {
        Ok((
            200,
            if call.starts_with("GET") {
                json!({"id": "60"})
            } else {
                json!({"results": [{"id": "60", "properties": {"email": "x"}}, {"id": "1"}]})
            },
        ))
    });
    let read = hubspot.read(&ask(&["email"]), &ids(&["1", "6"])).await.unwrap();
    assert_eq!(read[1].as_ref().unwrap().key.id, "60");
    assert_eq!(fake.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn batches_are_full_and_half_as_large_with_histories() {
    for (stamps, sizes) in [(false, vec![100, 100, 50]), (true, vec![50; 5])] {
        let (hubspot, fake) = Fake::client(|_, body| {
            let one = |input: &Value| {
                json!({"id": input["id"], "properties": {"a": "x"},
                "propertiesWithHistory": {"a": [
                    {"value": "x", "timestamp": "2026-11-02T00:00:00Z", "sourceType": "INTEGRATION", "sourceId": "77"},
                    {"value": "w", "timestamp": "2026-11-01T00:00:00Z", "sourceType": "CRM_UI", "sourceId": "userId:5"}]}})
            };
            Ok((200, json!({"results": inputs(body).into_iter().map(one).collect::<Vec<_>>()})))
        });
        let mut ask = ask(&["a"]);
        if stamps {
            ask.stamps = ["a".to_owned()].into();
        }
        let wanted: Vec<String> = (0..250).map(|id| id.to_string()).collect();
        let read = hubspot.read(&ask, &wanted).await.unwrap();
        assert!(read.iter().all(Option::is_some));
        let asked: Vec<usize> = fake.asked().iter().map(|(_, body)| inputs(body).len()).collect();
        assert_eq!(asked, sizes);
        if stamps {
            let stamp = read[0].as_ref().unwrap().stamp("a").unwrap();
            assert!(stamp.exact);
            assert_eq!(stamp.by, Some(Author::Lockstep));
            assert_eq!(stamp.at, moment("2026-11-02T00:00:00Z"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_about_the_whole_batch_is_not_taken_for_a_deletion() {
    for (status, body) in [
        (207, json!({"results": [], "errors": [{"category": "INTERNAL_ERROR", "message": "hm"}]})),
        (400, json!({"message": "Unable to infer object type from: butterflies"})),
        (404, json!({"message": "no such path"})),
        (403, json!({"category": "MISSING_SCOPES"})),
    ] {
        let (hubspot, _) = Fake::client(move |_, _| Ok((status, body.clone())));
        hubspot.read(&ask(&["email"]), &ids(&["1"])).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn a_poll_goes_through_a_fixed_window_by_id_and_overlaps_the_next() {
    let now = "2026-11-22T13:30:00Z";
    let (hubspot, fake) = Fake::client(|call, body| {
        if call.contains("account-info") {
            return Ok((200, json!({"portalId": 1})));
        }
        let filters = body["filterGroups"][0]["filters"].as_array().unwrap();
        let after = filters.iter().find(|filter| filter["operator"] == "GT");
        let first = after.map_or(0, |filter| filter["value"].as_str().unwrap().parse().unwrap());
        let page: Vec<Value> = (first + 1..=450)
            .take(200)
            .map(|id: u64| {
                json!({"id": id.to_string(),
            "updatedAt": "2026-11-22T13:00:00Z", "properties": {"email": "x"}})
            })
            .collect();
        Ok((200, json!({"total": 450 - first, "results": page})))
    });
    let since = moment("2026-11-22T12:00:00Z");
    let (mut cursor, mut found) = (None, Vec::new());
    loop {
        let page = hubspot.changed(&ask(&["email"]), cursor.as_ref(), since).await.unwrap();
        assert_eq!(page.changes.len(), page.seen.len());
        found.extend(page.changes.into_iter().map(|change| change.record.id));
        cursor = Some(page.cursor);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, (1..=450).map(|id: u64| id.to_string()).collect::<Vec<_>>());
    let bounds: BTreeSet<String> = fake
        .asked()
        .iter()
        .filter(|(call, _)| call.contains("search"))
        .map(|(_, body)| body["filterGroups"][0]["filters"].to_string())
        .map(|filters| {
            filters.split(r#",{"propertyName":"hs_object_id""#).next().unwrap().to_owned()
        })
        .map(|filters| filters.trim_end_matches(']').to_owned())
        .collect();
    // The first page has no end; its answer's own time is the end of those that follow.
    let end = moment(now).as_millisecond();
    let ends: Vec<bool> = bounds.iter().map(|bound| bound.contains(&end.to_string())).collect();
    assert_eq!(ends, [false, true], "{bounds:?}");
    assert_eq!(cursor.unwrap().0, format!(r#"{{"from":{},"to":null}}"#, end - 60_000));
    // From the beginning of time would be answered with an error.
    hubspot.changed(&ask(&[]), None, Timestamp::UNIX_EPOCH).await.unwrap();
    let last = fake.asked().pop().unwrap().1;
    assert_eq!(last["filterGroups"][0]["filters"][0]["value"], "1136073600000");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_is_too_wide_for_a_search_reads_its_records() {
    let (hubspot, fake) = Fake::client(|call, body| {
        let one = |id: &str| json!({"id": id, "properties": {"email": "x"}});
        if call.contains("search") {
            assert!(body.to_string().len() <= 3_000);
            return Ok((200, json!({"results": [{"id": "1"}, {"id": "2"}]})));
        }
        let results = inputs(body).into_iter().map(|input| one(input["id"].as_str().unwrap()));
        Ok((200, json!({"results": results.collect::<Vec<_>>()})))
    });
    let mut wide = ask(&["email"]);
    wide.fields.extend((0..200).map(|n| format!("a_property_with_a_long_name_{n}")));
    let page = hubspot.changed(&wide, None, moment("2026-11-22T12:00:00Z")).await.unwrap();
    assert_eq!(page.changes.len(), 2);
    for record in page.seen {
        assert_eq!(record.unwrap().fields["email"], Raw::text("x"));
    }
    assert_eq!(fake.calls(), ["POST contacts/search", "POST contacts/batch/read"]);
}

#[tokio::test(start_paused = true)]
async fn a_merge_is_told_with_its_survivor() {
    let (hubspot, _) = Fake::client(|call, _| {
        Ok((
            200,
            if call.contains("search") {
                json!({"results": [{"id": "60", "properties": {"hs_merged_object_ids": "6"}}]})
            } else {
                json!({"portalId": 1})
            },
        ))
    });
    let page = hubspot.changed(&ask(&[]), None, moment("2026-11-22T12:00:00Z")).await.unwrap();
    let kinds: Vec<_> =
        page.changes.iter().map(|change| (change.record.id.as_str(), &change.kind)).collect();
    let survivor = crate::record::RecordRef::hubspot("contacts", "60");
    let merged = ChangeKind::Merged { into: survivor };
    assert_eq!(kinds, [("60", &ChangeKind::Touched), ("6", &merged)]);
    assert!(page.seen[0].is_some() && page.seen[1].is_none());
}

#[tokio::test(start_paused = true)]
async fn the_archive_tells_deleted_from_merged_and_restored() {
    let (hubspot, _) = Fake::client(|call, body| {
        Ok((
            200,
            if call.starts_with("GET /crm") {
                let at = "2026-11-22T13:00:00Z";
                json!({"results": [{"id": "7", "archivedAt": at}, {"id": "6", "archivedAt": at},
                {"id": "1", "archivedAt": at}, {"id": "8", "archivedAt": "2026-01-01T00:00:00Z"},
                {"id": "7", "archivedAt": at}]})
            } else if call.contains("batch") {
                account(call, body)
            } else {
                json!({"portalId": 1})
            },
        ))
    });
    let since = moment("2026-11-22T12:00:00Z");
    let page = hubspot.deleted("contacts", None, since).await.unwrap();
    let kinds: Vec<_> =
        page.changes.into_iter().map(|change| (change.record.id, change.kind)).collect();
    let survivor = crate::record::RecordRef::hubspot("contacts", "60");
    assert_eq!(
        kinds,
        [
            ("1".to_owned(), ChangeKind::Touched),
            ("6".to_owned(), ChangeKind::Merged { into: survivor }),
            ("7".to_owned(), ChangeKind::Deleted),
        ]
    );
    assert!(!page.more);
}

#[tokio::test(start_paused = true)]
async fn finding_by_an_address_reads_and_finding_by_anything_else_searches_and_reads() {
    let (hubspot, fake) = Fake::client(|call, body| {
        Ok((
            200,
            if call.contains("/properties/") {
                json!({"results": [{"name": "email", "type": "string"}, {"name": "phone", "type": "string"}]})
            } else if call.contains("/search") {
                json!({"results": [{"id": "1"}, {"id": "2"}]})
            } else if body["idProperty"] == "email" {
                json!({"results": [{"id": "1", "properties": {"email": "first@x.com", "hs_additional_emails": "a@x.com"}}]})
            } else {
                // The index lags: record 2 has another number by now.
                json!({"results": [{"id": "1", "properties": {"phone": "aBc"}}, {"id": "2", "properties": {"phone": "7"}}]})
            },
        ))
    });
    let found = hubspot.find(&ask(&[]), "email", &ids(&["A@x.com", "a@X.com", ""])).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fields["hs_additional_emails"], Raw::text("a@x.com"));
    let body = fake.asked().pop().unwrap().1;
    assert_eq!(body["inputs"], json!([{"id": "a@x.com"}]));

    let found = hubspot.find(&ask(&[]), "phone", &ids(&["ABC"])).await.unwrap();
    assert_eq!(found.iter().map(|record| record.key.id.as_str()).collect::<Vec<_>>(), ["1"]);
    assert!(hubspot.find(&ask(&[]), "phone", &ids(&["", " "])).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_primary_associated_record_is_a_field() {
    let (hubspot, _) = Fake::client(|call, body| {
        Ok((
            207,
            if call.contains("/associations/") {
                json!({"results": [{"from": {"id": "1"}, "to": [{"toObjectId": 9, "associationTypes": [{"typeId": 1}]}]}],
                "errors": [{"category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                    "context": {"fromObjectId": ["2"]}}]})
            } else {
                account(call, body)
            },
        ))
    });
    let ask = ask(&["email", "associations.companies"]);
    let read = hubspot.read(&ask, &ids(&["1", "2"])).await.unwrap();
    let company =
        |place: usize| read[place].as_ref().unwrap().fields["associations.companies"].clone();
    assert_eq!((company(0), company(1)), (Raw::text("9"), Raw::Null));
}

#[tokio::test(start_paused = true)]
async fn identity_is_told_as_far_as_hubspot_answers() {
    let account = json!({"portalId": 44237313, "uiDomain": "app-eu1.hubspot.com", "timeZone": "Europe/Berlin"});
    for (status, info, scopes) in [
        (200, json!({"userId": 5, "appId": 88, "scopes": ["oauth"]}), 1),
        (404, json!({}), 0),
        (401, json!({}), 0),
        (400, json!({}), 0),
    ] {
        let account = account.clone();
        let (hubspot, fake) = Fake::client(move |call, _| {
            Ok(if call.contains("account-info") {
                (200, account.clone())
            } else {
                (status, info.clone())
            })
        });
        let identity = hubspot.identity().await.unwrap();
        assert_eq!(identity.account, "44237313");
        assert_eq!(identity.author_id, "77", "the settings know better");
        assert_eq!(identity.pages, "https://app-eu1.hubspot.com/contacts/44237313/record");
        assert_eq!(identity.scopes.len(), scopes);
        assert_eq!(fake.calls().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_say_when_it_goes_on() {
    let daily = json!({"errorType": "RATE_LIMIT", "policyName": "DAILY"});
    let (hubspot, fake) = Fake::client(move |call, _| {
        Ok(if call.contains("account-info") {
            (200, json!({"portalId": 1, "timeZone": "America/New_York"}))
        } else if call.contains("private-apps") {
            (404, json!({}))
        } else {
            (429, daily.clone())
        })
    });
    hubspot.identity().await.unwrap();
    let error = hubspot.read(&ask(&[]), &ids(&["1"])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WaitUntil(moment("2026-11-23T05:00:00Z")));
    assert_eq!(fake.calls().len(), 3);

    let start = tokio::time::Instant::now();
    let tries = std::sync::atomic::AtomicU32::new(0);
    let (hubspot, _) = Fake::client(move |call, body| {
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        let words = json!({"errorType": "RATE_LIMIT", "policyName": "TEN_SECONDLY_ROLLING"});
        Ok(if first { (429, words) } else { (207, account(call, body)) })
    });
    assert!(hubspot.read(&ask(&[]), &ids(&["1"])).await.unwrap()[0].is_some());
    assert!(start.elapsed().as_secs() >= 10);
}

#[tokio::test(start_paused = true)]
async fn owners_are_listed_with_those_who_left() {
    let (hubspot, _) = Fake::client(|call, _| {
        let archived = call.contains("archived=true");
        let page = |id: u32, after: Value| {
            json!({"results": [{"id": id, "email": "A@x.com", "archived": archived}],
            "paging": {"next": {"after": after}}})
        };
        Ok((
            200,
            match (archived, call.contains("after=")) {
                (true, _) => page(1, Value::Null),
                (false, false) => page(1, json!("2")),
                (false, true) => page(3, Value::Null),
            },
        ))
    });
    let owners = hubspot.owners().await.unwrap();
    let shown: Vec<_> = owners.iter().map(|owner| (owner.id.as_str(), owner.active)).collect();
    assert_eq!(shown, [("1", true), ("3", true)]);
}

#[tokio::test(start_paused = true)]
async fn values_are_counted_with_the_blank() {
    let (hubspot, _) = Fake::client(|_, body| {
        let filter = &body["filterGroups"][0]["filters"][0];
        let total = match filter["value"].as_str() {
            Some("lead") => 12,
            Some(_) => 0,
            None => 3,
        };
        Ok((200, json!({"total": total, "results": []})))
    });
    let counts =
        hubspot.count_by("contacts", "lifecyclestage", &ids(&["lead", "x"])).await.unwrap();
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [(String::new(), 3), ("lead".to_owned(), 12), ("x".to_owned(), 0)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_no_json_is_tried_again_and_then_an_error() {
    let (hubspot, _) = Fake::client(|_, _| Err(NetError::unclear("cut")));
    let error = hubspot.owners().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry { after: None });
    let (hubspot, fake) = Fake::client(|_, _| Ok((200, Value::Null)));
    let error = hubspot.owners().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry { after: None });
    assert!(fake.calls().len() > 3);
}
