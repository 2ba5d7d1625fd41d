//! Single records over the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::{Answer, Asked, bad_json, texts};
use super::associations::{self, End};
use super::errors::{Refusal, categorized, plain};
use super::object::Object;
use super::record::{Record, Version, instant};
use super::validate;
use super::world::{Account, Table};
use super::write::{By, WriteError};

/// What of a record is shown.
#[derive(Debug, Default)]
pub(super) struct Selector<'a> {
    pub properties: Vec<&'a str>,
    pub history: Vec<&'a str>,
    pub associations: Vec<Object>,
}

impl<'a> Selector<'a> {
    fn of_query(asked: &'a Asked<'_>) -> Result<Self, Refusal> {
        let associations = asked.listed("associations").into_iter().map(|kind| {
            let message = format!("Unable to infer object type from: {kind}");
            Object::named(kind).ok_or_else(|| plain(400, message).unmodelled())
        });
        Ok(Self {
            properties: asked.listed("properties"),
            history: asked.listed("propertiesWithHistory"),
            associations: associations.collect::<Result<_, _>>()?,
        })
    }
}

/// A record as a read shows it: what was asked for, or a few by default, the id and both stamps.
/// Names that no property has are left out, without a word.
pub(super) fn shown(account: &Account, record: &Record, selector: &Selector<'_>) -> Value {
    let object = record.object;
    let table = account.table(object);
    let mut names: BTreeSet<&str> =
        BTreeSet::from([object.created(), "hs_object_id", object.modified()]);
    let asked = !selector.properties.is_empty() || !selector.history.is_empty();
    if asked {
        names.extend(selector.properties.iter().filter(|name| table.property(name).is_some()));
    } else {
        names.extend(object.read_by_default());
    }
    let mut shown = rendered(account, record, &names);
    if !selector.history.is_empty() {
        let histories: Map<String, Value> = selector
            .history
            .iter()
            .filter(|name| table.property(name).is_some())
            .map(|name| {
                let versions = record.history(name).iter().rev().map(version).collect();
                ((*name).to_owned(), Value::Array(versions))
            })
            .collect();
        shown.insert("propertiesWithHistory".to_owned(), Value::Object(histories));
    }
    let edges: Map<String, Value> = selector
        .associations
        .iter()
        .filter_map(|to| Some((to.plural().to_owned(), edges(account, record, *to)?)))
        .collect();
    if !edges.is_empty() {
        shown.insert("associations".to_owned(), Value::Object(edges));
    }
    Value::Object(shown)
}

/// A record as the answer to a write shows it: no selector is honoured, the written properties come
/// back with a set of system ones.
pub(super) fn echoed(account: &Account, record: &Record, written: &[&str]) -> Map<String, Value> {
    let object = record.object;
    let mut names: BTreeSet<&str> =
        BTreeSet::from([object.created(), "hs_object_id", object.modified()]);
    names.extend(written);
    let has = |name: &&&str| record.stored(name).is_some();
    names.extend(object.written_by_default().iter().filter(has));
    rendered(account, record, &names)
}

fn rendered(account: &Account, record: &Record, names: &BTreeSet<&str>) -> Map<String, Value> {
    let object = record.object;
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| {
            let value = record.get(name).map_or(Value::Null, |value| value.into_owned().into());
            ((*name).to_owned(), value)
        })
        .collect();
    let mut shown = Map::new();
    shown.insert("id".to_owned(), record.id.to_string().into());
    shown.insert("properties".to_owned(), Value::Object(properties));
    shown.insert("createdAt".to_owned(), instant(record.created).into());
    shown.insert("updatedAt".to_owned(), instant(record.updated).into());
    shown.insert("archived".to_owned(), record.archived.is_some().into());
    if let Some(at) = record.archived {
        shown.insert("archivedAt".to_owned(), instant(at).into());
    }
    let (portal, kind, id) = (account.portal, object.type_id(), record.id);
    let url = format!("https://app.hubspot.com/contacts/{portal}/record/{kind}/{id}");
    shown.insert("url".to_owned(), url.into());
    shown
}

fn version(version: &Version) -> Value {
    let mut shown = json!({
        "value": version.value,
        "timestamp": instant(version.at),
        "sourceType": &*version.source.kind,
    });
    if let Some(id) = &version.source.id {
        shown["sourceId"] = json!(&**id);
    }
    if let Some(user) = version.source.user_id() {
        shown["updatedByUserId"] = json!(user);
    }
    shown
}

