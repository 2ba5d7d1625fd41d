//! Changes become events.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

use super::avro::Datum;
use super::bitmap::Bitmap;
use super::documented::Shape;
use super::schema::{ADDRESS, BodyField, CHANGE_TYPES, EventSchema, is_coordinate};
use super::{Bus, Event, diff, uuid};
use crate::sandbox::World;
use crate::sandbox::fault::{Fault, Faults, Side};
use crate::sandbox::salesforce::changes::{Change, ChangeKind, Channel};
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::schema::Field;
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// The most records that one event names.
const MOST_RECORDS: usize = 1000;
/// From how many characters on a text may be told as a difference.
const LONG: usize = 1000;
/// The id that stands for records that are not named.
const NO_ID: &str = "000000000000000AAA";
/// Where the numbers of commits begin: they do not fit a double.
const FIRST_COMMIT: u64 = 1_725_346_778_429_841_409;

/// An event before it is encoded.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    object: Arc<str>,
    ids: Vec<Id>,
    kind: &'static str,
    origin: String,
    transaction: u64,
    sequence: u32,
    committed_at: i64,
    user: Id,
    fields: BTreeMap<Arc<str>, Value>,
    old_texts: BTreeMap<Arc<str>, Arc<str>>,
}

impl Draft {
    fn of(change: &Change) -> Self {
        Self {
            object: change.object.clone(),
            ids: vec![change.id.clone()],
            kind: kind_name(change.kind),
            origin: origin(change),
            transaction: change.transaction,
            sequence: 0,
            committed_at: change.committed_at,
            user: change.user.clone(),
            fields: change.fields.clone(),
            old_texts: change.old_texts.clone(),
        }
    }

    /// Takes a later change of the same record in the same transaction in: the first kind and the
    /// last values are told. `false`: nothing is left to tell.
    fn follow(&mut self, change: &Change) -> bool {
        match (self.kind, change.kind) {
            ("DELETE", ChangeKind::Undelete) | ("CREATE" | "UNDELETE", ChangeKind::Delete) => {
                return false;
            }
            (_, ChangeKind::Delete) => {
                self.kind = "DELETE";
                self.fields.clear();
                self.old_texts.clear();
            }
            (kind, _) => {
                for (name, value) in &change.fields {
                    if value.is_null() && kind != "UPDATE" {
                        self.fields.remove(name);
                    } else {
                        self.fields.insert(name.clone(), value.clone());
                    }
                }
                for (name, text) in &change.old_texts {
                    self.old_texts.entry(name.clone()).or_insert_with(|| text.clone());
                }
            }
        }
        true
    }

    fn is_same_change(&self, other: &Self) -> bool {
        self.object == other.object
            && self.kind == other.kind
            && self.fields == other.fields
            && self.old_texts == other.old_texts
            && self.ids.len() < MOST_RECORDS
    }

    /// Loses the body, as the platform's gap events have.
    fn lose_body(&mut self, kind: &'static str) {
        self.kind = kind;
        self.fields.clear();
        self.old_texts.clear();
    }
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "CREATE",
        ChangeKind::Update => "UPDATE",
        ChangeKind::Delete => "DELETE",
        ChangeKind::Undelete => "UNDELETE",
    }
}

/// `com/salesforce/api/rest/66.0;client=name`.
fn origin(change: &Change) -> String {
    let base = match change.channel {
        Channel::Rest(version) => {
            format!("com/salesforce/api/rest/{}.{}", version / 10, version % 10)
        }
        Channel::Bulk => "com/salesforce/api/bulkapi/66.0".to_owned(),
        // What Lightning says of itself, its slash included.
        Channel::Ui => return "com/salesforce/api/soap/60.0;client=SfdcInternalAPI/".to_owned(),
    };
    match &change.client {
        Some(client) => format!("{base};client={client}"),
        None => base,
    }
}

/// The events of one transaction, in order and numbered from 1. Objects that nobody hears about
/// take their numbers too: a subscriber sees a gap there.
fn fold(changes: &[Change]) -> Vec<Draft> {
    let mut drafts: Vec<Option<Draft>> = Vec::new();
    let mut places: BTreeMap<Id, usize> = BTreeMap::new();
    for change in changes {
        let known = places.get(&change.id).copied();
        if let Some((at, Some(draft))) =
            known.and_then(|at| Some((at, drafts.get_mut(at)?.as_mut())))
        {
            if !draft.follow(change) {
                drafts[at] = None;
                places.remove(&change.id);
            }
            continue;
        }
        places.insert(change.id.clone(), drafts.len());
        drafts.push(Some(Draft::of(change)));
    }
    let mut merged: Vec<Draft> = Vec::new();
    let mut last: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for draft in drafts.into_iter().flatten() {
        let same = last.get(&draft.object).and_then(|at| merged.get_mut(*at));
        match same.filter(|same| same.is_same_change(&draft)) {
            Some(same) => same.ids.extend(draft.ids),
            None => {
                last.insert(draft.object.clone(), merged.len());
                merged.push(draft);
            }
        }
    }
    for (sequence, draft) in (1..).zip(&mut merged) {
        draft.sequence = sequence;
    }
    merged
}

