//! What people do with companies and deals on both sides while the daemon runs.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::persons::{Deed, Edit, deed, map, pick, seller};
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::{Sandbox, World};

const DEAL_STAGES: [&str; 5] =
    ["appointmentscheduled", "qualifiedtobuy", "contractsent", "closedwon", "closedlost"];
const SALES_STAGES: [&str; 6] = [
    "Prospecting",
    "Qualification",
    "Needs Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Lost",
];

/// Puts a few companies and deals on both sides: some in one only, some in both without knowing of
/// each other.
pub(super) fn populate(sandbox: &Sandbox, random: &mut fastrand::Rng) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    for number in 0..random.usize(2..5) {
        let (name, domain) = (format!("Firm {number}"), format!("firm{number}.example.com"));
        let place = random.u8(0..3);
        if place != 0 {
            let values = [("name", name.as_str()), ("domain", domain.as_str())];
            let _ = world.hubspot.create_as_user(Object::Company, &values, FIRST_USER, now);
        }
        if place != 1 {
            let values = json!({"Name": name, "Website": format!("https://www.{domain}/")});
            let user = seller(&world, random);
            let _ = world.salesforce.person_creates(now, &user, "Account", &map(values));
        }
    }
    for number in 0..random.usize(1..4) {
        let _ = match random.bool() {
            true => new_deal(&mut world, now, random, &format!("Deal {number}")),
            false => new_opportunity(&mut world, now, random, &format!("Deal {number}")),
        };
    }
}

/// One person does one thing. Nothing where it could not be done.
pub(super) fn act(sandbox: &Sandbox, number: usize, random: &mut fastrand::Rng) -> Option<Deed> {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let text = format!("{}-{number}", random.u16(..));
    match random.u8(0..100) {
        0..=19 => {
            let id = in_hubspot(&world, Object::Company, random)?;
            let (field, value) = match random.u8(0..4) {
                0 => ("phone", text),
                1 => ("city", if random.u8(0..6) == 0 { String::new() } else { text }),
                2 => ("numberofemployees", random.u16(1..900).to_string()),
                _ => ("name", format!("Firm {text}")),
            };
            market(&mut world, now, (Object::Company, id), field, value)
        }
        20..=39 => {
            let id = in_salesforce(&world, "Account", random)?;
            let (field, value) = match random.u8(0..4) {
                0 => ("Phone", json!(text)),
                1 => ("BillingCity", json!(if random.u8(0..6) == 0 { "" } else { &text })),
                2 => ("NumberOfEmployees", json!(random.u16(1..900))),
                _ => ("Name", json!(format!("Firm {text}"))),
            };
            sell(&mut world, now, random, &id, field, &value)
        }
        40..=47 => both(&mut world, now, random, &text),
        48..=53 => {
            let (name, domain) = (format!("New {number}"), format!("new{number}.example.com"));
            let values = [("name", name.as_str()), ("domain", domain.as_str())];
            let id =
                world.hubspot.create_as_user(Object::Company, &values, FIRST_USER, now).ok()?;
            Some(deed(now, format!("marketing creates company {id}")))
        }
        54..=59 => new_account(&mut world, now, random, number),
        60..=65 => new_deal(&mut world, now, random, &format!("Deal {text}")),
        66..=71 => new_opportunity(&mut world, now, random, &format!("Deal {text}")),
        72..=82 => {
            let id = in_hubspot(&world, Object::Deal, random)?;
            let (field, value) = match random.u8(0..3) {
                0 => ("amount", random.u16(1..9000).to_string()),
                1 => ("dealstage", pick(random, &DEAL_STAGES)),
                _ => ("closedate", format!("{}T16:30:00Z", day(now, random))),
            };
            market(&mut world, now, (Object::Deal, id), field, value)
        }
        83..=93 => {
            let id = in_salesforce(&world, "Opportunity", random)?;
            let (field, value) = match random.u8(0..3) {
                0 => ("Amount", json!(f64::from(random.u16(1..9000)))),
                1 => ("StageName", json!(pick(random, &SALES_STAGES))),
                _ => ("CloseDate", json!(day(now, random))),
            };
            sell(&mut world, now, random, &id, field, &value)
        }
        94..=96 => {
            let object = if random.bool() { Object::Company } else { Object::Deal };
            let id = in_hubspot(&world, object, random)?;
            world.hubspot.archive(object, id, FIRST_USER, now).ok()?;
            Some(deed(now, format!("marketing deletes {object:?} {id}")))
        }
        _ => {
            let object = if random.bool() { "Account" } else { "Opportunity" };
            let (id, user) = (in_salesforce(&world, object, random)?, seller(&world, random));
            world.salesforce.person_deletes(now, &user, &id).ok()?;
            Some(deed(now, format!("sales deletes {object} {id}")))
        }
    }
}

