//! `plugins/*` of what a plugin is given from outside: its settings and its connections.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_identity::{ConnectionSpec, ConnectionState, Connections, Given};
use vaxel_runtime::{ConnectionKind, Settings};

use super::plugins::Which;
use super::registry::{Access, Done, Invocation, Registry, Reply};
use super::schema;
use crate::http::cookie::CookieChange;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "plugins/set_settings",
        "Sets all settings of a plugin; one that is left out has its default again.",
        Access::Admin,
        set_settings,
    )?;
    registry.add(
        "plugins/connections",
        "The connections of a plugin that one may make, and how they are.",
        Access::User,
        connections,
    )?;
    registry.add(
        "plugins/connect",
        "Gives a plugin's connection its credential, or says where to go to agree.",
        Access::User,
        connect,
    )?;
    registry.add(
        "plugins/disconnect",
        "Forgets a connection's credential and gives it back.",
        Access::User,
        disconnect,
    )?;
    Ok(())
}

/// A plugin and its settings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewSettings {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// By the plugin's own schema.
    values: Settings,
}

async fn set_settings(
    gateway: Gateway,
    invocation: Invocation,
    params: NewSettings,
) -> Result<Reply<Done>, Problem> {
    let NewSettings { plugin, values } = params;
    let found = gateway.runtime().settings(invocation.tenant.id, &plugin)?;
    let (form, _) = found.ok_or_else(|| {
        Problem::new(
            Reason::NotFound,
            "There is no such plugin here, or it has no settings.",
        )
    })?;
    check(&form, &values)?;
    gateway
        .runtime()
        .set_settings(&invocation.cx, &plugin, &values)
        .await?;
    // Which, not what: a setting may be somebody's name or number.
    gateway
        .identity()
        .record_act(&invocation.cx, "plugins.set_settings", plugin.as_str())
        .await
        .map_err(super::session::refused)?;
    Ok(Done {}.into())
}

fn check(form: &Value, values: &Settings) -> Result<(), Problem> {
    let properties = form.get("properties").and_then(Value::as_object);
    let is_known = |name: &String| properties.is_some_and(|all| all.contains_key(name));
    if !values.keys().all(is_known) {
        return Err(Problem::new(
            Reason::Invalid,
            "The plugin has no setting of one of these names.",
        )
        .with_code("invalid_params"));
    }
    let compiled = schema::compile(form).ok_or_else(|| {
        tracing::error!("the schema of a plugin's settings is broken");
        Problem::from(Reason::Internal)
    })?;
    schema::check_params(&compiled, &Value::Object(values.clone()))
}

/// Where a person comes back to when they agreed, on their organization's host.
const CALLBACK: &str = "/oauth/connections/callback";

/// A plugin's settings.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SettingsView {
    /// JSON Schema of the form.
    schema: Value,
    /// What holds now: what was set, else the defaults.
    values: Settings,
}

/// A connection, never its credential.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ConnectionView {
    name: String,
    title: String,
    kind: KindView,
    /// Each person has one of their own.
    per_user: bool,
    /// The only hosts that it is sent to.
    hosts: Vec<String>,
    state: StateView,
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
#[serde(rename_all = "snake_case")]
enum StateView {
    Missing,
    Connected,
    /// The other side takes it no longer, or the plugin changed what it is.
    Expired,
}

impl From<vaxel_runtime::ConnectionView> for ConnectionView {
    fn from(connection: vaxel_runtime::ConnectionView) -> Self {
        Self {
            name: connection.name,
            title: connection.title,
            kind: match connection.kind {
                ConnectionKind::Oauth2 => KindView::Oauth2,
                ConnectionKind::ClientCredentials => KindView::ClientCredentials,
                ConnectionKind::ApiKey => KindView::ApiKey,
                ConnectionKind::Basic => KindView::Basic,
            },
            per_user: connection.per_user,
            hosts: connection.hosts.into_iter().collect(),
            state: match connection.state {
                ConnectionState::Missing => StateView::Missing,
                ConnectionState::Connected => StateView::Connected,
                ConnectionState::Expired => StateView::Expired,
            },
        }
    }
}

/// What an administrator sees of a plugin that is on.
pub(crate) fn given(
    gateway: &Gateway,
    invocation: &Invocation,
    plugin: &PluginId,
) -> Result<(Option<SettingsView>, Vec<ConnectionView>), Problem> {
    let settings = gateway.runtime().settings(invocation.tenant.id, plugin)?;
    let settings = settings.map(|(schema, values)| SettingsView { schema, values });
    Ok((settings, seen(gateway, invocation, plugin)?))
}

