//! `vaxel serve`: opens the house, opens the doors, says so, and closes in good order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use vaxel_core::AlarmLevel;
use vaxel_gateway::{Gateway, GatewayConfig};
use vaxel_net::{AcceptLimits, AcmeConfig, RENEW_BEFORE_DAYS, TlsMaterial};
use vaxel_runtime::{Runtime, keep_going};

use crate::config::{Config, ServeFlags};
use crate::house::{self, House};
use crate::{admin, audit, demo, output, plugin};

/// How often certificates are looked at: changed files are taken into use, those whose end is near are renewed.
const TLS_REFRESH_EVERY: Duration = Duration::from_secs(60);

/// How often ended sessions and links are cleared away, and files that nobody kept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Organizations whose addresses are told at the start: more than that nobody reads.
const ADDRESSES_TOLD_MAX: usize = 20;

pub(crate) async fn run(
    data: PathBuf,
    mut config: Config,
    flags: &ServeFlags,
) -> anyhow::Result<()> {
    let mut signals = StopSignals::listen()?;
    if flags.demo {
        demo::claim(&data)?;
        house::make_master_key(&data, &config)?;
    }
    let listeners = Listeners::bind(&config).await?;
    // Links and tokens name the port that people reach, also where a free one was asked for.
    config.listen.https = listeners.https.1;
    let house = Arc::new(House::open(&data, &config).await?);
    let http_port = listeners.http.as_ref().map(|(_, addr)| addr.port());
    let demo = match flags.demo {
        true => Some(demo::prepare(&house, http_port, flags.lan).await?),
        false => None,
    };
    let tls = Arc::new(tls_material(&data, &config, &house)?);
    let gateway = Gateway::new(
        GatewayConfig {
            limits: config.limits,
            proxies: config.proxies.clone(),
            https_port: config.listen.public_https_port,
            demo: demo
                .as_ref()
                .filter(|_| http_port.is_some())
                .map(|demo| demo.info.clone()),
            clock: Arc::clone(&house.clock),
            alarms: Arc::clone(&house.alarms),
            eids: Some(house.eids.clone()),
            ..GatewayConfig::default()
        },
        house.storage.clone(),
        house.identity.clone(),
        house.runtime.clone(),
        house.metrics.clone(),
    )
    .context("opening the gateway")?;
    house.gateway.get_or_init(|| gateway.clone());

    let stop = CancellationToken::new();
    let admin_socket = admin::bind(&data)?;
    tokio::spawn(admin::serve(admin_socket, Arc::clone(&house), stop.clone()));
    let parts = Parts {
        house: Arc::clone(&house),
        tls: Arc::clone(&tls),
        names_changed: Arc::default(),
        stop: stop.clone(),
    };
    parts.begin();
    if demo.is_some() {
        // What the log says of it stands before the logins, which are to be read last.
        audit::sign(&house).await;
    }
    listeners.serve(&gateway, &tls)?;
    match &demo {
        Some(demo) => demo.say(),
        None => tell_addresses(&house),
    }
    signals.wait().await;
    tracing::info!("stopping: finishing what is under way");
    stop.cancel();
    gateway.drain().await;
    house.runtime.close_books().await;
    audit::sign(&house).await;
    let _ = std::fs::remove_file(data.join("admin.sock"));
    house.storage.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// What goes on beside the doors. Each part knows nothing that is not stored: one that breaks is begun again.
#[derive(Clone)]
struct Parts {
    house: Arc<House>,
    tls: Arc<TlsMaterial>,
    names_changed: Arc<Notify>,
    stop: CancellationToken,
}

impl Parts {
    fn begin(self) {
        self.keep("renewing certificates", |of| {
            keep_tls_fresh(of.tls, of.house, of.names_changed, of.stop)
        });
        self.keep("ordering certificates", |of| {
            order_certificates(of.tls, of.house, of.names_changed, of.stop)
        });
        self.keep("sweeping", |of| sweep(of.house, of.stop));
        self.keep("watching packages", |of| plugin::watch(of.house, of.stop));
        self.keep("the queue of plugins", |of| {
            work(of.house.runtime.clone(), of.stop)
        });
        self.keep("giving tokens back", |of| give_back(of.house, of.stop));
        self.keep("steering rollouts", |of| plugin::steer(of.house, of.stop));
        self.keep("signing the audit", |of| {
            audit::keep_signing(of.house, of.stop)
        });
    }

    fn keep<F>(&self, part: &'static str, run: impl Fn(Self) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let of = self.clone();
        let alarms = Arc::clone(&self.house.alarms);
        tokio::spawn(keep_going(part, alarms, move || run(of.clone())));
    }
}

/// Behind the ready lines, which name the machine: where people go.
fn tell_addresses(house: &House) {
    let tenants = house.identity.tenants();
    for tenant in tenants.iter().take(ADDRESSES_TOLD_MAX) {
        tracing::info!("{} is at {}", tenant.slug, house.address_of(tenant));
    }
    match tenants.len() {
        0 => tracing::info!("no organizations yet; add one with `vaxel tenant add`"),
        all if all > ADDRESSES_TOLD_MAX => tracing::info!("and {} more", all - ADDRESSES_TOLD_MAX),
        _ => {}
    }
}

/// Plugins' jobs, events and hooks afterwards, until the server stops: what is not done then is done after the start.
async fn work(runtime: Runtime, stop: CancellationToken) {
    stop.run_until_cancelled(runtime.work()).await;
}

/// Tokens of connections that ended, until the other side has them.
async fn give_back(house: Arc<House>, stop: CancellationToken) {
    if let Some(connections) = house.runtime.holder() {
        stop.run_until_cancelled(connections.keep_giving_back())
            .await;
    }
}

/// Ports are bound before anything is opened, so that a taken one is said at once.
struct Listeners {
    http: Option<(TcpListener, SocketAddr)>,
    https: (TcpListener, SocketAddr),
    admin: (TcpListener, SocketAddr),
}

impl Listeners {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let http = match config.listen.http {
            Some(addr) => Some(bind(addr, "HTTP", "--http-port").await?),
            None => None,
        };
        Ok(Self {
            http,
            https: bind(
                config.listen.https,
                "HTTPS",
                "--https-port, or listen.https in the configuration",
            )
            .await?,
            admin: bind(
                config.listen.admin,
                "the listener of health and metrics",
                "--admin-port, or listen.admin in the configuration",
            )
            .await?,
        })
    }

    fn serve(self, gateway: &Gateway, tls: &TlsMaterial) -> anyhow::Result<()> {
        let acceptor = tls.acceptor(AcceptLimits::default()).context("TLS")?;
        let (https, https_addr) = self.https;
        gateway.serve_https(https, acceptor);
        let (admin, admin_addr) = self.admin;
        gateway.serve_admin(admin);
        if let Some((http, addr)) = self.http {
            gateway.serve_http(http);
            output::say(&format!("ready http://localhost:{}", addr.port()));
        }
        output::say(&format!("ready https://localhost:{}", https_addr.port()));
        output::say(&format!(
            "ready admin http://127.0.0.1:{}",
            admin_addr.port()
        ));
        Ok(())
    }
}

