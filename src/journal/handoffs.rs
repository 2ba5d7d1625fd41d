//! Handoffs: by link and number, by when they are looked at next, by the records that belong to them.
//!
//! A handoff is changed by adding facts to it, never by replacing it: settlements and the work on
//! handoffs go on side by side, and what both add is there in the end, whoever was first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;
use super::codec::unreadable;
use super::key::{Key, Kind, Parts};
use super::store::Span;
use super::txn::Txn;
use crate::handoff::{Fact, Handoff, HandoffId, What};
use crate::record::{LinkId, RecordRef};

/// A handoff as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoffEntry {
    /// The handoff.
    pub handoff: Handoff,
    /// How often it was changed: who has worked on it is told by this whether it has moved on.
    pub version: u64,
    /// When it is looked at next; nothing where only news can move it.
    pub look: Option<Timestamp>,
    /// How often the work on it did not come to its end since it last did.
    pub tries: u32,
    /// Whether the task was about to be made: it is looked for before it is made again.
    pub task_tried: bool,
    /// What HubSpot was last told, by property.
    pub fed: BTreeMap<String, String>,
}

/// What is new of a handoff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoffNews {
    /// Which.
    pub id: HandoffId,
    /// The handoff itself, where it may not be stored yet.
    pub opened: Option<Handoff>,
    /// What happened.
    pub facts: Vec<Fact>,
    /// When it is to be looked at, at the latest.
    pub look: Timestamp,
}

/// What the work on a handoff came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoffWork {
    /// Which.
    pub id: HandoffId,
    /// The version that was worked on. Where it has moved on since, it is looked at again at once.
    pub version: u64,
    /// What happened.
    pub facts: Vec<Fact>,
    /// When it is looked at next.
    pub look: Option<Timestamp>,
    /// See [`HandoffEntry::tries`].
    pub tries: u32,
    /// See [`HandoffEntry::task_tried`].
    pub task_tried: bool,
    /// See [`HandoffEntry::fed`].
    pub fed: BTreeMap<String, String>,
}

fn handoff_key(id: HandoffId) -> Key {
    Key::new(Kind::Handoff).link(id.link).number(u64::from(id.nth))
}

fn due_key(look: Timestamp, id: HandoffId) -> Key {
    Key::new(Kind::HandoffDue).time(look).link(id.link).number(u64::from(id.nth))
}

fn record_key(record: &RecordRef) -> Key {
    Key::new(Kind::HandoffRecord).record(record)
}

/// The records by which a handoff is found: its task, its opportunities.
fn records(handoff: &Handoff) -> BTreeSet<RecordRef> {
    handoff
        .facts
        .iter()
        .filter_map(|fact| match &fact.what {
            What::Tasked { task } => Some(task.clone()),
            What::Converted { opportunity }
            | What::Won { opportunity, .. }
            | What::Lost { opportunity, .. } => opportunity.clone(),
            _ => None,
        })
        .collect()
}

/// The counter of open handoffs.
pub(super) const OPEN: &str = "handoffs.open";

/// The counter of handoffs that have ended.
pub(super) const OVER: &str = "handoffs.over";

pub(super) fn counter(handoff: &Handoff) -> &'static str {
    if handoff.state().is_over() { OVER } else { OPEN }
}

