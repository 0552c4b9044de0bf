//! What the host keeps about a plugin's rows in a tenant: their form, what to put back, what to erase.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{PluginId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{AudienceId, Order, Space, StorageError, Stored, Transaction};

use crate::manifest::Manifest;

/// By plugin: how it stands, values as they were before a migration, keys and audiences.
const LIFE: Space = Space::host(0x36);

const STANDING: u8 = b'i';
const BEFORE: u8 = b'b';
const KEY: u8 = b'k';
const AUDIENCE: u8 = b'a';

/// What is put back in one transaction, besides the last value: well below what one holds.
const BACK_BYTES_MAX: usize = 256 << 10;

/// The first byte of each row.
const FORMAT: u8 = 1;

/// How a plugin's rows stand in a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) is_installed: bool,
    /// The form of the rows.
    pub(super) data_version: u32,
    /// Another form that they are being brought to.
    pub(super) migration: Option<Migration>,
    /// The version that failed to bring them to its form, and that form.
    pub(super) failed: Option<(String, u32)>,
    /// How often everything was erased.
    pub(super) erased: u32,
    /// Whether everything is being erased.
    pub(super) is_leaving: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Migration {
    pub(super) to: u32,
    pub(super) cursor: Option<Vec<u8>>,
    /// It failed for good, and rows are put back.
    pub(super) is_undone: bool,
}

impl Default for Standing {
    /// Of plugins that were on before anybody asked.
    fn default() -> Self {
        Self {
            is_installed: false,
            data_version: 1,
            migration: None,
            failed: None,
            erased: 0,
            is_leaving: false,
        }
    }
}

impl Standing {
    pub(super) fn is_fit_for(&self, manifest: &Manifest) -> bool {
        self.migration.is_none() && self.data_version == manifest.data_version
    }

    pub(super) fn has_failed_for(&self, manifest: &Manifest) -> bool {
        let failed = self.failed.as_ref();
        self.migration.is_none()
            && failed.is_some_and(|(version, form)| {
                *version == manifest.version && *form == manifest.data_version
            })
    }
}

/// A row as it was before a migration changed it.
#[derive(Serialize, Deserialize)]
struct Was {
    key: Vec<u8>,
    there: Option<There>,
}

#[derive(Serialize, Deserialize)]
struct There {
    erasure: [u8; 16],
    until: Option<UnixMs>,
}

