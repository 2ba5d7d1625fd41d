//! Copies of a journal: a whole one for keeping, and what can still be read of a damaged one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Error;
use super::check::{self, Report};
use super::core::Core;
use super::facts::{Intent, counter_key};
use super::handoffs::{self, HandoffEntry};
use super::key::{Key, Kind, Parts};
use super::links::{
    LinkEntry, LinkState, by_fingerprint_key, by_mapping_key, by_record_key, is_indexed,
};
use super::pending::PendingEntry;
use super::questions::{self, ConflictEntry, MatchEntry, RejectEntry};
use super::sled::{Options, SledStore};
use super::store::{Op, Row, Span, Store, after_prefix};
use super::txn::Txn;
use crate::record::LinkId;

/// How many rows are copied between two flushes.
const ROWS: usize = 500;

/// How many rows go into one batch.
const BATCH: usize = 100;

/// What a rescue brought over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// How many values were brought over, by kind.
    pub kept: BTreeMap<&'static str, u64>,
    /// What was wrong in the old journal and is not in the new one.
    pub lost: Report,
    /// Places that the engine could not read at all: how many rows stood there is unknown.
    pub gaps: u64,
    /// Links that claimed a record which another link had as well: they ended.
    pub doubles: Vec<LinkId>,
}

/// Copies what can be read of the journal in `from` into a new one in `to`, builds every index and
/// counter anew, and reports what is lost. `from` stays as it is.
///
/// What is lost comes back by itself: links are found again by the id fields on both platforms, and
/// cursors that are missing begin anew.
///
/// # Errors
/// [`Error::Damaged`] where the engine cannot open the old files at all; [`Error::Unfit`] where
/// `to` is not empty; [`Error::InUse`], [`Error::Full`], [`Error::Io`].
pub fn salvage(from: &Path, to: &Path, options: &Options) -> Result<Salvaged, Error> {
    match SledStore::open_behind(from, options) {
        Ok(mut old) => rescue(&mut old, &mut fresh(to, options)?),
        Err(Error::Damaged { .. }) => salvage_copy(from, to, options),
        Err(other) => Err(other),
    }
}

/// [`salvage`] where the engine does not open the old files as they are.
fn salvage_copy(from: &Path, to: &Path, options: &Options) -> Result<Salvaged, Error> {
    let mut name = to.as_os_str().to_owned();
    name.push(".reading");
    let scratch = PathBuf::from(name);
    // One that an interrupted salvage left.
    let _ = std::fs::remove_dir_all(&scratch);
    let salvaged = SledStore::open_without_snapshots(from, &scratch, options)
        .and_then(|mut old| rescue(&mut old, &mut fresh(to, options)?));
    let _ = std::fs::remove_dir_all(&scratch);
    // Where the log ends early, nothing says what stood behind its end.
    salvaged.map(|salvaged| Salvaged { gaps: salvaged.gaps + 1, ..salvaged })
}

/// The new journal's store, in a directory that is absent or empty.
fn fresh(dir: &Path, options: &Options) -> Result<SledStore, Error> {
    let taken = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        let problem = format!("{} is not empty; name a new directory", dir.display());
        return Err(Error::Unfit { problem });
    }
    SledStore::open(dir, options)
}

/// Copies all rows of `from` as they are. It runs where nobody writes meanwhile.
pub(super) fn copy(from: &dyn Store, dir: &Path, options: &Options) -> Result<u64, Error> {
    let mut to = fresh(dir, options)?;
    let mut span = Span::all();
    let mut count = 0;
    loop {
        let page = from.scan(&span, ROWS)?;
        let Some((last, _)) = page.last() else { break };
        span = span.after(last);
        count += page.len() as u64;
        put_rows(&mut to, page)?;
    }
    to.sync()?;
    Ok(count)
}

fn put_rows(to: &mut dyn Store, rows: Vec<Row>) -> Result<(), Error> {
    let ops: Vec<Op> = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
    for batch in ops.chunks(BATCH) {
        to.write(batch)?;
    }
    to.sync()
}

/// [`salvage`] between two stores.
pub(super) fn rescue(old: &mut dyn Store, new: &mut dyn Store) -> Result<Salvaged, Error> {
    let mut salvaged = Salvaged::default();
    let mut span = Span::all();
    loop {
        let page = match old.scan(&span, ROWS) {
            Ok(page) => page,
            Err(_) => match next_readable(old, &span) {
                Some(Step::Row(row)) => vec![*row],
                Some(Step::Gap(from)) => {
                    salvaged.gaps += 1;
                    span.from = from;
                    continue;
                }
                None => {
                    salvaged.gaps += 1;
                    break;
                }
            },
        };
        let Some((last, _)) = page.last() else { break };
        span = span.after(last);
        let mut rows = Vec::new();
        for (key, first) in &page {
            rows.extend(primary(old, key, first, &mut salvaged));
        }
        put_rows(new, rows)?;
    }
    index_anew(new, &mut salvaged)?;
    // A journal whose own key was lost gets a new one: fingerprints made with the old one lead
    // nowhere, which a settlement mends.
    Ok(salvaged)
}

