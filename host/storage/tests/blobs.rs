//! Blobs: any part reads back, nothing lies open on the disk, damage is noticed, and a backup has them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use common::{Rig, T1, T2, keyring};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Storage, StorageConfig, restore};

const KEY: ErasureKey = ErasureKey::TENANT;

/// A segment's plain length: the tests look at its edges.
const SEGMENT: usize = 64 << 10;

fn written(storage: &Storage, id: u128, bytes: &[u8], step: usize) -> [u8; 32] {
    let mut writer = storage.write_blob(T1, id, KEY).unwrap();
    for part in bytes.chunks(step.max(1)) {
        writer.write(part).unwrap();
    }
    let info = writer.finish().unwrap();
    assert_eq!(info.bytes, bytes.len() as u64);
    info.sha256
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 % 251) as u8).collect()
}

fn file(rig: &Rig, id: u128) -> PathBuf {
    let tenant = u128::from_be_bytes(T1.to_bytes());
    let dir = rig.dir.path().join("data/blobs");
    dir.join(format!("{tenant:032x}/{id:032x}"))
}

#[test]
fn any_part_of_a_blob_reads_back() {
    let rig = Rig::new();
    let storage = rig.open();
    for (id, len) in [
        0,
        1,
        SEGMENT - 1,
        SEGMENT,
        SEGMENT + 1,
        3 * SEGMENT,
        200_000,
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = pattern(len);
        for step in [7_777, SEGMENT, 1 << 20] {
            written(&storage, id as u128, &bytes, step);
            let reader = storage.read_blob(T1, id as u128).unwrap().unwrap();
            assert_eq!(reader.len(), len as u64);
            assert_eq!(reader.read_at(0, len + 10).unwrap(), bytes);
            for from in [0, 1, len / 2, len.saturating_sub(1), len, len + 5] {
                let wanted = bytes
                    .iter()
                    .skip(from)
                    .take(100)
                    .copied()
                    .collect::<Vec<_>>();
                assert_eq!(
                    reader.read_at(from as u64, 100).unwrap(),
                    wanted,
                    "{len} {from}"
                );
            }
        }
    }
    assert!(
        storage.read_blob(T2, 1).unwrap().is_none(),
        "another tenant"
    );
}

#[test]
fn a_blob_lies_sealed_and_a_broken_off_one_leaves_nothing() {
    let rig = Rig::new();
    let storage = rig.open();
    let bytes = b"the rain in Spain ".repeat(10_000);
    written(&storage, 5, &bytes, 4_096);
    let on_disk = fs::read(file(&rig, 5)).unwrap();
    assert!(!on_disk.windows(8).any(|part| part == b"in Spain"));

    let mut writer = storage.write_blob(T1, 6, KEY).unwrap();
    writer.write(&bytes).unwrap();
    assert!(storage.read_blob(T1, 6).unwrap().is_none(), "not finished");
    drop(writer);
    let files = storage.blob_files(T1).unwrap();
    assert_eq!(files.iter().map(|f| f.id).collect::<Vec<_>>(), [Some(5)]);
    storage.delete_blob(T1, 5).unwrap();
    storage.delete_blob(T1, 5).unwrap();
    assert!(storage.blob_files(T1).unwrap().is_empty());
}

#[test]
fn segments_that_were_changed_moved_or_cut_off_do_not_read() {
    let rig = Rig::new();
    let storage = rig.open();
    let bytes = pattern(3 * SEGMENT + 10);
    written(&storage, 9, &bytes, SEGMENT);
    written(&storage, 10, &bytes, SEGMENT);
    let path = file(&rig, 9);
    let good = fs::read(&path).unwrap();
    let full = u32::from_be_bytes(good[5..9].try_into().unwrap()) as usize;
    let swapped = {
        let mut file = good.clone();
        let (head, rest) = file.split_at_mut(9 + full);
        head[9..].swap_with_slice(&mut rest[..full]);
        file
    };
    let mut flipped = good.clone();
    flipped[9 + full + 100] ^= 1;
    let mut other = good.clone();
    other[9..].copy_from_slice(&fs::read(file(&rig, 10)).unwrap()[9..]);
    for (what, damaged) in [
        ("a flipped bit", flipped),
        ("two segments swapped", swapped),
        ("the last segment gone", good[..9 + 3 * full].to_vec()),
        (
            "the end of the last segment gone",
            good[..good.len() - 1].to_vec(),
        ),
        ("another blob's segments", other),
    ] {
        fs::write(&path, damaged).unwrap();
        let reader = storage.read_blob(T1, 9).unwrap().unwrap();
        let read = reader.read_at(0, bytes.len());
        assert!(read.is_err(), "{what}");
    }
    for short in [0, 3, 9, 12] {
        fs::write(&path, &good[..short]).unwrap();
        let is_refused = match storage.read_blob(T1, 9) {
            Ok(reader) => reader.unwrap().read_at(0, 10).is_err(),
            Err(_) => true,
        };
        assert!(is_refused, "{short} bytes");
    }
}

#[test]
fn destroying_its_erasure_key_makes_a_blob_unreadable() {
    let rig = Rig::new();
    let storage = rig.open();
    let key = ErasureKey::named(77);
    rig.keyring.create_key(T1, key).unwrap();
    let mut writer = storage.write_blob(T1, 3, key).unwrap();
    writer.write(b"about Carin").unwrap();
    writer.finish().unwrap();
    let reader = storage.read_blob(T1, 3).unwrap().unwrap();
    assert_eq!(reader.read_at(0, 100).unwrap(), b"about Carin");
    rig.keyring.destroy_key(T1, key).unwrap();
    assert!(reader.read_at(0, 100).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_the_blobs_and_gives_them_back() {
    let rig = Rig::new();
    let storage = rig.open();
    let bytes = pattern(2 * SEGMENT + 3);
    written(&storage, 21, &bytes, SEGMENT);
    // One that is just being written is none.
    let unfinished = storage.write_blob(T1, 22, KEY).unwrap();
    let backup = rig.dir.path().join("backup");
    let report = storage.backup(&backup, &|_, _| ()).unwrap();
    assert!(report.bytes > bytes.len() as u64);
    drop(unfinished);
    storage.close().await;

    let again = rig.dir.path().join("again");
    restore(&backup, &again, &|_, _| ()).unwrap();
    let restored = Storage::open(
        StorageConfig {
            dir: again.clone(),
            ..rig.config()
        },
        keyring(&again.join("keys")),
        Arc::clone(&rig.clock) as _,
        Arc::clone(&rig.alarms) as _,
    )
    .unwrap();
    let reader = restored.read_blob(T1, 21).unwrap().unwrap();
    assert_eq!(reader.read_at(0, bytes.len()).unwrap(), bytes);
    assert_eq!(restored.blob_files(T1).unwrap().len(), 1);
}
