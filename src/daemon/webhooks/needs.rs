//! Of what the mappings need to be told, and of what HubSpot tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PATH;
use crate::daemon::ConnectError;
use crate::daemon::engine::objects;
use crate::daemon::intake::Cover;
use crate::mapping::{Direction, FarEdit, Field, Mapping, Mappings};
use crate::platform::Error;
use crate::platform::hubspot::webhook::{AT_ONCE, Admin, AppWebhooks, Event, Topic};
use crate::platform::transport::Http;
use crate::record::Side;
use crate::settings::Effective;

/// How the name of a field that is an association begins.
const ASSOCIATIONS: &str = "associations.";

/// What to do about what is missing.
const REGISTER: &str = "`lockstep webhooks register` subscribes to what is missing";

/// What must be told of every mapped object: the polls find all of it later, but a merge or an
/// erasure that is heard late has been worked against meanwhile.
const ALWAYS: [Event; 4] = [Event::Creation, Event::Deletion, Event::Merge, Event::Restore];

/// How it stands with one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// HubSpot tells.
    Subscribed,
    /// There is a subscription, and it rests.
    Inactive,
    /// There is none.
    Missing,
    /// It cannot be found out from here.
    Unknown,
    /// HubSpot tells nobody: polls find it.
    NeverTold,
}

impl Standing {
    /// The word of text and of machine-readable output.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Subscribed => "subscribed",
            Self::Inactive => "inactive",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::NeverTold => "never told",
        }
    }
}

/// One thing that the mappings need to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// `contact.propertyChange`.
    pub event: String,
    /// The object: `contact`.
    pub object: String,
    /// The property, of changes of one.
    pub property: Option<String>,
    /// The mappings that need it.
    pub mappings: BTreeSet<String>,
    /// How it stands.
    pub standing: Standing,
    #[serde(skip)]
    topic: Option<Topic>,
}

/// What is needed beside what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriptions {
    /// The app's number, where a setting says it.
    pub app: Option<String>,
    /// Whether the app's subscriptions could be read.
    pub known: bool,
    /// Where HubSpot sends.
    pub target: Option<String>,
    /// Where it should send: the setting's address.
    pub wanted_target: Option<String>,
    /// What the mappings need, by object.
    pub needs: Vec<Need>,
    /// Active subscriptions that no mapping needs.
    pub unneeded: usize,
}

impl Subscriptions {
    /// What the mappings need, without looking at what there is.
    #[must_use]
    pub fn needed(effective: &Effective, mappings: &Mappings) -> Self {
        let number = effective.settings.hubspot.app_id.clone();
        compare(mappings, number, wanted_target(effective), None)
    }

    /// Whether everything that can be told is told, to the right address.
    #[must_use]
    pub fn complete(&self) -> bool {
        let told =
            |need: &Need| matches!(need.standing, Standing::Subscribed | Standing::NeverTold);
        self.known && self.needs.iter().all(told) && !self.is_elsewhere()
    }

    /// Whether HubSpot sends to another address than the settings say.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.known && self.wanted_target.is_some() && self.target != self.wanted_target
    }

    /// Whether all that the mappings need of an object would be told.
    #[must_use]
    pub fn cover(&self, object: &str) -> Cover {
        if !self.known {
            return Cover::Unknown;
        }
        if self.is_elsewhere() {
            let target = self.target.as_deref().unwrap_or("nowhere");
            let what = vec![format!("everything: webhooks are sent to {target}")];
            return Cover::Lacking { what, hint: REGISTER.to_owned() };
        }
        let known = Topic::new(object, Event::Creation, None);
        let lacking = self.needs.iter().filter(|need| {
            need.object == known.object()
                && matches!(need.standing, Standing::Inactive | Standing::Missing)
        });
        let what: Vec<String> = lacking
            .map(|need| match &need.property {
                Some(property) => format!("{} {property}", need.event),
                None => need.event.clone(),
            })
            .collect();
        if what.is_empty() {
            Cover::Whole
        } else {
            Cover::Lacking { what, hint: REGISTER.to_owned() }
        }
    }

    /// A project app's `webhooks-hsmeta.json` that asks for all of it.
    #[must_use]
    pub fn project(&self) -> Value {
        let mut lists: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for topic in self.needs.iter().filter_map(|need| need.topic.as_ref()) {
            if topic.can_be_told() {
                let (list, told) = topic.in_project();
                lists.entry(list).or_default().push(told);
            }
        }
        let mut list = |name| lists.remove(name).unwrap_or_default();
        let placeholder = || format!("https://your-host.example.com{PATH}");
        json!({
            "uid": "lockstep_webhooks",
            "type": "webhooks",
            "config": {
                "settings": {
                    "targetUrl": self.wanted_target.clone().unwrap_or_else(placeholder),
                    "maxConcurrentRequests": AT_ONCE,
                },
                "subscriptions": {
                    "crmObjects": list("crmObjects"),
                    "legacyCrmObjects": [],
                    "hubEvents": list("hubEvents"),
                },
            },
        })
    }
}

