//! Groups: several users of a tenant under one name.

use serde::{Deserialize, Serialize};
use vaxel_core::{GroupId, OpCx, TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space};

use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{GROUPS, MEMBERS, MEMBERSHIPS, Row, Tx, decode, pair};
use crate::user::user_required;
use crate::{IdentityError, names};

/// Groups of one tenant: shown as one list.
const GROUPS_MAX: usize = 500;
/// Groups of one user: read for every question about permissions.
const GROUPS_OF_USER_MAX: usize = 100;
/// Members on one page.
const PAGE_MAX: usize = 500;

/// Several users under one name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// What people read.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMs,
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
        };
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.create", group.id)? {
                return Ok(Err(refusal));
            }
            if tx.all(GROUPS, b"")?.len() >= GROUPS_MAX {
                return Ok(Err(IdentityError::TooMany {
                    what: "groups",
                    max: GROUPS_MAX,
                }));
            }
            tx.put(&group.id.to_bytes(), &group, ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, "groups.create", Outcome::Done).about(group.id))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await??;
        Ok(group)
    }

    /// Puts a person into a group; doing it twice is fine.
    pub async fn add_member(
        &self,
        cx: &OpCx,
        group: GroupId,
        user: UserId,
    ) -> Result<(), IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.add_member", group)? {
                return Ok(Err(refusal));
            }
            group_required(tx, group)?;
            user_required(tx, user)?;
            if tx.all(MEMBERSHIPS, &user.to_bytes())?.len() >= GROUPS_OF_USER_MAX {
                let what = "groups of one person";
                return Ok(Err(IdentityError::TooMany {
                    what,
                    max: GROUPS_OF_USER_MAX,
                }));
            }
            let (members, memberships) = keys(group, user);
            tx.put_raw(MEMBERS, &members, vec![1], ErasureKey::TENANT)?;
            tx.put_raw(MEMBERSHIPS, &memberships, vec![1], ErasureKey::TENANT)?;
            tx.append(&AuditEntry::of(cx, "groups.add_member", Outcome::Done).about(user))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Takes a person out of a group; who is not in it stays so.
    pub async fn remove_member(
        &self,
        cx: &OpCx,
        group: GroupId,
        user: UserId,
    ) -> Result<(), IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "groups.remove_member", group)? {
                return Ok(Err(refusal));
            }
            group_required(tx, group)?;
            let (members, memberships) = keys(group, user);
            tx.delete(MEMBERS, &members)?;
            tx.delete(MEMBERSHIPS, &memberships)?;
            tx.append(&AuditEntry::of(cx, "groups.remove_member", Outcome::Done).about(user))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// All groups, in the order they were made.
    pub fn groups(&self, tenant: TenantId) -> Result<Vec<Group>, IdentityError> {
        self.inner.store.look(tenant, |tx| {
            tx.all(GROUPS, b"")?
                .iter()
                .map(|(_, bytes)| decode(bytes, Group::WHAT))
                .collect()
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
            let next = if next.is_some() {
                users.last().copied()
            } else {
                None
            };
            Ok((users, next))
        })
    }
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
