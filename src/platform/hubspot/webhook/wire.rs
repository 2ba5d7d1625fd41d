//! An event as HubSpot writes it. Every field is optional; what is unknown is ignored.

use serde::Deserialize;
use serde_json::Value;

use crate::platform::hubspot::wire::Text;

/// One event of a delivery. (developers.hubspot.com, "Webhooks API", and the forms that apps of the
/// developer platform get.)
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EventJson {
    /// `contact.propertyChange`, or `object.propertyChange` with `objectTypeId`.
    pub subscription_type: Text,
    /// What the documentation's tables call the same field.
    pub event_type: Text,
    pub portal_id: Text,
    /// Milliseconds since 1970.
    pub occurred_at: Text,
    pub object_id: Text,
    pub object_type_id: Text,
    pub property_name: Text,
    /// None where the event carries no value at all; HubSpot writes `""` for a cleared one.
    pub property_value: Option<Value>,
    /// The value stands in the record but is not sent.
    pub is_sensitive: Text,
    pub change_source: Text,
    /// For [`INTEGRATION`] the number of the app.
    pub source_id: Text,
    /// Of merges: the record that was chosen to live on…
    pub primary_object_id: Text,
    /// …under a new id, in accounts where merging makes one.
    pub new_object_id: Text,
    pub merged_object_ids: Value,
    /// Of associations: `CONTACT_TO_COMPANY`.
    pub association_type: Text,
    pub from_object_id: Text,
    pub to_object_id: Text,
    pub from_object_type_id: Text,
    pub to_object_type_id: Text,
}

/// The `changeSource` of what an app did.
pub(super) const INTEGRATION: &str = "INTEGRATION";

/// What stands in the place of a sensitive value.
pub(super) const REDACTED: &str = "REDACTED";

/// The `changeSource` of what a person typed in.
pub(super) const CRM_UI: &str = "CRM_UI";

/// The `changeSource` of what came by a file.
pub(super) const IMPORT: &str = "IMPORT";

/// An app's settings for webhooks.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SettingsJson {
    pub target_url: Text,
}

/// An app's subscriptions.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubscriptionsJson {
    pub results: Vec<SubscriptionJson>,
}

/// One of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SubscriptionJson {
    pub id: Text,
    pub event_type: Text,
    pub property_name: Text,
    pub object_type_id: Text,
    pub active: bool,
}
