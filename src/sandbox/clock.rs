//! The sandbox's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A clock that runs with tokio's: real in a server, virtual in a test with paused time. It can be
/// set ahead by hand, as a test that lets a token expire needs.
#[derive(Debug, Clone)]
pub struct SandboxClock {
    start: Timestamp,
    origin: Instant,
    ahead_ms: Arc<AtomicI64>,
}

impl SandboxClock {
    /// A clock that shows `start` now. Must be called within a tokio runtime for paused time to
    /// apply.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: Instant::now(), ahead_ms: Arc::default() }
    }

    /// The time now, in whole milliseconds as both platforms keep it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        let passed = elapsed.saturating_add(self.ahead_ms.load(Ordering::Relaxed));
        self.start.saturating_add(SignedDuration::from_millis(passed)).unwrap_or(self.start)
    }

    /// Sets the clock ahead for every holder of it.
    pub fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
