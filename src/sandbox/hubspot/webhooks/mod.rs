//! Webhooks: what apps want to hear about, and what is on its way to them.
//!
//! An app has one target URL and any number of subscriptions. Whatever happens to a record, whoever
//! did it, becomes one event for each active subscription that it matches (`event`); events wait
//! in a queue, and [`deliver`] makes signed requests of them. Nothing here sends or waits: the
//! caller brings the time, sends what [`World::webhooks_due`] returns and says what came of it, so
//! that the simulation delivers on virtual time by the code that the server delivers by.
//!
//! Shapes and rules are those of the developer documentation's "webhooks" page (limits, retries,
//! signatures) and of captured deliveries.
//!
//! [`World::webhooks_due`]: crate::sandbox::World::webhooks_due

pub(super) mod api;
pub mod deliver;
mod event;
pub mod sign;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

pub use deliver::{Delivery, Unanswered};
pub(super) use event::What;
use event::{Kind, Scope};

use super::oauth::{CLIENT_SECRET, OAUTH_APP, PRIVATE_APP, PRIVATE_APP_SECRET};
use super::object::Object;
use super::world::Account;

/// The most subscriptions that an app may have.
pub const MOST_SUBSCRIPTIONS: usize = 1000;
/// Properties that no app can hear about.
const NOT_SUBSCRIBABLE: [&str; 2] = ["num_unique_conversion_events", "hs_lastmodifieddate"];

/// How deliveries are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long the ten retries of one delivery spread: a day on the platform, less where a
    /// rehearsal cannot wait so long.
    pub retry_span: SignedDuration,
    /// How long a delivery waits for its answer.
    pub timeout: SignedDuration,
    /// The most events of one delivery.
    pub batch: usize,
    /// How long the fault `webhooks-late` holds a delivery back at most.
    pub lateness: SignedDuration,
    /// Properties whose values are sent as `REDACTED`, marked `isSensitive`.
    pub sensitive: BTreeSet<String>,
    /// Whether values that the platform computes (scores, rollups) are told. On the platform they
    /// mostly are not.
    pub tell_calculated: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry_span: SignedDuration::from_hours(24),
            timeout: SignedDuration::from_secs(5),
            batch: 100,
            lateness: SignedDuration::from_mins(5),
            sensitive: BTreeSet::new(),
            tell_calculated: false,
        }
    }
}

/// One subscription of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: u64,
    /// `contact.propertyChange`, `object.creation`, …
    pub event_type: String,
    /// The property, for changes of properties.
    pub property: Option<String>,
    /// The kind of object, for the generic types: `0-1`.
    pub object_type_id: Option<String>,
    /// Whether events are sent.
    pub active: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last switched.
    pub updated: Option<Timestamp>,
    scope: Scope,
    kind: Kind,
}

/// What an app told about itself.
#[derive(Debug, Clone)]
pub struct WebhookApp {
    /// The app's id.
    pub id: u64,
    /// Its client secret, by which deliveries are signed.
    pub secret: String,
    target_url: Option<String>,
    /// The most deliveries in flight.
    pub max_concurrent: usize,
    subscriptions: BTreeMap<u64, Subscription>,
}

impl WebhookApp {
    /// Where deliveries go; none are made without it.
    #[must_use]
    pub fn target_url(&self) -> Option<&str> {
        self.target_url.as_deref()
    }

    /// Sets where deliveries go, or, with `None`, that they go nowhere.
    ///
    /// # Errors
    /// When it is no absolute `http` or `https` URL.
    pub fn set_target_url(&mut self, url: Option<&str>) -> Result<(), WebhookError> {
        let bad = |url: &str| WebhookError::Target(url.to_owned());
        if let Some(url) = url {
            let uri: http::Uri = url.parse().map_err(|_| bad(url))?;
            if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
                return Err(bad(url));
            }
        }
        self.target_url = url.map(str::to_owned);
        Ok(())
    }

    /// The app's subscriptions, by id.
    pub fn subscriptions(&self) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.values()
    }
}

