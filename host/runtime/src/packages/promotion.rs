//! Promotion: a version goes from development over staging to production, when enough people signed that it may.

use super::{PackageState, Packages};
use crate::RuntimeError;
use crate::vxp::{Approval, PackageError};
use vaxel_core::PluginId;

impl Packages {
    /// Lets a version go one stage further. What was promoted stays so: approvals count when they are given.
    pub async fn promote(
        &self,
        plugin: &PluginId,
        version: &str,
        approvals: &[Approval],
    ) -> Result<PackageState, RuntimeError> {
        let inner = &self.inner;
        let _changing = inner.changing.lock().await;
        let refused = |what: &str| PackageError::NotPromoted {
            plugin: plugin.clone(),
            version: version.to_owned(),
            what: what.to_owned(),
        };
        let not_installed = || PackageError::NotInstalled {
            plugin: plugin.clone(),
        };
        let mut row = inner.rows.get(plugin)?.ok_or_else(not_installed)?;
        let kept = row
            .versions
            .get_mut(version)
            .ok_or_else(|| refused("it is not installed"))?;
        let stage = approvals
            .first()
            .ok_or_else(|| refused("nobody approved it"))?
            .stage;
        if stage <= kept.stage {
            let what = format!("it is at {} already", kept.stage.as_str());
            return Err(refused(&what).into());
        }
        if stage.before() != Some(kept.stage) {
            let what = format!("it is at {}, and no stage is left out", kept.stage.as_str());
            return Err(refused(&what).into());
        }
        let beliefs = inner.beliefs().await?;
        let (trust, revoked) = (&beliefs.trust, beliefs.revoked.as_ref());
        let now = inner.clock.now();
        let names = trust.check_approvals(&kept.hash, stage, approvals, revoked, now)?;
        kept.stage = stage;
        kept.approved_by.insert(stage, names);
        inner.rows.put(plugin, &row).await?;
        inner.runtime.registry().change(plugin, |family| {
            if let Some(entry) = family.versions.get_mut(version) {
                entry.stage = stage;
            }
        });
        let state = inner.note(plugin, row, |_| {});
        Ok(state.ok_or_else(not_installed)?)
    }
}
