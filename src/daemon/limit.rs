//! Looks at the plans of a batch together, and holds what is too much.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::case::Case;
use super::engine::lock;
use super::trouble::Trouble;
use crate::journal::{Commit, Error as JournalError, Heard, Hold, Journal, Subject};
use crate::mapping::Mapping;
use crate::reconcile::limit::Breach;
use crate::record::{Change, LinkId, RecordRef, Source};

/// The journal's area that says which hold an entry waits for.
const HELD: &str = "held";

/// How long a held entry would wait if nobody ever released it: for ever.
const FOR_EVER: SignedDuration = SignedDuration::from_hours(24 * 365 * 50);

impl Engine {
    /// Splits off the cases that a safety limit stops. They wait for a person; their number comes
    /// back with the rest.
    pub(super) async fn limit(
        &self,
        mapping: &Mapping,
        cases: Vec<Case>,
    ) -> Result<(usize, Vec<Case>), Trouble> {
        let now = self.clock.now();
        let statistics = self.journal.statistics().await?;
        let counters = statistics.mappings.get(&mapping.name);
        let links = counters.and_then(|counters| counters.get("links.active")).copied();
        let links = u64::try_from(links.unwrap_or_default()).unwrap_or_default();
        let mut released = Vec::new();
        let mut weighed = Vec::new();
        for case in cases {
            if self.is_released(&case.entry.subject).await? {
                released.push(case);
            } else {
                weighed.push(case);
            }
        }
        let verdicts = {
            let plans: Vec<_> = weighed.iter().filter_map(|case| case.plan.as_ref()).collect();
            lock(&self.limiter).weigh(&mapping.name, links, &plans, now)
        };
        let mut held: BTreeMap<String, Vec<Case>> = BTreeMap::new();
        let mut rest = released;
        for (case, verdict) in weighed.into_iter().zip(verdicts) {
            match verdict {
                None => rest.push(case),
                Some(breach) => held.entry(reason_of(&breach)).or_default().push(case),
            }
        }
        let count = held.values().map(Vec::len).sum();
        for (reason, cases) in held {
            self.hold(mapping, &reason, &cases, now).await?;
        }
        Ok((count, rest))
    }

    async fn is_released(&self, subject: &Subject) -> Result<bool, Trouble> {
        let Some(id) = self.journal.kept::<u64>(HELD, &subject.to_string()).await? else {
            return Ok(false);
        };
        let holds = self.journal.holds().await?;
        Ok(holds.iter().any(|hold| hold.id == id && hold.released.is_some()))
    }

    async fn hold(
        &self,
        mapping: &Mapping,
        reason: &str,
        cases: &[Case],
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let holds = self.journal.holds().await?;
        let open = holds
            .into_iter()
            .find(|hold| hold.released.is_none() && hold.mapping.as_ref() == Some(&mapping.name));
        let mut hold = match open {
            Some(hold) => hold,
            None => Hold {
                id: self.journal.new_hold().await?,
                mapping: Some(mapping.name.clone()),
                reason: reason.to_owned(),
                count: 0,
                since: now,
                sample: Vec::new(),
                released: None,
            },
        };
        let until = now.saturating_add(FOR_EVER).unwrap_or(now);
        for chunk in cases.chunks(25) {
            let mut commit = Commit::new();
            for case in chunk {
                let (subject, version) = (case.entry.subject.clone(), case.entry.version);
                let name = subject.to_string();
                if self.journal.kept::<u64>(HELD, &name).await? != Some(hold.id) {
                    hold.count += 1;
                }
                if let Some(plan) = &case.plan
                    && hold.sample.len() < SAMPLE
                {
                    hold.sample.push(plan.to_string());
                }
                commit.keep(HELD, name, &hold.id);
                commit.postpone(subject, version, until, None);
            }
            commit.hold(hold.clone());
            self.journal.commit(commit).await?;
        }
        // Whatever joins a hold later is the same news.
        if hold.since == now {
            tracing::warn!(hold = hold.id, %reason, "held until a person releases it");
        } else {
            tracing::debug!(hold = hold.id, count = hold.count, "held too");
        }
        Ok(())
    }

    /// Forgets what the limits have counted of a mapping, whose hold a person released.
    pub(super) fn weigh_anew(&self, mapping: &str) {
        lock(&self.limiter).release(mapping);
    }
}

/// Marks a hold as released and puts what waited for it in line again, also where no daemon runs:
/// the next one settles it. Repeating it after a crash on the way puts the rest in line.
///
/// # Errors
/// Where the journal knows no such hold or cannot be used now.
pub(super) async fn release(
    journal: &Journal,
    id: u64,
    now: Timestamp,
) -> Result<Hold, JournalError> {
    let hold = journal.release_hold(id, now).await?;
    let mut after = None;
    loop {
        let page = journal.pending_page(after.clone(), 200).await?;
        let Some(last) = page.last() else { return Ok(hold) };
        after = Some(last.subject.clone());
        let mut heard = Vec::new();
        for entry in &page {
            if journal.kept::<u64>(HELD, &entry.subject.to_string()).await? != Some(id) {
                continue;
            }
            let record = match &entry.subject {
                Subject::Record { record, .. } => Some(record.clone()),
                Subject::Link(link) => any_record(journal, *link).await?,
            };
            heard.extend(record.map(|record| Heard {
                mapping: entry.mapping.clone(),
                lane: entry.lane,
                change: Change::touched(record, Source::Person),
                at: now,
                not_before: None,
            }));
        }
        journal.hear(heard, None).await?;
    }
}

async fn any_record(journal: &Journal, link: LinkId) -> Result<Option<RecordRef>, JournalError> {
    let link = journal.link(link).await?;
    Ok(link.and_then(|link| link.records.iter().find_map(|(_, record)| record.clone())))
}

/// How many plans a hold shows.
const SAMPLE: usize = 5;

/// The mark by which a settled entry no longer waits for a hold.
pub(super) fn settle_mark(commit: &mut Commit, subject: &Subject) {
    commit.drop_kept(HELD, subject.to_string());
}

fn reason_of(breach: &Breach) -> String {
    breach.to_string()
}
