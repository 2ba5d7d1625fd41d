//! The block `[handoff]` as the admin writes it.

use schemars::JsonSchema;
use toml::Spanned;
use toml::de::DeValue;

use super::shapes::word_or_block;
use crate::mapping::diagnostic::Findings;
use crate::mapping::parse::{At, FromToml, Named, Texts, block, misfit, words};

block! {
    /// How a qualified record gets to sales, and what marketing hears of it.
    HandoffFile, "the block [handoff]" {
        /// What opens a handoff: `when = "qualified"` (without it: any `[[qualify]]` that applies), `{ stage = "marketingqualifiedlead" }` or `{ condition = "score >= 50" }`.
        when: Option<At<TriggerFile>>,
        /// Who is not handed to sales: blocks `[[handoff.exclude]]` with `name`, `when` and `reason`.
        exclude: Option<At<Vec<At<ExcludeFile>>>>,
        /// Who gets it: a block `[handoff.assign]` with `to = "rules"`.
        assign: Option<At<AssignmentFile>>,
        /// The task that tells the owner what to do: a block `[handoff.task]` with `subject`, `text` and `due`.
        task: Option<At<TaskFile>>,
        /// A task in HubSpot: a block `[handoff.hubspot_task]`.
        hubspot_task: Option<At<HubSpotTaskFile>>,
        /// A note in HubSpot: a block `[handoff.hubspot_note]`.
        hubspot_note: Option<At<HubSpotNoteFile>>,
        /// A task in Salesforce that a queue owns: a block `[handoff.queue_task]` with `queue = "Inside Sales Calls"`.
        queue_task: Option<At<QueueTaskFile>>,
        /// A campaign of Salesforce's: `campaign = { id = "701000000000001AAA", status = "Sent" }`.
        campaign: Option<At<CampaignFile>>,
        /// An autolaunched flow of Salesforce's that is started: a block `[handoff.flow]` with `name` and `inputs`.
        flow: Option<At<FlowFile>>,
        /// A sequence of HubSpot's that the contact is enrolled in: `sequence = { id = "123456789", sender = "owner" }`.
        sequence: Option<At<SequenceFile>>,
        /// Business time: a block `[handoff.calendar]` with `zone = "Europe/Berlin"` and `hours = "09:00-17:00"`. Without it, every hour counts.
        calendar: Option<At<CalendarFile>>,
        /// Business time for some records: blocks `[[handoff.region]]` with `name`, `when` and the keys of the calendar.
        region: Option<At<Vec<At<RegionFile>>>>,
        /// What has to have happened by when: a block `[handoff.levels]` with `touch = "4h"`.
        levels: Option<At<LevelsFile>>,
        /// What is done as a deadline comes near or has passed: blocks `[[handoff.escalate]]` with `name`, `goal`, `before` or `after`, and what is done.
        escalate: Option<At<Vec<At<EscalateFile>>>>,
        /// What counts as the first real action of a salesperson: a block `[handoff.touch]`.
        touch: Option<At<TouchFile>>,
        /// What counts as sales' answer: a block `[handoff.answer]` with `accepted` and `returned`.
        answer: Option<At<AnswerFile>>,
        /// Who is told: blocks `[[handoff.webhook]]` with `name`, `shape` and `on`.
        webhook: Option<At<Vec<At<WebhookFile>>>>,
        /// What HubSpot is told, each in a property: a block `[handoff.feedback]` with `state = "handoff_state"`.
        feedback: Option<At<FeedbackFile>>,
        /// The fields by which the report groups: `groups = { source = "source" }`.
        groups: Option<At<GroupsFile>>,
    }
}

words! {
    /// What opens a handoff.
    TriggerWord, "what opens a handoff" {
        /// Any `[[qualify]]` that applies.
        Qualified = "qualified",
    }
}

/// What opens a handoff, other than a qualification.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum TriggerBlock {
    /// A stage.
    Stage(TriggerStage),
    /// A condition.
    Condition(TriggerCondition),
}

block! {
    /// A stage opens a handoff.
    TriggerStage, "{ stage = … }" {
        /// The stage that is reached, or passed: `stage = "marketingqualifiedlead"`.
        stage: At<String>,
    }
}

