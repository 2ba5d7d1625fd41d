//! What lags: HubSpot's search index. Polls, look-ups by a value that is not unique, and counts.
//!
//! Search sorts by record id and goes on after the last id seen, so that neither the limit of 10,000
//! hits nor a record that changes meanwhile loses anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::HubSpot;
use super::paths::{modified_property, type_id};
use super::read::{ASSOCIATIONS, BATCH, cursor, place, polled};
use super::wire::{FilterJson, GroupJson, ObjectJson, PageJson, SearchJson, SortJson, moment};
use crate::platform::{Ask, Cursor, Error, FieldKind, ObjectSchema, Polled};
use crate::record::{Change, ChangeKind, Record, RecordRef, Source};

/// The most records of a page.
const PAGE: u32 = 200;
/// The fewest that a page can be asked for, for counts.
const SMALLEST: u32 = 10;
/// The longest body of a search, in characters (developers.hubspot.com, "Search the CRM").
const LONGEST: usize = 3_000;
/// How much of it the values of one look-up may take.
const LONGEST_VALUES: usize = 2_000;
/// A search from the beginning of time has been answered with 500; HubSpot was founded in 2006.
const EARLIEST: i64 = 1_136_073_600_000;
/// Where other e-mail addresses of a contact are, separated by semicolons.
const OTHER_ADDRESSES: &str = "hs_additional_emails";

