//! Blanks around and within text.

use super::{Takes, Transform, any_argument, on_text};

/// Takes blanks away from both ends.
pub static TRIM: Transform = Transform {
    name: "trim",
    line: "takes blanks away from both ends",
    long: "`\"  Ada \"` becomes `\"Ada\"`; text of nothing but blanks becomes blank.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| Ok(on_text(value, |text| text.trim().to_owned())),
    write: None,
};

/// Makes one blank of several.
pub static COLLAPSE: Transform = Transform {
    name: "collapse",
    line: "makes one blank of several, and takes them away from both ends",
    long: "`\"Ada   King\"` becomes `\"Ada King\"`; line breaks and tabs count as blanks.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| {
        Ok(on_text(value, |text| text.split_whitespace().collect::<Vec<_>>().join(" ")))
    },
    write: None,
};