block! {
    /// A condition opens a handoff.
    TriggerCondition, "{ condition = … }" {
        /// The condition, each time that it begins to hold: `condition = "score is not none and score >= 50"`.
        condition: At<String>,
    }
}

impl FromToml for TriggerBlock {
    const NOUN: &'static str = "{ stage = … } or { condition = … }";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        let staged = found.get_ref().as_table().is_some_and(|table| table.contains_key("stage"));
        if staged {
            TriggerStage::from_toml(found, findings).map(Self::Stage)
        } else {
            TriggerCondition::from_toml(found, findings).map(Self::Condition)
        }
    }
}

word_or_block! {
    /// What opens a handoff.
    TriggerFile, "\"qualified\", { stage = … } or { condition = … }", TriggerWord, TriggerBlock
}

block! {
    /// Records that are not handed to sales.
    ExcludeFile, "the block [[handoff.exclude]]" {
        /// The name by which they are counted: `name = "customers"`.
        name: At<String>,
        /// Which records: `when = "stage == 'customer'"`.
        when: At<String>,
        /// Why, for history and the report: `reason = "a customer already"`.
        reason: At<String>,
    }
}

words! {
    /// Who gets a record.
    AssignWord, "who gets it" {
        /// Whoever Salesforce's assignment rules say; `assign` under `[salesforce]` says which rule.
        Rules = "rules",
        /// The owner that the record has in HubSpot.
        HubSpotOwner = "hubspot-owner",
        /// Whose turn it is among `[[handoff.assign.member]]`.
        Turns = "turns",
    }
}

/// A person or a queue.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum TargetFile {
    /// A person.
    User(UserTarget),
    /// A queue.
    Queue(QueueTarget),
}

block! {
    /// A person.
    UserTarget, "{ user = … }" {
        /// The user's e-mail address: `user = "ann@example.com"`.
        user: At<String>,
    }
}

block! {
    /// A queue.
    QueueTarget, "{ queue = … }" {
        /// The queue's name: `queue = "Inbound"`.
        queue: At<String>,
    }
}

impl FromToml for TargetFile {
    const NOUN: &'static str = "{ user = … } or { queue = … }";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        let queue = found.get_ref().as_table().is_some_and(|table| table.contains_key("queue"));
        if queue {
            QueueTarget::from_toml(found, findings).map(Self::Queue)
        } else {
            UserTarget::from_toml(found, findings).map(Self::User)
        }
    }
}

word_or_block! {
    /// Who gets a record.
    AssignToFile, "\"rules\", \"hubspot-owner\", \"turns\", { user = … } or { queue = … }", AssignWord, TargetFile
}

block! {
    /// Who gets a handed-off record.
    AssignmentFile, "the block [handoff.assign]" {
        /// Who: `to = "rules"`, `"hubspot-owner"`, `"turns"`, `{ user = "ann@example.com" }` or `{ queue = "Inbound" }`.
        to: At<AssignToFile>,
        /// Those who take turns: blocks `[[handoff.assign.member]]` with `user = "ann@example.com"`.
        member: Option<At<Vec<At<MemberFile>>>>,
        /// Who gets it when none of them can: `otherwise = { queue = "Inbound" }`. Without it, Salesforce's rules decide.
        otherwise: Option<At<TargetFile>>,
    }
}

block! {
    /// One who takes turns.
    MemberFile, "the block [[handoff.assign.member]]" {
        /// The user's e-mail address: `user = "ann@example.com"`.
        user: At<String>,
        /// How many turns, compared with the others: `weight = 2`. Without it, 1.
        weight: Option<At<f64>>,
        /// How many a day at most: `cap = 20`.
        cap: Option<At<f64>>,
        /// For which records: `when = "country == 'DE'"`. Without it, all.
        when: Option<At<String>>,
    }
}

block! {
    /// The task that tells the owner what to do.
    TaskFile, "the block [handoff.task]" {
        /// Its subject, 255 characters at most: `subject = "Call {{ first_name }} {{ last_name }}"`.
        subject: At<String>,
        /// Its text, 32,000 characters at most: `text = "Qualified because {{ handoff.reason }}."`.
        text: At<String>,
        /// When it is due, in business time from the qualification: `due = "4h"` (without it).
        due: Option<At<String>>,
        /// Its priority: `priority = "High"`. Without it, `"Normal"`.
        priority: Option<At<String>>,
        /// The kind of task in the account's words, where its `Type` is used: `type = "Call"`.
        r#type: Option<At<String>>,
        /// Its status at the beginning: `status = "Not Started"` (without it).
        status: Option<At<String>>,
    }
}

