//! Whatever a plugin does wrong, its caller gets a typed problem and everybody else goes on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use support::{ACME, GLOBEX, House, faulty_id, plugin_call, user};
use vaxel_core::{Actor, AlarmLevel, Reason};
use vaxel_runtime::{Caller, Health};

#[tokio::test]
async fn each_fault_is_a_typed_problem_and_the_next_call_works() {
    let house = House::new().await;
    let faults = [
        ("trap", Reason::Internal, "plugin-fault"),
        ("loop", Reason::Internal, "plugin-cpu-limit"),
        ("loop_hostcalls", Reason::Internal, "plugin-cpu-limit"),
        ("bomb_memory", Reason::Internal, "plugin-memory-limit"),
        ("deep_recursion", Reason::Internal, "plugin-fault"),
        ("big_reply", Reason::Internal, "plugin-reply-limit"),
        ("bad_json", Reason::Internal, "plugin-bad-answer"),
    ];
    for (n, (method, reason, code)) in (1..).zip(faults) {
        // A good call of somebody else before each, so that this stays a few people's bad luck.
        house
            .call_as(ACME, user(100 + n), "ok", json!({}))
            .await
            .unwrap();
        let problem = house
            .call_as(ACME, user(n), method, json!({}))
            .await
            .unwrap_err();
        assert_eq!(
            (problem.reason, problem.code.as_ref()),
            (reason, code),
            "{method}"
        );
        assert!(
            !problem.detail.contains("src/"),
            "{method}: {}",
            problem.detail
        );
        house.call_as(ACME, user(n), "ok", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn a_plugin_that_asks_for_too_much_is_refused_and_may_go_on() {
    let house = House::new().await;
    let refusals = [
        ("write_too_much", Reason::TooLarge),
        ("write_too_often", Reason::LimitReached),
        ("big_value", Reason::TooLarge),
        ("foreign_topic", Reason::Refused),
    ];
    for (method, reason) in refusals {
        let problem = house.call(ACME, method, json!({})).await.unwrap_err();
        assert_eq!(problem.reason, reason, "{method}: {problem}");
    }
    // Refusals are no faults: the same caller is not held back.
    house.call(ACME, "log_flood", json!({})).await.unwrap();
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_call_that_outlasts_its_time_is_ended() {
    let house = House::with(|config| {
        config.limits.wall_ms = 300;
        config.limits.cpu_ms = 3_600_000;
    })
    .await;
    let problem = house.call(ACME, "loop", json!({})).await.unwrap_err();
    assert_eq!(problem.code, "plugin-timeout");
}

#[tokio::test]
async fn endless_calls_of_one_tenant_do_not_stop_another_nor_its_own_short_ones() {
    let house = House::with(|config| {
        config.workers = 1;
        config.limits.cpu_ms = 3_600_000;
        config.limits.wall_ms = 3_600_000;
    })
    .await;
    let endless: Vec<_> = (0..4)
        .map(|n| {
            let runtime = house.runtime.clone();
            let call = plugin_call(house.cx(ACME).now, ACME, user(n), "loop", json!({}));
            tokio::spawn(async move { runtime.call(call).await })
        })
        .collect();
    for _ in 0..20 {
        house
            .call(GLOBEX, "counter", json!({ "key": "n" }))
            .await
            .unwrap();
        house.call(ACME, "ok", json!({})).await.unwrap();
    }
    assert!(
        endless.iter().all(|call| !call.is_finished()),
        "they ran all the while"
    );
    for call in endless {
        call.abort();
    }
}

#[tokio::test]
async fn more_callers_than_places_wait_for_their_turn() {
    let house = House::new().await;
    let calls = (0..128).map(|n| {
        let runtime = house.runtime.clone();
        let call = plugin_call(
            house.cx(ACME).now,
            ACME,
            user(n),
            "counter",
            json!({ "key": "n" }),
        );
        tokio::spawn(async move { runtime.call(call).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    let counted = house
        .call(ACME, "read", json!({ "key": "n" }))
        .await
        .unwrap();
    assert_eq!(counted, json!({ "value": 128 }));
}

#[tokio::test]
async fn one_caller_who_breaks_a_plugin_waits_while_others_use_it() {
    let house = House::new().await;
    for _ in 0..3 {
        let problem = house
            .call_as(ACME, user(1), "trap", json!({}))
            .await
            .unwrap_err();
        assert_eq!(problem.code, "plugin-fault");
    }
    let held = house
        .call_as(ACME, user(1), "ok", json!({}))
        .await
        .unwrap_err();
    assert_eq!(held.reason, Reason::LimitReached);
    assert!(held.retry_after_ms.is_some());
    house.call_as(ACME, user(2), "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_breaks_for_many_rests_is_suspended_visibly_and_comes_back_by_an_admin() {
    let house = House::new().await;
    for n in 1..=5 {
        house
            .call_as(ACME, user(n), "trap", json!({}))
            .await
            .unwrap_err();
    }
    let resting = house
        .call_as(ACME, user(9), "ok", json!({}))
        .await
        .unwrap_err();
    assert_eq!(
        (resting.reason, resting.code.as_ref()),
        (Reason::Unavailable, "plugin-resting")
    );
    house
        .call_as(GLOBEX, user(9), "ok", json!({}))
        .await
        .unwrap();
    for _ in 0..2 {
        house.clock.advance_ms(60_000);
        house
            .call_as(ACME, user(9), "trap", json!({}))
            .await
            .unwrap_err();
    }
    let state = house.runtime.list(ACME).remove(0);
    assert_eq!(state.health, Health::Suspended);
    assert!(
        house
            .alarms
            .0
            .lock()
            .unwrap()
            .contains(&(AlarmLevel::Warning, "plugin.suspended")),
        "somebody is told"
    );
    house.clock.advance_ms(3_600_000);
    let suspended = house
        .call_as(ACME, user(9), "ok", json!({}))
        .await
        .unwrap_err();
    assert_eq!(suspended.code, "plugin-suspended");
    house
        .runtime
        .enable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    house.call_as(ACME, user(9), "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn an_anonymous_caller_stops_a_plugin_for_nobody_who_is_signed_in() {
    let house = House::new().await;
    for _ in 0..50 {
        let now = house.cx(ACME).now;
        let mut call = plugin_call(now, ACME, user(1), "trap", json!({}));
        call.cx.actor = Actor::Anonymous;
        call.caller = Caller {
            permissions: Arc::new(BTreeSet::from(["faulty.use".to_owned()])),
            ..Caller::default()
        };
        let problem = house.runtime.call(call).await.unwrap_err();
        let codes = ["plugin-fault", "limit"];
        assert!(codes.contains(&problem.code.as_ref()), "{problem:?}");
        house.call(ACME, "ok", json!({})).await.unwrap();
    }
    let state = house.runtime.list(ACME).remove(0);
    assert_eq!(state.health, Health::Running);
    assert!(house.alarms.0.lock().unwrap().is_empty());
}
