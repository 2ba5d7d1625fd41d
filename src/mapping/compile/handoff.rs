//! The block `[handoff]`.

mod calendar;
mod levels;
mod next;
mod start;

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;

use super::{Declared, Sight, condition, within};
use crate::mapping::condition::Condition;
use crate::mapping::diagnostic::Findings;
use crate::mapping::file::{
    AssignToFile, AssignWord, AssignmentFile, FeedbackFile, HandoffFile, OccasionWord, ShapeWord,
    TargetFile, TouchFile, TriggerBlock, TriggerFile, items, unknown_name,
};
use crate::mapping::handoff::{
    Assignment, Exclusion, Feedback, Groups, HandoffSpec, Member, NoticeShape, Occasion, Robin,
    Target, TouchSpec, VerdictSpec, Webhook,
};
use crate::mapping::model::{Field, Qualification, Stages};
use crate::mapping::parse::{At, Texts};
use crate::mapping::template::Template;

/// The name of the rule that a stage or a condition makes.
const OWN_RULE: &str = "handoff";

/// The check that finds most of what can be wrong here.
const CODE: &str = "handoff";

/// What is compiled already.
pub(super) struct Ground<'a> {
    pub(super) fields: &'a [Field],
    pub(super) stages: Option<&'a Stages>,
    pub(super) declared: &'a Declared,
}

impl Ground<'_> {
    const fn sight(&self) -> Sight<'_> {
        Sight { fields: &self.declared.fields, only: None }
    }
}

/// Compiles the block. A trigger that is no qualification adds a rule to `qualifications`: it is
/// decided, remembered and repeated as those are.
pub(super) fn compile(
    file: &At<HandoffFile>,
    ground: &Ground<'_>,
    qualifications: &mut Vec<Qualification>,
    findings: &mut Findings,
) -> Option<HandoffSpec> {
    let rules = trigger(file, ground, qualifications, findings)?;
    let calendar = match &file.calendar {
        Some(calendar) => calendar::of_file(calendar, findings)?,
        None => calendar::always(),
    };
    let assign = match &file.assign {
        Some(assign) => assignment(assign, ground, findings)?,
        None => Assignment::Rules,
    };
    let task = file.task.as_ref().and_then(|task| next::task_of(task, findings));
    let spec = HandoffSpec {
        from_qualifications: !rules.contains(OWN_RULE),
        rules,
        exclude: exclusions(file, ground, findings),
        hubspot_task: file
            .hubspot_task
            .as_ref()
            .and_then(|it| next::hubspot_task_of(it, file, task.as_ref(), findings)),
        hubspot_note: file
            .hubspot_note
            .as_ref()
            .and_then(|it| next::hubspot_note_of(it, file, task.as_ref(), findings)),
        queue_task: file
            .queue_task
            .as_ref()
            .and_then(|it| next::queue_task_of(it, file, task.as_ref(), findings)),
        campaign: file.campaign.as_ref().and_then(|it| next::campaign_of(it, findings)),
        flow: file.flow.as_ref().and_then(|it| start::flow_of(it, findings)),
        sequence: file.sequence.as_ref().and_then(|it| start::sequence_of(it, findings)),
        task,
        calendar,
        regions: calendar::regions(file, ground, findings),
        levels: levels::levels(file, &assign, findings),
        assign,
        touch: touch(file.touch.as_ref(), ground, findings),
        verdict: verdict(file, ground, findings),
        webhooks: webhooks(file, findings),
        feedback: file.feedback.as_ref().map(|it| feedback(it)).unwrap_or_default(),
        groups: groups(file, ground, findings),
    };
    Some(spec)
}

