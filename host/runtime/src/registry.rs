//! Which plugins there are, and which of them each tenant has switched on: read without a lock on every call.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, Storage, StorageError, Transaction};

use crate::admission::{Health, PluginGate, TenantGate};
use crate::manifest::{Capability, Grants, Permission};
use crate::package::{Method, Plugin};
use crate::{Limits, RuntimeError};

/// What each tenant switched on, by plugin.
const SPACE: Space = Space::host(0x31);

/// The first byte of a row.
const FORMAT: u8 = 2;

/// Rows in which a grant was a set of capabilities.
const FORMAT_OF_SETS: u8 = 1;

/// Plugins that a tenant's switches are read for.
const SWITCHES_MAX: usize = 1_000;

/// A plugin as a tenant's admin sees it.
#[derive(Clone, Debug)]
pub struct PluginState {
    /// Its id.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// The installed version.
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
    /// Why it answers nowhere, if it does not.
    pub unavailable: Option<String>,
}

/// An installed package that cannot be used, and why.
pub(crate) struct Unavailable {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) why: String,
}

/// What a tenant decided about a plugin.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Switch {
    on: bool,
    granted: Arc<Grants>,
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
        }
    }
}

/// A plugin in a tenant that has it on.
pub(crate) struct Active {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) gate: Arc<PluginGate>,
    pub(crate) grants: Arc<Grants>,
}

/// What one tenant has on. Replaced as a whole when something changes.
pub(crate) struct TenantPlugins {
    pub(crate) gate: Arc<TenantGate>,
    pub(crate) active: HashMap<PluginId, Active>,
    pub(crate) methods: Arc<[Arc<Method>]>,
    pub(crate) swept_day: Arc<AtomicU64>,
    switches: BTreeMap<PluginId, Switch>,
    gates: HashMap<PluginId, Arc<PluginGate>>,
}

impl TenantPlugins {
    pub(crate) fn is_switched_on(&self, plugin: &PluginId) -> bool {
        self.switches.get(plugin).is_some_and(|switch| switch.on)
    }
}

/// All plugins and tenants.
pub(crate) struct Registry {
    storage: Storage,
    limits: Arc<Limits>,
    installed: ArcSwap<BTreeMap<PluginId, Arc<Plugin>>>,
    unavailable: Mutex<BTreeMap<PluginId, Arc<Unavailable>>>,
    brought_along: Mutex<BTreeSet<PluginId>>,
    tenants: ArcSwap<HashMap<TenantId, Arc<TenantPlugins>>>,
    /// Held while a map is replaced, never across storage.
    replacing: Mutex<()>,
    /// Held while a switch is turned, so that what is stored last is what is in memory.
    switching: tokio::sync::Mutex<()>,
}

impl Registry {
    pub(crate) fn new(storage: Storage, limits: Arc<Limits>) -> Self {
        Self {
            storage,
            limits,
            installed: ArcSwap::default(),
            unavailable: Mutex::default(),
            brought_along: Mutex::default(),
            tenants: ArcSwap::default(),
            replacing: Mutex::new(()),
            switching: tokio::sync::Mutex::new(()),
        }
    }

    /// Puts a plugin in the place of what had its id.
    pub(crate) fn install(&self, plugin: Plugin) {
        let id = plugin.manifest.id.clone();
        self.unavailable.lock().remove(&id);
        self.change(|installed| {
            installed.insert(id, Arc::new(plugin));
        });
    }

