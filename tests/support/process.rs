//! A running server process: its listeners, its log, and its end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A debug build on a loaded machine; a test that waits longer is broken, not slow.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// The ports of one server, kept over restarts so that clients find it again.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) https: u16,
    pub(crate) admin: u16,
}

pub(crate) struct Running {
    child: Child,
    pub(crate) ports: Ports,
    pub(crate) stdout: Vec<String>,
    pub(crate) took: Duration,
}

impl Running {
    /// Starts `command` and waits until HTTPS and admin answer.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let began = Instant::now();
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("the server's log");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("starting vaxel serve");
        let stdout = child.stdout.take().expect("a pipe");
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // When nobody waits any more, reading on keeps the pipe from filling.
                let _ = send.send(line);
            }
        });
        let mut ports = Ports::default();
        let mut stdout = Vec::new();
        while ports.https == 0 || ports.admin == 0 {
            let left = READY_LIMIT.saturating_sub(began.elapsed());
            let Ok(line) = lines.recv_timeout(left) else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server was not ready:\n{}", tail(log));
            };
            if let Some(ready) = line.strip_prefix("ready ") {
                let port = ready
                    .trim_end_matches('/')
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse().ok())
                    .unwrap_or_else(|| panic!("no port in `{line}`"));
                match ready {
                    ready if ready.starts_with("admin ") => ports.admin = port,
                    ready if ready.starts_with("https://") => ports.https = port,
                    ready if ready.starts_with("http://") => ports.http = port,
                    _ => {}
                }
            }
            stdout.push(line);
        }
        Self {
            child,
            ports,
            stdout,
            took: began.elapsed(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye, no flush.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().expect("killing the server");
        self.child.wait().expect("waiting for the killed server");
    }

    /// SIGTERM, then the exit code.
    pub(crate) fn terminate(&mut self, limit: Duration) -> ExitStatus {
        let sent = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()
            .expect("sending SIGTERM");
        assert!(sent.success(), "the server was gone before it was stopped");
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waiting for the server") {
                return status;
            }
            assert!(
                began.elapsed() < limit,
                "the server did not stop in {limit:?}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The last lines of a log, for a failing test to show.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

pub(crate) fn find_file(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find_file(&path, name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    None
}
