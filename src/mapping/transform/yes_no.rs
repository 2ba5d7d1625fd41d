//! Yes and no in words.

use super::{Argument, Takes, Transform};
use crate::mapping::model::Kind;
use crate::record::Value;

/// Reads and writes yes and no as words.
pub static YES_NO: Transform = Transform {
    name: "yes_no",
    line: "reads and writes yes and no as words",
    long: "`{ yes_no = \"Ja/Nein\" }`, for a side that keeps yes and no in a text or choice \
           field: `\"Ja\"` is yes, `\"Nein\"` is no.",
    takes: Takes::Text,
    example: "\"Yes/No\"",
    accepts: |argument| words(argument).map(|_| ()),
    suits: &["yes-no"],
    spoken: Some(Kind::Text),
    spellings: None,
    read: |value, argument| match value {
        Value::Text(text) => {
            let (yes, no) = words(argument)?;
            match text.trim() {
                word if word.eq_ignore_ascii_case(yes) => Ok(Value::Bool(true)),
                word if word.eq_ignore_ascii_case(no) => Ok(Value::Bool(false)),
                word => Err(format!("{word:?} is neither {yes:?} nor {no:?}")),
            }
        }
        other => Ok(other),
    },
    write: Some(|value, argument| match value {
        Value::Bool(yes) => {
            let words = words(argument)?;
            Ok(Value::text(if yes { words.0 } else { words.1 }))
        }
        other => Ok(other),
    }),
};

fn words(argument: &Argument) -> Result<(&str, &str), String> {
    let found = match argument {
        Argument::Text(text) => text.split_once('/').map(|(yes, no)| (yes.trim(), no.trim())),
        _ => None,
    };
    found
        .filter(|(yes, no)| !yes.is_empty() && !no.is_empty() && !yes.eq_ignore_ascii_case(no))
        .ok_or_else(|| "name the words for yes and no with a stroke between: Yes/No".to_owned())
}
