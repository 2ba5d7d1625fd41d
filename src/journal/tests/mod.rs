//! One suite for both stores, and what only one of them can show.

mod life;
mod support;
