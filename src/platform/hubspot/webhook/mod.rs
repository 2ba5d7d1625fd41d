//! What HubSpot sends by itself: who sent it, and what it says.
//!
//! Plain functions of bytes and a clock that is an argument: the listener, the simulation and the
//! benchmark run the same. Nothing here trusts what it reads before [`Verifier::check`] has said that
//! HubSpot wrote it, and nothing of a verified delivery is more than a hint: a change names a record
//! that is to be read.

mod events;
mod signature;
mod subscriptions;
mod wire;

pub use events::{Delivery, Fact, Malformed, Objects, Word, read};
pub use signature::{
    SIGNATURE, SIGNATURE_V3, SIGNATURE_VERSION, Signed, TIMESTAMP, TOLERANCE, Unverified, Verifier,
    Version,
};
pub use subscriptions::{AT_ONCE, Admin, AppWebhooks, Event, Subscribed, Topic};
