//! Who calls: the access token of a request, good at this door only.

use std::sync::Arc;

use http::{HeaderMap, header};
use vaxel_core::{Actor, OpCx, Problem, Reason, RequestId};
use vaxel_identity::{Claims, Tenant, TokenError};
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