/// Where a poll goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct PollPlace {
    /// The round's beginning, in milliseconds since 1970.
    from: Option<i64>,
    /// The round's end, fixed when it began; none between two rounds.
    to: Option<i64>,
    /// The last id of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// Where a walk through the archive goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ArchivePlace {
    /// What was archived before is known, in milliseconds since 1970.
    since: Option<i64>,
    /// When this walk began.
    began: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl HubSpot {
    /// One page of a search, by id.
    async fn search_page(
        &self,
        object: &str,
        filters: Vec<FilterJson<'_>>,
        properties: &[&str],
        limit: u32,
        doing: &str,
    ) -> Result<PageJson<ObjectJson>, Error> {
        let body = search_body(filters, properties, limit);
        self.post(&self.search, self.paths.objects(object, "/search"), &body, doing).await
    }

    pub(super) async fn poll(
        &self,
        ask: &Ask,
        from: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        let place: PollPlace = place(from)?;
        let from = place.from.unwrap_or_else(|| since.as_millisecond()).max(EARLIEST);
        let modified = modified_property(&ask.object);
        let mut filters = vec![FilterJson::one(modified, "GTE", from)];
        if let Some(to) = place.to {
            filters.push(FilterJson::one(modified, "LTE", to));
        }
        if let Some(after) = &place.after {
            filters.push(FilterJson::one("hs_object_id", "GT", after));
        }
        let properties = self.properties(ask);
        let wide = serde_json::to_string(&search_body(filters.clone(), &properties, PAGE));
        let is_wide = wide.is_ok_and(|body| body.chars().count() > LONGEST);
        let properties = if is_wide { &[modified][..] } else { &properties };
        let doing = format!("looking for changed {}", ask.object);
        let page = self.search_page(&ask.object, filters, properties, PAGE, &doing).await?;
        // The round ends where its first page was answered: by that answer's own clock, which no
        // sleep of this machine has put back.
        let to = match place.to {
            Some(to) => to,
            None => self.time().await?.as_millisecond().max(from),
        };
        let last =
            page.results.iter().map(|object| object.id.0.clone()).max_by_key(|id| by_number(id));
        // A page that is not full is the last; so is one that says that it holds every hit. Of any
        // other full one only the next tells.
        let is_whole = page.total == u64::try_from(page.results.len()).ok();
        let is_full = page.results.len() >= PAGE as usize;
        let more = page.after().is_some() || (is_full && !is_whole);
        let next = match last {
            Some(last) if more => PollPlace { from: Some(from), to: Some(to), after: Some(last) },
            _ => PollPlace { from: Some(self.overlapping(to)), to: None, after: None },
        };
        let records = self.seen(ask, page.results, is_wide).await?;
        let more = next.to.is_some();
        let merged: Vec<Change> = records.iter().flat_map(merges).collect();
        let mut page = polled(records, &next, more)?;
        page.seen.extend(merged.iter().map(|_| None));
        page.changes.extend(merged);
        Ok(page)
    }

    /// The beginning of the round after one that ended at `end`: what the index had not taken in by
    /// then is seen in it.
    fn overlapping(&self, end: i64) -> i64 {
        let overlap = i64::try_from(self.overlap.as_millis()).unwrap_or(i64::MAX);
        end.saturating_sub(overlap).max(EARLIEST)
    }

    /// Walks the archive, which is in the order of ids and has no filter by time.
    pub(super) async fn poll_archive(
        &self,
        object: &str,
        from: Option<&Cursor>,
        since: Timestamp,
    ) -> Result<Polled, Error> {
        let place: ArchivePlace = place(from)?;
        let since = place.since.unwrap_or_else(|| since.as_millisecond());
        let path = self.paths.objects(object, "").query(&[
            ("limit", "100"),
            ("archived", "true"),
            ("after", place.after.as_deref().unwrap_or_default()),
            ("properties", "hs_object_id"),
        ]);
        let page: PageJson<ObjectJson> =
            self.get(path, &format!("listing archived {object}")).await?;
        let began = match place.began {
            Some(began) => began,
            None => self.time().await?.as_millisecond(),
        };
        let next = page.after().map(str::to_owned);
        let archived = archived_since(page.results, since);
        let changes = self.deletions(object, archived).await?;
        let more = next.is_some();
        let place = if more {
            ArchivePlace { since: Some(since), began: Some(began), after: next }
        } else {
            ArchivePlace { since: Some(self.overlapping(began)), began: None, after: None }
        };
        let seen = vec![None; changes.len()];
        Ok(Polled { changes, seen, cursor: cursor(&place)?, more })
    }

    /// What became of archived records: one that still reads under its id was restored, one that
    /// reads as another was merged into it.
    async fn deletions(
        &self,
        object: &str,
        archived: BTreeMap<String, Option<Timestamp>>,
    ) -> Result<Vec<Change>, Error> {
        let ids: Vec<String> = archived.keys().cloned().collect();
        let ask = Ask { object: object.to_owned(), ..Ask::default() };
        let chunks = ids.chunks(BATCH).map(|chunk| self.read_from(&ask, chunk, false));
        let mut alive: BTreeMap<String, Record> = BTreeMap::new();
        for chunk in try_join_all(chunks).await? {
            alive.extend(chunk);
        }
        let changes = archived.into_iter().map(|(id, at)| {
            let kind = match alive.get(&id) {
                None => ChangeKind::Deleted,
                Some(record) if record.key.id == id => ChangeKind::Touched,
                Some(record) => ChangeKind::Merged { into: record.key.clone() },
            };
            let mut change = Change::touched(RecordRef::hubspot(object, id), Source::Poll);
            change.kind = kind;
            change.at = at;
            change
        });
        Ok(changes.collect())
    }

    pub(super) async fn find_all(
        &self,
        ask: &Ask,
        field: &str,
        values: &[String],
    ) -> Result<Vec<Record>, Error> {
        let values: BTreeSet<String> =
            values.iter().filter(|value| !value.trim().is_empty()).cloned().collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(to) = field.strip_prefix(ASSOCIATIONS) {
            let ids: Vec<String> = values.into_iter().collect();
            return self.find_associated(ask, to, &ids).await;
        }
        let mut ask = ask.clone();
        ask.fields.insert(field.to_owned());
        if field == "hs_object_id" {
            let ids: Vec<String> = values.into_iter().collect();
            let read = self.read_all(&ask, &ids).await?;
            return Ok(read.into_iter().flatten().filter(|record| !record.deleted).collect());
        }
        let schema = self.describe(&ask.object).await?;
        if schema.fields.get(field).is_some_and(|field| field.unique) {
            return self.find_unique(&ask, field, values).await;
        }
        let ids = self.search_ids(&ask.object, field, values.clone(), &schema).await?;
        // The index may be behind: what counts is what the record says now.
        let wanted: BTreeSet<String> = values.iter().map(|value| value.to_lowercase()).collect();
        let read = self.read_all(&ask, &ids).await?;
        Ok(read
            .into_iter()
            .flatten()
            .filter(|record| !record.deleted)
            .filter(|record| {
                record
                    .get(field)
                    .as_text()
                    .is_some_and(|text| wanted.contains(&text.to_lowercase()))
            })
            .collect())
    }

    /// Looks up by a property with unique values, which reads the records themselves. A contact is
    /// also found by its other addresses: those are returned with it, because its `email` differs
    /// from what was asked for and a write by that address would change this very contact.
    async fn find_unique(
        &self,
        ask: &Ask,
        field: &str,
        values: BTreeSet<String>,
    ) -> Result<Vec<Record>, Error> {
        let mut ask = ask.clone();
        let is_address = field == "email" && type_id(&ask.object) == "0-1";
        let values: Vec<String> = if is_address {
            ask.fields.insert(OTHER_ADDRESSES.to_owned());
            let lower: BTreeSet<String> = values.iter().map(|value| value.to_lowercase()).collect();
            lower.into_iter().collect()
        } else {
            values.into_iter().collect()
        };
        let properties = self.properties(&ask);
        let stamps = super::read::stamps(&ask);
        let size = if stamps.is_empty() { BATCH } else { BATCH / 2 };
        let chunks = values.chunks(size).map(|chunk| {
            self.batch_read(&ask.object, &properties, &stamps, Some(field), chunk, false)
        });
        let mut found = BTreeMap::new();
        for batch in try_join_all(chunks).await? {
            for object in batch.results.into_iter().filter(|object| !object.archived) {
                let record = self.record(&ask, object);
                found.insert(record.key.id.clone(), record);
            }
        }
        let mut records: Vec<Record> = found.into_values().collect();
        self.associate(&ask, records.iter_mut()).await?;
        Ok(records)
    }

    /// The ids of the records whose `field` holds one of `values`, as the index knows them.
    async fn search_ids(
        &self,
        object: &str,
        field: &str,
        values: BTreeSet<String>,
        schema: &Arc<ObjectSchema>,
    ) -> Result<Vec<String>, Error> {
        let kind = schema.fields.get(field).map(|field| &field.kind);
        // Text is compared without regard to case and wants lower-case values; choices are exact.
        let is_exact =
            matches!(kind, Some(FieldKind::Choice | FieldKind::Choices | FieldKind::Owner));
        let values: BTreeSet<String> = values
            .into_iter()
            .map(|value| if is_exact { value } else { value.to_lowercase() })
            .collect();
        let doing = format!("looking for {object} by {field}");
        let mut ids = BTreeSet::new();
        for values in in_bodies(values) {
            let mut after: Option<String> = None;
            loop {
                let mut filters = vec![FilterJson::any(field, values.clone())];
                if let Some(after) = &after {
                    filters.push(FilterJson::one("hs_object_id", "GT", after));
                }
                let page =
                    self.search_page(object, filters, &["hs_object_id"], PAGE, &doing).await?;
                let is_full = page.results.len() >= PAGE as usize || page.after().is_some();
                let found: Vec<String> =
                    page.results.into_iter().map(|object| object.id.0).collect();
                after = found.iter().max_by_key(|id| by_number(id)).cloned();
                ids.extend(found);
                if !is_full || after.is_none() {
                    break;
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    pub(super) async fn count(
        &self,
        object: &str,
        field: &str,
        values: &[String],
    ) -> Result<BTreeMap<String, u64>, Error> {
        let mut filters: BTreeMap<String, FilterJson<'_>> = values
            .iter()
            .filter(|value| !value.is_empty())
            .map(|value| (value.clone(), FilterJson::one(field, "EQ", value)))
            .collect();
        filters.insert(String::new(), FilterJson::blank(field));
        let doing = format!("counting {object} by {field}");
        let counts = filters.into_iter().map(|(value, filter)| {
            let doing = &doing;
            async move {
                let page = self
                    .search_page(object, vec![filter], &["hs_object_id"], SMALLEST, doing)
                    .await?;
                let total = page.total.unwrap_or(page.results.len() as u64);
                Ok::<_, Error>((value, total))
            }
        });
        Ok(try_join_all(counts).await?.into_iter().collect())
    }
}

/// The ids that a record took over in merges: a link may still stand under one of them.
fn merges(record: &Record) -> impl Iterator<Item = Change> {
    record.aliases.iter().map(|alias| {
        let lost = RecordRef::hubspot(record.key.object.clone(), alias.clone());
        let mut change = Change::touched(lost, Source::Poll);
        change.kind = ChangeKind::Merged { into: record.key.clone() };
        change.at = record.modified;
        change
    })
}

fn search_body<'a>(
    filters: Vec<FilterJson<'a>>,
    properties: &[&'a str],
    limit: u32,
) -> SearchJson<'a> {
    SearchJson {
        filter_groups: vec![GroupJson { filters }],
        sorts: vec![SortJson { property_name: "hs_object_id", direction: "ASCENDING" }],
        properties: properties.to_vec(),
        limit,
    }
}

/// Ids in the order of the numbers that they are.
fn by_number(id: &str) -> (usize, String) {
    (id.len(), id.to_owned())
}

/// Splits values so that each search stays within its length.
fn in_bodies(values: BTreeSet<String>) -> Vec<Vec<String>> {
    let mut bodies: Vec<Vec<String>> = Vec::new();
    let mut length = usize::MAX;
    for value in values {
        // Quotes and a comma; escapes can double a character.
        let own = value.chars().count() * 2 + 3;
        match bodies.last_mut() {
            Some(body) if length + own <= LONGEST_VALUES && body.len() < BATCH => {
                length += own;
                body.push(value);
            }
            _ => {
                length = own;
                bodies.push(vec![value]);
            }
        }
    }
    bodies
}

/// The archived records of a page that were archived at `since` or later, each once: a record that
/// was archived, restored and archived again is listed twice.
fn archived_since(objects: Vec<ObjectJson>, since: i64) -> BTreeMap<String, Option<Timestamp>> {
    let mut archived = BTreeMap::new();
    for object in objects {
        let at = moment(&object.archived_at.0);
        if object.id.0.is_empty() || at.is_some_and(|at| at.as_millisecond() < since) {
            continue;
        }
        let last: &mut Option<Timestamp> = archived.entry(object.id.0).or_insert(at);
        *last = (*last).max(at);
    }
    archived
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_search_is_written_as_hubspot_reads_it() {
        let filters = vec![
            FilterJson::one("lastmodifieddate", "GTE", 5),
            FilterJson::any("phone", vec!["a".into()]),
            FilterJson::blank("email"),
        ];
        let body = serde_json::to_string(&search_body(filters, &["email"], 200)).unwrap();
        insta::assert_snapshot!(body, @r#"{"filterGroups":[{"filters":[{"propertyName":"lastmodifieddate","operator":"GTE","value":"5"},{"propertyName":"phone","operator":"IN","values":["a"]},{"propertyName":"email","operator":"NOT_HAS_PROPERTY"}]}],"sorts":[{"propertyName":"hs_object_id","direction":"ASCENDING"}],"properties":["email"],"limit":200}"#);
    }

    #[test]
    fn a_place_in_a_poll_is_written_and_read() {
        for (place_, text) in [
            (PollPlace::default(), r#"{"from":null,"to":null}"#),
            (
                PollPlace { from: Some(1), to: Some(2), after: Some("9".into()) },
                r#"{"from":1,"to":2,"after":"9"}"#,
            ),
        ] {
            assert_eq!(cursor(&place_).unwrap().0, text);
            assert_eq!(place::<PollPlace>(Some(&Cursor(text.into()))).unwrap(), place_);
        }
    }

    #[test]
    fn the_archive_lists_each_record_once_and_none_from_before() {
        let objects: Vec<ObjectJson> = serde_json::from_str(
            r#"[{"id":"1","archivedAt":"2026-01-01T00:00:00Z"},
                {"id":"2","archivedAt":"2026-03-01T00:00:00Z"},
                {"id":"2","archivedAt":"2026-03-02T00:00:00Z"},
                {"id":"3"}]"#,
        )
        .unwrap();
        let since = moment("2026-02-01").unwrap().as_millisecond();
        let archived = archived_since(objects, since);
        assert_eq!(archived["2"], moment("2026-03-02"));
        assert_eq!(archived.keys().collect::<Vec<_>>(), ["2", "3"]);
    }

    proptest! {
        #[test]
        fn values_are_split_so_that_each_body_fits(
            values in proptest::collection::btree_set("[a-z\"\\\\é]{1,60}", 0..300)
        ) {
            let bodies = in_bodies(values.clone());
            let all: BTreeSet<String> = bodies.iter().flatten().cloned().collect();
            prop_assert_eq!(all, values);
            for body in bodies {
                let after = "9".repeat(20);
                let filters =
                    vec![FilterJson::any("x", body), FilterJson::one("hs_object_id", "GT", after)];
                let text = serde_json::to_string(&search_body(filters, &["hs_object_id"], PAGE));
                prop_assert!(text.unwrap().chars().count() <= LONGEST);
            }
        }
    }
}
