//! From a side's spelling into the canonical domain and back.
//!
//! The law that the check proves for every field: reading what was written gives the value back.

use jiff::{Timestamp, civil};

use super::model::{Field, Kind, Mapping, Table, UnknownOwner, Unlisted};
use crate::record::{LinkId, Number, Raw, Side, Value};

/// What a mapping needs to know of the accounts and of other links.
pub trait Directory {
    /// Who owns a record, by the owner's id on `side`.
    fn owner(&self, side: Side, id: &str) -> OwnerFound;

    /// The id on `side` of the person with this e-mail address (lower case).
    ///
    /// # Errors
    /// Where nobody active has it there.
    fn owner_id(&self, side: Side, email: &str) -> Result<String, OwnerMissing>;

    /// The link of another mapping that the record `id` on `side` belongs to.
    fn link_of(&self, mapping: &str, side: Side, id: &str) -> Option<LinkId>;

    /// The id on `side` of another mapping's link.
    fn linked_id(&self, mapping: &str, side: Side, link: LinkId) -> Option<String>;
}

/// Who owns a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerFound {
    /// A person, by e-mail address in lower case.
    Person(String),
    /// A queue, by name.
    Queue(String),
    /// Nobody that the account lists.
    Unknown,
}

/// Why a person cannot be given a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerMissing {
    /// Nobody there has this address.
    Unknown,
    /// The person is inactive there.
    Inactive,
}

/// What a side's value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A value.
    Value(Value),
    /// Nothing to compare: the field does not exist on this object, the record belongs to a queue
    /// that the mapping leaves alone. Why, for `explain`.
    Aside(String),
    /// A value that the mapping cannot take.
    Bad(BadValue),
}

/// A value that the mapping cannot take, or cannot write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{message}; {hint}")]
pub struct BadValue {
    /// What was found.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

impl BadValue {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Field {
    /// What `raw` on `object` of `side` means.
    #[must_use]
    pub fn read(
        &self,
        mapping: &Mapping,
        side: Side,
        object: &str,
        raw: &Raw,
        directory: &dyn Directory,
    ) -> Reading {
        let Some(place) = self.sides.get(side) else {
            return Reading::Aside(format!("{side} has no such field"));
        };
        if place.name(object).is_none() {
            return Reading::Aside(format!("{object} has no such field"));
        }
        let value = match self.decode(mapping, side, raw, directory) {
            Ok(Reading::Value(value)) => value,
            Ok(other) => return other,
            Err(bad) => return Reading::Bad(bad),
        };
        let stepped = place
            .steps
            .iter()
            .chain(&self.normalise)
            .try_fold(value, |value, step| step.read(value));
        match stepped {
            Ok(value) => Reading::Value(value),
            Err(message) => {
                Reading::Bad(BadValue::new(message, format!("see the transforms of {}", self.name)))
            }
        }
    }

    /// How `value` is spelled on `side`.
    ///
    /// # Errors
    /// Where that side has no spelling for it.
    pub fn write(
        &self,
        mapping: &Mapping,
        side: Side,
        value: &Value,
        directory: &dyn Directory,
    ) -> Result<Raw, BadValue> {
        let steps = self.sides.get(side).as_ref().map_or(&[][..], |place| &place.steps);
        let value =
            steps.iter().rev().try_fold(value.clone(), |value, step| step.write(value)).map_err(
                |message| BadValue::new(message, format!("see the transforms of {}", self.name)),
            )?;
        self.encode(mapping, side, &value, directory)
    }

    /// Whether `value` is an owner who is nobody on `side`, where the mapping leaves such alone.
    #[must_use]
    pub fn leaves_owner(
        &self,
        mapping: &Mapping,
        side: Side,
        value: &Value,
        directory: &dyn Directory,
    ) -> bool {
        let (UnknownOwner::Leave, Kind::Owner, Value::Text(email)) =
            (mapping.unknown_owner, self.spoken(side), value)
        else {
            return false;
        };
        !email.starts_with(QUEUE) && directory.owner_id(side, email) == Err(OwnerMissing::Unknown)
    }

    fn decode(
        &self,
        mapping: &Mapping,
        side: Side,
        raw: &Raw,
        directory: &dyn Directory,
    ) -> Result<Reading, BadValue> {
        if raw.is_blank() {
            return Ok(Reading::Value(Value::Blank));
        }
        let value = match self.spoken(side) {
            Kind::Text => Value::text(plain(raw)),
            Kind::Number => Value::Number(number(raw)?),
            Kind::Bool => Value::Bool(boolean(raw)?),
            Kind::Date => Value::Date(date(raw)?),
            Kind::DateTime => Value::date_time(moment(raw)?),
            Kind::Choice => self.key_of(side, &plain(raw))?,
            Kind::Choices => {
                let mut keys = Vec::new();
                for choice in plain(raw).split(';').map(str::trim).filter(|part| !part.is_empty()) {
                    match self.key_of(side, choice)? {
                        Value::Text(key) => keys.push(key),
                        _ => continue,
                    }
                }
                Value::choices(keys)
            }
            Kind::Owner => return owner(mapping, side, &plain(raw), directory),
            Kind::Link { mapping: across } => {
                let id = plain(raw);
                match directory.link_of(across, side, &id) {
                    Some(link) => Value::text(link.to_string()),
                    None => {
                        return Ok(Reading::Aside(format!("{id} is not linked by {across} yet")));
                    }
                }
            }
        };
        Ok(Reading::Value(value))
    }

