//! What is done next: the Salesforce task, and what is asked for beside it.

use jiff::SignedDuration;

use super::{CODE, span_of_time, template};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    CampaignFile, HandoffFile, HubSpotNoteFile, HubSpotPriorityWord, HubSpotTaskFile,
    QueueTaskFile, TaskFile,
};
use crate::mapping::handoff::{
    CampaignSpec, HubSpotNoteSpec, HubSpotTaskSpec, QueueTaskSpec, TaskSpec,
};
use crate::mapping::parse::At;
use crate::mapping::template::Template;
use crate::record::{SalesforceId, object_of_prefix};

/// How long a task may take where the file does not say.
const DUE: SignedDuration = SignedDuration::from_hours(4);

pub(super) fn task_of(file: &TaskFile, findings: &mut Findings) -> Option<TaskSpec> {
    let subject = template(&file.subject, findings);
    let text = template(&file.text, findings);
    let own = Own {
        due: file.due.as_ref(),
        priority: file.priority.as_ref(),
        kind: file.r#type.as_ref(),
        status: file.status.as_ref(),
    };
    own.task(subject, text, None, findings)
}

/// What a Salesforce task says of itself besides its texts.
struct Own<'a> {
    due: Option<&'a At<String>>,
    priority: Option<&'a At<String>>,
    kind: Option<&'a At<String>>,
    status: Option<&'a At<String>>,
}

impl Own<'_> {
    /// The task, which takes from `other` what it does not say.
    fn task(
        &self,
        subject: Option<Template>,
        text: Option<Template>,
        other: Option<&TaskSpec>,
        findings: &mut Findings,
    ) -> Option<TaskSpec> {
        let due = match self.due {
            Some(due) => span_of_time(due, findings),
            None => Some(other.map_or(DUE, |other| other.due)),
        };
        let said = |own: Option<&At<String>>, other: Option<&String>| {
            own.map(|own| &own.value).or(other).cloned()
        };
        let priority = said(self.priority, other.map(|other| &other.priority));
        let status = said(self.status, other.map(|other| &other.status));
        Some(TaskSpec {
            subject: subject?,
            text: text?,
            due: due?,
            priority: priority.unwrap_or_else(|| "Normal".to_owned()),
            kind: said(self.kind, other.and_then(|other| other.kind.as_ref())),
            status: status.unwrap_or_else(|| "Not Started".to_owned()),
        })
    }
}

/// The text that a block has, or else the one of `[handoff.task]`.
fn borrowed(
    own: Option<&At<String>>,
    task: Option<&Template>,
    key: &str,
    block: &At<impl Sized>,
    findings: &mut Findings,
) -> Option<Template> {
    match (own, task) {
        (Some(own), _) => template(own, findings),
        (None, Some(task)) => Some(task.clone()),
        (None, None) => {
            // A task whose text cannot be read was told already.
            if !findings.blame(&block.span) {
                findings
                    .error(CODE, &block.span, format!("it has no `{key}`"))
                    .help(format!("write {key} = \"…\", or a [handoff.task] to take it from"));
            }
            None
        }
    }
}

/// The HubSpot task, which takes from the Salesforce task what it does not say itself.
pub(super) fn hubspot_task_of(
    file: &At<HubSpotTaskFile>,
    handoff: &HandoffFile,
    task: Option<&TaskSpec>,
    findings: &mut Findings,
) -> Option<HubSpotTaskSpec> {
    if handoff.task.is_some() && task.is_none() {
        return None;
    }
    let subject = task.map(|task| &task.subject);
    let subject = borrowed(file.subject.as_ref(), subject, "subject", file, findings);
    let text = borrowed(file.text.as_ref(), task.map(|task| &task.text), "text", file, findings);
    let due = match &file.due {
        Some(due) => span_of_time(due, findings),
        None => Some(task.map_or(DUE, |task| task.due)),
    };
    let priority = file.priority.as_ref().map_or(HubSpotPriorityWord::Unsaid, |word| word.value);
    if let Some(queue) = &file.queue
        && (queue.value.is_empty() || !queue.value.bytes().all(|byte| byte.is_ascii_digit()))
    {
        findings
            .error(CODE, &queue.span, format!("{:?} is no id of a task queue", queue.value))
            .help("write the number at the end of the address of the queue's page, in quotes");
        return None;
    }
    Some(HubSpotTaskSpec {
        subject: subject?,
        text: text?,
        due: due?,
        priority: HubSpotPriorityWord::WORDS[priority as usize],
        kind: file.r#type.as_ref().map_or_else(|| "TODO".to_owned(), |kind| kind.value.clone()),
        queue: file.queue.as_ref().map(|queue| queue.value.clone()),
    })
}

/// The HubSpot note.
pub(super) fn hubspot_note_of(
    file: &At<HubSpotNoteFile>,
    handoff: &HandoffFile,
    task: Option<&TaskSpec>,
    findings: &mut Findings,
) -> Option<HubSpotNoteSpec> {
    if handoff.task.is_some() && task.is_none() {
        return None;
    }
    let text = borrowed(file.text.as_ref(), task.map(|task| &task.text), "text", file, findings)?;
    Some(HubSpotNoteSpec { text })
}

/// The queue's task, which takes from the owner's what it does not say itself.
pub(super) fn queue_task_of(
    file: &At<QueueTaskFile>,
    handoff: &HandoffFile,
    task: Option<&TaskSpec>,
    findings: &mut Findings,
) -> Option<QueueTaskSpec> {
    if handoff.task.is_some() && task.is_none() {
        return None;
    }
    let queue = file.queue.value.trim();
    if queue.is_empty() {
        findings
            .error(CODE, &file.queue.span, "a queue without a name")
            .help("write the queue's label in Setup: queue = \"Inside Sales Calls\"");
    }
    let subject = task.map(|task| &task.subject);
    let subject = borrowed(file.subject.as_ref(), subject, "subject", file, findings);
    let text = borrowed(file.text.as_ref(), task.map(|task| &task.text), "text", file, findings);
    let own = Own {
        due: file.due.as_ref(),
        priority: file.priority.as_ref(),
        kind: file.r#type.as_ref(),
        status: file.status.as_ref(),
    };
    let task = own.task(subject, text, task, findings)?;
    (!queue.is_empty()).then(|| QueueTaskSpec { queue: queue.to_owned(), task })
}

/// The campaign.
pub(super) fn campaign_of(file: &CampaignFile, findings: &mut Findings) -> Option<CampaignSpec> {
    let status = file.status.as_ref().map(|status| status.value.clone());
    let wrong = match SalesforceId::parse(file.id.value.trim()) {
        Ok(id) if object_of_prefix(id.prefix()) == Some("Campaign") => {
            return Some(CampaignSpec { id: id.as_str().to_owned(), status });
        }
        Ok(_) => "it does not begin with 701".to_owned(),
        Err(error) => error.to_string(),
    };
    findings
        .error(CODE, &file.id.span, format!("{:?} is no campaign's id: {wrong}", file.id.value))
        .help("write the id from the address of the campaign's page: id = \"701…\"");
    None
}
