//! Stages: forward by the furthest, back only by a rule that the admin wrote.
//!
//! On the ordered stages with a blank below them all, [`furthest`] is a join: commutative,
//! associative and idempotent. Whatever order changes arrive in, and however often, both sides come
//! to the same stage.
//!
//! A way back with a `to` has its occasion when its condition comes to hold: it applies then if the
//! stage is one that it leaves, and has no other occasion until the condition ceased to hold.
//! Otherwise it and a qualification could take turns for ever. A way back without a `to` allows an
//! edit that a person made: each such edit is its own occasion, so nothing is marked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::field::{Course, Outcome, Scene, Seen};
use super::plan::Reject;
use super::sight::{failed, holds};
use crate::mapping::{BackRule, Direction, Field, Mapping, Stages};
use crate::record::{PerSide, Side, Value};

/// The stages, where `field` holds them and every value is blank or in their order. A value outside
/// the order can be neither further nor back; it is decided like any other field's.
pub(super) fn of<'m>(
    mapping: &'m Mapping,
    field: &Field,
    base: Option<&Value>,
    values: PerSide<&Value>,
) -> Option<&'m Stages> {
    let stages = mapping.stages.as_ref().filter(|stages| stages.field == field.name)?;
    let known = |value: &Value| value.is_blank() || stages.place(value).is_some();
    (known(values.hubspot) && known(values.salesforce) && base.is_none_or(known)).then_some(stages)
}

/// The later of two stages. A blank is earlier than every stage.
pub(super) fn furthest<'v>(stages: &Stages, one: &'v Value, other: &'v Value) -> &'v Value {
    if stages.place(other) > stages.place(one) { other } else { one }
}

/// Lets the first way back apply whose condition holds, and takes out the marks of those whose
/// condition ceased to hold.
pub(super) fn ways_back(
    scene: &Scene<'_>,
    courses: &mut [Course<'_>],
    applied: &mut BTreeMap<String, Option<Timestamp>>,
    rejects: &mut Vec<Reject>,
) {
    let situation = scene.situation;
    let Some(stages) = &situation.mapping.stages else { return };
    if stages.back.is_empty() {
        return;
    }
    let Some(index) = courses.iter().position(|course| course.field.name == stages.field) else {
        return;
    };
    let ordered = ordered(stages, &courses[index]);
    let mut chosen: Option<(&BackRule, Value)> = None;
    for rule in &stages.back {
        let marked = situation.base.applied.contains_key(&rule.name);
        let target = if ordered && !marked { aim(stages, rule, &courses[index]) } else { None };
        if !marked && target.is_none() && (rule.to.is_none() || !ordered) {
            continue;
        }
        match holds(&rule.when, courses, situation.now) {
            Ok(true) if marked => {}
            Ok(true) => {
                if rule.to.is_some() {
                    applied.insert(rule.name.clone(), Some(situation.now));
                }
                chosen = chosen.or(target.map(|target| (rule, target)));
            }
            Ok(false) if marked => {
                applied.insert(rule.name.clone(), None);
            }
            Ok(false) => {}
            Err(error) => {
                let name = format!("back {}", rule.name);
                rejects.push(failed(name, None, &error));
                // Without an answer an edit is neither undone nor allowed.
                let course = &mut courses[index];
                if target.is_some() && matches!(course.outcome, Outcome::Settle(_)) {
                    course.outcome = Outcome::Unsettled;
                }
                return;
            }
        }
    }
    let Some((rule, target)) = chosen else { return };
    let name = Cow::Owned(format!("back {}", rule.name));
    courses[index].set(target, name, rule.reason.clone());
}

/// Whether the stage can go back at all: it is written, and every side's value is readable and
/// blank or in the order.
fn ordered(stages: &Stages, course: &Course<'_>) -> bool {
    let known = |value: &Value| value.is_blank() || stages.place(value).is_some();
    course.field.direction != Direction::Read
        && course.base.is_none_or(known)
        && course.seen.iter().all(|(_, seen)| match seen {
            Seen::Bad(_) => false,
            Seen::Value(value) => known(value),
            Seen::NoRecord | Seen::NoField | Seen::Aside(_) => true,
        })
}

/// Where `rule` would take the stage, if the stage is one that it leaves.
fn aim(stages: &Stages, rule: &BackRule, course: &Course<'_>) -> Option<Value> {
    let values = || Side::BOTH.into_iter().filter_map(|side| course.seen.get(side).value());
    let (leaves, target) = match &rule.to {
        Some(to) => {
            let blank = &Value::Blank;
            let leaves = values()
                .chain(course.base)
                .fold(blank, |best, value| furthest(stages, best, value));
            (leaves, Value::text(to.as_str()))
        }
        None => {
            let base = course.base?;
            // Where one side went back and the other on, the furthest decides.
            if values().any(|value| stages.place(value) > stages.place(base)) {
                return None;
            }
            let blank = &Value::Blank;
            let target = values()
                .filter(|value| *value != base)
                .fold(blank, |best, value| furthest(stages, best, value));
            if target.is_blank() {
                return None;
            }
            (base, target.clone())
        }
    };
    let backward = stages.place(leaves) > stages.place(&target);
    let named = leaves.as_text().is_some_and(|stage| rule.from.contains(stage));
    (backward && (rule.from.is_empty() || named)).then_some(target)
}
