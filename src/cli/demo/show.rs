//! The demo as people read it.

use comfy_table::{CellAlignment, Table};

use super::cast::Cast;
use super::funnel::Leads;
use super::replay::Replayed;
use super::report::{Report, Settlement};
use super::rig::Rig;
use crate::cli::output::{Output, Tone, paint};
use crate::handoff::report::By;
use crate::record::{PerSide, Side};

/// How many of what waits is shown.
const SHOWN: usize = 12;

/// Before people begin to work.
pub fn opening(out: &Output, rig: &Rig, cast: &Cast) {
    if out.json() {
        return;
    }
    places(out, rig);
    out.line(format!(
        "{} contacts in HubSpot and {} Leads in Salesforce; {} people are on both sides, not linked \
         yet.",
        number(cast.contacts),
        number(cast.leads),
        number(cast.both),
    ));
    out.line("Among them, as in every real database:");
    for awkward in &cast.awkward {
        out.line(format!("  {awkward}"));
    }
    out.line("");
}

/// Before the leads of a file go to Salesforce.
pub fn opening_of_file(out: &Output, rig: &Rig, leads: &Leads) {
    if out.json() {
        return;
    }
    places(out, rig);
    out.line(format!(
        "{} marketing-qualified leads from {}, {} of them won.",
        number(leads.rows.len()),
        leads.file,
        number(leads.won()),
    ));
    out.line(
        "The file has no names: the id stands for the last name. An unknown source is OFFLINE.",
    );
    out.line("Limits of calls are lifted on both ends, and no safety limit holds the import.");
    out.line("");
}

fn places(out: &Output, rig: &Rig) {
    match &rig.serving {
        Some(serving) => {
            out.line(format!("HubSpot     {}", serving.hubspot_url()));
            out.line(format!("Salesforce  {}", serving.salesforce_url()));
        }
        None => out.line("HubSpot and Salesforce are called in this process."),
    }
    if let Some(path) = rig.kept() {
        out.line(format!("Journal     {}", path.display()));
    }
    out.line("");
}

/// The whole report.
pub fn report(out: &Output, report: &Report) {
    deeds(out, report);
    news(out, report);
    written(out, report);
    links(out, report);
    compared(out, report);
    settled(out, report);
    waiting(out, report);
    last(out, report);
}

/// A file's time, lived through.
pub fn replayed(out: &Output, replayed: &Replayed) {
    heading(
        out,
        &format!(
            "{} leads of {}, {} of them won",
            number(replayed.rows),
            replayed.file,
            number(replayed.won)
        ),
    );
    out.line(
        "The file has no names: the first characters of ids stand for them. It does not say when a \
         lead was first called: here that is the moment of its win. Whoever was not won was left \
         alone.",
    );
    if let Some(text) = super::replay::won_early(replayed.won_before_qualified) {
        out.line(paint(Tone::Warn, &text));
    }
    out.line("");
    crate::cli::report::told(out, &replayed.report);
    out.line("");
    out.line("A won lead belongs to whoever closed it, the others to whom Salesforce's rules say.");
    crate::cli::report::groups(out, By::Owner, &replayed.owners);
    out.line("");
    if replayed.stuck.is_empty() {
        out.line("stuck: no open handoff");
    }
    for (kind, count) in &replayed.stuck {
        out.line(format!("stuck, {}: {}", kind.replace('_', " "), number(*count)));
    }
    out.line(format!(
        "calls: {} to HubSpot, {} to Salesforce",
        number(replayed.calls.hubspot),
        number(replayed.calls.salesforce)
    ));
}

fn heading(out: &Output, text: &str) {
    out.line(paint(Tone::Strong, text));
}

fn print(out: &Output, mut table: Table, left: usize) {
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    out.print_table(&table);
    out.line("");
}

fn deeds(out: &Output, report: &Report) {
    heading(out, "What people did");
    let mut table = out.table(["", "times"]);
    for (deed, times) in &report.deeds {
        table.add_row([deed.clone(), number(*times)]);
    }
    print(out, table, 1);
    let faults = &report.faults;
    if faults.armed.is_empty() {
        return;
    }
    heading(out, "What went wrong on the way");
    out.line(format!(
        "  let loose: {}\n  {} without a good answer, {} of the daemon cut short",
        faults.armed.join(", "),
        counted(faults.failed_calls, "call"),
        counted(faults.interrupted.into(), "round"),
    ));
    out.line("");
}

fn news(out: &Output, report: &Report) {
    heading(out, "Where the news came from");
    let mut table = out.table(["", "by itself", "only by a poll", "push now"]);
    for it in &report.news {
        table.add_row([
            format!("{} {}", it.side, it.object),
            number(it.pushed),
            number(it.polled),
            it.push.unwrap_or("-").to_owned(),
        ]);
    }
    print(out, table, 1);
    if let Some(webhooks) = &report.webhooks {
        let turned: u64 = webhooks.turned_away.values().sum();
        out.line(format!(
            "  HubSpot told of {} in {} webhooks, {} of them the daemon's own writes; {} turned away",
            counted(webhooks.events, "event"),
            number(webhooks.deliveries),
            number(webhooks.echoes),
            counted(turned, "request"),
        ));
        out.line("");
    }
}

