//! The life of plugins as operators type it: consent and versions for one organization.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::PluginId;

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
    /// Go back to the version that ran before in an organization.
    Rollback {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
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
    },
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
    },
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
                tenant,
                plugin,
            } => (place, LifeOperation::Rollback { tenant, plugin }),
            Self::Uninstall {
                place,
                tenant,
                plugin,
            } => (place, LifeOperation::Uninstall { tenant, plugin }),
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
            Self::Uninstall { tenant, plugin } => tenant::uninstall(house, &tenant, &plugin).await,
        }
    }
}
