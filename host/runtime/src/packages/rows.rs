//! The rows that say which packages are installed, whose they are, and which revocation list was the newest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, Storage, StorageError};

use super::PackageState;
use crate::vxp::{Package, Revocations, Signer};

/// Installed packages and the newest revocation list, in the system's tenant.
const SPACE: Space = Space::host(0x38);

/// The first byte of a row.
const FORMAT: u8 = 1;

/// Before a plugin's id in the key of its row.
const PACKAGE: &[u8] = b"p/";
const REVOCATIONS: &[u8] = b"revocations";

/// Packages of one server.
const PACKAGES_MAX: usize = 1_000;

/// An installed package, or one that was removed: its publisher and version still count.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Row {
    pub(super) publisher: Option<String>,
    pub(super) key: Option<String>,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) hash: String,
    pub(super) installed_at: UnixMs,
    pub(super) removed: bool,
}

impl Row {
    pub(super) fn of(package: &Package, signer: Option<Signer>, installed_at: UnixMs) -> Self {
        let (publisher, key) = signer.map(|s| (s.publisher, s.key)).unzip();
        Self {
            publisher,
            key,
            name: package.manifest.name.clone(),
            version: package.manifest.version.clone(),
            hash: package.hash(),
            installed_at,
            removed: false,
        }
    }

    pub(super) fn state(&self, id: &PluginId, unavailable: Option<String>) -> PackageState {
        PackageState {
            id: id.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            publisher: self.publisher.clone(),
            key: self.key.clone(),
            hash: self.hash.clone(),
            installed_at: self.installed_at,
            unavailable,
        }
    }
}

pub(super) struct Rows {
    storage: Storage,
}

impl Rows {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage }
    }

    pub(super) fn all(&self) -> Result<BTreeMap<PluginId, Row>, StorageError> {
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        let page = tx.scan(SPACE, PACKAGE, None, PACKAGES_MAX, Order::Ascending)?;
        page.entries
            .iter()
            .map(|(key, row)| Ok((id_of(key)?, read(row)?)))
            .collect()
    }

    pub(super) fn get(&self, id: &PluginId) -> Result<Option<Row>, StorageError> {
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        tx.get(SPACE, &key_of(id))?
            .map(|row| read(&row))
            .transpose()
    }

    pub(super) async fn put(&self, id: &PluginId, row: &Row) -> Result<(), StorageError> {
        self.write(&key_of(id), row).await
    }

    pub(super) async fn delete(&self, id: &PluginId) -> Result<(), StorageError> {
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        tx.delete(SPACE, &key_of(id))?;
        self.storage.commit(tx).await?;
        Ok(())
    }

    pub(super) fn revocations(&self) -> Result<Option<Revocations>, StorageError> {
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        tx.get(SPACE, REVOCATIONS)?
            .map(|row| read(&row))
            .transpose()
    }

    pub(super) async fn keep_revocations(&self, list: &Revocations) -> Result<(), StorageError> {
        self.write(REVOCATIONS, list).await
    }

    async fn write(&self, key: &[u8], row: &impl Serialize) -> Result<(), StorageError> {
        let mut bytes = vec![FORMAT];
        bytes.extend(serde_json::to_vec(row).map_err(|_| damaged())?);
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        tx.put(SPACE, key, bytes, ErasureKey::TENANT)?;
        self.storage.commit(tx).await?;
        Ok(())
    }
}

fn key_of(id: &PluginId) -> Vec<u8> {
    [PACKAGE, id.as_str().as_bytes()].concat()
}

fn id_of(key: &[u8]) -> Result<PluginId, StorageError> {
    key.strip_prefix(PACKAGE)
        .and_then(|id| std::str::from_utf8(id).ok()?.parse().ok())
        .ok_or_else(damaged)
}

fn read<'r, T: Deserialize<'r>>(row: &'r [u8]) -> Result<T, StorageError> {
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "an installed package",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "an installed package".to_owned(),
    }
}
