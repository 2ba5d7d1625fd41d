//! One call from end to end: the path is understood, the token checked, the limits asked, and the
//! right handler called. Everything here happens at once under the world's lock.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::errors::{self, Refusal, categorized, plain};
use super::limits::Bucket;
use super::object::Object;
use super::write::By;
use super::{
    accounts, batch, definitions, edges, oauth, objects, owners, pipelines, search, sequences,
    webhooks,
};
use crate::sandbox::calls::Route;
use crate::sandbox::fault::{ExpireToken, Fault, Side};
use crate::sandbox::{World, written};

/// What was asked.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub method: &'a str,
    pub segments: Vec<String>,
    pub body: &'a [u8],
    pub now: Timestamp,
    pub expire: Option<ExpireToken>,
    pub dated: bool,
    path: &'a str,
    query: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Option<Value>,
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub fn ok(body: Value) -> Self {
        Self::with(200, body)
    }

    pub fn with(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    fn into_response(self, random: &mut fastrand::Rng) -> Response {
        let body = self.body.map_or_else(Body::empty, |body| Body::from(written(&body)));
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
        if let Ok(value) = HeaderValue::from_str(&errors::correlation(random)) {
            headers.insert("x-hubspot-correlation-id", value);
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

impl<'a> Asked<'a> {
    pub fn read(request: &'a http::request::Parts, body: &'a [u8], now: Timestamp) -> Self {
        let path = request.uri.path();
        let segments = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let query = url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes());
        Self {
            method: request.method.as_str(),
            segments,
            body,
            now,
            expire: request.extensions.get::<ExpireToken>().copied(),
            dated: false,
            path,
            query: query.collect(),
        }
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(at, _)| at == name).map(|(_, value)| &**value)
    }

    /// The values of a parameter that may be repeated or listed with commas.
    pub fn listed(&self, name: &str) -> Vec<&str> {
        let all = self.query.iter().filter(|(at, _)| at == name);
        all.flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// A truth value; clients write it with or without a capital.
    pub fn flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn limit(&self, default: usize, most: usize) -> Result<usize, Refusal> {
        match self.query("limit").map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(limit)) if limit > 0 && limit <= most => Ok(limit),
            Some(_) => {
                let message = format!("limit must be a number between 1 and {most}");
                Err(categorized(400, "VALIDATION_ERROR", message))
            }
        }
    }

    /// The `paging` object of a list.
    pub fn next_page(&self, after: &str) -> Value {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(name, _)| name != "after"));
        query.append_pair("after", after);
        let link = format!("https://api.hubapi.com{}?{}", self.path, query.finish());
        json!({ "next": { "after": after, "link": link } })
    }

    pub fn json(&self) -> Result<Map<String, Value>, Refusal> {
        match serde_json::from_slice(self.body) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(bad_json("Cannot deserialize value of type `object`")),
            Err(error) => Err(bad_json(&format!(
                "Invalid input JSON on line {}, column {}: Cannot deserialize value of type",
                error.line(),
                error.column()
            ))),
        }
    }

    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(self.body).into_owned().collect()
    }
}

pub(super) fn bad_json(message: &str) -> Refusal {
    categorized(400, "VALIDATION_ERROR", message)
}

fn not_found() -> Refusal {
    plain(404, "resource not found")
}

/// The values of a write as text. JSON numbers and truth values are taken as their text.
pub(super) fn texts(values: Option<&Value>) -> Result<Vec<(String, String)>, Refusal> {
    let Some(Value::Object(values)) = values else { return Ok(Vec::new()) };
    let text = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            // What a null does is not documented; clearing is done by an empty text.
            Value::Null => {
                return Err(bad_json(&format!(
                    "Cannot deserialize value of type `string` from null for `{name}`"
                ))
                .unmodelled());
            }
            _ => {
                let message = format!("Cannot deserialize value of type `string` for `{name}`");
                return Err(bad_json(&message));
            }
        };
        Ok((name.clone(), text))
    };
    values.iter().map(text).collect()
}

/// What a path means.
#[derive(Debug)]
enum Target {
    Objects(Object),
    Record(Object, String),
    Batch(Object, String),
    Search(Object),
    Merge(Object),
    Erase,
    Properties(Object, Vec<String>),
    Owners(Option<String>),
    Pipelines(Object, Vec<String>),
    EdgeBatch(Object, Object, Vec<String>),
    Edges(Object, String, Vec<String>),
    Sequences(Vec<String>),
    Account,
}

