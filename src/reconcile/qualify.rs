//! Qualification: written once in the mapping, over the merged record, for both sides.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::field::{Course, Scene};
use super::plan::{Reject, Situation};
use super::sight::{failed, holds};
use crate::mapping::{ConditionError, Direction, Mapping, Qualification};

/// What marks in [`Base::applied`](super::Base::applied) that a qualification was taken up again and that its `again` has
/// held ever since: one holding of `again` allows one more application.
#[must_use]
pub fn again_mark(rule: &str) -> String {
    format!("{rule} (again)")
}

/// Lets every qualification apply whose condition holds and that has not applied yet.
pub(super) fn qualify(
    scene: &Scene<'_>,
    courses: &mut [Course<'_>],
    applied: &mut BTreeMap<String, Option<Timestamp>>,
    rejects: &mut Vec<Reject>,
) {
    let situation = scene.situation;
    for rule in &situation.mapping.qualifications {
        match consider(situation, courses, rule) {
            Ok(step) => {
                if let Some(standing) = step.again {
                    applied.insert(again_mark(&rule.name), standing.then_some(situation.now));
                }
                if step.rearmed {
                    applied.insert(rule.name.clone(), None);
                }
                if step.applies {
                    applied.insert(rule.name.clone(), Some(situation.now));
                    set(situation.mapping, courses, rule);
                }
            }
            Err(error) => {
                rejects.push(failed(format!("qualification {}", rule.name), None, &error));
            }
        }
    }
}

struct Step {
    /// The condition holds and the rule may apply.
    applies: bool,
    /// The rule's mark is taken out.
    rearmed: bool,
    /// Whether the mark of `again` is set or taken out.
    again: Option<bool>,
}

fn consider(
    situation: &Situation<'_>,
    courses: &[Course<'_>],
    rule: &Qualification,
) -> Result<Step, ConditionError> {
    let marked = situation.base.applied.contains_key(&rule.name);
    let standing = situation.base.applied.contains_key(&again_mark(&rule.name));
    let again = match &rule.again {
        Some(again) => holds(again, courses, situation.now)?,
        None => false,
    };
    let rearmed = marked && again && !standing;
    let applies = (!marked || rearmed) && holds(&rule.when, courses, situation.now)?;
    let stands = again && (standing || rearmed || applies);
    Ok(Step { applies, rearmed, again: (stands != standing).then_some(stands) })
}

fn set(mapping: &Mapping, courses: &mut [Course<'_>], rule: &Qualification) {
    for (name, value) in &rule.set {
        let Some(course) = courses.iter_mut().find(|course| course.field.name == *name) else {
            continue;
        };
        let pulls_back = mapping.stages.as_ref().is_some_and(|stages| {
            stages.field == *name && stages.place(value) <= stages.place(course.merged())
        });
        if pulls_back || course.field.direction == Direction::Read {
            continue;
        }
        let name = Cow::Owned(format!("qualification {}", rule.name));
        course.set(value.clone(), name, rule.reason.clone());
    }
}
