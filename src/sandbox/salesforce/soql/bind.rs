//! A query tied to the objects and fields that exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::ast::{Cond, FieldSet, Function, Item, Literal, Op, Path, Query, Subject};
use super::{Found, SoqlError, dates};
use crate::sandbox::salesforce::id;
use crate::sandbox::salesforce::refusal::Code;
use crate::sandbox::salesforce::schema::{Field, Kind, Object};
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// One way up to a parent.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox::salesforce) struct Step {
    /// The relationship as the schema spells it.
    pub relationship: String,
    /// The field that holds the parent's id.
    pub field: Arc<str>,
    /// Whether parents are of several objects, which answers show as `Name`.
    pub polymorphic: bool,
}

/// One field, possibly of a parent.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox::salesforce) struct Leaf {
    pub steps: Vec<Step>,
    pub field: Arc<str>,
    pub kind: Kind,
    pub long_text: bool,
    pub updateable: bool,
    pub createable: bool,
    pub custom: bool,
    pub indexed: bool,
}

/// A value by which rows are compared and sorted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |key: &Self| match key {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::Text(_) => 3,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl Key {
    /// The key of a stored value: ids keep their case, other text loses it.
    pub(super) fn of(value: &Value, kind: Kind) -> Self {
        match value {
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            Value::String(text) if matches!(kind, Kind::Id | Kind::Reference) => {
                Self::Text(text.clone())
            }
            Value::String(text) => Self::Text(text.to_lowercase()),
            _ => Self::Null,
        }
    }
}

/// What a condition of a HAVING looks at, by the position among [`Bound::columns`] or a leaf.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    Leaf(Leaf),
    Aggregate { function: Function, leaf: Option<Leaf> },
}

/// A bound condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Is {
        source: Source,
        op: Op,
        key: Key,
    },
    /// A date literal: from the first key on, before the second.
    Within {
        source: Source,
        op: Op,
        from: Key,
        to: Key,
    },
    Like {
        leaf: Leaf,
        pattern: Vec<char>,
    },
    OneOf {
        leaf: Leaf,
        negated: bool,
        keys: BTreeSet<Key>,
    },
    Includes {
        leaf: Leaf,
        negated: bool,
        sets: Vec<Vec<String>>,
    },
}

impl Test {
    /// Whose parent is this one.
    pub(super) fn of_parent(field: &str, parent: &str) -> Self {
        let field = Field::reference(field, field, &[], "");
        let leaf = Leaf { indexed: true, ..leaf_of(Vec::new(), &field) };
        Self::Is { source: Source::Leaf(leaf), op: Op::Eq, key: Key::Text(parent.to_owned()) }
    }
}

/// One column of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox::salesforce) enum Column {
    Leaf(Leaf, Option<String>),
    Aggregate { function: Function, leaf: Option<Leaf>, name: String },
    Children { name: String, field: Arc<str>, query: Box<Bound> },
}

/// One field of an ordering.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ordering {
    pub source: Source,
    pub descending: bool,
    pub nulls_last: bool,
}

/// A query that can be run.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sandbox::salesforce) struct Bound {
    pub object: Arc<str>,
    pub columns: Vec<Column>,
    pub count_only: bool,
    pub all_rows: bool,
    pub(super) test: Option<Test>,
    pub(super) group: Vec<Leaf>,
    pub(super) having: Option<Test>,
    pub(super) order: Vec<Ordering>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

impl Bound {
    /// Whether rows are groups and not records.
    pub(in crate::sandbox::salesforce) fn is_aggregate(&self) -> bool {
        !self.group.is_empty() || self.columns.iter().any(|c| matches!(c, Column::Aggregate { .. }))
    }

