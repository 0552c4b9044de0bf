//! The audit as an operator checks it: with the server's own heads, and with those that were kept elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::{Value, json};
use vaxel_tests::TestHost;

fn heads(host: &TestHost) -> Vec<Value> {
    let file = host.data().join("audit-heads.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn an_operator_checks_the_audit_against_heads_kept_outside() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let group = json!({"name": "Jour"});
    anna.client.call("groups/create", group).await.unwrap();
    // The heads are signed hourly, and at every stop.
    host.restart();
    let before = heads(&host).len();
    assert!(before > 0);
    let anna = host.sign_in("acme", "anna").await;
    let group = json!({"name": "Beredskap"});
    anna.client.call("groups/create", group).await.unwrap();
    host.restart();
    let kept = heads(&host);
    assert!(kept.len() > before, "more happened, so there is a new head");
    let mode = std::fs::metadata(host.data().join("audit-heads.jsonl")).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );

    let whole = host.command(&["audit", "verify"]);
    assert!(whole.stdout.contains("ok    acme"), "{}", whole.stdout);
    // A head over more than there is, and one whose chain is another: neither is this server's to sign.
    let mut forged = kept.last().unwrap().clone();
    forged["count"] = json!(forged["count"].as_u64().unwrap() + 5);
    let outside = host.scratch("heads.jsonl");
    std::fs::write(&outside, format!("{forged}\n")).unwrap();
    let file = outside.to_str().unwrap();
    let refused = host.try_command(&["audit", "verify", "--heads", file], "");
    assert!(!refused.ok);
    assert!(refused.stderr.contains("signature"), "{}", refused.stderr);
    // The real ones prove that everything is there.
    let lines: Vec<String> = kept.iter().map(Value::to_string).collect();
    std::fs::write(&outside, lines.join("\n")).unwrap();
    let with_kept = host.command(&["audit", "verify", "--tenant", "acme", "--heads", file]);
    assert!(with_kept.stdout.contains("ok    acme"));
    let nobody = host.try_command(&["audit", "verify", "--tenant", "nobody"], "");
    assert!(!nobody.ok && nobody.stderr.contains("nobody"));
}
