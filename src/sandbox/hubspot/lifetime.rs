//! The end of records: archiving, restoring, merging, erasing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::object::Object;
use super::record::{Record, Source};
use super::validate::Problem;
use super::webhooks::What;
use super::world::Account;
use super::write::{By, Changes, WriteError};

/// How many records one survivor may stand for.
const MOST_MERGED: usize = 250;

impl Account {
    /// Archives a record and says whether it was there.
    pub(super) fn put_away(&mut self, object: Object, id: u64, by: &By) -> bool {
        let table = self.table_mut(object);
        let Some(slot) = table.records.get_mut(&id).filter(|record| record.archived.is_none())
        else {
            return false;
        };
        let record = Arc::make_mut(slot);
        record.archived = Some(by.now);
        record.revision += 1;
        // An archived record keeps its values and gives up its claim on them.
        release(record, &mut table.unique);
        self.publish(object, id, by);
        self.happened((object, id), What::Deleted, by);
        true
    }

    /// Brings an archived record back under its id.
    pub(super) fn bring_back(
        &mut self,
        object: Object,
        id: u64,
        by: &By,
    ) -> Result<(), WriteError> {
        let table = self.table(object);
        let record = table
            .records
            .get(&id)
            .filter(|record| record.archived.is_some())
            .ok_or(WriteError::NotFound { object, id })?;
        let claims = held(record, &table.unique);
        self.check_unique(object, &claims, Some(id))?;
        let table = self.table_mut(object);
        for (name, value) in claims {
            table.unique.entry(name).or_default().insert(value, id);
        }
        if let Some(slot) = table.records.get_mut(&id) {
            let record = Arc::make_mut(slot);
            record.archived = None;
            record.updated = by.now;
            record.revision += 1;
        }
        self.publish(object, id, by);
        self.happened((object, id), What::Restored, by);
        Ok(())
    }

    /// Merges two live records into one with a new id. The primary's values win, its empty ones are
    /// filled from the other; the furthest lifecycle stage and all addresses are kept.
    pub(super) fn unite(
        &mut self,
        object: Object,
        primary: u64,
        other: u64,
        by: &By,
    ) -> Result<u64, WriteError> {
        let table = self.table(object);
        let find = |id: u64| table.live(id).ok_or(WriteError::NotFound { object, id });
        let (primary, other) = (Arc::clone(find(primary)?), Arc::clone(find(other)?));
        if primary.id == other.id {
            return Err(WriteError::Merge("they are the same record"));
        }
        if primary.merged.len() + other.merged.len() + 2 > MOST_MERGED {
            return Err(WriteError::Merge("Cannot have more than 250 identities on a profile"));
        }
        let filled = self.filled(object, &primary, &other);
        let table = self.table_mut(object);
        let id = table.next_id;
        table.next_id += 1;
        let mut survivor = (*primary).clone();
        survivor.id = id;
        survivor.created = primary.created.min(other.created);
        survivor.updated = by.now;
        survivor.revision += 1;
        survivor.merged.extend(other.merged.iter().copied().chain([primary.id, other.id]));
        let source = Source { kind: "MERGE_OBJECTS".into(), id: by.source.id.clone() };
        for (name, value) in &filled {
            survivor.set(name, value, by.now, &source);
        }
        for old in [&primary, &other] {
            self.retire(old, id, by);
        }
        let table = self.table_mut(object);
        for (name, value) in held(&survivor, &table.unique) {
            table.unique.entry(name).or_default().insert(value, id);
        }
        table.records.insert(id, Arc::new(survivor));
        self.publish(object, id, by);
        self.move_edges(object, (primary.id, other.id), id, by);
        let what = What::Merged {
            primary: primary.id,
            other: other.id,
            survivor: id,
            moved: filled.len(),
        };
        self.happened((object, id), what, by);
        // Both ids are retired, and told as deleted; the values that moved are not told.
        for old in [primary.id, other.id] {
            self.happened((object, old), What::Deleted, by);
        }
        Ok(id)
    }

