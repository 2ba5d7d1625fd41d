//! What Salesforce's error codes mean: one table for both levels, the call (`errorCode`) and the
//! item of a collection (`statusCode`).
//!
//! A code that is not in the table is new or rare: for a call it is taken as a wrong request, for a
//! record as a value that is not accepted. Neither is ever repeated blindly.

use crate::platform::{Refusal, RefusalKind};

use super::wire::{ApiError, id18};

/// What a code says about what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The platform is busy: nothing took effect, and it may work in seconds.
    Busy,
    /// The day's calls are used up.
    Exhausted,
    /// The session is over: sign in again.
    Session,
    /// The request as such is wrong.
    Request,
    /// The org or the user is not set up for it.
    Stop,
    /// The value is not accepted.
    Value,
    /// The record exists already.
    Duplicate,
    /// The record is deleted or merged.
    Gone,
    /// The Lead was converted.
    Converted,
    /// The user may not do this to this record.
    Permission,
    /// The schema has changed since it was read.
    Schema,
}

struct Code {
    code: &'static str,
    meaning: Meaning,
    hint: &'static str,
}

const fn row(code: &'static str, meaning: Meaning, hint: &'static str) -> Code {
    Code { code, meaning, hint }
}

use Meaning::{
    Busy, Converted, Duplicate, Exhausted, Gone, Permission, Request, Schema, Session, Stop, Value,
};

