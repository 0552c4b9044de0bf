//! The counters of the host, in the OpenMetrics text form that Prometheus scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vaxel_core::AlarmLevel;

/// By which door a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Binding {
    /// A request of its own.
    Http,
    /// A frame on a socket.
    Socket,
}

/// Why something at the door was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Refusal {
    /// A frame that is not what the protocol has.
    Malformed,
    /// More than a rate, a count or a size allows.
    Limit,
    /// Too slow a reader.
    Slow,
    /// A foreign origin, host or tenant.
    Foreign,
    /// No valid token, or no longer.
    Token,
    /// No room for another connection.
    Connections,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    binding: Binding,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    reason: Refusal,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OnePlugin {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OneVersion {
    plugin: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginCapability {
    plugin: String,
    capability: &'static str,
}

/// What a plugin used since the start of the process.
#[derive(Clone, Debug, Default)]
pub struct PluginUsed {
    /// Runs of any kind.
    pub runs: u64,
    /// Runs in which it broke.
    pub faults: u64,
    /// Processor time, in microseconds.
    pub processor_us: u64,
    /// The most memory of one run.
    pub memory_bytes_max: u64,
    /// What it wrote.
    pub written_bytes: u64,
    /// How often it used each capability.
    pub uses: Vec<(&'static str, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmLabels {
    level: &'static str,
    code: &'static str,
}

/// From a tenth of a millisecond to 13 seconds in doubling steps: what lies outside is a fault, not a speed.
const DURATION_BUCKETS: u16 = 18;
const DURATION_FIRST_S: f64 = 0.000_1;

fn durations() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        DURATION_FIRST_S,
        2.0,
        DURATION_BUCKETS,
    ))
}

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    plugin_calls: Family<PluginLabels, Counter>,
    plugin_call_s: Histogram,
    commit_lag_s: Histogram,
    deliveries: Counter<u64, AtomicU64>,
    ephemeral_dropped: Counter<u64, AtomicU64>,
    sockets: Gauge,
    connections: Gauge,
    alarms: Family<AlarmLabels, Counter>,
    plugin_runs: Family<OnePlugin, Counter>,
    plugin_faults: Family<OnePlugin, Counter>,
    plugin_processor_us: Family<OnePlugin, Counter>,
    plugin_memory_bytes_max: Family<OnePlugin, Gauge>,
    plugin_written_bytes: Family<OnePlugin, Counter>,
    plugin_uses: Family<PluginCapability, Counter>,
    plugin_ready: Family<OneVersion, Gauge>,
    plugin_ready_wanted: Family<OneVersion, Gauge>,
}

