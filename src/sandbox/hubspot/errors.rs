//! HubSpot's kinds of error.
//!
//! The envelope and its codes are those of the developer documentation's "error handling" page and
//! of recorded answers; every field beside `status` and `message` is optional there.

use axum::body::Body;
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

use crate::sandbox::calls::Unmodelled;

/// A refusal in HubSpot's own words.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The body without its correlation id.
    pub body: Map<String, Value>,
    /// Whether the body carries a correlation id (errors of OAuth do not).
    pub correlated: bool,
    /// Headers besides the content type.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the sandbox refuses because it does not model what was asked.
    pub unmodelled: bool,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// An app's ten seconds.
    TenSeconds,
    /// Search's second.
    Second,
    /// The account's day.
    Day,
}

/// An error with a message alone.
#[must_use]
pub fn plain(status: u16, message: impl Into<String>) -> Refusal {
    let mut body = Map::new();
    body.insert("status".to_owned(), "error".into());
    body.insert("message".to_owned(), message.into().into());
    Refusal { status, body, correlated: true, headers: Vec::new(), unmodelled: false }
}

/// An error with a category.
#[must_use]
pub fn categorized(status: u16, category: &str, message: impl Into<String>) -> Refusal {
    plain(status, message).with("category", category.into())
}

/// 429 with the policy that was violated. `app` is the app's id.
#[must_use]
pub fn rate_limit(window: Window, app: &str) -> Refusal {
    let (word, policy) = match window {
        Window::TenSeconds => ("ten_secondly_rolling", "TEN_SECONDLY_ROLLING"),
        Window::Second => ("secondly", "SECONDLY"),
        Window::Day => ("daily", "DAILY"),
    };
    let group = match window {
        Window::TenSeconds => "ten-secondly",
        Window::Second => "secondly",
        Window::Day => "daily",
    };
    plain(429, format!("You have reached your {word} limit."))
        .with("errorType", "RATE_LIMIT".into())
        .with("policyName", policy.into())
        .with("groupName", format!("publicapi:private_app-api-calls-{group}:{app}").into())
}

impl Refusal {
    /// Adds a field to the body.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.body.insert(key.to_owned(), value);
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Marks the refusal as one of something that the sandbox does not model.
    #[must_use]
    pub fn unmodelled(mut self) -> Self {
        self.unmodelled = true;
        self
    }

    /// The HTTP answer, with a correlation id as HubSpot puts one into header and body.
    #[must_use]
    pub fn into_response(mut self, random: &mut fastrand::Rng) -> Response {
        let correlation = correlation(random);
        if self.correlated {
            self.body.insert("correlationId".to_owned(), json!(correlation));
        }
        let mut response = Response::new(Body::from(Value::Object(self.body).to_string()));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&correlation) {
            headers.insert("x-hubspot-correlation-id", value);
        }
        if self.unmodelled {
            response.extensions_mut().insert(Unmodelled);
        }
        response
    }
}

/// A random UUID, version 4.
#[must_use]
pub fn correlation(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..);
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
