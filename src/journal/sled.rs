//! The embedded database under the journal, sled 0.34, used by five rules that were measured.
//!
//! 1. Its flush is no fsync on Linux: every commit is a flush *and* an own `fdatasync` of its file.
//! 2. A process that dies while sled opens leaves a half-written snapshot, which sled takes for a
//!    whole one ever after: it is removed before opening, under an own lock.
//! 3. Its memory is reclaimed only when threads pin epochs often: that is done after each batch.
//! 4. Small values, and a fresh copy at start where most of the file is dead: it never shrinks.
//! 5. One thread owns it, and a panic of it is caught.
//!
//! One more thing was found: it takes a file whose end is cut off for one that a crash left, and
//! opens without the lost rows and without a word. So each flush has a number, inside and in a file
//! of its own beside, and a database that is behind that file is called damaged.
//!
//! ```text
//! <directory>/LOCK     who has it open
//! <directory>/HEAD     the number of the last flush, written after it
//! <directory>/db/      sled's files
//! <directory>/db.new/  a copy that is being made: removed at the next start
//! <directory>/db.old/  what a finished copy replaced: removed at the next start
//! ```

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::Error;
use super::store::{Op, Row, Span, Store, Usage};

const DB: &str = "db";
const NEW: &str = "db.new";
const OLD: &str = "db.old";
const HEAD: &str = "HEAD";

/// How many rows a copy carries over at a time.
const COPY_ROWS: usize = 100;

/// How many times as large as keys and values fresh files may be: the log's own words, pages, and
/// what is written twice while it is filled.
const COPY_FACTOR: u64 = 4;

/// How the database is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of page cache. The process takes three to five times as much when all of it is used.
    pub cache_bytes: u64,
    /// Writes are refused while the file system has less than this free, so that the journal can
    /// still be opened, which itself takes some room.
    pub reserve_bytes: u64,
    /// The files are copied at start where they are greater than this…
    pub copy_above: u64,
    /// … and this many times greater than what lives in them.
    pub dead_factor: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            reserve_bytes: 32 << 20,
            copy_above: 32 << 20,
            dead_factor: 8,
        }
    }
}

/// What a compaction came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Values that were copied.
    pub rows: u64,
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk afterwards.
    pub after: u64,
}

/// Copies what lives in the journal in `dir` into fresh files, which take the old ones' place once
/// they are whole and synced: a crash on the way leaves the old or the new ones, and the next opening
/// clears away the others. `progress` is told of values that were copied and of how many there are.
///
/// # Errors
/// [`Error::InUse`] while another process has it open; [`Error::Damaged`], which leaves everything as
/// it is; [`Error::Full`] where there is no room for both; [`Error::Io`].
pub fn compact(
    dir: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Compacted, Error> {
    let mut store = SledStore::open_behind(dir, options)?;
    store.head.number = store.opened()?.not_behind(store.head.number)?;
    let before = store.usage().disk;
    let (rows, bytes) = store.live()?;
    store.check_room_for(bytes)?;
    progress(0, rows);
    store.copy(&mut |copied| progress(copied, rows))?;
    Ok(Compacted { rows, before, after: store.usage().disk })
}

/// The database in a directory.
pub struct SledStore {
    dir: PathBuf,
    options: Options,
    /// Nothing after an error, until it is opened anew.
    open: Option<Opened>,
    syncs: u64,
    head: Head,
    /// Held until the store is dropped; its file says who holds it.
    _lock: File,
}

/// The number of the last flush.
struct Head {
    number: u64,
    file: File,
    /// Something was written since.
    moved: bool,
}

impl Head {
    /// Reads the number from its file. A file that is absent or short says nothing.
    fn open(dir: &Path) -> Result<Self, Error> {
        let io = |error: std::io::Error| Error::io("opened", &error);
        let options = File::options().create(true).truncate(false).read(true).write(true).clone();
        let file = options.open(dir.join(HEAD)).map_err(io)?;
        let mut bytes = [0; 8];
        let number = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_be_bytes(bytes),
            Err(_) => 0,
        };
        Ok(Self { number, file, moved: false })
    }
}

