//! Groups: several users of a tenant under one name.

use serde::{Deserialize, Serialize};
use vaxel_core::{GroupId, OpCx, TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space};

use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{GROUPS, MEMBERS, MEMBERSHIPS, Row, Tx, decode, pair};
use crate::user::user_required;
use crate::{IdentityError, names, roles};

/// Groups of one tenant: shown as one list.
const GROUPS_MAX: usize = 500;
/// Groups of one user: read for every question about permissions.
const GROUPS_OF_USER_MAX: usize = 100;
/// Members of one group: a whole town's staff is several groups.
const MEMBERS_MAX: usize = 5_000;
/// Members or groups on one page.
const PAGE_MAX: usize = 500;
/// Members that go in one commit when a group is deleted: each is two rows, and a transaction has a thousand.
const DELETED_AT_ONCE: usize = 400;

/// Several users under one name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What people read.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// How many people are in it.
    #[serde(default)]
    pub member_count: u32,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Row for Group {
    const SPACE: Space = GROUPS;
    const WHAT: &'static str = "group";
}

impl Identity {
    /// Makes an empty group. Administrators only, as all that changes groups.
    pub async fn create_group(&self, cx: &OpCx, name: &str) -> Result<Group, IdentityError> {
        let now = self.now();
        let group = Group {
            id: GroupId::new(now),
            name: names::display_name(name)?,
            created_at: now,
            member_count: 0,
        };
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.create", group.id)? {
                return Ok(Err(refusal));
            }
            let others = all_groups(tx)?;
            if others.len() >= GROUPS_MAX {
                return Ok(Err(IdentityError::TooMany {
                    what: "groups",
                    max: GROUPS_MAX,
                }));
            }
            if is_taken(&others, &group) {
                return Ok(Err(IdentityError::GroupNameTaken));
            }
            tx.put(&group.id.to_bytes(), &group, ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, "groups.create", Outcome::Done).about(group.id))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await??;
        Ok(group)
    }

    /// Gives a group another name.
    pub async fn rename_group(
        &self,
        cx: &OpCx,
        group: GroupId,
        name: &str,
    ) -> Result<Group, IdentityError> {
        let name = names::display_name(name)?;
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.rename", group)? {
                return Ok(Err(refusal));
            }
            let mut row = group_required(tx, group)?;
            row.name.clone_from(&name);
            if is_taken(&all_groups(tx)?, &row) {
                return Ok(Err(IdentityError::GroupNameTaken));
            }
            tx.put(&group.to_bytes(), &row, ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, "groups.rename", Outcome::Done).about(group))?;
            Ok(Ok(row))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Deletes a group; the people stay. A large one empties in several commits: should the server end in between,
    /// what is left is a smaller group, and deleting it again goes on.
    pub async fn delete_group(&self, cx: &OpCx, group: GroupId) -> Result<(), IdentityError> {
        let (me, cx) = (self.clone(), cx.clone());
        self.detached(async move {
            let change = |tx: &mut Tx| {
                if let Some(refusal) = me.refuse_non_admin(tx, &cx, "groups.delete", group)? {
                    return Ok(Err(refusal));
                }
                let mut row = group_required(tx, group)?;
                let prefix = group.to_bytes();
                let (rows, more) =
                    tx.page(MEMBERS, &prefix, None, DELETED_AT_ONCE, Order::Ascending)?;
                for (key, _) in &rows {
                    let (members, memberships) = keys(group, UserId::from_bytes(second(key)?));
                    tx.delete(MEMBERS, &members)?;
                    tx.delete(MEMBERSHIPS, &memberships)?;
                }
                roles::note_change(tx)?;
                if more.is_some() {
                    let gone = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                    row.member_count = row.member_count.saturating_sub(gone);
                    tx.put(&prefix, &row, ErasureKey::TENANT)?;
                    return Ok(Ok(false));
                }
                roles::release_group(tx, group)?;
                tx.delete(GROUPS, &prefix)?;
                tx.append(&AuditEntry::of(&cx, "groups.delete", Outcome::Done).about(group))?;
                Ok(Ok(true))
            };
            while !me.inner.store.change(cx.tenant, change).await?? {}
            Ok(())
        })
        .await
    }

    /// Puts a person into a group; doing it twice is fine.
    pub async fn add_member(
        &self,
        cx: &OpCx,
        group: GroupId,
        user: UserId,
    ) -> Result<Group, IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.add_member", group)? {
                return Ok(Err(refusal));
            }
            let mut row = group_required(tx, group)?;
            user_required(tx, user)?;
            let (members, memberships) = keys(group, user);
            if tx.get_raw(MEMBERS, &members)?.is_some() {
                return Ok(Ok(row));
            }
            if usize::try_from(row.member_count).is_ok_and(|count| count >= MEMBERS_MAX) {
                return Ok(Err(IdentityError::TooMany {
                    what: "members of one group",
                    max: MEMBERS_MAX,
                }));
            }
            if tx.all(MEMBERSHIPS, &user.to_bytes())?.len() >= GROUPS_OF_USER_MAX {
                let what = "groups of one person";
                return Ok(Err(IdentityError::TooMany {
                    what,
                    max: GROUPS_OF_USER_MAX,
                }));
            }
            row.member_count += 1;
            tx.put(&group.to_bytes(), &row, ErasureKey::TENANT)?;
            tx.put_raw(MEMBERS, &members, vec![1], ErasureKey::TENANT)?;
            tx.put_raw(MEMBERSHIPS, &memberships, vec![1], ErasureKey::TENANT)?;
            roles::note_change(tx)?;
            let entry = AuditEntry::of(cx, "groups.add_member", Outcome::Done);
            tx.append(&entry.about(membership(group, user)))?;
            Ok(Ok(row))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Takes a person out of a group; who is not in it stays so.
    pub async fn remove_member(
        &self,
        cx: &OpCx,
        group: GroupId,
        user: UserId,
    ) -> Result<Group, IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.remove_member", group)? {
                return Ok(Err(refusal));
            }
            let mut row = group_required(tx, group)?;
            let (members, memberships) = keys(group, user);
            if tx.get_raw(MEMBERS, &members)?.is_none() {
                return Ok(Ok(row));
            }
            row.member_count = row.member_count.saturating_sub(1);
            tx.put(&group.to_bytes(), &row, ErasureKey::TENANT)?;
            tx.delete(MEMBERS, &members)?;
            tx.delete(MEMBERSHIPS, &memberships)?;
            roles::note_change(tx)?;
            let entry = AuditEntry::of(cx, "groups.remove_member", Outcome::Done);
            tx.append(&entry.about(membership(group, user)))?;
            Ok(Ok(row))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// The group with this id.
    pub fn group(&self, tenant: TenantId, group: GroupId) -> Result<Option<Group>, IdentityError> {
        self.inner
            .store
            .look(tenant, |tx| tx.get(&group.to_bytes()))
    }

    /// Groups in the order they were made, and where the next page begins.
    pub fn groups(
        &self,
        tenant: TenantId,
        after: Option<GroupId>,
        limit: usize,
    ) -> Result<(Vec<Group>, Option<GroupId>), IdentityError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let after = after.map(GroupId::to_bytes);
        self.inner.store.look(tenant, |tx| {
            let after = after.as_ref().map(<[u8; 16]>::as_slice);
            let (rows, next) = tx.page(GROUPS, b"", after, limit, Order::Ascending)?;
            let groups = rows.iter().map(|(_, bytes)| decode(bytes, Group::WHAT));
            let groups: Vec<Group> = groups.collect::<Result<_, _>>()?;
            let next = groups
                .last()
                .map(|group| group.id)
                .filter(|_| next.is_some());
            Ok((groups, next))
        })
    }

    /// The groups that a person is in.
    pub fn groups_of(&self, tenant: TenantId, user: UserId) -> Result<Vec<GroupId>, IdentityError> {
        self.inner.store.look(tenant, |tx| {
            let rows = tx.all(MEMBERSHIPS, &user.to_bytes())?;
            rows.iter()
                .map(|(key, _)| second(key).map(GroupId::from_bytes))
                .collect()
        })
    }

    /// The members of a group by id, and where the next page begins.
    pub fn members_of(
        &self,
        tenant: TenantId,
        group: GroupId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<UserId>, Option<UserId>), IdentityError> {
        let limit = limit.clamp(1, PAGE_MAX);
        self.inner.store.look(tenant, |tx| {
            let after = after.map(|user| keys(group, user).0);
            let (rows, next) = tx.page(
                MEMBERS,
                &group.to_bytes(),
                after.as_deref(),
                limit,
                Order::Ascending,
            )?;
            let users = rows
                .iter()
                .map(|(key, _)| second(key).map(UserId::from_bytes));
            let users: Vec<UserId> = users.collect::<Result<_, _>>()?;
            let next = users.last().copied().filter(|_| next.is_some());
            Ok((users, next))
        })
    }
}

