//! Writes: grouped into collections of 200 and answered one by one.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value as Json};
use tokio::time::Instant;

use super::codes::{self, Meaning};
use super::read::fitting;
use super::soql;
use super::wire::{self, ApiError, Saved};
use super::{EXHAUSTED, Error, Salesforce, first_error, request_error};
use crate::platform::transport::{Answer, Call, Effect, Failure};
use crate::platform::{
    Action, Assignment, ErrorKind, Outcome, Refusal, RefusalKind, Write, WriteOptions,
};

/// The most records that one collection writes.
const BATCH: usize = 200;

/// How often records that are locked are tried again within one call of
/// [`Platform::write`](crate::platform::Platform::write), as long as they are not late.
const LOCK_TRIES: u32 = 4;

/// Writes that can go in one call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    // Runs of one object are one chunk to the platform, which takes ten of them.
    object: &'a str,
    verb: Verb<'a>,
    options: &'a WriteOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb<'a> {
    Update,
    Upsert(&'a str),
    Create,
    Delete,
}

/// One write on its way.
#[derive(Debug, Clone)]
struct Item<'a> {
    /// Its place among the writes.
    at: usize,
    write: &'a Write,
    /// The record's id, where it is known.
    id: Option<String>,
}

/// What became of one call.
enum Sent {
    /// The platform answered each record.
    Each(Vec<Saved>),
    /// It took none, because of at least one of them.
    Whole(ApiError),
    /// It did not get that far.
    Failed(Failure),
}

/// The collections' contents, and the outcomes of what goes into none, by place.
fn grouped(writes: &[Write]) -> (BTreeMap<Group<'_>, Vec<Item<'_>>>, Vec<Option<Outcome>>) {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; writes.len()];
    let mut groups: BTreeMap<Group<'_>, Vec<Item<'_>>> = BTreeMap::new();
    for (at, write) in writes.iter().enumerate() {
        match item(at, write) {
            Ok((group, item)) => groups.entry(group).or_default().push(item),
            Err(refusal) => outcomes[at] = Some(Outcome::Refused(refusal)),
        }
    }
    (groups, outcomes)
}

/// How many calls it takes to write `writes` where none is refused. A record that is not there yet has
/// no id that would fit; it is counted as one that has.
pub(super) fn calls(writes: &[Write]) -> u64 {
    let mut groups: BTreeMap<Group<'_>, usize> = BTreeMap::new();
    for write in writes {
        *groups.entry(group(write)).or_default() += 1;
    }
    groups.values().map(|count| count.div_ceil(BATCH) as u64).sum()
}

