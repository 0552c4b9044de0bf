//! The partner guide, followed to the letter: every command of docs/partners/first-plugin.md, in its order, in an empty
//! folder, with nothing but the built binary and cargo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails fast"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vaxel_tests::Vaxel;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines of the guide's blocks of commands.
fn commands(guide: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for block in guide.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap();
        commands.extend(block.lines().map(str::to_owned));
    }
    commands
}

/// A shell's part in it: `cd`, and the binary by its name.
struct Author {
    place: PathBuf,
    binary: PathBuf,
    target: PathBuf,
}

impl Author {
    fn runs(&mut self, line: &str) -> (bool, String) {
        let mut words = line.split_whitespace();
        let program = words.next().unwrap();
        if program == "cd" {
            self.place.push(words.next().unwrap());
            return (self.place.is_dir(), String::new());
        }
        let program = match program {
            "vaxel" => self.binary.as_os_str(),
            other => other.as_ref(),
        };
        let ran = Command::new(program)
            .args(words)
            .current_dir(&self.place)
            // The standard library for guests is built once for all of them.
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .unwrap();
        let text = [ran.stdout, ran.stderr].concat();
        (
            ran.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    fn does(&mut self, line: &str) -> String {
        let (ok, text) = self.runs(line);
        assert!(ok, "{line}\n{text}");
        text
    }

    fn changes(&self, file: &str, was: &str, becomes: &str) {
        let path = self.place.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(was), "{file}");
        fs::write(path, text.replace(was, becomes)).unwrap();
    }
}

#[test]
fn the_guide_leads_from_an_empty_folder_to_a_signed_package() {
    let folder = tempfile::tempdir().unwrap();
    let mut author = Author {
        place: folder.path().to_owned(),
        binary: fs::canonicalize(Vaxel::find().path()).unwrap(),
        target: fs::canonicalize(root().join("target"))
            .unwrap()
            .join("guests"),
    };
    let guide = fs::read_to_string(root().join("docs/partners/first-plugin.md")).unwrap();
    let commands = commands(&guide);
    assert!(commands.len() >= 8, "{commands:?}");
    let mut said = String::new();
    for line in &commands {
        said.push_str(&author.does(line));
    }
    assert!(said.contains("1 scenarios, 0 failed"), "{said}");
    assert!(said.contains("keeps the notes"), "{said}");
    assert!(author.place.join("notes.vxp").is_file());

    // What is not as a scenario expects is named with its place, and ends the command with a failure.
    author.changes(
        "scenarios/notes.toml",
        "items = [\"milk\"]",
        "items = [\"beer\"]",
    );
    let (ok, text) = author.runs("vaxel plugin test");
    assert!(!ok, "{text}");
    let fault = "step 3 (list): reply.items[0]: expected \"beer\", got \"milk\"";
    assert!(text.contains(fault), "{text}");

    // What is used and not asked for is refused, with the lines that are missing.
    author.changes("plugin.toml", "name = \"identity\"", "name = \"clock\"");
    let (ok, text) = author.runs("vaxel plugin build");
    assert!(!ok, "{text}");
    assert!(text.contains("name = \"identity\""), "{text}");

    // And nothing is written over.
    author.place.pop();
    let (ok, text) = author.runs("vaxel plugin new notes");
    assert!(!ok && text.contains("not empty"), "{text}");
}
