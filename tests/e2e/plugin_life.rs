//! The life of a plugin in an organization: consent item by item, newer versions that wait for it, and the way back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use std::path::Path;

use serde_json::{Value, json};
use tokio::task::block_in_place;
use vaxel_tests::packages::{Publisher, offline, path, trusts, with_publisher};
use vaxel_tests::{Person, TestHost};

fn installs(host: &TestHost, file: &Path) {
    block_in_place(|| host.command(&["plugin", "install", path(file)]));
}

/// A command about the fixture in the tenant `acme`.
fn command(host: &TestHost, act: &str, more: &[&str]) -> Value {
    let args = [
        &["plugin", act, "--tenant", "acme", "--json", "faulty"],
        more,
    ]
    .concat();
    block_in_place(|| host.command(&args)).json()
}

async fn does(person: &Person, act: &str, more: Value) -> Value {
    tries(person, act, more).await.unwrap()
}

/// What it answers, or the status and the code of the refusal.
async fn tries(person: &Person, act: &str, more: Value) -> Result<Value, (u16, String)> {
    let mut params = json!({"plugin": "faulty"});
    let fields = params.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let answer = person.client.call(&format!("plugins/{act}"), params).await;
    answer.map_err(|error| (error.status(), error.code().to_owned()))
}

async fn calls(person: &Person, method: &str, params: Value) -> Result<Value, (u16, String)> {
    let method = format!("plugins/faulty/{method}");
    let answer = person.client.call(&method, params).await;
    answer.map_err(|error| (error.status(), error.code().to_owned()))
}

async fn answers(person: &Person) -> bool {
    calls(person, "ok", json!({})).await.is_ok()
}

fn granted(detail: &Value) -> Vec<&str> {
    let asks = detail["asks"].as_array().unwrap().iter();
    asks.filter(|ask| ask["granted"] == true)
        .map(|ask| ask["id"].as_str().unwrap())
        .collect()
}

/// Events may be refused.
fn with_optional_events(manifest: String) -> String {
    manifest.replace(
        "name = \"events\"\nreason = \"the tests use it\"",
        "name = \"events\"\nreason = \"the tests use it\"\nrequired = false",
    )
}

/// It has a form with one setting.
fn with_a_setting(manifest: String) -> String {
    manifest
        + "\n[settings]\ntype = \"object\"\n[settings.properties.colour]\ntype = \"string\"\ndefault = \"blue\"\n"
}

