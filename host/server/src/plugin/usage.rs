//! What plugins used and what it cost, for operators.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::bail;
use serde_json::{Value, json};
use vaxel_core::{PluginId, Problem};

use crate::house::House;

/// What plugins used in one organization or in each.
pub(crate) async fn used(
    house: &House,
    plugin: Option<&PluginId>,
    tenant: Option<&str>,
    days: u64,
) -> anyhow::Result<Value> {
    let mut tenants = house.identity.tenants();
    tenants.retain(|known| tenant.is_none_or(|slug| known.slug == slug));
    if let (Some(slug), true) = (tenant, tenants.is_empty()) {
        bail!("no organization is called {slug}; `vaxel tenant list` shows them");
    }
    let (mut items, mut lines) = (Vec::new(), Vec::new());
    for tenant in tenants {
        let used = house.runtime.used(tenant.id, plugin, days).await;
        let mut stored: BTreeMap<PluginId, u64> = BTreeMap::new();
        for (id, day) in used.map_err(said)? {
            // What is there now stands with the newest day, which comes first.
            let newest = match stored.entry(id.clone()) {
                Entry::Occupied(_) => None,
                Entry::Vacant(entry) => {
                    let now = house.runtime.stored(tenant.id, &id).await.map_err(said)?;
                    Some(*entry.insert(now.row_bytes.saturating_add(now.file_bytes)))
                }
            };
            let in_words = newest.map_or_else(String::new, |bytes| {
                format!("  {:>7} KiB stored", bytes.div_ceil(1_024))
            });
            lines.push(format!(
                "{:16} {:16} {}  {:>9} calls {:>6} faults {:>9} ms {:>5} MiB{in_words}",
                tenant.slug,
                id.as_str(),
                day.day,
                day.calls,
                day.faults,
                day.processor_us / 1_000,
                day.memory_bytes_max >> 20,
            ));
            items.push(json!({
                "tenant": tenant.slug, "plugin": id, "day": day.day, "calls": day.calls, "faults": day.faults,
                "refusals": day.refusals, "conflicts": day.conflicts, "processor_ms": day.processor_us / 1_000,
                "wall_ms": day.wall_us / 1_000, "memory_bytes_max": day.memory_bytes_max,
                "stored_bytes": newest, "storage_ops": day.storage_ops, "written_bytes": day.written_bytes, "uses": day.uses,
                "metrics": day.metrics, "versions": day.versions,
            }));
        }
    }
    let text = match lines.is_empty() {
        true => "Nothing was used.".to_owned(),
        false => lines.join("\n"),
    };
    Ok(json!({ "items": items, "text": text }))
}

/// What a plugin would have used in an organization on the last days.
pub(crate) async fn would_touch(
    house: &House,
    plugin: &PluginId,
    tenant: &str,
    days: u64,
) -> anyhow::Result<Value> {
    let Some(tenant) = house.identity.tenant_by_slug(tenant) else {
        bail!("no organization is called {tenant}; `vaxel tenant list` shows them");
    };
    let touched = house
        .runtime
        .would_touch(tenant.id, plugin, None, days)
        .await;
    let touched = touched.map_err(said)?;
    let mut lines: Vec<String> = touched
        .items
        .iter()
        .map(|item| {
            format!(
                "{:40} {:>9} uses  {}",
                item.ask,
                item.uses,
                item.details.join(", ")
            )
        })
        .collect();
    lines.push(format!(
        "{} events replayed, {} calls seen; never used: {}",
        touched.events_replayed,
        touched.calls_seen,
        if touched.unused.is_empty() {
            "nothing".to_owned()
        } else {
            touched.unused.join(", ")
        },
    ));
    lines.extend(touched.problems.iter().cloned());
    let mut answer = serde_json::to_value(&touched)?;
    if let Some(fields) = answer.as_object_mut() {
        fields.insert("text".to_owned(), lines.join("\n").into());
    }
    Ok(answer)
}

fn said(problem: Problem) -> anyhow::Error {
    anyhow::anyhow!("{}", problem.detail)
}
