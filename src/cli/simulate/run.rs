//! One history: people, daemon, faults and crashes from one seed, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use super::business;
use super::check::{Found, Past, Scene};
use super::home::Home;
use super::persons::Deed;
use super::push;
use super::seams::{Keep, Plant, SteppedHttp, Steps};
use super::serve::serve;
use super::stream::{self, SteppedBus};
use super::{Shipped, persons};
use crate::cli::rehearsal::{Clients, InProcessBus, addresses, connect_with_events, set_up};
use crate::daemon::{Clock, Engine, Options, Settled, Trouble};
use crate::mapping::Mappings;
use crate::platform::transport::{Http, InProcess};
use crate::reconcile::limit::Limits;
use crate::record::{PerSide, Side};
use crate::sandbox::fault::How;
use crate::sandbox::{Sandbox, SandboxClock};

/// What one history came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Its seed.
    pub(super) seed: u64,
    /// All its events as one number: the same seed gives the same one.
    pub(super) digest: u64,
    /// What people did.
    pub(super) deeds: usize,
    /// How often the process ended and came back.
    pub(super) crashes: usize,
    /// People at the beginning.
    pub(super) people: usize,
    /// Calls by which the daemon wrote records.
    pub(super) writes: usize,
    /// Deliveries of webhooks that the daemon took in.
    pub(super) deliveries: u64,
    /// Change events that arrived.
    pub(super) events: u64,
    /// Edits that were overwritten unseen, between a read and a write of the same record.
    pub(super) raced: usize,
    /// What does not hold, in words.
    pub(super) breaches: Vec<String>,
    /// The events, where they were kept.
    pub(super) trace: Vec<String>,
}

/// The faults that may strike, with the highest probability of each.
const FAULTS: [(&str, f64); 10] = [
    ("too-many-requests", 0.10),
    ("unavailable", 0.05),
    ("html", 0.05),
    ("server-error", 0.05),
    ("hang-before", 0.03),
    ("hang-after", 0.05),
    ("cut-after", 0.05),
    ("slow", 0.20),
    ("locked", 0.05),
    ("expire-token", 0.03),
];

/// What falls due within this belongs to the same pass. It is less than the first pause after an
/// attempt that did not end, so that a pass ends even if such attempts never do.
const PATIENCE: Duration = Duration::from_millis(900);

/// The shortest and the longest pause, in seconds, between two looks of the daemon for changes.
const POLL: std::ops::Range<u64> = 4..20;

/// How often it looks where word arrives by itself.
const NET: Duration = Duration::from_secs(40);

/// How many calls may write for one deed, or for one person to begin with: across, the ids back,
/// what it qualifies for, and each of them again where an answer was lost.
const WRITES_PER_DEED: usize = 4;

/// How many calls may write besides.
const WRITES_BESIDES: usize = 20;

/// Lives through one history.
pub(super) fn history(seed: u64, shipped: &Shipped, keep: Keep, plant: Option<Plant>) -> Told {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let breaches = vec![format!("no runtime: {error}")];
            return Told { seed, breaches, ..Told::default() };
        }
    };
    runtime.block_on(async {
        let world = World::new(seed, shipped.of(seed), keep, plant);
        let mut told = world.live().await;
        told.digest = world.steps.digest();
        told.trace = world.steps.trace();
        told
    })
}

struct World<'a> {
    seed: u64,
    mappings: &'a Arc<Mappings>,
    sandbox: Sandbox,
    home: Home,
    /// What befalls the change events of Salesforce, where it sends any. Drawn by itself, so that
    /// the rest of a history is the same with them or without.
    streams: Option<fastrand::Rng>,
    steps: Arc<Steps>,
    clock: Clock,
    start: Timestamp,
    plant: Option<Plant>,
}

impl<'a> World<'a> {
    fn new(seed: u64, mappings: &'a Arc<Mappings>, keep: Keep, plant: Option<Plant>) -> Self {
        // A Monday morning; no platform's stamp is anywhere near the machine's own time.
        let start = Timestamp::from_second(1_793_610_000).unwrap_or_default();
        let sandbox = Sandbox::new(seed, SandboxClock::starting_at(start));
        set_up(&sandbox);
        let steps = Steps::new(keep);
        let mut random = fastrand::Rng::with_seed(!seed);
        let streams = random.bool().then_some(random);
        let (home, clock) = (Home::of(seed), Clock::starting_at(start));
        Self { seed, mappings, sandbox, home, streams, steps, clock, start, plant }
    }

