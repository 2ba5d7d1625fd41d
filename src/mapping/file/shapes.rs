//! The words that keys take, and values that may be written in more than one way.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml::Spanned;
use toml::de::DeValue;

use crate::mapping::diagnostic::Findings;
use crate::mapping::parse::{At, FromToml, Named, block, misfit, read, words};

words! {
    /// What follows a deletion.
    OnDeleteWord, "what follows a deletion" {
        /// The link ends, the other record stays.
        Unlink = "unlink",
        /// The other record is deleted too.
        Follow = "follow",
        /// The link waits for the record to be restored.
        Ignore = "ignore",
    }
}

words! {
    /// Which way a field flows.
    DirectionWord, "a direction" {
        /// Both ways.
        Both = "both",
        /// To Salesforce only.
        ToSalesforce = "to-salesforce",
        /// To HubSpot only.
        ToHubSpot = "to-hubspot",
        /// Neither way: it is there for conditions.
        Read = "read",
    }
}

words! {
    /// What a far edit does.
    FarEditWord, "what a far edit does" {
        /// The near side's value is written again.
        Restore = "restore",
        /// It stays until the near side changes.
        Leave = "leave",
    }
}

words! {
    /// What an owner does whom nobody on the other side is.
    UnknownOwnerWord, "what an unknown owner does" {
        /// The field is not settled, and a reject says who is missing where.
        Reject = "reject",
        /// The owner stays, and nothing is written across.
        Leave = "leave",
    }
}

words! {
    /// What a blank does across.
    BlankWord, "what a blank does" {
        /// Nothing.
        Ignore = "ignore",
        /// It clears the value across.
        Clear = "clear",
    }
}

words! {
    /// A rule that decides between two values.
    RuleWord, "a rule" {
        /// HubSpot's value.
        HubSpot = "hubspot",
        /// Salesforce's value.
        Salesforce = "salesforce",
        /// The value that was set later.
        Newest = "newest",
        /// The later stage.
        Furthest = "furthest",
        /// The greater value.
        Highest = "highest",
        /// The smaller value.
        Lowest = "lowest",
        /// A person decides.
        Ask = "ask",
    }
}

words! {
    /// What a field holds.
    TypeWord, "a type" {
        /// Text.
        Text = "text",
        /// A number.
        Number = "number",
        /// A day.
        Date = "date",
        /// A moment.
        DateTime = "date-time",
        /// Yes or no.
        YesNo = "yes-no",
        /// One of a list.
        Choice = "choice",
        /// Several of a list.
        Choices = "choices",
        /// The person who owns the record.
        Owner = "owner",
    }
}

words! {
    /// Whether records are created.
    CreateWord, "whether records are created" {
        /// Never.
        Never = "never",
        /// For every record of the other side that takes part.
        Always = "always",
    }
}

words! {
    /// What an unlisted value does.
    UnlistedWord, "what an unlisted value does" {
        /// The field is not settled, and a reject names the value.
        Reject = "reject",
        /// The value passes as it is.
        Pass = "pass",
    }
}

block! {
    /// Records are created when this holds.
    CreateWhen, "{ when = … }" {
        /// The condition, over the values that the new record would get: `when = "score >= 50"`.
        when: At<String>,
    }
}

block! {
    /// The field holds a record of another mapping.
    LinkType, "{ link = … }" {
        /// The other mapping's name: `link = "companies"`.
        link: At<String>,
    }
}

block! {
    /// A listed value stands for an unlisted one.
    UnlistedUse, "{ use = … }" {
        /// The listed value, by its name: `use = "NEW"`.
        r#use: At<String>,
    }
}

block! {
    /// What an unlisted value does, by the side that it comes from.
    UnlistedSides, "what an unlisted value does" {
        /// A value of HubSpot: `hubspot = "pass"`.
        hubspot: Option<At<UnlistedOne>>,
        /// A value of Salesforce: `salesforce = { use = "NEW" }`.
        salesforce: Option<At<UnlistedOne>>,
    }
}

block! {
    /// What a blank does, by the side that it would be written to.
    BlankSides, "what a blank does" {
        /// In HubSpot: `to_hubspot = "clear"`.
        to_hubspot: Option<At<BlankWord>>,
        /// In Salesforce: `to_salesforce = "ignore"`.
        to_salesforce: Option<At<BlankWord>>,
    }
}

/// Reads a word or else a block.
macro_rules! word_or_block {
    ($(#[$meta:meta])* $name:ident, $noun:literal, $word:ty, $block:ty) => {
        $(#[$meta])*
        #[derive(Debug, Clone, JsonSchema)]
        #[schemars(untagged)]
        pub enum $name {
            /// A word.
            Word($word),
            /// A block.
            Block($block),
        }

        impl FromToml for $name {
            const NOUN: &'static str = $noun;
            fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
                match found.get_ref() {
                    DeValue::String(_) => <$word>::from_toml(found, findings).map(Self::Word),
                    DeValue::Table(_) => <$block>::from_toml(found, findings).map(Self::Block),
                    _ => {
                        misfit(Self::NOUN, found, findings);
                        None
                    }
                }
            }
        }
    };
}

pub(super) use word_or_block;

word_or_block! {
    /// Whether records are created.
    CreateFile, "a word or { when = … }", CreateWord, CreateWhen
}
word_or_block! {
    /// What a field holds.
    TypeFile, "a type in quotes or { link = … }", TypeWord, LinkType
}
word_or_block! {
    /// What an unlisted value does, on one side.
    UnlistedOne, "a word or { use = … }", UnlistedWord, UnlistedUse
}
word_or_block! {
    /// What a blank does.
    BlankFile, "a word or a block with to_hubspot and to_salesforce", BlankWord, BlankSides
}
word_or_block! {
    /// One name, or one for each object.
    NamesFile, "a field's name, or a name for each object", String, Named<String>
}

/// What an unlisted value does, on both sides or on each.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum UnlistedFile {
    /// On both sides.
    Both(UnlistedOne),
    /// On each.
    Each(UnlistedSides),
}

