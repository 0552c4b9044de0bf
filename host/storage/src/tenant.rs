//! What storage holds in memory about each tenant.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};
use vaxel_core::{TenantId, UnixMs};

use crate::StorageError;
use crate::codec::Reader;
use crate::record::Chain;
use crate::window::Window;

/// Where a tenant's history stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last commit's number, 0 before the first.
    pub(crate) seq: u64,
    /// Its time.
    pub(crate) at: UnixMs,
    /// The bytes that the tenant's rows take.
    pub(crate) usage: u64,
    /// The hash over all its records.
    pub(crate) chain: Chain,
}

const HEAD_FORMAT: u8 = 1;

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + 3 * 8 + 32);
        bytes.push(HEAD_FORMAT);
        bytes.extend_from_slice(&self.seq.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        bytes.extend_from_slice(&self.usage.to_be_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let mut reader = Reader(bytes);
        match reader.u8() {
            Some(HEAD_FORMAT) => {}
            found => {
                let found = found.unwrap_or_default().into();
                return Err(StorageError::UnknownFormat {
                    what: "tenant's head",
                    found,
                });
            }
        }
        let mut head = || {
            Some(Self {
                seq: reader.u64()?,
                at: UnixMs(reader.u64()?),
                usage: reader.u64()?,
                chain: reader.array()?,
            })
        };
        head().ok_or_else(|| StorageError::corrupt("a tenant's head"))
    }
}

/// A tenant's committer and what its readers need.
pub(crate) struct Tenant {
    pub(crate) id: TenantId,
    /// The last commit that the state holds.
    pub(crate) applied: AtomicU64,
    /// Events up to this commit may have been swept.
    pub(crate) tail_floor: AtomicU64,
    /// Held while a commit is validated, numbered, sealed and queued: this is what orders them.
    pub(crate) committer: Mutex<Head>,
    /// Taken inside the committer's lock, or alone by readers.
    pub(crate) window: Mutex<Window>,
}

impl Tenant {
    pub(crate) fn new(id: TenantId, head: Head, tail_floor: u64) -> Self {
        Self {
            id,
            applied: AtomicU64::new(head.seq),
            tail_floor: AtomicU64::new(tail_floor),
            committer: Mutex::new(head),
            window: Mutex::new(Window::starting_at(head.seq)),
        }
    }
}

/// All tenants seen so far.
#[derive(Default)]
pub(crate) struct Tenants(RwLock<HashMap<TenantId, Arc<Tenant>>>);

impl Tenants {
    pub(crate) fn insert(&self, tenant: Tenant) {
        self.0.write().insert(tenant.id, Arc::new(tenant));
    }

    /// The tenant; an unknown one is one without commits.
    pub(crate) fn get(&self, id: TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.0.read().get(&id) {
            return Arc::clone(tenant);
        }
        let mut all = self.0.write();
        let tenant = all
            .entry(id)
            .or_insert_with(|| Arc::new(Tenant::new(id, Head::default(), 0)));
        Arc::clone(tenant)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        self.0.read().values().map(Arc::clone).collect()
    }
}