    /// The names of the columns, dotted for parents; children have none.
    pub(in crate::sandbox::salesforce) fn column_names(&self) -> Vec<String> {
        let name = |column: &Column| match column {
            Column::Leaf(leaf, alias) if self.is_aggregate() => {
                Some(alias.clone().unwrap_or_else(|| leaf.field.to_string()))
            }
            Column::Leaf(leaf, _) => {
                let steps = leaf.steps.iter().map(|s| s.relationship.as_str());
                Some(steps.chain([&*leaf.field]).collect::<Vec<_>>().join("."))
            }
            Column::Aggregate { name, .. } => Some(name.clone()),
            Column::Children { .. } => None,
        };
        self.columns.iter().filter_map(name).collect()
    }

    /// Whether a long text is selected, which shrinks pages.
    pub(in crate::sandbox::salesforce) fn has_long_text(&self) -> bool {
        self.columns.iter().any(|c| matches!(c, Column::Leaf(leaf, _) if leaf.long_text))
    }
}

struct Binder<'a> {
    org: &'a Org,
    text: &'a str,
    object: Arc<Object>,
    alias: Option<&'a str>,
    now: Timestamp,
}

/// Ties a query to the org's schema.
pub(super) fn bind(
    org: &Org,
    text: &str,
    query: &Query,
    now: Timestamp,
) -> Result<Bound, SoqlError> {
    let Some(object) = org.object(&query.from) else {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to \
             append the '__c' after the entity name. Please reference your WSDL or the describe call for \
             the appropriate names.",
            query.from
        );
        return Err(SoqlError::placed(Code::InvalidType, text, query.from_at, &message));
    };
    bind_to(org, text, query, object.clone(), now)
}

fn bind_to(
    org: &Org,
    text: &str,
    query: &Query,
    object: Arc<Object>,
    now: Timestamp,
) -> Result<Bound, SoqlError> {
    let binder = Binder { org, text, object: object.clone(), alias: query.alias.as_deref(), now };
    if query.offset > 2000 {
        let message = "Maximum SOQL offset allowed is 2000";
        return Err(SoqlError::placed(
            Code::NumberOutsideValidRange,
            text,
            query.offset_at,
            message,
        ));
    }
    let group = query.group.iter().map(|p| binder.leaf(p)).collect::<Result<Vec<_>, _>>()?;
    let count_only = matches!(
        query.items.as_slice(),
        [Item::Aggregate { function: Function::Count, path: None, alias: None }]
    ) && group.is_empty();
    let columns = binder.columns(query, &group)?;
    let mut order = Vec::new();
    for by in &query.order {
        let source = binder.source(&by.subject)?;
        if let Source::Leaf(leaf) = &source
            && leaf.long_text
        {
            return Err(binder.cannot(&by.subject, &leaf.field, "sorted"));
        }
        order.push(Ordering { source, descending: by.descending, nulls_last: by.nulls_last });
    }
    Ok(Bound {
        object: object.name.clone(),
        columns,
        count_only,
        all_rows: query.all_rows,
        test: query.filter.as_ref().map(|c| binder.test(c)).transpose()?,
        group,
        having: query.having.as_ref().map(|c| binder.test(c)).transpose()?,
        order,
        limit: query.limit,
        offset: query.offset,
    })
}

