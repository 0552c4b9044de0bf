//! Rollouts as they are written down, in the system's tenant: where each is, and what was measured of it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageError};

use super::Rollout;
use super::measure::Line;
use crate::registry::LIFE_SPACE;

/// Before a plugin's id in the key of its rollout.
const ROLLOUT: &[u8] = b"rollout/";

/// Before a plugin's id in the key of what was measured of its rollout.
const MEASURED: &[u8] = b"measured/";

/// What was measured of a rollout.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) version: String,
    pub(super) base: String,
    /// When it was written down.
    pub(super) at: UnixMs,
    pub(super) new: Vec<Line>,
    pub(super) old: Vec<Line>,
}

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
    write(storage, &key_of(ROLLOUT, plugin), rollout).await
}

pub(super) async fn delete(storage: &Storage, plugin: &PluginId) -> Result<(), StorageError> {
    let mut tx = storage.begin(TenantId::SYSTEM);
    tx.delete(LIFE_SPACE, &key_of(ROLLOUT, plugin))?;
    tx.delete(LIFE_SPACE, &key_of(MEASURED, plugin))?;
    storage.commit(tx).await?;
    Ok(())
}

/// Writes down what was measured.
pub(super) async fn keep(
    storage: &Storage,
    plugin: &PluginId,
    kept: &Kept,
) -> Result<(), StorageError> {
    write(storage, &key_of(MEASURED, plugin), kept).await
}

/// What was written down of what was measured.
pub(super) fn kept(storage: &Storage, plugin: &PluginId) -> Result<Option<Kept>, StorageError> {
    let mut tx = storage.begin(TenantId::SYSTEM);
    let row = tx.get(LIFE_SPACE, &key_of(MEASURED, plugin))?;
    row.map(|row| parsed(&row)).transpose()
}

async fn write<T: Serialize>(storage: &Storage, key: &[u8], what: &T) -> Result<(), StorageError> {
    let mut row = vec![FORMAT];
    row.extend(serde_json::to_vec(what).map_err(|_| damaged())?);
    let mut tx = storage.begin(TenantId::SYSTEM);
    tx.put(LIFE_SPACE, key, row, ErasureKey::TENANT)?;
    storage.commit(tx).await?;
    Ok(())
}

fn key_of(prefix: &[u8], plugin: &PluginId) -> Vec<u8> {
    [prefix, plugin.as_str().as_bytes()].concat()
}

fn read(key: &[u8], row: &[u8]) -> Result<(PluginId, Rollout), StorageError> {
    let plugin = key
        .strip_prefix(ROLLOUT)
        .and_then(|id| std::str::from_utf8(id).ok()?.parse().ok())
        .ok_or_else(damaged)?;
    Ok((plugin, parsed(row)?))
}

fn parsed<T: DeserializeOwned>(row: &[u8]) -> Result<T, StorageError> {
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
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
