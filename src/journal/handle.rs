//! The journal as the daemon has it: an asynchronous handle that can be cloned.
//!
//! In production one operating-system thread owns the store; callers send it jobs and wait. It
//! carries out what is queued, makes it durable once, and answers everyone: sixty-four commits at a
//! time cost hardly more than one. In the simulation the same jobs run on the caller, without
//! threads and without a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};

use super::core::Core;
use super::facts::{CursorEntry, CursorName, Intent, MappingState, Purge};
use super::history::{HistoryBounds, HistoryLine, Pruned};
use super::links::LinkEntry;
use super::pending::{HearOutcome, Heard, Lane, PendingEntry, Subject};
use super::questions::{ConflictEntry, Hold, MatchEntry, RejectEntry, RejectPlace};
use super::secret::Secret;
use super::store::{Store, Usage};
use super::txn::Txn;
use super::{Commit, Done, Error, Options, sled};
use crate::reconcile::OpenConflict;
use crate::record::{Fingerprint, LinkId, PerSide, RecordRef, Side};

/// How many jobs may wait: who sends more waits.
const QUEUE: usize = 1_024;

/// How many jobs share one flush at most.
const GROUP: usize = 128;

/// Changes are heard in commits of this size, the cursor with the last: what the storage engine is
/// at ease with.
const HEAR: usize = 100;

const PANICKED: &str = "the storage engine panicked";

type Answer = Box<dyn FnOnce(&Result<(), Error>) + Send>;
type Job = Box<dyn FnOnce(&mut Core) -> Answer + Send>;

/// What is remembered. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    way: Arc<Way>,
    secret: Secret,
}

enum Way {
    Inline(Box<Mutex<Core>>),
    Thread { jobs: mpsc::Sender<Job>, ended: watch::Receiver<()>, stop: watch::Sender<bool> },
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self.way {
            Way::Inline(_) => "Journal (inline)",
            Way::Thread { .. } => "Journal",
        })
    }
}

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
    /// What the store takes up.
    pub usage: Usage,
}

