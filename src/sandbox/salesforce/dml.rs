//! Creating, changing and deleting records, with everything that the platform does around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::changes::{Change, ChangeKind, Channel};
use super::id::{self, Id};
use super::refusal::{Code, Refusal};
use super::schema::{Kind, Object};
use super::table::{Hidden, Record};
use super::time;
use super::values::Verb;
use super::world::Org;

/// Who writes, when and through which door.
#[derive(Debug, Clone)]
pub struct Write {
    /// The time.
    pub now: Timestamp,
    /// The user.
    pub user: Id,
    /// The door.
    pub channel: Channel,
    /// The `client` of `Sforce-Call-Options`.
    pub client: Option<String>,
    /// Whether assignment rules run: the API's default.
    pub auto_assign: bool,
    /// Whether duplicate rules that only alert are overruled.
    pub allow_save: bool,
    /// How long the write stays uncommitted; `None` leaves it to the settings.
    pub late: Option<SignedDuration>,
}

impl Write {
    /// A person's write at a screen: no assignment rule runs, and an alert is waved through.
    #[must_use]
    pub fn by_person(now: Timestamp, user: &Id) -> Self {
        Self {
            now,
            user: user.clone(),
            channel: Channel::Ui,
            client: None,
            auto_assign: false,
            allow_save: true,
            late: None,
        }
    }
}

/// Who goes into the recycle bin with whom: parent, child, the child's reference.
const GO_ALONG: &[(&str, &str, &str)] = &[
    ("Account", "Contact", "AccountId"),
    ("Account", "Opportunity", "AccountId"),
    ("Account", "Task", "WhatId"),
    ("Lead", "CampaignMember", "LeadId"),
    ("Lead", "Task", "WhoId"),
    ("Contact", "CampaignMember", "ContactId"),
    ("Contact", "OpportunityContactRole", "ContactId"),
    ("Contact", "Task", "WhoId"),
    ("Opportunity", "OpportunityContactRole", "OpportunityId"),
    ("Opportunity", "Task", "WhatId"),
    ("Campaign", "CampaignMember", "CampaignId"),
    ("Campaign", "CampaignMemberStatus", "CampaignId"),
];

/// The fields that are stamped, and so are no edit by themselves.
const STAMPS: &[&str] = &["SystemModstamp", "LastActivityDate"];

impl Org {
    /// Makes a record and returns its id.
    ///
    /// # Errors
    /// The platform's refusal: unknown or read-only fields, missing or bad values, rules.
    pub fn create(
        &mut self,
        write: &Write,
        object: &str,
        values: &Map<String, Value>,
    ) -> Result<Id, Refusal> {
        self.create_with(write, object, values, false)
    }

    pub(super) fn create_with(
        &mut self,
        write: &Write,
        object: &str,
        values: &Map<String, Value>,
        free: bool,
    ) -> Result<Id, Refusal> {
        let object = self.writable(object)?;
        let accepted = self.accept(&object, values, Verb::Create, free)?;
        let stamp = time::seconds(write.now);
        let mut row = Record {
            id: "".into(),
            object: object.name.clone(),
            fields: BTreeMap::new(),
            modstamp: stamp,
            deleted_at: None,
            deleted_with: None,
        };
        for field in &object.fields {
            if let Some(default) = &field.default {
                row.set(&field.name, default.clone());
            }
        }
        let named: Vec<&str> = accepted.iter().map(|(name, _)| &**name).collect();
        for (name, value) in &accepted {
            if !value.is_null() || object.field(name).is_none_or(|f| f.default.is_none()) {
                row.set(name, value.clone());
            }
        }
        if object.field("OwnerId").is_some() && row.get("OwnerId").is_null() {
            row.set("OwnerId", json!(&*write.user));
        }
        self.run_assignment_rule(write, &mut row);
        self.derive(&mut row, None, &named, write.now);
        self.check_row(&object, &row, None, write, free)?;
        self.run_duplicate_rules(&object, &row, write.allow_save)?;
        row.id = self.ids.allocate(&object.prefix);
        row.set("Id", json!(&*row.id));
        for name in ["CreatedDate", "LastModifiedDate"] {
            row.set(name, json!(time::datetime(stamp)));
        }
        for name in ["CreatedById", "LastModifiedById"] {
            row.set(name, json!(&*write.user));
        }
        let id = row.id.clone();
        self.store(write, row, ChangeKind::Create);
        if &*object.name == "Campaign" {
            self.add_member_statuses(write.now, &id);
        }
        Ok(id)
    }

    /// Changes fields of a record.
    ///
    /// # Errors
    /// The platform's refusal, among them a missing, deleted, locked or converted record.
    pub fn update(
        &mut self,
        write: &Write,
        object: &str,
        id: &str,
        values: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        self.update_with(write, object, id, values, false)
    }

