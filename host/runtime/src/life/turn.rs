//! Turning a plugin's switch in a tenant: what the new row says, or why it may not be turned so.

use std::collections::BTreeSet;
use std::sync::Arc;

use vaxel_core::{OpCx, PluginId, TenantId};

use crate::lifecycle::Moment;
use crate::manifest::Grants;
use crate::package::Plugin;
use crate::registry::{Family, Former, Stage, Switch};
use crate::runtime::Inner;
use crate::{RuntimeError, registry::Unavailable};

/// How often a switch is tried that somebody else turns at the same time.
const TRIES: u32 = 3;

/// What is to be done with a plugin in a tenant. Grants that are not given are all that is asked for where a plugin is
/// switched on, and what was granted before where it goes to another version.
pub(crate) enum Turn<'a> {
    /// Without a version: the one that runs, else the one that is offered.
    On {
        version: Option<&'a str>,
        grants: Option<&'a BTreeSet<String>>,
    },
    Off,
    /// With a version only if that is the one that runs: hosts and methods behind an id are another version's own.
    Grant {
        version: Option<&'a str>,
        grants: &'a BTreeSet<String>,
    },
    Upgrade {
        version: &'a str,
        grants: Option<&'a BTreeSet<String>>,
    },
    Rollback,
    /// The operator's rollout goes on here.
    Move {
        version: &'a str,
    },
    /// The operator's rollout is taken back here.
    TakeBack {
        version: &'a str,
    },
    /// As if it had never been switched on.
    Forget,
}

impl Inner {
    /// Whether a turn would be possible as things stand.
    pub(super) fn would_turn(&self, tenant: TenantId, plugin: &PluginId, turn: &Turn<'_>) -> bool {
        let family = self.registry.family(plugin);
        self.registry.tenant(tenant).is_ok_and(|tenant| {
            let decided = Decision {
                plugin,
                family: family.as_deref(),
                stage: tenant.stage,
                switch: tenant.switch(plugin),
            };
            decided.of(turn).is_ok()
        })
    }

    /// Turns the switch. What it was before comes back.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        cx: &OpCx,
        plugin: &PluginId,
        turn: &Turn<'_>,
    ) -> Result<Option<Switch>, RuntimeError> {
        for _ in 0..TRIES {
            let tenant = self.registry.tenant(cx.tenant)?;
            let family = self.registry.family(plugin);
            let before = tenant.switch(plugin).cloned();
            let decided = Decision {
                plugin,
                family: family.as_deref(),
                stage: tenant.stage,
                switch: before.as_ref(),
            };
            let after = decided.of(turn)?;
            let ends_suspension = !matches!(turn, Turn::Grant { .. });
            let moment = Moment {
                cx,
                plugin,
                was: &tenant,
                family: family.as_deref(),
                before: before.as_ref(),
                after: after.as_ref(),
            };
            self.before_turn(&moment).await?;
            let turned = self.registry.turn(
                cx.tenant,
                plugin,
                before.as_ref(),
                after.clone(),
                ends_suspension,
            );
            if turned.await? {
                self.after_turn(&moment).await?;
                return Ok(before);
            }
        }
        Err(RuntimeError::Changed)
    }
}

/// What a decision is made from.
struct Decision<'a> {
    plugin: &'a PluginId,
    family: Option<&'a Family>,
    stage: Stage,
    switch: Option<&'a Switch>,
}

