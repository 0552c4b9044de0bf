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

/// Whom a rollout is meant for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// These.
    Tenants(BTreeSet<TenantId>),
    /// So many in a hundred.
    Percent(u8),
    /// Everybody.
    All,
}

/// A rollout, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) version: String,
    /// What most others run meanwhile: it is compared with that, and that is what others are offered.
    pub(crate) base: String,
    pub(crate) target: Target,
    pub(crate) state: RolloutState,
    /// Nobody is moved: the new version runs beside the old one, and nothing of it is kept.
    pub(crate) shadow: bool,
    /// A stop leaves those who have it where they are.
    pub(crate) keep: bool,
    /// When this target was set.
    pub(crate) began_at: UnixMs,
    /// Why it ended.
    pub(crate) reason: Option<String>,
}

impl Rollout {
    /// Whether the version is not for everybody.
    pub(crate) fn holds_back(&self) -> bool {
        self.state != RolloutState::Done
    }

    /// Whether those who have it go back.
    pub(crate) fn is_taken_back(&self) -> bool {
        let ended = [RolloutState::Stopped, RolloutState::Withdrawn];
        ended.contains(&self.state) && !self.keep
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(percent: u8, plugin: &str) -> BTreeSet<u128> {
        let plugin: PluginId = plugin.parse().unwrap();
        let target = Target::Percent(percent);
        let tenants = 0..1_000;
        tenants
            .filter(|n| target.includes(&plugin, TenantId::from_u128(*n)))
            .collect()
    }

    #[test]
    fn a_percentage_is_about_that_many_and_grows_by_adding() {
        let (some, more) = (chosen(20, "chat"), chosen(50, "chat"));
        assert!((150..250).contains(&some.len()), "{}", some.len());
        assert!(some.is_subset(&more));
        assert_eq!(chosen(100, "chat").len(), 1_000);
        assert!(chosen(0, "chat").is_empty());
        assert_ne!(some, chosen(20, "polls"));
    }
}
