//! Single records: create, read, update, delete, upsert.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::Answer;
use super::call::{Call, Reply};
use crate::sandbox::salesforce::id::{self, Id};
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::schema::{Field, Kind, Object};
use crate::sandbox::salesforce::soql::attributes;
use crate::sandbox::salesforce::table::Record;
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// What an upsert did.
#[derive(Debug)]
pub(super) enum Upserted {
    /// The record is new.
    Created(Id),
    /// The record was there.
    Updated(Id),
    /// Several records have the key.
    Ambiguous(Vec<Arc<Record>>),
}

impl Org {
    pub(super) fn rest_create(&mut self, call: &Call, object: &Object) -> Answer {
        let values = call.object()?;
        let id = self.create(&call.write(), &object.name, &values)?;
        let location = format!("/services/data/{}/sobjects/{}/{id}", call.version, object.name);
        let body = json!({"id": &*id, "success": true, "errors": []});
        Ok(Reply::json(201, body).with("location", location))
    }

    pub(super) fn rest_get(&self, call: &Call, object: &Object, text: &str) -> Answer {
        let row = self.readable(object, text)?;
        self.show(call, object, &row)
    }

    fn show(&self, call: &Call, object: &Object, row: &Record) -> Answer {
        let modified =
            row.text("LastModifiedDate").and_then(time::parse_datetime).unwrap_or(row.modstamp);
        if let Some(since) = http_date(call, "if-modified-since")?
            && modified <= since
        {
            return Ok(Reply::empty(304));
        }
        precondition(call, modified)?;
        let body = self.pick_fields(object, row, call.param("fields"), &call.version)?;
        let reply = Reply::ok(body).with("last-modified", time::http_date(modified));
        Ok(if &*object.name == "Account" { reply.with("etag", etag(row)) } else { reply })
    }

    /// A record with all its fields or the named ones.
    pub(super) fn pick_fields(
        &self,
        object: &Object,
        row: &Record,
        fields: Option<&str>,
        version: &str,
    ) -> Result<Value, Refusal> {
        let names: Vec<&str> = match fields {
            Some(list) => list.split(',').map(str::trim).filter(|f| !f.is_empty()).collect(),
            None => object.fields.iter().map(|f| &*f.name).collect(),
        };
        let mut out = serde_json::Map::new();
        out.insert("attributes".to_owned(), attributes(row, version, false));
        for name in names {
            let Some(field) = object.field(name) else {
                let message = format!("No such column '{name}' on sobject of type {}", object.name);
                return Err(Refusal::call(Code::InvalidField, message));
            };
            let value = if field.kind == Kind::Address {
                crate::sandbox::salesforce::soql::address(&field.name, row)
            } else {
                row.get(&field.name).clone()
            };
            out.insert(field.name.to_string(), value);
        }
        if fields.is_some() && !out.contains_key("Id") {
            out.insert("Id".to_owned(), json!(&*row.id));
        }
        Ok(Value::Object(out))
    }

    /// A record that a read may see.
    fn readable(&self, object: &Object, text: &str) -> Result<Arc<Record>, Refusal> {
        let missing = || Refusal::call(Code::NotFound, "The requested resource does not exist");
        let Some(id) = id::normalise(text) else {
            if text.len() == 15 || text.len() == 18 {
                return Err(Refusal::call(Code::MalformedId, format!("malformed id {text}")));
            }
            let message =
                format!("Provided external ID field does not exist or is not accessible: {text}");
            return Err(Refusal::call(Code::NotFound, message));
        };
        let row = self.seen(&id).filter(|r| r.object == object.name).ok_or_else(missing)?;
        if row.deleted_at.is_some() {
            return Err(Refusal::row(Code::EntityIsDeleted, "entity is deleted", &[]));
        }
        Ok(row.clone())
    }

    pub(super) fn rest_update(&mut self, call: &Call, object: &Object, text: &str) -> Answer {
        let values = call.object()?;
        if values.keys().any(|k| k.eq_ignore_ascii_case("id")) {
            let message = "The Id field should not be specified in the sobject data.";
            return Err(Refusal::row(Code::InvalidField, message, &["Id"]));
        }
        let row = self.present(object, text)?;
        let modified =
            row.text("LastModifiedDate").and_then(time::parse_datetime).unwrap_or(row.modstamp);
        precondition(call, modified)?;
        self.update(&call.write(), &object.name, &row.id, &values)?;
        Ok(Reply::empty(204))
    }

    /// A record that a write by path may name: what is gone is 404 here, not a bad reference.
    fn present(&self, object: &Object, text: &str) -> Result<Arc<Record>, Refusal> {
        let missing = || Refusal::row(Code::NotFound, "The requested resource does not exist", &[]);
        let Some(id) = id::normalise(text) else {
            let message = format!("Record ID: id value of incorrect type: {text}");
            return Err(Refusal::row(Code::MalformedId, message, &["Id"]));
        };
        let row = self.seen(&id).filter(|r| r.object == object.name).ok_or_else(missing)?;
        if row.deleted_at.is_some() {
            return Err(Refusal::row(Code::EntityIsDeleted, "entity is deleted", &[]));
        }
        Ok(row.clone())
    }

