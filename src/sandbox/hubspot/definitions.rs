//! Property definitions over the API.

use serde_json::{Map, Value, json};

use super::api::{Answer, Asked, bad_json};
use super::errors::{Refusal, categorized, plain};
use super::object::Object;
use super::properties::{Choice, Property};
use super::record::instant;
use super::world::Account;

/// Everything below `/crm/v3/properties/{object}`.
pub(super) fn call(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    rest: &[&str],
) -> Result<Answer, Refusal> {
    match (asked.method, rest) {
        ("GET", []) => {
            let archived = asked.flag("archived");
            let results: Vec<Value> = account
                .table(object)
                .definitions
                .values()
                .filter(|property| property.archived.is_some() == archived)
                .map(Property::shown)
                .collect();
            Ok(Answer::ok(json!({ "results": results })))
        }
        ("POST", []) => {
            let property = create(account, asked, object, &asked.json()?)?;
            Ok(Answer::with(201, property))
        }
        ("POST", ["batch", "create"]) => {
            let body = asked.json()?;
            let mut results = Vec::new();
            for input in inputs(&body)? {
                let Value::Object(input) = input else {
                    return Err(bad_json("Cannot deserialize value of type `inputs`"));
                };
                results.push(create(account, asked, object, input)?);
            }
            Ok(Answer::with(201, complete(&results, asked)))
        }
        ("POST", ["batch", "read"]) => {
            let body = asked.json()?;
            let table = account.table(object);
            let results: Vec<Value> = inputs(&body)?
                .iter()
                .filter_map(|input| table.property(input["name"].as_str()?))
                .map(Property::shown)
                .collect();
            Ok(Answer::ok(complete(&results, asked)))
        }
        ("GET", ["groups"]) => {
            let groups = &account.table(object).groups;
            let results: Vec<Value> = groups
                .iter()
                .enumerate()
                .map(|(order, (name, label))| group(name, label, order))
                .collect();
            Ok(Answer::ok(json!({ "results": results })))
        }
        ("POST", ["groups"]) => {
            let body = asked.json()?;
            let name = text(&body, "name")?;
            let label = text(&body, "label")?;
            account.table_mut(object).groups.insert(name.to_owned(), label.to_owned());
            Ok(Answer::with(201, group(name, label, 0)))
        }
        ("GET", [name]) => {
            let property = account.table(object).property(name).ok_or_else(missing)?;
            Ok(Answer::ok(property.shown()))
        }
        ("PATCH", [name]) => edit(account, asked, object, name),
        ("DELETE", [name]) => {
            let table = account.table_mut(object);
            let property = table.definitions.get_mut(*name).ok_or_else(missing)?;
            if property.standard {
                let message = format!("Property {name} is read only and cannot be archived");
                return Err(categorized(400, "VALIDATION_ERROR", message));
            }
            property.archived.get_or_insert(asked.now);
            Ok(Answer::empty(204))
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn missing() -> Refusal {
    categorized(404, "OBJECT_NOT_FOUND", "resource not found")
}

fn inputs(body: &Map<String, Value>) -> Result<&Vec<Value>, Refusal> {
    let inputs = body.get("inputs").and_then(Value::as_array);
    inputs.ok_or_else(|| bad_json("Cannot deserialize value of type `inputs`"))
}

fn complete(results: &[Value], asked: &Asked<'_>) -> Value {
    let at = instant(asked.now);
    json!({ "status": "COMPLETE", "results": results, "startedAt": at, "completedAt": at })
}

fn group(name: &str, label: &str, order: usize) -> Value {
    json!({ "name": name, "label": label, "displayOrder": order, "archived": false })
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| {
        categorized(400, "VALIDATION_ERROR", format!("Some required fields were not set: [{name}]"))
    })
}

fn choices(body: &Map<String, Value>) -> Option<Vec<Choice>> {
    let options = body.get("options")?.as_array()?;
    let choice = |option: &Value| Choice {
        label: option["label"].as_str().unwrap_or_default().to_owned(),
        value: option["value"].as_str().unwrap_or_default().to_owned(),
        hidden: option["hidden"].as_bool().unwrap_or_default(),
    };
    Some(options.iter().map(choice).collect())
}

fn create(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    body: &Map<String, Value>,
) -> Result<Value, Refusal> {
    let (name, label) = (text(body, "name")?, text(body, "label")?);
    let (kind, field) = (text(body, "type")?, text(body, "fieldType")?);
    let group = text(body, "groupName")?;
    const KINDS: [&str; 6] = ["bool", "enumeration", "date", "datetime", "string", "number"];
    if !KINDS.contains(&kind) {
        let message = format!("Invalid property type: {kind}");
        return Err(categorized(400, "VALIDATION_ERROR", message).unmodelled());
    }
    let table = account.table(object);
    if !table.groups.contains_key(group) {
        let message = format!("Property group {group} does not exist");
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    let shaped = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !shaped || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        let message = format!(
            "Property name {name} must start with a letter and hold only lowercase letters, \
             numbers and underscores"
        );
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    let truth = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or_default();
    let mut property = Property::custom(name, label, kind);
    field.clone_into(&mut property.field);
    group.clone_into(&mut property.group);
    body.get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .clone_into(&mut property.description);
    if let Some(choices) = choices(body) {
        property.choices = choices;
    }
    property.unique = truth("hasUniqueValue");
    property.hidden = truth("hidden");
    account.define(object, property, asked.now).map_err(|error| match error {
        DefineError::Exists { name } => {
            let message = format!("A property named '{name}' already exists.");
            categorized(409, "OBJECT_ALREADY_EXISTS", message)
                .with("subCategory", "Properties.PROPERTY_WITH_NAME_EXISTS".into())
        }
        other => categorized(400, "VALIDATION_ERROR", other.to_string()),
    })?;
    let shown = account.table(object).property(name).map(Property::shown);
    shown.ok_or_else(missing)
}

fn edit(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    name: &str,
) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let table = account.table_mut(object);
    let property = table.definitions.get_mut(name).filter(|property| property.archived.is_none());
    let property = property.ok_or_else(missing)?;
    if property.standard && property.name.as_ref() != "hs_lead_status" {
        let message = format!("Property {name} is read only");
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    // A list of options replaces the old one as a whole.
    if let Some(choices) = choices(&body) {
        property.choices = choices;
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(label) = text("label") {
        label.clone_into(&mut property.label);
    }
    if let Some(description) = text("description") {
        description.clone_into(&mut property.description);
    }
    property.updated = Some(asked.now);
    Ok(Answer::ok(property.shown()))
}

/// Why a property cannot be defined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefineError {
    /// A live property has the name.
    #[error("a property named `{name}` exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// Ten properties with unique values is the most that one kind has.
    #[error("no more than 10 properties of one object may have unique values")]
    TooManyUnique,
    /// Only text and numbers can be unique.
    #[error("a property of type `{kind}` cannot have unique values; use string or number")]
    NotUnique {
        /// The type.
        kind: String,
    },
}

impl Account {
    /// Defines a property, or restores and replaces an archived one of the same name.
    ///
    /// # Errors
    /// When a live property has the name, or it cannot have unique values.
    pub fn define(
        &mut self,
        object: Object,
        mut property: Property,
        now: jiff::Timestamp,
    ) -> Result<(), DefineError> {
        let table = self.table_mut(object);
        if table.property(&property.name).is_some() {
            return Err(DefineError::Exists { name: property.name.to_string() });
        }
        if property.unique {
            if !matches!(property.kind.as_str(), "string" | "number") {
                return Err(DefineError::NotUnique { kind: property.kind });
            }
            let custom = |property: &&Property| property.unique && !property.standard;
            if table.definitions.values().filter(custom).count() >= 10 {
                return Err(DefineError::TooManyUnique);
            }
            table.keep_unique(&property.name);
        }
        if property.group.is_empty() {
            let first = table.groups.keys().next().cloned();
            property.group = first.unwrap_or_default();
        }
        property.created.get_or_insert(now);
        property.updated = Some(now);
        table.definitions.insert(std::sync::Arc::clone(&property.name), property);
        Ok(())
    }
}
