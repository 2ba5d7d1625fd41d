//! The command line: one file per subcommand, and the only room that prints.
//!
//! [`COMMANDS`] is the register of subcommands. Each entry carries its name, its line in the list,
//! its long text with examples, its arguments and its function; the help, the completions and the
//! manual page come from it. What a command has to say goes through `Output`, which knows whether
//! people or programs read; what went wrong comes back as a [`Failure`] and is printed once, at the
//! end of [`main`].

mod ask;
mod exit;
mod failure;
mod logs;
mod output;
mod parse;
pub mod rehearsal;
mod stop;
mod webhooks;
mod words;

mod check;
mod completions;
mod conflicts;
mod demo;
mod explain;
mod handoffs;
mod health;
mod history;
mod holds;
mod init;
mod journal;
mod links;
mod login;
mod man;
mod plan;
mod rejects;
mod report;
mod run;
mod sandbox;
mod schema;
mod settings;
mod simulate;
mod status;
mod sync;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, ArgMatches, Args, FromArgMatches};

pub use exit::Exit;
pub use failure::Failure;
use output::Output;

use crate::settings::{Effective, Sources, load};

/// One subcommand.
pub struct Command {
    /// The word for it.
    pub name: &'static str,
    /// Its line in the list of commands.
    pub about: &'static str,
    /// What its help says after its arguments: what it does when, and examples.
    pub long: &'static str,
    /// Whether the list leaves it out.
    pub hidden: bool,
    augment: fn(clap::Command) -> clap::Command,
    run: fn(&mut Context, &ArgMatches) -> Result<Exit, Failure>,
}

/// All subcommands, in the order of the list.
pub const COMMANDS: &[Command] = &[
    run::COMMAND,
    sync::COMMAND,
    status::COMMAND,
    health::COMMAND,
    plan::COMMAND,
    explain::COMMAND,
    history::COMMAND,
    conflicts::COMMAND,
    rejects::COMMAND,
    links::COMMAND,
    holds::COMMAND,
    handoffs::COMMAND,
    handoffs::PREVIEW,
    report::COMMAND,
    init::COMMAND,
    check::COMMAND,
    schema::COMMAND,
    login::COMMAND,
    webhooks::COMMAND,
    settings::COMMAND,
    journal::COMMAND,
    sandbox::COMMAND,
    demo::COMMAND,
    simulate::COMMAND,
    completions::COMMAND,
    man::COMMAND,
];

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The settings file [default: /etc/lockstep/lockstep.toml, else ./lockstep.toml]
    #[arg(long, global = true, value_name = "FILE", env = "LOCKSTEP_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    json: bool,
    /// Whether to colour the output
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value = "auto")]
    color: output::When,
    /// Log more; repeat for more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Show no progress bars, not even on a terminal
    #[arg(long, global = true)]
    no_progress: bool,
}

/// What a subcommand runs with.
pub struct Context {
    /// The global options.
    pub global: Global,
    /// Where it says what it has to say.
    pub out: Output,
}

impl Context {
    /// The settings in force.
    ///
    /// # Errors
    /// All mistakes in them at once.
    pub fn settings(&self) -> Result<Effective, Failure> {
        let sources = Sources::read(self.global.config.as_deref())?;
        Ok(load(&sources)?)
    }

    /// Starts logging as a short command does: warnings on the error stream.
    pub fn log_little(&self) {
        logs::start_little(&self.global);
    }

    /// Starts logging as the service does.
    ///
    /// # Errors
    /// Where the settings of the log cannot be met.
    pub fn log_by(&self, settings: &crate::settings::Logs) -> Result<(), Failure> {
        logs::start(&self.global, settings)
    }

    /// Runs `work` on a runtime of its own, on this thread.
    ///
    /// # Errors
    /// What `work` ends with, or that the system gives no runtime.
    pub fn block_on<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::of(Exit::Internal, "cannot start the runtime", &error))?
            .block_on(work)
    }
}

/// The whole command line.
#[must_use]
pub fn command() -> clap::Command {
    let styles = Styles::styled()
        .header(AnsiColor::Green.on_default().bold())
        .usage(AnsiColor::Green.on_default().bold())
        .literal(AnsiColor::Cyan.on_default())
        .placeholder(AnsiColor::Cyan.on_default());
    // The options first: what is documented on their struct is not the program's description.
    let root = Global::augment_args(clap::Command::new("lockstep"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("Keeps HubSpot and Salesforce telling the same story about every lead")
        .after_long_help(exit::table())
        .styles(styles)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .max_term_width(100);
    COMMANDS.iter().fold(root, |root, command| {
        let sub = (command.augment)(clap::Command::new(command.name))
            .about(command.about)
            .after_long_help(command.long)
            .hide(command.hidden);
        root.subcommand(sub)
    })
}

/// Parses the arguments, runs the subcommand, prints its failure where it fails.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version come this way too, and are no mistakes.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Where the reader has gone there is nobody to tell.
            let _ = error.print();
            return exit.into();
        }
    };
    let global = match Global::from_arg_matches(&matches) {
        Ok(global) => global,
        Err(error) => error.exit(),
    };
    let out = Output::new(global.json, global.color, global.no_progress);
    let mut context = Context { global, out };
    let exit = match dispatch(&mut context, &matches) {
        Ok(exit) => exit,
        Err(failure) => {
            context.out.failure(&failure);
            failure.exit
        }
    };
    exit.into()
}

fn dispatch(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let chosen = matches.subcommand().and_then(|(name, matches)| {
        COMMANDS.iter().find(|command| command.name == name).map(|command| (command, matches))
    });
    match chosen {
        Some((command, matches)) => (command.run)(context, matches),
        None => Err(Failure::new(Exit::Usage, "no command was given").hint("see lockstep --help")),
    }
}

/// Reads a subcommand's own arguments.
fn arguments<T: FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

#[cfg(test)]
mod tests;