    pub(super) fn update_with(
        &mut self,
        write: &Write,
        object: &str,
        id: &str,
        values: &Map<String, Value>,
        free: bool,
    ) -> Result<(), Refusal> {
        let object = self.writable(object)?;
        let old = self.locked(write, &object, id)?;
        if old.flag("IsConverted") && &*object.name == "Lead" && !free {
            return Err(converted());
        }
        let accepted = self.accept(&object, values, Verb::Update, free)?;
        let named: Vec<&str> = accepted.iter().map(|(name, _)| &**name).collect();
        let mut row = (*old).clone();
        for (name, value) in &accepted {
            row.set(name, value.clone());
        }
        self.run_assignment_rule(write, &mut row);
        self.derive(&mut row, Some(&old), &named, write.now);
        self.check_row(&object, &row, Some(&old), write, free)?;
        self.stamp(write, &mut row);
        self.store(write, row, ChangeKind::Update);
        Ok(())
    }

    /// Puts a record, and what belongs to it, into the recycle bin.
    ///
    /// # Errors
    /// The platform's refusal of a missing, deleted or locked record.
    pub fn delete(&mut self, write: &Write, object: &str, id: &str) -> Result<(), Refusal> {
        let object = self.writable(object)?;
        let old = self.locked(write, &object, id)?;
        self.bin(write, &old, None);
        Ok(())
    }

    pub(super) fn bin(&mut self, write: &Write, old: &Record, with: Option<&Id>) {
        let first = with.cloned().unwrap_or_else(|| old.id.clone());
        for (_, child, field) in GO_ALONG.iter().filter(|(parent, ..)| *parent == &*old.object) {
            for row in self.children(child, field, &old.id) {
                self.bin(write, &row, Some(&first));
            }
        }
        let mut row = old.clone();
        row.deleted_at = Some(time::seconds(write.now));
        row.deleted_with = with.cloned();
        row.set("IsDeleted", json!(true));
        self.stamp(write, &mut row);
        self.store(write, row, ChangeKind::Delete);
    }

    /// Takes a record, and what went with it, back out of the recycle bin.
    ///
    /// # Errors
    /// The platform's refusal when the record is not in the bin.
    pub fn undelete(&mut self, write: &Write, id: &str) -> Result<(), Refusal> {
        let Some(row) = id::normalise(id).and_then(|id| self.record(&id).cloned()) else {
            return Err(Refusal::row(
                Code::InvalidCrossReferenceKey,
                "invalid cross reference id",
                &[],
            ));
        };
        if row.deleted_at.is_none() {
            let message = "entity is not in the recycle bin";
            return Err(Refusal::row(Code::UndeleteFailed, message, &[]));
        }
        let mut back: Vec<Arc<Record>> = vec![row.clone()];
        for table in self.tables.values() {
            back.extend(table.rows().filter(|r| r.deleted_with.as_ref() == Some(&row.id)).cloned());
        }
        for row in back {
            let mut row = (*row).clone();
            row.deleted_at = None;
            row.deleted_with = None;
            row.set("IsDeleted", json!(false));
            row.set("MasterRecordId", Value::Null);
            self.stamp(write, &mut row);
            self.store(write, row, ChangeKind::Undelete);
        }
        Ok(())
    }

    /// Removes a record from the recycle bin, or altogether, without a trace in the change log.
    ///
    /// # Errors
    /// The platform's refusal of a record that does not exist.
    pub fn hard_delete(&mut self, write: &Write, id: &str) -> Result<(), Refusal> {
        let Some(row) = id::normalise(id).and_then(|id| self.record(&id).cloned()) else {
            return Err(Refusal::row(
                Code::InvalidCrossReferenceKey,
                "invalid cross reference id",
                &[],
            ));
        };
        if row.deleted_at.is_none() {
            self.bin(write, &row, None);
        }
        self.purge(&row.id);
        Ok(())
    }

    /// The living children of a record by a reference field.
    pub(super) fn children(&self, child: &str, field: &str, parent: &str) -> Vec<Arc<Record>> {
        let Some(table) = self.table(child) else { return Vec::new() };
        table
            .holding(field, &parent.to_lowercase())
            .filter_map(|id| table.get(id))
            .filter(|r| r.deleted_at.is_none() && r.text(field) == Some(parent))
            .cloned()
            .collect()
    }

    fn writable(&self, object: &str) -> Result<Arc<Object>, Refusal> {
        let Some(found) = self.object(object).cloned() else {
            return Err(Refusal::call(
                Code::InvalidType,
                format!("sObject type '{object}' is not supported."),
            ));
        };
        if !found.writable {
            let message = format!("entity type {} is changed in Setup, not by the API", found.name);
            return Err(Refusal::row(Code::InsufficientAccessOrReadonly, message, &[]));
        }
        Ok(found)
    }