fn of(kind: u8, plugin: &PluginId, parts: &[&[u8]]) -> Vec<u8> {
    let id = plugin.as_str().as_bytes();
    let mut key = vec![kind, u8::try_from(id.len()).unwrap_or(u8::MAX)];
    key.extend_from_slice(id);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

fn written(row: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    postcard::to_extend(row, vec![FORMAT]).map_err(|_| damaged())
}

fn parsed<T: serde::de::DeserializeOwned>(row: &[u8]) -> Result<T, StorageError> {
    match row.split_first() {
        Some((&FORMAT, row)) => postcard::from_bytes(row).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a plugin's standing",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "a plugin's standing".to_owned(),
    }
}

pub(super) fn read(tx: &mut Transaction, plugin: &PluginId) -> Result<Standing, StorageError> {
    let row = tx.get(LIFE, &of(STANDING, plugin, &[]))?;
    row.map_or_else(|| Ok(Standing::default()), |row| parsed(&row))
}

pub(super) fn write(
    tx: &mut Transaction,
    plugin: &PluginId,
    standing: &Standing,
) -> Result<(), StorageError> {
    let (key, row) = (of(STANDING, plugin, &[]), written(standing)?);
    tx.put(LIFE, &key, row, ErasureKey::TENANT)
}

/// Keeps what was under the keys that a step changes, unless an earlier step changed them too.
pub(super) fn keep_before(
    tx: &mut Transaction,
    plugin: &PluginId,
    space: Space,
) -> Result<(), StorageError> {
    for key in tx.changed(space) {
        // A key is as long as a key may be, so its hash stands for it.
        let name: [u8; 32] = Sha256::digest(&key).into();
        let (was_key, value_key) = (
            of(BEFORE, plugin, &[&name, b"k"]),
            of(BEFORE, plugin, &[&name, b"v"]),
        );
        if tx.get(LIFE, &was_key)?.is_some() {
            continue;
        }
        let there = match tx.stored(space, &key)? {
            Some(Stored {
                value,
                erasure,
                until,
            }) => {
                // Under the same key: what is erased meanwhile does not come back.
                tx.put(LIFE, &value_key, value, erasure)?;
                Some(There {
                    erasure: erasure.to_bytes(),
                    until,
                })
            }
            None => None,
        };
        let was = written(&Was { key, there })?;
        tx.put(LIFE, &was_key, was, ErasureKey::TENANT)?;
    }
    Ok(())
}

/// Puts some rows back as they were; whether there may be more.
pub(super) fn put_back_some(
    tx: &mut Transaction,
    plugin: &PluginId,
    space: Space,
    max: usize,
) -> Result<bool, StorageError> {
    let prefix = of(BEFORE, plugin, &[]);
    let page = tx.scan(LIFE, &prefix, None, max, Order::Ascending)?;
    let mut bytes = 0;
    for (key, row) in &page.entries {
        if bytes > BACK_BYTES_MAX {
            return Ok(true);
        }
        let Some((b'k', name)) = key.split_last() else {
            continue;
        };
        let value_key = [name, b"v"].concat();
        let Was { key: own, there } = parsed(row)?;
        let value = tx.get(LIFE, &value_key)?;
        bytes += value.as_ref().map_or(0, Vec::len);
        match (there, value) {
            (Some(There { erasure, until }), Some(value)) => {
                let erasure = ErasureKey::from_bytes(erasure);
                match until {
                    Some(until) => tx.put_until(space, &own, value, erasure, until)?,
                    None => tx.put(space, &own, value, erasure)?,
                }
            }
            // It was not there, or was erased since.
            _ => tx.delete(space, &own)?,
        }
        tx.delete(LIFE, key)?;
        tx.delete(LIFE, &value_key)?;
    }
    Ok(page.next.is_some())
}

/// Forgets some of what was before; whether there may be more.
pub(super) fn forget_before(
    tx: &mut Transaction,
    plugin: &PluginId,
    max: usize,
) -> Result<bool, StorageError> {
    tx.clear(LIFE, &of(BEFORE, plugin, &[]), max)
}

/// Notes that the plugin had this key made.
pub(super) fn note_key(
    tx: &mut Transaction,
    plugin: &PluginId,
    key: ErasureKey,
) -> Result<(), StorageError> {
    let row = of(KEY, plugin, &[&key.to_bytes()]);
    tx.put(LIFE, &row, Vec::new(), ErasureKey::TENANT)
}

/// Notes that the plugin keeps this audience, once.
pub(super) fn note_audience(
    tx: &mut Transaction,
    plugin: &PluginId,
    audience: AudienceId,
) -> Result<(), StorageError> {
    let row = of(AUDIENCE, plugin, &[&audience.0]);
    if tx.peek(LIFE, &row)?.is_none() {
        tx.put(LIFE, &row, Vec::new(), ErasureKey::TENANT)?;
    }
    Ok(())
}

/// Some keys that the plugin had made.
pub(super) fn keys(
    tx: &mut Transaction,
    plugin: &PluginId,
    max: usize,
) -> Result<Vec<ErasureKey>, StorageError> {
    let found = last_sixteen(tx, &of(KEY, plugin, &[]), max)?;
    Ok(found.into_iter().map(ErasureKey::from_bytes).collect())
}

pub(super) fn forget_key(
    tx: &mut Transaction,
    plugin: &PluginId,
    key: ErasureKey,
) -> Result<(), StorageError> {
    tx.delete(LIFE, &of(KEY, plugin, &[&key.to_bytes()]))
}

/// An audience that the plugin keeps.
pub(super) fn audience(
    tx: &mut Transaction,
    plugin: &PluginId,
) -> Result<Option<AudienceId>, StorageError> {
    let found = last_sixteen(tx, &of(AUDIENCE, plugin, &[]), 1)?;
    Ok(found.first().copied().map(AudienceId))
}

pub(super) fn forget_audience(
    tx: &mut Transaction,
    plugin: &PluginId,
    audience: AudienceId,
) -> Result<(), StorageError> {
    tx.delete(LIFE, &of(AUDIENCE, plugin, &[&audience.0]))
}

fn last_sixteen(
    tx: &mut Transaction,
    prefix: &[u8],
    max: usize,
) -> Result<Vec<[u8; 16]>, StorageError> {
    let page = tx.scan(LIFE, prefix, None, max, Order::Ascending)?;
    let last = |(key, _): &(Vec<u8>, Vec<u8>)| key.last_chunk().copied().ok_or_else(damaged);
    page.entries.iter().map(last).collect()
}

/// The plugins of a tenant that are being erased.
pub(super) fn leaving(tx: &mut Transaction) -> Result<Vec<PluginId>, StorageError> {
    let mut leaving = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = tx.scan(LIFE, &[STANDING], after.as_deref(), 100, Order::Ascending)?;
        for (key, row) in &page.entries {
            let standing: Standing = parsed(row)?;
            let id = key.get(2..).and_then(|id| std::str::from_utf8(id).ok());
            if let (true, Some(id)) = (standing.is_leaving, id) {
                leaving.push(id.parse().map_err(|_| damaged())?);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(leaving),
        }
    }
}
