//! Word that a record may have changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RecordRef, Side};

/// What is said to have happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Created or changed: the record is to be read.
    Touched,
    /// Deleted, as far as the sender knows. A merge looks like this for its losers.
    Deleted,
    /// Merged into another record.
    Merged {
        /// The record that lives on.
        into: RecordRef,
    },
    /// The person asked for their data to be erased.
    Erased,
}

/// Where a change comes from, for the log and for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A poll found a newer record.
    Poll,
    /// A HubSpot webhook.
    Webhook,
    /// A Salesforce change event.
    Stream,
    /// The slow comparison of every link.
    Sweep,
    /// A new mapping, or a newly mapped field, that takes in what exists.
    Backfill,
    /// A person asked for it.
    Person,
    /// An earlier settlement that did not end: its outcome is unknown, or it is to be tried again.
    Retry,
}

impl Source {
    /// The lower-case word for it, as machine-readable output has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Webhook => "webhook",
            Self::Stream => "stream",
            Self::Sweep => "sweep",
            Self::Backfill => "backfill",
            Self::Person => "person",
            Self::Retry => "retry",
        }
    }
}

/// Whose doing the change was, as far as the sender says. A hint only: an echo is proved by values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Not said.
    #[default]
    Unknown,
    /// This program's own write.
    Lockstep,
    /// A person's, who typed it in.
    Person,
    /// Someone else's: another program's, an import's, the platform's own.
    Elsewhere,
}

/// Word that a record may have changed: a hint, never the truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The record.
    pub record: RecordRef,
    /// What is said to have happened to it.
    pub kind: ChangeKind,
    /// When, by the platform's clock.
    pub at: Option<Timestamp>,
    /// How we heard of it.
    pub source: Source,
    /// Whose doing it was.
    pub origin: Origin,
}

impl Change {
    /// Word that `record` was created or changed.
    #[must_use]
    pub const fn touched(record: RecordRef, source: Source) -> Self {
        Self { record, kind: ChangeKind::Touched, at: None, source, origin: Origin::Unknown }
    }

    /// The side it happened on.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.record.side
    }
}
