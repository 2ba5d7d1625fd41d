//! Salesforce's change events over the network: a real client, a real server, real time, and
//! everything that befalls a stream. Nobody polls here: what arrives, arrived by the stream, or by
//! the comparison that a lost place asks for.

use std::sync::Arc;
use std::time::Duration;

use lockstep::cli::rehearsal::{Clients, connect_with_events, set_up};
use lockstep::daemon::{
    Clock, Engine, Options, PushState, StreamChoice, StreamOptions, network, read_mappings,
};
use lockstep::journal::{Disk, Error, Journal, MemoryStore, Store, Usage};
use lockstep::mapping::{Mappings, load};
use lockstep::platform::salesforce::pubsub::{Grpc, GrpcSettings};
use lockstep::record::{PerSide, Side};
use lockstep::sandbox::fault::{FAULTS, How};
use lockstep::sandbox::hubspot::object::Object;
use lockstep::sandbox::hubspot::ui::FIRST_USER;
use lockstep::sandbox::server::{ServeOptions, Serving, serve};
use lockstep::sandbox::{Sandbox, SandboxClock};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(30);

/// A sandbox on ports, a daemon's engine that follows its streams, and one person on both sides.
struct Scene {
    sandbox: Sandbox,
    serving: Serving,
    engine: Arc<Engine>,
    contact: u64,
    work: JoinHandle<()>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.work.abort();
    }
}

/// How the engine reaches the event service.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Tls,
    /// With TLS, and without the certificate that would have to be trusted.
    Distrusted,
}

fn mappings() -> Mappings {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
    let mut files = read_mappings(folder.as_ref()).unwrap();
    files.retain(|(name, _)| name.ends_with("people.toml"));
    load(files).unwrap()
}

fn options() -> Options {
    Options {
        window: Duration::from_millis(10),
        stream: StreamOptions {
            silence: Duration::from_millis(1_500),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(400),
            long_pause: Duration::from_millis(800),
            allocation: None,
        },
        ..Options::default()
    }
}

impl Scene {
    async fn new(way: Way) -> Self {
        Self::with(way, |store| Box::new(store)).await
    }

    async fn with(way: Way, store: impl FnOnce(MemoryStore) -> Box<dyn Store>) -> Self {
        let clock = Clock::system();
        let sandbox = Sandbox::new(1, SandboxClock::starting_at(clock.now()));
        set_up(&sandbox);
        let contact = {
            let at = sandbox.clock().now();
            let mut world = sandbox.world();
            world.salesforce.bus.settings.keepalive = jiff::SignedDuration::from_millis(200);
            let values =
                [("email", "ada@example.com"), ("lifecyclestage", "marketingqualifiedlead")];
            world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, at).unwrap()
        };
        let serving = serve(sandbox.clone(), ServeOptions::default()).await.unwrap();
        let url = match way {
            Way::Plain => serving.pubsub_url(),
            Way::Tls | Way::Distrusted => serving.pubsub_tls_url(),
        };
        let mut settings = GrpcSettings::at(url.parse().unwrap());
        if way == Way::Tls {
            settings.extra_roots = serving.certificate.clone().into_bytes();
        }
        let bus = Arc::new(Grpc::new(&settings).unwrap());
        let net = network().unwrap();
        let http = PerSide { hubspot: Arc::clone(&net), salesforce: net };
        let (hubspot, salesforce) = (serving.hubspot_url(), serving.salesforce_url());
        let addresses = PerSide { hubspot: hubspot.as_str(), salesforce: salesforce.as_str() };
        let (platforms, events) =
            connect_with_events(http, addresses, &Clients::default(), bus).unwrap();
        let journal = Journal::on_thread(store(MemoryStore::open(&Disk::default()))).unwrap();
        let engine = Engine::new(journal, platforms, mappings(), clock, options(), 1)
            .with_events(Some(events));
        let engine = Arc::new(engine);
        engine.start().await.unwrap();
        let work = tokio::spawn(live(Arc::clone(&engine)));
        let scene = Self { sandbox, serving, engine, contact, work };
        scene.until("a Lead", || scene.lead().is_some()).await;
        scene
    }

    fn lead(&self) -> Option<String> {
        self.sandbox.world().salesforce.records("Lead").next().map(|lead| lead.id.to_string())
    }

    fn state(&self) -> Option<PushState> {
        Some(self.engine.intake.push(Side::Salesforce, "Lead")?.state)
    }

    /// Whether every stream has been answered, so that each has a place to go on from.
    fn is_healthy(&self) -> bool {
        let topics = self.engine.topics(&StreamChoice::Entities);
        let mut objects = topics.iter().flat_map(|plan| &plan.objects);
        objects.all(|object| {
            let push = self.engine.intake.push(Side::Salesforce, object);
            push.is_some_and(|push| push.state == PushState::Healthy)
        })
    }

    fn title(&self) -> Option<String> {
        self.sandbox.world().hubspot.value(Object::Contact, self.contact, "jobtitle")
    }

    fn edit(&self, title: &str) {
        let (at, lead) = (self.sandbox.clock().now(), self.lead().unwrap());
        let mut world = self.sandbox.world();
        let user = world.salesforce.staff.sales[0].clone();
        let values = json!({"Title": title});
        world.salesforce.person_edits(at, &user, &lead, values.as_object().unwrap()).unwrap();
    }

    /// Arms all of them at one moment: what follows upon another cannot come too early for it.
    fn arm(&self, faults: &[&str]) {
        let mut world = self.sandbox.world();
        for fault in faults {
            world.faults.arm(fault, None, How::Next(1)).unwrap();
        }
    }

    fn has_struck(&self, fault: &str) -> bool {
        let fault = FAULTS.iter().find(|spec| spec.name == fault).unwrap().fault;
        self.sandbox.world().faults.struck().keys().any(|(_, struck)| *struck == fault)
    }

    /// How many streams were opened.
    fn subscribed(&self) -> u64 {
        let world = self.sandbox.world();
        let opened = world.calls.pushes().iter();
        opened.filter(|((_, what, _), _)| what == "Subscribe").map(|(_, count)| count).sum()
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(LONG, wait).await.is_err() {
            panic!("{what} did not come: {:?}, title {:?}", self.state(), self.title());
        }
    }

    async fn arrives(&self, title: &str) {
        self.until(title, || self.title().as_deref() == Some(title)).await;
    }
}

