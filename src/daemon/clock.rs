//! The daemon's clock.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time. Real in production; in the simulation it runs with tokio's virtual time.
///
/// What the platforms stamp is never compared with it: cursors and conflicts use the platforms' own
/// times.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is where production's time comes in")]
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that shows `start` now and runs with tokio's time.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        let origin = Instant::now();
        Self(Arc::new(move || {
            let passed = i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
            start.saturating_add(SignedDuration::from_millis(passed)).unwrap_or(start)
        }))
    }

    /// A clock that shows what `read` says: a rehearsal sets the platforms' clock ahead, and the
    /// daemon's must not fall behind.
    pub fn reading(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
