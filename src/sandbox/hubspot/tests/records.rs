use super::*;

#[tokio::test(start_paused = true)]
async fn a_contact_is_created_read_changed_and_listed() {
    let hub = Hub::new();
    let made = hub
        .post(
            "/crm/v3/objects/contacts",
            json!({ "properties": { "email": "Ada@Example.com", "firstname": "Ada", "numemployees": 5 } }),
        )
        .await;
    assert_eq!(made.status, 201);
    insta::assert_json_snapshot!(made.body, @r#"
    {
      "id": "101000000001",
      "properties": {
        "createdate": "2026-11-02T08:00:00Z",
        "email": "ada@example.com",
        "firstname": "Ada",
        "hs_is_unworked": "true",
        "hs_object_id": "101000000001",
        "hs_object_source": "INTEGRATION",
        "hs_object_source_id": "19083857",
        "hs_object_source_label": "INTEGRATION",
        "hs_pipeline": "contacts-lifecycle-pipeline",
        "hs_v2_date_entered_current_stage": "2026-11-02T08:00:00Z",
        "lastmodifieddate": "2026-11-02T08:00:00Z",
        "lifecyclestage": "lead",
        "numemployees": "5"
      },
      "createdAt": "2026-11-02T08:00:00Z",
      "updatedAt": "2026-11-02T08:00:00Z",
      "archived": false,
      "url": "https://app.hubspot.com/contacts/44237313/record/0-1/101000000001"
    }
    "#);
    let id = made.id();
    let read = hub.get(&format!("/crm/v3/objects/contacts/{id}")).await;
    insta::assert_json_snapshot!(read.body["properties"], @r#"
    {
      "createdate": "2026-11-02T08:00:00Z",
      "email": "ada@example.com",
      "firstname": "Ada",
      "hs_object_id": "101000000001",
      "lastmodifieddate": "2026-11-02T08:00:00Z",
      "lastname": null
    }
    "#);
    let wide = format!("/crm/v3/objects/contacts/{id}?properties=phone,nonsense,lifecyclestage");
    let read = hub.get(&wide).await;
    insta::assert_json_snapshot!(read.body["properties"], @r#"
    {
      "createdate": "2026-11-02T08:00:00Z",
      "hs_object_id": "101000000001",
      "lastmodifieddate": "2026-11-02T08:00:00Z",
      "lifecyclestage": "lead",
      "phone": null
    }
    "#);
    let by_email = hub.get("/crm/v3/objects/contacts/ADA@example.com?idProperty=email").await;
    assert_eq!(by_email.id(), id);
}

#[tokio::test(start_paused = true)]
async fn every_spelling_of_a_path_reaches_the_same_store() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    for path in [
        "/crm/v3/objects/contacts/",
        "/crm/v3/objects/contact/",
        "/crm/v3/objects/0-1/",
        "/crm/objects/2026-03/contacts/",
        "/crm/objects/2026-09/0-1/",
    ] {
        let got = hub.get(&format!("{path}{id}")).await;
        assert_eq!((got.status, got.id()), (200, id.clone()), "{path}");
    }
    let owners = ["/crm/v3/owners", "/crm/owners/2026-09", "/crm/v3/owners/?limit=100"];
    for path in owners {
        assert_eq!(results(&hub.get(path).await).len(), 3, "{path}");
    }
    for path in ["/account-info/v3/details", "/account-info/2026-09/details"] {
        assert_eq!(hub.get(path).await.body["utcOffset"], "-05:00", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_equal_write_does_not_bump_the_stamp() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com", "firstname": "A" })).await;
    hub.advance(60);
    let same = hub.edit(&id, json!({ "firstname": "A", "email": "A@EXAMPLE.com" })).await;
    assert_eq!((same.status, &same.body["updatedAt"]), (200, &json!("2026-11-02T08:00:00Z")));
    let other = hub.edit(&id, json!({ "firstname": "B" })).await;
    assert_eq!(other.body["updatedAt"], "2026-11-02T08:01:00Z");
    assert_eq!(other.property("lastmodifieddate"), "2026-11-02T08:01:00Z");
    assert_eq!(other.body["createdAt"], "2026-11-02T08:00:00Z");
    let cleared = hub.edit(&id, json!({ "firstname": "" })).await;
    assert_eq!(cleared.body["properties"]["firstname"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn values_are_refused_in_hubspots_words() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    hub.contact(json!({ "email": "b@example.com" })).await;
    let table = [
        (json!({ "shoe": "1" }), 400, "PROPERTY_DOESNT_EXIST"),
        (json!({ "lifecyclestage": "Customer" }), 400, "INVALID_OPTION"),
        (json!({ "hs_lead_status": "NEW " }), 400, "INVALID_OPTION"),
        (json!({ "hubspotscore": "5" }), 400, "READ_ONLY_VALUE"),
        (json!({ "hs_object_id": "5" }), 400, "READ_ONLY_VALUE"),
        (json!({ "email": "a@b.test" }), 400, "INVALID_EMAIL"),
        (json!({ "hubspot_owner_id": "1" }), 400, "INVALID_OPTION"),
        (json!({ "hubspot_owner_id": "301001" }), 200, ""),
        (json!({ "email": "B@example.com" }), 409, ""),
        (json!({}), 400, ""),
        (json!({ "firstname": null }), 400, ""),
        (json!({ "firstname": ["x"] }), 400, ""),
    ];
    for (properties, status, code) in table {
        let got = hub.edit(&id, properties.clone()).await;
        assert_eq!((got.status, got.code()), (status, code), "{properties}: {}", got.body);
        if status >= 400 {
            assert_eq!(got.body["status"], "error");
            assert_eq!(got.body["correlationId"].as_str().map(str::len), Some(36));
        }
    }
    let taken = hub.edit(&id, json!({ "email": "b@example.com" })).await;
    insta::assert_json_snapshot!(taken.uncorrelated(), @r#"
    {
      "status": "error",
      "message": "Contact already exists. Existing ID: 101000000002",
      "category": "CONFLICT"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn unique_properties_stand_in_for_the_id() {
    let hub = Hub::new();
    let defined = hub
        .post(
            "/crm/v3/properties/contacts",
            json!({
                "name": "sf_lead_id", "label": "Salesforce lead", "type": "string",
                "fieldType": "text", "groupName": "contactinformation", "hasUniqueValue": true,
            }),
        )
        .await;
    assert_eq!((defined.status, &defined.body["hasUniqueValue"]), (201, &json!(true)));
    let again = hub.post("/crm/v3/properties/contacts", defined.body.clone()).await;
    assert_eq!((again.status, &again.body["category"]), (409, &json!("OBJECT_ALREADY_EXISTS")));

    let id = hub.contact(json!({ "email": "a@example.com", "sf_lead_id": "00Q1" })).await;
    let other = hub.contact(json!({ "email": "b@example.com" })).await;
    let found = hub.get("/crm/v3/objects/contacts/00Q1?idProperty=sf_lead_id").await;
    assert_eq!(found.id(), id);
    let taken = hub.edit(&other, json!({ "sf_lead_id": "00Q1" })).await;
    assert_eq!((taken.status, taken.code()), (400, "CONFLICTING_UNIQUE_VALUE"));
    let freed = hub.edit(&id, json!({ "sf_lead_id": "" })).await;
    assert_eq!(freed.status, 200);
    assert_eq!(hub.edit(&other, json!({ "sf_lead_id": "00Q1" })).await.status, 200);
    let wrong = hub.get("/crm/v3/objects/contacts/x?idProperty=firstname").await;
    assert_eq!(wrong.status, 400);
}

#[tokio::test(start_paused = true)]
async fn lists_page_by_id_and_history_names_its_author() {
    let hub = Hub::new();
    for n in 0..25 {
        hub.contact(json!({ "email": format!("c{n}@example.com") })).await;
    }
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = hub.get(&format!("/crm/v3/objects/contacts?limit=10&after={after}")).await;
        let page = if after.is_empty() {
            hub.get("/crm/v3/objects/contacts?limit=10").await
        } else {
            page
        };
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page.body["paging"]["next"]["after"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert_eq!(hub.get("/crm/v3/objects/contacts?limit=101").await.status, 400);

    let id: u64 = seen[0].parse().unwrap();
    hub.advance(60);
    let now = hub.now();
    hub.sandbox
        .world()
        .hubspot
        .edit_as_user(Object::Contact, id, &[("firstname", "Eva")], 51_002, now)
        .unwrap();
    hub.edit(&seen[0], json!({ "firstname": "Ewa" })).await;
    let read =
        hub.get(&format!("/crm/v3/objects/contacts/{id}?propertiesWithHistory=firstname")).await;
    insta::assert_json_snapshot!(read.body["propertiesWithHistory"], @r#"
    {
      "firstname": [
        {
          "value": "Ewa",
          "timestamp": "2026-11-02T08:01:00Z",
          "sourceType": "INTEGRATION",
          "sourceId": "19083857"
        },
        {
          "value": "Eva",
          "timestamp": "2026-11-02T08:01:00Z",
          "sourceType": "CRM_UI",
          "sourceId": "userId:51002",
          "updatedByUserId": 51002
        }
      ]
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_modelled_is_refused_and_counted() {
    let hub = Hub::new();
    for (method, path, status) in [
        ("GET", "/crm/v3/objects/tickets", 400),
        ("GET", "/crm/v3/lists", 404),
        ("POST", "/crm/v3/objects/contacts/batch/explode", 404),
        ("DELETE", "/crm/v3/owners/1", 405),
        ("GET", "/", 404),
    ] {
        let got = hub.raw(method, path, "{}").await;
        assert_eq!((got.status, got.body["status"].as_str()), (status, Some("error")), "{path}");
    }
    let world = hub.sandbox.world();
    assert_eq!(world.calls.unmodelled().values().sum::<u64>(), 5);
}

#[tokio::test(start_paused = true)]
async fn definitions_pipelines_and_owners_are_shown() {
    let hub = Hub::new();
    let stage = hub.get("/crm/v3/properties/contacts/lifecyclestage").await;
    let values: Vec<&str> = stage.body["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|option| option["value"].as_str().unwrap())
        .collect();
    assert_eq!(values[..3], ["subscriber", "lead", "marketingqualifiedlead"]);
    let score = hub.get("/crm/v3/properties/contacts/hubspotscore").await;
    assert_eq!(score.body["modificationMetadata"]["readOnlyValue"], true);
    let missing = hub.get("/crm/v3/properties/contacts/nonsense").await;
    assert_eq!((missing.status, &missing.body["category"]), (404, &json!("OBJECT_NOT_FOUND")));
    let deals = hub.get("/crm/v3/pipelines/deals").await;
    assert_eq!(deals.body["results"][0]["stages"][5]["metadata"]["probability"], "1.0");
    let contacts = hub.get("/crm/v3/pipelines/contacts").await;
    assert_eq!(contacts.body["results"][0]["id"], "contacts-lifecycle-pipeline");

    let now = hub.now();
    assert!(hub.sandbox.world().hubspot.archive_owner("301003", now));
    assert_eq!(results(&hub.get("/crm/v3/owners").await).len(), 2);
    let archived = hub.get("/crm/v3/owners?archived=True").await;
    assert_eq!(archived.body["results"][0].get("userId"), None);
    assert_eq!(hub.get("/crm/v3/owners/51001?idProperty=userId").await.body["id"], "301001");
    assert_eq!(results(&hub.get("/crm/v3/owners?email=tom.okafor@example.com").await).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn deals_and_tasks_follow_their_stages() {
    let hub = Hub::new();
    let create = async |object: &str, properties: Value| {
        hub.post(&format!("/crm/v3/objects/{object}"), json!({ "properties": properties })).await
    };
    let deal = create(
        "deals",
        json!({ "dealname": "D", "amount": "5000.00", "dealstage": "closedwon", "closedate": "2026-12-31" }),
    )
    .await;
    assert_eq!(deal.property("hs_is_closed_won"), "true");
    assert_eq!(deal.property("closedate"), "2026-12-31T00:00:00Z");
    assert_eq!(deal.property("amount"), "5000.00");
    let wrong = create("deals", json!({ "dealname": "D", "dealstage": "nowhere" })).await;
    assert_eq!((wrong.status, wrong.code()), (400, "INVALID_OPTION"));
    let company = create("companies", json!({ "domain": "example.com" })).await;
    let path = format!("/crm/v3/objects/companies/{}?properties=website", company.id());
    assert_eq!(hub.get(&path).await.property("website"), "example.com");
    assert_eq!(create("companies", json!({ "city": "Bonn" })).await.status, 400);
    let task = create("tasks", json!({ "hs_timestamp": "2026-11-03T08:00:00Z" })).await;
    assert_eq!(task.property("hs_task_is_completed"), "0");
    let path = format!("/crm/v3/objects/tasks/{}", task.id());
    let done = hub.patch(&path, json!({ "properties": { "hs_task_status": "COMPLETED" } })).await;
    assert_eq!(done.property("hs_task_is_completed"), "1");
    assert_eq!(create("notes", json!({ "hs_note_body": "x" })).await.status, 400);
}
