//! From an empty directory, without the demo, two people reach a chat over HTTPS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::json;
use vaxel_tests::{HostOptions, PASSWORD, TestHost};

#[tokio::test]
async fn two_people_chat_from_nothing() {
    let host = TestHost::prepare(HostOptions::default());
    let made = host.command_with(
        &[
            "init",
            "--tenant",
            "kommunen",
            "--name",
            "Kommunen",
            "--host",
            "kommunen.localhost",
            "--admin",
            "anna",
            "--password-stdin",
        ],
        PASSWORD,
    );
    assert!(
        made.stdout.to_lowercase().contains("recovery"),
        "init prints the recovery copy: {}",
        made.stdout
    );
    host.serve();
    assert!(
        host.stdout()
            .iter()
            .any(|line| line.starts_with("ready https://"))
    );
    assert!(
        !host
            .stdout()
            .iter()
            .any(|line| line.starts_with("ready http://")),
        "without the demo there is no listener without TLS"
    );

    // One person by the operator's command, one by an invitation from the admin.
    host.add_user("kommunen", "bertil", "Bertil Berg", false);
    let anna = host.sign_in("kommunen", "anna").await;
    let bertil = host.sign_in("kommunen", "bertil").await;
    let invited = anna
        .client
        .call(
            "users/invite",
            json!({"login": "carin", "display_name": "Carin Cederberg"}),
        )
        .await
        .unwrap();
    let link = invited["link"].as_str().unwrap();
    assert!(link.starts_with("https://kommunen.localhost"), "{link}");
    let token = link
        .split_once('#')
        .expect("the token stands behind #, away from logs")
        .1;

    let stranger = host.client("kommunen");
    let preview = stranger
        .call("users/invite_preview", json!({"token": token}))
        .await
        .unwrap();
    assert_eq!(preview["display_name"], "Carin Cederberg");
    stranger.accept(token, PASSWORD).await.unwrap();
    let again = host
        .client("kommunen")
        .accept(token, PASSWORD)
        .await
        .err()
        .unwrap();
    assert!(again.status() / 100 == 4, "the link works once: {again:?}");

    let carin = host.sign_in("kommunen", "carin").await;
    anna.says("välkommen").to(&bertil).await;
    bertil.reads("välkommen").await;
    carin.says("hej anna").to(&anna).await;
    anna.reads("hej anna").await;
}

#[tokio::test]
async fn a_person_without_a_password_gets_a_link() {
    let host = TestHost::start().await;
    let made = host.command(&[
        "user", "add", "--tenant", "acme", "dan", "--name", "Dan Dahl", "--json",
    ]);
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let token = link.split_once('#').unwrap().1;
    host.client("acme").accept(token, PASSWORD).await.unwrap();
    host.sign_in("acme", "dan").await;
}

#[tokio::test]
async fn a_reset_link_replaces_the_password_and_ends_sessions() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let reset = anna
        .client
        .call("users/reset", json!({"user": bertil.id}))
        .await
        .unwrap();
    let link = reset["link"].as_str().unwrap().to_owned();
    let token = link.split_once('#').unwrap().1;
    let new = "an entirely new pass phrase";
    host.client("acme").accept(token, new).await.unwrap();
    let old = host
        .client("acme")
        .login("bertil", PASSWORD)
        .await
        .err()
        .unwrap();
    assert_eq!(old.status(), 401);
    host.client("acme").login("bertil", new).await.unwrap();
    assert_eq!(bertil.client.refresh().await.err().unwrap().status(), 401);
}

#[tokio::test]
async fn only_admins_invite_reset_and_deactivate() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    for (method, params) in [
        ("users/invite", json!({"login": "x.y", "display_name": "X"})),
        ("users/reset", json!({"user": anna.id})),
        ("users/deactivate", json!({"user": anna.id})),
        ("plugins/disable", json!({"plugin": "chat"})),
        ("audit/list", json!({})),
    ] {
        let refused = bertil.client.call(method, params).await.unwrap_err();
        assert_eq!(refused.status(), 403, "{method}: {refused:?}");
    }
}

