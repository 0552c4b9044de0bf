//! A house with real storage in a directory of its own, a clock that obeys, and people in it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses some of it"
)]

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use vaxel_core::{
    Actor, Clock, Locale, LogAlarms, OpCx, RequestId, SimClock, TenantId, UnixMs, UserId,
};
use vaxel_crypto::password::Cost;
use vaxel_crypto::{Keyring, MasterKey, Secret};
use vaxel_identity::{Identity, IdentityConfig, IdentityError, NewTenant, NewUser, SignedIn, User};
use vaxel_storage::{Disk, LogFile, RealDisk, Storage, StorageConfig};

pub const PASSWORD: &str = "rätt häst batteri";
pub const DAY_MS: u64 = 86_400_000;

pub struct House {
    pub dir: tempfile::TempDir,
    pub clock: Arc<SimClock>,
    pub disk: Arc<Roomy>,
    master: MasterKey,
    storage: Option<Storage>,
    pub identity: Identity,
}

impl House {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let master = MasterKey::generate();
        let disk = Arc::new(Roomy(AtomicU64::new(u64::MAX)));
        let (storage, identity) = open(dir.path(), &master, &clock, &disk).await;
        Self {
            dir,
            clock,
            disk,
            master,
            storage: Some(storage),
            identity,
        }
    }

    /// Stops everything and starts again on the same directory.
    pub async fn restart(self) -> Self {
        let Self {
            dir,
            clock,
            disk,
            master,
            storage,
            identity,
        } = self;
        drop(identity);
        storage.unwrap().close().await;
        let (storage, identity) = open(dir.path(), &master, &clock, &disk).await;
        Self {
            dir,
            clock,
            disk,
            master,
            storage: Some(storage),
            identity,
        }
    }

    /// The disk has so little space left, and storage has noticed.
    pub async fn fill_disk(&self, free: u64) {
        self.disk.0.store(free, Ordering::SeqCst);
        while !self.storage().is_disk_low() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What lies under the identity, for who tampers with it.
    pub fn storage(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }

    pub async fn close(self) -> tempfile::TempDir {
        drop(self.identity);
        self.storage.unwrap().close().await;
        self.dir
    }

    pub async fn tenant(&self, slug: &str) -> TenantId {
        let new = NewTenant {
            slug: slug.to_owned(),
            name: format!("{slug} AB"),
            hosts: vec![format!("{slug}.example")],
            locale: Locale::Sv,
        };
        self.identity.create_tenant(new).await.unwrap().id
    }

    pub async fn user(&self, tenant: TenantId, login: &str, admin: bool) -> User {
        let new = NewUser {
            password: Some(secret(PASSWORD)),
            admin,
            ..somebody(login)
        };
        self.identity.create_user(tenant, new).await.unwrap()
    }

    pub async fn login(&self, tenant: TenantId, login: &str) -> SignedIn {
        self.login_with(tenant, login, PASSWORD, "192.0.2.1")
            .await
            .unwrap()
    }

    pub async fn login_with(
        &self,
        tenant: TenantId,
        login: &str,
        password: &str,
        address: &str,
    ) -> Result<SignedIn, IdentityError> {
        let address: IpAddr = address.parse().unwrap();
        self.identity
            .login(tenant, login, secret(password), "test device", address)
            .await
    }

    pub fn cx(&self, tenant: TenantId, user: UserId) -> OpCx {
        let now = self.clock.now();
        let (request, locale) = (RequestId::new(now), Locale::Sv);
        OpCx {
            tenant,
            actor: Actor::User(user),
            now,
            request,
            locale,
        }
    }
}

/// A disk that says how much space it has left.
pub struct Roomy(pub AtomicU64);

impl Disk for Roomy {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        RealDisk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        RealDisk.open(path)
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

/// Below this much free space ordinary writes are refused.
pub const FREE_MIN: u64 = 1 << 20;

async fn open(
    dir: &Path,
    master: &MasterKey,
    clock: &Arc<SimClock>,
    disk: &Arc<Roomy>,
) -> (Storage, Identity) {
    let mut config = StorageConfig::new(dir);
    config.segment_bytes = 4 << 20;
    config.free_bytes_min = FREE_MIN;
    config.disk = Arc::clone(disk) as _;
    config.cache_bytes = 8 << 20;
    let keyring = Arc::new(Keyring::open(&dir.join("keys"), master.clone()).unwrap());
    let shared: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let storage = Storage::open(
        config,
        Arc::clone(&keyring),
        Arc::clone(&shared),
        Arc::new(LogAlarms),
    )
    .unwrap();
    let config = IdentityConfig {
        password_cost: Cost::CHEAP,
        ..IdentityConfig::default()
    };
    let identity = Identity::open(storage.clone(), keyring, shared, config)
        .await
        .unwrap();
    (storage, identity)
}

pub fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub fn somebody(login: &str) -> NewUser {
    NewUser {
        login: login.to_owned(),
        display_name: format!("{login} Andersson"),
        email: None,
        password: None,
        admin: false,
        locale: Locale::Sv,
    }
}
