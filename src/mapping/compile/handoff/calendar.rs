//! Business time.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::{CODE, Ground, condition, once};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{CalendarFile, DateFile, DayWord, HandoffFile, items};
use crate::mapping::handoff::{Calendar, Hours, Region};
use crate::mapping::parse::{At, Texts};

/// The keys of a calendar, of the block or of a region.
struct Keys<'a> {
    zone: &'a At<String>,
    hours: Option<&'a At<Texts>>,
    days: Option<&'a At<Vec<At<DayWord>>>>,
    holidays: &'a [At<DateFile>],
}

/// The calendar of the block.
pub(super) fn of_file(file: &CalendarFile, findings: &mut Findings) -> Option<Calendar> {
    let keys = Keys {
        zone: &file.zone,
        hours: file.hours.as_ref(),
        days: file.days.as_ref(),
        holidays: items(&file.holidays),
    };
    calendar_of(&keys, findings)
}

/// Every hour counts.
pub(super) fn always() -> Calendar {
    let week = std::array::from_fn(|_| vec![Hours { from: 0, to: 1_440 }]);
    Calendar { zone: TimeZone::UTC, week, holidays: BTreeSet::new() }
}

fn calendar_of(keys: &Keys<'_>, findings: &mut Findings) -> Option<Calendar> {
    let zone = TimeZone::get(&keys.zone.value);
    if zone.is_err() {
        findings
            .error(CODE, &keys.zone.span, format!("there is no time zone {:?}", keys.zone.value))
            .help("write it as in zone = \"Europe/Berlin\" or zone = \"UTC\"");
    }
    let hours = match keys.hours {
        Some(texts) => hours_of(texts, findings)?,
        None => vec![Hours { from: 9 * 60, to: 17 * 60 }],
    };
    let mut week: [Vec<Hours>; 7] = Default::default();
    let weekdays = [0, 1, 2, 3, 4];
    match keys.days {
        Some(days) => {
            if days.value.is_empty() && !findings.blame(&days.span) {
                findings
                    .error(CODE, &days.span, "a calendar without a day has no business time")
                    .help("leave `days` out for Monday to Friday");
            }
            for day in &days.value {
                week[day.value as usize].clone_from(&hours);
            }
        }
        None => weekdays.into_iter().for_each(|day| week[day].clone_from(&hours)),
    }
    let mut holidays = BTreeSet::new();
    for day in keys.holidays {
        match day.value.0.parse::<Date>() {
            Ok(date) => {
                holidays.insert(date);
            }
            Err(_) => {
                findings
                    .error(CODE, &day.span, format!("{:?} is no day", day.value.0))
                    .help("write it as in holidays = [\"2026-12-25\"]");
            }
        }
    }
    Some(Calendar { zone: zone.ok()?, week, holidays })
}

fn hours_of(texts: &Texts, findings: &mut Findings) -> Option<Vec<Hours>> {
    let mut found: Vec<Hours> = Vec::new();
    for text in &texts.0 {
        let hours = text
            .split_once(['-', '–'])
            .and_then(|(from, to)| Some(Hours { from: minute(from)?, to: minute(to)? }));
        let problem = match hours {
            None => format!("{:?} are no hours", text.value),
            Some(hours) if hours.from >= hours.to => {
                format!("{:?} ends before it begins", text.value)
            }
            Some(hours) if found.last().is_some_and(|last| last.to > hours.from) => {
                format!("{:?} begins before the hours before it end", text.value)
            }
            Some(hours) => {
                found.push(hours);
                continue;
            }
        };
        findings
            .error(CODE, &text.span, problem)
            .help("write them in order, as in [\"09:00-12:30\", \"13:30-18:00\"]; midnight at the end is 24:00");
        return None;
    }
    (!found.is_empty()).then_some(found)
}

fn minute(text: &str) -> Option<u16> {
    let text = text.trim();
    if text == "24:00" {
        return Some(1_440);
    }
    let (hour, minute) = text.split_once(':')?;
    let time = Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    u16::try_from(i32::from(time.hour()) * 60 + i32::from(time.minute())).ok()
}

/// Business time for some records.
pub(super) fn regions(
    file: &HandoffFile,
    ground: &Ground<'_>,
    findings: &mut Findings,
) -> Vec<Region> {
    once(items(&file.region).iter().map(|it| &it.name), "regions", findings);
    items(&file.region)
        .iter()
        .filter_map(|it| {
            let keys = Keys {
                zone: &it.zone,
                hours: it.hours.as_ref(),
                days: it.days.as_ref(),
                holidays: items(&it.holidays),
            };
            let calendar = calendar_of(&keys, findings);
            Some(Region {
                name: it.name.value.clone(),
                when: condition(&it.when, &ground.sight(), findings)?,
                calendar: calendar?,
            })
        })
        .collect()
}
