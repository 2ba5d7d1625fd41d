//! Remembers what became of a batch: the new base, the history, what waits for a person.

mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::case::Case;
use super::handoff::Handed;
use super::history::lines;
use super::limit::settle_mark;
use super::owed::bequeaths;
use super::settle::Settled;
use super::status::OWNERS_LEFT;
use super::trouble::Trouble;
use super::write::{Fate, Written};
use crate::journal::{Commit, Error as JournalError, Heard, HistoryLine, LinkState};
use crate::mapping::Mapping;
use crate::reconcile::recognise::key_value;
use crate::reconcile::{LinkStep, OWNER_UNKNOWN, Plan, WriteAction};
use crate::record::{Change, Fingerprint, LinkId, RecordRef, Side, Source};

/// How a case ends.
enum End {
    /// It came to its end.
    Finished,
    /// It goes on at once: there is a new record to read, or ids to write.
    Next,
    /// It is tried again later: why.
    Later(String),
    /// It was too late to be written and is decided anew after this long.
    Anew(Duration),
}

impl Engine {
    /// Commits what became of every case, each case whole in itself.
    pub(super) async fn conclude(
        &self,
        mapping: &Mapping,
        over: Vec<Case>,
        cases: Vec<Case>,
        written: Vec<Written>,
    ) -> Result<Settled, Trouble> {
        let mut settled = Settled::default();
        let now = self.clock.now();
        self.commit_all(over.iter().map(close).collect()).await?;
        let heirs = self.heirs(mapping, &cases).await?;
        let handed = self.handed(mapping, &cases).await?;
        let makes = cases.iter().filter(|case| case.link().is_none()).count();
        let mut numbers = self.journal.new_links(makes).await?.into_iter();
        let mut commits = Vec::new();
        for ((case, written), handed) in cases.iter().zip(&written).zip(handed) {
            let fresh = if case.link().is_none() { numbers.next() } else { case.link_id() };
            let number = handed.reserved.or(fresh);
            let Some(number) = number else { continue };
            let heir = heirs.get(&number).copied();
            let conclusion =
                Conclusion::new(self, mapping, case, written, number, heir, handed, now);
            commits.push((case, conclusion.commit(&mut settled)));
        }
        // What one owes may pass to another of this batch, which first clears what it knows of.
        commits.sort_by_key(|(case, _)| bequeaths(case));
        let handed = commits.iter().any(|(_, commit)| commit.tells_of_handoffs());
        let results = futures_util::future::join_all(
            commits
                .into_iter()
                .map(async |(case, commit)| (case, self.journal.commit(commit).await)),
        )
        .await;
        for (case, result) in results {
            match result {
                Ok(_) => {}
                // Another settlement was first: both records are read again. The intent stays, for
                // what it was about to write may be there.
                Err(error @ (JournalError::Taken { .. } | JournalError::Purged { .. })) => {
                    tracing::warn!(subject = %case.entry.subject, %error, "it is tried again later");
                    let mut commit = Commit::new();
                    let until = self.later(now, case.entry.attempts);
                    let (subject, version) = (case.entry.subject.clone(), case.entry.version);
                    commit.postpone(subject, version, until, Some(error.to_string()));
                    self.journal.commit(commit).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if handed {
            self.handed.notify_one();
        }
        Ok(settled)
    }

    /// The living links that have the record already to which one of the cases' links moves: two
    /// records that were linked each for itself were merged into one.
    async fn heirs(
        &self,
        mapping: &Mapping,
        cases: &[Case],
    ) -> Result<BTreeMap<LinkId, LinkId>, Trouble> {
        let (moving, targets): (Vec<LinkId>, Vec<RecordRef>) = cases
            .iter()
            .filter_map(|case| match &case.plan.as_ref()?.step {
                LinkStep::Move { to, .. } => Some((case.link_id()?, to.clone())),
                _ => None,
            })
            .unzip();
        let owners = self.journal.links_of(&mapping.name, targets.clone()).await?;
        let mut heirs = BTreeMap::new();
        let mut first: BTreeMap<RecordRef, LinkId> = BTreeMap::new();
        for ((link, target), owner) in moving.into_iter().zip(targets).zip(owners) {
            let owner = owner.filter(|owner| owner.state.is_live()).map(|owner| owner.id);
            let heir = owner.unwrap_or_else(|| *first.entry(target).or_insert(link));
            if heir != link {
                heirs.insert(link, heir);
            }
        }
        Ok(heirs)
    }
}

/// Ends an entry whose link ended. Its intent, which others may have passed on to it since, is told
/// as it is.
fn close(case: &Case) -> Commit {
    let mut commit = Commit::new();
    if let (Some(intent), Some(link)) = (&case.known.intent, case.link_id()) {
        commit.clear_intent(intent.subject.clone());
        for line in case.owed_at_the_end() {
            commit.history(HistoryLine { link, ..line });
        }
    }
    commit.finish(case.entry.subject.clone(), case.entry.version);
    commit
}

/// One case with its result, on the way into a commit.
pub(super) struct Conclusion<'a> {
    pub(super) engine: &'a Engine,
    pub(super) mapping: &'a Mapping,
    pub(super) case: &'a Case,
    pub(super) written: &'a Written,
    /// The plan as it was carried out: without what was refused.
    pub(super) plan: Option<Plan>,
    pub(super) done: BTreeSet<Side>,
    /// The link's number: its own, or the one that it gets if it is made.
    pub(super) number: LinkId,
    /// The link that answers for this one from now on, where its record moves to one that is
    /// linked already.
    pub(super) heir: Option<LinkId>,
    /// What is known of its handoffs.
    pub(super) handed: Handed,
    pub(super) now: Timestamp,
    pub(super) commit: Commit,
}

impl<'a> Conclusion<'a> {
    #[expect(clippy::too_many_arguments, reason = "each is a piece of what is known of one case")]
    fn new(
        engine: &'a Engine,
        mapping: &'a Mapping,
        case: &'a Case,
        written: &'a Written,
        number: LinkId,
        heir: Option<LinkId>,
        handed: Handed,
        now: Timestamp,
    ) -> Self {
        let mut plan = case.plan.clone();
        for (side, fate) in written.fates.iter() {
            if let (Some(plan), Fate::Done { without, .. }) = (&mut plan, fate) {
                plan.withhold(mapping, side, without, false);
            }
        }
        let done = written.done();
        let commit = Commit::new();
        Self { engine, mapping, case, written, plan, done, number, heir, handed, now, commit }
    }

    fn commit(mut self, settled: &mut Settled) -> Commit {
        self.count(settled);
        let Some(plan) = self.plan.take() else {
            self.end(End::Finished, settled);
            return self.commit;
        };
        self.pay(&plan);
        let end = match &plan.step {
            LinkStep::None { reason } => self.unlinked(&plan, reason),
            LinkStep::Create => self.created(&plan),
            LinkStep::Join => self.joined(&plan),
            LinkStep::Keep => self.kept(&plan, LinkState::Active),
            LinkStep::OutOfScope { side } => {
                self.kept(&plan, LinkState::OutOfScope { side: *side })
            }
            LinkStep::Wait { deleted } => {
                self.kept(&plan, LinkState::Waiting { deleted: *deleted })
            }
            LinkStep::Move { side, to, reason } => self.moved(*side, to, reason),
            LinkStep::Unlink { deleted, peer } => self.ended(*deleted, *peer),
            LinkStep::Purge => self.purge(),
        };
        super::handoff::advance(&mut self, &plan);
        self.clear_intent(&plan);
        self.end(end, settled);
        self.commit
    }

    /// Adds what was written to the batch's sum and to the mapping's counters.
    fn count(&mut self, settled: &mut Settled) {
        let name = &self.mapping.name;
        for (side, fate) in self.written.fates.iter() {
            match fate {
                Fate::Done { created: true, .. } => {
                    *settled.created.get_mut(side) += 1;
                    self.commit.count(name, format!("created.{}", side.key()), 1, self.now);
                }
                Fate::Done { .. } if self.deletes(side) => {
                    *settled.deleted.get_mut(side) += 1;
                    self.commit.count(name, format!("deleted.{}", side.key()), 1, self.now);
                }
                Fate::Done { .. } => {
                    *settled.written.get_mut(side) += 1;
                    self.commit.count(name, format!("written.{}", side.key()), 1, self.now);
                }
                Fate::Refused(_) => {
                    *settled.refused.get_mut(side) += 1;
                    self.commit.count(name, format!("refused.{}", side.key()), 1, self.now);
                }
                Fate::Nothing | Fate::Again(_) | Fate::Unclear(_) | Fate::Late(_) => {}
            }
        }
    }

    fn deletes(&self, side: Side) -> bool {
        let write = self.plan.as_ref().and_then(|plan| plan.writes.get(side).as_ref());
        write.is_some_and(|write| matches!(write.action, WriteAction::Delete { .. }))
    }

    fn cause(&self) -> Option<Source> {
        self.case.entry.sources.iter().next().copied()
    }

    /// The lines of what took effect.
    fn history(&mut self, plan: &Plan) {
        let open: BTreeSet<Side> = plan
            .writes
            .iter()
            .filter(|(side, write)| write.is_some() && !self.done.contains(side))
            .map(|(side, _)| side)
            .collect();
        if plan.decisions.iter().any(|decision| decision.rule == OWNER_UNKNOWN) {
            self.commit.count(&self.mapping.name, OWNERS_LEFT, 1, self.now);
        }
        for line in lines(self.case, plan, self.now) {
            if line.side.is_some_and(|side| open.contains(&side)) {
                continue;
            }
            if line.side.is_some() {
                self.commit.count(&self.mapping.name, format!("rule.{}", line.rule), 1, self.now);
            }
            self.commit.history(HistoryLine { link: self.number, ..line });
        }
    }

    /// The keyed hashes of what a person would look the link up by.
    fn fingerprints(&self) -> BTreeSet<Fingerprint> {
        let keys = self
            .mapping
            .matching
            .iter()
            .flat_map(|key| self.case.live().filter_map(|record| key_value(key, record)));
        keys.map(|value| self.engine.journal.fingerprint(&value.to_string())).collect()
    }

    fn hear(&mut self, record: RecordRef) {
        self.commit.hear(Heard {
            mapping: self.mapping.name.clone(),
            lane: self.case.entry.lane,
            change: Change::touched(record, Source::Retry),
            at: self.now,
            not_before: None,
        });
    }

    fn end(&mut self, end: End, settled: &mut Settled) {
        let (subject, version) = (self.case.entry.subject.clone(), self.case.entry.version);
        match end {
            End::Finished => {
                settled.finished += 1;
                self.engine.metrics.waited(&self.case.entry, self.now);
                self.commit.count(&self.mapping.name, "settled", 1, self.now);
                settle_mark(&mut self.commit, &subject);
                self.commit.finish_until(subject, version, self.engine.after_window(self.now));
            }
            End::Next => {
                settled.finished += 1;
                self.engine.metrics.waited(&self.case.entry, self.now);
                settle_mark(&mut self.commit, &subject);
                self.commit.finish(subject, version);
                let next = self.case.records.iter().find_map(|(_, record)| record.clone());
                if let Some(record) = next {
                    self.hear(record);
                }
            }
            End::Later(why) => {
                settled.postponed += 1;
                tracing::warn!(%subject, %why, "it is tried again later");
                let until = self.engine.later(self.now, self.case.entry.attempts);
                self.commit.postpone(subject, version, until, Some(why));
            }
            End::Anew(left) => {
                if !left.is_zero() {
                    settled.postponed += 1;
                }
                tracing::debug!(%subject, ?left, "it was too late to be written: decided anew");
                let left = SignedDuration::try_from(left).unwrap_or_default();
                let until = self.now.saturating_add(left).unwrap_or(self.now);
                self.commit.postpone(subject, version, until, None);
            }
        }
    }
}
