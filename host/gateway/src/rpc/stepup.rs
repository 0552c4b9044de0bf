//! `stepup/*`: showing once more who one is. PINs are made here and never shown to a plugin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, Problem, Reason, TenantId, UnixMs};
use vaxel_identity::{Binding, Eids, NewProof, PROOF_MS};

use super::registry::{Access, Done, Invocation, Nothing, Registry, Reply};
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
        "stepup/close",
        "Closes a plugin's purpose for ever: nobody's pseudonym under it can be made or compared again.",
        Access::Admin,
        close,
    )?;
    super::stepup_people::register(registry)?;
    registry.add(
        "stepup/bankid",
        "How BankID knows the organization: the certificate's name and end.",
        Access::Admin,
        bankid,
    )?;
    registry.add(
        "stepup/set_bankid",
        "Keeps the certificate by which BankID knows the organization, in the place of the one before.",
        Access::Admin,
        set_bankid,
    )?;
    registry.add(
        "stepup/remove_bankid",
        "Forgets the certificate by which BankID knows the organization.",
        Access::Admin,
        remove_bankid,
    )?;
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
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
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
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    scope: String,
    /// What the proof may be spent for.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
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

/// A certificate and its key.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SetBankId {
    /// The chain in PEM, the organization's own first.
    #[schemars(length(min = 1, max = 65_536))]
    certificate: String,
    /// Its private key in PEM, without a passphrase. It is never shown again.
    #[schemars(length(min = 1, max = 65_536))]
    key: String,
}

/// How BankID knows the organization.
#[derive(Serialize, JsonSchema)]
struct BankIdShown {
    /// Whether this server can reach BankID at all; the operator configures that.
    configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<CertificateShown>,
}

/// What may be shown of a certificate.
#[derive(Serialize, JsonSchema)]
struct CertificateShown {
    name: String,
    #[schemars(schema_with = "schema::unix_ms")]
    ends_at: UnixMs,
}

fn shown(eids: Option<&Eids>, tenant: TenantId) -> Result<BankIdShown, Problem> {
    let held = eids.map(|eids| eids.certificate(tenant)).transpose();
    let held = held.map_err(refused)?.flatten();
    Ok(BankIdShown {
        configured: eids.is_some_and(Eids::is_configured),
        certificate: held.map(|held| CertificateShown {
            name: held.name,
            ends_at: held.ends_at,
        }),
    })
}

fn eids(gateway: &Gateway) -> Result<&Eids, Problem> {
    let why = "This server is not set up for electronic identity.";
    gateway
        .eids()
        .ok_or_else(|| Problem::new(Reason::Unavailable, why))
}

/// A purpose.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClosePurpose {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    purpose: String,
}

async fn close(
    gateway: Gateway,
    invocation: Invocation,
    params: ClosePurpose,
) -> Result<Reply<Done>, Problem> {
    let ClosePurpose { plugin, purpose } = params;
    let identity = gateway.identity();
    identity
        .close_purpose(&invocation.cx, &plugin, &purpose)
        .await
        .map_err(refused)?;
    Ok(Done {}.into())
}

async fn bankid(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<BankIdShown>, Problem> {
    Ok(shown(gateway.eids(), invocation.tenant.id)?.into())
}

async fn set_bankid(
    gateway: Gateway,
    invocation: Invocation,
    params: SetBankId,
) -> Result<Reply<BankIdShown>, Problem> {
    let SetBankId { certificate, key } = params;
    let eids = eids(&gateway)?;
    eids.set_certificate(&invocation.cx, certificate, key.into())
        .await
        .map_err(refused)?;
    Ok(shown(Some(eids), invocation.tenant.id)?.into())
}

async fn remove_bankid(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<BankIdShown>, Problem> {
    let eids = eids(&gateway)?;
    let removing = eids.remove_certificate(&invocation.cx);
    removing.await.map_err(refused)?;
    Ok(shown(Some(eids), invocation.tenant.id)?.into())
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
                for_ticket: false,
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
