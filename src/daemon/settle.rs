//! Settles: reads both sides, decides, writes, remembers.
//!
//! [`Engine::settle_due`] takes a batch of entries and carries it through nine steps, each a
//! function of its own: know, fetch, recognise, decide, freshen, limit, intend, write, conclude.
//! What makes a batch, and whose turn it is, is told by [`tempo`](super::tempo). A crash between any
//! two of them loses nothing: until the last one an entry waits in the journal, and the next
//! settlement begins by reading what both sides really hold.
//!
//! What remains is the moment between the reading and the writing of one record: neither platform
//! takes a batch of writes on the condition that the records are still as they were read, so a
//! person's edit of the same field in just that moment is overwritten unseen. `fresh` keeps
//! the moment short before the write is handed over, and the client after that: what cannot be sent
//! at once is not sent, and decided anew. Every field that is not to change is left out of a write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::Engine;
use super::case::Case;
use super::fetch::weighs_time;
use super::tempo::Gait;
use super::trouble::Trouble;
use crate::journal::{Commit, Lane, LinkEntry, PendingEntry};
use crate::mapping::{Direction, Mapping};
use crate::platform::transport::unhurried;
use crate::reconcile::{Decision, Verdict};
use crate::record::{PerSide, Record, RecordRef, Side, Value};

/// What one batch came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Entries taken from the journal. None: nothing was due.
    pub taken: usize,
    /// Entries that came to their end.
    pub finished: usize,
    /// Entries that are tried again later.
    pub postponed: usize,
    /// Entries that a safety limit stopped.
    pub held: usize,
    /// Entries that were put back unsettled, because something more urgent was due.
    pub put_back: usize,
    /// Records written, by side.
    pub written: PerSide<usize>,
    /// Records created, by side.
    pub created: PerSide<usize>,
    /// Records deleted, by side.
    pub deleted: PerSide<usize>,
    /// Refusals, by side.
    pub refused: PerSide<usize>,
}

impl std::ops::AddAssign for Settled {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.finished += other.finished;
        self.postponed += other.postponed;
        self.held += other.held;
        self.put_back += other.put_back;
        for side in Side::BOTH {
            *self.written.get_mut(side) += other.written.get(side);
            *self.created.get_mut(side) += other.created.get(side);
            *self.deleted.get_mut(side) += other.deleted.get(side);
            *self.refused.get_mut(side) += other.refused.get(side);
        }
    }
}

impl Settled {
    /// Whether nothing came of it that an operator would look for.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let sides = [&self.written, &self.created, &self.deleted, &self.refused];
        let touched = sides.into_iter().flat_map(|it| [it.hubspot, it.salesforce]).sum::<usize>();
        touched + self.postponed + self.held == 0
    }
}

impl Engine {
    /// Takes up to `limit` entries of some lanes that are due and settles them. To be called by who
    /// has the turn: see [`tempo`](super::tempo).
    pub(super) async fn settle_lanes(
        &self,
        lanes: &'static [Lane],
        limit: usize,
        gait: Gait,
    ) -> Result<Settled, Trouble> {
        let now = self.clock.now();
        let entries = self.journal.take_of(lanes, limit, now, BTreeSet::new()).await?;
        let mut sum = Settled { taken: entries.len(), ..Settled::default() };
        let mut groups: BTreeMap<String, Vec<PendingEntry>> = BTreeMap::new();
        for entry in entries {
            groups.entry(entry.mapping.clone()).or_default().push(entry);
        }
        let mut trouble = None;
        for (name, entries) in groups {
            let Some(mapping) = self.mappings().get(&name).cloned() else {
                sum.postponed += entries.len();
                self.wait_for_mapping(&name, &entries).await?;
                continue;
            };
            match self.settle_group(&mapping, &entries, gait).await {
                Ok(settled) => {
                    self.metrics.settled(&name, &settled);
                    sum += settled;
                }
                Err(error) => {
                    self.metrics.failed(&name, entries.len());
                    sum.postponed += entries.len();
                    self.try_again_later(&entries, &error).await?;
                    trouble.get_or_insert(error);
                }
            }
        }
        trouble.map_or(Ok(sum), Err)
    }