impl Org {
    /// Takes what is new in the log of changes. Between two transactions only: what one has logged
    /// can be rolled back until it ends.
    pub(in crate::sandbox::salesforce) fn take_changes(&mut self) {
        if !self.bus.recording {
            return;
        }
        self.bus.overflowed |= self.changes.forgotten() > self.bus.taken;
        self.bus.pending.extend(self.changes.since(self.bus.taken).cloned());
        self.bus.taken = self.changes.newest();
    }

    fn overflow_everywhere(&mut self, now: Timestamp) -> Vec<Draft> {
        let told: Vec<Arc<str>> =
            self.objects.values().map(|o| o.name.clone()).filter(|o| self.bus.is_told(o)).collect();
        let drafts = told.into_iter().zip(1..).map(|(object, sequence)| Draft {
            object,
            ids: vec![NO_ID.into()],
            kind: "GAP_OVERFLOW",
            origin: String::new(),
            transaction: self.transaction,
            sequence,
            committed_at: now.as_millisecond(),
            user: self.staff.integration.clone(),
            fields: BTreeMap::new(),
            old_texts: BTreeMap::new(),
        });
        drafts.collect()
    }

    /// Puts an event into the row.
    fn tell(&mut self, draft: &Draft, event_id: &str, now: Timestamp) {
        let Some(schema) = self.event_schema_of(&draft.object) else { return };
        let event = Event {
            replay: self.bus.next_replay(),
            at: now.as_millisecond(),
            entity: draft.object.clone(),
            id: event_id.to_owned(),
            schema_id: schema.id.as_str().into(),
            payload: encode(draft, &schema),
        };
        self.bus.events.push_back(event);
    }

    fn add_a_field(&mut self, object: &str, now: Timestamp) {
        self.bus.fields_added += 1;
        let name = format!("Added_{}__c", self.bus.fields_added);
        let label = format!("Added {}", self.bus.fields_added);
        self.define_field(now, object, Field::text(&name, &label, 80));
    }
}

impl Bus {
    /// When something that is known already becomes an event.
    pub(super) fn next_publication(&self) -> Option<Timestamp> {
        let pending = self.pending.iter().map(|change| change.committed_at);
        let next = pending.chain(self.held.iter().map(|(at, _)| *at)).min()?;
        Timestamp::from_millisecond(next).ok()
    }
}

impl World {
    /// Makes events of every change that is committed by now.
    pub fn publish_events(&mut self, now: Timestamp) {
        let Self { salesforce: org, faults, random, .. } = self;
        if !org.bus.recording {
            return;
        }
        org.take_changes();
        let ms = now.as_millisecond();
        let (due, held) =
            std::mem::take(&mut org.bus.held).into_iter().partition(|(at, _)| *at <= ms);
        org.bus.held = held;
        let due: Vec<(i64, Draft)> = due;
        for (_, draft) in due {
            let id = org.bus.uuid();
            org.tell(&draft, &id, now);
        }
        if std::mem::take(&mut org.bus.overflowed) {
            for draft in org.overflow_everywhere(now) {
                let id = org.bus.uuid();
                org.tell(&draft, &id, now);
            }
        }
        if !org.bus.pending.is_empty() {
            let pending = std::mem::take(&mut org.bus.pending);
            let (mut ready, pending): (Vec<Change>, _) =
                pending.into_iter().partition(|change| change.committed_at <= ms);
            org.bus.pending = pending;
            ready.sort_by_key(|change| (change.committed_at, change.number));
            let same = |a: &Change, b: &Change| a.transaction == b.transaction;
            for transaction in ready.chunk_by(same) {
                for draft in fold(transaction) {
                    if org.bus.is_told(&draft.object) {
                        publish(org, draft, faults, random, now);
                    }
                }
            }
        }
        org.bus.forget(now);
    }
}