/// What the mappings need to be told of, with the mappings that need it.
fn needs(mappings: &Mappings) -> BTreeMap<Topic, BTreeSet<String>> {
    let mut needs: BTreeMap<Topic, BTreeSet<String>> = BTreeMap::new();
    for mapping in &mappings.list {
        for object in objects(mapping, Side::HubSpot) {
            let mut need = |event, property: Option<&str>| {
                let topic = Topic::new(object, event, property);
                needs.entry(topic).or_default().insert(mapping.name.clone());
            };
            for event in ALWAYS {
                need(event, None);
            }
            let privacy = Topic::new(object, Event::PrivacyDeletion, None);
            if privacy.object() == "contact" {
                need(Event::PrivacyDeletion, None);
            }
            for name in read_of(mapping, object) {
                match name.strip_prefix(ASSOCIATIONS) {
                    Some(_) => need(Event::AssociationChange, None),
                    None => need(Event::PropertyChange, Some(name)),
                }
            }
        }
    }
    needs
}

/// The properties of `object` whose change can change what a settlement does.
fn read_of<'a>(mapping: &'a Mapping, object: &'a str) -> impl Iterator<Item = &'a str> {
    let fields = mapping
        .fields
        .iter()
        .filter(|field| matters(field))
        .filter_map(move |field| field.sides.hubspot.as_ref()?.name(object));
    let keys = mapping.matching.iter().map(|key| key.fields.hubspot.as_str());
    fields.chain(keys)
}

/// Whether HubSpot's value has a say: of a field that only flows to HubSpot it has none, unless an
/// edit there is put right.
fn matters(field: &Field) -> bool {
    field.direction != Direction::To(Side::HubSpot) || field.far_edit == FarEdit::Restore
}

/// What is needed, beside what `app` has where that is known.
fn compare(
    mappings: &Mappings,
    number: Option<String>,
    wanted_target: Option<String>,
    app: Option<&AppWebhooks>,
) -> Subscriptions {
    let needs = needs(mappings);
    let unneeded = app.map_or(0, |app| {
        let active = app.subscriptions.iter().filter(|one| one.active);
        let needed = |topic: &Topic| needs.keys().any(|need| topic.covers(need));
        active.filter(|one| !one.topic.as_ref().is_some_and(needed)).count()
    });
    let list = needs.into_iter().map(|(topic, mappings)| Need {
        event: topic.event_type(),
        object: topic.object().to_owned(),
        property: topic.property.clone(),
        mappings,
        standing: standing(&topic, app),
        topic: Some(topic),
    });
    Subscriptions {
        app: number,
        known: app.is_some(),
        target: app.and_then(|app| app.target.clone()),
        wanted_target,
        needs: list.collect(),
        unneeded,
    }
}

fn standing(topic: &Topic, app: Option<&AppWebhooks>) -> Standing {
    if !topic.can_be_told() {
        return Standing::NeverTold;
    }
    let Some(app) = app else { return Standing::Unknown };
    let mut found = app
        .subscriptions
        .iter()
        .filter(|one| one.topic.as_ref().is_some_and(|known| known.covers(topic)))
        .peekable();
    match (found.peek().is_some(), found.any(|one| one.active)) {
        (_, true) => Standing::Subscribed,
        (true, false) => Standing::Inactive,
        (false, false) => Standing::Missing,
    }
}

