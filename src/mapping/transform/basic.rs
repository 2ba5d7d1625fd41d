//! Blanks around text, and the case of letters.

use super::{Argument, Takes, Transform};
use crate::record::Value;

/// Takes blanks away from both ends.
pub static TRIM: Transform = Transform {
    name: "trim",
    line: "takes blanks away from both ends",
    long: "`\"trim\"`: `\"  Ada \"` becomes `\"Ada\"`; text of nothing but blanks becomes blank.",
    takes: Takes::Nothing,
    example: "",
    accepts: |_| Ok(()),
    suits: &["text"],
    spoken: None,
    read: |value, _: &Argument| Ok(on_text(value, |text| text.trim().to_owned())),
    write: None,
};

/// Makes letters small.
pub static LOWER: Transform = Transform {
    name: "lower",
    line: "makes letters small",
    long: "`\"lower\"`: `\"Ada@Example.com\"` becomes `\"ada@example.com\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: |_| Ok(()),
    suits: &["text"],
    spoken: None,
    read: |value, _: &Argument| Ok(on_text(value, |text| text.to_lowercase())),
    write: None,
};

/// Makes letters capital.
pub static UPPER: Transform = Transform {
    name: "upper",
    line: "makes letters capital",
    long: "`\"upper\"`: `\"de\"` becomes `\"DE\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: |_| Ok(()),
    suits: &["text"],
    spoken: None,
    read: |value, _: &Argument| Ok(on_text(value, |text| text.to_uppercase())),
    write: None,
};

fn on_text(value: Value, change: impl FnOnce(&str) -> String) -> Value {
    match value {
        Value::Text(text) => Value::text(change(&text)),
        other => other,
    }
}
