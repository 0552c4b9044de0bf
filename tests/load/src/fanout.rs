//! Stored messages to many TLS sockets at once, beside raw writes to as many sockets.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use vaxel_tests::{Person, TestHost};

use crate::measure::{Goal, cpu_s, percentile_ms, server, tell, tell_goal};

/// One at a time, each waited for at every socket: how late is the last one.
const SINGLE: usize = 30;

/// In a row, so that the server is never idle: what one delivery costs.
const BURST: usize = 150;

/// How many messages of the burst are under way at once.
const AT_ONCE: usize = 4;

/// What one event of this test weighs on the wire.
const FRAME_BYTES: usize = 500;

const TEXT: &str = "Lunch på torget om en kvart? Det finns soppa, och solen är framme.";

pub(crate) async fn run(data: PathBuf) {
    let host = server(&data).await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let conversation = anna.direct_with(&bertil).await;
    for sockets in [200, 1000] {
        measure(&host, &anna, &bertil, &conversation, sockets).await;
        raw(sockets).await;
    }
    host.stop();
}

async fn measure(
    host: &TestHost,
    anna: &Person,
    bertil: &Person,
    conversation: &str,
    sockets: usize,
) {
    let heard = Arc::new(AtomicUsize::new(0));
    let mut readers = Vec::new();
    for _ in 0..sockets {
        let mut socket = bertil.client.socket(None).await.expect("a socket");
        let heard = Arc::clone(&heard);
        readers.push(tokio::spawn(async move {
            // Looking for the topic is cheaper than reading the JSON, and the cores are shared.
            while let Ok(frame) = socket.next_text().await {
                if frame
                    .windows(20)
                    .any(|bytes| bytes == b"chat.message.created")
                {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    let mut last = Vec::new();
    for _ in 0..SINGLE {
        let before = heard.load(Ordering::Relaxed);
        let began = Instant::now();
        anna.says(TEXT).in_conversation(conversation).await;
        wait_for(&heard, before + sockets).await;
        last.push(began.elapsed());
    }
    last.sort();
    let name = format!("fanout.sockets_{sockets}");
    tell(&format!("{name}.last.p50"), percentile_ms(&last, 50), "ms");
    tell(&format!("{name}.last.p99"), percentile_ms(&last, 99), "ms");

    let before = heard.load(Ordering::Relaxed);
    let (cpu, began) = (cpu_s(&host.pid().to_string()), Instant::now());
    for _ in 0..BURST / AT_ONCE {
        let sends = (0..AT_ONCE).map(|_| anna.says(TEXT).in_conversation(conversation));
        futures_util::future::join_all(sends).await;
    }
    let deliveries = BURST / AT_ONCE * AT_ONCE * sockets;
    wait_for(&heard, before + deliveries).await;
    let (cpu, seconds) = (
        cpu_s(&host.pid().to_string()) - cpu,
        began.elapsed().as_secs_f64(),
    );
    tell(
        &format!("{name}.rate"),
        deliveries as f64 / seconds,
        "deliveries/s",
    );
    tell_goal(
        &format!("{name}.per_cpu"),
        deliveries as f64 / cpu,
        "deliveries/cpu-s",
        Goal::AtLeast(60_000.0),
    );
    for reader in readers {
        reader.abort();
    }
}

async fn wait_for(heard: &AtomicUsize, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while heard.load(Ordering::Relaxed) < count {
        assert!(
            Instant::now() < deadline,
            "{} of {count} were heard",
            heard.load(Ordering::Relaxed)
        );
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// The floor: one thread writes the same bytes to as many sockets, without TLS or storage.
async fn raw(sockets: usize) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for _ in 0..sockets {
        let stream = std::net::TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        writers.push(stream);
        let (mut reader, _) = listener.accept().await.expect("a connection");
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count) = reader.read(&mut buffer).await {
                if count == 0 {
                    break;
                }
                heard.fetch_add(count, Ordering::Relaxed);
            }
        });
    }
    let rounds = 300_000 / sockets;
    let (cpu, last) = tokio::task::spawn_blocking({
        let heard = Arc::clone(&heard);
        move || {
            let buffer = [7_u8; FRAME_BYTES];
            let cpu = cpu_s("thread-self");
            let began = Instant::now();
            for stream in &mut writers {
                stream.write_all(&buffer).expect("writing");
            }
            while heard.load(Ordering::Relaxed) < sockets * FRAME_BYTES {
                std::thread::yield_now();
            }
            let last = began.elapsed();
            for _ in 1..rounds {
                for stream in &mut writers {
                    stream.write_all(&buffer).expect("writing");
                }
            }
            (cpu_s("thread-self") - cpu, last)
        }
    })
    .await
    .expect("the writer");
    let name = format!("fanout.sockets_{sockets}.floor");
    tell(&format!("{name}.last"), last.as_secs_f64() * 1000.0, "ms");
    tell(
        &format!("{name}.per_cpu"),
        (rounds * sockets) as f64 / cpu,
        "writes/cpu-s",
    );
}
