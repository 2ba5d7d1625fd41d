//! `updated` and `deleted`: what changed between two minutes.

use serde_json::{Value, json};

use super::Answer;
use super::call::{Call, Reply};
use crate::sandbox::salesforce::refusal::{Code, Refusal};
use crate::sandbox::salesforce::schema::Object;
use crate::sandbox::salesforce::time;
use crate::sandbox::salesforce::world::Org;

/// The most ids of one answer.
const MOST: usize = 600_000;

/// The span of a call, floored to minutes, and how far it may reach back.
fn span(call: &Call, days: i64) -> Result<(i64, i64), Refusal> {
    let read = |name: &str| {
        let text = call.param(name).unwrap_or_default();
        time::parse_datetime(&text.replace(' ', "+")).ok_or_else(|| {
            let message = format!("{name}: found '{text}', expected an ISO 8601 date time");
            Refusal::call(Code::InvalidReplicationDate, message)
        })
    };
    let (start, end) = (read("start")?.div_euclid(60) * 60, read("end")?.div_euclid(60) * 60);
    let now = call.now.as_second();
    if start >= end {
        let message = "startDate must be at least one minute greater than endDate";
        return Err(Refusal::call(Code::InvalidReplicationDate, message));
    }
    if start < now - days * 24 * 3600 {
        let message =
            format!("startDate before org replication enabled date or over {days} days ago");
        return Err(Refusal::call(Code::InvalidReplicationDate, message));
    }
    Ok((start, end.min(now)))
}

impl Org {
    pub(super) fn rest_updated(&self, call: &Call, object: &Object) -> Answer {
        let (start, end) = span(call, 30)?;
        let Some(table) = self.table(&object.name) else { return Ok(Reply::not_modelled()) };
        let ids: Vec<Value> = table
            .stamped(start, end - 1)
            .filter(|r| r.deleted_at.is_none() && !table.hidden.contains_key(&r.id))
            .map(|r| json!(&*r.id))
            .take(MOST + 1)
            .collect();
        if ids.len() > MOST {
            let message = format!("limit of {MOST} ids reached for getUpdated");
            return Err(Refusal::call(Code::ExceededIdLimit, message));
        }
        Ok(Reply::ok(json!({"ids": ids, "latestDateCovered": time::datetime(end)})))
    }

    pub(super) fn rest_deleted(&self, call: &Call, object: &Object) -> Answer {
        let (start, end) = span(call, 15)?;
        let Some(table) = self.table(&object.name) else { return Ok(Reply::not_modelled()) };
        let deleted: Vec<Value> = table
            .deleted_between(start, end)
            .filter(|(_, id)| !table.hidden.contains_key(id))
            .map(|(at, id)| json!({"deletedDate": time::datetime(*at), "id": &**id}))
            .collect();
        let earliest = call.now.as_second() - 15 * 24 * 3600;
        Ok(Reply::ok(json!({
            "deletedRecords": deleted,
            "earliestDateAvailable": time::datetime(earliest),
            "latestDateCovered": time::datetime(end),
        })))
    }
}
