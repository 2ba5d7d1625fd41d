//! What every task of the daemon needs, in one place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Clock;
use super::directory::Owners;
use super::intake::Intake;
use super::metrics::Metrics;
use super::stream::{StreamOptions, Tally};
use super::tempo::{Tempo, Turns};
use super::trouble::Trouble;
use super::urgent::{Flood, Way};
use super::webhooks::Counts;
use crate::journal::Journal;
use crate::mapping::{Mapping, Mappings};
use crate::platform::salesforce::pubsub::Events;
use crate::platform::{Error, Identity, Platform};
use crate::reconcile::Plan;
use crate::reconcile::limit::{Limiter, Limits};
use crate::record::{PerSide, RecordRef, Side};

/// How the engine works. The settings' section of the same name says what each does.
#[derive(Debug, Clone)]
pub struct Options {
    /// Links settled together.
    pub batch: usize,
    /// The same of what exists and is taken in or swept, and of floods.
    pub slow_batch: usize,
    /// How far apart two settlements of one link are: what changes meanwhile is settled together.
    /// Also how long to rest between settlements where calls run short. See [`tempo`](super::tempo).
    pub window: Duration,
    /// Settlements in ten seconds that follow each other without a rest.
    pub at_once: u32,
    /// The first pause before a settlement that did not end is tried again.
    pub retry: Duration,
    /// The longest such pause.
    pub retry_at_most: Duration,
    /// How old the list of owners may be.
    pub owners_age: Duration,
    /// How far a side's rounds of changes reach back, so long as which a change is not taken twice.
    pub overlap: PerSide<Duration>,
    /// How often an object is asked for its changes while word of them arrives by itself.
    pub net: Duration,
    /// How streams of change events are followed.
    pub stream: StreamOptions,
    /// What stops for a person to release.
    pub limits: Limits,
    /// How long history lines are kept.
    pub history_keep: SignedDuration,
    /// How many history lines a link keeps.
    pub history_lines: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            batch: 200,
            slow_batch: 100,
            at_once: 30,
            window: Duration::from_millis(500),
            retry: Duration::from_secs(5),
            retry_at_most: Duration::from_secs(15 * 60),
            owners_age: Duration::from_secs(10 * 60),
            overlap: PerSide {
                hubspot: Duration::from_secs(60),
                salesforce: Duration::from_secs(10 * 60),
            },
            net: Duration::from_secs(5 * 60),
            stream: StreamOptions::default(),
            limits: Limits::default(),
            history_keep: SignedDuration::from_hours(400 * 24),
            history_lines: 200,
        }
    }
}

/// What the engine knows of a side besides what the journal keeps: for `status` and `health`.
#[derive(Debug, Clone, Default)]
pub struct SideState {
    /// Who is signed in, once that succeeded.
    pub identity: Option<Identity>,
    /// The last call that failed as a whole, and when. Gone after the next success.
    pub trouble: Option<(Timestamp, Error)>,
    /// Nothing is asked of the side before this time: a daily limit is used up, or the credentials
    /// no longer work.
    pub paused_until: Option<Timestamp>,
    /// When a change was last seen, by the side's own stamp.
    pub last_change: Option<Timestamp>,
    /// When a round of polling last ended well, by our clock.
    pub last_round: Option<Timestamp>,
}

/// Everything that the daemon's tasks share.
pub struct Engine {
    /// What is remembered.
    pub journal: Journal,
    /// Both platforms.
    pub platforms: PerSide<Arc<dyn Platform>>,
    /// The time.
    pub clock: Clock,
    /// How to work.
    pub options: Options,
    /// Rung when there may be something to settle.
    pub wake: Notify,
    /// Told when there is news of a handoff to work on.
    pub(super) handed: Notify,
    /// The same for a slow batch, which yields to what changed.
    pub(super) heard: Notify,
    /// Held while a batch is settled.
    pub(super) turns: tokio::sync::Mutex<Turns>,
    /// Where the news of each object comes from.
    pub intake: Intake,
    /// What became of the webhooks that arrived.
    pub webhooks: Counts,
    /// What is counted while the process runs.
    pub metrics: Metrics,
    /// Salesforce's change events, where they are to be followed.
    pub events: Option<Arc<Events>>,
    mappings: ArcSwap<Mappings>,
    owners: Mutex<Option<(Instant, Arc<Owners>)>>,
    sides: Mutex<PerSide<SideState>>,
    /// What the listings of changes have shown lately, so that the overlap of their rounds is not
    /// settled twice: by record, its time of modification and a digest of what was shown.
    pub(super) shown: Mutex<BTreeMap<RecordRef, (Timestamp, u64)>>,
    /// When the last settlement of each record began or came to its end; of the last while only.
    pub(super) recent: Mutex<BTreeMap<RecordRef, Instant>>,
    /// How many settlements there were lately.
    pub(super) tempo: Mutex<Tempo>,
    /// How many changes came lately.
    pub(super) floods: Mutex<BTreeMap<Way, Flood>>,
    /// How many change events were delivered.
    pub(super) tally: Mutex<Tally>,
    /// What the settlements of the last while came to.
    pub(super) limiter: Mutex<Limiter>,
    random: Mutex<fastrand::Rng>,
    /// Is told of every plan that is about to be carried out.
    pub(super) witness: Option<Witness>,
}

/// Who looks on as plans are carried out.
pub(super) type Witness = Box<dyn Fn(&Plan) + Send + Sync>;

