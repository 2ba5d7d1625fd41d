//! What goes into a decision, and what comes out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::mapping::{Assign, BadValue, Directory, Mapping};
use crate::record::{LinkId, PerSide, Raw, Record, RecordRef, Side, Stamp, Value};

/// What both sides last agreed on, and which one-time rules have applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Each field's agreed value by canonical name. A field that is absent has not met yet.
    pub values: BTreeMap<String, Value>,
    /// When each qualification or way back applied, by the rule's name. A rule that stands here
    /// does not apply again until its own condition for that holds, which takes it out.
    pub applied: BTreeMap<String, Timestamp>,
}

/// What a side has of a link's record.
#[derive(Debug, Clone, Copy)]
pub enum Presence<'a> {
    /// No record was ever known on this side.
    Never,
    /// The record, live. Its key may differ from the link's (a merge), and it may carry a
    /// successor (a converted Lead).
    Here(&'a Record),
    /// The record was deleted and nothing took its place.
    Gone,
    /// The person had their data erased.
    Erased,
}

/// Everything that a decision depends on.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The link's number, where there is a link.
    pub link: Option<LinkId>,
    /// What the link says of each side's record.
    pub linked: &'a PerSide<Option<RecordRef>>,
    /// What both sides last agreed on.
    pub base: &'a Base,
    /// What each side has.
    pub present: PerSide<Presence<'a>>,
    /// The conflicts that are open, by field.
    pub open: &'a BTreeMap<String, OpenConflict>,
    /// Owners and other links.
    pub directory: &'a dyn Directory,
    /// The time.
    pub now: Timestamp,
}

/// A field that both sides changed differently, parked for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenConflict {
    /// What both sides last agreed on, where they ever did.
    pub base: Option<Value>,
    /// HubSpot's and Salesforce's values when it was parked.
    pub values: PerSide<Value>,
    /// When each side's value was set, as far as that is known.
    pub stamps: PerSide<Option<Stamp>>,
    /// Since when.
    pub since: Timestamp,
    /// Why no rule settled it.
    pub reason: String,
    /// What a person decided, to be carried out by the next settlement.
    pub resolution: Option<Resolution>,
}

/// A person's decision on a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// This side's present value.
    Take(Side),
    /// Another value.
    Set(Value),
}

/// What one settlement will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The mapping's name.
    pub mapping: String,
    /// The link's number, where there is a link.
    pub link: Option<LinkId>,
    /// Both records as the link will know them after this settlement, but for one that is yet to
    /// be created.
    pub records: PerSide<Option<RecordRef>>,
    /// What happens to the link itself.
    pub step: LinkStep,
    /// At most one write a side. Empty: nothing to write.
    pub writes: PerSide<Option<PlannedWrite>>,
    /// Every field that differs from its base or from across, with what was decided, in the
    /// mapping's order. Fields about which there is nothing to say are left out.
    pub decisions: Vec<Decision>,
    /// The fields that stay parked, by name; with those that were and are not in it, resolved.
    pub conflicts: BTreeMap<String, OpenConflict>,
    /// Values that the mapping cannot take or cannot write.
    pub rejects: Vec<Reject>,
    /// One-time rules that apply now (a time) or may apply again (none).
    pub applied: BTreeMap<String, Option<Timestamp>>,
    /// What `explain` tells besides: which side left the scope, which field stands aside and why.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether carrying it out would write to neither side.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.writes.hubspot.is_none() && self.writes.salesforce.is_none()
    }

    /// Takes fields, by the platform's names, out of the write to `side`: what they were to bring is
    /// not agreed on, and a one-time rule that set one of them has not applied. `whole` takes the
    /// write out altogether; a change of a record goes too once nothing of it is left.
    pub fn withhold(
        &mut self,
        mapping: &Mapping,
        side: Side,
        names: &BTreeSet<String>,
        whole: bool,
    ) {
        let Some(write) = self.writes.get_mut(side) else { return };
        write.fields.retain(|name, _| !names.contains(name));
        write.clear_first.retain(|name| !names.contains(name));
        let object = write.object.clone();
        let spent = write.fields.is_empty() && matches!(write.action, WriteAction::Update { .. });
        if whole || spent {
            *self.writes.get_mut(side) = None;
        }
        for decision in &mut self.decisions {
            let place = mapping.field(&decision.field).and_then(|it| it.sides.get(side).as_ref());
            let name = place.and_then(|place| place.name(&object));
            if !name.is_some_and(|name| names.contains(name)) || !decision.written_to.remove(&side)
            {
                continue;
            }
            decision.new_base = None;
            let rule = decision.rule.strip_prefix("qualification ");
            if let Some(rule) = rule.or_else(|| decision.rule.strip_prefix("back ")) {
                self.applied.remove(rule);
                self.applied.remove(&super::again_mark(rule));
            }
        }
    }

    /// The base after the writes to `done` took effect: a field moves once every side that it is
    /// written to has it, and one-time rules are marked once every write is done. What is not done
    /// is decided again by the next settlement, from what the sides then hold.
    #[must_use]
    pub fn base_after(&self, base: &Base, done: &BTreeSet<Side>) -> Base {
        let mut after = base.clone();
        for decision in &self.decisions {
            let Some(value) = &decision.new_base else { continue };
            if decision.written_to.iter().all(|side| done.contains(side)) {
                after.values.insert(decision.field.clone(), value.clone());
            }
        }
        let planned: Vec<Side> =
            self.writes.iter().filter(|(_, write)| write.is_some()).map(|(side, _)| side).collect();
        let settled = planned.iter().all(|side| done.contains(side));
        if settled {
            for (rule, applied) in &self.applied {
                match applied {
                    Some(at) => after.applied.insert(rule.clone(), *at),
                    None => after.applied.remove(rule),
                };
            }
        }
        after
    }
}

