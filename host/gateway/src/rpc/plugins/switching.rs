//! `plugins/enable`, `disable` and `grant`: what an organization has on, and what it lets it use.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use vaxel_core::{PluginId, Problem};

use super::{Which, granted, refused, turned};
use crate::rpc::registry::{Access, Done, Invocation, Registry, Reply};
use crate::rpc::schema;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    let enable = registry.add(
        "plugins/enable",
        "Switches a plugin on and grants what it asks for, or a part of it.",
        Access::Admin,
        enable,
    )?;
    enable.guard = Some(|_, _, _| true);
    enable.settle = Some(settle);
    registry.add(
        "plugins/disable",
        "Switches a plugin off.",
        Access::Admin,
        disable,
    )?;
    let grant = registry.add(
        "plugins/grant",
        "Grants a plugin that is on these of the things it asks for, and no others.",
        Access::Admin,
        grant,
    )?;
    grant.guard = Some(|_, _, _| true);
    grant.settle = Some(settle);
    Ok(())
}

/// What is approved later is what was asked for: the version that is meant now, and what it asks for now.
fn settle(gateway: &Gateway, invocation: &Invocation, params: &mut Value) {
    let plugin = params.get("plugin").and_then(Value::as_str);
    let plugin: Option<PluginId> = plugin.and_then(|plugin| plugin.parse().ok());
    let detail = plugin.map(|plugin| gateway.runtime().detail(invocation.cx.tenant, &plugin));
    let (Some(Ok(detail)), Some(params)) = (detail, params.as_object_mut()) else {
        return;
    };
    let is_missing =
        |params: &Map<String, Value>, name| params.get(name).is_none_or(Value::is_null);
    // Where a version is named, what it asks for is fixed with it.
    if !is_missing(params, "version") {
        return;
    }
    params.insert("version".to_owned(), detail.state.version.into());
    if is_missing(params, "grants") {
        let asked = detail.asks.into_iter().map(|it| it.ask.id);
        params.insert("grants".to_owned(), asked.collect::<Vec<_>>().into());
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Enable {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// The one that is offered, if it is not given.
    #[serde(default)]
    #[schemars(schema_with = "super::optional_version")]
    version: Option<String>,
    /// Ids of what is granted; all that is asked for, if they are not given.
    #[serde(default)]
    #[schemars(schema_with = "super::optional_grants")]
    grants: Option<BTreeSet<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grant {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// The version that was looked at: refused if another one runs by now.
    #[serde(default)]
    #[schemars(schema_with = "super::optional_version")]
    version: Option<String>,
    /// Ids of what is granted.
    #[schemars(schema_with = "super::grants")]
    grants: BTreeSet<String>,
}

async fn enable(
    gateway: Gateway,
    invocation: Invocation,
    Enable {
        plugin,
        version,
        grants,
    }: Enable,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .enable_as(&invocation.cx, &plugin, version.as_deref(), grants.as_ref())
        .await
        .map_err(refused)?;
    let target = granted(&plugin, grants.as_ref());
    turned(&gateway, &invocation, &plugin, "plugins.enable", &target).await?;
    Ok(Done {}.into())
}

async fn disable(
    gateway: Gateway,
    invocation: Invocation,
    Which { plugin }: Which,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .disable(&invocation.cx, &plugin)
        .await
        .map_err(refused)?;
    let target = plugin.as_str();
    turned(&gateway, &invocation, &plugin, "plugins.disable", target).await?;
    Ok(Done {}.into())
}

async fn grant(
    gateway: Gateway,
    invocation: Invocation,
    Grant {
        plugin,
        version,
        grants,
    }: Grant,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .grant(&invocation.cx, &plugin, version.as_deref(), &grants)
        .await
        .map_err(refused)?;
    let target = granted(&plugin, Some(&grants));
    turned(&gateway, &invocation, &plugin, "plugins.grant", &target).await?;
    Ok(Done {}.into())
}
