//! A file of leads, lived through on the sandbox's clock: each qualifies on its day, the won ones
//! are called, converted and won at their time, and the daemon runs between.
//!
//! What the file does not say is not made up but where the platforms need a value: a lead is called
//! at the moment of its win, and whoever was never won is left alone.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::cast::unfit;
use super::funnel::{Lead, Leads};
use super::rig::{Rig, Setup};
use super::until_stopped;
use crate::cli::output::Output;
use crate::cli::stop::Stop;
use crate::cli::{Exit, Failure};
use crate::daemon::control::AskError;
use crate::daemon::page::Leaders;
use crate::daemon::query::{Desk, ReportOf};
use crate::handoff::report::{By, Group, Report};
use crate::handoff::story::grouped;
use crate::record::{PerSide, Side};
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::world::Org;

/// How long before the first lead the daemon is started.
const BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// What a replay came to.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// The file.
    pub file: String,
    /// Its leads.
    pub rows: u64,
    /// Those that it says were won.
    pub won: u64,
    /// Those that it says were won before they qualified. Here they are won right after.
    pub won_before_qualified: u64,
    /// The handoffs' report, by the file's own words for sources.
    pub report: Report,
    /// The same by owner: a won lead belongs to whoever closed it.
    pub owners: Vec<Group>,
    /// What does not move, by kind.
    pub stuck: BTreeMap<&'static str, u64>,
    /// Calls to both sides.
    pub calls: PerSide<u64>,
}

impl Replayed {
    /// Whether every lead of the file is in the report, and every won one is won there.
    pub fn is_whole(&self) -> bool {
        let total = &self.report.total;
        total.balance.balances()
            && total.balance.qualified == self.rows
            && total.won.count == self.won
    }
}

/// What happens at one time.
#[derive(Debug, Default)]
struct Moment<'a> {
    qualify: Vec<&'a Lead>,
    win: Vec<&'a Lead>,
}

/// Plays the file; says what became of it, and what leaders see.
pub async fn play(
    out: &Output,
    mut setup: Setup,
    leads: &Leads,
    stop: Stop,
) -> Result<(Replayed, Leaders), Failure> {
    let moments = moments(leads);
    let Some(first) = moments.keys().next().copied() else {
        return Err(Failure::new(Exit::Usage, format!("{} has no leads", leads.file))
            .hint("below the line that names the columns, write a line for each lead"));
    };
    setup.begins = Some(first.checked_sub(BEFORE).unwrap_or(first));
    setup.staff = staff(leads);
    let rig = Rig::open(setup).await?;
    until_stopped(rig, stop, async |rig| {
        rig.start().await?;
        rig.quiet().await?;
        let bar = out.progress(moments.len() as u64, "the file's days");
        for (at, moment) in &moments {
            live(rig, *at, moment, &bar).await?;
        }
        bar.finish_and_clear();
        gather(rig, leads).await
    })
    .await
}

/// Who is named in the file, as they are called here.
fn staff(leads: &Leads) -> BTreeSet<(String, String)> {
    let named = leads.rows.iter().flat_map(|lead| [&lead.sales_rep, &lead.development_rep]);
    named.filter(|name| !name.is_empty()).map(|name| called(name)).collect()
}

/// First and last name of somebody of the file: its ids are long, and their first eight characters
/// stand for the last name.
fn called(name: &str) -> (String, String) {
    ("Rep".to_owned(), name.chars().take(8).collect())
}

/// When what happens, in order. Nobody is won before they qualified.
fn moments(leads: &Leads) -> BTreeMap<Timestamp, Moment<'_>> {
    let mut moments: BTreeMap<Timestamp, Moment<'_>> = BTreeMap::new();
    for lead in &leads.rows {
        moments.entry(lead.qualified_at).or_default().qualify.push(lead);
        if let Some(won) = lead.won_at {
            moments.entry(won.max(lead.qualified_at)).or_default().win.push(lead);
        }
    }
    moments
}

