//! `audit/list`: what was done and refused here, for administrators.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{Problem, UnixMs};
use vaxel_identity::Outcome;

use super::registry::{Access, Invocation, PAGE_MAX, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    // Open to users for the registry: identity refuses who is no administrator, and writes the refusal down.
    registry.add(
        "audit/list",
        "What was done here, newest first; for administrators.",
        Access::User,
        list,
    )?;
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListAudit {
    /// Where the last page ended.
    #[serde(default)]
    #[schemars(regex(pattern = "^a1-[0-9a-f]{20}$"))]
    cursor: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<u32>,
}

/// One act.
#[derive(Serialize, JsonSchema)]
struct Entry {
    #[schemars(schema_with = "schema::unix_ms")]
    at: UnixMs,
    /// Who: a user's id, `plugin:…`, `system` or `anonymous`.
    actor: String,
    /// What: `users.deactivate`.
    action: String,
    /// To whom or what, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    outcome: How,
    /// What a plugin used, where it is about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<UsedView>,
}

/// What a plugin used: one thing that matters, or how often each of those that are used all the time.
#[derive(Serialize, JsonSchema)]
struct UsedView {
    /// The plugin's version.
    version: String,
    /// In which of its methods, jobs, …: `method messages.send`; nothing in totals.
    #[serde(skip_serializing_if = "String::is_empty")]
    work: String,
    /// With what: a host, a method; in totals the day.
    #[serde(skip_serializing_if = "String::is_empty")]
    what: String,
    /// How often, by capability.
    counts: BTreeMap<String, u64>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum How {
    Done,
    Refused,
    Throttled,
}

/// Some acts.
#[derive(Serialize, JsonSchema)]
struct AuditList {
    items: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    params: ListAudit,
) -> Result<Reply<AuditList>, Problem> {
    let limit = usize::try_from(params.limit.unwrap_or(PAGE_MAX)).unwrap_or(1);
    let page = gateway
        .identity()
        .audit(&invocation.cx, params.cursor.as_deref(), limit)
        .await
        .map_err(refused)?;
    let items = page.items.into_iter().map(|entry| Entry {
        at: entry.at,
        actor: entry.actor,
        action: entry.action,
        target: entry.target,
        outcome: match entry.outcome {
            Outcome::Done => How::Done,
            Outcome::Refused => How::Refused,
            Outcome::Throttled => How::Throttled,
        },
        used: entry.used.map(|used| UsedView {
            version: used.version,
            work: used.work,
            what: used.what,
            counts: used.counts,
        }),
    });
    Ok(AuditList {
        items: items.collect(),
        next: page.next,
    }
    .into())
}
