//! `cargo xtask test`: every test of ours, in groups.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::groups::{Group, Tally, run_groups};
use crate::server::{self, Profile};
use crate::shell::{cargo, command, output, root, run as run_command, run_reading};
use crate::{bindings, guests, packages, suites, web, wit_check};

pub(crate) const HELP: &str = "\
cargo xtask test [-- --only NAME]

Sets up what is missing and runs every test of ours. Groups, in order:

  setup          guest toolchain, Node.js packages, browser
  fmt            rustfmt
  clippy         lints of the workspace, warnings are errors
  plugins        the contract against frozen ones; builds plugins and test guests as components
  web            the client's type check, unit tests, build and budgets
  unit           unit and integration tests of every crate
  architecture   who may import whom, licences, libraries behind their doors, features and their tests
  e2e            the built server, driven from outside
  browser        two real browser pages, accessibility, screenshots, budgets
  schemathesis   the OpenAPI document, fuzzed against the running server

--only runs one group; groups that need the server build what they need.";

const GROUPS: &[Group] = &[
    Group {
        name: "setup",
        what: "what the other groups need",
        run: setup,
    },
    Group {
        name: "fmt",
        what: "formatting",
        run: fmt,
    },
    Group {
        name: "clippy",
        what: "lints",
        run: clippy,
    },
    Group {
        name: "plugins",
        what: "guests as components",
        run: plugins,
    },
    Group {
        name: "web",
        what: "the web client",
        run: client,
    },
    Group {
        name: "unit",
        what: "unit and integration tests",
        run: unit,
    },
    Group {
        name: "architecture",
        what: "the map, checked",
        run: architecture,
    },
    Group {
        name: "e2e",
        what: "end to end",
        run: e2e,
    },
    Group {
        name: "browser",
        what: "real browser pages",
        run: browser,
    },
    Group {
        name: "schemathesis",
        what: "the API, fuzzed",
        run: suites::schemathesis,
    },
];

const ARCHITECTURE: [&str; 2] = ["architecture", "features"];

const E2E: &str = "e2e";

pub(crate) const BROWSER_FOLDER: &str = "tests/web";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut words = args.iter().filter(|arg| *arg != "--");
    let only = match words.next().map(String::as_str) {
        None => None,
        Some("--only") => match words.next() {
            Some(name) => Some(name.as_str()),
            None => bail!("--only wants the name of a group"),
        },
        Some(other) => match other.strip_prefix("--only=") {
            Some(name) => Some(name),
            None => bail!("`{other}` is not understood; see --help"),
        },
    };
    run_groups(GROUPS, only)
}

fn setup(_: &mut Tally) -> Result<()> {
    packages::setup_all()
}

fn fmt(_: &mut Tally) -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(_: &mut Tally) -> Result<()> {
    run_command(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn plugins(_: &mut Tally) -> Result<()> {
    wit_check::check()?;
    bindings::check()?;
    guests::stage_all()
}

fn client(tally: &mut Tally) -> Result<()> {
    web::install("sdk/client-js")?;
    web::script("sdk/client-js", "test", &mut |line| tally.read(line))?;
    web::install("sdk/web")?;
    web::script("sdk/web", "check", &mut |line| tally.read(line))?;
    web::stage()?;
    web::script("sdk/web", "budget", &mut |line| tally.read(line))
}

fn unit(tally: &mut Tally) -> Result<()> {
    guests::stage_all()?;
    web::stage()?;
    let mut test = cargo_test();
    test.args(["--lib", "--bins"]);
    for name in test_programs()? {
        if !ARCHITECTURE.contains(&name.as_str()) && name != E2E {
            test.args(["--test", &name]);
        }
    }
    run_reading(&mut test, |line| tally.read(line))?;
    run_reading(cargo_test().arg("--doc"), |line| tally.read(line))
}

fn architecture(tally: &mut Tally) -> Result<()> {
    let mut test = cargo_test();
    for name in ARCHITECTURE {
        test.args(["--test", name]);
    }
    run_reading(&mut test, |line| tally.read(line))
}

fn e2e(tally: &mut Tally) -> Result<()> {
    let needed = [packages::CLOCK, packages::DIRECTORY];
    packages::ensure(&needed, "the end-to-end test")?;
    guests::stage_all()?;
    web::stage()?;
    server::build(Profile::Dev)?;
    run_reading(cargo_test().args(["--test", E2E]), |line| tally.read(line))
}

/// Always of the whole workspace: any other choice gives dependencies other features, and compiles them once more.
fn cargo_test() -> Command {
    let mut test = cargo();
    test.args(["test", "--workspace", "--no-fail-fast"]);
    test
}

/// The names of the test programs that the workspace's packages have.
fn test_programs() -> Result<Vec<String>> {
    let metadata = output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo's metadata")?;
    let within = |value: &Value, name: &str| value.get(name)?.as_array().cloned();
    let packages = within(&metadata, "packages").context("no packages")?;
    let targets = packages
        .iter()
        .flat_map(|package| within(package, "targets"));
    let tests = targets.flatten().filter(|target| {
        within(target, "kind").is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"))
    });
    Ok(tests
        .filter_map(|target| Some(target.get("name")?.as_str()?.to_owned()))
        .collect())
}

fn browser(tally: &mut Tally) -> Result<()> {
    packages::ensure(&[packages::BROWSER], "the browser test")?;
    guests::stage_all()?;
    web::stage()?;
    web::install(BROWSER_FOLDER)?;
    let binary = server::build(Profile::Dev)?;
    run_reading(
        command("node")
            .args([
                "--test",
                "--test-concurrency=2",
                "--test-reporter=spec",
                ".",
            ])
            .current_dir(root().join(BROWSER_FOLDER))
            .env("VAXEL_BINARY", binary)
            .env("VAXEL_SCREENSHOTS", root().join("target/screenshots")),
        |line| tally.read(line),
    )
}
