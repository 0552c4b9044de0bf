//! `/hooks/{plugin}/…`: raw HTTP for a plugin, without anything of a browser's session, and answers that a browser
//! does nothing with.

use std::time::Instant;

use axum::extract::State;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use vaxel_core::{Actor, OpCx, PluginId, Problem, Reason, RequestId};
use vaxel_ops::Refusal;
use vaxel_runtime::{HttpRequest, HttpResponse, Origin};

use super::public::decoded;
use crate::Gateway;
use crate::http::edge::Edge;
use crate::http::{Body, Response, body, problem};

/// What a plugin is sent at once.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The longest address behind `/hooks/`.
const ADDRESS_BYTES_MAX: usize = 4_096;

/// Headers that a plugin is given; senders of webhooks add a handful.
const HEADERS_MAX: usize = 64;

/// Nothing runs, nothing loads, and the answer has an origin of its own.
const POLICY: &str =
    "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What a guest never sees: credentials, who is behind which proxy, and what concerns one connection.
const WITHHELD: &[&str] = &[
    "authorization",
    "cf-connecting-ip",
    "client-ip",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "fastly-client-ip",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "origin",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
];

const WITHHELD_FAMILIES: &[&str] = &[
    "proxy-",
    "sec-",
    "x-client-ip",
    "x-cluster-",
    "x-forwarded",
    "x-original-",
    "x-real-",
    "x-vaxel-",
];

/// What a guest's answer may say besides its content type.
const ANSWERED: &[&str] = &["content-language", "etag", "last-modified", "retry-after"];

/// Content that a browser shows or saves as what it is; it runs none of it.
const INERT: &[&str] = &[
    "application/json",
    "application/problem+json",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/calendar",
    "text/csv",
    "text/plain",
];

/// Feeds: read by programs, saved by browsers.
const SAVED: &[&str] = &[
    "application/atom+xml",
    "application/octet-stream",
    "application/pdf",
    "application/rss+xml",
    "application/xml",
    "application/zip",
];

/// Hands one request to a plugin.
pub(crate) async fn handle(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let Some(edge) = request.extensions().get::<Edge>().cloned() else {
        let problem = Problem::from(Reason::Internal);
        return problem::respond(&problem, RequestId::new(gateway.now()));
    };
    match run(&gateway, &edge, request).await {
        Ok(response) => response,
        Err(refused) => {
            if refused.reason == Reason::LimitReached {
                gateway.metrics().refused(Refusal::Limit);
            }
            problem::respond(&refused, edge.request)
        }
    }
}

async fn run(gateway: &Gateway, edge: &Edge, request: Request<Body>) -> Result<Response, Problem> {
    let tenant = edge.tenant()?.clone();
    gateway.rates().anonymous(edge.peer)?;
    let (parts, body) = request.into_parts();
    let (plugin, path) = address(parts.uri.path()).ok_or_else(problem::not_found)?;
    // A worker would answer for pages of ours.
    let is_worker = parts.headers.contains_key("service-worker");
    if is_worker || !gateway.runtime().takes_http(tenant.id, &plugin) {
        return Err(problem::not_found());
    }
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    if !known.contains(&parts.method) {
        return Err(problem::method_not_allowed());
    }
    let bytes_max = gateway.limits().body_bytes_max.min(BODY_BYTES_MAX);
    let body = body::read(
        &parts.headers,
        body,
        bytes_max,
        gateway.limits().body_timeout_ms,
    )
    .await?;
    let cx = OpCx {
        tenant: tenant.id,
        actor: Actor::Anonymous,
        now: edge.now,
        request: edge.request,
        locale: tenant.locale,
    };
    let sent = HttpRequest {
        method: parts.method.as_str().to_owned(),
        path,
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: passed_on(&parts.headers),
        body,
        origin: Origin::of(edge.peer),
    };
    let started = Instant::now();
    let answered = gateway.runtime().http_in(cx, &plugin, sent).await;
    gateway
        .metrics()
        .plugin_call(plugin.as_str(), answered.is_ok(), started.elapsed());
    let HttpResponse {
        status,
        headers,
        body,
    } = answered?;
    answer(status, &headers, body).ok_or_else(|| {
        tracing::warn!(
            plugin.id = %plugin, tenant.id = %tenant.id, request.id = %edge.request, http.status = status,
            "a plugin answered raw HTTP with a status that it may not"
        );
        let detail = "The plugin did not answer as it may.";
        Problem::new(Reason::Internal, detail).with_code("plugin-bad-answer")
    })
}

