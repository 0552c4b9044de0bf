//! A plugin leaves nothing: the keys of its subjects are destroyed, then its rows, queue, audiences, connections, blobs and
//! settings go in steps.

use std::sync::Arc;

use vaxel_core::{OpCx, PluginId, Problem, Reason, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_identity::{erase_clients, erase_credentials};
use vaxel_storage::{Space, StorageError, Transaction};

use super::rows::{self, Standing};
use crate::admission::PluginGate;
use crate::outcome::storage_problem;
use crate::outside::connections::spec;
use crate::queue;
use crate::registry::{Active, TenantPlugins};
use crate::runtime::Inner;
use crate::work::Work;
use crate::{Runtime, RuntimeError, settings};

/// Rows and keys that go in one step.
const STEP_MAX: usize = 200;

impl Inner {
    /// Erases all that a plugin, which is off, has in a tenant. It is told before, where it can be, and cannot prevent
    /// it. What a crash cuts off goes on with the next start.
    pub(crate) async fn erase(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: Option<&Active>,
        plugin: &PluginId,
    ) -> Result<(), Problem> {
        let is_installed = rows::read(&mut self.storage.begin(cx.tenant), plugin)
            .map_err(|error| storage_problem(&error))?
            .is_installed;
        if let (Some(active), true) = (active, is_installed) {
            let told = self.moment(cx, tenant, active, Work::Uninstall, None).await;
            if let Err(problem) = told {
                tracing::warn!(plugin.id = %plugin, tenant.id = %cx.tenant, "told that it goes: {problem}");
            }
        }
        if let Some(holder) = &self.outside.connections {
            let manifest = active.map(|active| &active.plugin.manifest);
            let connections = manifest.into_iter().flat_map(|it| &it.connections);
            let specs: Vec<_> = connections.map(|it| spec(plugin, it)).collect();
            let left = holder.leave(cx.tenant, plugin, &specs).await;
            left.map_err(|error| error.problem())?;
        }
        self.note(cx, |tx| {
            let leaving = Standing {
                is_leaving: true,
                ..rows::read(tx, plugin)?
            };
            rows::write(tx, plugin, &leaving)
        })
        .await?;
        let gate = active.map(|active| &active.gate);
        self.erase_steps(cx.tenant, plugin, gate).await
    }

    /// Goes on with what a crash cut off.
    pub(crate) async fn resume_erasing(self: &Arc<Self>) {
        for tenant in self.storage.tenants() {
            let leaving = rows::leaving(&mut self.storage.begin(tenant));
            let leaving = leaving.unwrap_or_else(|error| {
                tracing::warn!(tenant.id = %tenant, error = %error, "looking for plugins that are to be erased");
                Vec::new()
            });
            for plugin in leaving {
                if let Err(problem) = self.erase_steps(tenant, &plugin, None).await {
                    tracing::warn!(tenant.id = %tenant, plugin.id = %plugin, "erasing: {problem}");
                }
            }
        }
    }

    async fn erase_steps(
        self: &Arc<Self>,
        tenant: TenantId,
        plugin: &PluginId,
        gate: Option<&Arc<PluginGate>>,
    ) -> Result<(), Problem> {
        let cx = OpCx::system(tenant, self.clock.now());
        let space = Space::plugin(plugin);
        // Keys first: from here on nothing of it can be read, whatever becomes of its rows.
        loop {
            let keys = rows::keys(&mut self.storage.begin(tenant), plugin, STEP_MAX);
            let keys = keys.map_err(|error| storage_problem(&error))?;
            if keys.is_empty() {
                break;
            }
            self.destroy(tenant, keys.clone()).await?;
            self.note(&cx, |tx| {
                keys.iter()
                    .try_for_each(|key| rows::forget_key(tx, plugin, *key))
            })
            .await?;
        }
        self.steps(&cx, |tx| tx.clear(space, &[], STEP_MAX)).await?;
        self.steps(&cx, |tx| queue::erase_some(tx, plugin)).await?;
        self.steps(&cx, |tx| erase_clients(tx, plugin, STEP_MAX))
            .await?;
        self.steps(&cx, |tx| erase_credentials(tx, plugin, STEP_MAX))
            .await?;
        self.steps(&cx, |tx| {
            let Some(audience) = rows::audience(tx, plugin)? else {
                return Ok(false);
            };
            if !tx.forget_audience(audience)? {
                rows::forget_audience(tx, plugin, audience)?;
            }
            Ok(true)
        })
        .await?;
        self.steps(&cx, |tx| rows::forget_before(tx, plugin, STEP_MAX))
            .await?;
        let runtime = Runtime {
            inner: Arc::clone(self),
        };
        let blobs = runtime.erase_blobs(tenant, plugin).await;
        blobs.map_err(|error| storage_problem(&error))?;
        self.note(&cx, |tx| {
            settings::forget(tx, plugin)?;
            let standing = rows::read(tx, plugin)?;
            let gone = Standing {
                erased: standing.erased.saturating_add(1),
                ..Standing::default()
            };
            rows::write(tx, plugin, &gone)
        })
        .await?;
        if let Some(gate) = gate {
            gate.forget();
        }
        Ok(())
    }

    async fn steps(
        &self,
        cx: &OpCx,
        step: impl Fn(&mut Transaction) -> Result<bool, StorageError>,
    ) -> Result<(), Problem> {
        let mut is_more = true;
        while is_more {
            self.note(cx, |tx| {
                is_more = step(tx)?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn destroy(&self, tenant: TenantId, keys: Vec<ErasureKey>) -> Result<(), Problem> {
        let keyring = Arc::clone(&self.keyring);
        let destroyed = tokio::task::spawn_blocking(move || {
            keys.into_iter()
                .try_for_each(|key| keyring.destroy_key(tenant, key))
        });
        match destroyed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Reason::Internal.into()),
        }
    }
}

impl Runtime {
    /// Switches a plugin off in a tenant, forgets what it was granted there, and erases all that it has.
    pub async fn uninstall(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), RuntimeError> {
        let inner = &self.inner;
        let tenant = inner.registry.tenant(cx.tenant)?;
        let last = inner.registry.family(plugin).and_then(|family| {
            let switch = tenant.switch(plugin)?;
            let version = family.plugin(family.version_of(switch))?;
            Some(inner.registry.as_if_on(&tenant, version, &switch.granted))
        });
        if tenant.switch(plugin).is_some() {
            self.forget(cx, plugin).await?;
        }
        inner
            .erase(cx, &tenant, last.as_ref(), plugin)
            .await
            .map_err(RuntimeError::Life)
    }
}
