//! Properties that hold for every mapping and every situation.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::mapping::*;
use crate::reconcile::testing::*;
use crate::reconcile::*;
use crate::record::*;

const CITIES: [&str; 4] = ["", "Bonn", "Ulm", "Kiel"];
const STATUSES: [&str; 4] = ["", "new", "working", "recycled"];
const SCORES: [&str; 5] = ["", "40", "43", "60", "63"];
const OWNERS: PerSide<[&str; 4]> =
    PerSide { hubspot: ["", "1", "2", "3"], salesforce: ["", "005A", "005B", "00G2"] };

/// One cell for each field: city, stage, status, score, owner.
type Row = [usize; 5];

#[derive(Debug, Clone)]
struct World {
    base: Option<[Option<usize>; 5]>,
    hubspot: Row,
    salesforce: Option<Row>,
    directions: [Direction; 5],
    blanks: [BlankRule; 2],
    far_edit: FarEdit,
    rules: Vec<Rule>,
    first: Vec<Rule>,
    quiet: bool,
    applied: bool,
    modified: (i64, i64),
}

fn row() -> impl Strategy<Value = Row> {
    [0..4usize, 0..6usize, 0..4usize, 0..5usize, 0..4usize]
}

fn world() -> impl Strategy<Value = World> {
    let direction = || {
        prop_oneof![
            3 => Just(Direction::Both),
            1 => Just(Direction::To(Side::HubSpot)),
            1 => Just(Direction::To(Side::Salesforce)),
            1 => Just(Direction::Read),
        ]
    };
    let blank = || prop_oneof![Just(BlankRule::Ignore), Just(BlankRule::Clear)];
    let rules = || prop::collection::vec(prop::sample::select(Rule::ALL.to_vec()), 0..3);
    let base = prop::option::of([
        prop::option::of(0..4usize),
        prop::option::of(0..6usize),
        prop::option::of(0..4usize),
        prop::option::of(0..5usize),
        prop::option::of(0..3usize),
    ]);
    (
        (base, row(), prop::option::weighted(0.9, row())),
        prop::array::uniform5(direction()),
        [blank(), blank()],
        prop_oneof![Just(FarEdit::Restore), Just(FarEdit::Leave)],
        (rules(), rules()),
        (any::<bool>(), any::<bool>(), (0..20i64, 0..20i64)),
    )
        .prop_map(|(values, directions, blanks, far_edit, (rules, first), more)| World {
            base: values.0,
            hubspot: values.1,
            salesforce: values.2,
            directions,
            blanks,
            far_edit,
            rules,
            first,
            quiet: more.0,
            applied: more.1,
            modified: more.2,
        })
}

fn stage(index: usize) -> &'static str {
    if index == 0 { "" } else { STAGES[index - 1] }
}

impl World {
    fn mapping(&self) -> Mapping {
        let mut mapping = people();
        for (field, direction) in mapping.fields.iter_mut().zip(self.directions) {
            field.direction = direction;
            field.far_edit = self.far_edit;
            field.rules = self.rules.clone();
            field.first = self.first.clone();
            for (side, blank) in Side::BOTH.into_iter().zip(self.blanks) {
                if let Some(place) = field.sides.get_mut(side) {
                    place.blank = blank;
                }
            }
        }
        if self.quiet {
            let quiet = Quiet { band: Number::from(5), thresholds: vec![Number::from(50)] };
            mapping.fields[3].quiet = Some(quiet);
        }
        let when = |source: &str| Condition::compile(source).unwrap();
        mapping.stages = stages(vec![
            BackRule {
                name: "recycled".into(),
                from: ["mql".to_owned(), "sql".to_owned()].into(),
                to: Some("lead".into()),
                when: when("status == 'recycled'"),
                reason: "recycled".into(),
            },
            BackRule {
                name: "returned".into(),
                from: Default::default(),
                to: None,
                when: when("'stage' in changed.salesforce"),
                reason: "returned".into(),
            },
        ]);
        mapping.qualifications = vec![Qualification {
            name: "hot".into(),
            when: when("score is not none and score >= 50"),
            set: [("stage".to_owned(), Value::text("mql"))].into(),
            reason: "hot".into(),
            again: Some(when("score is none or score < 50")),
        }];
        mapping
    }

