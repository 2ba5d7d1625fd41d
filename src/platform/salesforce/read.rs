//! Records: read by id, found by a field, and made out of rows.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use http::Method;
use serde_json::Value as Json;

use super::query::{Scope, room};
use super::soql::{self, Select};
use super::wire::{self, Row};
use super::{Error, Salesforce, not_a_name, request_error};
use crate::platform::transport::{Call, Repeat};
use crate::platform::{Ask, FieldKind, ObjectSchema};
use crate::record::{Author, Raw, Record, RecordRef, SalesforceId, Stamp, object_of_prefix};

/// The most records that one retrieve takes. (REST API Developer Guide, "Get Records With a Request
/// Body Using sObject Collections")
const BATCH: usize = 2_000;

/// The most values in one `IN`: what they match should fit a page.
const VALUES: usize = 200;

/// How many bytes of values go into a query that is sent as a body. Far below the 100,000
/// characters that a query may have.
const BODY_ROOM: usize = 60_000;

/// A converted Lead is read-only and shares its e-mail address with the Contact that it became.
pub(super) const NOT_CONVERTED: &str = "IsConverted = false";

pub(super) fn is_lead(object: &str) -> bool {
    object.eq_ignore_ascii_case("Lead")
}

/// Whether records of `object` can be merged, and so have a `MasterRecordId`. (Object Reference:
/// `merge()` takes these and no others.)
fn merges(object: &str) -> bool {
    ["Lead", "Contact", "Account", "Case"].iter().any(|name| object.eq_ignore_ascii_case(name))
}

/// The columns that a record of `ask` is made of.
pub(super) fn columns(ask: &Ask) -> Vec<&str> {
    let mut columns = vec!["Id", "IsDeleted", "CreatedDate", "SystemModstamp", "LastModifiedById"];
    if merges(&ask.object) {
        columns.push("MasterRecordId");
    }
    if is_lead(&ask.object) {
        columns.extend(["IsConverted", "ConvertedContactId"]);
    }
    for field in &ask.fields {
        if !columns.iter().any(|column| column.eq_ignore_ascii_case(field)) {
            columns.push(field);
        }
    }
    columns
}

/// The columns of `ask` that an object has: the small objects of Setup, such as those that say which
/// objects a queue may own, have no stamps and cannot be deleted. A field that was asked for and is
/// not there is told by the platform.
fn columns_of<'a>(ask: &'a Ask, schema: &ObjectSchema) -> Vec<&'a str> {
    let known = |column: &str| schema.fields.keys().any(|name| name.eq_ignore_ascii_case(column));
    let asked = |column: &str| ask.fields.iter().any(|name| name.eq_ignore_ascii_case(column));
    let kept = |column: &&str| *column == "Id" || asked(column) || known(column);
    columns(ask).into_iter().filter(kept).collect()
}

/// The record in `row`, or nothing where it has no id.
pub(super) fn record(ask: &Ask, row: &Row, own: Option<&str>) -> Option<Record> {
    let id = wire::text(row, "Id").and_then(wire::id18)?;
    let mut record = Record::new(RecordRef::salesforce(ask.object.clone(), id));
    record.modified = wire::text(row, "SystemModstamp").and_then(wire::moment);
    record.created = wire::text(row, "CreatedDate").and_then(wire::moment);
    record.deleted = wire::truth(row, "IsDeleted");
    let reference = |column| wire::text(row, column).and_then(wire::id18);
    if record.deleted {
        let winner = reference("MasterRecordId");
        record.successor = winner.map(|id| RecordRef::salesforce(ask.object.clone(), id));
    } else if is_lead(&ask.object) && wire::truth(row, "IsConverted") {
        let contact = reference("ConvertedContactId");
        record.successor = contact.map(|id| RecordRef::salesforce("Contact", id));
    }
    for field in &ask.fields {
        // A field that does not exist fails the whole call, so what is missing here is blank.
        record.fields.insert(field.clone(), wire::value(row, field).unwrap_or_default());
    }
    if is_lead(&ask.object) {
        let converted = Raw::Bool(wire::truth(row, "IsConverted"));
        record.fields.entry("IsConverted".into()).or_insert(converted);
    }
    if let Some(at) = record.modified {
        let by = wire::text(row, "LastModifiedById")
            .and_then(wire::id18)
            .map(|id| if Some(id.as_str()) == own { Author::Lockstep } else { Author::Other(id) });
        let stamp = Stamp { at, exact: false, by };
        record.stamps = ask.fields.iter().map(|field| (field.clone(), stamp.clone())).collect();
    }
    Some(record)
}

/// How many calls it takes to read `records` that are there.
pub(super) const fn calls(records: usize) -> u64 {
    records.div_ceil(BATCH) as u64
}

