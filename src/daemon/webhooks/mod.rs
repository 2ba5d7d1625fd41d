//! HubSpot's webhooks: from a request to changes in the journal.
//!
//! The order of the steps is the point. What the headers tell is asked first, because it costs
//! nothing; then the body is taken in, within bounds of size, time and memory; then the signature
//! is checked over its very bytes; only then is it read. What it says is durable before the answer
//! says so: HubSpot keeps what was not answered with 2xx, and sends it again for a day. Many
//! deliveries share one flush of the journal, and when the journal cannot keep up the answer is 503
//! at once: HubSpot's memory is the queue, not ours.
//!
//! What arrives is heard like what a poll finds. The one short cut is for the echo of our own write,
//! which is told by its values (`echo`).

mod address;
mod body;
mod counts;
mod echo;
mod listen;
mod needs;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use secrecy::SecretString;
use tokio::sync::Semaphore;

pub use counts::{Counts, Turned, WebhookStatus};
pub use listen::{Door, WebhooksError, open};
pub use needs::{
    Need, Standing, Subscriptions, SubscriptionsError, Watch, register, subscriptions,
};

use self::address::Address;
use self::body::Memory;
use self::listen::Begun;
use super::engine::objects;
use super::intake::PushState;
use super::{Engine, Trouble};
use crate::journal::Lane;
use crate::platform::hubspot::webhook::{
    Delivery, Fact, Objects, Signed, Unverified, Verifier, Version, Word, read,
};
use crate::record::{Change, Record, RecordRef, Side, Source};
use crate::settings::{SignatureVersion, Webhooks};

/// Where deliveries arrive.
pub const PATH: &str = "/webhooks/hubspot";

/// How many bodies of the largest size may be in memory at once, as so many bytes.
const LARGEST_BODIES: usize = 8;

/// When HubSpot is asked to come again, in seconds. It has its own mind; others heed it.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Takes in deliveries.
pub struct Receiver {
    engine: Arc<Engine>,
    verifier: Verifier,
    address: Address,
    memory: Memory,
    waiting: Semaphore,
    timeout: Duration,
    /// HubSpot's number of our app, where a setting says it.
    app: Option<String>,
}

