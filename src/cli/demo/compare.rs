//! Both sides compared field by field, in the mappings' canonical domain.
//!
//! The values come straight from the sandbox's data, past every client, and what they mean from the
//! mappings. The reasons are found anew here, from what waits for a person and from what a mapping
//! says, and not from what the daemon decided.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rig::{Rig, failure};
use crate::cli::Failure;
use crate::daemon::directory::{Owners, Snapshot};
use crate::journal::{LinkEntry, LinkState, Subject, WHOLE_RECORD};
use crate::mapping::{BlankRule, Direction, FarEdit, Field, Mapping, Reading};
use crate::record::{LinkId, PerSide, Raw, RecordRef, Side, Value};
use crate::sandbox::World;
use crate::sandbox::hubspot::object::Object;

/// What the comparison came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Comparison {
    /// Links of which both records live.
    pub links: u64,
    /// Fields that both records have.
    pub fields: u64,
    /// Those with equal values.
    pub equal: u64,
    /// Those whose values differ, by the reason.
    pub explained: BTreeMap<&'static str, u64>,
    /// Those whose values differ without a reason.
    pub unexplained: Vec<Difference>,
    /// How many of the linked people are at each stage, by side.
    pub stages: Vec<Row>,
    /// How many Leads have each status, by side.
    pub statuses: Vec<Row>,
}

/// One value of a field, and how often each side has it.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Row {
    /// The canonical value.
    pub value: String,
    /// How often.
    #[serde(flatten)]
    pub count: PerSide<u64>,
}

/// A field whose values differ.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The link.
    pub link: LinkId,
    /// The mapping's name.
    pub mapping: String,
    /// The field's canonical name.
    pub field: String,
    /// What each side has.
    pub values: PerSide<String>,
}

/// What waits for a person or for another try, and so explains a difference.
#[derive(Debug, Default)]
struct Reasons {
    parked: BTreeSet<(LinkId, String)>,
    refused: BTreeSet<(LinkId, String)>,
}

/// Compares every link of every mapping.
pub async fn compare(rig: &Rig) -> Result<Comparison, Failure> {
    let engine = &rig.engine;
    let links = all_links(rig).await?;
    let reasons = reasons(rig).await?;
    let (hubspot, salesforce) =
        (engine.platforms.hubspot.owners().await?, engine.platforms.salesforce.owners().await?);
    let owners = Owners::new(PerSide { hubspot, salesforce });
    let mut directory = Snapshot::new(owners.into());
    for link in links.iter().filter(|link| link.state.is_live()) {
        let ids = PerSide::from_fn(|side| link.records.get(side).as_ref().map(|it| it.id.clone()));
        directory.add_link(&link.mapping, link.id, &ids);
    }
    let mappings = engine.mappings();
    let world = rig.sandbox.world();
    let mut sum = Comparison::default();
    let mut stages = BTreeMap::new();
    let mut statuses = BTreeMap::new();
    for link in links.iter().filter(|link| link.state == LinkState::Active) {
        let Some(mapping) = mappings.get(&link.mapping) else { continue };
        let PerSide { hubspot: Some(h), salesforce: Some(s) } = &link.records else { continue };
        sum.links += 1;
        for field in &mapping.fields {
            let read = |record: &RecordRef| {
                let name = field.sides.get(record.side).as_ref()?.name(&record.object)?;
                let raw = raw(&world, record, name);
                Some(field.read(mapping, record.side, &record.object, &raw, &directory))
            };
            let (Some(h), Some(s)) = (read(h), read(s)) else { continue };
            if mapping.stages.as_ref().is_some_and(|stages| stages.field == field.name) {
                count(&mut stages, &h, &s);
            } else if field.name == "lead_status" {
                count(&mut statuses, &h, &s);
            }
            sum.fields += 1;
            sum.take(mapping, link, field, &PerSide { hubspot: h, salesforce: s }, &reasons);
        }
    }
    let order = mappings.list.iter().find_map(|mapping| mapping.stages.as_ref());
    let place = |row: &Row| order.map(|stages| stages.place(&Value::text(row.value.clone())));
    sum.stages = rows(stages);
    sum.stages.sort_by_key(place);
    sum.statuses = rows(statuses);
    Ok(sum)
}

impl Comparison {
    fn take(
        &mut self,
        mapping: &Mapping,
        link: &LinkEntry,
        field: &Field,
        readings: &PerSide<Reading>,
        reasons: &Reasons,
    ) {
        let (h, s) = match (&readings.hubspot, &readings.salesforce) {
            (Reading::Value(h), Reading::Value(s)) => (h, s),
            (Reading::Bad(_), _) | (_, Reading::Bad(_)) => {
                let place = (link.id, field.name.clone());
                let known = reasons.refused.contains(&place);
                let why = known.then_some("a value that the mapping cannot take");
                return self.differs(mapping, link, field, readings, why);
            }
            _ => return self.differs(mapping, link, field, readings, Some("left to a queue")),
        };
        if h == s {
            self.equal += 1;
            return;
        }
        let why = explain(link, field, PerSide { hubspot: h, salesforce: s }, reasons);
        self.differs(mapping, link, field, readings, why);
    }

