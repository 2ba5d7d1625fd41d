//! `lockstep report`

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::output::{Output, Tone, paint};
use super::{Command, Context, Exit, Failure, arguments, words};
use crate::daemon::control::Request;
use crate::daemon::page::{Leaders, Page, Place, document};
use crate::daemon::query::ReportOf;
use crate::handoff::report::{By, Counted, Figures, Group, Rate, Report, Spread, Times};
use crate::handoff::story::{business, grouped, money, span};

pub(super) const COMMAND: Command = Command {
    name: "report",
    about: "Say how quickly qualified leads reach sales, what sales does with them, and what comes of it",
    long: "\
Opens with the four questions of the trade, each answered in a sentence; then the funnel as an
equation that must balance, the system's share of the time and the people's, service levels, reasons
and outcomes. Times are UTC; a day alone is its beginning. With --html the same is written as one
page with charts that needs nothing beside it, to be sent or printed.

Examples:
  lockstep report
  lockstep report --since 2026-10-01 --by source
  lockstep report --by owner --csv
  lockstep report --by source --html report.html",
    hidden: false,
    augment: Arguments::augment_args,
    run,
};

#[derive(Debug, Args)]
struct Arguments {
    /// Leads that qualified at this time or later: 2026-10-01, 2026-10-01T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Leads that qualified before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Figures for each group as well
    #[arg(long, value_enum)]
    by: Option<ByWord>,
    /// Print the groups as comma-separated values for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Write a page with charts and what is stuck to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv"])]
    html: Option<PathBuf>,
}

/// What groups are made of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByWord {
    /// Where the person came from
    Source,
    /// Who has it
    Owner,
    /// What kind of customer it would be
    Segment,
    /// The week in which it qualified
    Week,
}

