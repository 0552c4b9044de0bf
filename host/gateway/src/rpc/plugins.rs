//! `plugins/*`: what can be switched on, and switching it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, Reason, TenantId};
use vaxel_runtime::{Capability, RuntimeError};

use super::registry::{Access, Done, Invocation, Nothing, Registry, Reply};
use super::schema;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/list",
        "The plugins of this server.",
        Access::User,
        list,
    )?;
    registry.add(
        "plugins/enable",
        "Switches a plugin on.",
        Access::Admin,
        enable,
    )?;
    registry.add(
        "plugins/disable",
        "Switches a plugin off.",
        Access::Admin,
        disable,
    )?;
    Ok(())
}

/// A plugin and whether it is on.
#[derive(Serialize, JsonSchema)]
struct PluginView {
    #[schemars(schema_with = "schema::plugin_id")]
    id: PluginId,
    version: String,
    name: String,
    /// What it does.
    summary: String,
    enabled: bool,
    /// It was switched on, and now asks for more than was granted then.
    needs_consent: bool,
    /// What it asks for, and why; administrators see it before they agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Vec<CapabilityView>>,
    /// Why it cannot be used at all; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<String>,
}

/// Something that a plugin asks for.
#[derive(Serialize, JsonSchema)]
struct CapabilityView {
    /// `storage`.
    name: String,
    /// Why, in its author's words.
    reason: String,
}

impl From<Capability> for CapabilityView {
    fn from(Capability { name, reason, .. }: Capability) -> Self {
        Self { name, reason }
    }
}

/// All plugins.
#[derive(Serialize, JsonSchema)]
struct PluginList {
    items: Vec<PluginView>,
}

/// One plugin.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
}

/// The ids of what is on.
pub(crate) fn enabled(gateway: &Gateway, tenant: TenantId) -> Vec<String> {
    gateway
        .runtime()
        .list(tenant)
        .into_iter()
        .filter(|plugin| plugin.enabled)
        .map(|plugin| plugin.id.to_string())
        .collect()
}

fn refused(error: RuntimeError) -> Problem {
    if error.reason() == Reason::Internal {
        tracing::error!(%error, "a plugin could not be switched");
    }
    error.problem()
}

/// Tells whoever is here, and writes it down.
async fn switched(
    gateway: &Gateway,
    invocation: &Invocation,
    plugin: &PluginId,
    enabled: bool,
) -> Result<(), Problem> {
    gateway.tell_plugin_switched(invocation.tenant.id, plugin, enabled);
    let action = if enabled {
        "plugins.enable"
    } else {
        "plugins.disable"
    };
    gateway
        .identity()
        .record_act(&invocation.cx, action, plugin.as_str())
        .await
        .map_err(super::session::refused)
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<PluginList>, Problem> {
    let is_admin = invocation.claims()?.admin;
    let items = gateway
        .runtime()
        .list(invocation.tenant.id)
        .into_iter()
        .map(|plugin| {
            let asked = plugin.capabilities.into_iter().map(CapabilityView::from);
            PluginView {
                id: plugin.id,
                version: plugin.version,
                name: plugin.name,
                summary: plugin.summary,
                enabled: plugin.enabled,
                needs_consent: plugin.needs_consent,
                capabilities: is_admin.then(|| asked.collect()),
                unavailable: plugin.unavailable.filter(|_| is_admin),
            }
        });
    Ok(PluginList {
        items: items.collect(),
    }
    .into())
}

async fn enable(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .enable(&invocation.cx, &params.plugin)
        .await
        .map_err(refused)?;
    switched(&gateway, &invocation, &params.plugin, true).await?;
    Ok(Done {}.into())
}

async fn disable(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .disable(&invocation.cx, &params.plugin)
        .await
        .map_err(refused)?;
    switched(&gateway, &invocation, &params.plugin, false).await?;
    Ok(Done {}.into())
}
