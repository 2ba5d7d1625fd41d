use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::sandbox::fault::{How, Side};
use crate::sandbox::salesforce::rules::{DuplicateAction, DuplicateRule, ValidationRule};
use crate::sandbox::salesforce::schema::{Field, Kind};
use crate::sandbox::salesforce::testing::{Rig, map, sample};

#[tokio::test(start_paused = true)]
async fn a_record_lives_from_create_to_delete() {
    let rig = Rig::new();
    let made = rig
        .call(
            Method::POST,
            "sobjects/lead",
            json!({"lastname": "Ng", "Company": "Acme", "FirstName": "Ada"}),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!(made.text.replace(&id, "ID"), @r#"{"id":"ID","success":true,"errors":[]}"#);
    assert_eq!(made.header("location"), Some(&*format!("/services/data/v66.0/sobjects/Lead/{id}")));
    assert_eq!(made.header("sforce-limit-info"), Some("api-usage=1/115000"));
    assert!(made.header("x-sfdc-request-id").is_some());

    let read =
        rig.get(&format!("sobjects/Lead/{id}?fields=Name,status,IsConverted,AnnualRevenue")).await;
    insta::assert_snapshot!(read.text.replace(&id, "ID"), @r#"{"attributes":{"type":"Lead","url":"/services/data/v66.0/sobjects/Lead/ID"},"Name":"Ada Ng","Status":"Open - Not Contacted","IsConverted":false,"AnnualRevenue":null,"Id":"ID"}"#);
    assert_eq!(read.header("last-modified"), Some("Fri, 01 May 2026 08:00:00 GMT"));

    rig.pass(5);
    let edit = json!({"Title": " CTO ", "AnnualRevenue": "1200", "FirstName": ""});
    let edited = rig.call(Method::PATCH, &format!("sobjects/Lead/{}", &id[..15]), edit).await;
    assert_eq!((edited.status, edited.text.as_str()), (204, ""));
    assert_eq!(rig.value(&id, "Title"), json!("CTO"));
    assert_eq!(rig.value(&id, "AnnualRevenue"), json!(1200.0));
    assert_eq!(rig.value(&id, "Name"), json!("Ng"));
    assert_eq!(rig.value(&id, "SystemModstamp"), json!("2026-05-01T08:00:05.000+0000"));
    assert_eq!(rig.value(&id, "CreatedDate"), json!("2026-05-01T08:00:00.000+0000"));

    let gone = rig.call(Method::DELETE, &format!("sobjects/Lead/{id}"), Value::Null).await;
    assert_eq!(gone.status, 204);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let body = if method == Method::PATCH { json!({"Title": "x"}) } else { Value::Null };
        let answer = rig.call(method, &format!("sobjects/Lead/{id}"), body).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (404, "ENTITY_IS_DELETED"));
    }
}

#[tokio::test(start_paused = true)]
async fn writes_are_refused_as_on_the_platform() {
    let rig = Rig::new();
    {
        let now = rig.now();
        let mut world = rig.sandbox.world();
        let org = &mut world.salesforce;
        org.define_field(now, "Lead", Field::number("Score__c", "Score", 3, 0));
        org.define_field(now, "Lead", Field::text("Key__c", "Key", 20).external_id().unique());
        org.define_field(now, "Lead", Field::picklist("Tier__c", "Tier", &["A", "B"]).restricted());
        org.define_field(now, "Lead", Field::new("Vip__c", "VIP", Kind::Boolean));
        org.rules.validation.push(ValidationRule {
            object: "lead".to_owned(),
            field: "Rating".to_owned(),
            forbidden: json!("Cold"),
            message: "We do not take cold leads".to_owned(),
        });
    }
    rig.create("Lead", json!({"LastName": "First", "Company": "Acme", "Key__c": "k1"})).await;
    let inactive = rig.sandbox.world().salesforce.staff.inactive.clone();
    let table: Vec<(Value, &str)> = vec![
        (
            json!({"Company": "x"}),
            "REQUIRED_FIELD_MISSING [LastName] Required fields are missing: [LastName]",
        ),
        (
            json!({"LastName": "x", "Company": ""}),
            "REQUIRED_FIELD_MISSING [Company] Required fields are missing: [Company]",
        ),
        (json!({"Nope": 1}), "INVALID_FIELD - No such column 'Nope' on sobject of type Lead"),
        (
            json!({"Name": "x"}),
            "INVALID_FIELD_FOR_INSERT_UPDATE [Name] Unable to create/update fields: Name. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
        ),
        (json!({"Title": "x".repeat(129)}), "STRING_TOO_LONG [Title]"),
        (
            json!({"Email": "a@b"}),
            "INVALID_EMAIL_ADDRESS [Email] Email: invalid email address: a@b",
        ),
        (
            json!({"Tier__c": "C"}),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST [Tier__c] Tier: bad value for restricted picklist field: C",
        ),
        (
            json!({"Score__c": 1000}),
            "NUMBER_OUTSIDE_VALID_RANGE [Score__c] Score: value outside of valid range on numeric field: 1000",
        ),
        (
            json!({"Score__c": "many"}),
            "JSON_PARSER_ERROR - Cannot deserialize instance of double from VALUE_STRING value many",
        ),
        (
            json!({"Vip__c": null}),
            "JSON_PARSER_ERROR - Cannot deserialize instance of boolean from VALUE_NULL",
        ),
        (
            json!({"OwnerId": "oops"}),
            "MALFORMED_ID [OwnerId] Owner ID: id value of incorrect type: oops",
        ),
        (json!({"OwnerId": "001Ls0000000001AAA"}), "MALFORMED_ID [OwnerId]"),
        (
            json!({"OwnerId": "005000000000000AAA"}),
            "INVALID_CROSS_REFERENCE_KEY [OwnerId] invalid cross reference id",
        ),
        (
            json!({"OwnerId": &*inactive}),
            "INACTIVE_OWNER_OR_USER [] operation performed with inactive user",
        ),
        (
            json!({"Key__c": "K1"}),
            "DUPLICATE_VALUE [] duplicate value found: Key__c duplicates value on record with id: 00Q",
        ),
        (
            json!({"Rating": "Cold"}),
            "FIELD_CUSTOM_VALIDATION_EXCEPTION [Rating] We do not take cold leads",
        ),
        (json!({"Status": "Closed - Converted"}), "INVALID_STATUS [Status]"),
    ];
    for (change, expected) in table {
        let mut values = json!({"LastName": "Ng", "Company": "Acme"});
        if change.get("Company").is_some() && change.get("LastName").is_none() {
            values = json!({});
        }
        values.as_object_mut().unwrap().extend(map(change.clone()));
        let answer = rig.call(Method::POST, "sobjects/Lead", values).await;
        assert_eq!(answer.status, 400, "{change}: {}", answer.text);
        let error = answer.json()[0].clone();
        let fields = error.get("fields").map_or("-".to_owned(), |f| f.to_string().replace('"', ""));
        let shown = format!(
            "{} {fields} {}",
            error["errorCode"].as_str().unwrap(),
            error["message"].as_str().unwrap()
        );
        assert!(shown.starts_with(expected), "{change}\n found {shown}\n wants {expected}");
    }
    // An unknown status is taken, an unlisted rating too: those lists are not restricted.
    rig.create(
        "Lead",
        json!({"LastName": "x", "Company": "y", "Status": "Nurturing", "Rating": "hot"}),
    )
    .await;
    if let Some(recorded) = sample("restforce_write_error_response.json") {
        let answer = rig.call(Method::POST, "sobjects/Lead", json!({"foo": 1})).await.json();
        assert_eq!(
            answer[0].as_object().unwrap().keys().collect::<Vec<_>>(),
            recorded[0].as_object().unwrap().keys().collect::<Vec<_>>()
        );
    }
    assert_eq!(rig.ids("SELECT Id FROM Lead").await.len(), 2, "nothing refused was kept");
}

#[tokio::test(start_paused = true)]
async fn upserts_by_external_id_email_and_id() {
    let rig = Rig::new();
    rig.sandbox.world().salesforce.define_field(
        "2026-05-01T08:00:00Z".parse().unwrap(),
        "Lead",
        Field::text("Key__c", "Key", 20).external_id().unique(),
    );
    let upsert = async |path: &str, body: Value| {
        rig.call(Method::PATCH, &format!("sobjects/Lead/{path}"), body).await
    };
    let made = upsert("key__c/a%2Fb%2E1", json!({"LastName": "Ng", "Company": "Acme"})).await;
    assert_eq!((made.status, &made.json()["created"]), (201, &json!(true)), "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(rig.value(&id, "Key__c"), json!("a/b.1"));
    let again = upsert("Key__c/A%2FB.1", json!({"Title": "CEO", "Email": "ng@example.com"})).await;
    assert_eq!((again.status, &again.json()["created"]), (200, &json!(false)));
    let by_mail = upsert("Email/NG%40example.com", json!({"Title": "COO"})).await;
    assert_eq!((by_mail.status, by_mail.json()["id"].as_str()), (200, Some(id.as_str())));
    assert_eq!(
        upsert("Email/no%40example.com?updateOnly=true", json!({"Title": "x"})).await.status,
        404
    );
    assert_eq!(
        upsert(&format!("Id/{id}?updateOnly=true"), json!({"Title": "CFO"})).await.status,
        200
    );
    rig.create("Lead", json!({"LastName": "Twin", "Company": "x", "Email": "ng@example.com"}))
        .await;
    let several = upsert("Email/ng%40example.com", json!({"Title": "x"})).await;
    assert_eq!(several.status, 300);
    assert_eq!(several.json().as_array().unwrap().len(), 2);
    let wrong = upsert("Title/x", json!({"Company": "x"})).await;
    if let Some(recorded) = sample("restforce_upsert_error_response.json") {
        assert_eq!(wrong.text.replace("Title", "Namez"), recorded.to_string());
    }
    assert_eq!(wrong.status, 404);
}

#[tokio::test(start_paused = true)]
async fn assignment_rules_run_unless_told_not_to() {
    let rig = Rig::new();
    let queue = {
        let mut world = rig.sandbox.world();
        let queue = world.salesforce.staff.queue.clone();
        world.salesforce.rules.lead_assignment = Some(queue.clone());
        queue
    };
    let quiet = rig.lead("Quiet").await;
    assert_ne!(rig.value(&quiet, "OwnerId"), json!(&*queue));
    let path = format!("/services/data/v66.0/sobjects/Lead/{quiet}");
    rig.send(Method::PATCH, &path, &[], r#"{"Title":"x"}"#).await;
    assert_eq!(rig.value(&quiet, "OwnerId"), json!(&*queue), "the update ran the rule");
}

#[tokio::test(start_paused = true)]
async fn duplicate_rules_alert_and_block() {
    let rig = Rig::new();
    let rule = |action| DuplicateRule {
        name: "Standard_Lead_Duplicate_Rule".to_owned(),
        object: "Lead".to_owned(),
        against: vec!["Lead".to_owned(), "Contact".to_owned()],
        action,
        message: "Use one of these records?".to_owned(),
    };
    let first = rig.lead("Ng").await;
    rig.sandbox.world().salesforce.rules.duplicates.push(rule(DuplicateAction::Alert));
    let body = json!({"LastName": "Again", "Company": "x", "Email": "NG@example.com"}).to_string();
    let path = "/services/data/v66.0/sobjects/Lead";
    let refused = rig.send(Method::POST, path, &[], &body).await;
    assert_eq!(refused.status, 400);
    let error = &refused.json()[0];
    assert_eq!(error["errorCode"], json!("DUPLICATES_DETECTED"));
    assert_eq!(error["duplicateResult"]["allowSave"], json!(true));
    let matched = &error["duplicateResult"]["matchResults"][0]["matchRecords"][0]["record"]["Id"];
    assert_eq!(matched, &json!(&*first));
    let allow = [("sforce-duplicate-rule-header", "allowSave=true")];
    assert_eq!(rig.send(Method::POST, path, &allow, &body).await.status, 201);
    rig.sandbox.world().salesforce.rules.duplicates[0].action = DuplicateAction::Block;
    assert_eq!(rig.send(Method::POST, path, &allow, &body).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn conditional_headers() {
    let rig = Rig::new();
    let id = rig.lead("Ng").await;
    let path = format!("/services/data/v66.0/sobjects/Lead/{id}");
    let (before, at) = ("Fri, 01 May 2026 07:59:59 GMT", "Fri, 01 May 2026 08:00:00 GMT");
    let since = async |method: Method, header: &str, date: &str| {
        let body = if method == Method::PATCH { r#"{"Title":"x"}"# } else { "" };
        rig.send(method, &path, &[(header, date)], body).await.status
    };
    assert_eq!(since(Method::GET, "if-modified-since", before).await, 200);
    assert_eq!(since(Method::GET, "if-modified-since", at).await, 304);
    assert_eq!(since(Method::PATCH, "if-unmodified-since", before).await, 412);
    assert_eq!(since(Method::PATCH, "if-unmodified-since", at).await, 204);
    assert_eq!(since(Method::PATCH, "if-unmodified-since", "yesterday").await, 400);
    let describe = "/services/data/v66.0/sobjects/Lead/describe";
    let full = rig.send(Method::GET, describe, &[], "").await;
    let etag = full.header("etag").unwrap().to_owned();
    assert_eq!(rig.send(Method::GET, describe, &[("if-none-match", &etag)], "").await.status, 304);
    assert_eq!(rig.send(Method::GET, describe, &[("if-modified-since", at)], "").await.status, 304);
    rig.pass(60);
    rig.sandbox.world().salesforce.define_field(rig.now(), "Lead", Field::text("New__c", "New", 5));
    assert_eq!(rig.send(Method::GET, describe, &[("if-none-match", &etag)], "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn descriptions_have_the_platforms_keys() {
    let rig = Rig::new();
    let body = rig.get("sobjects/LEAD/describe").await.json();
    let field = |name: &str| {
        body["fields"].as_array().unwrap().iter().find(|f| f["name"] == json!(name)).unwrap()
    };
    assert_eq!(field("Status")["picklistValues"][2]["value"], json!("Closed - Converted"));
    assert_eq!(field("OwnerId")["referenceTo"], json!(["Group", "User"]));
    assert_eq!(field("Street")["compoundFieldName"], json!("Address"));
    assert_eq!(
        (&field("Description")["filterable"], &field("Email")["idLookup"]),
        (&json!(false), &json!(true))
    );
    if let Some(recorded) = sample("restforce_sobject_describe_success_response.json") {
        for key in recorded["fields"][0].as_object().unwrap().keys() {
            assert!(field("Id").get(key).is_some(), "{key}");
        }
    }
    let global = rig.get("sobjects").await.json();
    assert_eq!(global["maxBatchSize"], json!(200));
    assert!(global["sobjects"].as_array().unwrap().len() >= 13);
    assert_eq!(rig.get("sobjects/Nope/describe").await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn pages_shrink_and_locators_expire() {
    let rig = Rig::new();
    {
        let now = rig.now();
        let mut world = rig.sandbox.world();
        for at in 0..450 {
            world.salesforce.seed(
                now,
                "Lead",
                None,
                json!({"LastName": format!("L{at:03}"), "Company": "x"}),
            );
        }
        world.salesforce.settings.page_size = 200;
        world.salesforce.settings.long_text_page_size = 100;
    }
    let first = rig.query("SELECT LastName FROM Lead ORDER BY LastName").await.json();
    assert_eq!((&first["totalSize"], &first["done"]), (&json!(450), &json!(false)));
    let (mut seen, mut page) = (0, first.clone());
    loop {
        for row in page["records"].as_array().unwrap() {
            assert_eq!(row["LastName"], json!(format!("L{seen:03}")));
            seen += 1;
        }
        let Some(next) = page["nextRecordsUrl"].as_str().map(str::to_owned) else { break };
        assert!(next.starts_with("/services/data/v66.0/query/0r8"), "{next}");
        page = rig.send(Method::GET, &next, &[], "").await.json();
        assert_eq!(page["totalSize"], json!(450));
    }
    assert_eq!((seen, page["done"].clone()), (450, json!(true)));
    let long = rig.query("SELECT Id, Description FROM Lead").await.json();
    assert_eq!(long["records"].as_array().unwrap().len(), 100);
    let next = first["nextRecordsUrl"].as_str().unwrap();
    rig.sandbox.world().faults.arm("cut-locator", Some(Side::Salesforce), How::Next(1)).unwrap();
    let cut = rig.send(Method::GET, next, &[], "").await;
    assert_eq!((cut.status, cut.error().0.as_str()), (400, "INVALID_QUERY_LOCATOR"));
    let next = long["nextRecordsUrl"].as_str().unwrap();
    rig.sandbox.world().salesforce.settings.session_idle = SignedDuration::from_hours(100);
    rig.pass(49 * 3600);
    assert_eq!(rig.send(Method::GET, next, &[], "").await.error().0, "INVALID_QUERY_LOCATOR");
}

#[tokio::test(start_paused = true)]
async fn collections_judge_each_record() {
    let rig = Rig::new();
    let lead =
        |last: &str| json!({"attributes": {"type": "Lead"}, "LastName": last, "Company": "x"});
    let bad = json!({"attributes": {"type": "Lead"}, "LastName": "x"});
    let body = json!({"records": [lead("A"), bad, lead("B")]});
    let answer = rig.call(Method::POST, "composite/sobjects", body.clone()).await;
    assert_eq!(answer.status, 200);
    let items = answer.json();
    assert_eq!(items[0]["success"], json!(true));
    insta::assert_snapshot!(items[1].to_string(), @r#"{"success":false,"errors":[{"statusCode":"REQUIRED_FIELD_MISSING","message":"Required fields are missing: [Company]","fields":["Company"]}]}"#);
    let mut all = body;
    all["allOrNone"] = json!(true);
    let undone = rig.call(Method::POST, "composite/sobjects", all).await.json();
    assert_eq!(undone[0]["errors"][0]["statusCode"], json!("ALL_OR_NONE_OPERATION_ROLLED_BACK"));
    assert_eq!(undone[1]["errors"][0]["statusCode"], json!("REQUIRED_FIELD_MISSING"));
    let ids = rig.ids("SELECT Id FROM Lead ORDER BY LastName").await;
    assert_eq!(ids.len(), 2, "all or none kept none");

    let edit = |id: &str| json!({"attributes": {"type": "Lead"}, "id": id, "Title": "x"});
    let edits = json!({"records": [edit(&ids[0]), edit(&ids[0]), edit("00QLs0000000zzzAAA"), edit(&ids[1][..15])]});
    let edited = rig.call(Method::PATCH, "composite/sobjects", edits).await.json();
    let outcome: Vec<&str> = edited
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["errors"][0]["statusCode"].as_str().unwrap_or("ok"))
        .collect();
    assert_eq!(outcome, ["ok", "DUPLICATE_VALUE", "MALFORMED_ID", "ok"]);

    let read = rig
        .get(&format!("composite/sobjects/Lead?ids={},00QLs0000000099AAA&fields=Title", ids[1]))
        .await
        .json();
    assert_eq!((&read[0]["Title"], &read[1]), (&json!("x"), &Value::Null));

    let mixed: Vec<Value> = (0..12)
        .map(|at| match at % 2 {
            0 => lead("M"),
            _ => json!({"attributes": {"type": "Account"}, "Name": "M"}),
        })
        .collect();
    let refused = rig.call(Method::POST, "composite/sobjects", json!({"records": mixed})).await;
    assert_eq!((refused.status, refused.error().0.as_str()), (400, "LIMIT_EXCEEDED"));
    let many: Vec<Value> = (0..201).map(|_| lead("M")).collect();
    assert_eq!(
        rig.call(Method::POST, "composite/sobjects", json!({"records": many})).await.status,
        400
    );

    let gone = rig
        .call(Method::DELETE, &format!("composite/sobjects?ids={},{}", ids[0], ids[0]), Value::Null)
        .await
        .json();
    assert_eq!(gone[0]["success"], json!(true));
    assert_eq!(gone[1]["errors"][0]["statusCode"], json!("ENTITY_IS_DELETED"));
}

#[tokio::test(start_paused = true)]
async fn collections_upsert() {
    let rig = Rig::new();
    let now = rig.now();
    rig.sandbox.world().salesforce.define_field(
        now,
        "Lead",
        Field::text("Key__c", "Key", 20).external_id().unique(),
    );
    let row = |key: Value, title: &str| json!({"attributes": {"type": "Lead"}, "Key__c": key, "LastName": "N", "Company": "C", "Title": title});
    let path = "composite/sobjects/Lead/Key__c";
    let first = rig
        .call(
            Method::PATCH,
            path,
            json!({"records": [row(json!("1"), "a"), row(json!("1"), "b"), row(Value::Null, "c")]}),
        )
        .await
        .json();
    assert_eq!(first[0]["created"], json!(true));
    assert_eq!(first[1]["errors"][0]["statusCode"], json!("DUPLICATE_VALUE"));
    assert_eq!(first[2]["errors"][0]["statusCode"], json!("MISSING_ARGUMENT"));
    let second =
        rig.call(Method::PATCH, path, json!({"records": [row(json!("1"), "z")]})).await.json();
    assert_eq!((&second[0]["created"], &second[0]["id"]), (&json!(false), &first[0]["id"]));
    assert_eq!(
        rig.call(Method::PATCH, "composite/sobjects/Lead/Title", json!({"records": []}))
            .await
            .status,
        404
    );
}

#[tokio::test(start_paused = true)]
async fn composites_refer_to_each_other_and_roll_back() {
    let rig = Rig::new();
    let request = |all: bool, last: Value| {
        json!({"allOrNone": all, "compositeRequest": [
            {"method": "POST", "url": "/services/data/v66.0/sobjects/Account", "referenceId": "acc", "body": {"Name": "Acme"}},
            {"method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "referenceId": "con",
             "body": {"LastName": last, "AccountId": "@{acc.id}"}},
            {"method": "GET", "url": "/services/data/v66.0/query?q=SELECT+Id,Name+FROM+Account+WHERE+Id='@{acc.id}'", "referenceId": "q"},
            {"method": "PATCH", "url": "/services/data/v66.0/sobjects/Account/@{q.records[0].Id}", "referenceId": "e", "body": {"Site": "x"}},
        ]})
    };
    let good = rig.call(Method::POST, "composite", request(true, json!("Ek"))).await.json();
    let statuses: Vec<i64> = good["compositeResponse"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["httpStatusCode"].as_i64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 201, 200, 204], "{good}");
    assert!(good["compositeResponse"][0]["httpHeaders"]["Location"].is_string());
    let bad = rig.call(Method::POST, "composite", request(true, Value::Null)).await;
    assert_eq!(bad.status, 200);
    let responses = bad.json()["compositeResponse"].clone();
    assert_eq!(responses[1]["body"][0]["errorCode"], json!("REQUIRED_FIELD_MISSING"));
    if let Some(recorded) = sample("composite_allornone_failure_200.json") {
        let halted = &recorded["body"]["compositeResponse"][0];
        for at in [0, 2, 3] {
            assert_eq!(responses[at]["body"], halted["body"]);
            assert_eq!(responses[at]["httpStatusCode"], halted["httpStatusCode"]);
        }
    }
    assert_eq!(
        rig.ids("SELECT Id FROM Account").await.len(),
        1,
        "the second account was rolled back"
    );
    let loose = rig.call(Method::POST, "composite", request(false, Value::Null)).await.json();
    assert_eq!(loose["compositeResponse"][0]["httpStatusCode"], json!(201));
    assert_eq!(rig.ids("SELECT Id FROM Account").await.len(), 2);

    let batch = json!({"haltOnError": true, "batchRequests": [
        {"method": "GET", "url": "v66.0/limits"},
        {"method": "GET", "url": "v66.0/sobjects/Account/001"},
        {"method": "GET", "url": "v66.0/limits"},
    ]});
    let done = rig.call(Method::POST, "composite/batch", batch).await.json();
    let statuses: Vec<i64> = done["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["statusCode"].as_i64().unwrap())
        .collect();
    assert_eq!((statuses, &done["hasErrors"]), (vec![200, 404, 412], &json!(true)));

    let node = |last: Value| json!([{"method": "POST", "url": "/services/data/v66.0/sobjects/Contact", "referenceId": "c", "body": {"LastName": last}}]);
    let graphs = json!({"graphs": [
        {"graphId": "1", "compositeRequest": node(json!("Good"))},
        {"graphId": "2", "compositeRequest": node(Value::Null)},
    ]});
    let graphs = rig.call(Method::POST, "composite/graph", graphs).await.json();
    assert_eq!(
        (&graphs["graphs"][0]["isSuccessful"], &graphs["graphs"][1]["isSuccessful"]),
        (&json!(true), &json!(false))
    );

    let tree = json!({"records": [{"attributes": {"type": "Account", "referenceId": "r1"}, "Name": "T",
        "Contacts": {"records": [{"attributes": {"type": "Contact", "referenceId": "r2"}, "LastName": "Leaf"}]}}]});
    let planted = rig.call(Method::POST, "composite/tree/Account", tree).await;
    assert_eq!((planted.status, planted.json()["results"].as_array().unwrap().len()), (201, 2));
    assert_eq!(rig.ids("SELECT Id FROM Contact WHERE Account.Name = 'T'").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn updated_and_deleted_are_told_by_the_minute() {
    let rig = Rig::new();
    let (kept, gone) = (rig.lead("Kept").await, rig.lead("Gone").await);
    rig.pass(30);
    rig.call(Method::DELETE, &format!("sobjects/Lead/{gone}"), Value::Null).await;
    rig.pass(120);
    let span = "start=2026-05-01T08:00:00%2B00:00&end=2026-05-01T08:02:30%2B00:00";
    let updated = rig.get(&format!("sobjects/Lead/updated/?{span}")).await.json();
    assert_eq!(updated["ids"], json!([&*kept]));
    assert_eq!(updated["latestDateCovered"], json!("2026-05-01T08:02:00.000+0000"));
    let deleted = rig.get(&format!("sobjects/Lead/deleted/?{span}")).await.json();
    assert_eq!(
        deleted["deletedRecords"],
        json!([{"deletedDate": "2026-05-01T08:00:30.000+0000", "id": &*gone}])
    );
    for (name, answer) in [
        ("restforce_get_updated_success_response.json", &updated),
        ("restforce_get_deleted_success_response.json", &deleted),
    ] {
        if let Some(recorded) = sample(name) {
            for key in recorded.as_object().unwrap().keys() {
                assert!(answer.get(key).is_some(), "{key}");
            }
        }
    }
    let old = "start=2026-01-01T00:00:00Z&end=2026-05-01T08:00:00Z";
    assert_eq!(
        rig.get(&format!("sobjects/Lead/updated?{old}")).await.error().0,
        "INVALID_REPLICATION_DATE"
    );
    let all = rig.get("queryAll?q=SELECT+Id+FROM+Lead+WHERE+IsDeleted=true").await.json();
    assert_eq!(all["totalSize"], json!(1));
    rig.pass(16 * 24 * 3600);
    let rig = Rig { token: rig.sign_in(), ..rig };
    assert_eq!(
        rig.get("queryAll?q=SELECT+Id+FROM+Lead").await.json()["totalSize"],
        json!(1),
        "the bin was emptied"
    );
}

#[tokio::test(start_paused = true)]
async fn bulk_jobs_take_their_time() {
    let rig = Rig::new();
    let send = async |method: Method, path: &str, body: &str| {
        rig.send(method, &format!("/services/data/v66.0/jobs/{path}"), &[], body).await
    };
    let opened =
        send(Method::POST, "ingest", r#"{"object":"Lead","operation":"insert"}"#).await.json();
    let id = opened["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("750"));
    assert_eq!(opened["contentUrl"], json!(format!("services/data/66.0/jobs/ingest/{id}/batches")));
    let csv = "LastName,Company,Title\nAsh,Acme,CEO\nBirch,,\n\"Ce,dar\",Acme,#N/A\n";
    assert_eq!(send(Method::PUT, &format!("ingest/{id}/batches"), csv).await.status, 201);
    assert_eq!(send(Method::PUT, &format!("ingest/{id}/batches"), csv).await.status, 409);
    let closed =
        send(Method::PATCH, &format!("ingest/{id}"), r#"{"state":"UploadComplete"}"#).await.json();
    assert_eq!(closed["state"], json!("UploadComplete"));
    assert_eq!(rig.ids("SELECT Id FROM Lead").await.len(), 0);
    rig.pass(6);
    let done = send(Method::GET, &format!("ingest/{id}"), "").await.json();
    assert_eq!(
        (&done["state"], &done["numberRecordsProcessed"], &done["numberRecordsFailed"]),
        (&json!("JobComplete"), &json!(3), &json!(1))
    );
    let failed = send(Method::GET, &format!("ingest/{id}/failedResults"), "").await;
    insta::assert_snapshot!(failed.text, @r#"
    "sf__Id","sf__Error","LastName","Company","Title"
    "","REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --","Birch","",""
    "#);
    let good = send(Method::GET, &format!("ingest/{id}/successfulResults"), "").await.text;
    assert_eq!(good.lines().count(), 3);
    assert!(good.contains(r#""true","Ce,dar","Acme","#), "{good}");

    let query = send(Method::POST, "query", r#"{"operation":"query","query":"SELECT LastName, Owner.Name FROM Lead ORDER BY LastName"}"#).await.json();
    let id = query["id"].as_str().unwrap().to_owned();
    assert_eq!(send(Method::GET, &format!("query/{id}/results"), "").await.status, 409);
    rig.pass(6);
    let page = send(Method::GET, &format!("query/{id}/results?maxRecords=1"), "").await;
    assert_eq!(
        (page.header("sforce-locator"), page.header("sforce-numberofrecords")),
        (Some("1"), Some("1"))
    );
    let rest = send(Method::GET, &format!("query/{id}/results?maxRecords=1&locator=1"), "").await;
    assert_eq!(rest.header("sforce-locator"), Some("null"));
    assert_eq!(rest.text, "\"LastName\",\"Owner.Name\"\n\"Ce,dar\",\"Integration User\"\n");
}

#[tokio::test(start_paused = true)]
async fn limits_of_both_flavours() {
    let rig = Rig::new();
    rig.sandbox.world().salesforce.settings.refuse_concurrent = 1;
    let refused = rig.get("limits").await;
    assert_eq!(refused.status, 403);
    assert!(refused.error().1.starts_with("ConcurrentRequests"));
    rig.sandbox.world().salesforce.settings.daily_requests = 2;
    rig.sandbox.world().salesforce.settings.app_limit = Some((10, "lockstep".to_owned()));
    let fine = rig.get("limits").await;
    assert_eq!(fine.json()["DailyApiRequests"], json!({"Max": 2, "Remaining": 1}));
    assert_eq!(
        fine.header("sforce-limit-info"),
        Some("api-usage=1/2; per-app-api-usage=1/10(appName=lockstep)")
    );
    rig.get("limits").await;
    let over = rig.get("limits").await;
    assert_eq!(
        over.error(),
        ("REQUEST_LIMIT_EXCEEDED".to_owned(), "TotalRequests Limit exceeded.".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused_and_counted() {
    let rig = Rig::new();
    let table = [
        (Method::GET, "/services/data/v66.0/analytics/reports", 404),
        (Method::GET, "/services/data/v30.0/limits", 404),
        (Method::PUT, "/services/data/v66.0/sobjects/Lead", 405),
        (Method::GET, "/services/data/v66.0/sobjects/Nope", 404),
        (Method::GET, "/services/apexrest/x", 404),
        (Method::POST, "/services/data/v66.0/sobjects/User", 400),
        (Method::POST, "/services/data/v66.0/sobjects/Lead", 400),
    ];
    for (method, path, status) in table {
        let answer = rig.send(method.clone(), path, &[], "{").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(answer.json()[0]["errorCode"].is_string());
    }
    assert_eq!(rig.sandbox.world().calls.unmodelled().len(), 2);
    let open = rig.send(Method::GET, "/services/data", &[("authorization", "")], "").await;
    let versions = open.json();
    let newest = versions
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["version"] == json!("66.0"))
        .unwrap()
        .clone();
    assert_eq!(
        newest,
        json!({"label": "Spring '26", "url": "/services/data/v66.0", "version": "66.0"})
    );
    assert_eq!(versions[0]["version"], json!("51.0"));
    assert_eq!(open.header("sforce-limit-info"), None);
}

#[tokio::test(start_paused = true)]
async fn faults_expire_tokens() {
    let rig = Rig::new();
    rig.sandbox.world().faults.arm("expire-token", Some(Side::Salesforce), How::Next(1)).unwrap();
    assert_eq!(rig.get("limits").await.status, 401);
    assert_eq!(rig.get("limits").await.status, 401, "it stays expired");
    let rig = Rig { token: rig.sign_in(), ..rig };
    assert_eq!(rig.get("limits").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_client_name_reaches_the_change_log() {
    let rig = Rig::new();
    let options = [
        ("sforce-call-options", "client=lockstep, defaultNamespace=x"),
        ("sforce-auto-assign", "FALSE"),
    ];
    rig.send(
        Method::POST,
        "/services/data/v66.0/sobjects/Lead",
        &options,
        r#"{"LastName":"a","Company":"b"}"#,
    )
    .await;
    let world = rig.sandbox.world();
    let change = world.salesforce.changes.since(0).last().unwrap();
    assert_eq!(change.client.as_deref(), Some("lockstep"));
    assert_eq!(change.channel, crate::sandbox::salesforce::changes::Channel::Rest(660));
    assert_eq!(change.fields["LastName"], json!("a"));
}
