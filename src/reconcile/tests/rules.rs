//! Stages, ways back, qualification.

use crate::mapping::*;
use crate::reconcile::testing::*;
use crate::reconcile::*;
use crate::record::*;

fn back(name: &str, from: &[&str], to: Option<&str>, when: &str) -> BackRule {
    BackRule {
        name: name.into(),
        from: from.iter().map(|stage| (*stage).into()).collect(),
        to: to.map(Into::into),
        when: Condition::compile(when).unwrap(),
        reason: format!("{name}, they said"),
    }
}

fn qualification(name: &str, when: &str, again: Option<&str>) -> Qualification {
    Qualification {
        name: name.into(),
        when: Condition::compile(when).unwrap(),
        set: [("stage".to_owned(), Value::text("mql")), ("status".to_owned(), Value::text("new"))]
            .into(),
        reason: "the score is high".into(),
        again: again.map(|source| Condition::compile(source).unwrap()),
    }
}

/// `base/hubspot/salesforce`; `-` is a blank, `?` no base.
fn stage_line(mapping: &Mapping, row: &str, status: (&str, &str), applied: &[&str]) -> String {
    let plan = stage_plan(mapping, row, status, applied);
    format!("{row}: {}", line(&plan))
}

fn stage_plan(mapping: &Mapping, row: &str, status: (&str, &str), applied: &[&str]) -> Plan {
    let cells: Vec<&str> = row.split('/').map(|cell| if cell == "-" { "" } else { cell }).collect();
    let mut agreed = base(&[
        ("city", Value::Blank),
        ("status", Value::text(status.0)),
        ("score", Value::Blank),
        ("owner", Value::Blank),
    ]);
    if cells[0] != "?" {
        agreed.values.insert("stage".into(), Value::text(cells[0]));
    }
    agreed.applied = applied.iter().map(|rule| ((*rule).to_owned(), now())).collect();
    let h = hubspot(&[("stage", cells[1]), ("status", status.0)]);
    let s = lead(&[("Stage__c", cells[2]), ("Status", status.1)]);
    settled(mapping, &agreed, Presence::Here(&h), Presence::Here(&s))
}

fn stage_lines(mapping: &Mapping, table: &str, status: (&str, &str)) -> String {
    let lines = table.split_whitespace().map(|row| stage_line(mapping, row, status, &[]));
    lines.collect::<Vec<_>>().join("\n")
}

const STAGE_CELLS: &str = "lead/lead/lead lead/mql/lead lead/lead/mql lead/mql/sql lead/sql/mql \
    mql/lead/mql mql/mql/lead mql/lead/lead mql/subscriber/lead mql/lead/sql mql/-/mql mql/-/- \
    ?/lead/mql ?/-/mql";

