//! Business time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::handoff::testing::*;
use crate::mapping::handoff::{Calendar, Hours};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

#[test]
fn business_time_is_added_over_nights_weekends_and_holidays() {
    let mut office = office();
    office.holidays.insert("2026-03-04".parse().unwrap());
    for (from, add, to) in [
        ("2026-03-02T09:00:00Z", hours(0), "2026-03-02T09:00:00Z"),
        ("2026-03-02T09:00:00Z", hours(4), "2026-03-02T13:00:00Z"),
        ("2026-03-02T09:00:00Z", hours(8), "2026-03-02T17:00:00Z"),
        ("2026-03-02T16:00:00Z", hours(2), "2026-03-03T10:00:00Z"),
        ("2026-03-02T03:00:00Z", hours(1), "2026-03-02T10:00:00Z"),
        ("2026-03-02T20:00:00Z", hours(1), "2026-03-03T10:00:00Z"),
        // Wednesday the 4th is a holiday.
        ("2026-03-03T16:00:00Z", hours(2), "2026-03-05T10:00:00Z"),
        ("2026-03-06T16:30:00Z", hours(1), "2026-03-09T09:30:00Z"),
        ("2026-03-07T12:00:00Z", hours(1), "2026-03-09T10:00:00Z"),
        ("2026-03-03T10:00:00Z", hours(-2), "2026-03-02T16:00:00Z"),
        ("2026-03-09T08:00:00Z", hours(-1), "2026-03-06T16:00:00Z"),
    ] {
        assert_eq!(office.add(at(from), add), Some(at(to)), "{from} + {add}");
        assert_eq!(office.between(at(from), at(to)), add, "{from} to {to}");
        assert_eq!(office.between(at(to), at(from)), -add);
    }
}

#[test]
fn a_day_on_which_the_clocks_change_has_the_hours_that_it_has() {
    let nights = Calendar {
        zone: zone("Europe/Berlin"),
        week: std::array::from_fn(|_| vec![Hours { from: 60, to: 240 }]),
        holidays: Default::default(),
    };
    let length = |day: &str| {
        nights.between(at(&format!("{day}T00:00:00+01:00")), at(&format!("{day}T12:00:00+01:00")))
    };
    assert_eq!(length("2026-03-28"), hours(3));
    assert_eq!(length("2026-03-29"), hours(2), "from two to three there is no hour");
    assert_eq!(length("2026-10-25"), hours(4), "from two to three there are two");
    let office = Calendar::weekdays(zone("Europe/Berlin"), 9, 17);
    // On Friday it is UTC+1, on Monday UTC+2.
    let friday = at("2026-03-27T16:00:00+01:00");
    assert_eq!(office.add(friday, hours(2)), Some(at("2026-03-30T10:00:00+02:00")));
}

#[test]
fn a_calendar_without_hours_never_ends() {
    let mut never = office();
    never.week = Default::default();
    assert!(!never.has_hours() && office().has_hours());
    assert_eq!(never.add(monday(9, 0), hours(1)), None);
    assert_eq!(never.between(monday(9, 0), at("2027-03-02T09:00:00Z")), SignedDuration::ZERO);
    let always = Calendar::always();
    assert_eq!(always.add(monday(9, 0), hours(100)), Some(monday(9, 0) + hours(100)));
}

fn calendar() -> impl Strategy<Value = Calendar> {
    let zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];
    let hours = prop::collection::btree_set(0..=1_440u16, 0..6).prop_map(|edges| {
        let edges: Vec<u16> = edges.into_iter().collect();
        edges.chunks_exact(2).map(|pair| Hours { from: pair[0], to: pair[1] }).collect::<Vec<_>>()
    });
    let holidays = prop::collection::btree_set(0..60i64, 0..4);
    (prop::sample::select(zones.to_vec()), prop::array::uniform7(hours), holidays)
        .prop_filter("has hours", |(_, week, _)| week.iter().any(|day| !day.is_empty()))
        .prop_map(|(name, week, holidays)| Calendar {
            zone: zone(name),
            week,
            holidays: holidays
                .into_iter()
                .map(|day| Calendar::always().day_of(start() + hours_of(24 * day)))
                .collect(),
        })
}

fn hours_of(count: i64) -> SignedDuration {
    hours(count)
}

/// Shortly before clocks change in Europe and America.
fn start() -> Timestamp {
    at("2026-03-01T00:00:00Z")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn adding_and_measuring_are_each_others_reverse(
        calendar in calendar(),
        from in 0..60 * 86_400i64,
        business in 0..200_000i64,
        later in 0..20 * 86_400i64,
    ) {
        let from = start() + SignedDuration::from_secs(from);
        let business = SignedDuration::from_secs(business);
        let to = calendar.add(from, business).unwrap();
        prop_assert!(to >= from);
        prop_assert_eq!(calendar.between(from, to), business);
        let until = from + SignedDuration::from_secs(later);
        let passed = calendar.between(from, until);
        let reached = calendar.add(from, passed).unwrap();
        prop_assert!(reached <= until || passed.is_zero());
        prop_assert_eq!(calendar.between(reached, until), SignedDuration::ZERO);
        // Time passes once: the parts make the whole.
        let middle = from + SignedDuration::from_secs(later / 2);
        let parts = calendar.between(from, middle) + calendar.between(middle, until);
        prop_assert_eq!(parts, passed);
        // Back again comes to the last moment with as much before it.
        let back = calendar.add(to, -business).unwrap();
        prop_assert_eq!(calendar.between(back, to), business);
    }
}
