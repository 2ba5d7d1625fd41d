//! One subscriber's way along the row of events.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{Audience, BusError, as_ms, exhausted, find_topic, status, unavailable};
use crate::sandbox::World;
use crate::sandbox::fault::{Fault, Side};

/// The most events that may be requested and not delivered.
const MOST_PENDING: u32 = 100;

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// After the newest event.
    #[default]
    Latest,
    /// At the oldest event that is kept.
    Earliest,
    /// After a replay id.
    Custom,
}

/// A client's message on the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchRequest {
    /// The topic. Later messages may leave it out.
    pub topic_name: String,
    /// Where to begin. Only the first message decides.
    pub replay_preset: Preset,
    /// After which event, for [`Preset::Custom`].
    pub replay_id: Vec<u8>,
    /// How many more events the client takes.
    pub num_requested: i32,
}

/// One event of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The event's own id: the same when it is told twice.
    pub id: String,
    /// The schema that the payload is written by.
    pub schema_id: String,
    /// Avro in binary, without any frame.
    pub payload: Bytes,
    /// Its place in the row.
    pub replay_id: [u8; 8],
}

/// The server's message on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchResponse {
    /// The events, in the order of the row; none in a keepalive.
    pub events: Vec<Delivered>,
    /// Up to where the stream has told everything.
    pub latest_replay_id: [u8; 8],
    /// The response's id.
    pub rpc_id: String,
    /// How many events the client has requested and not got.
    pub pending_num_requested: i32,
}

/// What a stream does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It says something.
    Response(FetchResponse),
    /// Nothing now. Time alone brings something at this moment, if at all; a change or a request may
    /// bring it before.
    Wait(Option<Timestamp>),
    /// The server has closed it in order.
    Closed,
    /// It has ended with an error.
    Failed(BusError),
}

/// One open stream. A client that goes away just drops it.
#[derive(Debug)]
pub struct Subscription {
    topic: String,
    audience: Audience,
    /// The last replay id that it is past.
    past: u64,
    pending: u32,
    /// Since when nothing is requested.
    idle_since: Option<Timestamp>,
    said_at: Timestamp,
    stalled: bool,
    ended: bool,
}

impl Subscription {
    pub(super) fn open(
        world: &mut World,
        first: &FetchRequest,
        now: Timestamp,
    ) -> Result<Self, BusError> {
        let World { salesforce: org, faults, random, .. } = world;
        let audience = find_topic(org, &first.topic_name)?;
        let spent = org.bus.delivered_today() >= org.bus.settings.daily_deliveries;
        if spent || faults.strikes(Fault::QuotaExhausted, Side::Salesforce, random) {
            return Err(exhausted(org));
        }
        let past = match first.replay_preset {
            Preset::Latest => org.bus.newest,
            Preset::Earliest => org.bus.events.front().map_or(org.bus.newest, |e| e.replay - 1),
            Preset::Custom => {
                if first.replay_id.is_empty() {
                    let message = "The replay ID is missing.";
                    let code = "subscription.fetch.replayid.validation.failed";
                    return Err(org.bus_error(status::INVALID_ARGUMENT, code, message));
                }
                let expired = faults.strikes(Fault::ReplayExpired, Side::Salesforce, random);
                let replay = <[u8; 8]>::try_from(&*first.replay_id).ok().map(u64::from_be_bytes);
                match replay.filter(|replay| !expired && org.bus.knows(*replay)) {
                    Some(replay) => replay,
                    None => {
                        let message = "The Replay ID validation failed. Ensure that the Replay ID \
                                       is valid.";
                        let code = "subscription.fetch.replayid.corrupted";
                        return Err(org.bus_error(status::INVALID_ARGUMENT, code, message));
                    }
                }
            }
        };
        let mut stream = Self {
            topic: first.topic_name.clone(),
            audience,
            past,
            pending: 0,
            idle_since: Some(now),
            said_at: now,
            stalled: false,
            ended: false,
        };
        stream.take_request(world, first.num_requested)?;
        Ok(stream)
    }

    /// Takes a later message of the client.
    ///
    /// # Errors
    /// When it names another topic or requests nothing. The stream has ended then.
    pub fn request(
        &mut self,
        world: &mut World,
        request: &FetchRequest,
        _now: Timestamp,
    ) -> Result<(), BusError> {
        if self.stalled || self.ended {
            return Ok(());
        }
        let other = !request.topic_name.is_empty() && request.topic_name != self.topic;
        let taken = if other {
            let message = "The topic name of a stream cannot change.";
            let code = "subscription.fetch.topic.mismatch";
            Err(world.salesforce.bus_error(status::INVALID_ARGUMENT, code, message))
        } else {
            self.take_request(world, request.num_requested)
        };
        self.ended = taken.is_err();
        taken
    }

