//! Many callers at once: serializable, and without conflicts where none are needed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Dice, Rig, SPACE, T1};
use parking_lot::Mutex;
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Storage, StorageError, limits};

const KEY: ErasureKey = ErasureKey::TENANT;
const KEYS: u64 = 6;

/// One operation of a transaction, with what it saw.
#[derive(Debug)]
enum Step {
    Get(u64, Option<u64>),
    Scan(Vec<(u64, u64)>),
    Put(u64, u64),
    Delete(u64),
    Add(u64, i64),
}

fn key(number: u64) -> [u8; 2] {
    [b'k', number as u8]
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value.try_into().unwrap())
}

/// Runs a random transaction; `None` when it conflicted.
async fn random_transaction(storage: &Storage, dice: &mut Dice) -> Option<(u64, bool, Vec<Step>)> {
    let mut tx = storage.begin(T1);
    let mut steps = Vec::new();
    let writes = dice.roll(4) != 0;
    for _ in 0..=dice.roll(5) {
        let k = dice.roll(KEYS);
        let step = match (dice.roll(5), writes) {
            (0 | 1, _) | (_, false) if dice.roll(3) != 0 => match tx.get(SPACE, &key(k)) {
                Ok(value) => Step::Get(k, value.map(|v| number(&v))),
                Err(error) => {
                    assert!(error.is_conflict(), "{error}");
                    return None;
                }
            },
            (0 | 1, _) | (_, false) => {
                let order = if dice.roll(2) == 0 {
                    Order::Ascending
                } else {
                    Order::Descending
                };
                match tx.scan(SPACE, b"k", None, 100, order) {
                    Ok(page) => {
                        let mut rows: Vec<_> = page
                            .entries
                            .iter()
                            .map(|(k, v)| (u64::from(k[1]), number(v)))
                            .collect();
                        rows.sort_unstable();
                        Step::Scan(rows)
                    }
                    Err(error) => {
                        assert!(error.is_conflict(), "{error}");
                        return None;
                    }
                }
            }
            (2, _) => {
                let value = dice.roll(1 << 40);
                tx.put(SPACE, &key(k), value.to_be_bytes().to_vec(), KEY)
                    .unwrap();
                Step::Put(k, value)
            }
            (3, _) => {
                tx.delete(SPACE, &key(k)).unwrap();
                Step::Delete(k)
            }
            _ => {
                tx.increment(SPACE, &key(k), 1).unwrap();
                Step::Add(k, 1)
            }
        };
        steps.push(step);
        if dice.roll(3) == 0 {
            tokio::task::yield_now().await;
        }
    }
    let is_reader = tx.is_read_only();
    match storage.commit(tx).await {
        Ok(commit) => Some((commit.seq, is_reader, steps)),
        Err(error) => {
            assert!(error.is_conflict(), "{error}");
            None
        }
    }
}

