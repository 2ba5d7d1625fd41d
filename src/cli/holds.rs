//! `lockstep holds`

use clap::{ArgMatches, Args, Subcommand};

use super::output::{Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::query::HoldView;

pub(super) const COMMAND: Command = Command {
    name: "holds",
    about: "List what the safety limits stopped, and release it",
    long: "\
A hold stops plans that together would change too much: too many records, too many deletions, a side
that is suddenly empty. Nothing of it is written until it is released; a mapping file that is put
right instead makes the plans harmless, and releasing them then writes little. The settings' section
[limits] says when plans are held. Where the service does not run, what is released is noted in its
journal and carried out when it starts.

Examples:
  lockstep holds list
  lockstep holds list --all --json
  lockstep holds release 3",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List holds that wait
    List {
        /// Those that were released as well
        #[arg(long)]
        all: bool,
    },
    /// Let the plans of a hold pass
    Release {
        /// The hold's number
        hold: u64,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let out = &context.out;
    match action {
        Action::Release { hold } => {
            let held: HoldView = context.ask_for(&Request::ReleaseHold { hold })?;
            if out.json() {
                out.value(&held);
            } else {
                out.line(format!(
                    "hold {hold} is released; its {} plans are decided anew",
                    held.count
                ));
            }
            Ok(Exit::Done)
        }
        Action::List { all } => {
            let mut holds: Vec<HoldView> = context.ask_for(&Request::Holds)?;
            holds.retain(|hold| all || hold.released.is_none());
            if out.json() {
                out.value(&holds);
            } else if holds.is_empty() {
                out.line("no holds");
            }
            if !out.json() {
                for hold in &holds {
                    out.line(format!(
                        "{} {} {} plans since {}: {}{}",
                        paint(Tone::Strong, &format!("hold {}", hold.hold)),
                        words::or_dash(hold.mapping.as_deref()),
                        hold.count,
                        words::time(hold.since),
                        hold.reason,
                        hold.released
                            .map(|at| format!(" (released {})", words::time(at)))
                            .unwrap_or_default(),
                    ));
                    for plan in &hold.sample {
                        for line in plan.lines() {
                            out.line(format!("    {line}"));
                        }
                    }
                }
            }
            let waits = holds.iter().any(|hold| hold.released.is_none());
            Ok(if waits { Exit::Attention } else { Exit::Done })
        }
    }
}
