//! `lockstep settings`

use clap::{ArgMatches, Args};

use super::output::{Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::settings::{DEFAULTS, Origin};

pub(super) const COMMAND: Command = Command {
    name: "settings",
    about: "Show the settings in force and where each comes from",
    long: "\
Settings come from the built-in defaults, systemd's directories, the settings file and the
environment, each going before the one named ahead of it. A secret's value is never shown, only
where it would be read.

Examples:
  lockstep settings                              what is in force, with its origin
  lockstep settings --defaults                   every setting, explained, with its default
  lockstep settings --defaults > lockstep.toml   a settings file to begin with",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Print the documented defaults, as a settings file
    #[arg(long)]
    defaults: bool,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { defaults } = arguments(matches)?;
    let out = &context.out;
    if defaults {
        out.text(DEFAULTS);
        return Ok(Exit::Done);
    }
    let effective = context.settings()?;
    if out.json() {
        let entries = effective.entries.iter().map(|entry| {
            serde_json::json!({
                "key": entry.key,
                "value": entry.value,
                "origin": entry.origin.to_string(),
                "secret": entry.secret,
            })
        });
        let entries: Vec<_> = entries.collect();
        out.value(&serde_json::json!({ "file": effective.file, "settings": entries }));
        return Ok(Exit::Done);
    }
    let mut table = out.table(["setting", "value", "from"]);
    for entry in &effective.entries {
        let tone = if entry.origin == Origin::Default { Tone::Dim } else { Tone::Good };
        let value =
            if entry.secret { format!("(in {})", entry.value) } else { entry.value.clone() };
        table.add_row([entry.key.clone(), value, paint(tone, &entry.origin.to_string())]);
    }
    out.print_table(&table);
    Ok(Exit::Done)
}
