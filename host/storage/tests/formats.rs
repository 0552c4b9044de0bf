//! Directories and backups of every format that was ever released still open.
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
use std::sync::Arc;

use common::{Rig, SPACE, T1, keyring, user};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageConfig, restore};

fn fixture(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/format-1")
        .join(part)
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

async fn check(rig: &Rig, dir: &Path) -> u64 {
    let config = StorageConfig {
        dir: dir.to_owned(),
        ..rig.config()
    };
    let storage = Storage::open(
        config,
        keyring(&dir.join("keys")),
        Arc::clone(&rig.clock) as _,
        Arc::clone(&rig.alarms) as _,
    )
    .unwrap();
    let mut tx = storage.begin(T1);
    for n in 0..10_u64 {
        let value = tx.get(SPACE, &n.to_be_bytes()).unwrap();
        let wanted = (n != 3).then(|| format!("value {n}").into_bytes());
        assert_eq!(value, wanted);
    }
    assert_eq!(
        tx.get(SPACE, b"counter").unwrap().unwrap(),
        20_i64.to_be_bytes()
    );
    let page = tx
        .scan(SPACE, b"log/", None, 100, Order::Ascending)
        .unwrap();
    assert_eq!(page.entries.len(), 10);
    assert_eq!(tx.get(SPACE, b"@\x04").unwrap().unwrap(), page.entries[4].0);
    drop(tx);
    let cursor = storage.cursor(T1);
    let start = vaxel_storage::Cursor {
        stamp: Default::default(),
        ..cursor
    };
    let events = storage
        .replay(T1, user(1), start, cursor.stamp, 100)
        .unwrap();
    assert_eq!(events.len(), 10);
    assert_eq!(events[9].payload.as_ref(), b"event 9");
    storage.verify_chain().unwrap();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"new", b"row".to_vec(), ErasureKey::TENANT)
        .unwrap();
    assert_eq!(storage.commit(tx).await.unwrap().seq, 11);
    storage.close().await;
    cursor.epoch
}

#[tokio::test]
async fn a_directory_of_format_1_opens() {
    let rig = Rig::new();
    let dir = rig.dir.path().join("copy");
    copy_dir(&fixture("data"), &dir);
    check(&rig, &dir).await;
    // And once more, now with a state of its own.
    let config = StorageConfig {
        dir: dir.clone(),
        ..rig.config()
    };
    let clock = Arc::clone(&rig.clock) as _;
    let storage = Storage::open(
        config,
        keyring(&dir.join("keys")),
        clock,
        Arc::clone(&rig.alarms) as _,
    )
    .unwrap();
    assert_eq!(
        storage.begin(T1).get(SPACE, b"new").unwrap().unwrap(),
        b"row"
    );
}

#[tokio::test]
async fn a_backup_of_format_1_restores() {
    let rig = Rig::new();
    let dir = rig.dir.path().join("restored");
    restore(&fixture("backup"), &dir, &|_, _| {}).unwrap();
    let epoch = check(&rig, &dir).await;
    let old = fs::read_to_string(fixture("data").join("EPOCH")).unwrap();
    assert_ne!(format!("{epoch:016x}"), old.trim());
}
