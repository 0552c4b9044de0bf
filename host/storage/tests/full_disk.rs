//! Full and failing disks: what is refused, what goes on, and what is never acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Rig, SPACE, T1, user};
use vaxel_core::TenantId;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{
    Disk, LogFile, RealDisk, Space, Storage, StorageConfig, StorageError, Transaction,
};

const KEY: ErasureKey = ErasureKey::TENANT;
/// Below this much free space writes are refused.
const FREE_MIN: u64 = 1 << 20;

async fn put(
    storage: &Storage,
    tenant: TenantId,
    key: &[u8],
    value: &[u8],
) -> Result<u64, StorageError> {
    let mut tx = storage.begin(tenant);
    tx.put(SPACE, key, value.to_vec(), KEY).unwrap();
    storage.commit(tx).await.map(|commit| commit.seq)
}

fn get(storage: &Storage, tenant: TenantId, key: &[u8]) -> Option<Vec<u8>> {
    storage.begin(tenant).get(SPACE, key).unwrap()
}

/// A disk whose free space and failures are told to it.
struct Moody {
    free: AtomicU64,
    fails: Arc<AtomicBool>,
}

struct MoodyFile {
    inner: Box<dyn LogFile>,
    fails: Arc<AtomicBool>,
}

impl LogFile for MoodyFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is on fire"));
        }
        self.inner.sync()
    }
}

impl Disk for Moody {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let inner = RealDisk.create(path)?;
        Ok(Box::new(MoodyFile {
            inner,
            fails: Arc::clone(&self.fails),
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let inner = RealDisk.open(path)?;
        Ok(Box::new(MoodyFile {
            inner,
            fails: Arc::clone(&self.fails),
        }))
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::SeqCst))
    }
}

fn moody(rig: &Rig) -> (Arc<Moody>, StorageConfig) {
    let disk = Arc::new(Moody {
        free: AtomicU64::new(1 << 40),
        fails: Arc::default(),
    });
    let mut config = rig.config();
    config.disk = Arc::clone(&disk) as _;
    config.free_bytes_min = FREE_MIN;
    (disk, config)
}

/// The disk has so little space left, and storage has noticed.
async fn fill(disk: &Moody, storage: &Storage, free: u64) {
    disk.free.store(free, Ordering::SeqCst);
    while !storage.is_disk_low() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_full_disk_stops_writes_until_there_is_space_again() {
    let rig = Rig::new();
    let (disk, config) = moody(&rig);
    let storage = rig.try_open(config).unwrap();
    put(&storage, T1, b"a", b"1").await.unwrap();
    fill(&disk, &storage, 1_000).await;
    assert!(matches!(
        put(&storage, T1, b"a", b"2").await,
        Err(StorageError::DiskFull)
    ));
    assert!(rig.alarms.has("storage.disk_full"));
    assert_eq!(get(&storage, T1, b"a").unwrap(), b"1");
    let reader = storage.begin(T1);
    storage.commit(reader).await.unwrap();
    disk.free.store(1 << 40, Ordering::SeqCst);
    put(&storage, T1, b"a", b"3").await.unwrap();
    assert!(rig.alarms.has("storage.disk_back"));
    storage.verify_chain().unwrap();
}

#[tokio::test]
async fn the_real_free_space_is_asked_for() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.free_bytes_min = u64::MAX;
    let storage = rig.try_open(config).unwrap();
    assert!(matches!(
        put(&storage, T1, b"a", b"1").await,
        Err(StorageError::DiskFull)
    ));
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let rig = Rig::new();
    let (disk, config) = moody(&rig);
    let storage = rig.try_open(config).unwrap();
    put(&storage, T1, b"a", b"1").await.unwrap();
    disk.fails.store(true, Ordering::SeqCst);
    assert!(matches!(
        put(&storage, T1, b"a", b"2").await,
        Err(StorageError::ReadOnly)
    ));
    assert!(rig.alarms.has("storage.read_only"));
    // Also when the disk pretends to be well again.
    disk.fails.store(false, Ordering::SeqCst);
    assert!(matches!(
        put(&storage, T1, b"a", b"3").await,
        Err(StorageError::ReadOnly)
    ));
    assert!(storage.is_read_only());
    assert_eq!(get(&storage, T1, b"a").unwrap(), b"1");
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    // What was refused may have reached the disk whole or not at all.
    let found = get(&storage, T1, b"a").unwrap();
    assert!(found == b"1" || found == b"2");
    storage.verify_chain().unwrap();
    put(&storage, T1, b"a", b"4").await.unwrap();
}

