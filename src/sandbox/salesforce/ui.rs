//! What people do at a screen: converting and merging, calling and closing, editing and deleting.
//!
//! Each method is one transaction: it happens as a whole or not at all. Its rows are stamped at once
//! and, with a late commit set, seen by others only later. Assignment rules do not run and alerts of
//! duplicate rules are waved through, as a person at the screen waves them through; validation rules
//! hold for people too.

use std::sync::Arc;

use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};

use super::derive::TASK_DONE;
use super::dml::{Write, converted};
use super::id::Id;
use super::refusal::{Code, Refusal};
use super::table::Record;
use super::time;
use super::world::{Org, map_of};

/// How a lead is converted. The default makes a new account, a new contact and an opportunity.
#[derive(Debug, Clone, Default)]
pub struct Conversion {
    /// An account that exists already.
    pub account: Option<Id>,
    /// A contact that exists already; it needs `account`.
    pub contact: Option<Id>,
    /// The opportunity's name. `None` takes the company's.
    pub opportunity_name: Option<String>,
    /// Makes no opportunity.
    pub no_opportunity: bool,
    /// The converted status that the lead gets. `None` takes the first one there is.
    pub status: Option<String>,
    /// Who owns the new records. `None` takes the lead's owner, or the person if that is a queue.
    pub owner: Option<Id>,
}

/// What a lead became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The account.
    pub account: Id,
    /// The contact.
    pub contact: Id,
    /// The opportunity, if one was made.
    pub opportunity: Option<Id>,
}

/// Lead fields and the account fields they become.
const TO_ACCOUNT: &[(&str, &str)] = &[
    ("Company", "Name"),
    ("Phone", "Phone"),
    ("Fax", "Fax"),
    ("Website", "Website"),
    ("Industry", "Industry"),
    ("AnnualRevenue", "AnnualRevenue"),
    ("NumberOfEmployees", "NumberOfEmployees"),
    ("Rating", "Rating"),
    ("LeadSource", "AccountSource"),
    ("Street", "BillingStreet"),
    ("City", "BillingCity"),
    ("State", "BillingState"),
    ("PostalCode", "BillingPostalCode"),
    ("Country", "BillingCountry"),
];

/// Lead fields and the contact fields they become.
const TO_CONTACT: &[(&str, &str)] = &[
    ("FirstName", "FirstName"),
    ("LastName", "LastName"),
    ("Salutation", "Salutation"),
    ("Title", "Title"),
    ("Phone", "Phone"),
    ("MobilePhone", "MobilePhone"),
    ("Fax", "Fax"),
    ("Email", "Email"),
    ("Description", "Description"),
    ("HasOptedOutOfEmail", "HasOptedOutOfEmail"),
    ("Street", "MailingStreet"),
    ("City", "MailingCity"),
    ("State", "MailingState"),
    ("PostalCode", "MailingPostalCode"),
    ("Country", "MailingCountry"),
];

impl Org {
    /// Runs one person's action as a transaction.
    fn act<T>(
        &mut self,
        now: Timestamp,
        user: &Id,
        work: impl FnOnce(&mut Self, &Write) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.begin(now);
        let start = self.savepoint();
        let write = Write::by_person(now, user);
        let done = work(self, &write);
        if done.is_err() {
            self.roll_back(start);
        }
        done
    }

    /// A record that is there and not deleted.
    fn living(&self, id: &str, object: &str) -> Result<Arc<Record>, Refusal> {
        let missing =
            || Refusal::row(Code::InvalidCrossReferenceKey, "invalid cross reference id", &[]);
        let row = self.record(id).filter(|r| &*r.object == object).ok_or_else(missing)?;
        if row.deleted_at.is_some() {
            return Err(Refusal::row(Code::EntityIsDeleted, "entity is deleted", &[]));
        }
        Ok(row.clone())
    }

