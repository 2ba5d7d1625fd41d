//! Arguments of forms that several commands share.

use std::time::Duration;

use jiff::SignedDuration;

/// A length of time: `30s`, `5m`, `2h`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(|| format!("{text:?} is not a time such as 30s, 5m or 2h"))
}
