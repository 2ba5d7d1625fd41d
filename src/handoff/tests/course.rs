//! States, service levels, touches, and what is stuck.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::prelude::*;

use crate::handoff::level::{Due, Standing, due, next, standing};
use crate::handoff::stuck::{Around, Stuck, stuck};
use crate::handoff::testing::*;
use crate::handoff::touch::{Act, Deed, Doer, TaskKind, touch};
use crate::handoff::*;
use crate::mapping::handoff::{Goal, NextStep, TouchSpec};
use crate::record::{RecordRef, Side};

#[test]
fn the_state_is_the_furthest_that_was_reached() {
    let excluded = || What::Excluded { name: "customers".into(), reason: "a customer".into() };
    let rejected = || What::Rejected { reason: "INVALID_EMAIL_ADDRESS".into() };
    let lost = || What::Lost { opportunity: None, reason: "price".into() };
    let converted = || What::Converted { opportunity: None };
    for (facts, state) in [
        (vec![], State::Qualified),
        (vec![(0, excluded())], State::Excluded),
        (vec![(1, rejected())], State::Rejected),
        (vec![(1, rejected()), (2, sent())], State::Sent),
        (vec![(1, sent()), (2, assigned("ann@example.com"))], State::Assigned),
        (vec![(5, touched())], State::Touched),
        (vec![(5, touched()), (9, accepted())], State::Accepted),
        (vec![(9, accepted()), (20, returned("no budget"))], State::Returned),
        (vec![(20, returned("no budget")), (30, accepted())], State::Accepted),
        (vec![(20, returned("no budget")), (30, converted())], State::Accepted),
        (vec![(40, What::Lapsed)], State::Lapsed),
        (vec![(40, What::Lapsed), (50, accepted())], State::Accepted),
        (vec![(40, What::Lapsed), (30, returned("late news"))], State::Returned),
        (vec![(9, accepted()), (90, won(None))], State::Won),
        (vec![(90, won(None)), (99, lost())], State::Lost),
        (vec![(90, won(None)), (80, lost()), (95, returned("no"))], State::Won),
    ] {
        assert_eq!(with(facts.clone()).state(), state, "{facts:?}");
    }
}

