//! `lockstep handoffs`, `lockstep handoff`

use std::collections::BTreeMap;

use clap::{ArgMatches, Args, Subcommand};
use jiff::Timestamp;

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::handoff::Preview;
use crate::daemon::query::HandoffView;
use crate::handoff::State;
use crate::handoff::story::span;
use crate::handoff::stuck::Stuck;

pub(super) const COMMAND: Command = Command {
    name: "handoffs",
    about: "List qualified leads on their way from marketing to sales, and those that are stuck",
    long: "\
Each qualification opens one handoff: qualified, sent, assigned, touched, then accepted, returned or
lapsed, then won or lost. The latest come first.

Examples:
  lockstep handoffs --state assigned --owner ann@example.com
  lockstep handoffs --older-than 24h --csv
  lockstep handoffs show ann@example.com
  lockstep handoffs stuck",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

/// `lockstep handoff preview`
pub(super) const PREVIEW: Command = Command {
    name: "handoff",
    about: "Show the next steps of a record's handoff, and what they say",
    long: "\
The texts are made from what is known of the record now. Nothing is written.

Examples:
  lockstep handoff preview ann@example.com
  lockstep handoff preview L12 --json",
    hidden: false,
    augment: PreviewArguments::augment_args,
    run: run_preview,
};

#[derive(Debug, Args)]
struct Arguments {
    #[command(subcommand)]
    sub: Option<Sub>,
    /// Those in this state only
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Those of this owner only: an e-mail address or a queue's name
    #[arg(long)]
    owner: Option<String>,
    /// Those from this source only
    #[arg(long)]
    source: Option<String>,
    /// Those that qualified so long ago or longer: 24h, 90m
    #[arg(long, value_name = "SPAN")]
    older_than: Option<jiff::SignedDuration>,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Print comma-separated values for a spreadsheet
    #[arg(long, global = true, conflicts_with = "json")]
    csv: bool,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Tell one record's handoffs in words
    Show {
        /// The handoff or link, a record's id or page address, or a matching key
        #[arg(value_name = "RECORD")]
        of: String,
    },
    /// List those that do not move, each kind with its count and the next step
    Stuck,
}

#[derive(Debug, Args)]
struct PreviewArguments {
    #[command(subcommand)]
    sub: PreviewSub,
}

#[derive(Debug, Subcommand)]
enum PreviewSub {
    /// Print each step: its subject, when it is due, what else is set, and its text
    Preview {
        /// The handoff or link, a record's id or page address, or a matching key
        #[arg(value_name = "RECORD")]
        of: String,
    },
}

fn state(word: &str) -> Result<State, String> {
    State::parse(word).ok_or_else(|| {
        let all: Vec<&str> = State::ALL.iter().map(|state| state.key()).collect();
        format!("a state is one of {}", all.join(", "))
    })
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let asked: Arguments = arguments(matches)?;
    context.log_little();
    let of = match &asked.sub {
        Some(Sub::Show { of }) => Some(of.clone()),
        _ => None,
    };
    let mut all: Vec<HandoffView> = context.ask_for(&Request::Handoffs { of })?;
    let out = &context.out;
    match asked.sub {
        Some(Sub::Show { .. }) => show(out, &all),
        Some(Sub::Stuck) => {
            let lapsed = all.iter().filter(|it| it.state == State::Lapsed).count();
            all.retain(|it| it.stuck.is_some());
            stuck(out, &all, lapsed, asked.csv)?;
        }
        None => {
            #[expect(clippy::disallowed_methods, reason = "a person asks at this moment")]
            let now = Timestamp::now();
            all.retain(|it| fits(it, &asked, now));
            all.truncate(asked.limit);
            list(out, &all, asked.csv, now)?;
        }
    }
    Ok(if all.is_empty() { Exit::NotFound } else { Exit::Done })
}

fn fits(it: &HandoffView, asked: &Arguments, now: Timestamp) -> bool {
    let same = |wanted: &Option<String>, found: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| {
            found.as_deref().is_some_and(|found| {
                found.strip_prefix("queue ").unwrap_or(found).eq_ignore_ascii_case(wanted)
            })
        })
    };
    asked.state.is_none_or(|state| it.state == state)
        && same(&asked.owner, &it.owner)
        && same(&asked.source, &it.source)
        && asked.older_than.is_none_or(|age| now.duration_since(it.qualified_at) >= age)
}

fn list(out: &Output, all: &[HandoffView], csv: bool, now: Timestamp) -> Result<(), Failure> {
    if csv {
        return values(out, all);
    }
    if out.json() {
        out.value(&all);
        return Ok(());
    }
    let mut table = out.table(["handoff", "state", "for", "owner", "source", "qualified", "why"]);
    for it in all {
        table.add_row([
            it.key.clone(),
            it.state.key().to_owned(),
            span(now.duration_since(it.since)),
            words::or_dash(it.owner.as_deref()),
            words::or_dash(it.source.as_deref()),
            words::time(it.qualified_at),
            it.why.clone().unwrap_or_else(|| it.reason.clone()),
        ]);
    }
    out.print_table(&table);
    Ok(())
}

