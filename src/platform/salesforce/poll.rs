//! What changed: rounds over the rows by their time of modification.
//!
//! A page continues behind the last row of the one before it, by (`SystemModstamp`, `Id`): whole
//! batches share a second, so that a time alone would lose rows or never end. A round begins where
//! the one before it ended, less the overlap, because a row is stamped when it is written and seen
//! when its transaction commits.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::query::{Scope, encode};
use super::read::{columns, record};
use super::soql::{self, Select};
use super::wire::{self, DeletedPage, Row};
use super::{Error, Salesforce, not_a_name, request_error};
use crate::platform::{Ask, Cursor, Platform as _, Polled};
use crate::record::{Change, ChangeKind, Origin, Record, RecordRef, Source};

/// How long the platform keeps its log of deletions, less an hour for its own clean-up.
const LOG_KEPT: SignedDuration = SignedDuration::from_hours(15 * 24 - 1);

/// Where a round of changes stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Round {
    /// The earliest stamp of this round.
    from: Timestamp,
    /// The latest one, fixed by the round's first page so that the round ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
    /// The last row that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<(Timestamp, String)>,
}

/// Where the listing of deletions stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Covered {
    from: Timestamp,
}

fn write<T: Serialize>(place: &T, doing: &str) -> Result<Cursor, Error> {
    serde_json::to_string(place).map(Cursor).map_err(|why| request_error(doing, why.to_string()))
}

fn read<T: DeserializeOwned>(cursor: &Cursor, doing: &str) -> Result<T, Error> {
    serde_json::from_str(&cursor.0).map_err(|why| {
        let mut error = request_error(doing, format!("the remembered place is not ours: {why}"));
        error.hint = Some("forget it and compare all records once".into());
        error
    })
}

impl Round {
    fn condition(&self) -> String {
        let mut condition = match &self.after {
            None => format!("SystemModstamp >= {}", soql::moment(self.from)),
            Some((at, id)) => {
                let (at, id) = (soql::moment(*at), soql::quote(id));
                format!("(SystemModstamp > {at} OR (SystemModstamp = {at} AND Id > {id}))")
            }
        };
        if let Some(to) = self.to {
            condition.push_str(" AND SystemModstamp <= ");
            condition.push_str(&soql::moment(to));
        }
        condition
    }

    /// The place behind a page that ended with `last`; `to` is when the round began.
    fn next(
        &self,
        last: Option<(Timestamp, String)>,
        to: Timestamp,
        overlap: SignedDuration,
    ) -> Self {
        match last {
            Some(last) => Self { from: self.from, to: Some(to), after: Some(last) },
            None => Self {
                from: to.saturating_sub(overlap).unwrap_or(self.from),
                to: None,
                after: None,
            },
        }
    }
}

impl Salesforce {
    fn overlap(&self) -> SignedDuration {
        SignedDuration::try_from(self.settings.overlap).unwrap_or(SignedDuration::MAX)
    }

    pub(super) async fn changed_since(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        let doing = format!("polling {} for changes", ask.object);
        let round = match cursor {
            Some(cursor) => read(cursor, &doing)?,
            // What was stamped before `since` may become visible after it, here as in every round.
            None => Round {
                from: since.saturating_sub(self.overlap()).unwrap_or(since),
                to: None,
                after: None,
            },
        };
        let query = Select::new(columns(ask), &ask.object)
            .map_err(|why| not_a_name(&doing, &why))?
            .and(round.condition())
            .tail(format!("ORDER BY SystemModstamp, Id LIMIT {}", self.settings.page));
        let asked = Instant::now();
        let (page, answer) = self.page(&query, Scope::All, &doing).await?;
        let to = match (round.to, answer.date()) {
            (Some(to), _) => to,
            // The round ends where it began by the server's clock: what the query could not see yet
            // is for the next one.
            (None, Some(date)) => {
                let took = SignedDuration::try_from(asked.elapsed()).unwrap_or_default();
                date.saturating_sub(took).unwrap_or(date)
            }
            // Without a date, a round ends with its first page: at what that page has seen.
            (None, None) => page
                .records
                .last()
                .and_then(|row| wire::text(row, "SystemModstamp").and_then(wire::moment))
                .unwrap_or(round.from.saturating_add(self.overlap()).unwrap_or(round.from)),
        };
        let full = !page.done || page.records.len() >= self.settings.page as usize;
        let last = match page.records.last().filter(|_| full) {
            None => None,
            Some(row) => Some(place(row).ok_or_else(|| {
                request_error(&doing, "a row has no Id or SystemModstamp to go on from".into())
            })?),
        };
        let more = last.is_some();
        let rows = page.records.iter().filter_map(|row| self.change(ask, row));
        let (changes, seen) = rows.unzip();
        let cursor = write(&round.next(last, to, self.overlap()), &doing)?;
        Ok(Polled { changes, seen, cursor, more })
    }

    fn change(&self, ask: &Ask, row: &Row) -> Option<(Change, Option<Record>)> {
        let record = record(ask, row, self.author_id())?;
        let author = wire::text(row, "LastModifiedById").and_then(wire::id18);
        let origin = match (author, self.author_id()) {
            (Some(author), Some(own)) if author == own => Origin::Lockstep,
            (Some(_), Some(_)) => Origin::Elsewhere,
            _ => Origin::Unknown,
        };
        let mut change = Change::touched(record.key.clone(), Source::Poll);
        change.at = record.modified;
        change.origin = origin;
        if !record.deleted {
            return Some((change, Some(record)));
        }
        change.kind = match record.successor {
            Some(into) => ChangeKind::Merged { into },
            None => ChangeKind::Deleted,
        };
        Some((change, None))
    }