/// The associations of a record as its own read shows them: an entry for each type, so one id can
/// come twice.
fn edges(account: &Account, record: &Record, to: Object) -> Option<Value> {
    let from = record.object;
    let primary = associations::types(from, to).any(|kind| kind.label == Some("Primary"));
    let word = format!("{}_to_{}", from.singular(), to.singular());
    let mut results = Vec::new();
    for (id, types) in account.associations.with_types((from, record.id), to) {
        if account.table(to).live(id).is_none() {
            continue;
        }
        for kind in types {
            let unlabeled = primary && associations::label(from, to, *kind).is_none();
            let suffix = if unlabeled { "_unlabeled" } else { "" };
            results.push(json!({ "id": id.to_string(), "type": format!("{word}{suffix}") }));
        }
    }
    (!results.is_empty()).then(|| json!({ "results": results }))
}

/// Finds a record as a path names it. Retired ids lead to the survivor.
pub(super) fn find<'a>(
    table: &'a Table,
    id: &str,
    id_property: Option<&str>,
) -> Result<&'a Arc<Record>, Refusal> {
    let missing = || categorized(404, "OBJECT_NOT_FOUND", "resource not found");
    match id_property.filter(|name| *name != "hs_object_id") {
        Some(name) if table.identifies(name) => table.by_unique(name, id).ok_or_else(missing),
        Some(name) => Err(not_unique(table.object, name)),
        None => {
            let number = id.parse::<u64>().map_err(|_| missing())?;
            table.live(number).ok_or_else(missing)
        }
    }
}

pub(super) fn not_unique(object: Object, name: &str) -> Refusal {
    let message =
        format!("Property {name} is not a unique identifier property of {}", object.type_id());
    categorized(400, "VALIDATION_ERROR", message)
}

/// The refusal of a write, with HubSpot's status and words.
pub(super) fn refused(error: WriteError) -> Refusal {
    match error {
        WriteError::NotFound { .. } => categorized(404, "OBJECT_NOT_FOUND", "resource not found"),
        WriteError::Values(problems) => validate::refusal(&problems),
        WriteError::Exists { object, existing } => {
            let message = format!("{} already exists. Existing ID: {existing}", title(object));
            categorized(409, "CONFLICT", message)
        }
        WriteError::Blocked => validate::refusal(&[super::lifetime::blocked()]),
        WriteError::Required { object, .. } => {
            let kind = object.singular().to_uppercase();
            let message = format!("Error creating {kind}. Some required properties were not set.");
            categorized(400, "VALIDATION_ERROR", message)
        }
        WriteError::Merge(why) => categorized(400, "VALIDATION_ERROR", why),
        WriteError::Association(why) => categorized(400, "VALIDATION_ERROR", why),
    }
}

/// The kind with a capital, as messages have it.
pub(super) fn title(object: Object) -> &'static str {
    match object {
        Object::Contact => "Contact",
        Object::Company => "Company",
        Object::Deal => "Deal",
        Object::Task => "Task",
        Object::Note => "Note",
        Object::Call => "Call",
        Object::Email => "Email",
    }
}

pub(super) fn list(
    account: &Account,
    asked: &Asked<'_>,
    object: Object,
) -> Result<Answer, Refusal> {
    let selector = Selector::of_query(asked)?;
    let most = if selector.history.is_empty() { 100 } else { 50 };
    let limit = asked.limit(10, most)?;
    let after = match asked.query("after").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => {
            return Err(bad_json("Cannot deserialize value of type `long` for `after`"));
        }
    };
    let archived = asked.flag("archived");
    let mut records = account
        .table(object)
        .records
        .range(after..)
        .map(|(_, record)| record)
        .filter(|record| record.archived.is_some() == archived);
    let results: Vec<Value> =
        records.by_ref().take(limit).map(|record| shown(account, record, &selector)).collect();
    let mut body = json!({ "results": results });
    if let Some(next) = records.next() {
        body["paging"] = asked.next_page(&next.id.to_string());
    }
    Ok(Answer::ok(body))
}

pub(super) fn read(
    account: &Account,
    asked: &Asked<'_>,
    object: Object,
    id: &str,
) -> Result<Answer, Refusal> {
    let selector = Selector::of_query(asked)?;
    let table = account.table(object);
    let record = if asked.flag("archived") {
        let record = id.parse::<u64>().ok().and_then(|id| table.records.get(&id));
        record
            .filter(|record| record.archived.is_some())
            .ok_or_else(|| categorized(404, "OBJECT_NOT_FOUND", "resource not found"))?
    } else {
        find(table, id, asked.query("idProperty"))?
    };
    Ok(Answer::ok(shown(account, record, &selector)))
}