    fn encode(
        &self,
        mapping: &Mapping,
        side: Side,
        value: &Value,
        directory: &dyn Directory,
    ) -> Result<Raw, BadValue> {
        let kind = self.spoken(side);
        let misfit = || {
            BadValue::new(
                format!("{value} is not {}", kind.noun()),
                format!("set {} to {}", self.name, kind.noun()),
            )
        };
        Ok(match (kind, value) {
            (_, Value::Blank) => Raw::Null,
            (Kind::Text, Value::Text(text)) => Raw::text(text),
            (Kind::Text, other) => Raw::text(other.to_string()),
            (Kind::Number, Value::Number(number)) => match side {
                Side::HubSpot => Raw::text(number.to_string()),
                Side::Salesforce => Raw::Number(number.get()),
            },
            (Kind::Bool, Value::Bool(yes)) => match side {
                Side::HubSpot => Raw::text(if *yes { "true" } else { "false" }),
                Side::Salesforce => Raw::Bool(*yes),
            },
            (Kind::Date, Value::Date(date)) => Raw::text(date.to_string()),
            (Kind::DateTime, Value::DateTime(moment)) => Raw::text(moment.to_string()),
            (Kind::Choice, Value::Text(key)) => Raw::text(self.value_of(side, key)?),
            (Kind::Choices, Value::Choices(keys)) => {
                let values: Result<Vec<_>, _> =
                    keys.iter().map(|key| self.value_of(side, key)).collect();
                Raw::text(values?.join(";"))
            }
            (Kind::Owner, Value::Text(email)) => match email.strip_prefix(QUEUE) {
                Some(queue) => {
                    return Err(BadValue::new(
                        format!("the queue {queue} has no owner in {side}"),
                        "name the queue under [owners.queues], or leave the field one-way",
                    ));
                }
                None => Raw::text(owner_id(mapping, side, email, directory)?),
            },
            (Kind::Link { mapping: across }, Value::Text(text)) => {
                let link =
                    text.strip_prefix('L').and_then(|digits| digits.parse().ok()).map(LinkId);
                let id = link.and_then(|link| directory.linked_id(across, side, link));
                Raw::text(id.ok_or_else(|| {
                    BadValue::new(
                        format!("{text} of {across} has no record in {side} yet"),
                        format!("it follows once {across} has linked it"),
                    )
                })?)
            }
            _ => return Err(misfit()),
        })
    }

    /// What `side`'s own value is read as: the field's kind, or what the side's first transform
    /// starts from.
    pub(crate) fn spoken(&self, side: Side) -> &Kind {
        let first = self.sides.get(side).as_ref().and_then(|place| place.steps.first());
        first.and_then(|step| step.transform.spoken.as_ref()).unwrap_or(&self.kind)
    }

    /// Whether `key` is a choice that the field can hold: one that its table lists, or any where it
    /// has no table or lets unlisted values pass.
    #[must_use]
    pub fn knows_key(&self, key: &str) -> bool {
        self.table.as_ref().is_none_or(|table| {
            table.rows.iter().any(|row| row.key == key)
                || Side::BOTH.iter().any(|side| *table.unlisted.get(*side) == Unlisted::Pass)
        })
    }

    fn key_of(&self, side: Side, value: &str) -> Result<Value, BadValue> {
        let Some(table) = &self.table else { return Ok(Value::text(value)) };
        if let Some(key) = table.key_of(side, value) {
            return Ok(Value::text(key));
        }
        match table.unlisted.get(side) {
            Unlisted::Pass => Ok(Value::text(value)),
            Unlisted::Use(key) => Ok(Value::text(key)),
            Unlisted::Reject => Err(BadValue::new(
                format!("{side} says {value:?}, which the values of {} do not list", self.name),
                format!("add {value:?} to the field's values, or say what an unlisted value does"),
            )),
        }
    }