fn trigger(
    file: &At<HandoffFile>,
    ground: &Ground<'_>,
    qualifications: &mut Vec<Qualification>,
    findings: &mut Findings,
) -> Option<BTreeSet<String>> {
    let (text, span) = match file.when.as_ref().map(|when| (&when.value, &when.span)) {
        None | Some((TriggerFile::Word(_), _)) => {
            if qualifications.is_empty() {
                let span = file.when.as_ref().map_or(&file.span, |when| &when.span);
                findings
                    .error(CODE, span, "nothing opens a handoff: the file has no [[qualify]]")
                    .help(
                        "write a [[qualify]], or when = { stage = \"…\" } or { condition = \"…\" }",
                    );
                return None;
            }
            return Some(qualifications.iter().map(|rule| rule.name.clone()).collect());
        }
        Some((TriggerFile::Block(TriggerBlock::Stage(stage)), span)) => {
            (stage_reached(&stage.stage, ground, findings)?, span)
        }
        Some((TriggerFile::Block(TriggerBlock::Condition(block)), span)) => {
            condition(&block.condition, &ground.sight(), findings)?;
            (block.condition.value.clone(), span)
        }
    };
    if qualifications.iter().any(|rule| rule.name == OWN_RULE) {
        findings
            .error("duplicate-name", span, format!("a [[qualify]] is called {OWN_RULE:?} already"))
            .help("the handoff's own rule has this name: give the other one another name");
        return None;
    }
    let compiled = |text: &str| Condition::compile(text).ok();
    qualifications.push(Qualification {
        name: OWN_RULE.to_owned(),
        when: compiled(&text)?,
        set: BTreeMap::new(),
        reason: text.clone(),
        again: compiled(&format!("not ({text})")),
    });
    Some(BTreeSet::from([OWN_RULE.to_owned()]))
}

/// A condition that holds once a stage is reached or passed.
fn stage_reached(
    stage: &At<String>,
    ground: &Ground<'_>,
    findings: &mut Findings,
) -> Option<String> {
    let Some(stages) = ground.stages else {
        findings
            .error(CODE, &stage.span, "the file has no [stages]")
            .help("write [stages] with field = \"…\", or use { condition = \"…\" }");
        return None;
    };
    let Some(place) = stages.order.iter().position(|known| *known == stage.value) else {
        unknown_name(CODE, stage, "stage", stages.order.iter().map(String::as_str), findings);
        return None;
    };
    let reached: Vec<String> = stages.order[place..].iter().map(|it| format!("{it:?}")).collect();
    Some(format!("{} in [{}]", stages.field, reached.join(", ")))
}

fn exclusions(file: &HandoffFile, ground: &Ground<'_>, findings: &mut Findings) -> Vec<Exclusion> {
    once(items(&file.exclude).iter().map(|it| &it.name), "exclusions", findings);
    items(&file.exclude)
        .iter()
        .filter_map(|it| {
            Some(Exclusion {
                name: it.name.value.clone(),
                when: condition(&it.when, &ground.sight(), findings)?,
                reason: it.reason.value.clone(),
            })
        })
        .collect()
}

/// Reports names that are given twice.
fn once<'a>(names: impl Iterator<Item = &'a At<String>>, of: &str, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(&name.value) {
            findings
                .error(
                    "duplicate-name",
                    &name.span,
                    format!("two {of} are called {:?}", name.value),
                )
                .label("given twice")
                .help("give each its own name");
        }
    }
}

fn email(text: &At<String>, findings: &mut Findings) -> Option<String> {
    let found = text.value.trim().to_lowercase();
    if found.contains('@') {
        return Some(found);
    }
    findings
        .error(CODE, &text.span, format!("{:?} is no e-mail address", text.value))
        .help("name the user by address: \"ann@example.com\"");
    None
}

fn target(file: &TargetFile, findings: &mut Findings) -> Option<Target> {
    match file {
        TargetFile::User(user) => email(&user.user, findings).map(Target::User),
        TargetFile::Queue(queue) => Some(Target::Queue(queue.queue.value.clone())),
    }
}

