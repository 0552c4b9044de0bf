//! Sweeping: events past their time and rows that expired are deleted by ordinary commits, a bounded number a round.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::{ErasureKey, Purpose};

use crate::engine::Shared;
use crate::key::{Space, prefix_end, row_key, within_space, without_tenant};
use crate::limits::{OPS_MAX, SWEEP_ROWS_MAX, TAIL_KEPT_MS};
use crate::tenant::Tenant;
use crate::transaction::Write;
use crate::{Stamp, StorageError, Transaction, row};

/// Under what storage notes up to where it has swept a tenant's tail.
const FLOOR_KEY: &[u8] = b"tail-floor";
/// Under what it is noted that a row expires: the time, then the row's own place.
pub(crate) fn expiry_key(tenant: TenantId, until: UnixMs, key: &[u8]) -> Vec<u8> {
    let until = until.0.to_be_bytes();
    row_key(tenant, Space::EXPIRIES, &[&until, without_tenant(key)])
}

/// How long an audience's id is.
const AUDIENCE_LEN: usize = 16;

impl Shared {
    /// One round over all tenants; answers how many events went.
    pub(crate) fn sweep(self: &Arc<Self>) -> Result<usize, StorageError> {
        let mut swept = 0;
        for tenant in self.tenants.all() {
            let mut of_tenant = 0;
            while of_tenant < SWEEP_ROWS_MAX {
                match self.sweep_some(&tenant)? {
                    0 => break,
                    some => of_tenant += some,
                }
            }
            swept += of_tenant;
            let mut expired = 0;
            while expired < SWEEP_ROWS_MAX {
                match self.sweep_expired(&tenant) {
                    Ok(0) => break,
                    Ok(some) => expired += some,
                    // Somebody writes there just now: the next round finds it.
                    Err(error) if error.is_conflict() => break,
                    Err(error) => return Err(error),
                }
            }
            swept += expired;
        }
        Ok(swept)
    }

    /// Deletes as many expired rows as one transaction holds.
    fn sweep_expired(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Result<usize, StorageError> {
        let mut tx = Transaction::new(Arc::clone(self), Arc::clone(tenant));
        let first = row_key(tenant.id, Space::EXPIRIES, &[]);
        let now = self.clock.now().plus_ms(1).0.to_be_bytes();
        let end = row_key(tenant.id, Space::EXPIRIES, &[&now]);
        let range = (Bound::Included(first), Bound::Excluded(end));
        let mut count = 0;
        for found in self.state.range(&range).take(OPS_MAX / 2) {
            let (note, value) = found?;
            let noted = within_space(&note).split_first_chunk::<8>();
            let (until, rest) = noted.ok_or_else(|| StorageError::corrupt("an expiry's key"))?;
            let until = UnixMs(u64::from_be_bytes(*until));
            let key = [tenant.id.to_bytes().as_slice(), rest].concat();
            let row = self.state.get(&key)?;
            let (note_header, _) = row::parse(&value)?;
            let header = row.map(|row| row::parse(&row).map(|(header, _)| header));
            let header = header.transpose()?;
            // Committed while this looks: the next round sees all of it.
            if note_header.seq.max(header.map_or(0, |header| header.seq)) > tx.start {
                continue;
            }
            if header.is_some_and(|header| header.until() == Some(until)) {
                // A put that comes before the commit is noticed by it.
                tx.reads.insert(key.clone());
                tx.writes.insert(key, Write::Delete);
            }
            tx.writes.insert(note.to_vec(), Write::Delete);
            count += 1;
        }
        tx.ops = tx.writes.len();
        if count > 0 {
            self.commit_blocking(tx)?;
        }
        Ok(count)
    }

    /// Deletes as many old events as one transaction holds.
    fn sweep_some(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Result<usize, StorageError> {
        let (keys, newest) = self.old_events(tenant)?;
        if keys.is_empty() {
            return Ok(0);
        }
        let count = keys.len();
        let mut tx = Transaction::new(Arc::clone(self), Arc::clone(tenant));
        tx.ops = count;
        tx.writes
            .extend(keys.into_iter().map(|key| (key, Write::Delete)));
        let floor = tenant.tail_floor.load(Ordering::Acquire).max(newest.seq);
        let value = floor.to_be_bytes().to_vec();
        let erasure = ErasureKey::TENANT;
        tx.writes.insert(
            row_key(tenant.id, Space::MARKS, &[FLOOR_KEY]),
            Write::Put {
                value,
                erasure,
                until: None,
            },
        );
        // Before the rows go: whoever replays now must notice.
        tenant.tail_floor.fetch_max(floor, Ordering::AcqRel);
        self.commit_blocking(tx)?;
        Ok(count)
    }

    /// Some events past their time, and the newest stamp among them. Goes from audience to audience: rows of
    /// one lie in the order of their time.
    fn old_events(&self, tenant: &Tenant) -> Result<(Vec<Vec<u8>>, Stamp), StorageError> {
        let before = self.clock.now().minus_ms(TAIL_KEPT_MS);
        let prefix = row_key(tenant.id, Space::TAIL, &[]);
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let mut from = Bound::Included(prefix);
        let mut keys = Vec::new();
        let mut newest = Stamp::default();
        'audiences: loop {
            for found in self.state.range(&(from, end.clone())) {
                let (key, value) = found?;
                let (header, _) = row::parse(&value)?;
                let is_old = header.at.is_some_and(|at| at < before);
                if is_old && keys.len() < OPS_MAX - 1 {
                    newest = newest.max(Stamp {
                        seq: header.seq,
                        ordinal: 0,
                    });
                    keys.push(key.to_vec());
                    continue;
                }
                if is_old {
                    break 'audiences;
                }
                let next = key
                    .get(..key.len() - within_space(&key).len() + AUDIENCE_LEN)
                    .and_then(prefix_end);
                match next {
                    Some(next) => from = Bound::Included(next),
                    None => break 'audiences,
                }
                continue 'audiences;
            }
            break;
        }
        Ok((keys, newest))
    }

    /// Up to where a tenant's tail was swept, as its own rows say.
    pub(crate) fn stored_tail_floor(
        &self,
        tenant: vaxel_core::TenantId,
    ) -> Result<u64, StorageError> {
        let key = row_key(tenant, Space::MARKS, &[FLOOR_KEY]);
        let Some(value) = self.state.get(&key)? else {
            return Ok(0);
        };
        let plain = row::open(&self.keyring, tenant, Purpose::Values, &key, &value)?;
        let floor = plain
            .and_then(|plain| plain.try_into().ok())
            .map(u64::from_be_bytes);
        floor.ok_or_else(|| StorageError::corrupt("the note about the swept tail"))
    }
}
