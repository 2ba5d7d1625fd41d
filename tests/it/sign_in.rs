//! Signing in, through the real flows, against the sandbox.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep::platform::auth::login::{Callback, Login, LoginSettings};
use lockstep::platform::auth::{App, MemoryTokenStore, OAuth, TokenEndpoint, TokenStore};
use lockstep::platform::transport::{Http, InProcess, NetError, RetrySettings, Tokens};
use lockstep::platform::{ErrorKind, auth};
use lockstep::record::Side;
use lockstep::sandbox::{Sandbox, SandboxClock, hubspot, salesforce};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub fn sandbox() -> Sandbox {
    let start: Timestamp = "2026-11-22T08:00:00Z".parse().unwrap();
    Sandbox::new(11, SandboxClock::starting_at(start))
}

/// Plays the person's browser: opens the page, is sent back, and returns the query of the address.
async fn browser(http: &dyn Http, page: &Url) -> String {
    let request = http::Request::get(page.as_str()).body(Bytes::new()).unwrap();
    let answer = http.call(request).await.unwrap();
    assert!(answer.status().is_redirection(), "{answer:?}");
    let back: Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert_eq!(back.host_str(), Some("127.0.0.1"));
    back.query().unwrap().to_owned()
}

struct Flow {
    side: Side,
    http: Arc<dyn Http>,
    authorize: &'static str,
    token: &'static str,
    app: App,
}

impl Flow {
    fn endpoint(&self) -> TokenEndpoint {
        TokenEndpoint {
            side: self.side,
            url: self.token.parse().unwrap(),
            http: Arc::clone(&self.http),
            retry: RetrySettings::default(),
            seed: 5,
        }
    }

    async fn log_in(&self, store: &Arc<dyn TokenStore>) {
        let login = Login::begin(LoginSettings {
            authorize: self.authorize.parse().unwrap(),
            endpoint: self.endpoint(),
            app: self.app.clone(),
            redirect: "http://127.0.0.1:7070/callback".parse().unwrap(),
            scopes: match self.side {
                Side::HubSpot => vec!["oauth".into(), "crm.objects.contacts.read".into()],
                Side::Salesforce => vec!["api".into(), "refresh_token".into()],
            },
        });
        let query = browser(&*self.http, login.page()).await;
        let Callback::Agreed { code, state } = Callback::from_query(&query) else {
            panic!("{query}");
        };
        login.finish(&code, &state, store).await.unwrap();
        assert!(store.load().await.unwrap().is_some());
    }

    fn tokens(&self, store: &Arc<dyn TokenStore>) -> OAuth {
        OAuth::refresh(self.endpoint(), self.app.clone(), Arc::clone(store))
    }

    /// Calls `url` with a token and returns the status.
    async fn call(&self, tokens: &OAuth, url: &str) -> u16 {
        let access = tokens.token().await.unwrap();
        let request = http::Request::get(url)
            .header("authorization", format!("Bearer {}", access.bearer.expose_secret()))
            .body(Bytes::new())
            .unwrap();
        self.http.call(request).await.unwrap().status().as_u16()
    }
}

fn hubspot_flow(sandbox: &Sandbox) -> Flow {
    Flow {
        side: Side::HubSpot,
        http: Arc::new(InProcess::new(sandbox.hubspot())),
        authorize: "https://app.hubspot.com/oauth/authorize",
        token: "https://api.hubapi.com/oauth/2026-03/token",
        app: App {
            id: hubspot::oauth::CLIENT_ID.into(),
            secret: Some(SecretString::from(hubspot::oauth::CLIENT_SECRET)),
        },
    }
}

#[test]
fn the_paths_are_those_of_the_constants() {
    let flow = "https://api.hubapi.com/oauth/2026-03/token";
    assert!(flow.ends_with(auth::HUBSPOT_TOKEN_PATH));
    assert_eq!(auth::HUBSPOT_AUTHORIZE, "https://app.hubspot.com/oauth/authorize");
}

