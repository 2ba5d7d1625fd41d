//! The journal without threads: one store, what is taken out of it at present, and its key.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Error;
use super::pending::{self, Lane, PendingEntry, Subject};
use super::secret::Secret;
use super::store::Store;
use super::txn::Txn;

/// The format of the keys. Values carry their own version.
pub(super) const FORMAT: u32 = 1;

pub(super) struct Core {
    store: Box<dyn Store>,
    secret: Secret,
    /// The entries that are being settled, with the version that was taken. After a restart they
    /// are due again.
    taken: BTreeMap<Subject, u64>,
    passed: [u32; 3],
    /// Something was written that is not durable yet.
    dirty: bool,
    /// The store refused: it is opened anew before it is used again.
    failed: bool,
    commits: u64,
    flushes: u64,
}

impl Core {
    /// Takes a store into use. `fresh` is the key of a journal that has none yet.
    pub(super) fn start(mut store: Box<dyn Store>, fresh: &[u8]) -> Result<Self, Error> {
        let mut txn = Txn::new(store.as_ref());
        let secret = match txn.fact::<u32>("format")? {
            Some(FORMAT) => {
                let stored = txn.fact::<Vec<u8>>("secret")?;
                stored.ok_or_else(|| Error::Damaged { detail: "its own key is missing".into() })?
            }
            Some(found) => return Err(Error::Format { found, ours: FORMAT }),
            None => {
                txn.set_fact("format", &FORMAT)?;
                txn.set_fact("secret", &fresh.to_vec())?;
                fresh.to_vec()
            }
        };
        let batch = txn.into_batch();
        if !batch.is_empty() {
            store.write(&batch)?;
            store.sync()?;
        }
        Ok(Self {
            store,
            secret: Secret::new(&secret),
            taken: BTreeMap::new(),
            passed: [0; 3],
            dirty: false,
            failed: false,
            commits: 0,
            flushes: 0,
        })
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    pub(super) fn flushes(&self) -> u64 {
        self.flushes
    }

    pub(super) fn is_failed(&self) -> bool {
        self.failed
    }

    /// Opens the store anew where it refused before.
    pub(super) fn heal(&mut self) -> Result<(), Error> {
        if self.failed {
            self.store.reopen()?;
            self.failed = false;
            self.dirty = false;
        }
        Ok(())
    }

    /// Reads.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Txn<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        look(&Txn::new(self.store.as_ref()))
    }

    /// Writes what `change` stages, as one batch. It is durable after [`Core::sync`].
    pub(super) fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Txn<'_>, &Secret) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut txn = Txn::new(self.store.as_ref());
        let result = change(&mut txn, &self.secret)?;
        let batch = txn.into_batch();
        if !batch.is_empty() {
            if let Err(error) = self.store.write(&batch) {
                self.failed = true;
                return Err(error);
            }
            self.dirty = true;
            self.commits += 1;
        }
        Ok(result)
    }

    /// Whether something waits for [`Core::sync`].
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> Result<(), Error> {
        if self.dirty {
            if let Err(error) = self.store.sync() {
                self.failed = true;
                return Err(error);
            }
            self.dirty = false;
            self.flushes += 1;
        }
        Ok(())
    }

    /// Marks the store as one that must be opened anew.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Takes entries out for settling: they are not given out again before they are released.
    pub(super) fn take(
        &mut self,
        asked: &[Lane],
        limit: usize,
        now: Timestamp,
        skip: &BTreeSet<String>,
    ) -> Result<Vec<PendingEntry>, Error> {
        let txn = Txn::new(self.store.as_ref());
        let mut lanes = [const { Vec::new() }; 3];
        for (lane, due) in Lane::ALL.into_iter().zip(&mut lanes) {
            if asked.contains(&lane) {
                *due = txn.due(lane, limit, now, skip, &self.taken)?;
            }
        }
        let chosen = pending::choose(lanes, limit, &mut self.passed);
        for entry in &chosen {
            self.taken.insert(entry.subject.clone(), entry.version);
        }
        Ok(chosen)
    }

    /// Gives entries back, whatever became of them.
    pub(super) fn release(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            self.taken.remove(subject);
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.len()
    }
}
