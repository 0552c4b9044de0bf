//! The port through which any part says that someone should act.

/// How much it hurries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlarmLevel {
    /// Good to know.
    Info,
    /// Act today.
    Warning,
    /// Act now.
    Critical,
}

/// Where alarms go.
pub trait Alarms: Send + Sync + 'static {
    /// Says that something needs attention. `code` is stable (`storage.read_only`), `detail` is a sentence
    /// without personal data.
    fn raise(&self, level: AlarmLevel, code: &'static str, detail: &str);
}

/// Alarms as log lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAlarms;

impl Alarms for LogAlarms {
    fn raise(&self, level: AlarmLevel, code: &'static str, detail: &str) {
        match level {
            AlarmLevel::Info => tracing::info!(alarm.code = code, "alarm: {detail}"),
            AlarmLevel::Warning => tracing::warn!(alarm.code = code, "alarm: {detail}"),
            AlarmLevel::Critical => tracing::error!(alarm.code = code, "alarm: {detail}"),
        }
    }
}