fn all_groups(tx: &mut Tx) -> Result<Vec<Group>, IdentityError> {
    let rows = tx.all(GROUPS, b"")?;
    rows.iter()
        .map(|(_, bytes)| decode(bytes, Group::WHAT))
        .collect()
}

/// Whether another group has this name: two of one name cannot be told apart in a list.
fn is_taken(others: &[Group], group: &Group) -> bool {
    let name = group.name.to_lowercase();
    others
        .iter()
        .any(|other| other.id != group.id && other.name.to_lowercase() == name)
}

/// A membership in the audit.
fn membership(group: GroupId, user: UserId) -> String {
    format!("{group}/{user}")
}

fn group_required(tx: &mut Tx, group: GroupId) -> Result<Group, IdentityError> {
    tx.get(&group.to_bytes())?
        .ok_or(IdentityError::Unknown { what: "group" })
}

fn keys(group: GroupId, user: UserId) -> (Vec<u8>, Vec<u8>) {
    (
        pair(group.to_bytes(), user.to_bytes()),
        pair(user.to_bytes(), group.to_bytes()),
    )
}

fn second(key: &[u8]) -> Result<[u8; 16], IdentityError> {
    let half = key.get(16..).and_then(|half| half.try_into().ok());
    half.ok_or(IdentityError::Damaged { what: "membership" })
}
