//! The sandbox, the clients, the journal and the engine between them.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cli::init::SHIPPED;
use crate::cli::rehearsal::{
    Clients, Postman, connect_with_events, in_process_with_events, set_up,
};
use crate::cli::{Exit, Failure};
use crate::daemon::{
    Clock, Engine, Heeded, Options, PushState, Stream, StreamChoice, StreamOptions, Trouble,
    handoff::Followed, network, seed,
};
use crate::journal::{self, Disk, Journal, MemoryStore};
use crate::mapping::{Mappings, load};
use crate::platform::Platform;
use crate::platform::salesforce::pubsub::{Events, Grpc, GrpcSettings};
use crate::platform::transport::RetrySettings;
use crate::reconcile::limit::Limits;
use crate::record::{PerSide, Side};
use crate::sandbox::fault::FaultOrder;
use crate::sandbox::hubspot::limits::Limits as HubSpotLimits;
use crate::sandbox::hubspot::owners::Owner;
use crate::sandbox::salesforce::rules::LeadFieldMap;
use crate::sandbox::server::{ServeOptions, Serving, serve};
use crate::sandbox::{Sandbox, SandboxClock};

/// How often salespeople's tasks are asked for while word of everything else arrives by itself: as
/// often as the service does it, and not in each of a demo's hurried passes.
const FOLLOW: Duration = Duration::from_secs(15);

/// How long the daemon rests between two passes while people work.
pub const BETWEEN_PASSES: Duration = Duration::from_millis(300);

/// How long a settlement that is tried again is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the streams are waited for once people have gone home.
const STREAMS: Duration = Duration::from_secs(20);

/// After how many passes that bring something the demo is given up.
const MOST_PASSES: u32 = 200;

/// What goes wrong on the way, by the sandbox's names: too many calls, answers that are lost after
/// their effect.
pub const FAULTS: [&str; 4] = [
    "salesforce:too-many-requests=3",
    "salesforce:cut-after=2",
    "hubspot:unavailable=1",
    "hubspot:timeout-after=1",
];

/// How the demo is set up.
#[derive(Debug)]
pub struct Setup {
    /// The seed of everything that is left to chance.
    pub seed: u64,
    /// Whether the platforms are called without ports.
    pub in_process: bool,
    /// Where the journal stays.
    pub keep: Option<PathBuf>,
    /// Whether HubSpot's limits of calls are lifted on both ends.
    pub unlimited: bool,
    /// What goes wrong besides, by the sandbox's names.
    pub faults: Vec<FaultOrder>,
    /// When the platforms' days begin, where that is not now: a time gone by is lived through.
    pub begins: Option<Timestamp>,
    /// Salespeople who are there besides the sandbox's own, by first and last name.
    pub staff: BTreeSet<(String, String)>,
}

/// Everything that plays a part.
pub struct Rig {
    /// Both platforms.
    pub sandbox: Sandbox,
    /// The daemon.
    pub engine: Arc<Engine>,
    /// Who brings HubSpot's webhooks, once the daemon has started.
    postman: OnceCell<Postman>,
    /// Where the platforms listen, where they do.
    pub serving: Option<Serving>,
    /// Passes that a platform's trouble ended.
    pub interrupted: Cell<u32>,
    faults: Vec<FaultOrder>,
    journal: Place,
}

/// What one pass of the daemon came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pass {
    /// Records that the platforms listed.
    pub listed: usize,
    /// What of it was new.
    pub heard: usize,
    /// Entries that were settled.
    pub taken: usize,
    /// Whether a platform could not be used.
    pub interrupted: bool,
}

impl Pass {
    const fn is_calm(&self) -> bool {
        self.heard == 0 && self.taken == 0 && !self.interrupted
    }
}

