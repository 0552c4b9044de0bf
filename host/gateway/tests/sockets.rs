//! Sockets: who one is, what one is told, what one may ask, and how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use futures_util::SinkExt as _;
use serde_json::json;
use support::{House, PATIENCE};
use vaxel_gateway::GatewayLimits;
use yawc::Frame;

const ACME: &str = "acme.localhost";

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_the_sockets_of_its_audience_and_no_other() {
    let house = House::new().await;
    house
        .join(house.acme.id, "c/1", &[house.anna, house.bertil])
        .await;
    let (mut anna, _) = house.live(&house.acme, house.anna).await;
    let (mut laptop, _) = house.live(&house.acme, house.anna).await;
    let (mut bertil, _) = house.live(&house.acme, house.bertil).await;
    let (mut greta, _) = house.live(&house.globex, house.greta).await;
    house.publish(house.acme.id, "c/1", json!({"n": 1})).await;
    house.publish(house.acme.id, "c/2", json!({"n": 2})).await;
    house.publish(house.acme.id, "c/1", json!({"n": 3})).await;
    for socket in [&mut anna, &mut laptop, &mut bertil] {
        assert_eq!(socket.next_event().await["data"]["n"], 1);
        let last = socket.next_event().await;
        assert_eq!(last["data"]["n"], 3);
        assert!(last["cursor"].is_string());
    }
    house.join(house.globex.id, "c/1", &[house.greta]).await;
    house.publish(house.globex.id, "c/1", json!({"n": 9})).await;
    assert_eq!(greta.next_event().await["data"]["n"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_comes_once_and_before_what_is_new() {
    let house = House::new().await;
    house.join(house.acme.id, "c/1", &[house.anna]).await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    house.publish(house.acme.id, "c/1", json!({"n": 0})).await;
    let seen = socket.next_event().await["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    drop(socket);
    for n in 1..=50 {
        house.publish(house.acme.id, "c/1", json!({"n": n})).await;
    }
    let mut socket = house.socket(ACME).await;
    let token = house.annas_token().await;
    // More happens while the socket comes back.
    let (_, ()) = tokio::join!(
        socket.say(json!({"type": "auth", "token": token, "resume": seen})),
        async {
            for n in 51..=100 {
                house.publish(house.acme.id, "c/1", json!({"n": n})).await;
            }
        }
    );
    assert_eq!(socket.next().await["type"], "ready");
    for n in 1..=100 {
        assert_eq!(socket.next_event().await["data"]["n"], n);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_missed_too_much_or_brings_no_cursor_of_ours_is_told_to_fetch_anew() {
    let house = House::with(GatewayLimits {
        replay_events_max: 5,
        ..Default::default()
    })
    .await;
    house.join(house.acme.id, "c/1", &[house.anna]).await;
    let (socket, ready) = house.live(&house.acme, house.anna).await;
    drop(socket);
    for n in 0..6 {
        house.publish(house.acme.id, "c/1", json!({"n": n})).await;
    }
    let token = house.annas_token().await;
    for resume in [ready.as_str(), "nonsense", "c1-0000000000000001-1.0"] {
        let mut socket = house.socket(ACME).await;
        socket
            .say(json!({"type": "auth", "token": token, "resume": resume}))
            .await;
        assert_eq!(socket.next().await["type"], "ready");
        let word = socket.next_word().await;
        assert_eq!(word["error"]["code"], "cursor_expired", "{resume}: {word}");
        assert_eq!(word["id"], json!(null));
        house
            .publish(house.acme.id, "c/1", json!({"n": "live"}))
            .await;
        assert_eq!(socket.next_event().await["data"]["n"], "live");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_methods_are_called_over_a_socket() {
    let house = House::new().await;
    let (mut socket, _) = house.live(&house.acme, house.bertil).await;
    let me = socket.call(7, "users/me", json!({})).await;
    assert_eq!(
        (me["type"].as_str(), me["id"].as_u64()),
        (Some("result"), Some(7))
    );
    assert_eq!(me["result"]["user"]["login"], "bertil");
    for (method, code) in [
        ("users/dance", "unknown_method"),
        ("plugins/chat/x", "unknown_method"),
        ("session/logout", "http_only"),
        ("users/deactivate", "forbidden"),
    ] {
        let refused = socket
            .call(8, method, json!({"user": house.anna.to_string()}))
            .await;
        assert_eq!(refused["type"], "error");
        assert_eq!(refused["error"]["code"], code, "{method}: {refused}");
    }
    let invalid = socket.call(9, "users/list", json!({"limit": "many"})).await;
    assert_eq!(invalid["error"]["code"], "invalid_params");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_token_or_with_a_foreign_one_gets_nowhere() {
    let house = House::with(GatewayLimits {
        auth_timeout_ms: 200,
        ..Default::default()
    })
    .await;
    let mut silent = house.socket(ACME).await;
    assert_eq!(silent.next().await["type"], "bye");

    let mut early = house.socket(ACME).await;
    let refused = early.call(1, "users/me", json!({})).await;
    assert_eq!(refused["error"]["code"], "unauthenticated");

    let greta = house.token(house.globex.id, house.greta).await;
    for token in [greta.as_str(), "x", ""] {
        let mut socket = house.socket(ACME).await;
        socket.say(json!({"type": "auth", "token": token})).await;
        assert_eq!(socket.next().await["type"], "error");
        assert_eq!(socket.next().await["code"], "refused");
        assert!(socket.maybe_next().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_gets_no_socket() {
    let house = House::new().await;
    let protocol = ("sec-websocket-protocol", "vaxel.v1");
    for origin in ["http://evil.example", "http://globex.localhost", "null"] {
        assert!(
            house
                .try_socket(ACME, &[protocol, ("origin", origin)])
                .await
                .is_err(),
            "{origin}"
        );
    }
    let ours = house.origin(ACME);
    assert!(
        house
            .try_socket(ACME, &[protocol, ("origin", &ours)])
            .await
            .is_ok()
    );
    assert!(
        house.try_socket(ACME, &[]).await.is_err(),
        "without the subprotocol"
    );
    assert!(house.try_socket("evil.example", &[protocol]).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_in_place_by_the_same_user_only() {
    let house = House::new().await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    let bertil = house.bertils_token().await;
    socket.say(json!({"type": "auth", "token": bertil})).await;
    assert_eq!(socket.next_word().await["error"]["code"], "wrong_user");
    house.clock.advance_ms(9 * 60 * 1_000);
    let fresh = house.annas_token().await;
    socket.say(json!({"type": "auth", "token": fresh})).await;
    assert_eq!(socket.next_word().await["type"], "ready");
    // The first token has ended by now, the second has not.
    house.clock.advance_ms(5 * 60 * 1_000);
    let me = socket.call(1, "users/me", json!({})).await;
    assert_eq!(me["result"]["user"]["login"], "anna");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_hold_are_counted_and_end_the_socket() {
    let house = House::new().await;
    let greta = house.token(house.globex.id, house.greta).await;
    let bertil = house.bertils_token().await;
    for (token, code) in [
        ("nonsense", "token_invalid"),
        (&greta, "wrong_tenant"),
        (&bertil, "wrong_user"),
    ] {
        let (mut socket, _) = house.live(&house.acme, house.anna).await;
        let mut codes = Vec::new();
        // More than are forgiven; the socket may be gone before the last is sent.
        for _ in 0..20 {
            let frame = json!({"type": "auth", "token": token}).to_string();
            if socket.0.send(Frame::text(frame)).await.is_err() {
                break;
            }
        }
        while let Some(frame) = socket.maybe_next().await {
            match frame["type"].as_str() {
                Some("error") => codes.push(frame["error"]["code"].as_str().unwrap().to_owned()),
                Some("bye") => assert_eq!(frame["code"], "refused"),
                _ => {}
            }
        }
        assert_eq!(codes, vec![code; 8]);
    }
    let anna = house.annas_token().await;
    let audit = house.call(ACME, &anna, "audit/list", json!({"limit": 100}));
    let audit = audit.await.json();
    let acts = audit["items"].as_array().unwrap().iter();
    let knocks = acts.filter(|act| act["action"] == "token.foreign");
    // Told of, and at most once for each: identity may take repeated ones together.
    assert!((1..=8).contains(&knocks.count()), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_a_token_costs_like_a_call() {
    let limits = GatewayLimits {
        user_per_s: 1,
        user_burst: 5,
        ..Default::default()
    };
    let house = House::with(limits).await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    let token = house.annas_token().await;
    let (mut ready, mut limited) = (0, 0);
    for _ in 0..20 {
        socket.say(json!({"type": "auth", "token": token})).await;
        let word = socket.next_word().await;
        if word["type"] == "ready" {
            ready += 1;
        } else {
            assert_eq!(word["error"]["code"], "limit", "{word}");
            limited += 1;
        }
    }
    assert!(
        ready >= 5 && limited > 5,
        "{ready} were, {limited} were not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_socket_ends_with_its_token_and_a_revoked_one_at_once() {
    let house = House::new().await;
    let (mut idle, _) = house.live(&house.acme, house.anna).await;
    house.clock.advance_ms(11 * 60 * 1_000);
    assert_eq!(idle.next_word().await["code"], "expired");
    assert!(idle.maybe_next().await.is_none());

    let (mut bertil, _) = house.live(&house.acme, house.bertil).await;
    house.join(house.acme.id, "c/1", &[house.bertil]).await;
    let anna = house.annas_token().await;
    let who = json!({"user": house.bertil.to_string()});
    assert_eq!(
        house
            .call(ACME, &anna, "users/deactivate", who)
            .await
            .status,
        200
    );
    house
        .publish(house.acme.id, "c/1", json!({"secret": true}))
        .await;
    let word = bertil.next_word().await;
    assert_eq!(
        (word["type"].as_str(), word["code"].as_str()),
        (Some("bye"), Some("revoked"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_lets_no_event_out_even_before_anybody_swept() {
    let house = House::new().await;
    house.join(house.acme.id, "c/1", &[house.anna]).await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    house.clock.advance_ms(11 * 60 * 1_000);
    house
        .publish(house.acme.id, "c/1", json!({"secret": true}))
        .await;
    loop {
        let frame = socket.next().await;
        assert_ne!(frame["topic"], "test.happened", "{frame}");
        if frame["type"] == "bye" {
            assert_eq!(frame["code"], "expired");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_a_few_times_and_then_ends_the_socket() {
    let house = House::new().await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    for n in 0..8 {
        if n % 2 == 0 {
            socket.0.send(Frame::text("garbage")).await.unwrap();
        } else {
            socket.0.send(Frame::binary(vec![1, 2, 3])).await.unwrap();
        }
        assert_eq!(socket.next_word().await["error"]["code"], "malformed_frame");
    }
    assert_eq!(socket.next_word().await["code"], "refused");
    assert!(socket.maybe_next().await.is_none());

    // Too large, and no UTF-8: the protocol itself says no.
    for (frame, code) in [
        (Frame::text(vec![b' '; 300 * 1024]), 1009),
        (Frame::text(vec![0xff, 0xfe]), 1007),
    ] {
        let (mut socket, _) = house.live(&house.acme, house.anna).await;
        socket.0.send(frame).await.unwrap();
        assert_eq!(socket.close_code().await, Some(code));
    }
    let (mut well, _) = house.live(&house.acme, house.anna).await;
    assert_eq!(
        well.call(1, "tenant/get", json!({})).await["result"]["slug"],
        "acme"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_reading_is_cut_and_holds_nobody_up() {
    let limits = GatewayLimits {
        queue_bytes_max: 256 * 1024,
        ..Default::default()
    };
    let house = House::with(limits).await;
    house
        .join(house.acme.id, "c/1", &[house.anna, house.bertil])
        .await;
    let (mut slow, _) = house.live(&house.acme, house.anna).await;
    let (mut quick, _) = house.live(&house.acme, house.bertil).await;
    // More than the kernel and the queue take together.
    let text = "x".repeat(30_000);
    let count = 600;
    let going_on = async {
        for n in 0..count {
            house
                .publish(house.acme.id, "c/1", json!({"n": n, "text": text}))
                .await;
            assert_eq!(quick.next_event().await["data"]["n"], n);
        }
    };
    tokio::time::timeout(PATIENCE * 3, going_on).await.unwrap();
    // What was on its way arrives; then the socket has ended long before the last event.
    let mut got = 0;
    let mut code = None;
    while let Some(frame) = slow.maybe_next().await {
        if frame["type"] == "bye" {
            code = frame["code"].as_str().map(str::to_owned);
        } else {
            got += 1;
        }
    }
    assert!(got < count, "{got}");
    assert!(code.is_none_or(|code| code == "slow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_each_socket_where_to_resume_and_waits_for_it_to_go() {
    let house = House::new().await;
    house.join(house.acme.id, "c/1", &[house.anna]).await;
    let (mut socket, _) = house.live(&house.acme, house.anna).await;
    house.publish(house.acme.id, "c/1", json!({"n": 1})).await;
    let seen = socket.next_event().await["cursor"].clone();
    let draining = tokio::spawn({
        let gateway = house.gateway.clone();
        async move { gateway.drain().await }
    });
    let bye = socket.next_word().await;
    assert_eq!(bye["code"], "draining");
    assert_eq!(bye["cursor"], seen);
    assert!(bye["retry_after_ms"].is_u64());
    assert!(socket.maybe_next().await.is_none());
    drop(socket);
    tokio::time::timeout(PATIENCE, draining)
        .await
        .unwrap()
        .unwrap();
    assert!(!house.gateway.health().is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_each_other_come() {
    let house = House::new().await;
    let (mut anna, _) = house.live(&house.acme, house.anna).await;
    let (mut bertil, _) = house.live(&house.acme, house.bertil).await;
    loop {
        let frame = anna.next().await;
        assert_eq!(frame["topic"], "presence.changed");
        assert!(frame.get("cursor").is_none());
        if frame["data"]["user"] == house.bertil.to_string() {
            assert_eq!(frame["data"]["status"], "online");
            break;
        }
    }
    bertil
        .call(1, "presence/set", json!({"status": "away"}))
        .await;
    let list = anna.call(2, "presence/list", json!({})).await;
    let away = list["result"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|item| item["user"] == house.bertil.to_string() && item["status"] == "away");
    assert!(away, "{list}");
}
