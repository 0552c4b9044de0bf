//! Whether the state holds what the commits say: the bytes that each tenant's rows take, added up and compared.
//!
//! Every commit carries the sum behind it, so a lost or a foreign row shows without any further bookkeeping.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vaxel_core::TenantId;

use crate::StorageError;
use crate::engine::Shared;
use crate::key::{Space, split};
use crate::row;
use crate::state::{State, head_key};
use crate::tenant::{Head, Tenant};

/// What a row counts for in its tenant's quota.
pub(crate) fn size_of(key: &[u8], value_len: usize) -> u64 {
    (key.len() + value_len) as u64
}

/// What was found so far, by tenant.
#[derive(Default)]
pub(crate) struct Found(HashMap<TenantId, u64>);

impl Found {
    /// Adds a row; one that is none of ours is damage.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let Some((tenant, space, _)) = split(key) else {
            return Err(StorageError::corrupt("a key of the state"));
        };
        if space != Space::META.bytes() {
            row::parse(value)?;
            *self.0.entry(TenantId::from_bytes(*tenant)).or_default() += size_of(key, value.len());
        }
        Ok(())
    }

    fn take(&mut self, tenant: TenantId) -> u64 {
        self.0.remove(&tenant).unwrap_or_default()
    }
}

/// Looks through a state that lived through a reboot and that nobody writes to.
pub(crate) fn check(state: &State) -> Result<(), StorageError> {
    let mut found = Found::default();
    for row in state.all_rows() {
        let (key, value) = row?;
        found.add(&key, &value)?;
    }
    let heads = state.heads()?;
    let is_whole = heads
        .iter()
        .all(|(tenant, head)| found.take(*tenant) == head.usage);
    if is_whole && found.0.is_empty() {
        Ok(())
    } else {
        Err(StorageError::corrupt("the state lacks rows after a reboot"))
    }
}

/// The tenants whose every commit is applied, at one moment of a state that is written to.
pub(crate) struct Quiet(Vec<(Arc<Tenant>, Head)>);

impl Quiet {
    pub(crate) fn now(shared: &Shared) -> Self {
        let mut quiet = Vec::new();
        for tenant in shared.tenants.all() {
            let head = *tenant.committer.lock();
            if tenant.applied.load(Ordering::Acquire) == head.seq {
                quiet.push((tenant, head));
            }
        }
        Self(quiet)
    }

    /// Compares what was found since with what the last commits of those tenants say that are still quiet: of the
    /// others some rows may be older and some younger than their neighbours.
    pub(crate) fn check(self, shared: &Shared, mut found: Found) -> Result<(), StorageError> {
        for (tenant, head) in self.0 {
            let in_state = shared.state.get(&head_key(tenant.id))?;
            let in_state = in_state.map(|bytes| Head::decode(&bytes)).transpose()?;
            // Numbered before it is applied: whoever still has this number changed no row.
            if tenant.committer.lock().seq != head.seq {
                continue;
            }
            if found.take(tenant.id) != head.usage || in_state.unwrap_or_default() != head {
                shared.state.distrust();
                return Err(StorageError::corrupt(
                    "the state lacks rows; it is rebuilt at the next start",
                ));
            }
        }
        Ok(())
    }
}
