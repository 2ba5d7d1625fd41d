//! The handoff: opens one when a qualification fires, and carries it through.
//!
//! Settlements tell what became of a record (`advance`): it qualified, it is in Salesforce, somebody
//! owns it, its status moved. That goes into the same commit as the settlement's base. What the
//! handoff itself asks for is `work`: the task, further next steps (`next`), what HubSpot is told,
//! escalations. `follow` asks Salesforce what salespeople did, and `logged` HubSpot. None of it
//! delays a settlement.

mod advance;
mod feed;
mod follow;
mod logged;
mod next;
mod notice;
mod preview;
mod receiver;
mod refused;
mod route;
mod serve;
mod start;
mod step;
mod task;
mod text;
mod work;

pub use preview::{Planned, Preview, preview};

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) use advance::{advance, forget};
pub use follow::Followed;
pub use notice::Notices;
pub use receiver::{ReceiversError, Target as NoticeTarget, Targets, receivers};
pub(super) use serve::spawn;
pub use work::Worked;

use super::Engine;
use super::case::Case;
use super::directory::Owners;
use super::trouble::Trouble;
use crate::handoff::{Handoff, Owner};
use crate::journal::Subject;
use crate::mapping::{Facts, Mapping};
use crate::reconcile::Base;
use crate::record::{LinkId, PerSide, RecordRef, Side, Value};

/// The journal's area for the link numbers that are given before there is a link: a record that
/// qualified and is not in Salesforce yet has a handoff already.
const RESERVED: &str = "handoff.reserved";

/// What is known of one case's handoffs.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// The link's handoffs, in the order of their numbers.
    pub(super) known: Vec<Handoff>,
    /// Who can own records.
    pub(super) owners: Arc<Owners>,
    /// The number that the link will have.
    pub(super) reserved: Option<LinkId>,
}

/// The name under which a lone record's number is reserved.
fn reserved_name(mapping: &str, record: &RecordRef) -> String {
    format!("{mapping}/{}/{}/{}", record.side.key(), record.object, record.id)
}

impl Engine {
    /// What is known of each case's handoffs, in their order.
    pub(super) async fn handed(
        &self,
        mapping: &Mapping,
        cases: &[Case],
    ) -> Result<Vec<Handed>, Trouble> {
        let mut all: Vec<Handed> = cases.iter().map(|_| Handed::default()).collect();
        if mapping.handoff.is_none() {
            return Ok(all);
        }
        let owners = self.owners(false).await?;
        let mut links = Vec::with_capacity(cases.len());
        for (case, handed) in cases.iter().zip(&mut all) {
            handed.owners = Arc::clone(&owners);
            if let (None, Subject::Record { record, .. }) = (case.link(), &case.entry.subject) {
                let name = reserved_name(&mapping.name, record);
                handed.reserved = self.journal.kept(RESERVED, &name).await?;
            }
            links.push(case.link_id().or(handed.reserved).unwrap_or(LinkId(0)));
        }
        let known = self.journal.handoffs_of(links).await?;
        for (handed, known) in all.iter_mut().zip(known) {
            handed.known = known.into_iter().map(|entry| entry.handoff).collect();
        }
        Ok(all)
    }
}

/// What conditions see of a base: each field's agreed value, a blank where there is none.
pub(in crate::daemon) fn sight(mapping: &Mapping, base: &Base, now: jiff::Timestamp) -> Facts {
    let values: BTreeMap<String, Value> = mapping
        .fields
        .iter()
        .map(|field| {
            let value = base.values.get(&field.name).cloned().unwrap_or(Value::Blank);
            (field.name.clone(), value)
        })
        .collect();
    Facts {
        merged: values.clone(),
        sides: PerSide { hubspot: values.clone(), salesforce: values },
        changed: PerSide::default(),
        now,
    }
}

/// Salesforce's owner with this id, in the handoff's words.
fn owner_of(owners: &Owners, id: &str) -> Option<Owner> {
    let owner = owners.get(Side::Salesforce, id)?;
    if owner.queue {
        return Some(Owner::queue(owner.name.clone()));
    }
    owner.email.as_deref().map(Owner::person)
}
