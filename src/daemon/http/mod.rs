//! The listener for people and monitoring: the page, `/metrics`, `/health` and `/status`.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | the page |
//! | `/metrics` | how things stand and what was counted, as OpenMetrics text |
//! | `/health` | whether all is well, as JSON; the status 503 where a side cannot be used |
//! | `/status` | how the service is doing, as JSON |
//!
//! Everything passes [`door`] first, and nothing is kept by a browser.

mod door;

pub(super) use door::Door;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Query, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::answer::Office;
use super::control::{Refused, stopped};
use super::query::ReportOf;
use super::status::{Health, HealthState, Status};
use super::{metrics, page};
use crate::handoff::report::By;

pub(super) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `stop` holds true.
pub(super) async fn serve(
    listener: TcpListener,
    office: Arc<Office>,
    door: Door,
    mut stop: watch::Receiver<bool>,
) {
    let stopping = async move { stopped(&mut stop).await };
    let router = router(Front { office, door: Arc::new(door) });
    let served = axum::serve(listener, router).with_graceful_shutdown(stopping).await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Front {
    office: Arc<Office>,
    door: Arc<Door>,
}

impl FromRef<Front> for Arc<Office> {
    fn from_ref(front: &Front) -> Self {
        Self::clone(&front.office)
    }
}

impl FromRef<Front> for Arc<Door> {
    fn from_ref(front: &Front) -> Self {
        Self::clone(&front.door)
    }
}

fn router(front: Front) -> Router {
    let answers = Router::new()
        .route("/", get(the_page))
        .route("/metrics", get(metrics_text))
        .route("/health", get(health))
        .route("/status", get(status))
        .with_state(front.clone());
    guarded(answers, front.door)
}

/// Puts the door before `answers`, and the headers around both.
fn guarded(answers: Router, door: Arc<Door>) -> Router {
    answers
        .layer(from_fn_with_state(Arc::clone(&door), door::let_in))
        .route("/style.css", get(page::style))
        .route(door::SIGN_IN, get(door::form).post(door::sign_in).with_state(Arc::clone(&door)))
        .route(door::SIGN_OUT, post(door::sign_out).with_state(Arc::clone(&door)))
        .layer(from_fn_with_state(door, door::known_host))
        .layer(from_fn(careful))
}

/// What browsers are told about every answer: nothing is kept, nothing is guessed, nothing is told
/// to others.
async fn careful(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn the_page(
    State(Front { office, door }): State<Front>,
    Query(period): Query<Period>,
) -> Response {
    match office.page(&period.asked()).await {
        Ok(page) => page::answer(&page, door.is_locked()),
        Err(refused) => json(StatusCode::SERVICE_UNAVAILABLE, &refused),
    }
}

/// What the page's form sends. What is no day or no word of the form's is as if it were not there.
#[derive(Debug, Default, Deserialize)]
struct Period {
    since: Option<String>,
    until: Option<String>,
    by: Option<String>,
}

impl Period {
    fn asked(&self) -> ReportOf {
        let day = |text: &Option<String>| {
            let day: Date = text.as_deref()?.parse().ok()?;
            day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
        };
        let by = |by: &By| Some(by.key()) == self.by.as_deref();
        ReportOf {
            since: day(&self.since),
            until: day(&self.until),
            by: By::ALL.into_iter().find(by),
        }
    }
}

async fn metrics_text(State(office): State<Arc<Office>>) -> Response {
    match office.metrics().await {
        Ok(text) => typed(metrics::CONTENT_TYPE, text),
        Err(refused) => json(StatusCode::SERVICE_UNAVAILABLE, &refused),
    }
}

async fn health(State(office): State<Arc<Office>>) -> Response {
    answer(office.status().await, |status| {
        let health = Health::of(&status);
        let code = match health.state {
            HealthState::Down => StatusCode::SERVICE_UNAVAILABLE,
            HealthState::Ok | HealthState::Degraded => StatusCode::OK,
        };
        (code, health)
    })
}

async fn status(State(office): State<Arc<Office>>) -> Response {
    answer(office.status().await, |status| (StatusCode::OK, status))
}

fn answer<T: Serialize>(
    status: Result<Status, Refused>,
    view: impl FnOnce(Status) -> (StatusCode, T),
) -> Response {
    match status {
        Ok(status) => {
            let (code, value) = view(status);
            json(code, &value)
        }
        Err(refused) => json(StatusCode::SERVICE_UNAVAILABLE, &refused),
    }
}

fn json(code: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (code, typed("application/json", text + "\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn typed(content_type: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(content_type))], text).into_response()
}

#[cfg(test)]
mod tests;
