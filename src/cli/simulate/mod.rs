//! `lockstep simulate`
//!
//! The simulation: the daemon's own code in one thread on virtual time, from one seed.
//!
//! The real clients call the sandbox's routers in process, the journal lies in a memory that loses
//! what was not synced, or now and then in sled, people edit both sides, faults strike calls, and
//! the process ends between any two steps. In every other history HubSpot tells of changes by
//! webhooks, and in every other one Salesforce by change events; word of either kind is lost, late,
//! doubled, shuffled, forged or empty. Most histories are about people alone, where most can go
//! wrong; in some there are companies and deals besides. Once the faults have stopped, what must
//! hold is checked.

mod business;
mod check;
mod home;
mod many;
mod persons;
mod push;
mod run;
mod seams;
mod serve;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args};
use serde_json::json;

use self::many::Sum;
use self::run::Told;
use self::seams::{Keep, Plant};
use super::init::SHIPPED;
use super::output::{Tone, paint};
use super::{Command, Context, Exit, Failure, arguments};
use crate::mapping::{Mappings, load};

pub(super) const COMMAND: Command = Command {
    name: "simulate",
    about: "Live through random histories in the sandbox and check what must hold",
    long: "\
Runs the daemon's own code between both platforms in the sandbox, on virtual time: people edit,
merge, convert and delete on both sides, calls fail in every way, and the process ends between any
two steps. Then everything heals, and what must hold is checked: both sides agree or it is said
where not, nobody exists twice, no edit is lost without a trace, nothing is written twice.

Everything follows from the seed. Ends with 1 where a history does not end well.

Examples:
  lockstep simulate --histories 1000
  lockstep simulate --seed 42 --trace
  lockstep simulate --seed 1000 --histories 100000 --minutes 30 --jobs 2 --json",
    hidden: true,
    augment: Arguments::augment_args,
    run: execute,
};

#[derive(Debug, Clone, Args)]
struct Arguments {
    /// The seed of the first history
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many histories; each further one has the next seed [default: 1 with --trace, else 100]
    #[arg(long, value_name = "COUNT")]
    histories: Option<u64>,
    /// Threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Begin no history after so many minutes
    #[arg(long)]
    minutes: Option<u64>,
    /// Print every event and call of each history
    #[arg(long)]
    trace: bool,
    /// With --trace, what each call carried as well
    #[arg(long, requires = "trace")]
    bodies: bool,
    /// Plant a bug, to see it found
    #[arg(long, value_enum, value_name = "BUG")]
    plant: Option<Plant>,
}

fn execute(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let arguments: Arguments = arguments(matches)?;
    let count = arguments.histories.unwrap_or(if arguments.trace { 1 } else { 100 });
    let shipped = Shipped::load()?;
    let task = many::Task {
        first: arguments.seed,
        count,
        jobs: arguments.jobs,
        limit: arguments.minutes.map(|minutes| Duration::from_secs(minutes * 60)),
        keep: match (arguments.trace, arguments.bodies) {
            (false, _) => Keep::Nothing,
            (true, false) => Keep::Events,
            (true, true) => Keep::Bodies,
        },
        plant: arguments.plant,
    };
    let out = &context.out;
    let bar = out.progress(count, "histories");
    let sum = many::run(&task, &shipped, |told| {
        bar.inc(1);
        if arguments.trace || !told.breaches.is_empty() {
            bar.suspend(|| told.trace.iter().for_each(|line| out.note(line)));
            bar.suspend(|| out.note(&report(told)));
        }
    });
    bar.finish_and_clear();
    if out.json() {
        out.value(&json!({
            "histories": sum.histories,
            "failed": sum.failed,
            "deeds": sum.deeds,
            "crashes": sum.crashes,
            "writes": sum.writes,
            "deliveries": sum.deliveries,
            "events": sum.events,
            "raced": sum.raced,
            "seconds": sum.took.as_secs_f64(),
            "digest": format!("{:016x}", sum.digest),
        }));
    } else {
        out.line(summary(&sum));
    }
    Ok(if sum.failed.is_empty() { Exit::Done } else { Exit::Attention })
}

/// One history's breaches, and how to live through it again.
fn report(told: &Told) -> String {
    let Told { seed, deeds, crashes, digest, raced, .. } = told;
    let head = format!(
        "seed {seed}: {deeds} deeds, {crashes} crashes, {raced} raced, digest {digest:016x}"
    );
    let text = told
        .breaches
        .iter()
        .fold(head, |text, breach| format!("{text}\n  {} {breach}", paint(Tone::Bad, "broken:")));
    if told.breaches.is_empty() {
        return text;
    }
    format!("{text}\n  to see it again: lockstep simulate --seed {seed} --trace")
}

fn summary(sum: &Sum) -> String {
    let Sum { histories, deeds, crashes, writes, deliveries, events, raced, digest, .. } = sum;
    let seconds = sum.took.as_secs_f64().max(0.001);
    let verdict = match sum.failed.len() {
        0 => paint(Tone::Good, "all ended well"),
        failed => paint(Tone::Bad, &format!("{failed} did not end well")),
    };
    format!(
        "{histories} histories, {verdict}: {deeds} deeds of people, {crashes} crashes, {writes} \
         writing calls, {deliveries} webhooks, {events} change events, {raced} edits raced; \
         {seconds:.1} s, {:.1} histories a second, digest {digest:016x}",
        *histories as f64 / seconds,
    )
}

/// Every so many histories there are companies and deals besides people.
const BUSINESS: u64 = 10;

/// The shipped mappings.
#[derive(Debug)]
struct Shipped {
    people: Arc<Mappings>,
    all: Arc<Mappings>,
}

impl Shipped {
    fn load() -> Result<Self, Failure> {
        let load = |wanted: fn(&str) -> bool| {
            let files = SHIPPED.iter().filter(|(name, _)| wanted(name));
            let files = files.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            load(files.collect())
                .map(Arc::new)
                .map_err(|report| Failure::from_error(Exit::Internal, &report))
        };
        Ok(Self { people: load(|name| name == "people.toml")?, all: load(|_| true)? })
    }

    /// Those that the history of `seed` is about.
    const fn of(&self, seed: u64) -> &Arc<Mappings> {
        if seed % BUSINESS == BUSINESS - 1 { &self.all } else { &self.people }
    }
}

#[cfg(test)]
mod tests;