/// Answers one call.
pub(super) fn answer(
    world: &mut World,
    request: &http::request::Parts,
    body: &[u8],
    now: Timestamp,
) -> Response {
    let mut asked = Asked::read(request, body, now);
    let mut route = None;
    let mut headers = Vec::new();
    let answered = if asked.segments.first().is_some_and(|first| first == "oauth") {
        let World { hubspot, random, .. } = world;
        oauth::call(&mut hubspot.auth, hubspot.portal, &asked, random)
    } else if asked.segments.first().is_some_and(|first| first == "webhooks") {
        webhooks::api::call(&mut world.hubspot, &asked, &mut route)
    } else {
        admitted(world, request, &mut asked, &mut route, &mut headers)
    };
    let mut response = match answered {
        Ok(mut answer) => {
            answer.headers.append(&mut headers);
            answer.into_response(&mut world.random)
        }
        Err(mut refusal) => {
            refusal.headers.append(&mut headers);
            refusal.into_response(&mut world.random)
        }
    };
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

fn admitted(
    world: &mut World,
    request: &http::request::Parts,
    asked: &mut Asked<'_>,
    route: &mut Option<String>,
    headers: &mut Vec<(&'static str, String)>,
) -> Result<Answer, Refusal> {
    let World { hubspot: account, random, faults, .. } = world;
    let bearer = request
        .headers
        .get(http::header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let grant = account.auth.check(bearer, asked.now, asked.expire)?;
    let (app, private) = (grant.app, grant.private);
    let (target, template, dated) = target(&asked.segments)?;
    asked.dated = dated;
    *route = Some(template);
    let scopes = scopes(&target, asked.method);
    if !scopes.is_empty() && !scopes.iter().any(|scope| grant.scopes.contains(*scope)) {
        return Err(oauth::missing_scope(&scopes));
    }
    let bucket = match target {
        Target::Search(_) => Bucket::Search,
        Target::EdgeBatch(..) | Target::Edges(..) => Bucket::Associations,
        _ => Bucket::App(app),
    };
    *headers = account.limiter.admit(bucket, app, private, asked.now, &account.time_zone)?;
    let mut by = By::app(app, asked.now);
    let writes = ["POST", "PATCH", "DELETE", "PUT"].contains(&asked.method);
    if writes && !matches!(target, Target::Search(_)) {
        by.late = faults.strikes(Fault::SearchLag, Side::HubSpot, random);
    }
    perform(account, asked, target, &by)
}

fn perform(
    account: &mut super::world::Account,
    asked: &Asked<'_>,
    target: Target,
    by: &By,
) -> Result<Answer, Refusal> {
    let wrong_method = || plain(405, "Method Not Allowed");
    match (asked.method, target) {
        ("GET", Target::Objects(object)) => objects::list(account, asked, object),
        ("POST", Target::Objects(object)) => objects::create(account, asked, object, by),
        ("GET", Target::Record(object, id)) => objects::read(account, asked, object, &id),
        ("PATCH", Target::Record(object, id)) => objects::update(account, asked, object, &id, by),
        ("DELETE", Target::Record(object, id)) => objects::archive(account, object, &id, by),
        ("POST", Target::Batch(object, what)) => batch::call(account, asked, object, &what, by),
        ("POST", Target::Search(object)) => search::call(account, asked, object),
        ("POST", Target::Merge(object)) => objects::merge(account, asked, object, by),
        ("POST", Target::Erase) => objects::erase(account, asked, by),
        (_, Target::Properties(object, rest)) => {
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            definitions::call(account, asked, object, &rest)
        }
        ("GET", Target::Owners(None)) => owners::list(account, asked),
        ("GET", Target::Owners(Some(id))) => owners::one(account, asked, &id),
        ("GET", Target::Pipelines(object, rest)) => {
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            pipelines::get(account, object, &rest)
        }
        ("POST", Target::EdgeBatch(from, to, rest)) => {
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            edges::batch(account, asked, (from, to), &rest, by)
        }
        (_, Target::Edges(object, id, rest)) => {
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            edges::single(account, asked, (object, &id), &rest, by)
        }
        (_, Target::Sequences(rest)) => {
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            sequences::call(account, asked, &rest)
        }
        ("GET", Target::Account) => Ok(accounts::details(account, asked.now)),
        (_, Target::Pipelines(..) | Target::Owners(_)) => Err(wrong_method().unmodelled()),
        _ => Err(wrong_method()),
    }
}

/// Understands a path: what it means, its template, and whether its version is a date. Both kinds
/// of version name the same thing in a different order: `/crm/v3/objects/…` and
/// `/crm/objects/2026-09/…`.
fn target(segments: &[String]) -> Result<(Target, String, bool), Refusal> {
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is_dated = |text: &str| matches!(text, "2026-03" | "2026-09");
    let (what, version, rest) = match path.as_slice() {
        ["account-info", version, "details"] => ("account", *version, &path[3..]),
        ["automation", version @ "v4", what @ "sequences", ..] => (*what, *version, &path[3..]),
        ["automation", what @ "sequences", version @ "2026-03", ..] => {
            (*what, *version, &path[3..])
        }
        ["crm", what, version, ..] if is_dated(version) => (*what, *version, &path[3..]),
        ["crm", version @ ("v3" | "v4"), what, ..] => (*what, *version, &path[3..]),
        _ => return Err(not_found().unmodelled()),
    };
    let dated = is_dated(version);
    let base = format!("/{}", path[..path.len() - rest.len()].join("/"));
    let v3 = version == "v3" || dated;
    let v4 = version == "v4" || dated;
    let object = |text: &str| {
        let message = format!("Unable to infer object type from: {text}");
        Object::named(text).ok_or_else(|| plain(400, message).unmodelled())
    };
    let owned = |rest: &[&str]| rest.iter().map(|at| (*at).to_owned()).collect::<Vec<_>>();
    let (target, template) = match (what, rest) {
        ("account", []) if v3 => (Target::Account, String::new()),
        ("objects", [kind]) if v3 => (Target::Objects(object(kind)?), format!("/{kind}")),
        ("objects", [kind, "batch", what]) if v3 => {
            (Target::Batch(object(kind)?, (*what).to_owned()), format!("/{kind}/batch/{what}"))
        }
        ("objects", [kind, "search"]) if v3 => {
            (Target::Search(object(kind)?), format!("/{kind}/search"))
        }
        ("objects", [kind, "merge"]) if v3 => {
            (Target::Merge(object(kind)?), format!("/{kind}/merge"))
        }
        ("objects", ["contacts" | "0-1", "gdpr-delete"]) if v3 => {
            (Target::Erase, "/contacts/gdpr-delete".to_owned())
        }
        ("objects", [kind, id]) if v3 => {
            (Target::Record(object(kind)?, (*id).to_owned()), format!("/{kind}/{{id}}"))
        }
        ("objects", [kind, id, "associations", rest @ ..]) if v4 && !rest.is_empty() => (
            Target::Edges(object(kind)?, (*id).to_owned(), owned(rest)),
            format!("/{kind}/{{id}}/associations/…"),
        ),
        ("properties", [kind, rest @ ..]) if v3 => {
            let template = match rest {
                [] | ["batch", _] | ["groups"] => rest.iter().map(|at| format!("/{at}")).collect(),
                ["groups", _] => "/groups/{name}".to_owned(),
                _ => "/{name}".to_owned(),
            };
            (Target::Properties(object(kind)?, owned(rest)), format!("/{kind}{template}"))
        }
        ("sequences", rest) if path[0] == "automation" => {
            let template = match rest {
                [] => String::new(),
                ["enrollments"] => "/enrollments".to_owned(),
                ["enrollments", "contact", _] => "/enrollments/contact/{id}".to_owned(),
                [_] => "/{id}".to_owned(),
                _ => "/…".to_owned(),
            };
            (Target::Sequences(owned(rest)), template)
        }
        ("owners", []) if v3 => (Target::Owners(None), String::new()),
        ("owners", [id]) if v3 => (Target::Owners(Some((*id).to_owned())), "/{id}".to_owned()),
        ("pipelines", [kind, rest @ ..]) if v3 => {
            (Target::Pipelines(object(kind)?, owned(rest)), format!("/{kind}"))
        }
        ("associations", [from, to, "batch", rest @ ..]) if v4 => (
            Target::EdgeBatch(object(from)?, object(to)?, owned(rest)),
            format!("/{from}/{to}/batch/{}", rest.join("/")),
        ),
        _ => return Err(not_found().unmodelled()),
    };
    Ok((target, base + &template, dated))
}

/// The scopes of which a call needs one.
fn scopes(target: &Target, method: &str) -> Vec<&'static str> {
    let of = |object: Object, writes: bool| match (object, writes) {
        (Object::Company, false) => "crm.objects.companies.read",
        (Object::Company, true) => "crm.objects.companies.write",
        (Object::Deal, false) => "crm.objects.deals.read",
        (Object::Deal, true) => "crm.objects.deals.write",
        // There is no scope for tasks, notes, calls and e-mails: they go by contacts.
        (_, false) => "crm.objects.contacts.read",
        (_, true) => "crm.objects.contacts.write",
    };
    let schema = |object: Object, writes: bool| match (object, writes) {
        (Object::Company, false) => "crm.schemas.companies.read",
        (Object::Company, true) => "crm.schemas.companies.write",
        (Object::Deal, false) => "crm.schemas.deals.read",
        (Object::Deal, true) => "crm.schemas.deals.write",
        (_, false) => "crm.schemas.contacts.read",
        (_, true) => "crm.schemas.contacts.write",
    };
    let writes = method != "GET";
    match target {
        Target::Objects(object) | Target::Record(object, _) => vec![of(*object, writes)],
        Target::Search(object) => vec![of(*object, false)],
        Target::Batch(object, what) => vec![of(*object, what != "read")],
        Target::Merge(object) => vec![of(*object, true)],
        Target::Erase => vec![of(Object::Contact, true)],
        Target::Properties(object, rest) => {
            let reads = !writes || rest == &["batch", "read"];
            let mut any = vec![schema(*object, !reads)];
            if reads {
                any.push(of(*object, false));
            }
            any
        }
        Target::Owners(_) => vec!["crm.objects.owners.read"],
        Target::Pipelines(object, _) => vec![of(*object, false), schema(*object, false)],
        Target::EdgeBatch(from, _, rest) => vec![of(*from, rest != &["read"])],
        Target::Edges(object, ..) => vec![of(*object, writes)],
        Target::Sequences(_) if writes => vec!["automation.sequences.enrollments.write"],
        Target::Sequences(_) => vec!["automation.sequences.read"],
        Target::Account => Vec::new(),
    }
}
