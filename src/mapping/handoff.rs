//! The block `[handoff]` as the rest of the program sees it: how a qualified record gets to sales,
//! what they have to do by when, and what marketing hears of it.
//!
//! What is done with it (business time, whose turn it is, what is overdue) is in
//! [`crate`]'s room `handoff`; here are the admin's words alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::condition::Condition;
use super::template::Template;
use crate::record::{Raw, Side};

/// How a qualified record gets to sales.
#[derive(Debug)]
pub struct HandoffSpec {
    /// The names of the qualifications that open a handoff.
    pub rules: BTreeSet<String>,
    /// Whether those rules are the admin's own `[[qualify]]`. A stage or a condition makes a rule of
    /// its own, and what is so on the day the mapping is introduced is not news for sales.
    pub from_qualifications: bool,
    /// Who is not handed to sales, and why; the first that holds counts.
    pub exclude: Vec<Exclusion>,
    /// Who gets it.
    pub assign: Assignment,
    /// The task that tells the owner what to do.
    pub task: Option<TaskSpec>,
    /// A task in HubSpot.
    pub hubspot_task: Option<HubSpotTaskSpec>,
    /// A note in HubSpot.
    pub hubspot_note: Option<HubSpotNoteSpec>,
    /// A task in Salesforce that a queue owns.
    pub queue_task: Option<QueueTaskSpec>,
    /// A campaign of Salesforce's that the person becomes a member of.
    pub campaign: Option<CampaignSpec>,
    /// A flow of Salesforce's that is started.
    pub flow: Option<FlowSpec>,
    /// A sequence of HubSpot's that the contact is enrolled in.
    pub sequence: Option<SequenceSpec>,
    /// Business time, where nothing else is said for the record.
    pub calendar: Calendar,
    /// Business time for some records; the first whose condition holds counts.
    pub regions: Vec<Region>,
    /// What has to have happened by when.
    pub levels: ServiceLevels,
    /// What counts as the first real action of a salesperson.
    pub touch: TouchSpec,
    /// What counts as sales' answer.
    pub verdict: VerdictSpec,
    /// Who is told.
    pub webhooks: Vec<Webhook>,
    /// What HubSpot is told, property by property.
    pub feedback: BTreeMap<Feedback, String>,
    /// The fields by which the report groups.
    pub groups: Groups,
}

impl HandoffSpec {
    /// The webhook called `name`.
    #[must_use]
    pub fn webhook(&self, name: &str) -> Option<&Webhook> {
        self.webhooks.iter().find(|webhook| webhook.name == name)
    }

    /// Whether the mapping asks for a further next step.
    #[must_use]
    pub const fn asks_for(&self, step: NextStep) -> bool {
        match step {
            NextStep::HubSpotTask => self.hubspot_task.is_some(),
            NextStep::HubSpotNote => self.hubspot_note.is_some(),
            NextStep::QueueTask => self.queue_task.is_some(),
            NextStep::Campaign => self.campaign.is_some(),
            NextStep::Flow => self.flow.is_some(),
            NextStep::Sequence => self.sequence.is_some(),
        }
    }
}

/// Records that are not handed to sales.
#[derive(Debug)]
pub struct Exclusion {
    /// The name by which they are counted.
    pub name: String,
    /// Which records.
    pub when: Condition,
    /// Why, for history and the report.
    pub reason: String,
}

/// Who gets a handed-off record.
#[derive(Debug, Clone, PartialEq)]
pub enum Assignment {
    /// Whoever Salesforce's own assignment rules say. The mapping's `assign` says which rule.
    Rules,
    /// The owner that the record has in HubSpot.
    HubSpotOwner,
    /// Always the same person or queue.
    Fixed(Target),
    /// Several take turns.
    Robin(Robin),
}

/// A person or a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A user, by e-mail address in lower case.
    User(String),
    /// A queue, by name.
    Queue(String),
}

/// Several who take turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Robin {
    /// Those who take turns.
    pub members: Vec<Member>,
    /// Who gets it when none of them can; without it, Salesforce's rules decide.
    pub otherwise: Option<Target>,
}

/// One who takes turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The person, by e-mail address in lower case.
    pub user: String,
    /// How many turns, compared with the others. At least 1.
    pub weight: u32,
    /// How many a day at most, by the calendar's day.
    pub cap: Option<u32>,
    /// For which records.
    pub when: Option<Condition>,
}

