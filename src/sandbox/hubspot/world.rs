//! What a HubSpot account holds.

/// One HubSpot account.
#[derive(Debug)]
pub struct Account {}

impl Account {
    /// What a fresh account holds.
    #[must_use]
    pub fn fresh(_now: jiff::Timestamp) -> Self {
        Self {}
    }
}
