//! Asking the daemon, or the journal where none runs.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{Context, Exit, Failure};
use crate::daemon::control::{AskError, Refused, RefusedKind, Request, ask};
use crate::daemon::query::Desk;
use crate::daemon::{Clock, journal_options, read_mappings};
use crate::journal::{self, Journal};
use crate::mapping::{Mappings, load};
use crate::settings::{Effective, Settings};

impl Context {
    /// Asks the running daemon; where none runs, opens the journal and answers from it.
    pub(super) fn ask(&self, request: &Request) -> Result<Json, Failure> {
        let effective = self.settings()?;
        self.block_on(async { answer(&effective, request).await })
    }

    /// The answer in its shape.
    pub(super) fn ask_for<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        shape(self.ask(request)?)
    }
}

/// Asks the daemon or the journal.
pub(super) async fn answer(effective: &Effective, request: &Request) -> Result<Json, Failure> {
    let settings = &effective.settings;
    match ask(&settings.directories.socket(), request).await {
        Err(AskError::NotRunning(_)) => {}
        other => return Ok(other?),
    }
    if !settings.directories.journal().join("LOCK").exists() {
        let journal = settings.directories.journal();
        return Err(Failure::new(
            Exit::NotFound,
            format!("the service does not run, and there is no journal in {}", journal.display()),
        )
        .hint("start the service (`lockstep run`), or name its settings with --config"));
    }
    // Most questions need no mapping, and a wrong file must not keep people from their history.
    let mappings = mappings(settings).unwrap_or_else(|failure| {
        tracing::warn!("answering without mappings: {}", failure.message);
        Mappings::default()
    });
    let journal = open(settings)?;
    let desk = Desk { journal: &journal, mappings: &mappings, now: Clock::system().now() };
    let answer = desk.answer(request).await;
    journal.close().await;
    match answer {
        Some(answer) => Ok(answer.map_err(AskError::Refused)?),
        None => Err(not_running(settings)),
    }
}

/// The service does not run, and only it could do this.
pub(super) fn not_running(settings: &Settings) -> Failure {
    let socket = settings.directories.socket();
    Failure::new(
        Exit::Usage,
        format!("the service does not run: nobody answers on {}", socket.display()),
    )
    .hint("start it (`systemctl start lockstep`, or `lockstep run`)")
}

/// An answer in its shape.
pub(super) fn shape<T: DeserializeOwned>(answer: Json) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::of(Exit::Internal, "the daemon's answer has another shape", &error)
            .hint("use the `lockstep` that the daemon runs, or restart the daemon")
    })
}

/// Opens the journal as the settings say.
pub(super) fn open(settings: &Settings) -> Result<Journal, Failure> {
    Ok(Journal::open(&settings.directories.journal(), &journal_options(settings))?)
}

/// The mappings in the settings' directory.
pub(super) fn mappings(settings: &Settings) -> Result<Mappings, Failure> {
    let files = read_mappings(&settings.directories.mappings)?;
    load(files).map_err(|report| {
        Failure::new(Exit::Usage, report.to_string())
            .hint(format!("`lockstep check` shows them:\n{}", report.plain()))
    })
}

impl From<journal::Error> for Failure {
    fn from(error: journal::Error) -> Self {
        let exit = match error {
            journal::Error::Absent { .. } => Exit::NotFound,
            journal::Error::Unfit { .. } => Exit::Usage,
            _ => Exit::Journal,
        };
        let mut failure = Self::from_error(exit, &error);
        failure.hint = error.hint().map(str::to_owned);
        failure
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let exit = match refused.kind {
            RefusedKind::NotFound => Exit::NotFound,
            RefusedKind::Usage => Exit::Usage,
            RefusedKind::Platform => Exit::Platform,
            RefusedKind::Journal => Exit::Journal,
            RefusedKind::Internal => Exit::Internal,
        };
        Self { exit, message: refused.message, causes: Vec::new(), hint: refused.hint }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(refused) => refused.into(),
            AskError::NotRunning(_) => Self::from_error(Exit::Usage, &error)
                .hint("start it (`systemctl start lockstep`, or `lockstep run`)"),
            AskError::Socket { .. } => Self::from_error(Exit::Usage, &error)
                .hint("run this as the service's user, or as a member of its group"),
            AskError::Broken(_) => Self::from_error(Exit::Internal, &error)
                .hint("use the `lockstep` that the daemon runs, or restart the daemon"),
        }
    }
}
