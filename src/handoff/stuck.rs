//! Handoffs that do not move, each kind by name, with what to do about it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fact::{FactKind, OwnerKind};
use super::level::{Standing, standing};
use super::record::{Handoff, State};
use crate::mapping::handoff::{Calendar, Goal, ServiceLevels};

/// Why a handoff does not move.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stuck {
    /// It qualified a while ago and there is no record in Salesforce.
    NoRecord,
    /// Salesforce refused the record.
    Refused,
    /// Nobody owns the record.
    NoOwner,
    /// Its owner is not an active user.
    InactiveOwner,
    /// It lies in a queue.
    InQueue,
    /// The task that the mapping asks for does not exist.
    NoTask,
    /// The deadline of the first touch has passed.
    Overdue,
    /// Nobody has touched it, and no deadline says by when.
    Untouched,
    /// A further next step was not taken, or nobody knows whether it was.
    NoStep,
    /// Sales took it on, and nothing was heard since.
    Silent,
}

impl Stuck {
    /// All kinds, in the order in which they are printed.
    pub const ALL: [Self; 10] = [
        Self::NoRecord,
        Self::Refused,
        Self::NoOwner,
        Self::InactiveOwner,
        Self::InQueue,
        Self::NoTask,
        Self::Overdue,
        Self::Untouched,
        Self::NoStep,
        Self::Silent,
    ];

    /// The word for it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::NoRecord => "no_record",
            Self::Refused => "refused",
            Self::NoOwner => "no_owner",
            Self::InactiveOwner => "inactive_owner",
            Self::InQueue => "in_queue",
            Self::NoTask => "no_task",
            Self::Overdue => "overdue",
            Self::Untouched => "untouched",
            Self::NoStep => "no_step",
            Self::Silent => "silent",
        }
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoRecord => "qualified without a record in Salesforce",
            Self::Refused => "refused by Salesforce",
            Self::NoOwner => "without an owner",
            Self::InactiveOwner => "owned by an inactive user",
            Self::InQueue => "in a queue",
            Self::NoTask => "without a task",
            Self::Overdue => "overdue",
            Self::Untouched => "untouched",
            Self::NoStep => "with a next step that was not taken for certain",
            Self::Silent => "accepted and silent",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::NoRecord => {
                "see why with `lockstep explain RECORD`; `lockstep status` tells whether Salesforce \
                 answers"
            }
            Self::Refused => {
                "see `lockstep rejects`, correct the value, then `lockstep rejects retry`"
            }
            Self::NoOwner => "give the record an owner in Salesforce, or correct [handoff.assign]",
            Self::InactiveOwner => {
                "give the record an active owner in Salesforce; `lockstep handoffs --owner` lists \
                 what else is theirs"
            }
            Self::InQueue => "somebody of the queue has to take it",
            Self::NoTask => "see why with `lockstep handoffs show RECORD`",
            Self::Overdue => "ask its owner; the escalations of the mapping have run or will",
            Self::Untouched => "ask its owner; a service level in the mapping would say by when",
            Self::NoStep => {
                "see which and why with `lockstep handoffs show RECORD`, and take it by hand"
            }
            Self::Silent => "ask its owner for the next step or a return with a reason",
        }
    }
}

/// What stands around a judgement.
pub struct Around<'a> {
    /// The deadlines.
    pub levels: &'a ServiceLevels,
    /// Business time.
    pub calendar: &'a Calendar,
    /// Whether the mapping asks for a task.
    pub wants_task: bool,
    /// Whether the user with this address can own records.
    pub active: &'a dyn Fn(&str) -> bool,
    /// The time.
    pub now: Timestamp,
}

/// Business time that the system may take before a missing record, owner or task is called stuck.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

/// Business time after which untouched is worth a word where no deadline says so.
const UNTOUCHED: SignedDuration = SignedDuration::from_hours(16);

/// Business time after which nothing heard of an accepted handoff is worth a word: ten days of
/// eight hours.
const SILENT: SignedDuration = SignedDuration::from_hours(80);

/// Why a handoff does not move; the first of [`Stuck::ALL`] that holds, nothing where it moves.
#[must_use]
pub fn stuck(handoff: &Handoff, around: &Around<'_>) -> Option<Stuck> {
    let state = handoff.state();
    let waited = |since: Timestamp| around.calendar.between(since, around.now);
    match state {
        State::Rejected => return Some(Stuck::Refused),
        State::Qualified => {
            return (waited(handoff.qualified_at) > PATIENCE).then_some(Stuck::NoRecord);
        }
        State::Accepted => {
            let last = handoff.facts.iter().next_back().map_or(handoff.since(), |fact| fact.at);
            return (waited(last) > SILENT).then_some(Stuck::Silent);
        }
        State::Sent | State::Assigned | State::Touched => {}
        State::Excluded | State::Returned | State::Lapsed | State::Won | State::Lost => {
            return None;
        }
    }
    let sent = handoff.sent().map_or(handoff.qualified_at, |(at, _)| at);
    match handoff.owner() {
        None if waited(sent) > PATIENCE => return Some(Stuck::NoOwner),
        Some(owner) if owner.kind == OwnerKind::Person && !(around.active)(&owner.name) => {
            return Some(Stuck::InactiveOwner);
        }
        Some(owner) if owner.kind == OwnerKind::Queue => return Some(Stuck::InQueue),
        _ => {}
    }
    if around.wants_task && !handoff.facts.has(FactKind::Tasked) && waited(sent) > PATIENCE {
        return Some(Stuck::NoTask);
    }
    let late = |goal| {
        standing(handoff, goal, around.levels, around.calendar, around.now) == Standing::Breached
    };
    if state != State::Touched && late(Goal::Touch) {
        return Some(Stuck::Overdue);
    }
    let unlimited = around.levels.touch.is_none();
    if state != State::Touched && unlimited && waited(sent) > UNTOUCHED {
        return Some(Stuck::Untouched);
    }
    handoff.misses_a_step().then_some(Stuck::NoStep)
}
