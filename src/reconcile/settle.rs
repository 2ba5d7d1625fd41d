//! Decides one link.
//!
//! [`settle`] is a function of the situation alone. What each side has leads to one named outcome,
//! all in one `match`; where both records are there, every field is decided, then the stage's ways
//! back, then qualification, and last what follows is written.
//!
//! Invariants:
//! - without a link nothing is written, except to create one;
//! - a record that was deleted is never created anew, and a side's record that another took the
//!   place of is never written;
//! - a plan with [`LinkStep::Purge`] holds no field value;
//! - settling again after every write took effect writes nothing.

use std::collections::BTreeMap;

use super::field::{Course, Scene};
use super::plan::{
    LinkStep, PeerFate, Plan, PlannedWrite, Presence, Reject, Situation, WriteAction,
};
use super::sight::{failed, holds, holds_on};
use super::{qualify, stages, writes};
use crate::mapping::{Create, OnDelete};
use crate::record::{PerSide, Record, RecordRef, Side};

/// Decides one link, or one record that has none yet.
#[must_use]
pub fn settle(situation: &Situation<'_>) -> Plan {
    use Presence::{Erased, Gone, Here, Never};
    use Side::{HubSpot, Salesforce};

    let present = PerSide::from_fn(|side| presence(situation, side));
    let linked = situation.link.is_some();
    match (present.hubspot, present.salesforce) {
        (Erased, _) | (_, Erased) => rest(situation, LinkStep::Purge),

        (Here(record), _) if moved(situation, record).is_some() => step_aside(situation, record),
        (_, Here(record)) if moved(situation, record).is_some() => step_aside(situation, record),

        (Here(h), Here(s)) => together(situation, PerSide { hubspot: h, salesforce: s }),
        (Here(record), Never) | (Never, Here(record)) => alone(situation, record),

        (Here(peer), Gone) if linked => deleted(situation, Salesforce, peer),
        (Gone, Here(peer)) if linked => deleted(situation, HubSpot, peer),
        (Here(_), Gone) => not_linked(situation, "Salesforce's record was deleted"),
        (Gone, Here(_)) => not_linked(situation, "HubSpot's record was deleted"),

        (Gone, Gone | Never) if linked => both_gone(situation, HubSpot),
        (Never, Gone) if linked => both_gone(situation, Salesforce),
        (Gone, Gone | Never) | (Never, Gone) => not_linked(situation, "the record was deleted"),
        (Never, Never) => not_linked(situation, "neither side has a record"),
    }
}

/// What a side has, where the situation contradicts itself read in the way that creates and
/// overwrites nothing.
fn presence<'a>(situation: &Situation<'a>, side: Side) -> Presence<'a> {
    let known = situation.link.is_some() && situation.linked.get(side).is_some();
    match *situation.present.get(side) {
        Presence::Never if known => Presence::Gone,
        Presence::Here(record) if record.deleted && record.successor.is_none() => Presence::Gone,
        other => other,
    }
}

/// A plan that writes nothing and decides nothing.
fn rest(situation: &Situation<'_>, step: LinkStep) -> Plan {
    let ends = matches!(step, LinkStep::Purge | LinkStep::Unlink { .. });
    Plan {
        mapping: situation.mapping.name.clone(),
        link: situation.link,
        records: situation.linked.clone(),
        step,
        writes: PerSide::default(),
        decisions: Vec::new(),
        conflicts: if ends { BTreeMap::new() } else { situation.open.clone() },
        rejects: Vec::new(),
        applied: BTreeMap::new(),
        notes: Vec::new(),
    }
}

fn not_linked(situation: &Situation<'_>, reason: impl Into<String>) -> Plan {
    rest(situation, LinkStep::None { reason: reason.into() })
}

