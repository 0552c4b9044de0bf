//! The operator's log. Nothing a person wrote belongs here.

use crate::host;

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes one line.
pub fn log(level: Level, message: &str) {
    host::log(level, message);
}

/// Writes one line at `info`.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Writes one line at `warn`.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// Writes one line at `error`.
pub fn error(message: &str) {
    log(Level::Error, message);
}

/// Adds to a sum of the plugin's own that administrators and the operator see. At most 32 names a plugin.
pub fn metric(name: &str, value: f64) {
    host::metric(name, value);
}

/// Logs where a panic happened, and its message only where that is a literal: a formatted one may quote what a person
/// wrote.
#[doc(hidden)]
#[cfg(target_arch = "wasm32")]
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()))
            .unwrap_or_default();
        let message = panic
            .payload()
            .downcast_ref::<&'static str>()
            .unwrap_or(&"");
        error(&format!("panic at {place} {message}"));
    }));
}
