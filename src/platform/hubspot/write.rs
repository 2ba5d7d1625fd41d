//! Writing records: full batches, one outcome for each record.
//!
//! HubSpot rejects a batch of 100 for one bad value. The batch is then split, by what the error
//! names where that helps, until every good record is written and every bad one stands alone with
//! its reason.
//!
//! A backward lifecycle stage is answered with "done" and kept. Every answer's stage is therefore
//! compared with what was written. Where the caller allows it ([`Write::clear_first`]) the stage is
//! then cleared and written again, in this order on purpose: whatever else is wrong with the record
//! is refused before anything is cleared.

mod associate;
mod batch;
mod create;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;

use self::batch::{Group, Item, Kind, Sent, failed, read_answer, refuse_all, silent, split};
use self::create::creates_activity;
use super::HubSpot;
use super::codes::{Ruling, rule};
use super::read::{ASSOCIATIONS, BATCH};
use super::wire::{ErrorJson, IdInput, InputsJson, WriteInput};
use crate::platform::transport::{Call, Effect, Failure, Repeat};
use crate::platform::{Action, ErrorKind, Outcome, Refusal, RefusalKind, Write};
use crate::record::Raw;

/// The property whose backward moves are kept silently.
const STAGE: &str = "lifecyclestage";

impl HubSpot {
    pub(super) async fn write_all(&self, writes: &[Write]) -> Vec<Outcome> {
        let (groups, mut outcomes) = grouped(writes);
        let within = Some(self.write_within);
        for (place, outcome) in self.send_groups(&groups, within).await {
            outcomes[place] = Some(outcome);
        }
        self.create_activities(writes, &mut outcomes).await;
        self.insist(writes, &mut outcomes).await;
        self.write_associations(writes, &mut outcomes).await;
        outcomes
            .into_iter()
            .zip(writes)
            .map(|(outcome, write)| {
                outcome.unwrap_or_else(|| Outcome::Unknown(silent(&write.object)))
            })
            .collect()
    }

    async fn send_groups(
        &self,
        groups: &BTreeMap<Group, Vec<Item>>,
        within: Option<Duration>,
    ) -> Vec<(usize, Outcome)> {
        let batches = groups
            .iter()
            .flat_map(|(group, items)| {
                items.chunks(BATCH).map(move |chunk| (group, chunk.to_vec()))
            })
            .map(|(group, items)| self.send_split(group, items, within));
        join_all(batches).await.into_iter().flatten().collect()
    }

