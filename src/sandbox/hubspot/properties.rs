//! Definitions of properties.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::record::instant;

/// One allowed value of an enumeration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What people see.
    pub label: String,
    /// What the API reads and writes.
    pub value: String,
    /// Whether forms leave it out. The API accepts hidden values.
    pub hidden: bool,
}

impl Choice {
    /// A visible choice.
    #[must_use]
    pub fn new(value: &str, label: &str) -> Self {
        Self { label: label.to_owned(), value: value.to_owned(), hidden: false }
    }
}

/// Where the allowed values of an enumeration come from when not from its own list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum External {
    /// The account's owners.
    Owners,
    /// The pipelines of the record's kind.
    Pipelines,
    /// The stages of those pipelines.
    Stages,
    /// The definition's own list, though it is edited elsewhere (lifecycle stages).
    Settings,
}

/// The definition of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Internal name.
    pub name: Arc<str>,
    /// What people see.
    pub label: String,
    /// `string`, `number`, `date`, `datetime`, `enumeration`, `bool`: an open set.
    pub kind: String,
    /// `text`, `textarea`, `select`, `checkbox`, `calculation_rollup`, …: an open set.
    pub field: String,
    /// The group that it is shown in.
    pub group: String,
    /// Free text for admins.
    pub description: String,
    /// The allowed values, in display order.
    pub choices: Vec<Choice>,
    /// Where the allowed values come from if not from `choices`.
    pub external: Option<External>,
    /// Whether no two records may share a value, so that the property can stand in for the id.
    pub unique: bool,
    /// Whether HubSpot defined it.
    pub standard: bool,
    /// Whether the API refuses to set it.
    pub read_only: bool,
    /// Whether HubSpot computes it by formula. Rollups are read-only without this mark.
    pub calculated: bool,
    /// Whether forms leave it out.
    pub hidden: bool,
    /// When it was archived, if it is.
    pub archived: Option<Timestamp>,
    /// When it was defined; nothing for standard ones.
    pub created: Option<Timestamp>,
    /// When it was last edited.
    pub updated: Option<Timestamp>,
}

impl Property {
    /// A custom property of the given type with the usual field for it.
    #[must_use]
    pub fn custom(name: &str, label: &str, kind: &str) -> Self {
        let field = match kind {
            "number" => "number",
            "date" | "datetime" => "date",
            "enumeration" => "select",
            "bool" => "booleancheckbox",
            _ => "text",
        };
        let choices = if kind == "bool" {
            vec![Choice::new("true", "Yes"), Choice::new("false", "No")]
        } else {
            Vec::new()
        };
        Self {
            name: name.into(),
            label: label.to_owned(),
            kind: kind.to_owned(),
            field: field.to_owned(),
            group: String::new(),
            description: String::new(),
            choices,
            external: None,
            unique: false,
            standard: false,
            read_only: false,
            calculated: false,
            hidden: false,
            archived: None,
            created: None,
            updated: None,
        }
    }

    /// The same with allowed values: pairs of value and label.
    #[must_use]
    pub fn with_choices(mut self, choices: &[(&str, &str)]) -> Self {
        self.choices = choices.iter().map(|(value, label)| Choice::new(value, label)).collect();
        self
    }

    /// The same, but no two records may share a value.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The same, but only the platform sets it, as lead scores are.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether several values are kept, split by semicolons.
    #[must_use]
    pub fn several(&self) -> bool {
        self.kind == "enumeration" && self.field == "checkbox"
    }

    /// The place of a value among the allowed ones.
    #[must_use]
    pub fn rank(&self, value: &str) -> Option<usize> {
        self.choices.iter().position(|choice| choice.value == value)
    }

    /// The definition as the properties API shows it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let options: Vec<Value> = self
            .choices
            .iter()
            .enumerate()
            .map(|(order, choice)| {
                json!({
                    "label": choice.label,
                    "value": choice.value,
                    "displayOrder": order,
                    "hidden": choice.hidden,
                })
            })
            .collect();
        let mut shown = Map::new();
        let stamp = |at: Option<Timestamp>| at.map(instant);
        if let Some(at) = stamp(self.updated) {
            shown.insert("updatedAt".to_owned(), at.into());
        }
        if let Some(at) = stamp(self.created) {
            shown.insert("createdAt".to_owned(), at.into());
        }
        let rest = json!({
            "name": &*self.name,
            "label": self.label,
            "type": self.kind,
            "fieldType": self.field,
            "description": self.description,
            "groupName": self.group,
            "options": options,
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.external.is_some(),
            "archived": self.archived.is_some(),
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "hubspotDefined": self.standard,
            "modificationMetadata": {
                "archivable": true,
                "readOnlyDefinition": self.standard,
                "readOnlyOptions": self.standard && &*self.name != "hs_lead_status",
                "readOnlyValue": self.read_only,
            },
            "formField": !self.read_only && !self.hidden,
            "dataSensitivity": "non_sensitive",
        });
        if let Value::Object(rest) = rest {
            shown.extend(rest);
        }
        if !self.standard {
            shown.remove("hubspotDefined");
        }
        if let Some(at) = stamp(self.archived) {
            shown.insert("archivedAt".to_owned(), at.into());
        }
        if &*self.name == "hubspot_owner_id" {
            shown.insert("referencedObjectType".to_owned(), "OWNER".into());
        }
        Value::Object(shown)
    }
}
