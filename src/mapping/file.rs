//! A mapping file as the admin writes it.
//!
//! The documentation of each key is the admin's reference too: it is the help of the key's
//! mistakes and the description in the JSON Schema.

mod handoff;
mod shapes;

pub use handoff::*;
pub use shapes::*;

use super::diagnostic::Findings;
use super::parse::{At, Named, Texts, block};

block! {
    /// One mapping: a kind of record that both systems have, and how its fields agree.
    MappingFile, "a mapping file" {
        /// The mapping's name, unique among the files: `name = "people"`.
        name: At<String>,
        /// One line for people: `about = "Contacts, and the Leads and Contacts they are in Salesforce"`.
        about: Option<At<String>>,
        /// What is particular to HubSpot: a block `[hubspot]` with `object = "contacts"` and `id_field = "salesforce_id"`.
        hubspot: At<HubSpotFile>,
        /// What is particular to Salesforce: a block `[salesforce]` with `object = "Lead"` and `id_field = "HubSpot_Id__c"`.
        salesforce: At<SalesforceFile>,
        /// How records that do not know each other are recognised, in order: blocks `[[match]]` with `hubspot = "email"` and `salesforce = "Email"`.
        r#match: Option<At<Vec<At<MatchFile>>>>,
        /// The fields: blocks `[[field]]` with `name = "phone"` and `type = "text"`.
        field: Option<At<Vec<At<FieldFile>>>>,
        /// The ordered stages of one field: a block `[stages]` with `field = "stage"`.
        stages: Option<At<StagesFile>>,
        /// What makes a record qualified: blocks `[[qualify]]` with `name`, `when`, `set` and `reason`.
        qualify: Option<At<Vec<At<QualifyFile>>>>,
        /// How a qualified record gets to sales: a block `[handoff]`.
        handoff: Option<At<HandoffFile>>,
        /// About owners: a block `[owners]` with `unknown = "leave"`, and one `[owners.queues]`.
        owners: Option<At<OwnersFile>>,
        /// What should come out for a given pair of records: blocks `[[example]]` with `name`, `hubspot`, `salesforce` and `expect`.
        example: Option<At<Vec<At<ExampleFile>>>>,
    }
}

block! {
    /// What is particular to HubSpot.
    HubSpotFile, "the block [hubspot]" {
        /// The object, by its API name: `object = "contacts"`.
        object: At<String>,
        /// A property with unique values that holds the Salesforce id of 18 characters: `id_field = "salesforce_id"`.
        id_field: At<String>,
        /// Which records take part, by HubSpot's own values; all without it: `scope = "email is not none"`.
        scope: Option<At<String>>,
        /// Whether records are created in HubSpot for Salesforce's records: `create = "never"` (without it), `"always"` or `{ when = "email is not none" }`.
        create: Option<At<CreateFile>>,
        /// What follows in Salesforce when a record is deleted in HubSpot: `on_delete = "unlink"` (without it: the link ends, the other record stays), `"follow"` (it is deleted too) or `"ignore"` (the link waits).
        on_delete: Option<At<OnDeleteWord>>,
    }
}

block! {
    /// What is particular to Salesforce.
    SalesforceFile, "the block [salesforce]" {
        /// The object, by its API name: `object = "Lead"`.
        object: At<String>,
        /// The object that a record becomes when it is converted: `becomes = "Contact"`.
        becomes: Option<At<String>>,
        /// An external-id field with unique values that holds the HubSpot id: `id_field = "HubSpot_Id__c"`.
        id_field: At<String>,
        /// Which records take part, by Salesforce's own values; all without it: `scope = "email is not none"`.
        scope: Option<At<String>>,
        /// Whether records are created in Salesforce for HubSpot's records: `create = "never"` (without it), `"always"` or `{ when = "score >= 50" }`.
        create: Option<At<CreateFile>>,
        /// What follows in HubSpot when a record is deleted in Salesforce: `on_delete = "unlink"` (without it: the link ends, the other record stays), `"follow"` (it is deleted too) or `"ignore"` (the link waits).
        on_delete: Option<At<OnDeleteWord>>,
        /// Whether assignment rules give a created record its owner: `assign = false` (without it), `true` (the active rule) or a rule's id, `"01QD0000000EqAn"`.
        assign: Option<At<AssignFile>>,
        /// Whether a record is created although a duplicate rule warns: `allow_duplicates = false` (without it) or `true`.
        allow_duplicates: Option<At<bool>>,
    }
}

block! {
    /// A key by which records that do not know each other are recognised.
    MatchFile, "the block [[match]]" {
        /// The HubSpot property: `hubspot = "email"`.
        hubspot: At<String>,
        /// The Salesforce field: `salesforce = "Email"`.
        salesforce: At<String>,
        /// How both values are brought to one spelling: `normalise = ["trim", "lower"]`.
        normalise: Option<At<Vec<At<StepFile>>>>,
    }
}

