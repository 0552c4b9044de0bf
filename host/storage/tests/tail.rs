//! Audiences, events and what somebody missed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use crate::common;

use std::sync::Arc;

use common::{Rig, SPACE, T1, T2, user};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Committed, Cursor, Event, ReplayError, Stamp, Storage, Transaction};

const KEY: ErasureKey = ErasureKey::TENANT;

async fn commit(storage: &Storage, fill: impl FnOnce(&mut Transaction)) -> u64 {
    let mut tx = storage.begin(T1);
    fill(&mut tx);
    storage.commit(tx).await.unwrap().seq
}

fn say(tx: &mut Transaction, audience: &str, text: &str) {
    tx.publish(SPACE, audience, "test.said", text.as_bytes().to_vec(), KEY)
        .unwrap();
}

fn texts(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| String::from_utf8_lossy(&event.payload).into_owned())
        .collect()
}

fn missed(storage: &Storage, who: u128, after: Cursor) -> Vec<String> {
    let until = storage.cursor(T1).stamp;
    texts(&storage.replay(T1, user(who), after, until, 10_000).unwrap())
}

#[tokio::test]
async fn members_get_each_event_once_and_in_order() {
    let rig = Rig::new();
    let storage = rig.open();
    let start = storage.cursor(T1);
    commit(&storage, |tx| {
        tx.join(SPACE, "c/1", user(1)).unwrap();
        tx.join(SPACE, "c/2", user(1)).unwrap();
        tx.join(SPACE, "c/2", user(2)).unwrap();
        say(tx, "c/1", "with the join");
    })
    .await;
    for n in 0..10 {
        commit(&storage, |tx| {
            say(tx, "c/1", &format!("one {n}"));
            say(tx, "c/2", &format!("two {n}"));
        })
        .await;
    }
    let all = missed(&storage, 1, start);
    let mut wanted = vec!["with the join".to_owned()];
    wanted.extend((0..10).flat_map(|n| [format!("one {n}"), format!("two {n}")]));
    assert_eq!(all, wanted);
    assert_eq!(missed(&storage, 2, start).len(), 10);
    assert!(missed(&storage, 3, start).is_empty());
    // Page by page, going on behind the last one, gives the same.
    let (mut after, mut paged) = (start, Vec::new());
    loop {
        let until = storage.cursor(T1).stamp;
        let events = storage.replay(T1, user(1), after, until, 4).unwrap();
        let Some(last) = events.last() else { break };
        after.stamp = last.stamp;
        paged.extend(texts(&events));
    }
    assert_eq!(paged, wanted);
    assert!(missed(&storage, 1, storage.cursor(T1)).is_empty());
}

#[tokio::test]
async fn a_member_sees_what_they_may_now_and_could_then() {
    let rig = Rig::new();
    let storage = rig.open();
    let start = storage.cursor(T1);
    commit(&storage, |tx| say(tx, "c/1", "before")).await;
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    commit(&storage, |tx| say(tx, "c/1", "during")).await;
    assert_eq!(missed(&storage, 1, start), ["during"]);
    // Joining again changes nothing.
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    assert_eq!(missed(&storage, 1, start), ["during"]);
    commit(&storage, |tx| {
        tx.leave(SPACE, "c/1", user(1)).unwrap();
        say(tx, "c/1", "farewell");
    })
    .await;
    assert!(
        missed(&storage, 1, start).is_empty(),
        "who has left sees nothing of it any more"
    );
    commit(&storage, |tx| say(tx, "c/1", "while away")).await;
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    commit(&storage, |tx| say(tx, "c/1", "again")).await;
    assert_eq!(missed(&storage, 1, start), ["again"]);
}

#[tokio::test]
async fn membership_is_known_also_after_a_restart_and_never_across_tenants() {
    let rig = Rig::new();
    let storage = rig.open();
    let seq = commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    let audience = storage.audience_id(T1, SPACE, "c/1").unwrap();
    let wanted = vec![(audience, Stamp { seq, ordinal: 0 })];
    assert_eq!(storage.audiences_of(T1, user(1)).unwrap(), wanted);
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    assert_eq!(storage.audiences_of(T1, user(1)).unwrap(), wanted);
    assert!(storage.audiences_of(T2, user(1)).unwrap().is_empty());
    assert_ne!(storage.audience_id(T2, SPACE, "c/1").unwrap(), audience);
}

#[tokio::test]
async fn followers_hear_every_commit_in_order() {
    let rig = Rig::new();
    let storage = rig.open();
    // A channel of one: the commits wait for the follower.
    let (tail, mut heard) = tokio::sync::mpsc::channel::<Arc<Committed>>(1);
    storage.subscribe(tail);
    let writer = {
        let storage = storage.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                commit(&storage, |tx| {
                    if n == 0 {
                        tx.join(SPACE, "c/1", user(1)).unwrap();
                    }
                    if n == 49 {
                        tx.leave(SPACE, "c/1", user(1)).unwrap();
                    }
                    say(tx, "c/1", &n.to_string());
                })
                .await;
            }
        })
    };
    for n in 0..50_u64 {
        let committed = heard.recv().await.unwrap();
        assert_eq!((committed.tenant, committed.seq), (T1, n + 1));
        assert_eq!(texts(&committed.events), [n.to_string()]);
        assert_eq!(
            committed.events[0].stamp,
            Stamp {
                seq: n + 1,
                ordinal: 0
            }
        );
        assert_eq!(committed.joins.len(), usize::from(n == 0));
        assert_eq!(committed.leaves.len(), usize::from(n == 49));
    }
    writer.await.unwrap();
    drop(heard);
    commit(&storage, |tx| say(tx, "c/1", "nobody hears")).await;
}

