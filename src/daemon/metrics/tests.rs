use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::cli::rehearsal::{Clients, in_process, set_up};
use crate::daemon::query::Desk;
use crate::daemon::{Clock, Options, status};
use crate::journal::{Disk, Journal, MemoryStore};
use crate::mapping::{Mappings, load};
use crate::record::PerSide;
use crate::sandbox::fault;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::{Sandbox, SandboxClock};

type Read = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Reads OpenMetrics text as its specification has it, and stops at whatever is not so: families in
/// one piece, each with its help, its type and names that follow from both; every sample once; an
/// end.
fn read(text: &str) -> Read {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let mut samples = Read::new();
    let mut families: BTreeSet<String> = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (what, name, told) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match what {
                "HELP" => {
                    assert!(families.insert(name.to_owned()), "{name} stands twice");
                    assert!(told.ends_with('.') && !told.ends_with(".."), "{line}");
                    family = name.to_owned();
                    kind.clear();
                }
                "TYPE" => {
                    assert_eq!(name, family, "{line}");
                    assert!(["counter", "gauge", "histogram", "info"].contains(&told), "{line}");
                    assert!(!name.ends_with("_total"), "a family's name has no suffix: {line}");
                    kind = told.to_owned();
                }
                "UNIT" => assert!(name == family && name.ends_with(&format!("_{told}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, labels, value) = sample(line);
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            "gauge" => &[""],
            _ => panic!("{line}: before its type"),
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line}");
        assert!(name.starts_with("lockstep_"), "{line}");
        assert!(samples.insert((name, labels), value).is_none(), "{line}: it stands twice");
    }
    buckets(&samples);
    samples
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let plain =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let (name, mut rest) = line.split_at(line.find(['{', ' ']).unwrap());
    assert!(plain(name), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, more) = rest.split_once("=\"").unwrap();
            assert!(plain(label), "{line}");
            let mut value = String::new();
            let mut letters = more.char_indices();
            let end = loop {
                match letters.next().unwrap() {
                    (_, '\\') => value.push(match letters.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        other => panic!("{line}: \\{other}"),
                    }),
                    (at, '"') => break at,
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &more[end + 1..];
            match rest.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
    (name.to_owned(), labels, value)
}

/// Buckets count up, and the last one counts all.
fn buckets(samples: &Read) {
    for ((name, labels), count) in samples {
        let Some(family) = name.strip_suffix("_count") else { continue };
        let mut found: Vec<(f64, f64)> = samples
            .iter()
            .filter(|((name, its), _)| {
                let mut its = its.clone();
                its.remove("le");
                *name == format!("{family}_bucket") && its == *labels
            })
            .map(|((_, its), count)| (its["le"].replace("+Inf", "inf").parse().unwrap(), *count))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{family}: {found:?}");
        assert_eq!(found.last(), Some(&(f64::INFINITY, *count)), "{family}");
    }
}

fn value(read: &Read, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = labels.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    read.get(&(name.to_owned(), labels)).copied()
}

/// The sum of a name's samples that have these labels among theirs.
fn sum(read: &Read, name: &str, labels: &[(&str, &str)]) -> f64 {
    read.iter()
        .filter(|((found, its), _)| {
            found == name && labels.iter().all(|(a, b)| its.get(*a).is_some_and(|it| it == b))
        })
        .map(|(_, value)| value)
        .sum()
}

fn shipped() -> Mappings {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/people.toml");
    load(vec![(path.to_owned(), std::fs::read_to_string(path).unwrap())]).unwrap()
}

async fn scrape(engine: &Engine) -> Read {
    let started = "2026-11-02T09:00:00Z".parse().unwrap();
    let mappings = engine.mappings();
    let now = engine.clock.now();
    let desk = Desk { journal: &engine.journal, mappings: &mappings, now };
    let scrape = Scrape {
        status: status::status(engine, started, None).await.unwrap(),
        statistics: engine.journal.statistics().await.unwrap(),
        handoffs: desk.handoff_counts().await.unwrap(),
        calls: PerSide::from_fn(|side| engine.platform(side).calls()),
    };
    read(&scrape.text(&engine.metrics).unwrap())
}

/// Counts that must hold to the letter are compared exactly: they are whole numbers.
fn same(found: f64, wanted: usize, what: &str) {
    assert!((found - wanted as f64).abs() < f64::EPSILON, "{what}: {found}, not {wanted}");
}

#[tokio::test(start_paused = true)]
async fn the_counts_are_what_happened_in_the_sandbox() {
    const LEADS: usize = 7;
    let start = "2026-11-02T09:00:00Z".parse().unwrap();
    let sandbox = Sandbox::new(1, SandboxClock::starting_at(start));
    set_up(&sandbox);
    for number in 0..LEADS {
        let email = format!("person{number}@example.com");
        let person = [
            ("email", email.as_str()),
            ("lastname", "King"),
            ("company", "Analytical"),
            ("lifecyclestage", "lead"),
            ("lead_score", "61"),
        ];
        let now = sandbox.clock().now();
        sandbox.world().hubspot.create_as_user(Object::Contact, &person, FIRST_USER, now).unwrap();
    }
    let journal = Journal::inline(MemoryStore::open(&Disk::default()), [7; 32]).unwrap();
    let platforms = in_process(&sandbox, &Clients::default()).unwrap();
    let clock = Clock::starting_at(start);
    let engine = Engine::new(journal, platforms, shipped(), clock, Options::default(), 1);

    let before = scrape(&engine).await;
    same(value(&before, "lockstep_side_up", &[("side", "hubspot")]).unwrap(), 0, "not let in yet");
    engine.start().await.unwrap();
    engine.listen().await.unwrap();
    let heard = scrape(&engine).await;
    same(
        sum(&heard, "lockstep_changes_heard_total", &[("side", "hubspot"), ("object", "contacts")]),
        LEADS,
        "heard",
    );
    same(sum(&heard, "lockstep_changes_pending", &[("mapping", "people")]), LEADS, "in line");
    engine.settle_all(Duration::from_secs(10)).await.unwrap();
    let after = scrape(&engine).await;

    let leads = sandbox.world().salesforce.records("Lead").count();
    assert_eq!(leads, LEADS);
    let created = [("mapping", "people"), ("side", "salesforce"), ("kind", "created")];
    same(value(&after, "lockstep_writes_total", &created).unwrap(), leads, "created");
    same(value(&after, "lockstep_links", &[("mapping", "people")]).unwrap(), leads, "links");
    same(sum(&after, "lockstep_changes_pending", &[]), 0, "in line after");
    let finished = [("mapping", "people"), ("outcome", "finished")];
    assert!(value(&after, "lockstep_settlements_total", &finished).unwrap() >= LEADS as f64);
    let rejects = engine.journal.rejects(None, None, 1_000).await.unwrap().len();
    same(sum(&after, "lockstep_rejects_open", &[]), rejects, "rejects");
    assert!(sum(&after, "lockstep_settle_wait_seconds_count", &[]) >= LEADS as f64);

    same(sum(&after, "lockstep_handoffs", &[("mapping", "people")]), LEADS, "handoffs");
    let assigned = [("mapping", "people"), ("state", "assigned")];
    same(value(&after, "lockstep_handoffs", &assigned).unwrap(), LEADS, "all have an owner");
    let late = [("mapping", "people"), ("goal", "touch")];
    same(value(&after, "lockstep_handoff_breaches", &late).unwrap(), 0, "nobody is late yet");
    let share = "lockstep_handoff_system_share_seconds_count";
    same(value(&after, share, &[("mapping", "people")]).unwrap(), LEADS, "the system's share");

    // Every call that the sandbox counted is here by its status, and no other.
    let counted = sandbox.world().calls.counted().clone();
    for (side, word) in [(fault::Side::HubSpot, "hubspot"), (fault::Side::Salesforce, "salesforce")]
    {
        let mut theirs: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (key, count) in counted.iter().filter(|(key, _)| key.side == side) {
            // Signing in is not a call of the API, and has a client of its own.
            if key.route.contains("oauth2/token") {
                continue;
            }
            let status = key.status.unwrap().to_string();
            *theirs.entry((key.method.clone(), status)).or_default() += *count as usize;
        }
        for ((method, answer), count) in theirs {
            let labels = [("side", word), ("method", &*method), ("answer", &*answer)];
            same(sum(&after, "lockstep_calls_total", &labels), count, &format!("{labels:?}"));
        }
    }
    same(sum(&after, "lockstep_calls_total", &[("answer", "none")]), 0, "unanswered");
    let left = value(&after, "lockstep_day_calls_left", &[("side", "hubspot")]).unwrap();
    let limit = value(&after, "lockstep_day_calls_limit", &[("side", "hubspot")]).unwrap();
    assert!(left > 0.0 && left < limit, "{left} of {limit}");
    assert!(value(&after, "lockstep_journal_flushes_total", &[]).unwrap() > 0.0);

    for (name, labels) in after.keys() {
        let told = format!("{name} {labels:?}");
        for personal in ["person", "example.com", "King", "Analytical"] {
            assert!(!told.replace("personal", "").contains(personal), "{told}");
        }
    }
}

#[test]
fn what_a_label_may_not_hold_is_escaped() {
    let metrics = Metrics::default();
    metrics.failed("a\"b\\c\nd", 3);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &metrics.registry).unwrap();
    let found = read(&text);
    let labels = [("mapping", "a\"b\\c\nd"), ("outcome", "postponed")];
    same(value(&found, "lockstep_settlements_total", &labels).unwrap(), 3, "postponed");
}
