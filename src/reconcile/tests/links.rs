//! What becomes of a link, for every combination of what the two sides have.

use crate::mapping::*;
use crate::reconcile::testing::*;
use crate::reconcile::*;
use crate::record::*;

fn city() -> Mapping {
    let mut mapping = mapping(vec![field("city", "city", "City", Kind::Text)]);
    mapping.sides.salesforce.create = Create::Always;
    mapping
}

fn of(mapping: &Mapping, linked: bool, hubspot: Presence<'_>, salesforce: Presence<'_>) -> Plan {
    let known = |side: Side, presence: &Presence<'_>| match presence {
        Presence::Never => None,
        _ => self::linked().get(side).clone(),
    };
    let records = PerSide {
        hubspot: known(Side::HubSpot, &hubspot),
        salesforce: known(Side::Salesforce, &salesforce),
    };
    let none = PerSide::default();
    settle(&Situation {
        mapping,
        link: linked.then_some(LinkId(1)),
        linked: if linked { &records } else { &none },
        base: &Base::default(),
        present: PerSide { hubspot, salesforce },
        open: &Default::default(),
        directory: &Account,
        now: now(),
    })
}

#[test]
fn every_combination_has_a_named_outcome() {
    let mapping = city();
    let (h, s) = (hubspot(&[("city", "Ulm")]), lead(&[("City", "Ulm")]));
    let states = |record| {
        [
            ("never", Presence::Never),
            ("here", Presence::Here(record)),
            ("gone", Presence::Gone),
            ("erased", Presence::Erased),
        ]
    };
    let mut lines = Vec::new();
    for linked in [true, false] {
        for (h_name, h) in states(&h) {
            for (s_name, s) in states(&s) {
                let plan = of(&mapping, linked, h, s);
                let link = if linked { "link" } else { "no link" };
                lines.push(format!("{link}, {h_name}/{s_name}: {}", line(&plan)));
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
        link, never/never: None { reason: "neither side has a record" }
        link, never/here: note the mapping creates no records in HubSpot
        link, never/gone: Unlink { deleted: Salesforce, peer: Gone }
        link, never/erased: Purge
        link, here/never: Create | salesforce create(HubSpot_Id__c=101) City=Ulm | city settled by creation (Salesforce has no record yet) base Ulm
        link, here/here: city agreed by agreed (both sides say the same) base Ulm
        link, here/gone: Unlink { deleted: Salesforce, peer: Stays }
        link, here/erased: Purge
        link, gone/never: Unlink { deleted: HubSpot, peer: Gone }
        link, gone/here: Unlink { deleted: HubSpot, peer: Stays }
        link, gone/gone: Unlink { deleted: HubSpot, peer: Gone }
        link, gone/erased: Purge
        link, erased/never: Purge
        link, erased/here: Purge
        link, erased/gone: Purge
        link, erased/erased: Purge
        no link, never/never: None { reason: "neither side has a record" }
        no link, never/here: None { reason: "the mapping creates no records in HubSpot" }
        no link, never/gone: None { reason: "the record was deleted" }
        no link, never/erased: Purge
        no link, here/never: Create | salesforce create(HubSpot_Id__c=101) City=Ulm | city settled by creation (Salesforce has no record yet) base Ulm
        no link, here/here: Join | city agreed by agreed (both sides say the same) base Ulm
        no link, here/gone: None { reason: "Salesforce's record was deleted" }
        no link, here/erased: Purge
        no link, gone/never: None { reason: "the record was deleted" }
        no link, gone/here: None { reason: "HubSpot's record was deleted" }
        no link, gone/gone: None { reason: "the record was deleted" }
        no link, gone/erased: Purge
        no link, erased/never: Purge
        no link, erased/here: Purge
        no link, erased/gone: Purge
        no link, erased/erased: Purge
        "#);
}

#[test]
fn a_deletion_is_followed_as_the_mapping_says() {
    let (h, s) = (hubspot(&[]), lead(&[]));
    let told = |rule: OnDelete| {
        let mut mapping = city();
        mapping.sides.hubspot.on_delete = rule;
        mapping.sides.salesforce.on_delete = OnDelete::Unlink;
        let hubspot_gone = of(&mapping, true, Presence::Gone, Presence::Here(&s));
        let salesforce_gone = of(&mapping, true, Presence::Here(&h), Presence::Gone);
        format!("{} / {}", line(&hubspot_gone), line(&salesforce_gone))
    };
    insta::assert_snapshot!(told(OnDelete::Unlink), @"Unlink { deleted: HubSpot, peer: Stays } / Unlink { deleted: Salesforce, peer: Stays }");
    insta::assert_snapshot!(told(OnDelete::Follow), @"Unlink { deleted: HubSpot, peer: Deleted } | salesforce delete / Unlink { deleted: Salesforce, peer: Stays }");
    insta::assert_snapshot!(told(OnDelete::Ignore), @"Wait { deleted: HubSpot } / Unlink { deleted: Salesforce, peer: Stays }");
    let mut binned = h.clone();
    binned.deleted = true;
    let plan = of(&city(), true, Presence::Here(&binned), Presence::Here(&s));
    insta::assert_snapshot!(line(&plan), @"Unlink { deleted: HubSpot, peer: Stays }");
}

#[test]
fn a_record_that_moved_is_not_written() {
    let told = |linked: bool, change: &dyn Fn(&mut Record, &mut Record)| {
        let (mut h, mut s) = (hubspot(&[("city", "Ulm")]), lead(&[("City", "Kiel")]));
        change(&mut h, &mut s);
        let plan = of(&city(), linked, Presence::Here(&h), Presence::Here(&s));
        assert!(plan.is_quiet());
        line(&plan)
    };
    insta::assert_snapshot!(told(true, &|h, _| h.key.id = "202".into()), @r#"Move { side: HubSpot, to: RecordRef { side: HubSpot, object: "contacts", id: "202" }, reason: "contacts 101 now reads as 202" }"#);
    insta::assert_snapshot!(told(true, &|_, s| s.successor = Some(RecordRef::salesforce("Contact", "003"))), @r#"Move { side: Salesforce, to: RecordRef { side: Salesforce, object: "Contact", id: "003" }, reason: "Lead 00QD000000IRFmaMAH was converted to Contact 003" }"#);
    insta::assert_snapshot!(told(false, &|_, s| s.successor = Some(RecordRef::salesforce("Contact", "003"))), @r#"None { reason: "Lead 00QD000000IRFmaMAH was converted to Contact 003" }"#);
    insta::assert_snapshot!(told(true, &|_, s| {
        s.deleted = true;
        s.successor = Some(RecordRef::salesforce("Lead", "00Q2"));
    }), @r#"Move { side: Salesforce, to: RecordRef { side: Salesforce, object: "Lead", id: "00Q2" }, reason: "Lead 00QD000000IRFmaMAH was merged into 00Q2" }"#);
}

#[test]
fn an_erased_person_leaves_nothing_in_the_plan() {
    let s = lead(&[("City", "Ulm")]);
    let plan = of(&city(), true, Presence::Erased, Presence::Here(&s));
    assert_eq!(plan.step, LinkStep::Purge);
    assert!(!serde_json::to_string(&plan).unwrap().contains("Ulm"));
}

#[test]
fn both_records_learn_each_others_id() {
    let mapping = city();
    let told = |h_id: Raw, s_id: Raw| {
        let (mut h, mut s) = (hubspot(&[]), lead(&[]));
        h.fields.insert("sf_id".into(), h_id);
        s.fields.insert("HubSpot_Id__c".into(), s_id);
        let base = text_base("city", "");
        show(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
    };
    let id = Raw::text(LEAD_ID);
    insta::assert_snapshot!(told(id.clone(), Raw::text(HUBSPOT_ID)), @"quiet");
    insta::assert_snapshot!(told(Raw::text(&LEAD_ID[..15]), Raw::Number(101.0)), @"quiet");
    insta::assert_snapshot!(told(Raw::Null, Raw::Null), @"hubspot set sf_id=00QD000000IRFmaMAH | salesforce set HubSpot_Id__c=101");
    insta::assert_snapshot!(told(id, Raw::text("7")), @"salesforce set HubSpot_Id__c=101");
}

#[test]
fn a_scope_is_asked_of_its_own_side() {
    let told = |hubspot_scope: &str, salesforce_scope: &str, s: Option<&str>| {
        let mut mapping = city();
        let compile =
            |source: &str| (!source.is_empty()).then(|| Condition::compile(source).unwrap());
        mapping.sides.hubspot.scope = compile(hubspot_scope);
        mapping.sides.salesforce.scope = compile(salesforce_scope);
        let h = hubspot(&[("city", "Ulm")]);
        let s = s.map(|city| lead(&[("City", city)]));
        let base = text_base("city", "Bonn");
        show(
            &mapping,
            &base,
            Presence::Here(&h),
            s.as_ref().map_or(Presence::Never, Presence::Here),
        )
    };
    insta::assert_snapshot!(told("city == 'Ulm'", "city == 'Bonn'", Some("Bonn")), @"salesforce set City=Ulm | city settled by one side changed (only HubSpot changed) base Ulm");
    insta::assert_snapshot!(told("city == 'Bonn'", "", Some("Bonn")), @"OutOfScope { side: HubSpot } | note HubSpot's record is out of scope: city == 'Bonn'");
    insta::assert_snapshot!(told("", "city == 'Ulm'", Some("Bonn")), @"OutOfScope { side: Salesforce } | note Salesforce's record is out of scope: city == 'Ulm'");
    insta::assert_snapshot!(told("city == 'Ulm'", "city == 'Kiel'", None), @"Create | salesforce create(HubSpot_Id__c=101) City=Ulm | city settled by creation (Salesforce has no record yet) base Ulm");
    insta::assert_snapshot!(told("city == 'Bonn'", "", None), @r#"None { reason: "HubSpot's record is out of scope: city == 'Bonn'" } | note HubSpot's record is out of scope: city == 'Bonn'"#);
    insta::assert_snapshot!(told("town == 'Bonn'", "", None), @r#"None { reason: "the condition of scope gives no answer: undefined value: `town` is undefined" } | reject scope the condition of scope gives no answer: undefined value: `town` is undefined; test for a blank first, as in `score is not none and score > 50`"#);
    insta::assert_snapshot!(told("", "town > 3", Some("Bonn")), @"reject scope the condition of scope gives no answer: undefined value: `town` is undefined; test for a blank first, as in `score is not none and score > 50`");
}

#[test]
fn a_record_is_created_as_the_mapping_says() {
    let told = |create: Create, score: &str| {
        let mut mapping = people();
        mapping.sides.salesforce.create = create;
        mapping.sides.salesforce.assign = Assign::Active;
        let h = hubspot(&[("city", "Ulm"), ("stage", ""), ("score", score), ("owner_id", "1")]);
        show(&mapping, &Base::default(), Presence::Here(&h), Presence::Never)
    };
    let when = |source: &str| Create::When(Condition::compile(source).unwrap());
    insta::assert_snapshot!(told(Create::Never, "60"), @r#"None { reason: "the mapping creates no records in Salesforce" }"#);
    insta::assert_snapshot!(told(Create::Always, "60"), @"Create | salesforce create(HubSpot_Id__c=101) City=Ulm OwnerId=005A Score__c=60 | city settled by creation (Salesforce has no record yet) base Ulm | score settled by creation (Salesforce has no record yet) base 60 | owner settled by creation (Salesforce has no record yet) base ann@example.com");
    insta::assert_snapshot!(told(when("score > 50"), "60"), @"Create | salesforce create(HubSpot_Id__c=101) City=Ulm OwnerId=005A Score__c=60 | city settled by creation (Salesforce has no record yet) base Ulm | score settled by creation (Salesforce has no record yet) base 60 | owner settled by creation (Salesforce has no record yet) base ann@example.com");
    insta::assert_snapshot!(told(when("score > 50"), "40"), @r#"None { reason: "Salesforce gets a record only when score > 50" }"#);
    insta::assert_snapshot!(told(when("score > 50"), ""), @r#"None { reason: "Salesforce gets a record only when score > 50" }"#);
}

#[test]
fn a_merged_record_without_a_link_creates_nothing_under_its_survivors_id() {
    let mapping = city();
    let survivor = hubspot(&[("city", "Ulm")]);
    let settled = |id: &str| {
        let linked =
            PerSide { hubspot: Some(RecordRef::hubspot("contacts", id)), salesforce: None };
        settle(&Situation {
            mapping: &mapping,
            link: None,
            linked: &linked,
            base: &Base::default(),
            present: PerSide { hubspot: Presence::Here(&survivor), salesforce: Presence::Never },
            open: &Default::default(),
            directory: &Account,
            now: now(),
        })
    };
    let own = settled(&survivor.key.id);
    assert_eq!(own.step, LinkStep::Create);
    let merged = settled("99");
    let reason = format!("contacts 99 now reads as {}", survivor.key.id);
    assert_eq!(merged.step, LinkStep::None { reason });
    assert!(merged.is_quiet(), "{merged:?}");
}
