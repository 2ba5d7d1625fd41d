//! One token endpoint: the `oauth2` package on top of our HTTP seam, and what its refusals mean.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use oauth2::basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RequestTokenError, StandardRevocableToken, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::grant::{Denied, Grant};
use crate::platform::transport::{Http, Jitter, RetrySettings, redact};
use crate::platform::{Error, ErrorKind};
use crate::record::Side;

/// The app as which Lockstep signs in.
#[derive(Debug, Clone)]
pub struct App {
    /// HubSpot's client id, Salesforce's consumer key.
    pub id: String,
    /// Its secret; JWT bearer and a public Salesforce app have none.
    pub secret: Option<SecretString>,
}

/// Where tokens are asked for, and over which network.
#[derive(Clone)]
pub struct TokenEndpoint {
    /// Whose it is.
    pub side: Side,
    /// Its address: [`super::HUBSPOT_TOKEN_PATH`] or [`super::SALESFORCE_TOKEN_PATH`] on a host.
    pub url: Url,
    /// The network.
    pub http: Arc<dyn Http>,
    /// How long and how often a request is tried again.
    pub retry: RetrySettings,
    /// Seeds the waits between tries.
    pub seed: u64,
}

impl std::fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenEndpoint({}, {})", self.side, self.url)
    }
}

/// The package's client with our answers' types.
pub(super) type OAuthClient<HasAuthUrl = EndpointNotSet> = oauth2::Client<
    Denied,
    Grant,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    HasAuthUrl,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

pub(super) type DoorError = RequestTokenError<NoAnswer, Denied>;

/// The endpoint gave no answer that says anything about the credentials.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(String);

/// A token endpoint that is ready to be asked.
#[derive(Debug)]
pub(super) struct Door {
    endpoint: TokenEndpoint,
    random: Mutex<fastrand::Rng>,
}

impl Door {
    pub(super) fn new(endpoint: TokenEndpoint) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(endpoint.seed));
        Self { endpoint, random }
    }

    pub(super) const fn side(&self) -> Side {
        self.endpoint.side
    }

    /// The package's client of `app` at this endpoint. The secret goes into the form and never into
    /// the address or a header.
    pub(super) fn client(&self, app: &App) -> OAuthClient {
        let mut client = oauth2::Client::new(ClientId::new(app.id.clone()))
            .set_token_uri(TokenUrl::from_url(self.endpoint.url.clone()))
            .set_auth_type(AuthType::RequestBody);
        if let Some(secret) = &app.secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        client
    }

    /// Posts a form that the package has no flow for.
    pub(super) async fn post(&self, form: &[(&str, &str)]) -> Result<Grant, DoorError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = http::Request::post(self.endpoint.url.as_str())
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into_bytes())
            .map_err(|why| RequestTokenError::Other(why.to_string()))?;
        let answer = self.send(request).await?;
        if answer.status().is_success() {
            return serde_json::from_slice(answer.body()).map_err(|_| {
                RequestTokenError::Request(NoAnswer("the answer holds no access token".into()))
            });
        }
        let denied: Denied = serde_json::from_slice(answer.body())
            .map_err(|_| RequestTokenError::Other(unknown_refusal(answer.status())))?;
        Err(RequestTokenError::ServerResponse(denied))
    }

    /// Sends `request` until there is an answer about the credentials, or no more time.
    ///
    /// Every request of this room may be repeated: at worst a code or a rotated token turns out to
    /// be used up, and a person signs in again, as would be needed without the repetition.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let request = request.map(Bytes::from);
        let policy = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            Jitter::new(self.endpoint.retry, random.fork())
        };
        backoff::future::retry(policy, || async {
            match self.endpoint.http.call(request.clone()).await {
                Err(error) => Err(backoff::Error::transient(NoAnswer(error.to_string()))),
                Ok(answer) if busy(answer.status().as_u16()) => {
                    let status = answer.status().as_u16();
                    Err(backoff::Error::transient(NoAnswer(format!("it answered {status}"))))
                }
                Ok(answer) => Ok(answer.map(|body| body.to_vec())),
            }
        })
        .await
    }

    /// What a failed request means.
    pub(super) fn error(&self, doing: &str, error: DoorError) -> Error {
        let told = |kind, code: Option<&str>, message: String, hint: Option<&str>| Error {
            side: self.side(),
            kind,
            doing: doing.to_owned(),
            code: code.map(str::to_owned),
            message,
            hint: hint.map(str::to_owned),
            correlation: None,
        };
        let retry = ErrorKind::Retry { after: None };
        match error {
            RequestTokenError::ServerResponse(denied) => {
                let (kind, hint) = meaning(self.side(), denied.code(), denied.words());
                let message = redact(&denied.to_string());
                told(kind, Some(denied.code()), message, Some(hint))
            }
            RequestTokenError::Request(NoAnswer(why)) => {
                told(retry, None, format!("the sign-in service did not answer: {why}"), None)
            }
            // The package hands the body over; it may hold a token and is not looked at.
            RequestTokenError::Parse(..) => told(
                retry,
                None,
                "the sign-in service answered something that is no token".into(),
                None,
            ),
            RequestTokenError::Other(why) => told(
                ErrorKind::Stop,
                None,
                format!("the sign-in service answered out of turn: {}", redact(&why)),
                Some("check the login address"),
            ),
        }
    }
}

impl<'c> AsyncHttpClient<'c> for Door {
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, NoAnswer>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Statuses that say nothing about the credentials.
const fn busy(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 420 | 429)
}

fn unknown_refusal(status: http::StatusCode) -> String {
    format!("status {} without a reason", status.as_u16())
}