    /// A person makes a record.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn person_creates(
        &mut self,
        now: Timestamp,
        user: &Id,
        object: &str,
        values: &Map<String, Value>,
    ) -> Result<Id, Refusal> {
        self.act(now, user, |org, write| org.create(write, object, values))
    }

    /// A person edits a record. The owner of a lead who does so has read it.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn person_edits(
        &mut self,
        now: Timestamp,
        user: &Id,
        id: &str,
        values: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            let object = org.object_of(id)?;
            let mut values = values.clone();
            let own = org.record(id).is_some_and(|r| r.text("OwnerId") == Some(&**user));
            if &*object == "Lead" && own && !values.contains_key("IsUnreadByOwner") {
                values.insert("IsUnreadByOwner".to_owned(), json!(false));
            }
            org.update(write, &object, id, &values)
        })
    }

    /// A person puts a record into the recycle bin.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn person_deletes(&mut self, now: Timestamp, user: &Id, id: &str) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            let object = org.object_of(id)?;
            org.delete(write, &object, id)
        })
    }

    /// A person takes a record back out of the recycle bin, with what went along.
    ///
    /// # Errors
    /// When it is not in the bin.
    pub fn person_undeletes(&mut self, now: Timestamp, user: &Id, id: &str) -> Result<(), Refusal> {
        self.act(now, user, |org, write| org.undelete(write, id))
    }

    /// A person removes a record for good: no query shows it any more, not even `queryAll`.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn person_hard_deletes(
        &mut self,
        now: Timestamp,
        user: &Id,
        id: &str,
    ) -> Result<(), Refusal> {
        self.act(now, user, |org, write| org.hard_delete(write, id))
    }

    /// A person takes a record out of a queue that they are a member of: it is theirs from then on.
    ///
    /// # Errors
    /// When it belongs to no queue, or to one of which the person is no member.
    pub fn take_from_queue(
        &mut self,
        now: Timestamp,
        user: &Id,
        record: &str,
    ) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            let object = org.object_of(record)?;
            let row = org.living(record, &object)?;
            if !row.text("OwnerId").is_some_and(|queue| org.is_member(queue, user)) {
                let message = "insufficient access rights on object id";
                return Err(Refusal::row(Code::InsufficientAccessOrReadonly, message, &[]));
            }
            org.update(write, &object, record, &map_of([("OwnerId", json!(&**user))]))
        })
    }

    /// A person completes a task.
    ///
    /// # Errors
    /// As the API refuses it.
    pub fn complete_task(&mut self, now: Timestamp, user: &Id, task: &str) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            org.living(task, "Task")?;
            org.update(write, "Task", task, &map_of([("Status", json!(TASK_DONE))]))
        })
    }

    /// A person logs a call with a lead, a contact, an account or an opportunity: a task that is
    /// done today. Returns the task.
    ///
    /// # Errors
    /// As the API refuses it, among others for a converted lead.
    pub fn log_call(
        &mut self,
        now: Timestamp,
        user: &Id,
        with: &str,
        subject: &str,
    ) -> Result<Id, Refusal> {
        self.act(now, user, |org, write| {
            let object = org.object_of(with)?;
            let link = if matches!(&*object, "Lead" | "Contact") { "WhoId" } else { "WhatId" };
            let values = map_of([
                ("Subject", json!(subject)),
                (link, json!(with)),
                ("Status", json!(TASK_DONE)),
                ("TaskSubtype", json!("Call")),
                ("CallType", json!("Outbound")),
                ("ActivityDate", json!(time::date(time::seconds(now)))),
            ]);
            org.create(write, "Task", &values)
        })
    }

    /// A person closes an opportunity, won or lost, today.
    ///
    /// # Errors
    /// As the API refuses it, or when no active stage of that kind exists.
    pub fn close_opportunity(
        &mut self,
        now: Timestamp,
        user: &Id,
        opportunity: &str,
        won: bool,
    ) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            let stage = org
                .records("OpportunityStage")
                .find(|s| s.flag("IsClosed") && s.flag("IsWon") == won && s.flag("IsActive"))
                .map(|s| s.get("ApiName").clone());
            let Some(stage) = stage else {
                let message = format!(
                    "found no active stage that is closed and {}",
                    if won { "won" } else { "lost" }
                );
                return Err(Refusal::row(Code::InvalidStatus, message, &["StageName"]));
            };
            let today = json!(time::date(time::seconds(now)));
            org.update(
                write,
                "Opportunity",
                opportunity,
                &map_of([("StageName", stage), ("CloseDate", today)]),
            )
        })
    }

    /// A person converts a lead: account, contact and, unless it is not wanted, an opportunity are
    /// made or found, empty fields of found ones are filled, tasks and campaign memberships move to
    /// the contact, and the lead stays behind read-only.
    ///
    /// # Errors
    /// When the lead is converted already, when a named record does not exist or a rule refuses.
    pub fn convert_lead(
        &mut self,
        now: Timestamp,
        user: &Id,
        lead: &str,
        how: &Conversion,
    ) -> Result<Converted, Refusal> {
        self.act(now, user, |org, write| {
            let lead = org.living(lead, "Lead")?;
            if lead.flag("IsConverted") {
                return Err(converted());
            }
            let status = org.converted_status(how.status.as_deref())?;
            let owner = match &how.owner {
                Some(owner) => owner.clone(),
                None => match lead.text("OwnerId") {
                    Some(id) if id.starts_with("005") => id.into(),
                    _ => user.clone(),
                },
            };
            let account = org.converted_account(write, &lead, how, &owner)?;
            let contact = org.converted_contact(write, &lead, how, &account, &owner)?;
            let opportunity = if how.no_opportunity {
                None
            } else {
                Some(org.converted_opportunity(write, &lead, how, &account, &contact, &owner)?)
            };
            org.move_activities(write, &lead.id, &contact)?;
            let today = time::date(time::seconds(now));
            let values = map_of([
                ("Status", json!(status)),
                ("IsConverted", json!(true)),
                ("ConvertedDate", json!(today)),
                ("ConvertedAccountId", json!(&*account)),
                ("ConvertedContactId", json!(&*contact)),
                ("ConvertedOpportunityId", json!(opportunity.as_deref())),
                ("IsUnreadByOwner", json!(false)),
            ]);
            org.update_with(write, "Lead", &lead.id, &values, true)?;
            Ok(Converted { account, contact, opportunity })
        })
    }

    fn converted_status(&self, wanted: Option<&str>) -> Result<String, Refusal> {
        let mut statuses = self.records("LeadStatus").filter(|s| s.flag("IsConverted"));
        let found = match wanted {
            Some(wanted) => statuses.find(|s| s.text("ApiName") == Some(wanted)),
            None => statuses.next(),
        };
        found.and_then(|s| s.text("ApiName")).map(str::to_owned).ok_or_else(|| {
            let message = format!(
                "invalid convertedStatus: {}",
                wanted.unwrap_or("none is marked as converted")
            );
            Refusal::row(Code::InvalidStatus, message, &["Status"])
        })
    }

    /// What a lead's fields become, by the standard tables and the admin's own.
    fn carried(
        &self,
        lead: &Record,
        object: &str,
        standard: &[(&str, &str)],
    ) -> Map<String, Value> {
        let own = self.rules.lead_fields.iter().filter(|m| m.object.eq_ignore_ascii_case(object));
        let own = own.map(|m| (m.lead_field.as_str(), m.field.as_str()));
        standard
            .iter()
            .copied()
            .chain(own)
            .filter(|(from, _)| !lead.get(from).is_null())
            .map(|(from, to)| (to.to_owned(), lead.get(from).clone()))
            .collect()
    }

    fn fill_empty(
        &mut self,
        write: &Write,
        row: &Record,
        mut values: Map<String, Value>,
    ) -> Result<(), Refusal> {
        values.retain(|name, _| row.get(name).is_null());
        if values.is_empty() {
            return Ok(());
        }
        self.update(write, &row.object, &row.id, &values)
    }

    fn converted_account(
        &mut self,
        write: &Write,
        lead: &Record,
        how: &Conversion,
        owner: &Id,
    ) -> Result<Id, Refusal> {
        let mut values = self.carried(lead, "Account", TO_ACCOUNT);
        if let Some(account) = &how.account {
            let row = self.living(account, "Account")?;
            self.fill_empty(write, &row, values)?;
            return Ok(row.id.clone());
        }
        values.insert("OwnerId".to_owned(), json!(&**owner));
        self.create(write, "Account", &values)
    }

    fn converted_contact(
        &mut self,
        write: &Write,
        lead: &Record,
        how: &Conversion,
        account: &Id,
        owner: &Id,
    ) -> Result<Id, Refusal> {
        let mut values = self.carried(lead, "Contact", TO_CONTACT);
        if let Some(contact) = &how.contact {
            let row = self.living(contact, "Contact")?;
            if row.text("AccountId") != Some(account) {
                let message =
                    "Contact ID: the contact does not belong to the account of the conversion";
                return Err(Refusal::row(Code::InvalidCrossReferenceKey, message, &[]));
            }
            self.fill_empty(write, &row, values)?;
            return Ok(row.id.clone());
        }
        if let Some(source) = lead.text("LeadSource") {
            values.insert("LeadSource".to_owned(), json!(source));
        }
        values.insert("AccountId".to_owned(), json!(&**account));
        values.insert("OwnerId".to_owned(), json!(&**owner));
        self.create(write, "Contact", &values)
    }

    fn converted_opportunity(
        &mut self,
        write: &Write,
        lead: &Record,
        how: &Conversion,
        account: &Id,
        contact: &Id,
        owner: &Id,
    ) -> Result<Id, Refusal> {
        let mut stages: Vec<&Arc<Record>> = self
            .records("OpportunityStage")
            .filter(|s| !s.flag("IsClosed") && s.flag("IsActive"))
            .collect();
        stages.sort_by_key(|s| s.get("SortOrder").as_i64());
        let stage = stages.first().map_or(Value::Null, |s| s.get("ApiName").clone());
        let mut values = self.carried(lead, "Opportunity", &[("LeadSource", "LeadSource")]);
        let company = lead.text("Company").unwrap_or_default();
        let name = how.opportunity_name.clone().unwrap_or_else(|| format!("{company}-"));
        let name: String = name.chars().take(120).collect();
        values.extend(map_of([
            ("Name", json!(name)),
            ("AccountId", json!(&**account)),
            ("StageName", stage),
            ("CloseDate", json!(end_of_quarter(write.now))),
            ("OwnerId", json!(&**owner)),
        ]));
        let opportunity = self.create(write, "Opportunity", &values)?;
        let role = map_of([
            ("OpportunityId", json!(&*opportunity)),
            ("ContactId", json!(&**contact)),
            ("IsPrimary", json!(true)),
        ]);
        self.create(write, "OpportunityContactRole", &role)?;
        Ok(opportunity)
    }

    fn move_activities(&mut self, write: &Write, lead: &Id, contact: &Id) -> Result<(), Refusal> {
        for task in self.children("Task", "WhoId", lead) {
            self.update_with(
                write,
                "Task",
                &task.id,
                &map_of([("WhoId", json!(&**contact))]),
                true,
            )?;
        }
        for member in self.children("CampaignMember", "LeadId", lead) {
            let there = self
                .children("CampaignMember", "ContactId", contact)
                .iter()
                .any(|m| m.text("CampaignId") == member.text("CampaignId"));
            if there {
                self.bin(write, &member, None);
            } else {
                let values = map_of([("ContactId", json!(&**contact))]);
                self.update_with(write, "CampaignMember", &member.id, &values, true)?;
            }
        }
        Ok(())
    }

    /// A person merges up to two losers into a winner: what belonged to the losers belongs to the
    /// winner, `values` (what the person picked from the losers) are set on it, and the losers go
    /// into the recycle bin with the winner as their `MasterRecordId`.
    ///
    /// # Errors
    /// When the records are not of one mergeable object, or one of them is a converted lead.
    pub fn merge(
        &mut self,
        now: Timestamp,
        user: &Id,
        winner: &str,
        losers: &[Id],
        values: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        self.act(now, user, |org, write| {
            let object = org.object_of(winner)?;
            if !org.object(&object).is_some_and(|o| o.mergeable) || losers.is_empty() || losers.len() > 2 {
                let message = "a merge needs one winner and one or two losers, all leads, contacts or accounts";
                return Err(Refusal::row(Code::InvalidRequest, message, &[]));
            }
            let winner = org.living(winner, &object)?;
            let mut lost = Vec::with_capacity(losers.len());
            for loser in losers {
                let loser = org.living(loser, &object)?;
                if loser.flag("IsConverted") != winner.flag("IsConverted") || loser.id == winner.id {
                    return Err(Refusal::row(
                        Code::InvalidRequest,
                        "a converted lead merges only with converted leads, and nothing with itself",
                        &[],
                    ));
                }
                lost.push(loser);
            }
            for loser in &lost {
                org.re_parent(write, &object, &loser.id, &winner.id)?;
                let mut row = (**loser).clone();
                row.set("MasterRecordId", json!(&*winner.id));
                org.bin(write, &row, None);
            }
            org.update_with(write, &object, &winner.id, values, true)
        })
    }

    /// Hands everything that points to one record to another.
    fn re_parent(
        &mut self,
        write: &Write,
        object: &str,
        from: &Id,
        to: &Id,
    ) -> Result<(), Refusal> {
        let ways: Vec<(Arc<str>, Arc<str>)> = self
            .objects
            .values()
            .flat_map(|child| child.fields.iter().map(move |field| (child.name.clone(), field)))
            .filter(|(_, f)| f.is_indexed() && &*f.name != "MasterRecordId")
            .filter(|(_, f)| f.refers_to.iter().any(|t| t.eq_ignore_ascii_case(object)))
            .map(|(child, f)| (child, f.name.clone()))
            .collect();
        for (child, field) in ways {
            for row in self.children(&child, &field, from) {
                // A membership that the winner has too is not kept twice.
                let twice = &*child == "CampaignMember"
                    && self
                        .children(&child, &field, to)
                        .iter()
                        .any(|m| m.text("CampaignId") == row.text("CampaignId"));
                if twice {
                    self.bin(write, &row, None);
                } else {
                    let mut values = Map::new();
                    values.insert(field.to_string(), json!(&**to));
                    self.update_with(write, &child, &row.id, &values, true)?;
                }
            }
        }
        Ok(())
    }

    /// The API name of a record's object.
    fn object_of(&self, id: &str) -> Result<Arc<str>, Refusal> {
        self.record(id).map(|r| r.object.clone()).ok_or_else(|| {
            Refusal::row(Code::InvalidCrossReferenceKey, "invalid cross reference id", &[])
        })
    }
}

/// The last day of the running quarter: the close date of an opportunity made by converting.
fn end_of_quarter(now: Timestamp) -> String {
    let today = time::day(now);
    let last_month = (today.month() - 1) / 3 * 3 + 3;
    let ahead = Span::new().months(i64::from(last_month - today.month()));
    today.checked_add(ahead).map_or(today, |d| d.last_of_month()).to_string()
}

#[cfg(test)]
mod tests;
