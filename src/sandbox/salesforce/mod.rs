//! Salesforce's side of the sandbox.
//!
//! An [`Org`](world::Org) is plain data: objects and fields as data, rows with their indexes, a
//! recycle bin, rules, sessions and a log of changes. Three doors lead to it:
//! - the REST API and OAuth of [`router`], for programs;
//! - the methods of [`ui`], for what people do at a screen: converting, merging, calling, closing;
//! - the admin door under `/sandbox/salesforce/` (`admin`), the same over HTTP.
//!
//! A request becomes a plain call with the world's lock held, and the call becomes a plain reply:
//! nothing waits in between, and composite resources make calls in the same way.

mod admin;
mod bulk;
pub mod bus;
mod campaign;
pub mod changes;
mod cursor;
mod derive;
mod dml;
pub mod flows;
pub mod id;
pub mod oauth;
mod queue;
pub mod refusal;
mod rest;
pub mod rules;
pub mod schema;
mod soql;
mod standard;
mod table;
#[cfg(test)]
mod testing;
mod time;
pub mod ui;
mod usage;
mod values;
pub mod world;

use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::calls::{Route, Unmodelled};
use super::fault::{ExpireToken, Fault, Side};
use super::{Sandbox, World, written};
pub use dml::Write;
use refusal::{Code, Refusal};
use rest::call::{Body, Call, Reply, segments};
pub use table::Record;

/// The most bytes of a request's body: a bulk load's allowance.
const BODY: usize = 150 * 1024 * 1024;
/// How long a commit takes that a fault delays.
const LATE: SignedDuration = SignedDuration::from_secs(60);

/// Salesforce's REST API and OAuth over `sandbox`'s world.
pub fn router(sandbox: Sandbox) -> axum::Router {
    axum::Router::new().fallback(handle).with_state(sandbox)
}

/// One request, read whole.
struct Incoming {
    method: Method,
    headers: HeaderMap,
    path: Vec<String>,
    query: String,
    body: Bytes,
    /// The address that the caller used, and its host.
    base: String,
    host: String,
    now: Timestamp,
    expire: Option<ExpireToken>,
}

async fn handle(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY).collect().await else {
        return respond(Reply::empty(413), None);
    };
    let host = parts
        .headers
        .get(http::header::HOST)
        .and_then(|v| v.to_str().ok())
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("sandbox.my.salesforce.com")
        .to_owned();
    // A request that was served says no scheme. Salesforce is reached by TLS, a local port is not.
    let local = ["localhost", "127.", "[::1]"].iter().any(|name| host.starts_with(name));
    let scheme = parts.uri.scheme_str().unwrap_or(if local { "http" } else { "https" });
    let incoming = Incoming {
        base: format!("{scheme}://{host}"),
        path: segments(parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        expire: parts.extensions.get::<ExpireToken>().copied(),
        method: parts.method,
        headers: parts.headers,
        body: body.to_bytes(),
        host,
        now: sandbox.clock().now(),
    };
    let mut world = sandbox.world();
    world.salesforce.begin(incoming.now);
    let now = incoming.now;
    let (reply, route) = serve(&mut world, incoming);
    world.publish_events(now);
    respond(reply, route)
}

/// The reply to a request and, where its path holds ids, the route without them.
fn serve(world: &mut World, incoming: Incoming) -> (Reply, Option<String>) {
    let path = incoming.path.clone();
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let reply = match names.as_slice() {
        ["services", "data"] if incoming.method == Method::GET => Reply::ok(rest::versions()),
        ["services", "data", version, rest @ ..] => {
            return data_call(world, incoming, version, rest);
        }
        ["services", "oauth2", "userinfo"] => match session(world, &incoming) {
            Ok(user) => Reply::ok(world.salesforce.userinfo(&incoming.base, &user)),
            Err(_) => bad_token(),
        },
        ["services", "oauth2", resource] => {
            let mut form = oauth::Form::read(&incoming.body);
            form.0.extend(oauth::Form::read(incoming.query.as_bytes()).0);
            let call = oauth::OAuthCall {
                resource,
                headers: &incoming.headers,
                form,
                now: incoming.now,
                refuse_all: incoming.expire.is_some_and(|e| e.forever),
                method: incoming.method,
                base: incoming.base,
                host: incoming.host,
            };
            oauth::answer(&mut world.salesforce, &call, &mut world.random)
        }
        ["id", _, user] => match session(world, &incoming) {
            Ok(_) => match id::normalise(user).filter(|id| world.salesforce.record(id).is_some()) {
                Some(user) => Reply::ok(world.salesforce.identity(&incoming.base, &user)),
                None => Reply::empty(404),
            },
            Err(_) => bad_token(),
        },
        ["sandbox", "salesforce", rest @ ..] => {
            admin::answer(world, &incoming.method, rest, &incoming.body, incoming.now)
        }
        _ => Reply::not_modelled(),
    };
    (reply, None)
}