    /// Sends a batch and, where it is rejected as a whole, its parts.
    async fn send_split(
        &self,
        group: &Group,
        items: Vec<Item>,
        within: Option<Duration>,
    ) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::new();
        let mut waiting = vec![items];
        while let Some(items) = waiting.pop() {
            if items.is_empty() {
                continue;
            }
            match self.send_batch(group, &items, within).await {
                Sent::Answered(answered, alone) => {
                    outcomes.extend(answered);
                    waiting.extend(alone.into_iter().map(|item| vec![item]));
                }
                Sent::Failed(failure) => {
                    outcomes.extend(items.iter().map(|item| (item.place, failed(&failure))));
                }
                Sent::Rejected(error, status) => match <[Item; 1]>::try_from(items) {
                    Ok([item]) => {
                        let outcome = self.reject(group, &item, &error, status).await;
                        outcomes.push((item.place, outcome));
                    }
                    Err(items) => {
                        let parts = split(items, &error);
                        outcomes.extend(refuse_all(&parts.hopeless, &error, status));
                        waiting.extend([parts.rest, parts.suspects]);
                    }
                },
            }
        }
        outcomes
    }

    async fn send_batch(&self, group: &Group, items: &[Item], within: Option<Duration>) -> Sent {
        let (tail, verb, repeat, id_property) = match &group.kind {
            // After a lost answer the records are read first: repeated, an update would undo what
            // people did since, and an upsert could create.
            Kind::Update => ("/batch/update", "updating", Repeat::Never, None),
            Kind::Upsert(key) => ("/batch/upsert", "upserting", Repeat::Never, Some(key.as_str())),
            Kind::Archive => ("/batch/archive", "archiving", Repeat::Safe, None),
        };
        let doing = format!("{verb} {} of {}", items.len(), group.object);
        let path = self.paths.objects(&group.object, tail);
        let sent = if group.kind == Kind::Archive {
            let inputs = items.iter().map(|item| IdInput { id: &item.id }).collect();
            Call::send(
                &self.core,
                Method::POST,
                path.route,
                path.path,
                &InputsJson { inputs },
                &doing,
            )
            .map(Call::not_json)
        } else {
            let inputs = items.iter().map(|item| WriteInput {
                id: &item.id,
                id_property,
                object_write_trace_id: item.place.to_string(),
                properties: &item.properties,
            });
            let body = InputsJson { inputs: inputs.collect() };
            Call::send(&self.core, Method::POST, path.route, path.path, &body, &doing)
        };
        let call = match sent {
            Ok(call) => Call { within, ..call.repeat(repeat) },
            Err(error) => {
                let error = super::broken(&doing, ErrorKind::Request, error.to_string());
                return Sent::Failed(Failure { error, effect: Effect::None });
            }
        };
        match self.client.call(&call).await {
            Ok(answer) => read_answer(group, items, &answer, &doing),
            Err(failure) => Sent::Failed(failure),
        }
    }

    /// The outcome of a record that was rejected alone. Of a duplicate the id is looked up where the
    /// answer does not tell it: batch answers do not.
    async fn reject(&self, group: &Group, item: &Item, error: &ErrorJson, status: u16) -> Outcome {
        let doing = format!("writing one of {}", group.object);
        let mut refusal = match rule(error, status, &doing) {
            Ruling::Refused(refusal) => refusal,
            Ruling::Later(error) => return Outcome::NotDone(error),
        };
        if let RefusalKind::Duplicate { existing: existing @ None } = &mut refusal.kind {
            *existing = self.holder(group, item, &refusal.fields).await;
        }
        Outcome::Refused(refusal)
    }

    /// The record that holds a unique value which `item` wants.
    async fn holder(&self, group: &Group, item: &Item, named: &[String]) -> Option<String> {
        let is_contact = super::paths::type_id(&group.object) == "0-1";
        let email = is_contact.then_some("email");
        let key = match &group.kind {
            Kind::Upsert(key) => Some(key.as_str()),
            _ => None,
        };
        for field in named.iter().map(String::as_str).chain(email).chain(key) {
            let Some(value) = item.properties.get(field).filter(|value| !value.is_empty()) else {
                continue;
            };
            let values = [value.clone()];
            let read =
                self.batch_read(&group.object, &["hs_object_id"], &[], Some(field), &values, false);
            // A look-up for a reject's convenience: where it fails the reject stands without it.
            let found = read.await.ok()?.results.into_iter().map(|object| object.id.0);
            if let Some(id) = found.into_iter().find(|id| *id != item.id) {
                return Some(id);
            }
        }
        None
    }

    /// Looks at what the written records hold now. A stage that was kept is cleared and written
    /// again where the caller allows it, and reported as kept where not.
    async fn insist(&self, writes: &[Write], outcomes: &mut [Option<Outcome>]) {
        let mut clear: BTreeMap<Group, Vec<Item>> = BTreeMap::new();
        for (place, write) in writes.iter().enumerate() {
            let Some(Outcome::Done { id, echoed, .. }) = &outcomes[place] else { continue };
            let kept = kept_fields(write, echoed);
            if kept.is_empty() {
                continue;
            }
            if kept.iter().all(|field| write.clear_first.contains(*field)) {
                let properties = kept.iter().map(|field| ((*field).to_owned(), String::new()));
                let item = Item { place, id: id.clone(), properties: properties.collect() };
                let group = Group { object: write.object.clone(), kind: Kind::Update };
                clear.entry(group).or_default().push(item);
            } else {
                outcomes[place] = Some(Outcome::Refused(kept_refusal(&kept, echoed)));
            }
        }
        if clear.is_empty() {
            return;
        }
        // From here on the record is half written: the rest is sent however long that takes.
        let cleared: BTreeMap<usize, Outcome> =
            self.send_groups(&clear, None).await.into_iter().collect();
        let mut again: BTreeMap<Group, Vec<Item>> = BTreeMap::new();
        for (group, items) in &clear {
            for item in items {
                match cleared.get(&item.place) {
                    Some(Outcome::Done { .. }) => {
                        let fields = &writes[item.place].fields;
                        let mut item = item.clone();
                        for (name, value) in &mut item.properties {
                            *value = fields.get(name).map(text).unwrap_or_default();
                        }
                        again.entry(group.clone()).or_default().push(item);
                    }
                    Some(other) => outcomes[item.place] = Some(half_done(other.clone())),
                    None => outcomes[item.place] = Some(Outcome::Unknown(silent(&group.object))),
                }
            }
        }
        for (place, outcome) in self.send_groups(&again, None).await {
            outcomes[place] = Some(insisted(&writes[place], outcomes[place].take(), outcome));
        }
    }
}

/// The batches' contents, and the outcomes of what goes into none, by place.
fn grouped(writes: &[Write]) -> (BTreeMap<Group, Vec<Item>>, Vec<Option<Outcome>>) {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; writes.len()];
    let mut groups: BTreeMap<Group, Vec<Item>> = BTreeMap::new();
    for (place, write) in writes.iter().enumerate() {
        if creates_activity(write) {
            continue;
        }
        if write.action == Action::Create {
            outcomes[place] = Some(Outcome::Refused(unfounded(write)));
            continue;
        }
        match plain_part(place, write) {
            (group, Some(item)) => groups.entry(group).or_default().push(item),
            (_, None) => outcomes[place] = Some(done_already(write)),
        }
    }
    (groups, outcomes)
}

