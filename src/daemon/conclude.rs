//! Remembers what became of a batch: the new base, the history, what waits for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::case::Case;
use super::echo;
use super::handoff::Handed;
use super::history::{lines, of_link};
use super::limit::settle_mark;
use super::owed::bequeaths;
use super::settle::Settled;
use super::status::OWNERS_LEFT;
use super::trouble::Trouble;
use super::write::{Fate, Written};
use crate::journal::{
    Commit, Error as JournalError, Heard, HistoryLine, LinkEntry, LinkState, MatchEntry, Subject,
};
use crate::mapping::Mapping;
use crate::platform::{Refusal, RefusalKind};
use crate::reconcile::recognise::key_value;
use crate::reconcile::{LinkStep, OWNER_UNKNOWN, PeerFate, Plan, WriteAction};
use crate::record::{Change, Fingerprint, LinkId, PerSide, RecordRef, Side, Source};

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

    /// There is no link, and none is made.
    fn unlinked(&mut self, plan: &Plan, reason: &str) -> End {
        self.problems(plan);
        let Some(lone) = self.case.lone() else { return End::Finished };
        if let Some(found) = self.case.present.get(lone.side).record() {
            let successor =
                found.successor.clone().or_else(|| (found.key != *lone).then(|| found.key.clone()));
            if let Some(successor) = successor {
                tracing::debug!(record = %lone, %reason, "another record took its place");
                self.hear(successor);
            }
        }
        End::Finished
    }

    /// A record was to be created across.
    fn created(&mut self, plan: &Plan) -> End {
        let lone_side =
            if plan.records.hubspot.is_some() { Side::HubSpot } else { Side::Salesforce };
        let side = lone_side.other();
        match (self.written.fates.get(side), plan.writes.get(side)) {
            (Fate::Done { id, created, .. }, Some(write)) => {
                let mut records = plan.records.clone();
                let object = write.object.clone();
                *records.get_mut(side) = Some(RecordRef { side, object, id: id.clone() });
                let reason = match (created, records.get(side), records.get(lone_side)) {
                    (true, Some(new), Some(old)) => format!("{new} was created for {old}"),
                    (_, Some(new), Some(old)) => format!("{new} was found for {old} and written"),
                    _ => String::new(),
                };
                self.make(plan, records, Some(side), "created", reason);
                End::Next
            }
            (Fate::Refused(refusal), _) => self.not_created(plan, side, &refusal.clone()),
            (Fate::Again(error) | Fate::Unclear(error), _) => {
                self.problems(plan);
                End::Later(error.to_string())
            }
            (Fate::Late(left), _) => End::Anew(*left),
            (Fate::Nothing | Fate::Done { .. }, _) => {
                self.problems(plan);
                End::Finished
            }
        }
    }

    fn not_created(&mut self, plan: &Plan, side: Side, refusal: &Refusal) -> End {
        match &refusal.kind {
            RefusalKind::Duplicate { existing } => {
                // Whoever is in the way is read: either both turn out to be the same, or the
                // match is put before a person.
                let message = format!("{side} says that the record exists ({})", refusal.code);
                let attempts = self.case.entry.attempts;
                if let Some(id) = existing
                    && attempts == 0
                {
                    let object = plan.writes.get(side).as_ref().map(|write| write.object.clone());
                    self.hear(RecordRef {
                        side,
                        object: object.unwrap_or_default(),
                        id: id.clone(),
                    });
                }
                if attempts < MOST_DUPLICATES {
                    return End::Later(message);
                }
                self.rejected_whole(plan, side, refusal);
                End::Finished
            }
            RefusalKind::Gone | RefusalKind::Converted => End::Later(refusal.code.clone()),
            _ => {
                self.problems(plan);
                End::Finished
            }
        }
    }

    /// Two records turned out to be the same.
    fn joined(&mut self, plan: &Plan) -> End {
        let how = self.case.how.clone().unwrap_or_else(|| "recognised".to_owned());
        let names: Vec<String> = plan
            .records
            .iter()
            .filter_map(|(_, it)| it.as_ref())
            .map(ToString::to_string)
            .collect();
        let reason = format!("{} are the same: {how}", names.join(" and "));
        self.make(plan, plan.records.clone(), None, "linked", reason);
        self.lasting()
    }

    /// Stores a new link with what was agreed.
    fn make(
        &mut self,
        plan: &Plan,
        records: PerSide<Option<RecordRef>>,
        side: Option<Side>,
        rule: &str,
        reason: String,
    ) {
        let mut link =
            LinkEntry::new(self.number, self.mapping.name.clone(), records.clone(), self.now);
        link.base = plan.base_after(&self.case.base, &self.done);
        link.settled_at = Some(self.now);
        link.shown = self.shown(plan, &self.lasting());
        link.fingerprints = self.fingerprints();
        let cause = self.cause();
        self.commit.history(of_link(self.number, self.now, side, rule, reason, cause));
        self.history(plan);
        for (_, record) in records.iter() {
            let Some(record) = record else { continue };
            self.commit.drop_match(&self.mapping.name, record.clone());
        }
        self.commit.rejects(self.case.entry.subject.clone(), Vec::new());
        self.store_problems(plan, &Subject::Link(self.number));
        self.commit.conflicts(self.number, &self.mapping.name, plan.conflicts.clone());
        self.commit.link(link);
        self.commit.count(&self.mapping.name, rule, 1, self.now);
    }

    /// The link stays; its fields may have moved.
    fn kept(&mut self, plan: &Plan, state: LinkState) -> End {
        let Some(before) = self.case.link() else { return End::Finished };
        let mut link = before.clone();
        let changed = link.state != state;
        if changed {
            let (rule, reason) = match &state {
                LinkState::OutOfScope { side } => {
                    ("out of scope", plan.notes.join("; ") + &format!(" ({side})"))
                }
                LinkState::Waiting { deleted } => (
                    "waiting",
                    format!("the record in {deleted} was deleted; the link waits for it"),
                ),
                _ => ("back", "the link is settled again".to_owned()),
            };
            let cause = self.cause();
            self.commit.history(of_link(self.number, self.now, None, rule, reason, cause));
        }
        link.state = state;
        link.base = plan.base_after(&self.case.base, &self.done);
        link.settled_at = Some(self.now);
        link.fingerprints.extend(self.fingerprints());
        let end = self.lasting();
        link.shown = self.shown(plan, &end);
        link.last_error = match &end {
            End::Later(why) => Some(why.clone()),
            _ => None,
        };
        self.history(plan);
        self.problems(plan);
        self.commit.conflicts(self.number, &self.mapping.name, plan.conflicts.clone());
        self.commit.link(link);
        end
    }

    /// What both records show now that their writes are done, where the settlement came to its end
    /// and both were read: a record that was only just created is read first.
    fn shown(&self, plan: &Plan, end: &End) -> PerSide<Option<Fingerprint>> {
        if !matches!(end, End::Finished) {
            return PerSide::default();
        }
        PerSide::from_fn(|side| {
            let record = self.case.present.get(side).record()?;
            let write = plan.writes.get(side).as_ref().filter(|_| self.done.contains(&side));
            let text = echo::showing(self.mapping, record, write, self.case.directory.as_ref());
            Some(self.engine.journal.fingerprint(&text))
        })
    }

    /// Whether the writes of a link came to their end.
    fn lasting(&self) -> End {
        let gone = self.written.fates.iter().find_map(|(side, fate)| match fate {
            Fate::Refused(Refusal {
                kind: RefusalKind::Gone | RefusalKind::Converted,
                code,
                ..
            }) => Some(format!("{side} answered {code}")),
            _ => None,
        });
        match (self.written.open(), gone) {
            (Some(Err(why)), _) | (_, Some(why)) => End::Later(why),
            (Some(Ok(left)), None) => End::Anew(left),
            (None, None) => End::Finished,
        }
    }

    /// A side's record is another one from now on.
    fn moved(&mut self, side: Side, to: &RecordRef, reason: &str) -> End {
        let Some(before) = self.case.link() else { return End::Finished };
        let mut link = before.clone();
        if let Some(heir) = self.heir {
            return self.retired(link, side, to, heir, reason);
        }
        *link.records.get_mut(side) = Some(to.clone());
        link.shown = PerSide::default();
        link.state = LinkState::Active;
        // The new record may have been heard of first, when nobody knew yet whose it was.
        self.commit.drop_match(&self.mapping.name, to.clone());
        let cause = self.cause();
        self.commit.history(of_link(self.number, self.now, Some(side), "moved", reason, cause));
        self.commit.link(link);
        self.commit.count(&self.mapping.name, "moved", 1, self.now);
        End::Next
    }

    /// A side's record was merged into one that another link has. That link answers for both; what
    /// remains across is for a person, who merges there too or deletes one.
    fn retired(
        &mut self,
        mut link: LinkEntry,
        side: Side,
        to: &RecordRef,
        heir: LinkId,
        reason: &str,
    ) -> End {
        link.state = LinkState::Retired { into: heir };
        link.settled_at = Some(self.now);
        let cause = self.cause();
        for number in [self.number, heir] {
            let reason = format!("{reason}; link {heir} answers for link {} too", self.number);
            self.commit.history(of_link(number, self.now, Some(side), "retired", reason, cause));
        }
        if let Some(left) = link.records.get(side.other()) {
            self.commit.ambiguous(MatchEntry {
                mapping: self.mapping.name.clone(),
                record: left.clone(),
                candidates: BTreeMap::from([(to.clone(), "merge".to_owned())]),
                since: self.now,
                reason: format!(
                    "the record that it was linked to was merged into {to}, which has another one \
                     across: merge both in {} too, or delete one",
                    side.other()
                ),
                choice: None,
            });
        }
        self.commit.conflicts(self.number, &self.mapping.name, Default::default());
        self.commit.rejects(self.case.entry.subject.clone(), Vec::new());
        self.commit.link(link);
        self.commit.count(&self.mapping.name, "retired", 1, self.now);
        End::Finished
    }

    /// A record was deleted and the link ends.
    fn ended(&mut self, deleted: Side, peer: PeerFate) -> End {
        let Some(before) = self.case.link() else { return End::Finished };
        match self.written.open() {
            Some(Err(why)) => return End::Later(why),
            Some(Ok(left)) => return End::Anew(left),
            None => {}
        }
        let peer_refused =
            self.written.fates.iter().any(|(_, fate)| matches!(fate, Fate::Refused(_)));
        let reason = match peer {
            PeerFate::Stays => format!("the record in {deleted} was deleted; the other one stays"),
            PeerFate::Deleted if peer_refused => {
                format!(
                    "the record in {deleted} was deleted; {} refused to delete the other one",
                    deleted.other()
                )
            }
            PeerFate::Deleted => {
                format!("the record in {deleted} was deleted, and the other one with it")
            }
            PeerFate::Gone => "both records were deleted".to_owned(),
        };
        let mut link = before.clone();
        link.state = LinkState::Unlinked { deleted, reason: reason.clone(), at: self.now };
        link.settled_at = Some(self.now);
        link.last_error = None;
        let cause = self.cause();
        self.commit.history(of_link(
            self.number,
            self.now,
            Some(deleted),
            "unlinked",
            reason,
            cause,
        ));
        self.commit.conflicts(self.number, &self.mapping.name, Default::default());
        self.commit.rejects(self.case.entry.subject.clone(), self.written.rejects.clone());
        self.commit.link(link);
        self.commit.count(&self.mapping.name, "unlinked", 1, self.now);
        End::Finished
    }

    fn purge(&mut self) -> End {
        if let Some(link) = self.case.link_id() {
            tracing::info!(%link, "a person had their data erased: the link and its history are gone");
            self.commit.purge(link, self.now);
            self.commit.count(&self.mapping.name, "purged", 1, self.now);
        } else if self.handed.reserved.is_some() {
            super::handoff::forget(self);
        }
        End::Finished
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

/// After how many refusals as a duplicate a record is left to a person.
const MOST_DUPLICATES: u32 = 4;
