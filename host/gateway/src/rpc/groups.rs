//! `groups/*`: people of the organization under one name. Everybody sees them; administrators change them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vaxel_core::{GroupId, Problem, Reason, UnixMs, UserId};
use vaxel_identity::Group;

use super::registry::{Access, Done, Invocation, PAGE_MAX, Registry, Reply};
use super::schema;
use super::session::refused;
use crate::{Gateway, GatewayError};

pub(crate) fn register(registry: &mut Registry) -> Result<(), GatewayError> {
    registry.add(
        "groups/list",
        "The groups of the organization, in the order they were made.",
        Access::User,
        list,
    )?;
    registry.add("groups/get", "A group and its members.", Access::User, get)?;
    registry
        .add(
            "groups/create",
            "Makes an empty group.",
            Access::Admin,
            create,
        )?
        .creates = true;
    registry.add(
        "groups/rename",
        "Gives a group another name.",
        Access::Admin,
        rename,
    )?;
    registry.add(
        "groups/delete",
        "Deletes a group, and no person.",
        Access::Admin,
        delete,
    )?;
    registry.add(
        "groups/add_member",
        "Puts somebody into a group.",
        Access::Admin,
        add_member,
    )?;
    registry.add(
        "groups/remove_member",
        "Takes somebody out of a group.",
        Access::Admin,
        remove_member,
    )?;
    Ok(())
}

/// A group.
#[derive(Serialize, JsonSchema)]
struct GroupView {
    #[schemars(schema_with = "schema::group_id")]
    id: GroupId,
    name: String,
    member_count: u32,
    #[schemars(schema_with = "schema::unix_ms")]
    created_at: UnixMs,
}

impl From<Group> for GroupView {
    fn from(group: Group) -> Self {
        Self {
            id: group.id,
            name: group.name,
            member_count: group.member_count,
            created_at: group.created_at,
        }
    }
}

/// Which groups.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListGroups {
    /// Where the last page ended.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^grp_[0-9a-f]{32}$"))]
    cursor: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<u32>,
}

/// Some groups.
#[derive(Serialize, JsonSchema)]
struct GroupList {
    items: Vec<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One group, and which of its members.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetGroup {
    #[schemars(schema_with = "schema::group_id")]
    group: GroupId,
    /// Where the last page ended.
    #[serde(default)]
    #[schemars(length(max = 64), regex(pattern = "^usr_[0-9a-f]{32}$"))]
    cursor: Option<String>,
    #[serde(default)]
    #[schemars(range(min = 1, max = PAGE_MAX))]
    limit: Option<u32>,
}

/// Somebody in a group.
#[derive(Serialize, JsonSchema)]
struct MemberView {
    #[schemars(schema_with = "schema::user_id")]
    user: UserId,
}

/// A group and some of its members.
#[derive(Serialize, JsonSchema)]
struct GroupMembers {
    group: GroupView,
    items: Vec<MemberView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateGroup {
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    name: String,
}

/// A new group.
#[derive(Serialize, JsonSchema)]
struct Created {
    #[schemars(schema_with = "schema::group_id")]
    id: GroupId,
    group: GroupView,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RenameGroup {
    #[schemars(schema_with = "schema::group_id")]
    group: GroupId,
    #[schemars(length(min = 1, max = 100), regex(pattern = schema::NAME_PATTERN))]
    name: String,
}

/// One group.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    #[schemars(schema_with = "schema::group_id")]
    group: GroupId,
}

/// Somebody and a group.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Membership {
    #[schemars(schema_with = "schema::group_id")]
    group: GroupId,
    #[schemars(schema_with = "schema::user_id")]
    user: UserId,
}

/// The group, after the change.
#[derive(Serialize, JsonSchema)]
struct Changed {
    group: GroupView,
}

fn changed(group: Group) -> Reply<Changed> {
    Changed {
        group: group.into(),
    }
    .into()
}

fn cursor<T: std::str::FromStr>(text: Option<String>) -> Result<Option<T>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|_| Problem::from(Reason::Invalid))
}

