//! Installed packages, several versions of each: files beside the data, rows in the system's storage that say which of
//! them count.

mod beliefs;
mod files;
mod looking;
mod promotion;
mod rows;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use semver::Version;
use vaxel_core::{Alarms, Clock, PluginId};
use vaxel_storage::Storage;

use crate::package::Plugin;
use crate::registry::{Entry, Family};
use crate::runtime::note_installed;
use crate::vxp::{Package, PackageError, Signer};
use crate::{Runtime, RuntimeError, Stage};
use beliefs::Beliefs;
use files::Files;
use rows::{Kept, Row, Rows};
pub use state::{Installed, PackageState, PackagesConfig, VersionState};

/// How many of the newest versions stay installed although nobody runs them.
const NEWEST_KEPT: usize = 2;

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
    /// What is installed, and of each version why it is not in use.
    states: Mutex<BTreeMap<PluginId, (Row, Reasons)>>,
    /// What was said about the files last, by the alarm's code: once is enough.
    said: Mutex<BTreeMap<&'static str, String>>,
    /// One installation at a time: each has a compiler.
    installing: tokio::sync::Mutex<()>,
    /// Held while something is installed, removed or looked over again; holds what all packages were asked about last.
    changing: tokio::sync::Mutex<Option<Beliefs>>,
}

/// By version, why it is not in use, if it is not.
type Reasons = BTreeMap<String, Option<String>>;

impl Packages {
    /// Sweeps what an interrupted installation left and what nobody needs any more, then takes in everything that is
    /// installed and still trusted. What is not is unavailable, with its reason and an alarm.
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
        packages.inner.runtime.sweep_compiled().await;
        packages.inner.runtime.open_rollouts()?;
        Ok(packages)
    }

    /// Installs a package beside its other versions, or refuses it by name. Durable when it answers; an interruption
    /// leaves what was there. Nobody is moved to it.
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
        let (signer, stage, former) = inner.may_install(&package, may_downgrade).await?;

        // From here on: the file beside the old ones, the row that makes it count, then everything that follows.
        let (id, version) = (package.id(), &package.manifest.version);
        inner.files.write(id, version, bytes).await?;
        let _switches = inner.runtime.registry().hold_switches().await;
        let kept = Kept::of(&package, signer, stage, inner.clock.now());
        let row = Row::with(former.as_ref(), version, kept);
        let row = inner.without_the_unneeded(id, row)?;
        inner.rows.put(id, &row).await?;
        note_installed(&plugin);
        inner.take_in(id, &row, version, plugin);
        inner.files.keep_only(id, &row);
        inner.runtime.sweep_compiled().await;
        let package = inner.note(id, row, |reasons| {
            reasons.insert(version.clone(), None);
        });
        let not_installed = || PackageError::NotInstalled { plugin: id.clone() };
        let package = package.ok_or_else(not_installed)?;
        Ok(Installed {
            package,
            former: former.filter(|row| !row.removed).map(|row| row.version),
        })
    }

    /// What is installed.
    pub fn list(&self) -> Vec<PackageState> {
        let states = self.inner.states.lock();
        states
            .iter()
            .filter_map(|(id, (row, reasons))| row.state(id, reasons))
            .collect()
    }

    /// Removes a package, with all its versions, that no tenant has on. Its id stays bound to its publisher, and older
    /// versions stay older, unless that is to be forgotten too.
    pub async fn remove(&self, plugin: &PluginId, forget: bool) -> Result<(), RuntimeError> {
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
        let tenants = inner.runtime.tenants();
        let on = |tenant: &&_| inner.runtime.is_switched_on(**tenant, plugin);
        let count = tenants.iter().filter(on).count();
        // A plugin of this id that comes with the server is not what is removed.
        let is_ours = !registry.is_brought_along(plugin);
        if count > 0 && is_ours {
            let plugin = plugin.clone();
            return Err(PackageError::InUse { plugin, count }.into());
        }
        if forget {
            inner.rows.delete(plugin).await?;
        } else {
            inner.rows.put(plugin, &row.removed()).await?;
        }
        inner.runtime.forget_rollout(plugin).await?;
        if is_ours {
            registry.change(plugin, |family| *family = Family::default());
        }
        inner.states.lock().remove(plugin);
        inner.files.forget(plugin);
        inner.runtime.sweep_compiled().await;
        Ok(())
    }

    /// Reads the trust file and the revocation list again. Answers the plugins of which a version came into use or
    /// went out of it.
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
        let changed: BTreeSet<_> = before.symmetric_difference(&after).collect();
        changed.into_iter().map(|(id, _)| id.clone()).collect()
    }

    fn available(&self) -> BTreeSet<(PluginId, String)> {
        let states = self.inner.states.lock();
        let each = states.iter().flat_map(|(id, (_, reasons))| {
            let usable = reasons.iter().filter(|(_, why)| why.is_none());
            usable.map(|(version, _)| (id.clone(), version.clone()))
        });
        each.collect()
    }
}

