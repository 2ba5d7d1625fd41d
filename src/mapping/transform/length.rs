//! The length of text.

use super::{Argument, Takes, Transform, on_text};

/// Keeps the first characters only.
pub static TRUNCATE: Transform = Transform {
    name: "truncate",
    line: "keeps the first characters only",
    long: "`{ truncate = 80 }` keeps 80 characters, without a blank at the end. The longer text \
           on the other side stays as long as nobody changes it.",
    takes: Takes::Number,
    example: "80",
    accepts: |argument| match argument {
        Argument::Number(most) if *most >= 1.0 && most.fract() == 0.0 => Ok(()),
        _ => Err("the number of characters to keep is a whole number above 0".to_owned()),
    },
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Number(most) = *argument else { return Ok(value) };
        Ok(on_text(value, |text| match text.char_indices().nth(most as usize) {
            Some((end, _)) => text[..end].trim_end().to_owned(),
            None => text.to_owned(),
        }))
    },
    write: None,
};
