//! Who is the same: the record across that a record without a link belongs to.
//!
//! A stable id beats every key, because a person put it there or we did. Keys are asked in the
//! mapping's order, and the first that finds anything decides. What is not certain is never
//! guessed: two records that could be meant, or ids that contradict each other, are for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::mapping::{Mapping, MatchKey};
use crate::record::{Raw, Record, RecordRef, SalesforceId, Side, Value};

/// What is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The record that has no link.
    pub record: &'a Record,
    /// What was found across by id: by the id that the record's own id field holds, and those whose
    /// id field holds the record's id or one of its aliases.
    pub by_id: &'a [Record],
    /// What was found across by each matching key, in the mapping's order. Platforms compare
    /// loosely, so each is compared again here.
    pub by_key: &'a [Vec<Record>],
}

/// How a record was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By an id field; the side whose field holds the other's id.
    Id(Side),
    /// By a matching key; the field on the side of the record across.
    Key(String),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(side) => write!(f, "the id field in {side}"),
            Self::Key(field) => f.write_str(field),
        }
    }
}

/// Who is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised {
    /// This record across is the same.
    Linked {
        /// The record.
        record: RecordRef,
        /// By what.
        how: How,
    },
    /// It cannot be told; a person decides.
    Ambiguous {
        /// The records across that could be meant. Empty where an id leads nowhere.
        candidates: Vec<RecordRef>,
        /// By what they were found: a field's name across.
        key: String,
        /// Why it cannot be told.
        reason: String,
    },
    /// Nobody across is the same.
    Nobody,
}

/// The value of a matching key on `record`, brought to its one spelling. Nothing where the record
/// has none: a blank is nobody's key.
#[must_use]
pub fn key_value(key: &MatchKey, record: &Record) -> Option<Value> {
    let text = key_text(key, record)?;
    let value =
        key.normalise.iter().try_fold(Value::text(text), |value, step| step.read(value)).ok()?;
    (!value.is_blank()).then_some(value)
}

/// The value of a matching key on `record` as it stands.
fn key_text(key: &MatchKey, record: &Record) -> Option<String> {
    match record.get(key.fields.get(record.key.side)) {
        Raw::Null => None,
        Raw::Bool(yes) => Some(yes.to_string()),
        Raw::Number(number) => Some(number.to_string()),
        Raw::Text(text) => Some(text.clone()),
    }
}

/// What to search for to find the records with the same matching key: the key, the value as it
/// stands, and what people usually write for it. What is found need not be the same; [`recognise`]
/// compares again. Empty where the record has no key.
#[must_use]
pub fn key_spellings(key: &MatchKey, record: &Record) -> BTreeSet<String> {
    let Some(value) = key_value(key, record) else { return BTreeSet::new() };
    let value = value.to_string();
    let usual = key.normalise.iter().filter_map(|step| step.transform.spellings);
    let mut spellings: BTreeSet<String> = usual.flat_map(|spell| spell(&value)).collect();
    let as_it_stands = key_text(key, record).map(|text| text.trim().to_owned());
    // Platforms disregard the case of letters.
    spellings.extend(as_it_stands.filter(|text| text.to_lowercase() != value.to_lowercase()));
    spellings.insert(value);
    spellings
}

/// Says who across is the same as `question.record`.
#[must_use]
pub fn recognise(question: &Question<'_>) -> Recognised {
    by_id(question).or_else(|| by_key(question)).unwrap_or(Recognised::Nobody)
}

/// The id that `record`'s id field holds, where it holds one.
fn pointer<'r>(mapping: &Mapping, record: &'r Record) -> Option<&'r str> {
    let field = &mapping.sides.get(record.key.side).id_field;
    record.get(field).as_text().map(str::trim).filter(|id| !id.is_empty())
}

/// Whether `id` names `record`, now or before a merge. People paste Salesforce ids of 15
/// characters.
fn names(id: &str, record: &Record) -> bool {
    let is = |known: &str| {
        known == id
            || (record.key.side == Side::Salesforce
                && SalesforceId::parse(id).is_ok_and(|id| id.as_str() == known))
    };
    is(&record.key.id) || record.aliases.iter().any(|alias| is(alias))
}

fn live(record: &Record) -> bool {
    !record.deleted && record.successor.is_none()
}

