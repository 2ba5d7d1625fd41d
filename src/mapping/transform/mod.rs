//! Transforms: how a value is brought to one spelling.
//!
//! Two kinds. A *normaliser* (trim, lower, round) is applied to both sides' values before they are
//! compared, and leaves its own result as it is. A *pair* (scale, prefix) belongs to one side and
//! is undone when a value is written there; reading what it wrote gives the value back.

mod affix;
mod blanks;
mod company;
mod domain;
mod length;
mod letters;
mod nothing;
mod number;
mod phone;
mod yes_no;
mod zone;

use super::model::Kind;
use crate::record::Value;

/// What a transform is, for help, reference and "did you mean".
pub struct Transform {
    /// The word for it in mapping files.
    pub name: &'static str,
    /// One line of help.
    pub line: &'static str,
    /// The reference's text, with an example.
    pub long: &'static str,
    /// Whether it takes no argument, a number or a text.
    pub takes: Takes,
    /// An argument as the reference shows it; not used where it takes none.
    pub example: &'static str,
    /// Whether the argument is one that it can work with. Errors say what would be right.
    pub accepts: fn(&Argument) -> Result<(), String>,
    /// The types of field that it is for, by their words in mapping files.
    pub suits: &'static [&'static str],
    /// What the side's own value is read as, where that is not the field's type.
    pub spoken: Option<Kind>,
    /// For a normaliser of texts: what people usually write for what it brings to this one. Both
    /// platforms search for values as they stand (but for the case of letters), so a record is
    /// found by its usual spellings or not at all. Each must be read as the value it is made from.
    pub spellings: Option<fn(&str) -> Vec<String>>,
    /// From a side's value to the canonical one. Errors say what was found and what would be right.
    pub read: Apply,
    /// From the canonical value to a side's; `None` for a normaliser, which needs no way back.
    pub write: Option<Apply>,
}

impl Transform {
    /// How it is written in a mapping file: `"trim"`, `{ truncate = 80 }`.
    #[must_use]
    pub fn sample(&self) -> String {
        match self.takes {
            Takes::Nothing => format!("{:?}", self.name),
            Takes::Number | Takes::Text => format!("{{ {} = {} }}", self.name, self.example),
        }
    }

    /// Whether it is applied to both sides' values and leaves its own result as it is.
    #[must_use]
    pub const fn is_normaliser(&self) -> bool {
        self.write.is_none()
    }
}

/// One direction of a transform.
pub type Apply = fn(Value, &Argument) -> Result<Value, String>;

/// What argument a transform takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// None: `"trim"`.
    Nothing,
    /// A number: `{ truncate = 80 }`.
    Number,
    /// A text: `{ prefix = "HS-" }`.
    Text,
}

/// A transform's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// None.
    Nothing,
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// One step of a field: a transform with its argument.
#[derive(Clone)]
pub struct Step {
    /// The transform.
    pub transform: &'static Transform,
    /// Its argument.
    pub argument: Argument,
}

impl Step {
    /// Applies the step on the way in.
    ///
    /// # Errors
    /// The transform's words for a value that it cannot take.
    pub fn read(&self, value: Value) -> Result<Value, String> {
        (self.transform.read)(value, &self.argument)
    }

    /// Undoes the step on the way out.
    ///
    /// # Errors
    /// The transform's words for a value that it cannot take.
    pub fn write(&self, value: Value) -> Result<Value, String> {
        self.transform.write.map_or(Ok(value.clone()), |write| write(value, &self.argument))
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.argument {
            Argument::Nothing => write!(f, "{}", self.transform.name),
            Argument::Number(number) => write!(f, "{}({number})", self.transform.name),
            Argument::Text(text) => write!(f, "{}({text:?})", self.transform.name),
        }
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.transform.name == other.transform.name && self.argument == other.argument
    }
}

/// Every transform, in the order of the reference: normalisers first.
pub static REGISTRY: &[&Transform] = &[
    &blanks::TRIM,
    &blanks::COLLAPSE,
    &letters::LOWER,
    &letters::UPPER,
    &length::TRUNCATE,
    &phone::DIGITS,
    &phone::PHONE,
    &domain::DOMAIN,
    &company::COMPANY_NAME,
    &number::ROUND,
    &nothing::DEFAULT,
    &nothing::PLACEHOLDER,
    &affix::PREFIX,
    &affix::SUFFIX,
    &number::SCALE,
    &number::NUMBER_TEXT,
    &yes_no::YES_NO,
    &zone::DAY_IN,
];

/// The transform called `name`.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Transform> {
    REGISTRY.iter().copied().find(|transform| transform.name == name)
}

/// Applies a change to text; what becomes empty is blank.
fn on_text(value: Value, change: impl FnOnce(&str) -> String) -> Value {
    match value {
        Value::Text(text) => Value::text(change(&text)),
        other => other,
    }
}

/// Takes any argument of the right type.
fn any_argument(_: &Argument) -> Result<(), String> {
    Ok(())
}

#[cfg(test)]
mod tests;
