//! One batch of writes: its answer joined with its records, and its parts where it was rejected.

use std::collections::{BTreeMap, BTreeSet};

use crate::platform::hubspot::broken;
use crate::platform::hubspot::codes::{Ruling, rule, whole};
use crate::platform::hubspot::wire::{BatchJson, DetailJson, ErrorJson, ObjectJson};
use crate::platform::transport::{Answer, Effect, Failure};
use crate::platform::{Error, ErrorKind, Outcome};

/// Which batch call a write goes into.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub object: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Update,
    Upsert(String),
    Archive,
}

/// One record of a batch.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its place among the writes.
    pub place: usize,
    /// Its id, or its key for an upsert.
    pub id: String,
    pub properties: BTreeMap<String, String>,
}

/// What a batch call came to.
pub(super) enum Sent {
    /// Outcomes by place; what is left over is to be sent again, one by one.
    Answered(Vec<(usize, Outcome)>, Vec<Item>),
    /// The whole batch was rejected for something in it.
    Rejected(Box<ErrorJson>, u16),
    /// The call failed.
    Failed(Failure),
}

pub(super) fn failed(failure: &Failure) -> Outcome {
    match failure.effect {
        Effect::None => Outcome::NotDone(failure.error.clone()),
        Effect::Late { left } => Outcome::Late { left },
        Effect::Unclear => Outcome::Unknown(failure.error.clone()),
    }
}

pub(super) fn silent(object: &str) -> Error {
    let doing = format!("writing {object}");
    let what = "the answer does not mention this record".to_owned();
    broken(&doing, ErrorKind::Retry { after: None }, what)
}

/// Joins a batch's answer with its records.
pub(super) fn read_answer(group: &Group, items: &[Item], answer: &Answer, doing: &str) -> Sent {
    let status = answer.status.as_u16();
    if !answer.status.is_success() {
        let error = ErrorJson::read(&answer.body);
        // Without a category the request itself is wrong (an unknown object), not a record in it.
        let is_about_records = !error.category.0.is_empty() || !error.details().is_empty();
        return if is_about_records && matches!(status, 400 | 404 | 409 | 422) {
            Sent::Rejected(Box::new(error), status)
        } else {
            let error = whole(&error, status, doing);
            Sent::Failed(Failure { error, effect: Effect::None })
        };
    }
    if group.kind == Kind::Archive && answer.body.trim_ascii().is_empty() {
        let done = |item: &Item| {
            let id = item.id.clone();
            (item.place, Outcome::Done { id, created: false, echoed: BTreeMap::new() })
        };
        return Sent::Answered(items.iter().map(done).collect(), Vec::new());
    }
    match answer.json::<BatchJson>() {
        Ok(batch) => join(group, items, batch, status, doing),
        Err(error) => {
            let what = format!("the answer has an unknown shape: {error}");
            let error = broken(doing, ErrorKind::Retry { after: None }, what);
            Sent::Failed(Failure { error, effect: Effect::Unclear })
        }
    }
}

/// Gives each record its result or its error. Results come in any order: they are told by the trace
/// id that was sent along, by the id, or by the value of the key.
fn join(group: &Group, items: &[Item], batch: BatchJson, status: u16, doing: &str) -> Sent {
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut unclaimed = Vec::new();
    for object in batch.results {
        let by_key = |item: &&Item| match &group.kind {
            Kind::Upsert(key) => object
                .properties
                .get(key)
                .is_some_and(|value| value.0.to_lowercase() == item.id.to_lowercase()),
            _ => item.id == object.id.0,
        };
        let trace = object.object_write_trace_id.0.as_str();
        let by_trace = |item: &&Item| !trace.is_empty() && item.place.to_string() == trace;
        match items.iter().find(by_trace).or_else(|| items.iter().find(by_key)) {
            Some(item) => {
                outcomes.insert(item.place, done(item, object));
            }
            None => unclaimed.push(object),
        }
    }
    let mut unnamed = None;
    for error in &batch.errors {
        let named: BTreeSet<&str> = ["objectWriteTraceId", "ids", "id"]
            .iter()
            .flat_map(|list| error.context.list(list))
            .map(String::as_str)
            .collect();
        let traces = error.context.list("objectWriteTraceId");
        let is_named = |item: &&Item| {
            if traces.is_empty() {
                named.contains(item.id.as_str())
            } else {
                traces.contains(&item.place.to_string())
            }
        };
        let hit: Vec<&Item> = items.iter().filter(is_named).collect();
        if hit.is_empty() {
            unnamed = Some(error);
        }
        for item in hit {
            outcomes.entry(item.place).or_insert_with(|| ruled(error, status, doing));
        }
    }
    let left: Vec<Item> =
        items.iter().filter(|item| !outcomes.contains_key(&item.place)).cloned().collect();
    let mut alone = Vec::new();
    match (left.as_slice(), unnamed) {
        ([], _) => {}
        // An upsert by an address that is not the contact's first one: no other record is left.
        ([item], None) if unclaimed.len() == 1 => {
            let object = unclaimed.remove(0);
            outcomes.insert(item.place, done(item, object));
        }
        ([item], Some(error)) if unclaimed.is_empty() => {
            outcomes.insert(item.place, ruled(error, status, doing));
        }
        // The error names none of them and none of them was written: each alone tells which.
        (_, Some(_)) if unclaimed.is_empty() => alone = left,
        (left, _) => {
            let unknown = || Outcome::Unknown(silent(&group.object));
            outcomes.extend(left.iter().map(|item| (item.place, unknown())));
        }
    }
    Sent::Answered(outcomes.into_iter().collect(), alone)
}

