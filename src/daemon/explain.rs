//! What both sides hold of one link right now, and what would be decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fetch::Fetched;
use super::{Engine, Trouble};
use crate::journal::{LinkEntry, Subject};
use crate::mapping::{Field, Mapping, Reading};
use crate::reconcile::{Situation, explain, settle};
use crate::record::{PerSide, Record, RecordRef, Side};

/// What both sides hold of a link right now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Present {
    /// Each field of the mapping, by canonical name.
    pub fields: BTreeMap<String, FieldPresent>,
    /// What concerns the whole link: which side left the scope, which field stands aside and why.
    pub notes: Vec<String>,
}

/// What both sides hold in one field right now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldPresent {
    /// Each side's value as people read it; none where the side has no such field or record.
    pub values: PerSide<Option<String>>,
    /// In sentences: what each side has, what both last agreed on, what would be decided now and by
    /// which rule.
    pub sentences: Vec<String>,
}

impl Engine {
    /// Reads both records of a link and says what would be decided now. Nothing is written.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now, or the link's mapping is not in force.
    pub async fn explain(&self, link: &LinkEntry) -> Result<Present, Trouble> {
        let Some(mapping) = self.mappings().get(&link.mapping).cloned() else {
            return Err(Trouble::Setup {
                message: format!("no mapping called {:?} is in force", link.mapping),
                hint: "put its file back to ask what it would decide".to_owned(),
            });
        };
        let refs: PerSide<BTreeSet<RecordRef>> =
            PerSide::from_fn(|side| link.records.get(side).iter().cloned().collect());
        let found = self.fetch_both(&mapping, &refs, Some(&BTreeSet::new())).await?;
        let fetched = PerSide::from_fn(|side| {
            link.records
                .get(side)
                .as_ref()
                .and_then(|it| found.get(it))
                .cloned()
                .unwrap_or_default()
        });
        let known = self.journal.known(vec![Subject::Link(link.id)]).await?;
        let open = known.into_iter().next().map(|known| known.conflicts).unwrap_or_default();
        // Collected first: a lazy iterator over borrows does not outlive the wait below.
        let live: Vec<&Record> =
            Side::BOTH.into_iter().filter_map(|side| fetched.get(side).record()).collect();
        let directory = self.snapshot_of(&mapping, live).await?;
        let situation = Situation {
            mapping: &mapping,
            link: Some(link.id),
            linked: &link.records,
            base: &link.base,
            present: PerSide::from_fn(|side| fetched.get(side).presence()),
            open: &open,
            directory: &directory,
            now: self.clock.now(),
        };
        let fields = mapping.fields.iter().map(|field| {
            let values =
                PerSide::from_fn(|side| shown(&mapping, field, side, &fetched, &directory));
            let sentences = explain(&situation, &field.name).unwrap_or_default();
            (field.name.clone(), FieldPresent { values, sentences })
        });
        Ok(Present { fields: fields.collect(), notes: settle(&situation).notes })
    }
}

fn shown(
    mapping: &Mapping,
    field: &Field,
    side: Side,
    fetched: &PerSide<Fetched>,
    directory: &super::directory::Snapshot,
) -> Option<String> {
    let record = fetched.get(side).record()?;
    let object = &record.key.object;
    let name = field.sides.get(side).as_ref()?.name(object)?;
    Some(match field.read(mapping, side, object, record.get(name), directory) {
        Reading::Value(value) => value.to_string(),
        Reading::Aside(why) => format!("({why})"),
        Reading::Bad(bad) => format!("({})", bad.message),
    })
}