/// What happens to the link itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkStep {
    /// It stays as it is.
    Keep,
    /// There is no link, and none is made: why.
    None {
        /// Why, for `explain`.
        reason: String,
    },
    /// A link is made of one record, and of the other that is created across.
    Create,
    /// A link is made of both records.
    Join,
    /// The link rests: a record left its side's scope. Nothing is written until it comes back, and
    /// base and conflicts stay as they are.
    OutOfScope {
        /// The side whose record left; HubSpot where both did.
        side: Side,
    },
    /// A side's record is another one from now on: a Lead was converted, or records were merged.
    /// Nothing is written in this settlement; the record is read first.
    Move {
        /// Which side.
        side: Side,
        /// The record that took the old one's place.
        to: RecordRef,
        /// Why, for history.
        reason: String,
    },
    /// A record was deleted on this side and the link ends. What remains is not created anew.
    Unlink {
        /// The side on which the record was deleted.
        deleted: Side,
        /// What becomes of the record across.
        peer: PeerFate,
    },
    /// A record was deleted on this side, and the link waits for it to come back.
    Wait {
        /// The side on which the record was deleted.
        deleted: Side,
    },
    /// The person had their data erased: the link, its base and its history go too.
    Purge,
}

/// What becomes of the record across a deleted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerFate {
    /// It stays.
    Stays,
    /// It is deleted by this plan.
    Deleted,
    /// There is none: it was deleted too, or never made.
    Gone,
}

/// One record's write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedWrite {
    /// The object, in the side's spelling.
    pub object: String,
    /// Which record, and how.
    pub action: WriteAction,
    /// The values to set, in the side's spelling.
    pub fields: BTreeMap<String, Raw>,
    /// Those of `fields` that hold a stage and go back.
    pub clear_first: BTreeSet<String>,
}

/// Which record is written, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteAction {
    /// The record with this id is changed.
    Update {
        /// Its id.
        id: String,
    },
    /// A record is created, under the id of the record across, so that a repetition finds it.
    Create {
        /// The field that holds the id of the record across.
        key_field: String,
        /// That id.
        key: String,
        /// Whether assignment rules run (Salesforce).
        assign: Assign,
        /// Whether an alerting duplicate rule is overruled (Salesforce).
        allow_duplicates: bool,
    },
    /// The record with this id is deleted.
    Delete {
        /// Its id.
        id: String,
    },
}

impl WriteAction {
    /// The id of the record that is changed.
    #[must_use]
    pub const fn updates(&self) -> Option<&str> {
        match self {
            Self::Update { id } => Some(id.as_str()),
            Self::Create { .. } | Self::Delete { .. } => None,
        }
    }
}

/// What was decided on one field, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The field's canonical name.
    pub field: String,
    /// What both sides last agreed on, where they ever did.
    pub base: Option<Value>,
    /// What each side has now; nothing where there is no record yet.
    pub values: PerSide<Option<Value>>,
    /// What was decided.
    pub verdict: Verdict,
    /// Which rule decided: a conflict rule's key, or `one side changed`, `first meeting`,
    /// `qualification <name>`, `back <name>`, `person`…
    pub rule: String,
    /// The reason in a sentence.
    pub reason: String,
    /// The sides that are written.
    pub written_to: BTreeSet<Side>,
    /// The value that both sides agree on once the writes are done; nothing where the base stays.
    pub new_base: Option<Value>,
    /// The values that a person or a system had set and that do not live on, by side: the losers.
    pub lost: BTreeMap<Side, Value>,
}

/// What was decided on one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both sides have the same value: the base moves, nothing is written.
    Agreed,
    /// This value holds for both sides.
    Settled(Value),
    /// The sides differ and that is left so: a quiet band, a blank without an opinion, a far edit
    /// that the mapping leaves alone.
    LeftAlone,
    /// No rule has an opinion: parked.
    Parked,
}

/// A value that cannot be settled or a condition that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The field's canonical name; for a condition what it belongs to: `qualification hot lead`,
    /// `back recycled`, `scope`, `create`.
    pub field: String,
    /// The side whose value cannot be read, or that cannot be written; none for a condition that
    /// concerns both.
    pub side: Option<Side>,
    /// What is wrong and what would be right.
    pub problem: BadValue,
}
