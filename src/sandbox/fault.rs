//! Faults by name.
//!
//! A fault is armed for a number of calls or with a probability, and strikes outside the world's
//! lock, between the log of calls and the API: so a struck call is counted like any other, and a
//! call that waits holds nothing up. [`FAULTS`] is the registry: help texts, the admin door and the
//! `--fault` option all read it.
//!
//! Two kinds of fault exist. Most strike a call and are dealt with here. A few belong to a
//! platform's own behaviour (a search that lags, a commit that comes late); the platform asks
//! [`Faults::strikes`] at the place where they matter.

mod strike;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use strike::{ExpireToken, wrap};

/// Which platform's router a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// HubSpot's router.
    HubSpot,
    /// Salesforce's router.
    Salesforce,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::HubSpot, Self::Salesforce];

    /// The word for it in options and in the admin door.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::HubSpot => "hubspot",
            Self::Salesforce => "salesforce",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The platform's short limit is reached.
    TooManyRequests,
    /// The platform's daily limit is reached.
    DailyLimit,
    /// 503 in the platform's own format.
    Unavailable,
    /// The edge answers with an HTML page.
    Html,
    /// 500 in the platform's own format.
    ServerError,
    /// The call takes effect, and the answer arrives without its body.
    EmptyBody,
    /// The call takes effect, and the edge answers 504.
    TimeoutAfter,
    /// No effect, and never an answer.
    HangBefore,
    /// The call takes effect, and the answer never comes.
    HangAfter,
    /// The call takes effect, and the connection breaks in the middle of the answer.
    CutAfter,
    /// The answer takes up to three seconds.
    Slow,
    /// The record is locked by another transaction.
    Locked,
    /// The token of this call expires now.
    ExpireToken,
    /// Every token counts as expired and none is issued.
    ExpiredForever,
    /// HubSpot's search index sees this write a minute late.
    SearchLag,
    /// A Salesforce transaction commits after later-stamped ones.
    LateCommit,
    /// A Salesforce query locator is forgotten between two pages.
    CutLocator,
    /// HubSpot's events that wait are sent in another order.
    WebhooksShuffled,
    /// A delivery of HubSpot's is made twice.
    WebhooksDuplicated,
    /// A delivery of HubSpot's is made minutes late.
    WebhooksLate,
    /// A delivery of HubSpot's is never made.
    WebhooksLost,
    /// Somebody without the secret sends a delivery with other values.
    WebhooksForged,
    /// Somebody sends an overheard delivery again, minutes later, as it was.
    WebhooksRepeated,
    /// A Salesforce event stream breaks off.
    StreamCut,
    /// A Salesforce event stream falls silent and stays open.
    StreamStall,
    /// A field is added before the next Salesforce event.
    StreamSchemaChange,
    /// A Salesforce replay id counts as too old.
    ReplayExpired,
    /// A Salesforce event has lost its body.
    Gap,
    /// A Salesforce event says that an object's changes were too many to tell.
    Overflow,
    /// A Salesforce event names all records of an object.
    WildcardEvent,
    /// A Salesforce event is told twice, the second time under a new replay id.
    DuplicateEvent,
    /// A Salesforce event is told seconds late.
    LateEvent,
    /// A Salesforce event is never told.
    LostEvent,
    /// The org's allowance of delivered events is used up.
    QuotaExhausted,
    /// The event service answers that it is unavailable, with a status that says otherwise.
    PubsubUnavailable,
}

/// One entry of the registry.
#[derive(Debug, Clone, Copy)]
pub struct FaultSpec {
    /// The name in options and in the admin door.
    pub name: &'static str,
    /// What it does, in one line.
    pub line: &'static str,
    /// The sides that know it.
    pub sides: &'static [Side],
    /// What it is in code.
    pub fault: Fault,
    /// How it is armed where nothing is said.
    pub default: How,
}

const fn spec(name: &'static str, fault: Fault, line: &'static str) -> FaultSpec {
    FaultSpec { name, line, sides: &Side::BOTH, fault, default: How::Next(1) }
}