    async fn settle_group(
        &self,
        mapping: &Arc<Mapping>,
        entries: &[PendingEntry],
        gait: Gait,
    ) -> Result<Settled, Trouble> {
        let planned = self.plan(mapping, entries);
        let planned = match gait {
            Gait::Prompt => planned.await?,
            Gait::Slow => unhurried(planned).await?,
            Gait::Yielding => tokio::select! {
                biased;
                () = self.prompt_is_due() => return self.put_back(entries).await,
                planned = unhurried(planned) => planned?,
            },
        };
        let (mut settled, over, open) = planned;
        let (held, mut open) = self.limit(mapping, open).await?;
        settled.held += held;
        self.route(mapping, &mut open).await?;
        self.intend(mapping, &open).await?;
        if let Some(witness) = &self.witness {
            open.iter().filter_map(|case| case.plan.as_ref()).for_each(witness);
        }
        let written = self.write(mapping, &open).await;
        self.note_settled(&open);
        settled += self.conclude(mapping, over, open, written).await?;
        Ok(settled)
    }

    /// Plans for every entry, from what both sides hold: what it came to so far, the cases in which
    /// there is nothing to settle, and the others. Up to here nothing was written on either side, and
    /// it may be given up at any point like in a crash.
    async fn plan(
        &self,
        mapping: &Arc<Mapping>,
        entries: &[PendingEntry],
    ) -> Result<(Settled, Vec<Case>, Vec<Case>), Trouble> {
        let mut cases = self.know(entries).await?;
        self.note_settled(&cases);
        let (over, mut open): (Vec<Case>, Vec<Case>) = cases.drain(..).partition(Case::is_over);
        let mut settled = Settled { finished: over.len(), ..Settled::default() };
        let read = Instant::now();
        self.fetch_cases(mapping, &mut open).await?;
        let (unclear, mut open) = self.recognise(mapping, open).await?;
        settled.finished += unclear;
        self.decide(mapping, &mut open).await?;
        let (late, open) = self.freshen(mapping, read, open).await?;
        let (twins, open) = self.one_of_each(mapping, open).await?;
        settled.postponed += late + twins;
        Ok((settled, over, open))
    }

    /// What the journal knows of each entry.
    async fn know(&self, entries: &[PendingEntry]) -> Result<Vec<Case>, Trouble> {
        let subjects = entries.iter().map(|entry| entry.subject.clone()).collect();
        let known = self.journal.known(subjects).await?;
        Ok(entries
            .iter()
            .cloned()
            .zip(known)
            .map(|(entry, known)| Case::new(entry, known))
            .collect())
    }

    /// Reads every record that the cases know.
    pub(super) async fn fetch_cases(
        &self,
        mapping: &Mapping,
        cases: &mut [Case],
    ) -> Result<(), Trouble> {
        let found = self.fetch_both(mapping, &refs(cases), None).await?;
        for case in cases {
            case.take_in(&found);
        }
        Ok(())
    }

    /// Plans for every case. Where a rule weighs times, or what was written before is in doubt, times
    /// and versions are read first, for those cases only.
    pub(super) async fn decide(
        &self,
        mapping: &Mapping,
        cases: &mut [Case],
    ) -> Result<(), Trouble> {
        // Collected, because a lazy iterator held over the wait keeps this from being spawned.
        let live: Vec<&Record> = cases.iter().flat_map(Case::live).collect();
        let snapshot = Arc::new(self.snapshot_of(mapping, live).await?);
        let now = self.clock.now();
        for case in &mut *cases {
            case.decide(mapping, &snapshot, now);
        }
        let mut timed: Vec<&mut Case> =
            cases.iter_mut().filter(|case| hangs_on_history(mapping, case)).collect();
        if timed.is_empty() {
            return Ok(());
        }
        let mut wanted: PerSide<BTreeSet<RecordRef>> = PerSide::default();
        for case in &timed {
            for record in case.live() {
                wanted.get_mut(record.key.side).insert(record.key.clone());
            }
        }
        let doubtful: BTreeSet<String> =
            timed.iter().flat_map(|case| case.landed.doubtful.iter().cloned()).collect();
        let found = self.fetch_both(mapping, &wanted, Some(&doubtful)).await?;
        for case in &mut timed {
            case.take_in(&found);
            case.decide(mapping, &snapshot, now);
        }
        Ok(())
    }

