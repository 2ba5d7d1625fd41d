//! What the platform says when it refuses something.

use serde_json::{Map, Value, json};

macro_rules! codes {
    ($($variant:ident = $text:literal, $status:literal;)*) => {
        /// The platform's error codes that this sandbox can answer with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant is the platform's own code in another case")]
        pub enum Code { $($variant,)* }

        impl Code {
            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that carries the code when a whole call is refused.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

codes! {
    AllOrNoneOperationRolledBack = "ALL_OR_NONE_OPERATION_ROLLED_BACK", 400;
    BatchProcessingHalted = "BATCH_PROCESSING_HALTED", 412;
    CannotUpdateConvertedLead = "CANNOT_UPDATE_CONVERTED_LEAD", 400;
    DuplicateExternalId = "DUPLICATE_EXTERNAL_ID", 400;
    DuplicateValue = "DUPLICATE_VALUE", 400;
    DuplicatesDetected = "DUPLICATES_DETECTED", 400;
    EntityIsDeleted = "ENTITY_IS_DELETED", 404;
    ExceededIdLimit = "EXCEEDED_ID_LIMIT", 400;
    FieldCustomValidationException = "FIELD_CUSTOM_VALIDATION_EXCEPTION", 400;
    FieldIntegrityException = "FIELD_INTEGRITY_EXCEPTION", 400;
    InactiveOwnerOrUser = "INACTIVE_OWNER_OR_USER", 400;
    InsufficientAccessOrReadonly = "INSUFFICIENT_ACCESS_OR_READONLY", 400;
    InvalidCrossReferenceKey = "INVALID_CROSS_REFERENCE_KEY", 400;
    InvalidEmailAddress = "INVALID_EMAIL_ADDRESS", 400;
    InvalidField = "INVALID_FIELD", 400;
    InvalidFieldForInsertUpdate = "INVALID_FIELD_FOR_INSERT_UPDATE", 400;
    InvalidHeader = "INVALID_HEADER", 400;
    InvalidJob = "INVALIDJOB", 400;
    InvalidJobState = "INVALIDJOBSTATE", 409;
    InvalidOrNullForRestrictedPicklist = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", 400;
    InvalidOperation = "INVALID_OPERATION", 400;
    InvalidQueryLocator = "INVALID_QUERY_LOCATOR", 400;
    InvalidQueryFilterOperator = "INVALID_QUERY_FILTER_OPERATOR", 400;
    InvalidReplicationDate = "INVALID_REPLICATION_DATE", 400;
    InvalidRequest = "INVALID_REQUEST", 400;
    InvalidSessionId = "INVALID_SESSION_ID", 401;
    InvalidStatus = "INVALID_STATUS", 400;
    InvalidType = "INVALID_TYPE", 400;
    JsonParserError = "JSON_PARSER_ERROR", 400;
    LimitExceeded = "LIMIT_EXCEEDED", 400;
    MalformedId = "MALFORMED_ID", 400;
    MalformedQuery = "MALFORMED_QUERY", 400;
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405;
    MissingArgument = "MISSING_ARGUMENT", 400;
    NotFound = "NOT_FOUND", 404;
    NumberOutsideValidRange = "NUMBER_OUTSIDE_VALID_RANGE", 400;
    PreconditionFailed = "PRECONDITION_FAILED", 412;
    ProcessingHalted = "PROCESSING_HALTED", 400;
    RequestLimitExceeded = "REQUEST_LIMIT_EXCEEDED", 403;
    RequiredFieldMissing = "REQUIRED_FIELD_MISSING", 400;
    StringTooLong = "STRING_TOO_LONG", 400;
    UnableToLockRow = "UNABLE_TO_LOCK_ROW", 400;
    UndeleteFailed = "UNDELETE_FAILED", 400;
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415;
}

/// A refusal of one record's write or of one whole call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// The platform's code.
    pub code: Code,
    /// The platform's text.
    pub message: String,
    /// The API names of the fields that are at fault. `None` where the platform leaves the key out,
    /// as it does for most refusals of a whole call.
    pub fields: Option<Vec<String>>,
    /// The matches, when a duplicate rule refused.
    pub duplicates: Option<Box<Value>>,
}

impl Refusal {
    /// A refusal of a call: no `fields` key.
    #[must_use]
    pub fn call(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: None, duplicates: None }
    }

    /// A refusal of a record's write that names the fields at fault.
    #[must_use]
    pub fn row(code: Code, message: impl Into<String>, fields: &[&str]) -> Self {
        let fields = Some(fields.iter().map(|f| (*f).to_owned()).collect());
        Self { code, message: message.into(), fields, duplicates: None }
    }

    /// The error as single-record and query calls show it, with the code in `errorCode`.
    #[must_use]
    pub fn to_call_json(&self) -> Value {
        let mut out = Map::new();
        if let Some(duplicates) = &self.duplicates {
            out.insert("duplicateResult".into(), (**duplicates).clone());
        }
        out.insert("message".into(), json!(self.message));
        out.insert("errorCode".into(), json!(self.code.as_str()));
        if let Some(fields) = &self.fields {
            out.insert("fields".into(), json!(fields));
        }
        Value::Object(out)
    }

    /// The error as an item of a collection shows it, with the code in `statusCode`.
    #[must_use]
    pub fn to_item_json(&self) -> Value {
        let mut out = Map::new();
        if let Some(duplicates) = &self.duplicates {
            out.insert("duplicateResult".into(), (**duplicates).clone());
        }
        out.insert("statusCode".into(), json!(self.code.as_str()));
        out.insert("message".into(), json!(self.message));
        out.insert("fields".into(), json!(self.fields.clone().unwrap_or_default()));
        Value::Object(out)
    }

    /// The error as a row of a bulk job's failed results shows it: `CODE:text:fields --`.
    #[must_use]
    pub fn to_bulk_text(&self) -> String {
        let fields = self.fields.as_deref().unwrap_or_default().join(",");
        format!("{}:{}:{fields} --", self.code.as_str(), self.message)
    }
}
