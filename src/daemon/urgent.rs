//! The lane of a change: by what it says, and not by how it came.
//!
//! - **What is about to go to sales goes first**, also out of the middle of an import. What is said
//!   may be one property of many, so it is laid over what both sides agreed on, and the mapping's own
//!   conditions are asked. This only ever moves an entry forward: the settlement reads the records
//!   and decides by them.
//! - **A flood goes behind.** People edit one record after the other; what comes faster for longer
//!   is an import or a script's work, whether webhooks, events or a poll bring it. It waits with what
//!   exists and is taken in, and whoever edits a record meanwhile does not wait behind it. Each way
//!   of hearing is counted by itself: after a while without a listener a poll lists everything
//!   at once, and an edit that a webhook tells of in the same second is no part of that. So is what
//!   people typed in, as far as a webhook or an event says so: a script that runs through all
//!   contacts is no reason for a salesperson to wait. An entry that one has put behind is moved
//!   forward by the word of another.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tokio::time::Instant;

use super::Engine;
use super::directory::Snapshot;
use super::engine::lock;
use super::handoff::sight;
use super::trouble::Trouble;
use crate::journal::{Lane, LinkEntry};
use crate::mapping::{Mapping, Qualification, Reading};
use crate::record::{Change, Origin, Record, RecordRef, Side, Source};

/// How many changes of a side may come at once before they are a flood.
const AT_ONCE: f64 = 1_000.0;

/// How many may come a second for as long as they like: well below what is settled meanwhile, a
/// batch of two hundred taking a second or two.
const A_SECOND: f64 = 50.0;

/// How changes come: from which side, how they are heard of, and whether a person made them.
pub(super) type Way = (Side, Source, bool);

/// Counts the changes that come one way.
#[derive(Debug, Default)]
pub(super) struct Flood {
    /// How many of those that may come at once have come, and when that was so.
    come: Option<(f64, Instant)>,
}

impl Flood {
    /// Notes a change that arrives `now`. Says whether it is part of a flood.
    fn is_one(&mut self, now: Instant) -> bool {
        let (come, since) = self.come.unwrap_or((0.0, now));
        let left = (come - now.duration_since(since).as_secs_f64() * A_SECOND).max(0.0);
        let flood = left + 1.0 > AT_ONCE;
        self.come = Some((if flood { left } else { left + 1.0 }, now));
        flood
    }
}

/// The qualifications of `mapping` that open a handoff.
fn opening(mapping: &Mapping) -> impl Iterator<Item = &Qualification> {
    let rules = mapping.handoff.as_ref().map(|spec| &spec.rules);
    mapping
        .qualifications
        .iter()
        .filter(move |rule| rules.is_some_and(|rules| rules.contains(&rule.name)))
}

/// The platform's names of the fields that a qualification for sales looks at: where none of them
/// is told, nobody qualifies.
fn decisive(mapping: &Mapping, side: Side, object: &str) -> BTreeSet<String> {
    let looked_at: BTreeSet<String> = opening(mapping)
        .flat_map(|rule| rule.when.names())
        .map(|name| name.rsplit('.').next().unwrap_or_default().to_owned())
        .collect();
    mapping
        .fields
        .iter()
        .filter(|field| looked_at.contains(&field.name))
        .filter_map(|field| field.sides.get(side).as_ref()?.name(object))
        .map(str::to_owned)
        .collect()
}

/// Whether a record of which `shown` is known now is about to go to sales; whatever else it holds is
/// taken to be as both sides agreed in `link`.
fn qualifies(
    mapping: &Mapping,
    link: Option<&LinkEntry>,
    shown: &Record,
    snapshot: &Snapshot,
    now: Timestamp,
) -> bool {
    let (side, object) = (shown.key.side, shown.key.object.as_str());
    let mut base = link.map(|link| link.base.clone()).unwrap_or_default();
    for field in &mapping.fields {
        let name = field.sides.get(side).as_ref().and_then(|place| place.name(object));
        let Some(raw) = name.and_then(|name| shown.fields.get(name)) else { continue };
        if let Reading::Value(value) = field.read(mapping, side, object, raw, snapshot) {
            base.values.insert(field.name.clone(), value);
        }
    }
    let seen = sight(mapping, &base, now);
    opening(mapping).any(|rule| {
        // One that applied before and may again is for the settlement to tell.
        let may = rule.again.is_some() || !base.applied.contains_key(&rule.name);
        may && rule.when.holds(&seen) == Ok(true)
    })
}

