//! What a value must look like to be stored, and what it is stored as.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::errors::{Refusal, categorized};
use super::properties::Property;
use super::record::instant;

/// Why a property's value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The property.
    pub name: String,
    /// HubSpot's code.
    pub code: &'static str,
    /// HubSpot's text.
    pub message: String,
}

impl Problem {
    /// A problem of one property.
    #[must_use]
    pub fn new(name: &str, code: &'static str, message: String) -> Self {
        Self { name: name.to_owned(), code, message }
    }

    /// A value that is not among the allowed ones.
    #[must_use]
    pub fn option(name: &str, value: &str, allowed: &[&str]) -> Self {
        let list = allowed.join(", ");
        let message = format!("{value} was not one of the allowed options: [{list}]");
        Self::new(name, "INVALID_OPTION", message)
    }
}

/// The refusal of a write for its values: the details stand twice, as text in the message and as
/// objects, as HubSpot has it.
#[must_use]
pub fn refusal(problems: &[Problem]) -> Refusal {
    let texts: Vec<Value> = problems
        .iter()
        .map(|problem| {
            json!({
                "isValid": false,
                "message": problem.message,
                "error": problem.code,
                "name": problem.name,
            })
        })
        .collect();
    let errors: Vec<Value> = problems
        .iter()
        .map(|problem| {
            json!({
                "message": problem.message,
                "code": problem.code,
                "context": { "propertyName": [problem.name] },
            })
        })
        .collect();
    let message = format!("Property values were not valid: {}", Value::Array(texts));
    categorized(400, "VALIDATION_ERROR", message).with("errors", Value::Array(errors))
}

/// The longest text that a property holds, in characters.
const LONGEST: usize = 65_536;

/// Checks a value against a property's type and returns it as it is stored. Values that come from a
/// list are checked by the account, which knows the lists.
///
/// # Errors
/// What HubSpot would say about it.
pub fn typed(property: &Property, value: &str) -> Result<String, Problem> {
    let name = &*property.name;
    if value.is_empty() {
        return Ok(String::new());
    }
    match property.kind.as_str() {
        "number" => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(value.to_owned()),
            _ => Err(Problem::new(
                name,
                "INVALID_INTEGER",
                format!("{value} was not a valid number."),
            )),
        },
        "date" => date(name, value),
        "datetime" => moment(value).map(instant).ok_or_else(|| {
            Problem::new(name, "INVALID_DATE", format!("{value} was not a valid date."))
        }),
        _ if name == "email" => email(value),
        _ if value.chars().count() > LONGEST => Err(Problem::new(
            name,
            "INVALID_LENGTH",
            format!("Property value is longer than {LONGEST} characters."),
        )),
        _ => Ok(value.to_owned()),
    }
}

/// Reads a moment: ISO 8601 with a zone, a bare date, or milliseconds since 1970.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(ms) = text.parse::<i64>() {
        return Timestamp::from_millisecond(ms).ok();
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Timestamp::from_millisecond(at.as_millisecond()).ok();
    }
    if text.len() != 10 {
        return None;
    }
    let day: Date = text.parse().ok()?;
    day.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
}

/// A `date` property holds a day; milliseconds must mean a midnight in UTC.
fn date(name: &str, value: &str) -> Result<String, Problem> {
    let bad = |message: String| Problem::new(name, "INVALID_DATE", message);
    let at = moment(value).ok_or_else(|| bad(format!("{value} was not a valid date.")))?;
    let zoned = at.to_zoned(TimeZone::UTC);
    let midnight = at.as_millisecond().rem_euclid(24 * 60 * 60 * 1000) == 0;
    if !midnight {
        let (hour, minute) = (zoned.hour(), zoned.minute());
        let second = zoned.second();
        return Err(bad(format!("{value} is at {hour}:{minute}:{second}.0 UTC, not midnight!")));
    }
    let epoch = Date::constant(1970, 1, 1);
    let near = |span: jiff::Span| epoch.saturating_add(span);
    // The exact reference of the rule (a thousand years from now) does not matter by half a century.
    if zoned.date() < near((-950).years()) || zoned.date() > near(1050.years()) {
        return Err(bad(format!("{value} is more than 1,000 years ago or 1,000 years from now.")));
    }
    Ok(zoned.date().to_string())
}

