//! `lockstep demo`
//!
//! Both platforms in the sandbox, the daemon between them, and people at work on both sides. The
//! daemon's side of it is the real thing: clients, settler, mappings and a journal on disk.

mod cast;
mod compare;
mod funnel;
mod office;
mod replay;
mod report;
mod rig;
mod show;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args};
use indicatif::ProgressBar;

use self::office::Office;
use self::replay::Replayed;
use self::report::Report;
use self::rig::{Left, Rig, Setup};
use super::output::Output;
use super::report::write_page;
use super::stop::Stop;
use super::{Command, Context, Exit, Failure, arguments};
use crate::daemon::page::Leaders;
use crate::sandbox::fault::FaultOrder;

pub(super) const COMMAND: Command = Command {
    name: "demo",
    about: "Watch it work: both platforms, made-up leads, and people who edit on both sides",
    long: "\
Serves a HubSpot and a Salesforce on loopback ports, fills them with made-up leads, and lets
marketing and sales work on both sides at once while the daemon runs between them with the shipped
mappings. Salesforce's changes arrive by its event streams, and polls are the net below. Some answers
are lost on the way; --fault lets more go wrong. Then it waits until all is quiet, compares both sides
field by field, and lets the daemon go over everything once more: that pass must write nothing.

With --leads, the leads come from a CSV file: all of them reach Salesforce, the won ones are
converted there, and the customers come back. Its columns are person, email, qualified_at, source,
campaign, sales_rep, development_rep, segment, lead_type, won_at, monthly_revenue.

With --replay as well, the file's time is lived through on the platforms' clock, as fast as this
machine can: each lead qualifies on its day and is handed off, the won ones are called by the named
development rep, converted by the named sales rep and won at their time, and the others are left
alone. The handoffs' report follows; --html writes it as a page. What the file says was won before it
qualified is won right after, and told.

Nothing leaves this machine, and nothing stays but what --keep asks for, also where Ctrl-C ends it.
Ends with 1 where both sides differ without a reason, or where the last pass wrote.

Examples:
  lockstep demo
  lockstep demo --people 1000 --seconds 60 --seed 7
  lockstep demo --fault stream-cut --fault replay-expired
  lockstep demo --json | jq .compared
  lockstep demo --leads leads.csv --keep ./demo-journal
  lockstep demo --leads leads.csv --replay --html report.html",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Clone, Args)]
struct Arguments {
    /// How many leads to make up
    #[arg(long, value_name = "COUNT", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(20..=20_000), conflicts_with = "leads")]
    people: u32,
    /// The seed of everything that is left to chance
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long people work on both sides
    #[arg(long, value_name = "SECONDS", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=3_600), conflicts_with = "leads")]
    seconds: u32,
    /// Take the leads from this CSV file
    #[arg(long, value_name = "FILE")]
    leads: Option<PathBuf>,
    /// Live through the file's time, and report on its handoffs
    #[arg(long, requires = "leads")]
    replay: bool,
    /// Write the leaders' page to this file
    #[arg(long, value_name = "FILE", requires = "replay")]
    html: Option<PathBuf>,
    /// Call the platforms in this process, without ports; always so with --leads
    #[arg(long)]
    in_process: bool,
    /// Let this go wrong besides: stream-cut, replay-expired, webhooks-lost=20%; see `lockstep sandbox
    /// --list-faults`
    #[arg(long, value_name = "FAULT", conflicts_with = "leads")]
    fault: Vec<FaultOrder>,
    /// Leave the journal in this directory, which must be new or empty
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let arguments: Arguments = arguments(matches)?;
    // The daemon warns of every lost answer, and the demo loses some on purpose: the report counts
    // them.
    if context.global.verbose > 0 {
        context.log_little();
    }
    let out = &context.out;
    if let (true, Some(file)) = (arguments.replay, &arguments.leads) {
        let (replayed, leaders) =
            context.block_on(async { play_again(out, &arguments, file, Stop::listen()?).await })?;
        if let Some(html) = &arguments.html {
            write_page(html, leaders)?;
        }
        if out.json() {
            out.value(&replayed);
        } else {
            show::replayed(out, &replayed);
        }
        return Ok(if replayed.is_whole() { Exit::Done } else { Exit::Attention });
    }
    let report = context.block_on(async {
        let stop = Stop::listen()?;
        match &arguments.leads {
            Some(file) => play_file(out, &arguments, file, stop).await,
            None => play(out, &arguments, stop).await,
        }
    })?;
    if out.json() {
        out.value(&report);
    } else {
        show::report(out, &report);
    }
    Ok(if report.is_well() { Exit::Done } else { Exit::Attention })
}

/// The demo with made-up leads.
async fn play(out: &Output, arguments: &Arguments, stop: Stop) -> Result<Report, Failure> {
    let setup = Setup {
        seed: arguments.seed,
        in_process: arguments.in_process,
        keep: arguments.keep.clone(),
        unlimited: false,
        faults: arguments.fault.clone(),
        begins: None,
        staff: BTreeSet::new(),
    };
    let rig = Rig::open(setup).await?;
    until_stopped(rig, stop, async |rig| act(rig, out, arguments).await).await
}

async fn act(rig: &Rig, out: &Output, arguments: &Arguments) -> Result<Report, Failure> {
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let people = usize::try_from(arguments.people).unwrap_or(usize::MAX);
    let cast = cast::import(&rig.sandbox, people, &mut random)?;
    show::opening(out, rig, &cast);

    let bar = out.progress(0, "first meeting");
    rig.start().await?;
    settle(rig, &bar).await?;
    bar.finish_and_clear();

    let mut office = Office::new(random);
    let working = Duration::from_secs(arguments.seconds.into());
    let on_push = async {
        let bar = out.progress(0, "people at work");
        work(rig, &mut office, people, working, &bar).await?;
        bar.finish_and_clear();
        let bar = out.progress(0, "until all is quiet");
        rig.until_streams_are_back().await;
        settle(rig, &bar).await?;
        bar.finish_and_clear();
        Ok(())
    };
    rig.on_push(on_push).await?;
    Report::gather(rig, cast.told(), office.done()).await
}

/// What the leads of a file are played in: without ports, without limits, and with no trouble but
/// their own.
fn for_file(arguments: &Arguments) -> Setup {
    Setup {
        seed: arguments.seed,
        in_process: true,
        keep: arguments.keep.clone(),
        unlimited: true,
        faults: Vec::new(),
        begins: None,
        staff: BTreeSet::new(),
    }
}

/// The demo with the leads of a file.
async fn play_file(
    out: &Output,
    arguments: &Arguments,
    file: &std::path::Path,
    stop: Stop,
) -> Result<Report, Failure> {
    let leads = funnel::read(file)?;
    let rig = Rig::open(for_file(arguments)).await?;
    until_stopped(rig, stop, async |rig| act_file(rig, out, &leads).await).await
}

async fn act_file(rig: &Rig, out: &Output, leads: &funnel::Leads) -> Result<Report, Failure> {
    funnel::import(&rig.sandbox, leads)?;
    show::opening_of_file(out, rig, leads);

    let length = u64::try_from(leads.rows.len()).unwrap_or(u64::MAX);
    let bar = out.progress(length, "to Salesforce");
    rig.start().await?;
    settle(rig, &bar).await?;
    bar.finish_and_clear();

    let won = funnel::win(&rig.sandbox, leads)?;
    let bar = out.progress(0, "customers come back");
    settle(rig, &bar).await?;
    bar.finish_and_clear();
    let mut report = Report::gather(rig, leads.told(), won.done()).await?;
    report.file = Some(won.figures(leads, &report));
    Ok(report)
}

/// The file's time, lived through.
async fn play_again(
    out: &Output,
    arguments: &Arguments,
    file: &std::path::Path,
    stop: Stop,
) -> Result<(Replayed, Leaders), Failure> {
    let leads = funnel::read(file)?;
    replay::play(out, for_file(arguments), &leads, stop).await
}

/// Plays until the end or until somebody asks for a stop, and clears away what is not to be kept.
/// Whoever asks a second time does not wait for that.
async fn until_stopped<T>(
    rig: Rig,
    mut stop: Stop,
    play: impl AsyncFnOnce(&Rig) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let played = tokio::select! {
        biased;
        () = stop.asked() => None,
        report = play(&rig) => Some(report),
    };
    let (path, kept) = (rig.path().to_owned(), rig.kept().is_some());
    let closed = tokio::select! {
        biased;
        () = stop.asked() => None,
        left = rig.close() => Some(left),
    };
    // What was dropped without being closed may have been removed all the same.
    let left = closed.unwrap_or_else(|| match (kept, path.exists()) {
        (true, _) => Left::Kept(path),
        (false, true) => Left::Behind(path),
        (false, false) => Left::Removed(path),
    });
    played.unwrap_or_else(|| Err(Failure::new(Exit::Interrupted, format!("interrupted: {left}"))))
}

/// Lets people work for `time` while the daemon runs.
async fn work(
    rig: &Rig,
    office: &mut Office,
    people: usize,
    time: Duration,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let deeds = u32::try_from(people).unwrap_or(u32::MAX).max(60);
    bar.set_length(deeds.into());
    let over = Cell::new(false);
    let people_work = async {
        for deed in 0..deeds {
            if deed == deeds / 3 {
                rig.trouble()?;
            }
            office.act(&rig.sandbox);
            bar.inc(1);
            tokio::time::sleep(time / deeds).await;
        }
        over.set(true);
        Ok::<(), Failure>(())
    };
    let daemon_runs = async {
        while !over.get() {
            rig.pass_on_push().await?;
            tokio::time::sleep(rig::BETWEEN_PASSES).await;
        }
        Ok::<(), Failure>(())
    };
    let ((), ()) = futures_util::future::try_join(people_work, daemon_runs).await?;
    Ok(())
}

/// Lets the daemon run until neither side has anything new, and shows how many links there are.
async fn settle(rig: &Rig, bar: &ProgressBar) -> Result<(), Failure> {
    let over = Cell::new(false);
    let watch = async {
        while !over.get() {
            let settled = rig.settled().await?;
            if bar.length().is_some_and(|length| length > 0) {
                bar.set_position(settled);
            } else {
                bar.set_message(format!("{settled} settled"));
                bar.tick();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<(), Failure>(())
    };
    let quiet = async {
        let result = rig.quiet().await;
        over.set(true);
        result
    };
    let ((), ()) = futures_util::future::try_join(watch, quiet).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
