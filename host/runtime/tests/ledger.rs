//! What plugins use is counted, written down, and in the audit: in rows or in totals, never twice and never not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{ACME, GLOBEX, House, user};
use vaxel_core::{Clock as _, PluginId, Problem, Reason, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_runtime::Budget;
use vaxel_storage::{Order, Space};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn faulty() -> PluginId {
    "faulty".parse().unwrap()
}

/// The audit's entries about uses.
fn audit(house: &House, tenant: TenantId) -> Vec<Value> {
    let mut tx = house.storage.begin(tenant);
    let rows = tx.scan(Space::host(0x20), &[], None, 500, Order::Ascending);
    let entries = rows.unwrap().entries;
    let parsed = entries
        .iter()
        .map(|(_, row)| serde_json::from_slice(&row[1..]).unwrap());
    parsed
        .filter(|entry: &Value| entry["used"].is_object())
        .collect()
}

/// What an organization decides that lets the plugin have all it asks for but events.
async fn granted_without_events(house: &House) {
    let granted = ["storage", "identity", "clock", "crypto", "log"].map(|name| (name, json!([])));
    let switch = json!({"on": true, "granted": BTreeMap::from(granted)});
    let row = [vec![2], switch.to_string().into_bytes()].concat();
    let mut tx = house.storage.begin(ACME);
    tx.put(Space::host(0x31), b"faulty", row, ErasureKey::TENANT)
        .unwrap();
    house.storage.commit(tx).await.unwrap();
}

fn counted(entries: &[Value]) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (name, count) in entries
        .iter()
        .flat_map(|e| e["used"]["counts"].as_object().unwrap())
    {
        *sum.entry(name.clone()).or_default() += count.as_u64().unwrap();
    }
    sum
}

#[tokio::test]
async fn the_count_of_uses_is_the_count_of_rows_and_totals() {
    let house = House::new().await;
    for _ in 0..5 {
        house
            .call(ACME, "counter", json!({"key": "a"}))
            .await
            .unwrap();
    }
    house
        .call(ACME, "publish", json!({"text": "hej"}))
        .await
        .unwrap();
    house.call(ACME, "trap", json!({})).await.unwrap_err();
    house
        .call(ACME, "write_then_fail", json!({"key": "b"}))
        .await
        .unwrap_err();
    house.call(GLOBEX, "ok", json!({})).await.unwrap();
    house.runtime.close_books().await;

    let used = house.runtime.used(ACME, Some(&faulty()), 1).await.unwrap();
    let [(_, today)] = used.as_slice() else {
        panic!("one plugin on one day, not {used:?}");
    };
    assert_eq!(today.day, "2027-01-15");
    assert_eq!((today.calls, today.faults, today.refusals), (8, 1, 1));
    assert_eq!((today.uses["storage"], today.uses["events"]), (6, 4));
    assert!(today.memory_bytes_max > 0 && today.written_bytes > 0);
    let of_works: u64 = today.works.iter().map(|work| work.calls).sum();
    assert_eq!(of_works, today.calls, "the parts are the whole");
    assert_eq!(counted(&audit(&house, ACME)), today.uses);
    // Closing the books again finds nothing that the audit lacks.
    house.runtime.close_books().await;
    assert_eq!(counted(&audit(&house, ACME)), today.uses);
    let other = house.runtime.used(GLOBEX, None, 1).await.unwrap();
    assert_eq!(
        other[0].1.calls, 1,
        "each organization has its own accounts"
    );
}

