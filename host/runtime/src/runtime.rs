//! The handle that the rest of the host holds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use vaxel_core::{Alarms, Clock, OpCx, PluginId, Problem, TenantId};
use vaxel_crypto::Keyring;
use vaxel_storage::Storage;

use crate::compiled::{self, Cache};
use crate::compiler::{COMPONENT_BYTES_MAX, Compiler};
use crate::directory::Directory;
use crate::engine::Engines;
use crate::guest::Guest;
use crate::keeping::keep_going;
use crate::ledger::{self, Ledger};
use crate::life::Turn;
use crate::manifest::{Manifest, Permission};
use crate::outcome::Failure;
use crate::outside::Outside;
use crate::package::{Linked, Method, PackageFiles, Plugin};
use crate::queue::Queue;
use crate::registry::{Entry, Family, PluginDetail, PluginState, Registry, Stage};
use crate::workers::Workers;
use crate::{Limits, PluginCall, RuntimeConfig, RuntimeError, engine, instance, ready};

/// How long a component may take to say what it offers: schemas of all methods, once per install.
const DESCRIBE_MS: u64 = 2_000;

/// The plugin runtime. Clones share it.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) storage: Storage,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarms: Arc<dyn Alarms>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) registry: Registry,
    pub(crate) ledger: Ledger,
    /// Places in the pool of instances.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) workers: Workers,
    pub(crate) pool_slots: usize,
    /// Places in the pool for instances that are ready before their call.
    pub(crate) ready_places: Arc<Semaphore>,
    pub(crate) queue: Queue,
    /// Held while rollouts are set going, looked at or ended.
    pub(crate) steering: tokio::sync::Mutex<()>,
    pub(crate) outside: Outside,
    engines: Engines,
    cache_dir: PathBuf,
    compiler: Compiler,
}

impl Runtime {
    /// Starts the engine, its workers and its tick. No plugin is there yet.
    pub fn new(
        config: RuntimeConfig,
        storage: Storage,
        directory: impl Directory,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        alarms: Arc<dyn Alarms>,
    ) -> Result<Self, RuntimeError> {
        let RuntimeConfig {
            workers,
            cache_dir,
            compiler,
            pool_slots,
            egress,
            connections,
            limits,
            budget,
        } = config;
        let limits = Arc::new(limits);
        let pool_slots = pool_slots.max(1);
        let engines = engine::start(pool_slots.saturating_add(ready::PLACES), &limits)?;
        let slots = usize::try_from(pool_slots).unwrap_or(1);
        let runtime = Self {
            inner: Arc::new(Inner {
                registry: Registry::new(storage.clone(), Arc::clone(&limits)),
                ledger: Ledger::new(storage.clone(), budget),
                workers: Workers::start(workers, &engines)?,
                outside: Outside::new(egress, connections),
                slots: Arc::new(Semaphore::new(slots)),
                pool_slots: slots,
                ready_places: Arc::new(Semaphore::new(ready::PLACES as usize)),
                queue: Queue::default(),
                steering: tokio::sync::Mutex::default(),
                storage,
                directory: Arc::new(directory),
                keyring,
                clock,
                alarms,
                limits,
                engines,
                cache_dir,
                compiler,
            }),
        };
        if let Some(workers) = runtime.inner.workers.handle() {
            let alarms = &runtime.inner.alarms;
            let weak = Arc::downgrade(&runtime.inner);
            workers.spawn(keep_going("the ledger", Arc::clone(alarms), move || {
                ledger::keep_writing(weak.clone())
            }));
            let weak = Arc::downgrade(&runtime.inner);
            let ready = move || ready::keep_ready(weak.clone());
            workers.spawn(keep_going(
                "keeping instances ready",
                Arc::clone(alarms),
                ready,
            ));
        }
        Ok(runtime)
    }

    /// Installs a plugin that comes with the server, in the place of the version that was there. Tenants that had it
    /// on go on with the new one, unless it asks for more than they granted.
    pub async fn install(&self, package: PackageFiles) -> Result<PluginId, RuntimeError> {
        let plugin = self.prepare(package).await?;
        let (id, version) = (plugin.manifest.id.clone(), plugin.manifest.version.clone());
        note_installed(&plugin);
        let entry = Entry {
            plugin: Ok(Arc::new(plugin)),
            publisher: None,
            stage: Stage::Production,
        };
        self.inner.registry.change(&id, |family| {
            *family = Family {
                versions: [(version.clone(), entry)].into(),
                current: version,
                is_brought_along: true,
                ..Family::default()
            };
        });
        Ok(id)
    }

