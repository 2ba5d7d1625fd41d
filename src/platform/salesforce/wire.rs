//! Salesforce's JSON, and its way into the shared words. Nothing here fails for a field, a code or
//! a type that is new: what is not known is left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::pubsub::Member;
use crate::platform::{Choice, FieldKind, FieldSchema, ObjectSchema};
use crate::record::{Raw, SalesforceId};

/// A record as the data API prints it. Names are found without regard to case, because the platform
/// answers in its own spelling whatever was asked.
pub(super) type Row = Map<String, Json>;

/// A page of a query. (REST API Developer Guide, "Query".)
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueryPage {
    pub done: bool,
    #[serde(rename = "nextRecordsUrl")]
    pub next: Option<String>,
    pub records: Vec<Row>,
}

/// One error of the data API: `errorCode` for a call, `statusCode` for an item of a collection.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct ApiError {
    #[serde(alias = "statusCode", alias = "error")]
    #[serde(rename = "errorCode")]
    pub code: String,
    #[serde(alias = "error_description")]
    pub message: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub fields: Vec<String>,
    #[serde(rename = "duplicateResult", alias = "duplicateResut")]
    pub duplicates: Option<Json>,
}

/// One result of sObject Collections.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    pub id: Option<String>,
    pub success: bool,
    pub created: Option<bool>,
    #[serde(deserialize_with = "null_is_empty")]
    pub errors: Vec<ApiError>,
}

/// What `deleted/` answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeletedPage {
    pub deleted_records: Vec<DeletedRow>,
    pub latest_date_covered: Option<String>,
}

/// One deleted record.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeletedRow {
    pub id: String,
    pub deleted_date: Option<String>,
}

/// The part of the list of resources that is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub identity: String,
}

/// A page of the members of channels.
#[derive(Debug, Deserialize)]
pub(super) struct Members {
    pub done: bool,
    pub records: Vec<Member>,
}

/// The part of the org's limits that is needed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    #[serde(rename = "DailyDeliveredPlatformEvents")]
    pub events: Limit,
}

/// One limit. A platform that writes it in another way says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Limit {
    pub max: Option<u64>,
    pub remaining: Option<u64>,
}

/// What an action came to. (Actions Developer Guide, "Invoking Actions".)
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ActionResult {
    pub is_success: Option<bool>,
    #[serde(deserialize_with = "null_is_empty")]
    pub errors: Vec<ApiError>,
    pub output_values: Option<Row>,
}

/// The actions of a kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Actions {
    pub actions: Vec<Action>,
}

/// An action, as a list names it and as it describes itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Action {
    pub name: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub inputs: Vec<ActionInput>,
}

/// What an action takes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ActionInput {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub required: bool,
    pub max_occurs: Option<u32>,
}

/// What an action came to, out of the list that there is for a list of inputs, or alone. Nothing where
/// the body says something else: an error of the call.
pub(super) fn action_result(body: &[u8]) -> Option<ActionResult> {
    let json: Json = serde_json::from_slice(body).ok()?;
    let one = match json {
        Json::Array(all) => all.into_iter().next()?,
        one => one,
    };
    let result: ActionResult = serde_json::from_value(one).ok()?;
    result.is_success.is_some().then_some(result)
}

/// What `/composite` answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Composite {
    pub composite_response: Vec<CompositeItem>,
}

/// One answer inside `/composite`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CompositeItem {
    pub body: Json,
    pub http_status_code: u16,
}

