//! What conditions see, made once per settlement and only if a condition asks.

use std::cell::RefCell;

use super::field::{Course, Scene};
use super::plan::Reject;
use crate::mapping::{BadValue, ConditionError, Facts};
use crate::record::{PerSide, Side, Value};

/// The facts of one settlement.
pub(super) struct Scenery<'a> {
    scene: Scene<'a>,
    facts: RefCell<Option<Facts>>,
}

impl<'a> Scenery<'a> {
    pub(super) const fn new(scene: Scene<'a>) -> Self {
        Self { scene, facts: RefCell::new(None) }
    }

    pub(super) const fn scene(&self) -> &Scene<'a> {
        &self.scene
    }

    /// Answers with the merged record, both sides and what changed.
    pub(super) fn facts<T>(&self, courses: &[Course<'_>], answer: impl FnOnce(&Facts) -> T) -> T {
        let mut facts = self.facts.borrow_mut();
        answer(facts.get_or_insert_with(|| self.all(courses)))
    }

    /// Says that another value lives on in one field.
    pub(super) fn moved(&self, course: &Course<'_>) {
        if let Some(facts) = self.facts.borrow_mut().as_mut() {
            facts.merged.insert(course.field.name.clone(), course.merged().clone());
        }
    }

    /// Answers with what `side` alone says: the plain names are its own values.
    pub(super) fn of_side<T>(
        &self,
        courses: &[Course<'_>],
        side: Side,
        answer: impl FnOnce(&Facts) -> T,
    ) -> T {
        let own = own(courses, side);
        let mut facts = Facts { now: self.scene.situation.now, ..Facts::default() };
        facts.merged = own.clone();
        *facts.sides.get_mut(side) = own;
        answer(&facts)
    }

    fn all(&self, courses: &[Course<'_>]) -> Facts {
        Facts {
            merged: courses
                .iter()
                .map(|course| (course.field.name.clone(), course.merged().clone()))
                .collect(),
            sides: PerSide::from_fn(|side| own(courses, side)),
            changed: PerSide::from_fn(|side| {
                let changed = courses.iter().filter(|course| course.changed(side));
                changed.map(|course| course.field.name.clone()).collect()
            }),
            now: self.scene.situation.now,
        }
    }
}

/// `side`'s own values. What cannot be read counts as blank: its reject names it.
fn own(courses: &[Course<'_>], side: Side) -> std::collections::BTreeMap<String, Value> {
    let value = |course: &Course<'_>| course.seen.get(side).value().cloned();
    courses
        .iter()
        .map(|course| (course.field.name.clone(), value(course).unwrap_or(Value::Blank)))
        .collect()
}

/// The reject of a condition that gave no answer.
pub(super) fn failed(field: String, side: Option<Side>, error: &ConditionError) -> Reject {
    Reject {
        problem: BadValue {
            message: format!("the condition of {field} gives no answer: {error}"),
            hint: "test for a blank first, as in `score is not none and score > 50`".to_owned(),
        },
        field,
        side,
    }
}
