//! Journals, records and changes for the tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;

use crate::journal::{
    Disk, Heard, HistoryLine, Journal, Lane, LinkEntry, MemoryStore, Options, RejectEntry, Subject,
};
use crate::reconcile::OpenConflict;
use crate::record::{Change, LinkId, Number, PerSide, RecordRef, Side, Source, Value};

/// A directory of its own, removed with the value.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("lockstep-journal-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn options() -> Options {
    Options { cache_bytes: 8 << 20, ..Options::default() }
}

/// A journal in memory that runs on its caller.
pub fn inline(disk: &Disk) -> Journal {
    Journal::inline(MemoryStore::open(disk), [7; 32]).unwrap()
}

/// Runs the test on every kind of journal.
pub fn on_each<F: Future<Output = ()>>(test: impl Fn(Journal) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(test(inline(&Disk::new())));
    let threaded = Journal::on_thread(Box::new(MemoryStore::open(&Disk::new()))).unwrap();
    runtime.block_on(test(threaded));
    let dir = Dir::new();
    let journal = Journal::open(dir.path(), &options()).unwrap();
    runtime.block_on(async {
        test(journal.clone()).await;
        journal.close().await;
    });
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn hs(id: &str) -> RecordRef {
    RecordRef::hubspot("contacts", id)
}

pub fn sf(id: &str) -> RecordRef {
    RecordRef::salesforce("Lead", id)
}

pub fn link(id: u64, hubspot: &str, salesforce: &str) -> LinkEntry {
    let records = PerSide { hubspot: Some(hs(hubspot)), salesforce: Some(sf(salesforce)) };
    LinkEntry::new(LinkId(id), "people", records, at(0))
}

pub fn heard(record: RecordRef, lane: Lane, second: i64) -> Heard {
    Heard {
        mapping: "people".into(),
        lane,
        change: Change::touched(record, Source::Poll),
        at: at(second),
        not_before: None,
    }
}

pub fn line(link: u64, second: i64, field: &str, new: Value) -> HistoryLine {
    HistoryLine {
        seq: 0,
        link: LinkId(link),
        at: at(second),
        field: field.into(),
        side: Some(Side::Salesforce),
        old: None,
        new: Some(new),
        rule: "one side changed".into(),
        reason: "HubSpot changed it".into(),
        lost: [].into(),
        cause: Some(Source::Poll),
    }
}

pub fn conflict() -> OpenConflict {
    OpenConflict {
        base: None,
        values: PerSide::from_fn(|side| Value::Number(Number::from(side as i32))),
        stamps: PerSide::default(),
        since: at(1),
        reason: "no rule has an opinion".into(),
        resolution: None,
    }
}

pub fn reject(subject: Subject, field: &str) -> RejectEntry {
    RejectEntry {
        subject,
        mapping: "people".into(),
        side: Side::Salesforce,
        field: field.into(),
        code: "INVALID_EMAIL_ADDRESS".into(),
        reason: "no address".into(),
        hint: None,
        attempted: [].into(),
        since: at(1),
        last: at(1),
        tries: 1,
        retry_requested: false,
    }
}
