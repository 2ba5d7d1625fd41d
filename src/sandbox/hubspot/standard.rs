//! The properties that HubSpot defines itself: a realistic part of them.

use super::object::Object;
use super::properties::{Choice, External, Property};

/// The lifecycle stages in their order, with labels.
pub const LIFECYCLE: [(&str, &str); 8] = [
    ("subscriber", "Subscriber"),
    ("lead", "Lead"),
    ("marketingqualifiedlead", "Marketing Qualified Lead"),
    ("salesqualifiedlead", "Sales Qualified Lead"),
    ("opportunity", "Opportunity"),
    ("customer", "Customer"),
    ("evangelist", "Evangelist"),
    ("other", "Other"),
];

const LEAD_STATUS: [(&str, &str); 8] = [
    ("NEW", "New"),
    ("OPEN", "Open"),
    ("IN_PROGRESS", "In Progress"),
    ("OPEN_DEAL", "Open Deal"),
    ("UNQUALIFIED", "Unqualified"),
    ("ATTEMPTED_TO_CONTACT", "Attempted to Contact"),
    ("CONNECTED", "Connected"),
    ("BAD_TIMING", "Bad Timing"),
];

const SOURCES: [(&str, &str); 9] = [
    ("ORGANIC_SEARCH", "Organic Search"),
    ("PAID_SEARCH", "Paid Search"),
    ("EMAIL_MARKETING", "Email Marketing"),
    ("SOCIAL_MEDIA", "Organic Social"),
    ("REFERRALS", "Referrals"),
    ("OTHER_CAMPAIGNS", "Other Campaigns"),
    ("DIRECT_TRAFFIC", "Direct Traffic"),
    ("OFFLINE", "Offline Sources"),
    ("PAID_SOCIAL", "Paid Social"),
];

const INDUSTRIES: [(&str, &str); 8] = [
    ("ACCOUNTING", "Accounting"),
    ("COMPUTER_SOFTWARE", "Computer Software"),
    ("CONSTRUCTION", "Construction"),
    ("FINANCIAL_SERVICES", "Financial Services"),
    ("HOSPITAL_HEALTH_CARE", "Hospital & Health Care"),
    ("INFORMATION_TECHNOLOGY_AND_SERVICES", "Information Technology and Services"),
    ("MACHINERY", "Machinery"),
    ("RETAIL", "Retail"),
];

/// One line a property: `name type/field label`; a trailing `!` on the field means read-only, a
/// trailing `?` means hidden.
const OF_ALL: &str = "
hs_object_id number/number! Record ID
hs_object_source string/text! Record source
hs_object_source_id string/text! Record source ID
hs_object_source_label string/text! Record source label
hs_merged_object_ids enumeration/checkbox! Merged record IDs
hs_unique_creation_key string/text! Unique creation key
hubspot_owner_id enumeration/select Owner
hubspot_owner_assigneddate datetime/date! Owner assigned date
hubspot_team_id enumeration/select! HubSpot team
hs_created_by_user_id number/number! Created by user ID
hs_updated_by_user_id number/number! Updated by user ID
";

const OF_LIFECYCLE: &str = "
createdate datetime/date! Create date
lifecyclestage enumeration/radio Lifecycle stage
hs_pipeline enumeration/select Pipeline
hs_lead_status enumeration/radio Lead status
hs_analytics_source enumeration/select! Original traffic source
hs_analytics_source_data_1 string/text! Original traffic source drill-down 1
hs_analytics_source_data_2 string/text! Original traffic source drill-down 2
hs_latest_source enumeration/select! Latest traffic source
hs_analytics_num_page_views number/number! Number of pageviews
hs_v2_date_entered_current_stage datetime/date! Date entered current stage
num_associated_deals number/calculation_rollup! Number of associated deals
notes_last_contacted datetime/date! Last contacted
notes_last_updated datetime/date! Last activity date
num_notes number/number! Number of sales activities
phone string/phonenumber Phone number
website string/text Website
address string/text Street address
city string/text City
state string/text State/region
zip string/text Postal code
country string/text Country/region
industry string/text Industry
annualrevenue string/text Annual revenue
hubspotscore number/number!? HubSpot score
";

