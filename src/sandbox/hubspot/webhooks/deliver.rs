//! Deliveries: events become signed requests, and requests that fail are made again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::event::Event;
use super::{Settings, Webhooks, sign};
use crate::sandbox::World;
use crate::sandbox::fault::{Fault, Faults, Side};

/// How often a delivery is repeated.
const RETRIES: u32 = 10;

/// One request to be sent now.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What [`World::webhook_answered`] wants to know it by.
    pub id: u64,
    /// The app that it is for.
    pub app: u64,
    /// 0 for the first attempt.
    pub attempt: u32,
    /// How many events it carries.
    pub events: usize,
    /// Whether the platform itself sends it: a fault may play an attacker who does not know the
    /// secret, or who repeats what was overheard.
    pub genuine: bool,
    /// How long its answer may take.
    pub timeout: Duration,
    /// The whole request, with the target as an absolute URI.
    pub request: Request<Bytes>,
}

/// Why a delivery has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// No connection, or one that broke.
    Broken,
    /// Nothing within the time.
    Timeout,
}

/// Where the events and deliveries are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that are in no delivery yet.
    pub queued: usize,
    /// Deliveries that wait for their time.
    pub waiting: usize,
    /// Deliveries without an answer yet.
    pub in_flight: usize,
    /// Deliveries that were answered by a status of success.
    pub arrived: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that failed for the last time.
    pub given_up: u64,
    /// Deliveries that a fault lost.
    pub lost: u64,
}

/// Who sends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Platform,
    /// Somebody without the secret.
    Forger,
    /// Somebody who sends an overheard delivery again, signature, old timestamp and all.
    Repeater(Timestamp),
}

#[derive(Debug, Clone)]
struct Batch {
    app: u64,
    events: Vec<Event>,
    attempt: u32,
    sender: Sender,
}

/// Where an app's deliveries go, and what they are signed by.
#[derive(Debug)]
struct Target {
    app: u64,
    url: String,
    secret: String,
}

#[derive(Debug)]
struct InFlight {
    batch: Batch,
    until: Timestamp,
}

/// What is on its way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queues: BTreeMap<u64, VecDeque<Event>>,
    /// By time and number.
    waiting: BTreeMap<(Timestamp, u64), Batch>,
    in_flight: BTreeMap<u64, InFlight>,
    next: u64,
    tally: Tally,
}

impl Outbox {
    pub(super) fn enqueue(&mut self, event: Event) {
        self.queues.entry(event.app).or_default().push_back(event);
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            queued: self.queues.values().map(VecDeque::len).sum(),
            waiting: self.waiting.len(),
            in_flight: self.in_flight.len(),
            ..self.tally
        }
    }

    fn hold(&mut self, batch: Batch, until: Timestamp) {
        self.next += 1;
        self.waiting.insert((until, self.next), batch);
    }

    fn flying(&self, app: u64) -> usize {
        self.in_flight.values().filter(|flight| flight.batch.app == app).count()
    }

    fn fail(&mut self, mut batch: Batch, now: Timestamp, settings: &Settings, chance: f64) {
        if batch.sender != Sender::Platform {
            return;
        }
        self.tally.failed += 1;
        if batch.attempt == RETRIES {
            self.tally.given_up += 1;
            return;
        }
        let wait = pause(batch.attempt, settings.retry_span, chance);
        batch.attempt += 1;
        self.hold(batch, now.saturating_add(wait).unwrap_or(now));
    }
}

/// How long to wait after the given attempt. Each pause is about twice the one before, the ten add
/// up to at most `span`, and `chance` between 0 and 1 spreads each.
fn pause(attempt: u32, span: SignedDuration, chance: f64) -> SignedDuration {
    let parts = f64::from((1_u32 << RETRIES) - 1);
    let part = f64::from(1_u32 << attempt.min(RETRIES - 1)) / parts;
    SignedDuration::from_secs_f64(span.as_secs_f64() * part * (0.5 + chance.clamp(0.0, 1.0) / 2.0))
}

