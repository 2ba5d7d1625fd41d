//! When a call is tried again.

use std::time::Duration;

use backoff::backoff::Backoff;
use tokio::time::Instant;

/// How long and how often a call is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    /// The most that the first wait can be; each further one can be twice as long.
    pub first: Duration,
    /// The most that any wait can be, unless the platform asks for more.
    pub longest: Duration,
    /// How long after the first failure the last try may begin.
    pub give_up: Duration,
    /// How long a write may wait to be sent. What it was decided from grows old meanwhile, so that
    /// it is better decided anew.
    pub write_within: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(400),
            longest: Duration::from_secs(10),
            give_up: Duration::from_secs(60),
            write_within: Duration::from_secs(2),
        }
    }
}

/// Exponential waits with full jitter: each is anywhere between nothing and its maximum, so that
/// callers that failed together do not come back together. Chance comes from a seed and time from
/// tokio's clock, unlike in the `backoff` package's own policy, so that runs can be repeated.
#[derive(Debug, Clone)]
pub struct Jitter {
    settings: RetrySettings,
    random: fastrand::Rng,
    tries: u32,
    failed_first: Option<Instant>,
}

impl Jitter {
    /// A policy for one call.
    #[must_use]
    pub const fn new(settings: RetrySettings, random: fastrand::Rng) -> Self {
        Self { settings, random, tries: 0, failed_first: None }
    }
}

impl Backoff for Jitter {
    fn reset(&mut self) {
        self.tries = 0;
        self.failed_first = None;
    }

    fn next_backoff(&mut self) -> Option<Duration> {
        let started = *self.failed_first.get_or_insert_with(Instant::now);
        let most = self
            .settings
            .first
            .saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX))
            .min(self.settings.longest);
        self.tries = self.tries.saturating_add(1).min(31);
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        // Never nothing: a server that refuses at once would be asked in a tight loop.
        let wait = Duration::from_millis(self.random.u64(0..=millis).max(10));
        (started.elapsed() + wait <= self.settings.give_up).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64) -> Vec<u128> {
        let mut policy = Jitter::new(RetrySettings::default(), fastrand::Rng::with_seed(seed));
        (0..10).filter_map(|_| policy.next_backoff()).map(|wait| wait.as_millis()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_up_to_the_cap_and_repeat_with_their_seed() {
        for seed in 0..200 {
            for (number, wait) in waits(seed).into_iter().enumerate() {
                let most = (400_u128 << number).min(10_000);
                assert!((10..=most).contains(&wait), "{seed}: {number}: {wait}");
            }
        }
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_the_virtual_clock() {
        let start = Instant::now();
        let mut tries = 0;
        let policy = Jitter::new(RetrySettings::default(), fastrand::Rng::with_seed(1));
        let result: Result<(), &str> = backoff::future::retry(policy, || {
            tries += 1;
            async { Err(backoff::Error::transient("no")) }
        })
        .await;
        assert_eq!(result, Err("no"));
        assert!(start.elapsed() <= Duration::from_secs(60), "{:?}", start.elapsed());
        assert!((8..60).contains(&tries), "{tries}");
    }
}
