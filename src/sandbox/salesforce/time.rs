//! The platform's ways of writing times.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Seconds since the epoch, as the platform stamps rows: it keeps no fractions.
#[must_use]
pub(super) fn seconds(now: Timestamp) -> i64 {
    now.as_second()
}

/// `2026-05-01T07:25:37.000+0000`: always UTC, an offset without a colon, so that the text sorts as
/// the time does.
#[must_use]
pub(super) fn datetime(seconds: i64) -> String {
    let at = Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap_or_default());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000+0000",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The UTC day of a time, `2026-05-01`.
#[must_use]
pub(super) fn date(seconds: i64) -> String {
    let mut text = datetime(seconds);
    text.truncate(10);
    text
}

/// The UTC day of a time.
#[must_use]
pub(super) fn day(now: Timestamp) -> Date {
    Offset::UTC.to_datetime(now).date()
}

/// A day as the platform writes it, if it is one.
#[must_use]
pub(super) fn parse_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// Reads ISO 8601 with `Z` or an offset with or without a colon; fractions are dropped.
#[must_use]
pub(super) fn parse_datetime(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if let Some(at) = bytes.len().checked_sub(5)
        && at > 10
        && (bytes[at] == b'+' || bytes[at] == b'-')
        && bytes[at + 1..].iter().all(u8::is_ascii_digit)
    {
        let (head, offset) = text.split_at(at);
        return format!("{head}{}:{}", &offset[..3], &offset[3..])
            .parse::<Timestamp>()
            .ok()
            .map(seconds);
    }
    text.parse::<Timestamp>().ok().map(seconds)
}

/// The form of HTTP's own headers, `Fri, 01 May 2026 07:25:37 GMT`.
#[must_use]
pub(super) fn http_date(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads HTTP's form.
#[must_use]
pub(super) fn parse_http_date(text: &str) -> Option<i64> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok().map(seconds)
}

/// `now` plus a length, at the end of time at the latest.
#[must_use]
pub(super) fn after(now: Timestamp, length: SignedDuration) -> Timestamp {
    now.saturating_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_round_trip() {
        let at = parse_datetime("2026-05-01T07:25:37Z").unwrap();
        assert_eq!(datetime(at), "2026-05-01T07:25:37.000+0000");
        assert_eq!(date(at), "2026-05-01");
        for same in [
            "2026-05-01T07:25:37.999Z",
            "2026-05-01T09:25:37+02:00",
            "2026-05-01T09:25:37.000+0200",
            "2026-05-01T02:25:37-0500",
        ] {
            assert_eq!(parse_datetime(same), Some(at), "{same}");
        }
        assert_eq!(parse_datetime("2026-05-01"), None);
        assert_eq!(http_date(at), "Fri, 01 May 2026 07:25:37 GMT");
        assert_eq!(parse_http_date("Fri, 01 May 2026 07:25:37 GMT"), Some(at));
        assert_eq!(parse_http_date("2026-05-01"), None);
    }
}
