//! Change events of Salesforce, from the sandbox's own bus to the daemon's own reader, with a step
//! before and after each word that passes.
//!
//! Streams break, fall silent, forget their place, tell of changes twice, late, without a body, of
//! all records at once, or not at all. The polls stay below as a net.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::seams::Steps;
use crate::cli::rehearsal::InProcessBus;
use crate::daemon::{Engine, StreamChoice, StreamOptions};
use crate::platform::salesforce::pubsub::{
    EventBus, EventStream, Fetched, Replay, Session, StreamError, Topic,
};

/// What may happen to streams, with the highest probability of each.
pub(super) const FAULTS: [(&str, f64); 12] = [
    ("stream-cut", 0.1),
    ("stream-stall", 0.1),
    ("stream-schema-change", 0.05),
    ("replay-expired", 0.2),
    ("gap", 0.2),
    ("overflow", 0.05),
    ("wildcard-event", 0.05),
    ("duplicate-event", 0.3),
    ("late-event", 0.3),
    ("lost-event", 0.2),
    ("quota-exhausted", 0.02),
    ("pubsub-unavailable", 0.1),
];

/// A history is over within minutes, and so are the pauses of its streams.
pub(super) fn options() -> StreamOptions {
    StreamOptions {
        silence: Duration::from_secs(60),
        longest_pause: Duration::from_secs(10),
        long_pause: Duration::from_secs(30),
        ..StreamOptions::default()
    }
}

/// Follows every topic of the mappings for as long as the process lives.
pub(super) async fn follow(engine: &Engine) {
    let Some(events) = engine.events.clone() else { return std::future::pending().await };
    loop {
        let topics = engine.topics(&StreamChoice::Entities);
        join_all(topics.iter().map(|topic| engine.follow(&events, topic))).await;
        sleep(Duration::from_secs(1)).await;
    }
}

/// The bus behind its seam.
pub(super) struct SteppedBus {
    pub(super) inner: InProcessBus,
    pub(super) steps: Arc<Steps>,
}

#[async_trait]
impl EventBus for SteppedBus {
    async fn topic(&self, session: &Session, name: &str) -> Result<Topic, StreamError> {
        pass(&self.steps, "topic", self.inner.topic(session, name)).await
    }

    async fn schema(&self, session: &Session, id: &str) -> Result<String, StreamError> {
        pass(&self.steps, "schema", self.inner.schema(session, id)).await
    }

    async fn subscribe(
        &self,
        session: &Session,
        topic: &str,
        from: &Replay,
        count: u32,
    ) -> Result<Box<dyn EventStream>, StreamError> {
        let opened = self.inner.subscribe(session, topic, from, count);
        let inner = pass(&self.steps, topic, opened).await?;
        Ok(Box::new(SteppedStream { inner, steps: Arc::clone(&self.steps) }))
    }
}

struct SteppedStream {
    inner: Box<dyn EventStream>,
    steps: Arc<Steps>,
}

#[async_trait]
impl EventStream for SteppedStream {
    async fn request(&mut self, count: u32) -> Result<(), StreamError> {
        self.inner.request(count).await
    }

    async fn next(&mut self) -> Result<Fetched, StreamError> {
        let next = self.inner.next().await;
        let arrived = next.as_ref().map(|fetched| fetched.events.len());
        self.steps.told(arrived.as_ref().copied().unwrap_or_default());
        self.steps.note(|| match arrived {
            Ok(count) => format!("{count} change events"),
            Err(error) => format!("no change events: {error}"),
        });
        if !self.steps.step() {
            return std::future::pending().await;
        }
        next
    }
}

/// A call, with a step before and after it.
async fn pass<T>(
    steps: &Steps,
    what: &str,
    call: impl Future<Output = Result<T, StreamError>>,
) -> Result<T, StreamError> {
    if !steps.step() {
        return std::future::pending().await;
    }
    let answer = call.await;
    steps.note(|| match &answer {
        Ok(_) => format!("event bus {what}"),
        Err(error) => format!("event bus {what}: {error}"),
    });
    if !steps.step() {
        return std::future::pending().await;
    }
    answer
}
