//! One filter of a search.

use std::cmp::Ordering;

use serde_json::Value;

use super::invalid;
use crate::sandbox::hubspot::errors::{Refusal, plain};
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::record::Record;
use crate::sandbox::hubspot::validate::moment;
use crate::sandbox::hubspot::world::Account;

/// What a filter does with its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    Has,
    HasNot,
    Contains,
    ContainsNot,
}

impl Operator {
    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "EQ" => Self::Eq,
            "NEQ" => Self::Neq,
            "LT" => Self::Lt,
            "LTE" => Self::Lte,
            "GT" => Self::Gt,
            "GTE" => Self::Gte,
            "BETWEEN" => Self::Between,
            "IN" => Self::In,
            "NOT_IN" => Self::NotIn,
            "HAS_PROPERTY" => Self::Has,
            "NOT_HAS_PROPERTY" => Self::HasNot,
            "CONTAINS_TOKEN" => Self::Contains,
            "NOT_CONTAINS_TOKEN" => Self::ContainsNot,
            _ => return None,
        })
    }
}

/// How values of a property compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By size.
    Number,
    /// The record's own id.
    Id,
    /// By milliseconds.
    Moment,
    /// Exactly: internal values of enumerations.
    Exact,
    /// Without case.
    Text,
    /// By the ids of associated records of a kind.
    Associated(Object),
}

/// A filter that was understood.
#[derive(Debug)]
pub(super) struct Filter {
    pub name: String,
    pub operator: Operator,
    pub values: Vec<String>,
    kind: Kind,
    bounds: Vec<i64>,
}

impl Filter {
    pub fn read(account: &Account, object: Object, filter: &Value) -> Result<Self, Refusal> {
        let name = filter["propertyName"].as_str().unwrap_or_default();
        let word = filter["operator"].as_str().unwrap_or_default();
        let operator = Operator::named(word)
            .ok_or_else(|| invalid(format!("{word} is not a valid search operator")))?;
        let kind = match name.strip_prefix("associations.") {
            Some(other) => {
                let message = format!("Unable to infer object type from: {other}");
                let other = Object::named(other).ok_or_else(|| plain(400, message).unmodelled())?;
                Kind::Associated(other)
            }
            None => {
                let property = account.table(object).property(name).ok_or_else(|| {
                    invalid(format!(
                        "There was a problem with the request: property {name} does not exist"
                    ))
                })?;
                match property.kind.as_str() {
                    _ if name == "hs_object_id" => Kind::Id,
                    "number" => Kind::Number,
                    "date" | "datetime" => Kind::Moment,
                    "enumeration" | "bool" => Kind::Exact,
                    _ => Kind::Text,
                }
            }
        };
        let values = given(filter, operator)?;
        let bounds = bounds(name, operator, kind, &values)?;
        Ok(Self { name: name.to_owned(), operator, values, kind, bounds })
    }

    /// Whether a record passes. A record without a value passes only `NOT_HAS_PROPERTY`.
    pub fn takes(&self, account: &Account, record: &Record) -> bool {
        if let Kind::Associated(to) = self.kind {
            let ids = account.associations.of(record.object, record.id, to);
            let hit = ids.iter().any(|id| self.values.contains(&id.to_string()));
            return match self.operator {
                Operator::Has => !ids.is_empty(),
                Operator::HasNot => ids.is_empty(),
                Operator::Neq | Operator::NotIn => !hit,
                _ => hit,
            };
        }
        if self.kind == Kind::Id {
            let id = i64::try_from(record.id).unwrap_or(i64::MAX);
            return self.decide(true, |at| Some(id.cmp(self.bounds.get(at)?)));
        }
        if self.kind == Kind::Moment {
            let stamp = if self.name == record.object.modified() {
                Some(record.updated)
            } else if self.name == record.object.created() {
                Some(record.created)
            } else {
                record.stored(&self.name).and_then(moment)
            };
            let ms = stamp.map(|at| at.as_millisecond());
            return self.decide(ms.is_some(), |at| {
                ms.zip(self.bounds.get(at).copied()).map(|(ms, bound)| ms.cmp(&bound))
            });
        }
        let value = record.get(&self.name);
        if matches!(self.operator, Operator::Contains | Operator::ContainsNot) {
            let Some(value) = value else { return false };
            let hit = self.values.first().is_some_and(|token| contains(&value, token));
            return hit == (self.operator == Operator::Contains);
        }
        self.decide(value.is_some(), |at| {
            let (value, bound) = (value.as_deref()?, self.values.get(at)?);
            match self.kind {
                Kind::Number => value.parse::<f64>().ok()?.partial_cmp(&bound.parse::<f64>().ok()?),
                Kind::Exact => Some(value.cmp(bound)),
                _ => Some(value.to_lowercase().cmp(&bound.to_lowercase())),
            }
        })
    }

