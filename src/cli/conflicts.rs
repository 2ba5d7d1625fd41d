//! `lockstep conflicts`

use clap::{ArgMatches, Args, Subcommand};

use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::{Request, Take};
use crate::daemon::query::Conflicts;
use crate::record::{LinkId, Side};

pub(super) const COMMAND: Command = Command {
    name: "conflicts",
    about: "List fields that both sides changed differently, and decide them",
    long: "\
A conflict waits where no rule of the mapping had an opinion, or the rule is `ask`. A record that may
belong to several records across waits here too. Both are decided here, or by making both sides equal
in either product.

Examples:
  lockstep conflicts list
  lockstep conflicts list --mapping people --json
  lockstep conflicts resolve L12 phone --take salesforce
  lockstep conflicts resolve L12 phone --value '+4930123456'
  lockstep conflicts match 151 00QD000000IRFmbMAH
  lockstep conflicts match 151 none",
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
    /// List what waits for a person
    List {
        /// Of this mapping only
        #[arg(long)]
        mapping: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Decide one field
    Resolve {
        /// The link's number
        #[arg(value_parser = super::parse::link)]
        link: LinkId,
        /// The field's name in the mapping
        field: String,
        /// The side whose value holds
        #[arg(long, value_enum, required_unless_present = "value", conflicts_with = "value")]
        take: Option<super::login::SideWord>,
        /// Another value that holds, as the mapping's tables name it; "" for none
        #[arg(long)]
        value: Option<String>,
    },
    /// Say to which of several records one belongs
    Match {
        /// The record that waits, by id
        record: String,
        /// The record across that it belongs to, by id; or none
        to: String,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let out = &context.out;
    let (request, said) = match action {
        Action::List { mapping, limit } => return list(context, mapping, limit),
        Action::Resolve { link, field, take, value } => {
            let take = match (take, value) {
                (Some(side), _) => Take::Side(Side::from(side)),
                (None, value) => Take::Value(value.unwrap_or_default()),
            };
            let said = format!("{link} {field} is decided; the next settlement writes it");
            (Request::Resolve { link, field, take }, said)
        }
        Action::Match { record, to } => {
            let said = format!("{record} is decided; the next settlement carries it out");
            let to = (to != "none").then_some(to);
            (Request::ChooseMatch { record, to }, said)
        }
    };
    let answer = context.ask(&request)?;
    if out.json() {
        out.value(&answer);
    } else {
        out.line(said);
    }
    Ok(Exit::Done)
}

fn list(context: &Context, mapping: Option<String>, limit: usize) -> Result<Exit, Failure> {
    let open: Conflicts = context.ask_for(&Request::Conflicts { mapping, limit })?;
    let out = &context.out;
    let none = open.fields.is_empty() && open.matches.is_empty();
    if out.json() {
        out.value(&open);
    } else if none {
        out.line("no conflicts");
    } else {
        if !open.fields.is_empty() {
            let mut table = out.table([
                "link",
                "field",
                "agreed",
                "HubSpot",
                "Salesforce",
                "since",
                "why",
                "decided",
            ]);
            for conflict in &open.fields {
                table.add_row([
                    format!("{} {}", conflict.link, conflict.mapping),
                    conflict.field.clone(),
                    words::value(&conflict.base),
                    words::value(&conflict.hubspot),
                    words::value(&conflict.salesforce),
                    words::time(conflict.since),
                    conflict.reason.clone(),
                    conflict.decided.as_ref().map_or_else(|| "-".to_owned(), words::value),
                ]);
            }
            out.print_table(&table);
        }
        if !open.matches.is_empty() {
            let mut table = out.table(["record", "may belong to", "since", "why", "decided"]);
            for waiting in &open.matches {
                let candidates: Vec<String> = waiting
                    .candidates
                    .iter()
                    .map(|(record, how)| format!("{record} (by {how})"))
                    .collect();
                table.add_row([
                    waiting.record.clone(),
                    candidates.join("\n"),
                    words::time(waiting.since),
                    waiting.reason.clone(),
                    words::or_dash(waiting.decided.as_deref()),
                ]);
            }
            out.print_table(&table);
        }
    }
    Ok(if none { Exit::Done } else { Exit::Attention })
}
