//! Apps, tokens and OAuth.
//!
//! Shapes and error texts follow HubSpot's OAuth reference and recorded refusals, which mix
//! RFC 6749 with HubSpot's own fields.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::api::{Answer, Asked};
use super::errors::{Refusal, categorized, plain};
use super::record::instant;
use crate::sandbox::fault::ExpireToken;

/// The token of the private app that a fresh account has.
pub const PRIVATE_TOKEN: &str = "pat-na1-11111111-2222-3333-4444-555555555555";
/// The id of that private app: what history names as the source of its writes.
pub const PRIVATE_APP: u64 = 19_083_857;
/// The private app's client secret, by which its webhooks are signed.
pub const PRIVATE_APP_SECRET: &str = "7a7a7a7a-0000-4000-8000-000000000001";
/// The developer account's API key, which manages the OAuth app's webhooks.
pub const DEVELOPER_KEY: &str = "de7e10de-0000-4000-8000-000000000001";
/// The client id of the OAuth app that a fresh account knows.
pub const CLIENT_ID: &str = "c1c1c1c1-0000-4000-8000-000000000001";
/// The client secret of that OAuth app.
pub const CLIENT_SECRET: &str = "5e5e5e5e-0000-4000-8000-000000000001";
/// The id of that OAuth app.
pub const OAUTH_APP: u64 = 2_633_736;

/// Everything that both apps of a fresh account may do.
pub const SCOPES: [&str; 16] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "crm.schemas.companies.read",
    "crm.schemas.companies.write",
    "crm.schemas.deals.read",
    "crm.schemas.deals.write",
    "automation.sequences.read",
    "automation.sequences.enrollments.write",
];

/// An access token lives this long.
const LIFE: SignedDuration = SignedDuration::from_secs(1800);
/// An authorization code lives this long.
const CODE_LIFE: SignedDuration = SignedDuration::from_secs(60);

/// An app that signs in by OAuth.
#[derive(Debug, Clone)]
pub struct App {
    /// Its id.
    pub id: u64,
    /// Its client id.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
}

/// What a token allows.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The app.
    pub app: u64,
    /// Whether it is a private app's token, which never expires by itself.
    pub private: bool,
    /// What it may do.
    pub scopes: BTreeSet<String>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Code {
    app: u64,
    redirect: String,
    scopes: BTreeSet<String>,
    challenge: Option<String>,
    expires: Timestamp,
}

/// Apps, tokens and codes of the account.
#[derive(Debug)]
pub struct Auth {
    /// The apps that may sign in by OAuth.
    pub apps: Vec<App>,
    tokens: BTreeMap<String, Grant>,
    codes: BTreeMap<String, Code>,
    refreshes: BTreeMap<String, Grant>,
}

impl Auth {
    pub(super) fn fresh() -> Self {
        let scopes: BTreeSet<String> = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
        let grant = Grant { app: PRIVATE_APP, private: true, scopes, expires: None };
        let app = App {
            id: OAUTH_APP,
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
        };
        Self {
            apps: vec![app],
            tokens: BTreeMap::from([(PRIVATE_TOKEN.to_owned(), grant)]),
            codes: BTreeMap::new(),
            refreshes: BTreeMap::new(),
        }
    }

    /// What a live token allows.
    #[must_use]
    pub fn grant(&self, token: &str) -> Option<&Grant> {
        self.tokens.get(token)
    }

    /// Takes scopes away from a token, as an admin who edits a private app does.
    pub fn restrict(&mut self, token: &str, scopes: &[&str]) {
        if let Some(grant) = self.tokens.get_mut(token) {
            grant.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        }
    }

    /// Expires an OAuth token. A private app's token has no expiry: it ends by [`Auth::revoke`].
    pub fn expire(&mut self, token: &str, now: Timestamp) {
        if let Some(grant) = self.tokens.get_mut(token).filter(|grant| !grant.private) {
            grant.expires = Some(grant.expires.map_or(now, |at| at.min(now)));
        }
    }

    /// Ends a token for good, as an admin who rotates a private app's token does.
    pub fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
        self.refreshes.remove(token);
    }

    /// Uninstalls an OAuth app: its tokens and refresh tokens are worth nothing from now on.
    pub fn uninstall(&mut self, app: u64) {
        self.tokens.retain(|_, grant| grant.app != app);
        self.refreshes.retain(|_, grant| grant.app != app);
    }

    /// Checks the token of a call. A fault may have it count as expired: once and for all where a
    /// token can expire, and for this call alone where the sign-in as a whole is taken away, so
    /// that both kinds of app are well again when the fault ends.
    pub(super) fn check(
        &mut self,
        token: Option<&str>,
        now: Timestamp,
        expire: Option<ExpireToken>,
    ) -> Result<&Grant, Refusal> {
        if let (Some(token), Some(ExpireToken { forever: false })) = (token, expire) {
            self.expire(token, now);
        }
        let grant = token.and_then(|token| self.tokens.get(token)).ok_or_else(unknown_token)?;
        match grant.expires {
            _ if expire.is_some() => Err(expired(now, now)),
            Some(at) if at <= now => Err(expired(at, now)),
            _ => Ok(grant),
        }
    }
}

