//! The socket: what was missed comes once, retries count once, slow readers hold nobody up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::time::Duration;

use serde_json::json;
use vaxel_tests::{Event, HostOptions, SMALL_LOG, ServerFrame, Socket, TestHost, patiently};

#[tokio::test]
async fn after_a_cut_at_any_place_every_message_comes_exactly_once() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let mut socket = bertil.client.socket(None).await.unwrap();
    let mut cursor = socket.cursor().unwrap().to_owned();
    let (mut heard, mut sent) = (Vec::new(), 0);
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..15 {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        for _ in 0..6 {
            anna.says(&format!("nummer {sent}"))
                .in_conversation(&conversation)
                .await;
            sent += 1;
        }
        // Reads some of them, then the line is cut without a word, with frames in flight.
        let mut reads = chance % 6;
        while reads > 0 {
            let event = patiently("an event", socket.next_event()).await.unwrap();
            cursor = event.cursor.clone().unwrap_or(cursor);
            if event.topic == "chat.message.created" {
                heard.push(event.data["message"]["text"].as_str().unwrap().to_owned());
                reads -= 1;
            }
        }
        drop(socket);
        socket = bertil.client.socket(Some(&cursor)).await.unwrap();
    }
    while heard.len() < sent {
        let event = patiently("the rest", socket.next_event()).await.unwrap();
        if event.topic == "chat.message.created" {
            heard.push(event.data["message"]["text"].as_str().unwrap().to_owned());
        }
    }
    let expected: Vec<String> = (0..sent).map(|number| format!("nummer {number}")).collect();
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn a_retried_call_whose_answer_was_lost_leaves_one_copy() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    for number in 0..20 {
        let key = format!("key-{number}");
        let params = json!({"conversation": conversation, "text": key, "local_id": key});
        let mut socket = anna.client.socket(None).await.unwrap();
        socket
            .send_call("plugins/chat/messages.send", params.clone(), Some(&key))
            .await
            .unwrap();
        // The answer may be on its way, or the call not even read.
        drop(socket);
        anna.chat_once(&key, "messages.send", params).await.unwrap();
    }
    let history = anna.history(&conversation).await;
    assert_eq!(history.len(), 20);
}

