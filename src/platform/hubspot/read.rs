//! Reading records by id, with the ids that merges left behind, and lists of them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::paths::{modified_property, primary_type};
use super::wire::{
    AssociatedJson, AssociationInput, AssociationsJson, BatchJson, ErrorJson, IdInput, InputsJson,
    ObjectJson, PageJson, PagingJson, ReadJson, VersionJson, moment,
};
use super::{HubSpot, codes, lock, parse};
use crate::platform::transport::{Call, Repeat};
use crate::platform::{Ask, Cursor, Error, Polled};
use crate::record::{Author, Change, Raw, Record, RecordRef, Source, Stamp, Version};

/// The most inputs of a batch.
pub(super) const BATCH: usize = 100;
/// The most inputs of a batch read that returns histories.
const BATCH_WITH_HISTORY: usize = 50;
/// The most records of a page of the list.
const PAGE: &str = "100";
/// The longest list of names in a URL. HubSpot's edge refuses URLs of about 16,000 bytes.
const LONGEST_QUERY: usize = 12_000;

/// The prefix of the pseudo-fields that name a type of associated record.
pub(super) const ASSOCIATIONS: &str = "associations.";
/// The ids that merges left behind, separated by semicolons.
const MERGED_IDS: &str = "hs_merged_object_ids";
/// For contacts: `id:time` of each merge. Older merges stand only here.
const MERGED_VIDS: &str = "hs_calculated_merged_vids";

/// How many records one batch reads.
fn batch_of(ask: &Ask) -> usize {
    if ask.stamps.is_empty() { BATCH } else { BATCH_WITH_HISTORY }
}

/// How many calls it takes to read `records` that are there: their batches, and for each batch one call
/// for each type of associated record.
pub(super) fn calls(ask: &Ask, records: usize) -> u64 {
    let types = ask.fields.iter().filter(|field| field.starts_with(ASSOCIATIONS)).count();
    (records.div_ceil(batch_of(ask)) * (1 + types)) as u64
}

