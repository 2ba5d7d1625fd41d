//! What a settlement leaves for a person: values that the mapping cannot take, and writes that a
//! platform refused.

use super::conclude::Conclusion;
use crate::journal::{RejectEntry, Subject, WHOLE_RECORD};
use crate::mapping::BadValue;
use crate::platform::Refusal;
use crate::reconcile::{Plan, Reject};
use crate::record::Side;

impl Conclusion<'_> {
    /// What waits for a person, under the entry's own subject.
    pub(super) fn problems(&mut self, plan: &Plan) {
        let subject =
            self.case.link_id().map_or_else(|| self.case.entry.subject.clone(), Subject::Link);
        self.store_problems(plan, &subject);
    }

    pub(super) fn store_problems(&mut self, plan: &Plan, subject: &Subject) {
        let mut entries: Vec<RejectEntry> = self
            .written
            .rejects
            .iter()
            .cloned()
            .chain(plan.rejects.iter().map(|reject| self.unfit(reject, subject)))
            .map(|entry| RejectEntry { subject: subject.clone(), ..entry })
            .collect();
        // What was withheld for an earlier refusal stays refused.
        for old in &self.case.known.rejects {
            let again = entries.iter().any(|entry| entry.place() == old.place());
            if !again && !old.retry_requested && self.is_still_refused(old) {
                entries.push(RejectEntry { subject: subject.clone(), tries: 0, ..old.clone() });
            }
        }
        self.commit.rejects(subject.clone(), entries);
    }

    /// Whether an earlier refusal still stands: the same values are still to be written.
    pub(super) fn is_still_refused(&self, old: &RejectEntry) -> bool {
        self.case.withheld.contains(&old.place())
    }

    /// A value that the mapping cannot take, as it is kept.
    pub(super) fn unfit(&self, reject: &Reject, subject: &Subject) -> RejectEntry {
        let BadValue { message, hint } = reject.problem.clone();
        RejectEntry {
            subject: subject.clone(),
            mapping: self.mapping.name.clone(),
            side: reject.side.unwrap_or(Side::HubSpot),
            field: reject.field.clone(),
            code: "MAPPING".to_owned(),
            reason: message,
            hint: Some(hint).filter(|hint| !hint.is_empty()),
            attempted: Default::default(),
            since: self.now,
            last: self.now,
            tries: 1,
            retry_requested: false,
        }
    }

    pub(super) fn rejected_whole(&mut self, plan: &Plan, side: Side, refusal: &Refusal) {
        let attempted =
            plan.writes.get(side).as_ref().map(|write| write.fields.clone()).unwrap_or_default();
        self.commit.reject(RejectEntry {
            subject: self.case.entry.subject.clone(),
            mapping: self.mapping.name.clone(),
            side,
            field: WHOLE_RECORD.to_owned(),
            code: refusal.code.clone(),
            reason: refusal.message.clone(),
            hint: Some(refusal.hint.clone()).filter(|hint| !hint.is_empty()),
            attempted,
            since: self.now,
            last: self.now,
            tries: 1,
            retry_requested: false,
        });
    }
}
