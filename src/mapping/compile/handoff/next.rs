//! What is done next: the Salesforce task, and what is asked for beside it.

use jiff::SignedDuration;

use super::{CODE, span_of_time, template};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    CampaignFile, HandoffFile, HubSpotNoteFile, HubSpotPriorityWord, HubSpotTaskFile, TaskFile,
};
use crate::mapping::handoff::{CampaignSpec, HubSpotNoteSpec, HubSpotTaskSpec, TaskSpec};
use crate::mapping::parse::At;
use crate::mapping::template::Template;
use crate::record::{SalesforceId, object_of_prefix};

/// How long a task may take where the file does not say.
const DUE: SignedDuration = SignedDuration::from_hours(4);

pub(super) fn task_of(file: &TaskFile, findings: &mut Findings) -> Option<TaskSpec> {
    let subject = template(&file.subject, findings);
    let text = template(&file.text, findings);
    let due = file.due.as_ref().map_or(Some(DUE), |due| span_of_time(due, findings));
    let or = |text: &Option<At<String>>, without: &str| {
        text.as_ref().map_or_else(|| without.to_owned(), |text| text.value.clone())
    };
    Some(TaskSpec {
        subject: subject?,
        text: text?,
        due: due?,
        priority: or(&file.priority, "Normal"),
        kind: file.r#type.as_ref().map(|kind| kind.value.clone()),
        status: or(&file.status, "Not Started"),
    })
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
