//! Changing records: the rules that hold whoever makes the change.
//!
//! A change passes three steps: its values are checked and brought into stored form, uniqueness is
//! checked, and only then is anything touched. What follows from a value (dates of stages,
//! rollups, a company's website) is derived in `derive`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::object::Object;
use super::properties::Property;
use super::record::{Record, Source};
use super::validate::{self, Problem};
use super::webhooks::What;
use super::world::Account;

/// Who changes a record, which decides what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// An app over the API: no read-only values, and stages only forward.
    App,
    /// A person in the user interface: no read-only values.
    Person,
    /// The platform itself: scores and automatic stages (which move forward only).
    Platform,
}

/// By whom and when.
#[derive(Debug, Clone)]
pub struct By {
    /// What is allowed.
    pub actor: Actor,
    /// What history says.
    pub source: Source,
    /// The time of the change.
    pub now: Timestamp,
    /// Whether search sees it a minute later than usual.
    pub late: bool,
}

impl By {
    /// A person's edit.
    #[must_use]
    pub fn person(user: u64, now: Timestamp) -> Self {
        Self { actor: Actor::Person, source: Source::user(user), now, late: false }
    }

    /// The platform's own change; `kind` is what history says.
    #[must_use]
    pub fn platform(kind: &str, now: Timestamp) -> Self {
        Self { actor: Actor::Platform, source: Source::platform(kind), now, late: false }
    }

    /// An app's call.
    #[must_use]
    pub fn app(app: u64, now: Timestamp) -> Self {
        Self { actor: Actor::App, source: Source::integration(app), now, late: false }
    }
}

/// Why a change is refused. Nothing was touched then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is no such record, or it is archived.
    #[error("there is no live record {id} among the {object}")]
    NotFound {
        /// The kind.
        object: Object,
        /// The id that was asked for.
        id: u64,
    },
    /// Values that the properties do not take.
    #[error("values were refused: {}", listed(.0))]
    Values(Vec<Problem>),
    /// Another contact has the address.
    #[error("a {} with this address exists: {existing}", .object.singular())]
    Exists {
        /// The kind.
        object: Object,
        /// The other record.
        existing: u64,
    },
    /// The address was erased for privacy and must not come back.
    #[error("this address was erased for privacy and cannot be used again")]
    Blocked,
    /// A record cannot be made without some property.
    #[error("a {} needs {needed}", .object.singular())]
    Required {
        /// The kind.
        object: Object,
        /// What it needs.
        needed: &'static str,
    },
    /// The two records cannot be merged.
    #[error("these records cannot be merged: {0}")]
    Merge(&'static str),
    /// The two records cannot be associated.
    #[error("these records cannot be associated: {0}")]
    Association(String),
}

fn listed(problems: &[Problem]) -> String {
    let each: Vec<String> =
        problems.iter().map(|problem| format!("{} ({})", problem.message, problem.code)).collect();
    each.join("; ")
}

/// Values in stored form, ready to be applied.
pub type Changes = Vec<(Arc<str>, String)>;

