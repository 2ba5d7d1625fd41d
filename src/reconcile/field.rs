//! The three-way decision on one field.
//!
//! A [`Course`] is one field's way through a settlement: what each side has, what was agreed on
//! last, and the [`Outcome`] so far. [`decide`] gives the first outcome; ways back and
//! qualifications may replace it; `writes` turns the last one into writes and a decision.
//!
//! Invariants of every outcome:
//! - a write only goes to a side whose present value differs from it;
//! - the base only moves to a value that every side holds once the writes are done;
//! - a value that a person or a system had set and that does not live on is named in `lost`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::conflict::{self, Dispute, Ruling};
use super::plan::{OpenConflict, Resolution, Situation};
use super::stages;
use crate::mapping::{
    BadValue, BlankRule, Direction, FarEdit, Field, Kind, Mapping, Quiet, Reading, Rule, Stages,
};
use crate::record::{PerSide, Raw, Record, Side, Value};

/// What a side has of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// There is no record on this side yet.
    NoRecord,
    /// The side, or the object of its record, has no such field.
    NoField,
    /// There is a value, but not one to compare: why.
    Aside(String),
    /// A value that the mapping cannot take.
    Bad(BadValue),
    /// A value; the base's own where it has not changed.
    Value(Cow<'a, Value>),
}

impl Seen<'_> {
    /// The value, where there is one.
    pub(super) fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// What was decided on a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Both sides hold the base: nothing to say.
    Quiet,
    /// Both sides hold the same value, or the only side that has the field does: the base moves.
    Agreed,
    /// A value lives on.
    Settle(Settled),
    /// The sides differ and that is left so.
    Leave {
        /// The value that conditions see.
        merged: Value,
        /// What decided.
        rule: Cow<'static, str>,
        /// Why, in a sentence's part.
        reason: String,
    },
    /// No rule has an opinion.
    Park {
        /// Why.
        reason: String,
    },
    /// It cannot be compared, or not be read: nothing is done.
    Unsettled,
}

/// A value that lives on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    /// The value.
    pub value: Value,
    /// The sides that it is written to.
    pub to: PerSide<bool>,
    /// What decided.
    pub rule: Cow<'static, str>,
    /// Why, in a sentence's part.
    pub reason: String,
    /// The edits that do not live on.
    pub lost: BTreeMap<Side, Value>,
}

/// One field's way through a settlement.
pub(super) struct Course<'a> {
    /// The field.
    pub field: &'a Field,
    /// What both sides last agreed on.
    pub base: Option<&'a Value>,
    /// What each side has.
    pub seen: PerSide<Seen<'a>>,
    /// What was decided.
    pub outcome: Outcome,
}

impl Course<'_> {
    /// The value that conditions see: what lives on, or where nothing does, what both sides last
    /// agreed on.
    pub(super) fn merged(&self) -> &Value {
        const BLANK: &Value = &Value::Blank;
        match &self.outcome {
            Outcome::Settle(settled) => &settled.value,
            Outcome::Leave { merged, .. } => merged,
            Outcome::Quiet | Outcome::Agreed => {
                self.seen.iter().find_map(|(_, seen)| seen.value()).unwrap_or(BLANK)
            }
            Outcome::Park { .. } => self.base.unwrap_or(BLANK),
            Outcome::Unsettled => {
                // A side that has no such field, or none that can be compared, says nothing
                // against the other's value.
                let unreadable = self.seen.iter().any(|(_, seen)| matches!(seen, Seen::Bad(_)));
                let one = self.seen.iter().find_map(|(_, seen)| seen.value());
                one.filter(|_| !unreadable).or(self.base).unwrap_or(BLANK)
            }
        }
    }

    /// Whether `side`'s value differs from what was last agreed on.
    pub(super) fn changed(&self, side: Side) -> bool {
        match (self.base, self.seen.get(side)) {
            (Some(base), Seen::Value(value)) => value.as_ref() != base,
            _ => false,
        }
    }

    /// Lets `value` live on, on every side that has the field, whatever was decided before.
    pub(super) fn set(&mut self, value: Value, rule: Cow<'static, str>, reason: String) {
        let holds = |seen: &Seen<'_>| match seen {
            Seen::Value(held) => **held == value,
            Seen::NoRecord => value.is_blank(),
            Seen::NoField | Seen::Aside(_) | Seen::Bad(_) => true,
        };
        let to = PerSide::from_fn(|side| {
            self.field.sides.get(side).is_some() && !holds(self.seen.get(side))
        });
        let lost = losers(self.base, &self.seen, &value);
        self.outcome = if to.hubspot || to.salesforce {
            Outcome::Settle(Settled { value, to, rule, reason, lost })
        } else if self.base == Some(&value) {
            Outcome::Quiet
        } else {
            Outcome::Agreed
        };
    }
}

