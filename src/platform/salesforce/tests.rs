mod start;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Value as Json, json};

use super::*;
use crate::platform::transport::{Access, NetError};
use crate::platform::{Action, Assignment, RefusalKind, WriteOptions};
use crate::record::{Author, ChangeKind, Origin, Raw, RecordRef};

/// What a call looked like: method, path with query, headers, body.
struct Seen {
    line: String,
    headers: http::HeaderMap,
    body: Json,
}

type Answering = dyn Fn(usize, &Seen) -> (u16, Json) + Send + Sync;

/// An org that answers by a function of the call's number and contents.
struct Org {
    answer: Box<Answering>,
    seen: Mutex<Vec<Seen>>,
}

#[async_trait]
impl Http for Org {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let path = request.uri().path_and_query().unwrap().as_str();
        let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
        let seen = Seen {
            line: format!("{} {path}", request.method()),
            headers: request.headers().clone(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
        };
        assert_eq!(request.uri().host(), Some("acme.my.salesforce.com"));
        let number = self.seen.lock().unwrap().len();
        let (status, body) = (self.answer)(number, &seen);
        self.seen.lock().unwrap().push(seen);
        if status == 0 {
            return Err(NetError::unclear("the connection broke"));
        }
        let body = match body {
            Json::String(text) => text,
            other => other.to_string(),
        };
        Ok(http::Response::builder()
            .status(status)
            .header("date", "Sun, 22 Nov 2026 12:00:00 GMT")
            .header("sforce-limit-info", "api-usage=25/5000; per-app-api-usage=17/250(appName=x)")
            .header("last-modified", "Sat, 21 Nov 2026 12:00:00 GMT")
            .body(body.into())
            .unwrap())
    }
}

impl Org {
    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
    }
}

struct Signed(AtomicUsize);

#[async_trait]
impl Tokens for Signed {
    async fn token(&self) -> Result<Access, Error> {
        let bearer = SecretString::from(format!("token{}", self.0.load(Ordering::Relaxed)));
        Ok(Access { bearer, base: Some("https://acme.my.salesforce.com".parse().unwrap()) })
    }
    async fn refused(&self, _used: &SecretString) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn org(
    answer: impl Fn(usize, &Seen) -> (u16, Json) + Send + Sync + 'static,
) -> (Salesforce, Arc<Org>) {
    let org = Arc::new(Org { answer: Box::new(answer), seen: Mutex::default() });
    let settings = Settings::new("https://login.salesforce.com".parse().unwrap());
    let tokens = Arc::new(Signed(AtomicUsize::new(0)));
    (Salesforce::new(settings, Arc::<Org>::clone(&org), tokens, 7), org)
}

fn id(number: usize) -> String {
    wire::id18(&format!("00Q{number:012}")).unwrap()
}

fn ask(object: &str, fields: &[&str]) -> Ask {
    Ask {
        object: object.into(),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        stamps: BTreeSet::new(),
    }
}

fn update(number: usize, field: &str, value: Raw) -> Write {
    Write {
        object: "Lead".into(),
        action: Action::Update { id: id(number) },
        fields: [(field.to_owned(), value)].into(),
        clear_first: BTreeSet::new(),
        options: WriteOptions::default(),
    }
}

fn rows(rows: &[Json]) -> (u16, Json) {
    (200, json!({"totalSize": rows.len(), "done": true, "records": rows}))
}

fn ok(seen: &Seen) -> Json {
    let records = seen.body["records"].as_array().unwrap();
    records
        .iter()
        .map(|record| json!({"id": record["id"], "success": true, "errors": []}))
        .collect()
}

fn item_error(code: &str, message: &str) -> Json {
    json!({"success": false, "errors": [{"statusCode": code, "message": message, "fields": []}]})
}

fn words(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Done { created, .. } => format!("done{}", if *created { " new" } else { "" }),
            Outcome::Refused(refusal) => format!("refused {} {:?}", refusal.code, refusal.kind),
            Outcome::NotDone(error) => format!("not done {:?}", error.kind),
            Outcome::Late { left } => format!("late {left:?}"),
            Outcome::Unknown(error) => format!("unknown {:?}", error.kind),
        })
        .collect()
}