/// A task in Salesforce.
#[derive(Debug)]
pub struct TaskSpec {
    /// Its subject. Salesforce takes 255 characters.
    pub subject: Template,
    /// Its text. Salesforce takes 32,000 characters.
    pub text: Template,
    /// When it is due, in business time from the qualification.
    pub due: SignedDuration,
    /// `High`, `Normal` or `Low`, or another of the account's words.
    pub priority: String,
    /// The account's word for the kind of task.
    pub kind: Option<String>,
    /// Its status at the beginning.
    pub status: String,
}

/// A next step that the mapping asks for beside the Salesforce task, once for each handoff.
///
/// The journal keeps each by its place in this list: a new one comes last.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NextStep {
    /// A task in HubSpot.
    HubSpotTask,
    /// A note in HubSpot.
    HubSpotNote,
    /// Membership of a Salesforce campaign.
    Campaign,
    /// A task in Salesforce that a queue owns.
    QueueTask,
    /// The start of a Salesforce flow.
    Flow,
    /// Enrolment in a HubSpot sequence.
    Sequence,
}

impl NextStep {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Self; 6] = [
        Self::HubSpotTask,
        Self::HubSpotNote,
        Self::QueueTask,
        Self::Campaign,
        Self::Flow,
        Self::Sequence,
    ];

    /// Its block under `[handoff]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::HubSpotTask => "hubspot_task",
            Self::HubSpotNote => "hubspot_note",
            Self::QueueTask => "queue_task",
            Self::Campaign => "campaign",
            Self::Flow => "flow",
            Self::Sequence => "sequence",
        }
    }

    /// In words: `the HubSpot task`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::HubSpotTask => "the HubSpot task",
            Self::HubSpotNote => "the HubSpot note",
            Self::QueueTask => "the queue's task",
            Self::Campaign => "the campaign membership",
            Self::Flow => "the Salesforce flow",
            Self::Sequence => "the enrolment in the HubSpot sequence",
        }
    }

    /// Where it is taken.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::HubSpotTask | Self::HubSpotNote | Self::Sequence => Side::HubSpot,
            Self::QueueTask | Self::Campaign | Self::Flow => Side::Salesforce,
        }
    }
}

/// A task in HubSpot.
#[derive(Debug)]
pub struct HubSpotTaskSpec {
    /// Its subject.
    pub subject: Template,
    /// Its text.
    pub text: Template,
    /// When it is due, in business time from the qualification.
    pub due: SignedDuration,
    /// `NONE`, `LOW`, `MEDIUM` or `HIGH`.
    pub priority: &'static str,
    /// `TODO`, `CALL`, `EMAIL`, or another of the account's words.
    pub kind: String,
    /// The id of the task queue that it goes into.
    pub queue: Option<String>,
}

/// A note in HubSpot.
#[derive(Debug)]
pub struct HubSpotNoteSpec {
    /// Its text.
    pub text: Template,
}

/// A task in Salesforce that a queue owns: whoever of the queue is free takes it.
#[derive(Debug)]
pub struct QueueTaskSpec {
    /// The queue's name.
    pub queue: String,
    /// The task.
    pub task: TaskSpec,
}

/// A campaign of Salesforce's that the person becomes a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignSpec {
    /// The campaign's id, 18 characters.
    pub id: String,
    /// The member's status; without it, the campaign's own default. Salesforce gives that default to
    /// whoever is sent with a status that the campaign does not have, and says nothing (Object
    /// Reference, CampaignMember, usage).
    pub status: Option<String>,
}

/// A flow of Salesforce's that is started.
#[derive(Debug, PartialEq)]
pub struct FlowSpec {
    /// Its API name.
    pub name: String,
    /// Whether it may be started again where nobody knows whether it ran: it does no harm twice.
    pub repeat: bool,
    /// What it gets, by the name of its input variable.
    pub inputs: BTreeMap<String, FlowInput>,
}

/// What an input of a flow gets.
#[derive(Debug, PartialEq)]
pub enum FlowInput {
    /// A text with places for values.
    Text(Template),
    /// Always the same number, true or false.
    Fixed(Raw),
}

/// A sequence of HubSpot's that the contact is enrolled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSpec {
    /// The sequence's id.
    pub id: String,
    /// In whose name its e-mails are sent.
    pub sender: Sender,
}

/// In whose name the e-mails of a sequence are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    /// The salesperson who owns the record.
    Owner,
    /// Always this user of HubSpot's, by e-mail address in lower case.
    User(String),
}

/// Business time: on which days and hours people work.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    /// The zone whose clock counts.
    pub zone: TimeZone,
    /// The hours of each day, Monday first; each in order, without overlap.
    pub week: [Vec<Hours>; 7],
    /// Days on which nobody works.
    pub holidays: BTreeSet<Date>,
}

