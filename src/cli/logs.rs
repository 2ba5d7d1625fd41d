//! Where log lines go. The program's own doings are logged; a person's data is not, above debug.

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::{Exit, Failure, Global};
use crate::settings::{LogFormat, Logs};

/// Our own doings in detail; what the packages below do is of no interest yet.
const DEBUG: &str = "info,lockstep=debug";

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Logs as a short command does: warnings for people on the error stream.
pub(super) fn start_little(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => DEBUG,
        (false, _) => "trace",
    };
    install(EnvFilter::new(level), text());
}

/// Logs as the service does: by the settings, unless an option says more or less.
///
/// # Errors
/// Where the level is no filter, or the journal is asked for and is not there.
pub(super) fn start(global: &Global, logs: &Logs) -> Result<(), Failure> {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => logs.level.as_str(),
        (false, 1) => DEBUG,
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_new(level).map_err(|error| {
        Failure::of(Exit::Usage, format!("logs.level = {level:?} is not a level or filter"), &error)
            .hint("write error, warn, info, debug or trace, or a filter such as info,hyper=warn")
    })?;
    let layer = match logs.format {
        LogFormat::Text => text(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
        LogFormat::Journald => journal().map_err(|error| {
            Failure::of(
                Exit::Usage,
                "logs.format is journald, and the journal is not there",
                &error,
            )
            .hint("set logs.format = \"text\" or \"json\"")
        })?,
        // systemd connects the error stream to the journal and says so by this variable.
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => {
            journal().unwrap_or_else(|_| text())
        }
        LogFormat::Auto => text(),
    };
    install(filter, layer);
    Ok(())
}

#[cfg(feature = "journald")]
fn journal() -> std::io::Result<Boxed> {
    tracing_journald::layer().map(Layer::boxed)
}

#[cfg(not(feature = "journald"))]
fn journal() -> std::io::Result<Boxed> {
    Err(std::io::Error::other("this program was built without the feature \"journald\""))
}

fn install(filter: EnvFilter, layer: Boxed) {
    // A second start in one process (a test) keeps the first.
    let _ = Registry::default().with(layer.with_filter(filter)).try_init();
}

fn text() -> Boxed {
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).boxed()
}
