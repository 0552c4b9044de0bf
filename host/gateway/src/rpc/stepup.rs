//! `stepup/*`: showing once more who one is. PINs are made here and never shown to a plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, UnixMs};
use vaxel_identity::{Binding, NewProof, PROOF_MS};

use super::registry::{Access, Invocation, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry
        .add(
            "stepup/make_pin",
            "Makes a PIN for something of a plugin's, in the place of the one before, and shows it once.",
            Access::Admin,
            make_pin,
        )?
        .creates = true;
    registry.add(
        "stepup/pin",
        "Answers a proof, to be spent once within a quarter of an hour, for the right PIN.",
        Access::User,
        check_pin,
    )?;
    Ok(())
}

/// What a PIN is for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MakePin {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// One survey, one link: whatever the plugin calls it.
    #[schemars(length(min = 1, max = 128))]
    scope: String,
}

/// A PIN, shown this once.
#[derive(Serialize, JsonSchema)]
struct MadePin {
    pin: String,
}

/// A PIN and what it is to prove.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckPin {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 128))]
    scope: String,
    /// What the proof may be spent for.
    #[schemars(length(min = 1, max = 128))]
    purpose: String,
    #[schemars(length(min = 1, max = 32))]
    pin: String,
}

/// A proof.
#[derive(Serialize, JsonSchema)]
struct MadeProof {
    /// Sent with the call that it is for: as header `Vaxel-Proof`, or as `proof` of a frame.
    proof: String,
    #[schemars(schema_with = "schema::unix_ms")]
    expires_at: UnixMs,
}

async fn make_pin(
    gateway: Gateway,
    invocation: Invocation,
    params: MakePin,
) -> Result<Reply<MadePin>, Problem> {
    let made = gateway
        .identity()
        .make_pin(&invocation.cx, &params.plugin, &params.scope)
        .await
        .map_err(refused)?;
    Ok(MadePin {
        pin: made.expose().clone(),
    }
    .into())
}

async fn check_pin(
    gateway: Gateway,
    invocation: Invocation,
    params: CheckPin,
) -> Result<Reply<MadeProof>, Problem> {
    let (identity, tenant) = (gateway.identity(), invocation.tenant.id);
    let binding = Binding::Session(invocation.claims()?.session);
    let CheckPin {
        plugin,
        scope,
        purpose,
        pin,
    } = params;
    identity
        .check_pin(tenant, &plugin, &scope, pin.into())
        .await
        .map_err(refused)?;
    let proof = identity
        .issue_proof(
            tenant,
            NewProof {
                plugin: &plugin,
                purpose: &purpose,
                method: "pin",
                // Whoever has the PIN: it tells nobody from anybody else.
                pseudonym: None,
                binding,
            },
        )
        .await
        .map_err(refused)?;
    Ok(MadeProof {
        proof: proof.expose().clone(),
        expires_at: invocation.cx.now.plus_ms(PROOF_MS),
    }
    .into())
}