    /// Takes a plugin out of use. Calls that run now end as they would have; `why` is what admins read, if it is
    /// still theirs to see.
    pub(crate) fn withdraw(&self, plugin: &PluginId, why: Option<Unavailable>) {
        {
            let mut unavailable = self.unavailable.lock();
            unavailable.remove(plugin);
            if let Some(why) = why {
                unavailable.insert(plugin.clone(), Arc::new(why));
            }
        }
        self.change(|installed| {
            installed.remove(plugin);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<PluginId, Arc<Plugin>>)) {
        let _replacing = self.replacing.lock();
        let mut installed = BTreeMap::clone(&self.installed.load());
        change(&mut installed);
        let tenants = self.tenants.load();
        let rebuilt = tenants.iter().map(|(id, tenant)| {
            (
                *id,
                Arc::new(self.built(&installed, tenant.switches.clone(), Some(tenant))),
            )
        });
        self.tenants.store(Arc::new(rebuilt.collect()));
        self.installed.store(Arc::new(installed));
    }

    /// While this is held, no tenant switches anything on or off.
    pub(crate) async fn hold_switches(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.switching.lock().await
    }

    pub(crate) fn brings_along(&self, plugin: PluginId) {
        self.brought_along.lock().insert(plugin);
    }

    pub(crate) fn brought_along(&self) -> Vec<PluginId> {
        self.brought_along.lock().iter().cloned().collect()
    }

    /// The installed plugin of that id.
    pub(crate) fn plugin(&self, plugin: &PluginId) -> Option<Arc<Plugin>> {
        self.installed.load().get(plugin).cloned()
    }

    pub(crate) fn installed(&self) -> Vec<PluginId> {
        self.installed.load().keys().cloned().collect()
    }

    /// What a tenant has on; read from storage when it is asked for the first time.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantPlugins>, StorageError> {
        if let Some(found) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(found));
        }
        let switches = self.stored(tenant)?;
        let _replacing = self.replacing.lock();
        if let Some(found) = self.tenants.load().get(&tenant) {
            return Ok(Arc::clone(found));
        }
        Ok(self.replace(tenant, switches, None))
    }

    /// Switches a plugin on, granting what its manifest asks for now, or off.
    pub(crate) async fn switch(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        on: bool,
    ) -> Result<(), RuntimeError> {
        let installed = self.installed.load().get(plugin).cloned();
        let granted = match &installed {
            Some(installed) => Grants::all(&installed.asks),
            // One that cannot be used, or is gone, can still be switched off.
            None if !on && self.tenant(tenant)?.is_switched_on(plugin) => Grants::default(),
            None => {
                return Err(RuntimeError::Unknown {
                    plugin: plugin.clone(),
                });
            }
        };
        let switch = Switch {
            on,
            granted: Arc::new(granted),
        };
        let _switching = self.switching.lock().await;
        let before = self.tenant(tenant)?;
        if !on {
            // At once: nobody is admitted while the switch is being written down.
            self.apply(tenant, plugin, switch.clone(), &before);
        }
        let stored = self.store(tenant, plugin, &switch).await;
        match stored {
            Ok(()) if on => self.apply(tenant, plugin, switch, &before),
            Ok(()) => {}
            Err(error) => {
                let _replacing = self.replacing.lock();
                self.replace(tenant, before.switches.clone(), Some(&before));
                return Err(error.into());
            }
        }
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

    /// All plugins as this tenant's admin sees them.
    pub(crate) fn list(&self, tenant: TenantId) -> Result<Vec<PluginState>, StorageError> {
        let tenant = self.tenant(tenant)?;
        let installed = self.installed.load();
        let states = installed.values().map(|plugin| {
            let manifest = &plugin.manifest;
            let enabled = tenant.active.contains_key(&manifest.id);
            let is_on = tenant
                .switches
                .get(&manifest.id)
                .is_some_and(|switch| switch.on);
            let gate = tenant.gates.get(&manifest.id);
            PluginState {
                id: manifest.id.clone(),
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                summary: manifest.summary.clone(),
                capabilities: manifest.capabilities.clone(),
                enabled,
                needs_consent: is_on && !enabled,
                health: gate.map_or(Health::Running, |gate| gate.breaker.lock().health()),
                unavailable: None,
            }
        });
        let unavailable = self.unavailable.lock();
        let unusable = unavailable.iter().map(|(id, unusable)| PluginState {
            id: id.clone(),
            name: unusable.name.clone(),
            version: unusable.version.clone(),
            summary: String::new(),
            capabilities: Vec::new(),
            enabled: false,
            needs_consent: false,
            health: Health::Running,
            unavailable: Some(unusable.why.clone()),
        });
        Ok(states.chain(unusable).collect())
    }

    fn apply(&self, tenant: TenantId, plugin: &PluginId, switch: Switch, before: &TenantPlugins) {
        let _replacing = self.replacing.lock();
        let mut switches = before.switches.clone();
        let is_on = switch.on;
        switches.insert(plugin.clone(), switch);
        let replaced = self.replace(tenant, switches, Some(before));
        if let (true, Some(gate)) = (is_on, replaced.gates.get(plugin)) {
            // Switching on is also how an admin ends a suspension.
            *gate.breaker.lock() = crate::admission::Breaker::default();
        }
    }

    // Only while `replacing` is held.
    fn replace(
        &self,
        tenant: TenantId,
        switches: BTreeMap<PluginId, Switch>,
        before: Option<&TenantPlugins>,
    ) -> Arc<TenantPlugins> {
        let built = Arc::new(self.built(&self.installed.load(), switches, before));
        let mut tenants = HashMap::clone(&self.tenants.load());
        tenants.insert(tenant, Arc::clone(&built));
        self.tenants.store(Arc::new(tenants));
        built
    }

    // Keeps the gates of before: their permits are in use.
    fn built(
        &self,
        installed: &BTreeMap<PluginId, Arc<Plugin>>,
        switches: BTreeMap<PluginId, Switch>,
        before: Option<&TenantPlugins>,
    ) -> TenantPlugins {
        let mut gates = before
            .map(|before| before.gates.clone())
            .unwrap_or_default();
        let mut active = HashMap::new();
        let mut methods = Vec::new();
        for (id, plugin) in installed {
            let Some(switch) = switches.get(id) else {
                continue;
            };
            if !switch.on || !switch.granted.suffice_for(&plugin.asks) {
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
                },
            );
        }
        TenantPlugins {
            gate: before.map_or_else(
                || Arc::new(TenantGate::new(&self.limits)),
                |before| Arc::clone(&before.gate),
            ),
            active,
            methods: methods.into(),
            swept_day: before.map(|b| Arc::clone(&b.swept_day)).unwrap_or_default(),
            switches,
            gates,
        }
    }

    fn stored(&self, tenant: TenantId) -> Result<BTreeMap<PluginId, Switch>, StorageError> {
        let mut tx = self.storage.begin(tenant);
        let page = tx.scan(SPACE, &[], None, SWITCHES_MAX, Order::Ascending)?;
        page.entries
            .iter()
            .map(|(key, row)| read(key, row))
            .collect()
    }

    async fn store(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        switch: &Switch,
    ) -> Result<(), StorageError> {
        let mut row = vec![FORMAT];
        row.extend(serde_json::to_vec(switch).map_err(|_| damaged())?);
        let mut tx: Transaction = self.storage.begin(tenant);
        tx.put(SPACE, plugin.as_str().as_bytes(), row, ErasureKey::TENANT)?;
        self.storage.commit(tx).await?;
        Ok(())
    }
}

fn read(key: &[u8], row: &[u8]) -> Result<(PluginId, Switch), StorageError> {
    let plugin = std::str::from_utf8(key)
        .ok()
        .and_then(|id| id.parse().ok())
        .ok_or_else(damaged)?;
    match row.split_first() {
        Some((&FORMAT, json)) => Ok((plugin, serde_json::from_slice(json).map_err(|_| damaged())?)),
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
