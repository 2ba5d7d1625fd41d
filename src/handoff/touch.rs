//! What counts as the first real action of a salesperson, and what never does.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::fact::{Fact, Owner, OwnerKind, Touch, What, Witness};
use crate::mapping::handoff::TouchSpec;
use crate::record::{RecordRef, Side};

/// Something that was done to or for the person, as a platform shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    /// When, by the platform.
    pub at: Timestamp,
    /// Where.
    pub side: Side,
    /// Who did it.
    pub by: Doer,
    /// What.
    pub act: Act,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doer {
    /// A person who can own records.
    Person(Owner),
    /// The platform does not say; it is not known to be a machine.
    Unknown,
    /// A workflow, a flow, an import.
    Automation,
    /// This program.
    Lockstep,
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// The status moved.
    Status {
        /// The field's canonical name.
        field: String,
        /// From.
        from: Option<String>,
        /// To.
        to: Option<String>,
    },
    /// The owner changed.
    Assigned,
    /// A task was completed.
    TaskDone {
        /// Which.
        task: RecordRef,
        /// Whose it is.
        owner: Option<Owner>,
        /// What kind: a call or an e-mail is logged as a completed task in Salesforce.
        kind: TaskKind,
    },
    /// A call was logged in HubSpot.
    Call {
        /// Whether it went out.
        outbound: bool,
    },
    /// An e-mail was logged in HubSpot.
    Email {
        /// Whether it went out.
        outbound: bool,
    },
}

/// What kind of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// A task.
    Plain,
    /// A logged call.
    Call {
        /// Whether the other one called.
        inbound: bool,
    },
    /// A logged e-mail.
    Email,
    /// An e-mail that was sent to a list.
    ListEmail,
}

/// The touch that a deed is, if it is one.
///
/// Never: an assignment, whatever automation or this program did, and what the person did themselves
/// (an inbound call).
#[must_use]
pub fn touch(spec: &TouchSpec, deed: &Deed) -> Option<Fact> {
    let by = match &deed.by {
        Doer::Person(owner) if owner.kind == OwnerKind::Person => Some(owner.clone()),
        Doer::Unknown => None,
        Doer::Person(_) | Doer::Automation | Doer::Lockstep => return None,
    };
    let (method, by) = match &deed.act {
        Act::Assigned => return None,
        Act::Status { field, from, to } => {
            let (name, new) = spec.status.as_ref()?;
            (field == name && leaves(new, from.as_deref(), to.as_deref())).then_some(())?;
            (Touch::Status, by)
        }
        Act::TaskDone { owner, kind, .. } => task_touch(spec, owner.as_ref(), *kind, by)?,
        Act::Call { outbound } => ((spec.calls && *outbound).then_some(Touch::Call)?, by),
        Act::Email { outbound } => ((spec.emails && *outbound).then_some(Touch::Email)?, by),
    };
    let witness = match deed.side {
        Side::HubSpot => Witness::HubSpot,
        Side::Salesforce => Witness::Salesforce,
    };
    Some(Fact { at: deed.at, what: What::Touched { method, by }, witness })
}

/// Whether a status went from one that means that nobody has begun (or from none) to another.
fn leaves(new: &BTreeSet<String>, from: Option<&str>, to: Option<&str>) -> bool {
    let untouched = |status: Option<&str>| status.is_none_or(|status| new.contains(status));
    untouched(from) && !untouched(to)
}

fn task_touch(
    spec: &TouchSpec,
    owner: Option<&Owner>,
    kind: TaskKind,
    by: Option<Owner>,
) -> Option<(Touch, Option<Owner>)> {
    let owner = owner?;
    let (person, own) = match (owner.kind, &by) {
        // Somebody else tidying up a colleague's list has not touched the lead.
        (OwnerKind::Person, by) => (owner, by.as_ref().is_none_or(|by| by == owner)),
        // A queue does nothing itself: whoever completed its task did not care to take it first.
        (OwnerKind::Queue, Some(by)) => (by, true),
        (OwnerKind::Queue, None) => return None,
    };
    let person = person.clone();
    let method = match kind {
        TaskKind::Plain => (spec.tasks && own).then_some(Touch::Task),
        TaskKind::Call { inbound } => (spec.calls && !inbound).then_some(Touch::Call),
        TaskKind::Email => spec.emails.then_some(Touch::Email),
        TaskKind::ListEmail => None,
    }?;
    Some((method, Some(by.unwrap_or(person))))
}