impl Engine {
    /// Those of the records that are about to go to sales, by what is shown of them.
    ///
    /// # Errors
    /// Where the journal cannot be read now.
    pub(super) async fn urgent(&self, shown: &[Record]) -> Result<BTreeSet<RecordRef>, Trouble> {
        let mut urgent = BTreeSet::new();
        let mut by_object: BTreeMap<(Side, &str), Vec<&Record>> = BTreeMap::new();
        for record in shown {
            let object = (record.key.side, record.key.object.as_str());
            by_object.entry(object).or_default().push(record);
        }
        let now = self.clock.now();
        for ((side, object), records) in by_object {
            for mapping in self.mappings_of(side, object) {
                let decisive = decisive(&mapping, side, object);
                let told = |record: &&Record| record.fields.keys().any(|it| decisive.contains(it));
                let records: Vec<&Record> = records.iter().copied().filter(told).collect();
                if records.is_empty() {
                    continue;
                }
                let keys = records.iter().map(|record| record.key.clone()).collect();
                let links = self.journal.links_of(&mapping.name, keys).await?;
                let snapshot = Snapshot::new(self.known_owners().unwrap_or_default());
                for (record, link) in records.into_iter().zip(links) {
                    if qualifies(&mapping, link.as_ref(), record, &snapshot, now) {
                        urgent.insert(record.key.clone());
                    }
                }
            }
        }
        Ok(urgent)
    }

    /// The lane of a change that is not about to go to sales.
    fn lane_of_others(&self, change: &Change) -> Lane {
        let way = (change.side(), change.source, change.origin == Origin::Person);
        match lock(&self.floods).entry(way).or_default().is_one(Instant::now()) {
            true => Lane::Backfill,
            false => Lane::Ordinary,
        }
    }

    /// The lane of each change, where those in `urgent` are about to go to sales.
    pub(super) fn in_lanes(
        &self,
        changes: Vec<Change>,
        urgent: &BTreeSet<RecordRef>,
    ) -> Vec<(Change, Lane)> {
        let lane = |change: &Change| match urgent.contains(&change.record) {
            true => Lane::Handoff,
            false => self.lane_of_others(change),
        };
        changes
            .into_iter()
            .map(|change| {
                let lane = lane(&change);
                (change, lane)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mapping::load;
    use crate::record::Raw;

    #[test]
    fn what_qualifies_for_sales_goes_before_what_merely_changed() {
        let text = include_str!("../../mappings/people.toml").to_owned();
        let mappings = load(vec![("people.toml".to_owned(), text)]).unwrap();
        let mapping = mappings.get("people").unwrap();
        let names = decisive(mapping, Side::HubSpot, "contacts");
        assert!(names.contains("lead_score") && names.contains("lifecyclestage"), "{names:?}");
        assert!(!names.contains("mobilephone"), "{names:?}");
        for (fields, expected) in [
            (&[("lead_score", "62")][..], true),
            (&[("lead_score", "62"), ("lifecyclestage", "lead")], true),
            (&[("lead_score", "62"), ("lifecyclestage", "customer")], false),
            (&[("lead_score", "12")], false),
            (&[("mobilephone", "+1 555 0100")], false),
        ] {
            let mut record = Record::new(RecordRef::hubspot("contacts", "1"));
            for (name, value) in fields {
                record.fields.insert((*name).to_owned(), Raw::Text((*value).to_owned()));
            }
            let now = Timestamp::UNIX_EPOCH;
            let urgent = qualifies(mapping, None, &record, &Snapshot::default(), now);
            assert_eq!(urgent, expected, "{fields:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_goes_behind_for_as_long_as_it_lasts() {
        let mut flood = Flood::default();
        let mut count = |number| (0..number).filter(|_| flood.is_one(Instant::now())).count();
        assert_eq!(count(5_000), 4_000, "an import of five thousand");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(count(60), 10, "one goes on");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(count(1_000), 0, "it is over");
        let mut flood = Flood::default();
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_millis(25)).await;
            assert!(!flood.is_one(Instant::now()), "a busy day");
        }
    }
}