/// Why the subscriptions cannot be seen to.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionsError {
    /// The developer account's key cannot be read.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// HubSpot refuses, or does not answer.
    #[error(transparent)]
    Platform(#[from] Error),
    /// Nothing says where HubSpot should send.
    #[error("webhooks.public_url is not set, and the app has no address to send to")]
    NoTarget,
}

/// The API for the app's webhooks; nothing where the settings name no app or no key.
fn admin(effective: &Effective, http: &Arc<dyn Http>) -> Result<Option<Admin>, SubscriptionsError> {
    let settings = &effective.settings.hubspot;
    let key = effective.secret("hubspot_developer_key").filter(|key| key.whence().is_some());
    let (Some(app), Some(key)) = (&settings.app_id, key) else { return Ok(None) };
    let key = key.read().map_err(ConnectError::from)?;
    Ok(Some(Admin::new(Arc::clone(http), settings.base_url.clone(), app, key)))
}

fn wanted_target(effective: &Effective) -> Option<String> {
    let url = effective.settings.webhooks.public_url.as_ref()?;
    let bare = url.path() == "/";
    let start = url.as_str().trim_end_matches('/');
    Some(format!("{start}{}", if bare { PATH } else { "" }))
}

/// Looks at what is subscribed, beside what the mappings need.
///
/// # Errors
/// Where the key cannot be read, or HubSpot refuses it.
pub async fn subscriptions(
    effective: &Effective,
    mappings: &Mappings,
    http: &Arc<dyn Http>,
) -> Result<Subscriptions, SubscriptionsError> {
    let app = match admin(effective, http)? {
        Some(admin) => Some(admin.read().await?),
        None => None,
    };
    let number = effective.settings.hubspot.app_id.clone();
    Ok(compare(mappings, number, wanted_target(effective), app.as_ref()))
}

/// Looks at the app's subscriptions for as long as the process lives.
pub struct Watch {
    admin: Admin,
    number: Option<String>,
    wanted_target: Option<String>,
}

impl Watch {
    /// Nothing where the settings name no app or no key, or webhooks are not listened for.
    ///
    /// # Errors
    /// Where the key cannot be read.
    pub fn new(
        effective: &Effective,
        http: &Arc<dyn Http>,
    ) -> Result<Option<Self>, SubscriptionsError> {
        if effective.settings.webhooks.listen.is_none() {
            return Ok(None);
        }
        let number = effective.settings.hubspot.app_id.clone();
        let wanted_target = wanted_target(effective);
        Ok(admin(effective, http)?.map(|admin| Self { admin, number, wanted_target }))
    }

    /// What is subscribed, beside what the mappings need.
    ///
    /// # Errors
    /// Where HubSpot refuses the key, or does not answer.
    pub async fn look(&self, mappings: &Mappings) -> Result<Subscriptions, SubscriptionsError> {
        let app = self.admin.read().await?;
        Ok(compare(mappings, self.number.clone(), self.wanted_target.clone(), Some(&app)))
    }
}

