//! The cookies we set, bound to exactly this host: the refresh token of a signed-in device, and for some minutes what
//! binds a connection that is being made to the browser that began.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};

/// The `__Host-` prefix makes browsers refuse it unless it is Secure, without Domain and for the whole host:
/// a sibling under the same parent domain can neither read nor plant it.
pub(crate) const REFRESH_COOKIE: &str = "__Host-vaxel_refresh";

/// Only the browser that began to connect has it when it comes back. Lax: it comes back from another company's page.
pub(crate) const CONNECT_COOKIE: &str = "__Host-vaxel_connect";

/// What an answer does to a cookie.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CookieChange {
    Set {
        token: String,
        age_s: u64,
    },
    Expire,
    /// Binds a connection that is being made to this browser.
    Bind {
        token: String,
        age_s: u64,
    },
    Unbind,
}

impl CookieChange {
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Set { token, age_s } => format!(
                "{REFRESH_COOKIE}={token}; Path=/; Max-Age={age_s}; Secure; HttpOnly; SameSite=Strict"
            ),
            Self::Expire => {
                format!("{REFRESH_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
            }
            Self::Bind { token, age_s } => format!(
                "{CONNECT_COOKIE}={token}; Path=/; Max-Age={age_s}; Secure; HttpOnly; SameSite=Lax"
            ),
            Self::Unbind => {
                format!("{CONNECT_COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
            }
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// What nobody guesses, for a cookie: 256 bits.
pub(crate) fn unguessable() -> String {
    URL_SAFE_NO_PAD.encode(vaxel_crypto::random_bytes::<32>())
}

/// The refresh token that the browser sent.
pub(crate) fn refresh_token(headers: &HeaderMap) -> Option<String> {
    sent(headers, REFRESH_COOKIE)
}

/// The cookie of this name that the browser sent. Two of them are none: one was planted.
pub(crate) fn sent(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        for pair in value.to_str().ok()?.split(';') {
            let Some((name, token)) = pair.trim().split_once('=') else {
                continue;
            };
            if name == wanted && found.replace(token.to_owned()).is_some() {
                return None;
            }
        }
    }
    found.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::COOKIE, value.parse().unwrap());
        }
        refresh_token(&headers)
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(
            sent(&["a=1; __Host-vaxel_refresh=tok; b=2"]).as_deref(),
            Some("tok")
        );
        assert_eq!(
            sent(&["a=1", "__Host-vaxel_refresh=tok"]).as_deref(),
            Some("tok")
        );
        assert_eq!(sent(&["x__Host-vaxel_refresh=tok; vaxel_refresh=t"]), None);
        assert_eq!(sent(&["__Host-vaxel_refresh="]), None);
    }

    #[test]
    fn two_cookies_of_the_name_are_none() {
        assert_eq!(
            sent(&["__Host-vaxel_refresh=a; __Host-vaxel_refresh=b"]),
            None
        );
    }

    #[test]
    fn the_cookie_has_the_attributes_that_bind_it_to_this_host() {
        let set = CookieChange::Set {
            token: "tok".into(),
            age_s: 60,
        }
        .header()
        .unwrap();
        let set = set.to_str().unwrap();
        for part in [
            "__Host-vaxel_refresh=tok;",
            "Path=/",
            "Secure",
            "HttpOnly",
            "SameSite=Strict",
        ] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Domain"));
        assert!(
            CookieChange::Expire
                .header()
                .unwrap()
                .to_str()
                .unwrap()
                .contains("Max-Age=0")
        );
    }
}
