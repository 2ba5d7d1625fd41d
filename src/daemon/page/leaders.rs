//! The handoff's figures, as the page says them: first the four questions, then what is behind the
//! answers.

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

use super::chart::{Bar, Chart, ChartError};
use super::value::{Cell, Section, Table, moment, number, or_dash};
use crate::handoff::report::{
    Answer, By, Compliance, Counted, Figures, Group, Rate, Report, Spread, Times,
};
use crate::handoff::story::{business, money, span};
use crate::handoff::stuck::Stuck;

/// How many groups, reasons and owners are shown.
const SHOWN: usize = 25;

/// The handoff's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Leaders {
    /// The report.
    pub report: Report,
    /// What does not move, each kind once.
    pub stuck: Vec<StuckKind>,
    /// What has to be known of where the figures come from, in sentences.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// Handoffs that do not move, of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckKind {
    /// Why they do not.
    pub kind: Stuck,
    /// How many there are.
    pub count: u64,
    /// The numbers of those that have waited longest.
    pub longest: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct View {
    /// Which handoffs are in the figures.
    period: String,
    since: String,
    until: String,
    groupings: Vec<Grouping>,
    answers: Vec<Answer>,
    equation: String,
    balances: bool,
    /// What is odd about the figures, in sentences.
    odd: Vec<String>,
    funnel: Option<Chart>,
    steps: Table,
    groups: Option<Chart>,
    sections: Vec<Section>,
}

/// A word of the form.
#[derive(Serialize)]
struct Grouping {
    key: &'static str,
    chosen: bool,
}

pub(super) fn view(leaders: &Leaders, now: Timestamp) -> Result<View, ChartError> {
    let Leaders { report, stuck, remarks } = leaders;
    let total = &report.total;
    let day = |at: Option<Timestamp>| {
        at.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
    };
    let mut sections =
        vec![times(total), levels(total), stuck_section(stuck, total.lapsed), answered(total)];
    if let Some(by) = report.by {
        sections.push(groups(by, &report.groups));
    }
    Ok(View {
        period: period(report, now),
        since: day(report.since),
        until: day(report.until),
        groupings: By::ALL
            .into_iter()
            .map(|by| Grouping { key: by.key(), chosen: report.by == Some(by) })
            .collect(),
        answers: report.answers.clone(),
        equation: total.balance.equation(),
        balances: total.balance.balances(),
        odd: remarks.iter().cloned().chain(odd(total)).collect(),
        funnel: funnel_chart(total)?,
        steps: funnel_table(total),
        groups: report.by.map_or(Ok(None), |by| group_chart(by, &report.groups))?,
        sections,
    })
}

fn period(report: &Report, now: Timestamp) -> String {
    match (report.since, report.until) {
        (None, None) => format!("All handoffs up to {}.", moment(now)),
        (Some(since), None) => {
            format!("Handoffs that qualified from {} to {}.", moment(since), moment(now))
        }
        (None, Some(until)) => format!("Handoffs that qualified before {}.", moment(until)),
        (Some(since), Some(until)) => {
            format!("Handoffs that qualified from {} to before {}.", moment(since), moment(until))
        }
    }
}

/// `11.8 %`
fn percent(rate: Rate) -> Option<String> {
    rate.share().map(|share| format!("{:.1} %", share * 100.0))
}

/// `271 (11.8 %)`
fn share(rate: Rate) -> Cell {
    match percent(rate) {
        Some(percent) => format!("{} ({percent})", number(rate.count)).into(),
        None => or_dash(None::<String>),
    }
}

