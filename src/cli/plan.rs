//! `lockstep plan`

use clap::{ArgMatches, Args};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::{AskError, Request, ask};
use crate::daemon::{Preview, preview_here};
use crate::settings::Effective;

pub(super) const COMMAND: Command = Command {
    name: "plan",
    about: "Show what would be written now, without writing anything",
    long: "\
Reads both sides, decides every link as the service would, and shows the outcome: what would be
written where and by which rule, what would be created and with which values, what would wait for a
person, what a safety limit would stop, and what it would cost in calls. Nothing is written on either
side, and the journal stays as it is. Use it before the first start, and before a changed mapping is put
in force.

The cost is counted by the batches in which the service would send it. Refused and lost writes add calls;
tasks of handoffs are not in it. What the platforms fill in by themselves (default values, owners by
assignment rules) is not known beforehand and may come back as changes.

Examples:
  lockstep plan
  lockstep plan --limit 20
  lockstep --config trial/lockstep.toml plan --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Show at most so many changes, and so many new records; all are counted
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { limit } = arguments(matches)?;
    context.log_little();
    let effective = context.settings()?;
    let preview = context.block_on(plan(&effective, limit))?;
    let out = &context.out;
    if out.json() {
        out.value(&preview);
    } else {
        told(out, &preview);
    }
    let waits = !preview.conflicts.fields.is_empty()
        || !preview.conflicts.matches.is_empty()
        || !preview.rejects.is_empty()
        || preview.held > 0;
    Ok(if waits { Exit::Attention } else { Exit::Done })
}

async fn plan(effective: &Effective, limit: usize) -> Result<Preview, Failure> {
    let socket = effective.settings.directories.socket();
    match ask(&socket, &Request::Plan { limit }).await {
        Ok(answer) => super::ask::shape(answer),
        Err(AskError::NotRunning(_)) => Ok(preview_here(effective, limit).await?),
        Err(error) => Err(error.into()),
    }
}

fn told(out: &Output, preview: &Preview) {
    created(out, preview);
    deleted(out, preview);
    changed(out, preview);
    out.line(format!("{} comparisons of records", preview.compared));
    for (side, writes) in preview.writes.iter() {
        out.line(format!(
            "{side}: {} would be changed, {} created, {} deleted",
            writes.updated, writes.created, writes.deleted,
        ));
    }
    for (side, cost) in preview.calls.iter() {
        let left = cost.left.map(|left| format!("; {left} are left today")).unwrap_or_default();
        out.line(format!(
            "{side}: about {} calls, {} to read and {} to write{left}",
            cost.reads + cost.writes,
            cost.reads,
            cost.writes,
        ));
    }
    for (count, what) in [
        (preview.conflicts.fields.len(), "conflicts would wait for a person"),
        (preview.conflicts.matches.len(), "records may belong to several"),
        (preview.rejects.len(), "values cannot be taken"),
        (preview.held, "links would be held by a safety limit"),
    ] {
        if count > 0 {
            out.line(paint(Tone::Warn, &format!("{count} {what}")));
        }
    }
    for reject in &preview.rejects {
        out.line(format!("  {} {} {}: {}", reject.of, reject.side, reject.field, reject.reason));
    }
    out.line("nothing was written");
}

fn more(out: &Output, all: usize, shown: usize) {
    if all > shown {
        out.line(format!("… and {} more", all - shown));
    }
    out.line("");
}

/// Each record that would be created, with a line for each field.
fn created(out: &Output, preview: &Preview) {
    if preview.creations.is_empty() {
        return;
    }
    let mut table = out.table(["created", "HubSpot", "Salesforce", "field", "from", "to", "rule"]);
    for record in &preview.creations {
        for (place, field) in record.fields.iter().enumerate() {
            let first = |text: Option<&str>| match place {
                0 => words::or_dash(text),
                _ => String::new(),
            };
            table.add_row([
                first(Some(&record.mapping)),
                first(record.records.hubspot.as_deref()),
                first(record.records.salesforce.as_deref()),
                field.field.clone(),
                "(none)".to_owned(),
                words::value(&field.new),
                field.rule.clone(),
            ]);
        }
    }
    out.print_table(&table);
    more(out, preview.creations_in_all, preview.creations.len());
}

fn deleted(out: &Output, preview: &Preview) {
    if preview.deletions.is_empty() {
        return;
    }
    let mut table = out.table(["deleted", "in", "HubSpot", "Salesforce"]);
    for record in &preview.deletions {
        table.add_row([
            record.mapping.clone(),
            record.side.to_string(),
            words::or_dash(record.records.hubspot.as_deref()),
            words::or_dash(record.records.salesforce.as_deref()),
        ]);
    }
    out.print_table(&table);
    more(out, preview.deletions_in_all, preview.deletions.len());
}

/// Each field of a record that is there and would get another value, and how many of each there are.
fn changed(out: &Output, preview: &Preview) {
    if preview.changes.is_empty() {
        return;
    }
    let mut table = out.table([
        "changed",
        "HubSpot",
        "Salesforce",
        "field",
        "written to",
        "from",
        "to",
        "rule",
    ]);
    for planned in &preview.changes {
        let change = &planned.change;
        table.add_row([
            planned.mapping.clone(),
            words::or_dash(planned.records.hubspot.as_deref()),
            words::or_dash(planned.records.salesforce.as_deref()),
            change.field.clone(),
            words::or_dash(change.side.map(|side| side.name())),
            words::value(&change.old),
            words::value(&change.new),
            change.rule.clone(),
        ]);
    }
    out.print_table(&table);
    more(out, preview.changes_in_all, preview.changes.len());
    let mut table = out.table(["field", "to HubSpot", "to Salesforce"]);
    for (field, counts) in &preview.fields {
        let row = [field.clone(), counts.hubspot.to_string(), counts.salesforce.to_string()];
        table.add_row(row);
    }
    out.print_table(&table);
    out.line("");
}
