//! Plugins of one organization, on its behalf: what its administrators can do in their pages too.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vaxel_core::{OpCx, PluginId};
use vaxel_identity::Tenant;
use vaxel_runtime::{Ask, PluginDetail};

use crate::house::House;
use crate::operation::tenant_named;

type Grants = BTreeSet<String>;

/// What a plugin asks for and was granted, and what a newer version would ask for.
pub(super) fn show(house: &House, slug: &str, plugin: &PluginId) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    let detail = house.runtime.detail(tenant.id, plugin)?;
    let asks = detail.asks.iter().map(|one| ask(&one.ask, one.granted));
    let update = detail.update.as_ref().map(|update| {
        let asks = update.asks.iter().map(|one| {
            let mut shown = ask(&one.ask, one.granted);
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("added_details".to_owned(), json!(one.added_details));
                shown.insert("is_new".to_owned(), json!(one.is_new));
            }
            shown
        });
        json!({
            "version": update.version,
            "asks": asks.collect::<Vec<_>>(),
            "waits_for_consent": update.waits_for_consent,
        })
    });
    let rollout = detail.rollout.as_ref().map(
        |(version, state, reason)| json!({ "version": version, "state": state, "reason": reason }),
    );
    Ok(json!({
        "id": plugin,
        "version": detail.state.version,
        "publisher": detail.publisher,
        "enabled": detail.state.enabled,
        "state": detail.state.state,
        "needs_consent": detail.state.needs_consent,
        "asks": asks.collect::<Vec<_>>(),
        "update": update,
        "former": detail.former,
        "rollout": rollout,
        "unavailable": detail.state.unavailable,
        "text": in_words(&detail),
    }))
}

fn ask(ask: &Ask, granted: bool) -> Value {
    json!({
        "id": ask.id,
        "kind": ask.kind,
        "reason": ask.reason,
        "details": ask.details,
        "required": ask.required,
        "granted": granted,
    })
}

fn in_words(detail: &PluginDetail) -> String {
    let state = &detail.state;
    let mut lines = vec![format!(
        "{} {} ({}): {:?}",
        state.id, state.version, state.name, state.state
    )];
    lines.extend(state.unavailable.iter().cloned());
    let line = |ask: &Ask, granted: bool, note: &str| {
        let granted = if granted { "granted" } else { "-" };
        let required = if ask.required { "required" } else { "optional" };
        let details: Vec<&str> = ask.details.iter().map(String::as_str).collect();
        let details = if details.is_empty() {
            String::new()
        } else {
            format!(" ({})", details.join(", "))
        };
        format!(
            "  {:28} {granted:8} {required:9} {}{details}{note}",
            ask.id, ask.reason
        )
    };
    let asks = detail.asks.iter();
    lines.extend(asks.map(|one| line(&one.ask, one.granted, "")));
    if let Some(update) = &detail.update {
        let waits = if update.waits_for_consent {
            ", which waits for consent"
        } else {
            ""
        };
        lines.push(format!("It could go on with {}{waits}:", update.version));
        lines.extend(update.asks.iter().map(|one| {
            let note = if one.is_new {
                " [new]".to_owned()
            } else if one.added_details.is_empty() {
                String::new()
            } else {
                format!(" [new: {}]", one.added_details.join(", "))
            };
            line(&one.ask, one.granted, &note)
        }));
    }
    if let Some(former) = &detail.former {
        lines.push(format!("{former} ran before."));
    }
    if let Some((version, rollout, reason)) = &detail.rollout {
        let rollout = format!("{rollout:?}").to_lowercase();
        let why = reason
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        lines.push(format!("The rollout of {version} to it is {rollout}{why}."));
    }
    lines.join("\n")
}

pub(super) async fn enable(
    house: &House,
    slug: &str,
    plugin: &PluginId,
    grants: Option<Grants>,
) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    match &grants {
        Some(grants) => house.runtime.enable_with(&cx, plugin, grants).await?,
        None => house.runtime.enable(&cx, plugin).await?,
    }
    let target = with_grants(plugin, grants.as_ref());
    turned(house, &tenant, &cx, plugin, ("plugins.enable", target)).await?;
    Ok(json!({ "enabled": true, "text": format!("{plugin} is on for {slug}.") }))
}

