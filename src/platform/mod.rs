//! The two platforms behind one trait.
//!
//! [`Platform`] is what the daemon knows of a side: read, find, write, what changed, what the
//! account looks like. `hubspot` and `salesforce` implement it, each with its vendor's JSON in its
//! own `wire.rs`; `transport` is the one seam for HTTP (pace, retry, time limits, redaction) and
//! `auth` the one place that knows how to sign in.
//!
//! This room knows nothing of mappings, of the journal or of the sandbox.

pub mod auth;
pub mod hubspot;
pub mod salesforce;
pub mod transport;

mod error;
mod schema;
mod start;

pub use error::{Error, ErrorKind, Refusal, RefusalKind};
pub use schema::{Choice, FieldKind, FieldSchema, ObjectSchema};
pub use start::{Start, StartInput, Startable, Started};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::{Change, Raw, Record, Side};

/// What to read of each record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// The object's name in the side's spelling.
    pub object: String,
    /// The fields to return, in the side's spelling. HubSpot takes `associations.<type>` for the
    /// id of the primary associated record.
    pub fields: BTreeSet<String>,
    /// Those of `fields` whose own time of change a rule needs. HubSpot returns it from the
    /// property's history, in batches half the size; Salesforce has none and ignores this.
    pub stamps: BTreeSet<String>,
}

/// One record's write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The object's name in the side's spelling.
    pub object: String,
    /// Which record, and what is done to it.
    pub action: Action,
    /// The values to set, in the side's spelling. Absent fields stay as they are; [`Raw::Null`]
    /// clears.
    pub fields: BTreeMap<String, Raw>,
    /// Those of `fields` that the platform must first be made to forget: HubSpot keeps a lifecycle
    /// stage silently rather than go back to an earlier one.
    pub clear_first: BTreeSet<String>,
    /// What the platform's own automation is told about this write.
    pub options: WriteOptions,
}

/// Which record is written, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Change the record with this id. It is never created.
    Update {
        /// The record's id.
        id: String,
    },
    /// Create the record, or change the one whose unique field `key_field` already holds
    /// `key`. Repeating it creates nothing twice.
    Upsert {
        /// A HubSpot property with unique values, or a Salesforce external id.
        key_field: String,
        /// Its value.
        key: String,
    },
    /// Create a record that no unique field identifies: a task, a note, a campaign's member. It is
    /// never repeated by itself, and whoever asks for it looks for it before they ask again.
    Create,
    /// Put the record into the recycle bin (Salesforce) or the archive (HubSpot).
    Delete {
        /// The record's id.
        id: String,
    },
}

/// What the platform's own automation is told about a write.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WriteOptions {
    /// Whether Salesforce's assignment rules run. HubSpot has none.
    pub assign: Assignment,
    /// Whether Salesforce saves although a duplicate rule of the kind "alert" objects.
    pub allow_duplicates: bool,
}

/// Whether Salesforce's assignment rules run on a write.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assignment {
    /// They do not: a score update must not give a lead another owner.
    #[default]
    Off,
    /// The active rule runs.
    Active,
    /// The rule with this id runs.
    Rule(String),
}

/// What became of one [`Write`].
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It took effect.
    Done {
        /// The record's id.
        id: String,
        /// Whether the record is new.
        created: bool,
        /// The values that the platform says it now holds, where it says so.
        echoed: BTreeMap<String, Raw>,
    },
    /// The platform refused this record for good: repeating the same write is of no use.
    Refused(Refusal),
    /// It had no effect: it was not sent, or the platform said "not now".
    NotDone(Error),
    /// It had no effect: for want of a turn it would have gone out so late that what it was decided
    /// from is old. It is to be decided anew, and nothing is wrong with it.
    Late {
        /// How long the platform's limits will keep it waiting yet, as far as that is known.
        left: Duration,
    },
    /// It may or may not have taken effect. The record is to be read before anything is repeated.
    Unknown(Error),
}

/// A place in a side's sequence of changes. Its text is the client's own affair; it is remembered
/// and handed back as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One page of changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// What changed, each with the record's time of modification. A record can appear again on a
    /// later page or in a later round: rounds overlap, because both platforms let changes appear
    /// later than they are stamped.
    pub changes: Vec<Change>,
    /// For each of `changes`, the record as this listing shows it, with the fields that were asked
    /// for; none where it shows none (a deletion). A listing may lag behind the record (HubSpot's
    /// search index), so it tells an echo of what is already agreed, and is never settled from.
    pub seen: Vec<Option<Record>>,
    /// Where the next page begins. To be remembered once `changes` are durable, not before.
    pub cursor: Cursor,
    /// Whether this round has more pages. Where not, the next round may wait.
    pub more: bool,
}

/// Who is signed in, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account: HubSpot's portal id, Salesforce's organization id.
    pub account: String,
    /// Whom the platform sees: an app, a user.
    pub user: String,
    /// The app's or user's id as it stands in the author of a change, to tell our own writes.
    pub author_id: String,
    /// The base address of record pages for people, without a slash at the end.
    pub pages: String,
    /// What the credentials allow, where the platform says (HubSpot scopes).
    pub scopes: BTreeSet<String>,
}

