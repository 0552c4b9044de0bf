//! `plugins/*`: what there is, what it asks for, switching it, and going from one version to another.

mod detail;
mod life;
mod list;
mod switching;

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_runtime::{RuntimeError, State};

use super::registry::{Invocation, Registry};
use super::schema;
use crate::{Gateway, GatewayError};

pub(crate) use list::enabled;

/// The longest id of an ask: a kind, and a plugin's method or topic.
const ASK_LEN_MAX: u32 = 192;

/// More than a manifest can ask for.
const ASKS_MAX: u32 = 512;

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    list::register(registry)?;
    detail::register(registry)?;
    switching::register(registry)?;
    life::register(registry)
}

/// One plugin.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    #[schemars(schema_with = "schema::plugin_id")]
    pub(crate) plugin: PluginId,
}

/// How a plugin is doing, in a word.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StateView {
    On,
    Off,
    /// It, or a newer version of it, asks for more than was granted.
    Waiting,
    /// It broke too often and is tried again in a while.
    Resting,
    /// It broke again and again; an administrator has to look.
    Suspended,
    Unavailable,
}

impl From<State> for StateView {
    fn from(state: State) -> Self {
        match state {
            State::On => Self::On,
            State::Off => Self::Off,
            State::Waiting => Self::Waiting,
            State::Resting => Self::Resting,
            State::Suspended => Self::Suspended,
            State::Unavailable => Self::Unavailable,
        }
    }
}

fn grants(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": ASKS_MAX,
        "items": { "type": "string", "minLength": 1, "maxLength": ASK_LEN_MAX },
    })
}

fn optional_grants(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["array", "null"],
        "maxItems": ASKS_MAX,
        "items": { "type": "string", "minLength": 1, "maxLength": ASK_LEN_MAX },
    })
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 64 })
}

fn optional_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "minLength": 1, "maxLength": 64 })
}

fn refused(error: RuntimeError) -> Problem {
    if error.reason() == Reason::Internal {
        tracing::error!(%error, "a plugin could not be switched");
    }
    error.problem()
}

/// Tells whoever is here whether it answers now, and writes down what was done.
async fn turned(
    gateway: &Gateway,
    invocation: &Invocation,
    plugin: &PluginId,
    action: &str,
    target: &str,
) -> Result<(), Problem> {
    let tenant = invocation.tenant.id;
    let is_on = gateway.runtime().is_enabled(tenant, plugin);
    gateway.tell_plugin_switched(tenant, plugin, is_on);
    gateway
        .identity()
        .record_act(&invocation.cx, action, target)
        .await
        .map_err(super::session::refused)
}

/// What was granted, for the audit: the plugin and the ids.
fn granted(plugin: &PluginId, grants: Option<&BTreeSet<String>>) -> String {
    match grants {
        Some(grants) => {
            let ids: Vec<&str> = grants.iter().map(String::as_str).collect();
            format!("{plugin} {}", ids.join(","))
        }
        None => plugin.to_string(),
    }
}
