//! The event bus: change data capture as the Pub/Sub API tells it.
//!
//! The org's log of changes ([`changes`](super::changes)) becomes events: one transaction after the
//! other, folded by record, encoded in Avro by the schema of the moment (`publish`). Events stand
//! in one row of replay ids for all topics and are kept for 72 hours; a [`Subscription`] walks along
//! that row ([`stream`]).
//!
//! Nothing here waits or sends: the caller brings the time and polls, so that the simulation reads
//! the stream on virtual time and the server over gRPC by the same code. The bus begins to record
//! with the first call to it, or with `record_events`; before that a change costs nothing.
//!
//! Behaviour follows the Pub/Sub API and Change Data Capture guides and captured events.

mod avro;
mod bitmap;
mod diff;
mod documented;
mod publish;
pub mod schema;
pub mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::changes::Change;
use super::id;
use super::world::Org;
use crate::sandbox::World;
use crate::sandbox::fault::{Fault, Side};
use schema::EventSchema;
pub use stream::{Delivered, FetchRequest, FetchResponse, Next, Preset, Subscription};

/// What every error code begins with.
const PREFIX: &str = "sfdc.platform.eventbus.grpc.";
/// The most events that are kept.
const KEPT: usize = 200_000;
/// Numbers of status, as gRPC has them.
mod status {
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const NOT_FOUND: i32 = 5;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const INTERNAL: i32 = 13;
    pub const UNAVAILABLE: i32 = 14;
    pub const UNAUTHENTICATED: i32 = 16;
}

/// How the bus behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// After how long without an event a stream gets an empty response: 270 seconds at most by the
    /// guide, about a minute in practice.
    pub keepalive: SignedDuration,
    /// After how long with nothing requested a stream is closed.
    pub idle: SignedDuration,
    /// How long events are kept.
    pub retention: SignedDuration,
    /// How many events a rolling day's subscribers may be delivered.
    pub daily_deliveries: u64,
    /// About how many bytes of events one response holds at most.
    pub response_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keepalive: SignedDuration::from_secs(60),
            idle: SignedDuration::from_secs(60),
            retention: SignedDuration::from_hours(72),
            // An Enterprise org's 25,000 with the add-on of 100,000.
            daily_deliveries: 125_000,
            response_bytes: 3_000_000,
        }
    }
}

/// A refusal or the end of a stream, as gRPC tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BusError {
    /// The number of the gRPC status.
    pub status: i32,
    /// What the trailer `error-code` says. A broken connection has no trailers.
    pub code: Option<String>,
    /// The status message.
    pub message: String,
    /// What the trailer `rpc-id` says.
    pub rpc_id: String,
}

/// Who calls: the metadata of each RPC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// `accesstoken`
    pub access_token: String,
    /// `instanceurl`
    pub instance_url: String,
    /// `tenantid`: the org's id in either form.
    pub tenant_id: String,
}

/// What `GetTopic` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// `/data/LeadChangeEvent`
    pub name: String,
    /// The org.
    pub tenant_guid: String,
    /// The id of the schema that the next event will have, if nothing changes until then.
    pub schema_id: String,
    /// The call's id.
    pub rpc_id: String,
}

/// What `GetSchema` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The id that was asked for.
    pub id: String,
    /// The Avro schema.
    pub json: String,
    /// The call's id.
    pub rpc_id: String,
}

/// One event in the row.
#[derive(Debug, Clone)]
struct Event {
    replay: u64,
    at: i64,
    entity: Arc<str>,
    id: String,
    schema_id: Arc<str>,
    payload: Bytes,
}

/// The events of an org, and who may hear which.
#[derive(Debug)]
pub struct Bus {
    /// How it behaves.
    pub settings: Settings,
    recording: bool,
    /// The number of the last change that was taken from the log.
    taken: u64,
    /// Changes that are not committed yet.
    pending: Vec<Change>,
    /// Events that a fault holds back, by the millisecond of their time.
    held: Vec<(i64, publish::Draft)>,
    events: VecDeque<Event>,
    /// Replay ids of no event: what a quiet stream was told last.
    marks: VecDeque<(u64, i64)>,
    newest: u64,
    identity: u64,
    selected: BTreeSet<Arc<str>>,
    channels: BTreeMap<String, BTreeSet<Arc<str>>>,
    schemas: BTreeMap<String, Arc<EventSchema>>,
    current: BTreeMap<Arc<str>, Arc<EventSchema>>,
    /// Deliveries by minute.
    delivered: VecDeque<(i64, u64)>,
    fields_added: u32,
    overflowed: bool,
    /// Whether the integration user may not see what is selected.
    pub selections_hidden: bool,
}