/// The records across that name `question.record` by their ids, or that its own id, `own`, names.
fn belonging<'a>(
    question: &Question<'a>,
    own: Option<&str>,
) -> BTreeMap<&'a RecordRef, (&'a Record, How)> {
    let Question { mapping, record, by_id, .. } = *question;
    let across = record.key.side.other();
    let mut found: BTreeMap<&RecordRef, (&Record, How)> = BTreeMap::new();
    for candidate in by_id.iter().filter(|candidate| candidate.key.side == across) {
        if pointer(mapping, candidate).is_some_and(|id| names(id, record)) && live(candidate) {
            found.insert(&candidate.key, (candidate, How::Id(across)));
        }
        if own.is_some_and(|id| names(id, candidate)) {
            found.insert(&candidate.key, (candidate, How::Id(record.key.side)));
        }
    }
    found
}

fn by_id(question: &Question<'_>) -> Option<Recognised> {
    let Question { mapping, record, by_id, .. } = *question;
    let across = record.key.side.other();
    let mut own = pointer(mapping, record);
    let mut found = belonging(question, own);
    let key = mapping.sides.get(across).id_field.clone();
    let refuse = |candidates: Vec<RecordRef>, reason: String| {
        Some(Recognised::Ambiguous { candidates, key: key.clone(), reason })
    };
    // A converted Lead or a merged record is not the same any more; what took its place is.
    if let Some((replaced, to)) = own.and_then(|id| {
        let candidate = found.values().find(|(candidate, _)| names(id, candidate))?.0;
        Some((candidate, candidate.successor.as_ref()?))
    }) {
        found.remove(&replaced.key);
        let how = How::Id(record.key.side);
        match by_id.iter().find(|candidate| candidate.key == *to) {
            Some(candidate) => {
                found.insert(&candidate.key, (candidate, how));
                own = None;
            }
            None if found.is_empty() => {
                return Some(Recognised::Linked { record: to.clone(), how });
            }
            None => {}
        }
    }
    let meant = own.and_then(|id| {
        found.values().find(|(candidate, _)| names(id, candidate)).map(|(candidate, _)| *candidate)
    });
    match (own, meant) {
        (Some(id), None) => {
            return refuse(
                found.into_keys().cloned().collect(),
                format!(
                    "its {} names {id}, which {across} does not have; a record that was deleted \
                     is not created anew",
                    mapping.sides.get(record.key.side).id_field
                ),
            );
        }
        (Some(_), Some(candidate)) if !live(candidate) => {
            let reason = format!("its id names {}, which is deleted", candidate.key);
            return refuse(vec![candidate.key.clone()], reason);
        }
        _ => {}
    }
    let mut candidates = found.into_values();
    match (candidates.next(), candidates.next()) {
        (None, _) => None,
        (Some((candidate, how)), None) => match pointer(mapping, candidate) {
            Some(id) if !names(id, record) => refuse(
                vec![candidate.key.clone()],
                format!("it names {}, which itself names {id}", candidate.key),
            ),
            _ => Some(Recognised::Linked { record: candidate.key.clone(), how }),
        },
        (Some((one, _)), Some((other, _))) => {
            let rest = candidates.map(|(candidate, _)| candidate.key.clone());
            let all: Vec<_> =
                [one.key.clone(), other.key.clone()].into_iter().chain(rest).collect();
            let reason = format!("{} records across belong to it by their ids", all.len());
            refuse(all, reason)
        }
    }
}

fn by_key(question: &Question<'_>) -> Option<Recognised> {
    let Question { mapping, record, by_key, .. } = *question;
    let across = record.key.side.other();
    for (key, found) in mapping.matching.iter().zip(by_key) {
        let Some(own) = key_value(key, record) else { continue };
        let same: BTreeMap<&RecordRef, &Record> = found
            .iter()
            .filter(|candidate| candidate.key.side == across && live(candidate))
            .filter(|candidate| key_value(key, candidate).as_ref() == Some(&own))
            .map(|candidate| (&candidate.key, candidate))
            .collect();
        let name = key.fields.get(across).clone();
        let mut each = same.values();
        match (each.next(), each.next()) {
            (None, _) => continue,
            (Some(candidate), None) => {
                let taken = pointer(mapping, candidate).filter(|id| !names(id, record));
                return Some(match taken {
                    None => {
                        Recognised::Linked { record: candidate.key.clone(), how: How::Key(name) }
                    }
                    Some(id) => Recognised::Ambiguous {
                        candidates: vec![candidate.key.clone()],
                        reason: format!(
                            "{} has the same {name}, and belongs to {id} by its id",
                            candidate.key
                        ),
                        key: name,
                    },
                });
            }
            (Some(_), Some(_)) => {
                return Some(Recognised::Ambiguous {
                    reason: format!("{} records across have the same {name}", same.len()),
                    candidates: same.into_keys().cloned().collect(),
                    key: name,
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
