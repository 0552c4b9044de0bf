//! The built `vaxel` binary, and one-shot commands of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The server as `cargo build --package vaxel-server` left it, in the profile of this test.
#[derive(Clone)]
pub struct Vaxel {
    path: PathBuf,
}

/// What a command printed.
pub struct Answer {
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Vaxel {
    /// Finds the binary that was built in the same profile as the running program.
    pub fn find() -> Self {
        let test = std::env::current_exe().expect("the path of this test");
        let beside = test.parent().expect("a program stands in a folder");
        // Tests stand in target/PROFILE/deps, the load tool in target/PROFILE.
        let folder = match beside.file_name() {
            Some(name) if name == "deps" => beside.parent().expect("target/PROFILE"),
            _ => beside,
        };
        let path = folder.join("vaxel");
        assert!(
            path.is_file(),
            "{} is missing: run `cargo xtask test --only e2e`, or \
             `cargo xtask build-plugins && cargo build --package vaxel-server` first",
            path.display()
        );
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a command to its end; `stdin` is what it reads.
    pub fn run(&self, args: &[&str], stdin: &str) -> Answer {
        let mut child = Command::new(&self.path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting vaxel");
        // A command that reads nothing may have closed its stdin already.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(stdin.as_bytes());
        child.wait_with_output().expect("waiting for vaxel").into()
    }

    /// Runs a command that must succeed.
    pub fn expect(&self, args: &[&str], stdin: &str) -> Answer {
        self.run(args, stdin).must_be_well(args)
    }
}

impl Answer {
    pub(crate) fn must_be_well(self, args: &[&str]) -> Self {
        assert!(
            self.ok,
            "`vaxel {}` failed:\n{}{}",
            args.join(" "),
            self.stdout,
            self.stderr
        );
        self
    }

    /// The answer of a command given `--json`.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON in: {}", self.stdout))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
