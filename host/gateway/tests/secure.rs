//! HTTPS: HTTP/2 by ALPN, and a socket as one of its streams.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use bytes::Bytes;
use futures_util::SinkExt as _;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use support::House;
use tokio::net::TcpStream;
use vaxel_gateway::socket_options;
use yawc::{Frame, HttpRequest};

const HOST: &str = "acme.example";

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_over_tls_with_strict_transport_and_one_name_for_the_host() {
    let house = House::new().await;
    let (addr, connector) = house.secure().await;
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut ask = |host: &str, path: &str, header: Option<&str>| {
        let mut request = Request::builder()
            .version(Version::HTTP_2)
            .uri(format!("https://{host}:{}{path}", addr.port()));
        if let Some(host) = header {
            request = request.header("host", host);
        }
        sender.send_request(request.body(Empty::<Bytes>::new()).unwrap())
    };
    let page = ask(HOST, "/", None).await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(
        page.headers()["strict-transport-security"],
        "max-age=63072000"
    );
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains(&format!("wss://{HOST}:{}", addr.port())),
        "{policy}"
    );
    let info = ask(HOST, "/api/v1/public/info", None).await.unwrap();
    let info: Value = serde_json::from_slice(&info.collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(info["tenant"]["slug"], "acme");
    assert_eq!(
        info["demo"], false,
        "one-click sign-in is for the plain loopback listener only"
    );
    assert_eq!(
        ask("globex.example", "/", Some(HOST))
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        ask("nobody.example", "/", None).await.unwrap().status(),
        421
    );
    assert_eq!(ask("localhost", "/", None).await.unwrap().status(), 421);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_opens_as_a_stream_of_http_2() {
    let house = House::new().await;
    let (addr, connector) = house.secure().await;
    let stream = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    let url = format!("wss://{HOST}:{}/api/v1/socket", addr.port())
        .parse()
        .unwrap();
    let request = HttpRequest::builder()
        .header("sec-websocket-protocol", "vaxel.v1")
        .header("origin", format!("https://{HOST}:{}", addr.port()));
    let options = socket_options(1 << 20, false);
    let mut socket = yawc::http2::handshake(url, stream, options, request)
        .await
        .unwrap();
    let token = house.annas_token().await;
    let auth = json!({"type": "auth", "token": token}).to_string();
    socket.send(Frame::text(auth)).await.unwrap();
    let ready = socket.next_frame().await.unwrap();
    assert!(
        ready.as_str().contains(r#""type":"ready""#),
        "{}",
        ready.as_str()
    );
}
