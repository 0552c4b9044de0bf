//! What is installed is what was asked for and granted, and only what this host compiled is run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use support::{ACME, GLOBEX, House, faulty, faulty_id, former, plugin_call, user};
use vaxel_core::Reason;
use vaxel_crypto::{Keyring, MasterKey};
use vaxel_runtime::{Caller, PackageFiles, Runtime, RuntimeError};

fn without(manifest: &str, capability: &str) -> String {
    let table =
        format!("[[capabilities]]\nname = \"{capability}\"\nreason = \"the tests use it\"\n");
    assert!(manifest.contains(&table));
    manifest.replace(&table, "")
}

#[tokio::test]
async fn an_import_that_the_manifest_does_not_ask_for_is_refused_by_name() {
    let house = House::new().await;
    let PackageFiles {
        manifest,
        component,
    } = faulty();
    for capability in ["storage", "events", "identity", "clock", "crypto", "log"] {
        let manifest = without(&manifest, capability);
        let package = PackageFiles {
            manifest,
            component: component.clone(),
        };
        match house.runtime.install(package).await {
            Err(RuntimeError::NotAskedFor { import }) => {
                let expected = format!("vaxel:{capability}/{capability}@0.1.");
                assert!(import.starts_with(&expected), "{import}");
            }
            other => panic!("{capability}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_manifest_and_a_component_that_disagree_are_refused() {
    let house = House::new().await;
    let PackageFiles {
        manifest,
        component,
    } = faulty();
    for (was, becomes, says) in [
        ("name = \"whoami\"", "name = \"whoarewe\"", "whoarewe"),
        (
            "[[methods]]\nname = \"ok\"\npermission = \"faulty.use\"\nsummary = \"Answers\"\n",
            "",
            "ok",
        ),
        ("format = 1", "format = 9", "format 9"),
    ] {
        assert!(manifest.contains(was), "{was}");
        let manifest = manifest.replace(was, becomes);
        let package = PackageFiles {
            manifest,
            component: component.clone(),
        };
        let refused = house.runtime.install(package).await.unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
        assert_eq!(refused.problem().reason, Reason::Invalid);
    }
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let house = House::new().await;
    let PackageFiles {
        manifest,
        component,
    } = faulty();
    for broken in [
        Vec::new(),
        b"\0asm".to_vec(),
        component[..component.len() / 2].to_vec(),
    ] {
        let package = PackageFiles {
            manifest: manifest.clone(),
            component: broken,
        };
        let refused = house.runtime.install(package).await.unwrap_err();
        assert!(
            matches!(refused, RuntimeError::Component { .. }),
            "{refused}"
        );
    }
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn methods_come_with_their_schemas() {
    let house = House::new().await;
    let methods = house.runtime.methods(ACME);
    let counter = methods
        .iter()
        .find(|method| method.name == "counter")
        .unwrap();
    assert_eq!(counter.permission, "faulty.use");
    assert_eq!(counter.params["properties"]["key"]["type"], "string");
    assert_eq!(counter.params["required"], json!(["key"]));
}

#[tokio::test]
async fn a_switched_off_plugin_is_refused_at_once_and_stays_off() {
    let house = House::new().await;
    house
        .runtime
        .disable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    let refused = house.call(ACME, "ok", json!({})).await.unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
    assert!(house.runtime.methods(ACME).is_empty());
    house.call(GLOBEX, "ok", json!({})).await.unwrap();
    let restarted = house.restarted(Arc::clone(&house.keyring));
    restarted.install(faulty()).await.unwrap();
    assert!(!restarted.list(ACME)[0].enabled);
    assert!(restarted.list(GLOBEX)[0].enabled);
}

#[tokio::test]
async fn data_stays_while_a_plugin_is_off() {
    let house = House::new().await;
    house
        .call(ACME, "counter", json!({ "key": "k" }))
        .await
        .unwrap();
    house
        .runtime
        .disable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    house
        .runtime
        .enable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    let read = house
        .call(ACME, "read", json!({ "key": "k" }))
        .await
        .unwrap();
    assert_eq!(read, json!({ "value": 1 }));
}

#[tokio::test]
async fn a_version_that_asks_for_more_waits_for_consent() {
    let house = House::new().await;
    // As if the tenant had granted before the plugin asked for randomness.
    let mut row = vec![1];
    let granted = ["storage", "events", "identity", "clock", "log"];
    row.extend(
        json!({ "on": true, "granted": granted })
            .to_string()
            .into_bytes(),
    );
    let mut tx = house.storage.begin(ACME);
    let space = vaxel_storage::Space::host(0x31);
    tx.put(space, b"faulty", row, vaxel_crypto::ErasureKey::TENANT)
        .unwrap();
    house.storage.commit(tx).await.unwrap();
    let restarted = house.restarted(Arc::clone(&house.keyring));
    restarted.install(faulty()).await.unwrap();
    let state = restarted.list(ACME).remove(0);
    assert!(!state.enabled && state.needs_consent);
    restarted
        .enable(&house.cx(ACME), &faulty_id())
        .await
        .unwrap();
    assert!(restarted.list(ACME)[0].enabled);
}

#[tokio::test]
async fn permissions_are_checked_before_the_plugin_runs() {
    let house = House::new().await;
    let now = house.cx(ACME).now;
    let as_caller = |caller: Caller, method: &str| {
        let mut call = plugin_call(now, ACME, user(1), method, json!({}));
        call.caller = caller;
        house.runtime.call(call)
    };
    let member = Caller {
        user: Some(user(1)),
        ..Caller::default()
    };
    let admin = Caller {
        admin: true,
        ..member.clone()
    };
    let given = Caller {
        permissions: Arc::new(BTreeSet::from(["faulty.admin".to_owned()])),
        ..member.clone()
    };
    let refused = as_caller(member, "admin_only").await.unwrap_err();
    assert_eq!(refused.reason, Reason::Forbidden);
    as_caller(admin.clone(), "admin_only").await.unwrap();
    as_caller(admin, "ok").await.unwrap();
    as_caller(given, "admin_only").await.unwrap();
    let refused = as_caller(Caller::default(), "ok").await.unwrap_err();
    assert_eq!(refused.reason, Reason::Unauthenticated);
}

#[tokio::test]
async fn a_guest_learns_who_calls_and_when() {
    let house = House::new().await;
    let me = house
        .call_as(ACME, user(7), "whoami", json!({}))
        .await
        .unwrap();
    assert_eq!(
        me,
        json!({ "user": user(7).to_string(), "admin": false, "may_use": true, "now_ms": house.cx(ACME).now })
    );
}

fn cache_file(house: &House) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(house.cache_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1);
    files.remove(0)
}

async fn works(runtime: &Runtime, house: &House) {
    runtime.install(faulty()).await.unwrap();
    let call = plugin_call(house.cx(ACME).now, ACME, user(1), "ok", json!({}));
    runtime.call(call).await.unwrap();
}

#[tokio::test]
async fn compiled_code_is_kept_and_used_again() {
    let house = House::new().await;
    let before = fs::metadata(cache_file(&house)).unwrap();
    assert_eq!(before.mode() & 0o077, 0);
    works(&house.restarted(Arc::clone(&house.keyring)), &house).await;
    // Writing it makes a new file.
    assert_eq!(
        fs::metadata(cache_file(&house)).unwrap().ino(),
        before.ino()
    );
}

#[tokio::test]
async fn compiled_code_that_was_touched_is_not_loaded() {
    let house = House::new().await;
    let file = cache_file(&house);
    let good = fs::read(&file).unwrap();
    let mut in_code = good.clone();
    let middle = in_code.len() / 2;
    in_code[middle] ^= 1;
    let mut in_mac = good.clone();
    in_mac[5] ^= 1;
    let mut in_format = good.clone();
    in_format[0] = 2;
    let forged = [&[1_u8][..], &[0; 32][..], &good[33..]].concat();
    for touched in [
        in_code,
        in_mac,
        in_format,
        forged,
        good[..20].to_vec(),
        Vec::new(),
    ] {
        fs::write(&file, &touched).unwrap();
        works(&house.restarted(Arc::clone(&house.keyring)), &house).await;
        assert_ne!(fs::read(&file).unwrap(), touched, "it was compiled again");
    }
}

#[tokio::test]
async fn compiled_code_of_one_plugin_does_not_pass_for_anothers() {
    let house = House::new().await;
    let faulty_file = cache_file(&house);
    house.with_on(former("1")).await;
    let mut files = fs::read_dir(house.cache_dir()).unwrap();
    let former_file = files
        .find_map(|entry| Some(entry.unwrap().path()).filter(|path| *path != faulty_file))
        .unwrap();
    let (of_faulty, of_former) = (
        fs::read(&faulty_file).unwrap(),
        fs::read(&former_file).unwrap(),
    );
    assert_ne!(of_faulty, of_former);
    // Each is good code of this host, under the other's name.
    fs::write(&faulty_file, &of_former).unwrap();
    fs::write(&former_file, &of_faulty).unwrap();
    let restarted = house.restarted(Arc::clone(&house.keyring));
    works(&restarted, &house).await;
    restarted.install(former("1")).await.unwrap();
    let mut call = plugin_call(house.cx(ACME).now, ACME, user(1), "recall", json!({}));
    call.plugin = "former".parse().unwrap();
    restarted.call(call).await.unwrap();
    assert_ne!(fs::read(&faulty_file).unwrap(), of_former, "compiled anew");
    assert_ne!(fs::read(&former_file).unwrap(), of_faulty, "compiled anew");
}

#[tokio::test]
async fn compiled_code_of_another_host_is_not_loaded() {
    let house = House::new().await;
    let file = cache_file(&house);
    let theirs = fs::read(&file).unwrap();
    let elsewhere = house.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let master = MasterKey::create_file(&elsewhere.join("master.key")).unwrap();
    let keyring = Arc::new(Keyring::open(&elsewhere.join("keys"), master).unwrap());
    house.restarted(keyring).install(faulty()).await.unwrap();
    assert_ne!(fs::read(&file).unwrap()[..33], theirs[..33]);
}
