use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;

use super::*;
use crate::platform::auth::{MemoryTokenStore, TokenStoreError};
use crate::platform::transport::{Http, NetError, RetrySettings};
use crate::record::Side;

/// A token endpoint that answers what it is told to, in order, and remembers what it was asked.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<VecDeque<(u16, &'static str)>>,
    forms: Mutex<Vec<String>>,
    delay: Duration,
}

#[async_trait]
impl Http for Endpoint {
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError> {
        let form = String::from_utf8(request.body().to_vec()).unwrap();
        assert!(request.uri().query().is_none(), "no secret belongs into the address");
        self.forms.lock().unwrap().push(form);
        tokio::time::sleep(self.delay).await;
        let next = self.answers.lock().unwrap().pop_front();
        let (status, body) = next.ok_or_else(|| NetError::not_sent("no route to host"))?;
        let answer = http::Response::builder().status(status);
        Ok(answer
            .header("content-type", "application/json;charset=UTF-8")
            .body(body.into())
            .unwrap())
    }
}

impl Endpoint {
    fn new(answers: &[(u16, &'static str)], delay: u64) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.iter().copied().collect()),
            forms: Mutex::default(),
            delay: Duration::from_secs(delay),
        })
    }

    fn forms(&self) -> Vec<String> {
        self.forms.lock().unwrap().clone()
    }
}

fn endpoint(side: Side, http: &Arc<Endpoint>) -> TokenEndpoint {
    TokenEndpoint {
        side,
        url: "https://login.example.com/token".parse().unwrap(),
        http: Arc::<Endpoint>::clone(http),
        retry: RetrySettings::default(),
        seed: 1,
    }
}

fn app() -> App {
    App { id: "app".into(), secret: Some(SecretString::from("hush")) }
}

fn store(token: &str) -> Arc<MemoryTokenStore> {
    Arc::new(MemoryTokenStore::new(Some(SecretString::from(token))))
}

async fn stored(store: &dyn TokenStore) -> String {
    store.load().await.unwrap().unwrap().expose_secret().to_owned()
}

async fn bearer(tokens: &OAuth) -> Result<String, Error> {
    tokens.token().await.map(|access| access.bearer.expose_secret().to_owned())
}

const HUBSPOT: &str = r#"{"token_type":"bearer","access_token":"A1","refresh_token":"R2","expires_in":1800,"hub_id":1}"#;
const HUBSPOT_AGAIN: &str = r#"{"access_token":"A2","refresh_token":"R2","expires_in":1800}"#;

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends_and_what_comes_back_is_stored() {
    let http = Endpoint::new(&[(200, HUBSPOT), (200, HUBSPOT_AGAIN)], 0);
    let store = store("R1");
    let tokens = OAuth::refresh(
        endpoint(Side::HubSpot, &http),
        app(),
        Arc::<MemoryTokenStore>::clone(&store),
    );
    assert_eq!(bearer(&tokens).await.unwrap(), "A1");
    assert_eq!(stored(&*store).await, "R2");
    tokio::time::advance(Duration::from_secs(1499)).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "A1");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "A2");
    insta::assert_snapshot!(http.forms().join("\n"), @"
    grant_type=refresh_token&refresh_token=R1&client_id=app&client_secret=hush
    grant_type=refresh_token&refresh_token=R2&client_id=app&client_secret=hush
    ");
}

