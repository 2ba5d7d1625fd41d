//! The admin door: what people and admins do, over HTTP.
//!
//! All paths stand under `/sandbox/salesforce/`; bodies and answers are JSON. `user` names the person
//! by id or by full name and defaults to the first salesperson.
//!
//! | call | does |
//! | --- | --- |
//! | `GET records/{object}` | lists the living records |
//! | `POST records/{object}` `{values, user}` | a person makes a record |
//! | `PATCH records/{id}` `{values, user}` | a person edits it |
//! | `DELETE records/{id}`, `POST records/{id}/undelete`, `DELETE records/{id}/hard` | bin, out of the bin, gone |
//! | `POST records/{id}/call` `{subject, user}` | a person logs a call |
//! | `POST records/{id}/complete`, `POST records/{id}/close` `{won}` | a task is done, a deal closed |
//! | `POST records/{id}/take` `{user}` | a member takes it out of a queue |
//! | `POST records/{id}/convert` `{account, contact, opportunity, status, owner}` | a lead is converted; `opportunity: false` makes none |
//! | `POST records/{id}/merge` `{losers, values}` | losers go into the record |
//! | `PUT users/{id}` `{active}`, `POST users` `{first, last}` | people come and go |
//! | `POST queues` `{name, supports, members}` | a queue that may own those objects |
//! | `POST fields/{object}` `{name, label, type, …}`, `DELETE fields/{object}/{name}` | a field is added or deleted |
//! | `PUT rules/lead-assignment` `{owner}`, `POST rules/validation`, `POST rules/duplicates`, `DELETE rules` | rules |
//! | `PUT flows/{name}` `{label, active, inputs, set, pause, fault}`, `GET flows` | an autolaunched flow; all of them with what they ran with |
//! | `GET events`, `DELETE events` | how many change events are kept; none of them is known any more |
//! | `PUT events/{object}` `{selected}`, `PUT channels/{name}` `{objects}` | objects are selected for change data capture, custom channels made |
//! | `PATCH settings` | late commit, page sizes, limits, lifetimes |
//! | `PUT apps/{client_id}/key` `{pem}` | the key of signed assertions |
//! | `POST sessions` `{user}`, `DELETE sessions`, `DELETE locators` | a token without a flow; all expire |

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::id::{self, Id};
use super::oauth::{CLIENT_ID, PublicKey};
use super::refusal::{Code, Refusal};
use super::rest::call::Reply;
use super::rules::{DuplicateAction, DuplicateRule, ValidationRule};
use super::schema::{Field, Kind};
use super::ui::Conversion;
use super::world::Org;
use super::{done, flows};
use crate::sandbox::World;

type Done = Result<Value, Refusal>;

/// Answers a call behind `/sandbox/salesforce/`.
pub(super) fn answer(
    world: &mut World,
    method: &Method,
    path: &[&str],
    body: &Bytes,
    now: Timestamp,
) -> Reply {
    let body: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        match serde_json::from_slice(body) {
            Ok(map) => map,
            Err(error) => {
                let message = format!("the body is no JSON object: {error}");
                return Reply::refused(&Refusal::call(Code::JsonParserError, message));
            }
        }
    };
    let asked = Asked { body, now };
    let result = match (method.as_str(), path) {
        (_, ["records", rest @ ..]) => records(&mut world.salesforce, method, rest, &asked),
        ("POST", ["sessions"]) => sign_in(world, &asked),
        _ => set_up(&mut world.salesforce, method, path, &asked),
    };
    match result {
        Ok(value) => done(value),
        Err(refusal) => Reply::refused(&refusal),
    }
}

struct Asked {
    body: Map<String, Value>,
    now: Timestamp,
}

impl Asked {
    fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| {
            Refusal::call(Code::MissingArgument, format!("{name}: found none, expected a text"))
        })
    }

    fn texts(&self, name: &str) -> Vec<&str> {
        let list = self.body.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn values(&self) -> Map<String, Value> {
        self.body.get("values").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.body.get(name).and_then(Value::as_bool)
    }

    fn user(&self, org: &Org) -> Result<Id, Refusal> {
        match self.text("user") {
            Some(named) => person(org, named),
            None => Ok(org.staff.sales[0].clone()),
        }
    }
}

/// A person or queue by id or by name.
fn person(org: &Org, named: &str) -> Result<Id, Refusal> {
    id::normalise(named)
        .filter(|id| org.record(id).is_some())
        .or_else(|| org.staff_named(named))
        .ok_or_else(|| unknown("user", named))
}

