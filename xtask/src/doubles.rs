//! `--with-doubles`: the tests' stand-in for BankID beside a demo, with a phone as a page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, command, root, run};

/// Where the stand-in's API and its phone are, beside the server's own ports.
const API_PORT: u16 = 8444;
const PHONE_PORT: u16 = 8445;

/// Making keys and certificates takes a moment.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Starts the stand-in, which ends with this process, and answers the configuration that makes a server know it.
pub(crate) fn start(flags: &[String]) -> Result<PathBuf> {
    let http = http_port(flags)?;
    run(cargo().args([
        "build",
        "--package",
        "vaxel-tests",
        "--bin",
        "bankid-standin",
    ]))?;
    let folder = root().join("target/doubles");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("clearing what an earlier stand-in left")?;
    }
    fs::create_dir_all(&folder).context("making the stand-in's folder")?;
    let mut standin = command(root().join("target/debug/bankid-standin"))
        .arg(&folder)
        .args([API_PORT.to_string(), PHONE_PORT.to_string()])
        .arg(format!("http://localhost:{http}"))
        .stdin(Stdio::null())
        .spawn()
        .context("starting the stand-in for BankID")?;
    let began = Instant::now();
    while !folder.join("ready").exists() {
        if let Some(status) = standin.try_wait().context("looking after the stand-in")? {
            bail!("the stand-in for BankID ended with {status}");
        }
        if began.elapsed() > READY_LIMIT {
            bail!("the stand-in for BankID does not get ready");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let config = folder.join("vaxel.toml");
    fs::write(&config, configuration(&folder)).context("writing the configuration")?;
    Ok(config)
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "[eid.bankid]\nurl = 'https://localhost:{API_PORT}/rp/v6.0'\n\
         api_root = '{folder}/api-root.pem'\nsignature_root = '{folder}/people-root.pem'\n"
    )
}

/// The demo's start page is on loopback, where its people sign in with one click.
fn http_port(flags: &[String]) -> Result<u16> {
    let mut port = "8080";
    let mut words = flags.iter();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("--http-port", value)) => port = value,
            None if word == "--http-port" => port = words.next().map_or("", String::as_str),
            _ if word == "--lan" || word.starts_with("--config") => {
                bail!(
                    "--with-doubles is for a demo on this machine alone, without --lan and --config"
                )
            }
            _ => {}
        }
    }
    match port.parse() {
        Ok(0) | Err(_) => bail!("--with-doubles needs to know the port: give --http-port a number"),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_finds_the_demo_or_says_what_is_wrong() {
        let port = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            http_port(&words).ok()
        };
        assert_eq!(port(&[]), Some(8080));
        assert_eq!(port(&["--dev", "--http-port", "9000"]), Some(9000));
        assert_eq!(port(&["--http-port=9001"]), Some(9001));
        for wrong in [
            &["--http-port", "0"][..],
            &["--lan"],
            &["--config", "x.toml"],
            &["--config=x.toml"],
        ] {
            assert_eq!(port(wrong), None, "{wrong:?}");
        }
    }
}
