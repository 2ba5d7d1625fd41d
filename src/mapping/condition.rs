//! The admin's conditions: expressions in the syntax that HubSpot admins know from HubL.
//!
//! A condition sees [`Facts`]: each field of the mapping by its canonical name (the merged value),
//! `hubspot.<field>` and `salesforce.<field>` for a side's own value, `changed.hubspot` and
//! `changed.salesforce` (the names of the fields that changed there since the base), and `now`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use minijinja::{Environment, Expression, UndefinedBehavior};

use crate::record::{PerSide, Side, Value};

/// How many instructions one evaluation may cost. Mapping conditions need dozens.
const FUEL: u64 = 5_000;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_fuel(Some(FUEL));
    engine
});

/// A compiled condition.
#[derive(Clone)]
pub struct Condition {
    source: Arc<str>,
    expression: Arc<Expression<'static, 'static>>,
    /// What it looks at. The engine is told of nothing else: telling it costs more than answering.
    looks: Arc<[Look]>,
}

/// Something that a condition looks at.
enum Look {
    /// A field's merged value.
    Merged(String),
    /// A side's own value of a field.
    Own(Side, String),
    /// All of a side's own values, or which ones cannot be told from the text.
    Side(Side),
    /// The fields that changed.
    Changed,
    /// The time.
    Now,
}

/// Why a condition cannot be read or did not give yes or no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// What is wrong.
    pub message: String,
    /// Where in the condition's text, in bytes, where that is known.
    pub range: Option<std::ops::Range<usize>>,
}

impl From<minijinja::Error> for ConditionError {
    fn from(error: minijinja::Error) -> Self {
        let message = match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        };
        Self { message, range: error.range() }
    }
}

/// What a condition sees.
pub trait Sight {
    /// The merged value of `field`; nothing where there is no such field.
    fn merged(&self, field: &str) -> Option<&Value>;

    /// `side`'s own value of `field`; nothing where there is no such field.
    fn own(&self, side: Side, field: &str) -> Option<&Value>;

    /// The names of all fields of `side`.
    fn names(&self, side: Side) -> Vec<&str>;

    /// The names of the fields that changed on `side` since the base.
    fn changed(&self, side: Side) -> Vec<&str>;

    /// The time of the settlement.
    fn now(&self) -> Timestamp;
}

/// What a condition sees, spelled out.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The merged value of each field.
    pub merged: BTreeMap<String, Value>,
    /// Each side's own value of each field.
    pub sides: PerSide<BTreeMap<String, Value>>,
    /// The fields that changed on each side since the base.
    pub changed: PerSide<BTreeSet<String>>,
    /// The time of the settlement.
    pub now: Timestamp,
}

impl Sight for Facts {
    fn merged(&self, field: &str) -> Option<&Value> {
        self.merged.get(field)
    }

    fn own(&self, side: Side, field: &str) -> Option<&Value> {
        self.sides.get(side).get(field)
    }

    fn names(&self, side: Side) -> Vec<&str> {
        self.sides.get(side).keys().map(String::as_str).collect()
    }

    fn changed(&self, side: Side) -> Vec<&str> {
        self.changed.get(side).iter().map(String::as_str).collect()
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// Where it is not an expression: what was found, and where.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        let expression = ENGINE.compile_expression_owned(source.to_owned())?;
        let names: BTreeSet<String> = expression.undeclared_variables(true).into_iter().collect();
        let looks = names.iter().map(|name| Look::at(name)).collect();
        Ok(Self { source: source.into(), expression: Arc::new(expression), looks })
    }