impl Txn<'_> {
    pub(super) fn handoff(&self, id: HandoffId) -> Result<Option<HandoffEntry>, Error> {
        self.get(&handoff_key(id))
    }

    /// A link's handoffs, in the order of their numbers.
    pub(super) fn handoffs_of(&self, link: LinkId) -> Result<Vec<HandoffEntry>, Error> {
        let span = Span::prefix(&Key::new(Kind::Handoff).link(link).0);
        Ok(self.list(&span, usize::MAX)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// A page of all handoffs by link and number, behind `after`.
    pub(super) fn handoffs(
        &self,
        after: Option<HandoffId>,
        limit: usize,
    ) -> Result<Vec<HandoffEntry>, Error> {
        let mut span = Span::prefix(&Key::new(Kind::Handoff).0);
        if let Some(after) = after {
            span = span.after(&handoff_key(after).0);
        }
        Ok(self.list(&span, limit)?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Those that are to be looked at by `now`, the longest due first.
    pub(super) fn handoffs_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<HandoffEntry>, Error> {
        let span = Span::prefix(&Key::new(Kind::HandoffDue).0);
        let mut found = Vec::new();
        for (key, _) in self.scan(&span, limit)? {
            let (look, id) = due_of(&key).ok_or_else(|| unreadable(&key, "it names no handoff"))?;
            if look > now {
                break;
            }
            found.extend(self.handoff(id)?);
        }
        Ok(found)
    }

    /// When the next one is to be looked at.
    pub(super) fn next_handoff(&self) -> Result<Option<Timestamp>, Error> {
        let rows = self.scan(&Span::prefix(&Key::new(Kind::HandoffDue).0), 1)?;
        Ok(rows.first().and_then(|(key, _)| due_of(key)).map(|(look, _)| look))
    }

    /// The handoff to which a task or an opportunity belongs.
    pub(super) fn handoff_with(&self, record: &RecordRef) -> Result<Option<HandoffId>, Error> {
        self.get(&record_key(record))
    }

    /// Takes news in. A handoff that is not stored is opened by them or, without that, left alone:
    /// its person's data was erased.
    pub(super) fn hear_of_handoff(&mut self, news: HandoffNews) -> Result<(), Error> {
        let before = self.handoff(news.id)?;
        let opened = || {
            let handoff = news.opened.clone()?;
            let fed = BTreeMap::new();
            Some(HandoffEntry { handoff, version: 0, look: None, tries: 0, task_tried: false, fed })
        };
        let Some(mut entry) = before.clone().or_else(opened) else { return Ok(()) };
        let fresh = before.is_none();
        let mut moved = fresh;
        for fact in news.facts {
            moved |= entry.handoff.facts.add(fact);
        }
        if moved {
            entry.version += 1;
            entry.look = Some(entry.look.map_or(news.look, |look| look.min(news.look)));
            self.put_handoff(before.as_ref(), &entry)?;
        }
        Ok(())
    }

    /// Stores what the work on a handoff came to.
    pub(super) fn work_on_handoff(&mut self, work: HandoffWork) -> Result<(), Error> {
        let Some(before) = self.handoff(work.id)? else { return Ok(()) };
        let mut entry = before.clone();
        let unmoved = entry.version == work.version;
        entry.handoff.facts.extend(work.facts);
        entry.tries = work.tries;
        entry.task_tried = work.task_tried;
        entry.fed = work.fed;
        if unmoved {
            entry.look = work.look;
        }
        self.put_handoff(Some(&before), &entry)
    }

    fn put_handoff(
        &mut self,
        before: Option<&HandoffEntry>,
        entry: &HandoffEntry,
    ) -> Result<(), Error> {
        let id = entry.handoff.id;
        if let Some(before) = before {
            self.bump(&before.handoff.mapping, counter(&before.handoff), -1)?;
            if let Some(look) = before.look {
                self.delete(&due_key(look, id))?;
            }
        }
        self.bump(&entry.handoff.mapping, counter(&entry.handoff), 1)?;
        if let Some(look) = entry.look {
            self.put(&due_key(look, id), &())?;
        }
        for record in records(&entry.handoff) {
            self.put(&record_key(&record), &id)?;
        }
        self.put(&handoff_key(id), entry)
    }

    fn remove_handoff(&mut self, entry: &HandoffEntry) -> Result<(), Error> {
        let id = entry.handoff.id;
        if let Some(look) = entry.look {
            self.delete(&due_key(look, id))?;
        }
        for record in records(&entry.handoff) {
            if self.handoff_with(&record)? == Some(id) {
                self.delete(&record_key(&record))?;
            }
        }
        self.bump(&entry.handoff.mapping, counter(&entry.handoff), -1)?;
        self.delete(&handoff_key(id))
    }

    /// Takes a link's handoffs away.
    pub(super) fn remove_handoffs(&mut self, link: LinkId) -> Result<(), Error> {
        for entry in self.handoffs_of(link)? {
            self.remove_handoff(&entry)?;
        }
        Ok(())
    }

    /// Looks at up to `budget` handoffs from where the last round ended, and takes away those that
    /// ended before `oldest`.
    pub(super) fn prune_handoffs(
        &mut self,
        oldest: Timestamp,
        budget: usize,
    ) -> Result<usize, Error> {
        let after: Option<HandoffId> = self.fact("prune.handoffs")?;
        let page = self.handoffs(after, budget)?;
        let mut gone = 0;
        for entry in &page {
            if entry.handoff.state().is_over() && entry.handoff.since() < oldest {
                self.remove_handoff(entry)?;
                gone += 1;
            }
        }
        match page.last() {
            Some(last) if page.len() == budget => {
                self.set_fact("prune.handoffs", &last.handoff.id)?
            }
            _ => self.drop_fact("prune.handoffs")?,
        }
        Ok(gone)
    }

    /// Makes a handoff's indexes anew.
    pub(super) fn index_handoff(&mut self, entry: &HandoffEntry) -> Result<(), Error> {
        let id = entry.handoff.id;
        if let Some(look) = entry.look {
            self.put(&due_key(look, id), &())?;
        }
        for record in records(&entry.handoff) {
            self.put(&record_key(&record), &id)?;
        }
        Ok(())
    }

    /// What is wrong with what leads to a stored handoff.
    pub(super) fn problems_of_handoff(
        &self,
        entry: &HandoffEntry,
    ) -> Result<Vec<&'static str>, Error> {
        let mut found = Vec::new();
        if let Some(look) = entry.look
            && !self.has(&due_key(look, entry.handoff.id))?
        {
            found.push("nothing leads to it when it is due");
        }
        for record in records(&entry.handoff) {
            if self.handoff_with(&record)?.is_none() {
                found.push("one of its records does not lead to it");
            }
        }
        Ok(found)
    }

    /// Whether the row of an index leads to a handoff that knows of it.
    pub(super) fn leads_to_handoff(&self, key: &[u8]) -> Result<bool, Error> {
        if let Some((look, id)) = due_of(key) {
            return Ok(self.handoff(id)?.is_some_and(|entry| entry.look == Some(look)));
        }
        let Some(record) = Parts::of(key).record() else { return Ok(false) };
        let Some(id) = self.handoff_with(&record)? else { return Ok(false) };
        Ok(self.handoff(id)?.is_some_and(|entry| records(&entry.handoff).contains(&record)))
    }
}

fn due_of(key: &[u8]) -> Option<(Timestamp, HandoffId)> {
    if key.first() != Some(&(Kind::HandoffDue as u8)) {
        return None;
    }
    let mut parts = Parts::of(key);
    let look = parts.time()?;
    let link = parts.link()?;
    Some((look, HandoffId { link, nth: u32::try_from(parts.number()?).ok()? }))
}
