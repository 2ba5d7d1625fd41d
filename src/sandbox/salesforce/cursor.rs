//! What is left of a query between its pages.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::soql::Bound;
use super::table::Record;

/// A query's rows as they were when it ran.
#[derive(Debug)]
pub(super) struct Cursor {
    pub bound: Bound,
    pub rows: Vec<Arc<Record>>,
    pub page: usize,
    opened: Timestamp,
}

/// The open cursors.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: BTreeMap<String, Cursor>,
}

/// How long the platform keeps a cursor.
const LIFETIME: SignedDuration = SignedDuration::from_hours(48);
/// How many are kept at once; the oldest make room.
const KEPT: usize = 500;

impl Cursors {
    pub(super) fn open(
        &mut self,
        locator: String,
        now: Timestamp,
        bound: Bound,
        rows: Vec<Arc<Record>>,
        page: usize,
    ) {
        self.open.retain(|_, cursor| now.duration_since(cursor.opened) < LIFETIME);
        if self.open.len() >= KEPT {
            // Locators rise with time, so the first is the oldest.
            self.open.pop_first();
        }
        self.open.insert(locator, Cursor { bound, rows, page, opened: now });
    }

    pub(super) fn get(&self, locator: &str, now: Timestamp) -> Option<&Cursor> {
        self.open.get(locator).filter(|c| now.duration_since(c.opened) < LIFETIME)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    pub(super) fn close(&mut self, locator: &str) {
        self.open.remove(locator);
    }
}
