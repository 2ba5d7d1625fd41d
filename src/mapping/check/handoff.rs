//! The texts of the block `[handoff]`, tried before a record meets them.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::Checked;
use crate::mapping::compile::find;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    FlowInputFile, HandoffFile, HubSpotTaskFile, QueueTaskFile, TaskFile, unknown_name,
};
use crate::mapping::handoff::NextStep;
use crate::mapping::parse::At;
use crate::mapping::template::Template;
use crate::record::Side;

/// What a text may name besides fields, with the names within.
const KNOWN: &[(&str, &[&str])] = &[
    ("handoff", &["key", "rule", "reason", "qualified_at", "number", "earlier"]),
    ("links", &["hubspot", "salesforce"]),
    ("owner", &[]),
    ("now", &[]),
    ("ids", &["hubspot", "salesforce"]),
    ("changed", &["hubspot", "salesforce"]),
    ("hubspot", &[]),
    ("salesforce", &[]),
    ("range", &[]),
    ("dict", &[]),
    ("namespace", &[]),
];

fn texts<'a>(checked: &Checked<'a>) -> impl Iterator<Item = &'a At<String>> {
    let handoff = checked.file.handoff.as_ref();
    let task = handoff.and_then(|handoff| handoff.task.as_ref());
    let of = |task: &'a At<TaskFile>| [&task.value.subject, &task.value.text];
    let hubspot_task = handoff.and_then(|handoff| handoff.hubspot_task.as_ref());
    let note = handoff.and_then(|handoff| handoff.hubspot_note.as_ref());
    let own =
        |task: &'a At<HubSpotTaskFile>| [task.value.subject.as_ref(), task.value.text.as_ref()];
    let queue_task = handoff.and_then(|handoff| handoff.queue_task.as_ref());
    let of_queue =
        |task: &'a At<QueueTaskFile>| [task.value.subject.as_ref(), task.value.text.as_ref()];
    task.map(of)
        .into_iter()
        .flatten()
        .chain(hubspot_task.map(own).into_iter().flatten().flatten())
        .chain(note.and_then(|note| note.value.text.as_ref()))
        .chain(queue_task.map(of_queue).into_iter().flatten().flatten())
        .chain(flow_texts(handoff))
}

fn flow_texts(handoff: Option<&At<HandoffFile>>) -> impl Iterator<Item = &At<String>> {
    let inputs = handoff.and_then(|it| it.value.flow.as_ref()?.value.inputs.as_ref());
    inputs.into_iter().flat_map(|inputs| &inputs.value.0).filter_map(|(_, input)| {
        match &input.value {
            FlowInputFile::Text(text) => Some(text),
            FlowInputFile::Number(_) | FlowInputFile::Bool(_) => None,
        }
    })
}

/// Calls and e-mails that HubSpot shows are of contacts.
fn touches_hold(checked: &Checked<'_>, handoff: &HandoffFile, findings: &mut Findings) {
    let asked = handoff.touch.as_ref().and_then(|touch| touch.value.hubspot.as_ref());
    let object = &checked.mapping.sides.hubspot.object;
    if let Some(asked) = asked.filter(|asked| asked.value)
        && object != "contacts"
    {
        findings
            .error("handoff", &asked.span, format!("nobody calls or writes to {object}"))
            .help("calls and e-mails in HubSpot count for contacts: leave it out");
    }
}

/// Each further next step is about a kind of record that it can be about. A task in Salesforce can be
/// about every object that has activities.
pub(super) fn steps_hold(checked: &Checked<'_>, findings: &mut Findings) {
    let Some(handoff) = &checked.file.handoff else { return };
    touches_hold(checked, handoff, findings);
    let steps = [
        (NextStep::HubSpotTask, handoff.hubspot_task.as_ref().map(|it| &it.span)),
        (NextStep::HubSpotNote, handoff.hubspot_note.as_ref().map(|it| &it.span)),
        (NextStep::Campaign, handoff.campaign.as_ref().map(|it| &it.span)),
        (NextStep::Sequence, handoff.sequence.as_ref().map(|it| &it.span)),
    ];
    for (step, span) in steps {
        let Some(span) = span else { continue };
        let sides = &checked.mapping.sides;
        let (object, known) = match step.side() {
            Side::HubSpot if step == NextStep::Sequence => {
                (&sides.hubspot.object, &["contacts"][..])
            }
            Side::HubSpot => (&sides.hubspot.object, &["contacts", "companies", "deals"][..]),
            Side::Salesforce => (&sides.salesforce.object, &["Lead", "Contact"][..]),
        };
        if !known.contains(&object.as_str()) {
            findings
                .error("handoff", span, format!("{} cannot be about {object}", step.words()))
                .help(format!("it can be about {}: leave the block out", known.join(", ")));
        }
    }
}

