//! Sequences: e-mails in a salesperson's name, one after the other, and who is enrolled in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::api::{Answer, Asked};
use super::errors::{Refusal, categorized, plain};
use super::object::Object;
use super::record::instant;
use super::world::Account;
use super::write::By;

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its name.
    pub name: String,
    /// The user who made it.
    pub user: u64,
    /// Whether the others see it.
    pub shared: bool,
}

/// What a contact was enrolled in last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Its id.
    pub id: u64,
    /// The sequence.
    pub sequence: u64,
    /// The user who enrolled the contact.
    pub user: u64,
    /// The address in whose name the e-mails are sent.
    pub sender: String,
    /// When.
    pub at: Timestamp,
    /// Whether it goes on.
    pub active: bool,
}

/// The sequences of an account.
#[derive(Debug, Default)]
pub struct Sequences {
    /// By id.
    pub known: BTreeMap<u64, Sequence>,
    /// By contact, the latest last.
    pub enrolled: BTreeMap<u64, Vec<Enrolment>>,
    /// Users without a connected inbox.
    pub unconnected: BTreeSet<u64>,
    /// How many contacts a user may enrol in a day.
    pub daily: Option<usize>,
    next: u64,
}

impl Account {
    /// A person makes a sequence that all users see.
    pub fn add_sequence(&mut self, id: u64, name: &str) {
        let user = self.owners.first().map_or(0, |owner| owner.user);
        let sequence = Sequence { name: name.to_owned(), user, shared: true };
        self.sequences.known.insert(id, sequence);
    }

    /// The contact replies: its sequence ends.
    pub fn end_sequence(&mut self, contact: u64, now: Timestamp) {
        for enrolment in self.sequences.enrolled.get_mut(&contact).into_iter().flatten() {
            enrolment.active = false;
        }
        self.tell_contact(contact, &[("hs_sequences_is_enrolled", "false")], now);
    }

    /// The contact wants no more e-mails.
    pub fn unsubscribe(&mut self, contact: u64, now: Timestamp) {
        self.tell_contact(contact, &[("hs_email_optout", "true")], now);
    }

    /// What the contact says of it. Accounts without the properties say nothing.
    fn tell_contact(&mut self, contact: u64, values: &[(&str, &str)], now: Timestamp) {
        let known = |name: &str| self.table(Object::Contact).property(name).is_some();
        let values: Vec<(String, String)> = values
            .iter()
            .filter(|(name, _)| known(name))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        // A contact that is gone says nothing.
        let _ = self.update(Object::Contact, contact, &values, &By::platform("SEQUENCES", now));
    }
}

/// Answers a call behind `/automation/…/sequences`.
pub(super) fn call(
    account: &mut Account,
    asked: &Asked<'_>,
    rest: &[&str],
) -> Result<Answer, Refusal> {
    match (asked.method, rest) {
        ("GET", []) => {
            let user = user(asked)?;
            let seen =
                account.sequences.known.iter().filter(|(_, it)| it.shared || it.user == user);
            let results: Vec<Value> = seen.map(|(id, it)| shown(*id, it)).collect();
            Ok(Answer::ok(json!({"total": results.len(), "results": results})))
        }
        ("GET", ["enrollments", "contact", contact]) => {
            let number = contact.parse().unwrap_or_default();
            let id = account.table(Object::Contact).survivor(number);
            let last = account.sequences.enrolled.get(&id).and_then(|all| all.last());
            let Some(last) = last.filter(|it| it.active) else { return Err(not_found()) };
            let name = account.sequences.known.get(&last.sequence).map(|it| it.name.as_str());
            let mut body = enrolment(account, id, last);
            body["sequenceId"] = json!(last.sequence.to_string());
            body["sequenceName"] = json!(name);
            body["enrolledBy"] = json!(last.user.to_string());
            body["enrolledByEmail"] = json!(last.sender);
            Ok(Answer::ok(body))
        }
        ("GET", [id]) => {
            let user = user(asked)?;
            let number = id.parse().unwrap_or_default();
            let known = account.sequences.known.get(&number);
            let known = known.filter(|it| it.shared || it.user == user).ok_or_else(not_found)?;
            Ok(Answer::ok(shown(number, known)))
        }
        ("POST", ["enrollments"]) => enrol(account, asked),
        (_, [] | [_] | ["enrollments", ..]) => Err(plain(405, "Method Not Allowed")),
        _ => Err(not_found().unmodelled()),
    }
}

