//! What the running daemon answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value as Json;

use super::control::{Answerer, Refused, RefusedKind, Request};
use super::query::{Desk, HoldView};
use super::run::{Shared, reload_and_tell};
use super::status::{Health, Status};
use super::{Trouble, status};

/// How long a sync that a person asked for waits for what falls due soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers on the control socket and over HTTP.
pub(super) struct Office {
    shared: Arc<Shared>,
    started: jiff::Timestamp,
}

impl Office {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let started = shared.engine.clock.now();
        Self { shared, started }
    }

    /// How the service is doing.
    pub(super) async fn status(&self) -> Result<Status, Refused> {
        let wrong = self.shared.reloader.wrong();
        Ok(status::status(&self.shared.engine, self.started, wrong.as_ref()).await?)
    }
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Journal(error) => error.into(),
            Trouble::Platform(error) => Self {
                kind: RefusedKind::Platform,
                message: error.told(),
                hint: error.hint.clone(),
            },
            Trouble::Setup { message, hint } => {
                Self { kind: RefusedKind::Usage, message, hint: Some(hint) }
            }
        }
    }
}

fn json(answer: &impl Serialize) -> Result<Json, Refused> {
    serde_json::to_value(answer)
        .map_err(|error| Refused::new(RefusedKind::Internal, format!("no answer: {error}")))
}

#[async_trait]
impl Answerer for Office {
    async fn answer(&self, request: Request) -> Result<Json, Refused> {
        let engine = &self.shared.engine;
        let mappings = engine.mappings();
        let desk = Desk { journal: &engine.journal, mappings: &mappings, now: engine.clock.now() };
        if let Some(answer) = desk.answer(&request).await {
            // A decision is to be carried out now.
            engine.wake.notify_one();
            return answer;
        }
        match request {
            Request::Status => json(&self.status().await?),
            Request::Health => json(&Health::of(&self.status().await?)),
            Request::ReleaseHold { hold } => {
                json(&HoldView::new(&engine.release_hold(hold).await?))
            }
            Request::Reload => json(&reload_and_tell(&self.shared).await),
            Request::Sync => {
                let heeded = engine.listen().await?;
                let settled = engine.settle_all(PATIENCE).await?;
                json(&super::Synced::new(heeded, &settled))
            }
            other => {
                Err(Refused::new(RefusedKind::Usage, format!("the daemon cannot answer {other:?}")))
            }
        }
    }
}
