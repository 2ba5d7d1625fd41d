//! `lockstep links`

use clap::{ArgMatches, Args, Subcommand};

use super::{Command, Context, Exit, Failure, arguments, explain};
use crate::daemon::control::Request;
use crate::daemon::query::LinkView;
use crate::record::LinkId;

pub(super) const COMMAND: Command = Command {
    name: "links",
    about: "Find which records belong together, link two by hand, end a link",
    long: "\
A link says that two records are the same person, company or deal. Links are made by the id fields
and matching keys of the mapping; where those are wrong or missing, they are made here. Two records
that are linked by hand meet for the first time: each field's `first` rule decides. Ending a link
changes neither record; history keeps the reason that is given.

Examples:
  lockstep links find ann@example.com
  lockstep links add people 151 00QD000000IRFmaMAH
  lockstep links remove L12
  lockstep links remove L12 --reason namesakes",
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
    /// Find links
    Find {
        /// A link's number, a record's id or page address, or a matching key
        #[arg(value_name = "RECORD")]
        what: String,
    },
    /// Link two records
    Add {
        /// The mapping's name
        mapping: String,
        /// HubSpot's record id
        hubspot: String,
        /// Salesforce's record id
        salesforce: String,
    },
    /// End a link
    Remove {
        /// The link's number
        #[arg(value_parser = super::parse::link)]
        link: LinkId,
        /// Why, for history
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { action } = arguments(matches)?;
    context.log_little();
    let out = &context.out;
    let links: Vec<LinkView> = match action {
        Action::Find { what } => context.ask_for(&Request::FindLinks { what })?,
        Action::Add { mapping, hubspot, salesforce } => {
            vec![context.ask_for(&Request::AddLink { mapping, hubspot, salesforce })?]
        }
        Action::Remove { link, reason } => {
            vec![context.ask_for(&Request::RemoveLink { link, reason })?]
        }
    };
    if out.json() {
        out.value(&links);
    } else {
        for link in &links {
            explain::head(out, link);
        }
        if links.is_empty() {
            out.line("no links");
        }
    }
    Ok(if links.is_empty() { Exit::NotFound } else { Exit::Done })
}
