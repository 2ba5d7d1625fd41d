//! What an object and its fields are, as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// A field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The record's own id.
    Id,
    /// A line of text.
    Text,
    /// Text of several lines; above 255 characters it is "long": not filterable, not sortable.
    TextArea,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A web address.
    Url,
    /// One of a list.
    Picklist,
    /// Several of a list, joined by `;`.
    MultiPicklist,
    /// A checkbox.
    Boolean,
    /// A whole number.
    Int,
    /// A number.
    Double,
    /// An amount of money.
    Currency,
    /// A percentage.
    Percent,
    /// A day.
    Date,
    /// A moment, in whole seconds.
    DateTime,
    /// Another record's id.
    Reference,
    /// A compound of the address fields that share the field's stem (`MailingAddress` of
    /// `MailingStreet`, `MailingCity` …).
    Address,
}

impl Kind {
    /// The `type` in a description.
    #[must_use]
    pub fn wire(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Text => "string",
            Self::TextArea => "textarea",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Url => "url",
            Self::Picklist => "picklist",
            Self::MultiPicklist => "multipicklist",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Double => "double",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Reference => "reference",
            Self::Address => "address",
        }
    }

    /// The `soapType` in a description.
    #[must_use]
    pub fn soap(self) -> &'static str {
        match self {
            Self::Id | Self::Reference => "tns:ID",
            Self::Boolean => "xsd:boolean",
            Self::Int => "xsd:int",
            Self::Double | Self::Currency | Self::Percent => "xsd:double",
            Self::Date => "xsd:date",
            Self::DateTime => "xsd:dateTime",
            Self::Address => "urn:address",
            _ => "xsd:string",
        }
    }

    /// Whether values are numbers.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Currency | Self::Percent)
    }
}

/// One value of a picklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickValue {
    /// The API value, which is also the label.
    pub value: String,
    /// Whether it can still be chosen.
    pub active: bool,
    /// Whether a new record gets it when it names none.
    pub default: bool,
}

/// One field of an object.
#[derive(Debug, Clone)]
pub struct Field {
    /// The API name.
    pub name: Arc<str>,
    /// The label on a page.
    pub label: String,
    /// The type.
    pub kind: Kind,
    /// The most characters that a text may have; 0 for what is no text.
    pub length: usize,
    /// The digits of a number, before and after the point.
    pub precision: u32,
    /// The digits of a number after the point.
    pub scale: u32,
    /// Whether it may be empty.
    pub nillable: bool,
    /// Whether a create may set it.
    pub createable: bool,
    /// Whether an update may set it.
    pub updateable: bool,
    /// What a new record gets when it names no value.
    pub default: Option<Value>,
    /// Whether the platform fills it in when it is left out.
    pub defaulted: bool,
    /// Whether two records may not share a value.
    pub unique: bool,
    /// Whether an upsert may find records by it.
    pub external_id: bool,
    /// Whether a standard field may serve as an upsert's key.
    pub id_lookup: bool,
    /// Whether values of a unique field are told apart by case.
    pub case_sensitive: bool,
    /// Whether the picklist refuses values that are not in it.
    pub restricted: bool,
    /// The picklist's values.
    pub values: Vec<PickValue>,
    /// The objects that a reference may point to.
    pub refers_to: Vec<String>,
    /// The name of the way up, `Owner` for `OwnerId`.
    pub relationship: Option<String>,
    /// The name of the way down on the object that is pointed to, `Contacts` for
    /// `Contact.AccountId`.
    pub children: Option<String>,
    /// Whether the platform computes it.
    pub calculated: bool,
    /// Whether an admin made it.
    pub custom: bool,
}

impl Field {
    /// A field that may be empty, created and updated.
    #[must_use]
    pub fn new(name: &str, label: &str, kind: Kind) -> Self {
        let length = match kind {
            Kind::Id | Kind::Reference => 18,
            Kind::Email => 80,
            Kind::Phone => 40,
            Kind::Url | Kind::Text | Kind::TextArea | Kind::Picklist => 255,
            Kind::MultiPicklist => 4099,
            _ => 0,
        };
        let (precision, scale) = match kind {
            Kind::Int => (9, 0),
            Kind::Double | Kind::Currency => (18, 2),
            Kind::Percent => (3, 0),
            _ => (0, 0),
        };
        let boolean = kind == Kind::Boolean;
        Self {
            name: name.into(),
            label: label.to_owned(),
            kind,
            length,
            precision,
            scale,
            nillable: !boolean,
            createable: true,
            updateable: true,
            default: boolean.then_some(Value::Bool(false)),
            defaulted: boolean,
            unique: false,
            external_id: false,
            id_lookup: false,
            case_sensitive: false,
            restricted: false,
            values: Vec::new(),
            refers_to: Vec::new(),
            relationship: None,
            children: None,
            calculated: false,
            custom: name.ends_with("__c"),
        }
    }

    /// A line of text of at most `length` characters.
    #[must_use]
    pub fn text(name: &str, label: &str, length: usize) -> Self {
        Self::new(name, label, Kind::Text).length(length)
    }

    /// A number with `precision` digits, `scale` of them after the point.
    #[must_use]
    pub fn number(name: &str, label: &str, precision: u32, scale: u32) -> Self {
        Self { precision, scale, ..Self::new(name, label, Kind::Double) }
    }

    /// A picklist of these values.
    #[must_use]
    pub fn picklist(name: &str, label: &str, values: &[&str]) -> Self {
        let values = values
            .iter()
            .map(|v| PickValue { value: (*v).to_owned(), active: true, default: false })
            .collect();
        Self { values, ..Self::new(name, label, Kind::Picklist) }
    }