    /// Writes down what is about to be written, with the lines of history that it will be worth:
    /// should the process end before the results are known, the next settlement finds both sides
    /// equal and could no longer tell what was overwritten.
    async fn intend(&self, mapping: &Mapping, cases: &[Case]) -> Result<(), Trouble> {
        let at = self.clock.now();
        let mut commits = Vec::new();
        for case in cases {
            let Some(plan) = case.plan.as_ref().filter(|plan| !plan.is_quiet()) else { continue };
            // An earlier intent is replaced by this one, which therefore takes over what it owes.
            let mut lines = super::owed::owed(mapping, case, plan);
            lines.extend(super::history::lines(case, plan, at));
            let mut commit = Commit::new();
            if let Some(link) = case.link()
                && link.base != case.base
            {
                // What an earlier intent has shown: this one takes its place.
                commit.link(LinkEntry { base: case.base.clone(), ..link.clone() });
            }
            for intent in case.intents(plan, &lines, at) {
                commit.intend(intent);
            }
            commits.push(commit);
        }
        self.commit_all(commits).await
    }

    /// Commits many small things, each whole in itself, with as few flushes as the journal needs.
    pub(super) async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), Trouble> {
        let all = commits.into_iter().map(|commit| self.journal.commit(commit));
        for result in futures_util::future::join_all(all).await {
            result?;
        }
        Ok(())
    }

    /// Lets entries wait after their group failed as a whole.
    async fn try_again_later(
        &self,
        entries: &[PendingEntry],
        trouble: &Trouble,
    ) -> Result<(), Trouble> {
        let Trouble::Platform(error) = trouble else {
            let subjects = entries.iter().map(|entry| entry.subject.clone()).collect();
            return Ok(self.journal.release(subjects).await?);
        };
        let now = self.clock.now();
        let pause = super::trouble::pause(error, now);
        let mut commit = Commit::new();
        for entry in entries {
            let until = pause.unwrap_or_else(|| self.later(now, entry.attempts));
            let error = Some(error.to_string());
            commit.postpone(entry.subject.clone(), entry.version, until, error);
        }
        self.journal.commit(commit).await?;
        Ok(())
    }

    /// Lets the entries of a mapping that is not in force wait for it.
    async fn wait_for_mapping(&self, name: &str, entries: &[PendingEntry]) -> Result<(), Trouble> {
        let now = self.clock.now();
        let until = now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(now);
        let mut commit = Commit::new();
        for entry in entries {
            let error = Some(format!("no mapping called {name:?} is in force"));
            commit.postpone(entry.subject.clone(), entry.version, until, error);
        }
        self.journal.commit(commit).await?;
        Ok(())
    }

    /// When to try again after `attempts` that did not end.
    pub(super) fn later(&self, now: Timestamp, attempts: u32) -> Timestamp {
        let pause = SignedDuration::try_from(self.pause_after(attempts)).unwrap_or_default();
        now.saturating_add(pause).unwrap_or(now)
    }
}

/// Every record that the cases know, by side.
fn refs(cases: &[Case]) -> PerSide<BTreeSet<RecordRef>> {
    PerSide::from_fn(|side| {
        cases.iter().filter_map(|case| case.records.get(side).clone()).collect()
    })
}

/// Whether the plan came out as it did for want of times: both sides have an opinion of their own,
/// and the field's rules weigh times. At a first meeting a blank is none; later one is where the
/// mapping lets it clear the other side, so that the decision was not to leave the field. Or
/// what became of an earlier write is told by the field's versions only.
fn hangs_on_history(mapping: &Mapping, case: &Case) -> bool {
    let disputed = |decision: &Decision| {
        let PerSide { hubspot: Some(h), salesforce: Some(s) } = &decision.values else {
            return false;
        };
        let spoke = |value: &Value| match &decision.base {
            Some(base) => base != value,
            None => !value.is_blank(),
        };
        h != s
            && spoke(h)
            && spoke(s)
            && matches!(decision.verdict, Verdict::Settled(_) | Verdict::Parked)
            && mapping
                .field(&decision.field)
                .is_some_and(|field| field.direction == Direction::Both && weighs_time(field))
    };
    !case.landed.doubtful.is_empty()
        || case.plan.as_ref().is_some_and(|plan| plan.decisions.iter().any(disputed))
}