#[tokio::test(start_paused = true)]
async fn many_callers_make_one_request_also_when_it_fails() {
    let denied = r#"{"status":"BAD_REFRESH_TOKEN","message":"m"}"#;
    for (answers, good) in [(vec![(200, HUBSPOT)], true), (vec![(400, denied)], false)] {
        let http = Endpoint::new(&answers, 2);
        let tokens = Arc::new(OAuth::refresh(endpoint(Side::HubSpot, &http), app(), store("R1")));
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let tokens = Arc::clone(&tokens);
                tokio::spawn(async move { bearer(&tokens).await })
            })
            .collect();
        for caller in callers {
            match caller.await.unwrap() {
                Ok(token) => assert!(good && token == "A1"),
                Err(error) => assert!(!good && error.kind == ErrorKind::SignIn, "{error}"),
            }
        }
        assert_eq!(http.forms().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_lose_the_rotated_token() {
    let http = Endpoint::new(&[(200, HUBSPOT)], 10);
    let store = store("R1");
    let tokens = OAuth::refresh(
        endpoint(Side::HubSpot, &http),
        app(),
        Arc::<MemoryTokenStore>::clone(&store),
    );
    let impatient = tokio::time::timeout(Duration::from_secs(3), tokens.token()).await;
    assert!(impatient.is_err());
    assert_eq!(bearer(&tokens).await.unwrap(), "A1");
    assert_eq!((stored(&*store).await.as_str(), http.forms().len()), ("R2", 1));
}

/// A store whose disk is full at first.
struct Full(MemoryTokenStore, AtomicUsize);

#[async_trait]
impl TokenStore for Full {
    async fn load(&self) -> Result<Option<SecretString>, TokenStoreError> {
        self.0.load().await
    }
    async fn save(&self, token: &SecretString) -> Result<(), TokenStoreError> {
        if self.1.load(Ordering::Relaxed) > 0 {
            self.1.fetch_sub(1, Ordering::Relaxed);
            return Err(TokenStoreError("no space left".into()));
        }
        self.0.save(token).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_used_before_the_rotated_token_is_stored() {
    let http = Endpoint::new(&[(200, HUBSPOT)], 0);
    let inner = MemoryTokenStore::new(Some(SecretString::from("R1")));
    let store = Arc::new(Full(inner, AtomicUsize::new(2)));
    let tokens = OAuth::refresh(endpoint(Side::HubSpot, &http), app(), Arc::<Full>::clone(&store));
    for _ in 0..2 {
        let error = bearer(&tokens).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Retry { after: None });
        assert_eq!(stored(&*store).await, "R1");
    }
    // The grant was kept: no second request is made, which the old token could not pay for.
    assert_eq!(bearer(&tokens).await.unwrap(), "A1");
    assert_eq!((stored(&*store).await.as_str(), http.forms().len()), ("R2", 1));
}

#[tokio::test(start_paused = true)]
async fn an_unwell_sign_in_service_is_asked_again_and_the_old_token_serves_meanwhile() {
    let http = Endpoint::new(&[(503, "<html>"), (200, HUBSPOT)], 0);
    let tokens = OAuth::refresh(endpoint(Side::HubSpot, &http), app(), store("R1"));
    assert_eq!(bearer(&tokens).await.unwrap(), "A1");
    tokio::time::advance(Duration::from_secs(1600)).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "A1", "nothing answers, the token is still good");
    tokio::time::advance(Duration::from_secs(300)).await;
    let error = bearer(&tokens).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Retry { after: None });
    insta::assert_snapshot!(error, @"HubSpot: signing in: the sign-in service did not answer: no route to host");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let first = r#"{"access_token":"S1","instance_url":"https://acme.my.salesforce.com","id":"https://login.salesforce.com/id/00D/005"}"#;
    let second = r#"{"access_token":"S2","instance_url":"https://acme.my.salesforce.com"}"#;
    let http = Endpoint::new(&[(200, first), (200, second)], 0);
    let tokens = OAuth::client_credentials(endpoint(Side::Salesforce, &http), app()).unwrap();
    let one = tokens.token().await.unwrap();
    assert_eq!(one.base.as_ref().map(Url::as_str), Some("https://acme.my.salesforce.com/"));
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "S1", "no end was told");
    tokens.refused(&one.bearer).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "S2");
    tokens.refused(&one.bearer).await;
    assert_eq!(bearer(&tokens).await.unwrap(), "S2", "late word of the old token changes nothing");
    assert_eq!(http.forms()[0], "grant_type=client_credentials&client_id=app&client_secret=hush");
}

#[tokio::test(start_paused = true)]
async fn an_assertion_is_posted_with_one_grant_type() {
    let http =
        Endpoint::new(&[(200, r#"{"access_token":"J1","instance_url":"https://x.example"}"#)], 0);
    let pem = SecretString::from(crate::platform::auth::jwt::tests::PKCS8);
    let jwt = JwtBearer {
        consumer_key: "consumer".into(),
        user: "ann@example.com".into(),
        audience: "https://login.salesforce.com".into(),
        key: Arc::new(JwtKey::from_pem(&pem).unwrap()),
        clock: Arc::new(|| Timestamp::UNIX_EPOCH),
    };
    let tokens = OAuth::jwt_bearer(endpoint(Side::Salesforce, &http), jwt);
    assert_eq!(bearer(&tokens).await.unwrap(), "J1");
    let form = &http.forms()[0];
    assert_eq!(form.matches("grant_type=").count(), 1);
    let start = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer\
                 &assertion=eyJhbGciOiJSUzI1NiJ9.";
    assert!(form.starts_with(start), "{form}");
    assert_eq!(format!("{tokens:?}"), "OAuth(Salesforce, JWT bearer)");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_told_with_what_to_do() {
    let refusal =
        r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#;
    let http = Endpoint::new(&[(400, refusal)], 0);
    let tokens = OAuth::client_credentials(endpoint(Side::Salesforce, &http), app()).unwrap();
    insta::assert_snapshot!(bearer(&tokens).await.unwrap_err(), @r#"Salesforce: signing in: invalid_grant: user hasn't approved this consumer (set the app's policy to "Admin approved users are pre-authorized" and give the integration user's profile or permission set access to the app)"#);

    let shared = TokenEndpoint {
        url: "https://login.salesforce.com/services/oauth2/token".parse().unwrap(),
        ..endpoint(Side::Salesforce, &http)
    };
    let error = OAuth::client_credentials(shared, app()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop);

    let nobody = MemoryTokenStore::default();
    let nobody = OAuth::refresh(endpoint(Side::HubSpot, &http), app(), Arc::new(nobody));
    insta::assert_snapshot!(bearer(&nobody).await.unwrap_err(), @"HubSpot: signing in: nobody has signed in (run `lockstep login hubspot`)");
}
