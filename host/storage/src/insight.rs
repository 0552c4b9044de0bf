//! What the host may know of transactions and rows beyond what a plugin's own calls ask for.

use std::collections::BTreeSet;
use std::ops::Bound;

use vaxel_core::{TenantId, UnixMs, UserId};
use vaxel_crypto::{ErasureKey, Keyring, Purpose};

use crate::key::{prefix_end, row_key, within_space};
use crate::transaction::Write;
use crate::{AudienceId, Event, Space, Stamp, Storage, StorageError, Transaction, row};

/// Members and events that one transaction takes away.
const FORGOTTEN_MAX: usize = 300;

/// A stored value, and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The value itself.
    pub value: Vec<u8>,
    /// What erases it.
    pub erasure: ErasureKey,
    /// Until when it is there, if not for good.
    pub until: Option<UnixMs>,
}

impl Transaction {
    /// What it publishes durably, in order: the stamp of each has its place here as ordinal.
    pub fn published(&self) -> impl Iterator<Item = (AudienceId, &str)> {
        let events = self.events.iter();
        events.map(|event| (event.audience, &*event.topic))
    }

    /// What is stored under a key as far as it is applied, whatever this transaction read or wrote. The commit does not
    /// depend on it: for looks at what many change at once.
    pub fn peek(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let key = row_key(self.tenant.id, space, &[key]);
        let Some(value) = self.shared.state.get(&key)? else {
            return Ok(None);
        };
        let keyring = &self.shared.keyring;
        row::open(keyring, self.tenant.id, Purpose::Values, &key, &value)
    }

    /// The audiences that it makes somebody a member of.
    pub fn joined(&self) -> BTreeSet<AudienceId> {
        let joins = self.members.iter().filter(|(_, is_member)| **is_member);
        joins.map(|((audience, _), _)| *audience).collect()
    }

    /// What is stored under a key, whatever this transaction writes there, with all that is needed to store it again.
    pub fn stored(&mut self, space: Space, key: &[u8]) -> Result<Option<Stored>, StorageError> {
        let own = row_key(self.tenant.id, space, &[key]);
        let written = self.writes.remove(&own);
        let value = self.get(space, key);
        if let Some(written) = written {
            self.writes.insert(own.clone(), written);
        }
        let (Some(value), Some(row)) = (value?, self.shared.state.get(&own)?) else {
            return Ok(None);
        };
        let (header, sealed) = row::parse(&row)?;
        if header.seq > self.start {
            return Err(StorageError::Stale);
        }
        Ok(Some(Stored {
            value,
            erasure: Keyring::sealed_under(sealed).map_err(StorageError::Key)?,
            until: header.until(),
        }))
    }

    /// Takes members from an audience and deletes its events, as many as this transaction holds; whether there may be
    /// more.
    pub fn forget_audience(&mut self, audience: AudienceId) -> Result<bool, StorageError> {
        let tenant = self.tenant.id;
        let (mut members, mut events) = (Vec::new(), Vec::new());
        for (found, space) in [(&mut members, Space::MEMBERS), (&mut events, Space::TAIL)] {
            let prefix = row_key(tenant, space, &[&audience.0]);
            let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
            let rows = self.shared.state.range(&(Bound::Included(prefix), end));
            for row in rows.take(FORGOTTEN_MAX) {
                found.push(row?.0.to_vec());
            }
        }
        let is_more = members.len().max(events.len()) == FORGOTTEN_MAX;
        self.ops += 2 * members.len() + events.len();
        for key in members {
            let user = key.last_chunk::<16>();
            let user = user.ok_or_else(|| StorageError::corrupt("a membership's key"))?;
            let member = (audience, UserId::from_bytes(*user));
            self.members.insert(member, false);
        }
        let gone = events.into_iter().map(|key| (key, Write::Delete));
        self.writes.extend(gone);
        Ok(is_more)
    }

    /// Deletes what lies under a prefix, what expired or cannot be read any more too, as much as this transaction holds;
    /// whether there may be more.
    pub fn clear(&mut self, space: Space, prefix: &[u8], max: usize) -> Result<bool, StorageError> {
        let prefix = row_key(self.tenant.id, space, &[prefix]);
        let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.shared.state.range(&(Bound::Included(prefix), end));
        let mut count = 0;
        for row in rows.take(max) {
            self.writes.insert(row?.0.to_vec(), Write::Delete);
            count += 1;
        }
        self.ops += count;
        Ok(count == max)
    }

    /// The keys that it changes in a collection, appends aside.
    pub fn changed(&self, space: Space) -> Vec<Vec<u8>> {
        let first = row_key(self.tenant.id, space, &[]);
        let own = self.writes.range(first.clone()..);
        own.take_while(|(key, _)| key.starts_with(&first))
            .map(|(key, _)| within_space(key).to_vec())
            .collect()
    }
}

impl Storage {
    /// An event of the tail, and when it was published; none where it was swept or erased.
    pub fn event(
        &self,
        tenant: TenantId,
        audience: AudienceId,
        stamp: Stamp,
    ) -> Result<Option<(Event, UnixMs)>, StorageError> {
        self.shared().event(tenant, audience, stamp)
    }

    /// All tenants that ever committed.
    pub fn tenants(&self) -> Vec<TenantId> {
        let tenants = self.shared().tenants.all();
        tenants.iter().map(|tenant| tenant.id).collect()
    }
}
