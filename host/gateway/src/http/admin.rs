//! What the operator's probes read: health and metrics.

use http::{HeaderValue, Method, Request, StatusCode, header};
use vaxel_core::{Problem, Reason, RequestId};
use vaxel_ops::PluginUsed;

use super::host::requested_host;
use super::{Body, Response, edge, problem};
use crate::Gateway;

/// Connections to the admin listener at once: a scraper, a prober and a person.
pub(crate) const ADMIN_CONNECTIONS_MAX: usize = 32;

/// The answer for a health path; `None` if it is not one.
pub(crate) fn health(
    gateway: &Gateway,
    method: &Method,
    path: &str,
    request: RequestId,
) -> Option<Response> {
    let health = gateway.health();
    let well = match path {
        "/health/live" => true,
        "/health/ready" => health.is_ready(),
        "/health/startup" => health.is_started(),
        _ => return None,
    };
    if !edge::reads(method) {
        let mut response = problem::respond(&problem::method_not_allowed(), request);
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        return Some(response);
    }
    let text = if well {
        r#"{"status":"ok"}"#
    } else {
        r#"{"status":"unavailable"}"#
    };
    let mut response = if *method == Method::HEAD {
        Response::new(Body::new(super::body::LengthOnly::new(text.len())))
    } else {
        Response::new(Body::from(text))
    };
    if !well {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Some(response)
}

/// Answers on the admin listener. Its host must be this machine: a page that resolves its own name to 127.0.0.1
/// reads nothing here.
pub(crate) fn answer<B>(gateway: &Gateway, request: &Request<B>) -> Response {
    let id = RequestId::new(gateway.now());
    let local = requested_host(request)
        .is_ok_and(|host| matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1"));
    if !local {
        let refused = Problem::new(
            Reason::Forbidden,
            "This listener answers to localhost only.",
        )
        .with_code("misdirected");
        return problem::respond(&refused, id);
    }
    let path = request.uri().path();
    if let Some(response) = health(gateway, request.method(), path, id) {
        return response;
    }
    if path != "/metrics" {
        return problem::respond(&problem::not_found(), id);
    }
    if !edge::reads(request.method()) {
        return problem::respond(&problem::method_not_allowed(), id);
    }
    for used in gateway.runtime().used_in_life() {
        let counted = PluginUsed {
            runs: used.calls,
            faults: used.faults,
            processor_us: used.processor_us,
            memory_bytes_max: used.memory_bytes_max,
            written_bytes: used.written_bytes,
            uses: used.uses.into_iter().collect(),
        };
        let metrics = gateway.metrics();
        metrics.plugin_used(used.plugin.as_str(), &counted);
    }
    let ready = gateway.runtime().ready().into_iter();
    let ready = ready.map(|one| (one.plugin.to_string(), one.version, one.ready, one.wanted));
    gateway.metrics().plugins_ready(ready);
    let mut response = Response::new(Body::from(gateway.metrics().encode()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}
