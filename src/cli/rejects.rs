//! `lockstep rejects`

use clap::{ArgMatches, Args, Subcommand};

use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::query::RejectView;

pub(super) const COMMAND: Command = Command {
    name: "rejects",
    about: "List writes that a platform refused, and try them again or drop them",
    long: "\
A refused write is kept with the platform's reason. The same values are not tried again by
themselves; they are when the record changes, or when they are asked for here. Dropping one leaves the
sides as they differ.

Examples:
  lockstep rejects list
  lockstep rejects retry L12
  lockstep rejects retry --all
  lockstep rejects drop L12",
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
    /// List refused writes
    List {
        /// Of this mapping only
        #[arg(long)]
        mapping: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Try again
    Retry {
        /// A link's number, or a record's id
        #[arg(value_name = "RECORD", required_unless_present = "all")]
        of: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "of")]
        all: bool,
    },
    /// Forget
    Drop {
        /// A link's number, or a record's id
        #[arg(value_name = "RECORD")]
        of: String,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let (request, done) = match action {
        Action::List { mapping, limit } => return list(context, mapping, limit),
        Action::Retry { of, .. } => (Request::RetryRejects { of }, "to be tried again"),
        Action::Drop { of } => (Request::DropRejects { of }, "dropped"),
    };
    let count: u64 = context.ask_for(&request)?;
    if context.out.json() {
        context.out.value(&count);
    } else {
        context.out.line(format!("{count} {done}"));
    }
    Ok(Exit::Done)
}

fn list(context: &Context, mapping: Option<String>, limit: usize) -> Result<Exit, Failure> {
    let rejects: Vec<RejectView> = context.ask_for(&Request::Rejects { mapping, limit })?;
    let out = &context.out;
    if out.json() {
        out.value(&rejects);
    } else if rejects.is_empty() {
        out.line("no refused writes");
    } else {
        let mut table = out.table(["of", "refused by", "field", "code", "why", "since", "tries"]);
        for reject in &rejects {
            let hint = reject.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            let again = if reject.retry { " (to be tried again)" } else { "" };
            table.add_row([
                format!("{} {}", reject.of, reject.mapping),
                reject.side.to_string(),
                reject.field.clone(),
                reject.code.clone(),
                format!("{}{hint}", reject.reason),
                words::time(reject.since),
                format!("{}{again}", reject.tries),
            ]);
        }
        out.print_table(&table);
    }
    Ok(if rejects.is_empty() { Exit::Done } else { Exit::Attention })
}
