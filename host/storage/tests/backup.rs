//! Backup of a running storage, and what restore makes of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{Rig, SPACE, T1, T2, keyring, user};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, ReplayError, Storage, StorageConfig, StorageError, restore};

const KEY: ErasureKey = ErasureKey::TENANT;

async fn append(storage: &Storage, number: u64) -> u64 {
    let mut tx = storage.begin(if number.is_multiple_of(2) { T1 } else { T2 });
    tx.append(SPACE, b"log/", number.to_be_bytes().to_vec(), None, KEY)
        .unwrap();
    tx.put(SPACE, b"filler", vec![7; 3_000], KEY).unwrap();
    storage.commit(tx).await.unwrap().seq
}

fn numbers(storage: &Storage) -> Vec<u64> {
    let mut all = Vec::new();
    for tenant in [T1, T2] {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut tx = storage.begin(tenant);
            let page = tx
                .scan(SPACE, b"log/", after.as_deref(), 1_000, Order::Ascending)
                .unwrap();
            all.extend(
                page.entries
                    .iter()
                    .map(|(_, v)| u64::from_be_bytes(v.as_slice().try_into().unwrap())),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    all.sort_unstable();
    all
}

/// Opens a restored directory with the keys that came with it.
fn open_restored(rig: &Rig, dir: &Path) -> Storage {
    let config = StorageConfig {
        dir: dir.to_owned(),
        ..rig.config()
    };
    let clock = Arc::clone(&rig.clock) as _;
    Storage::open(
        config,
        keyring(&dir.join("keys")),
        clock,
        Arc::clone(&rig.alarms) as _,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_restores_to_everything_acknowledged_before_it() {
    for with_snapshot in [false, true] {
        let rig = Rig::new();
        let storage = rig.open();
        let (done, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let writer = {
            let (storage, done, stop) = (storage.clone(), Arc::clone(&done), Arc::clone(&stop));
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    append(&storage, number).await;
                    done.store(number + 1, Ordering::SeqCst);
                }
            })
        };
        while done.load(Ordering::SeqCst) < 500 {
            tokio::task::yield_now().await;
        }
        let target = rig.dir.path().join("backup");
        let (before, after) = {
            let (storage, target, done) = (storage.clone(), target.clone(), Arc::clone(&done));
            tokio::task::spawn_blocking(move || {
                if with_snapshot {
                    storage.snapshot().unwrap();
                }
                let before = done.load(Ordering::SeqCst);
                let seen = AtomicU64::new(0);
                storage
                    .backup(&target, &|part, whole| {
                        assert!(part <= whole && part >= seen.swap(part, Ordering::SeqCst));
                    })
                    .unwrap();
                assert!(seen.load(Ordering::SeqCst) > 0);
                (before, done.load(Ordering::SeqCst))
            })
            .await
            .unwrap()
        };
        stop.store(true, Ordering::SeqCst);
        writer.await.unwrap();
        let into = rig.dir.path().join("restored");
        restore(&target, &into, &|_, _| {}).unwrap();
        let restored = open_restored(&rig, &into);
        assert!(
            !rig.alarms.has("storage.rebuilt"),
            "restore leaves nothing to rebuild"
        );
        let found = numbers(&restored);
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        let count = found.len() as u64;
        assert!(
            count >= before && count <= after + 1,
            "{before} <= {count} <= {after}"
        );
        restored.verify_chain().unwrap();
        append(&restored, count).await;
        restored.close().await;
        drop(restored);
        assert_eq!(numbers(&open_restored(&rig, &into)).len() as u64, count + 1);
        assert!(!fs::read(target.join("keys/keyset")).unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_restore_begins_a_new_history() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.join(SPACE, "c/1", user(1)).unwrap();
    storage.commit(tx).await.unwrap();
    let cursor = storage.cursor(T1);
    let target = rig.dir.path().join("backup");
    storage.backup(&target, &|_, _| {}).unwrap();
    let into = rig.dir.path().join("restored");
    restore(&target, &into, &|_, _| {}).unwrap();
    let restored = open_restored(&rig, &into);
    assert!(matches!(
        restored.replay(T1, user(1), cursor, cursor.stamp, 9),
        Err(ReplayError::Expired)
    ));
    assert_eq!(
        restored.audiences_of(T1, user(1)).unwrap(),
        storage.audiences_of(T1, user(1)).unwrap()
    );
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_the_file_named() {
    let rig = Rig::new();
    let storage = rig.open();
    for number in 0..20 {
        append(&storage, number).await;
    }
    storage.snapshot().unwrap();
    append(&storage, 20).await;
    let target = rig.dir.path().join("backup");
    storage.backup(&target, &|_, _| {}).unwrap();
    let mut files = vec![target.join("MANIFEST.json")];
    for part in ["log", "snapshots", "keys"] {
        files.extend(
            fs::read_dir(target.join(part))
                .unwrap()
                .map(|entry| entry.unwrap().path()),
        );
    }
    assert_eq!(files.len(), 4);
    let into = rig.dir.path().join("restored");
    for path in files {
        let whole = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0x80;
        for content in [Some(damaged), Some(whole[..whole.len() - 1].to_vec()), None] {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            match restore(&target, &into, &|_, _| {}) {
                Err(StorageError::DamagedBackup { file, .. }) => assert!(file.ends_with(name)),
                other => panic!("{name}: {other:?}"),
            }
            assert!(!into.exists(), "nothing is made of a damaged backup");
            fs::write(&path, &whole).unwrap();
        }
    }
    restore(&target, &into, &|_, _| {}).unwrap();
}

#[tokio::test]
async fn only_an_empty_directory_is_written_to() {
    let rig = Rig::new();
    let storage = rig.open();
    append(&storage, 0).await;
    let target = rig.dir.path().join("backup");
    storage.backup(&target, &|_, _| {}).unwrap();
    assert!(matches!(
        storage.backup(&target, &|_, _| {}),
        Err(StorageError::NotEmpty { .. })
    ));
    let into = rig.dir.path().join("restored");
    fs::create_dir(&into).unwrap();
    fs::write(into.join("something"), "else").unwrap();
    assert!(matches!(
        restore(&target, &into, &|_, _| {}),
        Err(StorageError::NotEmpty { .. })
    ));
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
}

#[tokio::test]
async fn a_manifest_that_points_outside_is_refused() {
    let rig = Rig::new();
    let storage = rig.open();
    append(&storage, 0).await;
    let target = rig.dir.path().join("backup");
    storage.backup(&target, &|_, _| {}).unwrap();
    let path = target.join("MANIFEST.json");
    let manifest = fs::read_to_string(&path).unwrap();
    for outside in ["../keys/keyset", "/etc/passwd", ""] {
        fs::write(&path, manifest.replace("keys/keyset", outside)).unwrap();
        let into = rig.dir.path().join("restored");
        assert!(matches!(
            restore(&target, &into, &|_, _| {}),
            Err(StorageError::DamagedBackup { .. })
        ));
    }
    fs::write(&path, manifest.replace("\"format\": 1", "\"format\": 9")).unwrap();
    let into = rig.dir.path().join("restored");
    assert!(matches!(
        restore(&target, &into, &|_, _| {}),
        Err(StorageError::UnknownFormat { found: 9, .. })
    ));
}
