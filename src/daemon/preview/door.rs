//! The door between a preview and a platform: reads pass, writes are remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Cost, Writes};
use crate::daemon::engine::lock;
use crate::platform::transport::counted;
use crate::platform::{
    Action, Ask, Budget, CallKind, Cursor, Error, FieldKind, Identity, ObjectSchema, Outcome,
    Owner, Platform, Polled, Start, Startable, Started, Work, Write,
};
use crate::record::{Raw, Record, RecordRef, Side};

/// How an id looks that a record would get.
pub(super) const NEW: &str = "new-";

/// Lets reads pass, says of every write that it was done, and shows from then on what it would have
/// done.
pub(super) struct Door {
    inner: Arc<dyn Platform>,
    reads: AtomicU64,
    written: Mutex<Written>,
}

/// What would have been written, by object and id.
#[derive(Default)]
struct Written {
    count: Writes,
    calls: u64,
    created: BTreeMap<(String, String), BTreeMap<String, Raw>>,
    changed: BTreeMap<(String, String), BTreeMap<String, Raw>>,
    deleted: BTreeSet<(String, String)>,
}

impl Door {
    pub(super) fn new(inner: Arc<dyn Platform>) -> Self {
        Self { inner, reads: AtomicU64::new(0), written: Mutex::default() }
    }

    /// Counts from now on.
    pub(super) fn begin(&self) {
        self.reads.store(0, Ordering::Relaxed);
    }

    /// What would have been written.
    pub(super) fn writes(&self) -> Writes {
        lock(&self.written).count
    }

    /// What it would have cost.
    pub(super) fn cost(&self) -> Cost {
        let budget = self.inner.budget();
        let left = budget.limit.zip(budget.used).map(|(limit, used)| limit.saturating_sub(used));
        let reads = self.reads.load(Ordering::Relaxed);
        Cost { reads, writes: lock(&self.written).calls, left }
    }

    /// Adds the calls of a read to the count.
    async fn seen<T>(&self, read: impl Future<Output = T>) -> T {
        let (answer, calls) = counted(read).await;
        self.reads.fetch_add(calls, Ordering::Relaxed);
        answer
    }

    /// Records that would have been created, as they would read.
    async fn created(&self, ask: &Ask, ids: &[String]) -> BTreeMap<String, Record> {
        let mut found = BTreeMap::new();
        if ids.is_empty() {
            return found;
        }
        // Salesforce knows no blank checkbox.
        let schema = match self.side() {
            Side::Salesforce => self.inner.schema(&ask.object).await.ok(),
            Side::HubSpot => None,
        };
        let blank = |name: &str| {
            let field = schema.as_ref().and_then(|schema| schema.fields.get(name));
            match field.map(|field| &field.kind) {
                Some(FieldKind::Bool) => Raw::Bool(false),
                _ => Raw::Null,
            }
        };
        let written = lock(&self.written);
        for id in ids {
            let Some(fields) = written.created.get(&(ask.object.clone(), id.clone())) else {
                continue;
            };
            let (object, id) = (ask.object.clone(), id.clone());
            let mut record = Record::new(RecordRef { side: self.side(), object, id: id.clone() });
            record.fields = ask
                .fields
                .iter()
                .map(|name| {
                    (name.clone(), fields.get(name).cloned().unwrap_or_else(|| blank(name)))
                })
                .collect();
            found.insert(id, record);
        }
        found
    }

    /// The record as it would read after what would have been written.
    fn after(&self, ask: &Ask, mut record: Record) -> Record {
        let written = lock(&self.written);
        let place = (record.key.object.clone(), record.key.id.clone());
        record.deleted |= written.deleted.contains(&place);
        if let Some(fields) = written.changed.get(&place) {
            let asked = fields.iter().filter(|(name, _)| ask.fields.contains(*name));
            record.fields.extend(asked.map(|(name, value)| (name.clone(), value.clone())));
        }
        record
    }
}

