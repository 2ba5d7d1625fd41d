//! Reading TOML leniently: a mistake in one place hides none in another.
//!
//! serde stops at the first structural error, and an admin who must run the check ten times to hear
//! of ten typos stops running it. So the file's blocks are declared once, by the `block!` and
//! `words!` macros, and from the declaration come the Rust type, its JSON Schema, and a reader that
//! reports every unknown key, missing key and wrong type, and goes on.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Findings;

/// A value with its place in the file, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Range<usize>,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The place is no part of the schema.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// What can be read from a TOML value.
pub trait FromToml: Sized {
    /// What an admin calls it, with its article: `a text`.
    const NOUN: &'static str;

    /// Reads it, and reports what is wrong with it.
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self>;
}

/// Reads a value together with its place.
pub fn read<T: FromToml>(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<At<T>> {
    T::from_toml(found, findings).map(|value| At { value, span: found.span() })
}

/// Reports a value of a wrong type.
pub fn misfit(wanted: &str, found: &Spanned<DeValue<'_>>, findings: &mut Findings) {
    let noun = match found.get_ref() {
        DeValue::String(text) => format!("the text {text:?}"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(yes) => format!("{yes}"),
        DeValue::Datetime(moment) => format!("the date {moment}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a block".to_owned(),
    };
    findings
        .error("type", &found.span(), format!("this should be {wanted}, and is {noun}"))
        .label(format!("{wanted} belongs here"));
}

impl FromToml for String {
    const NOUN: &'static str = "a text in quotes";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

impl FromToml for bool {
    const NOUN: &'static str = "true or false";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

impl FromToml for f64 {
    const NOUN: &'static str = "a number";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        let number = match found.get_ref() {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|whole| whole as Self)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &Self| number.is_finite());
        if number.is_none() {
            misfit(Self::NOUN, found, findings);
        }
        number
    }
}

/// A list; items that cannot be read are reported and left out.
impl<T: FromToml> FromToml for Vec<At<T>> {
    const NOUN: &'static str = "a list";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::Array(items) => {
                Some(items.iter().filter_map(|item| read(item, findings)).collect())
            }
            DeValue::Table(_) => {
                misfit("a list, with its header in double brackets", found, findings);
                None
            }
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

/// Names that the admin chooses, each with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(pub Vec<(At<String>, At<T>)>);

impl<T: FromToml> FromToml for Named<T> {
    const NOUN: &'static str = "a block of names and values";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        let Some(table) = found.get_ref().as_table() else {
            misfit(Self::NOUN, found, findings);
            return None;
        };
        let entry = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
            let name = At { value: key.get_ref().clone().into_owned(), span: key.span() };
            Some((name, read(value, findings)?))
        };
        let mut entries: Vec<_> = table.iter().filter_map(entry).collect();
        entries.sort_by_key(|(name, _)| name.span.start);
        Some(Self(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        std::collections::BTreeMap::<String, T>::json_schema(generator)
    }
}

/// One text, or several in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Texts(pub Vec<At<String>>);

impl FromToml for Texts {
    const NOUN: &'static str = "a text, or a list of texts";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(text) => {
                Some(Self(vec![At { value: text.clone().into_owned(), span: found.span() }]))
            }
            DeValue::Array(_) => Vec::from_toml(found, findings).map(Self),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

impl JsonSchema for Texts {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
        })
    }
}

/// A block that is being read key by key.
pub struct Block<'a, 'f> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    noun: &'static str,
    findings: &'f mut Findings,
}

impl<'a, 'f> Block<'a, 'f> {
    /// Opens `found`, which an admin calls `noun`, and reports the keys that are not in `keys`.
    pub fn open(
        found: &'a Spanned<DeValue<'_>>,
        noun: &'static str,
        keys: &[&str],
        findings: &'f mut Findings,
    ) -> Option<Self> {
        let Some(table) = found.get_ref().as_table() else {
            misfit(noun, found, findings);
            return None;
        };
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !known.contains(name) {
                findings
                    .error("unknown-key", &key.span(), format!("{noun} has no key `{name}`"))
                    .label("not known here")
                    .help(format!("it knows {}", keys.join(", ")))
                    .suggest(name, keys.iter().copied());
            }
        }
        Some(Self { table, span: found.span(), noun, findings })
    }

    /// Reads `key`; `doc` is its documentation, and the help where it is wrong.
    pub fn entry<E: Entry>(&mut self, key: &'static str, doc: &'static str) -> Option<E> {
        E::entry(self, key, doc)
    }

    fn take<T: FromToml>(&mut self, key: &str, doc: &str) -> Option<Option<At<T>>> {
        let found = self.table.get(key)?;
        let before = self.findings.list.len();
        let value = read(found, self.findings);
        for finding in &mut self.findings.list[before..] {
            finding.help.get_or_insert_with(|| format!("`{key}`: {}", doc.trim()));
        }
        Some(value)
    }
}

