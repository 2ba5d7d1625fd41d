//! Stages, ways back and qualifications.

use std::collections::BTreeSet;

use super::{Declared, Sight, condition, values};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{BackFile, QualifyFile, StagesFile, items, unknown_name};
use crate::mapping::model::{BackRule, Field, Kind, Qualification, Stages};
use crate::mapping::parse::At;

pub(super) fn stages(
    file: &At<StagesFile>,
    fields: &[Field],
    declared: &Declared,
    findings: &mut Findings,
) -> Option<Stages> {
    let Some(field) = fields.iter().find(|field| field.name == file.field.value) else {
        if !declared.fields.contains(&file.field.value) {
            let known = declared.fields.iter().map(String::as_str);
            unknown_name("stages", &file.field, "field", known, findings);
        }
        return None;
    };
    if field.kind != Kind::Choice {
        let message =
            format!("`{}` holds {}, and a stage is a choice", field.name, field.kind.noun());
        findings
            .error("stages", &file.field.span, message)
            .help("write type = \"choice\" in the field, and list its values");
        return None;
    }
    let order: Vec<String> = match &file.order {
        Some(order) => {
            for stage in &order.value {
                stage_known(field, stage, findings);
            }
            order.value.iter().map(|stage| stage.value.clone()).collect()
        }
        None => {
            let mut seen = BTreeSet::new();
            let rows = field.table.iter().flat_map(|table| &table.rows);
            rows.filter(|row| seen.insert(&row.key)).map(|row| row.key.clone()).collect()
        }
    };
    if order.is_empty() {
        findings
            .error("stages", &file.span, "the stages have no order")
            .help("write order = [\"lead\", \"customer\"], earliest first");
        return None;
    }
    repeated(file, findings);
    let back = items(&file.back)
        .iter()
        .filter_map(|back| back_rule(back, &order, declared, findings))
        .collect();
    Some(Stages { field: field.name.clone(), order, back })
}

fn repeated(file: &StagesFile, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for stage in items(&file.order) {
        if !seen.insert(&stage.value) {
            findings
                .error("stages", &stage.span, format!("the stage `{}` stands twice", stage.value))
                .help("each stage has one place in the order");
        }
    }
}

fn stage_known(field: &Field, stage: &At<String>, findings: &mut Findings) {
    if field.table.is_some() && !field.knows_key(&stage.value) {
        let keys: BTreeSet<&str> =
            field.table.iter().flat_map(|table| &table.rows).map(|row| row.key.as_str()).collect();
        unknown_name("stages", stage, &format!("value of `{}` called", field.name), keys, findings);
    }
}

fn back_rule(
    file: &BackFile,
    order: &[String],
    declared: &Declared,
    findings: &mut Findings,
) -> Option<BackRule> {
    let place = |stage: &str| order.iter().position(|known| known == stage);
    let from: Vec<&At<String>> = file.from.iter().flat_map(|from| &from.0).collect();
    for stage in from.iter().copied().chain(&file.to) {
        if place(&stage.value).is_none() {
            let known = order.iter().map(String::as_str);
            unknown_name("stages", stage, "stage", known, findings);
        }
    }
    if let Some(to) = &file.to {
        let target = place(&to.value);
        for stage in from.iter().filter(|stage| place(&stage.value).is_some()) {
            if place(&stage.value) <= target {
                let message = format!("from `{}` to `{}` is not back", stage.value, to.value);
                findings
                    .error("stages", &stage.span, message)
                    .help("a way back leaves later stages only");
            }
        }
    }
    let sight = Sight { fields: &declared.fields, only: None };
    Some(BackRule {
        name: file.name.value.clone(),
        from: from.iter().map(|stage| stage.value.clone()).collect(),
        to: file.to.as_ref().map(|to| to.value.clone()),
        when: condition(&file.when, &sight, findings)?,
        reason: file.reason.value.clone(),
    })
}

pub(super) fn qualifications(
    files: &[At<QualifyFile>],
    fields: &[Field],
    declared: &Declared,
    findings: &mut Findings,
) -> Vec<Qualification> {
    let sight = Sight { fields: &declared.fields, only: None };
    let mut found = Vec::new();
    for file in files {
        let set = file.set.0.iter().filter_map(|(name, scalar)| {
            let Some(field) = fields.iter().find(|field| field.name == name.value) else {
                if !declared.fields.contains(&name.value) {
                    let known = declared.fields.iter().map(String::as_str);
                    unknown_name("qualify", name, "field", known, findings);
                }
                return None;
            };
            Some((name.value.clone(), values::value(field, scalar, findings)?))
        });
        let set = set.collect();
        let when = condition(&file.when, &sight, findings);
        let again = file.again.as_ref().map(|again| condition(again, &sight, findings));
        if let (Some(when), false) = (when, matches!(again, Some(None))) {
            found.push(Qualification {
                name: file.name.value.clone(),
                when,
                set,
                reason: file.reason.value.clone(),
                again: again.flatten(),
            });
        }
    }
    found
}
