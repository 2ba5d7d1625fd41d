//! Carries plans out on the platforms, both sides at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Engine;
use super::case::Case;
use crate::journal::{RejectEntry, WHOLE_RECORD};
use crate::mapping::{Assign, Mapping};
use crate::platform::{
    Action, Assignment, Error, Outcome, Refusal, RefusalKind, Write, WriteOptions,
};
use crate::reconcile::{PlannedWrite, WriteAction};
use crate::record::{PerSide, Side};

/// What became of one case's write on one side.
#[derive(Debug, Clone, Default)]
pub(super) enum Fate {
    /// There was nothing to write.
    #[default]
    Nothing,
    /// It took effect, but for `without`: fields that the platform refused.
    Done {
        /// The record's id.
        id: String,
        /// Whether it is new.
        created: bool,
        /// The platform's names of the fields that were left out.
        without: BTreeSet<String>,
    },
    /// The platform refused the record.
    Refused(Refusal),
    /// It had no effect.
    Again(Error),
    /// Nobody knows whether it took effect: the record is read again before anything is repeated.
    Unclear(Error),
    /// It was not sent in time, and is decided anew.
    Late(Duration),
}

/// What became of one case's writes.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// By side.
    pub(super) fates: PerSide<Fate>,
    /// What the platforms refused, as it is kept.
    pub(super) rejects: Vec<RejectEntry>,
}

impl Written {
    /// Of the sides whose writes did not come to an end: what kept one of them, where that is a
    /// failure, else how long the last of them has to wait before it is decided anew.
    pub(super) fn open(&self) -> Option<Result<Duration, String>> {
        let mut wait = None;
        for (_, fate) in self.fates.iter() {
            match fate {
                Fate::Again(error) | Fate::Unclear(error) => return Some(Err(error.to_string())),
                Fate::Late(left) => wait = wait.max(Some(*left)),
                Fate::Nothing | Fate::Done { .. } | Fate::Refused(_) => {}
            }
        }
        wait.map(Ok)
    }

    /// The sides whose writes took effect.
    pub(super) fn done(&self) -> BTreeSet<Side> {
        let done = |fate: &Fate| matches!(fate, Fate::Done { .. });
        self.fates.iter().filter(|(_, fate)| done(fate)).map(|(side, _)| side).collect()
    }
}

impl Engine {
    /// Carries out the plans of `cases`. The results stand in their order.
    pub(super) async fn write(&self, mapping: &Mapping, cases: &[Case]) -> Vec<Written> {
        let (hubspot, salesforce) = tokio::join!(
            self.write_side(mapping, Side::HubSpot, cases),
            self.write_side(mapping, Side::Salesforce, cases),
        );
        hubspot
            .into_iter()
            .zip(salesforce)
            .map(|((h, mut rejects), (s, more))| {
                rejects.extend(more);
                Written { fates: PerSide { hubspot: h, salesforce: s }, rejects }
            })
            .collect()
    }

    async fn write_side(
        &self,
        mapping: &Mapping,
        side: Side,
        cases: &[Case],
    ) -> Vec<(Fate, Vec<RejectEntry>)> {
        let mut results: Vec<(Fate, Vec<RejectEntry>)> =
            cases.iter().map(|_| Default::default()).collect();
        let planned: Vec<(usize, &PlannedWrite)> = cases
            .iter()
            .enumerate()
            .filter_map(|(at, case)| Some((at, case.plan.as_ref()?.writes.get(side).as_ref()?)))
            .collect();
        let writes: Vec<Write> = planned.iter().map(|(_, write)| wire(write)).collect();
        let outcomes = self.send(side, &writes).await;
        let mut second = Vec::new();
        let now = self.clock.now();
        for (((at, _), write), outcome) in planned.into_iter().zip(writes).zip(outcomes) {
            let result = &mut results[at];
            match outcome {
                Outcome::Refused(refusal) => {
                    if let Some(rest) = without_refused(&write, &refusal) {
                        let fields = refused_fields(&write, &refusal);
                        result.1 = rejects(&cases[at], mapping, side, &write, &refusal, now);
                        second.push((at, fields, rest));
                    } else {
                        result.1 = rejects(&cases[at], mapping, side, &write, &refusal, now);
                        result.0 = Fate::Refused(refusal);
                    }
                }
                other => result.0 = fate(other, BTreeSet::new()),
            }
        }
        // What a platform refuses for some fields it is asked to take without them, once.
        let writes: Vec<Write> = second.iter().map(|(_, _, write)| write.clone()).collect();
        let outcomes = self.send(side, &writes).await;
        for ((at, without, write), outcome) in second.into_iter().zip(outcomes) {
            let result = &mut results[at];
            if let Outcome::Refused(refusal) = &outcome {
                result.1.extend(rejects(&cases[at], mapping, side, &write, refusal, now));
            }
            result.0 = fate(outcome, without);
        }
        results
    }