/// The record that took the place of the one that the link knows, and why.
fn moved(situation: &Situation<'_>, record: &Record) -> Option<(RecordRef, String)> {
    let side = record.key.side;
    if let Some(successor) = &record.successor {
        let reason = if successor.object == record.key.object {
            format!("{} {} was merged into {}", record.key.object, record.key.id, successor.id)
        } else {
            format!(
                "{} {} was converted to {} {}",
                record.key.object, record.key.id, successor.object, successor.id
            )
        };
        return Some((successor.clone(), reason));
    }
    // A record without a link that reads under another id was merged: whoever that is has an entry
    // of its own. Where a match was found, both were read as what they are now.
    let alone = situation.linked.get(side.other()).is_none();
    let knows = situation.link.is_some() || alone;
    let linked = situation.linked.get(side).as_ref().filter(|_| knows)?;
    (*linked != record.key).then(|| {
        let reason = format!("{} {} now reads as {}", linked.object, linked.id, record.key.id);
        (record.key.clone(), reason)
    })
}

fn step_aside(situation: &Situation<'_>, record: &Record) -> Plan {
    let Some((to, reason)) = moved(situation, record) else {
        return rest(situation, LinkStep::Keep);
    };
    if situation.link.is_none() {
        return not_linked(situation, reason);
    }
    let side = record.key.side;
    let mut plan = rest(situation, LinkStep::Move { side, to: to.clone(), reason });
    *plan.records.get_mut(side) = Some(to);
    plan
}

fn deleted(situation: &Situation<'_>, side: Side, peer: &Record) -> Plan {
    match situation.mapping.sides.get(side).on_delete {
        OnDelete::Ignore => rest(situation, LinkStep::Wait { deleted: side }),
        OnDelete::Unlink => {
            rest(situation, LinkStep::Unlink { deleted: side, peer: PeerFate::Stays })
        }
        OnDelete::Follow => {
            let step = LinkStep::Unlink { deleted: side, peer: PeerFate::Deleted };
            let mut plan = rest(situation, step);
            *plan.writes.get_mut(side.other()) = Some(PlannedWrite {
                object: peer.key.object.clone(),
                action: WriteAction::Delete { id: peer.key.id.clone() },
                fields: BTreeMap::new(),
                clear_first: Default::default(),
            });
            plan
        }
    }
}

fn both_gone(situation: &Situation<'_>, side: Side) -> Plan {
    rest(situation, LinkStep::Unlink { deleted: side, peer: PeerFate::Gone })
}

/// Both records are there.
fn together(situation: &Situation<'_>, records: PerSide<&Record>) -> Plan {
    let scene = Scene {
        situation,
        records: PerSide { hubspot: Some(records.hubspot), salesforce: Some(records.salesforce) },
    };
    let step = if situation.link.is_some() { LinkStep::Keep } else { LinkStep::Join };
    let mut plan = rest(situation, step);
    plan.records = PerSide::from_fn(|side| Some(records.get(side).key.clone()));
    let mut courses = courses(&scene);
    if !in_scope(&mut plan, &scene, &courses) {
        return plan;
    }
    rules(&mut plan, &scene, &mut courses);
    plan.conflicts.clear();
    writes::carry(&mut plan, &scene, &courses, None);
    disarm(&mut plan);
    plan
}

/// Only one record is there, and the other side never had one.
fn alone(situation: &Situation<'_>, record: &Record) -> Plan {
    let side = record.key.side;
    let scene = Scene { situation, records: PerSide::from_fn(|of| (of == side).then_some(record)) };
    let step = if situation.link.is_some() { LinkStep::Keep } else { LinkStep::Create };
    let mut plan = rest(situation, step);
    *plan.records.get_mut(side) = Some(record.key.clone());
    let mut courses = courses(&scene);
    if !in_scope(&mut plan, &scene, &courses) {
        return plan;
    }
    let mut draft = plan.clone();
    rules(&mut draft, &scene, &mut courses);
    match creates(&scene, &courses, side.other()) {
        Ok(None) => {
            draft.step = LinkStep::Create;
            draft.conflicts.clear();
            let spec = situation.mapping.sides.get(side.other());
            let action = WriteAction::Create {
                key_field: spec.id_field.clone(),
                key: record.key.id.clone(),
                assign: spec.assign.clone(),
                allow_duplicates: spec.allow_duplicates,
            };
            writes::carry(&mut draft, &scene, &courses, Some((side.other(), action)));
            disarm(&mut draft);
            draft
        }
        Ok(Some(reason)) => without(plan, reason),
        Err(reject) => {
            let reason = reject.problem.message.clone();
            plan.rejects.push(reject);
            without(plan, reason)
        }
    }
}

