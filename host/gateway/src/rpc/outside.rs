//! `plugins/*` of what a plugin is given from outside: its settings.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_runtime::Settings;

use super::registry::{Access, Done, Invocation, Registry, Reply};
use super::schema;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/set_settings",
        "Sets all settings of a plugin; one that is left out has its default again.",
        Access::Admin,
        set_settings,
    )?;
    Ok(())
}

/// A plugin and its settings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewSettings {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// By the plugin's own schema.
    values: Settings,
}

async fn set_settings(
    gateway: Gateway,
    invocation: Invocation,
    params: NewSettings,
) -> Result<Reply<Done>, Problem> {
    let NewSettings { plugin, values } = params;
    let found = gateway.runtime().settings(invocation.tenant.id, &plugin)?;
    let (form, _) = found.ok_or_else(|| {
        Problem::new(
            Reason::NotFound,
            "There is no such plugin here, or it has no settings.",
        )
    })?;
    check(&form, &values)?;
    gateway
        .runtime()
        .set_settings(&invocation.cx, &plugin, &values)
        .await?;
    // Which, not what: a setting may be somebody's name or number.
    gateway
        .identity()
        .record_act(&invocation.cx, "plugins.set_settings", plugin.as_str())
        .await
        .map_err(super::session::refused)?;
    Ok(Done {}.into())
}

fn check(form: &Value, values: &Settings) -> Result<(), Problem> {
    let properties = form.get("properties").and_then(Value::as_object);
    let is_known = |name: &String| properties.is_some_and(|all| all.contains_key(name));
    if !values.keys().all(is_known) {
        return Err(Problem::new(
            Reason::Invalid,
            "The plugin has no setting of one of these names.",
        )
        .with_code("invalid_params"));
    }
    let compiled = schema::compile(form).ok_or_else(|| {
        tracing::error!("the schema of a plugin's settings is broken");
        Problem::from(Reason::Internal)
    })?;
    schema::check_params(&compiled, &Value::Object(values.clone()))
}
