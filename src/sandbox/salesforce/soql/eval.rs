//! Finding the records that a query asks for, without looking at more of them than needed.

use std::borrow::Cow;
use std::cmp::Ordering as Order;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ast::Op;
use super::bind::{Bound, Key, Leaf, Ordering, Source, Test};
use crate::sandbox::salesforce::id::Id;
use crate::sandbox::salesforce::schema::Kind;
use crate::sandbox::salesforce::table::{Record, Table};
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// The order in which candidates come, where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Natural {
    ById,
    ByStamp,
    Unknown,
}

impl Org {
    /// The value of a field of a record or of one of its parents.
    pub(super) fn value<'a>(&'a self, leaf: &Leaf, record: &'a Record) -> Cow<'a, Value> {
        let mut row = record;
        for step in &leaf.steps {
            let Some(parent) = row.text(&step.field).and_then(|id| self.seen(id)) else {
                return Cow::Owned(Value::Null);
            };
            row = parent;
        }
        own_value(leaf, row)
    }

    fn key(&self, leaf: &Leaf, record: &Record) -> Key {
        Key::of(&self.value(leaf, record), leaf.kind)
    }

    /// The records of a query, ordered, skipped and limited.
    pub(super) fn matching(&self, bound: &Bound, all: bool) -> Vec<Arc<Record>> {
        let Some(table) = self.table(&bound.object) else { return Vec::new() };
        let wanted = bound.limit.map(|limit| limit.saturating_add(bound.offset));
        let (candidates, natural) = self.candidates(table, bound);
        let ordered = match bound.order.as_slice() {
            [] => true,
            [one] => natural == Natural::ById && is_plain(one, "Id"),
            [one, two] => {
                natural == Natural::ByStamp
                    && is_plain(one, "SystemModstamp")
                    && is_plain(two, "Id")
            }
            _ => false,
        };
        let passes = |row: &Record| {
            (all || row.deleted_at.is_none())
                && bound.test.as_ref().is_none_or(|test| self.passes(test, row))
        };
        let visible = candidates.filter(|row| !table.hidden.contains_key(&row.id));
        if ordered && table.hidden.is_empty() && !bound.is_aggregate() {
            let found = visible.filter(|row| passes(row)).cloned();
            return match wanted {
                Some(wanted) => found.take(wanted).skip(bound.offset).collect(),
                None => found.skip(bound.offset).collect(),
            };
        }
        // Uncommitted rows show what stood there before, wherever their new version is filed.
        let before = table.hidden.values().filter_map(|h| h.before.as_ref());
        let mut found: Vec<Arc<Record>> =
            visible.chain(before).filter(|row| passes(row)).cloned().collect();
        if bound.is_aggregate() {
            return found;
        }
        if bound.order.is_empty() {
            found.sort_by(|a, b| a.id.cmp(&b.id));
        } else {
            found = self.sorted(&bound.order, found);
        }
        found.into_iter().skip(bound.offset).take(bound.limit.unwrap_or(usize::MAX)).collect()
    }

    fn sorted(&self, order: &[Ordering], found: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
        let keys_of = |row: &Record| -> Vec<Key> {
            order
                .iter()
                .map(|by| match &by.source {
                    Source::Leaf(leaf) => self.key(leaf, row),
                    Source::Aggregate { .. } => Key::Null,
                })
                .collect()
        };
        let mut keyed: Vec<(Vec<Key>, Arc<Record>)> =
            found.into_iter().map(|row| (keys_of(&row), row)).collect();
        keyed.sort_by(|(a, left), (b, right)| {
            compare(order, a, b).then_with(|| left.id.cmp(&right.id))
        });
        keyed.into_iter().map(|(_, row)| row).collect()
    }

