//! Debian packages: named when missing, installed when we are root.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::shell::{announce, command, output, run, which};
use crate::{guests, web};

/// Real pages are opened in it.
pub(crate) const BROWSER: &str = "chromium";

/// End-to-end tests move the server's wall clock with it.
pub(crate) const CLOCK: &str = "libfaketime";

/// Let's Encrypt's test directory, and the name server that goes with it: end-to-end tests get certificates there.
pub(crate) const DIRECTORY: &str = "pebble";

/// Debian's index is fetched once per run, and only if something is missing.
static INDEX_FETCHED: AtomicBool = AtomicBool::new(false);

/// Makes sure that `packages` are there; `why` says what needs them.
pub(crate) fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let by_hand = format!("apt-get update && apt-get install --no-install-recommends {names}");
    if which("apt-get").is_none() {
        bail!("{why} needs {names}, and this machine has no apt-get to install it with");
    }
    if !is_root()? {
        bail!("{why} needs {names}; install it with: sudo sh -c '{by_hand}'");
    }
    println!("    {why} needs {names}: installing");
    if !INDEX_FETCHED.swap(true, Ordering::Relaxed) {
        run(command("apt-get").args(["update", "-qq"]))?;
    }
    run(command("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Everything that `run` and `test` need beside Rust.
pub(crate) fn setup_all() -> Result<()> {
    announce(1, 3, "Toolchain for guests");
    guests::Toolchain::find_or_install()?;
    announce(2, 3, "Node.js packages");
    web::install("sdk/web")?;
    announce(
        3,
        3,
        "Browser, a clock that tests can move, and a certificate directory",
    );
    ensure(&[BROWSER, CLOCK, DIRECTORY], "the test")
}

fn is_installed(package: &str) -> bool {
    output(command("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn is_root() -> Result<bool> {
    let status = fs::read_to_string(Path::new("/proc/self/status"))
        .context("reading our own user id from /proc")?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    Ok(effective == Some("0"))
}