#[tokio::test]
async fn what_was_not_granted_is_in_the_audit_before_the_caller_knows() {
    let house = House::new().await;
    let runtime = house.restarted(house.keyring.clone());
    let mut files = support::faulty();
    let asked = "name = \"events\"\n";
    assert!(files.manifest.contains(asked));
    files.manifest = files
        .manifest
        .replace(asked, "name = \"events\"\nrequired = false\n");
    runtime.install(files).await.unwrap();
    granted_without_events(&house).await;
    let call = async |method: &str, params| {
        let call = support::plugin_call(house.clock.now(), ACME, user(1), method, params);
        let reply = runtime.call(call).await?;
        Ok::<Value, Problem>(serde_json::from_slice(&reply).unwrap())
    };
    let refused = call("write_then_fail", json!({"key": "b"})).await;
    assert_eq!(refused.unwrap_err().reason, Reason::Forbidden);
    let entries = audit(&house, ACME);
    let [entry] = entries.as_slice() else {
        panic!("one refusal, not {entries:?}");
    };
    assert_eq!(entry["actor"], "plugin:faulty");
    assert_eq!(entry["outcome"], "refused");
    assert_eq!(entry["used"]["version"], "0.1.0");
    assert_eq!(entry["used"]["work"], "method write_then_fail");
    assert_eq!(entry["used"]["counts"], json!({"events": 1}));
    let left = call("read", json!({"key": "b"})).await.unwrap();
    assert_eq!(left, json!({"value": 0}), "what the guest wrote is gone");
}

#[tokio::test]
async fn accounts_of_one_day_go_on_behind_a_restart() {
    let house = House::new().await;
    house.call(ACME, "ok", json!({})).await.unwrap();
    house.runtime.close_books().await;
    let again = House {
        runtime: house.restarted(house.keyring.clone()),
        ..house
    };
    again.runtime.install(support::faulty()).await.unwrap();
    again.call(ACME, "ok", json!({})).await.unwrap();
    again.clock.advance_ms(DAY_MS);
    again.call(ACME, "ok", json!({})).await.unwrap();
    let used = again.runtime.used(ACME, None, 2).await.unwrap();
    let calls: Vec<u64> = used.iter().map(|(_, day)| day.calls).collect();
    assert_eq!(calls, [1, 2], "the newest day first");
    let only_today = again.runtime.used(ACME, None, 1).await.unwrap();
    assert_eq!(only_today.len(), 1);
}

