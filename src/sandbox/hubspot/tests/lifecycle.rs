use super::*;

#[tokio::test(start_paused = true)]
async fn a_backward_stage_is_refused_without_a_word() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com" })).await;
    let stage = async |stage: &str| {
        hub.advance(10);
        let got = hub.edit(&id, json!({ "lifecyclestage": stage })).await;
        assert_eq!(got.status, 200);
        (got.property("lifecyclestage").to_owned(), got.body["updatedAt"].clone())
    };
    assert_eq!(
        stage("salesqualifiedlead").await,
        ("salesqualifiedlead".into(), json!("2026-11-02T08:00:10Z"))
    );
    assert_eq!(stage("lead").await, ("salesqualifiedlead".into(), json!("2026-11-02T08:00:10Z")));
    assert_eq!(stage("").await.0, "");
    assert_eq!(stage("lead").await.0, "lead");
    let names = "hs_lifecyclestage_lead_date,hs_lifecyclestage_salesqualifiedlead_date,\
                 hs_v2_date_exited_salesqualifiedlead,hs_v2_date_entered_lead";
    let dates = hub.get(&format!("/crm/v3/objects/contacts/{id}?properties={names}")).await;
    assert_eq!(dates.property("hs_lifecyclestage_lead_date"), "1793606440000");
    assert_eq!(dates.property("hs_lifecyclestage_salesqualifiedlead_date"), "1793606410000");
    assert_eq!(dates.property("hs_v2_date_exited_salesqualifiedlead"), "2026-11-02T08:00:30Z");
    assert_eq!(dates.property("hs_v2_date_entered_lead"), "2026-11-02T08:00:40Z");
}

#[tokio::test(start_paused = true)]
async fn other_values_of_a_backward_write_are_taken() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com", "lifecyclestage": "customer" })).await;
    let got = hub.edit(&id, json!({ "lifecyclestage": "lead", "firstname": "A" })).await;
    assert_eq!((got.property("lifecyclestage"), got.property("firstname")), ("customer", "A"));
    hub.sandbox.world().hubspot.settings.refused_stage_bumps = true;
    hub.advance(5);
    let got = hub.edit(&id, json!({ "lifecyclestage": "lead" })).await;
    assert_eq!(got.body["updatedAt"], "2026-11-02T08:00:05Z");
}

#[tokio::test(start_paused = true)]
async fn people_move_back_and_custom_stages_have_a_place() {
    let hub = Hub::new();
    let id = hub.contact(json!({ "email": "a@example.com", "lifecyclestage": "customer" })).await;
    let now = hub.now();
    let number: u64 = id.parse().unwrap();
    {
        let mut world = hub.sandbox.world();
        let account = &mut world.hubspot;
        let back = [("lifecyclestage", "subscriber")];
        assert!(account.edit_as_user(Object::Contact, number, &back, 51_001, now).unwrap());
        account.add_lifecycle_stage("51439524", "Recycled", Some("marketingqualifiedlead"));
    }
    let got = hub.edit(&id, json!({ "lifecyclestage": "51439524" })).await;
    assert_eq!(got.property("lifecyclestage"), "51439524");
    let got = hub.edit(&id, json!({ "lifecyclestage": "lead" })).await;
    assert_eq!(got.property("lifecyclestage"), "51439524");
    let got = hub.edit(&id, json!({ "lifecyclestage": "marketingqualifiedlead" })).await;
    assert_eq!(got.property("lifecyclestage"), "marketingqualifiedlead");
}

#[tokio::test(start_paused = true)]
async fn automatic_moves_happen_when_they_are_switched_on() {
    let hub = Hub::new();
    let now = hub.now();
    let mut world = hub.sandbox.world();
    let account = &mut world.hubspot;
    let contact = |account: &mut Account, email: &str| {
        account.create_as_user(Object::Contact, &[("email", email)], 51_001, now).unwrap()
    };
    let stage = |account: &Account, id| {
        account.value(Object::Contact, id, "lifecyclestage").unwrap_or_default()
    };
    let off = contact(account, "a@acme.com");
    assert!(account.associated(Object::Contact, off, Object::Company).is_empty());
    account.settings.companies_from_domains = true;
    account.settings.company_stage_to_contacts = true;
    account.settings.deals_move_stage = true;
    let (one, two) = (contact(account, "b@acme.com"), contact(account, "c@acme.com"));
    let company = account.primary_company(one).unwrap();
    assert_eq!(account.primary_company(two), Some(company), "the company is made once");
    assert_eq!(
        account.value(Object::Contact, one, "associatedcompanyid"),
        Some(company.to_string())
    );
    let sql = [("lifecyclestage", "salesqualifiedlead")];
    account.edit_as_user(Object::Company, company, &sql, 51_001, now).unwrap();
    assert_eq!(stage(account, one), "salesqualifiedlead");
    let source = &account.get(Object::Contact, one).unwrap().history("lifecyclestage")[1].source;
    assert_eq!(&*source.kind, "COMPANIES");
    let deal = account
        .create_as_user(
            Object::Deal,
            &[("dealname", "D"), ("dealstage", "contractsent")],
            51_001,
            now,
        )
        .unwrap();
    account.associate_as_user((Object::Deal, deal), (Object::Contact, one), 51_001, now).unwrap();
    assert_eq!(
        (stage(account, one), stage(account, two)),
        ("opportunity".into(), "salesqualifiedlead".into())
    );
    let won = [("dealstage", "closedwon")];
    account.edit_as_user(Object::Deal, deal, &won, 51_001, now).unwrap();
    assert_eq!(stage(account, one), "customer");
}