/// How many calls are used and left today.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Budget {
    /// Calls that this process made since it started.
    pub made: u64,
    /// Calls that the account has used in its current day, by whomever, where the platform says.
    pub used: Option<u64>,
    /// What the account may use in a day, where the platform says.
    pub limit: Option<u64>,
}

/// What calls have in common: for metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKind {
    /// The HTTP method.
    pub method: String,
    /// The path's template, without ids and values.
    pub route: String,
    /// The status of the answer, `none` where none came.
    pub answer: String,
}

/// What is asked of a side, for [`Platform::cost`].
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// [`Platform::read`] of records that are there.
    Read {
        /// What would be read of each.
        ask: &'a Ask,
        /// How many.
        records: usize,
    },
    /// [`Platform::write`].
    Write(&'a [Write]),
}

/// Someone, or a queue, that can own records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// HubSpot's owner id; Salesforce's user id (`005…`) or queue id (`00G…`), 18 characters.
    pub id: String,
    /// The e-mail address in lower case. A queue may have none.
    pub email: Option<String>,
    /// The name as people read it.
    pub name: String,
    /// Whether it can be given records now.
    pub active: bool,
    /// Whether it is a queue, not a person.
    pub queue: bool,
    /// The id of its user, where that is another one than `id`, as in HubSpot.
    pub user: Option<String>,
}

/// One side, as the daemon knows it. All calls obey the platform's limits by waiting, retry what is
/// safe to repeat, sign in again once where the session ended, and give up within a bounded time.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Which side this is.
    fn side(&self) -> Side;

    /// Signs in where that is needed, and says as whom.
    async fn identity(&self) -> Result<Identity, Error>;

    /// Calls made and left, from what the last answers said; costs no call.
    fn budget(&self) -> Budget;

    /// Calls made since the start, by kind.
    fn calls(&self) -> BTreeMap<CallKind, u64>;

    /// How many calls `work` takes where nothing is refused, lost or tried again: counted by the very
    /// batches in which it would be sent. Makes none.
    fn cost(&self, work: Work<'_>) -> u64;

    /// The object's fields. Remembered by the client until [`Platform::forget_schema`].
    async fn schema(&self, object: &str) -> Result<Arc<ObjectSchema>, Error>;

    /// Drops what [`Platform::schema`] remembers: a refusal showed that it is out of date.
    fn forget_schema(&self, object: &str);

    /// The people and queues that can own records, inactive ones included.
    async fn owners(&self) -> Result<Vec<Owner>, Error>;

    /// Reads records by id, of any number, in full batches. The answers stand in the order of
    /// `ids`; `None` where the platform knows no such record. A record in the recycle bin or
    /// archive comes back with [`Record::deleted`], a merged or converted one with
    /// [`Record::successor`]; an old id that still reads (HubSpot after a merge) comes back with
    /// the survivor's id.
    async fn read(&self, ask: &Ask, ids: &[String]) -> Result<Vec<Option<Record>>, Error>;

    /// Finds the live records whose `field` equals one of `values`, without regard to case. Where
    /// the field is unique (HubSpot unique properties and `email`, Salesforce external ids) the
    /// answer is as fresh as a read; else HubSpot answers from its search index, which lags by
    /// seconds. Converted Leads are not returned. HubSpot also takes `associations.<type>` for the
    /// records that are associated with one of the ids `values`, as fresh as a read.
    async fn find(&self, ask: &Ask, field: &str, values: &[String]) -> Result<Vec<Record>, Error>;

    /// Writes, of any number and mix, in full batches with bounded concurrency. The outcomes stand
    /// in the order of `writes`. Two writes to one record must not be in one call. A write that
    /// cannot be sent within a short time is not sent ([`Outcome::Late`]): people go on editing.
    async fn write(&self, writes: &[Write]) -> Vec<Outcome>;

    /// Starts something, once: where it may have been started, it is never sent again, and the outcome
    /// is [`Outcome::Unknown`].
    async fn start(&self, start: &Start) -> Outcome;

    /// Whether it was started since then, by our clock, as far as the platform keeps that.
    async fn started(&self, start: &Start, since: Timestamp) -> Result<Started, Error>;

    /// What can be started under this name, with what it takes; none where the account has nothing of
    /// that name, or hides it.
    async fn startable(&self, start: &Start) -> Result<Option<Startable>, Error>;

    /// The next page of records that were created, changed, or (where the platform lists them
    /// together) deleted or merged, with the fields of `ask`. No cursor starts a first round at
    /// `since`, the platform's time.
    async fn changed(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error>;

    /// The next page of records that were deleted or merged and that [`Platform::changed`] does
    /// not report. Empty where it reports them all.
    async fn deleted(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error>;

    /// The next page of all live records, by id, with the fields of `ask`. No cursor starts at the
    /// first.
    async fn list(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error>;

    /// The platform's time, by the last answer's own clock; asks where there was none yet.
    async fn server_time(&self) -> Result<Timestamp, Error>;

    /// How many live records hold each value of a choice field, as far as the platform can count
    /// them; blank under `""`. For the check of value tables.
    async fn count_by(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error>;
}
