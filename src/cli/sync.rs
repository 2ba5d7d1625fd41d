//! `lockstep sync`

use std::time::Duration;

use clap::{ArgMatches, Args};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::control::{AskError, Request, ask};
use crate::daemon::{Synced, assemble_and_start};
use crate::settings::Effective;

pub(super) const COMMAND: Command = Command {
    name: "sync",
    about: "Ask both sides for changes now, settle them, and end",
    long: "\
Asks the running service to do so; where none runs, does it in this process: takes in what exists if
that has not been done, settles everything that is due, and ends. For a first run by hand, for scripts
and for machines that wake up now and then.

Examples:
  lockstep sync --once
  lockstep sync --once --wait 1m --json",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// One round; the service (`lockstep run`) does it continuously
    #[arg(long, required = true)]
    once: bool,
    /// Also wait for what falls due within this time, such as retries
    #[arg(long, value_name = "TIME", value_parser = super::parse::time, default_value = "10s")]
    wait: Duration,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { once: _, wait } = arguments(matches)?;
    context.log_little();
    let effective = context.settings()?;
    let synced = context.block_on(sync(&effective, wait))?;
    let out = &context.out;
    if out.json() {
        out.value(&synced);
    } else {
        told(out, &synced);
    }
    let refused = synced.refused.hubspot + synced.refused.salesforce;
    let waits = synced.postponed > 0 || synced.held > 0 || refused > 0;
    Ok(if waits { Exit::Attention } else { Exit::Done })
}

async fn sync(effective: &Effective, wait: Duration) -> Result<Synced, Failure> {
    let socket = effective.settings.directories.socket();
    match ask(&socket, &Request::Sync).await {
        Ok(answer) => return super::ask::shape(answer),
        Err(AskError::NotRunning(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let engine = assemble_and_start(effective).await?;
    let work = async {
        let heeded = engine.listen().await?;
        let settled = engine.settle_all(wait).await?;
        engine.follow_handoffs().await?;
        engine.hand_off_all().await?;
        Ok::<_, crate::daemon::Trouble>(Synced::new(heeded, &settled))
    };
    let synced = work.await;
    engine.journal.close().await;
    Ok(synced?)
}

fn told(out: &Output, synced: &Synced) {
    out.line(format!("{} changes listed, {} new", synced.listed, synced.heard));
    out.line(format!("{} settled", synced.settled));
    for (side, written) in synced.written.iter() {
        let (created, refused) = (synced.created.get(side), synced.refused.get(side));
        let refused = match refused {
            0 => String::new(),
            count => format!(", {}", paint(Tone::Warn, &format!("{count} refused"))),
        };
        out.line(format!("{side}: {written} written ({created} created){refused}"));
    }
    for (count, what) in [
        (synced.postponed, "are tried again later"),
        (synced.held, "are held by a safety limit (`lockstep holds list`)"),
    ] {
        if count > 0 {
            out.line(paint(Tone::Warn, &format!("{count} {what}")));
        }
    }
}
