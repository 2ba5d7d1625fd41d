//! HubSpot's side of the sandbox.
//!
//! [`world::Account`] is the data and the rules that hold whoever acts; [`ui`] has the actions of
//! people; the rest is the API: one call comes in at the router below, is understood in `api`, and
//! answered by the module of its theme. Behaviour follows HubSpot's developer documentation and
//! recorded answers of the real platform, warts included.

mod accounts;
mod api;
pub mod associations;
mod batch;
pub mod definitions;
mod derive;
mod door;
mod edges;
pub mod errors;
mod index;
mod lifetime;
pub mod limits;
pub mod oauth;
pub mod object;
mod objects;
pub mod owners;
pub mod pipelines;
pub mod properties;
pub mod record;
mod search;
pub mod sequences;
mod standard;
pub mod ui;
pub mod validate;
pub mod webhooks;
pub mod world;
pub mod write;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected};

pub use object::Object;
pub use world::Account;

use super::Sandbox;

/// HubSpot's REST API and OAuth over `sandbox`'s world, and its part of the admin door.
pub fn router(sandbox: Sandbox) -> Router {
    door::router().fallback(answer).with_state(sandbox)
}

async fn answer(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = Body::new(body).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let now = sandbox.clock().now();
    api::answer(&mut sandbox.world(), &parts, &body, now)
}

#[cfg(test)]
mod tests;
