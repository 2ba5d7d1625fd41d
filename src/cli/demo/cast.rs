//! Who is there when the demo begins: made-up leads on both sides, a few of them awkward.

use serde_json::{Map, Value, json};

use super::report::Told;
use crate::cli::rehearsal::people::{Person, make_up};
use crate::cli::{Exit, Failure};
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::{Sandbox, World};

/// How many of the people are awkward.
const AWKWARD: usize = 6;

/// What was put into both platforms.
#[derive(Debug, Clone, Default)]
pub struct Cast {
    /// Contacts in HubSpot.
    pub contacts: usize,
    /// Leads in Salesforce.
    pub leads: usize,
    /// People who are on both sides, not linked yet.
    pub both: usize,
    /// The awkward ones, in words.
    pub awkward: Vec<&'static str>,
}

impl Cast {
    /// For the report.
    pub fn told(&self) -> Told {
        Told { contacts: self.contacts, leads: self.leads, both: self.both }
    }
}

/// Fills both platforms: of ten people seven are in HubSpot only, two on both sides and one in
/// Salesforce only.
pub fn import(
    sandbox: &Sandbox,
    people: usize,
    random: &mut fastrand::Rng,
) -> Result<Cast, Failure> {
    let people = make_up(people, random);
    let (usual, awkward) = people.split_at(people.len() - AWKWARD);
    let mut studio = Studio { sandbox, random, cast: Cast::default() };
    for (place, person) in usual.iter().enumerate() {
        match place % 10 {
            0 | 5 => {
                studio.contact(person, &[])?;
                studio.lead(person, json!({ "Title": "Director", "Phone": person.phone }))?;
                studio.cast.both += 1;
            }
            9 => studio.lead(person, json!({ "Phone": person.phone }))?,
            _ => {
                let owner = studio.owner(place);
                studio.contact(person, &[("hubspot_owner_id", &owner)])?;
            }
        }
    }
    studio.awkward(awkward)?;
    Ok(studio.cast)
}

struct Studio<'a> {
    sandbox: &'a Sandbox,
    random: &'a mut fastrand::Rng,
    cast: Cast,
}

impl Studio<'_> {
    /// An owner for every third contact; nobody for the others.
    fn owner(&mut self, place: usize) -> String {
        let world = self.sandbox.world();
        let sellers: Vec<_> = sellers(&world);
        match place % 3 {
            0 => sellers[self.random.usize(..sellers.len())].clone(),
            _ => String::new(),
        }
    }

    fn contact(&mut self, person: &Person, more: &[(&str, &str)]) -> Result<u64, Failure> {
        let now = self.sandbox.clock().now();
        let score = person.score.to_string();
        let mut values = vec![
            ("email", person.email.as_str()),
            ("firstname", &person.first),
            ("lastname", &person.last),
            ("company", &person.company),
            ("jobtitle", &person.title),
            ("phone", &person.phone),
            ("lifecyclestage", person.stage),
            ("lead_score", &score),
        ];
        for (name, value) in more {
            values.retain(|(known, _)| known != name);
            if !value.is_empty() {
                values.push((name, value));
            }
        }
        let mut world = self.sandbox.world();
        let account = &mut world.hubspot;
        let id = account
            .create_as_user(Object::Contact, &values, FIRST_USER, now)
            .map_err(|error| unfit("a contact", &error))?;
        account
            .compute(Object::Contact, id, &[("hs_analytics_source", person.source)], now)
            .map_err(|error| unfit("a contact's source", &error))?;
        self.cast.contacts += 1;
        Ok(id)
    }

    fn lead(&mut self, person: &Person, more: Value) -> Result<(), Failure> {
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let org = &mut world.salesforce;
        let user = org.staff.sales[self.random.usize(..3)].clone();
        let mut values = map(json!({
            "Email": person.email,
            "FirstName": person.first,
            "LastName": person.last,
            "Company": person.company,
            "LeadSource": "Web",
        }));
        values.extend(map(more));
        org.person_creates(now, &user, "Lead", &values).map_err(|error| unfit("a lead", &error))?;
        self.cast.leads += 1;
        Ok(())
    }

    /// Records as every real database has them.
    fn awkward(&mut self, people: &[Person]) -> Result<(), Failure> {
        let [twice, unlisted, gone, queue, nameless, wordy] = people else {
            return Ok(());
        };
        let qualified = ("lifecyclestage", "marketingqualifiedlead");
        self.contact(twice, &[qualified])?;
        self.lead(twice, json!({ "Title": "Buyer" }))?;
        self.lead(twice, json!({ "Title": "Head of Purchasing" }))?;
        self.tell("one address that two Leads in Salesforce share");

        self.unlisted_status();
        self.contact(unlisted, &[qualified, ("hs_lead_status", "NURTURING")])?;
        self.tell("a lead status that the mapping does not list");

        let owner = self.departed();
        self.contact(gone, &[qualified, ("hubspot_owner_id", &owner)])?;
        self.tell("a contact whose owner has left the company");

        let id = self.sandbox.world().salesforce.staff.queue.clone();
        self.lead(queue, json!({ "OwnerId": &*id }))?;
        self.tell("a Lead that belongs to a queue");

        self.contact(nameless, &[qualified, ("lastname", "")])?;
        self.tell("a contact without a last name");

        let title = "Responsible for everything that has to do with purchasing, ".repeat(4);
        self.contact(wordy, &[qualified, ("jobtitle", &title)])?;
        self.tell("a job title too long for Salesforce");
        Ok(())
    }

    fn tell(&mut self, what: &'static str) {
        self.cast.awkward.push(what);
    }

    /// Marketing adds a lead status of its own, as admins do without telling anyone.
    fn unlisted_status(&self) {
        let now = self.sandbox.clock().now();
        let mut world = self.sandbox.world();
        let known: Vec<(String, String)> = world
            .hubspot
            .property(Object::Contact, "hs_lead_status")
            .iter()
            .flat_map(|property| &property.choices)
            .map(|choice| (choice.value.clone(), choice.label.clone()))
            .collect();
        let mut choices: Vec<(&str, &str)> =
            known.iter().map(|(value, label)| (value.as_str(), label.as_str())).collect();
        choices.push(("NURTURING", "Nurturing"));
        world.hubspot.set_choices(Object::Contact, "hs_lead_status", &choices, now);
    }

    /// The owner whose user is deactivated on both sides.
    fn departed(&self) -> String {
        let world = self.sandbox.world();
        let owner = world.hubspot.owners().iter().find(|owner| owner.archived);
        owner.map(|owner| owner.id.clone()).unwrap_or_default()
    }
}

/// HubSpot's ids of those who can own records on both sides.
pub fn sellers(world: &World) -> Vec<String> {
    let org = &world.salesforce;
    let addresses: Vec<&str> = org
        .staff
        .sales
        .iter()
        .filter_map(|id| org.record(id).and_then(|user| user.text("Email")))
        .collect();
    let owners = world.hubspot.owners().iter();
    let sellers = owners.filter(|owner| addresses.contains(&owner.email.as_str()));
    sellers.map(|owner| owner.id.clone()).collect()
}

/// A JSON object as the sandbox takes it.
pub fn map(values: Value) -> Map<String, Value> {
    match values {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The sandbox refused what the demo made up.
pub fn unfit(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::of(Exit::Internal, format!("the sandbox refused {what}"), error)
}
