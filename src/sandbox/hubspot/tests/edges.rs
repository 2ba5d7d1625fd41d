use super::*;

#[tokio::test(start_paused = true)]
async fn associations_are_created_read_and_ended() {
    let hub = Hub::new();
    let contact = hub.contact(json!({ "email": "a@example.com" })).await;
    let lonely = hub.contact(json!({ "email": "b@example.com" })).await;
    let mut companies = Vec::new();
    for name in ["One", "Two"] {
        let body = json!({ "properties": { "name": name } });
        companies.push(hub.post("/crm/v3/objects/companies", body).await.id());
    }
    let inputs: Vec<Value> = companies
        .iter()
        .map(|company| {
            json!({
                "from": { "id": contact }, "to": { "id": company },
                "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279 }],
            })
        })
        .collect();
    let path = "/crm/v4/associations/contacts/companies/batch";
    let made = hub.post(&format!("{path}/create"), json!({ "inputs": inputs })).await;
    assert_eq!((made.status, results(&made).len()), (201, 2));
    let read = json!({ "inputs": [{ "id": contact }, { "id": lonely }] });
    let got = hub.post(&format!("{path}/read"), read).await;
    assert_eq!(got.status, 207);
    insta::assert_json_snapshot!(got.body["results"], @r#"
    [
      {
        "from": {
          "id": "101000000001"
        },
        "to": [
          {
            "toObjectId": 202000000001,
            "associationTypes": [
              {
                "category": "HUBSPOT_DEFINED",
                "typeId": 1,
                "label": "Primary"
              },
              {
                "category": "HUBSPOT_DEFINED",
                "typeId": 279,
                "label": null
              }
            ]
          },
          {
            "toObjectId": 202000000002,
            "associationTypes": [
              {
                "category": "HUBSPOT_DEFINED",
                "typeId": 279,
                "label": null
              }
            ]
          }
        ]
      }
    ]
    "#);
    assert_eq!(
        got.body["errors"][0]["message"],
        format!("No company is associated with contact {lonely}.")
    );
    let whole =
        hub.get(&format!("/crm/v3/objects/contacts/{contact}?associations=companies,deals")).await;
    insta::assert_json_snapshot!(whole.body["associations"], @r#"
    {
      "companies": {
        "results": [
          {
            "id": "202000000001",
            "type": "contact_to_company"
          },
          {
            "id": "202000000001",
            "type": "contact_to_company_unlabeled"
          },
          {
            "id": "202000000002",
            "type": "contact_to_company_unlabeled"
          }
        ]
      }
    }
    "#);
    assert_eq!(
        whole.body["updatedAt"], whole.body["createdAt"],
        "associations do not bump the stamp"
    );
    let reverse =
        hub.get(&format!("/crm/v4/objects/companies/{}/associations/contacts", companies[1])).await;
    assert_eq!(reverse.body["results"][0]["associationTypes"][0]["typeId"], 280);
    let rollup = hub
        .get(&format!(
            "/crm/v3/objects/companies/{}?properties=num_associated_contacts",
            companies[0]
        ))
        .await;
    assert_eq!(rollup.property("num_associated_contacts"), "1");

    let primary =
        format!("/crm/v4/objects/contacts/{contact}/associations/companies/{}", companies[1]);
    let types = r#"[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":1}]"#;
    let got = hub.raw("PUT", &primary, types).await;
    assert_eq!((got.status, &got.body["labels"]), (201, &json!(["Primary"])));
    let number: u64 = contact.parse().unwrap();
    let now_primary = hub.sandbox.world().hubspot.primary_company(number);
    assert_eq!(
        now_primary.map(|id| id.to_string()),
        Some(companies[1].clone()),
        "there is one primary"
    );
    assert_eq!(hub.raw("DELETE", &primary, "").await.status, 204);
    let left = hub.get(&format!("/crm/v4/objects/contacts/{contact}/associations/companies")).await;
    assert_eq!(results(&left).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_associations_fail_one_by_one() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    let body = json!({ "inputs": [
        { "from": { "id": id }, "to": { "id": "unknown_id_123456798" }, "types": [{ "associationTypeId": 449 }] },
        { "from": { "id": id }, "to": { "id": id }, "types": [{ "associationTypeId": 449 }] },
        { "from": { "id": id }, "to": { "id": "5" }, "types": [{ "associationTypeId": 449 }] },
    ]});
    let got = hub.post("/crm/v4/associations/contacts/contacts/batch/create", body).await;
    assert_eq!((got.status, results(&got).len()), (207, 0));
    let errors: Vec<(&str, &str)> = got.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (error["subCategory"].as_str().unwrap_or_default(), error["message"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        errors[0],
        ("crm.associations.INVALID_IDENTIFIER", "unknown_id_123456798 is not a valid ID")
    );
    assert_eq!(errors[1].0, "");
    assert_eq!(errors[2].0, "crm.associations.TO_OBJECT_NOT_FOUND");
}

#[tokio::test(start_paused = true)]
async fn a_note_is_created_with_its_contact() {
    let hub = Hub::new();
    let contact = hub.contact(json!({ "email": "a@example.com" })).await;
    let note = |kind: u32| {
        json!({
            "properties": { "hs_timestamp": "2026-11-02T08:00:00Z", "hs_note_body": "Called." },
            "associations": [{
                "to": { "id": contact },
                "types": [{ "associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind }],
            }],
        })
    };
    let made = hub.post("/crm/v3/objects/notes", note(202)).await;
    assert_eq!(made.status, 201);
    let linked =
        hub.get(&format!("/crm/v3/objects/notes/{}?associations=contacts", made.id())).await;
    assert_eq!(
        linked.body["associations"]["contacts"]["results"],
        json!([{ "id": contact, "type": "note_to_contact" }])
    );
    assert_eq!(hub.post("/crm/v3/objects/notes", note(279)).await.status, 400);
    assert_eq!(hub.sandbox.world().hubspot.all(Object::Note).count(), 1, "nothing half-made");
    let path =
        format!("/crm/objects/2026-09/contacts/{contact}/associations/default/tasks/404000000001");
    assert_eq!(hub.raw("PUT", &path, "").await.status, 400);
    let archive = json!({ "inputs": [{ "from": { "id": contact }, "to": [{ "id": made.id() }] }] });
    let got =
        hub.post("/crm/associations/2026-09/contacts/notes/batch/archive", archive.clone()).await;
    assert_eq!(got.status, 200);
    let got = hub.post("/crm/v4/associations/contacts/notes/batch/archive", archive).await;
    assert_eq!(got.status, 204);
}
