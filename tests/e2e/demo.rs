//! The demo: whole after every start, also behind one that was cut off, and nobody's old password on the network.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vaxel_tests::{HostOptions, PASSWORD, TestHost};

const DEMO: &[&str] = &["--demo", "--http-port", "0"];

/// A debug build on a loaded machine makes an organization in this time.
const MAKING_LIMIT: Duration = Duration::from_secs(90);

/// Starts the demo and kills it as soon as it says that it makes this organization, or a little later.
fn cut_off_while_making(host: &TestHost, slug: &str, after: Duration) {
    let log = host.scratch(&format!("cut-off-{slug}.log"));
    let mut server = Command::new(host.vaxel().path())
        .args(["serve", "--data"])
        .arg(host.data())
        .args(DEMO)
        .args(["--https-port", "0", "--admin-port", "0"])
        .env("VAXEL_DEMO_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let says = format!("\"tenant.slug\":\"{slug}\"");
    while !fs::read_to_string(&log).unwrap().contains(&says) {
        let left = server.try_wait().unwrap();
        assert!(
            left.is_none() && began.elapsed() < MAKING_LIMIT,
            "{slug} is not being made: {}",
            fs::read_to_string(&log).unwrap()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(after);
    server.kill().unwrap();
    server.wait().unwrap();
    let made = fs::read_to_string(host.data().join(format!("demo-{slug}"))).unwrap();
    assert_ne!(made, "made", "the test was too late to cut anything off");
    // Whoever has a password by now has the one that is kept.
    let kept = fs::read_to_string(host.data().join("demo-password")).unwrap();
    assert_eq!(kept, PASSWORD);
}

/// What an organization of the demo's script consists of: people, conversations, messages.
fn script(slug: &str) -> (Vec<String>, usize, usize) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/server/demo/demo.json");
    let script: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let organizations = script["organizations"].as_array().unwrap();
    let organization = organizations
        .iter()
        .find(|organization| organization["slug"] == slug)
        .unwrap();
    let people = organization["people"].as_array().unwrap().iter();
    let people = people.map(|person| person["login"].as_str().unwrap().to_owned());
    let calls = organization["calls"].as_array().unwrap();
    let count = |end: &str| {
        let methods = calls.iter().map(|call| call["method"].as_str().unwrap());
        methods.filter(|method| method.ends_with(end)).count()
    };
    let (conversations, messages) = (count("/conversations.create"), count("/messages.send"));
    (people.collect(), conversations, messages)
}

/// What all people of an organization see together: ids of conversations and of messages.
async fn seen(host: &TestHost, slug: &str, people: &[String]) -> [BTreeSet<String>; 2] {
    let [mut conversations, mut messages] = [BTreeSet::new(), BTreeSet::new()];
    let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
    for login in people {
        let person = host.sign_in(slug, login).await;
        let list = person
            .chat("conversations.list", json!({"limit": 100}))
            .await;
        for conversation in list["items"].as_array().unwrap() {
            if conversations.insert(id(conversation)) {
                messages.extend(person.history(&id(conversation)).await.iter().map(id));
            }
        }
    }
    [conversations, messages]
}

#[tokio::test]
async fn a_demo_that_was_cut_off_while_it_was_made_is_whole_after_the_next_start() {
    let host = TestHost::prepare(HostOptions::default());
    cut_off_while_making(&host, "acme", Duration::from_millis(300));
    cut_off_while_making(&host, "globex", Duration::ZERO);
    host.serve_with(DEMO, &[]);
    for slug in ["acme", "globex"] {
        let (people, conversations, messages) = script(slug);
        let [seen_conversations, seen_messages] = seen(&host, slug, &people).await;
        assert_eq!(seen_conversations.len(), conversations, "{slug}");
        assert_eq!(seen_messages.len(), messages, "{slug}");
    }

    // A later start makes nothing again.
    host.stop();
    host.serve_with(DEMO, &[]);
    let (people, _, messages) = script("globex");
    let [_, seen_messages] = seen(&host, "globex", &people).await;
    assert_eq!(seen_messages.len(), messages);

    // On the network nobody gets in with a password from before, nor with one that the environment sets.
    host.stop();
    host.serve_with(&["--demo", "--lan"], &[("VAXEL_DEMO_PASSWORD", PASSWORD)]);
    assert!(
        !host
            .stdout()
            .iter()
            .any(|line| line.starts_with("ready http:"))
    );
    let new = fs::read_to_string(host.data().join("demo-password")).unwrap();
    assert_ne!(new, PASSWORD);
    for (slug, login) in [("acme", "anna"), ("acme", "bertil"), ("globex", "greta")] {
        let old = host.client(slug).login(login, PASSWORD).await;
        assert_eq!(old.err().unwrap().status(), 401, "{login}");
        host.client(slug).login(login, &new).await.unwrap();
    }
    host.stop();
    host.serve_with(&["--demo", "--lan"], &[]);
    let newer = fs::read_to_string(host.data().join("demo-password")).unwrap();
    assert_ne!(
        newer, new,
        "each start on the network has a password of its own"
    );
    host.client("acme").login("anna", &newer).await.unwrap();
}

#[tokio::test]
async fn the_demo_leaves_data_alone_that_it_did_not_make() {
    let host = TestHost::start().await;
    host.stop();
    let refused = host.try_command(&["serve", "--demo"], "");
    assert!(!refused.ok);
    assert!(
        refused.stderr.contains("did not make"),
        "{}",
        refused.stderr
    );
}