words! {
    /// How urgent a HubSpot task is.
    HubSpotPriorityWord, "the priority of a HubSpot task" {
        /// Not said.
        Unsaid = "NONE",
        /// Low.
        Low = "LOW",
        /// Medium.
        Medium = "MEDIUM",
        /// High.
        High = "HIGH",
    }
}

block! {
    /// A task in HubSpot, exactly one for each handoff.
    HubSpotTaskFile, "the block [handoff.hubspot_task]" {
        /// Its subject: `subject = "Call {{ first_name }}"`. Without it, that of `[handoff.task]`.
        subject: Option<At<String>>,
        /// Its text: `text = "Qualified because {{ handoff.reason }}."`. Without it, that of `[handoff.task]`.
        text: Option<At<String>>,
        /// When it is due, in business time from the qualification: `due = "4h"`. Without it, as `[handoff.task]`.
        due: Option<At<String>>,
        /// Its priority: `priority = "HIGH"`. Without it, `"NONE"`.
        priority: Option<At<HubSpotPriorityWord>>,
        /// What is to be done: `type = "CALL"`, `"EMAIL"` or `"TODO"` (without it).
        r#type: Option<At<String>>,
        /// The id of the task queue that it goes into, from the address of the queue's page: `queue = "1234567"`.
        queue: Option<At<String>>,
    }
}

block! {
    /// A note in HubSpot, exactly one for each handoff.
    HubSpotNoteFile, "the block [handoff.hubspot_note]" {
        /// Its text: `text = "Handed to {{ owner }}."`. Without it, that of `[handoff.task]`.
        text: Option<At<String>>,
    }
}

block! {
    /// A task in Salesforce that a queue owns, exactly one for each handoff.
    QueueTaskFile, "the block [handoff.queue_task]" {
        /// The queue's name; it has to support tasks: `queue = "Inside Sales Calls"`.
        queue: At<String>,
        /// Its subject: `subject = "Call {{ first_name }}"`. Without it, that of `[handoff.task]`.
        subject: Option<At<String>>,
        /// Its text: `text = "Qualified because {{ handoff.reason }}."`. Without it, that of `[handoff.task]`.
        text: Option<At<String>>,
        /// When it is due, in business time from the qualification: `due = "4h"`. Without it, as `[handoff.task]`.
        due: Option<At<String>>,
        /// Its priority: `priority = "High"`. Without it, as `[handoff.task]`, or `"Normal"`.
        priority: Option<At<String>>,
        /// The kind of task in the account's words: `type = "Call"`. Without it, as `[handoff.task]`.
        r#type: Option<At<String>>,
        /// Its status at the beginning: `status = "Not Started"`. Without it, as `[handoff.task]`.
        status: Option<At<String>>,
    }
}

block! {
    /// A campaign of Salesforce's that the person becomes a member of.
    CampaignFile, "the block [handoff.campaign]" {
        /// The campaign's id: `id = "701000000000001AAA"`.
        id: At<String>,
        /// The member's status, one of the campaign's own: `status = "Sent"`. Without it, the campaign's default.
        status: Option<At<String>>,
    }
}

block! {
    /// An autolaunched flow of Salesforce's that is started once for each handoff.
    FlowFile, "the block [handoff.flow]" {
        /// Its API name: `name = "Lead_Handed_Off"`.
        name: At<String>,
        /// Whether it is started again where an answer was lost and nobody knows whether it ran: `repeat = true`, only for a flow that does no harm when it runs twice. Without it, it is not, and a person is told.
        repeat: Option<At<bool>>,
        /// What its input variables get, by their API names: `inputs = { recordId = "{{ ids.salesforce }}", urgent = true }`.
        inputs: Option<At<Named<FlowInputFile>>>,
    }
}

/// What an input variable of a flow gets.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum FlowInputFile {
    /// A text with places for values.
    Text(At<String>),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
}

