//! What an app is told of, and the API by which a public app says so.
//!
//! (developers.hubspot.com, "Webhooks API".) Only a public app's subscriptions can be read and made
//! through the API, with the developer account's key. A private app's stand on its page, a project
//! app's in a file of the project.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::wire::{SettingsJson, SubscriptionJson, SubscriptionsJson};
use crate::platform::hubspot::codes;
use crate::platform::hubspot::paths::type_id;
use crate::platform::hubspot::wire::ErrorJson;
use crate::platform::transport::Http;
use crate::platform::{Error, ErrorKind};
use crate::record::Side;

/// Properties of which no app is told. (developers.hubspot.com, "Webhooks API".)
const UNTOLD: [&str; 3] =
    ["num_unique_conversion_events", "hs_lastmodifieddate", "lastmodifieddate"];

/// The most deliveries that HubSpot makes at once, unless an app says otherwise.
pub const AT_ONCE: u32 = 10;

/// What can happen to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// It was created.
    Creation,
    /// A property of it was changed.
    PropertyChange,
    /// It was archived.
    Deletion,
    /// It was merged with others.
    Merge,
    /// It came back from the archive.
    Restore,
    /// It was associated with another record, or no longer is.
    AssociationChange,
    /// A person had their data erased.
    PrivacyDeletion,
}

impl Event {
    const ALL: [(Self, &str); 7] = [
        (Self::Creation, "creation"),
        (Self::PropertyChange, "propertyChange"),
        (Self::Deletion, "deletion"),
        (Self::Merge, "merge"),
        (Self::Restore, "restore"),
        (Self::AssociationChange, "associationChange"),
        (Self::PrivacyDeletion, "privacyDeletion"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(event, _)| *event == self).map_or("", |(_, word)| word)
    }
}

/// One thing that an app can be told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Topic {
    /// The object's type id: `0-1`.
    kind: String,
    /// What happens to its records.
    pub event: Event,
    /// Which property changes. Without one, of a change of properties: every one.
    pub property: Option<String>,
}

impl Topic {
    /// What happens to the records of `object`, in any of its spellings.
    #[must_use]
    pub fn new(object: &str, event: Event, property: Option<&str>) -> Self {
        let property = property.map(str::to_owned);
        Self { kind: type_id(object).to_owned(), event, property }
    }

    /// What a subscription is about; none where it is about something else than records.
    fn read(event_type: &str, property: Option<String>, kind: &str) -> Option<Self> {
        let (object, word) = event_type.split_once('.')?;
        let (event, _) = Event::ALL.into_iter().find(|(_, known)| *known == word)?;
        let object = if object == "object" { kind } else { object };
        let property = property.filter(|_| event == Event::PropertyChange);
        Some(Self { kind: type_id(object).to_owned(), event, property })
    }

    /// The name that the older types of events have for the object, where there are some.
    fn classic(&self) -> Option<&'static str> {
        Some(match self.kind.as_str() {
            "0-1" => "contact",
            "0-2" => "company",
            "0-3" => "deal",
            "0-5" => "ticket",
            "0-7" => "product",
            "0-8" => "line_item",
            _ => return None,
        })
    }

    /// The object as a person knows it: `contact`, or its type id.
    #[must_use]
    pub fn object(&self) -> &str {
        self.classic().unwrap_or(&self.kind)
    }

    /// The type of the event: `contact.propertyChange`, or `object.propertyChange` where only the
    /// newer types know the object.
    #[must_use]
    pub fn event_type(&self) -> String {
        format!("{}.{}", self.classic().unwrap_or("object"), self.event.word())
    }

    /// Whether HubSpot tells anybody.
    #[must_use]
    pub fn can_be_told(&self) -> bool {
        !self.property.as_deref().is_some_and(|property| UNTOLD.contains(&property))
    }

    /// Whether being told of this is being told of `other` as well.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let same = self.kind == other.kind && self.event == other.event;
        same && (self.property.is_none() || self.property == other.property)
    }

    /// As it stands in a project's `webhooks-hsmeta.json`, and in which of its lists.
    #[must_use]
    pub fn in_project(&self) -> (&'static str, Value) {
        if self.event == Event::PrivacyDeletion {
            let told = json!({ "subscriptionType": self.event_type(), "active": true });
            return ("hubEvents", told);
        }
        let mut told = json!({
            "subscriptionType": format!("object.{}", self.event.word()),
            "objectType": self.object(),
        });
        if let Some(property) = &self.property {
            told["propertyName"] = json!(property);
        }
        told["active"] = json!(true);
        ("crmObjects", told)
    }

    fn body(&self) -> Value {
        let mut body = json!({ "eventType": self.event_type(), "active": true });
        if let Some(property) = &self.property {
            body["propertyName"] = json!(property);
        }
        if self.classic().is_none() {
            body["objectTypeId"] = json!(self.kind);
        }
        body
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_type())?;
        if self.classic().is_none() {
            write!(f, " of {}", self.kind)?;
        }
        self.property.as_ref().map_or(Ok(()), |property| write!(f, " {property}"))
    }
}

