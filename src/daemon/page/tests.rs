use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::*;
use crate::daemon::query::{ConflictView, Conflicts, HoldView, MatchView, RejectView};
use crate::daemon::status::{
    Calls, Health, HealthState, MappingStatus, Problem, SideStatus, TakingIn,
};
use crate::daemon::{ObjectNews, PushHealth, PushState};
use crate::handoff::report::{By, Item, Query, Terms, report};
use crate::handoff::stuck::Stuck;
use crate::handoff::{Fact, Facts, Handoff, HandoffId, How, Owner, Touch, What, Witness};
use crate::mapping::handoff::{Calendar, Level, ServiceLevels};
use crate::record::{LinkId, PerSide, RecordRef, Side, Source};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-06T16:00:00Z")
}

/// How the service is doing, with every name that people gave something being `name`.
fn status(name: &str) -> Status {
    let side = |side: Side| SideStatus {
        account: Some(format!("{}-1 {name}", side.key())),
        user: Some(name.to_owned()),
        last_round: Some(at("2026-11-06T15:59:50Z")),
        last_change: Some(at("2026-11-06T15:47:00Z")),
        paused_until: None,
        trouble: None,
        calls: Calls { made: 1_234, used: Some(25_000), limit: Some(650_000) },
        deliveries: None,
        objects: BTreeMap::from([(
            format!("contacts{name}"),
            ObjectNews {
                from: Some(Source::Webhook),
                last: BTreeMap::from([(Source::Webhook, at("2026-11-06T15:47:02Z"))]),
                brought: BTreeMap::new(),
                last_round: Some(at("2026-11-06T15:58:00Z")),
                push: Some(PushHealth {
                    source: Source::Webhook,
                    state: PushState::Healthy,
                    since: at("2026-11-02T09:00:00Z"),
                    alive: None,
                    arrived: 812,
                    missed: 0,
                    doubted_until: None,
                }),
                cover: crate::daemon::Cover::Unknown,
            },
        )]),
    };
    Status {
        version: "0.1.0".to_owned(),
        now: now(),
        started: at("2026-11-02T08:30:00Z"),
        health: Health {
            state: HealthState::Degraded,
            problems: vec![Problem {
                state: HealthState::Degraded,
                what: format!("waiting for a person: 2 conflicts {name}"),
                hint: Some("`lockstep conflicts list`".to_owned()),
            }],
        },
        sides: PerSide::from_fn(side),
        mappings: vec![MappingStatus {
            mapping: format!("people{name}"),
            links: 104_233,
            pending: BTreeMap::from([("handoff".into(), 2), ("ordinary".into(), 1_400)]),
            oldest_due: Some(at("2026-11-06T15:59:00Z")),
            conflicts: 1,
            matches: 1,
            rejects: 1,
            owners_left: 0,
            taking_in: Some(TakingIn {
                why: format!("the field {name}"),
                since: now(),
                seen: 4_711,
            }),
        }],
        webhooks: None,
        holds: 1,
        settling: 0,
        journal_bytes: 48 << 20,
    }
}

fn waiting(name: &str) -> Waiting {
    Waiting {
        conflicts: Conflicts {
            fields: vec![ConflictView {
                link: "L12".into(),
                mapping: format!("people{name}"),
                field: format!("email{name}"),
                base: "old@example.com".into(),
                hubspot: "ada@example.com".into(),
                salesforce: "king@example.com".into(),
                hubspot_at: None,
                salesforce_at: None,
                since: at("2026-11-06T09:30:00Z"),
                reason: format!("both changed, says {name}"),
                decided: None,
            }],
            matches: vec![MatchView {
                mapping: "people".into(),
                record: "HubSpot contacts 151".into(),
                candidates: BTreeMap::from([("Salesforce Lead 00Q1".into(), "email".into())]),
                since: at("2026-11-05T16:00:00Z"),
                reason: "two have the address".into(),
                decided: None,
            }],
        },
        rejects: vec![RejectView {
            of: "L44".into(),
            mapping: "people".into(),
            side: Side::Salesforce,
            field: format!("phone{name}"),
            code: format!("STRING_TOO_LONG{name}"),
            reason: "Phone: data value too large: ada@example.com".into(),
            hint: None,
            since: at("2026-11-04T16:00:00Z"),
            tries: 1,
            retry: false,
        }],
        holds: vec![HoldView {
            hold: 3,
            mapping: Some(format!("people{name}")),
            reason: format!("2,412 changes in an hour, {name} more than 2,000"),
            count: 2_412,
            since: at("2026-11-06T15:20:00Z"),
            sample: vec!["ada@example.com becomes a customer".into()],
            released: None,
        }],
    }
}

fn handoff(link: u64, source: &str, facts: Vec<(i64, What)>) -> Handoff {
    let qualified_at = at("2026-11-02T09:00:00Z");
    let mut known = Facts::default();
    for (minutes, what) in facts {
        let at = qualified_at + SignedDuration::from_mins(minutes);
        known.add(Fact { at, what, witness: Witness::Salesforce });
    }
    Handoff {
        id: HandoffId { link: LinkId(link), nth: 1 },
        mapping: "people".into(),
        rule: "score".into(),
        reason: "the score reached 50".into(),
        qualified_at,
        witness: Witness::HubSpot,
        groups: BTreeMap::from([("source".to_owned(), source.to_owned())]),
        facts: known,
    }
}

