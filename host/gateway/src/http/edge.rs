//! The outermost layer of a request: who it is for, who sent it, and what every answer of ours carries.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, Request, header};
use tower::ServiceExt as _;
use vaxel_core::{Problem, Reason, RequestId, TenantId, UnixMs};
use vaxel_identity::Tenant;
use vaxel_ops::{Binding, Refusal};

use super::connections::Place;
use super::host::{behind_proxies, requested_host};
use super::traffic::InUse;
use super::{Body, Response, framing, headers, nobody, problem};
use crate::Gateway;

/// What is known of a connection before its first request.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) peer: IpAddr,
    pub(crate) https: bool,
    /// The port that people type to come here.
    pub(crate) port: u16,
    /// Held as long as the connection, or the socket it became, is open.
    pub(crate) _place: Arc<Place>,
    /// Held as long as a request is under way, or the socket it became: meanwhile the connection is not idle.
    pub(crate) _in_use: Option<Arc<InUse>>,
}

/// Whose house a request came to.
#[derive(Clone)]
pub(crate) enum Door {
    Tenant(Arc<Tenant>),
    /// The page that introduces the demo organizations.
    Start,
}

/// What is known of a request before anything of it is believed.
#[derive(Clone)]
pub(crate) struct Edge {
    pub(crate) request: RequestId,
    pub(crate) now: UnixMs,
    pub(crate) peer: IpAddr,
    pub(crate) https: bool,
    pub(crate) host: String,
    /// The origin of our own pages at this host, as a browser spells it.
    pub(crate) origin: String,
    /// Whether it came over the plain listener that only this machine reaches.
    pub(crate) loopback_http: bool,
    pub(crate) door: Door,
}

impl Edge {
    /// The tenant at this door.
    pub(crate) fn tenant(&self) -> Result<&Arc<Tenant>, Problem> {
        match &self.door {
            Door::Tenant(tenant) => Ok(tenant),
            Door::Start => Err(Problem::new(
                Reason::NotFound,
                "This is the start page; each organization has its own address.",
            )),
        }
    }

