//! The Avro schemas of change events: one an object, made of what the org knows about it now.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::documented::{self, Shape};
use crate::sandbox::salesforce::id::with_checksum;
use crate::sandbox::salesforce::schema::{Field, Kind, Object};

/// The children of the record `Address`, with the fields that they come from: the stem of the
/// compound's name and this word.
pub(super) const ADDRESS: [&str; 8] = [
    "Street",
    "City",
    "State",
    "PostalCode",
    "Country",
    "Latitude",
    "Longitude",
    "GeocodeAccuracy",
];
/// The children of the record `PersonName`.
pub(super) const PERSON_NAME: [&str; 3] = ["Salutation", "FirstName", "LastName"];

/// The kinds of change, in the order of the enumeration.
pub(super) const CHANGE_TYPES: [&str; 10] = [
    "CREATE",
    "UPDATE",
    "DELETE",
    "UNDELETE",
    "GAP_CREATE",
    "GAP_UPDATE",
    "GAP_DELETE",
    "GAP_UNDELETE",
    "GAP_OVERFLOW",
    "SNAPSHOT",
];

/// Fields that no event carries: derived, or said by the header.
const LEFT_OUT: [&str; 6] =
    ["Id", "IsDeleted", "SystemModstamp", "LastActivityDate", "MasterRecordId", "IsEmailBounced"];

/// One field of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BodyField {
    pub name: Arc<str>,
    pub shape: Shape,
    pub tag: String,
    /// For a compound: the org's field of each child, in the children's order.
    pub children: Vec<Arc<str>>,
    /// Whether a change of it may come as a difference of texts.
    pub long: bool,
}

/// Where a field of the org stands in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The position in the body; the header stands before, so its bit is one higher.
    pub top: usize,
    /// The position within a compound.
    pub child: Option<usize>,
}

/// The schema of one object's events.
#[derive(Debug)]
pub struct EventSchema {
    /// A fingerprint of the schema: another schema has another.
    pub id: String,
    /// The schema itself, as the platform writes it.
    pub json: String,
    /// `LeadChangeEvent`.
    pub name: String,
    pub(super) fields: Vec<BodyField>,
    pub(super) places: BTreeMap<Arc<str>, Place>,
}

/// `LeadChangeEvent` of `Lead`, `My_Object__ChangeEvent` of `My_Object__c`.
pub(super) fn event_name(object: &str) -> String {
    match object.strip_suffix("__c") {
        Some(stem) => format!("{stem}__ChangeEvent"),
        None => format!("{object}ChangeEvent"),
    }
}

impl EventSchema {
    /// The schema of an object as it is now.
    pub(super) fn of(object: &Object) -> Self {
        let fields = body_fields(object);
        let mut places = BTreeMap::new();
        for (top, field) in fields.iter().enumerate() {
            if field.children.is_empty() {
                places.insert(field.name.clone(), Place { top, child: None });
            }
            for (child, name) in field.children.iter().enumerate() {
                places.insert(name.clone(), Place { top, child: Some(child) });
            }
        }
        Self::finish(event_name(&object.name), fields, places)
    }

    /// The schema that a channel of several objects is described by: a header and nothing else.
    pub(super) fn of_channel() -> Self {
        Self::finish("ChangeEvents".to_owned(), Vec::new(), BTreeMap::new())
    }

    fn finish(name: String, fields: Vec<BodyField>, places: BTreeMap<Arc<str>, Place>) -> Self {
        let mut defined = Vec::new();
        let mut all = vec![header()];
        all.extend(fields.iter().map(|field| {
            json!({
                "name": &*field.name,
                "type": ["null", avro_type(field.shape, &mut defined)],
                "doc": field.tag,
                "default": null,
            })
        }));
        let mut schema = json!({
            "name": name,
            "namespace": "com.sforce.eventbus",
            "type": "record",
            "fields": all,
        });
        let digest = ring::digest::digest(&ring::digest::SHA256, schema.to_string().as_bytes());
        let id = BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
        schema["uuid"] = json!(id);
        Self { id, json: schema.to_string(), name, fields, places }
    }
}

fn header() -> Value {
    let texts = json!({ "type": "array", "items": "string" });
    let symbols = json!({ "type": "enum", "name": "ChangeType", "symbols": CHANGE_TYPES });
    let fields: Vec<Value> = [
        ("entityName", json!("string")),
        ("recordIds", texts.clone()),
        ("changeType", symbols),
        ("changeOrigin", json!("string")),
        ("transactionKey", json!("string")),
        ("sequenceNumber", json!("int")),
        ("commitTimestamp", json!("long")),
        ("commitNumber", json!("long")),
        ("commitUser", json!("string")),
        ("nulledFields", texts.clone()),
        ("diffFields", texts.clone()),
        ("changedFields", texts),
    ]
    .into_iter()
    .map(|(name, kind)| json!({ "name": name, "type": kind }))
    .collect();
    json!({
        "name": "ChangeEventHeader",
        "type": { "type": "record", "name": "ChangeEventHeader", "fields": fields },
        "doc": "Data:ComplexValueType",
    })
}