/// Tells one event, or what armed faults make of it.
fn publish(
    org: &mut Org,
    mut draft: Draft,
    faults: &mut Faults,
    random: &mut fastrand::Rng,
    now: Timestamp,
) {
    let id = org.bus.uuid();
    if faults.armed().is_empty() {
        return org.tell(&draft, &id, now);
    }
    let mut strikes = |fault| faults.strikes(fault, Side::Salesforce, random);
    if strikes(Fault::StreamSchemaChange) {
        org.add_a_field(&draft.object.clone(), now);
    }
    if strikes(Fault::Overflow) {
        draft.lose_body("GAP_OVERFLOW");
        draft.ids = vec![NO_ID.into()];
    } else if strikes(Fault::WildcardEvent) {
        draft.lose_body("GAP_UPDATE");
        let prefix = org.object(&draft.object).map_or("000", |o| o.prefix.as_str());
        draft.ids = vec![format!("{prefix}*").into()];
    } else if strikes(Fault::Gap) {
        let gap = match draft.kind {
            "CREATE" => "GAP_CREATE",
            "DELETE" => "GAP_DELETE",
            "UNDELETE" => "GAP_UNDELETE",
            _ => "GAP_UPDATE",
        };
        draft.lose_body(gap);
    }
    if strikes(Fault::LostEvent) {
        return;
    }
    let again = strikes(Fault::DuplicateEvent);
    if strikes(Fault::LateEvent) {
        let at = now.as_millisecond() + random.i64(2_000..30_000);
        org.bus.held.push((at, draft));
        return;
    }
    org.tell(&draft, &id, now);
    if again {
        org.tell(&draft, &id, now);
    }
}

/// The event as one Avro datum.
fn encode(draft: &Draft, schema: &EventSchema) -> Bytes {
    let mut told: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    let (mut changed, mut nulled, mut differs) =
        (Bitmap::default(), Bitmap::default(), Bitmap::default());
    for (name, value) in &draft.fields {
        let Some(place) = schema.places.get(name) else { continue };
        let mut value = value.clone();
        if draft.kind == "UPDATE" {
            changed.set(*place);
            if value.is_null() {
                nulled.set(*place);
            }
            let long = schema.fields[place.top].long;
            if let Some(diff) = draft.old_texts.get(name).and_then(|old| {
                let new = value.as_str().filter(|new| long && new.chars().count() >= LONG)?;
                diff::unified(old, new)
            }) {
                differs.set(*place);
                value = Value::String(diff);
            }
        }
        told.insert(name.clone(), value);
    }
    let mut datum = Datum::default();
    write_header(&mut datum, draft, [&nulled, &differs, &changed]);
    for field in &schema.fields {
        write_field(&mut datum, field, &told);
    }
    Bytes::from(datum.into_bytes())
}

fn write_header(datum: &mut Datum, draft: &Draft, bitmaps: [&Bitmap; 3]) {
    datum.text(&draft.object);
    let ids: Vec<String> = draft.ids.iter().map(|id| id.to_string()).collect();
    datum.texts(&ids);
    let kind = CHANGE_TYPES.iter().position(|kind| *kind == draft.kind).unwrap_or_default();
    datum.long(i64::try_from(kind).unwrap_or_default());
    datum.text(&draft.origin);
    datum.text(&uuid(draft.transaction ^ (1 << 63)));
    datum.long(i64::from(draft.sequence));
    // Whole seconds, which a long transaction may cross.
    let committed = draft.committed_at + 7 * i64::from(draft.sequence.saturating_sub(1));
    datum.long(committed.div_euclid(1000) * 1000);
    datum.long(i64::try_from(FIRST_COMMIT + draft.transaction).unwrap_or(i64::MAX));
    datum.text(&draft.user);
    for bitmap in bitmaps {
        datum.texts(&bitmap.written());
    }
}

fn write_field(datum: &mut Datum, field: &BodyField, told: &BTreeMap<Arc<str>, Value>) {
    if field.children.is_empty() {
        return write_value(datum, field.shape, told.get(&field.name));
    }
    let there = field.children.iter().any(|name| told.get(name).is_some_and(|v| !v.is_null()));
    datum.is_there(there);
    if !there {
        return;
    }
    for (at, name) in field.children.iter().enumerate() {
        let number = field.shape == Shape::Address && is_coordinate(ADDRESS[at]);
        let shape = if number { Shape::Double } else { Shape::Text };
        write_value(datum, shape, told.get(name));
    }
}

/// One value behind its union. What does not fit the type is null, which no schema forbids.
fn write_value(datum: &mut Datum, shape: Shape, value: Option<&Value>) {
    let value = value.unwrap_or(&Value::Null);
    let text = value.as_str();
    let long = match shape {
        Shape::Time => text.and_then(time::parse_datetime).map(|seconds| seconds * 1000),
        Shape::Day => text.and_then(time::parse_date).and_then(|day| {
            let start = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
            Some(start.as_millisecond())
        }),
        Shape::Int => value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)),
        _ => None,
    };
    match shape {
        Shape::Time | Shape::Day | Shape::Int => {
            datum.is_there(long.is_some());
            if let Some(long) = long {
                datum.long(long);
            }
        }
        Shape::Double => {
            datum.is_there(value.as_f64().is_some());
            if let Some(number) = value.as_f64() {
                datum.double(number);
            }
        }
        Shape::Boolean => {
            datum.is_there(value.is_boolean());
            if let Some(truth) = value.as_bool() {
                datum.boolean(truth);
            }
        }
        Shape::Text | Shape::PersonName | Shape::Address => {
            datum.is_there(text.is_some());
            if let Some(text) = text {
                datum.text(text);
            }
        }
    }
}
