//! The login of a person in a browser: authorization code with PKCE.
//!
//! The listener that the browser comes back to belongs to the caller; it hands over what stood in
//! the address.

use std::sync::Arc;

use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _,
};
use secrecy::SecretString;
use url::Url;

use super::TokenStore;
use super::door::{App, Door, OAuthClient, TokenEndpoint};
use super::oauth::access;
use crate::platform::transport::{Access, redact};
use crate::platform::{Error, ErrorKind};

const DOING: &str = "logging in";

/// What a login needs to know.
#[derive(Debug, Clone)]
pub struct LoginSettings {
    /// The page on which the person agrees: [`super::HUBSPOT_AUTHORIZE`], or
    /// [`super::SALESFORCE_AUTHORIZE_PATH`] on a login host.
    pub authorize: Url,
    /// Where the code is exchanged.
    pub endpoint: TokenEndpoint,
    /// The app.
    pub app: App,
    /// The address that the browser is sent back to, as it is registered with the app.
    pub redirect: Url,
    /// What is asked for. Salesforce gives a refresh token only for `refresh_token`.
    pub scopes: Vec<String>,
}

/// A login that waits for the person. It is good for one answer.
pub struct Login {
    door: Door,
    client: OAuthClient<oauth2::EndpointSet>,
    page: Url,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.door.side())
    }
}

/// What stood in the address that the browser came back to.
#[derive(Debug)]
pub enum Callback {
    /// The person agreed.
    Agreed {
        /// Exchanged once for tokens.
        code: SecretString,
        /// Proves that the answer belongs to this login.
        state: String,
    },
    /// The person or the platform said no.
    Refused {
        /// `access_denied` and the like.
        error: String,
        /// In words.
        description: String,
    },
    /// Neither: someone else's request.
    Foreign,
}

impl Callback {
    /// Reads the query part of the address, without its question mark.
    #[must_use]
    pub fn from_query(query: &str) -> Self {
        let mut found = [None, None, None, None];
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match &*key {
                "code" => 0,
                "state" => 1,
                "error" => 2,
                "error_description" => 3,
                _ => continue,
            };
            found[place] = Some(value.into_owned());
        }
        match found {
            [_, _, Some(error), description] => {
                Self::Refused { error, description: description.unwrap_or_default() }
            }
            [Some(code), Some(state), None, _] => {
                Self::Agreed { code: SecretString::from(code), state }
            }
            _ => Self::Foreign,
        }
    }
}

impl Login {
    /// Begins a login. Its secrets are random and stay in the value.
    #[must_use]
    pub fn begin(settings: LoginSettings) -> Self {
        let door = Door::new(settings.endpoint);
        let client = door
            .client(&settings.app)
            .set_auth_uri(AuthUrl::from_url(settings.authorize))
            .set_redirect_uri(RedirectUrl::from_url(settings.redirect));
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (page, state) = client
            .authorize_url(CsrfToken::new_random)
            .add_scopes(settings.scopes.into_iter().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        Self { door, client, page, state, verifier }
    }

    /// The page for the person's browser.
    #[must_use]
    pub const fn page(&self) -> &Url {
        &self.page
    }

    /// Ends the login: checks that the answer belongs to it, exchanges the code, and stores the
    /// refresh token before the access token is handed out.
    ///
    /// # Errors
    /// Where the answer is another login's, the code is not taken, or no refresh token came (a
    /// daemon cannot live on a token that ends).
    pub async fn finish(
        self,
        code: &SecretString,
        state: &str,
        store: &Arc<dyn TokenStore>,
    ) -> Result<Access, Error> {
        use secrecy::ExposeSecret as _;
        if state != self.state.secret().as_str() {
            return Err(self.refused(
                "the answer belongs to another login: its state is not the one that was sent",
                "close other login pages and start again",
            ));
        }
        let code = AuthorizationCode::new(code.expose_secret().to_owned());
        let exchange = self.client.exchange_code(code).set_pkce_verifier(self.verifier);
        let granted = exchange.request_async(&self.door).await;
        let grant = granted.map_err(|error| self.door.error(DOING, error))?;
        let Some(refresh) = grant.refresh_token() else {
            let why = "no refresh token came back".to_owned();
            let mut error = self.door.error(DOING, RequestTokenError::Other(why));
            error.hint = Some(
                "allow the scope refresh_token (offline_access) in the app's settings and ask for it"
                    .into(),
            );
            return Err(error);
        };
        let refresh = SecretString::from(refresh.secret().clone());
        store.save(&refresh).await.map_err(|why| {
            let mut error = self.door.error(DOING, RequestTokenError::Other(why.to_string()));
            error.message = format!("the refresh token could not be stored: {why}");
            error.hint =
                Some("make room or give the service its state directory, log in again".into());
            error
        })?;
        access(&self.door, &grant)
    }

    /// What a [`Callback::Refused`] means.
    #[must_use]
    pub fn refusal(&self, error: &str, description: &str) -> Error {
        let mut told = self.refused(
            &redact(&format!("the login was refused: {error} {description}")),
            "start the login again as a user who may let the app in",
        );
        told.code = Some(error.to_owned());
        told
    }

    fn refused(&self, message: &str, hint: &str) -> Error {
        Error {
            side: self.door.side(),
            kind: ErrorKind::SignIn,
            doing: DOING.into(),
            code: None,
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
            correlation: None,
        }
    }
}

#[cfg(test)]
mod tests;
