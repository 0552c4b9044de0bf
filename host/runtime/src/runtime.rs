//! The handle that the rest of the host holds.

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
use crate::ledger::{self, Ledger};
use crate::manifest::{Manifest, Permission};
use crate::outcome::Failure;
use crate::package::{Linked, Method, PackageFiles, Plugin};
use crate::registry::{PluginState, Registry};
use crate::workers::Workers;
use crate::{Limits, PluginCall, RuntimeConfig, RuntimeError, engine, instance};

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
            limits,
            budget,
        } = config;
        let limits = Arc::new(limits);
        let pool_slots = pool_slots.max(1);
        let engines = engine::start(pool_slots, &limits)?;
        let slots = usize::try_from(pool_slots).unwrap_or(1);
        let runtime = Self {
            inner: Arc::new(Inner {
                registry: Registry::new(storage.clone(), Arc::clone(&limits)),
                ledger: Ledger::new(storage.clone(), budget),
                workers: Workers::start(workers, &engines)?,
                slots: Arc::new(Semaphore::new(slots)),
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
            workers.spawn(ledger::keep_writing(Arc::downgrade(&runtime.inner)));
        }
        Ok(runtime)
    }

    /// Installs a plugin that comes with the server, in the place of the version that was there. Tenants that had it
    /// on go on with the new one, unless it asks for more than they granted.
    pub async fn install(&self, package: PackageFiles) -> Result<PluginId, RuntimeError> {
        let plugin = self.prepare(package).await?;
        let id = plugin.manifest.id.clone();
        self.inner.registry.brings_along(id.clone());
        self.take_in(plugin);
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
        let (linked, once) = tokio::task::spawn_blocking(move || {
            let cache = Cache {
                dir: &inner.cache_dir,
                keyring: &inner.keyring,
                compiler: &inner.compiler,
            };
            let component = cache.component(&inner.engines, &package.component)?;
            let Engines { calls, once, .. } = &inner.engines;
            let for_once = compiled::moved(&component, once)?;
            let asked = Linked::new(once, manifest.clone(), &for_once)?;
            Ok::<_, RuntimeError>((Linked::new(calls, manifest, &component)?, asked))
        })
        .await
        .map_err(|error| failed("compiling a component", error.to_string()))??;
        let description = self.description(once).await?;
        linked.described(&description, &self.inner.limits)
    }

    /// What was prepared answers from the next call on.
    pub(crate) fn take_in(&self, plugin: Plugin) {
        tracing::info!(
            plugin.id = %plugin.manifest.id, plugin.version = plugin.manifest.version,
            methods = plugin.methods.len(), "plugin installed"
        );
        self.inner.registry.install(plugin);
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
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

    /// The ids of all installed plugins.
    pub fn installed(&self) -> Vec<PluginId> {
        self.inner.registry.installed()
    }

    /// Switches a plugin on in a tenant, granting the capabilities that its manifest asks for. Ends a suspension.
    pub async fn enable(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        self.inner.registry.switch(cx.tenant, plugin, true).await
    }

    /// Switches a plugin off in a tenant: refused from now on, its data stays.
    pub async fn disable(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        self.inner.registry.switch(cx.tenant, plugin, false).await
    }

    /// All installed plugins as a tenant's admin sees them.
    pub fn list(&self, tenant: TenantId) -> Vec<PluginState> {
        self.inner.registry.list(tenant).unwrap_or_else(|error| {
            tracing::error!(tenant.id = %tenant, error = %error, "reading a tenant's plugins");
            Vec::new()
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
