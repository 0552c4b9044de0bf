//! Plugins call each other: as who called, held to schemas and permissions, heard once, never in a circle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use vaxel_tests::outside::Outside;
use vaxel_tests::{ClientError, Person, TestHost, patiently};

/// A server with the fixture and its relays on.
async fn with_relays(count: usize) -> (Outside, TestHost, Person, Person) {
    let outside = Outside::start().await;
    let options = outside.known_to_host();
    outside.brings_relays(count);
    let host = TestHost::start_with(options).await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let relays = (1..=count).map(|n| format!("relay{n}"));
    for plugin in relays.chain(["outside".to_owned()]) {
        let on = json!({"plugin": plugin});
        anna.client.call("plugins/enable", on).await.unwrap();
    }
    (outside, host, anna, bertil)
}

async fn asks(who: &Person, method: &str, params: Value) -> Result<Value, ClientError> {
    let method = format!("plugins/outside/{method}");
    who.client.call(&method, params).await
}

/// Has the fixture call another plugin.
async fn calls(who: &Person, name: &str, params: Value) -> Result<Value, ClientError> {
    asks(who, "call", calling(name, params)).await
}

fn calling(name: &str, params: Value) -> Value {
    let (plugin, method) = name.split_once('/').unwrap();
    json!({"plugin": plugin, "method": method, "params": params})
}

#[tokio::test]
async fn a_plugin_calls_another_as_the_person_who_called_it() {
    let (_outside, _host, anna, bertil) = with_relays(0).await;
    let group = json!({"kind": "group", "name": "Planen", "members": [anna.id]});
    let made = calls(&bertil, "chat/conversations.create", group)
        .await
        .unwrap();
    let conversation = &made["reply"]["conversation"];
    assert_eq!(conversation["created_by"], bertil.id.as_str());
    let message = json!({"conversation": conversation["id"], "text": "hej", "local_id": "x"});
    calls(&bertil, "chat/messages.send", message).await.unwrap();
    assert_eq!(anna.reads("hej").await["author"], bertil.id.as_str());
}

#[tokio::test]
async fn only_what_was_consented_to_is_called_and_only_as_its_schema_says() {
    let (_outside, _host, anna, _) = with_relays(0).await;
    let list = json!({"limit": 10});
    calls(&anna, "chat/conversations.list", list.clone())
        .await
        .unwrap();
    // Not among the methods that were named.
    let refused = calls(&anna, "chat/conversations.discover", list.clone()).await;
    assert_eq!(refused.unwrap_err().status(), 403);
    let refused = calls(&anna, "plugins/list", json!({})).await;
    assert_eq!(refused.unwrap_err().status(), 403);
    for bad in [json!({"limit": "ten"}), json!({"unknown": 1}), json!([])] {
        let refused = calls(&anna, "chat/conversations.list", bad.clone()).await;
        assert_eq!(refused.unwrap_err().status(), 422, "{bad}");
    }
    // Who is not there, or not on, is unavailable.
    let missing = calls(&anna, "missing/anything", json!({})).await;
    assert_eq!(missing.unwrap_err().status(), 503);
    let off = json!({"plugin": "chat"});
    anna.client.call("plugins/disable", off).await.unwrap();
    let off = calls(&anna, "chat/conversations.list", list).await;
    assert_eq!(off.unwrap_err().status(), 503);
}

#[tokio::test]
async fn the_caller_needs_the_other_plugins_permission() {
    let (_outside, _host, anna, bertil) = with_relays(1).await;
    calls(&anna, "relay1/admin_only", json!({})).await.unwrap();
    let refused = calls(&bertil, "relay1/admin_only", json!({})).await;
    assert_eq!(refused.unwrap_err().status(), 403);
}

#[tokio::test]
async fn four_plugins_in_a_row_and_no_circle() {
    let (_outside, _host, anna, _) = with_relays(4).await;
    let to_third = |last: Value| {
        let second = calling("relay3/call", last);
        calling("relay2/call", second)
    };
    // relay1, relay2 and relay3 are reached, and the last says no.
    let fourth = to_third(calling("relay4/call", calling("outside/call", json!({}))));
    let deep = calls(&anna, "relay1/call", fourth).await.unwrap_err();
    assert_eq!(deep.status(), 429, "{deep:?}");
    let circle = calling("outside/call", calling("relay1/call", json!({})));
    let circle = calls(&anna, "relay1/call", circle).await.unwrap_err();
    assert_eq!(circle.status(), 422, "{circle:?}");
    let circle = to_third(calling("outside/call", json!({})));
    let circle = calls(&anna, "relay1/call", circle).await.unwrap_err();
    assert_eq!(circle.status(), 422, "{circle:?}");
}

#[tokio::test]
async fn a_call_that_runs_again_does_not_call_again() {
    let (outside, _host, anna, bertil) = with_relays(1).await;
    outside.holds("/once");
    let fetch = calling("relay1/fetch", json!({"url": outside.url("/once")}));
    let counting = asks(&anna, "call_and_count", fetch);
    let (counted, ()) = tokio::join!(patiently("the answer", counting), async {
        outside.was_asked("/once", 1).await;
        // What the outer call has read changes while the inner one waits.
        asks(&bertil, "count", json!({})).await.unwrap();
        outside.lets_go("/once");
    });
    assert_eq!(counted.unwrap()["value"], 2);
    assert_eq!(outside.seen("/once").len(), 1);
}
