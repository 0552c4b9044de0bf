//! `plugins/list`: what can be switched on here, and how it is doing.

use schemars::JsonSchema;
use serde::Serialize;
use vaxel_core::{PluginId, Problem, TenantId};
use vaxel_runtime::Capability;

use super::StateView;
use crate::rpc::registry::{Access, Invocation, Nothing, Registry, Reply};
use crate::rpc::schema;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/list",
        "The plugins of this server.",
        Access::User,
        list,
    )?;
    Ok(())
}

/// A plugin and whether it is on.
#[derive(Serialize, JsonSchema)]
struct PluginView {
    #[schemars(schema_with = "schema::plugin_id")]
    id: PluginId,
    /// The version that runs here, or would if it were switched on.
    version: String,
    name: String,
    /// What it does.
    summary: String,
    enabled: bool,
    state: StateView,
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
                state: plugin.state.into(),
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
