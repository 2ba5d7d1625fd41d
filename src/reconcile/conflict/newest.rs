//! The value that was set later wins, as far as that can be proved.

use super::{ConflictRule, Dispute, Opinion};
use crate::mapping::Rule;
use crate::record::{Side, Stamp};

/// The value that was set later wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Newest,
    name: "newest",
    line: "the value that was set later wins, where that is certain",
    long: "`\"newest\"`: the value that was set later wins. HubSpot tells when a property got its \
           value, Salesforce's change events when a field did. Where a side only tells when the \
           record was last modified, its field changed then or earlier: such a time can lose, but \
           it never proves a win. Times that lie within the field's `tolerance` are no reason \
           either, because the two clocks differ. Name another rule after it for those cases.",
    judge,
};

fn judge(dispute: &Dispute<'_>) -> Opinion {
    let (Some(h), Some(s)) = (dispute.stamp(Side::HubSpot), dispute.stamp(Side::Salesforce)) else {
        return Opinion::None("a side does not tell when its value was set".to_owned());
    };
    let gap = h.at.duration_since(s.at).abs();
    if gap <= dispute.field.tolerance {
        return Opinion::None(format!(
            "the changes are {gap:#} apart, and up to {:#} is no reason",
            dispute.field.tolerance
        ));
    }
    let (side, later, earlier): (Side, &Stamp, &Stamp) =
        if h.at > s.at { (Side::HubSpot, &h, &s) } else { (Side::Salesforce, &s, &h) };
    if !later.exact {
        return Opinion::None(format!(
            "{side} only says that the record was modified at {}, and the field may have changed \
             earlier",
            later.at
        ));
    }
    Opinion::Take(
        side,
        format!(
            "{side} changed it at {}, {} {} {}",
            later.at,
            side.other(),
            if earlier.exact { "at" } else { "not after" },
            earlier.at
        ),
    )
}
