//! People at work on both sides while the daemon runs.
//!
//! Every deed is one that a person does at a screen, or the platform's own computation. A deed for
//! which there is nobody at present (no Lead to convert yet) gives way to another.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cast::{map, sellers};
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::ui::Conversion;
use crate::sandbox::{Sandbox, SandboxClock, World};

/// How long the platforms' clock moves on with each deed: a working day fits into the demo.
const DEED: SignedDuration = SignedDuration::from_secs(20);

/// How far apart two people change the same field: further than `newest` needs to be certain.
const APART: SignedDuration = SignedDuration::from_secs(15);

/// Something that people do: its words, how often it comes up, how often at most.
struct Deed {
    words: &'static str,
    weight: u32,
    most: u32,
    done: fn(&mut Desk<'_>) -> Option<()>,
}

const fn deed(words: &'static str, weight: u32, done: fn(&mut Desk<'_>) -> Option<()>) -> Deed {
    Deed { words, weight, most: u32::MAX, done }
}

const DEEDS: &[Deed] = &[
    deed("a score moved", 30, score),
    deed("asked for a demo", 4, demo_request),
    deed("opted out of e-mail", 2, opt_out),
    deed("marketing corrected a phone or title", 6, correct),
    deed("marketing gave a contact another owner", 3, hubspot_owner),
    deed("sales took up a lead", 16, take_up),
    deed("sales gave up a lead", 4, give_up),
    deed("sales converted a lead", 8, convert),
    deed("a deal was won", 5, win),
    deed("a deal was lost", 2, lose),
    deed("sales moved a stage back", 2, send_back),
    deed("sales typed in a phone or title", 6, type_in),
    deed("sales gave a lead another owner", 3, salesforce_owner),
    deed("sales typed in a new lead", 2, new_lead),
    deed("both changed a title, marketing last", 2, title_marketing_last),
    deed("both changed a title, sales last", 2, title_sales_last),
    deed("both changed a phone, marketing last", 2, phone_marketing_last),
    deed("both changed a phone, sales last", 2, phone_sales_last),
    deed("both moved a stage", 2, stage_on_both),
    Deed { most: 2, ..deed("marketing deleted a contact", 1, delete_contact) },
    Deed { most: 2, ..deed("sales deleted a lead", 1, delete_lead) },
    Deed { most: 1, ..deed("marketing merged two contacts", 1, merge) },
];

/// Everyone who works, and what they did.
pub struct Office {
    random: fastrand::Rng,
    done: BTreeMap<&'static str, u32>,
    deals: Vec<(Id, Id)>,
    made_up: u32,
}

impl Office {
    /// Nobody has done anything yet.
    pub const fn new(random: fastrand::Rng) -> Self {
        Self { random, done: BTreeMap::new(), deals: Vec::new(), made_up: 0 }
    }

    /// What was done, and how often, in the order of the list.
    pub fn done(&self) -> Vec<(String, u32)> {
        let times = |deed: &Deed| self.done.get(deed.words).copied();
        DEEDS.iter().filter_map(|deed| Some((deed.words.to_owned(), times(deed)?))).collect()
    }

    /// Somebody does something. First each deed comes up once, then chance decides.
    pub fn act(&mut self, sandbox: &Sandbox) {
        for _ in 0..DEEDS.len() {
            let deed = self.choose();
            let mut world = sandbox.world();
            let mut desk = Desk {
                world: &mut world,
                clock: sandbox.clock(),
                random: &mut self.random,
                deals: &mut self.deals,
                made_up: &mut self.made_up,
            };
            if (deed.done)(&mut desk).is_some() {
                *self.done.entry(deed.words).or_default() += 1;
                break;
            }
        }
        sandbox.clock().advance(DEED);
    }

    fn choose(&mut self) -> &'static Deed {
        let times = |deed: &Deed| self.done.get(deed.words).copied().unwrap_or_default();
        let first = DEEDS.iter().filter(|deed| times(deed) == 0);
        let first: Vec<&Deed> = first.collect();
        if !first.is_empty() && self.random.u32(..3) == 0 {
            return first[self.random.usize(..first.len())];
        }
        let open = || DEEDS.iter().filter(|deed| times(deed) < deed.most);
        let sum: u32 = open().map(|deed| deed.weight).sum();
        let mut place = self.random.u32(..sum.max(1));
        for deed in open() {
            if place < deed.weight {
                return deed;
            }
            place -= deed.weight;
        }
        &DEEDS[0]
    }
}

/// Where one person sits for one deed.
struct Desk<'a> {
    world: &'a mut World,
    clock: &'a SandboxClock,
    random: &'a mut fastrand::Rng,
    deals: &'a mut Vec<(Id, Id)>,
    made_up: &'a mut u32,
}

/// A person who is on both sides, as a Lead that is not converted.
struct Shared {
    contact: u64,
    lead: Id,
}