impl FromToml for FlowInputFile {
    const NOUN: &'static str = "a text, a number, true or false";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(text) => {
                Some(Self::Text(At { value: text.clone().into_owned(), span: found.span() }))
            }
            DeValue::Integer(_) | DeValue::Float(_) => {
                f64::from_toml(found, findings).map(Self::Number)
            }
            DeValue::Boolean(yes) => Some(Self::Bool(*yes)),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

block! {
    /// A sequence of HubSpot's that the contact is enrolled in.
    SequenceFile, "the block [handoff.sequence]" {
        /// The sequence's id, from the address of its page: `id = "123456789"`.
        id: At<String>,
        /// In whose name its e-mails are sent: `sender = "owner"` (without it: who owns the record) or the e-mail address of a HubSpot user, `"ann@example.com"`.
        sender: Option<At<String>>,
    }
}

block! {
    /// Business time.
    CalendarFile, "the block [handoff.calendar]" {
        /// The zone whose clock counts: `zone = "Europe/Berlin"`.
        zone: At<String>,
        /// The hours of each working day: `hours = "09:00-17:00"` (without it), or several, `["09:00-12:00", "13:00-17:00"]`.
        hours: Option<At<Texts>>,
        /// The working days: `days = ["monday", "tuesday", "wednesday", "thursday", "friday"]` (without it).
        days: Option<At<Vec<At<DayWord>>>>,
        /// Days on which nobody works: `holidays = ["2026-12-25"]`.
        holidays: Option<At<Vec<At<DateFile>>>>,
    }
}

block! {
    /// Business time for some records.
    RegionFile, "the block [[handoff.region]]" {
        /// The region's name: `name = "America"`.
        name: At<String>,
        /// Which records: `when = "country == 'US'"`.
        when: At<String>,
        /// The zone whose clock counts: `zone = "America/New_York"`.
        zone: At<String>,
        /// The hours of each working day: `hours = "09:00-17:00"` (without it), or several, `["09:00-12:00", "13:00-17:00"]`.
        hours: Option<At<Texts>>,
        /// The working days: `days = ["monday", "tuesday", "wednesday", "thursday", "friday"]` (without it).
        days: Option<At<Vec<At<DayWord>>>>,
        /// Days on which nobody works: `holidays = ["2026-11-26"]`.
        holidays: Option<At<Vec<At<DateFile>>>>,
    }
}

words! {
    /// A day of the week.
    DayWord, "a day of the week" {
        /// Monday.
        Monday = "monday",
        /// Tuesday.
        Tuesday = "tuesday",
        /// Wednesday.
        Wednesday = "wednesday",
        /// Thursday.
        Thursday = "thursday",
        /// Friday.
        Friday = "friday",
        /// Saturday.
        Saturday = "saturday",
        /// Sunday.
        Sunday = "sunday",
    }
}

/// A day, in quotes or as TOML writes one.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(transparent)]
pub struct DateFile(pub String);

