//! The Salesforce task, exactly once for each handoff.
//!
//! Salesforce knows no unique field on tasks that every org has, so a task is created plainly and
//! carries the handoff's key at the end of its text. Before it is created the journal says that it is
//! about to be; whoever finds that said looks at the person's tasks first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::refused;
use super::text;
use super::work::{Job, Worked, result};
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::{OwnerKind, What, Witness};
use crate::journal::Commit;
use crate::mapping::handoff::{Target, TaskSpec};
use crate::platform::{Action, Ask, Identity, Outcome, Refusal, Write, WriteOptions};
use crate::record::{PerSide, Raw, RecordRef, Side};

/// The objects that a task is about as a person.
const PERSONS: [&str; 2] = ["Lead", "Contact"];

impl Engine {
    pub(super) async fn tasks(
        &self,
        jobs: &mut [Job],
        owners: &Owners,
        identities: &PerSide<Option<Identity>>,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut wanting: Vec<&mut Job> = jobs.iter_mut().filter(|it| it.wants_task(now)).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        self.look_for_tasks(&mut wanting, identities, worked).await?;
        wanting.retain(|job| job.wants_task(now));
        let mut commit = Commit::new();
        for job in &mut wanting {
            job.entry.task_tried = true;
            commit.handoff_work(result(&job.entry, Vec::new(), Some(now), job.entry.tries));
        }
        self.journal.commit(commit).await?;
        let mut writes = Vec::new();
        let mut makers = Vec::new();
        for job in wanting {
            if let Some(write) = self.task_of(job, owners, identities) {
                writes.push(write);
                makers.push(job);
            }
        }
        let outcomes = self.platform(Side::Salesforce).write(&writes).await;
        let mut ownerless = Vec::new();
        for ((job, write), outcome) in makers.into_iter().zip(writes).zip(outcomes) {
            match outcome {
                // Not every queue may own tasks.
                Outcome::Refused(refusal) if for_its_owner(&write, &refusal) => {
                    let mut write = write;
                    write.fields.remove("OwnerId");
                    ownerless.push((job, write));
                }
                outcome => self.made(job, outcome, worked),
            }
        }
        if !ownerless.is_empty() {
            let writes: Vec<Write> = ownerless.iter().map(|(_, write)| write.clone()).collect();
            let outcomes = self.platform(Side::Salesforce).write(&writes).await;
            for ((job, _), outcome) in ownerless.into_iter().zip(outcomes) {
                self.made(job, outcome, worked);
            }
        }
        Ok(())
    }

    fn made(&self, job: &mut Job, outcome: Outcome, worked: &mut Worked) {
        let now = self.clock.now();
        match outcome {
            Outcome::Done { id, .. } => {
                worked.tasks += 1;
                let task = RecordRef::salesforce("Task", id);
                job.add(now, What::Tasked { task }, Witness::Lockstep);
            }
            Outcome::Refused(refusal) => {
                job.entry.task_tried = false;
                let reason =
                    refused::why(&refusal, &refusal.hint, job.link_record(Side::Salesforce));
                tracing::warn!(handoff = %job.handoff().id, code = refusal.code, "the task was refused");
                job.add(now, What::Taskless { reason }, Witness::Lockstep);
            }
            Outcome::NotDone(error) => {
                job.entry.task_tried = false;
                tracing::warn!(handoff = %job.handoff().id, %error, "the task waits");
                job.again = true;
            }
            Outcome::Late { left } => {
                job.entry.task_tried = false;
                tracing::debug!(handoff = %job.handoff().id, ?left, "the task waits its turn");
                job.again = true;
            }
            Outcome::Unknown(error) => {
                tracing::warn!(handoff = %job.handoff().id, %error, "whether the task was made is looked up");
                job.again = true;
            }
        }
    }

