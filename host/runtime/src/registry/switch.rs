//! What an organization decided about a plugin, as it is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, Storage, StorageError};

use super::Stage;
use crate::manifest::Grants;

/// What each tenant switched on, by plugin.
const SPACE: Space = Space::host(0x31);

/// What a tenant is for; and, in the system's tenant, rollouts.
pub(crate) const LIFE_SPACE: Space = Space::host(0x32);

const STAGE: &[u8] = b"stage";

/// The first byte of a row.
const FORMAT: u8 = 3;

/// Rows that did not say which version runs; all that is new may be missing.
const FORMAT_WITHOUT_VERSION: u8 = 2;

/// Rows in which a grant was a set of capabilities.
const FORMAT_OF_SETS: u8 = 1;

/// Plugins that a tenant's switches are read for.
const SWITCHES_MAX: usize = 1_000;

/// What a tenant decided about a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Switch {
    pub(crate) on: bool,
    pub(crate) granted: Arc<Grants>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) former: Option<Former>,
    /// The version that an administrator went back from: no rollout brings it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left: Option<String>,
}

/// The version that ran before, and what it was granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Former {
    pub(crate) version: String,
    pub(crate) granted: Arc<Grants>,
    /// The operator's rollout moved the tenant away from it, not its own administrator.
    #[serde(default)]
    pub(crate) by_rollout: bool,
}

#[derive(Deserialize)]
struct SwitchOfSets {
    on: bool,
    granted: BTreeSet<String>,
}

impl From<SwitchOfSets> for Switch {
    fn from(SwitchOfSets { on, granted }: SwitchOfSets) -> Self {
        let granted = granted.into_iter().map(|id| (id, BTreeSet::new()));
        Self {
            on,
            granted: Arc::new(Grants(granted.collect())),
            ..Self::default()
        }
    }
}

pub(crate) type Switches = BTreeMap<PluginId, Switch>;

/// All switches of a tenant, and what it is for.
pub(super) fn stored(
    storage: &Storage,
    tenant: TenantId,
) -> Result<(Switches, Stage), StorageError> {
    let mut tx = storage.begin(tenant);
    let page = tx.scan(SPACE, &[], None, SWITCHES_MAX, Order::Ascending)?;
    let switches = page
        .entries
        .iter()
        .map(|(key, row)| read(key, row))
        .collect::<Result<_, _>>()?;
    let stage = match tx.get(LIFE_SPACE, STAGE)? {
        Some(row) => std::str::from_utf8(&row)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(damaged)?,
        None => Stage::default(),
    };
    Ok((switches, stage))
}

/// Writes a switch down; `None` forgets that it was ever turned.
pub(super) async fn store(
    storage: &Storage,
    tenant: TenantId,
    plugin: &PluginId,
    switch: Option<&Switch>,
) -> Result<(), StorageError> {
    let key = plugin.as_str().as_bytes();
    let mut tx = storage.begin(tenant);
    match switch {
        Some(switch) => {
            let mut row = vec![FORMAT];
            row.extend(serde_json::to_vec(switch).map_err(|_| damaged())?);
            tx.put(SPACE, key, row, ErasureKey::TENANT)?;
        }
        None => tx.delete(SPACE, key)?,
    }
    storage.commit(tx).await?;
    Ok(())
}

pub(super) async fn store_stage(
    storage: &Storage,
    tenant: TenantId,
    stage: Stage,
) -> Result<(), StorageError> {
    let mut tx = storage.begin(tenant);
    let row = stage.as_str().as_bytes().to_vec();
    tx.put(LIFE_SPACE, STAGE, row, ErasureKey::TENANT)?;
    storage.commit(tx).await?;
    Ok(())
}

fn read(key: &[u8], row: &[u8]) -> Result<(PluginId, Switch), StorageError> {
    let plugin = std::str::from_utf8(key)
        .ok()
        .and_then(|id| id.parse().ok())
        .ok_or_else(damaged)?;
    match row.split_first() {
        Some((&(FORMAT | FORMAT_WITHOUT_VERSION), json)) => {
            Ok((plugin, serde_json::from_slice(json).map_err(|_| damaged())?))
        }
        Some((&FORMAT_OF_SETS, json)) => {
            let older: SwitchOfSets = serde_json::from_slice(json).map_err(|_| damaged())?;
            Ok((plugin, older.into()))
        }
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a plugin's switch",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "a plugin's switch".to_owned(),
    }
}
