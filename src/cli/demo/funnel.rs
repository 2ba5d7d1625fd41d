//! A file of marketing-qualified leads and what became of them.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::cast::{map, unfit};
use super::report::{FileFigures, Report, Told};
use crate::cli::{Exit, Failure};
use crate::record::PerSide;
use crate::sandbox::Sandbox;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::ui::FIRST_USER;
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::ui::Conversion;
use crate::sandbox::salesforce::world::Org;

/// The columns that a file must have.
const COLUMNS: [&str; 11] = [
    "person",
    "email",
    "qualified_at",
    "source",
    "campaign",
    "sales_rep",
    "development_rep",
    "segment",
    "lead_type",
    "won_at",
    "monthly_revenue",
];

/// The leads of a file.
#[derive(Debug)]
pub struct Leads {
    /// The file's name, for the report.
    pub file: String,
    /// Its rows.
    pub rows: Vec<Lead>,
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Lead {
    /// The lead's own id.
    pub person: String,
    /// The address.
    pub email: String,
    /// When it qualified.
    pub qualified_at: Timestamp,
    /// Where it came from, in HubSpot's words.
    pub source: &'static str,
    /// The same in the file's own.
    pub source_word: String,
    /// The campaign or landing page.
    pub campaign: String,
    /// Who closed it; blank where nobody did.
    pub sales_rep: String,
    /// Who called it; blank where nobody did.
    pub development_rep: String,
    /// When it was won.
    pub won_at: Option<Timestamp>,
    /// What the customer declared to earn in a month.
    pub monthly_revenue: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Row {
    person: String,
    email: String,
    qualified_at: String,
    source: String,
    campaign: String,
    sales_rep: String,
    development_rep: String,
    won_at: String,
    monthly_revenue: String,
}

/// HubSpot's word for a source. What nobody knows is offline, as HubSpot itself has it.
fn source(word: &str) -> Option<&'static str> {
    Some(match word {
        "organic_search" => "ORGANIC_SEARCH",
        "paid_search" => "PAID_SEARCH",
        "social" => "SOCIAL_MEDIA",
        "email" => "EMAIL_MARKETING",
        "direct_traffic" => "DIRECT_TRAFFIC",
        "referral" => "REFERRALS",
        "display" | "other_publicities" | "other" => "OTHER_CAMPAIGNS",
        "unknown" | "" => "OFFLINE",
        _ => return None,
    })
}

impl Leads {
    /// How many were won.
    pub fn won(&self) -> usize {
        self.rows.iter().filter(|lead| lead.won_at.is_some()).count()
    }

    /// For the report.
    pub fn told(&self) -> Told {
        Told { contacts: self.rows.len(), leads: 0, both: 0 }
    }
}

impl Lead {
    /// Brings it into HubSpot as a contact with `values` besides its own, and with `detail` as the
    /// first detail of its source. The file has no names: the first eight characters of the id
    /// stand for the last name.
    pub fn arrive(
        &self,
        sandbox: &Sandbox,
        values: &[(&str, &str)],
        detail: &str,
    ) -> Result<(), Failure> {
        let now = sandbox.clock().now();
        let account = &mut sandbox.world().hubspot;
        let last: String = self.person.chars().take(8).collect();
        let company = format!("Shop of {last}");
        let own = [
            ("email", self.email.as_str()),
            ("firstname", "Lead"),
            ("lastname", &last),
            ("company", &company),
        ];
        let id = account
            .create_as_user(Object::Contact, &[&own, values].concat(), FIRST_USER, now)
            .map_err(|error| unfit("a contact", &error))?;
        let computed =
            [("hs_analytics_source", self.source), ("hs_analytics_source_data_1", detail)];
        account
            .compute(Object::Contact, id, &computed, now)
            .map_err(|error| unfit("a contact's source", &error))?;
        Ok(())
    }

