//! When settlements begin, and which.
//!
//! One batch is settled at a time: recognising, moving links and passing on what is owed lean on it,
//! for two halves of one person, each in a batch of its own, would be linked to each other by both and
//! written without being weighed. So whoever edits a record may have to wait for a batch under way,
//! and everything here keeps that short.
//!
//! - **What changed goes first.** A batch holds what changed (the lanes of handoffs and of ordinary
//!   changes), or what exists and is taken in or swept, and never both. The second kind has its turn
//!   when nothing of the first is due, and after [`IN_A_ROW`] batches of the first.
//! - **A slow batch is small, and yields.** It holds [`Options::slow_batch`] entries. As soon as
//!   something that changed is due, it ends where it is and its entries are put back, unless it has
//!   begun to write: up to there it has only read. After [`CUT_SHORT`] such ends it is let through,
//!   so that an import moves however busy the day is, and is a [`LET_THROUGH`]th as large, because
//!   somebody is sure to wait for it. Its calls are
//!   [`unhurried`](crate::platform::transport::unhurried): a quarter of a platform's windows is left
//!   to others. Once it writes, nothing holds it up: somebody may be waiting for its end.
//! - **One link's settlements keep apart.** What is heard of a record within [`Options::window`] of
//!   its last settlement waits until that is over, whatever its number: fifty changes to one record
//!   are a first settlement and one more. After a quiet time a change waits for nothing.
//! - **A batch under way gathers the next.** A settlement waits mostly for the platforms, and what
//!   arrives meanwhile is taken together. Where calls run short, more than [`Options::at_once`]
//!   settlements in ten seconds or more than half of an account's day used up, there is a rest of one
//!   window after each.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Engine;
#[cfg(doc)]
use super::Options;
use super::case::Case;
use super::engine::lock;
use super::settle::Settled;
use super::trouble::Trouble;
use crate::journal::{Lane, PendingEntry};
use crate::record::{RecordRef, Side};

/// The lanes of what changed.
pub(super) const PROMPT: &[Lane] = &[Lane::Handoff, Lane::Ordinary];

/// The lane of what exists and is taken in or swept, and of floods.
pub(super) const SLOW: &[Lane] = &[Lane::Backfill];

/// How many batches of what changed go before one of what exists that waits.
pub const IN_A_ROW: u32 = 8;

/// How many slow batches in a row are cut short before one is let through. What they read is read
/// again, which costs calls.
pub const CUT_SHORT: u32 = 4;

/// The part of a slow batch that is let through while people are at work, as its divisor.
pub const LET_THROUGH: usize = 4;

/// How far the listing of what exists runs ahead of its settling, in entries: further would only
/// fill the journal.
const AHEAD: usize = 1_000;

/// The time for which settlements are counted.
const SPAN: Duration = Duration::from_secs(10);

/// Whose turn it is; held while a batch is settled.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Batches of what changed since the last one of what exists.
    passed: u32,
    /// Slow batches that were cut short since the last one that was let through.
    cut: u32,
}

/// How a batch is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gait {
    /// At once.
    Prompt,
    /// Leaving room, to its end.
    Slow,
    /// Leaving room, and only as long as nothing else is due.
    Yielding,
}

/// Counts settlements: as many as are in ten seconds may begin at once, and their number grows
/// back evenly.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    /// When everything that was spent is back.
    whole: Option<Instant>,
}

impl Tempo {
    fn spend(&mut self, at_once: u32, now: Instant) {
        let whole = self.whole.map_or(now, |whole| whole.max(now)) + SPAN / at_once.max(1);
        // Who rests after each does not fall behind further than that.
        self.whole = Some(whole.min(now + SPAN));
    }

    /// Whether another settlement may follow at once.
    fn has_left(&self, at_once: u32, now: Instant) -> bool {
        self.whole.is_none_or(|whole| whole + SPAN / at_once.max(1) <= now + SPAN)
    }
}

impl Engine {
    /// Takes the most urgent entries that are due and settles them.
    ///
    /// # Errors
    /// Where a platform or the journal cannot be used now. The entries are tried again later.
    pub async fn settle_due(&self) -> Result<Settled, Trouble> {
        let mut turns = self.turns.lock().await;
        let batch = self.options.batch;
        let slow = batch.min(self.options.slow_batch);
        let let_through = slow.div_ceil(LET_THROUGH);
        if turns.passed >= IN_A_ROW {
            turns.passed = 0;
            let settled = self.settle_lanes(SLOW, let_through, Gait::Slow).await?;
            if settled.taken > 0 {
                turns.cut = 0;
                return Ok(settled);
            }
        }
        let settled = self.settle_lanes(PROMPT, batch, Gait::Prompt).await?;
        if settled.taken > 0 {
            turns.passed += 1;
            lock(&self.tempo).spend(self.options.at_once, Instant::now());
            return Ok(settled);
        }
        let settled = match turns.cut < CUT_SHORT {
            true => self.settle_lanes(SLOW, slow, Gait::Yielding).await?,
            false => self.settle_lanes(SLOW, let_through, Gait::Slow).await?,
        };
        if settled.put_back > 0 {
            turns.cut += 1;
        } else if settled.taken > 0 {
            *turns = Turns::default();
        }
        Ok(settled)
    }

