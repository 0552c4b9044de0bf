//! What a transaction reads: as of its start, noted for the commit, and moved forward while nothing of it changed.

use std::sync::atomic::Ordering;

use vaxel_crypto::Purpose;

use crate::key::row_key;
use crate::limits::{APPLY_YIELDS_MAX, EXTENSIONS_MAX, READS_MAX};
use crate::transaction::{Write, check_key, counter_of};
use crate::window::KeyRange;
use crate::{Space, StorageError, Transaction, row};

impl Transaction {
    /// The value under a key; what this transaction wrote itself is seen.
    pub fn get(&mut self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        check_key(key)?;
        let key = row_key(self.tenant.id, space, &[key]);
        let by = match self.writes.get(&key) {
            Some(Write::Put { value, .. }) => return Ok(Some(value.clone())),
            Some(Write::Delete) => return Ok(None),
            Some(Write::Increment(by)) => Some(*by),
            None => None,
        };
        let stored = self.read(key)?;
        match by {
            Some(by) => added(stored.as_deref(), by).map(Some),
            None => Ok(stored),
        }
    }

    /// The values under several keys, in their order.
    pub fn get_many(
        &mut self,
        space: Space,
        keys: &[&[u8]],
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        keys.iter().map(|key| self.get(space, key)).collect()
    }

    /// Reads a stored value as of the start and notes that it was read.
    fn read(&mut self, key: Vec<u8>) -> Result<Option<Vec<u8>>, StorageError> {
        for _ in 0..EXTENSIONS_MAX {
            let seen = match self.shared.state.get(&key)? {
                Some(value) => {
                    let (header, _) = row::parse(&value)?;
                    if header.seq <= self.start && self.is_over(header) {
                        self.note_read(key)?;
                        return Ok(None);
                    }
                    if header.seq <= self.start {
                        let (keyring, id) = (&self.shared.keyring, self.tenant.id);
                        let plain = row::open(keyring, id, Purpose::Values, &key, &value)?;
                        self.note_read(key)?;
                        return Ok(plain);
                    }
                    header.seq
                }
                None => {
                    let window = self.tenant.window.lock();
                    if !window.may_be_deleted_since(self.start, &key) {
                        drop(window);
                        self.note_read(key)?;
                        return Ok(None);
                    }
                    self.start
                }
            };
            self.extend(seen)?;
        }
        Err(StorageError::Stale)
    }

    /// Moves the start forward to the applied state, if nothing that was read has changed since.
    ///
    /// `seen` is the newest commit that was met in the state. Its rows go in one by one, so it counts only
    /// when all of them are there, which takes a moment.
    pub(crate) fn extend(&mut self, seen: u64) -> Result<(), StorageError> {
        let mut now = self.tenant.applied.load(Ordering::Acquire);
        for _ in 0..APPLY_YIELDS_MAX {
            if now >= seen {
                break;
            }
            std::thread::yield_now();
            now = self.tenant.applied.load(Ordering::Acquire);
        }
        if now < seen {
            return Err(StorageError::Stale);
        }
        if !self.is_still_valid() {
            return Err(StorageError::Stale);
        }
        self.start = now;
        Ok(())
    }

    /// Whether nothing that was read has changed since the start.
    pub(crate) fn is_still_valid(&self) -> bool {
        let has_read = !self.reads.is_empty() || !self.ranges.is_empty();
        // What never read depends on nothing, however old it is.
        !has_read || {
            let window = self.tenant.window.lock();
            window.is_unchanged(self.start, self.reads.iter(), self.ranges.iter())
        }
    }

    fn note_read(&mut self, key: Vec<u8>) -> Result<(), StorageError> {
        self.reads.insert(key);
        self.check_reads()
    }

    pub(crate) fn note_range(&mut self, range: KeyRange) -> Result<(), StorageError> {
        self.ranges.push(range);
        self.check_reads()
    }

    fn check_reads(&self) -> Result<(), StorageError> {
        if self.reads.len() + self.ranges.len() > READS_MAX {
            return Err(StorageError::TooLarge {
                what: "reads",
                max: READS_MAX,
            });
        }
        Ok(())
    }
}

pub(crate) const OVERFLOW: StorageError = StorageError::Invalid {
    what: "a counter leaves its range",
};

/// A counter's bytes after adding; a missing one counts from 0.
pub(crate) fn added(value: Option<&[u8]>, by: i64) -> Result<Vec<u8>, StorageError> {
    let base = match value {
        Some(value) => counter_of(value).ok_or(StorageError::Invalid {
            what: "not a counter",
        })?,
        None => 0,
    };
    Ok(base.checked_add(by).ok_or(OVERFLOW)?.to_be_bytes().to_vec())
}

/// The value of an entry of the overlay, given what is stored under it.
pub(crate) fn overlaid(
    write: &Write,
    stored: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StorageError> {
    match write {
        Write::Put { value, .. } => Ok(Some(value.clone())),
        Write::Delete => Ok(None),
        Write::Increment(by) => added(stored, *by).map(Some),
    }
}
