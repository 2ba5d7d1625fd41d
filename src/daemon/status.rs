//! How the service is doing: the value behind `status`, `health` and the HTTP listener.
//!
//! A new column begins here.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::intake::{Cover, ObjectNews, PushState};
use super::reload::Reload;
use super::stream::Deliveries;
use super::webhooks::{Turned, WebhookStatus};
use super::{Engine, Settled, SideState, Trouble, poll::Heeded};
use crate::journal::{Lane, Statistics};
use crate::platform::{Budget, ErrorKind};
use crate::record::{PerSide, Side};

/// How old a change may get in line before it is a problem: the handoff lane is why the service
/// exists.
const LATE: [(Lane, SignedDuration); 2] = [
    (Lane::Handoff, SignedDuration::from_mins(5)),
    (Lane::Ordinary, SignedDuration::from_mins(30)),
];

/// The share of a day's calls from which on people are told.
const MUCH: f64 = 0.9;

/// The share of the delivered events of 24 hours from which on people are told.
const MUCH_DELIVERED: f64 = 0.8;

/// The counter of owners that were left as they were.
pub(super) const OWNERS_LEFT: &str = "left.owner unknown";

/// How the service is doing, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// When this was true.
    pub now: Timestamp,
    /// When the process started.
    pub started: Timestamp,
    /// Whether all is well, in a word, and why not.
    #[serde(flatten)]
    pub health: Health,
    /// Both sides.
    pub sides: PerSide<SideStatus>,
    /// Each mapping, in the order of their files.
    pub mappings: Vec<MappingStatus>,
    /// What became of HubSpot's webhooks; nothing where they are not listened for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookStatus>,
    /// Holds that wait for a person.
    pub holds: usize,
    /// Links that are being settled.
    pub settling: usize,
    /// Bytes that the journal takes up on disk.
    pub journal_bytes: u64,
}

/// Whether all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `degraded` (something waits for a person, or works with a delay) or `down` (a side
    /// cannot be used).
    pub state: HealthState,
    /// What is wrong, the worst first.
    pub problems: Vec<Problem>,
}

/// Whether all is well, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// All is well.
    Ok,
    /// Something waits for a person, or works with a delay.
    Degraded,
    /// A side cannot be used.
    Down,
}

impl HealthState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is: `degraded` or `down`.
    pub state: HealthState,
    /// What was found.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideStatus {
    /// The account: HubSpot's portal id, Salesforce's organization id. None before the first
    /// sign-in.
    pub account: Option<String>,
    /// As whom we are signed in.
    pub user: Option<String>,
    /// When it was last asked for changes to the end.
    pub last_round: Option<Timestamp>,
    /// The stamp of the latest change that was seen.
    pub last_change: Option<Timestamp>,
    /// Nothing is asked of it before this time.
    pub paused_until: Option<Timestamp>,
    /// The last call that failed as a whole, if none has succeeded since.
    pub trouble: Option<String>,
    /// Calls.
    pub calls: Calls,
    /// Where the news of each object comes from.
    #[serde(default)]
    pub objects: BTreeMap<String, ObjectNews>,
    /// Change events delivered in the last 24 hours, where they are followed.
    #[serde(default)]
    pub deliveries: Option<Deliveries>,
}

/// Calls to one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Made by this process since it started.
    pub made: u64,
    /// Used by the account today, by whomever.
    pub used: Option<u64>,
    /// What the account may use in a day.
    pub limit: Option<u64>,
}

/// One mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingStatus {
    /// Its name.
    pub mapping: String,
    /// Its live links.
    pub links: u64,
    /// Changes in line, by lane.
    pub pending: BTreeMap<String, u64>,
    /// When the change was due that has been due longest.
    pub oldest_due: Option<Timestamp>,
    /// Fields that wait for a person.
    pub conflicts: u64,
    /// Records that may belong to several.
    pub matches: u64,
    /// Refused writes.
    pub rejects: u64,
    /// How often a settlement left an owner as it was because nobody across is known by that
    /// owner's e-mail address, and the mapping says `[owners] unknown = "leave"`.
    #[serde(default)]
    pub owners_left: u64,
    /// What is being taken in, where something is.
    pub taking_in: Option<TakingIn>,
}

