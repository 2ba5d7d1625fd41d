//! Reads the records of a batch, with as few calls as the platforms allow.

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
