//! Rules that cannot decide, and rules that never get to.

use super::Checked;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{RuleWord, RulesFile, items};
use crate::mapping::model::{Direction, Field, Kind, Rule};
use crate::mapping::parse::At;

pub(super) fn conflict_rules(checked: &Checked<'_>, findings: &mut Findings) {
    for (file, field) in checked.fields() {
        if let Some(conflict) = &file.conflict
            && field.direction != Direction::Both
        {
            findings
                .error(
                    "rules",
                    &conflict.span,
                    format!("`{}` does not flow both ways, so it has no conflicts", field.name),
                )
                .help("leave `conflict` out; `far_edit` says what an edit on the far side does");
        }
        for rules in file.conflict.iter().chain(&file.first) {
            order(rules, findings);
            for rule in &rules.value.0 {
                fits(checked, field, rule, findings);
            }
        }
    }
}

/// Nothing comes after a rule that always decides.
fn order(rules: &At<RulesFile>, findings: &mut Findings) {
    if rules.0.is_empty() {
        findings
            .error("rules", &rules.span, "there is no rule in this list")
            .help("write [\"newest\", \"ask\"], or leave it out for the same");
    }
    let mut decided: Option<RuleWord> = None;
    for (place, rule) in rules.0.iter().enumerate() {
        if let Some(before) = decided {
            let before = word(before);
            findings
                .error("rules", &rule.span, format!("this rule is never asked: `{before}` decides"))
                .help(format!("put `{before}` last, or leave out what comes after it"));
        } else if rules.0[..place].iter().any(|other| other.value == rule.value) {
            findings
                .error("rules", &rule.span, "this rule stands in the list already")
                .help("a rule without an opinion has none the second time either");
        }
        // A side's rule has no opinion where that side is blank, at a first meeting at least; so
        // a side may come after the other side, and nothing after both.
        let sides = rules.0[..=place]
            .iter()
            .filter(|rule| matches!(rule.value, RuleWord::HubSpot | RuleWord::Salesforce));
        if rule.value == RuleWord::Ask || sides.count() == 2 {
            decided = decided.or(Some(rule.value));
        }
    }
}

fn fits(checked: &Checked<'_>, field: &Field, rule: &At<RuleWord>, findings: &mut Findings) {
    let ordered = matches!(field.kind, Kind::Number | Kind::Date | Kind::DateTime);
    match rule.value {
        RuleWord::Furthest
            if checked.mapping.stages.as_ref().is_none_or(|stages| stages.field != field.name) =>
        {
            // Stages that cannot be read, or that name no field, are told where they stand.
            let declared = checked.file.stages.as_ref().is_some_and(|stages| {
                *stages.field == field.name || checked.mapping.field(&stages.field).is_none()
            });
            if declared {
                return;
            }
            findings
                .error("rules", &rule.span, format!("`{}` is not the field of [stages]", field.name))
                .help(format!(
                    "`furthest` needs an order: add [stages] with field = {:?}, or choose another rule",
                    field.name
                ));
        }
        RuleWord::Highest | RuleWord::Lowest if !ordered => {
            let which = word(rule.value);
            findings
                .error("rules", &rule.span, format!("{} has no {which}", field.kind.noun()))
                .help("`highest` and `lowest` are for numbers and dates");
        }
        _ => {}
    }
}

const fn word(rule: RuleWord) -> &'static str {
    match rule {
        RuleWord::HubSpot => Rule::HubSpot.key(),
        RuleWord::Salesforce => Rule::Salesforce.key(),
        RuleWord::Newest => Rule::Newest.key(),
        RuleWord::Furthest => Rule::Furthest.key(),
        RuleWord::Highest => Rule::Highest.key(),
        RuleWord::Lowest => Rule::Lowest.key(),
        RuleWord::Ask => Rule::Ask.key(),
    }
}

/// A stage that both sides changed goes forward.
pub(super) fn stage_field(checked: &Checked<'_>, findings: &mut Findings) {
    let (Some(file), Some(stages)) = (&checked.file.stages, &checked.mapping.stages) else {
        return;
    };
    let Some(field) = checked.mapping.field(&stages.field) else { return };
    // Where a word in the field's block could not be read, it may have been this one.
    let mut from_here =
        items(&checked.file.field).iter().skip_while(|file| file.name.value != field.name);
    let from = from_here.next().map_or(0, |file| file.name.span.start);
    let to = from_here.next().map_or(usize::MAX, |file| file.name.span.start);
    let unread = findings.blame(&(from..to));
    if field.direction == Direction::Both && !field.rules.contains(&Rule::Furthest) && !unread {
        findings
            .warning(
                "stages",
                &file.field.span,
                "conflicts of the stage are not decided by `furthest`",
            )
            .help(format!("write conflict = [\"furthest\"] in the field `{}`", field.name));
    }
    let listed = field.table.iter().flat_map(|table| &table.rows);
    for row in listed {
        if !stages.order.contains(&row.key) {
            findings
                .warning(
                    "stages",
                    &file.span,
                    format!("the stage `{}` has no place in the order", row.key),
                )
                .help("it can neither be overtaken nor go back; name it in `order`");
        }
    }
}

/// What a qualification sets is written.
pub(super) fn qualifications(checked: &Checked<'_>, findings: &mut Findings) {
    for file in items(&checked.file.qualify) {
        if file.set.0.is_empty() {
            findings
                .error("qualify", &file.set.span, "this qualification sets nothing")
                .help("write set = { stage = \"marketingqualifiedlead\" }");
        }
        for (name, _) in &file.set.0 {
            let Some(field) = checked.mapping.field(&name.value) else { continue };
            if field.direction == Direction::Read {
                findings
                    .error("qualify", &name.span, format!("`{}` is only read", field.name))
                    .help("give the field a direction, or set another");
            }
        }
    }
}