impl Bus {
    /// The bus of a fresh org: the objects of a sales process are selected for change data capture.
    pub(super) fn fresh(now: Timestamp) -> Self {
        let selected = ["Account", "Contact", "Lead", "Opportunity", "Task"];
        Self {
            settings: Settings::default(),
            recording: false,
            taken: 0,
            pending: Vec::new(),
            held: Vec::new(),
            events: VecDeque::new(),
            marks: VecDeque::from([(4_310_000, now.as_millisecond())]),
            newest: 4_310_000,
            identity: 0,
            selected: selected.into_iter().map(Arc::from).collect(),
            channels: BTreeMap::new(),
            schemas: BTreeMap::new(),
            current: BTreeMap::new(),
            delivered: VecDeque::new(),
            fields_added: 0,
            overflowed: false,
            selections_hidden: false,
        }
    }

    /// What is selected: each channel with each of its events, by their names.
    pub(super) fn selections(&self) -> impl Iterator<Item = (&str, String)> {
        let standard = self.selected.iter().map(|object| ("ChangeEvents", object));
        let custom = self
            .channels
            .iter()
            .flat_map(|(name, objects)| objects.iter().map(move |object| (name.as_str(), object)));
        standard.chain(custom).map(|(channel, object)| (channel, schema::event_name(object)))
    }

    /// Selects an object for change data capture, as an admin does in Setup, or takes it off.
    pub fn select(&mut self, object: &str, selected: bool) {
        if selected {
            self.selected.insert(object.into());
        } else {
            self.selected.remove(object);
        }
    }

    /// Makes the custom channel `/data/{name}` of these objects; a name ends in `__chn`.
    pub fn add_channel(&mut self, name: &str, objects: &[&str]) {
        let objects = objects.iter().map(|object| Arc::from(*object)).collect();
        self.channels.insert(name.to_owned(), objects);
    }

    /// Forgets every event, as an org that moves to another instance does: no replay id of before
    /// is known any more.
    pub fn reset(&mut self, now: Timestamp) {
        self.events.clear();
        self.marks.clear();
        let next = self.next_replay();
        self.marks.push_back((next, now.as_millisecond()));
    }

    /// How many events subscribers were delivered in the last day.
    #[must_use]
    pub fn delivered_today(&self) -> u64 {
        self.delivered.iter().map(|(_, count)| count).sum()
    }

    /// How many events are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.events.len()
    }

    /// The last replay id that was handed out.
    #[must_use]
    pub fn newest_replay_id(&self) -> [u8; 8] {
        self.newest.to_be_bytes()
    }

    /// Ids rise, and leave others out: on the platform they count more than this org's events.
    fn next_replay(&mut self) -> u64 {
        self.newest += 1 + (mix(self.newest) & 7);
        self.newest
    }

    fn uuid(&mut self) -> String {
        self.identity += 1;
        uuid(self.identity)
    }

    fn is_told(&self, entity: &str) -> bool {
        self.selected.contains(entity) || self.channels.values().any(|c| c.contains(entity))
    }

    /// Forgets what is older than the retention, and deliveries of more than a day ago.
    fn forget(&mut self, now: Timestamp) {
        let ms = now.as_millisecond();
        let limit = ms.saturating_sub(as_ms(self.settings.retention));
        while self.events.front().is_some_and(|e| e.at < limit) || self.events.len() > KEPT {
            self.events.pop_front();
        }
        while self.marks.front().is_some_and(|(_, at)| *at < limit) {
            self.marks.pop_front();
        }
        let day = ms / 60_000 - 24 * 60;
        while self.delivered.front().is_some_and(|(minute, _)| *minute <= day) {
            self.delivered.pop_front();
        }
    }

    fn count_delivered(&mut self, count: usize, now: Timestamp) {
        let minute = now.as_millisecond() / 60_000;
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match self.delivered.back_mut() {
            Some((at, sum)) if *at == minute => *sum += count,
            _ => self.delivered.push_back((minute, count)),
        }
    }

    /// Whether a replay id was handed out and is still within the retention.
    fn knows(&self, replay: u64) -> bool {
        self.events.binary_search_by_key(&replay, |event| event.replay).is_ok()
            || self.marks.iter().any(|(mark, _)| *mark == replay)
    }

    /// The replay id that a quiet stream is told: a new one now and then, so that a client which
    /// keeps it stays within the retention.
    fn mark(&mut self, now: Timestamp) -> u64 {
        let ms = now.as_millisecond();
        let event = self.events.back().map(|event| (event.replay, event.at));
        let last = event.into_iter().chain(self.marks.back().copied()).max();
        match last {
            Some((replay, at)) if at > ms - 60_000 => replay,
            _ => {
                let replay = self.next_replay();
                self.marks.push_back((replay, ms));
                replay
            }
        }
    }
}