impl HubSpot {
    pub(super) async fn read_all(
        &self,
        ask: &Ask,
        ids: &[String],
    ) -> Result<Vec<Option<Record>>, Error> {
        let mut wanted = Vec::new();
        let mut seen = BTreeSet::new();
        for id in ids {
            if seen.insert(id.as_str()) {
                wanted.push(id.clone());
            }
        }
        let chunks = wanted.chunks(batch_of(ask)).map(|chunk| self.read_chunk(ask, chunk));
        let mut found = BTreeMap::new();
        for chunk in try_join_all(chunks).await? {
            found.extend(chunk);
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// Reads one batch, each record under the id that was asked for. What is not among the live is
    /// looked for in the archive.
    async fn read_chunk(
        &self,
        ask: &Ask,
        ids: &[String],
    ) -> Result<BTreeMap<String, Record>, Error> {
        let mut found = self.read_from(ask, ids, false).await?;
        let missing: Vec<String> =
            ids.iter().filter(|id| !found.contains_key(*id)).cloned().collect();
        if !missing.is_empty() {
            let archived = self.read_from(ask, &missing, true).await?;
            found.extend(archived.into_iter().map(|(id, mut record)| {
                record.deleted = true;
                (id, record)
            }));
        }
        self.associate(ask, found.values_mut()).await?;
        Ok(found)
    }

    /// Reads one batch and joins it with the ids that were asked for.
    pub(super) async fn read_from(
        &self,
        ask: &Ask,
        ids: &[String],
        archived: bool,
    ) -> Result<BTreeMap<String, Record>, Error> {
        let (properties, stamps) = (self.properties(ask), stamps(ask));
        let batch = self.batch_read(&ask.object, &properties, &stamps, None, ids, archived).await?;
        let gone: BTreeSet<String> = batch
            .errors
            .iter()
            .flat_map(|error| error.context.list("ids").iter().cloned())
            .collect();
        let records: Vec<Record> =
            batch.results.into_iter().map(|object| self.record(ask, object)).collect();
        let mut by_id = BTreeMap::new();
        for (place, record) in records.iter().enumerate() {
            by_id.insert(record.key.id.as_str(), place);
        }
        for (place, record) in records.iter().enumerate() {
            for alias in &record.aliases {
                by_id.entry(alias.as_str()).or_insert(place);
            }
        }
        let mut found = BTreeMap::new();
        for id in ids {
            if let Some(&place) = by_id.get(id.as_str()) {
                found.insert(id.clone(), records[place].clone());
            }
        }
        // A survivor that does not list all its old ids: each is asked for alone, where the answer
        // leaves no doubt whom it is about.
        let asked: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let unclaimed = records.iter().any(|record| {
            !asked.contains(record.key.id.as_str())
                && !record.aliases.iter().any(|alias| asked.contains(alias.as_str()))
        });
        if unclaimed {
            for id in ids {
                if found.contains_key(id) || gone.contains(id) {
                    continue;
                }
                if let Some(survivor) = self.survivor(&ask.object, id, archived).await?
                    && let Some(record) = records.iter().find(|record| record.key.id == survivor)
                {
                    found.insert(id.clone(), record.clone());
                }
            }
        }
        Ok(found)
    }

    /// The id that a record now has which once had `id`.
    async fn survivor(
        &self,
        object: &str,
        id: &str,
        archived: bool,
    ) -> Result<Option<String>, Error> {
        let doing = format!("reading one of {object}");
        let archived = if archived { "true" } else { "" };
        let path = self
            .paths
            .object(object, id)
            .query(&[("properties", "hs_object_id"), ("archived", archived)]);
        let call = Call::get(&self.core, path.route, path.path, doing.as_str());
        let answer = self.client.call(&call).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        let object: ObjectJson = parse(&answer, &doing)?;
        Ok(object.id.into_option())
    }

    /// One batch read, as it is on the wire.
    pub(super) async fn batch_read(
        &self,
        object: &str,
        properties: &[&str],
        stamps: &[&str],
        id_property: Option<&str>,
        ids: &[String],
        archived: bool,
    ) -> Result<BatchJson, Error> {
        let doing = format!("reading {} of {object}", ids.len());
        let path = self.paths.objects(object, "/batch/read");
        let path = path.query(&[("archived", if archived { "true" } else { "" })]);
        let body = ReadJson {
            properties: properties.to_vec(),
            properties_with_history: stamps.to_vec(),
            id_property,
            inputs: ids.iter().map(|id| IdInput { id }).collect(),
        };
        let answer =
            self.send(&self.core, http::Method::POST, path, &body, Repeat::Safe, &doing).await?;
        // Not one of them exists: some versions answer 404 instead of an empty 207.
        let error = ErrorJson::read(&answer.body);
        if answer.status.as_u16() == 404 && error.category.0 == "OBJECT_NOT_FOUND" {
            return Ok(BatchJson { errors: vec![error], ..BatchJson::default() });
        }
        let batch: BatchJson = parse(&answer, &doing)?;
        // An error that names no record is about the whole: its records would look deleted.
        let unnamed = batch.errors.iter().find(|error| {
            error.category.0 != "OBJECT_NOT_FOUND" && error.context.list("ids").is_empty()
        });
        match unnamed {
            Some(error) => Err(codes::whole(error, answer.status.as_u16(), &doing)),
            None => Ok(batch),
        }
    }

    /// What to ask for: the fields, and what tells a record's identity and time.
    pub(super) fn properties<'a>(&self, ask: &'a Ask) -> Vec<&'a str> {
        let own = [modified_property(&ask.object), MERGED_IDS];
        let vids = (super::paths::type_id(&ask.object) == "0-1").then_some(MERGED_VIDS);
        let fields = ask.fields.iter().map(String::as_str);
        let fields = fields.filter(|field| !field.starts_with(ASSOCIATIONS));
        let all: BTreeSet<&str> = fields.chain(own).chain(vids).collect();
        all.into_iter().collect()
    }

