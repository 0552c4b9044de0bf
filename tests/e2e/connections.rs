//! Credentials that the host holds for plugins: made by people, renewed and given back by the host, seen by no guest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::time::Duration;

use serde_json::{Value, json};
use vaxel_tests::oauth::{CLIENT_ID, CLIENT_SECRET};
use vaxel_tests::outside::Outside;
use vaxel_tests::{Client, ClientError, Person, TestHost, patiently};

const KEY: &str = "k3y-of/Acme+42";
const PASSWORD: &str = "p4ss \"word\" of Acme";

async fn both() -> (Outside, TestHost, Person, Person) {
    let outside = Outside::start().await;
    let host = TestHost::start_with(outside.known_to_host()).await;
    let anna = host.sign_in("acme", "anna").await;
    let bertil = host.sign_in("acme", "bertil").await;
    let on = anna
        .client
        .call("plugins/enable", json!({"plugin": "outside"}));
    on.await.unwrap();
    (outside, host, anna, bertil)
}

async fn asks(who: &Person, method: &str, params: Value) -> Result<Value, ClientError> {
    let method = format!("plugins/outside/{method}");
    who.client.call(&method, params).await
}

/// Asks with a connection's credential.
async fn fetches(who: &Person, connection: &str, url: &str) -> Result<Value, ClientError> {
    asks(who, "fetch", json!({"url": url, "connection": connection})).await
}

async fn state(who: &Person, connection: &str) -> String {
    let said = asks(who, "state", json!({"name": connection}))
        .await
        .unwrap();
    said["text"].as_str().unwrap().to_owned()
}

async fn connects(who: &Person, connection: &str, more: Value) -> Result<Value, ClientError> {
    let mut params = json!({"plugin": "outside", "connection": connection});
    let more = more.as_object().unwrap().clone();
    params.as_object_mut().unwrap().extend(more);
    who.client.call("plugins/connect", params).await
}

async fn disconnects(who: &Person, connection: &str) -> Result<Value, ClientError> {
    let params = json!({"plugin": "outside", "connection": connection});
    who.client.call("plugins/disconnect", params).await
}

