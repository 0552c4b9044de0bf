//! Values that are there for a time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use common::{Rig, SPACE, T1};
use tokio::task::block_in_place;
use vaxel_core::{Clock as _, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageError};

const KEY: ErasureKey = ErasureKey::TENANT;

async fn put(storage: &Storage, key: &[u8], until: Option<UnixMs>) {
    let mut tx = storage.begin(T1);
    match until {
        Some(until) => tx
            .put_until(SPACE, key, b"value".to_vec(), KEY, until)
            .unwrap(),
        None => tx.put(SPACE, key, b"value".to_vec(), KEY).unwrap(),
    }
    storage.commit(tx).await.unwrap();
}

fn keys(storage: &Storage) -> Vec<Vec<u8>> {
    let mut tx = storage.begin(T1);
    let page = tx.scan(SPACE, b"", None, 100, Order::Ascending).unwrap();
    page.entries.into_iter().map(|(key, _)| key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_gone_when_its_time_is_over_and_swept_later() {
    let rig = Rig::new();
    let storage = rig.open();
    let empty = storage.usage(T1);
    let until = rig.clock.now().plus_ms(1_000);
    put(&storage, b"short", Some(until)).await;
    assert_eq!(keys(&storage), [b"short"]);
    rig.clock.advance_ms(999);
    assert_eq!(keys(&storage), [b"short"]);
    rig.clock.advance_ms(1);
    assert!(keys(&storage).is_empty());
    assert_eq!(storage.begin(T1).get(SPACE, b"short").unwrap(), None);
    assert!(storage.usage(T1) > empty, "it is not swept yet");
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    assert!(keys(&storage).is_empty(), "after a restart too");
    block_in_place(|| storage.sweep()).unwrap();
    assert_eq!(storage.usage(T1), empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_put_makes_a_value_stay() {
    let rig = Rig::new();
    let storage = rig.open();
    let until = rig.clock.now().plus_ms(1_000);
    for key in [b"stays", b"moves", b"comes"] {
        put(&storage, key, Some(until)).await;
    }
    put(&storage, b"stays", None).await;
    put(&storage, b"moves", Some(until.plus_ms(5_000))).await;
    rig.clock.advance_ms(1_000);
    put(&storage, b"comes", None).await;
    block_in_place(|| storage.sweep()).unwrap();
    assert_eq!(keys(&storage), [b"comes", b"moves", b"stays"]);
    rig.clock.advance_ms(5_000);
    block_in_place(|| storage.sweep()).unwrap();
    assert_eq!(keys(&storage), [b"comes", b"stays"]);
}

#[tokio::test]
async fn within_a_transaction_nothing_expires() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, b"a", Some(rig.clock.now().plus_ms(1_000))).await;
    let mut tx = storage.begin(T1);
    assert!(tx.get(SPACE, b"a").unwrap().is_some());
    rig.clock.advance_ms(2_000);
    assert!(tx.get(SPACE, b"a").unwrap().is_some());
    assert_eq!(storage.begin(T1).get(SPACE, b"a").unwrap(), None);
}

#[tokio::test]
async fn a_counter_does_not_expire() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    let (eight, until) = (7_u64.to_be_bytes().to_vec(), rig.clock.now().plus_ms(1_000));
    tx.put_until(SPACE, b"n", eight, KEY, until).unwrap();
    storage.commit(tx).await.unwrap();
    let mut tx = storage.begin(T1);
    tx.increment(SPACE, b"n", 1).unwrap();
    let refused = storage.commit(tx).await.unwrap_err();
    assert!(matches!(refused, StorageError::Invalid { .. }), "{refused}");
}
