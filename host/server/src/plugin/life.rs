//! The life of plugins as operators type it: consent and versions for one organization.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::PluginId;

use super::rollout::RolloutOperation;
use super::tenant;
use crate::cli::Place;
use crate::house::House;

/// What is done with plugins in organizations.
#[derive(Subcommand)]
pub(crate) enum LifeCommand {
    /// Show what a plugin asks for in an organization, what it was granted, and what a newer version would ask for.
    Show {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
    },
    /// Switch a plugin on for an organization.
    Enable {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
        /// What is granted of the things it asks for, as `show` names them, with commas between; all by default.
        #[arg(long, value_delimiter = ',')]
        grant: Vec<String>,
    },
    /// Switch a plugin off for an organization; its data stays.
    Disable {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
    },
    /// Grant a plugin that is on these of the things it asks for, and no others.
    Grant {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
        /// What is granted, as `show` names it, with commas between.
        #[arg(value_delimiter = ',', required = true)]
        grants: Vec<String>,
    },
    /// Go on with another installed version in an organization.
    Upgrade {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
        /// To which version.
        version: String,
        /// What is granted, with commas between; what was granted before by default.
        #[arg(long, value_delimiter = ',')]
        grant: Vec<String>,
    },
    /// Go back to the version that ran before: in one organization, or wherever a rollout brought the newer one.
    Rollback {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name; without it the rollout is taken back everywhere.
        #[arg(long)]
        tenant: Option<String>,
        /// Which plugin.
        plugin: PluginId,
    },
    /// Bring a version to some organizations, watch it there, and stop by itself if it does worse; or show how that goes.
    ///
    /// Organizations that would have to consent to more stay where they are. The new version is stopped and taken back
    /// when, with at least 20 calls, it fails more often than the one before by over 5 calls in 100, or when, with at
    /// least 50 calls, it takes over 1.6 times the processor time for the same calls.
    Rollout {
        #[command(flatten)]
        place: Place,
        /// Which plugin.
        plugin: PluginId,
        /// Which version; without it, show how the rollout goes.
        #[arg(requires = "whom")]
        version: Option<String>,
        #[command(flatten)]
        whom: Whom,
        /// Move nobody: run the new version beside the old one, keep nothing of it, and compare the answers.
        #[arg(long, requires = "version")]
        shadow: bool,
        /// If it stops, leave those who have it where they are.
        #[arg(long, requires = "version", conflicts_with = "shadow")]
        keep: bool,
    },
    /// List the installed versions of a plugin, and how many organizations run each.
    Versions {
        #[command(flatten)]
        place: Place,
        /// Which plugin.
        plugin: PluginId,
    },
    /// Switch a plugin off for an organization and forget what it was granted there.
    Uninstall {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: PluginId,
        /// Destroy all that it has there too: rows, files, settings, connections, and their keys. Nothing brings them back.
        #[arg(long)]
        erase: bool,
    },
}

/// Whom a rollout is meant for.
#[derive(clap::Args)]
#[group(id = "whom", multiple = false, requires = "version")]
pub(crate) struct Whom {
    /// These organizations, by their short names, with commas between.
    #[arg(long, value_delimiter = ',')]
    tenants: Vec<String>,
    /// So many organizations in a hundred: always the same ones first.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: Option<u8>,
    /// Everybody.
    #[arg(long)]
    all: bool,
}

/// The same, as it is asked of the house.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub(crate) enum LifeOperation {
    Show {
        tenant: String,
        plugin: PluginId,
    },
    Enable {
        tenant: String,
        plugin: PluginId,
        grants: Option<BTreeSet<String>>,
    },
    Disable {
        tenant: String,
        plugin: PluginId,
    },
    Grant {
        tenant: String,
        plugin: PluginId,
        grants: BTreeSet<String>,
    },
    Upgrade {
        tenant: String,
        plugin: PluginId,
        version: String,
        grants: Option<BTreeSet<String>>,
    },
    Rollback {
        tenant: String,
        plugin: PluginId,
    },
    Uninstall {
        tenant: String,
        plugin: PluginId,
        #[serde(default)]
        erase: bool,
    },
    Rollout(RolloutOperation),
}