pub(super) async fn disable(house: &House, slug: &str, plugin: &PluginId) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    house.runtime.disable(&cx, plugin).await?;
    let act = ("plugins.disable", plugin.to_string());
    turned(house, &tenant, &cx, plugin, act).await?;
    let text = format!("{plugin} is off; its data stays for {slug}.");
    Ok(json!({ "enabled": false, "text": text }))
}

pub(super) async fn grant(
    house: &House,
    slug: &str,
    plugin: &PluginId,
    grants: Grants,
) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    house.runtime.grant(&cx, plugin, None, &grants).await?;
    let target = with_grants(plugin, Some(&grants));
    turned(house, &tenant, &cx, plugin, ("plugins.grant", target)).await?;
    let granted: Vec<&str> = grants.iter().map(String::as_str).collect();
    let text = format!("{slug} grants {plugin} {}.", granted.join(", "));
    Ok(json!({ "grants": grants, "text": text }))
}

pub(super) async fn upgrade(
    house: &House,
    slug: &str,
    plugin: &PluginId,
    version: &str,
    grants: Option<Grants>,
) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    let runtime = &house.runtime;
    runtime
        .upgrade(&cx, plugin, version, grants.as_ref())
        .await?;
    let target = format!("{} to {version}", with_grants(plugin, grants.as_ref()));
    turned(house, &tenant, &cx, plugin, ("plugins.upgrade", target)).await?;
    let text = format!("{slug} goes on with {plugin} {version}.");
    Ok(json!({ "version": version, "text": text }))
}

pub(super) async fn rollback(
    house: &House,
    slug: &str,
    plugin: &PluginId,
) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    house.runtime.rollback(&cx, plugin).await?;
    let act = ("plugins.rollback", plugin.to_string());
    turned(house, &tenant, &cx, plugin, act).await?;
    let version = house.runtime.detail(tenant.id, plugin)?.state.version;
    let text = format!("{slug} is back at {plugin} {version}.");
    Ok(json!({ "version": version, "text": text }))
}

pub(super) async fn uninstall(
    house: &House,
    slug: &str,
    plugin: &PluginId,
    erase: bool,
) -> anyhow::Result<Value> {
    let (tenant, cx) = acting(house, slug)?;
    match erase {
        true => house.runtime.uninstall(&cx, plugin).await?,
        false => house.runtime.forget(&cx, plugin).await?,
    }
    let act = ("plugins.uninstall", plugin.to_string());
    turned(house, &tenant, &cx, plugin, act).await?;
    let what = match erase {
        true => "all that it had there is erased",
        false => "what it was granted is forgotten; what it stored stays",
    };
    let text = format!("{plugin} is off for {slug}, and {what}.");
    Ok(json!({ "enabled": false, "text": text }))
}

fn acting(house: &House, slug: &str) -> anyhow::Result<(std::sync::Arc<Tenant>, OpCx)> {
    let tenant = tenant_named(house, slug)?;
    let cx = OpCx::system(tenant.id, house.clock.now());
    Ok((tenant, cx))
}

fn with_grants(plugin: &PluginId, grants: Option<&Grants>) -> String {
    match grants {
        Some(grants) => {
            let ids: Vec<&str> = grants.iter().map(String::as_str).collect();
            format!("{plugin} {}", ids.join(","))
        }
        None => plugin.to_string(),
    }
}

/// Writes down what was done, and tells who is here.
async fn turned(
    house: &House,
    tenant: &Tenant,
    cx: &OpCx,
    plugin: &PluginId,
    (action, target): (&str, String),
) -> anyhow::Result<()> {
    house.identity.record_act(cx, action, &target).await?;
    if let Some(gateway) = house.gateway.get() {
        let is_on = house.runtime.is_enabled(tenant.id, plugin);
        gateway.tell_plugin_switched(tenant.id, plugin, is_on);
    }
    Ok(())
}