/// What one field's decision depends on, besides the field.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    /// The situation.
    pub situation: &'a Situation<'a>,
    /// The records that exist.
    pub records: PerSide<Option<&'a Record>>,
}

impl<'a> Scene<'a> {
    pub(super) const fn mapping(&self) -> &'a Mapping {
        self.situation.mapping
    }

    /// Reads `field` on both sides and decides it.
    pub(super) fn course(&self, field: &'a Field) -> Course<'a> {
        let base = self.situation.base.values.get(&field.name);
        let seen = PerSide::from_fn(|side| self.see(field, side, base));
        let outcome = decide(self, field, base, &seen);
        Course { field, base, seen, outcome }
    }

    fn see(&self, field: &Field, side: Side, base: Option<&'a Value>) -> Seen<'a> {
        let record = self.records.get(side);
        let object =
            record.map_or(&self.mapping().sides.get(side).object, |record| &record.key.object);
        let Some(name) = field.sides.get(side).as_ref().and_then(|place| place.name(object)) else {
            return Seen::NoField;
        };
        let Some(record) = record else { return Seen::NoRecord };
        let raw = record.get(name);
        if let Some(base) = base
            && still(field, side, raw, base)
        {
            return Seen::Value(Cow::Borrowed(base));
        }
        match field.read(self.mapping(), side, object, raw, self.situation.directory) {
            Reading::Value(value) => Seen::Value(Cow::Owned(value)),
            Reading::Aside(why) => Seen::Aside(why),
            Reading::Bad(problem) => Seen::Bad(problem),
        }
    }
}

/// Whether `raw` on `side` still means `base`, where that can be told without making a value. A
/// normaliser leaves its own result as it is, so a text that equals the base reads as the base.
fn still(field: &Field, side: Side, raw: &Raw, base: &Value) -> bool {
    if field.sides.get(side).as_ref().is_none_or(|place| !place.steps.is_empty()) {
        return false;
    }
    match (&field.kind, raw, base) {
        (Kind::Owner | Kind::Link { .. }, ..) => false,
        (_, raw, Value::Blank) => raw.is_blank(),
        (Kind::Text, Raw::Text(text), Value::Text(base)) => text == base,
        (Kind::Choice, Raw::Text(text), Value::Text(base)) => match &field.table {
            Some(table) => table.key_of(side, text) == Some(base),
            None => text == base,
        },
        (Kind::Number, Raw::Number(number), Value::Number(base)) => *number == base.get(),
        (Kind::Number, Raw::Text(text), Value::Number(base)) => {
            text.parse::<f64>().is_ok_and(|number| number == base.get())
        }
        (Kind::Bool, Raw::Bool(yes), Value::Bool(base)) => yes == base,
        (Kind::Bool, Raw::Text(text), Value::Bool(base)) => {
            text == if *base { "true" } else { "false" }
        }
        _ => false,
    }
}

/// Decides one field.
fn decide(
    scene: &Scene<'_>,
    field: &Field,
    base: Option<&Value>,
    seen: &PerSide<Seen<'_>>,
) -> Outcome {
    match (&seen.hubspot, &seen.salesforce) {
        (Seen::Value(h), Seen::Value(s)) => {
            let (h, s): (&Value, &Value) = (h, s);
            let values = PerSide { hubspot: h, salesforce: s };
            if h == s {
                return if base == Some(h) { Outcome::Quiet } else { Outcome::Agreed };
            }
            if let Some(outcome) = resolved(scene, field, base, seen, values) {
                return outcome;
            }
            let case = Case { scene, field, base, seen, values };
            match stages::of(scene.mapping(), field, base, values) {
                Some(stages) => case.stage(stages),
                None => case.three_way(),
            }
        }
        (Seen::Value(value), missing) => alone(field, base, Side::HubSpot, value, missing),
        (missing, Seen::Value(value)) => alone(field, base, Side::Salesforce, value, missing),
        _ => Outcome::Unsettled,
    }
}

/// A field of which only `side` has a value: its record is created across, or the field is there
/// for conditions only.
fn alone(
    field: &Field,
    base: Option<&Value>,
    side: Side,
    value: &Value,
    missing: &Seen<'_>,
) -> Outcome {
    let across = side.other();
    match missing {
        // Base and value may differ without a say in it: nothing was agreed on with nobody.
        Seen::NoRecord if !field.flows_to(across) => Outcome::Unsettled,
        // A transform may stand for a blank on a side that insists on a value.
        Seen::NoRecord
            if value.is_blank()
                && field.sides.get(across).as_ref().is_none_or(|place| place.steps.is_empty()) =>
        {
            Outcome::Unsettled
        }
        Seen::NoRecord => Outcome::Settle(Settled {
            value: value.clone(),
            to: PerSide::from_fn(|to| to == across),
            rule: Cow::Borrowed("creation"),
            reason: format!("{across} has no record yet"),
            lost: BTreeMap::new(),
        }),
        Seen::NoField if base == Some(value) => Outcome::Quiet,
        // The base moves along, so that a condition can tell what changed.
        Seen::NoField => Outcome::Agreed,
        Seen::Aside(_) | Seen::Bad(_) | Seen::Value(_) => Outcome::Unsettled,
    }
}

/// A person's decision on an open conflict, where there is one.
fn resolved(
    scene: &Scene<'_>,
    field: &Field,
    base: Option<&Value>,
    seen: &PerSide<Seen<'_>>,
    values: PerSide<&Value>,
) -> Option<Outcome> {
    let open: &OpenConflict = scene.situation.open.get(&field.name)?;
    let (value, reason) = match open.resolution.as_ref()? {
        Resolution::Take(side) => {
            ((*values.get(*side)).clone(), format!("a person took {side}'s value"))
        }
        Resolution::Set(value) => (value.clone(), "a person set another value".to_owned()),
    };
    let to = PerSide::from_fn(|side| *values.get(side) != &value && field.flows_to(side));
    if !to.hubspot && !to.salesforce {
        return None;
    }
    let lost = losers(base, seen, &value);
    Some(Outcome::Settle(Settled { value, to, rule: Cow::Borrowed("person"), reason, lost }))
}

/// The edits that do not live on beside `winner`: with a base, what differs from it; at the first
/// meeting, every value.
fn losers(base: Option<&Value>, seen: &PerSide<Seen<'_>>, winner: &Value) -> BTreeMap<Side, Value> {
    let mut lost = BTreeMap::new();
    for (side, seen) in seen.iter() {
        let Some(value) = seen.value() else { continue };
        let edited = base.map_or(!value.is_blank(), |base| base != value);
        if edited && value != winner {
            lost.insert(side, value.clone());
        }
    }
    lost
}

/// Both sides have a value, and the values differ.
struct Case<'c, 'a> {
    scene: &'c Scene<'a>,
    field: &'c Field,
    base: Option<&'c Value>,
    seen: &'c PerSide<Seen<'c>>,
    values: PerSide<&'c Value>,
}

/// Which side's value lives on, and why.
struct Winner {
    side: Side,
    rule: Cow<'static, str>,
    reason: String,
}

impl Case<'_, '_> {
    /// The decision for every field but that of the stages.
    fn three_way(&self) -> Outcome {
        match self.field.direction {
            Direction::Read => self.only_read(),
            Direction::To(far) => self.one_way(far),
            Direction::Both => self.both_ways(),
        }
    }

    fn value(&self, side: Side) -> &Value {
        self.values.get(side)
    }

    fn changed(&self, side: Side) -> bool {
        self.base.is_some_and(|base| base != self.value(side))
    }

    /// Whether `side`'s value is blank and the mapping takes a blank for no opinion across.
    fn silent(&self, side: Side) -> bool {
        self.value(side).is_blank()
            && self
                .field
                .sides
                .get(side.other())
                .as_ref()
                .is_none_or(|place| place.blank == BlankRule::Ignore)
    }

    /// Whether the move from the base to `side`'s value is too small for a write.
    fn slight(&self, side: Side) -> bool {
        let quiet: Option<&Quiet> = self.field.quiet.as_ref();
        let numbers = self.base.and_then(Value::as_number).zip(self.value(side).as_number());
        quiet.zip(numbers).is_some_and(|(quiet, (old, new))| quiet.covers(old, new))
    }

    fn settle(&self, winner: Winner) -> Outcome {
        let value = self.value(winner.side).clone();
        let lost = losers(self.base, self.seen, &value);
        Outcome::Settle(Settled {
            value,
            to: PerSide::from_fn(|side| side != winner.side),
            rule: winner.rule,
            reason: winner.reason,
            lost,
        })
    }

    fn leave(&self, merged: &Value, rule: &'static str, reason: String) -> Outcome {
        Outcome::Leave { merged: merged.clone(), rule: Cow::Borrowed(rule), reason }
    }

    fn judge(&self, rules: &[Rule]) -> Ruling {
        let (Some(hubspot), Some(salesforce)) =
            (self.scene.records.hubspot, self.scene.records.salesforce)
        else {
            return Ruling::Park("a record is missing".to_owned());
        };
        conflict::judge(
            rules,
            &Dispute {
                field: self.field,
                stages: self.scene.mapping().stages.as_ref(),
                values: self.values,
                records: PerSide { hubspot, salesforce },
            },
        )
    }

    fn ruled(&self, rules: &[Rule], first: bool) -> Outcome {
        match self.judge(rules) {
            Ruling::Take { side, rule, reason } => self.settle(Winner {
                side,
                rule: Cow::Borrowed(rule.key()),
                reason: if first {
                    format!("first meeting: {reason}")
                } else {
                    format!("both changed: {reason}")
                },
            }),
            Ruling::Park(reason) => Outcome::Park { reason },
        }
    }

    /// A field that is never written: which value conditions see.
    fn only_read(&self) -> Outcome {
        let changed = PerSide::from_fn(|side| self.changed(side));
        let merged = match (changed.hubspot, changed.salesforce) {
            (true, false) => self.values.hubspot,
            (false, true) => self.values.salesforce,
            _ => match self.judge(&self.field.rules) {
                Ruling::Take { side, .. } => self.value(side),
                Ruling::Park(_) => self.base.unwrap_or(&Value::Blank),
            },
        };
        self.leave(merged, "direction", "the field is only read".to_owned())
    }

    /// A field that flows to `far` only: the near side's value counts.
    fn one_way(&self, far: Side) -> Outcome {
        let near = far.other();
        let value = self.value(near);
        if self.silent(near) || (self.base.is_none() && value.is_blank()) {
            return self.leave(value, "blank", format!("{near} is blank, which is no opinion"));
        }
        if self.base.is_none() {
            return self.settle(Winner {
                side: near,
                rule: Cow::Borrowed("first meeting"),
                reason: format!("the field flows to {far} only"),
            });
        }
        match (self.changed(near), self.changed(far)) {
            (true, far_changed) => {
                if !far_changed && self.slight(near) {
                    return self.leave(value, "quiet", self.within_band());
                }
                self.settle(Winner {
                    side: near,
                    rule: if far_changed { "direction".into() } else { "one side changed".into() },
                    reason: if far_changed {
                        format!("both changed, and the field flows to {far} only")
                    } else {
                        format!("only {near} changed")
                    },
                })
            }
            (false, _) => match self.field.far_edit {
                FarEdit::Leave => self.leave(
                    value,
                    "far edit",
                    format!("{far}'s edit stays until {near} changes"),
                ),
                FarEdit::Restore => self.settle(Winner {
                    side: near,
                    rule: Cow::Borrowed("direction"),
                    reason: format!("edited in {far}, and the field flows to {far} only"),
                }),
            },
        }
    }

    fn within_band(&self) -> String {
        let band = self.field.quiet.as_ref().map_or(0.0, |quiet| quiet.band.get());
        format!("a move of less than {band} is not worth a write")
    }

    /// A field that flows both ways.
    fn both_ways(&self) -> Outcome {
        let Some(base) = self.base else { return self.first_meeting() };
        let silent = PerSide::from_fn(|side| self.silent(side));
        let slight = PerSide::from_fn(|side| !silent.get(side) && self.slight(side));
        // An edit that counts: the value moved, and it is neither a blank without an opinion nor
        // too small a move.
        let spoke =
            PerSide::from_fn(|side| self.changed(side) && !silent.get(side) && !slight.get(side));
        match (spoke.hubspot, spoke.salesforce) {
            (true, true) => self.ruled(&self.field.rules, false),
            (true, false) => self.only(Side::HubSpot),
            (false, true) => self.only(Side::Salesforce),
            (false, false) if slight.hubspot || slight.salesforce => {
                let side = if slight.hubspot { Side::HubSpot } else { Side::Salesforce };
                self.leave(self.value(side), "quiet", self.within_band())
            }
            (false, false) => {
                let side = if silent.hubspot { Side::HubSpot } else { Side::Salesforce };
                self.leave(base, "blank", format!("{side} is blank, which is no opinion"))
            }
        }
    }

    fn only(&self, side: Side) -> Outcome {
        self.settle(Winner {
            side,
            rule: Cow::Borrowed("one side changed"),
            reason: format!("only {side} changed"),
        })
    }

    /// Both sides have a value, nothing is remembered. A blank never said anything yet, so a value
    /// fills it, whatever the blank rules say.
    fn first_meeting(&self) -> Outcome {
        for side in Side::BOTH {
            if self.value(side.other()).is_blank() {
                return self.settle(Winner {
                    side,
                    rule: Cow::Borrowed("first meeting"),
                    reason: format!("{} is blank", side.other()),
                });
            }
        }
        self.ruled(&self.field.first, true)
    }

    /// The field of the stages: the furthest of the base and both sides lives on.
    fn stage(&self, stages: &Stages) -> Outcome {
        let furthest = stages::furthest(
            stages,
            stages::furthest(stages, self.values.hubspot, self.values.salesforce),
            self.base.unwrap_or(&Value::Blank),
        );
        if self.field.direction == Direction::Read {
            return self.leave(furthest, "direction", "the field is only read".to_owned());
        }
        let behind = PerSide::from_fn(|side| self.value(side) != furthest);
        let to = PerSide::from_fn(|side| *behind.get(side) && self.field.flows_to(side));
        if !to.hubspot && !to.salesforce {
            return self.leave(
                furthest,
                "furthest",
                format!("{furthest} is the later stage, and the field does not flow back"),
            );
        }
        let back = Side::BOTH.into_iter().find(|side| {
            self.base.is_some_and(|base| stages.place(self.value(*side)) < stages.place(base))
        });
        let (rule, reason) = match (back, self.base) {
            (Some(side), Some(base)) => (
                "furthest",
                format!(
                    "{side} went back from {base} to {}, and no way back applies",
                    self.value(side)
                ),
            ),
            (_, None) => ("furthest", format!("first meeting: {furthest} is the later stage")),
            (None, Some(_)) if self.changed(Side::HubSpot) && self.changed(Side::Salesforce) => {
                ("furthest", format!("both changed: {furthest} is the later stage"))
            }
            (None, Some(_)) => {
                let side =
                    if self.changed(Side::HubSpot) { Side::HubSpot } else { Side::Salesforce };
                ("one side changed", format!("only {side} changed"))
            }
        };
        let lost = losers(self.base, self.seen, furthest);
        let value = furthest.clone();
        Outcome::Settle(Settled { value, to, rule: Cow::Borrowed(rule), reason, lost })
    }
}
