//! What people do on both sides while the daemon runs.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::record::Side;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::ui::Conversion;
use crate::sandbox::{Sandbox, World};

/// What one person did, in words.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    /// When, by the sandbox's clock.
    pub(super) at: Timestamp,
    /// In words, for the trace.
    pub(super) words: String,
    /// The fields that were set.
    pub(super) edits: Vec<Edit>,
    /// What the platform's own rule decides from then on: of merged records, whose values stay.
    pub(super) takes: Vec<Take>,
}

/// A record, or one field of it, whose earlier edits no longer count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Take {
    id: String,
    field: Option<&'static str>,
}

/// A field that a person set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    /// Whether in HubSpot, else in Salesforce.
    pub(super) in_hubspot: bool,
    /// The record's id at that time.
    pub(super) id: String,
    /// The platform's name for the field.
    pub(super) field: &'static str,
    /// What it was set to.
    pub(super) value: String,
}

const STAGES: [&str; 5] =
    ["subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "customer"];
const SALES_STAGES: [&str; 4] =
    ["Lead", "Marketing Qualified Lead", "Sales Qualified Lead", "Customer"];
const STATUSES: [&str; 4] = ["NEW", "CONNECTED", "ATTEMPTED_TO_CONTACT", "UNQUALIFIED"];
const SALES_STATUSES: [&str; 3] =
    ["Open - Not Contacted", "Working - Contacted", "Closed - Not Converted"];

const SALES_SCORE: &str = "HubSpot_Score__c";

/// Puts `count` people on both sides: some in HubSpot only, some in Salesforce only, some in both
/// without knowing of each other.
pub(super) fn populate(sandbox: &Sandbox, count: usize, random: &mut fastrand::Rng) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    for number in 0..count {
        let email = format!("person{number}@example.com");
        let score = random.u8(0..100).to_string();
        let place = random.u8(0..4);
        if place != 0 {
            let values = [
                ("email", email.as_str()),
                ("firstname", "Pat"),
                ("lastname", "Doe"),
                ("lifecyclestage", STAGES[random.usize(..3)]),
                ("lead_score", score.as_str()),
            ];
            let _ = world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now);
        }
        if place == 0 || place == 1 {
            let values = map(json!({"LastName": "Doe", "Company": "Acme", "Email": email,
                "Status": SALES_STATUSES[random.usize(..2)]}));
            let user = seller(&world, random);
            let _ = world.salesforce.person_creates(now, &user, "Lead", &values);
        }
    }
}

