//! Packages come and go a thousand times, and nothing of them stays.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use support::{ACME, House, former};
use vaxel_core::{Alarms, Clock, PluginId, TenantId};
use vaxel_runtime::{File, Package, PackageFiles, Packages, PackagesConfig};

/// How often.
const TIMES: usize = 1_000;

/// Of those, how many may fill caches and pools before anything is counted.
const BEFORE_COUNTING: usize = 200;

/// What memory may grow by meanwhile: an instance or a page of an allocator, not eight hundred components of 45 KB, each
/// of which takes ten times as much once it is compiled.
const GROWTH_BYTES_MAX: u64 = 24 << 20;

/// What there is of plugins.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    package_files: usize,
    compiled_files: usize,
    installed: Vec<PluginId>,
    listed: usize,
    switches: usize,
    system_rows: u64,
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { 1 + files(&path) } else { 1 })
        .sum()
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn left(house: &House, packages: &Packages, dir: &Path) -> Left {
    Left {
        package_files: files(dir),
        compiled_files: files(&house.cache_dir()),
        installed: house.runtime.installed(),
        listed: packages.list().len(),
        switches: house.runtime.list(ACME).len(),
        system_rows: house.storage.usage(TenantId::SYSTEM),
    }
}

#[tokio::test]
async fn a_thousand_installations_and_removals_leave_nothing_behind() {
    let house = House::new().await;
    house.keyring.create_tenant(TenantId::SYSTEM).unwrap();
    let dir = house.dir.path().join("packages");
    let config = PackagesConfig {
        dir: dir.clone(),
        trust: house.dir.path().join("trust.toml"),
        allow_unsigned: true,
    };
    let packages = Packages::open(
        config,
        house.runtime.clone(),
        house.storage.clone(),
        Arc::clone(&house.clock) as Arc<dyn Clock>,
        Arc::clone(&house.alarms) as Arc<dyn Alarms>,
    )
    .await
    .unwrap();
    let PackageFiles {
        manifest,
        component,
    } = former("1");
    let file = |name: &str, content: &[u8]| File {
        name: name.to_owned(),
        content: content.to_vec(),
    };
    let package = Package::pack(vec![
        file("plugin.toml", manifest.as_bytes()),
        file("component.wasm", &component),
    ])
    .unwrap();
    let plugin: PluginId = "former".parse().unwrap();
    let mut before = None;
    for n in 0..TIMES {
        packages.install(package.clone(), false).await.unwrap();
        if n % 100 == 0 {
            // Used, too: what it stored stays, its code goes.
            house
                .runtime
                .enable(&house.cx(ACME), &plugin)
                .await
                .unwrap();
            house
                .call_of("former", "keep", json!({ "n": n }))
                .await
                .unwrap();
            house
                .runtime
                .disable(&house.cx(ACME), &plugin)
                .await
                .unwrap();
        }
        packages.remove(&plugin, true).await.unwrap();
        if n + 1 == BEFORE_COUNTING {
            let left = left(&house, &packages, &dir);
            before = Some((left, open_descriptors(), resident_bytes()));
        }
    }
    let (left_before, descriptors, resident) = before.unwrap();
    assert_eq!(left(&house, &packages, &dir), left_before);
    assert_eq!(open_descriptors(), descriptors);
    let grown = resident_bytes().saturating_sub(resident);
    println!(
        "{} KiB more after {} times",
        grown >> 10,
        TIMES - BEFORE_COUNTING
    );
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes");
}

#[tokio::test]
async fn compiled_code_of_what_was_removed_goes_in_the_end() {
    let house = House::new().await;
    house.keyring.create_tenant(TenantId::SYSTEM).unwrap();
    // As if many versions had come and gone.
    for n in 0..100 {
        fs::write(house.cache_dir().join(format!("{n:064x}-0.cwasm")), b"old").unwrap();
    }
    let in_use = 1;
    let config = PackagesConfig {
        dir: house.dir.path().join("packages"),
        trust: house.dir.path().join("trust.toml"),
        allow_unsigned: true,
    };
    Packages::open(
        config,
        house.runtime.clone(),
        house.storage.clone(),
        Arc::clone(&house.clock) as Arc<dyn Clock>,
        Arc::clone(&house.alarms) as Arc<dyn Alarms>,
    )
    .await
    .unwrap();
    assert_eq!(files(&house.cache_dir()), in_use + 16);
    let mut kept = fs::read_dir(house.cache_dir()).unwrap().flatten();
    assert!(
        kept.any(|file| file.metadata().unwrap().len() > 1_000),
        "what is used stays"
    );
}
