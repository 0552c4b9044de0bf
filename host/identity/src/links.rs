//! One-time links: an invitation, or a way back in. Whoever opens one chooses a password and is signed in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use vaxel_core::{OpCx, SessionId, TenantId, UnixMs, UserId};
use vaxel_crypto::{Secret, random_bytes};
use vaxel_storage::Space;

use crate::audit::{AuditEntry, Outcome};
use crate::identity::Identity;
use crate::password::PasswordRow;
use crate::refresh::SessionRow;
use crate::store::{LINK_OF, LINKS, Row, Tx, erasure_of};
use crate::user::{NewUser, User, add_user, put_user, user_required};
use crate::{IdentityError, SignedIn, names};

const INVITE_MS: u64 = 7 * 86_400_000;
const RESET_MS: u64 = 24 * 3_600_000;
const TOKEN_BYTES: usize = 32;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Joining.
    Invite,
    /// Choosing another password.
    Reset,
}

impl LinkKind {
    const fn lasts_ms(self) -> u64 {
        match self {
            Self::Invite => INVITE_MS,
            Self::Reset => RESET_MS,
        }
    }
}

/// A link as it is handed out, once. Only a hash of the token is kept.
#[derive(Clone)]
pub struct OneTimeLink {
    /// Whom it lets in.
    pub user: UserId,
    /// What it is for.
    pub kind: LinkKind,
    /// Goes behind the `#` of an address, where no server log sees it.
    pub token: Secret<String>,
    /// When it stops to work.
    pub expires_at: UnixMs,
}

impl std::fmt::Debug for OneTimeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneTimeLink")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// What somebody sees who opens a link.
#[derive(Clone)]
pub struct LinkPreview {
    /// What it is for.
    pub kind: LinkKind,
    /// Whom it greets.
    pub display_name: String,
    /// What they will sign in with.
    pub login: String,
    /// When it stops to work.
    pub expires_at: UnixMs,
}

impl std::fmt::Debug for LinkPreview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkPreview")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct LinkRow {
    kind: LinkKind,
    user: UserId,
    expires_at: UnixMs,
}

impl Row for LinkRow {
    const SPACE: Space = LINKS;
    const WHAT: &'static str = "link";
}