impl Rig {
    /// Starts both platforms, empty but for what an admin sets up, and opens the journal.
    pub async fn open(setup: Setup) -> Result<Self, Failure> {
        let begins = setup.begins.unwrap_or_else(|| Clock::system().now());
        let sandbox = Sandbox::new(setup.seed, SandboxClock::starting_at(begins));
        set_up(&sandbox);
        for (first, last) in &setup.staff {
            sandbox.world().salesforce.seed_user(begins, None, first, last, true);
        }
        furnish(&sandbox, setup.unlimited);
        let clients = clients(setup.seed, setup.unlimited);
        let (serving, platforms, events) = reach(&sandbox, &clients, setup.in_process).await?;
        // Of a year in minutes most would be spent waiting for the disk, for a journal that goes
        // with the demo.
        let forgets = setup.begins.is_some() && setup.keep.is_none();
        let place = Place::choose(setup.keep)?;
        let journal = if forgets {
            Journal::on_thread(Box::new(MemoryStore::open(&Disk::new())))
        } else {
            Journal::open(&place.path, &journal::Options::default())
        };
        let journal = journal.map_err(|error| Failure::from_error(Exit::Journal, &error))?;
        // The platforms' clock is set ahead where all is quiet, and what they sign is good for
        // five minutes of the daemon's.
        let platforms_clock = sandbox.clock().clone();
        let clock = Clock::reading(move || platforms_clock.now());
        let (mappings, options) = match setup.begins {
            Some(_) => (by_first_detail()?, unhurried()),
            None => (shipped()?, options()),
        };
        let engine = Engine::new(journal, platforms, mappings, clock, options, setup.seed)
            .with_events(Some(events));
        let (engine, postman) = (Arc::new(engine), OnceCell::new());
        let (interrupted, faults) = (Cell::new(0), setup.faults);
        Ok(Self { sandbox, engine, postman, serving, interrupted, faults, journal: place })
    }

    /// Where the journal is, where it stays.
    pub fn kept(&self) -> Option<&Path> {
        self.journal.keep.then_some(self.journal.path.as_path())
    }

    /// Where the journal is.
    pub fn path(&self) -> &Path {
        &self.journal.path
    }

    /// Signs in on both sides and begins to take in what exists.
    pub async fn start(&self) -> Result<(), Failure> {
        self.engine.start().await.map_err(failure)?;
        // What is there already is taken in; what happens from now on is told.
        let postman = Postman::new(&self.sandbox, &self.engine)
            .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
        let _ = self.postman.set(postman);
        Ok(())
    }