const OF_CONTACTS: &str = "
lastmodifieddate datetime/date! Last modified date
email string/text Email
hs_additional_emails enumeration/checkbox! Additional email addresses
hs_email_domain string/text! Email domain
firstname string/text First name
lastname string/text Last name
salutation string/text Salutation
jobtitle string/text Job title
company string/text Company name
mobilephone string/phonenumber Mobile phone number
fax string/phonenumber Fax number
hs_searchable_calculated_phone_number string/calculation_equation! Phone number (searchable)
hs_is_unworked bool/calculation_equation! Contact unworked
hs_email_optout bool/booleancheckbox! Unsubscribed from all email
hs_sequences_is_enrolled bool/booleancheckbox! Currently in Sequence
hs_latest_sequence_enrolled number/number! Last sequence enrolled
hs_latest_sequence_enrolled_date datetime/date! Last sequence enrolled date
hs_email_bounce number/number! Marketing emails bounced
hs_email_last_open_date datetime/date! Last marketing email open date
hs_predictivecontactscore_v2 number/number! Likelihood to close
hs_persona enumeration/select? Persona
hs_language string/text Preferred language
hs_timezone string/text Time zone
numemployees string/text Number of employees
message string/textarea Message
associatedcompanyid number/number! Primary associated company ID
num_conversion_events number/number! Number of form submissions
recent_conversion_event_name string/text! Recent conversion
recent_conversion_date datetime/date! Recent conversion date
hs_lifecyclestage_subscriber_date datetime/date! Became a subscriber date
hs_lifecyclestage_lead_date datetime/date! Became a lead date
hs_lifecyclestage_marketingqualifiedlead_date datetime/date! Became an MQL date
hs_lifecyclestage_salesqualifiedlead_date datetime/date! Became an SQL date
hs_lifecyclestage_opportunity_date datetime/date! Became an opportunity date
hs_lifecyclestage_customer_date datetime/date! Became a customer date
hs_lifecyclestage_evangelist_date datetime/date! Became an evangelist date
hs_lifecyclestage_other_date datetime/date! Became an other lifecycle date
";

const OF_COMPANIES: &str = "
hs_lastmodifieddate datetime/date! Last modified date
name string/text Company name
domain string/text Company domain name
description string/textarea Description
numberofemployees number/number Number of employees
founded_year string/text Year founded
type enumeration/radio Type
linkedin_company_page string/text LinkedIn company page
num_associated_contacts number/calculation_rollup! Number of associated contacts
hs_num_child_companies number/calculation_rollup! Number of child companies
";

const OF_DEALS: &str = "
createdate datetime/date! Create date
hs_lastmodifieddate datetime/date! Last modified date
dealname string/text Deal name
amount number/number Amount
amount_in_home_currency number/calculation_equation! Amount in company currency
deal_currency_code enumeration/select Currency
pipeline enumeration/select Pipeline
dealstage enumeration/radio Deal stage
closedate datetime/date Close date
dealtype enumeration/radio Deal type
description string/textarea Deal description
closed_lost_reason string/textarea Closed lost reason
closed_won_reason string/textarea Closed won reason
hs_deal_stage_probability number/number! Deal probability
hs_is_closed bool/calculation_equation! Is deal closed?
hs_is_closed_won bool/calculation_equation! Is closed won
hs_priority enumeration/select Priority
num_associated_contacts number/calculation_rollup! Number of associated contacts
";

const OF_TASKS: &str = "
hs_createdate datetime/date! Create date
hs_lastmodifieddate datetime/date! Last modified date
hs_timestamp datetime/date Due date
hs_task_subject string/text Task title
hs_task_body string/textarea Task notes
hs_task_status enumeration/select Task status
hs_task_priority enumeration/select Priority
hs_task_type enumeration/select Task type
hs_task_reminders string/text Reminders
hs_queue_membership_ids enumeration/checkbox Queue
hs_task_completion_date datetime/date! Completed at
hs_task_completion_count number/number! Completion count
hs_task_is_completed number/number! Is completed
hs_body_preview string/textarea! Body preview
";

const OF_NOTES: &str = "
hs_createdate datetime/date! Create date
hs_lastmodifieddate datetime/date! Last modified date
hs_timestamp datetime/date Activity date
hs_note_body string/html Note body
hs_attachment_ids enumeration/checkbox Attached file IDs
hs_body_preview string/textarea! Body preview
";

/// developers.hubspot.com, "Calls".
const OF_CALLS: &str = "
hs_createdate datetime/date! Create date
hs_lastmodifieddate datetime/date! Last modified date
hs_timestamp datetime/date Activity date
hs_call_title string/text Call title
hs_call_body string/html Call notes
hs_call_direction enumeration/select Call direction
hs_call_status enumeration/select Call status
hs_call_duration number/number Call duration
hs_body_preview string/textarea! Body preview
";

/// developers.hubspot.com, "Email".
const OF_EMAILS: &str = "
hs_createdate datetime/date! Create date
hs_lastmodifieddate datetime/date! Last modified date
hs_timestamp datetime/date Activity date
hs_email_subject string/text Email subject
hs_email_text string/textarea Email body
hs_email_direction enumeration/select Email direction
hs_email_status enumeration/select Email send status
hs_body_preview string/textarea! Body preview
";

const CALL_STATUS: [(&str, &str); 10] = [
    ("BUSY", "Busy"),
    ("CALLING_CRM_USER", "Calling CRM user"),
    ("CANCELED", "Canceled"),
    ("COMPLETED", "Completed"),
    ("CONNECTING", "Connecting"),
    ("FAILED", "Failed"),
    ("IN_PROGRESS", "In progress"),
    ("NO_ANSWER", "No answer"),
    ("QUEUED", "Queued"),
    ("RINGING", "Ringing"),
];

const EMAIL_STATUS: [(&str, &str); 5] = [
    ("BOUNCED", "Bounced"),
    ("FAILED", "Failed"),
    ("SCHEDULED", "Scheduled"),
    ("SENDING", "Sending"),
    ("SENT", "Sent"),
];