fn unknown_token() -> Refusal {
    categorized(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you \
         can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )
    .header("x-hubspot-auth-failure", "401 Unauthorized")
}

/// The refusal of an expired token.
fn expired(at: Timestamp, now: Timestamp) -> Refusal {
    let ago = now.duration_since(at).as_secs();
    let message = format!("The OAuth token used to make this call expired {ago} second(s) ago.");
    categorized(401, "EXPIRED_AUTHENTICATION", message)
        .with("context", json!({ "expire time": [instant(at)] }))
}

/// The refusal of a call that the token does not allow.
pub(super) fn missing_scope(scopes: &[&str]) -> Refusal {
    categorized(
        403,
        "MISSING_SCOPES",
        "This app hasn't been granted all required scopes to make this call. Read more about \
         required scopes here: https://developers.hubspot.com/scopes.",
    )
    .with(
        "errors",
        json!([{
            "message": "One or more of the following scopes are required.",
            "context": { "requiredGranularScopes": scopes },
        }]),
    )
    .with("links", json!({ "scopes": "https://developers.hubspot.com/scopes" }))
}

fn bad(status: &str, error: &str, message: &str) -> Refusal {
    let mut refusal = plain(400, message)
        .with("error", error.into())
        .with("error_description", message.into())
        .with("status", status.into());
    refusal.correlated = false;
    refusal
}

/// Everything below `/oauth`.
pub(super) fn call(
    auth: &mut Auth,
    portal: u64,
    asked: &Asked<'_>,
    random: &mut fastrand::Rng,
) -> Result<Answer, Refusal> {
    let path: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    match (asked.method, path.as_slice()) {
        ("GET", ["oauth", "authorize"]) => authorize(auth, asked, random),
        ("POST", ["oauth", "v1" | "v3" | "2026-03" | "2026-09", "token"]) => {
            token(auth, portal, asked, random)
        }
        ("POST", ["oauth", "v3" | "2026-03" | "2026-09", "token", "introspect"]) => {
            introspect(auth, portal, asked)
        }
        ("POST", ["oauth", "v3" | "2026-03" | "2026-09", "token", "revoke"]) => {
            let form = asked.form();
            if let Some(token) = form.get("token") {
                auth.revoke(token);
            }
            Ok(Answer::empty(204))
        }
        ("GET", ["oauth", "v1", "access-tokens", token]) => match auth.tokens.get(*token) {
            Some(grant) if grant.expires.is_none_or(|at| at > asked.now) => {
                let mut body = described(auth, portal, token, grant, asked.now);
                body["token_type"] = "access".into();
                Ok(Answer::ok(body))
            }
            _ => Err(plain(404, "access token not found or expired")),
        },
        ("POST", ["oauth", "v2", "private-apps", "get", "access-token-info"]) => {
            let body = asked.json()?;
            let token = body.get("tokenKey").and_then(Value::as_str).unwrap_or_default();
            let grant = auth.tokens.get(token).filter(|grant| grant.private);
            let grant = grant.ok_or_else(unknown_token)?;
            Ok(Answer::ok(json!({
                "userId": 51_001,
                "hubId": portal,
                "appId": grant.app,
                "scopes": grant.scopes,
            })))
        }
        _ => Err(plain(404, "resource not found").unmodelled()),
    }
}

