//! Search over the index's lagging copy.
//!
//! Limits as documented: five groups of six filters, eighteen in all, 3,000 characters, one sort,
//! 200 results a page, 10,000 results a query.

mod filter;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use self::filter::{Filter, Operator};
use super::api::{Answer, Asked, bad_json};
use super::errors::{Refusal, categorized};
use super::object::Object;
use super::objects::{Selector, shown};
use super::record::Record;
use super::validate::moment;
use super::world::Account;

/// No query gives out more results than this.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Query<'a> {
    groups: Vec<Vec<Filter>>,
    sort: Option<(String, bool)>,
    words: Vec<String>,
    properties: Vec<&'a str>,
    limit: usize,
    after: usize,
}

fn invalid(message: impl Into<String>) -> Refusal {
    categorized(400, "VALIDATION_ERROR", message)
}

/// `POST …/search`.
pub(super) fn call(
    account: &mut Account,
    asked: &Asked<'_>,
    object: Object,
) -> Result<Answer, Refusal> {
    if asked.body.len() > 3000 {
        return Err(invalid("The request body is longer than 3000 characters."));
    }
    account.table_mut(object).index.catch_up(asked.now);
    let body = asked.json()?;
    let query = read(account, object, &body)?;
    let mut found = matches(account, object, &query);
    sort(&mut found, query.sort.as_ref(), account, object);
    let total = found.len();
    let selector = Selector { properties: query.properties, ..Selector::default() };
    let page = found.iter().skip(query.after).take(query.limit);
    let results: Vec<Value> = page.map(|record| shown(account, record, &selector)).collect();
    let next = query.after + results.len();
    let mut body = json!({ "total": total, "results": results });
    if next < total {
        body["paging"] = json!({ "next": { "after": next.to_string() } });
    }
    Ok(Answer::ok(body))
}

fn read<'a>(
    account: &Account,
    object: Object,
    body: &'a Map<String, Value>,
) -> Result<Query<'a>, Refusal> {
    let list = |value: Option<&'a Value>| -> &'a [Value] {
        value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let mut groups = Vec::new();
    for group in list(body.get("filterGroups")) {
        groups.push(filters(account, object, list(group.get("filters")))?);
    }
    // Filters outside a group are taken as one.
    let bare = list(body.get("filters"));
    if !bare.is_empty() {
        groups.push(filters(account, object, bare)?);
    }
    let all: usize = groups.iter().map(Vec::len).sum();
    if groups.len() > 5 || groups.iter().any(|group| group.len() > 6) || all > 18 {
        return Err(invalid(
            "Too many filters: at most 5 groups, 6 filters in each and 18 in all are allowed.",
        ));
    }
    let sorts = list(body.get("sorts"));
    if sorts.len() > 1 {
        return Err(invalid("Only one sort is allowed."));
    }
    let number = |name: &str, default: usize| match body.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Number(number)) => {
            number.as_u64().and_then(|at| usize::try_from(at).ok()).ok_or(())
        }
        Some(Value::String(text)) if text.is_empty() => Ok(default),
        Some(Value::String(text)) => text.parse::<usize>().map_err(|_| ()),
        Some(_) => Err(()),
    };
    let limit =
        number("limit", 10).map_err(|()| bad_json("Cannot deserialize value of type `int`"))?;
    if limit > 200 {
        return Err(invalid("The maximum limit of a search is 200."));
    }
    let after =
        number("after", 0).map_err(|()| bad_json("Cannot deserialize value of type `int`"))?;
    if after >= MOST {
        return Err(invalid(format!("Paging past {MOST} results is not possible.")));
    }
    let words = body.get("query").and_then(Value::as_str).unwrap_or_default();
    Ok(Query {
        groups,
        sort: sorts.first().and_then(sorting),
        words: words.split_whitespace().map(str::to_lowercase).collect(),
        properties: list(body.get("properties")).iter().filter_map(Value::as_str).collect(),
        limit,
        after,
    })
}

fn filters(account: &Account, object: Object, list: &[Value]) -> Result<Vec<Filter>, Refusal> {
    list.iter().map(|filter| Filter::read(account, object, filter)).collect()
}

/// A sort is an object, or text with a minus before it for descending.
fn sorting(sort: &Value) -> Option<(String, bool)> {
    if let Some(text) = sort.as_str() {
        return Some(match text.strip_prefix('-') {
            Some(name) => (name.to_owned(), true),
            None => (text.to_owned(), false),
        });
    }
    let name = ["propertyName", "sortBy"].into_iter().find_map(|key| sort.get(key)?.as_str())?;
    let down = sort.get("direction").and_then(Value::as_str);
    Some((name.to_owned(), down.is_some_and(|down| down.eq_ignore_ascii_case("DESCENDING"))))
}

