//! What the Pub/Sub API's errors mean.
//!
//! The status of gRPC alone misleads: an outage comes as INTERNAL, a worn-out replay id as
//! INVALID_ARGUMENT. What counts is the code in the trailer `error-code`. (Pub/Sub API
//! documentation, "Handle Errors".)

use super::StreamError;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// Subscribe again, from where we are, after a pause that grows.
    Retry,
    /// The same with a long pause from the beginning: Salesforce protects itself.
    RetrySlowly,
    /// Sign in again, then subscribe again.
    SignIn,
    /// The place is not known any more: begin at the latest one and compare what exists.
    LosePlace,
    /// The deliveries of the last 24 hours are used up: wait, then go on from where we are.
    WaitForAllocation,
    /// A person has to change something; it is tried again now and then.
    Person,
}

/// What the codes of the API have in front.
pub const PREFIX: &str = "sfdc.platform.eventbus.grpc.";

const TURN_ON: &str = "in Salesforce Setup, Change Data Capture, select the object, and see that \
                       the user may view all its records";

const TABLE: &[(&str, Cure, Option<&str>)] = &[
    (
        "concurrent.client.limit.exceeded",
        Cure::Person,
        Some("too many clients are subscribed in the org: end those that nobody needs"),
    ),
    ("schema.api.unavailable", Cure::Retry, None),
    ("schema.meta.permission", Cure::Person, Some(TURN_ON)),
    (
        "schema.validation.failed",
        Cure::Person,
        Some("report this: a schema was asked for by an id that Salesforce calls wrong"),
    ),
    ("service.auth.error", Cure::SignIn, None),
    (
        "service.auth.headers.invalid",
        Cure::Person,
        Some(
            "see that salesforce.login_url is the org's own address and that the app signs in to that org",
        ),
    ),
    ("service.auth.refresh.invalid", Cure::SignIn, None),
    ("service.protection.stream.limit.triggered", Cure::RetrySlowly, None),
    ("service.protection.triggered", Cure::RetrySlowly, None),
    (
        "service.tenant.license",
        Cure::Person,
        Some(
            "the org's edition does not include the Pub/Sub API: set salesforce.events = \"off\" to poll only",
        ),
    ),
    ("service.unavailable", Cure::Retry, None),
    ("subscription.fetch.overflow", Cure::Retry, None),
    ("subscription.fetch.replay.repeated", Cure::Retry, None),
    ("subscription.fetch.replayid.corrupted", Cure::LosePlace, None),
    ("subscription.fetch.replayid.validation.failed", Cure::LosePlace, None),
    (
        "subscription.fetch.request.invalid",
        Cure::Person,
        Some("report this: a request was malformed"),
    ),
    ("subscription.fetch.requested.events.invalid", Cure::Retry, None),
    ("subscription.fetch.topic.mismatch", Cure::Retry, None),
    ("subscription.internal.error", Cure::Retry, None),
    (
        "subscription.limit.exceeded",
        Cure::WaitForAllocation,
        Some(
            "the org's delivered events of the last 24 hours are used up: see which subscribers share them, or buy the add-on; polls go on meanwhile",
        ),
    ),
    ("subscription.topic.cannot.subscribe", Cure::Person, Some(TURN_ON)),
    ("topic.api.unavailable", Cure::Retry, None),
    ("topic.meta.permission", Cure::Person, Some(TURN_ON)),
    ("topic.not.found", Cure::Person, Some(TURN_ON)),
    (
        "topic.validation.empty",
        Cure::Person,
        Some("salesforce.events names no channel: write \"entities\" or /data/…"),
    ),
];

/// UNAUTHENTICATED, PERMISSION_DENIED and NOT_FOUND, for errors without a code.
const BY_STATUS: [(i32, Cure, Option<&str>); 3] =
    [(16, Cure::SignIn, None), (7, Cure::Person, Some(TURN_ON)), (5, Cure::Person, Some(TURN_ON))];

/// What to do about `error`, and what a person can do.
///
/// A code that is not in the table is new; without a code the connection broke, which is routine.
/// Both are tried again.
#[must_use]
pub fn cure(error: &StreamError) -> (Cure, Option<&'static str>) {
    if let Some(code) = &error.code {
        let short = code.strip_prefix(PREFIX).unwrap_or(code);
        let row = TABLE.iter().find(|(known, ..)| *known == short);
        return row.map_or((Cure::Retry, None), |(_, cure, hint)| (*cure, *hint));
    }
    let row = BY_STATUS.iter().find(|(status, ..)| *status == error.status);
    row.map_or((Cure::Retry, None), |(_, cure, hint)| (*cure, *hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: i32, code: Option<&str>) -> StreamError {
        StreamError {
            status,
            code: code.map(|code| format!("{PREFIX}{code}")),
            message: String::new(),
            rpc_id: None,
        }
    }

    #[test]
    fn the_code_counts_and_not_the_status() {
        for (status, code, wanted) in [
            (13, Some("service.unavailable"), Cure::Retry),
            (16, Some("service.auth.error"), Cure::SignIn),
            (3, Some("subscription.fetch.replayid.corrupted"), Cure::LosePlace),
            (3, Some("subscription.fetch.replayid.validation.failed"), Cure::LosePlace),
            (3, Some("subscription.fetch.replay.repeated"), Cure::Retry),
            (8, Some("subscription.limit.exceeded"), Cure::WaitForAllocation),
            (5, Some("topic.not.found"), Cure::Person),
            (7, Some("topic.not.found"), Cure::Person),
            (16, Some("something.new"), Cure::Retry),
            (16, None, Cure::SignIn),
            (14, None, Cure::Retry),
            (13, None, Cure::Retry),
            (7, None, Cure::Person),
        ] {
            assert_eq!(cure(&error(status, code)).0, wanted, "{status} {code:?}");
        }
    }

    #[test]
    fn whoever_has_to_act_is_told_how() {
        assert!(TABLE.is_sorted_by_key(|(code, ..)| *code));
        for (code, cure, hint) in TABLE {
            assert!(*cure != Cure::Person || hint.is_some(), "{code}");
        }
    }
}
