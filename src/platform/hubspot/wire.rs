//! HubSpot's JSON, and nothing else of HubSpot's.
//!
//! Every field is optional and every unknown one is ignored: the published schemas promise less than
//! the servers send, and differ between versions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::record::Raw;

/// Text, or what a server writes in its place: ids and counts come as numbers in some answers and as
/// text in others. Null is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }
}

impl Text {
    pub fn raw(self) -> Raw {
        if self.0.is_empty() { Raw::Null } else { Raw::Text(self.0) }
    }

    pub fn into_option(self) -> Option<String> {
        Some(self.0).filter(|text| !text.is_empty())
    }
}

/// Any moment that HubSpot writes: ISO 8601 with or without a fraction, milliseconds since 1970 as
/// text, or a day.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(millis) = text.parse::<i64>() {
        return Timestamp::from_millisecond(millis).ok();
    }
    let day = text.parse::<Date>().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// A record.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ObjectJson {
    pub id: Text,
    pub properties: BTreeMap<String, Text>,
    pub properties_with_history: BTreeMap<String, Vec<VersionJson>>,
    pub created_at: Text,
    pub updated_at: Text,
    pub archived: bool,
    pub archived_at: Text,
    pub object_write_trace_id: Text,
    pub new: Option<bool>,
}

/// One value in a property's history.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct VersionJson {
    pub value: Text,
    pub timestamp: Text,
    pub source_type: Text,
    pub source_id: Text,
}

/// The answer of a batch call: what went well and what did not, side by side.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BatchJson {
    pub results: Vec<ObjectJson>,
    pub errors: Vec<ErrorJson>,
    pub completed_at: Text,
}

/// An error, alone or within a batch. "Every field is optional" (developers.hubspot.com, "Error
/// handling").
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ErrorJson {
    pub message: Text,
    pub correlation_id: Text,
    pub category: Text,
    pub sub_category: Text,
    pub error_type: Text,
    pub policy_name: Text,
    pub context: Context,
    pub errors: Vec<DetailJson>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DetailJson {
    pub message: Text,
    /// In `errors`.
    #[serde(alias = "error")]
    pub code: Text,
    /// In the list that is embedded in `message`.
    pub name: Text,
    pub sub_category: Text,
    pub context: Context,
}

/// Lists of text by name; one text stands for a list of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Context(pub BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let Value::Object(map) = Value::deserialize(deserializer)? else {
            return Ok(Self::default());
        };
        let lists = map.into_iter().map(|(name, value)| {
            let list = match value {
                Value::Array(list) => list.into_iter().map(text).collect(),
                Value::Null => Vec::new(),
                other => vec![text(other)],
            };
            (name, list)
        });
        Ok(Self(lists.collect()))
    }
}

