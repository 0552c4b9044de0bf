//! Roles: permissions under one name, held by people and by groups. Whoever holds several has all their permissions.
//!
//! What plugins suggest for members and administrators needs no role; these come on top.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vaxel_core::{GroupId, OpCx, RoleId, TenantId, UnixMs, UserId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::Space;

use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::store::{
    GROUPS, HOLDERS, HOLDINGS, MEMBERSHIPS, ROLES, ROLES_VERSION, Row, Tx, USERS, decode,
};
use crate::{IdentityError, names};

/// Roles of one tenant: shown as one list.
const ROLES_MAX: usize = 100;
/// Permissions of one role: more than all plugins of a tenant declare together.
const PERMISSIONS_MAX: usize = 500;
/// The longest name of a permission.
const PERMISSION_LEN_MAX: usize = 64;
/// Roles of one holder: read for every question about permissions.
const ROLES_OF_HOLDER_MAX: usize = 50;
/// Holders of one role; many people are a group.
const HOLDERS_MAX: usize = 500;

/// Permissions under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// What people read.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// What its holders may do: names that plugins declare, `chat.moderate`.
    pub permissions: BTreeSet<String>,
    /// How many people and groups hold it.
    #[serde(default)]
    pub holder_count: u32,
}

impl Row for Role {
    const SPACE: Space = ROLES;
    const WHAT: &'static str = "role";
}

/// Who holds a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// One person.
    User(UserId),
    /// Everybody in a group, as long as they are in it.
    Group(GroupId),
}

impl Holder {
    const USER: u8 = 1;
    const GROUP: u8 = 2;

    fn key(self) -> Vec<u8> {
        let (kind, id) = match self {
            Self::User(user) => (Self::USER, user.to_bytes()),
            Self::Group(group) => (Self::GROUP, group.to_bytes()),
        };
        [&[kind], id.as_slice()].concat()
    }

    fn of(key: &[u8]) -> Option<Self> {
        let (kind, id) = key.split_first()?;
        let id = id.try_into().ok()?;
        match *kind {
            Self::USER => Some(Self::User(UserId::from_bytes(id))),
            Self::GROUP => Some(Self::Group(GroupId::from_bytes(id))),
            _ => None,
        }
    }

    fn exists(self, tx: &mut Tx) -> Result<bool, IdentityError> {
        let row = match self {
            Self::User(user) => tx.get_raw(USERS, &user.to_bytes())?,
            Self::Group(group) => tx.get_raw(GROUPS, &group.to_bytes())?,
        };
        Ok(row.is_some())
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::Group(group) => group.fmt(f),
        }
    }
}

impl Identity {
    /// Makes a role that nobody holds yet. Administrators only, as all that changes roles.
    pub async fn create_role(
        &self,
        cx: &OpCx,
        name: &str,
        permissions: BTreeSet<String>,
    ) -> Result<Role, IdentityError> {
        check_permissions(&permissions)?;
        let now = self.now();
        let role = Role {
            id: RoleId::new(now),
            name: names::display_name(name)?,
            created_at: now,
            permissions,
            holder_count: 0,
        };
        self.change_role(cx, "roles.create", role.id.to_string(), |tx| {
            let others = all_roles(tx)?;
            if others.len() >= ROLES_MAX {
                return Err(too_many("roles", ROLES_MAX));
            }
            put_role(tx, &others, &role)
        })
        .await
    }

    /// Gives a role another name, other permissions, or both.
    pub async fn update_role(
        &self,
        cx: &OpCx,
        role: RoleId,
        name: Option<&str>,
        permissions: Option<BTreeSet<String>>,
    ) -> Result<Role, IdentityError> {
        let name = name.map(names::display_name).transpose()?;
        if let Some(permissions) = &permissions {
            check_permissions(permissions)?;
        }
        self.change_role(cx, "roles.update", role.to_string(), |tx| {
            let mut row = role_required(tx, role)?;
            if let Some(name) = &name {
                row.name.clone_from(name);
            }
            if let Some(permissions) = &permissions {
                row.permissions.clone_from(permissions);
            }
            let others = all_roles(tx)?;
            put_role(tx, &others, &row)
        })
        .await
    }

