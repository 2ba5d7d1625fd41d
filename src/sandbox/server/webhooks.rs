//! HubSpot's webhooks over the network: what is due is sent, and what came of it is told.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::StatusCode;
use tokio::sync::watch;

use super::Sandbox;
use crate::sandbox::hubspot::webhooks::{Delivery, Unanswered};

/// How soon it looks again where nobody said that there is something new: the world may have been
/// changed in process, or the clock set ahead.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Sends until `stop` holds true. What is in flight then is dropped: to the world it timed out.
pub(super) async fn run(sandbox: Sandbox, mut stop: watch::Receiver<bool>) {
    let mut client = None;
    let mut flying = FuturesUnordered::new();
    loop {
        let news = sandbox.news();
        let now = sandbox.clock().now();
        let due = sandbox.world().webhooks_due(now);
        for delivery in due {
            let client = client.get_or_insert_with(client_of_its_own).clone();
            flying.push(async move {
                let id = delivery.id;
                (id, send(client, delivery).await)
            });
        }
        let wake = sandbox.world().webhooks_wake();
        let left = wake.map(|at| at.duration_since(now).unsigned_abs());
        let left = left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN);
        tokio::select! {
            biased;
            // An error means that the sender is gone, which is a stop as well.
            _ = stop.wait_for(|stop| *stop) => return,
            Some((id, answer)) = flying.next(), if !flying.is_empty() => {
                let now = sandbox.clock().now();
                sandbox.world().webhook_answered(id, answer, now);
            }
            () = news => {}
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// A client that shares nothing with the service's. It follows no redirect, as a redirect is no
/// success to the platform.
fn client_of_its_own() -> Option<reqwest::Client> {
    // The error says that a provider is installed already, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let built = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .build();
    built.inspect_err(|error| tracing::error!(%error, "no webhooks can be sent")).ok()
}

async fn send(
    client: Option<reqwest::Client>,
    delivery: Delivery,
) -> Result<StatusCode, Unanswered> {
    let client = client.ok_or(Unanswered::Broken)?;
    let request = reqwest::Request::try_from(delivery.request).map_err(|_| Unanswered::Broken)?;
    match tokio::time::timeout(delivery.timeout, client.execute(request)).await {
        Ok(Ok(response)) => Ok(response.status()),
        Ok(Err(_)) => Err(Unanswered::Broken),
        Err(_) => Err(Unanswered::Timeout),
    }
}
