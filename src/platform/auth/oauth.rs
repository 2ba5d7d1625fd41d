//! Tokens for a daemon: got by one flow, kept, and renewed once for all who wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use oauth2::{RefreshToken, RequestTokenError, TokenResponse as _};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::door::{App, Door, TokenEndpoint};
use super::grant::Grant;
use super::{JwtKey, TokenStore};
use crate::platform::transport::{Access, Tokens};
use crate::platform::{Error, ErrorKind};

const DOING: &str = "signing in";

/// A token is renewed this long before it ends, or after half its life where that is shorter. It
/// covers the longest time that a call may wait for its turn.
const MARGIN: Duration = Duration::from_secs(300);

/// The wall clock: an assertion says until when it is good.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the JWT bearer flow needs.
#[derive(Clone)]
pub struct JwtBearer {
    /// The app's consumer key.
    pub consumer_key: String,
    /// The integration user's user name.
    pub user: String,
    /// Whom the assertion is for: the login address, `https://login.salesforce.com`,
    /// `https://test.salesforce.com` or the My Domain, without a slash at the end.
    pub audience: String,
    /// The key whose certificate the app holds.
    pub key: Arc<JwtKey>,
    /// Now.
    pub clock: WallClock,
}

/// Tokens from an OAuth flow. HubSpot's end by the clock and are renewed before; Salesforce's have
/// no end that is told, and are renewed when they are refused.
pub struct OAuth {
    source: Arc<Source>,
    state: tokio::sync::Mutex<State>,
    /// Counts finished renewals, so that a caller that waited for one knows that it was made.
    rounds: AtomicU64,
}

struct Source {
    door: Door,
    flow: Flow,
    /// A grant whose rotated refresh token could not be stored yet. It is not used before it is:
    /// after a crash the old refresh token would be all that is left, and that is dead.
    unsaved: Mutex<Option<Grant>>,
}

enum Flow {
    Refresh { app: App, store: Arc<dyn TokenStore> },
    ClientCredentials { app: App },
    Jwt(JwtBearer),
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// A renewal under way. It lives here and not in the caller that began it: a caller may give up
    /// waiting, but an answer with a rotated refresh token must not be dropped unread.
    renewal: Option<Renewal>,
    failure: Option<Error>,
}

type Renewal = Pin<Box<dyn Future<Output = Result<Held, Error>> + Send>>;

struct Held {
    access: Access,
    renew: Option<Instant>,
    end: Option<Instant>,
    refused: bool,
}

impl Held {
    /// Whether the token is good and not about to end.
    fn fresh(&self, now: Instant) -> bool {
        !self.refused && self.renew.is_none_or(|renew| now < renew)
    }

    /// Whether the token is good.
    fn good(&self, now: Instant) -> bool {
        !self.refused && self.end.is_none_or(|end| now < end)
    }
}

impl OAuth {
    /// Tokens from the refresh token in `store`, which is replaced whenever another comes back.
    #[must_use]
    pub fn refresh(endpoint: TokenEndpoint, app: App, store: Arc<dyn TokenStore>) -> Self {
        Self::new(endpoint, Flow::Refresh { app, store })
    }

    /// Tokens from the app's own secret: the app acts as its "run as" user (Salesforce).
    ///
    /// # Errors
    /// Where the address is a shared login host: the flow works on the My Domain only.
    pub fn client_credentials(endpoint: TokenEndpoint, app: App) -> Result<Self, Error> {
        let host = endpoint.url.host_str().unwrap_or_default();
        if matches!(host, "login.salesforce.com" | "test.salesforce.com") {
            return Err(Error {
                side: endpoint.side,
                kind: ErrorKind::Stop,
                doing: DOING.into(),
                code: None,
                message: format!("client credentials do not work on {host}"),
                hint: Some(
                    "set the login address to the org's My Domain, https://….my.salesforce.com"
                        .into(),
                ),
                correlation: None,
            });
        }
        Ok(Self::new(endpoint, Flow::ClientCredentials { app }))
    }

    /// Tokens from signed assertions (Salesforce).
    #[must_use]
    pub fn jwt_bearer(endpoint: TokenEndpoint, jwt: JwtBearer) -> Self {
        Self::new(endpoint, Flow::Jwt(jwt))
    }

    fn new(endpoint: TokenEndpoint, flow: Flow) -> Self {
        let source = Source { door: Door::new(endpoint), flow, unsaved: Mutex::new(None) };
        Self {
            source: Arc::new(source),
            state: tokio::sync::Mutex::default(),
            rounds: AtomicU64::new(0),
        }
    }
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flow = match self.source.flow {
            Flow::Refresh { .. } => "refresh token",
            Flow::ClientCredentials { .. } => "client credentials",
            Flow::Jwt(_) => "JWT bearer",
        };
        write!(f, "OAuth({}, {flow})", self.source.door.side())
    }
}