/// How the endpoints about the signed-in user refuse a token.
fn bad_token() -> Reply {
    Reply { body: Body::Text("text/html", "Bad_OAuth_Token".to_owned()), ..Reply::empty(403) }
}

fn data_call(
    world: &mut World,
    incoming: Incoming,
    version: &str,
    rest: &[&str],
) -> (Reply, Option<String>) {
    if !rest::is_version(version) {
        let refusal = Refusal::call(Code::NotFound, "The requested resource does not exist");
        return (Reply::refused(&refusal), None);
    }
    let user = match session(world, &incoming) {
        Ok(user) => user,
        Err(refusal) => return (Reply::refused(&refusal), None),
    };
    let query = url::form_urlencoded::parse(incoming.query.as_bytes());
    let mut call = Call {
        path: rest.iter().map(|s| (*s).to_owned()).collect(),
        query: query.into_owned().collect(),
        version: version.to_owned(),
        method: incoming.method,
        headers: incoming.headers,
        body: incoming.body,
        base: incoming.base,
        user,
        now: incoming.now,
        late: None,
        cut_locator: false,
    };
    let reply = data(world, &mut call);
    (reply, Some(template(&call)))
}

/// A signed-in call of the data API: limits, resource, headers.
fn data(world: &mut World, call: &mut Call) -> Reply {
    let org = &mut world.salesforce;
    if org.settings.refuse_concurrent > 0 {
        org.settings.refuse_concurrent -= 1;
        let message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded.";
        return Reply::refused(&Refusal::call(Code::RequestLimitExceeded, message));
    }
    if org.usage.used() >= org.settings.daily_requests {
        let message = "TotalRequests Limit exceeded.";
        return Reply::refused(&Refusal::call(Code::RequestLimitExceeded, message));
    }
    org.usage.count(call.now);
    let World { faults, random, salesforce: org, .. } = world;
    let writes = call.method != Method::GET && call.method != Method::HEAD;
    if writes && faults.strikes(Fault::LateCommit, Side::Salesforce, random) {
        call.late = Some(LATE);
    }
    let pages = matches!(call.segments().as_slice(), ["query" | "queryAll", _]);
    call.cut_locator = pages && faults.strikes(Fault::CutLocator, Side::Salesforce, random);
    let reply = rest::dispatch(org, call);
    let request_id = format!("{:016x}{:016x}", random.u64(..), random.u64(..));
    reply
        .with("sforce-limit-info", org.limit_info())
        .with("x-sfdc-request-id", request_id)
        .with("cache-control", "no-cache,must-revalidate,max-age=0,no-store,private")
}

/// The user behind the token of a call.
fn session(world: &mut World, incoming: &Incoming) -> Result<id::Id, Refusal> {
    let refused = || Refusal::call(Code::InvalidSessionId, "Session expired or invalid");
    let token = incoming
        .headers
        .get(http::header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("OAuth ")))
        .map(str::trim)
        .ok_or_else(refused)?;
    let org = &mut world.salesforce;
    if incoming.expire.is_some() {
        org.auth.end_session(token);
    }
    let idle = org.settings.session_idle;
    let user = org
        .auth
        .use_session(token, incoming.now, idle)
        .map(|s| s.user.clone())
        .ok_or_else(refused)?;
    match org.record(&user) {
        Some(row) if row.flag("IsActive") => Ok(user),
        _ => Err(refused()),
    }
}

/// The route of a call without ids, for the log of calls.
fn template(call: &Call) -> String {
    let mut out = format!("/services/data/{}", call.version);
    let path = call.segments();
    for (at, segment) in path.iter().enumerate() {
        let before: &[&str] = &path[..at];
        let shown = match before {
            ["query" | "queryAll"] => "{locator}",
            ["sobjects", _]
                if !matches!(*segment, "describe" | "updated" | "deleted") && path.len() == 3 =>
            {
                "{id}"
            }
            ["sobjects", _, _] => "{value}",
            ["jobs", _] => "{job}",
            ["actions", "custom", "flow"] => "{name}",
            _ => segment,
        };
        out.push('/');
        out.push_str(shown);
    }
    out
}

/// A reply as an HTTP response.
fn respond(reply: Reply, route: Option<String>) -> Response {
    let (content_type, body) = match reply.body {
        Body::Empty => (None, Bytes::new()),
        Body::Json(value) => (Some("application/json;charset=UTF-8"), Bytes::from(written(&value))),
        Body::Text(kind, text) => (Some(kind), Bytes::from(text)),
    };
    let mut response = Response::new(HttpBody::from(body));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    if let Some(content_type) = content_type {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if reply.unmodelled {
        response.extensions_mut().insert(Unmodelled);
    }
    if let Some(purpose) = reply.purpose {
        response.extensions_mut().insert(purpose);
    }
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// A reply of the admin door: an object with what was done.
fn done(value: serde_json::Value) -> Reply {
    Reply::ok(json!({"done": true, "result": value}))
}
