//! The plugin runtime: components run in a fresh instance per call, inside one transaction, within named limits.

mod admission;
mod call;
mod capability;
mod compiled;
mod compiler;
mod config;
mod directory;
mod engine;
mod error;
mod examine;
mod guest;
mod idempotency;
mod instance;
mod ledger;
mod manifest;
mod outcome;
mod pace;
mod package;
mod packages;
mod registry;
mod rehearsal;
mod runtime;
mod trusted;
mod usage;
mod vxp;
mod work;
mod workers;

pub use admission::Health;
pub use call::{Caller, PluginCall};
pub use compiler::{Compiler, CompilerError, compile_in_this_process};
pub use config::{Limits, RuntimeConfig};
pub use directory::{Directory, Person};
pub use error::RuntimeError;
pub use examine::examine;
pub use ledger::{Budget, BudgetState, DayUse, LifeUse, Metric, WorkUse, WouldTouch, WouldUse};
pub use manifest::{
    Ask, AskKind, Capability, Connection, ConnectionKind, Failing, Grants, Hook, HttpIn, Job,
    Manifest, Page, Permission, Subscription, When,
};
pub use package::{Method, PackageFiles};
pub use packages::{Installed, PackageState, Packages, PackagesConfig};
pub use registry::PluginState;
pub use runtime::Runtime;
pub use vxp::{
    File, PACKAGE_BYTES_MAX, Package, PackageError, Revocations, Signature, Signer, Trust,
};
