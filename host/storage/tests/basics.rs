//! What one caller at a time sees.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use common::{Rig, SPACE, T1, T2};
use vaxel_core::Reason;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, StorageError, limits};

const KEY: ErasureKey = ErasureKey::TENANT;

#[tokio::test]
async fn a_committed_value_is_read_back_also_after_a_restart() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", b"one".to_vec(), KEY).unwrap();
    assert_eq!(
        tx.get(SPACE, b"a").unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    let commit = storage.commit(tx).await.unwrap();
    assert_eq!(commit.seq, 1);
    let mut tx = storage.begin(T1);
    assert_eq!(
        tx.get(SPACE, b"a").unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    assert_eq!(tx.get(SPACE, b"b").unwrap(), None);
    drop(tx);
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    assert_eq!(
        tx.get(SPACE, b"a").unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    tx.put(SPACE, b"b", b"two".to_vec(), KEY).unwrap();
    assert_eq!(
        storage.commit(tx).await.unwrap().seq,
        2,
        "numbers stay dense"
    );
    assert!(!rig.alarms.has("storage.rebuilt"));
}

#[tokio::test]
async fn what_was_not_committed_does_not_exist() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", b"one".to_vec(), KEY).unwrap();
    drop(tx);
    assert_eq!(storage.begin(T1).get(SPACE, b"a").unwrap(), None);
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", b"one".to_vec(), KEY).unwrap();
    tx.append(SPACE, b"p", b"two".to_vec(), None, KEY).unwrap();
    storage.commit(tx).await.unwrap();
    let mut tx = storage.begin(T2);
    assert_eq!(tx.get(SPACE, b"a").unwrap(), None);
    assert!(
        tx.scan(SPACE, b"", None, 100, Order::Ascending)
            .unwrap()
            .entries
            .is_empty()
    );
    let plugin = Space::plugin(&"chat".parse().unwrap());
    assert!(
        storage
            .begin(T1)
            .scan(plugin, b"", None, 9, Order::Ascending)
            .unwrap()
            .entries
            .is_empty()
    );
}

#[tokio::test]
async fn scans_page_in_both_directions_over_stored_and_own_rows() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    for key in [b"p1", b"p3", b"p5", b"q1"] {
        tx.put(SPACE, key, key.to_vec(), KEY).unwrap();
    }
    storage.commit(tx).await.unwrap();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"p2", b"own".to_vec(), KEY).unwrap();
    tx.delete(SPACE, b"p3").unwrap();
    tx.increment(SPACE, b"p6", 4).unwrap();
    let keys = |page: &vaxel_storage::Page| -> Vec<String> {
        page.entries
            .iter()
            .map(|(k, _)| String::from_utf8_lossy(k).into_owned())
            .collect()
    };
    let all = tx.scan(SPACE, b"p", None, 100, Order::Ascending).unwrap();
    assert_eq!(keys(&all), ["p1", "p2", "p5", "p6"]);
    assert_eq!(all.next, None);
    assert_eq!(all.entries[3].1, 4_i64.to_be_bytes());
    let mut seen = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = tx
            .scan(SPACE, b"p", after.as_deref(), 1, Order::Descending)
            .unwrap();
        seen.extend(keys(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["p6", "p5", "p2", "p1"]);
    let behind = tx
        .scan(SPACE, b"p", Some(b"p2"), 1, Order::Ascending)
        .unwrap();
    assert_eq!(
        (keys(&behind), behind.next),
        (vec!["p5".to_owned()], Some(b"p5".to_vec()))
    );
    assert!(
        tx.scan(SPACE, b"p", Some(b"zz"), 9, Order::Ascending)
            .unwrap()
            .entries
            .is_empty()
    );
    assert!(
        tx.scan(SPACE, b"p", Some(b"a"), 9, Order::Descending)
            .unwrap()
            .entries
            .is_empty()
    );
    assert_eq!(
        tx.scan(SPACE, b"p", Some(b"zz"), 9, Order::Descending)
            .unwrap()
            .entries
            .len(),
        4
    );
}

