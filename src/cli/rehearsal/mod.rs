//! Both platforms in the sandbox and the daemon between them, in one process: what the demo, the
//! simulation and the tests of the whole begin with.
//!
//! The daemon's side of it is the real thing: the real clients over the HTTP seam, the real
//! settler, the real journal. Only what lies beyond the seam is the sandbox's.

mod bus;
pub mod people;
mod push;
mod setup;

pub use bus::InProcessBus;
pub use push::{Postman, PushError};
pub use setup::set_up;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::platform::auth::{App, OAuth, SALESFORCE_TOKEN_PATH, TokenEndpoint};
use crate::platform::salesforce::Salesforce;
use crate::platform::salesforce::pubsub::{EventBus, Events};
use crate::platform::transport::{Http, InProcess, RetrySettings, StaticToken, Tokens, Window};
use crate::platform::{Error, Platform, hubspot, salesforce};
use crate::record::{PerSide, Side};
use crate::sandbox::Sandbox;
use crate::sandbox::hubspot::oauth::PRIVATE_TOKEN;
use crate::sandbox::salesforce::oauth::{CLIENT_ID, CLIENT_SECRET};

/// How the clients of a rehearsal are set.
#[derive(Debug, Clone)]
pub struct Clients {
    /// How far a round of HubSpot's changes reaches back.
    pub hubspot_overlap: Duration,
    /// How far a round of Salesforce's changes reaches back.
    pub salesforce_overlap: Duration,
    /// HubSpot calls in any ten seconds.
    pub calls_per_ten_seconds: u32,
    /// HubSpot searches in any second.
    pub searches_per_second: u32,
    /// How calls are repeated.
    pub retry: RetrySettings,
    /// Seeds the clients' jitter.
    pub seed: u64,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            hubspot_overlap: Duration::from_secs(60),
            salesforce_overlap: Duration::from_secs(600),
            calls_per_ten_seconds: 190,
            searches_per_second: 5,
            retry: RetrySettings::default(),
            seed: 0,
        }
    }
}

/// Both real clients, calling the sandbox's routers in process.
///
/// # Errors
/// Where the sandbox's addresses cannot be read, which the tests rule out.
pub fn in_process(
    sandbox: &Sandbox,
    clients: &Clients,
) -> Result<PerSide<Arc<dyn Platform>>, Error> {
    connect(routers(sandbox), addresses(), clients)
}

/// The same with Salesforce's change events.
///
/// # Errors
/// As [`in_process`].
pub fn in_process_with_events(sandbox: &Sandbox, clients: &Clients) -> Result<WithEvents, Error> {
    let bus = Arc::new(InProcessBus(sandbox.clone()));
    connect_with_events(routers(sandbox), addresses(), clients, bus)
}

fn routers(sandbox: &Sandbox) -> PerSide<Arc<dyn Http>> {
    PerSide {
        hubspot: Arc::new(InProcess::new(sandbox.hubspot())),
        salesforce: Arc::new(InProcess::new(sandbox.salesforce())),
    }
}

/// What the sandbox's routers are called by when no network lies between.
#[must_use]
pub const fn addresses() -> PerSide<&'static str> {
    PerSide { hubspot: HUBSPOT, salesforce: SALESFORCE }
}

const HUBSPOT: &str = "http://sandbox.hubapi.com";
const SALESFORCE: &str = "http://sandbox.my.salesforce.com";

/// Both real clients over any network to a sandbox, signed in with the sandbox's own credentials.
///
/// # Errors
/// Where an address cannot be read.
pub fn connect(
    http: PerSide<Arc<dyn Http>>,
    addresses: PerSide<&str>,
    clients: &Clients,
) -> Result<PerSide<Arc<dyn Platform>>, Error> {
    let (hubspot, salesforce) = both(http, addresses, clients)?;
    Ok(PerSide { hubspot, salesforce })
}

/// The same with the change events of `bus`, in the session of Salesforce's client.
///
/// # Errors
/// As [`connect`].
pub fn connect_with_events(
    http: PerSide<Arc<dyn Http>>,
    addresses: PerSide<&str>,
    clients: &Clients,
    bus: Arc<dyn EventBus>,
) -> Result<WithEvents, Error> {
    let (hubspot, salesforce) = both(http, addresses, clients)?;
    let events = Arc::new(Events::new(bus, Arc::<Salesforce>::clone(&salesforce)));
    Ok((PerSide { hubspot, salesforce }, events))
}

/// Both clients, and Salesforce's change events.
pub type WithEvents = (PerSide<Arc<dyn Platform>>, Arc<Events>);

type Both = (Arc<hubspot::HubSpot>, Arc<Salesforce>);

fn both(
    http: PerSide<Arc<dyn Http>>,
    addresses: PerSide<&str>,
    clients: &Clients,
) -> Result<Both, Error> {
    let address = |side: Side| {
        Url::parse(addresses.get(side)).map_err(|error| Error {
            side,
            kind: crate::platform::ErrorKind::Stop,
            doing: "reading the sandbox's address".to_owned(),
            code: None,
            message: error.to_string(),
            hint: None,
            correlation: None,
        })
    };
    let token = SecretString::from(PRIVATE_TOKEN.to_owned());
    let hubspot = hubspot::HubSpot::new(
        hubspot::Settings {
            window: Window { max: clients.calls_per_ten_seconds, per: Duration::from_secs(10) },
            search_window: Window { max: clients.searches_per_second, per: Duration::from_secs(1) },
            overlap: clients.hubspot_overlap,
            retry: clients.retry,
            ..hubspot::Settings::at(address(Side::HubSpot)?)
        },
        http.hubspot,
        Arc::new(StaticToken::new(&token)),
        clients.seed,
    );
    let login = address(Side::Salesforce)?;
    let mut endpoint = login.clone();
    endpoint.set_path(SALESFORCE_TOKEN_PATH);
    let endpoint = TokenEndpoint {
        side: Side::Salesforce,
        url: endpoint,
        http: Arc::clone(&http.salesforce),
        retry: clients.retry,
        seed: clients.seed,
    };
    let secret = Some(SecretString::from(CLIENT_SECRET.to_owned()));
    let app = App { id: CLIENT_ID.to_owned(), secret };
    let tokens: Arc<dyn Tokens> = Arc::new(OAuth::client_credentials(endpoint, app)?);
    let salesforce = Salesforce::new(
        salesforce::Settings {
            overlap: clients.salesforce_overlap,
            retry: clients.retry,
            ..salesforce::Settings::new(login)
        },
        http.salesforce,
        tokens,
        clients.seed,
    );
    Ok((Arc::new(hubspot), Arc::new(salesforce)))
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
