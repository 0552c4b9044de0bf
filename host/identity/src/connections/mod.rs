//! Credentials that the host holds for plugins: made by people, kept sealed, renewed before they end, sent by the host
//! alone, and given back when somebody disconnects.

mod back;
mod erase;
mod error;
mod making;
mod oauth;
mod ready;
mod rows;
mod spec;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use vaxel_core::{OpCx, TenantId, UserId};
use vaxel_net::Egress;

use crate::{Identity, IdentityError};
pub use erase::{erase_clients, erase_credentials};
pub use error::ConnectionError;
pub use making::{Authorization, Given};
use oauth::{Grant, Tokens};
pub use ready::Ready;
use rows::{CLIENTS, Client, HELD, Held, Sealed, What};
pub use spec::{ConnectionSpec, CredentialKind};

/// A token is renewed when less than this is left of it, so that it does not end on its way.
const RENEW_BEFORE_MS: u64 = 60_000;

/// How a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Nobody connected it.
    Missing,
    /// It can be used.
    Connected,
    /// The other side takes it no longer, or the plugin changed what it is.
    Expired,
}

/// All connections. Clones share everything.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

type Place = (TenantId, Vec<u8>);

struct Inner {
    identity: Identity,
    egress: Egress,
    /// One renewal of a credential at a time: the other side takes a refresh token once.
    renewing: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>,
    /// Tenants that may have tokens to be given back, and what rings when there are more.
    giving_back: Mutex<BTreeSet<TenantId>>,
    bell: tokio::sync::Notify,
}

impl Connections {
    /// Connections of the people and organizations of this identity.
    pub fn new(identity: Identity, egress: Egress) -> Self {
        Self(Arc::new(Inner {
            identity,
            egress,
            renewing: Mutex::default(),
            giving_back: Mutex::default(),
            bell: tokio::sync::Notify::new(),
        }))
    }

    /// How a connection is for this person, or for the organization.
    pub fn state(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
        spec: &ConnectionSpec,
    ) -> Result<ConnectionState, ConnectionError> {
        let Some(owner) = ready::owner(spec, user) else {
            return Ok(ConnectionState::Missing);
        };
        Ok(match self.held(tenant, owner, spec)? {
            None => ConnectionState::Missing,
            Some((held, _)) if held.expired || held.agreed != spec.agreed() => {
                ConnectionState::Expired
            }
            Some(_) => ConnectionState::Connected,
        })
    }

    /// The credential, renewed if it is about to end. It outlives whoever waits for it: a refresh token that was used
    /// and whose successor is not kept would end the connection.
    pub async fn ready(
        &self,
        tenant: TenantId,
        user: Option<UserId>,
        spec: &ConnectionSpec,
    ) -> Result<Ready, ConnectionError> {
        let owner = ready::owner(spec, user).ok_or(ConnectionError::NobodysOwn)?;
        let (held, client) = self.usable(tenant, owner, spec)?;
        if !self.is_about_to_end(&held) {
            return Ok(Ready::new(spec, &held, client.as_ref()));
        }
        let (me, spec) = (self.clone(), spec.clone());
        let renewing = async move {
            let held = me.renewed(tenant, owner, &spec).await?;
            Ok(Ready::new(&spec, &held, client.as_ref()))
        };
        tokio::spawn(renewing)
            .await
            .map_err(|_| IdentityError::Fault {
                what: "renewing a connection",
            })?
    }

    fn is_about_to_end(&self, held: &Held) -> bool {
        let soon = self.0.identity.now().plus_ms(RENEW_BEFORE_MS);
        match &held.what {
            What::Token { access, .. } => access.ends_at.is_some_and(|end| end <= soon),
            What::ApiKey { .. } | What::Basic { .. } => false,
        }
    }

