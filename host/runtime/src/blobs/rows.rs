//! The rows of blobs: one a blob, under the plugin that has it, and the sum of what a tenant's blobs take.

use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, StorageError, Transaction};

/// A tenant's blobs, by plugin.
const SPACE: Space = Space::host(0x3e);

/// The first byte of a row.
const FORMAT: u8 = 1;

/// The sum of all bytes, and in front of a plugin's id the sum of its own; no plugin's id begins like this.
const SUM: &[u8] = b"\0bytes";

/// How far a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// An address was given out for it.
    Expected,
    /// It is there, and no row of the plugin names it yet.
    Uploaded,
    /// It is the plugin's until the plugin deletes it.
    Kept,
}

/// What is known of a blob.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) state: State,
    /// What it is said to be, until it is there; then what it is.
    pub(crate) media_type: String,
    /// Its length; while it is expected, the most that it may have.
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) erasure: [u8; 16],
    pub(crate) user: Option<UserId>,
    pub(crate) at: UnixMs,
}

impl Row {
    pub(crate) fn erasure(&self) -> ErasureKey {
        ErasureKey::from_bytes(self.erasure)
    }
}

/// The key of a blob's row.
fn key_of(plugin: &PluginId, id: u128) -> Vec<u8> {
    let mut key = prefix_of(plugin);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

fn prefix_of(plugin: &PluginId) -> Vec<u8> {
    [plugin.as_str().as_bytes(), &[0]].concat()
}

pub(crate) fn read(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: u128,
) -> Result<Option<Row>, StorageError> {
    tx.get(SPACE, &key_of(plugin, id))?
        .map(|row| parsed(&row))
        .transpose()
}

pub(crate) fn write(
    tx: &mut Transaction,
    plugin: &PluginId,
    id: u128,
    row: Option<&Row>,
) -> Result<(), StorageError> {
    let key = key_of(plugin, id);
    let Some(row) = row else {
        return tx.delete(SPACE, &key);
    };
    let mut bytes = vec![FORMAT];
    bytes.extend(serde_json::to_vec(row).map_err(|_| damaged())?);
    tx.put(SPACE, &key, bytes, ErasureKey::TENANT)
}

/// Adds to what the blobs of the tenant and of the plugin take. Adding commutes, so it never conflicts.
pub(crate) fn account(
    tx: &mut Transaction,
    plugin: &PluginId,
    by: i64,
) -> Result<(), StorageError> {
    tx.increment(SPACE, SUM, by)?;
    tx.increment(SPACE, &sum_of(Some(plugin)), by)
}

/// What the blobs of the tenant, or of one of its plugins, take, as far as is known now.
pub(crate) fn sum(tx: &mut Transaction, plugin: Option<&PluginId>) -> Result<u64, StorageError> {
    let sum = tx.get(SPACE, &sum_of(plugin))?;
    let sum = sum.and_then(|bytes| bytes.try_into().ok().map(i64::from_be_bytes));
    Ok(u64::try_from(sum.unwrap_or(0)).unwrap_or(0))
}

fn sum_of(plugin: Option<&PluginId>) -> Vec<u8> {
    [SUM, plugin.map_or("", PluginId::as_str).as_bytes()].concat()
}

/// A blob as it is listed: the key of its row, its plugin, its id, its row.
pub(crate) type Listed = (Vec<u8>, PluginId, u128, Row);

/// Blobs behind `after`, of one plugin or of all.
pub(crate) fn list(
    tx: &mut Transaction,
    plugin: Option<&PluginId>,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<Listed>, StorageError> {
    let prefix = plugin.map(prefix_of).unwrap_or_default();
    let page = tx.scan(SPACE, &prefix, after, limit, Order::Ascending)?;
    let rows = page
        .entries
        .into_iter()
        .filter(|(key, _)| !key.starts_with(SUM));
    rows.map(|(key, row)| {
        let (plugin, id) = named(&key).ok_or_else(damaged)?;
        Ok((key, plugin, id, parsed(&row)?))
    })
    .collect()
}

fn named(key: &[u8]) -> Option<(PluginId, u128)> {
    let (plugin, id) = key.split_last_chunk::<16>()?;
    let plugin = std::str::from_utf8(plugin.strip_suffix(&[0])?).ok()?;
    Some((plugin.parse().ok()?, u128::from_be_bytes(*id)))
}

fn parsed(row: &[u8]) -> Result<Row, StorageError> {
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a blob's row",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "a blob's row".to_owned(),
    }
}
