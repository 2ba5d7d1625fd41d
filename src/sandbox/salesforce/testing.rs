//! What the tests of this side share: a sandbox and calls to its router.

use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::id::Id;
use super::oauth::CLIENT_ID;
use crate::sandbox::{Sandbox, SandboxClock, World};

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The first error's code and message.
    pub(super) fn error(&self) -> (String, String) {
        let error = &self.json()[0];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (text("errorCode"), text("message"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

/// A sandbox with a signed-in integration user.
pub(super) struct Rig {
    pub sandbox: Sandbox,
    pub token: String,
}

impl Rig {
    /// Must be called within a runtime, best one with paused time.
    pub(super) fn new() -> Self {
        let start: Timestamp = "2026-05-01T08:00:00Z".parse().unwrap();
        let sandbox = Sandbox::new(7, SandboxClock::starting_at(start));
        let mut rig = Self { sandbox, token: String::new() };
        rig.token = rig.sign_in();
        rig
    }

    pub(super) fn sign_in(&self) -> String {
        let now = self.now();
        let mut world = self.sandbox.world();
        let World { salesforce: org, random, .. } = &mut *world;
        let (id, user) = (org.id.clone(), org.staff.integration.clone());
        org.auth.open_session(&id, now, &user, CLIENT_ID, random)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.sandbox.clock().now()
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.sandbox.clock().advance(SignedDuration::from_secs(seconds));
    }

    /// A call with any headers and body.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "sandbox.my.salesforce.com")
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.sandbox.salesforce().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// A call of the data API at v66.0 without assignment rules.
    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("sforce-auto-assign", "FALSE")];
        self.send(method, &format!("/services/data/v66.0/{path}"), &headers, &body).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(super) async fn query(&self, soql: &str) -> Answer {
        let q: String = url::form_urlencoded::byte_serialize(soql.as_bytes()).collect();
        self.get(&format!("query?q={q}")).await
    }

    /// The `Id`s of a query.
    pub(super) async fn ids(&self, soql: &str) -> Vec<String> {
        let answer = self.query(soql).await;
        assert_eq!(answer.status, 200, "{soql}: {}", answer.text);
        let records = answer.json()["records"].as_array().unwrap().clone();
        records.iter().map(|r| r["Id"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) async fn create(&self, object: &str, values: Value) -> Id {
        let answer = self.call(Method::POST, &format!("sobjects/{object}"), values).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().into()
    }

    pub(super) async fn lead(&self, last: &str) -> Id {
        let mail = format!("{}@example.com", last.to_lowercase());
        self.create("Lead", json!({"LastName": last, "Company": "Acme", "Email": mail})).await
    }

    /// The value of a field as the org holds it.
    pub(super) fn value(&self, id: &str, field: &str) -> Value {
        self.sandbox.world().salesforce.record(id).map_or(Value::Null, |r| r.get(field).clone())
    }
}

/// A JSON object as a map.
pub(super) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

/// A recorded answer of the real platform, where the samples are at hand.
pub(super) fn sample(name: &str) -> Option<Value> {
    let path = format!("{}/../shared/facts/samples/salesforce/{name}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            eprintln!("skipped: no sample {name} here ({error})");
            None
        }
    }
}