fn assignment(
    file: &AssignmentFile,
    ground: &Ground<'_>,
    findings: &mut Findings,
) -> Option<Assignment> {
    let turns = matches!(file.to.value, AssignToFile::Word(AssignWord::Turns));
    if !turns && let Some(member) = &file.member {
        findings
            .error(CODE, &member.span, "nobody takes turns here")
            .help("write to = \"turns\", or leave the members out");
    }
    if !turns && let Some(otherwise) = &file.otherwise {
        findings
            .error(CODE, &otherwise.span, "`otherwise` belongs to turns")
            .help("write to = \"turns\", or leave it out");
    }
    Some(match &file.to.value {
        AssignToFile::Word(AssignWord::Rules) => Assignment::Rules,
        AssignToFile::Word(AssignWord::HubSpotOwner) => Assignment::HubSpotOwner,
        AssignToFile::Block(found) => Assignment::Fixed(target(found, findings)?),
        AssignToFile::Word(AssignWord::Turns) => {
            once(items(&file.member).iter().map(|it| &it.user), "members", findings);
            let members: Vec<Member> = items(&file.member)
                .iter()
                .filter_map(|it| {
                    Some(Member {
                        user: email(&it.user, findings)?,
                        weight: count(it.weight.as_ref(), "a weight", findings).unwrap_or(1),
                        cap: count(it.cap.as_ref(), "a cap", findings),
                        when: match &it.when {
                            Some(when) => Some(condition(when, &ground.sight(), findings)?),
                            None => None,
                        },
                    })
                })
                .collect();
            if items(&file.member).is_empty() {
                findings
                    .error(CODE, &file.to.span, "nobody takes turns")
                    .help("write a block [[handoff.assign.member]] with user = \"…\" for each");
            }
            let otherwise = file.otherwise.as_ref().and_then(|it| target(it, findings));
            Assignment::Robin(Robin { members, otherwise })
        }
    })
}

/// A whole number from 1 to 10,000.
fn count(number: Option<&At<f64>>, what: &str, findings: &mut Findings) -> Option<u32> {
    let number = number?;
    let found = number.value;
    if found.fract() == 0.0 && (1.0..=10_000.0).contains(&found) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        return Some(found as u32);
    }
    findings
        .error(CODE, &number.span, format!("{what} is a whole number from 1 to 10000, not {found}"))
        .help("write it as in weight = 2, cap = 20");
    None
}

fn span_of_time(text: &At<String>, findings: &mut Findings) -> Option<SignedDuration> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let found = parsed.filter(|span| !span.is_negative() && span.as_hours() <= 24 * 366);
    if found.is_none() {
        findings
            .error(CODE, &text.span, format!("{:?} is no span of business time", text.value))
            .help("write hours and minutes of working time, as in \"4h\", \"1h 30m\" or \"30m\"");
    }
    found
}

fn template(text: &At<String>, findings: &mut Findings) -> Option<Template> {
    match Template::compile(&text.value) {
        Ok(template) => Some(template),
        Err(error) => {
            let span = within(text, error.range.clone(), findings);
            findings
                .error("template", &span, format!("this text cannot be read: {error}"))
                .label("here")
                .help("places for values are written {{ first_name }}, choices {% if company %} … {% endif %}");
            None
        }
    }
}

fn touch(file: Option<&At<TouchFile>>, ground: &Ground<'_>, findings: &mut Findings) -> TouchSpec {
    let yes = |key: Option<&At<bool>>| key.is_none_or(|key| key.value);
    let Some(file) = file else {
        return TouchSpec { status: None, tasks: true, calls: true, emails: true, hubspot: false };
    };
    let status = match (&file.status, &file.new) {
        (Some(status), Some(new)) => status_of(status, new, ground, findings),
        (None, None) => None,
        _ => {
            findings
                .error(CODE, &file.span, "`status` and `new` belong together")
                .help("write status = \"lead_status\" and new = [\"open\"]");
            None
        }
    };
    TouchSpec {
        status,
        tasks: yes(file.tasks.as_ref()),
        calls: yes(file.calls.as_ref()),
        emails: yes(file.emails.as_ref()),
        hubspot: file.hubspot.as_ref().is_some_and(|key| key.value),
    }
}

