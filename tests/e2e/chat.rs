//! People talk: conversations of each kind, and everything one does with a message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use vaxel_tests::TestHost;

#[tokio::test]
async fn what_anna_says_bertil_reads() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    anna.says("hej").to(&bertil).await;
    let message = bertil.reads("hej").await;
    assert_eq!(message["author"], anna.id.as_str());
    bertil.says("hej på dig").to(&anna).await;
    anna.reads("hej på dig").await;
}

#[tokio::test]
async fn the_same_two_people_share_one_direct_conversation() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let hers = anna.direct_with(&bertil).await;
    let his = bertil.direct_with(&anna).await;
    assert_eq!(hers, his);
}

#[tokio::test]
async fn only_the_senders_own_copy_carries_the_local_id() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.chat(
        "messages.send",
        json!({"conversation": conversation, "text": "hej", "local_id": "mine-1"}),
    )
    .await;
    let own = anna.sees("chat.message.created").await;
    assert_eq!(own.data["local_id"], "mine-1");
    assert!(
        own.cursor.is_some(),
        "a stored event has a place to resume from"
    );
}

#[tokio::test]
async fn a_group_is_heard_by_its_members_and_nobody_else() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let carin = host.person("acme", "carin", "Carin Cederberg").await;
    let group = anna.creates_group("Planen", &[&bertil]).await;
    anna.says("bara vi").in_conversation(&group).await;
    bertil.reads("bara vi").await;

    let refused = carin
        .try_chat("messages.list", json!({"conversation": group, "limit": 10}))
        .await
        .unwrap_err();
    assert!(matches!(refused.status(), 403 | 404), "{refused:?}");
    let refused = carin
        .try_chat(
            "messages.send",
            json!({"conversation": group, "text": "släpp in mig", "local_id": "x"}),
        )
        .await
        .unwrap_err();
    assert!(matches!(refused.status(), 403 | 404), "{refused:?}");

    // Carin hears what is meant for her, so the silence before was not a dead socket.
    anna.says("till carin").to(&carin).await;
    loop {
        let event = carin.sees("chat.message.created").await;
        assert_ne!(event.data["message"]["text"], "bara vi");
        if event.data["message"]["text"] == "till carin" {
            break;
        }
    }
}

#[tokio::test]
async fn a_public_channel_is_found_joined_and_left() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let channel = anna.creates_channel("Allmänt").await;
    let found = bertil.chat("conversations.discover", json!({})).await;
    let names: Vec<&Value> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["Allmänt"]);

    let joined = bertil
        .chat("conversations.join", json!({"conversation": channel}))
        .await;
    assert_eq!(joined["joined"], true);
    anna.says("välkommen").in_conversation(&channel).await;
    bertil.reads("välkommen").await;

    bertil
        .chat("conversations.leave", json!({"conversation": channel}))
        .await;
    let refused = bertil
        .try_chat(
            "messages.send",
            json!({"conversation": channel, "text": "kvar?", "local_id": "x"}),
        )
        .await
        .unwrap_err();
    assert!(matches!(refused.status(), 403 | 404), "{refused:?}");
}

#[tokio::test]
async fn members_are_added_listed_and_removed_by_the_owner() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let carin = host.person("acme", "carin", "Carin Cederberg").await;
    let group = anna.creates_group("Planen", &[&bertil]).await;
    anna.chat(
        "members.add",
        json!({"conversation": group, "members": [carin.id]}),
    )
    .await;
    let list = anna
        .chat("members.list", json!({"conversation": group}))
        .await;
    assert_eq!(list["items"].as_array().unwrap().len(), 3);

    anna.says("nu är du med").in_conversation(&group).await;
    carin.reads("nu är du med").await;

    let refused = bertil
        .try_chat(
            "members.remove",
            json!({"conversation": group, "member": anna.id}),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");
    anna.chat(
        "members.remove",
        json!({"conversation": group, "member": carin.id}),
    )
    .await;
    let refused = carin
        .try_chat("messages.list", json!({"conversation": group, "limit": 10}))
        .await
        .unwrap_err();
    assert!(matches!(refused.status(), 403 | 404), "{refused:?}");
}

#[tokio::test]
async fn a_reply_shows_what_it_answers_and_a_mention_counts() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let question = anna.says("Kommer du?").in_conversation(&conversation).await;
    let answer = bertil
        .says("Ja!")
        .in_reply_to(&question)
        .mentioning(&anna)
        .in_conversation(&conversation)
        .await;
    assert_eq!(answer["reply_to"]["id"], question["id"]);
    assert_eq!(answer["reply_to"]["text"], "Kommer du?");
    let read = anna.reads("Ja!").await;
    assert_eq!(read["mentions"], json!([anna.id]));
    assert_eq!(anna.sees_conversation(&conversation).await["mentions"], 1);
}

