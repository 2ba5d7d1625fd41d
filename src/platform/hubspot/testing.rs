//! A HubSpot whose every answer a test writes itself.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::{HubSpot, Settings};
use crate::platform::transport::{Http, NetError, StaticToken};

/// What the fake answers: a status and a body, or nothing.
pub(super) type Reply = Result<(u16, Value), NetError>;

type Handler = Box<dyn Fn(&str, &Value) -> Reply + Send + Sync>;

/// Answers by a function of `METHOD /path?query` and the body, and remembers what it was asked.
pub(super) struct Fake {
    handler: Handler,
    asked: Mutex<Vec<(String, Value)>>,
}

impl Fake {
    /// A client of a HubSpot that answers with `handler`.
    pub fn client(
        handler: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static,
    ) -> (HubSpot, Arc<Self>) {
        let fake = Arc::new(Self { handler: Box::new(handler), asked: Mutex::default() });
        let mut settings = Settings::at(Url::parse("https://api.example.com").unwrap());
        settings.version = "v3".parse().unwrap();
        settings.app_id = Some("77".into());
        let tokens = Arc::new(StaticToken::new(&SecretString::from("pat-na1-test")));
        let http: Arc<dyn Http> = Arc::clone(&fake) as _;
        (HubSpot::new(settings, http, tokens, 1), fake)
    }

    /// The calls so far, each with its body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }

    /// The calls so far, without bodies and without the path's beginning.
    pub fn calls(&self) -> Vec<String> {
        let short = |call: &String| call.replace("/crm/v3/objects/", "").replace("/crm/v4/", "");
        self.asked().iter().map(|(call, _)| short(call)).collect()
    }
}

#[async_trait]
impl Http for Fake {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        assert!(request.headers().contains_key(AUTHORIZATION));
        let path = request.uri().path_and_query().unwrap().as_str();
        let call = format!("{} {path}", request.method());
        let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        self.asked.lock().unwrap().push((call.clone(), body.clone()));
        let (status, body) = (self.handler)(&call, &body)?;
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut response = http::Response::new(body);
        *response.status_mut() = status.try_into().unwrap();
        let date = http::HeaderValue::from_static("Sun, 22 Nov 2026 13:30:00 GMT");
        response.headers_mut().insert(http::header::DATE, date);
        Ok(response)
    }
}

/// The inputs of a batch call.
pub(super) fn inputs(body: &Value) -> Vec<&Value> {
    body["inputs"].as_array().map(|list| list.iter().collect()).unwrap_or_default()
}
