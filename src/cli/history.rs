//! `lockstep history`

use clap::{ArgMatches, Args};

use super::output::{Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::query::HistoryView;

pub(super) const COMMAND: Command = Command {
    name: "history",
    about: "List who changed which field of a record, from what to what, and by which rule",
    long: "\
The newest line comes first. A value that did not live on stands in its line: nothing is overwritten
without a trace. A record that is linked to nothing has no history of its own; what an interrupted
settlement may have overwritten there is listed.

Examples:
  lockstep history ann@example.com
  lockstep history L12 --limit 5
  lockstep history L12 --field phone --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The link, a record's id or page address, or a matching key
    #[arg(value_name = "RECORD")]
    of: String,
    /// At most so many lines
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Lines of this field only
    #[arg(long)]
    field: Option<String>,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { of, limit, field } = arguments(matches)?;
    context.log_little();
    let all = if field.is_some() { usize::MAX } else { limit };
    let mut lines: Vec<HistoryView> =
        context.ask_for(&Request::History { of, limit: all, before: None })?;
    if let Some(field) = field {
        lines.retain(|line| line.field == field);
        lines.truncate(limit);
    }
    let out = &context.out;
    if out.json() {
        out.value(&lines);
    } else {
        let mut table = out.table(["when", "field", "side", "from", "to", "rule", "why"]);
        for line in &lines {
            let lost: Vec<String> = line
                .lost
                .iter()
                .map(|(side, value)| format!("{side} had {}", words::value(value)))
                .collect();
            let lost = match lost.is_empty() {
                true => String::new(),
                false => format!(" {}", paint(Tone::Warn, &format!("[lost: {}]", lost.join(", ")))),
            };
            table.add_row([
                words::time(line.at),
                line.field.clone(),
                words::or_dash(line.side.map(|side| side.name())),
                words::value(&line.old),
                words::value(&line.new),
                line.rule.clone(),
                format!("{}{lost}", line.reason),
            ]);
        }
        out.print_table(&table);
    }
    Ok(if lines.is_empty() { Exit::NotFound } else { Exit::Done })
}
