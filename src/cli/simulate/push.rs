//! Word that arrives by itself: HubSpot's webhooks, signed by the sandbox and taken in by the
//! daemon's own receiver, which checks, parses and writes down as it does on the network.
//!
//! Deliveries are lost, late, doubled, shuffled, forged and repeated; one that meets no process is
//! made again. The polls stay below as a net.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use jiff::SignedDuration;
use secrecy::SecretString;

use super::seams::Steps;
use crate::daemon::Engine;
use crate::daemon::webhooks::Receiver;
use crate::mapping::Mappings;
use crate::platform::transport::{Http, InProcess};
use crate::record::Side;
use crate::sandbox::Sandbox;
use crate::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET};
use crate::sandbox::hubspot::webhooks::{Delivery, Unanswered};
use crate::settings::{SignatureVersion, Webhooks};

/// What may happen to deliveries, with the highest probability of each.
pub(super) const FAULTS: [(&str, f64); 6] = [
    ("webhooks-lost", 0.3),
    ("webhooks-late", 0.3),
    ("webhooks-duplicated", 0.3),
    ("webhooks-shuffled", 0.5),
    ("webhooks-forged", 0.2),
    ("webhooks-repeated", 0.2),
];

/// Where the daemon is called.
const TARGET: &str = "https://lockstep.example.com/webhooks/hubspot";

/// How soon it is seen that there is something new to tell.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Lets HubSpot tell of everything that the mappings are about.
pub(super) fn subscribe(sandbox: &Sandbox, mappings: &Mappings) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let webhooks = &mut world.hubspot.webhooks;
    // A history is over within minutes.
    webhooks.settings.retry_span = SignedDuration::from_mins(5);
    webhooks.settings.lateness = SignedDuration::from_mins(1);
    if let Some(app) = webhooks.app_mut(PRIVATE_APP) {
        let _ = app.set_target_url(Some(TARGET));
    }
    for mapping in &mappings.list {
        let object = &mapping.sides.hubspot.object;
        let kind = match object.as_str() {
            "companies" => "company",
            other => other.strip_suffix('s').unwrap_or(other),
        };
        for what in ["creation", "deletion", "merge", "restore"] {
            let event = format!("{kind}.{what}");
            let _ = webhooks.subscribe(PRIVATE_APP, &event, None, None, true, now);
        }
        let event = format!("{kind}.propertyChange");
        for property in mapping.names(Side::HubSpot, object) {
            // What HubSpot does not tell of, the polls find.
            let _ = webhooks.subscribe(PRIVATE_APP, &event, Some(&property), None, true, now);
        }
    }
}

/// The receiver of a daemon, as one end of the network.
pub(super) fn receiver(engine: &Arc<Engine>) -> Option<InProcess> {
    let settings = Webhooks {
        listen: None,
        public_url: TARGET.parse().ok(),
        trusted_proxies: Vec::new(),
        secret_file: None,
        signatures: vec![SignatureVersion::V1, SignatureVersion::V3],
        largest_body: 1024,
        timeout: Duration::from_secs(10),
        connections: 10,
        waiting: 10,
        certificate_file: None,
        key_file: None,
        developer_key_file: None,
    };
    let secret = SecretString::from(PRIVATE_APP_SECRET.to_owned());
    let receiver = Receiver::new(Arc::clone(engine), &settings, &secret, None, false).ok()?;
    Some(InProcess::new(Arc::new(receiver).router()))
}

/// Delivers what is due, for ever. Without a receiver no delivery finds anybody.
pub(super) async fn deliver(sandbox: &Sandbox, steps: &Steps, receiver: Option<&InProcess>) {
    let mut flying = FuturesUnordered::new();
    loop {
        let now = sandbox.clock().now();
        let due = sandbox.world().webhooks_due(now);
        flying.extend(due.into_iter().map(|delivery| carry(steps, receiver, delivery)));
        let wake = sandbox.world().webhooks_wake();
        let left = wake.map_or(LOOK_AGAIN, |at| at.duration_since(now).unsigned_abs());
        let left = left.clamp(Duration::from_millis(10), LOOK_AGAIN);
        tokio::select! {
            biased;
            Some((id, answer)) = flying.next(), if !flying.is_empty() => {
                let now = sandbox.clock().now();
                sandbox.world().webhook_answered(id, answer, now);
            }
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// One delivery. Where the process ends in the middle, HubSpot never hears an answer.
async fn carry(
    steps: &Steps,
    receiver: Option<&InProcess>,
    delivery: Delivery,
) -> (u64, Result<StatusCode, Unanswered>) {
    let Delivery { id, events, attempt, timeout, request, .. } = delivery;
    let Some(receiver) = receiver else { return (id, Err(Unanswered::Broken)) };
    if !steps.step() {
        return std::future::pending().await;
    }
    let answer = match tokio::time::timeout(timeout, receiver.call(request)).await {
        Ok(Ok(response)) => Ok(response.status()),
        Ok(Err(_)) => Err(Unanswered::Broken),
        Err(_) => Err(Unanswered::Timeout),
    };
    steps.delivered(answer.is_ok_and(|status| status.is_success()));
    steps.note(|| format!("webhook of {events} events, attempt {attempt}: {answer:?}"));
    if !steps.step() {
        return std::future::pending().await;
    }
    (id, answer)
}