/// Nothing is created: without a link there is none, and one that has a single record rests.
fn without(mut plan: Plan, reason: String) -> Plan {
    if plan.link.is_some() {
        plan.notes.push(reason);
        plan.step = LinkStep::Keep;
    } else {
        plan.step = LinkStep::None { reason };
    }
    plan
}

fn courses<'a>(scene: &Scene<'a>) -> Vec<Course<'a>> {
    scene.mapping().fields.iter().map(|field| scene.course(field)).collect()
}

/// Whether every record that is there takes part. Where one does not, the plan says so.
fn in_scope(plan: &mut Plan, scene: &Scene<'_>, courses: &[Course<'_>]) -> bool {
    let mut left = None;
    for side in Side::BOTH.into_iter().filter(|side| scene.records.get(*side).is_some()) {
        let Some(scope) = &scene.mapping().sides.get(side).scope else { continue };
        match holds_on(scope, courses, side, scene.situation.now) {
            Ok(true) => {}
            Ok(false) => {
                plan.notes.push(format!("{side}'s record is out of scope: {}", scope.source()));
                left = left.or(Some(side));
            }
            Err(error) => {
                let reject = failed("scope".to_owned(), Some(side), &error);
                let reason = reject.problem.message.clone();
                plan.rejects.push(reject);
                plan.step =
                    if plan.link.is_some() { LinkStep::Keep } else { LinkStep::None { reason } };
                return false;
            }
        }
    }
    let Some(side) = left else { return true };
    plan.step = if plan.link.is_some() {
        LinkStep::OutOfScope { side }
    } else {
        LinkStep::None { reason: plan.notes.join("; ") }
    };
    false
}

/// The rules over the merged record: ways back, then qualification.
fn rules(plan: &mut Plan, scene: &Scene<'_>, courses: &mut [Course<'_>]) {
    stages::ways_back(scene, courses, &mut plan.applied, &mut plan.rejects);
    qualify::qualify(scene, courses, &mut plan.applied, &mut plan.rejects);
}

/// A one-time rule that could not set all that it sets has not applied: it stays in force until the
/// reject that names the rest is gone.
fn disarm(plan: &mut Plan) {
    let refused = |rule: &str| {
        plan.decisions.iter().any(|decision| {
            let of_rule = decision
                .rule
                .strip_prefix("qualification ")
                .or_else(|| decision.rule.strip_prefix("back "));
            of_rule == Some(rule)
                && plan.rejects.iter().any(|reject| {
                    reject.field == decision.field
                        && reject.side.is_some_and(|side| !decision.written_to.contains(&side))
                })
        })
    };
    let unfinished: Vec<String> =
        plan.applied.keys().filter(|rule| refused(rule)).cloned().collect();
    for rule in unfinished {
        plan.applied.remove(&rule);
        plan.applied.remove(&qualify::again_mark(&rule));
    }
}

/// Whether a record is created on `side`: nothing if it is, else why not.
fn creates(
    scene: &Scene<'_>,
    courses: &[Course<'_>],
    side: Side,
) -> Result<Option<String>, Reject> {
    match &scene.mapping().sides.get(side).create {
        Create::Always => Ok(None),
        Create::Never => Ok(Some(format!("the mapping creates no records in {side}"))),
        Create::When(condition) => {
            let holds = holds(condition, courses, scene.situation.now)
                .map_err(|error| failed("create".to_owned(), Some(side), &error))?;
            Ok((!holds).then(|| format!("{side} gets a record only when {}", condition.source())))
        }
    }
}
