//! Power cuts: what was not synced is gone, or not, page by page; what was acknowledged is there.
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

use common::forgetful::Forgetful;
use common::{Dice, Rig, SPACE, T1, T2};
use parking_lot::Mutex;
use vaxel_core::TenantId;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageError};

const KEY: ErasureKey = ErasureKey::TENANT;

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

/// Commits in six tasks, and takes snapshots if asked to, until the power fails; answers what was acknowledged.
async fn work_until_dark(
    storage: Storage,
    disk: &Forgetful,
    seed: u64,
    has_snapshots: bool,
) -> Vec<(TenantId, u64)> {
    let acked = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..6_u64 {
        let (storage, acked) = (storage.clone(), Arc::clone(&acked));
        let tenant = if task % 2 == 0 { T1 } else { T2 };
        let mut dice = Dice(seed * 100 + task);
        tasks.spawn(async move {
            for n in 0.. {
                let id = 1_000_000 * (task + 1) + n;
                let len = dice.roll(20_000) as usize;
                match commit(&storage, tenant, id, len).await {
                    Ok(()) => acked.lock().push((tenant, id)),
                    Err(StorageError::ReadOnly | StorageError::Closed) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    if has_snapshots {
        let storage = storage.clone();
        tasks.spawn_blocking(move || while storage.snapshot().is_ok() {});
    }
    disk.dark.notified().await;
    // Who waits for a new log segment is told only now.
    storage.close().await;
    drop(storage);
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    Arc::into_inner(acked).unwrap().into_inner()
}

/// What is there is whole, and what was acknowledged is there.
fn check(storage: &Storage, acked: &[(TenantId, u64)], seed: u64) {
    storage.verify_chain().unwrap();
    for tenant in [T1, T2] {
        let found = ids(storage, tenant, b"a");
        for (_, id) in acked.iter().filter(|(t, _)| *t == tenant) {
            assert!(
                found.binary_search(id).is_ok(),
                "seed {seed}: {id} was acknowledged"
            );
        }
        for part in [b"b".as_slice(), b"log/"] {
            let whole = ids(storage, tenant, part);
            assert_eq!(found, whole, "seed {seed}: half a transaction");
        }
        let count = storage.begin(tenant).get(SPACE, b"n").unwrap();
        let count = count.map_or(0, |bytes| i64::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(count, found.len() as i64, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let (mut cut_in_flight, mut torn, mut nameless) = (0, 0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let has_snapshots = seed % 2 == 1;
        let rig = Rig::new();
        let disk = Arc::new(Forgetful::default());
        let mut config = rig.config();
        config.disk = Arc::clone(&disk) as _;
        let storage = rig.try_open(config).unwrap();
        let dir = storage.dir().to_owned();
        let mut acked = Vec::new();
        for id in 0..dice.roll(20) {
            commit(&storage, T1, id, 100).await.unwrap();
            acked.push((T1, id));
        }
        // What of sled is durable: its files as of this checkpoint.
        storage.checkpoint().unwrap();
        let kept = rig.dir.path().join("kept");
        copy_dir(&dir.join("state"), &kept.join("state"));
        fs::copy(dir.join("CHECKPOINT"), kept.join("CHECKPOINT")).unwrap();

        disk.fail_after(1 + dice.roll(if has_snapshots { 150 } else { 40 }));
        acked.extend(work_until_dark(storage, &disk, seed, has_snapshots).await);
        let lost = disk.cut_power(&mut dice);
        cut_in_flight += usize::from(lost.files > 0);
        nameless += usize::from(lost.names > 0);
        match dice.roll(3) {
            0 => fs::remove_dir_all(dir.join("state")).unwrap(),
            1 => {
                fs::remove_dir_all(dir.join("state")).unwrap();
                copy_dir(&kept.join("state"), &dir.join("state"));
                // With snapshots there are later checkpoints, and a state this old does not go with them.
                if !has_snapshots {
                    fs::copy(kept.join("CHECKPOINT"), dir.join("CHECKPOINT")).unwrap();
                }
            }
            // Only what goes through our disk lost something: what is applied was durable before.
            _ => {}
        }

        let storage = rig.open();
        torn += usize::from(rig.alarms.has("storage.log_tail_cut"));
        check(&storage, &acked, seed);
        commit(&storage, T1, 999, 10).await.unwrap();
        storage.snapshot().unwrap();
        storage.verify_chain().unwrap();
    }
    assert!(
        cut_in_flight > 30 && torn > 5 && nameless > 5,
        "{cut_in_flight} in flight, {torn} torn, {nameless} lost a name: no test at all"
    );
}

#[tokio::test]
async fn a_power_cut_while_a_directory_is_first_opened_leaves_one_that_opens() {
    for syncs in 1..40 {
        let mut has_opened = false;
        for seed in 0..4 {
            let rig = Rig::new();
            let disk = Arc::new(Forgetful::default());
            disk.fail_after(syncs);
            let mut config = rig.config();
            config.disk = Arc::clone(&disk) as _;
            drop(rig.try_open(config));
            has_opened |= !disk.is_dark();
            disk.cut_power(&mut Dice(syncs * 100 + seed));
            let storage = rig.open();
            commit(&storage, T1, 1, 10).await.unwrap();
            check(&storage, &[(T1, 1)], seed);
        }
        if has_opened {
            return;
        }
    }
    panic!("it never opens");
}
