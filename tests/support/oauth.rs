//! A stand-in for somebody's OAuth server: codes with PKCE, refresh tokens that rotate, revocation.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::outside::{Reply, Seen};

/// How the one client proves itself.
pub const CLIENT_ID: &str = "vaxel at outside";
pub const CLIENT_SECRET: &str = "cl!ent/s3cret+";

/// An authorization server with one client.
#[derive(Default)]
pub struct OAuth(Mutex<State>);

#[derive(Default)]
struct State {
    made: u64,
    /// Codes that were given and not yet redeemed: the challenge and the redirect URI.
    codes: BTreeMap<String, (String, String)>,
    access: Vec<String>,
    refresh: Vec<String>,
    all: Vec<String>,
    revoked: Vec<String>,
    lifetime_s: Option<u64>,
    takes_nothing_back: bool,
}

impl OAuth {
    /// How long access tokens live from now on.
    pub fn tokens_live(&self, seconds: u64) {
        self.0.lock().unwrap().lifetime_s = Some(seconds);
    }

    /// What the authorization page does when the person agrees: answers where the browser is sent to.
    pub fn agrees(&self, authorize_url: &str) -> String {
        let (_, query) = authorize_url.split_once('?').expect("a query");
        let asked = form(query);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT_ID);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["state"].len() >= 22, "a state that nobody guesses");
        let mut state = self.0.lock().unwrap();
        let code = state.fresh("code");
        let redirect = asked["redirect_uri"].clone();
        let bound = (asked["code_challenge"].clone(), redirect.clone());
        state.codes.insert(code.clone(), bound);
        format!("{redirect}?code={code}&state={}", asked["state"])
    }

    /// The page where a person agrees, or does not.
    pub(crate) fn asks(&self, query: &str) -> String {
        let yes = self.agrees(&format!("?{query}"));
        let asked = form(query);
        let no = format!(
            "{}?error=access_denied&state={}",
            asked["redirect_uri"], asked["state"]
        );
        let (yes, no) = (yes.replace('&', "&amp;"), no.replace('&', "&amp;"));
        format!(
            "<!doctype html><html lang=en><title>Outside</title><h1>May it?</h1>\
             <a href=\"{yes}\">Agree</a> <a href=\"{no}\">Refuse</a>"
        )
    }

    /// All tokens and codes that were ever given out.
    pub fn given(&self) -> Vec<String> {
        self.0.lock().unwrap().all.clone()
    }

    /// What was given back.
    pub fn revoked(&self) -> Vec<String> {
        self.0.lock().unwrap().revoked.clone()
    }

    /// From now on no refresh token is good any more, as when the person withdrew.
    pub fn forgets(&self) {
        let mut state = self.0.lock().unwrap();
        state.refresh.clear();
        state.access.clear();
    }

    /// Whether its page for giving tokens back is out of order from now on.
    pub fn takes_back(&self, takes_back: bool) {
        self.0.lock().unwrap().takes_nothing_back = !takes_back;
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        let asked = form(&seen.body);
        let mut state = self.0.lock().unwrap();
        if !is_the_client(seen, &asked) {
            return Reply::json(401, &json!({"error": "invalid_client"}));
        }
        if seen.path == "/revoke" {
            if state.takes_nothing_back {
                return Reply::json(503, &json!({}));
            }
            let token = asked["token"].clone();
            state.access.retain(|one| *one != token);
            state.refresh.retain(|one| *one != token);
            state.revoked.push(token);
            return Reply::json(200, &json!({}));
        }
        let refused = Reply::json(400, &json!({"error": "invalid_grant"}));
        match asked["grant_type"].as_str() {
            "authorization_code" => {
                // Once only.
                let Some((challenge, redirect)) = state.codes.remove(&asked["code"]) else {
                    return refused;
                };
                let hash = digest::digest(&digest::SHA256, asked["code_verifier"].as_bytes());
                let fits = URL_SAFE_NO_PAD.encode(hash) == challenge;
                if !fits || asked["redirect_uri"] != redirect {
                    return refused;
                }
                state.tokens(true)
            }
            "refresh_token" => {
                let token = &asked["refresh_token"];
                let before = state.refresh.len();
                state.refresh.retain(|one| one != token);
                if state.refresh.len() == before {
                    return refused;
                }
                state.tokens(true)
            }
            "client_credentials" => state.tokens(false),
            _ => refused,
        }
    }

    /// An API that wants an access token.
    pub(crate) fn guards(&self, seen: &Seen) -> Reply {
        let state = self.0.lock().unwrap();
        let bearer = seen.headers.get("authorization");
        let token = bearer.and_then(|bearer| bearer.strip_prefix("Bearer "));
        match token {
            Some(token) if state.access.iter().any(|one| one == token) => {
                Reply::json(200, &json!({"you": token, "again": token}))
            }
            _ => Reply::json(401, &json!({"error": "invalid_token"})),
        }
    }
}

impl State {
    fn fresh(&mut self, kind: &str) -> String {
        self.made += 1;
        let random = URL_SAFE_NO_PAD.encode(digest::digest(
            &digest::SHA256,
            format!("{kind} {} {}", self.made, std::process::id()).as_bytes(),
        ));
        let made = format!("{kind}-{random}");
        self.all.push(made.clone());
        made
    }

    fn tokens(&mut self, with_refresh: bool) -> Reply {
        let access = self.fresh("access");
        self.access.push(access.clone());
        let mut told = json!({
            "access_token": access, "token_type": "Bearer",
            "expires_in": self.lifetime_s.unwrap_or(3_600),
        });
        if with_refresh {
            let refresh = self.fresh("refresh");
            self.refresh.push(refresh.clone());
            told["refresh_token"] = refresh.into();
        }
        Reply::json(200, &told)
    }
}

/// RFC 6749 section 2.3.1: id and secret are form-encoded before they become a name and a password.
fn is_the_client(seen: &Seen, asked: &BTreeMap<String, String>) -> bool {
    let basic = seen.headers.get("authorization");
    let basic = basic.and_then(|value| value.strip_prefix("Basic "));
    if let Some(decoded) = basic.and_then(|value| STANDARD.decode(value).ok()) {
        let text = String::from_utf8_lossy(&decoded).into_owned();
        let (id, secret) = text.split_once(':').unwrap_or_default();
        return unescaped(id) == CLIENT_ID && unescaped(secret) == CLIENT_SECRET;
    }
    asked.get("client_id").is_some_and(|id| id == CLIENT_ID)
        && asked
            .get("client_secret")
            .is_some_and(|s| s == CLIENT_SECRET)
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (unescaped(name), unescaped(value)))
        .collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = std::str::from_utf8(&digits).expect("digits");
                u8::from_str_radix(digits, 16).expect("hex")
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}