/// Streams, settlements and what exists, side by side, as the service runs them.
async fn live(engine: Arc<Engine>) {
    let events = engine.events.clone().unwrap();
    let plans = engine.topics(&StreamChoice::Entities);
    let streams = plans.iter().map(|plan| engine.follow(&events, plan));
    let settle = async {
        loop {
            if !matches!(engine.settle_due().await, Ok(settled) if settled.taken > 0) {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    let take_in = async {
        loop {
            if !matches!(engine.backfill().await, Ok(Some(_))) {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    tokio::join!(futures_util::future::join_all(streams), settle, take_in);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_befalls_a_stream_over_the_network_nothing_is_lost() {
    for faults in [
        &["stream-cut"][..],
        &["stream-stall"],
        &["stream-schema-change"],
        &["gap"],
        &["overflow"],
        &["wildcard-event"],
        &["duplicate-event"],
        &["pubsub-unavailable"],
        &["quota-exhausted"],
        // Cut, and the place is no longer known when the stream is opened again.
        &["stream-cut", "replay-expired"],
    ] {
        let scene = Scene::new(Way::Plain).await;
        scene.until("a healthy stream", || scene.is_healthy()).await;
        scene.edit("Baroness");
        scene.arrives("Baroness").await;
        scene.arm(faults);
        scene.edit("Countess");
        sleep(Duration::from_millis(100)).await;
        scene.edit("Duchess");
        for fault in faults {
            scene.until(fault, || scene.has_struck(fault)).await;
        }
        scene.edit("Queen");
        scene.arrives("Queen").await;
        scene.until(&format!("health after {faults:?}"), || scene.is_healthy()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_is_begun_anew() {
    let scene = Scene::new(Way::Plain).await;
    scene.until("a healthy stream", || scene.is_healthy()).await;
    scene.sandbox.world().salesforce.auth.expire_sessions();
    scene.arm(&["stream-cut"]);
    scene.edit("Countess");
    scene.arrives("Countess").await;
    scene.until("health", || scene.is_healthy()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_allocation_that_is_used_up_is_told_and_waited_for() {
    let scene = Scene::new(Way::Plain).await;
    scene.until("a healthy stream", || scene.is_healthy()).await;
    let before = scene.sandbox.world().salesforce.bus.settings.daily_deliveries;
    scene.sandbox.world().salesforce.bus.settings.daily_deliveries = 0;
    scene.edit("Countess");
    let hint = || match scene.state() {
        Some(PushState::Down { hint, .. }) => hint,
        _ => None,
    };
    scene.until("a hint", || hint().is_some_and(|hint| hint.contains("delivered events"))).await;
    scene.sandbox.world().salesforce.bus.settings.daily_deliveries = before;
    scene.arrives("Countess").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_against_the_certificate_that_is_named() {
    let scene = Scene::new(Way::Tls).await;
    scene.until("a healthy stream", || scene.is_healthy()).await;
    scene.edit("Countess");
    scene.arrives("Countess").await;
    let scene = Scene::new(Way::Distrusted).await;
    scene.until("trouble", || matches!(scene.state(), Some(PushState::Down { .. }))).await;
    assert_eq!(scene.subscribed(), 0);
    assert!(scene.serving.pubsub_tls_url().starts_with("https://"));
}

/// A store whose every flush takes a while.
struct Slow(MemoryStore);

impl Store for Slow {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    fn scan(
        &self,
        span: &lockstep::journal::store::Span,
        limit: usize,
    ) -> Result<Vec<lockstep::journal::store::Row>, Error> {
        self.0.scan(span, limit)
    }

    fn scan_back(
        &self,
        span: &lockstep::journal::store::Span,
        limit: usize,
    ) -> Result<Vec<lockstep::journal::store::Row>, Error> {
        self.0.scan_back(span, limit)
    }

    fn write(&mut self, batch: &[lockstep::journal::store::Op]) -> Result<(), Error> {
        self.0.write(batch)
    }

    fn sync(&mut self) -> Result<(), Error> {
        std::thread::sleep(Duration::from_millis(150));
        self.0.sync()
    }

    fn reopen(&mut self) -> Result<(), Error> {
        self.0.reopen()
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_journal_does_not_let_a_stream_run_dry() {
    let scene = Scene::with(Way::Plain, |store| Box::new(Slow(store))).await;
    scene.until("a healthy stream", || scene.is_healthy()).await;
    // A server that closes what is owed nothing at once, nearly.
    scene.sandbox.world().salesforce.bus.settings.idle = jiff::SignedDuration::from_millis(500);
    let before = scene.subscribed();
    for number in 0..600 {
        scene.edit(&format!("Countess {number}"));
        // Edits of one moment are one event.
        sleep(Duration::from_millis(2)).await;
    }
    scene.arrives("Countess 599").await;
    // A settlement reads the latest value long before the last event is written down.
    let counted = async {
        while scene.engine.deliveries().await.unwrap().ours < 600 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, counted).await.expect("every event is written down");
    assert_eq!(scene.subscribed(), before, "the stream was never closed");
}
