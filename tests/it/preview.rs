//! What a preview shows is what the service then does, and nothing is written meanwhile.

use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::preview::{Cost, preview};
use lockstep::daemon::{Clock, Engine, Misfit, Options, Preview, misfits, read_mappings};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::{Mappings, load};
use lockstep::record::Side;
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};
use serde_json::json;

const START: &str = "2026-11-02T09:00:00Z";

fn shipped() -> Mappings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    load(read_mappings(folder.as_ref()).unwrap()).unwrap()
}

fn sandbox() -> Sandbox {
    Sandbox::new(1, SandboxClock::starting_at(START.parse().unwrap()))
}

fn journal(disk: &Disk) -> Journal {
    Journal::inline(MemoryStore::open(disk), [7; 32]).unwrap()
}

async fn look(sandbox: &Sandbox, copy: &Journal, limit: usize) -> Preview {
    let platforms = in_process(sandbox, &Clients::default()).unwrap();
    let clock = Clock::starting_at(START.parse().unwrap());
    preview(copy, platforms, shipped(), &clock, Options::default(), limit).await.unwrap()
}

/// Calls that write, by what they ask for: a read can be a POST as well.
fn writes(sandbox: &Sandbox) -> u64 {
    let world = sandbox.world();
    let counted = world.calls.counted().iter();
    let writing = counted.filter(|(key, _)| {
        let words = ["update", "upsert", "create", "archive"];
        matches!(key.method.as_str(), "PATCH" | "DELETE")
            || (key.method == "POST" && words.iter().any(|word| key.route.ends_with(word)))
    });
    writing.map(|(_, count)| count).sum()
}

#[tokio::test(start_paused = true)]
async fn it_shows_what_then_happens_and_writes_nothing() {
    let sandbox = sandbox();
    set_up(&sandbox);
    for (number, score) in [("1", "61"), ("2", "99"), ("3", "5")] {
        let email = format!("person{number}@example.com");
        let properties = [
            ("email", email.as_str()),
            ("firstname", "Ada"),
            ("lastname", "King"),
            ("lifecyclestage", "lead"),
            ("lead_score", score),
        ];
        let now = sandbox.clock().now();
        sandbox
            .world()
            .hubspot
            .create_as_user(Object::Contact, &properties, FIRST_USER, now)
            .unwrap();
    }
    let disk = Disk::default();
    let shown = look(&sandbox, &journal(&disk.image()), 3).await;
    assert_eq!(writes(&sandbox), 0, "a preview wrote");
    told_with_their_values(&shown);

    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let clock = Clock::starting_at(sandbox.clock().now());
    let own = journal(&disk);
    let engine = Engine::new(own.clone(), platforms, shipped(), clock, Options::default(), 1);
    engine.start().await.unwrap();
    let made =
        || engine.platforms.hubspot.budget().made + engine.platforms.salesforce.budget().made;
    let signed_in = made();
    engine.listen().await.unwrap();
    let done = engine.settle_all(Duration::from_secs(10)).await.unwrap();
    for side in Side::BOTH {
        let (shown, made) = (shown.writes.get(side), *done.created.get(side) as u64);
        assert_eq!(shown.created, made, "{side} {shown:?} {done:?}");
        assert_eq!(shown.updated, *done.written.get(side) as u64, "{side} {shown:?} {done:?}");
        assert_eq!(shown.deleted, 0, "{side} {shown:?}");
    }
    assert!(done.created.salesforce > 0);
    // What it cost is what was said: nothing was refused here.
    let cost = |of: fn(&Cost) -> u64| of(&shown.calls.hubspot) + of(&shown.calls.salesforce);
    assert!(writes(&sandbox) > 0, "the calls that write are not seen");
    assert_eq!(cost(|cost| cost.writes), writes(&sandbox), "{shown:?}");
    assert_eq!(cost(|cost| cost.reads), made() - signed_in - writes(&sandbox), "{shown:?}");

    // Nothing is left to do, and the preview of it says so.
    tokio::time::sleep(Duration::from_secs(120)).await;
    engine.listen().await.unwrap();
    engine.settle_all(Duration::from_secs(10)).await.unwrap();
    let before = writes(&sandbox);
    let quiet = look(&sandbox, &journal(&disk.image()), 10).await;
    assert_eq!(writes(&sandbox), before);
    assert_eq!(quiet.changes, [], "{quiet:?}");
    assert_eq!(quiet.creations, [], "{quiet:?}");
    assert!(quiet.calls.hubspot.writes == 0 && quiet.calls.salesforce.writes == 0, "{quiet:?}");
    assert_eq!(quiet.writes, Default::default());
    assert!(quiet.compared >= 3, "{quiet:?}");
}

/// Each record that would be created is told with the record across and its values; where only some are
/// shown, all are counted.
fn told_with_their_values(shown: &Preview) {
    assert_eq!(shown.creations.len(), shown.creations_in_all, "{shown:?}");
    assert_eq!(shown.deletions_in_all, 0, "{shown:?}");
    let lead = shown.creations.iter().find(|record| {
        record.records.salesforce.as_deref() == Some("Lead (new)")
            && record.fields.iter().any(|field| field.new == json!("person2@example.com"))
    });
    let lead = lead.unwrap_or_else(|| panic!("{shown:#?}"));
    assert_eq!((lead.mapping.as_str(), lead.side), ("people", Side::Salesforce));
    let contact = lead.records.hubspot.as_deref().unwrap();
    let id = contact.strip_prefix("contacts ").unwrap();
    assert_eq!((lead.fields[0].field.as_str(), &lead.fields[0].new), ("HubSpot_Id__c", &json!(id)));
    for (name, new) in [("first_name", json!("Ada")), ("last_name", json!("King"))] {
        let field = lead.fields.iter().find(|field| field.field == name).unwrap();
        assert_eq!(field.new, new);
        assert!(!field.rule.is_empty() && !field.reason.is_empty(), "{field:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn mappings_are_compared_with_the_accounts() {
    let ask = |sandbox: Sandbox| async move {
        let platforms = in_process(&sandbox, &Clients::default()).unwrap();
        let list: Vec<Arc<_>> = shipped().list;
        misfits(&list, &platforms).await.unwrap()
    };
    let missing = ask(sandbox()).await;
    let names = |found: &[Misfit]| -> Vec<String> {
        let hindering = found.iter().filter(|misfit| misfit.hinders);
        hindering.filter_map(|misfit| misfit.field.clone()).collect()
    };
    for name in ["salesforce_id", "HubSpot_Id__c", "Lifecycle_Stage__c", "lead_score"] {
        assert!(names(&missing).contains(&name.to_owned()), "{name}: {missing:?}");
    }
    let ready = sandbox();
    set_up(&ready);
    let rest = ask(ready).await;
    assert_eq!(names(&rest), Vec::<String>::new(), "{rest:?}");
}