impl World {
    /// The deliveries to make now: at most as many as each app takes at once. A delivery whose time
    /// ran out without [`World::webhook_answered`] counts as failed.
    pub fn webhooks_due(&mut self, now: Timestamp) -> Vec<Delivery> {
        let Self { hubspot, faults, random, .. } = self;
        let webhooks = &mut hubspot.webhooks;
        webhooks.time_out(now, random);
        let mut due = Vec::new();
        let apps: Vec<u64> = webhooks.apps.keys().copied().collect();
        for app in apps {
            let Some(known) = webhooks.apps.get(&app) else { continue };
            let Some(url) = known.target_url.clone() else { continue };
            let target = Target { app, url, secret: known.secret.clone() };
            let most = known.max_concurrent;
            while webhooks.outbox.flying(app) < most {
                let Some(batch) = webhooks.next_batch(app, now, faults, random) else { break };
                due.extend(webhooks.launch(batch, &target, now));
            }
        }
        due
    }

    /// Tells what came of a delivery. Success is any status from 200 to 299; everything else is
    /// tried again later.
    pub fn webhook_answered(
        &mut self,
        id: u64,
        answer: Result<StatusCode, Unanswered>,
        now: Timestamp,
    ) {
        let Self { hubspot, random, calls, .. } = self;
        let webhooks = &mut hubspot.webhooks;
        let Some(flight) = webhooks.outbox.in_flight.remove(&id) else { return };
        let outcome = match answer {
            Ok(status) => status.as_u16().to_string(),
            Err(Unanswered::Broken) => "broken".to_owned(),
            Err(Unanswered::Timeout) => "timeout".to_owned(),
        };
        calls.push(Side::HubSpot, "webhook", &outcome);
        if answer.is_ok_and(|status| status.is_success()) {
            webhooks.outbox.tally.arrived += u64::from(flight.batch.sender == Sender::Platform);
            return;
        }
        let chance = random.f64();
        let Webhooks { outbox, settings, .. } = webhooks;
        outbox.fail(flight.batch, now, settings, chance);
    }

    /// When [`World::webhooks_due`] has something to do next if nothing else happens; a moment in
    /// the past means now.
    #[must_use]
    pub fn webhooks_wake(&self) -> Option<Timestamp> {
        let webhooks = &self.hubspot.webhooks;
        let outbox = &webhooks.outbox;
        let free = |app: &u64| {
            webhooks.apps.get(app).is_some_and(|known| {
                known.target_url.is_some() && outbox.flying(*app) < known.max_concurrent
            })
        };
        let queued = outbox
            .queues
            .iter()
            .filter(|(app, _)| free(app))
            .filter_map(|(_, queue)| queue.front().map(|event| event.at));
        let waiting =
            outbox.waiting.iter().filter(|(_, batch)| free(&batch.app)).map(|((at, _), _)| *at);
        let flying = outbox.in_flight.values().map(|flight| flight.until);
        queued.chain(waiting.take(1)).chain(flying).min()
    }
}

impl Webhooks {
    fn time_out(&mut self, now: Timestamp, random: &mut fastrand::Rng) {
        let late: Vec<u64> = self
            .outbox
            .in_flight
            .iter()
            .filter(|(_, flight)| flight.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(flight) = self.outbox.in_flight.remove(&id) else { continue };
            let chance = random.f64();
            self.outbox.fail(flight.batch, now, &self.settings, chance);
        }
    }

    /// The next batch of an app: one whose time has come, or new events.
    fn next_batch(
        &mut self,
        app: u64,
        now: Timestamp,
        faults: &mut Faults,
        random: &mut fastrand::Rng,
    ) -> Option<Batch> {
        loop {
            let due = self
                .outbox
                .waiting
                .range(..=(now, u64::MAX))
                .find(|(_, batch)| batch.app == app)
                .map(|(key, _)| *key);
            if let Some(batch) = due.and_then(|key| self.outbox.waiting.remove(&key)) {
                return Some(batch);
            }
            let most = self.settings.batch.clamp(1, 100);
            let queue = self.outbox.queues.get_mut(&app)?;
            if !faults.armed().is_empty()
                && queue.len() > 1
                && faults.strikes(Fault::WebhooksShuffled, Side::HubSpot, random)
            {
                random.shuffle(queue.make_contiguous());
            }
            let events: Vec<Event> = queue.drain(..queue.len().min(most)).collect();
            if events.is_empty() {
                self.outbox.queues.remove(&app);
                return None;
            }
            let batch = Batch { app, events, attempt: 0, sender: Sender::Platform };
            if faults.armed().is_empty() {
                return Some(batch);
            }
            if let Some(batch) = self.befall(batch, now, faults, random) {
                return Some(batch);
            }
        }
    }

