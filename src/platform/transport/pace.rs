//! How fast calls may go.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

tokio::task_local! {
    /// Set where the calls of a task leave room for those of others.
    static UNHURRIED: ();
}

/// Does `work`, whose calls leave room for those that somebody waits for: together they have at most
/// three quarters of every window and of the calls under way, and stand in a line of their own until
/// it is their turn there.
pub async fn unhurried<T>(work: impl Future<Output = T>) -> T {
    UNHURRIED.scope((), work).await
}

/// At most `max` calls within any span of `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many calls.
    pub max: u32,
    /// Within how long.
    pub per: Duration,
}

impl Window {
    /// What unhurried calls have of it.
    fn most(self) -> Self {
        Self { max: most(self.max), per: self.per }
    }

    /// A tenth may go at once and the rest is spread evenly: a bucket that begins full and refills
    /// at the full rate would let nearly twice `max` through its first window.
    fn quota(self) -> Quota {
        let max = self.max.max(1);
        let burst = (max / 10).max(1);
        let spread = (max - burst).max(1);
        let one = (self.per / spread).max(Duration::from_nanos(1));
        Quota::with_period(one)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN))
    }
}

/// Three quarters, and one at least.
fn most(whole: u32) -> u32 {
    (whole - whole / 4).max(1)
}

/// tokio's clock for governor, so that paused time paces too.
#[derive(Debug, Clone)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

#[derive(Debug)]
struct Bucket {
    window: Window,
    limiter: Limiter,
}

impl Bucket {
    fn new(window: Window) -> Self {
        let limiter = RateLimiter::direct_with_clock(window.quota(), TokioClock(Instant::now()));
        Self { window, limiter }
    }

    /// Takes one call's worth, or says how long to wait for it.
    fn take(&self) -> Option<Duration> {
        let wait = self.limiter.check().err()?;
        let now = self.limiter.clock().now();
        Some(wait.earliest_possible().duration_since(now).into())
    }
}

/// One class of calls with its own limits: windows, calls at once, and a pause that an answer can
/// impose. Waiting is first come, first served, and may be given up at any time. [`unhurried`] calls
/// first wait for each other, so that a hurried one finds at most one of them before it.
#[derive(Debug)]
pub struct Lane {
    name: &'static str,
    all: Line,
    unhurried: Line,
    limits: Mutex<Limits>,
}

/// Where callers wait for their turn.
#[derive(Debug)]
struct Line {
    slots: Arc<Semaphore>,
    /// Held by the one caller that waits for the windows; tokio's mutex is fair.
    gate: tokio::sync::Mutex<()>,
}

impl Line {
    fn new(at_once: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once)), gate: tokio::sync::Mutex::new(()) }
    }
}

/// Whose windows.
#[derive(Debug, Clone, Copy)]
enum Who {
    All,
    Unhurried,
}

#[derive(Debug)]
struct Limits {
    /// The windows of all calls, each with that of unhurried ones.
    buckets: Vec<(Arc<Bucket>, Arc<Bucket>)>,
    paused_until: Option<Instant>,
}

/// The windows as they are kept.
fn kept(window: Window) -> (Arc<Bucket>, Arc<Bucket>) {
    (Arc::new(Bucket::new(window)), Arc::new(Bucket::new(window.most())))
}

/// The right to make one call; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
    _unhurried: Option<OwnedSemaphorePermit>,
}

/// The lane is paused for longer than the caller would wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// How much longer.
    pub left: Duration,
}

impl Lane {
    /// A lane with these windows, all of which a call must fit, and at most `at_once` calls under
    /// way.
    #[must_use]
    pub fn new(name: &'static str, windows: &[Window], at_once: usize) -> Arc<Self> {
        let at_once = at_once.max(1);
        Arc::new(Self {
            name,
            all: Line::new(at_once),
            unhurried: Line::new((at_once - at_once / 4).min(at_once.saturating_sub(1)).max(1)),
            limits: Mutex::new(Limits {
                buckets: windows.iter().copied().map(kept).collect(),
                paused_until: None,
            }),
        })
    }

    /// The name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Waits until a call may go.
    ///
    /// # Errors
    /// Where the lane is paused for longer than `patience`: waiting for a daily limit inside a call
    /// would look like a hang.
    pub async fn admit(&self, patience: Duration) -> Result<Permit, Paused> {
        let unhurried = match UNHURRIED.try_with(|()| ()) {
            Ok(()) => Some(self.stand_in(&self.unhurried, Who::Unhurried, patience).await?),
            Err(_) => None,
        };
        let slot = self.stand_in(&self.all, Who::All, patience).await?;
        Ok(Permit { _slot: slot, _unhurried: unhurried })
    }

    /// Waits in a line, and for its windows.
    async fn stand_in(
        &self,
        line: &Line,
        who: Who,
        patience: Duration,
    ) -> Result<OwnedSemaphorePermit, Paused> {
        // The semaphore is never closed, so that a failure cannot happen; it is reported as a pause
        // rather than by a panic.
        let slot = Arc::clone(&line.slots).acquire_owned().await;
        let slot = slot.map_err(|_| Paused { left: Duration::MAX })?;
        let _gate = line.gate.lock().await;
        let buckets = self.limits().buckets.clone();
        for (all, unhurried) in &buckets {
            let bucket = match who {
                Who::All => all,
                Who::Unhurried => unhurried,
            };
            loop {
                self.sit_out(patience).await?;
                match bucket.take() {
                    None => break,
                    Some(wait) => tokio::time::sleep(wait).await,
                }
            }
        }
        self.sit_out(patience).await?;
        Ok(slot)
    }

