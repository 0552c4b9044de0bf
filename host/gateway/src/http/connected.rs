//! `GET /oauth/connections/callback`: a person comes back from another company's page where they agreed.

use axum::extract::{Query, State};
use axum::http::Extensions;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use vaxel_core::{Actor, OpCx, Problem, Reason, RequestId};
use vaxel_identity::ConnectionError;

use super::cookie::{CONNECT_COOKIE, CookieChange, sent};
use super::edge::Edge;
use super::{Body, Response, problem};
use crate::Gateway;

/// What the other side's redirect carries (RFC 6749 section 4.1.2). No Debug: a code is a credential for a moment.
#[derive(Deserialize)]
pub(crate) struct Back {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: String,
}

/// Makes the connection and sends the person on to where they administer plugins. Nothing of the address is shown.
pub(crate) async fn callback(
    State(gateway): State<Gateway>,
    Query(back): Query<Back>,
    extensions: Extensions,
    headers: HeaderMap,
) -> Response {
    let Some(edge) = extensions.get::<Edge>() else {
        let request = RequestId::new(gateway.now());
        return problem::respond(&Problem::from(Reason::Internal), request);
    };
    match made(&gateway, edge, back, &headers).await {
        Ok(()) => sent_on(edge, "made"),
        // What the person can do about it is the same: begin again.
        Err(error) if error.reason != Reason::Internal && error.reason != Reason::LimitReached => {
            sent_on(edge, "failed")
        }
        Err(error) => problem::respond(&error, edge.request),
    }
}

async fn made(
    gateway: &Gateway,
    edge: &Edge,
    back: Back,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    let tenant = edge.tenant()?;
    gateway.rates().anonymous(edge.peer)?;
    let holder = gateway.runtime().holder();
    let holder = holder.ok_or_else(|| Problem::from(Reason::Unavailable))?;
    let binding = sent(headers, CONNECT_COOKIE).unwrap_or_default();
    let finished = holder
        .finish(tenant.id, &back.state, &binding, back.code.as_deref())
        .await;
    let (plugin, connection, user) = finished.map_err(|error: ConnectionError| {
        tracing::info!(tenant.id = %tenant.id, request.id = %edge.request, %error, "a connection was not made");
        error.problem()
    })?;
    let cx = OpCx {
        tenant: tenant.id,
        actor: Actor::User(user),
        now: edge.now,
        request: edge.request,
        locale: tenant.locale,
    };
    gateway
        .identity()
        .record_act(&cx, "plugins.connect", &format!("{plugin}/{connection}"))
        .await
        .map_err(crate::rpc::session::refused)
}

fn sent_on(edge: &Edge, how: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::from_str(&format!("{}/?connection={how}", edge.origin)) {
        headers.insert(header::LOCATION, to);
    }
    if let Some(cookie) = CookieChange::Unbind.header() {
        headers.append(header::SET_COOKIE, cookie);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}
