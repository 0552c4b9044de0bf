//! What transactions and collections weigh, for those who keep accounts.

use std::ops::Bound;

use vaxel_core::TenantId;

use crate::key::{prefix_end, row_key};
use crate::state::State;
use crate::usage::size_of;
use crate::{Space, Storage, StorageError, Transaction};

impl Transaction {
    /// Keys and values of everything that it would change, in bytes.
    pub fn written_bytes(&self) -> usize {
        self.written_bytes
    }
}

impl Storage {
    /// What the rows of a plugin's collection take, keys and seals included, in bytes. A sum that every commit keeps;
    /// rows are walked only where no commit has begun it.
    pub fn usage_of(&self, tenant: TenantId, space: Space) -> Result<u64, StorageError> {
        let sum = self.begin(tenant).get(Space::WEIGHTS, space.bytes())?;
        match sum.and_then(|sum| sum.try_into().ok()) {
            Some(sum) => Ok(u64::try_from(i64::from_be_bytes(sum)).unwrap_or(0)),
            None => weight(&self.shared().state, tenant, space),
        }
    }
}

/// Walks a collection.
pub(crate) fn weight(state: &State, tenant: TenantId, space: Space) -> Result<u64, StorageError> {
    let prefix = row_key(tenant, space, &[]);
    let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
    let mut sum: u64 = 0;
    for row in state.range(&(Bound::Included(prefix), end)) {
        let (key, value) = row?;
        sum = sum.saturating_add(size_of(&key, value.len()));
    }
    Ok(sum)
}