    fn differs(
        &mut self,
        mapping: &Mapping,
        link: &LinkEntry,
        field: &Field,
        readings: &PerSide<Reading>,
        why: Option<&'static str>,
    ) {
        match why {
            Some(why) => *self.explained.entry(why).or_default() += 1,
            None => self.unexplained.push(Difference {
                link: link.id,
                mapping: mapping.name.clone(),
                field: field.name.clone(),
                values: PerSide::from_fn(|side| words(readings.get(side))),
            }),
        }
    }
}

/// Why two values may differ.
fn explain(
    link: &LinkEntry,
    field: &Field,
    values: PerSide<&Value>,
    reasons: &Reasons,
) -> Option<&'static str> {
    let place = (link.id, field.name.clone());
    if reasons.parked.contains(&place) {
        return Some("parked for a person");
    }
    if reasons.refused.contains(&place)
        || reasons.refused.contains(&(link.id, WHOLE_RECORD.to_owned()))
    {
        return Some("refused, for a person");
    }
    let numbers = (values.hubspot.as_number(), values.salesforce.as_number());
    if let (Some(quiet), (Some(h), Some(s))) = (&field.quiet, numbers)
        && quiet.covers(h, s)
    {
        return Some("a move too small for a write");
    }
    if let Direction::To(far) = field.direction {
        let near = far.other();
        let base = link.base.values.get(&field.name);
        if field.far_edit == FarEdit::Leave && base == Some(*values.get(near)) {
            return Some("one-way: the far side's edit stays");
        }
    }
    let silent = Side::BOTH.into_iter().any(|side| {
        let across = field.sides.get(side.other()).as_ref();
        values.get(side).is_blank() && across.is_some_and(|it| it.blank == BlankRule::Ignore)
    });
    silent.then_some("a blank is no opinion")
}

fn words(reading: &Reading) -> String {
    match reading {
        Reading::Value(value) => value.to_string(),
        Reading::Aside(why) => format!("({why})"),
        Reading::Bad(problem) => format!("({problem})"),
    }
}

fn count(counts: &mut BTreeMap<String, PerSide<u64>>, h: &Reading, s: &Reading) {
    for (side, reading) in [(Side::HubSpot, h), (Side::Salesforce, s)] {
        let value = match reading {
            Reading::Value(Value::Blank) => "none".to_owned(),
            Reading::Value(value) => value.to_string(),
            Reading::Aside(_) | Reading::Bad(_) => "not in the mapping".to_owned(),
        };
        *counts.entry(value).or_default().get_mut(side) += 1;
    }
}

fn rows(counts: BTreeMap<String, PerSide<u64>>) -> Vec<Row> {
    counts.into_iter().map(|(value, count)| Row { value, count }).collect()
}

/// Every link of every mapping, those that ended included.
pub async fn all_links(rig: &Rig) -> Result<Vec<LinkEntry>, Failure> {
    let journal = &rig.engine.journal;
    let mut links = Vec::new();
    for mapping in &rig.engine.mappings().list {
        let mut after = None;
        loop {
            let page = journal.links(&mapping.name, after, 500).await;
            let page = page.map_err(|error| failure(error.into()))?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            links.extend(page);
        }
    }
    Ok(links)
}

async fn reasons(rig: &Rig) -> Result<Reasons, Failure> {
    let journal = &rig.engine.journal;
    let broken = |error: crate::journal::Error| failure(error.into());
    let mut reasons = Reasons::default();
    for entry in journal.conflicts(None, None, usize::MAX).await.map_err(broken)? {
        reasons.parked.insert((entry.link, entry.field));
    }
    for entry in journal.rejects(None, None, usize::MAX).await.map_err(broken)? {
        if let Subject::Link(link) = entry.subject {
            reasons.refused.insert((link, entry.field));
        }
    }
    Ok(reasons)
}

/// A record's field as the platform holds it.
fn raw(world: &World, record: &RecordRef, name: &str) -> Raw {
    match record.side {
        Side::HubSpot => of_hubspot(world, record, name),
        Side::Salesforce => {
            let row = world.salesforce.record(&record.id);
            match row.map(|row| row.get(name)) {
                Some(serde_json::Value::Bool(it)) => Raw::Bool(*it),
                Some(serde_json::Value::Number(it)) => it.as_f64().map_or(Raw::Null, Raw::Number),
                Some(serde_json::Value::String(it)) => Raw::text(it.as_str()),
                _ => Raw::Null,
            }
        }
    }
}

fn of_hubspot(world: &World, record: &RecordRef, name: &str) -> Raw {
    let object = match record.object.as_str() {
        "contacts" => Object::Contact,
        "companies" => Object::Company,
        "deals" => Object::Deal,
        _ => return Raw::Null,
    };
    let Ok(id) = record.id.parse() else { return Raw::Null };
    if name == "associations.companies" {
        let first = world.hubspot.associated(object, id, Object::Company).first().copied();
        return first.map_or(Raw::Null, |id| Raw::text(id.to_string()));
    }
    world.hubspot.value(object, id, name).map_or(Raw::Null, Raw::text)
}
