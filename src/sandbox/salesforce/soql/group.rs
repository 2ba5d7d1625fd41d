//! Groups and aggregates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ast::Function;
use super::bind::{Bound, Column, Key, Leaf, Source, Test};
use super::eval::{compare, holds, within};
use crate::sandbox::salesforce::schema::Kind;
use crate::sandbox::salesforce::table::Record;
use crate::sandbox::salesforce::world::Org;

impl Org {
    /// The finished rows of an aggregate query.
    pub(super) fn aggregate(&self, bound: &Bound, all: bool) -> Vec<Value> {
        let mut groups: BTreeMap<Vec<Key>, Vec<Arc<Record>>> = BTreeMap::new();
        if bound.group.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for row in self.matching(bound, all) {
            let keys = bound
                .group
                .iter()
                .map(|leaf| Key::of(&self.value(leaf, &row), leaf.kind))
                .collect();
            groups.entry(keys).or_default().push(row);
        }
        let mut kept: Vec<(Vec<Key>, Vec<Arc<Record>>)> = groups
            .into_values()
            .filter(|rows| bound.having.as_ref().is_none_or(|test| self.group_passes(test, rows)))
            .map(|rows| {
                let keys = bound.order.iter().map(|by| self.group_key(&by.source, &rows)).collect();
                (keys, rows)
            })
            .collect();
        kept.sort_by(|(a, _), (b, _)| compare(&bound.order, a, b));
        kept.into_iter()
            .skip(bound.offset)
            .take(bound.limit.unwrap_or(usize::MAX))
            .map(|(_, rows)| self.group_row(bound, &rows))
            .collect()
    }

    fn group_row(&self, bound: &Bound, rows: &[Arc<Record>]) -> Value {
        let mut out = Map::new();
        out.insert("attributes".to_owned(), json!({"type": "AggregateResult"}));
        for column in &bound.columns {
            match column {
                Column::Leaf(leaf, alias) => {
                    let value =
                        rows.first().map_or(Value::Null, |row| self.value(leaf, row).into_owned());
                    out.insert(alias.clone().unwrap_or_else(|| leaf.field.to_string()), value);
                }
                Column::Aggregate { function, leaf, name } => {
                    out.insert(name.clone(), self.compute(*function, leaf.as_ref(), rows));
                }
                Column::Children { .. } => {}
            }
        }
        Value::Object(out)
    }

    fn compute(&self, function: Function, leaf: Option<&Leaf>, rows: &[Arc<Record>]) -> Value {
        let Some(leaf) = leaf else { return json!(rows.len()) };
        let values: Vec<Value> = rows
            .iter()
            .map(|row| self.value(leaf, row).into_owned())
            .filter(|v| !v.is_null())
            .collect();
        let numbers = values.iter().filter_map(Value::as_f64);
        let best = |wanted: std::cmp::Ordering| {
            values.iter().cloned().reduce(|best, next| {
                let found = Key::of(&next, leaf.kind).cmp(&Key::of(&best, leaf.kind));
                if found == wanted { next } else { best }
            })
        };
        match function {
            Function::Count => json!(values.len()),
            Function::CountDistinct => {
                json!(values.iter().map(|v| Key::of(v, leaf.kind)).collect::<BTreeSet<_>>().len())
            }
            Function::Sum if values.is_empty() => Value::Null,
            Function::Sum => json!(numbers.sum::<f64>()),
            Function::Avg if values.is_empty() => Value::Null,
            // A figure of a test org fits a float's whole range many times over.
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 rows")]
            Function::Avg => json!(numbers.sum::<f64>() / values.len() as f64),
            Function::Min => best(std::cmp::Ordering::Less).unwrap_or(Value::Null),
            Function::Max => best(std::cmp::Ordering::Greater).unwrap_or(Value::Null),
        }
    }

    fn group_key(&self, source: &Source, rows: &[Arc<Record>]) -> Key {
        match source {
            Source::Leaf(leaf) => {
                rows.first().map_or(Key::Null, |row| Key::of(&self.value(leaf, row), leaf.kind))
            }
            Source::Aggregate { function, leaf } => {
                let kind = leaf.as_ref().map_or(Kind::Int, |l| l.kind);
                Key::of(&self.compute(*function, leaf.as_ref(), rows), kind)
            }
        }
    }

    fn group_passes(&self, test: &Test, rows: &[Arc<Record>]) -> bool {
        match test {
            Test::All(parts) => parts.iter().all(|t| self.group_passes(t, rows)),
            Test::Any(parts) => parts.iter().any(|t| self.group_passes(t, rows)),
            Test::Not(inner) => !self.group_passes(inner, rows),
            Test::Is { source, op, key } => holds(*op, &self.group_key(source, rows), key),
            Test::Within { source, op, from, to } => {
                within(*op, &self.group_key(source, rows), from, to)
            }
            Test::OneOf { leaf, negated, keys } => {
                keys.contains(&self.group_key(&Source::Leaf(leaf.clone()), rows)) != *negated
            }
            // The platform has no LIKE or INCLUDES on groups; they let every group through.
            Test::Like { .. } | Test::Includes { .. } => true,
        }
    }
}
