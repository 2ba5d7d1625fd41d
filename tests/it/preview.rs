//! What a preview shows is what the service then does, and nothing is written meanwhile.

use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, in_process, set_up};
use lockstep::daemon::preview::preview;
use lockstep::daemon::{Clock, Engine, Misfit, Options, Preview, misfits, read_mappings};
use lockstep::journal::{Disk, Journal, MemoryStore};
use lockstep::mapping::{Mappings, load};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::{Sandbox, SandboxClock};

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
    assert!(shown.changes_in_all > 3 && shown.changes.len() == 3, "{shown:?}");
    let fresh = |text: &Option<String>| text.as_deref() == Some("Lead (new)");
    assert!(shown.changes.iter().any(|one| fresh(&one.records.salesforce)), "{shown:?}");

    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let clock = Clock::starting_at(sandbox.clock().now());
    let own = journal(&disk);
    let engine = Engine::new(own.clone(), platforms, shipped(), clock, Options::default(), 1);
    engine.start().await.unwrap();
    engine.listen().await.unwrap();
    let done = engine.settle_all(Duration::from_secs(10)).await.unwrap();
    assert_eq!(
        shown.writes.salesforce.created, done.created.salesforce as u64,
        "{shown:?} {done:?}"
    );
    assert!(done.created.salesforce > 0);
    assert!(writes(&sandbox) > 0, "the calls that write are not seen");

    // Nothing is left to do, and the preview of it says so.
    tokio::time::sleep(Duration::from_secs(120)).await;
    engine.listen().await.unwrap();
    engine.settle_all(Duration::from_secs(10)).await.unwrap();
    let before = writes(&sandbox);
    let quiet = look(&sandbox, &journal(&disk.image()), 10).await;
    assert_eq!(writes(&sandbox), before);
    assert_eq!(quiet.changes, [], "{quiet:?}");
    assert_eq!(quiet.writes, Default::default());
    assert!(quiet.compared >= 3, "{quiet:?}");
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
