//! Connections of a plugin as its manifest has them, and the credential that one of its requests carries.

use std::collections::BTreeSet;

use vaxel_core::{PluginId, Problem, Reason, TenantId, UserId};
use vaxel_identity::{
    ConnectionError, ConnectionSpec, ConnectionState, Connections, CredentialKind, Ready,
};

use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::guest_error;
use crate::manifest::{Connection, ConnectionKind};
use crate::outcome::storage_problem;
use crate::runtime::Runtime;

/// A connection as people see it.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// Its name.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// How it is obtained and sent.
    pub kind: ConnectionKind,
    /// Whether each person has their own.
    pub per_user: bool,
    /// Where it is sent.
    pub hosts: BTreeSet<String>,
    /// How it is, for the organization or this person.
    pub state: ConnectionState,
}

/// A request that carries a credential.
pub(super) struct Carried {
    pub(super) connections: Connections,
    pub(super) spec: ConnectionSpec,
    pub(super) user: Option<UserId>,
}

impl Carried {
    pub(super) async fn ready(&self, tenant: TenantId) -> Result<Ready, Error> {
        let ready = self.connections.ready(tenant, self.user, &self.spec);
        ready.await.map_err(|error| refused(&error))
    }
}

/// What whoever holds the credential must know.
pub(crate) fn spec(plugin: &PluginId, connection: &Connection) -> ConnectionSpec {
    let connection = connection.clone();
    ConnectionSpec {
        plugin: plugin.clone(),
        name: connection.name,
        kind: match connection.kind {
            ConnectionKind::Oauth2 => CredentialKind::Oauth2,
            ConnectionKind::ClientCredentials => CredentialKind::ClientCredentials,
            ConnectionKind::ApiKey => CredentialKind::ApiKey,
            ConnectionKind::Basic => CredentialKind::Basic,
        },
        per_user: connection.per_user,
        hosts: connection.hosts,
        authorize_url: connection.authorize_url,
        token_url: connection.token_url,
        revoke_url: connection.revoke_url,
        scopes: connection.scopes,
        header: connection.header,
    }
}

fn refused(error: &ConnectionError) -> Error {
    let code = match error.reason() {
        Reason::Unauthenticated => "unauthenticated",
        Reason::Forbidden => "forbidden",
        Reason::LimitReached => "limit",
        Reason::Internal => {
            tracing::error!(%error, "a connection could not be used");
            return guest_error("unavailable", "the connection cannot be used now");
        }
        _ => "unavailable",
    };
    guest_error(code, &error.to_string())
}

impl Runtime {
    /// Who holds credentials, if this server has a way out.
    pub fn holder(&self) -> Option<&Connections> {
        self.inner.outside.connections.as_ref()
    }

    /// The connections of a plugin that is on, as this person sees them.
    pub fn connections(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        user: Option<UserId>,
    ) -> Result<Vec<ConnectionView>, Problem> {
        let found = self.registry().tenant(tenant);
        let plugins = found.map_err(|error| storage_problem(&error))?;
        let Some(active) = plugins.active.get(plugin) else {
            return Ok(Vec::new());
        };
        let connections = &active.plugin.manifest.connections;
        let seen = connections.iter().map(|connection| {
            let state = match self.holder() {
                Some(holder) => holder
                    .state(tenant, user, &spec(plugin, connection))
                    .map_err(|error| error.problem())?,
                None => ConnectionState::Missing,
            };
            Ok(ConnectionView {
                name: connection.name.clone(),
                title: connection.title.clone(),
                kind: connection.kind,
                per_user: connection.per_user,
                hosts: connection.hosts.clone(),
                state,
            })
        });
        seen.collect()
    }

    /// One connection of a plugin that is on.
    pub fn connection(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
        name: &str,
    ) -> Result<Option<ConnectionSpec>, Problem> {
        let found = self.registry().tenant(tenant);
        let plugins = found.map_err(|error| storage_problem(&error))?;
        Ok(plugins.active.get(plugin).and_then(|active| {
            let mut all = active.plugin.manifest.connections.iter();
            let connection = all.find(|connection| connection.name == name)?;
            Some(spec(plugin, connection))
        }))
    }
}
