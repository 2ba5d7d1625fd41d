//! What handoffs ask for: the task, further next steps, what HubSpot is told, escalations.
//!
//! Handoffs that are due are taken together, so that their calls are shared. What is about to be done
//! and cannot be looked up afterwards is written down first.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::sight;
use super::text::Ground;
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::level::{Due, calendar_of, due, next};
use crate::handoff::{Fact, FactKind, Handoff, Progress, State, What, Witness};
use crate::journal::{Commit, HandoffEntry, HandoffWork, LinkEntry};
use crate::mapping::handoff::{Calendar, HandoffSpec, NextStep};
use crate::mapping::{Facts, Mapping};
use crate::platform::Identity;
use crate::record::{PerSide, RecordRef, Side};

/// Handoffs that are taken together.
const BATCH: usize = 200;

/// How long the owner of a new record may stay unknown before the task is made without.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// How long a handoff of a mapping that is not in force waits.
const REST: SignedDuration = SignedDuration::from_hours(1);

/// What came of a round of work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worked {
    /// Handoffs that were looked at. None: nothing was due.
    pub taken: usize,
    /// Tasks that were made.
    pub tasks: usize,
    /// Further next steps that were taken.
    pub next: usize,
    /// Tasks and further next steps that were found after an unclear outcome.
    pub found: usize,
    /// Records of HubSpot that were told.
    pub told: usize,
    /// Escalations that were carried out.
    pub steps: usize,
}

/// One handoff that is worked on.
pub(super) struct Job {
    pub entry: HandoffEntry,
    pub mapping: Arc<Mapping>,
    pub link: Option<LinkEntry>,
    /// The link's earlier ones.
    pub earlier: Vec<Handoff>,
    /// Whether a later one of the link is there.
    pub is_last: bool,
    pub facts: Vec<Fact>,
    /// Something did not come to its end.
    pub again: bool,
}

impl Job {
    pub fn handoff(&self) -> &Handoff {
        &self.entry.handoff
    }

    pub fn spec(&self) -> Option<&HandoffSpec> {
        self.mapping.handoff.as_ref()
    }

    /// Something happened.
    pub fn add(&mut self, at: Timestamp, what: What, witness: Witness) {
        let fact = Fact { at, what, witness };
        self.entry.handoff.facts.add(fact.clone());
        self.facts.push(fact);
    }

    /// What conditions see of it.
    pub fn seen(&self, now: Timestamp) -> Facts {
        let none = Default::default();
        let base = self.link.as_ref().map_or(&none, |link| &link.base);
        sight(&self.mapping, base, now)
    }

    /// Its business time.
    pub fn calendar(&self, now: Timestamp) -> Option<&Calendar> {
        Some(calendar_of(self.spec()?, &self.seen(now)).1)
    }

    /// Whether it has to have a task and has none.
    pub fn wants_task(&self, now: Timestamp) -> bool {
        let facts = &self.handoff().facts;
        let asked = self.spec().is_some_and(|spec| spec.task.is_some());
        if !asked || facts.has(FactKind::Tasked) {
            return false;
        }
        let refused = facts.of(FactKind::Taskless).next_back().map(|fact| fact.at);
        let assigned = facts.of(FactKind::Assigned).next_back().map(|fact| fact.at);
        let anew = refused.is_none_or(|refused| assigned.is_some_and(|at| at > refused));
        anew && self.is_ready(now) && self.link.is_some()
    }

    /// Whether somebody at sales has it, or will not get one soon, and still has to do something.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        let handoff = self.handoff();
        let open = handoff.state().awaits_answer() || handoff.state() == State::Accepted;
        let owned = handoff.facts.has(FactKind::Assigned) || self.waited(now) >= PATIENCE;
        handoff.facts.has(FactKind::Sent) && open && owned
    }

    /// Whether a further next step is to be made, or to be looked for.
    pub fn wants_step(&self, step: NextStep, now: Timestamp) -> bool {
        let asked = self.spec().is_some_and(|spec| spec.asks_for(step));
        let open = match self.handoff().step(step) {
            Progress::NotBegun => self.is_ready(now),
            Progress::Begun(_) | Progress::PutOff => true,
            Progress::Done(_) | Progress::Failed(_) => false,
        };
        asked && open && self.link_record(step.side()).is_some()
    }

    /// The record that the link has on a side now.
    pub fn link_record(&self, side: Side) -> Option<&RecordRef> {
        self.link.as_ref()?.records.get(side).as_ref()
    }

    /// What is known for its texts. Nothing where the link is gone.
    pub fn ground<'a>(
        &'a self,
        identities: &'a PerSide<Option<Identity>>,
        now: Timestamp,
    ) -> Option<Ground<'a>> {
        let link = self.link.as_ref()?;
        Some(Ground {
            mapping: &self.mapping,
            base: &link.base,
            records: &link.records,
            identities,
            handoff: self.handoff(),
            earlier: &self.earlier,
            now,
        })
    }

    /// How long the record has been in Salesforce.
    fn waited(&self, now: Timestamp) -> SignedDuration {
        let sent = self.handoff().sent().map_or(now, |(at, _)| at);
        now.duration_since(sent)
    }

    /// When it is to be looked at next.
    fn look(&self, engine: &Engine, now: Timestamp) -> Option<Timestamp> {
        if self.again {
            return Some(engine.later(now, self.entry.tries));
        }
        let handoff = self.handoff();
        let clock = self
            .spec()
            .zip(self.calendar(now))
            .and_then(|(spec, calendar)| next(handoff, &spec.levels, calendar, now));
        let ownerless = handoff.state() == State::Sent && !self.wants_task(now);
        let patience = (ownerless && self.waited(now) < PATIENCE)
            .then(|| now.checked_add(PATIENCE - self.waited(now)).ok())
            .flatten();
        clock.into_iter().chain(patience).min()
    }
}

