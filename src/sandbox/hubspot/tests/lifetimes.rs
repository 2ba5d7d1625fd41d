use super::*;

#[tokio::test(start_paused = true)]
async fn a_merge_makes_a_new_id_and_old_ones_lead_to_it() {
    let hub = Hub::new();
    let a = hub.contact(json!({ "email": "a@example.com", "firstname": "A" })).await;
    let b = hub
        .contact(json!({ "email": "b@example.com", "firstname": "B", "lastname": "Bee", "lifecyclestage": "customer" }))
        .await;
    hub.advance(30);
    let merge = json!({ "primaryObjectId": a, "objectIdToMerge": b });
    let got = hub.post("/crm/v3/objects/contacts/merge", merge.clone()).await;
    assert_eq!(got.status, 200);
    let id = got.id();
    assert!(id != a && id != b);
    let names = "firstname,lastname,email,hs_additional_emails,lifecyclestage,hs_merged_object_ids";
    for old in [&a, &b, &id] {
        let read = hub.get(&format!("/crm/v3/objects/contacts/{old}?properties={names}")).await;
        assert_eq!((read.status, read.id()), (200, id.clone()));
        assert_eq!((read.property("firstname"), read.property("lastname")), ("A", "Bee"));
        assert_eq!(read.property("email"), "a@example.com");
        assert_eq!(read.property("hs_additional_emails"), "b@example.com");
        assert_eq!(read.property("lifecyclestage"), "customer");
        assert_eq!(read.property("hs_merged_object_ids"), format!("{a};{b}"));
    }
    let secondary = hub.get("/crm/v3/objects/contacts/b@example.com?idProperty=email").await;
    assert_eq!(secondary.id(), id);
    assert_eq!(hub.edit(&b, json!({ "city": "Bonn" })).await.status, 200);
    let update = json!({ "inputs": [{ "id": b, "properties": { "city": "Ulm" } }] });
    let got = hub.post("/crm/v3/objects/contacts/batch/update", update).await;
    assert_eq!((got.status, results(&got).len()), (207, 0), "a batch does not know old ids");
    let read =
        hub.post("/crm/v3/objects/contacts/batch/read", json!({ "inputs": [{ "id": b }] })).await;
    assert_eq!((read.status, ids(&read)), (200, vec![id.as_str()]));
    assert_eq!(hub.post("/crm/v3/objects/contacts/merge", merge).await.status, 400);
    // Making the secondary address the primary one lets the two change places.
    let swapped = hub.edit(&id, json!({ "email": "b@example.com" })).await;
    assert_eq!(swapped.property("email"), "b@example.com");
    assert!(hub.sandbox.world().hubspot.find_by_email("a@example.com").is_some());
}

#[tokio::test(start_paused = true)]
async fn archived_records_are_listed_apart_and_come_back() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    let path = format!("/crm/v3/objects/contacts/{id}");
    for _ in 0..2 {
        assert_eq!(hub.raw("DELETE", &path, "").await.status, 204, "also when it is gone");
    }
    assert_eq!(hub.get(&path).await.status, 404);
    assert_eq!(hub.edit(&id, json!({ "city": "Bonn" })).await.status, 404);
    let archived = hub.get(&format!("{path}?archived=True")).await;
    assert_eq!(
        (&archived.body["archived"], &archived.body["archivedAt"]),
        (&json!(true), &json!("2026-11-02T08:00:00Z"))
    );
    assert_eq!(results(&hub.get("/crm/v3/objects/contacts").await).len(), 0);
    assert_eq!(results(&hub.get("/crm/v3/objects/contacts?archived=true").await).len(), 1);

    let other = hub.contact(json!({ "email": "a@example.com" })).await;
    assert_ne!(other, id, "the address was free");
    let (now, number) = (hub.now(), id.parse().unwrap());
    let mut world = hub.sandbox.world();
    let account = &mut world.hubspot;
    let taken = account.restore(Object::Contact, number, 51_001, now).unwrap_err();
    assert!(matches!(taken, write::WriteError::Exists { .. }), "{taken}");
    account.archive(Object::Contact, other.parse().unwrap(), 51_001, now).unwrap();
    account.restore(Object::Contact, number, 51_001, now).unwrap();
    assert_eq!(account.find_by_email("a@example.com").unwrap().id, number);
}

#[tokio::test(start_paused = true)]
async fn an_erased_contact_never_comes_back() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    let erase =
        async |body: Value| hub.post("/crm/v3/objects/contacts/gdpr-delete", body).await.status;
    assert_eq!(erase(json!({ "objectId": id })).await, 204);
    assert_eq!(erase(json!({ "objectId": "b@example.com", "idProperty": "email" })).await, 204);
    for email in ["a@example.com", "b@example.com"] {
        let body = json!({ "properties": { "email": email } });
        assert_eq!(hub.post("/crm/v3/objects/contacts", body).await.status, 400);
    }
    assert_eq!(hub.get(&format!("/crm/v3/objects/contacts/{id}?archived=true")).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn a_survivor_keeps_both_records_associations() {
    let hub = Hub::new();
    let now = hub.now();
    let mut world = hub.sandbox.world();
    let account = &mut world.hubspot;
    let mut create = |object, name, value| {
        account.create_as_user(object, &[(name, value)], 51_001, now).unwrap()
    };
    let a = create(Object::Contact, "email", "a@example.com");
    let b = create(Object::Contact, "email", "b@example.com");
    let one = create(Object::Company, "name", "One");
    let two = create(Object::Company, "name", "Two");
    for (contact, company) in [(a, two), (b, one)] {
        let ends = ((Object::Contact, contact), (Object::Company, company));
        account.associate_as_user(ends.0, ends.1, 51_001, now).unwrap();
    }
    account.associate_as_user((Object::Contact, a), (Object::Contact, b), 51_001, now).unwrap();
    let id = account.merge_as_user(Object::Contact, a, b, 51_001, now).unwrap();
    assert_eq!(account.associated(Object::Contact, id, Object::Company), [one, two]);
    assert_eq!(account.primary_company(id), Some(two), "the primary's stays");
    assert!(account.associated(Object::Contact, id, Object::Contact).is_empty());
    assert_eq!(
        account.value(Object::Company, one, "num_associated_contacts").as_deref(),
        Some("1")
    );
    assert_eq!(account.associated(Object::Company, one, Object::Contact), [id]);
}
