//! A call and its reply, free of the HTTP framework, so that composite resources can make calls too.

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::sandbox::calls::Purpose;
use crate::sandbox::salesforce::changes::Channel;
use crate::sandbox::salesforce::dml::Write;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::refusal::{Code, Refusal};

/// One call.
#[derive(Debug, Clone)]
pub(in crate::sandbox::salesforce) struct Call {
    pub method: Method,
    /// The decoded segments of the path behind `/services/data/vXX.X/`.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// `v66.0`.
    pub version: String,
    /// `https://host`, the address that the caller used.
    pub base: String,
    pub user: Id,
    pub now: Timestamp,
    /// How long the writes of this call stay uncommitted.
    pub late: Option<SignedDuration>,
    /// Whether the cursor of this call is forgotten first.
    pub cut_locator: bool,
}

impl Call {
    /// A parameter of the query string.
    pub(in crate::sandbox::salesforce) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    /// A header as text.
    pub(in crate::sandbox::salesforce) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    /// An option of a header of the form `a=1, b=2`.
    pub(in crate::sandbox::salesforce) fn option(&self, header: &str, name: &str) -> Option<&str> {
        self.header(header)?.split([',', ';']).find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The segments, to match on.
    pub(in crate::sandbox::salesforce) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The body as JSON.
    pub(in crate::sandbox::salesforce) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let message = if self.body.is_empty() {
                "The HTTP entity body is required, but this request has no entity body.".to_owned()
            } else {
                format!(
                    "Unexpected character at [line:{}, column:{}]",
                    error.line(),
                    error.column()
                )
            };
            Refusal::call(Code::JsonParserError, message)
        })
    }

    /// The body as a JSON object.
    pub(in crate::sandbox::salesforce) fn object(&self) -> Result<Map<String, Value>, Refusal> {
        match self.json()? {
            Value::Object(map) => Ok(map),
            _ => Err(Refusal::call(
                Code::JsonParserError,
                "Can not deserialize SObject out of START_ARRAY token at [line:1, column:1]",
            )),
        }
    }

    /// How this call writes.
    pub(in crate::sandbox::salesforce) fn write(&self) -> Write {
        let tenths = self.version.trim_start_matches('v').replace('.', "").parse().unwrap_or(660);
        let off = self
            .header("sforce-auto-assign")
            .is_some_and(|v| v.trim().eq_ignore_ascii_case("false"));
        let allow = self
            .option("sforce-duplicate-rule-header", "allowSave")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"));
        Write {
            now: self.now,
            user: self.user.clone(),
            channel: Channel::Rest(tenths),
            client: self.option("sforce-call-options", "client").map(str::to_owned),
            auto_assign: !off,
            allow_save: allow,
            late: self.late,
        }
    }

    /// The same caller's call of another resource, as composite resources make them. `url` is a
    /// path with an optional query string, with or without `/services/data/`.
    pub(in crate::sandbox::salesforce) fn sub(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
    ) -> Option<Self> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut path = segments(path).into_iter().peekable();
        if path.peek().is_some_and(|s| s == "services") {
            path.next();
            path.next();
        }
        let version = path.next().filter(|v| v.starts_with('v'))?;
        Some(Self {
            method,
            path: path.collect(),
            query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            body,
            version,
            ..self.clone()
        })
    }
}

/// The decoded segments of a path, without empty ones at its ends.
pub(in crate::sandbox::salesforce) fn segments(path: &str) -> Vec<String> {
    path.trim_matches('/')
        .split('/')
        .filter(|s| !s.is_empty())
        .map(|s| percent_decode_str(s).decode_utf8_lossy().into_owned())
        .collect()
}

/// What a reply carries.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox::salesforce) enum Body {
    Empty,
    Json(Value),
    /// A content type and a text.
    Text(&'static str, String),
}

/// One reply.
#[derive(Debug, Clone)]
pub(in crate::sandbox::salesforce) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    /// Whether the resource is not modelled.
    pub unmodelled: bool,
    pub purpose: Option<Purpose>,
}

impl Reply {
    pub(in crate::sandbox::salesforce) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Json(body),
            unmodelled: false,
            purpose: None,
        }
    }

    pub(in crate::sandbox::salesforce) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(in crate::sandbox::salesforce) fn empty(status: u16) -> Self {
        Self { body: Body::Empty, ..Self::json(status, Value::Null) }
    }

    pub(in crate::sandbox::salesforce) fn with(
        mut self,
        header: &'static str,
        value: impl Into<String>,
    ) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// A refusal of a whole call: an array of one.
    pub(in crate::sandbox::salesforce) fn refused(refusal: &Refusal) -> Self {
        Self::json(refusal.code.status(), json!([refusal.to_call_json()]))
    }

    /// A resource that the sandbox does not model: the platform's answer to what does not exist.
    pub(in crate::sandbox::salesforce) fn not_modelled() -> Self {
        let refusal = Refusal::call(Code::NotFound, "The requested resource does not exist");
        Self { unmodelled: true, ..Self::refused(&refusal) }
    }

    /// The answer to a method that the resource does not have.
    pub(in crate::sandbox::salesforce) fn bad_method(method: &Method, allowed: &str) -> Self {
        let message = format!("HTTP Method '{method}' not allowed. Allowed are {allowed}");
        Self::refused(&Refusal::call(Code::MethodNotAllowed, message)).with("allow", allowed)
    }

    pub(in crate::sandbox::salesforce) fn is_success(&self) -> bool {
        self.status < 400 && self.status != 300
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::refused(&refusal)
    }
}