fn limit(asked: Option<u32>) -> usize {
    usize::try_from(asked.unwrap_or(PAGE_MAX)).unwrap_or(1)
}

async fn list(
    gateway: Gateway,
    invocation: Invocation,
    params: ListGroups,
) -> Result<Reply<GroupList>, Problem> {
    let (after, limit) = (cursor(params.cursor)?, limit(params.limit));
    let (groups, next) = gateway
        .identity()
        .groups(invocation.tenant.id, after, limit)
        .map_err(refused)?;
    Ok(GroupList {
        items: groups.into_iter().map(GroupView::from).collect(),
        next: next.map(|next| next.to_string()),
    }
    .into())
}

async fn get(
    gateway: Gateway,
    invocation: Invocation,
    params: GetGroup,
) -> Result<Reply<GroupMembers>, Problem> {
    let (identity, tenant) = (gateway.identity(), invocation.tenant.id);
    let (after, limit) = (cursor(params.cursor)?, limit(params.limit));
    let group = identity
        .group(tenant, params.group)
        .map_err(refused)?
        .ok_or_else(|| Problem::new(Reason::NotFound, "There is no such group."))?;
    let (members, next) = identity
        .members_of(tenant, params.group, after, limit)
        .map_err(refused)?;
    Ok(GroupMembers {
        group: group.into(),
        items: members
            .into_iter()
            .map(|user| MemberView { user })
            .collect(),
        next: next.map(|next| next.to_string()),
    }
    .into())
}

async fn create(
    gateway: Gateway,
    invocation: Invocation,
    params: CreateGroup,
) -> Result<Reply<Created>, Problem> {
    let made = gateway
        .identity()
        .create_group(&invocation.cx, &params.name);
    let group = made.await.map_err(refused)?;
    Ok(Created {
        id: group.id,
        group: group.into(),
    }
    .into())
}

async fn rename(
    gateway: Gateway,
    invocation: Invocation,
    params: RenameGroup,
) -> Result<Reply<Changed>, Problem> {
    let renamed = gateway
        .identity()
        .rename_group(&invocation.cx, params.group, &params.name);
    renamed.await.map(changed).map_err(refused)
}

async fn delete(
    gateway: Gateway,
    invocation: Invocation,
    params: Which,
) -> Result<Reply<Done>, Problem> {
    let deleted = gateway
        .identity()
        .delete_group(&invocation.cx, params.group);
    deleted.await.map_err(refused)?;
    Ok(Done {}.into())
}

async fn add_member(
    gateway: Gateway,
    invocation: Invocation,
    params: Membership,
) -> Result<Reply<Changed>, Problem> {
    let added = gateway
        .identity()
        .add_member(&invocation.cx, params.group, params.user);
    added.await.map(changed).map_err(refused)
}

async fn remove_member(
    gateway: Gateway,
    invocation: Invocation,
    params: Membership,
) -> Result<Reply<Changed>, Problem> {
    let removed = gateway
        .identity()
        .remove_member(&invocation.cx, params.group, params.user);
    removed.await.map(changed).map_err(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_group_or_no_name_is_refused_by_the_schema() {
        let registry = Registry::build().unwrap();
        let takes = |name: &str, params: serde_json::Value| {
            let method = registry.get(name).unwrap();
            schema::check_params(&method.params_validator, &params).is_ok()
        };
        let (group, user) = (
            GroupId::from_u128(1).to_string(),
            UserId::from_u128(1).to_string(),
        );
        assert!(takes("groups/create", json!({ "name": "Jour" })));
        for name in ["", "   ", "a\nb", &"å".repeat(101)] {
            assert!(!takes("groups/create", json!({ "name": name })), "{name:?}");
        }
        assert!(takes(
            "groups/add_member",
            json!({ "group": group, "user": user })
        ));
        assert!(!takes(
            "groups/add_member",
            json!({ "group": user, "user": group })
        ));
        assert!(takes("groups/list", json!({ "cursor": group, "limit": 1 })));
        assert!(!takes("groups/list", json!({ "cursor": user })));
        assert!(takes(
            "groups/get",
            json!({ "group": group, "cursor": user })
        ));
    }
}