/// What exists is being taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakingIn {
    /// Why.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// Records that were listed.
    pub seen: u64,
}

/// What one round of asking and settling came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Changes that the platforms listed.
    pub listed: usize,
    /// Those that were new.
    pub heard: usize,
    /// Links that were settled to the end.
    pub settled: usize,
    /// Links that are tried again later.
    pub postponed: usize,
    /// Links that a safety limit stopped.
    pub held: usize,
    /// Records written, by side.
    pub written: PerSide<usize>,
    /// Records created, by side.
    pub created: PerSide<usize>,
    /// Refusals, by side.
    pub refused: PerSide<usize>,
}

impl Synced {
    /// From what the engine counted.
    #[must_use]
    pub const fn new(heeded: Heeded, settled: &Settled) -> Self {
        Self {
            listed: heeded.listed,
            heard: heeded.heard,
            settled: settled.finished,
            postponed: settled.postponed,
            held: settled.held,
            written: settled.written,
            created: settled.created,
            refused: settled.refused,
        }
    }
}

/// How the service is doing.
///
/// # Errors
/// Where the journal cannot be read.
pub(super) async fn status(
    engine: &Engine,
    started: Timestamp,
    wrong: Option<&Reload>,
) -> Result<Status, Trouble> {
    let now = engine.clock.now();
    let statistics = engine.journal.statistics().await?;
    let holds = engine.journal.holds().await?;
    let holds = holds.iter().filter(|hold| hold.released.is_none()).count();
    let states = engine.side_states();
    let mut mappings = Vec::new();
    for mapping in &engine.mappings().list {
        let state = engine.journal.mapping_state(&mapping.name).await?;
        let taking_in = state.and_then(|state| state.backfill).map(|backfill| TakingIn {
            why: backfill.reason,
            since: backfill.began,
            seen: backfill.seen,
        });
        mappings.push(mapping_status(&mapping.name, &statistics, taking_in));
    }
    let sides = PerSide::from_fn(|side| SideStatus {
        objects: engine
            .asks(side)
            .into_keys()
            .map(|object| (object.clone(), engine.intake.news(side, &object, now)))
            .collect(),
        ..side_status(states.get(side), engine.platform(side).budget())
    });
    let mut sides = sides;
    if engine.events.is_some() {
        let deliveries = engine.deliveries().await?;
        sides.salesforce.deliveries = Some(deliveries);
    }
    let mut problems = side_problems(&states, &sides);
    problems.extend(sides.salesforce.deliveries.and_then(delivery_problem));
    problems.extend(push_problems(&sides, now));
    problems.extend(engine.webhooks.status().iter().flat_map(webhook_problems));
    problems.extend(queue_problems(&statistics, now));
    problems.extend(waiting_problems(&mappings, holds));
    if let Some(Reload::Wrong { reason, .. }) = wrong {
        problems.push(degraded(
            format!("the mapping files are wrong, the last good ones are in force: {reason}"),
            "`lockstep check` shows the mistakes",
        ));
    }
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        started,
        health: Health::new(problems),
        sides,
        mappings,
        webhooks: engine.webhooks.status(),
        holds,
        settling: statistics.taken,
        journal_bytes: statistics.usage.disk,
    })
}

impl Health {
    fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.state));
        let state = problems.iter().map(|problem| problem.state).max().unwrap_or(HealthState::Ok);
        Self { state, problems }
    }

    /// The part of a status that says whether all is well.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        status.health.clone()
    }
}

fn degraded(what: String, hint: &str) -> Problem {
    Problem { state: HealthState::Degraded, what, hint: Some(hint.to_owned()) }
}

