//! `cargo xtask run`: from a bare machine to a server with demo data.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::shell::{announce, cargo, command, root, run as run_command};
use crate::{guests, web};

pub(crate) const HELP: &str = "\
cargo xtask run [-- FLAGS]

Sets up what is missing, builds the plugins, the web client and the server (release), and starts
the server with demo data. Ctrl-C stops it. Flags go to `vaxel serve --demo`:

  --data DIR         where the data lies (default: data/demo)
  --fresh            begins with an empty data directory
  --http-port N      the loopback listener without TLS (default: 8080)
  --https-port N     the TLS listener (default: 8443)
  --lan              reachable from other machines: HTTPS only, random passwords
  --with-doubles     also starts stand-ins of outside parties";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut flags: Vec<String> = args.iter().filter(|arg| *arg != "--").cloned().collect();
    let names_data = flags
        .iter()
        .any(|flag| flag == "--data" || flag.starts_with("--data="));
    if !names_data {
        flags.extend(["--data".to_owned(), "data/demo".to_owned()]);
    }
    let steps = 4;
    announce(1, steps, "Plugins");
    guests::stage_all()?;
    announce(2, steps, "Web client");
    web::stage()?;
    announce(
        3,
        steps,
        "Server (release build; the first takes some minutes)",
    );
    run_command(cargo().args(["build", "--release", "--package", "vaxel-server"]))?;
    announce(4, steps, "Start");
    let mut server = command(root().join("target/release/vaxel"));
    server.args(["serve", "--demo"]).args(&flags);
    // The server takes this process over, so that Ctrl-C and SIGTERM reach it and nobody between.
    Err(server.exec()).context("starting the server")
}