    /// Deletes a role; its holders lose what it gave them.
    pub async fn delete_role(&self, cx: &OpCx, role: RoleId) -> Result<(), IdentityError> {
        self.change_role(cx, "roles.delete", role.to_string(), |tx| {
            role_required(tx, role)?;
            for holder in holders(tx, role)? {
                let (there, back) = keys(role, holder);
                tx.delete(HOLDERS, &there)?;
                tx.delete(HOLDINGS, &back)?;
            }
            tx.delete(ROLES, &role.to_bytes())
        })
        .await
    }

    /// Gives a role to a person or a group; doing it twice is fine.
    pub async fn assign_role(
        &self,
        cx: &OpCx,
        role: RoleId,
        holder: Holder,
    ) -> Result<Role, IdentityError> {
        self.change_role(cx, "roles.assign", format!("{role}/{holder}"), |tx| {
            let mut row = role_required(tx, role)?;
            if !holder.exists(tx)? {
                return Err(IdentityError::Unknown {
                    what: match holder {
                        Holder::User(_) => "user",
                        Holder::Group(_) => "group",
                    },
                });
            }
            let (there, back) = keys(role, holder);
            if tx.get_raw(HOLDERS, &there)?.is_some() {
                return Ok(row);
            }
            if usize::try_from(row.holder_count).is_ok_and(|count| count >= HOLDERS_MAX) {
                return Err(too_many("holders of one role", HOLDERS_MAX));
            }
            if tx.all(HOLDINGS, &holder.key())?.len() >= ROLES_OF_HOLDER_MAX {
                return Err(too_many("roles of one holder", ROLES_OF_HOLDER_MAX));
            }
            row.holder_count += 1;
            tx.put(&role.to_bytes(), &row, ErasureKey::TENANT)?;
            tx.put_raw(HOLDERS, &there, vec![1], ErasureKey::TENANT)?;
            tx.put_raw(HOLDINGS, &back, vec![1], ErasureKey::TENANT)?;
            Ok(row)
        })
        .await
    }

    /// Takes a role from a person or a group; who does not hold it stays so.
    pub async fn unassign_role(
        &self,
        cx: &OpCx,
        role: RoleId,
        holder: Holder,
    ) -> Result<Role, IdentityError> {
        self.change_role(cx, "roles.unassign", format!("{role}/{holder}"), |tx| {
            let mut row = role_required(tx, role)?;
            let (there, back) = keys(role, holder);
            if tx.get_raw(HOLDERS, &there)?.is_none() {
                return Ok(row);
            }
            row.holder_count = row.holder_count.saturating_sub(1);
            tx.put(&role.to_bytes(), &row, ErasureKey::TENANT)?;
            tx.delete(HOLDERS, &there)?;
            tx.delete(HOLDINGS, &back)?;
            Ok(row)
        })
        .await
    }

    /// All roles in the order they were made.
    pub fn roles(&self, tenant: TenantId) -> Result<Vec<Role>, IdentityError> {
        self.inner.store.look(tenant, all_roles)
    }

    /// Who holds a role: people first, then groups.
    pub fn holders_of(&self, tenant: TenantId, role: RoleId) -> Result<Vec<Holder>, IdentityError> {
        self.inner.store.look(tenant, |tx| {
            role_required(tx, role)?;
            holders(tx, role)
        })
    }

    /// What a person may do by their own roles and those of their groups. Remembered: asked with every call.
    pub fn permissions_of(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Arc<BTreeSet<String>>, IdentityError> {
        let key = (tenant, user);
        self.inner.store.look(tenant, |tx| {
            let version = version(tx)?;
            if let Some((known, permissions)) = self.inner.permissions.get(&key)
                && known == version
            {
                return Ok(permissions);
            }
            let mut held = tx.all(HOLDINGS, &Holder::User(user).key())?;
            for (membership, _) in tx.all(MEMBERSHIPS, &user.to_bytes())? {
                let group = GroupId::from_bytes(last_half(&membership)?);
                held.extend(tx.all(HOLDINGS, &Holder::Group(group).key())?);
            }
            let mut permissions = BTreeSet::new();
            for (key, _) in held {
                let role = RoleId::from_bytes(last_half(&key)?);
                if let Some(role) = tx.get::<Role>(&role.to_bytes())? {
                    permissions.extend(role.permissions);
                }
            }
            let permissions = Arc::new(permissions);
            let remembered = (version, Arc::clone(&permissions));
            self.inner.permissions.insert(key, remembered);
            Ok(permissions)
        })
    }

    async fn change_role<T>(
        &self,
        cx: &OpCx,
        action: &'static str,
        target: String,
        work: impl Fn(&mut Tx) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, action, &target)? {
                return Ok(Err(refusal));
            }
            let done = work(tx)?;
            note_change(tx)?;
            tx.append(&AuditEntry::of(cx, action, Outcome::Done).about(&target))?;
            Ok(Ok(done))
        };
        self.inner.store.change(cx.tenant, change).await?
    }
}

