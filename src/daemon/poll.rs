//! Asks the platforms what changed, and writes it down.
//!
//! A page of changes becomes durable together with the cursor behind it, so that a crash repeats a
//! page rather than lose it. What a listing repeats is dropped here: the echo of our own write costs a
//! look into the journal and no call (see `echo`).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Engine;
use super::directory::Snapshot;
use super::engine::{lock, objects};
use super::fetch::{ask, pointers};
use super::trouble::Trouble;
use crate::journal::{CursorName, Heard, Lane};
use crate::mapping::Mapping;
use crate::platform::{Ask, Cursor, Polled};
use crate::record::{Change, ChangeKind, Raw, Record, RecordRef, Side, Source};

/// What one round of polling found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heeded {
    /// Changes that the platforms listed.
    pub listed: usize,
    /// Those that were written down: the rest repeat what was seen, or what was weighed already.
    pub heard: usize,
}

impl std::ops::AddAssign for Heeded {
    fn add_assign(&mut self, other: Self) {
        self.listed += other.listed;
        self.heard += other.heard;
    }
}

/// Which listing of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// What was created or changed.
    Changed,
    /// What was deleted or merged and is not listed as changed.
    Deleted,
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// What a listing showed of a record: its time of modification and a digest of its values.
type Shown = (Timestamp, u64);

/// What is left of a page.
#[derive(Debug, Default)]
struct Sieved {
    /// What has to be written down.
    news: Vec<Change>,
    /// Records of which that is urgent.
    urgent: BTreeSet<RecordRef>,
    /// What the page showed that no page before it did.
    shown: Vec<(RecordRef, Shown)>,
}

/// What is remembered of a listed record, so that the very same is not heeded again: the same record,
/// modified at the same time, with the same values. Times alone would not do: Salesforce stamps whole
/// seconds, and a record can change twice in one.
fn digest(change: &Change, seen: Option<&Record>) -> Option<Shown> {
    let mut digest = DefaultHasher::new();
    format!("{:?}", change.kind).hash(&mut digest);
    for (name, value) in seen.iter().flat_map(|record| &record.fields) {
        name.hash(&mut digest);
        match value {
            Raw::Number(number) => number.to_bits().hash(&mut digest),
            other => format!("{other:?}").hash(&mut digest),
        }
    }
    Some((change.at?, digest.finish()))
}

impl Engine {
    /// Reads one stream of every object of `side` to its present end.
    ///
    /// # Errors
    /// Where the side or the journal cannot be used now. What was read before is kept.
    pub async fn poll(&self, side: Side, stream: Stream) -> Result<Heeded, Trouble> {
        self.poll_those(side, stream, |_| true).await
    }

    /// The same for those objects only that are due: an object whose changes arrive by themselves
    /// is asked for seldom.
    ///
    /// # Errors
    /// As [`Engine::poll`].
    pub async fn poll_due(&self, side: Side, stream: Stream) -> Result<Heeded, Trouble> {
        let net = SignedDuration::try_from(self.options.net).unwrap_or(SignedDuration::MAX);
        let now = self.clock.now();
        self.poll_those(side, stream, |object| self.intake.is_due(side, object, stream, net, now))
            .await
    }

    async fn poll_those(
        &self,
        side: Side,
        stream: Stream,
        due: impl Fn(&str) -> bool,
    ) -> Result<Heeded, Trouble> {
        let mut heeded = Heeded::default();
        for (object, ask) in self.asks(side) {
            if !due(&object) {
                continue;
            }
            heeded += self.poll_object(side, &object, &ask, stream).await?;
            let now = self.clock.now();
            self.intake.note_round(side, &object, stream, now);
            self.note_side(side, |state| state.last_round = Some(now));
        }
        Ok(heeded)
    }

    /// Every object of `side` that some mapping is about.
    pub fn objects(&self, side: Side) -> impl Iterator<Item = String> {
        self.asks(side).into_keys()
    }

    /// Every object of `side` that some mapping is about, with the fields of all its mappings.
    pub(super) fn asks(&self, side: Side) -> BTreeMap<String, Ask> {
        let mut asks: BTreeMap<String, Ask> = BTreeMap::new();
        for mapping in &self.mappings().list {
            for object in objects(mapping, side) {
                let mut one = ask(mapping, side, object);
                match asks.get_mut(object) {
                    Some(known) => known.fields.append(&mut one.fields),
                    None => {
                        asks.insert(object.to_owned(), one);
                    }
                }
            }
        }
        asks
    }

    async fn poll_object(
        &self,
        side: Side,
        object: &str,
        ask: &Ask,
        stream: Stream,
    ) -> Result<Heeded, Trouble> {
        let name = CursorName { side, object: object.to_owned(), stream: stream.name().to_owned() };
        let mut heeded = Heeded::default();
        loop {
            let before = self.journal.cursor(name.clone()).await?.map(|entry| Cursor(entry.place));
            let since = match &before {
                Some(_) => Timestamp::UNIX_EPOCH,
                // What is older is taken in by the backfill, which lists every record.
                None => self.watch(side, self.platform(side).server_time().await)?,
            };
            let platform = self.platform(side);
            let answer = match stream {
                Stream::Changed => platform.changed(ask, before.as_ref(), since).await,
                Stream::Deleted => platform.deleted(object, before.as_ref(), since).await,
            };
            let page = self.watch(side, answer)?;
            let (more, cursor) = (page.more, page.cursor.clone());
            let listed = page.changes.len();
            let Sieved { news, urgent, shown } = self.sieve(side, object, page).await?;
            heeded += Heeded { listed, heard: news.len() };
            self.note_found(side, object, &news);
            let news = self.in_lanes(news, &urgent);
            self.hear_with_cursor(news, name.clone(), cursor).await?;
            // Not before it is durable: a page that could not be written down comes again, and must
            // not be taken for one that was seen.
            self.note_shown(side, object, shown);
            if !more {
                return Ok(heeded);
            }
        }
    }