fn matches<'a>(account: &'a Account, object: Object, query: &Query<'_>) -> Vec<&'a Arc<Record>> {
    let index = &account.table(object).index;
    let words = |record: &Record| query.words.iter().all(|word| mentions(record, word));
    if query.groups.is_empty() {
        return index.visible().values().filter(|record| words(record)).collect();
    }
    let of_group = |group: &Vec<Filter>| {
        let mut found = candidates(account, object, group);
        found.retain(|record| {
            words(record) && group.iter().all(|filter| filter.takes(account, record))
        });
        found
    };
    // One group finds no record twice, and by far the most searches have one.
    if let [group] = query.groups.as_slice() {
        return of_group(group);
    }
    let found: BTreeMap<u64, &Arc<Record>> =
        query.groups.iter().flat_map(of_group).map(|record| (record.id, record)).collect();
    found.into_values().collect()
}

/// The records that a group can match at all, by whichever of its filters narrows best.
fn candidates<'a>(account: &'a Account, object: Object, group: &[Filter]) -> Vec<&'a Arc<Record>> {
    let index = &account.table(object).index;
    for filter in group {
        if !matches!(filter.operator, Operator::Eq | Operator::In) {
            continue;
        }
        if filter.name == "hs_object_id" {
            let ids: BTreeSet<u64> =
                filter.values.iter().filter_map(|value| value.parse().ok()).collect();
            return ids.into_iter().filter_map(|id| index.visible().get(&id)).collect();
        }
        let values: BTreeSet<String> =
            filter.values.iter().map(|value| value.to_lowercase()).collect();
        let hits: Option<Vec<_>> =
            values.iter().map(|value| index.with_value(&filter.name, value)).collect();
        if let Some(hits) = hits {
            return hits.into_iter().flatten().collect();
        }
    }
    let modified = group.iter().filter(|filter| filter.name == object.modified());
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for filter in modified {
        let bound = |at: usize| filter.values.get(at).and_then(|at| moment(at));
        let Some(first) = bound(0).map(|at| at.as_millisecond()) else { continue };
        match filter.operator {
            Operator::Gt | Operator::Gte => from = from.max(first),
            Operator::Lt | Operator::Lte => to = to.min(first),
            Operator::Between => {
                from = from.max(first);
                to = to.min(bound(1).map_or(i64::MAX, |at| at.as_millisecond()));
            }
            _ => {}
        }
    }
    if from > i64::MIN || to < i64::MAX {
        return index.modified_between(from, to).collect();
    }
    let first = group
        .iter()
        .filter(|filter| filter.name == "hs_object_id")
        .filter(|filter| matches!(filter.operator, Operator::Gt | Operator::Gte))
        .filter_map(|filter| filter.values.first()?.parse::<u64>().ok())
        .max()
        .unwrap_or(0);
    index.visible().range(first..).map(|(_, record)| record).collect()
}

/// Whether a word begins one of the words of a record's most telling properties.
fn mentions(record: &Record, word: &str) -> bool {
    const TELLING: [&str; 8] =
        ["email", "firstname", "lastname", "phone", "company", "name", "domain", "dealname"];
    TELLING.into_iter().filter_map(|name| record.stored(name)).any(|value| {
        let value = value.to_lowercase();
        let mut words = value.split(|c: char| !c.is_alphanumeric());
        value.starts_with(word) || words.any(|at| at.starts_with(word))
    })
}

fn sort(
    found: &mut Vec<&Arc<Record>>,
    by: Option<&(String, bool)>,
    account: &Account,
    object: Object,
) {
    let Some((name, descending)) = by else {
        found.sort_by_key(|record| (record.created, record.id));
        return;
    };
    if name == "hs_object_id" {
        found.sort_by_key(|record| record.id);
    } else if name == object.modified() {
        found.sort_by_key(|record| (record.updated, record.id));
    } else if name == object.created() {
        found.sort_by_key(|record| (record.created, record.id));
    } else {
        let property = account.table(object).property(name);
        let kind = property.map_or("string", |property| property.kind.as_str());
        found.sort_by_cached_key(|record| (Key::of(kind, record, name), record.id));
    }
    if *descending {
        found.reverse();
    }
}

/// A value as it is sorted: none first, numbers and dates by size, texts without case.
#[derive(Debug, PartialEq)]
enum Key {
    None,
    Number(f64),
    Text(String),
}

impl Key {
    fn of(kind: &str, record: &Record, name: &str) -> Self {
        let Some(value) = record.get(name) else { return Self::None };
        match kind {
            "number" => value.parse().map_or(Self::None, Self::Number),
            // A date's milliseconds fit a double exactly.
            "date" | "datetime" => moment(&value).map_or(Self::None, |at| {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of the calendar fit")]
                let ms = at.as_millisecond() as f64;
                Self::Number(ms)
            }),
            _ => Self::Text(value.to_lowercase()),
        }
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::None, Self::None) => Ordering::Equal,
            (Self::None, _) => Ordering::Less,
            (_, Self::None) => Ordering::Greater,
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
        }
    }
}
