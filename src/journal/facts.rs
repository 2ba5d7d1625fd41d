//! Facts about the journal, its mappings and its sources: sequences, cursors, counters, erasures.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Error;
use super::codec::unreadable;
use super::key::{Key, Kind, Parts};
use super::links::check_name;
use super::pending::Subject;
use super::store::Span;
use super::txn::Txn;
use crate::reconcile::PlannedWrite;
use crate::record::{LinkId, PerSide, Side};

/// Which sequence of changes a cursor belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CursorName {
    /// The side.
    pub side: Side,
    /// The object, in the side's spelling.
    pub object: String,
    /// Which of the object's sequences: `changed`, `deleted`, `list`, a channel.
    pub stream: String,
}

impl CursorName {
    fn key(&self) -> Key {
        Key::new(Kind::Cursor).side(self.side).text(&self.object).text(&self.stream)
    }
}

/// How far a sequence of changes was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorEntry {
    /// The place, in the client's own words.
    pub place: String,
    /// When it was stored.
    pub at: Timestamp,
}

/// What is known of a mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingState {
    /// The mapping's fingerprint when it was last settled by.
    pub fingerprint: String,
    /// The fields that every link has taken in, or is about to by a backfill.
    pub fields: BTreeSet<String>,
    /// The backfill under way.
    pub backfill: Option<Backfill>,
}

/// How far a backfill came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Why: a new mapping, a newly mapped field, a person.
    pub reason: String,
    /// When it began.
    pub began: Timestamp,
    /// What goes on from where, in the daemon's words, by source.
    pub places: BTreeMap<String, String>,
    /// Records that it brought in so far.
    pub seen: u64,
}

/// Writes that are about to go out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// What is settled.
    pub subject: Subject,
    /// The mapping's name.
    pub mapping: String,
    /// The entry's version that is settled.
    pub version: u64,
    /// When it was written down.
    pub at: Timestamp,
    /// The writes.
    pub writes: PerSide<Option<PlannedWrite>>,
    /// The lines of history that they are worth, should the process end before their results are
    /// stored: afterwards both sides are equal and nobody could tell what was overwritten.
    pub lines: Vec<super::history::HistoryLine>,
}

/// That a person's data was erased, without the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purge {
    /// When.
    pub at: Timestamp,
    /// The mapping's name.
    pub mapping: String,
    /// The link that was.
    pub link: LinkId,
}

fn fact_key(name: &str) -> Key {
    Key::new(Kind::Meta).text(name)
}

pub(super) fn counter_key(mapping: &str, name: &str) -> Key {
    Key::new(Kind::Counter).text(mapping).text(name)
}

fn daily_key(mapping: &str, day: Date, name: &str) -> Key {
    Key::new(Kind::Daily).text(mapping).text(&day.to_string()).text(name)
}

fn mapping_key(name: &str) -> Key {
    Key::new(Kind::Mapping).text(name)
}

fn kept_key(area: &str, name: &str) -> Key {
    Key::new(Kind::Kept).text(area).text(name)
}

