//! Durable chat messages over HTTP into one conversation, with one subscribed reader.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use vaxel_client::{Client, Endpoint};

use crate::bare_http::BareHttp;
use crate::measure::{Goal, append_floor, cpu_s, percentile_ms, server, tell, tell_goal};

const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(8);

/// What one sealed message of this test takes in the log, roughly.
const RECORD_BYTES: usize = 1024;

const TEXT: &str = "Mötet är flyttat till torsdag klockan tio, vi ses i det stora rummet. \
                    Ta med underlaget från förra veckan, så går vi igenom det tillsammans.";

pub(crate) async fn run(data: PathBuf) {
    let host = server(&data).await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let conversation = anna.direct_with(&bertil).await;
    let client = host.plain_client("acme");
    client.set_token(anna.client.token());

    let read = Arc::new(AtomicU64::new(0));
    let mut reader = bertil
        .client
        .socket(None)
        .await
        .expect("the reader's socket");
    let count = Arc::clone(&read);
    tokio::spawn(async move {
        while let Ok(event) = reader.next_event().await {
            if event.topic == "chat.message.created" {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });

    let mut sent = 0;
    for senders in [1, 16, 128] {
        let name = format!("chat.senders_{senders}");
        sent += measure(&client, &conversation, senders, host.pid(), &name).await;
        let floor = append_floor(&data, RECORD_BYTES * senders, Duration::from_secs(2));
        tell(
            &format!("{name}.floor.p50"),
            percentile_ms(&floor, 50),
            "ms",
        );
        tell(
            &format!("{name}.floor.p99"),
            percentile_ms(&floor, 99),
            "ms",
        );
        let bare = BareHttp::start();
        let client = Client::new(Endpoint::parse(&bare.address()).expect("an address"));
        client.set_token(anna.client.token());
        measure(
            &client,
            &conversation,
            senders,
            bare.pid(),
            &format!("{name}.bare_http"),
        )
        .await;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while read.load(Ordering::Relaxed) < sent && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell("chat.sent", sent as f64, "messages");
    let read = read.load(Ordering::Relaxed);
    tell("chat.read", read as f64, "messages");
    assert_eq!(read, sent, "the reader gets every message once");
    host.stop();
}

/// Sends as fast as so many senders can; answers how many messages were acknowledged in all.
async fn measure(client: &Client, conversation: &str, senders: usize, pid: u32, name: &str) -> u64 {
    let measuring = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let conflicts = Arc::new(AtomicU64::new(0));
    let all = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..senders)
        .map(|sender| {
            let client = client.clone();
            let conversation = conversation.to_owned();
            let (measuring, stop) = (Arc::clone(&measuring), Arc::clone(&stop));
            let (conflicts, all) = (Arc::clone(&conflicts), Arc::clone(&all));
            tokio::spawn(async move {
                let mut took = Vec::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let params = json!({
                        "conversation": conversation,
                        "text": TEXT,
                        "local_id": format!("{senders}-{sender}-{number}"),
                    });
                    let began = Instant::now();
                    match client.call("plugins/chat/messages.send", params).await {
                        Ok(_) => {
                            all.fetch_add(1, Ordering::Relaxed);
                            if measuring.load(Ordering::Relaxed) {
                                took.push(began.elapsed());
                            }
                        }
                        Err(error) if error.status() == 409 => {
                            conflicts.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                took
            })
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let (cpu, began) = (cpu_s(&pid.to_string()), Instant::now());
    measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(MEASURED).await;
    measuring.store(false, Ordering::Relaxed);
    let (cpu, seconds) = (cpu_s(&pid.to_string()) - cpu, began.elapsed().as_secs_f64());
    stop.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.expect("a sender"));
    }
    took.sort();
    let messages = took.len() as f64;
    tell(&format!("{name}.p50"), percentile_ms(&took, 50), "ms");
    tell(&format!("{name}.p99"), percentile_ms(&took, 99), "ms");
    tell(&format!("{name}.rate"), messages / seconds, "messages/s");
    let per_cpu = format!("{name}.per_cpu");
    if name == "chat.senders_128" {
        tell_goal(
            &per_cpu,
            messages / cpu,
            "messages/cpu-s",
            Goal::AtLeast(10_000.0),
        );
    } else {
        tell(&per_cpu, messages / cpu, "messages/cpu-s");
    }
    let conflicts = conflicts.load(Ordering::Relaxed) as f64;
    tell_goal(
        &format!("{name}.conflicts"),
        conflicts,
        "calls",
        Goal::AtMost(0.0),
    );
    all.load(Ordering::Relaxed)
}
