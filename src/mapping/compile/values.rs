//! Value tables, and values that stand in the file.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil};

use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    FieldFile, Scalar, UnlistedFile, UnlistedOne, UnlistedWord, ValueRowFile, items, unknown_name,
};
use crate::mapping::model::{Field, Kind, Table, TableRow, Unlisted};
use crate::mapping::parse::At;
use crate::record::{Number, PerSide, Raw, Value};

/// Compiles the values of a choice; `None` where the field lists none and both sides spell alike.
pub(super) fn table(file: &FieldFile, kind: &Kind, findings: &mut Findings) -> Option<Table> {
    let values = file.values.as_ref();
    if !matches!(kind, Kind::Choice | Kind::Choices) {
        for span in
            values.map(|at| &at.span).into_iter().chain(file.unlisted.as_ref().map(|at| &at.span))
        {
            findings
                .error("values", span, format!("{} has no table of values", kind.noun()))
                .help("only `type = \"choice\"` and `type = \"choices\"` do");
        }
        return None;
    }
    let Some(values) = values else {
        if let Some(unlisted) = &file.unlisted {
            findings
                .error("values", &unlisted.span, "`unlisted` without `values` means nothing")
                .help("list the values: values = [{ hubspot = \"NEW\", salesforce = \"New\" }]");
        }
        return None;
    };
    let keys = keys(&values.value, findings);
    let mut rows = Vec::new();
    for (row, key) in values.value.iter().zip(&keys) {
        let texts = |side: &Option<At<super::super::parse::Texts>>| -> Vec<String> {
            side.iter().flat_map(|texts| &texts.0).map(|text| text.value.clone()).collect()
        };
        let (hubspot, salesforce) = (texts(&row.hubspot), texts(&row.salesforce));
        for place in 0..hubspot.len().max(salesforce.len()) {
            rows.push(TableRow {
                key: key.clone(),
                hubspot: hubspot.get(place).cloned(),
                salesforce: salesforce.get(place).cloned(),
            });
        }
    }
    let known: BTreeSet<String> = keys.into_iter().collect();
    Some(Table { rows, unlisted: unlisted(file.unlisted.as_ref(), &known, findings) })
}

/// The canonical key of each row: rows that share a value on either side are one group, named
/// after its first row.
fn keys(rows: &[At<ValueRowFile>], findings: &mut Findings) -> Vec<String> {
    let mut groups: Vec<usize> = (0..rows.len()).collect();
    let mut seen: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    // For each row, the first of its values that an earlier one has too.
    let mut shared: BTreeMap<usize, (bool, &str)> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        for (is_hubspot, texts) in [(true, &row.hubspot), (false, &row.salesforce)] {
            for text in texts.iter().flat_map(|texts| &texts.0) {
                if text.is_empty() {
                    findings
                        .error("values", &text.span, "a blank is no value of a table")
                        .help("leave the row out; `blank` says what a blank does");
                }
                let first = *seen.entry((is_hubspot, text.as_str())).or_insert(place);
                if first != place {
                    shared.entry(place).or_insert((is_hubspot, text.as_str()));
                }
                let (one, other) = (groups[first], groups[place]);
                let (low, high) = (one.min(other), one.max(other));
                groups.iter_mut().filter(|group| **group == high).for_each(|group| *group = low);
            }
        }
        if row.hubspot.is_none() && row.salesforce.is_none() {
            findings
                .error("values", &row.span, "this row has a value on neither side")
                .help("write { hubspot = \"NEW\", salesforce = \"New\" }");
        }
    }
    let own_name = |row: &ValueRowFile| -> String {
        let first = |texts: &Option<At<super::super::parse::Texts>>| {
            texts.as_ref().and_then(|texts| texts.0.first()).map(|text| text.value.clone())
        };
        row.name
            .as_ref()
            .map(|name| name.value.clone())
            .or_else(|| first(&row.hubspot))
            .or_else(|| first(&row.salesforce))
            .unwrap_or_default()
    };
    let names: Vec<String> = groups.iter().map(|group| own_name(&rows[*group])).collect();
    let mut owner: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, (row, name)) in rows.iter().zip(&names).enumerate() {
        if let Some(given) = row.name.as_ref().filter(|given| given.value != *name) {
            let message = match shared.get(&place) {
                Some((true, text)) => format!("HubSpot's {text:?} belongs to `{name}` already"),
                Some((false, text)) => format!("Salesforce's {text:?} belongs to `{name}` already"),
                None => format!("this value is called `{name}` already"),
            };
            findings.error("values", &given.span, message).help(
                "rows that share a value are one value: take it out of one of them, or leave this \
                 row's name out",
            );
        }
        let first = *owner.entry(name).or_insert(groups[place]);
        if first != groups[place] {
            findings.error("values", &row.span, format!("two values are called `{name}`")).help(
                "give one of them another name: { name = \"…\", hubspot = …, salesforce = … }",
            );
        }
    }
    names
}

