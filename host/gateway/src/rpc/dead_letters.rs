//! `plugins/health` and the dead letters of a plugin: how its work goes that nobody waits for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, Reason, UnixMs};

use super::registry::{Access, Done, Invocation, Registry, Reply};
use super::schema;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/health",
        "How a plugin says it goes.",
        Access::Admin,
        health,
    )?;
    registry.add(
        "plugins/dead_letters",
        "Work of a plugin that failed for good, oldest first.",
        Access::Admin,
        dead_letters,
    )?;
    registry.add(
        "plugins/retry_dead_letter",
        "Puts a dead letter back into the queue.",
        Access::Admin,
        retry,
    )?;
    registry.add(
        "plugins/discard_dead_letter",
        "Lets a dead letter go.",
        Access::Admin,
        discard,
    )?;
    Ok(())
}

/// One plugin.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
}

/// One dead letter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhichLetter {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    id: String,
}

impl WhichLetter {
    fn id(&self) -> Result<u128, Problem> {
        u128::from_str_radix(&self.id, 16).map_err(|_| Reason::NotFound.into())
    }
}

/// How it goes.
#[derive(Serialize, JsonSchema)]
struct HowItGoes {
    ok: bool,
    /// In the plugin's own words.
    text: String,
}

/// Dead letters.
#[derive(Serialize, JsonSchema)]
struct DeadLetters {
    items: Vec<Letter>,
}

/// Work that failed for good. What it was about is not said.
#[derive(Serialize, JsonSchema)]
struct Letter {
    #[schemars(regex(pattern = "^[0-9a-f]{32}$"))]
    id: String,
    /// `job`, `event` or `hook-after`.
    kind: String,
    /// Which job, topic or method.
    name: String,
    attempts: u32,
    /// A code of the plugin's, or in which way it broke.
    error: String,
    #[schemars(schema_with = "schema::unix_ms")]
    at: UnixMs,
}

async fn health(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<HowItGoes>, Problem> {
    let said = gateway
        .runtime()
        .health(&invocation.cx, &params.plugin)
        .await;
    let said = match said {
        Err(problem) if problem.reason == Reason::NotFound => return Err(problem),
        Ok(text) => HowItGoes {
            ok: true,
            text: text.unwrap_or_default(),
        },
        Err(problem) => HowItGoes {
            ok: false,
            text: problem.detail,
        },
    };
    Ok(said.into())
}

async fn dead_letters(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<DeadLetters>, Problem> {
    let letters = gateway
        .runtime()
        .dead_letters(invocation.tenant.id, &params.plugin)?;
    let items = letters.into_iter().map(|letter| Letter {
        id: format!("{:032x}", letter.id),
        kind: letter.kind,
        name: letter.name,
        attempts: letter.attempts,
        error: letter.error,
        at: letter.at,
    });
    Ok(DeadLetters {
        items: items.collect(),
    }
    .into())
}

async fn retry(
    gateway: Gateway,
    invocation: Invocation,
    params: WhichLetter,
) -> Result<Reply<Done>, Problem> {
    let (tenant, id) = (invocation.tenant.id, params.id()?);
    gateway
        .runtime()
        .retry_dead_letter(tenant, &params.plugin, id)
        .await?;
    written_down(
        &gateway,
        &invocation,
        "plugins.retry_dead_letter",
        &params.plugin,
    )
    .await
}

async fn discard(
    gateway: Gateway,
    invocation: Invocation,
    params: WhichLetter,
) -> Result<Reply<Done>, Problem> {
    let (tenant, id) = (invocation.tenant.id, params.id()?);
    gateway
        .runtime()
        .discard_dead_letter(tenant, &params.plugin, id)
        .await?;
    written_down(
        &gateway,
        &invocation,
        "plugins.discard_dead_letter",
        &params.plugin,
    )
    .await
}

async fn written_down(
    gateway: &Gateway,
    invocation: &Invocation,
    action: &'static str,
    plugin: &PluginId,
) -> Result<Reply<Done>, Problem> {
    let identity = gateway.identity();
    identity
        .record_act(&invocation.cx, action, plugin.as_str())
        .await
        .map_err(super::session::refused)?;
    Ok(Done {}.into())
}