    /// The record that is to be changed, if it is there and nobody else holds it.
    fn locked(&self, write: &Write, object: &Object, text: &str) -> Result<Arc<Record>, Refusal> {
        let Some(id) = id::normalise(text) else {
            let message = format!("Record ID: id value of incorrect type: {text}");
            return Err(Refusal::row(Code::MalformedId, message, &["Id"]));
        };
        let missing =
            || Refusal::row(Code::InvalidCrossReferenceKey, "invalid cross reference id", &[]);
        let row = self.record(&id).filter(|r| r.object == object.name).ok_or_else(missing)?;
        let uncommitted = self.table(&object.name).is_some_and(|t| t.hidden.contains_key(&id));
        if uncommitted && write.channel != Channel::Ui {
            if self.seen(&id).is_none() {
                return Err(missing());
            }
            let message =
                format!("unable to obtain exclusive access to this record or 1 records: {id}");
            return Err(Refusal::row(Code::UnableToLockRow, message, &[]));
        }
        if row.deleted_at.is_some() {
            return Err(Refusal::row(Code::EntityIsDeleted, "entity is deleted", &[]));
        }
        Ok(row.clone())
    }

    fn run_assignment_rule(&self, write: &Write, row: &mut Record) {
        if write.auto_assign
            && &*row.object == "Lead"
            && let Some(target) = &self.rules.lead_assignment
        {
            row.set("OwnerId", json!(&**target));
        }
    }

    /// What can only be judged on the whole record.
    fn check_row(
        &self,
        object: &Object,
        row: &Record,
        old: Option<&Record>,
        write: &Write,
        free: bool,
    ) -> Result<(), Refusal> {
        let missing: Vec<&str> = object
            .fields
            .iter()
            .filter(|f| !f.nillable && f.kind != Kind::Id && (f.createable || f.updateable))
            .filter(|f| row.get(&f.name).is_null())
            .map(|f| &*f.name)
            .collect();
        if !missing.is_empty() {
            let message = format!("Required fields are missing: [{}]", missing.join(", "));
            return Err(Refusal::row(Code::RequiredFieldMissing, message, &missing));
        }
        if !free {
            self.check_conversion(row, old)?;
        }
        self.check_relations(row, old)?;
        self.check_unique(object, row, old)?;
        if !free || write.channel == Channel::Ui {
            self.run_validation_rules(object, row)?;
        }
        Ok(())
    }

    /// A lead is converted by converting it, not by writing a converted status.
    fn check_conversion(&self, row: &Record, old: Option<&Record>) -> Result<(), Refusal> {
        if &*row.object != "Lead" || row.flag("IsConverted") {
            return Ok(());
        }
        let Some(status) = row.text("Status") else { return Ok(()) };
        let moved = old.is_none_or(|o| o.text("Status") != Some(status));
        if moved && self.setup_row("LeadStatus", status).is_some_and(|s| s.flag("IsConverted")) {
            let message = format!("invalid status: {status} is only set by converting the lead");
            return Err(Refusal::row(Code::InvalidStatus, message, &["Status"]));
        }
        Ok(())
    }

    fn check_relations(&self, row: &Record, old: Option<&Record>) -> Result<(), Refusal> {
        if &*row.object == "CampaignMember" {
            let one = row.get("LeadId").is_null() != row.get("ContactId").is_null();
            if !one && old.is_none() {
                let message = "Required fields are missing: [LeadId, ContactId]";
                return Err(Refusal::row(
                    Code::RequiredFieldMissing,
                    message,
                    &["LeadId", "ContactId"],
                ));
            }
            for field in ["LeadId", "ContactId"] {
                let Some(person) = row.text(field) else { continue };
                let again = self
                    .children("CampaignMember", field, person)
                    .iter()
                    .any(|m| m.id != row.id && m.text("CampaignId") == row.text("CampaignId"));
                if again {
                    let message = "Already a campaign member.";
                    return Err(Refusal::row(Code::DuplicateValue, message, &[]));
                }
            }
        }
        if &*row.object != "Task" {
            return Ok(());
        }
        let Some(who) = row.text("WhoId").and_then(|id| self.record(id)) else { return Ok(()) };
        if &*who.object != "Lead" {
            return Ok(());
        }
        if who.flag("IsConverted") {
            return Err(converted());
        }
        if !row.get("WhatId").is_null() {
            let message = "Related To ID: a task of a lead cannot be related to another record";
            return Err(Refusal::row(Code::FieldIntegrityException, message, &["WhatId"]));
        }
        Ok(())
    }