impl Desk<'_> {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn later(&self) {
        self.clock.advance(APART);
    }

    fn pick<T>(&mut self, mut list: Vec<T>) -> Option<T> {
        (!list.is_empty()).then(|| list.swap_remove(self.random.usize(..list.len())))
    }

    fn seller(&mut self) -> Id {
        self.world.salesforce.staff.sales[self.random.usize(..3)].clone()
    }

    fn contact(&mut self) -> Option<u64> {
        let ids = self.world.hubspot.all(Object::Contact).map(|contact| contact.id).collect();
        self.pick(ids)
    }

    fn market(&mut self, contact: u64, name: &str, value: &str) -> Option<()> {
        let now = self.now();
        let account = &mut self.world.hubspot;
        let edited =
            account.edit_as_user(Object::Contact, contact, &[(name, value)], FIRST_USER, now);
        edited.ok().filter(|changed| *changed).map(drop)
    }

    fn compute(&mut self, contact: u64, name: &str, value: &str) -> Option<()> {
        let now = self.now();
        let computed = self.world.hubspot.compute(Object::Contact, contact, &[(name, value)], now);
        computed.ok().filter(|changed| *changed).map(drop)
    }

    fn sell(&mut self, id: &str, values: Value) -> Option<()> {
        let (now, user) = (self.now(), self.seller());
        self.world.salesforce.person_edits(now, &user, id, &map(values)).ok()
    }

    /// A Lead that is not converted and whose status is one of `statuses`.
    fn lead(&mut self, statuses: &[&str]) -> Option<Id> {
        let leads = self.world.salesforce.records("Lead");
        let open = leads.filter(|lead| !lead.flag("IsConverted"));
        let fit = open.filter(|lead| {
            statuses.is_empty() || lead.text("Status").is_some_and(|it| statuses.contains(&it))
        });
        let ids = fit.map(|lead| lead.id.clone()).collect();
        self.pick(ids)
    }

    fn shared(&mut self) -> Option<Shared> {
        let leads = self.world.salesforce.records("Lead");
        let both = leads
            .filter(|lead| !lead.flag("IsConverted"))
            .filter_map(|lead| {
                let contact = lead.text("HubSpot_Id__c")?.parse().ok()?;
                self.world.hubspot.get(Object::Contact, contact)?;
                Some(Shared { contact, lead: lead.id.clone() })
            })
            .collect();
        self.pick(both)
    }

    fn phone(&mut self) -> String {
        format!("+1 555 01{:02} {:03}", self.random.u32(..100), self.random.u32(..1000))
    }

    fn title(&mut self) -> String {
        const RANK: [&str; 5] = ["Senior", "Deputy", "Regional", "Global", "Interim"];
        const ROLE: [&str; 5] = ["Buyer", "Analyst", "Head of Finance", "Planner", "Controller"];
        let rank = RANK[self.random.usize(..RANK.len())];
        format!("{rank} {} {}", ROLE[self.random.usize(..ROLE.len())], self.random.u32(1..100))
    }
}

fn score(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    let before = desk.world.hubspot.value(Object::Contact, contact, "lead_score");
    let before: i32 = before.and_then(|score| score.parse().ok()).unwrap_or_default();
    let after = (before + desk.random.i32(-10..=35)).clamp(0, 100);
    desk.market(contact, "lead_score", &after.to_string())
}

fn demo_request(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    desk.compute(contact, "recent_conversion_event_name", "Demo request")
}

fn opt_out(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    desk.compute(contact, "hs_email_optout", "true")
}

fn correct(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    if desk.random.bool() {
        let phone = desk.phone();
        desk.market(contact, "phone", &phone)
    } else {
        let title = desk.title();
        desk.market(contact, "jobtitle", &title)
    }
}

fn hubspot_owner(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    let sellers = sellers(desk.world);
    let owner = desk.pick(sellers)?;
    desk.market(contact, "hubspot_owner_id", &owner)
}

fn take_up(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.lead(&["Open - Not Contacted"])?;
    let (now, user) = (desk.now(), desk.seller());
    desk.world.salesforce.log_call(now, &user, &lead, "First call").ok()?;
    desk.sell(&lead, json!({ "Status": "Working - Contacted" }))
}

fn give_up(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.lead(&["Working - Contacted"])?;
    desk.sell(&lead, json!({ "Status": "Closed - Not Converted" }))
}

fn convert(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.lead(&["Working - Contacted"])?;
    let (now, user) = (desk.now(), desk.seller());
    let how = Conversion { owner: Some(user.clone()), ..Conversion::default() };
    let converted = desk.world.salesforce.convert_lead(now, &user, &lead, &how).ok()?;
    let stage = json!({ "Lifecycle_Stage__c": "Opportunity" });
    desk.sell(&converted.contact, stage)?;
    desk.deals.push((converted.opportunity?, converted.contact));
    Some(())
}

