//! What carries rollouts on: moves those they are meant for, watches, stops by itself, and takes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;
use vaxel_core::{AlarmLevel, OpCx, PluginId, TenantId, UnixMs};

use super::measure::Tally;
use super::rollout::{Rollout, RolloutState, Target};
use super::{RolloutStatus, Turn, rows, status, verdict};
use crate::registry::Family;
use crate::runtime::Inner;
use crate::{Runtime, RuntimeError};

/// Calls of the version before in the time of the rollout, from which on no older ones are needed.
const CALLS_TO_COMPARE: u64 = 20;

/// Calls after which a rollout to everybody counts as gone well.
const CALLS_TO_BE_DONE: u64 = 50;

/// The time after which it does without them: what nobody calls must not stay open for ever.
const DONE_AFTER_MS: u64 = 3_600_000;

/// What an operator sets going.
#[derive(Clone, Debug)]
pub struct NewRollout {
    /// The new version.
    pub version: String,
    /// Whom it is meant for.
    pub target: Target,
    /// It only runs beside the old one.
    pub shadow: bool,
    /// A stop leaves those who have it where they are.
    pub keep: bool,
}

/// What one look at the rollouts brought about.
#[derive(Clone, Debug, Default)]
pub struct Steered {
    /// Tenants that went on, with the version they have now.
    pub moved: Vec<(TenantId, PluginId, String)>,
    /// Tenants that went back, with the version they had.
    pub taken_back: Vec<(TenantId, PluginId, String)>,
    /// Rollouts that stopped by themselves, and why.
    pub stopped: Vec<(PluginId, String)>,
}

impl Runtime {
    /// Takes up what was set going before the server ended.
    pub(crate) fn open_rollouts(&self) -> Result<(), RuntimeError> {
        for (plugin, rollout) in rows::all(&self.inner.storage)? {
            if rollout.state == RolloutState::Running {
                self.inner.take_up_measured(&plugin, &rollout)?;
            }
            self.inner.set_in_memory(&plugin, rollout);
        }
        Ok(())
    }

    /// Writes down what was measured of all rollouts, at an orderly stop.
    pub(crate) async fn keep_measured(&self) {
        let inner = &self.inner;
        let _steering = inner.steering.lock().await;
        for plugin in inner.registry.installed() {
            let Some(family) = inner.registry.family(&plugin) else {
                continue;
            };
            let kept = inner.keep_measured(&plugin, &family, true).await;
            if let Err(error) = kept {
                tracing::warn!(plugin.id = %plugin, %error, "writing down what was measured");
            }
        }
    }

    /// Brings a version to those it is meant for, or to more of them.
    pub async fn roll_out(
        &self,
        plugin: &PluginId,
        new: NewRollout,
    ) -> Result<(RolloutStatus, Steered), RuntimeError> {
        let inner = &self.inner;
        let _steering = inner.steering.lock().await;
        let family = inner.family(plugin)?;
        if family.is_brought_along {
            return Err(RuntimeError::refused(
                "comes_with_server",
                "it comes with the server, which has one version of it",
            ));
        }
        let version = family
            .plugin(&new.version)
            .ok_or_else(|| RuntimeError::Unusable {
                plugin: plugin.clone(),
                version: new.version.clone(),
                why: "it is not installed, or not in use".to_owned(),
            })?;
        let before = family.rollout.as_deref();
        let goes_on = before.is_some_and(|before| {
            before.version == new.version
                && before.state == RolloutState::Running
                && before.shadow == new.shadow
        });
        let base = match before.filter(|_| goes_on) {
            Some(before) => before.base.clone(),
            None => {
                version.measured.forget();
                inner.base(plugin, &family, &new.version)?
            }
        };
        let rollout = Rollout {
            version: new.version,
            base,
            target: new.target,
            state: RolloutState::Running,
            shadow: new.shadow,
            keep: new.keep,
            began_at: inner.clock.now(),
            reason: None,
        };
        inner.set_rollout(plugin, rollout).await?;
        let steered = inner.steer_one(plugin).await?;
        Ok((inner.rollout_status(plugin)?, steered))
    }

    /// Takes a rollout back: whoever it moved runs what they had before.
    pub async fn withdraw(
        &self,
        plugin: &PluginId,
    ) -> Result<(RolloutStatus, Steered), RuntimeError> {
        let inner = &self.inner;
        let _steering = inner.steering.lock().await;
        let rollout = inner.rollout_of(plugin)?;
        let withdrawn = Rollout {
            state: RolloutState::Withdrawn,
            keep: false,
            reason: Some("taken back by the operator".to_owned()),
            ..Rollout::clone(&rollout)
        };
        inner.set_rollout(plugin, withdrawn).await?;
        let steered = inner.steer_one(plugin).await?;
        Ok((inner.rollout_status(plugin)?, steered))
    }

