//! The journal as the daemon has it: an asynchronous handle that can be cloned.
//!
//! In production one operating-system thread owns the store; callers send it jobs and wait. It
//! carries out what is queued, makes it durable once, and answers everyone: sixty-four commits at a
//! time cost hardly more than one. In the simulation the same jobs run on the caller, without
//! threads and without a clock.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::core::Core;
use super::facts::CursorName;
use super::pending::{HearOutcome, Heard, Lane, PendingEntry, Subject};
use super::secret::Secret;
use super::store::Store;
use super::txn::Txn;
use super::{Commit, Done, Error, Options, sled};
use crate::record::{Fingerprint, LinkId};

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
    pub(super) secret: Secret,
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

    pub(super) async fn call<T: Send + 'static>(
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

    pub(super) async fn read<T: Send + 'static>(
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
        self.take_of(&Lane::ALL, limit, now, skip).await
    }

    /// The same for some lanes only.
    ///
    /// # Errors
    /// As [`Journal::take`].
    pub async fn take_of(
        &self,
        lanes: &'static [Lane],
        limit: usize,
        now: Timestamp,
        skip: BTreeSet<String>,
    ) -> Result<Vec<PendingEntry>, Error> {
        self.call(move |core| core.take(lanes, limit, now, &skip)).await
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
