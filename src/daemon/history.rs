//! What a plan is worth in lines of history.

use jiff::Timestamp;

use super::case::Case;
use crate::journal::{HistoryLine, LINK_ITSELF};
use crate::reconcile::{Decision, Plan, Verdict};
use crate::record::{LinkId, Side, Source, Value};

/// The lines that a plan will be worth once all its writes took effect, in the order of its fields.
/// The link's number is filled in where the link is made by this very settlement.
pub(super) fn lines(case: &Case, plan: &Plan, at: Timestamp) -> Vec<HistoryLine> {
    let link = plan.link.unwrap_or(LinkId(0));
    let cause = case.entry.sources.iter().next().copied();
    plan.decisions
        .iter()
        .flat_map(|decision| of_decision(case, decision, link, at, cause))
        .collect()
}

fn of_decision(
    case: &Case,
    decision: &Decision,
    link: LinkId,
    at: Timestamp,
    cause: Option<Source>,
) -> Vec<HistoryLine> {
    let line = |side: Option<Side>, old: Option<Value>, new: Option<Value>| HistoryLine {
        seq: 0,
        link,
        at,
        field: decision.field.clone(),
        side,
        old,
        new,
        rule: decision.rule.clone(),
        reason: decision.reason.clone(),
        lost: decision.lost.clone(),
        cause,
    };
    match &decision.verdict {
        Verdict::Settled(value) if decision.written_to.is_empty() => {
            let moved = decision.new_base.is_some() && decision.base != decision.new_base;
            let worth = moved || !decision.lost.is_empty();
            worth
                .then(|| line(None, decision.base.clone(), Some(value.clone())))
                .into_iter()
                .collect()
        }
        Verdict::Settled(value) => decision
            .written_to
            .iter()
            .filter(|side| case.present.get(**side).record().is_some())
            .map(|side| {
                let old = decision.values.get(*side).clone();
                line(Some(*side), old, Some(value.clone()))
            })
            .collect(),
        // The first time that both sides are seen to agree is no event; a base that moves is one.
        Verdict::Agreed if decision.base.is_some() && decision.base != decision.new_base => {
            vec![line(None, decision.base.clone(), decision.new_base.clone())]
        }
        Verdict::Parked if !case.known.conflicts.contains_key(&decision.field) => {
            vec![line(None, decision.base.clone(), None)]
        }
        Verdict::Agreed | Verdict::Parked | Verdict::LeftAlone => Vec::new(),
    }
}

/// A line about the link itself.
pub(super) fn of_link(
    link: LinkId,
    at: Timestamp,
    side: Option<Side>,
    rule: &str,
    reason: impl Into<String>,
    cause: Option<Source>,
) -> HistoryLine {
    HistoryLine {
        seq: 0,
        link,
        at,
        field: LINK_ITSELF.to_owned(),
        side,
        old: None,
        new: None,
        rule: rule.to_owned(),
        reason: reason.into(),
        lost: Default::default(),
        cause,
    }
}
