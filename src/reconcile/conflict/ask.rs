//! A person decides.

use super::{ConflictRule, Dispute, Opinion};
use crate::mapping::Rule;

/// A person decides.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Ask,
    name: "ask",
    line: "a person decides",
    long: "`\"ask\"`: the field is parked until a person decides, or until both sides say the \
           same. The rest of the record is settled meanwhile. A list without an opinion ends so \
           too; `\"ask\"` says that it is meant.",
    judge: |_: &Dispute<'_>| Opinion::Ask,
};