#[test]
fn stages_move_forward_by_the_furthest() {
    insta::assert_snapshot!(stage_lines(&people(), STAGE_CELLS, ("new", "new")), @r#"
        lead/lead/lead: quiet
        lead/mql/lead: salesforce set Stage__c=mql | stage settled by one side changed (only HubSpot changed) base mql
        lead/lead/mql: hubspot set stage=mql | stage settled by one side changed (only Salesforce changed) base mql
        lead/mql/sql: hubspot set stage=sql | stage settled by furthest (both changed: sql is the later stage) base sql lost hubspot:mql
        lead/sql/mql: salesforce set Stage__c=sql | stage settled by furthest (both changed: sql is the later stage) base sql lost salesforce:mql
        mql/lead/mql: hubspot set stage=mql | stage settled by furthest (HubSpot went back from mql to lead, and no way back applies) base mql lost hubspot:lead
        mql/mql/lead: salesforce set Stage__c=mql | stage settled by furthest (Salesforce went back from mql to lead, and no way back applies) base mql lost salesforce:lead
        mql/lead/lead: stage agreed by agreed (both sides say the same) base lead
        mql/subscriber/lead: hubspot set stage=mql | salesforce set Stage__c=mql | stage settled by furthest (HubSpot went back from mql to subscriber, and no way back applies) base mql lost hubspot:subscriber lost salesforce:lead
        mql/lead/sql: hubspot set stage=sql | stage settled by furthest (HubSpot went back from mql to lead, and no way back applies) base sql lost hubspot:lead
        mql/-/mql: hubspot set stage=mql | stage settled by furthest (HubSpot went back from mql to (blank), and no way back applies) base mql lost hubspot:(blank)
        mql/-/-: stage agreed by agreed (both sides say the same) base (blank)
        ?/lead/mql: hubspot set stage=mql | stage settled by furthest (first meeting: mql is the later stage) base mql lost hubspot:lead
        ?/-/mql: hubspot set stage=mql | stage settled by furthest (first meeting: mql is the later stage) base mql
        "#);
}

#[test]
fn a_one_way_stage_never_moves_its_source() {
    let mut mapping = people();
    mapping.fields[1].direction = Direction::To(Side::Salesforce);
    let table = "lead/mql/lead lead/lead/mql mql/lead/mql lead/sql/mql mql/mql/lead";
    insta::assert_snapshot!(stage_lines(&mapping, table, ("new", "new")), @r#"
        lead/mql/lead: salesforce set Stage__c=mql | stage settled by one side changed (only HubSpot changed) base mql
        lead/lead/mql: stage left by furthest (mql is the later stage, and the field does not flow back) base stays
        mql/lead/mql: stage left by furthest (mql is the later stage, and the field does not flow back) base stays
        lead/sql/mql: salesforce set Stage__c=sql | stage settled by furthest (both changed: sql is the later stage) base sql lost salesforce:mql
        mql/mql/lead: salesforce set Stage__c=mql | stage settled by furthest (Salesforce went back from mql to lead, and no way back applies) base mql lost salesforce:lead
        "#);
}

#[test]
fn a_stage_outside_the_order_is_decided_like_any_field() {
    let table = "lead/other/lead other/other/mql lead/other/mql ?/other/mql";
    insta::assert_snapshot!(stage_lines(&people(), table, ("new", "new")), @r#"
        lead/other/lead: salesforce set Stage__c=other | stage settled by one side changed (only HubSpot changed) base other
        other/other/mql: hubspot set stage=clear, mql | stage settled by one side changed (only Salesforce changed) base mql
        lead/other/mql: stage parked by ask (the mapping asks a person) base stays
        ?/other/mql: stage parked by ask (the mapping asks a person) base stays
        "#);
}

#[test]
fn a_way_back_takes_the_stage_where_the_mapping_says() {
    let mut mapping = people();
    let rule = back("recycled", &["mql", "sql"], Some("lead"), "status == 'recycled'");
    mapping.stages = stages(vec![rule]);
    let table = "sql/sql/sql sql/sql/customer lead/lead/lead mql/lead/mql mql/lead/lead";
    insta::assert_snapshot!(stage_lines(&mapping, table, ("new", "recycled")), @r#"
        sql/sql/sql: hubspot set stage=clear, lead status=recycled | salesforce set Stage__c=lead | stage settled by back recycled (recycled, they said) base lead | status settled by one side changed (only Salesforce changed) base recycled | mark recycled
        sql/sql/customer: hubspot set stage=customer status=recycled | stage settled by one side changed (only Salesforce changed) base customer | status settled by one side changed (only Salesforce changed) base recycled | mark recycled
        lead/lead/lead: hubspot set status=recycled | status settled by one side changed (only Salesforce changed) base recycled | mark recycled
        mql/lead/mql: hubspot set status=recycled | salesforce set Stage__c=lead | stage settled by back recycled (recycled, they said) base lead | status settled by one side changed (only Salesforce changed) base recycled | mark recycled
        mql/lead/lead: hubspot set status=recycled | stage agreed by agreed (both sides say the same) base lead | status settled by one side changed (only Salesforce changed) base recycled | mark recycled
        "#);
    let told = |status: (&str, &str), applied: &[&str]| {
        stage_line(&mapping, "mql/mql/mql", status, applied)
    };
    insta::assert_snapshot!(told(("recycled", "recycled"), &["recycled"]), @"mql/mql/mql: quiet");
    insta::assert_snapshot!(told(("new", "new"), &["recycled"]), @"mql/mql/mql: unmark recycled");
}

#[test]
fn a_way_back_allows_a_persons_edit() {
    let mut mapping = people();
    mapping.stages =
        stages(vec![back("returned", &["sql"], None, "'stage' in changed.salesforce")]);
    let table = "sql/sql/lead sql/lead/sql mql/mql/lead sql/customer/lead sql/-/lead sql/lead/lead";
    insta::assert_snapshot!(stage_lines(&mapping, table, ("new", "new")), @r#"
        sql/sql/lead: hubspot set stage=clear, lead | stage settled by back returned (returned, they said) base lead
        sql/lead/sql: hubspot set stage=sql | stage settled by furthest (HubSpot went back from sql to lead, and no way back applies) base sql lost hubspot:lead
        mql/mql/lead: salesforce set Stage__c=mql | stage settled by furthest (Salesforce went back from mql to lead, and no way back applies) base mql lost salesforce:lead
        sql/customer/lead: salesforce set Stage__c=customer | stage settled by furthest (Salesforce went back from sql to lead, and no way back applies) base customer lost salesforce:lead
        sql/-/lead: hubspot set stage=lead | stage settled by back returned (returned, they said) base lead lost hubspot:(blank)
        sql/lead/lead: stage agreed by agreed (both sides say the same) base lead
        "#);
}

#[test]
fn a_condition_without_an_answer_is_a_reject() {
    let mut mapping = people();
    mapping.stages = stages(vec![back("odd", &[], Some("lead"), "town == 'Ulm'")]);
    insta::assert_snapshot!(stage_line(&mapping, "sql/sql/lead", ("new", "new"), &[]), @"sql/sql/lead: reject back odd the condition of back odd gives no answer: undefined value: `town` is undefined; test for a blank first, as in `score is not none and score > 50`");
    let mut mapping = people();
    mapping.qualifications = vec![qualification("hot", "hubspot.town > 3", None)];
    insta::assert_snapshot!(stage_line(&mapping, "lead/lead/lead", ("new", "new"), &[]), @"lead/lead/lead: reject qualification hot the condition of qualification hot gives no answer: undefined value: `hubspot.town` is undefined; test for a blank first, as in `score is not none and score > 50`");
}

fn qualifying(again: Option<&str>) -> Mapping {
    let mut mapping = people();
    let when = "score is not none and score >= 50";
    mapping.qualifications = vec![qualification("hot", when, again)];
    mapping
}

fn qualified(mapping: &Mapping, stage: &str, score: &str, applied: &[&str]) -> String {
    let mut agreed = base(&[
        ("city", Value::Blank),
        ("stage", Value::text(stage)),
        ("status", Value::text("old")),
        ("owner", Value::Blank),
    ]);
    agreed.applied = applied.iter().map(|rule| ((*rule).to_owned(), now())).collect();
    let h = hubspot(&[("stage", stage), ("status", "old"), ("score", score)]);
    let s = lead(&[("Stage__c", stage), ("Status", "old"), ("Score__c", score)]);
    show(mapping, &agreed, Presence::Here(&h), Presence::Here(&s))
}

#[test]
fn a_qualification_sets_both_sides_once() {
    let mapping = qualifying(None);
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &[]), @"hubspot set stage=mql status=new | salesforce set Stage__c=mql Status=new | stage settled by qualification hot (the score is high) base mql | status settled by qualification hot (the score is high) base new | score agreed by agreed (both sides say the same) base 60 | mark hot");
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &["hot"]), @"score agreed by agreed (both sides say the same) base 60");
    insta::assert_snapshot!(qualified(&mapping, "lead", "40", &[]), @"score agreed by agreed (both sides say the same) base 40");
    insta::assert_snapshot!(qualified(&mapping, "sql", "60", &[]), @"hubspot set status=new | salesforce set Status=new | status settled by qualification hot (the score is high) base new | score agreed by agreed (both sides say the same) base 60 | mark hot");
}

#[test]
fn a_qualification_applies_again_once_for_each_time() {
    let mapping = qualifying(Some("stage == 'lead'"));
    let again = again_mark("hot");
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &[]), @"hubspot set stage=mql status=new | salesforce set Stage__c=mql Status=new | stage settled by qualification hot (the score is high) base mql | status settled by qualification hot (the score is high) base new | score agreed by agreed (both sides say the same) base 60 | mark hot | mark hot (again)");
    insta::assert_snapshot!(qualified(&mapping, "mql", "60", &["hot"]), @"score agreed by agreed (both sides say the same) base 60");
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &["hot"]), @"hubspot set stage=mql status=new | salesforce set Stage__c=mql Status=new | stage settled by qualification hot (the score is high) base mql | status settled by qualification hot (the score is high) base new | score agreed by agreed (both sides say the same) base 60 | mark hot | mark hot (again)");
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &["hot", &again]), @"score agreed by agreed (both sides say the same) base 60");
    insta::assert_snapshot!(qualified(&mapping, "mql", "60", &["hot", &again]), @"score agreed by agreed (both sides say the same) base 60 | unmark hot (again)");
    insta::assert_snapshot!(qualified(&mapping, "lead", "40", &["hot"]), @"score agreed by agreed (both sides say the same) base 40 | unmark hot | mark hot (again)");
}

