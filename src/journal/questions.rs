//! What waits for a person: conflicts, ambiguous matches, rejects, holds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::key::{Key, Kind};
use super::links::{check_name, check_record};
use super::pending::Subject;
use super::store::Span;
use super::txn::Txn;
use crate::reconcile::{OpenConflict, Resolution};
use crate::record::{LinkId, Raw, RecordRef, Side};

/// The field of a reject that concerns the whole record.
pub const WHOLE_RECORD: &str = "*";

/// A conflict with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictEntry {
    /// The link.
    pub link: LinkId,
    /// The mapping's name.
    pub mapping: String,
    /// The field's canonical name.
    pub field: String,
    /// The conflict.
    pub conflict: OpenConflict,
}

/// A record for which more than one record across may be the right one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchEntry {
    /// The mapping's name.
    pub mapping: String,
    /// The record.
    pub record: RecordRef,
    /// The records across that it may belong to, and by what each was found.
    pub candidates: BTreeMap<RecordRef, String>,
    /// Since when.
    pub since: Timestamp,
    /// Why none was chosen.
    pub reason: String,
    /// What a person decided, to be carried out by the next settlement.
    pub choice: Option<MatchChoice>,
}

/// A person's decision on an ambiguous match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchChoice {
    /// It is this one.
    This(RecordRef),
    /// None of them: a record of its own.
    None,
}

/// A write that a platform refused for good, or a value that the mapping cannot take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectEntry {
    /// What was being settled.
    pub subject: Subject,
    /// The mapping's name.
    pub mapping: String,
    /// The side that refused, or whose value cannot be read.
    pub side: Side,
    /// The field's canonical name, or [`WHOLE_RECORD`].
    pub field: String,
    /// The platform's word for it.
    pub code: String,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub hint: Option<String>,
    /// What was to be written, by the side's field name. The same values are not tried again
    /// before a person asks for it.
    pub attempted: BTreeMap<String, Raw>,
    /// Since when.
    pub since: Timestamp,
    /// When it was last refused.
    pub last: Timestamp,
    /// How often it was refused.
    pub tries: u32,
    /// Whether a person asked for another try.
    pub retry_requested: bool,
}

impl RejectEntry {
    /// Whether it concerns the whole record.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.field == WHOLE_RECORD
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> RejectPlace {
        RejectPlace { subject: self.subject.clone(), side: self.side, field: self.field.clone() }
    }
}

/// Which reject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RejectPlace {
    /// What was being settled.
    pub subject: Subject,
    /// The side.
    pub side: Side,
    /// The field's canonical name, or [`WHOLE_RECORD`].
    pub field: String,
}

impl RejectPlace {
    fn key(&self) -> Key {
        rejects_of(&self.subject).side(self.side).text(&self.field)
    }
}

/// Plans that a safety limit stopped until a person releases them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number.
    pub id: u64,
    /// The mapping, where it concerns one.
    pub mapping: Option<String>,
    /// Which limit, and by how much.
    pub reason: String,
    /// How many plans it stopped.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// Some of the plans in words.
    pub sample: Vec<String>,
    /// When a person released it.
    pub released: Option<Timestamp>,
}

fn conflict_key(link: LinkId, field: &str) -> Key {
    Key::new(Kind::Conflict).link(link).text(field)
}

fn match_key(mapping: &str, record: &RecordRef) -> Key {
    Key::new(Kind::Match).text(mapping).record(record)
}

fn rejects_of(subject: &Subject) -> Key {
    subject.part(Key::new(Kind::Reject))
}

fn hold_key(id: u64) -> Key {
    Key::new(Kind::Hold).number(id)
}

/// The counter of open conflicts.
pub(super) const CONFLICTS: &str = "conflicts.open";
/// The counter of ambiguous matches.
pub(super) const MATCHES: &str = "matches.open";
/// The counter of rejects.
pub(super) const REJECTS: &str = "rejects.open";

