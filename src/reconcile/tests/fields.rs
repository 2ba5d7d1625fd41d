//! Every cell of the design's table, by direction, blank rule, first meeting and conflict rule.

use crate::mapping::*;
use crate::reconcile::testing::*;
use crate::reconcile::*;
use crate::record::*;

type Change = fn(&mut Field);

/// Settles one field between base, HubSpot's and Salesforce's value; `-` is a blank, no base a
/// first meeting.
fn one(kind: Kind, change: Change, table: &str) -> String {
    let mut of = field("city", "city", "City", kind.clone());
    change(&mut of);
    let mapping = mapping(vec![of]);
    let mut lines = Vec::new();
    for row in table.split_whitespace() {
        let cells: Vec<&str> =
            row.split('/').map(|cell| if cell == "-" { "" } else { cell }).collect();
        let [agreed, h, s] = cells[..] else { panic!("{row} has not three cells") };
        let value = |text: &str| match &kind {
            _ if text.is_empty() => Value::Blank,
            Kind::Number => Value::Number(Number::new(text.parse().unwrap()).unwrap()),
            Kind::Bool => Value::Bool(text == "true"),
            Kind::Date => Value::Date(text.parse().unwrap()),
            _ => Value::text(text),
        };
        let base = match agreed {
            "?" => Base::default(),
            agreed => base(&[("city", value(agreed))]),
        };
        let (h, s) = (hubspot(&[("city", h)]), lead(&[("City", s)]));
        let line = show(&mapping, &base, Presence::Here(&h), Presence::Here(&s));
        lines.push(format!("{row}: {line}"));
    }
    lines.join("\n")
}

/// Equal, one side changed, both changed alike, both changed differently.
const CELLS: &str = "a/a/a a/b/a a/a/b a/b/b a/b/c";
const BLANKS: &str = "a/-/a a/a/- a/-/- a/-/b a/b/- -/a/- -/-/a";
const FIRST: &str = "?/a/a ?/a/b ?/a/- ?/-/a ?/-/-";

fn to_salesforce(field: &mut Field) {
    field.direction = Direction::To(Side::Salesforce);
}

fn to_hubspot(field: &mut Field) {
    field.direction = Direction::To(Side::HubSpot);
}

fn clears(field: &mut Field) {
    for side in Side::BOTH {
        if let Some(place) = field.sides.get_mut(side) {
            place.blank = BlankRule::Clear;
        }
    }
}