fn unlisted(
    file: Option<&At<UnlistedFile>>,
    known: &BTreeSet<String>,
    findings: &mut Findings,
) -> PerSide<Unlisted> {
    let mut one = |file: &UnlistedOne| match file {
        UnlistedOne::Word(UnlistedWord::Reject) => Unlisted::Reject,
        UnlistedOne::Word(UnlistedWord::Pass) => Unlisted::Pass,
        UnlistedOne::Block(stand_in) => {
            if !known.contains(&stand_in.r#use.value) {
                let known = known.iter().map(String::as_str);
                unknown_name("values", &stand_in.r#use, "value", known, findings);
            }
            Unlisted::Use(stand_in.r#use.value.clone())
        }
    };
    match file.map(|file| &file.value) {
        None => PerSide::default(),
        Some(UnlistedFile::Both(both)) => {
            let unlisted = one(both);
            PerSide { hubspot: unlisted.clone(), salesforce: unlisted }
        }
        Some(UnlistedFile::Each(each)) => PerSide {
            hubspot: each.hubspot.as_ref().map_or_else(Unlisted::default, |file| one(file)),
            salesforce: each.salesforce.as_ref().map_or_else(Unlisted::default, |file| one(file)),
        },
    }
}

/// A value of `field` as the file spells it: by the mapping's own names.
pub(super) fn value(field: &Field, scalar: &At<Scalar>, findings: &mut Findings) -> Option<Value> {
    let plain = match (&field.kind, &scalar.value) {
        (_, Scalar::Text(text)) if text.is_empty() => Some(Value::Blank),
        (Kind::Text | Kind::Link { .. }, Scalar::Text(text)) => Some(Value::text(text)),
        (Kind::Number, Scalar::Number(number)) => Number::new(*number).map(Value::Number),
        (Kind::Bool, Scalar::Bool(yes)) => Some(Value::Bool(*yes)),
        (Kind::Date, Scalar::Text(text)) => text.parse::<civil::Date>().ok().map(Value::Date),
        (Kind::DateTime, Scalar::Text(text)) => moment(text).map(Value::date_time),
        (Kind::Choice, Scalar::Text(key)) => {
            key_known(field, key, scalar, findings)?;
            Some(Value::text(key))
        }
        (Kind::Choices, Scalar::Text(key)) => {
            key_known(field, key, scalar, findings)?;
            Some(Value::choices([key.clone()]))
        }
        (Kind::Choices, Scalar::List(keys)) => {
            for key in keys {
                key_known(field, key, scalar, findings)?;
            }
            Some(Value::choices(keys.iter().map(|key| key.value.clone())))
        }
        (Kind::Owner, Scalar::Text(email)) => {
            email.contains('@').then(|| Value::text(email.trim().to_lowercase()))
        }
        _ => None,
    };
    let Some(plain) = plain else {
        let message = format!("`{}` holds {}, and this is none", field.name, field.kind.noun());
        findings.error("value", &scalar.span, message).help(format!(
            "write it as {}",
            match field.kind {
                Kind::Number => "50",
                Kind::Bool => "true",
                Kind::Date => "\"2026-11-22\"",
                Kind::DateTime => "\"2026-11-22T09:30:00Z\"",
                Kind::Owner => "\"ann@example.com\"",
                Kind::Choices => "[\"one\", \"another\"]",
                _ => "\"text\"",
            }
        ));
        return None;
    };
    match field.normalise.iter().try_fold(plain, |value, step| step.read(value)) {
        Ok(value) => Some(value),
        Err(message) => {
            findings.error("value", &scalar.span, message);
            None
        }
    }
}

fn key_known(field: &Field, key: &str, scalar: &At<Scalar>, findings: &mut Findings) -> Option<()> {
    if field.knows_key(key) {
        return Some(());
    }
    let keys: BTreeSet<&str> =
        field.table.iter().flat_map(|table| &table.rows).map(|row| row.key.as_str()).collect();
    let at = At { value: key.to_owned(), span: scalar.span.clone() };
    let what = format!("value of `{}` called", field.name);
    unknown_name("value", &at, &what, keys, findings);
    None
}

/// A moment, or midnight UTC of a day.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let day: civil::Date = text.parse().ok()?;
        day.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

/// A value in a platform's own spelling.
pub(super) fn raw(scalar: &Scalar) -> Raw {
    match scalar {
        Scalar::Text(text) if text.is_empty() => Raw::Null,
        Scalar::Text(text) => Raw::text(text),
        Scalar::Number(number) => Raw::Number(*number),
        Scalar::Bool(yes) => Raw::Bool(*yes),
        Scalar::List(choices) => {
            let choices: Vec<&str> = choices.iter().map(|choice| choice.as_str()).collect();
            Raw::text(choices.join(";"))
        }
    }
}

/// The texts of an optional list.
pub(super) fn texts(list: &Option<At<Vec<At<String>>>>) -> BTreeSet<String> {
    items(list).iter().map(|text| text.value.clone()).collect()
}
