//! Decides one link, and limits many.
//!
//! Everything here is a function of its arguments: the mapping, what both sides last agreed on,
//! both records, the directory and the time. The result is a [`Plan`], a value that prints,
//! serialises and compares; carrying it out is the daemon's affair.
//!
//! The order of a decision: `field` (three-way, one field at a time; `conflict` where both sides
//! changed), `stages` (ways back), `qualify`, then `settle` decides on creation and `writes` puts
//! the plan together.

pub mod conflict;
pub mod example;
mod explain;
mod field;
pub mod limit;
pub mod plan;
mod qualify;
pub mod recognise;
mod settle;
mod sight;
mod stages;
mod writes;

pub use explain::explain;
pub use plan::{
    Base, Decision, LinkStep, OpenConflict, PeerFate, Plan, PlannedWrite, Presence, Reject,
    Resolution, Situation, Verdict, WriteAction,
};
pub use qualify::again_mark;
pub use settle::settle;
pub use writes::OWNER_UNKNOWN;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
