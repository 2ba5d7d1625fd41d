//! What a token endpoint answers.

use std::fmt;
use std::time::Duration;

use oauth2::basic::BasicTokenType;
use oauth2::{AccessToken, ErrorResponse, RefreshToken, Scope, TokenResponse};
use serde::{Deserialize, Serialize};

/// Tokens, as a token endpoint grants them.
///
/// Salesforce leaves out most of what the standard asks for: a refresh answers without
/// `token_type`, none of its flows with `expires_in`. So everything but the token itself may be
/// missing.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Grant {
    access_token: AccessToken,
    #[serde(default = "bearer")]
    token_type: BasicTokenType,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    /// Salesforce: where every call to the data API goes.
    #[serde(default)]
    pub instance_url: Option<String>,
}

const fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

impl TokenResponse for Grant {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    /// HubSpot lists them under another name and type; what is allowed is asked elsewhere.
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

/// A refusal, as a token endpoint says it: the standard's two fields, and HubSpot's own two.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Denied {
    pub error: String,
    pub error_description: String,
    pub status: String,
    pub message: String,
}

impl Denied {
    /// HubSpot's code, which is finer, or the standard's.
    pub(super) fn code(&self) -> &str {
        if self.status.is_empty() || self.status == "error" { &self.error } else { &self.status }
    }

    /// The platform's words.
    pub(super) fn words(&self) -> &str {
        if self.error_description.is_empty() { &self.message } else { &self.error_description }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.words())
    }
}

impl ErrorResponse for Denied {}
