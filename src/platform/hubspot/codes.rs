//! HubSpot's error codes, each classified once: what the caller does, and what a person does.
//!
//! Only codes and categories are compared, never messages: those are in the account's language.

use std::collections::BTreeSet;
use std::time::Duration;

use super::wire::ErrorJson;
use crate::platform::transport::redact;
use crate::platform::{Error, ErrorKind, Refusal, RefusalKind};
use crate::record::Side;

/// What a code means for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Value,
    Duplicate,
    Gone,
    Permission,
    Schema,
    /// No fault of the record: later.
    Later,
}

/// A code (of a detail, a sub-category or a category), its meaning and the next step.
type Row = (&'static str, Meaning, &'static str);

/// Sources: developers.hubspot.com, "Error handling" and "Validation"; recorded answers.
const TABLE: &[Row] = &[
    (
        "PROPERTY_DOESNT_EXIST",
        Meaning::Schema,
        "create the property in HubSpot or correct its name in the mapping file",
    ),
    (
        "READ_ONLY_VALUE",
        Meaning::Schema,
        "HubSpot calculates this property: map it from HubSpot only",
    ),
    (
        "INVALID_OPTION",
        Meaning::Schema,
        "add the option to the property in HubSpot, or map the value to one that exists",
    ),
    (
        "INVALID_EMAIL",
        Meaning::Value,
        "correct the address: HubSpot wants a real top-level domain and no quoted name",
    ),
    (
        "INVALID_INTEGER",
        Meaning::Value,
        "the property takes a whole number: map the field with a number transform",
    ),
    (
        "INVALID_LONG",
        Meaning::Value,
        "the property takes a whole number: map the field with a number transform",
    ),
    (
        "INVALID_DECIMAL",
        Meaning::Value,
        "the property takes a number: map the field with a number transform",
    ),
    (
        "INVALID_NUMBER",
        Meaning::Value,
        "the property takes a number: map the field with a number transform",
    ),
    (
        "INVALID_DATE",
        Meaning::Value,
        "the property takes a day (2026-11-22): map the field with a date transform",
    ),
    (
        "INVALID_BOOLEAN",
        Meaning::Value,
        "the property takes true or false: map the field with a value table",
    ),
    (
        "CONFLICTING_UNIQUE_VALUE",
        Meaning::Duplicate,
        "another record holds this unique value: merge the two, or correct one",
    ),
    (
        "CONFLICT",
        Meaning::Duplicate,
        "a record with this key exists: it is to be matched, or the two merged",
    ),
    (
        "OBJECT_ALREADY_EXISTS",
        Meaning::Duplicate,
        "a record with this key exists: it is to be matched, or the two merged",
    ),
    (
        "MISSING_REQUIRED_PROPERTY",
        Meaning::Value,
        "a rule in HubSpot requires this property: map it, or relax the rule",
    ),
    (
        "MISSING_CONDITIONAL_REQUIRED_PROPERTY",
        Meaning::Value,
        "a rule in HubSpot requires this property here: map it, or relax the rule",
    ),
    ("REQUIRED_PROPERTY", Meaning::Value, "HubSpot requires this property: map it"),
    ("OBJECT_NOT_FOUND", Meaning::Gone, "the record was deleted or merged: it is read again"),
    (
        "crm.associations.TO_OBJECT_NOT_FOUND",
        Meaning::Value,
        "the record to associate with is gone",
    ),
    (
        "crm.associations.INVALID_IDENTIFIER",
        Meaning::Value,
        "the record to associate with has another id",
    ),
    (
        "crm.associations.INVALID_ASSOCIATION_TYPE",
        Meaning::Schema,
        "these two kinds of record cannot be associated so",
    ),
    (
        "MISSING_SCOPES",
        Meaning::Permission,
        "give the app the scope that HubSpot names, and sign in again",
    ),
    ("RATE_LIMITS", Meaning::Later, "the limit of calls is used up for the moment"),
    ("RATE_LIMIT", Meaning::Later, "the limit of calls is used up for the moment"),
    ("INTERNAL_ERROR", Meaning::Later, "HubSpot failed inside; status.hubspot.com may say more"),
    (
        "VALIDATION_ERROR",
        Meaning::Value,
        "HubSpot does not accept the record as it is; its words say why",
    ),
];

fn row(code: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0 == code)
}

/// What an error says about one record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ruling {
    /// Refused for good.
    Refused(Refusal),
    /// Not now.
    Later(Error),
}

