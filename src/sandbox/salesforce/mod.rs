//! Salesforce's side of the sandbox.

pub mod world;

use super::Sandbox;

/// Salesforce's REST API and OAuth over `sandbox`'s world.
pub fn router(_sandbox: Sandbox) -> axum::Router {
    axum::Router::new()
}
