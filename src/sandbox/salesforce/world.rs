//! What a Salesforce org holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::bulk::Jobs;
use super::bus::Bus;
use super::changes::ChangeLog;
use super::cursor::Cursors;
use super::flows::Flows;
use super::id::{Id, Ids};
use super::oauth::Auth;
use super::rules::Rules;
use super::schema::{Field, Object};
use super::standard;
use super::table::{Hidden, Record, Table};
use super::time;
use super::usage::Usage;

/// What can be set about an org without a write.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that the org gives as its own. `None`: the one that the caller used.
    pub instance_url: Option<String>,
    /// How long a person's write stays uncommitted: its rows are stamped at once and seen by
    /// others only after this.
    pub late_commit: SignedDuration,
    /// The most rows of a page of a query.
    pub page_size: usize,
    /// The most rows of a page as soon as a long text is selected.
    pub long_text_page_size: usize,
    /// How many API requests a rolling day allows.
    pub daily_requests: u64,
    /// The allowance of the calling app and its name: switches on the long form of
    /// `sforce-limit-info`.
    pub app_limit: Option<(u64, String)>,
    /// How many of the next calls are refused because too many run at once.
    pub refuse_concurrent: u32,
    /// How long a session lives without a call.
    pub session_idle: SignedDuration,
    /// How long a bulk job takes.
    pub bulk_delay: SignedDuration,
    /// How long a deleted record stays in the recycle bin.
    pub recycle_bin: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            instance_url: None,
            late_commit: SignedDuration::ZERO,
            page_size: 2000,
            long_text_page_size: 1000,
            daily_requests: 115_000,
            app_limit: None,
            refuse_concurrent: 0,
            session_idle: SignedDuration::from_hours(2),
            bulk_delay: SignedDuration::from_secs(5),
            recycle_bin: SignedDuration::from_hours(15 * 24),
        }
    }
}

/// The people and queues of a fresh org.
#[derive(Debug, Clone)]
pub struct Staff {
    /// The user that integrations sign in as.
    pub integration: Id,
    /// Three salespeople.
    pub sales: [Id; 3],
    /// A user who has left.
    pub inactive: Id,
    /// A queue for leads, and for nothing else, with the salespeople in it.
    pub queue: Id,
}

/// A row as it was before a write.
#[derive(Debug)]
struct Undo {
    object: Arc<str>,
    id: Id,
    row: Option<Arc<Record>>,
    hidden: Option<Hidden>,
}

/// A point that a transaction can be rolled back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Savepoint {
    undo: usize,
    change: u64,
}

/// One Salesforce org.
#[derive(Debug)]
pub struct Org {
    /// What can be set without a write.
    pub settings: Settings,
    /// What refuses or alters writes.
    pub rules: Rules,
    /// Autolaunched flows; a fresh org has none.
    pub flows: Flows,
    /// The newest changes.
    pub changes: ChangeLog,
    /// What subscribers hear of the changes.
    pub bus: Bus,
    /// Apps, sessions and grants.
    pub auth: Auth,
    /// The org's own id.
    pub id: Id,
    /// The people and queues that a fresh org has.
    pub staff: Staff,
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    pub(super) tables: BTreeMap<Arc<str>, Table>,
    pub(super) ids: Ids,
    pub(super) cursors: Cursors,
    pub(super) jobs: Jobs,
    pub(super) usage: Usage,
    pub(super) transaction: u64,
    /// When a field was last added or taken away, in seconds.
    pub(super) schema_changed_at: i64,
    undo: Vec<Undo>,
}

/// How many changes the log keeps: a few kilobytes each.
const CHANGES_KEPT: usize = 20_000;

impl Org {
    /// What a fresh org holds: the standard objects, statuses and stages, one integration user,
    /// three salespeople, one inactive user, one queue and one connected app.
    #[must_use]
    pub fn fresh(now: Timestamp) -> Self {
        let mut ids = Ids::default();
        let org = ids.allocate("00D");
        let users: Vec<Id> = (0..5).map(|_| ids.allocate("005")).collect();
        let queue = ids.allocate("00G");
        let staff = Staff {
            integration: users[0].clone(),
            sales: [users[1].clone(), users[2].clone(), users[3].clone()],
            inactive: users[4].clone(),
            queue,
        };
        let objects: BTreeMap<String, Arc<Object>> = standard::objects()
            .into_iter()
            .map(|o| (o.name.to_ascii_lowercase(), Arc::new(o)))
            .collect();
        let tables = objects.values().map(|o| (o.name.clone(), Table::default())).collect();
        let mut fresh = Self {
            settings: Settings::default(),
            rules: Rules::default(),
            flows: Flows::new(),
            changes: ChangeLog::new(CHANGES_KEPT),
            bus: Bus::fresh(now),
            auth: Auth::fresh(&staff),
            id: org,
            staff,
            objects,
            tables,
            ids,
            cursors: Cursors::default(),
            jobs: Jobs::default(),
            usage: Usage::default(),
            transaction: 0,
            schema_changed_at: time::seconds(now),
            undo: Vec::new(),
        };
        fresh.seed_staff(now);
        fresh.seed_setup(now);
        fresh
    }

