//! What an operator asks of the house, the same whether it comes over the admin socket or is done here.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vaxel_core::{Locale, OpCx, PluginId, TenantId};
use vaxel_crypto::Secret;
use vaxel_identity::{NewTenant, NewUser, Tenant};
use vaxel_runtime::{Approval, Stage, State};

use crate::audit;
use crate::doctor;
use crate::house::House;
use crate::output::{Progress, size};
use crate::plugin::{self, LifeOperation};

/// A person to be added.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NewPerson {
    pub(crate) login: String,
    pub(crate) display_name: String,
    pub(crate) admin: bool,
    /// Without one a one-time link is made.
    #[serde(with = "secret_text")]
    pub(crate) password: Option<Secret<String>>,
}

/// One thing to do. Tenants are named by their short names.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub(crate) enum Operation {
    TenantAdd {
        slug: String,
        name: String,
        hosts: Vec<String>,
        locale: Locale,
    },
    TenantList,
    UserAdd {
        tenant: String,
        person: NewPerson,
    },
    UserReset {
        tenant: String,
        login: String,
    },
    UserList {
        tenant: String,
    },
    PluginList {
        tenant: Option<String>,
    },
    PackageInstall {
        file: PathBuf,
        downgrade: bool,
    },
    PackageRemove {
        plugin: PluginId,
        forget: bool,
    },
    PackagePromote {
        plugin: PluginId,
        version: String,
        approvals: Vec<Approval>,
    },
    PluginLife(LifeOperation),
    TenantStage {
        tenant: String,
        stage: Stage,
    },
    PluginUse {
        plugin: Option<PluginId>,
        tenant: Option<String>,
        days: u64,
    },
    PluginWouldTouch {
        plugin: PluginId,
        tenant: String,
        version: Option<String>,
        days: u64,
    },
    AuditVerify {
        tenant: Option<String>,
        heads: Option<PathBuf>,
    },
    RotateSigning,
    Backup {
        dir: PathBuf,
    },
    Doctor,
}

impl Operation {
    /// Does it. The answer has a `text` for people beside its fields.
    pub(crate) async fn perform(self, house: &House, progress: &Progress) -> anyhow::Result<Value> {
        match self {
            Self::TenantAdd {
                slug,
                name,
                hosts,
                locale,
            } => {
                tenant_add(
                    house,
                    NewTenant {
                        slug,
                        name,
                        hosts,
                        locale,
                    },
                )
                .await
            }
            Self::TenantList => Ok(tenant_list(house)),
            Self::UserAdd { tenant, person } => user_add(house, &tenant, person).await,
            Self::UserReset { tenant, login } => user_reset(house, &tenant, &login).await,
            Self::UserList { tenant } => user_list(house, &tenant).await,
            Self::PluginList { tenant: None } => Ok(plugin::installed(house)),
            Self::PluginList {
                tenant: Some(tenant),
            } => plugin_list(house, &tenant),
            Self::PackageInstall { file, downgrade } => {
                plugin::install(house, &file, downgrade).await
            }
            Self::PackageRemove { plugin, forget } => plugin::remove(house, &plugin, forget).await,
            Self::PluginUse {
                plugin,
                tenant,
                days,
            } => plugin::used(house, plugin.as_ref(), tenant.as_deref(), days).await,
            Self::PluginWouldTouch {
                plugin,
                tenant,
                version,
                days,
            } => plugin::would_touch(house, &plugin, &tenant, version.as_deref(), days).await,
            Self::PackagePromote {
                plugin,
                version,
                approvals,
            } => plugin::promote(house, &plugin, &version, &approvals).await,
            Self::PluginLife(life) => life.perform(house).await,
            Self::TenantStage { tenant, stage } => tenant_stage(house, &tenant, stage).await,
            Self::AuditVerify { tenant, heads } => audit::verify(house, tenant, heads).await,
            Self::RotateSigning => {
                house.identity.rotate_signing_key().await?;
                Ok(json!({ "text": "New access tokens are signed with a new key." }))
            }
            Self::Backup { dir } => backup(house, dir, progress).await,
            Self::Doctor => doctor::examine(house).await,
        }
    }
}

/// Adds an organization and switches on for it what the server brings along.
pub(crate) async fn tenant_add(house: &House, new: NewTenant) -> anyhow::Result<Value> {
    let tenant = house.identity.create_tenant(new).await?;
    house.hosts_changed.notify_one();
    let cx = OpCx::system(tenant.id, house.clock.now());
    for plugin in house.runtime.brought_along() {
        house.runtime.enable(&cx, &plugin).await?;
    }
    Ok(json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "hosts": tenant.hosts,
        "text": format!("Organization {} ({}) at {}.", tenant.slug, tenant.name, tenant.hosts.join(", ")),
    }))
}

/// Says what an organization is for.
async fn tenant_stage(house: &House, slug: &str, stage: Stage) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    house.runtime.set_stage(tenant.id, stage).await?;
    let cx = OpCx::system(tenant.id, house.clock.now());
    let identity = &house.identity;
    identity
        .record_act(&cx, "tenant.stage", stage.as_str())
        .await?;
    let text = format!("{slug} runs what is promoted to {}.", stage.as_str());
    Ok(json!({ "stage": stage, "text": text }))
}

fn tenant_list(house: &House) -> Value {
    let tenants = house.identity.tenants();
    let lines: Vec<String> = tenants
        .iter()
        .map(|tenant| {
            format!(
                "{:20} {:30} {}",
                tenant.slug,
                tenant.name,
                tenant.hosts.join(", ")
            )
        })
        .collect();
    let items: Vec<Value> = tenants
        .iter()
        .map(|t| json!({ "id": t.id, "slug": t.slug, "name": t.name, "hosts": t.hosts }))
        .collect();
    let text = if lines.is_empty() {
        "No organizations yet; add one with `vaxel tenant add`.".to_owned()
    } else {
        lines.join("\n")
    };
    json!({ "items": items, "text": text })
}

