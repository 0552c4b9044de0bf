//! `users/*`: oneself and the people of the organization.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vaxel_core::{Locale, Problem, Reason, UnixMs, UserId};
use vaxel_identity::User;

use super::registry::{Access, Done, Invocation, Nothing, PAGE_MAX, Registry, Reply};
use super::schema;
use super::session::refused;
use super::tenant::TenantView;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "users/me",
        "Who one is, and what one may do.",
        Access::User,
        me,
    )?;
    registry.add(
        "users/list",
        "The people of the organization.",
        Access::User,
        list,
    )?;
    registry.add(
        "users/update_me",
        "Changes one's own name or language.",
        Access::User,
        update_me,
    )?;
    registry.add(
        "users/change_password",
        "Changes one's own password and ends one's other login sessions.",
        Access::User,
        change_password,
    )?;
    registry.add(
        "users/deactivate",
        "Takes somebody's access away, at once.",
        Access::Admin,
        deactivate,
    )?;
    registry
        .add(
            "users/reactivate",
            "Gives somebody's access back.",
            Access::Admin,
            reactivate,
        )?
        .guard = Some(is_about_admin);
    Ok(())
}

/// A person. What only administrators and oneself may read is left out for others.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UserView {
    #[schemars(schema_with = "schema::user_id")]
    id: UserId,
    display_name: String,
    admin: bool,
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Invited and not here yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    invited: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_locale")]
    locale: Option<Locale>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_unix_ms")]
    created_at: Option<UnixMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_unix_ms")]
    last_login_at: Option<UnixMs>,
}

impl UserView {
    /// What colleagues see.
    pub(crate) fn plain(user: &User) -> Self {
        Self {
            id: user.id,
            display_name: user.display_name.clone(),
            admin: user.admin,
            active: user.active,
            login: None,
            email: None,
            invited: None,
            locale: None,
            created_at: None,
            last_login_at: None,
        }
    }

    /// What administrators and the person see.
    pub(crate) fn whole(user: &User) -> Self {
        Self {
            login: Some(user.login.clone()),
            email: user.email.clone(),
            invited: Some(user.invited),
            locale: Some(user.locale),
            created_at: Some(user.created_at),
            last_login_at: user.last_login_at,
            ..Self::plain(user)
        }
    }
}

/// Who one is.
#[derive(Serialize, JsonSchema)]
struct Me {
    user: UserView,
    tenant: TenantView,
    /// All that they may, by a role or without one.
    permissions: Vec<String>,
    /// The plugins that are switched on here.
    plugins: Vec<String>,
}

/// Which people.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListUsers {
    /// Where the last page ended.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^usr_[0-9a-f]{32}$"))]
    cursor: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<u32>,
    /// Part of a name.
    #[serde(default)]
    #[schemars(length(max = 100))]
    query: Option<String>,
}

/// Some people.
#[derive(Serialize, JsonSchema)]
struct UserList {
    items: Vec<UserView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateMe {
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    display_name: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "schema::optional_locale")]
    locale: Option<Locale>,
}

/// Oneself, after the change.
#[derive(Serialize, JsonSchema)]
struct Updated {
    user: UserView,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    #[schemars(length(min = 1, max = 1024))]
    old: String,
    #[schemars(length(min = 1, max = 1024))]
    new: String,
}

/// Somebody.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Somebody {
    #[schemars(schema_with = "schema::user_id")]
    pub(crate) user: UserId,
}

async fn me(gateway: Gateway, invocation: Invocation, _: Nothing) -> Result<Reply<Me>, Problem> {
    let claims = invocation.claims()?;
    let tenant = invocation.tenant.id;
    let user = gateway
        .identity()
        .user(tenant, claims.user)
        .map_err(refused)?
        .ok_or_else(|| Problem::from(Reason::Unauthenticated))?;
    let plugins = super::plugins::enabled(&gateway, tenant);
    let given = gateway
        .identity()
        .permissions_of(tenant, claims.user)
        .map_err(refused)?;
    // What plugins suggest for everybody, or for administrators, one holds without any role.
    let suggested = gateway.runtime().permissions(tenant).into_iter();
    let suggested = suggested.filter(|(_, permission)| {
        permission.roles.contains("member") || (claims.admin && permission.roles.contains("admin"))
    });
    let held: BTreeSet<String> = claims
        .permissions()
        .iter()
        .map(|word| (*word).to_owned())
        .chain(given.iter().cloned())
        .chain(suggested.map(|(_, permission)| permission.name))
        .collect();
    Ok(Me {
        user: UserView::whole(&user),
        tenant: TenantView::of(&invocation.tenant),
        permissions: held.into_iter().collect(),
        plugins,
    }
    .into())
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    params: ListUsers,
) -> Result<Reply<UserList>, Problem> {
    let admin = invocation.claims()?.admin;
    let after = params
        .cursor
        .map(|text| text.parse::<UserId>())
        .transpose()
        .map_err(|_| Problem::from(Reason::Invalid))?;
    let limit = usize::try_from(params.limit.unwrap_or(PAGE_MAX)).unwrap_or(1);
    let query = params
        .query
        .as_deref()
        .map(str::trim)
        .filter(|query| !query.is_empty());
    let page = gateway
        .identity()
        .users(invocation.tenant.id, query, after, limit)
        .map_err(refused)?;
    let view = if admin {
        UserView::whole
    } else {
        UserView::plain
    };
    Ok(UserList {
        items: page.items.iter().map(view).collect(),
        next: page.next.map(|next| next.to_string()),
    }
    .into())
}

async fn update_me(
    gateway: Gateway,
    invocation: Invocation,
    params: UpdateMe,
) -> Result<Reply<Updated>, Problem> {
    let user = invocation.claims()?.user;
    let user = gateway
        .identity()
        .update_me(
            invocation.tenant.id,
            user,
            params.display_name.as_deref(),
            params.locale,
        )
        .await
        .map_err(refused)?;
    Ok(Updated {
        user: UserView::whole(&user),
    }
    .into())
}

async fn change_password(
    gateway: Gateway,
    invocation: Invocation,
    params: ChangePassword,
) -> Result<Reply<Done>, Problem> {
    gateway
        .identity()
        .change_password(invocation.claims()?, params.old.into(), params.new.into())
        .await
        .map_err(|error| match error {
            // The caller is signed in; only the old password is wrong.
            vaxel_identity::IdentityError::BadCredentials => {
                Problem::new(Reason::Forbidden, "The old password is wrong.")
                    .with_code("bad_credentials")
            }
            other => refused(other),
        })?;
    Ok(Done {}.into())
}

async fn deactivate(
    gateway: Gateway,
    invocation: Invocation,
    params: Somebody,
) -> Result<Reply<Done>, Problem> {
    gateway
        .identity()
        .deactivate(&invocation.cx, params.user)
        .await
        .map_err(refused)?;
    Ok(Done {}.into())
}

/// Whether the person whom the parameters name administers the organization, or would.
pub(super) fn is_about_admin(gateway: &Gateway, invocation: &Invocation, params: &Value) -> bool {
    let user = params.get("user").and_then(Value::as_str);
    let user = user.and_then(|user| user.parse().ok());
    let found = user.and_then(|user| gateway.identity().user(invocation.cx.tenant, user).ok());
    found.flatten().is_none_or(|user| user.admin)
}

async fn reactivate(
    gateway: Gateway,
    invocation: Invocation,
    params: Somebody,
) -> Result<Reply<Done>, Problem> {
    gateway
        .identity()
        .reactivate(&invocation.cx, params.user)
        .await
        .map_err(refused)?;
    Ok(Done {}.into())
}
