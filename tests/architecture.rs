//! The map in ARCHITECTURE.md, checked: who may import whom, which library lives behind which door.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails fast"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// Each host crate and the siblings it may name. Read top to bottom: no line names one below it.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("net", &["core"]),
    ("crypto", &["core"]),
    ("storage", &["core", "crypto"]),
    ("eid", &["core", "net", "crypto"]),
    ("identity", &["core", "net", "crypto", "storage", "eid"]),
    ("runtime", &["core", "crypto", "net", "storage", "identity"]),
    ("ops", &["core", "net", "storage"]),
    (
        "gateway",
        &[
            "core", "net", "crypto", "storage", "eid", "identity", "runtime", "ops",
        ],
    ),
    (
        "server",
        &[
            "core", "net", "crypto", "storage", "eid", "identity", "runtime", "ops", "gateway",
        ],
    ),
];

/// Outside host/: what each may name of ours.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("vaxel-plugin", &[]),
    ("vaxel-client", &[]),
    ("vaxel-tests", &["vaxel-client"]),
    ("vaxel-load", &["vaxel-client", "vaxel-tests"]),
    ("xtask", &[]),
];

/// Libraries kept behind one door (or two, where both sides of a wire need them). The load tool measures bare TLS and
/// HTTP as floors under ours; tests stand in for other companies' servers.
const KEPT_BY: &[(&str, &[&str])] = &[
    ("sled", &["vaxel-storage"]),
    ("wasmtime", &["vaxel-runtime"]),
    ("seccompiler", &["vaxel-runtime"]),
    ("flate2", &["vaxel-runtime"]),
    ("chacha20poly1305", &["vaxel-crypto"]),
    ("crypto-bigint", &["vaxel-crypto"]),
    ("argon2", &["vaxel-crypto"]),
    ("hkdf", &["vaxel-crypto"]),
    ("jsonwebtoken", &["vaxel-identity"]),
    ("instant-acme", &["vaxel-net"]),
    ("axum", &["vaxel-gateway"]),
    (
        "hyper",
        &["vaxel-net", "vaxel-gateway", "vaxel-client", "vaxel-load"],
    ),
    (
        "hyper-util",
        &["vaxel-net", "vaxel-gateway", "vaxel-client", "vaxel-load"],
    ),
    ("yawc", &["vaxel-gateway", "vaxel-client"]),
    ("rustls", &["vaxel-net", "vaxel-client", "vaxel-load"]),
    (
        "tokio-rustls",
        &["vaxel-net", "vaxel-client", "vaxel-load", "vaxel-tests"],
    ),
    ("rcgen", &["vaxel-net", "vaxel-load", "vaxel-tests"]),
    ("roxmltree", &["vaxel-eid"]),
    ("x509-ocsp", &["vaxel-eid"]),
    ("rustls-webpki", &["vaxel-eid"]),
    ("clap", &["vaxel-server"]),
];

/// A file that is longer tells two stories. Generated bindings are not told by us.
const FILE_LINES_MAX: usize = 800;

#[test]
fn host_crates_import_only_what_the_map_allows() {
    let graph = imports();
    for (folder, allowed) in MAY_IMPORT {
        let name = format!("vaxel-{folder}");
        let allowed: BTreeSet<String> = allowed.iter().map(|dep| format!("vaxel-{dep}")).collect();
        let extra: Vec<_> = graph[&name].ours.difference(&allowed).collect();
        assert!(
            extra.is_empty(),
            "host/{folder} now imports {extra:?}; if that is right, redraw ARCHITECTURE.md and this table"
        );
    }
}

#[test]
fn everything_outside_the_host_keeps_out_of_it() {
    let graph = imports();
    for (name, allowed) in OUTSIDE {
        let Some(package) = graph.get(*name) else {
            continue;
        };
        let extra: Vec<_> = package
            .ours
            .iter()
            .filter(|dep| !allowed.contains(&dep.as_str()))
            .collect();
        assert!(extra.is_empty(), "{name} now imports {extra:?}");
    }
    for (name, package) in &graph {
        if ["plugins", "sdk/templates", "tests/fixtures"]
            .iter()
            .any(|guests| package.folder.starts_with(guests))
        {
            let extra: Vec<_> = package
                .ours
                .iter()
                .filter(|dep| *dep != "vaxel-plugin")
                .collect();
            assert!(
                extra.is_empty(),
                "the guest {name} stands on the guest SDK only, not on {extra:?}"
            );
        }
    }
}