impl Identity {
    /// Adds a person who is not here yet, and answers the link that lets them in. Administrators only.
    pub async fn invite(&self, cx: &OpCx, new: NewUser) -> Result<OneTimeLink, IdentityError> {
        // Asked before the login is looked at, so that nobody else can try logins here; asked again in the commit.
        self.require_admin(cx, "users.invite").await?;
        let (mut user, _) = self
            .prepare_user(
                cx.tenant,
                NewUser {
                    password: None,
                    ..new
                },
            )
            .await?;
        (user.active, user.invited) = (false, true);
        let login_key = self.login_key(cx.tenant, &user.login)?;
        let link = self.new_link(cx.tenant, user.id, LinkKind::Invite)?;
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "users.invite", user.id)? {
                return Ok(Err(refusal));
            }
            add_user(tx, &login_key, &user)?;
            self.put_link(tx, &link)?;
            tx.append(&AuditEntry::of(cx, "users.invite", Outcome::Done).about(user.id))?;
            Ok(Ok(()))
        };
        self.inner.store.change(cx.tenant, change).await??;
        Ok(link.shown)
    }

    /// A new link for a person: the invitation again for who has not come yet, else a way to choose another password.
    /// The link before it is void. Administrators only.
    pub async fn reset(&self, cx: &OpCx, user: UserId) -> Result<OneTimeLink, IdentityError> {
        let invite = self.new_link(cx.tenant, user, LinkKind::Invite)?;
        let reset = self.new_link(cx.tenant, user, LinkKind::Reset)?;
        let change = |tx: &mut Tx| {
            if let Some(refusal) = self.refuse_non_admin(tx, cx, "users.reset", user)? {
                return Ok(Err(refusal));
            }
            let row = user_required(tx, user)?;
            if !row.active && !row.invited {
                return Ok(Err(IdentityError::Unknown {
                    what: "active user",
                }));
            }
            let link = if row.invited { &invite } else { &reset };
            self.put_link(tx, link)?;
            tx.append(&AuditEntry::of(cx, "users.reset", Outcome::Done).about(user))?;
            Ok(Ok(row.invited))
        };
        let is_invited = self.inner.store.change(cx.tenant, change).await??;
        Ok(if is_invited {
            invite.shown
        } else {
            reset.shown
        })
    }

    /// What a link is for; a used, replaced or outlived one is gone.
    pub fn invite_preview(
        &self,
        tenant: TenantId,
        token: &str,
    ) -> Result<LinkPreview, IdentityError> {
        let key = self.link_key(tenant, token)?;
        let now = self.now();
        let (link, user) = self
            .inner
            .store
            .look(tenant, |tx| open_link(tx, &key, now))?;
        Ok(LinkPreview {
            kind: link.kind,
            display_name: user.display_name,
            login: user.login,
            expires_at: link.expires_at,
        })
    }

    /// Spends a link: sets the password, ends the sessions there were, and signs in. All or nothing.
    pub async fn accept_invite(
        &self,
        tenant: TenantId,
        token: &str,
        password: Secret<String>,
        device: &str,
    ) -> Result<SignedIn, IdentityError> {
        let key = self.link_key(tenant, token)?;
        let now = self.now();
        // Only who holds a good link may make us hash.
        let (_, user) = self
            .inner
            .store
            .look(tenant, |tx| open_link(tx, &key, now))?;
        names::password(
            password.expose(),
            &user.login,
            self.inner.config.password_chars_min,
        )?;
        let phc = self.inner.hasher.hash(password).await?;

        let (me, device) = (self.clone(), device.to_owned());
        self.detached(async move {
            let now = me.now();
            let session = SessionId::new(now);
            let row = SessionRow::new(&device, now);
            let (user, ended) = me
                .inner
                .store
                .change(tenant, |tx| {
                    let (link, mut user) = open_link(tx, &key, now)?;
                    tx.delete(LINKS, &key)?;
                    tx.delete(LINK_OF, &user.id.to_bytes())?;
                    (user.active, user.invited) = (true, false);
                    put_user(tx, &user)?;
                    let password = PasswordRow::new(phc.clone(), now);
                    tx.put(&user.id.to_bytes(), &password, erasure_of(user.id))?;
                    let ended = me.end_sessions(tx, user.id, None, now)?;
                    let action = match link.kind {
                        LinkKind::Invite => "users.accept_invite",
                        LinkKind::Reset => "users.accept_reset",
                    };
                    let entry = AuditEntry::of_user(now, user.id, action, Outcome::Done);
                    tx.append(&entry.about(user.id))?;
                    let (user, _) = me.begin_session(tx, user, session, &row, now)?;
                    Ok((user, ended))
                })
                .await?;
            me.announce(tenant, user.id, &ended, now);
            me.signed_in(tenant, user, session, &row, now)
        })
        .await
    }

    /// Voids the open link of a person, if there is one.
    pub(crate) fn void_link(&self, tx: &mut Tx, user: UserId) -> Result<(), IdentityError> {
        if let Some(former) = tx.get_raw(LINK_OF, &user.to_bytes())? {
            tx.delete(LINKS, &former)?;
            tx.delete(LINK_OF, &user.to_bytes())?;
        }
        Ok(())
    }

    fn put_link(&self, tx: &mut Tx, link: &NewLink) -> Result<(), IdentityError> {
        let user = link.row.user;
        self.void_link(tx, user)?;
        tx.put_raw(
            LINK_OF,
            &user.to_bytes(),
            link.key.to_vec(),
            erasure_of(user),
        )?;
        tx.put(&link.key, &link.row, erasure_of(user))
    }

    fn new_link(
        &self,
        tenant: TenantId,
        user: UserId,
        kind: LinkKind,
    ) -> Result<NewLink, IdentityError> {
        let bytes = Secret::new(random_bytes::<TOKEN_BYTES>());
        let expires_at = self.now().plus_ms(kind.lasts_ms());
        let token = Secret::new(BASE64.encode(bytes.expose()));
        Ok(NewLink {
            key: self.inner.keyring.blind(tenant, "link", bytes.expose())?,
            row: LinkRow {
                kind,
                user,
                expires_at,
            },
            shown: OneTimeLink {
                user,
                kind,
                token,
                expires_at,
            },
        })
    }

    fn link_key(&self, tenant: TenantId, token: &str) -> Result<[u8; 32], IdentityError> {
        self.tenant_required(tenant)?;
        let bytes = BASE64
            .decode(token)
            .ok()
            .filter(|bytes| bytes.len() == TOKEN_BYTES);
        let bytes = bytes.ok_or(IdentityError::LinkGone)?;
        Ok(self.inner.keyring.blind(tenant, "link", &bytes)?)
    }

    async fn require_admin(&self, cx: &OpCx, action: &'static str) -> Result<(), IdentityError> {
        let change = |tx: &mut Tx| self.refuse_non_admin(tx, cx, action, "");
        match self.inner.store.change(cx.tenant, change).await? {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

struct NewLink {
    key: [u8; 32],
    row: LinkRow,
    shown: OneTimeLink,
}

fn open_link(tx: &mut Tx, key: &[u8; 32], now: UnixMs) -> Result<(LinkRow, User), IdentityError> {
    let link = tx.get::<LinkRow>(key)?.filter(|link| now < link.expires_at);
    let link = link.ok_or(IdentityError::LinkGone)?;
    let user = tx
        .get::<User>(&link.user.to_bytes())?
        .filter(|user| user.active || user.invited);
    Ok((link, user.ok_or(IdentityError::LinkGone)?))
}
