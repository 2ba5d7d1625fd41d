//! Mappings, records and accounts by hand, for the tests of this room.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::mapping::*;
use crate::record::*;

pub(crate) const HUBSPOT_ID: &str = "101";
pub(crate) const LEAD_ID: &str = "00QD000000IRFmaMAH";

/// Ann and Bob are in both accounts, Cyd is inactive in Salesforce, whose technical user is nobody in
/// HubSpot; two queues.
pub(crate) struct Account;

impl Directory for Account {
    fn owner(&self, side: Side, id: &str) -> OwnerFound {
        match (side, id) {
            (Side::HubSpot, "1") | (Side::Salesforce, "005A") => {
                OwnerFound::Person("ann@example.com".into())
            }
            (Side::HubSpot, "2") | (Side::Salesforce, "005B") => {
                OwnerFound::Person("bob@example.com".into())
            }
            (Side::HubSpot, "3") => OwnerFound::Person("cyd@example.com".into()),
            (Side::Salesforce, "005I") => OwnerFound::Person("integration@example.com".into()),
            (Side::Salesforce, "00G1") => OwnerFound::Queue("Inbound".into()),
            (Side::Salesforce, "00G2") => OwnerFound::Queue("Spam".into()),
            _ => OwnerFound::Unknown,
        }
    }

    fn owner_id(&self, side: Side, email: &str) -> Result<String, OwnerMissing> {
        match (side, email) {
            (Side::HubSpot, "ann@example.com") => Ok("1".into()),
            (Side::HubSpot, "bob@example.com") => Ok("2".into()),
            (Side::HubSpot, "cyd@example.com") => Ok("3".into()),
            (Side::Salesforce, "ann@example.com") => Ok("005A".into()),
            (Side::Salesforce, "bob@example.com") => Ok("005B".into()),
            (Side::Salesforce, "cyd@example.com") => Err(OwnerMissing::Inactive),
            _ => Err(OwnerMissing::Unknown),
        }
    }

    fn link_of(&self, _: &str, side: Side, id: &str) -> Option<LinkId> {
        match (side, id) {
            (Side::HubSpot, "c7") | (Side::Salesforce, "001A7") => Some(LinkId(7)),
            (Side::HubSpot, "c8") => Some(LinkId(8)),
            _ => None,
        }
    }

    fn linked_id(&self, _: &str, side: Side, link: LinkId) -> Option<String> {
        match (side, link.0) {
            (Side::HubSpot, 7) => Some("c7".into()),
            (Side::HubSpot, 8) => Some("c8".into()),
            (Side::Salesforce, 7) => Some("001A7".into()),
            _ => None,
        }
    }
}

pub(crate) fn place(names: &[(&str, &str)], blank: BlankRule) -> Option<FieldSide> {
    let names = names.iter().map(|(object, name)| ((*object).into(), (*name).into())).collect();
    Some(FieldSide { names, steps: Vec::new(), blank })
}

/// A field that lives on both sides, flows both ways, ignores blanks and asks.
pub(crate) fn field(name: &str, hubspot: &str, salesforce: &str, kind: Kind) -> Field {
    let salesforce = [("Lead", salesforce), ("Contact", salesforce)];
    Field {
        name: name.into(),
        sides: PerSide {
            hubspot: place(&[("contacts", hubspot)], BlankRule::Ignore),
            salesforce: place(&salesforce, BlankRule::Ignore),
        },
        kind,
        direction: Direction::Both,
        table: None,
        normalise: Vec::new(),
        first: vec![Rule::Ask],
        rules: vec![Rule::Ask],
        tolerance: SignedDuration::from_secs(5),
        quiet: None,
        far_edit: FarEdit::Restore,
    }
}

pub(crate) fn side(object: &str, becomes: Option<&str>, id_field: &str) -> SideSpec {
    SideSpec {
        object: object.into(),
        becomes: becomes.map(Into::into),
        id_field: id_field.into(),
        scope: None,
        create: Create::Never,
        on_delete: OnDelete::Unlink,
        assign: Assign::Off,
        allow_duplicates: false,
    }
}

/// A mapping with these fields and no rules.
pub(crate) fn mapping(fields: Vec<Field>) -> Mapping {
    Mapping {
        name: "people".into(),
        about: "Contacts and Leads".into(),
        sides: PerSide {
            hubspot: side("contacts", None, "sf_id"),
            salesforce: side("Lead", Some("Contact"), "HubSpot_Id__c"),
        },
        matching: Vec::new(),
        fields,
        stages: None,
        qualifications: Vec::new(),
        handoff: None,
        queues: BTreeMap::from([("Inbound".into(), "ann@example.com".into())]),
        unknown_owner: UnknownOwner::Reject,
        examples: Vec::new(),
        fingerprint: 0,
    }
}

pub(crate) const STAGES: [&str; 5] = ["subscriber", "lead", "mql", "sql", "customer"];

pub(crate) fn stages(back: Vec<BackRule>) -> Option<Stages> {
    Some(Stages { field: "stage".into(), order: STAGES.map(Into::into).into(), back })
}

