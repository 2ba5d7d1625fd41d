//! Days in a time zone.

use jiff::tz::TimeZone;

use super::{Argument, Takes, Transform};
use crate::mapping::model::Kind;
use crate::record::Value;

/// Reads a side's moment as the day that it is in a time zone.
pub static DAY_IN: Transform = Transform {
    name: "day_in",
    line: "reads a side's moment as the day that it is in a time zone",
    long: "`{ day_in = \"Europe/Berlin\" }`, for a date that this side keeps as a date and time: \
           `2026-05-01T22:30:00Z` is 2 May in Berlin. The beginning of the day is written.",
    takes: Takes::Text,
    example: "\"Europe/Berlin\"",
    accepts: |argument| zone(argument).map(|_| ()),
    suits: &["date"],
    spoken: Some(Kind::DateTime),
    spellings: None,
    read: |value, argument| match value {
        Value::DateTime(moment) => Ok(Value::Date(moment.to_zoned(zone(argument)?).date())),
        other => Ok(other),
    },
    write: Some(|value, argument| match value {
        Value::Date(day) => day
            .to_zoned(zone(argument)?)
            .map(|start| Value::date_time(start.timestamp()))
            .map_err(|error| error.to_string()),
        other => Ok(other),
    }),
};

fn zone(argument: &Argument) -> Result<TimeZone, String> {
    let Argument::Text(name) = argument else {
        return Err("a time zone is a name such as Europe/Berlin".to_owned());
    };
    TimeZone::get(name).map_err(|_| {
        format!("there is no time zone {name:?}; it is a name such as Europe/Berlin or UTC")
    })
}
