//! A plugin comes, is switched, changes the form of its rows, and goes without leaving anything.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{ACME, House, worker};
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_crypto::ErasureKey;
use vaxel_runtime::{PackageFiles, RuntimeError};
use vaxel_storage::{Order, Space};

fn worker_id() -> PluginId {
    "worker".parse().unwrap()
}

/// The next version, which wants its rows in another form.
fn next_version() -> PackageFiles {
    let PackageFiles {
        manifest,
        component,
    } = worker();
    let manifest = manifest.replacen(
        "version = \"0.1.0\"",
        "version = \"0.2.0\"\ndata_version = 2",
        1,
    );
    PackageFiles {
        manifest,
        component,
    }
}

impl House {
    async fn journal(&self) -> Vec<String> {
        let journal = self.call_of("worker", "journal", json!({})).await.unwrap();
        serde_json::from_value(journal["lines"].clone()).unwrap()
    }

    async fn put(&self, params: Value) -> Result<Value, Problem> {
        self.call_of("worker", "put", params).await
    }

    async fn value(&self, key: &str) -> Value {
        let found = self.call_of("worker", "get", json!({ "key": key })).await;
        found.unwrap()["value"].clone()
    }

    /// Every row of the plugin, byte for byte.
    fn rows(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut tx = self.storage.begin(ACME);
        let space = Space::plugin(&worker_id());
        let page = tx.scan(space, &[], None, 1_000, Order::Ascending).unwrap();
        assert_eq!(page.next, None);
        page.entries
    }

    /// How many rows the host keeps for plugins: queues, notes, lives.
    fn kept(&self) -> usize {
        let mut tx = self.storage.begin(ACME);
        let mut scan = |number| {
            let page = tx.scan(Space::host(number), &[], None, 1_000, Order::Ascending);
            page.unwrap().entries.len()
        };
        (0x33..=0x36).map(&mut scan).sum()
    }

    async fn switch(&self, on: bool) -> Result<(), RuntimeError> {
        let (cx, id) = (self.cx(ACME), worker_id());
        if on {
            self.runtime.enable(&cx, &id).await
        } else {
            self.runtime.disable(&cx, &id).await
        }
    }
}

#[tokio::test]
async fn a_plugin_is_installed_once_and_told_of_each_switch() {
    let house = House::new().await;
    house.with_on(worker()).await;
    house.switch(true).await.unwrap();
    house.switch(false).await.unwrap();
    house.switch(true).await.unwrap();
    let told = ["installed", "enabled", "disabled", "enabled"];
    assert_eq!(house.journal().await, told);
}

#[tokio::test]
async fn a_plugin_that_refuses_to_come_on_stays_off() {
    let house = House::new().await;
    house.with_on(worker()).await;
    let refuse = json!({ "key": "refuse", "value": "yes" });
    house.put(refuse).await.unwrap();
    house.switch(false).await.unwrap();
    let refused = house.switch(true).await.unwrap_err();
    assert_eq!(refused.problem().code, "on-purpose");
    assert!(!house.runtime.is_switched_on(ACME, &worker_id()));
}

