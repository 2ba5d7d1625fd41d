//! Numbers.

use super::{Argument, Takes, Transform, any_argument};
use crate::mapping::model::Kind;
use crate::record::{Number, Value};

/// Rounds to a number of decimals.
pub static ROUND: Transform = Transform {
    name: "round",
    line: "rounds to a number of decimals",
    long: "`{ round = 2 }` makes `12.34` of `12.344`; `{ round = 0 }` makes whole numbers.",
    takes: Takes::Number,
    example: "2",
    accepts: |argument| match argument {
        Argument::Number(decimals) if (0.0..=9.0).contains(decimals) && decimals.fract() == 0.0 => {
            Ok(())
        }
        _ => Err("the number of decimals is a whole number from 0 to 9".to_owned()),
    },
    suits: &["number"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Number(decimals) = *argument else { return Ok(value) };
        on_number(value, |number| round(number, decimals as i32))
    },
    write: None,
};

/// Multiplies a side's number, and divides on the way back.
pub static SCALE: Transform = Transform {
    name: "scale",
    line: "multiplies a side's number, and divides on the way back",
    long: "`{ scale = 100 }` on the side that counts in euros, for a mapping that counts in \
           cents. Results have six decimals at most.",
    takes: Takes::Number,
    example: "100",
    accepts: |argument| match argument {
        Argument::Number(factor) if (1e-4..=1e4).contains(&factor.abs()) => Ok(()),
        _ => Err("a factor is a number between 0.0001 and 10000".to_owned()),
    },
    suits: &["number"],
    spoken: None,
    spellings: None,
    read: |value, argument| {
        let Argument::Number(factor) = *argument else { return Ok(value) };
        on_number(value, |number| round(number * factor, 6))
    },
    write: Some(|value, argument| {
        let Argument::Number(factor) = *argument else { return Ok(value) };
        on_number(value, |number| round(number / factor, 12))
    }),
};

/// Reads and writes a number in a text field.
pub static NUMBER_TEXT: Transform = Transform {
    name: "number_text",
    line: "reads and writes a number in a text field",
    long: "For a side that keeps the number in a text field: `\"42\"` becomes `42`, and `42` is \
           written as `\"42\"`.",
    takes: Takes::Nothing,
    example: "",
    accepts: any_argument,
    suits: &["number"],
    spoken: Some(Kind::Text),
    spellings: None,
    read: |value, _| match value {
        Value::Text(text) => match text.trim().parse().ok().and_then(Number::new) {
            Some(number) => Ok(Value::Number(number)),
            None => Err(format!("{text:?} is not a number such as 1234.5")),
        },
        other => Ok(other),
    },
    write: Some(|value, _| {
        Ok(match value {
            Value::Number(number) => Value::text(number.to_string()),
            other => other,
        })
    }),
};

fn on_number(value: Value, change: impl FnOnce(f64) -> f64) -> Result<Value, String> {
    match value {
        Value::Number(number) => Number::new(change(number.get()))
            .map(Value::Number)
            .ok_or_else(|| format!("{number} is too large")),
        other => Ok(other),
    }
}

/// Rounds to `decimals`. Numbers too large to have that many are as round as they can be.
fn round(number: f64, decimals: i32) -> f64 {
    let unit = 10f64.powi(decimals);
    let scaled = number * unit;
    if scaled.abs() < 9e15 { scaled.round() / unit } else { number }
}