    /// Does `work` while Salesforce's change events are followed.
    pub async fn on_push<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(events) = &self.engine.events else { return work.await };
        let plans = self.engine.topics(&StreamChoice::Entities);
        let streams = plans.iter().map(|plan| Box::pin(self.engine.follow(events, plan)));
        tokio::select! {
            biased;
            done = work => done,
            (trouble, ..) = futures_util::future::select_all(streams) => Err(failure(trouble)),
        }
    }

    /// Waits until every stream is relied upon again after what befell it, so that the report can say
    /// how it ended; not for ever.
    pub async fn until_streams_are_back(&self) {
        let plans = self.engine.topics(&StreamChoice::Entities);
        let back = || {
            plans.iter().flat_map(|plan| &plan.objects).all(|object| {
                let push = self.engine.intake.push(Side::Salesforce, object);
                push.is_some_and(|push| push.state == PushState::Healthy)
            })
        };
        let end = tokio::time::Instant::now() + STREAMS;
        while !back() && tokio::time::Instant::now() < end {
            if self.pass_on_push().await.is_err() {
                return;
            }
            tokio::time::sleep(BETWEEN_PASSES).await;
        }
    }

    /// Settles what arrived by itself, and asks a side what changed where that is not relied upon.
    pub async fn pass_on_push(&self) -> Result<Pass, Failure> {
        let asked = async {
            let mut heeded = Heeded::default();
            for side in Side::BOTH {
                for stream in [Stream::Changed, Stream::Deleted] {
                    heeded += self.engine.poll_due(side, stream).await?;
                }
            }
            while let Some(more) = self.engine.backfill().await? {
                heeded += more;
            }
            Ok(heeded)
        };
        self.round(asked, self.engine.follow_due(FOLLOW)).await
    }

    /// Asks both sides what changed, and settles it.
    pub async fn pass(&self) -> Result<Pass, Failure> {
        self.round(self.engine.listen(), self.engine.follow_handoffs()).await
    }

    /// Takes in what was asked for, and settles it. A platform's trouble ends the pass, as it ends
    /// a round of the daemon; what was to be done stays in the journal.
    async fn round(
        &self,
        asked: impl Future<Output = Result<Heeded, Trouble>>,
        followed: impl Future<Output = Result<Followed, Trouble>>,
    ) -> Result<Pass, Failure> {
        let mut pass = Pass::default();
        if let Some(postman) = self.postman.get() {
            postman.deliver().await;
        }
        match asked.await {
            Ok(heeded) => (pass.listed, pass.heard) = (heeded.listed, heeded.heard),
            Err(Trouble::Platform(error)) => {
                tracing::warn!(%error, "this round ends here");
                pass.interrupted = true;
            }
            Err(other) => return Err(failure(other)),
        }
        match self.engine.settle_all(PATIENCE).await {
            Ok(settled) => pass.taken = settled.taken,
            Err(Trouble::Platform(error)) => {
                tracing::warn!(%error, "it is tried again later");
                pass.interrupted = true;
            }
            Err(other) => return Err(failure(other)),
        }
        let handed = async {
            followed.await?;
            self.engine.hand_off_all().await
        };
        match handed.await {
            Ok(_) => {}
            Err(Trouble::Platform(error)) => {
                tracing::warn!(%error, "handoffs are worked on later");
                pass.interrupted = true;
            }
            Err(other) => return Err(failure(other)),
        }
        if pass.interrupted {
            self.interrupted.set(self.interrupted.get() + 1);
        }
        Ok(pass)
    }

    /// Runs passes until two in a row bring nothing. The platforms' clock is set ahead between
    /// them, so that HubSpot's search has seen everything.
    pub async fn quiet(&self) -> Result<(), Failure> {
        let mut calm = 0;
        for _ in 0..MOST_PASSES {
            self.sandbox.clock().advance(SignedDuration::from_secs(15));
            let pass = self.pass().await?;
            let idle = self.postman.get().is_none_or(Postman::is_idle);
            calm = if pass.is_calm() && idle { calm + 1 } else { 0 };
            if calm == 2 {
                return Ok(());
            }
            if pass.interrupted {
                tokio::time::sleep(BETWEEN_PASSES).await;
            }
        }
        let message = format!("both sides did not come to rest in {MOST_PASSES} passes");
        Err(Failure::new(Exit::Internal, message)
            .hint("run it again with -v and the same --seed, and report what it says"))
    }

    /// How many entries came to their end so far.
    pub async fn settled(&self) -> Result<u64, Failure> {
        let statistics = self.engine.journal.statistics().await;
        let statistics = statistics.map_err(|error| failure(error.into()))?;
        let settled = statistics.mappings.values().filter_map(|counters| counters.get("settled"));
        Ok(settled.sum::<i64>().try_into().unwrap_or_default())
    }

    /// Lets things go wrong.
    pub fn trouble(&self) -> Result<(), Failure> {
        let mut orders = Vec::new();
        for order in FAULTS {
            let order: FaultOrder =
                order.parse().map_err(|error| Failure::of(Exit::Internal, order, &error))?;
            orders.push(order);
        }
        for order in orders.iter().chain(&self.faults) {
            self.sandbox
                .world()
                .faults
                .arm_order(order)
                .map_err(|error| Failure::from_error(Exit::Usage, &error))?;
        }
        Ok(())
    }

    /// What was let loose, by the sandbox's names.
    pub fn armed(&self) -> Vec<String> {
        let asked_for = self.faults.iter().map(|order| order.name.to_owned());
        FAULTS.map(str::to_owned).into_iter().chain(asked_for).collect()
    }

    /// Closes the journal, stops listening, and says what became of the journal's directory.
    pub async fn close(self) -> Left {
        self.engine.journal.close().await;
        if let Some(serving) = self.serving {
            serving.shutdown().await;
        }
        self.journal.leave()
    }
}