    fn start(&self) -> State {
        let hubspot = |row: &Row| {
            let mut record = hubspot(&[
                ("city", CITIES[row[0]]),
                ("stage", stage(row[1])),
                ("status", STATUSES[row[2]]),
                ("score", SCORES[row[3]]),
                ("owner_id", OWNERS.hubspot[row[4]]),
            ]);
            record.modified = Some(now() + jiff::SignedDuration::from_secs(self.modified.0));
            record.stamps.insert(
                "city".into(),
                Stamp { at: record.modified.unwrap_or_default(), exact: true, by: None },
            );
            record
        };
        let lead = |row: &Row| {
            let mut record = lead(&[
                ("City", CITIES[row[0]]),
                ("Stage__c", stage(row[1])),
                ("Status", STATUSES[row[2]]),
                ("Score__c", SCORES[row[3]]),
                ("OwnerId", OWNERS.salesforce[row[4]]),
            ]);
            record.modified = Some(now() + jiff::SignedDuration::from_secs(self.modified.1));
            record
        };
        let mut base = Base::default();
        if let (Some(values), Some(_)) = (&self.base, &self.salesforce) {
            let owners = ["", "ann@example.com", "bob@example.com"];
            let number = |text: &str| {
                text.parse().ok().and_then(Number::new).map_or(Value::Blank, Value::Number)
            };
            let named = [
                ("city", values[0].map(|index| Value::text(CITIES[index]))),
                ("stage", values[1].map(|index| Value::text(stage(index)))),
                ("status", values[2].map(|index| Value::text(STATUSES[index]))),
                ("score", values[3].map(|index| number(SCORES[index]))),
                ("owner", values[4].map(|index| Value::text(owners[index]))),
            ];
            for (name, value) in named {
                base.values.extend(value.map(|value| (name.to_owned(), value)));
            }
            if self.applied {
                base.applied.insert("hot".into(), now());
                base.applied.insert("recycled".into(), now());
            }
        }
        State {
            hubspot: hubspot(&self.hubspot),
            salesforce: self.salesforce.as_ref().map(lead),
            base,
            open: BTreeMap::new(),
        }
    }
}

/// Both sides as they stand, and what is remembered.
struct State {
    hubspot: Record,
    salesforce: Option<Record>,
    base: Base,
    open: BTreeMap<String, OpenConflict>,
}

impl State {
    fn settle(&self, mapping: &Mapping) -> Plan {
        let both = self.salesforce.is_some();
        let linked = if both { linked() } else { PerSide::default() };
        settle(&Situation {
            mapping,
            link: both.then_some(LinkId(1)),
            linked: &linked,
            base: &self.base,
            present: PerSide {
                hubspot: Presence::Here(&self.hubspot),
                salesforce: self.salesforce.as_ref().map_or(Presence::Never, Presence::Here),
            },
            open: &self.open,
            directory: &Account,
            now: now(),
        })
    }