/// Looks up every name and renders each text with nothing known, and with something in each place.
pub(super) fn texts_hold(checked: &Checked<'_>, findings: &mut Findings) {
    for text in texts(checked) {
        let Ok(template) = Template::compile(text) else { continue };
        if !names(checked, text, &template, findings) {
            continue;
        }
        let trials = [("nothing is known", json!({})), ("everything is", full(checked))];
        for (when, values) in trials {
            if let Err(error) = template.render(&values, usize::MAX) {
                let span = crate::mapping::compile::within(text, error.range.clone(), findings);
                findings
                    .error("template", &span, format!("this text cannot be made where {when}: {error}"))
                    .label("here")
                    .help("a blank has no letters and no digits: {{ company|default('') }}, {% if score %} … {% endif %}");
                break;
            }
        }
    }
}

fn names(
    checked: &Checked<'_>,
    text: &At<String>,
    template: &Template,
    findings: &mut Findings,
) -> bool {
    let fields: Vec<&str> =
        checked.mapping.fields.iter().map(|field| field.name.as_str()).collect();
    let mut sound = true;
    for name in template.names() {
        let (root, rest) =
            name.split_once('.').map_or((name.as_str(), None), |(a, b)| (a, Some(b)));
        let side = Side::BOTH.into_iter().any(|side| side.key() == root);
        let within = KNOWN.iter().find(|(known, _)| *known == root).map(|(_, within)| *within);
        let (wanted, known): (&str, Vec<&str>) = match (side, within, rest) {
            (true, _, Some(rest)) => (rest.split('.').next().unwrap_or(rest), fields.clone()),
            (false, Some(within), Some(rest)) if !within.is_empty() => {
                (rest.split('.').next().unwrap_or(rest), within.to_vec())
            }
            (_, Some(_), _) => continue,
            (_, None, _) => {
                let mut known = fields.clone();
                known.extend(KNOWN.iter().take(5).map(|(name, _)| *name));
                // A field may be called as what stands there besides, or be written twice.
                let mut seen = BTreeSet::new();
                known.retain(|name| seen.insert(*name));
                (root, known)
            }
        };
        if known.contains(&wanted) {
            continue;
        }
        sound = false;
        let at = At { value: wanted.to_owned(), span: find(text, wanted, findings) };
        unknown_name("template", &at, "value", known, findings);
    }
    sound
}

/// Something in each place.
fn full(checked: &Checked<'_>) -> Json {
    let fields: Map<String, Json> =
        checked.mapping.fields.iter().map(|field| (field.name.clone(), sample(field))).collect();
    let mut all = fields.clone();
    all.insert("hubspot".to_owned(), fields.clone().into());
    all.insert("salesforce".to_owned(), fields.into());
    all.insert("owner".to_owned(), "ann@example.com".into());
    all.insert("now".to_owned(), "2026-11-22T09:00:00Z".into());
    all.insert("links".to_owned(), json!({"hubspot": "https://a", "salesforce": "https://b"}));
    all.insert("ids".to_owned(), json!({"hubspot": "101", "salesforce": "00Q000000000001EAA"}));
    let earlier = json!([{"number": 1, "state": "returned", "reason": "no budget",
        "qualified_at": "2026-05-01T09:00:00Z", "owner": "ann@example.com"}]);
    all.insert(
        "handoff".to_owned(),
        json!({"key": "L7-1", "rule": "score", "reason": "the score reached 50", "number": 2,
            "qualified_at": "2026-11-22T09:00:00Z", "earlier": earlier}),
    );
    all.into()
}

fn sample(field: &crate::mapping::Field) -> Json {
    use crate::mapping::Kind;
    match field.kind {
        Kind::Number => json!(62.0),
        Kind::Bool => json!(true),
        Kind::Date => json!("2026-11-22"),
        Kind::DateTime => json!("2026-11-22T09:00:00Z"),
        Kind::Choices => json!(["one", "two"]),
        Kind::Text | Kind::Choice | Kind::Owner | Kind::Link { .. } => json!("text"),
    }
}
