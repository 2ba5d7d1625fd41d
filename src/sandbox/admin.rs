//! The admin door: what a tester may do that no platform's API offers, as JSON under `/sandbox/`.
//!
//! | call | does |
//! | --- | --- |
//! | `GET /sandbox/faults` | lists the faults that exist, are armed and have struck |
//! | `POST /sandbox/faults` `{"fault":"hubspot:slow=5%"}` | arms one |
//! | `DELETE /sandbox/faults` or `/sandbox/faults/{name}` | disarms all or one |
//! | `GET /sandbox/calls` | counted calls, `?recent=20` in detail |
//! | `DELETE /sandbox/calls` | forgets the counts |
//! | `GET /sandbox/clock` | the sandbox's time |
//! | `POST /sandbox/clock` `{"advance":"31m"}` | sets it ahead |
//!
//! Each platform's router adds the actions of its users below the same prefix.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{delete, get};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::calls::Purpose;
use super::fault::{FAULTS, FaultOrder, Side};
use super::{Calls, Sandbox};

/// The routes that both platforms share.
pub(super) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/sandbox/faults", get(faults).post(arm).delete(disarm_all))
        .route("/sandbox/faults/{name}", delete(disarm))
        .route("/sandbox/calls", get(calls).delete(clear_calls))
        .route("/sandbox/clock", get(clock).post(advance))
        .with_state(sandbox)
}

/// A JSON answer of the admin door.
#[must_use]
pub fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal of the admin door.
#[must_use]
pub fn refuse(error: &dyn std::fmt::Display) -> Response {
    answer(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() }))
}

async fn faults(State(sandbox): State<Sandbox>) -> Response {
    let world = sandbox.world();
    let known: Vec<Value> = FAULTS
        .iter()
        .map(|spec| {
            let sides: Vec<&str> = spec.sides.iter().map(|side| side.word()).collect();
            json!({ "name": spec.name, "line": spec.line, "sides": sides })
        })
        .collect();
    let armed: Vec<Value> = world
        .faults
        .armed()
        .iter()
        .map(|armed| {
            json!({
                "name": armed.fault.name(),
                "side": armed.side.word(),
                "how": armed.how.to_string(),
            })
        })
        .collect();
    let struck: Vec<Value> = world
        .faults
        .struck()
        .iter()
        .map(|((side, fault), count)| {
            json!({ "name": fault.name(), "side": side.word(), "count": count })
        })
        .collect();
    answer(StatusCode::OK, &json!({ "known": known, "armed": armed, "struck": struck }))
}

#[derive(Deserialize)]
struct Arm {
    fault: String,
}

async fn arm(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let arm: Arm = match serde_json::from_slice(&body) {
        Ok(arm) => arm,
        Err(error) => return refuse(&error),
    };
    let armed =
        arm.fault.parse::<FaultOrder>().and_then(|order| sandbox.world().faults.arm_order(&order));
    match armed {
        Ok(()) => faults(State(sandbox)).await,
        Err(error) => refuse(&error),
    }
}

#[derive(Deserialize)]
struct Which {
    side: Option<String>,
}

async fn disarm(
    State(sandbox): State<Sandbox>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Response {
    let side = match which.side.as_deref().map(str::parse::<Side>).transpose() {
        Ok(side) => side,
        Err(error) => return refuse(&error),
    };
    let disarmed = sandbox.world().faults.disarm(&name, side);
    match disarmed {
        Ok(_) => faults(State(sandbox)).await,
        Err(error) => refuse(&error),
    }
}

async fn disarm_all(State(sandbox): State<Sandbox>) -> Response {
    sandbox.world().faults.disarm_all();
    faults(State(sandbox)).await
}

#[derive(Deserialize)]
struct Recent {
    #[serde(default)]
    recent: usize,
}

async fn calls(State(sandbox): State<Sandbox>, Query(recent): Query<Recent>) -> Response {
    answer(StatusCode::OK, &described(&sandbox.world().calls, recent.recent))
}

fn described(calls: &Calls, recent: usize) -> Value {
    let sides: serde_json::Map<String, Value> = Side::BOTH
        .into_iter()
        .map(|side| {
            let counts = json!({
                "total": calls.total(side),
                "reads": calls.of(side, Purpose::Read),
                "writes": calls.of(side, Purpose::Write),
                "tokens": calls.of(side, Purpose::Token),
            });
            (side.word().to_owned(), counts)
        })
        .collect();
    let counted: Vec<Value> = calls
        .counted()
        .iter()
        .map(|(key, count)| {
            json!({
                "side": key.side.word(),
                "method": key.method,
                "route": key.route,
                "status": key.status,
                "count": count,
            })
        })
        .collect();
    let unmodelled: Vec<Value> = calls
        .unmodelled()
        .iter()
        .map(|((side, asked), count)| json!({ "side": side.word(), "call": asked, "count": count }))
        .collect();
    let all: Vec<_> = calls.recent().collect();
    let last: Vec<Value> = all[all.len().saturating_sub(recent)..]
        .iter()
        .map(|call| {
            json!({
                "number": call.number,
                "at": call.at.to_string(),
                "side": call.side.word(),
                "method": call.method,
                "path": call.path,
                "status": call.status,
            })
        })
        .collect();
    let pushed: Vec<Value> = calls
        .pushes()
        .iter()
        .map(|((side, what, outcome), count)| {
            json!({ "side": side.word(), "what": what, "outcome": outcome, "count": count })
        })
        .collect();
    json!({
        "sides": sides,
        "counted": counted,
        "pushed": pushed,
        "unmodelled": unmodelled,
        "recent": last,
    })
}

async fn clear_calls(State(sandbox): State<Sandbox>) -> Response {
    sandbox.world().calls.clear();
    calls(State(sandbox), Query(Recent { recent: 0 })).await
}

async fn clock(State(sandbox): State<Sandbox>) -> Response {
    answer(StatusCode::OK, &json!({ "now": sandbox.clock().now().to_string() }))
}

#[derive(Deserialize)]
struct Advance {
    advance: String,
}

async fn advance(State(sandbox): State<Sandbox>, body: Bytes) -> Response {
    let by = serde_json::from_slice::<Advance>(&body).map_err(|error| error.to_string()).and_then(
        |advance| advance.advance.parse::<SignedDuration>().map_err(|error| error.to_string()),
    );
    match by {
        Ok(by) if by.is_negative() => refuse(&"the sandbox's clock does not go back"),
        Ok(by) => {
            sandbox.clock().advance(by);
            clock(State(sandbox)).await
        }
        Err(error) => refuse(&error),
    }
}
