//! The OAuth side of connections: where people agree, and what is asked of the other side's token endpoint.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};
use vaxel_core::{TenantId, UnixMs};
use vaxel_crypto::random_bytes;
use vaxel_net::{Credential, Egress, Outgoing};

use super::rows::{Client, Token};
use super::{ConnectionError, ConnectionSpec};

/// Token endpoints answer at once, or are down.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A token that lives longer is asked about anew all the same.
const LIFETIME_S_MAX: u64 = 10 * 365 * 86_400;

/// A text that nobody guesses: 256 bits.
pub(super) fn unguessable() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>())
}

/// Where somebody agrees (RFC 6749 section 4.1.1, RFC 7636 section 4.3).
pub(super) fn authorize_url(
    spec: &ConnectionSpec,
    client: &Client,
    redirect_uri: &str,
    state: &str,
    verifier: &str,
) -> Result<String, ConnectionError> {
    let url = spec.authorize_url.as_deref().map(Url::parse);
    let Some(Ok(mut url)) = url else {
        return Err(ConnectionError::Unfitting(
            "the plugin names no such address",
        ));
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let mut query = url.query_pairs_mut();
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256");
    if !spec.scopes.is_empty() {
        query.append_pair("scope", &spec.scopes.join(" "));
    }
    drop(query);
    Ok(url.into())
}

/// What is asked of a token endpoint.
pub(super) enum Grant<'a> {
    Code {
        code: &'a str,
        verifier: &'a str,
        redirect_uri: &'a str,
    },
    Refresh(&'a str),
    Client,
}

/// What it gave.
pub(super) struct Tokens {
    pub(super) access: Token,
    pub(super) refresh: Option<String>,
}

/// Nothing else of an answer is read.
#[derive(Deserialize)]
struct Answered {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// Asks for tokens.
pub(super) async fn ask(
    egress: &Egress,
    tenant: TenantId,
    spec: &ConnectionSpec,
    client: &Client,
    grant: Grant<'_>,
    now: UnixMs,
) -> Result<Tokens, ConnectionError> {
    let request = token_request(spec, client, grant)?;
    let answer = egress.fetch(tenant, request).await?;
    match answer.status {
        200 => {}
        400 | 401 | 403 => return Err(ConnectionError::Refused),
        _ => return Err(ConnectionError::Unreachable),
    }
    let answered: Answered =
        serde_json::from_slice(&answer.body).map_err(|_| ConnectionError::Unreachable)?;
    let is_sendable =
        |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    if !answered.token_type.eq_ignore_ascii_case("bearer") || !is_sendable(&answered.access_token) {
        return Err(ConnectionError::Unreachable);
    }
    let lives = |seconds: u64| now.plus_ms(seconds.min(LIFETIME_S_MAX) * 1_000);
    Ok(Tokens {
        access: Token {
            value: answered.access_token,
            ends_at: answered.expires_in.map(lives),
        },
        refresh: answered.refresh_token.filter(|token| !token.is_empty()),
    })
}

fn token_request(
    spec: &ConnectionSpec,
    client: &Client,
    grant: Grant<'_>,
) -> Result<Outgoing, ConnectionError> {
    let scopes = spec.scopes.join(" ");
    let mut form = form_urlencoded::Serializer::new(String::new());
    match grant {
        Grant::Code {
            code,
            verifier,
            redirect_uri,
        } => {
            form.append_pair("grant_type", "authorization_code")
                .append_pair("code", code)
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("code_verifier", verifier);
        }
        Grant::Refresh(token) => {
            form.append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", token);
        }
        Grant::Client => {
            form.append_pair("grant_type", "client_credentials");
            if !scopes.is_empty() {
                form.append_pair("scope", &scopes);
            }
        }
    }
    let url = spec.token_url.as_deref().unwrap_or_default();
    request(url, client, form)
}

/// Gives a token back (RFC 7009). A server that does not know it answers well, too.
pub(super) async fn revoke(
    egress: &Egress,
    tenant: TenantId,
    spec: &ConnectionSpec,
    client: &Client,
    token: &str,
    hint: &str,
) -> Result<(), ConnectionError> {
    let Some(url) = spec.revoke_url.as_deref() else {
        return Ok(());
    };
    let request = revoke_request(url, client, token, hint)?;
    let answer = egress.fetch(tenant, request).await?;
    match answer.status {
        200..=299 => Ok(()),
        // Come back later (RFC 7009 section 2.2.1, RFC 6585 section 4).
        408 | 429 | 500..=599 => Err(ConnectionError::Unreachable),
        _ => Err(ConnectionError::Refused),
    }
}

fn revoke_request(
    url: &str,
    client: &Client,
    token: &str,
    hint: &str,
) -> Result<Outgoing, ConnectionError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token)
        .append_pair("token_type_hint", hint);
    request(url, client, form)
}

fn request(
    url: &str,
    client: &Client,
    mut form: form_urlencoded::Serializer<'_, String>,
) -> Result<Outgoing, ConnectionError> {
    let host = Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .ok_or(ConnectionError::Unfitting(
            "the plugin names no such address",
        ))?;
    let hosts: BTreeSet<String> = [host].into();
    // RFC 6749 section 2.3.1: a client with a secret proves itself in a header, one without only says who it is.
    let credential = match &client.secret {
        Some(secret) => {
            let part = |text: &str| -> String {
                form_urlencoded::byte_serialize(text.as_bytes()).collect()
            };
            let both = STANDARD.encode(format!("{}:{}", part(&client.id), part(secret)));
            Some(Credential {
                header: "authorization".to_owned(),
                value: format!("Basic {both}"),
                hosts: hosts.clone(),
            })
        }
        None => {
            form.append_pair("client_id", &client.id);
            None
        }
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(Outgoing {
        method: "POST".to_owned(),
        url: url.to_owned(),
        headers: vec![
            pair("content-type", "application/x-www-form-urlencoded"),
            pair("accept", "application/json"),
        ],
        body: form.finish().into(),
        timeout: TIMEOUT,
        hosts: Arc::new(hosts),
        credential,
    })
}