fn address(path: &str) -> Option<(PluginId, String)> {
    let rest = path.strip_prefix("/hooks/")?;
    if rest.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let (plugin, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((plugin.parse().ok()?, decoded(path)?))
}

/// The headers that a guest may see, as text.
fn passed_on(headers: &HeaderMap) -> Vec<(String, String)> {
    let connection = headers.get_all(header::CONNECTION).iter();
    let hops: Vec<String> = connection
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_withheld = |name: &str| {
        WITHHELD.contains(&name)
            || WITHHELD_FAMILIES
                .iter()
                .any(|family| name.starts_with(family))
            || hops.iter().any(|hop| hop == name)
    };
    let seen = headers
        .iter()
        .filter(|(name, _)| !is_withheld(name.as_str()));
    seen.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .take(HEADERS_MAX)
        .collect()
}

/// A guest's answer as it leaves; none if its status leads elsewhere or is no status.
fn answer(status: u16, said: &[(String, String)], body: Bytes) -> Option<Response> {
    let status = StatusCode::from_u16(status).ok()?;
    let leads_nowhere = status.is_success() || status.is_client_error() || status.is_server_error();
    if !leads_nowhere && status != StatusCode::NOT_MODIFIED {
        return None;
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut kind = None;
    for (name, value) in said {
        let name = name.to_ascii_lowercase();
        if name == "content-type" {
            kind = Some(value.as_str());
        }
        let Some(name) = ANSWERED.iter().find(|known| **known == name) else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let (kind, is_saved) = content(kind);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if is_saved {
        headers.insert(
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment"),
        );
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    Some(response)
}

/// What the content is called, and whether a browser saves it instead of showing it.
fn content(said: Option<&str>) -> (&'static str, bool) {
    let essence = said
        .unwrap_or("text/plain")
        .split(';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let named = |names: &[&'static str]| names.iter().find(|name| **name == essence).copied();
    match named(INERT) {
        Some("text/plain") => ("text/plain; charset=utf-8", false),
        Some("text/csv") => ("text/csv; charset=utf-8", true),
        Some("text/calendar") => ("text/calendar; charset=utf-8", true),
        Some(kind) => (kind, false),
        // Pages, scripts, styles, pictures that are documents, and what we do not know: text to save.
        None => named(SAVED).map_or(("text/plain; charset=utf-8", true), |kind| (kind, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_sees_no_credential_no_address_and_no_hop() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-hub-signature-256", "sha256=1"),
            ("cookie", "__Host-vaxel_refresh=secret"),
            ("authorization", "Bearer secret"),
            ("proxy-authorization", "Basic secret"),
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "x"),
            ("x-real-ip", "192.0.2.1"),
            ("via", "x"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("host", "acme.example"),
            ("sec-fetch-site", "none"),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let mut seen = passed_on(&headers);
        seen.sort();
        let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "x-hub-signature-256"]);
    }

    #[test]
    fn nothing_that_runs_leaves_under_its_own_name() {
        for kind in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "application/xhtml+xml",
            "image/svg+xml",
            "text/javascript",
            "application/javascript",
            "text/css",
            "text/xml",
            "x/y",
            "",
        ] {
            let (sent, is_saved) = content(Some(kind));
            assert_eq!(
                (sent, is_saved),
                ("text/plain; charset=utf-8", true),
                "{kind}"
            );
        }
        assert_eq!(
            content(Some("application/json; charset=utf-8")),
            ("application/json", false)
        );
        assert_eq!(content(None), ("text/plain; charset=utf-8", false));
        assert_eq!(
            content(Some("application/rss+xml")),
            ("application/rss+xml", true)
        );
    }

    #[test]
    fn only_headers_of_the_list_are_answered_and_no_status_leads_elsewhere() {
        let said = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = [
            said("Set-Cookie", "a=1"),
            said("Location", "https://evil.example"),
            said("Refresh", "0; url=//evil.example"),
            said("Access-Control-Allow-Origin", "*"),
            said("Content-Security-Policy", "x"),
            said("Cache-Control", "public"),
            said("ETag", "\"1\""),
            said("Retry-After", "a\r\nset-cookie: b"),
        ];
        let response = answer(200, &headers, Bytes::new()).unwrap();
        let mut names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let expected = [
            "cache-control",
            "content-security-policy",
            "content-type",
            "etag",
            "x-content-type-options",
        ];
        assert_eq!(names, expected);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        for status in [301, 302, 303, 307, 308, 101, 100, 99, 1000, 0] {
            assert!(answer(status, &[], Bytes::new()).is_none(), "{status}");
        }
    }
}
