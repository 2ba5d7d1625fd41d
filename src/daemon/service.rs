//! From settings to an engine that can work.

use std::sync::Arc;

use jiff::SignedDuration;

use super::connect::ConnectError;
use super::connect::connect_with_events;
use super::preview::{Preview, Scratch, preview};
use super::query::{Desk, Explained};
use super::status::{HealthState, Problem, Status};
use super::{
    Clock, Engine, Options, StreamChoice, StreamOptions, Unreadable, connect, network,
    read_mappings, seed,
};
use crate::journal::{self, Journal};
use crate::mapping::{Mappings, Report, load};
use crate::reconcile::limit::Limits;
use crate::record::PerSide;
use crate::settings::{ChangeEvents, Effective, Settings};

/// Why the service cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The mapping files cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The mapping files are wrong.
    #[error("{0}")]
    Mappings(Report),
    /// There are no mapping files.
    #[error("there is no mapping file in {0}")]
    NoMappings(std::path::PathBuf),
    /// The settings do not lead to the platforms.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The control socket cannot be listened on.
    #[error("cannot listen on the control socket {path}")]
    Socket {
        /// The socket.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The HTTP address cannot be listened on.
    #[error("cannot listen on http.listen = {address}")]
    Http {
        /// The address.
        address: std::net::SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Webhooks cannot be listened for.
    #[error(transparent)]
    Webhooks(#[from] super::webhooks::WebhooksError),
    /// Other machines could ask, and nothing keeps them from it.
    #[error("http.listen = {address} can be reached from other machines, and no token is set")]
    HttpOpen {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The token could be guessed.
    #[error("the http_token has {found} characters; {wanted} or more cannot be guessed")]
    HttpTokenShort {
        /// How many it has.
        found: usize,
        /// How many it should have.
        wanted: usize,
    },
    /// The token cannot be read.
    #[error(transparent)]
    HttpToken(#[from] crate::settings::SecretError),
    /// The receivers of notices cannot be used.
    #[error(transparent)]
    Receivers(#[from] super::handoff::ReceiversError),
    /// The system refuses something else.
    #[error("cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A preview cannot be made.
    #[error(transparent)]
    Refused(#[from] super::control::Refused),
    /// The work cannot go on.
    #[error(transparent)]
    Trouble(#[from] super::Trouble),
}

/// The mapping files in the settings' directory.
///
/// # Errors
/// Where there are none, or they are wrong.
pub fn mappings_of(settings: &Settings) -> Result<Mappings, ServiceError> {
    let folder = &settings.directories.mappings;
    let files = read_mappings(folder)?;
    if files.is_empty() {
        return Err(ServiceError::NoMappings(folder.clone()));
    }
    load(files).map_err(ServiceError::Mappings)
}

/// How the journal is used.
#[must_use]
pub fn journal_options(settings: &Settings) -> journal::Options {
    let cache_bytes = u64::from(settings.journal.cache) << 20;
    journal::Options { cache_bytes, ..journal::Options::default() }
}

/// How the engine works.
#[must_use]
pub fn engine_options(settings: &Settings) -> Options {
    let span = |length| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    let limits = &settings.limits;
    Options {
        batch: settings.settle.batch as usize,
        slow_batch: settings.settle.slow_batch as usize,
        window: settings.settle.window,
        // Each makes up to three calls: what is there, since when, and what is new.
        at_once: (settings.hubspot.calls_per_ten_seconds / 3).max(1),
        retry: settings.settle.retry,
        retry_at_most: settings.settle.retry_at_most,
        overlap: PerSide {
            hubspot: settings.polling.hubspot_overlap,
            salesforce: settings.polling.salesforce_overlap,
        },
        net: settings.polling.while_pushed,
        stream: StreamOptions {
            silence: settings.salesforce.events_silence,
            allocation: settings.salesforce.events_a_day,
            ..StreamOptions::default()
        },
        limits: Limits {
            window: span(limits.window),
            changes: limits.changes,
            share: limits.share,
            share_from: limits.share_from,
            deletes: limits.deletes,
            clears: limits.clears,
            creates: limits.creates,
        },
        history_keep: span(settings.history.keep),
        history_lines: settings.history.lines as usize,
        ..Options::default()
    }
}

/// Where change events are read from.
#[must_use]
pub fn stream_choice(settings: &Settings) -> Option<StreamChoice> {
    match &settings.salesforce.events {
        ChangeEvents::Off => None,
        ChangeEvents::Entities => Some(StreamChoice::Entities),
        ChangeEvents::Channel(name) => Some(StreamChoice::Channel(name.clone())),
    }
}

/// Everything that works needs, opened and connected, but not signed in.
///
/// # Errors
/// Where settings, secrets, mapping files or the journal are not as they should be.
pub async fn assemble(effective: &Effective) -> Result<Engine, ServiceError> {
    let settings = &effective.settings;
    let mappings = mappings_of(settings)?;
    let clock = Clock::system();
    let http = network()?;
    let (platforms, events) = connect_with_events(effective, &http, &clock)?;
    let (dir, options) = (settings.directories.journal(), journal_options(settings));
    let opened = tokio::task::spawn_blocking(move || Journal::open(&dir, &options)).await;
    let journal = opened.map_err(|error| ServiceError::System {
        doing: "open the journal",
        source: std::io::Error::other(error),
    })??;
    let options = engine_options(settings);
    let engine = Engine::new(journal, platforms, mappings, clock, options, seed()?);
    Ok(engine.with_events(events))
}

/// Assembled, signed in and ready for one round of work in this process.
///
/// # Errors
/// As [`assemble`], and where a side does not let us in.
pub async fn assemble_and_start(effective: &Effective) -> Result<Arc<Engine>, ServiceError> {
    let engine = Arc::new(assemble(effective).await?);
    if let Err(error) = engine.start().await {
        engine.journal.close().await;
        return Err(error.into());
    }
    Ok(engine)
}

/// How things stand where no daemon runs: from the journal, with nobody asked.
///
/// # Errors
/// As [`assemble`].
pub async fn status_here(effective: &Effective) -> Result<Status, ServiceError> {
    let engine = assemble(effective).await?;
    let status = super::status::status(&engine, engine.clock.now(), None).await;
    engine.journal.close().await;
    let mut status = status?;
    status.health.state = HealthState::Down;
    status.health.problems.insert(
        0,
        Problem {
            state: HealthState::Down,
            what: "the service does not run; this is what its journal says".to_owned(),
            hint: Some("start it (`systemctl start lockstep`, or `lockstep run`)".to_owned()),
        },
    );
    Ok(status)
}

/// What is known of a link and what both sides hold of it right now, found out in this process, where
/// no daemon has the journal.
///
/// # Errors
/// As [`assemble`], and where there is no such link.
pub async fn explain_here(effective: &Effective, of: &str) -> Result<Explained, ServiceError> {
    let engine = assemble(effective).await?;
    let mappings = engine.mappings();
    let desk = Desk { journal: &engine.journal, mappings: &mappings, now: engine.clock.now() };
    let explained = desk.explain_now(of, &engine).await;
    engine.journal.close().await;
    Ok(explained?)
}

/// What settling would do now, found out in this process, where no daemon has the journal.
///
/// # Errors
/// As [`assemble`], and where a side does not let us in.
pub async fn preview_here(effective: &Effective, limit: usize) -> Result<Preview, ServiceError> {
    let settings = &effective.settings;
    let mappings = mappings_of(settings)?;
    let clock = Clock::system();
    let platforms = connect(effective, &network()?, &clock)?;
    let (dir, options) = (settings.directories.journal(), journal_options(settings));
    let scratch = if dir.join("LOCK").exists() {
        let scratch = Scratch::beside(&dir);
        let journal = Journal::open(&dir, &options)?;
        let copied = journal.copy_to(&scratch.0, &options).await;
        journal.close().await;
        copied?;
        scratch
    } else {
        // Nothing is remembered yet, and perhaps there is no state directory.
        Scratch::beside(&std::env::temp_dir().join("lockstep"))
    };
    let copy = Journal::open(&scratch.0, &options)?;
    let made = preview(&copy, platforms, mappings, &clock, engine_options(settings), limit).await;
    copy.close().await;
    Ok(made?)
}