fn seen(
    gateway: &Gateway,
    invocation: &Invocation,
    plugin: &PluginId,
) -> Result<Vec<ConnectionView>, Problem> {
    let claims = invocation.claims()?;
    let (tenant, user) = (invocation.tenant.id, Some(claims.user));
    let all = gateway.runtime().connections(tenant, plugin, user)?;
    let theirs = all
        .into_iter()
        .filter(|connection| connection.per_user || claims.admin);
    Ok(theirs.map(ConnectionView::from).collect())
}

/// The connections of a plugin that one may make.
#[derive(Serialize, JsonSchema)]
struct ConnectionList {
    items: Vec<ConnectionView>,
}

async fn connections(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<ConnectionList>, Problem> {
    let items = seen(&gateway, &invocation, &params.plugin)?;
    Ok(ConnectionList { items }.into())
}

/// What a connection is given; which of it depends on its kind. No Debug: these are secrets.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewConnection {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// Its name in the plugin's manifest.
    connection: String,
    /// For `api_key`.
    #[serde(default)]
    key: Option<String>,
    /// For `basic`.
    #[serde(default)]
    name: Option<String>,
    /// For `basic`.
    #[serde(default)]
    password: Option<String>,
    /// For both kinds of OAuth: administrators register a client once.
    #[serde(default)]
    client_id: Option<String>,
    /// Its secret, if it has one.
    #[serde(default)]
    client_secret: Option<String>,
}

/// A connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WhichConnection {
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// Its name in the plugin's manifest.
    connection: String,
}

/// Where to go.
#[derive(Serialize, JsonSchema)]
struct GoThere {
    /// The other side's page, if somebody has to agree there.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// The connection and who holds it. An organization's own is for its administrators.
fn found(
    gateway: &Gateway,
    invocation: &Invocation,
    plugin: &PluginId,
    name: &str,
) -> Result<(Connections, ConnectionSpec), Problem> {
    let runtime = gateway.runtime();
    let spec = runtime.connection(invocation.tenant.id, plugin, name)?;
    let spec =
        spec.ok_or_else(|| Problem::new(Reason::NotFound, "There is no such connection here."))?;
    let holder = runtime.holder().cloned();
    let holder = holder.ok_or_else(|| Problem::from(Reason::Unavailable))?;
    if !spec.per_user && !invocation.claims()?.admin {
        return Err(Problem::from(Reason::Forbidden));
    }
    Ok((holder, spec))
}

async fn connect(
    gateway: Gateway,
    invocation: Invocation,
    params: NewConnection,
) -> Result<Reply<GoThere>, Problem> {
    let NewConnection {
        plugin,
        connection,
        key,
        name,
        password,
        client_id,
        client_secret,
    } = params;
    let (holder, spec) = found(&gateway, &invocation, &plugin, &connection)?;
    let claims = invocation.claims()?;
    if client_id.is_some() && !claims.admin {
        return Err(Problem::from(Reason::Forbidden));
    }
    let given = Given {
        key: key.map(Into::into),
        name,
        password: password.map(Into::into),
        client_id,
        client_secret: client_secret.map(Into::into),
    };
    let back = format!("{}{CALLBACK}", invocation.origin);
    let made = holder
        .connect(&invocation.cx, claims, &spec, given, &back)
        .await
        .map_err(|error| error.problem())?;
    let Some(authorization) = made else {
        written(&gateway, &invocation, "plugins.connect", &spec).await?;
        return Ok(GoThere { url: None }.into());
    };
    if invocation.http.is_none() {
        return Err(Problem::new(
            Reason::Invalid,
            "This one is asked over HTTP: the answer sets a cookie.",
        ));
    }
    Ok(Reply {
        result: GoThere {
            url: Some(authorization.url),
        },
        cookie: Some(CookieChange::Bind {
            token: authorization.binding.expose().clone(),
            age_s: authorization.age_s,
        }),
    })
}

async fn disconnect(
    gateway: Gateway,
    invocation: Invocation,
    params: WhichConnection,
) -> Result<Reply<Done>, Problem> {
    let WhichConnection { plugin, connection } = params;
    let (holder, spec) = found(&gateway, &invocation, &plugin, &connection)?;
    holder
        .disconnect(&invocation.cx, invocation.claims()?.user, &spec)
        .await
        .map_err(|error| error.problem())?;
    written(&gateway, &invocation, "plugins.disconnect", &spec).await?;
    Ok(Done {}.into())
}

async fn written(
    gateway: &Gateway,
    invocation: &Invocation,
    action: &str,
    spec: &ConnectionSpec,
) -> Result<(), Problem> {
    let target = format!("{}/{}", spec.plugin, spec.name);
    gateway
        .identity()
        .record_act(&invocation.cx, action, &target)
        .await
        .map_err(super::session::refused)
}