/// One person does one thing. Nothing where it could not be done.
pub(super) fn act(sandbox: &Sandbox, number: usize, random: &mut fastrand::Rng) -> Option<Deed> {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let text = format!("{}-{number}", random.u16(..));
    match random.u8(0..112) {
        0..=29 => {
            let (field, value) = match random.u8(0..5) {
                0 => ("phone", text),
                1 => ("jobtitle", if random.u8(0..6) == 0 { String::new() } else { text }),
                2 => ("lifecyclestage", pick(random, &STAGES)),
                3 => ("hs_lead_status", pick(random, &STATUSES)),
                _ => ("lead_score", random.u8(0..100).to_string()),
            };
            in_hubspot(&mut world, now, random, field, value)
        }
        30..=59 => {
            let (field, value) = match random.u8(0..9) {
                0..=1 => ("Phone", text),
                2..=3 => ("Title", if random.u8(0..6) == 0 { String::new() } else { text }),
                4..=5 => ("Lifecycle_Stage__c", pick(random, &SALES_STAGES)),
                6..=7 => ("Status", pick(random, &SALES_STATUSES)),
                // The mapping takes the score from HubSpot only.
                _ => (SALES_SCORE, random.u8(0..100).to_string()),
            };
            in_salesforce(&mut world, now, random, field, value)
        }
        60..=69 => both(&mut world, now, random, &text),
        70..=77 => {
            let email = format!("new{number}@example.com");
            let values = [("email", email.as_str()), ("lastname", "New"), ("lead_score", "80")];
            let id =
                world.hubspot.create_as_user(Object::Contact, &values, FIRST_USER, now).ok()?;
            Some(deed(now, format!("marketing creates contact {id}")))
        }
        78..=83 => {
            let email = format!("typed{number}@example.com");
            let values = map(json!({"LastName": "Typed", "Company": "Acme", "Email": email}));
            let user = seller(&world, random);
            let id = world.salesforce.person_creates(now, &user, "Lead", &values).ok()?;
            Some(deed(now, format!("sales creates Lead {id}")))
        }
        84..=91 => {
            let (lead, user) = (a_lead(&world, random)?, seller(&world, random));
            let done =
                world.salesforce.convert_lead(now, &user, &lead, &Conversion::default()).ok()?;
            let words = format!("sales converts Lead {lead} to Contact {}", done.contact);
            // The conversion sets a status of its own, and the Contact has none.
            let takes = vec![Take { id: lead.to_string(), field: Some("Status") }];
            Some(Deed { takes, ..deed(now, words) })
        }
        92..=94 => {
            let id = a_contact(&world, random)?;
            world.hubspot.archive(Object::Contact, id, FIRST_USER, now).ok()?;
            Some(deed(now, format!("marketing deletes contact {id}")))
        }
        95..=96 => {
            let (lead, user) = (a_lead(&world, random)?, seller(&world, random));
            world.salesforce.person_deletes(now, &user, &lead).ok()?;
            Some(deed(now, format!("sales deletes Lead {lead}")))
        }
        97..=98 => {
            let (one, other) = (a_contact(&world, random)?, a_contact(&world, random)?);
            let new =
                world.hubspot.merge_as_user(Object::Contact, one, other, FIRST_USER, now).ok()?;
            let words = format!("marketing merges contacts {one} and {other} into {new}");
            Some(Deed { takes: whole(&[one, other]), ..deed(now, words) })
        }
        99 => {
            let (one, other) = (a_lead(&world, random)?, a_lead(&world, random)?);
            let user = seller(&world, random);
            let losers = [other.clone()];
            world.salesforce.merge(now, &user, &one, &losers, &Map::new()).ok()?;
            let words = format!("sales merges Lead {other} into {one}");
            Some(Deed { takes: whole(&[one, other]), ..deed(now, words) })
        }
        100..=105 => nudge(&mut world, now, random),
        106..=108 => {
            let ids: Vec<u64> =
                world.hubspot.archived(Object::Contact).map(|contact| contact.id).collect();
            let id = (!ids.is_empty()).then(|| ids[random.usize(..ids.len())])?;
            world.hubspot.restore(Object::Contact, id, FIRST_USER, now).ok()?;
            Some(deed(now, format!("marketing restores contact {id}")))
        }
        _ => {
            let leads = world.salesforce.records("Lead");
            let ids: Vec<Id> = leads
                .filter(|lead| lead.deleted_at.is_some())
                .map(|lead| lead.id.clone())
                .collect();
            let id = (!ids.is_empty()).then(|| ids[random.usize(..ids.len())].clone())?;
            let user = seller(&world, random);
            world.salesforce.person_undeletes(now, &user, &id).ok()?;
            Some(deed(now, format!("sales restores Lead {id}")))
        }
    }
}

fn whole(ids: &[impl ToString]) -> Vec<Take> {
    ids.iter().map(|id| Take { id: id.to_string(), field: None }).collect()
}

/// The score moves by a little: into the quiet band, out of it, across a threshold.
fn nudge(world: &mut World, now: Timestamp, random: &mut fastrand::Rng) -> Option<Deed> {
    let id = a_contact(world, random)?;
    let score = world.hubspot.value(Object::Contact, id, "lead_score");
    let score: i32 = score.and_then(|score| score.parse().ok()).unwrap_or(50);
    let value = (score + random.i32(-6..=6)).clamp(0, 100).to_string();
    edit_contact(world, now, id, "lead_score", value)
}

/// Marketing and sales set the same field of the same person at the same time.
fn both(world: &mut World, now: Timestamp, random: &mut fastrand::Rng, text: &str) -> Option<Deed> {
    let lead = a_lead(world, random)?;
    let contact: u64 = world.salesforce.record(&lead)?.text("HubSpot_Id__c")?.parse().ok()?;
    // The Lead may still name a contact that was merged: people see the one that lives on.
    let contact = world.hubspot.get(Object::Contact, contact)?.id;
    let user = seller(world, random);
    let ours = format!("hs-{text}");
    world
        .hubspot
        .edit_as_user(Object::Contact, contact, &[("phone", &ours)], FIRST_USER, now)
        .ok()?;
    let theirs = format!("sf-{text}");
    let values = map(json!({"Phone": theirs}));
    world.salesforce.person_edits(now, &user, &lead, &values).ok()?;
    let words = format!("both set the phone of contact {contact} and Lead {lead}");
    let edits = vec![
        Edit { in_hubspot: true, id: contact.to_string(), field: "phone", value: ours },
        Edit { in_hubspot: false, id: lead.to_string(), field: "Phone", value: theirs },
    ];
    Some(Deed { at: now, words, edits, takes: Vec::new() })
}

