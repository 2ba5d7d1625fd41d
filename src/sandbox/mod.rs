//! Both platforms as plain data behind one HTTP router.
//!
//! The sandbox stands in for HubSpot and Salesforce where neither can be reached: in tests, in the
//! demo, in the simulation and on an admin's desk. It is a [`World`] (plain data) behind two
//! routers, one a platform, which the simulation calls in process and which
//! [`serve`](server::serve) puts on loopback ports for the vendors' own client libraries.
//!
//! What the platforms push comes out of the same world: HubSpot's webhooks as signed requests that
//! are due ([`hubspot::webhooks`]), Salesforce's changes as events in one row of replay ids
//! ([`salesforce::bus`]). Both are asked with the time in hand, by the simulation in process and by
//! [`serve`](server::serve) for real listeners and gRPC streams.
//!
//! Three rules keep it believable and repeatable:
//! - It names nothing of the rooms that it tests, least of all their wire types: a shared type
//!   would let one mistake hide in both.
//! - A handler locks the world, reads or changes it, and answers: it never waits while it holds the
//!   lock. Waiting (latency, a lost answer) is the business of [`fault`], outside the lock.
//! - Everything that makes runs differ comes from the [`SandboxClock`] and the world's seeded
//!   random numbers.
//!
//! What it does not model it refuses with the platform's own kind of error and counts.

pub mod admin;
pub mod calls;
pub mod clock;
pub mod fault;
pub mod hubspot;
pub mod salesforce;
pub mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use tokio::sync::Notify;

pub use calls::Calls;
pub use clock::SandboxClock;

/// The prefix of the admin door. Calls to it are neither counted nor struck by faults.
pub const ADMIN: &str = "/sandbox/";

/// Everything that both platforms hold, as plain data.
#[derive(Debug)]
pub struct World {
    /// HubSpot's account.
    pub hubspot: hubspot::world::Account,
    /// Salesforce's org.
    pub salesforce: salesforce::world::Org,
    /// Faults by name, and how often each is still to strike.
    pub faults: fault::Faults,
    /// Every call that was answered, counted by side, method, route and status.
    pub calls: Calls,
    /// The only source of chance.
    pub random: fastrand::Rng,
}

/// A handle on one sandbox. Clones share the same world.
#[derive(Debug, Clone)]
pub struct Sandbox {
    world: Arc<Mutex<World>>,
    clock: SandboxClock,
    /// Wakes those who wait for the world to change: what the platforms push by themselves.
    news: Arc<Notify>,
}

impl Sandbox {
    /// A sandbox with an empty account on one side and an empty org on the other, holding only what
    /// a fresh one of each holds (standard properties and fields, stages, one signed-in user).
    ///
    /// The same seed, the same clock and the same calls in the same order give the same answers.
    #[must_use]
    pub fn new(seed: u64, clock: SandboxClock) -> Self {
        let world = World {
            hubspot: hubspot::world::Account::fresh(clock.now()),
            salesforce: salesforce::world::Org::fresh(clock.now()),
            faults: fault::Faults::default(),
            calls: Calls::default(),
            random: fastrand::Rng::with_seed(seed),
        };
        Self { world: Arc::new(Mutex::new(world)), clock, news: Arc::default() }
    }

    /// Locks the world for a look or an edit. A handler that panicked does not take the sandbox
    /// with it.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready after the next call that is answered, counted from now and not from the first poll.
    fn news(&self) -> impl Future<Output = ()> + use<> {
        self.news.clone().notified_owned()
    }

    /// The sandbox's clock: the platforms' stamps come from it.
    #[must_use]
    pub fn clock(&self) -> &SandboxClock {
        &self.clock
    }

    /// HubSpot's REST API and OAuth as one router: the log of calls outermost, then the faults, then
    /// the API. The admin door stands beside it.
    pub fn hubspot(&self) -> axum::Router {
        self.wrapped(hubspot::router(self.clone()), fault::Side::HubSpot)
    }

    /// Salesforce's REST API and OAuth as one router, wrapped like HubSpot's.
    pub fn salesforce(&self) -> axum::Router {
        self.wrapped(salesforce::router(self.clone()), fault::Side::Salesforce)
    }

    fn wrapped(&self, api: axum::Router, side: fault::Side) -> axum::Router {
        let struck = fault::wrap(api, self.clone(), side);
        let noted = calls::wrap(struck, self.clone(), side);
        let dated = noted.layer(axum::middleware::from_fn_with_state(self.clone(), date));
        admin::router(self.clone()).merge(dated)
    }
}

/// A value as the bytes of a body. Its `Display` would print the same, through a formatter that takes
/// three times as long.
fn written(value: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Both platforms' edges stamp every answer, in whole seconds. A server on a real port would stamp
/// its machine's time, which is not the sandbox's.
async fn date(
    State(sandbox): State<Sandbox>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let mut response = next.run(request).await;
    sandbox.news.notify_waiters();
    let printed = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&sandbox.clock().now());
    if let Some(value) = printed.ok().and_then(|date| http::HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(http::header::DATE, value);
    }
    response
}