/// Sorted by code; a test keeps it so.
const CODES: &[Code] = &[
    row(
        "API_CURRENTLY_DISABLED",
        Stop,
        "an administrator of the org has to enable API access again",
    ),
    row(
        "API_DISABLED_FOR_ORG",
        Stop,
        "this Salesforce edition has no API access: it needs Enterprise, Unlimited, Performance or \
         Developer Edition, or the API add-on",
    ),
    row("BAD_CUSTOM_ENTITY_PARENT_DOMAIN", Value, "correct the reference to the parent record"),
    row(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        Value,
        "a trigger or flow of the org failed: show its text to an administrator, then retry the \
         reject",
    ),
    row("CANNOT_UPDATE_CONVERTED_LEAD", Converted, "the link moves to the Contact by itself"),
    row(
        "CIRCULAR_DEPENDENCY",
        Value,
        "the record would become its own parent: correct the reference",
    ),
    row(
        "DUPLICATES_DETECTED",
        Duplicate,
        "a duplicate rule of the org matched another record: link that record, or let the mapping \
         save although an alert rule objects",
    ),
    row(
        "DUPLICATE_EXTERNAL_ID",
        Duplicate,
        "several records hold this external id: merge them in Salesforce, then retry the reject",
    ),
    row(
        "DUPLICATE_VALUE",
        Duplicate,
        "another record holds this unique value: link that record or change its value",
    ),
    row("ENTITY_IS_DELETED", Gone, "the record is in the recycle bin or was merged"),
    row(
        "ENTITY_IS_LOCKED",
        Permission,
        "the record is locked, most often by an approval: retry the reject once it is unlocked",
    ),
    row(
        "EXCEEDED_ID_LIMIT",
        Request,
        "too many records changed in the time asked for: ask for a shorter one",
    ),
    row(
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        Value,
        "a validation rule of the org refused it: change the value or the rule, then retry the \
         reject",
    ),
    row("FIELD_FILTER_VALIDATION_EXCEPTION", Value, "the lookup filter of the field refused it"),
    row("FIELD_INTEGRITY_EXCEPTION", Value, "the value does not fit the record: correct it"),
    row(
        "INACTIVE_OWNER_OR_USER",
        Value,
        "the owner is inactive: map the owner to an active user or queue",
    ),
    row(
        "INSUFFICIENT_ACCESS",
        Permission,
        "give the integration user access to this object and record",
    ),
    row(
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        Permission,
        "give the integration user access to the record that is referred to",
    ),
    row(
        "INSUFFICIENT_ACCESS_OR_READONLY",
        Permission,
        "give the integration user the right to edit this record",
    ),
    row("INVALID_CROSS_REFERENCE_KEY", Gone, "the id leads to no record that the user can see"),
    row("INVALID_EMAIL_ADDRESS", Value, "correct the e-mail address"),
    row(
        "INVALID_FIELD",
        Schema,
        "the field does not exist or is hidden from the integration user: run check, correct the \
         mapping or the field's visibility",
    ),
    row(
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        Schema,
        "the field cannot be written: make its mapping one-way, or give the integration user the \
         right to edit it",
    ),
    row("INVALID_ID_FIELD", Gone, "the id leads to no record of this object"),
    row(
        "INVALID_OPERATION",
        Value,
        "the org does not allow it; where the owner is a queue, let it own such records in Setup, \
         Queues, Supported Objects",
    ),
    row(
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        Schema,
        "add the value to the picklist or map it",
    ),
    row("INVALID_QUERY_FILTER_OPERATOR", Request, "the field cannot be searched in this way"),
    row("INVALID_QUERY_LOCATOR", Busy, "the query is run again from where it stood"),
    row(
        "INVALID_REPLICATION_DATE",
        Request,
        "deletions are kept for 15 days: compare all records instead",
    ),
    row("INVALID_SESSION_ID", Session, "sign in again"),
    row("INVALID_STATUS", Value, "the status is not one that can be written"),
    row(
        "INVALID_TYPE",
        Request,
        "the object does not exist or is hidden from the integration user: run check",
    ),
    row("INVALID_TYPE_ON_FIELD_IN_RECORD", Value, "the value is of another type than the field"),
    row("JSON_PARSER_ERROR", Value, "the value is of another type than the field"),
    row("LIMIT_EXCEEDED", Busy, "the org met one of its limits"),
    row(
        "LOGIN_MUST_USE_SECURITY_TOKEN",
        Stop,
        "the address of this machine is not trusted: add it to the org's trusted IP ranges",
    ),
    row("MALFORMED_ID", Gone, "the id is not one of this object"),
    row("MALFORMED_QUERY", Request, "run check: a field cannot be searched or grouped by"),
    row("NOT_FOUND", Gone, "the record, or the external id field, does not exist or is hidden"),
    row("NUMBER_OUTSIDE_VALID_RANGE", Value, "the number is too large for the field"),
    row("OPERATION_TOO_LARGE", Request, "the query meets too many records: ask for less"),
    row(
        "OP_WITH_INVALID_USER_TYPE_EXCEPTION",
        Value,
        "this kind of user cannot own the record: map the owner to another user",
    ),
    row("ORG_LOCKED", Stop, "the org is locked: an administrator has to ask Salesforce"),
    row("QUERY_TIMEOUT", Busy, "the query took longer than the platform allows"),
    row(
        "REQUEST_LIMIT_EXCEEDED",
        Exhausted,
        "the org's API calls of the last 24 hours are used up: other integrations count as well",
    ),
    row("REQUIRED_FIELD_MISSING", Value, "map the missing field or give it a default"),
    row("SERVER_UNAVAILABLE", Busy, "Salesforce is busy"),
    row(
        "STORAGE_LIMIT_EXCEEDED",
        Stop,
        "the org's storage is full: an administrator has to free some",
    ),
    row("STRING_TOO_LONG", Value, "shorten the value, or truncate it in the mapping"),
    row(
        "TXN_SECURITY_METERING_ERROR",
        Stop,
        "give the integration user the permission \"Exempt from Transaction Security\"",
    ),
    row("TXN_SECURITY_NO_ACCESS", Stop, "a transaction security policy of the org forbids it"),
    row("UNABLE_TO_LOCK_ROW", Busy, "another change holds the record or its parent"),
    row("UNKNOWN_EXCEPTION", Busy, "Salesforce failed: quote the request id to its support"),
    row("UNSUPPORTED_API_VERSION", Request, "set an API version that the org has"),
];