    /// Notes what a poll found, and says so where it should have arrived by itself.
    fn note_found(&self, side: Side, object: &str, news: &[Change]) {
        let missed = self.intake.polled(side, object, news, self.clock.now());
        if missed > 0 {
            tracing::warn!(%side, object, missed, "a poll found changes whose word had not arrived");
        }
    }

    /// Writes changes down for every mapping that they concern, with the cursor behind them.
    pub(super) async fn hear_with_cursor(
        &self,
        changes: Vec<(Change, Lane)>,
        name: CursorName,
        cursor: Cursor,
    ) -> Result<(), Trouble> {
        let now = self.clock.now();
        let heard = self.heard(changes, now);
        let any = !heard.is_empty();
        self.hear(heard, Some((name, cursor.0, now))).await?;
        if any {
            self.rouse();
        }
        Ok(())
    }

    /// Each change once for each mapping that it concerns.
    pub(super) fn heard(
        &self,
        changes: impl IntoIterator<Item = (Change, Lane)>,
        now: Timestamp,
    ) -> Vec<Heard> {
        let mut heard = Vec::new();
        for (change, lane) in changes {
            let not_before = self.window_left(&change.record, now);
            for mapping in self.mappings_of(change.record.side, &change.record.object) {
                let (mapping, change) = (mapping.name.clone(), change.clone());
                heard.push(Heard { mapping, lane, change, at: now, not_before });
            }
        }
        heard
    }

    /// Drops what a listing repeats and what the last settlement has weighed already.
    async fn sieve(&self, side: Side, object: &str, page: Polled) -> Result<Sieved, Trouble> {
        let latest = page.changes.iter().filter_map(|change| change.at).max();
        if let Some(latest) = latest {
            self.note_side(side, |state| state.last_change = state.last_change.max(Some(latest)));
        }
        let mappings = self.mappings_of(side, object);
        let mut sieved = Sieved::default();
        let mut fresh = Vec::new();
        for (change, seen) in page.changes.into_iter().zip(page.seen) {
            if let Some(shown) = digest(&change, seen.as_ref()) {
                if lock(&self.shown).get(&change.record) == Some(&shown) {
                    continue;
                }
                sieved.shown.push((change.record.clone(), shown));
            }
            if change.kind == ChangeKind::Touched
                && let Some(record) = &seen
                && self.is_weighed(&mappings, record).await?
            {
                continue;
            }
            fresh.extend(seen.filter(|_| change.kind == ChangeKind::Touched));
            sieved.news.push(change);
        }
        sieved.urgent = self.urgent(&fresh).await?;
        Ok(sieved)
    }

    /// Of a listing for one mapping, what no settlement has weighed yet.
    pub(super) async fn unsettled(
        &self,
        mapping: &Arc<Mapping>,
        page: Polled,
    ) -> Result<Vec<Change>, Trouble> {
        let mut news = Vec::new();
        for (change, seen) in page.changes.into_iter().zip(page.seen) {
            let weighed = match &seen {
                Some(record) => self.is_weighed(std::slice::from_ref(mapping), record).await?,
                None => false,
            };
            if !weighed {
                news.push(Change { source: Source::Backfill, ..change });
            }
        }
        Ok(news)
    }

    /// Remembers what a page showed, and forgets what lies behind the overlap and will not be listed
    /// again.
    fn note_shown(&self, side: Side, object: &str, page: Vec<(RecordRef, Shown)>) {
        let latest = page.iter().map(|(_, (at, _))| *at).max();
        lock(&self.shown).extend(page);
        let overlap = SignedDuration::try_from(*self.options.overlap.get(side)).unwrap_or_default();
        let Some(oldest) = latest.and_then(|latest| latest.checked_sub(overlap * 2).ok()) else {
            return;
        };
        lock(&self.shown).retain(|record, (at, _)| {
            *at >= oldest || record.side != side || record.object != object
        });
    }

    /// The owners, and the links that `records` point to.
    ///
    /// # Errors
    /// Where a side or the journal cannot be used now.
    pub async fn directory<'a>(
        &self,
        mapping: &Mapping,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Snapshot, Trouble> {
        self.snapshot_of(mapping, records).await
    }

    /// The owners, and the links that `records` point to.
    pub(super) async fn snapshot_of<'a>(
        &self,
        mapping: &Mapping,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Result<Snapshot, Trouble> {
        let mut snapshot = Snapshot::new(self.owners(false).await?);
        for record in records {
            for (across, side, id) in pointers(mapping, record) {
                let Some(object) = self
                    .mappings()
                    .get(&across)
                    .map(|across| across.sides.get(side).object.clone())
                else {
                    continue;
                };
                let target = RecordRef { side, object, id };
                let links = self.journal.links_of(&across, vec![target]).await?;
                // What remains of a link that ended stands for nothing across any more.
                let live = links.into_iter().flatten().find(|link| link.state.is_live());
                if let Some(link) = live {
                    let ids = crate::record::PerSide::from_fn(|side| {
                        link.records.get(side).as_ref().map(|record| record.id.clone())
                    });
                    snapshot.add_link(&across, link.id, &ids);
                }
            }
        }
        Ok(snapshot)
    }
}
