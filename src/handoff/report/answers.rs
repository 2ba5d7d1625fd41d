//! The four questions of the trade, each answered in a sentence.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Compliance, Figures, Rate, Spread};
use crate::handoff::story::{business, grouped, money, span};
use crate::mapping::handoff::Goal;

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The question.
    pub question: String,
    /// The answer, in a sentence with figures.
    pub answer: String,
}

/// The four questions, answered.
#[must_use]
pub fn answers(figures: &Figures) -> Vec<Answer> {
    if figures.balance.qualified == 0 {
        let none = "No lead qualified in this time.".to_owned();
        return QUESTIONS
            .map(|question| Answer { question: question.to_owned(), answer: none.clone() })
            .into();
    }
    let answers = [reaches(figures), receives(figures), followed(figures), visible(figures)];
    QUESTIONS
        .into_iter()
        .zip(answers)
        .map(|(question, answer)| Answer { question: question.to_owned(), answer })
        .collect()
}

const QUESTIONS: [&str; 4] = [
    "How quickly does a qualified lead reach a salesperson?",
    "What does sales receive when it does?",
    "Is there a consistent follow-up?",
    "Can marketing see whether leads were contacted and what happened next?",
];

/// `7,990 (99.9 %)`
fn share(rate: Rate) -> String {
    match rate.share() {
        Some(share) => format!("{} ({})", grouped(rate.count), percent(share)),
        None => grouped(rate.count),
    }
}

/// `12 %`, and one more digit where a whole number would say all or nothing of what is neither.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let whole = percent.round();
    let says_all = (whole == 0.0 || (whole - 100.0).abs() < f64::EPSILON) && percent != whole;
    if says_all || percent < 10.0 && percent != whole {
        let cut = if whole > 0.0 { (percent * 10.0).floor() } else { (percent * 10.0).ceil() };
        format!("{:.1} %", cut / 10.0)
    } else {
        format!("{whole:.0} %")
    }
}

fn time(seconds: Option<f64>) -> Option<String> {
    Spread::duration(seconds).map(span)
}

fn reaches(figures: &Figures) -> String {
    let balance = &figures.balance;
    let reached = Rate { count: balance.reached(), of: balance.qualified };
    let speed = match (time(figures.system.raw.median), time(figures.system.raw.p95)) {
        (Some(median), Some(p95)) => format!(", half within {median} and 95 of 100 within {p95}"),
        _ => String::new(),
    };
    let queued = match figures.queued {
        0 => String::new(),
        queued => format!(", {} lie in a queue", grouped(queued)),
    };
    format!(
        "Of {} qualified leads {} reached Salesforce{speed}; {} belong to a person{queued}.",
        grouped(balance.qualified),
        share(reached),
        share(figures.owned),
    )
}

fn receives(figures: &Figures) -> String {
    let balance = &figures.balance;
    let mut text = format!(
        "Of {} that reached Salesforce, {} came with a task that says why they qualified and what \
         to do next",
        grouped(balance.reached()),
        share(figures.tasked),
    );
    if balance.matched > 0 {
        text.push_str(&format!("; known to sales before: {}", grouped(balance.matched)));
    }
    let kept = balance.excluded + balance.rejected + balance.under_way;
    if kept > 0 {
        text.push_str(&format!("; not in Salesforce: {}", grouped(kept)));
    }
    text + "."
}

fn followed(figures: &Figures) -> String {
    let untouched = figures.touched.of - figures.touched.count;
    let time = |seconds| Spread::duration(seconds).map(business);
    let speed = match (time(figures.people.business.median), time(figures.people.business.p90)) {
        (Some(median), Some(p90)) => {
            format!(", half of them within {median} of business time and 90 of 100 within {p90}")
        }
        _ => String::new(),
    };
    let level = figures.levels.iter().find(|level| level.goal == Goal::Touch).map(kept);
    format!(
        "Sales touched {} of {}{speed}; untouched: {}{}.",
        share(figures.touched),
        grouped(figures.touched.of),
        grouped(untouched),
        level.unwrap_or_default(),
    )
}

fn kept(level: &Compliance) -> String {
    let within = business(SignedDuration::from_secs(level.within));
    match level.kept.share() {
        Some(share) => format!("; the first touch came within {within} for {}", percent(share)),
        None => String::new(),
    }
}

fn visible(figures: &Figures) -> String {
    let days = match figures.to_win.median.map(|seconds| (seconds / 86_400.0).round()) {
        Some(1.0) => ", half of them within 1 day".to_owned(),
        Some(days) => format!(", half of them within {days:.0} days"),
        None => String::new(),
    };
    let amount = match figures.won_cents {
        Some(cents) if figures.amounts_known == figures.won.count => {
            format!(", together worth {}", money(cents))
        }
        Some(cents) => {
            format!(", together worth {} as far as amounts are known", money(cents))
        }
        None => String::new(),
    };
    format!(
        "Of {} that reached Salesforce {} were touched, {} accepted and {} returned; of all that \
         qualified {} were won{days}{amount}; lost: {}.",
        grouped(figures.touched.of),
        grouped(figures.touched.count),
        share(figures.accepted),
        share(figures.returned),
        share(figures.won),
        grouped(figures.lost),
    )
}