    fn seed_staff(&mut self, now: Timestamp) {
        let people = [
            (self.staff.integration.clone(), "Integration", "User", true),
            (self.staff.sales[0].clone(), "Amara", "Okafor", true),
            (self.staff.sales[1].clone(), "Jonas", "Lindqvist", true),
            (self.staff.sales[2].clone(), "Mei", "Tanaka", true),
            (self.staff.inactive.clone(), "Rui", "Fonseca", false),
        ];
        for (id, first, last, active) in people {
            self.seed_user(now, Some(id), first, last, active);
        }
        let queue = self.staff.queue.clone();
        let members = self.staff.sales.clone();
        self.seed_queue(now, Some(queue), "Inbound leads", &["Lead"], &members);
    }

    fn seed_setup(&mut self, now: Timestamp) {
        let org = self.id.clone();
        self.seed(
            now,
            "Organization",
            Some(org),
            json!({
                "Name": "Lockstep Sandbox", "InstanceName": "SBX1", "IsSandbox": true,
                "OrganizationType": "Enterprise Edition", "DefaultLocaleSidKey": "en_US",
                "TimeZoneSidKey": "UTC", "LanguageLocaleKey": "en_US", "Country": "US",
            }),
        );
        for (order, (value, converted, default)) in standard::LEAD_STATUSES.iter().enumerate() {
            self.seed(
                now,
                "LeadStatus",
                None,
                json!({"MasterLabel": value, "ApiName": value, "SortOrder": order + 1,
                       "IsDefault": default, "IsConverted": converted}),
            );
        }
        for (order, (value, probability, forecast, closed, won)) in
            standard::STAGES.iter().enumerate()
        {
            self.seed(
                now,
                "OpportunityStage",
                None,
                json!({"MasterLabel": value, "ApiName": value, "IsActive": true,
                       "SortOrder": order + 1, "IsClosed": closed, "IsWon": won,
                       "ForecastCategory": forecast.replace(' ', ""), "ForecastCategoryName": forecast,
                       "DefaultProbability": probability}),
            );
        }
    }

    /// Adds a user, as Setup does, and returns the id. With `id` `None` a new one is made.
    pub fn seed_user(
        &mut self,
        now: Timestamp,
        id: Option<Id>,
        first: &str,
        last: &str,
        active: bool,
    ) -> Id {
        let mail = format!("{first}.{last}@lockstep.example").to_lowercase();
        let alias: String = last.to_lowercase().chars().take(8).collect();
        self.seed(
            now,
            "User",
            id,
            json!({"Username": mail, "FirstName": first, "LastName": last, "Email": mail,
                   "Name": format!("{first} {last}"), "Alias": alias, "IsActive": active,
                   "TimeZoneSidKey": "UTC", "LocaleSidKey": "en_US", "LanguageLocaleKey": "en_US",
                   "UserType": "Standard"}),
        )
    }