/// What became of the journal's directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Left {
    /// It was asked to be kept, and holds what was done so far.
    Kept(PathBuf),
    /// Nothing is left of it.
    Removed(PathBuf),
    /// It was to be removed and is still there.
    Behind(PathBuf),
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kept(path) => write!(f, "the journal so far is kept in {}", path.display()),
            Self::Removed(path) => write!(f, "the journal in {} was removed", path.display()),
            Self::Behind(path) => {
                write!(f, "the journal in {} stays behind: remove it", path.display())
            }
        }
    }
}

type Reached = (Option<Serving>, PerSide<Arc<dyn Platform>>, Arc<Events>);

/// The clients and the change events, over ports or without.
async fn reach(sandbox: &Sandbox, clients: &Clients, within: bool) -> Result<Reached, Failure> {
    if within {
        let (platforms, events) = in_process_with_events(sandbox, clients)?;
        return Ok((None, platforms, events));
    }
    let serving =
        serve(sandbox.clone(), ServeOptions { webhooks: false, ..ServeOptions::default() }).await?;
    let (hubspot, salesforce) = (serving.hubspot_url(), serving.salesforce_url());
    let net = network()?;
    let http = PerSide { hubspot: Arc::clone(&net), salesforce: net };
    let addresses = PerSide { hubspot: hubspot.as_str(), salesforce: salesforce.as_str() };
    let wrong = |error: &dyn std::error::Error| {
        Failure::of(Exit::Internal, "cannot reach the sandbox's change events", error)
    };
    let url = serving.pubsub_url().parse().map_err(|error: url::ParseError| wrong(&error))?;
    let bus = Grpc::new(&GrpcSettings::at(url)).map_err(|error| wrong(&error))?;
    let (platforms, events) = connect_with_events(http, addresses, clients, Arc::new(bus))?;
    Ok((Some(serving), platforms, events))
}

/// The platforms' clock runs ahead many times as fast as the clients', who may call as much faster
/// and need not wait as long after a refusal.
fn clients(seed: u64, unlimited: bool) -> Clients {
    let faster = if unlimited { 10_000 } else { 20 };
    let usual = Clients::default();
    Clients {
        calls_per_ten_seconds: usual.calls_per_ten_seconds * faster,
        searches_per_second: usual.searches_per_second * faster,
        retry: RetrySettings {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            ..usual.retry
        },
        seed,
        ..usual
    }
}

/// What an admin of a real account has besides the fields: the same people on both sides, a rule
/// that assigns leads, and what a lead's own fields become when it is converted.
fn furnish(sandbox: &Sandbox, unlimited: bool) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let users: Vec<(String, String, String, bool)> = world
        .salesforce
        .records("User")
        .map(|user| {
            let text = |name| user.text(name).unwrap_or_default().to_owned();
            (text("Email"), text("FirstName"), text("LastName"), user.flag("IsActive"))
        })
        .collect();
    for ((email, first, last, active), number) in users.into_iter().zip(1_u64..) {
        let mut owner = Owner::person(
            302_000 + number,
            52_000 + number,
            &email,
            (first.as_str(), last.as_str()),
            now,
        );
        owner.archived = !active;
        world.hubspot.add_owner(owner);
    }
    if unlimited {
        world.hubspot.limiter.limits = HubSpotLimits::none();
    }
    let org = &mut world.salesforce;
    // Nobody waits a minute in a demo to see that a stream is alive.
    org.bus.settings.keepalive = SignedDuration::from_secs(1);
    org.rules.lead_assignment = Some(org.staff.sales[0].clone());
    let carried = [
        "HubSpot_Id__c",
        "Lifecycle_Stage__c",
        "HubSpot_Score__c",
        "Qualified_Because__c",
        "HubSpot_Recent_Conversion__c",
        "HubSpot_Campaign__c",
    ];
    org.rules.lead_fields = carried
        .map(|name| LeadFieldMap {
            lead_field: name.to_owned(),
            object: "Contact".to_owned(),
            field: name.to_owned(),
        })
        .to_vec();
}