fn null_is_empty<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// The errors in the body of an answer that failed: an array for the data API, an object for OAuth,
/// and nothing where the edge answered with a page of HTML.
pub(super) fn errors(body: &[u8]) -> Vec<ApiError> {
    match serde_json::from_slice::<Json>(body) {
        Ok(Json::Array(items)) => {
            items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
        }
        Ok(item @ Json::Object(_)) => serde_json::from_value(item).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl ApiError {
    /// The ids of the records that a duplicate rule matched.
    pub(super) fn matched(&self) -> Vec<String> {
        let mut ids = Vec::new();
        let results =
            self.duplicates.as_ref().and_then(|result| result.get("matchResults")?.as_array());
        for result in results.into_iter().flatten() {
            let records = result.get("matchRecords").and_then(Json::as_array);
            for record in records.into_iter().flatten() {
                let id = record.get("record").and_then(|record| {
                    record.get("Id").or_else(|| record.get("id")).and_then(Json::as_str)
                });
                ids.extend(id.and_then(id18));
            }
        }
        ids
    }
}

/// The id in its 18 characters, where it is one.
pub(super) fn id18(text: &str) -> Option<String> {
    SalesforceId::parse(text).ok().map(|id| id.as_str().to_owned())
}

/// A moment in the API's spelling, `2026-05-01T07:25:37.000+0000`, which RFC 3339 does not know.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

/// A column of `row`, whatever the case of its name.
pub(super) fn column<'a>(row: &'a Row, name: &str) -> Option<&'a Json> {
    row.get(name).or_else(|| {
        row.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// A column's text, where it holds text.
pub(super) fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    column(row, name).and_then(Json::as_str)
}

/// A column's truth; absent is false.
pub(super) fn truth(row: &Row, name: &str) -> bool {
    column(row, name).and_then(Json::as_bool).unwrap_or(false)
}

/// A column as a value. `Owner.Name` walks into the related record; what is no plain value (a
/// compound address, a child list) is kept as its JSON.
pub(super) fn value(row: &Row, name: &str) -> Option<Raw> {
    let (first, rest) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
    match (column(row, first)?, rest) {
        (Json::Object(related), Some(rest)) => value(related, rest),
        (Json::Null, _) => Some(Raw::Null),
        (_, Some(_)) => None,
        (json, None) => Some(raw(json)),
    }
}

fn raw(json: &Json) -> Raw {
    match json {
        Json::Null => Raw::Null,
        Json::Bool(truth) => Raw::Bool(*truth),
        Json::Number(number) => number
            .as_f64()
            .filter(|number| number.is_finite())
            .map_or_else(|| Raw::Text(number.to_string()), Raw::Number),
        Json::String(text) => Raw::Text(text.clone()),
        other => Raw::Text(other.to_string()),
    }
}

/// A value for a write. A whole number is printed without a fraction, because a field of type `int`
/// takes no other.
pub(super) fn json(raw: &Raw) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match raw {
        Raw::Null => Json::Null,
        Raw::Bool(truth) => Json::Bool(*truth),
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
        Raw::Number(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            Json::from(*number as i64)
        }
        Raw::Number(number) => Json::from(*number),
        Raw::Text(text) => Json::String(text.clone()),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Describe {
    name: String,
    createable: bool,
    updateable: bool,
    fields: Vec<DescribedField>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribedField {
    name: String,
    label: String,
    #[serde(rename = "type")]
    kind: String,
    length: u32,
    createable: bool,
    updateable: bool,
    nillable: bool,
    defaulted_on_create: bool,
    unique: bool,
    external_id: bool,
    id_lookup: bool,
    restricted_picklist: bool,
    picklist_values: Vec<DescribedChoice>,
    reference_to: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DescribedChoice {
    value: String,
    label: Option<String>,
    active: bool,
}

/// An object's description out of the body of `describe`.
pub(super) fn describe(body: &[u8]) -> serde_json::Result<ObjectSchema> {
    let described: Describe = serde_json::from_slice(body)?;
    let fields: BTreeMap<_, _> =
        described.fields.into_iter().map(|field| (field.name.clone(), field.into())).collect();
    Ok(ObjectSchema {
        object: described.name,
        fields,
        creatable: described.createable,
        updatable: described.updateable,
    })
}

impl From<DescribedField> for FieldSchema {
    fn from(field: DescribedField) -> Self {
        let owns = field.name.eq_ignore_ascii_case("OwnerId")
            && field.reference_to.iter().any(|to| to == "User" || to == "Group");
        Self {
            kind: kind(&field.kind, owns),
            length: (field.length > 0).then_some(field.length),
            creatable: field.createable,
            updatable: field.updateable,
            required: field.createable && !field.nillable && !field.defaulted_on_create,
            unique: field.unique,
            // The record's own id is an `idLookup` as well, but an upsert by it creates nothing.
            external_id: (field.external_id || field.id_lookup) && field.kind != "id",
            restricted: field.restricted_picklist,
            choices: field
                .picklist_values
                .into_iter()
                .map(|choice| Choice {
                    label: choice.label.unwrap_or_else(|| choice.value.clone()),
                    value: choice.value,
                    active: choice.active,
                })
                .collect(),
            name: field.name,
            label: field.label,
        }
    }
}

/// What a field of the platform's type holds. (Object Reference, "Field Types".)
fn kind(kind: &str, owns: bool) -> FieldKind {
    match kind {
        "reference" if owns => FieldKind::Owner,
        "reference" | "id" => FieldKind::Reference,
        "string" | "textarea" | "phone" | "url" | "email" | "encryptedstring" => FieldKind::Text,
        "int" | "long" | "double" | "currency" | "percent" => FieldKind::Number,
        "boolean" => FieldKind::Bool,
        "date" => FieldKind::Date,
        "datetime" => FieldKind::DateTime,
        "picklist" | "combobox" => FieldKind::Choice,
        "multipicklist" => FieldKind::Choices,
        other => FieldKind::Other(other.to_owned()),
    }
}

#[cfg(test)]
mod tests;
