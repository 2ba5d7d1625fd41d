//! `lockstep status`

use std::time::Duration;

use clap::{ArgMatches, Args};

use super::ask::{not_running, shape};
use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::{AskError, Request, ask};
use crate::daemon::status::{Health, HealthState, Status};
use crate::daemon::status_here;
use crate::daemon::webhooks::WebhookStatus;
use crate::record::Source;
use crate::settings::Effective;

pub(super) const COMMAND: Command = Command {
    name: "status",
    about: "Show how the service is doing: sides, mappings, what waits, what is wrong",
    long: "\
Asks the running service; where none runs, says what its journal says. The exit code is 0 where all is
well, 1 where something waits for a person or is late, 2 where the service does not run or a side
cannot be used.

Examples:
  lockstep status
  lockstep status --watch 2s
  lockstep status --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Show it again and again, this far apart
    #[arg(
        long, value_name = "TIME", value_parser = super::parse::time,
        num_args = 0..=1, default_missing_value = "2s"
    )]
    watch: Option<Duration>,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { watch } = arguments(matches)?;
    context.log_little();
    let effective = context.settings()?;
    let out = &context.out;
    context.block_on(async {
        loop {
            let status = ask_status(&effective).await?;
            if watch.is_some() {
                out.clear();
            }
            if out.json() {
                out.value(&status);
            } else {
                told(out, &status);
            }
            match watch {
                Some(length) => tokio::time::sleep(length).await,
                None => return Ok(exit(status.health.state)),
            }
        }
    })
}

async fn ask_status(effective: &Effective) -> Result<Status, Failure> {
    match ask(&effective.settings.directories.socket(), &Request::Status).await {
        Ok(answer) => shape(answer),
        Err(AskError::NotRunning(_))
            if effective.settings.directories.journal().join("LOCK").exists() =>
        {
            Ok(status_here(effective).await?)
        }
        Err(AskError::NotRunning(_)) => Err(not_running(&effective.settings)),
        Err(error) => Err(error.into()),
    }
}

pub(super) const fn exit(state: HealthState) -> Exit {
    match state {
        HealthState::Ok => Exit::Done,
        HealthState::Degraded => Exit::Attention,
        HealthState::Down => Exit::Usage,
    }
}

/// Health in its colour, with its problems.
pub(super) fn health(out: &Output, health: &Health) {
    let tone = |state: HealthState| match state {
        HealthState::Ok => Tone::Good,
        HealthState::Degraded => Tone::Warn,
        HealthState::Down => Tone::Bad,
    };
    out.line(paint(tone(health.state), health.state.word()));
    for problem in &health.problems {
        let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        out.line(format!("  {}{hint}", paint(tone(problem.state), &problem.what)));
    }
}

/// Where the news of each object comes from, and how old the last is.
fn news(out: &Output, status: &Status) {
    let mut table = out.table(["object", "news from", "last news", "asked", "push", "cover"]);
    for (side, one) in status.sides.iter() {
        for (object, news) in &one.objects {
            let from = news.from.unwrap_or(Source::Poll);
            let push = news.push.as_ref();
            table.add_row([
                format!("{side} {object}"),
                from.word().to_owned(),
                words::some_time(news.last_news()),
                words::some_time(news.last_round),
                words::or_dash(push.map(|push| push.state.word())),
                push.map_or_else(|| words::or_dash(None), |_| news.cover.word()),
            ]);
        }
    }
    out.print_table(&table);
    out.line("");
}

/// What became of HubSpot's webhooks.
fn webhooks(out: &Output, status: &WebhookStatus) {
    out.line(format!(
        "webhooks: {} deliveries with {} events ({} of them our own writes), the last {}",
        status.deliveries,
        status.events,
        status.echoes,
        words::some_time(status.last_delivery),
    ));
    if !status.turned_away.is_empty() {
        let kinds: Vec<String> = status
            .turned_away
            .iter()
            .map(|(why, count)| format!("{count} {}", why.word()))
            .collect();
        out.line(format!("requests turned away: {}", kinds.join(", ")));
    }
    out.line("");
}

fn told(out: &Output, status: &Status) {
    health(out, &status.health);
    out.line(format!("running since {}, version {}", words::time(status.started), status.version));
    out.line("");
    let mut table =
        out.table(["side", "account", "as", "asked", "last change", "calls", "of the day"]);
    for (side, one) in status.sides.iter() {
        let day = match (one.calls.used, one.calls.limit) {
            (Some(used), Some(limit)) => format!("{used} of {limit}"),
            (Some(used), None) => used.to_string(),
            _ => "-".to_owned(),
        };
        table.add_row([
            side.to_string(),
            words::or_dash(one.account.as_deref()),
            words::or_dash(one.user.as_deref()),
            words::some_time(one.last_round),
            words::some_time(one.last_change),
            one.calls.made.to_string(),
            day,
        ]);
    }
    out.print_table(&table);
    out.line("");
    news(out, status);
    if let Some(webhooks) = &status.webhooks {
        self::webhooks(out, webhooks);
    }
    let mut table = out.table([
        "mapping",
        "links",
        "handoff",
        "ordinary",
        "backfill",
        "conflicts",
        "rejects",
        "",
    ]);
    for mapping in &status.mappings {
        let lane = |name: &str| mapping.pending.get(name).copied().unwrap_or_default().to_string();
        let taking = mapping.taking_in.as_ref();
        let taking = taking.map(|one| format!("taking in {}: {} seen", one.why, one.seen));
        table.add_row([
            mapping.mapping.clone(),
            mapping.links.to_string(),
            lane("handoff"),
            lane("ordinary"),
            lane("backfill"),
            (mapping.conflicts + mapping.matches).to_string(),
            mapping.rejects.to_string(),
            taking.unwrap_or_default(),
        ]);
    }
    out.print_table(&table);
    for mapping in status.mappings.iter().filter(|mapping| mapping.owners_left > 0) {
        out.line(format!(
            "{}: an owner was left as it was {} times, known to nobody across by e-mail ([owners] \
             unknown = \"leave\")",
            mapping.mapping, mapping.owners_left,
        ));
    }
    out.line("");
    out.line(format!(
        "{} holds, {} being settled, journal {} MiB",
        status.holds,
        status.settling,
        status.journal_bytes.div_ceil(1 << 20),
    ));
}