#[tokio::test]
async fn an_append_lies_behind_the_earlier_ones_and_its_alias_points_to_it() {
    let rig = Rig::new();
    let storage = rig.open();
    for text in ["first", "second"] {
        let mut tx = storage.begin(T1);
        let alias = format!("alias-{text}").into_bytes();
        tx.append(SPACE, b"log/", text.into(), Some(alias), KEY)
            .unwrap();
        storage.commit(tx).await.unwrap();
    }
    let mut tx = storage.begin(T1);
    let page = tx
        .scan(SPACE, b"log/", None, 10, Order::Descending)
        .unwrap();
    assert_eq!(page.entries[0].1, b"second");
    assert_eq!(page.entries[1].1, b"first");
    let target = tx.get(SPACE, b"alias-first").unwrap().unwrap();
    assert_eq!(target, page.entries[1].0);
    assert_eq!(target.len(), 4 + vaxel_storage::STAMP_LEN);
    assert_eq!(
        tx.get(SPACE, &target).unwrap().as_deref(),
        Some(b"first".as_slice())
    );
}

#[tokio::test]
async fn commit_times_never_go_back() {
    let rig = Rig::new();
    let storage = rig.open();
    let put = |n: u8| {
        let mut tx = storage.begin(T1);
        tx.put(SPACE, &[n], vec![n], KEY).unwrap();
        storage.commit(tx)
    };
    let first = put(1).await.unwrap();
    rig.clock.advance_ms(u64::MAX - 1_699_999_999_999); // wraps to a time before
    let second = put(2).await.unwrap();
    assert!(second.at >= first.at);
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_name() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    let long = vec![1; limits::KEY_LEN_MAX + 1];
    let big = vec![1; limits::VALUE_LEN_MAX + 1];
    let is_too_large = |error: StorageError| error.reason() == Reason::TooLarge;
    assert!(is_too_large(tx.get(SPACE, &long).unwrap_err()));
    assert!(is_too_large(tx.put(SPACE, &long, vec![], KEY).unwrap_err()));
    assert!(is_too_large(
        tx.put(SPACE, b"k", big.clone(), KEY).unwrap_err()
    ));
    assert!(is_too_large(
        tx.append(SPACE, &long, vec![], None, KEY).unwrap_err()
    ));
    assert!(is_too_large(
        tx.publish(SPACE, "a", "t", big, KEY).unwrap_err()
    ));
    let topic = "t".repeat(limits::TOPIC_LEN_MAX + 1);
    assert!(is_too_large(
        tx.publish(SPACE, "a", &topic, vec![], KEY).unwrap_err()
    ));
    let mut tx = storage.begin(T1);
    for n in 0..limits::OPS_MAX as u64 {
        tx.put(SPACE, &n.to_be_bytes(), vec![], KEY).unwrap();
    }
    assert!(is_too_large(tx.delete(SPACE, b"x").unwrap_err()));
    let mut tx = storage.begin(T1);
    for n in 0..4_u8 {
        tx.put(SPACE, &[n], vec![0; 200 * 1024], KEY).unwrap();
    }
    assert!(
        is_too_large(storage.commit(tx).await.unwrap_err()),
        "a record has a maximum too"
    );
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"after", vec![], KEY).unwrap();
    assert_eq!(
        storage.commit(tx).await.unwrap().seq,
        1,
        "a refused commit takes no number"
    );
}

#[tokio::test]
async fn counters_count_and_refuse_what_is_none() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.increment(SPACE, b"n", 2).unwrap();
    tx.increment(SPACE, b"n", 3).unwrap();
    tx.put(SPACE, b"text", b"no counter".to_vec(), KEY).unwrap();
    storage.commit(tx).await.unwrap();
    let mut tx = storage.begin(T1);
    assert_eq!(tx.get(SPACE, b"n").unwrap().unwrap(), 5_i64.to_be_bytes());
    tx.increment(SPACE, b"n", -6).unwrap();
    assert_eq!(
        tx.get(SPACE, b"n").unwrap().unwrap(),
        (-1_i64).to_be_bytes()
    );
    tx.increment(SPACE, b"text", 1).unwrap();
    assert_eq!(
        storage.commit(tx).await.unwrap_err().reason(),
        Reason::Invalid
    );
    let mut tx = storage.begin(T1);
    tx.increment(SPACE, b"n", i64::MAX).unwrap();
    assert_eq!(
        storage.commit(tx).await.unwrap_err().reason(),
        Reason::Invalid
    );
}

