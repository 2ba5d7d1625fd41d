//! Rows as the API shows them.

use serde_json::{Map, Value, json};

use super::Found;
use super::bind::{Bound, Column, Leaf, Step, Test};
use super::eval::own_value;
use crate::sandbox::salesforce::schema::Kind;
use crate::sandbox::salesforce::table::Record;
use crate::sandbox::salesforce::world::Org;

impl Org {
    /// One row with `attributes` first and parents nested.
    pub(in crate::sandbox::salesforce) fn render(
        &self,
        bound: &Bound,
        row: &Record,
        version: &str,
    ) -> Value {
        let mut out = Map::new();
        out.insert("attributes".to_owned(), attributes(row, version, false));
        for column in &bound.columns {
            match column {
                Column::Leaf(leaf, _) => self.place(&mut out, leaf, &leaf.steps, row, version),
                Column::Children { name, field, query } => {
                    out.insert(name.clone(), self.render_children(field, query, row, version));
                }
                Column::Aggregate { .. } => {}
            }
        }
        Value::Object(out)
    }

    /// Puts a value at its place, making or finding the nested parents on the way.
    fn place(
        &self,
        out: &mut Map<String, Value>,
        leaf: &Leaf,
        steps: &[Step],
        row: &Record,
        version: &str,
    ) {
        let Some((step, rest)) = steps.split_first() else {
            let value = own_value(leaf, row).into_owned();
            out.insert(leaf.field.to_string(), value);
            return;
        };
        let parent = row.text(&step.field).and_then(|id| self.seen(id));
        let Some(parent) = parent else {
            out.entry(step.relationship.clone()).or_insert(Value::Null);
            return;
        };
        let slot = out.entry(step.relationship.clone()).or_insert_with(|| {
            let mut nested = Map::new();
            nested.insert("attributes".to_owned(), attributes(parent, version, step.polymorphic));
            Value::Object(nested)
        });
        if let Value::Object(nested) = slot {
            self.place(nested, leaf, rest, parent, version);
        }
    }

    /// The children of one row: the same shape as an answer of its own, null where there are none.
    fn render_children(&self, field: &str, query: &Bound, row: &Record, version: &str) -> Value {
        let parent = Test::of_parent(field, &row.id);
        let mut query = query.clone();
        query.test = Some(match query.test.take() {
            Some(test) => Test::All(vec![parent, test]),
            None => parent,
        });
        match self.run(&query, false) {
            Found::Records(rows) if !rows.is_empty() => json!({
                "totalSize": rows.len(),
                "done": true,
                "records": rows.iter().map(|r| self.render(&query, r, version)).collect::<Vec<_>>(),
            }),
            _ => Value::Null,
        }
    }

    /// What `query?columns=true` tells about the columns.
    pub(in crate::sandbox::salesforce) fn column_metadata(&self, bound: &Bound) -> Value {
        let columns: Vec<Value> = bound.columns.iter().map(column_metadata).collect();
        let prefix = self.object(&bound.object).map(|o| o.prefix.clone());
        let id_selected = bound
            .columns
            .iter()
            .any(|c| matches!(c, Column::Leaf(l, _) if l.kind == Kind::Id && l.steps.is_empty()));
        json!({
            "columnMetadata": columns,
            "entityName": &*bound.object,
            "groupBy": bound.is_aggregate(),
            "idSelected": id_selected,
            "keyPrefix": prefix,
        })
    }
}

fn column_metadata(column: &Column) -> Value {
    let of = |name: &str, kind: Kind, leaf: Option<&Leaf>, aggregate: bool, join: Vec<Value>| {
        let apex = match kind {
            Kind::Id | Kind::Reference => "Id",
            Kind::Boolean => "Boolean",
            Kind::Int => "Integer",
            Kind::Double | Kind::Currency | Kind::Percent => "Double",
            Kind::Date => "Date",
            Kind::DateTime => "Datetime",
            _ => "String",
        };
        json!({
            "aggregate": aggregate,
            "apexType": apex,
            "booleanType": kind == Kind::Boolean,
            "columnName": name,
            "custom": leaf.is_some_and(|l| l.custom),
            "displayName": name,
            "foreignKeyName": null,
            "insertable": leaf.is_some_and(|l| l.createable),
            "joinColumns": join,
            "numberType": kind.is_number(),
            "textType": apex == "String" || apex == "Id",
            "updatable": leaf.is_some_and(|l| l.updateable),
        })
    };
    match column {
        Column::Leaf(leaf, alias) => {
            let name = alias.clone().unwrap_or_else(|| leaf.field.to_string());
            let inner = of(&name, leaf.kind, Some(leaf), false, Vec::new());
            leaf.steps.iter().rev().fold(inner, |inner, step| {
                of(&step.relationship, Kind::Text, None, false, vec![inner])
            })
        }
        Column::Aggregate { name, .. } => of(name, Kind::Int, None, true, Vec::new()),
        Column::Children { name, query, .. } => {
            of(name, Kind::Text, None, false, query.columns.iter().map(column_metadata).collect())
        }
    }
}

/// The `attributes` of a row; a parent of one of several objects is shown as `Name`.
pub(in crate::sandbox::salesforce) fn attributes(
    row: &Record,
    version: &str,
    polymorphic: bool,
) -> Value {
    let kind = if polymorphic { "Name" } else { &*row.object };
    json!({
        "type": kind,
        "url": format!("/services/data/{version}/sobjects/{}/{}", row.object, row.id),
    })
}