fn written(out: &Output, report: &Report) {
    heading(out, "What was synchronized, and what it cost");
    let mut table = out.table([
        "", "created", "changed", "deleted", "refused", "calls", "reads", "writes", "sign-ins",
    ]);
    for (side, it) in report.sides.iter() {
        let figures = [
            it.created,
            it.changed,
            it.deleted,
            it.refused,
            it.calls,
            it.reads,
            it.writes,
            it.sign_ins,
        ];
        let name = std::iter::once(side.name().to_owned());
        table.add_row(name.chain(figures.map(number)));
    }
    print(out, table, 1);
}

fn links(out: &Output, report: &Report) {
    let mut table = out.table(["links", "active", "resting", "ended"]);
    for (mapping, links) in &report.links {
        table.add_row([
            mapping.clone(),
            number(links.active),
            number(links.resting),
            number(links.ended),
        ]);
    }
    print(out, table, 1);
}

fn compared(out: &Output, report: &Report) {
    heading(out, "Both sides, once all was quiet");
    let it = &report.compared;
    for (title, rows) in [("stage of linked people", &it.stages), ("status of Leads", &it.statuses)]
    {
        if rows.is_empty() {
            continue;
        }
        let mut table = out.table([title, "HubSpot", "Salesforce"]);
        for row in rows {
            let PerSide { hubspot, salesforce } = row.count;
            table.add_row([row.value.clone(), number(hubspot), number(salesforce)]);
        }
        print(out, table, 1);
    }
    let mut table = out.table(["fields of both records", ""]);
    table.add_row(["compared".to_owned(), number(it.fields)]);
    table.add_row(["equal".to_owned(), number(it.equal)]);
    for (why, count) in &it.explained {
        table.add_row([format!("differ: {why}"), number(*count)]);
    }
    let none = it.unexplained.is_empty();
    let tone = if none { Tone::Good } else { Tone::Bad };
    let count = number(it.unexplained.len());
    table.add_row([paint(tone, "differ without a reason"), paint(tone, &count)]);
    print(out, table, 1);
    for found in it.unexplained.iter().take(SHOWN) {
        out.line(format!(
            "  {} {} {}: HubSpot {:?}, Salesforce {:?}",
            found.mapping, found.link, found.field, found.values.hubspot, found.values.salesforce
        ));
    }
    if !none {
        out.line("");
    }
}

fn settled(out: &Output, report: &Report) {
    let lists = [
        ("Both had edited the same field", false),
        ("Two records met for the first time, with different values", true),
    ];
    for (title, first) in lists {
        let of = |it: &&Settlement| it.first_meeting == first;
        if !report.conflicts.iter().any(|it| of(&it)) {
            continue;
        }
        heading(out, title);
        let mut table = out.table(["rule", "who won", "times"]);
        for it in report.conflicts.iter().filter(of) {
            let won = it.won.map_or("another value", Side::name);
            table.add_row([it.rule.as_str(), won, &number(it.count)]);
        }
        print(out, table, 2);
    }
}

fn waiting(out: &Output, report: &Report) {
    heading(out, "What waits for a person");
    if report.waiting.is_empty() {
        out.line("  nothing\n");
        return;
    }
    for it in report.waiting.iter().take(SHOWN) {
        out.line(format!("{}  {}", paint(Tone::Warn, &format!("{:8}", it.kind)), it.about));
        out.line(format!("          {}", it.reason));
        out.line(paint(Tone::Dim, &format!("          next: {}", it.next)));
    }
    if report.waiting.len() > SHOWN {
        out.line(format!("and {} more; --json has them all", report.waiting.len() - SHOWN));
    }
    out.line("");
}

fn last(out: &Output, report: &Report) {
    let last = &report.last_pass;
    heading(out, "Once more over everything");
    out.line(format!(
        "  {} compared anew, {} listed, {}",
        counted(last.links, "link"),
        counted(last.listed, "record"),
        counted(last.calls, "call"),
    ));
    let quiet = last.writes == 0 && last.written == 0;
    let verdict =
        format!("{} written, {} to write", number(last.written), counted(last.writes, "call"));
    out.line(format!("  {}", paint(if quiet { Tone::Good } else { Tone::Bad }, &verdict)));
    if let Some(file) = report.file {
        let tone = if file.is_whole() { Tone::Good } else { Tone::Bad };
        let text = format!(
            "  {} of {} leads linked; {} won, {} customers in HubSpot, {} in Salesforce",
            number(file.linked),
            number(file.rows),
            number(file.won),
            number(file.customers.hubspot),
            number(file.customers.salesforce),
        );
        out.line(paint(tone, &text));
    }
    out.line("");
    let verdict = if report.is_well() {
        paint(Tone::Good, "Both sides agree, or it is said where they do not and why.")
    } else {
        paint(Tone::Bad, "Something is not as it should be: see above.")
    };
    out.line(verdict);
    if let Some(path) = &report.journal {
        out.line(format!("The journal is in {path}."));
    }
}

/// `1,234`.
fn number(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 call`, `2 calls`.
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_things_counted() {
        let cases =
            [(0, "0"), (12, "12"), (842, "842"), (8_000, "8,000"), (1_234_567, "1,234,567")];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
        assert_eq!(counted(1, "call"), "1 call");
        assert_eq!(counted(1_000, "call"), "1,000 calls");
    }
}
