//! `users/invite` and what follows: one-time links by which people join or choose another password.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{Locale, Problem, UnixMs, UserId};
use vaxel_identity::{LinkKind, NewUser, OneTimeLink};

use super::registry::{Access, Invocation, Registry, Reply};
use super::schema;
use super::session::{Session, http, refused, signed_in};
use super::users::{Somebody, is_about_admin};
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    let invite = registry.add(
        "users/invite",
        "Adds a person, who joins by a link that works once.",
        Access::Admin,
        invite,
    )?;
    invite.creates = true;
    invite.guard = Some(|_, _, params| params.get("admin") == Some(&Value::Bool(true)));
    let reset = registry.add(
        "users/reset",
        "Makes a link by which somebody chooses another password.",
        Access::Admin,
        reset,
    )?;
    reset.creates = true;
    reset.guard = Some(is_about_admin);
    registry.add(
        "users/invite_preview",
        "Whom a link is for, without using it.",
        Access::Public,
        preview,
    )?;
    registry
        .add(
            "users/accept",
            "Uses a link: sets the password and signs in.",
            Access::Public,
            accept,
        )?
        .cookie = true;
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9._@+-]+$"))]
    login: String,
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    display_name: String,
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    #[schemars(schema_with = "schema::optional_locale")]
    locale: Option<Locale>,
}

/// A link that works once.
#[derive(Serialize, JsonSchema)]
struct Link {
    /// Whom it lets in.
    #[schemars(schema_with = "schema::user_id")]
    id: UserId,
    link: String,
    #[schemars(schema_with = "schema::unix_ms")]
    expires_at: UnixMs,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PreviewLink {
    #[schemars(length(min = 1, max = 512))]
    token: String,
}

/// What a link is.
#[derive(Serialize, JsonSchema)]
struct Preview {
    display_name: String,
    tenant_name: String,
    login: String,
    kind: Kind,
    #[schemars(schema_with = "schema::unix_ms")]
    expires_at: UnixMs,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Invite,
    Reset,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    #[schemars(length(min = 1, max = 512))]
    token: String,
    #[schemars(length(min = 1, max = 1024))]
    password: String,
}

fn link(invocation: &Invocation, link: &OneTimeLink) -> Link {
    Link {
        id: link.user,
        // Behind the # it reaches no server and no log. The origin is a configured host of this tenant.
        link: format!("{}/invite#{}", invocation.origin, link.token.expose()),
        expires_at: link.expires_at,
    }
}

async fn invite(
    gateway: Gateway,
    invocation: Invocation,
    params: Invite,
) -> Result<Reply<Link>, Problem> {
    let new = NewUser {
        login: params.login,
        display_name: params.display_name,
        email: None,
        password: None,
        admin: params.admin,
        locale: params.locale.unwrap_or(invocation.tenant.locale),
    };
    let made = gateway
        .identity()
        .invite(&invocation.cx, new)
        .await
        .map_err(refused)?;
    Ok(link(&invocation, &made).into())
}

async fn reset(
    gateway: Gateway,
    invocation: Invocation,
    params: Somebody,
) -> Result<Reply<Link>, Problem> {
    let made = gateway
        .identity()
        .reset(&invocation.cx, params.user)
        .await
        .map_err(refused)?;
    Ok(link(&invocation, &made).into())
}

async fn preview(
    gateway: Gateway,
    invocation: Invocation,
    params: PreviewLink,
) -> Result<Reply<Preview>, Problem> {
    let seen = gateway
        .identity()
        .invite_preview(invocation.tenant.id, &params.token)
        .map_err(refused)?;
    Ok(Preview {
        display_name: seen.display_name,
        tenant_name: invocation.tenant.name.clone(),
        login: seen.login,
        kind: match seen.kind {
            LinkKind::Invite => Kind::Invite,
            LinkKind::Reset => Kind::Reset,
        },
        expires_at: seen.expires_at,
    }
    .into())
}

async fn accept(
    gateway: Gateway,
    invocation: Invocation,
    params: Accept,
) -> Result<Reply<Session>, Problem> {
    let device = http(&invocation)?.device.clone();
    let session = gateway
        .identity()
        .accept_invite(
            invocation.tenant.id,
            &params.token,
            params.password.into(),
            &device,
        )
        .await
        .map_err(refused)?;
    Ok(signed_in(&invocation, session))
}