    /// Lets armed faults befall a new batch. `None`: it does not go out now.
    fn befall(
        &mut self,
        batch: Batch,
        now: Timestamp,
        faults: &mut Faults,
        random: &mut fastrand::Rng,
    ) -> Option<Batch> {
        let mut strikes = |fault| faults.strikes(fault, Side::HubSpot, random);
        let lost = strikes(Fault::WebhooksLost);
        let late = strikes(Fault::WebhooksLate);
        let again = strikes(Fault::WebhooksDuplicated);
        let forged = strikes(Fault::WebhooksForged);
        let repeated = strikes(Fault::WebhooksRepeated);
        let soon =
            |seconds: i64| now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        if forged {
            let mut lie = batch.clone();
            lie.sender = Sender::Forger;
            for event in &mut lie.events {
                if let Some(value) = event.body.get_mut("propertyValue") {
                    *value = Value::String("forged".to_owned());
                }
            }
            self.outbox.hold(lie, now);
        }
        if repeated {
            let overheard = Batch { sender: Sender::Repeater(now), ..batch.clone() };
            self.outbox.hold(overheard, soon(random.i64(360..720)));
        }
        if again {
            self.outbox.hold(batch.clone(), soon(random.i64(0..30)));
        }
        if lost {
            self.outbox.tally.lost += 1;
            return None;
        }
        if late {
            let most = i64::try_from(self.settings.lateness.as_millis()).unwrap_or(i64::MAX);
            let by = SignedDuration::from_millis(random.i64(most / 10..=most.max(1)));
            self.outbox.hold(batch, now.saturating_add(by).unwrap_or(now));
            return None;
        }
        Some(batch)
    }

    /// Makes the request of a batch and notes that it is in flight.
    fn launch(&mut self, mut batch: Batch, target: &Target, now: Timestamp) -> Option<Delivery> {
        for event in &mut batch.events {
            event.body.insert("attemptNumber".to_owned(), Value::from(batch.attempt));
        }
        let bodies: Vec<&serde_json::Map<String, Value>> =
            batch.events.iter().map(|event| &event.body).collect();
        let body = Bytes::from(serde_json::to_vec(&bodies).unwrap_or_default());
        let (secret, signed_at) = match batch.sender {
            Sender::Platform => (target.secret.as_str(), now),
            Sender::Forger => ("the-forger-does-not-know-it", now),
            Sender::Repeater(at) => (target.secret.as_str(), at),
        };
        let timestamp = signed_at.as_millisecond();
        let request = Request::builder()
            .method(Method::POST)
            .uri(&target.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, "HubSpot Connect 2.0 (http://dev.hubspot.com/) (sandbox)")
            .header("x-hubspot-signature-version", "v1")
            .header("x-hubspot-signature", sign::v1(secret, &body))
            .header("x-hubspot-request-timestamp", timestamp)
            .header(
                "x-hubspot-signature-v3",
                sign::v3(secret, "POST", &target.url, &body, timestamp),
            )
            .body(body)
            .ok()?;
        self.outbox.next += 1;
        let delivery = Delivery {
            id: self.outbox.next,
            app: target.app,
            attempt: batch.attempt,
            events: batch.events.len(),
            genuine: batch.sender == Sender::Platform,
            timeout: self.settings.timeout.unsigned_abs(),
            request,
        };
        let until = now.saturating_add(self.settings.timeout).unwrap_or(now);
        self.outbox.in_flight.insert(delivery.id, InFlight { batch, until });
        Some(delivery)
    }
}