fn in_hubspot(
    world: &mut World,
    at: Timestamp,
    random: &mut fastrand::Rng,
    field: &'static str,
    value: String,
) -> Option<Deed> {
    let id = a_contact(world, random)?;
    edit_contact(world, at, id, field, value)
}

fn edit_contact(
    world: &mut World,
    at: Timestamp,
    id: u64,
    field: &'static str,
    value: String,
) -> Option<Deed> {
    let changed =
        world.hubspot.edit_as_user(Object::Contact, id, &[(field, &value)], FIRST_USER, at).ok()?;
    changed.then(|| Deed {
        at,
        words: format!("marketing sets {field} of contact {id} to {value:?}"),
        edits: vec![Edit { in_hubspot: true, id: id.to_string(), field, value }],
        takes: Vec::new(),
    })
}

fn in_salesforce(
    world: &mut World,
    at: Timestamp,
    random: &mut fastrand::Rng,
    field: &'static str,
    value: String,
) -> Option<Deed> {
    let (id, user) = (a_person(world, random, field)?, seller(world, random));
    let json = match value.as_str() {
        "" => Value::Null,
        number if field == SALES_SCORE => json!(number.parse::<f64>().unwrap_or_default()),
        text => json!(text),
    };
    let values = Map::from_iter([(field.to_owned(), json)]);
    world.salesforce.person_edits(at, &user, &id, &values).ok()?;
    Some(Deed {
        at,
        words: format!("sales sets {field} of {id} to {value:?}"),
        edits: vec![Edit { in_hubspot: false, id: id.to_string(), field, value }],
        takes: Vec::new(),
    })
}

pub(super) const fn deed(at: Timestamp, words: String) -> Deed {
    Deed { at, words, edits: Vec::new(), takes: Vec::new() }
}

fn a_contact(world: &World, random: &mut fastrand::Rng) -> Option<u64> {
    let ids: Vec<u64> = world.hubspot.all(Object::Contact).map(|contact| contact.id).collect();
    (!ids.is_empty()).then(|| ids[random.usize(..ids.len())])
}

fn a_lead(world: &World, random: &mut fastrand::Rng) -> Option<Id> {
    let live = world.salesforce.records("Lead");
    let ids: Vec<Id> = live
        .filter(|lead| lead.deleted_at.is_none() && !lead.flag("IsConverted"))
        .map(|lead| lead.id.clone())
        .collect();
    (!ids.is_empty()).then(|| ids[random.usize(..ids.len())].clone())
}

/// A Lead, or now and then a Contact where that has the field too.
fn a_person(world: &World, random: &mut fastrand::Rng, field: &str) -> Option<Id> {
    if field == "Status" || random.u8(0..4) != 0 {
        return a_lead(world, random);
    }
    let live = world.salesforce.records("Contact");
    let ids: Vec<Id> =
        live.filter(|it| it.deleted_at.is_none()).map(|contact| contact.id.clone()).collect();
    (!ids.is_empty()).then(|| ids[random.usize(..ids.len())].clone())
}

pub(super) fn seller(world: &World, random: &mut fastrand::Rng) -> Id {
    let users = world.salesforce.records("User").filter(|user| user.flag("IsActive"));
    let ids: Vec<Id> = users.map(|user| user.id.clone()).collect();
    // The first active user is the one as whom Lockstep signs in.
    ids[random.usize(1..ids.len())].clone()
}

pub(super) fn pick(random: &mut fastrand::Rng, list: &[&str]) -> String {
    list[random.usize(..list.len())].to_owned()
}

pub(super) fn map(values: Value) -> Map<String, Value> {
    match values {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Edit {
    /// Where it was made.
    pub(super) const fn side(&self) -> Side {
        if self.in_hubspot { Side::HubSpot } else { Side::Salesforce }
    }

    /// Whether this edit replaces an earlier one of the same field of the same record.
    pub(super) fn replaces(&self, earlier: &Self) -> bool {
        (self.in_hubspot, &self.id, self.field) == (earlier.in_hubspot, &earlier.id, earlier.field)
    }
}

impl Take {
    /// Whether an earlier edit no longer counts.
    pub(super) fn takes(&self, earlier: &Edit) -> bool {
        self.id == earlier.id && self.field.is_none_or(|field| field == earlier.field)
    }
}