/// Reads `error` as a word about one record that was to be written.
pub(super) fn rule(error: &ErrorJson, status: u16, doing: &str) -> Ruling {
    let details = error.details();
    let fields: BTreeSet<&str> = details.iter().flat_map(|detail| detail.fields()).collect();
    let code = code(error, status);
    let (meaning, hint) = row(&code).map_or_else(
        || (Meaning::Value, "HubSpot's words say why; its documentation may know the code"),
        |row| (row.1, row.2),
    );
    let existing = || {
        let listed = error.context.list("existingId").first();
        let named = details.iter().find_map(|detail| detail.context.list("existingId").first());
        listed.or(named).cloned().or_else(|| existing_id(&error.message.0))
    };
    let kind = match meaning {
        Meaning::Value => RefusalKind::Value,
        Meaning::Duplicate => RefusalKind::Duplicate { existing: existing() },
        Meaning::Gone => RefusalKind::Gone,
        Meaning::Permission => RefusalKind::Permission,
        Meaning::Schema => RefusalKind::Schema,
        Meaning::Later => return Ruling::Later(whole(error, status, doing)),
    };
    let message = match details.first() {
        Some(detail) if !detail.message.0.is_empty() => detail.message.0.clone(),
        _ if error.message.0.is_empty() => format!("status {status} without a word"),
        _ => error.message.0.clone(),
    };
    Ruling::Refused(Refusal {
        kind,
        code,
        message,
        fields: fields.into_iter().map(str::to_owned).collect(),
        hint: hint.into(),
    })
}

/// The most telling code: of the first mistake, else the sub-category, else the category.
fn code(error: &ErrorJson, status: u16) -> String {
    let details = error.details();
    let candidates = || {
        let of_details = details.iter().flat_map(|detail| [&detail.code.0, &detail.sub_category.0]);
        of_details.chain([&error.sub_category.0, &error.category.0, &error.error_type.0])
    };
    candidates()
        .find(|code| row(code).is_some())
        .or_else(|| candidates().find(|code| !code.is_empty()))
        .cloned()
        .unwrap_or_else(|| format!("HTTP_{status}"))
}

/// The id in `Contact already exists. Existing ID: 37765128953`. The words may be in any language:
/// the id is the last number of at least four digits.
fn existing_id(message: &str) -> Option<String> {
    message
        .rsplit(|c: char| !c.is_ascii_digit())
        .find(|digits| digits.len() >= 4)
        .map(str::to_owned)
}

/// Reads `error` as a word about a whole call that is of no use to repeat as it is.
pub(super) fn whole(error: &ErrorJson, status: u16, doing: &str) -> Error {
    let code = code(error, status);
    let meaning = row(&code);
    let kind = match (status, meaning.map(|row| row.1)) {
        (_, Some(Meaning::Later)) => ErrorKind::Retry { after: None },
        (401, _) => ErrorKind::SignIn,
        (403, _) | (_, Some(Meaning::Permission)) => ErrorKind::Stop,
        (300..=399, _) => ErrorKind::Stop,
        (429 | 423 | 408 | 500.., _) => ErrorKind::Retry { after: None },
        _ => ErrorKind::Request,
    };
    let message = match error.message.0.as_str() {
        "" => format!("status {status}"),
        words => format!("status {status}: {}", redact(words)),
    };
    Error {
        side: Side::HubSpot,
        kind,
        doing: doing.to_owned(),
        code: Some(code),
        message,
        hint: hint(error, status, meaning),
        correlation: Some(error.correlation_id.0.clone()).filter(|id| !id.is_empty()),
    }
}

fn hint(error: &ErrorJson, status: u16, row: Option<&Row>) -> Option<String> {
    let scopes = || {
        let of_details =
            error.errors.iter().flat_map(|detail| detail.context.list("requiredGranularScopes"));
        error.context.list("requiredGranularScopes").iter().chain(of_details).cloned().collect()
    };
    let scopes: Vec<String> = scopes();
    if !scopes.is_empty() {
        return Some(format!(
            "give the app one of the scopes {} and sign in again",
            scopes.join(", ")
        ));
    }
    let by_status = match status {
        401 | 530 => {
            "sign in again with `lockstep login hubspot`, or copy the private app's token anew"
        }
        300..=399 => "HubSpot's API does not redirect: check the base address in the settings",
        403 => "the app may not do this: check its scopes and the account's subscription",
        404 => "check the object's name and the API version in the settings",
        414 => "the request is too long: map fewer fields",
        477 => "HubSpot moves this account to another data centre; it can take a day",
        522 | 525 | 526 => {
            "HubSpot's edge cannot reach its servers; status.hubspot.com may say more"
        }
        _ => return row.map(|row| row.2.to_owned()),
    };
    Some(by_status.to_owned())
}

