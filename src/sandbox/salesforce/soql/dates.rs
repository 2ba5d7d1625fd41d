//! Date literals such as `TODAY` and `LAST_N_DAYS:7`, as spans of days.
//!
//! Days are UTC days: the integration user's time zone is UTC. Weeks begin on Sunday, as in an
//! org with the locale `en_US`.

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

const FIXED: &[&str] = &[
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    "LAST_WEEK",
    "THIS_WEEK",
    "NEXT_WEEK",
    "LAST_MONTH",
    "THIS_MONTH",
    "NEXT_MONTH",
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
    "LAST_QUARTER",
    "THIS_QUARTER",
    "NEXT_QUARTER",
    "LAST_YEAR",
    "THIS_YEAR",
    "NEXT_YEAR",
];

const COUNTED: &[&str] = &[
    "LAST_N_DAYS",
    "NEXT_N_DAYS",
    "N_DAYS_AGO",
    "LAST_N_WEEKS",
    "NEXT_N_WEEKS",
    "N_WEEKS_AGO",
    "LAST_N_MONTHS",
    "NEXT_N_MONTHS",
    "N_MONTHS_AGO",
    "LAST_N_QUARTERS",
    "NEXT_N_QUARTERS",
    "N_QUARTERS_AGO",
    "LAST_N_YEARS",
    "NEXT_N_YEARS",
    "N_YEARS_AGO",
];

/// Whether a word in capitals is a date literal.
pub(super) fn is_span(word: &str) -> bool {
    FIXED.contains(&word) || COUNTED.contains(&word)
}

/// Whether a date literal takes a number.
pub(super) fn is_counted(word: &str) -> bool {
    COUNTED.contains(&word)
}

/// The first day of a literal and the first day behind it. `None` outside the calendar.
pub(super) fn span(word: &str, count: Option<i64>, today: Date) -> Option<(Date, Date)> {
    let n = count.unwrap_or(1);
    match word {
        "TODAY" => days(today, 0, 1),
        "YESTERDAY" => days(today, -1, 1),
        "TOMORROW" => days(today, 1, 1),
        "LAST_90_DAYS" => days(today, -90, 91),
        "NEXT_90_DAYS" => days(today, 1, 90),
        // The day itself counts as one of the last.
        "LAST_N_DAYS" => days(today, n.checked_neg()?, n.checked_add(1)?),
        "NEXT_N_DAYS" => days(today, 1, n),
        "N_DAYS_AGO" => days(today, n.checked_neg()?, 1),
        _ => {
            let (start, one) = unit(word, today)?;
            let (from, length) = if word.starts_with("LAST_N") {
                (n.checked_neg()?, n)
            } else if word.starts_with("LAST") {
                (-1, 1)
            } else if word.starts_with("NEXT") {
                (1, n)
            } else if word.starts_with("N_") {
                (n.checked_neg()?, 1)
            } else {
                (0, 1)
            };
            let from = start.checked_add(one.checked_mul(from).ok()?).ok()?;
            Some((from, from.checked_add(one.checked_mul(length).ok()?).ok()?))
        }
    }
}

fn days(today: Date, from: i64, length: i64) -> Option<(Date, Date)> {
    let from = today.checked_add(Span::new().try_days(from).ok()?).ok()?;
    Some((from, from.checked_add(Span::new().try_days(length).ok()?).ok()?))
}

/// The beginning of the running week, month, quarter or year, and the length of one.
fn unit(word: &str, today: Date) -> Option<(Date, Span)> {
    if word.contains("WEEK") {
        let since = i64::from(today.weekday().since(Weekday::Sunday));
        return Some((today.checked_sub(Span::new().try_days(since).ok()?).ok()?, 1.week()));
    }
    if word.contains("MONTH") {
        return Some((today.first_of_month(), 1.month()));
    }
    if word.contains("QUARTER") {
        let month = (today.month() - 1) / 3 * 3 + 1;
        return Some((Date::new(today.year(), month, 1).ok()?, 3.months()));
    }
    word.contains("YEAR").then(|| (today.first_of_year(), 1.year()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn spans() {
        // A Friday.
        let today = date(2026, 5, 1);
        let table = [
            ("TODAY", None, "2026-05-01..2026-05-02"),
            ("YESTERDAY", None, "2026-04-30..2026-05-01"),
            ("TOMORROW", None, "2026-05-02..2026-05-03"),
            ("THIS_WEEK", None, "2026-04-26..2026-05-03"),
            ("LAST_WEEK", None, "2026-04-19..2026-04-26"),
            ("NEXT_MONTH", None, "2026-06-01..2026-07-01"),
            ("LAST_QUARTER", None, "2026-01-01..2026-04-01"),
            ("THIS_YEAR", None, "2026-01-01..2027-01-01"),
            ("LAST_N_DAYS", Some(7), "2026-04-24..2026-05-02"),
            ("NEXT_N_DAYS", Some(2), "2026-05-02..2026-05-04"),
            ("N_DAYS_AGO", Some(3), "2026-04-28..2026-04-29"),
            ("LAST_N_MONTHS", Some(2), "2026-03-01..2026-05-01"),
            ("NEXT_N_WEEKS", Some(2), "2026-05-03..2026-05-17"),
            ("N_YEARS_AGO", Some(1), "2025-01-01..2026-01-01"),
        ];
        for (word, count, expected) in table {
            assert!(is_span(word) && is_counted(word) == count.is_some(), "{word}");
            let (from, to) = span(word, count, today).unwrap();
            assert_eq!(format!("{from}..{to}"), expected, "{word}");
        }
        assert_eq!(span("LAST_N_YEARS", Some(1_000_000), today), None);
        assert_eq!(span("LAST_N_DAYS", Some(i64::MAX), today), None);
    }
}