impl LifeCommand {
    /// Where it is to be done, and what.
    pub(crate) fn into_operation(self) -> (Place, LifeOperation) {
        let given = |grant: Vec<String>| -> Option<BTreeSet<String>> {
            (!grant.is_empty()).then(|| grant.into_iter().collect())
        };
        match self {
            Self::Show {
                place,
                tenant,
                plugin,
            } => (place, LifeOperation::Show { tenant, plugin }),
            Self::Enable {
                place,
                tenant,
                plugin,
                grant,
            } => {
                let grants = given(grant);
                let operation = LifeOperation::Enable {
                    tenant,
                    plugin,
                    grants,
                };
                (place, operation)
            }
            Self::Disable {
                place,
                tenant,
                plugin,
            } => (place, LifeOperation::Disable { tenant, plugin }),
            Self::Grant {
                place,
                tenant,
                plugin,
                grants,
            } => {
                let grants = grants.into_iter().collect();
                let operation = LifeOperation::Grant {
                    tenant,
                    plugin,
                    grants,
                };
                (place, operation)
            }
            Self::Upgrade {
                place,
                tenant,
                plugin,
                version,
                grant,
            } => {
                let grants = given(grant);
                let operation = LifeOperation::Upgrade {
                    tenant,
                    plugin,
                    version,
                    grants,
                };
                (place, operation)
            }
            Self::Rollback {
                place,
                tenant: Some(tenant),
                plugin,
            } => (place, LifeOperation::Rollback { tenant, plugin }),
            Self::Rollback {
                place,
                tenant: None,
                plugin,
            } => {
                let withdraw = RolloutOperation::Withdraw { plugin };
                (place, LifeOperation::Rollout(withdraw))
            }
            Self::Rollout {
                place,
                plugin,
                version: None,
                ..
            } => {
                let status = RolloutOperation::Status { plugin };
                (place, LifeOperation::Rollout(status))
            }
            Self::Rollout {
                place,
                plugin,
                version: Some(version),
                whom,
                shadow,
                keep,
            } => {
                let begin = RolloutOperation::Begin {
                    plugin,
                    version,
                    tenants: whom.tenants,
                    percent: whom.percent,
                    shadow,
                    keep,
                };
                (place, LifeOperation::Rollout(begin))
            }
            Self::Versions { place, plugin } => {
                let versions = RolloutOperation::Versions { plugin };
                (place, LifeOperation::Rollout(versions))
            }
            Self::Uninstall {
                place,
                tenant,
                plugin,
                erase,
            } => {
                let operation = LifeOperation::Uninstall {
                    tenant,
                    plugin,
                    erase,
                };
                (place, operation)
            }
        }
    }
}

impl LifeOperation {
    /// Does it.
    pub(crate) async fn perform(self, house: &House) -> anyhow::Result<Value> {
        match self {
            Self::Show { tenant, plugin } => tenant::show(house, &tenant, &plugin),
            Self::Enable {
                tenant,
                plugin,
                grants,
            } => tenant::enable(house, &tenant, &plugin, grants).await,
            Self::Disable { tenant, plugin } => tenant::disable(house, &tenant, &plugin).await,
            Self::Grant {
                tenant,
                plugin,
                grants,
            } => tenant::grant(house, &tenant, &plugin, grants).await,
            Self::Upgrade {
                tenant,
                plugin,
                version,
                grants,
            } => tenant::upgrade(house, &tenant, &plugin, &version, grants).await,
            Self::Rollback { tenant, plugin } => tenant::rollback(house, &tenant, &plugin).await,
            Self::Uninstall {
                tenant,
                plugin,
                erase,
            } => tenant::uninstall(house, &tenant, &plugin, erase).await,
            Self::Rollout(operation) => operation.perform(house).await,
        }
    }
}
