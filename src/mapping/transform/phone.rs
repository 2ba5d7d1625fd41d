//! Telephone numbers.

use super::{Argument, Takes, Transform, any_argument, on_text};

/// Keeps digits only.
pub static DIGITS: Transform = Transform {
    name: "digits",
    line: "keeps digits only",
    long: "`\"DE 811-907\"` becomes `\"811907\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, _| Ok(on_text(value, digits)),
    write: None,
};

/// Brings telephone numbers to the international form.
pub static PHONE: Transform = Transform {
    name: "phone",
    line: "brings telephone numbers to the form +493012345",
    long: "`{ phone = \"49\" }` names the country code of numbers without one: \
           `\"(030) 123-45\"` and `\"0049 30 12345\"` both become `\"+493012345\"`. An extension \
           (from the first letter on) is left out; text without a digit stays.",
    takes: Takes::Text,
    example: "\"49\"",
    accepts: |argument| match argument {
        Argument::Text(code)
            if (1..=3).contains(&code.len())
                && code.bytes().all(|byte| byte.is_ascii_digit())
                && !code.starts_with('0') =>
        {
            Ok(())
        }
        _ => Err("a country code is one to three digits, such as 49".to_owned()),
    },
    suits: &["text"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Text(country) = argument else { return Ok(value) };
        Ok(on_text(value, |text| international(text, country)))
    },
    write: None,
};

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn international(text: &str, country: &str) -> String {
    let number = text.find(char::is_alphabetic).map_or(text, |letter| &text[..letter]);
    let dialled = digits(number);
    if dialled.is_empty() {
        return text.to_owned();
    }
    if number.trim_start_matches(|c: char| c == '(' || c.is_whitespace()).starts_with('+') {
        // The zero that is dialled within the country only is often written: +49 (0)30.
        let abroad = digits(&number.replace("(0)", ""));
        return format!("+{}", if abroad.is_empty() { dialled } else { abroad });
    }
    match (dialled.strip_prefix("00"), dialled.strip_prefix('0')) {
        (Some(abroad), _) if !abroad.is_empty() => format!("+{abroad}"),
        (_, Some(national)) if !national.is_empty() => format!("+{country}{national}"),
        _ => format!("+{country}{dialled}"),
    }
}