impl Engine {
    /// Works on the handoffs that are due.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now. What is not done stays due.
    pub async fn hand_off_due(&self) -> Result<Worked, Trouble> {
        let now = self.clock.now();
        let due = self.journal.handoffs_due(now, BATCH).await?;
        let mut worked = Worked { taken: due.len(), ..Worked::default() };
        if due.is_empty() {
            return Ok(worked);
        }
        let mut jobs = self.jobs(due, now).await?;
        let owners = self.owners(false).await?;
        let identities = PerSide::from_fn(|side| self.side_states().get(side).identity.clone());
        self.outcomes(&mut jobs).await?;
        self.tasks(&mut jobs, &owners, &identities, &mut worked).await?;
        self.next_steps(&mut jobs, &owners, &identities, &mut worked).await?;
        self.steps(&mut jobs, &owners, &mut worked).await?;
        self.notices(&mut jobs, &identities).await?;
        self.feed(&mut jobs, &mut worked).await?;
        self.put_away(jobs).await?;
        Ok(worked)
    }

    /// Works on handoffs for as long as any is due.
    ///
    /// # Errors
    /// As [`Engine::hand_off_due`].
    pub async fn hand_off_all(&self) -> Result<Worked, Trouble> {
        let mut sum = Worked::default();
        loop {
            let worked = self.hand_off_due().await?;
            if worked.taken == 0 {
                return Ok(sum);
            }
            sum.taken += worked.taken;
            sum.tasks += worked.tasks;
            sum.next += worked.next;
            sum.found += worked.found;
            sum.told += worked.told;
            sum.steps += worked.steps;
        }
    }

    /// What is known of each handoff that is due. One whose mapping is not in force rests.
    async fn jobs(&self, due: Vec<HandoffEntry>, now: Timestamp) -> Result<Vec<Job>, Trouble> {
        let links = due.iter().map(|entry| entry.handoff.id.link).collect();
        let known = self.journal.handoffs_of(links).await?;
        let mut jobs = Vec::new();
        let mut rest = Commit::new();
        for (entry, known) in due.into_iter().zip(known) {
            let mapping = self.mappings().get(&entry.handoff.mapping).cloned();
            let Some(mapping) = mapping.filter(|mapping| mapping.handoff.is_some()) else {
                let look = now.checked_add(REST).ok();
                rest.handoff_work(result(&entry, Vec::new(), look, entry.tries));
                continue;
            };
            let link = self.journal.link(entry.handoff.id.link).await?;
            let mut earlier: Vec<Handoff> = known.into_iter().map(|it| it.handoff).collect();
            let place = earlier.iter().position(|it| it.id == entry.handoff.id);
            let is_last = place.is_none_or(|place| place + 1 == earlier.len());
            earlier.truncate(place.unwrap_or(0));
            let facts = Vec::new();
            jobs.push(Job { entry, mapping, link, earlier, is_last, facts, again: false });
        }
        if !rest.is_empty() {
            self.journal.commit(rest).await?;
        }
        Ok(jobs)
    }

    /// Stores what came of it.
    async fn put_away(&self, jobs: Vec<Job>) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut commit = Commit::new();
        for job in jobs {
            let look = job.look(self, now);
            let tries = if job.again { job.entry.tries.saturating_add(1) } else { 0 };
            commit.handoff_work(result(&job.entry, job.facts, look, tries));
        }
        self.journal.commit(commit).await?;
        Ok(())
    }

    /// Escalations that are due, and lapses.
    async fn steps(
        &self,
        jobs: &mut [Job],
        owners: &Owners,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        for job in jobs {
            let mapping = Arc::clone(&job.mapping);
            let Some(spec) = &mapping.handoff else { continue };
            let Some(calendar) = job.calendar(now).cloned() else { continue };
            let handoff = job.handoff().clone();
            for due in due(&handoff, &spec.levels, &calendar, now) {
                match due {
                    Due::Lapse { at } => job.add(at, What::Lapsed, Witness::Lockstep),
                    Due::Step { step, .. } => {
                        self.take_step(job, spec, step, owners).await?;
                        worked.steps += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What the work on an entry came to.
pub(super) fn result(
    entry: &HandoffEntry,
    facts: Vec<Fact>,
    look: Option<Timestamp>,
    tries: u32,
) -> HandoffWork {
    HandoffWork {
        id: entry.handoff.id,
        version: entry.version,
        facts,
        look,
        tries,
        task_tried: entry.task_tried,
        fed: entry.fed.clone(),
    }
}
