//! Work that nobody waits for, through the whole server: events, hooks, jobs, and what becomes of them when it dies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_client::RequestOptions;
use vaxel_tests::{ClientError, HostOptions, Person, TestHost, patiently};

/// How often the server is killed while it works.
const KILLS: usize = 25;

/// What is told and counted meanwhile.
const TELLS: usize = 150;

/// A server with the two fixtures, on in anna's organization.
async fn house() -> (TestHost, Person) {
    let (host, anna) = started(HostOptions::default()).await;
    for plugin in ["faulty", "worker"] {
        switch(&anna, plugin, true).await;
    }
    (host, anna)
}

async fn started(options: HostOptions) -> (TestHost, Person) {
    let host = TestHost::start_with(options).await;
    let plugins = host.scratch("plugins");
    let staged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures");
    std::fs::create_dir_all(&plugins).unwrap();
    for fixture in ["faulty", "worker"] {
        std::os::unix::fs::symlink(staged.join(fixture), plugins.join(fixture)).unwrap();
    }
    host.configures(&format!("[plugins]\ndir = {plugins:?}\n"));
    block_in_place(|| host.restart());
    let anna = host.sign_in("acme", "anna").await;
    (host, anna)
}

async fn switch(anna: &Person, plugin: &str, on: bool) {
    let method = if on {
        "plugins/enable"
    } else {
        "plugins/disable"
    };
    let params = json!({ "plugin": plugin });
    anna.client.call(method, params).await.unwrap();
}

async fn call(anna: &Person, method: &str, params: Value) -> Result<Value, ClientError> {
    anna.client.call(&format!("plugins/{method}"), params).await
}

