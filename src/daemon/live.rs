//! Do the mappings fit the accounts as they are?

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use crate::mapping::{Create, Field, Kind, Mapping, Unlisted};
use crate::platform::{Error, FieldKind, FieldSchema, ObjectSchema, Platform};
use crate::record::{PerSide, Side};

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// The mapping's name.
    pub mapping: String,
    /// The side.
    pub side: Side,
    /// The object.
    pub object: String,
    /// The field, by the side's name; none where it is about the object.
    pub field: Option<String>,
    /// Whether it would keep records from being settled. Otherwise it may be as it is meant.
    pub hinders: bool,
    /// What was found, and what would be right.
    pub what: String,
}

/// Compares the mappings with what both accounts have.
///
/// # Errors
/// Where a side cannot be asked.
pub async fn misfits(
    mappings: &[Arc<Mapping>],
    platforms: &PerSide<Arc<dyn Platform>>,
) -> Result<Vec<Misfit>, Error> {
    let mut found = Vec::new();
    for mapping in mappings {
        for side in Side::BOTH {
            let spec = mapping.sides.get(side);
            let objects = std::iter::once(&spec.object).chain(&spec.becomes);
            for object in objects {
                let schema = platforms.get(side).schema(object).await?;
                let asked = Asked { mapping, side, object, schema: &schema };
                asked.object_fits(&mut found);
                for field in &mapping.fields {
                    asked.field_fits(field, &mut found);
                }
            }
        }
    }
    Ok(found)
}

struct Asked<'a> {
    mapping: &'a Mapping,
    side: Side,
    object: &'a str,
    schema: &'a ObjectSchema,
}

impl Asked<'_> {
    fn misfit(&self, field: Option<&str>, hinders: bool, what: String) -> Misfit {
        Misfit {
            mapping: self.mapping.name.clone(),
            side: self.side,
            object: self.object.to_owned(),
            field: field.map(str::to_owned),
            hinders,
            what,
        }
    }

    fn object_fits(&self, found: &mut Vec<Misfit>) {
        let spec = self.mapping.sides.get(self.side);
        if !self.schema.updatable {
            found.push(self.misfit(None, true, "the signed-in user may not change these".into()));
        }
        let creates = !matches!(spec.create, Create::Never) && self.object == spec.object;
        if creates && !self.schema.creatable {
            found.push(self.misfit(None, true, "the signed-in user may not create these".into()));
        }
        let id_field = spec.id_field.as_str();
        match self.schema.fields.get(id_field) {
            None => found.push(self.absent(id_field)),
            Some(field) if !field.unique && !field.external_id => {
                let what =
                    "the id field must be unique (HubSpot: unique values; Salesforce: external id)";
                found.push(self.misfit(Some(id_field), true, what.into()));
            }
            Some(field) if !field.updatable => {
                found.push(self.misfit(Some(id_field), true, "it cannot be written".into()));
            }
            Some(_) => {}
        }
        if creates {
            let mapped = self.mapping.names(self.side, self.object);
            for field in self.schema.fields.values() {
                if field.required && !mapped.contains(&field.name) {
                    let what = "new records need it, and it is not mapped";
                    found.push(self.misfit(Some(&field.name), false, what.into()));
                }
            }
        }
    }

    fn absent(&self, name: &str) -> Misfit {
        let known = self.schema.fields.keys().map(String::as_str);
        let near = crate::mapping::diagnostic::nearest(name, known);
        let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        let what =
            format!("there is no such field, or it is hidden from the signed-in user{meant}");
        self.misfit(Some(name), true, what)
    }

    fn field_fits(&self, field: &Field, found: &mut Vec<Misfit>) {
        let Some(name) = field.sides.get(self.side).as_ref().and_then(|own| own.name(self.object))
        else {
            return;
        };
        // Looked up through associations, which no schema lists.
        if name.starts_with("associations.") {
            return;
        }
        let Some(own) = self.schema.fields.get(name) else {
            found.push(self.absent(name));
            return;
        };
        let written = field.flows_to(self.side);
        if written && !own.updatable {
            found.push(self.misfit(Some(name), true, "it cannot be written".into()));
        }
        if !kinds_fit(&field.kind, &own.kind) {
            let what =
                format!("it holds {}, the mapping says {}", told(&own.kind), word(&field.kind));
            found.push(self.misfit(Some(name), false, what));
        }
        self.choices_fit(field, own, written, found);
    }

    fn choices_fit(
        &self,
        field: &Field,
        own: &FieldSchema,
        written: bool,
        found: &mut Vec<Misfit>,
    ) {
        let Some(table) = &field.table else { return };
        if own.choices.is_empty() {
            return;
        }
        let rows: BTreeSet<&str> = table.rows.iter().filter_map(|row| row.on(self.side)).collect();
        let known: BTreeSet<&str> =
            own.choices.iter().map(|choice| choice.value.as_str()).collect();
        for row in rows.difference(&known) {
            let what = format!("it has no choice {row:?}; it has {}", list(&known));
            found.push(self.misfit(Some(&own.name), written && own.restricted, what));
        }
        let active = own.choices.iter().filter(|choice| choice.active);
        let unlisted: BTreeSet<&str> = active
            .map(|choice| choice.value.as_str())
            .filter(|value| !rows.contains(value))
            .collect();
        if !unlisted.is_empty() && *table.unlisted.get(self.side) == Unlisted::Reject {
            let what = format!("the mapping's table does not list its choices {}", list(&unlisted));
            found.push(self.misfit(Some(&own.name), false, what));
        }
    }
}

fn list(values: &BTreeSet<&str>) -> String {
    values.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(", ")
}

/// Whether a field of the account can hold what the mapping says. Text holds anything.
fn kinds_fit(mapped: &Kind, own: &FieldKind) -> bool {
    match (mapped, own) {
        (Kind::Text | Kind::Choice, FieldKind::Text | FieldKind::Choice)
        | (_, FieldKind::Text)
        | (Kind::Number, FieldKind::Number)
        | (Kind::Date, FieldKind::Date | FieldKind::DateTime)
        | (Kind::DateTime, FieldKind::DateTime)
        | (Kind::Bool, FieldKind::Bool | FieldKind::Choice)
        | (Kind::Choices, FieldKind::Choices)
        | (Kind::Owner, FieldKind::Owner | FieldKind::Reference | FieldKind::Choice)
        | (Kind::Link { .. }, FieldKind::Reference | FieldKind::Number)
        // Rich text, addresses and what else a vendor calls by a name of its own.
        | (Kind::Text, FieldKind::Other(_)) => true,
        _ => false,
    }
}

fn told(kind: &FieldKind) -> &str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Number => "a number",
        FieldKind::Bool => "yes or no",
        FieldKind::Date => "a day",
        FieldKind::DateTime => "a moment",
        FieldKind::Choice => "one of a list",
        FieldKind::Choices => "several of a list",
        FieldKind::Owner => "an owner",
        FieldKind::Reference => "another record",
        FieldKind::Other(word) => word,
    }
}

const fn word(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Number => "number",
        Kind::Date => "date",
        Kind::DateTime => "date-time",
        Kind::Bool => "yes-no",
        Kind::Choice => "choice",
        Kind::Choices => "choices",
        Kind::Owner => "owner",
        Kind::Link { .. } => "a link",
    }
}
