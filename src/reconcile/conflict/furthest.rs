//! The later stage wins.

use super::{ConflictRule, Dispute, Opinion};
use crate::mapping::Rule;
use crate::record::Side;

/// The later stage wins.
pub static RULE: ConflictRule = ConflictRule {
    rule: Rule::Furthest,
    name: "furthest",
    line: "the later stage wins",
    long: "`\"furthest\"`: the value that comes later in the order of `[stages]` wins; any stage \
           is later than a blank. It has no opinion on a field that holds no stage, nor on a \
           value that the order does not list. The field of stages is always settled so; the \
           rule need not be listed there.",
    judge,
};

fn judge(dispute: &Dispute<'_>) -> Opinion {
    let Some(stages) = dispute.stages.filter(|stages| stages.field == dispute.field.name) else {
        return Opinion::None("the field holds no stage".to_owned());
    };
    let rank = |side: Side| match dispute.values.get(side) {
        value if value.is_blank() => Ok(None),
        value => stages.place(value).map(Some).ok_or(value),
    };
    match (rank(Side::HubSpot), rank(Side::Salesforce)) {
        (Err(odd), _) | (_, Err(odd)) => {
            Opinion::None(format!("the order of stages does not list {odd}"))
        }
        (Ok(h), Ok(s)) => {
            let side = if h > s { Side::HubSpot } else { Side::Salesforce };
            Opinion::Take(side, format!("{} is the later stage", dispute.values.get(side)))
        }
    }
}