enum Step {
    Row(Box<Row>),
    Gap(Vec<u8>),
}

/// Behind `span`'s beginning, the engine cannot read a page of rows: the next single row, or else
/// the nearest place behind it from which it can read again.
fn next_readable(store: &mut dyn Store, span: &Span) -> Option<Step> {
    if let Ok(mut rows) = store.scan(span, 1) {
        return rows.pop().map(|row| Step::Row(Box::new(row)));
    }
    for cut in (0..=span.from.len()).rev() {
        let from = after_prefix(&span.from[..cut])?;
        // Some engines refuse everything after one error.
        if store.reopen().is_err() {
            return None;
        }
        let rest = Span { from: from.clone(), to: None };
        if store.scan(&rest, 1).is_ok() {
            return Some(Step::Gap(from));
        }
    }
    None
}

/// A value's rows where the value can be read and is not derived from others.
fn primary(store: &dyn Store, key: &[u8], first: &[u8], salvaged: &mut Salvaged) -> Vec<Row> {
    let Some(kind) = key.first().and_then(|byte| Kind::of(*byte)) else {
        salvaged.lost.problem(key, "no kind of row has this byte");
        return Vec::new();
    };
    let txn = Txn::new(store);
    let derived = match kind {
        Kind::ByRecord | Kind::ByMapping | Kind::ByFingerprint | Kind::Queue => true,
        Kind::HandoffRecord | Kind::HandoffDue => true,
        // Pieces come over with the values that they belong to.
        Kind::Piece => true,
        Kind::Counter => {
            let mut parts = Parts::of(key);
            parts.text().and_then(|_| parts.text()).is_none_or(check::is_derived)
        }
        _ => false,
    };
    if derived {
        return Vec::new();
    }
    match check::readable(&txn, kind, key, first).and_then(|()| txn.rows_of(key, first)) {
        Ok(rows) => {
            *salvaged.kept.entry(kind.name()).or_insert(0) += 1;
            rows
        }
        Err(Error::Unreadable { problem, .. }) => {
            salvaged.lost.problem(key, problem);
            Vec::new()
        }
        Err(other) => {
            salvaged.lost.problem(key, other.to_string());
            Vec::new()
        }
    }
}

/// What the second pass over the rescued rows remembers: as little as goes.
#[derive(Default)]
struct Anew {
    counters: BTreeMap<(String, &'static str), i64>,
    highest: BTreeMap<&'static str, u64>,
}

impl Anew {
    fn count(&mut self, mapping: &str, counter: &'static str) {
        *self.counters.entry((mapping.to_owned(), counter)).or_insert(0) += 1;
    }

