//! Who edits a record while thousands are taken in does not wait for them. What is counted is
//! settlements and calls, in virtual time: how fast the machine is does not matter.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::daemon::{Settled, Stream};
use crate::journal::Lane;

/// How long a call takes.
const CALL: Duration = Duration::from_millis(150);

/// A network with a way to go.
struct Far {
    inner: InProcess,
    calls: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Http for Far {
    async fn call(
        &self,
        request: http::Request<bytes::Bytes>,
    ) -> Result<http::Response<bytes::Bytes>, NetError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(CALL).await;
        self.inner.call(request).await
    }
}

fn start_far() -> (Sandbox, Engine, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    // That many people come at once is no accident here.
    let limits = Limits { changes: 100_000, creates: 100_000, share: 1.0, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let (sandbox, engine) = start_through(options, |sandbox| {
        let far = |inner| -> Arc<dyn Http> { Arc::new(Far { inner, calls: Arc::clone(&calls) }) };
        let http = PerSide {
            hubspot: far(InProcess::new(sandbox.hubspot())),
            salesforce: far(InProcess::new(sandbox.salesforce())),
        };
        connect(http, addresses(), &Clients::default()).unwrap()
    });
    (sandbox, engine, calls)
}

fn contact(sandbox: &Sandbox, name: &str, stage: &str, score: &str) -> u64 {
    let email = format!("{name}@example.com");
    let values = [
        ("email", email.as_str()),
        ("lastname", name),
        ("lifecyclestage", stage),
        ("lead_score", score),
    ];
    let now = sandbox.clock().now();
    sandbox.world().hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).unwrap()
}

