//! What one idle TLS WebSocket costs the server.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::bare_tls;
use crate::measure::{Goal, server, status_kib, tell, tell_goal};

const SOCKETS: usize = 5_000;

/// The most handshakes at once; more would measure the queue.
const AT_ONCE: usize = 16;

/// So many first sockets are not counted: they pay for threads, caches and pools.
const WARM_UP: usize = 200;

pub(crate) async fn run(data: PathBuf) {
    let host = server(&data).await;
    let anna = host.sign_in("acme", "anna").await;
    let mut open = Vec::new();
    open.extend(connect(&anna.client, WARM_UP).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (rss, anon) = (
        status_kib(host.pid(), "VmRSS"),
        status_kib(host.pid(), "RssAnon"),
    );
    open.extend(connect(&anna.client, SOCKETS).await);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let per_socket =
        |before: f64, field: &str| (status_kib(host.pid(), field) - before) / SOCKETS as f64;
    tell("memory.sockets", SOCKETS as f64, "sockets");
    let rss_per_socket = per_socket(rss, "VmRSS");
    tell_goal(
        "memory.rss_per_socket",
        rss_per_socket,
        "KiB",
        Goal::AtMost(24.0),
    );
    tell("memory.heap_per_socket", per_socket(anon, "RssAnon"), "KiB");
    tell("memory.rss_before", rss, "KiB");
    drop(open);
    host.stop();
    let floor = bare_tls::kib_per_connection(SOCKETS, AT_ONCE).await;
    tell("memory.floor_bare_rustls", floor, "KiB");
}

async fn connect(client: &vaxel_client::Client, count: usize) -> Vec<vaxel_client::Socket> {
    stream::iter(0..count)
        .map(|_| async { client.socket(None).await.expect("a socket") })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}
