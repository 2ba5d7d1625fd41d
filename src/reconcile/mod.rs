//! Decides one link, and limits many.
//!
//! Everything here is a function of its arguments: the mapping, what both sides last agreed on,
//! both records, the directory and the time. The result is a [`Plan`], a value that prints,
//! serialises and compares; carrying it out is the daemon's affair.

pub mod plan;

pub use plan::{
    Base, Decision, LinkStep, OpenConflict, PeerFate, Plan, PlannedWrite, Presence, Reject,
    Resolution, Situation, Verdict, WriteAction,
};
