//! What settling would do now, without doing it.
//!
//! A preview is the real work on a copy: the engine runs over a copy of the journal that is thrown
//! away, and over both platforms as they are, through a door that lets reads pass and remembers
//! writes instead of sending them. So it does not differ from what the service would do, but for what
//! the platforms add of their own: default values, owners by assignment rules, refusals.

mod door;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use self::door::{Door, NEW};
use super::control::{Refused, Request};
use super::engine::lock;
use super::query::{Conflicts, Desk, HistoryView, LinkView, Refs, RejectView, plain};
use super::{Clock, Engine, Options, Trouble};
use crate::journal::{Journal, LINK_ITSELF};
use crate::mapping::Mappings;
use crate::platform::Platform;
use crate::reconcile::{Plan, Verdict, WriteAction};
use crate::record::{LinkId, PerSide, RecordRef, Side};

/// A page of the journal.
const PAGE: usize = 500;

/// What settling would do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// How often records were compared; those that would be created are compared again after that.
    pub compared: usize,
    /// What would be written, by side.
    pub writes: PerSide<Writes>,
    /// How many fields would get another value, by side and mapping and field: `people.phone`.
    pub fields: BTreeMap<String, PerSide<u64>>,
    /// The changes, link by link, at most as many as were asked for.
    pub changes: Vec<PlannedChange>,
    /// How many changes there are in all.
    pub changes_in_all: usize,
    /// The records that would be created, at most as many as were asked for.
    pub creations: Vec<PlannedRecord>,
    /// How many would be created in all.
    pub creations_in_all: usize,
    /// The records that would be deleted, at most as many as were asked for.
    pub deletions: Vec<PlannedRecord>,
    /// How many would be deleted in all.
    pub deletions_in_all: usize,
    /// What would wait for a person to choose.
    pub conflicts: Conflicts,
    /// What would be refused for a value that the mapping cannot take.
    pub rejects: Vec<RejectView>,
    /// Links that a safety limit would stop.
    pub held: usize,
    /// What carrying it out would cost, by side.
    pub calls: PerSide<Cost>,
}

/// What carrying a preview out would cost on one side, in calls.
///
/// It is counted by the batches of the real settlements, and bound to differ a little: refused, lost
/// and late writes add calls, and changes that come in one by one fill batches less. Tasks of handoffs
/// are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Calls to list, look up and read records: those that this preview made, and those for records
    /// that are not there yet.
    pub reads: u64,
    /// Calls to write.
    pub writes: u64,
    /// What the account has left of its day's calls, by whomever used, where the platform says.
    pub left: Option<u64>,
}

/// One record that would be created or deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedRecord {
    /// The mapping's name.
    pub mapping: String,
    /// The side on which it would be.
    pub side: Side,
    /// Both records; one that would be created has no id yet.
    #[serde(flatten)]
    pub records: Refs,
    /// What it would be created with, the id of the record across first. Nothing where it would be
    /// deleted.
    pub fields: Vec<PlannedField>,
}

/// One field of a record that would be created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedField {
    /// The field's canonical name; the side's own for the field that holds the id of the record
    /// across.
    pub field: String,
    /// Its value.
    pub new: Json,
    /// The rule that decided.
    pub rule: String,
    /// The reason in a sentence.
    pub reason: String,
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
    let doors = PerSide {
        hubspot: Arc::new(Door::new(hubspot)),
        salesforce: Arc::new(Door::new(salesforce)),
    };
    let through: PerSide<Arc<dyn Platform>> = PerSide {
        hubspot: Arc::<Door>::clone(&doors.hubspot),
        salesforce: Arc::<Door>::clone(&doors.salesforce),
    };
    let before = last_line(copy).await?;
    let seen = Arc::new(Mutex::new(Seen { limit, ..Seen::default() }));
    let witness = Arc::clone(&seen);
    let engine = Engine::new(copy.clone(), through, mappings, clock.clone(), options, 0)
        .witnessed(move |plan| lock(&witness).note(plan));
    engine.start().await?;
    // Signing in and what the accounts look like are no part of the cost.
    for (_, door) in doors.iter() {
        door.begin();
    }
    engine.sweep().await?;
    engine.listen().await?;
    let settled = engine.settle_all(Duration::ZERO).await?;

    let mut preview = Preview { compared: settled.taken, held: settled.held, ..Preview::default() };
    for (side, door) in doors.iter() {
        *preview.writes.get_mut(side) = door.writes();
        *preview.calls.get_mut(side) = door.cost();
    }
    let seen = std::mem::take(&mut *lock(&seen));
    (preview.creations, preview.creations_in_all) = (seen.creations, seen.creations_in_all);
    (preview.deletions, preview.deletions_in_all) = (seen.deletions, seen.deletions_in_all);
    take_changes(&engine, before, limit, &mut preview).await?;
    let mappings = engine.mappings();
    let desk = Desk { journal: copy, mappings: &mappings, now: clock.now() };
    preview.conflicts =
        shape(desk.answer(&Request::Conflicts { mapping: None, limit }).await)?.unwrap_or_default();
    preview.rejects =
        shape(desk.answer(&Request::Rejects { mapping: None, limit }).await)?.unwrap_or_default();
    Ok(preview)
}

/// The records that plans create and delete, as they are carried out.
#[derive(Debug, Default)]
struct Seen {
    limit: usize,
    creations: Vec<PlannedRecord>,
    creations_in_all: usize,
    deletions: Vec<PlannedRecord>,
    deletions_in_all: usize,
}

impl Seen {
    fn note(&mut self, plan: &Plan) {
        for (side, write) in plan.writes.iter() {
            let Some(write) = write else { continue };
            let record = |records: &PerSide<Option<RecordRef>>, fields| PlannedRecord {
                mapping: plan.mapping.clone(),
                side,
                records: fresh(Refs::new(records)),
                fields,
            };
            match &write.action {
                WriteAction::Update { .. } => {}
                WriteAction::Create { key_field, key, .. } => {
                    self.creations_in_all += 1;
                    if self.creations.len() < self.limit {
                        let mut records = plan.records.clone();
                        let (object, id) = (write.object.clone(), NEW.to_owned());
                        *records.get_mut(side) = Some(RecordRef { side, object, id });
                        let fields = created_with(plan, side, key_field, key);
                        self.creations.push(record(&records, fields));
                    }
                }
                WriteAction::Delete { .. } => {
                    self.deletions_in_all += 1;
                    if self.deletions.len() < self.limit {
                        self.deletions.push(record(&plan.records, Vec::new()));
                    }
                }
            }
        }
    }
}

/// What a record would be created with.
fn created_with(plan: &Plan, side: Side, key_field: &str, key: &str) -> Vec<PlannedField> {
    let id = PlannedField {
        field: key_field.to_owned(),
        new: Json::from(key),
        rule: "id field".to_owned(),
        reason: format!("holds {}'s id of the same record", side.other()),
    };
    let decided = plan.decisions.iter().filter(|decision| decision.written_to.contains(&side));
    let decided = decided.filter_map(|decision| match &decision.verdict {
        Verdict::Settled(value) => Some(PlannedField {
            field: decision.field.clone(),
            new: plain(value),
            rule: decision.rule.clone(),
            reason: decision.reason.clone(),
        }),
        Verdict::Agreed | Verdict::LeftAlone | Verdict::Parked => None,
    });
    std::iter::once(id).chain(decided).collect()
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
