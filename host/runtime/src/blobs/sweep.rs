//! What nobody kept goes after a day: uploads that no row names, and files that no row knows.

use std::collections::HashSet;

use vaxel_core::{PluginId, TenantId};
use vaxel_storage::StorageError;

use super::{State, account, list, read, write};
use crate::Runtime;

/// How long an upload waits to be kept, and a file without a row to be known.
const KEPT_WITHIN_MS: u64 = 24 * 3_600_000;

/// Rows that are read at once.
const ROWS_MAX: usize = 500;

impl Runtime {
    /// Sweeps the blobs of a tenant; answers how many went. To be run now and then.
    pub async fn sweep_blobs(&self, tenant: TenantId) -> Result<usize, StorageError> {
        let (storage, now) = (&self.inner.storage, self.inner.clock.now());
        let (mut known, mut over) = (HashSet::new(), Vec::new());
        let mut after = None;
        loop {
            let mut tx = storage.begin(tenant);
            let rows = list(&mut tx, None, after.as_deref(), ROWS_MAX)?;
            let Some((last, ..)) = rows.last() else { break };
            after = Some(last.clone());
            for (_, plugin, id, row) in rows {
                if row.state != State::Kept && now.since(row.at) >= KEPT_WITHIN_MS {
                    over.push((plugin, id));
                } else {
                    known.insert(id);
                }
            }
        }
        let mut gone = 0;
        for (plugin, id) in over {
            gone += usize::from(self.drop_blob(tenant, &plugin, id, false).await?);
        }
        let storage = storage.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let mut swept = 0;
            for file in storage.blob_files(tenant)? {
                let is_known = file.id.is_some_and(|id| known.contains(&id));
                if !is_known && file.idle_ms >= KEPT_WITHIN_MS {
                    storage.remove_blob_file(&file)?;
                    swept += 1;
                }
            }
            Ok::<_, StorageError>(swept)
        });
        let swept = swept.await.map_err(|_| StorageError::Closed)??;
        Ok(gone + swept)
    }

    /// Removes every blob of a plugin in a tenant: it is uninstalled there.
    pub async fn erase_blobs(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
    ) -> Result<usize, StorageError> {
        let mut gone = 0;
        loop {
            let mut tx = self.inner.storage.begin(tenant);
            let rows = list(&mut tx, Some(plugin), None, ROWS_MAX)?;
            if rows.is_empty() {
                return Ok(gone);
            }
            for (_, plugin, id, _) in rows {
                gone += usize::from(self.drop_blob(tenant, &plugin, id, true).await?);
            }
        }
    }

    // The row first: a row without its file would promise what is not there.
    async fn drop_blob(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        id: u128,
        kept_too: bool,
    ) -> Result<bool, StorageError> {
        let storage = self.inner.storage.clone();
        let mut tx = storage.begin(tenant);
        let Some(row) = read(&mut tx, plugin, id)? else {
            return Ok(false);
        };
        if row.state == State::Kept && !kept_too {
            return Ok(false);
        }
        write(&mut tx, plugin, id, None)?;
        if row.state != State::Expected {
            account(
                &mut tx,
                plugin,
                -i64::try_from(row.bytes).unwrap_or(i64::MAX),
            )?;
        }
        storage.commit(tx).await?;
        let removed = tokio::task::spawn_blocking(move || storage.delete_blob(tenant, id));
        removed.await.map_err(|_| StorageError::Closed)??;
        Ok(true)
    }
}
