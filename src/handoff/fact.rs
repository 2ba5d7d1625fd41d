//! What is known to have happened to a handoff.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mapping::handoff::{Goal, NextStep};
use crate::record::RecordRef;

/// Something that happened to a handoff.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fact {
    /// When, by the witness.
    pub at: Timestamp,
    /// What.
    pub what: What,
    /// By whose clock, and how we know.
    pub witness: Witness,
}

/// By whose clock a fact's time is, and how we know of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// HubSpot's own stamp.
    HubSpot,
    /// Salesforce's own stamp.
    Salesforce,
    /// Our own clock: we did it, or saw it no earlier.
    Lockstep,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::HubSpot => "HubSpot",
            Self::Salesforce => "Salesforce",
            Self::Lockstep => "Lockstep",
        })
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The mapping keeps such records from sales.
    Excluded {
        /// The exclusion's name.
        name: String,
        /// Its reason.
        reason: String,
    },
    /// Salesforce refused the record for good.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The record exists in Salesforce.
    Sent {
        /// The record.
        record: RecordRef,
        /// How it came to be there.
        how: How,
    },
    /// A person or a queue owns it.
    Assigned {
        /// Who.
        to: Owner,
    },
    /// The task that tells the owner what to do exists.
    Tasked {
        /// The task.
        task: RecordRef,
    },
    /// The task could not be made.
    Taskless {
        /// Why.
        reason: String,
    },
    /// A salesperson did something.
    Touched {
        /// What.
        method: Touch,
        /// Who, as far as it is known.
        by: Option<Owner>,
    },
    /// Sales took it on.
    Accepted {
        /// By what it was seen.
        cause: String,
    },
    /// Sales gave it back.
    Returned {
        /// Why, in sales' words where there are any.
        reason: String,
    },
    /// Nobody answered in time.
    Lapsed,
    /// It became an opportunity.
    Converted {
        /// The opportunity, where there is one.
        opportunity: Option<RecordRef>,
    },
    /// The opportunity was won.
    Won {
        /// Which, where it is known.
        opportunity: Option<RecordRef>,
        /// What it is worth, in hundredths of the account's currency.
        cents: Option<i64>,
    },
    /// The opportunity was lost.
    Lost {
        /// Which, where it is known.
        opportunity: Option<RecordRef>,
        /// Why.
        reason: String,
    },
    /// An escalation was carried out.
    Escalated {
        /// Its name.
        step: String,
        /// The deadline that it belongs to.
        goal: Goal,
        /// What was done, in words.
        done: String,
    },
    /// Somebody was told.
    Told {
        /// The webhook.
        webhook: String,
        /// Of what.
        of: String,
    },
    /// A further next step is about to be taken. Until one of the two below says what came of it, it
    /// may have been taken.
    StepBegun {
        /// Which.
        step: NextStep,
    },
    /// A further next step was taken.
    StepDone {
        /// Which.
        step: NextStep,
        /// The record that it made, or found.
        record: RecordRef,
        /// Whether it made or found it.
        how: How,
    },
    /// A further next step was refused, and is not tried again.
    StepFailed {
        /// Which.
        step: NextStep,
        /// Why, and what to do about it.
        reason: String,
    },
    /// A further next step that was begun had no effect for certain, and is to be begun again.
    StepPutOff {
        /// Which.
        step: NextStep,
    },
}

/// How a record came to be there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was created.
    Created,
    /// It was there already.
    Matched,
}

/// What a salesperson did.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Touch {
    /// Moved the status on from the new ones.
    Status,
    /// Completed a task.
    Task,
    /// Called.
    Call,
    /// Wrote an e-mail.
    Email,
    /// Converted the lead.
    Conversion,
}

impl Touch {
    /// In words, as the end of "first touched by …".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Status => "a change of status",
            Self::Task => "a completed task",
            Self::Call => "a call",
            Self::Email => "an e-mail",
            Self::Conversion => "a conversion",
        }
    }
}

/// Who owns a record.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Owner {
    /// A person or a queue.
    pub kind: OwnerKind,
    /// A person's e-mail address in lower case, or the queue's name.
    pub name: String,
}

/// What an owner is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OwnerKind {
    /// A person.
    Person,
    /// A queue.
    Queue,
}

impl Owner {
    /// A person.
    pub fn person(email: impl AsRef<str>) -> Self {
        Self { kind: OwnerKind::Person, name: email.as_ref().to_lowercase() }
    }

