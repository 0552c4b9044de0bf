//! Login sessions: signing in, refreshing with reuse detection, signing out.

use std::net::IpAddr;

use vaxel_core::{SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::Secret;

use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::password::PasswordRow;
use crate::refresh::{Presented, RefreshToken, SessionRow, token_of};
use crate::store::{LOGINS, SESSIONS, Tx, decode, erasure_of, pair};
use crate::throttle::Attempt;
use crate::user::User;
use crate::{IdentityError, names};

/// Devices that one person may be signed in on; one more ends the one that was used longest ago.
const SESSIONS_MAX: usize = 32;
/// What stands in place of a login that nobody can have, so that it is counted as any other.
const NO_LOGIN: &str = "\0";

/// What somebody has who just signed in or refreshed.
#[derive(Clone)]
pub struct SignedIn {
    /// For every call.
    pub access_token: String,
    /// How long it is good.
    pub expires_in_s: u64,
    /// For the next one; goes into a cookie that no script reads.
    pub refresh_token: Secret<String>,
    /// When the refresh token ends if nobody uses it.
    pub refresh_ends_at: UnixMs,
    /// Who it is.
    pub user: User,
    /// The login session.
    pub session: SessionId,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn")
            .field("user", &self.user.id)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

enum Refreshed {
    Good(Box<User>, SessionRow),
    Reused(Vec<SessionId>),
    Gone,
}

impl Identity {
    /// Signs somebody in. An unknown login, a wrong password and a deactivated person look and take the same.
    pub async fn login(
        &self,
        tenant: TenantId,
        login: &str,
        password: Secret<String>,
        device: &str,
        address: IpAddr,
    ) -> Result<SignedIn, IdentityError> {
        self.tenant_required(tenant)?;
        let login = names::login(login).unwrap_or_else(|_| NO_LOGIN.to_owned());
        let attempt = Attempt::of_login(self, tenant, &login, address)?;
        attempt.count(self).await?;

        let login_key = self.login_key(tenant, &login)?;
        let known = self.inner.store.look(tenant, |tx| {
            let Some(user) = find_login(tx, &login_key)? else {
                return Ok(None);
            };
            let row: Option<PasswordRow> = tx.get(&user.to_bytes())?;
            Ok(row.map(|row| (user, row)))
        })?;
        let phc = known.as_ref().map(|(_, found)| found.phc.clone());
        let outdated = known
            .as_ref()
            .is_some_and(|(_, found)| self.inner.hasher.is_outdated(found));
        let to_renew = outdated.then(|| password.clone());
        let is_right = self.inner.hasher.verify(password, phc).await?;
        let Some((user, found)) = known.filter(|_| is_right) else {
            self.note_bad_credentials(tenant).await?;
            return Err(IdentityError::BadCredentials);
        };

        let me = self.clone();
        let device = device.to_owned();
        self.detached(async move {
            let now = me.now();
            let session = SessionId::new(now);
            let row = SessionRow::new(&device, now);
            let turn = attempt.turn(&me).await;
            let signed_in = me
                .inner
                .store
                .change_in_reserve(tenant, |tx| {
                    let held: Option<PasswordRow> = tx.get(&user.to_bytes())?;
                    let is_same = held.is_some_and(|held| held.is_same_password(&found));
                    let person = tx
                        .get::<User>(&user.to_bytes())?
                        .filter(|p| p.active && is_same);
                    let Some(person) = person else {
                        return Ok(None);
                    };
                    attempt.forgive(tx, now)?;
                    me.begin_session(tx, person, session, &row, now).map(Some)
                })
                .await?;
            drop(turn);
            let Some((user, ended)) = signed_in else {
                me.note_bad_credentials(tenant).await?;
                return Err(IdentityError::BadCredentials);
            };
            if let Some(password) = to_renew {
                let (me, user) = (me.clone(), user.id);
                // Nobody waits for it, and if it fails the next login tries again.
                tokio::spawn(async move {
                    if let Err(error) = me.renew_hash(tenant, user, password, &found).await {
                        tracing::warn!(%error, "a password keeps a hash of an older cost");
                    }
                });
            }
            me.announce(tenant, user.id, &ended, now);
            me.signed_in(tenant, user, session, &row, now)
        })
        .await
    }

    /// Signs a person in without asking; for the demo's start page.
    pub async fn sign_in_as(
        &self,
        tenant: TenantId,
        user: UserId,
    ) -> Result<SignedIn, IdentityError> {
        let me = self.clone();
        self.detached(async move {
            let now = me.now();
            let session = SessionId::new(now);
            let row = SessionRow::new("demo", now);
            let (user, ended) = me
                .inner
                .store
                .change_in_reserve(tenant, |tx| {
                    let person = tx
                        .get::<User>(&user.to_bytes())?
                        .filter(|person| person.active);
                    let person = person.ok_or(IdentityError::Unknown { what: "user" })?;
                    me.begin_session(tx, person, session, &row, now)
                })
                .await?;
            me.announce(tenant, user.id, &ended, now);
            me.signed_in(tenant, user, session, &row, now)
        })
        .await
    }

    /// Fresh tokens for a refresh token. A used one ends its session, unless it was rotated a moment ago.
    pub async fn refresh(&self, tenant: TenantId, token: &str) -> Result<SignedIn, IdentityError> {
        let token = RefreshToken::parse(token).ok_or(IdentityError::SessionGone)?;
        self.tenant_required(tenant)?;
        let me = self.clone();
        self.detached(async move {
            let now = me.now();
            let refreshed = me
                .inner
                .store
                .change_in_reserve(tenant, |tx| me.refresh_in(tx, tenant, &token, now))
                .await?;
            match refreshed {
                Refreshed::Good(user, row) => me.signed_in(tenant, *user, token.session, &row, now),
                Refreshed::Reused(ended) => {
                    me.announce(tenant, token.user, &ended, now);
                    Err(IdentityError::RefreshReused)
                }
                Refreshed::Gone => Err(IdentityError::SessionGone),
            }
        })
        .await
    }

    fn refresh_in(
        &self,
        tx: &mut Tx,
        tenant: TenantId,
        token: &RefreshToken,
        now: UnixMs,
    ) -> Result<Refreshed, IdentityError> {
        let key = pair(token.user.to_bytes(), token.session.to_bytes());
        let Some(mut row) = tx.get::<SessionRow>(&key)? else {
            return Ok(Refreshed::Gone);
        };
        if !token.is_genuine(&self.inner.keyring, tenant, &row)? {
            return Ok(Refreshed::Gone);
        }
        match row.present(token.counter, now) {
            Presented::Again => {}
            Presented::Rotated => tx.put(&key, &row, erasure_of(token.user))?,
            Presented::Over => {
                tx.delete(SESSIONS, &key)?;
                return Ok(Refreshed::Gone);
            }
            Presented::Reused => {
                self.end_session_in(tx, token.user, token.session, now)?;
                let entry =
                    AuditEntry::of_user(now, token.user, "session.refresh", Outcome::Refused);
                tx.append(&entry.about(token.session))?;
                return Ok(Refreshed::Reused(vec![token.session]));
            }
        }
        let user = tx
            .get::<User>(&token.user.to_bytes())?
            .filter(|user| user.active);
        Ok(user.map_or(Refreshed::Gone, |user| Refreshed::Good(Box::new(user), row)))
    }

    /// Ends the login session of a refresh token. One that is not ours, or ended before, is no error.
    pub async fn logout(&self, tenant: TenantId, token: &str) -> Result<(), IdentityError> {
        let Some(token) = RefreshToken::parse(token) else {
            return Ok(());
        };
        self.tenant_required(tenant)?;
        let me = self.clone();
        self.detached(async move {
            let now = me.now();
            let key = pair(token.user.to_bytes(), token.session.to_bytes());
            let is_ended = me
                .inner
                .store
                .change_in_reserve(tenant, |tx| {
                    let Some(row) = tx.get::<SessionRow>(&key)? else {
                        return Ok(false);
                    };
                    let is_genuine = token.is_genuine(&me.inner.keyring, tenant, &row)?;
                    if is_genuine {
                        me.end_session_in(tx, token.user, token.session, now)?;
                    }
                    Ok(is_genuine)
                })
                .await?;
            if is_ended {
                me.announce(tenant, token.user, &[token.session], now);
            }
            Ok(())
        })
        .await
    }

    /// Writes the session and the person's last login; answers whom the limit of devices signed out.
    pub(crate) fn begin_session(
        &self,
        tx: &mut Tx,
        mut user: User,
        session: SessionId,
        row: &SessionRow,
        now: UnixMs,
    ) -> Result<(User, Vec<SessionId>), IdentityError> {
        user.last_login_at = Some(now);
        tx.put(&user.id.to_bytes(), &user, erasure_of(user.id))?;

        let mut held = Vec::new();
        for (key, bytes) in tx.all(SESSIONS, &user.id.to_bytes())? {
            let old: SessionRow = decode(&bytes, "login session")?;
            let id = key.get(16..).and_then(|id| <[u8; 16]>::try_from(id).ok());
            let Some(id) = id.map(SessionId::from_bytes) else {
                continue;
            };
            if now >= old.ends_at() {
                tx.delete(SESSIONS, &key)?;
            } else {
                held.push((old.refreshed_at, id));
            }
        }
        held.sort_unstable();
        let surplus = (held.len() + 1).saturating_sub(SESSIONS_MAX);
        let mut ended = Vec::new();
        for (_, id) in held.into_iter().take(surplus) {
            self.end_session_in(tx, user.id, id, now)?;
            ended.push(id);
        }
        tx.put(
            &pair(user.id.to_bytes(), session.to_bytes()),
            row,
            erasure_of(user.id),
        )?;
        Ok((user, ended))
    }

    pub(crate) fn signed_in(
        &self,
        tenant: TenantId,
        user: User,
        session: SessionId,
        row: &SessionRow,
        now: UnixMs,
    ) -> Result<SignedIn, IdentityError> {
        let (access_token, exp) = self.issue(tenant, user.id, user.admin, session, now)?;
        Ok(SignedIn {
            access_token,
            expires_in_s: exp.since(now) / 1_000,
            refresh_token: token_of(&self.inner.keyring, tenant, user.id, session, row)?,
            refresh_ends_at: row.ends_at(),
            user,
            session,
        })
    }

    async fn note_bad_credentials(&self, tenant: TenantId) -> Result<(), IdentityError> {
        let entry = AuditEntry::anonymous(self.now(), "session.login", Outcome::Refused);
        self.inner
            .store
            .change_in_reserve(tenant, |tx| tx.append(&entry))
            .await
    }

    pub(crate) fn login_key(
        &self,
        tenant: TenantId,
        login: &str,
    ) -> Result<[u8; 32], IdentityError> {
        Ok(self
            .inner
            .keyring
            .blind(tenant, "login", login.as_bytes())?)
    }
}

/// Who has this login.
pub(crate) fn find_login(tx: &mut Tx, key: &[u8; 32]) -> Result<Option<UserId>, IdentityError> {
    let Some(bytes) = tx.get_raw(LOGINS, key)? else {
        return Ok(None);
    };
    let bytes =
        <[u8; 16]>::try_from(bytes).map_err(|_| IdentityError::Damaged { what: "login" })?;
    Ok(Some(UserId::from_bytes(bytes)))
}