#[tokio::test]
async fn the_same_key_at_once_is_one_message() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let params = json!({"conversation": conversation, "text": "en", "local_id": "en"});
    let calls = (0..8).map(|_| anna.chat_once("same", "messages.send", params.clone()));
    let mut ids = Vec::new();
    for answer in futures_util::future::join_all(calls).await {
        match answer {
            Ok(answer) => ids.push(answer["id"].clone()),
            Err(error) => assert_eq!(error.status(), 409, "{error:?}"),
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(anna.history(&conversation).await.len(), 1);
}

#[tokio::test]
async fn a_cursor_that_is_none_is_told_apart() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for cursor in ["nonsense", "0", "", "999999-999999-0"] {
        let mut socket = Socket::open(anna.client.endpoint(), None).await.unwrap();
        let token = anna.client.token().unwrap();
        socket.authenticate(&token, Some(cursor)).await.unwrap();
        // It fetches everything anew, and hears what comes from now on.
        let told = patiently("a word about the cursor", socket.next_event()).await;
        assert_eq!(told.unwrap_err().code(), "cursor_expired", "`{cursor}`");
        socket.call("users/me", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_reader_is_cut_and_the_others_are_served() {
    // Room to resume with all that was missed; the kernel's buffers alone hold hundreds of these messages.
    let host = TestHost::start_with(HostOptions {
        config: format!(
            "[limits]\nreplay_events_max = 10000\nuser_per_s = 10000\nuser_burst = 10000\n{SMALL_LOG}"
        ),
        ..HostOptions::default()
    })
    .await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let conversation = anna.direct_with(&bertil).await;
    let mut slow = bertil.client.socket(None).await.unwrap();
    let mut quick = anna.client.socket(None).await.unwrap();
    let hears_all = tokio::spawn(async move {
        let mut heard = 0;
        loop {
            let event = quick.next_event().await.unwrap();
            if event.data["message"]["text"] == "sist" {
                return heard;
            }
            heard += usize::from(event.topic == "chat.message.created");
        }
    });
    // Long messages fill what the kernel buffers; the slow socket is not read meanwhile.
    let text = "å".repeat(8000);
    let mut sent = 0;
    // Whether it was cut is read from the count of such ends: who does not read is not waited for, so the word itself
    // may be lost.
    let was_cut = async || {
        let metrics = host.admin_client().get("/metrics").await.unwrap();
        String::from_utf8_lossy(metrics.body()).contains(r#"vaxel_refusals_total{reason="Slow"}"#)
    };
    patiently("the slow socket to be cut", async {
        while !was_cut().await {
            let sends = (0..50).map(|number| {
                let params = json!({
                    "conversation": conversation, "text": text, "local_id": format!("l{number}"),
                });
                anna.try_chat("messages.send", params)
            });
            for answer in futures_util::future::join_all(sends).await {
                match answer {
                    Ok(_) => sent += 1,
                    Err(error) => assert!(matches!(error.status(), 409 | 429), "{error:?}"),
                }
            }
        }
    })
    .await;
    anna.says("sist").in_conversation(&conversation).await;
    let heard = patiently("the quick reader's last message", hears_all).await;
    assert_eq!(heard.unwrap(), sent, "the quick reader hears all");

    let mut heard = Vec::new();
    let end = patiently("the end of the slow socket", async {
        loop {
            match slow.next_frame().await {
                Ok(ServerFrame::Event(event)) => keep(&event, &mut heard),
                Ok(ServerFrame::Bye(bye)) => break Some(bye.code),
                Ok(_) => {}
                Err(_) => break None,
            }
        }
    })
    .await;
    assert!(
        heard.len() < sent,
        "the slow socket heard {} of {sent}",
        heard.len()
    );
    assert!(end.is_none_or(|code| code == "slow"));

    // Nothing is lost for it either: it comes back from where it was, and gets the rest.
    let cursor = slow.cursor().unwrap().to_owned();
    let mut again = bertil.client.socket(Some(&cursor)).await.unwrap();
    patiently("the last message", async {
        loop {
            let event = again.next_event().await.unwrap();
            keep(&event, &mut heard);
            if event.data["message"]["text"] == "sist" {
                break;
            }
        }
    })
    .await;
    let history = anna.history(&conversation).await;
    let all: Vec<&str> = history
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(heard, all, "each message once, in order");
}

/// Notes the id of a message that was told.
fn keep(event: &Event, heard: &mut Vec<String>) {
    if event.topic == "chat.message.created" {
        heard.push(event.data["message"]["id"].as_str().unwrap().to_owned());
    }
}

#[tokio::test]
async fn calls_on_one_socket_may_overtake_each_other_and_keep_their_ids() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut socket = anna.client.socket(None).await.unwrap();
    let mut open = Vec::new();
    for round in 0..10 {
        let method = if round % 2 == 0 {
            "users/me"
        } else {
            "plugins/chat/conversations.list"
        };
        open.push((
            socket.send_call(method, json!({}), None).await.unwrap(),
            round % 2 == 0,
        ));
    }
    while !open.is_empty() {
        match patiently("an answer", socket.next_frame()).await.unwrap() {
            ServerFrame::Result { id, result } => {
                let at = open
                    .iter()
                    .position(|(open, _)| *open == id)
                    .expect("an open call");
                let (_, me) = open.remove(at);
                assert_eq!(result.get("user").is_some(), me);
            }
            ServerFrame::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn somebody_who_leaves_hears_no_more() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let channel = anna.creates_channel("Allmänt").await;
    bertil
        .chat("conversations.join", json!({"conversation": channel}))
        .await;
    anna.says("ett").in_conversation(&channel).await;
    bertil.reads("ett").await;
    bertil
        .chat("conversations.leave", json!({"conversation": channel}))
        .await;
    anna.says("två").in_conversation(&channel).await;
    anna.says("tre").to(&bertil).await;
    loop {
        let event = bertil.sees("chat.message.created").await;
        assert_ne!(event.data["message"]["text"], "två");
        if event.data["message"]["text"] == "tre" {
            break;
        }
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}
