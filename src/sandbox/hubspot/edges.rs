//! Associations over the API, version 4 and dated.

use serde_json::{Value, json};

use super::api::{Answer, Asked, bad_json};
use super::associations::{self, End};
use super::errors::{Refusal, categorized, plain};
use super::object::Object;
use super::record::instant;
use super::world::Account;
use super::write::By;

type Kinds = (Object, Object);

fn number(value: &Value) -> String {
    match value {
        Value::Number(id) => id.to_string(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// `POST …/associations/{from}/{to}/batch/…`.
pub(super) fn batch(
    account: &mut Account,
    asked: &Asked<'_>,
    kinds: Kinds,
    what: &[&str],
    by: &By,
) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    let Some(Value::Array(inputs)) = body.get("inputs") else {
        return Err(bad_json("Cannot deserialize value of type `inputs`"));
    };
    let most = if what == ["read"] { 1000 } else { 2000 };
    if inputs.len() > most {
        let message = format!("The maximum number of inputs supported is {most}.");
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    match what {
        ["read"] => Ok(read(account, asked, kinds, inputs)),
        ["create"] => Ok(create(account, kinds, inputs, false, by)),
        ["associate", "default"] => Ok(create(account, kinds, inputs, true, by)),
        ["archive"] => {
            archive(account, kinds, inputs, by);
            // The dated versions answer with a status of their own.
            Ok(if asked.dated { Answer::ok(json!({})) } else { Answer::empty(204) })
        }
        ["labels", "archive"] => {
            for input in inputs {
                let ends = ends(kinds, input);
                for kind in input["types"].as_array().into_iter().flatten() {
                    let kind = kind["associationTypeId"].as_u64().unwrap_or_default();
                    if let (Some((from, to)), Ok(kind)) = (ends, u32::try_from(kind)) {
                        account.dissociate(from, to, Some(kind), by);
                    }
                }
            }
            Ok(Answer::empty(204))
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn ends(kinds: Kinds, input: &Value) -> Option<(End, End)> {
    let from = number(&input["from"]["id"]).parse().ok()?;
    let to = number(&input["to"]["id"]).parse().ok()?;
    Some(((kinds.0, from), (kinds.1, to)))
}

fn types_of(kinds: Kinds, types: &std::collections::BTreeSet<u32>) -> Vec<Value> {
    types
        .iter()
        .map(|kind| {
            json!({
                "category": "HUBSPOT_DEFINED",
                "typeId": kind,
                "label": associations::label(kinds.0, kinds.1, *kind),
            })
        })
        .collect()
}

fn targets(account: &Account, from: End, to: Object) -> Vec<Value> {
    account
        .associations
        .with_types(from, to)
        .filter(|(id, _)| account.table(to).live(*id).is_some())
        .map(|(id, types)| {
            json!({ "toObjectId": id, "associationTypes": types_of((from.0, to), types) })
        })
        .collect()
}

/// A record without associations is an error entry, not an empty one.
fn read(account: &Account, asked: &Asked<'_>, kinds: Kinds, inputs: &[Value]) -> Answer {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let asked_id = number(&input["id"]);
        let id = asked_id.parse::<u64>().ok();
        let live = id.and_then(|id| account.table(kinds.0).live(id));
        let to = live.map(|from| targets(account, (kinds.0, from.id), kinds.1));
        match to.filter(|to| !to.is_empty()) {
            Some(to) => results.push(json!({ "from": { "id": asked_id }, "to": to })),
            None => {
                let (from, to) = (kinds.0.singular(), kinds.1.singular());
                errors.push(json!({
                    "status": "error",
                    "category": "OBJECT_NOT_FOUND",
                    "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                    "message": format!("No {to} is associated with {from} {asked_id}."),
                    "context": {
                        "fromObjectId": [asked_id],
                        "fromObjectType": [from],
                        "toObjectType": [to],
                    },
                }));
            }
        }
    }
    finished(results, errors, 200, asked.now)
}

fn finished(results: Vec<Value>, errors: Vec<Value>, status: u16, now: jiff::Timestamp) -> Answer {
    let mut body = json!({
        "completedAt": instant(now),
        "status": "COMPLETE",
        "startedAt": instant(now),
        "results": results,
    });
    if errors.is_empty() {
        return Answer::with(status, body);
    }
    body["numErrors"] = json!(errors.len());
    body["errors"] = Value::Array(errors);
    Answer::with(207, body)
}

fn create(
    account: &mut Account,
    kinds: Kinds,
    inputs: &[Value],
    by_default: bool,
    by: &By,
) -> Answer {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let types: Vec<Option<u64>> = if by_default {
            vec![None]
        } else {
            let types = input["types"].as_array().into_iter().flatten();
            types.map(|kind| Some(kind["associationTypeId"].as_u64().unwrap_or_default())).collect()
        };
        match associate(account, kinds, (&input["from"]["id"], &input["to"]["id"]), &types, by) {
            Ok(shown) if by_default => {
                let (from, to) = (&shown["fromObjectId"], &shown["toObjectId"]);
                let kind = associations::types(kinds.0, kinds.1).find(|kind| kind.label.is_none());
                results.push(json!({
                    "from": { "id": from.to_string() },
                    "to": { "id": to.to_string() },
                    "associationSpec": {
                        "associationCategory": "HUBSPOT_DEFINED",
                        "associationTypeId": kind.map(|kind| kind.id),
                    },
                }));
            }
            Ok(shown) => results.push(shown),
            Err(error) => errors.push(error),
        }
    }
    finished(results, errors, if by_default { 200 } else { 201 }, by.now)
}

fn error(sub_category: Option<&str>, message: String, context: Option<Value>) -> Value {
    let mut error = json!({ "status": "error", "category": "VALIDATION_ERROR" });
    if let Some(sub_category) = sub_category {
        error["subCategory"] = json!(sub_category);
    }
    error["message"] = json!(message);
    if let Some(context) = context {
        error["context"] = context;
    }
    error
}

/// Associates two records and shows the association, or says why not in a batch's way.
fn associate(
    account: &mut Account,
    kinds: Kinds,
    (from, to): (&Value, &Value),
    types: &[Option<u64>],
    by: &By,
) -> Result<Value, Value> {
    let parse = |id: &Value| {
        let id = number(id);
        id.parse::<u64>().map_err(|_| {
            let message = format!("{id} is not a valid ID");
            error(Some("crm.associations.INVALID_IDENTIFIER"), message, Some(json!({ "id": [id] })))
        })
    };
    let (from_id, to_id) = (parse(from)?, parse(to)?);
    if kinds.0 == kinds.1 && from_id == to_id {
        let message = format!("Object {from_id} cannot be associated to itself ({to_id})");
        return Err(error(None, message, None));
    }
    let missing = |kind: Object, id: u64, which: &str| {
        let message = format!("{} {id} does not exist", kind.singular());
        let sub_category = format!("crm.associations.{which}_OBJECT_NOT_FOUND");
        error(Some(&sub_category), message, Some(json!({ "id": [id.to_string()] })))
    };
    let live = |kind: Object, id: u64| account.table(kind).live(id).map(|record| record.id);
    let from = live(kinds.0, from_id).ok_or_else(|| missing(kinds.0, from_id, "FROM"))?;
    let to = live(kinds.1, to_id).ok_or_else(|| missing(kinds.1, to_id, "TO"))?;
    let known = |kind: &Option<u64>| {
        kind.is_none_or(|id| {
            associations::types(kinds.0, kinds.1).any(|kind| u64::from(kind.id) == id)
        })
    };
    let possible = associations::types(kinds.0, kinds.1).next().is_some();
    if let Some(bad) = types.iter().find(|kind| !possible || !known(kind)) {
        let id = bad.map_or("default".to_owned(), |id| id.to_string());
        let (from, to) = (kinds.0.singular(), kinds.1.singular());
        let message = format!("{id} is not a valid association type between {from} and {to}");
        return Err(error(Some("crm.associations.INVALID_ASSOCIATION_TYPE"), message, None));
    }
    let mut labels: Vec<&str> = Vec::new();
    for kind in types {
        let kind = kind.and_then(|kind| u32::try_from(kind).ok());
        labels.extend(
            account.associate((kinds.0, from), (kinds.1, to), kind, by).into_iter().flatten(),
        );
    }
    Ok(json!({
        "fromObjectTypeId": kinds.0.type_id(),
        "fromObjectId": from,
        "toObjectTypeId": kinds.1.type_id(),
        "toObjectId": to,
        "labels": labels,
    }))
}

fn archive(account: &mut Account, kinds: Kinds, inputs: &[Value], by: &By) {
    for input in inputs {
        let from = number(&input["from"]["id"]);
        for to in input["to"].as_array().into_iter().flatten() {
            if let (Ok(from), Ok(to)) = (from.parse(), number(&to["id"]).parse()) {
                account.dissociate((kinds.0, from), (kinds.1, to), None, by);
            }
        }
    }
}

/// `…/objects/{from}/{id}/associations/…`.
pub(super) fn single(
    account: &mut Account,
    asked: &Asked<'_>,
    from: (Object, &str),
    rest: &[&str],
    by: &By,
) -> Result<Answer, Refusal> {
    let kind = |text: &str| {
        let message = format!("Unable to infer object type from: {text}");
        Object::named(text).ok_or_else(|| plain(400, message).unmodelled())
    };
    let failed = |error: Value| {
        let message = error["message"].as_str().unwrap_or_default();
        let mut refusal = categorized(400, "VALIDATION_ERROR", message);
        if let Some(sub_category) = error.get("subCategory") {
            refusal = refusal.with("subCategory", sub_category.clone());
        }
        refusal
    };
    let from_id = json!(from.1);
    match (asked.method, rest) {
        // The dated versions have no such list; batches are read instead.
        ("GET", [to]) if !asked.dated => list(account, asked, from, kind(to)?),
        ("PUT", ["default", to, to_id]) => {
            let kinds = (from.0, kind(to)?);
            let input = json!({ "from": { "id": from_id }, "to": { "id": to_id } });
            associate(account, kinds, (&input["from"]["id"], &input["to"]["id"]), &[None], by)
                .map_err(failed)?;
            Ok(create(account, kinds, &[input], true, by))
        }
        ("PUT", [to, to_id]) => {
            let Ok(Value::Array(types)) = serde_json::from_slice(asked.body) else {
                return Err(bad_json("Cannot deserialize value of type `ArrayList`"));
            };
            let types: Vec<Option<u64>> = types
                .iter()
                .map(|kind| Some(kind["associationTypeId"].as_u64().unwrap_or_default()))
                .collect();
            let kinds = (from.0, kind(to)?);
            let shown = associate(account, kinds, (&from_id, &json!(to_id)), &types, by);
            Ok(Answer::with(201, shown.map_err(failed)?))
        }
        ("DELETE", [to, to_id]) => {
            let to = kind(to)?;
            if let (Ok(from_id), Ok(to_id)) = (from.1.parse(), to_id.parse()) {
                account.dissociate((from.0, from_id), (to, to_id), None, by);
            }
            Ok(Answer::empty(204))
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn list(
    account: &Account,
    asked: &Asked<'_>,
    (object, id): (Object, &str),
    to: Object,
) -> Result<Answer, Refusal> {
    let record = super::objects::find(account.table(object), id, None)?;
    let limit = asked.limit(500, 500)?;
    let after: u64 = asked.query("after").and_then(|after| after.parse().ok()).unwrap_or(0);
    let all = targets(account, (object, record.id), to);
    let mut rest = all.into_iter().filter(|to| to["toObjectId"].as_u64() >= Some(after));
    let results: Vec<Value> = rest.by_ref().take(limit).collect();
    let mut body = json!({ "results": results });
    if let Some(next) = rest.next() {
        body["paging"] = asked.next_page(&next["toObjectId"].to_string());
    }
    Ok(Answer::ok(body))
}
