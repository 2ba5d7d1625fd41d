//! What stops the daemon's work, and for how long.

use jiff::{SignedDuration, Timestamp};

use crate::journal;
use crate::platform::{self, ErrorKind};

/// A piece of work did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A platform cannot be used now. What was to be done stays in the journal.
    #[error(transparent)]
    Platform(#[from] platform::Error),
    /// The journal cannot be used: nothing may go on without it.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// Something is set up so that the work would do harm.
    #[error("{message} ({hint})")]
    Setup {
        /// What was found.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// Until when a side is to be left alone after `error`.
#[must_use]
pub fn pause(error: &platform::Error, now: Timestamp) -> Option<Timestamp> {
    let after = |pause: SignedDuration| now.saturating_add(pause).ok();
    match &error.kind {
        ErrorKind::Retry { after: Some(wait) } => after(SignedDuration::try_from(*wait).ok()?),
        ErrorKind::Retry { after: None } => None,
        ErrorKind::WaitUntil(time) => Some(*time),
        // A person has to act; asking again every minute finds out when they have.
        ErrorKind::SignIn | ErrorKind::Stop => after(SignedDuration::from_mins(1)),
        ErrorKind::Request => None,
    }
}
