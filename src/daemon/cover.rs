//! Looks whether word of every change would arrive, by what the platforms say is set up.
//!
//! Word that was never subscribed to is as silent as a quiet day: push looks healthy until a poll
//! finds what was missed, and that may be weeks later. So what the mappings need is compared with
//! what is subscribed at HubSpot (of a public app, whose developer account's key is given) and
//! selected for change data capture at Salesforce (where the user may view the setup). What cannot
//! be seen is told as unknown, which is not healthy and no fault either.

use std::sync::Arc;
use std::time::Duration;

use super::intake::Cover;
use super::run::Shared;
use super::stream::StreamChoice;
use super::webhooks::{SubscriptionsError, Watch};
use super::{ConnectError, Engine, network};
use crate::platform::Error;
use crate::record::Side;
use crate::settings::Effective;

/// How often it is looked at. Costs a call on each side.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// The same while something is missing: whoever mends it wants to see that it is mended.
const EVERY_WHILE_LACKING: Duration = Duration::from_secs(5 * 60);

/// How often it is looked whether other mappings are in force.
const LOOK: Duration = Duration::from_secs(10);

/// What looks at HubSpot's subscriptions, where they can be seen. A key that cannot be read is no
/// reason not to start: it is only for this.
///
/// # Errors
/// Where there is no network to be had.
pub(super) fn watch_of(effective: &Effective) -> Result<Option<Watch>, ConnectError> {
    Ok(Watch::new(effective, &network()?).unwrap_or_else(|error| {
        tracing::warn!(%error, "which webhooks are subscribed to cannot be seen");
        None
    }))
}

/// Looks now and then, and when other mappings are in force.
pub(super) async fn cover_loop(
    shared: Arc<Shared>,
    watch: Option<Watch>,
    choice: Option<StreamChoice>,
) {
    if !shared.is_let_in().await {
        return;
    }
    let engine = &shared.engine;
    loop {
        let mappings = engine.mappings();
        if let Some(watch) = &watch
            && let Err(error) = engine.look_at_subscriptions(watch).await
        {
            tracing::warn!(%error, "which webhooks are subscribed to cannot be seen");
        }
        if let Some(choice) = &choice
            && let Err(error) = engine.look_at_selections(choice).await
        {
            tracing::debug!(%error, "which objects are selected for change events cannot be seen");
        }
        let every = if engine.intake.is_lacking() { EVERY_WHILE_LACKING } else { EVERY };
        let mut waited = Duration::ZERO;
        while waited < every && Arc::ptr_eq(&mappings, &engine.mappings()) {
            if !shared.pause(LOOK).await {
                return;
            }
            waited += LOOK;
        }
    }
}

impl Engine {
    /// Compares what HubSpot is subscribed to tell with what the mappings need.
    ///
    /// # Errors
    /// Where HubSpot cannot be asked; what was known is forgotten.
    pub(super) async fn look_at_subscriptions(
        &self,
        watch: &Watch,
    ) -> Result<(), SubscriptionsError> {
        let looked = watch.look(&self.mappings()).await;
        for object in self.objects(Side::HubSpot) {
            let cover = looked.as_ref().map_or(Cover::Unknown, |found| found.cover(&object));
            self.intake.set_cover(Side::HubSpot, &object, cover);
        }
        looked.map(drop)
    }

    /// Compares the objects that Salesforce tells changes of with those of the mappings.
    ///
    /// # Errors
    /// Where Salesforce cannot be asked; what was known is forgotten.
    pub async fn look_at_selections(&self, choice: &StreamChoice) -> Result<(), Error> {
        let Some(events) = &self.events else { return Ok(()) };
        let looked = events.selected().await;
        let channel = match choice {
            StreamChoice::Entities => None,
            StreamChoice::Channel(name) => Some(name.strip_prefix("/data/").unwrap_or(name)),
        };
        for object in self.objects(Side::Salesforce) {
            let told = match &looked {
                Ok(Some(selected)) => selected.tells(&object, channel),
                _ => None,
            };
            let cover = match told {
                None => Cover::Unknown,
                Some(true) => Cover::Whole,
                Some(false) => Cover::Lacking {
                    what: vec![match channel {
                        Some(channel) => format!("change events on {channel}"),
                        None => "change events".to_owned(),
                    }],
                    hint: match channel {
                        Some(channel) if channel != "ChangeEvents" => {
                            format!("add {object} to the channel {channel} (Tooling API)")
                        }
                        _ => format!("select {object} in Salesforce: Setup, Change Data Capture"),
                    },
                },
            };
            self.intake.set_cover(Side::Salesforce, &object, cover);
        }
        looked.map(drop)
    }
}
