//! The objects of a fresh org, with the fields, lengths and picklists of the standard edition.

mod setup;

use super::schema::{Field, Kind, Object};

const SOURCES: &[&str] = &["Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other"];
const INDUSTRIES: &[&str] = &[
    "Agriculture",
    "Apparel",
    "Banking",
    "Biotechnology",
    "Chemicals",
    "Communications",
    "Construction",
    "Consulting",
    "Education",
    "Electronics",
    "Energy",
    "Engineering",
    "Entertainment",
    "Environmental",
    "Finance",
    "Food & Beverage",
    "Government",
    "Healthcare",
    "Hospitality",
    "Insurance",
    "Machinery",
    "Manufacturing",
    "Media",
    "Not For Profit",
    "Recreation",
    "Retail",
    "Shipping",
    "Technology",
    "Telecommunications",
    "Transportation",
    "Utilities",
    "Other",
];
const SALUTATIONS: &[&str] = &["Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."];
const FORECASTS: &[&str] = &["Omitted", "Pipeline", "Best Case", "Commit", "Closed"];

/// The default lead statuses: value, converted, default.
pub(super) const LEAD_STATUSES: &[(&str, bool, bool)] = &[
    ("Open - Not Contacted", false, true),
    ("Working - Contacted", false, false),
    ("Closed - Converted", true, false),
    ("Closed - Not Converted", false, false),
];

/// The default stages: value, probability, forecast category, closed, won.
pub(super) const STAGES: &[(&str, f64, &str, bool, bool)] = &[
    ("Prospecting", 10.0, "Pipeline", false, false),
    ("Qualification", 10.0, "Pipeline", false, false),
    ("Needs Analysis", 20.0, "Pipeline", false, false),
    ("Value Proposition", 50.0, "Pipeline", false, false),
    ("Id. Decision Makers", 60.0, "Pipeline", false, false),
    ("Perception Analysis", 70.0, "Pipeline", false, false),
    ("Proposal/Price Quote", 75.0, "Pipeline", false, false),
    ("Negotiation/Review", 90.0, "Pipeline", false, false),
    ("Closed Won", 100.0, "Closed", true, true),
    ("Closed Lost", 0.0, "Omitted", true, false),
];

/// Every object of a fresh org.
pub(super) fn objects() -> Vec<Object> {
    let mut objects = vec![
        account(),
        contact(),
        lead(),
        opportunity(),
        opportunity_contact_role(),
        task(),
        campaign(),
        campaign_member(),
        campaign_member_status(),
    ];
    objects.extend(setup::objects());
    objects
}

/// The fields that every object has, around its own.
fn object(name: &str, plural: &str, prefix: &str, own: Vec<Field>) -> Object {
    let mut fields = vec![
        Field {
            defaulted: true,
            ..Field::new("Id", "Record ID", Kind::Id).read_only().required().id_lookup()
        },
        Field { defaulted: true, ..Field::new("IsDeleted", "Deleted", Kind::Boolean).read_only() },
    ];
    fields.extend(own);
    fields.extend(system());
    Object::new(name, plural, prefix, fields)
}

fn system() -> Vec<Field> {
    let stamp = |name, label| Field {
        defaulted: true,
        ..Field::new(name, label, Kind::DateTime).read_only().required()
    };
    let by = |name, label, relationship| Field {
        defaulted: true,
        ..Field::reference(name, label, &["User"], relationship).read_only().required()
    };
    vec![
        stamp("CreatedDate", "Created Date"),
        by("CreatedById", "Created By ID", "CreatedBy"),
        stamp("LastModifiedDate", "Last Modified Date"),
        by("LastModifiedById", "Last Modified By ID", "LastModifiedBy"),
        stamp("SystemModstamp", "System Modstamp"),
    ]
}

fn owner(to: &[&str]) -> Field {
    Field { defaulted: true, ..Field::reference("OwnerId", "Owner ID", to, "Owner").required() }
}

fn address(stem: &str, compound: &str, label: &str) -> Vec<Field> {
    let part = |name: &str, length| {
        Field::text(
            &format!("{stem}{name}"),
            &format!("{label} {name}").trim_start().replace("PostalCode", "Zip/Postal Code"),
            length,
        )
    };
    vec![
        Field { kind: Kind::TextArea, ..part("Street", 255) },
        part("City", 40),
        part("State", 80),
        part("PostalCode", 20),
        part("Country", 80),
        Field::number(&format!("{stem}Latitude"), &format!("{label} Latitude"), 18, 15),
        Field::number(&format!("{stem}Longitude"), &format!("{label} Longitude"), 18, 15),
        Field {
            calculated: false,
            ..Field::new(compound, &format!("{label} Address"), Kind::Address).read_only()
        },
    ]
}