    /// The record in the words that both sides share.
    pub(super) fn record(&self, ask: &Ask, mut json: ObjectJson) -> Record {
        let mut record = Record::new(RecordRef::hubspot(ask.object.clone(), json.id.0.clone()));
        record.aliases = aliases(&json);
        let modified = json.properties.get(modified_property(&ask.object));
        record.modified =
            moment(&json.updated_at.0).or_else(|| moment(modified.map_or("", |text| &text.0)));
        record.created = moment(&json.created_at.0);
        record.deleted = json.archived;
        for field in &ask.fields {
            if let Some(value) = json.properties.remove(field) {
                record.fields.insert(field.clone(), value.raw());
            }
        }
        for field in &ask.stamps {
            let versions = json.properties_with_history.remove(field).unwrap_or_default();
            let versions = self.versions(versions);
            if let Some(newest) = versions.first() {
                let stamp = Stamp { at: newest.at, exact: true, by: newest.by.clone() };
                record.stamps.insert(field.clone(), stamp);
            }
            record.versions.insert(field.clone(), versions);
        }
        record
    }

    /// A property's history, newest first.
    fn versions(&self, versions: Vec<VersionJson>) -> Vec<Version> {
        let timed = versions.into_iter().filter_map(|version| {
            let by = self.author(&version);
            Some(Version { at: moment(&version.timestamp.0)?, by, value: version.value.raw() })
        });
        let mut versions: Vec<Version> = timed.collect();
        // Stable: of equal times the first comes first, because the list is newest first.
        versions.sort_by_key(|version| std::cmp::Reverse(version.at));
        versions
    }

    fn author(&self, version: &VersionJson) -> Option<Author> {
        let (source, id) = (&version.source_type.0, &version.source_id.0);
        let is_us = source == "INTEGRATION" && lock(&self.known.app_id).as_deref() == Some(id);
        match (is_us, id.is_empty(), source.is_empty()) {
            (true, ..) => Some(Author::Lockstep),
            (_, false, _) => Some(Author::Other(id.clone())),
            (_, true, false) => Some(Author::Other(source.clone())),
            (_, true, true) => None,
        }
    }

    /// Fills in the association pseudo-fields of live records.
    pub(super) async fn associate(
        &self,
        ask: &Ask,
        records: impl Iterator<Item = &mut Record>,
    ) -> Result<(), Error> {
        let types: Vec<&str> =
            ask.fields.iter().filter_map(|field| field.strip_prefix(ASSOCIATIONS)).collect();
        if types.is_empty() {
            return Ok(());
        }
        let mut records: Vec<&mut Record> = records.filter(|record| !record.deleted).collect();
        let ids: BTreeSet<String> = records.iter().map(|record| record.key.id.clone()).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        for to in types {
            let chunks = ids.chunks(BATCH).map(|chunk| self.associated(&ask.object, to, chunk));
            let mut primary = BTreeMap::new();
            for chunk in try_join_all(chunks).await? {
                primary.extend(chunk);
            }
            for record in &mut records {
                let id = primary.get(&record.key.id).cloned();
                record
                    .fields
                    .insert(format!("{ASSOCIATIONS}{to}"), id.map_or(Raw::Null, Raw::Text));
            }
        }
        Ok(())
    }

    /// The primary associated record of each of `ids` that has one.
    pub(super) async fn associated(
        &self,
        from: &str,
        to: &str,
        ids: &[String],
    ) -> Result<BTreeMap<String, String>, Error> {
        let ids: Vec<AssociationInput<'_>> =
            ids.iter().map(|id| AssociationInput { id, after: None }).collect();
        let read = self.associations_of(from, to, ids).await?;
        let primary = primary_type(from, to);
        Ok(read.into_iter().filter_map(|one| pick(one, primary)).collect())
    }

    /// A page of the records that are associated with each of some.
    async fn associations_of(
        &self,
        from: &str,
        to: &str,
        inputs: Vec<AssociationInput<'_>>,
    ) -> Result<Vec<AssociatedJson>, Error> {
        let doing = format!("reading the {to} of {} {from}", inputs.len());
        let path = self.paths.associations(from, to, "read");
        let body = InputsJson { inputs };
        let read: AssociationsJson = self.post(&self.associations, path, &body, &doing).await?;
        let is_none = |error: &ErrorJson| {
            error.sub_category.0.ends_with("NO_ASSOCIATIONS_FOUND")
                || error.category.0 == "OBJECT_NOT_FOUND"
        };
        match read.errors.iter().find(|error| !is_none(error)) {
            Some(error) => Err(codes::whole(error, 207, &doing)),
            None => Ok(read.results),
        }
    }

