//! Which handler answers which address.

use axum::Router;
use axum::extract::State;
use axum::routing::{any, get, post};
use http::{HeaderValue, Request, header};
use vaxel_core::{Problem, Reason, RequestId};

use super::edge::{Edge, reads};
use super::{Body, Response, assets, blobs, calls, connected, problem, wellknown};
use crate::pages::{hooks, public, stepup};
use crate::{Gateway, socket};

/// The routes of every listener for people.
pub(crate) fn build(gateway: &Gateway) -> Router {
    Router::new()
        .route("/api/v1/socket", any(socket::session::handle))
        .route("/api/v1/openapi.json", get(wellknown::openapi))
        .route("/api/v1/public/info", get(wellknown::info))
        .route("/api/v1/blobs/{address}", get(blobs::get).put(blobs::put))
        .route("/api/v1/{namespace}/{method}", post(calls::call))
        .route("/api/v1/plugins/{plugin}/{method}", post(calls::call))
        .route("/oauth/connections/callback", get(connected::callback))
        .route("/.well-known/jwks.json", get(wellknown::jwks))
        .route(
            "/.well-known/oauth-authorization-server",
            get(wellknown::authorization_server),
        )
        .route("/p/{plugin}/{page}", any(public::handle))
        .route("/p/{plugin}/{page}/{*path}", any(public::handle))
        .route("/stepup/{order}", get(stepup::show).post(stepup::cancel))
        .route("/stepup/{order}/now", get(stepup::now))
        .route("/stepup/{order}/code.svg", get(stepup::code))
        .route("/stepup/{order}/back", get(stepup::back))
        .route("/hooks/{plugin}", any(hooks::handle))
        .route("/hooks/{plugin}/{*path}", any(hooks::handle))
        .method_not_allowed_fallback(refuse_method)
        .fallback(pages)
        .with_state(gateway.clone())
}

async fn refuse_method(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    refuse(&gateway, &request, &problem::method_not_allowed())
}

/// Everything that is not an address of the API is the web client's.
async fn pages(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let path = request.uri().path();
    let is_api = [
        "/api",
        "/.well-known",
        "/oauth",
        "/health",
        "/hooks",
        "/p",
        "/stepup",
    ]
    .iter()
    .any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_api {
        return refuse(&gateway, &request, &problem::not_found());
    }
    if !reads(request.method()) {
        let mut response = refuse(&gateway, &request, &problem::method_not_allowed());
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
        return response;
    }
    let Some(edge) = request.extensions().get::<Edge>() else {
        return refuse(&gateway, &request, &Problem::from(Reason::Internal));
    };
    assets::serve(
        gateway.files(),
        edge,
        request.method(),
        path,
        request.headers(),
    )
    .unwrap_or_else(|| refuse(&gateway, &request, &problem::not_found()))
}

fn refuse<B>(gateway: &Gateway, request: &Request<B>, problem: &Problem) -> Response {
    let id = request
        .extensions()
        .get::<Edge>()
        .map_or_else(|| RequestId::new(gateway.now()), |edge| edge.request);
    problem::respond(problem, id)
}
