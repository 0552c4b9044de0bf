//! The opened parts of one data directory, and the acts that need it closed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::Notify;
use vaxel_core::{Alarms, Clock, LogAlarms, SystemClock, TenantId};
use vaxel_crypto::{Keyring, MasterKey, MasterKeySource};
use vaxel_gateway::Gateway;
use vaxel_identity::{Connections, Eids, Identity, IdentityConfig, Tenant};
use vaxel_net::{Egress, EgressConfig, SystemNames};
use vaxel_ops::{CountedAlarms, Metrics};
use vaxel_runtime::{Compiler, Packages, PackagesConfig, Runtime, RuntimeConfig};
use vaxel_storage::{Storage, StorageConfig};

use crate::bundle;
use crate::config::Config;
use crate::eid;
use crate::output::Progress;
use crate::plugin;

/// Says that the owner keeps the master key's recovery copy.
const RECOVERY_MARK: &str = "recovery-copy-kept";

/// Everything that lies under the doors: keys, storage, identity and the plugin runtime.
pub(crate) struct House {
    pub(crate) data: PathBuf,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarms: Arc<dyn Alarms>,
    pub(crate) metrics: Metrics,
    pub(crate) storage: Storage,
    pub(crate) identity: Identity,
    pub(crate) runtime: Runtime,
    pub(crate) eids: Eids,
    pub(crate) packages: Packages,
    /// Where signed heads of the audit are written.
    pub(crate) audit_heads: PathBuf,
    /// Where people reach an organization, `{host}` standing for its host name.
    address: String,
    /// Told when host names were added, so that certificates carry them.
    pub(crate) hosts_changed: Notify,
    /// The gateway, once there is one: open clients are told through it.
    pub(crate) gateway: OnceLock<Gateway>,
}

impl House {
    /// Opens the data directory; it must have been made by `vaxel init` or the demo.
    pub(crate) async fn open(data: &Path, config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = Metrics::new();
        let alarms: Arc<dyn Alarms> =
            Arc::new(CountedAlarms::new(metrics.clone(), Arc::new(LogAlarms)));
        check_made(data, config)?;
        let master = MasterKey::load(&master_source(data, config)).context(
            "the master key cannot be read; bring its file back, or make it from the recovery copy",
        )?;
        let keyring = Arc::new(Keyring::open(&keys_dir(data), master)?);
        keyring.create_tenant(TenantId::SYSTEM)?;
        let storage = Storage::open(
            StorageConfig {
                quota_bytes_per_tenant: config.storage.quota_bytes_per_tenant,
                free_bytes_min: config.storage.free_bytes_min,
                segment_bytes: config.storage.segment_bytes,
                ..StorageConfig::new(store_dir(data))
            },
            Arc::clone(&keyring),
            Arc::clone(&clock),
            Arc::clone(&alarms),
        )
        .context("opening the storage")?;
        let identity = Identity::open(
            storage.clone(),
            Arc::clone(&keyring),
            Arc::clone(&clock),
            IdentityConfig {
                issuer_base: issuer_base(config),
                ..IdentityConfig::default()
            },
        )
        .await
        .context("opening the identities")?;
        let mut runtime_config = RuntimeConfig::new(data.join("cache"));
        runtime_config.compiler = Compiler::this_program(plugin::COMPILE);
        config.plugins.apply(&mut runtime_config);
        let egress = way_out(config, &clock)?;
        runtime_config.connections = Some(Connections::new(identity.clone(), egress.clone()));
        runtime_config.egress = Some(egress);
        let runtime = Runtime::new(
            runtime_config,
            storage.clone(),
            identity.clone(),
            keyring,
            Arc::clone(&clock),
            Arc::clone(&alarms),
        )
        .context("starting the plugin runtime")?;
        for package in bundle::packages(config.plugins.dir.as_deref())? {
            runtime
                .install(package)
                .await
                .context("installing a plugin")?;
        }
        let packages = Packages::open(
            PackagesConfig {
                dir: packages_dir(data),
                trust: trust_file(data, config),
                allow_unsigned: config.plugins.allow_unsigned,
            },
            runtime.clone(),
            storage.clone(),
            Arc::clone(&clock),
            Arc::clone(&alarms),
        )
        .await
        .context("opening the installed packages")?;
        let eids = eid::open(config, &identity, &clock, &alarms)?;
        let hosts_changed = Notify::new();
        Ok(Self {
            data: data.to_owned(),
            config: config.clone(),
            clock,
            alarms,
            metrics,
            storage,
            identity,
            runtime,
            eids,
            packages,
            audit_heads: config
                .audit
                .heads
                .clone()
                .unwrap_or_else(|| data.join("audit-heads.jsonl")),
            address: address(config),
            hosts_changed,
            gateway: OnceLock::new(),
        })
    }

    /// Where people reach this organization.
    pub(crate) fn address_of(&self, tenant: &Tenant) -> String {
        let host = tenant.hosts.first().map_or("", String::as_str);
        self.address.replace("{host}", host)
    }

    /// Writes everything out and lets go of the directory.
    pub(crate) async fn close(self) {
        self.runtime.close_books().await;
        self.storage.close().await;
    }
}

/// Refuses a directory that nobody made, by name.
pub(crate) fn check_made(data: &Path, config: &Config) -> anyhow::Result<()> {
    let has_key = match master_source(data, config) {
        MasterKeySource::File(key) => key.exists(),
        MasterKeySource::Env | MasterKeySource::Credential => true,
    };
    if has_key || store_dir(data).exists() {
        return Ok(());
    }
    let at = data.display();
    bail!("there is no data at {at}; make it with `vaxel init --data {at}`")
}

