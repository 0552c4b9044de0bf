//! What the host may know of transactions and rows beyond what a plugin's own calls ask for.

use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::Purpose;

use crate::key::{row_key, within_space};
use crate::{AudienceId, Event, Space, Stamp, Storage, StorageError, Transaction, row};

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
