//! The service's own settings: defaults, file, environment, systemd's directories and credentials.
//!
//! `defaults.toml` is the register of all settings: each stands in it with its default, or commented
//! out where it has none, under a comment that says what it does. [`load()`] lays the file and the
//! environment over it and reports every mistake at once, each with the place that it came from.
//! Secrets are no part of [`Settings`]: a [`Secret`] says where one is to be read.
//!
//! The only room that names the `config` crate.

mod load;
mod parse;
mod secret;
mod webhooks;

pub use load::{Effective, Entry, Mistake, Origin, SettingsError, Sources, default_file, load};
pub use secret::{Secret, SecretError, write_private};
pub use webhooks::{Network, SignatureVersion, Webhooks};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::record::Side;
use parse::{Word, above_zero, address, duration, path, platform_url, version, word};

/// The documented defaults, as `lockstep settings --defaults` prints them.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where things lie.
    pub directories: Directories,
    /// How mapping files are taken up.
    pub mappings: Mappings,
    /// HubSpot's account.
    pub hubspot: HubSpot,
    /// Salesforce's org.
    pub salesforce: Salesforce,
    /// How often each side is asked.
    pub polling: Polling,
    /// How links are settled.
    pub settle: Settle,
    /// What stops for a person to release.
    pub limits: Limits,
    /// How much history is kept.
    pub history: History,
    /// The journal's store.
    pub journal: Journal,
    /// The page, the metrics and what monitoring asks.
    pub http: Http,
    /// The listener that HubSpot calls.
    pub webhooks: Webhooks,
    /// Who is told of handoffs.
    pub notices: Notices,
    /// The log.
    pub logs: Logs,
    /// The process.
    pub service: Service,
}

/// Where things lie.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directories {
    /// The journal and the refresh tokens.
    #[serde(deserialize_with = "path")]
    pub state: PathBuf,
    /// The control socket.
    #[serde(deserialize_with = "path")]
    pub runtime: PathBuf,
    /// The mapping files.
    #[serde(deserialize_with = "path")]
    pub mappings: PathBuf,
}

impl Directories {
    /// The journal's directory.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// Where a side's refresh token is kept.
    #[must_use]
    pub fn refresh_token(&self, side: Side) -> PathBuf {
        self.state.join(format!("{}.refresh-token", side.key()))
    }
}

/// Who is told of handoffs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notices {
    /// The file that holds the addresses of receivers.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub receivers_file: Option<PathBuf>,
}

/// How mapping files are taken up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mappings {
    /// Whether a saved file is taken up without being asked.
    pub reload_on_save: bool,
}

/// HubSpot's account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubSpot {
    /// Where the API is.
    #[serde(deserialize_with = "platform_url")]
    pub base_url: Url,
    /// `v3`, or a dated version.
    #[serde(deserialize_with = "version")]
    pub api_version: String,
    /// How to sign in.
    #[serde(deserialize_with = "word")]
    pub auth: HubSpotAuth,
    /// The file that holds a private app's token.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub token_file: Option<PathBuf>,
    /// The OAuth app's id.
    pub client_id: Option<String>,
    /// The file that holds the OAuth app's secret.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub client_secret_file: Option<PathBuf>,
    /// The OAuth app's number.
    pub app_id: Option<String>,
    /// Where a person allows the OAuth app.
    #[serde(deserialize_with = "platform_url")]
    pub authorize_url: Url,
    /// Calls in any ten seconds.
    #[serde(deserialize_with = "above_zero")]
    pub calls_per_ten_seconds: u32,
    /// Searches in a second.
    #[serde(deserialize_with = "above_zero")]
    pub searches_per_second: u32,
    /// Calls at the same time.
    #[serde(deserialize_with = "above_zero")]
    pub concurrency: u32,
}

/// How HubSpot lets us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubSpotAuth {
    /// A private app's token.
    Token,
    /// An OAuth app and its refresh token.
    OAuth,
}

impl Word for HubSpotAuth {
    const ALL: &'static [(&'static str, Self)] = &[("token", Self::Token), ("oauth", Self::OAuth)];
}

/// Salesforce's org.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Salesforce {
    /// Where to sign in.
    #[serde(deserialize_with = "platform_url")]
    pub login_url: Url,
    /// The version in the API's paths, without the `v`.
    #[serde(deserialize_with = "version")]
    pub api_version: String,
    /// How to sign in.
    #[serde(deserialize_with = "word")]
    pub auth: SalesforceAuth,
    /// The app's consumer key.
    pub client_id: Option<String>,
    /// The file that holds the app's consumer secret.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub client_secret_file: Option<PathBuf>,
    /// The user that `jwt` signs in as.
    pub username: Option<String>,
    /// The file that holds the private key for `jwt`.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub key_file: Option<PathBuf>,
    /// Where change events are read from.
    #[serde(deserialize_with = "parse::events")]
    pub events: ChangeEvents,
    /// Where the Pub/Sub API is, where that is said.
    #[serde(default, deserialize_with = "parse::some_platform_url")]
    pub events_url: Option<Url>,
    /// The file of certificates that are trusted there.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub events_ca_file: Option<PathBuf>,
    /// A stream that is silent for so long is dead.
    #[serde(deserialize_with = "duration")]
    pub events_silence: Duration,
    /// Events that may be delivered in 24 hours, where that is said.
    pub events_a_day: Option<u64>,
    /// Calls at the same time.
    #[serde(deserialize_with = "above_zero")]
    pub concurrency: u32,
}

