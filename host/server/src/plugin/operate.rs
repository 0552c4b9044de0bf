//! What operators do with packages on a server, running or not.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use vaxel_core::{OpCx, PluginId, TenantId};
use vaxel_runtime::Approval;

use super::author::package_bytes;
use crate::house::{self, House};

/// How often the trust file and the revocation list are read again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Installs a package, or refuses it by name.
pub(crate) async fn install(house: &House, file: &Path, downgrade: bool) -> anyhow::Result<Value> {
    let path = file.to_owned();
    let bytes = tokio::task::spawn_blocking(move || package_bytes(&path))
        .await
        .context("reading the package ended early")??;
    let done = house
        .packages
        .install(bytes, downgrade)
        .await
        .with_context(|| format!("{} is refused", file.display()))?;
    let package = &done.package;
    record(house, "packages.install", &package.id).await?;
    let current = &package.current;
    let from = current.publisher.as_deref().unwrap_or("nobody (unsigned)");
    let (id, version) = (&package.id, &current.version);
    let (beside, hint) = match &done.former {
        Some(former) if former == version => (" again".to_owned(), String::new()),
        Some(former) => (
            format!(" beside {former}; nobody is moved to it"),
            format!(
                "\nAn organization goes on with it: vaxel plugin upgrade {id} {version} --tenant TENANT"
            ),
        ),
        None => (
            String::new(),
            format!("\nAn organization switches it on: vaxel plugin enable {id} --tenant TENANT"),
        ),
    };
    Ok(json!({
        "package": package,
        "former": done.former,
        "text": format!("{id} {version} from {from} is installed{beside}.{hint}"),
    }))
}

/// Removes a package that nobody has on.
pub(crate) async fn remove(
    house: &House,
    plugin: &PluginId,
    forget: bool,
) -> anyhow::Result<Value> {
    house.packages.remove(plugin, forget).await?;
    record(house, "packages.remove", plugin).await?;
    let bound = if forget {
        "its name is free"
    } else {
        "its name stays its publisher's"
    };
    Ok(json!({
        "text": format!("{plugin} is removed; what it stored stays, and {bound}."),
    }))
}

/// Lets a version go one stage further. Open clients are told where it comes into use by that.
pub(crate) async fn promote(
    house: &House,
    plugin: &PluginId,
    version: &str,
    approvals: &[Approval],
) -> anyhow::Result<Value> {
    let package = house.packages.promote(plugin, version, approvals).await?;
    record(house, "packages.promote", plugin).await?;
    tell_all(house, plugin);
    let promoted = package.versions.iter().find(|one| one.version == version);
    let stage = promoted.map_or("", |one| one.stage.as_str());
    Ok(json!({
        "package": package,
        "text": format!("{plugin} {version} is promoted to {stage}."),
    }))
}

/// What is installed on this server.
pub(crate) fn installed(house: &House) -> Value {
    let brought = house.runtime.brought_along();
    let packages = house.packages.list();
    let mut lines = Vec::new();
    for id in &brought {
        lines.push(format!(
            "{:20} {:12} comes with the server",
            id.as_str(),
            ""
        ));
    }
    for package in &packages {
        for one in &package.versions {
            let from = one.publisher.as_deref().unwrap_or("nobody (unsigned)");
            let state = match &one.unavailable {
                Some(why) => format!("UNAVAILABLE: {why}"),
                None => format!("from {from}"),
            };
            lines.push(format!(
                "{:20} {:12} {state}",
                package.id.as_str(),
                one.version
            ));
        }
    }
    json!({ "brought_along": brought, "packages": packages, "text": lines.join("\n") })
}

/// Copies the installed packages of one folder of data, or of a backup, to another.
pub(crate) fn copy_packages(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (house::packages_dir(from), house::packages_dir(to));
    let plugins = match fs::read_dir(&from) {
        Ok(plugins) => plugins,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for plugin in plugins {
        let plugin = plugin?;
        let folder = to.join(plugin.file_name());
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)?;
        for file in fs::read_dir(plugin.path())? {
            let file = file?;
            // Not what is being written now, which nothing names yet.
            if file.path().extension().is_some_and(|kind| kind == "vxp") {
                let copy = folder.join(file.file_name());
                fs::copy(file.path(), &copy)?;
                fs::File::open(copy)?.sync_all()?;
            }
        }
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

pub(super) async fn record(house: &House, action: &str, plugin: &PluginId) -> anyhow::Result<()> {
    let cx = OpCx::system(TenantId::SYSTEM, house.clock.now());
    house
        .identity
        .record_act(&cx, action, plugin.as_str())
        .await?;
    Ok(())
}

/// Takes back what is no longer trusted, and takes in what is again, without a restart. Open clients are told.
pub(crate) async fn watch(house: Arc<House>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        for plugin in house.packages.recheck().await {
            tell_all(&house, &plugin);
        }
    }
}

/// Tells open clients of everybody who has it on whether it answers.
fn tell_all(house: &House, plugin: &PluginId) {
    let Some(gateway) = house.gateway.get() else {
        return;
    };
    for tenant in house.identity.tenants() {
        if house.runtime.is_switched_on(tenant.id, plugin) {
            let is_on = house.runtime.is_enabled(tenant.id, plugin);
            gateway.tell_plugin_switched(tenant.id, plugin, is_on);
        }
    }
}
