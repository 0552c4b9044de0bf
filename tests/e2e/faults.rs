//! Faults tried on purpose, through the whole server: parts killed in turn, packages that lie, counts that would betray.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::packages::{Publisher, offline, packed, path, with_publisher};
use vaxel_tests::{ClientError, Person, TestHost, patiently};

/// How many rows a migration brings to another form, one a step, while the server is killed.
const ROWS: usize = 150;

/// How often.
const KILLS: u64 = 8;

/// How many more steps are waited for before each kill than before the one before.
const STEPS: u64 = 4;

fn checks(host: &TestHost, args: &[&str]) -> (bool, Value) {
    let args = [&["plugin", "check", "--json"], args].concat();
    let answer = host.vaxel().run(&args, "");
    (answer.ok, answer.json())
}

#[track_caller]
fn says(found: &Value, words: &[&str]) {
    let findings = found["findings"].as_array().unwrap();
    for word in words {
        let says = |it: &Value| it.as_str().unwrap().contains(word);
        assert!(findings.iter().any(says), "{word}: {findings:?}");
    }
    assert_eq!(findings.len(), words.len(), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_checked_without_installing_it_and_all_that_is_wrong_is_said_at_once() {
    let (host, acme) = with_publisher().await;
    let trust = host.data().join("trust.toml");
    let trust = path(&trust);
    let good = acme.package("1.0.0");
    let (ok, checked) = checks(&host, &[path(&good), "--trust", trust]);
    assert!(ok, "{checked}");
    assert_eq!(checked["publisher"], "Acme AB");
    assert_eq!(checked["signer"], acme.thumbprint.as_str());
    assert_eq!(checked["findings"], json!([]));
    assert!(checked["bytes"].as_u64().unwrap() > 10_000);
    let asks = checked["asks"].as_array().unwrap();
    let storage = asks.iter().find(|ask| ask["id"] == "storage").unwrap();
    assert_eq!(
        (&storage["reason"], &storage["required"]),
        (&json!("the tests use it"), &json!(true))
    );
    assert!(!checked["methods"].as_array().unwrap().is_empty());
    assert_eq!(checked["permissions"][0]["name"], "faulty.use");
    let listed = block_in_place(|| host.command(&["plugin", "list", "--json"])).json();
    assert!(
        listed["packages"].as_array().unwrap().is_empty(),
        "{listed}"
    );

    // Two imports that the manifest does not ask for, and nobody's signature.
    let lying = packed(&host, "lying", "1.0.0");
    let folder = host.scratch("lying");
    let manifest = fs::read_to_string(folder.join("plugin.toml")).unwrap();
    let without = |manifest: &str, name: &str| {
        let asks = format!("[[capabilities]]\nname = \"{name}\"\nreason = \"the tests use it\"\n");
        assert!(manifest.contains(&asks), "{name}");
        manifest.replace(&asks, "")
    };
    let silent = without(&without(&manifest, "crypto"), "log");
    fs::write(folder.join("plugin.toml"), &silent).unwrap();
    offline(&host, &["pack", path(&folder), "-o", path(&lying)]);
    let (ok, checked) = checks(&host, &[path(&lying), "--trust", trust]);
    assert!(!ok);
    says(
        &checked,
        &["vaxel:crypto/crypto", "vaxel:log/log", "not signed"],
    );
    assert!(
        checked["asks"]
            .as_array()
            .is_some_and(|asks| !asks.is_empty())
    );
    // Somebody else's signature, and a folder that cannot even be packed.
    let mallory = Publisher::new(&host, "mallory");
    mallory.sign(&lying);
    let (_, checked) = checks(&host, &[path(&lying), "--trust", trust]);
    says(
        &checked,
        &["vaxel:crypto/crypto", "vaxel:log/log", &mallory.thumbprint],
    );
    let broken = silent.replacen("format = 1", "format = 7", 1).replacen(
        "permission = \"faulty.use\"",
        "permission = \"faulty.burn\"",
        1,
    );
    fs::write(folder.join("plugin.toml"), broken).unwrap();
    let (ok, checked) = checks(&host, &[path(&folder)]);
    assert!(!ok);
    says(
        &checked,
        &[
            "format 7",
            "faulty.burn",
            "vaxel:crypto/crypto",
            "vaxel:log/log",
        ],
    );
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
    fs::write(folder.join("component.wasm"), b"\0asm\x0d\0\x01\0\x07\xff").unwrap();
    let (ok, _) = checks(&host, &[path(&folder)]);
    assert!(!ok);
    fs::write(folder.join("plugin.vxp"), b"no package").unwrap();
    let (ok, checked) = checks(&host, &[path(&folder.join("plugin.vxp"))]);
    assert!(!ok && !checked["findings"].as_array().unwrap().is_empty());
    // For people, the same in words.
    let shown = host.vaxel().run(&["plugin", "check", path(&lying)], "");
    assert!(!shown.ok);
    assert!(shown.stdout.contains("An admin is asked to consent to"));
    assert!(shown.stdout.contains("Wrong:"), "{}", shown.stdout);
}

/// The compiler that a server has started, if one runs.
fn compiler_of(server: u32) -> Option<String> {
    let tasks = fs::read_dir(format!("/proc/{server}/task")).ok()?;
    let children = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let all: Vec<String> = children
        .flat_map(|line| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    all.into_iter().find(|child| {
        let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("compile-component")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_a_compiler_the_server_serves_and_compiles_the_next_package() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let file = acme.package("1.0.0");
    let installing = Command::new(host.vaxel().path())
        .args(["plugin", "install", path(&file)])
        .args(["--data", path(host.data())])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let compiler = patiently("the compiler", async {
        loop {
            if let Some(compiler) = compiler_of(host.pid()) {
                return compiler;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    Command::new("kill")
        .args(["-9", &compiler])
        .status()
        .unwrap();
    anna.chat("conversations.list", json!({})).await;
    let ended = block_in_place(|| installing.wait_with_output()).unwrap();
    // It had answered before it was killed, or the package is refused and may come again.
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains("signal 9"), "{said}");
        block_in_place(|| host.command(&["plugin", "install", path(&file)]));
    }
    let next = acme.variant("1.0.1", "other", |manifest| manifest);
    block_in_place(|| host.command(&["plugin", "install", path(&next)]));
    block_in_place(|| host.command(&["plugin", "enable", "--tenant", "acme", "faulty"]));
    let ok = anna.client.call("plugins/faulty/ok", json!({}));
    ok.await.unwrap();
}

/// The worker's folder, with or without its next version, which wants its rows in another form.
fn brings_worker(to: &Path, is_next: bool) {
    let staged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stage/fixtures/worker");
    let folder: PathBuf = to.join("worker");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(staged.join("component.wasm"), folder.join("component.wasm")).unwrap();
    let mut manifest = fs::read_to_string(staged.join("plugin.toml")).unwrap();
    if is_next {
        let next = "version = \"0.2.0\"\ndata_version = 2";
        manifest = manifest.replacen("version = \"0.1.0\"", next, 1);
    }
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
}

async fn get(anna: &Person, key: &str) -> Result<Value, ClientError> {
    let got = anna
        .client
        .call("plugins/worker/get", json!({ "key": key }))
        .await;
    got.map(|got| got["value"].clone())
}

/// Whether rows are still brought over.
async fn is_migrating(anna: &Person) -> bool {
    match get(anna, "new/row/000").await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), "plugin-migrating", "{error:?}");
            true
        }
    }
}

/// How often the plugin ran since the server began.
async fn steps_of(host: &TestHost) -> u64 {
    let metrics = host.admin_client().get("/metrics").await.unwrap();
    let text = String::from_utf8_lossy(metrics.body()).into_owned();
    let of_worker = "vaxel_plugin_runs_total{plugin=\"worker\"} ";
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix(of_worker));
    line.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_brings_each_row_over_once_however_often_the_server_is_killed() {
    let host = TestHost::start().await;
    let plugins = host.scratch("plugins");
    brings_worker(&plugins, false);
    host.configures(&format!("[plugins]\ndir = {plugins:?}\n"));
    block_in_place(|| host.restart());
    let anna = host.sign_in("acme", "anna").await;
    let on = json!({ "plugin": "worker" });
    anna.client.call("plugins/enable", on).await.unwrap();
    for n in 0..ROWS {
        let row = json!({ "key": format!("row/{n:03}"), "value": format!("value {n}") });
        anna.client.call("plugins/worker/put", row).await.unwrap();
    }
    block_in_place(|| host.stop());
    brings_worker(&plugins, true);
    for n in 0..KILLS {
        block_in_place(|| host.serve());
        // Now at its beginning, now some steps on.
        patiently("some steps", async {
            while steps_of(&host).await < n * STEPS && is_migrating(&anna).await {}
        })
        .await;
        block_in_place(|| host.kill9());
    }
    block_in_place(|| host.serve());
    patiently("the migration", async {
        while is_migrating(&anna).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    for n in 0..ROWS {
        let new = get(&anna, &format!("new/row/{n:03}")).await.unwrap();
        assert_eq!(new, format!("from 1: value {n}"));
        assert_eq!(
            get(&anna, &format!("row/{n:03}")).await.unwrap(),
            Value::Null
        );
    }
}

/// All that somebody sees of conversations and people without being told of any.
async fn seen_by(person: &Person) -> Value {
    let mut seen = Vec::new();
    for method in ["conversations.list", "conversations.discover"] {
        seen.push(person.chat(method, json!({ "limit": 1 })).await);
        seen.push(person.chat(method, json!({})).await);
    }
    for params in [
        json!({}),
        json!({ "query": "kris" }),
        json!({ "query": "Bertil" }),
    ] {
        let people = person.client.call("users/list", params);
        seen.push(people.await.unwrap());
    }
    Value::Array(seen)
}

#[tokio::test]
async fn lists_counts_and_refusals_say_nothing_of_what_a_caller_may_not_see() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let carin = host.person("acme", "carin", "Carin").await;
    anna.creates_channel("Allmänt").await;
    let before = seen_by(&carin).await;
    let group = json!({ "name": "Krisgrupp", "kind": "group", "members": [bertil.id] });
    let group = anna.chat("conversations.create", group).await;
    let hidden = group["id"].as_str().unwrap().to_owned();
    let mut message = String::new();
    for n in 0..12 {
        let send = json!({
            "conversation": hidden, "text": format!("bara vi {n}"), "local_id": n.to_string(),
            "mentions": [bertil.id],
        });
        let sent = anna.chat("messages.send", send).await;
        message = sent["id"].as_str().unwrap().to_owned();
    }
    assert_eq!(seen_by(&carin).await, before);
    // What is there and what is not are refused in the same words.
    let elsewhere = |id: &str| {
        let (head, last) = id.split_at(id.len() - 1);
        format!("{head}{}", if last == "0" { "1" } else { "0" })
    };
    let refused = async |method: &str, params: Value| {
        let error = carin.try_chat(method, params).await.unwrap_err();
        (error.status(), error.code().to_owned())
    };
    for method in [
        "conversations.get",
        "conversations.join",
        "conversations.typing",
        "members.list",
        "messages.list",
    ] {
        let is_there = refused(method, json!({ "conversation": hidden })).await;
        let is_not = refused(method, json!({ "conversation": elsewhere(&hidden) })).await;
        assert_eq!(is_there, is_not, "{method}");
    }
    for (method, more) in [
        ("messages.edit", json!({ "text": "jag" })),
        ("messages.delete", json!({})),
        ("messages.react", json!({ "emoji": "👍", "on": true })),
        ("messages.history", json!({})),
    ] {
        let params = |id: &str| {
            let mut params = more.clone();
            params["message"] = json!(id);
            params
        };
        let is_there = refused(method, params(&message)).await;
        let is_not = refused(method, params(&elsewhere(&message))).await;
        assert_eq!(is_there, is_not, "{method}");
    }
    assert_eq!(seen_by(&carin).await, before);
}
