//! What becomes of a link: it is made, stays, moves to another record, retires or ends.

use std::collections::BTreeMap;

use super::{Conclusion, End};
use crate::daemon::echo;
use crate::daemon::handoff;
use crate::daemon::history::of_link;
use crate::daemon::write::Fate;
use crate::journal::{LinkEntry, LinkState, MatchEntry, Subject};
use crate::platform::{Refusal, RefusalKind};
use crate::reconcile::{PeerFate, Plan};
use crate::record::{Fingerprint, LinkId, PerSide, RecordRef, Side};

/// After how many refusals as a duplicate a record is left to a person.
const MOST_DUPLICATES: u32 = 4;

impl Conclusion<'_> {
    /// There is no link, and none is made.
    pub(super) fn unlinked(&mut self, plan: &Plan, reason: &str) -> End {
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
    pub(super) fn created(&mut self, plan: &Plan) -> End {
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
    pub(super) fn joined(&mut self, plan: &Plan) -> End {
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
    pub(super) fn kept(&mut self, plan: &Plan, state: LinkState) -> End {
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
    pub(super) fn moved(&mut self, side: Side, to: &RecordRef, reason: &str) -> End {
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
    pub(super) fn ended(&mut self, deleted: Side, peer: PeerFate) -> End {
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

    pub(super) fn purge(&mut self) -> End {
        if let Some(link) = self.case.link_id() {
            tracing::info!(%link, "a person had their data erased: the link and its history are gone");
            self.commit.purge(link, self.now);
            self.commit.count(&self.mapping.name, "purged", 1, self.now);
        } else if self.handed.reserved.is_some() {
            handoff::forget(self);
        }
        End::Finished
    }
}
