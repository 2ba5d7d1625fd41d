//! The one place that knows how to sign in.
//!
//! [`OAuth`] is a [`Tokens`](super::transport::Tokens) for each of the flows that a daemon can run
//! by itself: refresh (HubSpot, Salesforce), JWT bearer and client credentials (Salesforce).
//! [`login`] is the one flow that needs a person and a browser; it ends by storing the refresh token
//! that the daemon then lives on.
//!
//! Three rules hold here. However many calls find an expired token, one request is made. A rotated
//! refresh token is stored before the access token that came with it is used, because the old one
//! is dead by then. And nothing secret has a `Debug` or `Display` that shows it.

mod door;
mod grant;
mod jwt;
pub mod login;
mod oauth;
mod store;

pub use door::{App, TokenEndpoint};
pub use jwt::{JwtKey, JwtKeyError};
pub use oauth::{JwtBearer, OAuth, WallClock};
pub use store::{MemoryTokenStore, TokenStore, TokenStoreError};

/// HubSpot's token endpoint: `{HUBSPOT}/oauth/2026-03/token`. Its predecessor, `/oauth/v1/token`, is
/// shut off on 16 February 2027. (HubSpot changelog, "v1 OAuth API deprecation")
pub const HUBSPOT_TOKEN_PATH: &str = "/oauth/2026-03/token";

/// HubSpot's page on which a person installs the app.
pub const HUBSPOT_AUTHORIZE: &str = "https://app.hubspot.com/oauth/authorize";

/// Salesforce's token endpoint on a login host or a My Domain.
pub const SALESFORCE_TOKEN_PATH: &str = "/services/oauth2/token";

/// Salesforce's page on which a person lets the app in, on a login host or a My Domain.
pub const SALESFORCE_AUTHORIZE_PATH: &str = "/services/oauth2/authorize";
