//! A demo server for suites: on free ports, in a directory of its own, ended when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::shell::{cargo, command, output, root, run};

/// Debug builds on a loaded machine need their time; a release build is ready in a second.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Draining is bounded by the server; this is for a server that hangs.
const STOP_LIMIT: Duration = Duration::from_secs(20);

const DEMO_PASSWORD: &str = "one-two-buckle-my-shoe";

/// Suites call far faster than a person, and would otherwise only ever meet the rate limits.
const UNLIMITED: &str = "[limits]\n\
    user_per_s = 1000000\nuser_burst = 1000000\n\
    tenant_per_s = 1000000\ntenant_burst = 1000000\n\
    address_per_s = 1000000\naddress_burst = 1000000\n";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Builds the server and answers where the binary stands.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let mut build = cargo();
    build.arg("build");
    let folder = match profile {
        // The whole workspace and one test, so that dependencies get the features that the tests give them and are not
        // compiled twice.
        Profile::Dev => {
            build.args(["--workspace", "--test", "features"]);
            for bin in ["vaxel", "outside", "bankid-standin"] {
                build.args(["--bin", bin]);
            }
            "debug"
        }
        Profile::Release => {
            build.args(["--release", "--package", "vaxel-server"]);
            "release"
        }
    };
    run(&mut build)?;
    Ok(root().join("target").join(folder).join("vaxel"))
}

pub(crate) struct Server {
    child: Child,
    urls: Vec<String>,
    log: PathBuf,
}

impl Server {
    /// Starts a demo server over `data`, whose log goes to a file beside it.
    pub(crate) fn start(binary: &Path, data: &Path) -> Result<Self> {
        std::fs::create_dir_all(data.parent().unwrap_or(data)).context("making a data folder")?;
        if data.exists() {
            std::fs::remove_dir_all(data).context("clearing the data folder")?;
        }
        let log = data.with_extension("log");
        // Not `NAME.toml`: a suite may take that for its own configuration.
        let config = data.with_extension("config.toml");
        std::fs::write(&config, UNLIMITED).context("writing the configuration")?;
        let stderr = std::fs::File::create(&log).context("making the server's log")?;
        let mut server = Command::new(binary);
        server
            .args(["serve", "--demo", "--http-port", "0", "--https-port", "0"])
            .args(["--admin-port", "0", "--data"])
            .arg(data)
            .arg("--config")
            .arg(&config)
            .env("VAXEL_DEMO_PASSWORD", DEMO_PASSWORD)
            .current_dir(root());
        Self::spawn(server, stderr, log, 3)
    }

    /// Starts any program that prints `ready <url>` lines and waits for `listeners` of them.
    pub(crate) fn spawn(
        mut server: Command,
        stderr: std::fs::File,
        log: PathBuf,
        listeners: usize,
    ) -> Result<Self> {
        let mut child = server
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("starting the server")?;
        let stdout = child.stdout.take().context("taking the server's stdout")?;
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    // Nobody waits any more; reading on keeps the server's stdout open.
                }
            }
        });
        let mut started = Self {
            child,
            urls: Vec::new(),
            log,
        };
        let deadline = Instant::now() + READY_LIMIT;
        while started.urls.len() < listeners {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match lines.recv_timeout(left) {
                Ok(line) => line,
                Err(_) => bail!(
                    "the server was not ready; its log ends with:\n{}",
                    started.log_tail()
                ),
            };
            if let Some(url) = line.strip_prefix("ready ") {
                started.urls.push(url.trim().to_owned());
            }
        }
        Ok(started)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port of the listener whose line begins with `scheme` ("admin http" for the admin's).
    pub(crate) fn port(&self, scheme: &str) -> Result<u16> {
        let url = self
            .urls
            .iter()
            .find(|url| url.starts_with(&format!("{scheme}://")))
            .with_context(|| format!("the server has no {scheme} listener"))?;
        url.trim_end_matches('/')
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .with_context(|| format!("no port in {url}"))
    }

    /// Signs in as a person of the demo tenant `acme` and answers the access token.
    pub(crate) fn login(&self, login: &str) -> Result<String> {
        let body = json!({"login": login, "password": DEMO_PASSWORD});
        let answer = self.request("POST", "/api/v1/session/login", None, Some(&body))?;
        answer
            .get("access_token")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("the login answered no access token")
    }

    /// One request at `acme.localhost` over the plain listener; the answer must be 2xx JSON.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value> {
        let port = self.port("http")?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let authorization = token
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: acme.localhost:{port}\r\n\
             Origin: http://acme.localhost:{port}\r\nContent-Type: application/json\r\n\
             {authorization}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connecting")?;
        stream.write_all(request.as_bytes()).context("sending")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("reading")?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.lines().next().unwrap_or_default();
        if !status
            .split(' ')
            .nth(1)
            .is_some_and(|code| code.starts_with('2'))
        {
            bail!("{method} {path} answered {status}: {body}");
        }
        serde_json::from_str(body).with_context(|| format!("{method} {path} answered no JSON"))
    }

    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(30);
        lines.get(from..).unwrap_or_default().join("\n")
    }

    /// Asks the server to stop and waits; an exit other than zero is an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        terminate(self.pid())?;
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                if status.success() {
                    return Ok(());
                }
                bail!("the server ended with {status}:\n{}", self.log_tail());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server did not stop within {STOP_LIMIT:?}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn terminate(pid: u32) -> Result<()> {
    output(command("kill").args(["-TERM", &pid.to_string()])).map(drop)
}
