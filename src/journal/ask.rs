//! What can be asked of the journal.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;

use super::facts::{CursorEntry, CursorName, Intent, MappingState, Purge};
use super::handoffs::HandoffEntry;
use super::history::{HistoryBounds, HistoryLine, Pruned};
use super::links::LinkEntry;
use super::pending::{Lane, PendingEntry, Subject};
use super::questions::{ConflictEntry, Hold, MatchEntry, RejectEntry, RejectPlace};
use super::store::Usage;
use super::txn::Txn;
use super::{Error, Journal, Options, Report, salvage};
use crate::handoff::HandoffId;
use crate::reconcile::OpenConflict;
use crate::record::{Fingerprint, LinkId, PerSide, RecordRef, Side};

/// All that is known of one subject, for a settlement.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// What it is about.
    pub subject: Subject,
    /// The link, where there is one. A record's link may have been made since it was taken.
    pub link: Option<LinkEntry>,
    /// The link's open conflicts, by field.
    pub conflicts: BTreeMap<String, OpenConflict>,
    /// Its rejects.
    pub rejects: Vec<RejectEntry>,
    /// The record's ambiguous match.
    pub ambiguous: Option<MatchEntry>,
    /// What was about to be written when the process ended.
    pub intent: Option<Intent>,
}

/// What is known of a record's link, in one view: by this an echo of our own write is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The link that answers for the record. It may have ended.
    pub link: LinkEntry,
    /// Whether it waits to be settled, or is being settled.
    pub waits: bool,
    /// What a settlement is about to write, or was when the process ended.
    pub intent: Option<Intent>,
}

/// How much of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The counters of each mapping: `links.active`, `pending.handoff`, `conflicts.open`,
    /// `rejects.open`, `matches.open` and those that the daemon counts.
    pub mappings: BTreeMap<String, BTreeMap<String, i64>>,
    /// When the entry that is due first was due, by mapping and lane.
    pub oldest: BTreeMap<(String, Lane), Timestamp>,
    /// Entries that are being settled.
    pub taken: usize,
    /// Batches that were written since the journal was opened.
    pub commits: u64,
    /// How often what was written was made durable since then: one flush serves many batches.
    pub flushes: u64,
    /// What the store takes up.
    pub usage: Usage,
}