#[async_trait]
impl Tokens for OAuth {
    async fn token(&self) -> Result<Access, Error> {
        let came = self.rounds.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let state = &mut *state;
        if let Some(held) = state.held.as_ref().filter(|held| held.fresh(Instant::now())) {
            return Ok(held.access.clone());
        }
        // Somebody's renewal failed while this caller stood in line: asking again at once would
        // turn one failure into as many requests as there are callers.
        if self.rounds.load(Ordering::Acquire) != came
            && let Some(error) = &state.failure
        {
            return usable(state.held.as_ref(), error.clone());
        }
        let renewal =
            state.renewal.get_or_insert_with(|| Box::pin(renew(Arc::clone(&self.source))));
        let renewed = renewal.as_mut().await;
        state.renewal = None;
        self.rounds.fetch_add(1, Ordering::Release);
        match renewed {
            Ok(held) => {
                let access = held.access.clone();
                state.held = Some(held);
                state.failure = None;
                Ok(access)
            }
            Err(error) => {
                state.failure = Some(error.clone());
                usable(state.held.as_ref(), error)
            }
        }
    }

    async fn refused(&self, used: &SecretString) {
        let mut state = self.state.lock().await;
        if let Some(held) = &mut state.held
            && held.access.bearer.expose_secret() == used.expose_secret()
        {
            held.refused = true;
        }
    }
}

/// The token at hand where it is still good: a sign-in service that does not answer is no reason to
/// stop before the token ends.
fn usable(held: Option<&Held>, error: Error) -> Result<Access, Error> {
    match held {
        Some(held)
            if held.good(Instant::now()) && matches!(error.kind, ErrorKind::Retry { .. }) =>
        {
            Ok(held.access.clone())
        }
        _ => Err(error),
    }
}

async fn renew(source: Arc<Source>) -> Result<Held, Error> {
    let asked = Instant::now();
    let unsaved = source.unsaved().take();
    let grant = match unsaved {
        Some(grant) => grant,
        None => source.ask().await?,
    };
    let grant = source.save(grant).await?;
    tracing::debug!(side = source.door.side().key(), "signed in");
    let life = grant.expires_in();
    let renew = life.map(|life| asked + life.saturating_sub(MARGIN).max(life / 2));
    Ok(Held {
        access: access(&source.door, &grant)?,
        renew,
        end: life.map(|life| asked + life),
        refused: false,
    })
}

/// What calls need, out of a grant.
pub(super) fn access(door: &Door, grant: &Grant) -> Result<Access, Error> {
    let base = match grant.instance_url.as_deref().map(Url::parse) {
        None => None,
        Some(Ok(url)) if url.has_host() => Some(url),
        Some(_) => {
            let why = "an instance_url that is no address".to_owned();
            return Err(door.error(DOING, RequestTokenError::Other(why)));
        }
    };
    let bearer = SecretString::from(grant.access_token().secret().clone());
    Ok(Access { bearer, base })
}

impl Source {
    fn unsaved(&self) -> std::sync::MutexGuard<'_, Option<Grant>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a token, by the flow.
    async fn ask(&self) -> Result<Grant, Error> {
        let granted = match &self.flow {
            Flow::Refresh { app, store } => {
                let token = match store.load().await {
                    Ok(Some(token)) => RefreshToken::new(token.expose_secret().to_owned()),
                    Ok(None) => return Err(self.stuck(ErrorKind::SignIn, "nobody has signed in")),
                    Err(why) => return Err(self.stuck(ErrorKind::Stop, &why.to_string())),
                };
                let client = self.door.client(app);
                client.exchange_refresh_token(&token).request_async(&self.door).await
            }
            Flow::ClientCredentials { app } => {
                let client = self.door.client(app);
                client.exchange_client_credentials().request_async(&self.door).await
            }
            Flow::Jwt(jwt) => {
                let now = (jwt.clock)();
                let assertion = jwt.key.assertion(&jwt.consumer_key, &jwt.user, &jwt.audience, now);
                let Some(assertion) = assertion else {
                    return Err(self.stuck(ErrorKind::Stop, "the assertion could not be signed"));
                };
                let form = [
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", assertion.expose_secret()),
                ];
                self.door.post(&form).await
            }
        };
        granted.map_err(|error| self.door.error(DOING, error))
    }

    /// Stores a rotated refresh token before anything is done with the access token.
    async fn save(&self, grant: Grant) -> Result<Grant, Error> {
        let (Flow::Refresh { store, .. }, Some(rotated)) = (&self.flow, grant.refresh_token())
        else {
            return Ok(grant);
        };
        let rotated = SecretString::from(rotated.secret().clone());
        match store.save(&rotated).await {
            Ok(()) => Ok(grant),
            Err(why) => {
                *self.unsaved() = Some(grant);
                let message = format!("the new refresh token could not be stored: {why}");
                Err(self.stuck(ErrorKind::Retry { after: None }, &message))
            }
        }
    }

    fn stuck(&self, kind: ErrorKind, message: &str) -> Error {
        let side = self.door.side();
        let hint = match kind {
            ErrorKind::SignIn => format!("run `lockstep login {}`", side.key()),
            _ => "check the disk and the service's rights on its state directory; do not restart \
                  before that, the old token may be dead"
                .to_owned(),
        };
        Error {
            side,
            kind,
            doing: DOING.into(),
            code: None,
            message: message.to_owned(),
            hint: Some(hint),
            correlation: None,
        }
    }
}

#[cfg(test)]
mod tests;
