//! What HubSpot is told of a handoff, in properties of the record.

use std::collections::{BTreeMap, BTreeSet};

use super::work::{Job, Worked};
use crate::daemon::{Engine, Trouble};
use crate::handoff::Handoff;
use crate::mapping::handoff::Feedback;
use crate::platform::{Action, Outcome, Write, WriteOptions};
use crate::record::{Raw, Side};

impl Engine {
    pub(super) async fn feed(&self, jobs: &mut [Job], worked: &mut Worked) -> Result<(), Trouble> {
        let mut writes = Vec::new();
        let mut told = Vec::new();
        for job in jobs.iter_mut().filter(|job| job.is_last) {
            let Some((write, wanted)) = news(job) else { continue };
            writes.push(write);
            told.push((job, wanted));
        }
        if writes.is_empty() {
            return Ok(());
        }
        let outcomes = self.platform(Side::HubSpot).write(&writes).await;
        for ((job, wanted), outcome) in told.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done { .. } => {
                    worked.told += 1;
                    job.entry.fed = wanted;
                }
                // The same would be refused again; the next news are tried.
                Outcome::Refused(refusal) => {
                    tracing::warn!(
                        handoff = %job.handoff().id, code = refusal.code, message = refusal.message,
                        "HubSpot does not take what it is told of the handoff: see [handoff.feedback]"
                    );
                    job.entry.fed = wanted;
                }
                Outcome::Late { .. } => job.again = true,
                Outcome::NotDone(error) | Outcome::Unknown(error) => {
                    tracing::warn!(handoff = %job.handoff().id, %error, "HubSpot is told later");
                    job.again = true;
                }
            }
        }
        Ok(())
    }
}

/// What HubSpot does not know yet, and all that it is to know.
fn news(job: &Job) -> Option<(Write, BTreeMap<String, String>)> {
    let properties = &job.spec()?.feedback;
    let record = job.link.as_ref()?.records.hubspot.as_ref()?;
    let wanted: BTreeMap<String, String> = properties
        .iter()
        .map(|(what, name)| (name.clone(), value(job.handoff(), *what).unwrap_or_default()))
        .collect();
    let changed = |(name, value): &(&String, &String)| {
        job.entry.fed.get(*name).map_or(!value.is_empty(), |told| told != *value)
    };
    let fields: BTreeMap<String, Raw> = wanted
        .iter()
        .filter(changed)
        .map(|(name, value)| {
            let raw = if value.is_empty() { Raw::Null } else { Raw::text(value.clone()) };
            (name.clone(), raw)
        })
        .collect();
    if fields.is_empty() {
        return None;
    }
    let write = Write {
        object: record.object.clone(),
        action: Action::Update { id: record.id.clone() },
        fields,
        clear_first: BTreeSet::new(),
        options: WriteOptions::default(),
    };
    Some((write, wanted))
}

fn value(handoff: &Handoff, what: Feedback) -> Option<String> {
    match what {
        Feedback::State => Some(handoff.state().key().to_owned()),
        Feedback::Owner => handoff.owner().map(ToString::to_string),
        Feedback::TouchedAt => handoff.touched().map(|(at, ..)| at.to_string()),
        Feedback::TouchedBy => handoff.touched().map(|(_, method, by)| {
            let method = method.words();
            by.map_or_else(|| method.to_owned(), |by| format!("{method}, {by}"))
        }),
        Feedback::Reason => {
            handoff.why_ended().map(|why| crate::mapping::template::cut(why, 1_000))
        }
        Feedback::Opportunity => handoff.opportunity().map(|record| record.id.clone()),
        Feedback::Amount => handoff.won_cents().map(|cents| {
            let sign = if cents < 0 { "-" } else { "" };
            let cents = cents.unsigned_abs();
            match cents % 100 {
                0 => format!("{sign}{}", cents / 100),
                rest => format!("{sign}{}.{rest:02}", cents / 100),
            }
        }),
        Feedback::WonAt => handoff.won_at().map(|at| at.to_string()),
    }
}