/// The only way out for plugins.
fn way_out(config: &Config, clock: &Arc<dyn Clock>) -> anyhow::Result<Egress> {
    let names = SystemNames::new(config.egress.names.clone());
    let policy = EgressConfig {
        ca: config.egress.ca.clone(),
        allow: config.egress.allow.clone(),
    };
    Egress::new(policy, Arc::new(names), Arc::clone(clock)).context("the way out for plugins")
}

/// Who issues tokens: from the configuration, never from a request. The port that is listened on is no part of it, or
/// listening on another one would end every token; a public port is, because it was chosen as an address.
fn issuer_base(config: &Config) -> String {
    at_port(config.listen.public_https_port.unwrap_or(443))
}

/// Where people reach us: from the configuration, never from a request.
fn address(config: &Config) -> String {
    let listen = &config.listen;
    at_port(listen.public_https_port.unwrap_or(listen.https.port()))
}

fn at_port(port: u16) -> String {
    match port {
        443 => "https://{host}".to_owned(),
        port => format!("https://{{host}}:{port}"),
    }
}

pub(crate) fn keys_dir(data: &Path) -> PathBuf {
    store_dir(data).join("keys")
}

fn store_dir(data: &Path) -> PathBuf {
    data.join("store")
}

/// Where installed packages lie.
pub(crate) fn packages_dir(data: &Path) -> PathBuf {
    data.join("packages")
}

/// Where it stands who may publish plugins here.
pub(crate) fn trust_file(data: &Path, config: &Config) -> PathBuf {
    let file = config.plugins.trust.clone();
    file.unwrap_or_else(|| data.join("trust.toml"))
}

pub(crate) fn master_source(data: &Path, config: &Config) -> MasterKeySource {
    let file = config
        .keys
        .master
        .clone()
        .unwrap_or_else(|| data.join("master.key"));
    MasterKeySource::detect(&file)
}

/// Makes the data directory and, where the key comes from a file that is not there, the key. Answers a new key.
pub(crate) fn make_master_key(data: &Path, config: &Config) -> anyhow::Result<Option<MasterKey>> {
    make_private_dir(data)?;
    match master_source(data, config) {
        MasterKeySource::File(path) if !path.exists() => {
            if keys_dir(data).exists() {
                bail!(
                    "{} holds keys, but the master key {} is missing; bring it back from its recovery copy",
                    data.display(),
                    path.display()
                );
            }
            Ok(Some(MasterKey::create_file(&path)?))
        }
        source => {
            MasterKey::load(&source)?;
            Ok(None)
        }
    }
}

/// A directory that only its owner can look into.
pub(crate) fn make_private_dir(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("making the directory {}", dir.display()))
}

/// Wraps the key set under a new master key, whose file replaces the old one.
pub(crate) fn rotate_master(data: &Path, config: &Config) -> anyhow::Result<MasterKey> {
    let MasterKeySource::File(path) = master_source(data, config) else {
        bail!(
            "the master key does not come from a file; give the new one in the same way as the old one"
        );
    };
    let old = MasterKey::load(&MasterKeySource::File(path.clone()))?;
    let mut keyring = Keyring::open(&keys_dir(data), old)?;
    let next = path.with_extension("key.next");
    // Left by an interrupted run: it wraps nothing yet.
    if next.exists() && MasterKey::load(&MasterKeySource::File(next.clone())).is_ok() {
        fs::remove_file(&next)?;
    }
    let new = MasterKey::create_file(&next)?;
    let former = path.with_extension("key.former");
    fs::copy(&path, &former).context("keeping the former master key beside")?;
    keyring.rewrap(new.clone())?;
    fs::rename(&next, &path).context("taking the new master key into use")?;
    fs::remove_file(&former).context("removing the former master key")?;
    let _ = fs::remove_file(data.join(RECOVERY_MARK));
    Ok(new)
}

/// Notes that the recovery copy is kept.
pub(crate) fn confirm_recovery_copy(data: &Path) -> anyhow::Result<()> {
    fs::write(data.join(RECOVERY_MARK), "1\n").context("noting that the recovery copy is kept")
}

/// Whether it was noted.
pub(crate) fn recovery_copy_kept(data: &Path) -> bool {
    data.join(RECOVERY_MARK).exists()
}

/// Rebuilds a data directory from a backup.
pub(crate) async fn restore(
    data: &Path,
    backup: &Path,
    key: MasterKey,
    key_file: Option<&Path>,
    progress: &Progress,
) -> anyhow::Result<Value> {
    let occupied = fs::read_dir(data).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "master.key"))
    });
    if occupied {
        bail!(
            "{} is not empty; restore into a new directory",
            data.display()
        );
    }
    make_private_dir(data)?;
    {
        use std::os::unix::fs::PermissionsExt as _;
        // It may have been there, empty and open to others.
        fs::set_permissions(data, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("making {} private", data.display()))?;
    }
    // Opening the backup's own key set proves that this is its master key before anything is written.
    let scratch = tempfile::tempdir().context("a directory to try the key in")?;
    fs::copy(backup.join("keys/keyset"), scratch.path().join("keyset"))
        .context("the backup's key set")?;
    Keyring::open(scratch.path(), key)?;
    let (from, store) = (backup.to_owned(), store_dir(data));
    let bar = progress.clone();
    let report = tokio::task::spawn_blocking(move || {
        vaxel_storage::restore(&from, &store, &|done, total| bar.set(done, total))
    })
    .await
    .context("restoring")??;
    plugin::copy_packages(backup, data).context("copying the installed packages")?;
    if let Some(key_file) = key_file {
        let to = data.join("master.key");
        fs::copy(key_file, &to).context("copying the master key")?;
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
    }
    Ok(json!({
        "restored": data,
        "bytes": report.bytes,
        "text": format!("{} checked and restored into {}.", crate::output::size(report.bytes), data.display()),
    }))
}
