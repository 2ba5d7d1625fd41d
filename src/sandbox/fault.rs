//! Faults by name.

use super::Sandbox;

/// Which platform's router a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// HubSpot's router.
    HubSpot,
    /// Salesforce's router.
    Salesforce,
}

/// The faults that are armed.
#[derive(Debug, Default)]
pub struct Faults {}

/// Wraps a platform's router so that armed faults strike its calls.
pub fn wrap(router: axum::Router, _sandbox: Sandbox, _side: Side) -> axum::Router {
    router
}