block! {
    /// One field that both systems have.
    FieldFile, "the block [[field]]" {
        /// The name by which conditions, conflicts and history know the field: `name = "phone"`.
        name: At<String>,
        /// What the field holds: `type = "text"`, `"number"`, `"date"`, `"date-time"`, `"yes-no"`, `"choice"`, `"choices"`, `"owner"` or `{ link = "companies" }`.
        r#type: At<TypeFile>,
        /// The HubSpot property: `hubspot = "phone"`.
        hubspot: Option<At<String>>,
        /// The Salesforce field: `salesforce = "Phone"`, or one name for each object, `{ Lead = "Company", Contact = "Company_Name__c" }`.
        salesforce: Option<At<NamesFile>>,
        /// Which way the field flows: `direction = "both"` (without it), `"to-salesforce"`, `"to-hubspot"` or `"read"` (neither; it is there for conditions).
        direction: Option<At<DirectionWord>>,
        /// How each side's choices correspond: `values = [{ hubspot = "NEW", salesforce = "Open - Not Contacted" }]`. A list on a side means that several of its values are the same thing.
        values: Option<At<Vec<At<ValueRowFile>>>>,
        /// What a value does that `values` does not list: `unlisted = "reject"` (without it), `"pass"`, `{ use = "NEW" }`, or one of these for each side, `{ hubspot = "pass", salesforce = "reject" }`.
        unlisted: Option<At<UnlistedFile>>,
        /// How both sides' values are brought to one spelling: `transform = ["trim", { truncate = 80 }]`.
        transform: Option<At<Vec<At<StepFile>>>>,
        /// What turns HubSpot's value into the mapping's, and is undone on the way back: `hubspot_transform = [{ scale = 100 }]`.
        hubspot_transform: Option<At<Vec<At<StepFile>>>>,
        /// What turns Salesforce's value into the mapping's, and is undone on the way back: `salesforce_transform = [{ prefix = "HS-" }]`.
        salesforce_transform: Option<At<Vec<At<StepFile>>>>,
        /// What a blank value does across: `blank = "ignore"` (without it), `"clear"`, or one for each direction, `{ to_hubspot = "clear", to_salesforce = "ignore" }`.
        blank: Option<At<BlankFile>>,
        /// What decides when both sides have a value and nothing is remembered yet: `first = "hubspot"`, or several rules in order, `["furthest", "newest"]`. Without it, the rules of `conflict`.
        first: Option<At<RulesFile>>,
        /// What decides when both sides changed, in order: `conflict = ["newest", "ask"]` (without it).
        conflict: Option<At<RulesFile>>,
        /// How close two times of change may be for `newest` to have no opinion: `tolerance = "5s"` (without it).
        tolerance: Option<At<String>>,
        /// Which small moves of a number are not worth a write: `quiet = { band = 5, thresholds = [50, 80] }`.
        quiet: Option<At<QuietFile>>,
        /// What an edit on the far side of a one-way field does: `far_edit = "restore"` (without it) or `"leave"`.
        far_edit: Option<At<FarEditWord>>,
    }
}

block! {
    /// One row of a table of values.
    ValueRowFile, "a row of values" {
        /// The name by which conditions and history know the value; without it, HubSpot's value: `name = "working"`.
        name: Option<At<String>>,
        /// HubSpot's value, or several that mean the same; the first is written: `hubspot = ["CONNECTED", "ATTEMPTED_TO_CONTACT"]`.
        hubspot: Option<At<Texts>>,
        /// Salesforce's value, or several that mean the same; the first is written: `salesforce = "Working - Contacted"`.
        salesforce: Option<At<Texts>>,
    }
}

block! {
    /// Which small moves of a number are not worth a write.
    QuietFile, "the block quiet" {
        /// A move of less than this waits for the next write: `band = 5`.
        band: At<f64>,
        /// Crossing one of these is always written: `thresholds = [50, 80]`.
        thresholds: Option<At<Vec<At<f64>>>>,
    }
}

block! {
    /// The ordered stages of one field.
    StagesFile, "the block [stages]" {
        /// The name of the field that holds the stage: `field = "stage"`.
        field: At<String>,
        /// The stages, earliest first: `order = ["lead", "marketingqualifiedlead", "customer"]`. Without it, the order of the field's `values`.
        order: Option<At<Vec<At<String>>>>,
        /// How a stage may go back, in order: blocks `[[stages.back]]` with `name`, `when` and `reason`.
        back: Option<At<Vec<At<BackFile>>>>,
    }
}

block! {
    /// A way for a stage to go back.
    BackFile, "the block [[stages.back]]" {
        /// The rule's name, for history: `name = "recycled"`.
        name: At<String>,
        /// The stages that it leaves; any later stage without it: `from = ["marketingqualifiedlead", "salesqualifiedlead"]`.
        from: Option<At<Texts>>,
        /// Where it goes: `to = "lead"`. Without it, where a person moved the stage to.
        to: Option<At<String>>,
        /// When it applies: `when = "lead_status == 'BAD_TIMING'"`.
        when: At<String>,
        /// Why, for history: `reason = "sales asked to try again later"`.
        reason: At<String>,
    }
}

