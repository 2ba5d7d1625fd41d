//! Plans and fields in sentences.

use std::fmt;

use super::field::{Outcome, Scene, Seen};
use super::plan::{Decision, LinkStep, PeerFate, Plan, Presence, Situation, Verdict, WriteAction};
use crate::mapping::{Direction, Field};
use crate::record::{PerSide, Raw, Side, Value};

impl fmt::Display for Plan {
    /// What would be done, one line for each field that is written, parked or left, with the
    /// reason: `stage: lead → mql on Salesforce, because only HubSpot changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![headline(self)];
        for decision in &self.decisions {
            lines.extend(told(decision).into_iter().map(|line| format!("  {line}")));
        }
        lines.extend(self.rejects.iter().map(|reject| {
            let side = reject.side.map_or(String::new(), |side| format!(" on {side}"));
            format!("  {}{side}: {}", reject.field, reject.problem)
        }));
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        f.write_str(&lines.join("\n"))
    }
}

fn headline(plan: &Plan) -> String {
    let name = match plan.link {
        Some(link) => format!("{} {link}", plan.mapping),
        None => {
            let one = plan.records.iter().find_map(|(_, record)| record.as_ref());
            one.map_or_else(|| plan.mapping.clone(), |one| format!("{} {one}", plan.mapping))
        }
    };
    let created = plan.writes.iter().find_map(|(side, write)| {
        let write = write.as_ref()?;
        let created = matches!(write.action, WriteAction::Create { .. });
        created.then(|| format!("a {} is created in {side}", write.object))
    });
    let rest = match &plan.step {
        LinkStep::Keep if plan.is_quiet() && plan.decisions.is_empty() => "nothing to do".into(),
        LinkStep::Keep if plan.is_quiet() => "nothing to write".into(),
        LinkStep::Keep => "changes".into(),
        LinkStep::None { reason } => format!("no link: {reason}"),
        LinkStep::Create => created.unwrap_or_else(|| "a link is made".into()),
        LinkStep::Join => "a link is made of both records".into(),
        LinkStep::OutOfScope { side } => format!("rests: {side}'s record is out of scope"),
        LinkStep::Move { side, to, reason } => {
            format!("{side}'s record is {} {} from now on: {reason}", to.object, to.id)
        }
        LinkStep::Unlink { deleted, peer } => match peer {
            PeerFate::Stays => {
                format!("the link ends: deleted in {deleted}; {} keeps its record", deleted.other())
            }
            PeerFate::Deleted => {
                format!("the link ends: deleted in {deleted}, and so in {}", deleted.other())
            }
            PeerFate::Gone => "the link ends: neither side has a record".into(),
        },
        LinkStep::Wait { deleted } => {
            format!("waits: deleted in {deleted}, and may be restored there")
        }
        LinkStep::Purge => "the link and its history are erased: the person asked for it".into(),
    };
    format!("{name}: {rest}")
}

fn told(decision: &Decision) -> Vec<String> {
    let Decision { field, values, reason, .. } = decision;
    let both = || {
        let told: Vec<String> = values
            .iter()
            .filter_map(|(side, value)| Some(format!("{side} says {}", value.as_ref()?)))
            .collect();
        told.join(", ")
    };
    match &decision.verdict {
        Verdict::Agreed => Vec::new(),
        Verdict::Settled(value) => {
            let mut lines: Vec<String> = decision
                .written_to
                .iter()
                .map(|side| match values.get(*side) {
                    Some(old) => {
                        format!("{field}: {old} → {value} on {side}, because {reason}")
                    }
                    None => format!("{field}: {value} on {side}, because {reason}"),
                })
                .collect();
            lines.extend(decision.lost.iter().map(|(side, lost)| {
                format!("{field}: {side}'s {lost} does not live on, and is kept in the history")
            }));
            lines
        }
        Verdict::LeftAlone => vec![format!("{field}: left as it is ({}): {reason}", both())],
        Verdict::Parked => vec![format!("{field}: parked for a person ({}): {reason}", both())],
    }
}

