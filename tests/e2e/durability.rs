//! Acknowledged means durable: the server is killed again and again while people write.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::{ClientError, HostOptions, PASSWORD, Person, TestHost, patiently};

const ROUNDS: usize = 100;
const WRITERS: usize = 6;

/// How long the server is left running after it is ready, at most.
const LIFE_MS_MAX: u64 = 120;

/// Sends numbered messages, each retried under its key until it is acknowledged.
async fn write(anna: Arc<Person>, conversation: String, writer: usize, run: Arc<Run>) {
    let mut number = 0;
    while !run.stop.load(Ordering::Relaxed) {
        let text = format!("writer {writer} number {number}");
        let key = text.replace(' ', "-");
        let params = json!({"conversation": conversation, "text": text, "local_id": key});
        loop {
            match anna.chat_once(&key, "messages.send", params.clone()).await {
                Ok(answer) => {
                    assert_eq!(answer["message"]["text"], text.as_str());
                    run.acknowledged.lock().unwrap().push(text);
                    run.count.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(error) => {
                    let status = error.status();
                    assert!(
                        matches!(status, 0 | 401 | 409 | 429 | 502..=504),
                        "an unexpected answer: {error:?}"
                    );
                    if status == 401 {
                        // Another writer may have renewed the token already.
                        let _ = anna.client.refresh().await;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        number += 1;
    }
}

/// Follows events over all the cuts, resuming from the last one seen.
async fn follow(bertil: Arc<Person>, run: Arc<Run>) {
    let mut cursor = bertil.cursor().await;
    while !run.followed.load(Ordering::Relaxed) {
        let mut socket = match bertil.client.socket(cursor.as_deref()).await {
            Ok(socket) => socket,
            Err(error) => {
                if error.status() == 401 {
                    let _ = bertil.client.refresh().await;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        while let Ok(next) = tokio::time::timeout(Duration::from_secs(1), socket.next_event()).await
        {
            let event = match next {
                Ok(event) => event,
                Err(error) => {
                    let is_lapse = error.code() == "cursor_expired";
                    assert!(!is_lapse, "a killed server is no restored one: {error:?}");
                    break;
                }
            };
            if event.topic == "chat.message.created" {
                let text = event.data["message"]["text"].as_str().unwrap().to_owned();
                run.heard.lock().unwrap().push(text);
            }
            cursor = event.cursor.or(cursor);
        }
    }
}

#[derive(Default)]
struct Run {
    stop: AtomicBool,
    followed: AtomicBool,
    count: AtomicUsize,
    acknowledged: Mutex<Vec<String>>,
    heard: Mutex<Vec<String>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed_100_times() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let (anna, bertil) = (Arc::new(anna), Arc::new(bertil));
    let run = Arc::new(Run::default());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            tokio::spawn(write(
                Arc::clone(&anna),
                conversation.clone(),
                writer,
                Arc::clone(&run),
            ))
        })
        .collect();
    let follower = tokio::spawn(follow(Arc::clone(&bertil), Arc::clone(&run)));

    let mut ready = Vec::new();
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..ROUNDS {
        let before = run.count.load(Ordering::Relaxed);
        patiently("an acknowledged message after the restart", async {
            while run.count.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        tokio::time::sleep(Duration::from_millis(chance % LIFE_MS_MAX)).await;
        block_in_place(|| host.kill9());
        ready.push(block_in_place(|| host.serve()));
    }
    run.stop.store(true, Ordering::Relaxed);
    for writer in writers {
        patiently("a writer's last message", writer).await.unwrap();
    }
    ready.sort();
    println!(
        "{} messages over {ROUNDS} kills; start to ready: median {:?}, longest {:?}",
        run.count.load(Ordering::Relaxed),
        ready[ROUNDS / 2],
        ready[ROUNDS - 1]
    );

    // The token may be older than its ten minutes by now.
    anna.client.login("anna", PASSWORD).await.unwrap();
    bertil.client.login("bertil", PASSWORD).await.unwrap();
    let history = bertil.history(&conversation).await;
    let stored: Vec<String> = texts(&history);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for text in &stored {
        *times.entry(text).or_default() += 1;
    }
    for text in run.acknowledged.lock().unwrap().iter() {
        assert_eq!(
            times.get(text.as_str()),
            Some(&1),
            "`{text}` was acknowledged"
        );
    }
    assert!(
        times.values().all(|&n| n == 1),
        "a retried message is stored once"
    );

    // A message and its event are one batch: what is stored was heard, once, in the same order.
    patiently("the follower", async {
        while run.heard.lock().unwrap().len() < stored.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    run.followed.store(true, Ordering::Relaxed);
    follower.await.unwrap();
    assert_eq!(*run.heard.lock().unwrap(), stored);

    chain_is_whole(&host);
    restored_elsewhere_is_the_same(&host, &bertil, &conversation, &history).await;
}

#[tokio::test]
async fn an_orderly_stop_says_goodbye_and_loses_nothing() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("före").in_conversation(&conversation).await;
    bertil.reads("före").await;
    let stopping = tokio::task::spawn_blocking({
        let host = host.clone();
        move || host.stop()
    });
    loop {
        match bertil.next_event().await {
            Ok(_) => {}
            Err(ClientError::Bye(code)) => {
                assert_eq!(code, "draining");
                break;
            }
            Err(error) => panic!("no goodbye: {error:?}"),
        }
    }
    stopping.await.unwrap();
    host.serve();
    bertil.reconnect(true).await.unwrap();
    anna.says("efter").in_conversation(&conversation).await;
    bertil.reads("efter").await;
    assert_eq!(texts(&anna.history(&conversation).await), ["före", "efter"]);
}

#[tokio::test]
async fn a_state_that_is_gone_is_rebuilt_from_the_log() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    for number in 0..50 {
        anna.says(&format!("nummer {number}"))
            .in_conversation(&conversation)
            .await;
    }
    let before = anna.history(&conversation).await;
    host.stop();
    std::fs::remove_dir_all(host.data().join("store/state")).unwrap();
    host.serve();
    assert_eq!(anna.history(&conversation).await, before);
    assert!(
        host.log().contains("storage.rebuilt"),
        "an alarm says so:\n{}",
        host.log_tail()
    );
    chain_is_whole(&host);
}

#[tokio::test]
async fn a_restored_server_starts_a_new_epoch() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("före").in_conversation(&conversation).await;
    bertil.reads("före").await;
    let history = bertil.history(&conversation).await;
    restored_elsewhere_is_the_same(&host, &bertil, &conversation, &history).await;
}

fn texts(history: &[Value]) -> Vec<String> {
    history
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect()
}

fn chain_is_whole(host: &TestHost) {
    let doctor = host.command(&["doctor", "--json"]);
    let said = doctor.json();
    assert_eq!(said["chain"]["ok"], true, "{said}");
    assert!(said["chain"]["records"].as_u64() > Some(0), "{said}");
    println!("doctor: {said}");
}

/// Backs up while serving, restores into another directory, and compares what bertil sees there.
async fn restored_elsewhere_is_the_same(
    host: &TestHost,
    bertil: &Person,
    conversation: &str,
    history: &[Value],
) {
    let backup = host.scratch("backup");
    let path = backup.to_string_lossy().into_owned();
    block(|| host.command(&["backup", &path]));
    let copy = TestHost::prepare(HostOptions {
        data: Some(host.scratch("restored")),
        ..HostOptions::default()
    });
    let key = host
        .data()
        .join("master.key")
        .to_string_lossy()
        .into_owned();
    block(|| copy.command(&["restore", &path, "--master-key", &key]));
    block(|| copy.serve());
    let there = copy.sign_in("acme", "bertil").await;
    assert_eq!(there.id, bertil.id);
    assert_eq!(there.history(conversation).await, history);

    let cursor = bertil.cursor().await.unwrap();
    let mut socket = there.client.socket(Some(&cursor)).await.unwrap();
    let told = patiently("a word about the old cursor", socket.next_event()).await;
    assert_eq!(told.unwrap_err().code(), "cursor_expired");
    block(|| copy.stop());
}

/// Blocking in place needs the many-threaded runtime; the other tests have nothing to hold up.
fn block<T>(work: impl FnOnce() -> T) -> T {
    let handle = tokio::runtime::Handle::current();
    match handle.runtime_flavor() {
        tokio::runtime::RuntimeFlavor::MultiThread => block_in_place(work),
        _ => work(),
    }
}
