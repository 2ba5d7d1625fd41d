//! What happened, as events have it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Webhooks;
use crate::sandbox::hubspot::associations::End;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::record::Source;
use crate::sandbox::hubspot::world::Account;
use crate::sandbox::hubspot::write::By;

/// Which records a type of event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// One kind, by its own name: `contact.…`.
    Of(Object),
    /// A kind that the sandbox does not hold: nothing ever happens to it.
    Other,
    /// `object.…` before its kind is known.
    Any,
    /// `object.…` of one kind.
    Generic(Object),
}

/// What a type of event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Creation,
    Deletion,
    Merge,
    PropertyChange,
    Restore,
    AssociationChange,
    PrivacyDeletion,
}

impl Kind {
    const ALL: [(&'static str, Self); 7] = [
        ("creation", Self::Creation),
        ("deletion", Self::Deletion),
        ("merge", Self::Merge),
        ("propertyChange", Self::PropertyChange),
        ("restore", Self::Restore),
        ("associationChange", Self::AssociationChange),
        ("privacyDeletion", Self::PrivacyDeletion),
    ];
}

/// Understands `contact.propertyChange`.
pub(super) fn read_type(text: &str) -> Option<(Scope, Kind)> {
    let (scope, kind) = text.split_once('.')?;
    let kind = Kind::ALL.into_iter().find(|(name, _)| *name == kind)?.1;
    let scope = match scope {
        "contact" => Scope::Of(Object::Contact),
        "company" => Scope::Of(Object::Company),
        "deal" => Scope::Of(Object::Deal),
        "ticket" | "product" | "line_item" => Scope::Other,
        "object" => Scope::Any,
        _ => return None,
    };
    // Products have no associations, and only contacts are erased for privacy.
    let impossible = match kind {
        Kind::AssociationChange => text.starts_with("product"),
        Kind::PrivacyDeletion => scope != Scope::Of(Object::Contact),
        _ => false,
    };
    (!impossible).then_some((scope, kind))
}

/// What happened to a record.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox::hubspot) enum What<'a> {
    /// A property has this value now; an empty one was cleared.
    Changed(&'a str, &'a str),
    Created,
    Deleted,
    Restored,
    /// Two records became a new one.
    Merged {
        primary: u64,
        other: u64,
        survivor: u64,
        moved: usize,
    },
    Erased,
    /// An association began or ended.
    Linked {
        to: End,
        type_id: u32,
        primary: bool,
        removed: bool,
    },
}

impl What<'_> {
    fn kind(self) -> Kind {
        match self {
            Self::Changed(..) => Kind::PropertyChange,
            Self::Created => Kind::Creation,
            Self::Deleted => Kind::Deletion,
            Self::Restored => Kind::Restore,
            Self::Merged { .. } => Kind::Merge,
            Self::Erased => Kind::PrivacyDeletion,
            Self::Linked { .. } => Kind::AssociationChange,
        }
    }

    fn property(self) -> Option<String> {
        match self {
            Self::Changed(name, _) => Some(name.to_owned()),
            _ => None,
        }
    }
}

/// One event, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The app that hears it.
    pub app: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Its JSON. `attemptNumber` is set anew at each attempt.
    pub body: Map<String, Value>,
}

impl Account {
    /// Tells everybody who wants to hear it that something happened.
    pub(in crate::sandbox::hubspot) fn happened(&mut self, at: End, what: What<'_>, by: &By) {
        if !self.webhooks.listening() {
            return;
        }
        let silent = matches!(what, What::Changed(..)) && &*by.source.kind == "CALCULATED";
        if silent && !self.webhooks.settings.tell_calculated {
            return;
        }
        let portal = self.portal;
        self.webhooks.tell(portal, at, what, &by.source, by.now);
    }
}

impl Webhooks {
    fn tell(&mut self, portal: u64, at: End, what: What<'_>, source: &Source, now: Timestamp) {
        let (kind, property) = (what.kind(), what.property());
        let matching = self.apps.values().flat_map(|app| {
            let property = property.as_deref();
            app.subscriptions()
                .filter(move |subscription| {
                    let object =
                        matches!(subscription.scope, Scope::Of(o) | Scope::Generic(o) if o == at.0);
                    subscription.active
                        && subscription.kind == kind
                        && object
                        && subscription.property.as_deref() == property
                })
                .map(move |subscription| (app.id, subscription))
        });
        let mut next = self.next_event;
        let mut events = Vec::new();
        for (app, subscription) in matching {
            next += 1;
            let mut body = Map::new();
            body.insert("eventId".to_owned(), json!(event_id(next)));
            body.insert("subscriptionId".to_owned(), json!(subscription.id));
            body.insert("portalId".to_owned(), json!(portal));
            body.insert("appId".to_owned(), json!(app));
            body.insert("occurredAt".to_owned(), json!(now.as_millisecond()));
            body.insert("subscriptionType".to_owned(), json!(subscription.event_type));
            body.insert("attemptNumber".to_owned(), json!(0));
            let generic = matches!(subscription.scope, Scope::Generic(_));
            self.describe(&mut body, at, what, generic);
            body.insert("changeSource".to_owned(), json!(&*source.kind));
            if let Some(id) = &source.id {
                body.insert("sourceId".to_owned(), json!(&**id));
            }
            events.push(Event { app, at: now, body });
        }
        self.next_event = next;
        for event in events {
            self.outbox.enqueue(event);
        }
    }

    fn describe(&self, body: &mut Map<String, Value>, at: End, what: What<'_>, generic: bool) {
        let mut add = |name: &str, value: Value| {
            body.insert(name.to_owned(), value);
        };
        if let What::Linked { to, type_id, primary, removed } = what {
            if generic {
                add("fromObjectTypeId", json!(at.0.type_id()));
                add("toObjectTypeId", json!(to.0.type_id()));
                add("associationTypeId", json!(type_id));
                add("associationCategory", json!("HUBSPOT_DEFINED"));
            } else {
                add("associationType", json!(association_name(at.0, to.0)));
            }
            add("fromObjectId", json!(at.1));
            add("toObjectId", json!(to.1));
            add("associationRemoved", json!(removed));
            add("isPrimaryAssociation", json!(primary));
            return;
        }
        add("objectId", json!(at.1));
        if generic {
            add("objectTypeId", json!(at.0.type_id()));
        }
        match what {
            What::Changed(name, value) => {
                let sensitive = self.settings.sensitive.contains(name);
                add("propertyName", json!(name));
                add("propertyValue", json!(if sensitive { "REDACTED" } else { value }));
                if sensitive {
                    add("isSensitive", json!(true));
                }
            }
            What::Created => add("changeFlag", json!("CREATED")),
            What::Deleted => add("changeFlag", json!("DELETED")),
            What::Restored => add("changeFlag", json!("RESTORED")),
            What::Merged { primary, other, survivor, moved } => {
                add("changeFlag", json!("MERGED"));
                add("primaryObjectId", json!(primary));
                add("mergedObjectIds", json!([other]));
                add("newObjectId", json!(survivor));
                add("numberOfPropertiesMoved", json!(moved));
            }
            What::Erased | What::Linked { .. } => {}
        }
    }
}

/// `CONTACT_TO_COMPANY`.
fn association_name(from: Object, to: Object) -> String {
    format!("{}_TO_{}", from.singular().to_uppercase(), to.singular().to_uppercase())
}

/// Numbers without an order to lean on, as the platform's are.
fn event_id(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 31
}
