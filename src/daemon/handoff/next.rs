//! What is done beside the Salesforce task: a task or a note in HubSpot, a task that a queue owns,
//! membership of a campaign; each exactly once for each handoff.
//!
//! None of them has a unique field that every account has. So a handoff says that one is begun before
//! it is made, and whoever finds it begun looks first: tasks and notes carry the handoff's key at the
//! end of their text, and a person is a member of a campaign only once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::refused;
use super::task::{self, account, persons};
use super::text::{self, Ground};
use super::work::{Job, Worked, result};
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::{How, OwnerKind, Progress, What, Witness};
use crate::journal::Commit;
use crate::mapping::handoff::{CampaignSpec, HubSpotTaskSpec, NextStep};
use crate::platform::{Action, Ask, Identity, Outcome, Refusal, RefusalKind, Write, WriteOptions};
use crate::record::{PerSide, Raw, Record, RecordRef, Side};

pub(super) type Identities = PerSide<Option<Identity>>;

/// How often one is looked for that the platform says is there, before its word is taken for a
/// refusal.
const MOST_LOOKS: u32 = 4;

/// By how much the platforms' clocks and ours may differ.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);

impl Engine {
    pub(super) async fn next_steps(
        &self,
        jobs: &mut [Job],
        owners: &Owners,
        identities: &Identities,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        for step in NextStep::ALL {
            let now = self.clock.now();
            let wanting = jobs.iter_mut().filter(|job| job.wants_step(step, now));
            let mut wanting: Vec<&mut Job> = wanting.collect();
            if wanting.is_empty() {
                continue;
            }
            if matches!(step, NextStep::Flow | NextStep::Sequence) {
                self.start_steps(step, wanting, owners, identities, worked).await?;
                continue;
            }
            self.look_for_steps(step, &mut wanting, identities, worked).await?;
            wanting.retain(|job| job.wants_step(step, now));
            self.make_steps(step, wanting, owners, identities, worked).await?;
        }
        Ok(())
    }

    async fn make_steps(
        &self,
        step: NextStep,
        wanting: Vec<&mut Job>,
        owners: &Owners,
        identities: &Identities,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let fresh = self.with_their_queues(step, &wanting, owners).await?;
        let owners = fresh.as_deref().unwrap_or(owners);
        let mut commit = Commit::new();
        let mut makers = Vec::new();
        let mut writes = Vec::new();
        for job in wanting {
            let write = match self.write_of(step, job, owners, identities) {
                _ if !job.is_ready(now) => Err("the handoff ended before it was".to_owned()),
                made => made,
            };
            match write {
                Ok(write) => {
                    if job.handoff().step(step) == Progress::NotBegun {
                        job.add(now, What::StepBegun { step }, Witness::Lockstep);
                        let begun = job.facts.last().cloned().into_iter().collect();
                        let work = result(&job.entry, begun, Some(now), job.entry.tries);
                        commit.handoff_work(work);
                    }
                    writes.push(write);
                    makers.push(job);
                }
                Err(reason) => job.add(now, What::StepFailed { step, reason }, Witness::Lockstep),
            }
        }
        if !commit.is_empty() {
            self.journal.commit(commit).await?;
        }
        let outcomes = self.platform(step.side()).write(&writes).await;
        for (job, outcome) in makers.into_iter().zip(outcomes) {
            self.concluded(step, job, outcome, worked);
        }
        Ok(())
    }

    /// The owners listed anew, where one of the queues that are named is not among the known ones: it
    /// may be younger than those.
    async fn with_their_queues(
        &self,
        step: NextStep,
        wanting: &[&mut Job],
        owners: &Owners,
    ) -> Result<Option<Arc<Owners>>, Trouble> {
        let unknown = |job: &&mut Job| {
            let spec = job.spec().and_then(|spec| spec.queue_task.as_ref());
            spec.is_some_and(|spec| owners.queue_id(Side::Salesforce, &spec.queue).is_none())
        };
        if step == NextStep::QueueTask && wanting.iter().any(unknown) {
            return Ok(Some(self.owners(true).await?));
        }
        Ok(None)
    }

    fn concluded(&self, step: NextStep, job: &mut Job, outcome: Outcome, worked: &mut Worked) {
        let now = self.clock.now();
        let (id, step_words) = (job.handoff().id, step.words());
        match outcome {
            Outcome::Done { id, .. } => {
                worked.next += 1;
                let record =
                    RecordRef { side: step.side(), object: object_of(step).to_owned(), id };
                let what = What::StepDone { step, record, how: How::Created };
                job.add(now, what, Witness::Lockstep);
            }
            // It is there already, and the next look finds it.
            Outcome::Refused(Refusal { kind: RefusalKind::Duplicate { .. }, .. })
                if job.entry.tries < MOST_LOOKS =>
            {
                job.again = true;
            }
            Outcome::Refused(refusal) => {
                let reason = why(step, &refusal, job.link_record(step.side()));
                tracing::warn!(handoff = %id, code = refusal.code, "{step_words} was refused");
                job.add(now, What::StepFailed { step, reason }, Witness::Lockstep);
            }
            Outcome::Late { left } => {
                tracing::debug!(handoff = %id, ?left, "{step_words} waits its turn");
                job.again = true;
            }
            Outcome::NotDone(error) => {
                tracing::warn!(handoff = %id, %error, "{step_words} waits");
                job.again = true;
            }
            Outcome::Unknown(error) => {
                tracing::warn!(handoff = %id, %error, "whether {step_words} was made is looked up");
                job.again = true;
            }
        }
    }

