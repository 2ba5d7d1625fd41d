//! Conditions, tried before a record meets them.

use std::collections::{BTreeMap, BTreeSet};

use super::Checked;
use crate::mapping::condition::{Condition, Facts};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{CreateFile, HandoffFile, TriggerBlock, TriggerFile, items};
use crate::mapping::model::{Field, Kind};
use crate::mapping::parse::At;
use crate::record::{Number, PerSide, Side, Value};

/// Every condition of the file; a scope with its side.
pub(super) fn all<'a>(checked: &'a Checked<'_>) -> Vec<(&'a At<String>, Option<Side>)> {
    let file = checked.file;
    let created = [&file.hubspot.create, &file.salesforce.create];
    let when = created.into_iter().flatten().filter_map(|create| match &create.value {
        CreateFile::Block(block) => Some(&block.when),
        CreateFile::Word(_) => None,
    });
    let back = file.stages.iter().flat_map(|stages| items(&stages.back)).map(|rule| &rule.when);
    let qualify =
        items(&file.qualify).iter().flat_map(|rule| std::iter::once(&rule.when).chain(&rule.again));
    let scopes = [(&file.hubspot.scope, Side::HubSpot), (&file.salesforce.scope, Side::Salesforce)];
    let scopes = scopes.into_iter().filter_map(|(scope, side)| Some((scope.as_ref()?, Some(side))));
    let handed = file.handoff.iter().flat_map(|handoff| handed_off(handoff));
    let all = when.chain(back).chain(qualify).chain(handed);
    scopes.chain(all.map(|condition| (condition, None))).collect()
}

/// The conditions of the block `[handoff]`.
fn handed_off(file: &HandoffFile) -> Vec<&At<String>> {
    let trigger = match file.when.as_ref().map(|when| &when.value) {
        Some(TriggerFile::Block(TriggerBlock::Condition(block))) => Some(&block.condition),
        _ => None,
    };
    let members = file.assign.iter().flat_map(|assign| items(&assign.member));
    let answers =
        file.answer.iter().flat_map(|answer| answer.accepted.iter().chain(&answer.returned));
    trigger
        .into_iter()
        .chain(items(&file.exclude).iter().map(|it| &it.when))
        .chain(items(&file.region).iter().map(|it| &it.when))
        .chain(members.filter_map(|it| it.when.as_ref()))
        .chain(answers)
        .collect()
}

/// The fields that a condition names.
fn named<'a>(checked: &Checked<'a>, condition: &Condition) -> Vec<&'a Field> {
    let names = condition.names();
    let field = |name: &String| {
        let name =
            name.strip_prefix("hubspot.").or(name.strip_prefix("salesforce.")).unwrap_or(name);
        checked.mapping.field(name.split('.').next().unwrap_or(name))
    };
    let mut found: Vec<&Field> = names.iter().filter_map(field).collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found.dedup_by(|left, right| left.name == right.name);
    found
}

/// Whether every name is a field's that could be compiled, or the engine's own. What else is wrong
/// with the others is told where it is.
fn all_known(checked: &Checked<'_>, condition: &Condition) -> bool {
    let fields = named(checked, condition);
    let known = |name: &str| {
        matches!(name, "now" | "range" | "dict")
            || name.starts_with("changed")
            || fields.iter().any(|field| {
                let plain = super::literals::plain(name);
                plain == field.name || plain.starts_with(&format!("{}.", field.name))
            })
    };
    condition.names().iter().all(|name| known(name))
}

/// A scope sees its own side only, so it names fields that live there.
pub(super) fn scopes(checked: &Checked<'_>, findings: &mut Findings) {
    for (text, side) in all(checked) {
        let Some(side) = side else { continue };
        let Ok(condition) = Condition::compile(text) else { continue };
        for field in named(checked, &condition) {
            if field.sides.get(side).is_none() {
                findings
                    .error(
                        "condition",
                        &text.span,
                        format!(
                            "{side}'s scope names `{}`, which has no place in {side}",
                            field.name
                        ),
                    )
                    .help("a scope sees its own side only, so the name would always be blank");
            }
        }
    }
}

