//! One suite for both stores, and what only one of them can show.

mod group;
mod kill;
mod life;
mod model;
mod power;
mod queue;
mod sled;
mod store;
mod support;
