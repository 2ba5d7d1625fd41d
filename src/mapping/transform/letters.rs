//! The case of letters.

use super::{Takes, Transform, any_argument, on_text};

/// Makes letters small.
pub static LOWER: Transform = Transform {
    name: "lower",
    line: "makes letters small",
    long: "`\"Ada@Example.com\"` becomes `\"ada@example.com\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| Ok(on_text(value, str::to_lowercase)),
    write: None,
};

/// Makes letters capital.
pub static UPPER: Transform = Transform {
    name: "upper",
    line: "makes letters capital",
    long: "`\"de\"` becomes `\"DE\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| Ok(on_text(value, str::to_uppercase)),
    write: None,
};