/// Replays what was committed, one by one in the order of the numbers, and compares what each saw.
fn check_against_model(mut done: Vec<(u64, bool, Vec<Step>)>) {
    // A reader with the number n read as of commit n.
    done.sort_by_key(|(seq, is_reader, _)| (*seq, *is_reader));
    let mut model: BTreeMap<u64, u64> = BTreeMap::new();
    let mut last = 0;
    for (seq, is_reader, steps) in done {
        if !is_reader {
            assert_eq!(seq, last + 1, "numbers are dense");
            last = seq;
        }
        for step in steps {
            match step {
                Step::Get(k, seen) => {
                    assert_eq!(model.get(&k).copied(), seen, "commit {seq} key {k}")
                }
                Step::Scan(seen) => {
                    let all: Vec<_> = model.iter().map(|(k, v)| (*k, *v)).collect();
                    assert_eq!(all, seen, "commit {seq}");
                }
                Step::Put(k, value) => {
                    model.insert(k, value);
                }
                Step::Delete(k) => {
                    model.remove(&k);
                }
                Step::Add(k, by) => {
                    let value = model.entry(k).or_default();
                    *value = value.wrapping_add_signed(by);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_transactions_are_as_if_one_came_after_the_other() {
    for seed in 0..6 {
        let rig = Rig::new();
        let storage = rig.open();
        let done = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let (storage, done) = (storage.clone(), Arc::clone(&done));
                tokio::spawn(async move {
                    let mut dice = Dice(seed * 1_000 + task);
                    for _ in 0..60 {
                        if let Some(result) = random_transaction(&storage, &mut dice).await {
                            done.lock().push(result);
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let done = std::mem::take(&mut *done.lock());
        assert!(done.len() > 100, "only {} of 480 went through", done.len());
        check_against_model(done);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_and_appends_never_conflict() {
    let rig = Rig::new();
    let storage = rig.open();
    let tasks: Vec<_> = (0..16_u8)
        .map(|task| {
            let storage = storage.clone();
            tokio::spawn(async move {
                for round in 0..40_u8 {
                    let mut tx = storage.begin(T1);
                    tx.increment(SPACE, b"n", 1).unwrap();
                    tx.append(
                        SPACE,
                        b"log/",
                        vec![task, round],
                        Some(vec![9, task, round]),
                        KEY,
                    )
                    .unwrap();
                    tx.publish(SPACE, "everybody", "test.happened", vec![task], KEY)
                        .unwrap();
                    storage.commit(tx).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut tx = storage.begin(T1);
    assert_eq!(tx.get(SPACE, b"n").unwrap().unwrap(), 640_i64.to_be_bytes());
    let page = tx
        .scan(SPACE, b"log/", None, 1_000, Order::Ascending)
        .unwrap();
    assert_eq!(page.entries.len(), 640);
    assert_eq!(storage.verify_chain().unwrap().records, 640);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_of_a_list_that_grows_never_conflicts() {
    let rig = Rig::new();
    let storage = rig.open();
    let writer = {
        let storage = storage.clone();
        tokio::spawn(async move {
            for n in 0..300_u16 {
                let mut tx = storage.begin(T1);
                tx.append(SPACE, b"log/", n.to_be_bytes().to_vec(), None, KEY)
                    .unwrap();
                storage.commit(tx).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let mut tx = storage.begin(T1);
        let first = tx
            .scan(SPACE, b"log/", None, 1_000, Order::Descending)
            .unwrap();
        tokio::task::yield_now().await;
        let again = tx
            .scan(SPACE, b"log/", None, 1_000, Order::Descending)
            .unwrap();
        assert_eq!(first, again, "a reader sees one moment");
        let commit = storage.commit(tx).await.unwrap();
        assert_eq!(first.entries.len() as u64, commit.seq);
    }
    writer.await.unwrap();
}

async fn put(storage: &Storage, key: &[u8], value: &[u8]) {
    let mut tx = storage.begin(T1);
    tx.put(SPACE, key, value.to_vec(), KEY).unwrap();
    storage.commit(tx).await.unwrap();
}

#[tokio::test]
async fn a_writer_whose_reads_were_overwritten_conflicts() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, b"a", b"1").await;
    let mut tx = storage.begin(T1);
    tx.get(SPACE, b"a").unwrap();
    tx.put(SPACE, b"b", b"from a".to_vec(), KEY).unwrap();
    put(&storage, b"a", b"2").await;
    assert!(matches!(
        storage.commit(tx).await,
        Err(StorageError::Conflict)
    ));
    assert_eq!(storage.begin(T1).get(SPACE, b"b").unwrap(), None);
}

#[tokio::test]
async fn a_writer_whose_missing_key_came_to_be_conflicts() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    assert_eq!(tx.get(SPACE, b"login").unwrap(), None);
    tx.put(SPACE, b"login", b"mine".to_vec(), KEY).unwrap();
    put(&storage, b"login", b"theirs").await;
    assert!(storage.commit(tx).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_writer_conflicts_on_a_phantom_in_what_it_scanned() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, b"p1", b"1").await;
    put(&storage, b"p9", b"1").await;
    // Read as far as p1 only: what comes behind does not matter.
    let mut short = storage.begin(T1);
    assert_eq!(
        short
            .scan(SPACE, b"p", None, 1, Order::Ascending)
            .unwrap()
            .entries
            .len(),
        1
    );
    short.put(SPACE, b"seen", b"1".to_vec(), KEY).unwrap();
    let mut whole = storage.begin(T1);
    whole.scan(SPACE, b"p", None, 9, Order::Ascending).unwrap();
    whole.put(SPACE, b"seen", b"2".to_vec(), KEY).unwrap();
    let mut appended = storage.begin(T1);
    appended
        .scan(SPACE, b"q", None, 9, Order::Ascending)
        .unwrap();
    appended.put(SPACE, b"seen", b"3".to_vec(), KEY).unwrap();
    put(&storage, b"p5", b"phantom").await;
    let mut tx = storage.begin(T1);
    tx.append(SPACE, b"q", b"phantom".to_vec(), None, KEY)
        .unwrap();
    storage.commit(tx).await.unwrap();
    assert!(storage.commit(whole).await.unwrap_err().is_conflict());
    assert!(storage.commit(appended).await.unwrap_err().is_conflict());
    storage.commit(short).await.unwrap();
}

#[tokio::test]
async fn blind_writes_do_not_conflict() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut tx = storage.begin(T1);
    tx.put(SPACE, b"a", b"late".to_vec(), KEY).unwrap();
    put(&storage, b"a", b"early").await;
    storage.commit(tx).await.unwrap();
    assert_eq!(
        storage.begin(T1).get(SPACE, b"a").unwrap().unwrap(),
        b"late"
    );
}

#[tokio::test]
async fn a_read_of_something_newer_moves_an_untouched_start_forward() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, b"a", b"1").await;
    put(&storage, b"b", b"1").await;
    let mut fresh = storage.begin(T1);
    let mut used = storage.begin(T1);
    assert_eq!(used.get(SPACE, b"a").unwrap().unwrap(), b"1");
    put(&storage, b"a", b"2").await;
    put(&storage, b"b", b"2").await;
    assert_eq!(fresh.get(SPACE, b"b").unwrap().unwrap(), b"2");
    assert_eq!(storage.commit(fresh).await.unwrap().seq, 4);
    // It saw a as it was before, so it must not see b as it is now.
    assert!(matches!(used.get(SPACE, b"b"), Err(StorageError::Stale)));
}

#[tokio::test]
async fn a_reader_does_not_miss_what_was_deleted_after_its_start() {
    let rig = Rig::new();
    let storage = rig.open();
    put(&storage, b"p1", b"1").await;
    put(&storage, b"p2", b"1").await;
    let mut tx = storage.begin(T1);
    assert!(tx.get(SPACE, b"p2").unwrap().is_some());
    let mut other = storage.begin(T1);
    other.delete(SPACE, b"p1").unwrap();
    other.put(SPACE, b"p2", b"2".to_vec(), KEY).unwrap();
    storage.commit(other).await.unwrap();
    assert!(matches!(tx.get(SPACE, b"p1"), Err(StorageError::Stale)));
    assert!(matches!(
        tx.scan(SPACE, b"p", None, 9, Order::Ascending),
        Err(StorageError::Stale)
    ));
}

#[tokio::test]
async fn a_transaction_older_than_the_memory_of_commits_conflicts() {
    let rig = Rig::new();
    let storage = rig.open();
    let mut old = storage.begin(T1);
    assert_eq!(old.get(SPACE, b"untouched").unwrap(), None);
    old.put(SPACE, b"x", b"1".to_vec(), KEY).unwrap();
    let mut pending = Vec::new();
    for _ in 0..limits::WINDOW_COMMITS_MAX + 5 {
        let mut tx = storage.begin(T1);
        tx.increment(SPACE, b"n", 1).unwrap();
        let storage = storage.clone();
        pending.push(tokio::spawn(async move { storage.commit(tx).await }));
    }
    for commit in pending {
        commit.await.unwrap().unwrap();
    }
    put(&storage, b"last", b"1").await;
    assert!(storage.commit(old).await.unwrap_err().is_conflict());
}
