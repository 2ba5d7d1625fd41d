//! The endpoints: token, authorize, revoke, introspect, userinfo and identity.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{Code, Grant, PASSWORD, Session, jwt, secret};
use crate::sandbox::calls::Purpose;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::rest::call::{Body, Reply};
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// What the flows grant.
const SCOPE: &str = "refresh_token api id openid";
/// How long a code can be redeemed.
const CODE_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// A form or a query string.
#[derive(Debug, Clone, Default)]
pub(in crate::sandbox::salesforce) struct Form(pub Vec<(String, String)>);

impl Form {
    pub(in crate::sandbox::salesforce) fn read(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

/// A call of one of the endpoints.
#[derive(Debug)]
pub(in crate::sandbox::salesforce) struct OAuthCall<'a> {
    pub method: Method,
    /// What stands behind `/services/oauth2/`.
    pub resource: &'a str,
    pub headers: &'a HeaderMap,
    /// The query string's and the body's fields together.
    pub form: Form,
    /// The address that the caller used, `https://host`.
    pub base: String,
    pub host: String,
    pub now: Timestamp,
    /// Whether nobody is signed in any more, whatever they show.
    pub refuse_all: bool,
}

/// A refusal in OAuth's own words.
struct Refused {
    error: &'static str,
    description: String,
}

fn refused(error: &'static str, description: impl Into<String>) -> Refused {
    Refused { error, description: description.into() }
}

type Granted<T> = Result<T, Refused>;

/// Answers a call.
pub(in crate::sandbox::salesforce) fn answer(
    org: &mut Org,
    call: &OAuthCall<'_>,
    random: &mut fastrand::Rng,
) -> Reply {
    let mut reply = match (call.resource, call.method.as_str()) {
        ("token", "POST") => match org.token(call, random) {
            Ok(body) => Reply::ok(body).with("cache-control", "no-store"),
            Err(refused) => error_reply(&refused),
        },
        ("authorize", "GET" | "POST") => org.authorize(call, random),
        ("revoke", "GET" | "POST") => org.revoke(call),
        ("introspect", "POST") => org.introspect(call),
        _ => Reply::not_modelled(),
    };
    reply.purpose = Some(Purpose::Token);
    reply
}

fn error_reply(refused: &Refused) -> Reply {
    Reply::json(400, json!({"error": refused.error, "error_description": refused.description}))
}

impl Org {
    fn token(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Granted<Value> {
        if call.refuse_all {
            return Err(refused("invalid_grant", "authentication failure"));
        }
        match call.form.get("grant_type") {
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => self.by_assertion(call, random),
            Some("client_credentials") => self.by_credentials(call, random),
            Some("authorization_code") => self.by_code(call, random),
            Some("refresh_token") => self.by_refresh(call, random),
            Some("password") => self.by_password(call, random),
            Some(_) => Err(refused("unsupported_grant_type", "grant type not supported")),
            None => Err(refused("invalid_request", "missing required parameter: grant_type")),
        }
    }

    fn by_assertion(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Granted<Value> {
        let invalid = || refused("invalid_grant", "invalid assertion");
        let assertion = call.form.get("assertion").ok_or_else(invalid)?;
        let (claims, expiry) = jwt::claims(assertion).ok_or_else(invalid)?;
        let Some(app) = self.auth.apps.get(&claims.issuer) else {
            return Err(refused("invalid_client_id", "client identifier invalid"));
        };
        let key = app.public_key.as_ref().ok_or_else(invalid)?;
        if !jwt::is_signed(assertion, key) {
            return Err(invalid());
        }
        let base = self.settings.instance_url.clone().unwrap_or_else(|| call.base.clone());
        let audiences =
            ["https://login.salesforce.com", "https://test.salesforce.com", &base, &call.base];
        if !audiences.contains(&claims.audience.trim_end_matches('/')) {
            return Err(refused("invalid_grant", "Audience validation failed"));
        }
        if !jwt::is_timely(expiry, call.now) {
            return Err(refused("invalid_grant", "expired authorization code"));
        }
        let user = self.user_named(&claims.subject)?;
        if !app.pre_authorized
            && !self.auth.refresh.values().any(|g| g.user == user && g.client_id == claims.issuer)
        {
            return Err(refused("invalid_grant", "user hasn't approved this consumer"));
        }
        Ok(self.grant(call, &claims.issuer, &user, None, random))
    }

    fn by_credentials(
        &mut self,
        call: &OAuthCall<'_>,
        random: &mut fastrand::Rng,
    ) -> Granted<Value> {
        if call.host.starts_with("login.") || call.host.starts_with("test.") {
            return Err(refused("invalid_grant", "request not supported on this domain"));
        }
        let client = self.client(call, true)?;
        let user = self.auth.apps.get(&client).map(|a| a.run_as.clone());
        let user = user.ok_or_else(|| refused("invalid_client_id", "client identifier invalid"))?;
        self.check_active(&user)?;
        Ok(self.grant(call, &client, &user, None, random))
    }

    fn by_code(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Granted<Value> {
        let invalid = || refused("invalid_grant", "invalid authorization code");
        let verifier = call.form.get("code_verifier");
        let client = self.client(call, verifier.is_none())?;
        let code = call.form.get("code").ok_or_else(invalid)?;
        // A code is used up by any attempt to redeem it.
        let code =
            self.auth.codes.remove(code).filter(|c| c.client_id == client).ok_or_else(invalid)?;
        if call.now.duration_since(code.issued) > CODE_LIFE {
            return Err(refused("invalid_grant", "expired authorization code"));
        }
        if call.form.get("redirect_uri") != Some(&code.redirect) {
            return Err(refused("redirect_uri_mismatch", "redirect_uri must match configuration"));
        }
        match (&code.challenge, verifier) {
            (Some(challenge), Some(verifier)) => {
                let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
                if hash != *challenge {
                    return Err(refused("invalid_grant", "invalid code verifier"));
                }
            }
            (Some(_), None) => return Err(refused("invalid_grant", "invalid code verifier")),
            (None, _) => {}
        }
        self.check_active(&code.user)?;
        let refresh = self.new_refresh(&client, &code.user, random);
        Ok(self.grant(call, &client, &code.user, Some(refresh), random))
    }

    fn by_refresh(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Granted<Value> {
        let client = self.client(call, false)?;
        let shown = call.form.get("refresh_token").unwrap_or_default().to_owned();
        let grant = self.auth.refresh.get(&shown).filter(|g| g.client_id == client).cloned();
        let Some(grant) = grant else {
            return Err(refused("invalid_grant", "expired access/refresh token"));
        };
        self.check_active(&grant.user)?;
        let rotates = self.auth.apps.get(&client).is_some_and(|a| a.rotate_refresh_tokens);
        if !rotates {
            let mut body = self.grant(call, &client, &grant.user, Some(shown), random);
            if let Some(map) = body.as_object_mut() {
                map.remove("refresh_token");
            }
            return Ok(body);
        }
        self.auth.refresh.remove(&shown);
        let fresh = self.new_refresh(&client, &grant.user, random);
        Ok(self.grant(call, &client, &grant.user, Some(fresh), random))
    }

    fn by_password(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Granted<Value> {
        let client = self.client(call, true)?;
        let wrong = || refused("invalid_grant", "authentication failure - Invalid Password");
        let user = call.form.get("username").ok_or_else(wrong)?;
        let user = self.user_named(user).map_err(|_| wrong())?;
        // A security token may follow the password.
        if !call.form.get("password").is_some_and(|p| p.starts_with(PASSWORD)) {
            return Err(wrong());
        }
        Ok(self.grant(call, &client, &user, None, random))
    }

    /// The client that calls, by the form or by HTTP Basic.
    fn client(&self, call: &OAuthCall<'_>, needs_secret: bool) -> Granted<String> {
        let basic = call
            .headers
            .get("authorization")
            .and_then(|v| v.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|v| String::from_utf8(STANDARD.decode(v.trim()).ok()?).ok())
            .and_then(|v| v.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())));
        let (id, secret) = match basic {
            Some((id, secret)) => (id, Some(secret)),
            None => (
                call.form.get("client_id").unwrap_or_default().to_owned(),
                call.form.get("client_secret").map(str::to_owned),
            ),
        };
        let Some(app) = self.auth.apps.get(&id) else {
            return Err(refused("invalid_client_id", "client identifier invalid"));
        };
        match secret {
            Some(secret) if secret != app.client_secret => {
                Err(refused("invalid_client", "invalid client credentials"))
            }
            None if needs_secret => Err(refused("invalid_client", "invalid client credentials")),
            _ => Ok(id),
        }
    }

    fn user_named(&self, username: &str) -> Granted<Id> {
        let unknown = || refused("invalid_grant", "user hasn't approved this consumer");
        let table = self.table("User").ok_or_else(unknown)?;
        let user = table.holding("Username", &username.to_lowercase()).next().cloned();
        let user = user.ok_or_else(unknown)?;
        self.check_active(&user)?;
        Ok(user)
    }

    fn check_active(&self, user: &Id) -> Granted<()> {
        match self.record(user) {
            Some(row) if row.flag("IsActive") => Ok(()),
            _ => Err(refused("inactive_user", "user is inactive")),
        }
    }

    fn new_refresh(&mut self, client: &str, user: &Id, random: &mut fastrand::Rng) -> String {
        let token = format!("5Aep{}", secret(random, 80));
        let grant = Grant { client_id: client.to_owned(), user: user.clone() };
        self.auth.refresh.insert(token.clone(), grant);
        token
    }

    fn grant(
        &mut self,
        call: &OAuthCall<'_>,
        client: &str,
        user: &Id,
        refresh: Option<String>,
        random: &mut fastrand::Rng,
    ) -> Value {
        let session = Session {
            user: user.clone(),
            client_id: client.to_owned(),
            refresh_token: refresh.clone(),
            issued: call.now,
            last_used: call.now,
        };
        let org = self.id.clone();
        let token = self.auth.admit(&org, session, random);
        let base = self.settings.instance_url.clone().unwrap_or_else(|| call.base.clone());
        let issued = call.now.as_millisecond().to_string();
        let id = format!("{base}/id/{org}/{user}");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, client.as_bytes());
        let signature = STANDARD.encode(ring::hmac::sign(&key, format!("{id}{issued}").as_bytes()));
        let mut body = json!({
            "access_token": token,
            "scope": SCOPE,
            "instance_url": base,
            "id": id,
            "token_type": "Bearer",
            "issued_at": issued,
            "signature": signature,
        });
        if let (Some(map), Some(refresh)) = (body.as_object_mut(), refresh) {
            map.insert("refresh_token".to_owned(), json!(refresh));
        }
        body
    }

    /// The person at the browser agrees at once.
    fn authorize(&mut self, call: &OAuthCall<'_>, random: &mut fastrand::Rng) -> Reply {
        let form = &call.form;
        let client = form.get("client_id").unwrap_or_default();
        let Some(app) = self.auth.apps.get(client) else {
            return error_reply(&refused("invalid_client_id", "client identifier invalid"));
        };
        let redirect = form.get("redirect_uri").unwrap_or_default();
        let Ok(mut target) = url::Url::parse(redirect) else {
            return error_reply(&refused("redirect_uri_missing", "missing redirect_uri parameter"));
        };
        let loopback = matches!(target.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !loopback && !app.callbacks.iter().any(|c| c == redirect) {
            let description = "redirect_uri must match configuration";
            return error_reply(&refused("redirect_uri_mismatch", description));
        }
        if form.get("response_type") != Some("code") {
            target.query_pairs_mut().append_pair("error", "unsupported_response_type");
            return Reply::empty(302).with("location", target.to_string());
        }
        if form.get("code_challenge").is_some() && form.get("code_challenge_method") != Some("S256")
        {
            target.query_pairs_mut().append_pair("error", "invalid_request");
            return Reply::empty(302).with("location", target.to_string());
        }
        let code = format!("aPrx{}", secret(random, 60));
        let kept = Code {
            client_id: client.to_owned(),
            user: self.auth.at_browser.clone(),
            redirect: redirect.to_owned(),
            challenge: form.get("code_challenge").map(str::to_owned),
            issued: call.now,
        };
        self.auth.codes.insert(code.clone(), kept);
        target.query_pairs_mut().append_pair("code", &code);
        if let Some(state) = form.get("state") {
            target.query_pairs_mut().append_pair("state", state);
        }
        Reply::empty(302).with("location", target.to_string())
    }

    /// Ends a session, or a grant and all its sessions. Its errors are a form, not JSON.
    fn revoke(&mut self, call: &OAuthCall<'_>) -> Reply {
        let token = call.form.get("token").unwrap_or_default();
        if self.auth.sessions.remove(token).is_some() {
            return Reply::empty(200);
        }
        if self.auth.refresh.remove(token).is_some() {
            self.auth.sessions.retain(|_, s| s.refresh_token.as_deref() != Some(token));
            return Reply::empty(200);
        }
        let text = "error=unsupported_token_type&error_description=this%20token%20type%20is%20not%20supported";
        Reply {
            body: Body::Text("application/x-www-form-urlencoded", text.to_owned()),
            ..Reply::empty(400)
        }
    }

    fn introspect(&mut self, call: &OAuthCall<'_>) -> Reply {
        if let Err(refused) = self.client(call, true) {
            return Reply::json(
                401,
                json!({"error": refused.error, "error_description": refused.description}),
            );
        }
        let token = call.form.get("token").unwrap_or_default();
        let idle = self.settings.session_idle;
        let live = self
            .auth
            .sessions
            .get(token)
            .filter(|s| call.now.duration_since(s.last_used) < idle)
            .map(|s| {
                (s.client_id.clone(), s.user.clone(), s.issued, time::after(s.last_used, idle))
            });
        let Some((client, user, issued, ends)) = live else {
            return Reply::ok(json!({"active": false}));
        };
        let username =
            self.record(&user).and_then(|r| r.text("Username")).unwrap_or_default().to_owned();
        Reply::ok(json!({
            "active": true,
            "scope": SCOPE,
            "client_id": client,
            "username": username,
            "sub": format!("{}/id/{}/{user}", call.base, self.id),
            "token_type": "access_token",
            "exp": ends.as_second(),
            "iat": issued.as_second(),
            "nbf": issued.as_second(),
        }))
    }

    /// `userinfo`.
    pub(in crate::sandbox::salesforce) fn userinfo(&self, base: &str, user: &Id) -> Value {
        let text = |name: &str| self.record(user).map_or(Value::Null, |r| r.get(name).clone());
        json!({
            "sub": format!("{base}/id/{}/{user}", self.id),
            "user_id": &**user,
            "organization_id": &*self.id,
            "preferred_username": text("Username"),
            "nickname": text("Alias"),
            "name": text("Name"),
            "email": text("Email"),
            "email_verified": true,
            "given_name": text("FirstName"),
            "family_name": text("LastName"),
            "zoneinfo": text("TimeZoneSidKey"),
            "urls": self.urls(base, user),
            "active": text("IsActive"),
            "user_type": "STANDARD",
            "language": text("LanguageLocaleKey"),
            "locale": text("LocaleSidKey"),
            "utcOffset": 0,
            "updated_at": text("LastModifiedDate"),
        })
    }

    /// `/id/{org}/{user}`.
    pub(in crate::sandbox::salesforce) fn identity(&self, base: &str, user: &Id) -> Value {
        let text = |name: &str| self.record(user).map_or(Value::Null, |r| r.get(name).clone());
        json!({
            "id": format!("{base}/id/{}/{user}", self.id),
            "asserted_user": true,
            "user_id": &**user,
            "organization_id": &*self.id,
            "username": text("Username"),
            "nick_name": text("Alias"),
            "display_name": text("Name"),
            "email": text("Email"),
            "email_verified": true,
            "first_name": text("FirstName"),
            "last_name": text("LastName"),
            "timezone": text("TimeZoneSidKey"),
            "urls": self.urls(base, user),
            "active": text("IsActive"),
            "user_type": "STANDARD",
            "language": text("LanguageLocaleKey"),
            "locale": text("LocaleSidKey"),
            "utcOffset": 0,
            "last_modified_date": text("LastModifiedDate"),
            "is_app_installed": true,
        })
    }

    fn urls(&self, base: &str, user: &Id) -> Value {
        json!({
            "rest": format!("{base}/services/data/v{{version}}/"),
            "sobjects": format!("{base}/services/data/v{{version}}/sobjects/"),
            "query": format!("{base}/services/data/v{{version}}/query/"),
            "recent": format!("{base}/services/data/v{{version}}/recent/"),
            "profile": format!("{base}/{user}"),
            "custom_domain": base,
        })
    }
}
