//! Whatever a plugin does wrong, its caller gets a typed problem and everybody else goes on.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};

use serde_json::json;
use support::{ACME, GLOBEX, House, conformance, faulty_id, plugin_call, tables, user};
use vaxel_core::{Actor, AlarmLevel, Problem, Reason};
use vaxel_runtime::{Caller, Health, Origin};

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

/// A call of somebody who is not signed in, from that address.
async fn from(house: &House, address: &str, method: &str) -> Result<(), Problem> {
    let now = house.cx(ACME).now;
    let mut call = plugin_call(now, ACME, user(1), method, json!({}));
    call.cx.actor = Actor::Anonymous;
    call.caller = Caller {
        permissions: Arc::new(BTreeSet::from(["faulty.use".to_owned()])),
        origin: Some(Origin::of(address.parse().unwrap())),
        ..Caller::default()
    };
    house.runtime.call(call).await.map(|_| ())
}

#[tokio::test]
async fn an_anonymous_caller_stops_a_plugin_for_nobody_else_signed_in_or_not() {
    let house = House::new().await;
    // From many addresses, which cost nothing, and from one /64, which is one caller.
    for n in 0..60 {
        let address = match n % 3 {
            0 => format!("192.0.2.{n}"),
            _ => format!("2001:db8::{n}"),
        };
        let problem = from(&house, &address, "trap").await.unwrap_err();
        let is_held = n % 3 > 0 && n > 4;
        assert_eq!(
            problem.code,
            if is_held { "limit" } else { "plugin-fault" },
            "{n}: {problem:?}"
        );
        house.call(ACME, "ok", json!({})).await.unwrap();
        from(&house, "198.51.100.7", "ok").await.unwrap();
        from(&house, "2001:db8:0:1::1", "ok").await.unwrap();
    }
    let held = from(&house, "2001:db8::ffff", "ok").await.unwrap_err();
    assert_eq!(held.reason, Reason::LimitReached);
    let state = house.runtime.list(ACME).remove(0);
    assert_eq!(state.health, Health::Running);
    assert!(house.alarms.0.lock().unwrap().is_empty());
    house.clock.advance_ms(30_000);
    from(&house, "2001:db8::ffff", "ok").await.unwrap();
}