#[tokio::test]
async fn an_organization_that_has_used_up_its_day_waits_for_the_next_and_harms_nobody() {
    let house = House::with(|config| {
        config.budget = Budget {
            processor_ms_per_day: 1,
            ..Budget::default()
        };
    })
    .await;
    // Runs until its processor time is used up, far more than a millisecond.
    house.call(ACME, "loop", json!({})).await.unwrap_err();
    for _ in 0..3 {
        let refused = house.call(ACME, "ok", json!({})).await.unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert_eq!(refused.code, "plugin-budget");
        let wait_ms = u64::from(refused.retry_after_ms.unwrap());
        assert_eq!(
            (house.clock.now().0 + wait_ms) % DAY_MS,
            0,
            "until midnight"
        );
    }
    {
        let told = house.alarms.0.lock().unwrap();
        let told = told.iter().filter(|(_, code)| *code == "plugin.budget");
        assert_eq!(told.count(), 1, "once");
    }
    house.call(GLOBEX, "ok", json!({})).await.unwrap();
    let state = house.runtime.budget(ACME).unwrap();
    assert!(state.processor_ms >= state.processor_ms_max);
    house.clock.advance_ms(DAY_MS);
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_stores_as_much_as_it_may_is_refused_and_harms_nobody() {
    let house = House::with(|config| config.limits.plugin_stored_bytes = 50_000).await;
    let text = "x".repeat(20_000);
    let store = async |tenant| {
        let params = json!({"text": text});
        house.call(tenant, "read_write_scan", params).await
    };
    store(ACME).await.unwrap();
    store(ACME).await.unwrap();
    for _ in 0..3 {
        let refused = store(ACME).await.unwrap_err();
        assert_eq!(refused.reason, Reason::LimitReached);
        assert_eq!(refused.code, "plugin-storage");
    }
    {
        let told = house.alarms.0.lock().unwrap();
        let told = told.iter().filter(|(_, code)| *code == "plugin.storage");
        assert_eq!(told.count(), 1, "once a day");
    }
    store(GLOBEX).await.unwrap();
    house.call(ACME, "ok", json!({})).await.unwrap();
    let stored = house.runtime.stored(ACME, &faulty()).await.unwrap();
    assert!(stored.row_bytes > 40_000 && stored.row_bytes <= 50_000);
    let other = house.runtime.stored(GLOBEX, &faulty()).await.unwrap();
    assert!(other.row_bytes > 20_000 && other.row_bytes < 25_000);
    let state = house.runtime.budget(ACME).unwrap();
    assert_eq!(state.stored_bytes_max, 50_000);
}

#[tokio::test]
async fn what_a_plugin_would_have_touched_is_not_what_it_asks_for() {
    let house = House::new().await;
    house
        .call(ACME, "counter", json!({"key": "a"}))
        .await
        .unwrap();
    house.runtime.close_books().await;
    let before = house.storage.cursor(ACME);
    let touched = house
        .runtime
        .would_touch(ACME, &faulty(), None, 7)
        .await
        .unwrap();
    assert_eq!(house.storage.cursor(ACME), before, "nothing is kept");
    let used: Vec<_> = touched.items.iter().filter(|item| item.uses > 0).collect();
    let used: Vec<&str> = used.iter().map(|item| item.ask.as_str()).collect();
    assert_eq!(used, ["storage"], "of six things that it asks for");
    assert_eq!(
        touched.unused,
        ["events", "identity", "clock", "crypto", "log"]
    );
}

#[tokio::test]
async fn what_a_plugin_would_have_touched_is_replayed_from_what_happened() {
    let house = House::new().await;
    let told = async |text: &str| {
        let params = json!({"text": text});
        house.call(ACME, "publish", params).await.unwrap();
    };
    told("long ago").await;
    house.clock.advance_ms(2 * DAY_MS);
    told("one").await;
    told("two").await;
    told("trap").await;
    for _ in 0..2 {
        let params = json!({"key": "n"});
        house.call(ACME, "counter", params).await.unwrap();
    }
    // Nobody has it on: it is asked about before anybody consents.
    let worker = house.runtime.install(support::worker());
    let worker = worker.await.unwrap();
    house.runtime.close_books().await;
    let before = house.storage.cursor(ACME);
    let touched = async |days| {
        let touched = house.runtime.would_touch(ACME, &worker, None, days).await;
        touched.unwrap()
    };
    let today = touched(1).await;
    assert_eq!(house.storage.cursor(ACME), before, "nothing is kept");
    assert_eq!(today.events_replayed, 3);
    let of = |touched: &vaxel_runtime::WouldTouch, ask: &str| {
        let item = touched.items.iter().find(|item| item.ask == ask);
        item.unwrap().uses
    };
    assert_eq!(of(&today, "events:faulty.told"), 3);
    assert_eq!(of(&today, "after:faulty/counter"), 2);
    // Of its manifest it used what these events and its jobs made it use, and nothing else.
    assert!(of(&today, "storage") >= 2);
    for ask in ["identity", "crypto", "schedule", "events:echo.heard"] {
        assert!(today.unused.iter().any(|unused| unused == ask), "{today:?}");
    }
    let trapped = |problem: &String| problem.starts_with("event faulty.told: trap");
    assert!(today.problems.iter().any(trapped), "{:?}", today.problems);
    let week = touched(7).await;
    assert_eq!(week.events_replayed, 4, "another past, another answer");
    assert!(of(&week, "storage") > of(&today, "storage"));
    let other = house.runtime.would_touch(GLOBEX, &worker, None, 7).await;
    assert_eq!(other.unwrap().events_replayed, 0, "each its own past");
}

#[tokio::test]
async fn the_past_of_an_organization_is_its_newest_events_in_their_order() {
    let house = House::new().await;
    for text in ["one", "two", "three"] {
        house
            .call(ACME, "publish", json!({"text": text}))
            .await
            .unwrap();
    }
    let now = house.clock.now();
    let past = |since, topic: &'static str| {
        let is_wanted = |found: &str| found == topic;
        let events = house
            .storage
            .past_events(ACME, since, &is_wanted, 2)
            .unwrap();
        let payloads = events.iter().map(|(event, _)| event.payload.clone());
        payloads.collect::<Vec<_>>()
    };
    let told = past(now.minus_ms(DAY_MS), "faulty.told");
    assert_eq!(told, [r#"{"text":"two"}"#, r#"{"text":"three"}"#]);
    assert!(past(now.plus_ms(DAY_MS), "faulty.told").is_empty());
    assert!(past(now.minus_ms(DAY_MS), "chat.message.created").is_empty());
}