/// Why a subscription or a target is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No such app.
    #[error("there is no app {0}")]
    UnknownApp(u64),
    /// No such subscription.
    #[error("the app has no subscription {0}")]
    UnknownSubscription(u64),
    /// No such type of event.
    #[error("`{0}` is no type of event; one is contact.propertyChange")]
    UnknownType(String),
    /// A change of a property needs its name, and nothing else takes one.
    #[error(
        "{event_type}: found propertyName {found:?}; only propertyChange takes one, and needs it"
    )]
    Property {
        /// The type.
        event_type: String,
        /// The name that was given.
        found: Option<String>,
    },
    /// The property cannot be subscribed to.
    #[error("no app can subscribe to changes of {0}")]
    NotSubscribable(String),
    /// A generic type needs a known object type id, and nothing else takes one.
    #[error("{event_type}: found objectTypeId {found:?}; object.* types need one such as 0-1")]
    ObjectType {
        /// The type.
        event_type: String,
        /// The id that was given.
        found: Option<String>,
    },
    /// The same subscription exists.
    #[error("the app has this subscription already: {0}")]
    Exists(u64),
    /// Not a place that deliveries can go to.
    #[error(
        "`{0}` is no absolute http or https URL; one is https://sync.example.com/webhooks/hubspot"
    )]
    Target(String),
    /// Too many.
    #[error("an app has at most {MOST_SUBSCRIPTIONS} subscriptions")]
    TooMany,
}

/// Every app's webhooks, and what is on its way.
#[derive(Debug, Default)]
pub struct Webhooks {
    /// How deliveries are made.
    pub settings: Settings,
    apps: BTreeMap<u64, WebhookApp>,
    next_subscription: u64,
    next_event: u64,
    /// How many subscriptions are active: without one nothing that happens costs anything.
    active: usize,
    outbox: deliver::Outbox,
}

impl Webhooks {
    /// The two apps of a fresh account, without targets and subscriptions.
    pub(super) fn fresh() -> Self {
        let mut fresh = Self::default();
        fresh.install(PRIVATE_APP, PRIVATE_APP_SECRET);
        fresh.install(OAUTH_APP, CLIENT_SECRET);
        fresh
    }

    /// Makes an app known, or changes its secret. Its target and subscriptions are kept.
    pub fn install(&mut self, id: u64, secret: &str) -> &mut WebhookApp {
        let app = self.apps.entry(id).or_insert_with(|| WebhookApp {
            id,
            secret: String::new(),
            target_url: None,
            max_concurrent: 10,
            subscriptions: BTreeMap::new(),
        });
        secret.clone_into(&mut app.secret);
        app
    }

    /// The known apps.
    pub fn apps(&self) -> impl Iterator<Item = &WebhookApp> {
        self.apps.values()
    }

    /// One app.
    #[must_use]
    pub fn app(&self, id: u64) -> Option<&WebhookApp> {
        self.apps.get(&id)
    }

    /// One app, to set its target or how many deliveries it takes at once.
    pub fn app_mut(&mut self, id: u64) -> Option<&mut WebhookApp> {
        self.apps.get_mut(&id)
    }

    /// What waits, is in flight, arrived and was given up.
    #[must_use]
    pub fn tally(&self) -> deliver::Tally {
        self.outbox.tally()
    }

