use super::*;

/// A recorded or documented answer, where the folder with the samples stands beside the sources.
fn sample(name: &str) -> Option<Vec<u8>> {
    let path = format!("{}/../shared/facts/samples/salesforce/{name}", env!("CARGO_MANIFEST_DIR"));
    let read = std::fs::read(&path).ok();
    if read.is_none() {
        eprintln!("skipped: no sample at {path}");
    }
    read
}

#[test]
fn errors_are_read_in_every_shape() {
    let of = |body: &str| -> Vec<(String, String)> {
        errors(body.as_bytes()).into_iter().map(|error| (error.code, error.message)).collect()
    };
    let one = |code: &str, message: &str| vec![(code.to_owned(), message.to_owned())];
    assert_eq!(of(r#"[{"message":"m","errorCode":"C"}]"#), one("C", "m"));
    assert_eq!(of(r#"[{"message":"m","statusCode":"C","fields":null}]"#), one("C", "m"));
    assert_eq!(
        of(r#"{"error":"invalid_grant","error_description":"d"}"#),
        one("invalid_grant", "d")
    );
    assert_eq!(of(r#"[{"message":"m"}]"#), one("", "m"));
    assert_eq!(of("<html>Down for maintenance</html>"), vec![]);
    assert_eq!(of(""), vec![]);
    assert_eq!(of(r#"["/services/data/v23.0/sobjects/Whizbang/foo"]"#), vec![]);
}

#[test]
fn recorded_errors_are_read() {
    for (name, code) in [
        ("auth_error_response.json", "invalid_grant"),
        ("refresh_error_response.json", "invalid_grant"),
        ("expired_session_response.json", "INVALID_SESSION_ID"),
        ("restforce_delete_error_response.json", "NOT_FOUND"),
        ("restforce_upsert_error_response.json", "NOT_FOUND"),
        ("restforce_write_error_response.json", "INVALID_FIELD"),
    ] {
        let Some(body) = sample(name) else { continue };
        let errors = errors(&body);
        assert_eq!(errors.len(), 1, "{name}");
        assert_eq!(errors[0].code, code, "{name}");
        assert!(!errors[0].message.is_empty(), "{name}");
    }
}

#[test]
fn a_recorded_query_is_read() {
    let Some(body) = sample("restforce_query_success_response.json") else { return };
    let page: QueryPage = serde_json::from_slice(&body).unwrap();
    assert!(page.done && page.next.is_none());
    let row = &page.records[0];
    assert_eq!(value(row, "Checkbox_Label"), Some(Raw::Bool(false)));
    assert_eq!(value(row, "text_label"), Some(Raw::text("Hi there!")));
    assert_eq!(value(row, "Picklist_Multiselect_Label"), Some(Raw::text("four;six")));
    assert_eq!(value(row, "ParentWhizbang__r.Name"), Some(Raw::text("Parent Whizbang")));
    assert_eq!(value(row, "ParentWhizbang__r.Nothing"), None);
    assert_eq!(value(row, "Nothing"), None);
    let at = moment(text(row, "DateTime_Label").unwrap()).unwrap();
    assert_eq!(at.to_string(), "2011-07-07T00:37:00Z");
}

#[test]
fn a_recorded_aggregate_is_read() {
    let Some(body) = sample("restforce_query_aggregate_success_response.json") else { return };
    let page: QueryPage = serde_json::from_slice(&body).unwrap();
    let counts: Vec<_> = page.records.iter().map(|row| value(row, "expr0")).collect();
    let number = |number: f64| Some(Raw::Number(number));
    assert_eq!(counts, [number(300.0), number(100.0), number(400.0)]);
    assert_eq!(value(&page.records[2], "CampaignId"), Some(Raw::Null));
}

#[test]
fn recorded_deletions_are_read() {
    let Some(body) = sample("restforce_get_deleted_success_response.json") else { return };
    let page: DeletedPage = serde_json::from_slice(&body).unwrap();
    assert_eq!(page.deleted_records.len(), 1);
    assert_eq!(page.deleted_records[0].id, "a00D0000008pQRAIA2");
    let at = moment(page.deleted_records[0].deleted_date.as_deref().unwrap()).unwrap();
    assert_eq!(at.to_string(), "2013-05-07T22:07:19Z");
    let covered = page.latest_date_covered.as_deref().and_then(moment).unwrap();
    assert_eq!(covered.to_string(), "2013-05-08T21:20:00Z");
}

#[test]
fn a_recorded_describe_is_read() {
    let Some(body) = sample("restforce_sobject_describe_success_response.json") else { return };
    let schema = describe(&body).unwrap();
    assert_eq!(schema.object, "Whizbang");
    let id = &schema.fields["Id"];
    assert_eq!(
        (id.kind.clone(), id.external_id, id.creatable),
        (FieldKind::Reference, false, false)
    );
    assert_eq!(schema.fields["OwnerId"].label, "Owner ID");
    let picklists: Vec<_> =
        schema.fields.values().filter(|field| field.kind == FieldKind::Choice).collect();
    assert!(picklists.iter().all(|field| !field.choices.is_empty()));
}

#[test]
fn a_recorded_composite_is_read() {
    let Some(body) = sample("composite_allornone_failure_200.json") else { return };
    let body: Json = serde_json::from_slice(&body).unwrap();
    let composite: Composite = serde_json::from_value(body["body"].clone()).unwrap();
    let codes: Vec<_> = composite
        .composite_response
        .iter()
        .map(|item| {
            let body = serde_json::to_vec(&item.body).unwrap();
            (item.http_status_code, errors(&body)[0].code.clone())
        })
        .collect();
    assert_eq!(codes, [(400, "PROCESSING_HALTED".into()), (400, "INVALID_FIELD".into())]);
}

#[test]
fn an_item_of_a_collection_is_read() {
    let items: Vec<Saved> = serde_json::from_str(
        r#"[{"id":"00Q000000000001EAA","success":true,"errors":[]},
            {"success":false,"errors":[{"statusCode":"INVALID_CROSS_REFERENCE_KEY","message":"m","fields":[]}]},
            {"id":"00Q000000000001EAA","success":true,"created":true,"errors":null,"warnings":[1]}]"#,
    )
    .unwrap();
    assert!(items[0].success && items[0].created.is_none());
    assert_eq!(items[1].errors[0].code, "INVALID_CROSS_REFERENCE_KEY");
    assert_eq!(items[2].created, Some(true));
}

#[test]
fn a_field_says_what_it_holds() {
    let body = r#"{"name":"Lead","createable":true,"updateable":true,"somethingNew":{},"fields":[
        {"name":"OwnerId","type":"reference","referenceTo":["Group","User"],"nillable":false,"createable":true,"updateable":true,"defaultedOnCreate":true},
        {"name":"Company","label":"Company","type":"string","length":255,"nillable":false,"createable":true,"updateable":true},
        {"name":"Email","type":"email","idLookup":true,"nillable":true,"createable":true},
        {"name":"Status","type":"picklist","picklistValues":[{"active":true,"label":"Open","value":"Open - Not Contacted"},{"active":false,"label":null,"value":"Old"}]},
        {"name":"Score__c","type":"double","nillable":true},
        {"name":"Ext__c","type":"string","externalId":true,"unique":true},
        {"name":"Address","type":"address"},
        {"name":"When__c","type":"datetime"},
        {"name":"Fancy__c","type":"of_next_year"}]}"#;
    let schema = describe(body.as_bytes()).unwrap();
    let kind = |name: &str| schema.fields[name].kind.clone();
    assert_eq!(kind("OwnerId"), FieldKind::Owner);
    assert_eq!(kind("Status"), FieldKind::Choice);
    assert_eq!(kind("Score__c"), FieldKind::Number);
    assert_eq!(kind("Address"), FieldKind::Other("address".into()));
    assert_eq!(kind("Fancy__c"), FieldKind::Other("of_next_year".into()));
    assert_eq!(kind("When__c"), FieldKind::DateTime);
    let required: Vec<_> =
        schema.fields.values().filter(|field| field.required).map(|field| &field.name).collect();
    assert_eq!(required, ["Company"]);
    let keys: Vec<_> =
        schema.fields.values().filter(|field| field.external_id).map(|field| &field.name).collect();
    assert_eq!(keys, ["Email", "Ext__c"]);
    let choices: Vec<_> = schema.fields["Status"]
        .choices
        .iter()
        .map(|choice| (choice.value.as_str(), choice.label.as_str(), choice.active))
        .collect();
    assert_eq!(choices, [("Open - Not Contacted", "Open", true), ("Old", "Old", false)]);
}

#[test]
fn values_survive_both_ways() {
    for (raw, printed) in [
        (Raw::Null, "null"),
        (Raw::Bool(true), "true"),
        (Raw::Number(42.0), "42"),
        (Raw::Number(-0.5), "-0.5"),
        (Raw::Number(1e300), "1e+300"),
        (Raw::text("a\"b"), r#""a\"b""#),
    ] {
        let json = json(&raw);
        assert_eq!(json.to_string(), printed);
        assert_eq!(super::raw(&json), raw);
    }
}