    /// The rows that can match at all, by the narrowest index that the conditions allow.
    fn candidates<'a>(
        &'a self,
        table: &'a Table,
        bound: &'a Bound,
    ) -> (Box<dyn Iterator<Item = &'a Arc<Record>> + 'a>, Natural) {
        let Some(test) = &bound.test else { return (Box::new(table.rows()), Natural::ById) };
        if let Some(ids) = named(table, test) {
            let rows = ids.into_iter().filter_map(|id| table.get(&id));
            return (Box::new(rows), Natural::ById);
        }
        let (from, to) = stamps(test);
        if from > i64::MIN || to < i64::MAX {
            let by_stamp = matches!(bound.order.as_slice(), [] | [_, _]);
            let natural = if by_stamp { Natural::ByStamp } else { Natural::Unknown };
            return (Box::new(table.stamped(from, to)), natural);
        }
        match lowest_id(test) {
            Some(from) => (Box::new(table.rows_from(from)), Natural::ById),
            None => (Box::new(table.rows()), Natural::ById),
        }
    }

    fn passes(&self, test: &Test, row: &Record) -> bool {
        match test {
            Test::All(parts) => parts.iter().all(|t| self.passes(t, row)),
            Test::Any(parts) => parts.iter().any(|t| self.passes(t, row)),
            Test::Not(inner) => !self.passes(inner, row),
            Test::Is { source: Source::Leaf(leaf), op, key } => {
                holds(*op, &self.key(leaf, row), key)
            }
            Test::Within { source: Source::Leaf(leaf), op, from, to } => {
                within(*op, &self.key(leaf, row), from, to)
            }
            // The parser lets aggregates stand only in HAVING.
            Test::Is { .. } | Test::Within { .. } => false,
            Test::Like { leaf, pattern } => match self.key(leaf, row) {
                Key::Text(text) => like(pattern, &text.chars().collect::<Vec<_>>()),
                _ => false,
            },
            Test::OneOf { leaf, negated, keys } => keys.contains(&self.key(leaf, row)) != *negated,
            Test::Includes { leaf, negated, sets } => {
                let value = self.value(leaf, row);
                let held: BTreeSet<String> =
                    value.as_str().unwrap_or_default().split(';').map(str::to_lowercase).collect();
                sets.iter().any(|set| set.iter().all(|v| held.contains(v))) != *negated
            }
        }
    }
}

/// The value of a leaf on the record that its steps lead to.
pub(super) fn own_value<'a>(leaf: &Leaf, row: &'a Record) -> Cow<'a, Value> {
    if leaf.kind == Kind::Address {
        return Cow::Owned(address(&leaf.field, row));
    }
    if &*leaf.field == "Type"
        && leaf.steps.last().is_some_and(|s| s.polymorphic)
        && matches!(&*row.object, "User" | "Lead" | "Contact")
    {
        return Cow::Owned(json!(&*row.object));
    }
    Cow::Borrowed(row.get(&leaf.field))
}

/// Whether a comparison holds. Nothing is above or below an empty field; everything differs from it.
pub(super) fn holds(op: Op, left: &Key, right: &Key) -> bool {
    let none = *left == Key::Null || *right == Key::Null;
    match op {
        Op::Eq => left == right,
        Op::Ne => left != right,
        _ if none => false,
        Op::Lt => left < right,
        Op::Le => left <= right,
        Op::Gt => left > right,
        Op::Ge => left >= right,
    }
}

/// Whether a comparison with a span of days holds.
pub(super) fn within(op: Op, left: &Key, from: &Key, to: &Key) -> bool {
    if *left == Key::Null {
        return op == Op::Ne;
    }
    match op {
        Op::Eq => left >= from && left < to,
        Op::Ne => left < from || left >= to,
        Op::Lt => left < from,
        Op::Le => left < to,
        Op::Gt => left >= to,
        Op::Ge => left >= from,
    }
}

/// Compares two rows by their keys in the order that was asked for.
pub(super) fn compare(order: &[Ordering], a: &[Key], b: &[Key]) -> Order {
    for (by, (a, b)) in order.iter().zip(a.iter().zip(b)) {
        let found = match (*a == Key::Null, *b == Key::Null) {
            (true, true) => Order::Equal,
            (true, false) if by.nulls_last => Order::Greater,
            (true, false) => Order::Less,
            (false, true) if by.nulls_last => Order::Less,
            (false, true) => Order::Greater,
            _ if by.descending => b.cmp(a),
            _ => a.cmp(b),
        };
        if found != Order::Equal {
            return found;
        }
    }
    Order::Equal
}

/// Ascending by a field of the record itself that is never empty.
fn is_plain(order: &Ordering, field: &str) -> bool {
    !order.descending
        && matches!(&order.source, Source::Leaf(leaf) if leaf.steps.is_empty() && &*leaf.field == field)
}

