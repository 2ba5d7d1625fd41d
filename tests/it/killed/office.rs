//! People who work in both platforms, over HTTP, and what they find there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Sandboxed;

/// The fields that are compared: HubSpot's names, Salesforce's names.
const FIELDS: [(&str, &str); 6] = [
    ("email", "Email"),
    ("firstname", "FirstName"),
    ("lastname", "LastName"),
    ("jobtitle", "Title"),
    ("phone", "Phone"),
    ("mobilephone", "MobilePhone"),
];

/// What was last entered for a person.
#[derive(Debug, Default)]
struct Person {
    email: String,
    /// Edited in Salesforce only.
    phone: Option<String>,
    /// Edited in HubSpot only.
    mobile: Option<String>,
    /// Edited on both sides: the last of each.
    titles: [Option<String>; 2],
}

pub struct Office {
    hubspot: String,
    salesforce: String,
    token: String,
    session: String,
    random: fastrand::Rng,
    people: Vec<Person>,
    edits: u32,
}

impl Office {
    pub fn new(sandbox: &Sandboxed, seed: u64) -> Self {
        let host = |side| sandbox.url(side).trim_start_matches("http://").to_owned();
        let (hubspot, salesforce) = (host("hubspot"), host("salesforce"));
        // The people's own calls shall not use up what the daemon may.
        let limits = json!({ "private_app_limit": 100_000, "search_limit": 1_000 });
        call(&hubspot, "POST", "/sandbox/hubspot/settings", "", &limits);
        let session = call(&salesforce, "POST", "/sandbox/salesforce/sessions", "", &json!({}));
        Self {
            hubspot,
            session: session["result"]["access_token"].as_str().unwrap().to_owned(),
            salesforce,
            token: sandbox.variable("LOCKSTEP_HUBSPOT__TOKEN"),
            random: fastrand::Rng::with_seed(seed),
            people: Vec::new(),
            edits: 0,
        }
    }

    /// A qualified person, entered on one of both sides.
    pub fn a_person_comes(&mut self) {
        let number = self.people.len();
        let email = format!("person{number}@example.com");
        if number.is_multiple_of(2) {
            let properties = json!({
                "email": email, "firstname": "Ada", "lastname": format!("No {number}"),
                "company": "Engines", "lifecyclestage": "marketingqualifiedlead",
            });
            let body = json!({ "properties": properties });
            call(&self.hubspot, "POST", "/sandbox/hubspot/contacts", "", &body);
        } else {
            let values = json!({
                "Email": email, "FirstName": "Ada", "LastName": format!("No {number}"),
                "Company": "Engines",
            });
            let body = json!({ "values": values });
            call(&self.salesforce, "POST", "/sandbox/salesforce/records/Lead", "", &body);
        }
        self.people.push(Person { email, ..Person::default() });
    }

    /// One edit of one person on one side; now and then somebody new.
    pub fn somebody_edits(&mut self) {
        if self.random.u8(..) < 8 {
            return self.a_person_comes();
        }
        self.edits += 1;
        let value = format!("edit {}", self.edits);
        let who = self.random.usize(..self.people.len());
        let (both, in_hubspot) = (self.random.bool(), self.random.bool());
        let email = self.people[who].email.clone();
        let found = if in_hubspot { self.contacts() } else { self.leads() };
        // Not there yet: the daemon has not carried the person over.
        let Some(id) = found.get(&email).map(|rows| rows[0]["id"].as_str().unwrap().to_owned())
        else {
            return;
        };
        let person = &mut self.people[who];
        let (side, theirs, ours) = match (in_hubspot, both) {
            (true, true) => (&mut person.titles[0], "jobtitle", true),
            (true, false) => (&mut person.mobile, "mobilephone", true),
            (false, true) => (&mut person.titles[1], "Title", false),
            (false, false) => (&mut person.phone, "Phone", false),
        };
        *side = Some(value.clone());
        if ours {
            let path = format!("/sandbox/hubspot/contacts/{id}");
            call(&self.hubspot, "PATCH", &path, "", &json!({ "properties": { theirs: value } }));
        } else {
            let path = format!("/sandbox/salesforce/records/{id}");
            call(&self.salesforce, "PATCH", &path, "", &json!({ "values": { theirs: value } }));
        }
    }

    pub fn arm(&self, fault: &str) {
        call(&self.hubspot, "POST", "/sandbox/faults", "", &json!({ "fault": fault }));
    }

    pub fn heal(&self) {
        call(&self.hubspot, "DELETE", "/sandbox/faults", "", &Value::Null);
    }

