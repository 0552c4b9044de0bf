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
use vaxel_tests::{Person, TestHost, patiently};

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

/// What the values of random parameters are drawn from.
struct Known {
    all: Vec<String>,
    conversations: Vec<String>,
    messages: Vec<String>,
    users: Vec<String>,
}

/// Parameters as the method's schema names them, with values that mostly belong to somebody else.
fn params(dice: &mut Dice, schema: &Value, known: &Known) -> Value {
    let mut params = json!({});
    let required = |field: &str| {
        let fields = schema["required"].as_array();
        fields.is_some_and(|fields| fields.iter().any(|name| name == field))
    };
    let Some(properties) = schema["properties"].as_object() else {
        return params;
    };
    for field in properties.keys() {
        if !required(field) && dice.roll(2) == 0 {
            continue;
        }
        params[field] = match field.as_str() {
            "conversation" => json!(dice.one(&known.conversations)),
            "message" | "before" | "reply_to" => json!(dice.one(&known.messages)),
            "user" | "member" => json!(dice.one(&known.users)),
            "members" | "mentions" => json!([dice.one(&known.users)]),
            "limit" => json!(dice.roll(100) + 1),
            "on" | "public" | "admin" => json!(dice.roll(2) == 0),
            "kind" => json!(dice.one(&["direct", "group", "channel"])),
            "emoji" => json!("👍"),
            "cursor" => json!(dice.one(&known.all)),
            "attachments" => json!([]),
            "card" => Value::Null,
            "locale" => json!(dice.one(&["sv", "en"])),
            "status" => json!(dice.one(&["online", "away"])),
            "plugin" => json!("chat"),
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
    let methods: Vec<(String, Value)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(path, at)| Some((path.strip_prefix("/api/v1/")?, at.get("post")?)))
        // These end the caller's own session or switch the target off.
        .filter(|(method, _)| {
            let ends = [
                "session/",
                "users/deactivate",
                "users/reset",
                "users/change_password",
            ];
            !ends.iter().any(|end| method.starts_with(end)) && *method != "plugins/disable"
        })
        .map(|(method, at)| {
            let schema = &at["requestBody"]["content"]["application/json"]["schema"];
            let schema = match schema["$ref"].as_str() {
                Some(place) => document.pointer(&place[1..]).unwrap(),
                None => schema,
            };
            (method.to_owned(), schema.clone())
        })
        .collect();
    assert!(
        methods
            .iter()
            .any(|(method, _)| method == "plugins/chat/messages.list")
    );

    let with = |prefix: &str| -> Vec<String> {
        // Mostly the other tenant's ids, and some of the caller's own to reach deeper code.
        let foreign = secret.iter().filter(|id| id.starts_with(prefix));
        let local = own.iter().filter(|id| id.starts_with(prefix)).take(2);
        foreign.chain(local).cloned().collect()
    };
    let known = Known {
        conversations: with("cnv_"),
        messages: with("msg_"),
        users: with("usr_"),
        all: secret.iter().cloned().collect(),
    };
    let mut dice = Dice(0x5eed_1234_abcd_0001);
    let mut answered = BTreeSet::new();
    for round in 0..1500 {
        let (method, schema) = dice.one(&methods);
        let params = params(&mut dice, schema, &known);
        let said = match greta.client.call(method, params.clone()).await {
            Ok(answer) => {
                answered.insert(method);
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
        answered.len() > 15,
        "only {answered:?} were answered: the test tries too little"
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
    let mut socket = greta.client.socket(Some(&cursor)).await.unwrap();
    let me = socket.call("users/me", json!({})).await.unwrap();
    assert!(me.to_string().contains("greta"));
    // A word of her own comes behind whatever the cursor opened.
    let channel = greta.creates_channel("Eget").await;
    greta.says("eget").in_conversation(&channel).await;
    loop {
        match patiently("her own word", socket.next_event()).await {
            Ok(event) => {
                assert!(!event.data.to_string().contains("hemligt"), "{event:?}");
                if event.data["message"]["text"] == "eget" {
                    break;
                }
            }
            Err(error) => assert_eq!(error.code(), "cursor_expired", "{error:?}"),
        }
    }
}
