//! What a delivery says: which records changed, and what is said of them.
//!
//! Deliveries come in any order, more than once, and hours late; a creation may stand behind the
//! changes of its own properties, and the losers of a merge are reported as deleted besides. None of
//! this matters to what is read here, because a change only names a record that is then read: a
//! loser reads as its survivor, a restored record reads as alive. The one exception is the erasure
//! of a person's data, which stays whatever comes before or after it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::wire::{CRM_UI, EventJson, IMPORT, INTEGRATION, REDACTED};
use crate::platform::hubspot::paths::type_id;
use crate::platform::hubspot::wire::{Text, moment};
use crate::record::{Change, ChangeKind, Origin, Raw, RecordRef, Source};

/// The longest id that is taken for one: a number of 64 bits.
const LONGEST_ID: usize = 20;

/// The objects that mappings are about, found by HubSpot's number of their type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// By type id, each name that a mapping gives it.
    by_type: BTreeMap<String, BTreeSet<String>>,
}

impl Objects {
    /// By the names that mappings use: `contacts`, `0-1`, `2-1234`. A custom object is found where
    /// the mapping calls it by its type id.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_type = BTreeMap::<String, BTreeSet<String>>::new();
        for name in names {
            by_type.entry(type_id(name).to_owned()).or_default().insert(name.to_owned());
        }
        Self { by_type }
    }

    /// The names under which mappings know the object.
    fn named(&self, kind: &str) -> impl Iterator<Item = &String> {
        self.by_type.get(type_id(kind)).into_iter().flatten()
    }
}

/// What an event says of one property.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The property.
    pub property: String,
    /// Its value since then; none where the event does not tell (sensitive values).
    pub value: Option<Raw>,
}

/// One change, with what is said of its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The change.
    pub change: Change,
    /// What is said of one property; none where the event is not about one.
    pub fact: Option<Fact>,
    /// Whether it comes from an import, of which there may be a hundred thousand: nobody waits for
    /// the one more than for the other.
    pub bulk: bool,
}

/// What a delivery says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivery {
    /// What concerns the mapped objects of this account, in the order of the events.
    pub words: Vec<Word>,
    /// Events in the delivery.
    pub events: usize,
    /// Those of other accounts: an app has one address for all that installed it.
    pub elsewhere: usize,
    /// Those of objects that no mapping is about, and of types that say nothing of records.
    pub besides: usize,
    /// Those that could not be read.
    pub unreadable: usize,
}

/// Why a delivery cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a JSON list of events: {reason}")]
pub struct Malformed {
    reason: String,
}

/// Reads the body of a delivery: what it says of `objects` in the account `account`. `app` is the
/// number of this program's app, by which its own writes are told, where it is known.
///
/// # Errors
/// Where the body is not a JSON list. Single events that cannot be read are counted: refusing the
/// rest with them would lose it.
pub fn read(
    body: &[u8],
    account: &str,
    app: Option<&str>,
    objects: &Objects,
) -> Result<Delivery, Malformed> {
    let events = match serde_json::from_slice(body) {
        Ok(Value::Array(events)) => events,
        Ok(event @ Value::Object(_)) => vec![event],
        Ok(_) => return Err(Malformed { reason: "it is a single value".to_owned() }),
        // The position says enough: the text could be anybody's.
        Err(error) => {
            let reason = format!("line {}, column {}", error.line(), error.column());
            return Err(Malformed { reason });
        }
    };
    let mut delivery = Delivery { events: events.len(), ..Delivery::default() };
    for event in events {
        let Ok(event) = serde_json::from_value::<EventJson>(event) else {
            delivery.unreadable += 1;
            continue;
        };
        if event.portal_id.0 != account {
            let count = if event.portal_id.0.is_empty() {
                &mut delivery.unreadable
            } else {
                &mut delivery.elsewhere
            };
            *count += 1;
            continue;
        }
        match words(&event, app, objects) {
            Some(words) if words.is_empty() => delivery.besides += 1,
            Some(words) => delivery.words.extend(words),
            None => delivery.unreadable += 1,
        }
    }
    Ok(delivery)
}

impl Delivery {
    /// One change for each record: a burst of fifty events about one record is one change.
    #[must_use]
    pub fn changes(words: Vec<Word>) -> Vec<Change> {
        let mut folded: BTreeMap<RecordRef, Change> = BTreeMap::new();
        for Word { change, .. } in words {
            match folded.get_mut(&change.record) {
                None => {
                    folded.insert(change.record.clone(), change);
                }
                Some(known) => fold(known, change),
            }
        }
        folded.into_values().collect()
    }
}

/// What is said last counts, save that an erasure stays, and that a loser's merge says more than
/// its deletion.
fn fold(known: &mut Change, other: Change) {
    const fn weight(kind: &ChangeKind) -> u8 {
        match kind {
            ChangeKind::Erased => 2,
            ChangeKind::Merged { .. } => 1,
            ChangeKind::Touched | ChangeKind::Deleted => 0,
        }
    }
    let (before, after) = (weight(&known.kind), weight(&other.kind));
    if after > before || (after == before && other.at >= known.at) {
        known.kind = other.kind;
    }
    known.at = known.at.max(other.at);
    if known.origin != other.origin {
        let typed = [known.origin, other.origin].contains(&Origin::Person);
        known.origin = if typed { Origin::Person } else { Origin::Unknown };
    }
}

