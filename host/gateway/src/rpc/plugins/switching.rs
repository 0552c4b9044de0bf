//! `plugins/enable`, `disable` and `grant`: what an organization has on, and what it lets it use.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use vaxel_core::{PluginId, Problem};

use super::{Which, granted, refused, turned};
use crate::rpc::registry::{Access, Done, Invocation, Registry, Reply};
use crate::rpc::schema;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry
        .add(
            "plugins/enable",
            "Switches a plugin on and grants what it asks for, or a part of it.",
            Access::Admin,
            enable,
        )?
        .guard = Some(|_, _, _| true);
    registry.add(
        "plugins/disable",
        "Switches a plugin off.",
        Access::Admin,
        disable,
    )?;
    registry
        .add(
            "plugins/grant",
            "Grants a plugin that is on these of the things it asks for, and no others.",
            Access::Admin,
            grant,
        )?
        .guard = Some(|_, _, _| true);
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Enable {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
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
    /// Ids of what is granted.
    #[schemars(schema_with = "super::grants")]
    grants: BTreeSet<String>,
}

async fn enable(
    gateway: Gateway,
    invocation: Invocation,
    Enable { plugin, grants }: Enable,
) -> Result<Reply<Done>, Problem> {
    let (runtime, cx) = (gateway.runtime(), &invocation.cx);
    match &grants {
        Some(grants) => runtime.enable_with(cx, &plugin, grants).await,
        None => runtime.enable(cx, &plugin).await,
    }
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
    Grant { plugin, grants }: Grant,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .grant(&invocation.cx, &plugin, &grants)
        .await
        .map_err(refused)?;
    let target = granted(&plugin, Some(&grants));
    turned(&gateway, &invocation, &plugin, "plugins.grant", &target).await?;
    Ok(Done {}.into())
}