fn authorize(
    auth: &mut Auth,
    asked: &Asked<'_>,
    random: &mut fastrand::Rng,
) -> Result<Answer, Refusal> {
    let client = asked.query("client_id").unwrap_or_default();
    let app = auth.apps.iter().find(|app| app.client_id == client);
    let app =
        app.ok_or_else(|| bad("BAD_CLIENT_ID", "invalid_client", "missing or invalid client id"))?;
    let redirect = asked.query("redirect_uri").unwrap_or_default();
    let mut target = url::Url::parse(redirect).map_err(|_| {
        bad("BAD_REDIRECT_URI", "invalid_request", "missing or invalid redirect uri")
    })?;
    let challenge = asked.query("code_challenge").map(str::to_owned);
    if challenge.is_some() && asked.query("code_challenge_method") != Some("S256") {
        return Err(bad("BAD_REQUEST", "invalid_request", "code_challenge_method must be S256")
            .unmodelled());
    }
    let asked_for = asked.query("scope").unwrap_or_default();
    let mut scopes: BTreeSet<String> = asked_for.split(' ').map(str::to_owned).collect();
    scopes.remove("");
    scopes.insert("oauth".to_owned());
    let code = super::errors::correlation(random);
    let expires = asked.now.saturating_add(CODE_LIFE).unwrap_or(asked.now);
    let kept = Code { app: app.id, redirect: redirect.to_owned(), scopes, challenge, expires };
    target.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = asked.query("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    auth.codes.insert(code, kept);
    let mut answer = Answer::empty(302);
    answer.headers.push(("location", target.to_string()));
    Ok(answer)
}

fn token(
    auth: &mut Auth,
    portal: u64,
    asked: &Asked<'_>,
    random: &mut fastrand::Rng,
) -> Result<Answer, Refusal> {
    let form = asked.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let app = auth.apps.iter().find(|app| app.client_id == field("client_id"));
    let app =
        app.ok_or_else(|| bad("BAD_CLIENT_ID", "invalid_client", "missing or invalid client id"))?;
    if app.client_secret != field("client_secret") {
        let message = "missing or invalid client secret";
        return Err(bad("BAD_CLIENT_SECRET", "invalid_client", message));
    }
    let app = app.id;
    let dead = "refresh token is invalid, expired or revoked";
    if asked.expire.is_some() {
        return Err(bad("BAD_REFRESH_TOKEN", "invalid_grant", dead));
    }
    let (refresh, mut grant) = match field("grant_type") {
        "authorization_code" => {
            let grant = redeem(auth, app, &field, asked.now)?;
            let refresh = super::errors::correlation(random);
            auth.refreshes.insert(refresh.clone(), grant.clone());
            (refresh, grant)
        }
        // The same refresh token keeps coming back.
        "refresh_token" => {
            let refresh = field("refresh_token");
            let grant = auth.refreshes.get(refresh).filter(|grant| grant.app == app).cloned();
            let grant = grant.ok_or_else(|| bad("BAD_REFRESH_TOKEN", "invalid_grant", dead))?;
            (refresh.to_owned(), grant)
        }
        _ => {
            let message = "missing or invalid grant type";
            return Err(bad("BAD_GRANT_TYPE", "unsupported_grant_type", message));
        }
    };
    grant.expires = asked.now.checked_add(LIFE).ok();
    let token = format!("CM{}", BASE64_URL_SAFE_NO_PAD.encode(bytes(random)));
    let body = json!({
        "token_type": "bearer",
        "access_token": token,
        "refresh_token": refresh,
        "expires_in": LIFE.as_secs(),
        "hub_id": portal,
        "scopes": grant.scopes,
    });
    auth.tokens.insert(token, grant);
    Ok(Answer::ok(body))
}

fn redeem<'a>(
    auth: &mut Auth,
    app: u64,
    field: &impl Fn(&str) -> &'a str,
    now: Timestamp,
) -> Result<Grant, Refusal> {
    let code = auth.codes.remove(field("code")).filter(|code| code.app == app);
    let message = "missing or unknown auth code";
    let code = code.ok_or_else(|| bad("BAD_AUTH_CODE", "invalid_grant", message))?;
    if code.expires <= now {
        return Err(bad("EXPIRED_AUTH_CODE", "invalid_grant", "auth code is expired"));
    }
    if code.redirect != field("redirect_uri") {
        let message = "redirect uri does not match the one used to get the code";
        return Err(bad("BAD_REDIRECT_URI", "invalid_grant", message));
    }
    if let Some(challenge) = code.challenge {
        let digest = ring::digest::digest(&ring::digest::SHA256, field("code_verifier").as_bytes());
        if BASE64_URL_SAFE_NO_PAD.encode(digest.as_ref()) != challenge {
            let message = "code verifier does not match the challenge";
            return Err(bad("BAD_AUTH_CODE", "invalid_grant", message));
        }
    }
    Ok(Grant { app, private: false, scopes: code.scopes, expires: None })
}

fn introspect(auth: &Auth, portal: u64, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let form = asked.form();
    let token = ["token", "access_token", "refresh_token"].into_iter().find_map(|at| form.get(at));
    let token = token.map(String::as_str).unwrap_or_default();
    if let Some(grant) = auth.tokens.get(token) {
        let active = grant.expires.is_none_or(|at| at > asked.now);
        if active {
            return Ok(Answer::ok(described(auth, portal, token, grant, asked.now)));
        }
    } else if let Some(grant) = auth.refreshes.get(token) {
        let mut body = described(auth, portal, token, grant, asked.now);
        body["token_use"] = "refresh_token".into();
        return Ok(Answer::ok(body));
    }
    Ok(Answer::ok(json!({ "active": false })))
}

fn described(auth: &Auth, portal: u64, token: &str, grant: &Grant, now: Timestamp) -> Value {
    let client = auth.apps.iter().find(|app| app.id == grant.app).map(|app| &app.client_id);
    let mut body = json!({
        "active": true,
        "token": token,
        "hub_id": portal,
        "user_id": 51_001,
        "client_id": client,
        "app_id": grant.app,
        "user": "maya.keller@example.com",
        "hub_domain": "sandbox.example.com",
        "scopes": grant.scopes,
        "is_private_distribution": grant.private,
        "token_use": "access_token",
        "token_type": "Bearer",
    });
    if let Some(at) = grant.expires {
        body["expires_in"] = at.duration_since(now).as_secs().into();
    }
    body
}

fn bytes(random: &mut fastrand::Rng) -> [u8; 48] {
    let mut bytes = [0; 48];
    random.fill(&mut bytes);
    bytes
}
