//! Tokens that are forged, stale, or meant for somebody else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails fast"
)]

use serde_json::json;
use vaxel_tests::tokens::{Opened, public_keys};
use vaxel_tests::{Client, ClientError, HostOptions, Socket, TestHost};

/// Refused over HTTP and on the socket alike, with 401 and a typed problem.
async fn is_refused(client: &Client, token: &str, what: &str) {
    client.set_token(Some(token.to_owned()));
    let refused = client.call("users/me", json!({})).await.unwrap_err();
    assert_eq!(refused.status(), 401, "{what}: {refused:?}");
    let problem = refused.problem().unwrap();
    assert!(!problem.code.is_empty(), "{what}: {problem:?}");
    assert!(
        !problem.detail.contains(token),
        "{what}: the answer repeats the token"
    );
    let mut socket = Socket::open(client.endpoint(), None).await.unwrap();
    match socket.authenticate(token, None).await {
        Err(ClientError::Problem(_) | ClientError::Bye(_) | ClientError::Closed) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut token = Opened::of(&anna.client.token().unwrap());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        token.header["alg"] = json!(alg);
        is_refused(&anna.client, &token.unsigned(), &format!("alg {alg}")).await;
        is_refused(
            &anna.client,
            &token.with_old_signature(),
            &format!("alg {alg}, signed"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_changed_claim_breaks_the_signature() {
    let (_host, anna, bertil) = TestHost::with_two_users().await;
    let token = anna.client.token().unwrap();
    let mut changed = Opened::of(&token);
    changed.claims["sub"] = json!(bertil.id);
    is_refused(
        &anna.client,
        &changed.with_old_signature(),
        "another subject",
    )
    .await;
    let mut later = Opened::of(&token);
    later.claims["exp"] = json!(later.claims["exp"].as_u64().unwrap() + 100_000);
    is_refused(&anna.client, &later.with_old_signature(), "a later end").await;
}

#[tokio::test]
async fn a_key_the_server_never_made_signs_nothing() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let token = Opened::of(&anna.client.token().unwrap());
    is_refused(
        &anna.client,
        &token.signed_by_a_stranger(),
        "a stranger's key, our kid",
    )
    .await;
    let mut unknown = token.clone();
    unknown.header["kid"] = json!("nobody-knows-this-key");
    is_refused(&anna.client, &unknown.signed_by_a_stranger(), "unknown kid").await;
    is_refused(
        &anna.client,
        &unknown.with_old_signature(),
        "unknown kid, old signature",
    )
    .await;
    let mut own_key = token.clone();
    own_key.header["jwk"] = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"});
    is_refused(
        &anna.client,
        &own_key.signed_by_a_stranger(),
        "a key in the header",
    )
    .await;
}

#[tokio::test]
async fn the_public_key_is_no_secret_for_hmac() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let mut token = Opened::of(&anna.client.token().unwrap());
    token.header["alg"] = json!("HS256");
    let jwks = anna
        .client
        .get_json("/.well-known/jwks.json")
        .await
        .unwrap();
    let keys = public_keys(&jwks);
    assert!(!keys.is_empty(), "{jwks}");
    for key in keys {
        is_refused(&anna.client, &token.signed_hs256(&key), "key confusion").await;
    }
    is_refused(
        &anna.client,
        &token.signed_hs256(jwks.to_string().as_bytes()),
        "the JWKS as key",
    )
    .await;
}

#[tokio::test]
async fn a_key_set_tells_public_parts_only() {
    let host = TestHost::start().await;
    let jwks = host
        .client("acme")
        .get_json("/.well-known/jwks.json")
        .await
        .unwrap();
    for key in jwks["keys"].as_array().unwrap() {
        assert!(key.get("d").is_none());
        assert!(
            key["kid"].as_str().is_some_and(|kid| kid.len() >= 20),
            "{key}"
        );
        assert_eq!(
            (&key["kty"], &key["crv"]),
            (&json!("OKP"), &json!("Ed25519"))
        );
    }
}

#[tokio::test]
async fn rubbish_is_refused_as_rubbish() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    for rubbish in [
        "x",
        "a.b",
        "a.b.c",
        "....",
        "eyJ.eyJ.sig",
        &"a".repeat(7000),
    ] {
        is_refused(&anna.client, rubbish, "rubbish").await;
    }
}

#[tokio::test]
async fn a_token_of_another_tenant_is_forbidden_here_and_noted() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let greta = host.tenant("globex", "greta").await;
    let visitor = host.client("acme");
    visitor.set_token(greta.client.token());
    let refused = visitor.call("users/me", json!({})).await.unwrap_err();
    assert_eq!(refused.status(), 403, "{refused:?}");
    let audit = anna
        .client
        .call("audit/list", json!({"limit": 50}))
        .await
        .unwrap();
    let noted = audit["items"].as_array().unwrap().iter().any(|entry| {
        entry["action"] == "token.foreign"
            && entry["outcome"] == "refused"
            && entry["actor"] == greta.id.as_str()
    });
    assert!(noted, "{audit}");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let host = TestHost::start_with(HostOptions::with_own_clock()).await;
    let client = host.client("acme");
    let session = client.login("anna", vaxel_tests::PASSWORD).await.unwrap();
    client.call("users/me", json!({})).await.unwrap();
    host.moves_clock(std::time::Duration::from_secs(11 * 60))
        .await;
    is_refused(&client, &session.access_token, "expired").await;
    client.refresh().await.unwrap();
    client.call("users/me", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let cookie = anna.client.cookie("__Host-vaxel_refresh").unwrap();
    is_refused(&anna.client, &cookie, "the refresh token").await;
}

#[tokio::test]
async fn our_tokens_say_what_rfc_9068_wants() {
    let (_host, anna, _bertil) = TestHost::with_two_users().await;
    let token = Opened::of(&anna.client.token().unwrap());
    assert_eq!(token.header["typ"], "at+jwt");
    assert_eq!(token.header["alg"], "EdDSA");
    assert!(token.header["kid"].is_string());
    for claim in ["iss", "aud", "sub", "exp", "iat", "jti", "client_id"] {
        assert!(
            !token.claims[claim].is_null(),
            "no {claim} in {}",
            token.claims
        );
    }
}

#[tokio::test]
async fn a_token_survives_a_change_of_the_port() {
    let (host, anna, _bertil) = TestHost::with_two_users().await;
    let token = anna.client.token().unwrap();
    assert_eq!(Opened::of(&token).claims["iss"], "https://acme.localhost");
    host.restart_elsewhere();
    let client = host.client("acme");
    assert_ne!(client.endpoint().origin(), anna.client.endpoint().origin());
    client.set_token(Some(token));
    client.call("users/me", json!({})).await.unwrap();
    // Keys are read, and links lead, where people reach us.
    let metadata = client
        .get_json("/.well-known/oauth-authorization-server")
        .await
        .unwrap();
    assert_eq!(metadata["issuer"], "https://acme.localhost");
    let origin = client.endpoint().origin();
    let keys = metadata["jwks_uri"].as_str().unwrap();
    assert_eq!(keys, format!("{origin}/.well-known/jwks.json"));
    let made = host.command(&[
        "user", "add", "--tenant", "acme", "dan", "--name", "Dan", "--json",
    ]);
    let link = made.json()["link"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("{origin}/invite#")), "{link}");
}
