//! Several calls in one: composite, batch, graph and tree.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Method;
use serde_json::{Map, Value, json};

use super::Answer;
use super::call::{Body, Call, Reply};
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::world::Org;

/// One call within a call.
struct Part {
    method: Method,
    url: String,
    body: Value,
    reference: String,
}

/// What one call within a call answered.
struct Done {
    reply: Reply,
    reference: String,
}

impl Done {
    fn body(&self) -> Value {
        match &self.reply.body {
            Body::Empty => Value::Null,
            Body::Json(value) => value.clone(),
            Body::Text(_, text) => json!(text),
        }
    }

    fn to_json(&self) -> Value {
        let location = self.reply.headers.iter().find(|(name, _)| *name == "location");
        let headers: Map<String, Value> =
            location.map(|(_, v)| ("Location".to_owned(), json!(v))).into_iter().collect();
        json!({
            "body": self.body(),
            "httpHeaders": headers,
            "httpStatusCode": self.reply.status,
            "referenceId": self.reference,
        })
    }
}

const HALTED: &str =
    "The transaction was rolled back since another operation in the same transaction failed.";

fn halted() -> Reply {
    Reply::refused(&Refusal::call(Code::ProcessingHalted, HALTED))
}

impl Org {
    pub(super) fn rest_composite(&mut self, call: &Call) -> Answer {
        let body = call.object()?;
        let parts = read_parts(body.get("compositeRequest"), 25)?;
        let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
        let done = self.run_parts(call, parts, all_or_none);
        let shown: Vec<Value> = done.iter().map(Done::to_json).collect();
        Ok(Reply::ok(json!({"compositeResponse": shown})))
    }

    /// Makes the calls in order. A reference to a call that failed halts the one that makes it.
    fn run_parts(&mut self, call: &Call, parts: Vec<Part>, all_or_none: bool) -> Vec<Done> {
        let start = self.savepoint();
        let mut done: Vec<Done> = Vec::with_capacity(parts.len());
        let mut culprit = None;
        let count = parts.len();
        for (at, part) in parts.into_iter().enumerate() {
            let reply =
                if culprit.is_some() { halted() } else { self.run_part(call, &part, &done) };
            if all_or_none && culprit.is_none() && !reply.is_success() {
                culprit = Some(at);
            }
            done.push(Done { reply, reference: part.reference });
        }
        if let Some(culprit) = culprit {
            self.roll_back(start);
            for (at, victim) in done.iter_mut().enumerate().take(count) {
                if at != culprit {
                    victim.reply = halted();
                }
            }
        }
        done
    }

    fn run_part(&mut self, call: &Call, part: &Part, done: &[Done]) -> Reply {
        let url = match resolve(&part.url, done) {
            Ok(url) => url,
            Err(reply) => return *reply,
        };
        let mut body = part.body.clone();
        if let Err(reply) = resolve_all(&mut body, done) {
            return *reply;
        }
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        match call.sub(part.method.clone(), &url, bytes) {
            Some(sub)
                if sub.path.first().is_some_and(|p| p == "composite")
                    && sub.path.get(1).is_none_or(|p| p != "sobjects" && p != "tree") =>
            {
                Reply::refused(&Refusal::call(
                    Code::InvalidRequest,
                    "a composite request cannot contain another composite request",
                ))
            }
            Some(sub) => super::dispatch(self, &sub),
            None => Reply::refused(&Refusal::call(
                Code::NotFound,
                "The requested resource does not exist",
            )),
        }
    }

    pub(super) fn rest_batch(&mut self, call: &Call) -> Answer {
        let body = call.object()?;
        let halt = body.get("haltOnError").and_then(Value::as_bool).unwrap_or(false);
        let Some(requests) = body.get("batchRequests").and_then(Value::as_array) else {
            return Err(Refusal::call(Code::JsonParserError, "batchRequests: expected an array"));
        };
        if requests.len() > 25 {
            return Err(over("batchRequests", requests.len(), 25));
        }
        let mut results = Vec::with_capacity(requests.len());
        let mut failed = false;
        for request in requests {
            let reply = if failed && halt {
                let message = "The batch processing was halted by a preceding request";
                Reply::refused(&Refusal::call(Code::BatchProcessingHalted, message))
            } else {
                self.batch_part(call, request)
            };
            failed |= !reply.is_success();
            let result = match reply.body {
                Body::Empty => Value::Null,
                Body::Json(value) => value,
                Body::Text(_, text) => json!(text),
            };
            results.push(json!({"statusCode": reply.status, "result": result}));
        }
        Ok(Reply::ok(json!({"hasErrors": failed, "results": results})))
    }

