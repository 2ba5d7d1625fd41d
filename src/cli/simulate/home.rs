//! Where a history's journal lives, and what of it outlives the process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::seams::{Plant, SteppedStore, Steps};
use crate::journal::sled::SledStore;
use crate::journal::{Disk, Error, Journal, MemoryStore, Options, Store};

/// One history in so many keeps its journal in sled, on the real disk.
const SLED_EVERY: u64 = 100;

/// Which one of them: not the first, which every short run lives through.
const SLED_AT: u64 = 50;

/// The key of every journal's fingerprints.
const KEY: [u8; 32] = [7; 32];

/// Two ways to end, each of which a journal must bear: in memory what was not synced is lost, as
/// when the power is cut; sled keeps what was written, as when the process is killed and the machine
/// goes on. What of the unsynced a killed sled had handed to the system depends on its threads, so
/// that it would not be the same run twice: here it is all.
#[derive(Debug)]
pub(super) enum Home {
    Memory(Disk),
    Sled(Folder),
}

impl Home {
    pub(super) fn of(seed: u64) -> Self {
        match seed % SLED_EVERY {
            SLED_AT => Self::Sled(Folder::new()),
            _ => Self::Memory(Disk::new()),
        }
    }

    /// Opens the journal as a new process does.
    pub(super) fn journal(
        &self,
        steps: &Arc<Steps>,
        plant: Option<Plant>,
    ) -> Result<Journal, Error> {
        match self {
            Self::Memory(disk) => open(MemoryStore::open(disk), steps, plant),
            Self::Sled(folder) => {
                let options = Options { cache_bytes: 1 << 20, ..Options::default() };
                open(SledStore::open(folder.path(), &options)?, steps, plant)
            }
        }
    }

    /// The process has ended.
    pub(super) fn crash(&self) {
        if let Self::Memory(disk) = self {
            disk.crash();
        }
    }
}

fn open(
    inner: impl Store + 'static,
    steps: &Arc<Steps>,
    plant: Option<Plant>,
) -> Result<Journal, Error> {
    let steps = Arc::clone(steps);
    Journal::inline(SteppedStore { inner, steps, plant, written: 0 }, KEY)
}

/// A folder of one history. It goes with it.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), LAST.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(format!("lockstep-history-{process}-{number}")))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