    /// Converts what it became in Salesforce, closes its deal as won and makes its contact a
    /// customer, as `closer` does at the screen.
    pub fn close(
        &self,
        org: &mut Org,
        now: Timestamp,
        closer: &Id,
        record: &Id,
    ) -> Result<(), Failure> {
        let refused = |error| unfit("a won lead", &error as &dyn std::error::Error);
        let how = Conversion { owner: Some(closer.clone()), ..Conversion::default() };
        let converted = org.convert_lead(now, closer, record, &how).map_err(refused)?;
        if let Some(deal) = &converted.opportunity {
            if let Some(revenue) = self.monthly_revenue {
                let amount = map(json!({ "Amount": revenue }));
                org.person_edits(now, closer, deal, &amount).map_err(refused)?;
            }
            org.close_opportunity(now, closer, deal, true).map_err(refused)?;
        }
        let stage = map(json!({ "Lifecycle_Stage__c": "Customer" }));
        org.person_edits(now, closer, &converted.contact, &stage).map_err(refused)?;
        Ok(())
    }
}

/// Reads a file.
///
/// # Errors
/// Where it cannot be read, with the line, the column and what was found.
pub fn read(file: &Path) -> Result<Leads, Failure> {
    let name = file.display().to_string();
    let reader = csv::Reader::from_path(file)
        .map_err(|error| Failure::of(Exit::NotFound, format!("cannot read {name}"), &error))?;
    rows(reader, &name).map(|rows| Leads { file: name, rows })
}

fn rows(mut reader: csv::Reader<impl std::io::Read>, file: &str) -> Result<Vec<Lead>, Failure> {
    let headings = reader.headers().map_err(|error| broken(file, &error))?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !headings.iter().any(|it| it == **column)) {
        let found: Vec<&str> = headings.iter().collect();
        let message = format!(
            "{file}, line 1: there is no column {missing:?}; found {}",
            if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
        );
        return Err(Failure::new(Exit::Usage, message)
            .hint(format!("the first line names the columns: {}", COLUMNS.join(","))));
    }
    let mut leads = Vec::new();
    let mut addresses = std::collections::BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| broken(file, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&headings)).map_err(|error| broken(file, &error))?;
        let lead = lead(row).map_err(|(column, found, right)| {
            let message = format!("{file}, line {line}, column {column}: found {found:?}");
            Failure::new(Exit::Usage, message).hint(right)
        })?;
        if let Some(before) = addresses.insert(lead.email.clone(), line) {
            let message = format!(
                "{file}, line {line}, column email: {:?} stands in line {before} already",
                lead.email
            );
            return Err(Failure::new(Exit::Usage, message).hint("each lead has its own address"));
        }
        leads.push(lead);
    }
    Ok(leads)
}

/// The file is no CSV.
fn broken(file: &str, error: &csv::Error) -> Failure {
    let line = error.position().map_or(0, csv::Position::line);
    Failure::of(Exit::Usage, format!("{file}, line {line}: this is no row of the table"), error)
        .hint("each line has one value for each column, separated by commas")
}

/// A row's column, what was found there and what would be right.
type Mistake = (&'static str, String, &'static str);

fn lead(row: Row) -> Result<Lead, Mistake> {
    const TIME: &str = "write a time such as 2018-02-01T09:00:00Z";
    let email = row.email.trim().to_lowercase();
    if row.person.trim().is_empty() {
        return Err(("person", row.person, "write the lead's own id"));
    }
    if !email.split_once('@').is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
    {
        return Err(("email", row.email, "write an e-mail address"));
    }
    let Ok(qualified_at) = row.qualified_at.trim().parse::<Timestamp>() else {
        return Err(("qualified_at", row.qualified_at, TIME));
    };
    // Tools differ in how they join the words: `direct traffic`, `direct_traffic`.
    let word = row.source.trim().to_lowercase().replace([' ', '-'], "_");
    let Some(source) = source(&word) else {
        let right = "write organic_search, paid_search, social, email, direct_traffic, referral, \
                     display, other_publicities, other or unknown";
        return Err(("source", row.source, right));
    };
    let won_at = match row.won_at.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| ("won_at", text.to_owned(), TIME))?),
    };
    let monthly_revenue = match row.monthly_revenue.trim() {
        "" => None,
        text => match text.parse::<f64>() {
            Ok(revenue) if revenue.is_finite() && revenue >= 0.0 => Some(revenue),
            _ => return Err(("monthly_revenue", text.to_owned(), "write a number, or nothing")),
        },
    };
    Ok(Lead {
        person: row.person.trim().to_owned(),
        email,
        qualified_at,
        source,
        source_word: if word.is_empty() { "unknown".to_owned() } else { word.replace('_', " ") },
        campaign: row.campaign,
        sales_rep: row.sales_rep.trim().to_owned(),
        development_rep: row.development_rep.trim().to_owned(),
        won_at,
        monthly_revenue,
    })
}

/// Brings every lead into HubSpot as a marketing-qualified contact.
pub fn import(sandbox: &Sandbox, leads: &Leads) -> Result<(), Failure> {
    let stage = [("lifecyclestage", "marketingqualifiedlead")];
    leads.rows.iter().try_for_each(|lead| lead.arrive(sandbox, &stage, &lead.campaign))
}

/// What salespeople did with the leads of a file.
#[derive(Debug, Clone, Copy)]
pub struct Won {
    won: u32,
}