    async fn live(&self) -> Told {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let people_count = random.usize(3..9);
        persons::populate(&self.sandbox, people_count, &mut random);
        if self.has_business() {
            business::populate(&self.sandbox, &mut random);
        }
        if random.bool() {
            push::subscribe(&self.sandbox, self.mappings);
        }
        let late = self.trouble(&mut random);
        let deeds = random.usize(10..40);
        let crash_seed = random.u64(..);
        let poll = Duration::from_secs(random.u64(POLL));
        let (done, crashes) = {
            let people = self.people(deeds, &mut random);
            tokio::pin!(people);
            self.keep_alive(crash_seed, poll, people).await
        };
        self.calm();
        let mut told = Told {
            seed: self.seed,
            deeds: done.len(),
            crashes,
            people: people_count,
            ..Told::default()
        };
        let past = Past { deeds: &done, begun: self.start, late, steps: &self.steps };
        match self.end(&past).await {
            Ok(found) => {
                told.breaches = found.breaches;
                told.raced = found.raced;
            }
            Err(error) => told.breaches.push(format!("the daemon cannot come to rest: {error}")),
        }
        told.writes = self.steps.writes();
        told.deliveries = self.steps.deliveries();
        told.events = self.steps.events();
        let most = WRITES_PER_DEED * (told.deeds + told.people) + WRITES_BESIDES;
        if told.writes > most {
            let deeds = told.deeds;
            let what =
                format!("{} calls wrote for {deeds} deeds, at most {most} should", told.writes);
            told.breaches.push(what);
        }
        told
    }

    /// Whether companies and deals are kept in step as well.
    fn has_business(&self) -> bool {
        self.mappings.list.len() > 1
    }

    /// Arms some faults. Says how late a commit in Salesforce can be.
    fn trouble(&self, random: &mut fastrand::Rng) -> Duration {
        let mut world = self.sandbox.world();
        world.hubspot.settings.search_lag = SignedDuration::from_secs(random.i64(0..15));
        world.hubspot.settings.search_lag_varies = true;
        let late = random.u64(0..5);
        world.salesforce.settings.late_commit =
            SignedDuration::try_from(Duration::from_secs(late)).unwrap_or_default();
        let mut arm = |(name, most): (&str, f64), random: &mut fastrand::Rng| {
            if random.u8(0..3) == 0 {
                let chance = How::Each(random.f64() * most);
                if world.faults.arm(name, None, chance).is_err() {
                    self.steps.note(|| format!("no fault is called {name}"));
                }
            }
        };
        for fault in FAULTS.into_iter().chain(push::FAULTS) {
            arm(fault, random);
        }
        if let Some(mut random) = self.streams.clone() {
            for fault in stream::FAULTS {
                arm(fault, &mut random);
            }
        }
        Duration::from_secs(late)
    }

    /// From now on both platforms are well.
    fn calm(&self) {
        let mut world = self.sandbox.world();
        world.faults.disarm_all();
        world.salesforce.settings.late_commit = SignedDuration::ZERO;
    }

