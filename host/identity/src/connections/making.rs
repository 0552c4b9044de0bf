//! Making a connection: what people type in, or their way over the other side's page and back.

use sha2::{Digest as _, Sha256};
use vaxel_core::{OpCx, PluginId, TenantId, UserId};
use vaxel_crypto::{Secret, ct_eq};
use vaxel_storage::Order;

use super::oauth::{self, Grant, Tokens, unguessable};
use super::ready;
use super::rows::{CLIENTS, Client, HELD, Held, PENDING, Pending, What};
use super::{ConnectionError, ConnectionSpec, Connections, CredentialKind, back};
use crate::refresh::SessionRow;
use crate::store::{Tx, pair};
use crate::{Claims, IdentityError, User};

/// How long somebody may take to agree.
const AGREEING_MS: u64 = 10 * 60_000;

/// People of one organization who are on their way to agree.
const PENDING_MAX: usize = 200;

/// The longest credential that somebody types in.
const TYPED_BYTES_MAX: usize = 4_096;

/// The shortest: what is shorter could not be hidden from answers without hiding half of them.
const TYPED_BYTES_MIN: usize = 8;

/// What somebody types in.
#[derive(Default)]
pub struct Given {
    /// An API key.
    pub key: Option<Secret<String>>,
    /// A name, for basic.
    pub name: Option<String>,
    /// Its password.
    pub password: Option<Secret<String>>,
    /// An OAuth client that the other side knows.
    pub client_id: Option<String>,
    /// Its secret, if it has one.
    pub client_secret: Option<Secret<String>>,
}

/// Where somebody goes to agree.
pub struct Authorization {
    /// The other side's page.
    pub url: String,
    /// What only their browser may have when it comes back.
    pub binding: Secret<String>,
    /// How long that is good, in seconds.
    pub age_s: u64,
}

impl Connections {
    /// Makes a connection of what was given, or answers where to go to agree. Who may do this was asked before: an
    /// organization's connections and all OAuth clients are for administrators.
    pub async fn connect(
        &self,
        cx: &OpCx,
        claims: &Claims,
        spec: &ConnectionSpec,
        given: Given,
        redirect_uri: &str,
    ) -> Result<Option<Authorization>, ConnectionError> {
        let owner = ready::owner(spec, Some(claims.user)).ok_or(ConnectionError::NobodysOwn)?;
        match spec.kind {
            CredentialKind::ApiKey => {
                let key = typed(given.key)?;
                self.hold(cx.tenant, owner, spec, What::ApiKey { key })
                    .await?;
                Ok(None)
            }
            CredentialKind::Basic => {
                let password = typed(given.password)?;
                let name = given.name.filter(|name| !name.contains(':'));
                let name = name.ok_or(ConnectionError::Unfitting("a name without a colon"))?;
                let what = What::Basic { name, password };
                self.hold(cx.tenant, owner, spec, what).await?;
                Ok(None)
            }
            CredentialKind::ClientCredentials => {
                let client = client_of(spec, given)?.ok_or(ConnectionError::NoClient)?;
                let egress = &self.0.egress;
                let now = self.0.identity.now();
                // Asked at once, so that a typing error is seen by who made it.
                let Tokens { access, refresh } =
                    oauth::ask(egress, cx.tenant, spec, &client, Grant::Client, now).await?;
                self.register(cx.tenant, spec, &client).await?;
                let what = What::Token { access, refresh };
                self.hold(cx.tenant, owner, spec, what).await?;
                Ok(None)
            }
            CredentialKind::Oauth2 => {
                if let Some(client) = client_of(spec, given)? {
                    self.register(cx.tenant, spec, &client).await?;
                }
                let authorization = self.begin(cx.tenant, claims, spec, redirect_uri);
                authorization.await.map(Some)
            }
        }
    }

    async fn hold(
        &self,
        tenant: TenantId,
        owner: Option<UserId>,
        spec: &ConnectionSpec,
        what: What,
    ) -> Result<(), ConnectionError> {
        let held = Held {
            agreed: spec.agreed(),
            expired: false,
            what,
        };
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let put = |tx: &mut Tx| sealed.put(tx, HELD, &spec.key(owner), &held, owner);
        Ok(store.change(tenant, put).await?)
    }

    /// Unless the client went away while the other side was asked: the plugin was erased, or somebody disconnected. What
    /// was had goes back then.
    async fn hold_with_client(
        &self,
        tenant: TenantId,
        owner: Option<UserId>,
        spec: &ConnectionSpec,
        what: What,
        client: &Client,
    ) -> Result<(), ConnectionError> {
        let held = Held {
            agreed: spec.agreed(),
            expired: false,
            what,
        };
        let (sealed, now) = (self.sealed(tenant), self.0.identity.now());
        let store = &self.0.identity.inner.store;
        let is_held = store.change(tenant, |tx| {
            let there: Option<Client> = sealed.get(tx, CLIENTS, &spec.key(None))?;
            if there.is_none() {
                back::note(tx, sealed, spec, &held, Some(client), now)?;
                return Ok(false);
            }
            sealed.put(tx, HELD, &spec.key(owner), &held, owner)?;
            Ok(true)
        });
        if is_held.await? {
            return Ok(());
        }
        self.ring(tenant);
        Err(ConnectionError::NoClient)
    }

    async fn register(
        &self,
        tenant: TenantId,
        spec: &ConnectionSpec,
        client: &Client,
    ) -> Result<(), ConnectionError> {
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let put = |tx: &mut Tx| sealed.put(tx, CLIENTS, &spec.key(None), client, None);
        Ok(store.change(tenant, put).await?)
    }

