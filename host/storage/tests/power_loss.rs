//! Power cuts: what was not synced is gone, or not, page by page; what was acknowledged is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod common;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Dice, Rig, SPACE, T1, T2};
use parking_lot::Mutex;
use vaxel_core::TenantId;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Disk, LogFile, Order, RealDisk, Storage, StorageError};

const KEY: ErasureKey = ErasureKey::TENANT;
/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// What the sectors held that are written and not synced.
type Unsynced = Arc<Mutex<HashMap<(PathBuf, u64), Vec<u8>>>>;

/// A disk that remembers what a power cut may take back.
struct Forgetful {
    unsynced: Unsynced,
    /// How many syncs go well before the power fails, in the middle of one.
    syncs_left: Arc<AtomicI64>,
}

struct ForgetfulFile {
    path: PathBuf,
    file: File,
    unsynced: Unsynced,
    syncs_left: Arc<AtomicI64>,
}

impl ForgetfulFile {
    fn check_power(&self) -> io::Result<()> {
        if self.syncs_left.load(Ordering::SeqCst) <= 0 {
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }
}

impl LogFile for ForgetfulFile {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_power()?;
        let mut unsynced = self.unsynced.lock();
        for sector in offset / SECTOR..=(offset + bytes.len() as u64 - 1) / SECTOR {
            unsynced
                .entry((self.path.clone(), sector))
                .or_insert_with(|| {
                    let mut old = vec![0; SECTOR as usize];
                    let _ = self.file.read_at(&mut old, sector * SECTOR);
                    old
                });
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.check_power()?;
        if self.syncs_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            return Err(io::Error::other("the power fails"));
        }
        self.unsynced
            .lock()
            .retain(|(path, _), _| *path != self.path);
        Ok(())
    }
}

impl Forgetful {
    fn file(&self, path: &Path, options: &mut OpenOptions) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(ForgetfulFile {
            path: path.to_owned(),
            file: options.read(true).write(true).open(path)?,
            unsynced: Arc::clone(&self.unsynced),
            syncs_left: Arc::clone(&self.syncs_left),
        }))
    }

    /// Takes back what was never synced, each sector by chance.
    fn cut_power(&self, dice: &mut Dice) {
        for ((path, sector), old) in self.unsynced.lock().drain() {
            if dice.roll(2) == 0
                && let Ok(file) = OpenOptions::new().write(true).open(path)
            {
                file.write_all_at(&old, sector * SECTOR).unwrap();
            }
        }
    }
}

impl Disk for Forgetful {
    fn create(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.file(path, OpenOptions::new().create(true).truncate(true))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.file(path, &mut OpenOptions::new())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// One transaction of three rows that belong together, and a counter of all.
async fn commit(
    storage: &Storage,
    tenant: TenantId,
    id: u64,
    len: usize,
) -> Result<(), StorageError> {
    let mut tx = storage.begin(tenant);
    tx.put(
        SPACE,
        &[b"a".as_slice(), &id.to_be_bytes()].concat(),
        vec![1; len],
        KEY,
    )
    .unwrap();
    tx.put(
        SPACE,
        &[b"b".as_slice(), &id.to_be_bytes()].concat(),
        vec![2; 10],
        KEY,
    )
    .unwrap();
    tx.append(SPACE, b"log/", id.to_be_bytes().to_vec(), None, KEY)
        .unwrap();
    tx.increment(SPACE, b"n", 1).unwrap();
    storage.commit(tx).await.map(|_| ())
}

fn ids(storage: &Storage, tenant: TenantId, prefix: &[u8]) -> Vec<u64> {
    let mut tx = storage.begin(tenant);
    let mut ids: Vec<u64> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = tx
            .scan(SPACE, prefix, after.as_deref(), 1_000, Order::Ascending)
            .unwrap();
        ids.extend(page.entries.iter().map(|(key, value)| {
            let bytes = if prefix == b"log/" {
                value.as_slice()
            } else {
                &key[1..]
            };
            u64::from_be_bytes(bytes.try_into().unwrap())
        }));
        after = page.next;
        if after.is_none() {
            ids.sort_unstable();
            return ids;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let (mut cut_in_flight, mut torn) = (0, 0);
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let rig = Rig::new();
        let disk = Arc::new(Forgetful {
            unsynced: Arc::default(),
            syncs_left: Arc::new(AtomicI64::new(i64::MAX)),
        });
        let mut config = rig.config();
        config.disk = Arc::clone(&disk) as _;
        let storage = rig.try_open(config).unwrap();
        let dir = storage.dir().to_owned();
        let acked = Arc::new(Mutex::new(Vec::new()));
        for id in 0..dice.roll(20) {
            commit(&storage, T1, id, 100).await.unwrap();
            acked.lock().push((T1, id));
        }
        // What of sled is durable: its files as of this checkpoint.
        storage.checkpoint().unwrap();
        let kept = rig.dir.path().join("kept");
        copy_dir(&dir.join("state"), &kept.join("state"));
        fs::copy(dir.join("CHECKPOINT"), kept.join("CHECKPOINT")).unwrap();

        disk.syncs_left
            .store(1 + dice.roll(40) as i64, Ordering::SeqCst);
        let tasks: Vec<_> = (0..6_u64)
            .map(|task| {
                let (storage, acked) = (storage.clone(), Arc::clone(&acked));
                let tenant = if task % 2 == 0 { T1 } else { T2 };
                let mut dice = Dice(seed * 100 + task);
                tokio::spawn(async move {
                    for n in 0.. {
                        let id = 1_000_000 * (task + 1) + n;
                        let len = dice.roll(20_000) as usize;
                        match commit(&storage, tenant, id, len).await {
                            Ok(()) => acked.lock().push((tenant, id)),
                            Err(error) => {
                                assert!(matches!(error, StorageError::ReadOnly), "{error}");
                                return;
                            }
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        drop(storage);
        cut_in_flight += usize::from(!disk.unsynced.lock().is_empty());
        disk.cut_power(&mut dice);
        match dice.roll(3) {
            0 => fs::remove_dir_all(dir.join("state")).unwrap(),
            1 => {
                fs::remove_dir_all(dir.join("state")).unwrap();
                copy_dir(&kept.join("state"), &dir.join("state"));
                fs::copy(kept.join("CHECKPOINT"), dir.join("CHECKPOINT")).unwrap();
            }
            // Only the log lost something: what is applied was durable before.
            _ => {}
        }

        let storage = rig.open();
        torn += usize::from(rig.alarms.has("storage.log_tail_cut"));
        storage.verify_chain().unwrap();
        for tenant in [T1, T2] {
            let found = ids(&storage, tenant, b"a");
            for (_, id) in acked.lock().iter().filter(|(t, _)| *t == tenant) {
                assert!(
                    found.binary_search(id).is_ok(),
                    "seed {seed}: {id} was acknowledged"
                );
            }
            assert_eq!(
                found,
                ids(&storage, tenant, b"b"),
                "seed {seed}: half a transaction"
            );
            assert_eq!(
                found,
                ids(&storage, tenant, b"log/"),
                "seed {seed}: half a transaction"
            );
            let count = storage.begin(tenant).get(SPACE, b"n").unwrap();
            let count = count.map_or(0, |bytes| i64::from_be_bytes(bytes.try_into().unwrap()));
            assert_eq!(count, found.len() as i64, "seed {seed}");
        }
        commit(&storage, T1, 999, 10).await.unwrap();
        storage.verify_chain().unwrap();
    }
    assert!(
        cut_in_flight > 20 && torn > 5,
        "{cut_in_flight} in flight, {torn} torn: no test at all"
    );
}
