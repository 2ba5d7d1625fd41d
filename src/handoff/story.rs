//! A handoff's course in words.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::fact::{Fact, How, What, Witness};
use super::record::{Handoff, Progress};
use crate::mapping::handoff::NextStep;

/// One line of a handoff's course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Line {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What happened, as a sentence.
    pub text: String,
    /// By whose clock.
    pub witness: Witness,
}

/// The whole course, the earliest first.
#[must_use]
pub fn story(handoff: &Handoff) -> Vec<Line> {
    let opening = Line {
        at: handoff.qualified_at,
        text: format!("It qualified by {:?}: {}.", handoff.rule, handoff.reason),
        witness: handoff.witness,
    };
    let mut lines = vec![opening];
    let named = |what: &What| matches!(what, What::Converted { opportunity: Some(_) });
    let is_named = handoff.facts.iter().any(|fact| named(&fact.what));
    // What it became is often learned after that it became something, and says both.
    let told =
        |fact: &&Fact| !(is_named && matches!(fact.what, What::Converted { opportunity: None }));
    // What came of a step says that it was begun; of one that was put off, the last time says enough.
    let last = |fact: &Fact| handoff.facts.iter().rfind(|it| it.what == fact.what) == Some(fact);
    let open = |fact: &&Fact| match &fact.what {
        What::StepBegun { step } => matches!(handoff.step(*step), Progress::Begun(_)) && last(fact),
        What::StepPutOff { step } => handoff.step(*step) == Progress::PutOff && last(fact),
        _ => true,
    };
    lines.extend(handoff.facts.iter().filter(told).filter(open).map(line));
    lines.sort_by_key(|line| line.at);
    lines
}

fn line(fact: &Fact) -> Line {
    Line { at: fact.at, text: sentence(&fact.what), witness: fact.witness }
}

/// What happened, as a sentence.
#[must_use]
pub fn sentence(what: &What) -> String {
    match what {
        What::Excluded { name, reason } => {
            format!("It is kept from sales by {name:?}: {reason}.")
        }
        What::Rejected { reason } => format!("Salesforce refused it: {reason}."),
        What::Sent { record, how: How::Created } => {
            format!("{} {} was created in Salesforce.", record.object, record.id)
        }
        What::Sent { record, how: How::Matched } => {
            format!("{} {} was there in Salesforce already.", record.object, record.id)
        }
        What::Assigned { to } => format!("It belongs to {to}."),
        What::Tasked { task } => format!("The task {} was made.", task.id),
        What::Taskless { reason } => format!("The task could not be made: {reason}."),
        What::Touched { method, by } => {
            let by = by.as_ref().map_or(Cow::Borrowed("Sales"), |it| Cow::Owned(it.to_string()));
            format!("{by} took it up with {}.", method.words())
        }
        What::Accepted { cause } => format!("Sales accepted it: {cause}."),
        What::Returned { reason } => format!("Sales returned it: {reason}."),
        What::Lapsed => "It lapsed: nobody answered in time.".to_owned(),
        What::Converted { opportunity: Some(opportunity) } => {
            format!("It was converted; the opportunity is {}.", opportunity.id)
        }
        What::Converted { opportunity: None } => {
            "It was converted; no opportunity is known of.".to_owned()
        }
        What::Won { cents, .. } => match cents {
            Some(cents) => format!("It was won, worth {}.", money(*cents)),
            None => "It was won.".to_owned(),
        },
        What::Lost { reason, .. } => format!("It was lost: {reason}."),
        What::Escalated { step, goal, done } => {
            format!("The step {step:?} for the {} was taken: {done}.", goal.words())
        }
        What::Told { webhook, of } => format!("{webhook} was told that it is {of}."),
        What::StepBegun { step: step @ NextStep::Flow } => {
            format!("Whether {} was started is not known yet.", step.words())
        }
        What::StepBegun { step } => {
            format!("Whether {} was made is not known yet; it is looked for.", step.words())
        }
        What::StepPutOff { step } => {
            format!("{} waits: the platform said not now.", capital(step.words()))
        }
        What::StepDone { step: step @ NextStep::Flow, record, .. } => {
            format!("{} {} was started.", capital(step.words()), record.id)
        }
        What::StepDone { step, record, how: How::Created } => {
            format!("{} {} was made.", capital(step.words()), record.id)
        }
        What::StepDone { step, record, how: How::Matched } => {
            format!("{} {} was there already.", capital(step.words()), record.id)
        }
        What::StepFailed { step: step @ NextStep::Flow, reason } => {
            format!("{} was not carried through: {reason}.", capital(step.words()))
        }
        What::StepFailed { step, reason } => {
            format!("{} could not be made: {reason}.", capital(step.words()))
        }
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

/// Hundredths as an amount: `1,250` or `1,250.50`.
#[must_use]
pub fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let whole = grouped(cents.unsigned_abs() / 100);
    match cents.unsigned_abs() % 100 {
        0 => format!("{sign}{whole}"),
        rest => format!("{sign}{whole}.{rest:02}"),
    }
}

/// A number with its thousands set apart: `8,000`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How much business time something took: as [`span`], but never in days, of which nobody knows
/// whether they have 24 hours or eight.
#[must_use]
pub fn business(duration: SignedDuration) -> String {
    let hours = duration.as_hours();
    if hours.abs() < 24 {
        return span(duration);
    }
    let sign = if hours < 0 { "-" } else { "" };
    format!("{sign}{}h", grouped(hours.unsigned_abs()))
}

/// How long something took, in the two largest units that say something: `2d 3h`, `41s`, `0.4s`.
/// A day has 24 hours.
#[must_use]
pub fn span(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let duration = duration.abs();
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: i64, unit: &str, small: i64, part: &str| match small {
        0 => format!("{sign}{large}{unit}"),
        _ => format!("{sign}{large}{unit} {small}{part}"),
    };
    match seconds {
        0 if duration.subsec_millis() == 0 => "0s".to_owned(),
        0..10 => format!("{sign}{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{sign}{seconds}s"),
        60..3_600 => two(minutes, "m", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes, "m"),
        _ => two(days, "d", hours, "h"),
    }
}