async fn live(
    rig: &Rig,
    at: Timestamp,
    moment: &Moment<'_>,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let ahead = at.duration_since(rig.sandbox.clock().now());
    if ahead.is_positive() {
        rig.sandbox.clock().advance(ahead);
    }
    if !moment.qualify.is_empty() {
        for lead in &moment.qualify {
            qualify(rig, lead)?;
        }
        rig.quiet().await?;
    }
    if !moment.win.is_empty() {
        for lead in &moment.win {
            win(rig, lead)?;
        }
        rig.quiet().await?;
    }
    bar.inc(1);
    Ok(())
}

/// A contact whose score has reached the threshold. The file's own word for the source is the first
/// detail of HubSpot's: HubSpot has fewer words than the file.
fn qualify(rig: &Rig, lead: &Lead) -> Result<(), Failure> {
    let values = [("lifecyclestage", "lead"), ("lead_score", "50")];
    lead.arrive(&rig.sandbox, &values, &lead.source_word)
}

/// The development rep calls, the sales rep converts the lead and wins it.
fn win(rig: &Rig, lead: &Lead) -> Result<(), Failure> {
    let now = rig.sandbox.clock().now();
    let mut world = rig.sandbox.world();
    let org = &mut world.salesforce;
    let found = org
        .records("Lead")
        .find(|row| row.text("Email").is_some_and(|it| it.eq_ignore_ascii_case(&lead.email)))
        .map(|row| row.id.clone());
    // A Lead that did not arrive is told by the report: too few are won.
    let Some(id) = found else { return Ok(()) };
    let (caller, closer) = (user(org, &lead.development_rep), user(org, &lead.sales_rep));
    org.log_call(now, &caller, &id, "Called").map_err(|error| unfit("a call", &error))?;
    lead.close(org, now, &closer, &id)
}

/// Who stands for somebody of the file; one of the sandbox's own where nobody is named.
fn user(org: &Org, name: &str) -> Id {
    let (first, last) = called(name);
    org.staff_named(&format!("{first} {last}")).unwrap_or_else(|| org.staff.sales[0].clone())
}

/// What is to be said of leads that the file has won before they qualified.
pub fn won_early(count: u64) -> Option<String> {
    (count > 0).then(|| {
        let were = if count == 1 {
            "1 lead was".to_owned()
        } else {
            format!("{} leads were", grouped(count))
        };
        format!("{were} won before they qualified, says the file: here they were won right after.")
    })
}

async fn gather(rig: &Rig, leads: &Leads) -> Result<(Replayed, Leaders), Failure> {
    let engine = &rig.engine;
    let mappings = engine.mappings();
    let now = rig.sandbox.clock().now();
    let desk = Desk { journal: &engine.journal, mappings: &mappings, now };
    let by = |by| ReportOf { by: Some(by), ..ReportOf::default() };
    let refused = |error| Failure::from(AskError::Refused(error));
    let leaders = desk.leaders(&by(By::Source), None).await.map_err(refused)?;
    let mut leaders =
        leaders.ok_or_else(|| Failure::new(Exit::Internal, "the mapping hands nothing off"))?;
    let owners = desk.report(&by(By::Owner)).await.map_err(refused)?.groups;
    let early = |lead: &&Lead| lead.won_at.is_some_and(|won| won < lead.qualified_at);
    let won_before_qualified = leads.rows.iter().filter(early).count() as u64;
    leaders.remarks.extend(won_early(won_before_qualified));
    let replayed = Replayed {
        file: leads.file.clone(),
        rows: leads.rows.len() as u64,
        won: leads.won() as u64,
        won_before_qualified,
        report: leaders.report.clone(),
        owners,
        stuck: leaders.stuck.iter().map(|one| (one.kind.key(), one.count)).collect(),
        calls: PerSide::from_fn(|side: Side| engine.platform(side).budget().made),
    };
    Ok((replayed, leaders))
}
