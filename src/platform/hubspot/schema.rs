//! What HubSpot's objects look like, and who can own them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::paths::type_id;
use super::read::ASSOCIATIONS;
use super::wire::{OwnerJson, PageJson, PropertyJson};
use super::{HubSpot, lock};
use crate::platform::{Choice, Error, FieldKind, FieldSchema, ObjectSchema, Owner};

/// The most characters of a text property.
const LONGEST_TEXT: u32 = 65_536;

impl HubSpot {
    pub(super) async fn describe(&self, object: &str) -> Result<Arc<ObjectSchema>, Error> {
        if let Some(known) = lock(&self.schemas).get(object) {
            return Ok(Arc::clone(known));
        }
        let doing = format!("reading the properties of {object}");
        let page: PageJson<PropertyJson> = self.get(self.paths.properties(object), &doing).await?;
        let schema = Arc::new(object_schema(object, page.results));
        lock(&self.schemas).insert(object.to_owned(), Arc::clone(&schema));
        Ok(schema)
    }

    pub(super) async fn all_owners(&self) -> Result<Vec<Owner>, Error> {
        let mut owners = BTreeMap::new();
        // Archived ones first: someone who was archived and came back is listed in both.
        for archived in ["true", "false"] {
            let mut after = String::new();
            loop {
                let path = self.paths.owners().query(&[
                    ("limit", "100"),
                    ("after", &after),
                    ("archived", archived),
                ]);
                let page: PageJson<OwnerJson> = self.get(path, "reading the owners").await?;
                let next = page.after().unwrap_or_default().to_owned();
                for json in page.results.into_iter().filter(|json| !json.id.0.is_empty()) {
                    owners.insert(json.id.0.clone(), owner(json, archived == "true"));
                }
                // A place that does not move would be asked for without end.
                if next.is_empty() || next == after {
                    break;
                }
                after = next;
            }
        }
        Ok(owners.into_values().collect())
    }
}

fn owner(json: OwnerJson, archived: bool) -> Owner {
    let email = json.email.into_option().map(|email| email.trim().to_lowercase());
    let name = format!("{} {}", json.first_name.0, json.last_name.0).trim().to_owned();
    Owner {
        name: if name.is_empty() { email.clone().unwrap_or_default() } else { name },
        id: json.id.0,
        email,
        active: !(json.archived || archived),
        queue: json.kind.0 == "QUEUE",
        user: json.user_id.into_option(),
    }
}

fn object_schema(object: &str, properties: Vec<PropertyJson>) -> ObjectSchema {
    let named = properties.into_iter().filter(|property| !property.name.is_empty());
    let mut fields: BTreeMap<String, FieldSchema> = named
        .map(|property| field_schema(object, property))
        .map(|field| (field.name.clone(), field))
        .collect();
    for (to, label) in associated_types(object) {
        let name = format!("{ASSOCIATIONS}{to}");
        fields.insert(name.clone(), association(name, (*label).to_owned()));
    }
    // HubSpot does not tell what the app may do with an object; its scopes and answers do.
    ObjectSchema { object: object.to_owned(), fields, creatable: true, updatable: true }
}

fn field_schema(object: &str, json: PropertyJson) -> FieldSchema {
    let kind = kind(&json);
    let writable = !json.modification_metadata.read_only_value;
    let is_address = json.name == "email" && type_id(object) == "0-1";
    let is_id = json.name == "hs_object_id";
    let mut options = json.options;
    options.sort_by_key(|option| option.display_order.unwrap_or(i64::MAX));
    let choices: Vec<Choice> = options
        .into_iter()
        .map(|option| Choice {
            value: option.value.0,
            label: option.label.0,
            active: !option.hidden,
        })
        .collect();
    let is_choice = matches!(kind, FieldKind::Choice | FieldKind::Choices);
    FieldSchema {
        label: json.label.into_option().unwrap_or_else(|| json.name.clone()),
        name: json.name,
        length: matches!(kind, FieldKind::Text).then_some(LONGEST_TEXT),
        creatable: writable,
        updatable: writable,
        required: false,
        unique: json.has_unique_value || is_address || is_id,
        external_id: (json.has_unique_value && writable) || is_address,
        // With external options the list may be empty although values exist.
        restricted: is_choice && !choices.is_empty(),
        choices: if is_choice { choices } else { Vec::new() },
        kind,
    }
}

/// Both `type` and `fieldType` are open lists; what is unknown is not synced.
fn kind(json: &PropertyJson) -> FieldKind {
    if json.referenced_object_type.0 == "OWNER" || json.name == "hubspot_owner_id" {
        return FieldKind::Owner;
    }
    match (json.kind.0.as_str(), json.field_type.0.as_str()) {
        ("bool", _) | ("enumeration", "booleancheckbox") => FieldKind::Bool,
        ("enumeration", "checkbox") => FieldKind::Choices,
        ("enumeration", _) => FieldKind::Choice,
        ("string" | "phone_number", _) => FieldKind::Text,
        ("number", _) => FieldKind::Number,
        ("date", _) => FieldKind::Date,
        ("datetime", _) => FieldKind::DateTime,
        (other, _) => FieldKind::Other(other.to_owned()),
    }
}

