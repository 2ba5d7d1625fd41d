//! One entry on its way through a settlement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::directory::Snapshot;
use super::fetch::Fetched;
use super::lost::{Landed, landed};
use crate::journal::{
    HistoryLine, Known, LinkEntry, LinkState, PendingEntry, RejectEntry, RejectPlace, Subject,
};
use crate::mapping::Mapping;
use crate::reconcile::{Base, Plan, Situation, settle};
use crate::record::{ChangeKind, LinkId, PerSide, Record, RecordRef, Side};

/// One entry on its way through a settlement: what is known, what was read, what is planned.
#[derive(Debug)]
pub(super) struct Case {
    /// The entry as it was taken.
    pub(super) entry: PendingEntry,
    /// What the journal knows.
    pub(super) known: Known,
    /// The records, as far as they are known: those of the link, or the lone record and, once it is
    /// recognised, its match.
    pub(super) records: PerSide<Option<RecordRef>>,
    /// What each side has.
    pub(super) present: PerSide<Fetched>,
    /// What both sides last agreed on: what the link says, and what is seen to have become of
    /// writes whose results were never stored.
    pub(super) base: Base,
    /// What became of those writes.
    pub(super) landed: Landed,
    /// Whether the writes to its lone record and to the match are of one settlement, by which both
    /// have met.
    pub(super) met: bool,
    /// The owners and links by which the plan was made.
    pub(super) directory: Arc<Snapshot>,
    /// What is to be done.
    pub(super) plan: Option<Plan>,
    /// How a lone record was recognised, for history.
    pub(super) how: Option<String>,
    /// The earlier refusals for which something was taken out of the plan.
    pub(super) withheld: BTreeSet<RejectPlace>,
}

impl Case {
    /// A case of which nothing was read yet.
    pub(super) fn new(entry: PendingEntry, known: Known) -> Self {
        let records = match (&known.link, &entry.subject) {
            (Some(link), _) => link.records.clone(),
            (None, Subject::Record { record, .. }) => {
                PerSide::from_fn(|side| (side == record.side).then(|| record.clone()))
            }
            (None, Subject::Link(_)) => PerSide::default(),
        };
        let base = known.link.as_ref().map(|link| link.base.clone()).unwrap_or_default();
        Self {
            entry,
            known,
            records,
            present: PerSide::default(),
            base,
            landed: Landed::default(),
            met: false,
            directory: Arc::default(),
            plan: None,
            how: None,
            withheld: BTreeSet::new(),
        }
    }

    /// The link, where there is one.
    pub(super) fn link(&self) -> Option<&LinkEntry> {
        self.known.link.as_ref()
    }

    /// The link's number, where there is one.
    pub(super) fn link_id(&self) -> Option<LinkId> {
        self.link().map(|link| link.id)
    }

    /// Whether there is nothing to settle: the link ended, and what remains is not linked anew.
    pub(super) fn is_over(&self) -> bool {
        match self.link().map(|link| &link.state) {
            Some(LinkState::Unlinked { .. } | LinkState::Retired { .. }) => {
                !self.entry.told.values().any(|kind| *kind == ChangeKind::Erased)
            }
            Some(_) => false,
            None => matches!(self.entry.subject, Subject::Link(_)),
        }
    }

    /// The side and the record of a record without a link.
    pub(super) fn lone(&self) -> Option<&RecordRef> {
        match (&self.entry.subject, &self.known.link) {
            (Subject::Record { record, .. }, None) => Some(record),
            _ => None,
        }
    }

    /// The lone record as it was read, where it lives and nothing took its place.
    pub(super) fn lone_record(&self) -> Option<&Record> {
        let lone = self.lone()?;
        let record = self.present.get(lone.side).record()?;
        (record.successor.is_none() && record.key == *lone).then_some(record)
    }

    /// The record that took the place of a lone one: it was merged or converted before it had a
    /// link.
    pub(super) fn stands_for(&self) -> Option<RecordRef> {
        let lone = self.lone()?;
        let record = self.present.get(lone.side).record()?;
        let next = record.successor.clone().unwrap_or_else(|| record.key.clone());
        (next != *lone).then_some(next)
    }

    /// The records that took the place of the link's own.
    pub(super) fn next_records(&self) -> Vec<RecordRef> {
        if self.link().is_none() {
            return Vec::new();
        }
        let next = self.live().map(|record| record.successor.as_ref().unwrap_or(&record.key));
        next.filter(|it| self.records.get(it.side).as_ref() != Some(it)).cloned().collect()
    }

    /// Takes in what was read of its records. Word of an erasure goes before what a platform still
    /// shows.
    pub(super) fn take_in(&mut self, found: &BTreeMap<RecordRef, Fetched>) {
        for side in Side::BOTH {
            let Some(record) = self.records.get(side) else { continue };
            let erased = self.entry.told.get(record) == Some(&ChangeKind::Erased);
            let read = found.get(record).cloned().unwrap_or_default();
            *self.present.get_mut(side) = if erased { Fetched::Erased } else { read };
        }
    }

    /// Every live record of the case.
    pub(super) fn live(&self) -> impl Iterator<Item = &Record> {
        self.present.iter().filter_map(|(_, fetched)| fetched.record())
    }

    /// Decides what is to be done, anew.
    pub(super) fn decide(
        &mut self,
        mapping: &Mapping,
        directory: &Arc<Snapshot>,
        now: jiff::Timestamp,
    ) {
        self.directory = Arc::clone(directory);
        self.base = self.link().map(|link| link.base.clone()).unwrap_or_default();
        if let Some(intent) = &self.known.intent {
            let of_these = |line: &HistoryLine| match self.link_id() {
                Some(link) => line.link == link,
                None => self.met,
            };
            self.landed = landed(mapping, intent, &self.present, directory.as_ref(), of_these);
            self.base.values.extend(self.landed.base.clone());
        }
        let situation = Situation {
            mapping,
            link: self.link_id(),
            linked: &self.records,
            base: &self.base,
            present: PerSide::from_fn(|side| self.present.get(side).presence()),
            open: &self.known.conflicts,
            directory: directory.as_ref(),
            now,
        };
        let mut plan = settle(&situation);
        let refused = self.known.rejects.iter().filter(|reject| !reject.retry_requested);
        self.withheld = refused
            .filter(|reject| withhold_refused(mapping, &mut plan, reject))
            .map(RejectEntry::place)
            .collect();
        self.plan = Some(plan);
    }
}

/// Takes out of `plan` what a platform has refused before and nobody asked to try again. Returns
/// whether there was such a thing.
///
/// The same values would be refused again, at every settlement. Other values are tried at once: the
/// refusal was theirs.
fn withhold_refused(mapping: &Mapping, plan: &mut Plan, reject: &RejectEntry) -> bool {
    let Some(write) = plan.writes.get(reject.side) else { return false };
    let same = reject.attempted.iter().all(|(name, raw)| write.fields.get(name) == Some(raw));
    if reject.attempted.is_empty() || !same {
        return false;
    }
    let names: BTreeSet<String> = if reject.is_whole() {
        write.fields.keys().cloned().collect()
    } else {
        reject.attempted.keys().cloned().collect()
    };
    plan.withhold(mapping, reject.side, &names, reject.is_whole());
    true
}
