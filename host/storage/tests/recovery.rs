//! Opening again after crashes and damage.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Rig, SPACE, T1, T2};
use vaxel_core::TenantId;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageConfig, StorageError};

const KEY: ErasureKey = ErasureKey::TENANT;

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

/// Everything both tenants have.
fn contents(storage: &Storage) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    for tenant in [T1, T2] {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut tx = storage.begin(tenant);
            let page = tx
                .scan(SPACE, b"", after.as_deref(), 1_000, Order::Ascending)
                .unwrap();
            all.extend(page.entries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    all
}

async fn fill(storage: &Storage, rounds: u32) {
    for n in 0..rounds {
        let tenant = if n % 3 == 0 { T2 } else { T1 };
        let mut tx = storage.begin(tenant);
        tx.put(SPACE, &(n % 50).to_be_bytes(), vec![n as u8; 500], KEY)
            .unwrap();
        tx.append(SPACE, b"log/", n.to_be_bytes().to_vec(), None, KEY)
            .unwrap();
        tx.increment(SPACE, b"n", 1).unwrap();
        if n % 7 == 0 {
            tx.delete(SPACE, &(n % 13).to_be_bytes()).unwrap();
        }
        storage.commit(tx).await.unwrap();
    }
}

/// What a `kill -9` leaves: a copy of the files as they are, without a closing checkpoint.
fn crash_copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            crash_copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn config_at(rig: &Rig, dir: PathBuf) -> StorageConfig {
    StorageConfig {
        dir,
        ..rig.config()
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Where the last record of a segment ends: behind the header come frames, each with its length in front.
fn end_of(segment: &Path) -> usize {
    let bytes = fs::read(segment).unwrap();
    let mut offset = 64;
    loop {
        let len = u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap());
        if len == 0 {
            return offset;
        }
        offset += 13 + len as usize;
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let rig = Rig::new();
    let storage = rig.open();
    fill(&storage, 200).await;
    let wanted = contents(&storage);
    let crashed = rig.dir.path().join("crashed");
    crash_copy(storage.dir(), &crashed);
    let again = rig.try_open(config_at(&rig, crashed)).unwrap();
    assert_eq!(contents(&again), wanted);
    assert_eq!(
        again.verify_chain().unwrap(),
        storage.verify_chain().unwrap()
    );
    assert_eq!(again.usage(T1), storage.usage(T1));
    assert_eq!(
        put(&again, T1, b"x", b"y").await.unwrap(),
        put(&storage, T1, b"x", b"y").await.unwrap()
    );
}

#[tokio::test]
async fn a_state_that_is_gone_damaged_or_old_is_rebuilt() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 5] = [
        ("gone", |dir| fs::remove_dir_all(dir.join("state")).unwrap()),
        ("scribbled over", |dir| {
            let mut bytes = fs::read(dir.join("state/db")).unwrap();
            let step = 97;
            bytes
                .iter_mut()
                .step_by(step)
                .for_each(|byte| *byte ^= 0x55);
            fs::write(dir.join("state/db"), bytes).unwrap();
        }),
        ("cut short", |dir| {
            let bytes = fs::read(dir.join("state/db")).unwrap();
            fs::write(dir.join("state/db"), &bytes[..bytes.len() / 3]).unwrap();
        }),
        ("empty", |dir| {
            fs::remove_dir_all(dir.join("state")).unwrap();
            fs::create_dir(dir.join("state")).unwrap();
        }),
        ("without checkpoint", |dir| {
            fs::write(dir.join("CHECKPOINT"), b"nonsense").unwrap()
        }),
    ];
    for (name, damage) in damages {
        let rig = Rig::new();
        let storage = rig.open();
        fill(&storage, 150).await;
        let wanted = contents(&storage);
        let usage = storage.usage(T1);
        storage.close().await;
        drop(storage);
        let dir = rig.config().dir;
        damage(&dir);
        let storage = rig.open();
        assert!(rig.alarms.has("storage.rebuilt"), "{name}");
        assert_eq!(contents(&storage), wanted, "{name}");
        assert_eq!(storage.usage(T1), usage, "{name}");
        assert!(!dir.join("state.damaged").exists());
        fill(&storage, 20).await;
        storage.verify_chain().unwrap();
    }
}

#[tokio::test]
async fn a_state_older_than_its_checkpoint_is_rebuilt() {
    let rig = Rig::new();
    let storage = rig.open();
    fill(&storage, 20).await;
    storage.checkpoint().unwrap();
    let old = rig.dir.path().join("old");
    crash_copy(&storage.dir().join("state"), &old);
    fill(&storage, 100).await;
    let wanted = contents(&storage);
    storage.close().await;
    drop(storage);
    let state = rig.config().dir.join("state");
    fs::remove_dir_all(&state).unwrap();
    crash_copy(&old, &state);
    let storage = rig.open();
    assert!(rig.alarms.has("storage.rebuilt"));
    assert_eq!(contents(&storage), wanted);
}

#[tokio::test]
async fn a_state_that_lost_rows_in_a_reboot_is_rebuilt() {
    for loses_a_row in [false, true] {
        let rig = Rig::new();
        let storage = rig.open();
        fill(&storage, 60).await;
        storage.checkpoint().unwrap();
        let crashed = rig.dir.path().join("crashed");
        crash_copy(storage.dir(), &crashed);
        // As if it were written in an earlier life of the machine.
        let path = crashed.join("CHECKPOINT");
        let mut bytes = fs::read(&path).unwrap();
        let summed = bytes.len() - 4;
        bytes[summed - 1] ^= 1;
        let sum = crc32fast::hash(&bytes[..summed]).to_be_bytes();
        bytes[summed..].copy_from_slice(&sum);
        fs::write(&path, bytes).unwrap();
        if loses_a_row {
            let state = sled::open(crashed.join("state")).unwrap();
            // Neither the first row (the log's position) nor a tenant's head (its last one).
            let (key, _) = state
                .iter()
                .map(Result::unwrap)
                .find(|(key, _)| key[16] == 1)
                .unwrap();
            state.remove(key).unwrap();
            state.flush().unwrap();
        }
        let again = rig.try_open(config_at(&rig, crashed)).unwrap();
        assert_eq!(rig.alarms.has("storage.rebuilt"), loses_a_row);
        assert_eq!(contents(&again), contents(&storage));
    }
}

#[tokio::test]
async fn a_torn_end_of_the_log_is_cut() {
    let rig = Rig::new();
    let storage = rig.open();
    fill(&storage, 30).await;
    let crashed = rig.dir.path().join("crashed");
    crash_copy(storage.dir(), &crashed);
    let before = contents(&storage);
    put(&storage, T1, b"last", &[0x77; 4_000]).await.unwrap();
    // The last record, of which only a part reached the disk.
    let whole = fs::read(&segments(storage.dir())[0]).unwrap();
    let torn_path = &segments(&crashed)[0];
    let (start, end) = (end_of(torn_path), end_of(&segments(storage.dir())[0]));
    for part in [3, 40, 2_000, end - start - 1] {
        let dir = rig.dir.path().join(format!("torn-{part}"));
        crash_copy(&crashed, &dir);
        let mut torn = fs::read(torn_path).unwrap();
        torn[start..start + part].copy_from_slice(&whole[start..start + part]);
        fs::write(&segments(&dir)[0], torn).unwrap();
        let again = rig.try_open(config_at(&rig, dir.clone())).unwrap();
        assert!(rig.alarms.has("storage.log_tail_cut"), "{part}");
        assert_eq!(contents(&again), before);
        fill(&again, 30).await;
        let after = contents(&again);
        again.verify_chain().unwrap();
        drop(again);
        let again = rig.try_open(config_at(&rig, dir)).unwrap();
        assert_eq!(contents(&again), after);
    }
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_is_an_error_and_an_alarm() {
    let rig = Rig::new();
    let storage = rig.open();
    fill(&storage, 50).await;
    storage.close().await;
    drop(storage);
    let dir = rig.config().dir;
    let segment = &segments(&dir)[0];
    let mut bytes = fs::read(segment).unwrap();
    let middle = end_of(segment) / 2;
    bytes[middle] ^= 1;
    fs::write(segment, &bytes).unwrap();
    // Without a state the whole log is needed.
    fs::remove_dir_all(dir.join("state")).unwrap();
    assert!(matches!(
        rig.try_open(rig.config()),
        Err(StorageError::Corrupt { .. })
    ));
    assert!(rig.alarms.has("storage.log_damaged"));
    bytes[middle] ^= 1;
    fs::write(segment, &bytes).unwrap();
    let storage = rig.open();
    storage.verify_chain().unwrap();
    // While it runs, the check of the chain finds it.
    bytes[middle] ^= 1;
    fs::write(segment, &bytes).unwrap();
    assert!(matches!(
        storage.verify_chain(),
        Err(StorageError::Corrupt { .. })
    ));
}

#[tokio::test]
async fn a_missing_segment_is_an_error() {
    let rig = Rig::new();
    let storage = rig.open();
    for n in 0..60_u32 {
        put(&storage, T1, &n.to_be_bytes(), &[1; 100_000])
            .await
            .unwrap();
    }
    storage.close().await;
    drop(storage);
    let paths = segments(&rig.config().dir);
    assert!(paths.len() > 4);
    fs::remove_file(&paths[2]).unwrap();
    assert!(matches!(
        rig.try_open(rig.config()),
        Err(StorageError::Corrupt { .. })
    ));
}

#[tokio::test]
async fn unknown_formats_are_refused() {
    let rig = Rig::new();
    let storage = rig.open();
    fill(&storage, 3).await;
    storage.close().await;
    drop(storage);
    let dir = rig.config().dir;
    fs::write(dir.join("FORMAT"), "vaxel-storage 2\n").unwrap();
    assert!(matches!(
        rig.try_open(rig.config()),
        Err(StorageError::UnknownFormat { found: 2, .. })
    ));
    fs::remove_file(dir.join("FORMAT")).unwrap();
    assert!(
        rig.try_open(rig.config()).is_err(),
        "data without a format is not taken for new"
    );
}

#[tokio::test]
async fn a_snapshot_lets_old_log_go_and_still_rebuilds_everything() {
    let rig = Rig::new();
    let storage = rig.open();
    let dir = storage.dir().to_owned();
    for round in 0..3 {
        for n in 0..30_u32 {
            put(&storage, T1, &n.to_be_bytes(), &[round; 100_000])
                .await
                .unwrap();
        }
        fill(&storage, 30).await;
        // Taken while others write.
        let taking = storage.clone();
        let taken = tokio::task::spawn_blocking(move || taking.snapshot().unwrap());
        fill(&storage, 30).await;
        taken.await.unwrap();
    }
    fill(&storage, 30).await;
    let paths = segments(&dir);
    assert!(!paths[0].ends_with("0000000000000001.log"), "{paths:?}");
    assert_eq!(fs::read_dir(dir.join("snapshots")).unwrap().count(), 1);
    storage.verify_chain().unwrap();
    let (wanted, usage) = (contents(&storage), storage.usage(T1));
    storage.close().await;
    drop(storage);
    fs::remove_dir_all(dir.join("state")).unwrap();
    fs::remove_file(dir.join("CHECKPOINT")).unwrap();
    let storage = rig.open();
    assert_eq!(contents(&storage), wanted);
    assert_eq!(storage.usage(T1), usage);
    fill(&storage, 10).await;
    storage.verify_chain().unwrap();
}

#[tokio::test]
async fn the_data_directory_shows_no_plaintext() {
    let rig = Rig::new();
    let storage = rig.open();
    let secrets = [
        "hemligt-meddelande",
        "anna.andersson",
        "chat.message.secret",
        "c/lunchrummet",
    ];
    for n in 0..40_u8 {
        let mut tx = storage.begin(T1);
        tx.join(SPACE, secrets[3], common::user(1)).unwrap();
        tx.put(
            SPACE,
            &[n],
            format!("{} {}", secrets[0], secrets[1]).into_bytes(),
            KEY,
        )
        .unwrap();
        tx.append(SPACE, b"p", secrets[0].into(), Some(vec![n, 1]), KEY)
            .unwrap();
        tx.publish(
            SPACE,
            secrets[3],
            secrets[2],
            secrets[0].as_bytes().to_vec(),
            KEY,
        )
        .unwrap();
        storage.commit(tx).await.unwrap();
    }
    storage.snapshot().unwrap();
    let backup = rig.dir.path().join("backup");
    storage.backup(&backup, &|_, _| {}).unwrap();
    storage.close().await;
    let mut scanned = 0;
    let mut dirs = vec![rig.config().dir, backup];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            scanned += bytes.len();
            for secret in secrets {
                let is_there = bytes
                    .windows(secret.len())
                    .any(|part| part == secret.as_bytes());
                assert!(!is_there, "{secret} in {}", path.display());
            }
        }
    }
    assert!(scanned > 10_000);
}