    /// Gives the survivor both records' associations; the primary's primary company stays the one.
    fn move_edges(&mut self, object: Object, old: (u64, u64), survivor: u64, by: &By) {
        let retired = [(object, old.0), (object, old.1)];
        for (end, labels) in [(retired[0], true), (retired[1], false)] {
            let edges = self.associations.take(end);
            for (to, types) in edges.into_iter().filter(|(to, _)| !retired.contains(to)) {
                self.associate((object, survivor), to, None, by);
                for kind in types.into_iter().filter(|_| labels) {
                    self.associate((object, survivor), to, Some(kind), by);
                }
            }
        }
    }

    /// Takes a merged record out of the account, and out of search as late as any change.
    fn retire(&mut self, old: &Arc<Record>, survivor: u64, by: &By) {
        let table = self.table_mut(old.object);
        table.records.remove(&old.id);
        table.aliases.insert(old.id, survivor);
        release(old, &mut table.unique);
        let mut gone = (**old).clone();
        gone.archived = Some(by.now);
        gone.revision += 1;
        self.publish_as(Arc::new(gone), by);
    }

    fn filled(&self, object: Object, primary: &Record, other: &Record) -> Changes {
        let table = self.table(object);
        let mut changes: Changes = other
            .values()
            .filter(|(name, _)| primary.stored(name).is_none())
            .filter(|(name, _)| &***name != "hs_additional_emails")
            .map(|(name, value)| (Arc::clone(name), value.to_owned()))
            .collect();
        let rank = |record: &Record| {
            let stage = record.stored("lifecyclestage")?;
            table.property("lifecyclestage")?.rank(stage)
        };
        if rank(other) > rank(primary)
            && let Some(stage) = other.stored("lifecyclestage")
        {
            changes.retain(|(name, _)| &**name != "lifecyclestage");
            changes.push(("lifecyclestage".into(), stage.to_owned()));
        }
        if object == Object::Contact {
            let addresses = [primary, other]
                .map(|record| [record.stored("email"), record.stored("hs_additional_emails")]);
            let kept = primary.stored("email").or_else(|| other.stored("email"));
            let mut more: Vec<&str> = addresses
                .into_iter()
                .flatten()
                .flatten()
                .flat_map(|all| all.split(';'))
                .filter(|address| Some(*address) != kept)
                .collect();
            more.dedup();
            if !more.is_empty() {
                changes.push(("hs_additional_emails".into(), more.join(";")));
            }
        }
        changes
    }

    /// Erases a contact for good and blocks its addresses. An address that nobody has is blocked
    /// as well.
    pub(super) fn erase(&mut self, id: Option<u64>, address: Option<&str>, by: &By) {
        let object = Object::Contact;
        let table = self.table_mut(object);
        let id = id.map(|id| table.survivor(id));
        if let Some(record) = id.and_then(|id| table.records.remove(&id)) {
            for name in ["email", "hs_additional_emails"] {
                for address in record.stored(name).into_iter().flat_map(|all| all.split(';')) {
                    table.blocked.insert(address.to_owned());
                }
            }
            release(&record, &mut table.unique);
            table.aliases.retain(|_, survivor| *survivor != record.id);
            table.index.purge(record.id);
            self.associations.take((object, record.id));
            for what in [What::Erased, What::Deleted] {
                self.happened((object, record.id), what, by);
            }
        }
        if let Some(address) = address {
            self.table_mut(object).blocked.insert(address.to_lowercase());
        }
    }
}

type Unique = BTreeMap<Arc<str>, BTreeMap<String, u64>>;

/// The unique values that a record claims: a contact's secondary addresses are among them.
fn held(record: &Record, unique: &Unique) -> Changes {
    let mut claims: Changes = Vec::new();
    for name in unique.keys() {
        let more = (&**name == "email").then(|| record.stored("hs_additional_emails")).flatten();
        let values = record.stored(name).into_iter();
        for value in values.chain(more.into_iter().flat_map(|all| all.split(';'))) {
            claims.push((Arc::clone(name), value.to_owned()));
        }
    }
    claims
}

/// Frees the unique values that a record holds.
fn release(record: &Record, unique: &mut Unique) {
    for (name, value) in held(record, unique) {
        if let Some(holders) = unique.get_mut(&name)
            && holders.get(&value) == Some(&record.id)
        {
            holders.remove(&value);
        }
    }
}

/// The refusal of a value that an erased contact had.
pub(super) fn blocked() -> Problem {
    Problem::new("email", "INVALID_EMAIL", "email has been GDPR blacklisted".to_owned())
}
