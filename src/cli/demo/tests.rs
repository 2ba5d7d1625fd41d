//! The demo, played.

use std::collections::BTreeMap;

use super::*;
use crate::cli::output::When;
use crate::daemon::page::{Page, Place, document};

fn arguments() -> Arguments {
    Arguments {
        people: 60,
        seed: 1,
        seconds: 2,
        leads: None,
        replay: false,
        html: None,
        in_process: true,
        keep: None,
        fault: Vec::new(),
    }
}

fn silent() -> Output {
    Output::new(true, When::Never, true)
}

/// What must hold of every report, whatever happened.
fn balances(report: &Report) {
    let compared = &report.compared;
    let differ: u64 = compared.explained.values().sum();
    let unexplained = u64::try_from(compared.unexplained.len()).unwrap();
    assert_eq!(compared.fields, compared.equal + differ + unexplained);
    let active: u64 = report.links.values().map(|links| links.active).sum();
    assert!(compared.links > 0 && compared.links <= active);
    for (_, it) in report.sides.iter() {
        assert_eq!(it.calls, it.reads + it.writes + it.sign_ins);
        assert!(it.created + it.changed > 0 && it.writes > 0);
    }
    assert!(report.is_well(), "{:#?}\n{:#?}", compared.unexplained, report.last_pass);
}

#[tokio::test]
async fn both_sides_agree_after_a_day_of_edits_and_the_last_pass_writes_nothing() {
    let report = play(&silent(), &arguments(), Stop::never()).await.unwrap();
    balances(&report);
    let kinds: BTreeSet<_> = report.waiting.iter().map(|it| it.kind).collect();
    assert!(kinds.contains("match"), "{:#?}", report.waiting);
    assert!(report.waiting.iter().all(|it| !it.reason.is_empty() && !it.next.is_empty()));
    assert!(report.faults.failed_calls > 0);
    let webhooks = report.webhooks.as_ref().unwrap();
    assert!(webhooks.deliveries > 0 && webhooks.echoes > 0, "{webhooks:?}");
    assert!(report.deeds.len() > 15, "{:?}", report.deeds);
}

#[tokio::test]
async fn over_ports_it_ends_as_well() {
    let arguments = Arguments { people: 30, in_process: false, ..arguments() };
    let report = play(&silent(), &arguments, Stop::never()).await.unwrap();
    balances(&report);
    // A sandbox that sent webhooks besides, to nobody, would never come to rest.
    let webhooks = report.webhooks.as_ref().unwrap();
    assert!(webhooks.deliveries > 0, "{webhooks:?}");
}

#[tokio::test]
async fn the_demo_runs_on_push_and_whatever_befalls_it_is_told_and_loses_nothing() {
    for faults in [&["stream-cut=2", "replay-expired"][..], &["stream-stall"], &["overflow"]] {
        let fault: Vec<FaultOrder> = faults.iter().map(|order| order.parse().unwrap()).collect();
        let report =
            play(&silent(), &Arguments { fault, seconds: 4, ..arguments() }, Stop::never())
                .await
                .unwrap();
        balances(&report);
        let leads = report.news.iter().find(|news| news.object == "Lead").unwrap();
        assert!(leads.pushed > 0, "{faults:?} {:?}", report.news);
        assert_eq!(leads.push, Some("healthy"), "{faults:?} {:?}", report.news);
        let name = faults[0].split('=').next().unwrap();
        assert!(report.faults.armed.iter().any(|armed| armed == name), "{:?}", report.faults);
    }
}

const HEAD: &str = "person,email,qualified_at,source,campaign,sales_rep,development_rep,segment,\
                    lead_type,won_at,monthly_revenue\n";

/// Plays a file of leads that `name` tells apart from other tests'.
async fn play_text(name: &str, text: &str) -> Report {
    let file = std::env::temp_dir().join(format!("lockstep-{name}-{}.csv", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let report = play_file(&silent(), &arguments(), &file, Stop::never()).await;
    std::fs::remove_file(&file).unwrap();
    report.unwrap()
}

#[tokio::test]
async fn every_lead_of_a_file_arrives_and_every_won_one_comes_back_a_customer() {
    let row = |number: u32| {
        let won = if number.is_multiple_of(4) { "2018-03-01T10:00:00Z" } else { "" };
        format!(
            "p{number:07},p{number}@example.com,2018-02-01T09:00:00Z,social,spring,rep{number},,,,\
             {won},\n"
        )
    };
    let rows: String = (1..=40).map(row).collect();
    let report = play_text("made-up", &format!("{HEAD}{rows}")).await;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["file"]["linked"], 40, "{json:#}");
    assert_eq!(json["file"]["customers"]["hubspot"], 10, "{json:#}");
    assert_eq!(json["file"]["customers"]["salesforce"], 10);
    assert_eq!(json["links"]["deals"]["active"], 10);
    balances(&report);
}

/// The first `most` rows of a real funnel, where its file is there.
async fn funnel(name: &str, most: usize) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/olist/funnel.csv");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: {file} is not there");
        return;
    };
    let rows: Vec<&str> = text.lines().take(most + 1).collect();
    let report = play_text(name, &rows.join("\n")).await;
    let figures = report.file.unwrap();
    println!("{figures:?} {:?} {:?}", report.sides, report.last_pass);
    assert_eq!(figures.rows, u64::try_from(rows.len() - 1).unwrap());
    assert!(figures.is_whole(), "{figures:?} {:#?}", report.waiting);
    balances(&report);
}

#[tokio::test]
async fn a_thousand_leads_of_a_real_funnel_arrive() {
    funnel("funnel", 1_000).await;
}

