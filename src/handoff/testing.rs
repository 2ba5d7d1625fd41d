//! Handoffs for tests.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::mapping::handoff::{Act, Calendar, Escalation, Goal, Heir, Level, ServiceLevels};
use crate::record::{LinkId, RecordRef};

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Monday, 2 March 2026, at this many hours and minutes.
pub fn monday(hour: i8, minute: i8) -> Timestamp {
    at(&format!("2026-03-02T{hour:02}:{minute:02}:00Z"))
}

pub fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

pub fn handoff(nth: u32, qualified_at: Timestamp) -> Handoff {
    Handoff {
        id: HandoffId { link: LinkId(7), nth },
        mapping: "people".into(),
        rule: "score".into(),
        reason: "the score reached 50".into(),
        qualified_at,
        witness: Witness::HubSpot,
        groups: Default::default(),
        facts: Facts::default(),
    }
}

pub fn fact(at: Timestamp, what: What) -> Fact {
    Fact { at, what, witness: Witness::Salesforce }
}

pub fn lead() -> RecordRef {
    RecordRef::salesforce("Lead", "00Q000000000001AAA")
}

pub fn sent() -> What {
    What::Sent { record: lead(), how: How::Created }
}

pub fn assigned(to: &str) -> What {
    What::Assigned { to: Owner::person(to) }
}

pub fn touched() -> What {
    What::Touched { method: Touch::Call, by: Some(Owner::person("ann@example.com")) }
}

pub fn accepted() -> What {
    What::Accepted { cause: "the status is working".into() }
}

pub fn returned(reason: &str) -> What {
    What::Returned { reason: reason.into() }
}

pub fn won(cents: Option<i64>) -> What {
    What::Won { opportunity: None, cents }
}

/// A handoff that qualified on Monday at nine, with what happened so many minutes later.
pub fn with(facts: impl IntoIterator<Item = (i64, What)>) -> Handoff {
    let mut it = handoff(1, monday(9, 0));
    it.facts.extend(
        facts
            .into_iter()
            .map(|(after, what)| fact(it.qualified_at + SignedDuration::from_mins(after), what)),
    );
    it
}

/// Monday to Friday, nine to five, UTC.
pub fn office() -> Calendar {
    Calendar::weekdays(TimeZone::UTC, 9, 17)
}

/// The first touch within 4 hours, an answer within 16, a lapse after 40; three steps.
pub fn levels() -> ServiceLevels {
    let step = |name: &str, goal, after: i64, act| Escalation {
        name: name.into(),
        goal,
        after: SignedDuration::from_mins(after),
        act,
    };
    ServiceLevels {
        touch: Some(Level { within: hours(4) }),
        accept: Some(Level { within: hours(16) }),
        lapse: Some(hours(40)),
        escalations: vec![
            step("soon", Goal::Touch, -60, Act::Notice("sales".into())),
            step("late", Goal::Touch, 0, Act::Priority("High".into())),
            step("next", Goal::Touch, 60, Act::Reassign(Heir::Next)),
        ],
    }
}
