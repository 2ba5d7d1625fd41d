//! Service levels: what has to have happened by when, and what is done as a deadline nears or has
//! passed.

use jiff::{SignedDuration, Timestamp};

use super::fact::{FactKind, Owner, OwnerKind};
use super::record::{Handoff, State};
use crate::mapping::Sight;
use crate::mapping::handoff::{Calendar, Escalation, Goal, HandoffSpec, Level, ServiceLevels};

/// How a handoff stands to a deadline.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was done in time.
    Met,
    /// It was done too late, or the time is over and it is not done.
    Breached,
    /// There is time left.
    Running,
    /// The deadline does not concern it: it never reached sales, or ended before.
    Void,
}

/// Something that is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Due<'a> {
    /// An escalation.
    Step {
        /// Which.
        step: &'a Escalation,
        /// Since when it is due.
        at: Timestamp,
    },
    /// Nobody answered in time.
    Lapse {
        /// Since when.
        at: Timestamp,
    },
}

impl ServiceLevels {
    /// The level of a goal, where there is one.
    #[must_use]
    pub const fn of(&self, goal: Goal) -> Option<&Level> {
        match goal {
            Goal::Touch => self.touch.as_ref(),
            Goal::Accept => self.accept.as_ref(),
        }
    }
}

/// The calendar that counts for a record: the first region's whose condition holds, else the
/// mapping's own. A condition that gives no answer does not hold.
pub fn calendar_of<'a>(
    spec: &'a HandoffSpec,
    sight: &impl Sight,
) -> (Option<&'a str>, &'a Calendar) {
    let region = spec.regions.iter().find(|region| region.when.holds(sight) == Ok(true));
    region.map_or((None, &spec.calendar), |it| (Some(it.name.as_str()), &it.calendar))
}

/// When `goal` was reached.
#[must_use]
pub fn reached(handoff: &Handoff, goal: Goal) -> Option<Timestamp> {
    match goal {
        // Who answers has begun, whatever else was logged.
        Goal::Touch => {
            let touched = handoff.touched().map(|(at, ..)| at);
            touched.into_iter().chain(handoff.answered_at()).min()
        }
        Goal::Accept => handoff.answered_at(),
    }
}

/// When `goal` has to be reached; nothing where the mapping sets no deadline.
#[must_use]
pub fn deadline(
    handoff: &Handoff,
    goal: Goal,
    levels: &ServiceLevels,
    calendar: &Calendar,
) -> Option<Timestamp> {
    calendar.add(handoff.qualified_at, levels.of(goal)?.within)
}

/// How a handoff stands to the deadline of `goal` at `now`.
#[must_use]
pub fn standing(
    handoff: &Handoff,
    goal: Goal,
    levels: &ServiceLevels,
    calendar: &Calendar,
    now: Timestamp,
) -> Standing {
    let Some(deadline) = deadline(handoff, goal, levels, calendar) else { return Standing::Void };
    if let Some(at) = reached(handoff, goal) {
        return if at <= deadline { Standing::Met } else { Standing::Breached };
    }
    let unreached = handoff.state();
    if matches!(unreached, State::Excluded | State::Rejected)
        || (matches!(unreached, State::Won | State::Lost) && deadline > handoff.since())
    {
        return Standing::Void;
    }
    if now > deadline { Standing::Breached } else { Standing::Running }
}

/// What is due at `now` and was not done yet, the earliest first.
///
/// A warning whose deadline has passed unnoticed (the service stood still) is not given any more:
/// the step behind the deadline says the same and more.
#[must_use]
pub fn due<'a>(
    handoff: &Handoff,
    levels: &'a ServiceLevels,
    calendar: &Calendar,
    now: Timestamp,
) -> Vec<Due<'a>> {
    let mut due: Vec<(Timestamp, Due<'a>)> = Vec::new();
    for (step, at, deadline) in open_steps(handoff, levels, calendar) {
        if at <= now && !(step.warns() && deadline <= now) {
            due.push((at, Due::Step { step, at }));
        }
    }
    if let Some(at) = lapses_at(handoff, levels, calendar)
        && at <= now
    {
        due.push((at, Due::Lapse { at }));
    }
    due.sort_by_key(|(at, _)| *at);
    due.into_iter().map(|(_, due)| due).collect()
}

/// When something is next due after `now`.
#[must_use]
pub fn next(
    handoff: &Handoff,
    levels: &ServiceLevels,
    calendar: &Calendar,
    now: Timestamp,
) -> Option<Timestamp> {
    let steps = open_steps(handoff, levels, calendar).map(|(_, at, _)| at);
    let times = steps.chain(lapses_at(handoff, levels, calendar));
    times.filter(|at| *at > now).min()
}

/// The steps that were not done and whose goal is not reached, each with its time and deadline.
fn open_steps<'a>(
    handoff: &Handoff,
    levels: &'a ServiceLevels,
    calendar: &Calendar,
) -> impl Iterator<Item = (&'a Escalation, Timestamp, Timestamp)> {
    let waits = handoff.state().awaits_answer();
    levels.escalations.iter().filter_map(move |step| {
        if !waits || handoff.escalated(&step.name) || reached(handoff, step.goal).is_some() {
            return None;
        }
        let level = levels.of(step.goal)?;
        let deadline = calendar.add(handoff.qualified_at, level.within)?;
        let at = calendar
            .add(handoff.qualified_at, (level.within + step.after).max(SignedDuration::ZERO))?;
        Some((step, at, deadline))
    })
}

/// When it lapses, unless sales answers before.
fn lapses_at(handoff: &Handoff, levels: &ServiceLevels, calendar: &Calendar) -> Option<Timestamp> {
    if !handoff.state().awaits_answer() || handoff.facts.has(FactKind::Lapsed) {
        return None;
    }
    calendar.add(handoff.qualified_at, levels.lapse?)
}

/// The person to whom a breach of `goal` is put down: who had it when the deadline passed, or has it
/// now; nobody where it was a queue's or no one's.
#[must_use]
pub fn answerable(handoff: &Handoff, deadline: Timestamp) -> Option<&Owner> {
    let then = handoff.facts.of(FactKind::Assigned).rev().find(|fact| fact.at <= deadline);
    let owner = then.and_then(|fact| match &fact.what {
        super::What::Assigned { to } => Some(to),
        _ => None,
    });
    owner.or_else(|| handoff.owner()).filter(|owner| owner.kind == OwnerKind::Person)
}
