//! What a handoff does for a record, or would do now: its next steps, with what they say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::{Ground, mark, marked, queue_mark, subject};
use super::{sight, start};
use crate::handoff::level::calendar_of;
use crate::handoff::{Handoff, HandoffId, Witness, opens};
use crate::journal::LinkEntry;
use crate::mapping::handoff::{Calendar, FlowSpec, HandoffSpec, QueueTaskSpec, Sender, TaskSpec};
use crate::mapping::{Mapping, Template};
use crate::platform::Identity;
use crate::record::{PerSide, Raw};

/// The next steps of a record's handoff, in the order in which they are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Preview {
    /// Each of them; one at least.
    pub steps: Vec<Planned>,
}

/// A next step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Planned {
    /// What is made: `Salesforce task`, `HubSpot note`.
    pub what: String,
    /// Its subject, where it has one.
    pub subject: Option<String>,
    /// When it is due, if a handoff were opened now or as the open one says.
    #[schemars(with = "Option<String>")]
    pub due: Option<Timestamp>,
    /// What else is set, in words: `priority High`.
    pub details: Vec<String>,
    /// Its text, where it has one.
    pub text: Option<String>,
}

/// What is done for a link, were it handed off now, or as its open handoff was.
///
/// Nothing where the mapping asks for no next step.
#[must_use]
pub fn preview(
    mapping: &Mapping,
    link: &LinkEntry,
    handoffs: &[Handoff],
    identities: &PerSide<Option<Identity>>,
    now: Timestamp,
) -> Option<Preview> {
    let spec = mapping.handoff.as_ref()?;
    let rule = mapping.qualifications.iter().find(|it| spec.rules.contains(&it.name))?;
    let would_be = Handoff {
        id: HandoffId { link: link.id, nth: u32::try_from(handoffs.len()).ok()?.saturating_add(1) },
        mapping: mapping.name.clone(),
        rule: rule.name.clone(),
        reason: rule.reason.clone(),
        qualified_at: now,
        witness: Witness::Lockstep,
        groups: Default::default(),
        facts: Default::default(),
    };
    let (handoff, earlier) = match handoffs.split_last() {
        Some((last, earlier)) if !opens(handoffs) => (last, earlier),
        _ => (&would_be, handoffs),
    };
    let seen = sight(mapping, &link.base, now);
    let (_, calendar) = calendar_of(spec, &seen);
    let (base, records) = (&link.base, &link.records);
    let ground = Ground { mapping, base, records, identities, handoff, earlier, now };
    let steps = steps(spec, &ground, calendar);
    (!steps.is_empty()).then_some(Preview { steps })
}

fn detail(name: &str, value: &str) -> String {
    format!("{name} {value}")
}

fn steps(spec: &HandoffSpec, ground: &Ground<'_>, calendar: &Calendar) -> Vec<Planned> {
    let account = ground.identities.salesforce.as_ref().map_or("", |it| it.account.as_str());
    let mark = mark(ground.handoff, account);
    let says = |template: &Template| Some(marked(template, ground, &mark));
    let due = |span| calendar.add(ground.handoff.qualified_at, span);
    let in_salesforce = |what: String, task: &TaskSpec, mark: &str| {
        let mut details = vec![detail("priority", &task.priority)];
        details.extend(task.kind.as_deref().map(|kind| detail("type", kind)));
        Planned {
            what,
            subject: Some(subject(&task.subject, ground)),
            due: due(task.due),
            details,
            text: Some(marked(&task.text, ground, mark)),
        }
    };
    let mut steps = Vec::new();
    if let Some(task) = &spec.task {
        steps.push(in_salesforce("Salesforce task".to_owned(), task, &mark));
    }
    if let Some(task) = &spec.hubspot_task {
        let mut details = vec![detail("priority", task.priority), detail("type", &task.kind)];
        details.extend(task.queue.as_deref().map(|queue| detail("queue", queue)));
        steps.push(Planned {
            what: "HubSpot task".to_owned(),
            subject: Some(subject(&task.subject, ground)),
            due: due(task.due),
            details,
            text: says(&task.text),
        });
    }
    if let Some(note) = &spec.hubspot_note {
        let what = "HubSpot note".to_owned();
        steps.push(Planned { what, text: says(&note.text), ..Planned::default() });
    }
    if let Some(QueueTaskSpec { queue, task }) = &spec.queue_task {
        let what = format!("Salesforce task of the queue {queue}");
        steps.push(in_salesforce(what, task, &queue_mark(ground.handoff, account)));
    }
    if let Some(campaign) = &spec.campaign {
        let status = campaign.status.as_deref();
        steps.push(Planned {
            what: format!("membership of the Salesforce campaign {}", campaign.id),
            details: status.map(|status| detail("status", status)).into_iter().collect(),
            ..Planned::default()
        });
    }
    if let Some(flow) = &spec.flow {
        steps.push(flow_planned(flow, ground));
    }
    if let Some(sequence) = &spec.sequence {
        let owner = ground.handoff.owner().map(ToString::to_string);
        let sender = match &sequence.sender {
            Sender::User(email) => email.clone(),
            Sender::Owner => owner.unwrap_or_else(|| "the owner".to_owned()),
        };
        steps.push(Planned {
            what: format!("enrolment in the HubSpot sequence {}", sequence.id),
            details: vec![detail("sender", &sender)],
            ..Planned::default()
        });
    }
    steps
}

fn given(name: &str, value: &Raw) -> String {
    match value {
        Raw::Text(text) => format!("{name} {text:?}"),
        Raw::Number(number) => format!("{name} {number}"),
        Raw::Bool(yes) => format!("{name} {yes}"),
        Raw::Null => format!("{name} blank"),
    }
}

/// The start of a flow, with what its inputs would get.
fn flow_planned(flow: &FlowSpec, ground: &Ground<'_>) -> Planned {
    let details = match start::inputs(flow, ground) {
        Ok(inputs) => inputs.iter().map(|(name, value)| given(name, value)).collect(),
        Err(reason) => vec![reason],
    };
    let what = format!("start of the Salesforce flow {}", flow.name);
    Planned { what, details, ..Planned::default() }
}