fn status_of(
    status: &At<String>,
    new: &At<Texts>,
    ground: &Ground<'_>,
    findings: &mut Findings,
) -> Option<(String, BTreeSet<String>)> {
    let field = field(status, ground, findings)?;
    for value in &new.0 {
        if field.table.is_some() && !field.knows_key(&value.value) {
            let keys: BTreeSet<&str> = field
                .table
                .iter()
                .flat_map(|table| &table.rows)
                .map(|row| row.key.as_str())
                .collect();
            unknown_name(CODE, value, &format!("value of `{}` called", field.name), keys, findings);
        }
    }
    Some((field.name.clone(), new.0.iter().map(|value| value.value.clone()).collect()))
}

fn field<'a>(name: &At<String>, ground: &Ground<'a>, findings: &mut Findings) -> Option<&'a Field> {
    let found = ground.fields.iter().find(|field| field.name == name.value);
    if found.is_none() && !ground.declared.fields.contains(&name.value) {
        let known = ground.declared.fields.iter().map(String::as_str);
        unknown_name(CODE, name, "field", known, findings);
    }
    found
}

fn verdict(file: &HandoffFile, ground: &Ground<'_>, findings: &mut Findings) -> VerdictSpec {
    let Some(file) = &file.answer else {
        return VerdictSpec { accepted: None, returned: None, reason: None };
    };
    let mut compiled = |text: &Option<At<String>>| {
        text.as_ref().and_then(|text| condition(text, &ground.sight(), findings))
    };
    let (accepted, returned) = (compiled(&file.accepted), compiled(&file.returned));
    let reason = file.reason.as_ref().and_then(|name| field(name, ground, findings));
    VerdictSpec { accepted, returned, reason: reason.map(|field| field.name.clone()) }
}

fn webhooks(file: &HandoffFile, findings: &mut Findings) -> Vec<Webhook> {
    once(items(&file.webhook).iter().map(|it| &it.name), "webhooks", findings);
    items(&file.webhook)
        .iter()
        .map(|it| Webhook {
            name: it.name.value.clone(),
            shape: match it.shape.as_ref().map(|shape| shape.value) {
                Some(ShapeWord::Slack) => NoticeShape::Slack,
                Some(ShapeWord::Teams) => NoticeShape::Teams,
                None | Some(ShapeWord::Json) => NoticeShape::Json,
            },
            on: items(&it.on)
                .iter()
                .map(|occasion| match occasion.value {
                    OccasionWord::Sent => Occasion::Sent,
                    OccasionWord::Accepted => Occasion::Accepted,
                    OccasionWord::Returned => Occasion::Returned,
                    OccasionWord::Lapsed => Occasion::Lapsed,
                    OccasionWord::Won => Occasion::Won,
                })
                .collect(),
        })
        .collect()
}

fn feedback(file: &FeedbackFile) -> BTreeMap<Feedback, String> {
    let each = [
        (Feedback::State, &file.state),
        (Feedback::Owner, &file.owner),
        (Feedback::TouchedAt, &file.touched_at),
        (Feedback::TouchedBy, &file.touched_by),
        (Feedback::Reason, &file.reason),
        (Feedback::Opportunity, &file.opportunity),
        (Feedback::Amount, &file.amount),
        (Feedback::WonAt, &file.won_at),
    ];
    let named = |(what, name): (Feedback, &Option<At<String>>)| {
        name.as_ref().map(|name| (what, name.value.clone()))
    };
    each.into_iter().filter_map(named).collect()
}

fn groups(file: &HandoffFile, ground: &Ground<'_>, findings: &mut Findings) -> Groups {
    let Some(file) = &file.groups else { return Groups::default() };
    let mut named = |name: &Option<At<String>>| {
        name.as_ref().and_then(|name| field(name, ground, findings)).map(|it| it.name.clone())
    };
    Groups { source: named(&file.source), segment: named(&file.segment) }
}
