//! Answers as plain values.
//!
//! A field's value is plain JSON: text, a number, true or false, a list of choices, or null where it
//! is blank. Times are RFC 3339 in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::daemon::Present;
use crate::journal::{
    ConflictEntry, HistoryLine, Hold, LinkEntry, LinkState, MatchChoice, MatchEntry, PendingEntry,
    RejectEntry, Subject,
};
use crate::reconcile::{OpenConflict, Resolution};
use crate::record::{ChangeKind, PerSide, RecordRef, Side, Source, Stamp, Value};

/// A value as JSON has it.
pub(in crate::daemon) fn plain(value: &Value) -> Json {
    match value {
        Value::Blank => Json::Null,
        Value::Text(text) => Json::from(text.as_str()),
        Value::Number(number) => {
            whole(number.get()).map_or_else(|| number.get().into(), Json::from)
        }
        Value::Bool(yes) => Json::from(*yes),
        Value::Date(date) => Json::from(date.to_string()),
        Value::DateTime(moment) => Json::from(moment.to_string()),
        Value::Choices(choices) => choices.iter().map(String::as_str).collect(),
    }
}

/// A whole number as JSON writes one: `61`, not `61.0`. Beyond 2^53 a float is no longer exact.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and fits")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(word)) => word,
        // An enum with fields: its name is the only key.
        Ok(Json::Object(map)) => map.keys().next().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

/// Both records of a link, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refs {
    /// HubSpot's: `contacts 151`.
    pub hubspot: Option<String>,
    /// Salesforce's: `Lead 00Q…`.
    pub salesforce: Option<String>,
}

impl Refs {
    pub(in crate::daemon) fn new(records: &PerSide<Option<RecordRef>>) -> Self {
        let text = |record: &Option<RecordRef>| {
            record.as_ref().map(|record| format!("{} {}", record.object, record.id))
        };
        Self { hubspot: text(&records.hubspot), salesforce: text(&records.salesforce) }
    }
}

/// A link in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// Its number: `L12`.
    pub link: String,
    /// The mapping's name.
    pub mapping: String,
    /// Its records.
    #[serde(flatten)]
    pub records: Refs,
    /// `active`, `out_of_scope`, `waiting`, `unlinked` or `retired`.
    pub state: String,
    /// Why it is not active, where it is not.
    pub why: Option<String>,
    /// When it was made.
    pub made: Timestamp,
    /// When it was last settled to the end.
    pub settled: Option<Timestamp>,
    /// Why the last settlement did not come to its end.
    pub error: Option<String>,
}

impl LinkView {
    pub(in crate::daemon) fn new(link: &LinkEntry) -> Self {
        let why = match &link.state {
            LinkState::Active => None,
            LinkState::OutOfScope { side } => Some(format!("{side}'s record left the scope")),
            LinkState::Waiting { deleted } => {
                Some(format!("{deleted}'s record was deleted and may come back"))
            }
            LinkState::Unlinked { reason, .. } => Some(reason.clone()),
            LinkState::Retired { into } => Some(format!("merged into {into}")),
        };
        Self {
            link: link.id.to_string(),
            mapping: link.mapping.clone(),
            records: Refs::new(&link.records),
            state: word(&link.state),
            why,
            made: link.made,
            settled: link.settled_at,
            error: link.last_error.clone(),
        }
    }
}

/// A link that waits to be settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// `handoff`, `ordinary` or `backfill`.
    pub lane: String,
    /// When a change was first heard of.
    pub since: Timestamp,
    /// When it is taken at the earliest.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What was heard: `touched`, `deleted`, `merged` or `erased`.
    pub heard: String,
    /// Why the last try did not come to its end.
    pub error: Option<String>,
}

impl PendingView {
    fn new(entry: &PendingEntry) -> Self {
        Self {
            lane: entry.lane.key().to_owned(),
            since: entry.first_heard,
            due: entry.due,
            attempts: entry.attempts,
            heard: entry.told.values().map(word::<ChangeKind>).collect::<Vec<_>>().join(", "),
            error: entry.last_error.clone(),
        }
    }
}

