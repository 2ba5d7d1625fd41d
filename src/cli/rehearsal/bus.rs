//! The sandbox's change events behind the daemon's seam, without a network between.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::ExposeSecret;
use tokio::time::sleep;

use crate::platform::salesforce::pubsub::{
    EventBus, EventStream, Fetched, RawEvent, Replay, ReplayId, Session, StreamError, Topic,
};
use crate::sandbox::Sandbox;
use crate::sandbox::salesforce::bus::{
    BusError, Caller, FetchRequest, FetchResponse, Next, Preset, Subscription,
};

/// How often the sandbox is asked whether something happened.
const LOOK: Duration = Duration::from_millis(100);

/// The sandbox's change events, called in process.
#[derive(Debug, Clone)]
pub struct InProcessBus(pub Sandbox);

fn caller(session: &Session) -> Caller {
    Caller {
        access_token: session.token.expose_secret().to_owned(),
        instance_url: session.instance.clone(),
        tenant_id: session.tenant.clone(),
    }
}

fn told(error: BusError) -> StreamError {
    StreamError {
        status: error.status,
        code: error.code,
        message: error.message,
        rpc_id: Some(error.rpc_id).filter(|id| !id.is_empty()),
    }
}

#[async_trait]
impl EventBus for InProcessBus {
    async fn topic(&self, session: &Session, name: &str) -> Result<Topic, StreamError> {
        let now = self.0.clock().now();
        let topic = self.0.world().event_topic(&caller(session), name, now).map_err(told)?;
        Ok(Topic { name: topic.name, can_subscribe: true, schema_id: topic.schema_id })
    }

    async fn schema(&self, session: &Session, id: &str) -> Result<String, StreamError> {
        let now = self.0.clock().now();
        let schema = self.0.world().event_schema(&caller(session), id, now).map_err(told)?;
        Ok(schema.json)
    }

    async fn subscribe(
        &self,
        session: &Session,
        topic: &str,
        from: &Replay,
        count: u32,
    ) -> Result<Box<dyn EventStream>, StreamError> {
        let (replay_preset, replay_id) = match from {
            Replay::Latest => (Preset::Latest, Vec::new()),
            Replay::Earliest => (Preset::Earliest, Vec::new()),
            Replay::After(ReplayId(id)) => (Preset::Custom, id.clone()),
        };
        let first = FetchRequest {
            topic_name: topic.to_owned(),
            replay_preset,
            replay_id,
            num_requested: i32::try_from(count).unwrap_or(i32::MAX),
        };
        let now = self.0.clock().now();
        let opened = self.0.world().event_subscribe(&caller(session), &first, now);
        Ok(Box::new(InProcessStream { sandbox: self.0.clone(), opened: opened.map_err(told)? }))
    }
}

struct InProcessStream {
    sandbox: Sandbox,
    opened: Subscription,
}

#[async_trait]
impl EventStream for InProcessStream {
    async fn request(&mut self, count: u32) -> Result<(), StreamError> {
        let more = FetchRequest {
            num_requested: i32::try_from(count).unwrap_or(i32::MAX),
            ..FetchRequest::default()
        };
        let now = self.sandbox.clock().now();
        self.opened.request(&mut self.sandbox.world(), &more, now).map_err(told)
    }

    async fn next(&mut self) -> Result<Fetched, StreamError> {
        loop {
            let now = self.sandbox.clock().now();
            let next = self.opened.next(&mut self.sandbox.world(), now);
            match next {
                Next::Response(response) => return Ok(fetched(response)),
                Next::Closed => return Err(StreamError::broken("the server ended the stream")),
                Next::Failed(error) => return Err(told(error)),
                Next::Wait(_) => sleep(LOOK).await,
            }
        }
    }
}

fn fetched(response: FetchResponse) -> Fetched {
    let events = response.events.into_iter().map(|event| RawEvent {
        id: event.id,
        schema_id: event.schema_id,
        payload: event.payload.to_vec(),
        replay: ReplayId(event.replay_id.to_vec()),
    });
    Fetched {
        events: events.collect(),
        latest: ReplayId(response.latest_replay_id.to_vec()),
        pending: u32::try_from(response.pending_num_requested).unwrap_or(0),
    }
}
