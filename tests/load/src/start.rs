//! Start to ready with many messages stored, after an orderly stop and after a kill.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::measure::{server, tell};

const MESSAGES: usize = 100_000;
const SENDERS: usize = 128;

pub(crate) async fn run(data: PathBuf) {
    let host = server(&data).await;
    tell("start.empty", host.restart().as_secs_f64() * 1000.0, "ms");
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let conversation = anna.direct_with(&bertil).await;
    let client = host.plain_client("acme");
    client.set_token(anna.client.token());
    let next = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let (client, next) = (client.clone(), Arc::clone(&next));
            let conversation = conversation.clone();
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= MESSAGES {
                        break;
                    }
                    let params = json!({
                        "conversation": conversation,
                        "text": format!("Meddelande nummer {number} av ganska många."),
                        "local_id": format!("start-{number}"),
                    });
                    client
                        .call("plugins/chat/messages.send", params)
                        .await
                        .expect("a message");
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.expect("a sender");
    }
    tell("start.messages", MESSAGES as f64, "messages");
    host.kill9();
    tell(
        "start.after_kill",
        host.serve().as_secs_f64() * 1000.0,
        "ms",
    );
    tell(
        "start.after_stop",
        host.restart().as_secs_f64() * 1000.0,
        "ms",
    );
    host.stop();
    let read = floor(&data);
    tell("start.floor_read_data", read.as_secs_f64() * 1000.0, "ms");
}

/// The floor: reading everything that is stored, once.
fn floor(folder: &Path) -> Duration {
    let began = Instant::now();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                std::hint::black_box(std::fs::read(path).expect("a file"));
            }
        }
    }
    began.elapsed()
}
