//! The commands, and which part carries each out.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{CommandFactory as _, Parser, Subcommand};
use vaxel_core::Locale;
use vaxel_crypto::{MasterKey, MasterKeySource, Secret};

use crate::config::{Config, ServeFlags};
use crate::house::{self, House};
use crate::operation::{NewPerson, Operation};
use crate::{admin, output, serve};

/// Växel: chat, calls and surveys for organizations, on your own server.
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

/// Where the data lies.
#[derive(clap::Args, Clone)]
struct Place {
    /// The data directory.
    #[arg(long, env = "VAXEL_DATA", default_value = "/var/lib/vaxel")]
    data: PathBuf,
    /// The configuration file (TOML); every key has a default.
    #[arg(long, env = "VAXEL_CONFIG")]
    config: Option<PathBuf>,
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
        /// Display name of the first admin.
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
    /// Plugins, per organization.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Signing keys and the master key.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Copy everything, sealed, into a new directory while the server runs.
    Backup {
        #[command(flatten)]
        place: Place,
        /// Where to write; must not exist or be empty.
        dir: PathBuf,
    },
    /// Rebuild a data directory from a backup. The master key is in no backup: bring its file or recovery copy.
    Restore {
        #[command(flatten)]
        place: Place,
        /// The backup.
        dir: PathBuf,
        /// The master key's file; copied into the new data directory.
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
    /// Host name it is reached at; may be given several times.
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
    /// List the plugins and whether the organization has them switched on.
    List {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
    },
    /// Switch a plugin on for an organization.
    Enable {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: String,
    },
    /// Switch a plugin off for an organization; its data stays.
    Disable {
        #[command(flatten)]
        place: Place,
        /// Which organization, by its short name.
        #[arg(long)]
        tenant: String,
        /// Which plugin.
        plugin: String,
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

pub(crate) async fn run(cli: Cli) -> anyhow::Result<()> {
    let json = cli.json;
    match cli.command {
        Command::Serve { place, flags } => {
            let config = Config::read(place.config.as_deref())?.with_flags(&flags)?;
            Box::pin(serve::run(place.data, config, &flags)).await
        }
        Command::Init {
            place,
            tenant,
            admin,
            admin_name,
            password_stdin,
        } => {
            let password = password(password_stdin)?;
            let name = tenant.name.clone().unwrap_or_else(|| tenant.slug.clone());
            let hosts = if tenant.hosts.is_empty() {
                vec![format!("{}.localhost", tenant.slug)]
            } else {
                tenant.hosts
            };
            init(&place, json).await?;
            let add = Operation::TenantAdd {
                slug: tenant.slug.clone(),
                name,
                hosts,
                locale: tenant.locale,
            };
            let person = NewPerson {
                login: admin.clone(),
                display_name: admin_name.unwrap_or(admin),
                admin: true,
                password,
            };
            let first = Operation::UserAdd {
                tenant: tenant.slug,
                person,
            };
            perform_here(&place, vec![add, first], json).await
        }
        Command::Tenant(command) => {
            let (place, operation) = match command {
                TenantCommand::Add {
                    place,
                    slug,
                    name,
                    hosts,
                    locale,
                } => (
                    place,
                    Operation::TenantAdd {
                        slug,
                        name,
                        hosts,
                        locale,
                    },
                ),
                TenantCommand::List { place } => (place, Operation::TenantList),
            };
            perform(&place, operation, json).await
        }
        Command::User(command) => {
            let (place, operation) = match command {
                UserCommand::Add {
                    place,
                    tenant,
                    login,
                    name,
                    admin,
                    password_stdin,
                } => {
                    let password = password(password_stdin)?;
                    let person = NewPerson {
                        login,
                        display_name: name,
                        admin,
                        password,
                    };
                    (place, Operation::UserAdd { tenant, person })
                }
                UserCommand::Reset {
                    place,
                    tenant,
                    login,
                } => (place, Operation::UserReset { tenant, login }),
                UserCommand::List { place, tenant } => (place, Operation::UserList { tenant }),
            };
            perform(&place, operation, json).await
        }
        Command::Plugin(command) => {
            let (place, operation) = match command {
                PluginCommand::List { place, tenant } => (place, Operation::PluginList { tenant }),
                PluginCommand::Enable {
                    place,
                    tenant,
                    plugin,
                } => (
                    place,
                    Operation::PluginSwitch {
                        tenant,
                        plugin: plugin.parse()?,
                        on: true,
                    },
                ),
                PluginCommand::Disable {
                    place,
                    tenant,
                    plugin,
                } => (
                    place,
                    Operation::PluginSwitch {
                        tenant,
                        plugin: plugin.parse()?,
                        on: false,
                    },
                ),
            };
            perform(&place, operation, json).await
        }
        Command::Keys(KeysCommand::RotateSigning { place }) => {
            perform(&place, Operation::RotateSigning, json).await
        }
        Command::Keys(KeysCommand::RotateMaster { place }) => rotate_master(&place, json).await,
        Command::Backup { place, dir } => {
            let dir = std::path::absolute(dir)?;
            perform(&place, Operation::Backup { dir }, json).await
        }
        Command::Restore {
            place,
            dir,
            master_key,
        } => restore(&place, dir, master_key, json).await,
        Command::Doctor {
            place,
            recovery_copy_kept,
        } => {
            if recovery_copy_kept {
                house::confirm_recovery_copy(&place.data)?;
            }
            perform(&place, Operation::Doctor, json).await
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "vaxel", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// Asks the running server, or does it here when none runs.
async fn perform(place: &Place, operation: Operation, json: bool) -> anyhow::Result<()> {
    let Some(server) = admin::connect(&place.data).await? else {
        return perform_here(place, vec![operation], json).await;
    };
    let progress = output::Progress::for_operation(json);
    let answer = server.ask(&operation, &progress).await?;
    progress.finish();
    output::answer(&answer, json);
    Ok(())
}

/// Does one thing after the other in this process; opening the data takes longer than doing them.
async fn perform_here(place: &Place, operations: Vec<Operation>, json: bool) -> anyhow::Result<()> {
    let config = Config::read(place.config.as_deref())?;
    let house = House::open(&place.data, &config).await?;
    let mut done = Ok(());
    for operation in operations {
        let progress = output::Progress::for_operation(json);
        done = operation.perform(&house, &progress).await.map(|answer| {
            progress.finish();
            output::answer(&answer, json);
        });
        if done.is_err() {
            break;
        }
    }
    house.close().await;
    done
}

async fn init(place: &Place, json: bool) -> anyhow::Result<()> {
    if admin::connect(&place.data).await?.is_some() {
        bail!(
            "a server is running on {}; use `vaxel tenant add`",
            place.data.display()
        );
    }
    let config = Config::read(place.config.as_deref())?;
    let made = house::make_master_key(&place.data, &config)?;
    if let Some(key) = made {
        output::recovery_copy(&key, json);
    }
    Ok(())
}

async fn rotate_master(place: &Place, json: bool) -> anyhow::Result<()> {
    if admin::connect(&place.data).await?.is_some() {
        bail!(
            "a server is running on {}; stop it first",
            place.data.display()
        );
    }
    let config = Config::read(place.config.as_deref())?;
    let key = house::rotate_master(&place.data, &config)?;
    output::recovery_copy(&key, json);
    Ok(())
}

async fn restore(
    place: &Place,
    backup: PathBuf,
    master_key: Option<PathBuf>,
    json: bool,
) -> anyhow::Result<()> {
    if admin::connect(&place.data).await?.is_some() {
        bail!(
            "a server is running on {}; restore into another directory",
            place.data.display()
        );
    }
    let config = Config::read(place.config.as_deref())?;
    // Read before anything is written: a backup without its key would only look restored.
    let key = match &master_key {
        Some(path) => MasterKey::load(&MasterKeySource::File(path.clone()))?,
        None => MasterKey::load(&house::master_source(&place.data, &config)).context(
            "the master key is in no backup; give its file with --master-key, or set VAXEL_MASTER_KEY",
        )?,
    };
    let progress = output::Progress::for_operation(json);
    let answer =
        house::restore(&place.data, &backup, key, master_key.as_deref(), &progress).await?;
    progress.finish();
    output::answer(&answer, json);
    Ok(())
}

/// The longest line that is read as a password, line end included.
const PASSWORD_LINE_MAX: u64 = 1_024;

fn password(from_stdin: bool) -> anyhow::Result<Option<Secret<String>>> {
    use std::io::{BufRead as _, Read as _};
    if !from_stdin {
        return Ok(None);
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(PASSWORD_LINE_MAX)
        .read_line(&mut line)
        .context("reading the password from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password came on standard input");
    }
    Ok(Some(Secret::new(password.to_owned())))
}