fn steps(figures: &Figures) -> [(&'static str, u64); 6] {
    let balance = &figures.balance;
    [
        ("Qualified", balance.qualified),
        ("Reached Salesforce", balance.reached()),
        ("Owned by a person", figures.owned.count),
        ("Touched by sales", figures.touched.count),
        ("Accepted by sales", figures.accepted.count),
        ("Won", figures.won.count),
    ]
}

fn funnel_chart(figures: &Figures) -> Result<Option<Chart>, ChartError> {
    if figures.balance.qualified == 0 {
        return Ok(None);
    }
    #[expect(clippy::cast_precision_loss, reason = "a bar is no wider than a few hundred pixels")]
    let bars = steps(figures).map(|(name, count)| {
        let rate = Rate { count, of: figures.balance.qualified };
        let figure = match percent(rate) {
            Some(percent) if count < rate.of => format!("{} · {percent}", number(count)),
            _ => number(count),
        };
        Bar { name: name.to_owned(), value: count as f64, figure, faint: false }
    });
    Chart::bars("funnel-chart", "From qualified to won", &bars)
}

fn funnel_table(figures: &Figures) -> Table {
    let mut table = Table::new(
        "From qualified to won",
        ["Step", "#Handoffs", "#Of those qualified", "#Of the step before"],
    );
    let mut before = None;
    for (name, count) in steps(figures) {
        let of = |of: u64| or_dash(percent(Rate { count, of }));
        let earlier = before.map_or_else(|| or_dash(None::<String>), of);
        table.row([name.into(), count.into(), of(figures.balance.qualified), earlier]);
        before = Some(count);
    }
    table
}

fn odd(figures: &Figures) -> Vec<String> {
    let odd = &figures.odd;
    [
        (odd.sent_before_qualified, "in Salesforce before they qualified"),
        (odd.touched_before_sent, "touched before they were in Salesforce"),
        (odd.won_before_qualified, "won before they qualified"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| {
        let were = if count == 1 { "was" } else { "were" };
        format!(
            "{} {were} {what}, by the platforms' own stamps: counted everywhere but in the times.",
            number(count)
        )
    })
    .collect()
}

fn time(seconds: Option<f64>) -> Cell {
    or_dash(Spread::duration(seconds).map(span))
}

fn in_business(seconds: Option<f64>) -> Cell {
    or_dash(Spread::duration(seconds).map(business))
}

fn times(figures: &Figures) -> Section {
    let mut table = Table::new(
        "How long it took: half took no longer than the median, 90 and 95 of 100 no longer than p90 \
         and p95",
        ["From and to", "Counted in", "#Handoffs", "#Median", "#p90", "#p95"],
    );
    let mut add = |what: &str, unit: &str, spread: &Spread, time: fn(Option<f64>) -> Cell| {
        if spread.count > 0 {
            table.row([
                what.into(),
                unit.into(),
                spread.count.into(),
                time(spread.median),
                time(spread.p90),
                time(spread.p95),
            ]);
        }
    };
    let mut both = |what: &str, times: &Times| {
        add(what, "all hours", &times.raw, time);
        add(what, "business time", &times.business, in_business);
    };
    both("The system's share: qualified to in Salesforce", &figures.system);
    both("The people's share: in Salesforce to first touch", &figures.people);
    add("Qualified to won", "all hours", &figures.to_win, time);
    Section {
        id: "times",
        title: "Times",
        tables: vec![table],
        none: "Nothing has reached Salesforce yet.",
        ..Section::default()
    }
}

fn levels(figures: &Figures) -> Section {
    let mut table = Table::new(
        "Service levels, in business time",
        ["Goal", "Within", "#Kept", "#Of those decided", "#Have time left"],
    );
    for level in &figures.levels {
        table.row([
            level.goal.words().into(),
            business(jiff::SignedDuration::from_secs(level.within)).into(),
            share(level.kept),
            level.kept.of.into(),
            level.running.into(),
        ]);
    }
    Section {
        id: "levels",
        title: "Service levels",
        tables: std::iter::once(table).chain(figures.levels.iter().map(breaches)).collect(),
        none: "No mapping says by when sales is to act.",
        ..Section::default()
    }
}

fn breaches(level: &Compliance) -> Table {
    counted(
        &format!("Breaches of the {}, by who had it", level.goal.words()),
        "Owner",
        &level.breaches,
    )
}

fn counted(caption: &str, what: &'static str, items: &[Counted]) -> Table {
    let mut table = Table::new(caption, [what, "#Handoffs"]);
    for item in items {
        table.row([item.name.as_str().into(), item.count.into()]);
    }
    table.cut(SHOWN, items.len());
    table
}

fn stuck_section(stuck: &[StuckKind], lapsed: u64) -> Section {
    let mut table = Table::new(
        "Handoffs that do not move",
        ["They are", "#Handoffs", "Longest waiting", "Next step"],
    );
    for kind in stuck.iter().filter(|kind| kind.count > 0) {
        table.row([
            kind.kind.words().into(),
            kind.count.into(),
            kind.longest.join(", ").into(),
            kind.kind.next_step().into(),
        ]);
    }
    let mut lead: Vec<Cell> = Vec::new();
    if !table.rows.is_empty() {
        lead.push("Each by name, with its owner and its age:".into());
        lead.push(Cell::command("lockstep handoffs stuck"));
    }
    if lapsed > 0 {
        let have = if lapsed == 1 { "has" } else { "have" };
        let text = format!("{} {have} lapsed, because nobody answered in time:", number(lapsed));
        lead.push(text.into());
        lead.push(Cell::command("lockstep handoffs --state lapsed"));
    }
    Section {
        id: "stuck",
        title: "Stuck leads",
        lead,
        tables: vec![table],
        none: "No open handoff stands still.",
    }
}

fn answered(figures: &Figures) -> Section {
    let mut table = Table::new("What sales did", ["What", "#Handoffs"]);
    for (what, rate) in [
        ("Came with a task", figures.tasked),
        ("Touched or answered", figures.touched),
        ("Accepted", figures.accepted),
        ("Returned", figures.returned),
        ("Won", figures.won),
    ] {
        table.row([what.into(), share(rate)]);
    }
    for (what, count) in [("Lapsed", figures.lapsed), ("Lost", figures.lost)] {
        table.row([what.into(), count.into()]);
    }
    if let Some(cents) = figures.won_cents {
        let known = format!("Worth, as far as known ({} won)", number(figures.amounts_known));
        table.row([known.into(), money(cents).into()]);
    }
    let balance = &figures.balance;
    Section {
        id: "answers",
        title: "What became of them",
        tables: vec![
            table,
            counted("Kept from sales, and why", "Reason", &balance.excluded_by),
            counted("Refused by Salesforce, and why", "Reason", &balance.rejected_by),
            counted("Returned, and why", "Reason", &figures.return_reasons),
            counted("Lost, and why", "Reason", &figures.loss_reasons),
        ],
        ..Section::default()
    }
}

fn groups(by: By, groups: &[Group]) -> Section {
    let mut table = Table::new(
        format!("By {}", by.key()),
        [
            "Group",
            "#Qualified",
            "#Reached",
            "#Touched",
            "#Accepted",
            "#Returned",
            "#Won",
            "#First touch, median",
        ],
    );
    for Group { name, small, figures } in groups {
        let name = if *small { format!("{name} (small)") } else { name.clone() };
        table.row([
            name.into(),
            figures.balance.qualified.into(),
            figures.balance.reached().into(),
            share(figures.touched),
            share(figures.accepted),
            share(figures.returned),
            share(figures.won),
            in_business(figures.people.business.median),
        ]);
    }
    table.cut(SHOWN, groups.len());
    let small = groups.iter().any(|group| group.small);
    Section {
        id: "groups",
        title: "Compared",
        lead: if small {
            vec![
                "Groups marked as small have so few handoffs that their rates say little: luck \
                 alone moves them by 15 points."
                    .into(),
            ]
        } else {
            Vec::new()
        },
        tables: vec![table],
        none: "Nothing qualified in this time.",
    }
}

/// The win rate of the largest groups; by week, how many qualified in the last ones.
fn group_chart(by: By, groups: &[Group]) -> Result<Option<Chart>, ChartError> {
    const BARS: usize = 12;
    #[expect(clippy::cast_precision_loss, reason = "a bar is no wider than a few hundred pixels")]
    let bar = |group: &Group| {
        let (value, figure) = if by == By::Week {
            let count = group.figures.balance.qualified;
            (count as f64, number(count))
        } else {
            let won = group.figures.won;
            let figure = percent(won).unwrap_or_default();
            (won.share().unwrap_or_default(), format!("{figure} of {}", number(won.of)))
        };
        Bar { name: group.name.clone(), value, figure, faint: by != By::Week && group.small }
    };
    if by == By::Week {
        let last = groups.len().saturating_sub(BARS);
        let bars: Vec<Bar> = groups.iter().skip(last).map(bar).collect();
        return Chart::bars("groups-chart", "Qualified in each of the last weeks", &bars);
    }
    let bars: Vec<Bar> = groups.iter().take(BARS).map(bar).collect();
    Chart::bars("groups-chart", format!("Won of those that qualified, by {}", by.key()), &bars)
}