    fn take_request(&mut self, world: &mut World, more: i32) -> Result<(), BusError> {
        match u32::try_from(more) {
            Ok(more) if more > 0 => {
                self.pending = self.pending.saturating_add(more).min(MOST_PENDING);
                self.idle_since = None;
                Ok(())
            }
            _ => {
                let message = "The number of requested events must be greater than 0.";
                let code = "subscription.fetch.requested.events.invalid";
                Err(world.salesforce.bus_error(status::INVALID_ARGUMENT, code, message))
            }
        }
    }

    /// What the stream does now. To be asked again after each response, after each change and
    /// request, and at the time of [`Next::Wait`].
    pub fn next(&mut self, world: &mut World, now: Timestamp) -> Next {
        if self.ended {
            return Next::Closed;
        }
        if self.stalled {
            return Next::Wait(None);
        }
        world.publish_events(now);
        let settings = world.salesforce.bus.settings.clone();
        if let Some(since) = self.idle_since {
            let until = later(since, settings.idle);
            if now < until {
                return Next::Wait(Some(until));
            }
            self.ended = true;
            world.note_rpc("Subscribe", None);
            return Next::Closed;
        }
        let (events, reached) = self.ready(world);
        let keepalive = later(self.said_at, settings.keepalive);
        if events.is_empty() && now < keepalive {
            let published = world.salesforce.bus.next_publication();
            return Next::Wait(Some(published.map_or(keepalive, |at| at.min(keepalive))));
        }
        if let Some(end) = self.befallen(world, !events.is_empty()) {
            return end;
        }
        let bus = &mut world.salesforce.bus;
        bus.count_delivered(events.len(), now);
        let latest = match events.last() {
            Some(last) => last.replay_id,
            None => bus.mark(now).to_be_bytes(),
        };
        self.past = if events.is_empty() { u64::from_be_bytes(latest) } else { reached };
        self.pending -= u32::try_from(events.len()).unwrap_or(self.pending).min(self.pending);
        self.idle_since = (self.pending == 0).then_some(now);
        self.said_at = now;
        let response = FetchResponse {
            events,
            latest_replay_id: latest,
            rpc_id: bus.uuid(),
            pending_num_requested: i32::try_from(self.pending).unwrap_or(i32::MAX),
        };
        let what = if response.events.is_empty() { "keepalive" } else { "events" };
        world.calls.push(Side::Salesforce, "FetchResponse", what);
        Next::Response(response)
    }

    /// The events that can be told now, and the replay id of the last.
    fn ready(&self, world: &World) -> (Vec<Delivered>, u64) {
        let org = &world.salesforce;
        let from = org.bus.events.partition_point(|event| event.replay <= self.past);
        let most = usize::try_from(self.pending).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let mut reached = self.past;
        let mut events = Vec::new();
        for event in org.bus.events.range(from..) {
            if !org.hears(&self.audience, &event.entity) {
                continue;
            }
            bytes += event.payload.len();
            let full = bytes > org.bus.settings.response_bytes && !events.is_empty();
            if full || events.len() == most {
                break;
            }
            reached = event.replay;
            events.push(Delivered {
                id: event.id.clone(),
                schema_id: event.schema_id.to_string(),
                payload: event.payload.clone(),
                replay_id: event.replay.to_be_bytes(),
            });
        }
        (events, reached)
    }

    /// What a fault makes of the stream when it is about to say something.
    fn befallen(&mut self, world: &mut World, tells: bool) -> Option<Next> {
        let World { salesforce: org, faults, random, .. } = world;
        let spent = tells && org.bus.delivered_today() >= org.bus.settings.daily_deliveries;
        let mut strikes = |fault| faults.strikes(fault, Side::Salesforce, random);
        let error = if strikes(Fault::StreamStall) {
            self.stalled = true;
            return Some(Next::Wait(None));
        } else if strikes(Fault::StreamCut) {
            BusError {
                status: status::UNAVAILABLE,
                code: None,
                message: "RST_STREAM closed stream. HTTP/2 error code: NO_ERROR".to_owned(),
                rpc_id: String::new(),
            }
        } else if strikes(Fault::PubsubUnavailable) {
            unavailable(org)
        } else if spent || strikes(Fault::QuotaExhausted) {
            exhausted(org)
        } else {
            return None;
        };
        self.ended = true;
        world.note_rpc("Subscribe", Some(&error));
        Some(Next::Failed(error))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(SignedDuration::from_millis(as_ms(by))).unwrap_or(Timestamp::MAX)
}
