//! `roles/*`: permissions under one name, for people and groups. For administrators.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{GroupId, PluginId, Problem, Reason, RoleId, TenantId, UnixMs, UserId};
use vaxel_identity::{Holder, Role};

use super::registry::{Access, Done, Invocation, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "roles/permissions",
        "What roles can be made of: the permissions of the plugins that are switched on.",
        Access::Admin,
        permissions,
    )?;
    registry.add(
        "roles/list",
        "The roles of the organization, in the order they were made.",
        Access::Admin,
        list,
    )?;
    registry
        .add(
            "roles/create",
            "Makes a role that nobody holds yet.",
            Access::Admin,
            create,
        )?
        .creates = true;
    registry.add(
        "roles/update",
        "Gives a role another name or other permissions; its holders have them from their next call on.",
        Access::Admin,
        update,
    )?;
    registry.add(
        "roles/delete",
        "Deletes a role; its holders lose what it gave them.",
        Access::Admin,
        delete,
    )?;
    registry.add("roles/holders", "Who holds a role.", Access::Admin, holders)?;
    registry.add(
        "roles/assign",
        "Gives a role to a person or to everybody in a group.",
        Access::Admin,
        assign,
    )?;
    registry.add(
        "roles/unassign",
        "Takes a role from a person or a group.",
        Access::Admin,
        unassign,
    )?;
    Ok(())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Something that a plugin's methods may require.
#[derive(Serialize, JsonSchema)]
struct PermissionView {
    /// `chat.moderate`.
    name: String,
    #[schemars(schema_with = "schema::plugin_id")]
    plugin: PluginId,
    /// What it allows.
    summary: String,
    /// Who has it without any role: `member`, `admin`.
    suggested: BTreeSet<String>,
}

/// All permissions.
#[derive(Serialize, JsonSchema)]
struct PermissionList {
    items: Vec<PermissionView>,
}

/// A role.
#[derive(Serialize, JsonSchema)]
struct RoleView {
    #[schemars(schema_with = "schema::role_id")]
    id: RoleId,
    name: String,
    permissions: BTreeSet<String>,
    holder_count: u32,
    #[schemars(schema_with = "schema::unix_ms")]
    created_at: UnixMs,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        Self {
            id: role.id,
            name: role.name,
            permissions: role.permissions,
            holder_count: role.holder_count,
            created_at: role.created_at,
        }
    }
}

/// All roles.
#[derive(Serialize, JsonSchema)]
struct RoleList {
    items: Vec<RoleView>,
}

/// The permissions of a role: names, in no order.
fn permission_names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array", "maxItems": 500, "uniqueItems": true,
        "items": { "type": "string", "maxLength": 64, "pattern": "^[a-z0-9_-]+(\\.[a-z0-9_-]+)+$" }
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateRole {
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    name: String,
    #[schemars(schema_with = "permission_names")]
    permissions: BTreeSet<String>,
}

/// A new role.
#[derive(Serialize, JsonSchema)]
struct Created {
    #[schemars(schema_with = "schema::role_id")]
    id: RoleId,
    role: RoleView,
}

/// What to change; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateRole {
    #[schemars(schema_with = "schema::role_id")]
    role: RoleId,
    #[serde(default)]
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    name: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "permission_names")]
    permissions: Option<BTreeSet<String>>,
}

/// One role.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    #[schemars(schema_with = "schema::role_id")]
    role: RoleId,
}

/// A role, and either a person or a group.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Assignment {
    #[schemars(schema_with = "schema::role_id")]
    role: RoleId,
    #[serde(default)]
    #[schemars(schema_with = "optional_user_id")]
    user: Option<UserId>,
    #[serde(default)]
    #[schemars(schema_with = "optional_group_id")]
    group: Option<GroupId>,
}

fn optional_user_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "null"], "pattern": "^usr_[0-9a-f]{32}$" })
}

fn optional_group_id(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "null"], "pattern": "^grp_[0-9a-f]{32}$" })
}

impl Assignment {
    fn holder(&self) -> Result<Holder, Problem> {
        match (self.user, self.group) {
            (Some(user), None) => Ok(Holder::User(user)),
            (None, Some(group)) => Ok(Holder::Group(group)),
            _ => Err(
                Problem::new(Reason::Refused, "Name either a user or a group.")
                    .with_code("one_holder"),
            ),
        }
    }
}

/// Somebody who holds a role: a person or a group.
#[derive(Serialize, JsonSchema)]
struct HolderView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::user_id")]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::group_id")]
    group: Option<GroupId>,
}

