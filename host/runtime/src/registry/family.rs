//! The installed versions of one plugin, and which of them an organization is offered.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId};

use super::switch::Switch;
use crate::life::{Report, Rollout, RolloutState, Shadowing};
use crate::package::Plugin;

/// How far a version was promoted, and what an organization is for: a version runs where its stage has got to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Being made.
    Development,
    /// Being tried.
    Staging,
    /// For everybody.
    #[default]
    Production,
}

impl Stage {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// The one before.
    pub(crate) const fn before(self) -> Option<Self> {
        match self {
            Self::Development => None,
            Self::Staging => Some(Self::Development),
            Self::Production => Some(Self::Staging),
        }
    }
}

impl std::str::FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Development, Self::Staging, Self::Production]
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| "development, staging or production".to_owned())
    }
}

/// One installed version.
#[derive(Clone)]
pub(crate) struct Entry {
    /// The plugin, or why it cannot be used.
    pub(crate) plugin: Result<Arc<Plugin>, Arc<Unavailable>>,
    pub(crate) publisher: Option<String>,
    pub(crate) stage: Stage,
}

/// An installed version that cannot be used, and why.
pub(crate) struct Unavailable {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// All installed versions of a plugin.
#[derive(Clone, Default)]
pub(crate) struct Family {
    pub(crate) versions: BTreeMap<String, Entry>,
    /// The one that was installed last.
    pub(crate) current: String,
    /// What runs where the switch does not say: it is from before versions were kept side by side.
    pub(crate) unpinned: Option<String>,
    /// It comes with the server: there is one version, and everybody has it.
    pub(crate) is_brought_along: bool,
    /// What the operator has set going.
    pub(crate) rollout: Option<Arc<Rollout>>,
    /// What runs beside the calls of some showed so far.
    pub(crate) report: Option<Arc<Report>>,
}

impl Family {
    /// The version that a switch is about.
    pub(crate) fn version_of<'a>(&'a self, switch: &'a Switch) -> &'a str {
        if self.is_brought_along {
            return &self.current;
        }
        let pinned = switch.version.as_deref().or(self.unpinned.as_deref());
        pinned.unwrap_or(&self.current)
    }

    pub(crate) fn plugin(&self, version: &str) -> Option<&Arc<Plugin>> {
        self.versions.get(version)?.plugin.as_ref().ok()
    }

    /// Whether an organization of this stage may run that version.
    pub(crate) fn is_promoted(&self, version: &str, stage: Stage) -> bool {
        self.versions
            .get(version)
            .is_some_and(|entry| entry.stage >= stage)
    }

    /// What runs beside the calls of a tenant that it is meant for, and that has another version on.
    pub(super) fn shadowing(
        &self,
        plugin: &PluginId,
        tenant: TenantId,
        switch: &Switch,
    ) -> Option<Arc<Shadowing>> {
        let rollout = self.rollout.as_ref()?;
        let runs = rollout.shadow
            && rollout.state == RolloutState::Running
            && rollout.target.includes(plugin, tenant)
            && self.version_of(switch) != rollout.version;
        let beside = self.plugin(&rollout.version).filter(|_| runs)?;
        Some(Arc::new(Shadowing {
            grants: Arc::new(switch.granted.carried(&beside.asks)),
            plugin: Arc::clone(beside),
            report: Arc::clone(self.report.as_ref()?),
        }))
    }

    /// What an organization gets that switches the plugin on now: what was installed last, unless that is still on
    /// its way, was stopped on it, or is not promoted that far.
    pub(crate) fn offered(&self, stage: Stage) -> Option<&str> {
        let held = self.rollout.as_ref().filter(|rollout| rollout.holds_back());
        let fits = |version: &str| {
            held.is_none_or(|held| held.version != version) && self.is_promoted(version, stage)
        };
        if fits(&self.current) {
            return Some(&self.current);
        }
        if let Some(held) = held
            && fits(&held.base)
        {
            return self
                .versions
                .get_key_value(&held.base)
                .map(|(key, _)| key.as_str());
        }
        let ceiling = Version::parse(&self.current).ok();
        let mut older: Vec<(Version, &str)> = self
            .versions
            .keys()
            .filter(|version| fits(version))
            .filter_map(|version| Some((Version::parse(version).ok()?, version.as_str())))
            .filter(|(version, _)| ceiling.as_ref().is_none_or(|ceiling| version < ceiling))
            .collect();
        older.sort();
        older.pop().map(|(_, version)| version)
    }
}
