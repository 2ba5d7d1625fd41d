//! From a file to a mapping: every name is looked up, every condition and transform compiled.

mod examples;
mod fields;
mod handoff;
mod rules;
mod sides;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::condition::Condition;
use super::diagnostic::Findings;
use super::file::{MappingFile, StepFile, UnknownOwnerWord, items, unknown_name};
use super::load::Loaded;
use super::model::{Kind, Mapping, MatchKey, UnknownOwner};
use super::parse::At;
use super::transform::{Argument, REGISTRY, Step, Takes, by_name};
use crate::record::{PerSide, Side};

/// The names that a file's blocks give.
#[derive(Debug)]
pub(super) struct Declared {
    /// The fields.
    pub(super) fields: BTreeSet<String>,
}

/// Words that conditions know already.
const RESERVED: &[&str] = &[
    "hubspot",
    "salesforce",
    "changed",
    "now",
    "range",
    "dict",
    "true",
    "false",
    "none",
    "not",
    "and",
    "or",
    "in",
    "is",
    "if",
    "else",
];

/// Compiles a file. Where anything is wrong, it is reported and the result is of no use but to
/// check further.
pub(super) fn compile(
    file: &MappingFile,
    declared: &Declared,
    findings: &mut Findings,
) -> Option<Mapping> {
    let objects = PerSide {
        hubspot: vec![file.hubspot.object.value.clone()],
        salesforce: std::iter::once(&file.salesforce.object)
            .chain(&file.salesforce.becomes)
            .map(|object| object.value.clone())
            .collect(),
    };
    let spec = sides::compile(file, declared, findings);
    let matching = items(&file.r#match)
        .iter()
        .map(|key| MatchKey {
            fields: PerSide {
                hubspot: key.hubspot.value.clone(),
                salesforce: key.salesforce.value.clone(),
            },
            normalise: normalisers(items(&key.normalise), &Kind::Text, findings),
        })
        .collect();
    let fields = fields::compile(items(&file.field), &objects, findings);
    let stages =
        file.stages.as_ref().and_then(|stages| rules::stages(stages, &fields, declared, findings));
    let mut qualifications =
        rules::qualifications(items(&file.qualify), &fields, declared, findings);
    let handoff = file.handoff.as_ref().and_then(|handoff| {
        let ground = handoff::Ground { fields: &fields, stages: stages.as_ref(), declared };
        handoff::compile(handoff, &ground, &mut qualifications, findings)
    });
    let queues = queues(file, findings);
    let mut mapping = Mapping {
        name: file.name.value.clone(),
        about: file.about.as_ref().map_or_else(String::new, |about| about.value.clone()),
        sides: spec?,
        matching,
        fields,
        stages,
        qualifications,
        handoff,
        queues,
        unknown_owner: match file.owners.as_ref().and_then(|owners| owners.unknown.as_ref()) {
            Some(word) if word.value == UnknownOwnerWord::Leave => UnknownOwner::Leave,
            _ => UnknownOwner::Reject,
        },
        examples: Vec::new(),
        fingerprint: 0,
    };
    mapping.fingerprint = super::fingerprint::of(&mapping);
    mapping.examples = examples::compile(items(&file.example), &mapping, declared, findings);
    super::check::run(file, &mapping, findings);
    Some(mapping)
}

/// What only all files together show: names given twice, links to unknown mappings.
pub(super) fn across(loaded: &mut [Loaded]) {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    for one in loaded.iter_mut() {
        let name = &one.file.name;
        let path = one.findings.source.path.clone();
        match first.get(&name.value) {
            Some(other) => {
                let message = format!("two mappings are called `{}`", name.value);
                one.findings
                    .error("duplicate-name", &name.span, message)
                    .label("given twice")
                    .help(format!("{other} has this name already; give each file its own"));
            }
            None => {
                first.insert(name.value.clone(), path);
            }
        }
    }
    let names: BTreeSet<String> = first.into_keys().collect();
    for one in loaded {
        for field in items(&one.file.field) {
            if let super::file::TypeFile::Block(link) = &field.r#type.value
                && !names.contains(&link.link.value)
            {
                let known = names.iter().map(String::as_str);
                unknown_name("link", &link.link, "mapping", known, &mut one.findings);
            }
        }
    }
}

fn queues(file: &MappingFile, findings: &mut Findings) -> BTreeMap<String, String> {
    let Some(queues) = file.owners.as_ref().and_then(|owners| owners.queues.as_ref()) else {
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for (queue, email) in &queues.0 {
        if !email.contains('@') {
            findings
                .error("owner", &email.span, format!("{:?} is no e-mail address", email.value))
                .help("name the HubSpot owner by address: \"Inbound\" = \"ann@example.com\"");
        }
        found.insert(queue.value.clone(), email.trim().to_lowercase());
    }
    found
}

/// What a condition may name.
pub(super) struct Sight<'a> {
    /// The fields.
    pub(super) fields: &'a BTreeSet<String>,
    /// The side whose values it sees alone, for a scope.
    pub(super) only: Option<Side>,
}

/// Compiles a condition and looks up its names.
pub(super) fn condition(
    text: &At<String>,
    sight: &Sight<'_>,
    findings: &mut Findings,
) -> Option<Condition> {
    let condition = match Condition::compile(&text.value) {
        Ok(condition) => condition,
        Err(error) => {
            let span = within(text, error.range.clone(), findings);
            findings
                .error("condition", &span, format!("this condition cannot be read: {error}"))
                .label("here")
                .help("write it as in: score >= 50 and stage in ['subscriber', 'lead']");
            return None;
        }
    };
    let mut sound = true;
    for name in condition.names() {
        let (root, rest) = match name.split_once('.') {
            Some((root, rest)) => (root, Some(rest)),
            None => (name.as_str(), None),
        };
        let side = Side::BOTH.into_iter().find(|side| side.key() == root);
        let hidden = match (sight.only, side) {
            (Some(only), Some(side)) => side != only,
            (Some(_), None) => root == "changed",
            (None, _) => false,
        };
        if hidden {
            let span = find(text, &name, findings);
            let only = sight.only.map_or("", Side::name);
            findings
                .error(
                    "condition",
                    &span,
                    format!("a scope sees only {only}'s values, not `{name}`"),
                )
                .help("decide by this side's values, or use create = { when = … }");
            sound = false;
            continue;
        }
        let wanted = match (side, root) {
            (Some(_), _) => rest.map(|rest| rest.split('.').next().unwrap_or(rest)),
            (None, "changed") => {
                changed_names(text, sight, findings);
                rest.filter(|rest| !Side::BOTH.iter().any(|side| side.key() == *rest))
            }
            (None, "now" | "range" | "dict") => None,
            (None, field) => Some(field),
        };
        let Some(wanted) = wanted else { continue };
        if sight.fields.contains(wanted) {
            continue;
        }
        sound = false;
        let at = At { value: wanted.to_owned(), span: find(text, wanted, findings) };
        unknown_name("condition", &at, "field", sight.fields.iter().map(String::as_str), findings);
    }
    sound.then_some(condition)
}

/// `'stage' in changed.hubspot`: the name in quotes is a field's.
fn changed_names(text: &At<String>, sight: &Sight<'_>, findings: &mut Findings) {
    for (at, _) in text.value.match_indices(" in changed") {
        let before = text.value[..at].trim_end();
        let Some(quote) = before.chars().last().filter(|last| matches!(last, '\'' | '"')) else {
            continue;
        };
        let inner = &before[..before.len() - 1];
        let Some(start) = inner.rfind(quote) else { continue };
        let name = &inner[start + 1..];
        if !sight.fields.contains(name) {
            let span = within(text, Some(start + 1..inner.len()), findings);
            let at = At { value: name.to_owned(), span };
            let known = sight.fields.iter().map(String::as_str);
            unknown_name("condition", &at, "field", known, findings);
        }
    }
}

/// Where `range` of the text's value stands in the file. Where the text is written with escapes,
/// the whole text.
pub(super) fn within(
    text: &At<String>,
    range: Option<Range<usize>>,
    findings: &Findings,
) -> Range<usize> {
    let Some(range) = range else { return text.span.clone() };
    let written = findings.source.text.get(text.span.clone()).unwrap_or("");
    match written.find(text.value.as_str()) {
        Some(offset) => {
            let start = text.span.start + offset;
            start + range.start.min(text.value.len())..start + range.end.min(text.value.len())
        }
        None => text.span.clone(),
    }
}

/// Where `name` first stands in the text as a word of its own.
pub(super) fn find(text: &At<String>, name: &str, findings: &Findings) -> Range<usize> {
    let wordy = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let place = text.value.match_indices(name).map(|(at, _)| at).find(|at| {
        !wordy(text.value[..*at].chars().next_back())
            && !wordy(text.value[at + name.len()..].chars().next())
    });
    within(text, place.map(|at| at..at + name.len()), findings)
}

/// Compiles the transforms of one side.
pub(super) fn steps(files: &[At<StepFile>], kind: &Kind, findings: &mut Findings) -> Vec<Step> {
    let mut found = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let Some(step) = step(file, kind, findings) else { continue };
        if place > 0 && step.transform.spoken.is_some() {
            let name = step.transform.name;
            findings
                .error("transform", &file.span, format!("`{name}` comes first"))
                .help("it reads the side's own value, so nothing can stand before it");
        }
        found.push(step);
    }
    found
}