/// People first, then groups.
#[derive(Serialize, JsonSchema)]
struct HolderList {
    items: Vec<HolderView>,
}

/// The role, after the change.
#[derive(Serialize, JsonSchema)]
struct Changed {
    role: RoleView,
}

fn changed(role: Role) -> Reply<Changed> {
    Changed { role: role.into() }.into()
}

/// Roles are made of what plugins here declare; what a role has already may stay while its plugin is off.
fn check_known(
    gateway: &Gateway,
    tenant: TenantId,
    wanted: &BTreeSet<String>,
    held: &BTreeSet<String>,
) -> Result<(), Problem> {
    let declared = gateway.runtime().permissions(tenant);
    let is_known = |name: &&String| {
        held.contains(*name) || declared.iter().any(|(_, known)| known.name == **name)
    };
    match wanted.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => Err(Problem::new(
            Reason::Refused,
            format!("No plugin that is switched on here declares {name}."),
        )
        .with_code("unknown_permission")),
    }
}

async fn permissions(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<PermissionList>, Problem> {
    let declared = gateway.runtime().permissions(invocation.tenant.id);
    let items = declared
        .into_iter()
        .map(|(plugin, permission)| PermissionView {
            name: permission.name,
            plugin,
            summary: permission.summary,
            suggested: permission.roles,
        });
    Ok(PermissionList {
        items: items.collect(),
    }
    .into())
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    _: Nothing,
) -> Result<Reply<RoleList>, Problem> {
    let roles = gateway
        .identity()
        .roles(invocation.tenant.id)
        .map_err(refused)?;
    Ok(RoleList {
        items: roles.into_iter().map(RoleView::from).collect(),
    }
    .into())
}

async fn create(
    gateway: Gateway,
    invocation: Invocation,
    params: CreateRole,
) -> Result<Reply<Created>, Problem> {
    let CreateRole { name, permissions } = params;
    check_known(
        &gateway,
        invocation.tenant.id,
        &permissions,
        &BTreeSet::new(),
    )?;
    let made = gateway
        .identity()
        .create_role(&invocation.cx, &name, permissions);
    let role = made.await.map_err(refused)?;
    Ok(Created {
        id: role.id,
        role: role.into(),
    }
    .into())
}

async fn update(
    gateway: Gateway,
    invocation: Invocation,
    params: UpdateRole,
) -> Result<Reply<Changed>, Problem> {
    let UpdateRole {
        role,
        name,
        permissions,
    } = params;
    let (identity, tenant) = (gateway.identity(), invocation.tenant.id);
    if let Some(wanted) = &permissions {
        let roles = identity.roles(tenant).map_err(refused)?;
        let held = roles.into_iter().find(|known| known.id == role);
        let held = held.map(|role| role.permissions).unwrap_or_default();
        check_known(&gateway, tenant, wanted, &held)?;
    }
    let updated = identity.update_role(&invocation.cx, role, name.as_deref(), permissions);
    updated.await.map(changed).map_err(refused)
}

async fn delete(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Done>, Problem> {
    let deleted = gateway.identity().delete_role(&invocation.cx, params.role);
    deleted.await.map_err(refused)?;
    Ok(Done {}.into())
}

async fn holders(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<HolderList>, Problem> {
    let holders = gateway
        .identity()
        .holders_of(invocation.tenant.id, params.role)
        .map_err(refused)?;
    let items = holders.into_iter().map(|holder| match holder {
        Holder::User(user) => HolderView {
            user: Some(user),
            group: None,
        },
        Holder::Group(group) => HolderView {
            user: None,
            group: Some(group),
        },
    });
    Ok(HolderList {
        items: items.collect(),
    }
    .into())
}

async fn assign(
    gateway: Gateway,
    invocation: Invocation,
    params: Assignment,
) -> Result<Reply<Changed>, Problem> {
    let holder = params.holder()?;
    let assigned = gateway
        .identity()
        .assign_role(&invocation.cx, params.role, holder);
    assigned.await.map(changed).map_err(refused)
}

async fn unassign(
    gateway: Gateway,
    invocation: Invocation,
    params: Assignment,
) -> Result<Reply<Changed>, Problem> {
    let holder = params.holder()?;
    let unassigned = gateway
        .identity()
        .unassign_role(&invocation.cx, params.role, holder);
    unassigned.await.map(changed).map_err(refused)
}