impl Salesforce {
    pub(super) async fn read_by_id(
        &self,
        ask: &Ask,
        ids: &[String],
    ) -> Result<Vec<Option<Record>>, Error> {
        let doing = format!("reading {} records of {}", ids.len(), ask.object);
        let wrong = |why| not_a_name(&doing, &why);
        let select = Select::new(columns(ask), &ask.object).map_err(wrong)?;
        // What is no id of this object would fail the whole batch; it leads to no record anyway.
        let wanted: Vec<Option<String>> = ids.iter().map(|id| fitting(&ask.object, id)).collect();
        let unique: BTreeSet<&String> = wanted.iter().flatten().collect();
        let unique: Vec<&String> = unique.into_iter().collect();
        let mut found: BTreeMap<String, Record> = BTreeMap::new();
        let batches = unique.chunks(BATCH).map(|batch| self.retrieve(ask, batch, &doing));
        for batch in join_all(batches).await {
            found.extend(batch?.into_iter().map(|record| (record.key.id.clone(), record)));
        }
        // A record in the recycle bin is not retrieved; only a query for all rows sees it, and tells
        // a merge from a deletion.
        let missing: Vec<&String> =
            unique.into_iter().filter(|id| !found.contains_key(*id)).collect();
        let lost = self.by_field(ask, select, "Id", quoted(&missing), Scope::All, &doing).await?;
        found.extend(lost.into_iter().map(|record| (record.key.id.clone(), record)));
        Ok(wanted.into_iter().map(|id| found.get(&id?).cloned()).collect())
    }

    /// One batch of live records; those that are not there are left out.
    async fn retrieve(
        &self,
        ask: &Ask,
        ids: &[&String],
        doing: &str,
    ) -> Result<Vec<Record>, Error> {
        let body = serde_json::json!({"ids": ids, "fields": columns(ask)});
        let call = Call::send(
            &self.lane,
            Method::POST,
            "/services/data/{version}/composite/sobjects/{object}",
            self.path(&format!("/composite/sobjects/{}", ask.object)),
            &body,
            doing,
        )
        .map_err(|why| request_error(doing, why.to_string()))?;
        let answer = self.ask(call.repeat(Repeat::Safe)).await?;
        let rows: Vec<Json> = self.shape(doing, &answer)?;
        let rows = rows.iter().filter_map(Json::as_object);
        Ok(rows.filter_map(|row| record(ask, row, self.author_id())).collect())
    }

    /// Rows whose `field` is one of `literals`.
    async fn by_field(
        &self,
        ask: &Ask,
        mut select: Select,
        field: &str,
        literals: Vec<String>,
        scope: Scope,
        doing: &str,
    ) -> Result<Vec<Record>, Error> {
        let wrong = |why| not_a_name(doing, &why);
        if scope == Scope::Live && is_lead(&ask.object) {
            select = select.and(NOT_CONVERTED);
        }
        let bytes = room(&select).unwrap_or(BODY_ROOM);
        let mut queries = Vec::new();
        for run in soql::runs(literals, VALUES, bytes) {
            queries.push(select.clone().one_of(field, &run).map_err(wrong)?.tail("ORDER BY Id"));
        }
        let answers = join_all(queries.iter().map(|query| self.rows(query, scope, doing))).await;
        let mut records = BTreeMap::new();
        for rows in answers {
            let rows = rows?;
            let rows = rows.iter().filter_map(|row| record(ask, row, self.author_id()));
            // Two values that differ only in case find the same record.
            records.extend(rows.map(|record| (record.key.id.clone(), record)));
        }
        Ok(records.into_values().collect())
    }

    pub(super) async fn find_by(
        &self,
        ask: &Ask,
        field: &str,
        values: &[String],
    ) -> Result<Vec<Record>, Error> {
        let doing = format!("finding {} by {field}", ask.object);
        let schema = self.describe(&ask.object).await?;
        let kind = schema
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, field)| field.kind.clone());
        let literals: BTreeSet<String> =
            values.iter().filter_map(|value| literal(kind.as_ref(), value)).collect();
        let literals = literals.into_iter().collect();
        let select = Select::new(columns_of(ask, &schema), &ask.object);
        let select = select.map_err(|why| not_a_name(&doing, &why))?;
        self.by_field(ask, select, field, literals, Scope::Live, &doing).await
    }
}

/// `value` as a literal for a field of `kind`, or nothing where no record can hold it.
fn literal(kind: Option<&FieldKind>, value: &str) -> Option<String> {
    match kind {
        _ if value.is_empty() || value.chars().count() > soql::LONGEST_LITERAL => None,
        Some(FieldKind::Number) => {
            let number: f64 = value.trim().parse().ok()?;
            number.is_finite().then(|| number.to_string())
        }
        Some(FieldKind::Bool) => value.parse::<bool>().ok().map(|truth| truth.to_string()),
        Some(FieldKind::Date) => value.parse::<jiff::civil::Date>().ok().map(|day| day.to_string()),
        Some(FieldKind::DateTime) => wire::moment(value).map(soql::moment),
        Some(FieldKind::Reference | FieldKind::Owner) => {
            SalesforceId::parse(value).ok().map(|id| soql::quote(id.as_str()))
        }
        _ => Some(soql::quote(value)),
    }
}

fn quoted(ids: &[&String]) -> Vec<String> {
    ids.iter().map(|id| soql::quote(id)).collect()
}

/// `id` in 18 characters, where it can be one of `object`.
pub(super) fn fitting(object: &str, id: &str) -> Option<String> {
    let id = SalesforceId::parse(id).ok()?;
    let fits = object_of_prefix(id.prefix()).is_none_or(|other| other.eq_ignore_ascii_case(object));
    fits.then(|| id.as_str().to_owned())
}
