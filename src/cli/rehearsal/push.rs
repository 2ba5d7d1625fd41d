//! HubSpot's webhooks from the sandbox to the daemon's door, with no network between.

use std::sync::Arc;

use secrecy::SecretString;

use crate::daemon::Engine;
use crate::daemon::webhooks::{Receiver, Subscriptions};
use crate::platform::transport::{Http, InProcess};
use crate::sandbox::Sandbox;
use crate::sandbox::hubspot::oauth::{PRIVATE_APP, PRIVATE_APP_SECRET};
use crate::sandbox::hubspot::webhooks::{Unanswered, WebhookError};
use crate::settings::{SettingsError, Sources, load};

/// Where HubSpot sends when nothing is sent anywhere.
const TARGET: &str = "https://lockstep.example.com/webhooks/hubspot";

/// Why no webhooks can be rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The sandbox refuses a subscription.
    #[error(transparent)]
    Refused(#[from] WebhookError),
    /// The built-in settings are wrong, which a test rules out.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Carries webhooks. Clones carry for the same daemon.
#[derive(Debug, Clone)]
pub struct Postman {
    sandbox: Sandbox,
    door: InProcess,
}

impl Postman {
    /// Opens a door to `engine` and subscribes it to what its mappings need, of what happens from
    /// now on. The engine's clock must be the sandbox's: deliveries are good for five minutes.
    ///
    /// # Errors
    /// Where the sandbox refuses a subscription.
    pub fn new(sandbox: &Sandbox, engine: &Arc<Engine>) -> Result<Self, PushError> {
        let variable = ("LOCKSTEP_WEBHOOKS__PUBLIC_URL".to_owned(), TARGET.to_owned());
        let sources = Sources { file: None, environment: [variable].into() };
        let effective = load(&sources)?;
        let needed = Subscriptions::needed(&effective, &engine.mappings());
        {
            let now = sandbox.clock().now();
            let webhooks = &mut sandbox.world().hubspot.webhooks;
            if let Some(app) = webhooks.app_mut(PRIVATE_APP) {
                app.set_target_url(Some(TARGET))?;
            }
            for need in needed.needs {
                let property = need.property.as_deref();
                match webhooks.subscribe(PRIVATE_APP, &need.event, property, None, true, now) {
                    Ok(_) | Err(WebhookError::Exists(_) | WebhookError::NotSubscribable(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        let secret = SecretString::from(PRIVATE_APP_SECRET.to_owned());
        let settings = &effective.settings.webhooks;
        let receiver = Receiver::new(Arc::clone(engine), settings, &secret, None, false)
            .map_err(|_| PushError::Random)?;
        let door = InProcess::new(Arc::new(receiver).router());
        Ok(Self { sandbox: sandbox.clone(), door })
    }

    /// Makes the deliveries that are due now; says how many were answered with success.
    pub async fn deliver(&self) -> usize {
        let mut arrived = 0;
        loop {
            let now = self.sandbox.clock().now();
            let due = self.sandbox.world().webhooks_due(now);
            if due.is_empty() {
                return arrived;
            }
            for delivery in due {
                let answer = self.door.call(delivery.request).await;
                let status = answer.map(|answer| answer.status()).map_err(|_| Unanswered::Broken);
                arrived += usize::from(status.is_ok_and(|status| status.is_success()));
                self.sandbox.world().webhook_answered(delivery.id, status, now);
            }
        }
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let tally = self.sandbox.world().hubspot.webhooks.tally();
        tally.queued + tally.waiting + tally.in_flight == 0
    }
}