    /// Finds what was begun before: one call for each kind of record that they are about.
    async fn look_for_steps(
        &self,
        step: NextStep,
        wanting: &mut [&mut Job],
        identities: &Identities,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let side = step.side();
        let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for job in wanting.iter().filter(|job| begun(job, step).is_some()) {
            for (field, id) in places_of(step, job) {
                places.entry(field).or_default().insert(id);
            }
        }
        for (field, ids) in places {
            let fields = [tell_tale(step).to_owned(), field.clone()].into();
            let ask = Ask { object: object_of(step).to_owned(), fields, stamps: BTreeSet::new() };
            let ids: Vec<String> = ids.into_iter().collect();
            let found = self.platform(side).find(&ask, &field, &ids).await;
            let found = self.watch(side, found)?;
            for job in wanting.iter_mut() {
                let Some(since) = begun(job, step) else { continue };
                let own = found.iter().find(|it| is_own(step, job, it, &field, identities));
                let Some(own) = own else { continue };
                worked.found += 1;
                let at = own.created.unwrap_or_else(|| self.clock.now());
                let before = at.checked_add(CLOCKS).is_ok_and(|at| at < since);
                let how = if before { How::Matched } else { How::Created };
                let what = What::StepDone { step, record: own.key.clone(), how };
                let witness = match side {
                    Side::HubSpot => Witness::HubSpot,
                    Side::Salesforce => Witness::Salesforce,
                };
                // What was there before was not done before the handoff had come so far.
                job.add(at.max(since), what, witness);
            }
        }
        Ok(())
    }

    /// What makes it, or why it cannot be made.
    fn write_of(
        &self,
        step: NextStep,
        job: &Job,
        owners: &Owners,
        identities: &Identities,
    ) -> Result<Write, String> {
        let gone = || "what it would be about is gone".to_owned();
        let fields = match step {
            NextStep::HubSpotTask | NextStep::HubSpotNote => {
                self.activity(step, job, owners, identities).ok_or_else(gone)?
            }
            NextStep::QueueTask => {
                let spec = job.spec().and_then(|spec| spec.queue_task.as_ref()).ok_or_else(gone)?;
                let Some(owner) = owners.queue_id(Side::Salesforce, &spec.queue) else {
                    return Err(no_queue(&spec.queue));
                };
                let mark = text::queue_mark(job.handoff(), account(identities));
                let now = self.clock.now();
                task::fields(&spec.task, job, Some(owner), &mark, identities, now)
                    .ok_or_else(gone)?
            }
            NextStep::Campaign => {
                let spec = job.spec().and_then(|spec| spec.campaign.as_ref()).ok_or_else(gone)?;
                let record = job.link_record(Side::Salesforce).ok_or_else(gone)?;
                member(spec, record)?
            }
            NextStep::Flow | NextStep::Sequence => {
                return Err(format!("{} is started, not made", step.words()));
            }
        };
        Ok(Write {
            object: object_of(step).to_owned(),
            action: Action::Create,
            fields,
            clear_first: BTreeSet::new(),
            options: WriteOptions::default(),
        })
    }

    /// The properties of a task or note in HubSpot.
    fn activity(
        &self,
        step: NextStep,
        job: &Job,
        owners: &Owners,
        identities: &Identities,
    ) -> Option<BTreeMap<String, Raw>> {
        let now = self.clock.now();
        let spec = job.spec()?;
        let about = job.link_record(Side::HubSpot)?;
        let ground = job.ground(identities, now)?;
        let mark = text::mark(job.handoff(), account(identities));
        let mut fields = BTreeMap::new();
        match step {
            NextStep::HubSpotTask => {
                let task = spec.hubspot_task.as_ref()?;
                fields = of_task(task, &ground, &mark);
                let calendar = job.calendar(now)?;
                let due = calendar.add(job.handoff().qualified_at, task.due).unwrap_or(now);
                fields.insert("hs_timestamp".to_owned(), Raw::text(due.to_string()));
            }
            _ => {
                let text = text::marked_html(&spec.hubspot_note.as_ref()?.text, &ground, &mark);
                fields.insert("hs_note_body".to_owned(), Raw::text(text));
                fields.insert("hs_timestamp".to_owned(), Raw::text(now.to_string()));
            }
        }
        let person = job.handoff().owner().filter(|owner| owner.kind == OwnerKind::Person);
        if let Some(id) = person.and_then(|owner| owners.active_id(Side::HubSpot, &owner.name)) {
            fields.insert("hubspot_owner_id".to_owned(), Raw::text(id));
        }
        fields.insert(format!("associations.{}", about.object), Raw::text(about.id.clone()));
        Some(fields)
    }
}

