//! What an operator may set, and the maxima of one call.

use std::path::PathBuf;

use vaxel_identity::Connections;
use vaxel_net::Egress;

use crate::Compiler;
use crate::ledger::Budget;
use crate::manifest::AskedLimits;

/// How the runtime is set up.
#[derive(Clone, Debug)]
pub struct RuntimeConfig {
    /// Threads that run plugins; nothing else runs on them.
    pub workers: usize,
    /// Where compiled components are kept. Losing it costs a compilation.
    pub cache_dir: PathBuf,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Most calls with an instance at one time, over all tenants.
    pub pool_slots: u32,
    /// The way out for plugins; without it they reach nobody.
    pub egress: Option<Egress>,
    /// Who holds their credentials.
    pub connections: Option<Connections>,
    /// What one call, one plugin and one tenant may take.
    pub limits: Limits,
    /// What an organization's plugins may use up.
    pub budget: Budget,
}

impl RuntimeConfig {
    /// The defaults: one worker less than there are cores, so that I/O always finds one.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            workers: cores.saturating_sub(1).max(1),
            cache_dir: cache_dir.into(),
            compiler: Compiler::Here,
            // Instances exist only while a call runs, so few are in use at a time; the rest is room for waiting ones.
            pool_slots: 256,
            egress: None,
            connections: None,
            limits: Limits::default(),
            budget: Budget::default(),
        }
    }
}

/// The maxima, each with a typed answer when it is reached.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Processor time of one call, host functions included. Far above what a method needs, far below what is noticed.
    pub cpu_ms: u64,
    /// From arrival to answer, waiting included.
    pub wall_ms: u64,
    /// Processor time of one step of work that nobody waits for: a job, an event, a migration.
    pub work_cpu_ms: u64,
    /// How long one such step may take.
    pub work_wall_ms: u64,
    /// Linear memory of one instance.
    pub memory_bytes: usize,
    /// What a guest may hand over in one host call.
    pub hostcall_bytes: usize,
    /// Parameters of one call.
    pub params_bytes: usize,
    /// The answer of one call.
    pub reply_bytes: usize,
    /// Storage and event operations of one call.
    pub storage_ops: usize,
    /// Log text of one call; the rest is dropped.
    pub log_bytes: usize,
    /// Running calls of one tenant.
    pub tenant_concurrent: usize,
    /// Running calls of one plugin in one tenant: half a tenant's, so that one plugin never takes all.
    pub plugin_concurrent: usize,
    /// Calls of one tenant that wait for a place; more are answered `limit` at once.
    pub tenant_waiting: usize,
    /// Calls per second of one tenant, on average.
    pub tenant_calls_per_second: u32,
    /// Calls of one tenant in a burst.
    pub tenant_calls_burst: u32,
    /// The largest blob.
    pub blob_bytes: u64,
    /// What the rows of one plugin in one tenant may take, keys and seals included.
    pub plugin_stored_bytes: u64,
    /// What the blobs of one plugin in one tenant may take.
    pub plugin_blob_bytes: u64,
    /// What all blobs of one tenant may take.
    pub tenant_blob_bytes: u64,
    /// Calls of one tenant that wait for the outside, in the place of nobody.
    pub tenant_outside: usize,
    /// Requests per second of one tenant to the outside, on average.
    pub tenant_requests_per_second: u32,
    /// Requests of one tenant to the outside in a burst.
    pub tenant_requests_burst: u32,
    /// Instances that are ready for a plugin's next calls at any time, while it is on.
    pub ready_min: usize,
    /// How many may be ready for one plugin while many of its calls run at one time.
    pub ready_max: usize,
    /// How often a call is run again after a conflict.
    pub reruns: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Unoptimized host functions are some twenty times slower, and their time counts.
            cpu_ms: if cfg!(debug_assertions) { 1_000 } else { 50 },
            wall_ms: 5_000,
            work_cpu_ms: if cfg!(debug_assertions) { 5_000 } else { 500 },
            work_wall_ms: 60_000,
            memory_bytes: 32 << 20,
            hostcall_bytes: 4 << 20,
            params_bytes: 1 << 20,
            reply_bytes: 1 << 20,
            storage_ops: 1_000,
            log_bytes: 16 << 10,
            tenant_concurrent: 16,
            plugin_concurrent: 8,
            tenant_waiting: 1_024,
            tenant_calls_per_second: 20_000,
            tenant_calls_burst: 40_000,
            blob_bytes: 2 << 30,
            // A quarter of what a tenant has, so that one plugin never takes all.
            plugin_stored_bytes: 16 << 30,
            plugin_blob_bytes: 128 << 30,
            tenant_blob_bytes: 256 << 30,
            tenant_outside: 32,
            // Three hundred a minute.
            tenant_requests_per_second: 5,
            tenant_requests_burst: 300,
            ready_min: 1,
            // As many as run at one time in one tenant.
            ready_max: 8,
            reruns: 3,
        }
    }
}

impl Limits {
    /// With what a manifest asks for, where that is less.
    pub(crate) fn narrowed(&self, asked: &AskedLimits) -> Self {
        let cpu_ms = asked.cpu_ms.unwrap_or(u64::MAX);
        let memory_bytes = asked
            .memory_mib
            .map_or(usize::MAX, |mib| mib.saturating_mul(1 << 20));
        Self {
            cpu_ms: self.cpu_ms.min(cpu_ms.max(1)),
            memory_bytes: self.memory_bytes.min(memory_bytes.max(1 << 20)),
            ..self.clone()
        }
    }
}
