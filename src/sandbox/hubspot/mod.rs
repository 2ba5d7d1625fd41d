//! HubSpot's side of the sandbox.

pub mod errors;
pub mod world;

use super::Sandbox;

/// HubSpot's REST API and OAuth over `sandbox`'s world.
pub fn router(_sandbox: Sandbox) -> axum::Router {
    axum::Router::new()
}