    /// Subscribes an app and returns the subscription's id.
    ///
    /// # Errors
    /// When there is no such app or type, or the platform would refuse it.
    pub fn subscribe(
        &mut self,
        app: u64,
        event_type: &str,
        property: Option<&str>,
        object_type_id: Option<&str>,
        active: bool,
        now: Timestamp,
    ) -> Result<u64, WebhookError> {
        let known = self.apps.get_mut(&app).ok_or(WebhookError::UnknownApp(app))?;
        let (scope, kind) = event::read_type(event_type)
            .ok_or_else(|| WebhookError::UnknownType(event_type.to_owned()))?;
        if property.is_some() != (kind == Kind::PropertyChange) {
            return Err(WebhookError::Property {
                event_type: event_type.to_owned(),
                found: property.map(str::to_owned),
            });
        }
        if let Some(name) = property.filter(|name| NOT_SUBSCRIBABLE.contains(name)) {
            return Err(WebhookError::NotSubscribable(name.to_owned()));
        }
        let typed = object_type_id.and_then(Object::named);
        if typed.is_some() != (scope == Scope::Any) || object_type_id.is_some() != typed.is_some() {
            return Err(WebhookError::ObjectType {
                event_type: event_type.to_owned(),
                found: object_type_id.map(str::to_owned),
            });
        }
        let same = known.subscriptions.values().find(|at| {
            at.event_type == event_type
                && at.property.as_deref() == property
                && at.object_type_id.as_deref() == object_type_id
        });
        if let Some(same) = same {
            return Err(WebhookError::Exists(same.id));
        }
        if known.subscriptions.len() == MOST_SUBSCRIPTIONS {
            return Err(WebhookError::TooMany);
        }
        self.next_subscription += 1;
        let id = 2_426_000 + self.next_subscription;
        let subscription = Subscription {
            id,
            event_type: event_type.to_owned(),
            property: property.map(str::to_owned),
            object_type_id: object_type_id.map(str::to_owned),
            active,
            created: now,
            updated: None,
            scope: typed.map_or(scope, Scope::Generic),
            kind,
        };
        self.active += usize::from(active);
        known.subscriptions.insert(id, subscription);
        Ok(id)
    }

    /// Switches a subscription on or off.
    ///
    /// # Errors
    /// When there is no such app or subscription.
    pub fn switch(
        &mut self,
        app: u64,
        id: u64,
        active: bool,
        now: Timestamp,
    ) -> Result<&Subscription, WebhookError> {
        let app = self.apps.get_mut(&app).ok_or(WebhookError::UnknownApp(app))?;
        let found = app.subscriptions.get_mut(&id).ok_or(WebhookError::UnknownSubscription(id))?;
        self.active = self.active - usize::from(found.active) + usize::from(active);
        found.active = active;
        found.updated = Some(now);
        Ok(found)
    }

    /// Ends a subscription.
    ///
    /// # Errors
    /// As [`Webhooks::switch`].
    pub fn unsubscribe(&mut self, app: u64, id: u64) -> Result<(), WebhookError> {
        let app = self.apps.get_mut(&app).ok_or(WebhookError::UnknownApp(app))?;
        let gone = app.subscriptions.remove(&id).ok_or(WebhookError::UnknownSubscription(id))?;
        self.active -= usize::from(gone.active);
        Ok(())
    }

    /// Whether anybody hears anything.
    pub(super) fn listening(&self) -> bool {
        self.active > 0
    }
}

impl Account {
    /// Subscribes an app to everything that happens to contacts, companies and deals: each kind of
    /// event, and the change of each property that a person or an app can write. What the app has
    /// already is switched on.
    ///
    /// # Errors
    /// When there is no such app, or it has too many subscriptions already.
    pub fn subscribe_to_everything(
        &mut self,
        app: u64,
        now: Timestamp,
    ) -> Result<(), WebhookError> {
        for object in [Object::Contact, Object::Company, Object::Deal] {
            let name = object.singular();
            for kind in ["creation", "deletion", "merge", "restore", "associationChange"] {
                self.subscribe_or_switch(app, &format!("{name}.{kind}"), None, now)?;
            }
            let properties: Vec<String> = self
                .table(object)
                .definitions
                .values()
                .filter(|at| !at.read_only && !at.calculated && at.archived.is_none())
                .map(|at| at.name.to_string())
                .filter(|name| !NOT_SUBSCRIBABLE.contains(&name.as_str()))
                .collect();
            let change = format!("{name}.propertyChange");
            for property in properties {
                self.subscribe_or_switch(app, &change, Some(&property), now)?;
            }
        }
        self.subscribe_or_switch(app, "contact.privacyDeletion", None, now)
    }

    fn subscribe_or_switch(
        &mut self,
        app: u64,
        event_type: &str,
        property: Option<&str>,
        now: Timestamp,
    ) -> Result<(), WebhookError> {
        match self.webhooks.subscribe(app, event_type, property, None, true, now) {
            Err(WebhookError::Exists(id)) => self.webhooks.switch(app, id, true, now).map(|_| ()),
            other => other.map(|_| ()),
        }
    }
}