/// What is known of one link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// The link.
    #[serde(flatten)]
    pub link: LinkView,
    /// Its fields, by canonical name.
    pub fields: BTreeMap<String, FieldView>,
    /// Its open conflicts.
    pub conflicts: Vec<ConflictView>,
    /// Its refused writes.
    pub rejects: Vec<RejectView>,
    /// Where it stands in the queue, if it does.
    pub pending: Option<PendingView>,
    /// What both sides hold right now, where they could be asked.
    pub present: Option<Present>,
    /// Why they could not be asked, where they could not.
    pub not_asked: Option<String>,
}

/// One field of a link: what both sides last agreed on, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldView {
    /// The value.
    pub value: Json,
    /// The line of history that last said something of it.
    pub last: Option<HistoryView>,
}

impl Explained {
    pub(super) fn new(
        link: &LinkEntry,
        conflicts: &BTreeMap<String, OpenConflict>,
        rejects: &[RejectEntry],
        pending: Option<&PendingEntry>,
        history: &[HistoryLine],
    ) -> Self {
        let last =
            |field: &str| history.iter().find(|line| line.field == field).map(HistoryView::new);
        let fields = link
            .base
            .values
            .iter()
            .map(|(name, value)| {
                (name.clone(), FieldView { value: plain(value), last: last(name) })
            })
            .collect();
        let conflicts = conflicts
            .iter()
            .map(|(field, conflict)| {
                ConflictView::of(&link.id.to_string(), &link.mapping, field, conflict)
            })
            .collect();
        Self {
            link: LinkView::new(link),
            fields,
            conflicts,
            rejects: rejects.iter().map(RejectView::new).collect(),
            pending: pending.map(PendingView::new),
            present: None,
            not_asked: None,
        }
    }
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryView {
    /// Its number.
    pub seq: u64,
    /// The link; the record itself where it has none.
    pub link: String,
    /// When.
    pub at: Timestamp,
    /// The field's canonical name, or `*` for the link itself.
    pub field: String,
    /// The side that was written; none where only what is remembered changed.
    pub side: Option<Side>,
    /// What stood there; null where it was blank or nothing is known.
    pub old: Json,
    /// What stands there now.
    pub new: Json,
    /// The rule that decided.
    pub rule: String,
    /// The reason in a sentence.
    pub reason: String,
    /// The values that did not live on, by side.
    pub lost: BTreeMap<Side, Json>,
    /// How the change was heard of.
    pub cause: Option<Source>,
}

impl HistoryView {
    pub(in crate::daemon) fn new(line: &HistoryLine) -> Self {
        let value = |value: &Option<Value>| value.as_ref().map_or(Json::Null, plain);
        Self {
            seq: line.seq,
            link: line.link.to_string(),
            at: line.at,
            field: line.field.clone(),
            side: line.side,
            old: value(&line.old),
            new: value(&line.new),
            rule: line.rule.clone(),
            reason: line.reason.clone(),
            lost: line.lost.iter().map(|(side, value)| (*side, plain(value))).collect(),
            cause: line.cause,
        }
    }
}

/// What waits for a person to choose.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conflicts {
    /// Fields that both sides changed differently.
    pub fields: Vec<ConflictView>,
    /// Records that may belong to several records across.
    pub matches: Vec<MatchView>,
}

/// A field that both sides changed differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictView {
    /// The link.
    pub link: String,
    /// The mapping's name.
    pub mapping: String,
    /// The field's canonical name.
    pub field: String,
    /// What both sides last agreed on.
    pub base: Json,
    /// HubSpot's value when it was parked.
    pub hubspot: Json,
    /// Salesforce's value when it was parked.
    pub salesforce: Json,
    /// When HubSpot's value was set, as far as known.
    pub hubspot_at: Option<Timestamp>,
    /// When Salesforce's value was set, as far as known.
    pub salesforce_at: Option<Timestamp>,
    /// Since when it waits.
    pub since: Timestamp,
    /// Why no rule settled it.
    pub reason: String,
    /// What a person decided, until the next settlement has carried it out.
    pub decided: Option<Json>,
}