impl Salesforce {
    pub(super) async fn write_all(&self, writes: &[Write]) -> Vec<Outcome> {
        let (groups, mut outcomes) = grouped(writes);
        let batches = groups.iter().flat_map(|(group, items)| {
            items.chunks(BATCH).map(|batch| self.batch(group, batch.to_vec()))
        });
        for (at, outcome) in join_all(batches).await.into_iter().flatten() {
            outcomes[at] = Some(outcome);
        }
        let unanswered = || {
            let message = "the write was answered by nothing".to_owned();
            Outcome::Unknown(request_error("writing", message))
        };
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unanswered)).collect()
    }

    /// Writes one batch to the end: locked records are tried again, and a call that one record
    /// spoiled is split until that record stands alone.
    async fn batch(&self, group: &Group<'_>, items: Vec<Item<'_>>) -> Vec<(usize, Outcome)> {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut todo = vec![items];
        let mut locked = Vec::new();
        let mut tries = 1;
        let by = Instant::now() + self.settings.retry.write_within;
        while let Some(batch) = todo.pop() {
            match self.save(group, &batch).await {
                Sent::Each(saved) if saved.len() == batch.len() => {
                    for (item, saved) in batch.into_iter().zip(saved) {
                        let at = item.at;
                        match self.outcome(&item, saved) {
                            Outcome::NotDone(error)
                                if busy(&error) && tries < LOCK_TRIES && Instant::now() < by =>
                            {
                                locked.push(item);
                            }
                            outcome => outcomes.push((at, outcome)),
                        }
                    }
                }
                Sent::Each(saved) => {
                    let message = format!("{} answers for {} records", saved.len(), batch.len());
                    let error = request_error("writing", message);
                    outcomes.extend(all(&batch, || Outcome::Unknown(error.clone())));
                }
                Sent::Whole(told) => match split(group, batch, &told) {
                    Split::Parts(parts) => todo.extend(parts),
                    Split::Refused(batch, refusal) => {
                        outcomes.extend(all(&batch, || Outcome::Refused(refusal.clone())));
                    }
                },
                Sent::Failed(Failure { error, effect }) => {
                    outcomes.extend(all(&batch, || match effect {
                        Effect::None => Outcome::NotDone(error.clone()),
                        Effect::Late { left } => Outcome::Late { left },
                        Effect::Unclear => Outcome::Unknown(error.clone()),
                    }));
                }
            }
            if todo.is_empty() && !locked.is_empty() {
                let most = 250_u64 << (2 * tries);
                let wait = Instant::now() + Duration::from_millis(100 + self.random(most));
                tokio::time::sleep_until(wait.min(by)).await;
                tries += 1;
                todo.push(std::mem::take(&mut locked));
            }
        }
        outcomes
    }

    /// Sends one call.
    async fn save(&self, group: &Group<'_>, batch: &[Item<'_>]) -> Sent {
        let doing = format!("writing {} records of {}", batch.len(), group.object);
        let call = match self.call(group, batch, &doing) {
            Ok(call) => call,
            Err(error) => return Sent::Failed(Failure { error, effect: Effect::None }),
        };
        let answer = match self.send(call).await {
            Ok(answer) => answer,
            Err(failure) => return Sent::Failed(failure),
        };
        if answer.status.is_success() {
            return match self.shape(&doing, &answer) {
                Ok(saved) => Sent::Each(saved),
                Err(error) => Sent::Failed(Failure { error, effect: Effect::Unclear }),
            };
        }
        let told = told(&answer);
        let error = self.dialect.error(&doing, &answer, &told);
        match error.kind {
            ErrorKind::Request => Sent::Whole(told),
            _ => Sent::Failed(Failure { error, effect: Effect::None }),
        }
    }

    fn call(&self, group: &Group<'_>, batch: &[Item<'_>], doing: &str) -> Result<Call, Error> {
        let base = "/composite/sobjects";
        let (path, route) = match group.verb {
            Verb::Delete => {
                let ids: Vec<&str> = batch.iter().filter_map(|item| item.id.as_deref()).collect();
                let path = format!("{base}?ids={}&allOrNone=false", ids.join(","));
                let mut call = self.get(
                    "/services/data/{version}/composite/sobjects",
                    self.path(&path),
                    doing,
                );
                call.method = Method::DELETE;
                call.repeat = crate::platform::transport::Repeat::Never;
                return Ok(call.within(self.settings.retry.write_within));
            }
            Verb::Update | Verb::Create => {
                (base.to_owned(), "/services/data/{version}/composite/sobjects")
            }
            Verb::Upsert(key) => (
                format!("{base}/{}/{key}", group.object),
                "/services/data/{version}/composite/sobjects/{object}/{field}",
            ),
        };
        let records: Vec<Json> = batch.iter().map(body).collect();
        let body = serde_json::json!({"allOrNone": false, "records": records});
        let method = if group.verb == Verb::Create { Method::POST } else { Method::PATCH };
        let mut call = Call::send(&self.lane, method, route, self.path(&path), &body, doing)
            .map_err(|why| request_error(doing, why.to_string()))?;
        for (name, value) in headers(group.options) {
            let value = HeaderValue::try_from(value).map_err(|why| {
                request_error(doing, format!("the assignment rule is no id: {why}"))
            })?;
            call = call.header(HeaderName::from_static(name), value);
        }
        Ok(call.within(self.settings.retry.write_within))
    }

    /// What the platform's answer about one record means.
    fn outcome(&self, item: &Item<'_>, saved: Saved) -> Outcome {
        if saved.success {
            let id = saved.id.as_deref().and_then(wire::id18).or_else(|| item.id.clone());
            return match id {
                Some(id) => Outcome::Done {
                    id,
                    created: saved.created.unwrap_or(item.write.action == Action::Create),
                    echoed: BTreeMap::new(),
                },
                None => Outcome::Unknown(request_error(
                    "writing",
                    "a record was saved without its id being told".into(),
                )),
            };
        }
        // Several errors: one that heals by itself says nothing against the record.
        let heals = saved.errors.iter().find(|error| {
            matches!(codes::meaning(&error.code, &error.message), Some((Meaning::Busy, _)))
        });
        let told = heals.or_else(|| saved.errors.first()).cloned().unwrap_or_default();
        let kind = match codes::meaning(&told.code, &told.message).map(|(meaning, _)| meaning) {
            Some(Meaning::Busy) => ErrorKind::Retry { after: None },
            Some(Meaning::Exhausted) => ErrorKind::Retry { after: Some(EXHAUSTED) },
            Some(Meaning::Session) => ErrorKind::SignIn,
            Some(Meaning::Stop) => ErrorKind::Stop,
            _ => return Outcome::Refused(codes::refusal(&told)),
        };
        let mut error = request_error("writing", crate::platform::transport::redact(&told.message));
        error.kind = kind;
        error.hint = codes::meaning(&told.code, &told.message).map(|(_, hint)| hint.to_owned());
        error.code = Some(told.code);
        Outcome::NotDone(error)
    }
}

fn busy(error: &Error) -> bool {
    error.kind == (ErrorKind::Retry { after: None })
}

fn all<'a>(
    batch: &'a [Item<'_>],
    outcome: impl Fn() -> Outcome + 'a,
) -> impl Iterator<Item = (usize, Outcome)> + 'a {
    batch.iter().map(move |item| (item.at, outcome()))
}

