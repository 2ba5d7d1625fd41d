//! Tells the echo of our own write, without a call.
//!
//! HubSpot reports our writes like everybody's. An event that says by its source that it is ours is
//! dropped if its *value* proves it: it is the value that a settlement under way is writing right
//! now, or the value that both sides last agreed on while nothing of the link is under way.
//!
//! Why this loses nothing. The event is about one property at one moment, and whoever changed that
//! property, before or after, made an event of their own: dropping this one hides no other. In the
//! first case, the settlement that writes the value is still to end, and compares the answer of its
//! own write. In the second, nothing of the link is under way, so no settlement can be about to move the
//! base away from this value; should someone have changed it since, that change is heard by itself.
//! Without "nothing under way" it would be wrong: a settlement that has read an older value could
//! store it as the base after this event was dropped.

use std::collections::{BTreeMap, BTreeSet};

use crate::daemon::directory::Snapshot;
use crate::daemon::{Engine, Trouble};
use crate::journal::{LinkState, Standing};
use crate::mapping::{Mapping, Reading};
use crate::platform::hubspot::webhook::{Fact, Word};
use crate::reconcile::WriteAction;
use crate::record::{Origin, Raw, RecordRef, Side};

impl Engine {
    /// The words that are no echo of our own writes, and how many were.
    ///
    /// # Errors
    /// Where the journal cannot be read now.
    pub(super) async fn without_echoes(
        &self,
        words: Vec<Word>,
    ) -> Result<(Vec<Word>, usize), Trouble> {
        let mut suspects: BTreeMap<String, BTreeSet<RecordRef>> = BTreeMap::new();
        for word in words.iter().filter(|word| is_suspect(word)) {
            let record = &word.change.record;
            suspects.entry(record.object.clone()).or_default().insert(record.clone());
        }
        if suspects.is_empty() {
            return Ok((words, 0));
        }
        let snapshot = Snapshot::new(self.known_owners().unwrap_or_default());
        let mut known = Vec::new();
        for (object, records) in suspects {
            for mapping in self.mappings_of(Side::HubSpot, &object) {
                let records: Vec<RecordRef> = records.iter().cloned().collect();
                let standings = self.journal.standings(&mapping.name, records.clone()).await?;
                let by_record: BTreeMap<RecordRef, Option<Standing>> =
                    records.into_iter().zip(standings).collect();
                known.push((object.clone(), mapping, by_record));
            }
        }
        let before = words.len();
        let left: Vec<Word> = words
            .into_iter()
            .filter(|word| {
                let record = &word.change.record;
                let fact = word.fact.as_ref().filter(|_| is_suspect(word));
                let Some(fact) = fact else { return true };
                !known.iter().filter(|(object, ..)| *object == record.object).all(
                    |(_, mapping, standings)| {
                        let standing = standings.get(record).and_then(Option::as_ref);
                        standing
                            .is_some_and(|known| is_echo(mapping, known, record, fact, &snapshot))
                    },
                )
            })
            .collect();
        let echoes = before - left.len();
        Ok((left, echoes))
    }
}

/// Whether it may be ours: what others did is not worth a look.
fn is_suspect(word: &Word) -> bool {
    let tells = word.fact.as_ref().is_some_and(|fact| fact.value.is_some());
    tells && word.change.origin == Origin::Lockstep
}

/// Whether the event says what our own settlement wrote.
fn is_echo(
    mapping: &Mapping,
    known: &Standing,
    record: &RecordRef,
    fact: &Fact,
    snapshot: &Snapshot,
) -> bool {
    let Some(value) = &fact.value else { return false };
    let link = &known.link;
    if link.state != LinkState::Active || link.records.hubspot.as_ref() != Some(record) {
        return false;
    }
    if is_being_written(known, record, &fact.property, value) {
        return true;
    }
    if known.waits {
        return false;
    }
    let spec = mapping.sides.get(Side::HubSpot);
    if fact.property == spec.id_field {
        let across = link.records.salesforce.as_ref().map(|across| across.id.as_str());
        return across.is_some() && across == value.as_text();
    }
    let mut fields = mapping
        .fields
        .iter()
        .filter(|field| {
            let place = field.sides.get(Side::HubSpot).as_ref();
            place.and_then(|place| place.name(&record.object)) == Some(fact.property.as_str())
        })
        .peekable();
    fields.peek().is_some()
        && fields.all(|field| {
            match field.read(mapping, Side::HubSpot, &record.object, value, snapshot) {
                Reading::Value(value) => link.base.values.get(&field.name) == Some(&value),
                Reading::Aside(_) | Reading::Bad(_) => false,
            }
        })
}

/// Whether a settlement under way writes this very value, or clears it on the way to another.
fn is_being_written(known: &Standing, record: &RecordRef, property: &str, value: &Raw) -> bool {
    let write = known.intent.as_ref().and_then(|intent| intent.writes.hubspot.as_ref());
    write.is_some_and(|write| {
        let same = match &write.action {
            WriteAction::Update { id } => *id == record.id,
            WriteAction::Create { .. } => true,
            WriteAction::Delete { .. } => false,
        };
        let sets = write
            .fields
            .get(property)
            .is_some_and(|sent| sent == value || (sent.is_blank() && value.is_blank()));
        same && (sets || (value.is_blank() && write.clear_first.contains(property)))
    })
}