/// Calls until it is answered, once in effect.
async fn surely(anna: &Person, key: &str, method: &str, params: Value) {
    let method = format!("plugins/{method}");
    loop {
        let options = RequestOptions {
            idempotency_key: Some(key.to_owned()),
            ..RequestOptions::default()
        };
        match anna
            .client
            .call_with(&method, params.clone(), options)
            .await
        {
            Ok(_) => return,
            Err(error) => {
                let status = error.status();
                assert!(
                    matches!(status, 0 | 401 | 409 | 429 | 502..=504),
                    "{error:?}"
                );
                if status == 401 {
                    let _ = anna.client.refresh().await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

/// What the worker wrote down, but for its own life.
async fn journal(anna: &Person) -> Vec<String> {
    let journal = call(anna, "worker/journal", json!({})).await.unwrap();
    let lines: Vec<String> = serde_json::from_value(journal["lines"].clone()).unwrap();
    let of_life = |line: &String| matches!(line.as_str(), "installed" | "enabled" | "disabled");
    lines.into_iter().filter(|line| !of_life(line)).collect()
}

/// Waits until so many lines are written.
async fn written(anna: &Person, count: usize) -> Vec<String> {
    patiently("the worker's journal", async {
        loop {
            let lines = journal(anna).await;
            if lines.len() >= count {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn now_ms() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "the test's clock is the machine's"
    )]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_hears_what_happens_elsewhere_and_does_its_jobs_without_being_asked() {
    let (_host, anna) = house().await;
    let told = json!({ "text": "hej" });
    call(&anna, "faulty/publish", told).await.unwrap();
    let counted = json!({ "key": "besök" });
    call(&anna, "faulty/counter", counted).await.unwrap();
    let soon = json!({ "key": "tea", "at_ms": now_ms() + 300, "what": "write" });
    call(&anna, "worker/schedule", soon).await.unwrap();
    let mut lines = written(&anna, 3).await;
    lines.sort();
    assert_eq!(
        lines,
        [
            "errand tea attempt 1",
            "faulty.told hej",
            "somebody called faulty/counter \"besök\""
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_has_a_say_in_anothers_method_and_what_it_changes_must_fit() {
    let (_host, anna) = house().await;
    let count = async |key: &str| {
        let params = json!({ "key": key });
        call(&anna, "faulty/read_modify_write", params).await
    };
    let vetoed = count("veto").await.unwrap_err();
    assert_eq!((vetoed.status(), vetoed.code()), (422, "vetoed"));
    count("change").await.unwrap();
    assert_eq!(count("changed").await.unwrap()["value"], 2);
    // `{"lock":1}` is not what the method takes, and this hook fails open.
    assert_eq!(count("break").await.unwrap()["value"], 1);
    let closed = json!({ "key": "break" });
    let refused = call(&anna, "faulty/read", closed).await.unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (503, "hook-unavailable")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_how_a_plugin_does_and_what_it_failed_at() {
    let (_host, anna) = house().await;
    let worker = json!({ "plugin": "worker" });
    let health = anna.client.call("plugins/health", worker.clone()).await;
    assert_eq!(health.unwrap(), json!({ "ok": true, "text": "well" }));
    let ill = json!({ "key": "ill", "value": "yes" });
    call(&anna, "worker/put", ill).await.unwrap();
    let health = anna.client.call("plugins/health", worker.clone()).await;
    assert_eq!(health.unwrap(), json!({ "ok": false, "text": "it aches" }));
    let letters = anna.client.call("plugins/dead_letters", worker).await;
    assert_eq!(letters.unwrap(), json!({ "items": [] }));
    let unknown = json!({ "plugin": "worker", "id": "0".repeat(32) });
    for method in ["plugins/retry_dead_letter", "plugins/discard_dead_letter"] {
        let refused = anna.client.call(method, unknown.clone()).await.unwrap_err();
        assert_eq!(refused.status(), 404, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_can_be_tried_once_more_or_let_go() {
    let (host, anna) = {
        let (host, anna) = started(HostOptions::with_own_clock()).await;
        for plugin in ["faulty", "worker"] {
            switch(&anna, plugin, true).await;
        }
        (host, anna)
    };
    let doomed = json!({ "key": "doomed", "at_ms": 0, "what": "fail" });
    call(&anna, "worker/schedule", doomed).await.unwrap();
    let letter = patiently("a dead letter", async {
        loop {
            host.moves_clock(Duration::from_secs(100)).await;
            anna.client
                .login("anna", vaxel_tests::PASSWORD)
                .await
                .unwrap();
            // Whoever schedules something lets the worker look at the clock.
            let cancelled = json!({ "key": "x", "at_ms": u64::MAX >> 24, "what": "write" });
            call(&anna, "worker/schedule", cancelled).await.unwrap();
            let worker = json!({ "plugin": "worker" });
            let letters = anna.client.call("plugins/dead_letters", worker).await;
            if let Some(letter) = letters.unwrap()["items"].get(0) {
                return letter.clone();
            }
        }
    })
    .await;
    assert_eq!(letter["kind"], "job");
    assert_eq!(letter["name"], "errand");
    assert_eq!(letter["attempts"], 8);
    assert_eq!(letter["error"], "on-purpose");
    let which = json!({ "plugin": "worker", "id": letter["id"] });
    let discarded = anna.client.call("plugins/discard_dead_letter", which).await;
    discarded.unwrap();
    let worker = json!({ "plugin": "worker" });
    let letters = anna.client.call("plugins/dead_letters", worker).await;
    assert_eq!(letters.unwrap()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_piece_of_work_takes_effect_once_however_often_the_server_is_killed() {
    let (host, anna) = house().await;
    let anna = std::sync::Arc::new(anna);
    let caller = tokio::spawn({
        let anna = std::sync::Arc::clone(&anna);
        async move {
            for n in 0..TELLS {
                let (told, counted) = (format!("told-{n}"), format!("counted-{n}"));
                let text = json!({ "text": n.to_string() });
                surely(&anna, &told, "faulty/publish", text).await;
                let key = json!({ "key": n.to_string() });
                surely(&anna, &counted, "faulty/counter", key).await;
            }
        }
    });
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..KILLS {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        tokio::time::sleep(Duration::from_millis(chance % 200)).await;
        block_in_place(|| host.kill9());
        block_in_place(|| host.serve());
    }
    patiently("the last call", caller).await.unwrap();
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    let lines = written(&anna, 2 * TELLS).await;
    assert_eq!(lines.len(), 2 * TELLS);
    let told: Vec<&String> = lines
        .iter()
        .filter(|l| l.starts_with("faulty.told"))
        .collect();
    let expected: Vec<String> = (0..TELLS).map(|n| format!("faulty.told {n}")).collect();
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    let called = lines.iter().filter(|l| l.starts_with("somebody called"));
    assert_eq!(called.count(), TELLS);
}
