//! How many events were delivered, of those that the org may have in 24 hours.
//!
//! The allocation is shared by everyone who subscribes in the org, and rolls: it is used up without
//! a moment at which it comes back. Two counts are kept: ours, by the hour, and the org's own, which
//! is asked for now and then and counts everyone's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::daemon::engine::lock;
use crate::daemon::{Engine, Trouble};
use crate::journal::Commit;

/// The journal's area and name under which our own count stands.
const KEPT: (&str, &str) = ("events", "delivered");

const HOUR: i64 = 60 * 60;

/// How often our own count is written down. What a crash forgets, the org's count still has.
const WRITTEN: std::time::Duration = std::time::Duration::from_secs(60);

/// Events delivered in the last 24 hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// To us.
    pub ours: u64,
    /// To everyone in the org, where it says so.
    pub used: Option<u64>,
    /// How many may be, where it is known.
    pub limit: Option<u64>,
}

/// What the engine counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Events by the hour since 1970.
    hours: BTreeMap<i64, u64>,
    /// Whether what the journal has was taken in.
    loaded: bool,
    written: Option<Instant>,
    /// What the org said last: used, allowed.
    org: Option<(u64, u64)>,
}

impl Tally {
    fn add(&mut self, count: usize, now: Timestamp) {
        *self.hours.entry(now.as_second().div_euclid(HOUR)).or_default() += count as u64;
        if let Some((used, _)) = &mut self.org {
            *used += count as u64;
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Timestamp) {
        let oldest = now.as_second().div_euclid(HOUR) - 24;
        self.hours.retain(|hour, _| *hour > oldest);
    }

    fn sum(&self, now: Timestamp) -> u64 {
        let oldest = now.as_second().div_euclid(HOUR) - 24;
        self.hours.iter().filter(|(hour, _)| **hour > oldest).map(|(_, count)| count).sum()
    }
}

impl Engine {
    /// Counts events that were delivered.
    pub(super) async fn note_deliveries(&self, count: usize) -> Result<(), Trouble> {
        if count == 0 {
            return Ok(());
        }
        self.load_deliveries().await?;
        let now = self.clock.now();
        let hours = {
            let mut tally = lock(&self.tally);
            tally.add(count, now);
            if tally.written.is_some_and(|at| at.elapsed() < WRITTEN) {
                return Ok(());
            }
            tally.written = Some(Instant::now());
            tally.hours.clone()
        };
        let mut commit = Commit::new();
        commit.keep(KEPT.0, KEPT.1, &hours);
        self.journal.commit(commit).await?;
        Ok(())
    }

    async fn load_deliveries(&self) -> Result<(), Trouble> {
        if lock(&self.tally).loaded {
            return Ok(());
        }
        let kept: Option<BTreeMap<i64, u64>> = self.journal.kept(KEPT.0, KEPT.1).await?;
        let mut tally = lock(&self.tally);
        if !tally.loaded {
            tally.loaded = true;
            for (hour, count) in kept.unwrap_or_default() {
                *tally.hours.entry(hour).or_default() += count;
            }
        }
        Ok(())
    }

    /// Takes note of what the org says about its allocation: used, allowed.
    pub fn note_allocation(&self, used: u64, limit: u64) {
        lock(&self.tally).org = Some((used, limit));
    }

    /// Events delivered in the last 24 hours.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub async fn deliveries(&self) -> Result<Deliveries, Trouble> {
        self.load_deliveries().await?;
        let now = self.clock.now();
        let tally = lock(&self.tally);
        let set = self.options.stream.allocation;
        Ok(Deliveries {
            ours: tally.sum(now),
            used: tally.org.map(|(used, _)| used),
            limit: set.or(tally.org.map(|(_, limit)| limit)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_rolls() {
        let at = |hour: i64| Timestamp::from_second(1_800_000_000 + hour * HOUR).unwrap();
        let mut tally = Tally { org: Some((7, 100)), ..Tally::default() };
        tally.add(10, at(0));
        tally.add(5, at(1));
        tally.add(1, at(23));
        assert_eq!((tally.sum(at(23)), tally.org), (16, Some((23, 100))));
        assert_eq!(tally.sum(at(24)), 6);
        assert_eq!(tally.sum(at(25)), 1);
        tally.add(1, at(60));
        assert_eq!((tally.sum(at(60)), tally.hours.len()), (1, 1));
    }
}