impl Account {
    /// Checks values and brings them into stored form. All problems are found at once.
    pub(super) fn checked(
        &self,
        object: Object,
        values: &[(String, String)],
        actor: Actor,
    ) -> Result<Changes, Vec<Problem>> {
        let mut changes: BTreeMap<Arc<str>, String> = BTreeMap::new();
        let mut problems = Vec::new();
        for (name, value) in values {
            match self.checked_one(object, name, value, actor) {
                Ok((name, value)) => {
                    changes.insert(name, value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(changes.into_iter().collect()) } else { Err(problems) }
    }

    fn checked_one(
        &self,
        object: Object,
        name: &str,
        value: &str,
        actor: Actor,
    ) -> Result<(Arc<str>, String), Problem> {
        let Some(property) = self.table(object).property(name) else {
            let message = format!("Property \"{name}\" does not exist");
            return Err(Problem::new(name, "PROPERTY_DOESNT_EXIST", message));
        };
        if property.read_only && actor != Actor::Platform {
            let message = format!("\"{name}\" is a read only property; its value cannot be set.");
            return Err(Problem::new(name, "READ_ONLY_VALUE", message));
        }
        self.listed(object, property, value)?;
        Ok((Arc::clone(&property.name), validate::typed(property, value)?))
    }

    fn listed(&self, object: Object, property: &Property, value: &str) -> Result<(), Problem> {
        if value.is_empty() {
            return Ok(());
        }
        let Some(allowed) = self.allowed(object, property) else { return Ok(()) };
        let refused = if property.several() {
            value.split(';').find(|part| !part.is_empty() && !allowed.contains(part))
        } else {
            (!allowed.contains(&value)).then_some(value)
        };
        refused.map_or(Ok(()), |value| Err(Problem::option(&property.name, value, &allowed)))
    }

    /// Refuses values that another live record holds alone. `own` is the record to be changed.
    pub(super) fn check_unique(
        &self,
        object: Object,
        changes: &Changes,
        own: Option<u64>,
    ) -> Result<(), WriteError> {
        let table = self.table(object);
        for (name, value) in changes {
            if value.is_empty() || !table.unique.contains_key(name) {
                continue;
            }
            if &**name == "email" && table.blocked.contains(value) {
                return Err(WriteError::Blocked);
            }
            let Some(other) = table.by_unique(name, value).filter(|other| Some(other.id) != own)
            else {
                continue;
            };
            let existing = other.id;
            if &**name == "email" {
                return Err(WriteError::Exists { object, existing });
            }
            let message =
                format!("propertyName={name} value={value} is already used by record {existing}");
            let problem = Problem::new(name, "CONFLICTING_UNIQUE_VALUE", message);
            return Err(WriteError::Values(vec![problem]));
        }
        Ok(())
    }

    /// Checks and creates a record.
    pub(super) fn create(
        &mut self,
        object: Object,
        values: &[(String, String)],
        by: &By,
    ) -> Result<u64, WriteError> {
        let changes = self.checked(object, values, by.actor).map_err(WriteError::Values)?;
        self.create_checked(object, &changes, by)
    }

    /// Creates a record of values that were checked already.
    pub(super) fn create_checked(
        &mut self,
        object: Object,
        changes: &Changes,
        by: &By,
    ) -> Result<u64, WriteError> {
        required(object, changes)?;
        self.check_stage_belongs(object, None, changes)?;
        self.check_unique(object, changes, None)?;
        let defaults = self.defaults(object, changes, by);
        let table = self.table_mut(object);
        let id = table.next_id;
        table.next_id += 1;
        table.records.insert(id, Arc::new(Record::new(object, id, by.now)));
        let mut all = defaults;
        all.extend(changes.iter().cloned());
        let (changes, _) = self.derived(object, id, &all, by);
        self.store(object, id, &changes, by, true);
        self.after_create(object, id, by);
        Ok(id)
    }

    /// Checks and changes a live record, and says whether any value changed.
    pub(super) fn update(
        &mut self,
        object: Object,
        id: u64,
        values: &[(String, String)],
        by: &By,
    ) -> Result<bool, WriteError> {
        let changes = self.checked(object, values, by.actor).map_err(WriteError::Values)?;
        self.update_checked(object, id, &changes, by)
    }

    /// Changes a live record to values that were checked already.
    pub(super) fn update_checked(
        &mut self,
        object: Object,
        id: u64,
        changes: &Changes,
        by: &By,
    ) -> Result<bool, WriteError> {
        let id = self.table(object).live(id).ok_or(WriteError::NotFound { object, id })?.id;
        self.check_stage_belongs(object, Some(id), changes)?;
        self.check_unique(object, changes, Some(id))?;
        let before = self.stage_of(object, id);
        let (all, refused) = self.derived(object, id, changes, by);
        let mut changed = self.store(object, id, &all, by, true);
        if refused && !changed && self.settings.refused_stage_bumps {
            self.touch(object, id, by);
            changed = true;
        }
        if changed {
            self.after_update(object, id, before.as_deref(), by);
        }
        Ok(changed)
    }

    /// Writes values into a record, keeps the look-ups and tells the search index.
    pub(super) fn store(
        &mut self,
        object: Object,
        id: u64,
        changes: &Changes,
        by: &By,
        bump: bool,
    ) -> bool {
        let listening = self.webhooks.listening();
        let table = self.table_mut(object);
        let Some(slot) = table.records.get_mut(&id) else { return false };
        let created = slot.revision == 0;
        let mut told: Vec<&(Arc<str>, String)> = Vec::new();
        let mut changed = created;
        // A snapshot may share the record; only a real change is worth a copy.
        if !changed && changes.iter().all(|(name, value)| same(slot, name, value)) {
            return false;
        }
        let record = Arc::make_mut(slot);
        for change @ (name, value) in changes {
            let old = record.stored(name).map(str::to_owned);
            if !record.set(name, value, by.now, &by.source) {
                continue;
            }
            changed = true;
            if listening {
                told.push(change);
            }
            if let Some(values) = table.unique.get_mut(name) {
                if let Some(old) = old.filter(|old| values.get(old) == Some(&id)) {
                    values.remove(&old);
                }
                if !value.is_empty() {
                    values.insert(value.clone(), id);
                }
            }
        }
        if changed {
            if object == Object::Contact {
                claim_secondary(record, &mut table.unique);
            }
            if bump {
                record.updated = by.now;
            }
            record.revision += 1;
            self.publish(object, id, by);
        }
        // The values first: the platform, too, tells of a new record after them.
        for (name, value) in told {
            self.happened((object, id), What::Changed(name, value), by);
        }
        if created {
            self.happened((object, id), What::Created, by);
        }
        changed
    }

    /// Bumps the modified stamp without a change.
    pub(super) fn touch(&mut self, object: Object, id: u64, by: &By) {
        if let Some(slot) = self.table_mut(object).records.get_mut(&id) {
            let record = Arc::make_mut(slot);
            record.updated = by.now;
            record.revision += 1;
        }
        self.publish(object, id, by);
    }

    /// Gives the search index a snapshot.
    pub(super) fn publish(&mut self, object: Object, id: u64, by: &By) {
        let Some(record) = self.table(object).records.get(&id).map(Arc::clone) else { return };
        self.publish_as(record, by);
    }

    /// Gives the search index a snapshot of a record that may no longer be stored.
    pub(super) fn publish_as(&mut self, record: Arc<Record>, by: &By) {
        let mut lag = self.lag(record.id, record.revision);
        if by.late {
            lag += jiff::SignedDuration::from_secs(60);
        }
        let visible = by.now.saturating_add(lag).unwrap_or(by.now);
        self.table_mut(record.object).index.push(record, visible, by.now);
    }

    fn stage_of(&self, object: Object, id: u64) -> Option<String> {
        let name = if object == Object::Deal { "dealstage" } else { "lifecyclestage" };
        self.table(object).live(id)?.stored(name).map(str::to_owned)
    }

    /// A deal's stage must be one of its pipeline.
    fn check_stage_belongs(
        &self,
        object: Object,
        id: Option<u64>,
        changes: &Changes,
    ) -> Result<(), WriteError> {
        if object != Object::Deal {
            return Ok(());
        }
        let record = id.and_then(|id| self.table(object).live(id));
        let value = |name: &str| {
            let changed = changes.iter().find(|(at, _)| &**at == name);
            changed.map(|(_, value)| value.as_str()).or_else(|| record?.stored(name))
        };
        let Some(stage) = value("dealstage").filter(|stage| !stage.is_empty()) else {
            return Ok(());
        };
        let of = value("pipeline").filter(|id| !id.is_empty()).unwrap_or("default");
        let pipeline = self.pipelines_of(object).iter().find(|pipeline| pipeline.id == of);
        let stages: Vec<&str> = pipeline
            .into_iter()
            .flat_map(|pipeline| &pipeline.stages)
            .map(|stage| stage.id.as_str())
            .collect();
        if stages.contains(&stage) {
            return Ok(());
        }
        Err(WriteError::Values(vec![Problem::option("dealstage", stage, &stages)]))
    }
}

fn same(record: &Record, name: &str, value: &str) -> bool {
    record.stored(name).unwrap_or_default() == value
}

/// Secondary addresses identify a contact as its primary one does.
fn claim_secondary(record: &Record, unique: &mut BTreeMap<Arc<str>, BTreeMap<String, u64>>) {
    let Some(values) = unique.get_mut("email") else { return };
    for address in record.stored("hs_additional_emails").into_iter().flat_map(|all| all.split(';'))
    {
        values.insert(address.to_owned(), record.id);
    }
}

fn required(object: Object, changes: &Changes) -> Result<(), WriteError> {
    let has = |name: &str| changes.iter().any(|(at, value)| &**at == name && !value.is_empty());
    let needed = match object {
        Object::Company if !has("name") && !has("domain") => "name or domain",
        activity if activity.is_activity() && !has("hs_timestamp") => "hs_timestamp",
        _ => return Ok(()),
    };
    Err(WriteError::Required { object, needed })
}