block! {
    /// What makes a record qualified.
    QualifyFile, "the block [[qualify]]" {
        /// The rule's name, for history: `name = "score"`.
        name: At<String>,
        /// When it applies: `when = "score >= 50 and stage in ['subscriber', 'lead']"`.
        when: At<String>,
        /// The fields that it sets: `set = { stage = "marketingqualifiedlead" }`.
        set: At<Named<Scalar>>,
        /// Why, for history and for the salesperson: `reason = "the score reached 50"`.
        reason: At<String>,
        /// It applies once; and once more each time after this held: `again = "stage == 'lead'"`.
        again: Option<At<String>>,
    }
}

block! {
    /// About owners.
    OwnersFile, "the block [owners]" {
        /// Whose a queue's records are in HubSpot, by the owner's e-mail address: `queues = { "Inbound" = "ann@example.com" }`. The records of other queues keep their HubSpot owner.
        queues: Option<At<Named<String>>>,
        /// What an owner does who is nobody on the other side, a technical user above all: `unknown = "reject"` (without it: it is put before a person) or `"leave"` (the owner stays, and the other side keeps its own).
        unknown: Option<At<UnknownOwnerWord>>,
    }
}

block! {
    /// What should come out for a given pair of records.
    ExampleFile, "the block [[example]]" {
        /// What the example shows: `name = "a second lead status does not flatten the first"`.
        name: At<String>,
        /// What both sides last agreed on, by the mapping's names and in its spelling: `base = { stage = "lead" }`. Without it, the records meet for the first time.
        base: Option<At<Named<Scalar>>>,
        /// The HubSpot record in HubSpot's spelling, but that an owner is an e-mail address: `hubspot = { email = "ada@example.com", lifecyclestage = "lead" }`. Without it, there is none.
        hubspot: Option<At<Named<Scalar>>>,
        /// The Salesforce record in Salesforce's spelling, but that an owner is an e-mail address or `queue:` and a queue's name: `salesforce = { Email = "ada@example.com" }`. Without it, there is none.
        salesforce: Option<At<Named<Scalar>>>,
        /// The Salesforce record's object, where it has been converted: `salesforce_object = "Contact"`.
        salesforce_object: Option<At<String>>,
        /// When fields were changed, by the platforms' names: `changed = { hubspot = { phone = "2026-11-20T09:00:00Z" } }`.
        changed: Option<At<ChangedFile>>,
        /// The rules of `[[qualify]]` and `[[stages.back]]` that have applied before: `applied = ["score"]`.
        applied: Option<At<Vec<At<String>>>>,
        /// The time: `now = "2026-11-22T09:00:00Z"` (without it).
        now: Option<At<Scalar>>,
        /// What should come out: `expect = { salesforce = { Status = "Working - Contacted" } }`. A side without values is not written.
        expect: At<ExpectFile>,
    }
}

block! {
    /// When an example's fields were changed.
    ChangedFile, "the block changed" {
        /// In HubSpot: `hubspot = { phone = "2026-11-20T09:00:00Z" }`.
        hubspot: Option<At<Named<Scalar>>>,
        /// In Salesforce: `salesforce = { Phone = "2026-11-20T09:05:00Z" }`.
        salesforce: Option<At<Named<Scalar>>>,
    }
}

block! {
    /// What should come out of an example.
    ExpectFile, "the block expect" {
        /// Exactly what is written to HubSpot, in its spelling, but for the id field: `hubspot = { hs_lead_status = "CONNECTED" }`.
        hubspot: Option<At<Named<Scalar>>>,
        /// Exactly what is written to Salesforce, in its spelling, but for the id field: `salesforce = { Status = "Working - Contacted" }`.
        salesforce: Option<At<Named<Scalar>>>,
        /// Which rule decides, for the fields of interest: `rules = { phone = "newest" }`.
        rules: Option<At<Named<String>>>,
        /// The fields that are parked for a person: `conflicts = ["phone"]`.
        conflicts: Option<At<Vec<At<String>>>>,
        /// The fields whose values cannot be settled: `rejects = ["lead_status"]`.
        rejects: Option<At<Vec<At<String>>>>,
    }
}

/// The items of an optional list.
pub fn items<T>(list: &Option<At<Vec<T>>>) -> &[T] {
    list.as_ref().map_or(&[], |list| &list.value)
}

/// Reports a name that is none of the known ones.
pub fn unknown_name<'a>(
    code: &'static str,
    found: &At<String>,
    what: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    findings: &mut Findings,
) {
    let list: Vec<&str> = known.clone().into_iter().collect();
    let finding = findings
        .error(code, &found.span, format!("there is no {what} `{}`", found.value))
        .label("not known");
    if list.is_empty() {
        finding.help(format!("the file has no {what} yet"));
    } else {
        finding.help(format!("there is {}", list.join(", ")));
    }
    finding.suggest(&found.value, known);
}