fn not_found() -> Refusal {
    categorized(404, "OBJECT_NOT_FOUND", "resource not found")
}

fn user(asked: &Asked<'_>) -> Result<u64, Refusal> {
    asked
        .query("userId")
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| categorized(400, "VALIDATION_ERROR", "query param userId may not be null"))
}

fn shown(id: u64, sequence: &Sequence) -> Value {
    json!({"id": id.to_string(), "name": sequence.name, "userId": sequence.user.to_string(),
        "steps": [], "settings": {}})
}

fn enrolment(account: &Account, contact: u64, it: &Enrolment) -> Value {
    let to = account.value(Object::Contact, contact, "email");
    json!({"id": it.id.to_string(), "toEmail": to, "enrolledAt": instant(it.at),
        "updatedAt": instant(it.at)})
}

/// HubSpot's help names the reasons by these words; where they stand in the API's answer is not
/// documented.
fn refused(reason: &str, message: &str) -> Refusal {
    let detail = json!([{"message": message, "code": reason}]);
    categorized(400, "VALIDATION_ERROR", message).with("errors", detail)
}

fn enrol(account: &mut Account, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let by = user(asked)?;
    let body = asked.json()?;
    let text = |name: &str| -> Result<String, Refusal> {
        let value = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let message = format!("Some required fields were not set: [{name}]");
        value.map(str::to_owned).ok_or_else(|| categorized(400, "VALIDATION_ERROR", message))
    };
    let (sequence, contact, sender) =
        (text("sequenceId")?, text("contactId")?, text("senderEmail")?);
    let sequence: u64 = sequence.parse().unwrap_or_default();
    let contact: u64 = contact.parse().unwrap_or_default();
    let known = account.sequences.known.get(&sequence).filter(|it| it.shared || it.user == by);
    known.ok_or_else(not_found)?;
    let contact = account.table(Object::Contact).live(contact).ok_or_else(not_found)?.id;
    let is_sender = |owner: &&super::owners::Owner| {
        owner.user == by && !owner.archived && owner.email.eq_ignore_ascii_case(&sender)
    };
    if account.owners.iter().find(is_sender).is_none()
        || account.sequences.unconnected.contains(&by)
    {
        return Err(refused("INBOX_NOT_CONNECTED", "The sender has no connected inbox"));
    }
    let value = |name| account.value(Object::Contact, contact, name).unwrap_or_default();
    if value("email").is_empty() {
        return Err(refused("NO_EMAIL", "The contact has no email address"));
    }
    if value("hs_email_optout") == "true" {
        return Err(refused("UNSUBSCRIBED", "The recipient has opted out of all emails"));
    }
    let before = account.sequences.enrolled.get(&contact).and_then(|all| all.last());
    if before.is_some_and(|it| it.active) {
        return Err(refused("ALREADY_ENROLLED", "The contact is already enrolled in a sequence"));
    }
    let day = |at: Timestamp| at.in_tz(&account.time_zone).map(|at| at.date()).ok();
    let all = account.sequences.enrolled.values().flatten();
    let today = all.filter(|it| it.user == by && day(it.at) == day(asked.now)).count();
    if account.sequences.daily.is_some_and(|most| today >= most) {
        return Err(refused(
            "DAILY_LIMIT",
            "The sender has reached the limit of enrollments a day",
        ));
    }
    account.sequences.next += 1;
    let made = Enrolment {
        id: 7_000_000 + account.sequences.next,
        sequence,
        user: by,
        sender,
        at: asked.now,
        active: true,
    };
    let answer = enrolment(account, contact, &made);
    account.sequences.enrolled.entry(contact).or_default().push(made);
    let (id, at) = (sequence.to_string(), instant(asked.now));
    let told = [
        ("hs_sequences_is_enrolled", "true"),
        ("hs_latest_sequence_enrolled", id.as_str()),
        ("hs_latest_sequence_enrolled_date", at.as_str()),
    ];
    account.tell_contact(contact, &told, asked.now);
    Ok(Answer::ok(answer))
}
