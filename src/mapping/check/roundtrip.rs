//! What is written reads back as the same value, with a counter-example where it does not.

use std::collections::BTreeSet;

use super::{Checked, Nobody};
use crate::mapping::diagnostic::Findings;
use crate::mapping::domain::Reading;
use crate::mapping::file::FieldFile;
use crate::mapping::model::{Field, Kind, Mapping, Unlisted};
use crate::mapping::parse::At;
use crate::record::{Raw, Side, Value};

/// Text as people and forms leave it.
const TEXTS: &[&str] = &[
    "Ada King",
    "  ada   king ",
    "Ada@Example.COM",
    "https://www.Example.com/about",
    "+49 (0)30 123-45",
    "0042",
    "Straße",
    "-",
    "The quick brown fox jumps over the lazy dog, and over the lazy dog again, and then once more, \
     because a long text must be cut somewhere, and where it is cut there may be a blank",
];

const NUMBERS: &[f64] = &[0.0, 1.0, -1.0, 0.1, 49.99, 62.0, 1234.567, 1_000_000.0];

const MOMENTS: &[&str] = &[
    "2026-05-01T07:25:37Z",
    "2026-12-31T23:30:00Z",
    "2024-02-29T00:00:00Z",
    "1999-06-15T12:00:00Z",
];

pub(super) fn run(checked: &Checked<'_>, findings: &mut Findings) {
    for (file, field) in checked.fields() {
        if matches!(field.kind, Kind::Choice | Kind::Choices) && field.table.is_some() {
            rows(checked.mapping, file, field, findings);
        } else {
            transforms(checked.mapping, file, field, findings);
        }
    }
}

/// The object of `side` on which the field lives.
fn object(field: &Field, side: Side) -> Option<&str> {
    field.sides.get(side).as_ref()?.names.keys().next().map(String::as_str)
}

/// What `raw` on `side` means, where it means a value.
fn value(mapping: &Mapping, field: &Field, side: Side, raw: &Raw) -> Option<Value> {
    match field.read(mapping, side, object(field, side)?, raw, &Nobody) {
        Reading::Value(value) => Some(value),
        Reading::Aside(_) | Reading::Bad(_) => None,
    }
}

/// Every row of a table, there and back.
fn rows(mapping: &Mapping, file: &At<FieldFile>, field: &Field, findings: &mut Findings) {
    let Some(table) = &field.table else { return };
    let span = file.values.as_ref().map_or(&file.span, |values| &values.span);
    let row_span = |place: &str| {
        let row = file.values.iter().flat_map(|values| &values.value).find(|row| {
            [&row.hubspot, &row.salesforce]
                .into_iter()
                .flatten()
                .any(|texts| texts.0.iter().any(|text| text.value == place))
        });
        row.map_or_else(|| span.clone(), |row| row.span.clone())
    };
    let mut told = BTreeSet::new();
    for from in Side::BOTH {
        let to = from.other();
        if !field.flows_to(to) {
            continue;
        }
        for found in table.rows.iter().filter_map(|row| row.on(from)) {
            let Some(key) = value(mapping, field, from, &Raw::text(found)) else { continue };
            match field.write(mapping, to, &key, &Nobody) {
                Err(bad) => {
                    if told.insert((to, key.to_string())) {
                        findings
                            .warning(
                                "round-trip",
                                &row_span(found),
                                format!(
                                    "{from}'s {found:?} cannot be written to {to}: {}",
                                    bad.message
                                ),
                            )
                            .help(format!(
                                "give the row a value for {to}; until then it is rejected"
                            ));
                    }
                }
                Ok(written) => {
                    let back = value(mapping, field, to, &written);
                    if back.as_ref() != Some(&key) {
                        differs(
                            field,
                            to,
                            &key,
                            &written,
                            back.as_ref(),
                            &row_span(found),
                            findings,
                        );
                    }
                }
            }
        }
        passing(field, from, span, findings);
    }
}

/// An unlisted value that passes must be able to pass back.
fn passing(field: &Field, from: Side, span: &std::ops::Range<usize>, findings: &mut Findings) {
    let Some(table) = &field.table else { return };
    let to = from.other();
    let one_way = !field.flows_to(from);
    if *table.unlisted.get(from) == Unlisted::Pass
        && *table.unlisted.get(to) != Unlisted::Pass
        && !one_way
    {
        findings
            .error(
                "round-trip",
                span,
                format!("what {from} passes unlisted, {to} does not give back"),
            )
            .help("let unlisted values pass on both sides: unlisted = \"pass\"");
    }
}

/// Odd values through the transforms of each side that is written.
fn transforms(mapping: &Mapping, file: &At<FieldFile>, field: &Field, findings: &mut Findings) {
    for to in Side::BOTH.into_iter().filter(|side| field.flows_to(*side)) {
        let own = match to {
            Side::HubSpot => &file.hubspot_transform,
            Side::Salesforce => &file.salesforce_transform,
        };
        let span = own
            .as_ref()
            .or(file.transform.as_ref())
            .map_or(&file.name.span, |transform| &transform.span);
        let counter = probes(&field.kind).into_iter().find_map(|raw| {
            let value_there = Side::BOTH
                .into_iter()
                .rev()
                .find_map(|from| value(mapping, field, from, &raw).filter(|_| from != to))
                .or_else(|| value(mapping, field, to, &raw))?;
            let written = field.write(mapping, to, &value_there, &Nobody).ok()?;
            let back = value(mapping, field, to, &written);
            (back.as_ref() != Some(&value_there)).then_some((value_there, written, back))
        });
        if let Some((value, written, back)) = counter {
            differs(field, to, &value, &written, back.as_ref(), span, findings);
        }
    }
}

fn probes(kind: &Kind) -> Vec<Raw> {
    match kind {
        Kind::Text | Kind::Choice => TEXTS.iter().map(|text| Raw::text(*text)).collect(),
        Kind::Number => NUMBERS.iter().map(|number| Raw::Number(*number)).collect(),
        Kind::Date | Kind::DateTime => MOMENTS.iter().map(|text| Raw::text(*text)).collect(),
        Kind::Bool => vec![Raw::Bool(true), Raw::Bool(false)],
        Kind::Choices => vec![Raw::text("one;two")],
        Kind::Owner | Kind::Link { .. } => Vec::new(),
    }
}

fn differs(
    field: &Field,
    side: Side,
    value: &Value,
    written: &Raw,
    back: Option<&Value>,
    span: &std::ops::Range<usize>,
    findings: &mut Findings,
) {
    let spelled = match written {
        Raw::Text(text) => format!("{text:?}"),
        Raw::Number(number) => number.to_string(),
        Raw::Bool(yes) => yes.to_string(),
        Raw::Null => "a blank".to_owned(),
    };
    let back =
        back.map_or_else(|| "nothing that can be used".to_owned(), |back| format!("\"{back}\""));
    findings
        .error(
            "round-trip",
            span,
            format!(
                "`{}` does not come back as it was: \"{value}\" is written to {side} as {spelled}, \
                 and read as {back}",
                field.name
            ),
        )
        .help("each settlement would take its own write for a change; change the transforms or the values");
}
