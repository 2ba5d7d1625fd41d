//! Owners: the users that records can belong to.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::api::{Answer, Asked};
use super::errors::{Refusal, categorized};
use super::record::instant;
use super::world::Account;

/// A user as an owner of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The owner's id: the value of `hubspot_owner_id`.
    pub id: String,
    /// The user's id, which history names.
    pub user: u64,
    /// The address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// Whether the user was deactivated.
    pub archived: bool,
    /// When the owner was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Owner {
    /// A person who is active.
    #[must_use]
    pub fn person(id: u64, user: u64, email: &str, name: (&str, &str), now: Timestamp) -> Self {
        Self {
            id: id.to_string(),
            user,
            email: email.to_owned(),
            first_name: name.0.to_owned(),
            last_name: name.1.to_owned(),
            archived: false,
            created: now,
            updated: now,
        }
    }

    fn shown(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("id".to_owned(), json!(self.id));
        shown.insert("email".to_owned(), json!(self.email));
        shown.insert("type".to_owned(), json!("PERSON"));
        shown.insert("firstName".to_owned(), json!(self.first_name));
        shown.insert("lastName".to_owned(), json!(self.last_name));
        // A deactivated user keeps its id only under the longer name.
        if !self.archived {
            shown.insert("userId".to_owned(), json!(self.user));
        }
        shown.insert("userIdIncludingInactive".to_owned(), json!(self.user));
        shown.insert("createdAt".to_owned(), json!(instant(self.created)));
        shown.insert("updatedAt".to_owned(), json!(instant(self.updated)));
        shown.insert("archived".to_owned(), json!(self.archived));
        Value::Object(shown)
    }
}

/// The three owners of a fresh account. Ids of owners and of users differ, as in older accounts.
#[must_use]
pub fn fresh(now: Timestamp) -> Vec<Owner> {
    [
        (301_001, 51_001, "maya.keller@example.com", ("Maya", "Keller")),
        (301_002, 51_002, "tom.okafor@example.com", ("Tom", "Okafor")),
        (301_003, 51_003, "ines.prado@example.com", ("Ines", "Prado")),
    ]
    .into_iter()
    .map(|(id, user, email, name)| Owner::person(id, user, email, name, now))
    .collect()
}

/// `GET /crm/v3/owners`.
pub(super) fn list(account: &Account, asked: &Asked<'_>) -> Result<Answer, Refusal> {
    let archived = asked.flag("archived");
    let limit = asked.limit(100, 500)?;
    let after = asked.query("after").and_then(|after| after.parse::<u64>().ok()).unwrap_or(0);
    let email = asked.query("email");
    let wanted = |owner: &&Owner| {
        owner.archived == archived
            && owner.id.parse::<u64>().is_ok_and(|id| id >= after)
            && email.is_none_or(|email| owner.email.eq_ignore_ascii_case(email))
    };
    let mut found = account.owners.iter().filter(wanted);
    let page: Vec<Value> = found.by_ref().take(limit).map(Owner::shown).collect();
    let mut body = json!({ "results": page });
    if let Some(next) = found.next() {
        body["paging"] = asked.next_page(&next.id);
    }
    Ok(Answer::ok(body))
}

/// `GET /crm/v3/owners/{id}`.
pub(super) fn one(account: &Account, asked: &Asked<'_>, id: &str) -> Result<Answer, Refusal> {
    let by_user = asked.query("idProperty") == Some("userId");
    let archived = asked.flag("archived");
    account
        .owners
        .iter()
        .filter(|owner| owner.archived == archived)
        .find(|owner| if by_user { owner.user.to_string() == id } else { owner.id == id })
        .map(|owner| Answer::ok(owner.shown()))
        .ok_or_else(|| categorized(404, "OBJECT_NOT_FOUND", "resource not found"))
}