#[tokio::test]
async fn a_table_that_grows_ends_at_its_maximum_and_the_guest_goes_on() {
    let house = House::new().await;
    let plugin = house.with_on(tables()).await;
    for _ in 0..3 {
        let words = house.runtime.health(&house.cx(ACME), &plugin).await;
        // What it counted: thousands of elements, and the answers to growing by one more and by all there are.
        assert_eq!(words.unwrap().as_deref(), Some("20--"));
    }
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_line_of_a_megabyte_is_cut_and_nothing_behind_it_is_written() {
    let lines = Lines::default();
    let house = House::new().await;
    // Plugins log on threads of their own.
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    house.call(ACME, "log_long", json!({})).await.unwrap();
    let lines = lines.0.lock().unwrap();
    let of_plugin = lines.iter().filter(|line| line.contains("long long"));
    let [long] = of_plugin.collect::<Vec<_>>().try_into().unwrap();
    assert!((16 << 10..17 << 10).contains(&long.len()), "{}", long.len());
    assert!(long.contains("is_last=true"), "it says that it was cut");
    assert!(!lines.iter().any(|line| line.contains("behind the")));
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        about.target() == "vaxel_runtime::capability::log"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// One event in words.
#[derive(Default)]
struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

/// Whoever a call of the fixture asks the host for.
fn asking_for(who: u128) -> serde_json::Value {
    json!({ "key": user(who).to_string() })
}

#[tokio::test]
async fn a_host_function_that_panics_ends_its_call_alone_and_its_worker_goes_on() {
    let house = House::with(|config| {
        config.workers = 1;
        config.pool_slots = 4;
        config.limits.plugin_concurrent = 2;
        config.limits.tenant_concurrent = 2;
    })
    .await;
    let asked: support::Asked = Arc::new(|who| assert_ne!(who, user(13), "on purpose"));
    *house.people.1.lock().unwrap() = Some(asked);
    // More often than there are places of any kind.
    for _ in 0..40 {
        let problem = house
            .call(ACME, "people", asking_for(13))
            .await
            .unwrap_err();
        assert_eq!(problem.reason, Reason::Internal);
        assert!(!problem.detail.contains("purpose"), "{problem:?}");
        house.call(ACME, "people", asking_for(7)).await.unwrap();
        house.call(GLOBEX, "ok", json!({})).await.unwrap();
    }
    // It was not the plugin's fault.
    let state = house.runtime.list(ACME).remove(0);
    assert_eq!(state.health, Health::Running);
}

#[tokio::test]
async fn calls_beyond_those_that_may_run_and_wait_are_refused_until_one_has_ended() {
    let house = House::with(|config| {
        config.workers = 2;
        config.limits.plugin_concurrent = 1;
        config.limits.tenant_waiting = 0;
    })
    .await;
    let (began, has_begun) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let asked: support::Asked = Arc::new(move |who| {
        if who == user(13) {
            began.send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
        }
    });
    *house.people.1.lock().unwrap() = Some(asked);
    let runtime = house.runtime.clone();
    let call = plugin_call(house.cx(ACME).now, ACME, user(2), "people", asking_for(13));
    let running = tokio::spawn(async move { runtime.call(call).await });
    let has_begun = tokio::task::spawn_blocking(move || has_begun.recv());
    has_begun.await.unwrap().unwrap();
    let refused = house.call(ACME, "ok", json!({})).await.unwrap_err();
    assert_eq!(refused.reason, Reason::LimitReached);
    assert!(refused.retry_after_ms.is_some());
    // Of another organization nothing is taken.
    house.call(GLOBEX, "ok", json!({})).await.unwrap();
    go_on.send(()).unwrap();
    running.await.unwrap().unwrap();
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn files_beyond_a_plugins_sum_are_refused_made_or_uploaded_and_fit_again_once_some_went() {
    let house = House::with(|config| config.limits.plugin_blob_bytes = 1_000).await;
    let plugin = house.with_on(conformance()).await;
    let of = |method: &'static str, params| house.call_of(plugin.as_str(), method, params);
    let text = |len: usize| json!({ "media_type": "text/plain", "text": "x".repeat(len) });
    let kept = of("file.make", text(600)).await.unwrap();
    let refused = of("file.make", text(401)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::LimitReached);
    // Two addresses that would each have room, and together have none.
    let room = json!({ "media_type": "text/plain", "size_max": 300 });
    let upload = async |url: &str, bytes: usize| {
        let (_, address) = url.rsplit_once('/').unwrap();
        let mut upload = house.runtime.upload_blob(ACME, address, None).await?;
        upload.take(vec![b'x'; bytes].into()).await?;
        upload.finish().await
    };
    let one = of("file.expect", room.clone()).await.unwrap();
    let other = of("file.expect", room.clone()).await.unwrap();
    let url = |of: &serde_json::Value| of["url"].as_str().unwrap().to_owned();
    upload(&url(&one), 300).await.unwrap();
    let refused = upload(&url(&other), 101).await.unwrap_err();
    assert_eq!(
        (refused.reason, refused.code.as_ref()),
        (Reason::LimitReached, "plugin-files")
    );
    let refused = of("file.expect", room).await.unwrap_err();
    assert_eq!(refused.reason, Reason::LimitReached);
    // Its rows are another sum, and what is deleted makes room.
    let row = json!({ "key": "k", "text": "still written" });
    of("row.put", row).await.unwrap();
    of("file.drop", json!({ "id": kept["id"] })).await.unwrap();
    upload(&url(&other), 101).await.unwrap();
}
