//! Login sessions: throttling, refresh rotation, reuse, logout, siblings, foreign pages, revocation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::time::Duration;

use serde_json::json;
use vaxel_tests::{ClientError, HostOptions, PASSWORD, RequestOptions, TestHost, patiently};

const COOKIE: &str = "__Host-vaxel_refresh";

#[tokio::test]
async fn a_wrong_password_and_an_unknown_login_answer_alike() {
    let host = TestHost::start().await;
    let client = host.client("acme");
    let wrong = client.login("anna", "not it").await.err().unwrap();
    let unknown = client.login("nobody", "not it").await.err().unwrap();
    assert_eq!(wrong.status(), 401);
    let (wrong, unknown) = (wrong.problem().unwrap(), unknown.problem().unwrap());
    assert_eq!(
        (wrong.status, &wrong.code, &wrong.detail),
        (unknown.status, &unknown.code, &unknown.detail)
    );
}

#[tokio::test]
async fn guessing_is_throttled_and_says_when_to_come_back() {
    let host = TestHost::start().await;
    let client = host.client("acme");
    let mut throttled = None;
    for _ in 0..40 {
        let refused = client.login("anna", "not it").await.err().unwrap();
        if refused.status() == 429 {
            throttled = refused.problem().cloned();
            break;
        }
        assert_eq!(refused.status(), 401);
    }
    let throttled = throttled.expect("40 wrong passwords in a row are too many");
    assert!(
        throttled.retry_after_ms.is_some_and(|ms| ms > 0),
        "{throttled:?}"
    );
    let right = client.login("anna", PASSWORD).await.err().unwrap();
    assert_eq!(
        right.status(),
        429,
        "the right password does not tell a guesser that it is right"
    );
}

#[tokio::test]
async fn a_refresh_gives_another_token_and_another_cookie() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let before = (anna.client.token(), anna.client.cookie(COOKIE));
    assert!(before.1.is_some(), "login sets {COOKIE}");
    anna.client.refresh().await.unwrap();
    let after = (anna.client.token(), anna.client.cookie(COOKIE));
    assert_ne!(before.0, after.0);
    assert_ne!(before.1, after.1);
    anna.client.call("users/me", json!({})).await.unwrap();
}

#[tokio::test]
async fn the_refresh_cookie_is_out_of_reach_for_scripts_and_other_sites() {
    let host = TestHost::start().await;
    let client = host.client("acme");
    let body = json!({"login": "anna", "password": PASSWORD})
        .to_string()
        .into();
    let answer = client
        .post("session/login", body, &RequestOptions::default())
        .await
        .unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(
        cookie.starts_with("__Host-") && !cookie.contains("Domain"),
        "{cookie}"
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn two_tabs_that_refresh_at_once_both_stay_signed_in() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let shared = anna.client.cookie(COOKIE).unwrap();
    let (one, two) = (host.client("acme"), host.client("acme"));
    one.set_cookie(COOKIE, &shared);
    two.set_cookie(COOKIE, &shared);
    let (first, second) = tokio::join!(one.refresh(), two.refresh());
    first.unwrap();
    second.unwrap();
    for tab in [one, two] {
        tab.call("users/me", json!({})).await.unwrap();
        tab.refresh().await.unwrap();
    }
}

#[tokio::test]
async fn a_stolen_refresh_token_ends_the_whole_session() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let anna = host.sign_in("acme", "anna").await;
    let old = anna.client.cookie(COOKIE).unwrap();
    anna.client.refresh().await.unwrap();
    anna.client.refresh().await.unwrap();
    // So late it is no second tab and no lost reply.
    host.moves_clock(Duration::from_secs(11)).await;
    let thief = host.client("acme");
    thief.set_cookie(COOKIE, &old);
    let refused = thief.refresh().await.err().unwrap();
    assert_eq!(refused.status(), 401, "{refused:?}");
    let owner = anna.client.refresh().await.err().unwrap();
    assert_eq!(
        owner.status(),
        401,
        "the owner is signed out too and has to look"
    );
    let call = anna.client.call("users/me", json!({})).await.unwrap_err();
    assert_eq!(call.status(), 401, "{call:?}");
}

#[tokio::test]
async fn a_refresh_token_of_two_rotations_ago_ends_the_session_at_once() {
    let host = TestHost::start().await;
    let anna = host.sign_in("acme", "anna").await;
    let oldest = anna.client.cookie(COOKIE).unwrap();
    anna.client.refresh().await.unwrap();
    anna.client.refresh().await.unwrap();
    let thief = host.client("acme");
    thief.set_cookie(COOKIE, &oldest);
    let refused = thief.refresh().await.err().unwrap();
    assert_eq!(refused.status(), 401, "{refused:?}");
    let owner = anna.client.refresh().await.err().unwrap();
    assert_eq!(owner.status(), 401, "{owner:?}");
}

#[tokio::test]
async fn the_previous_refresh_token_answers_for_ten_seconds_only() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let anna = host.sign_in("acme", "anna").await;
    let previous = anna.client.cookie(COOKIE).unwrap();
    anna.client.refresh().await.unwrap();
    host.moves_clock(Duration::from_secs(5)).await;
    let late = host.client("acme");
    late.set_cookie(COOKIE, &previous);
    late.refresh().await.unwrap();
    host.moves_clock(Duration::from_secs(6)).await;
    let later = host.client("acme");
    later.set_cookie(COOKIE, &previous);
    let refused = later.refresh().await.err().unwrap();
    assert_eq!(refused.status(), 401, "{refused:?}");
}

