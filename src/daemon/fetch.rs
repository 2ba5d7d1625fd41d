//! Reads the records of a batch, with as few calls as the platforms allow.
//!
//! # Why a change that carries its values does not save the read
//!
//! An event of either platform tells the new values of what changed, and it is tempting to decide by
//! them. What an event can prove without a read is that *nothing* is to be done: it says what both
//! sides agreed on already, or what a settlement under way is writing (`webhooks/echo`,
//! `stream/take_in`, `echo`), and then no call is made at all. To decide a *write* by it would take a
//! sequence of events that is provably whole, and neither platform has one:
//!
//! - **HubSpot's are no sequence.** Webhooks carry no number, arrive in any order, twice, and up to a
//!   day late; each tells one property. What stands in the record now is told by none of them.
//! - **Salesforce's replay ids leave numbers out** by design, so that a gap cannot be told from a
//!   number that was somebody else's; one and the same event may come again under a new id, after
//!   later ones. Settled by its values, such a repetition would carry an old value across and make it
//!   the base, and no further event would put that right before the next sweep.
//! - **An event is older than a read.** It arrives a second or more after its commit, without a bound.
//!   Whoever edits the record in between would be overwritten unseen by a write that was decided from
//!   it, which the two seconds that `fresh` allows are there to prevent. Only plans that write nothing
//!   to the event's own side could be made from it, which is not known before they are made.
//! - **An event is not the record.** Formulas and names behind a reference are in none; the base
//!   holds what both sides agreed on, and not what was refused or is left as it is on one side.
//!   Rules, conditions and qualifications look at all of it.
//!
//! Nor would it make an edit faster: both sides are read at the same time, and the far side, where
//! the change is to be written, has to be read in any case. What it would save is one call of a
//! batch's three or four; and a batch, however large, shares them.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::engine::objects;
use super::trouble::Trouble;
use crate::mapping::{Field, Kind, Mapping, Rule};
use crate::platform::Ask;
use crate::reconcile::Presence;
use crate::record::{PerSide, Raw, Record, RecordRef, Side};

/// What a side has of one record.
#[derive(Debug, Clone, Default)]
pub(super) enum Fetched {
    /// No record was ever known there.
    #[default]
    Never,
    /// The record, or the one that took its place.
    Here(Box<Record>),
    /// It was deleted and nothing took its place.
    Gone,
    /// The person had their data erased.
    Erased,
}

impl Fetched {
    /// As `reconcile` sees it.
    pub(super) fn presence(&self) -> Presence<'_> {
        match self {
            Self::Never => Presence::Never,
            Self::Here(record) => Presence::Here(record),
            Self::Gone => Presence::Gone,
            Self::Erased => Presence::Erased,
        }
    }

    /// The record, where there is one.
    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Here(record) => Some(record),
            _ => None,
        }
    }
}

/// What is asked of `object`'s records on `side` for a mapping: the fields that it names, and none
/// of their times.
pub(super) fn ask(mapping: &Mapping, side: Side, object: &str) -> Ask {
    Ask { object: object.to_owned(), fields: mapping.names(side, object), stamps: BTreeSet::new() }
}

/// The same with the times of those fields whose rules weigh them, and of those called `doubtful`.
/// Costs twice the calls on HubSpot, so it is asked for only where such a rule is to decide.
fn ask_with_stamps(
    mapping: &Mapping,
    side: Side,
    object: &str,
    doubtful: &BTreeSet<String>,
) -> Ask {
    let stamps = mapping
        .fields
        .iter()
        .filter(|field| weighs_time(field) || doubtful.contains(&field.name))
        .filter_map(|field| field.sides.get(side).as_ref()?.name(object))
        .map(str::to_owned)
        .collect();
    Ask { stamps, ..ask(mapping, side, object) }
}

/// Whether a rule of the field looks at when a value was set.
pub(super) fn weighs_time(field: &Field) -> bool {
    field.rules.contains(&Rule::Newest) || field.first.contains(&Rule::Newest)
}

impl Engine {
    /// Reads `refs` of one side. Every one of them has an answer. With `stamps`, the times and
    /// versions of the fields whose rules weigh them are read too, and those of the fields that it
    /// names.
    pub(super) async fn fetch(
        &self,
        mapping: &Mapping,
        side: Side,
        refs: &BTreeSet<RecordRef>,
        stamps: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<RecordRef, Fetched>, Trouble> {
        let mut found = BTreeMap::new();
        let mut by_object: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for record in refs {
            by_object.entry(&record.object).or_default().push(record.id.clone());
        }
        for (object, ids) in by_object {
            let ask = match stamps {
                Some(doubtful) => ask_with_stamps(mapping, side, object, doubtful),
                None => ask(mapping, side, object),
            };
            let answers = self.watch(side, self.platform(side).read(&ask, &ids).await)?;
            for (id, answer) in ids.into_iter().zip(answers) {
                let record = RecordRef { side, object: object.to_owned(), id };
                found.insert(record, fetched(answer));
            }
        }
        Ok(found)
    }

    /// Reads both sides at once.
    pub(super) async fn fetch_both(
        &self,
        mapping: &Mapping,
        refs: &PerSide<BTreeSet<RecordRef>>,
        stamps: Option<&BTreeSet<String>>,
    ) -> Result<BTreeMap<RecordRef, Fetched>, Trouble> {
        let (hubspot, salesforce) = tokio::join!(
            self.fetch(mapping, Side::HubSpot, &refs.hubspot, stamps),
            self.fetch(mapping, Side::Salesforce, &refs.salesforce, stamps),
        );
        let mut found = hubspot?;
        found.append(&mut salesforce?);
        Ok(found)
    }

    /// Finds the live records of `side`, of whichever object of the mapping, whose field equals one
    /// of `values`. A field that an object does not have finds nothing there.
    pub(super) async fn find(
        &self,
        mapping: &Mapping,
        side: Side,
        field: &str,
        values: &BTreeSet<String>,
    ) -> Result<Vec<Record>, Trouble> {
        let mut found = Vec::new();
        if values.is_empty() {
            return Ok(found);
        }
        let values: Vec<String> = values.iter().cloned().collect();
        for object in objects(mapping, side) {
            let ask = ask(mapping, side, object);
            let answer = self.platform(side).find(&ask, field, &values).await;
            found.append(&mut self.watch(side, answer)?);
        }
        Ok(found)
    }
}

fn fetched(answer: Option<Record>) -> Fetched {
    match answer {
        None => Fetched::Gone,
        Some(record) if record.deleted && record.successor.is_none() => Fetched::Gone,
        Some(record) => Fetched::Here(Box::new(record)),
    }
}

/// The ids of other mappings' records that a record points to: `(mapping, side, id)`.
pub(super) fn pointers(mapping: &Mapping, record: &Record) -> Vec<(String, Side, String)> {
    let side = record.key.side;
    mapping
        .fields
        .iter()
        .filter_map(|field| {
            let Kind::Link { mapping: across } = &field.kind else { return None };
            let name = field.sides.get(side).as_ref()?.name(&record.key.object)?;
            match record.get(name) {
                Raw::Text(id) if !id.is_empty() => Some((across.clone(), side, id.clone())),
                _ => None,
            }
        })
        .collect()
}
