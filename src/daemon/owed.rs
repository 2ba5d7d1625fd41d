//! The lines of history that a settlement without a known end owes.
//!
//! An intent is written down before its writes go out, with the lines that they will be worth.
//! Where the process ends or an answer is lost before the result is known, only the next reading
//! tells what took effect; and by then both sides may hold the same, so that the plan made from
//! that reading no longer knows what was overwritten. The intent does.
//!
//! It is kept under the link. Before there is one, each record owes what was written to it: if the
//! settlement that was to make the link is interrupted, nobody can tell which one either record
//! gets, for by then the one across may have been merged into somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::case::Case;
use super::conclude::Conclusion;
use super::fetch::Fetched;
use super::history::lines;
use super::write::Fate;
use crate::journal::{Commit, HistoryLine, Intent, Subject};
use crate::mapping::Mapping;
use crate::reconcile::{LinkStep, Plan, PlannedWrite, WriteAction};
use crate::record::{RecordRef, Side, Value};

impl Case {
    /// Who owes what is written to a side: the link, and before there is one the record itself.
    fn owner(&self, side: Side) -> Subject {
        let read = self.present.get(side).record().map(|record| &record.key);
        match (self.lone(), read.or(self.records.get(side).as_ref())) {
            (Some(_), Some(record)) => self.of_record(record),
            _ => self.entry.subject.clone(),
        }
    }

    /// All who owe, or owed before a merge, what the case writes.
    pub(super) fn owners(&self) -> BTreeSet<Subject> {
        let mut owners = BTreeSet::from([self.entry.subject.clone()]);
        if self.lone().is_some() {
            owners.extend(
                self.records.iter().filter_map(|(_, it)| Some(self.of_record(it.as_ref()?))),
            );
            owners.extend(Side::BOTH.map(|side| self.owner(side)));
        }
        owners
    }

    fn of_record(&self, record: &RecordRef) -> Subject {
        Subject::Record { mapping: self.entry.mapping.clone(), record: record.clone() }
    }

    /// Takes in what its owners owe, from their intents.
    pub(super) fn take_in_intents(&mut self, intents: &BTreeMap<Subject, Intent>) {
        let lone = self.lone().is_some();
        // A record that was linked before and is chosen anew is not asked for its old link's.
        let of = |owner: Subject| {
            intents.get(&owner).filter(|intent| !lone || intent.subject == owner).cloned()
        };
        if lone && self.records.iter().all(|(_, record)| record.is_some()) {
            let at = |side| of(self.owner(side)).map(|intent| intent.at);
            let (hubspot, salesforce) = (at(Side::HubSpot), at(Side::Salesforce));
            self.met = hubspot.is_some() && hubspot == salesforce;
        }
        self.known.intent = self.owners().into_iter().filter_map(of).reduce(|one, other| {
            let (older, newer) = if one.at <= other.at { (one, other) } else { (other, one) };
            let lines = older.lines.into_iter().chain(newer.lines).collect();
            Intent { lines, ..newer }
        });
    }

    /// `lines` as the intents of their owners: one for each, whether it owes any or not.
    pub(super) fn intents(&self, plan: &Plan, lines: &[HistoryLine], at: Timestamp) -> Vec<Intent> {
        let of = |owner: Subject| {
            let its = lines.iter().filter(|line| {
                line.side.map_or_else(|| self.entry.subject.clone(), |side| self.owner(side))
                    == owner
            });
            self.intent(owner.clone(), plan, its.cloned().collect(), at)
        };
        self.owners().into_iter().map(of).collect()
    }

    fn intent(
        &self,
        subject: Subject,
        plan: &Plan,
        lines: Vec<HistoryLine>,
        at: Timestamp,
    ) -> Intent {
        let (mapping, version) = (self.entry.mapping.clone(), self.entry.version);
        Intent { subject, mapping, version, at, writes: plan.writes.clone(), lines }
    }