    /// Everything that can be refused: the component is compiled, linked, and asked what it offers.
    pub(crate) async fn prepare(&self, package: PackageFiles) -> Result<Plugin, RuntimeError> {
        let manifest = Manifest::parse(&package.manifest)?;
        if package.component.len() > COMPONENT_BYTES_MAX {
            return Err(RuntimeError::TooLarge {
                max: COMPONENT_BYTES_MAX,
            });
        }
        let inner = Arc::clone(&self.inner);
        let (linked, once, code) = tokio::task::spawn_blocking(move || {
            let cache = Cache {
                dir: &inner.cache_dir,
                keyring: &inner.keyring,
                compiler: &inner.compiler,
            };
            let (component, code) = cache.component(&inner.engines, &package.component)?;
            let Engines { calls, once, .. } = &inner.engines;
            let for_once = compiled::moved(&component, once)?;
            let asked = Linked::new(once, manifest.clone(), &for_once)?;
            let linked = Linked::new(calls, manifest, &component)?;
            Ok::<_, RuntimeError>((linked, asked, code))
        })
        .await
        .map_err(|error| failed("compiling a component", error.to_string()))??;
        let description = self.description(once).await?;
        let mut plugin = linked.described(&description, &self.inner.limits)?;
        plugin.code = code;
        Ok(plugin)
    }

