use super::*;
use crate::mapping::MatchKey;
use crate::mapping::transform::{Argument, Step, by_name};
use crate::reconcile::testing::{LEAD_ID, mapping, raw};
use crate::record::PerSide;

const OTHER: &str = "00QD000000IRFmbMAH";

fn steps(names: &[&str]) -> Vec<Step> {
    names
        .iter()
        .map(|name| Step { transform: by_name(name).unwrap(), argument: Argument::Nothing })
        .collect()
}

fn people() -> Mapping {
    let key = |hubspot: &str, salesforce: &str| MatchKey {
        fields: PerSide { hubspot: hubspot.into(), salesforce: salesforce.into() },
        normalise: steps(&["trim", "lower"]),
    };
    let mut mapping = mapping(Vec::new());
    mapping.matching = vec![key("email", "Email"), key("phone", "Phone")];
    mapping
}

fn contact(id: &str, email: &str, phone: &str, pointer: &str) -> Record {
    let mut record = Record::new(RecordRef::hubspot("contacts", id));
    for (name, value) in [("email", email), ("phone", phone), ("sf_id", pointer)] {
        record.fields.insert(name.into(), raw(value));
    }
    record
}

fn lead(id: &str, email: &str, phone: &str, pointer: &str) -> Record {
    let mut record = Record::new(RecordRef::salesforce("Lead", id));
    for (name, value) in [("Email", email), ("Phone", phone), ("HubSpot_Id__c", pointer)] {
        record.fields.insert(name.into(), raw(value));
    }
    record
}

/// Everyone across is offered by every way of finding: what does not fit must be left out here.
fn told(record: &Record, across: &[Record]) -> String {
    let mapping = people();
    let by_key = vec![across.to_vec(), across.to_vec()];
    match recognise(&Question { mapping: &mapping, record, by_id: across, by_key: &by_key }) {
        Recognised::Linked { record, how } => format!("{} by {how}", record.id),
        Recognised::Nobody => "nobody".into(),
        Recognised::Ambiguous { candidates, key, reason } => {
            let ids: Vec<_> = candidates.into_iter().map(|record| record.id).collect();
            format!("ambiguous {ids:?} by {key}: {reason}")
        }
    }
}

#[test]
fn a_stable_id_beats_every_key() {
    let by_key = lead(OTHER, "ann@example.com", "", "");
    let ann = |pointer: &str| contact("1", "ann@example.com", "", pointer);
    let table = [
        ("own id", told(&ann(LEAD_ID), &[lead(LEAD_ID, "", "", ""), by_key.clone()])),
        ("own short id", told(&ann(&LEAD_ID[..15]), &[lead(LEAD_ID, "", "", "1")])),
        ("their id", told(&ann(""), &[lead(LEAD_ID, "", "", "1"), by_key.clone()])),
        ("both ids", told(&ann(LEAD_ID), &[lead(LEAD_ID, "", "", "1")])),
        ("from Salesforce", told(&lead(LEAD_ID, "", "", ""), &[contact("1", "", "", LEAD_ID)])),
    ];
    let lines: Vec<String> = table.map(|(case, told)| format!("{case}: {told}")).into();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        own id: 00QD000000IRFmaMAH by the id field in HubSpot
        own short id: 00QD000000IRFmaMAH by the id field in HubSpot
        their id: 00QD000000IRFmaMAH by the id field in Salesforce
        both ids: 00QD000000IRFmaMAH by the id field in HubSpot
        from Salesforce: 1 by the id field in HubSpot
        "#);
}

#[test]
fn what_is_not_certain_is_for_a_person() {
    let ann = |pointer: &str| contact("1", "ann@example.com", "", pointer);
    let same = |id: &str, pointer: &str| lead(id, "ann@example.com", "", pointer);
    let gone = |mut record: Record| {
        record.deleted = true;
        record
    };
    let table = [
        ("id leads nowhere", told(&ann(OTHER), &[])),
        ("id leads nowhere, key does not", told(&ann(OTHER), &[same(LEAD_ID, "")])),
        ("id leads to a deleted one", told(&ann(LEAD_ID), &[gone(same(LEAD_ID, "1"))])),
        ("they name another", told(&ann(LEAD_ID), &[same(LEAD_ID, "2")])),
        ("two name us", told(&ann(""), &[same(LEAD_ID, "1"), same(OTHER, "1")])),
        ("ids cross", told(&ann(LEAD_ID), &[same(LEAD_ID, ""), same(OTHER, "1")])),
        ("two with the key", told(&ann(""), &[same(LEAD_ID, ""), same(OTHER, "")])),
        ("the key belongs to another", told(&ann(""), &[same(LEAD_ID, "2")])),
        ("one free, one not", told(&ann(""), &[same(LEAD_ID, "2"), same(OTHER, "")])),
    ];
    let lines: Vec<String> = table.map(|(case, told)| format!("{case}: {told}")).into();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        id leads nowhere: ambiguous [] by HubSpot_Id__c: its sf_id names 00QD000000IRFmbMAH, which Salesforce does not have; a record that was deleted is not created anew
        id leads nowhere, key does not: ambiguous [] by HubSpot_Id__c: its sf_id names 00QD000000IRFmbMAH, which Salesforce does not have; a record that was deleted is not created anew
        id leads to a deleted one: ambiguous ["00QD000000IRFmaMAH"] by HubSpot_Id__c: its id names Salesforce Lead 00QD000000IRFmaMAH, which is deleted
        they name another: ambiguous ["00QD000000IRFmaMAH"] by HubSpot_Id__c: it names Salesforce Lead 00QD000000IRFmaMAH, which itself names 2
        two name us: ambiguous ["00QD000000IRFmaMAH", "00QD000000IRFmbMAH"] by HubSpot_Id__c: 2 records across belong to it by their ids
        ids cross: ambiguous ["00QD000000IRFmaMAH", "00QD000000IRFmbMAH"] by HubSpot_Id__c: 2 records across belong to it by their ids
        two with the key: ambiguous ["00QD000000IRFmaMAH", "00QD000000IRFmbMAH"] by Email: 2 records across have the same Email
        the key belongs to another: ambiguous ["00QD000000IRFmaMAH"] by Email: Salesforce Lead 00QD000000IRFmaMAH has the same Email, and belongs to 2 by its id
        one free, one not: ambiguous ["00QD000000IRFmaMAH", "00QD000000IRFmbMAH"] by Email: 2 records across have the same Email
        "#);
}