fn leaders(name: &str, by: Option<By>) -> Leaders {
    let record = || RecordRef::salesforce("Lead", "00Q000000000001AAA");
    let sent = || What::Sent { record: record(), how: How::Created };
    let owner = |who: &str| Owner::person(format!("{who}@example.com{name}"));
    let assigned = |who: &str| What::Assigned { to: owner(who) };
    let touched = || What::Touched { method: Touch::Call, by: None };
    let returned = || What::Returned { reason: format!("no budget{name}") };
    let excluded = What::Excluded { name: "customers".into(), reason: format!("a customer{name}") };
    let won = || What::Won { opportunity: None, cents: Some(1_250_000) };
    let web = format!("web{name}");
    let handoffs = [
        handoff(1, &web, vec![(1, sent()), (1, assigned("ann")), (61, touched()), (2_880, won())]),
        handoff(
            2,
            &web,
            vec![(2, sent()), (2, assigned("bob")), (900, touched()), (990, returned())],
        ),
        handoff(3, &web, vec![(1, sent()), (1, assigned("bob"))]),
        handoff(4, "fair", vec![(3, sent()), (3, assigned("ann")), (200, touched())]),
        handoff(5, "fair", vec![(0, excluded)]),
        handoff(6, "fair", vec![(2, What::Rejected { reason: format!("INVALID_EMAIL{name}") })]),
        handoff(7, &web, vec![(1, sent()), (1, assigned("ann")), (-60, won())]),
    ];
    let levels = ServiceLevels {
        touch: Some(Level { within: SignedDuration::from_hours(4) }),
        ..ServiceLevels::default()
    };
    let calendar = Calendar::weekdays(TimeZone::UTC, 9, 17);
    let terms = Terms { levels: &levels, calendar: &calendar };
    let items: Vec<Item<'_>> = handoffs.iter().map(|handoff| Item { handoff, terms }).collect();
    let query = Query { since: None, until: None, by, now: now() };
    Leaders {
        report: report(&items, &query),
        stuck: vec![
            StuckKind { kind: Stuck::Refused, count: 1, longest: vec!["L6-1".into()] },
            StuckKind { kind: Stuck::Overdue, count: 1, longest: vec!["L3-1".into()] },
        ],
        remarks: Vec::new(),
    }
}

fn page(name: &str, by: Option<By>) -> Page {
    Page {
        made: now(),
        leaders: Some(leaders(name, by)),
        waiting: Some(waiting(name)),
        status: Some(status(name)),
    }
}

const SERVED: Place = Place::Served { session: true };

/// What is shown: without the head, whose style sheet is no markup.
fn body(html: &str) -> &str {
    &html[html.find("<body").unwrap()..html.find("</html>").unwrap()]
}

/// The start and end tags of a document, with the attributes of the former.
fn tags(html: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        // A style sheet may hold `>`; nothing else of ours does before its tag ends.
        let (inside, tail) = after.split_once('>').expect("every tag ends");
        rest = tail;
        let inside = inside.trim_end_matches('/');
        let (name, mut left) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
        let mut attributes = BTreeMap::new();
        loop {
            left = left.trim_start();
            if left.is_empty() {
                break;
            }
            let end = left.find(['=', ' ', '\n']).unwrap_or(left.len());
            let (attribute, more) = left.split_at(end);
            let value = if let Some(quoted) = more.strip_prefix("=\"") {
                let (value, more) = quoted.split_once('"').expect("every value is quoted");
                left = more;
                value
            } else {
                left = more;
                ""
            };
            let twice = attributes.insert(attribute.to_owned(), value.to_owned());
            assert!(twice.is_none(), "<{inside}>");
        }
        found.push((name.to_owned(), attributes));
    }
    found
}

/// Whether every element is closed in its turn, names are unique, and what refers to a name finds
/// it.
fn sound(html: &str) {
    const EMPTY: [&str; 9] =
        ["!doctype", "meta", "link", "br", "input", "rect", "line", "polyline", "polygon"];
    let mut open: Vec<String> = Vec::new();
    let (mut ids, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    let mut labels = BTreeSet::new();
    for (name, attributes) in tags(html) {
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed));
            continue;
        }
        if let Some(id) = attributes.get("id") {
            assert!(ids.insert(id.clone()), "#{id} is there twice");
        }
        let refers = attributes.get("aria-labelledby").into_iter().flat_map(|it| it.split(' '));
        wanted.extend(refers.map(str::to_owned));
        if let Some(anchor) = attributes.get("href").and_then(|href| href.strip_prefix('#')) {
            wanted.insert(anchor.to_owned());
        }
        if let Some(label) = attributes.get("for") {
            labels.insert(label.clone());
        }
        if ["input", "select"].contains(&name.as_str()) {
            assert!(labels.contains(&attributes["id"]), "{attributes:?} has no label");
        }
        if name == "th" {
            assert!(attributes.contains_key("scope"), "{attributes:?}");
        }
        if name == "svg" {
            assert_eq!(attributes["role"], "img");
            assert!(attributes.contains_key("aria-labelledby"));
        }
        if !EMPTY.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, [""; 0]);
    assert!(wanted.is_subset(&ids), "{:?}", wanted.difference(&ids));
    assert_eq!(html.matches("<table").count(), html.matches("<caption").count());
    assert_eq!(html.matches("<h1").count(), 1);
}