/// Converts the leads that were won, closes their deals and makes their contacts customers, as
/// salespeople do at the screen.
pub fn win(sandbox: &Sandbox, leads: &Leads) -> Result<Won, Failure> {
    let mut world = sandbox.world();
    let org = &mut world.salesforce;
    let by_email: std::collections::BTreeMap<String, _> = org
        .records("Lead")
        .filter_map(|lead| Some((lead.text("Email")?.to_lowercase(), lead.id.clone())))
        .collect();
    let mut won = 0;
    for lead in leads.rows.iter().filter(|lead| lead.won_at.is_some()) {
        // A Lead that did not arrive is told by the report: the customers will be too few.
        let Some(id) = by_email.get(&lead.email) else { continue };
        let now = sandbox.clock().now();
        let closer = org.staff.sales[seat(&lead.sales_rep)].clone();
        lead.close(org, now, &closer, id)?;
        won += 1;
    }
    Ok(Won { won })
}

/// Which of the three salespeople of the sandbox stands for a name of the file.
fn seat(name: &str) -> usize {
    name.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 3
}

impl Won {
    /// For the report.
    pub fn done(&self) -> Vec<(String, u32)> {
        vec![("sales converted a lead and won its deal".to_owned(), self.won)]
    }

    /// What became of the file's leads.
    pub fn figures(&self, leads: &Leads, report: &Report) -> FileFigures {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let customers = report.compared.stages.iter().find(|row| row.value == "customer");
        FileFigures {
            rows: count(leads.rows.len()),
            won: count(leads.won()),
            linked: report.links.get("people").map(|links| links.active).unwrap_or_default(),
            customers: customers.map_or_else(PerSide::default, |row| row.count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "person,email,qualified_at,source,campaign,sales_rep,development_rep,\
                        segment,lead_type,won_at,monthly_revenue\n";

    fn parse(text: &str) -> Result<Vec<Lead>, Failure> {
        rows(csv::Reader::from_reader(text.as_bytes()), "leads.csv")
    }

    #[test]
    fn a_mistake_names_line_column_and_what_was_found() {
        let cases = [
            (
                "person,email\na,b\n",
                "leads.csv, line 1: there is no column \"qualified_at\"; found person, email",
            ),
            ("", "leads.csv, line 1: there is no column \"person\"; found nothing"),
            (
                "a,a.example.com,2018-01-01T09:00:00Z,email,c,,,,,,\n",
                "leads.csv, line 2, column email: found \"a.example.com\"",
            ),
            (
                "a,a@example.com,yesterday,email,c,,,,,,\n",
                "leads.csv, line 2, column qualified_at: found \"yesterday\"",
            ),
            (
                "a,a@example.com,2018-01-01T09:00:00Z,tv,c,,,,,,\n",
                "leads.csv, line 2, column source: found \"tv\"",
            ),
            (
                "a,a@example.com,2018-01-01T09:00:00Z,email,c,,,,,soon,\n",
                "leads.csv, line 2, column won_at: found \"soon\"",
            ),
            (
                "a,a@example.com,2018-01-01T09:00:00Z,email,c,,,,,,-3\n",
                "leads.csv, line 2, column monthly_revenue: found \"-3\"",
            ),
            (
                "a,a@example.com,2018-01-01T09:00:00Z,email,c,,,,,,\nb,A@example.com,2018-01-01T09:00:00Z,email,c,,,,,,\n",
                "leads.csv, line 3, column email: \"a@example.com\" stands in line 2 already",
            ),
            ("a,a@example.com\n", "leads.csv, line 2: this is no row of the table"),
        ];
        for (text, expected) in cases {
            let whole = if text.is_empty() || text.starts_with("person") {
                text.to_owned()
            } else {
                format!("{HEAD}{text}")
            };
            let failure = parse(&whole).unwrap_err();
            assert_eq!(failure.message, expected);
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.hint.is_some(), "{expected}");
        }
    }

    #[test]
    fn every_source_of_the_file_is_one_of_hubspots() {
        let text = format!(
            "{HEAD}a,a@example.com,2018-01-01T09:00:00Z,,c,r,d,s,t,2018-02-01T10:00:00Z,10.5\n\
             b,b@example.com,2018-01-01T09:00:00Z,Direct traffic,c,,,,,,\n"
        );
        let leads = parse(&text).unwrap();
        assert_eq!((leads[0].source, &*leads[0].source_word), ("OFFLINE", "unknown"));
        assert_eq!((&*leads[0].sales_rep, &*leads[0].development_rep), ("r", "d"));
        assert_eq!(leads[0].monthly_revenue, Some(10.5));
        assert!(leads[0].won_at.is_some());
        assert_eq!((leads[1].source, leads[1].won_at), ("DIRECT_TRAFFIC", None));
        assert_eq!(leads[1].source_word, "direct traffic");
    }
}
