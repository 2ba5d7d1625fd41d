//! The handoff: one qualified record's way from marketing to sales, and back.
//!
//! A [`Handoff`] is its opening and a set of [`Fact`]s. Its state is computed from the set, so that
//! facts which arrive late, twice or in another order come to the same:
//!
//! ```text
//! qualified → sent → assigned → touched → accepted | returned | lapsed → won | lost
//!           ↘ excluded | rejected
//! ```
//!
//! [`calendar`] counts business time, [`level`] says what is due, [`routing`] whose turn it is,
//! [`touch`] what counts as a salesperson's action, [`stuck`] which handoffs do not move and what to
//! do about it, [`report`] what leaders ask.
//!
//! Pure: no clock, no network, no storage. The admin's words are [`crate::mapping::handoff`].

pub mod calendar;
mod fact;
pub mod level;
mod record;
pub mod report;
pub mod routing;
pub mod story;
pub mod stuck;
pub mod touch;

pub use fact::{
    Fact, FactKind, Facts, How, MOST_OF_A_KIND, Owner, OwnerKind, Touch, What, Witness,
};
pub use record::{Handoff, HandoffId, Progress, State, belongs, opens};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