impl Salesforce {
    /// Where the Pub/Sub API is. Nothing where change events are off, or where signing in is not
    /// at Salesforce's own address: a token is sent to nobody else unasked.
    #[must_use]
    pub fn events_address(&self) -> Option<Url> {
        if self.events == ChangeEvents::Off {
            return None;
        }
        let own = self
            .login_url
            .host_str()
            .is_some_and(|host| host == "salesforce.com" || host.ends_with(".salesforce.com"));
        match &self.events_url {
            Some(url) => Some(url.clone()),
            None if own && self.login_url.scheme() == "https" => {
                Url::parse("https://api.pubsub.salesforce.com:7443").ok()
            }
            None => None,
        }
    }
}

/// Where Salesforce's change events are read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEvents {
    /// Nowhere: changes are found by polling.
    Off,
    /// A stream of each object's own.
    Entities,
    /// One channel.
    Channel(String),
}

/// How Salesforce lets us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SalesforceAuth {
    /// An assertion signed with the app's private key.
    Jwt,
    /// The app's own id and secret, at the org's My Domain.
    ClientCredentials,
    /// A refresh token from `lockstep login salesforce`.
    Refresh,
}

impl Word for SalesforceAuth {
    const ALL: &'static [(&'static str, Self)] = &[
        ("jwt", Self::Jwt),
        ("client-credentials", Self::ClientCredentials),
        ("refresh", Self::Refresh),
    ];
}

/// How often each side is asked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polling {
    /// Between two rounds at HubSpot.
    #[serde(deserialize_with = "duration")]
    pub hubspot: Duration,
    /// Between two rounds at Salesforce.
    #[serde(deserialize_with = "duration")]
    pub salesforce: Duration,
    /// Between two rounds of an object of which word arrives by itself.
    #[serde(deserialize_with = "duration")]
    pub while_pushed: Duration,
    /// Between two looks for deleted and merged records.
    #[serde(deserialize_with = "duration")]
    pub deletes: Duration,
    /// How far a round at HubSpot reaches back.
    #[serde(deserialize_with = "duration")]
    pub hubspot_overlap: Duration,
    /// How far a round at Salesforce reaches back.
    #[serde(deserialize_with = "duration")]
    pub salesforce_overlap: Duration,
    /// Between two sweeps over all links.
    #[serde(deserialize_with = "duration")]
    pub sweep: Duration,
}

impl Polling {
    /// Between two rounds at `side`.
    #[must_use]
    pub const fn interval(&self, side: Side) -> Duration {
        match side {
            Side::HubSpot => self.hubspot,
            Side::Salesforce => self.salesforce,
        }
    }

    /// How far a round at `side` reaches back.
    #[must_use]
    pub const fn overlap(&self, side: Side) -> Duration {
        match side {
            Side::HubSpot => self.hubspot_overlap,
            Side::Salesforce => self.salesforce_overlap,
        }
    }
}

/// How links are settled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// Links settled together, 1 to 200.
    #[serde(deserialize_with = "parse::batch")]
    pub batch: u32,
    /// The same of what exists and is taken in or swept.
    #[serde(deserialize_with = "parse::batch")]
    pub slow_batch: u32,
    /// How far apart two settlements of one link are.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    /// The first pause before a retry.
    #[serde(deserialize_with = "duration")]
    pub retry: Duration,
    /// The longest pause before a retry.
    #[serde(deserialize_with = "duration")]
    pub retry_at_most: Duration,
}

/// What stops for a person to release.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// What the counts below are counted over.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    /// Changes made by one mapping, those of the same link each by itself.
    pub changes: u32,
    /// The share of its links that changed, 0 to 1.
    #[serde(deserialize_with = "parse::share")]
    pub share: f64,
    /// From how many links on the share counts.
    pub share_from: u32,
    /// Records deleted.
    pub deletes: u32,
    /// Fields cleared.
    pub clears: u32,
    /// Records created.
    pub creates: u32,
}

/// How much history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// For how long.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// Lines of one link.
    #[serde(deserialize_with = "above_zero")]
    pub lines: u32,
}

/// The journal's store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// The store's cache, in MiB.
    #[serde(deserialize_with = "above_zero")]
    pub cache: u32,
}

/// The listener for the page, the metrics and monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Its address, or nothing where it is off.
    #[serde(default, deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// The file that holds the token that whoever asks has to give.
    #[serde(default, deserialize_with = "parse::some_path")]
    pub token_file: Option<PathBuf>,
    /// The name by which browsers know it, where that is another than this machine's.
    #[serde(default, deserialize_with = "parse::host")]
    pub name: Option<String>,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logs {
    /// A level, or a filter of `tracing`.
    pub level: String,
    /// How lines look.
    #[serde(deserialize_with = "word")]
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal where its socket is and nobody looks on, else text.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// The system's journal.
    Journald,
}

impl Word for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("text", Self::Text),
        ("json", Self::Json),
        ("journald", Self::Journald),
    ];
}

/// The process.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// How long a stop waits for what is under way.
    #[serde(deserialize_with = "duration")]
    pub stop: Duration,
}

#[cfg(test)]
mod tests;