/// What an error says of its record.
fn ruled(error: &ErrorJson, status: u16, doing: &str) -> Outcome {
    match rule(error, status, doing) {
        Ruling::Refused(refusal) => Outcome::Refused(refusal),
        Ruling::Later(error) => Outcome::NotDone(error),
    }
}

/// What a result says of its record.
fn done(item: &Item, object: ObjectJson) -> Outcome {
    let own = |name: &String| item.properties.contains_key(name);
    let echoed = object.properties.into_iter().filter(|(name, _)| own(name));
    Outcome::Done {
        id: object.id.0,
        created: object.new == Some(true),
        echoed: echoed.map(|(name, value)| (name, value.raw())).collect(),
    }
}

/// A rejected batch, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Those that would be refused however they are sent.
    pub hopeless: Vec<Item>,
    /// Those that the error may be about.
    pub suspects: Vec<Item>,
    /// Those that it is not about, as far as can be told.
    pub rest: Vec<Item>,
}

/// Takes a rejected batch apart, always into smaller parts.
pub(super) fn split(items: Vec<Item>, error: &ErrorJson) -> Parts {
    let details = error.details();
    // A property that does not exist or cannot be written fails in every record that has it.
    let hopeless: BTreeSet<&str> =
        details.iter().filter(|detail| is_hopeless(detail)).flat_map(DetailJson::fields).collect();
    let (hopeless, items): (Vec<Item>, Vec<Item>) = items
        .into_iter()
        .partition(|item| item.properties.keys().any(|name| hopeless.contains(name.as_str())));
    if !hopeless.is_empty() {
        return Parts { hopeless, suspects: Vec::new(), rest: items };
    }
    let (suspects, rest): (Vec<Item>, Vec<Item>) = items.into_iter().partition(|item| {
        details.iter().any(|detail| {
            // The message quotes the value in every language.
            detail.fields().any(|name| {
                item.properties.get(name).is_some_and(|value| {
                    !value.is_empty() && detail.message.0.contains(value.as_str())
                })
            })
        })
    });
    if !suspects.is_empty() && !rest.is_empty() {
        return Parts { hopeless: Vec::new(), suspects, rest };
    }
    let mut rest = if suspects.is_empty() { rest } else { suspects };
    let suspects = rest.split_off(rest.len() / 2);
    Parts { hopeless: Vec::new(), suspects, rest }
}

/// Refuses records for properties that no record can be written with, each for its own.
pub(super) fn refuse_all(items: &[Item], error: &ErrorJson, status: u16) -> Vec<(usize, Outcome)> {
    let refuse = |item: &Item| {
        let mut own = error.clone();
        own.errors = error.details();
        own.errors.retain(|detail| {
            is_hopeless(detail) && detail.fields().any(|name| item.properties.contains_key(name))
        });
        (item.place, ruled(&own, status, "writing"))
    };
    items.iter().map(refuse).collect()
}

/// Whether every record that has the property is refused, whatever its value.
fn is_hopeless(detail: &DetailJson) -> bool {
    matches!(detail.code.0.as_str(), "PROPERTY_DOESNT_EXIST" | "READ_ONLY_VALUE")
}

#[cfg(test)]
mod tests;
