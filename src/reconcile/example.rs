//! Runs a mapping's examples.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::plan::{Base, Plan, Presence, Situation, Verdict};
use super::settle::settle;
use crate::mapping::{Directory, Example, Mapping, OwnerFound, OwnerMissing};
use crate::record::{LinkId, PerSide, Raw, Record, RecordRef, Side, Stamp};

/// Runs `example` and tells in words what came out otherwise than it says. Nothing: it holds.
#[must_use]
pub fn run(mapping: &Mapping, example: &Example) -> Vec<String> {
    compare(mapping, example, &plan(mapping, example))
}

/// What comes out of `example`.
#[must_use]
pub fn plan(mapping: &Mapping, example: &Example) -> Plan {
    let records = PerSide::from_fn(|side| record(mapping, example, side));
    let reference = |side: Side| records.get(side).as_ref().map(|record| record.key.clone());
    let linked = PerSide::from_fn(reference);
    let long_ago = Timestamp::UNIX_EPOCH;
    let base = Base {
        values: example.base.clone().unwrap_or_default(),
        applied: example.applied.iter().map(|rule| (rule.clone(), long_ago)).collect(),
    };
    let present = |side: Side| records.get(side).as_ref().map_or(Presence::Never, Presence::Here);
    settle(&Situation {
        mapping,
        link: example.base.is_some().then_some(LinkId(1)),
        linked: &linked,
        base: &base,
        present: PerSide::from_fn(present),
        open: &BTreeMap::new(),
        directory: &Nobody,
        now: example.now,
    })
}

/// In an example an owner's id is the owner's address, and a linked record's id is its link.
struct Nobody;

impl Directory for Nobody {
    fn owner(&self, _: Side, id: &str) -> OwnerFound {
        match id.strip_prefix("queue:") {
            Some(queue) => OwnerFound::Queue(queue.to_owned()),
            None => OwnerFound::Person(id.to_lowercase()),
        }
    }

    fn owner_id(&self, _: Side, email: &str) -> Result<String, OwnerMissing> {
        Ok(email.to_owned())
    }

    fn link_of(&self, _: &str, _: Side, id: &str) -> Option<LinkId> {
        id.strip_prefix('L')?.parse().ok().map(LinkId)
    }

    fn linked_id(&self, _: &str, _: Side, link: LinkId) -> Option<String> {
        Some(link.to_string())
    }
}

fn record(mapping: &Mapping, example: &Example, side: Side) -> Option<Record> {
    let given = example.records.get(side).as_ref()?;
    let id = |side: Side| match side {
        Side::HubSpot => "1",
        Side::Salesforce => "00Q000000000001EAA",
    };
    let object = given.object.clone();
    let mut record = Record::new(RecordRef { side, object, id: id(side).to_owned() });
    record.fields = given.fields.clone();
    for (field, at) in &given.changed {
        record.stamps.insert(field.clone(), Stamp { at: *at, exact: true, by: None });
    }
    if example.records.get(side.other()).is_some() {
        let field = mapping.sides.get(side).id_field.clone();
        record.fields.entry(field).or_insert_with(|| Raw::text(id(side.other())));
    }
    Some(record)
}

fn compare(mapping: &Mapping, example: &Example, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for side in Side::BOTH {
        let id_field = &mapping.sides.get(side).id_field;
        let expected = example.expect.writes.get(side);
        let none = BTreeMap::new();
        let written = plan.writes.get(side).as_ref().map_or(&none, |write| &write.fields);
        let names: BTreeSet<&String> =
            expected.keys().chain(written.keys()).filter(|name| *name != id_field).collect();
        for name in names {
            let (wants, gets) = (expected.get(name).map(text), written.get(name).map(text));
            if wants != gets {
                let told = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
                found.push(format!(
                    "{side}'s {name} should be written {}, and {} is written{}",
                    told(wants),
                    told(gets),
                    because(plan, mapping, side, name),
                ));
            }
        }
    }
    for (field, rule) in &example.expect.rules {
        let decision = plan.decisions.iter().find(|decision| decision.field == *field);
        match decision {
            Some(decision) if decision.rule == *rule => {}
            Some(decision) => found.push(format!(
                "{field} should be decided by {rule:?}, and is by {:?}: {}",
                decision.rule, decision.reason
            )),
            None => found.push(format!(
                "{field} should be decided by {rule:?}, and there is nothing to decide"
            )),
        }
    }
    let conflicts: BTreeSet<String> = plan.conflicts.keys().cloned().collect();
    differ(&mut found, "parked for a person", &example.expect.conflicts, &conflicts, plan);
    let rejects = plan.rejects.iter().map(|reject| reject.field.clone()).collect();
    differ(&mut found, "rejected", &example.expect.rejects, &rejects, plan);
    found
}

/// A value as it is compared: numbers and their text are the same.
fn text(raw: &Raw) -> String {
    match raw {
        Raw::Null => "blank".to_owned(),
        Raw::Text(text) if text.is_empty() => "blank".to_owned(),
        Raw::Bool(yes) => format!("{:?}", yes.to_string()),
        Raw::Number(number) => format!("{:?}", number.to_string()),
        Raw::Text(text) => format!("{text:?}"),
    }
}

fn because(plan: &Plan, mapping: &Mapping, side: Side, name: &str) -> String {
    let on = |field: &str| {
        let place = mapping.field(field).and_then(|field| field.sides.get(side).as_ref());
        place.is_some_and(|place| place.names.values().any(|known| known == name))
    };
    match plan.decisions.iter().find(|decision| on(&decision.field)) {
        Some(decision) if decision.verdict == Verdict::Parked => {
            format!(" ({} is parked: {})", decision.field, decision.reason)
        }
        Some(decision) => format!(" ({}: {})", decision.rule, decision.reason),
        None => String::new(),
    }
}

fn differ(
    found: &mut Vec<String>,
    what: &str,
    expected: &BTreeSet<String>,
    actual: &BTreeSet<String>,
    plan: &Plan,
) {
    for field in expected.difference(actual) {
        found.push(format!("{field} should be {what}, and is not"));
    }
    for field in actual.difference(expected) {
        let reject = plan.rejects.iter().find(|reject| reject.field == *field);
        let why = match (reject, plan.conflicts.get(field)) {
            (Some(reject), _) => reject.problem.to_string(),
            (None, Some(conflict)) => conflict.reason.clone(),
            (None, None) => String::new(),
        };
        found.push(format!("{field} is {what}, which the example does not say: {why}"));
    }
}

#[cfg(test)]
mod tests;