    /// Puts a row in as Setup or a data load before the story began would: no rule, no default and
    /// no derivation runs and no change is logged. Keys that the object does not have are left out.
    pub fn seed(&mut self, now: Timestamp, object: &str, id: Option<Id>, values: Value) -> Id {
        let stamp = time::seconds(now);
        let prefix = self.object(object).map_or("000", |o| o.prefix.as_str()).to_owned();
        let id = id.unwrap_or_else(|| self.ids.allocate(&prefix));
        let Some(object) = self.object(object).cloned() else { return id };
        let mut row = Record {
            id: id.clone(),
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
        let by = self.staff.integration.clone();
        for name in ["CreatedDate", "LastModifiedDate", "SystemModstamp"] {
            row.set(name, json!(time::datetime(stamp)));
        }
        for name in ["CreatedById", "LastModifiedById"] {
            row.set(name, json!(&*by));
        }
        row.fields.retain(|name, _| object.field(name).is_some());
        row.set("Id", json!(&*id));
        if let Value::Object(values) = values {
            for (name, value) in values {
                if let Some(field) = object.field(&name) {
                    row.set(&field.name, value);
                }
            }
        }
        self.put_silently(Arc::new(row));
        if &*object.name == "Campaign" {
            self.add_member_statuses(now, &id);
        }
        id
    }

    /// Adds or replaces a field, as an admin does in Setup. Existing rows get the default of a
    /// checkbox and nothing else.
    pub fn define_field(&mut self, now: Timestamp, object: &str, field: Field) {
        let Some(slot) = self.objects.get_mut(&object.to_ascii_lowercase()) else { return };
        self.schema_changed_at = time::seconds(now);
        let name = field.name.clone();
        let fill =
            if field.kind == super::schema::Kind::Boolean { field.default.clone() } else { None };
        Arc::make_mut(slot).define(field);
        let object = slot.clone();
        self.event_schema_changed(&object.name);
        let Some(table) = self.tables.get_mut(&object.name) else { return };
        if let Some(fill) = fill {
            let rows: Vec<Arc<Record>> =
                table.rows().filter(|r| r.get(&name).is_null()).cloned().collect();
            for mut row in rows {
                Arc::make_mut(&mut row).set(&name, fill.clone());
                table.put(&object, row);
            }
        }
        table.reindex(&object);
    }

    /// Deletes a field in Setup: from now on it is no column, and its values are gone.
    pub fn drop_field(&mut self, now: Timestamp, object: &str, field: &str) {
        let Some(slot) = self.objects.get_mut(&object.to_ascii_lowercase()) else { return };
        let Some(field) = Arc::make_mut(slot).remove(field) else { return };
        self.schema_changed_at = time::seconds(now);
        let object = slot.clone();
        self.event_schema_changed(&object.name);
        let Some(table) = self.tables.get_mut(&object.name) else { return };
        let rows: Vec<Arc<Record>> = table.rows().cloned().collect();
        for mut row in rows {
            Arc::make_mut(&mut row).set(&field.name, Value::Null);
            table.put(&object, row);
        }
        table.reindex(&object);
    }

    /// The object of this name in any case.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(name).or_else(|| self.objects.get(&name.to_ascii_lowercase()))
    }

    pub(super) fn table(&self, object: &str) -> Option<&Table> {
        self.tables.get(object)
    }

    /// The newest version of a record, committed or not, in the recycle bin or not.
    #[must_use]
    pub fn record(&self, id: &str) -> Option<&Arc<Record>> {
        let prefix = id.get(..3)?;
        self.objects
            .values()
            .filter(|o| o.prefix == prefix)
            .find_map(|o| self.tables.get(&o.name).and_then(|t| t.get(id)))
    }

    /// What others see of a record: `None` while its creation is uncommitted.
    #[must_use]
    pub fn seen(&self, id: &str) -> Option<&Arc<Record>> {
        let row = self.record(id)?;
        match self.tables.get(&row.object).and_then(|t| t.hidden.get(id)) {
            Some(hidden) => hidden.before.as_ref(),
            None => Some(row),
        }
    }

    /// The newest versions of an object's records that are not deleted, in the order of ids.
    pub fn records(&self, object: &str) -> impl Iterator<Item = &Arc<Record>> {
        self.object(object)
            .and_then(|o| self.tables.get(&o.name))
            .into_iter()
            .flat_map(|t| t.rows().filter(|r| r.deleted_at.is_none()))
    }

    /// A person's or queue's id by name.
    #[must_use]
    pub fn staff_named(&self, name: &str) -> Option<Id> {
        self.records("User")
            .chain(self.records("Group"))
            .find(|r| r.text("Name") == Some(name))
            .map(|r| r.id.clone())
    }

    /// Lets a user go or come back.
    pub fn set_user_active(&mut self, now: Timestamp, user: &str, active: bool) {
        let Some(mut row) = self.record(user).cloned().filter(|r| &*r.object == "User") else {
            return;
        };
        let edited = Arc::make_mut(&mut row);
        edited.set("IsActive", json!(active));
        restamp(edited, time::seconds(now));
        self.put_silently(row);
    }

    /// Moves `SystemModstamp` and nothing else, as a mass job of the platform does.
    pub fn touch(&mut self, now: Timestamp, ids: &[Id]) {
        for id in ids {
            let Some(mut row) = self.record(id).cloned() else { continue };
            restamp(Arc::make_mut(&mut row), time::seconds(now));
            self.put_silently(row);
        }
    }

