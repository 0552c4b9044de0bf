//! What a command prints: results on stdout, logs and progress on stderr, one clear sentence on failure.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;
use vaxel_crypto::MasterKey;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One object a line.
    Json,
}

/// Log lines go to stderr; VAXEL_LOG filters them, by default at `level`.
pub(crate) fn start_log(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_env("VAXEL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let started = if format == LogFormat::Json || (format == LogFormat::Auto && !terminal) {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_target(false).try_init()
    };
    if let Err(error) = started {
        eprintln!("the log could not be started: {error}");
    }
}

/// A line that programs wait for, on stdout.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A closed stdout must not end the server.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The failure, with its causes, as one sentence or one object.
pub(crate) fn failure(error: &anyhow::Error, json: bool) {
    let text = in_words(error);
    if json {
        say(&json!({ "error": text }).to_string());
    } else {
        eprintln!("vaxel: {text}");
    }
}

/// An error and what caused it. What only hands its cause on says nothing of its own.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let mut words: Vec<String> = error.chain().map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}

/// The result of an operation: the object itself, or its `text`.
pub(crate) fn answer(answer: &Value, json: bool) {
    if json {
        say(&answer.to_string());
    } else if let Some(text) = answer.get("text").and_then(Value::as_str) {
        say(text);
    }
}

/// Shows the master key once, for the copy that its owner keeps elsewhere.
pub(crate) fn recovery_copy(key: &MasterKey, data: &Path, json: bool) {
    let text = key.to_recovery_text();
    if json {
        say(&json!({ "recovery_copy": text.as_str() }).to_string());
    } else {
        say(&format!(
            "Master key made. It is in no backup: without it nothing can be read again.\n\
             Keep this recovery copy in a safe place, away from this machine:\n\n    {}\n\n\
             Then run: vaxel doctor --data {} --recovery-copy-kept\n",
            text.as_str(),
            data.display()
        ));
    }
}

/// A number of bytes as people read it: to the KiB while it is small.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760.. => format!("{} MiB", bytes >> 20),
    }
}

/// A bar on a terminal for what takes long; silent elsewhere.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn for_operation(json: bool) -> Self {
        let target = if json || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {eta}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar }
    }

    pub(crate) fn silent() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    pub(crate) fn set(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    pub(crate) fn get(&self) -> (u64, u64) {
        (self.bar.position(), self.bar.length().unwrap_or(0))
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
