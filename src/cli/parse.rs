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

/// A link's number: `L12`.
pub(super) fn link(text: &str) -> Result<crate::record::LinkId, String> {
    text.strip_prefix(['L', 'l'])
        .and_then(|number| number.parse().ok())
        .map(crate::record::LinkId)
        .ok_or_else(|| format!("{text:?} is not a link's number such as L12"))
}
