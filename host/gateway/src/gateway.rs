//! The gateway itself: what all doors share, from the first listener to the end of the drain.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vaxel_core::{Alarms, PluginId, TenantId, UnixMs};
use vaxel_identity::{Eids, Identity};
use vaxel_ops::{Health, Metrics};
use vaxel_runtime::Runtime;
use vaxel_storage::Storage;

use crate::config::{DemoInfo, GatewayConfig, GatewayLimits};
use crate::error::GatewayError;
use crate::fanout::registry::Fanout;
use crate::http::admin::ADMIN_CONNECTIONS_MAX;
use crate::http::assets::{BuiltIn, Files};
use crate::http::connections::{Connections, affordable};
use crate::rate::RateLimits;
use crate::rpc::plugin::PluginSchemas;
use crate::rpc::registry::Registry;
use crate::socket::frame::{self, Bye};
use crate::socket::sweeper::{self, Sockets};

struct Inner {
    config: GatewayConfig,
    storage: Storage,
    identity: Identity,
    runtime: Runtime,
    metrics: Metrics,
    health: Health,
    registry: Registry,
    plugin_schemas: Arc<PluginSchemas>,
    fanout: Arc<Fanout>,
    sockets: Sockets,
    rates: RateLimits,
    connections: Connections,
    admin_places: Arc<Semaphore>,
    files: Box<dyn Files>,
    tasks: TaskTracker,
    closing: CancellationToken,
    ending: CancellationToken,
    since: Instant,
    socket_ids: AtomicU64,
}

/// The gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

impl Gateway {
    /// A gateway that follows storage at once and serves nobody yet. Needs a tokio runtime.
    pub fn new(
        config: GatewayConfig,
        storage: Storage,
        identity: Identity,
        runtime: Runtime,
        metrics: Metrics,
    ) -> Result<Self, GatewayError> {
        let limits = config.limits;
        let fanout = Arc::new(Fanout::new(
            storage.clone(),
            Arc::clone(&config.clock),
            metrics.clone(),
            limits.queue_bytes_max,
        ));
        let plugin_schemas = Arc::new(PluginSchemas::new());
        runtime.validate_with(Arc::clone(&plugin_schemas) as _);
        let gateway = Self(Arc::new(Inner {
            registry: Registry::build()?,
            plugin_schemas,
            fanout: Arc::clone(&fanout),
            sockets: Sockets::default(),
            rates: RateLimits::new(&limits),
            connections: Connections::new(
                affordable(limits.connections_max),
                limits.connections_per_address_max,
                metrics.clone(),
            ),
            admin_places: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)),
            files: Box::new(BuiltIn),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
            since: Instant::now(),
            socket_ids: AtomicU64::new(1),
            health: Health::starting(),
            config,
            storage,
            identity,
            runtime,
            metrics,
        }));
        let tail = fanout.subscribe();
        let ending = gateway.ending().clone();
        tokio::spawn(async move { ending.run_until_cancelled(fanout.follow(tail)).await });
        tokio::spawn(sweeper::sweep(gateway.clone()));
        Ok(gateway)
    }

    /// Finishes what is under way and takes nothing new: `ready` says no, listeners close, each socket is told where
    /// to resume, and after the deadline what is left is cut.
    pub async fn drain(&self) {
        self.health().set_draining();
        self.closing().cancel();
        for outbox in self.sockets().all() {
            sweeper::end(self, &outbox, Bye::Draining);
        }
        self.tasks().close();
        let limit = Duration::from_millis(self.limits().drain_ms);
        if tokio::time::timeout(limit, self.tasks().wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.tasks().len(),
                "the drain's time is over; cutting the rest"
            );
        }
        self.ending().cancel();
    }

    /// Tells everybody of a tenant who is here that a plugin was switched on or off.
    pub fn tell_plugin_switched(&self, tenant: TenantId, plugin: &PluginId, enabled: bool) {
        let frame = frame::plugin_switched(plugin, enabled);
        self.fanout().tell(tenant, &frame);
    }

    /// Tells the administrators of a tenant who are here that there is something to look at.
    pub(crate) fn tell_approvals_changed(&self, tenant: TenantId) {
        self.fanout()
            .tell_administrators(tenant, &frame::approvals_changed());
    }

    /// Where the process is between start and end.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn now(&self) -> UnixMs {
        self.0.config.clock.now()
    }

    pub(crate) fn alarms(&self) -> &dyn Alarms {
        self.0.config.alarms.as_ref()
    }

    /// Milliseconds since this gateway was made, by a clock that only goes forward.
    pub(crate) fn up_ms(&self) -> u64 {
        u64::try_from(self.0.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn next_socket_id(&self) -> u64 {
        self.0.socket_ids.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn limits(&self) -> &GatewayLimits {
        &self.0.config.limits
    }

    pub(crate) fn proxies(&self) -> &[IpAddr] {
        &self.0.config.proxies
    }

    pub(crate) fn https_port(&self) -> Option<u16> {
        self.0.config.https_port
    }

    pub(crate) fn socket_deflate(&self) -> bool {
        self.0.config.socket_deflate
    }

    pub(crate) fn demo(&self) -> Option<&DemoInfo> {
        self.0.config.demo.as_ref()
    }

    pub(crate) fn version(&self) -> &str {
        &self.0.config.version
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.0.storage
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Electronic identity, where there is any.
    pub(crate) fn eids(&self) -> Option<&Eids> {
        self.0.config.eids.as_ref()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.0.runtime
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn plugin_schemas(&self) -> &PluginSchemas {
        &self.0.plugin_schemas
    }

    pub(crate) fn fanout(&self) -> &Fanout {
        &self.0.fanout
    }

    pub(crate) fn sockets(&self) -> &Sockets {
        &self.0.sockets
    }

    pub(crate) fn rates(&self) -> &RateLimits {
        &self.0.rates
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.0.connections
    }

    pub(crate) fn admin_places(&self) -> &Arc<Semaphore> {
        &self.0.admin_places
    }

    pub(crate) fn files(&self) -> &dyn Files {
        self.0.files.as_ref()
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Cancelled when nothing new is taken any more.
    pub(crate) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// Cancelled when everything ends.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }
}