    /// What the intent of a link that ended is worth. Nothing is read of it any more, so that only
    /// what stood there before tells.
    pub(super) fn owed_at_the_end(&self) -> Vec<HistoryLine> {
        let lines = self.known.intent.iter().flat_map(|intent| &intent.lines);
        let written = lines.filter(|line| line.side.is_some() && line.new.is_some());
        written
            .filter_map(|line| doubted(line, "the link ended before both sides were read"))
            .collect()
    }
}

/// What an earlier intent of `case` is worth by what was read for `plan`.
///
/// A line whose value stands where it was to be written, or is proved to have stood there, took
/// effect; one whose old value still stands there did not. Where the record holds something else,
/// it was written again since, and nobody can tell any more: such a line is told with that doubt if
/// anything stood there before. A stage that goes back is cleared first, so that it can be found in
/// the middle.
pub(super) fn owed(mapping: &Mapping, case: &Case, plan: &Plan) -> Vec<HistoryLine> {
    let Some(intent) = &case.known.intent else { return Vec::new() };
    intent.lines.iter().filter_map(|line| weigh(mapping, case, plan, line)).collect()
}

fn weigh(mapping: &Mapping, case: &Case, plan: &Plan, line: &HistoryLine) -> Option<HistoryLine> {
    let (side, new) = (line.side?, line.new.as_ref()?);
    if mapping.field(&line.field).is_none() {
        return doubted(line, "the field is mapped no more");
    }
    let present = present(case, plan, &line.field, side);
    if present.as_ref() == Some(new) || case.landed.has(line) {
        return Some(line.clone());
    }
    if present == line.old {
        return None;
    }
    doubted(line, "something else stands there by now")
}

/// A line of which nobody can tell whether it took effect, if anything stood there before.
fn doubted(line: &HistoryLine, why: &str) -> Option<HistoryLine> {
    const DOUBT: &str = "; the answer was lost, and ";
    let stood = !line.lost.is_empty() || line.old.as_ref().is_some_and(|old| !old.is_blank());
    let reason = match line.reason.contains(DOUBT) {
        true => line.reason.clone(),
        false => format!("{}{DOUBT}{why}", line.reason),
    };
    stood.then(|| HistoryLine { reason, ..line.clone() })
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
            return bequeath(&mut self.commit, self.case, next);
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
        for owner in self.case.owners() {
            self.commit.clear_intent(owner);
        }
        let owed = if told {
            let link = Subject::Link(self.number);
            self.commit.clear_intent(link.clone());
            let left = left.into_iter().map(|line| HistoryLine { link: self.number, ..line });
            vec![self.case.intent(link, plan, left.collect(), self.now)]
        } else {
            self.case.intents(plan, &left, self.now)
        };
        for intent in owed.into_iter().filter(|intent| !intent.lines.is_empty()) {
            self.commit.owe(intent);
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

/// Hands what was written to a lone record by an interrupted settlement to `next`, which took its
/// place. One that was deleted goes on owing it, for it may be restored. Where its data was erased,
/// what came of that across is forgotten too.
pub(super) fn bequeath(commit: &mut Commit, case: &Case, next: Option<RecordRef>) {
    let (Some(lone), Some(intent)) = (case.lone(), &case.known.intent) else { return };
    commit.clear_intent(case.entry.subject.clone());
    if matches!(case.present.get(lone.side), Fetched::Erased) {
        let across = lone.side.other();
        if let Some(PlannedWrite { object, action: WriteAction::Update { id }, .. }) =
            intent.writes.get(across)
        {
            let record = RecordRef { side: across, object: object.clone(), id: id.clone() };
            commit.clear_intent(case.of_record(&record));
        }
        return;
    }
    let of_it = intent.lines.iter().filter(|line| line.side == Some(lone.side));
    let lines: Vec<HistoryLine> = of_it.cloned().collect();
    if !lines.is_empty() {
        let heir = next.as_ref().unwrap_or(lone);
        commit.owe(Intent { subject: case.of_record(heir), lines, ..intent.clone() });
    }
}
