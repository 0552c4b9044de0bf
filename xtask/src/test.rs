//! `cargo xtask test`: every test of ours, in groups.

use anyhow::{Result, bail};

use crate::groups::{Group, Tally, run_groups};
use crate::server::{self, Profile};
use crate::shell::{cargo, command, root, run as run_command, run_reading};
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
    run_reading(
        cargo().args([
            "test",
            "--workspace",
            "--exclude",
            "vaxel-tests",
            "--no-fail-fast",
        ]),
        |line| tally.read(line),
    )
}

fn architecture(tally: &mut Tally) -> Result<()> {
    run_reading(
        cargo().args([
            "test",
            "--package",
            "vaxel-tests",
            "--test",
            "architecture",
            "--test",
            "features",
        ]),
        |line| tally.read(line),
    )
}

fn e2e(tally: &mut Tally) -> Result<()> {
    let needed = [packages::CLOCK, packages::DIRECTORY];
    packages::ensure(&needed, "the end-to-end test")?;
    guests::stage_all()?;
    web::stage()?;
    server::build(Profile::Dev)?;
    let mut test = cargo();
    test.args([
        "test",
        "--package",
        "vaxel-tests",
        "--no-fail-fast",
        "--lib",
    ]);
    for name in e2e_tests()? {
        test.args(["--test", &name]);
    }
    run_reading(&mut test, |line| tally.read(line))
}

/// The files of tests/e2e, each of which is a test binary.
fn e2e_tests() -> Result<Vec<String>> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("tests/e2e"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    Ok(names)
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