/// It wants to reach these hosts too.
fn with_hosts(manifest: String, hosts: &str) -> String {
    let manifest = manifest.replacen("[wit]\n", "[wit]\nhttp = \"0.1.0\"\n", 1);
    manifest.replacen(
        "[[permissions]]",
        &format!(
            "[[capabilities]]\nname = \"http\"\nreason = \"to look things up\"\nhosts = [{hosts}]\n\n[[permissions]]"
        ),
        1,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_grants_item_by_item_and_what_is_refused_is_forbidden_to_the_plugin() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let edit = |manifest| with_a_setting(with_optional_events(manifest));
    installs(&host, &acme.variant("1.0.0", "plain", edit));
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (&detail["state"], &detail["publisher"], &detail["version"]),
        (&json!("off"), &json!("Acme AB"), &json!("1.0.0"))
    );
    assert_eq!(detail["asks"].as_array().unwrap().len(), 6);
    assert!(granted(&detail).is_empty());

    // What is missing or unknown is refused by name, and nothing is switched on.
    let without = json!({"grants": ["identity", "clock", "crypto", "log", "events"]});
    let refused = tries(&anna, "enable", without).await.unwrap_err();
    assert_eq!(refused, (422, "required_grant".to_owned()));
    let unknown = json!({"grants": ["storage", "blobs"]});
    let refused = tries(&anna, "enable", unknown).await.unwrap_err();
    assert_eq!(refused, (422, "unknown_grant".to_owned()));
    assert!(!answers(&anna).await);

    let some = json!({"grants": ["storage", "identity", "clock", "crypto", "log"]});
    does(&anna, "enable", some.clone()).await;
    assert!(answers(&anna).await);
    let refused = calls(&anna, "publish", json!({"text": "hello"})).await;
    assert_eq!(refused.unwrap_err(), (403, "forbidden".to_owned()));
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(detail["state"], "on");
    assert!(!granted(&detail).contains(&"events"), "{detail}");
    assert_eq!(detail["settings"]["values"], json!({"colour": "blue"}));
    assert_eq!(detail["permissions"][0]["name"], "faulty.use");

    // From the next call on, there and back, over the command line too.
    let all = ["storage,events,identity,clock,crypto,log"];
    command(&host, "grant", &all);
    calls(&anna, "publish", json!({"text": "hello"}))
        .await
        .unwrap();
    does(&anna, "grant", some).await;
    assert!(
        calls(&anna, "publish", json!({"text": "hello"}))
            .await
            .is_err()
    );
    let less = json!({"grants": ["storage"]});
    let refused = tries(&anna, "grant", less).await.unwrap_err();
    assert_eq!(refused, (422, "required_grant".to_owned()));
    let shown = command(&host, "show", &[]);
    assert_eq!(
        granted(&shown),
        granted(&does(&anna, "get", json!({})).await)
    );

    // It is written down: what, and who.
    let audit = anna.client.call("audit/list", json!({})).await.unwrap();
    let entries = audit["items"].as_array().unwrap();
    let of = |action: &str| {
        entries
            .iter()
            .find(|entry| entry["action"] == action)
            .unwrap()
    };
    assert_eq!(
        of("plugins.grant")["target"],
        "faulty clock,crypto,identity,log,storage"
    );
    assert_eq!(of("plugins.grant")["actor"], anna.id.as_str());
    // Off and away: nothing of the grant is left.
    does(&anna, "disable", json!({})).await;
    let off = tries(&anna, "grant", json!({"grants": ["storage"]})).await;
    assert_eq!(off.unwrap_err(), (422, "not_on".to_owned()));
    does(&anna, "uninstall", json!({})).await;
    assert!(granted(&does(&anna, "get", json!({})).await).is_empty());
    host.restart();
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    assert!(granted(&does(&anna, "get", json!({})).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_asks_for_more_waits_for_consent_while_the_old_one_serves() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let one = "\"a.example.com\"";
    let two = "\"a.example.com\", \"b.example.com\"";
    installs(
        &host,
        &acme.variant("1.0.0", "plain", |m| with_hosts(m, one)),
    );
    does(&anna, "enable", json!({})).await;
    installs(
        &host,
        &acme.variant("1.1.0", "plain", |m| with_hosts(m, two)),
    );
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (
            &detail["version"],
            &detail["state"],
            &detail["needs_consent"]
        ),
        (&json!("1.0.0"), &json!("waiting"), &json!(false))
    );
    assert!(answers(&anna).await, "the old one serves meanwhile");
    let update = &detail["update"];
    assert_eq!(
        (&update["version"], &update["waits_for_consent"]),
        (&json!("1.1.0"), &json!(true))
    );
    let asks = update["asks"].as_array().unwrap();
    let http = asks.iter().find(|ask| ask["id"] == "http").unwrap();
    assert_eq!(
        (&http["added_details"], &http["granted"], &http["is_new"]),
        (&json!(["b.example.com"]), &json!(false), &json!(false))
    );
    let same = asks.iter().find(|ask| ask["id"] == "storage").unwrap();
    assert_eq!(
        (&same["granted"], &same["is_new"]),
        (&json!(true), &json!(false))
    );

    // Nobody consents by going on, only by saying so.
    let to = json!({"version": "1.1.0"});
    let refused = tries(&anna, "upgrade", to).await.unwrap_err();
    assert_eq!(refused, (422, "consent_required".to_owned()));
    let all = json!([
        "storage", "events", "identity", "clock", "crypto", "log", "http"
    ]);
    does(&anna, "upgrade", json!({"version": "1.1.0", "grants": all})).await;
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (&detail["version"], &detail["former"], &detail["state"]),
        (&json!("1.1.0"), &json!("1.0.0"), &json!("on"))
    );
    assert!(detail["update"].is_null());

    // A version that asks for no more needs no consent; back brings what was granted then.
    installs(
        &host,
        &acme.variant("1.2.0", "plain", |m| with_hosts(m, one)),
    );
    command(&host, "upgrade", &["1.2.0"]);
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (&detail["version"], &detail["former"]),
        (&json!("1.2.0"), &json!("1.1.0"))
    );
    does(&anna, "rollback", json!({})).await;
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (&detail["version"], &detail["former"]),
        (&json!("1.1.0"), &Value::Null)
    );
    assert_eq!(granted(&detail).len(), 7);
    let refused = tries(&anna, "rollback", json!({})).await.unwrap_err();
    assert_eq!(refused, (422, "no_former_version".to_owned()));
    let refused = tries(&anna, "upgrade", json!({"version": "9.9.9"})).await;
    assert_eq!(refused.unwrap_err().0, 422);
    // All of it outlives the process.
    host.kill9();
    block_in_place(|| host.serve());
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    let detail = does(&anna, "get", json!({})).await;
    assert_eq!(
        (&detail["version"], &detail["state"]),
        (&json!("1.1.0"), &json!("on"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_run_different_versions_side_by_side() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let cecilia = host.tenant("globex", "cecilia").await;
    installs(&host, &acme.package("1.0.0"));
    does(&anna, "enable", json!({})).await;
    installs(&host, &acme.variant("2.0.0", "other", |m| m));
    does(&cecilia, "enable", json!({})).await;
    let note = async |person: &Person| {
        let minted = calls(person, "mint", json!({"key": "hello"}))
            .await
            .unwrap();
        minted["note"].clone()
    };
    assert_eq!(note(&anna).await, Value::Null);
    assert_eq!(note(&cecilia).await, "hello");
    does(&anna, "upgrade", json!({"version": "2.0.0"})).await;
    assert_eq!(note(&anna).await, "hello");
    does(&anna, "rollback", json!({})).await;
    assert_eq!(note(&anna).await, Value::Null);
    assert_eq!(note(&cecilia).await, "hello");
    // What stands in front of an open page is told, and members learn nothing of it.
    let bertil = host.sign_in("acme", "bertil").await;
    let refused = tries(&bertil, "get", json!({})).await.unwrap_err();
    assert_eq!(refused.0, 403);
    // What comes with the server has one version, for all.
    let upgrade = json!({"plugin": "chat", "version": "1.0.0"});
    let refused = anna.client.call("plugins/upgrade", upgrade).await;
    assert_eq!(refused.unwrap_err().code(), "comes_with_server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_goes_to_production_with_two_approvals_and_never_with_one_twice() {
    let (host, acme) = with_publisher().await;
    let anna = host.sign_in("acme", "anna").await;
    let approvers = ["Eva", "Nils", "Mallory"].map(|name| Publisher::new(&host, name));
    let [eva, nils, mallory] = &approvers;
    let mut four_eyes = String::new();
    for (name, approver) in [("Eva", eva), ("Nils", nils)] {
        let key = &approver.public;
        four_eyes.push_str(&format!("[[approvers]]\nname = '{name}'\nkey = '{key}'\n"));
    }
    installs(&host, &acme.package("1.0.0"));
    does(&anna, "enable", json!({})).await;
    let trust = std::fs::read_to_string(host.data().join("trust.toml")).unwrap();
    let with_rule = |approvers: &str| {
        trust.replacen("format = 1\n", "format = 1\napprovals_required = 2\n", 1) + approvers
    };
    // One key for two people is one person; more approvals than approvers are none at all.
    let one_key = format!("[[approvers]]\nname = 'Eva'\nkey = '{}'\n", eva.public);
    for bad in [
        one_key.clone(),
        format!("{one_key}{}", one_key.replace("Eva", "Nils")),
    ] {
        std::fs::write(host.data().join("trust.toml"), with_rule(&bad)).unwrap();
        let file = acme.package("1.0.1");
        let refused = block_in_place(|| host.try_command(&["plugin", "install", path(&file)], ""));
        assert!(!refused.ok);
    }
    std::fs::write(host.data().join("trust.toml"), with_rule(&four_eyes)).unwrap();

    // What was there before stays in production; what comes now begins at the beginning.
    let file = acme.variant("2.0.0", "other", |manifest| manifest);
    installs(&host, &file);
    assert!(answers(&anna).await);
    assert!(does(&anna, "get", json!({})).await["update"].is_null());
    let refused = tries(&anna, "upgrade", json!({"version": "2.0.0"})).await;
    assert_eq!(refused.unwrap_err(), (422, "not_promoted".to_owned()));
    block_in_place(|| host.command(&["tenant", "stage", "acme", "development"]));
    does(&anna, "upgrade", json!({"version": "2.0.0"})).await;
    assert!(answers(&anna).await);
    block_in_place(|| host.command(&["tenant", "stage", "acme", "production"]));
    assert!(!answers(&anna).await, "it is not for production");
    assert_eq!(does(&anna, "get", json!({})).await["state"], "unavailable");

    let approved = |by: &Publisher, stage: &str, file: &Path| {
        let name = format!("{}.{stage}.approval", by.thumbprint);
        let out = host.scratch(&name);
        let key = path(&by.key).to_owned();
        offline(
            &host,
            &[
                "approve",
                path(file),
                "--stage",
                stage,
                "--key",
                &key,
                "-o",
                path(&out),
            ],
        );
        out
    };
    let promote = |approvals: &[&Path]| {
        let mut args = vec!["plugin", "promote", "faulty", "2.0.0"];
        for approval in approvals {
            args.extend(["--approval", path(approval)]);
        }
        block_in_place(|| host.try_command(&args, ""))
    };
    let refused = |approvals: &[&Path], says: &str| {
        let answer = promote(approvals);
        assert!(
            !answer.ok && answer.stderr.contains(says),
            "{says}: {}",
            answer.stderr
        );
    };
    let by_eva = approved(eva, "staging", &file);
    let of_other = approved(nils, "staging", &acme.package("2.0.1"));
    refused(&[&by_eva, &of_other], "another package");
    let by_nils = approved(nils, "staging", &file);
    refused(&[&by_eva], "2 are required");
    refused(&[&by_eva, &by_eva], "cannot approve it twice");
    refused(
        &[&by_eva, &approved(mallory, "staging", &file)],
        &mallory.thumbprint,
    );
    let publisher = approved(&acme, "staging", &file);
    refused(&[&by_eva, &publisher], &acme.thumbprint);
    // An approval says what it was signed for, and nothing else.
    let forged = host.scratch("forged.approval");
    let text = std::fs::read_to_string(&by_nils).unwrap();
    std::fs::write(&forged, text.replace("staging", "production")).unwrap();
    refused(&[&forged], "no stage is left out");
    assert!(promote(&[&by_eva, &by_nils]).ok);
    refused(&[&by_eva, &by_nils], "already");
    refused(&[&forged, &forged], "did not sign");
    let far = [
        approved(eva, "production", &file),
        approved(nils, "production", &file),
    ];
    let promoted = promote(&[&far[0], &far[1]]);
    assert!(promoted.ok, "{}", promoted.stderr);
    assert!(answers(&anna).await, "from the next call on");
    // Who approves no longer takes nothing back, and a restart neither.
    trusts(&host, &[("Acme AB", &acme)], "");
    host.restart();
    anna.client
        .login("anna", vaxel_tests::PASSWORD)
        .await
        .unwrap();
    assert!(answers(&anna).await);
}