    /// Decides by comparing the record's value with the filter's values by their place.
    fn decide(&self, has: bool, compare: impl Fn(usize) -> Option<Ordering>) -> bool {
        let first = || compare(0);
        let any = || (0..self.values.len()).any(|at| compare(at) == Some(Ordering::Equal));
        match self.operator {
            Operator::Has => has,
            Operator::HasNot => !has,
            Operator::Eq => first() == Some(Ordering::Equal),
            Operator::Neq => has && first() != Some(Ordering::Equal),
            Operator::Lt => first() == Some(Ordering::Less),
            Operator::Lte => first().is_some_and(Ordering::is_le),
            Operator::Gt => first() == Some(Ordering::Greater),
            Operator::Gte => first().is_some_and(Ordering::is_ge),
            Operator::Between => {
                first().is_some_and(Ordering::is_ge) && compare(1).is_some_and(Ordering::is_le)
            }
            Operator::In => any(),
            Operator::NotIn => has && !any(),
            Operator::Contains | Operator::ContainsNot => false,
        }
    }
}

fn given(filter: &Value, operator: Operator) -> Result<Vec<String>, Refusal> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    let one = |name: &str| {
        text(&filter[name]).ok_or_else(|| {
            let word = filter["operator"].as_str().unwrap_or_default();
            invalid(format!("operator {word} requires `{name}`"))
        })
    };
    match operator {
        Operator::Has | Operator::HasNot => Ok(Vec::new()),
        Operator::Between => Ok(vec![one("value")?, one("highValue")?]),
        Operator::In | Operator::NotIn => {
            let values = filter["values"].as_array().filter(|values| !values.is_empty());
            let values = values.ok_or_else(|| invalid("operator IN requires `values`"))?;
            Ok(values.iter().filter_map(text).collect())
        }
        _ => Ok(vec![one("value")?]),
    }
}

fn bounds(
    name: &str,
    operator: Operator,
    kind: Kind,
    values: &[String],
) -> Result<Vec<i64>, Refusal> {
    if kind == Kind::Id {
        let parse = |value: &String| {
            let message = format!("Value {value} of property {name} was not a valid long.");
            value.parse::<i64>().map_err(|_| invalid(message))
        };
        return values.iter().map(parse).collect();
    }
    if kind != Kind::Moment || matches!(operator, Operator::Contains | Operator::ContainsNot) {
        return Ok(Vec::new());
    }
    let mut bounds = Vec::new();
    for value in values {
        let at = moment(value).ok_or_else(|| {
            invalid(format!("Value {value} of property {name} was not a valid date."))
        })?;
        // Connectors have seen the platform fail on the beginning of time.
        if at.as_millisecond() == 0 {
            return Err(plain(500, "internal error"));
        }
        bounds.push(at.as_millisecond());
    }
    Ok(bounds)
}

/// Whether a text holds a token; `*` stands for any characters at either end.
fn contains(value: &str, token: &str) -> bool {
    let (value, token) = (value.to_lowercase(), token.to_lowercase());
    let open = (token.starts_with('*'), token.ends_with('*'));
    let core = token.trim_matches('*');
    let mut words = value.split(|c: char| c.is_whitespace() || ",;@<>()/".contains(c));
    value == core
        || words.any(|word| match open {
            (false, false) => word == core,
            (true, false) => word.ends_with(core),
            (false, true) => word.starts_with(core),
            (true, true) => word.contains(core),
        })
        || (open == (true, true) && value.contains(core))
}