impl FromToml for UnlistedFile {
    const NOUN: &'static str = "a word, { use = … }, or one of these for each side";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        let has_use = found.get_ref().as_table().is_none_or(|table| table.contains_key("use"));
        if has_use {
            UnlistedOne::from_toml(found, findings).map(Self::Both)
        } else {
            UnlistedSides::from_toml(found, findings).map(Self::Each)
        }
    }
}

/// Whether assignment rules run: yes, no, or a rule's id.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub enum AssignFile {
    /// Whether the active rule runs.
    Active(bool),
    /// The rule with this id.
    Rule(String),
}

impl FromToml for AssignFile {
    const NOUN: &'static str = "true, false or a rule's id in quotes";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::Boolean(yes) => Some(Self::Active(*yes)),
            DeValue::String(id) => Some(Self::Rule(id.clone().into_owned())),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

/// One rule, or several in order.
#[derive(Debug, Clone)]
pub struct RulesFile(pub Vec<At<RuleWord>>);

impl FromToml for RulesFile {
    const NOUN: &'static str = "a rule, or a list of rules";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(_) => read(found, findings).map(|rule| Self(vec![rule])),
            // A list of which no rule can be read says nothing of what was meant.
            DeValue::Array(list) => Vec::from_toml(found, findings)
                .map(Self)
                .filter(|rules| !rules.0.is_empty() || list.is_empty()),
            _ => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

impl JsonSchema for RulesFile {
    fn schema_name() -> Cow<'static, str> {
        "Rules".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<RuleWord>();
        schemars::json_schema!({
            "description": "One rule, or several in order: the first with an opinion decides.",
            "anyOf": [rule, { "type": "array", "items": rule }]
        })
    }
}

/// A value as TOML can hold one.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Scalar {
    /// Text. Empty text is a blank.
    Text(String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// Several choices.
    List(Vec<At<String>>),
}

impl FromToml for Scalar {
    const NOUN: &'static str = "a text, a number, true, false, a date or a list of texts";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        match found.get_ref() {
            DeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            DeValue::Integer(_) | DeValue::Float(_) => {
                f64::from_toml(found, findings).map(Self::Number)
            }
            DeValue::Boolean(yes) => Some(Self::Bool(*yes)),
            DeValue::Datetime(moment) => Some(Self::Text(moment.to_string())),
            DeValue::Array(_) => Vec::from_toml(found, findings).map(Self::List),
            DeValue::Table(_) => {
                misfit(Self::NOUN, found, findings);
                None
            }
        }
    }
}

/// A transform, alone or with its argument: `"trim"`, `{ truncate = 80 }`.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFile {
    /// The transform.
    pub name: At<String>,
    /// Its argument.
    pub argument: Option<At<Scalar>>,
}

impl FromToml for StepFile {
    const NOUN: &'static str = "a transform: \"trim\" or { truncate = 80 }";
    fn from_toml(found: &Spanned<DeValue<'_>>, findings: &mut Findings) -> Option<Self> {
        if let DeValue::String(name) = found.get_ref() {
            let name = At { value: name.clone().into_owned(), span: found.span() };
            return Some(Self { name, argument: None });
        }
        match Named::<Scalar>::from_toml(found, findings)?.0.as_slice() {
            [(name, argument)] => {
                Some(Self { name: name.clone(), argument: Some(argument.clone()) })
            }
            other => {
                findings
                    .error(
                        "type",
                        &found.span(),
                        format!("a transform is one name, not {}", other.len()),
                    )
                    .help("write one block for each: [{ truncate = 80 }, { default = \"-\" }]");
                None
            }
        }
    }
}

impl JsonSchema for StepFile {
    fn schema_name() -> Cow<'static, str> {
        "Transform".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        use crate::mapping::transform::{REGISTRY, Takes};
        let one = |transform: &&crate::mapping::transform::Transform| {
            let plain =
                serde_json::json!({ "const": transform.name, "description": transform.line });
            let with = |kind: &str| {
                serde_json::json!({
                    "type": "object",
                    "description": transform.line,
                    "properties": { transform.name: { "type": kind } },
                    "required": [transform.name],
                    "additionalProperties": false
                })
            };
            match transform.takes {
                Takes::Nothing => plain,
                Takes::Number => with("number"),
                Takes::Text => with("string"),
            }
        };
        let each: Vec<_> = REGISTRY.iter().map(one).collect();
        schemars::json_schema!({ "oneOf": each })
    }
}
