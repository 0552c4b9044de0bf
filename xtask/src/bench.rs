//! `cargo xtask bench`: measurements, each beside its floor in the same run.

use anyhow::{Context, Result, bail};

use crate::server::{self, Profile};
use crate::shell::{announce, cargo, command, root, run as run_command};
use crate::test::BROWSER_FOLDER;
use crate::{guests, packages, web};

pub(crate) const HELP: &str = "\
cargo xtask bench [NAME]

Builds in release and prints `name value unit` lines, floors and peers among them:

  storage    durable commits at 1, 16 and 128 writers, beside raw append and fdatasync
  call       a plugin call with three storage calls, beside bare wasmtime
  resident   what installed plugins and running calls take, and the start from compiled code
  isolation  another organization's calls while a plugin breaks in every way, and what guards a call costs
  seal       sealing 300 bytes and 1 KiB
  chat       messages over HTTP at 1, 16 and 128 senders, with one reader
  fanout     stored messages to 200 and 1,000 TLS sockets, beside raw writes
  memory     one idle TLS WebSocket, of 5,000
  start      start to ready with 100,000 messages stored
  client     what interactions cost in Chromium with 10,000 messages in memory

Without a name: all, in this order.";

struct Bench {
    name: &'static str,
    run: fn() -> Result<()>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "storage",
        run: || example("vaxel-storage", "commit_bench"),
    },
    Bench {
        name: "call",
        run: || example("vaxel-runtime", "call_bench"),
    },
    Bench {
        name: "resident",
        run: || example("vaxel-runtime", "resident_bench"),
    },
    Bench {
        name: "isolation",
        run: || example("vaxel-gateway", "isolation_bench"),
    },
    Bench {
        name: "seal",
        run: || example("vaxel-crypto", "seal_bench"),
    },
    Bench {
        name: "chat",
        run: || load("chat"),
    },
    Bench {
        name: "fanout",
        run: || load("fanout"),
    },
    Bench {
        name: "memory",
        run: || load("memory"),
    },
    Bench {
        name: "start",
        run: || load("start"),
    },
    Bench {
        name: "client",
        run: client,
    },
];

pub(crate) fn run(args: &[String]) -> Result<()> {
    let only = args.iter().find(|arg| *arg != "--");
    let chosen: Vec<&Bench> = BENCHES
        .iter()
        .filter(|bench| only.is_none_or(|only| bench.name == only))
        .collect();
    if chosen.is_empty() {
        bail!("there is no such bench; see --help");
    }
    let mut broken = Vec::new();
    for (index, bench) in chosen.iter().enumerate() {
        announce(index + 1, chosen.len(), bench.name);
        if let Err(error) = (bench.run)() {
            println!("    FAILED {}: {error:#}", bench.name);
            broken.push(bench.name);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", broken.join(", "))
}

fn example(package: &str, name: &str) -> Result<()> {
    guests::stage_all()?;
    run_command(cargo().args([
        "run",
        "--quiet",
        "--release",
        "--package",
        package,
        "--example",
        name,
    ]))
}

/// Runs one scenario of the load tool, which starts the release server that stands beside it.
fn load(scenario: &str) -> Result<()> {
    guests::stage_all()?;
    web::stage()?;
    server::build(Profile::Release)?;
    run_command(cargo().args(["build", "--quiet", "--release", "--package", "vaxel-load"]))?;
    let data = root().join("target/bench").join(scenario);
    if data.exists() {
        std::fs::remove_dir_all(&data).context("clearing the bench's data")?;
    }
    std::fs::create_dir_all(&data).context("making the bench's data folder")?;
    // Thousands of sockets need more open files than a shell usually allows.
    run_command(
        command("sh")
            .args(["-c", "ulimit -n \"$(ulimit -Hn)\" && exec \"$@\"", "sh"])
            .arg(root().join("target/release/vaxel-load"))
            .arg(scenario)
            .arg(&data),
    )
}

/// The release server's client in a real browser.
fn client() -> Result<()> {
    packages::ensure(&[packages::BROWSER], "the bench of the client")?;
    guests::stage_all()?;
    web::stage()?;
    web::install(BROWSER_FOLDER)?;
    let binary = server::build(Profile::Release)?;
    run_command(
        command("node")
            .arg("client.bench.js")
            .current_dir(root().join(BROWSER_FOLDER))
            .env("VAXEL_BINARY", binary),
    )
}
