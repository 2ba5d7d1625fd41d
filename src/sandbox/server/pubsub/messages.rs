//! The messages of the package `eventbus.v1`, by the numbers of the API's published protocol.

use bytes::Bytes;
use prost::Message;

/// What `GetTopic` is asked.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct TopicRequest {
    #[prost(string, tag = "1")]
    pub topic_name: String,
}

/// What `GetTopic` answers.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct TopicInfo {
    #[prost(string, tag = "1")]
    pub topic_name: String,
    #[prost(string, tag = "2")]
    pub tenant_guid: String,
    #[prost(bool, tag = "3")]
    pub can_publish: bool,
    #[prost(bool, tag = "4")]
    pub can_subscribe: bool,
    #[prost(string, tag = "5")]
    pub schema_id: String,
    #[prost(string, tag = "6")]
    pub rpc_id: String,
}

/// What `GetSchema` is asked.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct SchemaRequest {
    #[prost(string, tag = "1")]
    pub schema_id: String,
}

/// What `GetSchema` answers.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct SchemaInfo {
    #[prost(string, tag = "1")]
    pub schema_json: String,
    #[prost(string, tag = "2")]
    pub schema_id: String,
    #[prost(string, tag = "3")]
    pub rpc_id: String,
}

/// A header of an event; change events have none.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct EventHeader {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// An event as it was published.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct ProducerEvent {
    #[prost(string, tag = "1")]
    pub id: String,
    #[prost(string, tag = "2")]
    pub schema_id: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
    #[prost(message, repeated, tag = "4")]
    pub headers: Vec<EventHeader>,
}

/// An event as it is told.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct ConsumerEvent {
    #[prost(message, optional, tag = "1")]
    pub event: Option<ProducerEvent>,
    #[prost(bytes = "vec", tag = "2")]
    pub replay_id: Vec<u8>,
}

/// A client's message on a stream.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct FetchRequest {
    #[prost(string, tag = "1")]
    pub topic_name: String,
    /// 0 latest, 1 earliest, 2 custom.
    #[prost(int32, tag = "2")]
    pub replay_preset: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub replay_id: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub num_requested: i32,
    #[prost(string, tag = "5")]
    pub auth_refresh: String,
}

/// The server's message on a stream.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct FetchResponse {
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<ConsumerEvent>,
    #[prost(bytes = "vec", tag = "2")]
    pub latest_replay_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub rpc_id: String,
    #[prost(int32, tag = "4")]
    pub pending_num_requested: i32,
}

/// What `Publish` is asked, as far as refusing it needs.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct PublishRequest {
    #[prost(string, tag = "1")]
    pub topic_name: String,
}

/// What `Publish` would answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub(in crate::sandbox::server) struct PublishResponse {
    #[prost(string, tag = "2")]
    pub schema_id: String,
}