/// Sales types in an account of its own, or one that marketing has as a company already.
fn new_account(
    world: &mut World,
    now: Timestamp,
    random: &mut fastrand::Rng,
    number: usize,
) -> Option<Deed> {
    let known = in_hubspot(world, Object::Company, random)
        .filter(|_| random.bool())
        .and_then(|id| world.hubspot.value(Object::Company, id, "domain"));
    let domain = known.unwrap_or_else(|| format!("typed{number}.example.com"));
    let values = json!({"Name": format!("Typed {number}"), "Website": domain});
    let user = seller(world, random);
    let id = world.salesforce.person_creates(now, &user, "Account", &map(values)).ok()?;
    Some(deed(now, format!("sales creates Account {id} of {domain}")))
}

fn new_deal(
    world: &mut World,
    now: Timestamp,
    random: &mut fastrand::Rng,
    name: &str,
) -> Option<Deed> {
    let (amount, stage) = (random.u16(1..9000).to_string(), pick(random, &DEAL_STAGES[..3]));
    let close = format!("{}T12:00:00Z", day(now, random));
    let mut values = vec![("dealname", name), ("dealstage", &stage), ("amount", &amount)];
    // Without a close date it waits until it has one.
    if random.u8(0..4) != 0 {
        values.push(("closedate", &close));
    }
    let company = in_hubspot(world, Object::Company, random).filter(|_| random.bool());
    let id = world.hubspot.create_as_user(Object::Deal, &values, FIRST_USER, now).ok()?;
    if let Some(company) = company {
        let ends = ((Object::Deal, id), (Object::Company, company));
        let _ = world.hubspot.associate_as_user(ends.0, ends.1, FIRST_USER, now);
    }
    Some(deed(now, format!("marketing creates deal {id}")))
}

fn new_opportunity(
    world: &mut World,
    now: Timestamp,
    random: &mut fastrand::Rng,
    name: &str,
) -> Option<Deed> {
    let values = json!({"Name": name, "StageName": pick(random, &SALES_STAGES[..4]),
        "CloseDate": day(now, random), "Amount": f64::from(random.u16(1..9000))});
    let user = seller(world, random);
    let id = world.salesforce.person_creates(now, &user, "Opportunity", &map(values)).ok()?;
    Some(deed(now, format!("sales creates Opportunity {id}")))
}

/// Marketing and sales set the same field of the same company at the same time.
fn both(world: &mut World, now: Timestamp, random: &mut fastrand::Rng, text: &str) -> Option<Deed> {
    let account = in_salesforce(world, "Account", random)?;
    let company: u64 = world.salesforce.record(&account)?.text("HubSpot_Id__c")?.parse().ok()?;
    let company = world.hubspot.get(Object::Company, company)?.id;
    let ours = market(world, now, (Object::Company, company), "phone", format!("hs-{text}"))?;
    let theirs = sell(world, now, random, &account, "Phone", &json!(format!("sf-{text}")))?;
    Some(Deed {
        edits: [ours.edits, theirs.edits].concat(),
        ..deed(now, format!("both set the phone of company {company} and Account {account}"))
    })
}

fn market(
    world: &mut World,
    at: Timestamp,
    (object, id): (Object, u64),
    field: &'static str,
    value: String,
) -> Option<Deed> {
    let changed =
        world.hubspot.edit_as_user(object, id, &[(field, &value)], FIRST_USER, at).ok()?;
    changed.then(|| Deed {
        edits: vec![Edit { in_hubspot: true, id: id.to_string(), field, value: value.clone() }],
        ..deed(at, format!("marketing sets {field} of {object:?} {id} to {value:?}"))
    })
}

fn sell(
    world: &mut World,
    at: Timestamp,
    random: &mut fastrand::Rng,
    id: &Id,
    field: &'static str,
    value: &Value,
) -> Option<Deed> {
    let user = seller(world, random);
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let sent = if text.is_empty() { Value::Null } else { value.clone() };
    world.salesforce.person_edits(at, &user, id, &map(json!({ field: sent }))).ok()?;
    Some(Deed {
        edits: vec![Edit { in_hubspot: false, id: id.to_string(), field, value: text.clone() }],
        ..deed(at, format!("sales sets {field} of {id} to {text:?}"))
    })
}

fn in_hubspot(world: &World, object: Object, random: &mut fastrand::Rng) -> Option<u64> {
    let ids: Vec<u64> = world.hubspot.all(object).map(|record| record.id).collect();
    (!ids.is_empty()).then(|| ids[random.usize(..ids.len())])
}

fn in_salesforce(world: &World, object: &str, random: &mut fastrand::Rng) -> Option<Id> {
    let live = world.salesforce.records(object).filter(|record| record.deleted_at.is_none());
    let ids: Vec<Id> = live.map(|record| record.id.clone()).collect();
    (!ids.is_empty()).then(|| ids[random.usize(..ids.len())].clone())
}

/// A day within the next months, as `2026-12-01`.
fn day(now: Timestamp, random: &mut fastrand::Rng) -> String {
    let ahead = SignedDuration::from_hours(24 * random.i64(1..200));
    let at = now.checked_add(ahead).unwrap_or(now);
    at.to_string().chars().take(10).collect()
}
