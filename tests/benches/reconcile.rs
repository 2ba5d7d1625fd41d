//! How many fields one core decides in a second, for the shipped mapping of people.
//!
//! Four sorts of link: one about which nothing changed (the sweep, and the echo of an own write),
//! one of which HubSpot changed two fields, one of which both sides changed two fields differently,
//! and one that meets for the first time. Each settlement reads all fields, asks both scopes, the
//! ways back and the qualifications. The unit is one field's decision.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockstep::mapping::{Directory, Mapping, OwnerFound, OwnerMissing, load};
use lockstep::reconcile::{Base, Plan, Presence, Situation, settle};
use lockstep::record::{LinkId, PerSide, Raw, Record, RecordRef, Side};

const CONTACT: &str = "101";
const LEAD: &str = "00QD000000IRFmaMAH";

/// One owner who is in both accounts.
struct Account;

impl Directory for Account {
    fn owner(&self, _: Side, _: &str) -> OwnerFound {
        OwnerFound::Person("ann@example.com".to_owned())
    }

    fn owner_id(&self, side: Side, _: &str) -> Result<String, OwnerMissing> {
        Ok(match side {
            Side::HubSpot => "1".to_owned(),
            Side::Salesforce => "005D000000IRFmaMAH".to_owned(),
        })
    }

    fn link_of(&self, _: &str, _: Side, _: &str) -> Option<LinkId> {
        None
    }

    fn linked_id(&self, _: &str, _: Side, _: LinkId) -> Option<String> {
        None
    }
}

fn record(key: RecordRef, fields: &[(&str, &str)]) -> Record {
    let mut record = Record::new(key);
    for (name, value) in fields {
        record.fields.insert((*name).to_owned(), Raw::text(*value));
    }
    record
}

/// A contact and a Lead that agree on every field.
fn pair() -> PerSide<Record> {
    let hubspot = [
        ("salesforce_id", LEAD),
        ("email", "ada@example.com"),
        ("firstname", "Ada"),
        ("lastname", "Lovelace"),
        ("company", "Analytical Engines"),
        ("jobtitle", "Countess"),
        ("phone", "+44 20 7946 0000"),
        ("mobilephone", "+44 7700 900000"),
        ("lifecyclestage", "marketingqualifiedlead"),
        ("hs_lead_status", "CONNECTED"),
        ("lead_score", "62"),
        ("hubspot_owner_id", "1"),
        ("qualified_because", "The score reached 50"),
        ("recent_conversion_event_name", "Whitepaper"),
        ("hs_analytics_source", "ORGANIC_SEARCH"),
        ("hs_analytics_source_data_1", "spring"),
        ("hs_email_optout", "false"),
    ];
    let salesforce = [
        ("HubSpot_Id__c", CONTACT),
        ("Email", "ada@example.com"),
        ("FirstName", "Ada"),
        ("LastName", "Lovelace"),
        ("Company", "Analytical Engines"),
        ("Title", "Countess"),
        ("Phone", "+44 20 7946 0000"),
        ("MobilePhone", "+44 7700 900000"),
        ("Lifecycle_Stage__c", "Marketing Qualified Lead"),
        ("Status", "Working - Contacted"),
        ("OwnerId", "005D000000IRFmaMAH"),
        ("Qualified_Because__c", "The score reached 50"),
        ("HubSpot_Recent_Conversion__c", "Whitepaper"),
        ("LeadSource", "Web"),
        ("HubSpot_Campaign__c", "spring"),
    ];
    let mut lead = record(RecordRef::salesforce("Lead", LEAD), &salesforce);
    lead.fields.insert("HubSpot_Score__c".to_owned(), Raw::Number(62.0));
    lead.fields.insert("HasOptedOutOfEmail".to_owned(), Raw::Bool(false));
    PerSide { hubspot: record(RecordRef::hubspot("contacts", CONTACT), &hubspot), salesforce: lead }
}

fn decide(mapping: &Mapping, records: &PerSide<Record>, base: &Base) -> Plan {
    let linked = PerSide {
        hubspot: Some(records.hubspot.key.clone()),
        salesforce: Some(records.salesforce.key.clone()),
    };
    settle(&Situation {
        mapping,
        link: Some(LinkId(1)),
        linked: &linked,
        base,
        present: PerSide {
            hubspot: Presence::Here(&records.hubspot),
            salesforce: Presence::Here(&records.salesforce),
        },
        open: &BTreeMap::new(),
        directory: &Account,
        now: "2026-11-22T12:00:00Z".parse().unwrap_or_default(),
    })
}

fn reconcile(criterion: &mut Criterion) {
    let text = include_str!("../../mappings/people.toml").to_owned();
    let mappings = load(vec![("people.toml".to_owned(), text)]).unwrap_or_default();
    assert_eq!(mappings.list.len(), 1, "people.toml loads");
    let mapping = &mappings.list[0];
    let same = pair();
    let first = decide(mapping, &same, &Base::default());
    let base = first.base_after(&Base::default(), &Side::BOTH.into());
    assert!(first.rejects.is_empty(), "{first}");
    assert!(decide(mapping, &same, &base).decisions.is_empty(), "the pair agrees");

    let mut one = pair();
    one.hubspot.fields.insert("phone".to_owned(), Raw::text("+44 20 7946 0001"));
    one.hubspot.fields.insert("lead_score".to_owned(), Raw::text("81"));
    let mut both = pair();
    for (record, name) in [(&mut both.hubspot, "phone"), (&mut both.salesforce, "Phone")] {
        record.fields.insert(name.to_owned(), Raw::text(format!("+44 {name}")));
        record.modified = Some("2026-11-22T11:00:00Z".parse().unwrap_or_default());
    }
    both.hubspot.fields.insert("lifecyclestage".to_owned(), Raw::text("opportunity"));
    both.salesforce
        .fields
        .insert("Lifecycle_Stage__c".to_owned(), Raw::text("Sales Qualified Lead"));
    assert_eq!(decide(mapping, &one, &base).decisions.len(), 2);
    assert_eq!(decide(mapping, &both, &base).decisions.len(), 2);

    let mut group = criterion.benchmark_group("reconcile");
    group.throughput(Throughput::Elements(mapping.fields.len() as u64));
    let unmet = Base::default();
    for (name, records, base) in [
        ("nothing changed", &same, &base),
        ("one side changed", &one, &base),
        ("both sides changed", &both, &base),
        ("first meeting", &same, &unmet),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| decide(black_box(mapping), black_box(records), black_box(base)));
        });
    }
    group.finish();
}

criterion_group!(benches, reconcile);
criterion_main!(benches);