impl Engine {
    /// An engine that has not asked anyone anything yet. `seed` is for the jitter of pauses.
    #[must_use]
    pub fn new(
        journal: Journal,
        platforms: PerSide<Arc<dyn Platform>>,
        mappings: impl Into<Arc<Mappings>>,
        clock: Clock,
        options: Options,
        seed: u64,
    ) -> Self {
        Self {
            journal,
            platforms,
            clock,
            wake: Notify::new(),
            handed: Notify::new(),
            heard: Notify::new(),
            turns: tokio::sync::Mutex::default(),
            intake: Intake::default(),
            webhooks: Counts::default(),
            metrics: Metrics::default(),
            events: None,
            mappings: ArcSwap::new(mappings.into()),
            owners: Mutex::default(),
            sides: Mutex::default(),
            shown: Mutex::default(),
            recent: Mutex::default(),
            tempo: Mutex::default(),
            floods: Mutex::default(),
            tally: Mutex::default(),
            limiter: Mutex::new(Limiter::new(options.limits.clone())),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
            witness: None,
            options,
        }
    }

    /// The same engine, which can follow Salesforce's change events.
    #[must_use]
    pub fn with_events(self, events: Option<Arc<Events>>) -> Self {
        Self { events, ..self }
    }

    /// The same engine, which tells `witness` of every plan that is about to be carried out.
    pub(super) fn witnessed(self, witness: impl Fn(&Plan) + Send + Sync + 'static) -> Self {
        Self { witness: Some(Box::new(witness)), ..self }
    }

    /// The mappings in force.
    #[must_use]
    pub fn mappings(&self) -> Arc<Mappings> {
        self.mappings.load_full()
    }

    /// Puts other mappings in force. Settlements under way end under the old ones.
    pub fn replace_mappings(&self, mappings: Mappings) {
        self.mappings.store(Arc::new(mappings));
    }

    /// The platform of a side.
    #[must_use]
    pub fn platform(&self, side: Side) -> &dyn Platform {
        self.platforms.get(side).as_ref()
    }

    /// What is known of both sides.
    #[must_use]
    pub fn side_states(&self) -> PerSide<SideState> {
        lock(&self.sides).clone()
    }

    /// Notes something about a side.
    pub(super) fn note_side(&self, side: Side, note: impl FnOnce(&mut SideState)) {
        note(lock(&self.sides).get_mut(side));
    }

    /// The owners of both sides, asked for again once they are old or where `fresh` says so.
    pub(super) async fn owners(&self, fresh: bool) -> Result<Arc<Owners>, Trouble> {
        if let Some((since, owners)) = lock(&self.owners).clone()
            && !fresh
            && since.elapsed() < self.options.owners_age
        {
            return Ok(owners);
        }
        let (hubspot, salesforce) =
            tokio::join!(self.platforms.hubspot.owners(), self.platforms.salesforce.owners());
        let listed = PerSide {
            hubspot: self.watch(Side::HubSpot, hubspot)?,
            salesforce: self.watch(Side::Salesforce, salesforce)?,
        };
        let owners = Arc::new(Owners::new(listed));
        *lock(&self.owners) = Some((Instant::now(), Arc::clone(&owners)));
        Ok(owners)
    }

    /// The owners as they were last listed, without asking anyone.
    pub(super) fn known_owners(&self) -> Option<Arc<Owners>> {
        lock(&self.owners).as_ref().map(|(_, owners)| Arc::clone(owners))
    }

    /// Notes how a call on a side went, for `status`, and passes it on.
    pub(super) fn watch<T>(&self, side: Side, result: Result<T, Error>) -> Result<T, Trouble> {
        let now = self.clock.now();
        self.note_side(side, |state| match &result {
            Ok(_) => {
                state.trouble = None;
                state.paused_until = None;
            }
            Err(error) => {
                state.paused_until = super::trouble::pause(error, now);
                state.trouble = Some((now, error.clone()));
            }
        });
        result.map_err(Trouble::from)
    }

    /// How long to wait after `attempts` settlements that did not end: doubling, with jitter of up
    /// to a quarter, bounded.
    pub(super) fn pause_after(&self, attempts: u32) -> Duration {
        let doubled = self.options.retry.saturating_mul(1 << attempts.min(16));
        let pause = doubled.min(self.options.retry_at_most);
        let quarter = u64::try_from(pause.as_millis() / 4).unwrap_or(u64::MAX).max(1);
        pause + Duration::from_millis(lock(&self.random).u64(..quarter))
    }

    /// Somewhere between nothing and `most`.
    pub(super) fn jitter(&self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(lock(&self.random).u64(0..=millis))
    }

    /// The mappings in which records of `object` on `side` take part.
    pub(super) fn mappings_of(&self, side: Side, object: &str) -> Vec<Arc<Mapping>> {
        self.mappings()
            .list
            .iter()
            .filter(|mapping| objects(mapping, side).any(|known| known == object))
            .cloned()
            .collect()
    }
}

/// The objects of `side` that a mapping is about.
pub(super) fn objects(mapping: &Mapping, side: Side) -> impl Iterator<Item = &str> {
    let spec = mapping.sides.get(side);
    [Some(spec.object.as_str()), spec.becomes.as_deref()].into_iter().flatten()
}

/// Locks what a panicking task may have left locked: everything under these locks is whole between
/// any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
