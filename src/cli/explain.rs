//! `lockstep explain`

use std::collections::{BTreeMap, BTreeSet};

use clap::{ArgMatches, Args};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::{AskError, Request, ask};
use crate::daemon::explain_here;
use crate::daemon::query::{Explained, LinkView};
use crate::record::Side;
use crate::settings::Effective;

pub(super) const COMMAND: Command = Command {
    name: "explain",
    about: "Say why the fields of one person, company or deal have their values",
    long: "\
Reads both sides and shows each field as they have it, what both last agreed on, which rule decided
it and when, and what would be decided now; then what is open: conflicts, refused writes, a place in
the queue. Nothing is written. The record is named by the link's number, by either
record's id or page address, or by the key that records are matched by.

Examples:
  lockstep explain ann@example.com
  lockstep explain L12 --field phone
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
    /// Tell of this field only, in sentences
    #[arg(long)]
    field: Option<String>,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { of, field } = arguments(matches)?;
    context.log_little();
    let effective = context.settings()?;
    let told = context.block_on(explained(&effective, &of))?;
    let out = &context.out;
    if out.json() {
        out.value(&told);
        return Ok(Exit::Done);
    }
    if let Some(field) = field {
        return one_field(out, &told, &field);
    }
    head(out, &told.link);
    if let Some(why) = &told.not_asked {
        out.line(paint(Tone::Warn, &format!("the sides could not be asked: {why}")));
    }
    fields(out, &told);
    for note in told.present.iter().flat_map(|present| &present.notes) {
        out.line(note);
    }
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

/// From the daemon; where none runs, found out here.
async fn explained(effective: &Effective, of: &str) -> Result<Explained, Failure> {
    let settings = &effective.settings;
    let request = Request::Explain { of: of.to_owned() };
    match ask(&settings.directories.socket(), &request).await {
        Err(AskError::NotRunning(_)) if settings.directories.journal().join("LOCK").exists() => {
            Ok(explain_here(effective, of).await?)
        }
        Err(AskError::NotRunning(_)) => {
            super::ask::shape(super::ask::answer(effective, &request).await?)
        }
        answer => super::ask::shape(answer?),
    }
}

/// Every field in a line.
fn fields(out: &Output, told: &Explained) {
    let none = BTreeMap::new();
    let present = told.present.as_ref().map_or(&none, |present| &present.fields);
    let names: BTreeSet<&String> = told.fields.keys().chain(present.keys()).collect();
    let mut table =
        out.table(["field", "HubSpot", "Salesforce", "agreed", "last rule", "since", "why"]);
    for name in names {
        let agreed = told.fields.get(name);
        let last = agreed.and_then(|field| field.last.as_ref());
        let values = present.get(name).map(|field| &field.values);
        let value = |side: Side| values.and_then(|values| values.get(side).as_deref());
        table.add_row([
            name.clone(),
            words::or_dash(value(Side::HubSpot)),
            words::or_dash(value(Side::Salesforce)),
            agreed.map_or_else(|| "-".to_owned(), |field| words::value(&field.value)),
            words::or_dash(last.map(|last| last.rule.as_str())),
            last.map_or_else(|| "-".to_owned(), |last| words::time(last.at)),
            words::or_dash(last.map(|last| last.reason.as_str())),
        ]);
    }
    out.print_table(&table);
}

/// One field in sentences.
fn one_field(out: &Output, told: &Explained, name: &str) -> Result<Exit, Failure> {
    let present = told.present.as_ref().and_then(|present| present.fields.get(name));
    let agreed = told.fields.get(name);
    if present.is_none() && agreed.is_none() {
        let text = format!("{} has no field called {name:?}", told.link.mapping);
        return Err(Failure::new(Exit::NotFound, text)
            .hint("`lockstep explain` without --field lists them"));
    }
    for sentence in present.iter().flat_map(|field| &field.sentences) {
        out.line(sentence);
    }
    if let Some(why) = &told.not_asked {
        out.line(paint(Tone::Warn, &format!("the sides could not be asked: {why}")));
    }
    if let Some(last) = agreed.and_then(|field| field.last.as_ref()) {
        out.line(format!(
            "Last, at {}, by {}: from {} to {}, because {}.",
            words::time(last.at),
            last.rule,
            words::value(&last.old),
            words::value(&last.new),
            last.reason,
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