#[test]
fn every_crate_is_on_the_map() {
    for (name, package) in imports() {
        let folder = package.folder.to_string_lossy().into_owned();
        let known = MAY_IMPORT
            .iter()
            .any(|(host, _)| name == format!("vaxel-{host}"))
            || OUTSIDE.iter().any(|(outside, _)| name == *outside)
            || folder.starts_with("plugins/")
            || folder.starts_with("sdk/templates/")
            || folder.starts_with("tests/fixtures/");
        assert!(
            known,
            "{name} in {folder} stands on no map; add it to tests/architecture.rs"
        );
    }
}

#[test]
fn a_library_is_used_behind_its_own_door() {
    let graph = imports();
    for (library, keepers) in KEPT_BY {
        let users: Vec<_> = graph
            .iter()
            .filter(|(name, package)| {
                !keepers.contains(&name.as_str()) && package.foreign.contains(*library)
            })
            .map(|(name, _)| name)
            .collect();
        assert!(
            users.is_empty(),
            "{library} is kept by {keepers:?}; {users:?} should go through them"
        );
    }
}

#[test]
fn every_dependency_has_a_licence_we_may_use() {
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let Some(expression) = package["license"].as_str() else {
            assert!(
                package["license_file"].is_string(),
                "{name} says nothing of its licence"
            );
            continue;
        };
        assert!(
            is_allowed(expression),
            "{name} is licensed under {expression}"
        );
    }
}

#[test]
fn banned_libraries_do_not_come_in_through_others() {
    let used: BTreeSet<&str> = metadata()["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let banned = deny()["bans"]["deny"].as_array().unwrap();
    assert!(!banned.is_empty(), "deny.toml bans nothing");
    for ban in banned {
        let name = ban["name"].as_str().unwrap();
        let reason = ban["reason"].as_str().unwrap();
        assert!(!used.contains(name), "{name} came in; {reason}");
    }
}

#[test]
fn dependencies_come_from_the_registry_or_from_here() {
    for package in metadata()["packages"].as_array().unwrap() {
        if let Some(source) = package["source"].as_str() {
            assert!(
                source.starts_with("registry+"),
                "{} comes from {source}",
                package["name"]
            );
        }
    }
}

#[test]
fn the_host_knows_no_plugin_by_name() {
    let plugins: Vec<String> = std::fs::read_dir(root().join("plugins"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    for file in sources(&root().join("host")) {
        let text = product_code(&file);
        for plugin in &plugins {
            for naming in [
                format!("\"{plugin}\""),
                format!("\"{plugin}."),
                format!("plugins/{plugin}"),
            ] {
                assert!(
                    !text.contains(&naming),
                    "{} names the plugin `{plugin}`: the host knows none",
                    shown(&file)
                );
            }
        }
    }
}

#[test]
fn time_is_told_by_the_clock_alone() {
    for file in sources(&root().join("host")) {
        if file.ends_with("core/src/clock.rs") {
            continue;
        }
        let text = product_code(&file);
        for direct in [
            "SystemTime::now",
            "UNIX_EPOCH.elapsed",
            "Utc::now",
            "Timestamp::now",
        ] {
            assert!(
                !text.contains(direct),
                "{} asks {direct}; ask vaxel_core::Clock",
                shown(&file)
            );
        }
    }
}

#[test]
fn only_storage_says_how_a_key_is_laid_out_on_disk() {
    for file in sources(&root().join("host")) {
        let in_storage = file.starts_with(root().join("host/storage"));
        if !in_storage {
            assert!(
                !product_code(&file).contains("sled::"),
                "{} speaks to sled",
                shown(&file)
            );
        }
    }
}

#[test]
fn no_unsafe_without_a_page_of_reasons() {
    for file in sources(&root().join("host")) {
        let text = std::fs::read_to_string(&file).unwrap();
        if text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code") {
            assert!(
                text.contains("SAFETY:"),
                "{} has unsafe code without a SAFETY comment",
                shown(&file)
            );
        }
    }
}

#[test]
fn a_file_tells_one_story() {
    for folder in ["host", "sdk", "plugins", "tests", "xtask"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let generated =
                text.contains("@generated") || file.to_string_lossy().contains("/src/bindings/");
            if generated {
                continue;
            }
            let lines = text.lines().count();
            assert!(
                lines <= FILE_LINES_MAX,
                "{} has {lines} lines; its story has two halves",
                shown(&file)
            );
            assert!(
                text.starts_with("//!") || text.starts_with("#!["),
                "{} does not open with what it is",
                shown(&file)
            );
        }
    }
}

/// A crate's tests are one program, so a file that no other names would never run.
#[test]
fn every_test_file_is_run() {
    let mut programs = 0;
    for main in sources(root()) {
        let folder = main.parent().unwrap();
        if !main.ends_with("main.rs") || !(folder.ends_with("tests") || folder.ends_with("e2e")) {
            continue;
        }
        let files = sources(folder);
        let named: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let manifest = folder
            .ancestors()
            .find(|at| at.join("Cargo.toml").is_file());
        let manifest = std::fs::read_to_string(manifest.unwrap().join("Cargo.toml")).unwrap();
        if !manifest.contains("autotests = false") || !named.contains("\nmod ") {
            continue;
        }
        programs += 1;
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let Some(name) = name.strip_suffix(".rs").filter(|name| *name != "main") else {
                continue;
            };
            let is_run = named.contains(&format!("mod {name};"))
                || named.contains(&format!("mod r#{name};"))
                || manifest.contains(&format!("/{name}.rs\""));
            assert!(is_run, "nothing in {} names {name}", shown(folder));
        }
    }
    assert!(programs >= 5, "{programs} programs were looked at");
}

