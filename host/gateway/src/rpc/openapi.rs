//! The OpenAPI document of one tenant: the host's methods and those of the plugins it has switched on.

use serde_json::{Map, Value, json};
use vaxel_core::TenantId;

use super::registry::{Access, HostMethod};
use super::schema;
use crate::Gateway;
use crate::http::problem::ProblemBody;

/// Failures that any call may meet.
const COMMON: [(&str, &str); 6] = [
    ("400", "The request is malformed"),
    ("413", "The request is too large"),
    ("415", "The request is not JSON"),
    ("421", "No organization is served at this host"),
    ("429", "Too many calls"),
    ("500", "A fault on our side"),
];

/// The document for everybody in this tenant.
pub(crate) fn document(gateway: &Gateway, tenant: TenantId, origin: &str) -> Value {
    let mut components = Map::new();
    components.insert("Problem".to_owned(), schema::of_result::<ProblemBody>());
    let mut paths = Map::new();
    for method in gateway.registry().all() {
        paths.insert(
            format!("/api/v1/{}", method.name),
            host_path(method, &mut components),
        );
    }
    for method in gateway.runtime().methods(tenant).iter() {
        let prefix = format!("{}.{}", method.plugin, method.name);
        let params = schema::hoist(
            method.params.clone(),
            &format!("{prefix}.params"),
            &mut components,
        );
        let result = schema::hoist(
            method.result.clone(),
            &format!("{prefix}.result"),
            &mut components,
        );
        let mut operation = operation(&Described {
            id: &prefix,
            tag: method.plugin.as_str(),
            summary: &method.summary,
            params,
            result,
            extra: &[
                ("401", "Not signed in, or no longer"),
                ("403", "Not allowed"),
                ("404", "There is no such thing"),
                ("408", "The body took too long"),
                ("409", "Changed by someone else; ask again"),
                (
                    "422",
                    "Not possible as things stand, or the idempotency key was used for another request",
                ),
                ("502", "The plugin failed"),
                ("503", "Try again later"),
            ],
            signed_in: true,
            retryable: true,
        });
        if let Some(map) = operation.as_object_mut() {
            map.insert("x-vaxel-plugin".to_owned(), json!(method.plugin.as_str()));
            map.insert("x-vaxel-permission".to_owned(), json!(method.permission));
        }
        paths.insert(
            format!("/api/v1/plugins/{}/{}", method.plugin, method.name),
            json!({ "post": operation }),
        );
    }
    paths.insert(
        "/api/v1/public/info".to_owned(),
        json!({ "get": {
            "operationId": "public.info",
            "tags": ["public"],
            "summary": "What this server is, before anybody signs in.",
            "responses": reads(schema::of_result::<crate::http::wellknown::Info>(), &[]),
        }}),
    );
    paths.insert(
        "/api/v1/openapi.json".to_owned(),
        json!({ "get": {
            "operationId": "openapi",
            "tags": ["public"],
            "summary": "This document.",
            "security": [{ "bearer": [] }],
            "responses": reads(
                json!({ "type": "object" }),
                &[("401", "Not signed in, or no longer"), ("403", "Not allowed")],
            ),
        }}),
    );
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "V\u{e4}xel",
            "version": gateway.version(),
            "description": "What this organization has switched on. Every failure is an RFC 9457 problem.",
        },
        "servers": [{ "url": origin }],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "at+jwt" },
            },
        },
    })
}

struct Described<'a> {
    id: &'a str,
    tag: &'a str,
    summary: &'a str,
    params: Value,
    result: Value,
    extra: &'a [(&'a str, &'a str)],
    signed_in: bool,
    retryable: bool,
}

fn host_path(method: &HostMethod, components: &mut Map<String, Value>) -> Value {
    let id = method.name.replace('/', ".");
    let (tag, _) = method.name.split_once('/').unwrap_or((method.name, ""));
    let params = schema::hoist(method.params.clone(), &format!("{id}.params"), components);
    let result = schema::hoist(method.result.clone(), &format!("{id}.result"), components);
    let described = Described {
        id: &id,
        tag,
        summary: method.summary,
        params,
        result,
        extra: &[
            ("401", "Not signed in, or no longer"),
            ("403", "Not allowed"),
            ("404", "There is no such thing"),
            ("408", "The body took too long"),
            ("409", "Changed by someone else; ask again"),
            (
                "422",
                "Not possible as things stand, or the idempotency key was used for another request",
            ),
            ("503", "Try again later"),
        ],
        signed_in: method.access != Access::Public,
        retryable: method.creates,
    };
    json!({ "post": operation(&described) })
}

fn operation(described: &Described<'_>) -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "Done",
            "content": { "application/json": { "schema": described.result } },
        }),
    );
    for (status, description) in COMMON.iter().chain(described.extra) {
        responses.insert((*status).to_owned(), problem(description));
    }
    let mut operation = json!({
        "operationId": described.id,
        "tags": [described.tag],
        "summary": described.summary,
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": described.params } },
        },
        "responses": responses,
        "security": if described.signed_in { json!([{ "bearer": [] }]) } else { json!([]) },
    });
    if described.retryable
        && let Some(map) = operation.as_object_mut()
    {
        map.insert(
            "parameters".to_owned(),
            json!([{
                "name": "Idempotency-Key",
                "in": "header",
                "required": false,
                "description": "Makes a retry safe for 24 hours.",
                "schema": { "type": "string", "pattern": "^[!-~]{1,128}$" },
            }]),
        );
    }
    operation
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": {
            "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
        },
    })
}

fn reads(result: Value, extra: &[(&str, &str)]) -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "Here it is",
            "content": { "application/json": { "schema": result } },
        }),
    );
    let common = [
        ("400", "The request is malformed"),
        ("421", "Nobody is served here"),
        ("429", "Too many calls"),
        ("500", "A fault on our side"),
    ];
    for (status, description) in common.iter().chain(extra) {
        responses.insert((*status).to_owned(), problem(description));
    }
    Value::Object(responses)
}
