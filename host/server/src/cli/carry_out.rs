//! Carrying a command out: by the running server where there is one, else here.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use serde_json::Value;
use vaxel_crypto::{MasterKey, MasterKeySource, Secret};
use vaxel_identity::{check_hosts, check_login, check_name, check_password, check_slug};

use super::{
    AuditCommand, Cli, Command, KeysCommand, Place, PluginCommand, TenantCommand, UserCommand,
};
use crate::config::Config;
use crate::house::{self, House};
use crate::operation::{NewPerson, Operation};
use crate::plugin::{PackageCommand, approve, author, build, check, inspect, new, scenario};
use crate::{admin, output, serve};

/// Carries out the command; the exit code also says whether what it found is well.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    match cli.command {
        Command::Serve { place, flags } => {
            let config = Config::read(place.config.as_deref())?.with_flags(&flags)?;
            Box::pin(serve::run(place.data, config, &flags))
                .await
                .map(well)
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
            // Before a key is made: whoever has to begin anew would never see its recovery copy.
            check_slug(&tenant.slug).context("--tenant")?;
            check_name(&name).context("--name")?;
            check_hosts(&hosts).context("--host")?;
            check_login(&admin).context("--admin")?;
            admin_name
                .as_deref()
                .map_or(Ok(()), check_name)
                .context("--admin-name")?;
            if let Some(password) = &password {
                check_password(password.expose(), &admin).context("--password-stdin")?;
            }
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
            let done = perform_here(&place, vec![add, first], json).await?;
            if !json {
                output::say(&after_init(&place)?);
            }
            Ok(done)
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
                TenantCommand::Stage { place, slug, stage } => {
                    let tenant = slug;
                    (place, Operation::TenantStage { tenant, stage })
                }
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
                PluginCommand::Package(command) => return package(command, json).await,
                PluginCommand::List { place, tenant } => (place, Operation::PluginList { tenant }),
                PluginCommand::Use {
                    place,
                    plugin,
                    tenant,
                    days,
                } => {
                    let plugin = plugin.map(|id| id.parse()).transpose()?;
                    let used = Operation::PluginUse {
                        plugin,
                        tenant,
                        days,
                    };
                    (place, used)
                }
                PluginCommand::WouldTouch {
                    place,
                    plugin,
                    tenant,
                    version,
                    days,
                } => {
                    let plugin = plugin.parse()?;
                    let would = Operation::PluginWouldTouch {
                        plugin,
                        tenant,
                        version,
                        days,
                    };
                    (place, would)
                }
                PluginCommand::Life(command) => {
                    let (place, life) = command.into_operation();
                    (place, Operation::PluginLife(life))
                }
            };
            perform(&place, operation, json).await
        }
        Command::Audit(AuditCommand::Verify {
            place,
            tenant,
            heads,
        }) => {
            let heads = heads.map(std::path::absolute).transpose()?;
            perform(&place, Operation::AuditVerify { tenant, heads }, json).await
        }
        Command::Keys(KeysCommand::RotateSigning { place }) => {
            perform(&place, Operation::RotateSigning, json).await
        }
        Command::Keys(KeysCommand::RotateMaster { place }) => {
            rotate_master(&place, json).await.map(well)
        }
        Command::Backup { place, dir } => {
            let dir = std::path::absolute(dir)?;
            perform(&place, Operation::Backup { dir }, json).await
        }
        Command::Restore {
            place,
            dir,
            master_key,
        } => restore(&place, dir, master_key, json).await.map(well),
        Command::Doctor {
            place,
            recovery_copy_kept,
        } => {
            if recovery_copy_kept {
                house::check_made(&place.data, &Config::read(place.config.as_deref())?)?;
                house::confirm_recovery_copy(&place.data)?;
            }
            perform(&place, Operation::Doctor, json).await
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "vaxel", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What was carried out without a failure is well.
fn well((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Authors' commands need no server and no data; the others are asked of the server.
async fn package(command: PackageCommand, json: bool) -> anyhow::Result<ExitCode> {
    let answer = match command {
        PackageCommand::Install {
            place,
            file,
            downgrade,
        } => {
            let file = std::path::absolute(file)?;
            let install = Operation::PackageInstall { file, downgrade };
            return perform(&place, install, json).await;
        }
        PackageCommand::Remove {
            place,
            plugin,
            forget,
        } => {
            let plugin = plugin.parse()?;
            let remove = Operation::PackageRemove { plugin, forget };
            return perform(&place, remove, json).await;
        }
        PackageCommand::Promote {
            place,
            plugin,
            version,
            approvals,
        } => {
            let approvals = approvals.iter().map(|file| approve::approval(file));
            let approvals = approvals.collect::<anyhow::Result<_>>()?;
            let promote = Operation::PackagePromote {
                plugin,
                version,
                approvals,
            };
            return perform(&place, promote, json).await;
        }
        PackageCommand::Approve {
            file,
            stage,
            key,
            output,
        } => approve::approve(&file, stage, &key, output.as_deref())?,
        PackageCommand::New { name, dir, sdk } => new::new(&name, dir.as_deref(), sdk.as_deref())?,
        PackageCommand::Build { dir } => build::build(&dir)?,
        PackageCommand::Test { dir, files } => {
            let told = scenario::test(&dir, &files, json).await?;
            output::answer(&told, json);
            return Ok(exit_code(&told));
        }
        PackageCommand::Keygen { file } => author::keygen(&file)?,
        PackageCommand::Pack { dir, output } => author::pack(&dir, &output)?,
        PackageCommand::Sign { file, key, expires } => author::sign(&file, &key, expires)?,
        PackageCommand::Check { path, trust } => check::check(&path, trust.as_deref()).await?,
        PackageCommand::Inspect { place, file } => {
            let config = Config::read(place.config.as_deref())?;
            inspect::inspect(&file, &house::trust_file(&place.data, &config))?
        }
        PackageCommand::Revoke {
            list,
            key,
            package,
            signer,
        } => author::revoke(&list, &key, &package, &signer)?,
    };
    output::answer(&answer, json);
    Ok(exit_code(&answer))
}

/// Asks the running server, or does it here when none runs.
async fn perform(place: &Place, operation: Operation, json: bool) -> anyhow::Result<ExitCode> {
    let Some(server) = admin::connect(&place.data).await? else {
        return perform_here(place, vec![operation], json).await;
    };
    let progress = output::Progress::for_operation(json);
    let answer = server.ask(&operation, &progress).await?;
    progress.finish();
    output::answer(&answer, json);
    Ok(exit_code(&answer))
}

/// Not zero where the answer says that something is not well.
fn exit_code(answer: &Value) -> ExitCode {
    match answer.get("ok") {
        Some(Value::Bool(false)) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Does one thing after the other in this process; opening the data takes longer than doing them.
async fn perform_here(
    place: &Place,
    operations: Vec<Operation>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let config = Config::read(place.config.as_deref())?;
    let house = House::open(&place.data, &config).await?;
    let mut done = Ok(ExitCode::SUCCESS);
    for operation in operations {
        let progress = output::Progress::for_operation(json);
        done = operation.perform(&house, &progress).await.map(|answer| {
            progress.finish();
            output::answer(&answer, json);
            exit_code(&answer)
        });
        if done.is_err() {
            break;
        }
    }
    house.close().await;
    done
}

/// What to do next, and which port a link names.
fn after_init(place: &Place) -> anyhow::Result<String> {
    let listen = Config::read(place.config.as_deref())?.listen;
    let port = listen.public_https_port.unwrap_or(listen.https.port());
    let config = place
        .config
        .as_ref()
        .map_or_else(String::new, |file| format!(" --config {}", file.display()));
    Ok(format!(
        "\nStart it with: vaxel serve --data {}{config}\n\
         Links name port {port}, as the configuration has it; where serve is given --https-port, put that one in.",
        place.data.display()
    ))
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
        output::recovery_copy(&key, &place.data, json);
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
    output::recovery_copy(&key, &place.data, json);
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