fn side_status(state: &SideState, budget: Budget) -> SideStatus {
    SideStatus {
        account: state.identity.as_ref().map(|identity| identity.account.clone()),
        user: state.identity.as_ref().map(|identity| identity.user.clone()),
        last_round: state.last_round,
        last_change: state.last_change,
        paused_until: state.paused_until,
        trouble: state.trouble.as_ref().map(|(_, error)| error.to_string()),
        calls: Calls { made: budget.made, used: budget.used, limit: budget.limit },
        objects: BTreeMap::new(),
        deliveries: None,
    }
}

/// What keeps word of changes from arriving by itself, once for all the objects that it concerns.
/// The polls bring it all the same, so it is never worse than degraded.
fn push_problems(sides: &PerSide<SideStatus>, now: Timestamp) -> Vec<Problem> {
    let mut found: BTreeMap<(String, Option<String>), Vec<String>> = BTreeMap::new();
    for (side, status) in sides.iter() {
        for (object, news) in &status.objects {
            let Some(push) = &news.push else { continue };
            if let Cover::Lacking { what, hint } = &news.cover {
                let why = format!("no word will come of {}", what.join(", "));
                let object = format!("{side} {object}");
                found.entry((why, Some(hint.clone()))).or_default().push(object);
                continue;
            }
            let (why, hint) = match &push.state {
                PushState::Down { why, hint } => (why.clone(), hint.clone()),
                PushState::Recovering { why } => (why.clone(), None),
                _ if push.doubted_until.is_some_and(|until| until > now) => (
                    format!("polls found {} changes of which no word had arrived", push.missed),
                    Some("see that the subscription covers every mapped field".to_owned()),
                ),
                _ => continue,
            };
            found.entry((why, hint)).or_default().push(format!("{side} {object}"));
        }
    }
    found
        .into_iter()
        .map(|((why, hint), objects)| Problem {
            state: HealthState::Degraded,
            what: format!("{} found by polling: {why}", objects.join(", ")),
            hint,
        })
        .collect()
}

/// What is wrong with the door for webhooks. What strangers send is nothing wrong; that nothing else
/// ever came is.
fn webhook_problems(webhooks: &WebhookStatus) -> Vec<Problem> {
    let mut problems = Vec::new();
    let count = |why| webhooks.turned_away.get(&why).copied().unwrap_or_default();
    let forged = count(Turned::Forged);
    if forged > 0 && webhooks.deliveries == 0 {
        problems.push(degraded(
            format!("{forged} webhooks arrived, and the signature of none is right"),
            "see that webhooks.secret_file holds the secret of the app that sends, and that \
             webhooks.public_url is the address that the app is told",
        ));
    }
    if count(Turned::Stale) > 0 && webhooks.deliveries == 0 {
        problems.push(degraded(
            "webhooks arrive, and by this machine's clock all of them are more than five minutes \
             old or early"
                .to_owned(),
            "see that the clock is kept right (timedatectl)",
        ));
    }
    if let Some(wrong) = &webhooks.certificate {
        problems.push(degraded(
            format!("the renewed certificate cannot be used: {wrong}"),
            "the last good one stays in use until it expires: put both files right",
        ));
    }
    problems
}

fn side_problems(states: &PerSide<SideState>, sides: &PerSide<SideStatus>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (side, state) in states.iter() {
        if let Some((_, error)) = &state.trouble {
            let down = !matches!(error.kind, ErrorKind::Request | ErrorKind::Retry { .. })
                || state.identity.is_none();
            problems.push(Problem {
                state: if down { HealthState::Down } else { HealthState::Degraded },
                what: error.told(),
                hint: error.hint.clone(),
            });
        } else if state.identity.is_none() {
            problems.push(Problem {
                state: HealthState::Degraded,
                what: format!("not signed in at {side} yet"),
                hint: None,
            });
        }
        problems.extend(budget_problem(side, sides.get(side).calls));
    }
    problems
}

