//! Batches: which mistakes reject the whole, and which only an item.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::api::{Answer, Asked, bad_json, texts};
use super::associations::End;
use super::errors::{Refusal, categorized, plain};
use super::object::Object;
use super::objects::{self, Selector};
use super::record::{Record, instant};
use super::validate::{self, Problem};
use super::world::Account;
use super::write::{Actor, By, Changes, WriteError};

/// One item of a batch.
#[derive(Debug)]
struct Input {
    id: String,
    id_property: Option<String>,
    trace: Option<String>,
    values: Vec<(String, String)>,
    edges: Option<Value>,
}

/// `POST …/batch/{what}`.
pub(super) fn call(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
    what: &str,
    by: &By,
) -> Result<Answer, Refusal> {
    let body = asked.json()?;
    match what {
        "read" => read(account, asked, object, &body),
        "create" => create(account, object, inputs(&body)?, by),
        "update" => update(account, object, inputs(&body)?, by),
        "upsert" => upsert(account, object, inputs(&body)?, by),
        "archive" => {
            for input in inputs(&body)? {
                objects::archive(account, object, &input.id, by)?;
            }
            Ok(Answer::empty(204))
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn inputs(body: &Map<String, Value>) -> Result<Vec<Input>, Refusal> {
    let Some(Value::Array(list)) = body.get("inputs") else {
        return Err(bad_json("Cannot deserialize value of type `inputs`"));
    };
    if list.len() > 100 {
        let message = format!(
            "The maximum number of inputs supported in a batch request is 100. {} were sent.",
            list.len()
        );
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    let input = |item: &Value| {
        let text = |name: &str| item[name].as_str().map(str::to_owned);
        let id = match &item["id"] {
            Value::Number(id) => id.to_string(),
            id => id.as_str().unwrap_or_default().to_owned(),
        };
        Ok(Input {
            id,
            id_property: text("idProperty"),
            trace: text("objectWriteTraceId"),
            values: texts(item.get("properties"))?,
            edges: item.get("associations").cloned(),
        })
    };
    list.iter().map(input).collect()
}

/// The results and errors of a batch, with the status that goes with them.
#[derive(Debug, Default)]
struct Outcome {
    results: Vec<Value>,
    errors: Vec<Value>,
}

impl Outcome {
    fn missing(&mut self, object: Object, ids: &[String]) {
        if ids.is_empty() {
            return;
        }
        let kind = object.singular().to_uppercase();
        self.errors.push(json!({
            "status": "error",
            "category": "OBJECT_NOT_FOUND",
            "message": format!(
                "Could not get some {kind} objects, they may be deleted or not exist. Check that \
                 ids are valid."
            ),
            "context": { "ids": ids },
        }));
    }

    /// An item's own error; only items that carry a trace id get one.
    fn item(&mut self, refusal: &Refusal, trace: Option<&str>, existing: Option<u64>) {
        let mut context = Map::new();
        context.insert("objectWriteTraceId".to_owned(), json!([trace]));
        if let Some(existing) = existing {
            context.insert("existingId".to_owned(), json!([existing.to_string()]));
        }
        let mut error = Map::new();
        for key in ["status", "category", "message", "errors"] {
            if let Some(value) = refusal.body.get(key) {
                error.insert(key.to_owned(), value.clone());
            }
        }
        error.insert("context".to_owned(), Value::Object(context));
        self.errors.push(Value::Object(error));
    }

    /// The order of results promises nothing, so it is another one than that of the inputs.
    fn answer(mut self, status: u16, now: jiff::Timestamp) -> Answer {
        self.results.reverse();
        let mut body = json!({
            "status": "COMPLETE",
            "results": self.results,
            "startedAt": instant(now),
            "completedAt": instant(now),
        });
        if self.errors.is_empty() {
            return Answer::with(status, body);
        }
        body["numErrors"] = json!(self.errors.len());
        body["errors"] = Value::Array(self.errors);
        Answer::with(207, body)
    }
}

fn read(
    account: &Account,
    asked: &Asked<'_>,
    object: Object,
    body: &Map<String, Value>,
) -> Result<Answer, Refusal> {
    let list = |name: &str| -> Vec<&str> {
        let values = body.get(name).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).collect()
    };
    let selector = Selector {
        properties: list("properties"),
        history: list("propertiesWithHistory"),
        associations: Vec::new(),
    };
    let inputs = inputs(body)?;
    if !selector.history.is_empty() && inputs.len() > 50 {
        let message = "The maximum number of inputs supported in a batch request for property \
                       histories is 50.";
        return Err(categorized(400, "VALIDATION_ERROR", message));
    }
    let table = account.table(object);
    let id_property = body.get("idProperty").and_then(Value::as_str);
    if let Some(name) = id_property.filter(|name| *name != "hs_object_id")
        && !table.identifies(name)
    {
        return Err(objects::not_unique(object, name));
    }
    let archived = asked.flag("archived");
    let mut outcome = Outcome::default();
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for input in inputs {
        let record = if archived {
            let record = input.id.parse::<u64>().ok().and_then(|id| table.records.get(&id));
            record.filter(|record| record.archived.is_some())
        } else {
            objects::find(table, &input.id, id_property).ok()
        };
        match record {
            Some(record) if seen.insert(record.id) => {
                outcome.results.push(objects::shown(account, record, &selector));
            }
            Some(_) => {}
            None => missing.push(input.id),
        }
    }
    outcome.missing(object, &missing);
    Ok(outcome.answer(200, asked.now))
}

/// Checks the values of every item, so that one bad item rejects the whole batch before anything
/// is touched.
fn all_checked(
    account: &Account,
    object: Object,
    inputs: &[Input],
) -> Result<Vec<Changes>, Refusal> {
    let mut all = Vec::with_capacity(inputs.len());
    let mut problems: Vec<Problem> = Vec::new();
    for input in inputs {
        match account.checked(object, &input.values, Actor::App) {
            Ok(changes) => all.push(changes),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(validate::refusal(&problems)) }
}

/// Refuses two items that claim one unique value.
fn check_claims(
    account: &Account,
    object: Object,
    all: &[(Option<u64>, &Changes)],
) -> Result<(), WriteError> {
    let table = account.table(object);
    let mut claimed: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    for (own, changes) in all {
        account.check_unique(object, changes, *own)?;
        for (name, value) in changes.iter() {
            if value.is_empty() || !table.unique.contains_key(name) {
                continue;
            }
            if claimed.insert((name, value), ()).is_some() {
                if &**name == "email" {
                    return Err(WriteError::Exists { object, existing: 0 });
                }
                let message = format!("propertyName={name} value={value} is given twice");
                let problem = Problem::new(name, "CONFLICTING_UNIQUE_VALUE", message);
                return Err(WriteError::Values(vec![problem]));
            }
        }
    }
    Ok(())
}

/// The refusal of a whole batch: a conflict names no record then.
fn whole(error: WriteError) -> Refusal {
    match error {
        WriteError::Exists { object, .. } => {
            categorized(409, "CONFLICT", format!("{} already exists", objects::title(object)))
        }
        other => objects::refused(other),
    }
}

fn echo(account: &Account, object: Object, id: u64, input: &Input) -> Map<String, Value> {
    let names: Vec<&str> = input.values.iter().map(|(name, _)| name.as_str()).collect();
    let record: Option<&Arc<Record>> = account.table(object).live(id);
    let mut shown =
        record.map(|record| objects::echoed(account, record, &names)).unwrap_or_default();
    if let Some(trace) = &input.trace {
        shown.insert("objectWriteTraceId".to_owned(), json!(trace));
    }
    shown
}

/// All or nothing, unless every input carries a trace id.
fn create(
    account: &mut Account,
    object: Object,
    inputs: Vec<Input>,
    by: &By,
) -> Result<Answer, Refusal> {
    if inputs.iter().all(|input| input.trace.is_some()) {
        return Ok(create_each(account, object, &inputs, by));
    }
    let all = all_checked(account, object, &inputs)?;
    let edges: Vec<Vec<(End, u32)>> = inputs
        .iter()
        .map(|input| objects::wanted_edges(account, object, input.edges.as_ref()))
        .collect::<Result<_, _>>()?;
    let claims: Vec<(Option<u64>, &Changes)> = all.iter().map(|changes| (None, changes)).collect();
    check_claims(account, object, &claims).map_err(whole)?;
    let mut outcome = Outcome::default();
    for ((input, changes), edges) in inputs.iter().zip(&all).zip(edges) {
        let id = account.create_checked(object, changes, by).map_err(whole)?;
        for (to, kind) in edges {
            account.associate((object, id), to, Some(kind), by);
        }
        outcome.results.push(Value::Object(echo(account, object, id, input)));
    }
    Ok(outcome.answer(201, by.now))
}

fn create_each(account: &mut Account, object: Object, inputs: &[Input], by: &By) -> Answer {
    let mut outcome = Outcome::default();
    for input in inputs {
        let trace = input.trace.as_deref();
        let edges = match objects::wanted_edges(account, object, input.edges.as_ref()) {
            Ok(edges) => edges,
            Err(refusal) => {
                outcome.item(&refusal, trace, None);
                continue;
            }
        };
        match account.create(object, &input.values, by) {
            Ok(id) => {
                for (to, kind) in edges {
                    account.associate((object, id), to, Some(kind), by);
                }
                outcome.results.push(Value::Object(echo(account, object, id, input)));
            }
            Err(error) => {
                let existing = match &error {
                    WriteError::Exists { existing, .. } => Some(*existing),
                    _ => None,
                };
                outcome.item(&objects::refused(error), trace, existing);
            }
        }
    }
    outcome.answer(201, by.now)
}

fn update(
    account: &mut Account,
    object: Object,
    inputs: Vec<Input>,
    by: &By,
) -> Result<Answer, Refusal> {
    let mut ids = BTreeSet::new();
    if let Some(twice) = inputs.iter().find(|input| !ids.insert(input.id.as_str())) {
        let message =
            format!("Duplicate IDs found in batch input: [{}]. IDs must be unique", twice.id);
        return Err(categorized(400, "VALIDATION_ERROR", message)
            .with("context", json!({ "ids": [twice.id] })));
    }
    let all = all_checked(account, object, &inputs)?;
    let table = account.table(object);
    let mut outcome = Outcome::default();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (input, changes) in inputs.iter().zip(&all) {
        let record = objects::find(table, &input.id, input.id_property.as_deref()).ok();
        // A retired id is understood by single calls alone.
        let by_number = input.id_property.as_deref().is_none_or(|name| name == "hs_object_id");
        match record.filter(|record| !by_number || record.id.to_string() == input.id) {
            Some(record) => found.push((input, changes, record.id)),
            None => missing.push(input.id.clone()),
        }
    }
    let claims: Vec<_> = found.iter().map(|(_, changes, id)| (Some(*id), *changes)).collect();
    check_claims(account, object, &claims).map_err(whole)?;
    for (input, changes, id) in found {
        account.update_checked(object, id, changes, by).map_err(whole)?;
        outcome.results.push(Value::Object(echo(account, object, id, input)));
    }
    outcome.missing(object, &missing);
    Ok(outcome.answer(200, by.now))
}

/// Creates or updates by a unique property. With one other than the address, items that carry
/// trace ids fail alone.
fn upsert(
    account: &mut Account,
    object: Object,
    mut inputs: Vec<Input>,
    by: &By,
) -> Result<Answer, Refusal> {
    let name = inputs.first().and_then(|input| input.id_property.clone()).unwrap_or_default();
    if !account.table(object).identifies(&name)
        || inputs.iter().any(|input| input.id_property.as_deref() != Some(name.as_str()))
    {
        return Err(objects::not_unique(object, &name));
    }
    let mut ids = BTreeSet::new();
    if let Some(twice) = inputs.iter().find(|input| !ids.insert(input.id.to_lowercase())) {
        let message =
            format!("Duplicate IDs found in batch input: [{}]. IDs must be unique", twice.id);
        return Err(categorized(400, "VALIDATION_ERROR", message)
            .with("context", json!({ "ids": [twice.id] })));
    }
    for input in &mut inputs {
        let given = input.values.iter().any(|(at, _)| *at == name);
        let known = account.table(object).by_unique(&name, &input.id).is_some();
        // A record found by a secondary address keeps its primary one.
        if !given && !known {
            input.values.push((name.clone(), input.id.clone()));
        }
    }
    let partial = name != "email" && inputs.iter().all(|input| input.trace.is_some());
    if !partial {
        let all = all_checked(account, object, &inputs)?;
        let table = account.table(object);
        let own = |input: &Input| table.by_unique(&name, &input.id).map(|record| record.id);
        let claims: Vec<_> =
            inputs.iter().zip(&all).map(|(input, changes)| (own(input), changes)).collect();
        check_claims(account, object, &claims).map_err(whole)?;
    }
    let mut outcome = Outcome::default();
    for input in &inputs {
        let known = account.table(object).by_unique(&name, &input.id).map(|record| record.id);
        let written = match known {
            Some(id) => account.update(object, id, &input.values, by).map(|_| id),
            None => account.create(object, &input.values, by),
        };
        match written {
            Ok(id) => {
                let mut shown = echo(account, object, id, input);
                shown.insert("new".to_owned(), known.is_none().into());
                outcome.results.push(Value::Object(shown));
            }
            Err(error) if partial => {
                outcome.item(&objects::refused(error), input.trace.as_deref(), None);
            }
            Err(error) => return Err(whole(error)),
        }
    }
    Ok(outcome.answer(200, by.now))
}