    fn value_of(&self, side: Side, key: &str) -> Result<String, BadValue> {
        let Some(table) = &self.table else { return Ok(key.to_owned()) };
        if let Some(value) = table.value_of(side, key) {
            return Ok(value.to_owned());
        }
        let listed = table.rows.iter().any(|row| row.key == key);
        if !listed && *table.unlisted.get(side.other()) == Unlisted::Pass {
            return Ok(key.to_owned());
        }
        Err(BadValue::new(
            format!("{side} has no value for {key:?} in {}", self.name),
            format!("add a row for {key:?} with a value for {side}"),
        ))
    }
}

/// What marks a queue among owners: no e-mail address begins with it.
const QUEUE: &str = "queue:";

fn owner(
    mapping: &Mapping,
    side: Side,
    id: &str,
    directory: &dyn Directory,
) -> Result<Reading, BadValue> {
    match directory.owner(side, id) {
        OwnerFound::Person(email) => Ok(Reading::Value(Value::text(email))),
        OwnerFound::Queue(queue) => Ok(match mapping.queues.get(&queue) {
            Some(email) => Reading::Value(Value::text(email.to_lowercase())),
            None => Reading::Aside(format!("it belongs to the queue {queue}, which is left alone")),
        }),
        OwnerFound::Unknown => Err(BadValue::new(
            format!("{side} lists no owner with the id {id}"),
            "check that the signed-in user may see all owners",
        )),
    }
}

fn owner_id(
    _mapping: &Mapping,
    side: Side,
    email: &str,
    directory: &dyn Directory,
) -> Result<String, BadValue> {
    directory.owner_id(side, email).map_err(|missing| match missing {
        OwnerMissing::Unknown => BadValue::new(
            format!("nobody in {side} has the owner's e-mail address"),
            format!("create the person in {side}, or give the record to someone who is in both"),
        ),
        OwnerMissing::Inactive => BadValue::new(
            format!("the owner is inactive in {side}"),
            "give the record to an active person",
        ),
    })
}

impl Table {
    /// The key of the group that `value` of `side` belongs to.
    #[must_use]
    pub fn key_of(&self, side: Side, value: &str) -> Option<&str> {
        let row = self.rows.iter().find(|row| row.on(side) == Some(value))?;
        Some(&row.key)
    }

    /// What is written to `side` for the group `key`: the value of the group's first row that has
    /// one.
    #[must_use]
    pub fn value_of(&self, side: Side, key: &str) -> Option<&str> {
        self.rows.iter().filter(|row| row.key == key).find_map(|row| row.on(side))
    }
}

impl Kind {
    /// The word for a value of this kind, with its article.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Date => "a date",
            Self::DateTime => "a date and time",
            Self::Bool => "yes or no",
            Self::Choice => "a choice",
            Self::Choices => "a list of choices",
            Self::Owner => "an owner",
            Self::Link { .. } => "a linked record",
        }
    }

    /// The word for the kind in mapping files.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Bool => "yes-no",
            Self::Choice => "choice",
            Self::Choices => "choices",
            Self::Owner => "owner",
            Self::Link { .. } => "link",
        }
    }
}

fn plain(raw: &Raw) -> String {
    match raw {
        Raw::Null => String::new(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Number(number) => number.to_string(),
        Raw::Text(text) => text.clone(),
    }
}

fn number(raw: &Raw) -> Result<Number, BadValue> {
    let found = match raw {
        Raw::Number(number) => Some(*number),
        Raw::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    found.and_then(Number::new).ok_or_else(|| {
        BadValue::new(format!("{:?} is not a number", plain(raw)), "write it as 1234.5")
    })
}

fn boolean(raw: &Raw) -> Result<bool, BadValue> {
    match raw {
        Raw::Bool(yes) => Ok(*yes),
        Raw::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Raw::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(BadValue::new(
            format!("{:?} is neither true nor false", plain(other)),
            "use a yes-or-no field on both sides, or a choice with values",
        )),
    }
}

/// Both platforms write moments in several ways: ISO 8601 with or without milliseconds, an offset
/// without a colon (Salesforce), or milliseconds since 1970 as text (HubSpot).
fn moment(raw: &Raw) -> Result<Timestamp, BadValue> {
    let text = plain(raw);
    let text = text.trim();
    let found = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| {
            jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok()
        })
        .or_else(|| Timestamp::from_millisecond(text.parse().ok()?).ok())
        .or_else(|| {
            let day: civil::Date = text.parse().ok()?;
            day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        });
    found.ok_or_else(|| {
        BadValue::new(format!("{text:?} is not a moment"), "write it as 2026-11-22T09:30:00Z")
    })
}

/// A day is a day on both sides; HubSpot may also write it as midnight UTC.
fn date(raw: &Raw) -> Result<civil::Date, BadValue> {
    let text = plain(raw);
    let text = text.trim();
    if text.len() == 10
        && let Ok(day) = text.parse()
    {
        return Ok(day);
    }
    moment(raw)
        .map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).date())
        .map_err(|_| BadValue::new(format!("{text:?} is not a date"), "write it as 2026-11-22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_spelling() {
        let right: Timestamp = "2026-05-01T07:25:37Z".parse().unwrap();
        for text in [
            "2026-05-01T07:25:37Z",
            "2026-05-01T07:25:37.000+0000",
            "2026-05-01T09:25:37+02:00",
            "1777620337000",
        ] {
            assert_eq!(moment(&Raw::text(text)).unwrap(), right, "{text}");
        }
        assert!(moment(&Raw::text("yesterday")).is_err());
        assert_eq!(date(&Raw::text("2026-12-31T00:00:00Z")).unwrap().to_string(), "2026-12-31");
        assert_eq!(date(&Raw::text("2026-12-31")).unwrap().to_string(), "2026-12-31");
    }

    #[test]
    fn a_number_is_a_number_in_text_too() {
        assert_eq!(number(&Raw::text("5000.00")).unwrap(), Number::from(5000));
        assert!(number(&Raw::text("1,000")).is_err());
    }
}