#[tokio::test]
async fn a_plugins_collection_is_weighed_and_no_larger_than_it_may_be() {
    let rig = Rig::new();
    let storage = rig.open();
    let notes = Space::plugin(&"notes".parse().unwrap());
    let other = Space::plugin(&"other".parse().unwrap());
    let put = |space, key: &'static [u8], len: usize| {
        let mut tx = storage.begin(T1);
        tx.limit(notes, 1_000);
        tx.put(space, key, vec![7; len], KEY).unwrap();
        storage.commit(tx)
    };
    put(notes, b"a", 500).await.unwrap();
    let weight = storage.usage_of(T1, notes).unwrap();
    assert!(weight > 500 && weight < 650, "{weight}");
    assert!(matches!(
        put(notes, b"b", 500).await,
        Err(StorageError::Full)
    ));
    put(other, b"b", 5_000).await.unwrap();
    put(notes, b"a", 400).await.unwrap();
    assert_eq!(storage.usage_of(T1, notes).unwrap(), weight - 100);
    let mut tx = storage.begin(T1);
    tx.limit(notes, 10);
    tx.delete(notes, b"a").unwrap();
    tx.append(notes, b"log/", vec![1; 20], None, KEY).unwrap();
    storage.commit(tx).await.unwrap();
    let kept = storage.usage_of(T1, notes).unwrap();
    assert!(kept < 200, "what only shrinks is never refused: {kept}");
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    assert_eq!(storage.usage_of(T1, notes).unwrap(), kept);
    assert_eq!(storage.usage_of(T2, notes).unwrap(), 0);
}

#[tokio::test]
async fn a_quota_stops_growth_but_not_deleting() {
    let rig = Rig::new();
    let mut config = rig.config();
    config.quota_bytes_per_tenant = 1_000;
    let storage = rig.try_open(config.clone()).unwrap();
    let put = |key: &'static [u8], len: usize| {
        let mut tx = storage.begin(T1);
        tx.put(SPACE, key, vec![7; len], KEY).unwrap();
        storage.commit(tx)
    };
    put(b"a", 600).await.unwrap();
    assert!(matches!(put(b"b", 600).await, Err(StorageError::Quota)));
    put(b"a", 500).await.unwrap();
    let used = storage.usage(T1);
    assert!(used > 500 && used < 650, "{used}");
    let mut tx = storage.begin(T1);
    tx.delete(SPACE, b"a").unwrap();
    storage.commit(tx).await.unwrap();
    assert_eq!(storage.usage(T1), 0);
    put(b"b", 600).await.unwrap();
    let used = storage.usage(T1);
    storage.close().await;
    drop(storage);
    let storage = rig.try_open(config).unwrap();
    assert_eq!(storage.usage(T1), used, "usage survives a restart");
    assert_eq!(storage.usage(T2), 0);
}

#[tokio::test]
async fn a_destroyed_erasure_key_takes_its_values_along() {
    let rig = Rig::new();
    let storage = rig.open();
    let person = ErasureKey::named(42);
    rig.keyring.create_key(T1, person).unwrap();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", b"kept".to_vec(), KEY).unwrap();
    tx.put(SPACE, b"b", b"theirs".to_vec(), person).unwrap();
    storage.commit(tx).await.unwrap();
    rig.keyring.destroy_key(T1, person).unwrap();
    let mut tx = storage.begin(T1);
    assert_eq!(tx.get(SPACE, b"b").unwrap(), None);
    let page = tx.scan(SPACE, b"", None, 10, Order::Ascending).unwrap();
    assert_eq!(page.entries.len(), 1);
}

#[tokio::test]
async fn a_tenant_without_keys_cannot_write() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(vaxel_core::TenantId::from_u128(0x9999));
    tx.put(SPACE, b"a", vec![], KEY).unwrap();
    assert!(matches!(
        storage.commit(tx).await,
        Err(StorageError::Key(_))
    ));
}

#[tokio::test]
async fn a_second_process_is_told_that_the_data_is_open() {
    let rig = Rig::new();
    let storage = rig.open();
    assert!(matches!(
        rig.try_open(rig.config()),
        Err(StorageError::Locked { .. })
    ));
    storage.close().await;
    drop(storage);
    rig.open();
}

#[tokio::test]
async fn after_close_nothing_is_taken() {
    let rig = Rig::new();
    let storage = rig.open();
    storage.close().await;
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", vec![], KEY).unwrap();
    assert!(matches!(
        storage.commit(tx).await,
        Err(StorageError::Closed)
    ));
}

#[tokio::test]
async fn ids_are_unique_and_ordered() {
    let rig = Rig::new();
    let storage = rig.open();
    let tx = storage.begin(T1);
    let ids: Vec<u128> = (0..1_000).map(|_| tx.new_id()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
}
