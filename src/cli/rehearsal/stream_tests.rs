//! Salesforce's word of changes, from the sandbox's bus to the other side: nobody polls here unless
//! a test says so.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::tests::shipped;
use super::*;
use crate::daemon::{Clock, Cover, Engine, Options, PushState, Stream, StreamChoice};
use crate::journal::{Disk, Journal, MemoryStore};
use crate::record::Source;
use crate::sandbox::SandboxClock;
use crate::sandbox::fault::How;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::salesforce::ui::Conversion;

struct Scene {
    sandbox: Sandbox,
    disk: Disk,
    clock: Clock,
    contact: u64,
}

impl Scene {
    /// One person on both sides, agreed.
    async fn new() -> Self {
        let start = "2026-11-02T09:00:00Z".parse().unwrap();
        let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
        set_up(&sandbox);
        let values = [("email", "ada@example.com"), ("lifecyclestage", "marketingqualifiedlead")];
        let made =
            sandbox.world().hubspot.create_as_user(Object::Contact, &values, FIRST_USER, start);
        let clock = Clock::starting_at(start);
        let scene = Self { sandbox, disk: Disk::default(), clock, contact: made.unwrap() };
        let engine = scene.engine(Options::default());
        engine.start().await.unwrap();
        for _ in 0..3 {
            engine.listen().await.unwrap();
            engine.settle_all(Duration::from_secs(10)).await.unwrap();
            sleep(Duration::from_secs(60)).await;
        }
        scene
    }

    fn engine(&self, options: Options) -> Engine {
        let (platforms, events) =
            in_process_with_events(&self.sandbox, &Clients::default()).unwrap();
        let journal = Journal::inline(MemoryStore::open(&self.disk), [7; 32]).unwrap();
        Engine::new(journal, platforms, shipped(), self.clock.clone(), options, 1)
            .with_events(Some(events))
    }

    fn lead(&self) -> String {
        self.sandbox.world().salesforce.records("Lead").next().unwrap().id.to_string()
    }

    fn edit(&self, values: Value) {
        let (at, lead) = (self.sandbox.clock().now(), self.lead());
        let mut world = self.sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        let values = values.as_object().unwrap();
        world.salesforce.person_edits(at, &user, &lead, values).unwrap();
    }

    fn arm(&self, fault: &str) {
        self.sandbox.world().faults.arm(fault, None, How::Next(1)).unwrap();
    }

    fn struck(&self, fault: &str) -> bool {
        let world = self.sandbox.world();
        world.faults.struck().keys().any(|(_, struck)| {
            crate::sandbox::fault::FAULTS
                .iter()
                .any(|spec| spec.name == fault && spec.fault == *struck)
        })
    }

    fn title(&self) -> Option<String> {
        self.sandbox.world().hubspot.value(Object::Contact, self.contact, "jobtitle")
    }
}

/// Follows the streams, settles and takes in what exists, for so long.
async fn live(engine: &Engine, choice: &StreamChoice, length: Duration) {
    let events = engine.events.clone().unwrap();
    let plans = engine.topics(choice);
    let streams = plans.iter().map(|plan| engine.follow(&events, plan));
    let settle = async {
        loop {
            if !matches!(engine.settle_due().await, Ok(settled) if settled.taken > 0) {
                sleep(Duration::from_millis(500)).await;
            }
        }
    };
    let take_in = async {
        loop {
            if !matches!(engine.backfill().await, Ok(Some(_))) {
                sleep(Duration::from_secs(1)).await;
            }
        }
    };
    let all = async { tokio::join!(futures_util::future::join_all(streams), settle, take_in) };
    tokio::select! {
        biased;
        _ = all => panic!("the journal cannot be used"),
        () = sleep(length) => {}
    }
}

fn health(engine: &Engine, object: &str) -> PushState {
    engine.intake.push(Side::Salesforce, object).unwrap().state
}

/// What Salesforce was asked, and how often its rows were listed.
fn listings(scene: &Scene) -> u64 {
    let world = scene.sandbox.world();
    let listed = world.calls.counted().iter().filter(|(call, _)| call.route.contains("query"));
    listed.map(|(_, count)| count).sum()
}

