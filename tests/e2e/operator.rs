//! What an operator meets on the way: messages that name what to do, files that are theirs alone, and lists that are true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::task::block_in_place;
use vaxel_client::RequestOptions;
use vaxel_tests::{HostOptions, PASSWORD, TestHost};

/// Bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything under a directory, and the directory, that others can get at.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    let meta = std::fs::metadata(path).unwrap();
    let mode = meta.permissions().mode();
    if mode & OTHERS != 0 {
        found.push(format!("{} {:o}", path.display(), mode & 0o777));
    }
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            open_to_others(&entry.unwrap().path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_and_what_is_restored_from_it_are_their_owners_alone() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    anna.says("hemligt").to(&bertil).await;
    let (backup, restored) = (host.scratch("backup"), host.scratch("restored"));
    // A directory that somebody made before, open to others as they are made.
    std::fs::create_dir(&restored).unwrap();
    let said = block_in_place(|| host.command(&["backup", text(&backup)])).stdout;
    assert!(said.contains("KiB in "), "{said}");
    let copy = TestHost::prepare(HostOptions {
        data: Some(restored.clone()),
        ..HostOptions::default()
    });
    let key = host.data().join("master.key");
    block_in_place(|| copy.command(&["restore", text(&backup), "--master-key", text(&key)]));
    let mut found = Vec::new();
    open_to_others(&backup, &mut found);
    open_to_others(&restored, &mut found);
    assert_eq!(found, Vec::<String>::new());
    let doctor = block_in_place(|| copy.command(&["doctor", "--json"])).json();
    assert_eq!(doctor["ok"], true, "{doctor}");
}

#[tokio::test]
async fn who_was_invited_is_not_called_deactivated() {
    let host = TestHost::start().await;
    host.command(&[
        "user", "add", "--tenant", "acme", "dan", "--name", "Dan Dahl",
    ]);
    let list = host.command(&["user", "list", "--tenant", "acme"]).stdout;
    let dan = list.lines().find(|line| line.starts_with("dan ")).unwrap();
    assert!(dan.ends_with("(invited)"), "{dan}");
    let list = host
        .command(&["user", "list", "--tenant", "acme", "--json"])
        .json();
    let items = list["items"].as_array().unwrap();
    let dan = items.iter().find(|item| item["login"] == "dan").unwrap();
    assert_eq!(
        (&dan["active"], &dan["invited"]),
        (&json!(false), &json!(true))
    );

    let anna = host.sign_in("acme", "anna").await;
    anna.client
        .call("users/deactivate", json!({"user": dan["id"]}))
        .await
        .unwrap();
    let list = host.command(&["user", "list", "--tenant", "acme"]).stdout;
    let dan = list.lines().find(|line| line.starts_with("dan ")).unwrap();
    assert!(dan.ends_with("(deactivated)"), "{dan}");
}

#[test]
fn init_looks_at_what_it_is_told_before_it_makes_a_key() {
    let host = TestHost::prepare(HostOptions::default());
    for (args, flag) in [
        (vec!["init", "--tenant", "Not A Slug"], "--tenant"),
        (vec!["init", "--host", "https://acme.example"], "--host"),
        (vec!["init", "--admin", "no spaces"], "--admin"),
        (vec!["init", "--name", " "], "--name"),
        (vec!["init", "--password-stdin"], "--password-stdin"),
    ] {
        let refused = host.try_command(&args, "short\n");
        assert!(!refused.ok, "{args:?}");
        assert!(
            refused.stderr.contains(flag),
            "{args:?}: {}",
            refused.stderr
        );
        assert!(!host.data().join("master.key").exists(), "{args:?}");
        assert!(!refused.stdout.contains("recovery"), "{}", refused.stdout);
    }
    let made = host.command(&["init", "--tenant", "acme", "--admin", "anna"]);
    let again = format!(
        "doctor --data {} --recovery-copy-kept",
        host.data().display()
    );
    assert!(made.stdout.contains(&again), "{}", made.stdout);
    assert!(made.stdout.contains("8443"), "{}", made.stdout);
    assert!(!made.stderr.contains("installed"), "{}", made.stderr);
    let doctor = host.command(&["doctor"]);
    assert!(doctor.stdout.contains(&again), "{}", doctor.stdout);
    assert!(
        doctor.stdout.contains("organizations: 1"),
        "{}",
        doctor.stdout
    );
    assert!(
        !doctor.stdout.contains("of 2 organizations"),
        "{}",
        doctor.stdout
    );
}

