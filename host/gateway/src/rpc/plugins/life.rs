//! `plugins/upgrade`, `rollback` and `uninstall`: from one version to another, back again, and away.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vaxel_core::{PluginId, Problem};

use super::{Which, granted, refused, turned};
use crate::rpc::registry::{Access, Done, Invocation, Registry, Reply};
use crate::rpc::schema;
use crate::{Gateway, GatewayError};

pub(super) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry
        .add(
            "plugins/upgrade",
            "Goes on with another version of a plugin.",
            Access::Admin,
            upgrade,
        )?
        .guard = Some(|_, _, _| true);
    registry
        .add(
            "plugins/rollback",
            "Goes back to the version of a plugin that ran before.",
            Access::Admin,
            rollback,
        )?
        .guard = Some(regains);
    registry
        .add(
        "plugins/uninstall",
        "Switches a plugin off and forgets what it was granted, and erases all that it has here, if that is asked for.",
        Access::Admin,
        uninstall,
        )?
        .guard = Some(|_, _, _| true);
    Ok(())
}

/// Going back helps in need and waits for nobody, unless it brings back what was taken from the plugin since.
fn regains(gateway: &Gateway, invocation: &Invocation, params: &Value) -> bool {
    let plugin = params.get("plugin").and_then(Value::as_str);
    let plugin: Option<PluginId> = plugin.and_then(|plugin| plugin.parse().ok());
    plugin.is_none_or(|plugin| {
        let tenant = invocation.cx.tenant;
        let regains = gateway.runtime().rollback_regains(tenant, &plugin);
        regains.unwrap_or(true)
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Upgrade {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(schema_with = "super::version")]
    version: String,
    /// Ids of what is granted; what was granted before, if they are not given.
    #[serde(default)]
    #[schemars(schema_with = "super::optional_grants")]
    grants: Option<BTreeSet<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Uninstall {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// Whether its rows, queue and keys are destroyed.
    #[serde(default)]
    erase: bool,
}

async fn upgrade(
    gateway: Gateway,
    invocation: Invocation,
    Upgrade {
        plugin,
        version,
        grants,
    }: Upgrade,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .upgrade(&invocation.cx, &plugin, &version, grants.as_ref())
        .await
        .map_err(refused)?;
    let target = format!("{} to {version}", granted(&plugin, grants.as_ref()));
    turned(&gateway, &invocation, &plugin, "plugins.upgrade", &target).await?;
    Ok(Done {}.into())
}

async fn rollback(
    gateway: Gateway,
    invocation: Invocation,
    Which { plugin }: Which,
) -> Result<Reply<Done>, Problem> {
    gateway
        .runtime()
        .rollback(&invocation.cx, &plugin)
        .await
        .map_err(refused)?;
    let target = plugin.as_str();
    turned(&gateway, &invocation, &plugin, "plugins.rollback", target).await?;
    Ok(Done {}.into())
}

async fn uninstall(
    gateway: Gateway,
    invocation: Invocation,
    Uninstall { plugin, erase }: Uninstall,
) -> Result<Reply<Done>, Problem> {
    let (runtime, cx) = (gateway.runtime(), &invocation.cx);
    match erase {
        true => runtime.uninstall(cx, &plugin).await,
        false => runtime.forget(cx, &plugin).await,
    }
    .map_err(refused)?;
    let target = plugin.as_str();
    turned(&gateway, &invocation, &plugin, "plugins.uninstall", target).await?;
    Ok(Done {}.into())
}
