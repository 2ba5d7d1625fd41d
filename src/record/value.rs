//! The canonical domain in which both sides' values are compared.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};

/// A finite number. `-0` is `0`, and neither NaN nor an infinity can be made, so that equality and
/// order are total.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Number(f64);

impl Number {
    /// A number, or nothing where `value` is not finite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(if value == 0.0 { 0.0 } else { value }))
    }

    /// The number as a float.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Number {
    type Error = &'static str;
    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Self::new(value).ok_or("the number is not finite")
    }
}

impl From<Number> for f64 {
    fn from(value: Number) -> Self {
        value.0
    }
}

impl From<i32> for Number {
    fn from(value: i32) -> Self {
        Self(f64::from(value))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl fmt::Display for Number {
    /// The shortest text that reads back as the same number: `5000`, `12.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A field's value in the canonical domain: what is left when each side's spelling (types as text,
/// its own option names, time zones, stray blanks) is taken away.
///
/// Owners are [`Value::Text`] that holds the owner's e-mail address in lower case; choices are
/// [`Value::Text`] that holds the canonical key of the value table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// No value: HubSpot's null and empty text, Salesforce's null.
    Blank,
    /// Text, a choice's key or an owner's address. Never empty: empty text is [`Value::Blank`].
    Text(String),
    /// A number.
    Number(Number),
    /// Yes or no.
    Bool(bool),
    /// A day without a time zone.
    Date(civil::Date),
    /// A moment, in whole seconds: Salesforce keeps no more.
    DateTime(Timestamp),
    /// Several choices' keys, in no order. Never empty: no choice is [`Value::Blank`].
    Choices(BTreeSet<String>),
}

impl Value {
    /// Text, or [`Value::Blank`] where it is empty.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::Blank } else { Self::Text(text) }
    }

    /// Several choices, or [`Value::Blank`] where there are none.
    pub fn choices(choices: impl IntoIterator<Item = String>) -> Self {
        let choices: BTreeSet<_> =
            choices.into_iter().filter(|choice| !choice.is_empty()).collect();
        if choices.is_empty() { Self::Blank } else { Self::Choices(choices) }
    }

    /// A moment, cut to whole seconds.
    #[must_use]
    pub fn date_time(moment: Timestamp) -> Self {
        Self::DateTime(Timestamp::from_second(moment.as_second()).unwrap_or(moment))
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_blank(&self) -> bool {
        matches!(self, Self::Blank)
    }

    /// The text of a text, choice or owner.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a number.
    #[must_use]
    pub const fn as_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// The value as people read it: `(blank)`, `MQL`, `42`, `yes`, `2026-11-22`, `a; b`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.pad("(blank)"),
            Self::Text(text) => f.pad(text),
            Self::Number(number) => number.fmt(f),
            Self::Bool(true) => f.pad("yes"),
            Self::Bool(false) => f.pad("no"),
            Self::Date(date) => date.fmt(f),
            Self::DateTime(moment) => moment.fmt(f),
            Self::Choices(choices) => {
                let mut between = "";
                for choice in choices {
                    write!(f, "{between}{choice}")?;
                    between = "; ";
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_zero_and_no_nan() {
        assert_eq!(Number::new(-0.0), Number::new(0.0));
        assert_eq!(Number::new(f64::NAN), None);
        assert_eq!(Number::new(f64::INFINITY), None);
        assert_eq!(Number::new(5000.0).unwrap().to_string(), "5000");
    }

    #[test]
    fn nothing_is_blank_in_every_type() {
        assert_eq!(Value::text(""), Value::Blank);
        assert_eq!(Value::choices([String::new()]), Value::Blank);
    }

    #[test]
    fn a_moment_keeps_whole_seconds() {
        let moment: Timestamp = "2026-05-01T07:25:37.9Z".parse().unwrap();
        assert_eq!(Value::date_time(moment).to_string(), "2026-05-01T07:25:37Z");
    }
}