fn stuck(out: &Output, all: &[HandoffView], lapsed: usize, csv: bool) -> Result<(), Failure> {
    if csv {
        return values(out, all);
    }
    if out.json() {
        out.value(&all);
        return Ok(());
    }
    let mut kinds: BTreeMap<Stuck, Vec<&HandoffView>> = BTreeMap::new();
    for it in all {
        if let Some(kind) = it.stuck {
            kinds.entry(kind).or_default().push(it);
        }
    }
    if kinds.is_empty() {
        out.line("no open handoff stands still");
    }
    if lapsed > 0 {
        out.line(format!(
            "{lapsed} lapsed: nobody answered in time (`lockstep handoffs --state lapsed`)"
        ));
    }
    for (kind, found) in kinds {
        out.line(paint(Tone::Warn, &format!("{} {}", found.len(), kind.words())));
        out.line(format!("  next: {}", kind.next_step()));
        for it in found.iter().take(10) {
            let owner = words::or_dash(it.owner.as_deref());
            out.line(format!("  {} {} {owner}", it.key, words::time(it.qualified_at)));
        }
        if found.len() > 10 {
            out.line(format!("  and {} more (`lockstep handoffs stuck --csv`)", found.len() - 10));
        }
    }
    Ok(())
}

fn show(out: &Output, all: &[HandoffView]) {
    if out.json() {
        out.value(&all);
        return;
    }
    if all.is_empty() {
        out.line("it was never handed off");
    }
    for it in all {
        out.line(format!("{} {} ({})", paint(Tone::Good, &it.key), it.state, it.mapping));
        for line in &it.course {
            out.line(format!("  {} {} ({})", words::time(line.at), line.text, line.witness));
        }
        if let (Some(kind), Some(next)) = (it.stuck, &it.next_step) {
            out.line(paint(Tone::Warn, &format!("  stuck: {}; {next}", kind.words())));
        }
    }
}

/// Comma-separated values, with a heading.
fn values(out: &Output, all: &[HandoffView]) -> Result<(), Failure> {
    let wrong = |error: csv::Error| Failure::of(Exit::Internal, "cannot write the values", &error);
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record([
        "handoff",
        "mapping",
        "state",
        "since",
        "qualified_at",
        "rule",
        "reason",
        "owner",
        "source",
        "segment",
        "record",
        "task",
        "opportunity",
        "touched_at",
        "answered_at",
        "why",
        "stuck",
    ])
    .map_err(wrong)?;
    for it in all {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        file.write_record([
            it.key.clone(),
            it.mapping.clone(),
            it.state.key().to_owned(),
            it.since.to_string(),
            it.qualified_at.to_string(),
            it.rule.clone(),
            it.reason.clone(),
            text(&it.owner),
            text(&it.source),
            text(&it.segment),
            text(&it.record),
            text(&it.task),
            text(&it.opportunity),
            time(it.touched_at),
            time(it.answered_at),
            text(&it.why),
            it.stuck.map(|stuck| stuck.key().to_owned()).unwrap_or_default(),
        ])
        .map_err(wrong)?;
    }
    let bytes = file
        .into_inner()
        .map_err(|error| Failure::of(Exit::Internal, "cannot write the values", error.error()))?;
    out.bytes(&bytes);
    Ok(())
}

fn run_preview(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let PreviewArguments { sub: PreviewSub::Preview { of } } = arguments(matches)?;
    context.log_little();
    let preview: Preview = context.ask_for(&Request::HandoffPreview { of })?;
    let out = &context.out;
    if out.json() {
        out.value(&preview);
        return Ok(Exit::Done);
    }
    out.line(told(&preview));
    Ok(Exit::Done)
}

/// Each step with what it says, as a person reads it.
fn told(preview: &Preview) -> String {
    let steps = preview.steps.iter().map(|step| {
        let mut lines = vec![paint(Tone::Strong, &step.what)];
        lines.extend(step.subject.iter().map(|subject| format!("subject:  {subject}")));
        lines.extend(step.due.map(|due| format!("due:      {due}")));
        if !step.details.is_empty() {
            lines.push(format!("details:  {}", step.details.join(", ")));
        }
        lines.extend(step.text.iter().map(|text| format!("\n{text}")));
        lines.join("\n")
    });
    steps.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::super::output::shown;
    use super::*;
    use crate::daemon::handoff::Planned;

    #[test]
    fn a_preview_names_each_step_with_what_it_says() {
        let planned = |what: &str| Planned { what: what.to_owned(), ..Planned::default() };
        let preview = Preview {
            steps: vec![
                Planned {
                    subject: Some("Qualified: Ada King".to_owned()),
                    due: "2026-11-02T13:00:00Z".parse().ok(),
                    details: vec!["priority High".to_owned(), "type Call".to_owned()],
                    text: Some("The score reached 50.\n\n[Lockstep 00D1 L7-1]".to_owned()),
                    ..planned("Salesforce task")
                },
                Planned { text: Some("Ann has it.".to_owned()), ..planned("HubSpot note") },
                Planned {
                    details: vec!["status Sent".to_owned()],
                    ..planned("membership of the Salesforce campaign 701000000000001AAA")
                },
            ],
        };
        insta::assert_snapshot!(shown(&told(&preview), false), @r"
        Salesforce task
        subject:  Qualified: Ada King
        due:      2026-11-02T13:00:00Z
        details:  priority High, type Call

        The score reached 50.

        [Lockstep 00D1 L7-1]

        HubSpot note

        Ann has it.

        membership of the Salesforce campaign 701000000000001AAA
        details:  status Sent
        ");
        assert_eq!(shown(&told(&Preview { steps: vec![planned("a step")] }), false), "a step");
    }
}
