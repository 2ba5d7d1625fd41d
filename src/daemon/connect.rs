//! From settings to two platforms that can be asked.

use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use url::Url;

use super::{Clock, FileTokenStore};
use crate::platform::auth::login::LoginSettings;
use crate::platform::auth::{
    App, HUBSPOT_TOKEN_PATH, JwtBearer, JwtKey, JwtKeyError, OAuth, SALESFORCE_AUTHORIZE_PATH,
    SALESFORCE_TOKEN_PATH, TokenEndpoint, TokenStore,
};
use crate::platform::hubspot::{self, HubSpot, NoVersion};
use crate::platform::salesforce::pubsub::{Events, Grpc, GrpcSettings, Sessions, StreamError};
use crate::platform::salesforce::{self, Salesforce};
use crate::platform::transport::{
    Http, Net, NetError, NetSettings, RetrySettings, StaticToken, Tokens, Window,
};
use crate::platform::{Error, Platform};
use crate::record::{PerSide, Side};
use crate::settings::{Effective, HubSpotAuth, SalesforceAuth, SecretError, Settings};

/// What a person is asked to allow at HubSpot. Tasks and notes come with contacts.
const HUBSPOT_SCOPES: [&str; 11] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "crm.schemas.contacts.read",
    "crm.schemas.companies.read",
    "crm.schemas.deals.read",
];

/// What a person is asked to allow at Salesforce. Without the second there is no refresh token.
const SALESFORCE_SCOPES: [&str; 2] = ["api", "refresh_token"];

