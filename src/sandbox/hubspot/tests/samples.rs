//! The sandbox's answers have the shape of answers recorded from the real platform.

use std::collections::BTreeSet;

use super::*;

/// A recorded answer, or nothing where the recordings are not at hand.
fn sample(name: &str) -> Option<Value> {
    let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/facts/samples/hubspot/");
    let text = std::fs::read_to_string(format!("{place}{name}"));
    if text.is_err() {
        println!("skipped: there is no {place}{name}");
    }
    serde_json::from_str(&text.ok()?).ok()
}

/// Every path in a value with the type that stands there. What depends on the record (which
/// properties, which ids) is left out, and lists count by their first entry.
fn shape(value: &Value, path: &str, shapes: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    shapes.insert(format!("{path}: {kind}"));
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|_| !path.ends_with(".properties")) {
                shape(value, &format!("{path}.{key}"), shapes);
            }
        }
        Value::Array(list) => {
            for value in list.iter().take(1) {
                shape(value, &format!("{path}[]"), shapes);
            }
        }
        _ => {}
    }
}

fn assert_same_shape(name: &str, got: &Value) {
    let Some(recorded) = sample(name) else { return };
    let mut shapes = [BTreeSet::new(), BTreeSet::new()];
    shape(&recorded, "", &mut shapes[0]);
    shape(got, "", &mut shapes[1]);
    assert_eq!(shapes[0], shapes[1], "{name}: {got:#}");
}

#[tokio::test(start_paused = true)]
async fn batches_look_like_the_recorded_ones() {
    let hub = Hub::new();
    let batch = "/crm/v3/objects/contacts/batch";
    let a = hub.contact(json!({ "email": "a@example.com" })).await;
    let b = hub.contact(json!({ "email": "b@example.com" })).await;
    let partial = json!({ "inputs": [
        { "objectWriteTraceId": "0", "properties": { "email": "a@example.com" } },
        { "objectWriteTraceId": "1", "properties": { "email": "c@example.com" } },
    ]});
    let mut got = hub.post(&format!("{batch}/create"), partial).await;
    // The recording predates the echo of the trace id in results.
    got.body["results"][0].as_object_mut().unwrap().remove("objectWriteTraceId");
    assert_same_shape("batch_create_partial_207.json", &got.body);

    let update = json!({ "inputs": [
        { "id": a, "properties": { "firstname": "A" } },
        { "id": "unknownIdentifier888", "properties": { "firstname": "B" } },
    ]});
    let got = hub.post(&format!("{batch}/update"), update).await;
    assert_same_shape("batch_update_partial_207.json", &got.body);
    let conflict = json!({ "inputs": [{ "properties": { "email": "a@example.com" } }] });
    let got = hub.post(&format!("{batch}/create"), conflict).await;
    assert_same_shape("err_batch_create_conflict.json", &got.body);
    let wrong = json!({ "inputs": [{ "properties": { "first000name": "A" } }] });
    let got = hub.post(&format!("{batch}/create"), wrong).await;
    assert_same_shape("err_batch_invalid_properties.json", &got.body);
    let twice = json!({ "inputs": [{ "id": b, "properties": {} }, { "id": b, "properties": {} }] });
    let got = hub.post(&format!("{batch}/update"), twice).await;
    assert_same_shape("err_batch_update_duplicate_ids.json", &got.body);
}

#[tokio::test(start_paused = true)]
async fn searches_look_like_the_recorded_ones() {
    let hub = Hub::new();
    hub.contact(json!({ "email": "a@example.com" })).await;
    hub.contact(json!({ "email": "b@example.com" })).await;
    hub.advance(10);
    let page = hub.search(json!({ "limit": 1, "properties": ["company", "phone"] })).await;
    assert_same_shape("contacts_search_page.json", &page.body);
    let unknown = hub.post("/crm/v3/objects/butterflies/search", json!({})).await;
    assert_same_shape("err_search_unknown_object.json", &unknown.body);
}

#[tokio::test(start_paused = true)]
async fn associations_look_like_the_recorded_ones() {
    let hub = Hub::new();
    let contact = hub.contact(json!({ "email": "a@example.com" })).await;
    let lonely = hub.contact(json!({ "email": "b@example.com" })).await;
    let company = json!({ "properties": { "name": "One" } });
    let company = hub.post("/crm/v3/objects/companies", company).await.id();
    let path = "/crm/v4/associations/contacts/companies/batch";
    let edge = |to: &str| json!({ "from": { "id": contact }, "to": { "id": to }, "types": [{ "associationTypeId": 279 }] });
    let got = hub.post(&format!("{path}/create"), json!({ "inputs": [edge(&company)] })).await;
    assert_same_shape("associations_v4_batch_create_201.json", &got.body);
    let got = hub.post(&format!("{path}/create"), json!({ "inputs": [edge("unknown")] })).await;
    assert_same_shape("associations_v4_batch_create_errors_207.json", &got.body);
    let read = json!({ "inputs": [{ "id": contact }, { "id": lonely }] });
    let got = hub.post(&format!("{path}/read"), read).await;
    assert_same_shape("associations_v4_batch_read_207.json", &got.body);
}
