//! A mapping, compiled.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::condition::Condition;
use super::example::Example;
use super::handoff::HandoffSpec;
use crate::mapping::transform::Step;
use crate::record::{Number, PerSide, Side, Value};

/// One mapping file, checked and compiled.
#[derive(Debug)]
pub struct Mapping {
    /// The mapping's name, unique among the files: `people`.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What is particular to each side.
    pub sides: PerSide<SideSpec>,
    /// How records without a stable id are recognised, in order.
    pub matching: Vec<MatchKey>,
    /// The fields, in the file's order.
    pub fields: Vec<Field>,
    /// The stages, where the mapping has a field of stages.
    pub stages: Option<Stages>,
    /// What makes a record qualified, in order.
    pub qualifications: Vec<Qualification>,
    /// How a qualified record gets to sales, where the mapping says so.
    pub handoff: Option<HandoffSpec>,
    /// What Salesforce queues become: the HubSpot owner's address by the queue's name. A queue that
    /// is not named is left alone.
    pub queues: BTreeMap<String, String>,
    /// What an owner does who is nobody on the other side.
    pub unknown_owner: UnknownOwner,
    /// What the admin says should come out for given records.
    pub examples: Vec<Example>,
    /// What the mapping means, as a number that is the same in every run and for every spelling
    /// with the same meaning: comments and descriptions do not count.
    pub fingerprint: u64,
}

impl Mapping {
    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of `object`'s fields on `side` that the mapping reads or writes, its id field
    /// included.
    #[must_use]
    pub fn names(&self, side: Side, object: &str) -> BTreeSet<String> {
        let spec = self.sides.get(side);
        self.fields
            .iter()
            .filter_map(|field| field.sides.get(side).as_ref()?.name(object))
            .chain([spec.id_field.as_str()])
            .chain(self.matching.iter().map(|key| key.fields.get(side).as_str()))
            .map(str::to_owned)
            .collect()
    }

    /// The names of `object`'s fields on `side` of which the rules need the time of change.
    #[must_use]
    pub fn stamps(&self, side: Side, object: &str) -> BTreeSet<String> {
        self.fields
            .iter()
            .filter(|field| {
                field.first.iter().chain(&field.rules).any(|rule| *rule == Rule::Newest)
            })
            .filter_map(|field| field.sides.get(side).as_ref()?.name(object))
            .map(str::to_owned)
            .collect()
    }
}

/// What an owner does who is nobody on the other side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownOwner {
    /// The field is not settled, and a reject says who is missing where.
    #[default]
    Reject,
    /// The owner stays, and the other side keeps its own.
    Leave,
}

/// What is particular to one side.
#[derive(Debug)]
pub struct SideSpec {
    /// The object: `contacts`, `Lead`.
    pub object: String,
    /// The object that a record becomes by conversion: `Contact` for `Lead`.
    pub becomes: Option<String>,
    /// The unique field that holds the other side's record id.
    pub id_field: String,
    /// Which records take part; all where there is no condition. It sees this side's values only.
    pub scope: Option<Condition>,
    /// Whether records are created on this side.
    pub create: Create,
    /// What follows on the other side when a record of this side is deleted.
    pub on_delete: OnDelete,
    /// Whether assignment rules run when a record is created here (Salesforce).
    pub assign: Assign,
    /// Whether a record is saved although a duplicate rule of the kind "alert" objects
    /// (Salesforce).
    pub allow_duplicates: bool,
}

/// Whether records are created on a side.
#[derive(Debug)]
pub enum Create {
    /// Never: only existing records are linked.
    Never,
    /// For every record of the other side that takes part.
    Always,
    /// For those records of the other side of which the condition holds.
    When(Condition),
}

/// What follows when a record of a link is deleted on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The link ends; the other record stays and is not created anew across.
    Unlink,
    /// The other record is deleted too.
    Follow,
    /// Nothing: the link waits for the record to be restored.
    Ignore,
}

/// Whether Salesforce's assignment rules run on a creation.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assign {
    /// They do not.
    #[default]
    Off,
    /// The active rule runs.
    Active,
    /// The rule with this id runs.
    Rule(String),
}

/// A key by which records that do not know each other are recognised.
#[derive(Debug)]
pub struct MatchKey {
    /// The field on each side.
    pub fields: PerSide<String>,
    /// How both values are brought to one spelling.
    pub normalise: Vec<Step>,
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// The name by which conditions, conflicts and history know it.
    pub name: String,
    /// Where it lives on each side. A field that is only read for conditions may live on one.
    pub sides: PerSide<Option<FieldSide>>,
    /// What it holds.
    pub kind: Kind,
    /// Which way it flows.
    pub direction: Direction,
    /// How each side's choices correspond, for choices.
    pub table: Option<Table>,
    /// How values of both sides are brought to one spelling; each step leaves its own result as it
    /// is.
    pub normalise: Vec<Step>,
    /// What decides when both sides have a value and nothing is remembered.
    pub first: Vec<Rule>,
    /// What decides when both sides changed, in order.
    pub rules: Vec<Rule>,
    /// Times of change that differ by no more than this are no reason for [`Rule::Newest`].
    pub tolerance: SignedDuration,
    /// Which small moves of a number are not worth a write.
    pub quiet: Option<Quiet>,
    /// What an edit on the far side of a one-way field does.
    pub far_edit: FarEdit,
}

impl Field {
    /// Whether a value may be written on `side`.
    #[must_use]
    pub fn flows_to(&self, side: Side) -> bool {
        self.sides.get(side).is_some()
            && match self.direction {
                Direction::Both => true,
                Direction::To(to) => to == side,
                Direction::Read => false,
            }
    }
}