fn unknown(what: &str, found: &str) -> Refusal {
    Refusal::call(Code::NotFound, format!("{what}: nothing is known by the name '{found}'"))
}

fn optional_id(asked: &Asked, name: &str) -> Result<Option<Id>, Refusal> {
    match asked.text(name) {
        None => Ok(None),
        Some(text) => id::normalise(text).map(Some).ok_or_else(|| unknown(name, text)),
    }
}

fn records(org: &mut Org, method: &Method, path: &[&str], asked: &Asked) -> Done {
    let (now, user) = (asked.now, asked.user(org)?);
    let (first, rest) = match path {
        [first, rest @ ..] => (*first, rest),
        [] => return Err(unknown("resource", "records")),
    };
    if let Some(object) = org.object(first).map(|o| o.name.clone()) {
        return match method.as_str() {
            "GET" => Ok(org.records(&object).map(|r| Value::Object(r.to_map())).collect()),
            "POST" => {
                let id = org.person_creates(now, &user, &object, &asked.values())?;
                Ok(json!({"id": &*id}))
            }
            other => Err(unknown("method", other)),
        };
    }
    let id = id::normalise(first).ok_or_else(|| unknown("record", first))?;
    match (method.as_str(), rest) {
        ("GET", []) => {
            let row = org.record(&id).ok_or_else(|| unknown("record", first))?;
            Ok(Value::Object(row.to_map()))
        }
        ("PATCH", []) => {
            org.person_edits(now, &user, &id, &asked.values()).map(|()| json!({"id": &*id}))
        }
        ("DELETE", []) => org.person_deletes(now, &user, &id).map(|()| json!({"id": &*id})),
        ("DELETE", ["hard"]) => {
            org.person_hard_deletes(now, &user, &id).map(|()| json!({"id": &*id}))
        }
        ("POST", ["undelete"]) => {
            org.person_undeletes(now, &user, &id).map(|()| json!({"id": &*id}))
        }
        ("POST", ["take"]) => org.take_from_queue(now, &user, &id).map(|()| json!({"id": &*id})),
        ("POST", ["complete"]) => org.complete_task(now, &user, &id).map(|()| json!({"id": &*id})),
        ("POST", ["close"]) => {
            let won = asked.flag("won").unwrap_or(true);
            org.close_opportunity(now, &user, &id, won).map(|()| json!({"id": &*id}))
        }
        ("POST", ["call"]) => {
            let task = org.log_call(now, &user, &id, asked.text("subject").unwrap_or("Call"))?;
            Ok(json!({"id": &*task}))
        }
        ("POST", ["convert"]) => convert(org, &user, &id, asked),
        ("POST", ["merge"]) => {
            let losers =
                asked.body.get("losers").and_then(Value::as_array).cloned().unwrap_or_default();
            let losers: Vec<Id> =
                losers.iter().filter_map(Value::as_str).filter_map(id::normalise).collect();
            org.merge(now, &user, &id, &losers, &asked.values()).map(|()| json!({"id": &*id}))
        }
        _ => Err(unknown("resource", &rest.join("/"))),
    }
}

fn convert(org: &mut Org, user: &Id, lead: &Id, asked: &Asked) -> Done {
    let owner = asked.text("owner").map(|named| person(org, named)).transpose()?;
    let how = Conversion {
        account: optional_id(asked, "account")?,
        contact: optional_id(asked, "contact")?,
        opportunity_name: asked.text("opportunity").map(str::to_owned),
        no_opportunity: asked.flag("opportunity") == Some(false),
        status: asked.text("status").map(str::to_owned),
        owner,
    };
    let became = org.convert_lead(asked.now, user, lead, &how)?;
    Ok(json!({
        "leadId": &**lead,
        "accountId": &*became.account,
        "contactId": &*became.contact,
        "opportunityId": became.opportunity.as_deref(),
    }))
}

fn sign_in(world: &mut World, asked: &Asked) -> Done {
    let org = &mut world.salesforce;
    let user = match asked.text("user") {
        Some(named) => person(org, named)?,
        None => org.staff.integration.clone(),
    };
    let id = org.id.clone();
    let token = org.auth.open_session(&id, asked.now, &user, CLIENT_ID, &mut world.random);
    Ok(json!({"access_token": token, "user": &*user}))
}

