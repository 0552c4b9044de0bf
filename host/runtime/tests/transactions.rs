//! One call is one transaction, and retries are safe.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use serde_json::json;
use support::{ACME, GLOBEX, House, faulty_id, plugin_call, user};
use vaxel_core::Reason;

#[tokio::test]
async fn a_call_that_fails_leaves_nothing_behind() {
    let house = House::new().await;
    let (tail, mut committed) = tokio::sync::mpsc::channel(16);
    house.storage.subscribe(tail);
    let failed = house
        .call(ACME, "write_then_fail", json!({ "key": "k" }))
        .await
        .unwrap_err();
    assert_eq!(
        (failed.reason, failed.code.as_ref()),
        (Reason::Refused, "on-purpose")
    );
    let broken = house
        .call(ACME, "write_then_trap", json!({ "key": "k" }))
        .await
        .unwrap_err();
    assert_eq!(broken.code, "plugin-fault");
    let read = house
        .call(ACME, "read", json!({ "key": "k" }))
        .await
        .unwrap();
    assert_eq!(read, json!({ "value": 0 }));
    assert!(committed.try_recv().is_err(), "nothing was committed");
}

#[tokio::test]
async fn what_a_call_writes_and_tells_arrives_together() {
    let house = House::new().await;
    let (tail, mut committed) = tokio::sync::mpsc::channel(16);
    house.storage.subscribe(tail);
    house
        .call(ACME, "publish", json!({ "text": "hej" }))
        .await
        .unwrap();
    let commit = committed.recv().await.unwrap();
    assert_eq!(commit.tenant, ACME);
    assert_eq!(commit.joins.len(), 1);
    assert_eq!(commit.events.len(), 1);
    assert_eq!(&*commit.events[0].topic, "faulty.told");
    assert_eq!(&commit.events[0].payload[..], br#"{"text":"hej"}"#);
    assert_eq!(commit.ephemeral.len(), 1);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let house = House::new().await;
    house
        .people
        .0
        .lock()
        .unwrap()
        .insert((ACME, user(1)), "Anna".to_owned());
    house
        .people
        .0
        .lock()
        .unwrap()
        .insert((GLOBEX, user(2)), "Greta".to_owned());
    house
        .call(ACME, "counter", json!({ "key": "k" }))
        .await
        .unwrap();
    let read = house
        .call(GLOBEX, "read", json!({ "key": "k" }))
        .await
        .unwrap();
    assert_eq!(read, json!({ "value": 0 }));
    let greta = user(2).to_string();
    let people = house
        .call(ACME, "people", json!({ "key": greta }))
        .await
        .unwrap();
    assert_eq!(people, json!({ "names": ["Anna"], "unknown": true }));
}

#[tokio::test]
async fn increments_of_many_callers_all_count() {
    let house = House::new().await;
    let calls = (0..50).map(|n| {
        let runtime = house.runtime.clone();
        let call = plugin_call(
            house.cx(ACME).now,
            ACME,
            user(n),
            "counter",
            json!({ "key": "k" }),
        );
        tokio::spawn(async move { runtime.call(call).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let read = house
        .call(ACME, "read", json!({ "key": "k" }))
        .await
        .unwrap();
    assert_eq!(read, json!({ "value": 50 }));
}

async fn read_modify_write(house: &House, callers: u128) -> (i64, usize) {
    let calls = (0..callers).map(|n| {
        let runtime = house.runtime.clone();
        let params = json!({ "key": "k" });
        let call = plugin_call(
            house.cx(ACME).now,
            ACME,
            user(n),
            "read_modify_write",
            params,
        );
        tokio::spawn(async move { runtime.call(call).await })
    });
    let mut succeeded = 0;
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap() {
            Ok(_) => succeeded += 1,
            Err(problem) => {
                assert_eq!(
                    (problem.reason, problem.code.as_ref()),
                    (Reason::Conflict, "conflict")
                );
            }
        }
    }
    let read = house
        .call(ACME, "read", json!({ "key": "k" }))
        .await
        .unwrap();
    (read["value"].as_i64().unwrap(), succeeded)
}

#[tokio::test]
async fn a_call_that_met_somebody_elses_write_runs_again() {
    let house = House::with(|config| config.limits.reruns = 200).await;
    assert_eq!(read_modify_write(&house, 12).await, (12, 12));
}

#[tokio::test]
async fn what_conflicts_too_often_is_told_so_and_changes_nothing() {
    let house = House::with(|config| config.limits.reruns = 0).await;
    let (value, succeeded) = read_modify_write(&house, 30).await;
    assert_eq!(value, i64::try_from(succeeded).unwrap());
    assert!(succeeded > 0);
}

#[tokio::test]
async fn a_retry_with_the_same_key_is_answered_and_not_run() {
    let house = House::new().await;
    let params = || json!({ "key": "k" });
    for _ in 0..3 {
        house
            .call_with_key(user(1), "counter", params(), "once")
            .await
            .unwrap();
    }
    let read = house.call(ACME, "read", params()).await.unwrap();
    assert_eq!(read, json!({ "value": 1 }));
    // Somebody else's key of the same name is another key.
    house
        .call_with_key(user(2), "counter", params(), "once")
        .await
        .unwrap();
    let other = json!({ "key": "other" });
    let refused = house
        .call_with_key(user(1), "counter", other, "once")
        .await
        .unwrap_err();
    assert_eq!(
        (refused.reason, refused.code.as_ref()),
        (Reason::Refused, "idempotency-mismatch")
    );
    house.clock.advance_ms(24 * 60 * 60 * 1_000);
    house
        .call_with_key(user(1), "counter", params(), "once")
        .await
        .unwrap();
    let read = house.call(ACME, "read", params()).await.unwrap();
    assert_eq!(read, json!({ "value": 3 }));
}

#[tokio::test]
async fn concurrent_retries_of_one_request_run_once() {
    let house = House::with(|config| config.limits.reruns = 200).await;
    let calls = (0..10).map(|_| {
        let runtime = house.runtime.clone();
        let params = json!({ "key": "k" });
        let mut call = plugin_call(
            house.cx(ACME).now,
            ACME,
            user(1),
            "read_modify_write",
            params,
        );
        call.idempotency_key = Some("once".to_owned());
        tokio::spawn(async move { runtime.call(call).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(&call.await.unwrap().unwrap()[..], br#"{"value":1}"#);
    }
}

#[tokio::test]
async fn a_retry_is_authorized_again() {
    let house = House::new().await;
    let params = json!({ "key": "k" });
    house
        .call_with_key(user(1), "counter", params.clone(), "once")
        .await
        .unwrap();
    house
        .runtime
        .disable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    let refused = house
        .call_with_key(user(1), "counter", params, "once")
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
}

#[tokio::test]
async fn no_memory_outlives_a_call() {
    let house = House::new().await;
    for _ in 0..3 {
        let kept = house.call(ACME, "remember", json!({})).await.unwrap();
        assert_eq!(kept, json!({ "value": 1 }));
    }
    assert_eq!(
        house.call(ACME, "recall", json!({})).await.unwrap(),
        json!({ "value": 0 })
    );
}

#[tokio::test]
async fn randomness_differs_from_call_to_call() {
    let house = House::new().await;
    let first = house.call(ACME, "random", json!({})).await.unwrap();
    let second = house.call(ACME, "random", json!({})).await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn remembered_answers_are_forgotten_when_their_time_is_over() {
    let house = House::new().await;
    let params = json!({ "key": "k" });
    let remembered = || {
        let mut tx = house.storage.begin(ACME);
        let space = vaxel_storage::Space::host(0x30);
        let page = tx
            .scan(space, &[], None, 100, vaxel_storage::Order::Ascending)
            .unwrap();
        page.entries.len()
    };
    for n in 0..5 {
        house
            .call_with_key(user(n), "counter", params.clone(), "once")
            .await
            .unwrap();
    }
    assert_eq!(remembered(), 5);
    house.clock.advance_ms(3 * 24 * 60 * 60 * 1_000);
    house
        .call_with_key(user(9), "counter", params.clone(), "again")
        .await
        .unwrap();
    // Swept behind the call's back.
    while remembered() > 1 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
