//! Rollouts as they are written down, in the system's tenant.

use vaxel_core::{PluginId, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageError};

use super::Rollout;
use crate::registry::LIFE_SPACE;

/// Before a plugin's id in the key of its rollout.
const ROLLOUT: &[u8] = b"rollout/";

/// The first byte of a row.
const FORMAT: u8 = 1;

/// One for each plugin there can be.
const ROLLOUTS_MAX: usize = 1_000;

pub(super) fn all(storage: &Storage) -> Result<Vec<(PluginId, Rollout)>, StorageError> {
    let mut tx = storage.begin(TenantId::SYSTEM);
    let page = tx.scan(LIFE_SPACE, ROLLOUT, None, ROLLOUTS_MAX, Order::Ascending)?;
    page.entries
        .iter()
        .map(|(key, row)| read(key, row))
        .collect()
}

pub(super) async fn put(
    storage: &Storage,
    plugin: &PluginId,
    rollout: &Rollout,
) -> Result<(), StorageError> {
    let mut row = vec![FORMAT];
    row.extend(serde_json::to_vec(rollout).map_err(|_| damaged())?);
    let mut tx = storage.begin(TenantId::SYSTEM);
    tx.put(LIFE_SPACE, &key_of(plugin), row, ErasureKey::TENANT)?;
    storage.commit(tx).await?;
    Ok(())
}

pub(super) async fn delete(storage: &Storage, plugin: &PluginId) -> Result<(), StorageError> {
    let mut tx = storage.begin(TenantId::SYSTEM);
    tx.delete(LIFE_SPACE, &key_of(plugin))?;
    storage.commit(tx).await?;
    Ok(())
}

fn key_of(plugin: &PluginId) -> Vec<u8> {
    [ROLLOUT, plugin.as_str().as_bytes()].concat()
}

fn read(key: &[u8], row: &[u8]) -> Result<(PluginId, Rollout), StorageError> {
    let plugin = key
        .strip_prefix(ROLLOUT)
        .and_then(|id| std::str::from_utf8(id).ok()?.parse().ok())
        .ok_or_else(damaged)?;
    match row.split_first() {
        Some((&FORMAT, json)) => Ok((plugin, serde_json::from_slice(json).map_err(|_| damaged())?)),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a rollout",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "a rollout".to_owned(),
    }
}
