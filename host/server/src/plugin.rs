//! Plugin packages: what authors do with them on their own machine, and what operators do with them on a server.

pub(crate) mod approve;
pub(crate) mod author;
pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod inspect;
pub(crate) mod life;
pub(crate) mod new;
mod operate;
mod rollout;
pub(crate) mod scenario;
mod tenant;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Place;

pub(crate) use life::{LifeCommand, LifeOperation};
pub(crate) use operate::{copy_packages, install, installed, promote, remove, watch};
pub(crate) use rollout::steer;

/// What the server is told to be a compiler, and nothing else: its first argument.
pub(crate) const COMPILE: &str = "compile-component";

/// Whether this process was started to compile, and then how that went. Asked before anything else happens.
pub(crate) fn compile_if_told() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(COMPILE) {
        return None;
    }
    let settings: Vec<String> = arguments.collect();
    Some(vaxel_runtime::compile_in_this_process(&settings))
}

/// What is done with packages.
#[derive(Subcommand)]
pub(crate) enum PackageCommand {
    /// Install a package (.vxp) on this server, beside its other versions. Organizations switch it on themselves.
    ///
    /// The package must be signed by a publisher in the trust file ([plugins] trust = "PATH" in the configuration,
    /// DATA/trust.toml by default); unsigned ones are taken only by a server that runs with --dev or --demo.
    Install {
        #[command(flatten)]
        place: Place,
        /// The package.
        file: PathBuf,
        /// Install it although a newer version is, or was, installed.
        #[arg(long)]
        downgrade: bool,
    },
    /// Remove a package that no organization has switched on. What it stored stays.
    Remove {
        #[command(flatten)]
        place: Place,
        /// Which plugin.
        plugin: String,
        /// Forget its publisher and its version too: anybody in the trust file may take the name then.
        #[arg(long)]
        forget: bool,
    },
    /// Begin a plugin in Rust: a folder with a manifest, a method, a test and a scenario, and the SDK.
    New {
        /// Its id: lower-case letters, digits and hyphens.
        name: String,
        /// Where; a folder of its name if not said.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Use the SDK in this folder instead of writing a copy of it into the plugin.
        #[arg(long)]
        sdk: Option<PathBuf>,
    },
    /// Build a plugin's folder into DIR/package: plugin.toml and component.wasm.
    Build {
        /// The folder with plugin.toml and Cargo.toml.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Tell the scenarios of a built plugin against its component, in the server's own runtime.
    Test {
        /// The folder with package/ and scenarios/.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Scenario files; all of DIR/scenarios if none is given.
        files: Vec<PathBuf>,
    },
    /// Make a key to sign packages with. Prints the public half, which operators put in their trust file.
    Keygen {
        /// Where to write the secret half (mode 0600); must not exist.
        file: PathBuf,
    },
    /// Pack a folder (plugin.toml, component.wasm, i18n/*.toml, LICENSE, README) into a package.
    Pack {
        /// The folder.
        dir: PathBuf,
        /// Where to write the package.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Sign a package in place, instead of any signature it has.
    Sign {
        /// The package.
        file: PathBuf,
        /// The secret key's file.
        #[arg(long)]
        key: PathBuf,
        /// The first day on which it may no longer be installed by this signature, like 2027-12-31.
        #[arg(long, value_parser = author::parse_day)]
        expires: Option<vaxel_core::UnixMs>,
    },
    /// Try a package or a folder as an installation would, show all that an admin will be asked to consent to, and
    /// name everything that is wrong with it. Installs nothing.
    Check {
        /// The package or folder.
        path: PathBuf,
        /// Ask this trust file, too, whether the package is signed by somebody who may publish it.
        #[arg(long)]
        trust: Option<PathBuf>,
    },
    /// Show a package's files, hashes and signer, and whether this server would trust it.
    Inspect {
        #[command(flatten)]
        place: Place,
        /// The package.
        file: PathBuf,
    },
    /// Sign that a package may go as far as a stage, where the operator wants such approvals.
    Approve {
        /// The package.
        file: PathBuf,
        /// How far: staging or production.
        #[arg(long)]
        stage: vaxel_runtime::Stage,
        /// The secret key's file; the trust file names its public half under [[approvers]].
        #[arg(long)]
        key: PathBuf,
        /// Where to write the approval; beside the package by default.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Let an installed version go one stage further, with the approvals that the trust file requires.
    Promote {
        #[command(flatten)]
        place: Place,
        /// Which plugin.
        plugin: vaxel_core::PluginId,
        /// Which version.
        version: String,
        /// The file of an approval; given once for each.
        #[arg(long = "approval", required = true)]
        approvals: Vec<PathBuf>,
    },
    /// Add packages and keys to a signed revocation list, making it if it is not there.
    Revoke {
        /// The list.
        list: PathBuf,
        /// The secret key's file; the trust file names its public half under [revocations].
        #[arg(long)]
        key: PathBuf,
        /// A package, by its file or its hash; may be given several times.
        #[arg(long)]
        package: Vec<String>,
        /// A publisher's key, by its thumbprint; may be given several times.
        #[arg(long)]
        signer: Vec<String>,
    },
}
