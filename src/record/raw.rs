//! A record as one side holds it, before the mapping gives its values a meaning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::RecordRef;

/// A value in its side's own spelling. HubSpot writes every value as text; Salesforce has numbers
/// and booleans.
///
/// In JSON it is the bare value. In a binary format, which does not say what follows, it carries
/// its kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Raw {
    /// No value.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number. Finite.
    Number(f64),
    /// Text, and every date, time, choice and reference.
    Text(String),
}

impl Raw {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The text, where it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it stands for no value: null or empty text.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        matches!(self, Self::Null) || matches!(self, Self::Text(text) if text.is_empty())
    }
}

/// [`Raw`] as JSON has it: the value alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bare {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

/// [`Raw`] as a binary format has it: the kind, then the value.
#[derive(Serialize, Deserialize)]
enum Tagged {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

macro_rules! same_shape {
    ($shape:ident) => {
        impl From<Raw> for $shape {
            fn from(raw: Raw) -> Self {
                match raw {
                    Raw::Null => Self::Null,
                    Raw::Bool(it) => Self::Bool(it),
                    Raw::Number(it) => Self::Number(it),
                    Raw::Text(it) => Self::Text(it),
                }
            }
        }
        impl From<$shape> for Raw {
            fn from(shape: $shape) -> Self {
                match shape {
                    $shape::Null => Self::Null,
                    $shape::Bool(it) => Self::Bool(it),
                    $shape::Number(it) => Self::Number(it),
                    $shape::Text(it) => Self::Text(it),
                }
            }
        }
    };
}
same_shape!(Bare);
same_shape!(Tagged);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            Bare::from(self.clone()).serialize(to)
        } else {
            Tagged::from(self.clone()).serialize(to)
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        if from.is_human_readable() {
            Bare::deserialize(from).map(Self::from)
        } else {
            Tagged::deserialize(from).map(Self::from)
        }
    }
}

/// Who set a value, as far as the platform says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// This program, by its own app id or user.
    Lockstep,
    /// Anyone else, in the platform's words (`userId:51446676`, `005…`, `AUTOMATION_PLATFORM`).
    Other(String),
}

/// When a field got its value, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// When.
    pub at: Timestamp,
    /// Whether `at` is the field's own time. Otherwise it is the record's time of modification, and
    /// the field changed at that time or earlier.
    pub exact: bool,
    /// By whom, where the platform says.
    pub by: Option<Author>,
}

/// A value that a field holds or held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The value, in the side's spelling.
    pub value: Raw,
    /// When it was set, by the platform's clock.
    pub at: Timestamp,
    /// By whom, where the platform says.
    pub by: Option<Author>,
}

/// One record as its platform returned it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which record this is. After a merge the id may differ from the one that was asked for.
    pub key: RecordRef,
    /// The values of the fields that were asked for, by the side's own field name. A field that is
    /// absent was not asked for or does not exist there; a blank one is [`Raw::Null`].
    pub fields: BTreeMap<String, Raw>,
    /// When the record was last modified, by the platform's clock.
    pub modified: Option<Timestamp>,
    /// When the record was created, by the platform's clock.
    pub created: Option<Timestamp>,
    /// When each field got its value, where a rule needs it and the platform tells.
    pub stamps: BTreeMap<String, Stamp>,
    /// What each field holds and held before, newest first, where the times were asked for and the
    /// platform keeps such a list.
    pub versions: BTreeMap<String, Vec<Version>>,
    /// Whether it lies in the recycle bin (Salesforce) or is archived (HubSpot).
    pub deleted: bool,
    /// The record that took this one's place: the winner of a merge, or the Contact that a Lead
    /// became.
    pub successor: Option<RecordRef>,
    /// Further ids of the same record, left over from merges. HubSpot still reads by them.
    pub aliases: Vec<String>,
}

impl Record {
    /// A record without values.
    #[must_use]
    pub const fn new(key: RecordRef) -> Self {
        Self {
            key,
            fields: BTreeMap::new(),
            modified: None,
            created: None,
            stamps: BTreeMap::new(),
            versions: BTreeMap::new(),
            deleted: false,
            successor: None,
            aliases: Vec::new(),
        }
    }

    /// The value of `field`, [`Raw::Null`] where the record has none.
    #[must_use]
    pub fn get(&self, field: &str) -> &Raw {
        const NULL: &Raw = &Raw::Null;
        self.fields.get(field).unwrap_or(NULL)
    }

    /// When `field` got its value: its own stamp, or the record's modification as an upper bound.
    #[must_use]
    pub fn stamp(&self, field: &str) -> Option<Stamp> {
        self.stamps
            .get(field)
            .cloned()
            .or_else(|| self.modified.map(|at| Stamp { at, exact: false, by: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_from_json_and_from_a_binary_format() {
        for raw in [Raw::Null, Raw::Bool(true), Raw::Number(42.5), Raw::text("MQL")] {
            let json = serde_json::to_string(&raw).unwrap();
            assert_eq!(serde_json::from_str::<Raw>(&json).unwrap(), raw);
            let binary = postcard::to_stdvec(&raw).unwrap();
            assert_eq!(postcard::from_bytes::<Raw>(&binary).unwrap(), raw);
        }
        assert_eq!(serde_json::to_string(&Raw::text("MQL")).unwrap(), r#""MQL""#);
    }
}
