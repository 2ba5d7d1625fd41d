//! Is what is stored readable, and does every index lead both ways?

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::Error;
use super::codec;
use super::facts::{CursorEntry, Intent, MappingState, Purge};
use super::handoffs::{self, HandoffEntry};
use super::history::HistoryLine;
use super::key::{Key, Kind, Parts, hex};
use super::links::{LinkEntry, LinkState, by_fingerprint_key, by_mapping_key, is_indexed};
use super::pending::{PendingEntry, Subject};
use super::questions::{self, ConflictEntry, Hold, MatchEntry, RejectEntry};
use super::store::{Row, Span};
use super::txn::Txn;
use crate::record::{Fingerprint, LinkId};

/// How many problems a report names; the others are only counted.
const NAMED: usize = 200;

/// How many rows are looked at while nobody else may use the journal.
pub(super) const PAGE: usize = 500;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many rows there are of each kind.
    pub rows: BTreeMap<&'static str, u64>,
    /// Bytes of keys and values.
    pub bytes: u64,
    /// What is wrong, the first two hundred.
    pub problems: Vec<Problem>,
    /// What else is wrong.
    pub more: u64,
    /// What the counters should say, by mapping and name.
    tally: BTreeMap<(String, &'static str), i64>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of row.
    pub kind: &'static str,
    /// Its key, in hexadecimal.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.key, self.what)
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty() && self.more == 0
    }

    pub(super) fn problem(&mut self, key: &[u8], what: impl Into<String>) {
        if self.problems.len() == NAMED {
            self.more += 1;
            return;
        }
        let kind = key.first().and_then(|byte| Kind::of(*byte)).map_or("unknown row", Kind::name);
        self.problems.push(Problem { kind, key: hex(key), what: what.into() });
    }

    fn tally(&mut self, mapping: &str, counter: &'static str) {
        *self.tally.entry((mapping.to_owned(), counter)).or_insert(0) += 1;
    }
}

/// Looks at the next page of rows behind `after`. Returns the last key, or nothing at the end.
///
/// Rows that belong together are compared within one call, so that the journal may be written to
/// between two of them.
pub(super) fn check_page(
    txn: &Txn<'_>,
    after: Option<&[u8]>,
    report: &mut Report,
) -> Result<Option<Vec<u8>>, Error> {
    let mut span = Span::all();
    if let Some(after) = after {
        span = span.after(after);
    }
    let rows = txn.scan(&span, PAGE)?;
    for row in &rows {
        report.bytes += (row.0.len() + row.1.len()) as u64;
        match check_row(txn, row, report) {
            Ok(()) => {}
            Err(Error::Unreadable { problem, .. }) => report.problem(&row.0, problem),
            Err(other) => return Err(other),
        }
    }
    Ok(rows.into_iter().next_back().map(|(key, _)| key))
}

/// Compares the counters with what was counted. Only where nothing was written since the first
/// page.
pub(super) fn check_counters(txn: &Txn<'_>, report: &mut Report) -> Result<(), Error> {
    let tally = std::mem::take(&mut report.tally);
    let span = Span::prefix(&Key::new(Kind::Counter).0);
    let mut stored = BTreeMap::new();
    for (key, first) in txn.scan(&span, usize::MAX)? {
        let value: i64 = match txn.decode(&key, &first) {
            Ok(value) => value,
            // Named already when its row was looked at.
            Err(Error::Unreadable { .. }) => continue,
            Err(other) => return Err(other),
        };
        let mut parts = Parts::of(&key);
        if let (Some(mapping), Some(name)) = (parts.text(), parts.text())
            && is_derived(name)
        {
            stored.insert((mapping.to_owned(), name.to_owned()), (key.clone(), value));
        }
    }
    for ((mapping, name), counted) in &tally {
        match stored.remove(&(mapping.clone(), (*name).to_owned())) {
            Some((_, value)) if value == *counted => {}
            Some((key, value)) => {
                report.problem(&key, format!("{name} says {value}, there are {counted}"));
            }
            None => {
                let key = Key::new(Kind::Counter).text(mapping).text(name);
                report.problem(&key.0, format!("{name} is absent, there are {counted}"));
            }
        }
    }
    for ((_, name), (key, value)) in stored {
        report.problem(&key, format!("{name} says {value}, there are none"));
    }
    report.tally = tally;
    Ok(())
}

/// Whether a counter only says how many rows there are.
pub(super) fn is_derived(counter: &str) -> bool {
    counter.starts_with("links.")
        || counter.starts_with("pending.")
        || [handoffs::OPEN, handoffs::OVER].contains(&counter)
        || [questions::CONFLICTS, questions::MATCHES, questions::REJECTS].contains(&counter)
}