pub(crate) fn tenant_named(house: &House, slug: &str) -> anyhow::Result<std::sync::Arc<Tenant>> {
    house.identity.tenant_by_slug(slug).with_context(|| {
        format!("no organization is called {slug}; `vaxel tenant list` shows them")
    })
}

async fn user_add(house: &House, slug: &str, person: NewPerson) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    let new = NewUser {
        login: person.login,
        display_name: person.display_name,
        email: None,
        password: person.password,
        admin: person.admin,
        locale: tenant.locale,
    };
    if new.password.is_some() {
        let user = house.identity.create_user(tenant.id, new).await?;
        return Ok(json!({ "id": user.id, "text": format!("{} can sign in.", user.login) }));
    }
    let cx = OpCx::system(tenant.id, house.clock.now());
    let login = new.login.clone();
    let link = house.identity.invite(&cx, new).await?;
    let url = link_url(house, &tenant, &link.token);
    Ok(json!({
        "id": link.user,
        "link": url,
        "expires_at": link.expires_at,
        "text": format!("{login} chooses a password here (once, within 7 days):\n{url}"),
    }))
}

async fn user_reset(house: &House, slug: &str, login: &str) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    let user = house
        .identity
        .user_by_login(tenant.id, login)?
        .with_context(|| format!("nobody signs in as {login} in {slug}"))?;
    let cx = OpCx::system(tenant.id, house.clock.now());
    let link = house.identity.reset(&cx, user.id).await?;
    let url = link_url(house, &tenant, &link.token);
    Ok(json!({
        "id": user.id,
        "link": url,
        "expires_at": link.expires_at,
        "text": format!("{login} chooses a new password here (once, within 24 hours):\n{url}"),
    }))
}

/// Where the link leads: the tenant's address as people reach it.
fn link_url(house: &House, tenant: &Tenant, token: &Secret<String>) -> String {
    format!("{}/invite#{}", house.address_of(tenant), token.expose())
}

/// How many people one look at the list reads.
const USERS_PAGE: usize = 100;

async fn user_list(house: &House, slug: &str) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    let (mut items, mut lines, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let page = house.identity.users(tenant.id, None, cursor, USERS_PAGE)?;
        for user in &page.items {
            let state = match (user.active, user.invited) {
                (true, _) => "",
                (false, true) => "  (invited)",
                (false, false) => "  (deactivated)",
            };
            let role = if user.admin { "admin" } else { "" };
            lines.push(format!(
                "{:24} {:32} {role:6}{state}",
                user.login, user.display_name
            ));
            items.push(json!({
                "id": user.id, "login": user.login, "display_name": user.display_name,
                "admin": user.admin, "active": user.active, "invited": user.invited,
            }));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Ok(json!({ "items": items, "text": lines.join("\n") }))
}

fn plugin_list(house: &House, slug: &str) -> anyhow::Result<Value> {
    let tenant = tenant_named(house, slug)?;
    let states = house.runtime.list(tenant.id);
    let lines: Vec<String> = states
        .iter()
        .map(|state| {
            let on = match &state.unavailable {
                Some(why) => why,
                None if state.needs_consent => "waits for consent",
                None => match state.state {
                    State::Waiting => "on; a newer version waits for consent",
                    State::Resting => "on, and rests because it failed",
                    State::Suspended => "suspended because it failed again and again",
                    _ if state.enabled => "on",
                    _ => "off",
                },
            };
            format!("{:20} {:10} {on}", state.id.as_str(), state.version)
        })
        .collect();
    let items: Vec<Value> = states
        .iter()
        .map(|s| json!({ "id": s.id, "name": s.name, "version": s.version, "enabled": s.enabled, "state": s.state, "unavailable": s.unavailable }))
        .collect();
    Ok(json!({ "items": items, "text": lines.join("\n") }))
}

async fn backup(house: &House, dir: PathBuf, progress: &Progress) -> anyhow::Result<Value> {
    let (storage, to, bar) = (house.storage.clone(), dir.clone(), progress.clone());
    let report = tokio::task::spawn_blocking(move || {
        storage.backup(&to, &|done, total| bar.set(done, total))
    })
    .await
    .context("the backup ended early")??;
    plugin::copy_packages(&house.data, &dir).context("copying the installed packages")?;
    // With the manifest and the packages: what stands there, as `du` sees it.
    let (files, bytes) = on_disk(&dir).context("counting what was written")?;
    tracing::debug!(report.files, report.bytes, "backup");
    Ok(json!({
        "dir": dir,
        "files": files,
        "bytes": bytes,
        "text": format!(
            "{} in {files} files copied and read back. The master key is not among them: keep its recovery copy.",
            size(bytes),
        ),
    }))
}

/// How many files lie under a directory, and their bytes.
fn on_disk(dir: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        let (more, length) = match meta.is_dir() {
            true => on_disk(&entry.path())?,
            false => (1, meta.len()),
        };
        files += more;
        bytes += length;
    }
    Ok((files, bytes))
}

/// The tenant of a slug, for those who set up the demo.
pub(crate) fn tenant_id(house: &House, slug: &str) -> Option<TenantId> {
    tenant_named(house, slug).ok().map(|tenant| tenant.id)
}

/// A secret as plain text on the admin socket, which only its owner can open.
mod secret_text {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};
    use vaxel_crypto::Secret;

    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret<String>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret<String>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
    }
}