    /// How a rollout is going.
    pub fn rollout(&self, plugin: &PluginId) -> Result<RolloutStatus, RuntimeError> {
        self.inner.rollout_status(plugin)
    }

    /// Looks at all rollouts once. Called every second or so.
    pub async fn steer(&self) -> Steered {
        let inner = &self.inner;
        let _steering = inner.steering.lock().await;
        let mut all = Steered::default();
        for plugin in inner.registry.installed() {
            match inner.steer_one(&plugin).await {
                Ok(steered) => all.add(steered),
                Err(error) => {
                    tracing::error!(plugin.id = %plugin, %error, "carrying a rollout on");
                }
            }
        }
        all
    }

    /// Forgets what was set going with a package that is removed.
    pub(crate) async fn forget_rollout(&self, plugin: &PluginId) -> Result<(), RuntimeError> {
        Ok(rows::delete(&self.inner.storage, plugin).await?)
    }
}

impl Steered {
    fn add(&mut self, other: Self) {
        self.moved.extend(other.moved);
        self.taken_back.extend(other.taken_back);
        self.stopped.extend(other.stopped);
    }
}

impl Inner {
    async fn steer_one(self: &Arc<Self>, plugin: &PluginId) -> Result<Steered, RuntimeError> {
        let mut steered = Steered::default();
        let family = self.family(plugin)?;
        let Some(rollout) = &family.rollout else {
            return Ok(steered);
        };
        if rollout.state == RolloutState::Running && !rollout.shadow {
            if let Some(why) = self.verdict(&family, rollout) {
                self.stop(plugin, rollout, &why).await?;
                steered.stopped.push((plugin.clone(), why));
            } else {
                let turn = Turn::Move {
                    version: &rollout.version,
                };
                let meant = |tenant| rollout.target.includes(plugin, tenant);
                steered.moved = self.turn_all(plugin, &rollout.version, &turn, meant).await;
                self.keep_measured(plugin, &family, false).await?;
                self.finish(plugin, &family, rollout).await?;
            }
        }
        // Again from the registry: it may just have been stopped.
        let rollout = self.rollout_of(plugin)?;
        if rollout.is_taken_back() {
            let turn = Turn::TakeBack {
                version: &rollout.version,
            };
            let everybody = |_| true;
            steered.taken_back = self
                .turn_all(plugin, &rollout.version, &turn, everybody)
                .await;
        }
        Ok(steered)
    }

