//! What is started and not made: a flow of Salesforce's, a sequence of HubSpot's.
//!
//! The handoff says that it is begun before the call goes out, and one call starts it for one handoff.
//! What certainly had no effect is begun again later. Of what may have had one the platform is asked;
//! where it keeps nothing by which that could be told, the step ends there and a person is asked
//! instead, unless the mapping says that running twice does no harm.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::next::{Identities, object_of, why};
use super::text;
use super::work::{Job, Worked, result};
use crate::daemon::directory::Owners;
use crate::daemon::{Engine, Trouble};
use crate::handoff::{FactKind, How, Owner, OwnerKind, Progress, What, Witness};
use crate::journal::Commit;
use crate::mapping::handoff::{FlowInput, FlowSpec, NextStep, Sender, SequenceSpec};
use crate::platform::{Outcome, Start, Started};
use crate::record::{Raw, RecordRef, Side};

/// How many are begun together. The clients send fewer at a time, and what has no turn soon is put off.
const AT_ONCE: usize = 8;

/// How long one round goes on beginning: a flow can take seconds, and the rest of the work waits.
const ROUND: Duration = Duration::from_secs(5);

/// What is done about one handoff's step.
enum Decision {
    /// It is started.
    Start(Start),
    /// It was started then.
    Found { record: RecordRef, at: Option<Timestamp> },
    /// It is not carried through, for this reason.
    Fail(String),
}

impl Engine {
    pub(super) async fn start_steps(
        &self,
        step: NextStep,
        mut wanting: Vec<&mut Job>,
        owners: &Owners,
        identities: &Identities,
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let until = Instant::now() + ROUND;
        for jobs in wanting.chunks_mut(AT_ONCE) {
            if Instant::now() < until {
                self.start_some(step, jobs, (owners, identities), worked).await?;
            } else {
                jobs.iter_mut().for_each(|job| job.again = true);
            }
        }
        Ok(())
    }

    async fn start_some(
        &self,
        step: NextStep,
        jobs: &mut [&mut Job],
        (owners, identities): (&Owners, &Identities),
        worked: &mut Worked,
    ) -> Result<(), Trouble> {
        let mut commit = Commit::new();
        let mut starting = Vec::new();
        for job in jobs.iter_mut() {
            match self.decide_start(step, job, owners, identities).await? {
                Decision::Start(start) => {
                    self.begin(step, job, &mut commit);
                    starting.push((job, start));
                }
                Decision::Found { record, at } => {
                    worked.found += 1;
                    self.found_started(step, job, record, at);
                }
                Decision::Fail(reason) => {
                    let what = What::StepFailed { step, reason };
                    job.add(self.clock.now(), what, Witness::Lockstep);
                }
            }
        }
        if !commit.is_empty() {
            self.journal.commit(commit).await?;
        }
        let platform = self.platform(step.side());
        let calls = starting.iter().map(|(_, start)| platform.start(start));
        let outcomes = join_all(calls).await;
        for ((job, start), outcome) in starting.into_iter().zip(outcomes) {
            self.came_of_start(step, job, &start, outcome, identities, worked);
        }
        Ok(())
    }

    /// Writes down that it is about to be started. It stands behind whatever put it off before, also
    /// where the clock was set back.
    fn begin(&self, step: NextStep, job: &mut Job, commit: &mut Commit) {
        if let Progress::Begun(_) = job.handoff().step(step) {
            return;
        }
        let at = self.clock.now();
        let put_off = job
            .handoff()
            .facts
            .of(FactKind::StepPutOff)
            .rfind(|fact| matches!(fact.what, What::StepPutOff { step: of } if of == step));
        let behind =
            put_off.and_then(|fact| fact.at.checked_add(SignedDuration::from_nanos(1)).ok());
        job.add(
            behind.map_or(at, |behind| behind.max(at)),
            What::StepBegun { step },
            Witness::Lockstep,
        );
        let begun = job.facts.last().cloned().into_iter().collect();
        commit.handoff_work(result(&job.entry, begun, Some(at), job.entry.tries));
    }

