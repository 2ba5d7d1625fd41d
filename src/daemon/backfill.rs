//! Takes in what exists: at the first start, for a new mapping or a newly mapped field, and now and
//! then as a sweep, so that a lost word of a change is a delay and never a loss.
//!
//! How far it came stands in the journal: a restart goes on where it was. What both sides agree on
//! already costs a listing and no read.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::engine::objects;
use super::fetch::ask;
use super::poll::{Heeded, Stream};
use super::settle::Settled;
use super::trouble::Trouble;
use crate::journal::{Backfill, Commit, Heard, Lane, LinkState, MappingState};
use crate::mapping::Mapping;
use crate::platform::Cursor;
use crate::platform::transport::unhurried;
use crate::record::{Change, LinkId, Side, Source};

/// The place of a listing that came to its end.
const DONE: &str = "done";

/// How many links a sweep puts in line at a time.
const PAGE: usize = 100;

impl Engine {
    /// Signs in on both sides, makes sure that the journal belongs to these accounts, and notes
    /// what has to be taken in.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used, or the journal belongs to other accounts.
    pub async fn start(&self) -> Result<(), Trouble> {
        let (hubspot, salesforce) =
            tokio::join!(self.platforms.hubspot.identity(), self.platforms.salesforce.identity());
        for (side, identity) in [(Side::HubSpot, hubspot), (Side::Salesforce, salesforce)] {
            let identity = self.watch(side, identity)?;
            self.journal.belongs_to(side, &identity.account).await?;
            self.note_side(side, |state| state.identity = Some(identity));
        }
        let unclear = self.journal.unfinished(usize::MAX).await?.len();
        if unclear > 0 {
            tracing::info!(
                writes = unclear,
                "some results were not stored: both sides are read again"
            );
        }
        self.note_mappings().await
    }

