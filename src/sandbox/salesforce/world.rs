//! What a Salesforce org holds.

/// One Salesforce org.
#[derive(Debug)]
pub struct Org {}

impl Org {
    /// What a fresh org holds.
    #[must_use]
    pub fn fresh(_now: jiff::Timestamp) -> Self {
        Self {}
    }
}
