//! The fields of change events in the order in which the platform's own schemas have them.
//!
//! A field's place is its bit in `changedFields`, so the order matters as much as the names. It is
//! that of the samples in the Change Data Capture guide for an org without person accounts and
//! record types; types and tags are those of published schemas of the same objects.

/// The type of a field's values in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `string`.
    Text,
    /// `long`: milliseconds since the epoch.
    Time,
    /// `long`: milliseconds since the epoch of a day's start in UTC.
    Day,
    /// `double`.
    Double,
    /// `int`.
    Int,
    /// `boolean`.
    Boolean,
    /// The record `PersonName`.
    PersonName,
    /// The record `Address`.
    Address,
}

/// One line a field: its name and the tag that says what it holds.
pub(super) fn fields(object: &str) -> Option<impl Iterator<Item = (&'static str, &'static str)>> {
    let lines = match object {
        "Account" => ACCOUNT,
        "Contact" => CONTACT,
        "Lead" => LEAD,
        "Opportunity" => OPPORTUNITY,
        _ => return None,
    };
    Some(lines.lines().filter_map(|line| line.split_once(' ')))
}

/// What a tag says about the values.
pub(super) fn shape(tag: &str) -> Shape {
    match tag {
        "Data:DateTime" | "CreatedDate:DateTime" => Shape::Time,
        "Data:DateOnly" => Shape::Day,
        "Data:Currency" | "Data:Double" | "Data:Percent" => Shape::Double,
        "Data:Integer" => Shape::Int,
        "Data:Boolean" => Shape::Boolean,
        "Data:PersonName" => Shape::PersonName,
        "Data:Address" => Shape::Address,
        _ => Shape::Text,
    }
}

const LEAD: &str = "\
Name Data:PersonName
Title Data:Text
Company Data:Text
Address Data:Address
Phone Data:Phone
MobilePhone Data:Phone
Fax Data:Phone
Email Data:Email
Website Data:Url
Description Data:StringPlusClob
LeadSource Data:DynamicEnum
Status Data:DynamicEnum
Industry Data:DynamicEnum
Rating Data:DynamicEnum
AnnualRevenue Data:Currency
NumberOfEmployees Data:Integer
OwnerId ForeignKey:EntityId
HasOptedOutOfEmail Data:Boolean
IsConverted Data:Boolean
ConvertedDate Data:DateOnly
ConvertedAccountId ForeignKey:EntityId
ConvertedContactId ForeignKey:EntityId
ConvertedOpportunityId ForeignKey:EntityId
IsUnreadByOwner Data:Boolean
CreatedDate CreatedDate:DateTime
CreatedById ForeignKey:EntityId
LastModifiedDate Data:DateTime
LastModifiedById ForeignKey:EntityId
DoNotCall Data:Boolean
HasOptedOutOfFax Data:Boolean
LastTransferDate Data:DateOnly
Jigsaw Data:Text
JigsawContactId ExternalForeignKey:ExternalId
CleanStatus Data:StaticEnum
CompanyDunsNumber Data:Text
DandbCompanyId ForeignKey:EntityId
EmailBouncedReason Data:Text
EmailBouncedDate Data:DateTime
IndividualId ForeignKey:EntityId
Pronouns Data:DynamicEnum
GenderIdentity Data:DynamicEnum
";

const OPPORTUNITY: &str = "\
AccountId ForeignKey:EntityId
IsPrivate Data:Boolean
Name Data:Text
Description Data:StringPlusClob
StageName Data:DynamicEnum
Amount Data:Currency
Probability Data:Percent
ExpectedRevenue Data:Currency
TotalOpportunityQuantity Data:Double
CloseDate Data:DateOnly
Type Data:DynamicEnum
NextStep Data:Text
LeadSource Data:DynamicEnum
IsClosed Data:Boolean
IsWon Data:Boolean
ForecastCategory Data:StaticEnum
ForecastCategoryName Data:DynamicEnum
CampaignId ForeignKey:EntityId
HasOpportunityLineItem Data:Boolean
Pricebook2Id ForeignKey:EntityId
OwnerId ForeignKey:EntityId
CreatedDate CreatedDate:DateTime
CreatedById ForeignKey:EntityId
LastModifiedDate Data:DateTime
LastModifiedById ForeignKey:EntityId
LastStageChangeDate Data:DateTime
ContactId ForeignKey:EntityId
ContractId ForeignKey:EntityId
LastAmountChangedHistoryId ForeignKey:EntityId
LastCloseDateChangedHistoryId ForeignKey:EntityId
";

const CONTACT: &str = "\
AccountId ForeignKey:EntityId
Name Data:PersonName
OtherAddress Data:Address
MailingAddress Data:Address
Phone Data:Phone
Fax Data:Phone
MobilePhone Data:Phone
HomePhone Data:Phone
OtherPhone Data:Phone
AssistantPhone Data:Phone
ReportsToId ForeignKey:EntityId
Email Data:Email
Title Data:Text
Department Data:Text
AssistantName Data:Text
LeadSource Data:DynamicEnum
Birthdate Data:DateOnly
Description Data:StringPlusClob
OwnerId ForeignKey:EntityId
HasOptedOutOfEmail Data:Boolean
HasOptedOutOfFax Data:Boolean
DoNotCall Data:Boolean
CreatedDate CreatedDate:DateTime
CreatedById ForeignKey:EntityId
LastModifiedDate Data:DateTime
LastModifiedById ForeignKey:EntityId
LastCURequestDate Data:DateTime
LastCUUpdateDate Data:DateTime
EmailBouncedReason Data:Text
EmailBouncedDate Data:DateTime
Jigsaw Data:Text
JigsawContactId ExternalForeignKey:ExternalId
CleanStatus Data:StaticEnum
IndividualId ForeignKey:EntityId
Pronouns Data:DynamicEnum
GenderIdentity Data:DynamicEnum
";

const ACCOUNT: &str = "\
Name Data:Text
Type Data:DynamicEnum
ParentId ForeignKey:EntityId
BillingAddress Data:Address
ShippingAddress Data:Address
Phone Data:Phone
Fax Data:Phone
AccountNumber Data:Text
Website Data:Url
Sic Data:Text
Industry Data:DynamicEnum
AnnualRevenue Data:Currency
NumberOfEmployees Data:Integer
Ownership Data:DynamicEnum
TickerSymbol Data:Text
Description Data:StringPlusClob
Rating Data:DynamicEnum
Site Data:Text
OwnerId ForeignKey:EntityId
CreatedDate CreatedDate:DateTime
CreatedById ForeignKey:EntityId
LastModifiedDate Data:DateTime
LastModifiedById ForeignKey:EntityId
Jigsaw Data:Text
JigsawCompanyId ExternalForeignKey:ExternalId
CleanStatus Data:StaticEnum
AccountSource Data:DynamicEnum
DunsNumber Data:Text
Tradestyle Data:Text
NaicsCode Data:Text
NaicsDesc Data:Text
YearStarted Data:Text
SicDesc Data:Text
DandbCompanyId ForeignKey:EntityId
OperatingHoursId ForeignKey:EntityId
";