fn person_name() -> Vec<Field> {
    vec![
        Field::text("LastName", "Last Name", 80).required(),
        Field::text("FirstName", "First Name", 40),
        Field::picklist("Salutation", "Salutation", SALUTATIONS).length(40),
        Field { defaulted: true, ..Field::text("Name", "Full Name", 121).read_only().required() },
    ]
}

fn master(object: &str) -> Field {
    Field::reference("MasterRecordId", "Master Record ID", &[object], "MasterRecord").read_only()
}

fn last_activity() -> Field {
    Field::new("LastActivityDate", "Last Activity", Kind::Date).read_only()
}

fn lead() -> Object {
    let mut own = vec![master("Lead")];
    own.extend(person_name());
    own.extend([
        Field::text("Title", "Title", 128),
        Field::text("Company", "Company", 255).required(),
    ]);
    own.extend(address("", "Address", ""));
    own.extend([
        Field::new("Phone", "Phone", Kind::Phone),
        Field::new("MobilePhone", "Mobile Phone", Kind::Phone),
        Field::new("Fax", "Fax", Kind::Phone),
        Field::new("Email", "Email", Kind::Email).id_lookup(),
        Field::new("Website", "Website", Kind::Url),
        Field::new("Description", "Description", Kind::TextArea).length(32_000),
        Field::picklist("LeadSource", "Lead Source", SOURCES),
        Field { defaulted: true, ..Field::picklist("Status", "Status", &[]).required() },
        Field::picklist("Industry", "Industry", INDUSTRIES),
        Field::picklist("Rating", "Rating", &["Hot", "Warm", "Cold"]),
        Field {
            precision: 18,
            scale: 0,
            ..Field::new("AnnualRevenue", "Annual Revenue", Kind::Currency)
        },
        Field { precision: 8, ..Field::new("NumberOfEmployees", "Employees", Kind::Int) },
        owner(&["Group", "User"]),
        Field::new("HasOptedOutOfEmail", "Email Opt Out", Kind::Boolean),
        Field::new("IsConverted", "Converted", Kind::Boolean).create_only(),
        Field::new("ConvertedDate", "Converted Date", Kind::Date).create_only(),
        Field::reference(
            "ConvertedAccountId",
            "Converted Account ID",
            &["Account"],
            "ConvertedAccount",
        )
        .create_only(),
        Field::reference(
            "ConvertedContactId",
            "Converted Contact ID",
            &["Contact"],
            "ConvertedContact",
        )
        .create_only(),
        Field::reference(
            "ConvertedOpportunityId",
            "Converted Opportunity ID",
            &["Opportunity"],
            "ConvertedOpportunity",
        )
        .create_only(),
        Field::new("IsUnreadByOwner", "Unread By Owner", Kind::Boolean).default_value(true),
        last_activity(),
        Field::text("Jigsaw", "Data.com Key", 20),
        Field::new("EmailBouncedReason", "Email Bounced Reason", Kind::Text),
        Field::new("EmailBouncedDate", "Email Bounced Date", Kind::DateTime),
    ]);
    object("Lead", "Leads", "00Q", own)
}

fn contact() -> Object {
    let mut own = vec![
        master("Contact"),
        Field::reference("AccountId", "Account ID", &["Account"], "Account").children("Contacts"),
    ];
    own.extend(person_name());
    own.extend(address("Other", "OtherAddress", "Other"));
    own.extend(address("Mailing", "MailingAddress", "Mailing"));
    own.extend([
        Field::new("Phone", "Business Phone", Kind::Phone),
        Field::new("Fax", "Business Fax", Kind::Phone),
        Field::new("MobilePhone", "Mobile Phone", Kind::Phone),
        Field::new("HomePhone", "Home Phone", Kind::Phone),
        Field::reference("ReportsToId", "Reports To ID", &["Contact"], "ReportsTo"),
        Field::new("Email", "Email", Kind::Email).id_lookup(),
        Field::text("Title", "Title", 128),
        Field::text("Department", "Department", 80),
        Field::picklist("LeadSource", "Lead Source", SOURCES),
        Field::new("Birthdate", "Birthdate", Kind::Date),
        Field::new("Description", "Contact Description", Kind::TextArea).length(32_000),
        owner(&["User"]),
        Field::new("HasOptedOutOfEmail", "Email Opt Out", Kind::Boolean),
        last_activity(),
        Field::new("EmailBouncedReason", "Email Bounced Reason", Kind::Text),
        Field::new("EmailBouncedDate", "Email Bounced Date", Kind::DateTime),
        Field::new("IsEmailBounced", "Is Email Bounced", Kind::Boolean).read_only(),
    ]);
    object("Contact", "Contacts", "003", own)
}