#[tokio::test]
async fn a_reaction_is_counted_once_per_person_and_taken_back() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let message = anna.says("fika?").to(&bertil).await;
    let react = |on: bool| json!({"message": message["id"], "emoji": "👍", "on": on});
    bertil.chat("messages.react", react(true)).await;
    let twice = bertil.chat("messages.react", react(true)).await;
    assert_eq!(
        twice["message"]["reactions"],
        json!([{"emoji": "👍", "users": [bertil.id]}])
    );
    let seen = anna.sees("chat.message.reacted").await;
    assert_eq!(seen.data["message"]["id"], message["id"]);
    let none = bertil.chat("messages.react", react(false)).await;
    assert_eq!(none["message"]["reactions"], json!([]));
}

#[tokio::test]
async fn only_the_author_edits_and_the_text_is_gone_when_deleted() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let message = anna.says("klokan tre").in_conversation(&conversation).await;
    let refused = bertil
        .try_chat(
            "messages.edit",
            json!({"message": message["id"], "text": "nej"}),
        )
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");

    anna.chat(
        "messages.edit",
        json!({"message": message["id"], "text": "klockan tre"}),
    )
    .await;
    let edited = bertil.sees("chat.message.edited").await;
    assert_eq!(edited.data["message"]["text"], "klockan tre");
    assert!(edited.data["message"]["edited_at"].is_u64());

    anna.chat("messages.delete", json!({"message": message["id"]}))
        .await;
    bertil.sees("chat.message.deleted").await;
    let history = bertil.history(&conversation).await;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0]["deleted"], true);
    assert_eq!(history[0]["text"], "");
}

#[tokio::test]
async fn reading_on_one_device_clears_the_count_on_the_other() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    let phone = bertil.second_device().await;
    for text in ["ett", "två", "tre"] {
        anna.says(text).in_conversation(&conversation).await;
    }
    let last = phone.reads("tre").await;
    assert_eq!(phone.sees_conversation(&conversation).await["unread"], 3);

    let read = bertil
        .chat(
            "conversations.mark_read",
            json!({"conversation": conversation, "message": last["id"]}),
        )
        .await;
    assert_eq!(read["unread"], 0);
    let told = phone.sees("chat.read.updated").await;
    assert_eq!(told.data["unread"], 0);
    assert_eq!(told.data["read_up_to"], last["id"]);
    assert_eq!(phone.sees_conversation(&conversation).await["unread"], 0);
}

#[tokio::test]
async fn what_one_says_oneself_is_not_unread() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("hej").in_conversation(&conversation).await;
    assert_eq!(anna.sees_conversation(&conversation).await["unread"], 0);
    assert_eq!(bertil.sees_conversation(&conversation).await["unread"], 1);
}

#[tokio::test]
async fn pages_join_without_gap_or_overlap() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    for number in 0..25 {
        anna.says(&format!("nummer {number}"))
            .in_conversation(&conversation)
            .await;
    }
    let mut texts = Vec::new();
    let mut before = Value::Null;
    loop {
        let mut params = json!({"conversation": conversation, "limit": 7});
        if !before.is_null() {
            params["before"] = before;
        }
        let page = bertil.chat("messages.list", params).await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 7);
        texts.extend(
            items
                .iter()
                .map(|item| item["text"].as_str().unwrap().to_owned()),
        );
        before = page["next"].clone();
        if before.is_null() {
            break;
        }
    }
    let expected: Vec<String> = (0..25)
        .rev()
        .map(|number| format!("nummer {number}"))
        .collect();
    assert_eq!(texts, expected);
}

#[tokio::test]
async fn typing_is_seen_and_never_stored() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.chat(
        "conversations.typing",
        json!({"conversation": conversation}),
    )
    .await;
    let typing = bertil.sees("chat.typing").await;
    assert_eq!(typing.data["user"], anna.id.as_str());
    assert!(typing.cursor.is_none(), "an ephemeral event has no cursor");
}

#[tokio::test]
async fn presence_is_told_when_somebody_comes() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    host.add_user("acme", "carin", "Carin Cederberg", false);
    let carin = host.sign_in("acme", "carin").await;
    loop {
        let event = anna.sees("presence.changed").await;
        if event.data["user"] == carin.id.as_str() {
            assert_eq!(event.data["status"], "online");
            break;
        }
    }
    let list = anna.client.call("presence/list", json!({})).await.unwrap();
    let online = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .any(|item| item["user"] == carin.id.as_str() && item["status"] == "online");
    assert!(online, "{list}");
}

#[tokio::test]
async fn texts_out_of_bounds_are_refused_with_a_reason() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    for text in [String::new(), "   \n".to_owned(), "å".repeat(8001)] {
        let refused = anna
            .try_chat(
                "messages.send",
                json!({"conversation": conversation, "text": text, "local_id": "x"}),
            )
            .await
            .unwrap_err();
        assert_eq!(refused.status() / 100, 4, "{refused:?}");
    }
    anna.says(&"å".repeat(8000))
        .in_conversation(&conversation)
        .await;
    assert_eq!(anna.history(&conversation).await.len(), 1);
}