impl ConflictView {
    pub(super) fn new(entry: &ConflictEntry) -> Self {
        Self::of(&entry.link.to_string(), &entry.mapping, &entry.field, &entry.conflict)
    }

    fn of(link: &str, mapping: &str, field: &str, conflict: &OpenConflict) -> Self {
        let at = |stamp: &Option<Stamp>| stamp.as_ref().map(|stamp| stamp.at);
        Self {
            link: link.to_owned(),
            mapping: mapping.to_owned(),
            field: field.to_owned(),
            base: conflict.base.as_ref().map_or(Json::Null, plain),
            hubspot: plain(&conflict.values.hubspot),
            salesforce: plain(&conflict.values.salesforce),
            hubspot_at: at(&conflict.stamps.hubspot),
            salesforce_at: at(&conflict.stamps.salesforce),
            since: conflict.since,
            reason: conflict.reason.clone(),
            decided: conflict.resolution.as_ref().map(|resolution| match resolution {
                Resolution::Take(side) => Json::from(side.key()),
                Resolution::Set(value) => plain(value),
            }),
        }
    }
}

/// A record that may belong to several records across.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchView {
    /// The mapping's name.
    pub mapping: String,
    /// The record: `HubSpot contacts 151`.
    pub record: String,
    /// The records across, and how each was found.
    pub candidates: BTreeMap<String, String>,
    /// Since when.
    pub since: Timestamp,
    /// Why none was chosen.
    pub reason: String,
    /// What a person chose: a record, or `none`.
    pub decided: Option<String>,
}

impl MatchView {
    pub(super) fn new(entry: &MatchEntry) -> Self {
        let candidates = entry.candidates.iter();
        Self {
            mapping: entry.mapping.clone(),
            record: entry.record.to_string(),
            candidates: candidates.map(|(record, how)| (record.to_string(), how.clone())).collect(),
            since: entry.since,
            reason: entry.reason.clone(),
            decided: entry.choice.as_ref().map(|choice| match choice {
                MatchChoice::This(record) => record.to_string(),
                MatchChoice::None => "none".to_owned(),
            }),
        }
    }
}

/// A refused write, or a value that the mapping cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectView {
    /// The link or record.
    pub of: String,
    /// The mapping's name.
    pub mapping: String,
    /// The side that refused, or whose value cannot be read.
    pub side: Side,
    /// The field's canonical name, or `*`.
    pub field: String,
    /// The platform's word for it.
    pub code: String,
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// How often it was refused.
    pub tries: u32,
    /// Whether a person asked for another try.
    pub retry: bool,
}

impl RejectView {
    pub(super) fn new(entry: &RejectEntry) -> Self {
        let of = match &entry.subject {
            Subject::Link(link) => link.to_string(),
            Subject::Record { record, .. } => record.to_string(),
        };
        Self {
            of,
            mapping: entry.mapping.clone(),
            side: entry.side,
            field: entry.field.clone(),
            code: entry.code.clone(),
            reason: entry.reason.clone(),
            hint: entry.hint.clone(),
            since: entry.since,
            tries: entry.tries,
            retry: entry.retry_requested,
        }
    }
}

/// Plans that a safety limit stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its number.
    pub hold: u64,
    /// The mapping, where it concerns one.
    pub mapping: Option<String>,
    /// Which limit, and by how much.
    pub reason: String,
    /// How many plans.
    pub count: u64,
    /// Since when.
    pub since: Timestamp,
    /// Some of the plans in words.
    pub sample: Vec<String>,
    /// When a person released it.
    pub released: Option<Timestamp>,
}

impl HoldView {
    /// A hold as it is printed.
    #[must_use]
    pub fn new(hold: &Hold) -> Self {
        Self {
            hold: hold.id,
            mapping: hold.mapping.clone(),
            reason: hold.reason.clone(),
            count: hold.count,
            since: hold.since,
            sample: hold.sample.clone(),
            released: hold.released,
        }
    }
}