    async fn renewed(
        &self,
        tenant: TenantId,
        owner: Option<UserId>,
        spec: &ConnectionSpec,
    ) -> Result<Held, ConnectionError> {
        let key = spec.key(owner);
        let turn = self.turn((tenant, key.clone()));
        let _turn = turn.lock().await;
        // Somebody may have renewed it while this waited.
        let (held, client) = self.usable(tenant, owner, spec)?;
        let What::Token { access, refresh } = &held.what else {
            return Ok(held);
        };
        if !self.is_about_to_end(&held) {
            return Ok(held);
        }
        let client = client.ok_or(ConnectionError::Missing)?;
        let grant = match (spec.kind, refresh) {
            (CredentialKind::ClientCredentials, _) => Some(Grant::Client),
            (_, Some(token)) => Some(Grant::Refresh(token)),
            (_, None) => None,
        };
        let now = self.0.identity.now();
        let is_good_for_now = access.ends_at.is_none_or(|end| end > now);
        let asked = match grant {
            Some(grant) => oauth::ask(&self.0.egress, tenant, spec, &client, grant, now).await,
            None if is_good_for_now => return Ok(held),
            None => Err(ConnectionError::Refused),
        };
        let renewed = match asked {
            Ok(Tokens {
                access,
                refresh: rotated,
            }) => Held {
                expired: false,
                what: What::Token {
                    access,
                    // One that does not rotate stays (RFC 6749 section 6).
                    refresh: rotated.or_else(|| refresh.clone()),
                },
                ..held.clone()
            },
            Err(ConnectionError::Refused) => Held {
                expired: true,
                ..held.clone()
            },
            // The other side is down; what there is may do until it is up.
            Err(_) if is_good_for_now => return Ok(held),
            Err(error) => return Err(error),
        };
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let is_there = store
            .change(tenant, |tx| {
                let there = tx.get_raw(HELD, &key)?.is_some();
                if there {
                    sealed.put(tx, HELD, &key, &renewed, owner)?;
                } else if !renewed.expired {
                    back::note(tx, sealed, spec, &renewed, Some(&client), now)?;
                }
                Ok(there)
            })
            .await?;
        match (is_there, renewed.expired) {
            // Erased meanwhile: what was had goes back at once.
            (false, _) => {
                self.ring(tenant);
                Err(ConnectionError::Missing)
            }
            (true, true) => {
                tracing::warn!(plugin.id = %spec.plugin, tenant.id = %tenant, connection = spec.name, "the other side ended a connection");
                Err(ConnectionError::Expired)
            }
            (true, false) => Ok(renewed),
        }
    }

    fn turn(&self, place: Place) -> Arc<tokio::sync::Mutex<()>> {
        let mut renewing = self.0.renewing.lock();
        renewing.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(renewing.entry(place).or_default())
    }

    /// What is held and can be used, with its client.
    fn usable(
        &self,
        tenant: TenantId,
        owner: Option<UserId>,
        spec: &ConnectionSpec,
    ) -> Result<(Held, Option<Client>), ConnectionError> {
        let (held, client) = self
            .held(tenant, owner, spec)?
            .ok_or(ConnectionError::Missing)?;
        if held.expired || held.agreed != spec.agreed() {
            return Err(ConnectionError::Expired);
        }
        Ok((held, client))
    }

    fn held(
        &self,
        tenant: TenantId,
        owner: Option<UserId>,
        spec: &ConnectionSpec,
    ) -> Result<Option<(Held, Option<Client>)>, IdentityError> {
        let sealed = self.sealed(tenant);
        self.0.identity.inner.store.look(tenant, |tx| {
            let Some(held) = sealed.get(tx, HELD, &spec.key(owner))? else {
                return Ok(None);
            };
            let client = sealed.get(tx, CLIENTS, &spec.key(None))?;
            Ok(Some((held, client)))
        })
    }

    fn sealed(&self, tenant: TenantId) -> Sealed<'_> {
        Sealed {
            keyring: &self.0.identity.inner.keyring,
            tenant,
        }
    }

    /// Forgets a credential and gives it back to the other side. An organization's goes with its client.
    pub async fn disconnect(
        &self,
        cx: &OpCx,
        user: UserId,
        spec: &ConnectionSpec,
    ) -> Result<(), ConnectionError> {
        let owner = ready::owner(spec, Some(user)).ok_or(ConnectionError::NobodysOwn)?;
        let key = spec.key(owner);
        let turn = self.turn((cx.tenant, key.clone()));
        // A renewal that is under way ends first, so that its tokens are the ones given back.
        let _turn = turn.lock().await;
        let found = self.held(cx.tenant, owner, spec)?;
        let (held, client) = found.ok_or(ConnectionError::Missing)?;
        let (sealed, now) = (self.sealed(cx.tenant), self.0.identity.now());
        let store = &self.0.identity.inner.store;
        let noted = store
            .change(cx.tenant, |tx| {
                tx.delete(HELD, &key)?;
                if owner.is_none() {
                    tx.delete(CLIENTS, &key)?;
                }
                back::note(tx, sealed, spec, &held, client.as_ref(), now)
            })
            .await?;
        for key in noted {
            self.give_back((cx.tenant, key)).await;
        }
        // What the other side did not take now is tried again.
        self.ring(cx.tenant);
        Ok(())
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connections(…)")
    }
}
