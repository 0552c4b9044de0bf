//! Looking over what is installed: which versions are what was installed and are still trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use vaxel_core::{AlarmLevel, PluginId};

use super::rows::{Kept, Row};
use super::{Beliefs, Inner, Reasons, bound, read};
use crate::RuntimeError;
use crate::package::Plugin;
use crate::registry::{Entry, Unavailable};
use crate::runtime::note_installed;
use crate::vxp::PackageError;

impl Inner {
    /// Believes what the files say now and, if that is news, asks of each version whether it may be used.
    pub(super) async fn look_over(
        &self,
        believed: &mut Option<Beliefs>,
        rows: &BTreeMap<PluginId, Row>,
    ) {
        let installed = rows.iter().filter(|(_, row)| !row.removed);
        let beliefs = match self.beliefs().await {
            Ok(beliefs) => beliefs,
            // What was believed before still holds for what is in use; without it, nothing does.
            Err(error) => {
                let detail = format!("what is trusted cannot be read: {error}");
                self.say_once("packages.trust", detail);
                if believed.is_none() {
                    for (id, row) in installed {
                        let all = row.versions.keys();
                        let nothing = all.map(|version| (version.clone(), Err(error.to_string())));
                        self.settle(id, row, nothing.collect());
                    }
                }
                return;
            }
        };
        self.said.lock().remove("packages.trust");
        if believed.as_ref().is_some_and(|b| b.stamp == beliefs.stamp) {
            return;
        }
        for (id, row) in installed {
            let mut found = BTreeMap::new();
            for (version, kept) in &row.versions {
                let usable = self.version(id, row, version, kept, &beliefs).await;
                found.insert(version.clone(), usable.map_err(|error| error.to_string()));
            }
            self.settle(id, row, found);
        }
        *believed = Some(beliefs);
    }

    /// The plugin of a version that may be used; the one that is in use stays the same.
    async fn version(
        &self,
        id: &PluginId,
        row: &Row,
        version: &str,
        kept: &Kept,
        beliefs: &Beliefs,
    ) -> Result<Arc<Plugin>, RuntimeError> {
        let files = self.usable(id, row, version, kept, beliefs).await?;
        let is_usable = {
            let states = self.states.lock();
            states
                .get(id)
                .is_some_and(|(_, reasons)| reasons.get(version) == Some(&None))
        };
        let family = self.runtime.registry().family(id).filter(|_| is_usable);
        if let Some(plugin) = family.and_then(|family| family.plugin(version).cloned()) {
            return Ok(plugin);
        }
        let plugin = self.runtime.prepare(files).await?;
        note_installed(&plugin);
        Ok(Arc::new(plugin))
    }

    /// Whether an installed package is what was installed and is still trusted.
    async fn usable(
        &self,
        id: &PluginId,
        row: &Row,
        version: &str,
        kept: &Kept,
        beliefs: &Beliefs,
    ) -> Result<crate::PackageFiles, RuntimeError> {
        if self.runtime.registry().is_brought_along(id) {
            return Err(PackageError::BuiltIn { plugin: id.clone() }.into());
        }
        let (package, _) = read(self.files.read(id, version).await?).await?;
        if package.id() != id || package.hash() != kept.hash {
            return Err(PackageError::File {
                what: "not the one that was installed".to_owned(),
            }
            .into());
        }
        // As of then: a signature ends the time in which a package may be installed, not its life.
        let signer = self.signer(&package, beliefs, kept.installed_at)?;
        bound(id, row, signer.as_ref())?;
        package.to_files()
    }

    /// Lets calls go to what was found usable, and says of the rest why not.
    fn settle(
        &self,
        id: &PluginId,
        row: &Row,
        found: BTreeMap<String, Result<Arc<Plugin>, String>>,
    ) {
        let (mut versions, mut reasons) = (BTreeMap::new(), Reasons::new());
        for (version, found) in found {
            let Some(kept) = row.versions.get(&version) else {
                continue;
            };
            let why = found.as_ref().err().cloned();
            if let Some(why) = &why {
                self.alarms.raise(
                    AlarmLevel::Warning,
                    "packages.unavailable",
                    &format!("the plugin {id} {version} is not used: {why}"),
                );
            }
            let entry = Entry {
                plugin: found.map_err(|why| {
                    let name = kept.name.clone();
                    Arc::new(Unavailable { name, why })
                }),
                publisher: kept.publisher.clone(),
                stage: kept.stage,
            };
            versions.insert(version.clone(), entry);
            reasons.insert(version, why);
        }
        let registry = self.runtime.registry();
        if !registry.is_brought_along(id) {
            registry.change(id, |family| {
                family.versions = versions;
                family.current.clone_from(&row.version);
                family.unpinned.clone_from(&row.unpinned);
            });
        }
        self.note(id, row.clone(), |known| *known = reasons);
    }
}
