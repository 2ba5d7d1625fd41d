//! What settling would do now, without doing it.
//!
//! A preview is the real work on a copy: the engine runs over a copy of the journal that is thrown
//! away, and over both platforms as they are, through a door that lets reads pass and only counts
//! writes. So it cannot differ from what the service would do.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::control::{Refused, Request};
use super::query::{Conflicts, Desk, HistoryView, LinkView, Refs, RejectView};
use super::{Clock, Engine, Options, Trouble};
use crate::journal::{Journal, LINK_ITSELF};
use crate::mapping::Mappings;
use crate::platform::{
    Action, Ask, Budget, CallKind, Cursor, Error, Identity, ObjectSchema, Outcome, Owner, Platform,
    Polled, Write,
};
use crate::record::{LinkId, PerSide, Record, Side};

/// A page of the journal.
const PAGE: usize = 500;

/// What settling would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Records that were compared.
    pub compared: usize,
    /// What would be written, by side.
    pub writes: PerSide<Writes>,
    /// How many fields would get another value, by side and mapping and field: `people.phone`.
    pub fields: BTreeMap<String, PerSide<u64>>,
    /// The changes, link by link, at most as many as were asked for.
    pub changes: Vec<PlannedChange>,
    /// How many changes there are in all.
    pub changes_in_all: usize,
    /// What would wait for a person to choose.
    pub conflicts: Conflicts,
    /// What would be refused for a value that the mapping cannot take.
    pub rejects: Vec<RejectView>,
    /// Links that a safety limit would stop.
    pub held: usize,
}

/// Writes to one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writes {
    /// Records that would be changed.
    pub updated: u64,
    /// Records that would be created, or changed where one has the key already.
    pub created: u64,
    /// Records that would be deleted.
    pub deleted: u64,
}

/// One field of one link that would get another value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The mapping's name.
    pub mapping: String,
    /// The link's records; one that would be created has no id yet.
    #[serde(flatten)]
    pub records: Refs,
    /// The change, as history would have it.
    pub change: HistoryView,
}

/// Lets reads pass, and says of every write that it was done.
struct Shut {
    inner: Arc<dyn Platform>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    updated: AtomicU64,
    created: AtomicU64,
    deleted: AtomicU64,
}

/// How an id looks that a record would get.
const NEW: &str = "new-";

#[async_trait]
impl Platform for Shut {
    fn side(&self) -> Side {
        self.inner.side()
    }

    async fn identity(&self) -> Result<Identity, Error> {
        self.inner.identity().await
    }

    fn budget(&self) -> Budget {
        self.inner.budget()
    }

    fn calls(&self) -> BTreeMap<CallKind, u64> {
        self.inner.calls()
    }

    async fn schema(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        self.inner.schema(object).await
    }

    fn forget_schema(&self, object: &str) {
        self.inner.forget_schema(object);
    }

    async fn owners(&self) -> Result<Vec<Owner>, Error> {
        self.inner.owners().await
    }

    async fn read(&self, ask: &Ask, ids: &[String]) -> Result<Vec<Option<Record>>, Error> {
        self.inner.read(ask, ids).await
    }

    async fn find(&self, ask: &Ask, field: &str, values: &[String]) -> Result<Vec<Record>, Error> {
        self.inner.find(ask, field, values).await
    }

    async fn write(&self, writes: &[Write]) -> Vec<Outcome> {
        let done = |write: &Write| {
            let (count, id) = match &write.action {
                Action::Update { id } => (&self.counts.updated, id.clone()),
                Action::Delete { id } => (&self.counts.deleted, id.clone()),
                Action::Upsert { .. } | Action::Create => (&self.counts.created, String::new()),
            };
            let number = count.fetch_add(1, Ordering::Relaxed);
            let created = id.is_empty();
            let id = if created { format!("{NEW}{}", number + 1) } else { id };
            Outcome::Done { id, created, echoed: write.fields.clone() }
        };
        writes.iter().map(done).collect()
    }

    async fn changed(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.inner.changed(ask, cursor, since).await
    }

    async fn deleted(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        self.inner.deleted(object, cursor, since).await
    }

    async fn list(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error> {
        self.inner.list(ask, cursor).await
    }

    async fn server_time(&self) -> Result<Timestamp, Error> {
        self.inner.server_time().await
    }

    async fn count_by(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        self.inner.count_by(object, field, values).await
    }
}

/// A directory that goes with the value.
pub(super) struct Scratch(pub std::path::PathBuf);

impl Scratch {
    /// A name beside `dir` that nobody else has: the copy may be too large for the system's own
    /// temporary directory, and holds the same data as the journal.
    pub fn beside(dir: &Path) -> Self {
        let mut name = dir.as_os_str().to_owned();
        name.push(format!(".preview-{}", std::process::id()));
        let path = std::path::PathBuf::from(name);
        // One that a process of this number left behind when it was killed.
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "a preview's copy stays behind");
        }
    }
}