impl Journal {
    /// All that is known of each subject, in their order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn known(&self, subjects: Vec<Subject>) -> Result<Vec<Known>, Error> {
        self.read(move |txn| subjects.into_iter().map(|subject| known(txn, subject)).collect())
            .await
    }

    /// The link with this number.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn link(&self, id: LinkId) -> Result<Option<LinkEntry>, Error> {
        self.read(move |txn| txn.link(id)).await
    }

    /// The link that answers for each record, in their order: by its present records, or by those
    /// that used to stand for it. It may have ended.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn links_of(
        &self,
        mapping: &str,
        records: Vec<RecordRef>,
    ) -> Result<Vec<Option<LinkEntry>>, Error> {
        let mapping = mapping.to_owned();
        self.read(move |txn| records.iter().map(|record| txn.link_of(&mapping, record)).collect())
            .await
    }

    /// How the link of each record stands, in their order, all of it in one view.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn standings(
        &self,
        mapping: &str,
        records: Vec<RecordRef>,
    ) -> Result<Vec<Option<Standing>>, Error> {
        let mapping = mapping.to_owned();
        self.read(move |txn| {
            let standing = |record| {
                let Some(link) = txn.link_of(&mapping, record)? else { return Ok(None) };
                let subject = Subject::Link(link.id);
                let waits = txn.pending(&subject)?.is_some();
                let intent = txn.get(&subject.intent_key())?;
                Ok(Some(Standing { link, waits, intent }))
            };
            records.iter().map(standing).collect()
        })
        .await
    }

    /// The links of a mapping that have a fingerprint. They may have ended.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn links_with(
        &self,
        mapping: &str,
        print: Fingerprint,
    ) -> Result<Vec<LinkEntry>, Error> {
        let mapping = mapping.to_owned();
        self.read(move |txn| txn.links_with(&mapping, &print)).await
    }

    /// A page of a mapping's links, by number, behind `after`. Those that ended are among them.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn links(
        &self,
        mapping: &str,
        after: Option<LinkId>,
        limit: usize,
    ) -> Result<Vec<LinkEntry>, Error> {
        let mapping = mapping.to_owned();
        self.read(move |txn| txn.links_page(&mapping, after, limit)).await
    }

    /// The handoffs of each link, in the order of the links and of their numbers.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn handoffs_of(&self, links: Vec<LinkId>) -> Result<Vec<Vec<HandoffEntry>>, Error> {
        self.read(move |txn| links.into_iter().map(|link| txn.handoffs_of(link)).collect()).await
    }

    /// A page of all handoffs by link and number, behind `after`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn handoffs(
        &self,
        after: Option<HandoffId>,
        limit: usize,
    ) -> Result<Vec<HandoffEntry>, Error> {
        self.read(move |txn| txn.handoffs(after, limit)).await
    }

    /// The handoffs that are to be looked at by `now`, the longest due first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn handoffs_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<HandoffEntry>, Error> {
        self.read(move |txn| txn.handoffs_due(now, limit)).await
    }

    /// When the next handoff is to be looked at.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn next_handoff(&self) -> Result<Option<Timestamp>, Error> {
        self.read(|txn| txn.next_handoff()).await
    }

    /// The handoff to which each task or opportunity belongs.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn handoffs_with(
        &self,
        records: Vec<RecordRef>,
    ) -> Result<Vec<Option<HandoffId>>, Error> {
        self.read(move |txn| records.iter().map(|record| txn.handoff_with(record)).collect()).await
    }

    /// The entry of a subject that waits.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn pending(&self, subject: Subject) -> Result<Option<PendingEntry>, Error> {
        self.read(move |txn| txn.pending(&subject)).await
    }

    /// When the entry of these lanes that is due first is, or was, due.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn next_due(&self, lanes: &'static [Lane]) -> Result<Option<Timestamp>, Error> {
        self.read(move |txn| {
            let mut first = None;
            for &lane in lanes {
                for mapping in txn.queued_mappings(lane)? {
                    let due = txn.first_due(&mapping, lane)?;
                    first = first.into_iter().chain(due).min();
                }
            }
            Ok(first)
        })
        .await
    }

    /// How many entries of a lane are due, but counts no further than `most` for each mapping.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn count_due(&self, lane: Lane, now: Timestamp, most: usize) -> Result<usize, Error> {
        self.read(move |txn| txn.count_due(lane, now, most)).await
    }

    /// A page of entries that wait, links first, behind `after`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn pending_page(
        &self,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<PendingEntry>, Error> {
        self.read(move |txn| txn.pending_page(after.as_ref(), limit)).await
    }

    /// How far a sequence of changes was read.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn cursor(&self, name: CursorName) -> Result<Option<CursorEntry>, Error> {
        self.read(move |txn| txn.cursor(&name)).await
    }

    /// Every cursor.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn cursors(&self) -> Result<BTreeMap<CursorName, CursorEntry>, Error> {
        self.read(|txn| txn.cursors()).await
    }

    /// Writes that were about to go out when the process ended: whether they took effect is to be
    /// read from the platforms before anything is repeated. At most `limit`; after those have their
    /// results, ask again.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn unfinished(&self, limit: usize) -> Result<Vec<Intent>, Error> {
        self.read(move |txn| txn.intents(limit)).await
    }

    /// A page of open conflicts, of one mapping or of all, behind a link's field.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn conflicts(
        &self,
        mapping: Option<String>,
        after: Option<(LinkId, String)>,
        limit: usize,
    ) -> Result<Vec<ConflictEntry>, Error> {
        self.read(move |txn| txn.conflicts_page(mapping.as_deref(), after.as_ref(), limit)).await
    }

    /// A page of ambiguous matches, of one mapping or of all, behind a mapping's record.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn matches(
        &self,
        mapping: Option<String>,
        after: Option<(String, RecordRef)>,
        limit: usize,
    ) -> Result<Vec<MatchEntry>, Error> {
        self.read(move |txn| txn.matches_page(mapping.as_deref(), after.as_ref(), limit)).await
    }

    /// A page of rejects, of one mapping or of all, behind another one.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn rejects(
        &self,
        mapping: Option<String>,
        after: Option<RejectPlace>,
        limit: usize,
    ) -> Result<Vec<RejectEntry>, Error> {
        self.read(move |txn| txn.rejects_page(mapping.as_deref(), after.as_ref(), limit)).await
    }

    /// Every hold, released or not.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, Error> {
        self.read(|txn| txn.holds()).await
    }

    /// Releases a hold. Returns it as it is now.
    ///
    /// # Errors
    /// [`Error::Absent`] where there is none with this number; else as [`Journal::commit`].
    pub async fn release_hold(&self, id: u64, at: Timestamp) -> Result<Hold, Error> {
        self.call(move |core| {
            core.write(|txn, _| {
                let hold = txn.hold(id)?;
                let mut hold = hold.ok_or_else(|| Error::Absent { what: format!("hold {id}") })?;
                hold.released.get_or_insert(at);
                txn.put_hold(&hold)?;
                Ok(hold)
            })
        })
        .await
    }

    /// A link's history, the newest line first, before line `before`.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn history(
        &self,
        link: LinkId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryLine>, Error> {
        self.read(move |txn| txn.history(link, before, limit)).await
    }

    /// The history of all links, link by link, behind a line: for exports and for undoing.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn all_history(
        &self,
        after: Option<(LinkId, u64)>,
        limit: usize,
    ) -> Result<Vec<HistoryLine>, Error> {
        self.read(move |txn| txn.history_page(after, limit)).await
    }

    /// Looks at up to `budget` lines of history from where the last round ended, and takes away
    /// those beyond the bounds. Also takes away daily counters older than the history, and what
    /// records without a link have owed for as long.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn prune(
        &self,
        bounds: HistoryBounds,
        now: Timestamp,
        budget: usize,
    ) -> Result<Pruned, Error> {
        self.call(move |core| {
            core.write(|txn, _| {
                let oldest = now.checked_sub(bounds.age).unwrap_or(Timestamp::MIN);
                txn.prune_daily(oldest.to_zoned(jiff::tz::TimeZone::UTC).date(), budget)?;
                txn.prune_handoffs(oldest, budget)?;
                txn.prune_intents(oldest, budget)?;
                txn.prune_history(&bounds, now, budget)
            })
        })
        .await
    }

    /// What is known of a mapping.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn mapping_state(&self, name: &str) -> Result<Option<MappingState>, Error> {
        let name = name.to_owned();
        self.read(move |txn| txn.mapping_state(&name)).await
    }

    /// A kept item.
    ///
    /// # Errors
    /// Where the store cannot be read, or the item is of another type.
    pub async fn kept<T: DeserializeOwned + Send + 'static>(
        &self,
        area: &str,
        name: &str,
    ) -> Result<Option<T>, Error> {
        let (area, name) = (area.to_owned(), name.to_owned());
        self.read(move |txn| txn.kept(&area, &name)).await
    }

    /// A page of an area's items with their names, behind `after`. The order is fixed, but that of
    /// lengths first.
    ///
    /// # Errors
    /// Where the store cannot be read, or an item is of another type.
    pub async fn kept_page<T: DeserializeOwned + Send + 'static>(
        &self,
        area: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(String, T)>, Error> {
        let area = area.to_owned();
        self.read(move |txn| txn.kept_page(&area, after.as_deref(), limit)).await
    }

    /// The latest erasures, the newest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn purges(&self, limit: usize) -> Result<Vec<Purge>, Error> {
        self.read(move |txn| txn.purges(limit)).await
    }

    /// Whether the data of each record was erased on request, in their order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn erased(&self, records: Vec<RecordRef>) -> Result<Vec<bool>, Error> {
        let marks: Vec<_> = records.iter().map(|record| self.secret.record(record)).collect();
        self.read(move |txn| marks.iter().map(|mark| txn.is_erased(mark)).collect()).await
    }

    /// A mapping's counters of the days from `since` on.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn daily(
        &self,
        mapping: &str,
        since: Date,
    ) -> Result<BTreeMap<Date, BTreeMap<String, i64>>, Error> {
        let mapping = mapping.to_owned();
        self.read(move |txn| txn.daily(&mapping, since)).await
    }

    /// How much of what there is. Cheap: it reads counters and the heads of the queues.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        self.call(|core| {
            let mut statistics = core.read(counts)?;
            statistics.taken = core.taken();
            statistics.commits = core.commits();
            statistics.flushes = core.flushes();
            statistics.usage = core.store().usage();
            Ok(statistics)
        })
        .await
    }

    /// Ties the journal to a side's account, or makes sure that it is the one it was tied to.
    ///
    /// # Errors
    /// [`Error::OtherAccount`]; else as [`Journal::commit`].
    pub async fn belongs_to(&self, side: Side, account: &str) -> Result<(), Error> {
        let account = account.to_owned();
        self.call(move |core| {
            core.write(|txn, _| {
                let name = format!("account.{}", side.key());
                match txn.fact::<String>(&name)? {
                    Some(ours) if ours != account => {
                        let theirs = account.clone();
                        Err(Error::OtherAccount { side: side.name(), ours, theirs })
                    }
                    Some(_) => Ok(()),
                    None => txn.set_fact(&name, &account),
                }
            })
        })
        .await
    }

    /// The accounts that the journal is tied to.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn accounts(&self) -> Result<PerSide<Option<String>>, Error> {
        self.read(|txn| {
            let mut accounts = PerSide::default();
            for side in Side::BOTH {
                *accounts.get_mut(side) = txn.fact(&format!("account.{}", side.key()))?;
            }
            Ok(accounts)
        })
        .await
    }

    /// Checks every value's checksum and version, and whether every index leads both ways. The
    /// journal stays in use meanwhile: it is looked at page by page. Counters are compared only by
    /// [`check`](fn@super::check), which has the journal to itself.
    ///
    /// # Errors
    /// Where the engine cannot read a page at all.
    pub async fn check(&self) -> Result<Report, Error> {
        let (mut report, mut after) = (Report::default(), None::<Vec<u8>>);
        loop {
            let page = self.read(move |txn| {
                let last = super::check::check_page(txn, after.as_deref(), &mut report)?;
                Ok((report, last))
            });
            let (so_far, last) = page.await?;
            report = so_far;
            match last {
                Some(last) => after = Some(last),
                None => return Ok(report),
            }
        }
    }

    /// Copies the journal into a new one in `dir`, as it is at one moment; how many rows it has.
    /// Nothing else is done meanwhile, about ten seconds for a million rows.
    ///
    /// # Errors
    /// [`Error::Unfit`] where `dir` is not empty; [`Error::Full`], [`Error::Io`].
    pub async fn copy_to(&self, dir: &Path, options: &Options) -> Result<u64, Error> {
        let (dir, options) = (dir.to_owned(), options.clone());
        self.call(move |core| salvage::copy(core.store(), &dir, &options)).await
    }
}

