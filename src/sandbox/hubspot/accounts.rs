//! Facts about the account.

use jiff::Timestamp;
use serde_json::json;

use super::api::Answer;
use super::world::Account;

/// `GET /account-info/v3/details`.
pub(super) fn details(account: &Account, now: Timestamp) -> Answer {
    let zoned = now.in_tz(&account.time_zone);
    let seconds = zoned.map_or(0, |zoned| i64::from(zoned.offset().seconds()));
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    Answer::ok(json!({
        "portalId": account.portal,
        "accountType": "STANDARD",
        "timeZone": account.time_zone,
        "companyCurrency": account.currency,
        "additionalCurrencies": [],
        "utcOffset": format!("{sign}{hours:02}:{minutes:02}"),
        "utcOffsetMilliseconds": seconds * 1000,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "na1",
    }))
}
