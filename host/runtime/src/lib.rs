//! The plugin runtime: components run in a fresh instance per call, inside one transaction, within named limits.

mod admission;
mod call;
mod capability;
mod compiled;
mod config;
mod directory;
mod engine;
mod error;
mod guest;
mod idempotency;
mod instance;
mod manifest;
mod outcome;
mod pace;
mod package;
mod registry;
mod runtime;
mod trusted;
mod workers;

pub use admission::Health;
pub use call::{Caller, PluginCall};
pub use config::{Limits, RuntimeConfig};
pub use directory::{Directory, Person};
pub use error::RuntimeError;
pub use manifest::{Capability, Manifest, Permission};
pub use package::{Method, PackageFiles};
pub use registry::PluginState;
pub use runtime::Runtime;
