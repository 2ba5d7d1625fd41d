//! Values and times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

/// A field's value.
pub(super) fn value(value: &Json) -> String {
    match value {
        Json::Null => "(blank)".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(self::value).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// A time of day in this machine's zone, to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time where there is one.
pub(super) fn some_time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), time)
}

/// A word that may be missing.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}