#[test]
fn files_name_no_machine() {
    let files = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(files.status.success(), "git lists what is tracked");
    // Put together here, so that this file does not name one itself.
    let telltales: Vec<String> = ["/home", "/root", "/work", "/Users"]
        .iter()
        .map(|folder| format!("{folder}/"))
        .collect();
    for name in files.stdout.split(|byte| *byte == 0) {
        let name = String::from_utf8_lossy(name).into_owned();
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else {
            continue;
        };
        for line in text.lines() {
            for telltale in &telltales {
                let named = line.match_indices(telltale.as_str()).any(|(at, _)| {
                    // Part of a longer path or address ("node_modules/x/work/") is no machine's.
                    let before = line[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && !"._-/}".contains(c))
                });
                assert!(!named, "{name} names a path of one machine: {line}");
            }
        }
    }
}

#[test]
fn every_document_that_is_linked_is_there() {
    let mut documents = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap().flatten() {
        let is_text = entry.path().extension().is_some_and(|end| end == "md");
        if is_text {
            documents.push(entry.path());
        }
    }
    for document in documents {
        let text = std::fs::read_to_string(&document)
            .unwrap_or_else(|error| panic!("{}: {error}", shown(&document)));
        let folder = document.parent().unwrap();
        for part in text.split("](").skip(1) {
            let link = part.split([')', '#']).next().unwrap();
            if link.is_empty() || link.contains("://") {
                continue;
            }
            assert!(
                folder.join(link).exists(),
                "{} links to {link}, which is not there",
                shown(&document)
            );
        }
    }
}

#[derive(Default)]
struct Imports {
    folder: PathBuf,
    ours: BTreeSet<String>,
    foreign: BTreeSet<String>,
}

/// Normal dependencies of each workspace member, by package name.
fn imports() -> BTreeMap<String, Imports> {
    let metadata = metadata();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let mut graph = BTreeMap::new();
    let packages = || metadata["packages"].as_array().unwrap().iter();
    let ours: BTreeSet<&str> = packages()
        .filter(|package| package["source"].is_null())
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    for package in packages().filter(|package| members.contains(package["id"].as_str().unwrap())) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        let mut imports = Imports {
            folder: manifest
                .parent()
                .unwrap()
                .strip_prefix(root())
                .unwrap()
                .to_path_buf(),
            ..Imports::default()
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            // Tests and build scripts may reach further than the product.
            if !dependency["kind"].is_null() {
                continue;
            }
            let name = dependency["name"].as_str().unwrap().to_owned();
            if ours.contains(name.as_str()) {
                imports.ours.insert(name);
            } else {
                imports.foreign.insert(name);
            }
        }
        graph.insert(package["name"].as_str().unwrap().to_owned(), imports);
    }
    graph
}

fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

/// Reads an SPDX expression of AND, OR and brackets; "/" is the old way to write OR.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = expression.trim();
    if let Some(inner) = enclosed(expression) {
        return is_allowed(inner);
    }
    if let Some(parts) = split(expression, " AND ") {
        return parts.iter().all(|part| is_allowed(part));
    }
    if let Some(parts) = split(expression, " OR ") {
        return parts.iter().any(|part| is_allowed(part));
    }
    let allowed = deny()["licenses"]["allow"].as_array().unwrap();
    allowed
        .iter()
        .any(|licence| licence.as_str() == Some(expression))
}

/// The lists of licences and of banned libraries.
fn deny() -> &'static toml::Table {
    static DENY: OnceLock<toml::Table> = OnceLock::new();
    DENY.get_or_init(|| {
        let text = std::fs::read_to_string(root().join("deny.toml")).unwrap();
        text.parse().unwrap()
    })
}

fn enclosed(expression: &str) -> Option<&str> {
    let inner = expression.strip_prefix('(')?.strip_suffix(')')?;
    let mut depth = 0_i32;
    for character in inner.chars() {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return None;
        }
    }
    Some(inner)
}

/// Splits at a word outside of brackets; None if it does not occur there.
fn split<'a>(expression: &'a str, word: &str) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, character) in expression.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= from && expression[at..].starts_with(word) => {
                parts.push(&expression[from..at]);
                from = at + word.len();
            }
            _ => {}
        }
    }
    if parts.is_empty() {
        return None;
    }
    parts.push(&expression[from..]);
    Some(parts)
}

/// A file's text without what only tests see, and without comments.
fn product_code(file: &Path) -> String {
    let in_tests = file.components().any(|part| {
        matches!(
            part.as_os_str().to_str(),
            Some("tests" | "examples" | "benches")
        )
    });
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if in_tests || stem.ends_with("tests") {
        return String::new();
    }
    without_tests(&std::fs::read_to_string(file).unwrap())
}

/// Leaves out each item under `#[cfg(test)]`, and no more: rustfmt ends an item at the column where it began.
fn without_tests(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut product = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let column = indent(line);
            for skipped in lines.by_ref() {
                let is_attribute = skipped.trim_start().starts_with("#[");
                let ends = skipped.ends_with(['}', ';', ',']);
                if indent(skipped) == column && !is_attribute && ends {
                    break;
                }
            }
        } else if !line.trim_start().starts_with("//") {
            product.push(line);
        }
    }
    product.join("\n")
}

#[test]
fn code_behind_a_test_only_item_is_looked_at() {
    let text = "\
use a;
#[cfg(test)]
use b::{
    c,
};

impl Edge {
    #[cfg(test)]
    pub(crate) fn for_test(
        one: u8,
    ) -> Self {
        Self {}
    }

    // A comment.
    fn product() {}
}

#[cfg(test)]
mod tests;

struct Config {
    #[cfg(test)]
    hook: u8,
    kept: u8,
}

#[cfg(test)]
#[allow(dead_code)]
mod more_tests {
    fn inner() {
        d();
    }
}
fn last() {}";
    let expected = "\
use a;

impl Edge {

    fn product() {}
}


struct Config {
    kept: u8,
}

fn last() {}";
    assert_eq!(without_tests(text), expected);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != "node_modules" {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root())
        .unwrap_or(file)
        .display()
        .to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn licence_expressions_are_read_as_they_are_meant() {
    for allowed in [
        "MIT",
        "MIT OR Apache-2.0",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
        "ISC AND (Apache-2.0 OR ISC)",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(GPL-3.0 OR AGPL-3.0) AND MIT",
        "",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}
