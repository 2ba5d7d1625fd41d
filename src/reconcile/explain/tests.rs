use super::*;
use crate::mapping::Rule;
use crate::reconcile::testing::*;
use crate::reconcile::{Base, settle};
use crate::record::{LinkId, Record};

fn with<T>(h: &Record, s: Option<&Record>, base: &Base, tell: impl Fn(&Situation<'_>) -> T) -> T {
    let mut mapping = people();
    mapping.fields[0].rules = vec![Rule::Newest, Rule::Ask];
    let linked = linked();
    tell(&Situation {
        mapping: &mapping,
        link: s.map(|_| LinkId(7)),
        linked: if s.is_some() { &linked } else { &PerSide { hubspot: None, salesforce: None } },
        base,
        present: PerSide {
            hubspot: Presence::Here(h),
            salesforce: s.map_or(Presence::Never, Presence::Here),
        },
        open: &Default::default(),
        directory: &Account,
        now: now(),
    })
}

#[test]
fn a_plan_reads_as_sentences() {
    let h = hubspot(&[
        ("city", "Ulm"),
        ("stage", "mql"),
        ("status", "new"),
        ("score", "60"),
        ("owner_id", "9"),
    ]);
    let s = lead(&[
        ("City", "Kiel"),
        ("Stage__c", "lead"),
        ("Status", ""),
        ("Score__c", "70"),
        ("OwnerId", "00G2"),
    ]);
    let base = base(&[
        ("city", Value::text("Bonn")),
        ("stage", Value::text("lead")),
        ("score", Value::Number(60.into())),
    ]);
    let told = |s: Option<&Record>| with(&h, s, &base, |situation| settle(situation).to_string());
    insta::assert_snapshot!(told(Some(&s)), @r#"
        people L7: changes
          city: parked for a person (HubSpot says Ulm, Salesforce says Kiel): newest has no opinion: a side does not tell when its value was set; the mapping asks a person
          stage: lead → mql on Salesforce, because only HubSpot changed
          status: (blank) → new on Salesforce, because Salesforce is blank
          score: 70 → 60 on Salesforce, because edited in Salesforce, and the field flows to Salesforce only
          score: Salesforce's 70 does not live on, and is kept in the history
          owner on HubSpot: HubSpot lists no owner with the id 9; check that the signed-in user may see all owners
          owner: it belongs to the queue Spam, which is left alone
        "#);
    insta::assert_snapshot!(told(None), @r#"
        people HubSpot contacts 101: a Lead is created in Salesforce
          city: Ulm on Salesforce, because Salesforce has no record yet
          stage: mql on Salesforce, because Salesforce has no record yet
          status: new on Salesforce, because Salesforce has no record yet
          score: 60 on Salesforce, because Salesforce has no record yet
          owner on HubSpot: HubSpot lists no owner with the id 9; check that the signed-in user may see all owners
        "#);
}

#[test]
fn a_field_is_explained() {
    let mut h = hubspot(&[("city", "Ulm"), ("score", "60"), ("owner_id", "1")]);
    h.modified = Some(now());
    let s = lead(&[("City", "Kiel"), ("Score__c", "60"), ("OwnerId", "005A")]);
    let base = base(&[("city", Value::text("Bonn")), ("score", Value::Number(60.into()))]);
    let told = |field: &str| {
        with(&h, Some(&s), &base, |situation| {
            explain(situation, field).map(|lines| lines.join("\n"))
        })
    };
    insta::assert_snapshot!(told("city").unwrap(), @r#"
        HubSpot says Ulm, set not after 2026-11-22T12:00:00Z.
        Salesforce says Kiel.
        Both sides last agreed on Bonn.
        It waits for a person: newest has no opinion: a side does not tell when its value was set; the mapping asks a person.
        If both sides change it, the first of these with an opinion decides: newest, ask.
        "#);
    insta::assert_snapshot!(told("owner").unwrap(), @r#"
        HubSpot says ann@example.com (owner_id = "1"), set not after 2026-11-22T12:00:00Z.
        Salesforce says ann@example.com (OwnerId = "005A").
        The sides have not agreed on a value yet.
        Both say the same now: that becomes what they agreed on.
        If both sides change it, the first of these with an opinion decides: ask.
        "#);
    insta::assert_snapshot!(told("score").unwrap(), @r#"
        HubSpot says 60 (score = "60"), set not after 2026-11-22T12:00:00Z.
        Salesforce says 60 (Score__c = "60").
        Both sides last agreed on 60.
        There is nothing to do.
        It flows to Salesforce only.
        "#);
    assert_eq!(told("town"), None);
}