fn set_up(org: &mut Org, method: &Method, path: &[&str], asked: &Asked) -> Done {
    match (method.as_str(), path) {
        ("POST", ["users"]) => {
            let (first, last) = (asked.needed("first")?, asked.needed("last")?);
            let id =
                org.seed_user(asked.now, None, first, last, asked.flag("active").unwrap_or(true));
            Ok(json!({"id": &*id}))
        }
        ("PUT", ["users", named]) => {
            let user = person(org, named)?;
            org.set_user_active(asked.now, &user, asked.flag("active").unwrap_or(true));
            Ok(json!({"id": &*user}))
        }
        ("POST", ["queues"]) => {
            let members: Result<Vec<Id>, _> =
                asked.texts("members").into_iter().map(|named| person(org, named)).collect();
            let (name, supports) = (asked.needed("name")?, asked.texts("supports"));
            let id = org.seed_queue(asked.now, None, name, &supports, &members?);
            Ok(json!({"id": &*id}))
        }
        ("POST", ["fields", object]) => {
            let object = org
                .object(object)
                .map(|o| o.name.clone())
                .ok_or_else(|| unknown("object", object))?;
            org.define_field(asked.now, &object, field(asked)?);
            Ok(json!({"object": &*object, "name": asked.text("name")}))
        }
        ("PUT", ["flows", name]) => {
            org.flows.insert((*name).to_owned(), flows::of_json(&asked.body));
            Ok(json!({"name": name}))
        }
        ("GET", ["flows"]) => Ok(flows::shown(&org.flows)),
        ("DELETE", ["fields", object, name]) => {
            org.drop_field(asked.now, object, name);
            Ok(json!({"object": object, "name": name}))
        }
        ("PUT", ["rules", "lead-assignment"]) => {
            org.rules.lead_assignment =
                asked.text("owner").map(|named| person(org, named)).transpose()?;
            Ok(json!({"owner": org.rules.lead_assignment.as_deref()}))
        }
        ("POST", ["rules", "validation"]) => {
            org.rules.validation.push(ValidationRule {
                object: asked.needed("object")?.to_owned(),
                field: asked.needed("field")?.to_owned(),
                forbidden: asked.body.get("forbidden").cloned().unwrap_or(Value::Null),
                message: asked.needed("message")?.to_owned(),
            });
            Ok(json!({"rules": org.rules.validation.len()}))
        }
        ("POST", ["rules", "duplicates"]) => duplicate_rule(org, asked),
        ("DELETE", ["rules"]) => {
            org.rules = super::rules::Rules::default();
            Ok(json!({"rules": 0}))
        }
        ("PATCH", ["settings"]) => settings(org, asked),
        ("PUT", ["apps", client, "key"]) => {
            let key = PublicKey::read(asked.needed("pem")?.as_bytes())
                .map_err(|error| Refusal::call(Code::InvalidRequest, error.to_string()))?;
            if !org.auth.apps.contains_key(*client) {
                return Err(unknown("app", client));
            }
            org.auth.set_public_key(client, key);
            Ok(json!({"client_id": client}))
        }
        ("GET", ["events"]) => Ok(json!({
            "kept": org.bus.kept(),
            "delivered_today": org.bus.delivered_today(),
            "newest_replay_id": u64::from_be_bytes(org.bus.newest_replay_id()),
        })),
        ("DELETE", ["events"]) => {
            org.bus.reset(asked.now);
            Ok(json!({"kept": 0}))
        }
        ("PUT", ["events", object]) => {
            let object = org
                .object(object)
                .map(|o| o.name.clone())
                .ok_or_else(|| unknown("object", object))?;
            let selected = asked.flag("selected").unwrap_or(true);
            org.bus.select(&object, selected);
            Ok(json!({"object": &*object, "selected": selected}))
        }
        ("PUT", ["channels", name]) if name.ends_with("__chn") => {
            let objects = asked.texts("objects");
            org.bus.add_channel(name, &objects);
            Ok(json!({"channel": format!("/data/{name}"), "objects": objects}))
        }
        ("DELETE", ["sessions"]) => {
            org.auth.expire_sessions();
            Ok(json!({"sessions": 0}))
        }
        ("DELETE", ["locators"]) => {
            org.expire_locators();
            Ok(json!({"locators": 0}))
        }
        _ => Err(unknown("resource", &path.join("/"))),
    }
}