impl FromToml for DateFile {
    const NOUN: &'static str = "a day: 2026-12-25";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(text) => Some(Self(text.clone().into_owned())),
            DeValue::Datetime(moment) => Some(Self(moment.to_string())),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

block! {
    /// What has to have happened by when, in business time from the qualification.
    LevelsFile, "the block [handoff.levels]" {
        /// The first touch: `touch = "4h"`.
        touch: Option<At<String>>,
        /// Sales' answer: `accept = "16h"`.
        accept: Option<At<String>>,
        /// Without an answer until then, the handoff lapses: `lapse = "80h"`.
        lapse: Option<At<String>>,
    }
}

words! {
    /// Which deadline.
    GoalWord, "a goal" {
        /// The first touch.
        Touch = "touch",
        /// Sales' answer.
        Accept = "accept",
    }
}

words! {
    /// Whose turn is next.
    HeirWord, "who takes over" {
        /// Whose turn is next among `[[handoff.assign.member]]`.
        Next = "next",
    }
}

word_or_block! {
    /// Who takes over.
    HeirFile, "\"next\", { user = … } or { queue = … }", HeirWord, TargetFile
}

block! {
    /// What is done, once, as a deadline comes near or has passed.
    EscalateFile, "the block [[handoff.escalate]]" {
        /// Its name, for history: `name = "an hour left"`.
        name: At<String>,
        /// Which deadline: `goal = "touch"` or `"accept"`.
        goal: At<GoalWord>,
        /// How long before the deadline, in business time: `before = "1h"`.
        before: Option<At<String>>,
        /// How long after the deadline, in business time: `after = "0m"`.
        after: Option<At<String>>,
        /// Tells a webhook: `notice = "sales"`.
        notice: Option<At<String>>,
        /// Gives the task another priority: `priority = "High"`.
        priority: Option<At<String>>,
        /// Gives the record and its task to somebody else: `reassign = "next"`, `{ user = "ann@example.com" }` or `{ queue = "Inbound" }`.
        reassign: Option<At<HeirFile>>,
    }
}

block! {
    /// What counts as the first real action of a salesperson.
    TouchFile, "the block [handoff.touch]" {
        /// The field that holds the status of the work: `status = "lead_status"`.
        status: Option<At<String>>,
        /// Its values that mean that nobody has begun; to leave them is a touch: `new = ["open"]`.
        new: Option<At<Texts>>,
        /// Whether a task that its owner completed counts: `tasks = true` (without it).
        tasks: Option<At<bool>>,
        /// Whether a logged outbound call counts: `calls = true` (without it).
        calls: Option<At<bool>>,
        /// Whether a logged outbound e-mail counts: `emails = true` (without it).
        emails: Option<At<bool>>,
        /// Whether calls and e-mails that a person logged in HubSpot count, too: `hubspot = true`. Without it, those in Salesforce only.
        hubspot: Option<At<bool>>,
    }
}

block! {
    /// What counts as sales' answer. A conversion always is one: sales accepted.
    AnswerFile, "the block [handoff.answer]" {
        /// Sales takes it on: `accepted = "lead_status == 'working'"`.
        accepted: Option<At<String>>,
        /// Sales gives it back: `returned = "lead_status == 'closed'"`.
        returned: Option<At<String>>,
        /// The field that says why it was given back: `reason = "return_reason"`.
        reason: Option<At<String>>,
    }
}

words! {
    /// How a notice is spelled.
    ShapeWord, "how a notice is spelled" {
        /// As Slack's incoming webhooks take it.
        Slack = "slack",
        /// As Microsoft Teams' workflows take it.
        Teams = "teams",
        /// Plain JSON, signed.
        Json = "json",
    }
}

words! {
    /// What a notice is about.
    OccasionWord, "what a notice is about" {
        /// It reached sales.
        Sent = "sent",
        /// Sales took it on.
        Accepted = "accepted",
        /// Sales gave it back.
        Returned = "returned",
        /// Nobody answered in time.
        Lapsed = "lapsed",
        /// It became a customer.
        Won = "won",
    }
}

block! {
    /// Who is told of what.
    WebhookFile, "the block [[handoff.webhook]]" {
        /// Its name, as in the service's settings, which hold its address: `name = "sales"`.
        name: At<String>,
        /// How it is told: `shape = "slack"`, `"teams"` or `"json"` (without it).
        shape: Option<At<ShapeWord>>,
        /// What it is told of besides escalations: `on = ["sent", "returned"]`. Without it, of nothing else.
        on: Option<At<Vec<At<OccasionWord>>>>,
    }
}

block! {
    /// What HubSpot is told, each in a property of the record.
    FeedbackFile, "the block [handoff.feedback]" {
        /// Where the handoff stands: `state = "handoff_state"`.
        state: Option<At<String>>,
        /// Who has it: `owner = "handoff_owner"`.
        owner: Option<At<String>>,
        /// When it was first touched, a date and time: `touched_at = "handoff_touched_at"`.
        touched_at: Option<At<String>>,
        /// How it was first touched: `touched_by = "handoff_touched_by"`.
        touched_by: Option<At<String>>,
        /// Why it was given back or lost: `reason = "handoff_reason"`.
        reason: Option<At<String>>,
        /// The opportunity's id: `opportunity = "handoff_opportunity"`.
        opportunity: Option<At<String>>,
        /// What was won, a number: `amount = "handoff_amount"`.
        amount: Option<At<String>>,
        /// When it was won, a date and time: `won_at = "handoff_won_at"`.
        won_at: Option<At<String>>,
    }
}

block! {
    /// The fields by which the report groups.
    GroupsFile, "the block groups" {
        /// Where the person came from: `source = "source"`.
        source: Option<At<String>>,
        /// What kind of customer it would be: `segment = "segment"`.
        segment: Option<At<String>>,
    }
}
