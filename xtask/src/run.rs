//! `cargo xtask run`: from a bare machine to a server with demo data.

use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{announce, cargo, command, root, run as run_command};
use crate::{doubles, guests, web};

pub(crate) const HELP: &str = "\
cargo xtask run [-- FLAGS]

Sets up what is missing, builds the plugins, the web client and the server (release), and starts
the server with demo data. Ctrl-C stops it. Flags:

  --data DIR         where the data lies (default: data/demo)
  --fresh            throws away the demo in the data directory and begins anew
  --http-port N      the loopback listener without TLS (default: 8080)
  --https-port N     the TLS listener (default: 8443)
  --admin-port N     health and metrics, on loopback (default: 9090)
  --lan              reachable from other machines: HTTPS only, random passwords
  --with-doubles     also starts a stand-in for BankID with a phone as a page, and a survey that asks for it

Further flags of `vaxel serve`: --config FILE, --dev, --plugins DIR, --log-format FORMAT, --json.";

/// What else `vaxel serve` takes: known here so that a mistyped flag is told before minutes of building.
const SERVER_FLAGS: &[(&str, bool)] = &[
    ("--http-port", true),
    ("--https-port", true),
    ("--admin-port", true),
    ("--config", true),
    ("--plugins", true),
    ("--log-format", true),
    ("--lan", false),
    ("--dev", false),
    ("--json", false),
];

/// Where the demo lies unless told otherwise.
const DATA: &str = "data/demo";

/// What `vaxel serve --demo` puts into a directory that it made.
const DEMO_MARK: &str = "DEMO";

pub(crate) fn run(args: &[String]) -> Result<()> {
    let flags = Flags::read(args)?;
    if flags.fresh {
        throw_away(&root().join(&flags.data))?;
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
    server
        .args(["serve", "--demo", "--data"])
        .arg(&flags.data)
        .args(&flags.others);
    if flags.with_doubles {
        server.arg("--config").arg(doubles::start(&flags.others)?);
    }
    // The server takes this process over, so that Ctrl-C and SIGTERM reach it and nobody between.
    Err(server.exec()).context("starting the server")
}

/// The flags that we act on ourselves, and those that are the server's.
#[derive(Debug, PartialEq, Eq)]
struct Flags {
    data: PathBuf,
    fresh: bool,
    with_doubles: bool,
    others: Vec<String>,
}

impl Flags {
    fn read(args: &[String]) -> Result<Self> {
        let mut flags = Self {
            data: PathBuf::from(DATA),
            fresh: false,
            with_doubles: false,
            others: Vec::new(),
        };
        let mut words = args.iter().filter(|arg| *arg != "--");
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fresh" => flags.fresh = true,
                "--with-doubles" => flags.with_doubles = true,
                "--data" => match words.next() {
                    Some(dir) => flags.data = PathBuf::from(dir),
                    None => bail!("--data wants a directory"),
                },
                other => match other.strip_prefix("--data=") {
                    Some(dir) => flags.data = PathBuf::from(dir),
                    None => {
                        let name = other.split('=').next().unwrap_or(other);
                        let Some((_, wants_value)) =
                            SERVER_FLAGS.iter().find(|(flag, _)| *flag == name)
                        else {
                            bail!("there is no flag {other}\n\n{HELP}");
                        };
                        flags.others.push(other.to_owned());
                        if *wants_value && name == other {
                            match words.next() {
                                Some(value) => flags.others.push(value.clone()),
                                None => bail!("{name} wants a value"),
                            }
                        }
                    }
                },
            }
        }
        Ok(flags)
    }
}

/// Removes a directory that the demo made, and no other.
fn throw_away(data: &Path) -> Result<()> {
    if !data.exists() {
        return Ok(());
    }
    if !data.join(DEMO_MARK).is_file() {
        let empty = std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_none());
        if empty {
            return Ok(());
        }
        bail!(
            "{} was not made by the demo, so --fresh leaves it alone; name another directory with --data",
            data.display()
        );
    }
    if UnixStream::connect(data.join("admin.sock")).is_ok() {
        bail!("a server is running on {}; stop it first", data.display());
    }
    println!("--fresh: throwing away the demo in {}", data.display());
    std::fs::remove_dir_all(data).with_context(|| format!("removing {}", data.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(words: &[&str]) -> Result<Flags> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Flags::read(&words)
    }

    #[test]
    fn our_own_flags_do_not_reach_the_server() {
        let flags = read(&[
            "--",
            "--fresh",
            "--with-doubles",
            "--http-port",
            "0",
            "--lan",
        ]);
        let expected = Flags {
            data: PathBuf::from(DATA),
            fresh: true,
            with_doubles: true,
            others: ["--http-port", "0", "--lan"].map(str::to_owned).to_vec(),
        };
        assert_eq!(flags.ok(), Some(expected));
        for words in [&["--data", "x"][..], &["--data=x"]] {
            let flags = read(words).ok();
            let data = flags.as_ref().map(|flags| flags.data.as_path());
            assert_eq!(data, Some(Path::new("x")));
            assert!(flags.is_some_and(|flags| flags.others.is_empty()));
        }
        assert!(read(&["--data"]).is_err());
        assert!(read(&["--http-port"]).is_err());
        assert!(read(&["--admin-port=0", "--config", "x.toml"]).is_ok());
        for mistyped in ["--fersh", "--https-prot", "fresh"] {
            let refused = read(&[mistyped]).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|text| text.contains(mistyped)));
        }
    }

    #[test]
    fn fresh_removes_what_the_demo_made_and_nothing_else() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("vaxel-fresh-{}", std::process::id()));
        let (demo, other, empty) = (
            folder.join("demo"),
            folder.join("other"),
            folder.join("empty"),
        );
        for dir in [&demo, &other, &empty] {
            fs::create_dir_all(dir)?;
        }
        fs::write(demo.join(DEMO_MARK), "")?;
        fs::write(other.join("letters"), "dear")?;
        throw_away(&demo)?;
        throw_away(&empty)?;
        throw_away(&folder.join("not-there"))?;
        let refused = throw_away(&other);
        assert!(refused.is_err_and(|error| error.to_string().contains("--fresh leaves it alone")));
        assert!(!demo.exists());
        assert!(other.join("letters").exists());
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
