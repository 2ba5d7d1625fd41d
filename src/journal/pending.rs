//! What waits to be settled: changes of one link fold into one entry, entries wait in lanes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::codec::unreadable;
use super::facts::Intent;
use super::key::{Key, Kind, Parts};
use super::links::{check_name, check_record};
use super::store::{Span, after_prefix};
use super::txn::Txn;
use crate::record::{Change, ChangeKind, LinkId, RecordRef, Source};

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// A link.
    Link(LinkId),
    /// A record that no link of the mapping answers for.
    Record {
        /// The mapping's name.
        mapping: String,
        /// The record.
        record: RecordRef,
    },
}

impl Subject {
    pub(super) fn part(&self, key: Key) -> Key {
        match self {
            Self::Link(id) => key.byte(b'l').link(*id),
            Self::Record { mapping, record } => key.byte(b'r').text(mapping).record(record),
        }
    }

    fn pending_key(&self) -> Key {
        self.part(Key::new(Kind::Pending))
    }

    pub(super) fn intent_key(&self) -> Key {
        self.part(Key::new(Kind::Intent))
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(id) => id.fmt(f),
            Self::Record { record, .. } => record.fmt(f),
        }
    }
}

/// How urgent an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// A lead on its way from marketing to sales.
    Handoff,
    /// Everything else that changed.
    Ordinary,
    /// What existed before and is taken in, and the sweep.
    Backfill,
}

impl Lane {
    /// All lanes, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Handoff, Self::Ordinary, Self::Backfill];

    /// The lower-case word of counters and machine-readable output.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Handoff => "handoff",
            Self::Ordinary => "ordinary",
            Self::Backfill => "backfill",
        }
    }

    /// The counter of entries that wait in this lane.
    #[must_use]
    pub const fn counter(self) -> &'static str {
        match self {
            Self::Handoff => "pending.handoff",
            Self::Ordinary => "pending.ordinary",
            Self::Backfill => "pending.backfill",
        }
    }

    const fn byte(self) -> u8 {
        self as u8 + 1
    }
}

/// How many entries of more urgent lanes may pass one that is due before it has its turn.
pub const PASSED_OVER: u32 = 8;

/// One change, with the mapping that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The mapping's name.
    pub mapping: String,
    /// The lane. An entry that waits already moves to the more urgent one.
    pub lane: Lane,
    /// What was heard.
    pub change: Change,
    /// When we heard it.
    pub at: Timestamp,
    /// Not to be taken before, where the entry is new.
    pub not_before: Option<Timestamp>,
}

/// One link, or one record without a link, that is to be settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEntry {
    /// What it is about.
    pub subject: Subject,
    /// The mapping's name.
    pub mapping: String,
    /// Its lane.
    pub lane: Lane,
    /// Since when it waits.
    pub first_heard: Timestamp,
    /// When we last heard of it.
    pub last_heard: Timestamp,
    /// Another number after each time it was heard of, never used twice. An entry is finished only
    /// in the version that was taken.
    pub version: u64,
    /// What is said to have happened, by record; an erasure stays whatever is heard later.
    pub told: BTreeMap<RecordRef, ChangeKind>,
    /// How we heard of it.
    pub sources: BTreeSet<Source>,
    /// How many settlements did not come to an end.
    pub attempts: u32,
    /// Not to be taken before.
    pub due: Timestamp,
    /// Why the last settlement did not come to an end.
    pub last_error: Option<String>,
    /// Its place among entries that are due at the same moment.
    order: u64,
}

impl PendingEntry {
    pub(super) fn queue_key(&self) -> Key {
        lane_key(self.lane).text(&self.mapping).time(self.due).number(self.order)
    }

    pub(super) const fn place_in_order(&self) -> u64 {
        self.order
    }

    fn tell(&mut self, record: &RecordRef, kind: &ChangeKind) {
        let told = self.told.entry(record.clone()).or_insert_with(|| kind.clone());
        if *told != ChangeKind::Erased {
            *told = kind.clone();
        }
    }
}