/// Values of a field's type: nothing, the typical, the extreme.
fn probes(field: &Field) -> Vec<Value> {
    let number = |number: f64| Number::new(number).map(Value::Number);
    let mut found = vec![Value::Blank];
    match &field.kind {
        Kind::Text | Kind::Link { .. } => {
            found.extend(["text", "ÄÖÜ 'quoted' \"text\"", "0"].map(Value::text));
        }
        Kind::Owner => found.push(Value::text("ann@example.com")),
        Kind::Number => found.extend([0.0, 50.0, -1.0, 0.5, 1e15].into_iter().filter_map(number)),
        Kind::Bool => found.extend([Value::Bool(true), Value::Bool(false)]),
        Kind::Date => {
            found.extend(
                ["2026-11-22", "1970-01-01"]
                    .iter()
                    .filter_map(|day| day.parse().ok())
                    .map(Value::Date),
            );
        }
        Kind::DateTime => {
            found.extend(
                ["2026-11-22T09:00:00Z", "1970-01-01T00:00:00Z"]
                    .iter()
                    .filter_map(|moment| moment.parse().ok())
                    .map(Value::date_time),
            );
        }
        Kind::Choice | Kind::Choices => {
            let keys: BTreeSet<&String> =
                field.table.iter().flat_map(|table| &table.rows).map(|row| &row.key).collect();
            let mut keys: Vec<String> = keys.into_iter().cloned().collect();
            if keys.is_empty() {
                keys.push("choice".to_owned());
            }
            match field.kind {
                Kind::Choices => {
                    found.extend(keys.iter().map(|key| Value::choices([key.clone()])));
                    found.push(Value::choices(keys));
                }
                _ => found.extend(keys.into_iter().map(Value::text)),
            }
        }
    }
    found
}

fn facts(checked: &Checked<'_>, values: &BTreeMap<String, Value>, all_changed: bool) -> Facts {
    let mut every: BTreeMap<String, Value> =
        checked.mapping.fields.iter().map(|field| (field.name.clone(), Value::Blank)).collect();
    every.extend(values.clone());
    let changed: BTreeSet<String> =
        if all_changed { every.keys().cloned().collect() } else { BTreeSet::new() };
    Facts {
        merged: every.clone(),
        sides: PerSide { hubspot: every.clone(), salesforce: every },
        changed: PerSide { hubspot: changed.clone(), salesforce: changed },
        now: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// Tries each condition: all named fields blank, all typical, and each value of each field with the
/// others blank and typical.
pub(super) fn trials(checked: &Checked<'_>, findings: &mut Findings) {
    for (text, _) in all(checked) {
        let Ok(condition) = Condition::compile(text) else { continue };
        if !all_known(checked, &condition) {
            continue;
        }
        let fields = named(checked, &condition);
        let values: BTreeMap<&str, Vec<Value>> =
            fields.iter().map(|field| (field.name.as_str(), probes(field))).collect();
        let mut tries: Vec<BTreeMap<String, Value>> = Vec::new();
        for ground in [0, 1] {
            let base: BTreeMap<String, Value> = values
                .iter()
                .filter_map(|(name, values)| {
                    Some(((*name).to_owned(), values.get(ground)?.clone()))
                })
                .collect();
            for (name, values) in &values {
                for value in values {
                    let mut one = base.clone();
                    one.insert((*name).to_owned(), value.clone());
                    tries.push(one);
                }
            }
            tries.push(base);
        }
        let failure = tries.iter().find_map(|values| {
            [false, true].into_iter().find_map(|all_changed| {
                let error = condition.holds(&facts(checked, values, all_changed)).err()?;
                Some((values, error))
            })
        });
        let Some((values, error)) = failure else { continue };
        let where_: Vec<String> =
            values.iter().map(|(name, value)| format!("{name} is {value}")).collect();
        let span = crate::mapping::compile::within(text, error.range.clone(), findings);
        let place = if where_.is_empty() {
            String::new()
        } else {
            format!(" where {}", where_.join(" and "))
        };
        findings
            .error(
                "condition-trial",
                &span,
                format!("this condition gives no answer{place}: {error}"),
            )
            .label("here")
            .help("say first what a blank means, as in: score is not none and score + 1 > 50");
    }
}

/// `score < 50` holds for everybody without a score.
pub(super) fn blanks(checked: &Checked<'_>, findings: &mut Findings) {
    for (text, _) in all(checked) {
        let Ok(condition) = Condition::compile(text) else { continue };
        for field in named(checked, &condition) {
            if !matches!(field.kind, Kind::Number | Kind::Date | Kind::DateTime) {
                continue;
            }
            let name = &field.name;
            let compared = super::literals::compared_as_less(text, name);
            let guarded = text.contains(&format!("{name} is not none"))
                || text.contains(&format!("{name} is none"));
            if compared && !guarded {
                findings
                    .warning(
                        "condition-blank",
                        &text.span,
                        format!("this also holds where `{name}` is blank"),
                    )
                    .help(format!(
                        "a blank counts as less than everything; write: {name} is not none and …"
                    ));
            }
        }
    }
}
