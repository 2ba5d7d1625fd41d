//! Signing in: apps, grants, sessions and the endpoints under `/services/oauth2`.

mod endpoints;
mod jwt;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::id::Id;
use super::world::Staff;
pub(super) use endpoints::{Form, OAuthCall, answer};
pub use jwt::{KeyError, PublicKey};

/// The consumer key of the connected app of a fresh org.
pub const CLIENT_ID: &str = "3MVG9lockstep.sandbox.consumer.key";
/// The consumer secret of the connected app of a fresh org.
pub const CLIENT_SECRET: &str = "lockstep-sandbox-consumer-secret";
/// Every active user's password.
pub const PASSWORD: &str = "sandbox";
/// The redirect address that the connected app of a fresh org knows besides loopback addresses.
pub const CALLBACK: &str = "http://localhost:1717/OauthRedirect";

/// A connected app or external client app.
#[derive(Debug, Clone)]
pub struct ConnectedApp {
    /// The consumer key.
    pub client_id: String,
    /// The consumer secret.
    pub client_secret: String,
    /// The key that signed assertions are checked with; without one the JWT flow is refused.
    pub public_key: Option<PublicKey>,
    /// The user that the client credentials flow signs in.
    pub run_as: Id,
    /// The redirect addresses that are known; loopback addresses are always taken.
    pub callbacks: Vec<String>,
    /// Whether users need no approval of their own for the JWT flow.
    pub pre_authorized: bool,
    /// Whether a refresh gives a new refresh token and kills the old one.
    pub rotate_refresh_tokens: bool,
}

/// A signed-in client.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub user: Id,
    pub client_id: String,
    pub refresh_token: Option<String>,
    pub issued: Timestamp,
    pub last_used: Timestamp,
}

/// An authorization code that waits to be redeemed.
#[derive(Debug, Clone)]
struct Code {
    client_id: String,
    user: Id,
    redirect: String,
    challenge: Option<String>,
    issued: Timestamp,
}

/// A refresh token's grant.
#[derive(Debug, Clone)]
struct Grant {
    client_id: String,
    user: Id,
}

/// Apps, grants and sessions of an org.
#[derive(Debug)]
pub struct Auth {
    /// The apps by consumer key.
    pub apps: BTreeMap<String, ConnectedApp>,
    /// Who the person at the browser is, for the authorize endpoint.
    pub at_browser: Id,
    sessions: BTreeMap<String, Session>,
    refresh: BTreeMap<String, Grant>,
    codes: BTreeMap<String, Code>,
}

impl Auth {
    pub(super) fn fresh(staff: &Staff) -> Self {
        let app = ConnectedApp {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            public_key: None,
            run_as: staff.integration.clone(),
            callbacks: vec![CALLBACK.to_owned()],
            pre_authorized: true,
            rotate_refresh_tokens: false,
        };
        Self {
            apps: BTreeMap::from([(app.client_id.clone(), app)]),
            at_browser: staff.integration.clone(),
            sessions: BTreeMap::new(),
            refresh: BTreeMap::new(),
            codes: BTreeMap::new(),
        }
    }

    /// Registers the key that the assertions of an app are checked with.
    pub fn set_public_key(&mut self, client_id: &str, key: PublicKey) {
        if let Some(app) = self.apps.get_mut(client_id) {
            app.public_key = Some(key);
        }
    }

    /// Opens a session without any flow and returns its access token, as a test or a demonstration
    /// wants it.
    pub fn open_session(
        &mut self,
        org: &Id,
        now: Timestamp,
        user: &Id,
        client_id: &str,
        random: &mut fastrand::Rng,
    ) -> String {
        let session = Session {
            user: user.clone(),
            client_id: client_id.to_owned(),
            refresh_token: None,
            issued: now,
            last_used: now,
        };
        self.admit(org, session, random)
    }

    fn admit(&mut self, org: &Id, session: Session, random: &mut fastrand::Rng) -> String {
        // Clients of event streams read the org's id out of the token.
        let token = format!("{}!AQ{}", &org[..15], secret(random, 86));
        self.sessions.insert(token.clone(), session);
        token
    }

    /// Ends every session: the next call of each client is refused.
    pub fn expire_sessions(&mut self) {
        self.sessions.clear();
    }

    /// Ends every grant: no refresh token works any more.
    pub fn revoke_grants(&mut self) {
        self.refresh.clear();
    }

    /// The session of a token if it lives, which the use prolongs.
    pub(super) fn use_session(
        &mut self,
        token: &str,
        now: Timestamp,
        idle: SignedDuration,
    ) -> Option<&Session> {
        if self.sessions.get(token).is_some_and(|s| now.duration_since(s.last_used) >= idle) {
            self.sessions.remove(token);
        }
        let session = self.sessions.get_mut(token)?;
        session.last_used = now;
        Some(session)
    }

    pub(super) fn end_session(&mut self, token: &str) {
        self.sessions.remove(token);
    }
}

/// Letters and digits that cannot be guessed from outside the world.
fn secret(random: &mut fastrand::Rng, length: usize) -> String {
    (0..length).map(|_| random.alphanumeric()).collect()
}