    async fn people(&self, count: usize, random: &mut fastrand::Rng) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for number in 0..count {
            sleep(Duration::from_millis(random.u64(100..12_000))).await;
            let deed = match self.has_business() && random.bool() {
                true => business::act(&self.sandbox, number, random),
                false => persons::act(&self.sandbox, number, random),
            };
            if let Some(deed) = deed {
                self.steps.note(|| deed.words.clone());
                deeds.push(deed);
            }
        }
        deeds
    }

    /// Runs the daemon, and starts it again after each crash, until the people are done.
    async fn keep_alive(
        &self,
        crash_seed: u64,
        poll: Duration,
        mut people: std::pin::Pin<&mut impl Future<Output = Vec<Deed>>>,
    ) -> (Vec<Deed>, usize) {
        let mut random = fastrand::Rng::with_seed(crash_seed);
        let mut crashes = 0;
        loop {
            if random.u8(0..3) != 0 {
                self.steps.crash_after(random.u64(1..150));
            }
            let ended = match self.engine().map(Arc::new) {
                Ok(engine) => {
                    let receiver = push::receiver(&engine);
                    tokio::select! {
                        biased;
                        done = &mut people => Some(done),
                        () = self.steps.crashed() => None,
                        () = serve(&engine, poll) => None,
                        () = push::deliver(&self.sandbox, &self.steps, receiver.as_ref()) => None,
                    }
                }
                Err(_) => None,
            };
            if let Some(done) = ended {
                self.home.crash();
                self.steps.revive();
                return (done, crashes);
            }
            crashes += 1;
            self.home.crash();
            self.steps.revive();
            tokio::select! {
                biased;
                done = &mut people => return (done, crashes),
                () = push::deliver(&self.sandbox, &self.steps, None) => {}
                () = sleep(Duration::from_secs(random.u64(1..30))) => {}
            }
        }
    }

    fn engine(&self) -> Result<Engine, Trouble> {
        let journal = self.home.journal(&self.steps, self.plant)?;
        let http = PerSide::<Arc<dyn Http>> {
            hubspot: self.http(Side::HubSpot, self.sandbox.hubspot()),
            salesforce: self.http(Side::Salesforce, self.sandbox.salesforce()),
        };
        let clients = Clients {
            salesforce_overlap: Duration::from_secs(60),
            seed: self.seed,
            ..Clients::default()
        };
        let bus = SteppedBus {
            inner: InProcessBus(self.sandbox.clone()),
            steps: Arc::clone(&self.steps),
        };
        let (platforms, events) = connect_with_events(http, addresses(), &clients, Arc::new(bus))?;
        let events = self.streams.is_some().then_some(events);
        let options = Options {
            retry: Duration::from_secs(1),
            retry_at_most: Duration::from_secs(30),
            net: NET,
            stream: stream::options(),
            overlap: PerSide {
                hubspot: Duration::from_secs(60),
                salesforce: Duration::from_secs(60),
            },
            limits: Limits {
                changes: u32::MAX,
                share: 1.0,
                deletes: u32::MAX,
                clears: u32::MAX,
                creates: u32::MAX,
                ..Limits::default()
            },
            ..Options::default()
        };
        let mappings = Arc::clone(self.mappings);
        let engine =
            Engine::new(journal, platforms, mappings, self.clock.clone(), options, self.seed);
        Ok(engine.with_events(events))
    }

    fn http(&self, side: Side, router: axum::Router) -> Arc<dyn Http> {
        let inner = Arc::new(InProcess::new(router));
        let (steps, plant) = (Arc::clone(&self.steps), self.plant);
        Arc::new(SteppedHttp { side, inner, steps, plant })
    }

    /// Lets everything come to rest, and looks.
    async fn end(&self, past: &Past<'_>) -> Result<Found, Trouble> {
        let engine = self.engine()?;
        engine.start().await?;
        self.rest(&engine).await?;
        engine.sweep().await?;
        self.rest(&engine).await?;
        engine.sweep().await?;
        engine.listen().await?;
        let last = engine.settle_all(PATIENCE).await?;
        let mut all = Found::default();
        let writes = sum(&last);
        if writes > 0 {
            all.breaches.push(format!("a further pass wrote {writes} records: {last:?}"));
        }
        for mapping in &self.mappings.list {
            let scene = Scene::read(&engine, mapping).await?;
            let found = scene.breaches(&engine, mapping, past).await?;
            if !found.breaches.is_empty() {
                for line in scene.journal() {
                    self.steps.note(|| line);
                }
            }
            all.breaches.extend(found.breaches);
            all.raced += found.raced;
        }
        Ok(all)
    }

    /// Listens and settles until there is nothing to do any more. The pause before the last look is
    /// longer than any search index lags, and than any entry waits to be tried again.
    async fn rest(&self, engine: &Engine) -> Result<(), Trouble> {
        for round in 0..10 {
            engine.listen().await?;
            let settled = engine.settle_all(PATIENCE).await?;
            if round > 0 && settled.taken == 0 {
                break;
            }
            sleep(Duration::from_secs(45)).await;
        }
        Ok(())
    }
}

fn sum(settled: &Settled) -> usize {
    [&settled.written, &settled.created, &settled.deleted]
        .into_iter()
        .flat_map(|counts| counts.iter().map(|(_, count)| *count))
        .sum()
}
