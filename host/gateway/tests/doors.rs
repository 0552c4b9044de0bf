//! HTTP at the door: whose host, which method, which failure, which headers.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use crate::support;

use http::Method;
use serde_json::json;
use support::{House, ask_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_nobody_owns_is_misdirected_and_localhost_is_the_start_page() {
    let house = House::new().await;
    house
        .get("evil.example", "/")
        .await
        .problem(421, "misdirected");
    house
        .get("acme.localhost.evil.example", "/")
        .await
        .problem(421, "misdirected");
    let start = house.get("localhost", "/api/v1/public/info").await.json();
    assert_eq!(start["tenant"], json!(null));
    assert_eq!(
        start["organizations"][0]["people"][0]["display_name"],
        "Bertil"
    );
    let acme = house
        .get("ACME.localhost", "/api/v1/public/info")
        .await
        .json();
    assert_eq!(acme["tenant"]["slug"], "acme");
    assert_eq!(acme["demo_people"][0]["title"], "Ekonomi");
    let nobody = ask_at(house.addr, "", Method::GET, "/", &[], "".into()).await;
    nobody.problem(400, "bad_host");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_a_problem_with_its_own_status() {
    let house = House::new().await;
    let token = house.bertils_token().await;
    let bearer = format!("Bearer {token}");
    let host = "acme.localhost";
    house
        .get(host, "/api/v1/nothing")
        .await
        .problem(404, "not_found");
    house.get(host, "/api").await.problem(404, "not_found");
    house
        .get(host, "/assets/missing.js")
        .await
        .problem(404, "not_found");
    let wrong = house.get(host, "/api/v1/users/list").await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST");
    house
        .ask(host, Method::DELETE, "/chat", &[], "")
        .await
        .problem(405, "method_not_allowed");
    house
        .call(host, &token, "users/dance", json!({}))
        .await
        .problem(404, "unknown_method");
    house
        .call(host, &token, "plugins/chat/x", json!({}))
        .await
        .problem(404, "unknown_method");
    house
        .call(host, &token, "users/list", json!({"limit": 0}))
        .await
        .problem(400, "invalid_params");
    house
        .call(host, &token, "users/list", json!({"x": 1}))
        .await
        .problem(400, "invalid_params");
    house
        .call(host, &token, "users/list", json!([]))
        .await
        .problem(400, "invalid_params");
    let users = "/api/v1/users/list";
    let text = [("authorization", &*bearer), ("content-type", "text/plain")];
    house
        .ask(host, Method::POST, users, &text, "{}")
        .await
        .problem(415, "unsupported_media_type");
    let json = [
        ("authorization", &*bearer),
        ("content-type", "application/json"),
    ];
    for bad in ["", "{", "{\"a\":1}x", "\u{feff}{}"] {
        house
            .ask(host, Method::POST, users, &json, bad)
            .await
            .problem(400, "malformed_json");
    }
    let large = " ".repeat(1024 * 1024 + 1);
    house
        .ask(host, Method::POST, users, &json, large)
        .await
        .problem(413, "too_large");
    let nobody = house
        .ask(
            host,
            Method::POST,
            users,
            &[("content-type", "application/json")],
            "{}",
        )
        .await;
    nobody.problem(401, "unauthenticated");
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    house
        .call(
            host,
            &token,
            "users/deactivate",
            json!({"user": house.anna.to_string()}),
        )
        .await
        .problem(403, "forbidden");
    house
        .get(host, "/api/v1/socket")
        .await
        .problem(426, "upgrade_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_at_its_own_host_only_and_the_attempt_is_audited() {
    let house = House::new().await;
    let greta = house.token(house.globex.id, house.greta).await;
    house
        .call("globex.localhost", &greta, "users/me", json!({}))
        .await
        .json()["user"]
        .as_object()
        .unwrap();
    house
        .call("acme.localhost", &greta, "users/me", json!({}))
        .await
        .problem(403, "wrong_tenant");
    let anna = house.annas_token().await;
    let audit = house
        .call("acme.localhost", &anna, "audit/list", json!({}))
        .await
        .json();
    let row = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["action"] == "token.foreign")
        .unwrap_or_else(|| panic!("{audit}"));
    assert_eq!(row["actor"], house.greta.to_string());
    assert_eq!(row["outcome"], "refused");
    house
        .call(
            "acme.localhost",
            &house.bertils_token().await,
            "audit/list",
            json!({}),
        )
        .await
        .problem(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_expired_and_misused_tokens_are_refused_without_saying_how_they_failed() {
    let house = House::new().await;
    let good = house.annas_token().await;
    let (head, tail) = good.rsplit_once('.').unwrap();
    // {"alg":"none","typ":"at+jwt"}
    let payload = good.split('.').nth(1).unwrap();
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{payload}.");
    let flipped: String = tail.chars().rev().collect();
    for bad in [
        "x",
        "",
        "a.b.c",
        &none,
        &format!("{head}.{flipped}"),
        &"x".repeat(9_000),
    ] {
        let answer = house
            .call("acme.localhost", bad, "users/me", json!({}))
            .await;
        assert_eq!(answer.status, 401, "{bad}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    house.clock.advance_ms(11 * 60 * 1_000);
    house
        .call("acme.localhost", &good, "users/me", json!({}))
        .await
        .problem(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_web_client_is_served_with_headers_that_let_nothing_in() {
    let house = House::new().await;
    for path in ["/", "/chat/cnv_1", "/login"] {
        let page = house
            .ask(
                "acme.localhost",
                Method::GET,
                path,
                &[("accept", "text/html")],
                "",
            )
            .await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").starts_with("text/html"));
        let policy = page.header("content-security-policy");
        let socket = house.origin("acme.localhost").replace("http", "ws");
        assert!(
            policy.contains(&format!("connect-src 'self' {socket}")),
            "{policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(page.header(name), value, "{name}");
        }
        assert_eq!(page.header("strict-transport-security"), "");
    }
    let head = house
        .ask("acme.localhost", Method::HEAD, "/", &[], "")
        .await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_ne!(head.header("content-length"), "0");
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fCargo.toml",
    ] {
        house
            .get("acme.localhost", path)
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_at_any_host_and_metrics_on_the_admin_listener_only() {
    let house = House::new().await;
    for path in ["/health/live", "/health/ready", "/health/startup"] {
        assert_eq!(house.get("10.0.0.1", path).await.status, 200);
        let admin = ask_at(house.admin, "localhost", Method::GET, path, &[], "".into()).await;
        assert_eq!(admin.status, 200);
    }
    house
        .get("acme.localhost", "/metrics")
        .await
        .problem_or_page();
    let metrics = ask_at(
        house.admin,
        "localhost:1",
        Method::GET,
        "/metrics",
        &[],
        "".into(),
    )
    .await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        text.contains("vaxel_requests_total") && text.ends_with("# EOF\n"),
        "{text}"
    );
    let rebound = ask_at(
        house.admin,
        "evil.example",
        Method::GET,
        "/metrics",
        &[],
        "".into(),
    )
    .await;
    assert_eq!(rebound.status, 421);
}

impl support::Answer {
    /// What is served at a path that is nobody's must not be metrics.
    fn problem_or_page(&self) {
        assert!(!String::from_utf8_lossy(&self.body).contains("vaxel_requests"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_is_limited_without_limiting_another() {
    let limits = vaxel_gateway::GatewayLimits {
        user_per_s: 1,
        user_burst: 3,
        ..Default::default()
    };
    let house = House::with(limits).await;
    let (anna, bertil) = (house.annas_token().await, house.bertils_token().await);
    for _ in 0..3 {
        assert_eq!(
            house
                .call("acme.localhost", &anna, "tenant/get", json!({}))
                .await
                .status,
            200
        );
    }
    let limited = house
        .call("acme.localhost", &anna, "tenant/get", json!({}))
        .await;
    limited.problem(429, "limit");
    assert!(limited.header("retry-after").parse::<u32>().unwrap() >= 1);
    assert_eq!(
        house
            .call("acme.localhost", &bertil, "tenant/get", json!({}))
            .await
            .status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_names_every_method_and_every_reference_in_it_leads_somewhere() {
    let house = House::new().await;
    house
        .get("acme.localhost", "/api/v1/openapi.json")
        .await
        .problem(401, "unauthenticated");
    let token = house.bertils_token().await;
    let bearer = format!("Bearer {token}");
    let document = house
        .ask(
            "acme.localhost",
            Method::GET,
            "/api/v1/openapi.json",
            &[("authorization", &bearer)],
            "",
        )
        .await
        .json();
    assert_eq!(document["openapi"], "3.1.0");
    for path in [
        "/api/v1/session/login",
        "/api/v1/users/list",
        "/api/v1/public/info",
    ] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    let mut targets = Vec::new();
    collect_references(&document, &mut targets);
    assert!(!targets.is_empty());
    for target in targets {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
    let keys = house
        .get("acme.localhost", "/.well-known/jwks.json")
        .await
        .json();
    assert_eq!(keys["keys"][0]["alg"], "EdDSA", "{keys}");
    let metadata = house
        .get("acme.localhost", "/.well-known/oauth-authorization-server")
        .await;
    assert!(metadata.json()["issuer"].is_string());
}

fn collect_references(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(target) if key == "$ref" => into.push(target.to_owned()),
                    _ => collect_references(value, into),
                }
            }
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| collect_references(item, into));
        }
        _ => {}
    }
}