fn lane_key(lane: Lane) -> Key {
    Key::new(Kind::Queue).byte(lane.byte())
}

/// Where the queue of a mapping's lane is due at `now`.
fn due_at(lane: Lane, mapping: &str, now: Timestamp) -> Span {
    let front = lane_key(lane).text(mapping);
    Span::prefix(&front.0).before(&front.clone().time(now).number(u64::MAX).0)
}

/// What became of changes that were heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HearOutcome {
    /// Entries that began to wait.
    pub new: usize,
    /// Changes that were folded into an entry that waited already.
    pub folded: usize,
    /// Changes of records whose data was erased on request: not taken up.
    pub erased: usize,
}

impl Txn<'_> {
    /// The entry of a subject.
    pub(super) fn pending(&self, subject: &Subject) -> Result<Option<PendingEntry>, Error> {
        self.get(&subject.pending_key())
    }

    /// Whether what a subject stands for is still there: a link may be lost.
    pub(super) fn still_has(&self, subject: &Subject) -> Result<bool, Error> {
        match subject {
            Subject::Link(id) => Ok(self.link(*id)?.is_some()),
            Subject::Record { .. } => Ok(true),
        }
    }

    /// Folds one change into the entry of its subject. Returns whether the entry is new.
    pub(super) fn hear(&mut self, heard: &Heard) -> Result<bool, Error> {
        check_name("mapping", &heard.mapping)?;
        let record = &heard.change.record;
        check_record(record)?;
        let subject = self.subject_of(&heard.mapping, record)?;
        let before = self.pending(&subject)?;
        let is_new = before.is_none();
        let due = heard.not_before.map_or(heard.at, |until| until.max(heard.at));
        let mut entry = match before.clone() {
            Some(entry) => entry,
            None => PendingEntry {
                subject,
                mapping: heard.mapping.clone(),
                lane: heard.lane,
                first_heard: heard.at,
                last_heard: heard.at,
                version: self.next("pending")?,
                told: BTreeMap::new(),
                sources: BTreeSet::new(),
                attempts: 0,
                due,
                last_error: None,
                order: self.next("order")?,
            },
        };
        entry.tell(record, &heard.change.kind);
        entry.sources.insert(heard.change.source);
        if !is_new {
            entry.version = self.next("pending")?;
            entry.lane = entry.lane.min(heard.lane);
            entry.last_heard = entry.last_heard.max(heard.at);
            // Word of a change is a reason to try soon, whatever the last attempt waits for.
            entry.due = entry.due.min(due);
        }
        self.replace_pending(before.as_ref(), &entry)?;
        Ok(is_new)
    }

    /// Under what a record is kept: its link, where it has one, and else itself.
    pub(super) fn subject_of(&self, mapping: &str, record: &RecordRef) -> Result<Subject, Error> {
        Ok(match self.link_id_of(mapping, record)? {
            Some(id) => Subject::Link(id),
            None => Subject::Record { mapping: mapping.to_owned(), record: record.clone() },
        })
    }

    fn replace_pending(
        &mut self,
        before: Option<&PendingEntry>,
        entry: &PendingEntry,
    ) -> Result<(), Error> {
        if let Some(before) = before
            && before.queue_key() != entry.queue_key()
        {
            self.delete(&before.queue_key())?;
        }
        if before.map(|before| before.lane) != Some(entry.lane) {
            if let Some(before) = before {
                self.bump(&before.mapping, before.lane.counter(), -1)?;
            }
            self.bump(&entry.mapping, entry.lane.counter(), 1)?;
        }
        if before.is_none_or(|before| before.queue_key() != entry.queue_key()) {
            self.put(&entry.queue_key(), &entry.subject)?;
        }
        self.put(&entry.subject.pending_key(), entry)
    }

    fn drop_pending(&mut self, entry: &PendingEntry) -> Result<(), Error> {
        self.delete(&entry.queue_key())?;
        self.bump(&entry.mapping, entry.lane.counter(), -1)?;
        self.delete(&entry.subject.pending_key())
    }

    /// Takes the entry out unless it was heard of again since `version`: then it waits, until
    /// `again` at least. Returns whether it is out.
    pub(super) fn finish(
        &mut self,
        subject: &Subject,
        version: u64,
        again: Option<Timestamp>,
    ) -> Result<bool, Error> {
        match self.pending(subject)? {
            Some(before) if before.version != version => {
                let due = again.map_or(before.due, |again| before.due.max(again));
                let entry = PendingEntry { due, ..before.clone() };
                self.replace_pending(Some(&before), &entry)?;
                Ok(false)
            }
            Some(entry) => {
                self.drop_pending(&entry)?;
                Ok(true)
            }
            None => Ok(true),
        }
    }

    /// Lets an entry wait until `until` after an attempt that did not come to an end. If it was
    /// heard of again since `version`, it stays due.
    pub(super) fn postpone(
        &mut self,
        subject: &Subject,
        version: u64,
        until: Timestamp,
        error: Option<String>,
    ) -> Result<(), Error> {
        let Some(before) = self.pending(subject)? else { return Ok(()) };
        let mut entry = before.clone();
        if entry.version == version {
            entry.due = until;
        }
        if error.is_some() {
            entry.attempts = entry.attempts.saturating_add(1);
            entry.last_error = error;
        }
        self.replace_pending(Some(&before), &entry)
    }

    /// Folds what is kept of a record that has a link from now on into what is kept of the link: its
    /// entry, and what was about to be written.
    pub(super) fn fold_record_into(
        &mut self,
        mapping: &str,
        record: &RecordRef,
        link: LinkId,
    ) -> Result<(), Error> {
        self.fold_intent_into(mapping, record, link)?;
        self.fold_entry_into(mapping, record, link)
    }

    fn fold_intent_into(
        &mut self,
        mapping: &str,
        record: &RecordRef,
        link: LinkId,
    ) -> Result<(), Error> {
        let subject = Subject::Record { mapping: mapping.to_owned(), record: record.clone() };
        let Some(old) = self.get::<Intent>(&subject.intent_key())? else { return Ok(()) };
        self.clear_intent(&subject)?;
        self.owe(Intent { subject: Subject::Link(link), ..old })
    }

    fn fold_entry_into(
        &mut self,
        mapping: &str,
        record: &RecordRef,
        link: LinkId,
    ) -> Result<(), Error> {
        let subject = Subject::Record { mapping: mapping.to_owned(), record: record.clone() };
        let Some(old) = self.pending(&subject)? else { return Ok(()) };
        self.drop_pending(&old)?;
        let before = self.pending(&Subject::Link(link))?;
        let entry = match before.clone() {
            None => PendingEntry { subject: Subject::Link(link), ..old },
            Some(mut entry) => {
                for (record, kind) in &old.told {
                    entry.tell(record, kind);
                }
                entry.sources.extend(old.sources);
                entry.version = self.next("pending")?;
                entry.lane = entry.lane.min(old.lane);
                entry.first_heard = entry.first_heard.min(old.first_heard);
                entry.last_heard = entry.last_heard.max(old.last_heard);
                entry.due = entry.due.min(old.due);
                entry
            }
        };
        self.replace_pending(before.as_ref(), &entry)
    }

    /// Drops a subject's entry, intent and rejects.
    pub(super) fn forget_subject(&mut self, subject: &Subject) -> Result<(), Error> {
        if let Some(entry) = self.pending(subject)? {
            self.drop_pending(&entry)?;
        }
        self.delete(&subject.intent_key())?;
        self.drop_rejects(subject)
    }

    /// The mappings that have entries in a lane, found by leaping from one to the next.
    pub(super) fn queued_mappings(&self, lane: Lane) -> Result<Vec<String>, Error> {
        let mut mappings = Vec::new();
        let mut span = Span::prefix(&lane_key(lane).0);
        while let Some((key, _)) = self.scan(&span, 1)?.into_iter().next() {
            let mut parts = Parts::of(&key);
            let mapping = parts.byte().and_then(|_| parts.text());
            let mapping = mapping.ok_or_else(|| unreadable(&key, "its key has no mapping"))?;
            mappings.push(mapping.to_owned());
            match after_prefix(&lane_key(lane).text(mapping).0) {
                Some(next) => span.from = next,
                None => break,
            }
        }
        Ok(mappings)
    }

    /// The first `limit` entries of a lane that are due at `now`, oldest first, without those of
    /// the mappings in `skip` and those in `taken`.
    pub(super) fn due(
        &self,
        lane: Lane,
        limit: usize,
        now: Timestamp,
        skip: &BTreeSet<String>,
        taken: &BTreeMap<Subject, u64>,
    ) -> Result<Vec<PendingEntry>, Error> {
        let mut found = Vec::new();
        for mapping in self.queued_mappings(lane)? {
            if skip.contains(&mapping) {
                continue;
            }
            let span = due_at(lane, &mapping, now);
            let mut left = limit;
            for (key, subject) in self.list::<Subject>(&span, limit + taken.len())? {
                if left == 0 {
                    break;
                }
                if taken.contains_key(&subject) {
                    continue;
                }
                let entry = self.pending(&subject)?;
                let entry =
                    entry.ok_or_else(|| unreadable(&key, "it names an entry that is absent"))?;
                found.push(entry);
                left -= 1;
            }
        }
        found.sort_by_key(|entry| (entry.due, entry.order));
        found.truncate(limit);
        Ok(found)
    }

    /// How many entries of a lane are due at `now`, up to `most` for each mapping.
    pub(super) fn count_due(
        &self,
        lane: Lane,
        now: Timestamp,
        most: usize,
    ) -> Result<usize, Error> {
        let mut count = 0;
        for mapping in self.queued_mappings(lane)? {
            count += self.scan(&due_at(lane, &mapping, now), most)?.len();
        }
        Ok(count)
    }

    /// When the entry that is due first in a mapping's lane is, or was, due.
    pub(super) fn first_due(&self, mapping: &str, lane: Lane) -> Result<Option<Timestamp>, Error> {
        let span = Span::prefix(&lane_key(lane).text(mapping).0);
        let first = self.scan(&span, 1)?.into_iter().next();
        Ok(first.and_then(|(key, _)| {
            let mut parts = Parts::of(&key);
            parts.byte()?;
            parts.text()?;
            parts.time()
        }))
    }

    /// A page of entries in the order of their subjects, behind `after`.
    pub(super) fn pending_page(
        &self,
        after: Option<&Subject>,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::Pending).0);
        if let Some(after) = after {
            span = span.after(&after.pending_key().0);
        }
        Ok(self.list(&span, limit)?.into_iter().map(|(_, entry)| entry).collect())
    }
}

/// Chooses `limit` entries of the lanes' due ones: the most urgent lane first, but after
/// [`PASSED_OVER`] others an entry that waits in a less urgent lane has its turn. `passed` counts
/// that from call to call.
pub(super) fn choose(
    due: [Vec<PendingEntry>; 3],
    limit: usize,
    passed: &mut [u32; 3],
) -> Vec<PendingEntry> {
    let mut lanes = due.map(|entries| entries.into_iter().peekable());
    let mut chosen = Vec::new();
    while chosen.len() < limit {
        let waiting: Vec<usize> = (0..3).filter(|&lane| lanes[lane].peek().is_some()).collect();
        let Some(&first) = waiting.first() else { break };
        let starved = waiting.iter().copied().find(|&lane| passed[lane] >= PASSED_OVER);
        let lane = starved.unwrap_or(first);
        passed[lane] = 0;
        for &other in waiting.iter().filter(|&&other| other > lane) {
            passed[other] += 1;
        }
        chosen.extend(lanes[lane].next());
    }
    chosen
}