impl Binder<'_> {
    fn columns(&self, query: &Query, group: &[Leaf]) -> Result<Vec<Column>, SoqlError> {
        let mut columns = Vec::new();
        let aggregate =
            !group.is_empty() || query.items.iter().any(|i| matches!(i, Item::Aggregate { .. }));
        let mut unnamed = 0;
        for item in &query.items {
            match item {
                Item::Field { path, alias } => {
                    let leaf = self.leaf(path)?;
                    if alias.is_some() && !aggregate {
                        let message = "only aggregate expressions use field aliasing";
                        return Err(SoqlError::malformed(self.text, path.at, message.to_owned()));
                    }
                    if aggregate && !group.contains(&leaf) {
                        let message = format!(
                            "Field must be grouped or aggregated: {}",
                            path.parts.join(".")
                        );
                        return Err(SoqlError::malformed(self.text, path.at, message));
                    }
                    let twice =
                        columns.iter().any(|c| matches!(c, Column::Leaf(l, _) if *l == leaf));
                    if twice && !aggregate {
                        let message = format!("duplicate field selected: {}", path.parts.join("."));
                        return Err(SoqlError::plain(Code::InvalidField, message));
                    }
                    columns.push(Column::Leaf(leaf, alias.clone()));
                }
                Item::Aggregate { function, path, alias } => {
                    let leaf = path.as_ref().map(|p| self.leaf(p)).transpose()?;
                    let name = alias.clone().unwrap_or_else(|| {
                        unnamed += 1;
                        format!("expr{}", unnamed - 1)
                    });
                    columns.push(Column::Aggregate { function: *function, leaf, name });
                }
                Item::Fields(set, at) => {
                    if *set != FieldSet::Standard && query.limit.is_none_or(|n| n > 200) {
                        let message = "The SOQL FIELDS function must have a LIMIT of at most 200";
                        return Err(SoqlError::malformed(self.text, *at, message.to_owned()));
                    }
                    let fields = self.object.fields.iter().filter(|f| match set {
                        FieldSet::All => true,
                        FieldSet::Standard => !f.custom,
                        FieldSet::Custom => f.custom,
                    });
                    columns.extend(fields.map(|f| Column::Leaf(leaf_of(Vec::new(), f), None)));
                }
                Item::Children(inner) => columns.push(self.children(inner)?),
            }
        }
        Ok(columns)
    }

    fn children(&self, inner: &Query) -> Result<Column, SoqlError> {
        let found = self.org.objects.values().find_map(|child| {
            let field = child.fields.iter().find(|f| {
                f.children.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(&inner.from))
                    && f.refers_to.iter().any(|t| **t == *self.object.name)
            })?;
            Some((child.clone(), field.name.clone(), field.children.clone().unwrap_or_default()))
        });
        let Some((child, field, name)) = found else {
            let message = format!(
                "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to \
                 use a custom relationship, be sure to append the '__r' after the custom relationship \
                 name. Please reference your WSDL or the describe call for the appropriate names.",
                inner.from
            );
            return Err(SoqlError::placed(Code::InvalidType, self.text, inner.from_at, &message));
        };
        let query = Box::new(bind_to(self.org, self.text, inner, child, self.now)?);
        Ok(Column::Children { name, field, query })
    }

    /// The field that a path names, in the object's or the alias's scope.
    fn leaf(&self, path: &Path) -> Result<Leaf, SoqlError> {
        let mut parts = path.parts.as_slice();
        if let [first, _, ..] = parts
            && (self.alias.is_some_and(|a| a.eq_ignore_ascii_case(first))
                || first.eq_ignore_ascii_case(&self.object.name)
                    && self.object.way_up(first).is_none())
        {
            parts = &parts[1..];
        }
        let Some((last, ways)) = parts.split_last() else {
            return Err(SoqlError::malformed(
                self.text,
                path.at,
                "unexpected token: '.'".to_owned(),
            ));
        };
        let mut scope: Vec<Arc<Object>> = vec![self.object.clone()];
        let mut steps = Vec::new();
        for way in ways {
            let Some(field) = scope.iter().find_map(|o| o.way_up(way)).cloned() else {
                let message = format!(
                    "Didn't understand relationship '{way}' in field path. If you are attempting to use a \
                     custom relationship, be sure to append the '__r' after the custom relationship name. \
                     Please reference your WSDL or the describe call for the appropriate names."
                );
                return Err(SoqlError::placed(Code::InvalidField, self.text, path.at, &message));
            };
            scope = field.refers_to.iter().filter_map(|t| self.org.object(t)).cloned().collect();
            steps.push(Step {
                relationship: field.relationship.clone().unwrap_or_default(),
                field: field.name.clone(),
                polymorphic: field.refers_to.len() > 1,
            });
        }
        let found = scope.iter().find_map(|o| o.field(last));
        if found.is_none()
            && last.eq_ignore_ascii_case("Type")
            && steps.last().is_some_and(|s| s.polymorphic)
        {
            return Ok(leaf_of(steps, &Field::text("Type", "Type", 40)));
        }
        let Some(field) = found else {
            let entity = match steps.last() {
                Some(step) if step.polymorphic => "Name".to_owned(),
                _ => scope.first().map_or_else(String::new, |o| o.name.to_string()),
            };
            let message = format!(
                "No such column '{last}' on entity '{entity}'. If you are attempting to use a custom field, \
                 be sure to append the '__c' after the custom field name. Please reference your WSDL or the \
                 describe call for the appropriate names."
            );
            return Err(SoqlError::placed(Code::InvalidField, self.text, path.at, &message));
        };
        Ok(leaf_of(steps, field))
    }

    fn source(&self, subject: &Subject) -> Result<Source, SoqlError> {
        match subject {
            Subject::Field(path) => Ok(Source::Leaf(self.leaf(path)?)),
            Subject::Aggregate { function, path, .. } => {
                let leaf = path.as_ref().map(|p| self.leaf(p)).transpose()?;
                Ok(Source::Aggregate { function: *function, leaf })
            }
        }
    }

    fn cannot(&self, subject: &Subject, field: &str, what: &str) -> SoqlError {
        let at = match subject {
            Subject::Field(path) => path.at,
            Subject::Aggregate { at, .. } => *at,
        };
        let message = format!("field '{field}' can not be {what} in a query call");
        SoqlError::placed(Code::InvalidField, self.text, at, &message)
    }

    fn filterable(&self, path: &Path) -> Result<Leaf, SoqlError> {
        let leaf = self.leaf(path)?;
        if leaf.long_text || leaf.kind == Kind::Address {
            return Err(self.cannot(&Subject::Field(path.clone()), &leaf.field, "filtered"));
        }
        Ok(leaf)
    }

    fn test(&self, cond: &Cond) -> Result<Test, SoqlError> {
        let all =
            |parts: &[Cond]| parts.iter().map(|c| self.test(c)).collect::<Result<Vec<_>, _>>();
        Ok(match cond {
            Cond::And(parts) => Test::All(all(parts)?),
            Cond::Or(parts) => Test::Any(all(parts)?),
            Cond::Not(inner) => Test::Not(Box::new(self.test(inner)?)),
            Cond::Compare { subject, op, value } => self.compare(subject, *op, value)?,
            Cond::Like { path, pattern } => {
                let leaf = self.filterable(path)?;
                if matches!(leaf.kind, Kind::Id | Kind::Reference) || leaf.kind.is_number() {
                    let message = "invalid operator on id field";
                    return Err(SoqlError::placed(
                        Code::InvalidQueryFilterOperator,
                        self.text,
                        path.at,
                        message,
                    ));
                }
                Test::Like { leaf, pattern: pattern.to_lowercase().chars().collect() }
            }
            Cond::In { path, negated, values } => {
                let leaf = self.filterable(path)?;
                let mut keys = BTreeSet::new();
                for value in values {
                    keys.insert(self.key(&leaf, path.at, value)?);
                }
                Test::OneOf { leaf, negated: *negated, keys }
            }
            Cond::InQuery { path, negated, query } => {
                let leaf = self.filterable(path)?;
                Test::OneOf { leaf, negated: *negated, keys: self.semi_join(query)? }
            }
            Cond::Includes { path, negated, values } => {
                let sets = values
                    .iter()
                    .map(|v| v.split(';').map(|p| p.trim().to_lowercase()).collect())
                    .collect();
                Test::Includes { leaf: self.filterable(path)?, negated: *negated, sets }
            }
        })
    }

    /// The keys that an inner query selects.
    fn semi_join(&self, query: &Query) -> Result<BTreeSet<Key>, SoqlError> {
        let bound = bind(self.org, self.text, query, self.now)?;
        let [Column::Leaf(leaf, _)] = bound.columns.as_slice() else {
            let message = "a semi join sub-select selects exactly one field";
            return Err(SoqlError::malformed(self.text, query.from_at, message.to_owned()));
        };
        let Found::Records(rows) = self.org.run(&bound, false) else { return Ok(BTreeSet::new()) };
        Ok(rows
            .iter()
            .map(|row| Key::of(&self.org.value(leaf, row), leaf.kind))
            .filter(|key| *key != Key::Null)
            .collect())
    }

    fn compare(&self, subject: &Subject, op: Op, value: &Literal) -> Result<Test, SoqlError> {
        let source = self.source(subject)?;
        let Source::Leaf(_) = &source else {
            let key = match value {
                Literal::Number(number) => Key::Number(*number),
                Literal::Text(text) => Key::Text(text.to_lowercase()),
                Literal::DateTime(seconds) => Key::Text(time::datetime(*seconds).to_lowercase()),
                _ => Key::Null,
            };
            return Ok(Test::Is { source, op, key });
        };
        let Subject::Field(path) = subject else {
            return Ok(Test::Is { source, op, key: Key::Null });
        };
        let leaf = self.filterable(path)?;
        if let Literal::Span(word, count) = value
            && matches!(leaf.kind, Kind::Date | Kind::DateTime)
        {
            let (from, to) = self.span(path, word, *count, leaf.kind)?;
            return Ok(Test::Within { source, op, from, to });
        }
        let key = self.key(&leaf, path.at, value)?;
        Ok(Test::Is { source, op, key })
    }

    fn span(
        &self,
        path: &Path,
        word: &str,
        count: Option<i64>,
        kind: Kind,
    ) -> Result<(Key, Key), SoqlError> {
        let Some((from, to)) = dates::span(word, count, time::day(self.now)) else {
            let message = format!("invalid value for date literal {word}");
            return Err(SoqlError::malformed(self.text, path.at, message));
        };
        let key = |day: jiff::civil::Date| match kind {
            Kind::Date => Key::Text(day.to_string()),
            _ => Key::Text(format!("{day}t00:00:00.000+0000")),
        };
        Ok((key(from), key(to)))
    }

    /// A literal as a key of the field's type.
    fn key(&self, leaf: &Leaf, at: usize, value: &Literal) -> Result<Key, SoqlError> {
        let wrong = |quotes: &str| {
            let kind = match leaf.kind {
                Kind::DateTime => "dateTime",
                other => other.soap().rsplit(':').next().unwrap_or("string"),
            };
            let message = format!(
                "value of filter criterion for field '{}' must be of type {kind} and should{quotes} be \
                 enclosed in quotes",
                leaf.field
            );
            Err(SoqlError::placed(Code::InvalidField, self.text, at, &message))
        };
        match (leaf.kind, value) {
            (_, Literal::Null) => Ok(Key::Null),
            (Kind::Id | Kind::Reference, Literal::Text(text)) => match id::normalise(text) {
                Some(id) => Ok(Key::Text(id.to_string())),
                None if text.is_empty() => Ok(Key::Null),
                None => {
                    let message = format!("invalid ID field: {text}");
                    Err(SoqlError::placed(
                        Code::InvalidQueryFilterOperator,
                        self.text,
                        at,
                        &message,
                    ))
                }
            },
            (Kind::Boolean, Literal::Bool(flag)) => Ok(Key::Bool(*flag)),
            (kind, Literal::Number(number)) if kind.is_number() => Ok(Key::Number(*number)),
            (Kind::Date, Literal::Date(day)) => Ok(Key::Text(day.clone())),
            (Kind::DateTime, Literal::DateTime(seconds)) => {
                Ok(Key::Text(time::datetime(*seconds).to_lowercase()))
            }
            (Kind::Boolean | Kind::Date | Kind::DateTime, _) => wrong(" not"),
            (kind, _) if kind.is_number() => wrong(" not"),
            (_, Literal::Text(text)) if text.is_empty() => Ok(Key::Null),
            (_, Literal::Text(text)) => Ok(Key::Text(text.to_lowercase())),
            _ => wrong(""),
        }
    }
}

fn leaf_of(steps: Vec<Step>, field: &Field) -> Leaf {
    Leaf {
        indexed: steps.is_empty() && field.is_indexed(),
        steps,
        field: field.name.clone(),
        kind: field.kind,
        long_text: field.is_long_text(),
        updateable: field.updateable,
        createable: field.createable,
        custom: field.custom,
    }
}
