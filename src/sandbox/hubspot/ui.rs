//! What people do in the account without an API: the methods that tests, the simulation and the
//! demo lean on.
//!
//! A person may set any value that is not read-only, stages backwards too; merges and restores are
//! a person's doing. The platform's own changes (a lead score that moved) are made by
//! [`Account::compute`].

use std::sync::Arc;

use jiff::Timestamp;

use super::associations::{AssociationType, types};
use super::object::Object;
use super::owners::Owner;
use super::pipelines::{Pipeline, Stage};
use super::properties::{Choice, Property};
use super::record::Record;
use super::standard;
use super::world::Account;
use super::write::{Actor, By, WriteError};

/// The user who acts where nobody is named: the first owner of a fresh account.
pub const FIRST_USER: u64 = 51_001;

fn owned(values: &[(&str, &str)]) -> Vec<(String, String)> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

impl Account {
    /// Creates a record as a person does, and returns its id.
    ///
    /// # Errors
    /// When a value or the whole is refused; nothing is created then.
    pub fn create_as_user(
        &mut self,
        object: Object,
        values: &[(&str, &str)],
        user: u64,
        now: Timestamp,
    ) -> Result<u64, WriteError> {
        self.create(object, &owned(values), &By::person(user, now))
    }

    /// Creates a record as a line of a file that a person imports, and returns its id.
    ///
    /// # Errors
    /// When a value or the whole is refused; nothing is created then.
    pub fn import(
        &mut self,
        object: Object,
        values: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<u64, WriteError> {
        let by = By { actor: Actor::Person, ..By::platform("IMPORT", now) };
        self.create(object, &owned(values), &by)
    }

    /// Edits a live record as a person does, and says whether any value changed. An empty value
    /// clears. A retired id leads to its survivor.
    ///
    /// # Errors
    /// When there is no such record or a value is refused; nothing is changed then.
    pub fn edit_as_user(
        &mut self,
        object: Object,
        id: u64,
        values: &[(&str, &str)],
        user: u64,
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        self.update(object, id, &owned(values), &By::person(user, now))
    }

    /// Edits a live record as the app with this number does by API.
    ///
    /// # Errors
    /// As [`Account::edit_as_user`].
    pub fn edit_as_app(
        &mut self,
        object: Object,
        id: u64,
        values: &[(&str, &str)],
        app: u64,
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        self.update(object, id, &owned(values), &By::app(app, now))
    }

    /// Sets values as the platform itself does, read-only ones included: a lead score that moved.
    /// History says `CALCULATED`.
    ///
    /// # Errors
    /// As [`Account::edit_as_user`].
    pub fn compute(
        &mut self,
        object: Object,
        id: u64,
        values: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<bool, WriteError> {
        self.update(object, id, &owned(values), &By::platform("CALCULATED", now))
    }

    /// Merges two live records and returns the survivor's new id. Both old ids lead to it.
    ///
    /// # Errors
    /// When either is missing, they are the same, or too many were merged already.
    pub fn merge_as_user(
        &mut self,
        object: Object,
        primary: u64,
        other: u64,
        user: u64,
        now: Timestamp,
    ) -> Result<u64, WriteError> {
        self.unite(object, primary, other, &By::person(user, now))
    }

    /// Archives a live record.
    ///
    /// # Errors
    /// When there is none.
    pub fn archive(
        &mut self,
        object: Object,
        id: u64,
        user: u64,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let id = self.table(object).survivor(id);
        if self.put_away(object, id, &By::person(user, now)) {
            Ok(())
        } else {
            Err(WriteError::NotFound { object, id })
        }
    }

    /// Restores an archived record under its id.
    ///
    /// # Errors
    /// When there is none, or another record has one of its unique values by now.
    pub fn restore(
        &mut self,
        object: Object,
        id: u64,
        user: u64,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        self.bring_back(object, id, &By::person(user, now))
    }

    /// Erases a contact for privacy: it is gone for good and its addresses cannot come back.
    pub fn erase_contact(&mut self, id: u64, user: u64, now: Timestamp) {
        self.erase(Some(id), None, &By::person(user, now));
    }

    /// Associates two live records without a label. A first company becomes the primary one.
    ///
    /// # Errors
    /// When either is missing or the two kinds cannot be associated.
    pub fn associate_as_user(
        &mut self,
        from: (Object, u64),
        to: (Object, u64),
        user: u64,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        for (object, id) in [from, to] {
            self.table(object).live(id).ok_or(WriteError::NotFound { object, id })?;
        }
        let by = By::person(user, now);
        self.associate(from, to, None, &by).map(|_| ()).ok_or_else(|| {
            WriteError::Association(format!("no type leads from {} to {}", from.0, to.0))
        })
    }

    /// Ends all associations of two records, and says whether there was one.
    pub fn dissociate_as_user(
        &mut self,
        from: (Object, u64),
        to: (Object, u64),
        user: u64,
        now: Timestamp,
    ) -> bool {
        self.dissociate(from, to, None, &By::person(user, now))
    }

    /// A live record, by its id or a retired one.
    #[must_use]
    pub fn get(&self, object: Object, id: u64) -> Option<&Record> {
        self.table(object).live(id).map(|record| &**record)
    }

    /// A live record's value.
    #[must_use]
    pub fn value(&self, object: Object, id: u64, name: &str) -> Option<String> {
        self.get(object, id)?.get(name).map(std::borrow::Cow::into_owned)
    }

    /// Every live record of one kind, by id.
    pub fn all(&self, object: Object) -> impl Iterator<Item = &Record> {
        let records = self.table(object).records.values();
        records.map(|record| &**record).filter(|record| record.archived.is_none())
    }

    /// Every archived record of one kind, by id.
    pub fn archived(&self, object: Object) -> impl Iterator<Item = &Record> {
        let records = self.table(object).records.values();
        records.map(|record| &**record).filter(|record| record.archived.is_some())
    }

    /// The contact with an address, its secondary ones included.
    #[must_use]
    pub fn find_by_email(&self, email: &str) -> Option<&Record> {
        self.find_by(Object::Contact, "email", email)
    }

    /// The live record with a value of a unique property.
    #[must_use]
    pub fn find_by(&self, object: Object, name: &str, value: &str) -> Option<&Record> {
        self.table(object).by_unique(name, value).map(|record| &**record)
    }

    /// The ids of the live records of one kind that a record is associated with.
    #[must_use]
    pub fn associated(&self, object: Object, id: u64, to: Object) -> Vec<u64> {
        let mut ids = self.associations.of(object, id, to);
        ids.retain(|id| self.table(to).live(*id).is_some());
        ids
    }

    /// The types by which two kinds can be associated.
    #[must_use]
    pub fn association_types(from: Object, to: Object) -> Vec<AssociationType> {
        types(from, to).collect()
    }

    /// A live property.
    #[must_use]
    pub fn property(&self, object: Object, name: &str) -> Option<&Property> {
        self.table(object).property(name)
    }

    /// Replaces the allowed values of a property, as an admin who edits a picklist does. Records
    /// keep values that are no longer allowed. Says whether there is such a property.
    pub fn set_choices(
        &mut self,
        object: Object,
        name: &str,
        choices: &[(&str, &str)],
        now: Timestamp,
    ) -> bool {
        let Some(property) = self.table_mut(object).definitions.get_mut(name) else {
            return false;
        };
        property.choices = choices.iter().map(|(value, label)| Choice::new(value, label)).collect();
        property.updated = Some(now);
        true
    }

    /// Archives a custom property, as an admin who cleans up does. Says whether there was one.
    pub fn archive_property(&mut self, object: Object, name: &str, now: Timestamp) -> bool {
        let property = self.table_mut(object).definitions.get_mut(name);
        let property = property.filter(|at| !at.standard && at.archived.is_none());
        property.map(|property| property.archived = Some(now)).is_some()
    }

    /// Adds a custom lifecycle stage for contacts and companies, before another one or at the end.
    /// Real ones have numeric text as their value.
    pub fn add_lifecycle_stage(&mut self, value: &str, label: &str, before: Option<&str>) {
        for object in [Object::Contact, Object::Company] {
            let table = self.table_mut(object);
            if let Some(property) = table.definitions.get_mut("lifecyclestage") {
                let at = before.and_then(|before| property.rank(before));
                let at = at.unwrap_or(property.choices.len());
                property.choices.insert(at, Choice::new(value, label));
            }
            for property in standard::stage_dates(value, label) {
                table.definitions.insert(Arc::clone(&property.name), property);
            }
            if let Some(pipeline) = self.pipelines.get_mut(&object).and_then(|all| all.first_mut())
            {
                let at = pipeline.stages.iter().position(|stage| Some(stage.id.as_str()) == before);
                let at = at.unwrap_or(pipeline.stages.len());
                pipeline.stages.insert(at, Stage::of_lifecycle(value, label));
            }
        }
    }

    /// Adds a pipeline of deals.
    pub fn add_pipeline(&mut self, pipeline: Pipeline) {
        self.pipelines.entry(Object::Deal).or_default().push(pipeline);
    }

    /// Adds an owner.
    pub fn add_owner(&mut self, owner: Owner) {
        self.owners.push(owner);
    }

    /// The owners, archived ones included.
    #[must_use]
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Deactivates an owner's user. Records keep the owner. Says whether there is one.
    pub fn archive_owner(&mut self, id: &str, now: Timestamp) -> bool {
        let owner = self.owners.iter_mut().find(|owner| owner.id == id);
        owner
            .map(|owner| {
                owner.archived = true;
                owner.updated = now;
            })
            .is_some()
    }

    /// How many records search does not see in their present state yet, at `now`.
    pub fn unsearchable(&mut self, object: Object, now: Timestamp) -> usize {
        let table = self.table_mut(object);
        table.index.catch_up(now);
        let seen = table.index.visible();
        let live = table.records.values().filter(|record| record.archived.is_none());
        live.filter(|record| {
            seen.get(&record.id).is_none_or(|seen| seen.revision != record.revision)
        })
        .count()
    }
}
