//! Plugins as a tenant's administrators see them: what runs, what it was granted, and what a newer version would ask.

use serde::Serialize;
use vaxel_core::{PluginId, TenantId};
use vaxel_storage::StorageError;

use super::{Entry, Family, Registry, Switch, TenantPlugins};
use crate::admission::Health;
use crate::life::RolloutState;
use crate::manifest::{Ask, Capability, Grants, Manifest};

/// How a plugin is doing in a tenant, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It answers.
    On,
    /// Nobody switched it on.
    Off,
    /// It, or a newer version of it, asks for more than was granted.
    Waiting,
    /// It broke too often and is tried again in a while.
    Resting,
    /// It broke again and again; an administrator has to look.
    Suspended,
    /// It cannot be used here.
    Unavailable,
}

/// A plugin as a tenant's admin sees it.
#[derive(Clone, Debug)]
pub struct PluginState {
    /// Its id.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// The version that runs here, or would if it were switched on now.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// What it asks for, and why.
    pub capabilities: Vec<Capability>,
    /// Whether it answers in this tenant.
    pub enabled: bool,
    /// It was switched on, and now asks for more than was granted then.
    pub needs_consent: bool,
    /// How it is doing.
    pub health: Health,
    /// The same and everything else, in a word.
    pub state: State,
    /// Why it does not answer, if nobody here can help it.
    pub unavailable: Option<String>,
}

/// Something that is asked for, and whether it was granted.
#[derive(Clone, Debug)]
pub struct AskState {
    /// What is asked for.
    pub ask: Ask,
    /// Whether all of it was granted.
    pub granted: bool,
}

/// Something that another version asks for.
#[derive(Clone, Debug)]
pub struct UpdateAsk {
    /// What is asked for.
    pub ask: Ask,
    /// Hosts or methods that the version which runs did not name.
    pub added_details: Vec<String>,
    /// Whether what was granted covers it.
    pub granted: bool,
    /// The version that runs does not ask for it at all.
    pub is_new: bool,
}

/// A version that the tenant could go on with.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub version: String,
    /// What it asks for.
    pub asks: Vec<UpdateAsk>,
    /// It requires more than was granted.
    pub waits_for_consent: bool,
}

/// Everything that a tenant's admin may know of a plugin.
#[derive(Clone, Debug)]
pub struct PluginDetail {
    /// What the list shows.
    pub state: PluginState,
    /// The manifest of that version, if it can be used.
    pub manifest: Option<Manifest>,
    /// Who published it.
    pub publisher: Option<String>,
    /// What it asks for.
    pub asks: Vec<AskState>,
    /// What it could be replaced with.
    pub update: Option<Update>,
    /// The version that would be brought back.
    pub former: Option<String>,
    /// The version that the operator tries here, how that goes, and why it ended.
    pub rollout: Option<(String, RolloutState, Option<String>)>,
}

impl Registry {
    /// All plugins as this tenant's admin sees them.
    pub(crate) fn list(&self, tenant: TenantId) -> Result<Vec<PluginState>, StorageError> {
        let tenant = self.tenant(tenant)?;
        let installed = self.installed.load();
        let states = installed.iter();
        Ok(states
            .filter_map(|(id, family)| state(id, family, &tenant))
            .collect())
    }

    /// One plugin as this tenant's admin sees it; `None` if there is none for it.
    pub(crate) fn detail(
        &self,
        tenant_id: TenantId,
        id: &PluginId,
    ) -> Result<Option<PluginDetail>, StorageError> {
        let tenant = self.tenant(tenant_id)?;
        let Some(family) = self.family(id) else {
            return Ok(None);
        };
        let Some(state) = state(id, &family, &tenant) else {
            return Ok(None);
        };
        let switch = tenant.switch(id);
        let entry = family.versions.get(&state.version);
        let plugin = entry.and_then(|entry| entry.plugin.as_ref().ok());
        let none = Grants::default();
        let granted = switch.map_or(&none, |switch| &switch.granted);
        let asks = plugin.map(|plugin| &*plugin.asks).unwrap_or_default();
        let former = switch.and_then(|switch| switch.former.as_ref());
        let rollout = family
            .rollout
            .as_ref()
            .filter(|rollout| rollout.target.includes(id, tenant_id));
        Ok(Some(PluginDetail {
            manifest: plugin.map(|plugin| plugin.manifest.clone()),
            publisher: entry.and_then(|entry| entry.publisher.clone()),
            asks: asks
                .iter()
                .map(|ask| AskState {
                    granted: granted.covers(ask),
                    ask: ask.clone(),
                })
                .collect(),
            update: switch.and_then(|switch| update(&family, &tenant, switch)),
            former: former
                .filter(|former| family.plugin(&former.version).is_some())
                .map(|former| former.version.clone()),
            rollout: rollout.map(|rollout| {
                (
                    rollout.version.clone(),
                    rollout.state,
                    rollout.reason.clone(),
                )
            }),
            state,
        }))
    }
}

