use super::*;
use crate::mapping::load;

const MAPPING: &str = r#"
name = "people"
about = "Contacts and Leads"
[hubspot]
object = "contacts"
id_field = "sf_id"
[salesforce]
object = "Lead"
id_field = "HubSpot_Id__c"
create = { when = "score is not none and score >= 50" }
[[match]]
hubspot = "email"
salesforce = "Email"
normalise = ["trim", "lower"]
[[field]]
name = "city"
type = "text"
hubspot = "city"
salesforce = "City"
conflict = ["newest", "ask"]
[[field]]
name = "score"
type = "number"
hubspot = "score"
salesforce = "Score__c"
direction = "to-salesforce"
[[field]]
name = "owner"
type = "owner"
hubspot = "hubspot_owner_id"
salesforce = "OwnerId"
conflict = ["salesforce"]
"#;

fn run_all(examples: &str) -> String {
    let text = format!("{MAPPING}\n{examples}");
    let mappings = match load(vec![("people.toml".into(), text)]) {
        Ok(mappings) => mappings,
        Err(report) => panic!("{report:?}"),
    };
    let mapping = mappings.get("people").unwrap();
    let told = mapping.examples.iter().map(|example| {
        let found = run(mapping, example);
        let found = if found.is_empty() { "holds".into() } else { found.join("; ") };
        format!("{}: {found}", example.name)
    });
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_example_holds_or_tells_what_came_out() {
    let examples = r#"
[[example]]
name = "one side changed"
base = { city = "Bonn" }
hubspot = { city = "Ulm" }
salesforce = { City = "Bonn" }
expect = { salesforce = { City = "Ulm" }, rules = { city = "one side changed" } }

[[example]]
name = "newest decides"
base = { city = "Bonn" }
hubspot = { city = "Ulm" }
salesforce = { City = "Kiel" }
changed = { hubspot = { city = "2026-11-20T09:00:00Z" }, salesforce = { City = "2026-11-21T09:00:00Z" } }
expect = { hubspot = { city = "Kiel" }, rules = { city = "newest" } }

[[example]]
name = "parked"
base = { city = "Bonn" }
hubspot = { city = "Ulm" }
salesforce = { City = "Kiel" }
expect = { conflicts = ["city"] }

[[example]]
name = "created once the score is high"
hubspot = { city = "Ulm", score = 60, hubspot_owner_id = "ann@example.com" }
expect = { salesforce = { City = "Ulm", Score__c = 60, OwnerId = "ann@example.com" } }

[[example]]
name = "not created before"
hubspot = { city = "Ulm", score = 40 }
expect = {}

[[example]]
name = "a queue is left alone"
base = { owner = "ann@example.com" }
hubspot = { hubspot_owner_id = "bob@example.com" }
salesforce = { OwnerId = "queue:Inbound" }
expect = {}
"#;
    insta::assert_snapshot!(run_all(examples), @r#"
        one side changed: holds
        newest decides: holds
        parked: holds
        created once the score is high: holds
        not created before: holds
        a queue is left alone: holds
        "#);
}

#[test]
fn what_came_out_otherwise_is_told_in_words() {
    let examples = r#"
[[example]]
name = "wrong value"
base = { city = "Bonn" }
hubspot = { city = "Ulm" }
salesforce = { City = "Bonn" }
expect = { salesforce = { City = "Kiel" }, rules = { city = "newest", score = "newest" } }

[[example]]
name = "should not be parked"
base = { city = "Bonn" }
hubspot = { city = "Ulm" }
salesforce = { City = "Kiel" }
expect = { salesforce = { City = "Ulm" } }

[[example]]
name = "should be rejected"
base = { score = 3 }
hubspot = { score = 3 }
salesforce = { Score__c = 4 }
expect = { rejects = ["score"] }
"#;
    insta::assert_snapshot!(run_all(examples), @r#"
        wrong value: Salesforce's City should be written "Kiel", and "Ulm" is written (one side changed: only HubSpot changed); city should be decided by "newest", and is by "one side changed": only HubSpot changed; score should be decided by "newest", and is by "agreed": both sides say the same
        should not be parked: Salesforce's City should be written "Ulm", and nothing is written (city is parked: newest has no opinion: a side does not tell when its value was set; the mapping asks a person); city is parked for a person, which the example does not say: newest has no opinion: a side does not tell when its value was set; the mapping asks a person
        should be rejected: Salesforce's Score__c should be written nothing, and "3" is written (direction: edited in Salesforce, and the field flows to Salesforce only); score should be rejected, and is not
        "#);
}

#[test]
fn the_shipped_mappings_examples_hold() {
    let shipped = [
        ("people.toml", include_str!("../../../mappings/people.toml")),
        ("companies.toml", include_str!("../../../mappings/companies.toml")),
        ("deals.toml", include_str!("../../../mappings/deals.toml")),
    ];
    let files = shipped.map(|(path, text)| (path.to_owned(), text.to_owned()));
    let mappings = match load(files.into()) {
        Ok(mappings) => mappings,
        Err(report) => panic!("{report:?}"),
    };
    let mut count = 0;
    for mapping in &mappings.list {
        for example in &mapping.examples {
            count += 1;
            let found = run(mapping, example);
            assert!(found.is_empty(), "{}, {:?}: {}", mapping.name, example.name, found.join("; "));
        }
    }
    assert!(count > 0, "no shipped mapping has an example");
}
