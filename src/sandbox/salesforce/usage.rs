//! How many API requests the rolling day has seen.

use std::collections::VecDeque;

use jiff::Timestamp;

const DAY: i64 = 24 * 3600;
const BUCKET: i64 = 600;

/// The counts of the last 24 hours, in buckets of ten minutes.
#[derive(Debug, Default)]
pub(super) struct Usage {
    buckets: VecDeque<(i64, u64)>,
    total: u64,
}

impl Usage {
    /// Counts one request.
    pub(super) fn count(&mut self, now: Timestamp) {
        let bucket = now.as_second().div_euclid(BUCKET);
        while self.buckets.front().is_some_and(|(at, _)| *at <= bucket - DAY / BUCKET) {
            if let Some((_, count)) = self.buckets.pop_front() {
                self.total -= count;
            }
        }
        match self.buckets.back_mut() {
            Some((at, count)) if *at == bucket => *count += 1,
            _ => self.buckets.push_back((bucket, 1)),
        }
        self.total += 1;
    }

    /// The requests of the last 24 hours, as of the last one.
    pub(super) fn used(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterday_is_forgotten() {
        let mut usage = Usage::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        usage.count(at(0));
        usage.count(at(10));
        usage.count(at(DAY / 2));
        assert_eq!(usage.used(), 3);
        usage.count(at(DAY + BUCKET));
        assert_eq!(usage.used(), 2);
    }
}