/// What a key of a block may be: required ([`At`]) or optional ([`Option`] of [`At`]).
pub trait Entry: Sized {
    /// Reads the key from its block.
    fn entry(block: &mut Block<'_, '_>, key: &'static str, doc: &'static str) -> Option<Self>;
}

impl<T: FromToml> Entry for At<T> {
    fn entry(block: &mut Block<'_, '_>, key: &'static str, doc: &'static str) -> Option<Self> {
        if let Some(value) = block.take(key, doc) {
            return value;
        }
        let message = format!("{} needs `{key}`", block.noun);
        block
            .findings
            .error("missing-key", &block.span, message)
            .label(format!("`{key}` is missing"))
            .help(format!("`{key}`: {}", doc.trim()));
        None
    }
}

impl<T: FromToml> Entry for Option<At<T>> {
    fn entry(block: &mut Block<'_, '_>, key: &'static str, doc: &'static str) -> Option<Self> {
        Some(block.take(key, doc).flatten())
    }
}

/// Declares a block: its Rust type, its JSON Schema and its reader. The documentation of a key is
/// the help of its mistakes, so each has an example.
macro_rules! block {
    ($(#[$meta:meta])* $name:ident, $noun:literal {
        $( $(#[doc = $doc:literal])+ $key:ident: $type:ty, )*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name { $( $(#[doc = $doc])+ pub $key: $type, )* }

        impl $crate::mapping::parse::FromToml for $name {
            const NOUN: &'static str = $noun;
            fn from_toml(
                found: &toml::Spanned<toml::de::DeValue<'_>>,
                findings: &mut $crate::mapping::diagnostic::Findings,
            ) -> Option<Self> {
                let keys = [$( stringify!($key).trim_start_matches("r#") ),*];
                let mut block =
                    $crate::mapping::parse::Block::open(found, $noun, &keys, findings)?;
                $( let $key = block.entry(
                    stringify!($key).trim_start_matches("r#"), concat!($($doc),+)); )*
                Some(Self { $( $key: $key?, )* })
            }
        }
    };
}

/// Declares a choice of words: its Rust type, its JSON Schema and its reader.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $noun:literal {
        $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema)]
        pub enum $name { $( $(#[doc = $doc])+ #[schemars(rename = $word)] $variant, )* }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// What `word` stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $( $word => Some(Self::$variant), )* _ => None }
            }
        }

        impl $crate::mapping::parse::FromToml for $name {
            const NOUN: &'static str = $noun;
            fn from_toml(
                found: &toml::Spanned<toml::de::DeValue<'_>>,
                findings: &mut $crate::mapping::diagnostic::Findings,
            ) -> Option<Self> {
                let word = <String as $crate::mapping::parse::FromToml>::from_toml(found, findings)?;
                let meant = Self::from_word(&word);
                if meant.is_none() {
                    $crate::mapping::parse::unknown_word(
                        $noun, &word, Self::WORDS, &found.span(), findings);
                }
                meant
            }
        }
    };
}

pub(super) use {block, words};

/// Reports a word that is none of the known ones.
pub fn unknown_word(
    noun: &str,
    found: &str,
    known: &[&str],
    span: &Range<usize>,
    findings: &mut Findings,
) {
    let list: Vec<String> = known.iter().map(|word| format!("{word:?}")).collect();
    let parts: Vec<&str> = found.split(',').map(str::trim).collect();
    let finding = findings
        .error("unknown-word", span, format!("{found:?} is not {noun}"))
        .label("not known here")
        .help(format!("{noun} is one of {}", list.join(", ")));
    if parts.len() > 1 && parts.iter().all(|part| known.contains(part)) {
        finding.help(format!("several stand in a list: {parts:?}"));
    } else if let Some(usual) = usual_word(found).filter(|usual| known.contains(usual)) {
        finding.suggest(usual, [usual]);
    } else {
        finding.suggest(found, known.iter().copied());
    }
}

/// Our word for what the platforms, databases and other tools call by another.
fn usual_word(found: &str) -> Option<&'static str> {
    Some(match found.to_lowercase().replace(['-', '_', ' '], "").as_str() {
        "string" | "str" | "email" | "url" | "textarea" | "phonenumber" => "text",
        "int" | "integer" | "float" | "double" | "decimal" | "currency" | "percent" => "number",
        "bool" | "boolean" | "checkbox" | "booleancheckbox" => "yes-no",
        "timestamp" | "datetime" | "moment" => "date-time",
        "picklist" | "enum" | "enumeration" | "dropdown" | "select" | "radio" => "choice",
        "multipicklist" | "multiselect" | "checkboxes" => "choices",
        "user" | "person" => "owner",
        "mon" => "monday",
        "tue" | "tues" => "tuesday",
        "wed" => "wednesday",
        "thu" | "thur" | "thurs" => "thursday",
        "fri" => "friday",
        "sat" => "saturday",
        "sun" => "sunday",
        _ => return None,
    })
}
