//! HubSpot's value wins.

use super::{ConflictRule, Dispute, Opinion};
use crate::mapping::Rule;
use crate::record::Side;

/// HubSpot's value wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::HubSpot,
    name: "hubspot",
    line: "HubSpot's value wins",
    long: "`\"hubspot\"`: HubSpot's value wins, whatever it is. It always has an opinion, so a rule \
           after it is never asked.",
    judge: |_: &Dispute<'_>| Opinion::Take(Side::HubSpot, "the mapping prefers HubSpot".to_owned()),
};
