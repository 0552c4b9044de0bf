//! `plugins/use` and `plugins/would_touch`: what plugins used and what it cost, and what one would have used.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem};
use vaxel_runtime::{DayUse, Metric, Stored, WorkUse};

use super::registry::{Access, Invocation, Registry, Reply};
use super::schema;
use crate::{Gateway, GatewayError};

/// How far back it is kept.
const DAYS_MAX: u32 = 90;

/// How far back events are kept.
const REPLAYED_DAYS_MAX: u32 = 7;

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/use",
        "What plugins used and what it cost, newest day first.",
        Access::Admin,
        used,
    )?;
    registry.add(
        "plugins/would_touch",
        "What a plugin would have used on the last days, replayed from what happened; nothing of it is kept.",
        Access::Admin,
        would_touch,
    )?;
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only this one, with what each of its methods, jobs and pages used.
    #[serde(default)]
    #[schemars(schema_with = "schema::optional_plugin_id")]
    plugin: Option<PluginId>,
    /// How many days, today included.
    #[schemars(range(min = 1, max = DAYS_MAX))]
    days: u32,
}

/// One plugin on one day (UTC).
#[derive(Serialize, JsonSchema)]
struct Used {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// `2026-11-22`
    day: String,
    /// Runs, those again after a conflict among them.
    calls: u64,
    /// Runs in which it broke.
    faults: u64,
    /// Runs that it refused in its own words.
    refusals: u64,
    /// Runs that somebody else was faster than.
    conflicts: u64,
    processor_ms: u64,
    /// From the first instruction to the last, waiting included.
    wall_ms: u64,
    /// The most memory of one run.
    memory_bytes_max: u64,
    /// Operations of storage and events.
    storage_ops: u64,
    written_bytes: u64,
    /// What it has stored by now, rows and files; with its newest day.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
    /// How often each capability was used.
    uses: BTreeMap<String, u64>,
    /// Sums of the plugin's own.
    metrics: BTreeMap<String, Sum>,
    /// Which versions ran.
    versions: Vec<String>,
    /// By what it did; where one plugin is asked about.
    works: Vec<Work>,
}

/// A sum of a plugin's own.
#[derive(Serialize, JsonSchema)]
struct Sum {
    /// How often it was added to.
    count: u64,
    sum: f64,
}

/// One method, page, job, …
#[derive(Serialize, JsonSchema)]
struct Work {
    /// `method`, `page`, `job`, `event`, …
    kind: String,
    name: String,
    calls: u64,
    faults: u64,
    processor_ms: u64,
}

/// What the organization may use up in a day, and has.
#[derive(Serialize, JsonSchema)]
struct Budget {
    /// Processor time of all its plugins today.
    processor_ms: u64,
    processor_ms_max: u64,
    /// Whether its plugins rest until midnight (UTC).
    is_used_up: bool,
    /// Requests of all its plugins to the outside today.
    requests: u64,
    requests_max: u64,
    /// What each of its plugins may store in rows.
    stored_bytes_max: u64,
    /// What each of its plugins may store in files.
    file_bytes_max: u64,
}

#[derive(Serialize, JsonSchema)]
struct UsedList {
    items: Vec<Used>,
    budget: Budget,
}

async fn used(
    gateway: Gateway,
    invocation: Invocation,
    params: Asked,
) -> Result<Reply<UsedList>, Problem> {
    let (runtime, tenant) = (gateway.runtime(), invocation.tenant.id);
    let plugin = params.plugin.as_ref();
    let found = runtime.used(tenant, plugin, params.days.into()).await?;
    let (mut items, mut seen) = (Vec::with_capacity(found.len()), BTreeSet::new());
    for (id, used) in found {
        let stored_bytes = if seen.insert(id.clone()) {
            let Stored {
                row_bytes,
                file_bytes,
            } = runtime.stored(tenant, &id).await?;
            Some(row_bytes.saturating_add(file_bytes))
        } else {
            None
        };
        items.push(Used {
            stored_bytes,
            ..view(id, used, plugin.is_some())
        });
    }
    let budget = runtime.budget(tenant)?;
    Ok(UsedList {
        items,
        budget: Budget {
            processor_ms: budget.processor_ms,
            processor_ms_max: budget.processor_ms_max,
            is_used_up: budget.processor_ms >= budget.processor_ms_max,
            requests: budget.requests,
            requests_max: budget.requests_max,
            stored_bytes_max: budget.stored_bytes_max,
            file_bytes_max: budget.file_bytes_max,
        },
    }
    .into())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// An installed version; without it the one that is on, or else the one that the organization would get.
    #[serde(default)]
    #[schemars(length(max = 64))]
    version: Option<String>,
    /// How many days, today included.
    #[schemars(range(min = 1, max = REPLAYED_DAYS_MAX))]
    days: u32,
}

/// What a plugin would have used.
#[derive(Serialize, JsonSchema)]
struct Touched {
    days: u64,
    /// Events that it was shown.
    events_replayed: u64,
    /// Calls that its hooks would have seen.
    calls_seen: u64,
    items: Vec<TouchedAsk>,
    /// What it asks for and did not use once.
    unused: Vec<String>,
    /// What could not be tried, and what went wrong.
    problems: Vec<String>,
}

/// One thing that it asks for.
#[derive(Serialize, JsonSchema)]
struct TouchedAsk {
    ask: String,
    uses: u64,
    /// With what.
    details: Vec<String>,
}

async fn would_touch(
    gateway: Gateway,
    invocation: Invocation,
    params: Replay,
) -> Result<Reply<Touched>, Problem> {
    let (runtime, tenant) = (gateway.runtime(), invocation.tenant.id);
    let Replay {
        plugin,
        version,
        days,
    } = params;
    let touched = runtime
        .would_touch(tenant, &plugin, version.as_deref(), days.into())
        .await?;
    let recorded =
        gateway
            .identity()
            .record_act(&invocation.cx, "plugins.would_touch", plugin.as_str());
    recorded.await.map_err(super::session::refused)?;
    let items = touched.items.into_iter().map(|item| TouchedAsk {
        ask: item.ask,
        uses: item.uses,
        details: item.details,
    });
    Ok(Touched {
        days: touched.days,
        events_replayed: touched.events_replayed,
        calls_seen: touched.calls_seen,
        items: items.collect(),
        unused: touched.unused,
        problems: touched.problems,
    }
    .into())
}

fn view(plugin: PluginId, used: DayUse, with_works: bool) -> Used {
    let metrics = used.metrics.into_iter();
    let metrics = metrics.map(|(name, Metric { count, sum })| (name, Sum { count, sum }));
    let works = used.works.into_iter().filter(|_| with_works);
    let works = works.map(|work: WorkUse| Work {
        kind: work.kind,
        name: work.name,
        calls: work.calls,
        faults: work.faults,
        processor_ms: work.processor_us / 1_000,
    });
    Used {
        plugin,
        day: used.day,
        calls: used.calls,
        faults: used.faults,
        refusals: used.refusals,
        conflicts: used.conflicts,
        processor_ms: used.processor_us / 1_000,
        wall_ms: used.wall_us / 1_000,
        memory_bytes_max: used.memory_bytes_max,
        storage_ops: used.storage_ops,
        written_bytes: used.written_bytes,
        stored_bytes: None,
        uses: used.uses,
        metrics: metrics.collect(),
        versions: used.versions,
        works: works.collect(),
    }
}