#[test]
fn usage_is_read_in_both_forms() {
    let table = [
        ("api-usage=123/15000", Some((123, 15_000))),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample)", Some((25, 5_000))),
        ("per-app-api-usage=17/250(appName=x)", None),
        ("", None),
        ("api-usage=a/b", None),
    ];
    for (header, usage) in table {
        assert_eq!(api_usage(header), usage, "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_come_back_in_order_with_what_became_of_them() {
    let (client, org) = org(|_, seen| {
        if seen.line.starts_with("POST") {
            let live = |id: &Json| {
                json!({
                    "attributes": {"type": "Lead"}, "Id": id, "IsDeleted": false, "Email": "a@b.example",
                    "Score__c": 5.0, "SystemModstamp": "2026-11-22T11:00:00.000+0000",
                    "CreatedDate": "2026-11-01T11:00:00.000+0000",
                    "LastModifiedById": "005000000000001AAA", "IsConverted": *id == json!(id_of(2)),
                    "ConvertedContactId": (*id == json!(id_of(2))).then_some("003000000000009"),
                })
            };
            let ids = seen.body["ids"].as_array().unwrap();
            let rows: Vec<Json> = ids
                .iter()
                .map(|id| {
                    if *id == json!(id_of(1)) || *id == json!(id_of(2)) {
                        live(id)
                    } else {
                        Json::Null
                    }
                })
                .collect();
            return (200, json!(rows));
        }
        rows(&[json!({"Id": id_of(3), "IsDeleted": true, "MasterRecordId": id_of(1),
                      "SystemModstamp": "2026-11-22T11:00:00.000+0000"})])
    });
    fn id_of(number: usize) -> String {
        id(number)
    }
    let short = id(1)[..15].to_owned();
    let ids = [id(3), id(1), "nonsense".into(), id(2), id(4), short, "003000000000001AAA".into()];
    let read = client.read(&ask("Lead", &["Email", "Score__c"]), &ids).await.unwrap();
    let lead = read[1].as_ref().unwrap();
    assert_eq!(lead.get("Email"), &Raw::text("a@b.example"));
    assert_eq!(lead.get("Score__c"), &Raw::Number(5.0));
    assert_eq!(lead.get("IsConverted"), &Raw::Bool(false));
    assert_eq!(lead.modified.unwrap().to_string(), "2026-11-22T11:00:00Z");
    let stamp = lead.stamp("Email").unwrap();
    assert_eq!((stamp.exact, stamp.by), (false, Some(Author::Other("005000000000001AAA".into()))));
    assert_eq!(read[5].as_ref(), Some(lead));
    let merged = read[0].as_ref().unwrap();
    assert_eq!(
        (merged.deleted, &merged.successor),
        (true, &Some(RecordRef::salesforce("Lead", id(1))))
    );
    let converted = read[3].as_ref().unwrap();
    assert_eq!(converted.successor, Some(RecordRef::salesforce("Contact", "003000000000009AAA")));
    assert!(!converted.deleted);
    assert!(read[2].is_none() && read[4].is_none() && read[6].is_none());
    let lines = org.lines();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[1].starts_with("GET /services/data/v66.0/queryAll?q=SELECT Id,IsDeleted,"),
        "{lines:?}"
    );
    assert!(
        lines[1].ends_with(&format!("WHERE Id IN ('{}','{}') ORDER BY Id", id(3), id(4))),
        "{lines:?}"
    );
    assert_eq!(org.seen.lock().unwrap()[0].headers["sforce-call-options"], "client=lockstep");
    assert_eq!(client.budget(), Budget { made: 2, used: Some(25), limit: Some(5000) });
}