/// One subscription of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// Its number.
    pub id: String,
    /// What it is about; none where it is about something else than records.
    pub topic: Option<Topic>,
    /// Whether HubSpot tells.
    pub active: bool,
}

/// An app's webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppWebhooks {
    /// Where they are sent.
    pub target: Option<String>,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscribed>,
}

/// The API for the webhooks of a public app.
pub struct Admin {
    http: Arc<dyn Http>,
    base: Url,
    app: String,
    key: SecretString,
}

impl Admin {
    /// The webhooks of the app with the number `app`, by the developer account's key.
    #[must_use]
    pub fn new(http: Arc<dyn Http>, base: Url, app: &str, key: SecretString) -> Self {
        Self { http, base, app: utf8_percent_encode(app, NON_ALPHANUMERIC).to_string(), key }
    }

    /// What the app has.
    ///
    /// # Errors
    /// Where HubSpot does not answer, or refuses.
    pub async fn read(&self) -> Result<AppWebhooks, Error> {
        let doing = "reading the app's webhooks";
        let settings: Option<SettingsJson> =
            self.call(Method::GET, "settings", None, doing).await?;
        let listed: Option<SubscriptionsJson> =
            self.call(Method::GET, "subscriptions", None, doing).await?;
        let subscriptions = listed.unwrap_or_default().results.into_iter().map(|one| {
            let SubscriptionJson { id, event_type, property_name, object_type_id, active } = one;
            let property = property_name.into_option();
            let topic = Topic::read(&event_type.0, property, &object_type_id.0);
            Subscribed { id: id.0, topic, active }
        });
        Ok(AppWebhooks {
            target: settings.and_then(|settings| settings.target_url.into_option()),
            subscriptions: subscriptions.collect(),
        })
    }

    /// Says where the app's webhooks are sent.
    ///
    /// # Errors
    /// As [`Admin::read`].
    pub async fn set_target(&self, target: &str) -> Result<(), Error> {
        let throttling = json!({ "maxConcurrentRequests": AT_ONCE });
        let body = json!({ "targetUrl": target, "throttling": throttling });
        let doing = "setting where the app's webhooks are sent";
        self.call::<Value>(Method::PUT, "settings", Some(&body), doing).await.map(drop)
    }

    /// Subscribes the app to `topic`.
    ///
    /// # Errors
    /// As [`Admin::read`].
    pub async fn subscribe(&self, topic: &Topic) -> Result<(), Error> {
        let doing = format!("subscribing to {topic}");
        self.call::<Value>(Method::POST, "subscriptions", Some(&topic.body()), &doing)
            .await
            .map(drop)
    }

