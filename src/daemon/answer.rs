//! What the running daemon answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value as Json;

use super::control::{Answerer, Refused, RefusedKind, Request};
use super::metrics::Scrape;
use super::page::{self, Page};
use super::preview::{Preview, Scratch, preview};
use super::query::{Desk, ReportOf};
use super::run::{Shared, reload_and_tell};
use super::status::{Health, Status};
use super::{Trouble, status};
use crate::journal::Journal;
use crate::record::PerSide;

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

    /// How things stand and what was counted, as OpenMetrics text.
    pub(super) async fn metrics(&self) -> Result<String, Refused> {
        let engine = &self.shared.engine;
        let status = self.status().await?;
        let mappings = engine.mappings();
        let desk = Desk { journal: &engine.journal, mappings: &mappings, now: status.now };
        let scrape = Scrape {
            handoffs: desk.handoff_counts().await?,
            status,
            statistics: engine.journal.statistics().await?,
            calls: PerSide::from_fn(|side| engine.platform(side).calls()),
        };
        scrape
            .text(&engine.metrics)
            .map_err(|error| Refused::new(RefusedKind::Internal, format!("no metrics: {error}")))
    }

    /// What the page says, with the figures of the handoffs that `of` names.
    pub(super) async fn page(&self, of: &ReportOf) -> Result<Page, Refused> {
        let engine = &self.shared.engine;
        let status = self.status().await?;
        let mappings = engine.mappings();
        let desk = Desk { journal: &engine.journal, mappings: &mappings, now: status.now };
        Ok(Page {
            made: status.now,
            // Who looks at figures does not wait for Salesforce to list its users.
            leaders: desk.leaders(of, engine.known_owners()).await?,
            waiting: Some(desk.waiting(page::MOST).await?),
            status: Some(status),
        })
    }

    /// What settling would do now, on a copy of the journal. The mapping files are read from disk: a
    /// changed one that is not in force yet is what people want to know about.
    async fn preview(&self, limit: usize) -> Result<Preview, Refused> {
        let (engine, settings) = (&self.shared.engine, &self.shared.settings);
        let refuse =
            |error: super::ServiceError| Refused::new(RefusedKind::Usage, error.to_string());
        let mappings = super::mappings_of(settings).map_err(refuse)?;
        let scratch = Scratch::beside(&settings.directories.journal());
        let options = super::journal_options(settings);
        engine.journal.copy_to(&scratch.0, &options).await?;
        let copy = Journal::open(&scratch.0, &options)?;
        let platforms = engine.platforms.clone();
        let made =
            preview(&copy, platforms, mappings, &engine.clock, engine.options.clone(), limit).await;
        copy.close().await;
        made
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
        if let Request::Explain { of } = &request {
            return json(&desk.explain_now(of, engine).await?);
        }
        match &request {
            Request::Handoffs { of } => {
                let owners = engine.owners(false).await.ok();
                return json(&desk.handoffs(of.as_deref(), owners).await?);
            }
            Request::Leaders { of } => {
                let owners = engine.owners(false).await.ok();
                return json(&desk.leaders(of, owners).await?);
            }
            Request::HandoffPreview { of } => {
                let states = engine.side_states();
                let identities = PerSide::from_fn(|side| states.get(side).identity.clone());
                return json(&desk.handoff_preview(of, &identities).await?);
            }
            _ => {}
        }
        if let Some(answer) = desk.answer(&request).await {
            if let (Request::ReleaseHold { .. }, Ok(hold)) = (&request, &answer)
                && let Some(mapping) = hold["mapping"].as_str()
            {
                engine.weigh_anew(mapping);
            }
            // A decision is to be carried out now.
            engine.rouse();
            return answer;
        }
        match request {
            Request::Status => json(&self.status().await?),
            Request::Health => json(&Health::of(&self.status().await?)),
            Request::Reload => json(&reload_and_tell(&self.shared).await),
            Request::Sync => {
                let heeded = engine.listen().await?;
                let settled = engine.settle_all(PATIENCE).await?;
                engine.follow_handoffs().await?;
                engine.hand_off_all().await?;
                json(&super::Synced::new(heeded, &settled))
            }
            Request::Plan { limit } => json(&self.preview(limit).await?),
            other => {
                Err(Refused::new(RefusedKind::Usage, format!("the daemon cannot answer {other:?}")))
            }
        }
    }
}
