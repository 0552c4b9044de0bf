//! What anybody may read: who issues tokens, with which keys, and what this server is.

use axum::extract::State;
use http::{HeaderValue, Request, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use vaxel_core::{Locale, Problem, Reason, RequestId};

use super::edge::{Door, Edge};
use super::{Body, Response, problem};
use crate::config::DemoOrganization;
use crate::rpc::registry::encode;
use crate::{Gateway, auth};

/// How long others may keep our public keys: shorter than a new key is announced before its first use.
const JWKS_CACHING: &str = "public, max-age=300";

/// The tenant at this address, as strangers may know it.
#[derive(Serialize, JsonSchema)]
struct PublicTenant {
    name: String,
    slug: String,
    #[schemars(schema_with = "crate::rpc::schema::locale")]
    locale: Locale,
}

/// What this server is, before anybody signs in.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Info {
    /// The organization at this address; null on the start page.
    tenant: Option<PublicTenant>,
    /// Whether people can be signed in as with one click.
    demo: bool,
    version: String,
    /// On the start page: the organizations and their people.
    #[serde(skip_serializing_if = "Option::is_none")]
    organizations: Option<Vec<DemoOrganization>>,
    /// At an organization of the demo: its people.
    #[serde(skip_serializing_if = "Option::is_none")]
    demo_people: Option<Vec<crate::config::DemoPerson>>,
}

/// `GET /api/v1/public/info`
pub(crate) async fn info(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    with_edge(&gateway, &request, |edge| {
        gateway.rates().anonymous(edge.peer)?;
        let demo = gateway.demo().filter(|_| edge.loopback_http);
        let tenant = match &edge.door {
            Door::Tenant(tenant) => Some(PublicTenant {
                name: tenant.name.clone(),
                slug: tenant.slug.clone(),
                locale: tenant.locale,
            }),
            Door::Start => None,
        };
        let slug = tenant.as_ref().map(|tenant| tenant.slug.as_str());
        let demo_people = demo.zip(slug).and_then(|(demo, slug)| {
            let own = demo
                .organizations
                .iter()
                .find(|organization| organization.slug == slug)?;
            Some(own.people.clone())
        });
        let organizations = match &tenant {
            None => demo.map(|demo| demo.organizations.clone()),
            Some(_) => None,
        };
        let info = Info {
            tenant,
            demo: demo.is_some(),
            version: gateway.version().to_owned(),
            organizations,
            demo_people,
        };
        Ok(json_response(encode(&info)?, None))
    })
}

/// `GET /.well-known/jwks.json`
pub(crate) async fn jwks(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    with_edge(&gateway, &request, |edge| {
        edge.tenant()?;
        Ok(json_response(
            encode(&gateway.identity().jwks())?,
            Some(JWKS_CACHING),
        ))
    })
}

/// `GET /.well-known/oauth-authorization-server`: RFC 8414, of what exists.
pub(crate) async fn authorization_server(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Response {
    with_edge(&gateway, &request, |edge| {
        let issuer = gateway.identity().issuer(edge.tenant()?);
        // The issuer is a name and may lack the port that the keys are read at.
        let origin = &edge.origin;
        let metadata = json!({
            "issuer": issuer,
            "jwks_uri": format!("{origin}/.well-known/jwks.json"),
            "response_types_supported": [],
            "grant_types_supported": [],
            "token_endpoint_auth_methods_supported": [],
        });
        Ok(json_response(encode(&metadata)?, Some(JWKS_CACHING)))
    })
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn openapi(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let Some(edge) = parts.extensions.get::<Edge>().cloned() else {
        return problem::respond(
            &Problem::from(Reason::Internal),
            RequestId::new(gateway.now()),
        );
    };
    let answered = async {
        let claims = auth::bearer(&gateway, &edge, &parts.headers).await?;
        gateway.rates().user(claims.tenant, claims.user)?;
        let document = crate::rpc::openapi::document(&gateway, claims.tenant, &edge.origin);
        Ok(json_response(encode(&document)?, None))
    };
    answered
        .await
        .unwrap_or_else(|refused| problem::respond(&refused, edge.request))
}

fn with_edge(
    gateway: &Gateway,
    request: &Request<Body>,
    run: impl FnOnce(&Edge) -> Result<Response, Problem>,
) -> Response {
    match request.extensions().get::<Edge>() {
        Some(edge) => run(edge).unwrap_or_else(|refused| problem::respond(&refused, edge.request)),
        None => problem::respond(
            &Problem::from(Reason::Internal),
            RequestId::new(gateway.now()),
        ),
    }
}

fn json_response(json: bytes::Bytes, caching: Option<&'static str>) -> Response {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static(caching.unwrap_or("no-store")),
    );
    response
}
