//! Business time.
//!
//! The hours of a day are by the wall clock of the calendar's zone, and what is counted is the time
//! that really passes: a night in which the clocks change has an hour more or less, and a working
//! hour that the clocks skip does not exist.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use crate::mapping::handoff::{Calendar, Hours};

/// How far ahead is looked for business time. Beyond it there is none.
const MOST_DAYS: usize = 3_660;

/// A stretch of business time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: Timestamp,
    to: Timestamp,
}

impl Calendar {
    /// Every day, all day: business time is plain time.
    #[must_use]
    pub fn always() -> Self {
        let all_day = || vec![Hours { from: 0, to: 1_440 }];
        Self {
            zone: TimeZone::UTC,
            week: std::array::from_fn(|_| all_day()),
            holidays: std::collections::BTreeSet::new(),
        }
    }

    /// Monday to Friday, from one full hour to another.
    #[must_use]
    pub fn weekdays(zone: TimeZone, from: u16, to: u16) -> Self {
        let hours = || vec![Hours { from: from * 60, to: to * 60 }];
        let week = std::array::from_fn(|day| if day < 5 { hours() } else { Vec::new() });
        Self { zone, week, holidays: std::collections::BTreeSet::new() }
    }

    /// The day that it is in the calendar's zone.
    #[must_use]
    pub fn day_of(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    /// The moment at which `business` of business time has passed since `from`; nothing where the
    /// calendar has not as much within ten years. No time at all has passed at `from` itself.
    #[must_use]
    pub fn add(&self, from: Timestamp, business: SignedDuration) -> Option<Timestamp> {
        if business <= SignedDuration::ZERO {
            return self.subtract(from, -business);
        }
        let mut left = business;
        for window in self.windows(from) {
            let start = window.from.max(from);
            let room = window.to.duration_since(start);
            if room <= SignedDuration::ZERO {
                continue;
            }
            if left <= room {
                return start.checked_add(left).ok();
            }
            left -= room;
        }
        None
    }

    /// The latest moment from which `business` of business time passes until `to`.
    fn subtract(&self, to: Timestamp, business: SignedDuration) -> Option<Timestamp> {
        if business <= SignedDuration::ZERO {
            return Some(to);
        }
        let mut left = business;
        let mut day = self.day_of(to);
        for _ in 0..MOST_DAYS {
            for window in self.windows_of(day).into_iter().rev() {
                let end = window.to.min(to);
                let room = end.duration_since(window.from);
                if room <= SignedDuration::ZERO {
                    continue;
                }
                if left <= room {
                    return end.checked_sub(left).ok();
                }
                left -= room;
            }
            day = day.yesterday().ok()?;
        }
        None
    }

    /// How much business time passes from `from` to `to`; below zero where `to` is the earlier.
    #[must_use]
    pub fn between(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        if to < from {
            return -self.between(to, from);
        }
        let mut sum = SignedDuration::ZERO;
        for window in self.windows(from) {
            if window.from >= to {
                break;
            }
            let part = window.to.min(to).duration_since(window.from.max(from));
            sum += part.max(SignedDuration::ZERO);
        }
        sum
    }

    /// The stretches of business time from the day of `from` on, in order, none overlapping.
    fn windows(&self, from: Timestamp) -> impl Iterator<Item = Window> + '_ {
        let days = std::iter::successors(Some(self.day_of(from)), |day| day.tomorrow().ok());
        days.take(MOST_DAYS).flat_map(|day| self.windows_of(day))
    }

    /// A day's stretches. A wall clock time that does not exist is as much later as the clocks
    /// skip; one that exists twice is the first.
    fn windows_of(&self, day: Date) -> Vec<Window> {
        if self.holidays.contains(&day) {
            return Vec::new();
        }
        let hours = &self.week[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())];
        let mut windows: Vec<Window> = Vec::with_capacity(hours.len());
        for hours in hours {
            let (Some(from), Some(to)) = (self.moment(day, hours.from), self.moment(day, hours.to))
            else {
                continue;
            };
            // After skipped hours two stretches could overlap.
            let from = windows.last().map_or(from, |before| from.max(before.to));
            if from < to {
                windows.push(Window { from, to });
            }
        }
        windows
    }

    fn moment(&self, day: Date, minute: u16) -> Option<Timestamp> {
        let wall =
            day.to_datetime(Time::midnight()).checked_add(i64::from(minute).minutes()).ok()?;
        Some(wall.to_zoned(self.zone.clone()).ok()?.timestamp())
    }

    /// Whether it has any business time at all.
    #[must_use]
    pub fn has_hours(&self) -> bool {
        self.week.iter().any(|day| day.iter().any(|hours| hours.from < hours.to))
    }
}