/// The type of a value. A record is defined where it occurs first and named from then on.
fn avro_type(shape: Shape, defined: &mut Vec<Shape>) -> Value {
    let optional =
        |name: &str, kind: &str| json!({ "name": name, "type": ["null", kind], "default": null });
    let (name, children): (&str, Vec<Value>) = match shape {
        Shape::Text => return json!("string"),
        Shape::Time | Shape::Day => return json!("long"),
        Shape::Double => return json!("double"),
        Shape::Int => return json!("int"),
        Shape::Boolean => return json!("boolean"),
        Shape::PersonName => {
            ("PersonName", PERSON_NAME.iter().map(|name| optional(name, "string")).collect())
        }
        Shape::Address => {
            let kind = |name: &str| if is_coordinate(name) { "double" } else { "string" };
            ("Address", ADDRESS.iter().map(|name| optional(name, kind(name))).collect())
        }
    };
    if defined.contains(&shape) {
        return json!(name);
    }
    defined.push(shape);
    json!({ "type": "record", "name": name, "fields": children })
}

pub(super) fn is_coordinate(name: &str) -> bool {
    matches!(name, "Latitude" | "Longitude")
}

/// The fields of an object's events: the documented ones first, then what else the org has.
fn body_fields(object: &Object) -> Vec<BodyField> {
    let mut fields: Vec<BodyField> = Vec::new();
    for (name, tag) in documented::fields(&object.name).into_iter().flatten() {
        let shape = documented::shape(tag);
        fields.push(BodyField {
            name: name.into(),
            shape,
            tag: tag.to_owned(),
            children: children(name, shape),
            long: tag == "Data:StringPlusClob",
        });
    }
    let person = object.field("FirstName").is_some() && object.field("LastName").is_some();
    for field in &object.fields {
        let name = &*field.name;
        let known = fields
            .iter()
            .any(|at| *at.name == *name || at.children.iter().any(|child| **child == *name));
        let part_of_name = person && PERSON_NAME.contains(&name);
        let part_of_address = object.fields.iter().any(|at| {
            at.kind == Kind::Address && children(&at.name, Shape::Address).contains(&field.name)
        });
        if known || part_of_name || part_of_address || LEFT_OUT.contains(&name) {
            continue;
        }
        fields.push(own_field(field, person, object));
    }
    fields
}

fn own_field(field: &Field, person: bool, object: &Object) -> BodyField {
    let (shape, tag) = match field.kind {
        _ if person && &*field.name == "Name" => (Shape::PersonName, "Data:PersonName"),
        Kind::Address => (Shape::Address, "Data:Address"),
        Kind::DateTime if &*field.name == "CreatedDate" => (Shape::Time, "CreatedDate:DateTime"),
        Kind::DateTime => (Shape::Time, "Data:DateTime"),
        Kind::Date => (Shape::Day, "Data:DateOnly"),
        Kind::Double => (Shape::Double, "Data:Double"),
        Kind::Currency => (Shape::Double, "Data:Currency"),
        Kind::Percent => (Shape::Double, "Data:Percent"),
        Kind::Int => (Shape::Int, "Data:Integer"),
        Kind::Boolean => (Shape::Boolean, "Data:Boolean"),
        Kind::Reference | Kind::Id => (Shape::Text, "ForeignKey:EntityId"),
        Kind::Picklist => (Shape::Text, "Data:DynamicEnum"),
        Kind::MultiPicklist => (Shape::Text, "Data:MultiEnum"),
        Kind::Phone => (Shape::Text, "Data:Phone"),
        Kind::Email => (Shape::Text, "Data:Email"),
        Kind::Url => (Shape::Text, "Data:Url"),
        Kind::TextArea if field.is_long_text() => (Shape::Text, "Data:StringPlusClob"),
        Kind::Text | Kind::TextArea => (Shape::Text, "Data:Text"),
    };
    let tag = if field.custom {
        format!("{tag}:{}", definition_id(&object.name, &field.name))
    } else {
        tag.to_owned()
    };
    BodyField {
        name: field.name.clone(),
        shape,
        tag,
        children: children(&field.name, shape),
        long: field.is_long_text(),
    }
}

/// The org's fields of a compound's children, in the children's order.
fn children(name: &str, shape: Shape) -> Vec<Arc<str>> {
    match shape {
        Shape::PersonName => PERSON_NAME.iter().map(|child| (*child).into()).collect(),
        Shape::Address => {
            let stem = name.strip_suffix("Address").unwrap_or(name);
            ADDRESS.iter().map(|child| format!("{stem}{child}").into()).collect()
        }
        _ => Vec::new(),
    }
}

/// The 15-character id of a custom field's definition, the same for the same field.
fn definition_id(object: &str, field: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let name = format!("{object}.{field}");
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let tail = digest.as_ref()[..6].iter().map(|byte| char::from(DIGITS[usize::from(*byte) % 62]));
    let mut id = "00NLs0000".to_owned();
    id.extend(tail);
    // The checksum is for the long form, which schemas do not use.
    with_checksum(&id).chars().take(15).collect()
}
