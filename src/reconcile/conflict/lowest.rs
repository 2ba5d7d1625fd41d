//! The smaller value wins.

use super::{ConflictRule, Dispute, Opinion, ordered};
use crate::mapping::Rule;

/// The smaller value wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Lowest,
    name: "lowest",
    line: "the smaller value wins",
    long: "`\"lowest\"`: the smaller number, the earlier date or moment, and no before yes. It \
           has no opinion on texts and choices, nor where one side is blank.",
    judge: |dispute: &Dispute<'_>| match ordered(dispute.values) {
        Some(greater) => {
            let side = greater.other();
            Opinion::Take(
                side,
                format!(
                    "{} is less than {}",
                    dispute.values.get(side),
                    dispute.values.get(greater)
                ),
            )
        }
        None => Opinion::None("the values have no order".to_owned()),
    },
};