fn state(id: &PluginId, family: &Family, tenant: &TenantPlugins) -> Option<PluginState> {
    let switch = tenant.switch(id);
    let on = switch.filter(|switch| switch.on);
    let version = match on {
        Some(on) => family.version_of(on),
        // What is not for a tenant of this stage is not shown to it.
        None => family.offered(tenant.stage)?,
    };
    let gate = tenant.gates.get(id);
    let health = gate.map_or(Health::Running, |gate| gate.breaker.lock().health());
    let enabled = tenant.active.contains_key(id);
    let (plugin, unavailable, name) = match family.versions.get(version) {
        Some(Entry {
            plugin: Ok(plugin), ..
        }) if family.is_promoted(version, tenant.stage) => (Some(plugin), None, None),
        Some(Entry {
            plugin: Ok(plugin), ..
        }) => {
            let why = format!("{version} is not promoted to {}", tenant.stage.as_str());
            (Some(plugin), Some(why), None)
        }
        Some(Entry {
            plugin: Err(unusable),
            ..
        }) => (None, Some(unusable.why.clone()), Some(&unusable.name)),
        None => (None, Some(format!("{version} is not installed")), None),
    };
    let needs_consent = on.is_some() && !enabled && unavailable.is_none();
    let waits = on.is_some_and(|on| {
        update(family, tenant, on).is_some_and(|update| update.waits_for_consent)
    });
    let word = match health {
        _ if unavailable.is_some() => State::Unavailable,
        _ if on.is_none() => State::Off,
        _ if needs_consent => State::Waiting,
        Health::Suspended => State::Suspended,
        Health::Resting { .. } => State::Resting,
        Health::Running if waits => State::Waiting,
        Health::Running => State::On,
    };
    let manifest = plugin.map(|plugin| &plugin.manifest);
    Some(PluginState {
        id: id.clone(),
        name: manifest
            .map(|manifest| &manifest.name)
            .or(name)
            .map_or_else(|| id.to_string(), Clone::clone),
        version: version.to_owned(),
        summary: manifest.map_or_else(String::new, |manifest| manifest.summary.clone()),
        capabilities: manifest.map_or_else(Vec::new, |manifest| manifest.capabilities.clone()),
        enabled,
        needs_consent,
        health,
        state: word,
        unavailable,
    })
}

/// What is offered to a tenant that runs another version.
fn update(family: &Family, tenant: &TenantPlugins, switch: &Switch) -> Option<Update> {
    if !switch.on {
        return None;
    }
    let running = family.version_of(switch);
    let version = family
        .offered(tenant.stage)
        .filter(|offered| *offered != running)?;
    let plugin = family.plugin(version)?;
    let now = family
        .plugin(running)
        .map(|plugin| &*plugin.asks)
        .unwrap_or_default();
    let carried = switch.granted.carried(&plugin.asks);
    let asks = plugin.asks.iter().map(|ask| {
        let asked = now.iter().find(|now| now.id == ask.id);
        UpdateAsk {
            added_details: match asked {
                Some(asked) => ask.details.difference(&asked.details).cloned().collect(),
                None => ask.details.iter().cloned().collect(),
            },
            granted: carried.covers(ask),
            is_new: asked.is_none(),
            ask: ask.clone(),
        }
    });
    Some(Update {
        version: version.to_owned(),
        asks: asks.collect(),
        waits_for_consent: !carried.suffice_for(&plugin.asks),
    })
}
