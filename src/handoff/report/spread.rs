//! How times are spread.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How some times are spread, in seconds.
///
/// The median of an even number is the mean of the two in the middle; a percentile is the smallest
/// time that so many of a hundred do not exceed (nearest rank), a time that really occurred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Half took no longer.
    pub median: Option<f64>,
    /// 90 of 100 took no longer.
    pub p90: Option<f64>,
    /// 95 of 100 took no longer.
    pub p95: Option<f64>,
}

/// The same times as they passed, and in business time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// As they passed.
    pub raw: Spread,
    /// In business time.
    pub business: Spread,
}

impl Spread {
    /// The spread of some times.
    #[must_use]
    pub fn of(mut times: Vec<SignedDuration>) -> Self {
        times.sort_unstable();
        let count = times.len();
        let at = |place: usize| times.get(place).map(SignedDuration::as_secs_f64);
        let rank = |percent: usize| at((count * percent).div_ceil(100).saturating_sub(1));
        let median = match (at(count / 2), count.is_multiple_of(2)) {
            (Some(upper), true) => at(count / 2 - 1).map(|lower| f64::midpoint(lower, upper)),
            (middle, _) => middle,
        };
        Self { count: count as u64, median, p90: rank(90), p95: rank(95) }
    }

    /// A figure of it as a time.
    #[must_use]
    pub fn duration(seconds: Option<f64>) -> Option<SignedDuration> {
        seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok())
    }
}

impl Times {
    pub(super) fn of((raw, business): (Vec<SignedDuration>, Vec<SignedDuration>)) -> Self {
        Self { raw: Spread::of(raw), business: Spread::of(business) }
    }
}
