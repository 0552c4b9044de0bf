//! A storage in a temporary directory, with a clock that stands still and alarms that are remembered.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

pub mod forgetful;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use vaxel_core::{AlarmLevel, Alarms, SimClock, TenantId, UnixMs, UserId};
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_storage::{Space, Storage, StorageConfig, StorageError};

pub const SPACE: Space = Space::host(0x7f);
pub const T1: TenantId = TenantId::from_u128(0x1111);
pub const T2: TenantId = TenantId::from_u128(0x2222);

#[derive(Default)]
pub struct Heard(pub Mutex<Vec<(&'static str, String)>>);

impl Alarms for Heard {
    fn raise(&self, _: AlarmLevel, code: &'static str, detail: &str) {
        self.0.lock().push((code, detail.to_owned()));
    }
}

impl Heard {
    pub fn has(&self, code: &str) -> bool {
        self.0.lock().iter().any(|(heard, _)| *heard == code)
    }
}

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub clock: Arc<SimClock>,
    pub alarms: Arc<Heard>,
    pub keyring: Arc<Keyring>,
}

impl Rig {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keyring = keyring(&dir.path().join("keys"));
        Self {
            dir,
            clock: Arc::new(SimClock::at(UnixMs(1_700_000_000_000))),
            alarms: Arc::default(),
            keyring,
        }
    }

    pub fn config(&self) -> StorageConfig {
        let mut config = StorageConfig::new(self.dir.path().join("data"));
        config.segment_bytes = 1 << 20;
        config.free_bytes_min = 0;
        config.cache_bytes = 16 << 20;
        config
    }

    pub fn try_open(&self, config: StorageConfig) -> Result<Storage, StorageError> {
        Storage::open(
            config,
            Arc::clone(&self.keyring),
            Arc::clone(&self.clock) as _,
            Arc::clone(&self.alarms) as _,
        )
    }

    pub fn open(&self) -> Storage {
        self.try_open(self.config()).unwrap()
    }
}

/// The keys of two tenants under a master key that is the same in every run.
pub fn keyring(dir: &Path) -> Arc<Keyring> {
    let master =
        MasterKey::from_recovery_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let keyring = Keyring::open(dir, master).unwrap();
    for tenant in [T1, T2] {
        keyring.create_tenant(tenant).unwrap();
    }
    Arc::new(keyring)
}

pub fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

/// A generator of numbers that only look random: a failing seed can be run again.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
