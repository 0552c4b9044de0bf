//! What lies on the disk tells nobody anything: a raw scan of every byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use vaxel_tests::scan::{files, occurrences};
use vaxel_tests::{HostOptions, PASSWORD, TestHost};

/// Words that occur nowhere but in what this test stores.
const TEXT: &str = "kvicksilverfjärilen flyger vid midnatt";
const EDITED: &str = "porslinselefanten sover till gryningen";
const GROUP: &str = "Hemliga Projektgruppen Rabarber";
const LOGIN: &str = "ragnhild.kvistgren";
const NAME: &str = "Ragnhild Kvistgren";

#[tokio::test]
async fn seeded_texts_logins_and_names_are_nowhere_on_the_disk() {
    let (host, anna, bertil) = TestHost::with_two_users().await;
    let ragnhild = host.person("acme", LOGIN, NAME).await;
    let group = anna.creates_group(GROUP, &[&bertil, &ragnhild]).await;
    for number in 0..20 {
        anna.says(&format!("{TEXT} {number}"))
            .in_conversation(&group)
            .await;
    }
    let message = ragnhild.says(TEXT).in_conversation(&group).await;
    ragnhild
        .chat(
            "messages.edit",
            json!({"message": message["id"], "text": EDITED}),
        )
        .await;
    let cookie = ragnhild.client.cookie("__Host-vaxel_refresh").unwrap();
    let invited = anna
        .client
        .call(
            "users/invite",
            json!({"login": "inbjuden.person", "display_name": "Inbjuden Person"}),
        )
        .await
        .unwrap();
    let link = invited["link"].as_str().unwrap();
    let one_time = link.rsplit(['#', '/', '=']).next().unwrap().to_owned();

    let needles = [
        TEXT,
        EDITED,
        GROUP,
        LOGIN,
        NAME,
        "Acme AB",
        PASSWORD,
        cookie.as_str(),
        one_time.as_str(),
        "inbjuden.person",
        "Inbjuden Person",
        ragnhild.client.token().unwrap().rsplit('.').next().unwrap(),
    ]
    .map(str::to_owned);
    let needles: Vec<&str> = needles.iter().map(String::as_str).collect();
    assert_eq!(occurrences(host.data(), &needles), [], "while it runs");

    host.stop();
    assert_eq!(occurrences(host.data(), &needles), [], "after a stop");
    let bytes: u64 = files(host.data())
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(bytes > 10_000, "there was something to look through");

    host.serve();
    let backup = host.scratch("backup");
    host.command(&["backup", &backup.to_string_lossy()]);
    assert_eq!(occurrences(&backup, &needles), [], "in the backup");

    let log = host.log();
    for needle in &needles {
        assert!(!log.contains(needle), "the log tells `{needle}`");
    }
    // What was looked for is really there, for those who may see it.
    let history = bertil.history(&group).await;
    assert_eq!(history.last().unwrap()["text"], EDITED);
}

#[test]
fn the_scan_finds_what_it_looks_for_plain_and_encoded() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(occurrences(folder.path(), &[TEXT]), []);
    for prefix in ["", "a", "ab"] {
        let encoded = STANDARD.encode(format!("{prefix}{TEXT} och mer"));
        std::fs::write(folder.path().join("file"), encoded).unwrap();
        assert_eq!(occurrences(folder.path(), &[TEXT]).len(), 1, "{prefix}");
    }
    std::fs::write(folder.path().join("file"), format!("xx{TEXT}")).unwrap();
    assert_eq!(occurrences(folder.path(), &[TEXT]).len(), 1);
}

#[tokio::test]
async fn keys_and_sockets_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (host, _anna, _bertil) = TestHost::with_two_users().await;
    for name in ["master.key", "admin.sock"] {
        let mode = std::fs::metadata(host.data().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
    let folder = std::fs::metadata(host.data()).unwrap().permissions().mode();
    assert_eq!(folder & 0o077, 0, "the data directory has mode {folder:o}");
    for file in files(host.data()) {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(
            mode & 0o022,
            0,
            "{} may be written by others",
            file.display()
        );
    }
}

#[tokio::test]
async fn a_master_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let host = TestHost::start().await;
    host.stop();
    let key = host.data().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let answer = host.try_command(&["serve", "--https-port", "0", "--admin-port", "0"], "");
    assert!(!answer.ok);
    assert!(answer.stderr.contains("master.key"), "{}", answer.stderr);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    host.serve();
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let host = TestHost::start().await;
    let other = TestHost::prepare(HostOptions::default());
    other.command_with(&["init", "--password-stdin"], PASSWORD);
    host.stop();
    std::fs::copy(
        other.data().join("master.key"),
        host.data().join("master.key"),
    )
    .unwrap();
    let answer = host.try_command(&["serve", "--https-port", "0", "--admin-port", "0"], "");
    assert!(!answer.ok, "{}", answer.stdout);
    assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
}
