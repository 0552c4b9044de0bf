//! Work that nobody waits for: done once, in order, tried again, and kept where it fails for good.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{ACME, House, faulty_id, user, worker};
use vaxel_core::{AlarmLevel, Clock as _, PluginId, Problem, Reason, UnixMs};
use vaxel_runtime::{Health, Method, PackageFiles, Schemas};

const HOUR_MS: u64 = 3_600_000;

/// A host whose first tenant has both fixtures on.
async fn house() -> House {
    let house = House::with(|config| config.limits.work_cpu_ms = 2_000).await;
    house.with_on(worker()).await;
    house
}

fn worker_id() -> PluginId {
    "worker".parse().unwrap()
}

/// The worker's twin, which hears what the worker publishes.
fn echo() -> PackageFiles {
    let PackageFiles {
        manifest,
        component,
    } = worker();
    let manifest = manifest
        .replace("id = \"worker\"", "id = \"echo\"")
        .replace("echo.heard", "WORKER")
        .replace("worker.", "echo.")
        .replace("WORKER", "worker.heard");
    PackageFiles {
        manifest,
        component,
    }
}

impl House {
    async fn schedule(&self, key: &str, in_ms: u64, what: &str) -> Result<Value, Problem> {
        let at_ms = self.clock.now().plus_ms(in_ms).0;
        let params = json!({ "key": key, "at_ms": at_ms, "what": what });
        self.call_of("worker", "schedule", params).await
    }

    async fn tell(&self, text: &str) {
        let told = self.call(ACME, "publish", json!({ "text": text })).await;
        told.unwrap();
    }

    /// What the worker wrote down, but for its own life.
    async fn work_done(&self) -> Vec<String> {
        let journal = self.call_of("worker", "journal", json!({})).await.unwrap();
        let lines: Vec<String> = serde_json::from_value(journal["lines"].clone()).unwrap();
        let of_life = ["installed", "enabled", "disabled"];
        let lines = lines.into_iter();
        lines
            .filter(|line| !of_life.contains(&line.as_str()))
            .collect()
    }

    /// Lets all the pauses between attempts pass.
    async fn work_through_all_attempts(&self) {
        for _ in 0..10 {
            self.runtime.work_until_idle().await;
            self.clock.advance_ms(200_000);
        }
    }

    fn alarms_of(&self, code: &str) -> usize {
        let raised = self.alarms.0.lock().unwrap();
        raised.iter().filter(|(_, raised)| *raised == code).count()
    }
}

#[tokio::test]
async fn a_job_runs_at_its_time_and_not_before() {
    let house = house().await;
    house.schedule("tea", HOUR_MS, "write").await.unwrap();
    house.runtime.work_until_idle().await;
    assert!(house.work_done().await.is_empty());
    house.clock.advance_ms(HOUR_MS);
    house.runtime.work_until_idle().await;
    house.runtime.work_until_idle().await;
    assert_eq!(house.work_done().await, ["errand tea attempt 1"]);
}

#[tokio::test]
async fn the_same_key_moves_a_job_and_cancelling_takes_it_away() {
    let house = house().await;
    house.schedule("tea", HOUR_MS, "write").await.unwrap();
    house.schedule("tea", 2 * HOUR_MS, "write").await.unwrap();
    house.schedule("cake", HOUR_MS, "write").await.unwrap();
    let cake = json!({ "key": "cake" });
    house.call_of("worker", "cancel", cake).await.unwrap();
    house.clock.advance_ms(HOUR_MS);
    house.runtime.work_until_idle().await;
    assert!(house.work_done().await.is_empty());
    house.clock.advance_ms(HOUR_MS);
    house.runtime.work_until_idle().await;
    assert_eq!(house.work_done().await, ["errand tea attempt 1"]);
}

