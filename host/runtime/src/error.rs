//! What can go wrong when plugins are installed and switched.

use vaxel_core::{PluginId, Problem, Reason};
use vaxel_crypto::CryptoError;
use vaxel_storage::StorageError;

use crate::compiler::CompilerError;
use crate::vxp::PackageError;

/// Why a plugin was not installed or switched.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// plugin.toml is not what it must be.
    #[error("plugin.toml: {what}")]
    Manifest {
        /// What is wrong with it.
        what: String,
    },
    /// The component imports what the manifest does not ask for.
    #[error("the component imports {import}, which its manifest does not ask for")]
    NotAskedFor {
        /// The import as the component names it.
        import: String,
    },
    /// The component does not provide what a plugin must.
    #[error("component: {what}")]
    Component {
        /// What is wrong with it.
        what: String,
    },
    /// The component is larger than its named maximum.
    #[error("the component is larger than {max} bytes")]
    TooLarge {
        /// The maximum.
        max: usize,
    },
    /// Nobody installed this plugin.
    #[error("there is no plugin {plugin}")]
    Unknown {
        /// The asked one.
        plugin: PluginId,
    },
    /// That version cannot be used.
    #[error("{plugin} {version} cannot be used: {why}")]
    Unusable {
        /// The plugin.
        plugin: PluginId,
        /// Which of its versions.
        version: String,
        /// Why not.
        why: String,
    },
    /// It cannot be done as things stand.
    #[error("{what}")]
    Refused {
        /// The word for programs.
        code: &'static str,
        /// What stands in its way.
        what: String,
    },
    /// Somebody else turned the same switch meanwhile.
    #[error("somebody else changed the same plugin; try again")]
    Changed,
    /// Storage did not take the switch.
    #[error("storage: {0}")]
    Storage(#[from] StorageError),
    /// Keys could not be used.
    #[error("keys: {0}")]
    Keys(#[from] CryptoError),
    /// The package was refused.
    #[error("{0}")]
    Package(#[from] PackageError),
    /// The component could not be compiled.
    #[error("compiling the component: {0}")]
    Compiler(#[from] CompilerError),
    /// The plugin itself refused to be switched, or its data could not be brought along.
    #[error("{0}")]
    Life(Problem),
    /// The engine or its threads could not be started.
    #[error("{doing}: {why}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// What the engine said.
        why: String,
    },
}

impl RuntimeError {
    /// What it amounts to for a caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Manifest { .. } | Self::NotAskedFor { .. } | Self::Component { .. } => {
                Reason::Invalid
            }
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Unknown { .. } => Reason::NotFound,
            Self::Refused { .. } | Self::Unusable { .. } => Reason::Refused,
            Self::Changed => Reason::Conflict,
            Self::Storage(error) => error.reason(),
            Self::Package(error) => error.reason(),
            Self::Compiler(error) => error.reason(),
            Self::Life(problem) => problem.reason,
            Self::Keys(_) | Self::Engine { .. } => Reason::Internal,
        }
    }

    /// What a caller may read of it.
    pub fn problem(&self) -> Problem {
        match (self.reason(), self) {
            (_, Self::Life(problem)) => problem.clone(),
            (Reason::Internal, _) => Reason::Internal.into(),
            (reason, Self::Refused { code, what }) => Problem::new(reason, what).with_code(*code),
            (reason, _) => Problem::new(reason, self.to_string()),
        }
    }

    pub(crate) fn refused(code: &'static str, what: impl Into<String>) -> Self {
        Self::Refused {
            code,
            what: what.into(),
        }
    }

    pub(crate) fn component(what: impl Into<String>) -> Self {
        Self::Component { what: what.into() }
    }

    pub(crate) fn engine(doing: &'static str) -> impl FnOnce(wasmtime::Error) -> Self {
        move |error| Self::Engine {
            doing,
            why: format!("{error:#}"),
        }
    }
}
