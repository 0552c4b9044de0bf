//! People of a tenant: made, shown, changed, deactivated. Each person's rows lie under a key that erases them.

use std::sync::Arc;

use quick_cache::sync::GuardResult;
use serde::{Deserialize, Serialize};
use vaxel_core::{Actor, Locale, OpCx, TenantId, UnixMs, UserId};
use vaxel_crypto::{ErasureKey, Secret};
use vaxel_storage::{Order, Space};

use crate::audit::{AuditEntry, Outcome};
use crate::identity::{Identity, blocking};
use crate::password::PasswordRow;
use crate::session::find_login;
use crate::store::{ADMINS, LOGINS, Row, Tx, USERS, decode, erasure_of};
use crate::{IdentityError, names};

/// People on one page.
const PAGE_MAX: usize = 200;
/// People that one search looks at before it answers with what it found and where to go on.
const SEARCHED_MAX: usize = 5_000;

/// A person who signs in within one tenant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they sign in with.
    pub login: String,
    /// What others read.
    pub display_name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// Whether they administer the organization.
    pub admin: bool,
    /// Whether they may sign in.
    pub active: bool,
    /// Invited and not here yet.
    pub invited: bool,
    /// The language they read.
    pub locale: Locale,
    /// When they were added.
    pub created_at: UnixMs,
    /// When they last signed in.
    pub last_login_at: Option<UnixMs>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Row for User {
    const SPACE: Space = USERS;
    const WHAT: &'static str = "user";
}

/// What a new person begins with.
#[derive(Clone)]
pub struct NewUser {
    /// What they sign in with.
    pub login: String,
    /// What others read.
    pub display_name: String,
    /// Where mail reaches them.
    pub email: Option<String>,
    /// Nothing for somebody who will choose one behind a link.
    pub password: Option<Secret<String>>,
    /// Whether they administer the organization.
    pub admin: bool,
    /// The language they read.
    pub locale: Locale,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewUser(…)")
    }
}

/// Some people, and where the next page begins.
#[derive(Clone, Debug)]
pub struct UserPage {
    /// In the order they were added.
    pub items: Vec<User>,
    /// Pass it as `after`; nothing at the end. May be there with fewer items than asked for.
    pub next: Option<UserId>,
}

impl Identity {
    /// Adds a person. For the command line, the demo and tests; administrators invite.
    pub async fn create_user(&self, tenant: TenantId, new: NewUser) -> Result<User, IdentityError> {
        let (user, password) = self.prepare_user(tenant, new).await?;
        let phc = match password {
            Some(password) => Some(self.inner.hasher.hash(password).await?),
            None => None,
        };
        let login_key = self.login_key(tenant, &user.login)?;
        self.inner
            .store
            .change(tenant, |tx| {
                add_user(tx, &login_key, &user)?;
                if let Some(phc) = &phc {
                    let row = PasswordRow::new(phc.clone(), user.created_at);
                    tx.put(&user.id.to_bytes(), &row, erasure_of(user.id))?;
                }
                Ok(())
            })
            .await?;
        Ok(user)
    }

    /// Checks what was given and makes the person's erasure key, durably before anything is sealed under it.
    pub(crate) async fn prepare_user(
        &self,
        tenant: TenantId,
        new: NewUser,
    ) -> Result<(User, Option<Secret<String>>), IdentityError> {
        self.tenant_required(tenant)?;
        let now = self.now();
        let user = User {
            id: UserId::new(now),
            login: names::login(&new.login)?,
            display_name: names::display_name(&new.display_name)?,
            email: new.email.as_deref().map(names::email).transpose()?,
            admin: new.admin,
            active: true,
            invited: false,
            locale: new.locale,
            created_at: now,
            last_login_at: None,
        };
        if let Some(password) = &new.password {
            names::password(
                password.expose(),
                &user.login,
                self.inner.config.password_chars_min,
            )?;
        }
        let login_key = self.login_key(tenant, &user.login)?;
        if self
            .inner
            .store
            .look(tenant, |tx| find_login(tx, &login_key))?
            .is_some()
        {
            return Err(IdentityError::LoginTaken);
        }
        let keyring = Arc::clone(&self.inner.keyring);
        let key = erasure_of(user.id);
        blocking(move || keyring.create_key(tenant, key).map_err(Into::into)).await?;
        Ok((user, new.password))
    }

