//! Who calls: the access token of a request, good at this door only.

use std::sync::Arc;

use http::{HeaderMap, header};
use vaxel_core::{Actor, Locale, OpCx, Problem, Reason, RequestId, UserId};
use vaxel_identity::{Claims, Identity, Tenant, TokenError};
use vaxel_ops::Refusal;

use crate::Gateway;
use crate::http::edge::Edge;

/// The claims of the bearer token in these headers.
pub(crate) async fn bearer(
    gateway: &Gateway,
    edge: &Edge,
    headers: &HeaderMap,
) -> Result<Arc<Claims>, Problem> {
    let tenant = edge.tenant()?;
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let token = match (sent.next(), sent.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim()),
        _ => None,
    };
    let refused = |problem: Problem| {
        gateway.metrics().refused(Refusal::Token);
        // Guessing costs like any call of somebody who is not signed in.
        match gateway.rates().anonymous(edge.peer) {
            Ok(()) => problem,
            Err(limited) => limited,
        }
    };
    let Some(token) = token else {
        return Err(refused(Problem::from(Reason::Unauthenticated)));
    };
    match gateway.identity().verify_for(tenant.id, token) {
        Ok(claims) => Ok(claims),
        Err(error) => {
            let problem = refused(error.problem());
            if error == TokenError::WrongTenant && problem.reason == Reason::Forbidden {
                record_foreign(gateway, tenant, token).await;
            }
            Err(problem)
        }
    }
}

/// The language of an operation: the caller's own, else the organization's.
pub(crate) fn locale(identity: &Identity, tenant: &Tenant, caller: Option<UserId>) -> Locale {
    let own = caller.map(|user| identity.locale_of(tenant.id, user));
    match own {
        Some(Ok(Some(locale))) => locale,
        None | Some(Ok(None)) => tenant.locale,
        Some(Err(error)) => {
            // No reason to refuse the call, which will meet the same fault if it matters to it.
            tracing::warn!(%error, tenant.id = %tenant.id, "cannot read a person's language");
            tenant.locale
        }
    }
}

/// Writes into this tenant's audit that somebody of another one knocked.
pub(crate) async fn record_foreign(gateway: &Gateway, tenant: &Tenant, token: &str) {
    gateway.metrics().refused(Refusal::Foreign);
    let Ok(claims) = gateway.identity().verify(token) else {
        return;
    };
    let now = gateway.now();
    let cx = OpCx {
        tenant: tenant.id,
        actor: Actor::User(claims.user),
        now,
        request: RequestId::new(now),
        locale: tenant.locale,
    };
    let target = claims.tenant.to_string();
    if let Err(error) = gateway
        .identity()
        .record_refusal(&cx, "token.foreign", &target)
        .await
    {
        tracing::error!(%error, tenant.id = %tenant.id, "cannot audit a refusal");
    }
}

#[cfg(test)]
mod tests {
    use vaxel_core::{Clock, LogAlarms, SimClock, UnixMs};
    use vaxel_crypto::{Keyring, MasterKey};
    use vaxel_identity::{IdentityConfig, NewTenant, NewUser};
    use vaxel_storage::{Storage, StorageConfig};

    use super::*;

    #[tokio::test]
    async fn an_operation_speaks_its_callers_language_and_else_the_organizations() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SimClock::at(UnixMs(1_800_000_000_000)));
        let mut config = StorageConfig::new(dir.path());
        (config.segment_bytes, config.free_bytes_min) = (4 << 20, 0);
        let keyring = Keyring::open(&dir.path().join("keys"), MasterKey::generate()).unwrap();
        let (keyring, alarms) = (Arc::new(keyring), Arc::new(LogAlarms));
        let storage =
            Storage::open(config, Arc::clone(&keyring), Arc::clone(&clock), alarms).unwrap();
        let identity = Identity::open(storage, keyring, clock, IdentityConfig::default())
            .await
            .unwrap();
        let acme = NewTenant {
            slug: "acme".to_owned(),
            name: "Acme".to_owned(),
            hosts: vec!["acme.localhost".to_owned()],
            locale: Locale::Sv,
        };
        let acme = identity.create_tenant(acme).await.unwrap();
        let anna = NewUser {
            login: "anna".to_owned(),
            display_name: "Anna".to_owned(),
            email: None,
            password: None,
            admin: false,
            locale: Locale::En,
        };
        let anna = identity.create_user(acme.id, anna).await.unwrap().id;
        assert_eq!(locale(&identity, &acme, None), Locale::Sv);
        assert_eq!(locale(&identity, &acme, Some(anna)), Locale::En);
        let nobody = UserId::from_u128(9);
        assert_eq!(locale(&identity, &acme, Some(nobody)), Locale::Sv);
        let changed = identity.update_me(acme.id, anna, None, Some(Locale::Sv));
        changed.await.unwrap();
        assert_eq!(locale(&identity, &acme, Some(anna)), Locale::Sv);
    }
}
