//! Alarms that are counted on their way to where they go.

use std::sync::Arc;

use vaxel_core::{AlarmLevel, Alarms};

use crate::Metrics;

/// Counts each alarm by level and code, then hands it on.
#[derive(Clone)]
pub struct CountedAlarms {
    metrics: Metrics,
    next: Arc<dyn Alarms>,
}

impl CountedAlarms {
    /// Counts in `metrics`, then tells `next`.
    pub fn new(metrics: Metrics, next: Arc<dyn Alarms>) -> Self {
        Self { metrics, next }
    }
}

impl Alarms for CountedAlarms {
    fn raise(&self, level: AlarmLevel, code: &'static str, detail: &str) {
        self.metrics.alarm(level, code);
        self.next.raise(level, code, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vaxel_core::LogAlarms;

    #[test]
    fn an_alarm_is_counted_by_level_and_code() {
        let metrics = Metrics::new();
        let alarms = CountedAlarms::new(metrics.clone(), Arc::new(LogAlarms));
        alarms.raise(
            AlarmLevel::Critical,
            "storage.read_only",
            "The disk is full.",
        );
        alarms.raise(
            AlarmLevel::Critical,
            "storage.read_only",
            "The disk is full.",
        );
        let text = metrics.encode();
        assert!(
            text.contains(r#"vaxel_alarms_total{level="critical",code="storage.read_only"} 2"#),
            "{text}"
        );
    }
}