    async fn decide_start(
        &self,
        step: NextStep,
        job: &Job,
        owners: &Owners,
        identities: &Identities,
    ) -> Result<Decision, Trouble> {
        let now = self.clock.now();
        if let (Progress::Begun(since), Some(sought)) =
            (job.handoff().step(step), sought(step, job))
        {
            let said = self.platform(step.side()).started(&sought, since).await;
            match self.watch(step.side(), said)? {
                Started::Yes { at, .. } => {
                    return Ok(Decision::Found { record: trace_of(step, &sought), at });
                }
                Started::No => {}
                Started::Untold if repeats(job, step) => {}
                Started::Untold => {
                    let why = "the answer never came, or the program ended before it did";
                    return Ok(Decision::Fail(unclear(&sought, job, identities, why)));
                }
            }
        }
        let start = self.start_of(step, job, owners, identities);
        Ok(match start {
            _ if !job.is_ready(now) => {
                Decision::Fail("the handoff ended before it was started".to_owned())
            }
            Ok(start) => Decision::Start(start),
            Err(reason) => Decision::Fail(reason),
        })
    }

    /// What is started, or why it cannot be.
    fn start_of(
        &self,
        step: NextStep,
        job: &Job,
        owners: &Owners,
        identities: &Identities,
    ) -> Result<Start, String> {
        let gone = || "what it would be about is gone".to_owned();
        match step {
            NextStep::Flow => {
                let spec = job.spec().and_then(|spec| spec.flow.as_ref()).ok_or_else(gone)?;
                let ground = job.ground(identities, self.clock.now()).ok_or_else(gone)?;
                let inputs = inputs(spec, &ground)?;
                Ok(Start { name: spec.name.clone(), inputs })
            }
            NextStep::Sequence => {
                let spec = job.spec().and_then(|spec| spec.sequence.as_ref()).ok_or_else(gone)?;
                let mut start = sought(step, job).ok_or_else(gone)?;
                let (email, user) = sender(spec, job.handoff().owner(), owners)?;
                start.inputs.insert("senderEmail".to_owned(), Raw::Text(email));
                start.inputs.insert("userId".to_owned(), Raw::Text(user));
                Ok(start)
            }
            NextStep::HubSpotTask
            | NextStep::HubSpotNote
            | NextStep::QueueTask
            | NextStep::Campaign => Err(format!("{} is made, not started", step.words())),
        }
    }

    fn came_of_start(
        &self,
        step: NextStep,
        job: &mut Job,
        start: &Start,
        outcome: Outcome,
        identities: &Identities,
        worked: &mut Worked,
    ) {
        let now = self.clock.now();
        let (id, step_words) = (job.handoff().id, step.words());
        match outcome {
            Outcome::Done { id: own, created, .. } => {
                tracing::debug!(handoff = %id, own, created, "{step_words}");
                let how = if created { How::Created } else { How::Matched };
                *(if created { &mut worked.next } else { &mut worked.found }) += 1;
                let what = What::StepDone { step, record: trace_of(step, start), how };
                job.add(now, what, Witness::Lockstep);
            }
            Outcome::Refused(refusal) => {
                tracing::warn!(handoff = %id, code = refusal.code, "{step_words} was refused");
                let reason = format!(
                    "{}: {}",
                    start.name,
                    why(step, &refusal, job.link_record(step.side()))
                );
                job.add(now, What::StepFailed { step, reason }, Witness::Lockstep);
            }
            Outcome::Late { left } => {
                tracing::debug!(handoff = %id, ?left, "{step_words} waits its turn");
                put_off(step, job, now);
            }
            Outcome::NotDone(error) => {
                tracing::warn!(handoff = %id, %error, "{step_words} waits");
                put_off(step, job, now);
            }
            Outcome::Unknown(error) if step == NextStep::Flow && !repeats(job, step) => {
                tracing::warn!(handoff = %id, %error, "whether {step_words} ran is not known");
                let reason = unclear(start, job, identities, &error.message);
                job.add(now, What::StepFailed { step, reason }, Witness::Lockstep);
            }
            Outcome::Unknown(error) => {
                tracing::warn!(handoff = %id, %error, "whether {step_words} was started is not known");
                job.again = true;
            }
        }
    }

    fn found_started(
        &self,
        step: NextStep,
        job: &mut Job,
        record: RecordRef,
        at: Option<Timestamp>,
    ) {
        let Progress::Begun(since) = job.handoff().step(step) else { return };
        let at = at.unwrap_or_else(|| self.clock.now());
        let what = What::StepDone { step, record, how: How::Created };
        job.add(at.max(since), what, Witness::Lockstep);
    }
}