/// Every fault, in the order of the help text.
pub const FAULTS: &[FaultSpec] = &[
    spec("too-many-requests", Fault::TooManyRequests, "the short request limit is reached"),
    spec("daily-limit", Fault::DailyLimit, "the daily request limit is reached"),
    spec("unavailable", Fault::Unavailable, "503, no effect"),
    spec("html", Fault::Html, "the edge answers 502 or 503 with an HTML page, no effect"),
    spec("server-error", Fault::ServerError, "500, no effect"),
    spec("empty-body", Fault::EmptyBody, "the effect happens, the answer has no body"),
    spec("timeout-after", Fault::TimeoutAfter, "the effect happens, the edge answers 504"),
    spec("hang-before", Fault::HangBefore, "no effect, and never an answer"),
    spec("hang-after", Fault::HangAfter, "the effect happens, the answer never comes"),
    spec("cut-after", Fault::CutAfter, "the effect happens, the answer breaks off in the middle"),
    spec("slow", Fault::Slow, "the answer takes up to three seconds"),
    spec("locked", Fault::Locked, "a write meets a locked record, no effect"),
    spec("expire-token", Fault::ExpireToken, "the token of this call expires now"),
    FaultSpec {
        default: How::Each(1.0),
        ..spec(
            "expired-forever",
            Fault::ExpiredForever,
            "every token counts as expired and no new one is issued",
        )
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec("search-lag", Fault::SearchLag, "search sees a write a minute later than usual")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("late-commit", Fault::LateCommit, "a write becomes visible later than its stamp")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("cut-locator", Fault::CutLocator, "a query locator is forgotten between two pages")
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec(
            "webhooks-shuffled",
            Fault::WebhooksShuffled,
            "events that wait are sent in another order",
        )
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec("webhooks-duplicated", Fault::WebhooksDuplicated, "a delivery is made twice")
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec("webhooks-late", Fault::WebhooksLate, "a delivery is made minutes late")
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec("webhooks-lost", Fault::WebhooksLost, "a delivery is never made")
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec(
            "webhooks-forged",
            Fault::WebhooksForged,
            "a delivery with other values and a bad signature is sent besides",
        )
    },
    FaultSpec {
        sides: &[Side::HubSpot],
        ..spec(
            "webhooks-repeated",
            Fault::WebhooksRepeated,
            "an overheard delivery is sent again, too old",
        )
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("stream-cut", Fault::StreamCut, "an event stream breaks off")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("stream-stall", Fault::StreamStall, "an event stream falls silent and stays open")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec(
            "stream-schema-change",
            Fault::StreamSchemaChange,
            "a field is added before the next event",
        )
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("replay-expired", Fault::ReplayExpired, "a replay id counts as too old")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("gap", Fault::Gap, "an event has lost its body")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("overflow", Fault::Overflow, "an event says that changes were too many to tell")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("wildcard-event", Fault::WildcardEvent, "an event names all records of its object")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec(
            "duplicate-event",
            Fault::DuplicateEvent,
            "an event is told twice, under two replay ids",
        )
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("late-event", Fault::LateEvent, "an event is told seconds late")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec("lost-event", Fault::LostEvent, "an event is never told")
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec(
            "quota-exhausted",
            Fault::QuotaExhausted,
            "the org's allowance of delivered events is used up",
        )
    },
    FaultSpec {
        sides: &[Side::Salesforce],
        ..spec(
            "pubsub-unavailable",
            Fault::PubsubUnavailable,
            "the event service answers that it is unavailable",
        )
    },
];

impl Fault {
    /// Its entry in the registry.
    #[must_use]
    pub fn name(self) -> &'static str {
        FAULTS.iter().find(|spec| spec.fault == self).map_or("", |spec| spec.name)
    }
}

/// How often an armed fault strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    /// The next calls that it can strike, this many.
    Next(u32),
    /// Each call that it can strike, with this probability between 0 and 1.
    Each(f64),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(calls) => write!(f, "{calls}"),
            Self::Each(probability) => write!(f, "{}%", probability * 100.0),
        }
    }
}

/// A fault to arm, as `--fault` has it: `name`, `name=3`, `name=5%`, `hubspot:name=5%`.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultOrder {
    /// The fault's name.
    pub name: &'static str,
    /// One side, or every side that knows the fault.
    pub side: Option<Side>,
    /// How often.
    pub how: How,
}

/// Why a fault cannot be armed or disarmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such name.
    #[error("there is no fault named `{found}`; known: {}", names())]
    Unknown {
        /// What was asked for.
        found: String,
    },
    /// No such side.
    #[error("there is no side named `{found}`; write hubspot or salesforce before the colon")]
    UnknownSide {
        /// What stood before the colon.
        found: String,
    },
    /// The side does not know the fault.
    #[error("`{name}` is no fault of {side}")]
    NotThere {
        /// The fault.
        name: &'static str,
        /// The side that was asked for.
        side: Side,
    },
    /// The amount is neither a count nor a percentage.
    #[error("`{found}` says neither how many calls (as in 3) nor how likely (as in 5%)")]
    Amount {
        /// What stood after the equals sign.
        found: String,
    },
}

