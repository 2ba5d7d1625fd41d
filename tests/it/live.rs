//! The shipped mappings against accounts that are not as they expect.

use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::{Clock, Engine, Options, read_mappings};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::{Mappings, load};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};
use serde_json::json;

fn shipped() -> Mappings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    load(read_mappings(folder.as_ref()).unwrap()).unwrap()
}

fn sandbox() -> Sandbox {
    let start = "2026-11-02T09:00:00Z".parse().unwrap();
    let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
    set_up(&sandbox);
    sandbox
}

/// An Account's Website and a company's domain are the same in two spellings, and no name helps.
#[tokio::test(start_paused = true)]
async fn a_company_is_recognised_by_its_domain_in_any_usual_spelling() {
    for website in ["https://www.acme.example/", "http://acme.example", "www.ACME.example"] {
        let sandbox = sandbox();
        let now = sandbox.clock().now();
        {
            let mut world = sandbox.world();
            let company = [("name", "Acme"), ("domain", "acme.example")];
            world.hubspot.create_as_user(Object::Company, &company, FIRST_USER, now).unwrap();
            let account = json!({ "Name": "Something else", "Website": website });
            world.salesforce.seed(now, "Account", None, account);
        }
        // HubSpot's search shows a new record after some seconds.
        tokio::time::sleep(Duration::from_secs(60)).await;
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
        let clock = Clock::starting_at(sandbox.clock().now());
        let engine =
            Engine::new(journal.clone(), platforms, shipped(), clock, Options::default(), 1);
        engine.start().await.unwrap();
        engine.listen().await.unwrap();
        engine.settle_all(Duration::from_secs(10)).await.unwrap();
        let world = sandbox.world();
        let companies: Vec<_> = world.hubspot.all(Object::Company).collect();
        assert_eq!(companies.len(), 1, "{website}: a second company was created");
        let account = world.salesforce.records("Account").next().unwrap();
        assert_eq!(
            account.text("HubSpot_Id__c"),
            Some(companies[0].id.to_string().as_str()),
            "{website}: not linked"
        );
    }
}
