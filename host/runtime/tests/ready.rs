//! Instances that are ready follow the load, never fall under the floor, and remember nothing.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use std::time::Duration;

use serde_json::json;
use support::{ACME, GLOBEX, House, user};
use tokio::task::JoinSet;
use vaxel_core::Clock as _;
use vaxel_runtime::ReadyState;

/// Waits until it is so, however slow the machine is.
async fn until(house: &House, is_so: impl Fn(&[ReadyState]) -> bool) -> Vec<ReadyState> {
    loop {
        let ready = house.runtime.ready();
        if is_so(&ready) {
            return ready;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_plugin_that_is_on_has_its_floor_ready_before_and_behind_a_call_and_none_when_it_is_off()
{
    let house = House::with(|config| config.limits.ready_min = 2).await;
    let at_floor = |ready: &[ReadyState]| ready.iter().all(|one| one.ready == 2);
    let ready = until(&house, at_floor).await;
    let [one] = ready.as_slice() else {
        panic!("one version for both organizations, not {ready:?}");
    };
    assert_eq!((one.plugin.as_str(), one.wanted), ("faulty", 2));
    for _ in 0..5 {
        house.call(ACME, "ok", json!({})).await.unwrap();
        until(&house, at_floor).await;
    }
    for tenant in [ACME, GLOBEX] {
        let faulty = support::faulty_id();
        let cx = house.cx(tenant);
        house.runtime.disable(&cx, &faulty).await.unwrap();
    }
    assert!(house.runtime.ready().is_empty());
}

#[tokio::test]
async fn what_is_ready_grows_with_calls_at_one_time_and_falls_back_to_the_floor() {
    let house = House::new().await;
    // Each goes on until its processor time is used up.
    let mut calls = JoinSet::new();
    for n in 1..=5 {
        let call = support::plugin_call(house.clock.now(), ACME, user(n), "loop", json!({}));
        let runtime = house.runtime.clone();
        calls.spawn(async move { runtime.call(call).await });
    }
    let grown = until(&house, |ready| ready.iter().all(|one| one.wanted >= 4)).await;
    while let Some(ended) = calls.join_next().await {
        ended.unwrap().unwrap_err();
    }
    assert!(grown[0].wanted <= 8, "never more than the most");
    let back = until(&house, |ready| {
        ready.iter().all(|one| one.wanted == 1 && one.ready == 1)
    });
    assert_eq!(back.await.len(), 1);
}

#[tokio::test]
async fn an_instance_that_was_ready_remembers_no_call_and_serves_any_organization() {
    let house = House::with(|config| config.limits.ready_max = 4).await;
    for n in 0..6 {
        until(&house, |ready| ready.iter().all(|one| one.ready > 0)).await;
        let tenant = if n % 2 == 0 { ACME } else { GLOBEX };
        let remembered = house.call(tenant, "remember", json!({})).await.unwrap();
        assert_eq!(remembered, json!({"value": 1}), "the first of its instance");
        let me = house.call_as(tenant, user(n + 1), "whoami", json!({}));
        assert_eq!(me.await.unwrap()["user"], user(n + 1).to_string());
    }
}