/// What a topic tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Audience {
    /// One object.
    Of(Arc<str>),
    /// Every selected object.
    Selected,
    /// The objects of a custom channel, by its name.
    Channel(String),
}

impl Org {
    /// Begins to record changes as events, if that was not begun before.
    pub fn record_events(&mut self) {
        if !self.bus.recording {
            self.bus.recording = true;
            self.bus.taken = self.changes.newest();
        }
    }

    fn audience(&self, topic: &str) -> Option<Audience> {
        let name = topic.strip_prefix("/data/")?;
        if name == "ChangeEvents" {
            return Some(Audience::Selected);
        }
        if self.bus.channels.contains_key(name) {
            return Some(Audience::Channel(name.to_owned()));
        }
        self.objects
            .values()
            .find(|object| object.writable && schema::event_name(&object.name) == name)
            .map(|object| Audience::Of(object.name.clone()))
    }

    fn hears(&self, audience: &Audience, entity: &str) -> bool {
        match audience {
            Audience::Of(object) => **object == *entity,
            Audience::Selected => self.bus.selected.contains(entity),
            Audience::Channel(name) => {
                self.bus.channels.get(name).is_some_and(|objects| objects.contains(entity))
            }
        }
    }

    /// The schema that an object's next event will have.
    fn event_schema_of(&mut self, object: &str) -> Option<Arc<EventSchema>> {
        if let Some(known) = self.bus.current.get(object) {
            return Some(known.clone());
        }
        let made = Arc::new(EventSchema::of(self.object(object)?));
        self.bus.schemas.insert(made.id.clone(), made.clone());
        self.bus.current.insert(object.into(), made.clone());
        Some(made)
    }

    fn schema_of_audience(&mut self, audience: &Audience) -> Option<Arc<EventSchema>> {
        match audience {
            Audience::Of(object) => self.event_schema_of(object),
            Audience::Selected | Audience::Channel(_) => {
                let made = Arc::new(EventSchema::of_channel());
                self.bus.schemas.insert(made.id.clone(), made.clone());
                Some(made)
            }
        }
    }

    /// Notes that an object has other fields now: its next event has another schema.
    pub(super) fn event_schema_changed(&mut self, object: &str) {
        self.bus.current.remove(object);
    }

    fn bus_error(&mut self, status: i32, code: &str, message: &str) -> BusError {
        let rpc_id = self.bus.uuid();
        BusError {
            status,
            code: Some(format!("{PREFIX}{code}")),
            message: format!("{message} rpcId: {rpc_id}"),
            rpc_id,
        }
    }
}

impl World {
    /// `GetTopic`.
    ///
    /// # Errors
    /// When the session is not valid, the topic does not exist or a fault strikes.
    pub fn event_topic(
        &mut self,
        caller: &Caller,
        name: &str,
        now: Timestamp,
    ) -> Result<Topic, BusError> {
        let answer = self.event_call(caller, now).and_then(|()| {
            let org = &mut self.salesforce;
            let audience = find_topic(org, name)?;
            let schema_id =
                org.schema_of_audience(&audience).map(|s| s.id.clone()).unwrap_or_default();
            let (tenant_guid, rpc_id) = (format!("core/sandbox/{}", org.id), org.bus.uuid());
            Ok(Topic { name: name.to_owned(), tenant_guid, schema_id, rpc_id })
        });
        self.note_rpc("GetTopic", answer.as_ref().err());
        answer
    }

