//! Receives, polls, settles, recovers, sweeps, serves.
//!
//! [`Engine`] holds what every task needs: the mappings in force, both platforms, the journal, the
//! clock. Its methods are the program's work, each a plain async function that a test, the
//! simulation or a command can call by itself; only `run` spawns tasks around them.
//!
//! To follow one change from end to end, start at [`settle`].

mod answer;
mod backfill;
mod case;
pub mod clock;
mod conclude;
mod connect;
pub mod control;
mod cover;
pub mod directory;
mod echo;
pub mod engine;
mod explain;
mod fetch;
mod files;
mod fresh;
pub mod handoff;
mod history;
mod http;
pub mod intake;
mod limit;
mod live;
mod login;
mod lost;
pub mod metrics;
mod owed;
pub mod page;
pub mod poll;
pub mod preview;
mod problems;
pub mod query;
mod recognise;
mod reload;
mod run;
mod service;
pub mod settle;
pub mod status;
pub mod stream;
pub mod tempo;
mod tokens;
pub mod trouble;
mod urgent;
pub mod webhooks;
mod write;

pub use clock::Clock;
pub use connect::{ConnectError, connect, network, seed};
pub use engine::{Engine, Options, SideState};
pub use explain::{FieldPresent, Present};
pub use files::{Unreadable, read_mappings};
pub use intake::{Cover, Intake, ObjectNews, PushHealth, PushState};
pub use live::{Misfit, misfits};
pub use login::{LoginError, login};
pub use poll::{Heeded, Stream};
pub use preview::Preview;
pub use reload::Reload;
pub use run::run;
pub use service::{
    ServiceError, assemble, assemble_and_start, engine_options, explain_here, journal_options,
    mappings_of, preview_here, status_here,
};
pub use settle::Settled;
pub use status::Synced;
pub use stream::{Deliveries, StreamChoice, StreamOptions, TopicPlan};
pub use tokens::FileTokenStore;
pub use trouble::Trouble;