fn account() -> Object {
    let mut own = vec![
        master("Account"),
        Field::text("Name", "Account Name", 255).required(),
        Field::picklist(
            "Type",
            "Account Type",
            &[
                "Prospect",
                "Customer - Direct",
                "Customer - Channel",
                "Channel Partner / Reseller",
                "Installation Partner",
                "Technology Partner",
                "Other",
            ],
        ),
        Field::reference("ParentId", "Parent Account ID", &["Account"], "Parent")
            .children("ChildAccounts"),
    ];
    own.extend(address("Billing", "BillingAddress", "Billing"));
    own.extend(address("Shipping", "ShippingAddress", "Shipping"));
    own.extend([
        Field::new("Phone", "Account Phone", Kind::Phone),
        Field::new("Fax", "Account Fax", Kind::Phone),
        Field::text("AccountNumber", "Account Number", 40),
        Field::new("Website", "Website", Kind::Url),
        Field::picklist("Industry", "Industry", INDUSTRIES),
        Field { scale: 0, ..Field::new("AnnualRevenue", "Annual Revenue", Kind::Currency) },
        Field { precision: 8, ..Field::new("NumberOfEmployees", "Employees", Kind::Int) },
        Field::picklist("Ownership", "Ownership", &["Public", "Private", "Subsidiary", "Other"]),
        Field::new("Description", "Account Description", Kind::TextArea).length(32_000),
        Field::picklist("Rating", "Account Rating", &["Hot", "Warm", "Cold"]),
        Field::text("Site", "Account Site", 80),
        owner(&["User"]),
        last_activity(),
        Field::picklist("AccountSource", "Account Source", SOURCES),
    ]);
    object("Account", "Accounts", "001", own)
}

fn opportunity() -> Object {
    let own = vec![
        Field::reference("AccountId", "Account ID", &["Account"], "Account")
            .children("Opportunities"),
        Field::text("Name", "Name", 120).required(),
        Field::new("Description", "Description", Kind::TextArea).length(32_000),
        Field::picklist("StageName", "Stage", &[]).required(),
        Field::new("Amount", "Amount", Kind::Currency),
        Field { defaulted: true, ..Field::new("Probability", "Probability (%)", Kind::Percent) },
        Field::new("ExpectedRevenue", "Expected Amount", Kind::Currency).read_only(),
        Field::new("CloseDate", "Close Date", Kind::Date).required(),
        Field::picklist(
            "Type",
            "Opportunity Type",
            &[
                "Existing Customer - Upgrade",
                "Existing Customer - Replacement",
                "Existing Customer - Downgrade",
                "New Customer",
            ],
        ),
        Field::text("NextStep", "Next Step", 255),
        Field::picklist("LeadSource", "Lead Source", SOURCES),
        Field::new("IsClosed", "Closed", Kind::Boolean).read_only(),
        Field::new("IsWon", "Won", Kind::Boolean).read_only(),
        Field {
            defaulted: true,
            ..Field::picklist("ForecastCategory", "Forecast Category", FORECASTS).read_only()
        },
        Field {
            defaulted: true,
            ..Field::picklist("ForecastCategoryName", "Forecast Category", FORECASTS)
        },
        Field::reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .children("Opportunities"),
        Field::reference("ContactId", "Contact ID", &["Contact"], "Contact").create_only(),
        owner(&["User"]),
        last_activity(),
    ];
    object("Opportunity", "Opportunities", "006", own)
}

fn opportunity_contact_role() -> Object {
    let own = vec![
        Field::reference("OpportunityId", "Opportunity ID", &["Opportunity"], "Opportunity")
            .create_only()
            .required()
            .children("OpportunityContactRoles"),
        Field::reference("ContactId", "Contact ID", &["Contact"], "Contact")
            .required()
            .children("OpportunityContactRoles"),
        Field::picklist(
            "Role",
            "Role",
            &[
                "Business User",
                "Decision Maker",
                "Economic Buyer",
                "Economic Decision Maker",
                "Evaluator",
                "Executive Sponsor",
                "Influencer",
                "Technical Buyer",
                "Other",
            ],
        ),
        Field::new("IsPrimary", "Primary", Kind::Boolean),
    ];
    object("OpportunityContactRole", "Opportunity Contact Roles", "00K", own)
}

