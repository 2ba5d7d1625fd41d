//! One view of the rows, with the changes that are to be written together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::codec;
use super::key::Key;
use super::store::{Op, Row, Span, Store};

/// The rows as they will be once the staged changes are written. Nothing reaches the store before
/// [`Txn::into_batch`] is written.
pub(super) struct Txn<'a> {
    store: &'a dyn Store,
    staged: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Txn<'a> {
    pub(super) fn new(store: &'a dyn Store) -> Self {
        Self { store, staged: BTreeMap::new() }
    }

    fn raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.staged.get(key) {
            Some(staged) => Ok(staged.clone()),
            None => self.store.get(key),
        }
    }

    /// The value of `key`.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        match self.raw(&key.0)? {
            Some(first) => self.decode(&key.0, &first).map(Some),
            None => Ok(None),
        }
    }

    /// The value whose first row is `first`.
    pub(super) fn decode<T: DeserializeOwned>(&self, key: &[u8], first: &[u8]) -> Result<T, Error> {
        codec::decode(key, first, |piece| self.raw(&piece.0))
    }

    /// The bytes of the value whose first row is `first`.
    pub(super) fn payload(&self, key: &[u8], first: &[u8]) -> Result<Vec<u8>, Error> {
        codec::payload(key, first, |piece| self.raw(&piece.0)).map(Cow::into_owned)
    }

    /// All rows of the value whose first row is `first`.
    pub(super) fn rows_of(&self, key: &[u8], first: &[u8]) -> Result<Vec<Row>, Error> {
        let mut rows = vec![(key.to_vec(), first.to_vec())];
        for number in 0..codec::further_pieces(first) {
            let piece = codec::piece_key(key, number).0;
            if let Some(row) = self.raw(&piece)? {
                rows.push((piece, row));
            }
        }
        Ok(rows)
    }

    /// A value's first row as stored.
    pub(super) fn first_row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.raw(key)
    }

    /// Whether `key` has a value.
    pub(super) fn has(&self, key: &Key) -> Result<bool, Error> {
        Ok(self.raw(&key.0)?.is_some())
    }

    /// Gives `key` a value.
    pub(super) fn put<T: Serialize>(&mut self, key: &Key, value: &T) -> Result<(), Error> {
        let rows = codec::encode(key, value)?;
        let before = self.raw(&key.0)?.map_or(0, |first| codec::further_pieces(&first));
        let now = u16::try_from(rows.len() - 1).unwrap_or(u16::MAX);
        for number in now..before {
            self.staged.insert(codec::piece_key(&key.0, number).0, None);
        }
        for (key, row) in rows {
            self.staged.insert(key.0, Some(row));
        }
        Ok(())
    }

    /// Takes `key`'s value away, where it has one.
    pub(super) fn delete(&mut self, key: &Key) -> Result<(), Error> {
        let Some(first) = self.raw(&key.0)? else { return Ok(()) };
        for number in 0..codec::further_pieces(&first) {
            self.staged.insert(codec::piece_key(&key.0, number).0, None);
        }
        self.staged.insert(key.0.clone(), None);
        Ok(())
    }

    /// The rows of `span`, at most `limit`, in order; staged changes included.
    pub(super) fn scan(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        if span.is_empty() {
            return Ok(Vec::new());
        }
        let to = span.to.as_deref();
        let staged = || {
            self.staged
                .range::<[u8], _>((
                    std::ops::Bound::Included(span.from.as_slice()),
                    to.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded),
                ))
                .map(|(key, value)| (key.clone(), value.clone()))
        };
        let hidden = staged().count();
        let stored = self.store.scan(span, limit.saturating_add(hidden))?;
        if hidden == 0 {
            return Ok(stored);
        }
        let mut rows: BTreeMap<Vec<u8>, Option<Vec<u8>>> =
            stored.into_iter().map(|(key, value)| (key, Some(value))).collect();
        rows.extend(staged());
        Ok(rows
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
            .take(limit)
            .collect())
    }

    /// The last rows of `span`, backwards. Staged changes are not seen: for reading only.
    pub(super) fn scan_back(&self, span: &Span, limit: usize) -> Result<Vec<Row>, Error> {
        self.store.scan_back(span, limit)
    }

    /// The values of `span`, at most `limit`, with their keys.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        span: &Span,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, Error> {
        self.scan(span, limit)?
            .into_iter()
            .map(|(key, first)| {
                let value = self.decode(&key, &first)?;
                Ok((key, value))
            })
            .collect()
    }

    /// Deletes everything that begins with `prefix`; how many values there were.
    pub(super) fn delete_all(&mut self, prefix: &Key) -> Result<usize, Error> {
        let rows = self.scan(&Span::prefix(&prefix.0), usize::MAX)?;
        let count = rows.len();
        for (key, _) in rows {
            self.delete(&Key(key))?;
        }
        Ok(count)
    }

    /// The staged changes as one batch, without those that would change nothing.
    pub(super) fn into_batch(self) -> Vec<Op> {
        self.staged
            .into_iter()
            .map(|(key, value)| match value {
                Some(value) => Op::Put(key, value),
                None => Op::Delete(key),
            })
            .collect()
    }
}
