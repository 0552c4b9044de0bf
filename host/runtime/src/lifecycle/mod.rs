//! Moments in the life of a plugin in a tenant: it comes, is switched, changes the form of its rows, and goes.
//!
//! Whoever turns a switch calls [`Inner::before_turn`] and [`Inner::after_turn`]; rows whose form is not the one that the
//! version knows are noticed with the first call, and whoever works through the queue sees to them.

mod erase;
mod migrate;
mod rows;
mod turning;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vaxel_core::{OpCx, PluginId, Problem, Reason};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{StorageError, Transaction};

use crate::admission::PluginGate;
use crate::call::{Alongside, Errand, Manner};
use crate::guest::Context;
use crate::outcome::{Failure, storage_problem};
use crate::queue::Whose;
use crate::registry::{Active, TenantPlugins};
use crate::runtime::Inner;
use crate::work::{Done, Work};
use crate::{Caller, Runtime};
use rows::Standing;
pub(crate) use turning::Moment;

/// When to come back while rows are brought to a new form.
const MIGRATING_RETRY_MS: u32 = 1_000;

impl Work {
    /// Whether it runs only on rows of the form that the version knows.
    pub(crate) fn needs_its_rows(&self) -> bool {
        !matches!(self, Self::Install | Self::Uninstall | Self::Migrate { .. })
    }
}

impl PluginGate {
    /// What is known of the rows: their form, and how often they were erased. 0 is no form.
    fn known(&self) -> (u32, u32) {
        let known = self.standing.load(Ordering::Acquire);
        let form = u32::try_from(known & u64::from(u32::MAX)).unwrap_or(0);
        (form, u32::try_from(known >> 32).unwrap_or(0))
    }

    fn learn(&self, standing: &Standing) {
        let known = u64::from(standing.erased) << 32 | u64::from(standing.data_version);
        self.standing.store(known, Ordering::Release);
    }

    fn forget(&self) {
        self.standing.store(0, Ordering::Release);
    }

    /// How often the tenant erased the plugin: keys that were destroyed then are never used again.
    pub(crate) fn erased(&self) -> u32 {
        self.known().1
    }
}

impl Inner {
    /// Whether the rows have the form that this version knows. Costs nothing once it is known that they do.
    pub(crate) fn check_rows(&self, context: &Context, gate: &PluginGate) -> Result<(), Problem> {
        let manifest = &context.plugin.manifest;
        if gate.known().0 == manifest.data_version {
            return Ok(());
        }
        let tenant = context.tenant();
        let standing = rows::read(&mut self.storage.begin(tenant), &manifest.id)
            .map_err(|error| storage_problem(&error))?;
        if standing.is_fit_for(manifest) {
            gate.learn(&standing);
            return Ok(());
        }
        if standing.has_failed_for(manifest) {
            let detail = "Its data could not be brought to this version's form. An administrator must decide.";
            return Err(
                Problem::new(Reason::Unavailable, detail).with_code("plugin-migration-failed")
            );
        }
        // Whoever works through the queue sees to it.
        self.queue.mark(tenant, manifest.id.clone());
        Err(migrating())
    }

    /// Whether something is to be done about the rows before anything else of the plugin is.
    pub(crate) fn must_migrate(
        &self,
        (tenant, plugin): &Whose,
        active: &Active,
    ) -> Result<bool, StorageError> {
        let manifest = &active.plugin.manifest;
        if active.gate.known().0 == manifest.data_version {
            return Ok(false);
        }
        let standing = rows::read(&mut self.storage.begin(*tenant), plugin)?;
        if standing.is_fit_for(manifest) {
            active.gate.learn(&standing);
        }
        Ok(!standing.is_fit_for(manifest) && !standing.has_failed_for(manifest))
    }

    /// Before a plugin answers in a tenant: it is installed, where it was not, its rows get their form, and it is told
    /// that it is on. It stays off where this fails. `active` is what is to be on; its gate is the tenant's own.
    pub(crate) async fn comes_on(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
    ) -> Result<(), Problem> {
        let manifest = &active.plugin.manifest;
        let standing = rows::read(&mut self.storage.begin(cx.tenant), &manifest.id)
            .map_err(|error| storage_problem(&error))?;
        if standing.is_installed {
            self.forgive(cx, active).await?;
            self.migrate(cx, tenant, active).await?;
        } else {
            let id = manifest.id.clone();
            let installed = Standing {
                is_installed: true,
                data_version: manifest.data_version,
                ..standing
            };
            let alongside = move |tx: &mut Transaction, _: &Done| {
                if rows::read(tx, &id)?.is_installed {
                    return Err(StorageError::Conflict);
                }
                rows::write(tx, &id, &installed)
            };
            self.moment(cx, tenant, active, Work::Install, Some(Arc::new(alongside)))
                .await?;
            active.gate.forget();
        }
        self.moment(cx, tenant, active, Work::Enable, None).await?;
        self.plan_repeated(cx.tenant, manifest, true)
            .await
            .map_err(|error| storage_problem(&error))
    }