fn names() -> String {
    FAULTS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

fn find(name: &str) -> Result<&'static FaultSpec, FaultError> {
    FAULTS
        .iter()
        .find(|spec| spec.name == name)
        .ok_or_else(|| FaultError::Unknown { found: name.to_owned() })
}

impl FromStr for Side {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        Self::BOTH
            .into_iter()
            .find(|side| side.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| FaultError::UnknownSide { found: text.to_owned() })
    }
}

impl FromStr for How {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let bad = || FaultError::Amount { found: text.to_owned() };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| bad())?;
            return if (0.0..=100.0).contains(&percent) {
                Ok(Self::Each(percent / 100.0))
            } else {
                Err(bad())
            };
        }
        text.parse().map(Self::Next).map_err(|_| bad())
    }
}

impl FromStr for FaultOrder {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (side, rest) = match text.split_once(':') {
            Some((side, rest)) => (Some(side.trim().parse()?), rest),
            None => (None, text),
        };
        let (name, amount) = match rest.split_once('=') {
            Some((name, amount)) => (name, Some(amount)),
            None => (rest, None),
        };
        let spec = find(name.trim())?;
        let how = amount.map_or(Ok(spec.default), |amount| amount.trim().parse())?;
        Ok(Self { name: spec.name, side, how })
    }
}

/// One armed fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Armed {
    /// What strikes.
    pub fault: Fault,
    /// Where.
    pub side: Side,
    /// How often still.
    pub how: How,
}

/// The faults that are armed, and how often each has struck.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Vec<Armed>,
    struck: BTreeMap<(Side, Fault), u64>,
}

impl Faults {
    /// Arms the fault `name` on one side, or on every side that knows it. A fault that was armed
    /// there already is replaced.
    ///
    /// # Errors
    /// When there is no such fault, or `side` does not know it.
    pub fn arm(&mut self, name: &str, side: Option<Side>, how: How) -> Result<(), FaultError> {
        let spec = find(name)?;
        let sides = sides_of(spec, side)?;
        for side in sides {
            self.armed.retain(|armed| (armed.fault, armed.side) != (spec.fault, side));
            self.armed.push(Armed { fault: spec.fault, side, how });
        }
        Ok(())
    }

    /// Arms what a `--fault` option asks for.
    ///
    /// # Errors
    /// As [`Faults::arm`].
    pub fn arm_order(&mut self, order: &FaultOrder) -> Result<(), FaultError> {
        self.arm(order.name, order.side, order.how)
    }

    /// Disarms the fault `name` on one side or on both, and says on how many it was armed.
    ///
    /// # Errors
    /// As [`Faults::arm`].
    pub fn disarm(&mut self, name: &str, side: Option<Side>) -> Result<usize, FaultError> {
        let spec = find(name)?;
        let sides = sides_of(spec, side)?;
        let before = self.armed.len();
        self.armed.retain(|armed| armed.fault != spec.fault || !sides.contains(&armed.side));
        Ok(before - self.armed.len())
    }

    /// Disarms everything: from now on both platforms are well.
    pub fn disarm_all(&mut self) {
        self.armed.clear();
    }

    /// What is armed, in the order of arming.
    #[must_use]
    pub fn armed(&self) -> &[Armed] {
        &self.armed
    }

    /// How often each fault has struck on each side.
    #[must_use]
    pub fn struck(&self) -> &BTreeMap<(Side, Fault), u64> {
        &self.struck
    }

    /// Asks whether `fault` strikes `side` now, and counts it when it does. A platform asks this at
    /// the place where a fault of its own behaviour matters.
    pub fn strikes(&mut self, fault: Fault, side: Side, random: &mut fastrand::Rng) -> bool {
        let Some(at) =
            self.armed.iter().position(|armed| armed.fault == fault && armed.side == side)
        else {
            return false;
        };
        let hit = match &mut self.armed[at].how {
            How::Next(left) => {
                *left = left.saturating_sub(1);
                let done = *left == 0;
                if done {
                    self.armed.remove(at);
                }
                true
            }
            How::Each(probability) => random.f64() < *probability,
        };
        if hit {
            *self.struck.entry((side, fault)).or_default() += 1;
        }
        hit
    }
}

fn sides_of(spec: &'static FaultSpec, side: Option<Side>) -> Result<Vec<Side>, FaultError> {
    match side {
        None => Ok(spec.sides.to_vec()),
        Some(side) if spec.sides.contains(&side) => Ok(vec![side]),
        Some(side) => Err(FaultError::NotThere { name: spec.name, side }),
    }
}

#[cfg(test)]
mod tests;