fn of_task(task: &HubSpotTaskSpec, ground: &Ground<'_>, mark: &str) -> BTreeMap<String, Raw> {
    let mut fields = BTreeMap::from([
        ("hs_task_subject".to_owned(), Raw::text(text::subject(&task.subject, ground))),
        ("hs_task_body".to_owned(), Raw::text(text::marked_html(&task.text, ground, mark))),
        ("hs_task_status".to_owned(), Raw::text("NOT_STARTED")),
        ("hs_task_priority".to_owned(), Raw::text(task.priority)),
        ("hs_task_type".to_owned(), Raw::text(task.kind.clone())),
    ]);
    if let Some(queue) = &task.queue {
        fields.insert("hs_queue_membership_ids".to_owned(), Raw::text(queue.clone()));
    }
    fields
}

/// Why there is no task for a queue that nobody knows.
fn no_queue(name: &str) -> String {
    format!(
        "Salesforce has no queue called {name:?}, or hides it; write its label in Setup under \
         Queues as [handoff.queue_task] queue"
    )
}

/// The fields of a campaign's member.
fn member(spec: &CampaignSpec, record: &RecordRef) -> Result<BTreeMap<String, Raw>, String> {
    let Some(who) = member_field(record) else {
        return Err(format!("a {} cannot be a campaign's member", record.object));
    };
    let mut fields = BTreeMap::from([
        ("CampaignId".to_owned(), Raw::text(spec.id.clone())),
        (who.to_owned(), Raw::text(record.id.clone())),
    ]);
    if let Some(status) = &spec.status {
        fields.insert("Status".to_owned(), Raw::text(status.clone()));
    }
    Ok(fields)
}

/// What is made.
pub(super) const fn object_of(step: NextStep) -> &'static str {
    match step {
        NextStep::HubSpotTask => "tasks",
        NextStep::HubSpotNote => "notes",
        NextStep::QueueTask => "Task",
        NextStep::Campaign => "CampaignMember",
        NextStep::Flow => "Flow",
        NextStep::Sequence => "sequences",
    }
}

/// The field by which what was made is known again.
const fn tell_tale(step: NextStep) -> &'static str {
    match step {
        NextStep::HubSpotTask => "hs_task_body",
        NextStep::HubSpotNote => "hs_note_body",
        NextStep::QueueTask => "Description",
        NextStep::Campaign => "CampaignId",
        NextStep::Flow | NextStep::Sequence => "",
    }
}

/// The field of a campaign's member that names the person.
fn member_field(record: &RecordRef) -> Option<&'static str> {
    match record.object.as_str() {
        "Lead" => Some("LeadId"),
        "Contact" => Some("ContactId"),
        _ => None,
    }
}

/// Since when it is begun and open.
fn begun(job: &Job, step: NextStep) -> Option<Timestamp> {
    match job.handoff().step(step) {
        Progress::Begun(since) => Some(since),
        _ => None,
    }
}

/// Where it would be: a field of what is made, and the id that stands there.
fn places_of(step: NextStep, job: &Job) -> Vec<(String, String)> {
    let place = |field: &'static str, it: RecordRef| (field.to_owned(), it.id);
    match step {
        NextStep::HubSpotTask | NextStep::HubSpotNote => {
            let about = job.link_record(Side::HubSpot);
            about
                .map(|it| (format!("associations.{}", it.object), it.id.clone()))
                .into_iter()
                .collect()
        }
        // A conversion takes its Lead's tasks and memberships along.
        NextStep::QueueTask => {
            persons(job).into_iter().map(|it| place(task::who_field(&it), it)).collect()
        }
        NextStep::Campaign => {
            persons(job).into_iter().filter_map(|it| Some(place(member_field(&it)?, it))).collect()
        }
        NextStep::Flow | NextStep::Sequence => Vec::new(),
    }
}

fn is_own(step: NextStep, job: &Job, found: &Record, field: &str, identities: &Identities) -> bool {
    let told = found.get(tell_tale(step)).as_text().unwrap_or_default();
    let account = account(identities);
    match step {
        NextStep::HubSpotTask | NextStep::HubSpotNote => {
            told.contains(&text::mark(job.handoff(), account))
        }
        NextStep::QueueTask => told.contains(&text::queue_mark(job.handoff(), account)),
        NextStep::Campaign => {
            let campaign = job.spec().and_then(|spec| spec.campaign.as_ref());
            let who = found.get(field).as_text();
            campaign.is_some_and(|campaign| campaign.id == told)
                && persons(job).iter().any(|it| Some(it.id.as_str()) == who)
        }
        NextStep::Flow | NextStep::Sequence => false,
    }
}

/// Why it was refused, and what to do.
pub(super) fn why(step: NextStep, refusal: &Refusal, record: Option<&RecordRef>) -> String {
    let hint = match step {
        NextStep::QueueTask if refused::for_a_queue(refusal) => refused::MAY_NOT_OWN,
        _ => &refusal.hint,
    };
    refused::why(refusal, hint, record)
}