fn duplicate_rule(org: &mut Org, asked: &Asked) -> Done {
    let object = asked.needed("object")?.to_owned();
    let action = match asked.text("action") {
        Some("block") => DuplicateAction::Block,
        Some("alert") | None => DuplicateAction::Alert,
        Some(other) => {
            let message = format!("action: found '{other}', expected alert or block");
            return Err(Refusal::call(Code::InvalidRequest, message));
        }
    };
    let against: Vec<String> = match asked.body.get("against").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => vec![object.clone()],
    };
    org.rules.duplicates.push(DuplicateRule {
        name: asked.text("name").unwrap_or("Standard_Duplicate_Rule").to_owned(),
        object,
        against,
        action,
        message: asked.text("message").unwrap_or("Use one of these records?").to_owned(),
    });
    Ok(json!({"rules": org.rules.duplicates.len()}))
}

/// A custom field from its description.
fn field(asked: &Asked) -> Result<Field, Refusal> {
    let name = asked.needed("name")?;
    let label = asked.text("label").unwrap_or(name);
    let whole = |key: &str, otherwise: u64| {
        asked.body.get(key).and_then(Value::as_u64).unwrap_or(otherwise)
    };
    let kinds = [
        Kind::Text,
        Kind::TextArea,
        Kind::Email,
        Kind::Phone,
        Kind::Url,
        Kind::Picklist,
        Kind::MultiPicklist,
        Kind::Boolean,
        Kind::Double,
        Kind::Currency,
        Kind::Percent,
        Kind::Date,
        Kind::DateTime,
    ];
    let wanted = asked.text("type").unwrap_or("string");
    let Some(kind) = kinds.into_iter().find(|k| k.wire() == wanted) else {
        let message =
            format!("type: found '{wanted}', expected one of {}", kinds.map(Kind::wire).join(", "));
        return Err(Refusal::call(Code::InvalidRequest, message));
    };
    let values: Vec<&str> = asked
        .body
        .get("values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut field = match kind {
        Kind::Picklist | Kind::MultiPicklist => {
            Field { kind, ..Field::picklist(name, label, &values) }
        }
        _ => Field::new(name, label, kind),
    };
    if field.length > 0 {
        field.length = usize::try_from(whole("length", 255)).unwrap_or(255);
    }
    if kind.is_number() {
        field.precision = u32::try_from(whole("precision", 18)).unwrap_or(18);
        field.scale = u32::try_from(whole("scale", 0)).unwrap_or(0);
    }
    field.unique = asked.flag("unique").unwrap_or(false);
    field.restricted = asked.flag("restricted").unwrap_or(false);
    Ok(if asked.flag("externalId").unwrap_or(false) { field.external_id() } else { field })
}

fn settings(org: &mut Org, asked: &Asked) -> Done {
    for (name, value) in &asked.body {
        let number = value.as_u64();
        let ms = number.and_then(|n| i64::try_from(n).ok()).map(SignedDuration::from_millis);
        let size = number.and_then(|n| usize::try_from(n).ok());
        let set = &mut org.settings;
        let done = match name.as_str() {
            "late_commit_ms" => ms.map(|v| set.late_commit = v),
            "page_size" => size.map(|v| set.page_size = v),
            "long_text_page_size" => size.map(|v| set.long_text_page_size = v),
            "daily_requests" => number.map(|v| set.daily_requests = v),
            "refuse_concurrent" => {
                number.and_then(|v| u32::try_from(v).ok()).map(|v| set.refuse_concurrent = v)
            }
            "session_idle_ms" => ms.map(|v| set.session_idle = v),
            "bulk_delay_ms" => ms.map(|v| set.bulk_delay = v),
            "recycle_bin_ms" => ms.map(|v| set.recycle_bin = v),
            "keepalive_ms" => ms.map(|v| org.bus.settings.keepalive = v),
            "stream_idle_ms" => ms.map(|v| org.bus.settings.idle = v),
            "event_retention_ms" => ms.map(|v| org.bus.settings.retention = v),
            "daily_deliveries" => number.map(|v| org.bus.settings.daily_deliveries = v),
            "instance_url" => {
                set.instance_url = value.as_str().map(str::to_owned);
                Some(())
            }
            _ => None,
        };
        if done.is_none() {
            let message = format!(
                "{name}: found {value}; known are late_commit_ms, page_size, long_text_page_size, \
                 daily_requests, refuse_concurrent, session_idle_ms, bulk_delay_ms, recycle_bin_ms, keepalive_ms, \
                 stream_idle_ms, event_retention_ms, daily_deliveries (whole \
                 numbers) and instance_url"
            );
            return Err(Refusal::call(Code::InvalidRequest, message));
        }
    }
    Ok(json!({"settings": asked.body.len()}))
}