fn known(txn: &Txn<'_>, subject: Subject) -> Result<Known, Error> {
    let link = match &subject {
        Subject::Link(id) => txn.link(*id)?,
        Subject::Record { mapping, record } => txn.link_of(mapping, record)?,
    };
    let conflicts = match &link {
        Some(link) => txn.conflicts(link.id)?,
        None => BTreeMap::new(),
    };
    let ambiguous = match &subject {
        Subject::Link(_) => None,
        Subject::Record { mapping, record } => txn.ambiguous(mapping, record)?,
    };
    let rejects = txn.rejects(&subject)?;
    let mut intent = txn.get(&subject.intent_key())?;
    if let (None, Some(link)) = (&intent, &link) {
        intent = txn.get(&Subject::Link(link.id).intent_key())?;
    }
    Ok(Known { subject, link, conflicts, rejects, ambiguous, intent })
}

fn counts(txn: &Txn<'_>) -> Result<Statistics, Error> {
    let mut statistics = Statistics::default();
    for mapping in txn.counted_mappings()? {
        let counters = txn.counters(Some(&mapping))?;
        statistics.mappings.insert(mapping, counters);
    }
    for lane in Lane::ALL {
        for mapping in txn.queued_mappings(lane)? {
            if let Some(due) = txn.first_due(&mapping, lane)? {
                statistics.oldest.insert((mapping, lane), due);
            }
        }
    }
    Ok(statistics)
}
