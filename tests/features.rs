//! `docs/features.md` says which tests show a feature, and the contract with plugins says what they are handed: both checked.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails fast")]

use std::collections::BTreeSet;
use std::path::Path;

/// Words that a name in the contract would have if a plugin were handed what names a person for all purposes, lets
/// somebody in, or was heard or seen in a call.
const KEPT_FROM_PLUGINS: &[&str] = &[
    "personal",
    "ssn",
    "login",
    "email",
    "phone",
    "birth",
    "password",
    "secret",
    "credential",
    "cookie",
    "bearer",
    "jwt",
    "audio",
    "video",
    "rtp",
    "srtp",
    "pcm",
    "address",
    "ip",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_feature_names_tests_that_are_there() {
    let table = read("docs/features.md");
    let mut numbers = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| F")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, what, tests] = cells.try_into().unwrap_or_else(|_| panic!("{row}"));
        assert!(numbers.insert(number), "{number} stands there twice");
        assert!(!what.is_empty(), "{number} says nothing");
        for test in tests.split("; ") {
            let named = test
                .strip_prefix('`')
                .and_then(|test| test.split_once("` "));
            let (path, name) = named.unwrap_or_else(|| panic!("{number}: {test}"));
            assert!(
                read(path).contains(name),
                "{number} names {name}, which is not in {path}"
            );
        }
    }
    assert!(numbers.len() > 30, "the table was read");
}

/// The names in a WIT file, taken apart at their hyphens; comments are no names.
fn words(wit: &str) -> BTreeSet<String> {
    wit.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()))
        .map(str::to_ascii_lowercase)
        .collect()
}

#[test]
fn no_plugin_is_handed_what_names_a_person_or_lets_one_in() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("wit/deps"))
        .unwrap()
        .flatten()
    {
        let wit = std::fs::read_to_string(entry.path()).unwrap();
        seen += 1;
        let words = words(&wit);
        for kept in KEPT_FROM_PLUGINS {
            let file = entry.file_name();
            assert!(!words.contains(*kept), "{file:?} has the word {kept}");
        }
    }
    assert!(seen > 10, "the contract was read");
    assert!(words("record a { e-mail-address: string, // no phone\n}").contains("address"));
}
