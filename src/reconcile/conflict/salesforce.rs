//! Salesforce's value wins.

use super::{ConflictRule, Dispute, Opinion};
use crate::mapping::Rule;
use crate::record::Side;

/// Salesforce's value wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Salesforce,
    name: "salesforce",
    line: "Salesforce's value wins",
    long: "`\"salesforce\"`: Salesforce's value wins, whatever it is. It always has an opinion, so a rule \
           after it is never asked.",
    judge: |_: &Dispute<'_>| {
        Opinion::Take(Side::Salesforce, "the mapping prefers Salesforce".to_owned())
    },
};
