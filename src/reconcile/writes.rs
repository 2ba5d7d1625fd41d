//! From outcomes to a plan: writes, decisions, conflicts, rejects.

use std::collections::BTreeSet;

use super::field::{Course, Outcome, Scene, Seen, Settled};
use super::plan::{Decision, OpenConflict, Plan, PlannedWrite, Reject, Verdict, WriteAction};
use crate::record::{PerSide, Raw, Record, SalesforceId, Side, Value};

/// The rule by which an owner stays who is nobody on the other side.
pub const OWNER_UNKNOWN: &str = "owner unknown";

/// Puts every course's outcome into `plan`. `creates` says how the missing record is created.
pub(super) fn carry(
    plan: &mut Plan,
    scene: &Scene<'_>,
    courses: &[Course<'_>],
    creates: Option<(Side, WriteAction)>,
) {
    let mut pages = PerSide::from_fn(|side| Page::of(scene, side));
    for course in courses {
        mention(plan, course);
        match &course.outcome {
            Outcome::Quiet => {}
            Outcome::Unsettled => keep_open(plan, scene, course),
            Outcome::Agreed => {
                let value = course.merged().clone();
                let alone = course.seen.iter().any(|(_, seen)| *seen == Seen::NoField);
                let (rule, reason) = if alone {
                    ("read", "only one side has the field".to_owned())
                } else {
                    ("agreed", "both sides say the same".to_owned())
                };
                let decision = decision(course, Verdict::Agreed, rule, reason);
                plan.decisions.push(Decision { new_base: Some(value), ..decision });
            }
            Outcome::Leave { rule, reason, .. } => {
                plan.decisions.push(decision(course, Verdict::LeftAlone, rule, reason.clone()));
            }
            Outcome::Park { reason } => {
                plan.decisions.push(decision(course, Verdict::Parked, "ask", reason.clone()));
                park(plan, scene, course, reason);
            }
            Outcome::Settle(settled) => settle(plan, scene, course, settled, &mut pages),
        }
    }
    if let (Some(hubspot), Some(salesforce)) = (scene.records.hubspot, scene.records.salesforce) {
        let records = PerSide { hubspot, salesforce };
        for side in Side::BOTH {
            let field = &scene.mapping().sides.get(side).id_field;
            let id = &records.get(side.other()).key.id;
            if !field.is_empty() && !holds_id(records.get(side), field, id) {
                pages.get_mut(side).fields.insert(field.clone(), Raw::text(id.as_str()));
            }
        }
    }
    let creates = &creates;
    let PerSide { hubspot, salesforce } = pages;
    for (side, page) in [(Side::HubSpot, hubspot), (Side::Salesforce, salesforce)] {
        let action = match (scene.records.get(side), creates) {
            (None, Some((created, action))) if *created == side => Some(action.clone()),
            (Some(record), _) if !page.fields.is_empty() => {
                Some(WriteAction::Update { id: record.key.id.clone() })
            }
            _ => None,
        };
        *plan.writes.get_mut(side) = action.map(|action| PlannedWrite {
            object: page.object.to_owned(),
            action,
            fields: page.fields,
            clear_first: page.clear_first,
        });
    }
}

/// The fields of one side's write, as they come together.
struct Page<'a> {
    object: &'a str,
    fields: std::collections::BTreeMap<String, Raw>,
    clear_first: BTreeSet<String>,
}

impl<'a> Page<'a> {
    fn of(scene: &Scene<'a>, side: Side) -> Self {
        let planned = &scene.mapping().sides.get(side).object;
        let object = scene.records.get(side).map_or(planned, |record| &record.key.object);
        Self { object, fields: Default::default(), clear_first: BTreeSet::new() }
    }
}

/// Whether the record's `field` holds `id` already. People paste Salesforce ids of 15 characters.
fn holds_id(record: &Record, field: &str, id: &str) -> bool {
    match record.get(field) {
        Raw::Text(held) => {
            held == id || SalesforceId::parse(held).is_ok_and(|held| held.as_str() == id)
        }
        Raw::Number(held) => held.to_string() == id,
        Raw::Null | Raw::Bool(_) => false,
    }
}

/// Says what cannot be read and what stands aside.
fn mention(plan: &mut Plan, course: &Course<'_>) {
    for (side, seen) in course.seen.iter() {
        match seen {
            Seen::Bad(problem) => plan.rejects.push(Reject {
                field: course.field.name.clone(),
                side: Some(side),
                problem: problem.clone(),
            }),
            Seen::Aside(why) => plan.notes.push(format!("{}: {why}", course.field.name)),
            Seen::NoRecord | Seen::NoField | Seen::Value(_) => {}
        }
    }
}

