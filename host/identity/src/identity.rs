//! The whole of identity in one cheap handle: what it holds, how it opens, how its work outlives its caller.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use arc_swap::ArcSwap;
use quick_cache::sync::Cache;
use vaxel_core::{Clock, Locale, RequestId, TenantId, UnixMs, UserId};
use vaxel_crypto::Keyring;
use vaxel_storage::Storage;

use crate::directory::Directory;
use crate::keys::SigningKeys;
use crate::password::Hasher;
use crate::revocation::Revocations;
use crate::store::Store;
use crate::throttle::Turns;
use crate::token::Claims;
use crate::{IdentityConfig, IdentityError};

/// What somebody may do by their roles, and the version of all roles that this was read from.
pub(crate) type VersionedPermissions = (u64, Arc<BTreeSet<String>>);

/// Who is who. Clones share everything.
#[derive(Clone)]
pub struct Identity {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: IdentityConfig,
    pub(crate) directory: ArcSwap<Directory>,
    pub(crate) keys: ArcSwap<SigningKeys>,
    /// Tokens by their SHA-256 whose signature was found good.
    pub(crate) verified: Cache<[u8; 32], Arc<Claims>>,
    /// The languages of people who called lately: asked for with every call.
    pub(crate) locales: Cache<(TenantId, UserId), Locale>,
    /// What people who called lately may do by their roles, as of a version of all roles.
    pub(crate) permissions: Cache<(TenantId, UserId), VersionedPermissions>,
    pub(crate) revocations: Revocations,
    pub(crate) hasher: Hasher,
    /// Who waits for whom when attempts are counted.
    pub(crate) turns: Turns,
    /// Refusals that were written down lately, so that repeating one does not fill the disk.
    pub(crate) refusals: Cache<u64, (UnixMs, RequestId)>,
    /// One change of tenants or signing keys at a time: the copy in memory follows the stored one.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

/// Different refusals that are remembered as written down.
const REFUSALS_MAX: usize = 4_096;

impl Identity {
    /// Reads tenants, signing keys and revocations; makes the first signing keys.
    pub async fn open(
        storage: Storage,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        config: IdentityConfig,
    ) -> Result<Self, IdentityError> {
        let keys = Arc::clone(&keyring);
        blocking(move || keys.create_tenant(TenantId::SYSTEM).map_err(Into::into)).await?;
        let store = Store::new(storage);
        let directory = Directory::load(&store)?;
        let keys = SigningKeys::open(&store, &keyring, clock.now()).await?;
        let revocations = Revocations::load(&store, directory.ids(), clock.now())?;
        Ok(Self {
            inner: Arc::new(Inner {
                hasher: Hasher::new(&config),
                verified: Cache::new(config.verified_tokens_max),
                locales: Cache::new(config.verified_tokens_max),
                permissions: Cache::new(config.verified_tokens_max),
                turns: Turns::default(),
                refusals: Cache::new(REFUSALS_MAX),
                changing: tokio::sync::Mutex::new(()),
                directory: ArcSwap::from_pointee(directory),
                keys: ArcSwap::from_pointee(keys),
                store,
                keyring,
                clock,
                config,
                revocations,
            }),
        })
    }

    /// Removes what has outlived its use in every tenant: counts of attempts, revocations. Lets the next signing key
    /// take its turn when the present one is old. Call it hourly; answers how many rows went.
    pub async fn sweep(&self) -> Result<usize, IdentityError> {
        if self.rotate_old_signing_key().await? {
            tracing::info!("access tokens are signed with the next key from now on");
        }
        let mut swept = 0;
        for tenant in self.tenants() {
            swept += self.sweep_attempts(tenant.id).await?;
            swept += self.sweep_revocations(tenant.id).await?;
            swept += self.sweep_proofs(tenant.id).await?;
            swept += self.sweep_eid_counts(tenant.id).await?;
        }
        Ok(swept)
    }

    pub(crate) fn now(&self) -> UnixMs {
        self.inner.clock.now()
    }

    /// Runs `work` to its end even if whoever asked goes away: between a commit and what follows it in memory,
    /// nobody may leave.
    pub(crate) async fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, IdentityError>> + Send + 'static,
    ) -> Result<T, IdentityError> {
        tokio::spawn(work).await.map_err(|_| IdentityError::Fault {
            what: "a task of identity",
        })?
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// Runs what waits for the disk or works long on a thread where that is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, IdentityError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| IdentityError::Fault {
            what: "a blocking task of identity",
        })?
}
