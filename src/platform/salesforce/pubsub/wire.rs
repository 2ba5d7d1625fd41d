//! The Pub/Sub API's messages, declared in Rust so that no build needs `protoc`. `pubsub_api.proto`
//! beside this file says the same for other languages; a test compares the two. (Pub/Sub API
//! documentation, `pubsub_api.proto`, package `eventbus.v1`.)

use prost::Message;

/// Asks about a topic.
#[derive(Clone, PartialEq, Message)]
pub struct TopicRequest {
    /// `/data/LeadChangeEvent`.
    #[prost(string, tag = "1")]
    pub topic_name: String,
}

/// A topic.
#[derive(Clone, PartialEq, Message)]
pub struct TopicInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub topic_name: String,
    /// The org.
    #[prost(string, tag = "2")]
    pub tenant_guid: String,
    /// Whether the user may publish.
    #[prost(bool, tag = "3")]
    pub can_publish: bool,
    /// Whether the user may subscribe.
    #[prost(bool, tag = "4")]
    pub can_subscribe: bool,
    /// The schema that its newest events have; older ones name their own.
    #[prost(string, tag = "5")]
    pub schema_id: String,
    /// The call's number, for Salesforce's support.
    #[prost(string, tag = "6")]
    pub rpc_id: String,
}

/// Asks for a schema.
#[derive(Clone, PartialEq, Message)]
pub struct SchemaRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub schema_id: String,
}

/// A schema.
#[derive(Clone, PartialEq, Message)]
pub struct SchemaInfo {
    /// Avro, as JSON.
    #[prost(string, tag = "1")]
    pub schema_json: String,
    /// Its id, a fingerprint.
    #[prost(string, tag = "2")]
    pub schema_id: String,
    /// The call's number, for Salesforce's support.
    #[prost(string, tag = "3")]
    pub rpc_id: String,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ReplayPreset {
    /// With what happens from now on.
    Latest = 0,
    /// With the oldest event that is kept.
    Earliest = 1,
    /// Behind `replay_id`.
    Custom = 2,
}

/// Asks for events. The first of a stream says which; later ones only how many more.
#[derive(Clone, PartialEq, Message)]
pub struct FetchRequest {
    /// The topic.
    #[prost(string, tag = "1")]
    pub topic_name: String,
    /// Where to begin.
    #[prost(enumeration = "ReplayPreset", tag = "2")]
    pub replay_preset: i32,
    /// Behind which event, with [`ReplayPreset::Custom`].
    #[prost(bytes = "vec", tag = "3")]
    pub replay_id: Vec<u8>,
    /// How many more, on top of those still owed.
    #[prost(int32, tag = "4")]
    pub num_requested: i32,
    /// For Salesforce's own use.
    #[prost(string, tag = "5")]
    pub auth_refresh: String,
}

/// A header of an event.
#[derive(Clone, PartialEq, Message)]
pub struct EventHeader {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// An event as it was published.
#[derive(Clone, PartialEq, Message)]
pub struct ProducerEvent {
    /// Its id; the same where publishing was repeated.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The schema of its payload.
    #[prost(string, tag = "2")]
    pub schema_id: String,
    /// Bare Avro binary.
    #[prost(bytes = "vec", tag = "3")]
    pub payload: Vec<u8>,
    /// Its headers.
    #[prost(message, repeated, tag = "4")]
    pub headers: Vec<EventHeader>,
}

/// An event as it is delivered.
#[derive(Clone, PartialEq, Message)]
pub struct ConsumerEvent {
    /// The event.
    #[prost(message, optional, tag = "1")]
    pub event: Option<ProducerEvent>,
    /// Its place in the stream.
    #[prost(bytes = "vec", tag = "2")]
    pub replay_id: Vec<u8>,
}

/// Events, or none where only the place moved.
#[derive(Clone, PartialEq, Message)]
pub struct FetchResponse {
    /// The events.
    #[prost(message, repeated, tag = "1")]
    pub events: Vec<ConsumerEvent>,
    /// The latest place of the topic.
    #[prost(bytes = "vec", tag = "2")]
    pub latest_replay_id: Vec<u8>,
    /// The call's number, for Salesforce's support.
    #[prost(string, tag = "3")]
    pub rpc_id: String,
    /// How many events are still owed.
    #[prost(int32, tag = "4")]
    pub pending_num_requested: i32,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// Message or enum → its lines as `number name`, read from the file for people.
    fn contract() -> BTreeMap<String, Vec<(u32, String)>> {
        let mut found: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
        let mut inside = None;
        for line in include_str!("pubsub_api.proto").lines() {
            let words: Vec<&str> =
                line.split([' ', ';', '=']).filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                ["message" | "enum", name, "{"] => inside = Some((*name).to_owned()),
                ["}"] => inside = None,
                [.., name, number] if inside.is_some() => {
                    let number = number.parse().unwrap();
                    let of = inside.clone().unwrap();
                    found.entry(of).or_default().push((number, (*name).to_lowercase()));
                }
                _ => {}
            }
        }
        found
    }

    /// The same, read from the source above.
    fn declared() -> BTreeMap<String, Vec<(u32, String)>> {
        let mut found: BTreeMap<String, Vec<(u32, String)>> = BTreeMap::new();
        let (mut inside, mut tag, mut is_enum) = (String::new(), None, false);
        let source = include_str!("wire.rs");
        for line in source.split("#[cfg(test)]").next().unwrap().lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("pub struct ").or(line.strip_prefix("pub enum "))
            {
                inside = name.trim_end_matches(" {").to_owned();
                is_enum = line.starts_with("pub enum");
            } else if let Some((_, after)) = line.split_once("tag = \"") {
                tag = after.split('"').next().unwrap().parse().ok();
            } else if let (Some(rest), Some(number)) = (line.strip_prefix("pub "), tag.take()) {
                let name = rest.split(':').next().unwrap().to_owned();
                found.entry(inside.clone()).or_default().push((number, name));
            } else if is_enum && let Some((name, number)) = line.split_once(" = ") {
                let number = number.trim_end_matches(',').parse().unwrap();
                found.entry(inside.clone()).or_default().push((number, name.to_lowercase()));
            }
        }
        found
    }

    #[test]
    fn the_declarations_are_those_of_the_contract() {
        let contract = contract();
        assert_eq!(contract.len(), 10);
        assert_eq!(contract["FetchRequest"].len(), 5);
        assert_eq!(declared(), contract);
    }
}