    /// Lets go of compiled code that no installed version is.
    pub(crate) async fn sweep_compiled(&self) {
        let inner = Arc::clone(&self.inner);
        let sweeping = tokio::task::spawn_blocking(move || {
            compiled::sweep(&inner.cache_dir, &inner.registry.code_in_use());
        });
        if let Err(error) = sweeping.await {
            tracing::warn!(%error, "sweeping compiled code");
        }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// All tenants there are.
    pub(crate) fn tenants(&self) -> Vec<TenantId> {
        self.inner.directory.tenants()
    }

    /// The ids of the plugins that come with the server.
    pub fn brought_along(&self) -> Vec<PluginId> {
        self.inner.registry.brought_along()
    }

    /// Whether a tenant switched a plugin on, whatever has become of it since.
    pub fn is_switched_on(&self, tenant: TenantId, plugin: &PluginId) -> bool {
        self.inner
            .registry
            .tenant(tenant)
            .is_ok_and(|plugins| plugins.is_switched_on(plugin))
    }

    /// Whether a plugin answers in a tenant.
    pub fn is_enabled(&self, tenant: TenantId, plugin: &PluginId) -> bool {
        self.inner
            .registry
            .tenant(tenant)
            .is_ok_and(|plugins| plugins.active.contains_key(plugin))
    }

    /// The ids of all installed plugins.
    pub fn installed(&self) -> Vec<PluginId> {
        self.inner.registry.installed()
    }

    /// Switches a plugin on in a tenant, granting all that it asks for. Ends a suspension.
    pub async fn enable(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        let turn = Turn::On {
            version: None,
            grants: None,
        };
        self.turn(cx, plugin, turn).await
    }

    /// The same, granting what these ids name of it.
    pub async fn enable_with(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        grants: &BTreeSet<String>,
    ) -> Result<(), RuntimeError> {
        self.enable_as(cx, plugin, None, Some(grants)).await
    }

    /// The same, in this version, whichever is offered.
    pub async fn enable_as(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        version: Option<&str>,
        grants: Option<&BTreeSet<String>>,
    ) -> Result<(), RuntimeError> {
        self.turn(cx, plugin, Turn::On { version, grants }).await
    }

    /// Grants a plugin that is on these and no others of what it asks for.
    pub async fn grant(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        grants: &BTreeSet<String>,
    ) -> Result<(), RuntimeError> {
        self.turn(cx, plugin, Turn::Grant(grants)).await
    }

    /// Goes on with another version. Without grants it keeps those that it has, if they suffice.
    pub async fn upgrade(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        version: &str,
        grants: Option<&BTreeSet<String>>,
    ) -> Result<(), RuntimeError> {
        let turn = Turn::Upgrade { version, grants };
        self.turn(cx, plugin, turn).await
    }

    /// Goes back to the version that ran before, with what it was granted.
    pub async fn rollback(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        self.turn(cx, plugin, Turn::Rollback).await
    }

    /// Switches a plugin off in a tenant: refused from now on, its data stays.
    pub async fn disable(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        self.turn(cx, plugin, Turn::Off).await
    }

    /// Switches a plugin off in a tenant and forgets what it was granted there.
    pub async fn forget(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        self.turn(cx, plugin, Turn::Forget).await
    }

    async fn turn(&self, cx: &OpCx, plugin: &PluginId, turn: Turn<'_>) -> Result<(), RuntimeError> {
        self.inner.turn(cx, plugin, &turn).await.map(|_| ())
    }

    /// Says what a tenant is for: versions run there that are promoted so far.
    pub async fn set_stage(&self, tenant: TenantId, stage: Stage) -> Result<(), RuntimeError> {
        Ok(self.inner.registry.set_stage(tenant, stage).await?)
    }

    /// What a tenant is for.
    pub fn stage(&self, tenant: TenantId) -> Result<Stage, RuntimeError> {
        Ok(self.inner.registry.tenant(tenant)?.stage)
    }

    /// All installed plugins as a tenant's admin sees them.
    pub fn list(&self, tenant: TenantId) -> Vec<PluginState> {
        self.inner.registry.list(tenant).unwrap_or_else(|error| {
            tracing::error!(tenant.id = %tenant, error = %error, "reading a tenant's plugins");
            Vec::new()
        })
    }

    /// One plugin as a tenant's admin sees it.
    pub fn detail(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
    ) -> Result<PluginDetail, RuntimeError> {
        let detail = self.inner.registry.detail(tenant, plugin)?;
        detail.ok_or_else(|| RuntimeError::Unknown {
            plugin: plugin.clone(),
        })
    }

    /// The methods that a tenant has switched on.
    pub fn methods(&self, tenant: TenantId) -> Arc<[Arc<Method>]> {
        match self.inner.registry.tenant(tenant) {
            Ok(plugins) => Arc::clone(&plugins.methods),
            Err(error) => {
                tracing::error!(tenant.id = %tenant, error = %error, "reading a tenant's plugins");
                Arc::new([])
            }
        }
    }

    /// What the plugins that a tenant has switched on may require of callers, by plugin.
    pub fn permissions(&self, tenant: TenantId) -> Vec<(PluginId, Permission)> {
        self.inner
            .registry
            .permissions(tenant)
            .unwrap_or_else(|error| {
                tracing::error!(tenant.id = %tenant, error = %error, "reading a tenant's plugins");
                Vec::new()
            })
    }

    /// Calls a method: one instance, one transaction, durable when it answers.
    pub async fn call(&self, call: PluginCall) -> Result<Bytes, Problem> {
        self.inner.call(call).await
    }

    async fn description(&self, linked: Linked) -> Result<Vec<u8>, RuntimeError> {
        let Inner {
            limits, workers, ..
        } = &*self.inner;
        describe(linked, Arc::clone(limits), workers).await
    }
}

/// Says in the log what answers from the next call on.
pub(crate) fn note_installed(plugin: &Plugin) {
    tracing::info!(
        plugin.id = %plugin.manifest.id, plugin.version = plugin.manifest.version,
        methods = plugin.methods.len(), "plugin installed"
    );
}

/// Asks a component what it offers, on the plugins' own threads.
pub(crate) async fn describe(
    linked: Linked,
    limits: Arc<Limits>,
    workers: &Workers,
) -> Result<Vec<u8>, RuntimeError> {
    let guest = Guest::new(linked.manifest.id.clone(), limits);
    let workers = workers
        .handle()
        .ok_or_else(|| failed("asking a plugin what it offers", "everything ends"))?;
    let time = Duration::from_millis(DESCRIBE_MS);
    let asked = workers.spawn(async move { instance::describe(&linked, guest, time).await });
    match asked.await {
        Ok(Ok(description)) => Ok(description),
        Ok(Err(Failure::Fault(fault))) => Err(RuntimeError::component(format!(
            "asked what it offers: {}",
            fault.as_str()
        ))),
        Ok(Err(_)) => Err(RuntimeError::component("it did not say what it offers")),
        Err(error) => Err(failed("asking a plugin what it offers", error.to_string())),
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("installed", &self.installed())
            .finish_non_exhaustive()
    }
}

fn failed(doing: &'static str, why: impl Into<String>) -> RuntimeError {
    RuntimeError::Engine {
        doing,
        why: why.into(),
    }
}
