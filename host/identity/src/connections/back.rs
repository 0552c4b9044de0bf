//! Tokens are given back to where they were had: noted with what ends the connection, and tried until the other side
//! has heard it, whatever becomes of the server meanwhile.

use std::time::Duration;

use tokio::task::JoinSet;
use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::random_bytes;

use super::rows::{BACK, Back, Client, Held, Sealed, What};
use super::{ConnectionError, ConnectionSpec, Connections, oauth};
use crate::IdentityError;
use crate::store::Tx;

/// How often one is tried, with pauses that grow: for about a day. The other side lets it end by itself then.
const TRIES_MAX: u32 = 12;

/// The pause behind the first try; each following is four times as long.
const PAUSE_FIRST_MS: u64 = 1_000;

/// The longest pause.
const PAUSE_MAX_MS: u64 = 6 * 3_600_000;

/// How many are tried at one time: one that does not answer holds up few.
const AT_ONCE: usize = 8;

/// How long to sleep at most, so that a clock that is set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// A token of a tenant's that is to be given back.
type Due = (TenantId, Vec<u8>);

/// Notes that the tokens of a credential are to be given back, in the transaction that lets go of it; answers where. To
/// where they were had: a version of the plugin that names another place gets nothing.
pub(super) fn note(
    tx: &mut Tx,
    sealed: Sealed<'_>,
    spec: &ConnectionSpec,
    held: &Held,
    client: Option<&Client>,
    now: UnixMs,
) -> Result<Vec<Vec<u8>>, IdentityError> {
    let (What::Token { access, refresh }, Some(client)) = (&held.what, client) else {
        return Ok(Vec::new());
    };
    if held.agreed != spec.agreed() || spec.revoke_url.is_none() {
        return Ok(Vec::new());
    }
    // The refresh token first: many servers end the other one with it.
    let refresh = refresh.iter().map(|token| (token, "refresh_token"));
    let tokens = refresh.chain([(&access.value, "access_token")]);
    let noted = tokens.map(|(token, hint)| {
        let back = Back {
            spec: spec.clone(),
            client: client.clone(),
            token: token.clone(),
            hint: hint.to_owned(),
            tries: 0,
            next: now,
        };
        let key = [
            spec.plugin.as_str().as_bytes(),
            b"\0",
            &random_bytes::<16>(),
        ]
        .concat();
        // Under the organization's key, whoever the token was for: it is to be given back also when they are erased.
        sealed.put(tx, BACK, &key, &back, None)?;
        Ok(key)
    });
    noted.collect()
}

impl Connections {
    /// Gives back what is to be given back, as it becomes due. Runs until it is dropped.
    pub async fn keep_giving_back(&self) {
        let tenants = self.0.identity.tenants();
        let all = tenants.iter().map(|tenant| tenant.id);
        self.0.giving_back.lock().extend(all);
        loop {
            let wait = self.give_back_due().await;
            tokio::select! {
                () = self.0.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Somebody is to look: there is something to be given back.
    pub(super) fn ring(&self, tenant: TenantId) {
        self.0.giving_back.lock().insert(tenant);
        self.0.bell.notify_one();
    }

    /// Tries what is due, and says when to look again.
    async fn give_back_due(&self) -> Duration {
        let tenants = self.0.giving_back.lock().clone();
        let (mut due, mut wait) = (Vec::new(), SLEEP_MAX);
        for tenant in tenants {
            match self.due(tenant) {
                Ok((now, next)) => {
                    due.extend(now.into_iter().map(|key| (tenant, key)));
                    wait = next.map_or(wait, |next| wait.min(next));
                }
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, %error, "looking for tokens to be given back");
                }
            }
        }
        if due.is_empty() {
            return wait;
        }
        let (mut running, mut due) = (JoinSet::new(), due.into_iter());
        loop {
            while running.len() < AT_ONCE
                && let Some((tenant, key)) = due.next()
            {
                let me = self.clone();
                running.spawn(async move { me.give_back((tenant, key)).await });
            }
            if running.join_next().await.is_none() {
                // What failed is due later: that is looked up anew.
                return Duration::ZERO;
            }
        }
    }

    /// What of a tenant's is due now, and how long until more is. A tenant that has nothing is not looked at again.
    fn due(&self, tenant: TenantId) -> Result<(Vec<Vec<u8>>, Option<Duration>), IdentityError> {
        let (sealed, now) = (self.sealed(tenant), self.0.identity.now());
        // Before the look, so that what is noted meanwhile is not forgotten.
        self.0.giving_back.lock().remove(&tenant);
        let rows = self
            .0
            .identity
            .inner
            .store
            .look(tenant, |tx| tx.all(BACK, b""));
        let rows = rows.inspect_err(|_| self.put_back_on_list(tenant))?;
        let (mut due, mut next) = (Vec::new(), None::<u64>);
        for (key, row) in rows {
            // One that does not open is given up where it is tried.
            let at = sealed.opened::<Back>(&key, &row).map_or(now, |it| it.next);
            match at.since(now) {
                0 => due.push(key),
                left => next = Some(next.map_or(left, |next| next.min(left))),
            }
        }
        if !due.is_empty() || next.is_some() {
            self.put_back_on_list(tenant);
        }
        Ok((due, next.map(Duration::from_millis)))
    }

    fn put_back_on_list(&self, tenant: TenantId) {
        self.0.giving_back.lock().insert(tenant);
    }

    /// Tries to give one back, if it still is to be. It is forgotten when the other side has answered, or never does.
    pub(super) async fn give_back(&self, (tenant, key): Due) {
        let turn = self.turn((tenant, [b"back\0", key.as_slice()].concat()));
        let _turn = turn.lock().await;
        if let Err(error) = self.try_back(tenant, &key).await {
            tracing::warn!(tenant.id = %tenant, %error, "noting that a token was given back");
            self.put_back_on_list(tenant);
        }
    }

    async fn try_back(&self, tenant: TenantId, key: &[u8]) -> Result<(), IdentityError> {
        let sealed = self.sealed(tenant);
        let store = &self.0.identity.inner.store;
        let Some(row) = store.look(tenant, |tx| tx.get_raw(BACK, key))? else {
            return Ok(());
        };
        let forget = |tx: &mut Tx| tx.delete(BACK, key);
        let Ok(back) = sealed.opened::<Back>(key, &row) else {
            return store.change(tenant, forget).await;
        };
        let Back {
            spec,
            client,
            token,
            hint,
            ..
        } = &back;
        let answered = oauth::revoke(&self.0.egress, tenant, spec, client, token, hint).await;
        let tries = back.tries.saturating_add(1);
        match answered {
            Ok(()) => store.change(tenant, forget).await,
            Err(error) if is_final(&error) || tries >= TRIES_MAX => {
                tracing::warn!(plugin.id = %spec.plugin, tenant.id = %tenant, connection = spec.name, %error, "a token could not be given back");
                store.change(tenant, forget).await
            }
            Err(_) => {
                let pause_ms =
                    (PAUSE_FIRST_MS << (2 * back.tries.min(TRIES_MAX))).min(PAUSE_MAX_MS);
                let again = Back {
                    tries,
                    next: self.0.identity.now().plus_ms(pause_ms),
                    ..back.clone()
                };
                let put = |tx: &mut Tx| sealed.put(tx, BACK, key, &again, None);
                store.change(tenant, put).await
            }
        }
    }
}

/// Whether the other side has said no, or the way there is none.
fn is_final(error: &ConnectionError) -> bool {
    matches!(
        error,
        ConnectionError::Refused | ConnectionError::Unfitting(_)
    )
}
