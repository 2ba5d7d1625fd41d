//! Who is let in.
//!
//! Two questions, in this order. Is it us who is asked for ([`known_host`])? And does whoever asks
//! have the token ([`let_in`]), where one is set? Programs give it as a bearer, people once in a
//! form or in the address; a browser then keeps a session that ends by itself and holds no token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Form;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HOST, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::daemon::page;
use crate::daemon::{Clock, ServiceError};
use crate::settings::Effective;

/// Where people give the token.
pub(super) const SIGN_IN: &str = "/sign-in";

/// Where a browser's session is ended.
pub(super) const SIGN_OUT: &str = "/sign-out";

/// The fewest characters of a token: of base64, 96 bits.
const SHORTEST: usize = 16;

/// How long a browser's session lasts.
const SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Who is let in.
pub(in crate::daemon) struct Door {
    address: SocketAddr,
    name: Option<String>,
    lock: Option<Lock>,
    clock: Clock,
}

/// What a token is compared by. Neither holds the token itself.
struct Lock {
    /// A key of this process, under which two texts are compared without telling by the time taken
    /// how far they agree.
    fresh: hmac::Key,
    token: hmac::Tag,
    /// Signs sessions. It comes from the token, so that another token ends them all.
    sessions: hmac::Key,
}

impl Door {
    /// The door before the listener that the settings ask for, with the port that was bound.
    ///
    /// # Errors
    /// Where other machines could ask and there is no token, or the token cannot be read or is too
    /// short.
    pub(in crate::daemon) fn new(
        effective: &Effective,
        address: SocketAddr,
        clock: Clock,
    ) -> Result<Self, ServiceError> {
        let secret = effective.secret("http_token").filter(|secret| secret.whence().is_some());
        let token = secret.map(crate::settings::Secret::read).transpose()?;
        Self::with(address, effective.settings.http.name.clone(), token.as_ref(), clock)
    }

    pub(super) fn with(
        address: SocketAddr,
        name: Option<String>,
        token: Option<&SecretString>,
        clock: Clock,
    ) -> Result<Self, ServiceError> {
        let lock = token.map(Lock::new).transpose()?;
        if lock.is_none() && !address.ip().is_loopback() {
            return Err(ServiceError::HttpOpen { address });
        }
        Ok(Self { address, name, lock, clock })
    }

    /// Whether a token is asked for.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The same door before the address that was bound: the settings may leave the port open.
    pub(in crate::daemon) fn bound(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Only our own names are answered: a page in a browser could otherwise read the answers by
    /// giving its own name this machine's address (DNS rebinding). An address that was typed in has
    /// no such owner; it is answered where other machines may ask.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
            return false;
        };
        let (name, port) = split(host);
        if self.name.as_deref().is_some_and(|ours| name.eq_ignore_ascii_case(ours)) {
            return true;
        }
        // Without a port: behind a proxy on the standard one.
        if port.is_some_and(|port| port.parse() != Ok(self.address.port())) {
            return false;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        match address {
            Some(address) => address.is_loopback() || !self.address.ip().is_loopback(),
            None => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// The cookie's name. Cookies are shared by all ports of a machine.
    fn cookie_name(&self) -> String {
        format!("lockstep-{}", self.address.port())
    }

    fn has_token(&self, lock: &Lock, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .is_some_and(|(_, token)| lock.opens(token.trim()));
        bearer || self.has_session(lock, headers)
    }

    fn has_session(&self, lock: &Lock, headers: &HeaderMap) -> bool {
        let name = self.cookie_name();
        let now = self.clock.now();
        headers
            .get_all(COOKIE)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(found, session)| found == name && lock.knows(session, now))
    }

    /// Lets a browser in: sends it to the page with a session.
    fn welcome(&self, lock: &Lock) -> Response {
        let until = self.clock.now().saturating_add(SESSION).unwrap_or(Timestamp::MAX);
        self.with_cookie("/", &lock.session(until), SESSION.as_secs())
    }

    fn with_cookie(&self, to: &str, value: &str, seconds: i64) -> Response {
        let cookie = format!(
            "{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax",
            self.cookie_name()
        );
        let mut response = Redirect::to(to).into_response();
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }
}

impl Lock {
    fn new(token: &SecretString) -> Result<Self, ServiceError> {
        let token = token.expose_secret();
        if token.chars().count() < SHORTEST {
            let found = token.chars().count();
            return Err(ServiceError::HttpTokenShort { found, wanted: SHORTEST });
        }
        let random = ring::rand::SystemRandom::new();
        let fresh =
            hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| ServiceError::System {
                doing: "draw a random key",
                source: std::io::Error::other("the system gives no random numbers"),
            })?;
        let own = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
        let sessions = hmac::sign(&own, b"lockstep: sessions of the page");
        Ok(Self {
            token: hmac::sign(&fresh, token.as_bytes()),
            sessions: hmac::Key::new(hmac::HMAC_SHA256, sessions.as_ref()),
            fresh,
        })
    }

