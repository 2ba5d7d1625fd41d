use super::*;

const BATCH: &str = "/crm/v3/objects/contacts/batch";

#[tokio::test(start_paused = true)]
async fn one_bad_value_rejects_the_whole_batch() {
    let hub = Hub::new();
    let (a, b) = (
        hub.contact(json!({ "email": "a@example.com" })).await,
        hub.contact(json!({ "email": "b@example.com" })).await,
    );
    let got = hub
        .post(
            &format!("{BATCH}/update"),
            json!({ "inputs": [
                { "id": a, "properties": { "firstname": "A" } },
                { "id": b, "properties": { "first000name": "B", "hubspotscore": "1" } },
            ]}),
        )
        .await;
    assert_eq!(got.status, 400);
    insta::assert_json_snapshot!(got.uncorrelated(), @r#"
    {
      "status": "error",
      "message": "Property values were not valid: [{\"isValid\":false,\"message\":\"Property \\\"first000name\\\" does not exist\",\"error\":\"PROPERTY_DOESNT_EXIST\",\"name\":\"first000name\"},{\"isValid\":false,\"message\":\"\\\"hubspotscore\\\" is a read only property; its value cannot be set.\",\"error\":\"READ_ONLY_VALUE\",\"name\":\"hubspotscore\"}]",
      "category": "VALIDATION_ERROR",
      "errors": [
        {
          "message": "Property \"first000name\" does not exist",
          "code": "PROPERTY_DOESNT_EXIST",
          "context": {
            "propertyName": [
              "first000name"
            ]
          }
        },
        {
          "message": "\"hubspotscore\" is a read only property; its value cannot be set.",
          "code": "READ_ONLY_VALUE",
          "context": {
            "propertyName": [
              "hubspotscore"
            ]
          }
        }
      ]
    }
    "#);
    let read = hub.get(&format!("/crm/v3/objects/contacts/{a}")).await;
    assert_eq!(read.body["properties"]["firstname"], Value::Null, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn missing_ids_fail_alone() {
    let hub = Hub::new();
    let a = hub.contact(json!({ "email": "a@example.com" })).await;
    let update = json!({ "inputs": [
        { "id": a, "properties": { "firstname": "A" } },
        { "id": "999", "properties": { "firstname": "B" } },
        { "id": "x", "properties": { "firstname": "C" } },
    ]});
    let got = hub.post(&format!("{BATCH}/update"), update).await;
    assert_eq!((got.status, ids(&got)), (207, vec![a.as_str()]));
    assert_eq!(got.body["errors"][0]["context"]["ids"], json!(["999", "x"]));
    assert_eq!(got.body["errors"].as_array().unwrap().len(), 1, "one entry for all");
    let read =
        json!({ "properties": ["firstname"], "inputs": [{ "id": a }, { "id": a }, { "id": "9" }] });
    let got = hub.post(&format!("{BATCH}/read"), read).await;
    assert_eq!((got.status, results(&got).len()), (207, 1));
    assert_eq!(got.body["results"][0]["properties"]["firstname"], "A");
    let by_email = json!({ "idProperty": "email", "inputs": [{ "id": "A@example.com" }] });
    let got = hub.post(&format!("{BATCH}/read"), by_email).await;
    assert_eq!((got.status, ids(&got)), (200, vec![a.as_str()]));
}

#[tokio::test(start_paused = true)]
async fn batches_have_limits() {
    let hub = Hub::new();
    let inputs = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({ "id": n.to_string() })).collect()
    };
    let table = [
        (json!({ "inputs": inputs(100) }), 207),
        (json!({ "inputs": inputs(101) }), 400),
        (json!({ "inputs": inputs(51), "propertiesWithHistory": ["email"] }), 400),
        (json!({ "inputs": inputs(50), "propertiesWithHistory": ["email"] }), 207),
        (json!({}), 400),
    ];
    for (body, status) in table {
        assert_eq!(hub.post(&format!("{BATCH}/read"), body).await.status, status);
    }
    let twice = json!({ "inputs": [{ "id": "1", "properties": { "firstname": "x" } }, { "id": "1", "properties": {} }] });
    let got = hub.post(&format!("{BATCH}/update"), twice).await;
    assert_eq!(got.body["message"], "Duplicate IDs found in batch input: [1]. IDs must be unique");
}

#[tokio::test(start_paused = true)]
async fn a_create_is_all_or_nothing_without_trace_ids() {
    let hub = Hub::new();
    let known = hub.contact(json!({ "email": "a@example.com" })).await;
    let inputs = |trace: bool| -> Vec<Value> {
        ["new@example.com", "a@example.com"]
            .iter()
            .enumerate()
            .map(|(n, email)| {
                let mut input = json!({ "properties": { "email": email } });
                if trace {
                    input["objectWriteTraceId"] = json!(n.to_string());
                }
                input
            })
            .collect()
    };
    let got = hub.post(&format!("{BATCH}/create"), json!({ "inputs": inputs(false) })).await;
    assert_eq!((got.status, &got.body["message"]), (409, &json!("Contact already exists")));
    assert!(hub.sandbox.world().hubspot.find_by_email("new@example.com").is_none());

    let got = hub.post(&format!("{BATCH}/create"), json!({ "inputs": inputs(true) })).await;
    assert_eq!((got.status, results(&got).len()), (207, 1));
    insta::assert_json_snapshot!(got.body["errors"], @r#"
    [
      {
        "status": "error",
        "category": "CONFLICT",
        "message": "Contact already exists. Existing ID: 101000000001",
        "context": {
          "objectWriteTraceId": [
            "1"
          ],
          "existingId": [
            "101000000001"
          ]
        }
      }
    ]
    "#);
    assert_eq!(known, "101000000001");
    let equal = json!({ "inputs": [{ "properties": { "email": "t@example.com" } }, { "properties": { "email": "T@example.com" } }] });
    assert_eq!(hub.post(&format!("{BATCH}/create"), equal).await.status, 409);
    assert!(hub.sandbox.world().hubspot.find_by_email("t@example.com").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_upsert_says_what_is_new() {
    let hub = Hub::new();
    let known = hub.contact(json!({ "email": "a@example.com" })).await;
    let body = json!({ "inputs": [
        { "id": "a@example.com", "idProperty": "email", "properties": { "firstname": "A" } },
        { "id": "b@example.com", "idProperty": "email", "properties": { "firstname": "B" } },
    ]});
    let got = hub.post(&format!("{BATCH}/upsert"), body).await;
    assert_eq!(got.status, 200);
    for result in results(&got) {
        assert_eq!(result["new"].as_bool(), Some(result["id"] != json!(known)));
    }
    let fresh = hub.get("/crm/v3/objects/contacts/b@example.com?idProperty=email").await;
    assert_eq!(fresh.property("firstname"), "B");
    let bad = json!({ "inputs": [
        { "id": "c@example.com", "idProperty": "email", "objectWriteTraceId": "0", "properties": {} },
        { "id": "d@nowhere", "idProperty": "email", "objectWriteTraceId": "1", "properties": {} },
    ]});
    assert_eq!(hub.post(&format!("{BATCH}/upsert"), bad).await.status, 400);
    assert!(hub.sandbox.world().hubspot.find_by_email("c@example.com").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_upsert_by_another_unique_property_can_fail_in_part() {
    let hub = Hub::new();
    let now = hub.now();
    let property = properties::Property::custom("sf_id", "Salesforce", "string").unique();
    hub.sandbox.world().hubspot.define(Object::Contact, property, now).unwrap();
    let body = json!({ "inputs": [
        { "id": "1", "idProperty": "sf_id", "objectWriteTraceId": "a", "properties": { "email": "a@example.com" } },
        { "id": "2", "idProperty": "sf_id", "objectWriteTraceId": "b", "properties": { "email": "nonsense" } },
    ]});
    let got = hub.post(&format!("{BATCH}/upsert"), body).await;
    assert_eq!((got.status, results(&got).len()), (207, 1));
    assert_eq!(got.body["results"][0]["objectWriteTraceId"], "a");
    assert_eq!(got.body["errors"][0]["context"]["objectWriteTraceId"], json!(["b"]));
    assert!(hub.sandbox.world().hubspot.find_by(Object::Contact, "sf_id", "1").is_some());
}