/// The mappings as they are shipped.
fn shipped() -> Result<Mappings, Failure> {
    let files = SHIPPED.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    load(files).map_err(|report| Failure::from_error(Exit::Internal, &report))
}

/// The same with handoffs grouped by the first detail of the source: HubSpot has fewer words for
/// sources than a file may have, and the mapping fewer still.
fn by_first_detail() -> Result<Mappings, Failure> {
    const SHIPPED_AS: &str = "groups = { source = \"source\" }";
    const DETAIL: &str = "groups = { source = \"campaign\" }";
    if !SHIPPED.iter().any(|(_, text)| text.contains(SHIPPED_AS)) {
        let message = format!("no shipped mapping says {SHIPPED_AS:?}, which a replay changes");
        return Err(Failure::new(Exit::Internal, message));
    }
    let files = SHIPPED.map(|(name, text)| (name.to_owned(), text.replace(SHIPPED_AS, DETAIL)));
    load(files.to_vec()).map_err(|report| Failure::from_error(Exit::Internal, &report))
}

/// The demo's options for a year that is lived through in minutes: no change waits for others that
/// would share its calls.
fn unhurried() -> Options {
    Options { window: Duration::from_millis(1), ..options() }
}

/// The daemon as it is set up by default, but that it retries soon and lets a whole database in at
/// once: nobody is there to release a hold.
fn options() -> Options {
    Options {
        batch: 200,
        window: Duration::from_millis(50),
        retry: Duration::from_millis(250),
        retry_at_most: Duration::from_secs(2),
        limits: Limits { changes: u32::MAX, share: 100.0, creates: u32::MAX, ..Limits::default() },
        stream: StreamOptions {
            silence: Duration::from_secs(4),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(1),
            long_pause: Duration::from_secs(3),
            allocation: None,
        },
        ..Options::default()
    }
}

/// A piece of work that did not come to its end, as the command's failure.
pub fn failure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Platform(error) => error.into(),
        Trouble::Journal(error) => Failure::from_error(Exit::Journal, &error),
        setup @ Trouble::Setup { .. } => Failure::from_error(Exit::Internal, &setup),
    }
}

/// The journal's directory. One that nobody asked to keep goes with the demo.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    keep: bool,
}

impl Place {
    fn choose(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let (path, keep) = match keep {
            Some(path) => {
                let used = std::fs::read_dir(&path).is_ok_and(|mut it| it.next().is_some());
                if used {
                    let message = format!("{} is not empty", path.display());
                    return Err(Failure::new(Exit::Usage, message)
                        .hint("name a new directory with --keep, or empty this one"));
                }
                (path, true)
            }
            None => {
                let name = format!("lockstep-demo-{:016x}", seed()?);
                (std::env::temp_dir().join(name), false)
            }
        };
        std::fs::create_dir_all(&path).map_err(|error| {
            let message = format!("cannot make the journal's directory {}", path.display());
            Failure::of(Exit::Usage, message, &error)
        })?;
        Ok(Self { path, keep })
    }

    /// Removes the directory unless it was asked to be kept. Its journal is closed.
    fn leave(self) -> Left {
        if self.keep {
            return Left::Kept(self.path.clone());
        }
        let gone = match std::fs::remove_dir_all(&self.path) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        };
        if gone { Left::Removed(self.path.clone()) } else { Left::Behind(self.path.clone()) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed now is the system's to clear away, as any temporary file.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