/// Asks both platforms, and says what settling would do now. `copy` is a journal that is thrown away
/// afterwards; it is written to.
///
/// # Errors
/// Where a platform or the copy cannot be used.
pub async fn preview(
    copy: &Journal,
    platforms: PerSide<Arc<dyn Platform>>,
    mappings: Mappings,
    clock: &Clock,
    options: Options,
    limit: usize,
) -> Result<Preview, Refused> {
    let PerSide { hubspot, salesforce } = platforms;
    let shut = |inner| Arc::new(Shut { inner, counts: Counts::default() });
    let shut = PerSide { hubspot: shut(hubspot), salesforce: shut(salesforce) };
    let through: PerSide<Arc<dyn Platform>> = PerSide {
        hubspot: Arc::<Shut>::clone(&shut.hubspot),
        salesforce: Arc::<Shut>::clone(&shut.salesforce),
    };
    let before = last_line(copy).await?;
    let engine = Engine::new(copy.clone(), through, mappings, clock.clone(), options, 0);
    engine.start().await?;
    engine.sweep().await?;
    engine.listen().await?;
    let settled = engine.settle_all(Duration::ZERO).await?;

    let mut preview = Preview { compared: settled.taken, held: settled.held, ..Preview::default() };
    for side in Side::BOTH {
        let counts = &shut.get(side).counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        *preview.writes.get_mut(side) = Writes {
            updated: count(&counts.updated),
            created: count(&counts.created),
            deleted: count(&counts.deleted),
        };
    }
    take_changes(&engine, before, limit, &mut preview).await?;
    let mappings = engine.mappings();
    let desk = Desk { journal: copy, mappings: &mappings, now: clock.now() };
    preview.conflicts =
        shape(desk.answer(&Request::Conflicts { mapping: None, limit }).await)?.unwrap_or_default();
    preview.rejects =
        shape(desk.answer(&Request::Rejects { mapping: None, limit }).await)?.unwrap_or_default();
    Ok(preview)
}

fn shape<T: serde::de::DeserializeOwned>(
    answer: Option<Result<serde_json::Value, Refused>>,
) -> Result<Option<T>, Refused> {
    answer.transpose().map(|answer| answer.and_then(|json| serde_json::from_value(json).ok()))
}

/// The number of the last line of history.
async fn last_line(journal: &Journal) -> Result<u64, Trouble> {
    let (mut after, mut last) = (None, 0);
    loop {
        let page = journal.all_history(after, PAGE).await?;
        let Some(line) = page.last() else { return Ok(last) };
        after = Some((line.link, line.seq));
        last = page.iter().map(|line| line.seq).fold(last, u64::max);
    }
}

/// Collects the lines of history that the preview made.
async fn take_changes(
    engine: &Engine,
    before: u64,
    limit: usize,
    preview: &mut Preview,
) -> Result<(), Trouble> {
    let mut after: Option<(LinkId, u64)> = None;
    let mut link: Option<(LinkId, String, Refs)> = None;
    loop {
        let page = engine.journal.all_history(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some((last.link, last.seq));
        for line in page.iter().filter(|line| line.seq > before) {
            let Some(side) = line.side.filter(|_| line.field != LINK_ITSELF) else { continue };
            if link.as_ref().is_none_or(|(id, ..)| *id != line.link) {
                let entry = engine.journal.link(line.link).await?;
                link = entry.map(|entry| {
                    let view = LinkView::new(&entry);
                    (line.link, view.mapping, fresh(view.records))
                });
            }
            let Some((_, mapping, records)) = &link else { continue };
            preview.changes_in_all += 1;
            let field = format!("{mapping}.{}", line.field);
            *preview.fields.entry(field).or_default().get_mut(side) += 1;
            if preview.changes.len() < limit {
                preview.changes.push(PlannedChange {
                    mapping: mapping.clone(),
                    records: records.clone(),
                    change: HistoryView::new(line),
                });
            }
        }
    }
}

/// A made-up id is none.
fn fresh(mut records: Refs) -> Refs {
    for record in [&mut records.hubspot, &mut records.salesforce] {
        if let Some(text) = record
            && let Some((object, _)) = text.split_once(&format!(" {NEW}"))
        {
            *text = format!("{object} (new)");
        }
    }
    records
}
