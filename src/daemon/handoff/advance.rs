//! What a settlement tells of a handoff.

use jiff::Timestamp;

use super::{RESERVED, owner_of, reserved_name, sight};
use crate::daemon::conclude::Conclusion;
use crate::daemon::write::Fate;
use crate::handoff::touch::{Act, Deed, Doer, touch};
use crate::handoff::{Fact, FactKind, Handoff, HandoffId, How, State, What, Witness, opens};
use crate::journal::{HandoffNews, Subject};
use crate::mapping::handoff::HandoffSpec;
use crate::mapping::{Condition, Kind};
use crate::reconcile::{Base, LinkStep, Plan, WriteAction};
use crate::record::{RecordRef, Side, Source, Value};

/// Opens a handoff where a qualification has fired, and adds what the settlement shows of the one
/// that is open.
pub(in crate::daemon) fn advance(it: &mut Conclusion<'_>, plan: &Plan) {
    let mapping = it.mapping;
    let Some(spec) = &mapping.handoff else { return };
    let made = match &plan.step {
        LinkStep::Keep | LinkStep::Move { .. } => it.case.link().is_some(),
        LinkStep::Join => true,
        LinkStep::Create => matches!(it.written.fates.salesforce, Fate::Done { .. }),
        _ => return,
    };
    let before = it.case.base.clone();
    let after = plan.base_after(&before, &it.done);
    let opened = open(it, spec, plan, &after, made);
    let current = match &opened {
        Some(opened) => opened.clone(),
        None => match it.handed.known.last() {
            Some(last) => last.clone(),
            None => return,
        },
    };
    let scene = Scene { it, spec, plan, before: &before, after: &after, handoff: &current };
    let kept = if opened.is_some() { scene.exclusion() } else { None };
    // Whoever is kept from sales may have a record there all the same: it is synchronized, and not
    // handed over.
    let excluded = kept.is_some() || current.facts.has(FactKind::Excluded);
    let mut facts = Vec::from_iter(kept);
    if !excluded {
        facts.extend(scene.arrival());
        if opened.is_none() {
            facts.extend(scene.deeds());
            facts.extend(scene.answers());
        }
    }
    if made
        && let (Some(_), Subject::Record { record, .. }) =
            (it.handed.reserved, &it.case.entry.subject)
    {
        it.commit.drop_kept(RESERVED, reserved_name(&mapping.name, record));
    }
    if opened.is_some() || !facts.is_empty() {
        let (id, look) = (current.id, it.now);
        it.commit.handoff(HandoffNews { id, opened, facts, look });
    }
}

/// Takes away what is kept of a record that never had a link.
pub(in crate::daemon) fn forget(it: &mut Conclusion<'_>) {
    if let Subject::Record { record, .. } = &it.case.entry.subject {
        it.commit.drop_kept(RESERVED, reserved_name(&it.mapping.name, record));
    }
    it.commit.drop_handoffs(it.number);
}

/// The handoff that a qualification opens now.
fn open(
    it: &mut Conclusion<'_>,
    spec: &HandoffSpec,
    plan: &Plan,
    after: &Base,
    made: bool,
) -> Option<Handoff> {
    let fired = |rule: &&String| matches!(plan.applied.get(*rule), Some(Some(_)));
    let rule = spec.rules.iter().find(fired)?;
    let sources = &it.case.entry.sources;
    let taken_in = sources.contains(&Source::Backfill) || sources.contains(&Source::Sweep);
    // What is so on the day that the mapping is introduced is not news for sales.
    if !spec.from_qualifications && sources.contains(&Source::Backfill) {
        return None;
    }
    let known = &it.handed.known;
    // Without a link the same qualification fires until there is one.
    let again = it.case.link().is_none() && !known.is_empty();
    if again || !opens(known) {
        return None;
    }
    let qualification = it.mapping.qualifications.iter().find(|it| it.name == *rule)?;
    let stamped = it.case.live().filter_map(|record| Some((record.modified?, record.key.side)));
    let (qualified_at, witness) = match stamped.filter(|(at, _)| *at <= it.now).max() {
        Some((at, side)) if !taken_in => (at, witness(side)),
        _ => (it.now, Witness::Lockstep),
    };
    let groups = [("source", &spec.groups.source), ("segment", &spec.groups.segment)]
        .into_iter()
        .filter_map(|(name, field)| {
            let value = after.values.get(field.as_ref()?)?;
            (!value.is_blank()).then(|| (name.to_owned(), value.to_string()))
        })
        .collect();
    let nth = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(1);
    if !made && let Subject::Record { record, .. } = &it.case.entry.subject {
        it.commit.keep(RESERVED, reserved_name(&it.mapping.name, record), &it.number);
    }
    it.commit.count(&it.mapping.name, "handoffs.opened", 1, it.now);
    Some(Handoff {
        id: HandoffId { link: it.number, nth },
        mapping: it.mapping.name.clone(),
        rule: rule.clone(),
        reason: qualification.reason.clone(),
        qualified_at,
        witness,
        groups,
        facts: Default::default(),
    })
}

