//! What is remembered, and the only room that knows a storage engine.
//!
//! [`Journal`] is the handle. Everything is changed by a [`Commit`]: what belongs together is
//! written together, durable before anyone is told. Below it lies one narrow [`Store`] with two
//! implementations, an embedded database and a memory that can lose what was not synced.
//!
//! The layers, from the top: `ask` and `handle` (threads, grouping), `core` (what is taken at present),
//! `commit` (steps), `links`, `pending`, `questions`, `history`, `facts` (what each kind of row
//! means), `txn` (one view with staged changes), `key` and `codec` (rows as bytes), `store`.

mod ask;
mod check;
mod codec;
mod commit;
mod core;
mod error;
mod facts;
mod handle;
mod handoffs;
mod history;
mod key;
mod links;
pub mod memory;
mod pending;
mod questions;
mod salvage;
mod secret;
pub mod sled;
pub mod store;
mod txn;

pub use ask::{Known, Standing, Statistics};
pub use check::{Problem, Report};
pub use commit::{Commit, Done, MOST_STEPS};
pub use error::Error;
pub use facts::{Backfill, CursorEntry, CursorName, Intent, MappingState, Purge};
pub use handle::Journal;
pub use handoffs::{HandoffEntry, HandoffNews, HandoffWork};
pub use history::{HistoryBounds, HistoryLine, LINK_ITSELF, Pruned};
pub use links::{LinkEntry, LinkState};
pub use memory::{Disk, MemoryStore};
pub use pending::{HearOutcome, Heard, Lane, PASSED_OVER, PendingEntry, Subject};
pub use questions::{
    ConflictEntry, Hold, MatchChoice, MatchEntry, RejectEntry, RejectPlace, WHOLE_RECORD,
};
pub use salvage::{Salvaged, check, salvage};
pub use sled::{Compacted, Options, compact};
pub use store::{Store, Usage};

#[cfg(test)]
use salvage::{check_all as verify, rescue};

#[cfg(test)]
mod tests;