const VERSION_KEY: &[u8] = b"version";

/// How often what decides about permissions has changed in this tenant.
fn version(tx: &mut Tx) -> Result<u64, IdentityError> {
    match tx.get_raw(ROLES_VERSION, VERSION_KEY)? {
        None => Ok(0),
        Some(bytes) => bytes
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| damaged()),
    }
}

/// Part of every change that may give or take permissions.
pub(crate) fn note_change(tx: &mut Tx) -> Result<(), IdentityError> {
    let next = version(tx)?.wrapping_add(1).to_be_bytes().to_vec();
    tx.put_raw(ROLES_VERSION, VERSION_KEY, next, ErasureKey::TENANT)
}

/// Takes all roles from a group that is being deleted.
pub(crate) fn release_group(tx: &mut Tx, group: GroupId) -> Result<(), IdentityError> {
    let holder = Holder::Group(group);
    for (key, _) in tx.all(HOLDINGS, &holder.key())? {
        let role = RoleId::from_bytes(last_half(&key)?);
        let (there, back) = keys(role, holder);
        tx.delete(HOLDERS, &there)?;
        tx.delete(HOLDINGS, &back)?;
        if let Some(mut row) = tx.get::<Role>(&role.to_bytes())? {
            row.holder_count = row.holder_count.saturating_sub(1);
            tx.put(&role.to_bytes(), &row, ErasureKey::TENANT)?;
        }
    }
    Ok(())
}

fn all_roles(tx: &mut Tx) -> Result<Vec<Role>, IdentityError> {
    let rows = tx.all(ROLES, b"")?;
    rows.iter()
        .map(|(_, bytes)| decode(bytes, Role::WHAT))
        .collect()
}

fn role_required(tx: &mut Tx, role: RoleId) -> Result<Role, IdentityError> {
    tx.get(&role.to_bytes())?
        .ok_or(IdentityError::Unknown { what: "role" })
}

fn holders(tx: &mut Tx, role: RoleId) -> Result<Vec<Holder>, IdentityError> {
    let rows = tx.all(HOLDERS, &role.to_bytes())?;
    rows.iter()
        .map(|(key, _)| key.get(16..).and_then(Holder::of).ok_or_else(damaged))
        .collect()
}

/// Stores a role unless another has its name: two of one name cannot be told apart in a list.
fn put_role(tx: &mut Tx, others: &[Role], role: &Role) -> Result<Role, IdentityError> {
    let name = role.name.to_lowercase();
    let is_taken = |other: &&Role| other.id != role.id && other.name.to_lowercase() == name;
    if others.iter().find(is_taken).is_some() {
        return Err(IdentityError::RoleNameTaken);
    }
    tx.put(&role.id.to_bytes(), role, ErasureKey::TENANT)?;
    Ok(role.clone())
}

fn check_permissions(permissions: &BTreeSet<String>) -> Result<(), IdentityError> {
    if permissions.len() > PERMISSIONS_MAX {
        return Err(too_many("permissions of one role", PERMISSIONS_MAX));
    }
    let plain = |name: &String| {
        name.len() <= PERMISSION_LEN_MAX
            && name.contains('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    if permissions.iter().all(plain) {
        Ok(())
    } else {
        Err(IdentityError::Malformed {
            what: "permission",
            must: "one that a plugin declares, as in chat.moderate",
        })
    }
}

fn keys(role: RoleId, holder: Holder) -> (Vec<u8>, Vec<u8>) {
    let (role, holder) = (role.to_bytes(), holder.key());
    (
        [role.as_slice(), &holder].concat(),
        [holder.as_slice(), &role].concat(),
    )
}

fn last_half(key: &[u8]) -> Result<[u8; 16], IdentityError> {
    key.last_chunk().copied().ok_or_else(damaged)
}

fn too_many(what: &'static str, max: usize) -> IdentityError {
    IdentityError::TooMany { what, max }
}

fn damaged() -> IdentityError {
    IdentityError::Damaged { what: "role" }
}