    /// A queue.
    pub fn queue(name: impl Into<String>) -> Self {
        Self { kind: OwnerKind::Queue, name: name.into() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            OwnerKind::Person => f.pad(&self.name),
            OwnerKind::Queue => write!(f, "queue {}", self.name),
        }
    }
}

/// What kind of thing happened: facts of one kind are kept together and bounded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FactKind {
    /// [`What::Excluded`]
    Excluded,
    /// [`What::Rejected`]
    Rejected,
    /// [`What::Sent`]
    Sent,
    /// [`What::Assigned`]
    Assigned,
    /// [`What::Tasked`]
    Tasked,
    /// [`What::Taskless`]
    Taskless,
    /// [`What::Touched`]
    Touched,
    /// [`What::Accepted`]
    Accepted,
    /// [`What::Returned`]
    Returned,
    /// [`What::Lapsed`]
    Lapsed,
    /// [`What::Converted`]
    Converted,
    /// [`What::Won`]
    Won,
    /// [`What::Lost`]
    Lost,
    /// [`What::Escalated`]
    Escalated,
    /// [`What::Told`]
    Told,
    /// [`What::StepBegun`]
    StepBegun,
    /// [`What::StepDone`]
    StepDone,
    /// [`What::StepFailed`]
    StepFailed,
    /// [`What::StepPutOff`]
    StepPutOff,
}

impl What {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Excluded { .. } => FactKind::Excluded,
            Self::Rejected { .. } => FactKind::Rejected,
            Self::Sent { .. } => FactKind::Sent,
            Self::Assigned { .. } => FactKind::Assigned,
            Self::Tasked { .. } => FactKind::Tasked,
            Self::Taskless { .. } => FactKind::Taskless,
            Self::Touched { .. } => FactKind::Touched,
            Self::Accepted { .. } => FactKind::Accepted,
            Self::Returned { .. } => FactKind::Returned,
            Self::Lapsed => FactKind::Lapsed,
            Self::Converted { .. } => FactKind::Converted,
            Self::Won { .. } => FactKind::Won,
            Self::Lost { .. } => FactKind::Lost,
            Self::Escalated { .. } => FactKind::Escalated,
            Self::Told { .. } => FactKind::Told,
            Self::StepBegun { .. } => FactKind::StepBegun,
            Self::StepDone { .. } => FactKind::StepDone,
            Self::StepFailed { .. } => FactKind::StepFailed,
            Self::StepPutOff { .. } => FactKind::StepPutOff,
        }
    }
}

/// How many facts of one kind are kept at most: half of them the earliest, half the latest.
pub const MOST_OF_A_KIND: usize = 32;

/// A set of facts: taking the same ones in any order, any number of times, gives the same set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(BTreeSet<Fact>);

impl Facts {
    /// Takes a fact in; whether it was new.
    ///
    /// Beyond [`MOST_OF_A_KIND`] the one in the middle of its kind goes. It has half of them before
    /// and half behind it, and so it is neither among the earliest nor among the latest of all that
    /// ever came: what stays does not depend on the order of arrival.
    pub fn add(&mut self, fact: Fact) -> bool {
        let kind = fact.what.kind();
        let told = fact.clone();
        if !self.0.insert(fact) {
            return false;
        }
        let of_kind = |it: &&Fact| it.what.kind() == kind;
        if self.0.iter().filter(of_kind).count() > MOST_OF_A_KIND
            && let Some(middle) = self.0.iter().filter(of_kind).nth(MOST_OF_A_KIND / 2).cloned()
        {
            self.0.remove(&middle);
            return middle != told;
        }
        true
    }

    /// All of them, the earliest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Fact> {
        self.0.iter()
    }

    /// Those of a kind, the earliest first.
    pub fn of(&self, kind: FactKind) -> impl DoubleEndedIterator<Item = &Fact> {
        self.0.iter().filter(move |fact| fact.what.kind() == kind)
    }

    /// The earliest of a kind.
    #[must_use]
    pub fn first(&self, kind: FactKind) -> Option<&Fact> {
        self.of(kind).next()
    }

    /// The latest of several kinds.
    #[must_use]
    pub fn latest(&self, kinds: &[FactKind]) -> Option<&Fact> {
        self.0.iter().rfind(|fact| kinds.contains(&fact.what.kind()))
    }

    /// Whether there is one of a kind.
    #[must_use]
    pub fn has(&self, kind: FactKind) -> bool {
        self.first(kind).is_some()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Extend<Fact> for Facts {
    fn extend<I: IntoIterator<Item = Fact>>(&mut self, facts: I) {
        for fact in facts {
            self.add(fact);
        }
    }
}