/// Compiles the transforms of both sides together: only normalisers will do.
pub(super) fn normalisers(
    files: &[At<StepFile>],
    kind: &Kind,
    findings: &mut Findings,
) -> Vec<Step> {
    let mut found = Vec::new();
    for file in files {
        let Some(step) = step(file, kind, findings) else { continue };
        if step.transform.write.is_some() {
            let name = step.transform.name;
            findings.error("transform", &file.span, format!("`{name}` belongs to one side")).help(
                format!(
                    "it is undone on the way back, so write it as hubspot_transform or \
                     salesforce_transform: salesforce_transform = [{}]",
                    step.transform.sample()
                ),
            );
            continue;
        }
        found.push(step);
    }
    found
}

fn step(file: &At<StepFile>, kind: &Kind, findings: &mut Findings) -> Option<Step> {
    use super::file::Scalar;
    let Some(transform) = by_name(&file.name) else {
        let known = REGISTRY.iter().map(|transform| transform.name);
        unknown_name("transform", &file.name, "transform", known, findings);
        return None;
    };
    let argument = match (transform.takes, file.argument.as_ref().map(|argument| &argument.value)) {
        (Takes::Nothing, None) => Some(Argument::Nothing),
        (Takes::Number, Some(Scalar::Number(number))) => Some(Argument::Number(*number)),
        (Takes::Text, Some(Scalar::Text(text))) => Some(Argument::Text(text.clone())),
        _ => None,
    };
    let Some(argument) = argument else {
        let wants = match transform.takes {
            Takes::Nothing => "no argument",
            Takes::Number => "a number",
            Takes::Text => "a text",
        };
        findings
            .error("transform", &file.span, format!("`{}` takes {wants}", transform.name))
            .help(format!("write it as {}", transform.sample()));
        return None;
    };
    if let Err(message) = (transform.accepts)(&argument) {
        let span = file.argument.as_ref().map_or(&file.span, |argument| &argument.span);
        findings
            .error("transform", span, message)
            .help(format!("write it as {}", transform.sample()));
        return None;
    }
    if !transform.suits.contains(&kind.word()) {
        findings
            .error(
                "transform",
                &file.span,
                format!("`{}` does nothing to {}", transform.name, kind.noun()),
            )
            .help(format!("it is for {}", transform.suits.join(", ")));
        return None;
    }
    Some(Step { transform, argument })
}