/// Why the settings do not lead to a platform.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting is needed that has no value.
    #[error("{key} is not set, and {needed_for} needs it")]
    Missing {
        /// The setting.
        key: &'static str,
        /// What needs it.
        needed_for: &'static str,
    },
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The key is no key.
    #[error("salesforce.key_file: {0}")]
    Key(#[from] JwtKeyError),
    /// The version is none.
    #[error("hubspot.api_version: {0}")]
    Version(#[from] NoVersion),
    /// The way of signing in does not fit the address.
    #[error(transparent)]
    Platform(#[from] Error),
    /// This machine cannot make connections.
    #[error("cannot use the network: {0}")]
    Net(#[from] NetError),
    /// The certificates of the Pub/Sub API cannot be read.
    #[error("salesforce.events_ca_file: cannot read {path}")]
    Certificates {
        /// The file.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The Pub/Sub API cannot be connected to.
    #[error("salesforce.events_url: {0}")]
    Events(#[from] StreamError),
    /// This machine has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The network with its default time limits.
///
/// # Errors
/// Where the machine has no trust store.
pub fn network() -> Result<Arc<dyn Http>, ConnectError> {
    Ok(Arc::new(Net::new(&NetSettings::default())?))
}

/// A seed for the jitter of pauses, different in each process.
///
/// # Errors
/// Where the system has no random numbers.
pub fn seed() -> Result<u64, ConnectError> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| ConnectError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Both platforms as the settings say, not yet signed in.
///
/// # Errors
/// Where a setting or secret is missing or unfit.
pub fn connect(
    effective: &Effective,
    http: &Arc<dyn Http>,
    clock: &Clock,
) -> Result<PerSide<Arc<dyn Platform>>, ConnectError> {
    Ok(connect_with_events(effective, http, clock)?.0)
}

/// Both platforms, and Salesforce's change events where they are to be followed.
pub type Connected = (PerSide<Arc<dyn Platform>>, Option<Arc<Events>>);

/// The same, with Salesforce's change events where the settings ask for them. Both share one
/// session. Has to be called within a runtime.
///
/// # Errors
/// As [`connect`], and where a certificate cannot be read.
pub fn connect_with_events(
    effective: &Effective,
    http: &Arc<dyn Http>,
    clock: &Clock,
) -> Result<Connected, ConnectError> {
    let hubspot = connect_hubspot(effective, http)?;
    let salesforce = connect_salesforce(effective, http, clock)?;
    let events = connect_events(&effective.settings, Arc::<Salesforce>::clone(&salesforce))?;
    Ok((PerSide { hubspot, salesforce }, events))
}

fn connect_events(
    settings: &Settings,
    sessions: Arc<dyn Sessions>,
) -> Result<Option<Arc<Events>>, ConnectError> {
    let Some(url) = settings.salesforce.events_address() else { return Ok(None) };
    let mut grpc = GrpcSettings::at(url);
    if let Some(path) = &settings.salesforce.events_ca_file {
        grpc.extra_roots = std::fs::read(path)
            .map_err(|source| ConnectError::Certificates { path: path.clone(), source })?;
    }
    let bus = Grpc::new(&grpc)?;
    Ok(Some(Arc::new(Events::new(Arc::new(bus), sessions))))
}

pub(super) fn connect_hubspot(
    effective: &Effective,
    http: &Arc<dyn Http>,
) -> Result<Arc<dyn Platform>, ConnectError> {
    let settings = &effective.settings.hubspot;
    let tokens: Arc<dyn Tokens> = match settings.auth {
        HubSpotAuth::Token => Arc::new(StaticToken::new(&secret(effective, "hubspot_token")?)),
        HubSpotAuth::OAuth => {
            let endpoint = endpoint(effective, Side::HubSpot, http)?;
            let app = app(effective, Side::HubSpot)?;
            Arc::new(OAuth::refresh(endpoint, app, token_store(effective, Side::HubSpot)))
        }
    };
    let settings = hubspot::Settings {
        version: settings.api_version.parse()?,
        app_id: settings.app_id.clone(),
        window: Window { max: settings.calls_per_ten_seconds, per: Duration::from_secs(10) },
        search_window: Window { max: settings.searches_per_second, per: Duration::from_secs(1) },
        at_once: settings.concurrency as usize,
        overlap: effective.settings.polling.hubspot_overlap,
        ..hubspot::Settings::at(settings.base_url.clone())
    };
    Ok(Arc::new(HubSpot::new(settings, Arc::clone(http), tokens, seed()?)))
}

fn connect_salesforce(
    effective: &Effective,
    http: &Arc<dyn Http>,
    clock: &Clock,
) -> Result<Arc<Salesforce>, ConnectError> {
    let settings = &effective.settings.salesforce;
    let endpoint = endpoint(effective, Side::Salesforce, http)?;
    let tokens: Arc<dyn Tokens> = match settings.auth {
        SalesforceAuth::Jwt => {
            let missing =
                |key| ConnectError::Missing { key, needed_for: "salesforce.auth = \"jwt\"" };
            let key = JwtKey::from_pem(&secret(effective, "salesforce_key")?)?;
            let clock = clock.clone();
            Arc::new(OAuth::jwt_bearer(
                endpoint,
                JwtBearer {
                    consumer_key: settings
                        .client_id
                        .clone()
                        .ok_or_else(|| missing("salesforce.client_id"))?,
                    user: settings
                        .username
                        .clone()
                        .ok_or_else(|| missing("salesforce.username"))?,
                    audience: settings.login_url.as_str().trim_end_matches('/').to_owned(),
                    key: Arc::new(key),
                    clock: Arc::new(move || clock.now()),
                },
            ))
        }
        SalesforceAuth::ClientCredentials => {
            Arc::new(OAuth::client_credentials(endpoint, app(effective, Side::Salesforce)?)?)
        }
        SalesforceAuth::Refresh => {
            let store = token_store(effective, Side::Salesforce);
            Arc::new(OAuth::refresh(endpoint, app(effective, Side::Salesforce)?, store))
        }
    };
    let settings = salesforce::Settings {
        version: format!("v{}", settings.api_version.trim_start_matches('v')),
        at_once: settings.concurrency as usize,
        overlap: effective.settings.polling.salesforce_overlap,
        ..salesforce::Settings::new(settings.login_url.clone())
    };
    Ok(Arc::new(Salesforce::new(settings, Arc::clone(http), tokens, seed()?)))
}

fn secret(effective: &Effective, name: &'static str) -> Result<SecretString, ConnectError> {
    let missing = ConnectError::Missing { key: name, needed_for: "signing in" };
    Ok(effective.secret(name).ok_or(missing)?.read()?)
}

/// The app as which a side is entered. HubSpot's always has a secret; a public Salesforce app has
/// none.
fn app(effective: &Effective, side: Side) -> Result<App, ConnectError> {
    let settings = &effective.settings;
    let (id, key, needed_for, name) = match side {
        Side::HubSpot => (
            &settings.hubspot.client_id,
            "hubspot.client_id",
            "hubspot.auth = \"oauth\"",
            "hubspot_client_secret",
        ),
        Side::Salesforce => (
            &settings.salesforce.client_id,
            "salesforce.client_id",
            "this way of signing in to Salesforce",
            "salesforce_client_secret",
        ),
    };
    let id = id.clone().ok_or(ConnectError::Missing { key, needed_for })?;
    let public = side == Side::Salesforce
        && settings.salesforce.auth == SalesforceAuth::Refresh
        && effective.secret(name).is_none_or(|secret| secret.whence().is_none());
    let secret = if public { None } else { Some(secret(effective, name)?) };
    Ok(App { id, secret })
}

fn endpoint(
    effective: &Effective,
    side: Side,
    http: &Arc<dyn Http>,
) -> Result<TokenEndpoint, ConnectError> {
    let (base, path) = match side {
        Side::HubSpot => (&effective.settings.hubspot.base_url, HUBSPOT_TOKEN_PATH),
        Side::Salesforce => (&effective.settings.salesforce.login_url, SALESFORCE_TOKEN_PATH),
    };
    Ok(TokenEndpoint {
        side,
        url: at(base, path),
        http: Arc::clone(http),
        retry: RetrySettings::default(),
        seed: seed()?,
    })
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url.set_query(None);
    url
}

/// Where a side's refresh token is kept.
#[must_use]
pub fn token_store(effective: &Effective, side: Side) -> Arc<dyn TokenStore> {
    Arc::new(FileTokenStore(effective.settings.directories.refresh_token(side)))
}

/// What a person's login at `side` needs, with the address that the browser comes back to.
///
/// # Errors
/// Where a setting or secret is missing.
pub fn login_settings(
    effective: &Effective,
    side: Side,
    http: &Arc<dyn Http>,
    redirect: Url,
) -> Result<LoginSettings, ConnectError> {
    let (authorize, scopes) = match side {
        Side::HubSpot => (effective.settings.hubspot.authorize_url.clone(), &HUBSPOT_SCOPES[..]),
        Side::Salesforce => (
            at(&effective.settings.salesforce.login_url, SALESFORCE_AUTHORIZE_PATH),
            &SALESFORCE_SCOPES[..],
        ),
    };
    Ok(LoginSettings {
        authorize,
        endpoint: endpoint(effective, side, http)?,
        app: app(effective, side)?,
        redirect,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    })
}