    /// The live records that are associated with one of `ids` of type `to`, each with that id. They
    /// are read, not searched for: one that was created a moment ago is there.
    pub(super) async fn find_associated(
        &self,
        ask: &Ask,
        to: &str,
        ids: &[String],
    ) -> Result<Vec<Record>, Error> {
        let mut about: BTreeMap<String, String> = BTreeMap::new();
        let mut waiting: Vec<(String, Option<String>)> =
            ids.iter().map(|id| (id.clone(), None)).collect();
        while !waiting.is_empty() {
            let mut further = Vec::new();
            for chunk in waiting.chunks(BATCH) {
                let inputs = chunk
                    .iter()
                    .map(|(id, after)| AssociationInput { id, after: after.as_deref() })
                    .collect();
                for one in self.associations_of(to, &ask.object, inputs).await? {
                    let after = one.paging.as_ref().and_then(PagingJson::after);
                    if let Some(after) = after {
                        further.push((one.from.id.0.clone(), Some(after.to_owned())));
                    }
                    let found = one.to.into_iter().map(|to| to.to_object_id.0);
                    about.extend(found.map(|id| (id, one.from.id.0.clone())));
                }
            }
            waiting = further;
        }
        let field = format!("{ASSOCIATIONS}{to}");
        let mut ask = ask.clone();
        ask.fields.remove(&field);
        let found: Vec<String> = about.keys().cloned().collect();
        let read = self.read_all(&ask, &found).await?;
        let live = read.into_iter().flatten().filter(|record| !record.deleted);
        Ok(live
            .map(|mut record| {
                let of = about.get(&record.key.id).cloned();
                record.fields.insert(field.clone(), of.map_or(Raw::Null, Raw::Text));
                record
            })
            .collect())
    }

    /// A page of all live records.
    pub(super) async fn page(&self, ask: &Ask, cursor: Option<&Cursor>) -> Result<Polled, Error> {
        let place: ListPlace = place(cursor)?;
        let properties = self.properties(ask);
        let names = properties.join(",");
        let is_wide = names.len() > LONGEST_QUERY;
        let names = if is_wide { MERGED_IDS } else { &names };
        let after = place.after.unwrap_or_default();
        let path = self.paths.objects(&ask.object, "").query(&[
            ("limit", PAGE),
            ("after", &after),
            ("properties", names),
        ]);
        let doing = format!("listing {}", ask.object);
        let page: PageJson<ObjectJson> = self.get(path, &doing).await?;
        let next = page.after().map(str::to_owned);
        let records = self.seen(ask, page.results, is_wide).await?;
        let more = next.is_some();
        polled(records, &ListPlace { after: next }, more)
    }

    /// The records of a page; where it was too wide to carry their fields, read in a batch.
    pub(super) async fn seen(
        &self,
        ask: &Ask,
        objects: Vec<ObjectJson>,
        is_wide: bool,
    ) -> Result<Vec<Record>, Error> {
        let listed = objects.into_iter().filter(|object| !object.id.0.is_empty());
        let mut records: Vec<Record> = listed.map(|object| self.record(ask, object)).collect();
        if is_wide {
            let plain = Ask { stamps: BTreeSet::new(), ..ask.clone() };
            let ids: Vec<String> = records.iter().map(|record| record.key.id.clone()).collect();
            let wide = self.read_all(&plain, &ids).await?;
            for (record, wide) in records.iter_mut().zip(wide) {
                if let Some(wide) = wide.filter(|wide| wide.key == record.key) {
                    *record = wide;
                }
            }
        } else {
            self.associate(ask, records.iter_mut()).await?;
        }
        Ok(records)
    }
}

/// Where a listing goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct ListPlace {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// Reads a cursor of ours; none is the beginning.
pub(super) fn place<T: for<'de> Deserialize<'de> + Default>(
    cursor: Option<&Cursor>,
) -> Result<T, Error> {
    let Some(cursor) = cursor else { return Ok(T::default()) };
    serde_json::from_str(&cursor.0).map_err(|error| {
        let what = format!("the remembered place in HubSpot's listing is unreadable: {error}");
        super::broken("going on with a listing", crate::platform::ErrorKind::Request, what)
    })
}

