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
written where and by which rule, what would wait for a person, what a safety limit would stop. Nothing
is written on either side, and the journal stays as it is. Use it before the first start, and before
a changed mapping is put in force:

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
    /// Show at most so many changes; all are counted
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
    if !preview.changes.is_empty() {
        let mut table =
            out.table(["HubSpot", "Salesforce", "field", "written to", "from", "to", "rule"]);
        for planned in &preview.changes {
            let change = &planned.change;
            table.add_row([
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
        let more = preview.changes_in_all - preview.changes.len();
        if more > 0 {
            out.line(format!("… and {more} more"));
        }
        out.line("");
        let mut table = out.table(["field", "to HubSpot", "to Salesforce"]);
        for (field, counts) in &preview.fields {
            let row = [field.clone(), counts.hubspot.to_string(), counts.salesforce.to_string()];
            table.add_row(row);
        }
        out.print_table(&table);
        out.line("");
    }
    out.line(format!("{} records compared", preview.compared));
    for (side, writes) in preview.writes.iter() {
        out.line(format!(
            "{side}: {} would be changed, {} created, {} deleted",
            writes.updated, writes.created, writes.deleted,
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