fn check_row(txn: &Txn<'_>, (key, first): &Row, report: &mut Report) -> Result<(), Error> {
    let Some(kind) = key.first().and_then(|byte| Kind::of(*byte)) else {
        *report.rows.entry("unknown row").or_insert(0) += 1;
        report.problem(key, "no kind of row has this byte");
        return Ok(());
    };
    *report.rows.entry(kind.name()).or_insert(0) += 1;
    match kind {
        Kind::Piece => check_piece(txn, key, first, report),
        Kind::Link => check_link(txn, key, &txn.decode(key, first)?, report),
        Kind::ByRecord => check_by_record(txn, key, txn.decode(key, first)?, report),
        Kind::ByMapping => {
            readable(txn, kind, key, first)?;
            check_by_mapping(txn, key, report)
        }
        Kind::ByFingerprint => {
            readable(txn, kind, key, first)?;
            check_by_fingerprint(txn, key, report)
        }
        Kind::Pending => check_pending(txn, key, &txn.decode(key, first)?, report),
        Kind::Queue => check_queue(txn, key, &txn.decode(key, first)?, report),
        Kind::History => {
            let line: HistoryLine = txn.decode(key, first)?;
            belongs(txn, key, line.link, report)
        }
        // A handoff may be there before its link: Salesforce has refused the record, or not
        // answered yet.
        Kind::Handoff => {
            let entry: HandoffEntry = txn.decode(key, first)?;
            report.tally(&entry.handoff.mapping, handoffs::counter(&entry.handoff));
            for problem in txn.problems_of_handoff(&entry)? {
                report.problem(key, problem);
            }
            Ok(())
        }
        Kind::HandoffRecord | Kind::HandoffDue => {
            readable(txn, kind, key, first)?;
            if !txn.leads_to_handoff(key)? {
                report.problem(key, "it leads to no handoff that knows of it");
            }
            Ok(())
        }
        Kind::Conflict => {
            let entry: ConflictEntry = txn.decode(key, first)?;
            report.tally(&entry.mapping, questions::CONFLICTS);
            belongs(txn, key, entry.link, report)
        }
        Kind::Match => {
            let entry: MatchEntry = txn.decode(key, first)?;
            report.tally(&entry.mapping, questions::MATCHES);
            Ok(())
        }
        Kind::Reject => {
            let entry: RejectEntry = txn.decode(key, first)?;
            report.tally(&entry.mapping, questions::REJECTS);
            Ok(())
        }
        Kind::Meta
        | Kind::Kept
        | Kind::Counter
        | Kind::Daily
        | Kind::Erased
        | Kind::Mapping
        | Kind::Intent
        | Kind::Cursor
        | Kind::Hold
        | Kind::Purge => readable(txn, kind, key, first),
    }
}

/// Whether a value can be read, apart from what leads to it.
pub(super) fn readable(txn: &Txn<'_>, kind: Kind, key: &[u8], first: &[u8]) -> Result<(), Error> {
    match kind {
        Kind::Link => read::<LinkEntry>(txn, key, first),
        Kind::Pending => read::<PendingEntry>(txn, key, first),
        Kind::History => read::<HistoryLine>(txn, key, first),
        Kind::Conflict => read::<ConflictEntry>(txn, key, first),
        Kind::Match => read::<MatchEntry>(txn, key, first),
        Kind::Reject => read::<RejectEntry>(txn, key, first),
        Kind::Counter | Kind::Daily => read::<i64>(txn, key, first),
        Kind::Erased => read::<Timestamp>(txn, key, first),
        Kind::Mapping => read::<MappingState>(txn, key, first),
        Kind::Intent => read::<Intent>(txn, key, first),
        Kind::Cursor => read::<CursorEntry>(txn, key, first),
        Kind::Hold => read::<Hold>(txn, key, first),
        Kind::Purge => read::<Purge>(txn, key, first),
        Kind::ByRecord => read::<LinkId>(txn, key, first),
        Kind::Queue => read::<Subject>(txn, key, first),
        Kind::Handoff => read::<HandoffEntry>(txn, key, first),
        Kind::HandoffRecord => read::<crate::handoff::HandoffId>(txn, key, first),
        Kind::ByMapping | Kind::ByFingerprint | Kind::HandoffDue => read::<()>(txn, key, first),
        Kind::Meta | Kind::Kept => txn.payload(key, first).map(drop),
        Kind::Piece => codec::opened(key, first).map(drop),
    }
}

fn read<T: DeserializeOwned>(txn: &Txn<'_>, key: &[u8], first: &[u8]) -> Result<(), Error> {
    txn.decode::<T>(key, first).map(drop)
}

fn belongs(txn: &Txn<'_>, key: &[u8], link: LinkId, report: &mut Report) -> Result<(), Error> {
    if link_or_none(txn, link)?.is_none() {
        report.problem(key, format!("it belongs to link {link}, which is absent"));
    }
    Ok(())
}

/// A link; nothing also where it cannot be read, which is named at its own row.
fn link_or_none(txn: &Txn<'_>, id: LinkId) -> Result<Option<LinkEntry>, Error> {
    match txn.link(id) {
        Err(Error::Unreadable { .. }) => Ok(None),
        other => other,
    }
}

fn check_piece(txn: &Txn<'_>, key: &[u8], row: &[u8], report: &mut Report) -> Result<(), Error> {
    codec::opened(key, row)?;
    let Some((owner, number)) = codec::piece_owner(key) else {
        report.problem(key, "its key names no value");
        return Ok(());
    };
    let count = txn.first_row(owner)?.map_or(0, |first| codec::further_pieces(&first));
    if number >= count {
        report.problem(key, format!("piece {number} of a value that has {count} more"));
    }
    Ok(())
}

