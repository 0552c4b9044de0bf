//! Which plugins there are, and which of them each tenant has switched on: read without a lock on every call.

mod family;
mod switch;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use vaxel_core::{PluginId, TenantId};
use vaxel_storage::{Storage, StorageError};

use crate::admission::{Breaker, PluginGate, TenantGate};
use crate::life::Shadowing;
use crate::manifest::{Grants, Permission};
use crate::package::{Method, Plugin};
use crate::queue::TakingPart;
use crate::{Limits, RuntimeError};
pub use family::Stage;
pub(crate) use family::{Entry, Family, Unavailable};
use switch::Switches;
pub(crate) use switch::{Former, LIFE_SPACE, Switch};
pub use views::{AskState, PluginDetail, PluginState, State, Update, UpdateAsk};

/// A plugin in a tenant that has it on.
pub(crate) struct Active {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) gate: Arc<PluginGate>,
    pub(crate) grants: Arc<Grants>,
    /// The version that runs beside it, of which nothing is kept.
    pub(crate) shadow: Option<Arc<Shadowing>>,
}

/// What one tenant has on. Replaced as a whole when something changes.
pub(crate) struct TenantPlugins {
    pub(crate) gate: Arc<TenantGate>,
    pub(crate) active: HashMap<PluginId, Active>,
    pub(crate) methods: Arc<[Arc<Method>]>,
    pub(crate) swept_day: Arc<AtomicU64>,
    pub(crate) stage: Stage,
    /// Which of them take part in what others do.
    pub(crate) taking_part: TakingPart,
    switches: Switches,
    gates: HashMap<PluginId, Arc<PluginGate>>,
}

impl TenantPlugins {
    pub(crate) fn is_switched_on(&self, plugin: &PluginId) -> bool {
        self.switches.get(plugin).is_some_and(|switch| switch.on)
    }

    pub(crate) fn switch(&self, plugin: &PluginId) -> Option<&Switch> {
        self.switches.get(plugin)
    }
}

type Installed = BTreeMap<PluginId, Arc<Family>>;

/// All plugins and tenants.
pub(crate) struct Registry {
    storage: Storage,
    limits: Arc<Limits>,
    installed: ArcSwap<Installed>,
    tenants: ArcSwap<HashMap<TenantId, Arc<TenantPlugins>>>,
    /// Held while a map is replaced, never across storage.
    replacing: Mutex<()>,
    /// Held while a switch is turned, so that what is stored last is what is in memory.
    switching: tokio::sync::Mutex<()>,
    /// Rings when another version may be on in any tenant.
    pub(crate) changed: tokio::sync::Notify,
}

impl Registry {
    pub(crate) fn new(storage: Storage, limits: Arc<Limits>) -> Self {
        Self {
            storage,
            limits,
            installed: ArcSwap::default(),
            tenants: ArcSwap::default(),
            replacing: Mutex::new(()),
            switching: tokio::sync::Mutex::new(()),
            changed: tokio::sync::Notify::new(),
        }
    }

    /// Changes what is installed of a plugin. Calls that run now end as they would have. Where no version is left, it
    /// is gone.
    pub(crate) fn change(&self, plugin: &PluginId, change: impl FnOnce(&mut Family)) {
        let _replacing = self.replacing.lock();
        let mut installed = BTreeMap::clone(&self.installed.load());
        let mut family = installed
            .get(plugin)
            .map(|family| Family::clone(family))
            .unwrap_or_default();
        change(&mut family);
        if family.versions.is_empty() {
            installed.remove(plugin);
        } else {
            installed.insert(plugin.clone(), Arc::new(family));
        }
        let tenants = self.tenants.load();
        let rebuilt = tenants.iter().map(|(id, tenant)| {
            let (switches, stage) = (tenant.switches.clone(), tenant.stage);
            let built = self.built(&installed, *id, switches, stage, Some(tenant));
            (*id, Arc::new(built))
        });
        self.tenants.store(Arc::new(rebuilt.collect()));
        self.installed.store(Arc::new(installed));
        self.changed.notify_one();
    }

    /// A version in a tenant as it would be with these grants, behind the gate that the plugin has there.
    pub(crate) fn as_if_on(
        &self,
        tenant: &TenantPlugins,
        plugin: &Arc<Plugin>,
        grants: &Arc<Grants>,
    ) -> Active {
        let gate = tenant.gates.get(&plugin.manifest.id).cloned();
        Active {
            plugin: Arc::clone(plugin),
            gate: gate.unwrap_or_else(|| Arc::new(PluginGate::new(&self.limits))),
            grants: Arc::clone(grants),
            shadow: None,
        }
    }

    /// While this is held, no tenant switches anything on or off.
    pub(crate) async fn hold_switches(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.switching.lock().await
    }