impl Receiver {
    /// A receiver that works as `settings` say, for deliveries signed with `secret`. `tls` says
    /// whether the listener before it speaks TLS itself; `app` is the number of our own app.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn new(
        engine: Arc<Engine>,
        settings: &Webhooks,
        secret: &SecretString,
        app: Option<String>,
        tls: bool,
    ) -> Result<Self, ring::error::Unspecified> {
        let versions = settings.signatures.iter().map(|version| match version {
            SignatureVersion::V1 => Version::V1,
            SignatureVersion::V2 => Version::V2,
            SignatureVersion::V3 => Version::V3,
        });
        let receiver = Self {
            verifier: Verifier::new(secret, versions)?,
            address: Address::new(settings, tls),
            memory: Memory::new(settings.largest(), settings.largest() * LARGEST_BODIES),
            waiting: Semaphore::new(settings.waiting as usize),
            timeout: settings.timeout,
            app,
            engine,
        };
        receiver.begin();
        Ok(receiver)
    }

    /// The router that the listener serves, and that a test or the demo calls in process.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route(PATH, post(receive))
            .method_not_allowed_fallback(wrong_method)
            .fallback(wrong_path)
            // The body has a bound of its own, which knows how much is in memory altogether.
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(self))
    }

    /// Takes in one request.
    ///
    /// # Errors
    /// Why it is turned away. Only [`Turned::Busy`] and [`Turned::Journal`] are ours.
    async fn take(&self, peer: Option<IpAddr>, request: Request) -> Result<(), Turned> {
        let now = self.engine.clock.now();
        let (parts, body) = request.into_parts();
        self.verifier.glance(&parts.headers, now)?;
        let body = self.memory.collect(body, &parts.headers, self.timeout).await?;
        let uri = self.address.called(peer, &parts).ok_or(Turned::Malformed)?;
        let (method, headers) = (&parts.method, &parts.headers);
        self.verifier.check(&Signed { method, uri: &uri, headers, body: body.bytes() }, now)?;
        // From here on it is HubSpot's: only what is verified may keep others waiting.
        let _turn = self.waiting.try_acquire().map_err(|_| Turned::Busy)?;
        let (account, app) = self.account().await?;
        let mappings = self.engine.mappings();
        let names = mappings.list.iter().flat_map(|mapping| objects(mapping, Side::HubSpot));
        let objects = Objects::new(names);
        let delivery = read(body.bytes(), &account, app.as_deref(), &objects)
            .map_err(|_| Turned::Malformed)?;
        drop(body);
        match tokio::time::timeout(self.timeout, self.hear(delivery)).await {
            Ok(Ok(())) => Ok(()),
            // What was asked of the journal is done all the same: hearing it again does no harm.
            Err(_) => Err(Turned::Journal),
            Ok(Err(trouble)) => {
                tracing::debug!(%trouble, "a delivery could not be written down");
                Err(Turned::Journal)
            }
        }
    }

    /// Writes down what a delivery says: durable once this returns.
    async fn hear(&self, delivery: Delivery) -> Result<(), Trouble> {
        let engine = &self.engine;
        let now = engine.clock.now();
        let all: Vec<Change> = Delivery::changes(delivery.words.clone());
        let (words, echoes) = engine.without_echoes(delivery.words).await?;
        let urgent = engine.urgent(&told(&words)).await?;
        let (bulk, prompt): (Vec<_>, Vec<_>) =
            words.into_iter().partition(|word| word.bulk && !urgent.contains(&word.change.record));
        let mut changes = engine.in_lanes(Delivery::changes(prompt), &urgent);
        changes.extend(Delivery::changes(bulk).into_iter().map(|it| (it, Lane::Backfill)));
        let heard = engine.heard(changes, now);
        if !heard.is_empty() {
            engine.hear(heard, None).await?;
            engine.rouse();
        }
        engine.intake.pushed(&all, now);
        self.vouch(&all);
        engine.webhooks.accepted(now, |counts| {
            counts.events += delivery.events as u64;
            counts.elsewhere += delivery.elsewhere as u64;
            counts.besides += delivery.besides as u64;
            counts.unreadable += delivery.unreadable as u64;
            counts.echoes += echoes as u64;
            counts.changes += all.len() as u64;
        });
        Ok(())
    }

    /// The account whose events count, and the number of our own app.
    async fn account(&self) -> Result<(String, Option<String>), Turned> {
        let identity = self.engine.side_states().hubspot.identity;
        let app = self.app.clone();
        if let Some(identity) = identity {
            let own = Some(identity.author_id).filter(|author| !author.is_empty());
            return Ok((identity.account, app.or(own)));
        }
        // Before the first sign-in of this process, the journal knows whose it is.
        let known = self.engine.journal.accounts().await.ok();
        let account = known.and_then(|accounts| accounts.hubspot).ok_or(Turned::Journal)?;
        Ok((account, app))
    }

    /// Nothing has arrived yet: silence is no sign of health.
    fn begin(&self) {
        let now = self.engine.clock.now();
        for object in self.engine.asks(Side::HubSpot).into_keys() {
            let starting = PushState::Starting;
            self.engine.intake.set_push(Side::HubSpot, &object, Source::Webhook, starting, now);
        }
    }

    /// Verified word of an object shows that its subscriptions reach us: from now on it is relied
    /// upon. That proves little of the subscriptions that were silent so far, and nothing of those
    /// that were never made; what vouches for them are the polls, which go on as a slow net and end
    /// the reliance as soon as they find a change that should have been heard of
    /// ([`Intake::polled`](super::Intake::polled)). An hour without any event is health exactly if
    /// the polls of that hour found nothing either.
    fn vouch(&self, changes: &[Change]) {
        let intake = &self.engine.intake;
        let now = self.engine.clock.now();
        let objects: BTreeSet<&str> =
            changes.iter().map(|change| change.record.object.as_str()).collect();
        for object in objects {
            let state = intake.push(Side::HubSpot, object).map(|push| push.state);
            if state != Some(PushState::Healthy) {
                let healthy = PushState::Healthy;
                intake.set_push(Side::HubSpot, object, Source::Webhook, healthy, now);
            }
        }
    }
}

/// What the words tell of each record.
fn told(words: &[Word]) -> Vec<Record> {
    let mut told: BTreeMap<&RecordRef, Record> = BTreeMap::new();
    for word in words {
        let Some(Fact { property, value: Some(value), .. }) = &word.fact else { continue };
        let record = &word.change.record;
        let shown = told.entry(record).or_insert_with(|| Record::new(record.clone()));
        shown.fields.insert(property.clone(), value.clone());
    }
    told.into_values().collect()
}

impl From<Unverified> for Turned {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::Unsigned => Self::Unsigned,
            Unverified::Forged => Self::Forged,
            Unverified::Stale => Self::Stale,
        }
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    begun(&request);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    match receiver.take(peer, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(turned) => turn_away(&receiver, turned),
    }
}

async fn wrong_method(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    begun(&request);
    turn_away(&receiver, Turned::Method)
}

async fn wrong_path(State(receiver): State<Arc<Receiver>>, request: Request) -> Response {
    begun(&request);
    turn_away(&receiver, Turned::Path)
}

/// Tells the connection that a whole head came over it.
fn begun(request: &Request) {
    if let Some(begun) = request.extensions().get::<Begun>() {
        begun.note();
    }
}

/// The answer to what is not taken in. The connection ends with it: the rest of a body that nobody
/// wants is not waited for.
fn turn_away(receiver: &Receiver, turned: Turned) -> Response {
    receiver.engine.webhooks.turned(turned, receiver.engine.clock.now());
    let mut response = (turned.status(), format!("{turned}\n")).into_response();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if turned.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, AGAIN);
    }
    response
}
