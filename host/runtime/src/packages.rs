//! Installed packages: files beside the data, rows in the system's storage that say which of them count.

mod files;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use semver::Version;
use serde::Serialize;
use vaxel_core::{AlarmLevel, Alarms, Clock, PluginId, TenantId, UnixMs};
use vaxel_storage::Storage;

use crate::package::Plugin;
use crate::registry::Unavailable;
use crate::vxp::{Package, PackageError, Revocations, Signer, Trust};
use crate::{Runtime, RuntimeError};
use files::Files;
use rows::{Row, Rows};

/// Where packages lie and whom to believe.
#[derive(Clone, Debug)]
pub struct PackagesConfig {
    /// The directory of installed packages.
    pub dir: PathBuf,
    /// The operator's trust file.
    pub trust: PathBuf,
    /// Whether packages that nobody signed may be installed and used.
    pub allow_unsigned: bool,
}

/// An installed package as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct PackageState {
    /// The plugin.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// The installed version.
    pub version: String,
    /// Who published it; nobody, if it is not signed.
    pub publisher: Option<String>,
    /// Thumbprint of the key that signed it.
    pub key: Option<String>,
    /// What names the package and no other.
    pub hash: String,
    /// When it was installed.
    pub installed_at: UnixMs,
    /// Why it is not in use, if it is not.
    pub unavailable: Option<String>,
}

/// What an installation did.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What is there now.
    pub package: PackageState,
    /// The version that was there before.
    pub former: Option<String>,
}

/// All installed packages. Clones share them.
#[derive(Clone)]
pub struct Packages {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    clock: Arc<dyn Clock>,
    alarms: Arc<dyn Alarms>,
    files: Files,
    rows: Rows,
    trust: PathBuf,
    allow_unsigned: bool,
    states: Mutex<BTreeMap<PluginId, PackageState>>,
    /// What was said about the files last, by the alarm's code: once is enough.
    said: Mutex<BTreeMap<&'static str, String>>,
    /// One installation at a time: each has a compiler.
    installing: tokio::sync::Mutex<()>,
    /// Held while something is installed, removed or looked over again; holds what all packages were asked about last.
    changing: tokio::sync::Mutex<Option<Beliefs>>,
}

/// Whom the operator trusts, and what was taken back.
#[derive(Clone)]
struct Beliefs {
    trust: Trust,
    revoked: Option<Revocations>,
    /// The trust file's text may say the same in another way; looking over everything again costs little.
    stamp: (String, Option<u64>),
}

impl Packages {
    /// Sweeps what an interrupted installation left, then takes in everything that is installed and still trusted.
    /// What is not is unavailable, with its reason and an alarm.
    pub async fn open(
        config: PackagesConfig,
        runtime: Runtime,
        storage: Storage,
        clock: Arc<dyn Clock>,
        alarms: Arc<dyn Alarms>,
    ) -> Result<Self, RuntimeError> {
        let inner = Arc::new(Inner {
            runtime,
            clock,
            alarms,
            files: Files::new(config.dir),
            rows: Rows::new(storage),
            trust: config.trust,
            allow_unsigned: config.allow_unsigned,
            states: Mutex::default(),
            said: Mutex::default(),
            installing: tokio::sync::Mutex::default(),
            changing: tokio::sync::Mutex::new(None),
        });
        let packages = Self { inner };
        let rows = packages.inner.rows.all()?;
        packages.inner.files.sweep(&rows);
        if rows.values().any(|row| !row.removed) {
            let mut believed = packages.inner.changing.lock().await;
            packages.inner.look_over(&mut believed, &rows).await;
        }
        Ok(packages)
    }

    /// Installs a package, or refuses it by name. Durable when it answers; an interruption leaves what was there.
    pub async fn install(
        &self,
        bytes: Vec<u8>,
        may_downgrade: bool,
    ) -> Result<Installed, RuntimeError> {
        let inner = &self.inner;
        let _installing = inner.installing.lock().await;
        let (package, bytes) = read(bytes).await?;
        // Asked before a stranger's component is compiled, and again after: compiling takes its time.
        inner.may_install(&package, may_downgrade).await?;
        let plugin = inner.runtime.prepare(package.to_files()?).await?;
        let _changing = inner.changing.lock().await;
        let (signer, row) = inner.may_install(&package, may_downgrade).await?;

        // From here on: the file beside the old one, the row that makes it count, then everything that follows.
        let new = Row::of(&package, signer, inner.clock.now());
        inner.files.write(package.id(), &new.version, bytes).await?;
        inner.rows.put(package.id(), &new).await?;
        inner.runtime.take_in(plugin);
        inner.files.keep_only(package.id(), &new.version);
        let state = new.state(package.id(), None);
        inner
            .states
            .lock()
            .insert(package.id().clone(), state.clone());
        Ok(Installed {
            package: state,
            former: row.filter(|row| !row.removed).map(|row| row.version),
        })
    }

    /// What is installed.
    pub fn list(&self) -> Vec<PackageState> {
        self.inner.states.lock().values().cloned().collect()
    }