/// What a code, with its text, means; and the next step for a person.
pub(super) fn meaning(code: &str, message: &str) -> Option<(Meaning, &'static str)> {
    let at = CODES.binary_search_by(|row| row.code.cmp(code)).ok()?;
    let Code { meaning, hint, .. } = &CODES[at];
    Some(match code {
        // The same code stands for the day's calls and for too many long calls at a time; only the
        // text tells them apart. (Salesforce Help 000389067)
        "REQUEST_LIMIT_EXCEEDED" if message.contains("Concurrent") => {
            (Busy, "too many long calls run at once in the org")
        }
        // A failed trigger or flow wraps the code of what failed inside it.
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" => inner(message).unwrap_or((*meaning, hint)),
        _ => (*meaning, hint),
    })
}

/// What a trigger or flow failed of, where it may heal by itself or the record moved on. Other inner
/// codes belong to records that the automation touched, not to ours: they stay the wrapper's.
fn inner(message: &str) -> Option<(Meaning, &'static str)> {
    ["UNABLE_TO_LOCK_ROW", "QUERY_TIMEOUT", "CANNOT_UPDATE_CONVERTED_LEAD"]
        .into_iter()
        .find(|code| message.contains(code))
        .and_then(|code| meaning(code, ""))
}

/// A sign that a 401 will not heal by signing in again. (Seen in the field; the first is what an
/// Agentforce or SOAP-only session gets.)
pub(super) fn never_heals(message: &str) -> bool {
    message.contains("not valid for use with the REST API")
        || message.contains("is not attached to Agent")
}

/// The refusal of a record, for an error that is about the record.
pub(super) fn refusal(error: &ApiError) -> Refusal {
    let (meaning, hint) = meaning(&error.code, &error.message)
        .unwrap_or((Value, "read the message; Lockstep does not know this code yet"));
    let kind = match meaning {
        Duplicate => RefusalKind::Duplicate { existing: existing(error) },
        // The same codes stand for our record's id and for a reference that one of its fields makes;
        // in the second case the platform names the field.
        Gone if error.fields.is_empty() || error.code == "ENTITY_IS_DELETED" => RefusalKind::Gone,
        Converted => RefusalKind::Converted,
        Permission => RefusalKind::Permission,
        Schema => RefusalKind::Schema,
        _ => RefusalKind::Value,
    };
    Refusal {
        kind,
        code: error.code.clone(),
        message: error.message.clone(),
        fields: named_fields(error),
        hint: hint.to_owned(),
    }
}

/// The record that stands in the way: matched by a duplicate rule, or quoted in the text of a unique
/// field (`… duplicates value on record with id: 00Q…`). Nothing where several match: which one is
/// meant is for a person to say.
fn existing(error: &ApiError) -> Option<String> {
    let mut ids = error.matched();
    if error.code == "DUPLICATE_VALUE" {
        let after = error.message.rsplit_once("id:").map(|(_, id)| id);
        ids.extend(after.and_then(|id| id18(id.trim())));
    }
    ids.sort();
    ids.dedup();
    match <[String; 1]>::try_from(ids) {
        Ok([one]) => Some(one),
        Err(_) => None,
    }
}

/// The fields that the platform names: listed, or only quoted in the text.
fn named_fields(error: &ApiError) -> Vec<String> {
    if !error.fields.is_empty() {
        return error.fields.clone();
    }
    column_in(&error.message).map(str::to_owned).into_iter().collect()
}