/// How many calls it takes to write `writes` where none is refused: their batches, two more for stages
/// that go back (cleared, and written again), and two for each association (what it is now, and the
/// change). An activity is created with its associations in one.
pub(super) fn calls(writes: &[Write]) -> u64 {
    let (groups, _) = grouped(writes);
    let batches: usize = groups.values().map(|items| items.len().div_ceil(BATCH)).sum();
    let mut back: BTreeMap<&str, usize> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.clear_first.contains(STAGE)) {
        *back.entry(&write.object).or_default() += 1;
    }
    let again: usize = back.values().map(|count| 2 * count.div_ceil(BATCH)).sum();
    let created = writes.iter().filter(|write| creates_activity(write)).count();
    let associated =
        |write: &&Write| !matches!(write.action, Action::Delete { .. } | Action::Create);
    let associations = writes.iter().filter(associated);
    let associations = associations.flat_map(|write| write.fields.keys());
    let associations = associations.filter(|name| name.starts_with(ASSOCIATIONS)).count();
    (batches + again + created + 2 * associations) as u64
}

/// The part of a write that goes into a batch, if there is any.
fn plain_part(place: usize, write: &Write) -> (Group, Option<Item>) {
    let plain = write.fields.iter().filter(|(name, _)| !name.starts_with(ASSOCIATIONS));
    let mut properties: BTreeMap<String, String> =
        plain.map(|(name, value)| (name.clone(), text(value))).collect();
    let (kind, id, is_empty) = match &write.action {
        Action::Update { id } => (Kind::Update, id, properties.is_empty()),
        Action::Delete { id } => (Kind::Archive, id, false),
        Action::Upsert { key_field, key } => {
            // HubSpot refuses an upsert without properties.
            properties.entry(key_field.clone()).or_insert_with(|| key.clone());
            (Kind::Upsert(key_field.clone()), key, false)
        }
        Action::Create => {
            return (Group { object: write.object.clone(), kind: Kind::Archive }, None);
        }
    };
    let item = (!is_empty).then(|| Item { place, id: id.clone(), properties });
    (Group { object: write.object.clone(), kind }, item)
}

/// Every record that is created in HubSpot carries the id of the record across, so that a repetition
/// finds it.
fn unfounded(write: &Write) -> Refusal {
    Refusal {
        kind: RefusalKind::Schema,
        code: "NO_KEY".into(),
        message: format!("{} are created in HubSpot under a unique property only", write.object),
        fields: Vec::new(),
        hint: "name an id_field in the mapping file".into(),
    }
}

/// A write without plain fields has nothing to send in a batch.
fn done_already(write: &Write) -> Outcome {
    let id = match &write.action {
        Action::Update { id } | Action::Delete { id } | Action::Upsert { key: id, .. } => id,
        Action::Create => return Outcome::Refused(unfounded(write)),
    };
    Outcome::Done { id: id.clone(), created: false, echoed: BTreeMap::new() }
}

/// A value as HubSpot takes it: text, with nothing for no value.
fn text(value: &Raw) -> String {
    match value {
        Raw::Null => String::new(),
        Raw::Bool(value) => value.to_string(),
        Raw::Number(value) => value.to_string(),
        Raw::Text(text) => text.clone(),
    }
}

/// The written fields that HubSpot says hold something else: of those that it is known to keep, the
/// stage and what the caller names. Others it normalises (a day becomes a moment), which is no
/// refusal.
fn kept_fields<'a>(write: &'a Write, echoed: &BTreeMap<String, Raw>) -> Vec<&'a str> {
    let watched = |name: &str| name == STAGE || write.clear_first.contains(name);
    let fields = write.fields.iter().filter(|(name, _)| watched(name));
    fields
        .filter(|(name, value)| echoed.get(*name).is_some_and(|echo| text(echo) != text(value)))
        .map(|(name, _)| name.as_str())
        .collect()
}

fn kept_refusal(fields: &[&str], echoed: &BTreeMap<String, Raw>) -> Refusal {
    let held: Vec<String> = fields
        .iter()
        .map(|field| {
            format!("{field} stays {:?}", echoed.get(*field).map(text).unwrap_or_default())
        })
        .collect();
    Refusal {
        kind: RefusalKind::Kept,
        code: "KEPT".into(),
        message: format!("HubSpot answered \"done\" and kept the old value: {}", held.join(", ")),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        hint: "HubSpot does not move a lifecycle stage back: allow it in the mapping file".into(),
    }
}

/// The outcome of a write whose kept fields were cleared and written again.
fn insisted(write: &Write, first: Option<Outcome>, second: Outcome) -> Outcome {
    match (first, second) {
        (Some(Outcome::Done { id, created, mut echoed }), Outcome::Done { echoed: now, .. }) => {
            echoed.extend(now);
            let kept = kept_fields(write, &echoed);
            if kept.is_empty() {
                Outcome::Done { id, created, echoed }
            } else {
                Outcome::Refused(kept_refusal(&kept, &echoed))
            }
        }
        (_, second) => half_done(second),
    }
}

/// An outcome of a later step. "It had no effect" is not true of the whole write any more: the
/// record is to be read.
fn half_done(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::NotDone(error) => Outcome::Unknown(error),
        Outcome::Late { .. } => Outcome::Unknown(silent("the rest of a record")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
