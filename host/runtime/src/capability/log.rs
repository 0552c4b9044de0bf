//! The operator's log: bounded per call, one line per line.

use super::bindings::vaxel::log::log::{Host, Level};
use crate::guest::Guest;
use crate::ledger::Metric;
use crate::manifest::Cap;
use crate::usage::METRICS_MAX;

/// The longest name of a sum.
const METRIC_NAME_MAX: usize = 64;

impl Host for Guest {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.usage.count(Cap::Log);
        let left = self.limits.log_bytes.saturating_sub(self.log_bytes);
        if left == 0 {
            return Ok(());
        }
        self.log_bytes = self.log_bytes.saturating_add(message.len().max(1));
        let is_last = message.len() >= left;
        let end = message.floor_char_boundary(left.min(message.len()));
        // A line break in a message must not look like a line of ours.
        let line: String = message
            .get(..end)
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let plugin = &self.plugin;
        let context = self.context.as_ref();
        let tenant = context
            .map(|context| context.cx.tenant.to_string())
            .unwrap_or_default();
        let request = context
            .map(|context| context.cx.request.to_string())
            .unwrap_or_default();
        macro_rules! write {
            ($level:ident) => {
                tracing::$level!(
                    plugin.id = %plugin,
                    tenant.id = tenant,
                    request.id = request,
                    is_last,
                    "{line}"
                )
            };
        }
        match level {
            Level::Debug => write!(debug),
            Level::Info => write!(info),
            Level::Warn => write!(warn),
            Level::Error => write!(error),
        }
        Ok(())
    }

    fn metric(&mut self, name: String, value: f64) -> wasmtime::Result<()> {
        self.usage.count(Cap::Log);
        // Whoever sums up not-a-number has nothing any more.
        if !is_metric_name(&name) || !value.is_finite() {
            return Ok(());
        }
        let metrics = &mut self.usage.metrics;
        let is_room = metrics.len() < METRICS_MAX;
        match metrics.iter_mut().find(|(known, _)| *known == name) {
            Some((_, metric)) => metric.add(value),
            None if is_room => metrics.push((name, Metric::of(value))),
            None => {}
        }
        Ok(())
    }
}

/// Lower-case words, so that it can be a label and never a text of a person's.
fn is_metric_name(name: &str) -> bool {
    name.len() <= METRIC_NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.'))
}
