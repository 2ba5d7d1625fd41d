//! What can go wrong with what is remembered, and the way out.

use std::path::PathBuf;

use crate::record::{LinkId, RecordRef};

/// Why the journal did not do what it was asked to.
///
/// Errors are cloned to every caller whose commit shared one flush, so sources are kept as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the journal open.
    #[error("the journal in {} is in use by {holder}", .dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
        /// Who holds it, as its lock file says: process id and since when.
        holder: String,
    },
    /// The storage engine cannot make sense of its files.
    #[error("the journal is damaged: {detail}")]
    Damaged {
        /// What the engine found.
        detail: String,
    },
    /// One stored value cannot be read.
    #[error("the journal's {kind} {key} cannot be read: {problem}")]
    Unreadable {
        /// What kind of value it is.
        kind: &'static str,
        /// Its key, in hexadecimal.
        key: String,
        /// A wrong checksum, an unknown version, missing or surplus bytes.
        problem: String,
    },
    /// The journal was written by another version of the program.
    #[error("the journal has format {found}, this program reads format {ours}")]
    Format {
        /// The format that was found.
        found: u32,
        /// The format that this program reads.
        ours: u32,
    },
    /// The file system has no room left.
    #[error("the journal's file system is full: {detail}")]
    Full {
        /// What was found.
        detail: String,
    },
    /// The operating system refused.
    #[error("the journal could not be {doing}: {detail}")]
    Io {
        /// What was tried: `opened`, `read`, `written`, `synced`.
        doing: &'static str,
        /// What the system said.
        detail: String,
    },
    /// The record already belongs to another live link of the mapping.
    #[error("{record} already belongs to link {by} of mapping {mapping:?}")]
    Taken {
        /// The mapping.
        mapping: String,
        /// The record.
        record: RecordRef,
        /// The link it belongs to.
        by: LinkId,
    },
    /// The person's data was erased on request; the record is not linked again.
    #[error("the data of {record} was erased on request and is not taken up again")]
    Purged {
        /// The record.
        record: RecordRef,
    },
    /// There is no such link, conflict, reject or hold.
    #[error("there is no {what}")]
    Absent {
        /// What was asked for.
        what: String,
    },
    /// The journal belongs to other accounts.
    #[error("the journal belongs to {side} account {ours}, the credentials are for {theirs}")]
    OtherAccount {
        /// The side's name.
        side: &'static str,
        /// The account that the journal was made for.
        ours: String,
        /// The account that the credentials are for.
        theirs: String,
    },
    /// The request cannot be stored as it is.
    #[error("the journal cannot store this: {problem}")]
    Unfit {
        /// Why not.
        problem: String,
    },
    /// The journal's thread has ended.
    #[error("the journal is closed")]
    Closed,
}

impl Error {
    /// The next step for a person, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse { .. } => {
                "ask the running daemon instead, or stop it first: one process at a time may have \
                 the journal open"
            }
            Self::Damaged { .. } => {
                "stop the daemon, keep a copy of the directory, then run `lockstep journal \
                 salvage`; what is lost is built anew from both platforms"
            }
            Self::Unreadable { .. } => {
                "run `lockstep journal check` for the extent, then `lockstep journal salvage`"
            }
            Self::Format { .. } => {
                "run the version of the program that wrote it, or a later one that says it reads it"
            }
            Self::Full { .. } => {
                "make room; nothing that was acknowledged is lost, and work goes on by itself \
                 once there is room"
            }
            Self::OtherAccount { .. } => {
                "use another journal directory for other accounts: links of one pair of accounts \
                 mean nothing in another"
            }
            Self::Io { .. } => "see the system's log for the disk; then start the daemon again",
            Self::Taken { .. } => {
                "decide which link is right; `lockstep explain` shows the one that has the record"
            }
            Self::Purged { .. } | Self::Absent { .. } | Self::Unfit { .. } | Self::Closed => {
                return None;
            }
        })
    }

    /// Whether the same request may succeed later without anyone changing it: the disk was full or
    /// failed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Io { .. })
    }

    /// An error of the operating system while `doing`.
    pub(super) fn io(doing: &'static str, error: &std::io::Error) -> Self {
        let detail = error.to_string();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full { detail }
            }
            _ => Self::Io { doing, detail },
        }
    }
}
