//! Recognises a listed record that the last settlement of its link has weighed already: the echo of
//! our own write above all.
//!
//! # Why it may be dropped
//!
//! A plan is a function of the mapping, the base and what both records show to the mapping (and of
//! the time, for which the sweep compares every link now and then). When a settlement comes to its
//! end, the link remembers what each record showed once the writes were done: the record as it was
//! read, with the fields that were written. Settling again from just that writes nothing and moves
//! no base: that is the first of the two properties that every mapping is tested for. So a listing
//! that shows just that on one side brings nothing to decide, whatever it is: the values that were
//! agreed on, one that is left as it is because the field flows the other way, or one that was
//! refused and has its reject. What the other side shows is listed in its own turn.
//!
//! - **A listing lags.** It shows the record as it was at its stamp. Had somebody changed a mapped
//!   field before, it would show; whoever changes one later is stamped and listed later.
//! - **A change and back again.** While an entry of the link waits or is settled, what is remembered
//!   is about to be replaced, and a record that shows it may be on its way back from another value
//!   that the settlement has just read. Then nothing is dropped.
//! - **What was remembered under another mapping** is not compared: its fingerprint is part of it.
//! - **A platform may spell** what was written another way. It is compared as the mapping reads it,
//!   and where even that differs the price is one settlement that finds nothing to do.

use std::fmt::Write as _;
use std::sync::Arc;

use super::Engine;
use super::trouble::Trouble;
use crate::journal::{LinkState, Standing};
use crate::mapping::{Directory, Mapping};
use crate::reconcile::PlannedWrite;
use crate::record::Record;

/// Everything that a settlement can see of `record`, once `write` took effect. Only ever hashed:
/// it holds people's data.
pub(super) fn showing(
    mapping: &Mapping,
    record: &Record,
    write: Option<&PlannedWrite>,
    directory: &dyn Directory,
) -> String {
    let (side, object) = (record.key.side, record.key.object.as_str());
    let raw = |name: &str| {
        write.and_then(|write| write.fields.get(name)).unwrap_or_else(|| record.get(name))
    };
    let mut text = format!("{:016x} {} {:?}", mapping.fingerprint, record.key, record.successor);
    let mut add = |name: &str, value: &dyn std::fmt::Debug| {
        // Writing to a text does not fail.
        let _ = write!(text, "\n{name} {value:?}");
    };
    for field in &mapping.fields {
        let Some(name) = field.sides.get(side).as_ref().and_then(|place| place.name(object)) else {
            continue;
        };
        add(&field.name, &field.read(mapping, side, object, raw(name), directory));
    }
    let spec = mapping.sides.get(side);
    let keys = mapping.matching.iter().map(|key| key.fields.get(side).as_str());
    for name in keys.chain([spec.id_field.as_str()]) {
        add(name, raw(name));
    }
    text
}

impl Engine {
    /// Whether the last settlement has weighed just what a listing shows of `record`, in every one
    /// of `mappings`.
    pub(super) async fn is_weighed(
        &self,
        mappings: &[Arc<Mapping>],
        record: &Record,
    ) -> Result<bool, Trouble> {
        for mapping in mappings {
            // One view of both: a settlement that ends between two would show what it left behind
            // as what was there before it began.
            let standings = self.journal.standings(&mapping.name, vec![record.key.clone()]).await?;
            let Some(Standing { link, waits, .. }) = standings.into_iter().flatten().next() else {
                return Ok(false);
            };
            let side = record.key.side;
            let Some(shown) = link.shown.get(side) else { return Ok(false) };
            if waits
                || link.state != LinkState::Active
                || link.records.get(side).as_ref() != Some(&record.key)
            {
                return Ok(false);
            }
            let snapshot = self.snapshot_of(mapping, [record]).await?;
            let text = showing(mapping, record, None, &snapshot);
            if self.journal.fingerprint(&text) != *shown {
                return Ok(false);
            }
        }
        Ok(!mappings.is_empty())
    }
}
