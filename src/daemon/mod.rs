//! Receives, polls, settles, recovers, sweeps, serves.
//!
//! [`Engine`] holds what every task needs: the mappings in force, both platforms, the journal, the
//! clock. Its methods are the program's work, each a plain async function that a test, the
//! simulation or a command can call by itself; only `run` spawns tasks around them.
//!
//! To follow one change from end to end, start at [`settle`].

pub mod clock;
mod connect;
pub mod directory;
mod files;
mod login;
mod tokens;

pub use clock::Clock;
pub use connect::{ConnectError, connect, network, seed};
pub use files::{Unreadable, read_mappings};
pub use login::{LoginError, login};
pub use tokens::FileTokenStore;