#[tokio::test(start_paused = true)]
async fn one_bad_record_does_not_hold_up_the_others() {
    let (client, org) = org(|_, seen| {
        let records = seen.body["records"].as_array().unwrap();
        if records.iter().any(|record| record.get("Score__c") == Some(&json!("x"))) {
            return (
                400,
                json!([{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize instance of double from VALUE_STRING value x"}]),
            );
        }
        (200, ok(seen))
    });
    let mut writes: Vec<_> = (0..300).map(|n| update(n, "Score__c", Raw::Number(1.0))).collect();
    writes[37] = update(37, "Score__c", Raw::text("x"));
    let outcomes = words(&client.write(&writes).await);
    for (at, outcome) in outcomes.iter().enumerate() {
        let expected = if at == 37 { "refused JSON_PARSER_ERROR Value" } else { "done" };
        assert_eq!(outcome, expected, "{at}");
    }
    assert!(org.lines().len() <= 2 + 2 * 8, "{}", org.lines().len());
    let seen = org.seen.lock().unwrap();
    assert_eq!(seen[0].headers["sforce-auto-assign"], "FALSE");
    assert!(!seen[0].headers.contains_key("sforce-duplicate-rule-header"));
    let first = seen[0].body["records"][0].as_object().unwrap();
    assert_eq!(first.keys().collect::<Vec<_>>(), ["attributes", "id", "Score__c"]);
    assert_eq!(first["Score__c"].to_string(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_column_that_is_gone_costs_two_calls_and_not_hundreds() {
    let (client, org) = org(|_, seen| {
        let records = seen.body["records"].as_array().unwrap();
        if records.iter().any(|record| record.get("Gone__c").is_some()) {
            return (
                400,
                json!([{"errorCode": "INVALID_FIELD", "message": "No such column 'Gone__c' on sobject of type Lead"}]),
            );
        }
        (200, ok(seen))
    });
    let field = |n: usize| if n.is_multiple_of(2) { "Gone__c" } else { "Company" };
    let writes: Vec<_> = (0..100).map(|n| update(n, field(n), Raw::text("v"))).collect();
    let outcomes = client.write(&writes).await;
    for (at, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Outcome::Refused(refusal) if at % 2 == 0 => {
                assert_eq!(refusal.kind, RefusalKind::Schema);
                assert_eq!(refusal.fields, ["Gone__c"]);
            }
            Outcome::Done { id: done, .. } => assert_eq!(*done, id(at)),
            other => panic!("{at}: {other:?}"),
        }
    }
    assert_eq!(org.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn each_record_has_its_own_outcome() {
    let (client, org) = org(|number, seen| {
        let records = seen.body["records"].as_array().unwrap();
        let answers: Vec<Json> = records
            .iter()
            .map(|record| match record["LastName"].as_str().unwrap() {
                "locked twice" if number < 2 => {
                    item_error("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
                }
                "locked for ever" => {
                    item_error("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access")
                }
                "converted" => {
                    item_error("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
                }
                "rule" => item_error("FIELD_CUSTOM_VALIDATION_EXCEPTION", "No."),
                "gone" => item_error("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
                "full" => item_error("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"),
                "new code" => item_error("OF_NEXT_YEAR", "?"),
                _ => json!({"id": record["id"], "success": true, "errors": []}),
            })
            .collect();
        (200, json!(answers))
    });
    let names = [
        "fine",
        "locked twice",
        "locked for ever",
        "converted",
        "rule",
        "gone",
        "full",
        "new code",
    ];
    let writes: Vec<_> =
        names.iter().enumerate().map(|(n, name)| update(n, "LastName", Raw::text(*name))).collect();
    insta::assert_snapshot!(words(&client.write(&writes).await).join("\n"), @"
    done
    done
    not done Retry { after: None }
    refused CANNOT_UPDATE_CONVERTED_LEAD Converted
    refused FIELD_CUSTOM_VALIDATION_EXCEPTION Value
    refused INVALID_CROSS_REFERENCE_KEY Gone
    not done Stop
    refused OF_NEXT_YEAR Value
    ");
    let sizes: Vec<_> = org
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.body["records"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [8, 2, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_unknown_and_nothing_is_sent_twice() {
    for (status, body) in
        [(0, json!("")), (200, json!("")), (504, json!("<html>")), (200, json!([]))]
    {
        let (client, org) = org(move |_, _| (status, body.clone()));
        let outcomes = client.write(&[update(1, "Company", Raw::Null)]).await;
        assert!(matches!(outcomes[..], [Outcome::Unknown(_)]), "{status}: {outcomes:?}");
        assert_eq!(org.lines().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_done_is_sent_again() {
    let (client, org) = org(|number, seen| match number {
        0 => (503, json!([{"errorCode": "SERVER_UNAVAILABLE", "message": "busy"}])),
        1 => (
            403,
            json!([{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded."}]),
        ),
        2 => (
            401,
            json!([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]),
        ),
        _ => (200, ok(seen)),
    });
    let outcomes = client.write(&[update(1, "Company", Raw::text("Acme"))]).await;
    assert!(matches!(outcomes[..], [Outcome::Done { .. }]), "{outcomes:?}");
    let bearers: Vec<_> = org
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.headers["authorization"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(bearers, ["Bearer token0", "Bearer token0", "Bearer token0", "Bearer token1"]);
}

#[tokio::test(start_paused = true)]
async fn a_spent_day_and_a_session_that_never_heals_stop_at_once() {
    let told = |status: u16, code: &'static str, message: &'static str| {
        org(move |_, _| (status, json!([{"errorCode": code, "message": message}])))
    };
    let (client, org) = told(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
    let error = client.owners().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::WaitUntil("2026-11-22T12:15:00Z".parse().unwrap()));
    assert_eq!(org.lines().len(), 1);

    let (client, org) =
        told(401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API");
    assert_eq!(client.owners().await.unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(org.lines().len(), 1);

    let (client, org) = told(401, "INVALID_SESSION_ID", "Session expired or invalid");
    assert_eq!(client.owners().await.unwrap_err().kind, ErrorKind::SignIn);
    assert_eq!(org.lines().len(), 2);

    let (client, _) = told(400, "INVALID_FIELD", "No such column 'x' on sobject of type User");
    let error = client.owners().await.unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.code.as_deref()),
        (ErrorKind::Request, Some("INVALID_FIELD"))
    );
    insta::assert_snapshot!(error, @"Salesforce: listing users and queues: No such column 'x' on sobject of type User (the field does not exist or is hidden from the integration user: run check, correct the mapping or the field's visibility)");
}

#[tokio::test(start_paused = true)]
async fn writes_are_grouped_by_what_one_call_can_carry() {
    let (client, org) = org(|_, seen| {
        if seen.line.starts_with("DELETE") {
            return (200, json!([{"id": id(9), "success": true, "errors": []}]));
        }
        let records = seen.body["records"].as_array().unwrap();
        (
            200,
            records
                .iter()
                .map(|_| json!({"id": id(8), "success": true, "created": true, "errors": []}))
                .collect(),
        )
    });
    let upsert = Write {
        action: Action::Upsert { key_field: "Ext__c".into(), key: "k/1".into() },
        options: WriteOptions { assign: Assignment::Active, allow_duplicates: true },
        ..update(0, "LastName", Raw::text("Ann"))
    };
    let delete = Write {
        action: Action::Delete { id: id(9) },
        fields: BTreeMap::new(),
        ..update(0, "x", Raw::Null)
    };
    let bad_id = Write { action: Action::Update { id: "1".into() }, ..update(0, "x", Raw::Null) };
    let bad_name = update(5, "Name; DROP", Raw::Null);
    let writes = [upsert, delete, bad_id, bad_name, update(1, "Company", Raw::Null)];
    insta::assert_snapshot!(words(&client.write(&writes).await).join("\n"), @"
    done new
    done
    refused MALFORMED_ID Gone
    refused INVALID_FIELD Schema
    done new
    ");
    let mut lines = org.lines();
    lines.sort();
    insta::assert_snapshot!(lines.join("\n"), @"
    DELETE /services/data/v66.0/composite/sobjects?ids=00Q000000000009EAA&allOrNone=false
    PATCH /services/data/v66.0/composite/sobjects
    PATCH /services/data/v66.0/composite/sobjects/Lead/Ext__c
    ");
    let seen = org.seen.lock().unwrap();
    let upsert = seen.iter().find(|seen| seen.line.ends_with("Ext__c")).unwrap();
    assert_eq!(upsert.headers["sforce-auto-assign"], "TRUE");
    assert_eq!(upsert.headers["sforce-duplicate-rule-header"], "allowSave=true");
    assert_eq!(
        upsert.body["records"][0].to_string(),
        r#"{"attributes":{"type":"Lead"},"Ext__c":"k/1","LastName":"Ann"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_query_goes_as_a_body_and_many_values_in_runs() {
    let (client, org) = org(|_, seen| {
        if seen.line.ends_with("/describe") {
            return (200, json!({"name": "Lead", "fields": [{"name": "Email", "type": "email"}]}));
        }
        let page = json!({"done": true, "records": []});
        if seen.line.contains("/composite") {
            return (200, json!({"compositeResponse": [{"body": page, "httpStatusCode": 200}]}));
        }
        (200, page)
    });
    let mut values: Vec<String> = (0..450).map(|n| format!("person{n}@example.com")).collect();
    values.extend(["ANN@example.com".into(), String::new(), "x".repeat(5_000)]);
    client.find(&ask("Lead", &["Email"]), "Email", &values).await.unwrap();
    let lines = org.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("/query?")).count(), 3);
    assert!(
        lines[1].contains("WHERE IsConverted = false AND Email IN ('ANN@example.com',"),
        "{}",
        lines[1]
    );

    let wide: Vec<String> = (0..400).map(|n| format!("Custom_Field_With_A_Name_{n}__c")).collect();
    let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
    client.find(&ask("Lead", &wide), "Email", &values).await.unwrap();
    let long: Vec<_> = org
        .lines()
        .into_iter()
        .filter(|line| line == "POST /services/data/v66.0/composite")
        .collect();
    assert_eq!(long.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_locator_costs_no_row() {
    let (client, org) = org(|_, seen| {
        let user = |n: usize| json!({"Id": wire::id18(&format!("005{n:012}")).unwrap(), "Name": "n", "Email": "N@x.example", "IsActive": n == 1});
        if seen.line.contains("/query/0r8") {
            return (
                400,
                json!([{"errorCode": "INVALID_QUERY_LOCATOR", "message": "invalid query locator"}]),
            );
        }
        if seen.line.contains("FROM Group") {
            return rows(&[json!({"Id": "00G000000000001", "Name": "Queue", "Email": null})]);
        }
        if seen.line.contains("Id > ") {
            return rows(&[user(3)]);
        }
        (
            200,
            json!({"done": false, "nextRecordsUrl": "/services/data/v66.0/query/0r8-2", "records": [user(1), user(2)]}),
        )
    });
    let owners = client.owners().await.unwrap();
    let short: Vec<_> = owners
        .iter()
        .map(|owner| (&owner.id[..3], owner.email.as_deref(), owner.active, owner.queue))
        .collect();
    let email = Some("n@x.example");
    assert_eq!(
        short,
        [
            ("005", email, true, false),
            ("005", email, false, false),
            ("005", email, false, false),
            ("00G", None, true, true)
        ]
    );
    let rest = &org.lines()[2];
    assert!(rest.ends_with("FROM User WHERE Id > '005000000000002AAA' ORDER BY Id"), "{rest}");
}

#[tokio::test(start_paused = true)]
async fn changes_come_in_pages_with_what_happened() {
    let (client, org) = org(|_, seen| {
        let row = |n: usize, at: &str, extra: Json| {
            let mut row = json!({"Id": id(n), "SystemModstamp": format!("2026-11-22T11:{at}.000+0000"), "IsDeleted": false, "LastModifiedById": "005000000000001AAA", "Company": "Acme"});
            row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            row
        };
        if seen.line == "GET /services/data/v66.0" {
            let identity = "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA";
            return (
                200,
                json!({"identity": identity, "sobjects": "/services/data/v66.0/sobjects"}),
            );
        }
        if seen.line.contains("FROM User") {
            return rows(&[
                json!({"Id": "005000000000001AAA", "Username": "lockstep@acme.example"}),
            ]);
        }
        if seen.line.contains("Id > '") {
            return rows(&[row(4, "40:00", json!({"LastModifiedById": "005000000000002AAA"}))]);
        }
        (
            200,
            json!({"done": false, "nextRecordsUrl": "/services/data/v66.0/query/0r8-3", "records": [
                row(1, "30:00", json!({})),
                row(2, "30:01", json!({"IsDeleted": true})),
                row(3, "30:01", json!({"IsDeleted": true, "MasterRecordId": id(1)})),
            ]}),
        )
    });
    let identity = client.identity().await.unwrap();
    assert_eq!(identity.account, "00D000000000001EAA");
    assert_eq!(identity.user, "lockstep@acme.example");
    assert_eq!(identity.pages, "https://acme.my.salesforce.com");
    let since = "2026-11-22T11:30:00Z".parse().unwrap();
    let leads = ask("Lead", &["Company"]);
    let one = client.changed(&leads, None, since).await.unwrap();
    assert!(one.more);
    let kinds: Vec<_> = one.changes.iter().map(|change| (&change.kind, change.origin)).collect();
    let into = RecordRef::salesforce("Lead", id(1));
    assert_eq!(
        kinds,
        [
            (&ChangeKind::Touched, Origin::Lockstep),
            (&ChangeKind::Deleted, Origin::Lockstep),
            (&ChangeKind::Merged { into }, Origin::Lockstep),
        ]
    );
    assert_eq!(one.seen[0].as_ref().unwrap().get("Company"), &Raw::text("Acme"));
    assert!(one.seen[1].is_none() && one.seen[2].is_none());
    let two = client.changed(&leads, Some(&one.cursor), since).await.unwrap();
    assert_eq!((two.more, two.changes[0].origin), (false, Origin::Elsewhere));
    insta::assert_snapshot!(two.cursor.0, @r#"{"from":"2026-11-22T11:50:00Z"}"#);
    let tails: Vec<_> = org.lines()[2..]
        .iter()
        .map(|line| line.split_once(" WHERE ").unwrap().1.to_owned())
        .collect();
    insta::assert_snapshot!(tails.join("\n"), @"
    SystemModstamp >= 2026-11-22T11:20:00Z ORDER BY SystemModstamp, Id LIMIT 2000
    (SystemModstamp > 2026-11-22T11:30:01Z OR (SystemModstamp = 2026-11-22T11:30:01Z AND Id > '00Q000000000003EAA')) AND SystemModstamp <= 2026-11-22T12:00:00Z ORDER BY SystemModstamp, Id LIMIT 2000
    ");
}

#[tokio::test(start_paused = true)]
async fn deletions_are_asked_for_in_whole_minutes_of_the_last_fifteen_days() {
    let (client, org) = org(|number, _| match number {
        0 => (200, json!([{"label": "Spring", "url": "/services/data/v66.0", "version": "66.0"}])),
        _ => (
            200,
            json!({
                "deletedRecords": [{"id": id(1), "deletedDate": "2026-11-22T11:07:19.000+0000"}],
                "earliestDateAvailable": "2026-11-08T15:57:00.000+0000",
                "latestDateCovered": "2026-11-22T11:58:00.000+0000",
            }),
        ),
    });
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    let page = client.deleted("Lead", None, since).await.unwrap();
    assert_eq!(page.changes[0].record, RecordRef::salesforce("Lead", id(1)));
    assert_eq!(page.changes[0].kind, ChangeKind::Deleted);
    insta::assert_snapshot!(page.cursor.0, @r#"{"from":"2026-11-22T11:48:00Z"}"#);
    insta::assert_snapshot!(org.lines()[1], @"GET /services/data/v66.0/sobjects/Lead/deleted/?start=2026-11-07T13:00:00Z&end=2026-11-22T12:00:00Z");
    let now = "2026-11-22T12:10:00Z".parse().unwrap();
    let early = client.deleted("Lead", None, now).await.unwrap();
    assert_eq!((early.changes.len(), org.lines().len()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_remembered_and_asked_again_on_condition() {
    let (client, org) = org(|number, _| match number {
        0 => (
            200,
            json!({"name": "Lead", "createable": true, "fields": [{"name": "Status", "type": "picklist"}]}),
        ),
        _ => (304, json!("")),
    });
    let one = client.schema("Lead").await.unwrap();
    assert!(Arc::ptr_eq(&one, &client.schema("lead").await.unwrap()));
    client.forget_schema("Lead");
    assert!(Arc::ptr_eq(&one, &client.schema("Lead").await.unwrap()));
    assert!(Arc::ptr_eq(&one, &client.schema("Lead").await.unwrap()));
    let seen = org.seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(!seen[0].headers.contains_key("if-modified-since"));
    assert_eq!(seen[1].headers["if-modified-since"], "Sat, 21 Nov 2026 12:00:00 GMT");
}

#[tokio::test(start_paused = true)]
async fn values_are_counted_with_blanks_and_zeros() {
    let (client, org) = org(|_, _| {
        rows(&[
            json!({"attributes": {"type": "AggregateResult"}, "Status": "Open", "records": 3}),
            json!({"attributes": {"type": "AggregateResult"}, "Status": null, "records": 2.0}),
        ])
    });
    let values = ["Open".to_owned(), "Closed".to_owned()];
    let counts = client.count_by("Lead", "Status", &values).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|(value, count)| (value.as_str(), *count)).collect();
    assert_eq!(counts, [("", 2), ("Closed", 0), ("Open", 3)]);
    insta::assert_snapshot!(org.lines()[0], @"GET /services/data/v66.0/query?q=SELECT Status,COUNT(Id) records FROM Lead WHERE IsConverted = false GROUP BY Status");
    assert!(client.count_by("Lead", "Status FROM User", &values).await.is_err());
}