impl Journal {
    /// Opens, or creates, the journal in a directory, on a thread of its own. This reads files and
    /// may take seconds: call it before the runtime is busy.
    ///
    /// # Errors
    /// [`Error::InUse`] where another process has it, [`Error::Damaged`], [`Error::Format`],
    /// [`Error::Full`], [`Error::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Error> {
        let store = sled::SledStore::open(dir, options)?;
        Self::on_thread(Box::new(store))
    }

    /// The same with any store.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn on_thread(store: Box<dyn Store>) -> Result<Self, Error> {
        let core = Core::start(store, &fresh_key()?)?;
        let secret = core.secret().clone();
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(());
        let (stop, stopping) = watch::channel(false);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                serve(core, queue, &stopping);
                drop(end);
            })
            .map_err(|error| Error::io("opened", &error))?;
        Ok(Self { way: Arc::new(Way::Thread { jobs, ended, stop }), secret })
    }

    /// A journal that runs on its callers: deterministic, for the simulation. `key` is the key of
    /// a journal that has none yet.
    ///
    /// # Errors
    /// [`Error::Format`], or what the store says.
    pub fn inline(store: impl Store + 'static, key: [u8; 32]) -> Result<Self, Error> {
        let core = Core::start(Box::new(store), &key)?;
        let secret = core.secret().clone();
        Ok(Self { way: Arc::new(Way::Inline(Box::new(Mutex::new(core)))), secret })
    }

    async fn call<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match &*self.way {
            Way::Inline(core) => {
                let mut core = core.lock().unwrap_or_else(PoisonError::into_inner);
                core.heal()?;
                let result = run(&mut core)?;
                core.sync()?;
                Ok(result)
            }
            Way::Thread { jobs, .. } => {
                let (tell, told) = oneshot::channel();
                let job: Job = Box::new(move |core| {
                    let result = core.heal().and_then(|()| run(core));
                    Box::new(move |synced| {
                        // Nobody may be waiting any more: the work is done all the same.
                        let _ = tell.send(result.and_then(|it| synced.clone().map(|()| it)));
                    })
                });
                jobs.send(job).await.map_err(|_| Error::Closed)?;
                match told.await {
                    Ok(result) => result,
                    Err(_) if jobs.is_closed() => Err(Error::Closed),
                    Err(_) => Err(Error::Damaged { detail: PANICKED.to_owned() }),
                }
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Txn<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.call(move |core| core.read(look)).await
    }

    /// Writes a commit: durable once this returns, all of it or nothing. Entries that it finishes
    /// or postpones are no longer taken.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Purged`], [`Error::Absent`], [`Error::Unfit`]: nothing was
    /// written. [`Error::Full`], [`Error::Io`]: whether it was written is unknown.
    pub async fn commit(&self, commit: Commit) -> Result<Done, Error> {
        self.call(move |core| {
            let released = commit.released();
            let done = core.write(|txn, secret| commit.run(txn, secret))?;
            core.release(&released);
            Ok(done)
        })
        .await
    }

    /// Takes in changes and, with the last of them, how far their sequence was read. Durable once
    /// this returns: what was heard may be acknowledged.
    ///
    /// # Errors
    /// As [`Journal::commit`]. A part of the changes may have been stored; hearing them again does
    /// no harm.
    pub async fn hear(
        &self,
        heard: Vec<Heard>,
        cursor: Option<(CursorName, String, Timestamp)>,
    ) -> Result<HearOutcome, Error> {
        let mut sum = HearOutcome::default();
        let mut heard = heard.into_iter().peekable();
        let mut cursor = cursor;
        loop {
            let mut commit = Commit::new();
            for change in heard.by_ref().take(HEAR) {
                commit.hear(change);
            }
            let last = heard.peek().is_none();
            if last && let Some((name, place, at)) = cursor.take() {
                commit.cursor(name, place, at);
            }
            if !commit.is_empty() {
                let part = self.commit(commit).await?.heard;
                sum.new += part.new;
                sum.folded += part.folded;
                sum.erased += part.erased;
            }
            if last {
                return Ok(sum);
            }
        }
    }

    /// Takes up to `limit` entries that are due, the most urgent lane first, without those of the
    /// mappings in `skip`. They are not given out again until a commit finishes or postpones them
    /// or [`Journal::release`] gives them back.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn take(
        &self,
        limit: usize,
        now: Timestamp,
        skip: BTreeSet<String>,
    ) -> Result<Vec<PendingEntry>, Error> {
        self.call(move |core| core.take(limit, now, &skip)).await
    }

    /// Gives entries back unchanged: they are due as before.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn release(&self, subjects: Vec<Subject>) -> Result<(), Error> {
        self.call(move |core| {
            core.release(&subjects);
            Ok(())
        })
        .await
    }

    /// All that is known of each subject, in their order.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn known(&self, subjects: Vec<Subject>) -> Result<Vec<Known>, Error> {
        self.read(move |txn| subjects.into_iter().map(|subject| known(txn, subject)).collect())
            .await
    }

    /// Numbers for new links. Numbers that are not used are lost, and never given again.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn new_links(&self, count: usize) -> Result<Vec<LinkId>, Error> {
        self.call(move |core| {
            core.write(|txn, _| Ok(txn.next_many("link", count as u64)?.map(LinkId).collect()))
        })
        .await
    }

    /// The number for a new hold.
    ///
    /// # Errors
    /// As [`Journal::commit`].
    pub async fn new_hold(&self) -> Result<u64, Error> {
        self.call(|core| core.write(|txn, _| txn.next("hold"))).await
    }

    /// The fingerprint of a matching key, which is already brought to one spelling.
    #[must_use]
    pub fn fingerprint(&self, text: &str) -> Fingerprint {
        self.secret.fingerprint(text)
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

    /// The entry of a subject that waits.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn pending(&self, subject: Subject) -> Result<Option<PendingEntry>, Error> {
        self.read(move |txn| txn.pending(&subject)).await
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
    /// those beyond the bounds. Also takes away daily counters older than the history.
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
            let mut statistics = core.read(statistics)?;
            statistics.taken = core.taken();
            statistics.commits = core.commits();
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

    /// Answers once the journal's thread has done all that was asked before: a sign of life for a
    /// watchdog.
    ///
    /// # Errors
    /// [`Error::Closed`], or what keeps the store from working.
    pub async fn ping(&self) -> Result<(), Error> {
        self.call(|_| Ok(())).await
    }

    /// Ends the journal: what was asked before is carried out, then the files are closed and the
    /// lock is free. Every handle answers [`Error::Closed`] from then on.
    pub async fn close(&self) {
        if let Way::Thread { ended, stop, .. } = &*self.way {
            stop.send_replace(true);
            // A job wakes the thread, which may be waiting for one.
            let _ = self.ping().await;
            let mut ended = ended.clone();
            while ended.changed().await.is_ok() {}
        }
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
    let intent = txn.get(&subject.intent_key())?;
    Ok(Known { subject, link, conflicts, rejects, ambiguous, intent })
}

fn statistics(txn: &Txn<'_>) -> Result<Statistics, Error> {
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

fn fresh_key() -> Result<[u8; 32], Error> {
    use ring::rand::SecureRandom as _;
    let mut key = [0; 32];
    ring::rand::SystemRandom::new().fill(&mut key).map_err(|_| Error::Io {
        doing: "opened",
        detail: "the system gives no random numbers".to_owned(),
    })?;
    Ok(key)
}

/// The journal's thread: carries out what is queued, makes it durable once, answers everyone.
fn serve(mut core: Core, mut queue: mpsc::Receiver<Job>, stopping: &watch::Receiver<bool>) {
    let mut jobs = VecDeque::new();
    while let Some(first) = jobs.pop_front().or_else(|| queue.blocking_recv()) {
        jobs.push_front(first);
        while jobs.len() < GROUP
            && let Ok(next) = queue.try_recv()
        {
            jobs.push_back(next);
        }
        let mut answers: Vec<Answer> = Vec::with_capacity(jobs.len());
        // The engine may panic on damage. The caller whose job it was learns of it by a dropped
        // answer; the next job opens the store anew or learns why that fails.
        let synced =
            catch_unwind(AssertUnwindSafe(|| run_group(&mut core, &mut jobs, &mut answers)))
                .unwrap_or_else(|_| {
                    core.fail();
                    Err(Error::Damaged { detail: PANICKED.to_owned() })
                });
        for answer in answers {
            answer(&synced);
        }
        if *stopping.borrow() {
            queue.close();
        }
    }
}

/// Carries jobs out until there is none left or the store fails, and makes durable what they
/// wrote.
fn run_group(
    core: &mut Core,
    jobs: &mut VecDeque<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    while let Some(job) = jobs.pop_front() {
        let was_dirty = core.is_dirty();
        answers.push(job(core));
        if core.is_failed() {
            // What the jobs before it wrote can no longer be made durable; those behind it are
            // left to the next round, which begins by opening the store anew.
            return if was_dirty {
                let detail = "the store failed before the flush".to_owned();
                Err(Error::Io { doing: "written", detail })
            } else {
                Ok(())
            };
        }
    }
    core.sync()
}