/// The types whose primary record can be named as a pseudo-field.
fn associated_types(object: &str) -> &'static [(&'static str, &'static str)] {
    match type_id(object) {
        "0-1" => &[("companies", "Primary company"), ("deals", "Deal")],
        "0-2" => &[("contacts", "Contact"), ("deals", "Deal")],
        "0-3" => &[("companies", "Primary company"), ("contacts", "Contact")],
        "0-136" => &[("contacts", "Primary contact"), ("companies", "Primary company")],
        _ => &[],
    }
}

fn association(name: String, label: String) -> FieldSchema {
    FieldSchema {
        name,
        label,
        kind: FieldKind::Reference,
        length: None,
        creatable: true,
        updatable: true,
        required: false,
        unique: false,
        external_id: false,
        choices: Vec::new(),
        restricted: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(json: &str) -> ObjectSchema {
        object_schema("contacts", serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_property_becomes_a_field() {
        for (json, kind, unique, updatable, restricted) in [
            (
                r#"{"name":"a","type":"string","fieldType":"text"}"#,
                FieldKind::Text,
                false,
                true,
                false,
            ),
            (r#"{"name":"email","type":"string"}"#, FieldKind::Text, true, true, false),
            (
                r#"{"name":"k","type":"string","hasUniqueValue":true}"#,
                FieldKind::Text,
                true,
                true,
                false,
            ),
            (
                r#"{"name":"hs_object_id","type":"number","modificationMetadata":{"readOnlyValue":true}}"#,
                FieldKind::Number,
                true,
                false,
                false,
            ),
            (
                r#"{"name":"n","type":"number","fieldType":"calculation_rollup","calculated":false,"modificationMetadata":{"readOnlyValue":true}}"#,
                FieldKind::Number,
                false,
                false,
                false,
            ),
            (
                r#"{"name":"b","type":"enumeration","fieldType":"booleancheckbox"}"#,
                FieldKind::Bool,
                false,
                true,
                false,
            ),
            (r#"{"name":"b2","type":"bool"}"#, FieldKind::Bool, false, true, false),
            (
                r#"{"name":"c","type":"enumeration","fieldType":"checkbox","options":[{"value":"x"}]}"#,
                FieldKind::Choices,
                false,
                true,
                true,
            ),
            (
                r#"{"name":"hs_pipeline","type":"enumeration","fieldType":"select","externalOptions":true,"options":[]}"#,
                FieldKind::Choice,
                false,
                true,
                false,
            ),
            (
                r#"{"name":"hubspot_owner_id","type":"enumeration","externalOptions":true,"referencedObjectType":"OWNER"}"#,
                FieldKind::Owner,
                false,
                true,
                false,
            ),
            (
                r#"{"name":"d","type":"datetime","fieldType":"text"}"#,
                FieldKind::DateTime,
                false,
                true,
                false,
            ),
            (r#"{"name":"j","type":"json"}"#, FieldKind::Other("json".into()), false, true, false),
            (r#"{"name":"q"}"#, FieldKind::Other(String::new()), false, true, false),
        ] {
            let schema = schema(&format!("[{json}]"));
            let field = schema.fields.values().find(|field| !field.name.contains('.')).unwrap();
            assert_eq!(field.kind, kind, "{json}");
            assert_eq!(
                (field.unique, field.updatable, field.restricted),
                (unique, updatable, restricted),
                "{json}"
            );
        }
    }

    #[test]
    fn choices_stand_in_the_accounts_order() {
        let schema = schema(
            r#"[{"name":"lifecyclestage","type":"enumeration","fieldType":"radio","externalOptions":true,"options":[
                {"value":"lead","label":"Lead","displayOrder":1},
                {"value":"51439524","label":"Nurture","displayOrder":-1},
                {"value":"subscriber","label":"Subscriber","displayOrder":0,"hidden":true}]}]"#,
        );
        let field = &schema.fields["lifecyclestage"];
        let shown: Vec<_> =
            field.choices.iter().map(|choice| (choice.value.as_str(), choice.active)).collect();
        assert_eq!(shown, [("51439524", true), ("subscriber", false), ("lead", true)]);
        assert!(field.restricted);
        assert_eq!(schema.fields["associations.companies"].kind, FieldKind::Reference);
    }

    #[test]
    fn an_owner_is_a_person_or_a_queue() {
        let of = |json: &str, archived| owner(serde_json::from_str(json).unwrap(), archived);
        let person = of(
            r#"{"id":"7","email":" Anna@Example.com","type":"PERSON","firstName":"Anna","lastName":null}"#,
            false,
        );
        assert_eq!(
            (person.email.as_deref(), person.name.as_str()),
            (Some("anna@example.com"), "Anna")
        );
        assert!(person.active && !person.queue);
        let queue = of(r#"{"id":8,"type":"QUEUE"}"#, true);
        assert_eq!((queue.id.as_str(), queue.active, queue.queue), ("8", false, true));
    }
}