    /// Every contact by address, as the platform's API has it.
    fn contacts(&self) -> BTreeMap<String, Vec<Value>> {
        let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
        let names = names.join(",");
        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let mut after = "0".to_owned();
        loop {
            let path = format!(
                "/crm/v3/objects/contacts?limit=100&after={after}&properties=salesforce_id,{names}"
            );
            let page = call(&self.hubspot, "GET", &path, &self.token, &Value::Null);
            for row in page["results"].as_array().unwrap_or_else(|| panic!("{page}")) {
                let mut values = row["properties"].clone();
                values["id"] = row["id"].clone();
                found.entry(row["properties"]["email"].to_string()).or_default().push(values);
            }
            match page["paging"]["next"]["after"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return unquoted(found),
            }
        }
    }

    /// Every lead by address, in HubSpot's words, as the platform's API has it.
    fn leads(&self) -> BTreeMap<String, Vec<Value>> {
        let names: Vec<&str> = FIELDS.iter().map(|(_, name)| *name).collect();
        let query = format!("SELECT Id, HubSpot_Id__c, {} FROM Lead", names.join(", "));
        let path = format!("/services/data/v62.0/query?q={}", query.replace(' ', "+"));
        let page = call(&self.salesforce, "GET", &path, &self.session, &Value::Null);
        assert_eq!(page["done"], true, "{page}");
        let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in page["records"].as_array().unwrap() {
            let mut values = json!({ "id": row["Id"], "hubspot_id": row["HubSpot_Id__c"] });
            for (ours, theirs) in FIELDS {
                values[ours] = row[theirs].clone();
            }
            found.entry(row["Email"].to_string()).or_default().push(values);
        }
        unquoted(found)
    }

    /// What is not as it should be once everything has been carried over. Open conflicts explain
    /// fields that differ: an answer that was lost leaves a value of which nobody knows whose it is.
    pub fn disagreements(&self, conflicts: &[Value]) -> Vec<String> {
        let (contacts, leads) = (self.contacts(), self.leads());
        let mut told = Vec::new();
        for (side, found) in [("contacts", &contacts), ("leads", &leads)] {
            let count: usize = found.values().map(Vec::len).sum();
            if count != self.people.len() {
                told.push(format!("{count} {side} for {} people", self.people.len()));
            }
        }
        for person in &self.people {
            let email = &person.email;
            let (Some(contact), Some(lead)) = (contacts.get(email), leads.get(email)) else {
                told.push(format!("{email} is missing on a side"));
                continue;
            };
            let (contact, lead) = (&contact[0], &lead[0]);
            if lead["hubspot_id"] != contact["id"] || contact["salesforce_id"] != lead["id"] {
                told.push(format!("{email}: {contact} and {lead} do not know each other"));
            }
            for (field, _) in FIELDS {
                let (here, there) = (&contact[field], &lead[field]);
                let parked = conflicts
                    .iter()
                    .any(|open| open["hubspot"] == *here && open["salesforce"] == *there);
                if filled(here) != filled(there) && !parked {
                    told.push(format!("{email}: {field} is {here} and {there}"));
                }
            }
            // Whatever became of the other side, nothing overwrites where it was entered.
            for (entered, last) in
                [(&lead["phone"], &person.phone), (&contact["mobilephone"], &person.mobile)]
            {
                if last.as_deref() != filled(entered) {
                    told.push(format!("{email}: found {entered}, {last:?} was entered last"));
                }
            }
            let title = filled(&contact["jobtitle"]);
            if title.is_none() != person.titles.iter().all(Option::is_none)
                || title.is_some() && !person.titles.iter().any(|last| last.as_deref() == title)
            {
                told.push(format!("{email}: {title:?} is none of {:?}", person.titles));
            }
        }
        told
    }
}

fn filled(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

fn unquoted(found: BTreeMap<String, Vec<Value>>) -> BTreeMap<String, Vec<Value>> {
    found.into_iter().map(|(key, rows)| (key.trim_matches('"').to_owned(), rows)).collect()
}

/// One call, answered with 2xx. A fault may strike these calls too: then it is made again, which does
/// no harm to any of them that faults can strike.
fn call(host: &str, method: &str, path: &str, token: &str, body: &Value) -> Value {
    let mut told = String::new();
    for _ in 0..10 {
        match try_call(host, method, path, token, body) {
            Ok(value) => return value,
            Err(error) => told = error,
        }
    }
    panic!("{method} {path}: {told}");
}

fn try_call(
    host: &str,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect(host).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|error| error.to_string())?;
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer breaks off")?;
    if !head.starts_with("HTTP/1.1 2") {
        return Err(format!("{head}\n{body}"));
    }
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).map_err(|error| format!("{error}: {body}"))
}