struct Opened {
    db: ::sled::Db,
    /// The number of the last flush, as the database has it. A tree of its own: the rows' keys
    /// belong to the journal.
    head: ::sled::Tree,
    /// The database's file, for the sync that sled does not do.
    file: File,
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens, or creates, the database in a directory.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Damaged`], [`Error::Full`], [`Error::Io`].
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Error> {
        let mut store = Self::open_behind(dir, options)?;
        store.head.number = store.opened()?.not_behind(store.head.number)?;
        if store.is_mostly_dead()? {
            store.copy(&mut |_| {})?;
        }
        Ok(store)
    }

    /// The same, but takes a database whose end is lost for what it still is: for salvage.
    pub(super) fn open_behind(dir: &Path, options: &Options) -> Result<Self, Error> {
        let made = |error: &std::io::Error| Error::io("opened", error);
        let is_new = !dir.exists();
        fs::create_dir_all(dir).map_err(|error| made(&error))?;
        if is_new && let Some(above) = dir.parent().filter(|above| above.as_os_str() != "") {
            sync_dir(above)?;
        }
        let lock = lock(dir)?;
        tidy(dir)?;
        let opened = open_db(&dir.join(DB), options)?;
        sync_dir(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            options: options.clone(),
            open: Some(opened),
            syncs: 0,
            head: Head::open(dir)?,
            _lock: lock,
        })
    }

    /// Opens a copy of the database's files in `scratch`, without sled's snapshots: a snapshot that
    /// speaks of more than the files still have keeps sled from opening them at all. Without one it
    /// reads its log from the beginning, as far as that goes.
    pub(super) fn open_without_snapshots(
        dir: &Path,
        scratch: &Path,
        options: &Options,
    ) -> Result<Self, Error> {
        copy_files(&dir.join(DB), &scratch.join(DB))?;
        Self::open_behind(scratch, options)
    }

    fn opened(&self) -> Result<&Opened, Error> {
        self.open.as_ref().ok_or_else(|| Error::Io {
            doing: "used",
            detail: "it failed and was not opened again".to_owned(),
        })
    }

    /// Whether so much of the files is dead that a copy is worth its while. Reads no more than it
    /// takes to know.
    fn is_mostly_dead(&self) -> Result<bool, Error> {
        let disk = self.usage().disk;
        if disk <= self.options.copy_above {
            return Ok(false);
        }
        let enough = disk / self.options.dead_factor.max(1);
        let mut live = 0u64;
        for row in self.opened()?.db.iter() {
            let (key, value) = row.map_err(|error| engine("read", &error))?;
            live += (key.len() + value.len()) as u64;
            if live >= enough {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies what lives into fresh files and puts them in place of the old ones. A crash on the
    /// way leaves one or the other whole. Tells how many rows were copied so far.
    fn copy(&mut self, copied: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let renamed = |error: std::io::Error| Error::io("renamed", &error);
        let (db, new, old) = (self.dir.join(DB), self.dir.join(NEW), self.dir.join(OLD));
        copy_rows(self.opened()?, &new, &self.options, copied)?;
        sync_dir(&self.dir)?;
        self.open = None;
        fs::rename(&db, &old).map_err(renamed)?;
        fs::rename(&new, &db).map_err(renamed)?;
        sync_dir(&self.dir)?;
        fs::remove_dir_all(&old).map_err(renamed)?;
        self.open = Some(open_db(&db, &self.options)?);
        Ok(())
    }

    /// How many rows there are, and the bytes of their keys and values.
    fn live(&self) -> Result<(u64, u64), Error> {
        let (mut rows, mut bytes) = (0, 0);
        for row in self.opened()?.db.iter() {
            let (key, value) = row.map_err(|error| engine("read", &error))?;
            rows += 1;
            bytes += (key.len() + value.len()) as u64;
        }
        Ok((rows, bytes))
    }

    /// Refuses a copy for which the file system has no room beside the old files.
    fn check_room_for(&self, live: u64) -> Result<(), Error> {
        let needed = live.saturating_mul(COPY_FACTOR).saturating_add(self.options.reserve_bytes);
        match free_bytes(&self.dir) {
            Some(free) if free < needed => Err(Error::Full {
                detail: format!(
                    "{} MiB are free, a copy beside the old files may take {} MiB",
                    free >> 20,
                    needed.div_ceil(1 << 20)
                ),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses to write where the file system is nearly full.
    fn check_room(&self) -> Result<(), Error> {
        match free_bytes(&self.dir) {
            Some(free) if free < self.options.reserve_bytes => Err(Error::Full {
                detail: format!(
                    "{} MiB are free, writing stops below {} MiB",
                    free >> 20,
                    self.options.reserve_bytes >> 20
                ),
            }),
            _ => Ok(()),
        }
    }
}

impl Opened {
    fn number(&self) -> Result<u64, Error> {
        let bytes = self.head.get(HEAD).map_err(|error| engine("read", &error))?;
        let bytes = bytes.and_then(|bytes| bytes.as_ref().try_into().ok());
        Ok(bytes.map_or(0, u64::from_be_bytes))
    }

    /// Its number, unless it is behind the number of the last flush.
    fn not_behind(&self, last: u64) -> Result<u64, Error> {
        match self.number()? {
            inside if inside >= last => Ok(inside),
            inside => Err(Error::Damaged {
                detail: format!("its files end at flush {inside}, the last one was {last}"),
            }),
        }
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let value = self.opened()?.db.get(key).map_err(|error| engine("read", &error))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        rows(range(&self.opened()?.db, span).take(limit))
    }

    fn scan_back(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        rows(range(&self.opened()?.db, span).rev().take(limit))
    }

    fn write(&mut self, batch: &[Op]) -> Result<(), Error> {
        self.check_room()?;
        let mut all = ::sled::Batch::default();
        for op in batch {
            match op {
                Op::Put(key, value) => all.insert(key.as_slice(), value.as_slice()),
                Op::Delete(key) => all.remove(key.as_slice()),
            }
        }
        self.opened()?.db.apply_batch(all).map_err(|error| engine("written", &error))?;
        pump();
        self.head.moved = true;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        let number = self.head.number + u64::from(self.head.moved);
        let opened = self.opened()?;
        if self.head.moved {
            let bytes = number.to_be_bytes();
            opened.head.insert(HEAD, &bytes).map_err(|error| engine("synced", &error))?;
        }
        opened.db.flush().map_err(|error| engine("synced", &error))?;
        opened.file.sync_data().map_err(|error| Error::io("synced", &error))?;
        // Written after the flush and not synced itself: it is never ahead of what is durable.
        let bytes = number.to_be_bytes();
        self.head.file.write_all_at(&bytes, 0).map_err(|error| Error::io("synced", &error))?;
        self.head.number = number;
        self.head.moved = false;
        self.syncs += 1;
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        // The old one must let go of its files first.
        self.open = None;
        self.check_room()?;
        let opened = open_db(&self.dir.join(DB), &self.options)?;
        self.head.number = opened.not_behind(self.head.number)?;
        self.open = Some(opened);
        Ok(())
    }

    fn usage(&self) -> Usage {
        let disk = self.open.as_ref().and_then(|opened| opened.db.size_on_disk().ok());
        Usage { disk: disk.unwrap_or(0), syncs: self.syncs, free: free_bytes(&self.dir) }
    }
}

fn rows(
    found: impl Iterator<Item = ::sled::Result<(::sled::IVec, ::sled::IVec)>>,
) -> Result<Vec<Row>, Error> {
    found
        .map(|row| match row {
            Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
            Err(error) => Err(engine("read", &error)),
        })
        .collect()
}

fn range(db: &::sled::Db, span: &Span) -> ::sled::Iter {
    match &span.to {
        Some(to) => db.range(span.from.as_slice()..to.as_slice()),
        None => db.range(span.from.as_slice()..),
    }
}

/// Lets the engine reclaim memory and file segments.
fn pump() {
    for _ in 0..2 {
        crossbeam_epoch::pin().flush();
    }
}

/// Takes the directory's lock and writes into its file who has it.
fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("LOCK");
    let io = |error: std::io::Error| Error::io("locked", &error);
    let mut file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                text => text.to_owned(),
            };
            return Err(Error::InUse { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    #[expect(clippy::disallowed_methods, reason = "says to people since when; decides nothing")]
    let now = jiff::Timestamp::now();
    file.set_len(0).map_err(io)?;
    writeln!(file, "process {} since {now:.0}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// Brings the directory into order after a process that died on the way.
fn tidy(dir: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::io("tidied", &error);
    let (db, new, old) = (dir.join(DB), dir.join(NEW), dir.join(OLD));
    if !db.exists() && old.exists() && new.exists() {
        // Between the two renames: the copy was whole and synced before the first one.
        fs::rename(&new, &db).map_err(io)?;
    } else if !db.exists() && old.exists() {
        fs::rename(&old, &db).map_err(io)?;
    }
    for leftover in [new, old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(io)?;
        }
    }
    if db.exists() {
        remove_half_snapshots(&db)?;
    }
    sync_dir(dir)
}

/// sled writes its snapshot to `snap.….generating` while it opens. A process that dies then leaves
/// it, and sled takes it for the newest whole snapshot and reports damage ever after (sled issues
/// 1527 and 1533).
fn remove_half_snapshots(db: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::io("tidied", &error);
    for entry in fs::read_dir(db).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(entry.path()).map_err(io)?;
        }
    }
    Ok(())
}

/// Copies a directory of sled's, all but its snapshots.
fn copy_files(from: &Path, to: &Path) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::io("copied", &error);
    fs::create_dir_all(to).map_err(io)?;
    for entry in fs::read_dir(from).map_err(io)? {
        let entry = entry.map_err(io)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(io)?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else if !entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::copy(entry.path(), target).map_err(io)?;
        }
    }
    Ok(())
}

fn open_db(path: &Path, options: &Options) -> Result<Opened, Error> {
    if path.exists() {
        remove_half_snapshots(path)?;
    }
    let config = ::sled::Config::new()
        .path(path)
        .cache_capacity(options.cache_bytes)
        .flush_every_ms(Some(500));
    let db = catch_unwind(AssertUnwindSafe(|| config.open()))
        .map_err(|_| Error::Damaged {
            detail: "the storage engine panicked while it opened its files".to_owned(),
        })?
        .map_err(|error| engine("opened", &error))?;
    let file = File::open(path.join("db")).map_err(|error| Error::io("opened", &error))?;
    sync_dir(path)?;
    let head = db.open_tree(HEAD).map_err(|error| engine("opened", &error))?;
    Ok(Opened { db, head, file })
}

/// Copies every row into a fresh database and makes it durable.
fn copy_rows(
    from: &Opened,
    to: &Path,
    options: &Options,
    copied: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let io = |error: std::io::Error| Error::io("copied", &error);
    if to.exists() {
        fs::remove_dir_all(to).map_err(io)?;
    }
    let target = open_db(to, options)?;
    let mut batch = ::sled::Batch::default();
    let (mut size, mut sum) = (0, 0);
    for row in from.db.iter() {
        let (key, value) = row.map_err(|error| engine("read", &error))?;
        batch.insert(key, value);
        size += 1;
        if size == COPY_ROWS {
            let full = std::mem::take(&mut batch);
            target.db.apply_batch(full).map_err(|error| engine("copied", &error))?;
            pump();
            sum += COPY_ROWS as u64;
            copied(sum);
            size = 0;
        }
    }
    copied(sum + size as u64);
    target.db.apply_batch(batch).map_err(|error| engine("copied", &error))?;
    let number = from.number()?.to_be_bytes();
    target.head.insert(HEAD, &number).map_err(|error| engine("copied", &error))?;
    target.db.flush().map_err(|error| engine("copied", &error))?;
    target.file.sync_all().map_err(io)
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| Error::io("synced", &error))
}

/// Bytes that are free to us on the file system.
fn free_bytes(dir: &Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(dir).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

fn engine(doing: &'static str, error: &::sled::Error) -> Error {
    match error {
        ::sled::Error::Io(error) => Error::io(doing, error),
        ::sled::Error::Corruption { .. } | ::sled::Error::ReportableBug(_) => {
            Error::Damaged { detail: error.to_string() }
        }
        other => Error::Io { doing, detail: other.to_string() },
    }
}
