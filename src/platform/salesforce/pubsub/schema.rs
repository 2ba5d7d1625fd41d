//! A change event's schema: what stands at each position, and how its values are written.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::schema::RecordSchema;

use super::event::Undecodable;

/// How deep a schema is looked into. Salesforce's are three deep; a schema that is deeper is not
/// one of a change event.
const DEPTH: usize = 16;

/// The most memory that one value of an event may take. Events have up to a megabyte; their lists
/// of ids take more room in memory than on the wire.
const LARGEST: usize = 64 << 20;

/// A schema, looked through once and kept for ever.
#[derive(Debug)]
pub struct EventSchema {
    pub(super) avro: Schema,
    pub(super) fields: Vec<Place>,
}

/// What stands at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) kind: ValueKind,
    /// The fields of the API that a compound field's children are, in order. Empty where it is
    /// none.
    pub(super) children: Vec<String>,
}

/// How a value is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// As it is written.
    Plain,
    /// Milliseconds since 1970 that stand for a day.
    Date,
    /// Milliseconds since 1970.
    DateTime,
    /// The id of a record.
    Reference,
    /// Something that Lockstep does not sync: a time of day, a place.
    Other,
}

impl EventSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// Where it is no Avro, or no record.
    pub fn parse(json: &str) -> Result<Self, Undecodable> {
        // For the whole process, and only the first time: a length in a payload is not believed
        // beyond what an event can be.
        apache_avro::util::max_allocation_bytes(LARGEST);
        let avro = Schema::parse_str(json).map_err(|why| Undecodable::Schema(why.to_string()))?;
        let Schema::Record(record) = &avro else {
            return Err(Undecodable::Schema("it is no record".to_owned()));
        };
        let mut named = BTreeMap::new();
        collect(&avro, &mut named, DEPTH);
        let fields = record.fields.iter().map(|field| place(field, &named)).collect();
        Ok(Self { fields, avro })
    }

    /// The position of a field.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|place| place.name == name)
    }
}

/// The children of every record that the schema defines, by the record's name.
fn collect(schema: &Schema, named: &mut BTreeMap<String, Vec<String>>, depth: usize) {
    if depth == 0 {
        return;
    }
    match schema {
        Schema::Record(record) => {
            let children = record.fields.iter().map(|field| field.name.clone()).collect();
            named.insert(last_name(record.name.as_ref()).to_owned(), children);
            for field in &record.fields {
                collect(&field.schema, named, depth - 1);
            }
        }
        Schema::Union(union) => {
            for variant in union.variants() {
                collect(variant, named, depth - 1);
            }
        }
        _ => {}
    }
}

/// `Address` of `com.sforce.eventbus.Address`.
fn last_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn place(field: &apache_avro::schema::RecordField, named: &BTreeMap<String, Vec<String>>) -> Place {
    let variants: &[Schema] = match &field.schema {
        Schema::Union(union) => union.variants(),
        other => std::slice::from_ref(other),
    };
    let record = variants.iter().find_map(|variant| match variant {
        Schema::Record(RecordSchema { name, .. }) | Schema::Ref { name } => Some(name.to_string()),
        _ => None,
    });
    let children = record
        .and_then(|name| named.get(last_name(&name)))
        .filter(|_| field.name != HEADER)
        .map(|children| children.iter().map(|child| child_field(&field.name, child)).collect())
        .unwrap_or_default();
    Place { kind: kind(field.doc.as_deref()), children, name: field.name.clone() }
}

/// The event's header, always at position 0.
pub(super) const HEADER: &str = "ChangeEventHeader";

/// How the values of a field are to be read, by the tag in its doc: `Data:DateOnly:00ND…`.
fn kind(doc: Option<&str>) -> ValueKind {
    let doc = doc.unwrap_or_default();
    let mut parts = doc.split(':');
    match (parts.next(), parts.next()) {
        (Some("Data"), Some("DateOnly")) => ValueKind::Date,
        (Some("Data" | "CreatedDate"), Some("DateTime")) => ValueKind::DateTime,
        (Some("Data"), Some("TimeOnly" | "Location" | "ComplexValueType" | "EncryptedText")) => {
            ValueKind::Other
        }
        (Some("ForeignKey"), _) => ValueKind::Reference,
        _ => ValueKind::Plain,
    }
}

/// The API's name for a child of a compound field: `FirstName` of `Name`, `MailingStreet` of
/// `MailingAddress`, `Street` of `Address`, `Site__Latitude__s` of `Site__c`. (Object Reference,
/// "Compound Fields".)
fn child_field(parent: &str, child: &str) -> String {
    if let Some(custom) = parent.strip_suffix("__c") {
        format!("{custom}__{child}__s")
    } else if let Some(prefix) = parent.strip_suffix("Address") {
        format!("{prefix}{child}")
    } else if parent == "Name" {
        child.to_owned()
    } else {
        format!("{parent}{child}")
    }
}