#[test]
fn a_command_without_data_says_how_to_make_it() {
    let host = TestHost::prepare(HostOptions::default());
    let at = host.data().display().to_string();
    for args in [
        vec!["doctor"],
        vec!["doctor", "--recovery-copy-kept"],
        vec!["user", "list", "--tenant", "acme"],
    ] {
        let refused = host.try_command(&args, "");
        assert!(!refused.ok, "{args:?}");
        let told = format!("there is no data at {at}; make it with `vaxel init --data {at}`");
        assert!(
            refused.stderr.contains(&told),
            "{args:?}: {}",
            refused.stderr
        );
    }
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_flag_that_changes_it() {
    let host = TestHost::start().await;
    let admin = host.admin_client();
    let taken = admin
        .endpoint()
        .authority()
        .rsplit_once(':')
        .unwrap()
        .1
        .to_owned();
    let other = TestHost::prepare(HostOptions::default());
    other.command_with(&["init", "--password-stdin"], PASSWORD);
    let refused = other.try_command(&["serve", "--https-port", "0", "--admin-port", &taken], "");
    assert!(!refused.ok);
    assert!(
        refused.stderr.contains("--admin-port"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("?:"), "{}", refused.stderr);
}

#[tokio::test]
async fn the_log_names_where_people_go() {
    let host = TestHost::start().await;
    assert!(
        host.log().contains("https://acme.localhost:"),
        "{}",
        host.log_tail()
    );
}

#[tokio::test]
async fn heads_that_are_newer_than_a_restored_backup_are_explained() {
    let host = TestHost::start().await;
    let anna = host.sign_in("acme", "anna").await;
    host.stop();
    let backup = host.scratch("backup");
    host.command(&["backup", text(&backup)]);
    host.serve();
    let anna = {
        drop(anna);
        host.sign_in("acme", "anna").await
    };
    anna.client
        .call("groups/create", json!({"name": "Receptionen"}))
        .await
        .unwrap();
    host.stop();
    let copy = TestHost::prepare(HostOptions {
        data: Some(host.scratch("restored")),
        ..HostOptions::default()
    });
    let key = host.data().join("master.key");
    copy.command(&["restore", text(&backup), "--master-key", text(&key)]);
    let heads = host.data().join("audit-heads.jsonl");
    let told = copy.try_command(&["audit", "verify", "--heads", text(&heads)], "");
    assert!(!told.ok);
    assert!(told.stderr.contains("cut off"), "{}", told.stderr);
    assert!(
        told.stderr
            .contains("expected if this was restored from a backup"),
        "{}",
        told.stderr
    );
}

#[tokio::test]
async fn a_browser_at_nobodys_address_reads_a_page_and_a_program_a_document() {
    let host = TestHost::start().await;
    let client = host.client("acme");
    let nobody = RequestOptions {
        host: Some("nobody.localhost".to_owned()),
        ..RequestOptions::default()
    };
    let look = Request::builder()
        .uri("/")
        .header("accept", "text/html,application/xhtml+xml");
    let page = client.send(look, Bytes::new(), &nobody).await.unwrap();
    assert_eq!(page.status(), 421);
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let body = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(
        body.contains("Här bor ingen") && body.contains("Nobody lives here"),
        "{body}"
    );
    let document = client.get_with("/", &nobody).await.unwrap();
    assert_eq!(document.status(), 421);
    assert_eq!(
        document.headers()["content-type"],
        "application/problem+json"
    );
}
