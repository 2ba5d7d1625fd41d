use super::*;
use crate::reconcile::plan::{PeerFate, PlannedWrite};
use crate::reconcile::testing::now;
use crate::record::LinkId;

fn plan(step: LinkStep, write: Option<(WriteAction, Raw)>) -> Plan {
    let write = write.map(|(action, raw)| PlannedWrite {
        object: "contacts".into(),
        action,
        fields: BTreeMap::from([("city".to_owned(), raw)]),
        clear_first: Default::default(),
    });
    Plan {
        mapping: "people".into(),
        link: Some(LinkId(1)),
        records: PerSide::default(),
        step,
        writes: PerSide { hubspot: write, salesforce: None },
        decisions: Vec::new(),
        conflicts: BTreeMap::new(),
        rejects: Vec::new(),
        applied: BTreeMap::new(),
        notes: Vec::new(),
    }
}

fn quiet() -> Plan {
    plan(LinkStep::Keep, None)
}

fn update(raw: Raw) -> Plan {
    plan(LinkStep::Keep, Some((WriteAction::Update { id: "1".into() }, raw)))
}

fn delete() -> Plan {
    let step = LinkStep::Unlink { deleted: Side::Salesforce, peer: PeerFate::Deleted };
    plan(step, Some((WriteAction::Delete { id: "1".into() }, Raw::Null)))
}

fn create() -> Plan {
    let action = WriteAction::Create {
        key_field: "k".into(),
        key: "1".into(),
        assign: Default::default(),
        allow_duplicates: false,
    };
    Plan { link: None, ..plan(LinkStep::Create, Some((action, Raw::text("Ulm")))) }
}

fn gone() -> Plan {
    plan(LinkStep::Unlink { deleted: Side::Salesforce, peer: PeerFate::Stays }, None)
}

fn weigh(limiter: &mut Limiter, links: u64, plans: &[Plan], at: Timestamp) -> (usize, String) {
    let plans: Vec<&Plan> = plans.iter().collect();
    let verdicts = limiter.weigh("people", links, &plans, at);
    let held: Vec<&Breach> = verdicts.iter().flatten().collect();
    (held.len(), held.first().map_or_else(String::new, ToString::to_string))
}

fn limiter() -> Limiter {
    Limiter::new(Limits {
        changes: 50,
        share: 0.25,
        share_from: 100,
        deletes: 3,
        clears: 5,
        creates: 10,
        ..Limits::default()
    })
}