/// It certainly had no effect: it is begun anew later.
fn put_off(step: NextStep, job: &mut Job, now: Timestamp) {
    let since = match job.handoff().step(step) {
        Progress::Begun(since) => since,
        _ => now,
    };
    job.add(now.max(since), What::StepPutOff { step }, Witness::Lockstep);
    job.again = true;
}

/// Whether it may be started again although it may have run.
fn repeats(job: &Job, step: NextStep) -> bool {
    step == NextStep::Flow
        && job.spec().and_then(|spec| spec.flow.as_ref()).is_some_and(|flow| flow.repeat)
}

/// What is kept of it in the handoff.
fn trace_of(step: NextStep, start: &Start) -> RecordRef {
    let object = object_of(step).to_owned();
    RecordRef { side: step.side(), object, id: start.name.clone() }
}

/// That by which the platform can tell whether it was started.
fn sought(step: NextStep, job: &Job) -> Option<Start> {
    let spec = job.spec()?;
    match step {
        NextStep::Flow => {
            Some(Start { name: spec.flow.as_ref()?.name.clone(), inputs: BTreeMap::new() })
        }
        NextStep::Sequence => {
            let contact = Raw::text(job.link_record(Side::HubSpot)?.id.clone());
            let inputs = [("contactId".to_owned(), contact)].into();
            Some(Start { name: spec.sequence.as_ref()?.id.clone(), inputs })
        }
        _ => None,
    }
}

/// Who sends a sequence's e-mails: the address, and HubSpot's id of the user.
fn sender(
    spec: &SequenceSpec,
    owner: Option<&Owner>,
    owners: &Owners,
) -> Result<(String, String), String> {
    const NEXT: &str =
        "enrol the contact by hand, or name who sends for them as `sender` in [handoff.sequence]";
    let (email, whose) = match (&spec.sender, owner) {
        (Sender::User(email), _) => (email, "the sender"),
        (Sender::Owner, None) => {
            return Err(format!("nobody owns the record in Salesforce; {NEXT}"));
        }
        (Sender::Owner, Some(owner)) if owner.kind == OwnerKind::Queue => {
            let name = &owner.name;
            return Err(format!("the queue {name:?} owns it, and a queue sends nothing; {NEXT}"));
        }
        (Sender::Owner, Some(owner)) => (&owner.name, "the owner"),
    };
    let id = owners.active_id(Side::HubSpot, email).ok_or_else(|| {
        format!("HubSpot has no active user with the address of {whose}, {email}; {NEXT}")
    })?;
    let user = owners.get(Side::HubSpot, &id).and_then(|owner| owner.user.clone());
    let user = user
        .ok_or_else(|| format!("HubSpot does not say which user {whose}, {email}, is; {NEXT}"))?;
    Ok((email.clone(), user))
}

/// What the flow's inputs get. A blank is left out: the variable keeps what the flow gives it.
pub(super) fn inputs(
    spec: &FlowSpec,
    ground: &text::Ground<'_>,
) -> Result<BTreeMap<String, Raw>, String> {
    let mut inputs = BTreeMap::new();
    for (name, value) in &spec.inputs {
        let value = match value {
            FlowInput::Fixed(value) => value.clone(),
            FlowInput::Text(template) => match text::input(template, ground) {
                Ok(text) if text.is_empty() => continue,
                Ok(text) => Raw::Text(text),
                Err(error) => {
                    return Err(format!(
                        "{}: the input {name} cannot be made: {error}; correct its text in \
                         [handoff.flow]",
                        spec.name
                    ));
                }
            },
        };
        inputs.insert(name.clone(), value);
    }
    Ok(inputs)
}

/// That nobody knows whether a flow ran, with where to look and what to do.
fn unclear(start: &Start, job: &Job, identities: &Identities, why: &str) -> String {
    let record = job.link_record(Side::Salesforce);
    let page = record
        .zip(identities.salesforce.as_ref())
        .and_then(|(record, identity)| text::page(record, identity));
    let record = record.map_or_else(
        || "the record".to_owned(),
        |record| format!("{} {}", record.object, record.id),
    );
    let page = page.map(|page| format!(" ({page})")).unwrap_or_default();
    let why = why.trim_end_matches('.');
    format!(
        "whether {name} ran for {record} is not known ({why}), and it is not started again, which \
         could do it twice; look at {record}{page} and, in Setup, at the flow, and start it by hand \
         where it did not run; `repeat = true` in [handoff.flow] allows it where twice does no harm",
        name = start.name,
    )
}
