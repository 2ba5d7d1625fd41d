//! What can go wrong with a platform: what the caller does next, and what a person does next.

use std::time::Duration;

use jiff::Timestamp;

use crate::record::Side;

/// A call failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{side}: {doing}: {message}{}", self.hint_text())]
pub struct Error {
    /// Whose call it was.
    pub side: Side,
    /// What the caller does next.
    pub kind: ErrorKind,
    /// What was being done, for a reader: `reading 100 contacts`.
    pub doing: String,
    /// The platform's own code, for the table of codes: `INVALID_SESSION_ID`.
    pub code: Option<String>,
    /// What happened, without secrets and without people's data.
    pub message: String,
    /// What a person can do, where there is something to do.
    pub hint: Option<String>,
    /// The platform's id of this answer, to quote to its support.
    pub correlation: Option<String>,
}

impl Error {
    /// What happened, for where the hint is shown by itself.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{}: {}: {}", self.side, self.doing, self.message)
    }

    fn hint_text(&self) -> String {
        self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
    }
}

/// What the caller does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// Try again, after this long where the platform said so. The client has tried already.
    Retry {
        /// How long the platform asked to wait.
        after: Option<Duration>,
    },
    /// Nothing works before this time: a daily limit is used up.
    WaitUntil(Timestamp),
    /// The credentials no longer work: a person signs in again.
    SignIn,
    /// This request is wrong and will stay wrong (an unknown field, a malformed query).
    Request,
    /// The account does not allow it, or something is set up wrong: stop and tell a person.
    Stop,
}

/// A platform refused one record for good.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refusal {
    /// What is the matter, as far as it changes what happens next.
    pub kind: RefusalKind,
    /// The platform's code: `INVALID_OPTION`, `FIELD_CUSTOM_VALIDATION_EXCEPTION`.
    pub code: String,
    /// The platform's words. They may quote a person's data: kept in the journal, not in the log.
    pub message: String,
    /// The fields that the platform named.
    pub fields: Vec<String>,
    /// The next step for a person, from the table of codes.
    pub hint: String,
}

/// What the settler does about a refusal.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// A value is not accepted: a reject, until someone changes the value or the rule.
    Value,
    /// The record to be created exists: it is to be matched.
    Duplicate {
        /// Its id, where the platform says.
        existing: Option<String>,
    },
    /// The record is deleted or merged: read it again.
    Gone,
    /// The Lead was converted: the link moves to the Contact.
    Converted,
    /// The credentials may not do this.
    Permission,
    /// The field exists no longer, cannot be written, or has other choices than remembered: the
    /// schema is to be read again.
    Schema,
    /// The platform answered "done" and kept the old value (HubSpot's backward stage).
    Kept,
}
