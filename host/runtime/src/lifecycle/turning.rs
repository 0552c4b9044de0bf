//! Around the turn of a switch: who comes on is told before, who goes off behind it, and rows follow the version.

use std::sync::Arc;

use vaxel_core::{OpCx, PluginId, Problem, Reason};

use super::rows;
use crate::RuntimeError;
use crate::admission::Breaker;
use crate::outcome::storage_problem;
use crate::registry::{Active, Family, Switch, TenantPlugins};
use crate::runtime::Inner;

/// A switch that is being turned.
pub(crate) struct Moment<'a> {
    pub(crate) cx: &'a OpCx,
    pub(crate) plugin: &'a PluginId,
    /// What the tenant has on before.
    pub(crate) was: &'a Arc<TenantPlugins>,
    pub(crate) family: Option<&'a Family>,
    pub(crate) before: Option<&'a Switch>,
    /// `None` for a switch that is forgotten.
    pub(crate) after: Option<&'a Switch>,
}

impl Moment<'_> {
    /// Whose switch it would be on.
    fn coming(&self, inner: &Inner) -> Option<Active> {
        let (family, after) = (self.family?, self.after.filter(|after| after.on)?);
        let plugin = family.plugin(family.version_of(after))?;
        Some(inner.registry.as_if_on(self.was, plugin, &after.granted))
    }
}

impl Inner {
    /// What may prevent a turn: the plugin itself, or rows of a form that the version does not know any more.
    pub(crate) async fn before_turn(
        self: &Arc<Self>,
        moment: &Moment<'_>,
    ) -> Result<(), RuntimeError> {
        let Some(coming) = moment.coming(self) else {
            return Ok(());
        };
        let standing = rows::read(&mut self.storage.begin(moment.cx.tenant), moment.plugin)?;
        if standing.data_version > coming.plugin.manifest.data_version {
            return Err(RuntimeError::refused(
                "plugin-data-newer",
                "the version that ran before brought the data to a form that this one does not know",
            ));
        }
        if moment.was.active.contains_key(moment.plugin) {
            return Ok(());
        }
        // An administrator's decision ends a suspension.
        *coming.gate.breaker.lock() = Breaker::default();
        let came = self.comes_on(moment.cx, moment.was, &coming).await;
        came.map_err(RuntimeError::Life)
    }

    /// What follows a turn. A version that cannot bring the rows along is turned back.
    pub(crate) async fn after_turn(
        self: &Arc<Self>,
        moment: &Moment<'_>,
    ) -> Result<(), RuntimeError> {
        let Moment {
            cx,
            plugin,
            was,
            before,
            after,
            ..
        } = moment;
        let now = self.registry.tenant(cx.tenant)?;
        let came = match (was.active.get(plugin), now.active.get(plugin)) {
            (Some(gone), None) => {
                self.goes_off(cx, was, gone).await;
                Ok(())
            }
            (Some(old), Some(new)) if !Arc::ptr_eq(&old.plugin, &new.plugin) => {
                self.migrate(cx, &now, new).await
            }
            _ => Ok(()),
        };
        if after.is_none() {
            self.lose_queue(cx, plugin)
                .await
                .map_err(RuntimeError::Life)?;
        }
        self.queue.mark(cx.tenant, (*plugin).clone());
        if let Err(problem) = came {
            let back = before.map(|before| (*before).clone());
            let turned = self
                .registry
                .turn(cx.tenant, plugin, *after, back, false)
                .await?;
            if !turned {
                tracing::warn!(plugin.id = %plugin, tenant.id = %cx.tenant, "turned by somebody else while it failed");
            }
            return Err(RuntimeError::Life(problem));
        }
        Ok(())
    }

    /// A plugin that is on, or the reason why nothing can be asked of it.
    pub(super) fn on(&self, cx: &OpCx, plugin: &PluginId) -> Result<Arc<TenantPlugins>, Problem> {
        let tenant = self.registry.tenant(cx.tenant);
        let tenant = tenant.map_err(|error| storage_problem(&error))?;
        if tenant.active.contains_key(plugin) {
            return Ok(tenant);
        }
        Err(Problem::new(Reason::NotFound, "The plugin is not on here."))
    }
}
