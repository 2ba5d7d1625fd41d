//! First meetings that go wrong easily: accounts that seem to be the same company, deals of
//! companies that are gone, a person who is found from one side only.

use super::*;

fn scene() -> (Sandbox, Engine) {
    let start = "2026-11-02T09:00:00Z".parse().unwrap();
    let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
    set_up(&sandbox);
    let files = ["people.toml", "companies.toml", "deals.toml"].map(|name| {
        let path = format!("{}/mappings/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        (path, text)
    });
    let mappings = load(files.to_vec()).unwrap();
    let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let clock = Clock::starting_at(start);
    let engine = Engine::new(journal, platforms, mappings, clock, Options::default(), 1);
    (sandbox, engine)
}

fn sales_types_in(sandbox: &Sandbox, name: &str, website: &str) -> String {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let user = world.salesforce.staff.sales[0].clone();
    let values = map(json!({ "Name": name, "Website": website }));
    world.salesforce.person_creates(now, &user, "Account", &values).unwrap().to_string()
}

fn companies(sandbox: &Sandbox) -> usize {
    sandbox.world().hubspot.all(Object::Company).count()
}

/// Who waits for a person, with whom they may be and why.
async fn doubts(engine: &Engine) -> Vec<(String, String)> {
    let doubts = engine.journal.matches(None, None, 10).await.unwrap();
    doubts.into_iter().map(|it| (it.record.id, it.reason)).collect()
}

#[tokio::test(start_paused = true)]
async fn of_two_accounts_with_one_domain_only_the_first_makes_a_company() {
    let (sandbox, engine) = scene();
    let first = sales_types_in(&sandbox, "North", "https://www.example.com/");
    let second = sales_types_in(&sandbox, "South", "example.com");
    engine.start().await.unwrap();
    pass(&engine).await;
    assert_eq!(companies(&sandbox), 1);
    let waiting = doubts(&engine).await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(waiting[0].0 == first || waiting[0].0 == second, "{waiting:?}");
    assert!(waiting[0].1.contains("belongs to"), "{waiting:?}");
}

#[tokio::test(start_paused = true)]
async fn a_company_that_no_search_shows_yet_is_not_made_twice() {
    let (sandbox, engine) = scene();
    let lag = jiff::SignedDuration::from_mins(10);
    sandbox.world().hubspot.settings.search_lag = lag;
    sales_types_in(&sandbox, "North", "https://www.example.com/");
    engine.start().await.unwrap();
    pass(&engine).await;
    assert_eq!(companies(&sandbox), 1);
    let second = sales_types_in(&sandbox, "South", "example.com");
    tokio::time::sleep(Duration::from_secs(60)).await;
    pass(&engine).await;
    assert_eq!(companies(&sandbox), 1);
    let waiting = doubts(&engine).await;
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!(waiting[0].0, second);
    assert!(waiting[0].1.contains("has the same matching key, and belongs to link"), "{waiting:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deal_whose_account_was_deleted_arrives_without_one() {
    let (sandbox, engine) = scene();
    let account = sales_types_in(&sandbox, "North", "example.com");
    engine.start().await.unwrap();
    pass(&engine).await;
    {
        let now = sandbox.clock().now();
        let mut world = sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        world.salesforce.person_deletes(now, &user, &account).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    pass(&engine).await;
    {
        let now = sandbox.clock().now();
        let mut world = sandbox.world();
        let company = world.hubspot.all(Object::Company).next().unwrap().id;
        let values = [
            ("dealname", "Spring"),
            ("dealstage", "contractsent"),
            ("closedate", "2026-12-15T16:30:00Z"),
        ];
        let deal = world.hubspot.create_as_user(Object::Deal, &values, FIRST_USER, now).unwrap();
        let ends = ((Object::Deal, deal), (Object::Company, company));
        world.hubspot.associate_as_user(ends.0, ends.1, FIRST_USER, now).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    pass(&engine).await;
    {
        let world = sandbox.world();
        let deals: Vec<_> = world.salesforce.records("Opportunity").collect();
        assert_eq!(deals.len(), 1);
        assert_eq!((deals[0].text("Name"), deals[0].text("AccountId")), (Some("Spring"), None));
    }
    assert_eq!(engine.journal.pending_page(None, 10).await.unwrap(), []);
}

/// The contact names the Lead that has become a Salesforce contact since; by what that one says
/// itself, with an address of its own, HubSpot does not know it.
#[tokio::test(start_paused = true)]
async fn who_is_found_from_one_side_only_is_not_created_from_the_other() {
    let (sandbox, engine) = scene();
    engine.start().await.unwrap();
    pass(&engine).await;
    {
        let now = sandbox.clock().now();
        let mut world = sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        let values = json!({
            "LastName": "King", "Company": "Acme", "Email": "ada@work.example.com",
        });
        let lead = world.salesforce.person_creates(now, &user, "Lead", &map(values)).unwrap();
        world.salesforce.convert_lead(now, &user, &lead, &Conversion::default()).unwrap();
        let values =
            [("email", "ada@example.com"), ("lastname", "King"), ("salesforce_id", &*lead)];
        world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap();
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        pass(&engine).await;
    }
    {
        let world = sandbox.world();
        let contacts: Vec<_> = world.hubspot.all(Object::Contact).collect();
        assert_eq!(contacts.len(), 1);
        let persons: Vec<_> = world.salesforce.records("Contact").collect();
        assert_eq!(persons.len(), 1);
        assert_eq!(contacts[0].get("salesforce_id").as_deref(), Some(&*persons[0].id));
    }
    let links = engine.journal.links("people", None, 10).await.unwrap();
    assert_eq!(links.len(), 1, "{links:#?}");
    let lines = engine.journal.history(links[0].id, None, 100).await.unwrap();
    assert!(lines.iter().all(|line| line.rule != "created"), "{lines:#?}");
}
