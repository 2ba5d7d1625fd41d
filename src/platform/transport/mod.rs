//! The one seam for HTTP: one request in, one response out.
//!
//! [`Http`] is the seam itself: [`Net`] is the network, [`InProcess`] a router called directly, as
//! the simulation and most tests do. Above it stands [`Client`], which both platforms use: it waits
//! for its [`Lane`], fetches a token, sends, and repeats what is safe to repeat. What an answer
//! means is the vendor's business: each side says it with a [`Dialect`].
//!
//! Two rules hold here. Nothing that may have taken effect is sent again unless the caller said
//! that this is harmless ([`Repeat`]). And no token, no person's address and no field value reaches
//! a log line: spans carry the route's template, never the URL.

mod client;
mod in_process;
mod message;
mod net;
mod pace;
mod redact;
mod retry;
mod session;

pub use client::{Client, Dialect, Effect, Failure, Verdict, counted};
pub use in_process::InProcess;
pub use message::{Answer, Call, Repeat};
pub use net::{Net, NetSettings, install_crypto};
pub use pace::{Lane, Paused, Permit, Window, unhurried};
pub use redact::redact;
pub use retry::{Jitter, RetrySettings};
pub use session::{Access, StaticToken, Tokens};

use async_trait::async_trait;
use bytes::Bytes;

/// The largest body that is taken in, in bytes. A page of 200 wide records has about two million; a
/// describe of an old org up to ten million.
pub const LARGEST_BODY: usize = 64 << 20;

/// One request in, one response out.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends `request`, whose URI is absolute, and takes in the whole answer, whatever its status.
    ///
    /// # Errors
    /// Where no whole answer came within the implementation's time limit.
    async fn call(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, NetError>;
}

/// No whole answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NetError {
    /// Whether the server may have seen the request.
    pub reach: Reach,
    /// What happened, without the URL.
    pub what: String,
}

impl NetError {
    /// The request certainly did not reach the server.
    pub fn not_sent(what: impl Into<String>) -> Self {
        Self { reach: Reach::NotSent, what: what.into() }
    }

    /// The request may have reached the server and taken effect.
    pub fn unclear(what: impl Into<String>) -> Self {
        Self { reach: Reach::Unclear, what: what.into() }
    }
}

/// Whether a request without an answer may have reached the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// No connection was made: it did not.
    NotSent,
    /// The connection broke, the answer was cut, or the time was up: it may have.
    Unclear,
}