    /// `GetSchema`.
    ///
    /// # Errors
    /// When the session is not valid, no event ever had that schema or a fault strikes.
    pub fn event_schema(
        &mut self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Schema, BusError> {
        let answer = self.event_call(caller, now).and_then(|()| {
            let org = &mut self.salesforce;
            let Some(schema) = org.bus.schemas.get(id).cloned() else {
                let message = format!("Could not find schema id {id}.");
                return Err(org.bus_error(status::NOT_FOUND, "schema.validation.failed", &message));
            };
            Ok(Schema { id: id.to_owned(), json: schema.json.clone(), rpc_id: org.bus.uuid() })
        });
        self.note_rpc("GetSchema", answer.as_ref().err());
        answer
    }

    /// `Subscribe`, with the first request of the stream.
    ///
    /// # Errors
    /// When the session is not valid, the topic does not exist, the replay id is not known (any
    /// more), nothing is requested, the allowance is used up or a fault strikes.
    pub fn event_subscribe(
        &mut self,
        caller: &Caller,
        first: &FetchRequest,
        now: Timestamp,
    ) -> Result<Subscription, BusError> {
        let answer =
            self.event_call(caller, now).and_then(|()| Subscription::open(self, first, now));
        self.note_rpc("Subscribe", answer.as_ref().err());
        answer
    }

    pub(super) fn note_rpc(&mut self, rpc: &str, error: Option<&BusError>) {
        let outcome = error.map_or("ok", |error| {
            error.code.as_deref().map_or("cut", |code| code.strip_prefix(PREFIX).unwrap_or(code))
        });
        self.calls.push(Side::Salesforce, rpc, outcome);
    }

    /// What every RPC begins with: the service is there, and the session is valid.
    fn event_call(&mut self, caller: &Caller, now: Timestamp) -> Result<(), BusError> {
        self.salesforce.record_events();
        self.publish_events(now);
        let Self { salesforce: org, faults, random, .. } = self;
        if faults.strikes(Fault::PubsubUnavailable, Side::Salesforce, random) {
            return Err(unavailable(org));
        }
        let missing = [&caller.access_token, &caller.instance_url, &caller.tenant_id];
        let tenant = id::normalise(&caller.tenant_id);
        let url = url::Url::parse(&caller.instance_url).is_ok_and(|url| url.has_host());
        if missing.iter().any(|text| text.is_empty()) || tenant.as_ref() != Some(&org.id) || !url {
            return Err(org.bus_error(
                status::UNAUTHENTICATED,
                "service.auth.headers.invalid",
                "The accesstoken, instanceurl or tenantid header is missing or not valid.",
            ));
        }
        let idle = org.settings.session_idle;
        let user = org.auth.use_session(&caller.access_token, now, idle).map(|s| s.user.clone());
        let active = user.and_then(|user| org.record(&user)).is_some_and(|u| u.flag("IsActive"));
        if !active {
            return Err(org.bus_error(
                status::UNAUTHENTICATED,
                "service.auth.error",
                "An authentication exception occurred. rpcStatus: UNAUTHENTICATED.",
            ));
        }
        Ok(())
    }
}

fn find_topic(org: &mut Org, name: &str) -> Result<Audience, BusError> {
    if name.is_empty() {
        let message = "The topic name is empty.";
        return Err(org.bus_error(status::INVALID_ARGUMENT, "topic.validation.empty", message));
    }
    org.audience(name).ok_or_else(|| {
        let message = format!("The {name} topic could not be found.");
        org.bus_error(status::NOT_FOUND, "topic.not.found", &message)
    })
}

/// The recorded refusal: a status that says "internal" and means "later".
fn unavailable(org: &mut Org) -> BusError {
    let message = "The service is unavailable. Try again later.";
    org.bus_error(status::INTERNAL, "service.unavailable", message)
}

fn exhausted(org: &mut Org) -> BusError {
    let message = "You have exceeded the event delivery limit for your org.";
    org.bus_error(status::RESOURCE_EXHAUSTED, "subscription.limit.exceeded", message)
}

fn as_ms(length: SignedDuration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// Scatters a number: the finalizer of SplitMix64.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A version 4 UUID that is always the same for the same number.
fn uuid(number: u64) -> String {
    let (high, low) = (mix(number), mix(number ^ u64::MAX));
    let bits = u128::from(high) << 64 | u128::from(low);
    let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