#[tokio::test]
async fn a_plugin_says_how_it_goes() {
    let house = House::new().await;
    let worker = house.with_on(worker()).await;
    let cx = house.cx(ACME);
    let words = house.runtime.health(&cx, &worker).await.unwrap();
    assert_eq!(words.as_deref(), Some("well"));
    let ill = json!({ "key": "ill", "value": "yes" });
    house.put(ill).await.unwrap();
    let aches = house.runtime.health(&cx, &worker).await.unwrap_err();
    assert_eq!(
        (aches.code.as_ref(), aches.detail.as_str()),
        ("ill", "it aches")
    );
    let faulty = support::faulty_id();
    assert_eq!(house.runtime.health(&cx, &faulty).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_put_for_a_time_is_gone_behind_it() {
    let house = House::new().await;
    house.with_on(worker()).await;
    let note = json!({ "key": "note", "value": "soon over", "ttl_ms": 60_000 });
    house.put(note).await.unwrap();
    assert_eq!(house.value("note").await, "soon over");
    house.clock.advance_ms(60_000);
    assert_eq!(house.value("note").await, Value::Null);
    let never = json!({ "key": "note", "value": "never", "ttl_ms": 0 });
    let refused = house.put(never).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Refused);
}

#[tokio::test]
async fn a_plugin_that_is_uninstalled_leaves_nothing() {
    let house = House::new().await;
    let heard_by_nobody = json!({ "text": "nobody" });
    house.call(ACME, "publish", heard_by_nobody).await.unwrap();
    let usage_before = house.storage.usage(ACME);
    let kept_before = house.kept();
    let worker = house.with_on(worker()).await;
    for n in 0..450 {
        let row = json!({ "key": format!("row/{n}"), "value": "x" });
        house.put(row).await.unwrap();
    }
    let about = json!({ "key": "about", "value": "Anna", "subject": "anna", "ttl_ms": 1 });
    house.put(about.clone()).await.unwrap();
    for (key, what) in [("later", "write"), ("doomed", "fail")] {
        let at_ms = if what == "write" { u64::MAX >> 24 } else { 0 };
        let job = json!({ "key": key, "at_ms": at_ms, "what": what });
        house.call_of("worker", "schedule", job).await.unwrap();
    }
    for _ in 0..10 {
        house.runtime.work_until_idle().await;
        house.clock.advance_ms(200_000);
    }
    let told = json!({ "text": "unheard" });
    house.call(ACME, "publish", told).await.unwrap();
    assert_eq!(house.runtime.dead_letters(ACME, &worker).unwrap().len(), 1);
    assert!(house.rows().len() > 450);
    let key = subject_key("worker", "anna", None);
    assert!(house.keyring.has_key(ACME, key));
    house.note_what_the_host_holds().await;

    let cx = house.cx(ACME);
    house.runtime.uninstall(&cx, &worker).await.unwrap();
    assert_eq!(
        house.what_the_host_holds(),
        OF_ANOTHER.map(|(space, key)| (space, key.to_vec()))
    );
    assert!(house.rows().is_empty());
    assert!(!house.keyring.has_key(ACME, key));
    assert!(
        house
            .runtime
            .dead_letters(ACME, &worker)
            .unwrap()
            .is_empty()
    );
    // What stays is how often it was erased, and that it is off; the event is another plugin's.
    assert_eq!(house.kept(), kept_before + 1);
    let space = Space::plugin(&worker);
    let mut tx = house.storage.begin(ACME);
    assert!(
        !tx.clear(space, &[], 1_000).unwrap() && tx.is_read_only(),
        "no row in the state"
    );
    drop(tx);
    assert!(house.storage.usage(ACME) < usage_before + 10_000);

    // It can come back, and has keys of its own again.
    house.switch(true).await.unwrap();
    house.put(about).await.unwrap();
    assert!(
        house
            .keyring
            .has_key(ACME, subject_key("worker", "anna", Some(1)))
    );
    assert_eq!(house.journal().await, ["installed", "enabled"]);
}

/// Where the host keeps credentials, OAuth clients and settings.
const HELD_BY_HOST: [u8; 3] = [0x29, 0x2a, 0x37];

/// Keys of another plugin, whose name begins with the same word.
const OF_ANOTHER: [(u8, &[u8]); 3] = [
    (0x29, b"worker-2\0account\0"),
    (0x2a, b"worker-2\0account\0"),
    (0x37, b"worker-2"),
];

impl House {
    /// Rows as connections and settings make them, of the worker and of another.
    async fn note_what_the_host_holds(&self) {
        let mut tx = self.storage.begin(ACME);
        let mut put = |space: u8, key: &[u8]| {
            let space = Space::host(space);
            tx.put(space, key, b"sealed".to_vec(), ErasureKey::TENANT)
                .unwrap();
        };
        for (space, key) in OF_ANOTHER {
            put(space, key);
        }
        for n in 0..250 {
            put(0x29, format!("worker\0account\0{n:016}").as_bytes());
        }
        put(0x2a, b"worker\0account\0");
        put(0x2a, b"worker\0other\0");
        put(0x37, b"worker");
        self.storage.commit(tx).await.unwrap();
    }

    fn what_the_host_holds(&self) -> Vec<(u8, Vec<u8>)> {
        let mut tx = self.storage.begin(ACME);
        let mut rows = Vec::new();
        for space in HELD_BY_HOST {
            let page = tx.scan(Space::host(space), b"", None, 1_000, Order::Ascending);
            rows.extend(
                page.unwrap()
                    .entries
                    .into_iter()
                    .map(|(key, _)| (space, key)),
            );
        }
        rows
    }
}

/// The key of a subject of a plugin, by how often that was erased.
fn subject_key(plugin: &str, subject: &str, erased: Option<u32>) -> ErasureKey {
    use sha2::{Digest as _, Sha256};
    let mut named = [
        b"vaxel.v1.subject\0",
        plugin.as_bytes(),
        b"\0",
        subject.as_bytes(),
    ]
    .concat();
    if let Some(erased) = erased {
        named.push(0);
        named.extend_from_slice(&erased.to_be_bytes());
    }
    let hash: [u8; 32] = Sha256::digest(named).into();
    ErasureKey::from_bytes(hash[..16].try_into().unwrap())
}

/// A house whose plugins have all the time they need: what is cut off here and again is not to fail besides, however
/// busy the machine is.
async fn patient() -> House {
    House::with(|config| config.limits.cpu_ms = 30_000).await
}

async fn with_rows(count: usize) -> House {
    let house = patient().await;
    house.with_on(worker()).await;
    for n in 0..count {
        let mut row = json!({ "key": format!("row/{n:02}"), "value": format!("value {n}") });
        if n % 3 == 1 {
            row["subject"] = json!(format!("person {n}"));
        }
        if n % 3 == 2 {
            row["ttl_ms"] = json!(3_600_000);
        }
        house.put(row).await.unwrap();
    }
    house
}

#[tokio::test]
async fn rows_get_their_new_form_while_calls_are_told_to_come_back() {
    let house = with_rows(10).await;
    house.runtime.install(next_version()).await.unwrap();
    let key = json!({ "key": "row/01" });
    let refused = house.call_of("worker", "get", key).await.unwrap_err();
    assert_eq!(
        (refused.reason, refused.code.as_ref()),
        (Reason::Unavailable, "plugin-migrating")
    );
    assert!(refused.retry_after_ms.is_some());
    house.runtime.work_until_idle().await;
    for n in 0..10 {
        let migrated = house.value(&format!("new/row/{n:02}")).await;
        assert_eq!(migrated, format!("from 1: value {n}"));
        assert_eq!(house.value(&format!("row/{n:02}")).await, Value::Null);
    }
}

#[tokio::test]
async fn a_migration_goes_on_where_it_was_cut_off() {
    let house = with_rows(30).await;
    house.runtime.install(next_version()).await.unwrap();
    let mut cuts = 0;
    for ms in 1.. {
        let work = house.runtime.work_until_idle();
        if tokio::time::timeout(Duration::from_millis(ms), work)
            .await
            .is_ok()
        {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 0);
    // What met the commit of a round that was cut off is tried again in a moment.
    for _ in 0..50 {
        if !house.rows().iter().any(|(key, _)| key.starts_with(b"row/")) {
            break;
        }
        house.clock.advance_ms(60_000);
        house.runtime.work_until_idle().await;
    }
    let new: Vec<Value> = house
        .rows()
        .iter()
        .filter(|(key, _)| key.starts_with(b"new/"))
        .map(|(_, value)| String::from_utf8_lossy(value).into())
        .collect();
    let expected: Vec<String> = (0..30).map(|n| format!("from 1: value {n}")).collect();
    assert_eq!(new, expected);
    assert!(
        house
            .rows()
            .iter()
            .all(|(key, _)| !key.starts_with(b"row/"))
    );
}

#[tokio::test]
async fn a_migration_that_fails_for_good_leaves_every_row_as_it_was() {
    let house = with_rows(12).await;
    let bad = json!({ "key": "row/99", "value": "bad" });
    house.put(bad).await.unwrap();
    let before = house.rows();
    let kept = house.kept();
    house.runtime.install(next_version()).await.unwrap();
    house.runtime.work_until_idle().await;
    assert_eq!(house.rows(), before);
    assert_eq!(house.kept(), kept, "nothing is kept of it");
    let alarms = house.alarms.0.lock().unwrap().clone();
    let failed = alarms
        .iter()
        .filter(|(_, code)| *code == "plugin.migration_failed");
    assert_eq!(failed.count(), 1);
    let key = json!({ "key": "row/01" });
    let refused = house.call_of("worker", "get", key).await.unwrap_err();
    assert_eq!(refused.code, "plugin-migration-failed");

    // The version before reads what it knows.
    house.runtime.install(worker()).await.unwrap();
    assert_eq!(house.value("row/01").await, "value 1");
    let about = subject_key("worker", "person 1", None);
    house.keyring.destroy_key(ACME, about).unwrap();
    assert_eq!(
        house.value("row/01").await,
        Value::Null,
        "still about somebody"
    );
    house.clock.advance_ms(3_600_000);
    assert_eq!(house.value("row/02").await, Value::Null, "still for a time");
}

#[tokio::test]
async fn work_that_is_cut_off_at_any_moment_takes_effect_once() {
    let house = patient().await;
    house.with_on(worker()).await;
    for n in 0..20 {
        let told = json!({ "text": n.to_string() });
        house.call(ACME, "publish", told).await.unwrap();
        let counted = json!({ "key": n.to_string() });
        house.call(ACME, "counter", counted).await.unwrap();
    }
    let walk = json!({ "key": "walk", "at_ms": 0, "what": "steps" });
    house.call_of("worker", "schedule", walk).await.unwrap();
    let mut cuts = 0;
    for ms in 1..40 {
        let work = house.runtime.work_until_idle();
        if tokio::time::timeout(Duration::from_millis(ms), work)
            .await
            .is_err()
        {
            cuts += 1;
        }
        house.clock.advance_ms(2_000);
    }
    // What met the commit of a round that was cut off is tried again in a moment, on a slow machine often.
    let whole = 20 + 20 + 5;
    for _ in 0..200 {
        house.runtime.work_until_idle().await;
        house.clock.advance_ms(60_000);
        let done = house.journal().await;
        let of_work = |line: &&String| {
            ["told", "called", "step"]
                .iter()
                .any(|word| line.contains(word))
        };
        if done.iter().filter(of_work).count() >= whole {
            break;
        }
    }
    // Nothing takes effect once more.
    for _ in 0..5 {
        house.runtime.work_until_idle().await;
        house.clock.advance_ms(60_000);
    }
    assert!(cuts > 0);
    let alarms = house.alarms.0.lock().unwrap().clone();
    assert!(alarms.is_empty(), "nothing failed: {alarms:?}");
    let journal = house.journal().await;
    let of = |word: &str| -> Vec<&String> {
        journal.iter().filter(|line| line.contains(word)).collect()
    };
    let told: Vec<String> = (0..20).map(|n| format!("faulty.told {n}")).collect();
    assert_eq!(of("told"), told.iter().collect::<Vec<_>>());
    assert_eq!(of("called").len(), 20);
    assert_eq!(of("step").len(), 5);
}
