//! Retries of host methods that make something: the first answer is kept for a day and given again.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vaxel_core::{Problem, Reason, TenantId, UnixMs};
use vaxel_storage::{ErasureKey, Order, Space, StorageError};

use super::registry::{Answer, HostMethod, Invocation, encode};
use crate::Gateway;

const REPLIES: Space = Space::host(0x40);

/// How long a key protects.
const KEPT_MS: u64 = 24 * 3_600 * 1_000;

/// Old rows that each new one clears away, so that the rows of a day are all there ever are.
const SWEPT_PER_CALL: usize = 8;

/// The first byte of a row.
const ROW_FORMAT: u8 = 1;

#[derive(Serialize, Deserialize)]
struct Row {
    at: UnixMs,
    body: String,
    /// Absent while the first call is under way, or if the server ended in the middle of it.
    reply: Option<Value>,
}

impl Row {
    fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        let mut bytes = vec![ROW_FORMAT];
        bytes.extend_from_slice(&encode(self)?);
        Ok(bytes)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (format, json) = bytes.split_first()?;
        if *format == ROW_FORMAT {
            serde_json::from_slice(json).ok()
        } else {
            None
        }
    }
}

/// Runs the method unless this key has been used: then its answer is given again, or the misuse is refused.
pub(crate) async fn once(
    gateway: &Gateway,
    invocation: Invocation,
    method: &HostMethod,
    params: Value,
    key: &str,
) -> Result<Answer, Problem> {
    let caller = invocation.claims()?.user;
    let (tenant, now) = (invocation.cx.tenant, invocation.cx.now);
    let row_key = gateway
        .runtime()
        .retry_name(tenant, caller, method.name, key)?;
    // Lies in the row, sealed, so that it need not be keyed.
    let body = hex(&Sha256::digest(params.to_string()));
    let fresh = Row {
        at: now,
        body: body.clone(),
        reply: None,
    };
    if let Some(before) = claim(gateway, tenant, &row_key, now, &fresh).await? {
        if before.body != body {
            return Err(Problem::new(
                Reason::Invalid,
                "This idempotency key was used for a different request.",
            )
            .with_code("idempotency-mismatch"));
        }
        let reply = before.reply.ok_or_else(|| {
            Problem::new(
                Reason::Conflict,
                "The first request with this key has not ended.",
            )
            .with_code("idempotency-pending")
        })?;
        return Ok(Answer {
            json: encode(&reply)?,
            cookie: None,
        });
    }
    let outcome = (method.run)(gateway.clone(), invocation, params).await;
    let kept = match &outcome {
        Ok(answer) => {
            let reply = serde_json::from_slice(&answer.json).ok();
            write(gateway, tenant, &row_key, Some(&Row { reply, ..fresh })).await
        }
        // What failed made nothing; the key may be used again.
        Err(_) => write(gateway, tenant, &row_key, None).await,
    };
    if let Err(error) = kept {
        tracing::error!(%error, tenant.id = %tenant, "cannot keep an answer for retries");
    }
    outcome
}

/// Takes the key, or answers what is kept under it.
async fn claim(
    gateway: &Gateway,
    tenant: TenantId,
    key: &[u8],
    now: UnixMs,
    fresh: &Row,
) -> Result<Option<Row>, Problem> {
    let fault = |error: StorageError| {
        tracing::debug!(%error, "cannot take an idempotency key");
        Problem::from(error.reason())
    };
    let storage = gateway.storage();
    let mut tx = storage.begin(tenant);
    let before = tx
        .get(REPLIES, key)
        .map_err(fault)?
        .and_then(|bytes| Row::from_bytes(&bytes))
        .filter(|row| now.since(row.at) < KEPT_MS);
    if before.is_some() {
        storage.commit(tx).await.map_err(fault)?;
        return Ok(before);
    }
    tx.put(REPLIES, key, fresh.to_bytes()?, ErasureKey::TENANT)
        .map_err(fault)?;
    // Of two first calls at once, one meets the other's row here.
    storage.commit(tx).await.map_err(fault)?;
    sweep(gateway, tenant, key, now).await;
    Ok(None)
}

/// Deletes expired rows behind this key; keys are blinded, so every row's turn comes.
async fn sweep(gateway: &Gateway, tenant: TenantId, key: &[u8], now: UnixMs) {
    let storage = gateway.storage();
    let mut tx = storage.begin(tenant);
    let Ok(page) = tx.scan(REPLIES, b"", Some(key), SWEPT_PER_CALL, Order::Ascending) else {
        return;
    };
    let mut found = false;
    for (key, bytes) in &page.entries {
        let old = Row::from_bytes(bytes).is_none_or(|row| now.since(row.at) >= KEPT_MS);
        if old {
            found |= tx.delete(REPLIES, key).is_ok();
        }
    }
    if found && let Err(error) = storage.commit(tx).await {
        tracing::debug!(%error, "old answers stay until the next call");
    }
}

async fn write(
    gateway: &Gateway,
    tenant: TenantId,
    key: &[u8],
    row: Option<&Row>,
) -> Result<(), StorageError> {
    let storage = gateway.storage();
    let mut tx = storage.begin(tenant);
    match row.and_then(|row| row.to_bytes().ok()) {
        Some(bytes) => tx.put(REPLIES, key, bytes, ErasureKey::TENANT)?,
        None => tx.delete(REPLIES, key)?,
    }
    storage.commit(tx).await.map(|_| ())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