/// All counters of one process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("vaxel");
        let requests = Family::default();
        registry.register(
            "requests",
            "Calls answered, by door and status",
            requests.clone(),
        );
        let refusals = Family::default();
        registry.register(
            "refusals",
            "What was turned away at the door",
            refusals.clone(),
        );
        let plugin_calls = Family::default();
        registry.register("plugin_calls", "Calls into plugins", plugin_calls.clone());
        let plugin_call_s = durations();
        registry.register(
            "plugin_call_seconds",
            "Time of a plugin call until its commit is durable",
            plugin_call_s.clone(),
        );
        let commit_lag_s = durations();
        registry.register(
            "commit_lag_seconds",
            "Time from a commit's timestamp until its events are handed to sockets",
            commit_lag_s.clone(),
        );
        let deliveries = Counter::default();
        registry.register(
            "deliveries",
            "Event frames handed to sockets",
            deliveries.clone(),
        );
        let ephemeral_dropped = Counter::default();
        registry.register(
            "ephemeral_dropped",
            "Ephemeral events not handed to a socket that reads slowly",
            ephemeral_dropped.clone(),
        );
        let sockets = Gauge::default();
        registry.register("sockets", "Open WebSockets", sockets.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let alarms = Family::default();
        registry.register("alarms", "Alarms raised", alarms.clone());
        let plugin_runs = Family::default();
        registry.register(
            "plugin_runs",
            "Runs of plugins, of whatever kind, those again after a conflict among them",
            plugin_runs.clone(),
        );
        let plugin_faults = Family::default();
        registry.register(
            "plugin_faults",
            "Runs in which a plugin broke",
            plugin_faults.clone(),
        );
        let plugin_processor_us = Family::default();
        registry.register(
            "plugin_processor_microseconds",
            "Processor time of plugins, host functions included",
            plugin_processor_us.clone(),
        );
        let plugin_memory_bytes_max = Family::default();
        registry.register(
            "plugin_memory_bytes_max",
            "The most memory of one run",
            plugin_memory_bytes_max.clone(),
        );
        let plugin_written_bytes = Family::default();
        registry.register(
            "plugin_written_bytes",
            "Keys and values that plugins wrote",
            plugin_written_bytes.clone(),
        );
        let plugin_uses = Family::default();
        registry.register(
            "plugin_uses",
            "How often plugins used each capability",
            plugin_uses.clone(),
        );
        let plugin_ready = Family::default();
        registry.register(
            "plugin_ready",
            "Instances that are ready for the next calls of a plugin",
            plugin_ready.clone(),
        );
        let plugin_ready_wanted = Family::default();
        registry.register(
            "plugin_ready_wanted",
            "How many are to be ready, by the load",
            plugin_ready_wanted.clone(),
        );
        Self(Arc::new(Inner {
            registry,
            requests,
            refusals,
            plugin_calls,
            plugin_call_s,
            commit_lag_s,
            deliveries,
            ephemeral_dropped,
            sockets,
            connections,
            alarms,
            plugin_runs,
            plugin_faults,
            plugin_processor_us,
            plugin_memory_bytes_max,
            plugin_written_bytes,
            plugin_uses,
            plugin_ready,
            plugin_ready_wanted,
        }))
    }

    /// One call was answered with this status.
    pub fn request(&self, binding: Binding, status: u16) {
        let labels = RequestLabels {
            binding,
            status: u32::from(status),
        };
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Something was turned away.
    pub fn refused(&self, reason: Refusal) {
        self.0
            .refusals
            .get_or_create(&RefusalLabels { reason })
            .inc();
    }

    /// A plugin was called. `plugin` is one that is installed, so the labels stay few.
    pub fn plugin_call(&self, plugin: &str, ok: bool, took: Duration) {
        let labels = PluginLabels {
            plugin: plugin.to_owned(),
            outcome: if ok { "ok" } else { "error" },
        };
        self.0.plugin_calls.get_or_create(&labels).inc();
        self.0.plugin_call_s.observe(took.as_secs_f64());
    }

    /// So long after its commit an event was on its way.
    pub fn commit_lag(&self, lag: Duration) {
        self.0.commit_lag_s.observe(lag.as_secs_f64());
    }

    /// So many event frames were handed to sockets.
    pub fn delivered(&self, frames: u64) {
        self.0.deliveries.inc_by(frames);
    }

    /// So many ephemeral frames were not.
    pub fn ephemeral_dropped(&self, frames: u64) {
        self.0.ephemeral_dropped.inc_by(frames);
    }

    /// A socket opened (+1) or closed (-1).
    pub fn sockets_changed(&self, by: i64) {
        self.0.sockets.inc_by(by);
    }

    /// A connection opened (+1) or closed (-1).
    pub fn connections_changed(&self, by: i64) {
        self.0.connections.inc_by(by);
    }

    /// An alarm was raised.
    pub fn alarm(&self, level: AlarmLevel, code: &'static str) {
        let level = match level {
            AlarmLevel::Info => "info",
            AlarmLevel::Warning => "warning",
            AlarmLevel::Critical => "critical",
        };
        self.0
            .alarms
            .get_or_create(&AlarmLabels { level, code })
            .inc();
    }

    /// What a plugin used up to now. Over all organizations, so the labels stay few.
    pub fn plugin_used(&self, plugin: &str, used: &PluginUsed) {
        let labels = OnePlugin {
            plugin: plugin.to_owned(),
        };
        let counters = [
            (&self.0.plugin_runs, used.runs),
            (&self.0.plugin_faults, used.faults),
            (&self.0.plugin_processor_us, used.processor_us),
            (&self.0.plugin_written_bytes, used.written_bytes),
        ];
        for (counter, up_to) in counters {
            raise(&counter.get_or_create(&labels), up_to);
        }
        let memory = i64::try_from(used.memory_bytes_max).unwrap_or(i64::MAX);
        self.0
            .plugin_memory_bytes_max
            .get_or_create(&labels)
            .set(memory);
        for (capability, up_to) in &used.uses {
            let labels = PluginCapability {
                plugin: plugin.to_owned(),
                capability,
            };
            raise(&self.0.plugin_uses.get_or_create(&labels), *up_to);
        }
    }

    /// What is ready of each version that is on; others are forgotten.
    pub fn plugins_ready(&self, all: impl IntoIterator<Item = (String, String, usize, usize)>) {
        let (ready_now, to_be) = (&self.0.plugin_ready, &self.0.plugin_ready_wanted);
        ready_now.clear();
        to_be.clear();
        for (plugin, version, ready, wanted) in all {
            let labels = OneVersion { plugin, version };
            for (gauge, count) in [(ready_now, ready), (to_be, wanted)] {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                gauge.get_or_create(&labels).set(count);
            }
        }
    }

    /// All of it as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        if let Err(error) = text::encode(&mut out, &self.0.registry) {
            tracing::error!(%error, "cannot write the metrics as text");
        }
        out
    }
}

/// A counter that somebody else counts; it never goes back.
fn raise(counter: &Counter, up_to: u64) {
    counter.inner().fetch_max(up_to, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::new();
        metrics.request(Binding::Http, 200);
        metrics.refused(Refusal::Slow);
        metrics.plugin_call("chat", true, Duration::from_millis(3));
        metrics.delivered(1_000);
        let used = PluginUsed {
            runs: 7,
            uses: vec![("storage", 3)],
            ..PluginUsed::default()
        };
        metrics.plugin_used("chat", &used);
        metrics.plugin_used("chat", &used);
        metrics.plugins_ready([("gone".to_owned(), "0.9.0".to_owned(), 1, 1)]);
        metrics.plugins_ready([("chat".to_owned(), "1.0.0".to_owned(), 2, 3)]);
        assert!(!metrics.encode().contains("gone"), "it is not on any more");
        metrics.sockets_changed(2);
        metrics.sockets_changed(-1);
        let text = metrics.encode();
        for line in [
            r#"vaxel_requests_total{binding="Http",status="200"} 1"#,
            r#"vaxel_refusals_total{reason="Slow"} 1"#,
            r#"vaxel_plugin_calls_total{plugin="chat",outcome="ok"} 1"#,
            r#"vaxel_plugin_ready{plugin="chat",version="1.0.0"} 2"#,
            r#"vaxel_plugin_ready_wanted{plugin="chat",version="1.0.0"} 3"#,
            "vaxel_deliveries_total 1000",
            r#"vaxel_plugin_runs_total{plugin="chat"} 7"#,
            r#"vaxel_plugin_uses_total{plugin="chat",capability="storage"} 3"#,
            "vaxel_sockets 1",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