    fn batch_part(&mut self, call: &Call, request: &Value) -> Reply {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let body = request.get("richInput").map_or_else(Bytes::new, |v| Bytes::from(v.to_string()));
        let method =
            Method::from_bytes(text("method").to_uppercase().as_bytes()).unwrap_or(Method::GET);
        match call.sub(method, text("url"), body) {
            Some(sub) if sub.path.first().is_none_or(|p| p != "composite") => {
                super::dispatch(self, &sub)
            }
            _ => Reply::refused(&Refusal::call(
                Code::NotFound,
                "The requested resource does not exist",
            )),
        }
    }

    pub(super) fn rest_graph(&mut self, call: &Call) -> Answer {
        let body = call.object()?;
        let Some(graphs) = body.get("graphs").and_then(Value::as_array) else {
            return Err(Refusal::call(Code::JsonParserError, "graphs: expected an array"));
        };
        if graphs.len() > 75 {
            return Err(over("graphs", graphs.len(), 75));
        }
        let nodes =
            graphs.iter().filter_map(|g| g.get("compositeRequest")?.as_array()).map(Vec::len).sum();
        if nodes > 500 {
            return Err(over("nodes", nodes, 500));
        }
        let mut failures = 0;
        let mut out = Vec::with_capacity(graphs.len());
        for graph in graphs {
            let parts = read_parts(graph.get("compositeRequest"), 500)?;
            // The platform gives up after so many failed graphs.
            let done = if failures >= 14 {
                parts
                    .into_iter()
                    .map(|p| Done { reply: halted(), reference: p.reference })
                    .collect()
            } else {
                self.run_parts(call, parts, true)
            };
            let successful = done.iter().all(|d| d.reply.is_success());
            failures += usize::from(!successful);
            out.push(json!({
                "graphId": graph.get("graphId"),
                "graphResponse": {"compositeResponse": done.iter().map(Done::to_json).collect::<Vec<_>>()},
                "isSuccessful": successful,
            }));
        }
        Ok(Reply::ok(json!({"graphs": out})))
    }

    /// Records with their children, all or nothing.
    pub(super) fn rest_tree(&mut self, call: &Call, object: &str) -> Answer {
        let body = call.object()?;
        let Some(Value::Array(records)) = body.get("records") else {
            return Err(Refusal::call(Code::JsonParserError, "records: expected an array"));
        };
        let start = self.savepoint();
        let (mut made, mut errors) = (Vec::new(), Vec::new());
        for record in records {
            self.plant(call, object, record, None, &mut made, &mut errors);
        }
        if made.len() + errors.len() > 200 {
            self.roll_back(start);
            return Err(over("records", made.len() + errors.len(), 200));
        }
        if errors.is_empty() {
            return Ok(Reply::json(201, json!({"hasErrors": false, "results": made})));
        }
        self.roll_back(start);
        Ok(Reply::json(400, json!({"hasErrors": true, "results": errors})))
    }

