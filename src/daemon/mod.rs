//! Receives, polls, settles, recovers, sweeps, serves.
//!
//! [`Engine`] holds what every task needs: the mappings in force, both platforms, the journal, the
//! clock. Its methods are the program's work, each a plain async function that a test, the
//! simulation or a command can call by itself; only `run` spawns tasks around them.
//!
//! To follow one change from end to end, start at [`settle`].

mod backfill;
mod case;
pub mod clock;
mod conclude;
mod connect;
pub mod control;
pub mod directory;
pub mod engine;
mod fetch;
mod files;
mod history;
mod limit;
mod login;
pub mod poll;
mod problems;
mod recognise;
pub mod query;
pub mod settle;
mod tokens;
pub mod trouble;
mod write;

pub use clock::Clock;
pub use connect::{ConnectError, connect, network, seed};
pub use engine::{Engine, Options, SideState};
pub use files::{Unreadable, read_mappings};
pub use login::{LoginError, login};
pub use poll::{Heeded, Stream};
pub use settle::Settled;
pub use tokens::FileTokenStore;
pub use trouble::Trouble;