/// City both ways, score to Salesforce, a stage, a status and an owner.
pub(crate) fn people() -> Mapping {
    let mut score = field("score", "score", "Score__c", Kind::Number);
    score.direction = Direction::To(Side::Salesforce);
    let mut mapping = mapping(vec![
        field("city", "city", "City", Kind::Text),
        field("stage", "stage", "Stage__c", Kind::Choice),
        field("status", "status", "Status", Kind::Choice),
        score,
        field("owner", "owner_id", "OwnerId", Kind::Owner),
    ]);
    mapping.stages = stages(Vec::new());
    mapping.sides.salesforce.create = Create::Always;
    mapping
}

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn raw(text: &str) -> Raw {
    if text.is_empty() { Raw::Null } else { Raw::text(text) }
}

/// A HubSpot contact that knows its Lead.
pub(crate) fn hubspot(values: &[(&str, &str)]) -> Record {
    let mut record = Record::new(RecordRef::hubspot("contacts", HUBSPOT_ID));
    record.fields = values.iter().map(|(name, value)| ((*name).into(), raw(value))).collect();
    record.fields.insert("sf_id".into(), Raw::text(LEAD_ID));
    record
}

/// A Salesforce Lead that knows its contact.
pub(crate) fn lead(values: &[(&str, &str)]) -> Record {
    let mut record = Record::new(RecordRef::salesforce("Lead", LEAD_ID));
    record.fields = values.iter().map(|(name, value)| ((*name).into(), raw(value))).collect();
    record.fields.insert("HubSpot_Id__c".into(), Raw::text(HUBSPOT_ID));
    record
}

pub(crate) fn base(values: &[(&str, Value)]) -> Base {
    let values = values.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    Base { values, applied: BTreeMap::new() }
}

pub(crate) fn text_base(name: &str, value: &str) -> Base {
    base(&[(name, Value::text(value))])
}

pub(crate) fn linked() -> PerSide<Option<RecordRef>> {
    PerSide {
        hubspot: Some(RecordRef::hubspot("contacts", HUBSPOT_ID)),
        salesforce: Some(RecordRef::salesforce("Lead", LEAD_ID)),
    }
}

/// Settles one link (none where a side never had a record).
pub(crate) fn settled(
    mapping: &Mapping,
    base: &Base,
    hubspot: Presence<'_>,
    salesforce: Presence<'_>,
) -> Plan {
    let both = !matches!(hubspot, Presence::Never) && !matches!(salesforce, Presence::Never);
    let linked = if both { linked() } else { PerSide::default() };
    settle(&Situation {
        mapping,
        link: both.then_some(LinkId(1)),
        linked: &linked,
        base,
        present: PerSide { hubspot, salesforce },
        open: &BTreeMap::new(),
        directory: &Account,
        now: now(),
    })
}

pub(crate) fn show(
    mapping: &Mapping,
    base: &Base,
    hubspot: Presence<'_>,
    salesforce: Presence<'_>,
) -> String {
    line(&settled(mapping, base, hubspot, salesforce))
}

/// A plan in one line: step, writes, decisions, what stays open.
pub(crate) fn line(plan: &Plan) -> String {
    let mut parts = Vec::new();
    match &plan.step {
        LinkStep::Keep => {}
        step => parts.push(format!("{step:?}")),
    }
    for (side, write) in plan.writes.iter() {
        let Some(write) = write else { continue };
        let verb = match &write.action {
            WriteAction::Update { .. } => "set",
            WriteAction::Create { key_field, key, .. } => &format!("create({key_field}={key})"),
            WriteAction::Delete { .. } => "delete",
        };
        let fields: Vec<String> = write
            .fields
            .iter()
            .map(|(name, raw)| {
                let clear = if write.clear_first.contains(name) { "clear, " } else { "" };
                format!("{name}={clear}{}", plain(raw))
            })
            .collect();
        parts.push(format!("{} {verb} {}", side.key(), fields.join(" ")).trim_end().to_owned());
    }
    for decision in &plan.decisions {
        let verdict = match &decision.verdict {
            Verdict::Agreed => "agreed",
            Verdict::Settled(_) => "settled",
            Verdict::LeftAlone => "left",
            Verdict::Parked => "parked",
        };
        let base = decision.new_base.as_ref().map_or("stays".into(), ToString::to_string);
        let lost: String = decision
            .lost
            .iter()
            .map(|(side, lost)| format!(" lost {}:{lost}", side.key()))
            .collect();
        parts.push(format!(
            "{} {verdict} by {} ({}) base {base}{lost}",
            decision.field, decision.rule, decision.reason
        ));
    }
    for reject in &plan.rejects {
        parts.push(format!("reject {} {}", reject.field, reject.problem));
    }
    for (rule, applied) in &plan.applied {
        parts.push(format!("{} {rule}", if applied.is_some() { "mark" } else { "unmark" }));
    }
    parts.extend(plan.notes.iter().map(|note| format!("note {note}")));
    if parts.is_empty() { "quiet".into() } else { parts.join(" | ") }
}

pub(crate) fn plain(raw: &Raw) -> String {
    match raw {
        Raw::Null => "null".into(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Number(number) => number.to_string(),
        Raw::Text(text) => text.clone(),
    }
}