#[test]
fn both_ways() {
    insta::assert_snapshot!(one(Kind::Text, |_| {}, CELLS), @r#"
        a/a/a: quiet
        a/b/a: salesforce set City=b | city settled by one side changed (only HubSpot changed) base b
        a/a/b: hubspot set city=b | city settled by one side changed (only Salesforce changed) base b
        a/b/b: city agreed by agreed (both sides say the same) base b
        a/b/c: city parked by ask (the mapping asks a person) base stays
        "#);
}

#[test]
fn one_way_restores_far_edits() {
    insta::assert_snapshot!(one(Kind::Text, to_salesforce, CELLS), @r#"
        a/a/a: quiet
        a/b/a: salesforce set City=b | city settled by one side changed (only HubSpot changed) base b
        a/a/b: salesforce set City=a | city settled by direction (edited in Salesforce, and the field flows to Salesforce only) base a lost salesforce:b
        a/b/b: city agreed by agreed (both sides say the same) base b
        a/b/c: salesforce set City=b | city settled by direction (both changed, and the field flows to Salesforce only) base b lost salesforce:c
        "#);
    insta::assert_snapshot!(one(Kind::Text, to_hubspot, CELLS), @r#"
        a/a/a: quiet
        a/b/a: hubspot set city=a | city settled by direction (edited in HubSpot, and the field flows to HubSpot only) base a lost hubspot:b
        a/a/b: hubspot set city=b | city settled by one side changed (only Salesforce changed) base b
        a/b/b: city agreed by agreed (both sides say the same) base b
        a/b/c: hubspot set city=c | city settled by direction (both changed, and the field flows to HubSpot only) base c lost hubspot:b
        "#);
}

#[test]
fn one_way_leaves_far_edits() {
    let change: Change = |field| {
        to_salesforce(field);
        field.far_edit = FarEdit::Leave;
    };
    insta::assert_snapshot!(one(Kind::Text, change, CELLS), @r#"
        a/a/a: quiet
        a/b/a: salesforce set City=b | city settled by one side changed (only HubSpot changed) base b
        a/a/b: city left by far edit (Salesforce's edit stays until HubSpot changes) base stays
        a/b/b: city agreed by agreed (both sides say the same) base b
        a/b/c: salesforce set City=b | city settled by direction (both changed, and the field flows to Salesforce only) base b lost salesforce:c
        "#);
}

#[test]
fn read_only() {
    let change: Change = |field| field.direction = Direction::Read;
    insta::assert_snapshot!(one(Kind::Text, change, CELLS), @r#"
        a/a/a: quiet
        a/b/a: city left by direction (the field is only read) base stays
        a/a/b: city left by direction (the field is only read) base stays
        a/b/b: city agreed by agreed (both sides say the same) base b
        a/b/c: city left by direction (the field is only read) base stays
        "#);
}

#[test]
fn a_blank_without_an_opinion() {
    insta::assert_snapshot!(one(Kind::Text, |_| {}, BLANKS), @r#"
        a/-/a: city left by blank (HubSpot is blank, which is no opinion) base stays
        a/a/-: city left by blank (Salesforce is blank, which is no opinion) base stays
        a/-/-: city agreed by agreed (both sides say the same) base (blank)
        a/-/b: hubspot set city=b | city settled by one side changed (only Salesforce changed) base b lost hubspot:(blank)
        a/b/-: salesforce set City=b | city settled by one side changed (only HubSpot changed) base b lost salesforce:(blank)
        -/a/-: salesforce set City=a | city settled by one side changed (only HubSpot changed) base a
        -/-/a: hubspot set city=a | city settled by one side changed (only Salesforce changed) base a
        "#);
    insta::assert_snapshot!(one(Kind::Text, to_salesforce, BLANKS), @r#"
        a/-/a: city left by blank (HubSpot is blank, which is no opinion) base stays
        a/a/-: salesforce set City=a | city settled by direction (edited in Salesforce, and the field flows to Salesforce only) base a lost salesforce:(blank)
        a/-/-: city agreed by agreed (both sides say the same) base (blank)
        a/-/b: city left by blank (HubSpot is blank, which is no opinion) base stays
        a/b/-: salesforce set City=b | city settled by direction (both changed, and the field flows to Salesforce only) base b lost salesforce:(blank)
        -/a/-: salesforce set City=a | city settled by one side changed (only HubSpot changed) base a
        -/-/a: city left by blank (HubSpot is blank, which is no opinion) base stays
        "#);
}

#[test]
fn a_blank_that_clears() {
    insta::assert_snapshot!(one(Kind::Text, clears, BLANKS), @r#"
        a/-/a: salesforce set City=null | city settled by one side changed (only HubSpot changed) base (blank)
        a/a/-: hubspot set city=null | city settled by one side changed (only Salesforce changed) base (blank)
        a/-/-: city agreed by agreed (both sides say the same) base (blank)
        a/-/b: city parked by ask (the mapping asks a person) base stays
        a/b/-: city parked by ask (the mapping asks a person) base stays
        -/a/-: salesforce set City=a | city settled by one side changed (only HubSpot changed) base a
        -/-/a: hubspot set city=a | city settled by one side changed (only Salesforce changed) base a
        "#);
    let change: Change = |field| {
        clears(field);
        to_salesforce(field);
    };
    insta::assert_snapshot!(one(Kind::Text, change, BLANKS), @r#"
        a/-/a: salesforce set City=null | city settled by one side changed (only HubSpot changed) base (blank)
        a/a/-: salesforce set City=a | city settled by direction (edited in Salesforce, and the field flows to Salesforce only) base a lost salesforce:(blank)
        a/-/-: city agreed by agreed (both sides say the same) base (blank)
        a/-/b: salesforce set City=null | city settled by direction (both changed, and the field flows to Salesforce only) base (blank) lost salesforce:b
        a/b/-: salesforce set City=b | city settled by direction (both changed, and the field flows to Salesforce only) base b lost salesforce:(blank)
        -/a/-: salesforce set City=a | city settled by one side changed (only HubSpot changed) base a
        -/-/a: salesforce set City=null | city settled by direction (edited in Salesforce, and the field flows to Salesforce only) base (blank) lost salesforce:a
        "#);
}

#[test]
fn a_first_meeting() {
    insta::assert_snapshot!(one(Kind::Text, |_| {}, FIRST), @r#"
        ?/a/a: city agreed by agreed (both sides say the same) base a
        ?/a/b: city parked by ask (the mapping asks a person) base stays
        ?/a/-: salesforce set City=a | city settled by first meeting (Salesforce is blank) base a
        ?/-/a: hubspot set city=a | city settled by first meeting (HubSpot is blank) base a
        ?/-/-: city agreed by agreed (both sides say the same) base (blank)
        "#);
    let prefers: Change = |field| field.first = vec![Rule::Salesforce];
    insta::assert_snapshot!(one(Kind::Text, prefers, FIRST), @r#"
        ?/a/a: city agreed by agreed (both sides say the same) base a
        ?/a/b: hubspot set city=b | city settled by salesforce (first meeting: the mapping prefers Salesforce) base b lost hubspot:a
        ?/a/-: salesforce set City=a | city settled by first meeting (Salesforce is blank) base a
        ?/-/a: hubspot set city=a | city settled by first meeting (HubSpot is blank) base a
        ?/-/-: city agreed by agreed (both sides say the same) base (blank)
        "#);
    insta::assert_snapshot!(one(Kind::Text, to_salesforce, FIRST), @r#"
        ?/a/a: city agreed by agreed (both sides say the same) base a
        ?/a/b: salesforce set City=a | city settled by first meeting (the field flows to Salesforce only) base a lost salesforce:b
        ?/a/-: salesforce set City=a | city settled by first meeting (the field flows to Salesforce only) base a
        ?/-/a: city left by blank (HubSpot is blank, which is no opinion) base stays
        ?/-/-: city agreed by agreed (both sides say the same) base (blank)
        "#);
    let clearing: Change = |field| {
        clears(field);
        to_salesforce(field);
    };
    insta::assert_snapshot!(one(Kind::Text, clearing, FIRST), @r#"
        ?/a/a: city agreed by agreed (both sides say the same) base a
        ?/a/b: salesforce set City=a | city settled by first meeting (the field flows to Salesforce only) base a lost salesforce:b
        ?/a/-: salesforce set City=a | city settled by first meeting (the field flows to Salesforce only) base a
        ?/-/a: city left by blank (HubSpot is blank, which is no opinion) base stays
        ?/-/-: city agreed by agreed (both sides say the same) base (blank)
        "#);
}

#[test]
fn each_rule_on_a_conflict() {
    let told = |rules: &[Rule], kind: Kind, row: &str| {
        let mut of = field("city", "city", "City", kind.clone());
        of.rules = rules.to_vec();
        let mapping = mapping(vec![of]);
        let cells: Vec<&str> = row.split('/').collect();
        let (h, s) = (hubspot(&[("city", cells[1])]), lead(&[("City", cells[2])]));
        let plan = settled(
            &mapping,
            &base(&[("city", Value::text(cells[0]))]),
            Presence::Here(&h),
            Presence::Here(&s),
        );
        format!("{rules:?} {row}: {}", line(&plan))
    };
    let lines = [
        told(&[Rule::HubSpot], Kind::Text, "a/b/c"),
        told(&[Rule::Salesforce, Rule::HubSpot], Kind::Text, "a/b/c"),
        told(&[Rule::Highest], Kind::Number, "1/20/3"),
        told(&[Rule::Lowest], Kind::Number, "1/20/3"),
        told(&[Rule::Highest], Kind::Bool, "x/false/true"),
        told(&[Rule::Highest], Kind::Date, "x/2026-01-02/2026-02-01"),
        told(&[Rule::Highest, Rule::Salesforce], Kind::Text, "a/b/c"),
        told(&[Rule::Furthest, Rule::Newest], Kind::Text, "a/b/c"),
        told(&[Rule::Ask, Rule::HubSpot], Kind::Text, "a/b/c"),
        told(&[], Kind::Text, "a/b/c"),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
        [HubSpot] a/b/c: salesforce set City=b | city settled by hubspot (both changed: the mapping prefers HubSpot) base b lost salesforce:c
        [Salesforce, HubSpot] a/b/c: hubspot set city=c | city settled by salesforce (both changed: the mapping prefers Salesforce) base c lost hubspot:b
        [Highest] 1/20/3: salesforce set City=20 | city settled by highest (both changed: 20 is more than 3) base 20 lost salesforce:3
        [Lowest] 1/20/3: hubspot set city=3 | city settled by lowest (both changed: 3 is less than 20) base 3 lost hubspot:20
        [Highest] x/false/true: hubspot set city=true | city settled by highest (both changed: yes is more than no) base yes lost hubspot:no
        [Highest] x/2026-01-02/2026-02-01: hubspot set city=2026-02-01 | city settled by highest (both changed: 2026-02-01 is more than 2026-01-02) base 2026-02-01 lost hubspot:2026-01-02
        [Highest, Salesforce] a/b/c: hubspot set city=c | city settled by salesforce (both changed: the mapping prefers Salesforce) base c lost hubspot:b
        [Furthest, Newest] a/b/c: city parked by ask (furthest has no opinion: the field holds no stage; newest has no opinion: a side does not tell when its value was set) base stays
        [Ask, HubSpot] a/b/c: city parked by ask (the mapping asks a person) base stays
        [] a/b/c: city parked by ask (the mapping names no rule) base stays
        "#);
}

#[test]
fn newest_needs_a_proof() {
    let mut of = field("city", "city", "City", Kind::Text);
    of.rules = vec![Rule::Newest];
    let mapping = mapping(vec![of]);
    let told = |h_at: Option<(i64, bool)>, s_at: Option<(i64, bool)>| {
        let (mut h, mut s) = (hubspot(&[("city", "b")]), lead(&[("City", "c")]));
        let stamp = |record: &mut Record, name: &str, at: Option<(i64, bool)>| {
            let Some((seconds, exact)) = at else { return };
            let at = now() + jiff::SignedDuration::from_secs(seconds);
            if exact {
                record.stamps.insert(name.into(), Stamp { at, exact, by: None });
            } else {
                record.modified = Some(at);
            }
        };
        stamp(&mut h, "city", h_at);
        stamp(&mut s, "City", s_at);
        let plan =
            settled(&mapping, &text_base("city", "a"), Presence::Here(&h), Presence::Here(&s));
        format!("{h_at:?} {s_at:?}: {}", line(&plan))
    };
    let lines = [
        told(Some((10, true)), Some((0, true))),
        told(Some((0, true)), Some((10, true))),
        told(Some((5, true)), Some((0, true))),
        told(Some((10, true)), Some((0, false))),
        told(Some((0, true)), Some((10, false))),
        told(Some((10, false)), Some((0, false))),
        told(Some((10, false)), Some((0, true))),
        told(None, Some((0, true))),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
        Some((10, true)) Some((0, true)): salesforce set City=b | city settled by newest (both changed: HubSpot changed it at 2026-11-22T12:00:10Z, Salesforce at 2026-11-22T12:00:00Z) base b lost salesforce:c
        Some((0, true)) Some((10, true)): hubspot set city=c | city settled by newest (both changed: Salesforce changed it at 2026-11-22T12:00:10Z, HubSpot at 2026-11-22T12:00:00Z) base c lost hubspot:b
        Some((5, true)) Some((0, true)): city parked by ask (newest has no opinion: the changes are 5s apart, and up to 5s is no reason) base stays
        Some((10, true)) Some((0, false)): salesforce set City=b | city settled by newest (both changed: HubSpot changed it at 2026-11-22T12:00:10Z, Salesforce not after 2026-11-22T12:00:00Z) base b lost salesforce:c
        Some((0, true)) Some((10, false)): city parked by ask (newest has no opinion: Salesforce only says that the record was modified at 2026-11-22T12:00:10Z, and the field may have changed earlier) base stays
        Some((10, false)) Some((0, false)): city parked by ask (newest has no opinion: HubSpot only says that the record was modified at 2026-11-22T12:00:10Z, and the field may have changed earlier) base stays
        Some((10, false)) Some((0, true)): city parked by ask (newest has no opinion: HubSpot only says that the record was modified at 2026-11-22T12:00:10Z, and the field may have changed earlier) base stays
        None Some((0, true)): city parked by ask (newest has no opinion: a side does not tell when its value was set) base stays
        "#);
}

#[test]
fn small_moves_are_quiet() {
    let change: Change = |field| {
        let number = Number::from;
        field.quiet = Some(Quiet { band: number(5), thresholds: vec![number(50)] });
        field.rules = vec![Rule::Highest];
    };
    let table = "40/44/40 40/45/40 48/52/48 40/43/37 40/44/50 40/46/36 ?/40/41";
    insta::assert_snapshot!(one(Kind::Number, change, table), @r#"
        40/44/40: city left by quiet (a move of less than 5 is not worth a write) base stays
        40/45/40: salesforce set City=45 | city settled by one side changed (only HubSpot changed) base 45
        48/52/48: salesforce set City=52 | city settled by one side changed (only HubSpot changed) base 52
        40/43/37: city left by quiet (a move of less than 5 is not worth a write) base stays
        40/44/50: hubspot set city=50 | city settled by one side changed (only Salesforce changed) base 50 lost hubspot:44
        40/46/36: salesforce set City=46 | city settled by one side changed (only HubSpot changed) base 46 lost salesforce:36
        ?/40/41: city parked by ask (the mapping asks a person) base stays
        "#);
    let one_way: Change = |field| {
        to_salesforce(field);
        field.quiet = Some(Quiet { band: Number::from(5), thresholds: Vec::new() });
    };
    insta::assert_snapshot!(one(Kind::Number, one_way, "40/44/40 40/44/42 40/45/40"), @r#"
        40/44/40: city left by quiet (a move of less than 5 is not worth a write) base stays
        40/44/42: salesforce set City=44 | city settled by direction (both changed, and the field flows to Salesforce only) base 44 lost salesforce:42
        40/45/40: salesforce set City=45 | city settled by one side changed (only HubSpot changed) base 45
        "#);
}

#[test]
fn a_table_compares_groups_only() {
    let row = |key: &str, hubspot: &str, salesforce: &str| TableRow {
        key: key.into(),
        hubspot: Some(hubspot.into()),
        salesforce: Some(salesforce.into()),
    };
    let mut of = field("city", "city", "City", Kind::Choice);
    of.table = Some(Table {
        rows: vec![
            row("open", "NEW", "Open"),
            row("working", "CONNECTED", "Working"),
            row("working", "ATTEMPTED", "Working"),
        ],
        unlisted: PerSide::default(),
    });
    let mapping = mapping(vec![of]);
    let told = |agreed: &str, h: &str, s: &str| {
        let base = text_base("city", agreed);
        let (h, s) = (hubspot(&[("city", h)]), lead(&[("City", s)]));
        show(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
    };
    insta::assert_snapshot!(told("working", "ATTEMPTED", "Working"), @"quiet");
    insta::assert_snapshot!(told("open", "ATTEMPTED", "Open"), @"salesforce set City=Working | city settled by one side changed (only HubSpot changed) base working");
    insta::assert_snapshot!(told("working", "ATTEMPTED", "Open"), @"hubspot set city=NEW | city settled by one side changed (only Salesforce changed) base open");
    insta::assert_snapshot!(told("open", "ATTEMPTED", "Working"), @"city agreed by agreed (both sides say the same) base working");
    insta::assert_snapshot!(told("open", "ODD", "Working"), @r#"reject city HubSpot says "ODD", which the values of city do not list; add "ODD" to the field's values, or say what an unlisted value does"#);
}

#[test]
fn an_owner_who_is_nobody_across_stays_where_the_mapping_says_so() {
    let mut owner = field("owner", "owner_id", "OwnerId", Kind::Owner);
    owner.first = vec![Rule::Salesforce];
    let mut mapping = mapping(vec![owner]);
    let mut told = |unknown, agreed: Option<&str>, h: &str, s: &str| {
        mapping.unknown_owner = unknown;
        let base = agreed.map_or_else(Base::default, |email| text_base("owner", email));
        let (h, s) = (hubspot(&[("owner_id", h)]), lead(&[("OwnerId", s)]));
        show(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
    };
    use UnknownOwner::{Leave, Reject};
    let ann = Some("ann@example.com");
    insta::assert_snapshot!(told(Reject, None, "", "005I"), @"owner settled by first meeting (HubSpot is blank) base stays | reject owner nobody in HubSpot has the owner's e-mail address; create the person in HubSpot, or give the record to someone who is in both");
    insta::assert_snapshot!(told(Leave, None, "", "005I"), @"owner left by owner unknown (nobody in HubSpot has the address of Salesforce's owner, who stays) base stays | note owner: nobody in HubSpot has the address of Salesforce's owner, who stays");
    insta::assert_snapshot!(told(Leave, None, "1", "005I"), @"owner left by owner unknown (nobody in HubSpot has the address of Salesforce's owner, who stays) base stays | note owner: nobody in HubSpot has the address of Salesforce's owner, who stays");
    insta::assert_snapshot!(told(Leave, ann, "1", "005I"), @"owner left by owner unknown (nobody in HubSpot has the address of Salesforce's owner, who stays) base stays | note owner: nobody in HubSpot has the address of Salesforce's owner, who stays");
    insta::assert_snapshot!(told(Leave, ann, "2", "005A"), @"salesforce set OwnerId=005B | owner settled by one side changed (only HubSpot changed) base bob@example.com");
    insta::assert_snapshot!(told(Leave, ann, "3", "005A"), @"owner settled by one side changed (only HubSpot changed) base stays | reject owner the owner is inactive in Salesforce; give the record to an active person");
}

#[test]
fn owners_and_links_stand_aside_or_are_refused() {
    let deal = Kind::Link { mapping: "companies".into() };
    let mapping = mapping(vec![
        field("owner", "owner_id", "OwnerId", Kind::Owner),
        field("company", "company_id", "AccountId", deal),
    ]);
    let told = |owners: (&str, &str), companies: (&str, &str)| {
        let base =
            base(&[("owner", Value::text("ann@example.com")), ("company", Value::text("L7"))]);
        let h = hubspot(&[("owner_id", owners.0), ("company_id", companies.0)]);
        let s = lead(&[("OwnerId", owners.1), ("AccountId", companies.1)]);
        show(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
    };
    insta::assert_snapshot!(told(("1", "005A"), ("c7", "001A7")), @"quiet");
    insta::assert_snapshot!(told(("2", "005A"), ("c7", "001A7")), @"salesforce set OwnerId=005B | owner settled by one side changed (only HubSpot changed) base bob@example.com");
    insta::assert_snapshot!(told(("3", "005A"), ("c7", "001A7")), @"owner settled by one side changed (only HubSpot changed) base stays | reject owner the owner is inactive in Salesforce; give the record to an active person");
    insta::assert_snapshot!(told(("2", "00G2"), ("c7", "001A7")), @"note owner: it belongs to the queue Spam, which is left alone");
    insta::assert_snapshot!(told(("2", "00G1"), ("c7", "001A7")), @"salesforce set OwnerId=005B | owner settled by one side changed (only HubSpot changed) base bob@example.com");
    insta::assert_snapshot!(told(("1", "005A"), ("c8", "001A7")), @"company settled by one side changed (only HubSpot changed) base stays | reject company L8 of companies has no record in Salesforce yet; it follows once companies has linked it");
    insta::assert_snapshot!(told(("1", "005A"), ("c9", "001A7")), @"note company: c9 is not linked by companies yet");
}

#[test]
fn a_person_resolves_a_parked_field() {
    let mapping = mapping(vec![field("city", "city", "City", Kind::Text)]);
    let told = |resolution: Option<Resolution>, h: &str, s: &str| {
        let (h, s) = (hubspot(&[("city", h)]), lead(&[("City", s)]));
        let base = text_base("city", "a");
        let parked = settled(&mapping, &base, Presence::Here(&h), Presence::Here(&s));
        let mut open = parked.conflicts;
        for conflict in open.values_mut() {
            conflict.resolution = resolution.clone();
        }
        let linked = linked();
        let plan = settle(&Situation {
            mapping: &mapping,
            link: Some(LinkId(1)),
            linked: &linked,
            base: &base,
            present: PerSide { hubspot: Presence::Here(&h), salesforce: Presence::Here(&s) },
            open: &open,
            directory: &Account,
            now: now() + jiff::SignedDuration::from_hours(1),
        });
        let since = plan.conflicts.get("city").map(|conflict| conflict.since);
        if let Some(since) = since {
            assert_eq!(since, now(), "it stays open since it was parked");
        }
        format!("{} | open {}", line(&plan), since.is_some())
    };
    insta::assert_snapshot!(told(None, "b", "c"), @"city parked by ask (the mapping asks a person) base stays | open true");
    insta::assert_snapshot!(told(Some(Resolution::Take(Side::HubSpot)), "b", "c"), @"salesforce set City=b | city settled by person (a person took HubSpot's value) base b lost salesforce:c | open false");
    insta::assert_snapshot!(told(Some(Resolution::Take(Side::Salesforce)), "b", "c"), @"hubspot set city=c | city settled by person (a person took Salesforce's value) base c lost hubspot:b | open false");
    insta::assert_snapshot!(told(Some(Resolution::Set(Value::text("d"))), "b", "c"), @"hubspot set city=d | salesforce set City=d | city settled by person (a person set another value) base d lost hubspot:b lost salesforce:c | open false");
    insta::assert_snapshot!(told(Some(Resolution::Set(Value::Bool(true))), "b", "c"), @"hubspot set city=yes | salesforce set City=yes | city settled by person (a person set another value) base yes lost hubspot:b lost salesforce:c | open false");
}

#[test]
fn a_contact_that_lacks_a_field_says_nothing_about_it() {
    let mut company = field("company", "company", "Company", Kind::Text);
    if let Some(place) = &mut company.sides.salesforce {
        place.names.remove("Contact");
    }
    let mapping = mapping(vec![company]);
    let h = hubspot(&[("company", "Acme")]);
    let mut contact = lead(&[]);
    contact.key = RecordRef::salesforce("Contact", "003");
    let linked = PerSide { hubspot: Some(h.key.clone()), salesforce: Some(contact.key.clone()) };
    let mut h = h;
    h.fields.insert("sf_id".into(), Raw::text("003"));
    let plan = settle(&Situation {
        mapping: &mapping,
        link: Some(LinkId(1)),
        linked: &linked,
        base: &text_base("company", "Old"),
        present: PerSide { hubspot: Presence::Here(&h), salesforce: Presence::Here(&contact) },
        open: &Default::default(),
        directory: &Account,
        now: now(),
    });
    insta::assert_snapshot!(line(&plan), @"company agreed by read (only one side has the field) base Acme");
}