#[tokio::test]
async fn a_snapshot_is_not_made_of_a_state_that_lost_rows() {
    let rig = Rig::new();
    let storage = rig.open();
    for n in 0..50_u8 {
        put(&storage, T1, &[n], b"kept").await.unwrap();
        put(&storage, T2, &[n], b"kept").await.unwrap();
    }
    storage.snapshot().unwrap();
    put(&storage, T1, b"last", b"1").await.unwrap();
    let before = contents(&storage);
    storage.close().await;
    drop(storage);
    let state_dir = rig.dir.path().join("data/state");
    let of_t2 = |key: &[u8]| key.starts_with(&T2.to_bytes()) && key.ends_with(&[7]);
    let state = sled::open(&state_dir).unwrap();
    let lost = state.iter().keys().find(|key| of_t2(key.as_ref().unwrap()));
    state.remove(lost.unwrap().unwrap()).unwrap().unwrap();
    state.flush().unwrap();
    drop(state);

    // The close was clean and nothing was replayed: up to here nobody looked.
    let storage = rig.open();
    assert_eq!(get(&storage, T2, &[7]), None);
    assert!(!rig.alarms.has("storage.rebuilt"));
    put(&storage, T1, b"busy", b"1").await.unwrap();
    assert!(matches!(
        storage.snapshot(),
        Err(StorageError::Corrupt { .. })
    ));
    let taken = fs::read_dir(rig.dir.path().join("data/snapshots")).unwrap();
    assert_eq!(taken.count(), 1, "the good one of before");
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    assert!(rig.alarms.has("storage.rebuilt"));
    assert_eq!(contents(&storage).len(), before.len() + 1);
    storage.snapshot().unwrap();
}

#[tokio::test]
async fn a_snapshot_is_taken_of_a_state_that_is_written_to() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, T2, b"quiet", b"1").await.unwrap();
    let snapshots = {
        let storage = storage.clone();
        tokio::task::spawn_blocking(move || {
            for _ in 0..20 {
                storage.snapshot().unwrap();
            }
        })
    };
    let mut n = 0_u64;
    while !snapshots.is_finished() {
        // Rows come, change their size and go.
        let value = vec![1; (n % 50) as usize];
        put(&storage, T1, &(n % 97).to_be_bytes(), &value)
            .await
            .unwrap();
        let mut tx = storage.begin(T1);
        tx.delete(SPACE, &(n % 31).to_be_bytes()).unwrap();
        storage.commit(tx).await.unwrap();
        n += 1;
    }
    snapshots.await.unwrap();
}