#[tokio::test(start_paused = true)]
async fn a_hubspot_login_lives_until_the_app_is_removed() {
    let sandbox = sandbox();
    let flow = hubspot_flow(&sandbox);
    let store: Arc<dyn TokenStore> = Arc::new(MemoryTokenStore::default());
    flow.log_in(&store).await;
    let tokens = flow.tokens(&store);
    let contacts = "https://api.hubapi.com/crm/v3/objects/contacts?limit=1";
    // Three hours: the token is renewed before each of its ends, and no call is ever refused.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..36 {
        seen.insert(tokens.token().await.unwrap().bearer.expose_secret().to_owned());
        assert_eq!(flow.call(&tokens, contacts).await, 200);
        tokio::time::advance(Duration::from_secs(300)).await;
    }
    assert!((7..=9).contains(&seen.len()), "{}", seen.len());
    sandbox.world().hubspot.auth.uninstall(hubspot::oauth::OAUTH_APP);
    tokio::time::advance(Duration::from_secs(1800)).await;
    let error = tokens.token().await.unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.code.as_deref()),
        (ErrorKind::SignIn, Some("BAD_REFRESH_TOKEN"))
    );
    assert!(error.hint.unwrap().contains("lockstep login hubspot"));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_no_reason_to_log_in_again() {
    let sandbox = sandbox();
    let mut flow = hubspot_flow(&sandbox);
    let store: Arc<dyn TokenStore> = Arc::new(MemoryTokenStore::default());
    flow.log_in(&store).await;
    flow.app.secret = Some(SecretString::from("wrong"));
    let error = flow.tokens(&store).token().await.unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.code.as_deref()),
        (ErrorKind::Stop, Some("BAD_CLIENT_SECRET"))
    );
}

/// Posts a form to a token endpoint, with a client's credentials in the header where some are given, and
/// returns the status and what the answer names as wrong.
async fn ask_for_a_token(
    http: &dyn Http,
    endpoint: &str,
    basic: Option<(&str, &str)>,
    form: &[(&str, &str)],
) -> (u16, String) {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = http::Request::post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(body))
        .unwrap();
    if let Some((id, secret)) = basic {
        let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        request.headers_mut().insert("authorization", value.parse().unwrap());
    }
    let answer = http.call(request).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let code = told["error"].as_str().unwrap_or_default();
    (answer.status().as_u16(), code.to_owned())
}

/// Salesforce takes an app's credentials in the form or by HTTP Basic; HubSpot documents the form alone.
#[tokio::test(start_paused = true)]
async fn credentials_in_the_header_are_taken_where_the_platform_takes_them() {
    let sandbox = sandbox();
    let (id, secret) = (salesforce::oauth::CLIENT_ID, salesforce::oauth::CLIENT_SECRET);
    let http = InProcess::new(sandbox.salesforce());
    let token = "https://acme.my.salesforce.com/services/oauth2/token";
    let grant = ("grant_type", "client_credentials");
    let in_form = [grant, ("client_id", id), ("client_secret", secret)];
    let both_wrong_in_form = [grant, ("client_id", id), ("client_secret", "wrong")];
    for (basic, form, status, code) in [
        (None, &in_form[..], 200, ""),
        (Some((id, secret)), &[grant][..], 200, ""),
        // The header goes before the form.
        (Some((id, secret)), &both_wrong_in_form[..], 200, ""),
        (Some((id, "wrong")), &in_form[..], 400, "invalid_client"),
        (Some(("nobody", secret)), &[grant][..], 400, "invalid_client_id"),
        (None, &[grant][..], 400, "invalid_client_id"),
    ] {
        let found = ask_for_a_token(&http, token, basic, form).await;
        assert_eq!(found, (status, code.to_owned()), "{basic:?} {form:?}");
    }

    let (id, secret) = (hubspot::oauth::CLIENT_ID, hubspot::oauth::CLIENT_SECRET);
    let http = InProcess::new(sandbox.hubspot());
    let token = "https://api.hubapi.com/oauth/2026-03/token";
    let form = [("grant_type", "refresh_token"), ("refresh_token", "any")];
    let found = ask_for_a_token(&http, token, Some((id, secret)), &form).await;
    assert_eq!(found, (400, "invalid_client".to_owned()), "the header is no credential there");
    let form = [&form[..], &[("client_id", id), ("client_secret", secret)]].concat();
    let found = ask_for_a_token(&http, token, None, &form).await;
    assert_eq!(found, (400, "invalid_grant".to_owned()), "only the token is wrong");
}