impl From<ByWord> for By {
    fn from(word: ByWord) -> Self {
        match word {
            ByWord::Source => Self::Source,
            ByWord::Owner => Self::Owner,
            ByWord::Segment => Self::Segment,
            ByWord::Week => Self::Week,
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let day = || {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse()
        .ok()
        .or_else(day)
        .ok_or_else(|| "write a day or a time: 2026-10-01 or 2026-10-01T09:00:00Z".to_owned())
}

fn run(context: &mut Context, matches: &ArgMatches) -> Result<Exit, Failure> {
    let Arguments { since, until, by, csv, html } = arguments(matches)?;
    context.log_little();
    let of = ReportOf { since, until, by: by.map(By::from) };
    if let Some(file) = html {
        let leaders: Option<Leaders> = context.ask_for(&Request::Leaders { of })?;
        let leaders = leaders.ok_or_else(|| {
            Failure::new(Exit::NotFound, "no mapping hands anything off")
                .hint("write [handoff] in a mapping; mappings/README.md says how")
        })?;
        write_page(&file, leaders)?;
        context.out.line(format!("wrote {}", file.display()));
        return Ok(Exit::Done);
    }
    let report: Report = context.ask_for(&Request::Report { of })?;
    let out = &context.out;
    if out.json() {
        out.value(&report);
    } else if csv {
        values(out, &report)?;
    } else {
        told(out, &report);
    }
    Ok(Exit::Done)
}

/// Writes the page for leaders into a file of its own.
pub(super) fn write_page(file: &Path, leaders: Leaders) -> Result<(), Failure> {
    let made = leaders.report.made;
    let page = Page { made, leaders: Some(leaders), waiting: None, status: None };
    let text = document(&page, Place::File)
        .map_err(|error| Failure::from_error(Exit::Internal, &error))?;
    std::fs::write(file, text).map_err(|error| {
        Failure::of(Exit::Usage, format!("cannot write {}", file.display()), &error)
            .hint("name a file in a directory that is there and that you may write to")
    })
}

/// The report in words and tables.
pub(super) fn told(out: &Output, report: &Report) {
    for answer in &report.answers {
        out.line(paint(Tone::Good, &answer.question));
        out.line(format!("  {}", answer.answer));
    }
    let total = &report.total;
    out.line("");
    let equation = total.balance.equation();
    let balances = total.balance.balances();
    out.line(if balances { equation } else { paint(Tone::Bad, &equation) });
    reasons(out, "excluded", &total.balance.excluded_by);
    reasons(out, "rejected", &total.balance.rejected_by);
    out.line("");
    times(out, total);
    out.line("");
    outcome(out, total);
    if let Some(by) = report.by {
        out.line("");
        groups(out, by, &report.groups);
    }
}

fn reasons(out: &Output, what: &str, list: &[Counted]) {
    for counted in list.iter().take(10) {
        out.line(format!("  {what}: {} {}", grouped(counted.count), counted.name));
    }
}

fn time(seconds: Option<f64>) -> String {
    Spread::duration(seconds).map_or_else(|| "–".to_owned(), span)
}

fn in_business(seconds: Option<f64>) -> String {
    Spread::duration(seconds).map_or_else(|| "–".to_owned(), business)
}

fn share(rate: Rate) -> String {
    match rate.share() {
        Some(share) => {
            format!("{} of {} ({:.1} %)", grouped(rate.count), grouped(rate.of), share * 100.0)
        }
        None => "–".to_owned(),
    }
}

fn times(out: &Output, figures: &Figures) {
    let mut table =
        out.table(["time", "of", "median", "p90", "p95", "business median", "p90", "p95"]);
    let mut row = |what: &str, times: &Times| {
        table.add_row([
            what.to_owned(),
            grouped(times.raw.count),
            time(times.raw.median),
            time(times.raw.p90),
            time(times.raw.p95),
            in_business(times.business.median),
            in_business(times.business.p90),
            in_business(times.business.p95),
        ]);
    };
    row("qualified to sent (the system's share)", &figures.system);
    row("sent to first touch (the people's share)", &figures.people);
    row("qualified to won", &Times { raw: figures.to_win, business: Spread::default() });
    out.print_table(&table);
}

fn outcome(out: &Output, figures: &Figures) {
    out.line(format!("accepted: {}", share(figures.accepted)));
    out.line(format!("returned: {}", share(figures.returned)));
    reasons(out, "returned", &figures.return_reasons);
    out.line(format!("lapsed: {}", grouped(figures.lapsed)));
    for level in &figures.levels {
        let within = business(SignedDuration::from_secs(level.within));
        let goal = level.goal.words();
        let running = grouped(level.running);
        out.line(format!("{goal} within {within}: {}; time left: {running}", share(level.kept)));
        reasons(out, "late", &level.breaches);
    }
    let worth = match figures.won_cents {
        Some(cents) => format!(
            "; worth {} as far as amounts are known ({} of them)",
            money(cents),
            grouped(figures.amounts_known)
        ),
        None => String::new(),
    };
    out.line(format!("won: {}{worth}", share(figures.won)));
    out.line(format!("lost: {}", grouped(figures.lost)));
    reasons(out, "lost", &figures.loss_reasons);
    let odd = &figures.odd;
    for (count, what) in [
        (odd.sent_before_qualified, "were in Salesforce before they qualified"),
        (odd.touched_before_sent, "were touched before they were in Salesforce"),
        (odd.won_before_qualified, "were won before they qualified"),
    ] {
        if count > 0 {
            let text = format!("{} {what}: they count, but not in the times", grouped(count));
            out.line(paint(Tone::Warn, &text));
        }
    }
}

/// A line for each group.
pub(super) fn groups(out: &Output, by: By, groups: &[Group]) {
    let mut table = out.table([
        by.key(),
        "qualified",
        "sent",
        "touched",
        "accepted",
        "returned",
        "won",
        "days to win",
    ]);
    for group in groups {
        let figures = &group.figures;
        let days = figures.to_win.median.map(|seconds| format!("{:.0}", seconds / 86_400.0));
        table.add_row([
            name(group),
            grouped(figures.balance.qualified),
            grouped(figures.balance.reached()),
            percent(figures.touched),
            percent(figures.accepted),
            percent(figures.returned),
            format!("{} ({})", grouped(figures.won.count), percent(figures.won)),
            words::or_dash(days.as_deref()),
        ]);
    }
    out.print_table(&table);
}

fn name(group: &Group) -> String {
    if group.small { format!("{} (small)", group.name) } else { group.name.clone() }
}

fn percent(rate: Rate) -> String {
    rate.share().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// The total and the groups, one row each.
fn values(out: &Output, report: &Report) -> Result<(), Failure> {
    let wrong = |error: csv::Error| Failure::of(Exit::Internal, "cannot write the values", &error);
    let mut file = csv::Writer::from_writer(Vec::new());
    let heading = [
        "group",
        "small",
        "qualified",
        "sent",
        "matched",
        "excluded",
        "rejected",
        "under_way",
        "touched",
        "accepted",
        "returned",
        "lapsed",
        "won",
        "lost",
        "won_amount",
        "system_median_s",
        "system_p95_s",
        "people_median_s",
        "people_business_median_s",
        "to_win_median_s",
    ];
    file.write_record(heading).map_err(wrong)?;
    let total = ("all".to_owned(), false, &report.total);
    let groups = report.groups.iter().map(|it| (it.name.clone(), it.small, &it.figures));
    for (name, small, it) in std::iter::once(total).chain(groups) {
        let number = |number: Option<f64>| number.map(|it| it.to_string()).unwrap_or_default();
        let mut row = vec![name, small.to_string()];
        let balance = &it.balance;
        let counts = [
            balance.qualified,
            balance.sent,
            balance.matched,
            balance.excluded,
            balance.rejected,
            balance.under_way,
            it.touched.count,
            it.accepted.count,
            it.returned.count,
            it.lapsed,
            it.won.count,
            it.lost,
        ];
        row.extend(counts.iter().map(ToString::to_string));
        row.push(it.won_cents.map(|cents| money(cents).replace(',', "")).unwrap_or_default());
        row.push(number(it.system.raw.median));
        row.push(number(it.system.raw.p95));
        row.push(number(it.people.raw.median));
        row.push(number(it.people.business.median));
        row.push(number(it.to_win.median));
        file.write_record(&row).map_err(wrong)?;
    }
    let bytes = file
        .into_inner()
        .map_err(|error| Failure::of(Exit::Internal, "cannot write the values", error.error()))?;
    out.bytes(&bytes);
    Ok(())
}
