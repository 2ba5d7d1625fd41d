//! The greater value wins.

use super::{ConflictRule, Dispute, Opinion, ordered};
use crate::mapping::Rule;

/// The greater value wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Highest,
    name: "highest",
    line: "the greater value wins",
    long: "`\"highest\"`: the greater number, the later date or moment, and yes before no (so an \
           opt-out on either side holds on both). It has no opinion on texts and choices, nor \
           where one side is blank.",
    judge: |dispute: &Dispute<'_>| match ordered(dispute.values) {
        Some(side) => Opinion::Take(
            side,
            format!(
                "{} is more than {}",
                dispute.values.get(side),
                dispute.values.get(side.other())
            ),
        ),
        None => Opinion::None("the values have no order".to_owned()),
    },
};
