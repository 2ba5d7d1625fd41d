//! What stands before or after a side's text.

use super::{Argument, Takes, Transform, on_text};

/// Takes away what stands before a side's text.
pub static PREFIX: Transform = Transform {
    name: "prefix",
    line: "takes away what stands before a side's text, and writes it again",
    long: "`{ prefix = \"HS-\" }`: `\"HS-42\"` on this side is `\"42\"` in the mapping and on the \
           other side.",
    takes: Takes::Text,
    example: "\"HS-\"",
    accepts: not_empty,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Text(affix) = argument else { return Ok(value) };
        Ok(on_text(value, |text| text.strip_prefix(affix.as_str()).unwrap_or(text).to_owned()))
    },
    write: Some(|value, argument| {
        let Argument::Text(affix) = argument else { return Ok(value) };
        Ok(on_text(value, |text| format!("{affix}{text}")))
    }),
};

/// Takes away what stands after a side's text.
pub static SUFFIX: Transform = Transform {
    name: "suffix",
    line: "takes away what stands after a side's text, and writes it again",
    long: "`{ suffix = \" (HubSpot)\" }`: `\"Webinar (HubSpot)\"` on this side is `\"Webinar\"` \
           in the mapping and on the other side.",
    takes: Takes::Text,
    example: "\" (HubSpot)\"",
    accepts: not_empty,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Text(affix) = argument else { return Ok(value) };
        Ok(on_text(value, |text| text.strip_suffix(affix.as_str()).unwrap_or(text).to_owned()))
    },
    write: Some(|value, argument| {
        let Argument::Text(affix) = argument else { return Ok(value) };
        Ok(on_text(value, |text| format!("{text}{affix}")))
    }),
};

fn not_empty(argument: &Argument) -> Result<(), String> {
    match argument {
        Argument::Text(text) if !text.is_empty() => Ok(()),
        _ => Err("there is nothing to add or take away in empty text".to_owned()),
    }
}