/// The column in `No such column 'Score__c' on sobject of type Lead`.
pub(super) fn column_in(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("No such column '")?;
    rest.split_once('\'').map(|(column, _)| column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, message: &str) -> ApiError {
        ApiError { code: code.into(), message: message.into(), ..ApiError::default() }
    }

    #[test]
    fn the_table_is_sorted_and_says_what_to_do() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        for row in CODES {
            assert!(!row.hint.is_empty() && !row.hint.ends_with('.'), "{}", row.code);
        }
    }

    #[test]
    fn a_code_means_what_happens_next() {
        let table = [
            ("INVALID_SESSION_ID", "Session expired or invalid", Some(Session)),
            ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", Some(Exhausted)),
            (
                "REQUEST_LIMIT_EXCEEDED",
                "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
                Some(Busy),
            ),
            ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record", Some(Busy)),
            ("SERVER_UNAVAILABLE", "", Some(Busy)),
            (
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "LeadTrigger: execution of BeforeUpdate caused by: System.DmlException: Update \
                 failed. First exception on row 0; first error: UNABLE_TO_LOCK_ROW, unable to \
                 obtain exclusive access to this record: []",
                Some(Busy),
            ),
            (
                "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                "LeadTrigger: first error: REQUIRED_FIELD_MISSING, Required fields are missing",
                Some(Value),
            ),
            ("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", Some(Converted)),
            ("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", Some(Stop)),
            ("SOME_CODE_OF_NEXT_YEAR", "", None),
            ("", "", None),
        ];
        for (code, message, expected) in table {
            assert_eq!(meaning(code, message).map(|(what, _)| what), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_refusal_says_what_the_settler_does() {
        let kind = |code: &str, message: &str| refusal(&error(code, message)).kind;
        assert_eq!(kind("STRING_TOO_LONG", ""), RefusalKind::Value);
        assert_eq!(kind("ENTITY_IS_DELETED", ""), RefusalKind::Gone);
        assert_eq!(kind("CANNOT_UPDATE_CONVERTED_LEAD", ""), RefusalKind::Converted);
        assert_eq!(kind("INSUFFICIENT_ACCESS_OR_READONLY", ""), RefusalKind::Permission);
        assert_eq!(kind("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ""), RefusalKind::Schema);
        assert_eq!(kind("SOME_CODE_OF_NEXT_YEAR", ""), RefusalKind::Value);
        let bad_owner = ApiError {
            fields: vec!["OwnerId".into()],
            ..error("INVALID_CROSS_REFERENCE_KEY", "Owner ID: owner cannot be blank")
        };
        assert_eq!(refusal(&bad_owner).kind, RefusalKind::Value);
        assert_eq!(
            kind("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id"),
            RefusalKind::Gone
        );
    }

    #[test]
    fn the_record_in_the_way_is_named() {
        let unique = "duplicate value found: Ext__c duplicates value on record with id: \
                      00Q000000000001";
        let existing = |error: &ApiError| match refusal(error).kind {
            RefusalKind::Duplicate { existing } => existing,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            existing(&error("DUPLICATE_VALUE", unique)).as_deref(),
            Some("00Q000000000001EAA")
        );
        assert_eq!(existing(&error("DUPLICATE_VALUE", "duplicate value found: unknown")), None);
        let matched = |ids: &[&str]| ApiError {
            code: "DUPLICATES_DETECTED".into(),
            duplicates: Some(serde_json::json!({"allowSave": true, "matchResults": [{
                "matchRecords": ids.iter().map(|id| serde_json::json!(
                    {"record": {"attributes": {"type": "Lead"}, "Id": id}}
                )).collect::<Vec<_>>()
            }]})),
            ..ApiError::default()
        };
        assert_eq!(
            existing(&matched(&["00Q000000000001EAA"])).as_deref(),
            Some("00Q000000000001EAA")
        );
        assert_eq!(existing(&matched(&["00Q000000000001EAA", "00Q000000000002EAA"])), None);
        assert_eq!(existing(&error("DUPLICATES_DETECTED", "Use one of these records?")), None);
    }

    #[test]
    fn fields_are_listed_or_quoted() {
        let quoted = error("INVALID_FIELD", "No such column 'foo' on sobject of type Bar");
        assert_eq!(refusal(&quoted).fields, ["foo"]);
        let listed = ApiError {
            fields: vec!["Company".into()],
            ..error("REQUIRED_FIELD_MISSING", "Required fields are missing: [Company]")
        };
        assert_eq!(refusal(&listed).fields, ["Company"]);
    }
}
