//! Deadlines, and what is done about them.

use super::{CODE, once, span_of_time, target};
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    EscalateFile, GoalWord, HandoffFile, HeirFile, HeirWord, LevelsFile, items, unknown_name,
};
use crate::mapping::handoff::{Act, Assignment, Escalation, Goal, Heir, Level, ServiceLevels};
use crate::mapping::parse::At;

/// Deadlines and escalations.
pub(super) fn levels(
    file: &HandoffFile,
    assign: &Assignment,
    findings: &mut Findings,
) -> ServiceLevels {
    let none = LevelsFile { touch: None, accept: None, lapse: None };
    let levels = file.levels.as_ref().map_or(&none, |levels| &levels.value);
    let mut level = |text: &Option<At<String>>| {
        let within = span_of_time(text.as_ref()?, findings)?;
        Some(Level { within })
    };
    let mut found = ServiceLevels {
        touch: level(&levels.touch),
        accept: level(&levels.accept),
        lapse: level(&levels.lapse).map(|level| level.within),
        escalations: Vec::new(),
    };
    if let (Some(lapse), Some(text)) = (found.lapse, &levels.lapse)
        && [&found.touch, &found.accept].into_iter().flatten().any(|level| level.within > lapse)
    {
        findings
            .error(CODE, &text.span, "it lapses before a deadline has passed")
            .help("a handoff lapses when it is too late for everything: make `lapse` the longest");
    }
    once(items(&file.escalate).iter().map(|it| &it.name), "escalations", findings);
    found.escalations = items(&file.escalate)
        .iter()
        .filter_map(|it| escalation(it, file, &found, assign, findings))
        .collect();
    found
}

fn escalation(
    file: &At<EscalateFile>,
    handoff: &HandoffFile,
    levels: &ServiceLevels,
    assign: &Assignment,
    findings: &mut Findings,
) -> Option<Escalation> {
    let goal = match file.goal.value {
        GoalWord::Touch => Goal::Touch,
        GoalWord::Accept => Goal::Accept,
    };
    let level = match goal {
        Goal::Touch => &levels.touch,
        Goal::Accept => &levels.accept,
    };
    let Some(level) = level else {
        let given = handoff.levels.as_ref().and_then(|levels| match goal {
            Goal::Touch => levels.touch.as_ref(),
            Goal::Accept => levels.accept.as_ref(),
        });
        // One that is there and cannot be read was told already.
        if given.is_none() {
            let message = format!("there is no deadline for the {}", goal.words());
            findings.error(CODE, &file.goal.span, message).help("write it under [handoff.levels]");
        }
        return None;
    };
    let after = match (&file.before, &file.after) {
        (Some(before), None) => {
            let span = span_of_time(before, findings)?;
            if span >= level.within || span.is_zero() {
                findings
                    .error(
                        CODE,
                        &before.span,
                        "a warning comes between the beginning and the deadline",
                    )
                    .help("write less than the deadline's own time");
                return None;
            }
            -span
        }
        (None, Some(after)) => span_of_time(after, findings)?,
        _ => {
            findings
                .error(CODE, &file.span, "an escalation has either `before` or `after`")
                .help("write before = \"1h\" for a warning, after = \"0m\" for a breach");
            return None;
        }
    };
    Some(Escalation {
        name: file.name.value.clone(),
        goal,
        after,
        act: act(file, handoff, assign, findings)?,
    })
}

fn act(
    file: &At<EscalateFile>,
    handoff: &HandoffFile,
    assign: &Assignment,
    findings: &mut Findings,
) -> Option<Act> {
    match (&file.notice, &file.priority, &file.reassign) {
        (Some(webhook), None, None) => {
            let known = items(&handoff.webhook).iter().map(|it| it.name.value.as_str());
            if !known.clone().any(|name| name == webhook.value) {
                unknown_name(CODE, webhook, "webhook", known, findings);
                return None;
            }
            Some(Act::Notice(webhook.value.clone()))
        }
        (None, Some(priority), None) => {
            if handoff.task.is_none() {
                findings
                    .error(CODE, &priority.span, "there is no task to raise")
                    .help("write a block [handoff.task]");
                return None;
            }
            Some(Act::Priority(priority.value.clone()))
        }
        (None, None, Some(heir)) => match &heir.value {
            HeirFile::Word(HeirWord::Next) => {
                if !matches!(assign, Assignment::Robin(_)) {
                    findings.error(CODE, &heir.span, "nobody takes turns, so nobody is next").help(
                        "write to = \"turns\" under [handoff.assign], or name who takes over",
                    );
                    return None;
                }
                Some(Act::Reassign(Heir::Next))
            }
            HeirFile::Block(found) => Some(Act::Reassign(Heir::Target(target(found, findings)?))),
        },
        _ => {
            findings
                .error(CODE, &file.span, "an escalation does one thing")
                .help("write one of `notice`, `priority` and `reassign`; two steps for two things");
            None
        }
    }
}