/// Subscribes to what is missing, where the API can; says what was done, a line each. Repeating it
/// does nothing more. Nothing is taken away: others may need it.
///
/// # Errors
/// As [`subscriptions`]; what was done before stays done.
pub async fn register(
    effective: &Effective,
    mappings: &Mappings,
    http: &Arc<dyn Http>,
) -> Result<Option<Vec<String>>, SubscriptionsError> {
    let Some(admin) = admin(effective, http)? else { return Ok(None) };
    let app = admin.read().await?;
    let number = effective.settings.hubspot.app_id.clone();
    let compared = compare(mappings, number, wanted_target(effective), Some(&app));
    let mut done = Vec::new();
    match &compared.wanted_target {
        Some(target) if compared.is_elsewhere() => {
            admin.set_target(target).await?;
            done.push(format!("webhooks are sent to {target}"));
        }
        None if compared.target.is_none() => return Err(SubscriptionsError::NoTarget),
        _ => {}
    }
    for need in &compared.needs {
        let Some(topic) = &need.topic else { continue };
        match need.standing {
            Standing::Missing => {
                admin.subscribe(topic).await?;
                done.push(format!("subscribed to {topic}"));
            }
            Standing::Inactive => {
                let resting = app.subscriptions.iter().filter(|one| !one.active);
                let resting =
                    resting.filter(|one| one.topic.as_ref().is_some_and(|it| it.covers(topic)));
                for one in resting {
                    admin.activate(&one.id).await?;
                }
                done.push(format!("activated {topic}"));
            }
            Standing::Subscribed | Standing::Unknown | Standing::NeverTold => {}
        }
    }
    Ok(Some(done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::read_mappings;
    use crate::mapping::load;
    use crate::platform::hubspot::webhook::Subscribed;

    fn shipped() -> Mappings {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings");
        load(read_mappings(folder.as_ref()).unwrap()).unwrap()
    }

    fn one(topic: Topic, active: bool) -> Subscribed {
        Subscribed { id: "1".into(), topic: Some(topic), active }
    }

    #[test]
    fn what_the_mappings_need_is_told_once_with_who_needs_it() {
        let needs = needs(&shipped());
        let has = |object, event, property: Option<&str>| {
            needs.get(&Topic::new(object, event, property)).cloned().unwrap_or_default()
        };
        for event in ALWAYS {
            for object in ["contacts", "companies", "deals"] {
                assert!(!has(object, event, None).is_empty(), "{object} {event:?}");
            }
        }
        assert!(has("contacts", Event::PrivacyDeletion, None).contains("people"));
        assert!(has("companies", Event::PrivacyDeletion, None).is_empty());
        assert!(has("contacts", Event::PropertyChange, Some("email")).contains("people"));
        assert!(has("contacts", Event::PropertyChange, Some("lifecyclestage")).contains("people"));
        assert!(has("deals", Event::AssociationChange, None).contains("deals"));
        assert!(has("contacts", Event::AssociationChange, None).is_empty());
    }

    #[test]
    fn what_is_there_is_compared_with_what_is_needed() {
        let email = Topic::new("contacts", Event::PropertyChange, Some("email"));
        let merge = Topic::new("contacts", Event::Merge, None);
        let foreign = Topic::new("tickets", Event::Merge, None);
        let app = AppWebhooks {
            target: Some("https://old.example.com".into()),
            subscriptions: vec![
                one(email.clone(), true),
                one(merge.clone(), false),
                one(foreign, true),
                Subscribed { id: "9".into(), topic: None, active: true },
            ],
        };
        let target = Some("https://sync.example.com/webhooks/hubspot".to_owned());
        let found = compare(&shipped(), Some("77".into()), target.clone(), Some(&app));
        let standing = |topic: &Topic| {
            found.needs.iter().find(|need| need.topic.as_ref() == Some(topic)).unwrap().standing
        };
        assert_eq!(standing(&email), Standing::Subscribed);
        assert_eq!(standing(&merge), Standing::Inactive);
        assert_eq!(standing(&Topic::new("deals", Event::Merge, None)), Standing::Missing);
        assert_eq!(found.unneeded, 2);
        assert!(found.is_elsewhere() && !found.complete());
        assert!(matches!(found.cover("deals"), Cover::Lacking { .. }));
        let here = Subscriptions { target: target.clone(), ..found.clone() };
        let Cover::Lacking { what, .. } = here.cover("contacts") else { panic!("all of it?") };
        assert!(what.contains(&"contact.merge".to_owned()), "{what:?}");
        assert!(!what.contains(&"contact.propertyChange email".to_owned()), "{what:?}");

        let blind = compare(&shipped(), None, target, None);
        assert!(blind.needs.iter().all(|need| need.standing == Standing::Unknown));
        assert_eq!(blind.cover("contacts"), Cover::Unknown);
        assert!(!blind.complete(), "what cannot be seen is not taken for granted");
        let project = blind.project();
        let config = &project["config"];
        assert_eq!(config["settings"]["targetUrl"], "https://sync.example.com/webhooks/hubspot");
        let subscriptions = &config["subscriptions"];
        assert_eq!(subscriptions["hubEvents"][0]["subscriptionType"], "contact.privacyDeletion");
        let crm = subscriptions["crmObjects"].as_array().unwrap();
        assert_eq!(crm.len() + 1, blind.needs.len());
    }
}
