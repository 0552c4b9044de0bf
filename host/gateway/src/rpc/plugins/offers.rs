//! What a plugin brings into an organization: permissions, pages, jobs, a form of settings, connections.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use vaxel_core::{PluginId, Problem};
use vaxel_identity::ConnectionState;
use vaxel_runtime::{ConnectionKind, ConnectionView, Manifest, PluginDetail};

use crate::Gateway;
use crate::rpc::registry::Invocation;

/// All of it.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct Offers {
    permissions: Vec<PermissionView>,
    pages: Vec<PageView>,
    jobs: Vec<JobView>,
    /// What an administrator may set, while it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<SettingsView>,
    /// Credentials that the host holds for it, while it is on; those that each person has are the caller's own.
    connections: Vec<ConnectionStateView>,
}

/// What it may require of callers.
#[derive(Serialize, JsonSchema)]
struct PermissionView {
    name: String,
    summary: String,
    /// Who should have it.
    roles: Vec<String>,
}

/// A page in the app or for anybody.
#[derive(Serialize, JsonSchema)]
struct PageView {
    name: String,
    title: String,
    /// Whether anybody can open it.
    public: bool,
    /// Whether it stands in the navigation of the app.
    navigation: bool,
}

/// Work that nobody waits for.
#[derive(Serialize, JsonSchema)]
struct JobView {
    name: String,
    summary: String,
    /// When it repeats, as crontab(5) says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<String>,
}

/// A form and what it says now.
#[derive(Serialize, JsonSchema)]
struct SettingsView {
    /// JSON Schema of an object.
    schema: Value,
    values: Map<String, Value>,
}

/// A credential that the host holds.
#[derive(Serialize, JsonSchema)]
struct ConnectionStateView {
    name: String,
    title: String,
    kind: KindView,
    /// Whether each person has their own.
    per_user: bool,
    /// Where it is sent.
    hosts: Vec<String>,
    state: ConnectionStateWord,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KindView {
    Oauth2,
    ClientCredentials,
    ApiKey,
    Basic,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ConnectionStateWord {
    Missing,
    Connected,
    /// The other side takes it no longer, or the plugin changed what it is.
    Expired,
}

impl From<ConnectionView> for ConnectionStateView {
    fn from(view: ConnectionView) -> Self {
        Self {
            name: view.name,
            title: view.title,
            kind: match view.kind {
                ConnectionKind::Oauth2 => KindView::Oauth2,
                ConnectionKind::ClientCredentials => KindView::ClientCredentials,
                ConnectionKind::ApiKey => KindView::ApiKey,
                ConnectionKind::Basic => KindView::Basic,
            },
            per_user: view.per_user,
            hosts: view.hosts.into_iter().collect(),
            state: match view.state {
                ConnectionState::Missing => ConnectionStateWord::Missing,
                ConnectionState::Connected => ConnectionStateWord::Connected,
                ConnectionState::Expired => ConnectionStateWord::Expired,
            },
        }
    }
}

impl Offers {
    pub(super) fn of(
        gateway: &Gateway,
        invocation: &Invocation,
        plugin: &PluginId,
        detail: &PluginDetail,
    ) -> Result<Self, Problem> {
        let Some(manifest) = &detail.manifest else {
            return Ok(Self::default());
        };
        let (runtime, tenant) = (gateway.runtime(), invocation.tenant.id);
        let user = Some(invocation.claims()?.user);
        let settings = runtime.settings(tenant, plugin)?;
        let connections = runtime.connections(tenant, plugin, user)?;
        Ok(Self {
            settings: settings.map(|(schema, values)| SettingsView { schema, values }),
            connections: connections.into_iter().map(Into::into).collect(),
            ..Self::declared(manifest)
        })
    }

    fn declared(manifest: &Manifest) -> Self {
        let permissions = manifest.permissions.iter().map(|one| PermissionView {
            name: one.name.clone(),
            summary: one.summary.clone(),
            roles: one.roles.iter().cloned().collect(),
        });
        let pages = manifest.pages.iter().map(|one| PageView {
            name: one.name.clone(),
            title: one.title.clone(),
            public: one.public,
            navigation: one.navigation,
        });
        let jobs = manifest.jobs.iter().map(|one| JobView {
            name: one.name.clone(),
            summary: one.summary.clone(),
            every: one.every.clone(),
        });
        Self {
            permissions: permissions.collect(),
            pages: pages.collect(),
            jobs: jobs.collect(),
            ..Self::default()
        }
    }
}