/// How many entries wait in a lane.
async fn waiting(engine: &Engine, lane: Lane) -> i64 {
    let counters = engine.journal.statistics().await.unwrap().mappings;
    counters.get("people").and_then(|of| of.get(lane.counter())).copied().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn an_edit_waits_for_one_small_batch_at_most_while_thousands_are_taken_in() {
    let (sandbox, engine, calls) = start_far();
    let ada = contact(&sandbox, "ada", "marketingqualifiedlead", "61");
    engine.start().await.unwrap();
    pass(&engine).await;
    let (lead, user) = {
        let world = sandbox.world();
        let lead = world.salesforce.records("Lead").next().unwrap().id.clone();
        (lead, world.salesforce.staff.sales[0].clone())
    };
    for number in 0..3_000 {
        contact(&sandbox, &format!("cold{number}"), "subscriber", "3");
    }
    engine.sweep().await.unwrap();
    while engine.backfill().await.unwrap().is_some() {}
    let before = waiting(&engine, Lane::Backfill).await;
    assert!(before >= 3_000, "{before}");

    let log: Mutex<Vec<Settled>> = Mutex::default();
    let settle = async {
        loop {
            let settled = engine.settle_due().await.unwrap();
            if settled.taken == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            } else {
                log.lock().unwrap().push(settled);
            }
        }
    };
    let people = async {
        let mut waits = Vec::new();
        for number in 0..25 {
            // Each at another moment of a batch under way.
            tokio::time::sleep(Duration::from_millis(700 + 137 * number)).await;
            let title = format!("Countess {number}");
            let edit = map(json!({ "Title": title }));
            let now = sandbox.clock().now();
            sandbox.world().salesforce.person_edits(now, &user, &lead, &edit).unwrap();
            engine.poll(Side::Salesforce, Stream::Changed).await.unwrap();
            let (heard, begun) = (log.lock().unwrap().len(), calls.load(Ordering::Relaxed));
            let landed = || sandbox.world().hubspot.value(Object::Contact, ada, "jobtitle");
            while landed().as_deref() != Some(&title) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let between: Vec<Settled> = log.lock().unwrap()[heard..].to_vec();
            let whole = |settled: &&Settled| settled.taken > 1 && settled.put_back == 0;
            let whole = between.iter().filter(whole).count();
            waits.push((whole, calls.load(Ordering::Relaxed) - begun));
        }
        waits
    };
    let waits = tokio::select! {
        biased;
        () = settle => Vec::new(),
        waits = people => waits,
    };
    let worst = waits.iter().map(|(batches, _)| *batches).max();
    assert!(worst <= Some(1), "batches between an edit and its write, and calls: {waits:?}");
    // Two to read both sides, one to write: the others are the rest of a batch under way.
    let free = waits.iter().filter(|(batches, calls)| *batches == 0 && *calls <= 6).count();
    assert!(free * 4 >= waits.len() * 3, "{waits:?}");
    let after = waiting(&engine, Lane::Backfill).await;
    assert!(after < before - 300, "the import moves meanwhile: {before}, then {after}");
    engine.settle_all(Duration::from_secs(60)).await.unwrap();
    assert_eq!(waiting(&engine, Lane::Backfill).await, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_about_to_go_to_sales_is_first_out_of_the_middle_of_an_import() {
    let (sandbox, engine, _) = start_far();
    engine.start().await.unwrap();
    pass(&engine).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    for number in 0..3_000 {
        match number {
            1_500 => contact(&sandbox, "hot", "lead", "77"),
            _ => contact(&sandbox, &format!("cold{number}"), "subscriber", "3"),
        };
    }
    // HubSpot's search shows them after a while.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let heeded = engine.poll(Side::HubSpot, Stream::Changed).await.unwrap();
    assert_eq!(heeded.heard, 3_000);
    assert_eq!(waiting(&engine, Lane::Handoff).await, 1);
    let flood = waiting(&engine, Lane::Backfill).await;
    assert!(flood >= 1_000, "what goes beyond a flood's beginning waits behind: {flood}");
    let first = engine.settle_due().await.unwrap();
    assert_eq!((first.taken > 0, first.created.salesforce), (true, 1), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_a_webhook_tells_of_is_no_part_of_what_a_poll_lists_in_the_same_second() {
    let (sandbox, engine, _) = start_far();
    let engine = Arc::new(engine);
    let ada = contact(&sandbox, "ada", "marketingqualifiedlead", "61");
    engine.start().await.unwrap();
    pass(&engine).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    for number in 0..3_000 {
        contact(&sandbox, &format!("cold{number}"), "subscriber", "3");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let postman = Postman::new(&sandbox, &engine).unwrap();
    let heeded = engine.poll(Side::HubSpot, Stream::Changed).await.unwrap();
    assert_eq!(heeded.heard, 3_000);
    let (prompt, flood) =
        (waiting(&engine, Lane::Ordinary).await, waiting(&engine, Lane::Backfill).await);
    assert!(flood > 1_500 && prompt > 0, "{prompt} and {flood}");
    let now = sandbox.clock().now();
    let edit = [("jobtitle", "Countess")];
    sandbox.world().hubspot.edit_as_user(Object::Contact, ada, &edit, FIRST_USER, now).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(postman.deliver().await, 1);
    assert_eq!(waiting(&engine, Lane::Ordinary).await, prompt + 1);
    assert_eq!(waiting(&engine, Lane::Backfill).await, flood);
    // Whom the flood has put behind is moved forward by the word of another way.
    let entries = engine.journal.pending_page(None, 4_000).await.unwrap();
    let behind = entries.into_iter().find(|entry| entry.lane == Lane::Backfill).unwrap();
    let late = behind.told.into_keys().next().unwrap().id.parse().unwrap();
    let now = sandbox.clock().now();
    sandbox.world().hubspot.edit_as_user(Object::Contact, late, &edit, FIRST_USER, now).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(postman.deliver().await, 1);
    assert_eq!(waiting(&engine, Lane::Ordinary).await, prompt + 2);
    assert_eq!(waiting(&engine, Lane::Backfill).await, flood - 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_types_does_not_wait_behind_a_script_that_runs_through_all_contacts() {
    let (sandbox, engine, _) = start_far();
    let engine = Arc::new(engine);
    let people: Vec<u64> = (0..2_000)
        .map(|number| contact(&sandbox, &format!("cold{number}"), "subscriber", "3"))
        .collect();
    engine.start().await.unwrap();
    pass(&engine).await;
    let postman = Postman::new(&sandbox, &engine).unwrap();
    for person in &people {
        let now = sandbox.clock().now();
        let account = &mut sandbox.world().hubspot;
        let edit = [("jobtitle", "Reader")];
        account.edit_as_app(Object::Contact, *person, &edit, 4_711, now).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(postman.deliver().await > 0);
    let (prompt, flood) =
        (waiting(&engine, Lane::Ordinary).await, waiting(&engine, Lane::Backfill).await);
    assert!(flood > 700 && prompt > 0, "{prompt} and {flood}");
    let entries = engine.journal.pending_page(None, 4_000).await.unwrap();
    let behind = entries.into_iter().find(|entry| entry.lane == Lane::Backfill).unwrap();
    let late = behind.told.into_keys().next().unwrap().id.parse().unwrap();
    let now = sandbox.clock().now();
    let edit = [("jobtitle", "Countess")];
    sandbox.world().hubspot.edit_as_user(Object::Contact, late, &edit, FIRST_USER, now).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(postman.deliver().await, 1);
    assert_eq!(waiting(&engine, Lane::Ordinary).await, prompt + 1);
}