async fn bind(
    addr: SocketAddr,
    what: &str,
    flag: &str,
) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addr).await.with_context(|| {
        format!("{what} cannot listen on {addr} (choose another port with {flag})")
    })?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// Where certificates come from, as the configuration has it.
pub(crate) fn tls_material(
    data: &Path,
    config: &Config,
    house: &House,
) -> anyhow::Result<TlsMaterial> {
    let clock = Arc::clone(&house.clock);
    if let (Some(certificate), Some(key)) = (&config.tls.certificate, &config.tls.key) {
        return TlsMaterial::from_files(certificate, key, clock).context("the certificate");
    }
    let (dir, names) = (data.join("tls"), house.identity.host_names());
    if let Some(acme) = &config.tls.acme {
        let acme = AcmeConfig {
            directory: acme.directory.clone(),
            contact: acme.contact.clone(),
            ca: acme.ca.clone(),
        };
        return TlsMaterial::acme(&dir, acme, &names, clock).context("certificates by ACME");
    }
    TlsMaterial::local_ca(&dir, &names, clock).context("the local certificate authority")
}

/// New host names, changed files and coming ends, without a restart.
async fn keep_tls_fresh(
    tls: Arc<TlsMaterial>,
    house: Arc<House>,
    names_changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(TLS_REFRESH_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = house.hosts_changed.notified() => {}
            _ = tick.tick() => {}
        }
        let renewed = tls.set_names(&house.identity.host_names()).and_then(|new| {
            if new {
                names_changed.notify_one();
            }
            tls.refresh()
        });
        let alarms = &house.alarms;
        if let Err(error) = renewed {
            let detail = format!("the certificate could not be renewed: {error}");
            alarms.raise(AlarmLevel::Warning, "tls.renewal_failed", &detail);
        }
        if tls.days_left() < RENEW_BEFORE_DAYS / 2 {
            let detail = format!("the certificate ends in {} days", tls.days_left());
            alarms.raise(AlarmLevel::Warning, "tls.expiring", &detail);
        }
    }
}

/// Certificates that a directory issues: those that are due, one after the other. Apart from the rest, because an
/// order may take minutes.
async fn order_certificates(
    tls: Arc<TlsMaterial>,
    house: Arc<House>,
    names_changed: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(TLS_REFRESH_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = names_changed.notified() => {}
            _ = tick.tick() => {}
        }
        let round = async { while tls.order_next(house.alarms.as_ref()).await {} };
        tokio::select! {
            () = stop.cancelled() => return,
            () = round => {}
        }
    }
}

async fn sweep(house: Arc<House>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        house.eids.watch_certificates();
        if let Err(error) = house.identity.sweep().await {
            tracing::warn!("clearing ended sessions away: {error}");
        }
        for tenant in house.identity.tenants() {
            match house.runtime.sweep_blobs(tenant.id).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(tenant.id = %tenant.id, gone, "files that nobody kept"),
                Err(error) => tracing::warn!(tenant.id = %tenant.id, "sweeping files: {error}"),
            }
        }
    }
}

/// Ctrl-C and `systemctl stop`. Listened for from the first moment: whoever reads `ready` may stop us at once.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