#[tokio::test]
async fn a_plugin_that_is_switched_off_is_gone_until_it_is_on_again() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let conversation = anna.direct_with(&bertil).await;
    anna.says("före").in_conversation(&conversation).await;
    anna.client
        .call("plugins/disable", json!({"plugin": "chat"}))
        .await
        .unwrap();
    let refused = bertil
        .try_chat("conversations.list", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(refused.status(), 403 | 404), "{refused:?}");
    let document = anna.client.get_json("/api/v1/openapi.json").await.unwrap();
    assert!(!document.to_string().contains("plugins/chat/"));
    anna.client
        .call("plugins/enable", json!({"plugin": "chat"}))
        .await
        .unwrap();
    assert_eq!(bertil.history(&conversation).await.len(), 1);
}

#[tokio::test]
async fn who_is_here_is_told_when_a_plugin_is_switched_and_the_audit_knows_who_did_it() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    for (method, enabled) in [("plugins/disable", false), ("plugins/enable", true)] {
        let done = anna.client.call(method, json!({"plugin": "chat"})).await;
        done.unwrap();
        for person in [&anna, &bertil] {
            let told = person.sees("plugins.switched").await;
            assert_eq!(told.data, json!({"plugin": "chat", "enabled": enabled}));
        }
    }
    // The operator's command says so as well.
    for (verb, enabled) in [("disable", false), ("enable", true)] {
        host.command(&["plugin", verb, "--tenant", "acme", "chat"]);
        let told = bertil.sees("plugins.switched").await;
        assert_eq!(told.data["enabled"], enabled);
    }
    let audit = anna.client.call("audit/list", json!({"limit": 50})).await;
    let audit = audit.unwrap();
    let switched: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["target"] == "chat" && entry["outcome"] == "done")
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().unwrap().to_owned();
            (text("actor"), text("action"))
        })
        .collect();
    let by = |actor: &str, verb: &str| (actor.to_owned(), format!("plugins.{verb}"));
    let expected = [
        by("system", "enable"),
        by("system", "disable"),
        by(&anna.id, "enable"),
        by(&anna.id, "disable"),
    ];
    assert_eq!(switched, expected);
    // Nobody of another organization heard of it.
    let gunnar = host.person("globex", "gunnar", "Gunnar").await;
    greta.says("eget").to(&gunnar).await;
    loop {
        let event = greta.next_event().await.unwrap();
        assert_ne!(event.topic, "plugins.switched");
        if event.data["message"]["text"] == "eget" {
            break;
        }
    }
}

#[tokio::test]
async fn commands_fail_with_one_clear_sentence() {
    let host = TestHost::start().await;
    for args in [
        vec![
            "tenant",
            "add",
            "acme",
            "--name",
            "Again",
            "--host",
            "again.localhost",
        ],
        vec![
            "tenant",
            "add",
            "other",
            "--name",
            "Other",
            "--host",
            "acme.localhost",
        ],
        vec![
            "tenant",
            "add",
            "Not A Slug",
            "--name",
            "X",
            "--host",
            "x.localhost",
        ],
        vec!["user", "add", "--tenant", "nobody", "x", "--name", "X"],
        vec!["user", "add", "--tenant", "acme", "anna", "--name", "Again"],
        vec!["restore", "/nonexistent/backup"],
    ] {
        let answer = host.try_command(&args, "");
        assert!(!answer.ok, "{args:?}");
        let said = answer.stderr.trim();
        assert!(
            !said.is_empty() && !said.contains("panicked"),
            "{args:?}: {said}"
        );
        assert!(said.lines().count() <= 4, "{args:?}: {said}");
    }
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = TestHost::start().await;
    let well = host.command(&["doctor", "--json"]).json();
    assert_eq!(well["ok"], true, "{well}");
    let about: Vec<&str> = well["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["about"].as_str().unwrap())
        .collect();
    for looked_at in [
        "log",
        "master key",
        "key files",
        "disk",
        "certificate",
        "open files",
        "clock",
    ] {
        assert!(about.contains(&looked_at), "{looked_at} in {about:?}");
    }
    // Asked of the running server and of the directory alone, a failure is a failure.
    let key = host.data().join("tls/ca.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    for running in [true, false] {
        if !running {
            host.stop();
        }
        let ill = host.try_command(&["doctor"], "");
        assert!(!ill.ok, "{}", ill.stdout);
        assert!(ill.stdout.contains("FAIL"), "{}", ill.stdout);
        assert!(ill.stdout.contains("chmod go="), "{}", ill.stdout);
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    host.command(&["doctor"]);
}
