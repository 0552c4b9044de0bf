//! The one place that touches storage: collections, row formats, and running a transaction until it commits.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vaxel_core::{TenantId, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, Storage, Transaction};

use crate::IdentityError;

/// Tenants, by id; in the system tenant.
pub(crate) const TENANTS: Space = Space::host(0x10);
/// Blinded host name or slug to tenant; in the system tenant.
pub(crate) const TENANT_NAMES: Space = Space::host(0x11);
/// Signing keys, by age; in the system tenant.
pub(crate) const SIGNING_KEYS: Space = Space::host(0x12);
/// PINs and proofs of step-up, by blinded scope and token.
pub(crate) const STEP_UP: Space = Space::host(0x13);
/// Users, by id.
pub(crate) const USERS: Space = Space::host(0x14);
/// Blinded login to user.
pub(crate) const LOGINS: Space = Space::host(0x15);
/// Password hashes, by user.
pub(crate) const PASSWORDS: Space = Space::host(0x16);
/// Active administrators, by user: tells the last one without reading everybody.
pub(crate) const ADMINS: Space = Space::host(0x17);
/// Login sessions, by user and session.
pub(crate) const SESSIONS: Space = Space::host(0x18);
/// Ended sessions whose access tokens may still be around, by time and session.
pub(crate) const REVOKED: Space = Space::host(0x19);
/// One-time links, by blinded token.
pub(crate) const LINKS: Space = Space::host(0x1a);
/// The one open link of a user, by user.
pub(crate) const LINK_OF: Space = Space::host(0x1b);
/// Attempts, by blinded who.
pub(crate) const ATTEMPTS: Space = Space::host(0x1c);
/// Groups, by id.
pub(crate) const GROUPS: Space = Space::host(0x1d);
/// Members of groups, by group and user.
pub(crate) const MEMBERS: Space = Space::host(0x1e);
/// Groups of users, by user and group.
pub(crate) const MEMBERSHIPS: Space = Space::host(0x1f);
/// Roles, by id.
pub(crate) const ROLES: Space = Space::host(0x25);
/// Who holds a role, by role and holder.
pub(crate) const HOLDERS: Space = Space::host(0x26);
/// Which roles somebody holds, by holder and role.
pub(crate) const HOLDINGS: Space = Space::host(0x27);
/// Counts what changes permissions: roles, who holds them, who is in a group.
pub(crate) const ROLES_VERSION: Space = Space::host(0x28);
/// What administrators did and who was refused, in commit order.
pub(crate) const AUDIT: Space = Space::host(0x20);
/// The chain over the audit, by the keys of its entries.
pub(crate) const AUDIT_LINKS: Space = Space::host(0x21);
/// How far the chain has come.
pub(crate) const AUDIT_TIP: Space = Space::host(0x22);
/// Signed ends of the chain, by number of entries.
pub(crate) const AUDIT_HEADS: Space = Space::host(0x23);
/// The key that signs them, sealed once more; in the system tenant.
pub(crate) const AUDIT_KEY: Space = Space::host(0x24);

/// Acts that wait for a second administrator, by id.
pub(crate) const APPROVALS: Space = Space::host(0x2e);
/// Whether some acts take two administrators.
pub(crate) const FOUR_EYES: Space = Space::host(0x2f);

/// How often a transaction that met a conflict is run again. Those here are short and touch one person.
const RERUNS_MAX: u32 = 12;

/// The waits before the runs double up to 2 to this power, in ms: about as long as a slow disk syncs.
const RERUN_WAIT_EXPONENT_MAX: u32 = 6;

/// Stands in front of every row.
const FORMAT: u8 = 1;

/// Rows of one page when something is read whole.
pub(crate) const PAGE: usize = 500;

/// The key of a pair of ids: everything of the first lies together.
pub(crate) fn pair(first: [u8; 16], second: [u8; 16]) -> Vec<u8> {
    [first, second].concat()
}

/// The key that erases a person.
pub(crate) const fn erasure_of(user: UserId) -> ErasureKey {
    ErasureKey::named(user.as_u128())
}

fn encode<T: Serialize>(row: &T, what: &'static str) -> Result<Vec<u8>, IdentityError> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, row).map_err(|_| IdentityError::Damaged { what })?;
    Ok(bytes)
}

/// A row as it was written; an unknown format is refused.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    what: &'static str,
) -> Result<T, IdentityError> {
    match bytes.split_first() {
        Some((&FORMAT, json)) => {
            serde_json::from_slice(json).map_err(|_| IdentityError::Damaged { what })
        }
        _ => Err(IdentityError::Damaged { what }),
    }
}

