//! What an object of a platform looks like.

use std::collections::BTreeMap;

/// An object's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSchema {
    /// The object's name in the side's spelling.
    pub object: String,
    /// Its fields by name.
    pub fields: BTreeMap<String, FieldSchema>,
    /// Whether the signed-in user may create such records, where the platform says.
    pub creatable: bool,
    /// Whether the signed-in user may change such records, where the platform says.
    pub updatable: bool,
}

/// A field's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSchema {
    /// The field's name in the side's spelling.
    pub name: String,
    /// Its label as people see it.
    pub label: String,
    /// What it holds.
    pub kind: FieldKind,
    /// The most characters that it takes, where there is a limit.
    pub length: Option<u32>,
    /// Whether it can be set on creation.
    pub creatable: bool,
    /// Whether it can be set later. HubSpot says so in `modificationMetadata.readOnlyValue` only.
    pub updatable: bool,
    /// Whether a record cannot be created without it.
    pub required: bool,
    /// Whether no two records may hold the same value.
    pub unique: bool,
    /// Whether it can be the key of an upsert.
    pub external_id: bool,
    /// The choices of a choice field, in the account's order. Empty where the platform does not
    /// list them.
    pub choices: Vec<Choice>,
    /// Whether values beyond `choices` are refused.
    pub restricted: bool,
}

/// One choice of a choice field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The value that is stored.
    pub value: String,
    /// What people see.
    pub label: String,
    /// Whether it can be chosen now.
    pub active: bool,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldKind {
    /// Text of any kind (names, e-mail addresses, telephone numbers, long text).
    Text,
    /// A number.
    Number,
    /// Yes or no.
    Bool,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// One of a list.
    Choice,
    /// Several of a list.
    Choices,
    /// A person or queue that owns the record.
    Owner,
    /// The id of another record.
    Reference,
    /// Something that Lockstep does not sync, in the platform's word.
    Other(String),
}