#[test]
fn keys_are_asked_in_order_and_compared_again() {
    let mut converted = lead(OTHER, "ann@example.com", "", "");
    converted.successor = Some(RecordRef::salesforce("Contact", "003"));
    let ann = contact("1", " Ann@Example.com", "030 1", "");
    let table = [
        ("other spelling", told(&ann, &[lead(LEAD_ID, "ANN@example.com", "", "")])),
        ("found loosely", told(&ann, &[lead(LEAD_ID, "ann@example.com.au", "", "")])),
        ("second key", told(&ann, &[lead(LEAD_ID, "", "030 1", "")])),
        (
            "first key before the second",
            told(&ann, &[lead(LEAD_ID, "ann@example.com", "", ""), lead(OTHER, "", "030 1", "")]),
        ),
        ("converted", told(&ann, &[converted])),
        ("blank is no key", told(&contact("1", "", "", ""), &[lead(LEAD_ID, "", "", "")])),
        ("nobody", told(&ann, &[])),
    ];
    let lines: Vec<String> = table.map(|(case, told)| format!("{case}: {told}")).into();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        other spelling: 00QD000000IRFmaMAH by Email
        found loosely: nobody
        second key: 00QD000000IRFmaMAH by Phone
        first key before the second: 00QD000000IRFmaMAH by Email
        converted: nobody
        blank is no key: nobody
        nobody: nobody
        "#);
}

#[test]
fn an_id_from_before_a_merge_still_counts() {
    let mut merged = contact("9", "", "", "");
    merged.aliases = vec!["1".into(), "2".into()];
    assert_eq!(
        told(&merged, &[lead(LEAD_ID, "", "", "2")]),
        format!("{LEAD_ID} by the id field in Salesforce")
    );
    let pointing = lead(LEAD_ID, "", "", "1");
    assert_eq!(told(&pointing, &[merged]), "9 by the id field in Salesforce");
}

#[test]
fn an_id_of_a_converted_lead_leads_to_the_contact() {
    let ann = contact("1", "ann@example.com", "", LEAD_ID);
    let mut converted = lead(LEAD_ID, "ann@example.com", "", "1");
    converted.successor = Some(RecordRef::salesforce("Contact", "003"));
    let became = |pointer: &str| {
        let mut record = lead("003", "ann@example.com", "", pointer);
        record.key.object = "Contact".into();
        record
    };
    assert_eq!(told(&ann, &[converted.clone()]), "003 by the id field in HubSpot");
    assert_eq!(told(&ann, &[converted.clone(), became("")]), "003 by the id field in HubSpot");
    assert_eq!(told(&ann, &[converted.clone(), became("1")]), "003 by the id field in HubSpot");
    assert!(told(&ann, &[converted, became("2")]).ends_with("which itself names 2"));
}

#[test]
fn a_key_is_searched_for_as_it_may_stand_across() {
    let key = |normalise: &[&str]| MatchKey {
        fields: PerSide { hubspot: "email".into(), salesforce: "Email".into() },
        normalise: steps(normalise),
    };
    let spelled = |normalise: &[&str], value: &str| -> Vec<String> {
        let record = contact("1", value, "", "");
        key_spellings(&key(normalise), &record).into_iter().collect()
    };
    assert_eq!(spelled(&["trim", "lower"], " Ann@Example.com "), ["ann@example.com"]);
    assert_eq!(spelled(&["company_name"], "Acme GmbH"), ["Acme GmbH", "acme"]);
    assert_eq!(spelled(&["domain"], ""), [""; 0]);
    let domain = spelled(&["domain"], "HTTPS://acme.example/about");
    for usual in ["acme.example", "https://www.acme.example/", "HTTPS://acme.example/about"] {
        assert!(domain.contains(&usual.to_owned()), "{usual}: {domain:?}");
    }
}