/// Domains that end in no real top-level domain are refused, so `x@y.test` is. The full list of
/// real ones is not kept here: a few reserved ones, and a shape.
const UNREAL: [&str; 8] =
    ["test", "local", "localhost", "invalid", "example", "internal", "lan", "localdomain"];

fn email(value: &str) -> Result<String, Problem> {
    let valid = value.split_once('@').is_some_and(|(local, domain)| {
        let labels: Vec<&str> = domain.split('.').collect();
        let last = labels.last().copied().unwrap_or_default();
        let shaped = |label: &&str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        !local.is_empty()
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
            && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c))
            && labels.len() > 1
            && labels.iter().all(shaped)
            && last.chars().count() > 1
            && last.chars().all(char::is_alphabetic)
            && !UNREAL.contains(&last.to_ascii_lowercase().as_str())
    });
    if valid {
        Ok(value.to_lowercase())
    } else {
        let message = format!("Email address {value} is invalid");
        Err(Problem::new("email", "INVALID_EMAIL", message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_stored_in_hubspots_form() {
        let table = [
            ("number", "5000.00", Ok("5000.00")),
            ("number", "1e3", Ok("1e3")),
            ("number", " 5", Err("INVALID_INTEGER:  5 was not a valid number.")),
            ("number", "1,000", Err("INVALID_INTEGER: 1,000 was not a valid number.")),
            ("number", "NaN", Err("INVALID_INTEGER: NaN was not a valid number.")),
            ("date", "2026-12-31", Ok("2026-12-31")),
            ("date", "1798675200000", Ok("2026-12-31")),
            (
                "date",
                "1579179660000",
                Err("INVALID_DATE: 1579179660000 is at 13:1:0.0 UTC, not midnight!"),
            ),
            ("date", "31.12.2026", Err("INVALID_DATE: 31.12.2026 was not a valid date.")),
            ("datetime", "2026-12-31", Ok("2026-12-31T00:00:00Z")),
            ("datetime", "2026-12-31T10:00:00.250+02:00", Ok("2026-12-31T08:00:00.250Z")),
            ("datetime", "1798675200000", Ok("2026-12-31T00:00:00Z")),
            ("datetime", "soon", Err("INVALID_DATE: soon was not a valid date.")),
            ("string", " kept as typed ", Ok(" kept as typed ")),
            ("number", "", Ok("")),
        ];
        for (kind, value, expected) in table {
            let property = Property::custom("x", "X", kind);
            let stored = typed(&property, value)
                .map_err(|problem| format!("{}: {}", problem.code, problem.message));
            assert_eq!(stored.as_deref().map_err(String::as_str), expected, "{kind} {value:?}");
        }
    }

    #[test]
    fn addresses_need_a_real_domain() {
        let property = Property::custom("email", "Email", "string");
        for good in ["a@example.com", "A.B+c@Example.co.uk", "x_y@xn--bcher-kva.de", "ü@bücher.de"]
        {
            assert_eq!(typed(&property, good).unwrap(), good.to_lowercase());
        }
        for bad in [
            "a",
            "a@b",
            "a@b.test",
            "a@x.local",
            "@b.com",
            "a b@c.com",
            "a@b..com",
            "a@b.c0m",
            "\"a\"@b.com",
            " a@b.com",
            ".a@b.com",
            "a@@b.com",
        ] {
            let problem = typed(&property, bad).unwrap_err();
            assert_eq!(problem.code, "INVALID_EMAIL", "{bad}");
        }
    }
}
