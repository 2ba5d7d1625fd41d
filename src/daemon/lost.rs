//! What became of writes whose results were never stored.
//!
//! An answer can be lost after the write took effect, and the process can end before it is stored.
//! Then the base still says what both sides agreed on before, although one of them holds our own
//! value by now. If a person edits the other side meanwhile, both seem to have changed, and a field
//! would be put before a person that nobody disputes.
//!
//! The intent tells our own value. It came from what the other side held when it was read, so where
//! the written side shows it, both sides did agree on it: it is the base of whatever came later.
//! The same holds where the written side shows something else by now, if its own list of versions
//! proves that our value was there in between. Where nothing proves it, the base stays as it was,
//! and what differs is a conflict: the safe reading.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::fetch::Fetched;
use crate::journal::{HistoryLine, Intent};
use crate::mapping::{Directory, Field, Mapping, Reading};
use crate::record::{Author, PerSide, Raw, Record, Side, Value};

/// What is seen to have taken effect of an intent.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// What both sides have agreed on meanwhile, by field.
    pub(super) base: BTreeMap<String, Value>,
    /// The lines of the intent whose values are proved to have arrived: field, side and time.
    there: BTreeSet<(String, Side, Timestamp)>,
    /// The fields whose versions would tell and were not read.
    pub(super) doubtful: BTreeSet<String>,
}

impl Landed {
    /// Whether what a line of the intent tells is proved to have arrived.
    pub(super) fn has(&self, line: &HistoryLine) -> bool {
        line.side.is_some_and(|side| self.there.contains(&(line.field.clone(), side, line.at)))
    }
}

/// Compares an intent with what both sides show. What a line tells is agreed on only if it is
/// `of_these` records: one of them may have been written from another before they were linked.
pub(super) fn landed(
    mapping: &Mapping,
    intent: &Intent,
    present: &PerSide<Fetched>,
    directory: &dyn Directory,
    of_these: impl Fn(&HistoryLine) -> bool,
) -> Landed {
    // Lines that an earlier intent owes stand before the last one's own, which are what counts.
    let mut last: BTreeMap<(&str, Side), &HistoryLine> = BTreeMap::new();
    for line in &intent.lines {
        if let Some(side) = line.side {
            last.insert((&line.field, side), line);
        }
    }
    let mut landed = Landed::default();
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for ((field, side), line) in last {
        let place = Place::of(mapping, field, present.get(side).record(), directory);
        let arrived = place.map_or(Arrived::No, |place| place.arrived(line));
        match arrived {
            Arrived::Yes => {
                landed.there.insert((field.to_owned(), side, line.at));
            }
            Arrived::Untold => {
                landed.doubtful.insert(field.to_owned());
            }
            Arrived::No => {}
        }
        match (of_these(line), arrived) {
            (true, Arrived::Yes) => {
                landed.base.extend(line.new.clone().map(|value| (field.to_owned(), value)));
            }
            (true, Arrived::No | Arrived::Untold) => {
                open.insert(field);
            }
            (false, _) => {}
        }
    }
    // Agreed on is what arrived on every side that it was written to.
    landed.base.retain(|field, _| !open.contains(field.as_str()));
    landed
}

/// Whether our value arrived.
#[derive(Clone, Copy)]
enum Arrived {
    Yes,
    No,
    /// The side holds a third value, and its versions were not read.
    Untold,
}

/// One field of one written record.
struct Place<'a> {
    mapping: &'a Mapping,
    field: &'a Field,
    record: &'a Record,
    name: &'a str,
    directory: &'a dyn Directory,
}

impl<'a> Place<'a> {
    /// Nothing where there is no record, or no such field any more.
    fn of(
        mapping: &'a Mapping,
        field: &str,
        record: Option<&'a Record>,
        directory: &'a dyn Directory,
    ) -> Option<Self> {
        let (field, record) = (mapping.field(field)?, record?);
        let place = field.sides.get(record.key.side).as_ref()?;
        let name = place.name(&record.key.object)?;
        Some(Self { mapping, field, record, name, directory })
    }

    fn read(&self, raw: &Raw) -> Option<Value> {
        let key = &self.record.key;
        match self.field.read(self.mapping, key.side, &key.object, raw, self.directory) {
            Reading::Value(value) => Some(value),
            Reading::Aside(_) | Reading::Bad(_) => None,
        }
    }

    fn arrived(&self, line: &HistoryLine) -> Arrived {
        let Some(ours) = &line.new else { return Arrived::No };
        let now = self.read(self.record.get(self.name));
        if now.as_ref() == Some(ours) {
            return Arrived::Yes;
        }
        if now == line.old {
            return Arrived::No;
        }
        let Some(versions) = self.record.versions.get(self.name) else { return Arrived::Untold };
        // Newest first, back to what was there when we wrote. The same value may have been there
        // long before, so the list is read no further.
        let since = versions.iter().take_while(|version| self.read(&version.value) != line.old);
        let arrived = since
            .filter(|version| version.by == Some(Author::Lockstep))
            .any(|version| self.read(&version.value).as_ref() == Some(ours));
        if arrived { Arrived::Yes } else { Arrived::No }
    }
}