    pub(crate) fn brought_along(&self) -> Vec<PluginId> {
        let installed = self.installed.load();
        let brought = installed.iter().filter(|(_, f)| f.is_brought_along);
        brought.map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn is_brought_along(&self, plugin: &PluginId) -> bool {
        self.family(plugin).is_some_and(|f| f.is_brought_along)
    }

    pub(crate) fn installed(&self) -> Vec<PluginId> {
        self.installed.load().keys().cloned().collect()
    }

    /// The files of the compiled code of all versions that can be used.
    pub(crate) fn code_in_use(&self) -> BTreeSet<OsString> {
        let installed = self.installed.load();
        let entries = installed
            .values()
            .flat_map(|family| family.versions.values());
        let usable = entries.filter_map(|entry| entry.plugin.as_ref().ok());
        usable.map(|plugin| plugin.code.clone()).collect()
    }

    pub(crate) fn family(&self, plugin: &PluginId) -> Option<Arc<Family>> {
        self.installed.load().get(plugin).cloned()
    }

    /// What a tenant has on; read from storage when it is asked for the first time.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantPlugins>, StorageError> {
        if let Some(found) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(found));
        }
        let (switches, stage) = switch::stored(&self.storage, tenant)?;
        let _replacing = self.replacing.lock();
        if let Some(found) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(found));
        }
        Ok(self.replace(tenant, switches, stage, None))
    }

    /// Turns a switch that still is as `before`, or answers that it is not. `after` is `None` for one that is forgotten.
    pub(crate) async fn turn(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        before: Option<&Switch>,
        after: Option<Switch>,
        ends_suspension: bool,
    ) -> Result<bool, RuntimeError> {
        let _switching = self.switching.lock().await;
        let plugins = self.tenant(tenant)?;
        if plugins.switch(plugin) != before {
            return Ok(false);
        }
        let is_on = after.as_ref().is_some_and(|after| after.on);
        if !is_on {
            // At once: nobody is admitted while the switch is being written down.
            self.apply(tenant, plugin, after.clone(), &plugins, false);
        }
        let stored = switch::store(&self.storage, tenant, plugin, after.as_ref()).await;
        match stored {
            Ok(()) if is_on => self.apply(tenant, plugin, after, &plugins, ends_suspension),
            Ok(()) => {}
            Err(error) => {
                let _replacing = self.replacing.lock();
                let switches = plugins.switches.clone();
                self.replace(tenant, switches, plugins.stage, Some(&plugins));
                return Err(error.into());
            }
        }
        Ok(true)
    }

    /// Says what a tenant is for.
    pub(crate) async fn set_stage(
        &self,
        tenant: TenantId,
        stage: Stage,
    ) -> Result<(), StorageError> {
        let _switching = self.switching.lock().await;
        let plugins = self.tenant(tenant)?;
        switch::store_stage(&self.storage, tenant, stage).await?;
        let _replacing = self.replacing.lock();
        self.replace(tenant, plugins.switches.clone(), stage, Some(&plugins));
        Ok(())
    }

    /// What the plugins that a tenant has on may require of callers.
    pub(crate) fn permissions(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<(PluginId, Permission)>, StorageError> {
        let tenant = self.tenant(tenant)?;
        let mut plugins: Vec<_> = tenant
            .active
            .values()
            .map(|on| &on.plugin.manifest)
            .collect();
        plugins.sort_by(|a, b| a.id.cmp(&b.id));
        let each = plugins.into_iter().flat_map(|manifest| {
            let permissions = manifest.permissions.iter();
            permissions.map(|permission| (manifest.id.clone(), permission.clone()))
        });
        Ok(each.collect())
    }

    fn apply(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        switch: Option<Switch>,
        before: &TenantPlugins,
        ends_suspension: bool,
    ) {
        let _replacing = self.replacing.lock();
        let mut switches = before.switches.clone();
        match switch {
            Some(switch) => switches.insert(plugin.clone(), switch),
            None => switches.remove(plugin),
        };
        let replaced = self.replace(tenant, switches, before.stage, Some(before));
        if let (true, Some(gate)) = (ends_suspension, replaced.gates.get(plugin)) {
            *gate.breaker.lock() = Breaker::default();
        }
    }

    // Only while `replacing` is held.
    fn replace(
        &self,
        tenant: TenantId,
        switches: Switches,
        stage: Stage,
        before: Option<&TenantPlugins>,
    ) -> Arc<TenantPlugins> {
        let built = Arc::new(self.built(&self.installed.load(), tenant, switches, stage, before));
        let mut tenants = HashMap::clone(&self.tenants.load());
        tenants.insert(tenant, Arc::clone(&built));
        self.tenants.store(Arc::new(tenants));
        built
    }

    // Keeps the gates of before: their permits are in use.
    fn built(
        &self,
        installed: &Installed,
        tenant: TenantId,
        switches: Switches,
        stage: Stage,
        before: Option<&TenantPlugins>,
    ) -> TenantPlugins {
        let mut gates = before
            .map(|before| before.gates.clone())
            .unwrap_or_default();
        let mut active = HashMap::new();
        let mut methods = Vec::new();
        for (id, family) in installed {
            let Some(switch) = switches.get(id).filter(|switch| switch.on) else {
                continue;
            };
            let version = family.version_of(switch);
            let Some(plugin) = family.plugin(version) else {
                continue;
            };
            if !family.is_promoted(version, stage) || !switch.granted.suffice_for(&plugin.asks) {
                continue;
            }
            let gate = gates
                .entry(id.clone())
                .or_insert_with(|| Arc::new(PluginGate::new(&self.limits)));
            methods.extend(plugin.methods.iter().cloned());
            let gate = Arc::clone(gate);
            active.insert(
                id.clone(),
                Active {
                    plugin: Arc::clone(plugin),
                    gate,
                    grants: Arc::clone(&switch.granted),
                    shadow: family.shadowing(id, tenant, switch),
                },
            );
        }
        TenantPlugins {
            gate: before.map_or_else(
                || Arc::new(TenantGate::new(&self.limits)),
                |before| Arc::clone(&before.gate),
            ),
            taking_part: TakingPart::of(&active),
            active,
            methods: methods.into(),
            swept_day: before.map(|b| Arc::clone(&b.swept_day)).unwrap_or_default(),
            stage,
            switches,
            gates,
        }
    }
}