fn decision(course: &Course<'_>, verdict: Verdict, rule: &str, reason: String) -> Decision {
    Decision {
        field: course.field.name.clone(),
        base: course.base.cloned(),
        values: PerSide::from_fn(|side| course.seen.get(side).value().cloned()),
        verdict,
        rule: rule.to_owned(),
        reason,
        written_to: BTreeSet::new(),
        new_base: None,
        lost: Default::default(),
    }
}

/// A conflict that was open stays so while its field cannot be settled.
fn keep_open(plan: &mut Plan, scene: &Scene<'_>, course: &Course<'_>) {
    if let Some(open) = scene.situation.open.get(&course.field.name) {
        plan.conflicts.insert(course.field.name.clone(), open.clone());
    }
}

fn park(plan: &mut Plan, scene: &Scene<'_>, course: &Course<'_>, reason: &str) {
    let open = scene.situation.open.get(&course.field.name);
    let stamp = |side: Side| {
        let record = (*scene.records.get(side))?;
        let place = course.field.sides.get(side).as_ref()?;
        record.stamp(place.name(&record.key.object)?)
    };
    let value = |side: Side| course.seen.get(side).value().cloned().unwrap_or(Value::Blank);
    plan.conflicts.insert(
        course.field.name.clone(),
        OpenConflict {
            base: course.base.cloned(),
            values: PerSide::from_fn(value),
            stamps: PerSide::from_fn(stamp),
            since: open.map_or(scene.situation.now, |open| open.since),
            reason: reason.to_owned(),
            resolution: None,
        },
    );
}

fn settle(
    plan: &mut Plan,
    scene: &Scene<'_>,
    course: &Course<'_>,
    settled: &Settled,
    pages: &mut PerSide<Page<'_>>,
) {
    let field = course.field;
    let unknown = Side::BOTH.into_iter().find(|side| {
        *settled.to.get(*side)
            && field.leaves_owner(scene.mapping(), *side, &settled.value, scene.situation.directory)
    });
    if let Some(side) = unknown {
        let reason =
            format!("nobody in {side} has the address of {}'s owner, who stays", side.other());
        plan.notes.push(format!("{}: {reason}", field.name));
        plan.decisions.push(decision(course, Verdict::LeftAlone, OWNER_UNKNOWN, reason));
        return;
    }
    let mut decision = decision(
        course,
        Verdict::Settled(settled.value.clone()),
        &settled.rule,
        settled.reason.clone(),
    );
    decision.lost = settled.lost.clone();
    for side in Side::BOTH.into_iter().filter(|side| *settled.to.get(*side)) {
        let page = pages.get_mut(side);
        let place = field.sides.get(side).as_ref();
        let Some(name) = place.and_then(|place| place.name(page.object)) else { continue };
        match field.write(scene.mapping(), side, &settled.value, scene.situation.directory) {
            // A new record needs no word for what it lacks.
            Ok(Raw::Null) if scene.records.get(side).is_none() => {}
            Ok(raw) => {
                page.fields.insert(name.to_owned(), raw);
                if goes_back(scene, course, side, &settled.value) {
                    page.clear_first.insert(name.to_owned());
                }
                decision.written_to.insert(side);
            }
            Err(problem) => {
                plan.rejects.push(Reject { field: field.name.clone(), side: Some(side), problem })
            }
        }
    }
    let holds = |side: Side| match course.seen.get(side) {
        Seen::Value(value) => **value == settled.value || decision.written_to.contains(&side),
        Seen::NoRecord => settled.value.is_blank() || decision.written_to.contains(&side),
        Seen::NoField => true,
        Seen::Aside(_) | Seen::Bad(_) => false,
    };
    if Side::BOTH.into_iter().all(holds) {
        decision.new_base = Some(settled.value.clone());
    } else {
        keep_open(plan, scene, course);
    }
    let nothing_new = Side::BOTH.into_iter().any(|side| *course.seen.get(side) == Seen::NoRecord)
        && settled.value.is_blank();
    if !nothing_new || !decision.written_to.is_empty() {
        plan.decisions.push(decision);
    }
}

/// Whether writing `value` takes a HubSpot stage back. HubSpot answers such a write with 200 and
/// keeps the later stage, unless the stage is cleared first. A stage outside the order may lie
/// anywhere in HubSpot's own.
fn goes_back(scene: &Scene<'_>, course: &Course<'_>, side: Side, value: &Value) -> bool {
    let Some(stages) = &scene.mapping().stages else { return false };
    if side != Side::HubSpot || stages.field != course.field.name || value.is_blank() {
        return false;
    }
    match course.seen.get(side).value() {
        None | Some(Value::Blank) => false,
        Some(held) => match (stages.place(held), stages.place(value)) {
            (Some(held), Some(new)) => new < held,
            _ => true,
        },
    }
}