    /// Every write takes effect.
    fn carry_out(&mut self, plan: &Plan) {
        if let Some(write) = &plan.writes.hubspot {
            self.hubspot.fields.extend(write.fields.clone());
        }
        if let Some(write) = &plan.writes.salesforce {
            let record = self.salesforce.get_or_insert_with(|| lead(&[]));
            record.fields.extend(write.fields.clone());
        }
        self.base = plan.base_after(&self.base, &Side::BOTH.into());
        self.open = plan.conflicts.clone();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn settling_twice_writes_nothing_the_second_time(world in world()) {
        let mapping = world.mapping();
        let mut state = world.start();
        let first = state.settle(&mapping);
        state.carry_out(&first);
        let second = state.settle(&mapping);
        prop_assert!(second.is_quiet(), "{}\nthen {}", line(&first), line(&second));
        let remembered = state.base.clone();
        state.carry_out(&second);
        let third = state.settle(&mapping);
        prop_assert!(third.is_quiet(), "{}", line(&third));
        if world.salesforce.is_some() {
            prop_assert_eq!(&remembered.values, &state.base.values, "the base comes to rest");
        }
    }

    #[test]
    fn both_sides_agree_or_the_plan_names_the_field(world in world()) {
        let mapping = world.mapping();
        let mut state = world.start();
        let first = state.settle(&mapping);
        state.carry_out(&first);
        let plan = state.settle(&mapping);
        let Some(salesforce) = &state.salesforce else { return Ok(()) };
        for field in &mapping.fields {
            let read = |side: Side, record: &Record| {
                let place = field.sides.get(side).as_ref().unwrap();
                let name = place.name(&record.key.object).unwrap();
                let raw = record.get(name);
                field.read(&mapping, side, &record.key.object, raw, &Account)
            };
            if read(Side::HubSpot, &state.hubspot) == read(Side::Salesforce, salesforce) {
                continue;
            }
            let left = plan.decisions.iter().any(|decision| {
                decision.field == field.name && decision.verdict == Verdict::LeftAlone
            });
            let named = left
                || plan.conflicts.contains_key(&field.name)
                || plan.rejects.iter().any(|reject| reject.field == field.name)
                || plan.notes.iter().any(|note| note.starts_with(field.name.as_str()));
            prop_assert!(named, "{} is not named in {}", field.name, line(&plan));
        }
    }

    #[test]
    fn writes_differ_from_what_is_held_and_losers_are_named(world in world()) {
        let mapping = world.mapping();
        let state = world.start();
        let plan = state.settle(&mapping);
        for decision in &plan.decisions {
            for side in &decision.written_to {
                let Verdict::Settled(value) = &decision.verdict else {
                    return Err(TestCaseError::fail("written without a decision"));
                };
                prop_assert_ne!(decision.values.get(*side).as_ref(), Some(value));
                let old = decision.values.get(*side).as_ref();
                let edited = old.is_some_and(|old| match &decision.base {
                    Some(base) => base != old,
                    None => !old.is_blank(),
                });
                prop_assert_eq!(edited, decision.lost.contains_key(side));
            }
        }
    }

    #[test]
    fn mirrored_sides_get_a_mirrored_plan(
        rows in (0..4usize, 0..4usize, prop::option::of(0..4usize)),
        clear in any::<bool>(),
        highest in any::<bool>(),
    ) {
        let mut of = field("city", "city", "City", Kind::Number);
        of.rules = vec![if highest { Rule::Highest } else { Rule::Lowest }];
        of.first = of.rules.clone();
        if clear {
            for side in Side::BOTH {
                if let Some(place) = of.sides.get_mut(side) {
                    place.blank = BlankRule::Clear;
                }
            }
        }
        let mapping = mapping(vec![of]);
        let text = |index: usize| ["", "1", "2", "3"][index];
        let base = rows.2.map_or_else(Base::default, |index| {
            let value = text(index).parse().ok().and_then(Number::new);
            base(&[("city", value.map_or(Value::Blank, Value::Number))])
        });
        let plan = |h: usize, s: usize| {
            let (h, s) = (hubspot(&[("city", text(h))]), lead(&[("City", text(s))]));
            settled(&mapping, &base, Presence::Here(&h), Presence::Here(&s))
        };
        let (one, other) = (plan(rows.0, rows.1), plan(rows.1, rows.0));
        let summary = |plan: &Plan, side: Side| {
            plan.writes.get(side).as_ref().and_then(|write| {
                write.fields.values().next().map(plain)
            })
        };
        for side in Side::BOTH {
            prop_assert_eq!(summary(&one, side), summary(&other, side.other()));
        }
        let verdicts = |plan: &Plan| {
            let told = |decision: &Decision| (decision.verdict.clone(), decision.new_base.clone());
            plan.decisions.iter().map(told).collect::<Vec<_>>()
        };
        prop_assert_eq!(verdicts(&one), verdicts(&other));
    }

    #[test]
    fn the_furthest_stage_is_a_join(one in 0..6usize, two in 0..6usize, three in 0..6usize) {
        let stages = stages(Vec::new()).unwrap();
        let values = [one, two, three].map(|index| Value::text(stage(index)));
        let [a, b, c] = &values;
        let join = |a, b| stages::furthest(&stages, a, b);
        prop_assert_eq!(join(a, b), join(b, a));
        prop_assert_eq!(join(join(a, b), c), join(a, join(b, c)));
        prop_assert_eq!(join(a, a), a);
    }
}
