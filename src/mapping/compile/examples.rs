//! The blocks `[[example]]`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Declared, values};
use crate::mapping::diagnostic::Findings;
use crate::mapping::example::{Example, ExampleRecord, Expected};
use crate::mapping::file::{ExampleFile, Scalar, items, unknown_name};
use crate::mapping::model::Mapping;
use crate::mapping::parse::{At, Named};
use crate::record::{PerSide, Raw, Side, Value};

/// The time of an example that names none.
const NOW: &str = "2026-11-22T09:00:00Z";

pub(super) fn compile(
    files: &[At<ExampleFile>],
    mapping: &Mapping,
    declared: &Declared,
    findings: &mut Findings,
) -> Vec<Example> {
    let mut names = BTreeSet::new();
    for file in files {
        if !names.insert(&file.name.value) {
            findings
                .error(
                    "duplicate-name",
                    &file.name.span,
                    format!("two examples are called {:?}", file.name.value),
                )
                .help("say in the name what each example shows");
        }
    }
    files.iter().filter_map(|file| example(file, mapping, declared, findings)).collect()
}

fn example(
    file: &At<ExampleFile>,
    mapping: &Mapping,
    declared: &Declared,
    findings: &mut Findings,
) -> Option<Example> {
    let now = match &file.now {
        None => NOW.parse().ok(),
        Some(now) => time(now, findings),
    }?;
    let object = file.salesforce_object.as_ref();
    if let Some(object) = object {
        let spec = &mapping.sides.salesforce;
        let known = std::iter::once(spec.object.as_str()).chain(spec.becomes.as_deref());
        if !known.clone().any(|known| known == object.value) {
            unknown_name("example", object, "object", known, findings);
        }
    }
    let expect = &file.expect;
    let fields = |names: &Option<At<Vec<At<String>>>>, findings: &mut Findings| {
        for name in items(names) {
            field_known(name, declared, findings);
        }
        values::texts(names)
    };
    let rules: &[_] = expect.rules.as_ref().map_or(&[], |rules| &rules.0);
    for (name, _) in rules {
        field_known(name, declared, findings);
    }
    let changed = |side: Side| {
        let changed = file.changed.as_ref()?;
        match side {
            Side::HubSpot => changed.hubspot.as_ref(),
            Side::Salesforce => changed.salesforce.as_ref(),
        }
    };
    let spec = &mapping.sides;
    Some(Example {
        name: file.name.value.clone(),
        base: file.base.as_ref().map(|base| base_of(base, mapping, declared, findings)),
        records: PerSide {
            hubspot: file.hubspot.as_ref().map(|record| ExampleRecord {
                object: spec.hubspot.object.clone(),
                fields: raws(record, mapping, declared, Side::HubSpot, findings),
                changed: times(changed(Side::HubSpot), findings),
            }),
            salesforce: file.salesforce.as_ref().map(|record| ExampleRecord {
                object: object.map_or(&spec.salesforce.object, |object| &object.value).clone(),
                fields: raws(record, mapping, declared, Side::Salesforce, findings),
                changed: times(changed(Side::Salesforce), findings),
            }),
        },
        applied: values::texts(&file.applied),
        now,
        expect: Expected {
            writes: PerSide {
                hubspot: expect
                    .hubspot
                    .as_ref()
                    .map(|record| raws(record, mapping, declared, Side::HubSpot, findings))
                    .unwrap_or_default(),
                salesforce: expect
                    .salesforce
                    .as_ref()
                    .map(|record| raws(record, mapping, declared, Side::Salesforce, findings))
                    .unwrap_or_default(),
            },
            rules: rules
                .iter()
                .map(|(name, rule)| (name.value.clone(), rule.value.clone()))
                .collect(),
            conflicts: fields(&expect.conflicts, findings),
            rejects: fields(&expect.rejects, findings),
        },
        source: Arc::clone(&findings.source),
        span: file.name.span.clone(),
    })
}

fn field_known(name: &At<String>, declared: &Declared, findings: &mut Findings) {
    if !declared.fields.contains(&name.value) {
        let known = declared.fields.iter().map(String::as_str);
        unknown_name("example", name, "field", known, findings);
    }
}

fn base_of(
    base: &Named<Scalar>,
    mapping: &Mapping,
    declared: &Declared,
    findings: &mut Findings,
) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, scalar) in &base.0 {
        field_known(name, declared, findings);
        if let Some(field) = mapping.field(&name.value)
            && let Some(value) = values::value(field, scalar, findings)
        {
            found.insert(name.value.clone(), value);
        }
    }
    found
}

/// A record's values; a name that the mapping does not read there is a mistake of the example.
fn raws(
    record: &Named<Scalar>,
    mapping: &Mapping,
    declared: &Declared,
    side: Side,
    findings: &mut Findings,
) -> BTreeMap<String, Raw> {
    // A field that could not be read would have known some of the names.
    let unread = declared.fields.iter().any(|name| mapping.field(name).is_none());
    let spec = mapping.sides.get(side);
    let objects = std::iter::once(&spec.object).chain(&spec.becomes);
    let known: BTreeSet<String> = objects.flat_map(|object| mapping.names(side, object)).collect();
    for (name, _) in &record.0 {
        if !known.contains(&name.value) && !unread {
            let what = format!("field of {side} in this mapping called");
            unknown_name("example", name, &what, known.iter().map(String::as_str), findings);
        }
    }
    record.0.iter().map(|(name, scalar)| (name.value.clone(), values::raw(scalar))).collect()
}

fn times(
    changed: Option<&At<Named<Scalar>>>,
    findings: &mut Findings,
) -> BTreeMap<String, Timestamp> {
    let entries = changed.map_or(&[][..], |changed| &changed.0);
    entries
        .iter()
        .filter_map(|(name, moment)| Some((name.value.clone(), time(moment, findings)?)))
        .collect()
}

fn time(scalar: &At<Scalar>, findings: &mut Findings) -> Option<Timestamp> {
    let found = match &scalar.value {
        Scalar::Text(text) => values::moment(text),
        _ => None,
    };
    if found.is_none() {
        findings
            .error("value", &scalar.span, "this is no moment")
            .help("write it as \"2026-11-22T09:30:00Z\"");
    }
    found
}
