//! One handoff, and where it stands.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fact::{FactKind, Facts, How, Owner, Touch, What, Witness};
use crate::mapping::handoff::NextStep;
use crate::record::{LinkId, RecordRef};

/// Which handoff: a link's first, second…
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HandoffId {
    /// The link.
    pub link: LinkId,
    /// Which of the link's, from 1.
    pub nth: u32,
}

impl fmt::Display for HandoffId {
    /// `L7-1`. The task in Salesforce carries it, so that it is found again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.link, self.nth)
    }
}

/// One qualified record's way from marketing to sales, and back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    /// Which one. A second one of the same link was opened after the first had ended.
    pub id: HandoffId,
    /// The mapping's name.
    pub mapping: String,
    /// The qualification that opened it.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// When the record qualified: by HubSpot's own stamp where there is one.
    pub qualified_at: Timestamp,
    /// By whose clock.
    pub witness: Witness,
    /// By what the report groups: `source`, `segment`.
    pub groups: BTreeMap<String, String>,
    /// What happened.
    pub facts: Facts,
}

/// Where a handoff stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It qualified, and is not in Salesforce yet.
    Qualified,
    /// The mapping keeps it from sales.
    Excluded,
    /// Salesforce refused it for good.
    Rejected,
    /// The record exists in Salesforce.
    Sent,
    /// A person or a queue owns it.
    Assigned,
    /// A salesperson did something.
    Touched,
    /// Sales took it on.
    Accepted,
    /// Sales gave it back.
    Returned,
    /// Nobody answered in time.
    Lapsed,
    /// It became a customer.
    Won,
    /// It became an opportunity and was lost.
    Lost,
}

