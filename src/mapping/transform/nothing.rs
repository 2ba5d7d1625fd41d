//! What stands for nothing.

use super::{Argument, Takes, Transform};
use crate::record::Value;

/// Reads a blank as a value.
pub static DEFAULT: Transform = Transform {
    name: "default",
    line: "reads a blank as a value",
    long: "`{ default = \"Other\" }`: a blank on either side counts as `\"Other\"`, so a blank \
           there and `\"Other\"` here agree. For a choice, it is the value's name in the mapping.",
    takes: Takes::Text,
    example: "\"Other\"",
    accepts: not_blank,
    suits: &["text", "choice"],
    spoken: None,
    spellings: None,
    read: fill,
    write: None,
};

/// Writes a text where there is nothing, and reads it as nothing.
pub static PLACEHOLDER: Transform = Transform {
    name: "placeholder",
    line: "stands for a blank on a side that insists on a value",
    long: "`{ placeholder = \"[not provided]\" }`: where there is nothing, `\"[not provided]\"` \
           is written; where it stands, there is nothing. For fields that one side requires, such \
           as a Lead's company.",
    takes: Takes::Text,
    example: "\"[not provided]\"",
    accepts: not_blank,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        Ok(match (&value, argument) {
            (Value::Text(text), Argument::Text(placeholder)) if text == placeholder => Value::Blank,
            _ => value,
        })
    },
    write: Some(fill),
};

fn fill(value: Value, argument: &Argument) -> Result<Value, String> {
    Ok(match (value, argument) {
        (Value::Blank, Argument::Text(text)) => Value::text(text),
        (value, _) => value,
    })
}

fn not_blank(argument: &Argument) -> Result<(), String> {
    match argument {
        Argument::Text(text) if !text.trim().is_empty() => Ok(()),
        _ => Err("what stands for a blank is a text that is not blank".to_owned()),
    }
}
