//! The journal's rows in memory: for the simulation and for tests.
//!
//! A [`Disk`] is what survives. A [`MemoryStore`] is one process's view of it: what it wrote and
//! did not sync is lost by [`Disk::crash`], and a store of an earlier life can no longer reach the
//! disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Error;
use super::store::{Op, Row, Span, Store, Usage};

#[derive(Debug, Clone, Default)]
struct State {
    current: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the keys that were written since the last sync held at that sync.
    undo: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    life: u64,
    syncs: u64,
    writes: u64,
    fail_write: Option<u64>,
    fail_sync: Option<u64>,
    broken: bool,
}

impl State {
    fn roll_back(&mut self) {
        for (key, value) in std::mem::take(&mut self.undo) {
            match value {
                Some(value) => self.current.insert(key, value),
                None => self.current.remove(&key),
            };
        }
    }
}

/// What survives a crash. Clones are the same disk; [`Disk::image`] is another one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power: what was not synced is gone, and the stores that were open fail from now
    /// on. Returns how many rows fell back.
    pub fn crash(&self) -> usize {
        let mut state = self.state();
        let lost = state.undo.len();
        state.roll_back();
        state.life += 1;
        state.broken = false;
        state.fail_write = None;
        state.fail_sync = None;
        lost
    }

    /// A copy of what is durable now, as a disk of its own.
    #[must_use]
    pub fn image(&self) -> Self {
        let mut copy = self.state().clone();
        copy.roll_back();
        Self(Arc::new(Mutex::new(State { current: copy.current, ..State::default() })))
    }

    /// Makes the `n`-th write from now fail (1: the next), as a full disk does: everything fails
    /// until the store is reopened.
    pub fn fail_write(&self, n: u64) {
        let mut state = self.state();
        state.fail_write = Some(state.writes + n);
    }

    /// The same for the `n`-th sync from now. What it was to make durable is in doubt; here it is
    /// lost at the next reopening.
    pub fn fail_sync(&self, n: u64) {
        let mut state = self.state();
        state.fail_sync = Some(state.syncs + n);
    }

    /// Changes a byte, as a failing disk does: the `byte`-th of the value of the `row`-th
    /// row, both counted round. Returns whether there was one.
    pub fn flip(&self, row: usize, byte: usize) -> bool {
        let mut state = self.state();
        let rows = state.current.len();
        if rows == 0 {
            return false;
        }
        let Some(key) = state.current.keys().nth(row % rows).cloned() else { return false };
        let Some(value) = state.current.get_mut(&key).filter(|value| !value.is_empty()) else {
            return false;
        };
        let place = byte % value.len();
        value[place] ^= 0x10;
        true
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.state().current.len()
    }
}

/// One process's view of a [`Disk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: Disk,
    life: u64,
}

impl MemoryStore {
    /// Opens the disk as a process that has just started does.
    #[must_use]
    pub fn open(disk: &Disk) -> Self {
        let life = disk.state().life;
        Self { disk: disk.clone(), life }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.disk.state();
        if state.life != self.life {
            return Err(Error::Closed);
        }
        if state.broken {
            return Err(full());
        }
        Ok(state)
    }
}

fn full() -> Error {
    Error::Full { detail: "the simulated disk refuses".to_owned() }
}

fn bounds(span: &Span) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let to = span.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(&span.from), to)
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state()?.current.get(key).cloned())
    }

    fn scan(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.state()?;
        let rows = state.current.range::<[u8], _>(bounds(span));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn scan_back(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let state = self.state()?;
        let rows = state.current.range::<[u8], _>(bounds(span)).rev();
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&mut self, batch: &[Op]) -> Result<(), Error> {
        let mut state = self.state()?;
        state.writes += 1;
        if state.fail_write == Some(state.writes) {
            state.broken = true;
            return Err(full());
        }
        for op in batch {
            let (key, before) = match op {
                Op::Put(key, value) => (key, state.current.insert(key.clone(), value.clone())),
                Op::Delete(key) => (key, state.current.remove(key)),
            };
            state.undo.entry(key.clone()).or_insert(before);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        let mut state = self.state()?;
        state.syncs += 1;
        if state.fail_sync == Some(state.syncs) {
            state.broken = true;
            return Err(full());
        }
        state.undo.clear();
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(Error::Closed);
        }
        if state.broken {
            state.roll_back();
            state.broken = false;
        }
        Ok(())
    }

    fn usage(&self) -> Usage {
        let state = self.disk.state();
        let disk = state.current.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        Usage { disk: disk as u64, syncs: state.syncs, free: None }
    }
}
