//! Components of older contracts are served beside those of the present one.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use std::path::Path;

use serde_json::json;
use support::{ACME, House, former, user};
use vaxel_core::Reason;
use vaxel_runtime::PackageFiles;

fn frozen_contracts() -> Vec<String> {
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/frozen");
    let entries = std::fs::read_dir(frozen).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// Whether each package that the component was built against is the one of today.
fn is_of_the_present(files: &PackageFiles) -> bool {
    let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/deps");
    let manifest: toml::Table = files.manifest.parse().unwrap();
    let built_against = manifest["wit"].as_table().unwrap();
    built_against.iter().all(|(package, version)| {
        let present = std::fs::read_to_string(deps.join(format!("{package}.wit"))).unwrap();
        let version = version.as_str().unwrap();
        present.contains(&format!("package vaxel:{package}@{version};"))
    })
}

#[tokio::test]
async fn a_component_of_each_frozen_contract_runs_beside_the_present_one() {
    let house = House::new().await;
    let contracts = frozen_contracts();
    assert!(!contracts.is_empty());
    for contract in contracts {
        let files = former(&contract);
        assert!(
            !files.component.is_empty() && !is_of_the_present(&files),
            "contract {contract}"
        );
        house.with_on(files).await;
        for text in ["one", "two"] {
            let kept = house.call_of("former", "keep", json!({ "text": text }));
            assert_eq!(kept.await.unwrap(), json!({ "at": house.cx(ACME).now }));
            // Of the present contract, in the same host.
            let counted = house.call(ACME, "counter", json!({ "key": "k" }));
            counted.await.unwrap();
        }
        assert_eq!(
            house.call_of("former", "recall", json!({})).await.unwrap(),
            json!({ "count": 2, "all": 2, "last": { "text": "two" }, "may": true })
        );
        assert_eq!(house.storage.audiences_of(ACME, user(1)).unwrap().len(), 1);
        let refused = house
            .call_of("former", "fail", json!({}))
            .await
            .unwrap_err();
        assert_eq!(
            (
                refused.reason,
                refused.code.as_ref(),
                refused.retry_after_ms
            ),
            (Reason::Refused, "former-refuses", Some(7))
        );
    }
    let counted = house.call(ACME, "read", json!({ "key": "k" })).await;
    assert_eq!(counted.unwrap(), json!({ "value": 2 }));
}
