//! What is sent to a platform, and what comes back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Lane;

/// Whether a call whose outcome is unclear may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It reads, or writing it twice is the same as writing it once.
    Safe,
    /// It creates something. It is sent again only where the first try certainly did nothing.
    Never,
}

/// One call to a platform.
#[derive(Clone)]
pub struct Call {
    /// The class whose limits it obeys.
    pub lane: Arc<Lane>,
    /// The method.
    pub method: Method,
    /// The path with its parts filled in and its query, from `/` on.
    pub path: String,
    /// The path's template, for logs: it holds no ids and no values.
    pub route: Cow<'static, str>,
    /// What is sent, with its content type.
    pub body: Option<(&'static str, Bytes)>,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it may be sent twice.
    pub repeat: Repeat,
    /// Whether a successful answer is JSON. An HTML page or an empty body then counts as no answer.
    pub json: bool,
    /// What is being done, for a reader of errors: `reading 100 contacts`.
    pub doing: String,
    /// How long it may wait to be sent; none waits as long as reading is worth it.
    pub within: Option<Duration>,
}

impl Call {
    /// A call that reads.
    pub fn get(
        lane: &Arc<Lane>,
        route: impl Into<Cow<'static, str>>,
        path: impl Into<String>,
        doing: impl Into<String>,
    ) -> Self {
        Self {
            lane: Arc::clone(lane),
            method: Method::GET,
            path: path.into(),
            route: route.into(),
            body: None,
            headers: Vec::new(),
            repeat: Repeat::Safe,
            json: true,
            doing: doing.into(),
            within: None,
        }
    }

    /// A call that sends `body` as JSON. It is not repeated unless [`Call::repeat`] says so.
    ///
    /// # Errors
    /// Where `body` cannot be written as JSON.
    pub fn send<T: Serialize>(
        lane: &Arc<Lane>,
        method: Method,
        route: impl Into<Cow<'static, str>>,
        path: impl Into<String>,
        body: &T,
        doing: impl Into<String>,
    ) -> Result<Self, serde_json::Error> {
        let body = Bytes::from(serde_json::to_vec(body)?);
        let mut call = Self::get(lane, route, path, doing);
        call.method = method;
        call.body = Some(("application/json", body));
        call.repeat = Repeat::Never;
        Ok(call)
    }

    /// Says whether the call may be sent twice.
    #[must_use]
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.repeat = repeat;
        self
    }

    /// Says how long the call may wait to be sent, behind other calls or for a pause that the
    /// platform asked for. After that it fails with [`Effect::Late`](super::Effect::Late).
    #[must_use]
    pub const fn within(mut self, span: Duration) -> Self {
        self.within = Some(span);
        self
    }

    /// Says that a successful answer need not be JSON (`204 No Content`, CSV).
    #[must_use]
    pub fn not_json(mut self) -> Self {
        self.json = false;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Paths and bodies hold people's data, and one body holds a token: neither is shown.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("method", &self.method)
            .field("route", &self.route)
            .field("repeat", &self.repeat)
            .field("doing", &self.doing)
            .finish_non_exhaustive()
    }
}

/// A whole answer, good or bad.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON of a known shape.
    ///
    /// # Errors
    /// Where it is not.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the platform asks to wait, from `Retry-After` in seconds or as a date.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let (at, now) = (http_date(text)?, self.date()?);
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    }

    /// The server's time, from `Date`.
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header(DATE.as_str())?)
    }

    /// Whether the body begins and ends as JSON does. An error page of a proxy, an empty body and
    /// one that was cut do not.
    #[must_use]
    pub fn looks_like_json(&self) -> bool {
        let body = self.body.trim_ascii();
        matches!(
            (body.first(), body.last()),
            (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) | (Some(b'"'), Some(b'"'))
        ) && body.len() > 1
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}
