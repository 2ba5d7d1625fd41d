use super::*;

/// A recorded answer of the real platform. They are not part of the package: where they are absent
/// the test says so and ends.
fn sample(name: &str) -> Option<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let path = folder.join("shared/facts/samples/hubspot").join(name);
    let read = std::fs::read(&path).ok();
    if read.is_none() {
        println!("skipped: the recorded answers are not at {}", path.display());
    }
    read
}

#[test]
fn recorded_batches_are_read_item_by_item() {
    let Some(body) = sample("batch_update_partial_207.json") else { return };
    let batch: BatchJson = serde_json::from_slice(&body).unwrap();
    assert_eq!(batch.results[0].id.0, "171591000199");
    assert_eq!(batch.results[0].properties["lifecyclestage"].0, "lead");
    assert_eq!(moment(&batch.results[0].updated_at.0), moment("2025-11-04T12:10:35.352Z"));
    assert_eq!(batch.errors[0].category.0, "OBJECT_NOT_FOUND");
    assert_eq!(batch.errors[0].context.list("ids"), ["unknownIdentifier888"]);

    let Some(body) = sample("batch_create_partial_207.json") else { return };
    let batch: BatchJson = serde_json::from_slice(&body).unwrap();
    assert_eq!(batch.errors[0].context.list("objectWriteTraceId"), ["0"]);
    assert_eq!(batch.errors[0].context.list("existingId"), ["171591000198"]);
}

#[test]
fn recorded_associations_are_read() {
    let Some(body) = sample("associations_v4_batch_read_207.json") else { return };
    let read: AssociationsJson = serde_json::from_slice(&body).unwrap();
    assert_eq!(read.results[0].from.id.0, "501");
    assert_eq!(read.results[0].to[0].to_object_id.0, "29022297485");
    assert_eq!(read.results[0].to[0].association_types[0].type_id, Some(1));
    assert_eq!(read.errors[0].sub_category.0, "crm.associations.NO_ASSOCIATIONS_FOUND");

    let Some(body) = sample("associations_v4_batch_create_errors_207.json") else { return };
    let errors: AssociationsJson = serde_json::from_slice(&body).unwrap();
    assert_eq!(errors.errors.len(), 2);
    let Some(body) = sample("associations_v4_batch_create_201.json") else { return };
    let made: AssociationsJson = serde_json::from_slice(&body).unwrap();
    assert_eq!((made.results.len(), made.errors.len()), (2, 0));
}

#[test]
fn a_recorded_search_page_is_read() {
    let Some(body) = sample("contacts_search_page.json") else { return };
    let page: PageJson<ObjectJson> = serde_json::from_slice(&body).unwrap();
    assert_eq!((page.total, page.after()), (Some(57), Some("54")));
    assert_eq!(page.results[0].properties["phone"].clone().raw(), Raw::Null);
}

#[test]
fn recorded_errors_are_read() {
    for (name, category, codes) in [
        ("err_batch_create_conflict.json", "CONFLICT", vec![]),
        ("err_batch_invalid_properties.json", "VALIDATION_ERROR", vec!["PROPERTY_DOESNT_EXIST"; 3]),
        ("err_batch_update_duplicate_ids.json", "VALIDATION_ERROR", vec![]),
        ("err_missing_scopes.json", "MISSING_SCOPES", vec![]),
        ("err_search_unknown_object.json", "", vec![]),
    ] {
        let Some(body) = sample(name) else { return };
        let error = ErrorJson::read(&body);
        assert_eq!(error.category.0, category, "{name}");
        let found: Vec<_> = error.details().into_iter().map(|detail| detail.code.0).collect();
        assert_eq!(found, codes, "{name}");
        assert!(!error.message.0.is_empty(), "{name}");
        // The same mistakes stand in the message, where older answers have nothing else.
        let old = ErrorJson { errors: Vec::new(), ..error };
        assert_eq!(old.details().is_empty(), codes.is_empty(), "{name}");
        if let Some(first) = old.details().first() {
            assert_eq!((first.code.0.as_str(), first.name.0.as_str()), (codes[0], "first000name"));
        }
    }
}

#[test]
fn anything_can_be_read_as_an_error() {
    for body in
        ["", "<html>", "null", "[]", "{\"context\":5}", "{\"errors\":null}", "{\"message\":[1]}"]
    {
        let error = ErrorJson::read(body.as_bytes());
        assert!(error.details().is_empty(), "{body}");
    }
    let odd =
        ErrorJson::read(br#"{"subCategory":{"a":1},"context":{"a":"x","b":[1,null],"c":null}}"#);
    assert_eq!(odd.sub_category.0, "{\"a\":1}");
    assert_eq!(odd.context.list("a"), ["x"]);
    assert_eq!(odd.context.list("b"), ["1", "null"]);
    assert_eq!(odd.context.list("c"), [""; 0]);
}

#[test]
fn moments_come_in_many_forms() {
    for (text, iso) in [
        ("2026-02-25T16:23:49.023Z", Some("2026-02-25T16:23:49.023Z")),
        ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
        ("2026-05-01T09:25:37+02:00", Some("2026-05-01T07:25:37Z")),
        ("1705422467780", Some("2024-01-16T16:27:47.78Z")),
        ("2026-12-31", Some("2026-12-31T00:00:00Z")),
        ("", None),
        ("soon", None),
        ("99999999999999999", None),
    ] {
        assert_eq!(moment(text).map(|moment| moment.to_string()).as_deref(), iso, "{text}");
    }
}

#[test]
fn ids_and_values_come_as_text_or_number() {
    let object: ObjectJson = serde_json::from_str(
        r#"{"id":501,"properties":{"a":null,"b":"","c":7,"d":true,"e":"x"},"unknown":{}}"#,
    )
    .unwrap();
    assert_eq!(object.id.0, "501");
    let values: Vec<_> = object.properties.into_values().map(Text::raw).collect();
    let text = Raw::text;
    assert_eq!(values, [Raw::Null, Raw::Null, text("7"), text("true"), text("x")]);
}
