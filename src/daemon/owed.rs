//! The lines of history that a settlement without a known end owes.
//!
//! An intent is written down before its writes go out, with the lines that they will be worth.
//! Where the process ends or an answer is lost before the result is known, only the next reading
//! tells what took effect; and by then both sides may hold the same, so that the plan made from
//! that reading no longer knows what was overwritten. The intent does.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::case::Case;
use super::conclude::Conclusion;
use super::fetch::Fetched;
use super::history::lines;
use super::write::Fate;
use crate::journal::{Commit, Heard, HistoryLine, Intent, Subject};
use crate::mapping::Mapping;
use crate::reconcile::{LinkStep, Plan, WriteAction};
use crate::record::{Change, RecordRef, Side, Source, Value};

/// What an earlier intent of `case` is worth by what was read for `plan`.
///
/// A line whose value stands where it was to be written, or is proved to have stood there, took
/// effect; one whose old value still stands there did not. Where the record holds something else, it was written again since, and
/// nobody can tell any more: such a line is told with that doubt if anything stood there before. A
/// stage that goes back is cleared first, so that it can be found in the middle.
pub(super) fn owed(mapping: &Mapping, case: &Case, plan: &Plan) -> Vec<HistoryLine> {
    let Some(intent) = &case.known.intent else { return Vec::new() };
    intent.lines.iter().filter_map(|line| weigh(mapping, case, plan, line)).collect()
}

fn weigh(mapping: &Mapping, case: &Case, plan: &Plan, line: &HistoryLine) -> Option<HistoryLine> {
    let (side, new) = (line.side?, line.new.as_ref()?);
    mapping.field(&line.field)?;
    let present = present(case, plan, &line.field, side);
    if present.as_ref() == Some(new) || case.landed.has(line) {
        return Some(line.clone());
    }
    let stood = !line.lost.is_empty() || line.old.as_ref().is_some_and(|old| !old.is_blank());
    if !stood || present == line.old {
        return None;
    }
    const DOUBT: &str = "; the answer was lost, and something else stands there by now";
    let reason = match line.reason.ends_with(DOUBT) {
        true => line.reason.clone(),
        false => format!("{}{DOUBT}", line.reason),
    };
    Some(HistoryLine { reason, ..line.clone() })
}

/// What a side holds of a field, as far as the plan tells.
fn present(case: &Case, plan: &Plan, field: &str, side: Side) -> Option<Value> {
    let decision = plan.decisions.iter().find(|decision| decision.field == field);
    match (decision, &plan.step) {
        (Some(decision), _) => decision.values.get(side).clone(),
        // Where fields are decided, one without a decision holds what was agreed on.
        (None, LinkStep::Keep | LinkStep::Join | LinkStep::Create) => {
            case.base.values.get(field).cloned()
        }
        (None, _) => None,
    }
}

impl Conclusion<'_> {
    /// Whether history has a link to hang on: there is one, or this settlement makes it.
    fn tells(&self, plan: &Plan) -> bool {
        match plan.step {
            LinkStep::Join => true,
            LinkStep::Create => {
                let made = |side: &Side| plan.records.get(*side).is_none();
                self.done.iter().any(made)
            }
            _ => self.case.link().is_some(),
        }
    }

    /// Tells what an earlier settlement owes.
    pub(super) fn pay(&mut self, plan: &Plan) {
        let pays = self.tells(plan) && !self.waits_for_record(plan);
        if pays {
            for line in owed(self.mapping, self.case, plan) {
                self.commit.history(HistoryLine { link: self.number, ..line });
            }
        }
    }

    /// Clears the intent, but for those of its lines about which nothing is known yet: the next
    /// settlement reads both sides and tells them.
    pub(super) fn clear_intent(&mut self, plan: &Plan) {
        if self.waits_for_record(plan) {
            return;
        }
        if bequeaths(self.case) {
            let next = self.case.stands_for();
            return bequeath(&mut self.commit, self.mapping, self.case, next.as_ref(), self.now);
        }
        let told = self.tells(plan);
        let unclear: BTreeSet<Side> = Side::BOTH
            .into_iter()
            .filter(|side| match self.written.fates.get(*side) {
                Fate::Unclear(_) => true,
                // What goes back in two steps may have taken the first one.
                Fate::Again(_) => {
                    let write = plan.writes.get(*side).as_ref();
                    write.is_some_and(|write| !write.clear_first.is_empty())
                }
                _ => false,
            })
            .collect();
        let mut left = if told { Vec::new() } else { owed(self.mapping, self.case, plan) };
        left.extend(lines(self.case, plan, self.now).into_iter().filter(|line| {
            line.side
                .is_some_and(|side| unclear.contains(&side) || (!told && self.done.contains(&side)))
        }));
        let entry = &self.case.entry;
        let subject = if told { Subject::Link(self.number) } else { entry.subject.clone() };
        self.commit.clear_intent(entry.subject.clone());
        self.commit.clear_intent(subject.clone());
        if !left.is_empty() {
            self.commit.owe(Intent {
                subject,
                mapping: self.mapping.name.clone(),
                version: entry.version,
                at: self.now,
                writes: plan.writes.clone(),
                lines: left,
            });
        }
    }

    /// Whether nothing was decided because a record has to be read first that took another's place.
    fn waits_for_record(&self, plan: &Plan) -> bool {
        matches!(plan.step, LinkStep::Move { .. }) && self.heir.is_none()
    }
}

/// Whether what the case owes is for others to tell: its lone record is no longer there.
pub(super) fn bequeaths(case: &Case) -> bool {
    case.lone().is_some_and(|lone| {
        matches!(case.present.get(lone.side), Fetched::Gone | Fetched::Erased)
            || case.stands_for().is_some()
    })
}

/// Hands what the interrupted settlement of a lone record has written to those who can tell it: each
/// side's lines to the record that was written there. The lone record itself is told of by `next`,
/// which took its place; nobody tells of one that was deleted.
pub(super) fn bequeath(
    commit: &mut Commit,
    mapping: &Mapping,
    case: &Case,
    next: Option<&RecordRef>,
    at: Timestamp,
) {
    let (Some(lone), Some(intent)) = (case.lone(), &case.known.intent) else { return };
    commit.clear_intent(case.entry.subject.clone());
    if matches!(case.present.get(lone.side), Fetched::Erased) {
        return;
    }
    let across = lone.side.other();
    let written = intent.writes.get(across).as_ref().and_then(|write| match &write.action {
        WriteAction::Update { id } => {
            Some(RecordRef { side: across, object: write.object.clone(), id: id.clone() })
        }
        WriteAction::Create { .. } | WriteAction::Delete { .. } => None,
    });
    for (side, heir) in [(lone.side, next.cloned()), (across, written.or(next.cloned()))] {
        let lines: Vec<HistoryLine> =
            intent.lines.iter().filter(|line| line.side == Some(side)).cloned().collect();
        let Some(heir) = heir.filter(|_| !lines.is_empty()) else { continue };
        let subject = Subject::Record { mapping: mapping.name.clone(), record: heir.clone() };
        commit.owe(Intent { subject: subject.clone(), lines, ..intent.clone() });
        // It may have a link, which then tells it at its next settlement.
        commit.pass_intent(subject, &mapping.name, heir.clone());
        commit.hear(Heard {
            mapping: mapping.name.clone(),
            lane: case.entry.lane,
            change: Change::touched(heir, Source::Retry),
            at,
            not_before: None,
        });
    }
}