#[test]
fn every_state_has_its_word() {
    for state in State::ALL {
        assert_eq!(State::parse(state.key()), Some(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("{:?}", state.key()));
    }
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let what = prop_oneof![
        Just(sent()),
        Just(assigned("ann@example.com")),
        Just(assigned("bob@example.com")),
        Just(touched()),
        Just(accepted()),
        Just(returned("no budget")),
        Just(What::Lapsed),
        Just(What::Converted { opportunity: None }),
        Just(won(Some(100))),
        Just(What::Lost { opportunity: None, reason: "price".into() }),
        Just(What::Rejected { reason: "no".into() }),
    ];
    (what, 0..50i64)
        .prop_map(|(what, after)| fact(monday(9, 0) + SignedDuration::from_mins(after), what))
}

proptest! {
    #[test]
    fn facts_in_any_order_and_repeated_come_to_the_same(
        (facts, shuffled) in prop::collection::vec(any_fact(), 0..120).prop_flat_map(|facts| {
            let twice: Vec<Fact> = facts.iter().chain(&facts).cloned().collect();
            (Just(facts), Just(twice).prop_shuffle())
        })
    ) {
        let mut once = handoff(1, monday(9, 0));
        let mut other = once.clone();
        once.facts.extend(facts.clone());
        other.facts.extend(shuffled);
        prop_assert_eq!(&once, &other);
        prop_assert_eq!(once.state(), other.state());
        for kind in [FactKind::Assigned, FactKind::Touched] {
            prop_assert!(once.facts.of(kind).count() <= MOST_OF_A_KIND);
        }
        // Of each kind the earliest and the latest that ever came are there.
        for fact in &facts {
            let kind = fact.what.kind();
            prop_assert!(once.facts.first(kind).unwrap() <= fact);
            prop_assert!(once.facts.latest(&[kind]).unwrap() >= fact);
        }
    }
}

#[test]
fn a_new_qualification_opens_a_new_handoff_once_the_last_has_ended() {
    let first = handoff(1, monday(9, 0));
    assert!(opens(&[]));
    assert!(!opens(std::slice::from_ref(&first)), "it is still open");
    let mut ended = first;
    ended.facts.add(fact(monday(12, 0), returned("no budget")));
    assert!(opens(std::slice::from_ref(&ended)));
    let both = [ended, handoff(2, monday(15, 0))];
    for (time, place) in [
        (monday(8, 0), Some(0)),
        (monday(11, 0), Some(0)),
        (monday(15, 0), Some(1)),
        (monday(23, 0), Some(1)),
    ] {
        assert_eq!(belongs(&both, time), place, "{time}");
    }
    assert_eq!(belongs(&[], monday(9, 0)), None);
}

#[test]
fn a_deadline_is_kept_breached_or_still_running() {
    let (levels, office) = (levels(), office());
    for (facts, goal, now, expected) in [
        (vec![], Goal::Touch, monday(12, 0), Standing::Running),
        (vec![], Goal::Touch, monday(13, 0), Standing::Running),
        (vec![], Goal::Touch, monday(13, 1), Standing::Breached),
        (vec![(240, touched())], Goal::Touch, monday(16, 0), Standing::Met),
        (vec![(241, touched())], Goal::Touch, monday(16, 0), Standing::Breached),
        (vec![(60, accepted())], Goal::Touch, monday(16, 0), Standing::Met),
        (vec![(60, returned("no"))], Goal::Accept, monday(16, 0), Standing::Met),
        (vec![(60, touched())], Goal::Accept, monday(16, 0), Standing::Running),
        (
            vec![(0, What::Excluded { name: "x".into(), reason: "y".into() })],
            Goal::Touch,
            monday(16, 0),
            Standing::Void,
        ),
    ] {
        let found = standing(&with(facts.clone()), goal, &levels, &office, now);
        assert_eq!(found, expected, "{facts:?} {now}");
    }
}

fn names(due: &[Due<'_>]) -> Vec<String> {
    due.iter()
        .map(|due| match due {
            Due::Step { step, .. } => step.name.clone(),
            Due::Lapse { .. } => "lapse".into(),
        })
        .collect()
}

#[test]
fn each_step_is_due_once_and_a_late_warning_is_left_out() {
    let (levels, office) = (levels(), office());
    let mut it = with([(1, sent())]);
    assert_eq!(next(&it, &levels, &office, monday(9, 1)), Some(monday(12, 0)));
    assert_eq!(names(&due(&it, &levels, &office, monday(11, 59))), [""; 0]);
    assert_eq!(names(&due(&it, &levels, &office, monday(12, 0))), ["soon"]);
    // The service stood still over the deadline: the warning has lost its sense.
    assert_eq!(names(&due(&it, &levels, &office, monday(14, 30))), ["late", "next"]);
    let done =
        |step: &str| What::Escalated { step: step.into(), goal: Goal::Touch, done: "done".into() };
    it.facts.add(fact(monday(12, 0), done("soon")));
    it.facts.add(fact(monday(13, 0), done("late")));
    assert_eq!(names(&due(&it, &levels, &office, monday(14, 30))), ["next"]);
    it.facts.add(fact(monday(13, 30), touched()));
    assert_eq!(names(&due(&it, &levels, &office, monday(14, 30))), [""; 0]);
    // Five working days after it qualified.
    let lapse = at("2026-03-06T17:00:00Z");
    assert_eq!(next(&it, &levels, &office, monday(14, 30)), Some(lapse));
    assert_eq!(names(&due(&it, &levels, &office, lapse)), ["lapse"]);
    it.facts.add(fact(lapse, accepted()));
    assert_eq!(names(&due(&it, &levels, &office, lapse)), [""; 0]);
    assert_eq!(next(&it, &levels, &office, lapse), None);
}

fn spec() -> TouchSpec {
    let new = BTreeSet::from(["open".to_owned()]);
    TouchSpec {
        status: Some(("lead_status".into(), new)),
        tasks: true,
        calls: true,
        emails: true,
        hubspot: true,
    }
}

#[test]
fn only_what_a_salesperson_does_is_a_touch() {
    let ann = || Some(Owner::person("ann@example.com"));
    let bob = || Doer::Person(Owner::person("bob@example.com"));
    let person = || Doer::Person(Owner::person("Ann@Example.com"));
    let queue = || Owner::queue("Inbound");
    let status = |from: Option<&str>, to: Option<&str>| Act::Status {
        field: "lead_status".into(),
        from: from.map(Into::into),
        to: to.map(Into::into),
    };
    let task = |owner, kind| {
        let task = RecordRef::salesforce("Task", "00T000000000001AAA");
        Act::TaskDone { task, owner, kind }
    };
    let call = TaskKind::Call { inbound: false };
    for (by, act, method) in [
        (Doer::Unknown, status(Some("open"), Some("working")), Some(Touch::Status)),
        (person(), status(None, Some("working")), Some(Touch::Status)),
        (person(), status(Some("open"), None), None),
        (person(), status(Some("working"), Some("closed")), None),
        (person(), status(None, Some("open")), None),
        (Doer::Automation, status(Some("open"), Some("working")), None),
        (Doer::Lockstep, status(Some("open"), Some("working")), None),
        (person(), Act::Assigned, None),
        (person(), task(ann(), TaskKind::Plain), Some(Touch::Task)),
        (Doer::Unknown, task(ann(), TaskKind::Plain), Some(Touch::Task)),
        (bob(), task(ann(), TaskKind::Plain), None),
        (bob(), task(ann(), call), Some(Touch::Call)),
        (person(), task(Some(queue()), TaskKind::Plain), Some(Touch::Task)),
        (person(), task(Some(queue()), TaskKind::Call { inbound: true }), None),
        (Doer::Person(queue()), task(Some(queue()), TaskKind::Plain), None),
        (Doer::Unknown, task(Some(queue()), TaskKind::Plain), None),
        (Doer::Automation, task(Some(queue()), TaskKind::Plain), None),
        (Doer::Lockstep, task(Some(queue()), TaskKind::Plain), None),
        (person(), task(None, TaskKind::Plain), None),
        (Doer::Lockstep, task(ann(), TaskKind::Plain), None),
        (person(), task(ann(), TaskKind::Call { inbound: true }), None),
        (person(), task(ann(), TaskKind::Email), Some(Touch::Email)),
        (person(), task(ann(), TaskKind::ListEmail), None),
        (Doer::Person(queue()), Act::Call { outbound: true }, None),
        (person(), Act::Call { outbound: true }, Some(Touch::Call)),
        (person(), Act::Call { outbound: false }, None),
        (person(), Act::Email { outbound: true }, Some(Touch::Email)),
        (Doer::Automation, Act::Email { outbound: true }, None),
    ] {
        let deed = Deed { at: monday(10, 0), side: Side::Salesforce, by, act };
        let found = touch(&spec(), &deed).map(|fact| match fact.what {
            What::Touched { method, .. } => method,
            other => panic!("{other:?}"),
        });
        assert_eq!(found, method, "{deed:?}");
    }
    let quiet =
        TouchSpec { status: None, tasks: false, calls: false, emails: false, hubspot: false };
    let deed = |act| Deed { at: monday(10, 0), side: Side::Salesforce, by: person(), act };
    assert_eq!(touch(&quiet, &deed(status(Some("open"), Some("working")))), None);
    assert_eq!(touch(&quiet, &deed(task(ann(), TaskKind::Plain))), None);
}

#[test]
fn each_way_of_being_stuck_is_named() {
    let (levels, office) = (levels(), office());
    let around = |now| Around {
        levels: &levels,
        calendar: &office,
        wants_task: true,
        active: &|user: &str| user != "gone@example.com",
        now,
    };
    let tasked = || What::Tasked { task: RecordRef::salesforce("Task", "00T000000000001AAA") };
    let queue = || What::Assigned { to: Owner::queue("Inbound") };
    let rejected = || What::Rejected { reason: "no".into() };
    let undone = || What::StepFailed { step: NextStep::Flow, reason: "no".into() };
    let ann = || assigned("ann@example.com");
    for (facts, now, kind) in [
        (vec![], monday(9, 10), None),
        (vec![], monday(9, 20), Some(Stuck::NoRecord)),
        (vec![(1, rejected())], monday(9, 2), Some(Stuck::Refused)),
        (vec![(1, sent())], monday(9, 2), None),
        (vec![(1, sent())], monday(9, 20), Some(Stuck::NoOwner)),
        (
            vec![(1, sent()), (1, assigned("gone@example.com"))],
            monday(9, 2),
            Some(Stuck::InactiveOwner),
        ),
        (vec![(1, sent()), (1, queue())], monday(9, 2), Some(Stuck::InQueue)),
        (vec![(1, sent()), (1, ann())], monday(9, 20), Some(Stuck::NoTask)),
        (vec![(1, sent()), (1, ann()), (1, tasked())], monday(10, 0), None),
        (vec![(1, sent()), (1, ann()), (1, tasked())], monday(14, 0), Some(Stuck::Overdue)),
        (vec![(1, sent()), (1, ann()), (1, tasked()), (5, touched())], monday(14, 0), None),
        (
            vec![(1, sent()), (1, ann()), (1, tasked()), (2, undone())],
            monday(10, 0),
            Some(Stuck::NoStep),
        ),
        (
            vec![(1, sent()), (1, ann()), (1, tasked()), (2, undone())],
            monday(14, 0),
            Some(Stuck::Overdue),
        ),
        (vec![(1, sent()), (9, accepted())], at("2026-03-20T10:00:00Z"), Some(Stuck::Silent)),
        (vec![(1, sent()), (9, won(None))], at("2026-03-20T10:00:00Z"), None),
    ] {
        assert_eq!(stuck(&with(facts.clone()), &around(now)), kind, "{facts:?}");
    }
    let unlimited = Default::default();
    let open = Around { levels: &unlimited, ..around(at("2026-03-05T10:00:00Z")) };
    let facts = [(1, sent()), (1, ann()), (1, tasked())];
    assert_eq!(stuck(&with(facts), &open), Some(Stuck::Untouched));
    for kind in Stuck::ALL {
        assert!(!kind.next_step().is_empty() && !kind.words().is_empty() && !kind.key().is_empty());
    }
}

#[test]
fn a_step_that_is_put_off_is_begun_again_and_one_in_doubt_is_not_forgotten() {
    let step = NextStep::Flow;
    let begun = || What::StepBegun { step };
    let put_off = || What::StepPutOff { step };
    let failed = || What::StepFailed { step, reason: "it is not known".into() };
    let other = || What::StepBegun { step: NextStep::Campaign };
    for (facts, progress, story) in [
        (vec![(1, other())], Progress::NotBegun, None),
        (
            vec![(1, begun())],
            Progress::Begun(at("2026-03-02T09:01:00Z")),
            Some("is not known yet."),
        ),
        (vec![(1, put_off()), (1, begun())], Progress::PutOff, Some("waits: the platform said")),
        (
            vec![(1, begun()), (2, put_off()), (3, begun())],
            Progress::Begun(at("2026-03-02T09:03:00Z")),
            Some("Whether the Salesforce flow was started is not known yet."),
        ),
        (
            vec![(1, begun()), (2, put_off()), (3, begun()), (4, failed())],
            Progress::Failed("it is not known"),
            Some("The Salesforce flow was not carried through: it is not known."),
        ),
    ] {
        let it = with(facts.clone());
        assert_eq!(it.step(step), progress, "{facts:?}");
        assert_eq!(it.misses_a_step(), matches!(progress, Progress::Failed(_)));
        let told: Vec<String> = story::story(&it).into_iter().skip(1).map(|it| it.text).collect();
        let told: Vec<&String> = told.iter().filter(|it| it.contains("flow")).collect();
        assert_eq!(told.len(), usize::from(story.is_some()), "{told:?}");
        assert!(story.is_none_or(|story| told[0].contains(story)), "{told:?}");
    }
    // Tried for days: what was first and last is kept, and the last word counts.
    let mut facts: Vec<(i64, What)> = Vec::new();
    for try_number in 0..60 {
        facts.extend([(2 * try_number, begun()), (2 * try_number + 1, put_off())]);
    }
    assert_eq!(with(facts.clone()).step(step), Progress::PutOff);
    facts.push((500, begun()));
    assert!(matches!(with(facts).step(step), Progress::Begun(_)));
}

#[test]
fn the_course_is_told_in_words() {
    let it = with([
        (1, sent()),
        (1, assigned("ann@example.com")),
        (30, touched()),
        (45, accepted()),
        (9_000, won(Some(125_050))),
    ]);
    let text: Vec<String> =
        story::story(&it).into_iter().map(|line| format!("{} {}", line.at, line.text)).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    2026-03-02T09:00:00Z It qualified by "score": the score reached 50.
    2026-03-02T09:01:00Z Lead 00Q000000000001AAA was created in Salesforce.
    2026-03-02T09:01:00Z It belongs to ann@example.com.
    2026-03-02T09:30:00Z ann@example.com took it up with a call.
    2026-03-02T09:45:00Z Sales accepted it: the status is working.
    2026-03-08T15:00:00Z It was won, worth 1,250.50.
    "#);
}

#[test]
fn times_and_amounts_are_told_shortly() {
    let span = |millis| story::span(SignedDuration::from_millis(millis));
    for (millis, text) in [
        (0, "0s"),
        (400, "0.4s"),
        (41_000, "41s"),
        (61_000, "1m 1s"),
        (3_600_000, "1h"),
        (97_200_000, "1d 3h"),
        (-5_400_000, "-1h 30m"),
    ] {
        assert_eq!(span(millis), text);
    }
    for (hours, text) in [(3, "3h"), (-30, "-30h"), (86, "86h"), (1_204, "1,204h")] {
        assert_eq!(story::business(SignedDuration::from_hours(hours)), text);
    }
    assert_eq!(story::grouped(1_234_567), "1,234,567");
    assert_eq!(story::money(-5), "-0.05");
}
