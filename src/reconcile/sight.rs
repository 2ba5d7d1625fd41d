//! What conditions see of a settlement.

use jiff::Timestamp;

use super::field::Course;
use super::plan::Reject;
use crate::mapping::{BadValue, Condition, ConditionError, Sight};
use crate::record::{Side, Value};

const BLANK: &Value = &Value::Blank;

/// Whether `condition` holds of the merged record, both sides and what changed.
pub(super) fn holds(
    condition: &Condition,
    courses: &[Course<'_>],
    now: Timestamp,
) -> Result<bool, ConditionError> {
    condition.holds(&Merged { courses, now })
}

/// Whether `condition` holds of what `side` alone says: the plain names are its own values.
pub(super) fn holds_on(
    condition: &Condition,
    courses: &[Course<'_>],
    side: Side,
    now: Timestamp,
) -> Result<bool, ConditionError> {
    condition.holds(&OneSide { courses, side, now })
}

struct Merged<'c, 'a> {
    courses: &'c [Course<'a>],
    now: Timestamp,
}

struct OneSide<'c, 'a> {
    courses: &'c [Course<'a>],
    side: Side,
    now: Timestamp,
}

fn course<'c, 'a>(courses: &'c [Course<'a>], field: &str) -> Option<&'c Course<'a>> {
    courses.iter().find(|course| course.field.name == field)
}

/// `side`'s own value. What cannot be read counts as blank: its reject names it.
fn own<'c>(courses: &'c [Course<'_>], side: Side, field: &str) -> Option<&'c Value> {
    Some(course(courses, field)?.seen.get(side).value().unwrap_or(BLANK))
}

fn names<'c>(courses: &'c [Course<'_>]) -> Vec<&'c str> {
    courses.iter().map(|course| course.field.name.as_str()).collect()
}

impl Sight for Merged<'_, '_> {
    fn merged(&self, field: &str) -> Option<&Value> {
        Some(course(self.courses, field)?.merged())
    }

    fn own(&self, side: Side, field: &str) -> Option<&Value> {
        own(self.courses, side, field)
    }

    fn names(&self, _: Side) -> Vec<&str> {
        names(self.courses)
    }

    fn changed(&self, side: Side) -> Vec<&str> {
        let changed = self.courses.iter().filter(|course| course.changed(side));
        changed.map(|course| course.field.name.as_str()).collect()
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl Sight for OneSide<'_, '_> {
    fn merged(&self, field: &str) -> Option<&Value> {
        own(self.courses, self.side, field)
    }

    fn own(&self, side: Side, field: &str) -> Option<&Value> {
        own(self.courses, side, field).filter(|_| side == self.side)
    }

    fn names(&self, side: Side) -> Vec<&str> {
        if side == self.side { names(self.courses) } else { Vec::new() }
    }

    fn changed(&self, _: Side) -> Vec<&str> {
        Vec::new()
    }

    fn now(&self) -> Timestamp {
        self.now
    }
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
