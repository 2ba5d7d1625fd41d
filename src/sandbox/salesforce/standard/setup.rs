//! The objects that Setup changes and the API only reads.

use super::{FORECASTS, object};
use crate::sandbox::salesforce::schema::{Field, Kind, Object};

/// The objects of a fresh org.
pub(super) fn objects() -> [Object; 7] {
    [
        user(),
        group(),
        queue_sobject(),
        group_member(),
        lead_status(),
        opportunity_stage(),
        organization(),
    ]
}

fn user() -> Object {
    let own = vec![
        Field::text("Username", "Username", 80).required().id_lookup(),
        Field::text("LastName", "Last Name", 80).required(),
        Field::text("FirstName", "First Name", 40),
        Field::text("Name", "Full Name", 121).read_only(),
        Field::text("CompanyName", "Company Name", 80),
        Field::text("Title", "Title", 80),
        Field::text("Department", "Department", 80),
        Field { length: 128, ..Field::new("Email", "Email", Kind::Email).required().id_lookup() },
        Field::new("Phone", "Phone", Kind::Phone),
        Field::text("Alias", "Alias", 8),
        Field::new("IsActive", "Active", Kind::Boolean),
        Field::text("TimeZoneSidKey", "Time Zone", 40),
        Field::text("LocaleSidKey", "Locale", 40),
        Field::text("LanguageLocaleKey", "Language", 40),
        Field::text("UserType", "User Type", 40).read_only(),
        Field::reference("ManagerId", "Manager ID", &["User"], "Manager"),
        Field::text("FederationIdentifier", "SAML Federation ID", 512),
    ];
    object("User", "Users", "005", own).setup_only()
}

fn group() -> Object {
    let own = vec![
        Field::text("Name", "Name", 40).required(),
        Field::text("DeveloperName", "Developer Name", 80),
        Field::picklist("Type", "Type", &["Regular", "Role", "Queue"]).required(),
        Field::new("Email", "Email", Kind::Email),
    ];
    object("Group", "Groups", "00G", own).setup_only()
}

/// An object that has the fields of these two and no others: Salesforce stamps neither a day of
/// creation nor an editor. (Object Reference, QueueSobject and GroupMember)
fn pairing(name: &str, plural: &str, prefix: &str, own: Vec<Field>) -> Object {
    let mut object = object(name, plural, prefix, own);
    for field in ["IsDeleted", "CreatedDate", "LastModifiedDate", "LastModifiedById"] {
        object.remove(field);
    }
    object.setup_only()
}

fn queue_sobject() -> Object {
    let own = vec![
        Field::reference("QueueId", "Queue ID", &["Group"], "Queue").required(),
        Field::text("SobjectType", "Sobject Type", 40).required(),
    ];
    pairing("QueueSobject", "Queue Sobjects", "03g", own)
}

fn group_member() -> Object {
    let own = vec![
        Field::reference("GroupId", "Group ID", &["Group"], "Group").required(),
        Field::reference("UserOrGroupId", "User/Group ID", &["User", "Group"], "UserOrGroup")
            .required(),
    ];
    pairing("GroupMember", "Group Members", "011", own)
}

fn lead_status() -> Object {
    let own = vec![
        Field::text("MasterLabel", "Master Label", 255),
        Field::text("ApiName", "API Name", 255).id_lookup(),
        Field::new("SortOrder", "Sort Order", Kind::Int),
        Field::new("IsDefault", "Is Default", Kind::Boolean),
        Field::new("IsConverted", "Is Converted", Kind::Boolean),
    ];
    object("LeadStatus", "Lead Statuses", "01J", own).setup_only()
}

fn opportunity_stage() -> Object {
    let own = vec![
        Field::text("MasterLabel", "Master Label", 255),
        Field::text("ApiName", "API Name", 255).id_lookup(),
        Field::new("IsActive", "Is Active", Kind::Boolean),
        Field::new("SortOrder", "Sort Order", Kind::Int),
        Field::new("IsClosed", "Closed", Kind::Boolean),
        Field::new("IsWon", "Won", Kind::Boolean),
        Field::picklist("ForecastCategory", "Forecast Category", FORECASTS),
        Field::text("ForecastCategoryName", "Forecast Category Name", 40),
        Field::new("DefaultProbability", "Probability (%)", Kind::Percent),
        Field::text("Description", "Description", 255),
    ];
    object("OpportunityStage", "Opportunity Stages", "01J", own).setup_only()
}

fn organization() -> Object {
    let own = vec![
        Field::text("Name", "Name", 80).required(),
        Field::text("InstanceName", "Instance Name", 5),
        Field::new("IsSandbox", "Is Sandbox", Kind::Boolean),
        Field::new("TrialExpirationDate", "Trial Expiration Date", Kind::DateTime),
        Field::text("NamespacePrefix", "Namespace Prefix", 15),
        Field::text("OrganizationType", "Edition", 40),
        Field::text("DefaultLocaleSidKey", "Locale", 40),
        Field::text("TimeZoneSidKey", "Time Zone", 40),
        Field::text("LanguageLocaleKey", "Language", 40),
        Field::new("PrimaryContact", "Primary Contact", Kind::Text).length(80),
        Field::new("Country", "Country", Kind::Text).length(80),
    ];
    object("Organization", "Organizations", "00D", own).setup_only()
}