impl Txn<'_> {
    /// A fact about the journal.
    pub(super) fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.get(&fact_key(name))
    }

    pub(super) fn set_fact<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.put(&fact_key(name), value)
    }

    pub(super) fn drop_fact(&mut self, name: &str) -> Result<(), Error> {
        self.delete(&fact_key(name))
    }

    /// The next number of a sequence, beginning with 1.
    pub(super) fn next(&mut self, sequence: &str) -> Result<u64, Error> {
        Ok(self.next_many(sequence, 1)?.start)
    }

    /// The next `count` numbers of a sequence.
    pub(super) fn next_many(
        &mut self,
        sequence: &str,
        count: u64,
    ) -> Result<std::ops::Range<u64>, Error> {
        let name = format!("next.{sequence}");
        let start: u64 = self.fact(&name)?.unwrap_or(1);
        let end = start.saturating_add(count);
        self.set_fact(&name, &end)?;
        Ok(start..end)
    }

    /// Adds to a mapping's counter.
    pub(super) fn bump(&mut self, mapping: &str, name: &str, by: i64) -> Result<(), Error> {
        let key = counter_key(mapping, name);
        let before: i64 = self.get(&key)?.unwrap_or(0);
        match before.saturating_add(by) {
            0 => self.delete(&key),
            after => self.put(&key, &after),
        }
    }

    /// Adds to a mapping's counter and to that of the day.
    pub(super) fn count(
        &mut self,
        mapping: &str,
        name: &str,
        by: i64,
        at: Timestamp,
    ) -> Result<(), Error> {
        check_name("mapping", mapping)?;
        check_name("counter", name)?;
        self.bump(mapping, name, by)?;
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        let key = daily_key(mapping, day, name);
        let before: i64 = self.get(&key)?.unwrap_or(0);
        self.put(&key, &before.saturating_add(by))
    }

    /// A mapping's counters by name, or with no mapping those of all, added up.
    pub(super) fn counters(&self, mapping: Option<&str>) -> Result<BTreeMap<String, i64>, Error> {
        let mut prefix = Key::new(Kind::Counter);
        if let Some(mapping) = mapping {
            prefix = prefix.text(mapping);
        }
        let mut counters = BTreeMap::new();
        for (key, value) in self.list::<i64>(&Span::prefix(&prefix.0), usize::MAX)? {
            let mut parts = Parts::of(&key);
            let name = parts.text().and_then(|_| parts.text());
            let name = name.ok_or_else(|| unreadable(&key, "its key has no name"))?;
            *counters.entry(name.to_owned()).or_insert(0) += value;
        }
        Ok(counters)
    }

    /// A mapping's counters of the days from `since` on.
    pub(super) fn daily(
        &self,
        mapping: &str,
        since: Date,
    ) -> Result<BTreeMap<Date, BTreeMap<String, i64>>, Error> {
        let prefix = Key::new(Kind::Daily).text(mapping);
        let mut span = Span::prefix(&prefix.0);
        span.from = prefix.text(&since.to_string()).0;
        let mut days: BTreeMap<Date, BTreeMap<String, i64>> = BTreeMap::new();
        for (key, value) in self.list::<i64>(&span, usize::MAX)? {
            let (day, name) =
                daily_of(&key).ok_or_else(|| unreadable(&key, "its key has no day"))?;
            days.entry(day).or_default().insert(name, value);
        }
        Ok(days)
    }

    /// Takes the counters of days before `day` away, at most `limit`.
    pub(super) fn prune_daily(&mut self, day: Date, limit: usize) -> Result<usize, Error> {
        let mut gone = 0;
        for mapping in self.counted_mappings()? {
            let prefix = Key::new(Kind::Daily).text(&mapping);
            let span = Span::prefix(&prefix.0).before(&prefix.clone().text(&day.to_string()).0);
            for (key, _) in self.scan(&span, limit.saturating_sub(gone))? {
                self.delete(&Key(key))?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// The mappings that have counters.
    pub(super) fn counted_mappings(&self) -> Result<BTreeSet<String>, Error> {
        let rows = self.scan(&Span::prefix(&Key::new(Kind::Counter).0), usize::MAX)?;
        Ok(rows.iter().filter_map(|(key, _)| Parts::of(key).text().map(str::to_owned)).collect())
    }

    /// How far a sequence of changes was read.
    pub(super) fn cursor(&self, name: &CursorName) -> Result<Option<CursorEntry>, Error> {
        self.get(&name.key())
    }

    pub(super) fn set_cursor(
        &mut self,
        name: &CursorName,
        entry: Option<&CursorEntry>,
    ) -> Result<(), Error> {
        check_name("cursor's object", &name.object)?;
        match entry {
            Some(entry) => self.put(&name.key(), entry),
            None => self.delete(&name.key()),
        }
    }

    pub(super) fn cursors(&self) -> Result<BTreeMap<CursorName, CursorEntry>, Error> {
        let span = Span::prefix(&Key::new(Kind::Cursor).0);
        let mut cursors = BTreeMap::new();
        for (key, entry) in self.list::<CursorEntry>(&span, usize::MAX)? {
            let name = cursor_of(&key).ok_or_else(|| unreadable(&key, "its key has no name"))?;
            cursors.insert(name, entry);
        }
        Ok(cursors)
    }

    /// What is known of a mapping.
    pub(super) fn mapping_state(&self, name: &str) -> Result<Option<MappingState>, Error> {
        self.get(&mapping_key(name))
    }

    pub(super) fn set_mapping_state(
        &mut self,
        name: &str,
        state: &MappingState,
    ) -> Result<(), Error> {
        check_name("mapping", name)?;
        self.put(&mapping_key(name), state)
    }

    /// Writes down what is about to go out.
    pub(super) fn intend(&mut self, intent: &Intent) -> Result<(), Error> {
        self.put(&intent.subject.intent_key(), intent)
    }

    /// Writes down what went out and is not known to have taken effect, beside what the subject
    /// owes already. What a record owes its link owes, where it has one.
    pub(super) fn owe(&mut self, mut intent: Intent) -> Result<(), Error> {
        if let Subject::Record { mapping, record } = &intent.subject {
            intent.subject = self.subject_of(mapping, record)?;
        }
        if let Some(mut known) = self.get::<Intent>(&intent.subject.intent_key())? {
            known.lines.append(&mut intent.lines);
            intent.lines = known.lines;
        }
        self.intend(&intent)
    }

    pub(super) fn clear_intent(&mut self, subject: &Subject) -> Result<(), Error> {
        self.delete(&subject.intent_key())
    }

    /// Takes away, of what was to go out before `oldest`, what records owe that have no link, at most
    /// `limit`. What a link owes is told at its next settlement, however late that is.
    pub(super) fn prune_intents(&mut self, oldest: Timestamp, limit: usize) -> Result<(), Error> {
        let old = |intent: &Intent| {
            intent.at < oldest && matches!(intent.subject, Subject::Record { .. })
        };
        for intent in self.intents(usize::MAX)?.iter().filter(|it| old(it)).take(limit) {
            if self.pending(&intent.subject)?.is_none() {
                self.clear_intent(&intent.subject)?;
            }
        }
        Ok(())
    }

    /// What was about to go out when the process ended.
    pub(super) fn intents(&self, limit: usize) -> Result<Vec<Intent>, Error> {
        let span = Span::prefix(&Key::new(Kind::Intent).0);
        Ok(self.list(&span, limit)?.into_iter().map(|(_, intent)| intent).collect())
    }

    /// An item of an area that belongs to a room above.
    pub(super) fn kept<T: DeserializeOwned>(
        &self,
        area: &str,
        name: &str,
    ) -> Result<Option<T>, Error> {
        self.get(&kept_key(area, name))
    }

    pub(super) fn kept_page<T: DeserializeOwned>(
        &self,
        area: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, T)>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::Kept).text(area).0);
        if let Some(after) = after {
            span = span.after(&kept_key(area, after).0);
        }
        self.list::<T>(&span, limit)?
            .into_iter()
            .map(|(key, item)| {
                let mut parts = Parts::of(&key);
                let name = parts.text().and_then(|_| parts.text());
                let name = name.ok_or_else(|| unreadable(&key, "its key has no name"))?;
                Ok((name.to_owned(), item))
            })
            .collect()
    }

    /// Keeps an encoded item, or with none drops it.
    pub(super) fn keep(
        &mut self,
        area: &str,
        name: &str,
        item: Option<&Encoded>,
    ) -> Result<(), Error> {
        check_name("area", area)?;
        check_name("kept item", name)?;
        match item {
            Some(item) => self.put(&kept_key(area, name), item),
            None => self.delete(&kept_key(area, name)),
        }
    }

    /// Whether anybody's data was ever erased.
    pub(super) fn any_erased(&self) -> Result<bool, Error> {
        Ok(!self.scan(&Span::prefix(&Key::new(Kind::Erased).0), 1)?.is_empty())
    }

    pub(super) fn is_erased(&self, mark: &[u8; 16]) -> Result<bool, Error> {
        self.has(&Key::new(Kind::Erased).bytes(mark))
    }

    pub(super) fn mark_erased(&mut self, mark: &[u8; 16], at: Timestamp) -> Result<(), Error> {
        self.put(&Key::new(Kind::Erased).bytes(mark), &at)
    }

    pub(super) fn add_purge(&mut self, purge: &Purge) -> Result<(), Error> {
        let number = self.next("purge")?;
        self.put(&Key::new(Kind::Purge).number(number), purge)
    }

    pub(super) fn purges(&self, limit: usize) -> Result<Vec<Purge>, Error> {
        let rows = self.scan_back(&Span::prefix(&Key::new(Kind::Purge).0), limit)?;
        rows.iter().map(|(key, first)| self.decode(key, first)).collect()
    }
}

fn daily_of(key: &[u8]) -> Option<(Date, String)> {
    let mut parts = Parts::of(key);
    parts.text()?;
    let day = parts.text()?.parse().ok()?;
    Some((day, parts.text()?.to_owned()))
}

fn cursor_of(key: &[u8]) -> Option<CursorName> {
    let mut parts = Parts::of(key);
    let side = parts.side()?;
    let object = parts.text()?.to_owned();
    Some(CursorName { side, object, stream: parts.text()?.to_owned() })
}

/// A value that its owner has encoded already; it is stored as if it had been given itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoded(pub(super) Vec<u8>);

impl Serialize for Encoded {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeTuple as _;
        // A tuple carries no length: its bytes stand as they are.
        let mut bytes = to.serialize_tuple(self.0.len())?;
        for byte in &self.0 {
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}