impl Written {
    fn take(&mut self, write: &Write) -> Outcome {
        let at = |id: &str| (write.object.clone(), id.to_owned());
        let (id, created) = match &write.action {
            Action::Update { id } => {
                self.count.updated += 1;
                self.changed.entry(at(id)).or_default().extend(write.fields.clone());
                (id.clone(), false)
            }
            Action::Delete { id } => {
                self.count.deleted += 1;
                self.deleted.insert(at(id));
                (id.clone(), false)
            }
            Action::Upsert { .. } | Action::Create => {
                self.count.created += 1;
                let id = format!("{NEW}{}", self.count.created);
                let mut fields = write.fields.clone();
                if let Action::Upsert { key_field, key } = &write.action {
                    fields.insert(key_field.clone(), Raw::text(key.as_str()));
                }
                self.created.insert(at(&id), fields);
                (id, true)
            }
        };
        Outcome::Done { id, created, echoed: write.fields.clone() }
    }
}

#[async_trait]
impl Platform for Door {
    fn side(&self) -> Side {
        self.inner.side()
    }

    async fn identity(&self) -> Result<Identity, Error> {
        self.seen(self.inner.identity()).await
    }

    fn budget(&self) -> Budget {
        self.inner.budget()
    }

    fn calls(&self) -> BTreeMap<CallKind, u64> {
        self.inner.calls()
    }

    fn cost(&self, work: Work<'_>) -> u64 {
        self.inner.cost(work)
    }

    async fn schema(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        self.seen(self.inner.schema(object)).await
    }

    fn forget_schema(&self, object: &str) {
        self.inner.forget_schema(object);
    }

    async fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.seen(self.inner.owners()).await
    }

    async fn read(&self, ask: &Ask, ids: &[String]) -> Result<Vec<Option<Record>>, Error> {
        let (new, there): (Vec<String>, Vec<String>) =
            ids.iter().cloned().partition(|id| id.starts_with(NEW));
        let read = match there.is_empty() {
            true => Vec::new(),
            false => self.seen(self.inner.read(ask, &there)).await?,
        };
        let calls = |records| self.inner.cost(Work::Read { ask, records });
        let unmade = calls(ids.len()).saturating_sub(calls(there.len()));
        self.reads.fetch_add(unmade, Ordering::Relaxed);
        let mut created = self.created(ask, &new).await;
        let mut read = read.into_iter();
        Ok(ids
            .iter()
            .map(|id| match id.starts_with(NEW) {
                true => created.remove(id),
                false => read.next().flatten(),
            })
            .map(|record| record.map(|record| self.after(ask, record)))
            .collect())
    }

    async fn find(&self, ask: &Ask, field: &str, values: &[String]) -> Result<Vec<Record>, Error> {
        let found = self.seen(self.inner.find(ask, field, values)).await?;
        let found = found.into_iter().map(|record| self.after(ask, record));
        Ok(found.filter(|record| !record.deleted).collect())
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let calls = self.inner.cost(Work::Write(writes));
        let mut written = lock(&self.written);
        written.calls += calls;
        writes.iter().map(|write| written.take(write)).collect()
    }

    async fn start(&self, start: &Start) -> Outcome {
        lock(&self.written).calls += 1;
        Outcome::Done { id: start.name.clone(), created: true, echoed: BTreeMap::new() }
    }

    async fn started(&self, start: &Start, since: Timestamp) -> Result<Started, Error> {
        self.seen(self.inner.started(start, since)).await
    }

    async fn startable(&self, start: &Start) -> Result<Option<Startable>, Error> {
        self.seen(self.inner.startable(start)).await
    }

    async fn changed(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.seen(self.inner.changed(ask, cursor, since)).await
    }

    async fn deleted(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.seen(self.inner.deleted(object, cursor, since)).await
    }

    async fn list(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error> {
        self.seen(self.inner.list(ask, cursor)).await
    }

    async fn server_time(&self) -> Result<Timestamp, Error> {
        self.seen(self.inner.server_time()).await
    }

    async fn count_by(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        self.seen(self.inner.count_by(object, field, values)).await
    }
}
