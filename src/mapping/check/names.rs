//! Names of fields, on the platforms and in the file.

use std::collections::BTreeMap;

use super::Checked;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{NamesFile, items};
use crate::mapping::parse::At;
use crate::record::Side;

/// API names, not labels.
pub(super) fn platform_names(checked: &Checked<'_>, findings: &mut Findings) {
    let file = checked.file;
    api_name(Side::HubSpot, &file.hubspot.id_field, findings);
    api_name(Side::HubSpot, &file.hubspot.object, findings);
    custom_object(&file.hubspot.object, findings);
    api_name(Side::Salesforce, &file.salesforce.id_field, findings);
    api_name(Side::Salesforce, &file.salesforce.object, findings);
    for key in items(&file.r#match) {
        api_name(Side::HubSpot, &key.hubspot, findings);
        api_name(Side::Salesforce, &key.salesforce, findings);
    }
    for (field, _) in checked.fields() {
        if let Some(name) = &field.hubspot {
            api_name(Side::HubSpot, name, findings);
        }
        match field.salesforce.as_ref().map(|names| (&names.value, &names.span)) {
            Some((NamesFile::Word(name), span)) => {
                let name = At { value: name.clone(), span: span.clone() };
                api_name(Side::Salesforce, &name, findings);
            }
            Some((NamesFile::Block(each), _)) => {
                for (_, name) in &each.0 {
                    api_name(Side::Salesforce, name, findings);
                }
            }
            None => {}
        }
    }
}

fn api_name(side: Side, name: &At<String>, findings: &mut Findings) {
    let (right, help) = match side {
        Side::HubSpot => (
            name.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '-')
            }),
            "HubSpot's internal names have small letters, digits and underscores: \
             `Lead Status` is the label of hs_lead_status",
        ),
        Side::Salesforce => (
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "Salesforce's API names have letters, digits and underscores, and end in __c where \
             they are custom: `Lead Score` may be the label of Lead_Score__c",
        ),
    };
    if name.is_empty() || !right {
        findings
            .error("name", &name.span, format!("{:?} is no API name of {side}", name.value))
            .help(help);
    }
}

/// HubSpot's own word for a custom object has two spellings, with and without the account's number,
/// and no webhook knows either of them: events carry the type id. (developers.hubspot.com, "Custom
/// objects".)
fn custom_object(name: &At<String>, findings: &mut Findings) {
    let after =
        name.strip_prefix('p').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    if after.is_some_and(|rest| rest.starts_with('_')) {
        findings
            .error("name", &name.span, format!("{:?} is the name of a custom object", name.value))
            .help(
                "write its type id, which webhooks call it by: the address of its list in HubSpot \
                 has it after objects/, such as 2-1234567",
            );
    }
}

/// The rules that apply once are remembered by their names.
pub(super) fn rule_names(checked: &Checked<'_>, findings: &mut Findings) {
    let back = checked.file.stages.iter().flat_map(|stages| items(&stages.back));
    let names = back
        .map(|rule| &rule.name)
        .chain(items(&checked.file.qualify).iter().map(|rule| &rule.name));
    let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
    for name in names {
        if seen.insert(name, ()).is_some() {
            findings
                .error(
                    "duplicate-name",
                    &name.span,
                    format!("two rules are called {:?}", name.value),
                )
                .label("given twice")
                .help("give each rule under [[qualify]] and [[stages.back]] its own name");
        }
    }
}

/// Two fields that write one place, or a field that writes an id field.
pub(super) fn written_twice(checked: &Checked<'_>, findings: &mut Findings) {
    let mapping = checked.mapping;
    let mut taken: BTreeMap<(Side, &str, &str), &str> = BTreeMap::new();
    for (file, field) in checked.fields() {
        for side in Side::BOTH.into_iter().filter(|side| field.flows_to(*side)) {
            let span = match side {
                Side::HubSpot => file.hubspot.as_ref().map(|name| &name.span),
                Side::Salesforce => file.salesforce.as_ref().map(|names| &names.span),
            };
            let span = span.unwrap_or(&file.name.span);
            let id_field = &mapping.sides.get(side).id_field;
            let names = field.sides.get(side).iter().flat_map(|place| &place.names);
            let mut told = false;
            for (object, name) in names {
                if name == id_field {
                    findings
                        .error(
                            "one-field-twice",
                            span,
                            format!("`{name}` holds the other side's id"),
                        )
                        .help("Lockstep writes it itself: leave this field out");
                } else if let Some(other) = taken.insert((side, object, name), &field.name)
                    && other != field.name
                    && !std::mem::replace(&mut told, true)
                {
                    let message = format!("`{other}` writes {object}'s `{name}` already");
                    findings
                        .error("one-field-twice", span, message)
                        .help("let one field write it; the other may be direction = \"read\"");
                }
            }
        }
    }
}

/// E-mail addresses are matched without regard to case and blanks.
pub(super) fn match_keys(checked: &Checked<'_>, findings: &mut Findings) {
    for key in items(&checked.file.r#match) {
        let email = [&key.hubspot, &key.salesforce]
            .into_iter()
            .any(|name| name.to_lowercase().contains("email"));
        let steps: Vec<&str> =
            items(&key.normalise).iter().map(|step| step.name.value.as_str()).collect();
        if email && !(steps.contains(&"lower") && steps.contains(&"trim")) {
            findings
                .warning("match", &key.span, "e-mail addresses are compared letter by letter")
                .label("Ada@Example.com would not be ada@example.com")
                .help("write normalise = [\"trim\", \"lower\"]");
        }
    }
}