    /// Tells a plugin that it is off. It cannot prevent that.
    pub(crate) async fn goes_off(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
    ) {
        let told = self.moment(cx, tenant, active, Work::Disable, None).await;
        if let Err(problem) = told {
            let plugin = &active.plugin.manifest.id;
            tracing::warn!(plugin.id = %plugin, tenant.id = %cx.tenant, "told that it is off: {problem}");
        }
    }

    /// A word of the plugin's own on how it goes; `None` where it has none to say.
    pub(crate) async fn examine(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
    ) -> Result<Option<String>, Problem> {
        match self.moment(cx, tenant, active, Work::Health, None).await? {
            Done::Words(words) => Ok(Some(words)),
            _ => Ok(None),
        }
    }

    /// What waits for a plugin is lost with what it was granted.
    async fn lose_queue(&self, cx: &OpCx, plugin: &PluginId) -> Result<(), Problem> {
        let mut is_more = true;
        while is_more {
            self.note(cx, |tx| {
                is_more = crate::queue::erase_some(tx, plugin)?;
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn moment(
        self: &Arc<Self>,
        cx: &OpCx,
        tenant: &Arc<TenantPlugins>,
        active: &Active,
        work: Work,
        alongside: Option<Alongside>,
    ) -> Result<Done, Problem> {
        if !active.plugin.exports.can(&work) {
            if let Some(alongside) = alongside {
                self.note(cx, |tx| alongside(tx, &Done::Nothing)).await?;
            }
            return Ok(Done::Nothing);
        }
        let errand = Errand {
            cx: cx.clone(),
            caller: Caller::default(),
            work,
            alongside,
        };
        self.errand(tenant, active, errand).await
    }

    /// Switching on is also how an administrator asks for another try.
    async fn forgive(&self, cx: &OpCx, active: &Active) -> Result<(), Problem> {
        let id = &active.plugin.manifest.id;
        self.note(cx, |tx| {
            let standing = rows::read(tx, id)?;
            if standing.failed.is_none() {
                return Ok(());
            }
            let forgiven = Standing {
                failed: None,
                ..standing
            };
            rows::write(tx, id, &forgiven)
        })
        .await
    }

    async fn note(
        &self,
        cx: &OpCx,
        write: impl FnOnce(&mut Transaction) -> Result<(), StorageError>,
    ) -> Result<(), Problem> {
        let mut tx = self.storage.begin(cx.tenant);
        let written = match write(&mut tx) {
            Ok(()) => self.storage.commit(tx).await.map(|_| ()),
            Err(error) => Err(error),
        };
        written.map_err(|error| storage_problem(&error))
    }

    /// Adds to a call's transaction what is needed to erase all of it one day: its new keys and audiences.
    pub(crate) fn note_traces(
        &self,
        context: &Context,
        new_subjects: &BTreeSet<ErasureKey>,
        tx: &mut Transaction,
    ) -> Result<(), StorageError> {
        let plugin = &context.plugin.manifest.id;
        for key in new_subjects {
            rows::note_key(tx, plugin, *key)?;
        }
        for audience in tx.joined() {
            rows::note_audience(tx, plugin, audience)?;
        }
        Ok(())
    }
}

/// What callers read while rows are brought to a new form.
pub(crate) fn migrating() -> Problem {
    Problem::new(
        Reason::Unavailable,
        "The plugin is being brought up to date.",
    )
    .with_code("plugin-migrating")
    .retry_after_ms(MIGRATING_RETRY_MS)
}

/// How a step of a migration is run.
fn while_migrating() -> Manner {
    Manner {
        is_migration: true,
        ..Manner::default()
    }
}

/// Whether trying again may help.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure, Failure::Conflict | Failure::Host(_))
}

impl Runtime {
    /// What a plugin that is on says of how it goes; `None` where it says nothing.
    pub async fn health(&self, cx: &OpCx, plugin: &PluginId) -> Result<Option<String>, Problem> {
        let tenant = self.inner.on(cx, plugin)?;
        match tenant.active.get(plugin) {
            Some(active) => self.inner.examine(cx, &tenant, active).await,
            None => Ok(None),
        }
    }
}
