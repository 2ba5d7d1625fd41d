//! `lockstep explain`

use clap::{ArgMatches, Args};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::query::{Explained, LinkView};

pub(super) const COMMAND: Command = Command {
    name: "explain",
    about: "Say why the fields of one person, company or deal have their values",
    long: "\
Shows what both sides last agreed on, which rule decided each field and when, and what is open:
conflicts, refused writes, a place in the queue. The record is named by the link's number, by either
record's id or page address, or by the key that records are matched by.

Examples:
  lockstep explain ann@example.com
  lockstep explain L12
  lockstep explain https://app.hubspot.com/contacts/44/record/0-1/151 --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// The link, a record's id or page address, or a matching key
    #[arg(value_name = "RECORD")]
    of: String,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { of } = arguments(matches)?;
    context.log_little();
    let answer = context.ask(&Request::Explain { of })?;
    let out = &context.out;
    if out.json() {
        out.value(&answer);
        return Ok(Exit::Done);
    }
    let told: Explained = super::ask::shape(answer)?;
    head(out, &told.link);
    let mut table = out.table(["field", "value", "rule", "since", "why"]);
    for (name, field) in &told.fields {
        let last = field.last.as_ref();
        table.add_row([
            name.clone(),
            words::value(&field.value),
            words::or_dash(last.map(|last| last.rule.as_str())),
            last.map_or_else(|| "-".to_owned(), |last| words::time(last.at)),
            words::or_dash(last.map(|last| last.reason.as_str())),
        ]);
    }
    out.print_table(&table);
    for conflict in &told.conflicts {
        out.line(paint(
            Tone::Warn,
            &format!(
                "conflict on {}: HubSpot has {}, Salesforce has {} ({})",
                conflict.field,
                words::value(&conflict.hubspot),
                words::value(&conflict.salesforce),
                conflict.reason,
            ),
        ));
    }
    for reject in &told.rejects {
        let text = format!("{} refused {}: {}", reject.side, reject.field, reject.reason);
        out.line(paint(Tone::Warn, &text));
    }
    if let Some(pending) = &told.pending {
        out.line(format!(
            "waits in the {} lane since {}, due {}, tried {} times",
            pending.lane,
            words::time(pending.since),
            words::time(pending.due),
            pending.attempts,
        ));
    }
    Ok(Exit::Done)
}

/// A link in a few lines.
pub(super) fn head(out: &Output, link: &LinkView) {
    let tone = if link.state == "active" { Tone::Good } else { Tone::Warn };
    let why = link.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    out.line(format!(
        "{} {} {}{why}",
        paint(Tone::Strong, &link.link),
        link.mapping,
        paint(tone, &link.state.replace('_', " ")),
    ));
    out.line(format!("  HubSpot     {}", words::or_dash(link.records.hubspot.as_deref())));
    out.line(format!("  Salesforce  {}", words::or_dash(link.records.salesforce.as_deref())));
    out.line(format!("  settled     {}", words::some_time(link.settled)));
    if let Some(error) = &link.error {
        out.line(format!("  last error  {error}"));
    }
}
