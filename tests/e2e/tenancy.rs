//! Tenants: whatever is called as one of them, nothing of the other comes out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use vaxel_tests::{Person, TestHost};

/// A small deterministic generator: a failing run is the same run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

/// Everything in an answer that looks like an id.
fn ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let looks = ["usr_", "cnv_", "msg_", "ten_", "ses_"]
                .iter()
                .any(|prefix| text.starts_with(prefix));
            if looks {
                found.insert(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| ids(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| ids(field, found)),
        _ => {}
    }
}

/// A tenant with a few conversations; answers all ids in it and words that only it uses.
async fn furnish(admin: &Person, other: &Person, word: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let direct = admin.direct_with(other).await;
    let group = admin
        .creates_group(&format!("{word}-group"), &[other])
        .await;
    let channel = admin.creates_channel(&format!("{word}-channel")).await;
    for conversation in [&direct, &group, &channel] {
        for number in 0..3 {
            let message = admin
                .says(&format!("{word}-text-{number}"))
                .in_conversation(conversation)
                .await;
            ids(&message, &mut found);
        }
        found.insert(conversation.clone());
    }
    ids(
        &admin.client.call("users/list", json!({})).await.unwrap(),
        &mut found,
    );
    ids(
        &admin.client.call("users/me", json!({})).await.unwrap(),
        &mut found,
    );
    found
}

fn params(
    dice: &mut Dice,
    ids: &[String],
    conversations: &[String],
    messages: &[String],
    users: &[String],
) -> Value {
    let mut params = json!({});
    let fields = [
        "conversation",
        "message",
        "user",
        "member",
        "members",
        "text",
        "local_id",
        "limit",
        "cursor",
        "before",
        "emoji",
        "on",
        "name",
        "kind",
        "query",
        "reply_to",
        "mentions",
    ];
    for field in fields {
        if dice.roll(2) == 0 {
            continue;
        }
        params[field] = match field {
            "conversation" => json!(dice.one(conversations)),
            "message" | "before" | "reply_to" => json!(dice.one(messages)),
            "user" | "member" => json!(dice.one(users)),
            "members" | "mentions" => json!([dice.one(users)]),
            "limit" => json!(dice.roll(100) + 1),
            "on" => json!(true),
            "kind" => json!(dice.one(&["direct", "group", "channel"])),
            "emoji" => json!("👍"),
            "cursor" => json!(dice.one(ids)),
            _ => json!(format!("greta-{}", dice.roll(10))),
        };
    }
    params
}

#[tokio::test]
async fn random_calls_as_one_tenant_never_return_a_byte_of_the_other() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    let gunnar = host.person("globex", "gunnar", "Gunnar Globex").await;
    let secret = furnish(&anna, &bertil, "smultron").await;
    let own = furnish(&greta, &gunnar, "lingon").await;
    assert!(secret.is_disjoint(&own), "ids are never shared");
    let before = anna.history(&anna.direct_with(&bertil).await).await;

    let document = greta.client.get_json("/api/v1/openapi.json").await.unwrap();
    let methods: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .filter_map(|path| path.strip_prefix("/api/v1/"))
        // These end the caller's own session or switch the target off.
        .filter(|method| !method.starts_with("session/") && !method.contains("deactivate"))
        .filter(|method| *method != "plugins/disable" && *method != "users/change_password")
        .map(str::to_owned)
        .collect();
    assert!(
        methods
            .iter()
            .any(|method| method == "plugins/chat/messages.list")
    );

    let all: Vec<String> = secret.iter().cloned().collect();
    let with = |prefix: &str| -> Vec<String> {
        // Mostly the other tenant's ids, and some of the caller's own to reach deeper code.
        let foreign = secret.iter().filter(|id| id.starts_with(prefix));
        let local = own.iter().filter(|id| id.starts_with(prefix)).take(2);
        foreign.chain(local).cloned().collect()
    };
    let (conversations, messages, users) = (with("cnv_"), with("msg_"), with("usr_"));
    let mut dice = Dice(0x5eed_1234_abcd_0001);
    let mut answered = 0;
    for round in 0..1500 {
        let method = dice.one(&methods).clone();
        let params = params(&mut dice, &all, &conversations, &messages, &users);
        let said = match greta.client.call(&method, params.clone()).await {
            Ok(answer) => {
                answered += 1;
                answer.to_string()
            }
            Err(error) => {
                assert_ne!(error.status() / 100, 5, "{method} {params}: {error:?}");
                format!("{:?}", error.problem())
            }
        };
        assert!(
            !said.contains("smultron"),
            "round {round}: {method} {params} answered {said}"
        );
        for id in &secret {
            // What the caller said may be repeated; what it did not say may not be told.
            assert!(
                !said.contains(id.as_str()) || params.to_string().contains(id.as_str()),
                "round {round}: {method} {params} tells {id}: {said}"
            );
        }
    }
    assert!(
        answered > 20,
        "only {answered} calls were answered: the test tries too little"
    );

    let after = anna.history(&anna.direct_with(&bertil).await).await;
    assert_eq!(before, after, "nothing of the other tenant was changed");
}

#[tokio::test]
async fn events_stay_in_their_tenant() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    let gunnar = host.person("globex", "gunnar", "Gunnar Globex").await;
    anna.says("bara acme").to(&bertil).await;
    bertil.reads("bara acme").await;
    greta.says("bara globex").to(&gunnar).await;
    loop {
        let event = gunnar.next_event().await.unwrap();
        assert!(!event.data.to_string().contains("acme"), "{event:?}");
        if event.data["message"]["text"] == "bara globex" {
            break;
        }
    }
}

#[tokio::test]
async fn one_tenants_cursor_opens_nothing_at_the_other() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    anna.says("hemligt").to(&bertil).await;
    bertil.reads("hemligt").await;
    let cursor = anna.cursor().await.unwrap();
    let mut socket = match greta.client.socket(Some(&cursor)).await {
        Ok(socket) => socket,
        Err(_) => return,
    };
    let me = socket.call("users/me", json!({})).await.unwrap();
    assert!(me.to_string().contains("greta"));
    let heard =
        tokio::time::timeout(std::time::Duration::from_millis(300), socket.next_event()).await;
    assert!(!format!("{heard:?}").contains("hemligt"));
}
