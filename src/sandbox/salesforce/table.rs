//! One object's rows, with the indexes that keep reads from scanning them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::id::Id;
use super::schema::Object;

/// One record's values. Rows are shared, never changed in place: a cursor keeps what it saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The 18-character id.
    pub id: Id,
    /// The API name of its object.
    pub object: Arc<str>,
    /// The values by API name; an empty field has no entry.
    pub fields: BTreeMap<Arc<str>, Value>,
    /// `SystemModstamp` in seconds.
    pub modstamp: i64,
    /// When it went into the recycle bin, in seconds.
    pub deleted_at: Option<i64>,
    /// The parent whose deletion took it along.
    pub deleted_with: Option<Id>,
}

impl Record {
    /// The value of a field by its exact API name; null where it is empty.
    #[must_use]
    pub fn get(&self, field: &str) -> &Value {
        const NULL: &Value = &Value::Null;
        self.fields.get(field).unwrap_or(NULL)
    }

    /// The text of a field, if it holds one.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field).as_str()
    }

    /// Whether a checkbox is ticked.
    #[must_use]
    pub fn flag(&self, field: &str) -> bool {
        self.get(field).as_bool().unwrap_or(false)
    }

    /// Sets or, with null, empties a field.
    pub(super) fn set(&mut self, field: &str, value: Value) {
        if value.is_null() {
            self.fields.remove(field);
        } else if let Some(slot) = self.fields.get_mut(field) {
            *slot = value;
        } else {
            self.fields.insert(field.into(), value);
        }
    }

    /// The values as a JSON object, in alphabetical order.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.fields.iter().map(|(k, v)| (k.to_string(), v.clone())).collect()
    }
}

/// A row whose newest version is not committed yet.
#[derive(Debug, Clone)]
pub(super) struct Hidden {
    /// Until when, in milliseconds.
    pub until: i64,
    /// What others see until then.
    pub before: Option<Arc<Record>>,
}

/// The rows of one object.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: BTreeMap<Id, Arc<Record>>,
    by_stamp: BTreeSet<(i64, Id)>,
    lookups: BTreeMap<Arc<str>, BTreeMap<String, BTreeSet<Id>>>,
    deleted: BTreeSet<(i64, Id)>,
    /// The rows with an uncommitted newest version.
    pub hidden: BTreeMap<Id, Hidden>,
}

/// How an indexed value is filed: the platform compares without case.
pub(super) fn lookup_key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Number(number) => number.as_f64().map(|n| n.to_string()),
        _ => None,
    }
}

impl Table {
    /// The newest version of a row, committed or not, deleted or not.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<Record>> {
        self.rows.get(id)
    }

    /// All newest versions, in the order of ids.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.rows.values()
    }

    /// The rows from `from` on, in the order of ids.
    pub(super) fn rows_from(&self, from: &str) -> impl Iterator<Item = &Arc<Record>> {
        self.rows
            .range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .map(|(_, row)| row)
    }

    /// The rows stamped between two seconds, both included, in the order of stamp and id.
    pub(super) fn stamped(&self, from: i64, to: i64) -> impl Iterator<Item = &Arc<Record>> {
        let low: (i64, Id) = (from, Arc::from(""));
        let high: (i64, Id) = (to.saturating_add(1), Arc::from(""));
        let range = if low <= high { low..high } else { high.clone()..high };
        self.by_stamp.range(range).filter_map(|(_, id)| self.rows.get(id))
    }

    /// The ids of the rows that hold a value in an indexed field.
    pub(super) fn holding(&self, field: &str, key: &str) -> impl Iterator<Item = &Id> {
        self.lookups.get(field).and_then(|index| index.get(key)).into_iter().flatten()
    }

    /// Puts a row in, or replaces it. The one place that keeps the indexes right.
    pub(super) fn put(&mut self, object: &Object, row: Arc<Record>) -> Option<Arc<Record>> {
        let old = self.remove(object, &row.id);
        self.by_stamp.insert((row.modstamp, row.id.clone()));
        if let Some(at) = row.deleted_at {
            self.deleted.insert((at, row.id.clone()));
        }
        for field in object.fields.iter().filter(|f| f.is_indexed()) {
            if let Some(key) = lookup_key(row.get(&field.name)) {
                let index = self.lookups.entry(field.name.clone()).or_default();
                index.entry(key).or_default().insert(row.id.clone());
            }
        }
        self.rows.insert(row.id.clone(), row);
        old
    }

    /// Takes a row out for good.
    pub(super) fn remove(&mut self, object: &Object, id: &str) -> Option<Arc<Record>> {
        let old = self.rows.remove(id)?;
        self.by_stamp.remove(&(old.modstamp, old.id.clone()));
        if let Some(at) = old.deleted_at {
            self.deleted.remove(&(at, old.id.clone()));
        }
        for field in object.fields.iter().filter(|f| f.is_indexed()) {
            let Some(key) = lookup_key(old.get(&field.name)) else { continue };
            let Some(index) = self.lookups.get_mut(&field.name) else { continue };
            if let Some(ids) = index.get_mut(&key) {
                ids.remove(id);
                if ids.is_empty() {
                    index.remove(&key);
                }
            }
        }
        Some(old)
    }

    /// The deleted row that is longest in the recycle bin, and since when.
    pub(super) fn oldest_deleted(&self) -> Option<(i64, Id)> {
        self.deleted.first().cloned()
    }

    /// The rows deleted between two seconds, the first included and the last not.
    pub(super) fn deleted_between(&self, from: i64, to: i64) -> impl Iterator<Item = &(i64, Id)> {
        let low: (i64, Id) = (from, Arc::from(""));
        let high: (i64, Id) = (to.max(from), Arc::from(""));
        self.deleted.range(low..high)
    }

    /// Files every row anew after a field was added or taken away.
    pub(super) fn reindex(&mut self, object: &Object) {
        self.lookups.clear();
        for row in self.rows.values() {
            for field in object.fields.iter().filter(|f| f.is_indexed()) {
                if let Some(key) = lookup_key(row.get(&field.name)) {
                    let index = self.lookups.entry(field.name.clone()).or_default();
                    index.entry(key).or_default().insert(row.id.clone());
                }
            }
        }
    }
}