/// Passes calls on and keeps what was asked.
struct Watched {
    inner: Arc<dyn Http>,
    asked: Mutex<Vec<http::Request<Bytes>>>,
}

#[async_trait::async_trait]
impl Http for Watched {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        self.asked.lock().unwrap().push(request.clone());
        self.inner.call(request).await
    }
}

/// The form is what both platforms take; a secret in a header or an address would stand in the logs of
/// proxies.
#[tokio::test(start_paused = true)]
async fn our_own_credentials_go_in_the_form_on_both_sides() {
    let sandbox = sandbox();
    let salesforce = Flow {
        side: Side::Salesforce,
        http: Arc::new(InProcess::new(sandbox.salesforce())),
        authorize: "https://acme.my.salesforce.com/services/oauth2/authorize",
        token: "https://acme.my.salesforce.com/services/oauth2/token",
        app: App {
            id: salesforce::oauth::CLIENT_ID.into(),
            secret: Some(SecretString::from(salesforce::oauth::CLIENT_SECRET)),
        },
    };
    for mut flow in [hubspot_flow(&sandbox), salesforce] {
        let watched = Arc::new(Watched { inner: Arc::clone(&flow.http), asked: Mutex::default() });
        flow.http = Arc::clone(&watched) as Arc<dyn Http>;
        let store: Arc<dyn TokenStore> = Arc::new(MemoryTokenStore::default());
        flow.log_in(&store).await;
        flow.tokens(&store).token().await.unwrap();
        if flow.side == Side::Salesforce {
            let endpoint = flow.endpoint();
            let tokens = OAuth::client_credentials(endpoint, flow.app.clone()).unwrap();
            tokens.token().await.unwrap();
        }
        let secret = flow.app.secret.as_ref().unwrap().expose_secret();
        let asked = watched.asked.lock().unwrap();
        let to_token: Vec<_> =
            asked.iter().filter(|request| request.uri().path().ends_with("/token")).collect();
        let wanted = if flow.side == Side::Salesforce { 3 } else { 2 };
        assert_eq!(to_token.len(), wanted, "{}", flow.side);
        for request in to_token {
            assert!(!request.headers().contains_key("authorization"), "{}", flow.side);
            assert!(!request.uri().to_string().contains(secret), "{}", flow.side);
            let form: Vec<(String, String)> =
                url::form_urlencoded::parse(request.body()).into_owned().collect();
            let sent = ("client_secret".to_owned(), secret.to_owned());
            assert!(form.contains(&sent), "{} sends no secret in its form", flow.side);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotated_salesforce_token_is_kept_and_the_old_one_is_dead() {
    let sandbox = sandbox();
    let client = salesforce::oauth::CLIENT_ID;
    {
        let mut world = sandbox.world();
        world.salesforce.auth.apps.get_mut(client).unwrap().rotate_refresh_tokens = true;
    }
    let flow = Flow {
        side: Side::Salesforce,
        http: Arc::new(InProcess::new(sandbox.salesforce())),
        authorize: "https://acme.my.salesforce.com/services/oauth2/authorize",
        token: "https://acme.my.salesforce.com/services/oauth2/token",
        app: App {
            id: client.into(),
            secret: Some(SecretString::from(salesforce::oauth::CLIENT_SECRET)),
        },
    };
    let store: Arc<dyn TokenStore> = Arc::new(MemoryTokenStore::default());
    flow.log_in(&store).await;
    let first = store.load().await.unwrap().unwrap();
    let tokens = flow.tokens(&store);
    let limits = "https://acme.my.salesforce.com/services/data/v66.0/limits";
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        assert_eq!(flow.call(&tokens, limits).await, 200);
        seen.insert(store.load().await.unwrap().unwrap().expose_secret().to_owned());
        let access = tokens.token().await.unwrap();
        assert_eq!(access.base.unwrap().as_str(), "https://acme.my.salesforce.com/");
        tokens.refused(&access.bearer).await;
    }
    assert_eq!(seen.len(), 4, "each renewal stores another refresh token");
    let copy: Arc<dyn TokenStore> = Arc::new(MemoryTokenStore::new(Some(first)));
    let error = flow.tokens(&copy).token().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn, "{error}");
}
