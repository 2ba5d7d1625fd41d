//! The narrow interface to a storage engine: get, scan, write a batch, make it durable.

use super::Error;

/// One row: key and value, as stored.
pub type Row = (Vec<u8>, Vec<u8>);

/// One change to the stored rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The row with this key has this value from now on.
    Put(Vec<u8>, Vec<u8>),
    /// There is no row with this key from now on.
    Delete(Vec<u8>),
}

/// Which rows a scan visits: `from` inclusive, `to` exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The first key that belongs to it.
    pub from: Vec<u8>,
    /// The first key that no longer does; none: to the end.
    pub to: Option<Vec<u8>>,
}

impl Span {
    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self { from: Vec::new(), to: None }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { from: prefix.to_vec(), to: after_prefix(prefix) }
    }

    /// The same, without `key` and those before it.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        let mut next = key.to_vec();
        next.push(0);
        if next > self.from {
            self.from = next;
        }
        self
    }

    /// The same, without `key` and those behind it.
    #[must_use]
    pub fn before(mut self, key: &[u8]) -> Self {
        if self.to.as_deref().is_none_or(|to| key < to) {
            self.to = Some(key.to_vec());
        }
        self
    }

    /// Whether no key can belong to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The first key behind all keys that begin with `prefix`.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// What a store takes up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk, dead ones included.
    pub disk: u64,
    /// How often a batch was made durable since the store was opened.
    pub syncs: u64,
    /// Bytes that are free on the file system, where that is known.
    pub free: Option<u64>,
}

/// A storage engine. It has one user at a time.
pub trait Store: Send {
    /// The value of `key`.
    ///
    /// # Errors
    /// Where the engine cannot read it.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// The rows of `span` in the order of their keys, at most `limit`.
    ///
    /// # Errors
    /// Where the engine cannot read them.
    fn scan(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error>;

    /// The rows of `span` from the last key backwards, at most `limit`.
    ///
    /// # Errors
    /// Where the engine cannot read them.
    fn scan_back(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error>;

    /// Writes all of `batch` or nothing of it, also when the process dies on the way. It is not
    /// durable before [`Store::sync`].
    ///
    /// # Errors
    /// Where the engine cannot write. What the batch did is unknown until the store is opened
    /// again.
    fn write(&mut self, batch: &[Op]) -> Result<(), Error>;

    /// Makes everything that was written durable: it survives a power cut from here on.
    ///
    /// # Errors
    /// Where the disk refuses. What was written since the last sync is in doubt.
    fn sync(&mut self) -> Result<(), Error>;

    /// Opens the engine's files anew after an error: some engines refuse everything after one.
    ///
    /// # Errors
    /// Where it still does not work.
    fn reopen(&mut self) -> Result<(), Error>;

    /// What it takes up.
    fn usage(&self) -> Usage;
}