/// The standard properties of one kind of object.
#[must_use]
pub fn properties(object: Object) -> Vec<Property> {
    let (own, lifecycle) = match object {
        Object::Contact => (OF_CONTACTS, true),
        Object::Company => (OF_COMPANIES, true),
        Object::Deal => (OF_DEALS, false),
        Object::Task => (OF_TASKS, false),
        Object::Note => (OF_NOTES, false),
        Object::Call => (OF_CALLS, false),
        Object::Email => (OF_EMAILS, false),
    };
    let group = match object {
        Object::Contact => "contactinformation",
        Object::Company => "companyinformation",
        Object::Deal => "dealinformation",
        Object::Task | Object::Note | Object::Call | Object::Email => "engagement",
    };
    let mut texts = vec![OF_ALL, own];
    if lifecycle {
        texts.push(OF_LIFECYCLE);
    }
    let mut all: Vec<Property> = texts.into_iter().flat_map(str::lines).filter_map(line).collect();
    if lifecycle {
        all.extend(LIFECYCLE.iter().flat_map(|(stage, label)| stage_dates(stage, label)));
    }
    for property in &mut all {
        group.clone_into(&mut property.group);
        property.standard = true;
        choices(object, property);
    }
    all
}

/// The read-only properties that each lifecycle stage brings.
#[must_use]
pub fn stage_dates(stage: &str, label: &str) -> [Property; 2] {
    ["entered", "exited"].map(|verb| {
        let name = format!("hs_v2_date_{verb}_{stage}");
        Property {
            standard: true,
            ..Property::custom(&name, &format!("Date {verb} \"{label}\""), "datetime").read_only()
        }
    })
}

fn line(line: &str) -> Option<Property> {
    let mut words = line.splitn(3, ' ');
    let name = words.next().filter(|name| !name.is_empty())?;
    let (kind, field) = words.next()?.split_once('/')?;
    let label = words.next()?;
    let mut property = Property::custom(name, label, kind);
    field.trim_end_matches(['!', '?']).clone_into(&mut property.field);
    property.read_only = field.contains('!');
    property.hidden = field.contains('?');
    property.calculated = field.starts_with("calculation_equation");
    property.unique = name == "hs_unique_creation_key";
    Some(property)
}

fn choices(object: Object, property: &mut Property) {
    let list: &[(&str, &str)] = match &*property.name {
        "lifecyclestage" => {
            property.external = Some(External::Settings);
            &LIFECYCLE
        }
        "hubspot_owner_id" => {
            property.external = Some(External::Owners);
            &[]
        }
        "pipeline" | "hs_pipeline" => {
            property.external = Some(External::Pipelines);
            &[]
        }
        "dealstage" => {
            property.external = Some(External::Stages);
            &[]
        }
        "hs_lead_status" => &LEAD_STATUS,
        "hs_analytics_source" | "hs_latest_source" => &SOURCES,
        "industry" if object == Object::Company => {
            "enumeration".clone_into(&mut property.kind);
            "select".clone_into(&mut property.field);
            &INDUSTRIES
        }
        "annualrevenue" if object == Object::Company => {
            "number".clone_into(&mut property.kind);
            "number".clone_into(&mut property.field);
            &[]
        }
        "type" => &[
            ("PROSPECT", "Prospect"),
            ("PARTNER", "Partner"),
            ("RESELLER", "Reseller"),
            ("VENDOR", "Vendor"),
            ("OTHER", "Other"),
        ],
        "dealtype" => &[("newbusiness", "New Business"), ("existingbusiness", "Existing Business")],
        "deal_currency_code" => &[("USD", "US Dollar"), ("EUR", "Euro")],
        "hs_priority" => &[("low", "Low"), ("medium", "Medium"), ("high", "High")],
        "hs_call_direction" => &[("INBOUND", "Inbound"), ("OUTBOUND", "Outbound")],
        "hs_call_status" => &CALL_STATUS,
        "hs_email_direction" => &[
            ("EMAIL", "Outgoing"),
            ("INCOMING_EMAIL", "Incoming"),
            ("FORWARDED_EMAIL", "Forwarded"),
        ],
        "hs_email_status" => &EMAIL_STATUS,
        "hs_task_status" => &[
            ("NOT_STARTED", "Not started"),
            ("IN_PROGRESS", "In progress"),
            ("WAITING", "Waiting"),
            ("COMPLETED", "Completed"),
            ("DEFERRED", "Deferred"),
        ],
        "hs_task_priority" => {
            &[("NONE", "None"), ("LOW", "Low"), ("MEDIUM", "Medium"), ("HIGH", "High")]
        }
        // The account has one queue of tasks. A queue's id is a number.
        "hs_queue_membership_ids" => &[("14512", "Inbound")],
        "hs_task_type" => {
            &[("TODO", "To-do"), ("CALL", "Call"), ("EMAIL", "Email"), ("LINKED_IN", "LinkedIn")]
        }
        _ => &[],
    };
    if !list.is_empty() {
        property.choices = list.iter().map(|(value, label)| Choice::new(value, label)).collect();
    }
}