    /// Finds the tasks of those handoffs whose task was about to be made before: one call for all.
    async fn look_for_tasks(
        &self,
        wanting: &mut [&mut Job],
        identities: &PerSide<Option<Identity>>,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let mut who: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
        for job in wanting.iter().filter(|job| job.entry.task_tried) {
            for record in persons(job) {
                who.entry(who_field(&record)).or_default().insert(record.id);
            }
        }
        for (field, ids) in who {
            let ask = Ask {
                object: "Task".to_owned(),
                fields: ["Description", field].map(str::to_owned).into(),
                stamps: BTreeSet::new(),
            };
            let ids: Vec<String> = ids.into_iter().collect();
            let found = self.platform(Side::Salesforce).find(&ask, field, &ids).await;
            let found = self.watch(Side::Salesforce, found)?;
            for job in wanting.iter_mut() {
                let mark = text::mark(job.handoff(), account(identities));
                let own = found.iter().find(|task| {
                    task.get("Description").as_text().is_some_and(|text| text.contains(&mark))
                });
                let Some(task) = own else { continue };
                worked.found += 1;
                let at = task.created.unwrap_or_else(|| self.clock.now());
                job.add(at, What::Tasked { task: task.key.clone() }, Witness::Salesforce);
            }
        }
        Ok(())
    }

    fn task_of(
        &self,
        job: &Job,
        owners: &Owners,
        identities: &PerSide<Option<Identity>>,
    ) -> Option<Write> {
        let spec = job.spec()?.task.as_ref()?;
        let now = self.clock.now();
        let mark = text::mark(job.handoff(), account(identities));
        let owner = job.handoff().owner().and_then(|owner| {
            owners.id_of(&match owner.kind {
                OwnerKind::Person => Target::User(owner.name.clone()),
                OwnerKind::Queue => Target::Queue(owner.name.clone()),
            })
        });
        Some(Write {
            object: "Task".to_owned(),
            action: Action::Create,
            fields: fields(spec, job, owner, &mark, identities, now)?,
            clear_first: BTreeSet::new(),
            options: WriteOptions::default(),
        })
    }
}

/// The fields of a task in Salesforce. Nothing where what it would be about is gone.
pub(super) fn fields(
    spec: &TaskSpec,
    job: &Job,
    owner: Option<String>,
    mark: &str,
    identities: &PerSide<Option<Identity>>,
    now: Timestamp,
) -> Option<BTreeMap<String, Raw>> {
    let record = job.link_record(Side::Salesforce)?;
    let ground = job.ground(identities, now)?;
    let calendar = job.calendar(now)?;
    let due = calendar.add(job.handoff().qualified_at, spec.due);
    let mut fields = BTreeMap::from([
        (who_field(record).to_owned(), record.id.clone()),
        ("Subject".to_owned(), text::subject(&spec.subject, &ground)),
        ("Description".to_owned(), text::marked(&spec.text, &ground, mark)),
        ("Status".to_owned(), spec.status.clone()),
        ("Priority".to_owned(), spec.priority.clone()),
    ]);
    let due = due.map(|due| calendar.day_of(due).to_string());
    for (name, value) in [("Type", spec.kind.clone()), ("ActivityDate", due), ("OwnerId", owner)] {
        fields.extend(value.map(|value| (name.to_owned(), value)));
    }
    Some(fields.into_iter().map(|(name, value)| (name, Raw::text(value))).collect())
}

pub(super) fn account(identities: &PerSide<Option<Identity>>) -> &str {
    identities.salesforce.as_ref().map_or("", |identity| identity.account.as_str())
}

/// The field of a task that names the record.
pub(super) fn who_field(record: &RecordRef) -> &'static str {
    if PERSONS.contains(&record.object.as_str()) { "WhoId" } else { "WhatId" }
}

/// The records that a handoff's task may be about: the one that it was sent as, and what became of
/// it.
pub(super) fn persons(job: &Job) -> Vec<RecordRef> {
    let link = job.link.as_ref().and_then(|link| link.records.salesforce.clone());
    job.handoff().record().cloned().into_iter().chain(link).collect()
}

fn for_its_owner(write: &Write, refusal: &Refusal) -> bool {
    let queue =
        write.fields.get("OwnerId").and_then(Raw::as_text).is_some_and(|id| id.starts_with("00G"));
    queue && refused::for_a_queue(refusal)
}