#[tokio::test]
#[ignore = "takes minutes without optimization"]
async fn a_whole_real_funnel_arrives() {
    funnel("whole-funnel", usize::MAX - 1).await;
}

/// What the first `most` rows of the real funnel come to, counted by itself.
#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    won: u64,
    early: u64,
    by_source: BTreeMap<String, (u64, u64)>,
    by_rep: BTreeMap<String, u64>,
    seconds_to_win: Vec<f64>,
}

fn count(text: &str) -> Counted {
    let mut counted = Counted::default();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headings = reader.headers().unwrap().clone();
    let place = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
    let (source, rep) = (place("source"), place("sales_rep"));
    let (qualified, won) = (place("qualified_at"), place("won_at"));
    for row in reader.records().map(Result::unwrap) {
        let is_won = !row[won].is_empty();
        let of_source = counted.by_source.entry(row[source].to_owned()).or_default();
        counted.rows += 1;
        of_source.0 += 1;
        if is_won {
            counted.won += 1;
            of_source.1 += 1;
            let name = format!("rep.{}@lockstep.example", &row[rep][..8]);
            *counted.by_rep.entry(name).or_default() += 1;
            let at = |place: usize| row[place].parse::<jiff::Timestamp>().unwrap();
            let took = at(won).duration_since(at(qualified)).as_secs_f64();
            counted.early += u64::from(took < 0.0);
            counted.seconds_to_win.push(took.max(0.0));
        }
    }
    counted
}

/// Lives through the first `most` rows of a real funnel, where its file is there, and compares each
/// figure with what the rows say themselves.
async fn replayed(name: &str, most: usize) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/olist/funnel.csv");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: {file} is not there");
        return;
    };
    let rows: Vec<&str> = text.lines().take(most + 1).collect();
    let text = rows.join("\n");
    let file = std::env::temp_dir().join(format!("lockstep-{name}-{}.csv", std::process::id()));
    std::fs::write(&file, &text).unwrap();
    let played = play_again(&silent(), &arguments(), &file, Stop::never()).await;
    std::fs::remove_file(&file).unwrap();
    let (replayed, leaders) = played.unwrap();
    let counted = count(&text);

    assert!(replayed.is_whole(), "{replayed:#?}");
    let total = &replayed.report.total;
    assert_eq!((total.balance.qualified, total.balance.sent), (counted.rows, counted.rows));
    assert_eq!((total.won.count, total.won.of), (counted.won, counted.rows));
    assert_eq!(total.tasked.count, counted.rows, "a task for each");
    assert_eq!(total.touched.count, counted.won, "the others are left alone");
    assert_eq!(replayed.won_before_qualified, counted.early);
    let sources: BTreeMap<String, (u64, u64)> = replayed
        .report
        .groups
        .iter()
        .map(|group| {
            let won = group.figures.won;
            (group.name.clone(), (won.of, won.count))
        })
        .collect();
    assert_eq!(sources, counted.by_source);
    let reps: BTreeMap<String, u64> = replayed
        .owners
        .iter()
        .map(|group| (group.name.clone(), group.figures.won.count))
        .filter(|(_, won)| *won > 0)
        .collect();
    assert_eq!(reps, counted.by_rep);
    // The clock goes on a little while the daemon works.
    let mut seconds = counted.seconds_to_win;
    seconds.sort_by(f64::total_cmp);
    let half = seconds.len() / 2;
    let median = if seconds.len().is_multiple_of(2) {
        f64::midpoint(seconds[half - 1], seconds[half])
    } else {
        seconds[half]
    };
    let found = total.to_win.median.unwrap();
    assert!((found - median).abs() < 600.0, "{found} {median}");
    assert_eq!(total.to_win.count, counted.won);
    assert_eq!(leaders.report, replayed.report);
}

#[tokio::test]
async fn a_real_funnel_lived_through_comes_to_its_own_figures() {
    replayed("replay", 1_000).await;
}

#[tokio::test]
#[ignore = "takes long without optimization"]
async fn a_whole_real_funnel_lived_through_comes_to_its_own_figures() {
    replayed("whole-replay", usize::MAX - 1).await;
}

#[tokio::test]
async fn what_a_file_says_was_won_before_it_qualified_is_won_right_after_and_told() {
    let text = format!(
        "{HEAD}p0000001,p1@example.com,2018-02-01T09:00:00Z,social,c,aaaa,bbbb,,,\
         2018-01-20T10:00:00Z,99.5\n\
         p0000002,p2@example.com,2018-02-01T09:00:00Z,,c,,,,,,\n"
    );
    let file = std::env::temp_dir().join(format!("lockstep-early-{}.csv", std::process::id()));
    std::fs::write(&file, text).unwrap();
    let played = play_again(&silent(), &arguments(), &file, Stop::never()).await;
    std::fs::remove_file(&file).unwrap();
    let (replayed, leaders) = played.unwrap();
    assert!(replayed.is_whole(), "{replayed:#?}");
    let page =
        Page { made: leaders.report.made, leaders: Some(leaders), waiting: None, status: None };
    let html = document(&page, Place::File).unwrap();
    assert!(html.contains("1 lead was won before they qualified, says the file"), "{html}");
    assert_eq!((replayed.rows, replayed.won, replayed.won_before_qualified), (2, 1, 1));
    assert!(replayed.report.total.to_win.median.unwrap() < 600.0);
    assert_eq!(replayed.report.total.won_cents, Some(9_950));
    let owners: Vec<(&str, u64)> =
        replayed.owners.iter().map(|it| (&*it.name, it.figures.won.count)).collect();
    assert!(owners.contains(&("rep.aaaa@lockstep.example", 1)), "{owners:?}");
}