fn client() -> Value {
    json!({"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
}

/// Begins to connect; answers where the other side sends the browser back to.
async fn agrees(outside: &Outside, who: &Person, connection: &str, more: Value) -> String {
    let begun = connects(who, connection, more).await.unwrap();
    let url = begun["url"].as_str().unwrap();
    assert!(url.starts_with(&outside.url("/authorize?")), "{url}");
    let back = outside.oauth.agrees(url);
    let own = format!(
        "{}/oauth/connections/callback?",
        who.client.endpoint().origin()
    );
    assert!(back.starts_with(&own), "{back}");
    back[who.client.endpoint().origin().len()..].to_owned()
}

/// The browser comes back; answers how it went.
async fn comes_back(browser: &Client, to: &str) -> String {
    let answer = browser.get(to).await.unwrap();
    assert_eq!(answer.status(), 303, "{answer:?}");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let on = answer.headers()["location"].to_str().unwrap();
    let (own, how) = on.split_once("/?connection=").unwrap();
    assert_eq!(own, browser.endpoint().origin());
    how.to_owned()
}

/// Connects the organization's account.
async fn connects_account(outside: &Outside, anna: &Person) {
    let back = agrees(outside, anna, "account", client()).await;
    assert_eq!(comes_back(&anna.client, &back).await, "made");
}

#[tokio::test]
async fn a_key_and_a_password_travel_with_requests_and_do_not_come_back() {
    let (outside, _host, anna, bertil) = both().await;
    assert_eq!(state(&anna, "key").await, "missing");
    let missing = fetches(&anna, "key", &outside.url("/x")).await.unwrap_err();
    assert_eq!(missing.status(), 503, "{missing:?}");
    connects(&anna, "key", json!({"key": KEY})).await.unwrap();
    let login = json!({"name": "acme", "password": PASSWORD});
    connects(&anna, "basic", login).await.unwrap();
    assert_eq!(state(&bertil, "key").await, "connected");

    for connection in ["key", "basic"] {
        let path = format!("/{connection}");
        let answer = fetches(&bertil, connection, &outside.url(&path))
            .await
            .unwrap();
        assert_eq!(answer["status"], 200);
        let told = answer.to_string();
        assert!(told.contains("[credential]"), "{told}");
        for secret in [KEY, PASSWORD, "k3y-of", "p4ss"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
    assert_eq!(outside.seen("/key")[0].headers["x-api-key"], KEY);
    let basic = &outside.seen("/basic")[0].headers["authorization"];
    assert_eq!(basic, "Basic YWNtZTpwNHNzICJ3b3JkIiBvZiBBY21l");
    assert!(
        !outside.seen("/key")[0]
            .headers
            .contains_key("authorization")
    );
}

#[tokio::test]
async fn a_credential_is_sent_to_its_own_hosts_and_to_no_other() {
    let (outside, _host, anna, _) = both().await;
    connects(&anna, "key", json!({"key": KEY})).await.unwrap();
    let elsewhere = outside.url_at("one.many.outside.test", "/x");
    let refused = fetches(&anna, "key", &elsewhere).await.unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");
    assert_eq!(outside.seen("/x").len(), 0);
    // Sent on to another host, the request arrives without it.
    let onwards = outside.url(&format!("/to?{elsewhere}"));
    fetches(&anna, "key", &onwards).await.unwrap();
    assert!(outside.seen("/to")[0].headers.contains_key("x-api-key"));
    assert!(!outside.seen("/x")[0].headers.contains_key("x-api-key"));
}

#[tokio::test]
async fn an_organization_agrees_once_and_every_call_has_its_token() {
    let (outside, host, anna, bertil) = both().await;
    connects_account(&outside, &anna).await;
    assert_eq!(state(&bertil, "account").await, "connected");
    let url = outside.url("/needs-token");
    let answer = fetches(&bertil, "account", &url).await.unwrap();
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(
        answer["body"],
        json!({"you": "[credential]", "again": "[credential]"}).to_string()
    );
    // It is there after a restart, and who made it is written down.
    host.restart();
    let answer = fetches(&bertil, "account", &url).await.unwrap();
    assert_eq!(answer["status"], 200);
    let audit = anna.client.call("audit/list", json!({})).await.unwrap();
    assert!(audit.to_string().contains("outside/account"), "{audit}");
}

#[tokio::test]
async fn a_client_of_its_own_needs_nobody_to_agree() {
    let (outside, _host, anna, _) = both().await;
    let wrong = json!({"client_id": CLIENT_ID, "client_secret": "wrong secret"});
    let refused = connects(&anna, "machine", wrong).await.unwrap_err();
    assert_eq!(refused.status(), 422, "{refused:?}");
    assert_eq!(state(&anna, "machine").await, "missing");
    assert_eq!(
        connects(&anna, "machine", client()).await.unwrap(),
        json!({})
    );
    let url = outside.url("/needs-token");
    let answer = fetches(&anna, "machine", &url).await.unwrap();
    assert_eq!(answer["status"], 200);
    assert!(outside.seen("/token")[1].body.contains("scope=read"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_by_one_call_only() {
    let (outside, _host, anna, bertil) = both().await;
    // So little is left of it that it is not sent any more.
    outside.oauth.tokens_live(30);
    connects_account(&outside, &anna).await;
    outside.oauth.tokens_live(3_600);
    let url = outside.url("/needs-token");
    let all = (0..6).map(|_| fetches(&bertil, "account", &url));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!(answer.unwrap()["status"], 200);
    }
    let renewals = outside.seen("/token").into_iter();
    let renewals = renewals.filter(|seen| seen.body.contains("grant_type=refresh_token"));
    assert_eq!(renewals.count(), 1);
}

#[tokio::test]
async fn a_token_that_the_other_side_takes_no_longer_is_said_to_have_ended() {
    let (outside, _host, anna, _) = both().await;
    outside.oauth.tokens_live(30);
    connects_account(&outside, &anna).await;
    outside.oauth.forgets();
    let ended = fetches(&anna, "account", &outside.url("/needs-token")).await;
    assert_eq!(ended.unwrap_err().status(), 503);
    assert_eq!(state(&anna, "account").await, "expired");
    // Nobody is asked again and again.
    let asked = outside.seen("/token").len();
    let _ = fetches(&anna, "account", &outside.url("/needs-token")).await;
    assert_eq!(outside.seen("/token").len(), asked);
    connects_account(&outside, &anna).await;
    assert_eq!(state(&anna, "account").await, "connected");
}

#[tokio::test]
async fn a_state_counts_once_in_its_own_browser_and_session() {
    let (outside, host, anna, bertil) = both().await;
    // Another browser: it has another cookie, or none.
    let back = agrees(&outside, &anna, "account", client()).await;
    assert_eq!(comes_back(&host.client("acme"), &back).await, "failed");
    let own = connects(&bertil, "own", json!({})).await.unwrap_err();
    assert_eq!(own.status(), 503, "nobody registered a client for it");
    assert_eq!(comes_back(&bertil.client, &back).await, "failed");
    // That used nothing up. What was used is.
    assert_eq!(comes_back(&anna.client, &back).await, "made");
    assert_eq!(comes_back(&anna.client, &back).await, "failed", "used");
    disconnects(&anna, "account").await.unwrap();
    // A state that was changed is nobody's.
    let back = agrees(&outside, &anna, "account", client()).await;
    let changed = format!("{back}x");
    assert_eq!(comes_back(&anna.client, &changed).await, "failed");
    // The session that began has ended.
    let back = agrees(&outside, &anna, "account", client()).await;
    anna.client.logout().await.unwrap();
    assert_eq!(comes_back(&anna.client, &back).await, "failed");
    let anna = host.sign_in("acme", "anna").await;
    assert_eq!(state(&anna, "account").await, "missing");
    // The other side's no uses it up, too.
    let back = agrees(&outside, &anna, "account", client()).await;
    let (_, state_of_it) = back.split_once("&state=").unwrap();
    let no = format!("/oauth/connections/callback?error=access_denied&state={state_of_it}");
    assert_eq!(comes_back(&anna.client, &no).await, "failed");
    assert_eq!(comes_back(&anna.client, &back).await, "failed");
    assert_eq!(state(&anna, "account").await, "missing");
}

#[tokio::test]
async fn who_disconnects_gives_the_tokens_back() {
    let (outside, _host, anna, bertil) = both().await;
    connects_account(&outside, &anna).await;
    let given = outside.oauth.given();
    assert_eq!(
        disconnects(&bertil, "account").await.unwrap_err().status(),
        403
    );
    disconnects(&anna, "account").await.unwrap();
    let mut back = outside.oauth.revoked();
    back.sort();
    let tokens: Vec<_> = given
        .into_iter()
        .filter(|one| !one.starts_with("code"))
        .collect();
    assert_eq!(back, tokens, "access and refresh");
    assert_eq!(state(&anna, "account").await, "missing");
    let missing = fetches(&anna, "account", &outside.url("/needs-token")).await;
    assert_eq!(missing.unwrap_err().status(), 503);
    assert_eq!(
        disconnects(&anna, "account").await.unwrap_err().status(),
        503
    );
}

#[tokio::test]
async fn a_plugin_that_is_erased_takes_its_connections_along_and_gives_the_tokens_back() {
    let (outside, host, anna, _bertil) = both().await;
    connects_account(&outside, &anna).await;
    connects(&anna, "key", json!({"key": KEY})).await.unwrap();
    let begun = agrees(&outside, &anna, "account", json!({})).await;
    let given = outside.oauth.given();
    let erase = json!({"plugin": "outside", "erase": true});
    anna.client.call("plugins/uninstall", erase).await.unwrap();
    patiently("the tokens to be given back", async {
        while outside.oauth.revoked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(
        outside
            .oauth
            .revoked()
            .iter()
            .all(|token| given.contains(token))
    );
    // Who was on their way comes back to nothing, and makes nothing.
    assert_ne!(comes_back(&anna.client, &begun).await, "made");
    for again in [false, true] {
        let on = anna
            .client
            .call("plugins/enable", json!({"plugin": "outside"}));
        on.await.unwrap();
        for connection in ["account", "key"] {
            assert_eq!(state(&anna, connection).await, "missing");
        }
        let no_client = connects(&anna, "account", json!({})).await;
        assert!(no_client.is_err(), "the client is gone too");
        if !again {
            host.restart();
            anna.client
                .login("anna", vaxel_tests::PASSWORD)
                .await
                .unwrap();
        }
    }
}

#[tokio::test]
async fn tokens_of_what_was_erased_or_disconnected_are_given_back_whatever_ends_the_server() {
    let (outside, host, anna, bertil) = both().await;
    connects_account(&outside, &anna).await;
    connects(&anna, "own", client()).await.unwrap();
    for person in [&anna, &bertil] {
        let back = agrees(&outside, person, "own", json!({})).await;
        assert_eq!(comes_back(&person.client, &back).await, "made");
    }
    let is_token = |one: &String| !one.starts_with("code");
    let mut given: Vec<_> = outside.oauth.given().into_iter().filter(is_token).collect();
    assert_eq!(given.len(), 6);
    outside.oauth.takes_back(false);
    disconnects(&bertil, "own").await.unwrap();
    let erase = json!({"plugin": "outside", "erase": true});
    anna.client.call("plugins/uninstall", erase).await.unwrap();
    outside.was_asked("/revoke", 6).await;
    host.kill9();
    assert!(outside.oauth.revoked().is_empty());
    outside.oauth.takes_back(true);
    host.serve();
    given.sort();
    patiently("the tokens to be given back", async {
        loop {
            let mut back = outside.oauth.revoked();
            back.sort();
            // One whose answer was lost is given back twice.
            back.dedup();
            if back == given {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn everybody_has_their_own_where_the_plugin_says_so() {
    let (outside, _host, anna, bertil) = both().await;
    // An administrator registers the client; an organization's connection is theirs alone.
    let refused = connects(&bertil, "own", client()).await.unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");
    let refused = connects(&bertil, "key", json!({"key": KEY}))
        .await
        .unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");
    connects(&anna, "own", client()).await.unwrap();
    let back = agrees(&outside, &bertil, "own", json!({})).await;
    assert_eq!(comes_back(&bertil.client, &back).await, "made");
    let url = outside.url("/needs-token");
    assert_eq!(fetches(&bertil, "own", &url).await.unwrap()["status"], 200);
    assert_eq!(state(&anna, "own").await, "missing");
    assert_eq!(fetches(&anna, "own", &url).await.unwrap_err().status(), 503);
    // Who is no administrator sees what is theirs to connect.
    let which = json!({"plugin": "outside"});
    let seen = bertil
        .client
        .call("plugins/connections", which.clone())
        .await;
    let seen = seen.unwrap();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["name"], "own");
    assert_eq!(seen["items"][0]["state"], "connected");
    let all = anna.client.call("plugins/get", which).await.unwrap();
    assert_eq!(all["connections"].as_array().unwrap().len(), 5);
    assert_eq!(all["connections"][4]["state"], "missing");
    assert_eq!(all["settings"]["values"], json!({"greeting": "hej"}));
    disconnects(&bertil, "own").await.unwrap();
    assert_eq!(state(&bertil, "own").await, "missing");
}

#[tokio::test]
async fn no_credential_is_in_a_guests_memory_in_a_log_or_in_an_error() {
    let (outside, host, anna, bertil) = both().await;
    connects(&anna, "key", json!({"key": KEY})).await.unwrap();
    connects(
        &anna,
        "basic",
        json!({"name": "acme", "password": PASSWORD}),
    )
    .await
    .unwrap();
    outside.oauth.tokens_live(30);
    connects_account(&outside, &anna).await;
    let mut told = String::new();
    for (connection, path) in [
        ("key", "/echo"),
        ("basic", "/echo"),
        ("account", "/needs-token"),
    ] {
        let request = json!({"url": outside.url(path), "connection": connection});
        let mut secrets = vec![
            KEY.to_owned(),
            PASSWORD.to_owned(),
            CLIENT_SECRET.to_owned(),
        ];
        secrets.extend(outside.oauth.given());
        for secret in secrets {
            let backwards: String = secret.chars().rev().collect();
            let look = json!({"backwards": backwards, "request": request});
            let found = asks(&bertil, "has_in_memory", look).await.unwrap();
            assert_eq!(found["found"], false, "{connection}: {secret}");
            assert!(found["bytes"].as_u64().unwrap() > 65_536);
            told.push_str(&found.to_string());
        }
    }
    // It does look: what came back is found.
    let look = json!({"backwards": "]laitnederc[", "request": {"url": outside.url("/echo"), "connection": "key"}});
    let found = asks(&bertil, "has_in_memory", look).await.unwrap();
    assert_eq!(found["found"], true);
    // Errors on the way, and what the server says of itself.
    for bad in ["/large", "/to?https://127.0.0.1/"] {
        let refused = fetches(&bertil, "account", &outside.url(bad))
            .await
            .unwrap_err();
        told.push_str(&format!("{refused:?}"));
    }
    outside.oauth.forgets();
    let ended = fetches(&bertil, "account", &outside.url("/needs-token")).await;
    told.push_str(&format!("{:?}", ended.unwrap_err()));
    let audit = anna.client.call("audit/list", json!({})).await.unwrap();
    told.push_str(&audit.to_string());
    told.push_str(&host.log());
    let mut secrets = vec![
        KEY.to_owned(),
        PASSWORD.to_owned(),
        CLIENT_SECRET.to_owned(),
    ];
    secrets.extend(outside.oauth.given());
    assert!(secrets.len() > 6, "codes, access and refresh tokens");
    for secret in &secrets {
        assert!(!told.contains(secret.as_str()), "{secret}");
    }
    // Nor on the disk.
    host.stop();
    let needles: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let found = vaxel_tests::scan::occurrences(host.data(), &needles);
    assert!(found.is_empty(), "{found:?}");
}