    /// Removes a package that none of these tenants has on. Its id stays bound to its publisher, and older versions
    /// stay older, unless that is to be forgotten too.
    pub async fn remove(
        &self,
        plugin: &PluginId,
        tenants: &[TenantId],
        forget: bool,
    ) -> Result<(), RuntimeError> {
        let inner = &self.inner;
        let _believed = inner.changing.lock().await;
        let not_installed = || PackageError::NotInstalled {
            plugin: plugin.clone(),
        };
        let row = inner.rows.get(plugin)?.ok_or_else(not_installed)?;
        if row.removed && !forget {
            return Err(not_installed().into());
        }
        let registry = inner.runtime.registry();
        let _switches = registry.hold_switches().await;
        let on = |tenant: &&TenantId| inner.runtime.is_switched_on(**tenant, plugin);
        let count = tenants.iter().filter(on).count();
        // A plugin of this id that comes with the server is not what is removed.
        let is_ours = !inner.runtime.brought_along().contains(plugin);
        if count > 0 && is_ours {
            let plugin = plugin.clone();
            return Err(PackageError::InUse { plugin, count }.into());
        }
        if forget {
            inner.rows.delete(plugin).await?;
        } else {
            let removed = Row {
                removed: true,
                ..row
            };
            inner.rows.put(plugin, &removed).await?;
        }
        if is_ours {
            registry.withdraw(plugin, None);
        }
        inner.states.lock().remove(plugin);
        inner.files.forget(plugin);
        Ok(())
    }

    /// Reads the trust file and the revocation list again. Answers the plugins that came into use or went out of it.
    pub async fn recheck(&self) -> Vec<PluginId> {
        let mut believed = self.inner.changing.lock().await;
        let before = self.available();
        match self.inner.rows.all() {
            Ok(rows) if rows.values().any(|row| !row.removed) => {
                self.inner.look_over(&mut believed, &rows).await;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "reading the installed packages"),
        }
        let after = self.available();
        let changed = before.iter().filter(|id| !after.contains(id));
        changed
            .chain(after.iter().filter(|id| !before.contains(id)))
            .cloned()
            .collect()
    }

    fn available(&self) -> Vec<PluginId> {
        let states = self.inner.states.lock();
        let usable = states.values().filter(|state| state.unavailable.is_none());
        usable.map(|state| state.id.clone()).collect()
    }
}

impl Inner {
    /// Believes what the files say now and, if that is news, asks of each package whether it may be used.
    async fn look_over(&self, believed: &mut Option<Beliefs>, rows: &BTreeMap<PluginId, Row>) {
        let beliefs = match self.beliefs().await {
            Ok(beliefs) => beliefs,
            // What was believed before still holds for what is in use; without it, nothing does.
            Err(error) => {
                let detail = format!("what is trusted cannot be read: {error}");
                self.say_once("packages.trust", detail);
                if believed.is_none() {
                    for (id, row) in rows.iter().filter(|(_, row)| !row.removed) {
                        self.unavailable(id, row, &error);
                    }
                }
                return;
            }
        };
        self.said.lock().remove("packages.trust");
        if believed.as_ref().is_some_and(|b| b.stamp == beliefs.stamp) {
            return;
        }
        for (id, row) in rows.iter().filter(|(_, row)| !row.removed) {
            let in_use = {
                let states = self.states.lock();
                states
                    .get(id)
                    .is_some_and(|state| state.unavailable.is_none())
            };
            match self.usable(id, row, &beliefs).await {
                Ok(_) if in_use => {}
                Ok(plugin) => match self.runtime.prepare(plugin).await {
                    Ok(plugin) => self.available(id, row, plugin),
                    Err(error) => self.unavailable(id, row, &error),
                },
                Err(error) => self.unavailable(id, row, &error),
            }
        }
        *believed = Some(beliefs);
    }

    /// Whether an installed package is what was installed and is still trusted.
    async fn usable(
        &self,
        id: &PluginId,
        row: &Row,
        beliefs: &Beliefs,
    ) -> Result<crate::PackageFiles, RuntimeError> {
        if self.runtime.brought_along().contains(id) {
            return Err(PackageError::BuiltIn { plugin: id.clone() }.into());
        }
        let (package, _) = read(self.files.read(id, &row.version).await?).await?;
        if package.id() != id || package.hash() != row.hash {
            return Err(PackageError::File {
                what: "not the one that was installed".to_owned(),
            }
            .into());
        }
        // As of then: a signature ends the time in which a package may be installed, not its life.
        let signer = self.signer(&package, beliefs, row.installed_at)?;
        bound(id, row, signer.as_ref())?;
        package.to_files()
    }

    fn available(&self, id: &PluginId, row: &Row, plugin: Plugin) {
        self.runtime.take_in(plugin);
        let state = row.state(id, None);
        self.states.lock().insert(id.clone(), state);
    }