fn budget_problem(side: Side, calls: Calls) -> Option<Problem> {
    let (used, limit) = (calls.used?, calls.limit?);
    #[expect(clippy::cast_precision_loss, reason = "a share of a few million calls")]
    let much = limit > 0 && used as f64 / limit as f64 >= MUCH;
    much.then(|| {
        degraded(
            format!("{side}'s account has used {used} of the {limit} calls of its day"),
            "see which integrations use them; poll less often (settings, [polling])",
        )
    })
}

/// Told while there is time to act: an allocation that is used up brings nothing for hours.
fn delivery_problem(deliveries: Deliveries) -> Option<Problem> {
    let (used, limit) =
        (deliveries.used.unwrap_or_default().max(deliveries.ours), deliveries.limit?);
    #[expect(clippy::cast_precision_loss, reason = "a share of a few million events")]
    let much = limit > 0 && used as f64 / limit as f64 >= MUCH_DELIVERED;
    much.then(|| {
        degraded(
            format!(
                "{used} of the {limit} change events that Salesforce delivers in 24 hours are used, \
                 {} of them by Lockstep",
                deliveries.ours
            ),
            "see which subscribers share them, buy the add-on, or set salesforce.events = \"off\" \
             to poll only",
        )
    })
}

fn queue_problems(statistics: &Statistics, now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    for ((mapping, lane), due) in &statistics.oldest {
        let late = now.duration_since(*due);
        let limit = LATE.iter().find(|(known, _)| known == lane).map(|(_, limit)| *limit);
        if limit.is_some_and(|limit| late > limit) {
            let minutes = late.as_secs() / 60;
            problems.push(degraded(
                format!(
                    "a change of {mapping} in the {} lane is {minutes} minutes late",
                    lane.key()
                ),
                "see whether a side is paused, or calls are used up",
            ));
        }
    }
    problems
}

fn waiting_problems(mappings: &[MappingStatus], holds: usize) -> Vec<Problem> {
    let sum = |of: fn(&MappingStatus) -> u64| mappings.iter().map(of).sum::<u64>();
    let waiting = [
        (holds as u64, "plans held by a safety limit", "`lockstep holds list`"),
        (sum(|one| one.conflicts + one.matches), "conflicts", "`lockstep conflicts list`"),
        (sum(|one| one.rejects), "refused writes", "`lockstep rejects list`"),
    ];
    waiting
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, what, hint)| degraded(format!("waiting for a person: {count} {what}"), hint))
        .collect()
}

