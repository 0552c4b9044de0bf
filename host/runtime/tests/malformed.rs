//! Components that nobody wrote: made by a generator, or changed byte by byte. Each is refused by a typed error, or runs
//! and harms nobody.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use crate::support;

use arbitrary::Unstructured;
use serde_json::json;
use support::{ACME, House, faulty, former};
use vaxel_core::Reason;
use vaxel_runtime::{PackageFiles, RuntimeError};
use wasm_smith::{Component, Config, Module};

/// How many seeds each series has, always the same ones.
const SEEDS: u64 = 150;

/// What a generator makes its choices from: xorshift of a seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..len).map(|_| step().to_be_bytes()[0]).collect()
}

/// Whether it was refused as the package's own fault, by an error that a caller may read.
#[track_caller]
fn is_refusal(seed: u64, error: &RuntimeError) {
    let is_its_own = matches!(
        error,
        RuntimeError::Component { .. } | RuntimeError::NotAskedFor { .. }
    );
    assert!(is_its_own, "seed {seed}: {error:?}");
    assert_eq!(error.problem().reason, Reason::Invalid, "seed {seed}");
}

#[tokio::test]
async fn generated_components_and_modules_are_refused_by_a_typed_error() {
    let house = House::new().await;
    let manifest = former("1").manifest;
    let mut components = 0;
    for seed in 0..SEEDS {
        let choices = noise(seed, 4_096);
        let mut choices = Unstructured::new(&choices);
        let component = if seed % 3 == 0 {
            Module::new(Config::default(), &mut choices).map(|module| module.to_bytes())
        } else {
            components += 1;
            Component::new(Config::default(), &mut choices).map(|component| component.to_bytes())
        };
        let Ok(component) = component else { continue };
        let package = PackageFiles {
            manifest: manifest.clone(),
            component,
        };
        is_refusal(seed, &house.runtime.install(package).await.unwrap_err());
    }
    assert_eq!(components, SEEDS - SEEDS.div_ceil(3));
    house.call(ACME, "ok", json!({})).await.unwrap();
}

#[tokio::test]
async fn components_with_changed_bytes_are_refused_or_run_and_harm_nobody() {
    let house = House::with(|config| {
        config.limits.cpu_ms = 50;
        config.limits.work_cpu_ms = 50;
    })
    .await;
    let PackageFiles {
        manifest,
        component: good,
    } = former("1");
    let (mut refused, mut ran) = (0, 0);
    for seed in 0..SEEDS {
        let mut component = good.clone();
        let choices = noise(seed, 64);
        // One to three bytes, or the rest cut off.
        for at in choices.chunks(5).take(1 + usize::from(choices[63] % 3)) {
            let [a, b, c, value, _] = at else { continue };
            let at = usize::from_be_bytes([0, 0, 0, 0, 0, *a, *b, *c]) % component.len();
            component[at] = *value;
        }
        if seed % 10 == 0 {
            component.truncate(good.len() / 150 * usize::try_from(seed).unwrap());
        }
        let package = PackageFiles {
            manifest: manifest.clone(),
            component,
        };
        match house.runtime.install(package).await {
            Err(error) => {
                assert!(
                    matches!(
                        error.problem().reason,
                        Reason::Invalid | Reason::Unavailable
                    ),
                    "seed {seed}: {error:?}"
                );
                refused += 1;
            }
            Ok(plugin) => {
                house
                    .runtime
                    .enable(&house.cx(ACME), &plugin)
                    .await
                    .unwrap();
                for method in ["keep", "recall", "fail"] {
                    // Whatever it does: an answer that is JSON, or a problem.
                    let _ = house.call_of("former", method, json!({ "n": seed })).await;
                }
                ran += 1;
            }
        }
        house.call(ACME, "ok", json!({})).await.unwrap();
    }
    assert!(refused > 50 && ran > 5, "{refused} refused, {ran} ran");
    // What it should be is what it is again.
    house.runtime.install(former("1")).await.unwrap();
    house.runtime.install(faulty()).await.unwrap();
    house
        .call(ACME, "counter", json!({ "key": "k" }))
        .await
        .unwrap();
}
