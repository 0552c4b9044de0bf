//! Packages as the operator sees them, and where they are looked for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use vaxel_core::{PluginId, UnixMs};

use crate::Stage;

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

/// An installed package as the operator sees it: the version that was installed last, and all that are there.
#[derive(Clone, Debug, Serialize)]
pub struct PackageState {
    /// The plugin.
    pub id: PluginId,
    /// The version that was installed last.
    #[serde(flatten)]
    pub current: VersionState,
    /// All that are installed.
    pub versions: Vec<VersionState>,
}

/// An installed version as the operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct VersionState {
    /// Its name for people.
    pub name: String,
    /// Its number.
    pub version: String,
    /// Who published it; nobody, if it is not signed.
    pub publisher: Option<String>,
    /// Thumbprint of the key that signed it.
    pub key: Option<String>,
    /// What names the package and no other.
    pub hash: String,
    /// When it was installed.
    pub installed_at: UnixMs,
    /// How far it was promoted.
    pub stage: Stage,
    /// Who approved that, by stage.
    pub approved_by: BTreeMap<Stage, Vec<String>>,
    /// Why it is not in use, if it is not.
    pub unavailable: Option<String>,
}

/// What an installation did.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What is there now.
    pub package: PackageState,
    /// The version that was installed before.
    pub former: Option<String>,
}
