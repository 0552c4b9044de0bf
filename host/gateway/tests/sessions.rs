//! Signing in and out over HTTP: cookies, origins, siblings, links, retries.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use serde_json::json;
use support::{House, PASSWORD};
use vaxel_storage::{Order, Space};

const ACME: &str = "acme.localhost";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_refreshes_and_signs_out() {
    let house = House::new().await;
    let wrong = json!({"login": "anna", "password": "fel lösenord"});
    house
        .page_asks(ACME, "session/login", wrong, "")
        .await
        .problem(401, "bad_credentials");
    let login = json!({"login": "anna", "password": PASSWORD});
    let session = house.page_asks(ACME, "session/login", login, "").await;
    assert_eq!(session.status, 200);
    let body = session.json();
    assert_eq!(body["user"]["login"], "anna");
    assert_eq!(body["tenant"]["slug"], "acme");
    assert!(body["expires_in"].as_u64().unwrap() > 0);
    let set = session.header("set-cookie");
    for part in [
        "__Host-vaxel_refresh=",
        "Path=/",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Max-Age=",
    ] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"));
    let token = body["access_token"].as_str().unwrap();
    let me = house.call(ACME, token, "users/me", json!({})).await.json();
    assert_eq!(me["user"]["id"], house.anna.to_string());

    let again = house
        .page_asks(ACME, "session/refresh", json!({}), &session.cookie())
        .await;
    assert_eq!(again.status, 200);
    assert_ne!(again.cookie(), session.cookie());

    let out = house
        .page_asks(ACME, "session/logout", json!({}), &again.cookie())
        .await;
    assert_eq!(out.status, 200);
    assert_eq!(out.header("clear-site-data"), "\"cache\",\"storage\"");
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    house
        .page_asks(ACME, "session/refresh", json!({}), &again.cookie())
        .await
        .problem(401, "session_ended");
    house
        .call(ACME, token, "users/me", json!({}))
        .await
        .problem(401, "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_touches_the_cookie_is_asked_by_our_own_pages_only() {
    let house = House::new().await;
    let session = house
        .page_asks(
            ACME,
            "session/login",
            json!({"login": "anna", "password": PASSWORD}),
            "",
        )
        .await;
    let cookie = session.cookie();
    let port = house.addr.port();
    let foreign = [
        String::new(),
        "null".to_owned(),
        format!("https://acme.localhost:{port}"),
        "http://acme.localhost".to_owned(),
        format!("http://globex.localhost:{port}"),
        "http://evil.example".to_owned(),
    ];
    for origin in &foreign {
        for method in [
            "session/refresh",
            "session/logout",
            "session/login",
            "users/accept",
        ] {
            let refused = house
                .origin_asks(ACME, origin, method, json!({}), &cookie)
                .await;
            refused.problem(403, "foreign_origin");
            assert_eq!(refused.header("set-cookie"), "", "{origin} {method}");
            assert_eq!(refused.header("clear-site-data"), "");
        }
    }
    // None of them did anything to the session.
    let still = house
        .page_asks(ACME, "session/refresh", json!({}), &cookie)
        .await;
    assert_eq!(still.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_travels_to_a_sibling_opens_nothing_and_survives() {
    let house = House::new().await;
    let session = house
        .page_asks(
            ACME,
            "session/login",
            json!({"login": "anna", "password": PASSWORD}),
            "",
        )
        .await;
    let cookie = session.cookie();
    let sibling = house
        .page_asks("globex.localhost", "session/refresh", json!({}), &cookie)
        .await;
    sibling.problem(401, "session_ended");
    assert_eq!(sibling.header("set-cookie"), "");
    let out = house
        .page_asks("globex.localhost", "session/logout", json!({}), &cookie)
        .await;
    assert_eq!(out.status, 200);
    assert!(!out.header("clear-site-data").contains("cookies"));
    let home = house
        .page_asks(ACME, "session/refresh", json!({}), &cookie)
        .await;
    assert_eq!(home.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invited_person_joins_by_a_link_that_works_once() {
    let house = House::new().await;
    let anna = house.annas_token().await;
    let bertil = house.bertils_token().await;
    let params = json!({"login": "carin", "display_name": "Carin Lind"});
    house
        .call(ACME, &bertil, "users/invite", params.clone())
        .await
        .problem(403, "forbidden");
    let invited = house.call(ACME, &anna, "users/invite", params).await.json();
    let link = invited["link"].as_str().unwrap();
    let token = link
        .strip_prefix(&format!("{}/invite#", house.origin(ACME)))
        .unwrap_or_else(|| panic!("{link}"));
    let seen = house
        .page_asks(ACME, "users/invite_preview", json!({"token": token}), "")
        .await
        .json();
    assert_eq!(seen["display_name"], "Carin Lind");
    assert_eq!(seen["tenant_name"], "acme AB");
    let accept = json!({"token": token, "password": "ett långt lösenord"});
    let session = house
        .page_asks(ACME, "users/accept", accept.clone(), "")
        .await;
    assert_eq!(session.json()["user"]["login"], "carin");
    assert!(
        session
            .header("set-cookie")
            .starts_with("__Host-vaxel_refresh=")
    );
    house
        .page_asks(ACME, "users/accept", accept, "")
        .await
        .problem(404, "link_gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_the_same_key_makes_nothing_twice() {
    let house = House::new().await;
    let anna = house.annas_token().await;
    let key = [("idempotency-key", "0f3b7a")];
    let params = json!({"login": "carin", "display_name": "Carin Lind"});
    let first = house
        .call_with(ACME, &anna, "users/invite", params.clone(), &key)
        .await
        .json();
    let again = house
        .call_with(ACME, &anna, "users/invite", params.clone(), &key)
        .await
        .json();
    assert_eq!(first, again);
    // On the disk a key lies under a name that nobody can make without the tenant's key.
    let mut named = house.anna.to_bytes().to_vec();
    named.extend_from_slice(b"users/invite\0");
    named.extend_from_slice(b"0f3b7a");
    let expected = house.keyring.blind(house.acme.id, "idempotency", &named);
    let mut tx = house.storage.begin(house.acme.id);
    let rows = tx.scan(Space::host(0x40), b"", None, 10, Order::Ascending);
    let keys: Vec<_> = rows.unwrap().entries.into_iter().map(|row| row.0).collect();
    assert_eq!(keys, [expected.unwrap().to_vec()]);
    let other = json!({"login": "david", "display_name": "David Ek"});
    house
        .call_with(ACME, &anna, "users/invite", other, &key)
        .await
        .problem(422, "idempotency-mismatch");
    house
        .call_with(
            ACME,
            &anna,
            "users/invite",
            params.clone(),
            &[("idempotency-key", "a b")],
        )
        .await
        .problem(400, "invalid_idempotency_key");
    house
        .call(ACME, &anna, "users/invite", params)
        .await
        .problem(409, "login_taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_click_signs_in_as_people_of_the_demo_and_nobody_else() {
    let house = House::new().await;
    let bertil = json!({"user": house.bertil.to_string()});
    let session = house
        .page_asks(ACME, "session/demo", bertil.clone(), "")
        .await;
    assert_eq!(session.json()["user"]["login"], "bertil");
    let anna = json!({"user": house.anna.to_string()});
    house
        .page_asks(ACME, "session/demo", anna, "")
        .await
        .problem(404, "not_found");
    house
        .page_asks("globex.localhost", "session/demo", bertil, "")
        .await
        .problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn colleagues_see_names_and_administrators_see_logins() {
    let house = House::new().await;
    let list = json!({});
    let plain = house
        .call(
            ACME,
            &house.bertils_token().await,
            "users/list",
            list.clone(),
        )
        .await
        .json();
    assert!(plain["items"][0].get("login").is_none(), "{plain}");
    let whole = house
        .call(ACME, &house.annas_token().await, "users/list", list)
        .await
        .json();
    assert_eq!(whole["items"].as_array().unwrap().len(), 2);
    assert!(whole["items"][0]["login"].is_string());
}