/// A row that identity stores: which collection, and its name in errors.
pub(crate) trait Row: Serialize + DeserializeOwned {
    const SPACE: Space;
    const WHAT: &'static str;
}

/// Storage as identity sees it.
#[derive(Clone)]
pub(crate) struct Store(Storage);

impl Store {
    pub(crate) const fn new(storage: Storage) -> Self {
        Self(storage)
    }

    /// A look at the state without a commit: good for what is read once and shown.
    pub(crate) fn look<T>(
        &self,
        tenant: TenantId,
        read: impl Fn(&mut Tx) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        let mut reruns = 0;
        loop {
            match read(&mut Tx(self.0.begin(tenant))) {
                Err(error) if error.is_conflict() && reruns < RERUNS_MAX => reruns += 1,
                done => return done,
            }
        }
    }

    /// As [`Self::change`], also while the disk counts as full: for small changes that security hangs on.
    pub(crate) async fn change_in_reserve<T>(
        &self,
        tenant: TenantId,
        mut work: impl FnMut(&mut Tx) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        self.change(tenant, |tx| {
            tx.use_reserve();
            work(tx)
        })
        .await
    }

    /// Runs `work` as one transaction of its own. Durable when it returns.
    ///
    /// What `work` answers with `Ok` is committed, refusals that must be counted among it; `Err` leaves nothing behind.
    pub(crate) async fn change<T>(
        &self,
        tenant: TenantId,
        mut work: impl FnMut(&mut Tx) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        let mut reruns = 0;
        loop {
            let mut tx = Tx(self.0.begin(tenant));
            let outcome = match work(&mut tx) {
                Ok(value) => self.0.commit(tx.0).await.map(|_| value).map_err(Into::into),
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_conflict() && reruns < RERUNS_MAX => {
                    reruns += 1;
                    // What it met becomes readable once it is on the disk: running again at once meets it again.
                    let wait_ms = 1_u64 << reruns.min(RERUN_WAIT_EXPONENT_MAX);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
                done => return done,
            }
        }
    }
}

/// Keys and values.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// One transaction.
pub(crate) struct Tx(Transaction);

impl Tx {
    /// For signing in and out, counting attempts and writing down refusals: these go on while the disk counts as full.
    pub(crate) fn use_reserve(&mut self) {
        self.0.use_reserve();
    }

    pub(crate) fn get_raw(
        &mut self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, IdentityError> {
        Ok(self.0.get(space, key)?)
    }

    pub(crate) fn put_raw(
        &mut self,
        space: Space,
        key: &[u8],
        value: Vec<u8>,
        erasure: ErasureKey,
    ) -> Result<(), IdentityError> {
        self.0.put(space, key, value, erasure)?;
        Ok(())
    }

    pub(crate) fn get<R: Row>(&mut self, key: &[u8]) -> Result<Option<R>, IdentityError> {
        match self.0.get(R::SPACE, key)? {
            Some(bytes) => decode(&bytes, R::WHAT).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn put<R: Row>(
        &mut self,
        key: &[u8],
        row: &R,
        erasure: ErasureKey,
    ) -> Result<(), IdentityError> {
        self.0.put(R::SPACE, key, encode(row, R::WHAT)?, erasure)?;
        Ok(())
    }

    pub(crate) fn delete(&mut self, space: Space, key: &[u8]) -> Result<(), IdentityError> {
        self.0.delete(space, key)?;
        Ok(())
    }

    pub(crate) fn append<R: Row>(&mut self, row: &R) -> Result<(), IdentityError> {
        self.0.append(
            R::SPACE,
            b"",
            encode(row, R::WHAT)?,
            None,
            ErasureKey::TENANT,
        )?;
        Ok(())
    }

    /// One page of keys and values, and where the next begins.
    pub(crate) fn page(
        &mut self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<(Rows, Option<Vec<u8>>), IdentityError> {
        let page = self.0.scan(space, prefix, after, limit, order)?;
        Ok((page.entries, page.next))
    }

    /// All rows under a prefix; for collections whose size has a named maximum.
    pub(crate) fn all(&mut self, space: Space, prefix: &[u8]) -> Result<Rows, IdentityError> {
        let mut rows = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let (entries, next) =
                self.page(space, prefix, after.as_deref(), PAGE, Order::Ascending)?;
            rows.extend(entries);
            match next {
                Some(key) => after = Some(key),
                None => return Ok(rows),
            }
        }
    }
}
