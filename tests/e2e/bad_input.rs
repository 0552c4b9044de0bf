//! What the server answers to frames, bodies and hosts that no honest client sends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vaxel_tests::{
    ClientError, HostOptions, Person, RequestOptions, SMALL_LOG, ServerFrame, Socket, TestHost,
    patiently,
};

/// The server is fine if a person who did nothing wrong still gets an answer.
async fn still_serves(person: &Person) {
    person.client.call("users/me", json!({})).await.unwrap();
}

/// Reads until the server closes; answers what it said before.
async fn until_closed(socket: &mut Socket) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    patiently("the end of the socket", async {
        while let Ok(frame) = socket.next_frame().await {
            frames.push(frame);
        }
    })
    .await;
    frames
}

#[tokio::test]
async fn unknown_methods_are_not_found_on_both_bindings() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for method in [
        "nonsense/nothing",
        "plugins/chat/nothing",
        "plugins/nobody/messages.send",
        "plugins/../users/me",
        "users/me/more",
    ] {
        let refused = anna.client.call(method, json!({})).await.unwrap_err();
        assert_eq!(refused.status(), 404, "{method}: {refused:?}");
        let refused = anna.socket_call(method, json!({})).await.unwrap_err();
        assert_eq!(refused.status(), 404, "{method}: {refused:?}");
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn wrong_types_and_unknown_fields_are_named() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    for (params, named) in [
        (json!({}), "\"conversation\""),
        (json!([]), "the parameters"),
        (json!("text"), "the parameters"),
        (json!(null), "the parameters"),
        (
            json!({"conversation": 7, "text": "x", "local_id": "y"}),
            "/conversation",
        ),
        (
            json!({"conversation": conversation, "text": ["x"], "local_id": "y"}),
            "/text",
        ),
        (
            json!({"conversation": conversation, "text": "x", "local_id": {}}),
            "/local_id",
        ),
        (
            json!({"conversation": "cnv_zz", "text": "x", "local_id": "y"}),
            "conversation",
        ),
        (
            json!({"conversation": conversation, "text": "x", "local_id": "y", "tenant": "ten_1"}),
            "tenant",
        ),
    ] {
        let refused = anna
            .try_chat("messages.send", params.clone())
            .await
            .unwrap_err();
        assert!(
            matches!(refused.status(), 400 | 404 | 422),
            "{params}: {refused:?}"
        );
        let over_socket = anna
            .socket_call("plugins/chat/messages.send", params.clone())
            .await
            .unwrap_err();
        assert_eq!(over_socket.code(), refused.code(), "{params}");
        for problem in [refused.problem(), over_socket.problem()] {
            let detail = &problem.unwrap().detail;
            assert!(detail.contains(named), "{params} is refused for: {detail}");
        }
    }
    assert!(anna.history(&conversation).await.is_empty());
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "{", "{\"a\":}", "nul", "\u{0}", "{} {}", &deep] {
        let answer = anna
            .client
            .post(
                "users/me",
                body.to_owned().into(),
                &RequestOptions::default(),
            )
            .await
            .unwrap();
        // An empty body stands for no parameters.
        if !body.is_empty() {
            assert_eq!(answer.status().as_u16() / 100, 4, "{:.40}", body);
        }
        if !answer.status().is_success() {
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem: Value = serde_json::from_slice(answer.body()).unwrap();
            for field in ["type", "title", "status", "detail", "code", "request_id"] {
                assert!(!problem[field].is_null(), "no {field} in {problem}");
            }
        }
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn an_oversized_body_is_refused_before_it_is_read() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let body = vec![b' '; 8 * 1024 * 1024];
    match anna
        .client
        .post("users/me", body.into(), &RequestOptions::default())
        .await
    {
        Ok(answer) => assert_eq!(answer.status(), 413),
        // The server may answer and close while we are still sending.
        Err(ClientError::Http(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn a_host_nobody_owns_is_misdirected() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for host in [
        "nobody.localhost",
        "acme.localhost.evil.example",
        "127.0.0.1",
    ] {
        let options = RequestOptions {
            host: Some(host.to_owned()),
            ..RequestOptions::default()
        };
        let answer = anna.client.call_with("users/me", json!({}), options).await;
        let Err(refused) = answer else {
            panic!("{host} was answered");
        };
        assert_eq!(refused.status(), 421, "{host}: {refused:?}");
    }
    for host in ["ACME.localhost..", "acme.localhost:x", "acme/localhost"] {
        let options = RequestOptions {
            host: Some(host.to_owned()),
            ..RequestOptions::default()
        };
        let answer = anna.client.call_with("users/me", json!({}), options).await;
        let Err(refused) = answer else {
            panic!("{host} was answered");
        };
        assert_eq!(refused.status(), 400, "{host}: {refused:?}");
    }
    let shouting = RequestOptions {
        host: Some(anna.client.endpoint().authority().to_uppercase()),
        ..RequestOptions::default()
    };
    anna.client
        .call_with("users/me", json!({}), shouting)
        .await
        .unwrap();
}

#[tokio::test]
async fn forwarded_headers_of_strangers_change_nothing() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let request = http::Request::builder()
        .method("POST")
        .uri("/api/v1/users/me")
        .header("content-type", "application/json")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example;for=1.2.3.4")
        .header("x-forwarded-for", "1.2.3.4");
    let answer = anna
        .client
        .send(request, "{}".into(), &RequestOptions::default())
        .await
        .unwrap();
    assert!(answer.status().is_success());
    assert!(!String::from_utf8_lossy(answer.body()).contains("evil"));
}

/// A proxy in front of the server: it says who sent a request, and adds that to whatever the request says itself.
async fn proxy(server: u16, client: &'static str) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = near.read_u8().await else {
                        return;
                    };
                    head.push(byte);
                }
                head.truncate(head.len() - 2);
                head.extend_from_slice(
                    format!("X-Forwarded-For: {client}\r\nX-Forwarded-Proto: https\r\n\r\n")
                        .as_bytes(),
                );
                let mut far = tokio::net::TcpStream::connect(("127.0.0.1", server))
                    .await
                    .unwrap();
                far.write_all(&head).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn behind_a_proxy_each_client_is_itself_whatever_it_says() {
    let host = TestHost::start_with(HostOptions {
        config: format!(
            "proxies = ['127.0.0.1']\n\
             [listen]\nhttp = '127.0.0.1:0'\n\
             [limits]\naddress_per_s = 1\naddress_burst = 5\n{SMALL_LOG}"
        ),
        ..HostOptions::default()
    })
    .await;
    let server = host.plain_port();
    // Nobody is signed in, so each answer costs the client one of its five.
    let ask = async |port: u16, says: &str| {
        let mut wire = tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .unwrap();
        let request = format!(
            "POST /api/v1/users/me HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\nX-Forwarded-For: {says}\r\n\r\n{{}}"
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = patiently("an answer", wire.read_to_string(&mut answer)).await;
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let one = proxy(server, "203.0.113.1").await;
    let mut answers = Vec::new();
    for says in [
        "garbage",
        "127.0.0.1",
        "unknown, ::1",
        "",
        "198.51.100.9",
        "x",
    ] {
        answers.push(ask(one, says).await);
    }
    for _ in 0..4 {
        answers.push(ask(one, "garbage").await);
    }
    assert_eq!(answers[..5], ["401"; 5]);
    assert!(answers[5..].contains(&"429".to_owned()), "{answers:?}");
    // Another client is not held to account for it.
    let other = proxy(server, "203.0.113.2").await;
    assert_eq!(ask(other, "203.0.113.1").await, "401");
    // A proxy that names nobody is refused: who is behind it would pass for this machine.
    let broken = proxy(server, "unknown").await;
    assert_eq!(ask(broken, "203.0.113.3").await, "400");
    // Without a word of any proxy it is this machine itself, which is not limited.
    for _ in 0..10 {
        assert_eq!(ask(server, "127.0.0.1").await, "401");
    }
}

#[tokio::test]
async fn a_socket_of_a_foreign_page_is_not_opened() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for origin in ["https://evil.example", "null", "http://acme.localhost"] {
        let opened = Socket::open(anna.client.endpoint(), Some(origin)).await;
        assert!(opened.is_err(), "{origin}");
    }
    Socket::open(anna.client.endpoint(), None).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_does_not_say_who_it_is_is_closed() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut silent = Socket::open(anna.client.endpoint(), None).await.unwrap();
    until_closed(&mut silent).await;
    still_serves(&anna).await;
}

#[tokio::test]
async fn a_call_before_auth_gets_no_result() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut socket = Socket::open(anna.client.endpoint(), None).await.unwrap();
    socket.send_call("users/me", json!({}), None).await.unwrap();
    let result = patiently("an answer", socket.next_frame()).await;
    assert!(
        !matches!(result, Ok(ServerFrame::Result { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn malformed_frames_are_answered_and_end_in_a_close() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for text in [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"type":"call"}"#,
        r#"{"type":"call","id":-1,"method":"users/me","params":{}}"#,
        r#"{"type":"call","id":"x","method":"users/me","params":{}}"#,
        r#"{"type":"call","id":1,"method":7,"params":{}}"#,
        r#"{"type":"nothing","id":1}"#,
        r#"{"type":"auth"}"#,
        r#"{"type":"auth","token":7}"#,
    ] {
        let mut socket = anna.client.socket(None).await.unwrap();
        // The server may close at once; a send after that fails, as it should.
        for _ in 0..20 {
            if socket.send_text(text.to_owned()).await.is_err() {
                break;
            }
        }
        for frame in until_closed(&mut socket).await {
            assert!(
                !matches!(frame, ServerFrame::Result { .. }),
                "{text}: {frame:?}"
            );
        }
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn an_oversized_frame_ends_that_socket_only() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut socket = anna.client.socket(None).await.unwrap();
    let _ = socket.send_text("x".repeat(3 * 1024 * 1024)).await;
    until_closed(&mut socket).await;
    // One that only says how large it will be has nothing on the line that could push the server's last words away.
    let mut head = vec![0x81, 0xff];
    head.extend_from_slice(&(3 * 1024 * 1024_u64).to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    assert_eq!(close_code(&anna, &head).await, Some(1009));
    still_serves(&anna).await;
    anna.socket_call("users/me", json!({})).await.unwrap();
}

/// Opens a socket by hand, sends these bytes behind the handshake, and answers the code that it is closed with.
async fn close_code(person: &Person, bytes: &[u8]) -> Option<u16> {
    let endpoint = person.client.endpoint();
    let upgrade = format!(
        "GET /api/v1/socket HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: vaxel.v1\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        endpoint.authority(),
        endpoint.origin()
    );
    let mut wire = endpoint.open().await.unwrap();
    wire.write_all(upgrade.as_bytes()).await.unwrap();
    wire.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset behind the last words is fine.
    let _ = patiently("the end of the connection", wire.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{bytes:x?}");
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n")?;
    // Short frames of a server: kind, length, payload.
    let mut frames = &answer[head + 4..];
    while let [kind, len, rest @ ..] = frames {
        let (payload, behind) = rest.split_at_checked(usize::from(*len))?;
        if *kind == 0x88 {
            let code = payload.first_chunk::<2>()?;
            return Some(u16::from_be_bytes(*code));
        }
        frames = behind;
    }
    None
}

#[tokio::test]
async fn bytes_that_are_no_websocket_end_that_connection_only() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let garbage: [(&[u8], u16); 5] = [
        (b"\xff\xff\xff\xff\xff\xff\xff\xff", 1002),
        // A frame that says it is 2^63 bytes long.
        (
            b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
            1009,
        ),
        // Unmasked text, which a client must not send.
        (b"\x81\x02hi", 1002),
        // A fragmented control frame.
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        // Text that is not UTF-8.
        (b"\x81\x82\x00\x00\x00\x00\xc3\x28", 1007),
    ];
    for (bytes, code) in garbage {
        assert_eq!(close_code(&anna, bytes).await, Some(code), "{bytes:x?}");
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn half_a_request_does_not_hold_others_up() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut wire = anna.client.endpoint().open().await.unwrap();
        wire.write_all(b"POST /api/v1/users/me HTTP/1.1\r\nHost: acme")
            .await
            .unwrap();
        held.push(wire);
    }
    still_serves(&anna).await;
}

#[tokio::test]
async fn more_than_32_open_calls_meet_the_limit_and_the_rest_is_answered() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut socket = anna.client.socket(None).await.unwrap();
    let count = 200;
    for _ in 0..count {
        socket
            .send_call("plugins/chat/conversations.list", json!({}), None)
            .await
            .unwrap();
    }
    let (mut results, mut limited) = (0, 0);
    while results + limited < count {
        match patiently("an answer", socket.next_frame()).await.unwrap() {
            ServerFrame::Result { .. } => results += 1,
            ServerFrame::Error { error, .. } => {
                assert!(error.code.contains("limit"), "{error:?}");
                limited += 1;
            }
            ServerFrame::Bye(bye) => panic!("{bye:?}"),
            _ => {}
        }
    }
    assert!(results >= 32, "{results} answered, {limited} refused");
}

#[tokio::test]
async fn an_idempotency_key_answers_again_and_refuses_another_body() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let send = |text: &str| json!({"conversation": conversation, "text": text, "local_id": "l"});
    let first = anna
        .chat_once("key-1", "messages.send", send("en gång"))
        .await
        .unwrap();
    let again = anna
        .chat_once("key-1", "messages.send", send("en gång"))
        .await
        .unwrap();
    assert_eq!(first, again);
    let refused = anna
        .chat_once("key-1", "messages.send", send("något annat"))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.status(), refused.code()),
        (422, "idempotency-mismatch")
    );
    // The same key of another person is another key.
    bertil
        .chat_once("key-1", "messages.send", send("en gång"))
        .await
        .unwrap();
    assert_eq!(anna.history(&conversation).await.len(), 2);
}

#[tokio::test]
async fn answers_carry_no_path_and_no_trace() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let data = host.data().to_string_lossy().into_owned();
    for (method, params) in [
        ("nonsense/nothing", json!({})),
        ("users/me", json!({"x": 1})),
        (
            "plugins/chat/messages.send",
            json!({"conversation": "cnv_0"}),
        ),
        ("users/invite_preview", json!({"token": "nonsense"})),
    ] {
        let Err(error) = anna.client.call(method, params).await else {
            continue;
        };
        let said = format!("{:?}", error.problem());
        for telltale in [
            data.as_str(),
            ".rs",
            "panicked",
            "wasm",
            "backtrace",
            "sled",
        ] {
            assert!(!said.contains(telltale), "{method}: {said}");
        }
    }
}

#[tokio::test]
async fn the_admin_listener_reads_only_and_knows_its_own_name() {
    let (host, _anna, _bertil) = TestHost::with_two_users().await;
    let admin = host.admin_client();
    for path in [
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/metrics",
    ] {
        let answer = admin.get(path).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
    let rebound = RequestOptions {
        host: Some("evil.example".to_owned()),
        ..RequestOptions::default()
    };
    let answer = admin.get_with("/metrics", &rebound).await.unwrap();
    assert!(
        answer.status().is_client_error(),
        "DNS rebinding: {}",
        answer.status()
    );
    let answer = admin
        .post("users/me", "{}".into(), &RequestOptions::default())
        .await
        .unwrap();
    assert!(answer.status().is_client_error());
    tokio::time::sleep(Duration::from_millis(1)).await;
}