    fn plant(
        &mut self,
        call: &Call,
        object: &str,
        record: &Value,
        parent: Option<(&str, &str)>,
        made: &mut Vec<Value>,
        errors: &mut Vec<Value>,
    ) {
        let reference = record.pointer("/attributes/referenceId").cloned().unwrap_or(Value::Null);
        let mut values = record.as_object().cloned().unwrap_or_default();
        let nested: Vec<(String, Value)> = values
            .iter()
            .filter(|(_, v)| v.get("records").is_some())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        for (name, _) in &nested {
            values.remove(name);
        }
        if let Some((field, id)) = parent {
            values.insert(field.to_owned(), json!(id));
        }
        let id = match self.create(&call.write(), object, &values) {
            Ok(id) => id,
            Err(refusal) => {
                errors.push(json!({"referenceId": reference, "errors": [refusal.to_item_json()]}));
                return;
            }
        };
        made.push(json!({"referenceId": reference, "id": &*id}));
        for (name, children) in nested {
            let found = self.objects.values().find_map(|child| {
                let field = child.fields.iter().find(|f| {
                    f.children.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(&name))
                        && f.refers_to.iter().any(|t| t.eq_ignore_ascii_case(object))
                })?;
                Some((child.name.clone(), field.name.clone()))
            });
            let Some((child, field)) = found else {
                let message = format!("No such column '{name}' on sobject of type {object}");
                let refusal = Refusal::row(Code::InvalidField, message, &[]);
                errors.push(json!({"referenceId": reference, "errors": [refusal.to_item_json()]}));
                return;
            };
            for record in children.get("records").and_then(Value::as_array).into_iter().flatten() {
                self.plant(call, &child, record, Some((&field, &id)), made, errors);
            }
        }
    }
}

fn over(what: &str, found: usize, most: usize) -> Refusal {
    Refusal::call(Code::LimitExceeded, format!("{what}: found {found}, expected at most {most}"))
}

fn read_parts(value: Option<&Value>, most: usize) -> Result<Vec<Part>, Refusal> {
    let Some(items) = value.and_then(Value::as_array) else {
        return Err(Refusal::call(Code::JsonParserError, "compositeRequest: expected an array"));
    };
    if items.len() > most {
        return Err(over("compositeRequest", items.len(), most));
    }
    let mut references = BTreeSet::new();
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        let text =
            |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let reference = text("referenceId");
        if reference.is_empty() || !references.insert(reference.clone()) {
            let message =
                format!("referenceId: found '{reference}', expected a name that is used once");
            return Err(Refusal::call(Code::InvalidRequest, message));
        }
        let method = Method::from_bytes(text("method").to_uppercase().as_bytes())
            .map_err(|_| Refusal::call(Code::InvalidRequest, "method: expected an HTTP method"))?;
        let body = item.get("body").cloned().unwrap_or(Value::Null);
        parts.push(Part { method, url: text("url"), body, reference });
    }
    Ok(parts)
}

type Resolved<T> = Result<T, Box<Reply>>;

/// Replaces every `@{reference.path}` of a text.
fn resolve(text: &str, done: &[Done]) -> Resolved<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("@{") {
        let Some((inner, behind)) = after.split_once('}') else { break };
        out.push_str(before);
        match look_up(inner, done)? {
            Value::String(text) => out.push_str(&text),
            other => out.push_str(&other.to_string()),
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn resolve_all(value: &mut Value, done: &[Done]) -> Resolved<()> {
    match value {
        Value::String(text) if text.contains("@{") => {
            *text = resolve(text, done)?;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|v| resolve_all(v, done)),
        Value::Object(map) => map.values_mut().try_for_each(|v| resolve_all(v, done)),
        _ => Ok(()),
    }
}

/// `reference.records[0].Id` within the bodies of the calls that are done.
fn look_up(inner: &str, done: &[Done]) -> Resolved<Value> {
    let (reference, path) = inner.split_once('.').unwrap_or((inner, ""));
    let invalid = || {
        let message =
            format!("Invalid reference specified. No value for {inner} found in {reference}");
        Box::new(Reply::refused(&Refusal::call(Code::ProcessingHalted, message)))
    };
    let source = done.iter().find(|d| d.reference == reference).ok_or_else(invalid)?;
    if !source.reply.is_success() {
        return Err(invalid());
    }
    let mut value = source.body();
    for step in path.split('.').filter(|s| !s.is_empty()) {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        value = value.get(name).cloned().ok_or_else(invalid)?;
        if let Some(index) = index {
            value = value.get(index).cloned().ok_or_else(invalid)?;
        }
    }
    Ok(value)
}