fn task() -> Object {
    let own = vec![
        Field::reference("WhoId", "Name ID", &["Contact", "Lead"], "Who").children("Tasks"),
        Field::reference(
            "WhatId",
            "Related To ID",
            &["Account", "Campaign", "Opportunity"],
            "What",
        )
        .children("Tasks"),
        Field::text("Subject", "Subject", 255),
        Field::new("ActivityDate", "Due Date Only", Kind::Date),
        Field::picklist(
            "Status",
            "Status",
            &["Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred"],
        )
        .required()
        .default_value("Not Started"),
        Field::picklist("Priority", "Priority", &["High", "Normal", "Low"])
            .required()
            .default_value("Normal"),
        Field::new("IsHighPriority", "High Priority", Kind::Boolean).read_only(),
        owner(&["User", "Group"]),
        Field::new("Description", "Description", Kind::TextArea).length(32_000),
        Field::picklist("Type", "Type", &["Call", "Email", "Meeting", "Other"]),
        Field::reference("AccountId", "Account ID", &["Account"], "Account").read_only(),
        Field::new("IsClosed", "Closed", Kind::Boolean).read_only(),
        Field::new("IsArchived", "Archived", Kind::Boolean).read_only(),
        Field { precision: 8, ..Field::new("CallDurationInSeconds", "Call Duration", Kind::Int) },
        Field::picklist("CallType", "Call Type", &["Internal", "Inbound", "Outbound"]).restricted(),
        Field::new("CallDisposition", "Call Result", Kind::Text),
        Field::picklist(
            "TaskSubtype",
            "Task Subtype",
            &["Task", "Email", "ListEmail", "Call", "LinkedIn"],
        )
        .restricted()
        .create_only()
        .default_value("Task"),
        Field::new("CompletedDateTime", "Completed Date/Time", Kind::DateTime).read_only(),
    ];
    object("Task", "Tasks", "00T", own)
}

fn campaign() -> Object {
    let own = vec![
        Field::text("Name", "Name", 80).required(),
        Field::reference("ParentId", "Parent Campaign ID", &["Campaign"], "Parent")
            .children("ChildCampaigns"),
        Field::picklist(
            "Type",
            "Type",
            &["Conference", "Webinar", "Trade Show", "Email", "Advertisement", "Other"],
        ),
        Field::picklist("Status", "Status", &["Planned", "In Progress", "Completed", "Aborted"])
            .default_value("Planned"),
        Field::new("StartDate", "Start Date", Kind::Date),
        Field::new("EndDate", "End Date", Kind::Date),
        Field::new("IsActive", "Active", Kind::Boolean),
        Field::new("Description", "Description", Kind::TextArea).length(32_000),
        owner(&["User"]),
        last_activity(),
    ];
    object("Campaign", "Campaigns", "701", own)
}

fn campaign_member() -> Object {
    let own = vec![
        Field::reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .create_only()
            .required()
            .children("CampaignMembers"),
        Field::reference("LeadId", "Lead ID", &["Lead"], "Lead")
            .create_only()
            .children("CampaignMembers"),
        Field::reference("ContactId", "Contact ID", &["Contact"], "Contact")
            .create_only()
            .children("CampaignMembers"),
        Field::picklist("Status", "Status", &["Sent", "Responded"]),
        Field::new("HasResponded", "Responded", Kind::Boolean).read_only(),
        Field::new("FirstRespondedDate", "First Responded Date", Kind::Date).read_only(),
    ];
    object("CampaignMember", "Campaign Members", "00v", own)
}

fn campaign_member_status() -> Object {
    let own = vec![
        Field::reference("CampaignId", "Campaign ID", &["Campaign"], "Campaign")
            .create_only()
            .required()
            .children("CampaignMemberStatuses"),
        Field::text("Label", "Label", 765).required(),
        Field { precision: 9, ..Field::new("SortOrder", "Sort Order", Kind::Int) },
        Field::new("IsDefault", "Is Default", Kind::Boolean),
        Field::new("HasResponded", "Responded", Kind::Boolean),
    ];
    object("CampaignMemberStatus", "Campaign Member Statuses", "01Y", own)
}