const fn witness(side: Side) -> Witness {
    match side {
        Side::HubSpot => Witness::HubSpot,
        Side::Salesforce => Witness::Salesforce,
    }
}

struct Scene<'a, 'c> {
    it: &'a Conclusion<'c>,
    spec: &'a HandoffSpec,
    plan: &'a Plan,
    before: &'a Base,
    after: &'a Base,
    handoff: &'a Handoff,
}

impl Scene<'_, '_> {
    fn ours(&self, what: What) -> Fact {
        Fact { at: self.it.now, what, witness: Witness::Lockstep }
    }

    /// When `side`'s record was last modified, by its own stamp.
    fn stamp(&self, side: Side) -> (Timestamp, Witness) {
        let modified = self.it.case.present.get(side).record().and_then(|record| record.modified);
        modified.map_or((self.it.now, Witness::Lockstep), |at| (at, witness(side)))
    }

    /// Whether and how it came to Salesforce, and whose it is there.
    fn arrival(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        let handoff = self.handoff;
        let fate = &self.it.written.fates.salesforce;
        let record = match (&self.plan.step, fate, self.plan.writes.salesforce.as_ref()) {
            (LinkStep::Create, Fate::Done { id, .. }, Some(write)) => {
                Some(RecordRef::salesforce(write.object.clone(), id.clone()))
            }
            _ => self.plan.records.salesforce.clone(),
        };
        match (record, fate) {
            (Some(record), fate) if !handoff.facts.has(FactKind::Sent) => {
                // What an earlier try was to create and nobody answered for was created by us, too.
                let intended = self.it.case.known.intent.as_ref().is_some_and(|intent| {
                    let write = intent.writes.salesforce.as_ref();
                    write.is_some_and(|it| matches!(it.action, WriteAction::Create { .. }))
                });
                let created = intended || matches!(fate, Fate::Done { created: true, .. });
                let how = if created { How::Created } else { How::Matched };
                facts.push(self.ours(What::Sent { record, how }));
            }
            (None, Fate::Refused(refusal)) => {
                // What was refused first is why; a try without that may miss it.
                let first = self.it.written.rejects.iter().find(|it| it.side == Side::Salesforce);
                let reason = match first {
                    Some(first) => format!("{}: {}", first.code, first.reason),
                    None => format!("{}: {}", refusal.code, refusal.message),
                };
                let told = handoff.state() == State::Rejected;
                if !told || handoff.why_ended() != Some(reason.as_str()) {
                    facts.push(self.ours(What::Rejected { reason }));
                }
            }
            _ => {}
        }
        if let LinkStep::Move { side: Side::Salesforce, to, .. } = &self.plan.step {
            let from = self.it.case.records.salesforce.as_ref();
            if from.is_some_and(|from| from.object != to.object)
                && !handoff.facts.has(FactKind::Converted)
            {
                facts.extend(self.converted());
            }
        }
        facts.extend(self.assigned());
        facts
    }

