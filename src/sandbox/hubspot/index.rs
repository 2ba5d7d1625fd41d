//! The search index: a copy of the records that lags behind them.
//!
//! Every write leaves a snapshot that becomes visible after a while. With a lag that differs from
//! write to write, snapshots become visible out of order, as on the real platform; an older one
//! never replaces a newer one of the same record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::record::Record;

/// What search sees of one kind of object.
#[derive(Debug, Default)]
pub struct Index {
    visible: BTreeMap<u64, Arc<Record>>,
    by_modified: BTreeSet<(i64, u64)>,
    by_value: BTreeMap<Arc<str>, BTreeMap<String, BTreeSet<u64>>>,
    pending: BTreeMap<(Timestamp, u64), Arc<Record>>,
    seen: BTreeMap<u64, u64>,
    number: u64,
}

impl Index {
    /// Keeps a look-up by value for a property. Only records that become visible later are in it,
    /// so it is asked for when the property is defined.
    pub fn look_up_by(&mut self, name: &Arc<str>) {
        let ids = self.visible.iter().filter_map(|(id, record)| {
            record.stored(name).map(|value| (value.to_lowercase(), *id))
        });
        let mut values: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (value, id) in ids {
            values.entry(value).or_default().insert(id);
        }
        self.by_value.insert(Arc::clone(name), values);
    }

    /// Takes a snapshot that search sees from `visible_from` on.
    pub fn push(&mut self, record: Arc<Record>, visible_from: Timestamp, now: Timestamp) {
        self.catch_up(now);
        self.number += 1;
        self.pending.insert((visible_from, self.number), record);
    }

    /// Forgets a record at once, as privacy asks for.
    pub fn purge(&mut self, id: u64) {
        self.pending.retain(|_, record| record.id != id);
        self.remove(id);
        self.seen.remove(&id);
    }

    /// Makes everything visible that is due.
    pub fn catch_up(&mut self, now: Timestamp) {
        while let Some(entry) = self.pending.first_entry()
            && entry.key().0 <= now
        {
            let record = entry.remove();
            self.show(record);
        }
    }

    /// The records that search sees, by id.
    #[must_use]
    pub fn visible(&self) -> &BTreeMap<u64, Arc<Record>> {
        &self.visible
    }

    /// The records modified in a span of milliseconds, both ends included.
    pub fn modified_between(&self, from: i64, to: i64) -> impl Iterator<Item = &Arc<Record>> {
        let ids = (from <= to).then(|| self.by_modified.range((from, 0)..=(to, u64::MAX)));
        ids.into_iter().flatten().filter_map(|(_, id)| self.visible.get(id))
    }

    /// The records with a value (in lower case) of a property that is looked up by.
    #[must_use]
    pub fn with_value(&self, name: &str, value: &str) -> Option<Vec<&Arc<Record>>> {
        let values = self.by_value.get(name)?;
        let ids = values.get(value);
        Some(ids.into_iter().flatten().filter_map(|id| self.visible.get(id)).collect())
    }

    fn show(&mut self, record: Arc<Record>) {
        let seen = self.seen.entry(record.id).or_default();
        if *seen > record.revision {
            return;
        }
        *seen = record.revision;
        self.remove(record.id);
        if record.archived.is_some() {
            return;
        }
        self.by_modified.insert((record.updated.as_millisecond(), record.id));
        for (name, values) in &mut self.by_value {
            if let Some(value) = record.stored(name) {
                values.entry(value.to_lowercase()).or_default().insert(record.id);
            }
        }
        self.visible.insert(record.id, record);
    }

    fn remove(&mut self, id: u64) {
        let Some(old) = self.visible.remove(&id) else { return };
        self.by_modified.remove(&(old.updated.as_millisecond(), id));
        for (name, values) in &mut self.by_value {
            let Some(value) = old.stored(name).map(str::to_lowercase) else { continue };
            if let Some(ids) = values.get_mut(&value) {
                ids.remove(&id);
                if ids.is_empty() {
                    values.remove(&value);
                }
            }
        }
    }
}
