//! What salespeople did, and what became of it: asks Salesforce for changed tasks and opportunities,
//! and HubSpot for logged calls and e-mails where the mapping says that those count.
//!
//! Each listing has a cursor of its own, which moves in the same commit as what the listing showed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::owner_of;
use super::work::Job;
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::touch::{Act, Deed, Doer, TaskKind, touch};
use crate::handoff::{Fact, FactKind, Handoff, State, What, Witness, belongs};
use crate::journal::{Commit, CursorName, HandoffNews};
use crate::mapping::Mapping;
use crate::platform::{Ask, Cursor};
use crate::record::{Change, Origin, Raw, Record, RecordRef, SalesforceId, Side, object_of_prefix};

/// What is read of a task.
const TASK: [&str; 9] = [
    "WhoId",
    "WhatId",
    "OwnerId",
    "IsClosed",
    "CompletedDateTime",
    "TaskSubtype",
    "CallType",
    "Type",
    "LastModifiedById",
];

/// What is read of an opportunity.
const OPPORTUNITY: [&str; 4] = ["StageName", "IsClosed", "IsWon", "Amount"];

const TASK_OBJECT: &str = "Task";

const OPPORTUNITY_OBJECT: &str = "Opportunity";

/// The journal's counter of handoffs that have not ended.
const HANDOFFS_OPEN: &str = "handoffs.open";

/// The name of all these cursors.
pub(super) const STREAM: &str = "handoff";

/// News that go into one commit.
const AT_ONCE: usize = 500;

/// What a round of following found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Followed {
    /// Tasks, opportunities, calls and e-mails that were listed.
    pub listed: usize,
    /// Facts about handoffs.
    pub news: usize,
}

pub(super) type Seen = (Change, Option<Record>);

impl Engine {
    /// Reads what changed of tasks and opportunities to its present end.
    ///
    /// # Errors
    /// Where Salesforce or the journal cannot be used now. What was read before is kept.
    pub async fn follow_handoffs(&self) -> Result<Followed, Trouble> {
        self.follow_those(&[TASK_OBJECT, OPPORTUNITY_OBJECT]).await
    }

    /// The same for what is due. Salespeople's tasks are asked for `every` so often while anybody is on
    /// the way to sales, for deadlines hang on them; how deals come out, and what is done when nobody
    /// is on the way, as seldom as the net below what is pushed
    /// ([`Options::net`](crate::daemon::Options)). Nothing is missed: each listing goes on from where
    /// it was.
    ///
    /// # Errors
    /// As [`Engine::follow_handoffs`].
    pub async fn follow_due(&self, every: Duration) -> Result<Followed, Trouble> {
        let open = self.journal.statistics().await?.mappings;
        let open = open.values().any(|of| of.get(HANDOFFS_OPEN).is_some_and(|count| *count > 0));
        let now = self.clock.now();
        let mut due = Vec::new();
        for object in [TASK_OBJECT, OPPORTUNITY_OBJECT] {
            let every = if open && object == TASK_OBJECT { every } else { self.options.net };
            let last = self.journal.cursor(cursor_of(object)).await?.map(|entry| entry.at);
            let age = last.map(|last| Duration::try_from(now.duration_since(last)));
            // A clock that was set back is no reason to wait.
            if !matches!(age, Some(Ok(age)) if age < every) {
                due.push(object);
            }
        }
        self.follow_those(&due).await
    }

    async fn follow_those(&self, objects: &[&str]) -> Result<Followed, Trouble> {
        let mut followed = Followed::default();
        let mappings: Vec<_> =
            self.mappings().list.iter().filter(|it| it.handoff.is_some()).cloned().collect();
        if mappings.is_empty() {
            return Ok(followed);
        }
        let fields = [(TASK_OBJECT, &TASK[..]), (OPPORTUNITY_OBJECT, &OPPORTUNITY[..])];
        for (object, fields) in fields.into_iter().filter(|(object, _)| objects.contains(object)) {
            let schema = self.platform(Side::Salesforce).schema(object).await;
            let schema = self.watch(Side::Salesforce, schema)?;
            // Orgs hide fields from the signed-in user.
            let known = fields.iter().filter(|name| schema.fields.contains_key(**name));
            let fields = known.map(|name| (*name).to_owned()).collect();
            let ask = Ask { object: object.to_owned(), fields, stamps: BTreeSet::new() };
            self.follow_object(&ask, cursor_of(object), &mappings, &mut followed).await?;
        }
        // Both tell of salespeople at work.
        if objects.contains(&TASK_OBJECT) {
            self.follow_logged(&mappings, &mut followed).await?;
        }
        Ok(followed)
    }

