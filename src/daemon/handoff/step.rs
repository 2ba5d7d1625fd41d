//! Escalations: each once, and each written down before it is done.

use std::collections::{BTreeMap, BTreeSet};

use super::notice;
use super::work::{Job, result};
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::{What, Witness};
use crate::journal::Commit;
use crate::mapping::handoff::{Act, Assignment, Escalation, HandoffSpec, Heir, Target};
use crate::platform::{Action, Outcome, Write, WriteOptions};
use crate::record::{PerSide, Raw, RecordRef, Side};

impl Engine {
    /// Carries one out.
    pub(super) async fn take_step(
        &self,
        job: &mut Job,
        spec: &HandoffSpec,
        step: &Escalation,
        owners: &Owners,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut commit = Commit::new();
        let mut writes = Vec::new();
        let done = match &step.act {
            Act::Notice(webhook) => {
                let text = format!("{}: {}", step.name, step.goal.words());
                let states = self.side_states();
                let identities = PerSide::from_fn(|side| states.get(side).identity.clone());
                commit.append(notice::of_step(spec, job, webhook, &text, &identities, now));
                format!("{webhook} is told")
            }
            Act::Priority(priority) => {
                let raised = job.handoff().task().map(|task| set(task, "Priority", priority));
                let done = if raised.is_some() { "the task is" } else { "there is no task to be" };
                writes.extend(raised);
                format!("{done} raised to {priority}")
            }
            Act::Reassign(heir) => {
                let (target, why) = self.heir(job, spec, heir, owners).await?;
                let id = target.as_ref().and_then(|target| owners.id_of(target));
                let record = job.link.as_ref().and_then(|link| link.records.salesforce.as_ref());
                if let Some(id) = &id {
                    writes.extend(record.map(|record| set(record, "OwnerId", id)));
                    writes.extend(job.handoff().task().map(|task| set(task, "OwnerId", id)));
                }
                if id.is_some() { why } else { format!("it stays where it is: {why}") }
            }
        };
        let (name, goal) = (step.name.clone(), step.goal);
        job.add(now, What::Escalated { step: name, goal, done }, Witness::Lockstep);
        let last = job.facts.last().cloned().into_iter().collect();
        commit.handoff_work(result(&job.entry, last, Some(now), job.entry.tries));
        commit.count(&job.mapping.name, "handoffs.escalated", 1, now);
        self.journal.commit(commit).await?;
        for outcome in self.platform(Side::Salesforce).write(&writes).await {
            match outcome {
                Outcome::Done { .. } => {}
                Outcome::Late { left } => tracing::warn!(
                    handoff = %job.handoff().id, step = step.name, ?left,
                    "an escalation had no turn before it was old; it is not repeated"
                ),
                Outcome::Refused(refusal) => tracing::warn!(
                    handoff = %job.handoff().id, step = step.name, code = refusal.code,
                    message = refusal.message, "an escalation was refused"
                ),
                Outcome::NotDone(error) | Outcome::Unknown(error) => tracing::warn!(
                    handoff = %job.handoff().id, step = step.name, %error,
                    "whether an escalation took effect is not known; it is not repeated"
                ),
            }
        }
        Ok(())
    }

    /// Who takes over, and why.
    async fn heir(
        &self,
        job: &Job,
        spec: &HandoffSpec,
        heir: &Heir,
        owners: &Owners,
    ) -> Result<(Option<Target>, String), Trouble> {
        match (heir, &spec.assign) {
            (Heir::Target(target), _) => {
                let whom = match target {
                    Target::User(user) => user.clone(),
                    Target::Queue(queue) => format!("queue {queue}"),
                };
                Ok((Some(target.clone()), format!("it goes to {whom}")))
            }
            (Heir::Next, Assignment::Robin(robin)) => {
                let seen = job.seen(self.clock.now());
                let not = job.handoff().owner().map(|owner| owner.name.clone());
                self.next_in_turn(&job.mapping, spec, robin, &seen, owners, not.as_deref()).await
            }
            (Heir::Next, _) => Ok((None, "nobody takes turns".to_owned())),
        }
    }
}

fn set(record: &RecordRef, field: &str, value: &str) -> Write {
    Write {
        object: record.object.clone(),
        action: Action::Update { id: record.id.clone() },
        fields: BTreeMap::from([(field.to_owned(), Raw::text(value))]),
        clear_first: BTreeSet::new(),
        options: WriteOptions::default(),
    }
}