/// How long to wait after a 429 that does not say so itself, by the limit's name.
pub(super) fn wait_of_policy(policy: &str) -> Duration {
    match policy {
        "SECONDLY" => Duration::from_secs(1),
        _ => Duration::from_secs(10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str, status: u16) -> Refusal {
        match rule(&ErrorJson::read(body.as_bytes()), status, "writing") {
            Ruling::Refused(refusal) => refusal,
            Ruling::Later(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_table_has_each_code_once_with_a_next_step() {
        let codes: BTreeSet<_> = TABLE.iter().map(|row| row.0).collect();
        assert_eq!(codes.len(), TABLE.len());
        for (code, _, hint) in TABLE {
            assert!(hint.len() > 20 && !hint.ends_with('.'), "{code}: {hint}");
        }
    }

    #[test]
    fn a_record_is_refused_for_what_it_is() {
        let existing = |id: Option<&str>| RefusalKind::Duplicate { existing: id.map(Into::into) };
        for (body, status, code, kind, fields) in [
            (
                r#"{"category":"VALIDATION_ERROR","errors":[{"code":"INVALID_OPTION","context":{"propertyName":["hs_lead_status"]}}]}"#,
                400,
                "INVALID_OPTION",
                RefusalKind::Schema,
                vec!["hs_lead_status"],
            ),
            (
                r#"{"category":"VALIDATION_ERROR","message":"Property values were not valid: [{\"isValid\":false,\"message\":\"m\",\"error\":\"INVALID_EMAIL\",\"name\":\"email\"}]"}"#,
                400,
                "INVALID_EMAIL",
                RefusalKind::Value,
                vec!["email"],
            ),
            (
                r#"{"category":"CONFLICT","message":"Contact already exists. Existing ID: 37765128953"}"#,
                409,
                "CONFLICT",
                existing(Some("37765128953")),
                vec![],
            ),
            (
                r#"{"category":"CONFLICT","message":"O contato 12 existe. ID: 37765128953."}"#,
                409,
                "CONFLICT",
                existing(Some("37765128953")),
                vec![],
            ),
            (
                r#"{"category":"CONFLICT","message":"Contact already exists"}"#,
                409,
                "CONFLICT",
                existing(None),
                vec![],
            ),
            (
                r#"{"category":"CONFLICT","message":"x","context":{"existingId":["17"]}}"#,
                207,
                "CONFLICT",
                existing(Some("17")),
                vec![],
            ),
            (
                r#"{"category":"OBJECT_NOT_FOUND","context":{"ids":["1"]}}"#,
                207,
                "OBJECT_NOT_FOUND",
                RefusalKind::Gone,
                vec![],
            ),
            (
                r#"{"category":"VALIDATION_ERROR","subCategory":"crm.associations.INVALID_IDENTIFIER"}"#,
                207,
                "crm.associations.INVALID_IDENTIFIER",
                RefusalKind::Value,
                vec![],
            ),
            (
                r#"{"category":"SOMETHING_NEW","message":"hm"}"#,
                400,
                "SOMETHING_NEW",
                RefusalKind::Value,
                vec![],
            ),
            ("<html>", 400, "HTTP_400", RefusalKind::Value, vec![]),
        ] {
            let refusal = refusal(body, status);
            assert_eq!(refusal.code, code, "{body}");
            assert_eq!(refusal.kind, kind, "{body}");
            assert_eq!(refusal.fields, fields, "{body}");
            assert!(!refusal.hint.is_empty() && !refusal.message.is_empty(), "{body}");
        }
    }

    #[test]
    fn a_whole_call_says_what_to_do_next() {
        let later = ErrorKind::Retry { after: None };
        for (body, status, kind) in [
            (r#"{"category":"EXPIRED_AUTHENTICATION"}"#, 401, ErrorKind::SignIn),
            (r#"{"category":"MISSING_SCOPES"}"#, 403, ErrorKind::Stop),
            ("", 403, ErrorKind::Stop),
            (
                r#"{"message":"Unable to infer object type from: butterflies"}"#,
                400,
                ErrorKind::Request,
            ),
            (r#"{"errorType":"RATE_LIMIT"}"#, 429, later.clone()),
            ("<html>502</html>", 502, later.clone()),
            ("", 308, ErrorKind::Stop),
            ("", 404, ErrorKind::Request),
        ] {
            assert_eq!(whole(&ErrorJson::read(body.as_bytes()), status, "x").kind, kind, "{body}");
        }
    }

    #[test]
    fn an_error_names_the_scope_and_no_person() {
        let body = br#"{"category":"MISSING_SCOPES","correlationId":"c-1","message":"Not for anna@example.com",
            "errors":[{"context":{"requiredGranularScopes":["crm.objects.contacts.read"]}}]}"#;
        let error = whole(&ErrorJson::read(body), 403, "reading 3 contacts");
        insta::assert_snapshot!(error, @"HubSpot: reading 3 contacts: status 403: Not for (address) (give the app one of the scopes crm.objects.contacts.read and sign in again)");
        assert_eq!(error.correlation.as_deref(), Some("c-1"));
    }
}
