//! What changed, by whom and through which door: the material that change events are made of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::id::Id;

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was made.
    Create,
    /// Fields changed.
    Update,
    /// It went into the recycle bin.
    Delete,
    /// It came back out of it.
    Undelete,
}

/// The door through which a write came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The REST API, with the version in tenths of the caller's path (`660` for v66.0).
    Rest(u32),
    /// A bulk job.
    Bulk,
    /// A person at a screen.
    Ui,
}

/// One change of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Rises by one with every change; never used twice, also not after a rollback.
    pub number: u64,
    /// The same for all changes of one transaction.
    pub transaction: u64,
    /// The object's API name.
    pub object: Arc<str>,
    /// The record.
    pub id: Id,
    /// What happened.
    pub kind: ChangeKind,
    /// When it was committed, and so may be told, in milliseconds since the epoch.
    pub committed_at: i64,
    /// Who did it.
    pub user: Id,
    /// Through which door.
    pub channel: Channel,
    /// The `client` of `Sforce-Call-Options`.
    pub client: Option<String>,
    /// The new values of the fields that changed, null where one was emptied. All set fields for a
    /// create and an undelete, none for a delete.
    pub fields: BTreeMap<Arc<str>, Value>,
    /// What long texts that an update changed were before.
    pub old_texts: BTreeMap<Arc<str>, Arc<str>>,
}

/// The newest changes, up to a bound.
#[derive(Debug)]
pub struct ChangeLog {
    entries: VecDeque<Change>,
    capacity: usize,
    next: u64,
    forgotten: u64,
}

impl ChangeLog {
    /// A log that keeps this many changes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, next: 1, forgotten: 0 }
    }

    /// The kept changes whose number is above `number`, oldest first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = &Change> {
        let from = self.entries.partition_point(|c| c.number <= number);
        self.entries.range(from..)
    }

    /// The number of the oldest kept change; what is below it is forgotten.
    #[must_use]
    pub fn oldest(&self) -> Option<u64> {
        self.entries.front().map(|c| c.number)
    }

    /// The number of the newest change; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The number of the newest change that is forgotten; 0 before the first.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn push(&mut self, change: impl FnOnce(u64) -> Change) {
        if self.entries.len() >= self.capacity
            && let Some(oldest) = self.entries.pop_front()
        {
            self.forgotten = oldest.number;
        }
        self.entries.push_back(change(self.next));
        self.next += 1;
    }

    /// Forgets what came after `number`: its transaction was rolled back.
    pub(super) fn roll_back(&mut self, number: u64) {
        while self.entries.back().is_some_and(|c| c.number > number) {
            self.entries.pop_back();
        }
    }
}