/// How far a further next step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It was not begun.
    NotBegun,
    /// It was begun then, and what came of it is not known.
    Begun(Timestamp),
    /// It was begun, had no effect for certain, and is to be begun again.
    PutOff,
    /// It was taken, and this is its record.
    Done(&'a RecordRef),
    /// It was refused for this reason.
    Failed(&'a str),
}

impl State {
    /// All states, in the order in which they are printed.
    pub const ALL: [Self; 11] = [
        Self::Qualified,
        Self::Excluded,
        Self::Rejected,
        Self::Sent,
        Self::Assigned,
        Self::Touched,
        Self::Accepted,
        Self::Returned,
        Self::Lapsed,
        Self::Won,
        Self::Lost,
    ];

    /// The word for it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Qualified => "qualified",
            Self::Excluded => "excluded",
            Self::Rejected => "rejected",
            Self::Sent => "sent",
            Self::Assigned => "assigned",
            Self::Touched => "touched",
            Self::Accepted => "accepted",
            Self::Returned => "returned",
            Self::Lapsed => "lapsed",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// The state with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.key() == word)
    }

    /// Whether the handoff has ended: a new qualification opens another one.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(
            self,
            Self::Excluded
                | Self::Rejected
                | Self::Returned
                | Self::Lapsed
                | Self::Won
                | Self::Lost
        )
    }

    /// Whether somebody at sales still has to answer.
    #[must_use]
    pub const fn awaits_answer(self) -> bool {
        matches!(self, Self::Qualified | Self::Sent | Self::Assigned | Self::Touched)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

impl Handoff {
    /// Where it stands, from all that is known.
    ///
    /// An outcome outranks an answer, an answer outranks all before it. Of two outcomes, and of two
    /// answers, the later one counts. A lapse is that no answer came; an answer that is learned of
    /// late takes it back.
    #[must_use]
    pub fn state(&self) -> State {
        use FactKind as Kind;
        let facts = &self.facts;
        if let Some(outcome) = facts.latest(&[Kind::Won, Kind::Lost]) {
            return if outcome.what.kind() == Kind::Won { State::Won } else { State::Lost };
        }
        let answers = [Kind::Accepted, Kind::Converted, Kind::Returned];
        if let Some(answer) = facts.latest(&answers) {
            let returned = answer.what.kind() == Kind::Returned;
            return if returned { State::Returned } else { State::Accepted };
        }
        let furthest = [
            (Kind::Lapsed, State::Lapsed),
            (Kind::Touched, State::Touched),
            (Kind::Assigned, State::Assigned),
            (Kind::Sent, State::Sent),
            (Kind::Rejected, State::Rejected),
            (Kind::Excluded, State::Excluded),
        ];
        let reached = furthest.into_iter().find(|(kind, _)| facts.has(*kind));
        reached.map_or(State::Qualified, |(_, state)| state)
    }

    /// The record in Salesforce, the latest that is known.
    #[must_use]
    pub fn record(&self) -> Option<&RecordRef> {
        self.facts.of(FactKind::Sent).next_back().and_then(|fact| match &fact.what {
            What::Sent { record, .. } => Some(record),
            _ => None,
        })
    }

    /// When the record was in Salesforce first, and how it came to be there.
    #[must_use]
    pub fn sent(&self) -> Option<(Timestamp, How)> {
        self.facts.first(FactKind::Sent).and_then(|fact| match &fact.what {
            What::Sent { how, .. } => Some((fact.at, *how)),
            _ => None,
        })
    }

    /// Who has it now.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.facts.of(FactKind::Assigned).next_back().and_then(|fact| match &fact.what {
            What::Assigned { to } => Some(to),
            _ => None,
        })
    }

    /// The first touch: when, how and by whom.
    #[must_use]
    pub fn touched(&self) -> Option<(Timestamp, Touch, Option<&Owner>)> {
        self.facts.first(FactKind::Touched).and_then(|fact| match &fact.what {
            What::Touched { method, by } => Some((fact.at, *method, by.as_ref())),
            _ => None,
        })
    }

    /// The task, where there is one.
    #[must_use]
    pub fn task(&self) -> Option<&RecordRef> {
        self.facts.first(FactKind::Tasked).and_then(|fact| match &fact.what {
            What::Tasked { task } => Some(task),
            _ => None,
        })
    }

    /// How far a further next step has come.
    ///
    /// The facts stand in the order of their times, and at one time that it was begun stands before
    /// that it was put off.
    #[must_use]
    pub fn step(&self, step: NextStep) -> Progress<'_> {
        let mut progress = Progress::NotBegun;
        for fact in self.facts.iter() {
            progress = match (&fact.what, progress) {
                (What::StepDone { step: of, record, .. }, _) if *of == step => {
                    return Progress::Done(record);
                }
                (What::StepFailed { step: of, reason }, _) if *of == step => {
                    Progress::Failed(reason)
                }
                (What::StepBegun { step: of }, Progress::NotBegun | Progress::PutOff)
                    if *of == step =>
                {
                    Progress::Begun(fact.at)
                }
                (What::StepPutOff { step: of }, Progress::Begun(_)) if *of == step => {
                    Progress::PutOff
                }
                (_, progress) => progress,
            };
        }
        progress
    }

    /// Whether a further next step was not taken, or nobody knows whether it was.
    #[must_use]
    pub fn misses_a_step(&self) -> bool {
        NextStep::ALL.into_iter().any(|step| matches!(self.step(step), Progress::Failed(_)))
    }

    /// When sales first took it on.
    #[must_use]
    pub fn accepted_at(&self) -> Option<Timestamp> {
        let first = |kind| self.facts.first(kind).map(|fact| fact.at);
        first(FactKind::Accepted).into_iter().chain(first(FactKind::Converted)).min()
    }

    /// When sales first answered, one way or the other.
    #[must_use]
    pub fn answered_at(&self) -> Option<Timestamp> {
        let returned = self.facts.first(FactKind::Returned).map(|fact| fact.at);
        self.accepted_at().into_iter().chain(returned).min()
    }

    /// When it was won, where it stands so: the first word of it after it was last lost.
    #[must_use]
    pub fn won_at(&self) -> Option<Timestamp> {
        if self.state() != State::Won {
            return None;
        }
        let lost = self.facts.of(FactKind::Lost).next_back();
        let won = self.facts.of(FactKind::Won).find(|won| lost.is_none_or(|lost| *won > lost));
        won.map(|fact| fact.at)
    }

    /// What was won, in hundredths of the account's currency.
    #[must_use]
    pub fn won_cents(&self) -> Option<i64> {
        if self.state() != State::Won {
            return None;
        }
        self.facts.of(FactKind::Won).next_back().and_then(|fact| match &fact.what {
            What::Won { cents, .. } => *cents,
            _ => None,
        })
    }

    /// The opportunity that it became.
    #[must_use]
    pub fn opportunity(&self) -> Option<&RecordRef> {
        self.facts.iter().rev().find_map(|fact| match &fact.what {
            What::Won { opportunity, .. }
            | What::Lost { opportunity, .. }
            | What::Converted { opportunity } => opportunity.as_ref(),
            _ => None,
        })
    }

    /// Why it ended the way it did, where it ended other than well.
    #[must_use]
    pub fn why_ended(&self) -> Option<&str> {
        let kind = match self.state() {
            State::Excluded => FactKind::Excluded,
            State::Rejected => FactKind::Rejected,
            State::Returned => FactKind::Returned,
            State::Lost => FactKind::Lost,
            State::Lapsed => return Some("nobody answered in time"),
            _ => return None,
        };
        self.facts.of(kind).next_back().and_then(|fact| match &fact.what {
            What::Excluded { reason, .. }
            | What::Rejected { reason }
            | What::Returned { reason }
            | What::Lost { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// When it came to the state in which it is.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let kind = match self.state() {
            State::Qualified => return self.qualified_at,
            State::Excluded => FactKind::Excluded,
            State::Rejected => FactKind::Rejected,
            State::Sent => FactKind::Sent,
            State::Assigned => FactKind::Assigned,
            State::Touched => FactKind::Touched,
            State::Accepted => return self.accepted_at().unwrap_or(self.qualified_at),
            State::Returned => FactKind::Returned,
            State::Lapsed => FactKind::Lapsed,
            State::Won => FactKind::Won,
            State::Lost => FactKind::Lost,
        };
        let fact = match kind {
            FactKind::Returned | FactKind::Won | FactKind::Lost => self.facts.of(kind).next_back(),
            _ => self.facts.first(kind),
        };
        fact.map_or(self.qualified_at, |fact| fact.at)
    }

    /// Whether an escalation was carried out.
    #[must_use]
    pub fn escalated(&self, step: &str) -> bool {
        self.facts
            .of(FactKind::Escalated)
            .any(|fact| matches!(&fact.what, What::Escalated { step: done, .. } if done == step))
    }
}

/// To which of a link's handoffs something belongs that happened at `at`: to the last that had been
/// opened by then. What happened before the first belongs to the first: clocks differ, and reports
/// say so.
///
/// `handoffs` are one link's, in the order of their numbers.
#[must_use]
pub fn belongs(handoffs: &[Handoff], at: Timestamp) -> Option<usize> {
    let opened = handoffs.iter().rposition(|handoff| handoff.qualified_at <= at);
    opened.or((!handoffs.is_empty()).then_some(0))
}

/// Whether a qualification opens a handoff: there is none, or the last one has ended.
#[must_use]
pub fn opens(handoffs: &[Handoff]) -> bool {
    handoffs.last().is_none_or(|last| last.state().is_over())
}