    /// The same as a log field.
    pub(crate) fn tenant_id(&self) -> TenantId {
        match &self.door {
            Door::Tenant(tenant) => tenant.id,
            Door::Start => TenantId::SYSTEM,
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(scheme: &str, host: &str, port: u16) -> Self {
        Self {
            request: RequestId::new(UnixMs(1)),
            now: UnixMs(1),
            peer: IpAddr::from([127, 0, 0, 1]),
            https: scheme == "https",
            host: host.to_owned(),
            origin: origin(scheme == "https", host, port),
            loopback_http: scheme == "http",
            door: Door::Start,
        }
    }
}

/// An origin as browsers serialize it: without the port that goes without saying.
pub(crate) fn origin(https: bool, host: &str, port: u16) -> String {
    let (scheme, usual) = if https { ("https", 443) } else { ("http", 80) };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    if port == usual {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// Answers one request, whatever happens.
pub(crate) async fn answer(
    gateway: Gateway,
    router: Router,
    connection: Connection,
    request: Request<hyper::body::Incoming>,
) -> Response {
    let now = gateway.now();
    let id = RequestId::new(now);
    let request = request.map(Body::new);
    let response = match enter(&gateway, &connection, &request, id, now) {
        Err(refused) => plain_edge(&connection, id, now).finish(&gateway, *refused),
        Ok(edge) => {
            let response = inside(router, &edge, connection, request).await;
            edge.finish(&gateway, response)
        }
    };
    gateway
        .metrics()
        .request(Binding::Http, response.status().as_u16());
    response
}

async fn inside(
    router: Router,
    edge: &Edge,
    connection: Connection,
    mut request: Request<Body>,
) -> Response {
    request.extensions_mut().insert(edge.clone());
    request.extensions_mut().insert(connection);
    let id = edge.request;
    match AssertUnwindSafe(router.oneshot(request))
        .catch_unwind()
        .await
    {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            tracing::error!(request.id = %id, tenant.id = %edge.tenant_id(), "a request panicked");
            problem::respond(
                &Problem::new(Reason::Internal, "Something went wrong here."),
                id,
            )
        }
    }
}

/// Finds out whose door this is. Health is answered at any, so that a prober need not know a tenant.
fn enter<B>(
    gateway: &Gateway,
    connection: &Connection,
    request: &Request<B>,
    id: RequestId,
    now: UnixMs,
) -> Result<Edge, Box<Response>> {
    if let Some(health) = super::admin::health(gateway, request.method(), request.uri().path(), id)
    {
        return Err(Box::new(health));
    }
    let refuse = |problem: Problem| Box::new(problem::respond(&problem, id));
    framing::check(request).map_err(refuse)?;
    let behind =
        behind_proxies(connection.peer, request.headers(), gateway.proxies()).map_err(refuse)?;
    let (peer, https) = behind
        .as_ref()
        .map_or((connection.peer, connection.https), |b| {
            (b.peer, b.https || connection.https)
        });
    let host = requested_host(request).map_err(refuse)?;
    // A proxy on this machine is loopback too, and whoever stands behind it is not.
    let loopback_http = !connection.https && behind.is_none() && connection.peer.is_loopback();
    let door = match gateway.identity().tenant_by_host(&host) {
        Some(tenant) => Door::Tenant(tenant),
        None if loopback_http && is_this_machine(&host) => Door::Start,
        None => {
            gateway.metrics().refused(Refusal::Foreign);
            if nobody::is_browser(request.method(), request.headers()) {
                return Err(Box::new(nobody::page()));
            }
            return Err(refuse(
                Problem::new(
                    Reason::NotFound,
                    "No organization is served at this host name.",
                )
                .with_code("misdirected"),
            ));
        }
    };
    let port = match (behind, https) {
        (Some(_), true) => gateway.https_port().unwrap_or(443),
        _ => connection.port,
    };
    Ok(Edge {
        request: id,
        now,
        peer,
        https,
        origin: origin(https, &host, port),
        host,
        loopback_http,
        door,
    })
}

fn is_this_machine(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// The edge of a request that never found its door.
fn plain_edge(connection: &Connection, request: RequestId, now: UnixMs) -> Edge {
    Edge {
        request,
        now,
        peer: connection.peer,
        https: connection.https,
        host: String::new(),
        origin: String::new(),
        loopback_http: false,
        door: Door::Start,
    }
}

impl Edge {
    fn finish(&self, gateway: &Gateway, mut response: Response) -> Response {
        headers::protect(response.headers_mut(), self);
        if response.status().is_server_error() {
            tracing::warn!(
                request.id = %self.request,
                tenant.id = %self.tenant_id(),
                http.status = response.status().as_u16(),
                "a request failed on our side"
            );
        }
        if gateway.health().state() == vaxel_ops::HealthState::Draining
            && response.version() < http::Version::HTTP_2
            && response.status() != http::StatusCode::SWITCHING_PROTOCOLS
        {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Whether the request was sent by a page of ours at this very host. A browser sets the header and pages cannot.
pub(crate) fn check_same_origin(edge: &Edge, headers: &http::HeaderMap) -> Result<(), Problem> {
    let mut sent = headers.get_all(header::ORIGIN).iter();
    let ours = match (sent.next(), sent.next()) {
        (Some(value), None) => value.as_bytes() == edge.origin.as_bytes(),
        _ => false,
    };
    if ours {
        Ok(())
    } else {
        Err(Problem::new(
            Reason::Forbidden,
            "Only pages of this very host may ask this.",
        )
        .with_code("foreign_origin"))
    }
}

/// GET and HEAD, the methods that read.
pub(crate) fn reads(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_spelled_as_browsers_do() {
        assert_eq!(origin(true, "acme.example", 443), "https://acme.example");
        assert_eq!(
            origin(true, "acme.example", 8443),
            "https://acme.example:8443"
        );
        assert_eq!(origin(false, "localhost", 80), "http://localhost");
        assert_eq!(origin(false, "::1", 8080), "http://[::1]:8080");
    }

    #[test]
    fn only_our_own_pages_are_of_the_same_origin() {
        let edge = Edge::for_test("https", "acme.example", 8443);
        let check = |origins: &[&str]| {
            let mut headers = http::HeaderMap::new();
            for origin in origins {
                headers.append(header::ORIGIN, origin.parse().unwrap());
            }
            check_same_origin(&edge, &headers).is_ok()
        };
        assert!(check(&["https://acme.example:8443"]));
        for foreign in [
            "https://acme.example",
            "http://acme.example:8443",
            "https://globex.example:8443",
            "https://acme.example:8443.evil.example",
            "https://evil.acme.example:8443",
            "https://acme.example:84430",
            "null",
            "",
        ] {
            assert!(!check(&[foreign]), "{foreign}");
        }
        assert!(!check(&[]));
        assert!(!check(&[
            "https://acme.example:8443",
            "https://acme.example:8443"
        ]));
    }
}
