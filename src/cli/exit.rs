//! How a command can end.

use std::process::ExitCode;

/// How a command ended. The numbers are part of the interface: scripts and monitoring rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, and all is well.
    Done,
    /// Something is wrong that a person should look at.
    Attention,
    /// The arguments or settings are wrong, or the service does not run.
    Usage,
    /// What was asked for does not exist.
    NotFound,
    /// A platform refused or could not be reached.
    Platform,
    /// The journal cannot be opened.
    Journal,
    /// A mistake of this program or of the system under it.
    Internal,
    /// A person or the system asked for a stop in the middle.
    Interrupted,
}

impl Exit {
    /// All, with what they mean.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Done, "done, and all is well"),
        (Self::Attention, "mistakes were found, or the service needs a person's attention"),
        (Self::Usage, "wrong arguments or settings, or the service does not run"),
        (Self::NotFound, "what was asked for does not exist"),
        (Self::Platform, "HubSpot or Salesforce refused, or could not be reached"),
        (Self::Journal, "the journal is in use by another process, or damaged"),
        (Self::Internal, "the system failed, or this program has a mistake"),
        (Self::Interrupted, "stopped in the middle by Ctrl-C or a signal"),
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Attention => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Platform => 4,
            Self::Journal => 5,
            Self::Internal => 6,
            // As shells have it for a process that an interrupt ended.
            Self::Interrupted => 130,
        }
    }

    /// The word for it in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Attention => "attention",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Platform => "platform",
            Self::Journal => "journal",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The table for the help.
pub(super) fn table() -> String {
    Exit::ALL.iter().fold("Exit codes:".to_owned(), |text, (exit, meaning)| {
        format!("{text}\n  {:<3}  {meaning}", exit.code())
    })
}
