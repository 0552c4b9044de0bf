//! The conformance cases that host and partners share: a folder each under tests/conformance, told by `vaxel plugin test`
//! against the plugin that the case names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails fast"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use vaxel_tests::Vaxel;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_case_comes_out_as_it_says() {
    let mut cases: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(root().join("tests/conformance")).unwrap() {
        let case = entry.unwrap().path();
        let plugin = fs::read_to_string(case.join("plugin")).unwrap();
        let file = case.join("scenario.toml").display().to_string();
        cases
            .entry(plugin.trim().to_owned())
            .or_default()
            .push(file);
    }
    assert!(cases.len() >= 2, "{cases:?}");
    let vaxel = Vaxel::find();
    for (plugin, mut files) in cases {
        files.sort();
        let dir = root().join("stage/fixtures").join(&plugin);
        let dir = dir.display().to_string();
        let mut words = vec!["plugin", "test", "--dir", &dir];
        words.extend(files.iter().map(String::as_str));
        let told = vaxel.run(&words, "");
        assert!(told.ok, "{plugin}\n{}\n{}", told.stdout, told.stderr);
        let all = format!("{} scenarios, 0 failed", files.len());
        assert!(told.stdout.contains(&all), "{}", told.stdout);
    }
}
