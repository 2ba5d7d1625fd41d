//! The loopback listener for monitoring: `/health` and `/status`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::answer::Office;
use super::control::{Refused, stopped};
use super::status::{Health, HealthState, Status};

pub(super) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until `stop` holds true.
pub(super) async fn serve(
    listener: TcpListener,
    office: Arc<Office>,
    mut stop: watch::Receiver<bool>,
) {
    let port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
    let stopping = async move { stopped(&mut stop).await };
    let served = axum::serve(listener, router(office, port)).with_graceful_shutdown(stopping).await;
    if let Err(error) = served {
        tracing::error!(%error, "the HTTP listener ended");
    }
}

fn router(office: Arc<Office>, port: u16) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/status", get(status))
        .layer(from_fn_with_state(port, known_host))
        .with_state(office)
}

/// Only our own names are answered: a page in a browser on this machine could otherwise read the
/// answers by giving its own name this machine's address (DNS rebinding).
async fn known_host(State(port): State<u16>, request: Request, next: Next) -> Response {
    if is_ours(request.headers(), port) {
        return next.run(request).await;
    }
    let why = "ask for localhost, 127.0.0.1 or [::1]\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

fn is_ours(headers: &HeaderMap, port: u16) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, given)) if given.parse() == Ok(port) => name,
        // Behind a proxy on the standard port.
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
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
    let (code, text) = match status {
        Ok(status) => {
            let (code, value) = view(status);
            (code, serde_json::to_string(&value))
        }
        Err(refused) => (StatusCode::SERVICE_UNAVAILABLE, serde_json::to_string(&refused)),
    };
    let Ok(text) = text else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut response = Response::new(Body::from(text + "\n"));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_answered() {
        for (host, ours) in [
            ("localhost:8765", true),
            ("127.0.0.1:8765", true),
            ("[::1]:8765", true),
            ("localhost", true),
            ("localhost:80", false),
            ("evil.example:8765", false),
            ("127.0.0.1.evil.example:8765", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_ours(&headers, 8765), ours, "{host}");
        }
        assert!(!is_ours(&HeaderMap::new(), 8765));
    }
}
