//! Safe retries: the answer of a call that wrote is kept with what it wrote, and given again for the same key.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use vaxel_core::{Problem, Reason, TenantId, UnixMs, UserId};
use vaxel_crypto::{CryptoError, ErasureKey, Keyring};
use vaxel_storage::{Order, Space, Storage, StorageError, Transaction};

use crate::Runtime;

/// Answers by day and key.
const SPACE: Space = Space::host(0x30);

/// How long a key is remembered.
const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1_000;

/// The first byte of a row.
const FORMAT: u8 = 1;
const HASH_LEN: usize = 32;
const TIME_LEN: usize = 8;

/// The largest answer that is kept: what a row holds.
const REPLY_BYTES_MAX: usize = 200 << 10;

/// Rows that one sweeping transaction deletes.
const SWEEP_ROWS_MAX: usize = 500;

/// A key as a caller gave it, for one call.
pub(crate) struct Retry {
    name: [u8; 32],
    body: [u8; HASH_LEN],
    now: UnixMs,
}

/// What is remembered under a key.
pub(crate) enum Remembered {
    Nothing,
    Answer(Bytes),
}

impl Retry {
    pub(crate) fn new(
        keyring: &Keyring,
        tenant: TenantId,
        user: Option<UserId>,
        method: &str,
        key: &str,
        params: &[u8],
        now: UnixMs,
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            name: name_of(keyring, tenant, user, method, key)?,
            body: Sha256::digest(params).into(),
            now,
        })
    }

    /// What was answered to this key; refused where it was used for something else.
    pub(crate) fn look(
        &self,
        tx: &mut Transaction,
    ) -> Result<Result<Remembered, Problem>, StorageError> {
        let today = self.now.0 / MS_PER_DAY;
        for day in [today, today.saturating_sub(1)] {
            let Some(row) = tx.get(SPACE, &self.key(day))? else {
                continue;
            };
            let Some((kept_at, body, reply)) = split(&row) else {
                return Err(StorageError::Corrupt {
                    what: "an idempotency row".to_owned(),
                });
            };
            if self.now.since(kept_at) >= KEPT_MS {
                continue;
            }
            if body != self.body {
                let detail = "The idempotency key was used for a different request.";
                return Ok(Err(
                    Problem::new(Reason::Refused, detail).with_code("idempotency-mismatch")
                ));
            }
            return Ok(Ok(Remembered::Answer(Bytes::copy_from_slice(reply))));
        }
        Ok(Ok(Remembered::Nothing))
    }

    /// Keeps the answer with what the call wrote. A call that wrote nothing can simply run again.
    pub(crate) fn keep(
        &self,
        tx: &mut Transaction,
        reply: &[u8],
    ) -> Result<Result<(), Problem>, StorageError> {
        if tx.is_read_only() {
            return Ok(Ok(()));
        }
        if reply.len() > REPLY_BYTES_MAX {
            let detail = "The answer is too large to be kept for a retry.";
            return Ok(Err(Problem::new(Reason::TooLarge, detail)));
        }
        let mut row = Vec::with_capacity(1 + TIME_LEN + HASH_LEN + reply.len());
        row.push(FORMAT);
        row.extend_from_slice(&self.now.0.to_be_bytes());
        row.extend_from_slice(&self.body);
        row.extend_from_slice(reply);
        tx.put(
            SPACE,
            &self.key(self.now.0 / MS_PER_DAY),
            row,
            ErasureKey::TENANT,
        )?;
        Ok(Ok(()))
    }

    // The day comes first, so that what is over lies together.
    fn key(&self, day: u64) -> Vec<u8> {
        let mut key = day.to_be_bytes().to_vec();
        key.extend_from_slice(&self.name);
        key
    }
}

/// Under what a caller's key is kept: blinded, so that the disk tells neither the key nor who used it for what.
fn name_of(
    keyring: &Keyring,
    tenant: TenantId,
    user: Option<UserId>,
    method: &str,
    key: &str,
) -> Result<[u8; 32], CryptoError> {
    let caller = user.map(UserId::to_bytes).unwrap_or_default();
    let mut named = Vec::with_capacity(caller.len() + method.len() + 1 + key.len());
    named.extend_from_slice(&caller);
    named.extend_from_slice(method.as_bytes());
    named.push(0);
    named.extend_from_slice(key.as_bytes());
    keyring.blind(tenant, "idempotency", &named)
}

impl Runtime {
    /// Under what the answer to a caller's key is kept, for methods that are no plugin's.
    pub fn retry_name(
        &self,
        tenant: TenantId,
        user: UserId,
        method: &str,
        key: &str,
    ) -> Result<[u8; 32], Problem> {
        name_of(&self.inner.keyring, tenant, Some(user), method, key)
            .map_err(|_| Problem::from(Reason::Internal))
    }
}

/// Which day it is, for [`sweep`] once a day.
pub(crate) fn day_of(now: UnixMs) -> u64 {
    now.0 / MS_PER_DAY
}

/// Deletes what is remembered no more.
pub(crate) async fn sweep(
    storage: &Storage,
    tenant: TenantId,
    now: UnixMs,
) -> Result<(), StorageError> {
    let first_kept = day_of(now).saturating_sub(1).to_be_bytes();
    loop {
        let mut tx = storage.begin(tenant);
        let page = tx.scan(SPACE, &[], None, SWEEP_ROWS_MAX, Order::Ascending)?;
        let over: Vec<_> = page
            .entries
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| key.as_slice() < first_kept.as_slice())
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        for key in &over {
            tx.delete(SPACE, key)?;
        }
        storage.commit(tx).await?;
    }
}

fn split(row: &[u8]) -> Option<(UnixMs, [u8; HASH_LEN], &[u8])> {
    let rest = row.strip_prefix(&[FORMAT])?;
    let (time, rest) = rest.split_first_chunk::<TIME_LEN>()?;
    let (body, reply) = rest.split_first_chunk::<HASH_LEN>()?;
    Some((UnixMs(u64::from_be_bytes(*time)), *body, reply))
}