/// Writes a cursor of ours.
pub(super) fn cursor<T: Serialize>(place: &T) -> Result<Cursor, Error> {
    serde_json::to_string(place).map(Cursor).map_err(|error| {
        let what = format!("the place in HubSpot's listing cannot be written: {error}");
        super::broken("going on with a listing", crate::platform::ErrorKind::Request, what)
    })
}

/// A page of changes out of the records that it shows.
pub(super) fn polled<T: Serialize>(
    records: Vec<Record>,
    place: &T,
    more: bool,
) -> Result<Polled, Error> {
    let touched = |record: &Record| {
        let mut change = Change::touched(record.key.clone(), Source::Poll);
        change.at = record.modified;
        change
    };
    let changes = records.iter().map(touched).collect();
    let seen = records.into_iter().map(Some).collect();
    Ok(Polled { changes, seen, cursor: cursor(place)?, more })
}

pub(super) fn stamps(ask: &Ask) -> Vec<&str> {
    let stamps = ask.stamps.iter().map(String::as_str);
    stamps.filter(|field| !field.starts_with(ASSOCIATIONS)).collect()
}

/// Ids that the record had before merges.
fn aliases(json: &ObjectJson) -> Vec<String> {
    let list = |name: &str| json.properties.get(name).map_or("", |text| text.0.as_str());
    let ids = list(MERGED_IDS).split(';');
    let vids = list(MERGED_VIDS).split(';').map(|pair| pair.split(':').next().unwrap_or_default());
    let all: BTreeSet<&str> =
        ids.chain(vids).map(str::trim).filter(|id| !id.is_empty() && *id != json.id.0).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// The record that counts as the associated one: the primary, else the oldest (the lowest id), so
/// that every reading names the same.
fn pick(one: AssociatedJson, primary: Option<u32>) -> Option<(String, String)> {
    let is_primary = |types: &[super::wire::AssociationTypeJson]| {
        primary.is_some() && types.iter().any(|kind| kind.type_id == primary)
    };
    let best = one.to.iter().min_by_key(|to| {
        let id = &to.to_object_id.0;
        (!is_primary(&to.association_types), id.len(), id.clone())
    })?;
    Some((one.from.id.0, best.to_object_id.0.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> ObjectJson {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn ids_before_merges_come_from_both_properties() {
        for (json, ids) in [
            (r#"{"id":"9"}"#, vec![]),
            (r#"{"id":"9","properties":{"hs_merged_object_ids":"1;2"}}"#, vec!["1", "2"]),
            (
                r#"{"id":"9","properties":{"hs_merged_object_ids":"2;9;","hs_calculated_merged_vids":"3:1700000000000;2:17"}}"#,
                vec!["2", "3"],
            ),
            (r#"{"id":"9","properties":{"hs_merged_object_ids":null}}"#, vec![]),
        ] {
            assert_eq!(aliases(&object(json)), ids, "{json}");
        }
    }

    #[test]
    fn the_associated_record_is_always_the_same_one() {
        let pick_of = |json: &str, primary| {
            pick(serde_json::from_str(json).unwrap(), primary).map(|(_, to)| to)
        };
        let two = r#"{"from":{"id":"1"},"to":[
            {"toObjectId":20,"associationTypes":[{"typeId":279}]},
            {"toObjectId":100,"associationTypes":[{"typeId":279},{"typeId":1}]},
            {"toObjectId":3,"associationTypes":[{"typeId":279}]}]}"#;
        assert_eq!(pick_of(two, Some(1)).as_deref(), Some("100"));
        assert_eq!(pick_of(two, None).as_deref(), Some("3"));
        assert_eq!(pick_of(r#"{"from":{"id":"1"},"to":[]}"#, Some(1)), None);
    }

    #[test]
    fn a_place_is_written_and_read() {
        let place_of = |text: &str| place::<ListPlace>(Some(&Cursor(text.into())));
        let written = cursor(&ListPlace { after: Some("57".into()) }).unwrap();
        assert_eq!(written.0, r#"{"after":"57"}"#);
        assert_eq!(place_of(&written.0).unwrap().after.as_deref(), Some("57"));
        assert_eq!(place_of("{}").unwrap().after, None);
        assert!(place_of("57").is_err());
    }
}