#[tokio::test]
async fn a_job_with_steps_goes_on_where_it_was() {
    let house = house().await;
    house.schedule("walk", 0, "steps").await.unwrap();
    house.runtime.work_until_idle().await;
    let steps: Vec<String> = (1..=5).map(|n| format!("errand walk step {n}")).collect();
    assert_eq!(house.work_done().await, steps);
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_leaves_nothing_behind() {
    let house = house().await;
    house.schedule("luck", 0, "fail once").await.unwrap();
    house.runtime.work_until_idle().await;
    assert!(house.work_done().await.is_empty(), "the pause is not over");
    house.clock.advance_ms(1_300);
    house.runtime.work_until_idle().await;
    assert_eq!(house.work_done().await, ["errand luck attempt 2"]);
}

#[tokio::test]
async fn what_fails_eight_times_is_a_dead_letter_that_names_no_contents() {
    let house = house().await;
    house.schedule("doomed", 0, "fail").await.unwrap();
    house.work_through_all_attempts().await;
    assert!(house.work_done().await.is_empty());
    let letters = house.runtime.dead_letters(ACME, &worker_id()).unwrap();
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(
        (letter.kind.as_str(), letter.name.as_str(), letter.attempts),
        ("job", "errand", 8)
    );
    assert_eq!(letter.error, "on-purpose", "a code, and no words");
    assert_eq!(house.alarms_of("plugin.dead_letter"), 1);

    let (runtime, worker) = (&house.runtime, worker_id());
    runtime
        .retry_dead_letter(ACME, &worker, letter.id)
        .await
        .unwrap();
    house.work_through_all_attempts().await;
    let letters = runtime.dead_letters(ACME, &worker).unwrap();
    assert_eq!(letters.len(), 1, "it failed again");
    runtime
        .discard_dead_letter(ACME, &worker, letters[0].id)
        .await
        .unwrap();
    assert!(runtime.dead_letters(ACME, &worker).unwrap().is_empty());
    let gone = runtime.discard_dead_letter(ACME, &worker, 7).await;
    assert_eq!(gone.unwrap_err().reason, Reason::NotFound);
}

#[tokio::test]
async fn a_job_that_schedules_itself_at_once_comes_to_an_end() {
    let house = house().await;
    house.schedule("loop", 0, "again").await.unwrap();
    house.work_through_all_attempts().await;
    // The eighth in a row may plan nothing, and fails for good.
    assert_eq!(house.work_done().await.len(), 7);
    let letters = house.runtime.dead_letters(ACME, &worker_id()).unwrap();
    assert_eq!(letters[0].error, "limit");
}

#[tokio::test]
async fn a_repeated_job_follows_the_clocks_of_its_zone() {
    let house = house().await;
    // The day before clocks go forward in Stockholm.
    let noon = at("2027-03-27T11:00:00Z");
    house.clock.advance_ms(noon.since(house.clock.now()));
    house.runtime.work_until_idle().await;
    for _ in 0..48 {
        house.clock.advance_ms(HOUR_MS);
        house.runtime.work_until_idle().await;
    }
    let journal = house.work_done().await;
    let nights: Vec<&String> = journal
        .iter()
        .filter(|l| l.starts_with("nightly"))
        .collect();
    assert_eq!(nights.len(), 3, "{journal:?}");
    // The one that was planned when it came on; all that were missed since are this one.
    assert_eq!(nights[0], "nightly 2027-01-16T01:30:00Z attempt 1");
    // 2:30 does not exist on the 28th and is made up for at 3:00.
    assert_eq!(nights[1], "nightly 2027-03-28T01:00:00Z attempt 1");
    assert_eq!(nights[2], "nightly 2027-03-29T00:30:00Z attempt 1");
}

#[tokio::test]
async fn events_arrive_in_order_and_once() {
    let house = house().await;
    for n in 0..30 {
        house.tell(&n.to_string()).await;
    }
    house.runtime.work_until_idle().await;
    house.runtime.work_until_idle().await;
    let expected: Vec<String> = (0..30).map(|n| format!("faulty.told {n}")).collect();
    assert_eq!(house.work_done().await, expected);
}

#[tokio::test]
async fn an_event_that_fails_holds_those_behind_it_and_gives_way_in_the_end() {
    let house = house().await;
    house.tell("fail").await;
    house.tell("after it").await;
    house.runtime.work_until_idle().await;
    assert!(house.work_done().await.is_empty());
    house.work_through_all_attempts().await;
    assert_eq!(house.work_done().await, ["faulty.told after it"]);
    let letters = house.runtime.dead_letters(ACME, &worker_id()).unwrap();
    let [letter] = letters.as_slice() else {
        panic!("one dead letter: {letters:?}");
    };
    assert_eq!(
        (letter.kind.as_str(), letter.name.as_str()),
        ("event", "faulty.told")
    );
}

#[tokio::test]
async fn a_plugin_that_traps_at_each_event_rests_and_the_queue_waits() {
    let house = house().await;
    house.tell("trap").await;
    house.work_through_all_attempts().await;
    let letters = house.runtime.dead_letters(ACME, &worker_id()).unwrap();
    assert_eq!(letters[0].error, "trap");
    house.tell("well").await;
    house.runtime.work_until_idle().await;
    assert_eq!(house.work_done().await, ["faulty.told well"]);
}

#[tokio::test]
async fn a_plugin_that_is_off_keeps_its_queue_and_hears_nothing_new() {
    let house = house().await;
    let (runtime, worker) = (&house.runtime, worker_id());
    house.tell("before").await;
    runtime.disable(&house.cx(ACME), &worker).await.unwrap();
    house.tell("meanwhile").await;
    runtime.work_until_idle().await;
    runtime.enable(&house.cx(ACME), &worker).await.unwrap();
    runtime.work_until_idle().await;
    assert_eq!(house.work_done().await, ["faulty.told before"]);
}

#[tokio::test]
async fn plugins_that_answer_each_other_come_to_an_end() {
    let house = house().await;
    house.with_on(echo()).await;
    let text = json!({ "text": "ping" });
    house.call_of("worker", "hear", text).await.unwrap();
    house.work_through_all_attempts().await;
    let heard = house.work_done().await.len();
    assert_eq!(heard, 4, "every second of eight");
    assert_eq!(house.alarms_of("plugin.chain"), 1);
}

/// Takes what `key` takes: one string.
struct OneKey;

impl Schemas for OneKey {
    fn check_params(&self, _method: &Arc<Method>, params: &Value) -> Result<(), Problem> {
        if params["key"].is_string() {
            return Ok(());
        }
        Err(Reason::Invalid.into())
    }

    fn check_result(&self, _method: &Arc<Method>, _result: &Value) -> Result<(), Problem> {
        Ok(())
    }
}

#[tokio::test]
async fn a_hook_before_may_veto_or_change_what_a_method_gets() {
    let house = house().await;
    house.runtime.validate_with(Arc::new(OneKey));
    let count = async |key: &str| {
        let params = json!({ "key": key });
        house.call(ACME, "read_modify_write", params).await
    };
    let vetoed = count("veto").await.unwrap_err();
    assert_eq!(
        (vetoed.reason, vetoed.code.as_ref(), vetoed.detail.as_str()),
        (Reason::Refused, "vetoed", "not on a Sunday")
    );
    assert_eq!(count("change").await.unwrap(), json!({ "value": 1 }));
    assert_eq!(count("changed").await.unwrap(), json!({ "value": 2 }));
    // What does not fit, and what breaks, is passed over here.
    assert_eq!(count("break").await.unwrap(), json!({ "value": 1 }));
    assert_eq!(count("trap").await.unwrap(), json!({ "value": 1 }));
    assert_eq!(count("dawdle").await.unwrap(), json!({ "value": 1 }));
}

#[tokio::test]
async fn without_the_consent_of_a_hook_that_fails_closed_nothing_happens() {
    let house = house().await;
    let read = async |key: &str| house.call(ACME, "read", json!({ "key": key })).await;
    assert_eq!(read("anything").await.unwrap(), json!({ "value": 0 }));
    for key in ["trap", "dawdle", "break"] {
        let refused = read(key).await.unwrap_err();
        assert_eq!(
            (refused.reason, refused.code.as_ref()),
            (Reason::Unavailable, "hook-unavailable"),
            "{key}"
        );
    }
    house
        .runtime
        .disable(&house.cx(ACME), &worker_id())
        .await
        .unwrap();
    assert_eq!(read("trap").await.unwrap(), json!({ "value": 0 }));
}

#[tokio::test]
async fn an_error_of_a_hook_before_is_no_verdict_no_write_and_no_fault() {
    let house = house().await;
    house.runtime.validate_with(Arc::new(OneKey));
    let fail = || json!({ "key": "fail" });
    for n in 0..20 {
        // Passed over where the manifest says so, even if everybody meets it.
        house
            .call_as(ACME, user(n), "read_modify_write", fail())
            .await
            .unwrap();
        let refused = house.call_as(ACME, user(n), "read", fail()).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code.as_ref(), refused.retry_after_ms),
            ("hook-unavailable", Some(1_500))
        );
        assert!(!refused.detail.contains("register"), "{}", refused.detail);
    }
    let states = house.runtime.list(ACME);
    let worker = states.iter().find(|state| state.id == worker_id()).unwrap();
    assert_eq!(worker.health, Health::Running);
    assert_eq!(house.work_done().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_hook_after_is_told_of_each_commit_once() {
    let house = house().await;
    for key in ["a", "b", "a"] {
        let params = json!({ "key": key });
        house.call(ACME, "counter", params).await.unwrap();
    }
    let (user, params) = (support::user(1), json!({ "key": "c" }));
    for _ in 0..2 {
        let call = house.call_with_key(user, "counter", params.clone(), "once");
        call.await.unwrap();
    }
    house.runtime.work_until_idle().await;
    let expected =
        ["a", "b", "a", "c"].map(|key| format!("somebody called faulty/counter \"{key}\""));
    assert_eq!(house.work_done().await, expected);
}

#[tokio::test]
async fn a_tenant_without_the_plugin_tells_it_nothing() {
    let house = house().await;
    let told = json!({ "text": "of another house" });
    house.call(support::GLOBEX, "publish", told).await.unwrap();
    let counted = json!({ "key": "k" });
    house
        .call(support::GLOBEX, "counter", counted)
        .await
        .unwrap();
    house.runtime.work_until_idle().await;
    assert!(house.work_done().await.is_empty());
    assert!(house.runtime.is_switched_on(support::GLOBEX, &faulty_id()));
}

#[tokio::test]
async fn who_plans_too_much_is_told_so() {
    let house = house().await;
    let counter = vaxel_storage::Space::host(0x35);
    let mut tx = house.storage.begin(ACME);
    tx.increment(counter, b"c\x06worker", 10_000).unwrap();
    house.storage.commit(tx).await.unwrap();
    let refused = house.schedule("one more", HOUR_MS, "write").await;
    assert_eq!(refused.unwrap_err().reason, Reason::LimitReached);
    house.tell("lost").await;
    house.tell("lost too").await;
    let raised = house.alarms.0.lock().unwrap().clone();
    let full = (AlarmLevel::Critical, "plugin.queue_full");
    assert_eq!(raised.iter().filter(|alarm| **alarm == full).count(), 1);
}

fn at(text: &str) -> UnixMs {
    let at: jiff::Timestamp = text.parse().unwrap();
    UnixMs(at.as_millisecond().try_into().unwrap())
}
