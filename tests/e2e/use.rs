//! What plugins use, as administrators and operators see it: counted, audited, and the same in every place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vaxel_tests::{Person, TestHost};

/// What chat used today.
async fn chat_today(anna: &Person) -> Value {
    let params = json!({"plugin": "chat", "days": 1});
    let used = anna.client.call("plugins/use", params).await.unwrap();
    used["items"][0].clone()
}

/// How often the audit says that chat used each capability.
async fn audited(anna: &Person) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    let page = anna
        .client
        .call("audit/list", json!({"limit": 100}))
        .await
        .unwrap();
    for entry in page["items"].as_array().unwrap() {
        if entry["actor"] != "plugin:chat" {
            continue;
        }
        assert_eq!(entry["used"]["version"], "0.1.0");
        for (name, count) in entry["used"]["counts"].as_object().unwrap() {
            *counts.entry(name.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    counts
}

#[tokio::test]
async fn an_administrator_sees_what_a_plugin_used_and_the_audit_agrees() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let saying = anna.says("Hej").to(&bertil).await;
    assert_eq!(saying["text"], "Hej");
    let before = chat_today(&anna).await;
    assert!(before["calls"].as_u64().unwrap() >= 2, "{before}");
    assert!(before["uses"]["storage"].as_u64().unwrap() > 0);
    assert!(before["memory_bytes_max"].as_u64().unwrap() > 0);
    assert!(before["stored_bytes"].as_u64().unwrap() > 0);
    let works = before["works"].as_array().unwrap();
    assert!(
        works
            .iter()
            .any(|work| work["name"] == "messages.send" && work["kind"] == "method")
    );
    let refused = bertil.client.call("plugins/use", json!({"days": 1})).await;
    assert_eq!(refused.unwrap_err().status(), 403);

    // An orderly stop writes the totals; nothing that was counted is lost.
    host.restart();
    let anna = host.sign_in("acme", "anna").await;
    let after = chat_today(&anna).await;
    assert!(after["calls"].as_u64() >= before["calls"].as_u64());
    let audited = audited(&anna).await;
    assert!(audited["storage"] >= before["uses"]["storage"].as_u64().unwrap());
    let told = host.command(&["plugin", "use", "chat", "--tenant", "acme", "--json"]);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(told["items"][0]["plugin"], "chat");
    assert!(told["items"][0]["stored_bytes"].as_u64().unwrap() > 0);
    let words = host.command(&["plugin", "use", "--tenant", "acme"]).stdout;
    assert!(words.contains(" KiB stored"), "{words}");
    let verified = host.command(&["audit", "verify"]);
    assert!(
        verified.stdout.contains("ok    acme"),
        "{}",
        verified.stdout
    );
}

#[tokio::test]
async fn an_administrator_asks_what_a_plugin_would_have_touched() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    anna.says("Hej").to(&bertil).await;
    let params = json!({"plugin": "chat", "days": 7});
    let touched = anna
        .client
        .call("plugins/would_touch", params.clone())
        .await
        .unwrap();
    let of = |ask: &str| {
        let items = touched["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["ask"] == ask);
        item.map(|item| item["uses"].as_u64().unwrap())
    };
    assert!(of("storage").unwrap() > 0, "{touched}");
    for unused in touched["unused"].as_array().unwrap() {
        assert_eq!(of(unused.as_str().unwrap()), Some(0));
    }
    let refused = bertil.client.call("plugins/would_touch", params).await;
    assert_eq!(refused.unwrap_err().status(), 403);
    let unknown = json!({"plugin": "nobodys", "days": 7});
    let unknown = anna.client.call("plugins/would_touch", unknown).await;
    assert_eq!(unknown.unwrap_err().status(), 404);
    let told = host.command(&["plugin", "would-touch", "chat", "--tenant", "acme"]);
    assert!(told.stdout.contains("storage"), "{}", told.stdout);
}