impl Inner {
    /// A version answers where it was chosen from the next call on. Those that the row does not name are let go.
    fn take_in(&self, id: &PluginId, row: &Row, version: &str, plugin: Plugin) {
        let Some(kept) = row.versions.get(version) else {
            return;
        };
        let entry = Entry {
            plugin: Ok(Arc::new(plugin)),
            publisher: kept.publisher.clone(),
            stage: kept.stage,
        };
        self.runtime.registry().change(id, |family| {
            family.versions.insert(version.to_owned(), entry);
            family
                .versions
                .retain(|version, _| row.versions.contains_key(version));
            family.current.clone_from(&row.version);
            family.unpinned.clone_from(&row.unpinned);
        });
    }

    fn note(
        &self,
        id: &PluginId,
        row: Row,
        change: impl FnOnce(&mut Reasons),
    ) -> Option<PackageState> {
        let mut states = self.states.lock();
        let (_, mut reasons) = states.remove(id).unwrap_or((row.clone(), Reasons::new()));
        change(&mut reasons);
        reasons.retain(|version, _| row.versions.contains_key(version));
        let state = row.state(id, &reasons);
        states.insert(id.clone(), (row, reasons));
        state
    }

    /// The row without versions that nobody runs or would go back to, and that are not among the newest.
    fn without_the_unneeded(&self, id: &PluginId, row: Row) -> Result<Row, RuntimeError> {
        let registry = self.runtime.registry();
        let mut needed = BTreeSet::from([row.version.clone()]);
        let mut newest: Vec<(Version, &String)> = row
            .versions
            .keys()
            .filter_map(|version| Some((Version::parse(version).ok()?, version)))
            .collect();
        newest.sort();
        let newest = newest.into_iter().rev().take(NEWEST_KEPT);
        needed.extend(newest.map(|(_, version)| version.clone()));
        for tenant in self.runtime.tenants() {
            let plugins = registry.tenant(tenant)?;
            if let Some(switch) = plugins.switch(id) {
                let running = switch.version.as_ref().or(row.unpinned.as_ref());
                needed.extend(running.filter(|_| switch.on).cloned());
                needed.extend(switch.former.as_ref().map(|former| former.version.clone()));
            }
        }
        if let Some(rollout) = registry.family(id).and_then(|f| f.rollout.clone()) {
            needed.extend([rollout.version.clone(), rollout.base.clone()]);
        }
        let mut row = row;
        row.versions.retain(|version, _| needed.contains(version));
        Ok(row)
    }

    /// Whose package it is, how far it counts as promoted, and what was installed before, if it may be installed now.
    async fn may_install(
        &self,
        package: &Package,
        may_downgrade: bool,
    ) -> Result<(Option<Signer>, Stage, Option<Row>), RuntimeError> {
        let beliefs = self.beliefs().await?;
        let signer = self.signer(package, &beliefs, self.clock.now())?;
        let row = self.rows.get(package.id())?;
        self.may_come(package, signer.as_ref(), row.as_ref(), may_downgrade)?;
        Ok((signer, beliefs.trust.first_stage(), row))
    }

    fn may_come(
        &self,
        package: &Package,
        signer: Option<&Signer>,
        row: Option<&Row>,
        may_downgrade: bool,
    ) -> Result<(), PackageError> {
        let plugin = package.id();
        if self.runtime.registry().is_brought_along(plugin) {
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
        let same = row.versions.get(&package.manifest.version);
        if same.is_some_and(|same| package.hash() != same.hash) {
            return Err(PackageError::SameVersion {
                plugin: plugin.clone(),
                version: package.manifest.version.clone(),
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
