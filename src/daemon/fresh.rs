//! Reads again what grew old before it could be written, and lets nobody be created twice at once.
//!
//! A call may hang for half a minute while the other side's answer waits, and people go on editing
//! meanwhile. A plan made from such answers would overwrite their edits unseen, so it is made anew
//! from new ones.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::case::Case;
use super::trouble::Trouble;
use crate::journal::Commit;
use crate::mapping::Mapping;
use crate::reconcile::WriteAction;
use crate::reconcile::recognise::key_value;
use crate::record::Side;

/// How old what was read may be when the writing begins. How long a write then waits for its turn
/// is bounded by the client: see [`Outcome::Late`](crate::platform::Outcome::Late).
const FRESH: Duration = Duration::from_secs(2);

/// How old what was read may be when a record is created. The search that found nobody cannot be
/// repeated here, and whoever turned up since, restored or made by somebody else, would be written
/// over by the upsert. That is rare, so a whole batch may be searched first.
const FRESH_ENOUGH_TO_CREATE: Duration = Duration::from_secs(10);

/// How often it is read again before the cases are put off.
const TRIES: usize = 3;

/// How often a case is put off for this. After that it is settled with what was read last: a
/// platform that is always slow must not keep it waiting for ever.
const MOST_PUT_OFF: u32 = 4;

impl Engine {
    /// Sees to it that plans that overwrite something were made from what both sides hold now.
    /// `read` is when the reading began. Cases for which that is not to be had are put off; their
    /// number comes back with the rest.
    pub(super) async fn freshen(
        &self,
        mapping: &Mapping,
        mut read: Instant,
        cases: Vec<Case>,
    ) -> Result<(usize, Vec<Case>), Trouble> {
        let searched = read;
        let (mut aging, mut rest): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(overwrites);
        for _ in 0..TRIES {
            if aging.is_empty() || read.elapsed() <= FRESH {
                break;
            }
            read = Instant::now();
            self.fetch_cases(mapping, &mut aging).await?;
            self.decide(mapping, &mut aging).await?;
        }
        rest.append(&mut aging);
        let (overwritten, created) = (read.elapsed(), searched.elapsed());
        let is_late = |case: &Case| {
            case.entry.attempts < MOST_PUT_OFF
                && ((overwrites(case) && overwritten > FRESH)
                    || (creates(case) && created > FRESH_ENOUGH_TO_CREATE))
        };
        let (late, rest): (Vec<Case>, Vec<Case>) = rest.into_iter().partition(is_late);
        self.put_off(&late, overwritten.max(created)).await?;
        Ok((late.len(), rest))
    }

    /// Sees to it that of records with one matching key only the first has another created across:
    /// the search was made for all of them at once, and knew of none. The others are put off until
    /// it can be found; their number comes back with the rest.
    pub(super) async fn one_of_each(
        &self,
        mapping: &Mapping,
        cases: Vec<Case>,
    ) -> Result<(usize, Vec<Case>), Trouble> {
        let mut claimed = BTreeSet::new();
        let (rest, twins): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| {
            let keys = keys(mapping, case);
            let is_first = keys.is_disjoint(&claimed);
            claimed.extend(keys.into_iter().filter(|_| is_first));
            is_first
        });
        let until = self.later(self.clock.now(), 0);
        let mut commit = Commit::new();
        for case in &twins {
            commit.postpone(case.entry.subject.clone(), case.entry.version, until, None);
        }
        if !twins.is_empty() {
            self.journal.commit(commit).await?;
        }
        Ok((twins.len(), rest))
    }

    async fn put_off(&self, late: &[Case], age: Duration) -> Result<(), Trouble> {
        let now = self.clock.now();
        let mut commit = Commit::new();
        for case in late {
            let entry = &case.entry;
            let why =
                format!("what was read was {} s old before it could be written", age.as_secs());
            let until = self.later(now, entry.attempts);
            commit.postpone(entry.subject.clone(), entry.version, until, Some(why));
        }
        self.journal.commit(commit).await?;
        Ok(())
    }
}

/// Whether the case's plan writes to a record that is there already.
/// The matching keys of a record that one across is to be created for.
fn keys(mapping: &Mapping, case: &Case) -> BTreeSet<(Side, usize, String)> {
    let record = case.lone_record().filter(|_| creates(case));
    let each = record.into_iter().flat_map(|record| {
        let keys = mapping.matching.iter().enumerate();
        keys.filter_map(|(number, key)| {
            Some((record.key.side, number, key_value(key, record)?.to_string()))
        })
    });
    each.collect()
}

fn overwrites(case: &Case) -> bool {
    plans(case, |action| !matches!(action, WriteAction::Create { .. }))
}

fn creates(case: &Case) -> bool {
    plans(case, |action| matches!(action, WriteAction::Create { .. }))
}

fn plans(case: &Case, is: impl Fn(&WriteAction) -> bool) -> bool {
    case.plan.as_ref().is_some_and(|plan| {
        plan.writes.iter().filter_map(|(_, write)| write.as_ref()).any(|write| is(&write.action))
    })
}