#[test]
fn whatever_people_named_something_is_shown_and_not_carried_out() {
    let name = "<script>alert(1)</script>\" onload='x' <b>&amp;";
    for by in [None, Some(By::Source), Some(By::Owner)] {
        for place in [SERVED, Place::File] {
            let html = document(&page(name, by), place).unwrap();
            let body = body(&html);
            sound(body);
            assert!(!body.contains("<script"), "{body}");
            assert!(!body.contains("<b>"), "{body}");
            assert!(!body.contains("\" onload"), "{body}");
            assert!(body.matches("&lt;script&gt;").count() >= 15, "{body}");
        }
    }
}

#[test]
fn a_served_page_asks_for_nothing_but_its_own_style_sheet() {
    let html = document(&page("", Some(By::Week)), SERVED).unwrap();
    for forbidden in [
        " style=", "<style", "<script", "<img", "<iframe", " src=", "url(", "http:", "https:", "//",
    ] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for (name, attributes) in tags(&html) {
        assert!(!attributes.keys().any(|it| it.starts_with("on")), "{name} {attributes:?}");
        if name == "link" {
            assert_eq!(attributes["href"], "/style.css");
        }
    }
    // Every colour that a chart is drawn in is one that the style sheet replaces.
    for colour in html.split("fill=\"#").skip(1).map(|rest| &rest[..6]) {
        assert!(STYLE.contains(&format!("[fill=\"#{colour}\"]")), "{colour}");
    }
}

#[test]
fn a_file_needs_nothing_beside_it_and_holds_the_report_alone() {
    let of = Page { waiting: None, status: None, ..page("", Some(By::Source)) };
    let html = document(&of, Place::File).unwrap();
    assert!(html.contains(STYLE));
    for absent in ["<link", "<form", "href=\"/", "look again"] {
        assert!(!html.contains(absent), "{absent}");
    }
    sound(body(&html));
}

#[test]
fn nobody_is_named_but_the_owners_of_handoffs() {
    let html = document(&page("", Some(By::Owner)), SERVED).unwrap();
    for person in ["ada@", "king@", "old@"] {
        assert!(!html.contains(person), "{person}");
    }
    assert!(html.contains("bob@example.com"), "whose lead is overdue");
}

#[test]
fn a_page_without_handoffs_says_how_the_service_is_doing() {
    let of = Page { leaders: None, waiting: Some(Waiting::default()), ..page("", None) };
    let html = document(&of, Place::Served { session: false }).unwrap();
    sound(&html);
    assert!(html.contains("Nothing waits for a person."));
    assert!(!html.contains("Four questions") && !html.contains("Sign out"));
}

#[test]
fn the_equation_and_what_is_odd_stand_before_the_figures() {
    let html = document(&page("", None), SERVED).unwrap();
    assert!(
        html.contains("7 qualified = 5 sent + 0 matched + 1 excluded + 1 rejected + 0 under way")
    );
    assert!(html.contains("1 was won before they qualified"), "{html}");
}

#[test]
fn nothing_qualified_is_a_page_as_well() {
    let mut none = page("", Some(By::Source));
    let query = Query { since: None, until: None, by: Some(By::Source), now: now() };
    none.leaders =
        Some(Leaders { report: report(&[], &query), stuck: Vec::new(), remarks: Vec::new() });
    let html = document(&none, SERVED).unwrap();
    sound(&html);
    for said in
        ["No lead qualified in this time.", "No open handoff stands still.", "Nothing has reached"]
    {
        assert!(html.contains(said), "{said}");
    }
}

#[test]
fn only_the_first_of_many_are_shown() {
    let mut many = page("", None);
    if let Some(waiting) = &mut many.waiting {
        let one = waiting.rejects[0].clone();
        waiting.rejects = vec![one; 1_000];
    }
    let html = document(&many, SERVED).unwrap();
    assert_eq!(html.matches("lockstep rejects retry L44").count(), 20);
    assert!(html.contains("The first 20 of 1,000; the command line lists all."));
}

#[test]
fn the_page_as_it_is_read() {
    let html = document(&page("", Some(By::Source)), SERVED).unwrap();
    insta::assert_snapshot!("page", without_drawings(&html));
}

/// What stands in each drawing is the library's affair, and the order of its elements is not fixed.
fn without_drawings(html: &str) -> String {
    let mut text = String::new();
    for (place, line) in html.split("</desc>").enumerate() {
        let rest =
            if place == 0 { Some(line) } else { line.find("</svg>").map(|end| &line[end..]) };
        text.push_str(if place == 0 { "" } else { "</desc>" });
        text.push_str(rest.unwrap());
    }
    text
}
