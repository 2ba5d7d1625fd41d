//! sObject Collections: up to 200 records a call, judged one by one.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Answer;
use super::call::{Call, Reply};
use super::single::{Upserted, key_field};
use crate::sandbox::salesforce::id;
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::world::Org;

/// The most records of a call that writes.
const MOST: usize = 200;
/// The most ids of a call that reads.
const MOST_READ: usize = 2000;
/// The most runs of neighbours of one type.
const CHUNKS: usize = 10;

/// One record of a request.
struct Item {
    object: String,
    values: Map<String, Value>,
}

/// The outcome of one record.
type Outcome = Result<Value, Refusal>;

impl Org {
    pub(super) fn rest_collections(&mut self, call: &Call, rest: &[&str]) -> Answer {
        match (call.method.as_str(), rest) {
            ("POST", []) => self.collection_create(call),
            ("PATCH", []) => self.collection_update(call),
            ("PATCH", [object, field]) => self.collection_upsert(call, object, field),
            ("DELETE", []) => self.collection_delete(call),
            ("GET", [object]) => {
                let ids = list(call.param("ids"));
                let fields = list(call.param("fields"));
                self.collection_read(call, object, &ids, &fields)
            }
            ("POST", [object]) => {
                let body = call.object()?;
                let read = |name: &str| -> Vec<String> {
                    let items = body.get(name).and_then(Value::as_array);
                    items
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect()
                };
                self.collection_read(call, object, &read("ids"), &read("fields"))
            }
            (_, []) => Ok(Reply::bad_method(&call.method, "DELETE,PATCH,POST")),
            (_, [_] | [_, _]) => Ok(Reply::bad_method(&call.method, "GET,PATCH,POST")),
            _ => Ok(Reply::not_modelled()),
        }
    }

    fn collection_create(&mut self, call: &Call) -> Answer {
        let (items, all_or_none) = read_items(call)?;
        let write = call.write();
        self.each(items, all_or_none, |org, item| {
            let id = org.create(&write, &item.object, &item.values)?;
            Ok(json!({"id": &*id, "success": true, "errors": []}))
        })
    }

    fn collection_update(&mut self, call: &Call) -> Answer {
        let (items, all_or_none) = read_items(call)?;
        let write = call.write();
        let mut seen = BTreeSet::new();
        self.each(items, all_or_none, |org, item| {
            let text =
                item.values.iter().find(|(k, _)| k.eq_ignore_ascii_case("id")).map(|(_, v)| v);
            let Some(text) = text.and_then(Value::as_str) else {
                let message = "Id not specified in an update call";
                return Err(Refusal::row(Code::MissingArgument, message, &["Id"]));
            };
            let id = id::normalise(text).map_or_else(|| text.to_owned(), |id| id.to_string());
            if !seen.insert(id.clone()) {
                let message = format!("duplicate id in list: {id}");
                return Err(Refusal::row(Code::DuplicateValue, message, &["Id"]));
            }
            org.update(&write, &item.object, &id, &item.values)?;
            Ok(json!({"id": id, "success": true, "errors": []}))
        })
    }

    fn collection_upsert(&mut self, call: &Call, object: &str, field: &str) -> Answer {
        let Some(object) = self.object(object).cloned() else {
            return Err(Refusal::call(Code::NotFound, "The requested resource does not exist"));
        };
        let key = key_field(&object, field)?.clone();
        let (items, all_or_none) = read_items(call)?;
        let mut seen = BTreeSet::new();
        self.each(items, all_or_none, |org, item| {
            if !item.object.eq_ignore_ascii_case(&object.name) {
                let message = format!("type {} does not match {}", item.object, object.name);
                return Err(Refusal::row(Code::InvalidType, message, &[]));
            }
            let mut values = item.values;
            let name = values.keys().find(|k| k.eq_ignore_ascii_case(&key.name)).cloned();
            let value = name.and_then(|n| values.remove(&n)).unwrap_or(Value::Null);
            if value.is_null() || value.as_str() == Some("") {
                let message = format!("{} not specified", key.name);
                return Err(Refusal::row(Code::MissingArgument, message, &[&key.name]));
            }
            if !seen.insert(value.to_string().to_lowercase()) {
                let message = format!("Duplicate external id specified: {value}");
                return Err(Refusal::row(Code::DuplicateValue, message, &[&key.name]));
            }
            match org.upsert(call, &object, &key, &value, values, false)? {
                Upserted::Created(id) => {
                    Ok(json!({"id": &*id, "success": true, "errors": [], "created": true}))
                }
                Upserted::Updated(id) => {
                    Ok(json!({"id": &*id, "success": true, "errors": [], "created": false}))
                }
                Upserted::Ambiguous(several) => {
                    let message = format!(
                        "{}: more than one record found for external id field: [{}]",
                        key.name,
                        several.iter().map(|r| &*r.id).collect::<Vec<_>>().join(", ")
                    );
                    Err(Refusal::row(Code::DuplicateExternalId, message, &[]))
                }
            }
        })
    }

