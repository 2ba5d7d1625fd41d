//! Salesforce's change data capture, over the Pub/Sub API.
//!
//! [`EventBus`] is the seam: topics, schemas and a stream of raw events. [`Grpc`] is the network
//! behind it; the simulation has its own. Above it stands [`Events`], which signs in, keeps the
//! schemas and turns raw events into [`ChangeEvent`]s. Following a stream, and what to do when it
//! breaks, is the daemon's business; what each error asks for says [`cure`].

mod bitmap;
mod codes;
mod event;
mod events;
mod grpc;
mod schema;
mod selected;
mod wire;

pub use codes::{Cure, PREFIX, cure};
pub use event::{ChangeEvent, EventKind, Undecodable};
pub use events::{EventError, Events, Sessions};
pub use grpc::{Grpc, GrpcSettings};
pub use schema::EventSchema;
pub use selected::{Member, Selected};

use async_trait::async_trait;
use secrecy::SecretString;

/// What every call to the Pub/Sub API carries, and what tells our own writes in its events.
#[derive(Debug, Clone)]
pub struct Session {
    /// The access token.
    pub token: SecretString,
    /// The org's own address, without a slash at the end.
    pub instance: String,
    /// The org's id.
    pub tenant: String,
    /// The id of the user that we are.
    pub user: String,
    /// The name that our writes carry (`;client=…`).
    pub client: String,
}

/// A place in a topic's stream: opaque, kept and sent back as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplayId(pub Vec<u8>);

impl ReplayId {
    /// As hexadecimal text.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From hexadecimal text; nothing where it is none.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
        (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Self)
    }
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// With what happens from now on.
    Latest,
    /// With the oldest event that is kept: 72 hours.
    Earliest,
    /// Behind this one.
    After(ReplayId),
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether the user may subscribe.
    pub can_subscribe: bool,
    /// The schema of its newest events. Older ones have their own.
    pub schema_id: String,
}

/// An event as it arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// Its id: the same where it was published twice.
    pub id: String,
    /// The schema that its payload was written with.
    pub schema_id: String,
    /// Bare Avro binary.
    pub payload: Vec<u8>,
    /// Its place in the stream.
    pub replay: ReplayId,
}

/// What the server sent at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The events; none where it only says that the stream lives and how far the topic is.
    pub events: Vec<RawEvent>,
    /// The latest place of the topic.
    pub latest: ReplayId,
    /// How many events the server still owes, by its own count.
    pub pending: u32,
}

/// A call to the Pub/Sub API failed, or a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", self.code_text())]
pub struct StreamError {
    /// gRPC's status.
    pub status: i32,
    /// The trailer `error-code`, which is what to branch on.
    pub code: Option<String>,
    /// What happened.
    pub message: String,
    /// The call's number, for Salesforce's support.
    pub rpc_id: Option<String>,
}

impl StreamError {
    /// The stream ended without an error, or the connection broke: gRPC's UNAVAILABLE.
    #[must_use]
    pub fn broken(message: impl Into<String>) -> Self {
        Self { status: 14, code: None, message: message.into(), rpc_id: None }
    }

    fn code_text(&self) -> String {
        let code = self.code.as_deref().map(|code| code.strip_prefix(PREFIX).unwrap_or(code));
        code.map(|code| format!("{code}: ")).unwrap_or_default()
    }
}

/// The seam for the stream of change events.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Says what is known of a topic.
    async fn topic(&self, session: &Session, name: &str) -> Result<Topic, StreamError>;

    /// A schema by its id, as JSON. What an id stands for never changes.
    async fn schema(&self, session: &Session, id: &str) -> Result<String, StreamError>;

    /// Begins to read a topic, and asks for `count` events. What the server has against it may be
    /// said by the first [`EventStream::next`] only.
    async fn subscribe(
        &self,
        session: &Session,
        topic: &str,
        from: &Replay,
        count: u32,
    ) -> Result<Box<dyn EventStream>, StreamError>;
}

/// One subscription. Dropping it closes it.
#[async_trait]
pub trait EventStream: Send {
    /// Asks for `count` more events, on top of those still owed. Together they must not be more
    /// than 100.
    async fn request(&mut self, count: u32) -> Result<(), StreamError>;

    /// Waits for what the server sends next. A wait that is given up loses nothing.
    async fn next(&mut self) -> Result<Fetched, StreamError>;
}

#[cfg(test)]
mod tests;
