//! Rollouts as operators ask for them, and the task that carries them on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vaxel_core::{OpCx, PluginId, TenantId};
use vaxel_runtime::{NewRollout, RolloutStatus, ShadowStatus, Steered, Target};

use super::operate::record;
use crate::house::House;
use crate::operation::tenant_named;

/// How often rollouts are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is asked about versions of a plugin.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "rollout", rename_all = "snake_case")]
pub(crate) enum RolloutOperation {
    /// To these or to so many in a hundred; to everybody, if neither is said.
    Begin {
        plugin: PluginId,
        version: String,
        tenants: Vec<String>,
        percent: Option<u8>,
        shadow: bool,
        keep: bool,
    },
    Withdraw {
        plugin: PluginId,
    },
    Status {
        plugin: PluginId,
    },
    Versions {
        plugin: PluginId,
    },
}

impl RolloutOperation {
    pub(crate) async fn perform(self, house: &House) -> anyhow::Result<Value> {
        match self {
            Self::Begin {
                plugin,
                version,
                tenants,
                percent,
                shadow,
                keep,
            } => {
                let target = match percent {
                    _ if !tenants.is_empty() => {
                        let named = tenants.iter().map(|slug| Ok(tenant_named(house, slug)?.id));
                        Target::Tenants(named.collect::<anyhow::Result<_>>()?)
                    }
                    Some(percent) => Target::Percent(percent),
                    None => Target::All,
                };
                let new = NewRollout {
                    version,
                    target,
                    shadow,
                    keep,
                };
                let (status, steered) = house.runtime.roll_out(&plugin, new).await?;
                record(house, "packages.rollout", &plugin).await?;
                tell(house, &steered).await;
                shown(house, &status)
            }
            Self::Withdraw { plugin } => {
                let (status, steered) = house.runtime.withdraw(&plugin).await?;
                record(house, "packages.rollback", &plugin).await?;
                tell(house, &steered).await;
                shown(house, &status)
            }
            Self::Status { plugin } => shown(house, &house.runtime.rollout(&plugin)?),
            Self::Versions { plugin } => versions(house, &plugin),
        }
    }
}

fn shown(house: &House, status: &RolloutStatus) -> anyhow::Result<Value> {
    let mut answer = serde_json::to_value(status).context("the state of the rollout")?;
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("text".to_owned(), json!(in_words(house, status)));
    }
    Ok(answer)
}

fn in_words(house: &House, status: &RolloutStatus) -> String {
    let whom = match &status.target {
        Target::Tenants(tenants) => {
            let all = house.identity.tenants();
            let named = all.iter().filter(|tenant| tenants.contains(&tenant.id));
            let slugs: Vec<&str> = named.map(|tenant| tenant.slug.as_str()).collect();
            slugs.join(", ")
        }
        Target::Percent(percent) => format!("{percent} organizations in 100"),
        Target::All => "everybody".to_owned(),
    };
    let how = if status.shadow {
        ", beside the version they run"
    } else {
        ""
    };
    let state = format!("{:?}", status.state).to_lowercase();
    let mut lines = vec![format!(
        "{} {} to {whom}{how}: {state}",
        status.id, status.version
    )];
    lines.extend(status.reason.iter().map(|why| format!("because {why}")));
    lines.push(format!(
        "{} run it; {} wait for consent or went back themselves",
        status.running, status.waiting
    ));
    for (version, tallied) in [(&status.version, &status.new), (&status.base, &status.old)] {
        lines.push(format!(
            "{version:12} {:6} calls {:6} failed {:8} µs of processor each",
            tallied.calls, tallied.failures, tallied.mean_processor_us
        ));
    }
    if let Some(times) = status.processor_times {
        lines.push(format!(
            "{times:.2} times the processor time for the same calls"
        ));
    }
    if let Some(runs) = &status.shadow_runs {
        lines.extend(shadow_in_words(runs));
    }
    lines.join("\n")
}

fn shadow_in_words(runs: &ShadowStatus) -> Vec<String> {
    let mut lines = vec![format!(
        "beside: {} calls compared, {} answered otherwise, {} faults, {} not compared",
        runs.compared, runs.differing, runs.faults, runs.skipped
    )];
    if let Some(times) = runs.processor_times {
        lines.push(format!("beside: {times:.2} times the processor time"));
    }
    let places = runs.places.iter();
    lines.extend(places.map(|(place, count)| format!("  {count:6} differ at {place}")));
    lines
}

fn versions(house: &House, plugin: &PluginId) -> anyhow::Result<Value> {
    let mut running: BTreeMap<String, usize> = BTreeMap::new();
    for tenant in house.identity.tenants() {
        let states = house.runtime.list(tenant.id);
        let state = states.into_iter().find(|state| state.id == *plugin);
        if let Some(state) = state.filter(|_| house.runtime.is_switched_on(tenant.id, plugin)) {
            *running.entry(state.version).or_default() += 1;
        }
    }
    let packages = house.packages.list();
    let package = packages.iter().find(|package| package.id == *plugin);
    let package = package.with_context(|| {
        format!("no package {plugin} is installed; `vaxel plugin list` shows what is")
    })?;
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    for one in &package.versions {
        let count = running.get(&one.version).copied().unwrap_or(0);
        let newest = one.version == package.current.version;
        let note = match &one.unavailable {
            Some(why) => format!("UNAVAILABLE: {why}"),
            None if newest => "installed last".to_owned(),
            None => String::new(),
        };
        lines.push(format!(
            "{:12} {:12} {count:5} organizations  {note}",
            one.version,
            one.stage.as_str()
        ));
        items.push(json!({ "package": one, "running": count, "is_current": newest }));
    }
    Ok(json!({ "id": plugin, "versions": items, "text": lines.join("\n") }))
}

/// Carries rollouts on, and says what that brought about.
pub(crate) async fn steer(house: Arc<House>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let steered = house.runtime.steer().await;
        tell(&house, &steered).await;
    }
}

/// Tells open clients and writes it down.
async fn tell(house: &House, steered: &Steered) {
    for (tenant, plugin, version) in &steered.moved {
        let target = format!("{plugin} to {version}");
        turned(house, *tenant, plugin, "plugins.rollout", &target).await;
    }
    for (tenant, plugin, version) in &steered.taken_back {
        let target = format!("{plugin} from {version}");
        turned(
            house,
            *tenant,
            plugin,
            "plugins.rollout_taken_back",
            &target,
        )
        .await;
    }
    for (plugin, why) in &steered.stopped {
        tracing::error!(plugin.id = %plugin, why, "a rollout stopped");
        if let Err(error) = record(house, "packages.rollout_stopped", plugin).await {
            tracing::error!("writing down that a rollout stopped: {error:#}");
        }
    }
}

async fn turned(house: &House, tenant: TenantId, plugin: &PluginId, action: &str, target: &str) {
    if let Some(gateway) = house.gateway.get() {
        let is_on = house.runtime.is_enabled(tenant, plugin);
        gateway.tell_plugin_switched(tenant, plugin, is_on);
    }
    let cx = OpCx::system(tenant, house.clock.now());
    if let Err(error) = house.identity.record_act(&cx, action, target).await {
        tracing::error!(tenant.id = %tenant, %error, "writing down what a rollout did");
    }
}