impl Context {
    pub fn list(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

impl ErrorJson {
    /// Reads an error's body; one that is no JSON keeps its status only.
    pub fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The single mistakes. Older answers have them only as JSON within the message, after
    /// `Property values were not valid: `.
    pub fn details(&self) -> Vec<DetailJson> {
        if !self.errors.is_empty() {
            return self.errors.clone();
        }
        let message = &self.message.0;
        let list = message.find('[').zip(message.rfind(']'));
        list.and_then(|(from, to)| serde_json::from_str(message.get(from..=to)?).ok())
            .unwrap_or_default()
    }
}

impl DetailJson {
    /// The properties that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let listed = self.context.list("propertyName").iter().chain(Some(&self.name.0));
        listed.map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// A page of records, from a list or a search.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PageJson<T> {
    pub results: Vec<T>,
    pub total: Option<u64>,
    pub paging: Option<PagingJson>,
}

impl<T> PageJson<T> {
    pub fn after(&self) -> Option<&str> {
        self.paging.as_ref()?.after()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PagingJson {
    pub next: Option<NextJson>,
}

impl PagingJson {
    pub fn after(&self) -> Option<&str> {
        let after = &self.next.as_ref()?.after.0;
        Some(after.as_str()).filter(|after| !after.is_empty())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NextJson {
    pub after: Text,
}

/// The answer of an association batch.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AssociationsJson {
    pub results: Vec<AssociatedJson>,
    pub errors: Vec<ErrorJson>,
}

/// One record's associations.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AssociatedJson {
    pub from: IdJson,
    pub to: Vec<ToJson>,
    pub paging: Option<PagingJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct IdJson {
    pub id: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ToJson {
    pub to_object_id: Text,
    pub association_types: Vec<AssociationTypeJson>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AssociationTypeJson {
    pub type_id: Option<u32>,
}

/// A property's definition.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PropertyJson {
    pub name: String,
    pub label: Text,
    #[serde(rename = "type")]
    pub kind: Text,
    pub field_type: Text,
    pub options: Vec<OptionJson>,
    pub external_options: bool,
    pub has_unique_value: bool,
    pub referenced_object_type: Text,
    pub modification_metadata: ModificationJson,
}

/// One choice of a property.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OptionJson {
    pub label: Text,
    pub value: Text,
    pub display_order: Option<i64>,
    pub hidden: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ModificationJson {
    pub read_only_value: bool,
}

/// An owner.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OwnerJson {
    pub id: Text,
    pub email: Text,
    #[serde(rename = "type")]
    pub kind: Text,
    pub first_name: Text,
    pub last_name: Text,
    pub archived: bool,
    pub user_id: Text,
}

/// A contact that is to be enrolled in a sequence.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnrolJson<'a> {
    pub sequence_id: &'a str,
    pub contact_id: &'a str,
    pub sender_email: &'a str,
}

/// An enrolment in a sequence. Right after it was made it does not name the sequence.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EnrolmentJson {
    pub id: Text,
    pub sequence_id: Text,
    pub enrolled_at: Text,
}

/// A sequence.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SequenceJson {
    pub id: Text,
}

/// The account.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct AccountJson {
    pub portal_id: Text,
    pub time_zone: Text,
    pub ui_domain: Text,
}

/// What a token is for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TokenInfoJson {
    pub user_id: Text,
    pub app_id: Text,
    pub scopes: Vec<String>,
}

/// The inputs of a batch call.
#[derive(Debug, Serialize)]
pub(super) struct InputsJson<T> {
    pub inputs: Vec<T>,
}

/// Whose associations are read, and from where on.
#[derive(Debug, Serialize)]
pub(super) struct AssociationInput<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<&'a str>,
}

/// A new record with its associations.
#[derive(Debug, Serialize)]
pub(super) struct CreateJson<'a> {
    pub properties: &'a BTreeMap<String, String>,
    pub associations: Vec<EdgeJson<'a>>,
}

/// An association that a new record is created with.
#[derive(Debug, Serialize)]
pub(super) struct EdgeJson<'a> {
    pub to: IdInput<'a>,
    pub types: [LabelJson; 1],
}

#[derive(Debug, Serialize)]
pub(super) struct IdInput<'a> {
    pub id: &'a str,
}

/// A batch read. Both lists must be there, empty or not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadJson<'a> {
    pub properties: Vec<&'a str>,
    pub properties_with_history: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_property: Option<&'a str>,
    pub inputs: Vec<IdInput<'a>>,
}

/// One record of a batch update or upsert.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WriteInput<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_property: Option<&'a str>,
    pub object_write_trace_id: String,
    pub properties: &'a BTreeMap<String, String>,
}

/// A search.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SearchJson<'a> {
    pub filter_groups: Vec<GroupJson<'a>>,
    pub sorts: Vec<SortJson<'a>>,
    pub properties: Vec<&'a str>,
    pub limit: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct GroupJson<'a> {
    pub filters: Vec<FilterJson<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct SortJson<'a> {
    #[serde(rename = "propertyName")]
    pub property_name: &'a str,
    pub direction: &'static str,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterJson<'a> {
    pub property_name: &'a str,
    pub operator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

impl<'a> FilterJson<'a> {
    pub fn one(property_name: &'a str, operator: &'static str, value: impl ToString) -> Self {
        Self { property_name, operator, value: Some(value.to_string()), values: None }
    }

    pub fn any(property_name: &'a str, values: Vec<String>) -> Self {
        Self { property_name, operator: "IN", value: None, values: Some(values) }
    }

    pub fn blank(property_name: &'a str) -> Self {
        Self { property_name, operator: "NOT_HAS_PROPERTY", value: None, values: None }
    }
}

/// A labelled association: the body is a list of these.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LabelJson {
    pub association_category: &'static str,
    pub association_type_id: u32,
}

/// A private app's token, to ask what it may do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TokenKeyJson<'a> {
    pub token_key: &'a str,
}

#[cfg(test)]
mod tests;
