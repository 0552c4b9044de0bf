//! `POST /api/v1/{namespace}/{method}`: the HTTP binding of the method registry.

use std::sync::Arc;

use axum::extract::State;
use http::{HeaderMap, HeaderValue, Request, header};
use vaxel_core::{Actor, OpCx, Problem, Reason, RequestId};
use vaxel_ops::Refusal;

use super::cookie::{CookieChange, refresh_token};
use super::edge::{Edge, check_same_origin};
use super::{Body, Response, body, problem};
use crate::rpc::invoke::invoke;
use crate::rpc::plugin::unknown_method;
use crate::rpc::registry::{Access, Answer, HttpSide, Invocation};
use crate::{Gateway, auth};

/// What a browser calls itself is kept up to this length.
const DEVICE_LEN_MAX: usize = 200;

/// Answers one call.
pub(crate) async fn call(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let Some(edge) = request.extensions().get::<Edge>().cloned() else {
        return problem::respond(
            &Problem::from(Reason::Internal),
            RequestId::new(gateway.now()),
        );
    };
    match run(&gateway, &edge, request).await {
        Ok(answer) => respond(answer),
        Err(refused) => {
            if refused.reason == Reason::LimitReached {
                gateway.metrics().refused(Refusal::Limit);
            }
            problem::respond(&refused, edge.request)
        }
    }
}

async fn run(gateway: &Gateway, edge: &Edge, request: Request<Body>) -> Result<Answer, Problem> {
    let tenant = Arc::clone(edge.tenant()?);
    let (parts, body) = request.into_parts();
    let name = parts
        .uri
        .path()
        .strip_prefix("/api/v1/")
        .ok_or_else(problem::not_found)?;
    let host_method = gateway.registry().get(name);
    let is_public = host_method.is_some_and(|method| method.access == Access::Public);
    let mut place = None;
    let claims = if is_public {
        gateway.rates().anonymous(edge.peer)?;
        None
    } else {
        let claims = auth::bearer(gateway, edge, &parts.headers).await?;
        gateway.rates().user(tenant.id, claims.user)?;
        place = Some(gateway.rates().open_call(tenant.id, claims.user)?);
        Some(claims)
    };
    if host_method.is_none() && !name.starts_with("plugins/") {
        return Err(unknown_method());
    }
    if host_method.is_some_and(|method| method.cookie) {
        check_same_origin(edge, &parts.headers)
            .inspect_err(|_| gateway.metrics().refused(Refusal::Foreign))?;
    }
    body::check_is_json(&parts.headers)?;
    let idempotency_key = one_idempotency_key(&parts.headers)?;
    let limits = gateway.limits();
    let bytes = body::read(
        &parts.headers,
        body,
        limits.body_bytes_max,
        limits.body_timeout_ms,
    )
    .await?;
    let params = body::parse(&bytes)?;
    let caller = claims.as_ref().map(|claims| claims.user);
    let invocation = Invocation {
        cx: OpCx {
            tenant: tenant.id,
            actor: caller.map_or(Actor::Anonymous, Actor::User),
            now: edge.now,
            request: edge.request,
            locale: auth::locale(gateway.identity(), &tenant, caller),
        },
        tenant,
        claims,
        peer: edge.peer,
        http: Some(HttpSide {
            refresh_token: refresh_token(&parts.headers),
            device: device(&parts.headers),
            loopback_http: edge.loopback_http,
        }),
        proof: proof(&parts.headers),
        origin: edge.origin.as_str().into(),
    };
    let answer = invoke(gateway, invocation, name, params, idempotency_key).await;
    drop(place);
    answer
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.json));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(change) = answer.cookie {
        if let Some(cookie) = change.header() {
            headers.append(header::SET_COOKIE, cookie);
        }
        if change == CookieChange::Expire {
            // Never "cookies": that reaches those of siblings under the same parent domain.
            headers.insert(
                "clear-site-data",
                HeaderValue::from_static("\"cache\",\"storage\""),
            );
        }
    }
    response
}

fn one_idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let malformed = || {
        Problem::new(
            Reason::Invalid,
            "An idempotency key is 1 to 128 visible ASCII characters.",
        )
        .with_code("invalid_idempotency_key")
    };
    let mut sent = headers.get_all("idempotency-key").iter();
    match (sent.next(), sent.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => Ok(Some(key.to_str().map_err(|_| malformed())?.to_owned())),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

/// The header that carries the proof of a step-up.
const PROOF: &str = "vaxel-proof";

/// The longest token of a proof.
pub(crate) const PROOF_LEN_MAX: usize = 64;

fn proof(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(PROOF)?.to_str().ok()?;
    let fits = text.len() <= PROOF_LEN_MAX;
    fits.then(|| text.to_owned())
}

fn device(headers: &HeaderMap) -> String {
    headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .map(|text| text.chars().take(DEVICE_LEN_MAX).collect())
        .unwrap_or_default()
}
