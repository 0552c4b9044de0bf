//! The commands and their flags, as people type them.

mod carry_out;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use vaxel_core::Locale;

pub(crate) use carry_out::run;

use crate::config::ServeFlags;
use crate::output;

/// Växel: a communications server for organizations, on your own machine: chat, and what its plugins add.
#[derive(Parser)]
#[command(name = "vaxel", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print results and errors as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How log lines are written to stderr.
    #[arg(long, global = true, value_enum, default_value_t = output::LogFormat::Auto, env = "VAXEL_LOG_FORMAT")]
    pub(crate) log_format: output::LogFormat,
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// A server tells what it does; a command tells its result, and on the way only what is wrong.
    pub(crate) fn log_level(&self) -> &'static str {
        match self.command {
            Command::Serve { .. } => "info",
            _ => "warn",
        }
    }
}

/// Where the data lies.
#[derive(clap::Args, Clone)]
pub(crate) struct Place {
    /// The data directory.
    #[arg(long, env = "VAXEL_DATA", default_value = "/var/lib/vaxel")]
    pub(crate) data: PathBuf,
    /// The configuration file (TOML); every key has a default.
    #[arg(long, env = "VAXEL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        flags: ServeFlags,
    },
    /// Make the master key, the first organization and its first admin.
    Init {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        tenant: TenantArgs,
        /// Login name of the first admin.
        #[arg(long, default_value = "admin")]
        admin: String,
        /// Display name of the first admin. Default: the login name.
        #[arg(long)]
        admin_name: Option<String>,
        /// Read the admin's password from standard input instead of printing a one-time link.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Organizations.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// People.
    #[command(subcommand)]
    User(UserCommand),
    /// Plugins: on this server, per organization, and for those who make them.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Signing keys and the master key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// The audit, and whether it is as it was written.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Copy everything, sealed, into a new directory while the server runs.
    Backup {
        #[command(flatten)]
        place: Place,
        /// Where to write; must not exist or be empty.
        dir: PathBuf,
    },
    /// Rebuild a data directory from a backup.
    ///
    /// The master key is in no backup. Bring its file with --master-key, or its recovery copy (or any other form of it) in
    /// the variable VAXEL_MASTER_KEY.
    Restore {
        #[command(flatten)]
        place: Place,
        /// The backup.
        dir: PathBuf,
        /// The master key's file; copied into the new data directory. Without it VAXEL_MASTER_KEY holds the key: its recovery
        /// copy, as `vaxel init` printed it.
        #[arg(long)]
        master_key: Option<PathBuf>,
    },
    /// Check the data, the keys and the machine, and say what to mend.
    Doctor {
        #[command(flatten)]
        place: Place,
        /// Confirm that the master key's recovery copy is kept in a safe place.
        #[arg(long)]
        recovery_copy_kept: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args, Clone)]
struct TenantArgs {
    /// Short name: lower-case letters, digits and hyphens.
    #[arg(long = "tenant", default_value = "main")]
    slug: String,
    /// The organization's name as people read it.
    #[arg(long)]
    name: Option<String>,
    /// Host name it is reached at; may be given several times. Default: TENANT.localhost, which only this machine reaches.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// Language that its people start with: sv or en.
    #[arg(long, default_value = "sv", value_parser = parse_locale)]
    locale: Locale,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Add an organization.
    Add {
        #[command(flatten)]
        place: Place,
        /// Short name: lower-case letters, digits and hyphens.
        slug: String,
        /// The organization's name as people read it.
        #[arg(long)]
        name: String,
        /// Host name it is reached at; may be given several times.
        #[arg(long = "host", required = true)]
        hosts: Vec<String>,
        /// Language that its people start with: sv or en.
        #[arg(long, default_value = "sv", value_parser = parse_locale)]
        locale: Locale,
    },
    /// Say what an organization is for: it runs the versions of plugins that are promoted so far.
    Stage {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        slug: String,
        /// development, staging or production.
        stage: vaxel_runtime::Stage,
    },
    /// List the organizations.
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a person: with a password from standard input, or by a one-time link.
    Add {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Login name.
        login: String,
        /// Display name.
        #[arg(long)]
        name: String,
        /// May administer the organization.
        #[arg(long)]
        admin: bool,
        /// Read the password from standard input instead of printing a one-time link.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give a person a one-time link to choose a new password.
    Reset {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Login name.
        login: String,
    },
    /// List an organization's people.
    List {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
    },
}

#[derive(Subcommand)]
enum PluginCommand {
    /// List what is installed, or what an organization has switched on.
    List {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: Option<String>,
    },
    #[command(flatten)]
    Package(crate::plugin::PackageCommand),
    /// Show what plugins used, day by day: calls, faults, processor time, memory.
    Use {
        #[command(flatten)]
        place: Place,
        /// Which plugin; without it all.
        plugin: Option<String>,
        /// One organization, by its short name; without it all.
        #[arg(long)]
        tenant: Option<String>,
        /// How many days, today included.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=90))]
        days: u64,
    },
    /// Show what a plugin would have used in an organization on the last days; nothing of it is kept.
    WouldTouch {
        #[command(flatten)]
        place: Place,
        /// Which plugin.
        plugin: String,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which installed version; by default the one that is on, or else the one that the organization would get.
        #[arg(long)]
        version: Option<String>,
        /// How many days, today included.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=7))]
        days: u64,
    },
    #[command(flatten)]
    Life(crate::plugin::LifeCommand),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Check that no entry was rewritten, removed, inserted or cut off, by the chain and its signed heads.
    Verify {
        #[command(flatten)]
        place: Place,
        /// One organization, by its short name; without it all.
        #[arg(long)]
        tenant: Option<String>,
        /// A file of heads that was kept outside (audit-heads.jsonl); without it the server's own.
        #[arg(long)]
        heads: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Sign new access tokens with a new key; the former one is accepted until its tokens have ended.
    RotateSigning {
        #[command(flatten)]
        place: Place,
    },
    /// Wrap all keys under a new master key. The server must be stopped; sealed data stays as it is.
    RotateMaster {
        #[command(flatten)]
        place: Place,
    },
}

fn parse_locale(text: &str) -> Result<Locale, String> {
    match text {
        "sv" => Ok(Locale::Sv),
        "en" => Ok(Locale::En),
        _ => Err("sv or en".to_owned()),
    }
}