/// The ids that a condition names outright or through an index; `None` where it names none.
fn named(table: &Table, test: &Test) -> Option<BTreeSet<Id>> {
    let by = |leaf: &Leaf, keys: &mut dyn Iterator<Item = &Key>| -> Option<BTreeSet<Id>> {
        if !leaf.steps.is_empty() || !(leaf.kind == Kind::Id || leaf.indexed) {
            return None;
        }
        let mut ids = BTreeSet::new();
        for key in keys {
            match key {
                Key::Text(text) if leaf.kind == Kind::Id => {
                    ids.insert(text.as_str().into());
                }
                Key::Text(text) => {
                    ids.extend(table.holding(&leaf.field, &text.to_lowercase()).cloned())
                }
                Key::Number(number) => {
                    ids.extend(table.holding(&leaf.field, &number.to_string()).cloned());
                }
                _ => return None,
            }
        }
        Some(ids)
    };
    match test {
        Test::All(parts) => parts.iter().find_map(|t| named(table, t)),
        Test::Any(parts) => {
            let mut all = BTreeSet::new();
            for part in parts {
                all.extend(named(table, part)?);
            }
            Some(all)
        }
        Test::Is { source: Source::Leaf(leaf), op: Op::Eq, key } => {
            by(leaf, &mut std::iter::once(key))
        }
        Test::OneOf { leaf, negated: false, keys } => by(leaf, &mut keys.iter()),
        _ => None,
    }
}

/// The first and the last second of `SystemModstamp` that a condition lets through.
fn stamps(test: &Test) -> (i64, i64) {
    const OPEN: (i64, i64) = (i64::MIN, i64::MAX);
    match test {
        Test::All(parts) => {
            parts.iter().map(stamps).fold(OPEN, |(from, to), (f, t)| (from.max(f), to.min(t)))
        }
        Test::Any(parts) => parts
            .iter()
            .map(stamps)
            .reduce(|(from, to), (f, t)| (from.min(f), to.max(t)))
            .unwrap_or(OPEN),
        Test::Is { source: Source::Leaf(leaf), op, key: Key::Text(text) }
            if leaf.steps.is_empty() && &*leaf.field == "SystemModstamp" =>
        {
            let Some(at) = time::parse_datetime(&text.to_uppercase()) else { return OPEN };
            match op {
                Op::Eq => (at, at),
                Op::Gt => (at.saturating_add(1), i64::MAX),
                Op::Ge => (at, i64::MAX),
                Op::Lt => (i64::MIN, at.saturating_sub(1)),
                Op::Le => (i64::MIN, at),
                Op::Ne => OPEN,
            }
        }
        _ => OPEN,
    }
}

/// The id that all matches are at or above.
fn lowest_id(test: &Test) -> Option<&str> {
    match test {
        Test::All(parts) => parts.iter().filter_map(lowest_id).max(),
        Test::Is { source: Source::Leaf(leaf), op: Op::Gt | Op::Ge, key: Key::Text(text) }
            if leaf.steps.is_empty() && leaf.kind == Kind::Id =>
        {
            Some(text)
        }
        _ => None,
    }
}

/// SQL's LIKE over lower-case characters: `%` any run, `_` any one, `\` takes the next literally.
fn like(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            Some('%') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            None if t == text.len() => return true,
            Some('_') if t < text.len() => Some(1),
            Some('\\') if pattern.get(p + 1).is_some_and(|c| text.get(t) == Some(c)) => Some(2),
            Some(c) if *c != '\\' && text.get(t) == Some(c) => Some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(width), _) => {
                p += width;
                t += 1;
            }
            (None, Some((back, from))) if from < text.len() => {
                p = back;
                t = from + 1;
                retry = Some((back, from + 1));
            }
            _ => return false,
        }
    }
}

/// A compound address: an object with the platform's lower-case keys, or null when all is empty.
pub(in crate::sandbox::salesforce) fn address(compound: &str, row: &Record) -> Value {
    let stem = compound.strip_suffix("Address").unwrap_or(compound);
    let part = |name: &str| row.get(&format!("{stem}{name}")).clone();
    let parts: [(&str, Value); 8] = [
        ("city", part("City")),
        ("country", part("Country")),
        ("geocodeAccuracy", Value::Null),
        ("latitude", part("Latitude")),
        ("longitude", part("Longitude")),
        ("postalCode", part("PostalCode")),
        ("state", part("State")),
        ("street", part("Street")),
    ];
    if parts.iter().all(|(_, v)| v.is_null()) {
        return Value::Null;
    }
    Value::Object(parts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns() {
        let table = [
            ("%", "", true),
            ("a%", "abc", true),
            ("%c", "abc", true),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("a%c%e", "abcde", true),
            ("a%c%e", "abcd", false),
            ("50\\%", "50%", true),
            ("50\\%", "505", false),
            ("%aab", "aaaaab", true),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, text, expected) in table {
            let p: Vec<char> = pattern.chars().collect();
            let t: Vec<char> = text.chars().collect();
            assert_eq!(like(&p, &t), expected, "{pattern} ~ {text}");
        }
    }
}
