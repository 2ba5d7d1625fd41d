//! The log of calls.

/// Every call that was answered.
#[derive(Debug, Default)]
pub struct Calls {}