fn mapping_status(
    name: &str,
    statistics: &Statistics,
    taking_in: Option<TakingIn>,
) -> MappingStatus {
    let none = BTreeMap::new();
    let counters = statistics.mappings.get(name).unwrap_or(&none);
    let count = |counter: &str| {
        u64::try_from(counters.get(counter).copied().unwrap_or_default()).unwrap_or_default()
    };
    let lanes = Lane::ALL.into_iter();
    let oldest = statistics.oldest.iter().filter(|((mapping, _), _)| mapping == name);
    MappingStatus {
        mapping: name.to_owned(),
        links: count("links.active"),
        pending: lanes.map(|lane| (lane.key().to_owned(), count(lane.counter()))).collect(),
        oldest_due: oldest.map(|(_, due)| *due).min(),
        conflicts: count("conflicts.open"),
        matches: count("matches.open"),
        rejects: count("rejects.open"),
        owners_left: count(OWNERS_LEFT),
        taking_in,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    #[test]
    fn calls_are_a_problem_before_they_are_used_up() {
        for (used, limit, problem) in [
            (Some(89), Some(100), false),
            (Some(90), Some(100), true),
            (Some(100), Some(100), true),
            (Some(5), Some(0), false),
            (None, Some(100), false),
            (Some(100), None, false),
        ] {
            let calls = Calls { made: 0, used, limit };
            let found = budget_problem(Side::HubSpot, calls);
            assert_eq!(found.is_some(), problem, "{used:?} of {limit:?}");
        }
    }

    #[test]
    fn deliveries_are_a_problem_before_they_are_used_up() {
        for (ours, used, limit, problem) in [
            (79, Some(10), Some(100), false),
            (80, Some(10), Some(100), true),
            (1, Some(80), Some(100), true),
            (1, None, Some(100), false),
            (99, Some(99), None, false),
        ] {
            let deliveries = Deliveries { ours, used, limit };
            assert_eq!(delivery_problem(deliveries).is_some(), problem, "{deliveries:?}");
        }
    }

    #[test]
    fn what_keeps_word_from_arriving_is_told_once_for_all_objects() {
        let news = |state: PushState| ObjectNews {
            push: Some(crate::daemon::PushHealth {
                source: crate::record::Source::Stream,
                state,
                since: at(0),
                alive: None,
                arrived: 0,
                missed: 0,
                doubted_until: None,
            }),
            ..ObjectNews::default()
        };
        let down = || PushState::Down { why: "cut".into(), hint: None };
        let objects = [("Contact", down()), ("Lead", down()), ("Task", PushState::Healthy)];
        let objects =
            objects.into_iter().map(|(name, state)| (name.to_owned(), news(state))).collect();
        let engine = side_status(&SideState::default(), Budget::default());
        let sides =
            PerSide { hubspot: engine.clone(), salesforce: SideStatus { objects, ..engine } };
        let found = push_problems(&sides, at(1));
        let told: Vec<&str> = found.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(told, ["Salesforce Contact, Salesforce Lead found by polling: cut"]);
    }

    #[test]
    fn owners_that_were_left_are_counted_by_mapping() {
        assert_eq!(OWNERS_LEFT, format!("left.{}", crate::reconcile::OWNER_UNKNOWN));
        let counters = BTreeMap::from([(OWNERS_LEFT.to_owned(), 3), ("rejects.open".into(), 1)]);
        let mappings = BTreeMap::from([("people".to_owned(), counters)]);
        let statistics = Statistics { mappings, ..Statistics::default() };
        assert_eq!(mapping_status("people", &statistics, None).owners_left, 3);
        assert_eq!(mapping_status("deals", &statistics, None).owners_left, 0);
    }

    #[test]
    fn what_is_urgent_is_late_sooner_and_what_is_taken_in_never_is() {
        for (lane, minutes, late) in [
            (Lane::Handoff, 4, false),
            (Lane::Handoff, 6, true),
            (Lane::Ordinary, 29, false),
            (Lane::Ordinary, 31, true),
            (Lane::Backfill, 10_000, false),
        ] {
            let oldest = BTreeMap::from([(("people".to_owned(), lane), at(0))]);
            let statistics = Statistics { oldest, ..Statistics::default() };
            let found = queue_problems(&statistics, at(minutes));
            assert_eq!(!found.is_empty(), late, "{lane:?} {minutes}");
        }
    }

    #[test]
    fn the_worst_problem_gives_the_word_and_comes_first() {
        assert_eq!(Health::new(Vec::new()).state, HealthState::Ok);
        let down = Problem { state: HealthState::Down, what: "d".into(), hint: None };
        let health = Health::new(vec![degraded("a".into(), "h"), down, degraded("b".into(), "h")]);
        assert_eq!(health.state, HealthState::Down);
        let order: Vec<&str> =
            health.problems.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(order, ["d", "a", "b"]);
    }

    #[test]
    fn what_waits_for_a_person_is_counted_over_all_mappings() {
        let mapping = |conflicts, matches, rejects| MappingStatus {
            mapping: "people".into(),
            links: 0,
            pending: BTreeMap::new(),
            oldest_due: None,
            conflicts,
            matches,
            rejects,
            owners_left: 0,
            taking_in: None,
        };
        let found = waiting_problems(&[mapping(1, 2, 0), mapping(3, 0, 0)], 0);
        let told: Vec<&str> = found.iter().map(|problem| problem.what.as_str()).collect();
        assert_eq!(told, ["waiting for a person: 6 conflicts"]);
        assert!(waiting_problems(&[mapping(0, 0, 0)], 0).is_empty());
        assert_eq!(waiting_problems(&[mapping(0, 0, 1)], 2).len(), 2);
    }
}