    fn saw(&mut self, sequence: &'static str, number: u64) {
        let highest = self.highest.entry(sequence).or_insert(0);
        *highest = number.max(*highest);
    }
}

/// Builds the indices and counters of rescued rows, ends links that claim a record twice, and
/// drops what belongs to links that are lost.
fn index_anew(store: &mut dyn Store, salvaged: &mut Salvaged) -> Result<(), Error> {
    let mut anew = Anew::default();
    for ended in [false, true] {
        each::<LinkEntry>(store, Kind::Link, |txn, _, link| {
            if link.state.is_live() == ended {
                return Ok(());
            }
            index_link(txn, link, salvaged, &mut anew)
        })?;
    }
    each::<PendingEntry>(store, Kind::Pending, |txn, key, entry| {
        anew.saw("pending", entry.version);
        anew.saw("order", entry.place_in_order());
        if !txn.still_has(&entry.subject)? {
            return txn.delete(&Key(key.to_vec()));
        }
        anew.count(&entry.mapping, entry.lane.counter());
        txn.put(&entry.queue_key(), &entry.subject)
    })?;
    each::<ConflictEntry>(store, Kind::Conflict, |txn, key, entry| {
        if txn.link(entry.link)?.is_none() {
            return txn.delete(&Key(key.to_vec()));
        }
        anew.count(&entry.mapping, questions::CONFLICTS);
        Ok(())
    })?;
    each::<super::HistoryLine>(store, Kind::History, |txn, key, line| {
        anew.saw("history", line.seq);
        match txn.link(line.link)? {
            None => txn.delete(&Key(key.to_vec())),
            Some(_) => Ok(()),
        }
    })?;
    each::<HandoffEntry>(store, Kind::Handoff, |txn, _, entry| {
        // It may hold the number of a link that is yet to be made.
        anew.saw("link", entry.handoff.id.link.0);
        anew.count(&entry.handoff.mapping, handoffs::counter(&entry.handoff));
        txn.index_handoff(&entry)
    })?;
    each::<MatchEntry>(store, Kind::Match, |_, _, entry| {
        anew.count(&entry.mapping, questions::MATCHES);
        Ok(())
    })?;
    each::<RejectEntry>(store, Kind::Reject, |txn, key, entry| {
        if !txn.still_has(&entry.subject)? {
            return txn.delete(&Key(key.to_vec()));
        }
        anew.count(&entry.mapping, questions::REJECTS);
        Ok(())
    })?;
    each::<Intent>(store, Kind::Intent, |txn, key, intent| {
        if txn.still_has(&intent.subject)? { Ok(()) } else { txn.delete(&Key(key.to_vec())) }
    })?;
    let holds = Txn::new(store).holds()?;
    holds.iter().for_each(|hold| anew.saw("hold", hold.id));
    finish(store, anew)
}

fn index_link(
    txn: &mut Txn<'_>,
    mut link: LinkEntry,
    salvaged: &mut Salvaged,
    anew: &mut Anew,
) -> Result<(), Error> {
    anew.saw("link", link.id.0);
    let mut answers = link.id;
    if let LinkState::Retired { into } = link.state
        && txn.link(into)?.is_some_and(|heir| heir.mapping == link.mapping)
    {
        answers = into;
    }
    let present: BTreeSet<_> =
        link.records.iter().filter_map(|(_, record)| record.clone()).collect();
    let mut free = BTreeSet::new();
    for record in link.all_records() {
        let key = by_record_key(&link.mapping, &record);
        if txn.get::<LinkId>(&key)?.is_none() {
            free.insert(record);
        }
    }
    if link.state.is_live() && !present.is_subset(&free) {
        // Both cannot be right, and which is cannot be known here: the records find their link
        // again by the id fields.
        salvaged.doubles.push(link.id);
        return txn.delete(&super::links::link_key(link.id));
    }
    for record in &free {
        txn.put(&by_record_key(&link.mapping, record), &answers)?;
    }
    if answers != link.id
        && let Some(mut heir) = txn.link(answers)?
        && free.iter().any(|record| !heir.all_records().contains(record))
    {
        heir.aliases.extend(free.iter().cloned());
        txn.put(&super::links::link_key(answers), &heir)?;
    }
    link.aliases.retain(|alias| free.contains(alias) || !link.state.is_live());
    txn.put(&super::links::link_key(link.id), &link)?;
    txn.put(&by_mapping_key(&link.mapping, link.id), &())?;
    if is_indexed(&link) {
        for print in &link.fingerprints {
            txn.put(&by_fingerprint_key(&link.mapping, print, link.id), &())?;
        }
    }
    anew.count(&link.mapping, link.state.counter());
    Ok(())
}

/// Sequences go on behind what was seen, counters say what was counted.
fn finish(store: &mut dyn Store, anew: Anew) -> Result<(), Error> {
    let mut txn = Txn::new(store);
    for (sequence, highest) in anew.highest {
        let name = format!("next.{sequence}");
        let next: u64 = txn.fact(&name)?.unwrap_or(1);
        // Numbers that were given and whose rows are lost must not be given again.
        let margin = if next > highest { 0 } else { 100_000 };
        txn.set_fact(&name, &next.max(highest + 1 + margin))?;
    }
    for ((mapping, counter), count) in anew.counters {
        txn.put(&counter_key(&mapping, counter), &count)?;
    }
    let batch = txn.into_batch();
    store.write(&batch)?;
    store.sync()
}

/// Carries `run` out for each value of a kind, page by page, and writes what it staged.
fn each<T: serde::de::DeserializeOwned + Serialize>(
    store: &mut dyn Store,
    kind: Kind,
    mut run: impl FnMut(&mut Txn<'_>, &[u8], T) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut span = Span::prefix(&Key::new(kind).0);
    loop {
        let mut txn = Txn::new(store);
        let page = txn.list::<T>(&span, BATCH)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        span = span.after(last);
        for (key, value) in page {
            run(&mut txn, &key, value)?;
        }
        let batch = txn.into_batch();
        store.write(&batch)?;
        store.sync()?;
    }
}

/// Checks a whole store that nobody writes to.
pub(super) fn check_all(store: &dyn Store) -> Result<Report, Error> {
    let txn = Txn::new(store);
    let mut report = Report::default();
    let mut after = None;
    while let Some(last) = check::check_page(&txn, after.as_deref(), &mut report)? {
        after = Some(last);
    }
    check::check_counters(&txn, &mut report)?;
    Ok(report)
}

/// Checks the journal in a directory that no process has open: every value's checksum and version,
/// and whether every index leads both ways.
///
/// # Errors
/// As [`Journal::open`](super::Journal::open).
pub fn check(dir: &Path, options: &Options) -> Result<Report, Error> {
    if !dir.join("LOCK").exists() {
        return Err(Error::Absent { what: format!("journal in {}", dir.display()) });
    }
    let store = SledStore::open(dir, options)?;
    // A journal of another format is not to be judged by this one's rules.
    let core = Core::start(Box::new(store), &[0; 32])?;
    check_all(core.store())
}