#[test]
fn each_limit_holds_its_own_sort_of_plan() {
    let many = |plan: Plan, count: u64| -> Vec<Plan> {
        let link = |number| plan.link.map(|_| LinkId(number));
        (1..=count).map(|number| Plan { link: link(number), ..plan.clone() }).collect()
    };
    let mut lines = Vec::new();
    for (case, links, mut plans) in [
        ("changes up to the limit", 1_000, many(update(Raw::text("Ulm")), 50)),
        ("changes over the limit", 1_000, many(update(Raw::text("Ulm")), 51)),
        ("a share of few links", 100, many(update(Raw::text("Ulm")), 50)),
        ("a share of more links", 101, many(update(Raw::text("Ulm")), 26)),
        ("deletes", 1_000, many(delete(), 4)),
        ("clears", 1_000, many(update(Raw::Null), 6)),
        ("creates", 1_000, many(create(), 11)),
        ("a side suddenly empty", 1_000, many(gone(), 21)),
        ("some gone", 1_000, [many(gone(), 21), many(quiet(), 60)].concat()),
    ] {
        plans.push(quiet());
        let (held, why) = weigh(&mut limiter(), links, &plans, now());
        lines.push(format!("{case}: {held} of {} held {why}", plans.len()).trim().to_owned());
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
        changes up to the limit: 0 of 51 held
        changes over the limit: 51 of 52 held people would make 51 changes (at most 50 pass without a person)
        a share of few links: 0 of 51 held
        a share of more links: 26 of 27 held people would change 26 of its links (at most 25 pass without a person)
        deletes: 4 of 5 held people would delete 4 records (at most 3 pass without a person)
        clears: 6 of 7 held people would clear 6 fields (at most 5 pass without a person)
        creates: 11 of 12 held people would create 11 records (at most 10 pass without a person)
        a side suddenly empty: 21 of 22 held 21 records of people are gone in Salesforce, most of those that were read: may the signed-in user still see them? (at most 20 pass without a person)
        some gone: 0 of 82 held
        "#);
}

#[test]
fn whoever_is_told_the_id_of_a_new_record_is_part_of_its_creation() {
    let mut limiter = Limiter::new(Limits { changes: 5, ..limiter().limits });
    let told = PerSide { salesforce: update(Raw::text("1")).writes.hubspot, ..create().writes };
    let plans = vec![Plan { writes: told, ..create() }; 10];
    assert_eq!(weigh(&mut limiter, 1_000, &plans, now()).0, 0);
    assert_eq!(weigh(&mut limiter, 1_000, &[update(Raw::text("Ulm"))], now()).0, 0);
    assert_eq!(weigh(&mut limiter, 1_000, &plans[..1], now()).0, 1, "the eleventh creation");
}

#[test]
fn what_follows_a_breach_is_held_until_a_person_looked() {
    let mut limiter = limiter();
    let batch = |count: usize| vec![delete(); count];
    assert_eq!(weigh(&mut limiter, 1_000, &batch(3), now()).0, 0);
    assert_eq!(weigh(&mut limiter, 1_000, &batch(1), now()).0, 1, "the window is full");
    let later = now() + SignedDuration::from_hours(2);
    assert_eq!(weigh(&mut limiter, 1_000, &batch(1), later).0, 1, "time alone releases nothing");
    assert_eq!(weigh(&mut limiter, 1_000, &[update(Raw::text("Ulm"))], later).0, 0);
    assert_eq!(limiter.breaches("people").count(), 1);
    limiter.release("people");
    assert_eq!(limiter.breaches("people").count(), 0);
    assert_eq!(weigh(&mut limiter, 1_000, &batch(1), later).0, 0);
}

#[test]
fn the_window_rolls() {
    let mut limiter = limiter();
    for hour in 0..5 {
        let at = now() + SignedDuration::from_hours(hour) + SignedDuration::from_mins(hour);
        assert_eq!(weigh(&mut limiter, 1_000, &[delete(), delete(), delete()], at).0, 0);
    }
    assert_eq!(limiter.mappings["people"].passed.len(), 1, "what is past is forgotten");
}

#[test]
fn a_link_that_changes_all_day_is_one_of_many() {
    let plan = |link: u64| Plan { link: Some(LinkId(link)), ..update(Raw::text("Ulm")) };
    let mut limiter = Limiter::new(Limits { changes: 40, ..limiter().limits });
    // 25 of 101 may change.
    for number in 0..30 {
        assert_eq!(weigh(&mut limiter, 101, &[plan(number % 5)], now()).0, 0, "change {number}");
    }
    assert_eq!(weigh(&mut limiter, 101, &[plan(3), plan(4), plan(3)], now()).0, 0);
    let strangers: Vec<Plan> = (100..121).map(plan).collect();
    let mut share = Limiter::new(Limits { changes: 1_000, ..limiter.limits.clone() });
    for number in 0..30 {
        assert_eq!(weigh(&mut share, 101, &[plan(number % 5)], now()).0, 0);
    }
    let (held, why) = weigh(&mut share, 101, &strangers, now());
    assert_eq!(held, 21);
    assert!(why.starts_with("people would change 26 of its links (at most 25 "), "{why}");
    // They undo each other for ever: the count of changes stops them.
    let (held, why) = weigh(&mut limiter, 101, &vec![plan(1); 8], now());
    assert_eq!(held, 8);
    assert!(why.starts_with("people would make 41 changes (at most 40 "), "{why}");
    // An hour later nobody has changed.
    let later = now() + SignedDuration::from_hours(2);
    share.release("people");
    assert_eq!(weigh(&mut share, 101, &strangers, later).0, 0);
    assert_eq!(share.mappings["people"].changed.len(), 21);
}