impl Decision<'_> {
    fn of(&self, turn: &Turn<'_>) -> Result<Option<Switch>, RuntimeError> {
        match *turn {
            Turn::On { version, grants } => self.on(version, grants).map(Some),
            Turn::Off => self.off().map(Some),
            Turn::Grant { version, grants } => {
                let (family, switch) = self.is_on()?;
                let runs = family.version_of(switch);
                if version.is_some_and(|version| version != runs) {
                    return Err(RuntimeError::refused(
                        "version_changed",
                        format!("{runs} runs by now"),
                    ));
                }
                let plugin = self.usable(family, family.version_of(switch))?;
                Ok(Some(Switch {
                    granted: Arc::new(Grants::of_ids(&plugin.asks, grants)?),
                    ..switch.clone()
                }))
            }
            Turn::Upgrade { version, grants } => self.to(version, grants, false).map(Some),
            Turn::Move { version } => {
                if self
                    .switch
                    .is_some_and(|switch| switch.left.as_deref() == Some(version))
                {
                    return Err(RuntimeError::refused(
                        "left",
                        "its administrators went back",
                    ));
                }
                self.to(version, None, true).map(Some)
            }
            Turn::Rollback => {
                let (family, switch) = self.is_on()?;
                let left = Some(family.version_of(switch).to_owned());
                Ok(Some(Switch {
                    left,
                    ..self.back()?
                }))
            }
            Turn::TakeBack { version } => {
                let (family, switch) = self.is_on()?;
                let moved = switch.former.as_ref().is_some_and(|f| f.by_rollout);
                if !moved || family.version_of(switch) != version {
                    return Err(RuntimeError::refused("not_moved", "no rollout brought it"));
                }
                self.back().map(Some)
            }
            Turn::Forget => match self.switch {
                Some(_) => Ok(None),
                None => Err(self.unknown()),
            },
        }
    }

    fn on(
        &self,
        version: Option<&str>,
        grants: Option<&BTreeSet<String>>,
    ) -> Result<Switch, RuntimeError> {
        let family = self.family.ok_or_else(|| self.unknown())?;
        if let Some(version) = version
            && !family.is_promoted(version, self.stage)
        {
            return Err(self.not_promoted(version));
        }
        let running = self
            .switch
            .filter(|switch| switch.on)
            .map(|switch| family.version_of(switch))
            .filter(|version| family.is_promoted(version, self.stage));
        let version = match version.or(running) {
            Some(version) => version,
            None => family
                .offered(self.stage)
                .ok_or_else(|| self.not_promoted(&family.current))?,
        };
        let plugin = self.usable(family, version)?;
        let granted = match grants {
            Some(ids) => Grants::of_ids(&plugin.asks, ids)?,
            None => Grants::all(&plugin.asks),
        };
        let former = match self.switch {
            Some(switch) if family.version_of(switch) == version => switch.former.clone(),
            Some(switch) => Some(former(family, switch, false)),
            None => None,
        };
        Ok(Switch {
            on: true,
            granted: Arc::new(granted),
            version: (!family.is_brought_along).then(|| version.to_owned()),
            former,
            left: self.switch.and_then(|switch| switch.left.clone()),
        })
    }

    fn off(&self) -> Result<Switch, RuntimeError> {
        match (self.switch, self.family) {
            // One that cannot be used, or is gone, can still be switched off.
            (Some(switch), family) if switch.on || family.is_some() => Ok(Switch {
                on: false,
                ..switch.clone()
            }),
            (None, Some(_)) => Ok(Switch::default()),
            _ => Err(self.unknown()),
        }
    }

    fn to(
        &self,
        version: &str,
        grants: Option<&BTreeSet<String>>,
        by_rollout: bool,
    ) -> Result<Switch, RuntimeError> {
        let (family, switch) = self.is_on()?;
        if family.is_brought_along {
            return Err(RuntimeError::refused(
                "comes_with_server",
                "it comes with the server, which has one version of it",
            ));
        }
        if family.version_of(switch) == version {
            return Err(RuntimeError::refused(
                "same_version",
                format!("{version} is what runs"),
            ));
        }
        let plugin = self.usable(family, version)?;
        if !family.is_promoted(version, self.stage) {
            return Err(self.not_promoted(version));
        }
        let granted = match grants {
            Some(ids) => Grants::of_ids(&plugin.asks, ids)?,
            None => {
                let carried = switch.granted.carried(&plugin.asks);
                carried.check_suffices(&plugin.asks, "consent_required")?;
                carried
            }
        };
        Ok(Switch {
            on: true,
            granted: Arc::new(granted),
            version: Some(version.to_owned()),
            former: Some(former(family, switch, by_rollout)),
            left: None,
        })
    }

    fn back(&self) -> Result<Switch, RuntimeError> {
        let (family, switch) = self.is_on()?;
        let former = switch
            .former
            .as_ref()
            .filter(|_| !family.is_brought_along)
            .ok_or_else(|| {
                RuntimeError::refused("no_former_version", "no other version ran here before")
            })?;
        self.usable(family, &former.version)?;
        if !family.is_promoted(&former.version, self.stage) {
            return Err(self.not_promoted(&former.version));
        }
        Ok(Switch {
            on: true,
            granted: Arc::clone(&former.granted),
            version: Some(former.version.clone()),
            former: None,
            left: None,
        })
    }

    fn is_on(&self) -> Result<(&Family, &Switch), RuntimeError> {
        let family = self.family.ok_or_else(|| self.unknown())?;
        match self.switch {
            Some(switch) if switch.on => Ok((family, switch)),
            _ => Err(RuntimeError::refused("not_on", "it is not switched on")),
        }
    }

    fn usable<'f>(
        &self,
        family: &'f Family,
        version: &str,
    ) -> Result<&'f Arc<Plugin>, RuntimeError> {
        let unusable = |why: String| RuntimeError::Unusable {
            plugin: self.plugin.clone(),
            version: version.to_owned(),
            why,
        };
        match family.versions.get(version).map(|entry| &entry.plugin) {
            Some(Ok(plugin)) => Ok(plugin),
            Some(Err(unavailable)) => {
                let Unavailable { why, .. } = &**unavailable;
                Err(unusable(why.clone()))
            }
            None => Err(unusable("it is not installed".to_owned())),
        }
    }

    fn not_promoted(&self, version: &str) -> RuntimeError {
        let (plugin, stage) = (self.plugin, self.stage.as_str());
        RuntimeError::refused(
            "not_promoted",
            format!("{plugin} {version} is not promoted to {stage}"),
        )
    }

    fn unknown(&self) -> RuntimeError {
        RuntimeError::Unknown {
            plugin: self.plugin.clone(),
        }
    }
}

fn former(family: &Family, switch: &Switch, by_rollout: bool) -> Former {
    Former {
        version: family.version_of(switch).to_owned(),
        granted: Arc::clone(&switch.granted),
        by_rollout,
    }
}