impl Txn<'_> {
    /// The open conflicts of a link, by field.
    pub(super) fn conflicts(&self, link: LinkId) -> Result<BTreeMap<String, OpenConflict>, Error> {
        let span = Span::prefix(&Key::new(Kind::Conflict).link(link).0);
        let entries = self.list::<ConflictEntry>(&span, usize::MAX)?;
        Ok(entries.into_iter().map(|(_, entry)| (entry.field, entry.conflict)).collect())
    }

    /// Makes `open` the open conflicts of a link: what is no longer among them is settled. A
    /// person's decision that came in meanwhile stays.
    pub(super) fn set_conflicts(
        &mut self,
        link: LinkId,
        mapping: &str,
        open: BTreeMap<String, OpenConflict>,
    ) -> Result<(), Error> {
        let before = self.conflicts(link)?;
        for field in before.keys().filter(|field| !open.contains_key(*field)) {
            self.delete(&conflict_key(link, field))?;
            self.bump(mapping, CONFLICTS, -1)?;
        }
        for (field, mut conflict) in open {
            check_name("field", &field)?;
            match before.get(&field) {
                Some(old) if conflict.resolution.is_none() => {
                    conflict.resolution.clone_from(&old.resolution);
                }
                Some(_) => {}
                None => self.bump(mapping, CONFLICTS, 1)?,
            }
            let key = conflict_key(link, &field);
            self.put(&key, &ConflictEntry { link, mapping: mapping.to_owned(), field, conflict })?;
        }
        Ok(())
    }

    pub(super) fn drop_conflicts(&mut self, link: LinkId, mapping: &str) -> Result<(), Error> {
        self.set_conflicts(link, mapping, BTreeMap::new())
    }

    /// Stores a person's decision.
    pub(super) fn resolve(
        &mut self,
        link: LinkId,
        field: &str,
        resolution: Resolution,
    ) -> Result<(), Error> {
        let key = conflict_key(link, field);
        let Some(mut entry) = self.get::<ConflictEntry>(&key)? else {
            return Err(Error::Absent { what: format!("open conflict on {field:?} of {link}") });
        };
        entry.conflict.resolution = Some(resolution);
        self.put(&key, &entry)
    }

    /// A page of open conflicts, of one mapping or of all, behind `after`.
    pub(super) fn conflicts_page(
        &self,
        mapping: Option<&str>,
        after: Option<&(LinkId, String)>,
        limit: usize,
    ) -> Result<Vec<ConflictEntry>, Error> {
        let start = after.map(|(link, field)| conflict_key(*link, field));
        self.filtered(Kind::Conflict, start, limit, |entry: &ConflictEntry| {
            mapping.is_none_or(|mapping| entry.mapping == mapping)
        })
    }

    /// The values of a kind behind `start` that `keep` wants, at most `limit`.
    fn filtered<T: serde::de::DeserializeOwned>(
        &self,
        kind: Kind,
        start: Option<Key>,
        limit: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Error> {
        let mut span = Span::prefix(&Key::new(kind).0);
        if let Some(start) = start {
            span = span.after(&start.0);
        }
        let mut found = Vec::new();
        while found.len() < limit {
            let page = self.list::<T>(&span, 256)?;
            let Some((last, _)) = page.last() else { break };
            span = span.after(last);
            found.extend(page.into_iter().map(|(_, value)| value).filter(|value| keep(value)));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The ambiguous match of a record.
    pub(super) fn ambiguous(
        &self,
        mapping: &str,
        record: &RecordRef,
    ) -> Result<Option<MatchEntry>, Error> {
        self.get(&match_key(mapping, record))
    }

    /// Stores an ambiguous match. A person's choice that came in meanwhile stays as long as its
    /// record is still a candidate.
    pub(super) fn put_match(&mut self, mut entry: MatchEntry) -> Result<(), Error> {
        check_record(&entry.record)?;
        let key = match_key(&entry.mapping, &entry.record);
        match self.get::<MatchEntry>(&key)? {
            None => self.bump(&entry.mapping, MATCHES, 1)?,
            Some(old) => {
                entry.since = entry.since.min(old.since);
                let stands = match &old.choice {
                    Some(MatchChoice::This(record)) => entry.candidates.contains_key(record),
                    Some(MatchChoice::None) => true,
                    None => false,
                };
                if entry.choice.is_none() && stands {
                    entry.choice = old.choice;
                }
            }
        }
        self.put(&key, &entry)
    }

    pub(super) fn drop_match(&mut self, mapping: &str, record: &RecordRef) -> Result<(), Error> {
        let key = match_key(mapping, record);
        if self.has(&key)? {
            self.delete(&key)?;
            self.bump(mapping, MATCHES, -1)?;
        }
        Ok(())
    }

    /// Stores a person's choice.
    pub(super) fn choose_match(
        &mut self,
        mapping: &str,
        record: &RecordRef,
        choice: MatchChoice,
    ) -> Result<(), Error> {
        let Some(mut entry) = self.ambiguous(mapping, record)? else {
            return Err(Error::Absent { what: format!("ambiguous match of {record}") });
        };
        if let MatchChoice::This(chosen) = &choice
            && !entry.candidates.contains_key(chosen)
        {
            return Err(Error::Absent { what: format!("candidate {chosen} for {record}") });
        }
        entry.choice = Some(choice);
        self.put(&match_key(mapping, record), &entry)
    }

    pub(super) fn matches_page(
        &self,
        mapping: Option<&str>,
        after: Option<&(String, RecordRef)>,
        limit: usize,
    ) -> Result<Vec<MatchEntry>, Error> {
        let start = after.map(|(mapping, record)| match_key(mapping, record));
        self.filtered(Kind::Match, start, limit, |entry: &MatchEntry| {
            mapping.is_none_or(|mapping| entry.mapping == mapping)
        })
    }

    /// The rejects of a subject.
    pub(super) fn rejects(&self, subject: &Subject) -> Result<Vec<RejectEntry>, Error> {
        let span = Span::prefix(&rejects_of(subject).0);
        Ok(self.list(&span, usize::MAX)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Stores a reject: a repeated one keeps its beginning and counts on.
    pub(super) fn put_reject(&mut self, mut entry: RejectEntry) -> Result<(), Error> {
        check_name("field", &entry.field)?;
        let key = entry.place().key();
        match self.get::<RejectEntry>(&key)? {
            None => self.bump(&entry.mapping, REJECTS, 1)?,
            Some(old) => {
                entry.since = entry.since.min(old.since);
                entry.tries = entry.tries.saturating_add(old.tries);
            }
        }
        self.put(&key, &entry)
    }

    /// Takes a reject away: its value was written, or a person gave it up.
    pub(super) fn drop_reject(&mut self, place: &RejectPlace) -> Result<bool, Error> {
        let Some(old) = self.get::<RejectEntry>(&place.key())? else { return Ok(false) };
        self.bump(&old.mapping, REJECTS, -1)?;
        self.delete(&place.key())?;
        Ok(true)
    }

    /// Makes `entries` the rejects of a subject: those that are no longer among them are settled.
    pub(super) fn set_rejects(
        &mut self,
        subject: &Subject,
        entries: Vec<RejectEntry>,
    ) -> Result<(), Error> {
        let now: BTreeSet<RejectPlace> = entries.iter().map(RejectEntry::place).collect();
        for old in self.rejects(subject)? {
            if !now.contains(&old.place()) {
                self.drop_reject(&old.place())?;
            }
        }
        for entry in entries {
            if entry.subject != *subject {
                let problem = format!("a reject of {} among those of {subject}", entry.subject);
                return Err(Error::Unfit { problem });
            }
            self.put_reject(entry)?;
        }
        Ok(())
    }

    pub(super) fn drop_rejects(&mut self, subject: &Subject) -> Result<(), Error> {
        self.set_rejects(subject, Vec::new())
    }

    /// Marks a reject for another try.
    pub(super) fn request_retry(&mut self, place: &RejectPlace) -> Result<RejectEntry, Error> {
        let Some(mut entry) = self.get::<RejectEntry>(&place.key())? else {
            let (subject, field) = (&place.subject, &place.field);
            return Err(Error::Absent { what: format!("reject on {field:?} of {subject}") });
        };
        entry.retry_requested = true;
        self.put(&place.key(), &entry)?;
        Ok(entry)
    }

    pub(super) fn rejects_page(
        &self,
        mapping: Option<&str>,
        after: Option<&RejectPlace>,
        limit: usize,
    ) -> Result<Vec<RejectEntry>, Error> {
        let start = after.map(RejectPlace::key);
        self.filtered(Kind::Reject, start, limit, |entry: &RejectEntry| {
            mapping.is_none_or(|mapping| entry.mapping == mapping)
        })
    }

    /// The hold with this number.
    pub(super) fn hold(&self, id: u64) -> Result<Option<Hold>, Error> {
        self.get(&hold_key(id))
    }

    pub(super) fn put_hold(&mut self, hold: &Hold) -> Result<(), Error> {
        self.put(&hold_key(hold.id), hold)
    }

    pub(super) fn drop_hold(&mut self, id: u64) -> Result<(), Error> {
        self.delete(&hold_key(id))
    }

    pub(super) fn holds(&self) -> Result<Vec<Hold>, Error> {
        let span = Span::prefix(&Key::new(Kind::Hold).0);
        Ok(self.list(&span, usize::MAX)?.into_iter().map(|(_, hold)| hold).collect())
    }
}