/// What an event says; nothing where it concerns no mapped object, none where it cannot be read.
fn words(event: &EventJson, app: Option<&str>, objects: &Objects) -> Option<Vec<Word>> {
    let kind = [&event.subscription_type, &event.event_type]
        .into_iter()
        .find(|text| !text.0.is_empty())?
        .0
        .as_str();
    let Some((object, what)) = kind.split_once('.') else { return Some(Vec::new()) };
    let object = if object == "object" { event.object_type_id.0.as_str() } else { object };
    let sender = Sender { event, app, objects };
    match what {
        "creation" | "restore" => sender.one(object, ChangeKind::Touched),
        "deletion" => sender.one(object, ChangeKind::Deleted),
        "privacyDeletion" => sender.one(object, ChangeKind::Erased),
        "propertyChange" => {
            let mut words = sender.one(object, ChangeKind::Touched)?;
            let fact = fact(event);
            for word in &mut words {
                word.fact.clone_from(&fact);
            }
            Some(words)
        }
        "merge" => sender.merge(object),
        "associationChange" => sender.association(),
        // Messages in a conversation, what someone did on a page: no word of a record's values.
        _ => Some(Vec::new()),
    }
}

fn fact(event: &EventJson) -> Option<Fact> {
    let property = event.property_name.clone().into_option()?;
    let hidden = event.is_sensitive.0 == "true";
    let value = event.property_value.as_ref().and_then(|value| match value {
        Value::String(text) if text.is_empty() => Some(Raw::Null),
        // Whether or not the event says why: a value of this very text costs a read.
        Value::String(text) if hidden || text == REDACTED => None,
        Value::String(text) => Some(Raw::text(text)),
        Value::Bool(_) | Value::Number(_) if !hidden => Some(Raw::text(value.to_string())),
        _ => None,
    });
    Some(Fact { property, value })
}

/// An event on its way to changes.
struct Sender<'a> {
    event: &'a EventJson,
    app: Option<&'a str>,
    objects: &'a Objects,
}

impl Sender<'_> {
    fn one(&self, object: &str, kind: ChangeKind) -> Option<Vec<Word>> {
        let id = id(&self.event.object_id)?;
        Some(self.about(object, id, &kind).collect())
    }

    /// Word of one record, under each name that mappings have for its object.
    fn about<'b>(
        &'b self,
        object: &'b str,
        id: &'b str,
        kind: &'b ChangeKind,
    ) -> impl Iterator<Item = Word> + 'b {
        self.objects.named(object).map(move |name| {
            let mut kind = kind.clone();
            if let ChangeKind::Merged { into } = &mut kind {
                into.object.clone_from(name);
            }
            let record = RecordRef::hubspot(name.clone(), id);
            let at = moment(&self.event.occurred_at.0);
            let source = Source::Webhook;
            let bulk = self.event.change_source.0 == IMPORT;
            let change = Change { record, kind, at, source, origin: self.origin() };
            Word { change, fact: None, bulk }
        })
    }

    /// The survivor is read, because a merge moves values into it without a word; every other
    /// record of the merge is known by the survivor's id from now on.
    fn merge(&self, object: &str) -> Option<Vec<Word>> {
        let event = self.event;
        let named = [&event.new_object_id, &event.primary_object_id, &event.object_id];
        let survivor = named.into_iter().find_map(id)?;
        let into = ChangeKind::Merged { into: RecordRef::hubspot(object, survivor) };
        let mut losers = merged(&event.merged_object_ids);
        losers.extend(id(&event.primary_object_id).map(str::to_owned));
        losers.remove(survivor);
        let mut words: Vec<Word> = self.about(object, survivor, &ChangeKind::Touched).collect();
        for loser in &losers {
            words.extend(self.about(object, loser, &into));
        }
        Some(words)
    }

    /// Both ends are read: either's mapping may show the other.
    fn association(&self) -> Option<Vec<Word>> {
        let event = self.event;
        let (from, to) = match event.association_type.0.split_once("_TO_") {
            Some((from, to)) => (from.to_lowercase(), to.to_lowercase()),
            None => (event.from_object_type_id.0.clone(), event.to_object_type_id.0.clone()),
        };
        let ends = [(from, id(&event.from_object_id)?), (to, id(&event.to_object_id)?)];
        let mut words = Vec::new();
        for (object, id) in &ends {
            words.extend(self.about(object, id, &ChangeKind::Touched));
        }
        Some(words)
    }

    fn origin(&self) -> Origin {
        let source = &self.event.change_source.0;
        let ours = self.app.is_some_and(|app| !app.is_empty() && app == self.event.source_id.0);
        match source.as_str() {
            "" => Origin::Unknown,
            INTEGRATION if ours => Origin::Lockstep,
            // Which app it was is not known where our own has no number.
            INTEGRATION if self.app.is_none_or(str::is_empty) => Origin::Unknown,
            CRM_UI => Origin::Person,
            _ => Origin::Elsewhere,
        }
    }
}

/// An id. HubSpot's are numbers.
fn id(text: &Text) -> Option<&str> {
    let text = text.0.trim();
    let fits = (1..=LONGEST_ID).contains(&text.len());
    (fits && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// The ids of a merge's losers: a list of numbers, or text with separators.
fn merged(value: &Value) -> BTreeSet<String> {
    let texts: Vec<String> = match value {
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        Value::String(text) => text.split([';', ',']).map(str::to_owned).collect(),
        Value::Number(number) => vec![number.to_string()],
        _ => Vec::new(),
    };
    texts.into_iter().filter_map(|text| id(&Text(text)).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests;
