//! Whose turn it is.

use std::collections::BTreeMap;

use jiff::civil::Date;
use proptest::prelude::*;

use crate::handoff::routing::{Around, Passed, Pick, Turns, pick};
use crate::mapping::handoff::{Member, Robin};
use crate::mapping::{Condition, Facts};
use crate::record::Value;

fn member(user: &str, weight: u32) -> Member {
    Member { user: user.into(), weight, cap: None, when: None }
}

fn robin(members: Vec<Member>) -> Robin {
    Robin { members, otherwise: None }
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn country(name: &str) -> Facts {
    let mut facts = Facts::default();
    facts.merged.insert("country".into(), Value::text(name));
    facts
}

struct Desk {
    robin: Robin,
    turns: Turns,
    day: Date,
    away: Vec<&'static str>,
}

impl Desk {
    fn new(members: Vec<Member>) -> Self {
        let (robin, turns) = (robin(members), Turns::default());
        Self { robin, turns, day: day("2026-03-02"), away: Vec::new() }
    }

    fn next(&mut self, sight: &Facts, not: Option<&str>) -> Pick {
        let away = self.away.clone();
        let active = move |user: &str| !away.contains(&user);
        let around = Around { sight, active: &active, not, day: self.day };
        let (pick, turns) = pick(&self.robin, &self.turns, &around);
        self.turns = turns;
        pick
    }

    fn many(&mut self, count: usize) -> String {
        let users = (0..count).map(|_| self.next(&country("DE"), None).user);
        users.map(|user| user.unwrap_or_else(|| "-".into())).collect()
    }
}

#[test]
fn turns_are_shared_by_weight_and_spread_evenly() {
    let mut desk = Desk::new(vec![member("a", 1), member("b", 1), member("c", 1)]);
    assert_eq!(desk.many(6), "abcabc");
    let mut desk = Desk::new(vec![member("a", 5), member("b", 1), member("c", 1)]);
    assert_eq!(desk.many(7), "aabacaa");
}

#[test]
fn who_cannot_is_passed_over_and_told_why() {
    let mut only_swiss = member("c", 1);
    only_swiss.when = Some(Condition::compile("country == 'CH'").unwrap());
    let mut capped = member("b", 1);
    capped.cap = Some(1);
    let mut desk = Desk::new(vec![member("a", 1), capped, only_swiss, member("d", 1)]);
    desk.away = vec!["d"];
    let first = desk.next(&country("DE"), None);
    assert_eq!(first.user.as_deref(), Some("a"));
    assert_eq!(
        first.passed,
        [("c".to_owned(), Passed::Condition), ("d".to_owned(), Passed::Inactive)]
    );
    assert_eq!(desk.many(3), "baa", "b has one a day");
    let swiss = [desk.next(&country("CH"), None).user, desk.next(&country("CH"), None).user];
    assert!(swiss.contains(&Some("c".to_owned())), "{swiss:?}");
    desk.day = day("2026-03-03");
    assert!(desk.many(2).contains('b'), "a new day");
    let other = desk.next(&country("DE"), Some("a"));
    assert!(other.passed.contains(&("a".to_owned(), Passed::Had)));
    assert_eq!(other.user, None, "b had theirs, c is for others, d is away");
}

#[test]
fn nobody_is_picked_where_nobody_can() {
    let mut desk = Desk::new(vec![member("a", 1)]);
    desk.away = vec!["a"];
    assert_eq!(desk.many(2), "--");
    desk.away.clear();
    assert_eq!(desk.many(2), "aa");
}

proptest! {
    #[test]
    fn over_a_round_everyone_gets_exactly_their_share(weights in prop::collection::vec(1..6u32, 1..6)) {
        let users: Vec<String> = (0..weights.len()).map(|place| format!("u{place}")).collect();
        let members = users.iter().zip(&weights).map(|(user, weight)| member(user, *weight));
        let mut desk = Desk::new(members.collect());
        let round: u32 = weights.iter().sum();
        for _ in 0..3 {
            let mut got: BTreeMap<String, u32> = BTreeMap::new();
            for _ in 0..round {
                *got.entry(desk.next(&country("DE"), None).user.unwrap()).or_default() += 1;
            }
            let share: BTreeMap<String, u32> =
                users.iter().cloned().zip(weights.iter().copied()).collect();
            prop_assert_eq!(got, share);
        }
    }
}
