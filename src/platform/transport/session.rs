//! Where tokens come from.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::platform::Error;

/// What a call needs to be let in.
#[derive(Debug, Clone)]
pub struct Access {
    /// The token for `Authorization: Bearer`.
    pub bearer: SecretString,
    /// Where calls go, where signing in decides it (Salesforce's `instance_url`). Otherwise the
    /// client's own base address is used.
    pub base: Option<Url>,
}

/// Hands out tokens.
///
/// Implementations refresh at most once at a time: callers that find an expired token together wait
/// for one refresh and share its result.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// A token that should be accepted now.
    ///
    /// # Errors
    /// [`crate::platform::ErrorKind::SignIn`] where a person has to sign in again,
    /// [`crate::platform::ErrorKind::Retry`] where the sign-in service did not answer.
    async fn token(&self) -> Result<Access, Error>;

    /// The platform refused `used`: the next [`Tokens::token`] should bring another, where there
    /// is one. A token that has been replaced meanwhile is no reason to refresh again.
    async fn refused(&self, used: &SecretString);
}

/// One token that does not change: HubSpot's private apps and service keys.
#[derive(Debug, Clone)]
pub struct StaticToken(SecretString);

impl StaticToken {
    /// A token as it was copied; blanks and line ends around it are dropped.
    #[must_use]
    pub fn new(token: &SecretString) -> Self {
        Self(SecretString::from(token.expose_secret().trim().to_owned()))
    }
}

#[async_trait]
impl Tokens for StaticToken {
    async fn token(&self) -> Result<Access, Error> {
        Ok(Access { bearer: self.0.clone(), base: None })
    }

    /// There is no other. The call is repeated once all the same: HubSpot is known to answer 401 to
    /// a valid token under load.
    async fn refused(&self, _used: &SecretString) {}
}