    /// Lets a subscription that rests tell again.
    ///
    /// # Errors
    /// As [`Admin::read`].
    pub async fn activate(&self, id: &str) -> Result<(), Error> {
        let tail = format!("subscriptions/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
        let body = json!({ "active": true });
        let doing = "activating a subscription";
        self.call::<Value>(Method::PATCH, &tail, Some(&body), doing).await.map(drop)
    }

    /// One call. Nothing where there is nothing (404: an app that never had webhooks).
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        tail: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Option<T>, Error> {
        let broken = |kind, message: String| Error {
            side: Side::HubSpot,
            kind,
            doing: doing.to_owned(),
            code: None,
            message,
            hint: None,
            correlation: None,
        };
        let mut url = self.base.clone();
        url.set_path(&format!("/webhooks/v3/{}/{tail}", self.app));
        // The key stands in the address, as HubSpot has it: the address is never logged.
        url.query_pairs_mut().append_pair("hapikey", self.key.expose_secret());
        let reads = method == Method::GET;
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(bytes)
            .map_err(|_| broken(ErrorKind::Request, "the app's number fits no address".into()))?;
        let answer = self
            .http
            .call(request)
            .await
            .map_err(|error| broken(ErrorKind::Retry { after: None }, error.what))?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND && reads {
            return Ok(None);
        }
        if !status.is_success() {
            let error = ErrorJson::read(answer.body());
            let mut error = codes::whole(&error, status.as_u16(), doing);
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                error.hint = Some(
                    "the developer account that owns the app (hubspot.app_id) gives the key: \
                     app.hubspot.com, Developer account, Keys"
                        .to_owned(),
                );
            }
            return Err(error);
        }
        if answer.body().is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(answer.body()).map(Some).map_err(|error| {
            broken(ErrorKind::Stop, format!("the answer has an unknown shape: {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_spelling_for_each_kind_of_app() {
        let topics = [
            Topic::new("contacts", Event::PropertyChange, Some("email")),
            Topic::new("0-2", Event::Merge, None),
            Topic::new("leads", Event::Creation, None),
            Topic::new("2-77", Event::PropertyChange, Some("colour")),
            Topic::new("contact", Event::PrivacyDeletion, None),
        ];
        let lines = topics.map(|topic| {
            let (list, told) = topic.in_project();
            format!("{topic} | {} | {list} {told}", topic.body())
        });
        insta::assert_snapshot!(lines.join("\n"), @r#"
        contact.propertyChange email | {"eventType":"contact.propertyChange","active":true,"propertyName":"email"} | crmObjects {"subscriptionType":"object.propertyChange","objectType":"contact","propertyName":"email","active":true}
        company.merge | {"eventType":"company.merge","active":true} | crmObjects {"subscriptionType":"object.merge","objectType":"company","active":true}
        object.creation of 0-136 | {"eventType":"object.creation","active":true,"objectTypeId":"0-136"} | crmObjects {"subscriptionType":"object.creation","objectType":"0-136","active":true}
        object.propertyChange of 2-77 colour | {"eventType":"object.propertyChange","active":true,"propertyName":"colour","objectTypeId":"2-77"} | crmObjects {"subscriptionType":"object.propertyChange","objectType":"2-77","propertyName":"colour","active":true}
        contact.privacyDeletion | {"eventType":"contact.privacyDeletion","active":true} | hubEvents {"subscriptionType":"contact.privacyDeletion","active":true}
        "#);
    }

    #[test]
    fn what_is_subscribed_covers_what_is_wanted_in_either_form() {
        let wanted = Topic::new("contacts", Event::PropertyChange, Some("email"));
        for (event_type, property, kind, covers) in [
            ("contact.propertyChange", Some("email"), "", true),
            ("object.propertyChange", Some("email"), "0-1", true),
            ("object.propertyChange", None, "0-1", true),
            ("contact.propertyChange", Some("phone"), "", false),
            ("object.propertyChange", Some("email"), "0-2", false),
            ("contact.creation", None, "", false),
        ] {
            let topic = Topic::read(event_type, property.map(str::to_owned), kind).unwrap();
            assert_eq!(topic.covers(&wanted), covers, "{event_type} {property:?} {kind}");
        }
        for other in ["conversation.newMessage", "contact", "", "contact.dance"] {
            assert_eq!(Topic::read(other, None, ""), None, "{other}");
        }
        assert!(!Topic::new("deals", Event::PropertyChange, Some(UNTOLD[1])).can_be_told());
        assert!(wanted.can_be_told());
    }
}