    fn unavailable(&self, id: &PluginId, row: &Row, error: &RuntimeError) {
        let why = error.to_string();
        self.alarms.raise(
            AlarmLevel::Warning,
            "packages.unavailable",
            &format!("the plugin {id} {} is not used: {why}", row.version),
        );
        if !self.runtime.brought_along().contains(id) {
            let unusable = Unavailable {
                name: row.name.clone(),
                version: row.version.clone(),
                why: why.clone(),
            };
            self.runtime.registry().withdraw(id, Some(unusable));
        }
        let state = row.state(id, Some(why));
        self.states.lock().insert(id.clone(), state);
    }

    /// The trust file as it is now, and the newest revocation list that was ever seen.
    async fn beliefs(&self) -> Result<Beliefs, RuntimeError> {
        let trust = Trust::load(&self.trust)?;
        let kept = self.rows.revocations()?;
        let revoked = match trust.revocations() {
            Ok(Some(list)) if kept.as_ref().is_none_or(|kept| list.number > kept.number) => {
                self.rows.keep_revocations(&list).await?;
                Some(list)
            }
            Ok(Some(list)) => {
                if kept.as_ref().is_some_and(|kept| list.number < kept.number) {
                    self.doubt("the revocation list is older than one that was seen before");
                }
                kept
            }
            Ok(None) => {
                if kept.is_some() {
                    self.doubt("the revocation list is gone");
                }
                kept
            }
            Err(error) if kept.is_some() => {
                self.doubt(&error.to_string());
                kept
            }
            Err(error) => return Err(error.into()),
        };
        let number = revoked.as_ref().map(|list| list.number);
        Ok(Beliefs {
            stamp: (format!("{trust:?}"), number),
            trust,
            revoked,
        })
    }

    fn doubt(&self, what: &str) {
        let detail = format!("{what}; the newest one that was seen still counts");
        self.say_once("packages.revocations", detail);
    }

    fn say_once(&self, code: &'static str, detail: String) {
        if self.said.lock().get(code) != Some(&detail) {
            self.alarms.raise(AlarmLevel::Warning, code, &detail);
            self.said.lock().insert(code, detail);
        }
    }

    /// Whose package it is and what it would replace, if it may be installed now.
    async fn may_install(
        &self,
        package: &Package,
        may_downgrade: bool,
    ) -> Result<(Option<Signer>, Option<Row>), RuntimeError> {
        let beliefs = self.beliefs().await?;
        let signer = self.signer(package, &beliefs, self.clock.now())?;
        let row = self.rows.get(package.id())?;
        self.may_replace(package, signer.as_ref(), row.as_ref(), may_downgrade)?;
        Ok((signer, row))
    }

    /// Who signed it; `None` only where unsigned packages may be used.
    fn signer(
        &self,
        package: &Package,
        beliefs: &Beliefs,
        at: UnixMs,
    ) -> Result<Option<Signer>, PackageError> {
        if package.signature.is_none() && self.allow_unsigned {
            return Ok(None);
        }
        let revoked = beliefs.revoked.as_ref();
        beliefs.trust.check(package, revoked, at).map(Some)
    }

    fn may_replace(
        &self,
        package: &Package,
        signer: Option<&Signer>,
        row: Option<&Row>,
        may_downgrade: bool,
    ) -> Result<(), PackageError> {
        let plugin = package.id();
        if self.runtime.brought_along().contains(plugin) {
            return Err(PackageError::BuiltIn {
                plugin: plugin.clone(),
            });
        }
        let Some(row) = row else {
            return Ok(());
        };
        bound(plugin, row, signer)?;
        let former = Version::parse(&row.version).ok();
        if former.is_some_and(|former| package.version < former) && !may_downgrade {
            return Err(PackageError::Downgrade {
                plugin: plugin.clone(),
                version: package.manifest.version.clone(),
                installed: row.version.clone(),
            });
        }
        let same_version = package.manifest.version == row.version;
        if same_version && !row.removed && package.hash() != row.hash {
            return Err(PackageError::SameVersion {
                plugin: plugin.clone(),
                version: row.version.clone(),
            });
        }
        Ok(())
    }
}

/// A plugin belongs to who published it first. What was tried out unsigned belongs to nobody yet.
fn bound(plugin: &PluginId, row: &Row, signer: Option<&Signer>) -> Result<(), PackageError> {
    let publisher = signer.map(|signer| &signer.publisher);
    match &row.publisher {
        Some(bound) if Some(bound) != publisher => Err(PackageError::OtherPublisher {
            plugin: plugin.clone(),
            bound: bound.clone(),
            publisher: publisher.map_or_else(|| "nobody (unsigned)".to_owned(), Clone::clone),
        }),
        _ => Ok(()),
    }
}

/// Reads a package where unpacking holds nobody up.
async fn read(bytes: Vec<u8>) -> Result<(Package, Vec<u8>), RuntimeError> {
    let read = tokio::task::spawn_blocking(move || Package::read(&bytes).map(|p| (p, bytes)));
    read.await.map_err(|error| RuntimeError::Engine {
        doing: "reading a package",
        why: error.to_string(),
    })?
}