/// One refusal of a token endpoint: its code, a part of its words where the code alone is too coarse,
/// what the caller does next, and what a person does. HubSpot's codes are upper case, those of the
/// standard and of Salesforce lower case, so that one table serves both.
struct Known {
    code: &'static str,
    says: &'static str,
    kind: ErrorKind,
    hint: &'static str,
}

const fn known(
    code: &'static str,
    says: &'static str,
    kind: ErrorKind,
    hint: &'static str,
) -> Known {
    Known { code, says, kind, hint }
}

const BUSY: ErrorKind = ErrorKind::Retry { after: None };

const KNOWN: &[Known] = &[
    known(
        "BAD_REFRESH_TOKEN",
        "",
        ErrorKind::SignIn,
        "the app was removed or the token revoked: run `lockstep login hubspot`",
    ),
    known(
        "BAD_HUB",
        "",
        ErrorKind::SignIn,
        "the app is no longer installed in this HubSpot account: run `lockstep login hubspot`",
    ),
    known("BAD_AUTH_CODE", "", ErrorKind::SignIn, CODE_USED),
    known("EXPIRED_AUTH_CODE", "", ErrorKind::SignIn, CODE_USED),
    known("BAD_CLIENT_ID", "", ErrorKind::Stop, CLIENT_ID),
    known("invalid_client_id", "", ErrorKind::Stop, CLIENT_ID),
    known("BAD_CLIENT_SECRET", "", ErrorKind::Stop, CLIENT_SECRET),
    known("invalid_client", "", ErrorKind::Stop, CLIENT_SECRET),
    known("BAD_REDIRECT_URI", "", ErrorKind::Stop, REDIRECT),
    known("redirect_uri_mismatch", "", ErrorKind::Stop, REDIRECT),
    known("rate_limit_exceeded", "", BUSY, "there were too many logins: wait some minutes"),
    known(
        "inactive_user",
        "",
        ErrorKind::SignIn,
        "the integration user is inactive: activate it or name another",
    ),
    known("inactive_org", "", ErrorKind::Stop, "the Salesforce org is inactive"),
    known(
        "invalid_app_access",
        "",
        ErrorKind::Stop,
        "give the integration user's profile or permission set access to the app",
    ),
    known(
        "unsupported_grant_type",
        "",
        ErrorKind::Stop,
        "switch this flow on in the app's OAuth settings",
    ),
    known(
        "invalid_grant",
        "audience",
        ErrorKind::Stop,
        "set the login address to the org's own: https://login.salesforce.com, \
         https://test.salesforce.com for a sandbox, or the My Domain",
    ),
    known(
        "invalid_grant",
        "approved",
        ErrorKind::Stop,
        "set the app's policy to \"Admin approved users are pre-authorized\" and give the \
         integration user's profile or permission set access to the app",
    ),
    known(
        "invalid_grant",
        "not supported on this domain",
        ErrorKind::Stop,
        "client credentials work on the org's My Domain only: set it as the login address",
    ),
    known(
        "invalid_grant",
        "locked",
        ErrorKind::SignIn,
        "the integration user is locked: unlock it in Salesforce",
    ),
    known(
        "invalid_grant",
        "assertion",
        ErrorKind::Stop,
        "check the app's certificate, the user name, and this machine's clock",
    ),
];

const CODE_USED: &str = "the code was used or is too old: start the login again";
const CLIENT_ID: &str = "correct the app's client id (consumer key)";
const CLIENT_SECRET: &str = "correct the app's client secret";
const REDIRECT: &str = "add the redirect address to the app's settings, letter by letter";

/// What a refusal means and what a person does about it. One that is not known needs a person too:
/// credentials do not mend themselves.
fn meaning(side: Side, code: &str, words: &str) -> (ErrorKind, &'static str) {
    let words = words.to_ascii_lowercase();
    let fits = |known: &&Known| known.code == code && words.contains(known.says);
    match KNOWN.iter().find(fits) {
        Some(known) => (known.kind.clone(), known.hint),
        None if side == Side::HubSpot => (ErrorKind::SignIn, "run `lockstep login hubspot`"),
        None => (
            ErrorKind::SignIn,
            "run `lockstep login salesforce`, or check the app and the integration user",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_does_what() {
        use ErrorKind::{Retry, SignIn, Stop};
        let table = [
            (
                Side::HubSpot,
                r#"{"error":"invalid_grant","error_description":"refresh token is invalid","status":"BAD_REFRESH_TOKEN","message":"m"}"#,
                SignIn,
            ),
            (
                Side::HubSpot,
                r#"{"status":"BAD_HUB","message":"missing or unknown hub id"}"#,
                SignIn,
            ),
            (Side::HubSpot, r#"{"status":"BAD_CLIENT_SECRET","message":"m"}"#, Stop),
            (
                Side::Salesforce,
                r#"{"error":"invalid_grant","error_description":"expired access/refresh token"}"#,
                SignIn,
            ),
            (
                Side::Salesforce,
                r#"{"error":"invalid_grant","error_description":"Audience validation failed"}"#,
                Stop,
            ),
            (
                Side::Salesforce,
                r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
                Stop,
            ),
            (Side::Salesforce, r#"{"error":"rate_limit_exceeded"}"#, Retry { after: None }),
            (Side::Salesforce, r#"{"error":"of_next_year"}"#, SignIn),
        ];
        for (side, body, kind) in table {
            let denied: Denied = serde_json::from_str(body).unwrap();
            assert_eq!(meaning(side, denied.code(), denied.words()).0, kind, "{body}");
        }
    }
}
