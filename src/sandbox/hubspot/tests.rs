//! The API in process, call by call.

mod batches;
mod edges;
mod invariants;
mod lifecycle;
mod lifetimes;
mod oauths;
mod records;
mod samples;
mod searches;
mod struck;
mod subscriptions;

use axum::Router;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::limits::Limits;
use super::*;
use crate::sandbox::SandboxClock;

/// A sandbox without request limits and a way to call it.
struct Hub {
    sandbox: Sandbox,
    router: Router,
}

/// What came back.
#[derive(Debug)]
struct Got {
    status: u16,
    body: Value,
    headers: http::HeaderMap,
}

impl Got {
    fn code(&self) -> &str {
        self.body["errors"][0]["code"].as_str().unwrap_or_default()
    }

    fn property(&self, name: &str) -> &str {
        self.body["properties"][name].as_str().unwrap_or_default()
    }

    /// The body without its correlation id, which every error has.
    fn uncorrelated(&self) -> Value {
        let mut body = self.body.clone();
        let id = body.as_object_mut().unwrap().remove("correlationId");
        assert_eq!(id.unwrap().as_str().unwrap().len(), 36);
        body
    }

    fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }
}

impl Hub {
    fn new() -> Self {
        let clock = SandboxClock::starting_at("2026-11-02T08:00:00Z".parse().unwrap());
        let sandbox = Sandbox::new(7, clock);
        sandbox.world().hubspot.limiter.limits = Limits::none();
        Self { router: sandbox.hubspot(), sandbox }
    }

    fn now(&self) -> Timestamp {
        self.sandbox.clock().now()
    }

    fn advance(&self, seconds: i64) {
        self.sandbox.clock().advance(SignedDuration::from_secs(seconds));
    }

    async fn with_token(&self, token: &str, method: &str, path: &str, body: &str) -> Got {
        let mut request = http::Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .body(Body::from(body.to_owned()))
            .unwrap();
        if !token.is_empty() {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Got { status: parts.status.as_u16(), body, headers: parts.headers }
    }

    async fn raw(&self, method: &str, path: &str, body: &str) -> Got {
        self.with_token(oauth::PRIVATE_TOKEN, method, path, body).await
    }

    async fn get(&self, path: &str) -> Got {
        self.raw("GET", path, "").await
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.raw("POST", path, &body.to_string()).await
    }

    async fn patch(&self, path: &str, body: Value) -> Got {
        self.raw("PATCH", path, &body.to_string()).await
    }

    /// Creates a contact and returns its id.
    async fn contact(&self, properties: Value) -> String {
        let got = self.post("/crm/v3/objects/contacts", json!({ "properties": properties })).await;
        assert_eq!(got.status, 201, "{}", got.body);
        got.id()
    }

    async fn edit(&self, id: &str, properties: Value) -> Got {
        let path = format!("/crm/v3/objects/contacts/{id}");
        self.patch(&path, json!({ "properties": properties })).await
    }

    async fn search(&self, body: Value) -> Got {
        self.post("/crm/v3/objects/contacts/search", body).await
    }
}

fn results(got: &Got) -> &Vec<Value> {
    got.body["results"].as_array().unwrap()
}

/// The ids of the results, sorted, because batches promise no order.
fn ids(got: &Got) -> Vec<&str> {
    let mut ids: Vec<&str> = results(got).iter().map(|at| at["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}