pub(super) fn create(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    by: &By,
) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let values = texts(body.get("properties"))?;
    let edges = wanted_edges(account, object, body.get("associations"))?;
    let id = account.create(object, &values, by).map_err(refused)?;
    for (to, kind) in edges {
        account.associate((object, id), to, Some(kind), by);
    }
    let record = account.table(object).live(id).map(Arc::clone);
    let record = record.ok_or_else(|| plain(500, "internal error"))?;
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Answer::with(201, Value::Object(echoed(account, &record, &names))))
}

/// Reads the associations that a new record is to have, before anything is created.
pub(super) fn wanted_edges(
    account: &Account,
    object: Object,
    asked: Option<&Value>,
) -> Result<Vec<(End, u32)>, Refusal> {
    let Some(Value::Array(list)) = asked else { return Ok(Vec::new()) };
    let bad = |message: String| categorized(400, "VALIDATION_ERROR", message);
    let mut edges = Vec::new();
    for edge in list {
        let id = match &edge["to"]["id"] {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => return Err(bad_json("Cannot deserialize value of type `to.id`")),
        };
        let types = edge["types"].as_array().map(Vec::as_slice).unwrap_or_default();
        for kind in types {
            let type_id = kind["associationTypeId"].as_u64().unwrap_or_default();
            let known = Object::ALL.into_iter().find_map(|to| {
                let found = associations::types(object, to).find(|at| u64::from(at.id) == type_id);
                found.map(|kind| (to, kind.id))
            });
            let (to, kind) = known.ok_or_else(|| {
                let from = object.singular();
                bad(format!("{type_id} is not a valid association type id from {from}"))
            })?;
            let target = id.parse::<u64>().ok().and_then(|id| account.table(to).live(id));
            let target = target.ok_or_else(|| bad(format!("{id} is not a valid ID")))?;
            edges.push(((to, target.id), kind));
        }
    }
    Ok(edges)
}

pub(super) fn update(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    id: &str,
    by: &By,
) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let values = texts(body.get("properties"))?;
    if values.is_empty() {
        return Err(nothing_to_update());
    }
    let id = find(account.table(object), id, asked.query("idProperty"))?.id;
    account.update(object, id, &values, by).map_err(refused)?;
    let record = account.table(object).live(id).map(Arc::clone);
    let record = record.ok_or_else(|| plain(500, "internal error"))?;
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Answer::ok(Value::Object(echoed(account, &record, &names))))
}

pub(super) fn nothing_to_update() -> Refusal {
    let message = "No properties found to update, please provide at least one.";
    categorized(400, "VALIDATION_ERROR", message).with("context", json!({ "properties": ["{}"] }))
}

/// Archiving what is gone already is answered like archiving what is there. A retired id is gone:
/// only reads and single updates follow it.
pub(super) fn archive(
    account: &mut Account,
    object: Object,
    id: &str,
    by: &By,
) -> Result<Answer, Refusal> {
    if let Ok(id) = id.parse::<u64>() {
        account.put_away(object, id, by);
    }
    Ok(Answer::empty(204))
}

pub(super) fn merge(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    by: &By,
) -> Result<Answer, Refusal> {
    if object.is_activity() {
        let message = format!("Merging is not supported for {}", object.type_id());
        return Err(categorized(400, "VALIDATION_ERROR", message).unmodelled());
    }
    let body = asked.json()?;
    let id = |name: &str| {
        let id = body.get(name).and_then(Value::as_str).and_then(|id| id.parse::<u64>().ok());
        id.ok_or_else(|| bad_json(&format!("Cannot deserialize value of type `{name}`")))
    };
    let (primary, other) = (id("primaryObjectId")?, id("objectIdToMerge")?);
    let id = account.unite(object, primary, other, by).map_err(refused)?;
    let record = account.table(object).live(id).map(Arc::clone);
    let record = record.ok_or_else(|| plain(500, "internal error"))?;
    Ok(Answer::ok(Value::Object(echoed(account, &record, &["hs_merged_object_ids"]))))
}

/// `gdpr-delete`: by id, or by address with `idProperty`.
pub(super) fn erase(account: &mut Account, asked: &Asked<'_>, by: &By) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let object_id = body.get("objectId").and_then(Value::as_str);
    let object_id = object_id
        .ok_or_else(|| bad_json("Cannot deserialize value of type `objectId`"))?
        .to_owned();
    if body.get("idProperty").and_then(Value::as_str) == Some("email") {
        let table = account.table(Object::Contact);
        let id = table.by_unique("email", &object_id).map(|record| record.id);
        account.erase(id, Some(&object_id), by);
    } else {
        account.erase(object_id.parse().ok(), None, by);
    }
    Ok(Answer::empty(204))
}
