//! What became of the requests that arrived, for `status`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::daemon::engine::lock;

/// How often the log says that requests of one kind are turned away: anybody can send them.
const TELL: SignedDuration = SignedDuration::from_mins(10);

/// Why a request is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turned {
    /// It carries no signature of an accepted version.
    Unsigned,
    /// Its signature is wrong.
    Forged,
    /// It was signed too long ago, or in the future.
    Stale,
    /// Its body is too large.
    Oversized,
    /// Its body is no list of events, or breaks off.
    Malformed,
    /// It came too slowly.
    Slow,
    /// It is not a POST.
    Method,
    /// It is for another path.
    Path,
    /// Too much is under way.
    Busy,
    /// The journal cannot be written now.
    Journal,
}

impl Turned {
    /// The status that it is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unsigned | Self::Forged | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::Oversized => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Busy | Self::Journal => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word of machine-readable output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Method => "method",
            Self::Path => "path",
            Self::Busy => "busy",
            Self::Journal => "journal",
        }
    }
}

/// What the sender is told.
impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "no signature of an accepted version",
            Self::Forged => "wrong signature",
            Self::Stale => "signed more than five minutes from now",
            Self::Oversized => "too large",
            Self::Malformed => "not a JSON list of events",
            Self::Slow => "too slow",
            Self::Method => "POST only",
            Self::Path => "nothing here",
            Self::Busy => "too much under way: come again",
            Self::Journal => "cannot be written down now: come again",
        })
    }
}

/// What became of webhooks since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookStatus {
    /// Where they arrive.
    pub listening: Option<SocketAddr>,
    /// Deliveries that were verified and written down.
    pub deliveries: u64,
    /// Events in them.
    pub events: u64,
    /// Changes that they came to, one for each record of a delivery.
    pub changes: u64,
    /// Events that were the echo of our own writes.
    pub echoes: u64,
    /// Events of other accounts.
    pub elsewhere: u64,
    /// Events that are about no mapped object.
    pub besides: u64,
    /// Events that could not be read.
    pub unreadable: u64,
    /// Requests that were turned away, by why.
    pub turned_away: BTreeMap<Turned, u64>,
    /// When the last delivery was written down.
    pub last_delivery: Option<Timestamp>,
    /// When the last request was turned away, and why.
    pub last_turned_away: Option<(Timestamp, Turned)>,
    /// What is wrong with the certificate, where the last good one stays in use.
    pub certificate: Option<String>,
}

#[derive(Debug, Default)]
struct Book {
    status: WebhookStatus,
    told: BTreeMap<Turned, Timestamp>,
}

/// What became of webhooks. Shared by everyone who takes part.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Book>);

impl Counts {
    /// How things stand; nothing where webhooks are not listened for.
    #[must_use]
    pub fn status(&self) -> Option<WebhookStatus> {
        let status = lock(&self.0).status.clone();
        (status.listening.is_some() || status.deliveries > 0).then_some(status)
    }

    /// Notes where they arrive.
    pub(super) fn listening(&self, address: SocketAddr) {
        lock(&self.0).status.listening = Some(address);
    }

    /// Notes what is wrong with the certificate, or that nothing is.
    pub(super) fn certificate(&self, wrong: Option<String>) {
        lock(&self.0).status.certificate = wrong;
    }

    /// Notes a delivery that was written down.
    pub(super) fn accepted(&self, now: Timestamp, count: impl FnOnce(&mut WebhookStatus)) {
        let status = &mut lock(&self.0).status;
        status.deliveries += 1;
        status.last_delivery = Some(now);
        count(status);
    }

    /// Notes a request that was turned away. The log is told now and then: anybody who finds the
    /// address can send such requests, and the log is no place to fill up for them.
    pub(super) fn turned(&self, why: Turned, now: Timestamp) {
        let mut book = lock(&self.0);
        let count = book.status.turned_away.entry(why).or_default();
        *count += 1;
        let count = *count;
        book.status.last_turned_away = Some((now, why));
        let last = book.told.get(&why);
        if last.is_none_or(|last| now.duration_since(*last) >= TELL) {
            book.told.insert(why, now);
            drop(book);
            tracing::warn!(
                why = why.word(),
                count,
                "requests to the webhooks' address are turned away"
            );
        }
    }
}