    /// Compares the mappings in force with those that were last, and notes what has to be taken in.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn note_mappings(&self) -> Result<(), Trouble> {
        let now = self.clock.now();
        for mapping in &self.mappings().list {
            let before = self.journal.mapping_state(&mapping.name).await?;
            let fields = mapping.fields.iter().map(|field| field.name.clone()).collect();
            let fingerprint = format!("{:016x}", mapping.fingerprint);
            let reason = match &before {
                None => "a new mapping",
                Some(before) if !before.fields.is_superset(&fields) => "a newly mapped field",
                Some(before) if before.fingerprint != fingerprint => "the mapping changed",
                Some(_) => continue,
            };
            let fields = before
                .map(|before| before.fields)
                .unwrap_or_default()
                .union(&fields)
                .cloned()
                .collect();
            let state = MappingState { fingerprint, fields, backfill: Some(begin(reason, now)) };
            let mut commit = Commit::new();
            commit.mapping(&mapping.name, state);
            self.journal.commit(commit).await?;
            tracing::info!(mapping = %mapping.name, %reason, "what exists is taken in");
        }
        Ok(())
    }

    /// Reads one page of what is to be taken in. Nothing where all of it is.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now. What was read before is kept.
    pub async fn backfill(&self) -> Result<Option<Heeded>, Trouble> {
        for mapping in &self.mappings().list {
            let Some(mut state) = self.journal.mapping_state(&mapping.name).await? else {
                continue;
            };
            let Some(mut backfill) = state.backfill.take() else { continue };
            let Some((place, side, object)) = next_place(mapping, &backfill) else {
                tracing::info!(mapping = %mapping.name, seen = backfill.seen, "all that exists is in line");
                let mut commit = Commit::new();
                commit.mapping(&mapping.name, state);
                self.journal.commit(commit).await?;
                continue;
            };
            let cursor = backfill.places.get(&place).cloned().map(Cursor);
            let ask = ask(mapping, side, &object);
            // Whoever waits for an edit goes first.
            let page = unhurried(self.platform(side).list(&ask, cursor.as_ref())).await;
            let page = self.watch(side, page)?;
            let next = if page.more { page.cursor.0.clone() } else { DONE.to_owned() };
            let listed = page.changes.len();
            let news = self.unsettled(mapping, page).await?;
            let heard = news.len();
            self.hear_for(mapping, news, Lane::Backfill).await?;
            backfill.seen += listed as u64;
            backfill.places.insert(place, next);
            state.backfill = Some(backfill);
            let mut commit = Commit::new();
            commit.mapping(&mapping.name, state);
            self.journal.commit(commit).await?;
            return Ok(Some(Heeded { listed, heard }));
        }
        Ok(None)
    }

    /// Puts every link in line, to be compared anew, and begins to list what exists.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn sweep(&self) -> Result<usize, Trouble> {
        let now = self.clock.now();
        let mut count = 0;
        for mapping in &self.mappings().list {
            let mut after: Option<LinkId> = None;
            loop {
                let page = self.journal.links(&mapping.name, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                let changes: Vec<Change> = page
                    .iter()
                    .filter(|link| link.state.is_live() || link.state == LinkState::Active)
                    .filter_map(|link| link.records.iter().find_map(|(_, record)| record.clone()))
                    .map(|record| Change::touched(record, Source::Sweep))
                    .collect();
                count += changes.len();
                self.hear_for(mapping, changes, Lane::Backfill).await?;
            }
            let Some(mut state) = self.journal.mapping_state(&mapping.name).await? else {
                continue;
            };
            if state.backfill.is_none() {
                state.backfill = Some(begin("a sweep", now));
                let mut commit = Commit::new();
                commit.mapping(&mapping.name, state);
                self.journal.commit(commit).await?;
            }
        }
        Ok(count)
    }

    /// Puts every link with a record of `object` in line, to be compared anew, and begins to list
    /// what exists of it: word of its changes was lost. Says how many links there are.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn sweep_object(
        &self,
        side: Side,
        object: &str,
        why: &str,
    ) -> Result<usize, Trouble> {
        let now = self.clock.now();
        let mut count = 0;
        for mapping in self.mappings_of(side, object) {
            let mut after: Option<LinkId> = None;
            loop {
                let page = self.journal.links(&mapping.name, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                let changes: Vec<Change> = page
                    .iter()
                    .filter(|link| link.state.is_live() || link.state == LinkState::Active)
                    .filter_map(|link| link.records.get(side).clone())
                    .filter(|record| record.object == object)
                    .map(|record| Change::touched(record, Source::Sweep))
                    .collect();
                count += changes.len();
                self.hear_for(&mapping, changes, Lane::Backfill).await?;
            }
            let Some(mut state) = self.journal.mapping_state(&mapping.name).await? else {
                continue;
            };
            // A listing under way may have passed what was lost: that of this object begins again.
            let mut backfill = state.backfill.take().unwrap_or_else(|| {
                let mut only = begin(why, now);
                for (other, name) in Side::BOTH
                    .into_iter()
                    .flat_map(|one| objects(&mapping, one).map(move |o| (one, o)))
                {
                    only.places.insert(place_of(other, name), DONE.to_owned());
                }
                only
            });
            backfill.places.remove(&place_of(side, object));
            state.backfill = Some(backfill);
            let mut commit = Commit::new();
            commit.mapping(&mapping.name, state);
            self.journal.commit(commit).await?;
        }
        Ok(count)
    }

    /// Whether what exists of any of these Salesforce objects is still being listed.
    pub(super) async fn is_comparing(
        &self,
        compared: &std::collections::BTreeSet<String>,
    ) -> Result<bool, Trouble> {
        for object in compared {
            for mapping in self.mappings_of(Side::Salesforce, object) {
                let state = self.journal.mapping_state(&mapping.name).await?;
                if state.is_some_and(|state| state.backfill.is_some()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn hear_for(
        &self,
        mapping: &Mapping,
        changes: Vec<Change>,
        lane: Lane,
    ) -> Result<(), Trouble> {
        let at = self.clock.now();
        let any = !changes.is_empty();
        let heard = changes
            .into_iter()
            .map(|change| {
                let mapping = mapping.name.clone();
                Heard { mapping, lane, change, at, not_before: None }
            })
            .collect();
        self.hear(heard, None).await?;
        if any {
            self.rouse();
        }
        Ok(())
    }

    /// When the next entry is due.
    ///
    /// # Errors
    /// Where the journal cannot be used.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, Trouble> {
        Ok(self.journal.next_due(&Lane::ALL).await?)
    }

    /// Asks both sides what changed and takes in what exists, to the present end.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now.
    pub async fn listen(&self) -> Result<Heeded, Trouble> {
        let mut heeded = Heeded::default();
        for stream in [Stream::Changed, Stream::Deleted] {
            let (hubspot, salesforce) =
                tokio::join!(self.poll(Side::HubSpot, stream), self.poll(Side::Salesforce, stream));
            heeded += hubspot?;
            heeded += salesforce?;
        }
        while let Some(more) = self.backfill().await? {
            heeded += more;
        }
        Ok(heeded)
    }

    /// Settles everything that is due or falls due within `patience`; what is postponed beyond that
    /// is left in line.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now.
    pub async fn settle_all(&self, patience: Duration) -> Result<Settled, Trouble> {
        let mut sum = Settled::default();
        let patience = SignedDuration::try_from(patience).unwrap_or_default();
        loop {
            let settled = self.settle_due().await?;
            let any = settled.taken > 0;
            sum += settled;
            if any {
                continue;
            }
            let now = self.clock.now();
            match self.next_due().await? {
                Some(due) if due.duration_since(now) <= patience => {
                    let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                    tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
                }
                _ => return Ok(sum),
            }
        }
    }
}

fn begin(reason: &str, now: Timestamp) -> Backfill {
    Backfill { reason: reason.to_owned(), began: now, places: BTreeMap::new(), seen: 0 }
}

/// The name of a listing in the journal.
fn place_of(side: Side, object: &str) -> String {
    format!("{}/{object}", side.key())
}

/// The first listing that has not come to its end: its name in the journal, its side, its object.
fn next_place(mapping: &Mapping, backfill: &Backfill) -> Option<(String, Side, String)> {
    Side::BOTH.into_iter().find_map(|side| {
        objects(mapping, side).find_map(|object| {
            let place = place_of(side, object);
            let done = backfill.places.get(&place).is_some_and(|at| at == DONE);
            (!done).then(|| (place, side, object.to_owned()))
        })
    })
}
