//! `lockstep schema`

use clap::{ArgMatches, Args};

use super::{Command, Context, Exit, Failure, arguments};
use crate::mapping::schema;

pub(super) const COMMAND: Command = Command {
    name: "schema",
    about: "Print the JSON Schema of a mapping file, for editors",
    long: "\
An editor that knows TOML (taplo, and the extensions built on it) completes and explains keys by it:
put `#:schema ./mapping.schema.json` in a mapping file's first line.

Examples:
  lockstep schema > mappings/mapping.schema.json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments {} = arguments(matches)?;
    // JSON either way: `--json` asks for what it is.
    context.out.value(&schema());
    Ok(Exit::Done)
}