    /// It was converted: sales has begun and taken it on.
    fn converted(&self) -> [Fact; 2] {
        let (at, witness) = self.stamp(Side::Salesforce);
        // Who converted it is not told: whoever had it before need not have been it.
        let touched = What::Touched { method: crate::handoff::Touch::Conversion, by: None };
        [
            Fact { at, what: touched, witness },
            Fact { at, what: What::Converted { opportunity: None }, witness },
        ]
    }

    /// Whose the record is in Salesforce, where that is new.
    fn assigned(&self) -> Option<Fact> {
        let record = self.it.case.present.salesforce.record()?;
        let field = self.it.mapping.fields.iter().find(|field| field.kind == Kind::Owner)?;
        let name = field.sides.salesforce.as_ref()?.name(&record.key.object)?;
        let to = owner_of(&self.it.handed.owners, record.get(name).as_text()?)?;
        if self.handoff.owner() == Some(&to) {
            return None;
        }
        let (at, witness) = self.stamp(Side::Salesforce);
        // A record that was there before it qualified belonged to somebody before, too.
        let at = at.max(self.handoff.qualified_at);
        Some(Fact { at, what: What::Assigned { to }, witness })
    }

    /// Whether the mapping keeps it from sales.
    fn exclusion(&self) -> Option<Fact> {
        let seen = sight(self.it.mapping, self.after, self.it.now);
        let kept = self.spec.exclude.iter().find(|it| it.when.holds(&seen) == Ok(true))?;
        let (name, reason) = (kept.name.clone(), kept.reason.clone());
        Some(self.ours(What::Excluded { name, reason }))
    }

    /// A status that leaves the new ones is a touch.
    fn deeds(&self) -> Option<Fact> {
        let (field, _) = self.spec.touch.status.as_ref()?;
        let text = |base: &Base| base.values.get(field).and_then(Value::as_text).map(str::to_owned);
        let (from, to) = (text(self.before), text(self.after));
        if from == to {
            return None;
        }
        let decision = self.plan.decisions.iter().find(|decision| decision.field == *field);
        let ours = decision.is_some_and(|decision| {
            decision.rule.starts_with("qualification ") || decision.rule.starts_with("back ")
        });
        let moved = |side: Side| {
            let value = decision.and_then(|decision| decision.values.get(side).as_ref());
            value.is_some_and(|value| value.as_text() == to.as_deref())
        };
        let side = if moved(Side::Salesforce) || !moved(Side::HubSpot) {
            Side::Salesforce
        } else {
            Side::HubSpot
        };
        let by = if ours { Doer::Lockstep } else { Doer::Unknown };
        let (at, _) = self.stamp(side);
        let act = Act::Status { field: field.clone(), from, to };
        let mut fact = touch(&self.spec.touch, &Deed { at, side, by, act })?;
        // Neither platform says who moved a status; its owner answers for it.
        if let What::Touched { by, .. } = &mut fact.what {
            *by = self
                .handoff
                .owner()
                .filter(|it| it.kind == crate::handoff::OwnerKind::Person)
                .cloned();
        }
        Some(fact)
    }

    /// What begins to hold now and is sales' answer.
    fn answers(&self) -> Vec<Fact> {
        let verdict = &self.spec.verdict;
        let begins = |condition: &Option<Condition>| {
            let condition = condition.as_ref()?;
            let holds =
                |base| condition.holds(&sight(self.it.mapping, base, self.it.now)) == Ok(true);
            (holds(self.after) && !holds(self.before)).then(|| condition.source().to_owned())
        };
        let (at, witness) = self.stamp(Side::Salesforce);
        let mut facts = Vec::new();
        if let Some(cause) = begins(&verdict.accepted) {
            facts.push(Fact { at, what: What::Accepted { cause }, witness });
        }
        if let Some(cause) = begins(&verdict.returned) {
            let told = verdict.reason.as_ref().and_then(|field| self.after.values.get(field));
            let told = told.filter(|value| !value.is_blank()).map(ToString::to_string);
            let back = self.plan.decisions.iter().find(|it| it.rule.starts_with("back "));
            let reason = told.or_else(|| back.map(|it| it.reason.clone())).unwrap_or(cause);
            facts.push(Fact { at, what: What::Returned { reason }, witness });
        }
        facts
    }
}