#[test]
fn a_qualified_lead_is_created_with_what_qualifies_it() {
    let mut mapping = qualifying(None);
    let create = Condition::compile("stage == 'mql'").unwrap();
    mapping.sides.salesforce.create = Create::When(create);
    let told = |score: &str| {
        let h = hubspot(&[("stage", "lead"), ("score", score)]);
        show(&mapping, &Base::default(), Presence::Here(&h), Presence::Never)
    };
    insta::assert_snapshot!(told("60"), @"Create | hubspot set stage=mql status=new | salesforce create(HubSpot_Id__c=101) Score__c=60 Stage__c=mql Status=new | stage settled by qualification hot (the score is high) base mql lost hubspot:lead | status settled by qualification hot (the score is high) base new | score settled by creation (Salesforce has no record yet) base 60 | mark hot");
    insta::assert_snapshot!(told("40"), @r#"None { reason: "Salesforce gets a record only when stage == 'mql'" }"#);
}

#[test]
fn a_rule_that_could_not_set_everything_stays_in_force() {
    let mut mapping = qualifying(None);
    mapping.fields[2].table = Some(Table {
        rows: vec![TableRow {
            key: "old".into(),
            hubspot: Some("old".into()),
            salesforce: Some("old".into()),
        }],
        unlisted: PerSide::default(),
    });
    insta::assert_snapshot!(qualified(&mapping, "lead", "60", &[]), @r#"hubspot set stage=mql | salesforce set Stage__c=mql | stage settled by qualification hot (the score is high) base mql | status settled by qualification hot (the score is high) base stays | score agreed by agreed (both sides say the same) base 60 | reject status HubSpot has no value for "new" in status; add a row for "new" with a value for HubSpot | reject status Salesforce has no value for "new" in status; add a row for "new" with a value for Salesforce"#);
}

#[test]
fn a_base_is_marked_only_when_everything_is_done() {
    let plan = {
        let mapping = qualifying(None);
        let h = hubspot(&[("stage", "lead"), ("score", "60")]);
        let s = lead(&[("Stage__c", "lead"), ("Score__c", "60")]);
        settled(&mapping, &Base::default(), Presence::Here(&h), Presence::Here(&s))
    };
    let none = plan.base_after(&Base::default(), &[].into());
    assert!(none.applied.is_empty());
    assert!(!none.values.contains_key("stage"), "written to both, done on neither");
    assert!(none.values.contains_key("score"), "agreed without a write");
    let one = plan.base_after(&Base::default(), &[Side::HubSpot].into());
    assert!(one.applied.is_empty());
    let both = plan.base_after(&Base::default(), &Side::BOTH.into());
    assert!(both.applied.contains_key("hot"));
    assert_eq!(both.values["stage"], Value::text("mql"));
}