fn close(desk: &mut Desk<'_>, won: bool) -> Option<Id> {
    if desk.deals.is_empty() {
        return None;
    }
    let place = desk.random.usize(..desk.deals.len());
    let (deal, contact) = desk.deals.swap_remove(place);
    let (now, user) = (desk.now(), desk.seller());
    desk.world.salesforce.close_opportunity(now, &user, &deal, won).ok()?;
    Some(contact)
}

fn win(desk: &mut Desk<'_>) -> Option<()> {
    let contact = close(desk, true)?;
    desk.sell(&contact, json!({ "Lifecycle_Stage__c": "Customer" }))
}

fn lose(desk: &mut Desk<'_>) -> Option<()> {
    close(desk, false).map(drop)
}

fn send_back(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.shared()?.lead;
    let stage = desk.world.salesforce.record(&lead)?.text("Lifecycle_Stage__c")?.to_owned();
    if stage != "Marketing Qualified Lead" && stage != "Sales Qualified Lead" {
        return None;
    }
    desk.sell(&lead, json!({ "Lifecycle_Stage__c": "Lead" }))
}

fn type_in(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.lead(&[])?;
    let values = match desk.random.bool() {
        true => json!({ "Phone": desk.phone() }),
        false => json!({ "Title": desk.title() }),
    };
    desk.sell(&lead, values)
}

fn salesforce_owner(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.lead(&[])?;
    let owner = desk.seller();
    desk.sell(&lead, json!({ "OwnerId": &*owner }))
}

fn new_lead(desk: &mut Desk<'_>) -> Option<()> {
    *desk.made_up += 1;
    let number = *desk.made_up;
    let (now, user) = (desk.now(), desk.seller());
    let values = map(json!({
        "FirstName": "Robin",
        "LastName": format!("Fairgate {number}"),
        "Email": format!("robin.fairgate{number}@trade-fair.example.com"),
        "Company": "Trade Fair Visitors",
        "LeadSource": "Other",
    }));
    desk.world.salesforce.person_creates(now, &user, "Lead", &values).ok().map(drop)
}

fn title_marketing_last(desk: &mut Desk<'_>) -> Option<()> {
    let Shared { contact, lead } = desk.shared()?;
    let (theirs, ours) = (desk.title(), desk.title());
    desk.sell(&lead, json!({ "Title": theirs }))?;
    desk.later();
    desk.market(contact, "jobtitle", &ours)
}

fn title_sales_last(desk: &mut Desk<'_>) -> Option<()> {
    let Shared { contact, lead } = desk.shared()?;
    let (theirs, ours) = (desk.title(), desk.title());
    desk.market(contact, "jobtitle", &ours)?;
    desk.later();
    desk.sell(&lead, json!({ "Title": theirs }))
}

fn phone_marketing_last(desk: &mut Desk<'_>) -> Option<()> {
    let Shared { contact, lead } = desk.shared()?;
    let (theirs, ours) = (desk.phone(), desk.phone());
    desk.sell(&lead, json!({ "Phone": theirs }))?;
    desk.later();
    desk.market(contact, "phone", &ours)
}

fn phone_sales_last(desk: &mut Desk<'_>) -> Option<()> {
    let Shared { contact, lead } = desk.shared()?;
    let (theirs, ours) = (desk.phone(), desk.phone());
    desk.market(contact, "phone", &ours)?;
    desk.later();
    desk.sell(&lead, json!({ "Phone": theirs }))
}

fn stage_on_both(desk: &mut Desk<'_>) -> Option<()> {
    let Shared { contact, lead } = desk.shared()?;
    let stage = desk.world.salesforce.record(&lead)?.text("Lifecycle_Stage__c")?.to_owned();
    if stage != "Marketing Qualified Lead" {
        return None;
    }
    desk.market(contact, "lifecyclestage", "salesqualifiedlead")?;
    desk.later();
    desk.sell(&lead, json!({ "Lifecycle_Stage__c": "Opportunity" }))
}

fn delete_contact(desk: &mut Desk<'_>) -> Option<()> {
    let contact = desk.contact()?;
    let now = desk.now();
    desk.world.hubspot.archive(Object::Contact, contact, FIRST_USER, now).ok()
}

fn delete_lead(desk: &mut Desk<'_>) -> Option<()> {
    let lead = desk.shared()?.lead;
    let (now, user) = (desk.now(), desk.seller());
    desk.world.salesforce.person_deletes(now, &user, &lead).ok()
}

/// Marketing finds that a person is there twice: the one that sales knows stays.
fn merge(desk: &mut Desk<'_>) -> Option<()> {
    let keeps = desk.shared()?.contact;
    let contacts = desk.world.hubspot.all(Object::Contact);
    let unlinked = contacts.filter(|contact| contact.get("salesforce_id").is_none());
    let unlinked = unlinked.map(|contact| contact.id).filter(|id| *id != keeps).collect();
    let goes = desk.pick(unlinked)?;
    let now = desk.now();
    desk.world.hubspot.merge_as_user(Object::Contact, keeps, goes, FIRST_USER, now).ok().map(drop)
}