    /// Turns every switch that the turn fits: one after the other, each durable before the next, so that an
    /// interruption leaves some turned and the others to be turned.
    async fn turn_all(
        self: &Arc<Self>,
        plugin: &PluginId,
        version: &str,
        turn: &Turn<'_>,
        meant: impl Fn(TenantId) -> bool,
    ) -> Vec<(TenantId, PluginId, String)> {
        let mut turned = Vec::new();
        for tenant in self.directory.tenants() {
            let fits = || self.would_turn(tenant, plugin, turn);
            if !meant(tenant) || !fits() {
                continue;
            }
            let cx = OpCx::system(tenant, self.clock.now());
            match self.turn(&cx, plugin, turn).await {
                Ok(_) => turned.push((tenant, plugin.clone(), version.to_owned())),
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, plugin.id = %plugin, %error, "a rollout did not reach a tenant");
                }
            }
        }
        turned
    }

    /// What speaks against the new version by now.
    fn verdict(&self, family: &Family, rollout: &Rollout) -> Option<String> {
        let (new, old) = self.tallies(family, rollout);
        verdict::against(&new, &old)
    }

    /// How both versions did: in the same time or, where the old one hardly runs any more, in the last hour.
    pub(super) fn tallies(&self, family: &Family, rollout: &Rollout) -> (Tally, Tally) {
        let now = self.clock.now();
        let of = |version: &str, since| {
            family
                .plugin(version)
                .map(|plugin| plugin.measured.since(since, now))
                .unwrap_or_default()
        };
        let new = of(&rollout.version, rollout.began_at);
        let old = of(&rollout.base, rollout.began_at);
        if old.calls >= CALLS_TO_COMPARE {
            return (new, old);
        }
        (new, of(&rollout.base, UnixMs(0)))
    }

    /// Writes down how both versions did, where that has changed: a server that is killed would otherwise let a version
    /// fail as often again before it stops.
    async fn keep_measured(
        &self,
        plugin: &PluginId,
        family: &Family,
        is_end: bool,
    ) -> Result<(), RuntimeError> {
        let Some(rollout) = family
            .rollout
            .as_ref()
            .filter(|rollout| rollout.state == RolloutState::Running && !rollout.shadow)
        else {
            return Ok(());
        };
        let (Some(new), Some(old)) = (
            family.plugin(&rollout.version),
            family.plugin(&rollout.base),
        ) else {
            return Ok(());
        };
        let now = self.clock.now();
        let (tally, before) = self.tallies(family, rollout);
        if !new.measured.is_to_be_kept(&tally, now, is_end) {
            return Ok(());
        }
        let began = rollout.began_at;
        let since = old.measured.since(began, now);
        let of_old = if since == before { began } else { UnixMs(0) };
        let kept = rows::Kept {
            version: rollout.version.clone(),
            base: rollout.base.clone(),
            at: now,
            new: new.measured.lines(began, now),
            old: old.measured.lines(of_old, now),
        };
        Ok(rows::keep(&self.storage, plugin, &kept).await?)
    }

    fn take_up_measured(&self, plugin: &PluginId, rollout: &Rollout) -> Result<(), RuntimeError> {
        let kept = rows::kept(&self.storage, plugin)?;
        let of_this = |kept: &rows::Kept| {
            (&kept.version, &kept.base) == (&rollout.version, &rollout.base)
                && kept.at >= rollout.began_at
        };
        let (Some(kept), Some(family)) = (kept.filter(of_this), self.registry.family(plugin))
        else {
            return Ok(());
        };
        for (version, lines) in [(&kept.version, &kept.new), (&kept.base, &kept.old)] {
            if let Some(plugin) = family.plugin(version) {
                plugin.measured.take_up(lines, kept.at);
            }
        }
        Ok(())
    }

    async fn stop(
        &self,
        plugin: &PluginId,
        rollout: &Rollout,
        why: &str,
    ) -> Result<(), RuntimeError> {
        let stopped = Rollout {
            state: RolloutState::Stopped,
            reason: Some(why.to_owned()),
            ..rollout.clone()
        };
        // Written down first: whatever is interrupted now is taken back at the next start.
        self.set_rollout(plugin, stopped).await?;
        let detail = format!("{plugin} {}: {why}", rollout.version);
        self.alarms
            .raise(AlarmLevel::Critical, "plugin.rollout_stopped", &detail);
        Ok(())
    }

    async fn finish(
        &self,
        plugin: &PluginId,
        family: &Family,
        rollout: &Rollout,
    ) -> Result<(), RuntimeError> {
        if rollout.target != Target::All {
            return Ok(());
        }
        let (new, _) = self.tallies(family, rollout);
        let is_proven = new.calls >= CALLS_TO_BE_DONE;
        if is_proven || self.clock.now().since(rollout.began_at) >= DONE_AFTER_MS {
            let done = Rollout {
                state: RolloutState::Done,
                ..rollout.clone()
            };
            self.set_rollout(plugin, done).await?;
        }
        Ok(())
    }

    /// What most tenants run that have the plugin on, and of two the newer.
    fn base(
        &self,
        plugin: &PluginId,
        family: &Family,
        version: &str,
    ) -> Result<String, RuntimeError> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for tenant in self.directory.tenants() {
            let plugins = self.registry.tenant(tenant)?;
            if let Some(switch) = plugins.switch(plugin).filter(|switch| switch.on) {
                *counts
                    .entry(family.version_of(switch).to_owned())
                    .or_default() += 1;
            }
        }
        // Where nobody has it on, whatever else is installed.
        for other in family.versions.keys() {
            counts.entry(other.clone()).or_default();
        }
        counts.remove(version);
        let most = counts
            .into_iter()
            .max_by_key(|(version, count)| (*count, Version::parse(version).ok()));
        Ok(most.map_or_else(|| version.to_owned(), |(version, _)| version))
    }

    pub(super) fn family(&self, plugin: &PluginId) -> Result<Arc<Family>, RuntimeError> {
        self.registry
            .family(plugin)
            .ok_or_else(|| RuntimeError::Unknown {
                plugin: plugin.clone(),
            })
    }

    pub(super) fn rollout_of(&self, plugin: &PluginId) -> Result<Arc<Rollout>, RuntimeError> {
        self.family(plugin)?
            .rollout
            .clone()
            .ok_or_else(|| RuntimeError::refused("no_rollout", "no version of it is rolled out"))
    }

    fn rollout_status(&self, plugin: &PluginId) -> Result<RolloutStatus, RuntimeError> {
        status::of(self, plugin)
    }

    async fn set_rollout(&self, plugin: &PluginId, rollout: Rollout) -> Result<(), RuntimeError> {
        rows::put(&self.storage, plugin, &rollout).await?;
        self.set_in_memory(plugin, rollout);
        Ok(())
    }

    fn set_in_memory(&self, plugin: &PluginId, rollout: Rollout) {
        self.registry.change(plugin, |family| {
            let same = family.rollout.as_ref().is_some_and(|before| {
                (&before.version, before.shadow) == (&rollout.version, rollout.shadow)
            });
            if !same || family.report.is_none() {
                family.report = Some(Arc::default());
            }
            family.rollout = Some(Arc::new(rollout));
        });
    }
}
