//! Text that stands for nothing.

use super::{Argument, Takes, Transform};
use crate::record::Value;

/// Writes a text where there is nothing, and reads it as nothing.
pub static PLACEHOLDER: Transform = Transform {
    name: "placeholder",
    line: "stands for a blank on a side that insists on a value",
    long: "`{ placeholder = \"[not provided]\" }`: where there is nothing, `\"[not provided]\"` is \
           written; where it stands, there is nothing. For fields that one side requires: a Lead \
           has no life without a company.",
    takes: Takes::Text,
    example: "\"[not provided]\"",
    accepts: |argument| match argument {
        Argument::Text(text) if !text.trim().is_empty() => Ok(()),
        _ => Err("a placeholder is a text that is not blank".to_owned()),
    },
    suits: &["text"],
    spoken: None,
    read: |value, argument| {
        Ok(match (&value, argument) {
            (Value::Text(text), Argument::Text(placeholder)) if text == placeholder => Value::Blank,
            _ => value,
        })
    },
    write: Some(|value, argument| {
        Ok(match (value, argument) {
            (Value::Blank, Argument::Text(placeholder)) => Value::text(placeholder),
            (value, _) => value,
        })
    }),
};