#[tokio::test]
async fn ephemeral_events_are_told_and_not_stored() {
    let rig = Rig::new();
    let storage = rig.open();
    let start = storage.cursor(T1);
    let (tail, mut heard) = tokio::sync::mpsc::channel::<Arc<Committed>>(8);
    storage.subscribe(tail);
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    let seq = commit(&storage, |tx| {
        tx.publish_ephemeral(SPACE, "c/1", "test.typing", b"t".to_vec())
            .unwrap();
    })
    .await;
    assert_eq!(seq, 1, "it takes no number");
    heard.recv().await.unwrap();
    let committed = heard.recv().await.unwrap();
    assert_eq!(texts(&committed.ephemeral), ["t"]);
    assert!(committed.events.is_empty());
    assert!(missed(&storage, 1, start).is_empty());
    assert_eq!(storage.verify_chain().unwrap().records, 1);
}

#[tokio::test]
async fn events_go_after_seven_days_and_cursors_from_before_have_expired() {
    let rig = Rig::new();
    let storage = rig.open();
    let start = storage.cursor(T1);
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    for n in 0..2_500 / 500 {
        commit(&storage, |tx| {
            for m in 0..500 {
                say(
                    tx,
                    if m % 2 == 0 { "c/1" } else { "c/2" },
                    &format!("{n}.{m}"),
                );
            }
        })
        .await;
    }
    let old = storage.cursor(T1);
    rig.clock.advance_ms(6 * 24 * 3_600_000);
    commit(&storage, |tx| say(tx, "c/1", "new")).await;
    let sweep = |storage: &Storage| {
        let storage = storage.clone();
        tokio::task::spawn_blocking(move || storage.sweep().unwrap())
    };
    assert_eq!(sweep(&storage).await.unwrap(), 0);
    assert_eq!(missed(&storage, 1, start).len(), 1_251);
    let before = storage.usage(T1);
    rig.clock.advance_ms(2 * 24 * 3_600_000);
    assert_eq!(sweep(&storage).await.unwrap(), 2_500);
    assert!(storage.usage(T1) < before / 10);
    let until = storage.cursor(T1).stamp;
    assert!(matches!(
        storage.replay(T1, user(1), start, until, 9),
        Err(ReplayError::Expired)
    ));
    assert_eq!(missed(&storage, 1, old), ["new"]);
    storage.close().await;
    drop(storage);
    let storage = rig.open();
    assert!(matches!(
        storage.replay(T1, user(1), start, until, 9),
        Err(ReplayError::Expired)
    ));
    assert_eq!(missed(&storage, 1, old), ["new"]);
}

#[tokio::test]
async fn a_cursor_of_another_history_or_of_the_future_has_expired() {
    let rig = Rig::new();
    let storage = rig.open();
    commit(&storage, |tx| tx.join(SPACE, "c/1", user(1)).unwrap()).await;
    let cursor = storage.cursor(T1);
    let until = cursor.stamp;
    let other = Cursor {
        epoch: cursor.epoch ^ 1,
        ..cursor
    };
    assert!(matches!(
        storage.replay(T1, user(1), other, until, 9),
        Err(ReplayError::Expired)
    ));
    let future = Cursor {
        stamp: Stamp {
            seq: 99,
            ordinal: 0,
        },
        ..cursor
    };
    assert!(matches!(
        storage.replay(T1, user(1), future, until, 9),
        Err(ReplayError::Expired)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_stands_still_is_as_many_commits_behind_as_it_takes_and_no_more() {
    const HELD: usize = 5;
    let rig = Rig::new();
    let storage = rig.open();
    let (sender, mut tail) = tokio::sync::mpsc::channel(HELD);
    storage.subscribe(sender);
    let mut tasks = tokio::task::JoinSet::new();
    let mut told = Vec::new();
    // Both tenants commit as fast as they can, one commit after the other.
    for tenant in [T1, T2] {
        let storage = storage.clone();
        let (answered, answers) = tokio::sync::watch::channel(0_usize);
        told.push(answers);
        tasks.spawn(async move {
            for n in 1..=50 {
                let mut tx = storage.begin(tenant);
                say(&mut tx, "c/1", "hej");
                storage.commit(tx).await.unwrap();
                answered.send_replace(n);
            }
        });
    }
    let answered = |told: &[tokio::sync::watch::Receiver<usize>]| -> usize {
        told.iter().map(|answers| *answers.borrow()).sum()
    };
    let mut taken = 0;
    while taken < 100 {
        // What it holds, and the one that waits at its door: of both tenants together.
        assert!(answered(&told) <= taken + HELD + 1);
        assert!(tail.recv().await.is_some());
        taken += 1;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(answered(&told), 100);
}