    /// Reads what changed of one object to its present end.
    pub(super) async fn follow_object(
        &self,
        ask: &Ask,
        name: CursorName,
        mappings: &[std::sync::Arc<Mapping>],
        followed: &mut Followed,
    ) -> Result<(), Trouble> {
        let side = name.side;
        loop {
            let before = self.journal.cursor(name.clone()).await?.map(|entry| Cursor(entry.place));
            let since = match &before {
                Some(_) => Timestamp::UNIX_EPOCH,
                None => self.watch(side, self.platform(side).server_time().await)?,
            };
            let page = self.platform(side).changed(ask, before.as_ref(), since).await;
            let page = self.watch(side, page)?;
            let (cursor, more) = (page.cursor.clone(), page.more);
            let seen: Vec<Seen> = page.changes.into_iter().zip(page.seen).collect();
            followed.listed += seen.len();
            let mut news = Vec::new();
            match (side, ask.object.as_str()) {
                (Side::HubSpot, object) => {
                    for mapping in mappings {
                        news.extend(self.of_logged(mapping, object, &seen).await?);
                    }
                }
                (Side::Salesforce, TASK_OBJECT) => {
                    for mapping in mappings {
                        news.extend(self.of_tasks(mapping, &seen).await?);
                    }
                }
                (Side::Salesforce, _) => news.extend(self.of_opportunities(&seen).await?),
            }
            followed.news += news.len();
            let now = self.clock.now();
            while news.len() > AT_ONCE {
                let rest = news.split_off(AT_ONCE);
                let mut commit = Commit::new();
                for one in news.drain(..) {
                    commit.handoff(one);
                }
                self.journal.commit(commit).await?;
                news = rest;
            }
            let mut commit = Commit::new();
            for one in news {
                commit.handoff(one);
            }
            commit.cursor(name.clone(), cursor.0, now);
            self.journal.commit(commit).await?;
            if followed.news > 0 {
                self.handed.notify_one();
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Completed tasks of people who were handed off.
    async fn of_tasks(
        &self,
        mapping: &Mapping,
        seen: &[Seen],
    ) -> Result<Vec<HandoffNews>, Trouble> {
        let Some(spec) = &mapping.handoff else { return Ok(Vec::new()) };
        let owners = self.owners(false).await?;
        let closed: Vec<(&Change, &Record, RecordRef)> = seen
            .iter()
            .filter_map(|(change, task)| {
                let task = task.as_ref().filter(|task| *task.get("IsClosed") == Raw::Bool(true))?;
                Some((change, task, about(task)?))
            })
            .collect();
        let about = closed.iter().map(|(_, _, about)| about.clone()).collect();
        let links = self.journal.links_of(&mapping.name, about).await?;
        let mut news = Vec::new();
        for ((change, task, _), link) in closed.into_iter().zip(links) {
            let Some(link) = link else { continue };
            let handoffs = self.handoffs(link.id).await?;
            let deed = deed(change, task, &owners);
            let Some(fact) = touch(&spec.touch, &deed) else { continue };
            news.extend(self.news_of(&handoffs, fact));
        }
        Ok(news)
    }

    /// Opportunities that handoffs became.
    async fn of_opportunities(&self, seen: &[Seen]) -> Result<Vec<HandoffNews>, Trouble> {
        let found: Vec<&Record> = seen.iter().filter_map(|(_, record)| record.as_ref()).collect();
        let keys = found.iter().map(|record| record.key.clone()).collect();
        let ids = self.journal.handoffs_with(keys).await?;
        let mut news = Vec::new();
        for (record, id) in found.into_iter().zip(ids) {
            let Some(id) = id else { continue };
            let handoffs = self.handoffs(id.link).await?;
            let Some(handoff) = handoffs.iter().find(|it| it.id == id) else { continue };
            if let Some(fact) = outcome(handoff, record, self.clock.now()) {
                let look = self.clock.now();
                news.push(HandoffNews { id, opened: None, facts: vec![fact], look });
            }
        }
        Ok(news)
    }

    /// A link's handoffs.
    pub(super) async fn handoffs(
        &self,
        link: crate::record::LinkId,
    ) -> Result<Vec<Handoff>, Trouble> {
        let entries = self.journal.handoffs_of(vec![link]).await?;
        Ok(entries.into_iter().flatten().map(|entry| entry.handoff).collect())
    }

    /// A fact for the handoff to which it belongs, unless that says as much already.
    pub(super) fn news_of(&self, handoffs: &[Handoff], fact: Fact) -> Option<HandoffNews> {
        let handoff = &handoffs[belongs(handoffs, fact.at)?];
        let known = handoff.facts.of(fact.what.kind()).any(|known| known == &fact);
        let look = self.clock.now();
        (!known).then(|| HandoffNews { id: handoff.id, opened: None, facts: vec![fact], look })
    }

    /// Learns which opportunities converted Leads became, and how those stand.
    pub(super) async fn outcomes(&self, jobs: &mut [Job]) -> Result<(), Trouble> {
        let mut leads: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut object = None;
        for (place, job) in jobs.iter().enumerate() {
            let handoff = job.handoff();
            if !handoff.facts.has(FactKind::Converted) || handoff.opportunity().is_some() {
                continue;
            }
            let spec = &job.mapping.sides.salesforce;
            if let Some(record) = handoff.record().filter(|record| record.object == spec.object) {
                object = Some(record.object.clone());
                leads.entry(record.id.clone()).or_default().push(place);
            }
        }
        let Some(object) = object else { return Ok(()) };
        let fields = BTreeSet::from(["ConvertedOpportunityId".to_owned()]);
        let ask = Ask { object, fields, stamps: BTreeSet::new() };
        let read = self.read_all(&ask, leads.keys().cloned().collect()).await?;
        let mut opportunities: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (id, places) in &leads {
            let became = read.get(id).and_then(|lead| lead.get("ConvertedOpportunityId").as_text());
            for place in places.iter().filter(|_| became.is_some()) {
                let became = became.unwrap_or_default().to_owned();
                let job = &mut jobs[*place];
                let at = job.handoff().facts.first(FactKind::Converted).map(|fact| fact.at);
                let opportunity = Some(RecordRef::salesforce("Opportunity", became.clone()));
                job.add(
                    at.unwrap_or_else(|| self.clock.now()),
                    What::Converted { opportunity },
                    Witness::Salesforce,
                );
                opportunities.entry(became).or_default().push(*place);
            }
        }
        if opportunities.is_empty() {
            return Ok(());
        }
        let fields = OPPORTUNITY.map(str::to_owned).into();
        let ask = Ask { object: "Opportunity".to_owned(), fields, stamps: BTreeSet::new() };
        let read = self.read_all(&ask, opportunities.keys().cloned().collect()).await?;
        for (id, places) in opportunities {
            let Some(record) = read.get(&id) else { continue };
            for place in places {
                let fact = outcome(jobs[place].handoff(), record, self.clock.now());
                if let Some(Fact { at, what, witness }) = fact {
                    jobs[place].add(at, what, witness);
                }
            }
        }
        Ok(())
    }

    async fn read_all(
        &self,
        ask: &Ask,
        ids: Vec<String>,
    ) -> Result<BTreeMap<String, Record>, Trouble> {
        let side = Side::Salesforce;
        let read = self.watch(side, self.platform(side).read(ask, &ids).await)?;
        Ok(ids.into_iter().zip(read).filter_map(|(id, record)| Some((id, record?))).collect())
    }
}

/// How far an object's changes were followed.
fn cursor_of(object: &str) -> CursorName {
    CursorName { side: Side::Salesforce, object: object.to_owned(), stream: STREAM.to_owned() }
}

/// The record that a task is about.
fn about(task: &Record) -> Option<RecordRef> {
    let id = task.get("WhoId").as_text().or_else(|| task.get("WhatId").as_text())?;
    let id = SalesforceId::parse(id).ok()?;
    Some(RecordRef::salesforce(object_of_prefix(id.prefix())?, id.as_str()))
}

fn deed(change: &Change, task: &Record, owners: &Owners) -> Deed {
    let text = |name: &str| task.get(name).as_text();
    let by = match (change.origin, text("LastModifiedById").map(|id| owner_of(owners, id))) {
        (Origin::Lockstep, _) => Doer::Lockstep,
        (_, Some(Some(owner))) => Doer::Person(owner),
        // A user without a licence to own records: the platform's own automation.
        (_, Some(None)) => Doer::Automation,
        (_, None) => Doer::Unknown,
    };
    let inbound = text("CallType") == Some("Inbound");
    let kind = match text("TaskSubtype") {
        Some("Call") => TaskKind::Call { inbound },
        Some("Email") => TaskKind::Email,
        Some("ListEmail") => TaskKind::ListEmail,
        _ => TaskKind::Plain,
    };
    let completed = text("CompletedDateTime").and_then(moment);
    let at = completed.or(task.modified).or(change.at).unwrap_or(Timestamp::UNIX_EPOCH);
    let owner = text("OwnerId").and_then(|id| owner_of(owners, id));
    Deed {
        at,
        side: Side::Salesforce,
        by,
        act: Act::TaskDone { task: task.key.clone(), owner, kind },
    }
}

/// A moment in Salesforce's spelling, whose offset has no colon.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok()
    })
}

/// How an opportunity stands, where the handoff does not say so yet.
fn outcome(handoff: &Handoff, record: &Record, now: Timestamp) -> Option<Fact> {
    if *record.get("IsClosed") != Raw::Bool(true) {
        return None;
    }
    let opportunity = Some(record.key.clone());
    let at = record.modified.unwrap_or(now);
    let what = if *record.get("IsWon") == Raw::Bool(true) {
        let cents = match record.get("Amount") {
            Raw::Number(amount) => cents(*amount),
            _ => None,
        };
        if handoff.state() == State::Won && handoff.won_cents() == cents {
            return None;
        }
        What::Won { opportunity, cents }
    } else {
        if handoff.state() == State::Lost {
            return None;
        }
        let reason = record.get("StageName").as_text().unwrap_or("closed").to_owned();
        What::Lost { opportunity, reason }
    };
    Some(Fact { at, what, witness: Witness::Salesforce })
}

fn cents(amount: f64) -> Option<i64> {
    let cents = (amount * 100.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    (cents.abs() < 9e15).then_some(cents as i64)
}