/// Commits what `fill` writes, at the cost of the reserve.
async fn at_need(
    storage: &Storage,
    fill: impl FnOnce(&mut Transaction),
) -> Result<(), StorageError> {
    let mut tx = storage.begin(T1);
    tx.use_reserve();
    fill(&mut tx);
    storage.commit(tx).await.map(|_| ())
}

#[tokio::test]
async fn small_host_writes_go_on_in_the_reserve_and_end_at_its_floor() {
    let rig = Rig::new();
    let (disk, config) = moody(&rig);
    let storage = rig.try_open(config).unwrap();
    let small = |tx: &mut Transaction| tx.put(SPACE, b"a", vec![1; 100], KEY).unwrap();
    for free in [FREE_MIN - 1, FREE_MIN / 4] {
        fill(&disk, &storage, free).await;
        at_need(&storage, small).await.unwrap();
        assert!(matches!(
            put(&storage, T1, b"a", b"2").await,
            Err(StorageError::DiskFull)
        ));
    }
    assert_eq!(get(&storage, T1, b"a").unwrap(), vec![1; 100]);

    let plugin = Space::plugin(&"chat".parse().unwrap());
    let others: [fn(&mut Transaction, Space); 6] = [
        |tx, plugin| tx.put(plugin, b"a", vec![1], KEY).unwrap(),
        |tx, plugin| tx.delete(plugin, b"a").unwrap(),
        |tx, plugin| tx.append(plugin, b"a", vec![1], None, KEY).unwrap(),
        |tx, _| tx.join(SPACE, "c/1", user(1)).unwrap(),
        |tx, _| tx.publish(SPACE, "c/1", "test.said", vec![1], KEY).unwrap(),
        |tx, _| tx.put(SPACE, b"b", vec![1; 70_000], KEY).unwrap(),
    ];
    for other in others {
        let refused = at_need(&storage, |tx| {
            small(tx);
            other(tx, plugin);
        });
        assert!(matches!(refused.await, Err(StorageError::DiskFull)));
    }

    fill(&disk, &storage, FREE_MIN / 4 - 1).await;
    assert!(matches!(
        at_need(&storage, small).await,
        Err(StorageError::DiskFull)
    ));
    disk.free.store(1 << 40, Ordering::SeqCst);
    put(&storage, T1, b"a", b"3").await.unwrap();
    storage.verify_chain().unwrap();
}

#[tokio::test]
async fn a_full_tenant_still_takes_what_may_use_the_reserve() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.quota_bytes_per_tenant = 10_000;
    let storage = rig.try_open(config).unwrap();
    put(&storage, T1, b"a", &[1; 9_000]).await.unwrap();
    let more = |tx: &mut Transaction| tx.put(SPACE, b"b", vec![1; 9_000], KEY).unwrap();
    assert!(matches!(
        put(&storage, T1, b"b", &[1; 9_000]).await,
        Err(StorageError::Quota)
    ));
    at_need(&storage, more).await.unwrap();
    assert!(matches!(
        put(&storage, T1, b"c", b"1").await,
        Err(StorageError::Quota)
    ));
}

#[tokio::test]
async fn no_snapshot_is_begun_that_would_fill_the_disk() {
    let rig = Rig::new();
    let (disk, config) = moody(&rig);
    let storage = rig.try_open(config).unwrap();
    for n in 0..20_u8 {
        put(&storage, T1, &[n], &[n; 20_000]).await.unwrap();
    }
    disk.free.store(FREE_MIN + 300_000, Ordering::SeqCst);
    assert!(matches!(storage.snapshot(), Err(StorageError::DiskFull)));
    assert!(rig.alarms.has("storage.snapshot_postponed"));
    put(&storage, T1, b"a", b"1").await.unwrap();
    disk.free.store(FREE_MIN + 500_000, Ordering::SeqCst);
    storage.snapshot().unwrap();
}
