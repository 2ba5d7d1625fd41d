//! The report.

use jiff::SignedDuration;

use crate::handoff::report::*;
use crate::handoff::testing::*;
use crate::handoff::*;
use crate::record::RecordRef;

fn of(handoffs: &[Handoff], by: Option<By>) -> Report {
    let (levels, office) = (levels(), office());
    let terms = Terms { levels: &levels, calendar: &office };
    let items: Vec<Item<'_>> = handoffs.iter().map(|handoff| Item { handoff, terms }).collect();
    let now = at("2026-03-13T17:00:00Z");
    report(&items, &Query { since: None, until: None, by, now })
}

fn from(source: &str, mut handoff: Handoff) -> Handoff {
    handoff.groups.insert("source".into(), source.into());
    handoff
}

fn tasked() -> What {
    What::Tasked { task: RecordRef::salesforce("Task", "00T000000000001AAA") }
}

fn some() -> Vec<Handoff> {
    let excluded = What::Excluded { name: "customers".into(), reason: "a customer already".into() };
    let matched = What::Sent { record: lead(), how: How::Matched };
    vec![
        from(
            "web",
            with([
                (1, sent()),
                (1, assigned("ann@example.com")),
                (2, tasked()),
                (61, touched()),
                (90, accepted()),
                (1_500, won(Some(120_000))),
            ]),
        ),
        from(
            "web",
            with([
                (3, sent()),
                (3, assigned("bob@example.com")),
                (4, tasked()),
                (600, touched()),
                (700, returned("no budget")),
            ]),
        ),
        from("fair", with([(0, matched), (5, assigned("ann@example.com")), (6, tasked())])),
        from("fair", with([(0, excluded)])),
        with([(2, What::Rejected { reason: "INVALID_EMAIL_ADDRESS".into() })]),
        with([]),
        with([(1, sent()), (-90, won(None))]),
    ]
}

#[test]
fn the_four_questions_are_answered_in_sentences() {
    let report = of(&some(), None);
    let text: Vec<String> =
        report.answers.iter().map(|it| format!("{}\n{}", it.question, it.answer)).collect();
    insta::assert_snapshot!(text.join("\n"), @r"
    How quickly does a qualified lead reach a salesperson?
    Of 7 qualified leads 4 (57 %) reached Salesforce, half within 1m and 95 of 100 within 3m; 3 (75 %) belong to a person.
    What does sales receive when it does?
    Of 4 that reached Salesforce, 3 (75 %) came with a task that says why they qualified and what to do next; known to sales before: 1; not in Salesforce: 3.
    Is there a consistent follow-up?
    Sales touched 2 (50 %) of 4, half of them within 4h 28m of business time and 90 of 100 within 7h 57m; untouched: 2; the first touch came within 4h for 25 %.
    Can marketing see whether leads were contacted and what happened next?
    Of 4 that reached Salesforce 2 were touched, 1 (25 %) accepted and 1 (25 %) returned; of all that qualified 2 (29 %) were won, half of them within 1 day, together worth 1,200 as far as amounts are known; lost: 0.
    ");
}

#[test]
fn what_qualified_is_accounted_for() {
    let report = of(&some(), None);
    assert!(report.total.balance.balances());
    insta::assert_snapshot!(report.total.balance.equation(), @"7 qualified = 3 sent + 1 matched + 1 excluded + 1 rejected + 1 under way");
    assert_eq!(report.total.balance.excluded_by[0].name, "a customer already");
    assert_eq!(report.total.balance.rejected_by[0].name, "INVALID_EMAIL_ADDRESS");
    assert_eq!(report.total.states.values().sum::<u64>(), 7);
}

#[test]
fn times_rates_and_breaches_add_up() {
    let total = of(&some(), None).total;
    // Of the two that were created in order; the third was won before it qualified.
    assert_eq!(
        total.system.raw,
        Spread { count: 3, median: Some(60.0), p90: Some(180.0), p95: Some(180.0) }
    );
    assert_eq!(total.people.raw.median, Some((3_600.0 + 597.0 * 60.0) / 2.0));
    // From 9:03 until 17:00, and from 9:00 on Tuesday nothing: it was touched at 19:00.
    assert_eq!(total.people.business.p95, Some(477.0 * 60.0));
    assert_eq!(total.accepted, Rate { count: 1, of: 4 });
    assert_eq!(total.returned, Rate { count: 1, of: 4 });
    assert_eq!(total.return_reasons, [Counted { name: "no budget".into(), count: 1 }]);
    assert_eq!(total.won, Rate { count: 2, of: 7 });
    assert_eq!((total.won_cents, total.amounts_known), (Some(120_000), 1));
    assert_eq!(total.to_win.median, Some(90_000.0));
    assert_eq!(total.odd.won_before_qualified, 1);
    let touch = &total.levels[0];
    assert_eq!(touch.kept.count, 1);
    let breaches: Vec<String> =
        touch.breaches.iter().map(|it| format!("{} {}", it.name, it.count)).collect();
    assert_eq!(breaches, ["ann@example.com 1", "bob@example.com 1", "nobody 1"]);
}

#[test]
fn groups_are_marked_where_they_are_small() {
    let mut many = some();
    many.extend((0..SMALL).map(|_| from("web", with([(1, sent())]))));
    let report = of(&many, Some(By::Source));
    let groups: Vec<_> = report
        .groups
        .iter()
        .map(|it| (it.name.as_str(), it.small, it.figures.balance.qualified))
        .collect();
    assert_eq!(groups, [("web", false, SMALL + 2), ("unknown", true, 3), ("fair", true, 2)]);
    for by in By::ALL {
        let groups = of(&many, Some(by)).groups;
        let sum: u64 = groups.iter().map(|it| it.figures.balance.qualified).sum();
        assert_eq!(sum, many.len() as u64, "{}", by.key());
    }
    assert_eq!(of(&many, Some(By::Week)).groups[0].name, "2026-W10");
}

#[test]
fn a_time_without_any_says_so() {
    let report = of(&[], Some(By::Owner));
    assert!(report.answers.iter().all(|it| it.answer == "No lead qualified in this time."));
    assert_eq!(report.total, Figures::default());
    assert!(serde_json::to_string(&report).is_ok());
}

#[test]
fn percentiles_are_times_that_occurred() {
    let spread = |seconds: &[i64]| {
        Spread::of(seconds.iter().map(|it| SignedDuration::from_secs(*it)).collect())
    };
    assert_eq!(spread(&[]), Spread::default());
    let one = spread(&[7]);
    assert_eq!((one.median, one.p90, one.p95), (Some(7.0), Some(7.0), Some(7.0)));
    let hundred: Vec<i64> = (1..=100).rev().collect();
    let all = spread(&hundred);
    assert_eq!((all.median, all.p90, all.p95), (Some(50.5), Some(90.0), Some(95.0)));
}