    async fn send(&self, side: Side, writes: &[Write]) -> Vec<Outcome> {
        if writes.is_empty() {
            return Vec::new();
        }
        let outcomes = self.platform(side).write(writes).await;
        let mut trouble = None;
        for outcome in &outcomes {
            match outcome {
                Outcome::Refused(Refusal { kind: RefusalKind::Schema, .. }) => {
                    for object in writes.iter().map(|write| &write.object).collect::<BTreeSet<_>>()
                    {
                        self.platform(side).forget_schema(object);
                    }
                }
                Outcome::NotDone(error) | Outcome::Unknown(error) => trouble = Some(error.clone()),
                Outcome::Done { .. } | Outcome::Refused(_) | Outcome::Late { .. } => {}
            }
        }
        // One record's trouble is told by its own entry; here it is only for `status`.
        let _ = self.watch(side, trouble.map_or(Ok(()), Err));
        outcomes
    }
}

fn fate(outcome: Outcome, without: BTreeSet<String>) -> Fate {
    match outcome {
        Outcome::Done { id, created, .. } => Fate::Done { id, created, without },
        Outcome::Refused(refusal) => Fate::Refused(refusal),
        Outcome::NotDone(error) => Fate::Again(error),
        Outcome::Unknown(error) => Fate::Unclear(error),
        Outcome::Late { left } => Fate::Late(left),
    }
}

/// A planned write in the platforms' words.
fn wire(planned: &PlannedWrite) -> Write {
    let mut options = WriteOptions::default();
    let action = match &planned.action {
        WriteAction::Update { id } => Action::Update { id: id.clone() },
        WriteAction::Delete { id } => Action::Delete { id: id.clone() },
        WriteAction::Create { key_field, key, assign, allow_duplicates } => {
            options.allow_duplicates = *allow_duplicates;
            options.assign = match assign {
                Assign::Off => Assignment::Off,
                Assign::Active => Assignment::Active,
                Assign::Rule(id) => Assignment::Rule(id.clone()),
            };
            Action::Upsert { key_field: key_field.clone(), key: key.clone() }
        }
    };
    Write {
        object: planned.object.clone(),
        action,
        fields: planned.fields.clone(),
        clear_first: planned.clear_first.clone(),
        options,
    }
}

/// Whether the refusal is about values of fields, and not about the record. A value that another
/// record has concerns the record only where it was to be created.
fn concerns_values(write: &Write, refusal: &Refusal) -> bool {
    match refusal.kind {
        RefusalKind::Value | RefusalKind::Schema | RefusalKind::Permission | RefusalKind::Kept => {
            true
        }
        RefusalKind::Duplicate { .. } => matches!(write.action, Action::Update { .. }),
        RefusalKind::Gone | RefusalKind::Converted => false,
    }
}

/// The fields of `write` that the platform named.
fn refused_fields(write: &Write, refusal: &Refusal) -> BTreeSet<String> {
    let named =
        |name: &&String| refusal.fields.iter().any(|field| field.eq_ignore_ascii_case(name));
    write.fields.keys().filter(named).cloned().collect()
}

/// The same write without the fields that were refused, where that is worth a try. A stage that the
/// platform kept was part of a write that took effect otherwise; writing the rest again does no
/// harm and tells the id.
fn without_refused(write: &Write, refusal: &Refusal) -> Option<Write> {
    let refused = refused_fields(write, refusal);
    if !concerns_values(write, refusal) || refused.is_empty() || refused.len() == write.fields.len()
    {
        return None;
    }
    let mut rest = write.clone();
    rest.fields.retain(|name, _| !refused.contains(name));
    rest.clear_first.retain(|name| !refused.contains(name));
    Some(rest)
}

/// A refusal as it is kept: one entry for each field that the platform named, or one for the whole
/// record.
fn rejects(
    case: &Case,
    mapping: &Mapping,
    side: Side,
    write: &Write,
    refusal: &Refusal,
    now: Timestamp,
) -> Vec<RejectEntry> {
    if !concerns_values(write, refusal) {
        return Vec::new();
    }
    let entry = |field: String, attempted: BTreeMap<_, _>| RejectEntry {
        subject: case.entry.subject.clone(),
        mapping: mapping.name.clone(),
        side,
        field,
        code: refusal.code.clone(),
        reason: refusal.message.clone(),
        hint: Some(refusal.hint.clone()).filter(|hint| !hint.is_empty()),
        attempted,
        since: now,
        last: now,
        tries: 1,
        retry_requested: false,
    };
    let named = refused_fields(write, refusal);
    if named.is_empty() {
        return vec![entry(WHOLE_RECORD.to_owned(), write.fields.clone())];
    }
    named
        .into_iter()
        .map(|name| {
            let attempted = write.fields.get(&name).cloned().unwrap_or_default();
            let field = canonical(mapping, side, &write.object, &name);
            entry(field, BTreeMap::from([(name, attempted)]))
        })
        .collect()
}

/// The mapping's name for a platform's field; the platform's own where the mapping has none (an id
/// field).
pub(super) fn canonical(mapping: &Mapping, side: Side, object: &str, name: &str) -> String {
    mapping
        .fields
        .iter()
        .find(|field| {
            field.sides.get(side).as_ref().and_then(|place| place.name(object)) == Some(name)
        })
        .map_or_else(|| name.to_owned(), |field| field.name.clone())
}
