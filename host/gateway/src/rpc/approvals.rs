//! `approvals/*`: acts that wait for a second administrator, where the organization wants four eyes.
//!
//! A method is marked as guarded where it is registered. Guarded are what lets a plugin do more or destroys its rows,
//! and what would make a second administrator out of one: a rule that one person can step around is none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{ApprovalId, Problem, Reason, UnixMs, UserId};
use vaxel_identity::Approval;

use super::registry::{Access, Answer, Done, HostMethod, Invocation, Nothing, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "approvals/list",
        "What waits for a second administrator, and whether anything has to.",
        Access::Admin,
        list,
    )?;
    registry
        .add(
            "approvals/require",
            "Says whether what counts most takes two administrators.",
            Access::Admin,
            require,
        )?
        .guard = Some(|_, _, _| true);
    registry.add(
        "approvals/approve",
        "Approves what another administrator asked for, and does it.",
        Access::Admin,
        approve,
    )?;
    registry.add(
        "approvals/refuse",
        "Refuses what another administrator asked for, or takes back what one asked for oneself.",
        Access::Admin,
        refuse,
    )?;
    Ok(())
}

/// Lets a guarded method wait where it has to; nothing where it may run at once.
pub(crate) async fn wait(
    gateway: &Gateway,
    invocation: &Invocation,
    method: &HostMethod,
    params: &Value,
) -> Result<(), Problem> {
    let identity = gateway.identity();
    let is_guarded = method
        .guard
        .is_some_and(|guard| guard(gateway, invocation, params));
    if !is_guarded
        || !identity
            .requires_four_eyes(invocation.cx.tenant)
            .map_err(refused)?
    {
        return Ok(());
    }
    identity
        .ask_for_approval(&invocation.cx, method.name, params)
        .await
        .map_err(refused)?;
    gateway.tell_approvals_changed(invocation.cx.tenant);
    Err(Problem::new(
        Reason::Refused,
        "This waits until another administrator approves it.",
    )
    .with_code("awaits_approval"))
}

/// An act that waits.
#[derive(Serialize, JsonSchema)]
struct Waiting {
    #[schemars(schema_with = "schema::approval_id")]
    id: ApprovalId,
    /// What is to be called: `plugins/grant`.
    method: String,
    /// With these parameters.
    params: Value,
    #[schemars(schema_with = "schema::user_id")]
    asked_by: UserId,
    #[schemars(schema_with = "schema::unix_ms")]
    asked_at: UnixMs,
    #[schemars(schema_with = "schema::unix_ms")]
    expires_at: UnixMs,
}

impl From<Approval> for Waiting {
    fn from(one: Approval) -> Self {
        Self {
            id: one.id,
            method: one.method,
            params: one.params,
            asked_by: one.asked_by,
            asked_at: one.asked_at,
            expires_at: one.expires_at,
        }
    }
}

/// What waits.
#[derive(Serialize, JsonSchema)]
struct WaitingList {
    /// Whether guarded methods wait for a second administrator.
    required: bool,
    /// The methods that are guarded, in part or always.
    guarded: Vec<&'static str>,
    /// Oldest first.
    items: Vec<Waiting>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Require {
    required: bool,
}

/// Which act.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    #[schemars(schema_with = "schema::approval_id")]
    approval: ApprovalId,
}

/// What was done.
#[derive(Serialize, JsonSchema)]
struct Approved {
    method: String,
    /// What the method answered.
    result: Value,
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<WaitingList>, Problem> {
    let (identity, tenant) = (gateway.identity(), invocation.cx.tenant);
    let waiting = identity.approvals(tenant).map_err(refused)?;
    let guarded = gateway
        .registry()
        .all()
        .filter(|method| method.guard.is_some());
    Ok(WaitingList {
        required: identity.requires_four_eyes(tenant).map_err(refused)?,
        guarded: guarded.map(|method| method.name).collect(),
        items: waiting.into_iter().map(Into::into).collect(),
    }
    .into())
}

async fn require(
    gateway: Gateway,
    invocation: Invocation,
    params: Require,
) -> Result<Reply<Done>, Problem> {
    gateway
        .identity()
        .require_four_eyes(&invocation.cx, params.required)
        .await
        .map_err(refused)?;
    gateway.tell_approvals_changed(invocation.cx.tenant);
    Ok(Done {}.into())
}

async fn approve(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Approved>, Problem> {
    let approval = gateway
        .identity()
        .approve(&invocation.cx, params.approval)
        .await
        .map_err(refused)?;
    gateway.tell_approvals_changed(invocation.cx.tenant);
    // It may have been asked of an earlier version, which knew other methods.
    let method = gateway
        .registry()
        .get(&approval.method)
        .filter(|method| method.guard.is_some())
        .ok_or_else(super::plugin::unknown_method)?;
    schema::check_params(&method.params_validator, &approval.params)?;
    let Answer { json, .. } = (method.run)(gateway.clone(), invocation, approval.params).await?;
    let result = serde_json::from_slice(&json).map_err(|_| Problem::from(Reason::Internal))?;
    Ok(Approved {
        method: approval.method,
        result,
    }
    .into())
}

async fn refuse(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Done>, Problem> {
    gateway
        .identity()
        .refuse_approval(&invocation.cx, params.approval)
        .await
        .map_err(refused)?;
    gateway.tell_approvals_changed(invocation.cx.tenant);
    Ok(Done {}.into())
}