    /// The text as the admin wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses, dotted: `score`, `hubspot.email`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.expression.undeclared_variables(true).into_iter().collect()
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Where a name is unknown, a comparison makes no sense, the fuel runs out, or the result is
    /// neither yes nor no.
    pub fn holds(&self, sight: &impl Sight) -> Result<bool, ConditionError> {
        let value = self.expression.eval(context(&self.looks, sight))?;
        bool::try_from(value.clone()).map_err(|_| ConditionError {
            message: format!("the condition must give true or false, and gave {value}"),
            range: None,
        })
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.source)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Look {
    /// What a dotted name stands for.
    fn at(name: &str) -> Self {
        let (first, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
        let side = Side::BOTH.into_iter().find(|side| side.key() == first);
        match (side, rest, first) {
            (Some(side), Some(field), _) => {
                let field = field.split('.').next().unwrap_or(field);
                Self::Own(side, field.to_owned())
            }
            (Some(side), None, _) => Self::Side(side),
            (None, _, "changed") => Self::Changed,
            (None, _, "now") => Self::Now,
            (None, _, field) => Self::Merged(field.to_owned()),
        }
    }
}

fn context(looks: &[Look], sight: &impl Sight) -> minijinja::Value {
    type Map = BTreeMap<String, minijinja::Value>;
    let mut root = Map::new();
    let mut sides: PerSide<Option<Map>> = PerSide::default();
    let mut tell = |side: Side, field: &str| {
        let known = sides.get_mut(side).get_or_insert_default();
        if let Some(value) = sight.own(side, field) {
            known.insert(field.to_owned(), of(value));
        }
    };
    for look in looks {
        match look {
            Look::Merged(field) => {
                if let Some(value) = sight.merged(field) {
                    root.insert(field.clone(), of(value));
                }
            }
            Look::Own(side, field) => tell(*side, field),
            Look::Side(side) => {
                for field in sight.names(*side) {
                    tell(*side, field);
                }
            }
            Look::Changed => {
                let changed: Map = Side::BOTH
                    .into_iter()
                    .map(|side| {
                        let names = sight.changed(side).into_iter().map(minijinja::Value::from);
                        (side.key().to_owned(), names.collect())
                    })
                    .collect();
                root.insert("changed".to_owned(), changed.into());
            }
            Look::Now => {
                root.insert("now".to_owned(), sight.now().to_string().into());
            }
        }
    }
    for (side, own) in Side::BOTH.into_iter().zip([sides.hubspot, sides.salesforce]) {
        if let Some(own) = own {
            root.insert(side.key().to_owned(), own.into());
        }
    }
    root.into()
}

/// A value as conditions see it: dates and moments are text in ISO 8601, which compares as time
/// does; a blank is `none`.
fn of(value: &Value) -> minijinja::Value {
    match value {
        Value::Blank => ().into(),
        Value::Text(text) => text.clone().into(),
        Value::Number(number) => number.get().into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Date(date) => date.to_string().into(),
        Value::DateTime(moment) => moment.to_string().into(),
        Value::Choices(choices) => choices.iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Number;

    fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.merged.insert("score".into(), Value::Number(Number::from(62)));
        facts.merged.insert("stage".into(), Value::text("lead"));
        facts.sides.hubspot.insert("stage".into(), Value::text("lead"));
        facts.changed.hubspot.insert("score".into());
        facts
    }

    #[test]
    fn conditions_see_the_merged_record_each_side_and_what_changed() {
        for (source, holds) in [
            ("score >= 50 and stage in ['subscriber', 'lead']", true),
            ("score > 62", false),
            ("hubspot.stage == 'lead' and 'score' in changed.hubspot", true),
            ("'score' in changed.salesforce", false),
            ("'score' in changed['hubspot']", true),
            ("hubspot['stage'] == 'lead' and hubspot|length == 1", true),
            ("now >= '1970-01-01'", true),
        ] {
            assert_eq!(Condition::compile(source).unwrap().holds(&facts()), Ok(holds), "{source}");
        }
    }

    #[test]
    fn what_is_not_yes_or_no_is_an_error() {
        assert!(Condition::compile("score >").is_err());
        assert!(Condition::compile("scroe > 3").unwrap().holds(&facts()).is_err());
        assert!(Condition::compile("stage").unwrap().holds(&facts()).is_err());
        let endless = "range(100000)|map('abs')|sum > 0";
        assert!(Condition::compile(endless).unwrap().holds(&facts()).is_err());
    }
}
