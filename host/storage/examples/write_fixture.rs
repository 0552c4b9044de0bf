//! Writes the stored directory that `tests/formats.rs` opens: run it once whenever a format is added.
//!
//! `cargo run -p vaxel-storage --example write_fixture DIR`
#![allow(clippy::unwrap_used, reason = "a tool for developers may stop")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use vaxel_core::{LogAlarms, SimClock, TenantId, UnixMs, UserId};
use vaxel_crypto::{ErasureKey, Keyring, MasterKey};
use vaxel_storage::{Space, Storage, StorageConfig};

const SPACE: Space = Space::host(0x7f);
const TENANT: TenantId = TenantId::from_u128(0x1111);
/// The numbers 0 to 31: a key that protects nothing but this fixture.
const MASTER: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[tokio::main]
async fn main() {
    let target = PathBuf::from(std::env::args().nth(1).unwrap());
    let work = tempfile::tempdir().unwrap();
    let master = MasterKey::from_recovery_text(MASTER).unwrap();
    let keyring = Arc::new(Keyring::open(&work.path().join("keys"), master).unwrap());
    keyring.create_tenant(TENANT).unwrap();
    let person = ErasureKey::named(42);
    keyring.create_key(TENANT, person).unwrap();
    let mut config = StorageConfig::new(work.path().join("data"));
    config.segment_bytes = 1 << 20;
    let clock = Arc::new(SimClock::at(UnixMs(1_700_000_000_000)));
    let storage = Storage::open(config, keyring, clock, Arc::new(LogAlarms)).unwrap();
    for n in 0..10_u64 {
        if n == 5 {
            storage.snapshot().unwrap();
        }
        let mut tx = storage.begin(TENANT);
        tx.put(
            SPACE,
            &n.to_be_bytes(),
            format!("value {n}").into_bytes(),
            person,
        )
        .unwrap();
        tx.append(
            SPACE,
            b"log/",
            n.to_be_bytes().to_vec(),
            Some(vec![b'@', n as u8]),
            ErasureKey::TENANT,
        )
        .unwrap();
        tx.increment(SPACE, b"counter", 2).unwrap();
        if n == 0 {
            tx.join(SPACE, "c/1", UserId::from_u128(1)).unwrap();
        }
        if n == 7 {
            tx.delete(SPACE, &3_u64.to_be_bytes()).unwrap();
        }
        tx.publish(
            SPACE,
            "c/1",
            "test.said",
            format!("event {n}").into_bytes(),
            person,
        )
        .unwrap();
        storage.commit(tx).await.unwrap();
    }
    storage.backup(&target.join("backup"), &|_, _| {}).unwrap();
    let data = target.join("data");
    for part in ["log", "snapshots", "keys"] {
        fs::create_dir_all(data.join(part)).unwrap();
        for entry in fs::read_dir(target.join("backup").join(part)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), data.join(part).join(entry.file_name())).unwrap();
        }
    }
    for file in ["FORMAT", "EPOCH"] {
        fs::copy(work.path().join("data").join(file), data.join(file)).unwrap();
    }
    storage.close().await;
}