#[tokio::test]
async fn logging_out_ends_calls_sockets_and_the_cookie() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let token = anna.client.token();
    let cookie = anna.client.cookie(COOKIE).unwrap();
    let answer = anna
        .client
        .post("session/logout", "{}".into(), &RequestOptions::default())
        .await
        .unwrap();
    assert!(answer.status().is_success());
    assert_eq!(answer.headers()["clear-site-data"], "\"cache\",\"storage\"");
    assert_eq!(anna.client.cookie(COOKIE), None);

    let stale = host.client("acme");
    stale.set_token(token);
    assert_eq!(
        stale
            .call("users/me", json!({}))
            .await
            .unwrap_err()
            .status(),
        401
    );
    stale.set_cookie(COOKIE, &cookie);
    assert_eq!(stale.refresh().await.err().unwrap().status(), 401);
    says_goodbye(&anna).await;
}

#[tokio::test]
async fn a_deactivated_person_is_cut_off_at_once() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    anna.client
        .call("users/deactivate", json!({"user": bertil.id}))
        .await
        .unwrap();
    let refused = bertil.client.call("users/me", json!({})).await.unwrap_err();
    assert_eq!(refused.status(), 401, "{refused:?}");
    says_goodbye(&bertil).await;
    let refused = bertil.client.login("bertil", PASSWORD).await.err().unwrap();
    assert_eq!(refused.status(), 401, "{refused:?}");
    anna.client
        .call("users/reactivate", json!({"user": bertil.id}))
        .await
        .unwrap();
    bertil.client.login("bertil", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_deactivated_persons_socket_hears_nothing_more() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    bertil.sees("chat.conversation.created").await;
    anna.client
        .call("users/deactivate", json!({"user": bertil.id}))
        .await
        .unwrap();
    anna.says("efteråt").in_conversation(&conversation).await;
    loop {
        match bertil.next_event().await {
            Ok(event) => assert_ne!(event.data["message"]["text"], "efteråt"),
            Err(ClientError::Bye(code)) => {
                assert_eq!(code, "revoked");
                break;
            }
            Err(ClientError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_idle_socket_whose_token_expired_is_told_so_and_a_renewed_one_hears_on() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let anna = host.sign_in("acme", "anna").await;
    let idle = host.sign_in("acme", "bertil").await;
    let mut renewed = idle.client.socket(None).await.unwrap();
    let conversation = anna.direct_with(&idle).await;
    host.moves_clock(Duration::from_secs(9 * 60)).await;
    let session = idle.second_device().await.client.refresh().await.unwrap();
    renewed
        .authenticate(&session.access_token, None)
        .await
        .unwrap();
    anna.client.refresh().await.unwrap();
    host.moves_clock(Duration::from_secs(2 * 60)).await;

    anna.says("är du kvar?")
        .in_conversation(&conversation)
        .await;
    let error = loop {
        match idle.next_event().await {
            Ok(event) => assert_ne!(event.data["message"]["text"], "är du kvar?"),
            Err(error) => break error,
        }
    };
    match error {
        ClientError::Bye(code) => assert_eq!(code, "expired"),
        other => panic!("{other:?}"),
    }
    patiently("the message on the renewed socket", async {
        loop {
            let event = renewed.next_event().await.unwrap();
            if event.data["message"]["text"] == "är du kvar?" {
                break;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_socket_is_renewed_only_as_the_same_person() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let mut socket = anna.client.socket(None).await.unwrap();
    let other = bertil.client.token().unwrap();
    socket.authenticate(&other, None).await.unwrap_err();
}

#[tokio::test]
async fn a_page_of_a_sibling_tenant_cannot_use_our_cookie() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let _greta = host.tenant("globex", "greta").await;
    let sibling = anna.client.endpoint().origin().replace("acme", "globex");
    for origin in [sibling.as_str(), "https://evil.example", "null"] {
        for method in ["session/refresh", "session/logout"] {
            let options = RequestOptions {
                origin: Some(origin.to_owned()),
                ..RequestOptions::default()
            };
            let refused = anna
                .client
                .call_with(method, json!({}), options)
                .await
                .unwrap_err();
            assert_eq!(refused.status(), 403, "{origin} {method}: {refused:?}");
        }
    }
    anna.client.refresh().await.unwrap();
}

#[tokio::test]
async fn a_cookie_carried_to_another_tenant_is_worth_nothing_there() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let _greta = host.tenant("globex", "greta").await;
    let elsewhere = host.client("globex");
    elsewhere.set_cookie(COOKIE, &anna.client.cookie(COOKIE).unwrap());
    let refused = elsewhere.refresh().await.err().unwrap();
    assert!(matches!(refused.status(), 401 | 403), "{refused:?}");
    anna.client.refresh().await.unwrap();
}

#[tokio::test]
async fn cookie_endpoints_take_json_only() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let request = http::Request::builder()
        .method("POST")
        .uri("/api/v1/session/refresh")
        .header("content-type", "text/plain");
    let answer = anna
        .client
        .send(request, "{}".into(), &RequestOptions::default())
        .await
        .unwrap();
    assert_eq!(
        answer.status(),
        415,
        "a form of another page could send this"
    );
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let (_host, _anna, bertil) = TestHost::with_two_users().await;
    let phone = bertil.second_device().await;
    bertil
        .client
        .call(
            "users/change_password",
            json!({"old": PASSWORD, "new": "a wholly different phrase"}),
        )
        .await
        .unwrap();
    assert_eq!(phone.client.refresh().await.err().unwrap().status(), 401);
    bertil
        .client
        .login("bertil", "a wholly different phrase")
        .await
        .unwrap();
}

async fn says_goodbye(person: &vaxel_tests::Person) {
    loop {
        match person.next_event().await {
            Ok(_) => {}
            Err(ClientError::Bye(code)) => {
                assert_eq!(code, "revoked");
                return;
            }
            Err(ClientError::Closed) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
}