    /// Waits until something that changed is due.
    pub(super) async fn prompt_is_due(&self) {
        loop {
            let mut heard = std::pin::pin!(self.heard.notified());
            // From here on nothing is missed, also while the journal is asked.
            heard.as_mut().enable();
            let due = self.journal.next_due(PROMPT).await.ok().flatten();
            let left = due.map(|due| due.duration_since(self.clock.now()));
            match left.map(Duration::try_from) {
                Some(Err(_) | Ok(Duration::ZERO)) => return,
                Some(Ok(left)) => tokio::select! {
                    biased;
                    () = heard => {}
                    () = tokio::time::sleep(left) => {}
                },
                None => heard.await,
            }
        }
    }

    /// Tells whoever settles that there may be something to settle.
    pub fn rouse(&self) {
        self.wake.notify_one();
        self.heard.notify_waiters();
    }

    /// How long to rest before the next settlement. Nothing as long as there are calls enough.
    pub fn rest(&self) -> Duration {
        let free = lock(&self.tempo).has_left(self.options.at_once, Instant::now());
        let plenty = Side::BOTH.into_iter().all(|side| {
            let budget = self.platform(side).budget();
            let (Some(used), Some(limit)) = (budget.used, budget.limit) else { return true };
            used <= limit / 2
        });
        if free && plenty { Duration::ZERO } else { self.options.window }
    }

    /// Notes that these cases' records are settled now, and forgets those of which that was long ago.
    pub(super) fn note_settled(&self, cases: &[Case]) {
        let now = Instant::now();
        let mut recent = lock(&self.recent);
        recent.retain(|_, at| now.duration_since(*at) < self.options.window);
        for (_, record) in cases.iter().flat_map(|case| case.records.iter()) {
            if let Some(record) = record {
                recent.insert(record.clone(), now);
            }
        }
    }

    /// Until when what is heard of a record now waits for others: not at all after a quiet time, so
    /// that a lone edit is carried over at once.
    pub(super) fn window_left(&self, record: &RecordRef, now: Timestamp) -> Option<Timestamp> {
        let settled = lock(&self.recent).get(record).copied()?;
        let left = self.options.window.checked_sub(settled.elapsed())?;
        now.checked_add(SignedDuration::try_from(left).ok()?).ok()
    }

    /// When a link that is settled at `now` is settled again at the earliest, should it have been
    /// heard of meanwhile.
    pub(super) fn after_window(&self, now: Timestamp) -> Timestamp {
        let window = SignedDuration::try_from(self.options.window).unwrap_or_default();
        now.saturating_add(window).unwrap_or(now)
    }

    /// Whether the listing of what exists is far enough ahead of its settling. What a hold or a
    /// failure keeps waiting is none of it.
    ///
    /// # Errors
    /// Where the journal cannot be read now.
    pub async fn is_far_ahead(&self) -> Result<bool, Trouble> {
        let due = self.journal.count_due(Lane::Backfill, self.clock.now(), AHEAD).await?;
        Ok(due >= AHEAD)
    }

    /// Gives entries back, which are due as before.
    pub(super) async fn put_back(&self, entries: &[PendingEntry]) -> Result<Settled, Trouble> {
        let subjects = entries.iter().map(|entry| entry.subject.clone()).collect();
        self.journal.release(subjects).await?;
        tracing::debug!(entries = entries.len(), "put back: something more urgent is due");
        Ok(Settled { put_back: entries.len(), ..Settled::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn settlements_follow_each_other_until_calls_run_short_and_again_after_a_quiet_time() {
        let mut tempo = Tempo::default();
        let mut spend = || {
            tempo.spend(20, Instant::now());
            tempo.has_left(20, Instant::now())
        };
        assert_eq!(
            (0..40).take_while(|_| spend()).count(),
            19,
            "the twentieth is followed by a rest"
        );
        // Half of what ten seconds hold: what was spent comes back.
        for _ in 0..100 {
            tokio::time::advance(Duration::from_millis(1_100)).await;
            assert!(spend());
        }
        tokio::time::advance(SPAN).await;
        assert_eq!((0..40).take_while(|_| spend()).count(), 19);
    }
}