    fn collection_delete(&mut self, call: &Call) -> Answer {
        let ids = list(call.param("ids"));
        if ids.is_empty() || ids.len() > MOST {
            return Err(too_many(ids.len()));
        }
        let all_or_none = call.param("allOrNone").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let write = call.write();
        let items = ids.into_iter().map(|id| Item { object: id, values: Map::new() }).collect();
        self.each(items, all_or_none, |org, item| {
            let missing =
                || Refusal::row(Code::InvalidCrossReferenceKey, "invalid cross reference id", &[]);
            let id = id::normalise(&item.object).ok_or_else(|| {
                let message = format!("malformed id {}", item.object);
                Refusal::row(Code::MalformedId, message, &[])
            })?;
            let object = org.record(&id).map(|r| r.object.clone()).ok_or_else(missing)?;
            org.delete(&write, &object, &id)?;
            Ok(json!({"id": &*id, "success": true, "errors": []}))
        })
    }

    fn collection_read(
        &self,
        call: &Call,
        object: &str,
        ids: &[String],
        fields: &[String],
    ) -> Answer {
        let Some(object) = self.object(object) else {
            return Err(Refusal::call(Code::NotFound, "The requested resource does not exist"));
        };
        if ids.len() > MOST_READ {
            return Err(too_many(ids.len()));
        }
        if fields.is_empty() {
            return Err(Refusal::call(
                Code::InvalidField,
                "fields: found none, expected a list of fields",
            ));
        }
        let wanted = fields.join(",");
        let mut out = Vec::with_capacity(ids.len());
        for text in ids {
            let row = id::normalise(text).and_then(|id| self.seen(&id));
            out.push(match row.filter(|r| r.object == object.name && r.deleted_at.is_none()) {
                Some(row) => self.pick_fields(object, row, Some(&wanted), &call.version)?,
                None => Value::Null,
            });
        }
        Ok(Reply::ok(Value::Array(out)))
    }

    /// Does one thing with each item. With `all_or_none`, one failure takes everything back.
    fn each(
        &mut self,
        items: Vec<Item>,
        all_or_none: bool,
        mut work: impl FnMut(&mut Self, Item) -> Outcome,
    ) -> Answer {
        let start = self.savepoint();
        let outcomes: Vec<Outcome> = items.into_iter().map(|item| work(self, item)).collect();
        let halted = all_or_none && outcomes.iter().any(Result::is_err);
        if halted {
            self.roll_back(start);
        }
        let shown = outcomes.into_iter().map(|outcome| match outcome {
            Ok(_) if halted => {
                let message = "Record rolled back because not all records were valid and the request was \
                               using AllOrNone header";
                failed(&Refusal::row(Code::AllOrNoneOperationRolledBack, message, &[]))
            }
            Ok(value) => value,
            Err(refusal) => failed(&refusal),
        });
        Ok(Reply::ok(shown.collect()))
    }
}

/// A failed item. It has no `id`.
fn failed(refusal: &Refusal) -> Value {
    json!({"success": false, "errors": [refusal.to_item_json()]})
}

fn too_many(found: usize) -> Refusal {
    let message = format!("The number of records: found {found}, expected 1 to {MOST}");
    Refusal::call(Code::ExceededIdLimit, message)
}

fn list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The records of a request, after the checks that refuse a whole call.
fn read_items(call: &Call) -> Result<(Vec<Item>, bool), Refusal> {
    let mut body = call.object()?;
    let all_or_none = body.get("allOrNone").and_then(Value::as_bool).unwrap_or(false);
    let Some(Value::Array(records)) = body.remove("records") else {
        return Err(Refusal::call(Code::JsonParserError, "records: found none, expected an array"));
    };
    if records.is_empty() || records.len() > MOST {
        return Err(too_many(records.len()));
    }
    let mut items: Vec<Item> = Vec::with_capacity(records.len());
    let mut chunks = 0;
    for record in records {
        let Value::Object(values) = record else {
            return Err(Refusal::call(
                Code::JsonParserError,
                "records: found an item that is no object",
            ));
        };
        let attributes =
            values.get("attributes").and_then(|a| a.get("type")).and_then(Value::as_str);
        let Some(object) = attributes.map(str::to_owned) else {
            let message = "The 'attributes' of a record with its 'type' are missing";
            return Err(Refusal::call(Code::InvalidType, message));
        };
        if items.last().is_none_or(|last| last.object != object) {
            chunks += 1;
        }
        items.push(Item { object, values });
    }
    if chunks > CHUNKS {
        let message = format!(
            "Operation aborted: found {chunks} runs of records of one type, expected at most {CHUNKS}; sort \
             the records by type"
        );
        return Err(Refusal::call(Code::LimitExceeded, message));
    }
    Ok((items, all_or_none))
}
