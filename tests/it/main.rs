//! What holds for the whole: the borders between rooms, the binary's command line, the unit files,
//! and every command that the README shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
#![allow(clippy::disallowed_methods, reason = "these tests wait for real processes in real time")]

mod borders;
mod cli;
mod clients;
mod contract;
mod hubspot;
mod killed;
mod live;
mod notices;
mod page;
mod preview;
mod readme;
mod sign_in;
mod source;
mod stream;
mod units;
mod webhooks;
