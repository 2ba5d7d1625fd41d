//! How the service is doing, as the page says it.

use serde::Serialize;

use super::value::{Cell, Section, Table, ago, number, or_dash};
use crate::daemon::status::{HealthState, MappingStatus, Status};
use crate::journal::Lane;
use crate::record::Source;

/// Whether all is well, in a word.
#[derive(Serialize)]
pub(super) struct Badge {
    word: &'static str,
    tone: &'static str,
    problems: Vec<Told>,
}

/// A problem and what to do about it.
#[derive(Serialize)]
struct Told {
    tone: &'static str,
    what: String,
    hint: Option<String>,
}

const fn tone(state: HealthState) -> &'static str {
    match state {
        HealthState::Ok => "good",
        HealthState::Degraded => "warn",
        HealthState::Down => "bad",
    }
}

impl Badge {
    pub(super) fn of(status: &Status) -> Self {
        let health = &status.health;
        let problems = health.problems.iter().map(|problem| Told {
            tone: tone(problem.state),
            what: problem.what.clone(),
            hint: problem.hint.clone(),
        });
        Self {
            word: match health.state {
                HealthState::Ok => "all is well",
                HealthState::Degraded => "something waits or is late",
                HealthState::Down => "a side cannot be used",
            },
            tone: tone(health.state),
            problems: problems.collect(),
        }
    }
}

/// Both sides, where their news comes from, and the mappings.
pub(super) fn sections(status: &Status) -> Vec<Section> {
    let mappings = Section {
        id: "mappings",
        title: "Mappings",
        tables: vec![mappings(status)],
        none: "No mapping is in force.",
        ..Section::default()
    };
    let sides = Section {
        id: "sides",
        title: "Both sides",
        lead: vec![
            format!(
                "Running since {}. The journal takes up {} MiB.",
                super::moment(status.started),
                number(status.journal_bytes.div_ceil(1 << 20)),
            )
            .into(),
        ],
        tables: vec![sides(status), news(status)],
        ..Section::default()
    };
    vec![mappings, sides]
}

fn mappings(status: &Status) -> Table {
    let mut table = Table::new(
        "Links and what is in line, by mapping",
        ["Mapping", "#Links", "#Handoff lane", "#Ordinary lane", "#Backfill lane", "Longest due"],
    );
    for mapping in &status.mappings {
        let lane =
            |lane: Lane| Cell::from(mapping.pending.get(lane.key()).copied().unwrap_or_default());
        table.row([
            mapping.mapping.as_str().into(),
            mapping.links.into(),
            lane(Lane::Handoff),
            lane(Lane::Ordinary),
            lane(Lane::Backfill),
            due(mapping, status),
        ]);
    }
    table
}

fn due(mapping: &MappingStatus, status: &Status) -> Cell {
    match (&mapping.taking_in, mapping.oldest_due) {
        (Some(taking), _) => {
            format!("taking in {}: {} seen", taking.why, number(taking.seen)).into()
        }
        (None, Some(due)) if due <= status.now => ago(due, status.now).into(),
        _ => or_dash(None::<String>),
    }
}

fn sides(status: &Status) -> Table {
    let mut table = Table::new(
        "Sides",
        [
            "Side",
            "Account",
            "Last change seen",
            "#Calls since start",
            "#Of the account's day",
            "State",
        ],
    );
    for (side, one) in status.sides.iter() {
        let day = match (one.calls.used, one.calls.limit) {
            (Some(used), Some(limit)) => format!("{} of {}", number(used), number(limit)).into(),
            (Some(used), None) => used.into(),
            _ => or_dash(None::<String>),
        };
        let state = if one.trouble.is_some() {
            Cell::from("in trouble").tone(Some("bad"))
        } else if one.paused_until.is_some_and(|until| until > status.now) {
            Cell::from("paused").tone(Some("warn"))
        } else if one.account.is_none() {
            Cell::from("not signed in").tone(Some("warn"))
        } else {
            Cell::from("in use").tone(Some("good"))
        };
        table.row([
            side.to_string().into(),
            or_dash(one.account.as_deref()),
            or_dash(one.last_change.map(|at| ago(at, status.now))),
            one.calls.made.into(),
            day,
            state,
        ]);
    }
    table
}

fn news(status: &Status) -> Table {
    let mut table =
        Table::new("Where news comes from", ["Object", "News from", "Last news", "Last asked"]);
    for (side, one) in status.sides.iter() {
        for (object, news) in &one.objects {
            table.row([
                format!("{side} {object}").into(),
                news.from.unwrap_or(Source::Poll).word().into(),
                or_dash(news.last_news().map(|at| ago(at, status.now))),
                or_dash(news.last_round.map(|at| ago(at, status.now))),
            ]);
        }
    }
    table
}