    /// The person with this id.
    pub fn user(&self, tenant: TenantId, user: UserId) -> Result<Option<User>, IdentityError> {
        self.inner.store.look(tenant, |tx| tx.get(&user.to_bytes()))
    }

    /// The person with this login.
    pub fn user_by_login(
        &self,
        tenant: TenantId,
        login: &str,
    ) -> Result<Option<User>, IdentityError> {
        let Ok(login) = names::login(login) else {
            return Ok(None);
        };
        let key = self.login_key(tenant, &login)?;
        self.inner
            .store
            .look(tenant, |tx| match find_login(tx, &key)? {
                Some(user) => tx.get(&user.to_bytes()),
                None => Ok(None),
            })
    }

    /// People in the order they were added, those whose name or login holds `query` if one is given.
    pub fn users(
        &self,
        tenant: TenantId,
        query: Option<&str>,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<UserPage, IdentityError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let query = query
            .map(|query| query.trim().to_lowercase())
            .filter(|query| !query.is_empty());
        let is_wanted = |user: &User| {
            query.as_deref().is_none_or(|query| {
                user.display_name.to_lowercase().contains(query) || user.login.contains(query)
            })
        };
        // A search looks at whole pages; a list needs one row more than it shows, to know whether it ends.
        let read_at_once = if query.is_some() { PAGE_MAX } else { limit + 1 };
        self.inner.store.look(tenant, |tx| {
            let mut items = Vec::new();
            let mut searched = 0;
            let mut after = after.map(UserId::to_bytes);
            loop {
                let from = after.as_ref().map(<[u8; 16]>::as_slice);
                let (rows, more) = tx.page(USERS, b"", from, read_at_once, Order::Ascending)?;
                let is_last = more.is_none();
                searched += rows.len();
                for (_, bytes) in rows {
                    let user: User = decode(&bytes, User::WHAT)?;
                    after = Some(user.id.to_bytes());
                    if is_wanted(&user) {
                        items.push(user);
                    }
                    if items.len() > limit {
                        break;
                    }
                }
                if items.len() > limit {
                    // One more than asked for: so there is a next page, and it begins behind the last one shown.
                    items.truncate(limit);
                    let next = items.last().map(|user| user.id);
                    return Ok(UserPage { items, next });
                }
                if is_last {
                    return Ok(UserPage { items, next: None });
                }
                if searched >= SEARCHED_MAX {
                    return Ok(UserPage {
                        items,
                        next: after.map(UserId::from_bytes),
                    });
                }
            }
        })
    }

    /// Changes what a person may change about themselves.
    pub async fn update_me(
        &self,
        tenant: TenantId,
        user: UserId,
        display_name: Option<&str>,
        locale: Option<Locale>,
    ) -> Result<User, IdentityError> {
        let display_name = display_name.map(names::display_name).transpose()?;
        let me = self.clone();
        self.detached(async move {
            let row = me
                .inner
                .store
                .change(tenant, |tx| {
                    let mut row: User = user_required(tx, user)?;
                    if let Some(name) = &display_name {
                        row.display_name.clone_from(name);
                    }
                    row.locale = locale.unwrap_or(row.locale);
                    tx.put(&user.to_bytes(), &row, erasure_of(user))?;
                    Ok(row)
                })
                .await?;
            // Forgotten, not replaced: of two changes at once, the later to come here need not be the later stored.
            me.inner.locales.remove(&(tenant, user));
            Ok(row)
        })
        .await
    }