    /// Waits out a pause, also one that is prolonged meanwhile.
    async fn sit_out(&self, patience: Duration) -> Result<(), Paused> {
        while let Some(left) = self.paused() {
            if left > patience {
                return Err(Paused { left });
            }
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    /// Lets no call go for `span` from now. A longer pause that is already set stays.
    pub fn pause(&self, span: Duration) {
        let now = Instant::now();
        // A platform that asks for centuries is asking for a person; a year keeps the clock sane.
        let until = now + span.min(Duration::from_secs(366 * 86_400));
        let mut limits = self.limits();
        limits.paused_until = Some(limits.paused_until.map_or(until, |set| set.max(until)));
    }

    /// How much longer the lane is paused.
    #[must_use]
    pub fn paused(&self) -> Option<Duration> {
        let until = self.limits().paused_until?;
        Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Replaces the window of the same length: an answer's headers say what the account really has.
    pub fn adopt(&self, window: Window) {
        let mut limits = self.limits();
        for buckets in &mut limits.buckets {
            let known = buckets.0.window;
            if known.per == window.per && known.max != window.max {
                *buckets = kept(window);
            }
        }
    }

    fn limits(&self) -> std::sync::MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn window(max: u32, seconds: u64) -> Window {
        Window { max, per: Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_anywhere_holds_more_than_its_limit() {
        for (max, seconds) in [(110, 10), (190, 10), (5, 1), (1, 1), (2, 10), (1000, 10)] {
            let lane = Lane::new("t", &[window(max, seconds)], 4);
            let mut times = Vec::new();
            for _ in 0..max * 4 {
                drop(lane.admit(PATIENCE).await.unwrap());
                times.push(Instant::now());
            }
            let worst = (0..times.len())
                .map(|i| {
                    let end = times[i] + Duration::from_secs(seconds);
                    times[i..].iter().take_while(|&&time| time < end).count()
                })
                .max()
                .unwrap();
            assert!(worst <= max as usize, "{max} in {seconds} s: {worst}");
            let used = times.last().unwrap().duration_since(times[0]).as_secs_f64();
            let ideal = f64::from(max * 4 - 1) / f64::from(max) * seconds as f64;
            assert!(used < ideal * 1.4 || max < 3, "{max} in {seconds} s: {used} of {ideal}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_first_come_first_served_and_can_be_given_up() {
        let lane = Lane::new("t", &[window(1, 1)], 8);
        drop(lane.admit(PATIENCE).await.unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for number in 0..4 {
            let (lane, order) = (Arc::clone(&lane), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                drop(lane.admit(PATIENCE).await.unwrap());
                order.lock().unwrap().push(number);
            }));
            tokio::task::yield_now().await;
        }
        waiting[0].abort();
        for task in waiting {
            let _ = task.await;
        }
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everyone_and_a_long_one_is_told() {
        let start = Instant::now();
        let lane = Lane::new("t", &[], 8);
        lane.pause(Duration::from_secs(10));
        lane.pause(Duration::from_secs(2));
        drop(lane.admit(PATIENCE).await.unwrap());
        assert_eq!(start.elapsed().as_secs(), 10);
        lane.pause(Duration::from_secs(3600));
        assert_eq!(
            lane.admit(PATIENCE).await.unwrap_err(),
            Paused { left: Duration::from_secs(3600) }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_at_once() {
        let lane = Lane::new("t", &[], 2);
        let _one = lane.admit(PATIENCE).await.unwrap();
        let two = lane.admit(PATIENCE).await.unwrap();
        let third = tokio::time::timeout(Duration::from_secs(5), lane.admit(PATIENCE));
        assert!(third.await.is_err());
        drop(two);
        lane.admit(PATIENCE).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn unhurried_calls_leave_room_for_one_that_somebody_waits_for() {
        let lane = Lane::new("t", &[window(100, 10)], 4);
        let import = async {
            for _ in 0..1_000 {
                let permit = lane.admit(PATIENCE).await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
                drop(permit);
            }
        };
        let imports = unhurried(async {
            tokio::join!(import, async {
                for _ in 0..1_000 {
                    let permit = lane.admit(PATIENCE).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    drop(permit);
                }
            })
        });
        let edits = async {
            let mut longest = Duration::ZERO;
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let since = Instant::now();
                drop(lane.admit(PATIENCE).await.unwrap());
                longest = longest.max(since.elapsed());
            }
            longest
        };
        let began = Instant::now();
        let ((), longest) = tokio::join!(
            async {
                imports.await;
            },
            edits
        );
        assert!(longest <= Duration::from_millis(220), "{longest:?}");
        // Three quarters of the windows are theirs, whatever else happens.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(300), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn headers_overrule_the_window() {
        let lane = Lane::new("t", &[window(100, 10)], 1);
        lane.adopt(window(1000, 10));
        let start = Instant::now();
        for _ in 0..500 {
            drop(lane.admit(PATIENCE).await.unwrap());
        }
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    }
}