    pub(super) async fn list_all(
        &self,
        ask: &Ask,
        cursor: Option<&Cursor>,
    ) -> Result<Polled, Error> {
        let doing = format!("listing {}", ask.object);
        let mut query =
            Select::new(columns(ask), &ask.object).map_err(|why| not_a_name(&doing, &why))?;
        if let Some(Cursor(last)) = cursor.filter(|Cursor(last)| !last.is_empty()) {
            query = query.and(format!("Id > {}", soql::quote(last)));
        }
        let query = query.tail(format!("ORDER BY Id LIMIT {}", self.settings.page));
        let (page, _) = self.page(&query, Scope::Live, &doing).await?;
        let rows = page.records.iter().filter_map(|row| self.change(ask, row));
        let (mut changes, seen): (Vec<Change>, _) = rows.unzip();
        for change in &mut changes {
            change.source = Source::Sweep;
        }
        let full = !page.done || page.records.len() >= self.settings.page as usize;
        let end = changes.last().map(|change| Cursor(change.record.id.clone()));
        Ok(Polled {
            more: full && end.is_some(),
            cursor: end.or_else(|| cursor.cloned()).unwrap_or(Cursor(String::new())),
            changes,
            seen,
        })
    }

    pub(super) async fn deleted_since(
        &self,
        object: &str,
        cursor: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        let doing = format!("asking for deletions of {object}");
        soql::name(object).map_err(|why| not_a_name(&doing, &why))?;
        let now = self.server_time().await?;
        let place = match cursor {
            Some(cursor) => read(cursor, &doing)?,
            None => Covered { from: since.saturating_sub(self.overlap()).unwrap_or(since) },
        };
        // The platform cuts both ends to whole minutes and wants the first before the second.
        let start = minute(place.from.max(now.saturating_sub(LOG_KEPT).unwrap_or(place.from)));
        let end = minute(now);
        if start >= end {
            let (changes, seen) = (Vec::new(), Vec::new());
            return Ok(Polled { changes, seen, cursor: write(&place, &doing)?, more: false });
        }
        let span = [start, end].map(|at| encode(&soql::moment(at)));
        let path = format!("/sobjects/{object}/deleted/?start={}&end={}", span[0], span[1]);
        let route = "/services/data/{version}/sobjects/{object}/deleted";
        let answer = self.ask(self.get(route, self.path(&path), &doing)).await?;
        let page: DeletedPage = self.shape(&doing, &answer)?;
        let changes: Vec<Change> = page
            .deleted_records
            .iter()
            .filter_map(|row| {
                let record = RecordRef::salesforce(object, wire::id18(&row.id)?);
                let mut change = Change::touched(record, Source::Poll);
                change.kind = ChangeKind::Deleted;
                change.at = row.deleted_date.as_deref().and_then(wire::moment);
                Some(change)
            })
            .collect();
        let covered = page.latest_date_covered.as_deref().and_then(wire::moment).unwrap_or(end);
        let from = covered.min(end).saturating_sub(self.overlap()).unwrap_or(start).max(start);
        let cursor = write(&Covered { from }, &doing)?;
        Ok(Polled { seen: vec![None; changes.len()], changes, cursor, more: false })
    }
}

/// The keyset position of `row`.
fn place(row: &Row) -> Option<(Timestamp, String)> {
    let at = wire::text(row, "SystemModstamp").and_then(wire::moment)?;
    Some((at, wire::text(row, "Id").and_then(wire::id18)?))
}

/// `at`, cut to its minute.
fn minute(at: Timestamp) -> Timestamp {
    let second = at.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_round_goes_on_by_key_and_ends_with_an_overlap() {
        let overlap = SignedDuration::from_mins(10);
        let began = at("2026-11-22T12:00:00Z");
        let first = Round { from: at("2026-11-22T11:00:00Z"), to: None, after: None };
        insta::assert_snapshot!(first.condition(), @"SystemModstamp >= 2026-11-22T11:00:00Z");
        let last = (at("2026-11-22T11:30:00Z"), "00Q000000000001EAA".to_owned());
        let second = first.next(Some(last), began, overlap);
        insta::assert_snapshot!(second.condition(), @"(SystemModstamp > 2026-11-22T11:30:00Z OR (SystemModstamp = 2026-11-22T11:30:00Z AND Id > '00Q000000000001EAA')) AND SystemModstamp <= 2026-11-22T12:00:00Z");
        let next_round = second.next(None, began, overlap);
        insta::assert_snapshot!(next_round.condition(), @"SystemModstamp >= 2026-11-22T11:50:00Z");
    }

    #[test]
    fn a_place_is_remembered_as_text() {
        let round = Round {
            from: at("2026-11-22T11:00:00Z"),
            to: Some(at("2026-11-22T12:00:00Z")),
            after: Some((at("2026-11-22T11:30:00Z"), "00Q000000000001EAA".into())),
        };
        let cursor = write(&round, "").unwrap();
        insta::assert_snapshot!(cursor.0, @r#"{"from":"2026-11-22T11:00:00Z","to":"2026-11-22T12:00:00Z","after":["2026-11-22T11:30:00Z","00Q000000000001EAA"]}"#);
        assert_eq!(read::<Round>(&cursor, "").unwrap(), round);
        assert!(read::<Round>(&Cursor("0r8".into()), "").is_err());
    }

    #[test]
    fn a_minute_is_cut() {
        assert_eq!(minute(at("2026-11-22T11:30:59.9Z")), at("2026-11-22T11:30:00Z"));
        assert_eq!(minute(at("1969-12-31T23:59:30Z")), at("1969-12-31T23:59:00Z"));
    }
}