    /// The language that a person reads; nothing if there is no such person. Remembered: made for every call.
    pub fn locale_of(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<Option<Locale>, IdentityError> {
        let key = (tenant, user);
        if let Some(locale) = self.inner.locales.get(&key) {
            return Ok(Some(locale));
        }
        match self.inner.locales.get_value_or_guard(&key, None) {
            GuardResult::Value(locale) => Ok(Some(locale)),
            GuardResult::Guard(place) => {
                let locale = self.user(tenant, user)?.map(|user| user.locale);
                if let Some(locale) = locale {
                    // Refused if the language was changed meanwhile: then what was read may be the former.
                    let _ = place.insert(locale);
                }
                Ok(locale)
            }
            GuardResult::Timeout => Ok(self.user(tenant, user)?.map(|user| user.locale)),
        }
    }

    /// Takes away a person's access at once: sessions end, open links are void. Their past stays.
    pub async fn deactivate(&self, cx: &OpCx, user: UserId) -> Result<User, IdentityError> {
        let (me, cx) = (self.clone(), cx.clone());
        self.detached(async move {
            let now = me.now();
            let change = |tx: &mut Tx| {
                if let Some(refusal) = me.refuse_non_admin(tx, &cx, "users.deactivate", user)? {
                    return Ok(Err(refusal));
                }
                let mut row = user_required(tx, user)?;
                if row.admin && row.active && !others_administer(tx, user)? {
                    tx.append(
                        &AuditEntry::of(&cx, "users.deactivate", Outcome::Refused).about(user),
                    )?;
                    return Ok(Err(IdentityError::LastAdmin));
                }
                (row.active, row.invited) = (false, false);
                put_user(tx, &row)?;
                me.void_link(tx, user)?;
                let ended = me.end_sessions(tx, user, None, now)?;
                tx.append(&AuditEntry::of(&cx, "users.deactivate", Outcome::Done).about(user))?;
                Ok(Ok((row, ended)))
            };
            let (row, ended) = me
                .inner
                .store
                .change_in_reserve(cx.tenant, change)
                .await??;
            me.announce(cx.tenant, user, &ended, now);
            Ok(row)
        })
        .await
    }

    /// Lets a person sign in again, with the password they had. Who never had one is invited again: `reset` gives
    /// the link, and until they come they do not count as an administrator.
    pub async fn reactivate(&self, cx: &OpCx, user: UserId) -> Result<User, IdentityError> {
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "users.reactivate", user)? {
                return Ok(Err(refusal));
            }
            let mut row = user_required(tx, user)?;
            row.active = tx.get::<PasswordRow>(&user.to_bytes())?.is_some();
            row.invited = !row.active;
            put_user(tx, &row)?;
            tx.append(&AuditEntry::of(cx, "users.reactivate", Outcome::Done).about(user))?;
            Ok(Ok(row))
        };
        self.inner.store.change(cx.tenant, change).await?
    }

    /// Whoever asks must be the system or an active administrator, by what is stored now, not by what their token
    /// says. The refusal is written down in the same commit.
    pub(crate) fn refuse_non_admin(
        &self,
        tx: &mut Tx,
        cx: &OpCx,
        action: &'static str,
        target: impl ToString,
    ) -> Result<Option<IdentityError>, IdentityError> {
        let may = match cx.actor {
            Actor::System => true,
            Actor::User(user) => tx
                .get::<User>(&user.to_bytes())?
                .is_some_and(|user| user.active && user.admin),
            Actor::Plugin(_) | Actor::Anonymous => false,
        };
        if may {
            return Ok(None);
        }
        // Nothing else is written then.
        tx.use_reserve();
        if self.is_fresh_refusal(cx, action) {
            tx.append(&AuditEntry::of(cx, action, Outcome::Refused).about(target))?;
        }
        Ok(Some(IdentityError::NotAdmin))
    }
}

pub(crate) fn user_required(tx: &mut Tx, user: UserId) -> Result<User, IdentityError> {
    tx.get(&user.to_bytes())?
        .ok_or(IdentityError::Unknown { what: "user" })
}

/// Writes the person and keeps the list of active administrators in step.
pub(crate) fn put_user(tx: &mut Tx, user: &User) -> Result<(), IdentityError> {
    let key = user.id.to_bytes();
    if user.admin && user.active {
        tx.put_raw(ADMINS, &key, vec![1], ErasureKey::TENANT)?;
    } else if user.admin {
        tx.delete(ADMINS, &key)?;
    }
    tx.put(&key, user, erasure_of(user.id))
}

/// Writes a new person; their login must be free.
pub(crate) fn add_user(
    tx: &mut Tx,
    login_key: &[u8; 32],
    user: &User,
) -> Result<(), IdentityError> {
    if find_login(tx, login_key)?.is_some() {
        return Err(IdentityError::LoginTaken);
    }
    tx.put_raw(
        LOGINS,
        login_key,
        user.id.to_bytes().to_vec(),
        erasure_of(user.id),
    )?;
    put_user(tx, user)
}

/// Whether there is an active administrator besides this one.
pub(crate) fn others_administer(tx: &mut Tx, user: UserId) -> Result<bool, IdentityError> {
    let (rows, _) = tx.page(ADMINS, b"", None, 2, Order::Ascending)?;
    Ok(rows.iter().any(|(key, _)| *key != user.to_bytes()))
}