    fn check_unique(
        &self,
        object: &Object,
        row: &Record,
        old: Option<&Record>,
    ) -> Result<(), Refusal> {
        let Some(table) = self.table(&object.name) else { return Ok(()) };
        for field in object.fields.iter().filter(|f| f.unique) {
            let value = row.get(&field.name);
            if old.is_some_and(|o| o.get(&field.name) == value) {
                continue;
            }
            let Some(key) = super::table::lookup_key(value) else { continue };
            let other = table
                .holding(&field.name, &key)
                .filter_map(|id| table.get(id))
                .filter(|r| r.id != row.id && r.deleted_at.is_none())
                .find(|r| !field.case_sensitive || r.get(&field.name) == value);
            if let Some(other) = other {
                let message = format!(
                    "duplicate value found: {} duplicates value on record with id: {}",
                    field.name,
                    &other.id[..15]
                );
                return Err(Refusal::row(Code::DuplicateValue, message, &[]));
            }
        }
        Ok(())
    }

    fn stamp(&self, write: &Write, row: &mut Record) {
        row.set("LastModifiedDate", json!(time::datetime(time::seconds(write.now))));
        row.set("LastModifiedById", json!(&*write.user));
    }

    /// Puts a version in, logs the change and brings along what depends on it.
    fn store(&mut self, write: &Write, mut row: Record, kind: ChangeKind) {
        let stamp = time::seconds(write.now);
        row.modstamp = stamp;
        row.set("SystemModstamp", json!(time::datetime(stamp)));
        let row = Arc::new(row);
        let hidden_before =
            self.table(&row.object).and_then(|t| t.hidden.get(&row.id)).map(|h| h.before.clone());
        let old = self.put_silently(row.clone());
        let delay = write.late.unwrap_or(match write.channel {
            Channel::Ui => self.settings.late_commit,
            _ => SignedDuration::ZERO,
        });
        let mut committed_at = write.now.as_millisecond();
        if delay.is_positive() {
            committed_at = time::after(write.now, delay).as_millisecond();
            let before = hidden_before.unwrap_or_else(|| old.clone());
            if let Some(table) = self.tables.get_mut(&row.object) {
                table.hidden.insert(row.id.clone(), Hidden { until: committed_at, before });
            }
        }
        let fields = match kind {
            ChangeKind::Create | ChangeKind::Undelete => row.fields.clone(),
            ChangeKind::Delete => BTreeMap::new(),
            ChangeKind::Update => difference(old.as_deref(), &row),
        };
        let old_texts = match kind {
            ChangeKind::Update => self.old_texts(old.as_deref(), &fields),
            _ => BTreeMap::new(),
        };
        let transaction = self.transaction;
        self.changes.push(|number| Change {
            number,
            transaction,
            object: row.object.clone(),
            id: row.id.clone(),
            kind,
            committed_at,
            user: write.user.clone(),
            channel: write.channel,
            client: write.client.clone(),
            fields,
            old_texts,
        });
        if &*row.object == "Task" {
            self.refresh_activity_around(old.as_deref(), &row);
        }
    }

    /// What the long texts among the changed fields were before.
    fn old_texts(
        &self,
        old: Option<&Record>,
        fields: &BTreeMap<Arc<str>, Value>,
    ) -> BTreeMap<Arc<str>, Arc<str>> {
        let Some(old) = old else { return BTreeMap::new() };
        let Some(object) = self.object(&old.object) else { return BTreeMap::new() };
        let long = object.fields.iter().filter(|field| field.is_long_text());
        long.filter(|field| fields.contains_key(&field.name))
            .filter_map(|field| Some((field.name.clone(), old.text(&field.name)?.into())))
            .collect()
    }

    fn refresh_activity_around(&mut self, old: Option<&Record>, row: &Record) {
        let mut around: Vec<String> = ["WhoId", "WhatId", "AccountId"]
            .into_iter()
            .flat_map(|field| [old.and_then(|o| o.text(field)), row.text(field)])
            .flatten()
            .map(str::to_owned)
            .collect();
        around.sort();
        around.dedup();
        for id in around {
            self.refresh_activity(&id);
        }
    }
}

/// The refusal of a write to, or of a task of, a converted lead.
pub(super) fn converted() -> Refusal {
    Refusal::row(Code::CannotUpdateConvertedLead, "cannot reference converted lead", &[])
}

/// The fields of `new` that differ from `old`, null where one was emptied. The day and second of
/// the edit are always among them: the platform's own stamps are finer than what it shows.
fn difference(old: Option<&Record>, new: &Record) -> BTreeMap<Arc<str>, Value> {
    let Some(old) = old else { return new.fields.clone() };
    let names = old.fields.keys().chain(new.fields.keys());
    names
        .filter(|name| {
            let stamped = &***name == "LastModifiedDate";
            stamped || !STAMPS.contains(&&***name) && old.get(name) != new.get(name)
        })
        .map(|name| (name.clone(), new.get(name).clone()))
        .collect()
}
