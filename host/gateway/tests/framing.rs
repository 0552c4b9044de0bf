//! Requests that two readers could read differently, or that are too large before they begin.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use http::Method;
use serde_json::{Value, json};
use support::{House, PATIENCE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ME: &str = "/api/v1/users/me";

/// Writes a call with these headers and this body as they are, and reads until the server ends the connection.
async fn raw(house: &House, token: &str, headers: &str, body: &str) -> String {
    let mut wire = TcpStream::connect(house.addr).await.unwrap();
    let request = format!(
        "POST {ME} HTTP/1.1\r\nhost: acme.localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\n{headers}\r\n\r\n{body}"
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut came = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, wire.read_to_end(&mut came))
        .await
        .expect("the connection is still open");
    String::from_utf8(came).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_encoding_is_chunked_or_refused() {
    let house = House::new().await;
    let token = house.annas_token().await;
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    let plain = raw(&house, &token, "transfer-encoding: chunked", chunks).await;
    assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
    for headers in [
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip\r\ntransfer-encoding: chunked",
        "transfer-encoding: gzip",
    ] {
        let refused = raw(&house, &token, headers, chunks).await;
        assert!(refused.starts_with("HTTP/1.1 400"), "{headers}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_behind_a_body_of_two_lengths() {
    let house = House::new().await;
    let token = house.annas_token().await;
    let body = "2\r\n{}\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nhost: acme.localhost\r\n\r\n";
    let length = format!("content-length: {}", body.len());
    let chunked = "transfer-encoding: chunked";
    for headers in [
        format!("{length}\r\n{chunked}"),
        format!("{chunked}\r\n{length}"),
    ] {
        let came = raw(&house, &token, &headers, body).await;
        assert_eq!(came.matches("HTTP/1.1 ").count(), 1, "{came}");
        assert!(came.contains("connection: close"), "{came}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let house = House::new().await;
    let token = house.annas_token().await;
    let headers = "content-length: 1048577\r\nexpect: 100-continue";
    let refused = raw(&house, &token, headers, "").await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stands_twice_is_refused_at_both_doors() {
    let house = House::new().await;
    let token = house.annas_token().await;
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", &*bearer),
    ];
    let path = "/api/v1/users/update_me";
    let twice = r#"{"display_name":"Anna","display_name":"Eva"}"#;
    let refused = house
        .ask("acme.localhost", Method::POST, path, &headers, twice)
        .await;
    refused.problem(400, "duplicate_key");
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    let frame = format!(r#"{{"type":"call","id":7,"method":"users/update_me","params":{twice}}}"#);
    futures_util::SinkExt::send(&mut socket.0, yawc::Frame::text(frame))
        .await
        .unwrap();
    let refused = socket.next().await;
    assert_eq!(
        (&refused["type"], &refused["id"]),
        (&json!("error"), &json!(7)),
        "{refused}"
    );
    let me = house
        .call("acme.localhost", &token, "users/me", json!({}))
        .await;
    assert_eq!(me.json()["user"]["display_name"], Value::from("anna"));
}