/// What an answer without success says. An external id that several records hold is answered with
/// their addresses instead of an error.
fn told(answer: &Answer) -> ApiError {
    if answer.status == StatusCode::MULTIPLE_CHOICES {
        return ApiError {
            code: "DUPLICATE_EXTERNAL_ID".into(),
            message: "several records hold this external id".into(),
            ..ApiError::default()
        };
    }
    first_error(answer)
}

/// What is done about a call that was refused as a whole.
enum Split<'a> {
    Parts(Vec<Vec<Item<'a>>>),
    Refused(Vec<Item<'a>>, Refusal),
}

fn split<'a>(group: &Group<'_>, batch: Vec<Item<'a>>, told: &ApiError) -> Split<'a> {
    let mut refusal = codes::refusal(told);
    // Wrong for every record of the group: the object, or the key of the upsert.
    let everyone = matches!(&*told.code, "NOT_FOUND" | "INVALID_TYPE");
    let column = codes::column_in(&told.message);
    if everyone || column.is_some_and(|column| group.verb == Verb::Upsert(column)) {
        refusal.kind = RefusalKind::Schema;
        return Split::Refused(batch, refusal);
    }
    if batch.len() == 1 {
        return Split::Refused(batch, refusal);
    }
    // A column that does not exist spoils the call for those that do not write it.
    if let Some(column) = column {
        let writes = |item: &Item<'_>| {
            item.write.fields.keys().any(|field| field.eq_ignore_ascii_case(column))
        };
        let (with, without): (Vec<_>, Vec<_>) = batch.iter().cloned().partition(writes);
        if !with.is_empty() && !without.is_empty() {
            return Split::Parts(vec![without, with]);
        }
        if without.is_empty() {
            return Split::Refused(batch, refusal);
        }
    }
    let mut left = batch;
    let right = left.split_off(left.len() / 2);
    // The last one is sent first.
    Split::Parts(vec![right, left])
}

/// Where a write belongs, or why it is not sent.
fn item(at: usize, write: &Write) -> Result<(Group<'_>, Item<'_>), Refusal> {
    let refuse = |kind, code: &str, message: String, hint: &str| Refusal {
        kind,
        code: code.into(),
        message,
        fields: Vec::new(),
        hint: hint.into(),
    };
    let known = |id: &str| {
        fitting(&write.object, id).ok_or_else(|| {
            let message = format!("{id:?} is no id of {}", write.object);
            refuse(RefusalKind::Gone, "MALFORMED_ID", message, "the link is to be matched again")
        })
    };
    let id = match &write.action {
        Action::Update { id } | Action::Delete { id } => Some(known(id)?),
        Action::Upsert { .. } | Action::Create => None,
    };
    let group = group(write);
    let key = match group.verb {
        Verb::Upsert(key) => Some(key),
        _ => None,
    };
    for name in write.fields.keys().map(String::as_str).chain(key).chain([write.object.as_str()]) {
        let own = name.eq_ignore_ascii_case("Id") || name.eq_ignore_ascii_case("attributes");
        if own || soql::name(name).is_err() {
            let message = format!("{name:?} is no field that can be written");
            let hint = "correct the name in the mapping, as Setup shows it under API Name";
            return Err(refuse(RefusalKind::Schema, "INVALID_FIELD", message, hint));
        }
    }
    Ok((group, Item { at, write, id }))
}

/// The writes that can go in one call with this one.
fn group(write: &Write) -> Group<'_> {
    let verb = match &write.action {
        Action::Update { .. } => Verb::Update,
        Action::Delete { .. } => Verb::Delete,
        Action::Upsert { key_field, .. } => Verb::Upsert(key_field.as_str()),
        Action::Create => Verb::Create,
    };
    Group { object: &write.object, verb, options: &write.options }
}

/// The record as it stands in a collection. `attributes` comes first: in nested records the
/// platform's parser wants it so.
fn body(item: &Item<'_>) -> Json {
    let write = item.write;
    let mut record = Map::new();
    record.insert("attributes".into(), serde_json::json!({"type": write.object}));
    if let Some(id) = &item.id {
        record.insert("id".into(), Json::from(id.as_str()));
    }
    if let Action::Upsert { key_field, key } = &write.action {
        record.insert(key_field.clone(), Json::from(key.as_str()));
    }
    for (field, value) in &write.fields {
        record.insert(field.clone(), wire::json(value));
    }
    Json::Object(record)
}

/// The headers that say what the org's automation does. Without the first, every write to a Lead
/// runs the assignment rules: a new score would give the lead another owner.
fn headers(options: &WriteOptions) -> Vec<(&'static str, String)> {
    let assign = match &options.assign {
        Assignment::Off => "FALSE".to_owned(),
        Assignment::Active => "TRUE".to_owned(),
        Assignment::Rule(id) => id.clone(),
    };
    let mut headers = vec![("sforce-auto-assign", assign)];
    if options.allow_duplicates {
        headers.push(("sforce-duplicate-rule-header", "allowSave=true".to_owned()));
    }
    headers
}