/// Says in sentences what each side and the base hold for the field called `name`, what would be
/// decided now and by which rule, and what decides if both sides change it. Nothing where the
/// mapping has no such field.
#[must_use]
pub fn explain(situation: &Situation<'_>, name: &str) -> Option<Vec<String>> {
    let field = situation.mapping.field(name)?;
    let records = PerSide::from_fn(|side| match situation.present.get(side) {
        Presence::Here(record) => Some(*record),
        Presence::Never | Presence::Gone | Presence::Erased => None,
    });
    let scene = Scene { situation, records };
    let course = scene.course(field);
    let mut lines: Vec<String> = Side::BOTH
        .into_iter()
        .map(|side| has(&scene, field, side, course.seen.get(side)))
        .collect();
    lines.push(match course.base {
        Some(base) => format!("Both sides last agreed on {base}."),
        None => "The sides have not agreed on a value yet.".to_owned(),
    });
    lines.push(match &course.outcome {
        Outcome::Quiet => "There is nothing to do.".to_owned(),
        Outcome::Agreed => "Both say the same now: that becomes what they agreed on.".to_owned(),
        Outcome::Settle(settled) => {
            let to = Side::BOTH.into_iter().filter(|side| *settled.to.get(*side));
            let to: Vec<&str> = to.map(Side::name).collect();
            format!(
                "{} would be written to {} by the rule {:?}: {}.",
                settled.value,
                to.join(" and "),
                settled.rule,
                settled.reason
            )
        }
        Outcome::Leave { rule, reason, .. } => {
            format!("The difference stays by the rule {rule:?}: {reason}.")
        }
        Outcome::Park { reason } => format!("It waits for a person: {reason}."),
        Outcome::Unsettled => "It cannot be compared now.".to_owned(),
    });
    lines.push(flow(situation, field));
    Some(lines)
}

fn has(scene: &Scene<'_>, field: &Field, side: Side, seen: &Seen<'_>) -> String {
    let record = *scene.records.get(side);
    let place = field.sides.get(side).as_ref();
    let name = record.and_then(|record| Some((record, place?.name(&record.key.object)?)));
    let since = name.and_then(|(record, name)| record.stamp(name)).map(|stamp| {
        format!(", set {} {}", if stamp.exact { "at" } else { "not after" }, stamp.at)
    });
    let since = since.unwrap_or_default();
    match seen {
        Seen::Value(value) => {
            let raw = name.map(|(record, name)| (name, record.get(name)));
            let spelled = match raw {
                Some((name, Raw::Text(text))) if Value::text(text.as_str()) != **value => {
                    format!(" ({name} = {text:?})")
                }
                _ => String::new(),
            };
            format!("{side} says {value}{spelled}{since}.")
        }
        Seen::NoRecord => format!("{side} has no record."),
        Seen::NoField => format!("{side} has no such field."),
        Seen::Aside(why) => format!("{side} stands aside: {why}."),
        Seen::Bad(problem) => format!("{side}'s value cannot be taken: {problem}."),
    }
}

fn flow(situation: &Situation<'_>, field: &Field) -> String {
    let staged = situation.mapping.stages.as_ref().is_some_and(|s| s.field == field.name);
    match field.direction {
        Direction::Read => "It is only read, for conditions.".to_owned(),
        _ if staged => {
            "It moves forward by the later stage, and back only by the mapping's ways back."
                .to_owned()
        }
        Direction::To(side) => format!("It flows to {side} only."),
        Direction::Both if field.rules.is_empty() => {
            "If both sides change it, a person decides.".to_owned()
        }
        Direction::Both => {
            let rules: Vec<&str> = field.rules.iter().map(|rule| rule.key()).collect();
            format!(
                "If both sides change it, the first of these with an opinion decides: {}.",
                rules.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests;