    /// Begins a transaction: what is due happens, earlier work can no longer be rolled back.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.undo.clear();
        self.take_changes();
        self.transaction += 1;
        let ms = now.as_millisecond();
        for table in self.tables.values_mut().filter(|t| !t.hidden.is_empty()) {
            table.hidden.retain(|_, hidden| hidden.until > ms);
        }
        self.empty_recycle_bin(now);
        self.finish_jobs(now);
    }

    fn empty_recycle_bin(&mut self, now: Timestamp) {
        let limit = time::seconds(now) - self.settings.recycle_bin.as_secs();
        for object in self.objects.values() {
            let Some(table) = self.tables.get_mut(&object.name) else { continue };
            while let Some((at, id)) = table.oldest_deleted()
                && at < limit
            {
                table.remove(object, &id);
            }
        }
    }

    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint { undo: self.undo.len(), change: self.changes.newest() }
    }

    /// Takes back everything since the savepoint.
    pub(super) fn roll_back(&mut self, to: Savepoint) {
        while self.undo.len() > to.undo {
            let Some(step) = self.undo.pop() else { break };
            let Some(object) = self.object(&step.object).cloned() else { continue };
            let Some(table) = self.tables.get_mut(&step.object) else { continue };
            match step.row {
                Some(row) => drop(table.put(&object, row)),
                None => drop(table.remove(&object, &step.id)),
            }
            match step.hidden {
                Some(hidden) => drop(table.hidden.insert(step.id, hidden)),
                None => drop(table.hidden.remove(&step.id)),
            }
        }
        self.changes.roll_back(to.change);
    }

    /// Puts a row in, remembering how to take it back. Logs nothing.
    pub(super) fn put_silently(&mut self, row: Arc<Record>) -> Option<Arc<Record>> {
        let object = self.object(&row.object).cloned()?;
        let table = self.tables.get_mut(&row.object)?;
        let (name, id) = (row.object.clone(), row.id.clone());
        let hidden = table.hidden.get(&id).cloned();
        let old = table.put(&object, row);
        self.undo.push(Undo { object: name, id, row: old.clone(), hidden });
        old
    }

    /// Takes a row out for good, remembering how to take that back.
    pub(super) fn purge(&mut self, id: &str) {
        let Some(row) = self.record(id).cloned() else { return };
        let Some(object) = self.object(&row.object).cloned() else { return };
        let Some(table) = self.tables.get_mut(&row.object) else { return };
        let hidden = table.hidden.remove(id);
        table.remove(&object, id);
        self.undo.push(Undo {
            object: row.object.clone(),
            id: row.id.clone(),
            row: Some(row),
            hidden,
        });
    }

    /// The values that a picklist offers now; statuses and stages are records of their own.
    pub(super) fn pick_values(&self, object: &str, field: &Field) -> Vec<super::schema::PickValue> {
        let rows = match (object, &*field.name) {
            ("Lead", "Status") => "LeadStatus",
            ("Opportunity", "StageName") => "OpportunityStage",
            _ => return field.values.clone(),
        };
        let mut rows: Vec<&Arc<Record>> = self.records(rows).collect();
        rows.sort_by_key(|r| r.get("SortOrder").as_i64());
        rows.into_iter()
            .map(|r| super::schema::PickValue {
                value: r.text("ApiName").unwrap_or_default().to_owned(),
                active: r.get("IsActive").as_bool().unwrap_or(true),
                default: r.flag("IsDefault"),
            })
            .collect()
    }

    /// The statuses or stages row of this value.
    pub(super) fn setup_row(&self, object: &str, value: &str) -> Option<&Arc<Record>> {
        let table = self.table(object)?;
        table.holding("ApiName", &value.to_lowercase()).find_map(|id| table.get(id))
    }

    /// The status that a new lead gets when it names none.
    pub(super) fn default_lead_status(&self) -> Value {
        self.records("LeadStatus")
            .find(|r| r.flag("IsDefault"))
            .map_or(Value::Null, |r| r.get("ApiName").clone())
    }
}

fn restamp(row: &mut Record, stamp: i64) {
    row.modstamp = stamp;
    row.set("SystemModstamp", json!(time::datetime(stamp)));
}

/// A JSON object of the given pairs, nulls left out.
pub(super) fn map_of(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Map<String, Value> {
    pairs.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)).collect()
}
