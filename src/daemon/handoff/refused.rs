//! Why the platform refused a next step, in words for whoever has to do something about it.

use crate::platform::Refusal;
use crate::record::RecordRef;

/// What to do about a queue that may not own what it was to own.
pub(super) const MAY_NOT_OWN: &str =
    "let the queue own tasks in Setup, Queues, Supported Objects, Task";

/// Whether something is refused because the queue that would own it may not. A queue that does not
/// list the object among those that it supports gets `INVALID_OPERATION: Queue not associated with
/// this SObject type`, as flows and clients report it, and no field is sure to be named; where tasks
/// cannot belong to queues at all, `FIELD_INTEGRITY_EXCEPTION` names `OwnerId`
/// (apex-enterprise-patterns/fflib-apex-common issue 293).
pub(super) fn for_a_queue(refusal: &Refusal) -> bool {
    refusal.code == "INVALID_OPERATION"
        || refusal.fields.iter().any(|field| field.eq_ignore_ascii_case("OwnerId"))
}

/// The platform's words, the fields that it names, the record, and what to do.
pub(super) fn why(refusal: &Refusal, hint: &str, record: Option<&RecordRef>) -> String {
    let message = refusal.message.trim_end_matches('.');
    let mut reason = format!("{}: {message}", refusal.code);
    if !refusal.fields.is_empty() {
        reason.push_str(&format!(" (in {})", refusal.fields.join(", ")));
    }
    if let Some(record) = record {
        reason.push_str(&format!(", for {} {}", record.object, record.id));
    }
    let hint = hint.trim_end_matches('.');
    if !hint.is_empty() {
        reason.push_str(&format!("; {hint}"));
    }
    reason
}
