//! What conditions compare fields with.
//!
//! The engine compares anything with anything: a typo in a stage's name gives a condition that
//! never holds. So the comparisons of a field with a written value are read off the text.

use std::ops::Range;

use super::Checked;
use super::conditions::all;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::unknown_name;
use crate::mapping::model::{Field, Kind};
use crate::mapping::parse::At;

/// A piece of a condition.
#[derive(Debug, Clone, PartialEq)]
enum Token<'a> {
    /// A name, dotted.
    Name(&'a str),
    /// Text in quotes, without them.
    Text(&'a str),
    /// A number.
    Number,
    /// An operator or bracket.
    Sign(&'a str),
}

/// Cuts a condition into pieces, each with its place.
fn tokens(text: &str) -> Vec<(Token<'_>, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let run = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '\'' | '"' => {
                let end = rest[1..].find(first).map_or(rest.len() - 1, |end| end);
                (Token::Text(&rest[1..=end]), (end + 2).min(rest.len()))
            }
            c if c.is_ascii_digit() => {
                (Token::Number, run(|c| c.is_ascii_digit() || matches!(c, '.' | '_')))
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = run(|c| c.is_alphanumeric() || matches!(c, '_' | '.'));
                (Token::Name(&rest[..length]), length)
            }
            '=' | '!' | '<' | '>' if rest[1..].starts_with('=') => (Token::Sign(&rest[..2]), 2),
            c => (Token::Sign(&rest[..c.len_utf8()]), c.len_utf8()),
        };
        found.push((token, at..at + length));
        at += length;
    }
    found
}

/// Whether `name` is compared by `<` or `<=` from the left, or `>` or `>=` from the right.
pub(super) fn compared_as_less(text: &str, name: &str) -> bool {
    let tokens: Vec<Token<'_>> = tokens(text).into_iter().map(|(token, _)| token).collect();
    let is_field = |token: &Token<'_>| match token {
        Token::Name(found) => plain(found) == name,
        _ => false,
    };
    tokens.windows(3).any(|three| match three {
        [left, Token::Sign("<" | "<="), Token::Number | Token::Text(_)] => is_field(left),
        [Token::Number | Token::Text(_), Token::Sign(">" | ">="), right] => is_field(right),
        _ => false,
    })
}

/// The field of a name: `hubspot.stage` is `stage`.
pub(super) fn plain(name: &str) -> &str {
    name.strip_prefix("hubspot.").or(name.strip_prefix("salesforce.")).unwrap_or(name)
}

pub(super) fn run(checked: &Checked<'_>, findings: &mut Findings) {
    for (text, _) in all(checked) {
        let pieces = tokens(text);
        for place in 0..pieces.len() {
            compare(checked, text, &pieces[place..], findings);
        }
    }
}

/// Looks at a comparison that begins with the first of `pieces`.
fn compare(
    checked: &Checked<'_>,
    text: &At<String>,
    pieces: &[(Token<'_>, Range<usize>)],
    findings: &mut Findings,
) {
    let field_of = |token: &Token<'_>| match token {
        Token::Name(name) => checked.mapping.field(plain(name)),
        _ => None,
    };
    let tokens: Vec<&Token<'_>> = pieces.iter().take(4).map(|(token, _)| token).collect();
    match tokens.as_slice() {
        [left, Token::Sign("==" | "!=" | "<" | "<=" | ">" | ">="), right, ..] => {
            if let Some(field) = field_of(left) {
                one(field, text, &pieces[2], findings);
            } else if let Some(field) = field_of(right) {
                one(field, text, &pieces[0], findings);
            }
        }
        [left, Token::Name("in"), Token::Sign("[" | "("), ..] => {
            if let Some(field) = field_of(left) {
                list(field, text, &pieces[3..], findings);
            }
        }
        [left, Token::Name("not"), Token::Name("in"), Token::Sign("[" | "(")] => {
            if let Some(field) = field_of(left) {
                list(field, text, &pieces[4..], findings);
            }
        }
        [Token::Text(_), Token::Name("in"), right, ..] => {
            if let Some(field) = field_of(right).filter(|field| field.kind == Kind::Choices) {
                one(field, text, &pieces[0], findings);
            }
        }
        _ => {}
    }
}

fn list(
    field: &Field,
    text: &At<String>,
    pieces: &[(Token<'_>, Range<usize>)],
    findings: &mut Findings,
) {
    for piece in pieces.iter().take_while(|(token, _)| !matches!(token, Token::Sign("]" | ")"))) {
        one(field, text, piece, findings);
    }
}

/// Whether a field can hold what it is compared with.
fn one(
    field: &Field,
    text: &At<String>,
    (token, range): &(Token<'_>, Range<usize>),
    findings: &mut Findings,
) {
    let span = crate::mapping::compile::within(text, Some(range.clone()), findings);
    let name = &field.name;
    match (token, &field.kind) {
        (Token::Text(key), Kind::Choice | Kind::Choices) if !field.knows_key(key) => {
            let keys: std::collections::BTreeSet<&str> = field
                .table
                .iter()
                .flat_map(|table| &table.rows)
                .map(|row| row.key.as_str())
                .collect();
            let at = At { value: (*key).to_owned(), span };
            unknown_name(
                "condition-value",
                &at,
                &format!("value of `{name}` called"),
                keys,
                findings,
            );
        }
        (Token::Text(_), Kind::Number | Kind::Bool) => {
            let right =
                if field.kind == Kind::Number { format!("{name} >= 50") } else { name.clone() };
            findings
                .error(
                    "condition-value",
                    &span,
                    format!("`{name}` holds {}, and this is a text", field.kind.noun()),
                )
                .help(format!("write it without quotes: {right}"));
        }
        (Token::Number, kind) if !matches!(kind, Kind::Number) => {
            findings
                .error(
                    "condition-value",
                    &span,
                    format!("`{name}` holds {}, and this is a number", kind.noun()),
                )
                .help(match kind {
                    Kind::Date | Kind::DateTime => {
                        format!("write the day in quotes: {name} >= '2026-11-22'")
                    }
                    Kind::Bool => format!("write {name} or not {name}"),
                    _ => format!("write it in quotes: {name} == '50'"),
                });
        }
        _ => {}
    }
}