    pub(super) fn rest_delete(&mut self, call: &Call, object: &Object, text: &str) -> Answer {
        let row = self.present(object, text)?;
        self.delete(&call.write(), &object.name, &row.id)?;
        Ok(Reply::empty(204))
    }

    pub(super) fn rest_get_by_key(
        &self,
        call: &Call,
        object: &Object,
        field: &str,
        value: &str,
    ) -> Answer {
        let key = key_field(object, field)?;
        match self.find_by_key(object, key, &json!(value)).as_slice() {
            [] => Err(Refusal::call(Code::NotFound, "The requested resource does not exist")),
            [row] => self.show(call, object, row),
            several => Ok(choices(call, several)),
        }
    }

    pub(super) fn rest_delete_by_key(
        &mut self,
        call: &Call,
        object: &Object,
        field: &str,
        value: &str,
    ) -> Answer {
        let key = key_field(object, field)?;
        match self.find_by_key(object, key, &json!(value)).as_slice() {
            [] => Err(Refusal::call(Code::NotFound, "The requested resource does not exist")),
            [row] => {
                self.delete(&call.write(), &object.name, &row.id)?;
                Ok(Reply::empty(204))
            }
            several => Ok(choices(call, several)),
        }
    }

    pub(super) fn rest_upsert(
        &mut self,
        call: &Call,
        object: &Object,
        field: &str,
        value: &str,
    ) -> Answer {
        let values = call.object()?;
        let key = key_field(object, field)?.clone();
        if values.keys().any(|k| k.eq_ignore_ascii_case(&key.name)) {
            let message =
                format!("The {} field should not be specified in the sobject data.", key.name);
            return Err(Refusal::row(Code::InvalidField, message, &[&key.name]));
        }
        let update_only = call.param("updateOnly").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let done = self.upsert(call, object, &key, &json!(value), values, update_only)?;
        let (id, created) = match done {
            Upserted::Ambiguous(several) => return Ok(choices(call, &several)),
            Upserted::Created(id) => (id, true),
            Upserted::Updated(id) => (id, false),
        };
        let body = json!({"id": &*id, "success": true, "errors": [], "created": created});
        let location = format!("/services/data/{}/sobjects/{}/{id}", call.version, object.name);
        let reply = Reply::json(if created { 201 } else { 200 }, body);
        Ok(if created { reply.with("location", location) } else { reply })
    }

    /// Updates the record that has the key, or makes one.
    pub(super) fn upsert(
        &mut self,
        call: &Call,
        object: &Object,
        key: &Field,
        value: &Value,
        mut values: serde_json::Map<String, Value>,
        update_only: bool,
    ) -> Result<Upserted, Refusal> {
        let write = call.write();
        let found = self.find_by_key(object, key, value);
        match found.as_slice() {
            [row] => {
                let id = row.id.clone();
                self.update(&write, &object.name, &id, &values)?;
                Ok(Upserted::Updated(id))
            }
            [] if update_only || key.kind == Kind::Id => {
                Err(Refusal::row(Code::NotFound, "The requested resource does not exist", &[]))
            }
            [] => {
                values.insert(key.name.to_string(), value.clone());
                Ok(Upserted::Created(self.create(&write, &object.name, &values)?))
            }
            _ => Ok(Upserted::Ambiguous(found)),
        }
    }
}

/// The field of an upsert's path, if it can be a key.
pub(super) fn key_field<'a>(object: &'a Object, name: &str) -> Result<&'a Field, Refusal> {
    object.field(name).filter(|f| f.external_id || f.id_lookup).ok_or_else(|| {
        let message =
            format!("Provided external ID field does not exist or is not accessible: {name}");
        Refusal::call(Code::NotFound, message)
    })
}

/// 300: several records have the key.
fn choices(call: &Call, several: &[Arc<Record>]) -> Reply {
    let urls: Vec<Value> = several
        .iter()
        .map(|r| json!(format!("/services/data/{}/sobjects/{}/{}", call.version, r.object, r.id)))
        .collect();
    Reply::json(300, Value::Array(urls))
}

fn etag(row: &Record) -> String {
    format!("\"{:x}-{}\"", row.modstamp, row.id)
}

/// A conditional header's time; a malformed one is refused.
pub(super) fn http_date(call: &Call, header: &str) -> Result<Option<i64>, Refusal> {
    let Some(text) = call.header(header) else { return Ok(None) };
    time::parse_http_date(text).map(Some).ok_or_else(|| {
        let message = format!(
            "Invalid {header} header: found '{text}', expected EEE, dd MMM yyyy HH:mm:ss z"
        );
        Refusal::call(Code::InvalidHeader, message)
    })
}

fn precondition(call: &Call, modified: i64) -> Result<(), Refusal> {
    // The platform has no such check on deletes.
    if call.method == Method::DELETE {
        return Ok(());
    }
    match http_date(call, "if-unmodified-since")? {
        Some(since) if modified > since => Err(Refusal::call(
            Code::PreconditionFailed,
            "The record was modified since the given date",
        )),
        _ => Ok(()),
    }
}
