//! How a rollout is going, in numbers for the operator.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use vaxel_core::{PluginId, UnixMs};

use super::measure::Tally;
use super::{RolloutState, Target, Turn, verdict};
use crate::RuntimeError;
use crate::runtime::Inner;

/// How a rollout is going.
#[derive(Clone, Debug, Serialize)]
pub struct RolloutStatus {
    /// The plugin.
    pub id: PluginId,
    /// The new version.
    pub version: String,
    /// The version that it is compared with.
    pub base: String,
    /// How it goes.
    pub state: RolloutState,
    /// Why it ended.
    pub reason: Option<String>,
    /// Whom it is meant for.
    pub target: Target,
    /// Whether the new version only runs beside the old one.
    pub shadow: bool,
    /// When this target was set.
    pub began_at: UnixMs,
    /// How many organizations run the new version.
    pub running: usize,
    /// How many it is meant for and does not reach: they have to consent first, or their administrators went back.
    pub waiting: usize,
    /// How the new version did.
    pub new: Tallied,
    /// How the old one did.
    pub old: Tallied,
    /// How many times the old one's processor time the new one takes for the same calls.
    pub processor_times: Option<f64>,
    /// What the shadow runs showed.
    pub shadow_runs: Option<ShadowStatus>,
}

/// What was measured of a version.
#[derive(Clone, Debug, Serialize)]
pub struct Tallied {
    /// Calls that ran.
    pub calls: u64,
    /// How many of them failed.
    pub failures: u64,
    /// Mean processor time of the others, in microseconds.
    pub mean_processor_us: u64,
}

/// What shadow runs showed.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowStatus {
    /// Calls that were compared.
    pub compared: u64,
    /// Of these, how many were answered otherwise.
    pub differing: u64,
    /// Of these, at how many the new version failed.
    pub faults: u64,
    /// Calls that could not be compared: too many at once, too slow, or something changed in between.
    pub skipped: u64,
    /// How many times the real calls' processor time the shadows took.
    pub processor_times: Option<f64>,
    /// Where the answers differed, and how often.
    pub places: BTreeMap<String, u64>,
}

impl From<&Tally> for Tallied {
    fn from(tally: &Tally) -> Self {
        Self {
            calls: tally.calls,
            failures: tally.failures,
            mean_processor_us: micros(tally.mean_processor()),
        }
    }
}

pub(super) fn of(inner: &Inner, plugin: &PluginId) -> Result<RolloutStatus, RuntimeError> {
    let family = inner.family(plugin)?;
    let rollout = inner.rollout_of(plugin)?;
    let (new, old) = inner.tallies(&family, &rollout);
    let (mut running, mut waiting) = (0, 0);
    for tenant in inner.directory.tenants() {
        let plugins = inner.registry.tenant(tenant)?;
        let Some(switch) = plugins.switch(plugin).filter(|switch| switch.on) else {
            continue;
        };
        let turn = Turn::Move {
            version: &rollout.version,
        };
        if family.version_of(switch) == rollout.version {
            running += 1;
        } else if rollout.target.includes(plugin, tenant)
            && !inner.would_turn(tenant, plugin, &turn)
        {
            waiting += 1;
        }
    }
    let report = family.report.as_ref().filter(|_| rollout.shadow);
    let shadow_runs = report.map(|report| {
        let counts = report.counts.lock().clone();
        ShadowStatus {
            compared: counts.compared,
            differing: counts.differing,
            faults: counts.faults,
            skipped: counts.skipped,
            processor_times: (!counts.real.is_zero())
                .then(|| counts.shadow.as_secs_f64() / counts.real.as_secs_f64()),
            places: counts.places,
        }
    });
    Ok(RolloutStatus {
        id: plugin.clone(),
        version: rollout.version.clone(),
        base: rollout.base.clone(),
        state: rollout.state,
        reason: rollout.reason.clone(),
        target: rollout.target.clone(),
        shadow: rollout.shadow,
        began_at: rollout.began_at,
        running,
        waiting,
        processor_times: verdict::processor_times(&new, &old).map(|(_, times)| times),
        new: Tallied::from(&new),
        old: Tallied::from(&old),
        shadow_runs,
    })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
