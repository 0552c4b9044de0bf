//! The plugin runtime: components run in a fresh instance per call, inside one transaction, within named limits.

mod admission;
mod blobs;
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
mod hooks;
mod idempotency;
mod instance;
mod keeping;
mod ledger;
mod life;
mod lifecycle;
mod manifest;
mod outcome;
mod outside;
mod pace;
mod package;
mod packages;
mod pages;
mod perform;
mod queue;
mod ready;
mod registry;
mod rehearsal;
mod runtime;
mod settings;
mod trusted;
mod usage;
mod vxp;
mod work;
mod workers;

pub use admission::{Health, Origin};
pub use blobs::{Download, Upload};
pub use call::{Caller, PluginCall};
pub use compiler::{Compiler, CompilerError, compile_in_this_process};
pub use config::{Limits, RuntimeConfig};
pub use directory::{Closing, Directory, Person, ShownProof, Spending};
pub use error::RuntimeError;
pub use examine::examine;
pub use keeping::keep_going;
pub use ledger::{
    Budget, BudgetState, DayUse, LifeUse, Metric, Stored, WorkUse, WouldTouch, WouldUse,
};
pub use life::{NewRollout, RolloutState, RolloutStatus, ShadowStatus, Steered, Tallied, Target};
pub use manifest::{
    Ask, AskKind, Capability, Connection, ConnectionKind, Failing, Grants, Hook, HttpIn, Job,
    Manifest, Page, Permission, Subscription, When,
};
pub use outside::Schemas;
pub use outside::connections::ConnectionView;
pub use package::{Method, PackageFiles};
pub use packages::{Installed, PackageState, Packages, PackagesConfig, VersionState};
pub use pages::{HttpRequest, HttpResponse, PageCall, PageCheck, PageRequest};
pub use perform::{Deed, Moment};
pub use queue::DeadLetter;
pub use ready::ReadyState;
pub use registry::{AskState, PluginDetail, PluginState, Stage, State, Update, UpdateAsk};
pub use runtime::Runtime;
pub use settings::Settings;
pub use vxp::{
    APPROVAL_BYTES_MAX, Approval, File, PACKAGE_BYTES_MAX, Package, PackageError, Revocations,
    Signature, Signer, Trust,
};
