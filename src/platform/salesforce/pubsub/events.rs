//! Change events as the daemon has them: signed in, with every schema known.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;

use super::codes::{Cure, cure};
use super::event::{ChangeEvent, Undecodable};
use super::schema::EventSchema;
use super::{EventBus, EventStream, RawEvent, Replay, Selected, Session, StreamError, Topic};
use crate::platform::Error;

/// Who signs in for the Pub/Sub API: the REST client, so that both share one session.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A session that should be accepted now.
    async fn session(&self) -> Result<Session, Error>;

    /// The token was refused: the next session should have another.
    async fn refused(&self, token: &SecretString);

    /// How many events were delivered in the org in the last 24 hours, and how many may be. Nothing
    /// where it does not say.
    async fn allocation(&self) -> Result<Option<(u64, u64)>, Error> {
        Ok(None)
    }

    /// What is selected for change data capture. Nothing where the user may not see it.
    async fn selected(&self) -> Result<Option<Selected>, Error> {
        Ok(None)
    }
}

/// Why events cannot be had now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Salesforce does not let us in.
    #[error(transparent)]
    SignIn(#[from] Error),
    /// The Pub/Sub API says why not.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl EventError {
    /// What to do about it, and what a person can do.
    #[must_use]
    pub fn cure(&self) -> (Cure, Option<String>) {
        match self {
            Self::SignIn(error) => {
                let person = matches!(
                    error.kind,
                    crate::platform::ErrorKind::SignIn | crate::platform::ErrorKind::Stop
                );
                (if person { Cure::Person } else { Cure::Retry }, error.hint.clone())
            }
            Self::Stream(error) => {
                let (cure, hint) = cure(error);
                (cure, hint.map(str::to_owned))
            }
        }
    }
}

/// Salesforce's change events.
pub struct Events {
    bus: Arc<dyn EventBus>,
    sessions: Arc<dyn Sessions>,
    schemas: Mutex<BTreeMap<String, Arc<EventSchema>>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// The events of `bus`, for whoever `sessions` signs in.
    #[must_use]
    pub fn new(bus: Arc<dyn EventBus>, sessions: Arc<dyn Sessions>) -> Self {
        Self { bus, sessions, schemas: Mutex::default() }
    }

    /// What is known of a topic.
    ///
    /// # Errors
    /// Where it cannot be asked, or there is none of that name.
    pub async fn topic(&self, name: &str) -> Result<Topic, EventError> {
        let session = self.sessions.session().await?;
        match self.bus.topic(&session, name).await {
            Err(error) if self.is_stale(&session, &error).await => {
                let session = self.sessions.session().await?;
                Ok(self.bus.topic(&session, name).await?)
            }
            other => Ok(other?),
        }
    }

    /// Begins to read a topic.
    ///
    /// # Errors
    /// Where it cannot be reached. What Salesforce has against it may be said by the first
    /// [`EventStream::next`] only; tell [`Events::look_at`] of that error as well.
    pub async fn subscribe(
        &self,
        topic: &str,
        from: &Replay,
        count: u32,
    ) -> Result<Box<dyn EventStream>, EventError> {
        let session = self.sessions.session().await?;
        match self.bus.subscribe(&session, topic, from, count).await {
            Err(error) if self.is_stale(&session, &error).await => {
                let session = self.sessions.session().await?;
                Ok(self.bus.subscribe(&session, topic, from, count).await?)
            }
            other => Ok(other?),
        }
    }

    /// Takes note of an error of a stream: where the session was refused, the next call signs in
    /// again. The session that the stream began with is the one that is given up, unless another
    /// call did so before.
    pub async fn look_at(&self, error: &StreamError) {
        if cure(error).0 == Cure::SignIn
            && let Ok(session) = self.sessions.session().await
        {
            self.sessions.refused(&session.token).await;
        }
    }

    /// How many events were delivered in the org in the last 24 hours, to everyone who subscribes,
    /// and how many may be. Costs a call.
    ///
    /// # Errors
    /// Where the org cannot be asked.
    pub async fn allocation(&self) -> Result<Option<(u64, u64)>, Error> {
        self.sessions.allocation().await
    }

    /// What is selected for change data capture; nothing where the user may not see it. Costs a call.
    ///
    /// # Errors
    /// Where the org cannot be asked.
    pub async fn selected(&self) -> Result<Option<Selected>, Error> {
        self.sessions.selected().await
    }

    /// Reads an event. A schema that is new costs one call; every other none.
    ///
    /// # Errors
    /// Where its schema cannot be had now.
    pub async fn read(
        &self,
        event: &RawEvent,
    ) -> Result<Result<ChangeEvent, Undecodable>, EventError> {
        let session = self.sessions.session().await?;
        let schema = match self.schema(&session, &event.schema_id).await? {
            Ok(schema) => schema,
            Err(why) => return Ok(Err(why)),
        };
        Ok(ChangeEvent::decode(&schema, &event.payload, &session))
    }

    async fn schema(
        &self,
        session: &Session,
        id: &str,
    ) -> Result<Result<Arc<EventSchema>, Undecodable>, EventError> {
        if let Some(known) = self.schemas().get(id) {
            return Ok(Ok(Arc::clone(known)));
        }
        let json = match self.bus.schema(session, id).await {
            Err(error) if self.is_stale(session, &error).await => {
                let session = self.sessions.session().await?;
                self.bus.schema(&session, id).await?
            }
            other => other?,
        };
        let schema = match EventSchema::parse(&json) {
            Ok(schema) => Arc::new(schema),
            Err(why) => return Ok(Err(why)),
        };
        self.schemas().insert(id.to_owned(), Arc::clone(&schema));
        Ok(Ok(schema))
    }

    fn schemas(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<EventSchema>>> {
        self.schemas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether signing in again may help; it is prepared then.
    async fn is_stale(&self, session: &Session, error: &StreamError) -> bool {
        let stale = cure(error).0 == Cure::SignIn;
        if stale {
            self.sessions.refused(&session.token).await;
        }
        stale
    }
}