/// Whether `owner` is the heir of a retired link, or the heir's heir, and so on: what was merged may
/// be merged again. Where the last heir has ended, whoever takes the record next is right.
fn inherits(txn: &Txn<'_>, heir: LinkId, owner: LinkId) -> Result<bool, Error> {
    let mut seen = BTreeSet::new();
    let mut next = heir;
    while next != owner && seen.insert(next) {
        match txn.link(next)?.map(|link| link.state) {
            Some(LinkState::Retired { into }) => next = into,
            state => return Ok(state.is_some_and(|state| !state.is_live())),
        }
    }
    Ok(next == owner)
}

fn check_link(
    txn: &Txn<'_>,
    key: &[u8],
    link: &LinkEntry,
    report: &mut Report,
) -> Result<(), Error> {
    report.tally(&link.mapping, link.state.counter());
    if !txn.has(&by_mapping_key(&link.mapping, link.id))? {
        report.problem(key, "the mapping's index does not lead to it");
    }
    for record in link.all_records() {
        let owner = match txn.link_id_of(&link.mapping, &record) {
            Ok(owner) => owner,
            Err(Error::Unreadable { .. }) => None,
            Err(other) => return Err(other),
        };
        let present = link.records.iter().any(|(_, it)| it.as_ref() == Some(&record));
        let right = match (owner, &link.state) {
            (None, _) => false,
            (Some(owner), LinkState::Retired { into }) => !present || inherits(txn, *into, owner)?,
            (Some(owner), state) => owner == link.id || !state.is_live() || !present,
        };
        if !right {
            report.problem(key, "the index of one of its records does not lead to it");
        }
    }
    for print in &link.fingerprints {
        let key_of_print = by_fingerprint_key(&link.mapping, print, link.id);
        if is_indexed(link) && !txn.has(&key_of_print)? {
            report.problem(key, "the index of one of its fingerprints does not lead to it");
        }
    }
    Ok(())
}

fn check_by_record(
    txn: &Txn<'_>,
    key: &[u8],
    id: LinkId,
    report: &mut Report,
) -> Result<(), Error> {
    let mut parts = Parts::of(key);
    let place = parts.text().map(str::to_owned).zip(parts.record());
    let link = link_or_none(txn, id)?;
    match (place, link) {
        (None, _) => report.problem(key, "its key names no record"),
        (_, None) => report.problem(key, format!("it names link {id}, which is absent")),
        (Some((mapping, record)), Some(link)) => {
            if link.mapping != mapping || !link.all_records().contains(&record) {
                report.problem(key, format!("it names link {id}, which does not have the record"));
            }
        }
    }
    Ok(())
}

fn check_by_mapping(txn: &Txn<'_>, key: &[u8], report: &mut Report) -> Result<(), Error> {
    let mut parts = Parts::of(key);
    let Some((mapping, id)) = parts.text().map(str::to_owned).zip(parts.link()) else {
        report.problem(key, "its key names no link");
        return Ok(());
    };
    if link_or_none(txn, id)?.is_none_or(|link| link.mapping != mapping) {
        report.problem(key, format!("link {id} is absent or of another mapping"));
    }
    Ok(())
}

fn check_by_fingerprint(txn: &Txn<'_>, key: &[u8], report: &mut Report) -> Result<(), Error> {
    let mut parts = Parts::of(key);
    let mapping = parts.text().map(str::to_owned);
    let (Some(mapping), Some(print), Some(id)) = (mapping, parts.fixed::<16>(), parts.link())
    else {
        report.problem(key, "its key names no link");
        return Ok(());
    };
    let link = link_or_none(txn, id)?;
    let print = Fingerprint(print);
    if link.is_none_or(|link| link.mapping != mapping || !link.fingerprints.contains(&print)) {
        report.problem(key, format!("link {id} is absent or does not have the fingerprint"));
    }
    Ok(())
}

fn check_pending(
    txn: &Txn<'_>,
    key: &[u8],
    entry: &PendingEntry,
    report: &mut Report,
) -> Result<(), Error> {
    report.tally(&entry.mapping, entry.lane.counter());
    match txn.get::<Subject>(&entry.queue_key()) {
        Ok(Some(subject)) if subject == entry.subject => {}
        Ok(_) | Err(Error::Unreadable { .. }) => {
            report.problem(key, "the queue does not lead to it");
        }
        Err(other) => return Err(other),
    }
    if let Subject::Link(id) = &entry.subject {
        belongs(txn, key, *id, report)?;
    }
    Ok(())
}

fn check_queue(
    txn: &Txn<'_>,
    key: &[u8],
    subject: &Subject,
    report: &mut Report,
) -> Result<(), Error> {
    match txn.pending(subject) {
        Ok(Some(entry)) if entry.queue_key().0 == key => {}
        Ok(_) | Err(Error::Unreadable { .. }) => {
            report.problem(key, "it leads to no entry that waits at this place");
        }
        Err(other) => return Err(other),
    }
    Ok(())
}
