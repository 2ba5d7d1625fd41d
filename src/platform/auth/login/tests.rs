use std::sync::Mutex;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use secrecy::ExposeSecret as _;

use super::*;
use crate::platform::auth::MemoryTokenStore;
use crate::platform::transport::{Http, NetError, RetrySettings};
use crate::record::Side;

struct Endpoint(&'static str, Mutex<Vec<String>>);

#[async_trait]
impl Http for Endpoint {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        self.1.lock().unwrap().push(String::from_utf8(request.body().to_vec()).unwrap());
        Ok(http::Response::new(Bytes::from_static(self.0.as_bytes())))
    }
}

fn begin(body: &'static str) -> (Login, Arc<Endpoint>, Arc<dyn TokenStore>) {
    let http = Arc::new(Endpoint(body, Mutex::default()));
    let login = Login::begin(LoginSettings {
        authorize: crate::platform::auth::HUBSPOT_AUTHORIZE.parse().unwrap(),
        endpoint: TokenEndpoint {
            side: Side::HubSpot,
            url: "https://api.example.com/oauth/2026-03/token".parse().unwrap(),
            http: Arc::<Endpoint>::clone(&http),
            retry: RetrySettings::default(),
            seed: 1,
        },
        app: App { id: "app".into(), secret: Some(SecretString::from("hush")) },
        redirect: "http://localhost:7070/callback".parse().unwrap(),
        scopes: vec!["oauth".into(), "crm.objects.contacts.read".into()],
    });
    (login, http, Arc::new(MemoryTokenStore::default()))
}

fn part(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
}

const GRANTED: &str = r#"{"access_token":"A","refresh_token":"R","expires_in":1800}"#;

#[tokio::test(start_paused = true)]
async fn a_login_ends_with_a_stored_refresh_token() {
    let (login, http, store) = begin(GRANTED);
    let page = login.page().clone();
    assert_eq!(part(&page, "response_type"), "code");
    assert_eq!(part(&page, "scope"), "oauth crm.objects.contacts.read");
    assert_eq!(part(&page, "redirect_uri"), "http://localhost:7070/callback");
    assert_eq!(part(&page, "code_challenge_method"), "S256");
    let state = part(&page, "state");
    let access = login.finish(&SecretString::from("c0de"), &state, &store).await.unwrap();
    assert_eq!(access.bearer.expose_secret(), "A");
    assert_eq!(store.load().await.unwrap().unwrap().expose_secret(), "R");
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(http.1.lock().unwrap()[0].as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "c0de");
    assert_eq!(form["redirect_uri"], "http://localhost:7070/callback");
    let digest = ring::digest::digest(&ring::digest::SHA256, form["code_verifier"].as_bytes());
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
    assert_eq!(part(&page, "code_challenge"), challenge);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_another_login_is_not_exchanged() {
    let (login, http, store) = begin(GRANTED);
    let error = login.finish(&SecretString::from("c0de"), "other", &store).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SignIn);
    assert!(http.1.lock().unwrap().is_empty());
    assert!(store.load().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_login_without_a_refresh_token_is_none() {
    let (login, _, store) = begin(r#"{"access_token":"A"}"#);
    let state = part(login.page(), "state");
    let error = login.finish(&SecretString::from("c0de"), &state, &store).await.unwrap_err();
    assert!(error.hint.unwrap().contains("refresh_token"));
}

#[test]
fn the_address_says_what_the_person_did() {
    let read = |query: &str| match Callback::from_query(query) {
        Callback::Agreed { code, state } => format!("{}/{state}", code.expose_secret()),
        Callback::Refused { error, description } => format!("{error}: {description}"),
        Callback::Foreign => "foreign".into(),
    };
    assert_eq!(read("code=a%2Bb&state=s"), "a+b/s");
    assert_eq!(
        read("state=s&error=access_denied&error_description=end-user+denied"),
        "access_denied: end-user denied"
    );
    assert_eq!(read("code=a"), "foreign");
    assert_eq!(read(""), "foreign");
}
