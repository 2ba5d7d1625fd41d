//! What an admin sets up in both accounts before the shipped mappings can be used.

use crate::sandbox::Sandbox;
use crate::sandbox::hubspot::object::Object;
use crate::sandbox::hubspot::properties::Property;
use crate::sandbox::salesforce::schema::Field;

const STAGES: [&str; 8] = [
    "Subscriber",
    "Lead",
    "Marketing Qualified Lead",
    "Sales Qualified Lead",
    "Opportunity",
    "Customer",
    "Evangelist",
    "Other",
];

/// Creates the custom properties and fields that the shipped mappings name. Repeating it changes
/// nothing.
pub fn set_up(sandbox: &Sandbox) {
    let now = sandbox.clock().now();
    let mut world = sandbox.world();
    let text = |name: &str, label: &str| Property::custom(name, label, "string");
    for object in [Object::Contact, Object::Company, Object::Deal] {
        let id = text("salesforce_id", "Salesforce id").unique();
        // It may be there already: a sandbox can be set up twice.
        let _ = world.hubspot.define(object, id, now);
    }
    for property in [
        Property::custom("lead_score", "Lead score", "number"),
        text("qualified_because", "Qualified because"),
        text("handoff_state", "Handoff state"),
        text("handoff_owner", "Handoff owner"),
        text("handoff_touched_by", "Handoff first touch by"),
        text("handoff_reason", "Handoff reason"),
        text("handoff_opportunity", "Handoff opportunity"),
        Property::custom("handoff_touched_at", "Handoff first touch at", "datetime"),
        Property::custom("handoff_won_at", "Handoff won at", "datetime"),
        Property::custom("handoff_amount", "Handoff amount", "number"),
    ] {
        let _ = world.hubspot.define(Object::Contact, property, now);
    }
    let org = &mut world.salesforce;
    for object in ["Lead", "Contact", "Account", "Opportunity"] {
        let id = Field::text("HubSpot_Id__c", "HubSpot id", 20).external_id().unique();
        org.define_field(now, object, id);
    }
    for object in ["Lead", "Contact"] {
        let stage = Field::picklist("Lifecycle_Stage__c", "Lifecycle stage", &STAGES).restricted();
        org.define_field(now, object, stage);
        org.define_field(now, object, Field::number("HubSpot_Score__c", "HubSpot score", 18, 2));
        for (name, label) in [
            ("Qualified_Because__c", "Qualified because"),
            ("HubSpot_Recent_Conversion__c", "HubSpot recent conversion"),
            ("HubSpot_Campaign__c", "HubSpot campaign"),
        ] {
            org.define_field(now, object, Field::text(name, label, 255));
        }
    }
}
