//! Request limits.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::errors::{Refusal, Window, rate_limit};

/// The limits of the account. Nothing means no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls of one private app in ten seconds: 190 on the larger plans.
    pub private_app: Option<u32>,
    /// Calls of one OAuth app in ten seconds.
    pub oauth_app: Option<u32>,
    /// Calls in a day, for all private apps together.
    pub daily: Option<u32>,
    /// Searches in a second, for all apps together.
    pub search: Option<u32>,
    /// Calls to the associations API in ten seconds, which have a window of their own.
    pub associations: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            private_app: Some(190),
            oauth_app: Some(110),
            daily: Some(1_000_000),
            search: Some(5),
            associations: Some(150),
        }
    }
}

impl Limits {
    /// No limit at all.
    #[must_use]
    pub fn none() -> Self {
        Self { private_app: None, oauth_app: None, daily: None, search: None, associations: None }
    }
}

/// What a call counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// The app's ten seconds.
    App(u64),
    /// The account's searches.
    Search,
    /// The account's association calls.
    Associations,
}

/// The limits and the calls that count against them now.
#[derive(Debug, Default)]
pub struct Limiter {
    /// The limits; they may be changed at any time.
    pub limits: Limits,
    windows: BTreeMap<Bucket, VecDeque<Timestamp>>,
    day: Option<jiff::civil::Date>,
    today: u32,
}

const BURST: SignedDuration = SignedDuration::from_secs(10);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

impl Limiter {
    /// Lets a call through or refuses it, and gives the headers that the answer carries.
    pub(super) fn admit(
        &mut self,
        bucket: Bucket,
        app: u64,
        private: bool,
        now: Timestamp,
        zone: &str,
    ) -> Result<Vec<(&'static str, String)>, Refusal> {
        let app = app.to_string();
        if private {
            self.count_day(now, zone);
            if self.limits.daily.is_some_and(|most| self.today > most) {
                return Err(rate_limit(Window::Day, &app));
            }
        }
        let (most, span, window) = match bucket {
            Bucket::App(_) if private => (self.limits.private_app, BURST, Window::TenSeconds),
            Bucket::App(_) => (self.limits.oauth_app, BURST, Window::TenSeconds),
            Bucket::Search => (self.limits.search, SECOND, Window::Second),
            Bucket::Associations => (self.limits.associations, BURST, Window::TenSeconds),
        };
        let Some(most) = most else { return Ok(Vec::new()) };
        let calls = self.windows.entry(bucket).or_default();
        while calls.front().is_some_and(|first| now.duration_since(*first) >= span) {
            calls.pop_front();
        }
        let used = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let headers = |left: u32, daily: Option<u32>, today: u32| {
            // Search's and associations' answers carry none.
            if !matches!(bucket, Bucket::App(_)) {
                return Vec::new();
            }
            let mut headers = vec![
                ("x-hubspot-ratelimit-interval-milliseconds", "10000".to_owned()),
                ("x-hubspot-ratelimit-max", most.to_string()),
                ("x-hubspot-ratelimit-remaining", left.to_string()),
                ("x-hubspot-ratelimit-secondly", (most / 10).to_string()),
                ("x-hubspot-ratelimit-secondly-remaining", (most / 10).min(left).to_string()),
            ];
            if let Some(daily) = daily.filter(|_| private) {
                let left = daily.saturating_sub(today);
                headers.push(("x-hubspot-ratelimit-daily", daily.to_string()));
                headers.push(("x-hubspot-ratelimit-daily-remaining", left.to_string()));
            }
            headers
        };
        if used >= most {
            let mut refusal = rate_limit(window, &app);
            refusal.headers = headers(0, self.limits.daily, self.today);
            return Err(refusal);
        }
        calls.push_back(now);
        Ok(headers(most - used - 1, self.limits.daily, self.today))
    }

    /// The daily counter begins anew at midnight in the account's time zone.
    fn count_day(&mut self, now: Timestamp, zone: &str) {
        // Looking a zone up is slow, and the day rarely changes.
        let utc = now.to_zoned(jiff::tz::TimeZone::UTC);
        let local = now.in_tz(zone).unwrap_or(utc).date();
        if self.day != Some(local) {
            self.day = Some(local);
            self.today = 0;
        }
        self.today = self.today.saturating_add(1);
    }
}