/// Where a field lives on one side.
#[derive(Debug)]
pub struct FieldSide {
    /// The field's name on each object of the side, by the object's name. A converted Lead's
    /// Contact may know the field under another name, or not at all.
    pub names: BTreeMap<String, String>,
    /// What turns this side's value into the canonical one and back, for this side alone.
    pub steps: Vec<Step>,
    /// What a blank value from across does here.
    pub blank: BlankRule,
}

impl FieldSide {
    /// The field's name on `object`.
    #[must_use]
    pub fn name(&self, object: &str) -> Option<&str> {
        self.names.get(object).map(String::as_str)
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A day.
    Date,
    /// A moment.
    DateTime,
    /// Yes or no.
    Bool,
    /// One of a list.
    Choice,
    /// Several of a list.
    Choices,
    /// The person who owns the record.
    Owner,
    /// The record of another mapping that this one belongs to: a deal's company.
    Link {
        /// That mapping's name.
        mapping: String,
    },
}

/// Which way a field flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    Both,
    /// To this side only.
    To(Side),
    /// Neither way: it is read for conditions.
    Read,
}

/// What a blank value from across does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlankRule {
    /// Nothing: a blank is no opinion.
    Ignore,
    /// It clears the value here.
    Clear,
}

/// What an edit on the far side of a one-way field does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarEdit {
    /// The near side's value is written again.
    Restore,
    /// It stays until the near side changes.
    Leave,
}

/// A rule that decides between two values. The registry in `reconcile::conflict` says what each
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// HubSpot's value.
    HubSpot,
    /// Salesforce's value.
    Salesforce,
    /// The value that was set later.
    Newest,
    /// The later stage.
    Furthest,
    /// The greater value.
    Highest,
    /// The smaller value.
    Lowest,
    /// Nobody decides but a person.
    Ask,
}

impl Rule {
    /// All rules, in the order in which help lists them.
    pub const ALL: [Self; 7] = [
        Self::HubSpot,
        Self::Salesforce,
        Self::Newest,
        Self::Furthest,
        Self::Highest,
        Self::Lowest,
        Self::Ask,
    ];

    /// The word for it in mapping files and in history.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::HubSpot => "hubspot",
            Self::Salesforce => "salesforce",
            Self::Newest => "newest",
            Self::Furthest => "furthest",
            Self::Highest => "highest",
            Self::Lowest => "lowest",
            Self::Ask => "ask",
        }
    }
}

/// Which small moves of a number are not worth a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// A move of less than this is quiet…
    pub band: Number,
    /// …unless it crosses one of these.
    pub thresholds: Vec<Number>,
}

impl Quiet {
    /// Whether a move between `old` and `new` is not worth a write.
    #[must_use]
    pub fn covers(&self, old: Number, new: Number) -> bool {
        let crosses = |limit: &Number| (old < *limit) != (new < *limit);
        (old.get() - new.get()).abs() < self.band.get() && !self.thresholds.iter().any(crosses)
    }
}

/// How each side's choices correspond.
///
/// Rows that share a value on either side belong together: the canonical value is the group, named
/// by the key of its first row. So a table may be many-to-one in either direction, and two values
/// of one group never differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The rows, in the file's order. The first row of a group holds what is written to each side.
    pub rows: Vec<TableRow>,
    /// What a value does that no row lists, by the side it comes from.
    pub unlisted: PerSide<Unlisted>,
}

/// One row of a value table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// The group's canonical key, the same in every row of the group.
    pub key: String,
    /// HubSpot's value, where the row has one.
    pub hubspot: Option<String>,
    /// Salesforce's value, where the row has one.
    pub salesforce: Option<String>,
}

impl TableRow {
    /// What the row has for `side`.
    #[must_use]
    pub fn on(&self, side: Side) -> Option<&str> {
        match side {
            Side::HubSpot => self.hubspot.as_deref(),
            Side::Salesforce => self.salesforce.as_deref(),
        }
    }
}

/// What a value does that no row lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Unlisted {
    /// The field is not settled, and a reject names the value.
    #[default]
    Reject,
    /// The value passes as it is.
    Pass,
    /// The group with this key stands for it.
    Use(String),
}

/// The ordered stages.
#[derive(Debug)]
pub struct Stages {
    /// The field that holds the stage.
    pub field: String,
    /// The canonical keys, earliest first.
    pub order: Vec<String>,
    /// How a stage may go back, in order.
    pub back: Vec<BackRule>,
}

impl Stages {
    /// The place of `stage` in the order.
    #[must_use]
    pub fn place(&self, stage: &Value) -> Option<usize> {
        let stage = stage.as_text()?;
        self.order.iter().position(|known| known == stage)
    }
}

/// A way for a stage to go back.
#[derive(Debug)]
pub struct BackRule {
    /// The rule's name, for history and for counting.
    pub name: String,
    /// The stages that it leaves; any stage later than where it goes, where none are named.
    pub from: BTreeSet<String>,
    /// Where it goes; where a person moved it to on one side, if there is no stage.
    pub to: Option<String>,
    /// When it applies. It sees the merged record, both sides, and which fields changed.
    pub when: Condition,
    /// Why, for history.
    pub reason: String,
}

/// What makes a record qualified.
#[derive(Debug)]
pub struct Qualification {
    /// The rule's name, for history and for counting.
    pub name: String,
    /// When it applies. It sees the merged record, both sides, and which fields changed.
    pub when: Condition,
    /// The fields that it sets, by canonical name.
    pub set: BTreeMap<String, Value>,
    /// Why, for history.
    pub reason: String,
    /// It applies once in a link's life, and once more each time after this held.
    pub again: Option<Condition>,
}