    /// A reference to one of `to`, called `relationship` on the way up.
    #[must_use]
    pub fn reference(name: &str, label: &str, to: &[&str], relationship: &str) -> Self {
        let refers_to = to.iter().map(|t| (*t).to_owned()).collect();
        let relationship = Some(relationship.to_owned());
        Self { refers_to, relationship, ..Self::new(name, label, Kind::Reference) }
    }

    /// With this many characters at most.
    #[must_use]
    pub fn length(self, length: usize) -> Self {
        Self { length, ..self }
    }

    /// It may not be empty.
    #[must_use]
    pub fn required(self) -> Self {
        Self { nillable: false, ..self }
    }

    /// A new record that names no value gets this one.
    #[must_use]
    pub fn default_value(self, value: impl Into<Value>) -> Self {
        let value = value.into();
        let values = self
            .values
            .into_iter()
            .map(|v| PickValue { default: value.as_str() == Some(&v.value), ..v })
            .collect();
        Self { default: Some(value), defaulted: true, values, ..self }
    }

    /// Only the platform writes it.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { createable: false, updateable: false, ..self }
    }

    /// It is set at the start and never after.
    #[must_use]
    pub fn create_only(self) -> Self {
        Self { updateable: false, ..self }
    }

    /// Two records may not share a value.
    #[must_use]
    pub fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    /// An upsert may find records by it.
    #[must_use]
    pub fn external_id(self) -> Self {
        Self { external_id: true, id_lookup: true, ..self }
    }

    /// An upsert may find records by it although it is a standard field.
    #[must_use]
    pub fn id_lookup(self) -> Self {
        Self { id_lookup: true, ..self }
    }

    /// The picklist refuses what is not in it.
    #[must_use]
    pub fn restricted(self) -> Self {
        Self { restricted: true, ..self }
    }

    /// The way down on the object that is pointed to.
    #[must_use]
    pub fn children(self, name: &str) -> Self {
        Self { children: Some(name.to_owned()), ..self }
    }

    /// Whether it is a text that cannot be filtered or sorted by.
    #[must_use]
    pub fn is_long_text(&self) -> bool {
        self.kind == Kind::TextArea && self.length > 255
    }

    /// Whether a table keeps an index of its values.
    #[must_use]
    pub fn is_indexed(&self) -> bool {
        self.unique
            || self.external_id
            || self.id_lookup && self.kind != Kind::Id
            || self.kind == Kind::Reference
                && !matches!(&*self.name, "OwnerId" | "CreatedById" | "LastModifiedById")
    }

    /// Whether a create must name it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        !self.nillable && !self.defaulted && self.createable
    }
}

/// One object: a kind of record.
#[derive(Debug, Clone)]
pub struct Object {
    /// The API name.
    pub name: Arc<str>,
    /// The label of one.
    pub label: String,
    /// The label of many.
    pub plural: String,
    /// The first three characters of its records' ids.
    pub prefix: String,
    /// Whether the API may create, update and delete its records.
    pub writable: bool,
    /// Whether records can be merged.
    pub mergeable: bool,
    /// The fields, in the order of a description.
    pub fields: Vec<Field>,
    names: BTreeMap<String, usize>,
}

impl Object {
    /// An object with these fields.
    #[must_use]
    pub fn new(name: &str, plural: &str, prefix: &str, fields: Vec<Field>) -> Self {
        let mut object = Self {
            name: name.into(),
            label: spaced(name),
            plural: plural.to_owned(),
            prefix: prefix.to_owned(),
            writable: true,
            mergeable: matches!(name, "Lead" | "Contact" | "Account"),
            fields: Vec::new(),
            names: BTreeMap::new(),
        };
        for field in fields {
            object.define(field);
        }
        object
    }

    /// The API may only read it.
    #[must_use]
    pub fn setup_only(mut self) -> Self {
        self.writable = false;
        self
    }

    /// Adds a field, or replaces the one of that name.
    pub fn define(&mut self, field: Field) {
        let key = field.name.to_ascii_lowercase();
        match self.names.get(&key) {
            Some(at) => self.fields[*at] = field,
            None => {
                self.names.insert(key, self.fields.len());
                self.fields.push(field);
            }
        }
    }

    /// Takes a field away, as an admin who deletes it does.
    pub fn remove(&mut self, name: &str) -> Option<Field> {
        let at = *self.names.get(&name.to_ascii_lowercase())?;
        let field = self.fields.remove(at);
        self.names = self
            .fields
            .iter()
            .enumerate()
            .map(|(at, f)| (f.name.to_ascii_lowercase(), at))
            .collect();
        Some(field)
    }

    /// The field of this name in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.names.get(&name.to_ascii_lowercase()).and_then(|at| self.fields.get(*at))
    }

    /// The field whose way up has this name in any case.
    #[must_use]
    pub fn way_up(&self, relationship: &str) -> Option<&Field> {
        self.fields.iter().find(|f| {
            f.relationship.as_deref().is_some_and(|r| r.eq_ignore_ascii_case(relationship))
        })
    }

    /// The field that names a record.
    #[must_use]
    pub fn name_field(&self) -> &str {
        match &*self.name {
            "Task" => "Subject",
            "LeadStatus" | "OpportunityStage" => "MasterLabel",
            "CampaignMember" | "OpportunityContactRole" | "QueueSobject" | "GroupMember" => "Id",
            "CampaignMemberStatus" => "Label",
            _ => "Name",
        }
    }
}

/// `OpportunityStage` as `Opportunity Stage`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.trim_end_matches("__c").char_indices() {
        if at > 0 && c.is_ascii_uppercase() {
            out.push(' ');
        }
        out.push(c);
    }
    out.replace('_', " ")
}