    /// Whether this is the token.
    fn opens(&self, given: &str) -> bool {
        hmac::verify(&self.fresh, given.as_bytes(), self.token.as_ref()).is_ok()
    }

    /// A session that lasts until then.
    fn session(&self, until: Timestamp) -> String {
        let until = until.as_second().to_string();
        let tag = hmac::sign(&self.sessions, until.as_bytes());
        format!("{until}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether this session was given out here and lasts still.
    fn knows(&self, session: &str, now: Timestamp) -> bool {
        let Some((until, tag)) = session.split_once('.') else { return false };
        let Ok(tag) = URL_SAFE_NO_PAD.decode(tag) else { return false };
        hmac::verify(&self.sessions, until.as_bytes(), &tag).is_ok()
            && until.parse::<i64>().is_ok_and(|until| until > now.as_second())
    }
}

/// The name and the port of a `Host` header.
fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        // The colons of `[::1]` are its own.
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

/// Refuses whoever asks for another host.
pub(super) async fn known_host(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Response {
    if door.is_ours(request.headers()) {
        return next.run(request).await;
    }
    let why = "ask for localhost, 127.0.0.1 or [::1], or for the name in http.name\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

/// Lets those in who have the token, where one is asked for.
pub(super) async fn let_in(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(lock) = &door.lock else { return next.run(request).await };
    if door.has_token(lock, request.headers()) {
        return next.run(request).await;
    }
    if request.method() == Method::GET && request.uri().path() == "/" {
        let given = request.uri().query().and_then(|query| {
            url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token")
        });
        return match given {
            Some((_, token)) if lock.opens(&token) => door.welcome(lock),
            Some(_) => refuse(page::SignIn::Wrong),
            None => refuse(page::SignIn::Asked),
        };
    }
    if wants_html(request.headers()) { refuse(page::SignIn::Asked) } else { unauthorized() }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

fn refuse(how: page::SignIn) -> Response {
    (StatusCode::UNAUTHORIZED, page::sign_in(how)).into_response()
}

#[derive(Serialize)]
struct Unauthorized {
    message: &'static str,
    hint: &'static str,
}

fn unauthorized() -> Response {
    let told = Unauthorized {
        message: "this needs the token that http.token_file holds",
        hint: "send it as `Authorization: Bearer …`",
    };
    let mut response = super::json(StatusCode::UNAUTHORIZED, &told);
    let challenge = HeaderValue::from_static("Bearer realm=\"lockstep\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// The form that asks for the token.
pub(super) async fn form(State(door): State<Arc<Door>>) -> Response {
    match door.lock {
        Some(_) => page::sign_in(page::SignIn::Asked),
        None => Redirect::to("/").into_response(),
    }
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
}

/// Takes the token from the form.
pub(super) async fn sign_in(
    State(door): State<Arc<Door>>,
    Form(Given { token }): Form<Given>,
) -> Response {
    match &door.lock {
        Some(lock) if lock.opens(token.trim()) => door.welcome(lock),
        Some(_) => refuse(page::SignIn::Wrong),
        None => Redirect::to("/").into_response(),
    }
}

/// Ends a browser's session.
pub(super) async fn sign_out(State(door): State<Arc<Door>>) -> Response {
    door.with_cookie(SIGN_IN, "", 0)
}
