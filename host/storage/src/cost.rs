//! What transactions and collections weigh, for those who keep accounts.

use std::ops::Bound;

use vaxel_core::TenantId;

use crate::key::{prefix_end, row_key};
use crate::transaction::Write;
use crate::usage::size_of;
use crate::{Space, Storage, StorageError, Transaction};

impl Transaction {
    /// Keys and values of everything that it would change, in bytes.
    pub fn written_bytes(&self) -> usize {
        self.written_bytes
    }

    /// What it would add to a collection, in bytes; what it replaces or deletes is not taken off.
    pub fn added_bytes(&self, space: Space) -> u64 {
        let prefix = row_key(self.tenant(), space, &[]);
        let own = self.writes.range(prefix.clone()..);
        let puts = own.take_while(|(key, _)| key.starts_with(&prefix));
        let puts = puts.map(|(key, write)| match write {
            Write::Put { value, .. } => size_of(key, value.len()),
            Write::Increment(_) => size_of(key, 8),
            Write::Delete => 0,
        });
        let appends = self.appends.iter();
        let appends = appends.filter(|append| append.prefix.starts_with(&prefix));
        let appends = appends.map(|append| size_of(&append.prefix, append.value.len()));
        puts.chain(appends).sum()
    }
}

impl Storage {
    /// What the rows of a collection take, in bytes. Walks them all.
    pub fn usage_of(&self, tenant: TenantId, space: Space) -> Result<u64, StorageError> {
        let prefix = row_key(tenant, space, &[]);
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut sum: u64 = 0;
        for row in self.shared().state.range(&(Bound::Included(prefix), end)) {
            let (key, value) = row?;
            sum = sum.saturating_add(size_of(&key, value.len()));
        }
        Ok(sum)
    }
}