const ENTITIES: StreamChoice = StreamChoice::Entities;
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn an_edit_in_salesforce_reaches_hubspot_without_a_poll() {
    let one_channel = StreamChoice::Channel("/data/ChangeEvents".into());
    for choice in [ENTITIES, one_channel] {
        let scene = Scene::new().await;
        let engine = scene.engine(Options::default());
        engine.start().await.unwrap();
        live(&engine, &choice, 2 * MINUTE).await;
        assert_eq!(health(&engine, "Lead"), PushState::Healthy, "a keepalive says so");
        scene.edit(json!({"Title": "Duchess"}));
        live(&engine, &choice, Duration::from_secs(10)).await;
        let before = listings(&scene);
        scene.edit(json!({"Title": "Countess"}));
        live(&engine, &choice, Duration::from_secs(10)).await;
        assert_eq!(scene.title().as_deref(), Some("Countess"), "{choice:?}");
        assert_eq!(listings(&scene), before, "nothing was listed");
        let news = engine.intake.news(Side::Salesforce, "Lead", engine.clock.now());
        assert_eq!(news.from, Some(Source::Stream));
        assert_eq!(engine.deliveries().await.unwrap().ours, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_not_selected_is_told_before_a_poll_misses_its_word() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    assert_eq!(health(&engine, "Lead"), PushState::Healthy, "its stream is open, and silent");
    let cover = async || {
        engine.look_at_selections(&ENTITIES).await.unwrap();
        engine.intake.news(Side::Salesforce, "Lead", engine.clock.now())
    };
    assert_eq!(cover().await.cover, Cover::Whole);
    scene.sandbox.world().salesforce.bus.select("Lead", false);
    let news = cover().await;
    assert_eq!(news.from, Some(Source::Poll), "it is no longer relied upon");
    let Cover::Lacking { what, hint } = news.cover else { panic!("{:?}", news.cover) };
    assert_eq!(what, ["change events"]);
    assert_eq!(hint, "select Lead in Salesforce: Setup, Change Data Capture");
    scene.sandbox.world().salesforce.bus.selections_hidden = true;
    assert_eq!(cover().await.cover, Cover::Unknown, "without the permission");
}

#[tokio::test(start_paused = true)]
async fn the_echo_of_our_own_write_is_known_by_its_values_and_costs_no_call() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    let at = scene.sandbox.clock().now();
    let edit = [("jobtitle", "Duchess")];
    let hubspot = |scene: &Scene| {
        let mut world = scene.sandbox.world();
        world.hubspot.edit_as_user(Object::Contact, scene.contact, &edit, FIRST_USER, at).unwrap()
    };
    hubspot(&scene);
    // Settled while no stream is open: the echo arrives when its write has long been concluded.
    sleep(MINUTE).await;
    engine.poll(Side::HubSpot, Stream::Changed).await.unwrap();
    engine.settle_all(Duration::from_secs(10)).await.unwrap();
    scene.sandbox.world().calls.clear();
    live(&engine, &ENTITIES, Duration::from_secs(20)).await;
    let asked: u64 = scene.sandbox.world().calls.counted().values().sum();
    let waiting = engine.journal.rejects(None, None, 10).await.unwrap();
    assert_eq!(asked, 0, "{:?} {waiting:?}", scene.sandbox.world().calls.counted());
    assert_eq!(engine.intake.push(Side::Salesforce, "Lead").unwrap().arrived, 1);
    // A person who sets a mapped field back is no echo.
    scene.edit(json!({"Title": "Countess"}));
    live(&engine, &ENTITIES, Duration::from_secs(20)).await;
    assert_eq!(scene.title().as_deref(), Some("Countess"));
}

#[tokio::test(start_paused = true)]
async fn whatever_befalls_a_stream_nothing_is_lost() {
    for (fault, patience) in [
        ("stream-cut", MINUTE),
        ("stream-stall", 10 * MINUTE),
        ("stream-schema-change", MINUTE),
        ("gap", MINUTE),
        ("overflow", 2 * MINUTE),
        ("wildcard-event", 2 * MINUTE),
        ("duplicate-event", MINUTE),
        ("late-event", 2 * MINUTE),
        ("quota-exhausted", 30 * MINUTE),
        ("pubsub-unavailable", 5 * MINUTE),
    ] {
        let scene = Scene::new().await;
        let engine = scene.engine(Options::default());
        engine.start().await.unwrap();
        live(&engine, &ENTITIES, 2 * MINUTE).await;
        scene.arm(fault);
        for title in ["Countess", "Duchess", "Queen"] {
            scene.edit(json!({"Title": title}));
            live(&engine, &ENTITIES, Duration::from_secs(5)).await;
        }
        live(&engine, &ENTITIES, patience).await;
        assert!(scene.struck(fault), "{fault} did not strike");
        assert_eq!(scene.title().as_deref(), Some("Queen"), "{fault}");
        assert_eq!(health(&engine, "Lead"), PushState::Healthy, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_place_leads_to_a_comparison_that_finds_what_happened_meanwhile() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    drop(engine);
    // Down for longer than events are kept, with an edit and a deletion that no event tells any more.
    scene.edit(json!({"Title": "Countess"}));
    sleep(Duration::from_secs(80 * 60 * 60)).await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, Duration::from_secs(5)).await;
    let PushState::Recovering { why } = health(&engine, "Lead") else {
        panic!("{:?}", health(&engine, "Lead"));
    };
    assert!(why.contains("/data/LeadChangeEvent"), "{why}");
    assert_eq!(
        engine.intake.news(Side::Salesforce, "Lead", engine.clock.now()).from,
        Some(Source::Poll)
    );
    // A crash before the server has answered forgets nothing.
    drop(engine);
    scene.disk.crash();
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 5 * MINUTE).await;
    assert_eq!(scene.title().as_deref(), Some("Countess"));
    assert_eq!(health(&engine, "Lead"), PushState::Healthy);
    scene.edit(json!({"Title": "Queen"}));
    live(&engine, &ENTITIES, Duration::from_secs(10)).await;
    assert_eq!(scene.title().as_deref(), Some("Queen"));
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_behind_what_was_written_down() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    drop(engine);
    scene.edit(json!({"Title": "Countess"}));
    sleep(60 * MINUTE).await;
    scene.disk.crash();
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, Duration::from_secs(10)).await;
    assert_eq!(scene.title().as_deref(), Some("Countess"));
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_on_the_way_is_found_by_the_net_which_tightens() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    engine.poll_due(Side::Salesforce, Stream::Changed).await.unwrap();
    let before = listings(&scene);
    engine.poll_due(Side::Salesforce, Stream::Changed).await.unwrap();
    assert_eq!(listings(&scene), before, "not due");
    scene.arm("lost-event");
    scene.edit(json!({"Title": "Countess"}));
    live(&engine, &ENTITIES, 6 * MINUTE).await;
    assert!(scene.struck("lost-event"));
    assert_ne!(scene.title().as_deref(), Some("Countess"));
    engine.poll_due(Side::Salesforce, Stream::Changed).await.unwrap();
    live(&engine, &ENTITIES, Duration::from_secs(10)).await;
    assert_eq!(scene.title().as_deref(), Some("Countess"), "a delay and not a loss");
    let news = engine.intake.news(Side::Salesforce, "Lead", engine.clock.now());
    assert_eq!((news.from, news.push.map(|push| push.missed)), (Some(Source::Poll), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_conversion_moves_the_link() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    let (at, lead) = (scene.sandbox.clock().now(), scene.lead());
    let converted = {
        let mut world = scene.sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        let lead: crate::sandbox::salesforce::id::Id = lead.as_str().into();
        world.salesforce.convert_lead(at, &user, &lead, &Conversion::default()).unwrap()
    };
    live(&engine, &ENTITIES, MINUTE).await;
    let named =
        scene.sandbox.world().hubspot.value(Object::Contact, scene.contact, "salesforce_id");
    assert_eq!(named.as_deref(), Some(&*converted.contact));
    let _: Arc<dyn Platform> = engine.platforms.salesforce.clone();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_edits_of_one_record_are_few_settlements_and_never_too_many_owed() {
    let scene = Scene::new().await;
    let engine = scene.engine(Options::default());
    engine.start().await.unwrap();
    live(&engine, &ENTITIES, 2 * MINUTE).await;
    for number in 0..1_000 {
        scene.edit(json!({"Title": format!("Countess {number}")}));
        sleep(Duration::from_millis(1)).await;
    }
    scene.sandbox.world().calls.clear();
    live(&engine, &ENTITIES, MINUTE).await;
    assert_eq!(scene.title().as_deref(), Some("Countess 999"));
    let calls: u64 = scene.sandbox.world().calls.counted().values().sum();
    assert!(calls < 40, "{calls} calls");
    assert_eq!(engine.deliveries().await.unwrap().ours, 1_000);
}