/// Some hours of a day, in minutes since midnight by the wall clock. The end is not in it; 1,440 is
/// midnight at the day's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours {
    /// The first minute.
    pub from: u16,
    /// The minute behind the last.
    pub to: u16,
}

/// Business time for some records.
#[derive(Debug)]
pub struct Region {
    /// The region's name.
    pub name: String,
    /// Which records.
    pub when: Condition,
    /// When their people work.
    pub calendar: Calendar,
}

/// What has to have happened by when, in business time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceLevels {
    /// The first touch, from the qualification.
    pub touch: Option<Level>,
    /// Sales' answer, from the qualification.
    pub accept: Option<Level>,
    /// Without an answer until then, the handoff lapses.
    pub lapse: Option<SignedDuration>,
    /// What is done as a deadline comes near or has passed, in the file's order.
    pub escalations: Vec<Escalation>,
}

/// A deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// How long it may take.
    pub within: SignedDuration,
}

/// Which deadline.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// The first touch.
    Touch,
    /// Sales' answer.
    Accept,
}

impl Goal {
    /// In words: `first touch`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Touch => "first touch",
            Self::Accept => "acceptance",
        }
    }
}

/// Something that is done once as a deadline comes near or has passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// Its name, unique in the mapping.
    pub name: String,
    /// Which deadline it belongs to.
    pub goal: Goal,
    /// When, in business time from the deadline: a warning is before it, and below zero.
    pub after: SignedDuration,
    /// What is done.
    pub act: Act,
}

impl Escalation {
    /// Whether it comes before the deadline.
    #[must_use]
    pub fn warns(&self) -> bool {
        self.after.is_negative()
    }
}

/// What an escalation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Tells the webhook with this name.
    Notice(String),
    /// Gives the task this priority.
    Priority(String),
    /// Gives the record and the task to somebody else.
    Reassign(Heir),
}

/// Who takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heir {
    /// This person or queue.
    Target(Target),
    /// Whose turn is next.
    Next,
}

/// What counts as the first real action of a salesperson.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TouchSpec {
    /// The field that holds the status of the work, with the values that mean that nobody has
    /// begun. Leaving them is a touch.
    pub status: Option<(String, BTreeSet<String>)>,
    /// Whether a task that its owner completed counts.
    pub tasks: bool,
    /// Whether a logged outbound call counts.
    pub calls: bool,
    /// Whether a logged outbound e-mail counts.
    pub emails: bool,
    /// Whether calls and e-mails that a person logged in HubSpot count, too.
    pub hubspot: bool,
}

/// What counts as sales' answer.
#[derive(Debug)]
pub struct VerdictSpec {
    /// Sales takes it on.
    pub accepted: Option<Condition>,
    /// Sales gives it back.
    pub returned: Option<Condition>,
    /// The field that says why it was given back.
    pub reason: Option<String>,
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name. The service's settings hold its address by this name: an address may be a secret
    /// in itself.
    pub name: String,
    /// How it is told.
    pub shape: NoticeShape,
    /// What it is told of.
    pub on: BTreeSet<Occasion>,
}

/// How a notice is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeShape {
    /// Slack's incoming webhooks.
    Slack,
    /// Microsoft Teams' workflows: a message with an adaptive card.
    Teams,
    /// Plain JSON, signed.
    Json,
}

/// What a notice is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// It reached sales.
    Sent,
    /// Sales took it on.
    Accepted,
    /// Sales gave it back.
    Returned,
    /// Nobody answered in time.
    Lapsed,
    /// It became a customer.
    Won,
}

impl Occasion {
    /// The word for it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Returned => "returned",
            Self::Lapsed => "lapsed",
            Self::Won => "won",
        }
    }
}

/// What HubSpot may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feedback {
    /// Where the handoff stands.
    State,
    /// Who has it.
    Owner,
    /// When it was first touched.
    TouchedAt,
    /// How it was first touched.
    TouchedBy,
    /// Why it was given back, or lost.
    Reason,
    /// The opportunity's id.
    Opportunity,
    /// What was won.
    Amount,
    /// When it was won.
    WonAt,
}

impl Feedback {
    /// Its key in `[handoff.feedback]`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Owner => "owner",
            Self::TouchedAt => "touched_at",
            Self::TouchedBy => "touched_by",
            Self::Reason => "reason",
            Self::Opportunity => "opportunity",
            Self::Amount => "amount",
            Self::WonAt => "won_at",
        }
    }
}

/// The fields by which the report groups; each by its name in the mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    /// Where the person came from.
    pub source: Option<String>,
    /// What kind of customer it would be.
    pub segment: Option<String>,
}
