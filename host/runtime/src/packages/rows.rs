//! The rows that say which packages are installed, whose they are, and which revocation list was the newest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, Storage, StorageError};

use super::{PackageState, Reasons, VersionState};
use crate::Stage;
use crate::vxp::{Package, Revocations, Signer};

/// Installed packages and the newest revocation list, in the system's tenant.
const SPACE: Space = Space::host(0x38);

/// The first byte of a row.
const FORMAT: u8 = 2;

/// Rows of packages of which one version was kept; and the revocation list.
const FORMAT_OF_ONE: u8 = 1;

/// Before a plugin's id in the key of its row.
const PACKAGE: &[u8] = b"p/";
const REVOCATIONS: &[u8] = b"revocations";

/// Packages of one server.
const PACKAGES_MAX: usize = 1_000;

/// An installed package, or one that was removed: its publisher and version still count.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Row {
    /// Who published it first: its id is theirs.
    pub(super) publisher: Option<String>,
    /// The version that was installed last.
    pub(super) version: String,
    /// All that are installed.
    pub(super) versions: BTreeMap<String, Kept>,
    /// What runs in tenants that do not say which.
    pub(super) unpinned: Option<String>,
    pub(super) removed: bool,
}

/// One installed version.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Kept {
    pub(super) publisher: Option<String>,
    pub(super) key: Option<String>,
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) installed_at: UnixMs,
    pub(super) stage: Stage,
    /// Who approved it, by stage.
    #[serde(default)]
    pub(super) approved_by: BTreeMap<Stage, Vec<String>>,
}

/// A row of when only one version was kept.
#[derive(Deserialize)]
struct RowOfOne {
    publisher: Option<String>,
    key: Option<String>,
    name: String,
    version: String,
    hash: String,
    installed_at: UnixMs,
    removed: bool,
}

impl From<RowOfOne> for Row {
    fn from(row: RowOfOne) -> Self {
        let kept = Kept {
            publisher: row.publisher.clone(),
            key: row.key,
            name: row.name,
            hash: row.hash,
            installed_at: row.installed_at,
            stage: Stage::Production,
            approved_by: BTreeMap::new(),
        };
        let versions = (!row.removed).then(|| (row.version.clone(), kept));
        Self {
            publisher: row.publisher,
            unpinned: Some(row.version.clone()),
            version: row.version,
            versions: versions.into_iter().collect(),
            removed: row.removed,
        }
    }
}

impl Kept {
    pub(super) fn of(
        package: &Package,
        signer: Option<Signer>,
        stage: Stage,
        installed_at: UnixMs,
    ) -> Self {
        let (publisher, key) = signer.map(|s| (s.publisher, s.key)).unzip();
        Self {
            publisher,
            key,
            name: package.manifest.name.clone(),
            hash: package.hash(),
            installed_at,
            stage,
            approved_by: BTreeMap::new(),
        }
    }

    fn state(&self, version: &str, unavailable: Option<String>) -> VersionState {
        VersionState {
            name: self.name.clone(),
            version: version.to_owned(),
            publisher: self.publisher.clone(),
            key: self.key.clone(),
            hash: self.hash.clone(),
            installed_at: self.installed_at,
            stage: self.stage,
            approved_by: self.approved_by.clone(),
            unavailable,
        }
    }
}

impl Row {
    /// What was there, and this one as the one that was installed last.
    pub(super) fn with(former: Option<&Self>, version: &str, mut kept: Kept) -> Self {
        let mut versions = former.map(|row| row.versions.clone()).unwrap_or_default();
        // Installed again: it stays as far as it had got.
        if let Some(same) = versions.get(version) {
            kept.stage = kept.stage.max(same.stage);
            kept.approved_by.clone_from(&same.approved_by);
        }
        let publisher = former.and_then(|row| row.publisher.clone());
        let publisher = publisher.or_else(|| kept.publisher.clone());
        versions.insert(version.to_owned(), kept);
        let unpinned = former
            .and_then(|row| row.unpinned.clone())
            .filter(|version| versions.contains_key(version));
        Self {
            publisher,
            version: version.to_owned(),
            versions,
            unpinned: unpinned.or_else(|| Some(version.to_owned())),
            removed: false,
        }
    }

    /// What is remembered of it when it is gone.
    pub(super) fn removed(self) -> Self {
        Self {
            versions: BTreeMap::new(),
            unpinned: None,
            removed: true,
            ..self
        }
    }

    /// As the operator sees it.
    pub(super) fn state(&self, id: &PluginId, reasons: &Reasons) -> Option<PackageState> {
        let versions = self.versions.iter().map(|(version, kept)| {
            let why = reasons.get(version).cloned().flatten();
            kept.state(version, why)
        });
        let versions: Vec<_> = versions.collect();
        let current = versions.iter().find(|one| one.version == self.version)?;
        Some(PackageState {
            id: id.clone(),
            current: current.clone(),
            versions,
        })
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
            .map(|(key, row)| Ok((id_of(key)?, read_row(row)?)))
            .collect()
    }

    pub(super) fn get(&self, id: &PluginId) -> Result<Option<Row>, StorageError> {
        let mut tx = self.storage.begin(TenantId::SYSTEM);
        let row = tx.get(SPACE, &key_of(id))?;
        row.map(|row| read_row(&row)).transpose()
    }

    pub(super) async fn put(&self, id: &PluginId, row: &Row) -> Result<(), StorageError> {
        self.write(&key_of(id), FORMAT, row).await
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
        self.write(REVOCATIONS, FORMAT_OF_ONE, list).await
    }

    async fn write(
        &self,
        key: &[u8],
        format: u8,
        row: &impl Serialize,
    ) -> Result<(), StorageError> {
        let mut bytes = vec![format];
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

fn read_row(row: &[u8]) -> Result<Row, StorageError> {
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
        _ => read::<RowOfOne>(row).map(Row::from),
    }
}

fn read<'r, T: Deserialize<'r>>(row: &'r [u8]) -> Result<T, StorageError> {
    match row.split_first() {
        Some((&FORMAT_OF_ONE, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
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
