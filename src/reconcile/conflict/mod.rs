//! The rules that decide between two values, one file per rule.
//!
//! A rule sees a [`Dispute`] and has an [`Opinion`]. The admin lists rules in order; the first with
//! an opinion wins. If none has one, or one says that a person decides, the field is parked.

mod ask;
mod furthest;
mod highest;
mod hubspot;
mod lowest;
mod newest;
mod salesforce;

use crate::mapping::{Field, Rule, Stages};
use crate::record::{PerSide, Record, Side, Stamp, Value};

/// A conflict rule: what it is called, what it does, and how it judges.
pub struct ConflictRule {
    /// Which rule this is.
    pub rule: Rule,
    /// The word for it in mapping files.
    pub name: &'static str,
    /// One line of help.
    pub line: &'static str,
    /// The reference's text.
    pub long: &'static str,
    /// What it thinks of a dispute.
    pub judge: fn(&Dispute<'_>) -> Opinion,
}

/// Two values of one field of which one may live on.
#[derive(Clone, Copy)]
pub struct Dispute<'a> {
    /// The field.
    pub field: &'a Field,
    /// The mapping's stages, where it has them.
    pub stages: Option<&'a Stages>,
    /// The values, which differ.
    pub values: PerSide<&'a Value>,
    /// The records that hold them, for the times of change.
    pub records: PerSide<&'a Record>,
}

impl Dispute<'_> {
    /// When `side`'s value was set, as far as that is known.
    #[must_use]
    pub fn stamp(&self, side: Side) -> Option<Stamp> {
        let record = self.records.get(side);
        let name = self.field.sides.get(side).as_ref()?.name(&record.key.object)?;
        record.stamp(name)
    }
}

/// What a rule thinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// This side's value lives on: why.
    Take(Side, String),
    /// A person decides.
    Ask,
    /// No opinion: why.
    None(String),
}

/// What a list of rules came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// This side's value lives on.
    Take {
        /// The side.
        side: Side,
        /// The rule that decided.
        rule: Rule,
        /// Why, in a sentence's part.
        reason: String,
    },
    /// Nobody but a person decides: why.
    Park(String),
}

/// Every rule, in the order of the reference.
pub static REGISTRY: &[&ConflictRule] = &[
    &hubspot::RULE,
    &salesforce::RULE,
    &newest::RULE,
    &furthest::RULE,
    &highest::RULE,
    &lowest::RULE,
    &ask::RULE,
];

/// The registry's entry for `rule`.
#[must_use]
pub fn entry(rule: Rule) -> &'static ConflictRule {
    match rule {
        Rule::HubSpot => &hubspot::RULE,
        Rule::Salesforce => &salesforce::RULE,
        Rule::Newest => &newest::RULE,
        Rule::Furthest => &furthest::RULE,
        Rule::Highest => &highest::RULE,
        Rule::Lowest => &lowest::RULE,
        Rule::Ask => &ask::RULE,
    }
}

/// Asks `rules` in order.
#[must_use]
pub fn judge(rules: &[Rule], dispute: &Dispute<'_>) -> Ruling {
    let mut silent = Vec::new();
    for &rule in rules {
        let entry = entry(rule);
        match (entry.judge)(dispute) {
            Opinion::Take(side, reason) => return Ruling::Take { side, rule, reason },
            Opinion::Ask => {
                silent.push("the mapping asks a person".to_owned());
                break;
            }
            Opinion::None(why) => silent.push(format!("{} has no opinion: {why}", entry.name)),
        }
    }
    Ruling::Park(if silent.is_empty() {
        "the mapping names no rule".to_owned()
    } else {
        silent.join("; ")
    })
}

/// The greater of two values of one ordered kind; nothing where they have no order.
fn ordered(values: PerSide<&Value>) -> Option<Side> {
    let comparable = matches!(
        (values.hubspot, values.salesforce),
        (Value::Number(_), Value::Number(_))
            | (Value::Bool(_), Value::Bool(_))
            | (Value::Date(_), Value::Date(_))
            | (Value::DateTime(_), Value::DateTime(_))
    );
    match values.hubspot.cmp(values.salesforce) {
        _ if !comparable => None,
        std::cmp::Ordering::Greater => Some(Side::HubSpot),
        std::cmp::Ordering::Less => Some(Side::Salesforce),
        std::cmp::Ordering::Equal => None,
    }
}
