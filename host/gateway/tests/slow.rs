//! Who says nothing, reads nothing or opens too much: each connection costs little and ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use support::{House, PATIENCE, ask_at};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vaxel_gateway::{GatewayLimits, socket_options};
use yawc::{Frame, HttpRequest};

const HOST: &str = "acme.example";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn shake(addr: SocketAddr, connector: &TlsConnector, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut config = connector.config().as_ref().clone();
    config.alpn_protocols = alpn.iter().map(|one| one.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    connector.connect(name, stream).await.unwrap()
}

/// Says `first` and nothing more; answers what came until the other side ended it.
async fn until_the_end<S: AsyncRead + AsyncWrite + Unpin>(mut wire: S, first: &[u8]) -> Vec<u8> {
    wire.write_all(first).await.unwrap();
    wire.flush().await.unwrap();
    let mut came = Vec::new();
    // A reset instead of an orderly end is fine too.
    let _ = tokio::time::timeout(PATIENCE, wire.read_to_end(&mut came))
        .await
        .expect("the connection is still open");
    came
}

type Sender = http2::SendRequest<Empty<Bytes>>;

async fn http_2(
    house: &House,
    window: Option<u32>,
) -> (SocketAddr, Sender, JoinHandle<hyper::Result<()>>) {
    let (addr, connector) = house.secure().await;
    let stream = shake(addr, &connector, &[b"h2"]).await;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    (addr, sender, tokio::spawn(connection))
}

fn get(addr: SocketAddr, path: &str, token: &str) -> Request<Empty<Bytes>> {
    Request::builder()
        .uri(format!("https://{HOST}:{}{path}", addr.port()))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .unwrap()
}

async fn until_nobody_is_connected(house: &House) {
    let since = Instant::now();
    loop {
        let text = house.gateway.metrics().encode();
        if text.lines().any(|line| line == "vaxel_connections 0") {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "still connected: {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_nothing_ends_whatever_it_speaks() {
    let house = House::with(GatewayLimits {
        header_timeout_ms: 300,
        ..Default::default()
    })
    .await;
    let (addr, connector) = house.secure().await;
    for first in [&b""[..], b"PRI", b"GET / HTTP/1.1\r\nhost:"] {
        until_the_end(TcpStream::connect(house.addr).await.unwrap(), first).await;
        for alpn in [&[&b"h2"[..]][..], &[b"http/1.1"], &[]] {
            until_the_end(shake(addr, &connector, alpn).await, first).await;
        }
    }
    // A whole preface is no question either.
    until_the_end(shake(addr, &connector, &[b"h2"]).await, PREFACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_only_where_the_handshake_chose_it() {
    let house = House::with(GatewayLimits {
        header_timeout_ms: 300,
        ..Default::default()
    })
    .await;
    let (addr, connector) = house.secure().await;
    let plain = TcpStream::connect(house.addr).await.unwrap();
    let mut answers = vec![until_the_end(plain, PREFACE).await];
    for alpn in [&[&b"http/1.1"[..]][..], &[]] {
        let wire = shake(addr, &connector, alpn).await;
        answers.push(until_the_end(wire, PREFACE).await);
    }
    for answer in answers {
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_are_few_and_end_an_http_2_connection() {
    let house = House::with(GatewayLimits {
        silence_max_ms: 500,
        unsent_bytes_max: 64 * 1024,
        ..Default::default()
    })
    .await;
    let token = house.annas_token().await;
    let (addr, mut sender, connection) = http_2(&house, Some(0)).await;
    let asked: Vec<_> = (0..40)
        .map(|_| {
            let answer = sender.send_request(get(addr, "/api/v1/openapi.json", &token));
            // What is kept of the answer is never read.
            tokio::spawn(answer)
        })
        .collect();
    let _ = tokio::time::timeout(PATIENCE, connection)
        .await
        .expect("the connection is still open");
    let mut made = Vec::new();
    for answer in asked {
        made.extend(answer.await.unwrap());
    }
    assert!((1..=16).contains(&made.len()), "{} answers", made.len());
    until_nobody_is_connected(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads_end_an_http_1_connection() {
    let house = House::with(GatewayLimits {
        silence_max_ms: 500,
        ..Default::default()
    })
    .await;
    let token = house.annas_token().await;
    let mut wire = TcpStream::connect(house.addr).await.unwrap();
    let ask = format!(
        "GET /api/v1/openapi.json HTTP/1.1\r\nhost: acme.localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    // More than the kernel takes for us on both sides. Once nothing is read, this write gets stuck as well.
    let asking = tokio::spawn(async move {
        let _ = wire.write_all(ask.repeat(1_500).as_bytes()).await;
        std::future::pending::<()>().await;
        drop(wire);
    });
    let since = Instant::now();
    while !house
        .gateway
        .metrics()
        .encode()
        .lines()
        .any(|line| line == "vaxel_connections 1")
    {
        assert!(since.elapsed() < PATIENCE);
        tokio::task::yield_now().await;
    }
    until_nobody_is_connected(&house).await;
    asking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_read_arrives_whole_however_little_may_lie_here() {
    let house = House::with(GatewayLimits {
        unsent_bytes_max: 1,
        ..Default::default()
    })
    .await;
    let token = house.annas_token().await;
    let (addr, mut sender, _connection) = http_2(&house, Some(4_096)).await;
    let asked: Vec<_> = (0..40)
        .map(|_| sender.send_request(get(addr, "/api/v1/openapi.json", &token)))
        .collect();
    let asked = asked.into_iter().map(|answer| async {
        let body = answer.await.unwrap().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Value>(&body).unwrap()["openapi"].clone()
    });
    let whole = futures_util::future::join_all(asked);
    let whole = tokio::time::timeout(PATIENCE, whole).await.unwrap();
    assert!(whole.iter().all(|version| version == "3.1.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_http_2_connection_ends_with_a_farewell() {
    let house = House::with(GatewayLimits {
        silence_max_ms: 500,
        ..Default::default()
    })
    .await;
    let (addr, mut sender, connection) = http_2(&house, None).await;
    let page = sender.send_request(get(addr, "/", "")).await.unwrap();
    page.collect().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, connection).await;
    let ended = ended.expect("the connection is still open").unwrap();
    ended.expect("a connection that rests is told to go, not cut");
    until_nobody_is_connected(&house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_keeps_its_http_2_connection_from_being_idle() {
    let silence = Duration::from_secs(4);
    let house = House::with(GatewayLimits {
        silence_max_ms: 4_000,
        ..Default::default()
    })
    .await;
    let (addr, connector) = house.secure().await;
    let stream = shake(addr, &connector, &[b"h2"]).await;
    let url = format!("wss://{HOST}:{}/api/v1/socket", addr.port());
    let request = HttpRequest::builder()
        .header("sec-websocket-protocol", "vaxel.v1")
        .header("origin", format!("https://{HOST}:{}", addr.port()));
    let options = socket_options(1 << 20, false);
    let mut socket = yawc::http2::handshake(url.parse().unwrap(), stream, options, request)
        .await
        .unwrap();
    let token = house.annas_token().await;
    let auth = json!({"type": "auth", "token": token}).to_string();
    socket.send(Frame::text(auth)).await.unwrap();
    socket.next_frame().await.unwrap();
    let since = Instant::now();
    while since.elapsed() < silence * 2 {
        let call = json!({"type": "call", "id": 1, "method": "tenant/get"}).to_string();
        socket.send(Frame::text(call)).await.unwrap();
        // Events come in between.
        while !socket
            .next_frame()
            .await
            .unwrap()
            .as_str()
            .contains(r#""result":"#)
        {}
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_has_so_many_calls_open_and_others_are_answered_meanwhile() {
    let house = House::with(GatewayLimits {
        calls_per_user_max: 1,
        ..Default::default()
    })
    .await;
    let (anna, bertil) = (house.annas_token().await, house.bertils_token().await);
    let mut open = TcpStream::connect(house.addr).await.unwrap();
    let head = format!(
        "POST /api/v1/tenant/get HTTP/1.1\r\nhost: acme.localhost\r\nauthorization: Bearer {anna}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{"
    );
    open.write_all(head.as_bytes()).await.unwrap();
    let since = Instant::now();
    let limited = loop {
        let answer = house
            .call("acme.localhost", &anna, "tenant/get", json!({}))
            .await;
        if answer.status != 200 {
            break answer;
        }
        assert!(since.elapsed() < PATIENCE, "nothing is limited");
    };
    limited.problem(429, "limit");
    assert_eq!(limited.header("retry-after"), "1");
    let other = house
        .call("acme.localhost", &bertil, "tenant/get", json!({}))
        .await;
    assert_eq!(other.status, 200);
    let answered = until_the_end(open, b"}").await;
    assert!(answered.starts_with(b"HTTP/1.1 200"));
    let again = house
        .call("acme.localhost", &anna, "tenant/get", json!({}))
        .await;
    assert_eq!(again.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_answered_when_the_public_doors_are_full() {
    let house = House::with(GatewayLimits {
        connections_max: 2,
        ..Default::default()
    })
    .await;
    let held = [
        TcpStream::connect(house.addr).await.unwrap(),
        TcpStream::connect(house.addr).await.unwrap(),
    ];
    let third = TcpStream::connect(house.addr).await.unwrap();
    assert!(until_the_end(third, b"").await.is_empty());
    for path in ["/health/live", "/health/ready", "/metrics"] {
        let answer = ask_at(
            house.admin,
            "localhost",
            Method::GET,
            path,
            &[],
            Bytes::new(),
        )
        .await;
        assert_eq!(answer.status, 200, "{path}");
    }
    drop(held);
}