    fn client(&self, tenant: TenantId, spec: &ConnectionSpec) -> Result<Client, ConnectionError> {
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let found: Option<Client> =
            store.look(tenant, |tx| sealed.get(tx, CLIENTS, &spec.key(None)))?;
        found
            .filter(|client| client.agreed == spec.agreed())
            .ok_or(ConnectionError::NoClient)
    }

    async fn begin(
        &self,
        tenant: TenantId,
        claims: &Claims,
        spec: &ConnectionSpec,
        redirect_uri: &str,
    ) -> Result<Authorization, ConnectionError> {
        let client = self.client(tenant, spec)?;
        let (state, verifier, binding) = (unguessable(), unguessable(), unguessable());
        let url = oauth::authorize_url(spec, &client, redirect_uri, &state, &verifier)?;
        let now = self.0.identity.now();
        let pending = Pending {
            spec: spec.clone(),
            user: claims.user,
            session: claims.session,
            verifier,
            redirect_uri: redirect_uri.to_owned(),
            binding: hashed(&binding),
            ends_at: now.plus_ms(AGREEING_MS),
        };
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let is_kept = store
            .change(tenant, |tx| {
                let (rows, _) = tx.page(PENDING, b"", None, PENDING_MAX, Order::Ascending)?;
                let mut left = rows.len();
                for (key, row) in rows {
                    // One that does not open any more is nobody's.
                    let old: Option<Pending> = sealed.opened(&key, &row).ok();
                    if old.is_none_or(|old| old.ends_at <= now) {
                        tx.delete(PENDING, &key)?;
                        left -= 1;
                    }
                }
                if left >= PENDING_MAX {
                    return Ok(false);
                }
                let owner = Some(pending.user);
                sealed.put(tx, PENDING, &hashed(&state), &pending, owner)?;
                Ok(true)
            })
            .await?;
        if !is_kept {
            return Err(ConnectionError::TooMany);
        }
        Ok(Authorization {
            url,
            binding: binding.into(),
            age_s: AGREEING_MS / 1_000,
        })
    }

    /// Somebody came back from the other side. The state counts once, from the browser that began, while the login
    /// session that began goes on, and who began may still do it. Answers whose connection was made.
    pub async fn finish(
        &self,
        tenant: TenantId,
        state: &str,
        binding: &str,
        code: Option<&str>,
    ) -> Result<(PluginId, String, UserId), ConnectionError> {
        let pending = self.take(tenant, state, binding).await?;
        let code = code.ok_or(ConnectionError::Refused)?;
        let spec = &pending.spec;
        let client = self.client(tenant, spec)?;
        let grant = Grant::Code {
            code,
            verifier: &pending.verifier,
            redirect_uri: &pending.redirect_uri,
        };
        let now = self.0.identity.now();
        let Tokens { access, refresh } =
            oauth::ask(&self.0.egress, tenant, spec, &client, grant, now).await?;
        let owner = spec.per_user.then_some(pending.user);
        let what = What::Token { access, refresh };
        self.hold_with_client(tenant, owner, spec, what, &client)
            .await?;
        Ok((spec.plugin.clone(), spec.name.clone(), pending.user))
    }

    async fn take(
        &self,
        tenant: TenantId,
        state: &str,
        binding: &str,
    ) -> Result<Pending, ConnectionError> {
        let sealed = self.sealed(tenant);
        let (key, binding) = (hashed(state), hashed(binding));
        let now = self.0.identity.now();
        let store = &self.0.identity.inner.store;
        let taken = store
            .change(tenant, |tx| {
                let Some(pending): Option<Pending> = sealed.get(tx, PENDING, &key)? else {
                    return Ok(None);
                };
                // Another browser does not use it up: it could not come back with it anyway.
                if !ct_eq(&pending.binding, &binding) {
                    return Ok(None);
                }
                tx.delete(PENDING, &key)?;
                let is_there = pending.ends_at > now && may_go_on(tx, &pending)?;
                Ok(is_there.then_some(pending))
            })
            .await?;
        taken.ok_or(ConnectionError::UnknownState)
    }
}

fn may_go_on(tx: &mut Tx, pending: &Pending) -> Result<bool, IdentityError> {
    let session = pair(pending.user.to_bytes(), pending.session.to_bytes());
    let is_signed_in = tx.get::<SessionRow>(&session)?.is_some();
    let user: Option<User> = tx.get(&pending.user.to_bytes())?;
    let may = |user: User| user.active && (user.admin || pending.spec.per_user);
    Ok(is_signed_in && user.is_some_and(may))
}

fn hashed(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn client_of(spec: &ConnectionSpec, given: Given) -> Result<Option<Client>, ConnectionError> {
    let Some(id) = given.client_id else {
        return Ok(None);
    };
    if id.is_empty() || id.len() > TYPED_BYTES_MAX {
        return Err(ConnectionError::Unfitting("a client identifier"));
    }
    let secret = match given.client_secret {
        Some(secret) => Some(typed(Some(secret))?),
        None => None,
    };
    Ok(Some(Client {
        agreed: spec.agreed(),
        id,
        secret,
    }))
}

/// A credential as somebody typed it, fit for a header.
fn typed(given: Option<Secret<String>>) -> Result<String, ConnectionError> {
    let given = given.ok_or(ConnectionError::Unfitting(
        "this kind of connection needs more",
    ))?;
    let text = given.expose();
    let fits = (TYPED_BYTES_MIN..=TYPED_BYTES_MAX).contains(&text.len())
        && !text.chars().any(char::is_control);
    match fits {
        true => Ok(text.clone()),
        false => Err(ConnectionError::Unfitting(
            "a credential has 8 to 4096 characters on one line",
        )),
    }
}
