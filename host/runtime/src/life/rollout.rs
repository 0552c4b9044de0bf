//! A staged rollout: which version goes to whom, and how far that is. One row per plugin, so that it goes on after a
//! restart.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vaxel_core::{PluginId, TenantId, UnixMs};

/// How a rollout is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// It is tried by those it was meant for so far.
    Running,
    /// It stopped by itself.
    Stopped,
    /// The operator took it back.
    Withdrawn,
    /// Everybody has it, or is offered it.
    Done,
}

/// Whom it is meant for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    Tenants(BTreeSet<TenantId>),
    Percent(u8),
    All,
}

/// A rollout, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) version: String,
    /// What others are offered meanwhile.
    pub(crate) base: String,
    pub(crate) target: Target,
    pub(crate) state: RolloutState,
    /// Nobody is moved: the new version runs beside the old one, and nothing of it is kept.
    pub(crate) shadow: bool,
    /// A stop leaves those who have it where they are.
    pub(crate) keep: bool,
    /// When this target was set.
    pub(crate) began_at: UnixMs,
    pub(crate) reason: Option<String>,
}

impl Rollout {
    /// Whether the version is not for everybody.
    pub(crate) fn holds_back(&self) -> bool {
        self.state != RolloutState::Done
    }
}

impl Target {
    /// Whether it is meant for this tenant: the same answer at every time, and more with every percent.
    pub(crate) fn includes(&self, plugin: &PluginId, tenant: TenantId) -> bool {
        match self {
            Self::Tenants(tenants) => tenants.contains(&tenant),
            Self::Percent(percent) => lot(plugin, tenant) < u16::from(*percent),
            Self::All => true,
        }
    }
}

/// A tenant's place among a hundred, another one for each plugin.
fn lot(plugin: &PluginId, tenant: TenantId) -> u16 {
    let mut hash = Sha256::new();
    hash.update(b"vaxel.v1.rollout\0");
    hash.update(plugin.as_str());
    hash.update([0]);
    hash.update(tenant.to_bytes());
    let [a, b, ..]: [u8; 32] = hash.finalize().into();
    u16::from_be_bytes([a, b]) % 100
}
