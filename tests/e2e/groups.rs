//! Groups over both doors: allowed, forbidden, bad input, retries, and what the audit says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::json;
use vaxel_tests::{RequestOptions, TestHost};

#[tokio::test]
async fn an_administrator_keeps_groups_and_everybody_sees_them() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let call = |method: &'static str, params| anna.client.call(method, params);
    let made = call("groups/create", json!({"name": " Jour "}))
        .await
        .unwrap();
    let group = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["group"]["name"], "Jour");
    // The socket knows the same methods.
    let params = json!({"group": group, "user": bertil.id});
    let added = anna.socket_call("groups/add_member", params.clone()).await;
    assert_eq!(added.unwrap()["group"]["member_count"], 1);
    let renamed = call(
        "groups/rename",
        json!({"group": group, "name": "Beredskap"}),
    )
    .await;
    assert_eq!(renamed.unwrap()["group"]["name"], "Beredskap");

    let list = bertil.client.call("groups/list", json!({})).await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["member_count"], 1);
    let params = json!({"group": group});
    let got = bertil.client.call("groups/get", params).await.unwrap();
    assert_eq!(got["group"]["name"], "Beredskap");
    assert_eq!(got["items"], json!([{"user": bertil.id}]));

    let params = json!({"group": group, "user": bertil.id});
    let removed = call("groups/remove_member", params).await.unwrap();
    assert_eq!(removed["group"]["member_count"], 0);
    call("groups/delete", json!({"group": group}))
        .await
        .unwrap();
    let gone = bertil.client.call("groups/get", json!({"group": group}));
    assert_eq!(gone.await.unwrap_err().status(), 404);

    let audit = call("audit/list", json!({"limit": 50})).await.unwrap();
    let acts: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str()?.strip_prefix("groups."))
        .collect();
    let newest_first = ["delete", "remove_member", "rename", "add_member", "create"];
    assert_eq!(acts, newest_first);
}

#[tokio::test]
async fn who_is_no_administrator_changes_no_group() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let made = anna.client.call("groups/create", json!({"name": "Jour"}));
    let group = made.await.unwrap()["id"].clone();
    for (method, params) in [
        ("groups/create", json!({"name": "Egen"})),
        ("groups/rename", json!({"group": group, "name": "Min"})),
        ("groups/delete", json!({"group": group})),
        (
            "groups/add_member",
            json!({"group": group, "user": bertil.id}),
        ),
        (
            "groups/remove_member",
            json!({"group": group, "user": anna.id}),
        ),
    ] {
        let refused = bertil.client.call(method, params.clone()).await;
        assert_eq!(refused.unwrap_err().status(), 403, "{method}");
        let refused = bertil.socket_call(method, params).await;
        assert_eq!(refused.unwrap_err().status(), 403, "{method}");
    }
    let list = anna.client.call("groups/list", json!({})).await.unwrap();
    assert_eq!(list["items"][0]["name"], "Jour");
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_groups_are_refused_and_a_retry_makes_one_group() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    for params in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "a\u{202e}b"}),
        json!({"name": "a", "more": 1}),
    ] {
        let refused = anna.client.call("groups/create", params).await;
        assert_eq!(refused.unwrap_err().status(), 400);
    }
    let create = || {
        let options = RequestOptions {
            idempotency_key: Some("the-same-key".to_owned()),
            ..RequestOptions::default()
        };
        let params = json!({"name": "Jour"});
        anna.client.call_with("groups/create", params, options)
    };
    let (first, second) = (create().await.unwrap(), create().await.unwrap());
    assert_eq!(first, second);
    let taken = anna.client.call("groups/create", json!({"name": "JOUR"}));
    let taken = taken.await.unwrap_err();
    assert_eq!(taken.status(), 409);
    assert_eq!(taken.problem().unwrap().code, "group_name_taken");

    // Another organization neither sees it nor reaches it, and its people are not ours.
    let list = greta.client.call("groups/list", json!({})).await.unwrap();
    assert_eq!(list["items"], json!([]));
    let params = json!({"group": first["id"]});
    let foreign = greta.client.call("groups/delete", params).await;
    assert_eq!(foreign.unwrap_err().status(), 404);
    let params = json!({"group": first["id"], "user": greta.id});
    let foreign = anna.client.call("groups/add_member", params).await;
    assert_eq!(foreign.unwrap_err().status(), 404);
}
